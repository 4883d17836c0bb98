// SPDX-License-Identifier: GPL-2.0
/*
 * Where a placed packet might go instead of to its socket: on to another device,
 * because a route has changed or a filter says so, or to a socket of another
 * network namespace with the same addresses and ports. Nobody may see payload
 * that is not there, and the stream goes on.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"
#include "common_nft.h"

#define SEED	0xf03d
#define BUFFER	(4U << 20)
#define STREAM	(16U << 20)
#define SOME	20000U		/* of a short stream */
#define WINDOW	(128 << 10)	/* SO_RCVBUF, half of what TCP makes of it */

static struct bound b;
static struct conn c;
static uint32_t isn;		/* sequence number of byte 0 */

static void write_sysctl(const char *name, const char *value)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	fd = must(open(path, O_WRONLY | O_CLOEXEC));
	must(write(fd, value, strlen(value)));
	close(fd);
}

static void begin(int family)
{
	struct conn_opts opts = { .family = family, .rcvbuf = WINDOW };
	int on = 1, off = -1, queue = 2;
	socklen_t len = sizeof(isn);

	bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, 65536);
	connect_with(&c, &opts);
	must(setsockopt(c.tx, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)));
	must(setsockopt(c.tx, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)));
	must(getsockopt(c.tx, IPPROTO_TCP, TCP_QUEUE_SEQ, &isn, &len));
	must(setsockopt(c.tx, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off)));
	attach(c.rx, &b);
}

static struct devmem_bind_info binding(void)
{
	struct devmem_bind_info info;

	bound_info(&b, &info);
	return info;
}

/* Receive all of the stream; some of it must have been placed. */
static pid_t reader(void)
{
	pid_t pid = test_fork();
	struct rx rx;

	if (pid)
		return pid;
	close(c.tx);
	rx_init(&rx, c.rx, &b, SEED);
	rx_all(&rx, STREAM);
	rx_eof(&rx);
	check_cmp(rx.placed, >, STREAM / 4);
	diag("placed %llu, host %llu", (unsigned long long)rx.placed,
	     (unsigned long long)rx.host);
	_exit(0);
}

static bool runs(pid_t pid)
{
	siginfo_t info = {};

	return !waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) &&
	       !info.si_pid;
}

/* ---- a tap ------------------------------------------------------------- */

static int open_tap(const char *dev)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_ALL) };
	int fd = must(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK,
			     htons(ETH_P_ALL)));

	ll.sll_ifindex = (int)if_nametoindex(dev);
	must(bind(fd, (void *)&ll, sizeof(ll)));
	return fd;
}

/* Payload bytes of the stream in a frame, all of which must be right. */
static size_t check_frame(const unsigned char *frame, size_t len)
{
	const struct ip6_hdr *ip6 = (const void *)(frame + ETH_HLEN);
	const struct iphdr *ip = (const void *)(frame + ETH_HLEN);
	const struct tcphdr *th;
	size_t off, end;
	int64_t bad;

	if (len < ETH_HLEN + 40)
		return 0;
	if (ip->version == 4 && ip->protocol == IPPROTO_TCP &&
	    !(ntohs(ip->frag_off) & 0x1fff)) {
		off = ETH_HLEN + ip->ihl * 4U;
		end = ETH_HLEN + ntohs(ip->tot_len);
	} else if (ip->version == 6 && ip6->ip6_nxt == IPPROTO_TCP) {
		off = ETH_HLEN + sizeof(*ip6);
		end = off + ntohs(ip6->ip6_plen);
	} else {
		return 0;
	}
	th = (const void *)(frame + off);
	off += th->doff * 4U;
	end = end < len ? end : len;
	if (off >= end || ntohl(th->seq) - isn >= STREAM)
		return 0;
	bad = devmem_pattern_check(frame + off, end - off, ntohl(th->seq) - isn, SEED);
	if (bad >= 0)
		fail("a forwarded packet carries a wrong byte %lld", (long long)bad);
	return end - off;
}

/* Look at what comes for @ms. Returns payload bytes seen. */
static size_t watch(int tap, int ms)
{
	static unsigned char frame[70000];
	long long until = now_ms() + ms;
	struct pollfd pfd = { .fd = tap, .events = POLLIN };
	size_t seen = 0;
	long long left;
	ssize_t n;

	while ((left = until - now_ms()) > 0) {
		if (poll(&pfd, 1, (int)left + 1) != 1)
			continue;
		n = recv(tap, frame, sizeof(frame), 0);
		if (n > 0)
			seen += check_frame(frame, (size_t)n);
	}
	return seen;
}

/* ---- routes ------------------------------------------------------------ */

static void end_dummy(void *unused)
{
	(void)unused;
	cmd("ip -n devmem-a link delete dum0");
}

