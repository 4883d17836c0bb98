// SPDX-License-Identifier: GPL-2.0
/*
 * Settings that change while connections run: tables, keys, rules, contexts,
 * channels, rings, MTU, and the link itself. Not a byte is wrong, not a packet in a queue where it should not be,
 * the carrier stays. Must not know how a setting finds its queue: that is for
 * the test of the setting.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common_nic.h"
#include "common_wire.h"

#define QUEUES		8
#define FLOWS		16
#define STEP		20000

static pid_t senders[FLOWS], readers[FLOWS];
static int stop_fd;
static uint64_t carrier_before;

static uint64_t carrier_changes(void)
{
	unsigned long long n = 0;
	FILE *f;

	f = popen("ip netns exec devmem-a cat /sys/class/net/nsd0/carrier_changes", "re");
	if (!f || fscanf(f, "%llu", &n) != 1)
		fail("no carrier_changes");
	pclose(f);
	return n;
}

static void flow_send(int sock, int stop, unsigned int seed)
{
	struct pollfd pfd = { .fd = stop, .events = POLLIN };
	uint64_t pos = 0;

	do {
		send_pattern(sock, STEP, pos, seed, 300 + pos % 5003);
		pos += STEP;
		/* a slow machine has other things to do, too: the setting under test */
	} while (!poll(&pfd, 1, 25 * slow()));
	must(shutdown(sock, SHUT_WR));
	_exit(0);
}

static void flow_read(int sock, unsigned int seed)
{
	static unsigned char buf[65536];
	uint64_t pos = 0;
	int64_t wrong;
	ssize_t n;

	while ((n = must(recv(sock, buf, sizeof(buf), 0)))) {
		wrong = devmem_pattern_check(buf, (size_t)n, pos, seed);
		if (wrong >= 0)
			fail("flow %u: byte %lld is wrong", seed, (long long)wrong);
		pos += (uint64_t)n;
	}
	check_cmp(pos, >=, STEP);
	check_eq(pos % STEP, 0);
	_exit(0);
}

static void flows_start(void)
{
	struct conn c[FLOWS];
	unsigned int i;
	int stop[2];

	carrier_before = carrier_changes();
	must(pipe2(stop, O_CLOEXEC));
	for (i = 0; i < FLOWS; i++)
		connect_pair(&c[i], i & 1 ? AF_INET6 : AF_INET);
	for (i = 0; i < FLOWS; i++) {
		senders[i] = test_fork();
		if (!senders[i]) {
			close(stop[1]);
			close(c[i].rx);
			flow_send(c[i].tx, stop[0], i);
		}
		readers[i] = test_fork();
		if (!readers[i]) {
			close(stop[1]);
			close(c[i].tx);
			flow_read(c[i].rx, i);
		}
	}
	for (i = 0; i < FLOWS; i++)
		disconnect_pair(&c[i]);
	close(stop[0]);
	stop_fd = stop[1];
}

static void flows_join(void)
{
	unsigned int i;

	close(stop_fd);
	for (i = 0; i < FLOWS; i++) {
		test_join(senders[i]);
		test_join(readers[i]);
	}
}

static void flows_stop(void)
{
	flows_join();
	check_eq(carrier_changes(), carrier_before);
}

static uint64_t packets_from(unsigned int queue)
{
	uint64_t sum = 0;
	char name[32];

	for (; queue < QUEUES; queue++) {
		snprintf(name, sizeof(name), "rx%u_packets", queue);
		sum += nic_counter(RECEIVER, name);
	}
	return sum;
}

static void random_key(uint8_t *key)
{
	unsigned int i;

	for (i = 0; i < RSS_KEY; i++)
		key[i] = (uint8_t)rand();
}

/* Any queue but the first. */
static uint32_t random_queue(void)
{
	return 1 + (uint32_t)rand() % (QUEUES - 1);
}

static void random_table(uint32_t *table)
{
	unsigned int i;

	for (i = 0; i < RSS_INDIR; i++)
		table[i] = random_queue();
}

