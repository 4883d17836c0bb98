// SPDX-License-Identifier: GPL-2.0
/*
 * A receiver that trusts nobody: it compares every byte with the pattern, where
 * the kernel says that it lies, and every control message with what the ABI
 * says. Calls recvmsg() itself, to have each argument in its hands. Must not
 * know how the connection came about.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common.h"

#define RX_TIMEOUT_MS	6000

void rx_init(struct rx *rx, int sock, const struct bound *b, uint64_t seed)
{
	memset(rx, 0, sizeof(*rx));
	rx->sock = sock;
	rx->b = b;
	rx->seed = seed;
	rx->timeout_ms = patient(RX_TIMEOUT_MS);
	rx->linear_size = RX_LINEAR;
	rx->control_size = RX_PIECES * CMSG_SPACE(sizeof(struct devmem_cmsg));
	rx->linear = malloc(rx->linear_size);
	rx->control = malloc(rx->control_size);
	rx->last = calloc(RX_PIECES, sizeof(*rx->last));
	if (!rx->linear || !rx->control || !rx->last)
		fail("out of memory");
}

void rx_free(struct rx *rx)
{
	free(rx->linear);
	free(rx->control);
	free(rx->last);
	free(rx->held);
	memset(rx, 0, sizeof(*rx));
}

static void compare(const struct rx *rx, const void *bytes,
		    const struct rx_piece *p, const char *where)
{
	int64_t bad = devmem_pattern_check(bytes, p->size, p->pos, rx->seed);
	uint64_t i;

	if (bad < 0)
		return;
	i = (uint64_t)bad - p->pos;
	fail("byte %lld of the stream is 0x%02x, should be 0x%02x: byte %llu of a piece of %u in %s, offset %llu",
	     (long long)bad, ((const unsigned char *)bytes)[i],
	     devmem_pattern_byte((uint64_t)bad, rx->seed),
	     (unsigned long long)i, p->size, where,
	     (unsigned long long)(p->off + i));
}

/* A piece lies in one chunk of the right buffer, and has a token. */
static void check_placed(const struct rx *rx, const struct devmem_cmsg *dc,
			 const struct rx_piece *p, bool peek)
{
	const struct bound *b = rx->b;
	uint64_t chunk;

	if (!b)
		fail("placed bytes on a socket that is not attached");
	chunk = b->res.chunk_size;
	check_eq(dc->dmabuf_id, b->res.id);
	check_eq(dc->flags, p->lost ? DEVMEM_CMSG_LOST : 0);
	check_cmp(dc->frag_size, >, 0);
	check_cmp(dc->frag_size, <=, chunk);
	check_cmp(dc->frag_offset, <, b->size);
	check_eq(dc->frag_offset / chunk,
		 (dc->frag_offset + dc->frag_size - 1) / chunk);
	if (peek || p->lost)
		check_eq(dc->frag_token, 0);
	else
		check_cmp(dc->frag_token, >, 0);
}

static void hold(struct rx *rx, const struct rx_piece *p)
{
	if (rx->nr_held == rx->max_held) {
		rx->max_held = rx->max_held ? rx->max_held * 2 : 256;
		rx->held = realloc(rx->held, rx->max_held * sizeof(*p));
		if (!rx->held)
			fail("out of memory");
	}
	rx->held[rx->nr_held++] = *p;
}

