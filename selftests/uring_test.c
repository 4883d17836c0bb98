// SPDX-License-Identifier: GPL-2.0
/*
 * recvmsg() by way of io_uring: what a socket with the ULP delivers is the same, byte
 * for byte and token for token, whether one message is asked for or all there will
 * be, and tokens can go back that way, too. Owns nothing of what recvmsg() means:
 * that is recv_test's.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common.h"
#include "common_uring.h"

#define SEED	0x7572696e67ULL
#define KIB	1024UL
#define MIB	(1UL << 20)
#define PIECES	64
#define CONTROL	(PIECES * CMSG_SPACE(sizeof(struct devmem_cmsg)))
#define TOKENS	(1ULL << 63)	/* user_data of what is no message */

static struct uring u;
static struct bound b;
static struct conn c;
static struct rx rx;
static unsigned int sqe_flags;
static unsigned int renewed;	/* requests that ended and were made again */

static void setup(void)
{
	env_setup(4);
}

static void open_ring(unsigned int nr_bufs, size_t linear, size_t control)
{
	if (!uring_known())
		skip("no io_uring, or an old one");
	uring_open(&u, nr_bufs, linear, control);
}

/* One request, one message. */
static ssize_t by_one(struct rx *r, int flags)
{
	struct uring_done done;

	(void)flags;
	uring_recv(&u, r->sock, &r->msg, sqe_flags, 0);
	uring_wait(&u, 1);
	check(uring_next(&u, &done));
	check(!done.more);
	check(!uring_next(&u, &done));
	return done.res;
}

/* The next message of the request that delivers all. */
static ssize_t by_all(struct rx *r, int flags)
{
	static unsigned char kept[CONTROL];
	struct uring_done done;

	(void)flags;
	for (;;) {
		while (!uring_next(&u, &done))
			uring_wait(&u, 1);
		if (done.res != -ENOBUFS)
			break;
		check(!done.more);
		renewed++;
		uring_recv_all(&u, r->sock, 0);
	}
	if (done.res <= 0) {
		check(!done.more);
		return done.res;
	}
	/* the kernel may have the buffer again before the next message is asked for */
	check_cmp(done.msg.msg_controllen, <=, sizeof(kept));
	memcpy(kept, done.msg.msg_control, done.msg.msg_controllen);
	r->msg.msg_control = kept;
	r->msg.msg_controllen = done.msg.msg_controllen;
	r->msg.msg_flags = done.msg.msg_flags;
	memcpy(r->linear, done.linear, (size_t)done.res);
	return done.res;
}

static void begin(int family, uint32_t chunk, ssize_t (*by)(struct rx *r, int flags))
{
	/* what the ring has taken is held, and more is in the receive queue */
	bind_buffer(&b, DEVMEM_BUF_HEAP, 32 * MIB, chunk);
	connect_pair(&c, family);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
	rx.by = by;
	if (by == by_all)
		uring_recv_all(&u, c.rx, 0);
}

static void end(void)
{
	check_eq(rx.nr_held, 0);
	disconnect_pair(&c);
	rx_free(&rx);
	free_bound(&b);
}

static void stream(int family, uint32_t chunk, ssize_t (*by)(struct rx *r, int flags),
		   uint64_t bytes, size_t size)
{
	pid_t pid;

	begin(family, chunk, by);
	pid = send_start(&c, bytes, SEED, size, SEND_SHUTDOWN);
	close(c.tx);
	rx_all(&rx, bytes);
	rx_eof(&rx);
	test_join(pid);
	rx_check_placed(&rx, bytes);
	rx_check_info(&rx);
	end();
}

static void one(void)
{
	open_ring(0, 0, 0);
	stream(AF_INET, 65536, by_one, 16 * MIB, 65536);
	stream(AF_INET6, 4096, by_one, 4 * MIB, 1460);
}

/* In a worker of the ring, which waits in recvmsg(). */
static void one_async(void)
{
	sqe_flags = IOSQE_ASYNC;
	open_ring(0, 0, 0);
	stream(AF_INET, 65536, by_one, 8 * MIB, 65536);
}

static void all(void)
{
	open_ring(16, 64 * KIB, CONTROL);
	stream(AF_INET, 65536, by_all, 16 * MIB, 65536);
	uring_close(&u);
	open_ring(16, 64 * KIB, CONTROL);
	stream(AF_INET6, 65536, by_all, 16 * MIB, 65536);
}

/* A buffer for control messages that is soon full makes short messages. */
static void all_few_pieces(void)
{
	open_ring(16, 64 * KIB, 2 * CMSG_SPACE(sizeof(struct devmem_cmsg)));
	stream(AF_INET, 4096, by_all, 4 * MIB, 20000);
}

/* As many buffers as nobody ever wants: the request ends, nothing is lost. */
static void all_few_buffers(void)
{
	open_ring(1, 8 * KIB, CONTROL);
	stream(AF_INET, 65536, by_all, 4 * MIB, 65536);
	check_cmp(renewed, >, 0);
}

