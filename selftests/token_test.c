// SPDX-License-Identifier: GPL-2.0
/*
 * Tokens: what giving one back does, and what giving back nonsense does not do.
 * Above all: memory that a token holds is not written again, whatever goes on
 * around it. Must not know how recvmsg() came by a piece.
 */
#include <stdlib.h>

#include "common.h"

#define SEED	0x70ce

static struct bound b;
static struct conn c;
static struct rx rx;
static uint64_t sent;

static void open_stream(size_t size, uint32_t chunk)
{
	struct conn_opts opts = { .family = AF_INET, .rcvbuf = 1 << 20 };

	bind_buffer(&b, DEVMEM_BUF_GPU, size, chunk);
	connect_with(&c, &opts);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
	rx.keep = true;
}

static void push(uint64_t bytes)
{
	send_pattern(c.tx, bytes, sent, SEED, 4000);
	sent += bytes;
}

/* Hold @nr tokens: one byte each, of pieces that lie next to each other. */
static void hold(unsigned int nr)
{
	size_t most = rx.linear_size;

	push(nr);
	rx_queued(&rx, nr);
	rx.linear_size = 1;
	while (nr--)
		check_eq(rx_recv(&rx, MSG_DONTWAIT), 1);
	rx.linear_size = most;
	rx_check_placed(&rx, rx.bytes);
}

static int give(int sock, const struct devmem_range *ranges, unsigned int nr)
{
	return setsockopt(sock, SOL_SOCKET, SO_DEVMEM_DONTNEED, ranges,
			  nr * sizeof(*ranges));
}

static int give_one(int sock, uint32_t start, uint32_t count)
{
	struct devmem_range range = { start, count };

	return give(sock, &range, 1);
}

static uint64_t held_by_kernel(void)
{
	struct devmem_info info;

	check_eq(devmem_sock_info(c.rx, &info, 0), 0);
	return info.tokens_held;
}

static uint32_t chunks_free(void)
{
	struct devmem_bind_info info;

	bound_info(&b, &info);
	return info.chunks_free;
}

static void returned_twice(void)
{
	uint32_t token;

	open_stream(1 << 20, 65536);
	hold(2);
	token = rx.held[0].token;
	check_eq(give_one(c.rx, token, 1), 1);
	check_eq(give_one(c.rx, token, 1), 0);
	check_eq(give_one(c.rx, token, 1), 0);
	check_eq(held_by_kernel(), 1);
	rx_check_held(&rx);
	check_eq(give_one(c.rx, rx.held[1].token, 1), 1);
	check_eq(give_one(c.rx, rx.held[1].token, 1), 0);
	check_eq(held_by_kernel(), 0);
}

/* The same number several times in one call counts once. */
static void returned_twice_at_once(void)
{
	struct devmem_range ranges[4];
	unsigned int i;

	open_stream(1 << 20, 65536);
	hold(3);
	for (i = 0; i < 4; i++)
		ranges[i] = (struct devmem_range) { rx.held[0].token, 2 };
	check_eq(give(c.rx, ranges, 4), 2);
	check_eq(held_by_kernel(), 1);
}

static void never_issued(void)
{
	uint32_t token;

	open_stream(1 << 20, 65536);
	check_eq(give_one(c.rx, 0, 1), 0);
	check_eq(give_one(c.rx, 1, 1000), 0);
	hold(5);
	token = rx.held[4].token;
	check_eq(give_one(c.rx, 0, 1), 0);
	check_eq(give_one(c.rx, token + 1, 1000), 0);
	check_eq(give_one(c.rx, UINT32_MAX, 1), 0);
	check_eq(give_one(c.rx, UINT32_MAX - 500, 501), 0);
	/* numbers that a table of any size would confuse with those issued */
	check_eq(give_one(c.rx, token + 64, 1), 0);
	check_eq(give_one(c.rx, token + 4096, 1), 0);
	check_eq(give_one(c.rx, token + (1U << 20), 1), 0);
	check_eq(give_one(c.rx, token + (1U << 31), 1), 0);
	check_eq(held_by_kernel(), 5);
	check_eq(give_one(c.rx, token, 0), 0);
	check_eq(give_one(c.rx, rx.held[0].token, UINT32_MAX), 5);
	check_eq(held_by_kernel(), 0);
}

