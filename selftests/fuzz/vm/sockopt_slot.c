// SPDX-License-Identifier: GPL-2.0
/*
 * Owns the sockets of sockopt_fuzz and reads from them. Must not know which
 * options there are.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chance.h"
#include "sockopt_slot.h"

#define EDGE		(1U << 16)
#define IOVS		4
#define LINEAR		(64 * 1024)
#define CONTROL		(256 * CMSG_SPACE(sizeof(struct devmem_cmsg)))

static uint8_t *edge;		/* EDGE bytes, then nothing */

static void edge_map(void)
{
	if (edge)
		return;
	edge = mmap(NULL, 2 * EDGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	check(edge != MAP_FAILED);
	must(mprotect(edge + EDGE, EDGE, PROT_NONE));
}

void *edge_pointer(size_t len)
{
	edge_map();
	check_cmp(len, <=, EDGE);
	return edge + EDGE - len;
}

void *bad_pointer(void)
{
	edge_map();
	switch (rnd(4)) {
	case 0:
		return NULL;
	case 1:
		return (void *)(uintptr_t)(0xffff800000000000ULL + rnd32());
	case 2:
		return (void *)(uintptr_t)(rnd_wild() % 4096);
	default:
		return edge + EDGE + rnd(EDGE / 2);
	}
}

static void open_stream(struct slot *s)
{
	struct conn c;

	connect_with(&c, &(struct conn_opts){ .family = rnd(3) ? AF_INET : AF_INET6,
					      .reverse = rnd(2) });
	s->fd = c.rx;
	s->peer = c.tx;
	s->connected = true;
}

void slot_open(struct slot *s, enum slot_kind kind)
{
	struct sockaddr_storage ss;
	int pair[2];

	memset(s, 0, sizeof(*s));
	s->kind = kind;
	s->peer = -1;
	s->seed = rnd64();
	switch (kind) {
	case SLOT_STREAM:
		open_stream(s);
		break;
	case SLOT_LISTENING:
		s->fd = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
		must(bind(s->fd, (void *)&ss, side_addr(&ss, RECEIVER, AF_INET, 0)));
		must(listen(s->fd, 4));
		break;
	case SLOT_FRESH:
		s->fd = must(socket(rnd(2) ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
		break;
	case SLOT_UDP:
		s->fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
		break;
	case SLOT_UNIX:
		must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
		s->fd = pair[0];
		close(pair[1]);
		break;
	default:
		must(pipe2(pair, O_CLOEXEC));
		s->fd = pair[0];
		close(pair[1]);
		break;
	}
}

void slot_close(struct slot *s)
{
	close(s->fd);
	if (s->peer >= 0)
		close(s->peer);
}

void slot_feed(struct slot *s, uint32_t len)
{
	static uint8_t buf[LINEAR];
	ssize_t n;

	if (s->peer < 0)
		return;
	len = len < LINEAR ? len : LINEAR;
	devmem_pattern_fill(buf, len, s->sent, s->seed);
	n = send(s->peer, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0)
		s->sent += (uint64_t)n;
}

void slot_check_held(const struct slot *s, const struct bound *b)
{
	const struct held *h;

	for (h = s->held; h < s->held + s->nr_held; h++)
		if (devmem_pattern_check(b->map + h->off, h->size, h->pos, h->seed) >= 0)
			fail("what token %u holds has changed", h->token);
}

/* ---- recvmsg() ---------------------------------------------------------- */

static uint8_t linear[LINEAR];
static uint8_t control[CONTROL + 64];
static struct iovec iov[IOVS];
static bool iov_bad[IOVS];

/* Where linear bytes go: some vectors, some of which lead nowhere. */
static void choose_vectors(struct msghdr *msg)
{
	uint32_t at = 0, i, len;

	msg->msg_iov = iov;
	msg->msg_iovlen = rnd(12) ? 1 + rnd(IOVS) : 0;
	for (i = 0; i < msg->msg_iovlen; i++) {
		len = rnd_size(LINEAR / IOVS);
		iov_bad[i] = once_in(24);
		iov[i].iov_base = iov_bad[i] ? bad_pointer() : linear + at;
		iov[i].iov_len = len;
		at += len;
	}
}

static void choose_control(struct msghdr *msg)
{
	uint32_t off = rnd(8) ? 0 : rnd(16);

	msg->msg_control = control + off;
	msg->msg_controllen = rnd(3) ? CONTROL : rnd_size(400);
	if (once_in(24))
		msg->msg_control = bad_pointer();
}

/* The @n bytes at @off of the linear bytes are those at @pos of the stream. */
static void check_linear(const struct slot *s, uint64_t off, uint64_t n, uint64_t pos)
{
	unsigned int i;
	uint64_t part;

	for (i = 0; n && i < IOVS; i++) {
		if (off >= iov[i].iov_len) {
			off -= iov[i].iov_len;
			continue;
		}
		part = iov[i].iov_len - off < n ? iov[i].iov_len - off : n;
		if (iov_bad[i])
			fail("%llu bytes went where nothing is", (unsigned long long)part);
		if (devmem_pattern_check((uint8_t *)iov[i].iov_base + off, part, pos, s->seed) >= 0)
			fail("wrong byte in the iovec, stream at %llu", (unsigned long long)pos);
		pos += part;
		n -= part;
		off = 0;
	}
	check_eq(n, 0);
}

static void check_placed(struct slot *s, const struct bound *b, const struct devmem_cmsg *dc,
			 uint64_t pos, bool peek)
{
	check(s->ulp);
	check_eq(dc->dmabuf_id, b->res.id);
	check_cmp(dc->frag_offset + dc->frag_size, <=, b->size);
	if (devmem_pattern_check(b->map + dc->frag_offset, dc->frag_size, pos, s->seed) >= 0)
		fail("wrong byte in the buffer, stream at %llu", (unsigned long long)pos);
	if (peek) {
		check_eq(dc->frag_token, 0);
		return;
	}
	check_cmp(dc->frag_token, >, 0);
	check_cmp(s->nr_held, <, HELD_MAX);
	s->held[s->nr_held++] = (struct held){ dc->frag_token, dc->frag_size, pos,
					       dc->frag_offset, s->seed };
}

static void check_delivered(struct slot *s, const struct bound *b, struct msghdr *msg,
			    uint64_t n, int flags)
{
	uint64_t pos = s->pos, lin = 0;
	struct devmem_cmsg dc;
	struct cmsghdr *cmsg;
	bool any = false;

	for (cmsg = CMSG_FIRSTHDR(msg); cmsg; cmsg = CMSG_NXTHDR(msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || (cmsg->cmsg_type != SCM_DEVMEM_DMABUF &&
						       cmsg->cmsg_type != SCM_DEVMEM_LINEAR))
			continue;
		any = true;
		memcpy(&dc, CMSG_DATA(cmsg), sizeof(dc));
		if (cmsg->cmsg_type == SCM_DEVMEM_DMABUF) {
			check_placed(s, b, &dc, pos, flags & MSG_PEEK);
		} else {
			check_linear(s, lin, dc.frag_size, pos);
			lin += dc.frag_size;
		}
		pos += dc.frag_size;
	}
	if (!any) {
		check(!s->ulp || !(flags & MSG_SOCK_DEVMEM));
		check_linear(s, 0, n, pos);
		pos += n;
	}
	check_eq(pos - s->pos, n);
}

/* The calls that may be refused, and how. */
static void check_refused(const struct slot *s, int err)
{
	switch (err) {
	case EAGAIN:
	case EFAULT:
	case EMSGSIZE:
	case EINVAL:
		return;
	case ENOTCONN:
	case ECONNRESET:
	case EPIPE:
	case ETIMEDOUT:
		if (s->over)
			return;
		break;
	default:
		break;
	}
	fail("recvmsg: %s", strerror(err));
}

void slot_receive(struct slot *s, const struct bound *b)
{
	static const int choices[] = {
		MSG_PEEK, MSG_TRUNC, MSG_WAITALL, MSG_OOB, MSG_ERRQUEUE, MSG_CMSG_CLOEXEC,
		MSG_CTRUNC, MSG_EOR, MSG_MORE, MSG_DONTROUTE, MSG_NOSIGNAL,
	};
	int flags = MSG_DONTWAIT | (rnd(8) ? MSG_SOCK_DEVMEM : 0);
	struct msghdr msg = {};
	ssize_t n;

	if (s->kind != SLOT_STREAM) {
		(void)recvmsg(s->fd, &(struct msghdr){}, MSG_DONTWAIT | MSG_SOCK_DEVMEM);
		return;
	}
	/* each call may bring that many */
	if (s->nr_held > HELD_MAX - 257)
		return;
	if (once_in(4))
		flags |= rnd_of(choices);
	if (once_in(16)) {
		flags |= rnd_of(choices);
		flags |= rnd_of(choices);
	}
	choose_vectors(&msg);
	choose_control(&msg);
	n = recvmsg(s->fd, &msg, flags);
	if (n < 0) {
		check_refused(s, errno);
		return;
	}
	if (!n) {
		/* it asked for nothing, or the stream has ended */
		if (!s->over && msg.msg_iovlen && !(flags & MSG_ERRQUEUE)) {
			size_t i, sum = 0;

			for (i = 0; i < msg.msg_iovlen; i++)
				sum += iov[i].iov_len;
			if (sum)
				fail("the stream ends at %llu of %llu", (unsigned long long)s->pos,
				     (unsigned long long)s->sent);
		}
		return;
	}
	if (flags & MSG_ERRQUEUE)
		return;
	check_cmp(s->pos + (uint64_t)n, <=, s->sent);
	if (!(flags & MSG_TRUNC))
		check_delivered(s, b, &msg, (uint64_t)n, flags);
	if (!(flags & MSG_PEEK))
		s->pos += (uint64_t)n;
}
