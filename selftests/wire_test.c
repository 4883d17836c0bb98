// SPDX-License-Identifier: GPL-2.0
/*
 * A hostile peer: strange, broken and contradictory packets for an attached
 * connection. What is delivered must be right, what follows must still be
 * placed, and a neighbour's stream, on the same binding, must not notice.
 * Urgent data: urgent_test.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"
#include "common_wire.h"

static struct bound b;
static struct wire w;
static struct rx rx;
static struct neighbour near;

/* An attached connection from the hostile peer, and a neighbour. */
static void begin(void)
{
	bind_buffer(&b, DEVMEM_BUF_GPU, 4 << 20, 65536);
	neighbour_start(&near, &b);
	wire_open(&w);
	rx_init(&rx, wire_connect(&w), &b, WIRE_SEED);
	attach(rx.sock, &b);
}

/* The next @len bytes come, and the last @placed of them are placed. */
static void goes_on(uint64_t len, uint64_t placed)
{
	uint64_t before;

	rx_all(&rx, len - placed);
	before = rx.placed;
	rx_all(&rx, placed);
	check_eq(rx.placed - before, placed);
}

static void finish(void)
{
	neighbour_stop(&near);
	rx_check_info(&rx);
	close(rx.sock);
	wire_close(&w);
}

/* Everything so far was without effect: 20000 plain bytes from rx.pos on. */
static void still_in_order(void)
{
	uint64_t pos = rx.pos;

	wire_data(&w, pos, 20000, 0);
	goes_on(20000, 20000);
}

/* The peer itself works. */
static void plain(void)
{
	int round;

	begin();
	for (round = 0; round < 10; round++)
		still_in_order();
	check_eq(rx.placed, 200000);
	finish();
}

static void strange_flags(void)
{
	static const uint8_t flags[] = {
		TCP_SYN, TCP_SYN | TCP_ACK, TCP_SYN | TCP_FIN,
		TCP_SYN | TCP_RST, TCP_SYN | TCP_ACK | TCP_FIN | TCP_PSH,
		TCP_PSH, TCP_FIN, TCP_FIN | TCP_PSH | TCP_URG, 0x3f, 0xff, 0x40,
		0x80, TCP_SYN | 0xc0, TCP_URG, TCP_SYN | TCP_URG | TCP_ACK,
	};
	static const int32_t seqs[] = { 0, 1, -1, 500, -500, 30000, 1 << 30 };
	size_t i, k;

	begin();
	still_in_order();
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		for (k = 0; k < ARRAY_SIZE(seqs); k++) {
			struct segment s = {
				.pos = rx.pos, .flags = flags[i],
				.seq_off = seqs[k], .len = 700, .seed = 1,
			};

			/* at the very edge a RST is a RST */
			if (s.flags & TCP_RST && !s.seq_off)
				continue;
			wire_send(&w, &s);
			s.len = 0;
			wire_send(&w, &s);
		}
		still_in_order();
	}
	finish();
}

/* RST that is not exactly at the edge must not break the connection; the one
 * that is does, and what was placed before it stays.
 */
static void resets(void)
{
	static const int32_t seqs[] = { -1, 1, 1000, 20000, -20000, 1 << 30 };
	struct pollfd pfd;
	size_t i;

	begin();
	still_in_order();
	for (i = 0; i < ARRAY_SIZE(seqs); i++) {
		wire_send(&w, &(struct segment){ .pos = rx.pos, .seq_off = seqs[i],
						 .flags = TCP_RST });
		wire_send(&w, &(struct segment){ .pos = rx.pos, .seq_off = seqs[i],
						 .flags = TCP_RST | TCP_ACK, .len = 300 });
		still_in_order();
	}
	rx.keep = true;
	still_in_order();
	wire_send(&w, &(struct segment){ .pos = rx.pos, .flags = TCP_RST, .len = 500 });
	pfd = (struct pollfd){ .fd = rx.sock };
	check_eq(poll(&pfd, 1, patient(5000)), 1);
	check_eq(rx_recv(&rx, MSG_DONTWAIT), -ECONNRESET);
	check_eq(rx_recv(&rx, MSG_DONTWAIT), 0);
	rx_check_held(&rx);
	rx_return(&rx);
	finish();
}

static void data_after_fin(void)
{
	begin();
	still_in_order();
	wire_send(&w, &(struct segment){ .pos = rx.pos + 1000, .len = 500,
					 .flags = TCP_FIN | TCP_ACK });
	wire_send(&w, &(struct segment){ .pos = rx.pos + 1500, .len = 900, .seed = 2 });
	wire_send(&w, &(struct segment){ .pos = rx.pos, .len = 1000 });
	wire_send(&w, &(struct segment){ .pos = rx.pos + 1501, .len = 900, .seed = 2 });
	wire_send(&w, &(struct segment){ .pos = rx.pos + 1500, .len = 900, .seed = 2,
					 .flags = TCP_FIN | TCP_ACK });
	rx_all(&rx, 1500);
	rx_eof(&rx);
	finish();
}

