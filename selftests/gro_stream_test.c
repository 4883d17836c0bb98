// SPDX-License-Identifier: GPL-2.0
/*
 * Streams with hardware GRO and with none, with super-packets on their way and
 * with none, into each kind of memory, on a good wire and on a bad one: every
 * byte is right, and where it should be. Which packets become one is gro_test's.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "common.h"
#include "common_nic.h"
#include "common_provider.h"

#define SEED		0x67726fULL
#define MIB		(1UL << 20)
#define QUEUES		4

enum memory { HOST, BINDING, PROVIDER, MEMORIES };

static struct ctl_nl nl;

/* Less where all is slower: these are many streams. */
static uint64_t some(uint64_t bytes)
{
	return bytes / (unsigned int)slow();
}

static void restore(void *arg)
{
	(void)arg;
	impair_none(RECEIVER);
	cmd("ethtool -K nsd0 gro on rx-gro-hw on");
	cmd("ethtool -C nsd0 rx-usecs 0");
	cmd("ip netns exec devmem-b ethtool -K nsd1 tso on gso on");
}

static void set(bool gro, bool tso)
{
	defer(restore, NULL);
	must_cmd("ethtool -K nsd0 rx-gro-hw %s", gro ? "on" : "off");
	must_cmd("ip netns exec devmem-b ethtool -K nsd1 tx-tcp-segmentation %s tx-tcp6-segmentation %s gso %s",
		 tso ? "on" : "off", tso ? "on" : "off", tso ? "on" : "off");
}

static void stream(enum memory memory, int family, uint64_t bytes, size_t size)
{
	struct bound b = { 0 };
	struct conn c;
	struct rx rx;
	pid_t pid;

	if (memory == BINDING)
		bind_buffer(&b, DEVMEM_BUF_GPU, 4 * MIB, 16384);
	if (memory == PROVIDER)
		kernel_bind_queues(&nl, &b, 8 * MIB, 0, QUEUES);
	connect_pair(&c, family);
	if (memory == BINDING)
		attach(c.rx, &b);
	pid = send_start(&c, bytes, SEED, size, SEND_SHUTDOWN);
	rx_init(&rx, c.rx, memory == HOST ? NULL : &b, SEED);
	rx.plain = memory != BINDING;
	rx_all(&rx, bytes);
	close(c.tx);
	rx_eof(&rx);
	test_join(pid);
	if (memory == BINDING && only_again(&b)) {
		check_eq(rx.placed + rx.host, bytes);
		check_cmp(rx.placed, >=, bytes / 2);
	} else {
		check_eq(rx.placed, memory == HOST ? 0 : bytes);
	}
	close(c.rx);
	rx_free(&rx);
	if (memory == BINDING)
		free_bound(&b);
	if (memory == PROVIDER) {
		kernel_unbind(&nl);
		devmem_buf_free(b.buf);
	}
}

/* Does the NIC put packets together? */
static void streams(bool gro, bool tso, uint64_t bytes, size_t size)
{
	static const char *const names[] = { "host memory", "a binding", "a provider" };
	uint64_t merged, wire;
	enum memory memory;
	int i;

	set(gro, tso);
	/* each poll finds several packets, however slowly they are sent */
	must_cmd("ethtool -C nsd0 rx-usecs 10000");
	for (memory = 0; memory < MEMORIES; memory++) {
		for (i = 0; i < 2; i++) {
			diag("%s, IPv%c, hardware GRO %s, TSO %s", names[memory],
			     i ? '6' : '4', gro ? "on" : "off", tso ? "on" : "off");
			merged = nic_counter(RECEIVER, "rx_gro_packets");
			wire = nic_counter(RECEIVER, "rx_gro_wire_packets");
			stream(memory, i ? AF_INET6 : AF_INET, bytes, size);
			merged = nic_counter(RECEIVER, "rx_gro_packets") - merged;
			wire = nic_counter(RECEIVER, "rx_gro_wire_packets") - wire;
			if (!gro)
				check_eq(merged, 0);
			else
				check_cmp(merged, >, 0);
			check_cmp(wire, >=, 2 * merged);
		}
	}
}

static void gro_and_tso(void)
{
	streams(true, true, some(MIB), 65536);
}

static void gro_without_tso(void)
{
	streams(true, false, some(MIB), 65536);
}

static void tso_without_gro(void)
{
	streams(false, true, some(MIB), 65536);
}

static void neither(void)
{
	streams(false, false, some(MIB), 65536);
}

/* Both sides agree about what was on the wire, super-packets or not. */
static void both_sides_count_the_same(void)
{
	struct nic_count before[] = {
		{ SENDER, "tx_packets", 0 }, { RECEIVER, "rx_packets", 0 },
		{ SENDER, "tx_bytes", 0 }, { RECEIVER, "rx_bytes", 0 },
	};
	struct nic_count after[ARRAY_SIZE(before)];
	uint64_t grown[ARRAY_SIZE(before)];
	unsigned int mode, i;

	memcpy(after, before, sizeof(after));
	for (mode = 0; mode < 4; mode++) {
		set(mode & 1, mode & 2);
		nic_counts_quiet(before, ARRAY_SIZE(before));
		stream(HOST, AF_INET, MIB, 30000);
		nic_counts_quiet(after, ARRAY_SIZE(after));
		for (i = 0; i < ARRAY_SIZE(before); i++)
			grown[i] = after[i].value - before[i].value;
		check_eq(grown[0], grown[1]);
		check_eq(grown[2], grown[3]);
		check_cmp(grown[1], >, MIB / 1500);
		check_cmp(grown[3], >, MIB + MIB / 1500 * 54);
	}
}

