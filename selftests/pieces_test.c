// SPDX-License-Identifier: GPL-2.0
/*
 * What libdevmem makes of what recvmsg() reports, and of what no kernel should
 * report: here recvmsg() says whatever a case wants it to say. Must not know of
 * connections.
 */
#include <stdlib.h>
#include <sys/syscall.h>

#include "common.h"

#define LINEAR		64
#define PIECES		8

static struct {
	ssize_t ret;		/* or -errno */
	int flags;
	size_t len;
	char control[PIECES * CMSG_SPACE(sizeof(struct devmem_cmsg))];
	int asked;		/* flags of the call */
} answer;

static struct devmem_msg *msg;

/* In place of the C library's. Writes 0, 1, 2 ... to the whole buffer. */
ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	unsigned char *p = message->msg_iov->iov_base;
	size_t i;

	if (!msg)
		return syscall(SYS_recvmsg, fd, message, flags);
	answer.asked = flags;
	if (answer.ret < 0) {
		errno = (int)-answer.ret;
		return -1;
	}
	check_eq(message->msg_iovlen, 1);
	check_eq(message->msg_iov->iov_len, LINEAR);
	check_eq(message->msg_controllen, sizeof(answer.control));
	for (i = 0; i < LINEAR; i++)
		p[i] = (unsigned char)i;
	memcpy(message->msg_control, answer.control, answer.len);
	message->msg_controllen = answer.len;
	message->msg_flags = answer.flags;
	return answer.ret;
}

static void says(ssize_t ret)
{
	if (!msg)
		check_eq(devmem_msg_alloc(&msg, LINEAR, PIECES, 0), 0);
	memset(&answer, 0, sizeof(answer));
	answer.ret = ret;
}

/* One more control message, of which @missing bytes are missing. */
static void describes(int level, int type, uint32_t size, uint32_t token,
		      size_t missing)
{
	struct devmem_cmsg dc = {
		.frag_offset = 0x100000000ULL + token,
		.frag_size = size,
		.frag_token = token,
		.dmabuf_id = 77,
	};
	struct cmsghdr cmsg = {
		.cmsg_len = CMSG_LEN(sizeof(dc)) - missing,
		.cmsg_level = level,
		.cmsg_type = type,
	};

	check_cmp(answer.len + CMSG_SPACE(sizeof(dc)), <=, sizeof(answer.control));
	memcpy(answer.control + answer.len, &cmsg, sizeof(cmsg));
	memcpy(answer.control + answer.len + CMSG_LEN(0), &dc, sizeof(dc) - missing);
	answer.len += CMSG_SPACE(sizeof(dc) - missing);
}

static void host(uint32_t size)
{
	describes(SOL_SOCKET, SCM_DEVMEM_LINEAR, size, 0, 0);
}

static void placed(uint32_t size, uint32_t token)
{
	describes(SOL_SOCKET, SCM_DEVMEM_DMABUF, size, token, 0);
}

static void next_is_host(uint32_t size, uint32_t at)
{
	const unsigned char *data;
	struct devmem_piece piece;
	uint32_t i;

	check(devmem_msg_next(msg, &piece));
	check_eq(piece.type, DEVMEM_PIECE_LINEAR);
	check_eq(piece.size, size);
	data = piece.data;
	for (i = 0; i < size; i++)
		check_eq(data[i], at + i);
}

static void next_is_placed(uint32_t size, uint32_t token)
{
	struct devmem_piece piece;

	check(devmem_msg_next(msg, &piece));
	check_eq(piece.type, DEVMEM_PIECE_DMABUF);
	check_eq(piece.size, size);
	check_eq(piece.token, token);
	check_eq(piece.offset, 0x100000000ULL + token);
	check_eq(piece.dmabuf_id, 77);
	check(!piece.data);
}

static void no_more(void)
{
	struct devmem_piece piece;

	check(!devmem_msg_next(msg, &piece));
	check(!devmem_msg_next(msg, &piece));
}

static void error_says(const char *text)
{
	if (!strstr(devmem_error(), text))
		fail("'%s' does not say '%s'", devmem_error(), text);
}

static void in_the_order_of_the_stream(void)
{
	unsigned int i;

	says(10 + 20 + 5 + 7);
	host(10);
	placed(20, 900);
	host(5);
	placed(7, 901);
	answer.flags = MSG_CTRUNC;
	check_eq(devmem_recv(-1, msg, MSG_DONTWAIT), 42);
	check_eq(answer.asked, MSG_DONTWAIT | MSG_SOCK_DEVMEM);
	check_eq(devmem_msg_flags(msg), MSG_CTRUNC);
	for (i = 0; i < 2; i++) {
		next_is_host(10, 0);
		next_is_placed(20, 900);
		next_is_host(5, 10);
		next_is_placed(7, 901);
		no_more();
		devmem_msg_rewind(msg);
	}
}

/* A socket that is not attached: bytes alone. */
static void without_control_messages(void)
{
	unsigned int i;

	says(33);
	check_eq(devmem_recv(-1, msg, 0), 33);
	for (i = 0; i < 2; i++) {
		next_is_host(33, 0);
		no_more();
		devmem_msg_rewind(msg);
	}
	says(0);
	check_eq(devmem_recv(-1, msg, 0), 0);
	no_more();
}

/* Others may be among them: time stamps, or what is not known yet. */
static void control_messages_of_others(void)
{
	says(9);
	describes(SOL_SOCKET, SO_TIMESTAMP, 1000, 1, 0);
	placed(9, 5);
	describes(SOL_SOCKET + 1, SCM_DEVMEM_DMABUF, 1000, 2, 0);
	describes(SOL_SOCKET + 1, SCM_DEVMEM_LINEAR, 1000, 2, 0);
	describes(SOL_SOCKET, SO_TIMESTAMP, 1000, 1, 20);
	check_eq(devmem_recv(-1, msg, 0), 9);
	next_is_placed(9, 5);
	no_more();

	says(9);
	describes(SOL_SOCKET, SO_TIMESTAMP, 1000, 1, 0);
	check_eq(devmem_recv(-1, msg, 0), 9);
	next_is_host(9, 0);
	no_more();
}

