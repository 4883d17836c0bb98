// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Owns what the attributes of a binding mean: bind-rx, bind-get. Must not know
 * how requests travel, nor what a socket does with a binding.
 */
#include <errno.h>
#include <linux/genetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

static const char * const devmem_state_names[] = {
	[NETDEV_DEVMEM_STATE_ACTIVE] = "active",
	[NETDEV_DEVMEM_STATE_MOVING] = "moving",
	[NETDEV_DEVMEM_STATE_REVOKED] = "revoked",
	[NETDEV_DEVMEM_STATE_CLOSING] = "closing",
};

const char *devmem_state_name(uint32_t state)
{
	if (state >= ARRAY_SIZE(devmem_state_names))
		return "unknown";
	return devmem_state_names[state];
}

/* Attributes of type uint come as 32 or 64 bits, whichever is enough. */
static uint64_t devmem_attr_uint(const struct nlattr *attr)
{
	uint64_t v64;

	switch (mnl_attr_get_payload_len(attr)) {
	case sizeof(uint64_t):
		/* Netlink aligns to 4 bytes only. */
		memcpy(&v64, mnl_attr_get_payload(attr), sizeof(v64));
		return v64;
	case sizeof(uint32_t):
		return mnl_attr_get_u32(attr);
	default:
		return 0;
	}
}

static void devmem_stats_parse(const struct nlattr *nest,
			       struct devmem_bind_info *info)
{
	const struct nlattr *attr;

	mnl_attr_for_each_nested(attr, nest) {
		uint64_t v = devmem_attr_uint(attr);

		switch (mnl_attr_get_type(attr)) {
		case NETDEV_DEVMEM_A_STATS_PLACED_PACKETS:
			info->stats.placed_packets = v;
			break;
		case NETDEV_DEVMEM_A_STATS_PLACED_BYTES:
			info->stats.placed_bytes = v;
			break;
		case NETDEV_DEVMEM_A_STATS_FALLBACK_PACKETS:
			info->stats.fallback_packets = v;
			break;
		case NETDEV_DEVMEM_A_STATS_FALLBACK_BYTES:
			info->stats.fallback_bytes = v;
			break;
		case NETDEV_DEVMEM_A_STATS_FALLBACK_EXHAUSTED:
			info->stats.fallback_exhausted = v;
			break;
		case NETDEV_DEVMEM_A_STATS_FALLBACK_NOMEM:
			info->stats.fallback_nomem = v;
			break;
		case NETDEV_DEVMEM_A_STATS_FALLBACK_HEADER:
			info->stats.fallback_header = v;
			break;
		case NETDEV_DEVMEM_A_STATS_FALLBACK_ROUTE:
			info->stats.fallback_route = v;
			break;
		case NETDEV_DEVMEM_A_STATS_FALLBACK_INACTIVE:
			info->stats.fallback_inactive = v;
			break;
		case NETDEV_DEVMEM_A_STATS_URG_CLEARED:
			info->stats.urg_cleared = v;
			break;
		case NETDEV_DEVMEM_A_STATS_FORWARD_DROPS:
			info->stats.forward_drops = v;
			break;
		case NETDEV_DEVMEM_A_STATS_PRESSURE:
			info->stats.pressure = v;
			break;
		case NETDEV_DEVMEM_A_STATS_FALLBACK_AGAIN:
			info->stats.fallback_again = v;
			break;
		case NETDEV_DEVMEM_A_STATS_FALLBACK_SEQUENCE:
			info->stats.fallback_sequence = v;
			break;
		case NETDEV_DEVMEM_A_STATS_FALLBACK_PAUSED:
			info->stats.fallback_paused = v;
			break;
		default:
			break;
		}
	}
}

/* A newer kernel may send attributes that are unknown here: leave them. */
void devmem_bind_parse(const struct nlmsghdr *nlh,
		       struct devmem_bind_info *info)
{
	const struct nlattr *attr;

	memset(info, 0, sizeof(*info));
	mnl_attr_for_each(attr, nlh, sizeof(struct genlmsghdr)) {
		uint64_t v = devmem_attr_uint(attr);

		switch (mnl_attr_get_type(attr)) {
		case NETDEV_DEVMEM_A_BINDING_ID:
			info->id = (uint32_t)v;
			break;
		case NETDEV_DEVMEM_A_BINDING_IFINDEX:
			info->ifindex = (uint32_t)v;
			break;
		case NETDEV_DEVMEM_A_BINDING_QUEUE:
			if (info->nr_queues < DEVMEM_BIND_QUEUES)
				info->queues[info->nr_queues] = (uint32_t)v;
			info->nr_queues++;
			break;
		case NETDEV_DEVMEM_A_BINDING_CHUNK_SIZE:
			info->chunk_size = (uint32_t)v;
			break;
		case NETDEV_DEVMEM_A_BINDING_SIZE:
			info->size = v;
			break;
		case NETDEV_DEVMEM_A_BINDING_STATE:
			info->state = (uint32_t)v;
			break;
		case NETDEV_DEVMEM_A_BINDING_PID:
			info->pid = (uint32_t)v;
			break;
		case NETDEV_DEVMEM_A_BINDING_COMM:
			snprintf(info->comm, sizeof(info->comm), "%.*s",
				 mnl_attr_get_payload_len(attr),
				 (const char *)mnl_attr_get_payload(attr));
			break;
		case NETDEV_DEVMEM_A_BINDING_FLOWS:
			info->flows = (uint32_t)v;
			break;
		case NETDEV_DEVMEM_A_BINDING_CHUNKS:
			info->chunks = (uint32_t)v;
			break;
		case NETDEV_DEVMEM_A_BINDING_CHUNKS_FREE:
			info->chunks_free = (uint32_t)v;
			break;
		case NETDEV_DEVMEM_A_BINDING_STATS:
			devmem_stats_parse(attr, info);
			break;
		default:
			break;
		}
	}
}

