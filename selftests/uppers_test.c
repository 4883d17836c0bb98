// SPDX-License-Identifier: GPL-2.0
/*
 * Which connections can be attached: all that come in through the NIC, whatever stands
 * above it, and as early as accept() gives them away. For others the kernel says which
 * device is in the way.
 */
#include <errno.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"
#include "common_ctl.h"
#include "common_nic.h"

#define SEED	1515
#define PORT	5202
#define BUFFER	(4U << 20)
#define STREAM	(4U << 20)

static struct bound b;
static struct conn c;
static struct rx rx;

static void stream(uint64_t bytes)
{
	pid_t pid = test_fork();

	if (!pid) {
		send_pattern(c.tx, bytes, rx.pos, SEED, 50000);
		_exit(0);
	}
	rx_all(&rx, bytes);
	test_join(pid);
}

static uint64_t fallback_route(void)
{
	struct devmem_bind_info info;

	bound_info(&b, &info);
	return info.stats.fallback_route;
}

static void all_placed(void)
{
	rx_init(&rx, c.rx, &b, SEED);
	stream(STREAM);
	check_eq(fallback_route(), 0);
	rx_check_placed(&rx, STREAM);
	rx_free(&rx);
	disconnect_pair(&c);
}

static void add(const char *what)
{
	if (cmd("ip link add %s", what))
		skip("no %s", what);
}

/* ---- VRF ----------------------------------------------------------------- */

static void no_vrf(void *unused)
{
	(void)unused;
	env_enter(RECEIVER);
	cmd("ip link del vrf9");
	cmd("ip addr replace %s/64 dev nsd0 nodad", ADDR6(RECEIVER));
}

static void enslave(void)
{
	add("vrf9 type vrf table 99");
	defer(no_vrf, NULL);
	must_cmd("ip link set vrf9 up");
	must_cmd("ip link set nsd0 master vrf9");
	/* IPv6 addresses do not survive that */
	must_cmd("ip addr replace %s/64 dev nsd0 nodad", ADDR6(RECEIVER));
}

static void connect_in_vrf(int family)
{
	int l = must(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)), one = 1;
	struct sockaddr_storage ss;
	socklen_t len = side_addr(&ss, RECEIVER, family, PORT);

	must(setsockopt(l, SOL_SOCKET, SO_BINDTODEVICE, "vrf9", 5));
	must(setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	check(within(2000, !bind(l, (void *)&ss, len)));
	must(listen(l, 1));
	env_enter(SENDER);
	c.tx = must(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
	check(within(3000, !connect(c.tx, (void *)&ss, len)));
	env_enter(RECEIVER);
	c.rx = must(accept4(l, NULL, NULL, SOCK_CLOEXEC));
	close(l);
}

static void in_vrf(int family)
{
	enslave();
	bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, 65536);
	connect_in_vrf(family);
	attach(c.rx, &b);
	all_placed();
}

static void vrf_ipv4(void)
{
	in_vrf(AF_INET);
}

static void vrf_ipv6(void)
{
	in_vrf(AF_INET6);
}

/* ---- devices with addresses of their own ---------------------------------- */

static void no_upper(void *unused)
{
	(void)unused;
	env_enter(RECEIVER);
	cmd("ip link del up9");
}

static void beside(const char *what)
{
	static const int families[] = { AF_INET, AF_INET6 };
	unsigned int i;

	bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, 65536);
	add(what);
	defer(no_upper, NULL);
	must_cmd("ip link set up9 up");
	for (i = 0; i < ARRAY_SIZE(families); i++) {
		connect_pair(&c, families[i]);
		attach(c.rx, &b);
		all_placed();
	}
}

static void macvlan_beside(void)
{
	beside("up9 link nsd0 type macvlan mode bridge");
}

static void macvtap_beside(void)
{
	beside("up9 link nsd0 type macvtap mode vepa");
}

static void ipvlan_beside(void)
{
	beside("up9 link nsd0 type ipvlan mode l2");
}

/* This one makes copies of what the NIC's sockets get: nothing is placed meanwhile. */
static void copies(void)
{
	uint64_t placed;

	bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, 65536);
	connect_pair(&c, AF_INET);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
	stream(1 << 20);
	rx_check_placed(&rx, 1 << 20);
	placed = rx.placed;

	add("up9 link nsd0 type macvlan mode source");
	defer(no_upper, NULL);
	stream(1 << 20);
	check_eq(rx.placed, placed);
	check_cmp(fallback_route(), >, 0);

	must_cmd("ip link del up9");
	stream(1 << 20);
	check_cmp(rx.placed, >, placed);
}

/* ---- in the way ----------------------------------------------------------- */

