// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Owns what paths share for which devmem-nic sets a NIC up: asking it, the rule of each
 * connection, its share of the buffer, and how much of that users may hold. Must not know
 * how payload gets there, nor what a NIC needs.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"
#include "nic.h"

#define NIC_PAGE	4096
#define NIC_NO_RULE	UINT32_MAX

/* What users hold is gone from the NIC: from half of the buffer on they get no more. */
#define NIC_HELD(chunks)	((chunks) / 2)

/* So that a connection nobody reads leaves the others something. */
#define NIC_SHARE	8

int devmem_nic_path_chunks(struct devmem_rx *rx, const struct devmem_rx_config *config)
{
	uint32_t size = config->chunk_size ? config->chunk_size : NIC_PAGE;

	if (size < NIC_PAGE || size & (size - 1) || devmem_buf_size(rx->buf) / size > UINT32_MAX)
		return devmem_fail(EINVAL, "chunk size %u is not a power of two from %u on",
				   size, NIC_PAGE);
	rx->res.chunk_size = size;
	rx->res.chunks = (uint32_t)(devmem_buf_size(rx->buf) / size);
	return 0;
}

int devmem_nic_path_open(struct devmem_rx *rx, struct devmem_nic_request *req,
			 const struct devmem_rx_config *config, int fd,
			 struct devmem_nic_reply *reply)
{
	int ret;

	if (config->nr_queues > DEVMEM_BIND_QUEUES)
		return devmem_fail(EINVAL, "%u rx queues: more than %u", config->nr_queues,
				   DEVMEM_BIND_QUEUES);
	ret = devmem_nic_dev(req, config->dev);
	if (!ret)
		ret = devmem_nic_path_chunks(rx, config);
	if (ret)
		return ret;
	/* kernels that know nothing else are not asked for it */
	req->page_size = rx->res.chunk_size == NIC_PAGE ? 0 : rx->res.chunk_size;
	req->pages = rx->res.chunks;
	req->nr_queues = config->nr_queues;
	if (config->nr_queues)
		memcpy(req->queues, config->queues,
		       config->nr_queues * sizeof(req->queues[0]));
	ret = devmem_nic_open(&rx->nic);
	if (ret)
		return ret;
	ret = devmem_nic_ask(rx->nic, req, fd, reply);
	if (ret) {
		devmem_nic_close(rx->nic);
		rx->nic = NULL;
	}
	return ret;
}

int devmem_nic_path_share(struct devmem_rx *rx, int *fd)
{
	int ret;

	pthread_mutex_lock(&rx->lock);
	ret = rx->nic ? devmem_nic_share(rx->nic, fd) :
			devmem_fail(ESHUTDOWN, "the receiver is closed");
	pthread_mutex_unlock(&rx->lock);
	return ret;
}

void devmem_nic_path_close(struct devmem_rx *rx)
{
	struct devmem_nic *nic;

	pthread_mutex_lock(&rx->lock);
	nic = rx->nic;
	rx->nic = NULL;
	pthread_mutex_unlock(&rx->lock);
	devmem_nic_close(nic);
}

/* Return: as devmem_nic_ask(); -ESHUTDOWN: the receiver is closed. */
static int nic_ask(struct devmem_rx *rx, struct devmem_nic_request *req, int fd,
		   struct devmem_nic_reply *reply)
{
	int ret;

	pthread_mutex_lock(&rx->lock);
	ret = rx->nic ? devmem_nic_ask(rx->nic, req, fd, reply) :
	      devmem_fail(ESHUTDOWN, "the receiver is closed");
	pthread_mutex_unlock(&rx->lock);
	return ret;
}

/* The most that TCP's own tuning gives a connection; 0: unknown. */
static size_t nic_rmem_max(void)
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
static void nic_limit(const struct devmem_rx *rx, int sock)
{
	size_t share = devmem_buf_size(rx->buf) / NIC_SHARE;
	int half = (int)(share / 2);	/* the kernel doubles it */

	if (nic_rmem_max() > share)
		setsockopt(sock, SOL_SOCKET, SO_RCVBUF, &half, sizeof(half));
}

int devmem_nic_path_attach(struct devmem_conn *conn, unsigned int flags)
{
	struct devmem_nic_request req = { .what = DEVMEM_NIC_RULE_ADD };
	struct devmem_nic_reply reply = { .rule = NIC_NO_RULE };
	int ret;

	conn->rule = NIC_NO_RULE;
	if (flags & ~DEVMEM_ATTACH_REPORT_LOST)
		return devmem_fail(EINVAL, "flags 0x%x: only DEVMEM_ATTACH_REPORT_LOST is defined",
				   flags);
	ret = nic_ask(conn->rx, &req, conn->sock, &reply);
	if (ret)
		return ret;
	nic_limit(conn->rx, conn->sock);
	conn->rule = reply.rule;
	conn->attached = true;
	return 0;
}

/* Rules are few: not for as long as somebody holds a piece. */
void devmem_nic_path_end(struct devmem_conn *conn)
{
	struct devmem_nic_request req = { .what = DEVMEM_NIC_RULE_DEL, .rule = conn->rule };
	struct devmem_nic_reply reply;

	if (conn->rule != NIC_NO_RULE)
		nic_ask(conn->rx, &req, -1, &reply);
	conn->rule = NIC_NO_RULE;
}

void devmem_nic_path_hold(struct devmem_rx *rx, unsigned int nr)
{
	__atomic_add_fetch(&rx->held, nr, __ATOMIC_RELAXED);
}

void devmem_nic_path_drop(struct devmem_rx *rx)
{
	__atomic_sub_fetch(&rx->held, 1, __ATOMIC_RELAXED);
}

int devmem_nic_path_room(struct devmem_conn *conn)
{
	const struct devmem_rx *rx = conn->rx;
	uint32_t held = __atomic_load_n(&rx->held, __ATOMIC_RELAXED);

	if (held < NIC_HELD(rx->res.chunks))
		return 0;
	return devmem_fail(ENOBUFS, "%u pieces are held, of a buffer of %u chunks: give some back",
			   held, rx->res.chunks);
}
