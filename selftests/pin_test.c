// SPDX-License-Identifier: GPL-2.0
/*
 * How much memory a peer can hold without a byte that somebody is to read: by bytes
 * that come again, that are not to come yet, or with acknowledgments of what was not
 * sent; and by connections that say nothing any more. Nothing of it is placed that TCP
 * would throw away, no byte is placed twice, and who has read all holds nothing.
 */
#include <string.h>
#include <unistd.h>

#include "common.h"
#include "common_wire.h"

#define CHUNK	65536U
#define CHUNKS	64U
#define ROUNDS	70U	/* more than there are chunks */
#define BAD	66U	/* segments of a round: more than a chunk */
#define SIZE	1000U
#define FIRST	(80U * SIZE)
#define OTHER	0xbad

static const uint32_t queue;
static struct bound b;
static struct wire w;
static struct rx rx;

static void bind_it(void)
{
	bind_queues(&b, DEVMEM_BUF_GPU, CHUNKS * CHUNK, CHUNK, &queue, 1);
	check_eq(b.res.chunks, CHUNKS);
}

static void begin(void)
{
	bind_it();
	wire_open(&w);
	rx_init(&rx, wire_connect(&w), &b, WIRE_SEED);
	attach(rx.sock, &b);
}

static uint32_t chunks_free(void)
{
	struct devmem_bind_info info;

	unpark();
	bound_info(&b, &info);
	return info.chunks_free;
}

static void acknowledged(uint64_t pos)
{
	if (!wire_acked(&w, pos, patient(5000)))
		fail("byte %llu is not acknowledged", (unsigned long long)pos - 1);
}

/* Bytes in order, read as they come. */
static void plain_bytes(uint64_t bytes)
{
	uint64_t step = 20 * SIZE;

	for (; bytes; bytes -= step) {
		step = bytes < step ? bytes : step;
		wire_data(&w, rx.pos, step, SIZE);
		rx_all(&rx, step);
	}
	acknowledged(rx.pos);
}

/* One byte that is to be read, then what @bad makes a segment to throw away, again
 * and again. The bytes lie in one chunk or two, so no more are held.
 */
static void rounds(void (*bad)(struct segment *s, unsigned int k))
{
	struct devmem_info info;
	struct segment s;
	unsigned int i, k;

	begin();
	plain_bytes(FIRST);
	for (i = 0; i < ROUNDS; i++) {
		wire_send(&w, &(struct segment){ .pos = rx.pos + i, .len = 1,
						 .flags = TCP_ACK | TCP_PSH });
		acknowledged(rx.pos + i + 1);
		for (k = 0; k < BAD; k++) {
			s = (struct segment){ .pos = rx.pos + i + 1, .len = SIZE,
					      .flags = TCP_ACK | TCP_PSH };
			bad(&s, k);
			wire_send(&w, &s);
		}
	}
	rx_queued(&rx, ROUNDS);
	if (!within(2000, chunks_free() >= CHUNKS - 3))
		fail("%u bytes wait to be read, and only %u chunks of %u are free",
		     ROUNDS, chunks_free(), CHUNKS);
	rx_all(&rx, ROUNDS);
	check(within(2000, chunks_free() >= CHUNKS - 1));
	/* the connection is none the worse */
	plain_bytes(FIRST);
	info = rx_check_info(&rx);
	check_eq(info.placed_bytes, rx.placed);
	/* all that came, not what TCP has got of it; the NIC may have dropped some */
	check_cmp(info.fallback_bytes, >=, rx.host + ROUNDS * BAD * SIZE / 2);
	diag("placed %llu, host %llu", (unsigned long long)rx.placed,
	     (unsigned long long)rx.host);
}

static void the_first_one(struct segment *s, unsigned int k)
{
	(void)k;
	s->pos = 0;
}

static void old_bytes(void)
{
	rounds(the_first_one);
}

static void many_before(struct segment *s, unsigned int k)
{
	s->pos = k * SIZE;
}

static void old_bytes_in_order(void)
{
	rounds(many_before);
}

static void far_ahead(struct segment *s, unsigned int k)
{
	s->pos += 65536 + k * SIZE;
	s->seed = OTHER;
}

static void beyond_the_window(void)
{
	rounds(far_ahead);
}

static void of_nothing_sent(struct segment *s, unsigned int k)
{
	s->ack_off = 100000 + (int32_t)k;
	s->seed = OTHER;
}

static void acknowledges_what_was_not_sent(void)
{
	rounds(of_nothing_sent);
}

static void of_long_ago(struct segment *s, unsigned int k)
{
	s->ack_off = -0x40000000 + (int32_t)k;
	s->seed = OTHER;
}

static void acknowledges_what_was_long_ago(void)
{
	rounds(of_long_ago);
}

/* ---- twice ------------------------------------------------------------- */