/* Fill rx->last from the control messages; bytes and rules are checked. */
static void walk(struct rx *rx, size_t n, uint64_t pos, bool peek)
{
	size_t sum = 0, linear = 0;
	struct devmem_cmsg dc;
	struct cmsghdr *cmsg;
	struct rx_piece *p;

	for (cmsg = CMSG_FIRSTHDR(&rx->msg); cmsg;
	     cmsg = CMSG_NXTHDR(&rx->msg, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET ||
		    (cmsg->cmsg_type != SCM_DEVMEM_DMABUF &&
		     cmsg->cmsg_type != SCM_DEVMEM_LINEAR))
			continue;
		check_eq(cmsg->cmsg_len, CMSG_LEN(sizeof(dc)));
		memcpy(&dc, CMSG_DATA(cmsg), sizeof(dc));
		check_cmp(rx->nr_last, <, RX_PIECES);
		p = &rx->last[rx->nr_last++];
		p->placed = cmsg->cmsg_type == SCM_DEVMEM_DMABUF;
		p->pos = pos + sum;
		p->size = dc.frag_size;
		p->off = dc.frag_offset;
		p->token = dc.frag_token;
		p->lost = p->placed && rx->lossy && dc.flags & DEVMEM_CMSG_LOST;
		sum += dc.frag_size;
		check_cmp(sum, <=, n);
		if (p->placed) {
			check_placed(rx, &dc, p, peek);
			if (!p->lost)
				compare(rx, rx->b->map + p->off, p, "the dma-buf");
		} else {
			check_cmp(p->size, >, 0);
			check_eq(p->token, 0);
			check_eq(p->off, 0);
			p->off = linear;
			compare(rx, rx->linear + linear, p, "the iovec");
			linear += p->size;
		}
	}
	if (rx->plain && n && !rx->nr_last) {
		p = &rx->last[rx->nr_last++];
		*p = (struct rx_piece) { .pos = pos, .size = (uint32_t)n };
		compare(rx, rx->linear, p, "the iovec");
		sum = linear = n;
	}
	check_cmp(linear, <=, rx->linear_size);
	check_eq(sum, n);
}

static void count(struct rx *rx)
{
	const struct rx_piece *p;

	for (p = rx->last; p < rx->last + rx->nr_last; p++) {
		rx->pos += p->size;
		rx->bytes += p->size;
		if (p->lost) {
			rx->lost += p->size;
		} else if (p->placed) {
			rx->placed += p->size;
			rx->pieces++;
			hold(rx, p);
		} else {
			rx->host += p->size;
		}
	}
}

static ssize_t receive(struct rx *rx, int flags, uint64_t pos)
{
	ssize_t n;

	rx->iov.iov_base = rx->linear;
	rx->iov.iov_len = rx->linear_size;
	memset(&rx->msg, 0, sizeof(rx->msg));
	rx->msg.msg_iov = &rx->iov;
	rx->msg.msg_iovlen = 1;
	rx->msg.msg_control = rx->control_size ? rx->control : NULL;
	rx->msg.msg_controllen = rx->control_size;
	rx->nr_last = 0;

	n = rx->by ? rx->by(rx, flags) :
	    recvmsg(rx->sock, &rx->msg, flags | MSG_SOCK_DEVMEM);
	if (n < 0) {
		n = rx->by ? n : -errno;
		rx->msg.msg_controllen = 0;
		return n;
	}
	if (flags & MSG_TRUNC) {
		if (!(flags & MSG_PEEK))
			rx->pos += (uint64_t)n;
		return n;
	}
	if (rx->b && devmem_buf_sync(rx->b->buf, DEVMEM_SYNC_START | DEVMEM_SYNC_READ))
		fail("%s", devmem_error());
	walk(rx, (size_t)n, pos, flags & MSG_PEEK);
	if (rx->b && devmem_buf_sync(rx->b->buf, DEVMEM_SYNC_END | DEVMEM_SYNC_READ))
		fail("%s", devmem_error());
	return n;
}

ssize_t rx_recv(struct rx *rx, int flags)
{
	ssize_t n = receive(rx, flags, rx->pos);

	if (flags & (MSG_PEEK | MSG_TRUNC))
		return n;
	rx->calls++;
	if (n > 0)
		count(rx);
	return n;
}

ssize_t rx_peek_at(struct rx *rx, uint64_t peek_off)
{
	return receive(rx, MSG_PEEK, rx->pos + peek_off);
}

void rx_wait(const struct rx *rx)
{
	struct pollfd pfd = { .fd = rx->sock, .events = POLLIN };
	int n = rx->by ? 1 : poll(&pfd, 1, rx->timeout_ms);

	if (n < 0)
		fail("poll: %s", strerror(errno));
	if (!n)
		fail("nothing to read for %d ms at byte %llu", rx->timeout_ms,
		     (unsigned long long)rx->pos);
}

void rx_queued(const struct rx *rx, uint64_t bytes)
{
	int inq = 0;

	if (!within(RX_TIMEOUT_MS, !ioctl(rx->sock, SIOCINQ, &inq) &&
		    (uint64_t)inq == bytes))
		fail("%d bytes are queued, should be %llu", inq,
		     (unsigned long long)bytes);
}

