// SPDX-License-Identifier: GPL-2.0
/*
 * Streams that have a hard time: a bad wire, a receiver that reads slowly, has
 * little room, or keeps its socket locked. That every byte arrives, is right,
 * and that most are placed all the same: what had been placed comes again in host
 * memory, where TCP had dropped it or it is with more. Must not know of flags of
 * recvmsg().
 */
#include <signal.h>

#include "common.h"

#define SEED	0x10ad

static struct bound b;
static struct conn c;
static struct rx rx;
static uint64_t csum_errors;	/* before the case */

static void no_impairments(void *arg)
{
	(void)arg;
	impair_none(RECEIVER);
	impair_none(SENDER);
}

static void open_stream(int family, uint32_t chunk, int rcvbuf)
{
	struct conn_opts opts = { .family = family, .rcvbuf = rcvbuf };

	defer(no_impairments, NULL);
	impair(RECEIVER, "seed", 4711);
	impair(SENDER, "seed", 815);
	csum_errors = nic_counter(RECEIVER, "rx_csum_errors");
	bind_buffer(&b, DEVMEM_BUF_GPU, 8 << 20, chunk);
	connect_with(&c, &opts);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
}

/* At least @placed of the @bytes were placed. */
static void all_right(uint64_t bytes, uint64_t placed)
{
	struct devmem_bind_info info;

	rx_eof(&rx);
	check_eq(rx.bytes, bytes);
	rx_check_info(&rx);
	bound_info(&b, &info);
	check_eq(info.stats.fallback_inactive, 0);
	check_eq(info.stats.fallback_route, 0);
	/* a packet with a bad checksum goes to host memory, and no further */
	check_cmp(info.stats.fallback_header, <=,
		  nic_counter(RECEIVER, "rx_csum_errors") - csum_errors);
	check_eq(rx.placed + rx.host, bytes);
	check_cmp(rx.placed, >=, placed);
	if (!info.stats.fallback_again && !info.stats.fallback_sequence)
		check_eq(rx.host, 0);
}

/* @size large: super-packets, which a lost one throws back far; small: single
 * segments.
 */
static void stream_placed(uint64_t bytes, size_t size, uint64_t placed)
{
	pid_t pid = send_start(&c, bytes, SEED, size, SEND_SHUTDOWN);

	rx_all(&rx, bytes);
	test_join(pid);
	all_right(bytes, placed);
}

static void stream(uint64_t bytes, size_t size)
{
	stream_placed(bytes, size, bytes * 3 / 4);
}

static void loss(void)
{
	open_stream(AF_INET, 65536, 0);
	impair(RECEIVER, "loss", 20000);
	stream(4 << 20, 3001);
	check_cmp(nic_counter(RECEIVER, "rx_impair_loss"), >, 0);
}

static void reorder(void)
{
	open_stream(AF_INET6, 4096, 0);
	impair(RECEIVER, "reorder", 200000);
	stream(4 << 20, 1999);
	check_cmp(nic_counter(RECEIVER, "rx_impair_reorder"), >, 0);
}

static void duplicates(void)
{
	struct devmem_bind_info info;

	open_stream(AF_INET, 65536, 0);
	impair(RECEIVER, "duplicate", 500000);
	/* hardware GRO makes one packet of a copy and of what follows it */
	stream_placed(4 << 20, 9999, 1 << 20);
	check_cmp(nic_counter(RECEIVER, "rx_impair_duplicate"), >, 0);
	bound_info(&b, &info);
	check_cmp(info.stats.fallback_again, >, 0);
}

/* A corrupted packet gets neither into the buffer nor into the stream. */
static void corruption(void)
{
	open_stream(AF_INET, 4096, 0);
	impair(RECEIVER, "corrupt", 50000);
	stream(4 << 20, 2003);
	check_cmp(nic_counter(RECEIVER, "rx_csum_errors"), >, csum_errors);
}

static void all_at_once(int family, uint32_t chunk, size_t size)
{
	open_stream(family, chunk, 0);
	impair(RECEIVER, "loss", 10000);
	impair(RECEIVER, "reorder", 30000);
	impair(RECEIVER, "duplicate", 30000);
	impair(RECEIVER, "corrupt", 5000);
	impair(RECEIVER, "delay_us", 300);
	impair(SENDER, "loss", 5000);
	impair(SENDER, "reorder", 10000);
	impair(SENDER, "duplicate", 10000);
	stream(3 << 20, size);
}

static void all_at_once_ipv4(void)
{
	all_at_once(AF_INET, 4096, 1448);
}

static void all_at_once_ipv6(void)
{
	all_at_once(AF_INET6, 65536, 4001);
}

/* Out-of-order data is in the buffer before the byte that is missing. */
static void all_at_once_super_packets(void)
{
	all_at_once(AF_INET, 2 << 20, 65536);
}

/* The receive window closes again and again. */
static void slow_reader(void)
{
	const uint64_t bytes = 2 << 20;
	pid_t pid;
	int i = 0;

	open_stream(AF_INET, 65536, 65536);
	pid = send_start(&c, bytes, SEED, 65536, SEND_SHUTDOWN);
	while (rx.bytes < bytes) {
		rx_wait(&rx);
		rx.linear_size = 10007;
		check_cmp(rx_recv(&rx, MSG_DONTWAIT), >, 0);
		rx_return(&rx);
		if (!(++i % 16))
			usleep(10000);
	}
	test_join(pid);
	all_right(bytes, 1);
}

