// SPDX-License-Identifier: GPL-2.0
/*
 * Two at a time: calls that threads and processes make on the same socket,
 * binding or link at the same moment. Whoever wins, both get an answer that the
 * ABI allows, bytes are right, and nothing is left.
 */
#include <errno.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"
#include "common_attach.h"
#include "common_ctl.h"

#define SEED	0x4ace
#define BUFFER	(2U << 20)
#define CHUNK	65536

static struct bound b;
static struct conn c;
static struct rx rx;

/* Two threads that begin as nearly at the same time as can be. */
static pthread_barrier_t gate;

struct two {
	int (*fn)(void);
	int ret;		/* 0 or -errno */
};

static void *one_of_two(void *arg)
{
	struct two *t = arg;

	pthread_barrier_wait(&gate);
	t->ret = t->fn();
	return NULL;
}

static void run_two(struct two *x, struct two *y)
{
	pthread_t threads[2];

	check_eq(pthread_barrier_init(&gate, NULL, 2), 0);
	check_eq(pthread_create(&threads[0], NULL, one_of_two, x), 0);
	check_eq(pthread_create(&threads[1], NULL, one_of_two, y), 0);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	pthread_barrier_destroy(&gate);
}

static int do_ulp(void)
{
	return set_ulp(c.rx, "devmem") ? -errno : 0;
}

static int do_attach(void)
{
	return try_attach(c.rx, b.res.id, devmem_buf_fd(b.buf)) ? -errno : 0;
}

static unsigned int delay_us;	/* of those that attach is up against */

static int do_unbind(void)
{
	usleep(delay_us);
	unbind(&b);
	return 0;
}

static int do_revoke(void)
{
	usleep(delay_us);
	return ctl_gpu_revoke(devmem_buf_fd(b.buf));
}

static int do_reset(void)
{
	struct linger now = { .l_onoff = 1 };

	usleep(delay_us);
	setsockopt(c.tx, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
	close(c.tx);
	return 0;
}

static int do_close(void)
{
	usleep(delay_us);
	close(c.rx);
	return 0;
}

/* Which of the two sets the ULP, which attaches. */
static void two_attach_one_socket(void)
{
	struct two x = { .fn = do_ulp }, y = { .fn = do_ulp };
	int round;

	bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, CHUNK);
	for (round = 0; round < 20; round++) {
		connect_pair(&c, AF_INET);
		x.fn = y.fn = do_ulp;
		run_two(&x, &y);
		check((!x.ret && y.ret == -EEXIST) || (!y.ret && x.ret == -EEXIST));
		x.fn = y.fn = do_attach;
		run_two(&x, &y);
		check((!x.ret && y.ret == -EISCONN) || (!y.ret && x.ret == -EISCONN));
		check_eq(live_object("rules"), 1);
		disconnect_pair(&c);
		check(within(2000, !live_object("flows") && !live_object("rules")));
	}
}

/* @against is what the attach meets; the stream is right in any case. */
static void attach_against(int (*against)(void), int refusal)
{
	struct two x = { .fn = do_attach }, y = { .fn = against };
	int round, attached = 0;

	for (round = 0; round < 20; round++) {
		bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, CHUNK);
		connect_pair(&c, round & 1 ? AF_INET6 : AF_INET);
		must(set_ulp(c.rx, "devmem"));
		send_pattern(c.tx, 5000, 0, SEED, 1000);
		delay_us = (unsigned int)round * 1000;
		run_two(&x, &y);
		check_eq(y.ret, 0);
		if (x.ret && x.ret != refusal && x.ret != -ENOENT)
			fail("attach: %s", strerror(-x.ret));
		attached += !x.ret;
		send_pattern(c.tx, 50000, 5000, SEED, 3000);
		rx_init(&rx, c.rx, &b, SEED);
		rx_all(&rx, 55000);
		disconnect_pair(&c);
		rx_free(&rx);
		free_bound(&b);
	}
	diag("attached %d times of %d", attached, round);
}

static void attach_against_unbind(void)
{
	attach_against(do_unbind, -ESHUTDOWN);
}

static void attach_against_revoke(void)
{
	attach_against(do_revoke, -ESHUTDOWN);
}

