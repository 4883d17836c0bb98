// SPDX-License-Identifier: GPL-2.0
/*
 * Hardware GRO, packet by packet: which packets that one poll takes off the wire
 * become one, what the one looks like, what is counted. The stack's own GRO, which
 * has the same rules, comes behind the NIC and finds nothing to do: the NIC's
 * counters tell who did it. Must not know of streams.
 */
#include <sys/utsname.h>

#include "common.h"
#include "common_frame.h"

#define GROUPS		8
#define FRAMES		64

static struct frame frames[FRAMES];

/* @nr segments that follow each other. */
static void make(const struct frame *like, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		frames[i] = *like;
		frames[i].seq += i * like->len;
		frames[i].id += i;
	}
}

/* Payload begins where that of the one before ends. */
static void relay(unsigned int nr)
{
	unsigned int i;

	for (i = 1; i < nr; i++)
		frames[i].seq = frames[i - 1].seq + frames[i - 1].len;
}

/* The arrival of the @nr frames from @first on as one. */
static void check_group(const struct arrival *a, unsigned int first, unsigned int nr)
{
	const struct frame *f = &frames[first], *last = &frames[first + nr - 1];
	unsigned int i, len = 0, segs = 0;

	for (i = first; i < first + nr; i++) {
		len += frames[i].len;
		segs += frame_segs(&frames[i]);
	}
	check_eq(a->len, len);
	check_eq(a->gso_size, segs == 1 ? 0 : f->gso_size ? f->gso_size : f->len);
	check_eq(a->flags, f->flags | (last->flags & (F_PSH | F_FIN)));
	check_eq(a->ecn, segs > 1 && f->flags & F_CWR);
	if (f->family == AF_INET)
		check_eq(a->id, f->id);
	check_eq(a->right, !f->bad_ip_csum);
	if (segs == 1)
		check_eq(a->csum_right, !f->bad_tcp_csum);
}

/* Which of the groups begins like this? */
static unsigned int find_group(const char *name, const uint8_t *groups, unsigned int nr,
			       const bool *seen, const struct arrival *a,
			       unsigned int *first)
{
	unsigned int g;

	*first = 0;
	for (g = 0; g < nr; *first += groups[g++])
		if (!seen[g] && frames[*first].seq == a->seq &&
		    frames[*first].sport == a->sport)
			return g;
	fail("%s: no packet should begin at %u: %u bytes of port %u", name, a->seq,
	     a->len, a->sport);
}

/* Send the first frames, which must come in groups of these sizes (0: the end).
 * A bad one may come a bit out of its turn: the stack's GRO has it go ahead.
 */
static void expect(const char *name, const uint8_t *groups)
{
	unsigned int nr_groups, nr = 0, bytes = 0, packets = 0, merged = 0, wire = 0;
	unsigned int g, first, segs, i;
	struct frame_counters before, after;
	bool seen[FRAMES] = { 0 };
	struct arrival a;

	for (nr_groups = 0; groups[nr_groups]; nr_groups++) {
		for (segs = 0, i = nr; i < nr + groups[nr_groups]; i++) {
			bytes += frame_bytes(&frames[i]);
			segs += frame_segs(&frames[i]);
		}
		nr = i;
		packets += segs;
		merged += segs > 1;
		wire += segs > 1 ? segs : 0;
	}
	frames_drain();
	frames_send(frames, nr, &before);
	for (i = 0; i < nr_groups; i++) {
		if (!frame_arrives(&a, patient(2000)))
			fail("%s: %u packets have come, should be %u", name, i, nr_groups);
		g = find_group(name, groups, nr_groups, seen, &a, &first);
		seen[g] = true;
		if (groups[g] == 1 && a.len != frames[first].len)
			fail("%s: packet %u has become one with others", name, first);
		check_group(&a, first, groups[g]);
	}
	if (frame_arrives(&a, 20))
		fail("%s: more packets than expected", name);

	frame_counters_read(&after);
	if (after.gro - before.gro != merged)
		fail("%s: the NIC has put %llu together, should be %u", name,
		     (unsigned long long)(after.gro - before.gro), merged);
	check_eq(after.wire - before.wire, wire);
	/* others may talk, too */
	check_cmp(after.packets - before.packets, >=, packets);
	check_cmp(after.bytes - before.bytes, >=, bytes);
}

