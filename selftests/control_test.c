// SPDX-License-Identifier: GPL-2.0
/*
 * Control buffers and iovecs that are too small, absent, of odd shapes, or
 * not there: an error or less at a time, but never a byte or a token lost.
 * Must not know why a piece lies where it lies.
 */
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/mman.h>

#include "common.h"

#define SEED	0xc0117
#define CHUNK	4096U
#define ONE	CMSG_SPACE(sizeof(struct devmem_cmsg))

#ifndef TCP_INQ
#define TCP_INQ		36
#endif

static struct bound b;
static struct conn c;
static struct rx rx;
static uint64_t sent;

static void open_unattached(void)
{
	struct conn_opts opts = { .family = AF_INET, .rcvbuf = 1 << 20 };

	bind_buffer(&b, DEVMEM_BUF_UDMABUF, 4 << 20, CHUNK);
	connect_with(&c, &opts);
	rx_init(&rx, c.rx, &b, SEED);
}

static void push(uint64_t bytes)
{
	send_pattern(c.tx, bytes, sent, SEED, 1000);
	sent += bytes;
}

/* Ten chunks full, that is ten pieces, in the queue. */
static void ten_pieces(void)
{
	open_unattached();
	attach(c.rx, &b);
	push(10 * CHUNK);
	rx_queued(&rx, 10 * CHUNK);
}

static ssize_t recv_control(size_t size)
{
	rx.control_size = size;
	return rx_recv(&rx, MSG_DONTWAIT);
}

/* All that is left can be had, and the books are balanced. */
static void rest(uint64_t bytes)
{
	rx.control_size = RX_PIECES * ONE;
	rx.linear_size = RX_LINEAR;
	rx.keep = true;
	rx_all(&rx, bytes);
	rx_check_held(&rx);
	rx_check_info(&rx);
	rx_return(&rx);
	rx_check_info(&rx);
}

static void no_room(size_t size)
{
	check_eq(recv_control(size), -EMSGSIZE);
	check_eq(rx_check_info(&rx).tokens_held, 0);
}

static void absent(void)
{
	ten_pieces();
	no_room(0);
	rest(10 * CHUNK);
	check_eq(rx.placed, 10 * CHUNK);
}

static void too_small(void)
{
	ten_pieces();
	no_room(1);
	no_room(CMSG_LEN(0));
	no_room(CMSG_LEN(sizeof(struct devmem_cmsg)) - 1);
	check_eq(recv_control(ONE + CMSG_LEN(sizeof(struct devmem_cmsg)) - 1), CHUNK);
	check_eq(rx.nr_last, 1);
	rest(9 * CHUNK);
	check_eq(rx.placed, 10 * CHUNK);
}

static void exactly_full(void)
{
	ten_pieces();
	check_eq(recv_control(CMSG_LEN(sizeof(struct devmem_cmsg))), CHUNK);
	check_eq(rx.msg.msg_flags & MSG_CTRUNC, 0);
	check_eq(recv_control(3 * ONE), 3 * CHUNK);
	check_eq(rx.nr_last, 3);
	check_eq(rx.msg.msg_flags & MSG_CTRUNC, 0);
	check_eq(recv_control(3 * ONE + 8), 3 * CHUNK);
	rx.linear_size = 2 * CHUNK;
	check_eq(recv_control(2 * ONE), 2 * CHUNK);
	rest(CHUNK);
	check_eq(rx.placed, 10 * CHUNK);
}

/* MSG_WAITALL cannot have what there is no room to describe. */
static void full_while_waiting_for_all(void)
{
	ten_pieces();
	rx.control_size = 4 * ONE;
	check_eq(rx_recv(&rx, MSG_WAITALL), 4 * CHUNK);
	check_eq(rx_recv(&rx, MSG_PEEK), 4 * CHUNK);
	check_eq(rx_recv(&rx, MSG_PEEK | MSG_WAITALL), 4 * CHUNK);
	rest(6 * CHUNK);
	check_eq(rx.placed, 10 * CHUNK);
}