/* What was given out can be given back whatever else is wrong. */
static void that_do_not_add_up(void)
{
	says(41);
	host(10);
	placed(30, 6);
	check_eq(devmem_recv(-1, msg, 0), -EPROTO);
	error_says("recvmsg returned 41 bytes, its control messages describe 40, 10 of them");
	next_is_host(10, 0);
	next_is_placed(30, 6);
	no_more();

	says(39);
	host(10);
	placed(30, 6);
	answer.flags = MSG_CTRUNC;
	check_eq(devmem_recv(-1, msg, 0), -EPROTO);
	error_says("returned 39 bytes");
	error_says("truncated");
	next_is_host(10, 0);
	next_is_placed(30, 6);
	no_more();

	says(0);
	placed(1, 8);
	check_eq(devmem_recv(-1, msg, 0), -EPROTO);
	next_is_placed(1, 8);
	no_more();
}

/* Never a byte from beyond the buffer. */
static void more_than_the_buffer_has(void)
{
	says(LINEAR + 1 + 5);
	host(LINEAR - 4);
	placed(5, 9);
	host(5);
	check_eq(devmem_recv(-1, msg, 0), -EPROTO);
	error_says("65 of them in host memory");
	next_is_host(LINEAR - 4, 0);
	next_is_placed(5, 9);
	next_is_host(4, LINEAR - 4);
	no_more();

	says(UINT32_MAX);
	host(UINT32_MAX);
	check_eq(devmem_recv(-1, msg, 0), -EPROTO);
	next_is_host(LINEAR, 0);
	no_more();

	/* exactly as much is fine */
	says(LINEAR + 5);
	host(LINEAR);
	placed(5, 10);
	check_eq(devmem_recv(-1, msg, 0), LINEAR + 5);
	next_is_host(LINEAR, 0);
	next_is_placed(5, 10);
	no_more();

	says(LINEAR + 1);
	check_eq(devmem_recv(-1, msg, 0), -EPROTO);
	next_is_host(LINEAR, 0);
	no_more();
}

/* One that was cut off says nothing of its bytes: not that they lie in the
 * buffer, either.
 */
static void that_are_too_short(void)
{
	size_t missing;

	for (missing = 1; missing <= sizeof(struct devmem_cmsg); missing++) {
		says(20);
		placed(20, 11);
		describes(SOL_SOCKET, SCM_DEVMEM_DMABUF, 0, 12, missing);
		check_eq(devmem_recv(-1, msg, 0), -EPROTO);
		error_says("too short");
		next_is_placed(20, 11);
		no_more();

		says(20);
		describes(SOL_SOCKET, SCM_DEVMEM_DMABUF, 20, 12, missing);
		check_eq(devmem_recv(-1, msg, 0), -EPROTO);
		no_more();

		says(20);
		describes(SOL_SOCKET, SCM_DEVMEM_LINEAR, 20, 12, missing);
		check_eq(devmem_recv(-1, msg, 0), -EPROTO);
		no_more();
	}
}

static void pieces_of_no_bytes(void)
{
	says(5);
	host(0);
	placed(5, 13);
	host(0);
	check_eq(devmem_recv(-1, msg, 0), 5);
	next_is_placed(5, 13);
	no_more();
}

/* MSG_TRUNC: bytes without pieces. */
static void dropped_bytes(void)
{
	says(100000);
	check_eq(devmem_recv(-1, msg, MSG_TRUNC), 100000);
	check_eq(answer.asked, MSG_TRUNC | MSG_SOCK_DEVMEM);
	no_more();
}

/* Nothing of the call before is left after one that fails. */
static void after_an_error(void)
{
	says(15);
	host(5);
	placed(10, 14);
	check_eq(devmem_recv(-1, msg, 0), 15);
	answer.ret = -EAGAIN;
	check_eq(devmem_recv(-1, msg, 0), -EAGAIN);
	error_says(strerror(EAGAIN));
	no_more();
	devmem_msg_rewind(msg);
	no_more();

	says(15);
	check_eq(devmem_recv(-1, msg, 0), 15);
	answer.ret = -ENOBUFS;
	check_eq(devmem_recv(-1, msg, 0), -ENOBUFS);
	no_more();
}

static void of_no_size(void)
{
	struct devmem_msg *m = NULL;

	check_eq(devmem_msg_alloc(&m, 0, 1, 0), -EINVAL);
	check_eq(devmem_msg_alloc(&m, 1, 0, 0), -EINVAL);
	check_eq(devmem_msg_alloc(&m, 1, 1, 1), -EINVAL);
	error_says("flags 0x1");
	check(!m);
	check_eq(devmem_msg_alloc(&m, 1, 1, 0), 0);
	devmem_msg_free(m);
	devmem_msg_free(NULL);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(in_the_order_of_the_stream),
	KTAP_CASE(without_control_messages),
	KTAP_CASE(control_messages_of_others),
	KTAP_CASE(that_do_not_add_up),
	KTAP_CASE(more_than_the_buffer_has),
	KTAP_CASE(that_are_too_short),
	KTAP_CASE(pieces_of_no_bytes),
	KTAP_CASE(dropped_bytes),
	KTAP_CASE(after_an_error),
	KTAP_CASE(of_no_size),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, NULL, cases, ARRAY_SIZE(cases));
}