void rx_all(struct rx *rx, uint64_t bytes)
{
	uint64_t end = rx->pos + bytes;
	size_t most = rx->linear_size;
	ssize_t n;

	while (rx->pos < end) {
		rx_wait(rx);
		rx->linear_size = end - rx->pos < most ? end - rx->pos : most;
		n = rx_recv(rx, MSG_DONTWAIT);
		if (n < 0)
			fail("recvmsg at byte %llu: %s",
			     (unsigned long long)rx->pos, strerror((int)-n));
		if (!n)
			fail("the stream ends at byte %llu, should go on to %llu",
			     (unsigned long long)rx->pos, (unsigned long long)end);
		if (!rx->keep)
			rx_return(rx);
	}
	rx->linear_size = most;
}

void rx_eof(struct rx *rx)
{
	ssize_t n;

	rx_wait(rx);
	n = rx_recv(rx, MSG_DONTWAIT);
	if (n)
		fail("recvmsg at the end of the stream: %zd", n);
}

/* As many ranges as one call takes. */
static unsigned int gather(struct rx *rx, struct devmem_range *ranges,
			   unsigned int *nr_ranges)
{
	unsigned int tokens = 0, nr = 0;
	uint32_t token;

	for (; rx->nr_held && tokens < DEVMEM_MAX_DONTNEED_TOKENS; tokens++) {
		token = rx->held[rx->nr_held - 1].token;
		if (nr && token == ranges[nr - 1].token_start - 1) {
			ranges[nr - 1].token_start--;
			ranges[nr - 1].token_count++;
		} else if (nr == DEVMEM_MAX_DONTNEED_RANGES) {
			break;
		} else {
			ranges[nr].token_start = token;
			ranges[nr++].token_count = 1;
		}
		rx->nr_held--;
	}
	*nr_ranges = nr;
	return tokens;
}

void rx_return(struct rx *rx)
{
	struct devmem_range ranges[DEVMEM_MAX_DONTNEED_RANGES];
	unsigned int nr, tokens;
	int got;

	while (rx->nr_held) {
		tokens = gather(rx, ranges, &nr);
		got = setsockopt(rx->sock, SOL_SOCKET, SO_DEVMEM_DONTNEED,
				 ranges, nr * sizeof(*ranges));
		if (got < 0)
			fail("SO_DEVMEM_DONTNEED of %u tokens: %s", tokens,
			     strerror(errno));
		check_eq(got, tokens);
		rx->returned += tokens;
	}
}

void rx_check_held(const struct rx *rx)
{
	const struct rx_piece *p;

	for (p = rx->held; p < rx->held + rx->nr_held; p++)
		compare(rx, rx->b->map + p->off, p, "held memory");
}

struct devmem_info rx_check_info(const struct rx *rx)
{
	struct devmem_info info;

	if (devmem_sock_info(rx->sock, &info, 0))
		fail("%s", devmem_error());
	check_eq(info.binding_id, rx->b->res.id);
	check_eq(info.chunk_size, rx->b->res.chunk_size);
	check_eq(info.pieces, rx->pieces);
	check_eq(info.tokens_held, rx->nr_held);
	check_eq(info.lost_bytes, rx->lost);
	check_cmp(info.placed_bytes, >=, rx->placed);
	return info;
}

/* All of @bytes were placed, but for what TCP has dropped: that came again, in host
 * memory.
 */
void rx_check_placed(const struct rx *rx, uint64_t bytes)
{
	struct devmem_bind_info info;

	if (rx->placed == bytes)
		return;
	check_eq(rx->placed + rx->host, bytes);
	bound_info(rx->b, &info);
	if (!info.stats.fallback_again)
		fail("placed %llu of %llu bytes, and nothing came again",
		     (unsigned long long)rx->placed, (unsigned long long)bytes);
	check_cmp(rx->placed, >=, bytes / 2);
}

/* What fell back did so only because it had been placed before, or TCP has dropped
 * packets or not taken any. Returns whether anything did.
 */
bool only_again(const struct bound *b)
{
	struct devmem_bind_info info;

	bound_info(b, &info);
	check_eq(info.stats.fallback_packets,
		 info.stats.fallback_again + info.stats.fallback_sequence +
		 info.stats.fallback_paused);
	return info.stats.fallback_packets;
}

const void *rx_cmsg(const struct rx *rx, int level, int type)
{
	struct msghdr msg = rx->msg;
	struct cmsghdr *cmsg;

	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg))
		if (cmsg->cmsg_level == level && cmsg->cmsg_type == type)
			return CMSG_DATA(cmsg);
	return NULL;
}
