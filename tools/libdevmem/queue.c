// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Owns what the kernel's family "netdev" says of rx queues that have memory of a provider
 * of the kernel. Must not know how they came by it.
 */
#include <errno.h>
#include <linux/genetlink.h>

#include "internal.h"

/* <linux/netdev.h>, of 6.12 and (IO_URING) 6.15; Debian 12 has none */
#define QUEUE_GET	10
#define QUEUE_ID	1
#define QUEUE_IFINDEX	2
#define QUEUE_TYPE	3
#define QUEUE_DMABUF	5
#define QUEUE_IO_URING	6
#define QUEUE_TYPE_RX	0

struct queue_dump {
	int (*cb)(const struct devmem_queue_info *info, void *arg);
	void *arg;
};

static int queue_reply(const struct nlmsghdr *nlh, void *arg)
{
	const struct queue_dump *dump = arg;
	struct devmem_queue_info info = { .ifindex = 0 };
	uint32_t type = QUEUE_TYPE_RX;
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct genlmsghdr)) {
		switch (mnl_attr_get_type(attr)) {
		case QUEUE_ID:
			info.queue = mnl_attr_get_u32(attr);
			break;
		case QUEUE_IFINDEX:
			info.ifindex = mnl_attr_get_u32(attr);
			break;
		case QUEUE_TYPE:
			type = mnl_attr_get_u32(attr);
			break;
		case QUEUE_DMABUF:
			info.binding_id = mnl_attr_get_u32(attr);
			break;
		case QUEUE_IO_URING:
			info.io_uring = true;
			break;
		default:
			break;
		}
	}
	if (type != QUEUE_TYPE_RX || (!info.binding_id && !info.io_uring))
		return 0;
	return dump->cb(&info, dump->arg);
}

int devmem_queue_dump(uint32_t ifindex,
		      int (*cb)(const struct devmem_queue_info *info, void *arg),
		      void *arg, unsigned int flags)
{
	struct queue_dump dump = { .cb = cb, .arg = arg };
	struct devmem_nl *nl;
	struct nlmsghdr *nlh;
	char req[64];
	int ret;

	if (flags)
		return devmem_fail(EINVAL, "flags 0x%x: none is defined", flags);
	ret = devmem_nl_open_family(&nl, "netdev", "it takes Linux 6.8 or newer");
	if (ret)
		return ret;
	nlh = devmem_nl_request(nl, req, QUEUE_GET, NLM_F_DUMP);
	if (ifindex)
		mnl_attr_put_u32(nlh, QUEUE_IFINDEX, ifindex);
	ret = devmem_nl_talk(nl, "queue-get", nlh, queue_reply, &dump);
	devmem_nl_close(nl);
	return ret;
}
