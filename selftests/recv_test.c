// SPDX-License-Identifier: GPL-2.0
/*
 * The ways to call recvmsg(): flags, socket options that change what it does,
 * and the calls that a socket with placed payload must refuse. Must not know of
 * segments or of a bad network.
 */
#include <fcntl.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#include "common.h"

#define SEED	0xbeef
#define BUFFER	(4U << 20)

#ifndef TCP_INQ
#define TCP_INQ		36
#define TCP_CM_INQ	TCP_INQ
#endif

static struct bound b;
static struct conn c;
static struct rx rx;
static uint64_t sent;

static void open_stream(void)
{
	/* much for each byte: 800 packets wait at once, which debug kernels make larger */
	struct conn_opts opts = { .family = AF_INET, .rcvbuf = 4 << 20 };

	bind_buffer(&b, DEVMEM_BUF_HEAP, BUFFER, 0);
	connect_with(&c, &opts);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
}

/* The next @bytes of the stream, in writes of 500. */
static void push(uint64_t bytes)
{
	send_pattern(c.tx, bytes, sent, SEED, 500);
	sent += bytes;
}

static void set_int(int level, int name, int value)
{
	must(setsockopt(c.rx, level, name, &value, sizeof(value)));
}

static ssize_t recv_some(size_t size, int flags)
{
	rx.linear_size = size;
	return rx_recv(&rx, flags);
}

static void peek(void)
{
	uint64_t off;

	open_stream();
	push(5000);
	rx_queued(&rx, 5000);
	check_eq(recv_some(777, MSG_PEEK), 777);
	check_eq(rx.nr_last, 1);
	check(rx.last[0].placed);
	off = rx.last[0].off;
	check_eq(recv_some(9999, MSG_PEEK), 5000);
	check_eq(rx.last[0].off, off);
	rx_check_info(&rx);	/* no piece, no token so far */
	check_eq(recv_some(1000, 0), 1000);
	check_eq(rx.last[0].off, off);
	check_eq(recv_some(9999, MSG_PEEK), 4000);
	check_eq(recv_some(9999, 0), 4000);
	check_eq(rx.placed, 5000);
	rx_check_info(&rx);
	check_eq(recv_some(1, MSG_PEEK | MSG_DONTWAIT), -EAGAIN);
}

static void peek_offset(void)
{
	open_stream();
	set_int(SOL_SOCKET, SO_PEEK_OFF, 0);
	push(5000);
	rx_queued(&rx, 5000);
	rx.linear_size = 1000;
	check_eq(rx_peek_at(&rx, 0), 1000);
	rx.linear_size = 700;
	check_eq(rx_peek_at(&rx, 1000), 700);
	check_eq(recv_some(500, 0), 500);
	rx.linear_size = 9999;
	check_eq(rx_peek_at(&rx, 1200), 3300);
	set_int(SOL_SOCKET, SO_PEEK_OFF, 50);
	rx.linear_size = 100;
	check_eq(rx_peek_at(&rx, 50), 100);
	set_int(SOL_SOCKET, SO_PEEK_OFF, -1);
	check_eq(rx_peek_at(&rx, 0), 100);
	check_eq(recv_some(9999, 0), 4500);
	check_eq(rx.placed, 5000);
}

/* Sends @times @bytes, each when the receiver has read what was before. */
static pid_t push_slowly(unsigned int times, uint64_t bytes, bool end)
{
	pid_t pid = test_fork();

	if (pid)
		return pid;
	close(c.rx);
	while (times--) {
		usleep(2000);
		push(bytes);
	}
	if (end)
		must(shutdown(c.tx, SHUT_WR));
	_exit(0);
}

static void waitall(void)
{
	pid_t pid;

	open_stream();
	pid = push_slowly(100, 3000, false);
	check_eq(recv_some(300000, MSG_WAITALL), 300000);
	rx_check_placed(&rx, 300000);
	test_join(pid);
	rx_check_held(&rx);
	rx_check_info(&rx);
	check_eq(recv_some(1, MSG_DONTWAIT), -EAGAIN);
}

