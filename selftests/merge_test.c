// SPDX-License-Identifier: GPL-2.0
/*
 * Merging, packet by packet: which placed packets of one poll go up as one, and
 * that the stream is right whatever a peer does between them. Hardware GRO is
 * off, so that it is net/devmem who has them. Must not know of streams that a
 * kernel sends: merge_stream_test.
 *
 * Packets for one poll are sent while the poller has no CPU. Should it get one
 * early, fewer become one: so a case tries several times whether as many do as
 * should, and never may more.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "common.h"
#include "common_nic.h"
#include "common_wire.h"

#define SIZE		(4U << 20)
#define LEN		1000U
#define TRIES		20
#define FLOWS		16

static struct bound b;
static struct wire w;
static struct rx rx;

static void restore(void *arg)
{
	(void)arg;
	env_sysfs_write(RECEIVER, "threaded", "0");
	cmd("ip link set nsd0 gro_max_size 65536");
	cmd("ethtool -K nsd0 gro on rx-gro-hw off");
}

static void bind_one(size_t size, uint32_t chunk)
{
	defer(restore, NULL);
	bind_queues(&b, DEVMEM_BUF_GPU, size, chunk, (uint32_t[]){ 0 }, 1);
	wire_open(&w);
	check_eq(env_sysfs_write(RECEIVER, "threaded", "1"), 0);
	nic_pin_pollers();
}

static void begin(size_t size, uint32_t chunk)
{
	bind_one(size, chunk);
	rx_init(&rx, wire_connect(&w), &b, WIRE_SEED);
	attach(rx.sock, &b);
}

static void finish(void)
{
	rx_check_info(&rx);
	close(rx.sock);
	wire_close(&w);
}

static uint64_t merged(void)
{
	return nic_counter(RECEIVER, "rx_merged_packets");
}

/* These in one poll. */
static void burst(const struct segment *s, size_t nr)
{
	uint64_t before = nic_counter(RECEIVER, "rx_packets");
	size_t i;

	nic_own_cpu();
	for (i = 0; i < nr; i++)
		wire_send(&w, &s[i]);
	nic_share_cpu();
	check(within(2000, nic_counter(RECEIVER, "rx_packets") >= before + nr));
}

/* @nr segments of @len bytes that follow each other, from rx.pos on. */
static void make(struct segment *s, unsigned int nr, unsigned int len)
{
	unsigned int i;

	memset(s, 0, nr * sizeof(*s));
	for (i = 0; i < nr; i++) {
		s[i].pos = rx.pos + i * len;
		s[i].len = len;
		s[i].flags = TCP_ACK;
	}
}

/* They come again, as a peer whose packets get lost would send them, but that none
 * can become one with its neighbour: who counts would not know when they come.
 */
static void again(uint64_t end)
{
	uint64_t pos;

	for (pos = rx.pos; pos < end; pos += LEN)
		wire_send(&w, &(struct segment){
			.pos = pos, .len = end - pos < LEN ? (unsigned int)(end - pos) : LEN,
			.window = pos / LEN % 2 ? 64000 : 63000 });
	rx_all(&rx, end - rx.pos);
}

struct row {
	const char *name;
	void (*change)(struct segment *s);	/* the third of five */
	unsigned int merged;
	bool stays;		/* those behind it do not move with its end */
};

#define CHANGE(fn, what)	static void fn(struct segment *s) { what; }

CHANGE(nothing, (void)s)
CHANGE(push, s->flags |= TCP_PSH)
CHANGE(shorter, s->len--)
CHANGE(one_byte, s->len = 1)
CHANGE(longer, s->len++)
CHANGE(no_payload, s->len = 0)
CHANGE(cwr, s->flags |= TCP_CWR)
CHANGE(ece, s->flags |= TCP_ECE)
CHANGE(syn, s->flags |= TCP_SYN)
CHANGE(urg, s->flags |= TCP_URG; s->urg = 5)
CHANGE(no_ack, s->flags = TCP_PSH)
CHANGE(old_ack, s->ack_off = -1)
CHANGE(window, s->window = 65000)
CHANGE(option, s->tcp_options = 4)
CHANGE(gap, s->pos += 100)
CHANGE(twice, s->pos -= LEN)
CHANGE(overlap, s->pos -= 300)
CHANGE(tos, s->tos = 0x40)
CHANGE(ce, s->tos = 3)
CHANGE(ttl, s->ttl = 63)
CHANGE(no_df, s->no_df = true)
CHANGE(source_mac, s->mac = 1)
CHANGE(bad_tcp, s->bad_csum = 1)
CHANGE(bad_ip, s->bad_csum = 2)
CHANGE(ip_option, s->ip_options = 4)
CHANGE(too_long, s->tot_len_off = 4)
CHANGE(rst, s->flags = TCP_RST; s->seq_off = 1)

