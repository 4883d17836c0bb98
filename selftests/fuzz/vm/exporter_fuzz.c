// SPDX-License-Identifier: GPL-2.0
/*
 * Exporters at their worst, while their buffers are in use: buffers of the fake
 * GPU with all its ways to misbehave are bound, attached to, written to by the
 * NIC, taken back and forgotten in any order, by two processes at once. A stream
 * goes on whatever becomes of its buffer; what a token holds stays; a bind is
 * answered as documented; and in the end nothing is left.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chance.h"
#include "common.h"
#include "common_attach.h"
#include "common_ctl.h"

#define ACTIONS		600		/* if nobody says */
#define ROUND		300
#define BUFFERS		6
#define STREAMS		6
#define QUEUES		8
#define FEED		40000
#define HELD		256

struct buffer {
	int fd;			/* -1: none */
	uint32_t flags;
	uint32_t size;
	bool revoked;
	uint8_t *map;		/* NULL: it could not be mapped */
	struct ctl_nl nl;
	uint32_t id;		/* 0: not bound */
	bool bound;
};

struct held {
	uint64_t pos;
	uint64_t off;
	uint32_t size;
	uint32_t token;
};

struct stream {
	struct conn c;
	bool ulp;
	unsigned int buffer;	/* + 1, 0: not attached */
	uint64_t seed;
	uint64_t sent;
	uint64_t pos;
	struct held held[HELD];
	unsigned int nr_held;
};

static struct buffer buffers[BUFFERS];
static struct stream streams[STREAMS];
static unsigned int first_queue;	/* of ours */
static bool alone;			/* the counters of live objects are ours */
static uint8_t linear[1 << 20];
static unsigned int nr_bound, nr_revoked, nr_attached;
static uint64_t nr_placed;

/* ---- buffers ------------------------------------------------------------ */

static void buffer_forget(struct buffer *b)
{
	unsigned int i;

	/* what is held there cannot be looked at any more */
	for (i = 0; i < STREAMS; i++)
		if (streams[i].buffer && &buffers[streams[i].buffer - 1] == b)
			return;
	if (b->map)
		munmap(b->map, b->size);
	if (b->fd >= 0)
		close(b->fd);
	if (b->nl.sock)
		ctl_nl_close(&b->nl);
	memset(b, 0, sizeof(*b));
	b->fd = -1;
}

static void buffer_make(struct buffer *b)
{
	static const uint32_t addresses[] = {
		0, NSDM_GPU_MAP_ODD_LEN, NSDM_GPU_MAP_ODD_START, NSDM_GPU_MAP_NO_RAM
	};
	uint32_t order = rnd(8), blocks = 1 + rnd(order > 5 ? 3 : 20);
	void *map;

	if (b->fd >= 0)
		return;
	b->flags = rnd(2) ? 0 : rnd_of(addresses) | (rnd(8) ? 0 : NSDM_GPU_NO_ATTACH) |
		   (rnd(8) ? 0 : NSDM_GPU_MAP_ENOMEM) | (rnd(8) ? 0 : NSDM_GPU_MAP_EIO) |
		   (rnd(8) ? 0 : NSDM_GPU_MAP_SHORT) |
		   (rnd(8) ? 0 : NSDM_GPU_NO_ATTACH_524) | (rnd(8) ? 0 : NSDM_GPU_MAP_524) |
		   (rnd(8) ? 0 : NSDM_GPU_MAP_EINTR) | (rnd(8) ? 0 : NSDM_GPU_P2P_ONLY);
	b->flags |= (rnd(2) ? 0 : NSDM_GPU_PIN_MOVES) | (rnd(2) ? 0 : NSDM_GPU_MAP_MOVES);
	b->size = (4096U << order) * blocks;
	b->fd = ctl_gpu_alloc(b->size, order, b->flags);
	if (b->fd < 0)
		fail("a buffer of %u: %s", b->size, strerror(-b->fd));
	map = mmap(NULL, b->size, PROT_READ | PROT_WRITE, MAP_SHARED, b->fd, 0);
	check(map != MAP_FAILED);
	b->map = map;
	check_eq(ctl_nl_open(&b->nl), 0);
}

