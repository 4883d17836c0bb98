// SPDX-License-Identifier: GPL-2.0
/*
 * Super-packets of more than 64 KiB: that net/devmem places them whole, that host
 * memory takes them whole if it may, and that whoever cannot gets every byte of them
 * all the same, in shorter packets. What was on the wire is told by counters of
 * the NIC. Must not know how TCP comes to send such packets, but that it does in
 * the end.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common.h"
#include "common_ctl.h"
#include "common_nic.h"
#include "common_xdp.h"

#define SEED		0x626967ULL
#define KIB		1024U
#define MIB		(1UL << 20)
#define BIG		(256 * KIB)
#define LEGACY		(64 * KIB)
#define MAC_MAX		18	/* with a VLAN tag */
#define STRETCH		(4 * MIB)
#define WINDOW		(4 << 20)	/* SO_RCVBUF; TCP sends half a window at most */

static struct bound b;
static struct conn c;
static struct rx rx;

static uint64_t some(uint64_t bytes)
{
	return bytes / (unsigned int)slow();
}

static void gso_max(uint32_t bytes)
{
	env_enter(SENDER);
	check_eq(ctl_gso_max("nsd1", bytes), 0);
	env_enter(RECEIVER);
}

static void gro_max(uint32_t bytes)
{
	check_eq(ctl_gro_max("nsd0", bytes), 0);
}

/* Pages of the queues' host memory. What changes with the link comes back. */
static void pages(unsigned int size)
{
	must_cmd("ip link set nsd0 down");
	must_cmd("ethtool -G nsd0 rx-buf-len %u", size);
	must_cmd("ip link set nsd0 up");
	must_cmd("ip addr replace %s/64 dev nsd0 nodad", ADDR6(RECEIVER));
	env_ready();
	env_patient();
}

static void restore(void *arg)
{
	(void)arg;
	impair_none(RECEIVER);
	cmd("ethtool -K nsd0 gro on rx-gro-hw on");
	gso_max(LEGACY);
	gro_max(LEGACY);
}

static void restore_pages(void *arg)
{
	(void)arg;
	pages(4096);
}

/* ---- streams -------------------------------------------------------------- */

static void begin(int family, uint64_t buffer, uint32_t chunk)
{
	struct conn_opts opts = { .family = family, .rcvbuf = WINDOW };

	if (chunk)
		bind_buffer(&b, DEVMEM_BUF_GPU, buffer, chunk);
	connect_with(&c, &opts);
	if (chunk)
		attach(c.rx, &b);
	rx_init(&rx, c.rx, chunk ? &b : NULL, SEED);
	rx.plain = !chunk;
}

/* All that one call sends fits the window, and is read when it has been sent: so
 * TCP can make packets as long as may be of it.
 */
static void stream(uint64_t bytes)
{
	uint64_t until = rx.pos + bytes;

	while (rx.pos < until) {
		send_pattern(c.tx, MIB, rx.pos, SEED, MIB);
		rx_all(&rx, MIB);
	}
}

static void end(void)
{
	rx_free(&rx);
	disconnect_pair(&c);
	if (b.buf)
		free_bound(&b);
	memset(&b, 0, sizeof(b));
}

/* How long the super-packets of the next bytes are that come up: the least that
 * their average can be. 0: none are.
 */
static uint64_t average(uint64_t bytes)
{
	uint64_t before, after, packets, sum;

	packets = nic_counter(RECEIVER, "rx_gro_packets");
	before = nic_counter(RECEIVER, "rx_gro_bytes");
	stream(bytes);
	after = nic_counter(RECEIVER, "rx_gro_bytes");
	packets = nic_counter(RECEIVER, "rx_gro_packets") - packets;
	sum = after - before;
	return packets ? sum / packets : 0;
}

/* Sooner or later they are longer than 64 KiB, and no longer than the sender's. */
static void become_big(void)
{
	uint64_t bytes, is;

	for (bytes = 0; bytes < 256 * MIB; bytes += STRETCH) {
		is = average(STRETCH);
		if (is > LEGACY + MAC_MAX)
			break;
	}
	diag("after %llu MiB: %llu bytes on average", (unsigned long long)(bytes / MIB),
	     (unsigned long long)is);
	check_cmp(is, >, LEGACY + MAC_MAX);
	check_cmp(is, <=, BIG);
}

/* What the sender's NIC gets is longer than 64 KiB; what comes up never is longer
 * than @most on average.
 */
