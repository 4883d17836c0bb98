// SPDX-License-Identifier: GPL-2.0
/*
 * A receiver that does at random whatever the ABI allows, and some that it does
 * not, on a wire that changes at random. The bytes must be right all the same,
 * and the books balanced. A run is repeated with RANDOM_SEED=number (printed)
 * as far as the scheduler lets it. Must not know what other tests are about.
 */
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/time.h>

#include "common.h"

#ifndef TCP_INQ
#define TCP_INQ		36
#endif

#define STREAM		(1U << 20)
#define RUN_MS		2500

static struct bound b;
static struct conn c;
static struct rx rx;
static bool attached;
static int tap = -1;

/* 0 .. @n - 1 */
static unsigned int rnd(unsigned int n)
{
	return (unsigned int)random() % n;
}

/* Small numbers as often as large ones, up to @max. */
static size_t rnd_size(size_t max)
{
	size_t n = 1 + rnd(1U << (1 + rnd(20)));

	return n < max ? n : max;
}

static void no_impairments(void *arg)
{
	(void)arg;
	impair_none(RECEIVER);
	impair_none(SENDER);
}

static void other_wire(void)
{
	impair(RECEIVER, "loss", rnd(3) ? 0 : rnd(20000));
	impair(RECEIVER, "reorder", rnd(2) ? 0 : rnd(100000));
	impair(RECEIVER, "duplicate", rnd(2) ? 0 : rnd(100000));
	impair(RECEIVER, "corrupt", rnd(3) ? 0 : rnd(10000));
	impair(RECEIVER, "delay_us", rnd(3) ? 0 : rnd(500));
	impair(SENDER, "loss", rnd(4) ? 0 : rnd(10000));
}

/* Writes of all sizes; a few with an urgent byte, which stays in the stream. */
static pid_t send_at_random(uint64_t seed)
{
	static unsigned char buf[1 << 20];
	uint64_t pos = 0;
	size_t n;
	pid_t pid = test_fork();

	if (pid)
		return pid;
	close(c.rx);
	while (pos < STREAM) {
		n = rnd_size(STREAM - pos);
		if (attached && !rnd(20)) {
			n = n < 1000 ? n : 1000;
			devmem_pattern_fill(buf, n, pos, seed);
			check_eq(must(send(c.tx, buf, n, MSG_OOB | MSG_NOSIGNAL)), n);
		} else {
			send_pattern(c.tx, n, pos, seed, n);
		}
		pos += n;
		if (!rnd(50))
			usleep(rnd(3000));
	}
	must(shutdown(c.tx, SHUT_WR));
	_exit(0);
}

static void try_attach(void)
{
	if (attached)
		return;
	attach(c.rx, &b);
	attached = true;
	rx.plain = false;
}

/* Returns false at the end of the stream. */
static bool receive_at_random(void)
{
	static const int more[] = { 0, 0, 0, MSG_DONTWAIT, MSG_PEEK, MSG_WAITALL,
				    MSG_PEEK | MSG_DONTWAIT, MSG_TRUNC };
	int flags = more[rnd(ARRAY_SIZE(more))];
	ssize_t n;

	rx.linear_size = rnd_size(RX_LINEAR);
	rx.control_size = rnd(4) ? RX_PIECES * CMSG_SPACE(sizeof(struct devmem_cmsg)) :
		rnd(10) * CMSG_SPACE(sizeof(struct devmem_cmsg)) + rnd(40);
	if (flags & MSG_TRUNC)
		rx.linear_size = rx.linear_size < 5000 ? rx.linear_size : 5000;
	n = rx_recv(&rx, flags);
	if (n == -EAGAIN)
		return true;
	if (n == -EMSGSIZE) {
		check_cmp(rx.control_size, <, CMSG_LEN(sizeof(struct devmem_cmsg)));
		return true;
	}
	if (n < 0)
		fail("recvmsg with 0x%x at %llu: %s", flags,
		     (unsigned long long)rx.pos, strerror((int)-n));
	check_cmp(n, <=, rx.linear_size);
	if (!n)
		check_eq(rx.pos, STREAM);
	return n;
}

