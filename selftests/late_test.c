// SPDX-License-Identifier: GPL-2.0
/*
 * Placed packets that somebody below TCP still has when their socket is closed,
 * disconnected, or another connection's already: a queue to user space, shaping,
 * another CPU. With urgent pointers among them. TCP throws them away, and their
 * memory is free again.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"
#include "common_forge.h"
#include "common_nft.h"
#include "common_queue.h"

#define SEED	0x1a7e
#define PORT	5201
#define STEP	5000U
#define ROUNDS	60

static struct bound b;
static struct conn c;
static struct forge f;

/* NIC with one queue: all that comes at the same time is in one poll. */
static void bind_it(void)
{
	static const uint32_t queue;

	bind_queues(&b, DEVMEM_BUF_GPU, 4 << 20, 65536, &queue, 1);
}

static void begin(int family, bool reverse)
{
	struct conn_opts opts = { .family = family, .reverse = reverse, .dport = PORT };
	struct rx rx;

	connect_with(&c, &opts);
	attach(c.rx, &b);
	/* an active open may get its route with its first segments */
	send_pattern(c.tx, STEP, 0, SEED, STEP);
	rx_init(&rx, c.rx, &b, SEED);
	rx_all(&rx, STEP);
	rx_free(&rx);
	forge_open(&f, c.tx);
}

static void end(void)
{
	close(c.tx);
	forge_close(&f);
}

/* Payload; @urgent: and in front of it a pointer into it. The first payload that a
 * closed socket gets is the last.
 */
static void send_some(bool urgent)
{
	unsigned char tcp[FORGE_TCP], buf[STEP];

	if (urgent) {
		forge_tcp(&f, tcp, TCP_ACK | TCP_URG, STEP / 2);
		forge_send(&f, IPPROTO_TCP, tcp, sizeof(tcp));
	}
	devmem_pattern_fill(buf, STEP, STEP, SEED);
	check_eq(send(c.tx, buf, STEP, MSG_NOSIGNAL), STEP);
}