static int devmem_bind_rx_reply(const struct nlmsghdr *nlh, void *arg)
{
	struct devmem_bind_result *res = arg;
	struct devmem_bind_info info;

	devmem_bind_parse(nlh, &info);
	res->id = info.id;
	res->chunk_size = info.chunk_size;
	res->chunks = info.chunks;
	return 0;
}

int devmem_bind_rx(struct devmem_nl *nl, uint32_t ifindex,
		   const uint32_t *queues, unsigned int nr_queues,
		   int dmabuf_fd, uint32_t chunk_size,
		   struct devmem_bind_result *res, unsigned int flags)
{
	size_t size = MNL_NLMSG_HDRLEN + MNL_ALIGN(sizeof(struct genlmsghdr)) +
		      (nr_queues + 3UL) * 8;
	struct nlmsghdr *nlh;
	unsigned int i;
	void *req;
	int ret;

	if (flags)
		return devmem_fail(EINVAL, "flags 0x%x: none is defined", flags);

	memset(res, 0, sizeof(*res));
	req = malloc(size);
	if (!req)
		return devmem_fail(ENOMEM, "out of memory");

	nlh = devmem_nl_request(nl, req, NETDEV_DEVMEM_CMD_BIND_RX, NLM_F_ACK);
	mnl_attr_put_u32(nlh, NETDEV_DEVMEM_A_BINDING_IFINDEX, ifindex);
	for (i = 0; i < nr_queues; i++)
		mnl_attr_put_u32(nlh, NETDEV_DEVMEM_A_BINDING_QUEUE, queues[i]);
	mnl_attr_put_u32(nlh, NETDEV_DEVMEM_A_BINDING_FD, (uint32_t)dmabuf_fd);
	if (chunk_size)
		mnl_attr_put_u32(nlh, NETDEV_DEVMEM_A_BINDING_CHUNK_SIZE,
				 chunk_size);

	ret = devmem_nl_talk(nl, "bind-rx", nlh, devmem_bind_rx_reply, res);
	free(req);
	if (!ret && !res->id)
		return devmem_fail(EPROTO, "bind-rx: the reply has no id");
	return ret;
}

struct devmem_get {
	struct devmem_bind_info *info;
	bool seen;
};

static int devmem_bind_get_reply(const struct nlmsghdr *nlh, void *arg)
{
	struct devmem_get *get = arg;

	devmem_bind_parse(nlh, get->info);
	get->seen = true;
	return 0;
}

int devmem_bind_get(struct devmem_nl *nl, uint32_t id,
		    struct devmem_bind_info *info, unsigned int flags)
{
	struct devmem_get get = { .info = info };
	struct nlmsghdr *nlh;
	char req[64];
	int ret;

	if (flags)
		return devmem_fail(EINVAL, "flags 0x%x: none is defined", flags);

	nlh = devmem_nl_request(nl, req, NETDEV_DEVMEM_CMD_BIND_GET, NLM_F_ACK);
	mnl_attr_put_u32(nlh, NETDEV_DEVMEM_A_BINDING_ID, id);
	ret = devmem_nl_talk(nl, "bind-get", nlh, devmem_bind_get_reply, &get);
	if (!ret && !get.seen)
		return devmem_fail(EPROTO, "bind-get: no reply");
	return ret;
}

struct devmem_dump {
	int (*cb)(const struct devmem_bind_info *info, void *arg);
	void *arg;
};

static int devmem_bind_dump_reply(const struct nlmsghdr *nlh, void *arg)
{
	const struct devmem_dump *dump = arg;
	struct devmem_bind_info info;

	devmem_bind_parse(nlh, &info);
	return dump->cb(&info, dump->arg);
}

int devmem_bind_dump(struct devmem_nl *nl, uint32_t ifindex,
		     int (*cb)(const struct devmem_bind_info *info, void *arg),
		     void *arg, unsigned int flags)
{
	struct devmem_dump dump = { .cb = cb, .arg = arg };
	struct nlmsghdr *nlh;
	char req[64];

	if (flags)
		return devmem_fail(EINVAL, "flags 0x%x: none is defined", flags);

	nlh = devmem_nl_request(nl, req, NETDEV_DEVMEM_CMD_BIND_GET,
				NLM_F_DUMP);
	if (ifindex)
		mnl_attr_put_u32(nlh, NETDEV_DEVMEM_A_BINDING_IFINDEX, ifindex);
	return devmem_nl_talk(nl, "bind-get", nlh, devmem_bind_dump_reply,
			      &dump);
}