static void make_dummy(void)
{
	defer(end_dummy, NULL);
	must_cmd("ip link add dum0 type dummy");
	must_cmd("ip link set dum0 up");
	must_cmd("ip neigh add 10.9.0.1 lladdr 02:00:00:00:00:01 dev dum0 nud permanent");
	must_cmd("ip neigh add fd09::1 lladdr 02:00:00:00:00:01 dev dum0 nud permanent");
}

/* Our address is somebody else's for a while, again and again. */
static void reroute(int family, const char *early_demux, int mtu)
{
	const char *ip = family == AF_INET ? "ip" : "ip -6";
	const char *host = family == AF_INET ? "10.9.0.1/32" : "fd09::1/128";
	size_t forwarded = 0;
	pid_t sender, rd;
	int tap, round;

	write_sysctl("ipv4/ip_forward", "1");
	write_sysctl("ipv6/conf/all/forwarding", "1");
	write_sysctl("ipv4/tcp_early_demux", early_demux);
	make_dummy();
	must_cmd("ip link set dum0 mtu %d", mtu);
	begin(family);
	tap = open_tap("dum0");
	rd = reader();
	sender = send_start(&c, STREAM, SEED, 50000, SEND_SHUTDOWN);
	close(c.rx);
	for (round = 0; round < 4 && runs(rd); round++) {
		usleep(20000);
		must_cmd("%s route add %s dev dum0 metric 1", ip, host);
		must_cmd("%s route del local %s dev nsd0 table local", ip, host);
		forwarded += watch(tap, 60);
		must_cmd("%s route add local %s dev nsd0 table local", ip, host);
		must_cmd("%s route del %s dev dum0 metric 1", ip, host);
		forwarded += watch(tap, 1);
	}
	test_join(rd);
	test_join(sender);
	forwarded += watch(tap, 1);
	diag("%zu bytes of payload forwarded, from host memory", forwarded);
	close(tap);
	write_sysctl("ipv4/tcp_early_demux", "1");
}

/* What comes first is placed. */
static void begin_placed(struct rx *rx, int family)
{
	begin(family);
	rx_init(rx, c.rx, &b, SEED);
	send_pattern(c.tx, SOME, 0, SEED, 1000);
	rx_all(rx, SOME);
	check_cmp(rx->placed, >, 0);
}

/* The stream is quiet when the route changes: not one packet is placed after that. */
static void rerouted_while_quiet(int family)
{
	const char *ip = family == AF_INET ? "ip" : "ip -6";
	const char *host = family == AF_INET ? "10.9.0.1/32" : "fd09::1/128";
	struct devmem_bind_info before;
	struct rx rx;

	make_dummy();
	begin_placed(&rx, family);
	must_cmd("%s route add %s dev dum0 metric 1", ip, host);
	must_cmd("%s route del local %s dev nsd0 table local", ip, host);
	before = binding();
	send_pattern(c.tx, SOME, SOME, SEED, 1000);
	check(within(5000, binding().stats.fallback_route > before.stats.fallback_route));
	check_eq(binding().stats.placed_bytes, before.stats.placed_bytes);
	must_cmd("%s route add local %s dev nsd0 table local", ip, host);
	must_cmd("%s route del %s dev dum0 metric 1", ip, host);
	rx_all(&rx, SOME);
	check_eq(binding().stats.forward_drops, 0);
}

static void rerouted_while_quiet_ipv4(void)
{
	rerouted_while_quiet(AF_INET);
}

static void rerouted_while_quiet_ipv6(void)
{
	rerouted_while_quiet(AF_INET6);
}

static void rerouted_ipv4(void)
{
	reroute(AF_INET, "1", 1500);
}

static void rerouted_ipv4_without_early_demux(void)
{
	reroute(AF_INET, "0", 1500);
}

static void rerouted_ipv6_without_early_demux(void)
{
	reroute(AF_INET6, "0", 1500);
}

/* Where they would be cut into fragments, for the sender does not forbid it. */
static void rerouted_to_a_narrow_link(void)
{
	env_enter(SENDER);
	write_sysctl("ipv4/ip_no_pmtu_disc", "1");
	env_enter(RECEIVER);
	reroute(AF_INET, "0", 600);
	env_enter(SENDER);
	write_sysctl("ipv4/ip_no_pmtu_disc", "0");
}

/* Any change of routes makes the socket look its route up again, and what is under
 * way by then, a window at most, may go to host memory. Here are two changes, and
 * then at least twice as much is placed.
 */