/* All @bytes have come, and no more were placed, even of what comes afterwards. */
static void at_most_once(uint64_t bytes)
{
	struct devmem_info info;

	rx_all(&rx, bytes);
	plain_bytes(FIRST);
	info = rx_check_info(&rx);
	diag("placed %llu of %llu", (unsigned long long)info.placed_bytes,
	     (unsigned long long)rx.bytes);
	check_cmp(info.placed_bytes, <=, rx.bytes);
}

static void each_three_times(void)
{
	unsigned int i;

	begin();
	for (i = 0; i < 150; i++)
		wire_data(&w, i / 3 * SIZE, SIZE, SIZE);
	at_most_once(50 * SIZE);
}

/* Out of order, each overlaps others; the hole before them is filled in the end. */
static void overlapping(void)
{
	unsigned int i, pos;

	begin();
	for (i = 0; i < 200; i++) {
		pos = SIZE + i * 7919 % 27 * 700;
		wire_send(&w, &(struct segment){ .pos = pos, .len = SIZE,
						 .flags = TCP_ACK | TCP_PSH });
	}
	wire_send(&w, &(struct segment){ .pos = 0, .len = SIZE + 400,
					 .flags = TCP_ACK | TCP_PSH });
	at_most_once(SIZE + 26 * 700 + SIZE);
}

/* Each is longer than the one before and begins where that did. */
static void growing(void)
{
	unsigned int i;

	begin();
	for (i = 0; i < 100; i++) {
		wire_send(&w, &(struct segment){ .pos = i * 100, .len = 900,
						 .flags = TCP_ACK | TCP_PSH });
		wire_send(&w, &(struct segment){ .pos = i * 100, .len = 1000,
						 .flags = TCP_ACK | TCP_PSH });
	}
	at_most_once(99 * 100 + 1000);
}

/* ---- connections that say nothing -------------------------------------- */

/* As many as there are chunks; each has had a byte, which was read. */
static void idle_flows(void)
{
	static struct conn c[CHUNKS + 1];
	unsigned int i;
	struct rx one;
	pid_t pid;

	bind_it();
	for (i = 0; i <= CHUNKS; i++) {
		connect_pair(&c[i], i & 1 ? AF_INET6 : AF_INET);
		attach(c[i].rx, &b);
	}
	for (i = 0; i < CHUNKS; i++) {
		send_pattern(c[i].tx, 1, 0, i, 1);
		rx_init(&one, c[i].rx, &b, i);
		rx_all(&one, 1);
		rx_free(&one);
	}
	check(within(2000, chunks_free() == CHUNKS));
	rx_init(&rx, c[CHUNKS].rx, &b, OTHER);
	pid = send_start(&c[CHUNKS], 2 << 20, OTHER, 50000, SEND_SHUTDOWN);
	rx_all(&rx, 2 << 20);
	rx_eof(&rx);
	test_join(pid);
	rx_check_placed(&rx, 2 << 20);
	/* those that were idle have not forgotten how */
	for (i = 0; i < CHUNKS; i++) {
		send_pattern(c[i].tx, 999, 1, i, 999);
		rx_init(&one, c[i].rx, &b, i);
		one.pos = 1;
		rx_all(&one, 999);
		check_eq(one.placed, 999);
		rx_free(&one);
	}
	check(within(2000, chunks_free() == CHUNKS));
}

/* The reader keeps the tokens: so many chunks are held, and no more. */
static void idle_flows_with_readers(void)
{
	static struct conn c[CHUNKS];
	static struct rx each[CHUNKS];
	unsigned int i, held = CHUNKS / 2;

	bind_it();
	for (i = 0; i < CHUNKS; i++) {
		connect_pair(&c[i], AF_INET);
		attach(c[i].rx, &b);
		send_pattern(c[i].tx, 1, 0, i, 1);
		rx_init(&each[i], c[i].rx, &b, i);
		each[i].keep = true;
		rx_all(&each[i], 1);
		if (i >= held)
			rx_return(&each[i]);
	}
	check(within(2000, chunks_free() >= CHUNKS - held));
	for (i = 0; i < held; i++) {
		rx_check_held(&each[i]);
		rx_return(&each[i]);
	}
	check(within(2000, chunks_free() == CHUNKS));
}

static void setup(void)
{
	env_setup(4);
	env_patient();
}

static const struct ktap_case cases[] = {
	KTAP_CASE(old_bytes, .timeout = 40),
	KTAP_CASE(old_bytes_in_order, .timeout = 40),
	KTAP_CASE(beyond_the_window, .timeout = 40),
	KTAP_CASE(acknowledges_what_was_not_sent, .timeout = 40),
	KTAP_CASE(acknowledges_what_was_long_ago, .timeout = 40),
	KTAP_CASE(each_three_times),
	KTAP_CASE(overlapping),
	KTAP_CASE(growing),
	KTAP_CASE(idle_flows, .timeout = 40),
	KTAP_CASE(idle_flows_with_readers, .timeout = 40),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