/* 0, or the errno; -1: more than one will do. */
static int expect_bind(const struct buffer *b)
{
	if (b->flags & (NSDM_GPU_NO_ATTACH | NSDM_GPU_NO_ATTACH_524 | NSDM_GPU_P2P_ONLY))
		return EOPNOTSUPP;
	if (b->revoked)
		return ENODEV;
	if (b->flags & NSDM_GPU_MAP_ENOMEM)
		return ENOMEM;
	if (b->flags & NSDM_GPU_MAP_EIO)
		return EIO;
	if (b->flags & NSDM_GPU_MAP_524)
		return EOPNOTSUPP;
	if (b->flags & NSDM_GPU_MAP_EINTR)
		return EAGAIN;
	if (b->flags & NSDM_GPU_MAP_SHORT)
		return -1;
	if (b->flags & NSDM_GPU_MAP_ODD_START)
		return EINVAL;
	return (b->flags & NSDM_GPU_MAP_NO_RAM) ? EFAULT : 0;
}

/* Bound once only: a second binding would not know what tokens of the first hold. */
static void buffer_bind(struct buffer *b)
{
	static struct buffer *owner[QUEUES];
	uint32_t queue = first_queue + rnd(QUEUES / 2), i;
	struct ctl_answer a;
	int want;

	if (b->fd < 0 || b->id)
		return;
	for (i = 0; i < QUEUES; i++)
		if (owner[i] == b || (owner[i] && !owner[i]->bound))
			owner[i] = NULL;
	want = owner[queue] ? EBUSY : expect_bind(b);
	check_eq(ctl_bind(&b->nl, env_ifindex(), queue, b->fd, 0, &a), 0);
	if (want >= 0 ? a.err != want : !a.err)
		fail("bind of a buffer with flags 0x%x%s: %s, '%s', should be %s", b->flags,
		     b->revoked ? ", revoked" : "", strerror(a.err), a.text, strerror(want));
	check(!a.err || a.text[0]);
	if (a.err)
		return;
	owner[queue] = b;
	b->id = a.id;
	b->bound = true;
	nr_bound++;
}

static void buffer_unbind(struct buffer *b)
{
	if (!b->bound)
		return;
	ctl_nl_close(&b->nl);
	check_eq(ctl_nl_open(&b->nl), 0);
	b->bound = false;
}

/* Nobody has mapped what was taken back. */
static void check_maps(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < BUFFERS; i++)
		n += buffers[i].bound && !buffers[i].revoked;
	check_eq(live_object("gpu_maps"), n);
}

static void buffer_revoke(struct buffer *b)
{
	if (b->fd < 0)
		return;
	if (b->revoked && rnd(2))
		check_eq(ctl_gpu_revoke_again(b->fd), 0);
	else
		check_eq(ctl_gpu_revoke(b->fd), b->revoked ? -ENODEV : 0);
	b->revoked = true;
	nr_revoked++;
	if (alone)
		check_maps();
	check(mmap(NULL, 4096, PROT_READ, MAP_SHARED, b->fd, 0) == MAP_FAILED);
}

/* Not for so long that a bind would give up. */
static void buffer_busy(struct buffer *b)
{
	if (b->fd >= 0)
		check_eq(ctl_gpu_fence(b->fd, rnd(NSDM_GPU_IDLE + 1), rnd(50)), 0);
}

static void buffer_sync(struct buffer *b)
{
	struct dma_buf_sync sync = { .flags = rnd(8) };

	if (b->fd >= 0)
		ioctl(b->fd, DMA_BUF_IOCTL_SYNC, &sync);
}

/* ---- streams ------------------------------------------------------------ */