struct row {
	const char *name;
	void (*change)(struct frame *x);	/* the third of five */
	uint8_t groups[GROUPS];
};

#define CHANGE(fn, what)	static void fn(struct frame *x) { what; }

CHANGE(nothing, (void)x)
CHANGE(push, x->flags |= F_PSH)
CHANGE(fin, x->flags |= F_FIN)
CHANGE(shorter, x->len--)
CHANGE(one_byte, x->len = 1)
CHANGE(longer, x->len++)
CHANGE(no_payload, x->len = 0)
CHANGE(cwr, x->flags |= F_CWR)
CHANGE(ece, x->flags |= F_ECE)
CHANGE(syn, x->flags |= F_SYN)
CHANGE(rst, x->flags |= F_RST)
CHANGE(urg, x->flags |= F_URG; x->urg = 5)
CHANGE(no_ack, x->flags &= (uint8_t)~F_ACK)
CHANGE(ack_number, x->ack++)
CHANGE(window, x->window--)
CHANGE(stamp, x->stamp++)
CHANGE(no_stamp, x->stamp = 0)
CHANGE(gap, x->seq += 100)
CHANGE(again, x->seq -= FRAME_SIZE)
CHANGE(tos, x->tos ^= 0x40)
CHANGE(ce, x->tos |= 3)
CHANGE(ttl, x->ttl--)
CHANGE(vlan, x->vlan = 7)
CHANGE(source_mac, x->mac = 9)
CHANGE(bad_tcp, x->bad_tcp_csum = true)
CHANGE(ip_option, x->ip_option = true)
CHANGE(no_df, x->df = false)
CHANGE(id_gap, x->id += 10)
CHANGE(id_same, x->id--)
CHANGE(bad_ip, x->bad_ip_csum = true)
CHANGE(label, x->label++)

#define SPLIT	{ 2, 1, 2 }

static const struct row rows[] = {
	{ "nothing", nothing, { 5 } },
	{ "PSH", push, { 3, 2 } },
	{ "FIN", fin, { 3, 2 } },
	{ "shorter", shorter, { 3, 2 } },
	{ "one byte", one_byte, { 3, 2 } },
	{ "longer", longer, { 2, 2, 1 } },
	{ "no payload", no_payload, SPLIT },
	{ "CWR", cwr, { 2, 3 } },
	{ "ECE", ece, SPLIT },
	{ "SYN", syn, SPLIT },
	{ "RST", rst, SPLIT },
	{ "URG", urg, SPLIT },
	{ "no ACK", no_ack, SPLIT },
	{ "acknowledgment", ack_number, SPLIT },
	{ "window", window, SPLIT },
	{ "timestamp", stamp, SPLIT },
	{ "no timestamp", no_stamp, SPLIT },
	{ "gap", gap, SPLIT },
	{ "TOS", tos, SPLIT },
	{ "CE", ce, SPLIT },
	{ "TTL", ttl, SPLIT },
	{ "VLAN", vlan, SPLIT },
	{ "MAC", source_mac, SPLIT },
	{ "checksum of TCP", bad_tcp, SPLIT },
	{ "IP options", ip_option, SPLIT },
};

static const struct row rows4[] = {
	{ "DF", no_df, SPLIT },
	{ "id", id_gap, SPLIT },
	{ "the same id", id_same, SPLIT },
	{ "checksum of IP", bad_ip, SPLIT },
};

static const struct row rows6[] = {
	{ "flow label", label, SPLIT },
};

static void run_rows(const struct frame *like, const struct row *r, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		make(like, 5);
		r[i].change(&frames[2]);
		/* what is to be out of order is, the rest follows */
		if (r[i].change != gap)
			relay(5);
		expect(r[i].name, r[i].groups);
	}
}

static void rules_ipv4(void)
{
	frames_open();
	run_rows(&frame_plain4, rows, ARRAY_SIZE(rows));
	run_rows(&frame_plain4, rows4, ARRAY_SIZE(rows4));
}

static void rules_ipv6(void)
{
	frames_open();
	run_rows(&frame_plain6, rows, ARRAY_SIZE(rows));
	run_rows(&frame_plain6, rows6, ARRAY_SIZE(rows6));
}

/* A retransmission ends what is there. What comes then continues that. */
static void retransmission(void)
{
	frames_open();
	make(&frame_plain4, 6);
	again(&frames[3]);
	again(&frames[4]);
	again(&frames[5]);
	expect("again", (uint8_t[]){ 3, 3, 0 });
}