static void unbind_against_revoke(void)
{
	struct two x = { .fn = do_unbind }, y = { .fn = do_revoke };
	pid_t pid;
	int round;

	for (round = 0; round < 15; round++) {
		bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, CHUNK);
		connect_pair(&c, AF_INET);
		attach(c.rx, &b);
		rx_init(&rx, c.rx, &b, SEED);
		rx.lossy = true;
		pid = test_fork();
		if (!pid) {
			/* a copy of the netlink socket would keep the binding */
			unbind(&b);
			send_pattern(c.tx, 300000, 0, SEED, 7000);
			_exit(0);
		}
		rx_all(&rx, 10000);
		delay_us = 0;
		run_two(&x, &y);
		check_eq(y.ret, 0);
		rx_all(&rx, 290000);
		test_join(pid);
		disconnect_pair(&c);
		rx_free(&rx);
		free_bound(&b);
		check(within(2000, !live_object("gpu_buffers")));
	}
}

/* RST, close and attach at the same moment. */
static void attach_against_the_end(void)
{
	struct two x = { .fn = do_attach }, y = { .fn = do_reset };
	int round;

	bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, CHUNK);
	for (round = 0; round < 20; round++) {
		connect_pair(&c, AF_INET);
		must(set_ulp(c.rx, "devmem"));
		delay_us = (unsigned int)round * 1000;
		run_two(&x, &y);
		if (x.ret && x.ret != -ENOTCONN && x.ret != -ENETUNREACH)
			fail("attach: %s", strerror(-x.ret));
		close(c.rx);

		connect_pair(&c, AF_INET);
		must(set_ulp(c.rx, "devmem"));
		send_pattern(c.tx, 30000, 0, SEED, 1000);
		y.fn = do_close;
		run_two(&x, &y);
		if (x.ret && x.ret != -EBADF)
			fail("attach: %s", strerror(-x.ret));
		close(c.tx);
		y.fn = do_reset;
		check(within(2000, !live_object("flows") && !live_object("rules") &&
			     !live_object("sockets")));
	}
}

/* ---- tokens ------------------------------------------------------------ */

static struct devmem_range all_tokens;

static int do_return(void)
{
	int n = 0, ret;
	uint32_t i;

	for (i = 0; i < all_tokens.token_count; i += 100) {
		struct devmem_range part = {
			all_tokens.token_start + i, 100,
		};

		ret = setsockopt(c.rx, SOL_SOCKET, SO_DEVMEM_DONTNEED, &part,
				 sizeof(part));
		if (ret < 0)
			return -errno;
		n += ret;
	}
	return n;
}

/* Each token counts once, whoever returns it. */
static void two_return_the_same_tokens(void)
{
	struct two x = { .fn = do_return }, y = { .fn = do_return };
	struct devmem_bind_info info;
	size_t i;
	pid_t pid;
	int round;

	bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, 4096);
	connect_pair(&c, AF_INET);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
	rx.keep = true;
	for (round = 0; round < 10; round++) {
		pid = test_fork();
		if (!pid) {
			send_pattern(c.tx, 400 * 4096, rx.pos, SEED, 4096);
			_exit(0);
		}
		rx_all(&rx, 400 * 4096);
		test_join(pid);
		check_cmp(rx.nr_held, >=, 400);
		all_tokens.token_start = rx.held[0].token;
		for (i = 1; i < rx.nr_held; i++)
			check_eq(rx.held[i].token, all_tokens.token_start + i);
		all_tokens.token_count = (uint32_t)rx.nr_held;
		run_two(&x, &y);
		check_eq(x.ret + y.ret, rx.nr_held);
		check_eq(live_object("tokens"), 0);
		rx.nr_held = 0;
		check(within(1000, (bound_info(&b, &info), info.chunks_free >= 511)));
	}
}

#define READERS		3
#define SHARED_BYTES	(6U << 20)

