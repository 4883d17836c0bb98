// SPDX-License-Identifier: GPL-2.0
/*
 * Pieces of a receiver's buffer that somebody holds, on each path alike: nobody writes
 * to them, whatever becomes of their connection, of others and of the receiver; and when
 * all memory is held, the sender waits.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common_receiver.h"

#define MANY	4096

struct held {
	struct devmem_conn *conn;
	uint64_t pos;
	struct devmem_piece piece;
};

static struct held held[MANY];
static unsigned int nr_held;
static uint64_t pos;		/* in the stream of @conn */
static uint64_t in_buffer, in_host;

/* The path has the NIC set up, and lets users hold half of the buffer. */
static bool halves(enum devmem_via via)
{
	return via == DEVMEM_VIA_KERNEL || via == DEVMEM_VIA_ZCRX;
}

/* Take what comes, up to @end of the stream at least; keep what lies in the buffer. Where
 * there may be too much of that, until there is.
 */
static void hold(uint64_t end, uint64_t seed)
{
	struct devmem_piece piece;
	struct devmem_msg *msg;
	ssize_t n;

	must_ok(devmem_msg_alloc(&msg, 100000, 16, 0));
	while (pos < end) {
		n = devmem_conn_recv(conn, msg, 0);
		if (n == -ENOBUFS && halves(devmem_rx_via(rx)))
			break;
		must_ok(n);
		check_cmp(n, >, 0);
		while (devmem_msg_next(msg, &piece)) {
			if (piece.type == DEVMEM_PIECE_DMABUF) {
				check_cmp(nr_held, <, MANY);
				held[nr_held++] = (struct held) { conn, pos, piece };
				in_buffer += piece.size;
			} else {
				check_eq(piece.type, DEVMEM_PIECE_LINEAR);
				check_eq(devmem_pattern_check(piece.data, piece.size, pos,
							      seed), -1);
				in_host += piece.size;
			}
			pos += piece.size;
		}
	}
	devmem_msg_free(msg);
}

/* A new connection brings so much, and all of it is taken. */
static void hold_stream(int family, uint64_t bytes, uint64_t seed)
{
	pid_t pid;

	connect_rx(family);
	pos = 0;
	pid = send_start(&c, bytes, seed, 50000, 0);
	hold(bytes, seed);
	check_eq(pos, bytes);
	test_join(pid);
	close(c.tx);
}

static void check_held(unsigned int from, unsigned int to, uint64_t seed)
{
	unsigned char *bytes = malloc(STAGING);

	check(bytes);
	for (; from < to; from++) {
		const struct devmem_piece *piece = &held[from].piece;

		must_ok(devmem_buf_read(staging, piece->offset, bytes, piece->size, 0));
		check_eq(devmem_pattern_check(bytes, piece->size, held[from].pos, seed), -1);
	}
	free(bytes);
}

static void give_back(unsigned int from, unsigned int to)
{
	for (; from < to; from++)
		check_eq(devmem_conn_release(held[from].conn, held[from].piece.token), 0);
}

/* Connections end and others come while pieces of the first are held. */
static void outlive(enum devmem_via via)
{
	unsigned int first, second;

	open_rx(via, DEVMEM_BUF_GPU);
	hold_stream(AF_INET, STAGING / 2, SEED);
	check_cmp(in_buffer, >=, STAGING / 4);
	first = nr_held;
	devmem_conn_close(conn);

	/* more than the buffer has */
	hold_stream(AF_INET6, 2 * STAGING, SEED + 1);
	check_cmp(in_host, >, 0);
	second = nr_held;
	devmem_conn_close(conn);
	check_held(0, first, SEED);
	check_held(first, second, SEED + 1);
	give_back(first, second);

	hold_stream(AF_INET, STAGING, SEED + 2);
	check_held(0, first, SEED);
	check_held(second, nr_held, SEED + 2);
	devmem_rx_close(rx);
	check_held(0, first, SEED);
	give_back(0, first);
	devmem_conn_close(conn);
	check_held(second, nr_held, SEED + 2);
	give_back(second, nr_held);
	check(within(3000, !live_object("tokens") && !live_object("bindings")));
	devmem_buf_free(staging);
	devmem_buf_free(tensor);
}