static void random_rule(uint32_t context)
{
	struct ethtool_rx_flow_spec fs = {
		.flow_type = rand() & 1 ? TCP_V4_FLOW : TCP_V6_FLOW,
		.location = (uint32_t)rand() % 8,
	};

	if (rand() % 4 == 0) {
		rule_delete(fs.location);
		return;
	}
	if (!context)
		fs.ring_cookie = random_queue();
	check_eq(rule_add(&fs, context), 0);
}

static void rss_and_rules(void)
{
	uint32_t table[RSS_INDIR], main_context = 0, list[8];
	uint32_t context = ETH_RXFH_CONTEXT_ALLOC;
	uint64_t idle, all;
	uint8_t key[RSS_KEY];
	int i, n;

	random_table(table);
	random_key(key);
	check_eq(rss_set(&main_context, key, table), 0);
	check_eq(rss_set(&context, key, table), 0);
	idle = nic_counter(RECEIVER, "rx0_packets");
	all = packets_from(0);

	flows_start();
	for (i = 0; i < 1000; i++) {
		random_table(table);
		random_key(key);
		switch (i % 4) {
		case 0:
			check_eq(rss_set(&main_context, NULL, table), 0);
			break;
		case 1:
			check_eq(rss_set(&context, key, table), 0);
			break;
		case 2:
			check_eq(rss_set(&main_context, key, NULL), 0);
			break;
		default:
			random_rule(i & 4 ? context : 0);
		}
		usleep(1500);
	}
	check(within(10000, packets_from(0) > all + 1000));
	flows_stop();

	check_eq(nic_counter(RECEIVER, "rx0_packets"), idle);
	n = rule_list(list, 8);
	while (n-- > 0)
		check_eq(rule_delete(list[n]), 0);
	check_eq(rss_delete(context), 0);
}

static void default_offloads(void *arg)
{
	(void)arg;
	impair_none(RECEIVER);
	cmd("ip netns exec devmem-a ethtool -K nsd0 rx on gro on rx-gro-hw on");
	cmd("ip netns exec devmem-b ethtool -K nsd1 tx-tcp-segmentation on");
}

/* Who puts packets together, and who cuts them. */
static void offloads(void)
{
	int i;

	defer(default_offloads, NULL);
	impair(RECEIVER, "reorder", 20000);
	impair(RECEIVER, "duplicate", 20000);
	flows_start();
	for (i = 0; i < 300; i++) {
		if (i == 150) {
			impair_none(RECEIVER);
			must_cmd("ip netns exec devmem-b ethtool -K nsd1 tx-tcp-segmentation off");
		}
		if (i == 225)
			must_cmd("ip netns exec devmem-b ethtool -K nsd1 tx-tcp-segmentation on");
		nic_feature("rx-gro-hw", i & 1);
		if (i % 8 == 4)
			nic_feature("rx-gro", i & 8);
		if (i % 16 == 5)
			nic_feature("rx-checksum", i & 16);
		usleep(5000);
	}
	flows_stop();
}

static void default_table(void)
{
	must_cmd("ip netns exec %s ethtool -X nsd0 default", NS_NAME(RECEIVER));
}

static void change_channels(int times)
{
	unsigned int now;
	uint64_t beyond;
	int i;

	default_table();
	for (i = 0; i < times; i++) {
		now = 1 + (unsigned int)rand() % QUEUES;
		check_eq(channels_set(now), 0);
		beyond = packets_from(now);
		usleep(5000);
		check_eq(packets_from(now), beyond);
	}
	check_eq(channels_set(QUEUES), 0);
}

/* Nothing is lost, either. */
static void channels(void)
{
	uint64_t dropped = nic_counter(RECEIVER, "rx_drop_down");

	flows_start();
	change_channels(25);
	check_eq(nic_counter(RECEIVER, "rx_drop_down"), dropped);
	flows_stop();
}

