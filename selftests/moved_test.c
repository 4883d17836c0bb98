// SPDX-License-Identifier: GPL-2.0
/*
 * What is under way when the receiver changes: a rule comes, a queue goes, the link goes
 * down, another device takes the packets. Must not know where packets wait.
 */
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common_nic.h"

#define SEED	0x6d6f76ULL
#define SOME	1000
#define BUFFER	(4U << 20)
#define FRAME	60000
#define TRIES	100

static struct bound b;
static struct conn c;
static struct rx rx;

static void all_to(unsigned int queue)
{
	uint32_t context = 0, indir[RSS_INDIR];
	unsigned int i;

	for (i = 0; i < RSS_INDIR; i++)
		indir[i] = queue;
	check_eq(rss_set(&context, NULL, indir), 0);
}

static void restore(void *unused)
{
	(void)unused;
	impair_none(RECEIVER);
	cmd("ethtool -X nsd0 default");
	cmd("ethtool -C nsd0 rx-usecs 0");
	cmd("ethtool -L nsd0 combined 4");
}

/* ---- a rule comes ------------------------------------------------------ */

/* It is for another queue than the one that a packet is on already: this one must
 * not place it, for the other may be placing, too.
 */
static void rule_of_another_queue(void)
{
	static const uint32_t queue = 3;
	uint64_t strays = nic_counter(RECEIVER, "rx_strays");

	defer(restore, NULL);
	env_patient();
	all_to(1);
	bind_queues(&b, DEVMEM_BUF_HEAP, BUFFER, 65536, &queue, 1);
	connect_pair(&c, AF_INET);
	rx_init(&rx, c.rx, &b, SEED);

	impair(RECEIVER, "delay_us", 500000);
	send_pattern(c.tx, SOME, 0, SEED, SOME);
	attach(c.rx, &b);
	rx_all(&rx, SOME);
	check_eq(rx.host, SOME);
	check_eq(nic_counter(RECEIVER, "rx_strays"), strays + 1);

	impair_none(RECEIVER);
	send_pattern(c.tx, SOME, SOME, SEED, SOME);
	rx_all(&rx, SOME);
	check_eq(rx.placed, SOME);
	check_eq(nic_counter(RECEIVER, "rx_strays"), strays + 1);
}

/* ---- raw frames -------------------------------------------------------- */

static unsigned char frame[FRAME] = { 2, [12] = 0x88, 0xb5 };	/* nobody answers */

/* ---- a queue goes ------------------------------------------------------ */

/* An UDP packet that goes to the second of two queues. */
static void find_frame(int fd)
{
	static const unsigned char udp[] = {
		0x02, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 1, 0x08, 0x00,
		0x45, 0, 0, 50, 0, 0, 0, 0, 64, 17, 0, 0, 10, 9, 0, 2, 10, 9, 0, 1,
		0, 0, 0, 9, 0, 30, 0, 0,
	};
	uint64_t second = nic_counter(RECEIVER, "rx1_packets"), packets;
	unsigned int port;

	memset(frame, 0, sizeof(frame));
	memcpy(frame, udp, sizeof(udp));
	for (port = 0; port < TRIES; port++) {
		frame[35] = (unsigned char)port;
		packets = nic_counter(RECEIVER, "rx_packets");
		must(send(fd, frame, 64, 0));
		check(within(1000, nic_counter(RECEIVER, "rx_packets") > packets));
		if (nic_counter(RECEIVER, "rx1_packets") > second)
			return;
	}
	fail("no frame goes to queue 1");
}

/* One frame waits on the queue for others to come, and nothing else moves: if it is
 * forgotten in its new queue nobody finds it. The kernel may be too slow for it to be
 * caught waiting.
 */
static void queue_goes(void)
{
	uint64_t packets, second;
	int fd, try;

	defer(restore, NULL);
	env_sysctl(RECEIVER, "ipv6/conf/nsd0/disable_ipv6", "1");
	env_sysctl(SENDER, "ipv6/conf/nsd1/disable_ipv6", "1");
	must_cmd("ethtool -L nsd0 combined 2");
	fd = nic_raw_socket();
	find_frame(fd);
	must_cmd("ethtool -C nsd0 rx-usecs 10000");
	for (try = 0; try < TRIES; try++) {
		check_eq(channels_set(2), 0);
		packets = nic_counter(RECEIVER, "rx_packets");
		second = nic_counter(RECEIVER, "rx1_packets");
		must(send(fd, frame, 64, 0));
		check_eq(channels_set(1), 0);
		if (!within(1000, nic_counter(RECEIVER, "rx_packets") > packets))
			fail("a frame is lost with its queue, at try %d", try);
		if (nic_counter(RECEIVER, "rx1_packets") == second)
			break;
	}
	diag("caught at try %d", try);
	if (try == TRIES)
		skip("the kernel is too slow to catch a frame that waits 10 ms");
	close(fd);
}