static void routes_flushed(void)
{
	pid_t sender, rd;
	uint64_t placed;
	int i;

	begin(AF_INET);
	rd = reader();
	sender = send_start(&c, STREAM, SEED, 50000, SEND_SHUTDOWN);
	close(c.rx);
	for (i = 0; runs(rd); i++) {
		must_cmd("ip route %s 10.77.0.0/24 via 10.9.0.2", i & 1 ? "del" : "add");
		cmd("ip route flush cache");
		placed = binding().stats.placed_bytes;
		check(within(10000, !runs(rd) || binding().stats.placed_bytes > placed + STREAM / 32));
	}
	test_join(rd);
	test_join(sender);
}

/* ---- devices on top ------------------------------------------------------ */

static void end_upper(void *unused)
{
	(void)unused;
	cmd("ip -n devmem-a link delete up0");
}

/* A macvlan in this mode takes every packet, whatever its address: nothing is placed
 * while there is one, and everything else is as before. uppers_test has those that let
 * the NIC's own packets through.
 */
static void beside_an_upper_device(void)
{
	struct devmem_bind_info before;
	struct rx rx;

	begin_placed(&rx, AF_INET);
	defer(end_upper, NULL);
	if (cmd("ip link add link nsd0 name up0 type macvlan mode source"))
		skip("this kernel has no macvlan");
	before = binding();
	send_pattern(c.tx, SOME, SOME, SEED, 1000);
	rx_all(&rx, SOME);
	check_eq(binding().stats.placed_bytes, before.stats.placed_bytes);
	check_cmp(binding().stats.fallback_route, >, before.stats.fallback_route);
	must_cmd("ip link delete up0");
	before = binding();
	send_pattern(c.tx, SOME, 2 * SOME, SEED, 1000);
	rx_all(&rx, SOME);
	check_cmp(binding().stats.placed_bytes, >, before.stats.placed_bytes);
}

/* ---- filters ----------------------------------------------------------- */

/* Packets that were to leave through dum0, dropped ones included. */
static unsigned long sent_to_dummy(void)
{
	unsigned long packets, errors, dropped, n = 0;
	FILE *f = fopen("/proc/net/dev", "re");
	char line[512];

	if (!f)
		fail("/proc/net/dev: %s", strerror(errno));
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, " dum0: %*u %*u %*u %*u %*u %*u %*u %*u %*u %lu %lu %lu",
			   &packets, &errors, &dropped) == 3)
			n = packets + errors + dropped;
	fclose(f);
	return n;
}

static int add_filter(const char *action)
{
	return cmd("tc filter add dev nsd0 parent ffff: protocol ip prio 1 u32 match u32 0 0 action mirred egress %s dev dum0",
		   action);
}

static void del_filter(void)
{
	must_cmd("tc filter del dev nsd0 parent ffff: prio 1");
}

static void del_ingress(void *unused)
{
	(void)unused;
	cmd("ip netns exec devmem-a tc qdisc del dev nsd0 ingress");
}

/* tc takes what comes in and sends it, or a copy, to another device. */
static void by_a_filter(const char *action)
{
	unsigned long before;
	pid_t sender, rd;
	size_t seen = 0;
	int tap, round;

	make_dummy();
	write_sysctl("ipv6/conf/dum0/disable_ipv6", "1");	/* it says nothing itself */
	if (cmd("tc qdisc add dev nsd0 ingress"))
		skip("no ingress qdisc");
	defer(del_ingress, NULL);
	if (add_filter(action))		/* loads modules, too */
		skip("no mirred");
	del_filter();
	begin(AF_INET);
	tap = open_tap("dum0");
	rd = reader();
	before = sent_to_dummy();
	check_eq(add_filter(action), 0);	/* the first packets meet it */
	sender = send_start(&c, STREAM, SEED, 50000, SEND_SHUTDOWN);
	close(c.rx);
	for (round = 0; round < 4 && runs(rd); round++) {
		if (round)
			check_eq(add_filter(action), 0);
		seen += watch(tap, 50);
		/* however long the sender takes to begin */
		if (!round)
			check(within(5000, sent_to_dummy() > before));
		del_filter();
		seen += watch(tap, 10);
	}
	test_join(rd);
	test_join(sender);
	diag("%d rounds, %lu packets, %zu bytes of payload in them", round,
	     sent_to_dummy() - before, seen);
	check_cmp(sent_to_dummy(), >, before);
	close(tap);
}

static void redirected_by_a_filter(void)
{
	by_a_filter("redirect");
}

static void mirrored_by_a_filter(void)
{
	by_a_filter("mirror");
}

/* ---- without its socket ------------------------------------------------- */

#define FAR	"10.77.0.5"	/* behind the dummy */

static void make_detour(void)
{
	make_dummy();
	write_sysctl("ipv4/ip_forward", "1");
	must_cmd("ip link set dum0 mtu 9000");
	must_cmd("ip route add " FAR " dev dum0");
	must_cmd("ip neigh add " FAR " lladdr 02:00:00:00:00:01 dev dum0 nud permanent");
	defer(del_ingress, NULL);
	must_cmd("tc qdisc add dev nsd0 ingress");
}