static void channels_impaired(void)
{
	impair(RECEIVER, "delay_us", 2000);
	impair(RECEIVER, "reorder", 50000);
	impair(RECEIVER, "duplicate", 50000);
	impair(RECEIVER, "loss", 2000);
	flows_start();
	change_channels(12);
	impair_none(RECEIVER);
	flows_stop();
}

/* What is attached goes on being placed when other queues come and go. */
static void channels_bound(void)
{
	static const uint32_t queues[] = { 0, 2 };
	struct neighbour n = {};
	struct bound b;
	int i;

	bind_queues(&b, DEVMEM_BUF_HEAP, 8 << 20, 65536, queues, 2);
	neighbour_start(&n, &b);
	flows_start();
	for (i = 0; i < 15; i++) {
		check_eq(channels_set(2), -EBUSY);
		check_eq(channels_set(3 + (unsigned int)i % 6), 0);
	}
	flows_stop();
	neighbour_stop(&n);
	unbind(&b);
	free_bound(&b);
	check_eq(channels_set(2), 0);
	check_eq(channels_set(QUEUES), 0);
}

static void rings_and_coalescing(void)
{
	struct ethtool_coalesce coal = { .cmd = ETHTOOL_SCOALESCE };
	struct ethtool_ringparam ring = { .cmd = ETHTOOL_SRINGPARAM };
	uint64_t dropped = nic_counter(RECEIVER, "rx_drop_down");
	int i;

	flows_start();
	for (i = 0; i < 50; i++) {
		ring.rx_pending = 64U << rand() % 7;
		ring.tx_pending = 64U << rand() % 7;
		check_eq(nic_ioctl(&ring), 0);
		coal.rx_coalesce_usecs = (uint32_t)rand() % 2000;
		coal.rx_max_coalesced_frames = (uint32_t)rand() % 20;
		check_eq(nic_ioctl(&coal), 0);
		usleep(5000);
	}
	coal.rx_coalesce_usecs = 0;
	check_eq(nic_ioctl(&coal), 0);
	check_eq(nic_counter(RECEIVER, "rx_drop_down"), dropped);
	flows_stop();
}

static void mtu(void)
{
	static const unsigned int mtus[] = { 9000, 1500, 4000, 65535, 1500 };
	unsigned int i;

	flows_start();
	for (i = 0; i < 2 * ARRAY_SIZE(mtus); i++) {
		must_cmd("ip -n %s link set %s mtu %u", NS_NAME(i & 1),
			 DEV_NAME(i & 1), mtus[i / 2 % ARRAY_SIZE(mtus)]);
		usleep(10000);
	}
	flows_stop();
}

/* Here packets are lost, and sent again. */
static void down_and_up(void)
{
	int i;

	for (i = 0; i < 2; i++)
		must_cmd("ip netns exec %s sysctl -qw net.ipv6.conf.%s.keep_addr_on_down=1",
			 NS_NAME(i), DEV_NAME(i));
	flows_start();
	for (i = 0; i < 10; i++) {
		must_cmd("ip -n %s link set %s down", NS_NAME(i & 1), DEV_NAME(i & 1));
		check_eq(channels_set(1 + (unsigned int)rand() % QUEUES), 0);
		must_cmd("ip -n %s link set %s up", NS_NAME(i & 1), DEV_NAME(i & 1));
		usleep(50000);
	}
	flows_join();
	check_cmp(carrier_changes(), >, carrier_before);
	check_eq(channels_set(QUEUES), 0);
}

static void setup(void)
{
	srand(4);
	env_setup(QUEUES);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(offloads, .timeout = 40),
	KTAP_CASE(rss_and_rules, .timeout = 60),
	KTAP_CASE(channels, .timeout = 40),
	KTAP_CASE(channels_impaired, .timeout = 40),
	KTAP_CASE(channels_bound, .timeout = 40),
	KTAP_CASE(rings_and_coalescing, .timeout = 40),
	KTAP_CASE(mtu, .timeout = 40),
	KTAP_CASE(down_and_up, .timeout = 40),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
