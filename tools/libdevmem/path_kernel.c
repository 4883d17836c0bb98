// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Owns the path through the kernel's own devmem TCP: the NIC writes payload to pages of
 * the buffer that its queue is given, tokens are the kernel's. The NIC is set up by
 * devmem-nic, which owns the binding. Must not know the other paths.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"
#include "nic.h"

#define KERNEL_PAGE	4096
#define KERNEL_NO_RULE	UINT32_MAX

/* What users hold is gone from the NIC: from half of the buffer on they get no more. */
#define KERNEL_HELD(chunks)	((chunks) / 2)

/* So that a connection nobody reads leaves the others something. */
#define KERNEL_SHARE	8

struct devmem_kernel {
	struct devmem_nic *nic;		/* NULL once the receiver is closed */
	uint32_t held;			/* tokens that users have; atomic */
};

static int kernel_chunk(const struct devmem_rx *rx, const struct devmem_rx_config *config,
			uint32_t *size)
{
	*size = config->chunk_size ? config->chunk_size : KERNEL_PAGE;
	if (*size >= KERNEL_PAGE && !(*size & (*size - 1)) &&
	    devmem_buf_size(rx->buf) / *size <= UINT32_MAX)
		return 0;
	return devmem_fail(EINVAL, "chunk size %u is not a power of two from %u on", *size,
			   KERNEL_PAGE);
}

static int kernel_bind(struct devmem_rx *rx, const struct devmem_rx_config *config)
{
	struct devmem_nic_request req = { .what = DEVMEM_NIC_BIND };
	struct devmem_nic *nic = rx->kernel->nic;
	struct devmem_nic_reply reply;
	uint32_t size = rx->res.chunk_size;
	int ret;

	if (config->nr_queues > DEVMEM_BIND_QUEUES)
		return devmem_fail(EINVAL, "%u rx queues: more than %u", config->nr_queues,
				   DEVMEM_BIND_QUEUES);
	ret = devmem_nic_dev(&req, config->dev);
	if (ret)
		return ret;
	/* kernels that know nothing else are not asked for it */
	req.page_size = size == KERNEL_PAGE ? 0 : size;
	req.pages = rx->res.chunks;
	req.nr_queues = config->nr_queues;
	if (config->nr_queues)
		memcpy(req.queues, config->queues, config->nr_queues * sizeof(req.queues[0]));
	ret = devmem_nic_ask(nic, &req, devmem_buf_fd(rx->buf), &reply);
	if (!ret)
		rx->res.id = reply.id;
	return ret;
}

/* Somebody else's binding, or one of our own. */
static int kernel_begin(struct devmem_rx *rx, const struct devmem_rx_config *config)
{
	struct devmem_kernel *kernel = rx->kernel;
	int ret;

	if (config->binding_id) {
		rx->res.id = config->binding_id;
		return devmem_nic_join(&kernel->nic, (int)config->shared);
	}
	ret = devmem_nic_open(&kernel->nic);
	if (ret)
		return ret;
	ret = kernel_bind(rx, config);
	if (ret)
		devmem_nic_close(kernel->nic);
	return ret;
}

static int kernel_open(struct devmem_rx *rx, const struct devmem_rx_config *config)
{
	int ret;

	if (!config->binding_id != !config->shared || config->shared < 0 ||
	    config->shared > INT_MAX)
		return devmem_fail(EINVAL, "binding %u of another process, shared %" PRId64 ": takes both",
				   config->binding_id, config->shared);
	if (devmem_buf_is_host(rx->buf))
		return devmem_fail(EINVAL, "memory of kind host is no dma-buf");
	ret = kernel_chunk(rx, config, &rx->res.chunk_size);
	if (ret)
		return ret;
	rx->res.chunks = (uint32_t)(devmem_buf_size(rx->buf) / rx->res.chunk_size);
	rx->kernel = calloc(1, sizeof(*rx->kernel));
	if (!rx->kernel)
		return devmem_fail(ENOMEM, "out of memory");
	ret = kernel_begin(rx, config);
	if (ret)
		free(rx->kernel);
	return ret;
}

static void kernel_close(struct devmem_rx *rx)
{
	struct devmem_nic *nic;

	pthread_mutex_lock(&rx->lock);
	nic = rx->kernel->nic;
	rx->kernel->nic = NULL;
	pthread_mutex_unlock(&rx->lock);
	devmem_nic_close(nic);
}

static void kernel_free(struct devmem_rx *rx)
{
	free(rx->kernel);
}

/* Return: as devmem_nic_ask(); -ESHUTDOWN: the receiver is closed. */
static int kernel_ask(struct devmem_rx *rx, struct devmem_nic_request *req, int fd,
		      struct devmem_nic_reply *reply)
{
	int ret;

