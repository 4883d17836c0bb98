// SPDX-License-Identifier: GPL-2.0
/*
 * Beginnings and ends of a connection: attach at odd moments, FIN, RST, half
 * closes, shutdown. That what TCP promises of the bytes around them holds for
 * placed ones. Must not know of the end of bindings.
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>

#include "common.h"

#define SEED	0xc105e
#define WAIT_MS	5000

static struct bound b;
static struct conn c;
static struct rx rx;
static uint64_t sent;

static void open_unattached(int family)
{
	struct conn_opts opts = { .family = family, .rcvbuf = 1 << 20 };

	bind_buffer(&b, DEVMEM_BUF_HEAP, 4 << 20, 0);
	connect_with(&c, &opts);
	rx_init(&rx, c.rx, &b, SEED);
}

static void open_stream(int family)
{
	open_unattached(family);
	attach(c.rx, &b);
}

static void push(uint64_t bytes)
{
	send_pattern(c.tx, bytes, sent, SEED, 3000);
	sent += bytes;
}

/* close() sends RST. */
static void hard_close(int fd)
{
	struct linger hard = { .l_onoff = 1 };

	must(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)));
	close(fd);
}

static bool all_chunks_free(void)
{
	struct devmem_bind_info info;

	bound_info(&b, &info);
	return info.chunks_free == info.chunks && !info.flows;
}

static void fin_with_data_queued(void)
{
	open_stream(AF_INET);
	push(200000);
	close(c.tx);
	rx_queued(&rx, 200000);
	rx_all(&rx, 200000);
	rx_eof(&rx);
	rx_eof(&rx);
	rx_check_placed(&rx, 200000);
	rx_check_info(&rx);
}

/* The FIN may ride on the last data: one packet that is read in two steps. */
static void fin_with_data_in_one_packet(void)
{
	unsigned int i;
	int on = 1;

	open_stream(AF_INET6);
	must(setsockopt(c.tx, IPPROTO_TCP, TCP_CORK, &on, sizeof(on)));
	push(700);
	close(c.tx);
	rx_queued(&rx, 700);
	for (i = 0; i < 7; i++) {
		rx.linear_size = 100;
		check_eq(rx_recv(&rx, MSG_DONTWAIT), 100);
	}
	rx_eof(&rx);
	rx_check_held(&rx);
	rx_return(&rx);
	check_eq(rx.placed, 700);
}

/* What was queued before the RST can be read; then the error, then the end. */
static void rst_with_data_queued(void)
{
	open_stream(AF_INET);
	push(50000);
	rx_queued(&rx, 50000);
	hard_close(c.tx);
	rx_all(&rx, 50000);
	rx_check_placed(&rx, 50000);
	check_eq(rx_recv(&rx, 0), -ECONNRESET);
	check_eq(rx_recv(&rx, 0), 0);
}

static void rst_while_reading(void)
{
	pid_t pid;
	ssize_t n;

	open_stream(AF_INET6);
	pid = test_fork();
	if (!pid) {
		close(c.rx);
		push(1 << 20);
		hard_close(c.tx);
		_exit(0);
	}
	close(c.tx);
	do {
		n = rx_recv(&rx, 0);
		rx_return(&rx);
	} while (n > 0);
	check(n == -ECONNRESET || n == 0);
	test_join(pid);
	check_cmp(rx.placed, >, 0);
	rx_check_placed(&rx, rx.bytes);
}

static void shutdown_for_reading(void)
{
	open_stream(AF_INET);
	push(3000);
	rx_queued(&rx, 3000);
	must(shutdown(c.rx, SHUT_RD));
	rx_all(&rx, 3000);
	rx_eof(&rx);
	/* Linux goes on receiving */
	push(2000);
	rx_queued(&rx, 2000);
	rx_all(&rx, 2000);
	rx_eof(&rx);
	check_eq(rx.placed, 5000);
}

/* The receiver has said its last word; the stream goes on. */
static void receiver_half_closes(void)
{
	unsigned char byte;
	pid_t pid;

	open_stream(AF_INET);
	must(shutdown(c.rx, SHUT_WR));
	check_eq(must(recv(c.tx, &byte, 1, 0)), 0);
	pid = send_start(&c, 1 << 20, SEED, 5000, SEND_SHUTDOWN);
	rx_all(&rx, 1 << 20);
	rx_eof(&rx);
	test_join(pid);
	rx_check_placed(&rx, 1 << 20);
}