static void waitall_ends_with_the_stream(void)
{
	pid_t pid;

	open_stream();
	pid = push_slowly(3, 1000, true);
	check_eq(recv_some(4000, MSG_WAITALL), 3000);
	test_join(pid);
	check_eq(recv_some(4000, MSG_WAITALL), 0);
	rx_check_info(&rx);
}

static void noted(int sig)
{
	(void)sig;
}

/* Signals to this process, one of which comes when it sleeps in recvmsg(). */
static pid_t signals_start(void)
{
	pid_t reader = getpid(), pid = test_fork();

	if (pid)
		return pid;
	for (;;) {
		usleep(50000);
		kill(reader, SIGUSR1);
	}
}

static void signals_stop(pid_t pid)
{
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0)
		check_eq(errno, EINTR);
}

static void signals(void)
{
	struct sigaction act = { .sa_handler = noted };
	pid_t pid;

	sigaction(SIGUSR1, &act, NULL);
	open_stream();
	pid = signals_start();
	check_eq(recv_some(1000, 0), -EINTR);
	signals_stop(pid);

	push(400);
	rx_queued(&rx, 400);
	pid = signals_start();
	check_eq(recv_some(1000, MSG_WAITALL), 400);
	signals_stop(pid);
	push(1000);
	check_eq(recv_some(1000, MSG_WAITALL), 1000);
	rx_check_info(&rx);
}

static void dontwait(void)
{
	open_stream();
	check_eq(recv_some(1000, MSG_DONTWAIT), -EAGAIN);
	push(700);
	rx_queued(&rx, 700);
	check_eq(recv_some(1000, MSG_DONTWAIT), 700);
	check_eq(recv_some(1000, MSG_DONTWAIT), -EAGAIN);

	must(fcntl(c.rx, F_SETFL, O_NONBLOCK));
	check_eq(recv_some(1000, MSG_WAITALL), -EAGAIN);
	push(300);
	rx_queued(&rx, 300);
	check_eq(recv_some(1000, MSG_WAITALL), 300);
	check_eq(rx.placed, 1000);
}

/* Discards; what was placed is free at once. */
static void trunc_discards(void)
{
	struct devmem_bind_info info;
	uint64_t calls;
	unsigned int i;

	open_stream();
	push(400000);
	rx_queued(&rx, 400000);
	memset(rx.linear, 0xee, 4096);
	check_eq(recv_some(1000, MSG_TRUNC | MSG_PEEK), 1000);
	check_eq(recv_some(1000, MSG_TRUNC), 1000);
	check_eq(rx.msg.msg_controllen, 0);
	for (i = 0; i < 4096; i++)
		check_eq(rx.linear[i], 0xee);
	check_eq(recv_some(50, 0), 50);
	rx_return(&rx);
	check_eq(recv_some(1 << 20, MSG_TRUNC), 398950);
	calls = rx.calls;
	bound_info(&b, &info);
	/* the flow may keep one for what comes next */
	check_cmp(info.chunks_free, >=, info.chunks - 1);
	push(1000);
	rx_all(&rx, 1000);
	check_cmp(rx.calls, >, calls);
	rx_check_info(&rx);
}