/* ---- the link goes down ------------------------------------------------- */

/* Who was stopped because there was no room goes on when the link is up again, though
 * nobody has taken anything off the wire meanwhile.
 */
static void stopped_when_it_goes_down(void)
{
	long long last;
	int fd, n = 0;
	uint64_t stops;
	bool stopped;

	defer(restore, NULL);
	must_cmd("ethtool -L nsd0 combined 1");
	must_cmd("ip netns exec %s ethtool -L nsd1 combined 1", NS_NAME(SENDER));
	must_cmd("ethtool -G nsd0 rx 64");
	must_cmd("ip link set nsd0 mtu 65535");
	must_cmd("ip -n %s link set nsd1 mtu 65535", NS_NAME(SENDER));
	stops = nic_counter(SENDER, "tx_stops");
	impair(RECEIVER, "delay_us", 1000000);
	fd = nic_raw_socket();
	for (last = now_ms(); now_ms() < last + 50; n++)
		if (send(fd, frame, FRAME, MSG_DONTWAIT) > 0)
			last = now_ms();
	diag("stopped after %d tries", n);
	stopped = nic_counter(SENDER, "tx_stops") > stops;
	must_cmd("ip link set nsd0 down");
	impair_none(RECEIVER);
	must_cmd("ip link set nsd0 up");
	check(within(5000, send(fd, frame, 64, MSG_DONTWAIT) == 64));
	close(fd);
	must_cmd("ip link set nsd0 mtu 1500");
	must_cmd("ip -n %s link set nsd1 mtu 1500", NS_NAME(SENDER));
	must_cmd("ip netns exec %s ethtool -L nsd1 combined 4", NS_NAME(SENDER));
	if (!stopped)
		skip("the kernel is too slow to fill the wire in a second");
}

/* ---- another device takes the packets ----------------------------------- */

static void upper_delete(void *unused)
{
	(void)unused;
	cmd("ip link delete upper0");
}

/* Placed before @add and after @del, and never between. */
static void with_upper(const char *add, const char *del)
{
	struct devmem_bind_info info;
	uint64_t placed;

	defer(upper_delete, NULL);
	env_patient();
	bind_buffer(&b, DEVMEM_BUF_HEAP, BUFFER, 65536);
	connect_pair(&c, AF_INET);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
	send_pattern(c.tx, SOME, 0, SEED, SOME);
	rx_all(&rx, SOME);
	check_eq(rx.placed, SOME);

	must_cmd("%s", add);
	bound_info(&b, &info);
	placed = info.stats.placed_bytes;
	send_pattern(c.tx, SOME, rx.pos, SEED, SOME);
	rx_all(&rx, SOME);
	check_eq(rx.host, SOME);
	bound_info(&b, &info);
	check_eq(info.stats.placed_bytes, placed);
	check_cmp(info.stats.fallback_route, >, 0);
	check_cmp(nic_counter(RECEIVER, "rx_fallback_route"), >, 0);

	must_cmd("%s", del);
	/* the route is looked up anew */
	send_pattern(c.tx, SOME, rx.pos, SEED, SOME);
	rx_all(&rx, SOME);
	send_pattern(c.tx, SOME, rx.pos, SEED, SOME);
	rx_all(&rx, SOME);
	check_cmp(rx.placed, >, SOME);
}

static void macvlan(void)
{
	if (cmd("ip link add upper0 link nsd0 type macvlan mode source"))
		skip("this kernel has no macvlan");
	must_cmd("ip link delete upper0");
	with_upper("ip link add upper0 link nsd0 type macvlan mode source", "ip link delete upper0");
}

static void bridge(void)
{
	if (cmd("ip link add upper0 type bridge"))
		skip("this kernel has no bridge");
	must_cmd("ip link set upper0 up");
	with_upper("ip link set nsd0 master upper0", "ip link set nsd0 nomaster");
}

static void setup(void)
{
	env_setup(4);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(rule_of_another_queue),
	KTAP_CASE(macvlan),
	KTAP_CASE(bridge),
	KTAP_CASE(queue_goes, .timeout = 60),		/* these two without IPv6 */
	KTAP_CASE(stopped_when_it_goes_down, .timeout = 40),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