/* What a bad wire does it does to single packets, whatever the sender made of
 * them: less of a super-packet is lost than all of it.
 */
static void bad_wire(bool gro, enum memory memory)
{
	uint64_t lost, wire;

	set(gro, true);
	impair(RECEIVER, "seed", 99);
	impair(RECEIVER, "loss", 10000);
	impair(RECEIVER, "reorder", 20000);
	impair(RECEIVER, "duplicate", 20000);
	if (memory != PROVIDER)
		impair(RECEIVER, "corrupt", 2000);
	impair(RECEIVER, "delay_us", 200);
	lost = nic_counter(RECEIVER, "rx_impair_loss");
	wire = nic_counter(RECEIVER, "rx_packets");
	stream(memory, AF_INET, 2 * MIB, 65536);
	lost = nic_counter(RECEIVER, "rx_impair_loss") - lost;
	wire = nic_counter(RECEIVER, "rx_packets") - wire;
	check_cmp(wire, >, 2 * MIB / 1500);
	/* of 1400 and more, ten in a thousand */
	check_cmp(lost, >=, 1);
	check_cmp(lost, <=, wire / 40);
	impair_none(RECEIVER);
}

static void bad_wire_with_gro(void)
{
	bad_wire(true, BINDING);
	bad_wire(true, HOST);
	bad_wire(true, PROVIDER);
}

static void bad_wire_without_gro(void)
{
	bad_wire(false, BINDING);
	bad_wire(false, HOST);
	bad_wire(false, PROVIDER);
}

/* Jumbo frames: few segments in a super-packet, several pages in a segment. */
static void jumbo(void)
{
	must_cmd("ip link set nsd0 mtu 9000");
	must_cmd("ip netns exec devmem-b ip link set nsd1 mtu 9000");
	streams(false, true, some(MIB), 65536);
	streams(true, false, some(MIB), 65536);
	must_cmd("ip link set nsd0 mtu 1500");
	must_cmd("ip netns exec devmem-b ip link set nsd1 mtu 1500");
}

/* Small segments in small writes: the last of each has PSH. */
static void small_writes(void)
{
	streams(true, true, some(200000), 1999);
	streams(false, true, some(200000), 1999);
}

/* Payload begins in the header buffer. */
static void without_header_split(void)
{
	struct ctl_answer answer;

	set(true, false);
	must_cmd("ethtool -C nsd0 rx-usecs 200");
	set_split(false, &answer);
	check_eq(answer.err, 0);
	stream(HOST, AF_INET, some(MIB), 65536);
	stream(HOST, AF_INET6, some(MIB), 65536);
	set_split(true, &answer);
	check_eq(answer.err, 0);
}

/* Until nobody has the other end of @stop: whoever were killed would leave a command
 * of his running.
 */
static void toggle(int stop)
{
	struct pollfd pfd = { .fd = stop, .events = POLLIN };
	unsigned int i;

	for (i = 0; !poll(&pfd, 1, 0); i++) {
		nic_feature("rx-gro-hw", i & 1);
		usleep((useconds_t)rand() % 5000);
		if (i % 64 == 3)
			cmd("ip netns exec devmem-b ethtool -K nsd1 tx-tcp-segmentation %s",
			    i & 64 ? "on" : "off");
	}
	_exit(0);
}

/* It is switched on and off in mid-stream, with packets in the delay line. */
static void toggled_mid_stream(void)
{
	static const unsigned int delays[] = { 0, 500 };
	enum memory memory;
	unsigned int i;
	int stop[2];
	pid_t pid;

	defer(restore, NULL);
	must(pipe2(stop, O_CLOEXEC));
	pid = test_fork();
	if (!pid) {
		close(stop[1]);
		toggle(stop[0]);
	}
	for (i = 0; i < ARRAY_SIZE(delays); i++) {
		impair(RECEIVER, "delay_us", delays[i]);
		for (memory = 0; memory < MEMORIES; memory++)
			stream(memory, AF_INET6, some(4 * MIB), 65536);
	}
	close(stop[1]);
	test_join(pid);
}

static void setup(void)
{
	env_setup(QUEUES);
	ask_for_split();
	/* TCP means to have no more under way than goes in a millisecond; they wait for ten */
	env_sysctl(SENDER, "ipv4/tcp_pacing_ss_ratio", "1000");
	env_sysctl(SENDER, "ipv4/tcp_pacing_ca_ratio", "1000");
}

static const struct ktap_case cases[] = {
	KTAP_CASE(gro_and_tso, .timeout = 40),
	KTAP_CASE(gro_without_tso, .timeout = 40),
	KTAP_CASE(tso_without_gro, .timeout = 40),
	KTAP_CASE(neither, .timeout = 40),
	KTAP_CASE(both_sides_count_the_same, .timeout = 40),
	KTAP_CASE(bad_wire_with_gro, .timeout = 40),
	KTAP_CASE(bad_wire_without_gro, .timeout = 40),
	KTAP_CASE(jumbo, .timeout = 40),
	KTAP_CASE(small_writes, .timeout = 40),
	KTAP_CASE(without_header_split, .timeout = 40),
	KTAP_CASE(toggled_mid_stream, .timeout = 40),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