/* Other control messages want room, too: pieces go first, and none is lost. */
static void room_for_others(void)
{
	const size_t inq = CMSG_SPACE(sizeof(int));
	size_t size;
	int on = 1;

	ten_pieces();
	must(setsockopt(c.rx, IPPROTO_TCP, TCP_INQ, &on, sizeof(on)));
	for (size = ONE; size < 3 * ONE + inq; size += 8) {
		rx.linear_size = 100;
		check_eq(recv_control(size), 100);
	}
	rx.linear_size = RX_LINEAR;
	check_cmp(recv_control(2 * ONE + inq), >, 0);
	check_eq(rx.nr_last, 2);
	check(rx_cmsg(&rx, SOL_TCP, TCP_INQ));
	rest(10 * CHUNK - rx.bytes);
	check_eq(rx.placed, 10 * CHUNK);
}

/* Bytes in host memory are described, too. */
static void host_bytes_without_room(void)
{
	open_unattached();
	push(5000);
	rx_queued(&rx, 5000);
	attach(c.rx, &b);
	no_room(0);
	no_room(ONE - 1);
	rx.linear_size = 10;
	check_eq(recv_control(ONE), 10);
	rest(4990);
	check_eq(rx.host, 5000);
}

/* Placed, host, placed, ... : the urgent flag keeps a packet out of the buffer. */
static void push_urgent(size_t bytes)
{
	unsigned char buf[1000];

	check_cmp(bytes, <=, sizeof(buf));
	devmem_pattern_fill(buf, bytes, sent, SEED);
	check_eq(must(send(c.tx, buf, bytes, MSG_OOB)), bytes);
	sent += bytes;
}

static void mixed(void)
{
	unsigned int i;

	open_unattached();
	attach(c.rx, &b);
	for (i = 0; i < 20; i++) {
		push(300);
		rx_queued(&rx, sent);
		push_urgent(200);
		rx_queued(&rx, sent);
	}
	rx.linear_size = 450;	/* ends inside of one kind or the other */
	check_eq(recv_control(10 * ONE), 450);
	check_eq(rx.nr_last, 2);
	check(rx.last[0].placed);
	check(!rx.last[1].placed);
	rx.linear_size = RX_LINEAR;
	check_eq(recv_control(3 * ONE), 50 + 300 + 200);
	check_eq(recv_control(1 * ONE), 300);
	check_eq(recv_control(1 * ONE), 200);
	rest(20 * 500 - rx.bytes);
	check_eq(rx.placed, 20 * 300);
	check_eq(rx.host, 20 * 200);
}

static void iov_too_small(void)
{
	unsigned int i;

	ten_pieces();
	rx.linear_size = 1;
	for (i = 0; i < 50; i++) {
		check_eq(recv_control(10 * ONE), 1);
		check_eq(rx.nr_last, 1);
		check_eq(rx.held[i].off, rx.held[0].off + i);
	}
	rx.linear_size = CHUNK;
	check_eq(recv_control(10 * ONE), CHUNK);
	check_eq(rx.nr_last, 2);
	rest(9 * CHUNK - 50);
	check_eq(rx.placed, 10 * CHUNK);
}

static void zero_length(void)
{
	ten_pieces();
	rx.linear_size = 0;
	check_eq(recv_control(10 * ONE), 0);
	check_eq(rx.nr_last, 0);
	check_eq(rx.msg.msg_controllen, 0);
	rest(10 * CHUNK);
}

/* recvmsg() with @iov and the control buffer of @rx. */
static ssize_t recv_iov(struct iovec *iov, size_t nr)
{
	struct msghdr msg = {
		.msg_iov = iov,
		.msg_iovlen = nr,
		.msg_control = rx.control,
		.msg_controllen = 10 * ONE,
	};

	return recvmsg(c.rx, &msg, MSG_SOCK_DEVMEM | MSG_DONTWAIT);
}

static void many_iovecs(void)
{
	unsigned char buf[9][700];
	struct iovec iov[9];
	unsigned int i, n = 0;

	open_unattached();
	push(5000);
	rx_queued(&rx, 5000);
	attach(c.rx, &b);
	for (i = 0; i < 9; i++) {
		iov[i].iov_base = buf[i];
		iov[i].iov_len = i * 83;	/* the first is empty */
	}
	check_eq(recv_iov(iov, 9), 36 * 83);
	for (i = 0; i < 9; n += i * 83, i++)
		check_eq(devmem_pattern_check(buf[i], i * 83, n, SEED), -1);
	rx.pos = n;
	rest(5000 - n);
}

