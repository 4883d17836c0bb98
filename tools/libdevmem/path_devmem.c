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

/* The binding's id will do. */
static int devmem_share(struct devmem_rx *rx, int *fd)
{
	(void)rx;
	*fd = -1;
	return 0;
}

/* The kernel looks at the buffer last, and there is none. */
static int devmem_check(const char *dev)
{
	static const uint32_t queue;
	struct devmem_bind_result res;
	struct devmem_nl *nl;
	unsigned int ifindex;
	int ret, err;

	ret = devmem_nl_open(&nl, 0);
	if (ret)
		return ret;
	ifindex = dev ? if_nametoindex(dev) : 0;
	err = errno;
	if (ifindex)
		ret = devmem_bind_rx(nl, ifindex, &queue, 1, -1, 0, &res, 0);
	else
		ret = dev ? devmem_fail(err, "%s: %s", dev, strerror(err)) :
			    devmem_fail(EINVAL, "no device was given");
	devmem_nl_close(nl);
	if (ret == -EBUSY)
		return 1;
	return ret == -EBADF ? 0 : ret;
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

const struct devmem_path devmem_path_devmem = {
	.name = "devmem",
	.open = devmem_open,
	.close = devmem_close,
	.share = devmem_share,
	.check = devmem_check,
	.attach = devmem_attach_conn,
	.detach = devmem_token_path_detach,
	.recv = devmem_token_path_recv,
	.release = devmem_token_path_release,
	.flush = devmem_token_path_flush,
	.stats = devmem_token_path_stats,
};
