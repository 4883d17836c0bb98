// SPDX-License-Identifier: GPL-2.0
/*
 * net/devmem through io_uring: one request for each connection delivers its messages
 * for as long as there are any, and the calls that wait for them hand tokens back.
 * Owns the ring, the binding, and the tokens on their way.
 */
#include <stdlib.h>

#include "../common_uring.h"
#include "../common.h"
#include "bench.h"

#define BUFS		128
#define CONTROL		(512 * CMSG_SPACE(sizeof(struct devmem_cmsg)))
#define GIVEN		(1ULL << 63)	/* user_data of tokens; of messages: the flow */

/* The tokens of a message on their way. */
struct batch {
	struct batch *next;
	unsigned int nr;
	unsigned int tokens;
	struct devmem_range ranges[DEVMEM_MAX_DONTNEED_RANGES];
};

static struct uring ring;
static struct bound binding;
static int socks[FLOWS_MAX];
static struct batch *unused;
static unsigned int on_their_way;

static void prepare(const struct params *p)
{
	const uint32_t queue = 0;

	bind_queues(&binding, DEVMEM_BUF_GPU, p->buffer, p->chunk, &queue, 1);
	uring_open(&ring, BUFS, CALL_MAX, CONTROL);
}

static void attach_ring(const struct params *p, unsigned int i, int sock)
{
	(void)p;
	attach(sock, &binding);
	socks[i] = sock;
	uring_recv_all(&ring, sock, i);
}

static struct batch *batch_get(void)
{
	struct batch *b = unused;

	if (b)
		unused = b->next;
	else
		b = malloc(sizeof(*b));
	if (!b)
		fail("out of memory");
	b->nr = 0;
	b->tokens = 0;
	return b;
}

static void batch_give(struct batch *b, int sock, struct figures *f)
{
	uring_give(&ring, sock, b->ranges, b->nr, GIVEN | (uint64_t)(uintptr_t)b);
	f->tokens += b->tokens;
	on_their_way++;
}

static struct batch *batch_add(struct batch *b, int sock, uint32_t token, struct figures *f)
{
	struct devmem_range *last = &b->ranges[b->nr - 1];

	if (b->nr && last->token_start + last->token_count == token) {
		last->token_count++;
	} else {
		if (b->nr == DEVMEM_MAX_DONTNEED_RANGES) {
			batch_give(b, sock, f);
			b = batch_get();
		}
		b->ranges[b->nr].token_start = token;
		b->ranges[b->nr++].token_count = 1;
	}
	b->tokens++;
	return b;
}

static void message(struct uring_done *done, struct figures *f)
{
	int sock = socks[done->user_data];
	struct batch *b = batch_get();
	struct devmem_cmsg piece;
	struct cmsghdr *cmsg;

	f->bytes += (uint64_t)done->res;
	for (cmsg = CMSG_FIRSTHDR(&done->msg); cmsg; cmsg = CMSG_NXTHDR(&done->msg, cmsg)) {
		memcpy(&piece, CMSG_DATA(cmsg), sizeof(piece));
		if (cmsg->cmsg_type != SCM_DEVMEM_DMABUF) {
			f->touched += 2 * (uint64_t)piece.frag_size;
			continue;
		}
		f->placed += piece.frag_size;
		f->pieces++;
		b = batch_add(b, sock, piece.frag_token, f);
	}
	if (b->nr) {
		batch_give(b, sock, f);
	} else {
		b->next = unused;
		unused = b;
	}
	if (!done->more)
		uring_recv_all(&ring, sock, done->user_data);
}

static void given(const struct uring_done *done)
{
	struct batch *b = (void *)(uintptr_t)(done->user_data & ~GIVEN);

	check_eq(done->res, b->tokens);
	on_their_way--;
	b->next = unused;
	unused = b;
}

/* Tokens are given back at once: that alone is no reason to return. */
static void receive_ring(const struct params *p, unsigned int i, int sock, struct figures *f)
{
	struct uring_done done;

	(void)p;
	(void)i;
	(void)sock;
	uring_wait(&ring, on_their_way + 1);
	f->calls++;
	while (uring_next(&ring, &done)) {
		if (done.user_data & GIVEN)
			given(&done);
		else if (done.res > 0)
			message(&done, f);
		else if (done.res == -ENOBUFS)
			uring_recv_all(&ring, socks[done.user_data], done.user_data);
		else
			fail("receive: %s", done.res ? strerror(-done.res) : "end of the stream");
	}
}

const struct contender ring_devmem = {
	.name		= "net/devmem io_uring",
	.prepare	= prepare,
	.attach		= attach_ring,
	.receive	= receive_ring,
	.waits		= true,
};
