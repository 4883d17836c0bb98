// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Owns the path through net/devmem: the NIC writes payload to the buffer, tokens are
 * the kernel's. Must not know the other paths.
 */
#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "internal.h"

static int devmem_open(struct devmem_rx *rx, const struct devmem_rx_config *config)
{
	static const uint32_t first;
	const uint32_t *queues = config->nr_queues ? config->queues : &first;
	unsigned int nr = config->nr_queues ? config->nr_queues : 1;
	unsigned int ifindex;
	int ret, err;

	if (config->binding_id) {
		rx->res.id = config->binding_id;
		return 0;
	}
	if (!config->dev)
		return devmem_fail(EINVAL, "no device was given");
	ifindex = if_nametoindex(config->dev);
	if (!ifindex) {
		err = errno;
		return devmem_fail(err, "%s: %s", config->dev, strerror(err));
	}
	ret = devmem_nl_open(&rx->nl, 0);
	if (ret)
		return ret;
	ret = devmem_bind_rx(rx->nl, ifindex, queues, nr, devmem_buf_fd(rx->buf),
			     config->chunk_size, &rx->res, 0);
	if (ret) {
		devmem_nl_close(rx->nl);
		rx->nl = NULL;
	}
	return ret;
}

static void devmem_close(struct devmem_rx *rx)
{
	devmem_nl_close(rx->nl);
	rx->nl = NULL;
}

static int devmem_attach_conn(struct devmem_conn *conn, unsigned int flags)
{
	int ret = devmem_tokens_alloc(&conn->tokens, conn->sock, 0);

	if (ret)
		return ret;
	ret = devmem_attach(conn->sock, conn->rx->res.id, devmem_buf_fd(conn->rx->buf),
			    flags);
	conn->attached = !ret;
	return ret;
}

static void devmem_detach(struct devmem_conn *conn)
{
	devmem_tokens_free(conn->tokens);
}

static ssize_t devmem_path_recv(struct devmem_conn *conn, struct devmem_msg *msg,
				size_t most, unsigned int flags)
{
	return devmem_recv_most(conn->sock, msg, most, flags);
}

static int devmem_path_release(struct devmem_conn *conn, uint32_t token)
{
	return devmem_tokens_add(conn->tokens, token);
}

static int devmem_path_flush(struct devmem_conn *conn)
{
	return devmem_tokens_flush(conn->tokens);
}

static void devmem_path_stats(const struct devmem_conn *conn,
			      struct devmem_conn_stats *stats)
{
	stats->released = devmem_tokens_released(conn->tokens);
	stats->pending = devmem_tokens_pending(conn->tokens);
	stats->release_calls = devmem_tokens_calls(conn->tokens);
}

const struct devmem_path devmem_path_devmem = {
	.name = "devmem",
	.open = devmem_open,
	.close = devmem_close,
	.attach = devmem_attach_conn,
	.detach = devmem_detach,
	.recv = devmem_path_recv,
	.release = devmem_path_release,
	.flush = devmem_path_flush,
	.stats = devmem_path_stats,
};