static void stay_small(uint64_t most)
{
	uint64_t bytes, packets, sent, is, longest = 0;

	for (bytes = 0; bytes < 256 * MIB; bytes += STRETCH) {
		packets = nic_counter(SENDER, "tx_gso_packets");
		sent = nic_counter(SENDER, "tx_gso_bytes");
		is = average(STRETCH);
		if (is > longest)
			longest = is;
		sent = nic_counter(SENDER, "tx_gso_bytes") - sent;
		packets = nic_counter(SENDER, "tx_gso_packets") - packets;
		if (packets && sent / packets > LEGACY + MAC_MAX)
			break;
	}
	diag("sent: %llu bytes on average, received: %llu",
	     (unsigned long long)(packets ? sent / packets : 0), (unsigned long long)longest);
	check_cmp(bytes, <, 256 * MIB);
	check_cmp(longest, <=, most);
}

/* Nothing was dropped for its length or for want of memory. */
static void no_drops(void)
{
	check_eq(nic_counter(RECEIVER, "rx_drop_length"), 0);
	check_eq(nic_counter(RECEIVER, "rx_drop_nomem"), 0);
}

/* ---- placed --------------------------------------------------------------- */

static void placed_whole(int family, uint32_t chunk)
{
	uint64_t before = nic_counter(RECEIVER, "rx_placed_packets");

	defer(restore, NULL);
	gso_max(BIG);
	gro_max(BIG);
	begin(family, 32 * MIB, chunk);
	become_big();
	rx_check_placed(&rx, rx.bytes);
	check_cmp(nic_counter(RECEIVER, "rx_placed_packets") - before, <,
		  rx.bytes / 1448 / 2);
	no_drops();
	end();
}

static void placed_ipv4(void)
{
	placed_whole(AF_INET, 4 * KIB);
	placed_whole(AF_INET, 64 * KIB);
	placed_whole(AF_INET, 2 * MIB);
}

static void placed_ipv6(void)
{
	placed_whole(AF_INET6, 4 * KIB);
	placed_whole(AF_INET6, 64 * KIB);
	placed_whole(AF_INET6, 2 * MIB);
}

/* Longer than net/devmem takes: its segments are placed. */
static void too_long_to_place(void)
{
	defer(restore, NULL);
	env_enter(SENDER);
	check_eq(ctl_gso_max("nsd1", 1 << 20), -EINVAL);
	env_enter(RECEIVER);
	gso_max(8 * 65535);	/* the kernel's limit */
	gro_max(8 * 65535);
	begin(AF_INET, 32 * MIB, 64 * KIB);
	stream(some(64 * MIB));
	rx_check_placed(&rx, rx.bytes);
	rx_check_info(&rx);
	no_drops();
	end();
}

/* Nobody has asked for more than 64 KiB here. */
static void placed_default(void)
{
	static const int families[] = { AF_INET, AF_INET6 };
	unsigned int i;

	defer(restore, NULL);
	gso_max(BIG);
	for (i = 0; i < ARRAY_SIZE(families); i++) {
		begin(families[i], 32 * MIB, 64 * KIB);
		stay_small(LEGACY - 1 + MAC_MAX);
		rx_check_placed(&rx, rx.bytes);
		no_drops();
		end();
	}
}

/* The receiver has said how long a packet may be. */
static void placed_gro_max(void)
{
	static const int families[] = { AF_INET, AF_INET6 };
	unsigned int i;

	defer(restore, NULL);
	gso_max(BIG);
	gro_max(20000);
	for (i = 0; i < ARRAY_SIZE(families); i++) {
		begin(families[i], 32 * MIB, 64 * KIB);
		stay_small(20000);
		rx_check_placed(&rx, rx.bytes);
		no_drops();
		end();
	}
}

static void without_hardware_gro(void)
{
	static const int families[] = { AF_INET, AF_INET6 };
	unsigned int i;

	defer(restore, NULL);
	gso_max(BIG);
	must_cmd("ethtool -K nsd0 rx-gro-hw off");
	for (i = 0; i < ARRAY_SIZE(families); i++) {
		begin(families[i], 32 * MIB, 64 * KIB);
		stay_small(0);
		rx_check_placed(&rx, rx.bytes);
		end();
		begin(families[i], 0, 0);
		stay_small(0);
		no_drops();
		end();
	}
}

/* An option that the receiver's host would not take is not made. */
static void no_options(void)
{
	defer(restore, NULL);
	gso_max(BIG);
	gro_max(BIG);
	env_sysctl(RECEIVER, "ipv6/max_hbh_opts_number", "0");
	begin(AF_INET6, 32 * MIB, 64 * KIB);
	stream(some(32 * MIB));
	rx_check_placed(&rx, rx.bytes);
	end();
	begin(AF_INET6, 0, 0);
	stream(some(32 * MIB));
	end();
	env_sysctl(RECEIVER, "ipv6/max_hbh_opts_number", "8");
	no_drops();
}