/* And the reverse: after the peer's FIN there is still something to send. */
static void sender_half_closes(void)
{
	static unsigned char buf[100000];

	open_stream(AF_INET6);
	push(10000);
	must(shutdown(c.tx, SHUT_WR));
	rx_all(&rx, 10000);
	rx_eof(&rx);
	send_pattern(c.rx, sizeof(buf), 0, ~SEED, 1000);
	check_eq(must(recv(c.tx, buf, sizeof(buf), MSG_WAITALL)), sizeof(buf));
	check_eq(devmem_pattern_check(buf, sizeof(buf), 0, ~SEED), -1);
	check_eq(rx.placed, 10000);
}

static void data_before_attach(void)
{
	open_unattached(AF_INET);
	push(100000);
	rx_queued(&rx, 100000);
	attach(c.rx, &b);
	push(100000);
	rx_queued(&rx, 200000);
	rx_all(&rx, 200000);
	check_eq(rx.host, 100000);
	rx_check_placed(&rx, 100000);
	rx_check_info(&rx);
}

/* Some of it read as any socket is, then attached in the middle of a packet. */
static void part_read_before_attach(void)
{
	static unsigned char buf[1234];

	open_unattached(AF_INET6);
	push(3000);
	rx_queued(&rx, 3000);
	check_eq(must(recv(c.rx, buf, sizeof(buf), 0)), sizeof(buf));
	check_eq(devmem_pattern_check(buf, sizeof(buf), 0, SEED), -1);
	rx.pos = sizeof(buf);
	attach(c.rx, &b);
	push(3000);
	rx_all(&rx, 6000 - sizeof(buf));
	check_eq(rx.host, 3000 - sizeof(buf));
	check_eq(rx.placed, 3000);
}

/* Nobody pauses: packets of both kinds, also next to each other in the queue,
 * some of them in the backlog at the moment of the attach.
 */
static void attach_mid_stream(void)
{
	const uint64_t bytes = 4 << 20;
	unsigned int round;
	pid_t pid;

	bind_buffer(&b, DEVMEM_BUF_HEAP, 8 << 20, 0);
	for (round = 0; round < 6; round++) {
		connect_pair(&c, round % 2 ? AF_INET6 : AF_INET);
		rx_init(&rx, c.rx, &b, SEED + round);
		pid = send_start(&c, bytes, SEED + round, 2000, SEND_SHUTDOWN);
		/* the device's queue may be full of what comes before */
		rx.plain = true;
		rx_all(&rx, 1000 + round * 10000);
		attach(c.rx, &b);
		rx.plain = false;
		rx_all(&rx, bytes - rx.bytes);
		rx_eof(&rx);
		test_join(pid);
		check_cmp(rx.placed, >, bytes / 4);
		rx_check_info(&rx);
		rx_free(&rx);
		disconnect_pair(&c);
	}
}

/* Holes in the stream at the moment of the attach. */
static void no_impairments(void *arg)
{
	(void)arg;
	impair_none(RECEIVER);
}

static void attach_with_holes(void)
{
	const uint64_t bytes = 1 << 20;
	pid_t pid;

	defer(no_impairments, NULL);
	impair(RECEIVER, "loss", 100000);
	open_unattached(AF_INET);
	pid = send_start(&c, bytes, SEED, 1448, SEND_SHUTDOWN);
	rx.plain = true;
	rx_all(&rx, 20000);
	attach(c.rx, &b);
	rx.plain = false;
	impair(RECEIVER, "loss", 20000);
	rx_all(&rx, bytes - 20000);
	rx_eof(&rx);
	test_join(pid);
	check_cmp(rx.placed, >, bytes / 2);
	rx_check_info(&rx);
}

static void peer_closed_before_attach(void)
{
	struct pollfd pfd = { .events = POLLRDHUP };

	open_unattached(AF_INET);
	pfd.fd = c.rx;
	push(5000);
	close(c.tx);
	rx_queued(&rx, 5000);
	/* the socket is in CLOSE_WAIT when it has the FIN */
	check_eq(poll(&pfd, 1, patient(WAIT_MS)), 1);
	attach(c.rx, &b);
	rx_all(&rx, 5000);
	rx_eof(&rx);
	check_eq(rx.host, 5000);
	rx_check_info(&rx);
}

