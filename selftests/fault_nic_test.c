// SPDX-License-Identifier: GPL-2.0
/*
 * No memory, at each place where the software NIC and GPU or the kernel on their
 * behalf want some: a link that comes, goes up and down, has its settings changed,
 * and goes; a buffer. Must not know net/devmem: fault_test.c.
 */
#include <fcntl.h>
#include <linux/ethtool_netlink.h>
#include <net/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <sys/ioctl.h>

#include "common.h"
#include "common_ctl.h"
#include "common_fault.h"
#include "common_nic.h"
#include "common_provider.h"
#include "common_xdp.h"

#define SIZE	(1U << 20)

static struct ctl_nl nl, route;
static struct ctl_answer answer;

static void setup(void)
{
	fault_setup();
	env_setup(4);
}

static int answered(int ret)
{
	return ret ? FAULT_LOST : -answer.err;
}

/* ---- links -------------------------------------------------------------- */

#define LINK_NAME	"nsdf"

static unsigned int peer;

static void route_open(void)
{
	if (route.sock)
		mnl_socket_close(route.sock);
	route.sock = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	check(route.sock);
	must(mnl_socket_bind(route.sock, 0, MNL_SOCKET_AUTOPID));
}

static struct nlmsghdr *link_request(uint16_t type, uint16_t flags)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(route.req);
	struct ifinfomsg *ifi;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	nlh->nlmsg_seq = ++route.seq;
	ifi = mnl_nlmsg_put_extra_header(nlh, sizeof(*ifi));
	ifi->ifi_family = AF_UNSPEC;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, LINK_NAME);
	return nlh;
}

static int run_create(void)
{
	struct nlmsghdr *nlh = link_request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL);
	struct nlattr *info;

	mnl_attr_put_u32(nlh, IFLA_NUM_RX_QUEUES, 2);
	mnl_attr_put_u32(nlh, IFLA_NUM_TX_QUEUES, 2);
	if (peer)
		mnl_attr_put_u32(nlh, IFLA_LINK, peer);
	info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "netdevsim-devmem");
	mnl_attr_nest_end(nlh, info);
	return answered(ctl_talk(&route, nlh, &answer));
}

static int run_delete(void)
{
	return answered(ctl_talk(&route, link_request(RTM_DELLINK, 0), &answer));
}

static void link_gone(bool done)
{
	if (done)
		check(if_nametoindex(LINK_NAME));
	if (if_nametoindex(LINK_NAME))
		check_eq(run_delete(), 0);
}

static void link_there(void)
{
	route_open();
	check_eq(run_create(), 0);
}

static void not_there(bool done)
{
	if (done)
		check(!if_nametoindex(LINK_NAME));
	else if (if_nametoindex(LINK_NAME))
		check_eq(run_delete(), 0);
}

static void links(void)
{
	static const struct fault_op create_op = {
		.name = "link add", .floor = 100, .before = route_open,
		.run = run_create, .after = link_gone,
		/* of a device that the driver core could not name */
		.also = -EINVAL,
	};
	static const struct fault_op delete_op = {
		.name = "link delete", .before = link_there,
		.run = run_delete, .after = not_there,
	};

	static const struct fault_op pair_op = {
		.name = "link add, the other end of one", .floor = 60,
		.before = route_open, .run = run_create, .after = link_gone,
		/* of a device that the driver core could not name */
		.also = -EINVAL,
	};

	fault_sweep_memory(&create_op);
	fault_sweep_memory(&delete_op);
	must_cmd("ip link add nsdg numrxqueues 2 type netdevsim-devmem");
	peer = if_nametoindex("nsdg");
	fault_sweep_memory(&pair_op);
	must_cmd("ip link delete nsdg");
}

static int link_flags(bool up)
{
	static int fd = -1;
	struct ifreq ifr = { .ifr_name = LINK_NAME };

	if (fd < 0)
		fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	ifr.ifr_flags = up ? IFF_UP : 0;
	return ioctl(fd, SIOCSIFFLAGS, &ifr) ? -errno : 0;
}

static int run_up(void)
{
	return link_flags(true);
}

static int run_down(void)
{
	return link_flags(false);
}

static void make_up(void)
{
	check_eq(run_up(), 0);
}

static void make_down(bool done)
{
	check(done);
	check_eq(run_down(), 0);
}

