// SPDX-License-Identifier: GPL-2.0
/*
 * How a receiver learns that there is something to read: poll(), select(),
 * epoll in both modes, a blocked recvmsg(). A wakeup that is lost shows as a
 * timeout, one too many as an event without data. Must not know of placing.
 */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include "common.h"

#define SEED		0xe9011
#define LONG_MS		patient(5000)
#define QUIET_MS	60

static struct bound b;
static struct conn c;
static struct rx rx;
static uint64_t sent;

static void open_stream(int family)
{
	struct conn_opts opts = { .family = family, .rcvbuf = 1 << 20 };

	bind_buffer(&b, DEVMEM_BUF_HEAP, 4 << 20, 0);
	connect_with(&c, &opts);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
}

static void push(uint64_t bytes)
{
	send_pattern(c.tx, bytes, sent, SEED, 1000);
	sent += bytes;
}

static int poll_events(short events, int timeout_ms)
{
	struct pollfd pfd = { .fd = c.rx, .events = events };
	int n = must(poll(&pfd, 1, timeout_ms));

	return n ? pfd.revents : 0;
}

static ssize_t take(size_t size)
{
	ssize_t n;

	rx.linear_size = size;
	n = rx_recv(&rx, MSG_DONTWAIT);
	rx_return(&rx);
	return n;
}

static void poll_levels(void)
{
	open_stream(AF_INET);
	check_eq(poll_events(POLLIN, 0), 0);
	check_eq(poll_events(POLLOUT, 0), POLLOUT);
	push(2000);
	check_eq(poll_events(POLLIN, LONG_MS), POLLIN);
	rx_queued(&rx, 2000);
	check_eq(take(1999), 1999);
	check_eq(poll_events(POLLIN, 0), POLLIN);
	check_eq(take(10), 1);
	check_eq(poll_events(POLLIN, 0), 0);
	check_eq(rx.placed, 2000);
}

static void poll_waits_for_rcvlowat(void)
{
	int lowat = 3000;

	open_stream(AF_INET6);
	must(setsockopt(c.rx, SOL_SOCKET, SO_RCVLOWAT, &lowat, sizeof(lowat)));
	push(2000);
	rx_queued(&rx, 2000);
	check_eq(poll_events(POLLIN, QUIET_MS), 0);
	push(1000);
	check_eq(poll_events(POLLIN, LONG_MS), POLLIN);
	check_eq(take(9999), 3000);
	check_eq(rx.placed, 3000);
}

/* Whether select() finds the socket readable within @ms. */
static bool readable(int ms)
{
	struct timeval tv = { ms / 1000, ms % 1000 * 1000 };
	fd_set set;

	FD_ZERO(&set);
	FD_SET(c.rx, &set);
	return must(select(c.rx + 1, &set, NULL, NULL, &tv)) == 1 &&
	       FD_ISSET(c.rx, &set);
}

static void select_reads(void)
{
	open_stream(AF_INET);
	check(!readable(0));
	push(100);
	check(readable(LONG_MS));
	check_eq(take(9999), 100);
	check(!readable(QUIET_MS));
	must(shutdown(c.tx, SHUT_WR));
	check(readable(LONG_MS));
	rx_eof(&rx);
	check_eq(rx.placed, 100);
}

static int epoll_on(uint32_t events)
{
	struct epoll_event ev = { .events = events };
	int ep = must(epoll_create1(EPOLL_CLOEXEC));

	must(epoll_ctl(ep, EPOLL_CTL_ADD, c.rx, &ev));
	return ep;
}

/* The events that come within @ms; 0: none. */
static uint32_t epoll_next(int ep, int ms)
{
	struct epoll_event ev;

	return must(epoll_wait(ep, &ev, 1, ms)) ? ev.events : 0;
}

static void epoll_level(void)
{
	int ep;

	open_stream(AF_INET);
	ep = epoll_on(EPOLLIN);
	check_eq(epoll_next(ep, 0), 0);
	push(1000);
	check_eq(epoll_next(ep, LONG_MS), EPOLLIN);
	rx_queued(&rx, 1000);
	check_eq(epoll_next(ep, 0), EPOLLIN);
	check_eq(take(400), 400);
	check_eq(epoll_next(ep, 0), EPOLLIN);
	check_eq(take(9999), 600);
	check_eq(epoll_next(ep, QUIET_MS), 0);
	check_eq(rx.placed, 1000);
}