/* Newer kernels' own GRO takes packets with one IP id together, DF or not, when the
 * NIC has left them apart.
 */
static bool stack_wants_df(void)
{
	struct utsname uts;

	must(uname(&uts));
	return !strncmp(uts.release, "6.12.", 5);
}

/* IP ids that ascend, with or without DF; that stay the same, with DF only. */
static void ids(void)
{
	unsigned int i;

	frames_open();
	make(&frame_plain4, 5);
	for (i = 0; i < 5; i++)
		frames[i].df = false;
	expect("ascending without DF", (uint8_t[]){ 5, 0 });
	make(&frame_plain4, 5);
	for (i = 0; i < 5; i++)
		frames[i].id = 3;
	expect("fixed with DF", (uint8_t[]){ 5, 0 });
	if (stack_wants_df()) {
		for (i = 0; i < 5; i++)
			frames[i].df = false;
		expect("fixed without DF", (uint8_t[]){ 1, 1, 1, 1, 1, 0 });
	}
	make(&frame_plain4, 5);
	frames[1].id = frames[0].id;
	for (i = 2; i < 5; i++)
		frames[i].id += 7;
	expect("fixed, then ascending", (uint8_t[]){ 2, 3, 0 });
}

/* The first of a sequence may have CWR, no other flag of its own. */
static void flags_of_the_first(void)
{
	frames_open();
	make(&frame_plain6, 5);
	frames[0].flags |= F_CWR;
	expect("CWR", (uint8_t[]){ 5, 0 });
	frames[0].flags = F_ACK | F_PSH;
	expect("PSH", (uint8_t[]){ 1, 4, 0 });
	frames[0].flags = F_ACK | F_FIN;
	expect("FIN", (uint8_t[]){ 1, 4, 0 });
	frames[0].flags = F_ACK;
	frames[4].flags |= F_PSH | F_FIN;
	expect("PSH and FIN of the last", (uint8_t[]){ 5, 0 });
}

/* A fragment may be anybody's: all that is there comes before it. (The stack's
 * own GRO then does put the rest together.)
 */
static void fragments(void)
{
	struct frame_counters before, after;

	frames_open();
	make(&frame_plain4, 6);
	frames[5] = frames[4];
	frames[4] = frames[3];
	frames[3] = frames[2];
	frames[2].fragment = true;
	frames[2].sport++;
	frames_count(frames, 6, &before, &after);
	check_eq(after.gro - before.gro, 2);
	check_eq(after.wire - before.wire, 5);
}

/* Connections are apart: each has its own sequence, in one poll. */
static void two_connections(void)
{
	struct frame_counters before, after;
	struct frame mixed[20];
	unsigned int i, n = 0;
	struct arrival a;

	frames_open();
	make(&frame_plain4, 10);
	for (i = 0; i < 10; i++) {
		mixed[2 * i] = frames[i];
		mixed[2 * i + 1] = frames[i];
		mixed[2 * i + 1].sport++;
	}
	frames_send(mixed, 20, &before);
	while (n < 2 && frame_arrives(&a, patient(2000))) {
		check_eq(a.len, 10 * FRAME_SIZE);
		check(a.right);
		n++;
	}
	check_eq(n, 2);
	frame_counters_read(&after);
	check_eq(after.gro - before.gro, 2);
	check_eq(after.wire - before.wire, 20);
}

/* There are eight contexts. With one connection more, each packet pushes one
 * out that could have waited; none is lost, and none comes out of order.
 */
static void more_connections_than_contexts(void)
{
	uint32_t next[12];
	struct frame_counters before, after;
	struct frame mixed[60];
	unsigned int i, bytes = 0;
	struct arrival a;

	frames_open();
	make(&frame_plain6, 5);
	for (i = 0; i < 12; i++)
		next[i] = frame_plain6.seq;
	for (i = 0; i < 60; i++) {
		mixed[i] = frames[i / 12];
		mixed[i].sport = (uint16_t)(FRAME_SPORT + i % 12);
	}
	frames_send(mixed, 60, &before);
	while (bytes < 60 * FRAME_SIZE) {
		if (!frame_arrives(&a, patient(2000)))
			fail("%u bytes have come", bytes);
		check(a.right);
		check_eq(a.seq, next[a.sport - FRAME_SPORT]);
		next[a.sport - FRAME_SPORT] += a.len;
		bytes += a.len;
	}
	frame_counters_read(&after);
	check_cmp(after.packets - before.packets, >=, 60);
	check_cmp(after.wire - before.wire, <, 60);

	for (i = 0; i < 40; i++) {
		mixed[i] = frames[i / 8];
		mixed[i].sport = (uint16_t)(FRAME_SPORT + i % 8);
	}
	frames_count(mixed, 40, &before, &after);
	check_eq(after.gro - before.gro, 8);
	check_eq(after.wire - before.wire, 40);
}