static void stream_open(struct stream *s)
{
	memset(s, 0, sizeof(*s));
	connect_pair(&s->c, rnd(2) ? AF_INET : AF_INET6);
	s->seed = rnd64();
}

static void stream_check_held(const struct stream *s)
{
	const struct buffer *b = &buffers[s->buffer - 1];
	const struct held *h;

	for (h = s->held; h < s->held + s->nr_held; h++)
		if (devmem_pattern_check(b->map + h->off, h->size, h->pos, s->seed) >= 0)
			fail("what token %u holds has changed", h->token);
}

static void stream_close(struct stream *s)
{
	stream_check_held(s);
	disconnect_pair(&s->c);
	s->buffer = 0;
}

static void stream_attach(struct stream *s, unsigned int n)
{
	struct buffer *b = &buffers[n];
	int err, want = 0;

	if (s->buffer || b->fd < 0 || !b->id)
		return;
	if (!s->ulp)
		must(set_ulp(s->c.rx, "devmem"));
	s->ulp = true;
	err = -devmem_attach(s->c.rx, b->id, b->fd, DEVMEM_ATTACH_REPORT_LOST);
	if (!b->bound)
		/* the binding is there for as long as others hold it */
		want = err == ENOENT ? ENOENT : ESHUTDOWN;
	else if (b->revoked)
		want = ESHUTDOWN;
	if (err != want)
		fail("attach: %s, should be %s", strerror(err), strerror(want));
	if (!err) {
		s->buffer = n + 1;
		nr_attached++;
	}
}

static void stream_give_back(struct stream *s, unsigned int keep)
{
	struct devmem_range r;

	stream_check_held(s);
	while (s->nr_held > keep) {
		r.token_start = s->held[--s->nr_held].token;
		r.token_count = 1;
		check_eq(setsockopt(s->c.rx, SOL_SOCKET, SO_DEVMEM_DONTNEED, &r, sizeof(r)), 1);
	}
}

static void take_piece(struct stream *s, const struct devmem_cmsg *dc, bool placed, size_t *lin)
{
	const struct buffer *b = &buffers[s->buffer - 1];
	const uint8_t *at = linear + *lin;

	if (placed) {
		check(s->buffer);
		check_eq(dc->dmabuf_id, b->id);
		check_cmp(dc->frag_offset + dc->frag_size, <=, b->size);
		if (dc->flags & DEVMEM_CMSG_LOST) {
			check(b->revoked);
			check_eq(dc->frag_token, 0);
			s->pos += dc->frag_size;
			return;
		}
		at = b->map + dc->frag_offset;
		s->held[s->nr_held++] = (struct held){ s->pos, dc->frag_offset, dc->frag_size,
						       dc->frag_token };
		nr_placed += dc->frag_size;
	} else {
		*lin += dc->frag_size;
	}
	if (devmem_pattern_check(at, dc->frag_size, s->pos, s->seed) >= 0)
		fail("wrong byte %s, stream at %llu", placed ? "in the buffer" : "in the iovec",
		     (unsigned long long)s->pos);
	s->pos += dc->frag_size;
}

static void stream_read(struct stream *s)
{
	static char control[64 * CMSG_SPACE(sizeof(struct devmem_cmsg))];
	struct iovec iov = { .iov_base = linear, .iov_len = sizeof(linear) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct devmem_cmsg dc;
	struct cmsghdr *cmsg;
	size_t lin = 0;
	ssize_t n;

	if (s->nr_held > HELD - 65)
		stream_give_back(s, rnd(64));
	n = recvmsg(s->c.rx, &msg, MSG_DONTWAIT | MSG_SOCK_DEVMEM);
	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		fail("recvmsg: %s", n ? strerror(errno) : "the stream ends");
	if (!s->ulp) {
		dc = (struct devmem_cmsg){ .frag_size = (uint32_t)n };
		take_piece(s, &dc, false, &lin);
		return;
	}
	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg)) {
		memcpy(&dc, CMSG_DATA(cmsg), sizeof(dc));
		take_piece(s, &dc, cmsg->cmsg_type == SCM_DEVMEM_DMABUF, &lin);
	}
}