static void rcvtimeo(void)
{
	struct timeval tv = { .tv_usec = 150000 };
	long long start;

	open_stream();
	must(setsockopt(c.rx, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	start = now_ms();
	check_eq(recv_some(1000, 0), -EAGAIN);
	check_cmp(now_ms() - start, >=, 140);
	push(600);
	rx_queued(&rx, 600);
	start = now_ms();
	check_eq(recv_some(1000, MSG_WAITALL), 600);
	check_cmp(now_ms() - start, >=, 140);
	check_eq(rx.placed, 600);
}

/* As with any TCP socket a reader takes what is there and then sleeps until there is
 * as much again: more is sent than that takes in any case.
 */
static void rcvlowat(void)
{
	ssize_t n;
	pid_t pid;

	open_stream();
	set_int(SOL_SOCKET, SO_RCVLOWAT, 5000);
	pid = push_slowly(10, 1000, false);
	n = recv_some(9999, 0);
	check_cmp(n, >=, 5000);
	test_join(pid);
	rx_queued(&rx, (uint64_t)(10000 - n));
	check_eq(recv_some(9999, MSG_DONTWAIT), 10000 - n);
	check_eq(rx.placed, 10000);
	sent = 10000;
	push(1000);
	rx_queued(&rx, 1000);
	check_eq(recv_some(300, 0), 300);	/* never waits for more than asked */
	check_eq(recv_some(9999, MSG_DONTWAIT), 700);
}

static int cm_inq(void)
{
	const void *data = rx_cmsg(&rx, SOL_TCP, TCP_CM_INQ);
	int inq;

	check(data);
	memcpy(&inq, data, sizeof(inq));
	return inq;
}

static void inq(void)
{
	open_stream();
	set_int(IPPROTO_TCP, TCP_INQ, 1);
	push(3000);
	rx_queued(&rx, 3000);
	check_eq(recv_some(1000, 0), 1000);
	check_eq(cm_inq(), 2000);
	check_eq(recv_some(500, MSG_PEEK), 500);
	check_eq(cm_inq(), 2000);
	check_eq(recv_some(2000, 0), 2000);
	check_eq(cm_inq(), 0);
	must(shutdown(c.tx, SHUT_WR));
	rx_eof(&rx);
	check_eq(cm_inq(), 1);
	check_eq(rx.placed, 3000);
}

/* Stamps are switched on in the background: try until there is one. */
static const void *receive_stamp(int type)
{
	const void *data = NULL;
	unsigned int i;

	for (i = 0; i < 200 && !data; i++) {
		push(100);
		check_eq(recv_some(100, MSG_WAITALL), 100);
		rx_return(&rx);
		data = rx_cmsg(&rx, SOL_SOCKET, type);
		if (!data)
			usleep(5000);
	}
	if (!data)
		fail("no control message %d", type);
	return data;
}

static void check_recent(int64_t sec, int64_t nsec)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	check_cmp(sec, <=, now.tv_sec);
	check_cmp(sec, >=, now.tv_sec - 60);
	check_cmp(nsec, >=, 0);
	check_cmp(nsec, <, 1000000000);
}

static void timestamps(void)
{
	struct timespec ts[3];
	struct timeval tv;

	open_stream();
	set_int(SOL_SOCKET, SO_TIMESTAMP, 1);
	memcpy(&tv, receive_stamp(SCM_TIMESTAMP), sizeof(tv));
	check_recent(tv.tv_sec, tv.tv_usec * 1000);
	set_int(SOL_SOCKET, SO_TIMESTAMP, 0);

	set_int(SOL_SOCKET, SO_TIMESTAMPNS, 1);
	memcpy(&ts[0], receive_stamp(SCM_TIMESTAMPNS), sizeof(ts[0]));
	check_recent(ts[0].tv_sec, ts[0].tv_nsec);
	set_int(SOL_SOCKET, SO_TIMESTAMPNS, 0);

	set_int(SOL_SOCKET, SO_TIMESTAMPING,
		SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_RX_SOFTWARE);
	memcpy(ts, receive_stamp(SCM_TIMESTAMPING), sizeof(ts));
	check_recent(ts[0].tv_sec, ts[0].tv_nsec);
	check_eq(ts[1].tv_sec, 0);
	check_eq(ts[2].tv_sec, 0);

	set_int(SOL_SOCKET, SO_TIMESTAMPING, 0);
	push(100);
	check_eq(recv_some(100, MSG_WAITALL), 100);
	check(!rx_cmsg(&rx, SOL_SOCKET, SCM_TIMESTAMPING));
	rx_check_placed(&rx, rx.bytes);
}

/* Bytes of before the attach come in host memory: recv() may have those. */
static void plain_recv_is_refused(void)
{
	unsigned char buf[2000];
	struct iovec iov = { buf, sizeof(buf) };

	bind_buffer(&b, DEVMEM_BUF_HEAP, BUFFER, 0);
	connect_pair(&c, AF_INET);
	rx_init(&rx, c.rx, &b, SEED);
	push(600);
	rx_queued(&rx, 600);
	attach(c.rx, &b);
	push(1000);
	rx_queued(&rx, 1600);

	check_eq(must(recv(c.rx, buf, sizeof(buf), MSG_PEEK)), 600);
	check_eq(must(recv(c.rx, buf, sizeof(buf), 0)), 600);
	check_eq(devmem_pattern_check(buf, 600, 0, SEED), -1);
	check_errno(recv(c.rx, buf, sizeof(buf), 0), EFAULT);
	check_errno(recv(c.rx, buf, sizeof(buf), MSG_PEEK), EFAULT);
	check_errno(read(c.rx, buf, 1), EFAULT);
	check_errno(readv(c.rx, &iov, 1), EFAULT);
	check_errno(recv(c.rx, buf, sizeof(buf), MSG_WAITALL), EFAULT);
	check_eq(must(recv(c.rx, NULL, 100, MSG_TRUNC)), 100);

	rx.pos = 700;
	rx_all(&rx, 900);
	check_eq(rx.placed, 900);
	rx_check_info(&rx);
}

static void splice_is_refused(void)
{
	int pipefd[2];

	open_stream();
	push(1000);
	rx_queued(&rx, 1000);
	must(pipe(pipefd));
	check_errno(splice(c.rx, NULL, pipefd[1], NULL, 1000, 0), EOPNOTSUPP);
	check_errno(splice(c.rx, NULL, pipefd[1], NULL, 1000, SPLICE_F_NONBLOCK),
		    EOPNOTSUPP);
	rx_all(&rx, 1000);
	check_eq(rx.placed, 1000);
}

static void out_of_band_and_error_queue(void)
{
	open_stream();
	push(1000);
	rx_queued(&rx, 1000);
	check_eq(recv_some(1, MSG_OOB), -EINVAL);
	check_eq(recv_some(1, MSG_ERRQUEUE), -EAGAIN);
	rx_all(&rx, 1000);
	check_eq(rx.placed, 1000);
}

/* The ULP alone: nothing is placed, all is described. */
static void ulp_without_attach(void)
{
	pid_t pid;

	connect_pair(&c, AF_INET6);
	must(setsockopt(c.rx, IPPROTO_TCP, TCP_ULP, DEVMEM_ULP_NAME,
			sizeof(DEVMEM_ULP_NAME)));
	rx_init(&rx, c.rx, NULL, SEED);
	pid = send_start(&c, 1 << 20, SEED, 10000, SEND_SHUTDOWN);
	rx_all(&rx, 1 << 20);
	rx_eof(&rx);
	test_join(pid);
	check_eq(rx.host, 1 << 20);
}

static void busy_poll(void)
{
	pid_t pid;

	open_stream();
	set_int(SOL_SOCKET, SO_BUSY_POLL, 50);
	pid = push_slowly(20, 7000, true);
	rx_all(&rx, 140000);
	rx_eof(&rx);
	test_join(pid);
	rx_check_placed(&rx, 140000);
}

static void setup(void)
{
	env_setup(4);
	env_patient();
}

static const struct ktap_case cases[] = {
	KTAP_CASE(peek),
	KTAP_CASE(peek_offset),
	KTAP_CASE(waitall),
	KTAP_CASE(waitall_ends_with_the_stream),
	KTAP_CASE(signals),
	KTAP_CASE(dontwait),
	KTAP_CASE(trunc_discards),
	KTAP_CASE(rcvtimeo),
	KTAP_CASE(rcvlowat),
	KTAP_CASE(inq),
	KTAP_CASE(timestamps),
	KTAP_CASE(plain_recv_is_refused),
	KTAP_CASE(splice_is_refused),
	KTAP_CASE(out_of_band_and_error_queue),
	KTAP_CASE(ulp_without_attach),
	KTAP_CASE(busy_poll),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