/* No IP packet is longer than 65535 bytes. */
static void length_limit(void)
{
	struct frame like = frame_plain4;

	frames_open();
	like.len = 1400;		/* and 52 of headers */
	make(&like, 60);
	expect("60 * 1400", (uint8_t[]){ 46, 14, 0 });
	must_cmd("ip link set nsd0 mtu 9000");
	must_cmd("ip netns exec devmem-b ip link set nsd1 mtu 9000");
	like.len = 8186;		/* 8 of them are 65528 with the headers */
	like.stamp = 0;
	make(&like, 9);
	expect("9 * 8186", (uint8_t[]){ 8, 1, 0 });
	like.len = 8187;		/* one more than fits */
	make(&like, 9);
	expect("9 * 8187", (uint8_t[]){ 7, 2, 0 });
}

/* What is too long for the MTU is dropped, each packet by itself. */
static void too_long(void)
{
	struct frame_counters before;
	struct arrival a;

	frames_open();
	must_cmd("ip netns exec devmem-b ip link set nsd1 mtu 9000");
	frames[0] = frame_plain4;
	frames[0].len = 1449;
	make(&frames[0], 5);
	frames_send(frames, 5, &before);
	check(within(2000, nic_counter(RECEIVER, "rx_drop_length") >= before.too_long + 5));
	check(!frame_arrives(&a, 20));
	check_eq(nic_counter(RECEIVER, "rx_drop_length"), before.too_long + 5);
}

/* Super-packets and single ones of one size continue each other. */
static void super_packets(void)
{
	static const struct frame *const likes[] = { &frame_plain4, &frame_plain6 };
	unsigned int i;

	frames_open();
	for (i = 0; i < ARRAY_SIZE(likes); i++) {
		make(likes[i], 4);
		frames[1].len = 3 * FRAME_SIZE;
		frames[1].gso_size = FRAME_SIZE;
		frames[2].id = frames[1].id + 3;
		frames[3].id = frames[2].id + 1;
		frames[3].len = 2 * FRAME_SIZE + 1;
		frames[3].gso_size = FRAME_SIZE;
		relay(4);
		expect("super-packets", (uint8_t[]){ 4, 0 });

		frames[1].len = 2 * FRAME_SIZE + 1;	/* the end of a sequence */
		relay(4);
		if (likes[i] == &frame_plain4)
			frames[1].id = frames[0].id + 1;
		expect("a short end", (uint8_t[]){ 2, 2, 0 });

		frames[1].len = 3 * (FRAME_SIZE - 1);	/* another size */
		frames[1].gso_size = FRAME_SIZE - 1;
		relay(4);
		expect("another size", (uint8_t[]){ 1, 1, 2, 0 });
	}
}

/* Nothing waits for what might still come. */
static void nothing_waits(void)
{
	struct frame_counters before;
	struct arrival a;
	int i;

	frames_open();
	make(&frame_plain4, 20);
	for (i = 0; i < 20; i++) {
		frames_send(&frames[i], 1, &before);
		check(frame_arrives(&a, patient(2000)));
		check_eq(a.len, FRAME_SIZE);
		check_eq(a.gso_size, 0);
	}
}

static void setup(void)
{
	env_setup(1);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(rules_ipv4, .timeout = 40),
	KTAP_CASE(rules_ipv6, .timeout = 40),
	KTAP_CASE(retransmission),
	KTAP_CASE(ids),
	KTAP_CASE(flags_of_the_first),
	KTAP_CASE(fragments),
	KTAP_CASE(two_connections),
	KTAP_CASE(more_connections_than_contexts),
	KTAP_CASE(length_limit, .timeout = 40),
	KTAP_CASE(too_long, .timeout = 40),
	KTAP_CASE(super_packets, .timeout = 40),
	KTAP_CASE(nothing_waits),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