static void outlive_placed(void)
{
	outlive(DEVMEM_VIA_DEVMEM);
}

static void outlive_copied(void)
{
	outlive(DEVMEM_VIA_COPY);
}

/* Who holds much there gets no more: others receive all the same. */
static void outlive_half(enum devmem_via via)
{
	unsigned int first;
	pid_t pid;

	open_rx(via, DEVMEM_BUF_GPU);
	connect_rx(AF_INET);
	pid = send_start(&c, STAGING / 8, SEED, 50000, 0);
	hold(STAGING / 8, SEED);
	check_eq(pos, STAGING / 8);
	check_eq(in_host, 0);
	first = nr_held;
	test_join(pid);
	close(c.tx);
	devmem_conn_close(conn);

	connect_rx(AF_INET6);
	pid = send_start(&c, 4 * TENSOR, SEED + 1, 50000, 0);
	for (pos = 0; pos < 4 * TENSOR; pos += TENSOR) {
		check_eq(devmem_conn_read(conn, tensor, 0, TENSOR, 0), TENSOR);
		check_eq(devmem_pattern_check(map, TENSOR, pos, SEED + 1), -1);
	}
	test_join(pid);
	check_held(0, first, SEED);
	devmem_rx_close(rx);
	check_held(0, first, SEED);
	devmem_conn_close(conn);
	give_back(0, first);
	devmem_buf_free(staging);
	devmem_buf_free(tensor);
}

static void outlive_kernel(void)
{
	outlive_half(DEVMEM_VIA_KERNEL);
}

static void outlive_zcrx(void)
{
	outlive_half(DEVMEM_VIA_ZCRX);
}

static int unsent(void)
{
	int bytes;

	must(ioctl(c.tx, SIOCOUTQ, &bytes));
	return bytes;
}

/* With all in somebody's hands nobody reads: the sender waits, nothing is lost. */
static void backpressure(enum devmem_via via)
{
	const uint64_t stream = 24 * STAGING;
	uint64_t done, failed;
	int before;
	pid_t pid;

	open_rx(via, DEVMEM_BUF_GPU);
	connect_rx(AF_INET);
	failed = nic_counter(RECEIVER, "rx_alloc_fail");
	pid = send_start(&c, stream, SEED, 100000, 0);
	hold(STAGING - 4 * CHUNK, SEED);
	do {
		before = unsent();
		usleep(300000);
	} while (!before || unsent() != before);
	check_held(0, nr_held, SEED);
	if (halves(via))
		check_eq(nic_counter(RECEIVER, "rx_alloc_fail"), failed);

	give_back(0, nr_held);
	must_ok(devmem_conn_flush(conn));
	for (; pos < stream; pos += done) {
		done = stream - pos < TENSOR ? stream - pos : TENSOR;
		check_eq(devmem_conn_read(conn, tensor, 0, done, 0), done);
		check_tensor(pos, 0, done);
	}
	test_join(pid);
	close_rx();
}

static void backpressure_placed(void)
{
	backpressure(DEVMEM_VIA_DEVMEM);
}

static void backpressure_half(enum devmem_via via)
{
	backpressure(via);
	check_eq(in_host, 0);
	check_cmp(nr_held, >=, STAGING / 4096 / 2);
}

static void backpressure_kernel(void)
{
	backpressure_half(DEVMEM_VIA_KERNEL);
}

static void backpressure_zcrx(void)
{
	backpressure_half(DEVMEM_VIA_ZCRX);
}

static void backpressure_copied(void)
{
	backpressure(DEVMEM_VIA_COPY);
}