/* One event for what arrives, none for what lies there. */
static void epoll_edge(void)
{
	int ep;

	open_stream(AF_INET);
	ep = epoll_on(EPOLLIN | EPOLLET);
	push(1000);
	rx_queued(&rx, 1000);
	check_eq(epoll_next(ep, LONG_MS), EPOLLIN);
	check_eq(epoll_next(ep, QUIET_MS), 0);
	check_eq(take(300), 300);
	check_eq(epoll_next(ep, QUIET_MS), 0);
	push(500);
	check_eq(epoll_next(ep, LONG_MS), EPOLLIN);
	rx_queued(&rx, 1200);
	check_eq(take(9999), 1200);
	push(1);
	check_eq(epoll_next(ep, LONG_MS), EPOLLIN);
	check_eq(take(9999), 1);
	check_eq(rx.placed, 1501);
}

/* A stream that is read only after edges: one that is missing stops it. */
static void epoll_edge_stream(void)
{
	const uint64_t bytes = 6 << 20;
	pid_t pid;
	ssize_t n;
	int ep;

	open_stream(AF_INET6);
	ep = epoll_on(EPOLLIN | EPOLLET | EPOLLRDHUP);
	pid = send_start(&c, bytes, SEED, 7777, SEND_SHUTDOWN);
	do {
		if (!epoll_next(ep, LONG_MS))
			fail("no edge for %d ms at byte %llu", LONG_MS,
			     (unsigned long long)rx.pos);
		while ((n = take(50000)) > 0)
			;
		if (n < 0)
			check_eq(n, -EAGAIN);
	} while (n);
	test_join(pid);
	check_eq(rx.bytes, bytes);
	rx_check_placed(&rx, bytes);
}

/* Who sleeps in recvmsg() is woken by what is placed. */
static void blocked_reader(void)
{
	unsigned int i;
	pid_t pid;

	open_stream(AF_INET);
	pid = test_fork();
	if (!pid) {
		close(c.rx);
		for (i = 0; i < 50; i++) {
			usleep(i % 3 * 1000);
			push(1 + i);
		}
		_exit(0);
	}
	while (rx.bytes < 1275) {
		check_cmp(rx_recv(&rx, 0), >, 0);
		rx_return(&rx);
	}
	test_join(pid);
	check_eq(rx.bytes, 1275);
	check_eq(rx.placed, 1275);
}

static void events_of_the_end(void)
{
	struct linger hard = { .l_onoff = 1 };

	open_stream(AF_INET);
	push(100);
	must(shutdown(c.tx, SHUT_WR));
	check(within(5000, poll_events(POLLIN | POLLRDHUP, 0) ==
		     (POLLIN | POLLRDHUP)));
	rx_queued(&rx, 100);
	check_eq(take(9999), 100);
	check_eq(poll_events(POLLIN | POLLRDHUP, 0), POLLIN | POLLRDHUP);
	rx_eof(&rx);
	disconnect_pair(&c);
	rx_free(&rx);

	connect_pair(&c, AF_INET);
	attach(c.rx, &b);
	must(setsockopt(c.tx, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)));
	close(c.tx);
	check(within(5000, poll_events(POLLIN, 0) ==
		     (POLLIN | POLLERR | POLLHUP)));
}

/* An attached socket sends like any other, also with its peer's data under way,
 * and POLLOUT tells when.
 */
static void both_directions(void)
{
	const uint64_t bytes = 2 << 20;
	static unsigned char buf[65536];
	uint64_t got = 0;
	pid_t tx, back;
	ssize_t n;

	open_stream(AF_INET);
	tx = send_start(&c, bytes, SEED, 10000, SEND_SHUTDOWN);
	back = test_fork();
	if (!back) {
		close(c.tx);
		while (got < bytes) {
			check(poll_events(POLLOUT, LONG_MS) & POLLOUT);
			devmem_pattern_fill(buf, 9000, got, ~SEED);
			n = must(send(c.rx, buf, 9000 < bytes - got ? 9000 : bytes - got,
				      MSG_DONTWAIT));
			got += (uint64_t)n;
		}
		_exit(0);
	}
	while (got < bytes) {
		n = recv(c.tx, buf, sizeof(buf), MSG_DONTWAIT);
		if (n > 0) {
			check_eq(devmem_pattern_check(buf, (size_t)n, got, ~SEED), -1);
			got += (uint64_t)n;
		}
		if (rx.bytes < bytes && poll_events(POLLIN, 1))
			check_cmp(take(1 << 20), >, 0);
	}
	rx_all(&rx, bytes - rx.bytes);
	rx_eof(&rx);
	rx_check_placed(&rx, bytes);
	test_join(tx);
	test_join(back);
}

static void setup(void)
{
	env_setup(4);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(poll_levels),
	KTAP_CASE(poll_waits_for_rcvlowat),
	KTAP_CASE(select_reads),
	KTAP_CASE(epoll_level),
	KTAP_CASE(epoll_edge),
	KTAP_CASE(epoll_edge_stream),
	KTAP_CASE(blocked_reader),
	KTAP_CASE(events_of_the_end),
	KTAP_CASE(both_directions),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