static void no_bridge(void *unused)
{
	(void)unused;
	env_enter(RECEIVER);
	cmd("ip link del br9");
	cmd("ip addr replace %s/24 dev nsd0", ADDR4(RECEIVER));
}

static void bridge_is_named(void)
{
	struct devmem_info info;

	bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, 65536);
	add("br9 type bridge");
	defer(no_bridge, NULL);
	must_cmd("ip link set br9 up");
	must_cmd("ip link set nsd0 master br9");
	must_cmd("ip addr flush dev nsd0 scope global");
	must_cmd("ip addr add %s/24 dev br9", ADDR4(RECEIVER));
	connect_pair(&c, AF_INET);
	check_eq(devmem_attach(c.rx, b.res.id, devmem_buf_fd(b.buf), 0), -ENETUNREACH);
	check_eq(devmem_sock_info(c.rx, &info, 0), 0);
	check_eq(info.binding_id, 0);
	check_eq(info.rx_ifindex, if_nametoindex("br9"));
	disconnect_pair(&c);
}

static void up(void *unused)
{
	(void)unused;
	env_enter(RECEIVER);
	cmd("ip link set nsd0 up");
	cmd("ip addr replace %s/64 dev nsd0 nodad", ADDR6(RECEIVER));
}

/* A connection that has received something is known to come in through the NIC,
 * also while that is down for a moment; of one that has not nobody knows.
 */
static void link_down(void)
{
	bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, 65536);
	connect_pair(&c, AF_INET);
	rx_init(&rx, c.rx, &b, SEED);
	rx.plain = true;
	stream(1000);
	defer(up, NULL);
	must_cmd("ip link set nsd0 down");
	attach(c.rx, &b);
	must_cmd("ip link set nsd0 up");
	must_cmd("ip addr replace %s/64 dev nsd0 nodad", ADDR6(RECEIVER));
	env_ready();
	env_patient();
	rx.plain = false;
	stream(STREAM);
	check_cmp(rx.placed, >, STREAM / 2);
	disconnect_pair(&c);
}

/* ---- TCP Fast Open -------------------------------------------------------- */

static void near(void *unused)
{
	(void)unused;
	impair_none(SENDER);
}

/* Connect with @bytes in the SYN, if there is a cookie; one for the next time else. */
static void fast_open(int l, struct sockaddr_storage *ss, socklen_t len,
		      size_t bytes, int flags)
{
	unsigned char data[1000];

	devmem_pattern_fill(data, bytes, 0, SEED);
	env_enter(SENDER);
	c.tx = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	env_enter(RECEIVER);
	check_eq(sendto(c.tx, data, bytes, MSG_FASTOPEN | flags, (void *)ss, len),
		 (ssize_t)bytes);
	c.rx = must(accept4(l, NULL, NULL, SOCK_CLOEXEC));
}

/* The handshake takes longer than the program does to attach. */
static void fast_open_accepted(void)
{
	int l = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	int backlog = 16, one = 1;
	struct sockaddr_storage ss;
	struct tcp_info ti = {};
	socklen_t len = side_addr(&ss, RECEIVER, AF_INET, PORT), n = sizeof(ti);

	env_sysctl(RECEIVER, "ipv4/tcp_fastopen", "3");
	env_sysctl(SENDER, "ipv4/tcp_fastopen", "3");
	bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, 65536);
	must(setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	must(bind(l, (void *)&ss, len));
	must(setsockopt(l, IPPROTO_TCP, TCP_FASTOPEN, &backlog, sizeof(backlog)));
	must(listen(l, 8));
	fast_open(l, &ss, len, 100, 0);
	disconnect_pair(&c);

	defer(near, NULL);
	impair(SENDER, "delay_us", 300000);
	fast_open(l, &ss, len, 1000, MSG_DONTWAIT);
	must(getsockopt(c.rx, IPPROTO_TCP, TCP_INFO, &ti, &n));
	diag("state %u", ti.tcpi_state);
	attach(c.rx, &b);
	impair_none(SENDER);

	rx_init(&rx, c.rx, &b, SEED);
	rx_all(&rx, 1000);
	check_eq(rx.host, 1000);
	stream(300000);
	check_cmp(rx.placed, >, 150000);
	close(l);
}

static void setup(void)
{
	env_setup(4);
	env_patient();
}

static const struct ktap_case cases[] = {
	KTAP_CASE(vrf_ipv4),
	KTAP_CASE(vrf_ipv6),
	KTAP_CASE(macvlan_beside),
	KTAP_CASE(macvtap_beside),
	KTAP_CASE(ipvlan_beside),
	KTAP_CASE(copies),
	KTAP_CASE(bridge_is_named),
	KTAP_CASE(link_down),
	KTAP_CASE(fast_open_accepted),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