static void stream_feed(struct stream *s)
{
	static uint8_t data[FEED];
	uint32_t len = 1 + rnd(FEED);
	ssize_t n;

	devmem_pattern_fill(data, len, s->sent, s->seed);
	n = send(s->c.tx, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n > 0)
		s->sent += (uint64_t)n;
}

/* Whatever became of the buffer, all that was sent arrives. */
static void stream_drain(struct stream *s)
{
	struct pollfd pfd = { .fd = s->c.rx, .events = POLLIN };

	while (s->pos < s->sent) {
		if (poll(&pfd, 1, patient(10000)) != 1)
			fail("nothing arrives any more at byte %llu of %llu",
			     (unsigned long long)s->pos, (unsigned long long)s->sent);
		stream_read(s);
	}
}

/* ---- rounds ------------------------------------------------------------- */

static void one_action(void)
{
	struct buffer *b = &buffers[rnd(BUFFERS)];
	struct stream *s = &streams[rnd(STREAMS)];

	switch (rnd(24)) {
	case 0:
	case 1:
		buffer_make(b);
		break;
	case 2:
	case 3:
		buffer_bind(b);
		break;
	case 4:
		if (once_in(3))
			buffer_unbind(b);
		break;
	case 5:
		if (once_in(3))
			buffer_revoke(b);
		break;
	case 6:
		if (once_in(2))
			buffer_forget(b);
		break;
	case 7:
		if (once_in(3))
			buffer_busy(b);
		else
			buffer_sync(b);
		break;
	case 8:
		if (once_in(4)) {
			stream_close(s);
			stream_open(s);
		}
		break;
	case 9:
	case 10:
		stream_attach(s, rnd(BUFFERS));
		break;
	case 11:
		stream_give_back(s, rnd(HELD));
		break;
	case 12:
		stream_drain(s);
		break;
	case 13:
	case 14:
	case 15:
	case 16:
	case 17:
		stream_feed(s);
		break;
	default:
		stream_read(s);
		break;
	}
}

static void one_round(void)
{
	unsigned int i;

	for (i = 0; i < BUFFERS; i++)
		buffers[i] = (struct buffer){ .fd = -1 };
	for (i = 0; i < STREAMS; i++)
		stream_open(&streams[i]);
	for (i = 0; i < ROUND; i++)
		one_action();
	for (i = 0; i < STREAMS; i++) {
		stream_drain(&streams[i]);
		stream_close(&streams[i]);
	}
	for (i = 0; i < BUFFERS; i++)
		buffer_forget(&buffers[i]);
}

/* Two processes have half of the queues each, or one is alone; nothing is left
 * after any round.
 */
static void misbehaviour(void)
{
	char left[256];
	pid_t other;

	fuzz_begin("exporter", ACTIONS);
	while (fuzz_next()) {
		alone = once_in(3);
		other = alone ? 0 : test_fork();
		if (!alone && !other) {
			first_queue = QUEUES / 2;
			rnd64();
			one_round();
			_exit(0);
		}
		first_queue = 0;
		one_round();
		if (!alone)
			test_join(other);
		fuzz_count(alone ? ROUND : 2 * ROUND);
		if (!within(3000, !live_objects(left, sizeof(left))))
			fail("left: %s", left);
	}
	diag("%u were bound, %u revoked, %u attached; %llu bytes placed, by one of two",
	     nr_bound, nr_revoked, nr_attached, (unsigned long long)nr_placed);
}

static void setup(void)
{
	env_setup(QUEUES);
}

static struct ktap_case cases[] = {
	KTAP_CASE(misbehaviour, .timeout = 60),
};

int main(int argc, char **argv)
{
	return fuzz_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