/* @abort: with a reset, and all is forgotten at once. */
static void close_it(bool abort)
{
	struct linger linger = { .l_onoff = abort };

	must(setsockopt(c.rx, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	close(c.rx);
}

static bool all_free(void)
{
	struct devmem_bind_info info;

	unpark();
	bound_info(&b, &info);
	return info.chunks_free == info.chunks;
}

/* Nobody has anything; who comes next finds all in order. */
static void all_well(int family)
{
	struct rx rx;
	pid_t pid;

	if (!within(5000, all_free()))
		fail("chunks are not free");
	connect_pair(&c, family);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
	pid = send_start(&c, 1 << 20, SEED, 20000, SEND_SHUTDOWN);
	rx_all(&rx, 1 << 20);
	rx_eof(&rx);
	test_join(pid);
	rx_check_placed(&rx, 1 << 20);
	disconnect_pair(&c);
}

/* ---- a queue to user space --------------------------------------------- */

static void hold(int family, const char *hook)
{
	nft_table(family);
	nft_add(family, "chain", "look { type filter hook %s priority 0 ; }", hook);
	nft_add(family, "rule", "look tcp dport %d queue num 0", PORT);
}

static void held(int family, const char *hook, bool urgent, bool abort)
{
	bind_it();
	queue_start(&(struct queue_opts){ .hold = true, .gso = true });
	begin(family, false);
	hold(family, hook);
	send_some(urgent);
	check(within(5000, queue_waiting() >= 1U + urgent));
	close_it(abort);
	queue_release();
	check(within(5000, !queue_waiting()));
	nft_delete(family);
	end();
	all_well(family);
}

static void held_before_input_ipv4(void)
{
	held(AF_INET, "input", false, false);
}

static void held_before_input_ipv6(void)
{
	held(AF_INET6, "input", false, true);
}

static void held_before_routing_ipv4(void)
{
	held(AF_INET, "prerouting", false, true);
}

static void held_before_routing_ipv6(void)
{
	held(AF_INET6, "prerouting", false, false);
}

static void urgent_before_input_ipv4(void)
{
	held(AF_INET, "input", true, false);
}

static void urgent_before_input_ipv6(void)
{
	held(AF_INET6, "input", true, false);
}

static void urgent_before_routing_ipv4(void)
{
	held(AF_INET, "prerouting", true, false);
}

static void urgent_before_routing_ipv6(void)
{
	held(AF_INET6, "prerouting", true, false);
}

/* The socket has the same addresses and ports again, for another connection. */
static void held_for_the_connection_before(void)
{
	struct conn_opts opts = { .family = AF_INET, .reverse = true, .dport = PORT,
				  .sport = (uint16_t)(20000 + getpid() % 20000) };
	struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
	struct sockaddr_storage ss;
	socklen_t len = side_addr(&ss, SENDER, AF_INET, opts.sport);
	int listener, one = 1;
	struct rx rx;
	pid_t pid;

	bind_it();
	queue_start(&(struct queue_opts){ .hold = true, .gso = true });
	connect_with(&c, &opts);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
	send_pattern(c.tx, STEP, 0, SEED, STEP);
	rx_all(&rx, STEP);
	rx_free(&rx);
	forge_open(&f, c.tx);
	hold(AF_INET, "prerouting");
	send_some(true);
	check(within(5000, queue_waiting() >= 2));
	must(connect(c.rx, &nowhere, sizeof(nowhere)));
	end();
	env_enter(SENDER);
	listener = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	env_enter(RECEIVER);
	must(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	must(bind(listener, (void *)&ss, len));
	must(listen(listener, 1));
	/* what comes for this connection passes those that wait */
	must_cmd("nft insert rule ip t look tcp flags & (syn | ack) == (syn | ack) accept");
	must(connect(c.rx, (void *)&ss, len));
	c.tx = must(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED + 1);
	queue_release();
	pid = send_start(&c, 1 << 20, SEED + 1, 20000, SEND_SHUTDOWN);
	rx_all(&rx, 1 << 20);
	rx_eof(&rx);
	test_join(pid);
	check(within(5000, !queue_waiting()));
	nft_delete(AF_INET);
	disconnect_pair(&c);
	all_well(AF_INET);
}

/* ---- shaping ----------------------------------------------------------- */

static void no_shaping(void *unused)
{
	(void)unused;
	env_enter(RECEIVER);
	cmd("tc qdisc del dev nsd0 clsact");
	cmd("ip link del ifb9");
}

static void shaped(int family, bool abort)
{
	uint64_t before;
	struct conn next;

	bind_it();
	begin(family, false);
	if (cmd("ip link add ifb9 type ifb"))
		skip("this kernel has no ifb");
	defer(no_shaping, NULL);
	must_cmd("ip link set ifb9 up");
	must_cmd("tc qdisc add dev ifb9 root netem delay 1000ms");
	must_cmd("tc qdisc add dev nsd0 clsact");
	must_cmd("tc filter add dev nsd0 ingress matchall action mirred egress redirect dev ifb9");
	before = nic_counter(RECEIVER, "rx_packets");
	send_some(true);
	check(within(5000, nic_counter(RECEIVER, "rx_packets") >= before + 2));
	close_it(abort);
	/* has all before it delivered when it is there */
	connect_pair(&next, family);
	disconnect_pair(&next);
	must_cmd("tc qdisc del dev nsd0 clsact");
	end();
	all_well(family);
}

static void shaped_ipv4(void)
{
	shaped(AF_INET, false);
}

static void shaped_ipv6(void)
{
	shaped(AF_INET6, true);
}

/* ---- another CPU ------------------------------------------------------- */

static void no_steering(void *unused)
{
	(void)unused;
	env_sysfs_write(RECEIVER, "queues/rx-0/rps_cpus", "0");
	cmd("ethtool -C nsd0 rx-usecs 0");
}

static void steered(int family)
{
	unsigned int i;
	int err;

	err = env_sysfs_write(RECEIVER, "queues/rx-0/rps_cpus", "2");
	if (err)
		skip("this kernel steers no packets to CPU 1: %s", strerror(-err));
	defer(no_steering, NULL);
	bind_it();
	must_cmd("ethtool -C nsd0 rx-usecs 300");
	for (i = 0; i < ROUNDS; i++) {
		begin(family, false);
		send_some(i & 1);
		usleep(i * 40);
		close_it(i & 2);
		end();
	}
	all_well(family);
}

static void steered_ipv4(void)
{
	steered(AF_INET);
}

static void steered_ipv6(void)
{
	steered(AF_INET6);
}

static void setup(void)
{
	env_setup(1);
	env_patient();
}

static const struct ktap_case cases[] = {
	KTAP_CASE(held_before_input_ipv4),
	KTAP_CASE(held_before_input_ipv6),
	KTAP_CASE(held_before_routing_ipv4),
	KTAP_CASE(held_before_routing_ipv6),
	KTAP_CASE(urgent_before_input_ipv4),
	KTAP_CASE(urgent_before_input_ipv6),
	KTAP_CASE(urgent_before_routing_ipv4),
	KTAP_CASE(urgent_before_routing_ipv6),
	KTAP_CASE(held_for_the_connection_before),
	KTAP_CASE(shaped_ipv4, .timeout = 40),
	KTAP_CASE(shaped_ipv6, .timeout = 40),
	KTAP_CASE(steered_ipv4, .timeout = 60),
	KTAP_CASE(steered_ipv6, .timeout = 60),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