/* Two sockets of one binding: a number means its own token to each. */
static void somebody_elses(void)
{
	struct conn other;
	struct rx rx2;
	unsigned int i;

	open_stream(1 << 20, 4096);
	connect_pair(&other, AF_INET);
	attach(other.rx, &b);
	rx_init(&rx2, other.rx, &b, SEED + 1);
	rx2.keep = true;
	hold(50);
	for (i = 0; i < 50; i++)
		check_eq(give_one(other.rx, rx.held[i].token, 1), 0);
	check_eq(held_by_kernel(), 50);

	/* and when both have the same numbers out */
	send_pattern(other.tx, 3000, 0, SEED + 1, 3000);
	rx_all(&rx2, 3000);
	for (i = 0; i < 50; i++)
		give_one(other.rx, rx.held[i].token, 1);
	rx2.nr_held = 0;
	check_eq(rx_check_info(&rx2).tokens_held, 0);
	check_eq(held_by_kernel(), 50);

	for (i = 0; i < 100; i++) {
		send_pattern(other.tx, 30000, 3000 + i * 30000, SEED + 1, 30000);
		rx_all(&rx2, 30000);
		rx_return(&rx2);
	}
	rx_check_held(&rx);
	rx_return(&rx);
}

static void ranges(void)
{
	static struct devmem_range many[129];
	unsigned int i;

	open_stream(1 << 20, 65536);
	hold(300);
	/* every other number, so that no two make a range */
	for (i = 0; i < 129; i++)
		many[i] = (struct devmem_range) { rx.held[2 * i].token, 1 };
	check_errno(give(c.rx, many, 129), EINVAL);
	check_errno(give(c.rx, many, 0), EINVAL);
	check_errno(setsockopt(c.rx, SOL_SOCKET, SO_DEVMEM_DONTNEED, many, 12), EINVAL);
	check_errno(setsockopt(c.rx, SOL_SOCKET, SO_DEVMEM_DONTNEED, many, 4), EINVAL);
	check_errno(setsockopt(c.rx, SOL_SOCKET, SO_DEVMEM_DONTNEED, NULL, 8), EFAULT);
	check_eq(held_by_kernel(), 300);
	check_eq(give(c.rx, many, 128), 128);
	check_eq(held_by_kernel(), 172);
	check_eq(give(c.rx, many, 128), 0);
	check_eq(give_one(c.rx, rx.held[0].token, 300), 172);
	check_eq(held_by_kernel(), 0);
}

/* 1024 numbers are the most that one call looks at. */
static void at_most_1024_at_once(void)
{
	struct devmem_range two[2];
	uint32_t first;

	open_stream(1 << 20, 65536);
	hold(2500);
	first = rx.held[0].token;
	check_eq(give_one(c.rx, first, 1024), 1024);
	check_eq(give_one(c.rx, first + 1024, 1100), 1024);
	two[0] = (struct devmem_range) { first, 1000 };	/* already back */
	two[1] = (struct devmem_range) { first + 2048, 100 };
	check_eq(give(c.rx, two, 2), 24);
	check_eq(held_by_kernel(), 2500 - 2 * 1024 - 24);
	check_eq(give_one(c.rx, first + 2048, 1000), 2500 - 2048 - 24);
	check_eq(held_by_kernel(), 0);
}

/* Tens of thousands out, returned in an order that has no order. */
static void many_in_random_order(void)
{
	const unsigned int nr = 20000;
	struct rx_piece swap;
	unsigned int i, j;

	open_stream(1 << 20, 4096);
	hold(nr);
	check_eq(held_by_kernel(), nr);
	rx_check_held(&rx);
	srandom(1);
	for (i = nr - 1; i; i--) {
		j = (unsigned int)random() % (i + 1);
		swap = rx.held[i];
		rx.held[i] = rx.held[j];
		rx.held[j] = swap;
	}
	rx_return(&rx);
	check_eq(held_by_kernel(), 0);
	hold(10);
	rx_return(&rx);
}