static const struct row rows[] = {
	{ "nothing", nothing, 4, false },
	{ "PSH", push, 4, false },
	{ "shorter", shorter, 3, false },
	{ "one byte", one_byte, 3, false },
	{ "longer", longer, 2, false },
	{ "no payload", no_payload, 2, false },
	{ "CWR", cwr, 2, false },
	{ "ECE", ece, 2, false },
	{ "SYN", syn, 2, false },
	{ "URG", urg, 2, false },
	{ "no ACK", no_ack, 2, false },
	{ "acknowledgment", old_ack, 2, false },
	{ "window", window, 2, false },
	{ "option", option, 2, false },
	{ "gap", gap, 1, true },	/* and the fourth overlaps the third */
	{ "twice", twice, 2, true },
	{ "overlap", overlap, 2, true },
	{ "TOS", tos, 2, false },
	{ "CE", ce, 2, false },
	{ "TTL", ttl, 2, false },
	{ "DF", no_df, 2, false },
	{ "MAC", source_mac, 2, false },
	{ "checksum of TCP", bad_tcp, 2, false },
	{ "checksum of IP", bad_ip, 2, false },
	{ "IP options", ip_option, 2, false },
	{ "length of IP", too_long, 2, false },
	{ "RST beside the window's edge", rst, 2, false },
};

static unsigned int try_row(const struct row *r)
{
	struct segment s[5];
	uint64_t before;
	unsigned int i, n;

	make(s, 5, LEN);
	r->change(&s[2]);
	for (i = 3; i < 5 && !r->stays; i++)
		s[i].pos = s[i - 1].pos + s[i - 1].len;
	before = merged();
	burst(s, 5);
	/* the poll may still be about the last one */
	usleep(1000);
	n = (unsigned int)(merged() - before);
	again(s[4].pos + s[4].len);
	return n;
}

static void expect(const struct row *r)
{
	unsigned int i, n, most = 0;

	for (i = 0; i < TRIES && most < r->merged; i++) {
		n = try_row(r);
		if (n > r->merged)
			fail("%s: %u have become part of others, should be %u",
			     r->name, n, r->merged);
		most = n > most ? n : most;
	}
	if (most < r->merged)
		fail("%s: at most %u have become part of others, should be %u",
		     r->name, most, r->merged);
}

static void rules(void)
{
	unsigned int i;

	begin(SIZE, 65536);
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		expect(&rows[i]);
	finish();
}

/* Plain segments: all of them placed, and in few pieces. */
static void plain(uint32_t chunk, unsigned int len)
{
	struct segment s[20];
	uint64_t before;
	unsigned int i;

	begin(SIZE, chunk);
	before = merged();
	for (i = 0; i < 50; i++) {
		make(s, ARRAY_SIZE(s), len);
		burst(s, ARRAY_SIZE(s));
		rx_all(&rx, ARRAY_SIZE(s) * len);
	}
	check_eq(rx.placed, 50 * ARRAY_SIZE(s) * len);
	check_cmp(merged() - before, >, 0);
	finish();
}

static void chunks_64k(void)
{
	plain(65536, 1448);
}

/* A segment ends in the middle of a chunk, and one in the middle of another. */
static void chunks_4k(void)
{
	plain(4096, 1448);
}

static void whole_chunks(void)
{
	plain(4096, 1024);
}

/* Sequence numbers go on behind 2^32 - 1. */
static void sequence_wraps(void)
{
	struct segment s[20];

	bind_one(SIZE, 65536);
	w.sport = htons(0x7fff);
	rx_init(&rx, wire_connect(&w), &b, WIRE_SEED);
	check_eq(w.isn, 0xffffff00);
	attach(rx.sock, &b);
	make(s, ARRAY_SIZE(s), LEN);
	burst(s, ARRAY_SIZE(s));
	rx_all(&rx, ARRAY_SIZE(s) * LEN);
	check_eq(rx.placed, ARRAY_SIZE(s) * LEN);
	finish();
}

/* The end of the stream is with the last of several. */
static void fin(void)
{
	struct segment s[5];

	begin(SIZE, 65536);
	make(s, 5, LEN);
	s[4].flags |= TCP_FIN | TCP_PSH;
	burst(s, 5);
	rx_all(&rx, 5 * LEN);
	rx_eof(&rx);
	check_eq(rx.placed, 5 * LEN);
	finish();
}

/* A reset does not come before the data in front of it: TCP would not believe it
 * then, and nothing else would end the connection.
 */
static void reset_after_data(void)
{
	struct pollfd pfd = { 0 };
	struct segment s[6];

	begin(SIZE, 65536);
	make(s, 6, LEN);
	s[5].flags = TCP_RST;
	s[5].len = 0;
	burst(s, 6);
	rx_all(&rx, 5 * LEN);
	check_eq(rx.placed, 5 * LEN);
	pfd.fd = rx.sock;
	check_eq(poll(&pfd, 1, patient(5000)), 1);
	check_eq(rx_recv(&rx, MSG_DONTWAIT), -ECONNRESET);
	close(rx.sock);
	wire_close(&w);
}