/* A page that can be read only, and one that is not there. Its place is kept:
 * what the library maps next would go into a hole.
 */
static unsigned char *bad_pages(void)
{
	unsigned char *p = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	check(p != MAP_FAILED);
	must(mprotect(p + 4096, 4096, PROT_READ));
	must(mprotect(p + 8192, 4096, PROT_NONE));
	return p;
}

static void bad_iovec(void)
{
	unsigned char *p = bad_pages();
	struct iovec iov[2] = { { p + 4096 - 600, 600 }, { p + 4096, 4096 } };

	open_unattached();
	push(5000);
	rx_queued(&rx, 5000);
	attach(c.rx, &b);
	check_errno(recv_iov(&iov[1], 1), EFAULT);
	iov[1].iov_base = p + 8192;
	check_errno(recv_iov(&iov[1], 1), EFAULT);
	iov[1].iov_base = NULL;
	check_errno(recv_iov(&iov[1], 1), EFAULT);
	/* what fits before the fault is not counted either */
	check_errno(recv_iov(iov, 2), EFAULT);
	rest(5000);
	check_eq(rx.host, 5000);
}

/* Placed bytes do not touch the iovec, so it may be bad. */
static void bad_iovec_for_placed(void)
{
	unsigned char *p = bad_pages(), *good;

	ten_pieces();
	good = rx.linear;
	rx.linear = p + 8192;
	rx.linear_size = 2 * CHUNK;
	check_eq(recv_control(10 * ONE), 2 * CHUNK);
	rx.linear = good;
	rest(8 * CHUNK);
	check_eq(rx.placed, 10 * CHUNK);
}

static void bad_control(void)
{
	unsigned char *p = bad_pages(), *good;

	ten_pieces();
	good = rx.control;
	for (rx.control = p + 4096; rx.control <= p + 8192; rx.control += 4096) {
		check_eq(recv_control(10 * ONE), -EFAULT);
		check_eq(rx_check_info(&rx).tokens_held, 0);
	}
	/* the second message is the one that does not fit */
	rx.control = p + 4096 - ONE;
	check_eq(recv_control(10 * ONE), CHUNK);
	check_eq(rx_check_info(&rx).tokens_held, 1);
	rx.control = good;
	rest(9 * CHUNK);
	check_eq(rx.placed, 10 * CHUNK);
}

/* A call that fails at the last byte of the stream takes neither that nor the end. */
static void bad_control_at_the_end(void)
{
	unsigned char *p = bad_pages(), *good;
	struct pollfd pfd;

	open_unattached();
	attach(c.rx, &b);
	push(CHUNK);
	must(shutdown(c.tx, SHUT_WR));
	pfd = (struct pollfd){ .fd = c.rx, .events = POLLRDHUP };
	check_eq(poll(&pfd, 1, patient(5000)), 1);
	good = rx.control;
	rx.control = p + 4096;
	check_eq(recv_control(10 * ONE), -EFAULT);
	rx.control = good;
	rest(CHUNK);
	check_eq(rx.placed, CHUNK);
	rx_eof(&rx);
}

static void setup(void)
{
	env_setup(4);
	env_patient();
}

static const struct ktap_case cases[] = {
	KTAP_CASE(absent),
	KTAP_CASE(too_small),
	KTAP_CASE(exactly_full),
	KTAP_CASE(full_while_waiting_for_all),
	KTAP_CASE(room_for_others),
	KTAP_CASE(host_bytes_without_room),
	KTAP_CASE(mixed),
	KTAP_CASE(iov_too_small),
	KTAP_CASE(zero_length),
	KTAP_CASE(many_iovecs),
	KTAP_CASE(bad_iovec),
	KTAP_CASE(bad_iovec_for_placed),
	KTAP_CASE(bad_control),
	KTAP_CASE(bad_control_at_the_end),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