/* A small buffer, most of it given back again and again, some of it not. */
static void held_memory_stays(void)
{
	const uint64_t bytes = 12 << 20;
	struct rx old;
	pid_t pid;

	open_stream(1 << 20, 65536);
	pid = send_start(&c, bytes, SEED, 5000, SEND_SHUTDOWN);
	rx_all(&rx, 300000);
	old = rx;
	rx.held = NULL;
	rx.nr_held = 0;
	rx.max_held = 0;
	rx.keep = false;
	rx_all(&rx, bytes - 300000);
	rx_eof(&rx);
	test_join(pid);
	rx_check_held(&old);
	check_cmp(rx.placed, >, 2 << 20);	/* what is not held was used again */
	check_eq(held_by_kernel(), old.nr_held);
	rx_return(&old);
	check_eq(held_by_kernel(), 0);
}

/* Of the pieces of each chunk one is kept: it keeps the chunk. */
static void one_piece_keeps_its_chunk(void)
{
	size_t before, mid, i;
	unsigned int round;

	open_stream(1 << 20, 4096);
	for (round = 0; round < 150; round++) {
		push(4000);
		rx_queued(&rx, 4000);
		rx.linear_size = 801;
		before = rx.nr_held;
		while (rx.bytes < sent)
			check_cmp(rx_recv(&rx, MSG_DONTWAIT), >, 0);
		mid = (before + rx.nr_held) / 2;
		for (i = before; i < rx.nr_held; i++)
			if (i != mid)
				check_eq(give_one(c.rx, rx.held[i].token, 1), 1);
		rx.held[before] = rx.held[mid];
		rx.nr_held = before + 1;
	}
	rx_check_placed(&rx, 600000);
	check_eq(held_by_kernel(), 150);
	rx_check_held(&rx);
	check_cmp(chunks_free(), <, 256 - 100);
	rx_return(&rx);
	check_cmp(chunks_free(), >=, 255);
}

/* A chunk is free when its last token is back, in the very call. */
static void memory_is_free_at_once(void)
{
	open_stream(1 << 20, 65536);
	push(5 * 65536);
	rx_queued(&rx, 5 * 65536);
	check_eq(chunks_free(), 11);
	rx_all(&rx, 5 * 65536);
	check_eq(chunks_free(), 11);
	check_eq(give_one(c.rx, rx.held[0].token, 1), 1);
	check_eq(chunks_free(), 12);
	check_eq(give_one(c.rx, rx.held[1].token, 4), 4);
	check_eq(chunks_free(), 16);
}

/* One process reads, another gives back, with no lock between them. */
static void another_process_returns(void)
{
	const uint64_t bytes = 8 << 20;
	int fds[2];
	uint32_t token = 0;
	uint64_t n = 0;
	pid_t tx, giver;
	size_t i;

	/* room for what may be unread and for what may be held: no end of placing */
	open_stream(4 << 20, 4096);
	must(pipe(fds));
	giver = test_fork();
	if (!giver) {
		close(fds[1]);
		while (must(read(fds[0], &token, sizeof(token))) == sizeof(token))
			check_eq(give_one(c.rx, token, 1), 1);
		_exit(0);
	}
	close(fds[0]);
	tx = send_start(&c, bytes, SEED, 1500, SEND_SHUTDOWN);
	while (rx.bytes < bytes) {
		rx_wait(&rx);
		check_cmp(rx_recv(&rx, MSG_DONTWAIT), >, 0);
		for (i = 0; i < rx.nr_held; i++, n++)
			check_eq(write(fds[1], &rx.held[i].token, sizeof(token)),
				 sizeof(token));
		rx.nr_held = 0;
		check(within(5000, held_by_kernel() < 256));
	}
	close(fds[1]);
	test_join(tx);
	test_join(giver);
	check_eq(n, rx.pieces);
	check_cmp(rx.placed, >, bytes / 2);
	check_eq(held_by_kernel(), 0);
}

static void setup(void)
{
	env_setup(4);
	env_patient();
}

static const struct ktap_case cases[] = {
	KTAP_CASE(returned_twice),
	KTAP_CASE(returned_twice_at_once),
	KTAP_CASE(never_issued),
	KTAP_CASE(somebody_elses),
	KTAP_CASE(ranges),
	KTAP_CASE(at_most_1024_at_once),
	KTAP_CASE(many_in_random_order),
	KTAP_CASE(held_memory_stays),
	KTAP_CASE(one_piece_keeps_its_chunk),
	KTAP_CASE(memory_is_free_at_once),
	KTAP_CASE(another_process_returns),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