/* Read @bytes in records, from where the stream is. */
static void read_on(uint64_t bytes)
{
	const size_t record = 123457;

	for (; bytes >= record; bytes -= record, pos += record) {
		check_eq(devmem_conn_read(conn, tensor, 33, record, 0), record);
		check_tensor(pos, 33, record);
	}
}

/* Records of which some bytes come in the buffer and some, since it is full, do not. */
static void mixed(enum devmem_via via)
{
	unsigned int half;
	pid_t pid;

	open_rx(via, DEVMEM_BUF_GPU);
	connect_rx(AF_INET);
	pid = send_start(&c, 40 * STAGING, SEED, 30000, 0);
	hold(STAGING - CHUNK, SEED);
	read_on(STAGING);
	half = nr_held / 2;
	give_back(0, half);
	must_ok(devmem_conn_flush(conn));
	read_on(STAGING);
	check_held(half, nr_held, SEED);
	give_back(half, nr_held);
	must_ok(devmem_conn_flush(conn));
	read_on(STAGING);
	kill(pid, SIGKILL);
	must(waitpid(pid, NULL, 0));
	close_rx();
}

static void mixed_placed(void)
{
	mixed(DEVMEM_VIA_DEVMEM);
}

static void mixed_copied(void)
{
	mixed(DEVMEM_VIA_COPY);
}

static void count_tokens(enum devmem_via via)
{
	struct devmem_conn_stats stats;
	pid_t pid;

	open_rx(via, DEVMEM_BUF_GPU);
	connect_rx(AF_INET);
	pid = send_start(&c, STAGING / 8, SEED, 50000, 0);
	hold(STAGING / 8, SEED);
	test_join(pid);
	devmem_conn_get_stats(conn, &stats);
	check_eq(stats.attached, via != DEVMEM_VIA_COPY);
	check_eq(stats.tokens, nr_held);
	check_eq(stats.released, 0);
	give_back(0, nr_held);
	check_eq(devmem_conn_release(conn, held[0].piece.token), -EINVAL);
	must_ok(devmem_conn_flush(conn));
	devmem_conn_get_stats(conn, &stats);
	check_eq(stats.released, nr_held);
	check_eq(stats.pending, 0);
	close_rx();
}

/* What was given back is used again, always: nothing else is left for the bytes. */
static void comes_back_copied(void)
{
	const uint64_t part = STAGING / 2;
	unsigned int i;
	pid_t pid;

	open_rx(DEVMEM_VIA_COPY, DEVMEM_BUF_HOST);
	connect_rx(AF_INET);
	pid = send_start(&c, 8 * part, SEED, 50000, 0);
	for (i = 1; i <= 8; i++) {
		hold(i * part, SEED);
		check_held(0, nr_held, SEED);
		give_back(0, nr_held);
		nr_held = 0;
	}
	check_eq(in_host, 0);
	test_join(pid);
	close_rx();
}

static void tokens_placed(void)
{
	count_tokens(DEVMEM_VIA_DEVMEM);
}

static void tokens_kernel(void)
{
	count_tokens(DEVMEM_VIA_KERNEL);
}

static void tokens_zcrx(void)
{
	count_tokens(DEVMEM_VIA_ZCRX);
}

static void tokens_copied(void)
{
	count_tokens(DEVMEM_VIA_COPY);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(outlive_placed),
	KTAP_CASE(outlive_kernel),
	KTAP_CASE(outlive_zcrx),
	KTAP_CASE(outlive_copied),
	KTAP_CASE(backpressure_placed),
	KTAP_CASE(backpressure_kernel),
	KTAP_CASE(backpressure_zcrx),
	KTAP_CASE(backpressure_copied),
	KTAP_CASE(mixed_placed),
	KTAP_CASE(mixed_copied),
	KTAP_CASE(comes_back_copied),
	KTAP_CASE(tokens_placed),
	KTAP_CASE(tokens_kernel),
	KTAP_CASE(tokens_zcrx),
	KTAP_CASE(tokens_copied),
};

static void setup(void)
{
	env_setup(4);
}

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