static void link_updown(void)
{
	static const struct fault_op up_op = {
		.name = "link up", .floor = 2, .run = run_up,
		.after = make_down,
	};
	static const struct fault_op down_op = {
		.name = "link down", .before = make_up, .run = run_down,
	};

	link_there();
	run_down();
	fault_sweep_memory(&up_op);
	fault_sweep_memory(&down_op);
	check_eq(run_delete(), 0);
}

/* ---- settings of nsd0, which is up -------------------------------------- */

/* Nothing is broken: a connection carries its bytes. */
static void carries_bytes(void)
{
	struct conn c;
	char byte = 1;
	int i;

	connect_pair(&c, AF_INET);
	for (i = 0; i < 20; i++) {
		check_eq(send(c.tx, &byte, 1, 0), 1);
		check_eq(recv(c.rx, &byte, 1, 0), 1);
	}
	disconnect_pair(&c);
}

static int run_fewer(void)
{
	return channels_set(1);
}

static int run_more(void)
{
	return channels_set(4);
}

static void all_channels(void)
{
	check_eq(channels_set(4), 0);
}

static void one_channel(void)
{
	check_eq(channels_set(1), 0);
}

static void channels_work(bool done)
{
	check(done);
	carries_bytes();
}

static void channels(void)
{
	static const struct fault_op fewer_op = {
		.name = "fewer channels", .floor = 1, .before = all_channels,
		.run = run_fewer, .after = channels_work,
	};
	static const struct fault_op more_op = {
		.name = "more channels", .floor = 8, .before = one_channel,
		.run = run_more, .after = channels_work,
	};

	all_channels();
	fault_sweep_memory(&fewer_op);
	fault_sweep_memory(&more_op);
	all_channels();
}

/* ---- header split, XDP: the memory of queues ---------------------------- */

/* The kernel's own bind-rx is not tried: when it has no memory it prints a stack,
 * and calls it EINVAL. Its queues get their memory as these here.
 */

static uint8_t wanted_split;

static int run_split(void)
{
	struct nlmsghdr *nlh = ctl_request(&nl, ETHTOOL_MSG_RINGS_SET);
	struct nlattr *nest;

	nest = mnl_attr_nest_start(nlh, ETHTOOL_A_RINGS_HEADER | NLA_F_NESTED);
	mnl_attr_put_strz(nlh, ETHTOOL_A_HEADER_DEV_NAME, DEV_NAME(RECEIVER));
	mnl_attr_nest_end(nlh, nest);
	mnl_attr_put_u8(nlh, ETHTOOL_A_RINGS_TCP_DATA_SPLIT, wanted_split);
	return answered(ctl_talk(&nl, nlh, &answer));
}

static void split_was(uint8_t split)
{
	ethtool_family_open(&nl);
	wanted_split = split;
	check_eq(run_split(), 0);
	wanted_split = split == TCP_DATA_SPLIT_ON ? TCP_DATA_SPLIT_OFF :
						    TCP_DATA_SPLIT_ON;
}

static void split_was_on(void)
{
	split_was(TCP_DATA_SPLIT_ON);
}

static void split_was_off(void)
{
	split_was(TCP_DATA_SPLIT_OFF);
}

static void split_is(bool done)
{
	ctl_nl_close(&nl);
	if (done)
		check_eq(split_get(), wanted_split);
	carries_bytes();
}

static void header_split(void)
{
	static const struct fault_op off_op = {
		.name = "tcp-data-split off", .floor = 4,
		.before = split_was_on, .run = run_split, .after = split_is,
	};
	static const struct fault_op on_op = {
		.name = "tcp-data-split on", .floor = 4,
		.before = split_was_off, .run = run_split, .after = split_is,
	};

	fault_sweep_memory(&off_op);
	fault_sweep_memory(&on_op);
	split_was_on();
	ctl_nl_close(&nl);
}

static int prog = -1;

static int set_program(int fd)
{
	struct nlmsghdr *nlh = link_request(RTM_SETLINK, 0);
	struct nlattr *nest = mnl_attr_nest_start(nlh, IFLA_XDP);

	mnl_attr_put_u32(nlh, IFLA_XDP_FD, (uint32_t)fd);
	mnl_attr_nest_end(nlh, nest);
	return answered(ctl_talk(&route, nlh, &answer));
}

static int run_program(void)
{
	return set_program(prog);
}

static int run_no_program(void)
{
	return set_program(-1);
}

