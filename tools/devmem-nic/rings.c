// SPDX-License-Identifier: GPL-2.0
/*
 * Owns header split of a device (ethtool -g): on, and of every packet. Must not know who
 * needs it.
 */
#include <errno.h>
#include <linux/ethtool_netlink.h>
#include <linux/genetlink.h>

#include "devmem-nic.h"

/* <linux/ethtool_netlink_generated.h> of Linux 6.14 */
#define DN_A_RINGS_HDS_THRESH	17

struct dn_rings_now {
	bool has_split;
	bool has_thresh;
	uint8_t split;
	uint32_t thresh;
};

static struct nlmsghdr *dn_rings_request(const struct dn_nic *nic, void *buf, uint8_t cmd)
{
	struct nlmsghdr *nlh = devmem_nl_request(nic->ethtool, buf, cmd, NLM_F_ACK);
	struct nlattr *nest = mnl_attr_nest_start(nlh, ETHTOOL_A_RINGS_HEADER);

	mnl_attr_put_strz(nlh, ETHTOOL_A_HEADER_DEV_NAME, nic->dev);
	mnl_attr_nest_end(nlh, nest);
	return nlh;
}

static int dn_rings_reply(const struct nlmsghdr *nlh, void *arg)
{
	struct dn_rings_now *now = arg;
	const struct nlattr *attr;

	mnl_attr_for_each(attr, nlh, sizeof(struct genlmsghdr)) {
		switch (mnl_attr_get_type(attr)) {
		case ETHTOOL_A_RINGS_TCP_DATA_SPLIT:
			now->has_split = true;
			now->split = mnl_attr_get_u8(attr);
			break;
		case DN_A_RINGS_HDS_THRESH:
			now->has_thresh = true;
			now->thresh = mnl_attr_get_u32(attr);
			break;
		default:
			break;
		}
	}
	return 0;
}

static int dn_rings_get(const struct dn_nic *nic, struct dn_rings_now *now)
{
	char buf[256];

	*now = (struct dn_rings_now) { .has_split = false };
	return devmem_nl_talk(nic->ethtool, nic->dev,
			      dn_rings_request(nic, buf, ETHTOOL_MSG_RINGS_GET),
			      dn_rings_reply, now);
}

static int dn_split_put(const struct dn_nic *nic, uint8_t split)
{
	char buf[256];
	struct nlmsghdr *nlh = dn_rings_request(nic, buf, ETHTOOL_MSG_RINGS_SET);

	mnl_attr_put_u8(nlh, ETHTOOL_A_RINGS_TCP_DATA_SPLIT, split);
	return devmem_nl_talk(nic->ethtool, "tcp-data-split", nlh, NULL, NULL);
}

static int dn_thresh_put(const struct dn_nic *nic, uint32_t thresh)
{
	char buf[256];
	struct nlmsghdr *nlh = dn_rings_request(nic, buf, ETHTOOL_MSG_RINGS_SET);

	mnl_attr_put_u32(nlh, DN_A_RINGS_HDS_THRESH, thresh);
	return devmem_nl_talk(nic->ethtool, "hds-thresh", nlh, NULL, NULL);
}

/* A driver that can do it says whether it does. */
int dn_rings_check(struct dn_nic *nic)
{
	struct dn_rings_now now;
	int ret = dn_rings_get(nic, &now);

	if (ret)
		return ret;
	if (!now.has_split)
		return devmem_fail(EOPNOTSUPP, "%s: its driver cannot split headers off (tcp-data-split)",
				   nic->dev);
	return 0;
}

/* Newer kernels want to be told that it is on, even where it is (the driver's choice is
 * not enough), and change nothing if they have been.
 */
static int dn_rings_set(struct dn_nic *nic, const struct dn_rings_now *now)
{
	struct dn_state *st = nic->state;
	int ret;

	if (now->split != ETHTOOL_TCP_DATA_SPLIT_ENABLED) {
		st->split = now->split;
		st->split_set = true;
	}
	ret = dn_split_put(nic, ETHTOOL_TCP_DATA_SPLIT_ENABLED);
	if (ret || !now->thresh)
		return ret;
	st->thresh = now->thresh;
	st->thresh_set = true;
	return dn_thresh_put(nic, 0);
}

int dn_rings_settle(struct dn_nic *nic)
{
	struct dn_state *st = nic->state;
	struct dn_rings_now now;
	int ret;

	if (!dn_state_busy(nic) && !st->split_set && !st->thresh_set)
		return 0;
	ret = dn_rings_get(nic, &now);
	if (ret)
		return ret;
	if (dn_state_busy(nic))
		return dn_rings_set(nic, &now);

	if (st->thresh_set && now.has_thresh && !now.thresh)
		ret = dn_thresh_put(nic, st->thresh);
	if (!ret)
		st->thresh_set = false;
	if (!ret && st->split_set && now.split == ETHTOOL_TCP_DATA_SPLIT_ENABLED)
		ret = dn_split_put(nic, st->split);
	if (!ret)
		st->split_set = false;
	return ret;
}