/* Reads from the shared socket and returns what it gets, until the end. */
static void *shared_reader(void *arg)
{
	struct devmem_piece piece;
	struct devmem_msg *msg;
	uint64_t *bytes = arg;
	ssize_t n;

	if (devmem_msg_alloc(&msg, 40000, 16, 0))
		return NULL;
	while ((n = devmem_recv(c.rx, msg, 0)) > 0) {
		*bytes += (uint64_t)n;
		while (devmem_msg_next(msg, &piece)) {
			struct devmem_range one = { piece.token, 1 };

			if (piece.type == DEVMEM_PIECE_DMABUF &&
			    devmem_release(c.rx, &one, 1, 0) != 1)
				*bytes += 1ULL << 40;
		}
	}
	devmem_msg_free(msg);
	return NULL;
}

/* Nothing is delivered twice or to nobody. */
static void three_read_one_socket(void)
{
	uint64_t bytes[READERS] = {}, sum = 0;
	pthread_t threads[READERS];
	struct devmem_info info;
	pid_t pid;
	int i;

	bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, CHUNK);
	connect_pair(&c, AF_INET);
	attach(c.rx, &b);
	pid = send_start(&c, SHARED_BYTES, SEED, 5000, SEND_SHUTDOWN);
	for (i = 0; i < READERS; i++)
		check_eq(pthread_create(&threads[i], NULL, shared_reader, &bytes[i]), 0);
	for (i = 0; i < READERS; i++) {
		pthread_join(threads[i], NULL);
		sum += bytes[i];
	}
	test_join(pid);
	check_eq(sum, SHARED_BYTES);
	check_eq(devmem_sock_info(c.rx, &info, 0), 0);
	check_eq(info.tokens_held, 0);
	/* a segment that TCP saw twice counts twice */
	check_cmp(info.placed_bytes + info.fallback_bytes, >=, SHARED_BYTES);
}

/* ---- everybody at once ------------------------------------------------- */

static void binder(uint32_t queue)
{
	int fd = ctl_gpu_alloc(BUFFER, 4, 0);
	static struct ctl_nl nl;
	struct ctl_answer a;

	for (;;) {
		check_eq(ctl_nl_open(&nl), 0);
		check_eq(ctl_bind(&nl, env_ifindex(), queue, fd, 0, &a), 0);
		if (a.err && a.err != ENETDOWN && a.err != EBUSY)
			fail("bind: %s, %s", strerror(a.err), a.text);
		ctl_nl_close(&nl);
	}
}

/* Connections that attach to the same binding and end at once. */
static void attacher(void)
{
	struct conn mine;

	for (;;) {
		connect_pair(&mine, AF_INET6);
		attach(mine.rx, &b);
		send_pattern(mine.tx, 3000, 0, SEED, 700);
		disconnect_pair(&mine);
	}
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* A stream, among connections and bindings that come and go on the same device. */
static void storm(void)
{
	static const uint32_t queues[] = { 0, 1, 2, 3 };
	const uint64_t bytes = 3 << 20;
	pid_t others[4], sender;
	uint32_t i;
	int round;

	for (i = 0; i < 3; i++) {
		others[i] = test_fork();
		if (!others[i])
			binder(5 + i / 2);
	}
	for (round = 0; round < 4; round++) {
		bind_queues(&b, DEVMEM_BUF_GPU, BUFFER, CHUNK, queues, 4);
		others[3] = test_fork();
		if (!others[3])
			attacher();
		connect_pair(&c, AF_INET);
		attach(c.rx, &b);
		rx_init(&rx, c.rx, &b, SEED);
		sender = send_start(&c, bytes, SEED, 6000, SEND_SHUTDOWN);
		rx_all(&rx, bytes);
		rx_eof(&rx);
		test_join(sender);
		check_cmp(rx.placed, >, 0);
		end(others[3]);
		disconnect_pair(&c);
		rx_free(&rx);
		free_bound(&b);
	}
	for (i = 0; i < 3; i++)
		end(others[i]);
}

static void setup(void)
{
	env_setup(8);
	env_patient();
}

static const struct ktap_case cases[] = {
	KTAP_CASE(two_attach_one_socket),
	KTAP_CASE(attach_against_unbind),
	KTAP_CASE(attach_against_revoke),
	KTAP_CASE(attach_against_the_end),
	KTAP_CASE(unbind_against_revoke),
	KTAP_CASE(two_return_the_same_tokens),
	KTAP_CASE(three_read_one_socket),
	KTAP_CASE(storm, .timeout = 40),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
