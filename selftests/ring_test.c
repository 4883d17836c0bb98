// SPDX-License-Identifier: GPL-2.0
/*
 * Ring sizes have the effect they should: while nobody takes packets off a
 * queue, exactly so many can be sent to it, and all of them come when somebody
 * does. Must not know how the driver stops a sender.
 */
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common_nic.h"

#define MORE_THAN_ALL	100000
#define POLL		64
#define TRIES		3

/* Send packets from CPU 0, which leaves no time for the poller, until the NIC
 * takes no more. Returns how many it took; *@alone: the poller took none of them.
 */
static unsigned int fill(bool *alone)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET };
	unsigned char frame[64] = { 2 };
	unsigned int n = 0;
	int fd, one = 1;

	env_enter(SENDER);
	fd = must(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
	ll.sll_ifindex = (int)if_nametoindex(DEV_NAME(SENDER));
	must(bind(fd, (void *)&ll, sizeof(ll)));
	must(setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)));
	one = 64 << 20;
	must(setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &one, sizeof(one)));
	env_enter(RECEIVER);
	frame[12] = 0x88;
	frame[13] = 0xb5;		/* for experiments: nobody answers */

	nic_own_cpu();
	while (n < MORE_THAN_ALL && send(fd, frame, sizeof(frame), MSG_DONTWAIT) > 0)
		n++;
	*alone = nic_share_cpu();
	close(fd);
	return n;
}

static void rings(enum side side, unsigned int rx, unsigned int tx)
{
	must_cmd("ip netns exec %s ethtool -G %s rx %u tx %u", NS_NAME(side),
		 DEV_NAME(side), rx, tx);
}

/* Where the poller was let in, because the machine is slow or has stood still, it
 * has taken some, and the ring holds as many more: those that it has counted, and
 * up to a poll's worth that it has not. What it takes off a full ring lets the
 * sender go on, to be stopped once more. That is tried again, but not for ever.
 */
static void holds(unsigned int packets)
{
	uint64_t before, stops, polled;
	unsigned int sent, tries = 0;
	bool alone;

	do {
		before = nic_counter(RECEIVER, "rx_packets");
		stops = nic_counter(SENDER, "tx_stops");
		sent = fill(&alone);
		polled = nic_counter(RECEIVER, "rx_packets") - before;
		stops = nic_counter(SENDER, "tx_stops") - stops;
		check_cmp(stops, >=, 1);
		if (alone) {
			check_eq(stops, 1);
			check_eq(sent, packets);
		}
		check_cmp(sent, >=, packets);
		check_cmp(sent, <=, packets + polled + POLL);
		if (!within(2000, nic_counter(RECEIVER, "rx_packets") >= before + sent))
			fail("%llu of %u packets have come",
			     (unsigned long long)(nic_counter(RECEIVER, "rx_packets") - before),
			     sent);
	} while (!alone && ++tries < TRIES);
}

static void rx_ring(void)
{
	holds(1024);
	rings(SENDER, 64, 4096);	/* its rx ring does not matter */
	rings(RECEIVER, 64, 64);	/* nor does this one's tx ring */
	holds(64);
	rings(RECEIVER, 4096, 64);
	holds(4096);
	rings(RECEIVER, 512, 64);
	holds(512);
}

static void tx_ring(void)
{
	rings(RECEIVER, 4096, 1024);
	rings(SENDER, 1024, 128);
	holds(128);
	rings(SENDER, 1024, 2048);
	holds(2048);
}

/* A sender that has stopped at a small ring goes on. */
static void streams(void)
{
	struct conn c;
	struct rx rx;

	rings(RECEIVER, 64, 64);
	rings(SENDER, 64, 64);
	connect_pair(&c, AF_INET);
	rx_init(&rx, c.rx, NULL, 1);
	rx.plain = true;
	send_start(&c, 8 << 20, 1, 600, SEND_SHUTDOWN);
	rx_all(&rx, 8 << 20);
	rx_free(&rx);
	disconnect_pair(&c);
}

/* Data come in host memory as they should whatever the pages' size; it cannot be
 * set while they are in use, or to what is none.
 */
static void buffers(void)
{
	struct conn c;
	struct rx rx;

	check(cmd("ethtool -G nsd0 rx-buf-len 65536"));
	must_cmd("ip link set nsd0 down");
	check(cmd("ethtool -G nsd0 rx-buf-len 2048"));
	check(cmd("ethtool -G nsd0 rx-buf-len 12288"));
	check(cmd("ethtool -G nsd0 rx-buf-len 131072"));
	must_cmd("ethtool -G nsd0 rx-buf-len 65536");
	must_cmd("ip link set nsd0 up");
	connect_pair(&c, AF_INET);
	rx_init(&rx, c.rx, NULL, 2);
	rx.plain = true;
	send_start(&c, 8 << 20, 2, 65536, SEND_SHUTDOWN);
	rx_all(&rx, 8 << 20);
	rx_free(&rx);
	disconnect_pair(&c);
	must_cmd("ip link set nsd0 down");
	must_cmd("ethtool -G nsd0 rx-buf-len 4096");
	must_cmd("ip link set nsd0 up");
}

/* Without IPv6: its reports of multicast groups come when they like, and would take
 * room on a ring.
 */
static void setup(void)
{
	env_setup(1);
	env_sysctl(RECEIVER, "ipv6/conf/nsd0/disable_ipv6", "1");
	env_sysctl(SENDER, "ipv6/conf/nsd1/disable_ipv6", "1");
	must(env_sysfs_write(RECEIVER, "threaded", "1"));
	nic_pin_pollers();
}

static const struct ktap_case cases[] = {
	KTAP_CASE(rx_ring),
	KTAP_CASE(tx_ring),
	KTAP_CASE(streams),
	KTAP_CASE(buffers),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