/* Anything, in any order, and then what is missing. */
static void at_random(void)
{
	struct segment s[30];
	uint64_t end, top;
	unsigned int i, round;

	begin(SIZE, 4096);
	srand(1);
	for (round = 0; round < 100; round++) {
		make(s, ARRAY_SIZE(s), LEN);
		top = end = rx.pos;
		for (i = 0; i < ARRAY_SIZE(s); i++) {
			s[i].pos = end;
			s[i].len = rand() % 8 ? LEN : 1 + (unsigned int)rand() % 1448;
			if (!(rand() % 8) && s[i].pos > rx.pos + 2000)
				s[i].pos -= (unsigned int)rand() % 2000;
			if (!(rand() % 16))
				rows[(unsigned int)rand() % ARRAY_SIZE(rows)].change(&s[i]);
			end = s[i].pos + s[i].len;
			top = end > top ? end : top;
		}
		burst(s, ARRAY_SIZE(s));
		again(top);
	}
	check_cmp(rx.placed, >, 0);
	finish();
}

/* The buffer is full when some have become one already. */
static void exhausted(void)
{
	struct segment s[30];

	begin(4 * 4096, 4096);
	rx.keep = true;
	make(s, ARRAY_SIZE(s), LEN);
	burst(s, ARRAY_SIZE(s));
	rx_all(&rx, ARRAY_SIZE(s) * LEN);
	check_cmp(rx.placed, >, 0);
	check_cmp(rx.placed, <=, 4 * 4096);
	check_eq(rx.placed + rx.host, ARRAY_SIZE(s) * LEN);
	rx_check_held(&rx);
	rx_return(&rx);
	again(rx.pos + LEN);
	finish();
}

static struct wire wires[64];
static struct rx streams[64];

/* Connections take turns, packet by packet. Returns how many packets became part
 * of others.
 */
static unsigned int take_turns(unsigned int nr, unsigned int packets)
{
	uint64_t before = merged();
	unsigned int i, k;

	nic_own_cpu();
	for (k = 0; k < packets; k++)
		for (i = 0; i < nr; i++)
			wire_send(&wires[i], &(struct segment){
				.pos = streams[i].pos + k * LEN, .len = LEN });
	nic_share_cpu();
	for (i = 0; i < nr; i++)
		rx_all(&streams[i], packets * LEN);
	return (unsigned int)(merged() - before);
}

static void flows(unsigned int nr)
{
	unsigned int i;

	bind_one(16U << 20, 65536);
	for (i = 0; i < nr; i++) {
		rx_init(&streams[i], wire_connect(&w), &b, WIRE_SEED);
		attach(streams[i].sock, &b);
		wires[i] = w;
	}
}

static void flows_end(unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		check_eq(streams[i].placed, streams[i].bytes);
		rx_check_info(&streams[i]);
		close(streams[i].sock);
	}
	wire_close(&w);
}

/* As many as one poll takes packets, four of each. */
static void sixteen_flows(void)
{
	unsigned int i, n, most = 0;

	flows(FLOWS);
	for (i = 0; i < TRIES && most < FLOWS * 3; i++) {
		n = take_turns(FLOWS, 4);
		check_cmp(n, <=, FLOWS * 3);
		most = n > most ? n : most;
	}
	check_eq(most, FLOWS * 3);
	flows_end(FLOWS);
}

static void sixty_four_flows(void)
{
	unsigned int i;

	flows(64);
	for (i = 0; i < 5; i++)
		take_turns(64, 3);
	flows_end(64);
}

/* It is GRO, and obeys whoever switches that off or limits it. */
static void obeys(void)
{
	static const struct row on = { "GRO on", nothing, 4, false };
	static const struct row off = { "GRO off", nothing, 0, false };
	static const struct row two = { "2500 bytes", nothing, 2, false };
	static const struct row zero = { "0 bytes", nothing, 0, false };
	unsigned int i;

	begin(SIZE, 65536);
	expect(&on);
	must_cmd("ethtool -K nsd0 gro off");
	for (i = 0; i < 5; i++)
		check_eq(try_row(&off), 0);
	must_cmd("ethtool -K nsd0 gro on");
	expect(&on);
	must_cmd("ip link set nsd0 gro_max_size 2500");
	expect(&two);
	must_cmd("ip link set nsd0 gro_max_size 0");
	expect(&zero);
	must_cmd("ip link set nsd0 gro_max_size 65536");
	expect(&on);
	check_eq(rx.host, 0);
	finish();
}

static void setup(void)
{
	env_setup(1);
	must_cmd("ethtool -K nsd0 rx-gro-hw off");
}

static const struct ktap_case cases[] = {
	KTAP_CASE(rules, .timeout = 60),
	KTAP_CASE(chunks_64k),
	KTAP_CASE(chunks_4k),
	KTAP_CASE(whole_chunks),
	KTAP_CASE(sequence_wraps),
	KTAP_CASE(fin),
	KTAP_CASE(reset_after_data),
	KTAP_CASE(at_random, .timeout = 60),
	KTAP_CASE(exhausted),
	KTAP_CASE(sixteen_flows, .timeout = 40),
	KTAP_CASE(sixty_four_flows, .timeout = 40),
	KTAP_CASE(obeys, .timeout = 40),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