static void bad_checksums(void)
{
	uint64_t errors;
	int i;

	begin();
	errors = nic_counter(RECEIVER, "rx_csum_errors");
	for (i = 0; i < 20; i++) {
		wire_send(&w, &(struct segment){ .pos = rx.pos, .len = 1000, .seed = 3,
						 .bad_csum = 1 });
		wire_send(&w, &(struct segment){ .pos = rx.pos, .len = 1000, .seed = 3,
						 .bad_csum = 2 });
		wire_send(&w, &(struct segment){ .pos = rx.pos + 1000, .len = 1000,
						 .seed = 3, .bad_csum = 3 });
		still_in_order();
	}
	check_cmp(nic_counter(RECEIVER, "rx_csum_errors"), >=, errors + 40);
	finish();
}

/* To host memory with them, in order with what is placed. */
static void options(void)
{
	unsigned int n;

	begin();
	for (n = 4; n <= 40; n += 4) {
		wire_send(&w, &(struct segment){ .pos = rx.pos, .len = 900,
						 .ip_options = n });
		wire_send(&w, &(struct segment){ .pos = rx.pos + 900, .len = 900,
						 .tcp_options = n });
		wire_send(&w, &(struct segment){ .pos = rx.pos + 1800, .len = 200,
						 .ip_options = n, .tcp_options = 44 - n });
		rx_all(&rx, 2000);
		still_in_order();
	}
	check_cmp(rx.host, >=, 10 * 1100);
	finish();
}

static void fragments(void)
{
	static const uint16_t sizes[] = { 8, 16, 24, 40, 512, 1000 };
	size_t i;
	int order;

	begin();
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (order = 0; order < 2; order++) {
			wire_send(&w, &(struct segment){
				.pos = rx.pos, .len = 1100 + 7 * (unsigned int)i,
				.fragment = sizes[i], .last_first = (uint8_t)order });
			rx_all(&rx, 1100 + 7 * i);
			still_in_order();
		}
	}
	check_cmp(rx.host, >=, 12 * 1100);
	finish();
}

/* Lengths that contradict each other: each is dropped or counts for what the
 * IP header says.
 */
static void wrong_lengths(void)
{
	static const struct segment bad[] = {
		{ .doff = 1 }, { .doff = 4 }, { .doff = 15, .len = 20 },
		{ .doff = 15 }, { .doff = 6, .len = 3 },
		{ .tot_len_off = 1, .len = 100 }, { .tot_len_off = 60000, .len = 100 },
		{ .tot_len_off = -1, .len = 100 }, { .tot_len_off = -110, .len = 100 },
		{ .tot_len_off = -125, .len = 100 }, { .cut = 1, .len = 100 },
		{ .tot_len_off = -140, .len = 100 },	/* 0, as of a super-packet */
		{ .cut = 100, .len = 100 }, { .cut = 110, .len = 100 },
		{ .cut = 130, .len = 100 },
	};
	unsigned int pad;
	size_t i;

	begin();
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct segment s = bad[i];

		s.pos = rx.pos;
		s.seed = 4;
		wire_send(&w, &s);
		s.fragment = 32;
		if (!s.cut)
			wire_send(&w, &s);
		still_in_order();
	}
	/* what lies behind the packet in its frame does not count */
	for (pad = 1; pad < 200; pad += 33) {
		wire_send(&w, &(struct segment){ .pos = rx.pos, .len = 1000, .pad = pad });
		rx_all(&rx, 1000);
		wire_send(&w, &(struct segment){ .pos = rx.pos, .len = 0, .pad = pad });
		still_in_order();
	}
	finish();
}

/* Packets that end in a header. */
static void stumps(void)
{
	unsigned char ip[64] = { 0x45 };
	size_t len;

	begin();
	ip[9] = IPPROTO_TCP;
	ip[12] = 10; ip[13] = 9; ip[15] = 66;
	ip[16] = 10; ip[17] = 9; ip[19] = 1;
	memcpy(ip + 20, &w.sport, 2);
	memcpy(ip + 22, &w.dport, 2);
	for (len = 1; len < sizeof(ip); len++) {
		ip[3] = (unsigned char)len;
		wire_raw(&w, ip, len);
		ip[3] = 40;
		wire_raw(&w, ip, len);
		ip[0] = (unsigned char)(0x40 | len % 16);
		wire_raw(&w, ip, len);
		ip[0] = 0x45;
	}
	still_in_order();
	finish();
}

