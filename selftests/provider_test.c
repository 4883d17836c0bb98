// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's own devmem TCP over our NIC: every byte lands in the dma-buf that
 * NETDEV_CMD_BIND_RX has bound to the queue, and what cannot go there is counted
 * and dropped. Owns a queue that receives this way; who else may use it is
 * claim_test's.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common_provider.h"

#define SEED	0x6b65726eULL
#define MIB	(1UL << 20)
#define QUEUES	4

static struct ctl_nl nl;

static void setup(void)
{
	env_setup(QUEUES);
	ask_for_split();
}

/* A stream in writes of @size bytes, all of it in the dma-buf. */
static void stream(int family, uint64_t bytes, size_t size)
{
	struct bound b = { 0 };
	struct conn c;
	struct rx rx;
	pid_t pid;

	kernel_bind_queues(&nl, &b, 8 * MIB, 0, QUEUES);
	connect_pair(&c, family);
	pid = send_start(&c, bytes, SEED, size, SEND_SHUTDOWN);
	kernel_rx_init(&rx, c.rx, &b, SEED);
	rx_all(&rx, bytes);
	close(c.tx);
	rx_eof(&rx);
	test_join(pid);
	check_eq(rx.placed, bytes);
	check_eq(rx.host, 0);
	check_eq(nic_counter(RECEIVER, "rx_drop_unreadable"), 0);
	disconnect_pair(&c);
	rx_free(&rx);
	kernel_unbind(&nl);
	devmem_buf_free(b.buf);
}

static void stream_ipv4(void)
{
	stream(AF_INET, 8 * MIB, 65536);
}

static void stream_ipv6(void)
{
	stream(AF_INET6, 8 * MIB, 65536);
}

static void odd_segments(void)
{
	static const size_t sizes[] = { 1, 2, 63, 64, 65, 1447, 1448, 1449, 4095,
					4096, 4097, 8192, 65535 };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		stream(i % 2 ? AF_INET6 : AF_INET, sizes[i] * 40, sizes[i]);
}

/* The queue is given to the provider and taken back in the middle of streams,
 * which go on in the memory that the queue then has.
 */
static void bind_mid_stream(void)
{
	struct bound b = { 0 };
	struct conn c;
	struct rx rx;
	int i;

	connect_pair(&c, AF_INET);
	kernel_bind_queues(&nl, &b, 4 * MIB, 0, QUEUES);
	kernel_unbind(&nl);
	kernel_rx_init(&rx, c.rx, &b, SEED);
	for (i = 0; i < 10; i++) {
		send_pattern(c.tx, 100000, rx.pos, SEED, 30000);
		rx_all(&rx, 100000);
		check_eq(rx.host, (i + 1) * 100000);

		kernel_bind_queues(&nl, &b, 0, 0, QUEUES);
		send_pattern(c.tx, 100000, rx.pos, SEED, 30000);
		rx_all(&rx, 100000);
		check_eq(rx.placed, (i + 1) * 100000);
		kernel_unbind(&nl);
	}
	check_eq(nic_counter(RECEIVER, "rx_drop_down"), 0);
}

/* Tokens outlive the binding's netlink socket and the queue's use of it. */
static void tokens_after_unbind(void)
{
	struct bound b = { 0 };
	struct conn c;
	struct rx rx;

	kernel_bind_queues(&nl, &b, 4 * MIB, 0, QUEUES);
	connect_pair(&c, AF_INET);
	kernel_rx_init(&rx, c.rx, &b, SEED);
	rx.keep = true;
	/* so little that nobody has to read for it to be sent */
	send_pattern(c.tx, 50000, 0, SEED, 50000);
	rx_all(&rx, 50000);
	check_eq(rx.placed, 50000);
	kernel_unbind(&nl);
	send_pattern(c.tx, 50000, rx.pos, SEED, 50000);
	rx_all(&rx, 50000);
	check_eq(rx.host, 50000);
	rx_check_held(&rx);
	rx_return(&rx);
}

static void set_skb_defer_max(const char *value)
{
	FILE *f;

	env_leave();
	f = fopen("/proc/sys/net/core/skb_defer_max", "we");
	check(f && fputs(value, f) >= 0 && !fclose(f));
	env_enter(RECEIVER);
}

static void restore_skb_defer_max(void *arg)
{
	(void)arg;
	set_skb_defer_max("64");	/* what the kernel begins with */
}

/* No page is free: nothing is delivered, it is counted, and the stream goes on
 * when tokens come back. The kernel parks packets that were read on the CPU that
 * received them, and with them pages, until that CPU receives something else; so
 * few pages can all be there, and then the stream ends for good. Not here.
 */