static void have_program(void)
{
	check_eq(set_program(prog), 0);
}

static void no_program(bool done)
{
	(void)done;
	check_eq(set_program(-1), 0);
}

static void xdp(void)
{
	static const struct fault_op set_op = {
		.name = "XDP program", .run = run_program,
		.after = no_program,
	};
	static const struct fault_op remove_op = {
		.name = "no XDP program", .before = have_program,
		.run = run_no_program, .after = no_program,
	};

	link_there();
	check_eq(run_up(), 0);
	prog = xdp_all(0, XDP_PASS);
	fault_sweep_memory(&set_op);
	fault_sweep_memory(&remove_op);
	check_eq(run_delete(), 0);
}

/* ---- RSS contexts and rules --------------------------------------------- */

static uint32_t context, indir[RSS_INDIR];
static uint8_t key[RSS_KEY] = { 1, 2, 3 };
static struct ethtool_rx_flow_spec rule;

static int run_context(void)
{
	context = ETH_RXFH_CONTEXT_ALLOC;
	return rss_set(&context, key, indir);
}

static void delete_context(bool done)
{
	check(done);
	check_eq(rss_delete(context), 0);
}

static void new_context(void)
{
	check_eq(run_context(), 0);
}

static int run_change_context(void)
{
	return rss_set(&context, NULL, indir);
}

static int run_default_table(void)
{
	uint32_t first = 0;

	return rss_set(&first, key, indir);
}

static int run_rule(void)
{
	return rule_add(&rule, 0);
}

static void new_rule(void)
{
	memset(&rule, 0, sizeof(rule));
	rule.flow_type = TCP_V4_FLOW;
	rule.h_u.tcp_ip4_spec.pdst = htons(4711);
	rule.m_u.tcp_ip4_spec.pdst = htons(0xffff);
	rule.ring_cookie = 2;
	rule.location = RX_CLS_LOC_ANY;
}

static void delete_rule(bool done)
{
	check(done);
	check_eq(rule_delete(rule.location), 0);
}

static void steering(void)
{
	static const struct fault_op context_op = {
		.name = "RSS context", .floor = 2, .run = run_context,
		.after = delete_context,
	};
	static const struct fault_op change_op = {
		.name = "RSS context, other table", .floor = 1,
		.before = new_context, .run = run_change_context,
		.after = delete_context,
	};
	static const struct fault_op table_op = {
		.name = "RSS table", .floor = 1, .run = run_default_table,
	};
	static const struct fault_op rule_op = {
		.name = "rule", .floor = 1, .before = new_rule,
		.run = run_rule, .after = delete_rule,
	};
	unsigned int i;

	for (i = 0; i < RSS_INDIR; i++)
		indir[i] = i % 3;
	all_channels();
	fault_sweep_memory(&context_op);
	fault_sweep(&context_op, FAULT_ALL);
	fault_sweep_memory(&change_op);
	fault_sweep_memory(&table_op);
	fault_sweep_memory(&rule_op);
	fault_sweep(&rule_op, FAULT_ALL);
	carries_bytes();
}

/* ---- buffers ------------------------------------------------------------ */

static int gpu = -1;
static struct nsdm_gpu_alloc alloc;

static int run_alloc(void)
{
	alloc = (struct nsdm_gpu_alloc) { .size = SIZE, .order = 4, .fd = -1 };
	return ioctl(gpu, NSDM_GPU_ALLOC, &alloc) ? -errno : 0;
}

static void free_buffer(bool done)
{
	check(done);
	close(alloc.fd);
}

static void gpu_buffer(void)
{
	static const struct fault_op op = {
		.name = "GPU buffer", .floor = 4, .run = run_alloc,
		.after = free_buffer,
	};

	gpu = must(open("/dev/nsdm-gpu", O_RDWR | O_CLOEXEC));
	fault_sweep_memory(&op);
	fault_sweep(&op, FAULT_ALL);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(links, .timeout = 60),
	KTAP_CASE(link_updown, .timeout = 60),
	KTAP_CASE(channels, .timeout = 60),
	KTAP_CASE(header_split, .timeout = 60),
	KTAP_CASE(xdp, .timeout = 60),
	KTAP_CASE(steering, .timeout = 60),
	KTAP_CASE(gpu_buffer, .timeout = 60),
};

int main(int argc, char **argv)
{
	if (!fault_possible())
		return 4;
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