/* The reader keeps all that there is: the rest goes to host memory, in one packet
 * or in several, and is counted once. Then it is placed again.
 */
static void exhausted(int family)
{
	begin(family, MIB, 64 * KIB);
	rx.keep = true;
	while (rx.host < some(16 * MIB))
		stream(MIB);
	check_cmp(rx.placed, >=, MIB / 2);
	check_cmp(rx.placed, <=, MIB);
	rx_check_held(&rx);
	rx.keep = false;
	rx_return(&rx);
	stream(some(16 * MIB));
	check_cmp(rx.placed, >, MIB);
	rx_check_info(&rx);
	no_drops();
	end();
}

static void buffer_exhausted(void)
{
	defer(restore, NULL);
	gso_max(BIG);
	gro_max(BIG);
	exhausted(AF_INET);
	exhausted(AF_INET6);
}

static void buffer_exhausted_large_pages(void)
{
	defer(restore, NULL);
	gso_max(BIG);
	gro_max(BIG);
	defer(restore_pages, NULL);
	pages(65536);
	exhausted(AF_INET);
	exhausted(AF_INET6);
}

/* ---- host memory ---------------------------------------------------------- */

/* As one packet where pages have room for it and the stack wants it. */
static void host(int family)
{
	gro_max(BIG);
	begin(family, 0, 0);
	become_big();
	end();
	gro_max(LEGACY);
	begin(family, 0, 0);
	stay_small(LEGACY + MAC_MAX);
	no_drops();
	end();
}

static void host_large_pages(void)
{
	defer(restore, NULL);
	gso_max(BIG);
	defer(restore_pages, NULL);
	pages(65536);
	host(AF_INET);
	host(AF_INET6);
}

static void host_small_pages(void)
{
	static const int families[] = { AF_INET, AF_INET6 };
	unsigned int i;

	defer(restore, NULL);
	gso_max(BIG);
	gro_max(BIG);
	for (i = 0; i < ARRAY_SIZE(families); i++) {
		begin(families[i], 0, 0);
		stay_small(LEGACY + MAC_MAX);
		no_drops();
		end();
	}
}

static void xdp(void)
{
	defer(restore, NULL);
	defer(xdp_restore, NULL);
	gso_max(BIG);
	xdp_must_set(xdp_all(XDP_FRAGS, XDP_PASS), 0);
	begin(AF_INET, 0, 0);
	stay_small(0);
	end();
	begin(AF_INET6, 0, 0);
	stay_small(0);
	end();
	no_drops();
}

/* What is lost is a segment, not a super-packet, and is sent again. */
static void bad_wire(void)
{
	static const int families[] = { AF_INET, AF_INET6 };
	unsigned int i;

	defer(restore, NULL);
	gso_max(BIG);
	impair(RECEIVER, "seed", 7);
	impair(RECEIVER, "loss", 500);
	impair(RECEIVER, "reorder", 500);
	impair(RECEIVER, "duplicate", 500);
	impair(RECEIVER, "corrupt", 200);
	for (i = 0; i < ARRAY_SIZE(families); i++) {
		begin(families[i], 32 * MIB, 4 * KIB);
		stream(some(8 * MIB));
		end();
		begin(families[i], 0, 0);
		stream(some(8 * MIB));
		end();
	}
}

static void setup(void)
{
	env_setup(4);
	/* as long as may be, however long the way is */
	env_sysctl(SENDER, "ipv4/tcp_tso_rtt_log", "31");
	env_patient();
}

static const struct ktap_case cases[] = {
	KTAP_CASE(placed_ipv4, .timeout = 60),
	KTAP_CASE(placed_ipv6, .timeout = 60),
	KTAP_CASE(too_long_to_place, .timeout = 40),
	KTAP_CASE(placed_default, .timeout = 60),
	KTAP_CASE(placed_gro_max, .timeout = 60),
	KTAP_CASE(without_hardware_gro, .timeout = 60),
	KTAP_CASE(no_options, .timeout = 40),
	KTAP_CASE(buffer_exhausted, .timeout = 60),
	KTAP_CASE(buffer_exhausted_large_pages, .timeout = 60),
	KTAP_CASE(host_large_pages, .timeout = 60),
	KTAP_CASE(host_small_pages, .timeout = 60),
	KTAP_CASE(xdp, .timeout = 60),
	KTAP_CASE(bad_wire, .timeout = 60),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
