// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Owns the path through the kernel's own devmem TCP: the NIC writes payload to pages of
 * the buffer that its queue is given, tokens are the kernel's. The NIC is set up by
 * devmem-nic, which owns the binding. Must not know the other paths.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>

#include "internal.h"
#include "nic.h"

/* Somebody else's binding. */
static int kernel_join(struct devmem_rx *rx, const struct devmem_rx_config *config)
{
	int ret = devmem_nic_path_chunks(rx, config);

	if (!ret)
		ret = devmem_nic_join(&rx->nic, (int)config->shared);
	if (!ret)
		rx->res.id = config->binding_id;
	return ret;
}

static int kernel_open(struct devmem_rx *rx, const struct devmem_rx_config *config)
{
	struct devmem_nic_request req = { .what = DEVMEM_NIC_BIND };
	struct devmem_nic_reply reply;
	int ret;

	if (!config->binding_id != !config->shared || config->shared < 0 ||
	    config->shared > INT_MAX)
		return devmem_fail(EINVAL, "binding %u of another process, shared %" PRId64 ": takes both",
				   config->binding_id, config->shared);
	if (devmem_buf_is_host(rx->buf))
		return devmem_fail(EINVAL, "memory of kind host is no dma-buf");
	if (config->binding_id)
		return kernel_join(rx, config);
	ret = devmem_nic_path_open(rx, &req, config, devmem_buf_fd(rx->buf), &reply);
	if (!ret)
		rx->res.id = reply.id;
	return ret;
}

static int kernel_attach(struct devmem_conn *conn, unsigned int flags)
{
	int ret = devmem_tokens_alloc(&conn->tokens, conn->sock, 0);

	return ret ? ret : devmem_nic_path_attach(conn, flags);
}

static ssize_t kernel_recv(struct devmem_conn *conn, struct devmem_msg *msg, size_t most,
			   unsigned int flags)
{
	ssize_t n;

	devmem_msg_set_empty(msg);
	if (flags & (MSG_PEEK | MSG_TRUNC))
		return devmem_fail(EINVAL, "MSG_PEEK and MSG_TRUNC: not on the path 'kernel'");
	n = devmem_token_path_recv(conn, msg, most, flags);
	devmem_nic_path_hold(conn->rx, devmem_msg_tokens(msg));
	return n;
}

static int kernel_release(struct devmem_conn *conn, uint32_t token)
{
	devmem_nic_path_drop(conn->rx);
	return devmem_token_path_release(conn, token);
}

const struct devmem_path devmem_path_kernel = {
	.name = "kernel",
	.open = kernel_open,
	.share = devmem_nic_path_share,
	.close = devmem_nic_path_close,
	.check = devmem_nic_check,
	.attach = kernel_attach,
	.end = devmem_nic_path_end,
	.detach = devmem_token_path_detach,
	.room = devmem_nic_path_room,
	.recv = kernel_recv,
	.release = kernel_release,
	.flush = devmem_token_path_flush,
	.stats = devmem_token_path_stats,
};