static void out_of_window(void)
{
	static const int32_t seqs[] = {
		-1, -999, -1000, -1001, -20000, -(1 << 20), 8 << 20, 1 << 30,
		0x7fffffff, -0x7fffffff,
	};
	size_t i;
	int k;

	begin();
	still_in_order();
	for (i = 0; i < ARRAY_SIZE(seqs); i++) {
		wire_send(&w, &(struct segment){ .pos = rx.pos, .seq_off = seqs[i],
						 .len = seqs[i] == -1 ? 1 : 999, .seed = 5 });
		wire_send(&w, &(struct segment){ .pos = rx.pos, .seq_off = seqs[i] });
		wire_send(&w, &(struct segment){ .pos = rx.pos, .ack_off = seqs[i],
						 .len = 0 });
		still_in_order();
	}
	/* acknowledgments of nothing, one after the other */
	for (k = 0; k < 200; k++)
		wire_send(&w, &(struct segment){ .pos = rx.pos, .ack_off = k % 3 - 1 });
	still_in_order();
	finish();
}

/* Retransmissions that say something else: neither what waits to be read, in
 * order or not, nor what was read and is still held, may change.
 */
static void overlaps(void)
{
	uint64_t pos;
	int round;

	begin();
	rx.keep = true;
	for (round = 0; round < 10; round++) {
		pos = rx.pos;
		/* waits to be read */
		wire_data(&w, pos, 4000, 1000);
		wire_send(&w, &(struct segment){ .pos = pos, .len = 1000, .seed = 6 });
		wire_send(&w, &(struct segment){ .pos = pos + 500, .len = 1000, .seed = 6 });
		wire_send(&w, &(struct segment){ .pos = pos + 3999, .len = 1, .seed = 6 });
		/* waits for what comes before it */
		wire_send(&w, &(struct segment){ .pos = pos + 5000, .len = 1000 });
		wire_send(&w, &(struct segment){ .pos = pos + 5000, .len = 1000, .seed = 6 });
		wire_send(&w, &(struct segment){ .pos = pos + 5300, .len = 200, .seed = 6 });
		wire_send(&w, &(struct segment){ .pos = pos + 7000, .len = 1000 });
		wire_send(&w, &(struct segment){ .pos = pos + 6000, .len = 1400 });
		/* not right behind the last: GRO would make one segment of them,
		 * and TCP may then prefer its end to what it already has
		 */
		wire_send(&w, &(struct segment){ .pos = pos + 7401, .len = 99, .seed = 6 });
		wire_send(&w, &(struct segment){ .pos = pos + 3700, .len = 1300 });
		rx_all(&rx, 8000);
		/* was read */
		wire_send(&w, &(struct segment){ .pos = pos, .len = 1400, .seed = 6 });
		wire_send(&w, &(struct segment){ .pos = pos + 6600, .len = 1400, .seed = 6 });
		rx_check_held(&rx);
	}
	/* what is new of those that overlap came in host memory */
	check_eq(rx.placed + rx.host, rx.bytes);
	check_cmp(rx.placed, >=, rx.bytes / 2);
	rx_return(&rx);
	still_in_order();
	finish();
}

/* One byte at a time, all in reverse, and each three times. */
static void tiny_and_backwards(void)
{
	uint64_t pos, at;
	int i;

	begin();
	for (pos = 0; pos < 600; pos += 40) {
		for (at = 40; at-- > 0;)
			for (i = 0; i < 3; i++)
				wire_send(&w, &(struct segment){ .pos = pos + at, .len = 1 });
		rx_all(&rx, 40);
	}
	still_in_order();
	finish();
}

/* The peer leaves a gap and is never heard of again. What came behind the gap
 * goes with the descriptor, not with what TCP keeps for the peer's sake.
 */
static void closed_with_a_gap(void)
{
	struct devmem_info info;

	begin();
	still_in_order();
	wire_send(&w, &(struct segment){ .pos = rx.pos + 500, .len = 1000 });
	check(within(2000, !devmem_sock_info(rx.sock, &info, 0) &&
		     info.placed_bytes == rx.placed + 1000));
	neighbour_stop(&near);
	close(rx.sock);
	unbind(&b);
	check(within(2000, !live_object("chunks") && !live_object("bindings")));
	wire_close(&w);
}

static void setup(void)
{
	env_setup(8);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(plain),
	KTAP_CASE(strange_flags),
	KTAP_CASE(resets),
	KTAP_CASE(data_after_fin),
	KTAP_CASE(bad_checksums),
	KTAP_CASE(options),
	KTAP_CASE(fragments),
	KTAP_CASE(wrong_lengths),
	KTAP_CASE(stumps),
	KTAP_CASE(out_of_window),
	KTAP_CASE(overlaps),
	KTAP_CASE(tiny_and_backwards),
	KTAP_CASE(closed_with_a_gap),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
