// SPDX-License-Identifier: GPL-2.0
/*
 * When there can be an XDP program on nsd0, and what there cannot be while it is
 * there: who comes second is refused and told why. Owns the refusals; what a
 * program does is xdp_test's.
 */
#include <linux/genetlink.h>
#include <string.h>

#include "common_provider.h"
#include "common_xdp.h"

#define QUEUES	4
#define MIB	(1UL << 20)
#define MTU_MAX	3494	/* one page less headroom, skb_shared_info, headers */

static void features(void)
{
	static struct ctl_nl nl;
	static char buf[4096];
	const struct nlattr *attr;
	struct nlmsghdr *nlh;
	uint64_t xdp = 0;

	netdev_family_open(&nl);
	nlh = ctl_request(&nl, 1);		/* NETDEV_CMD_DEV_GET */
	mnl_attr_put_u32(nlh, 1, env_ifindex());
	check_cmp(mnl_socket_sendto(nl.sock, nlh, nlh->nlmsg_len), >, 0);
	check_cmp(mnl_socket_recvfrom(nl.sock, buf, sizeof(buf)), >, 0);
	mnl_attr_for_each(attr, (struct nlmsghdr *)buf, sizeof(struct genlmsghdr))
		if (mnl_attr_get_type(attr) == 3)	/* XDP_FEATURES */
			xdp = mnl_attr_get_u64(attr);
	check_eq(xdp, 1 | 2 | 4 | 32 | 64);	/* no zero-copy, no offload */
	ctl_nl_close(&nl);
}

static void refused_for_mtu(void)
{
	struct ctl_answer answer;
	int one = xdp_ours(0, XDP_PASS), many = xdp_ours(XDP_FRAGS, XDP_PASS);

	defer(xdp_restore, NULL);
	must_cmd("ip link set nsd0 mtu %d", MTU_MAX + 1);
	xdp_set(one, 0, &answer);
	xdp_refused(&answer, EOPNOTSUPP,
		    "MTU 3495: an XDP program without fragments takes 3494 at most");
	xdp_must_set(many, 0);
	xdp_set(one, 0, &answer);
	check_eq(answer.err, EOPNOTSUPP);
	must_cmd("ip link set nsd0 mtu %d", MTU_MAX);
	must_cmd("ip -n devmem-b link set nsd1 mtu %d", JUMBO);
	xdp_must_set(one, 0);
	frame_comes(RECEIVER, MTU_MAX + FRAME_HDR);
	check_cmp(cmd("ip link set nsd0 mtu %d", MTU_MAX + 1), !=, 0);
	frame_comes(RECEIVER, MTU_MAX + FRAME_HDR);
	xdp_must_set(many, 0);
	must_cmd("ip link set nsd0 mtu 65535");
	xdp_must_set(-1, 0);
	must_cmd("ip link set nsd0 mtu 1500");
	xdp_must_set(one, 0);
	xdp_must_set(-1, 0);
	must_cmd("ip link set nsd0 mtu 65535");
}

static void header_split(void)
{
	struct ctl_answer answer;
	int prog = xdp_ours(0, XDP_PASS);

	defer(xdp_restore, NULL);
	/* what is left to the driver gives way, and comes back */
	check_eq(split_get(), TCP_DATA_SPLIT_ON);
	xdp_must_set(prog, 0);
	check_eq(split_get(), TCP_DATA_SPLIT_OFF);
	must_cmd("ethtool -G nsd0 rx 512");
	frame_comes(RECEIVER, 100);
	split_set(TCP_DATA_SPLIT_ON, &answer);
	xdp_refused(&answer, EINVAL, "XDP");	/* newer kernels say it themselves */
	split_set(TCP_DATA_SPLIT_AUTO, &answer);
	check_eq(answer.err, 0);
	xdp_must_set(-1, 0);
	check_eq(split_get(), TCP_DATA_SPLIT_ON);

	/* what somebody has switched on stays */
	split_set(TCP_DATA_SPLIT_OFF, &answer);
	split_set(TCP_DATA_SPLIT_ON, &answer);
	check_eq(answer.err, 0);
	must_cmd("ethtool -G nsd0 rx 256");
	xdp_set(prog, 0, &answer);
	xdp_refused(&answer, EBUSY, "tcp-data-split");
	frame_comes(RECEIVER, 100);

	/* off is off: nothing comes back */
	split_set(TCP_DATA_SPLIT_OFF, &answer);
	xdp_must_set(prog, 0);
	xdp_must_set(-1, 0);
	check_eq(split_get(), TCP_DATA_SPLIT_OFF);
	xdp_must_set(prog, 0);
	split_set(TCP_DATA_SPLIT_AUTO, &answer);
	check_eq(answer.err, 0);
	check_eq(split_get(), TCP_DATA_SPLIT_OFF);
	xdp_must_set(-1, 0);
	check_eq(split_get(), TCP_DATA_SPLIT_ON);
}

static void bound_queues(void)
{
	static struct ctl_nl nl;
	static const uint32_t queue = 2;
	struct ctl_answer answer;
	struct bound b = { 0 };
	int prog = xdp_ours(0, XDP_PASS);

	defer(xdp_restore, NULL);
	/* the kernel's provider: the kernel itself says no */
	ask_for_split();
	kernel_bind_queues(&nl, &b, MIB, queue, 1);
	xdp_set(prog, 0, &answer);
	check_eq(answer.err, EBUSY);
	check(answer.text[0]);
	kernel_unbind(&nl);
	split_set(TCP_DATA_SPLIT_AUTO, &answer);
	xdp_must_set(prog, 0);
	kernel_bind(&nl, &b, 0, 0, &queue, 1, &answer);
	check_cmp(answer.err, !=, 0);
	check(answer.text[0]);

	/* net/devmem */
	devmem_bind(&nl, &b, queue, &answer);
	xdp_refused(&answer, EBUSY, "queue 2 runs an XDP program");
	xdp_must_set(-1, 0);
	devmem_bind(&nl, &b, queue, &answer);
	check_eq(answer.err, 0);
	xdp_set(prog, 0, &answer);
	xdp_refused(&answer, EBUSY, "queue 2 is bound: no XDP program");
	xdp_set(prog, XDP_FLAGS_DRV_MODE, &answer);
	check_eq(answer.err, EBUSY);
	ctl_nl_close(&nl);
	xdp_must_set(prog, 0);
	frame_comes(RECEIVER, 100);
}

static void setup(void)
{
	env_setup(QUEUES);
	frames_setup();
}

static const struct ktap_case cases[] = {
	KTAP_CASE(features),
	KTAP_CASE(refused_for_mtu),
	KTAP_CASE(header_split),
	KTAP_CASE(bound_queues),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