static void return_one(void)
{
	struct devmem_range range;
	size_t i;

	if (!rx.nr_held)
		return;
	i = rnd((unsigned int)rx.nr_held);
	range = (struct devmem_range) { rx.held[i].token, 1 };
	check_eq(setsockopt(c.rx, SOL_SOCKET, SO_DEVMEM_DONTNEED, &range,
			    sizeof(range)), 1);
	rx.held[i] = rx.held[--rx.nr_held];
	check_eq(setsockopt(c.rx, SOL_SOCKET, SO_DEVMEM_DONTNEED, &range,
			    sizeof(range)), 0);
}

static void switch_tap(void)
{
	struct sockaddr_ll ll = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)env_ifindex(),
	};

	if (tap >= 0) {
		close(tap);
		tap = -1;
		return;
	}
	tap = must(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
	must(bind(tap, (struct sockaddr *)&ll, sizeof(ll)));
}

static void switch_option(void)
{
	int lowat = 1 + (int)rnd(rnd(2) ? 5000 : 1), on = (int)rnd(2);
	int rcvbuf = 1 << (13 + rnd(8));

	switch (rnd(4)) {
	case 0:
		must(setsockopt(c.rx, SOL_SOCKET, SO_RCVLOWAT, &lowat, sizeof(lowat)));
		break;
	case 1:
		must(setsockopt(c.rx, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof(on)));
		break;
	case 2:
		must(setsockopt(c.rx, IPPROTO_TCP, TCP_INQ, &on, sizeof(on)));
		break;
	case 3:
		must(setsockopt(c.rx, SOL_SOCKET, SO_RCVBUFFORCE, &rcvbuf, sizeof(rcvbuf)));
		break;
	}
}

static void one_stream(uint64_t seed)
{
	struct timeval tv = { .tv_usec = 20000 };
	bool more = true;
	pid_t pid;

	other_wire();
	connect_pair(&c, rnd(2) ? AF_INET : AF_INET6);
	must(setsockopt(c.rx, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	rx_init(&rx, c.rx, &b, seed);
	rx.plain = true;
	attached = false;
	if (rnd(4))
		try_attach();
	pid = send_at_random(seed);
	while (more) {
		switch (rnd(40)) {
		case 0:
			switch_tap();
			break;
		case 1:
			switch_option();
			break;
		case 2:
			if (!rnd(10))
				other_wire();
			break;
		case 3 ... 5:
			rx_check_held(&rx);
			break;
		case 6:
			if (attached)
				rx_check_info(&rx);
			break;
		case 7 ... 12:
			return_one();
			break;
		case 13 ... 14:
			rx_return(&rx);
			break;
		case 15:
			try_attach();
			break;
		default:
			more = receive_at_random();
		}
	}
	test_join(pid);
	rx_check_held(&rx);
	if (attached)
		rx_check_info(&rx);
	disconnect_pair(&c);
	rx_free(&rx);
}

static void run(enum devmem_buf_kind kind, size_t size, uint32_t chunk,
		unsigned int seed)
{
	const char *chosen = getenv("RANDOM_SEED");
	long long until = now_ms() + RUN_MS;
	unsigned int n = 0;

	if (chosen)
		seed = (unsigned int)strtoul(chosen, NULL, 0);
	srandom(seed);
	defer(no_impairments, NULL);
	bind_buffer(&b, kind, size, chunk);
	do {
		one_stream(seed + n++);
	} while (now_ms() < until);
	diag("RANDOM_SEED=%u: %u streams", seed, n);
}

static void small_chunks(void)
{
	run(DEVMEM_BUF_UDMABUF, 1 << 20, 4096, 1);
}

static void medium_chunks(void)
{
	run(DEVMEM_BUF_HEAP, 2 << 20, 65536, 2);
}

static void large_chunks(void)
{
	run(DEVMEM_BUF_GPU, 8 << 20, 2 << 20, 3);
}

static void setup(void)
{
	env_setup(4);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(small_chunks, .timeout = 40),
	KTAP_CASE(medium_chunks, .timeout = 40),
	KTAP_CASE(large_chunks, .timeout = 40),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