	pthread_mutex_lock(&rx->lock);
	ret = rx->kernel->nic ? devmem_nic_ask(rx->kernel->nic, req, fd, reply) :
	      devmem_fail(ESHUTDOWN, "the receiver is closed");
	pthread_mutex_unlock(&rx->lock);
	return ret;
}

/* The most that TCP's own tuning gives a connection; 0: unknown. */
static size_t kernel_rmem_max(void)
{
	size_t most = 0;
	FILE *f = fopen("/proc/sys/net/ipv4/tcp_rmem", "re");

	if (!f)
		return 0;
	if (fscanf(f, "%*u %*u %zu", &most) != 1)
		most = 0;
	fclose(f);
	return most;
}

/* What a connection may keep unread, TCP counts by the pages that it lies in. Where the
 * buffer is so small that one could take most of it: not more than its share.
 */
static void kernel_limit(const struct devmem_rx *rx, int sock)
{
	size_t share = devmem_buf_size(rx->buf) / KERNEL_SHARE;
	int half = (int)(share / 2);	/* the kernel doubles it */

	if (kernel_rmem_max() > share)
		setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &half, sizeof(half));
}

static int kernel_share(struct devmem_rx *rx, int *fd)
{
	int ret;

	pthread_mutex_lock(&rx->lock);
	ret = rx->kernel->nic ? devmem_nic_share(rx->kernel->nic, fd) :
				devmem_fail(ESHUTDOWN, "the receiver is closed");
	pthread_mutex_unlock(&rx->lock);
	return ret;
}

static int kernel_attach(struct devmem_conn *conn, unsigned int flags)
{
	struct devmem_nic_request req = { .what = DEVMEM_NIC_RULE_ADD };
	struct devmem_nic_reply reply;
	int ret;

	conn->rule = KERNEL_NO_RULE;
	ret = devmem_tokens_alloc(&conn->tokens, conn->sock, 0);
	if (ret)
		return ret;
	if (flags & ~DEVMEM_ATTACH_REPORT_LOST)
		return devmem_fail(EINVAL, "flags 0x%x: only DEVMEM_ATTACH_REPORT_LOST is defined",
				   flags);
	ret = kernel_ask(conn->rx, &req, conn->sock, &reply);
	if (ret)
		return ret;
	kernel_limit(conn->rx, conn->sock);
	conn->rule = reply.rule;
	conn->attached = true;
	return 0;
}

/* Rules are few: not for as long as somebody holds a piece. */
static void kernel_end(struct devmem_conn *conn)
{
	struct devmem_nic_request req = { .what = DEVMEM_NIC_RULE_DEL, .rule = conn->rule };
	struct devmem_nic_reply reply;

	if (conn->rule != KERNEL_NO_RULE)
		kernel_ask(conn->rx, &req, -1, &reply);
	conn->rule = KERNEL_NO_RULE;
}

static int kernel_room(struct devmem_conn *conn)
{
	const struct devmem_rx *rx = conn->rx;
	uint32_t held = __atomic_load_n(&rx->kernel->held, __ATOMIC_RELAXED);

	if (held < KERNEL_HELD(rx->res.chunks))
		return 0;
	return devmem_fail(ENOBUFS, "%u pieces are held, of a buffer of %u chunks: give some back",
			   held, rx->res.chunks);
}

static ssize_t kernel_recv(struct devmem_conn *conn, struct devmem_msg *msg, size_t most,
			   unsigned int flags)
{
	ssize_t n;

	devmem_msg_set_piece(msg, NULL);
	if (flags & (MSG_PEEK | MSG_TRUNC))
		return devmem_fail(EINVAL, "MSG_PEEK and MSG_TRUNC: not on the path 'kernel'");
	n = devmem_token_path_recv(conn, msg, most, flags);
	__atomic_add_fetch(&conn->rx->kernel->held, devmem_msg_tokens(msg), __ATOMIC_RELAXED);
	return n;
}

static int kernel_release(struct devmem_conn *conn, uint32_t token)
{
	__atomic_sub_fetch(&conn->rx->kernel->held, 1, __ATOMIC_RELAXED);
	return devmem_token_path_release(conn, token);
}

const struct devmem_path devmem_path_kernel = {
	.name = "kernel",
	.open = kernel_open,
	.close = kernel_close,
	.free = kernel_free,
	.share = kernel_share,
	.check = devmem_nic_check,
	.attach = kernel_attach,
	.end = kernel_end,
	.detach = devmem_token_path_detach,
	.room = kernel_room,
	.recv = kernel_recv,
	.release = kernel_release,
	.flush = devmem_token_path_flush,
	.stats = devmem_token_path_stats,
};
