// SPDX-License-Identifier: GPL-2.0
/*
 * Owns requests to the kernel's family "netdev": bind-rx, and who has a queue. Must not
 * know what else a queue needs.
 */
#include <errno.h>
#include <linux/genetlink.h>
#include <stdlib.h>
#include <unistd.h>

#include "devmem-nic.h"

/* <linux/netdev.h>; Debian 12 has none */
#define DN_CMD_BIND_RX			13
#define DN_A_QUEUE_ID			1
#define DN_A_QUEUE_TYPE			3
#define DN_A_DMABUF_IFINDEX		1
#define DN_A_DMABUF_QUEUES		2
#define DN_A_DMABUF_FD			3
#define DN_A_DMABUF_ID			4
#define DN_A_DMABUF_RX_PAGE_SIZE	5
#define DN_QUEUE_TYPE_RX		0

#define DN_QUEUE_NEST	24	/* bytes of a queue in a request */

/* A ring lets its queue go some time after its owner has gone. */
#define DN_RING_TRIES	500
#define DN_RING_US	10000

int dn_provider_open(struct dn_nic *nic)
{
	return devmem_nl_open_family(&nic->netdev, "netdev",
				     "it takes Linux 6.12 or newer");
}

static int dn_bind_reply(const struct nlmsghdr *nlh, void *arg)
{
	const struct nlattr *attr;
	uint32_t *id = arg;

	mnl_attr_for_each(attr, nlh, sizeof(struct genlmsghdr))
		if (mnl_attr_get_type(attr) == DN_A_DMABUF_ID)
			*id = mnl_attr_get_u32(attr);
	return 0;
}

int dn_provider_bind(struct dn_nic *nic, uint32_t page_size, int fd, uint32_t *id)
{
	struct nlmsghdr *nlh;
	struct nlattr *nest;
	unsigned int i;
	void *buf;
	int ret;

	buf = malloc(256 + nic->nr_queues * DN_QUEUE_NEST);
	if (!buf)
		return devmem_fail(ENOMEM, "out of memory");
	nlh = devmem_nl_request(nic->netdev, buf, DN_CMD_BIND_RX, NLM_F_ACK);
	mnl_attr_put_u32(nlh, DN_A_DMABUF_IFINDEX, nic->ifindex);
	mnl_attr_put_u32(nlh, DN_A_DMABUF_FD, (uint32_t)fd);
	for (i = 0; i < nic->nr_queues; i++) {
		nest = mnl_attr_nest_start(nlh, DN_A_DMABUF_QUEUES);
		mnl_attr_put_u32(nlh, DN_A_QUEUE_ID, nic->queues[i]);
		mnl_attr_put_u32(nlh, DN_A_QUEUE_TYPE, DN_QUEUE_TYPE_RX);
		mnl_attr_nest_end(nlh, nest);
	}
	if (page_size)
		mnl_attr_put_u32(nlh, DN_A_DMABUF_RX_PAGE_SIZE, page_size);
	*id = 0;
	ret = devmem_nl_talk(nic->netdev, "bind-rx", nlh, dn_bind_reply, id);
	free(buf);
	if (ret == -EOPNOTSUPP)
		return devmem_fail(EOPNOTSUPP, "%s: its driver, or this kernel, has no device-memory receive",
				   nic->dev);
	if (!ret && !*id)
		return devmem_fail(EPROTO, "bind-rx: the reply has no id");
	return ret;
}

static int dn_queue_found(const struct devmem_queue_info *info, void *arg)
{
	const uint32_t *queue = arg;

	return info->queue == *queue && info->io_uring;
}

/* A kernel that does not tell, or a queue that is not there, has none. */
static bool dn_queue_has_ring(const struct dn_nic *nic, uint32_t queue)
{
	return devmem_queue_dump(nic->ifindex, dn_queue_found, &queue, 0) > 0;
}

/* Until no ring of io_uring receives from @queue any more, or -EBUSY. */
int dn_provider_wait(struct dn_nic *nic, uint32_t queue)
{
	unsigned int tries;

	for (tries = 0; tries < DN_RING_TRIES; tries++) {
		if (!dn_queue_has_ring(nic, queue))
			return 0;
		usleep(DN_RING_US);
	}
	return devmem_fail(EBUSY, "%s: a program receives from rx queue %u by io_uring",
			   nic->dev, queue);
}