static void reset_before_attach(void)
{
	struct pollfd pfd = {};

	open_unattached(AF_INET);
	hard_close(c.tx);
	pfd.fd = c.rx;
	check_eq(poll(&pfd, 1, patient(WAIT_MS)), 1);	/* has come */
	check_eq(devmem_attach(c.rx, b.res.id, devmem_buf_fd(b.buf), 0), -ENOTCONN);
	check_eq(rx_recv(&rx, 0), -ECONNRESET);
}

/* Unread data makes close() a reset, and memory comes back. */
static void receiver_closes_with_data_queued(void)
{
	open_stream(AF_INET);
	push(100000);
	rx_queued(&rx, 100000);
	rx.linear_size = 1000;
	check_eq(rx_recv(&rx, 0), 1000);	/* and a token is out */
	close(c.rx);
	check(within(1000, all_chunks_free()));
	check(within(WAIT_MS, send(c.tx, "", 1, MSG_NOSIGNAL) < 0));
	check(errno == ECONNRESET || errno == EPIPE);
}

/* TCP keeps the last packet of a socket that wants to know options of IPv6, and the
 * orphan waits for a peer that does not close.
 */
static void receiver_closes_with_options_of_ipv6(void)
{
	int on = 1;

	open_stream(AF_INET6);
	must(setsockopt(c.rx, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on)));
	push(20000);
	rx_all(&rx, 20000);
	rx_return(&rx);
	close(c.rx);
	check(within(WAIT_MS, all_chunks_free()));
	close(c.tx);
}

static void receiver_closes_mid_stream(void)
{
	static char buf[9999];
	struct conn next;
	struct rx rx2;
	pid_t pid;

	open_stream(AF_INET);
	pid = test_fork();
	if (!pid) {
		close(c.rx);
		while (send(c.tx, buf, sizeof(buf), MSG_NOSIGNAL) > 0)
			;
		check(errno == ECONNRESET || errno == EPIPE);
		_exit(0);
	}
	rx_wait(&rx);
	hard_close(c.rx);
	test_join(pid);
	check(within(1000, all_chunks_free()));

	/* the binding serves the next one */
	connect_pair(&next, AF_INET);
	attach(next.rx, &b);
	rx_init(&rx2, next.rx, &b, SEED + 1);
	pid = send_start(&next, 500000, SEED + 1, 10000, SEND_SHUTDOWN);
	rx_all(&rx2, 500000);
	rx_eof(&rx2);
	test_join(pid);
	rx_check_placed(&rx2, 500000);
}

/* Many connections that come and go in every manner. */
static void churn(void)
{
	unsigned int round;

	bind_buffer(&b, DEVMEM_BUF_HEAP, 4 << 20, 0);
	for (round = 0; round < 60; round++) {
		connect_pair(&c, round & 1 ? AF_INET6 : AF_INET);
		sent = 0;
		attach(c.rx, &b);
		rx_init(&rx, c.rx, &b, SEED + round);
		send_pattern(c.tx, 20000, 0, SEED + round, 4000);
		if (round & 2)
			rx_all(&rx, round & 4 ? 20000 : 7000);
		if (round & 8)
			hard_close(c.tx);
		else
			close(c.tx);
		if (round & 16)
			hard_close(c.rx);
		else
			close(c.rx);
		rx_check_placed(&rx, rx.bytes);
		rx_free(&rx);
	}
	check(within(1000, all_chunks_free()));
}

static void setup(void)
{
	env_setup(4);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(fin_with_data_queued),
	KTAP_CASE(fin_with_data_in_one_packet),
	KTAP_CASE(rst_with_data_queued),
	KTAP_CASE(rst_while_reading),
	KTAP_CASE(shutdown_for_reading),
	KTAP_CASE(receiver_half_closes),
	KTAP_CASE(sender_half_closes),
	KTAP_CASE(data_before_attach),
	KTAP_CASE(part_read_before_attach),
	KTAP_CASE(attach_mid_stream),
	KTAP_CASE(attach_with_holes),
	KTAP_CASE(peer_closed_before_attach),
	KTAP_CASE(reset_before_attach),
	KTAP_CASE(receiver_closes_with_data_queued),
	KTAP_CASE(receiver_closes_with_options_of_ipv6),
	KTAP_CASE(receiver_closes_mid_stream),
	KTAP_CASE(churn),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