/* What came before the socket was attached is in host memory, and then some. */
static void host_and_placed(ssize_t (*by)(struct rx *r, int flags))
{
	bind_buffer(&b, DEVMEM_BUF_HEAP, 4 * MIB, 65536);
	connect_pair(&c, AF_INET);
	rx_init(&rx, c.rx, &b, SEED);
	send_pattern(c.tx, 30000, 0, SEED, 30000);
	rx_queued(&rx, 30000);
	attach(c.rx, &b);
	send_pattern(c.tx, 30000, 30000, SEED, 30000);
	rx_queued(&rx, 60000);
	rx.by = by;
	if (by == by_all)
		uring_recv_all(&u, c.rx, 0);
	rx_all(&rx, 60000);
	check_eq(rx.host, 30000);
	check_eq(rx.placed, 30000);
	end();
}

static void host_memory(void)
{
	open_ring(16, 64 * KIB, CONTROL);
	host_and_placed(by_one);
	host_and_placed(by_all);
}

/* The request is there before the bytes are; SO_RCVLOWAT counts. */
static void waits(void)
{
	struct __kernel_timespec soon = { .tv_nsec = 50000000 };
	struct io_uring_cqe *cqe;
	int lowat = 20000;

	open_ring(16, 64 * KIB, CONTROL);
	begin(AF_INET, 65536, by_all);
	must(setsockopt(c.rx, SOL_SOCKET, SO_RCVLOWAT, &lowat, sizeof(lowat)));
	check_eq(io_uring_submit(&u.ring), 1);
	send_pattern(c.tx, 19999, 0, SEED, 19999);
	rx_queued(&rx, 19999);
	check_eq(io_uring_wait_cqe_timeout(&u.ring, &cqe, &soon), -ETIME);
	send_pattern(c.tx, 1, 19999, SEED, 1);
	rx_all(&rx, 20000);
	end();
}

/* Without MSG_SOCK_DEVMEM placed bytes cannot be read, and stay. */
static void without_flag(void)
{
	struct iovec iov = { .iov_base = malloc(KIB), .iov_len = KIB };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct io_uring_sqe *sqe;
	struct uring_done done;

	open_ring(0, 0, 0);
	begin(AF_INET, 65536, by_one);
	send_pattern(c.tx, KIB, 0, SEED, KIB);
	rx_queued(&rx, KIB);
	sqe = io_uring_get_sqe(&u.ring);
	io_uring_prep_recvmsg(sqe, c.rx, &msg, 0);
	uring_wait(&u, 1);
	check(uring_next(&u, &done));
	check_eq(done.res, -EFAULT);
	check(!uring_next(&u, &done));
	rx_all(&rx, KIB);
	free(iov.iov_base);
	end();
}

/* SO_DEVMEM_DONTNEED: each token counts, and once only. */
static void tokens(void)
{
	struct devmem_range ranges[PIECES];
	unsigned int i, again, nr = 0;
	struct uring_done done;

	open_ring(16, 64 * KIB, CONTROL);
	begin(AF_INET, 4096, by_all);
	rx.keep = true;
	/* all of it at once: each message makes a piece more */
	send_pattern(c.tx, 50000, 0, SEED, 50000);
	rx_queued(&rx, 50000);
	rx_all(&rx, 50000);
	check(!uring_next(&u, &done));
	check_cmp(rx.nr_held, <=, PIECES);
	rx_check_held(&rx);
	for (i = 0; i < rx.nr_held; i++)
		ranges[nr++] = (struct devmem_range){ rx.held[i].token, 1 };
	for (again = 0; again < 2; again++) {
		uring_give(&u, c.rx, ranges, nr, TOKENS);
		uring_wait(&u, 1);
		check(uring_next(&u, &done));
		check(done.user_data == TOKENS);
		if (done.res == -EOPNOTSUPP || done.res == -EINVAL)
			skip("this kernel's io_uring sets no socket options");
		check_eq(done.res, again ? 0 : nr);
		check(!uring_next(&u, &done));
	}
	rx.nr_held = 0;
	rx_check_info(&rx);
	end();
}

/* A request that waits does not keep the socket, nor what was placed, for ever. */
static void left_waiting(void)
{
	open_ring(16, 64 * KIB, CONTROL);
	begin(AF_INET, 65536, by_all);
	send_pattern(c.tx, 50000, 0, SEED, 50000);
	rx_queued(&rx, 50000);
	rx_all(&rx, 50000);
	send_pattern(c.tx, 50000, 50000, SEED, 50000);
	rx_queued(&rx, 50000);
	end();
	uring_close(&u);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(one),
	KTAP_CASE(one_async),
	KTAP_CASE(all),
	KTAP_CASE(all_few_pieces),
	KTAP_CASE(all_few_buffers),
	KTAP_CASE(host_memory),
	KTAP_CASE(waits),
	KTAP_CASE(without_flag),
	KTAP_CASE(tokens),
	KTAP_CASE(left_waiting),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