/* The connection, unknown to netfilter so far, is another host's from here on. */
static void translate(void)
{
	nft_table(AF_INET);
	nft_add(AF_INET, "chain", "pre { type nat hook prerouting priority -100 ; }");
	nft_add(AF_INET, "rule", "pre ip daddr 10.9.0.1 meta l4proto tcp dnat to " FAR);
}

/* tc has a program that takes a packet's socket away. */
static int add_thief(void)
{
	static const char code[] = "1,6 0 0 3";		/* returns TC_ACT_PIPE */
	int fd = must(memfd_create("code", 0));

	check_eq(write(fd, code, sizeof(code) - 1), (ssize_t)sizeof(code) - 1);
	return cmd("tc filter add dev nsd0 parent ffff: protocol ip prio 1 matchall action bpf bytecode-file /proc/%d/fd/%d",
		   getpid(), fd);
}

/* Its route is valid, so it is placed, but then it gets another; and without a socket
 * nothing but the guard keeps it from leaving.
 */
static void robbed_of_its_socket(void)
{
	unsigned long before;
	struct rx rx;

	make_detour();
	begin_placed(&rx, AF_INET);
	check_eq(binding().stats.forward_drops, 0);
	if (add_thief())
		skip("no act_bpf");
	translate();
	before = sent_to_dummy();
	send_pattern(c.tx, SOME, SOME, SEED, 1000);
	check(within(5000, binding().stats.forward_drops));
	del_filter();
	nft_delete(AF_INET);
	rx_all(&rx, SOME);
	rx_check_info(&rx);
	diag("%llu packets were dropped, %lu forwarded from host memory",
	     (unsigned long long)binding().stats.forward_drops, sent_to_dummy() - before);
}

/* ---- the same addresses elsewhere -------------------------------------- */

/* A third network namespace where both addresses are on lo, and a connection
 * with the ports of the attached one.
 */
static void make_twin(struct conn *twin, uint16_t sport, uint16_t dport)
{
	struct sockaddr_storage from, to;
	int listener, one = 1;
	socklen_t len;

	must(unshare(CLONE_NEWNET));
	must_cmd("ip link set lo up");
	must_cmd("ip addr add 10.9.0.1/32 dev lo");
	must_cmd("ip addr add 10.9.0.2/32 dev lo");
	listener = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	twin->tx = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	must(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	len = side_addr(&to, RECEIVER, AF_INET, dport);
	must(bind(listener, (void *)&to, len));
	must(listen(listener, 1));
	len = side_addr(&from, SENDER, AF_INET, sport);
	must(bind(twin->tx, (void *)&from, len));
	must(connect(twin->tx, (void *)&to, len));
	twin->rx = must(accept(listener, NULL, NULL));
	close(listener);
	env_enter(RECEIVER);
}

static void same_tuple_in_another_namespace(void)
{
	struct conn_opts opts = { .family = AF_INET, .sport = 3333, .dport = 4444 };
	const size_t bytes = 2 << 20;
	unsigned char *buf = malloc(bytes);
	pid_t sender, other;
	struct conn twin;
	struct rx rx;

	bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, 65536);
	make_twin(&twin, opts.sport, opts.dport);
	connect_with(&c, &opts);
	attach(c.rx, &b);
	sender = send_start(&c, bytes, SEED, 10000, SEND_SHUTDOWN);
	other = send_start(&twin, bytes, SEED + 1, 9000, SEND_SHUTDOWN);
	rx_init(&rx, c.rx, &b, SEED);
	rx_all(&rx, bytes / 2);
	check_eq(recv(twin.rx, buf, bytes, MSG_WAITALL), (ssize_t)bytes);
	check_eq(devmem_pattern_check(buf, bytes, 0, SEED + 1), -1);
	/* its end is not the end of ours */
	disconnect_pair(&twin);
	rx_all(&rx, bytes / 2);
	rx_eof(&rx);
	rx_check_placed(&rx, bytes);
	test_join(sender);
	test_join(other);
}

static void setup(void)
{
	env_setup(8);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(rerouted_while_quiet_ipv4),
	KTAP_CASE(rerouted_while_quiet_ipv6),
	KTAP_CASE(rerouted_ipv4),
	KTAP_CASE(rerouted_ipv4_without_early_demux),
	KTAP_CASE(rerouted_ipv6_without_early_demux),
	KTAP_CASE(rerouted_to_a_narrow_link),
	KTAP_CASE(routes_flushed),
	KTAP_CASE(beside_an_upper_device),
	KTAP_CASE(redirected_by_a_filter),
	KTAP_CASE(mirrored_by_a_filter),
	KTAP_CASE(robbed_of_its_socket),
	KTAP_CASE(same_tuple_in_another_namespace),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