/* The kernel's least: one super-packet is too much, and TCP prunes. */
static void rcvbuf_4k(void)
{
	const uint64_t bytes = 200000;
	pid_t pid;

	open_stream(AF_INET, 4096, 4096);
	pid = send_start(&c, bytes, SEED, 16384, SEND_SHUTDOWN);
	rx_all(&rx, bytes);
	test_join(pid);
	all_right(bytes, 1);
}

/* The same, with holes: what is pruned is the out-of-order queue. */
static void rcvbuf_4k_with_loss(void)
{
	const uint64_t bytes = 60000;
	pid_t pid;

	open_stream(AF_INET6, 4096, 4096);
	impair(RECEIVER, "loss", 20000);
	impair(RECEIVER, "reorder", 100000);
	pid = send_start(&c, bytes, SEED, 500, SEND_SHUTDOWN);
	rx_all(&rx, bytes);
	test_join(pid);
	all_right(bytes, 1);
}

/* SO_RCVBUF shrinks mid-stream when the queue is full of placed packets. */
static void rcvbuf_shrinks(void)
{
	const uint64_t bytes = 400000;
	int small = 4096;
	pid_t pid;

	open_stream(AF_INET, 4096, 1 << 20);
	pid = send_start(&c, bytes, SEED, 700, SEND_SHUTDOWN);
	rx_all(&rx, 1000);
	must(setsockopt(c.rx, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)));
	usleep(50000);
	rx_all(&rx, bytes - 1000);
	test_join(pid);
	all_right(bytes, 1);
}

/* Packets meet a locked socket: a process that asks it things all the while
 * makes them go through the backlog.
 */
static void backlog(void)
{
	const uint64_t bytes = 4 << 20;
	struct devmem_info info;
	pid_t pid, asker[2];
	unsigned int i;

	open_stream(AF_INET, 65536, 0);
	for (i = 0; i < 2; i++) {
		asker[i] = test_fork();
		if (!asker[i])
			while (!devmem_sock_info(c.rx, &info, 0))
				;
	}
	pid = send_start(&c, bytes, SEED, 1448, SEND_SHUTDOWN);
	rx_all(&rx, bytes);
	test_join(pid);
	for (i = 0; i < 2; i++)
		check_eq(kill(asker[i], 9), 0);
	all_right(bytes, 1);
}

/* Fills the buffer and empties it all the time, while packets get lost. */
static void exhausted_on_a_bad_wire(void)
{
	const uint64_t bytes = 3 << 20;
	pid_t pid;

	defer(no_impairments, NULL);
	impair(RECEIVER, "loss", 10000);
	impair(RECEIVER, "reorder", 50000);
	bind_buffer(&b, DEVMEM_BUF_HEAP, 64 << 10, 4096);
	connect_pair(&c, AF_INET);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
	rx.keep = true;
	pid = send_start(&c, bytes, SEED, 4000, SEND_SHUTDOWN);
	while (rx.bytes < bytes) {
		rx_all(&rx, bytes - rx.bytes < 77777 ? bytes - rx.bytes : 77777);
		rx_check_held(&rx);
		rx_return(&rx);
	}
	rx_eof(&rx);
	test_join(pid);
	check_cmp(rx.placed, >, 0);
	check_cmp(rx.host, >, 0);
	rx_check_info(&rx);
}

/* The link goes down and comes back: what was under way is lost. */
static void link_bounces(void)
{
	const uint64_t bytes = 6 << 20;
	pid_t pid;

	open_stream(AF_INET, 65536, 0);
	impair(RECEIVER, "delay_us", 1000);
	pid = send_start(&c, bytes, SEED, 1448, SEND_SHUTDOWN);
	rx_all(&rx, 200000);
	must_cmd("ip link set nsd0 down");
	must_cmd("ip link set nsd0 up");
	rx_all(&rx, bytes - 200000);
	test_join(pid);
	rx_eof(&rx);
	check_eq(rx.bytes, bytes);
	/* the route was gone for a while; afterwards placing goes on */
	check_cmp(rx.placed, >, bytes / 2);
	rx_check_info(&rx);
}

static void setup(void)
{
	env_setup(4);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(loss, .timeout = 30),
	KTAP_CASE(reorder),
	KTAP_CASE(duplicates),
	KTAP_CASE(corruption, .timeout = 30),
	KTAP_CASE(all_at_once_ipv4, .timeout = 30),
	KTAP_CASE(all_at_once_ipv6, .timeout = 30),
	KTAP_CASE(all_at_once_super_packets, .timeout = 30),
	KTAP_CASE(slow_reader),
	KTAP_CASE(rcvbuf_4k),
	KTAP_CASE(rcvbuf_4k_with_loss),
	KTAP_CASE(rcvbuf_shrinks),
	KTAP_CASE(backlog),
	KTAP_CASE(exhausted_on_a_bad_wire),
	KTAP_CASE(link_bounces),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