static void exhausted(void)
{
	struct bound b = { 0 };
	uint64_t before;
	struct conn c;
	struct rx rx;
	pid_t pid;

	defer(restore_skb_defer_max, NULL);
	set_skb_defer_max("0");
	kernel_bind_queues(&nl, &b, 16 * 4096, 0, QUEUES);
	connect_pair(&c, AF_INET);
	before = nic_counter(RECEIVER, "rx_alloc_fail");
	pid = send_start(&c, MIB, SEED, 16384, 0);
	kernel_rx_init(&rx, c.rx, &b, SEED);
	rx.keep = true;
	/* a window's worth may fit: read, and keep what was read */
	check(within(10000, (rx_recv(&rx, MSG_DONTWAIT),
			     nic_counter(RECEIVER, "rx_alloc_fail") > before)));
	check_cmp(rx.placed, <=, 16 * 4096);
	rx_check_held(&rx);
	rx_return(&rx);
	rx.keep = false;
	rx_all(&rx, MIB - rx.pos);
	test_join(pid);
	check_eq(rx.placed, MIB);
}

/* Only TCP's payload goes to the provider's memory. Another packet has the
 * header buffer: a small one fits, a large one does not.
 */
static void not_tcp(void)
{
	struct bound b = { 0 };
	uint64_t before;

	kernel_bind_queues(&nl, &b, MIB, 0, QUEUES);
	env_enter(SENDER);
	must_cmd("busybox ping -c 2 -s 64 -W 10 10.9.0.1");
	env_enter(RECEIVER);
	before = nic_counter(RECEIVER, "rx_drop_unreadable");
	env_enter(SENDER);
	check_cmp(cmd("busybox ping -c 1 -s 1000 -W 1 10.9.0.1"), !=, 0);
	env_enter(RECEIVER);
	check_cmp(nic_counter(RECEIVER, "rx_drop_unreadable"), >, before);
	kernel_unbind(&nl);
	env_enter(SENDER);
	must_cmd("busybox ping -c 1 -s 1000 -W 10 10.9.0.1");
	env_enter(RECEIVER);
}

/* A wrong checksum cannot be verified by anybody else: dropped. */
static void bad_checksums(void)
{
	struct bound b = { 0 };
	uint64_t before;
	struct conn c;
	struct rx rx;
	pid_t pid;

	kernel_bind_queues(&nl, &b, 8 * MIB, 0, QUEUES);
	connect_pair(&c, AF_INET);
	before = nic_counter(RECEIVER, "rx_drop_unreadable");
	impair(RECEIVER, "seed", 7);
	impair(RECEIVER, "corrupt", 100000);
	impair(RECEIVER, "loss", 20000);
	impair(RECEIVER, "reorder", 50000);
	impair(RECEIVER, "duplicate", 50000);
	pid = send_start(&c, MIB / 2, SEED, 1400, 0);
	kernel_rx_init(&rx, c.rx, &b, SEED);
	rx_all(&rx, MIB / 2);
	impair_none(RECEIVER);
	test_join(pid);
	check_eq(rx.placed, MIB / 2);
	check_cmp(nic_counter(RECEIVER, "rx_drop_unreadable"), >, before);
}

/* The binding survives the link's going down and its MTU's change. */
static void down_up_mtu(void)
{
	struct bound b = { 0 };
	struct conn c;
	struct rx rx;
	pid_t pid;

	kernel_bind_queues(&nl, &b, 4 * MIB, 0, QUEUES);
	connect_pair(&c, AF_INET);
	pid = send_start(&c, 2 * MIB, SEED, 16384, 0);
	kernel_rx_init(&rx, c.rx, &b, SEED);
	rx_all(&rx, MIB / 2);
	must_cmd("ip link set nsd0 down");
	must_cmd("ip link set nsd0 up");
	rx_all(&rx, MIB / 2);
	must_cmd("ip link set nsd0 mtu 9000");
	rx_all(&rx, MIB / 2);
	must_cmd("ip link set nsd0 mtu 1500");
	rx_all(&rx, MIB / 2);
	test_join(pid);
	check_eq(rx.placed, 2 * MIB);

	must_cmd("ip link set nsd0 down");
	kernel_unbind(&nl);
	must_cmd("ip link set nsd0 up");
	send_pattern(c.tx, 100000, rx.pos, SEED, 30000);
	rx_all(&rx, 100000);
	check_eq(rx.host, 100000);
}

static void down_is_refused(void)
{
	static const uint32_t queue;
	struct ctl_answer answer;
	struct bound b = { 0 };

	must_cmd("ip link set nsd0 down");
	kernel_bind(&nl, &b, DEVMEM_BUF_UDMABUF, MIB, &queue, 1, &answer);
	check_eq(answer.err, ENETDOWN);
	must_cmd("ip link set nsd0 up");
	kernel_bind(&nl, &b, DEVMEM_BUF_UDMABUF, MIB, &queue, 1, &answer);
	check_eq(answer.err, 0);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(stream_ipv4),
	KTAP_CASE(stream_ipv6),
	KTAP_CASE(odd_segments),
	KTAP_CASE(bind_mid_stream),
	KTAP_CASE(tokens_after_unbind),
	KTAP_CASE(exhausted, .timeout = 40),
	KTAP_CASE(not_tcp),
	KTAP_CASE(bad_checksums),
	KTAP_CASE(down_up_mtu),
	KTAP_CASE(down_is_refused),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
