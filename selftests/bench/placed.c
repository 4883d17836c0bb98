// SPDX-License-Identifier: GPL-2.0
/*
 * Receiving into a dma-buf: by net/devmem, and by the kernel's own devmem TCP.
 * Owns the binding, and the tokens that the reader keeps for a while.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "../common_provider.h"
#include "bench.h"

#define PIECES		512	/* of one call */
#define SINGLES		128	/* ranges of one call */
#define HELD_MAX	(1U << 15)

struct held {
	uint32_t token;
	uint32_t size;
};

/* The tokens of a flow, oldest first, in a ring. */
struct flow {
	struct devmem_tokens *collector;
	uint64_t calls;			/* of the collector, as counted so far */
	uint64_t tokens;
	struct devmem_range singles[SINGLES];
	unsigned int nr_singles;
	struct held *held;
	unsigned int first;
	unsigned int nr;
	uint64_t bytes;
	uint64_t limit;
};

static struct bound binding;
static struct ctl_nl kernel_nl;
static struct devmem_msg *msg;
static struct flow *flows;

static void prepare_flows(const struct params *p)
{
	flows = calloc(p->flows, sizeof(*flows));
	if (!flows || devmem_msg_alloc(&msg, CALL_MAX, PIECES, 0))
		fail("out of memory");
}

static void prepare_devmem(const struct params *p)
{
	const uint32_t queues[] = { p->queue, p->queue + 1 };

	prepare_flows(p);
	bind_queues(&binding, DEVMEM_BUF_GPU, p->buffer, p->chunk, queues,
		    p->beside == BESIDE_SHARES ? 2 : 1);
}

static void prepare_kernel(const struct params *p)
{
	const uint32_t queue = 0;
	struct ctl_answer answer;

	prepare_flows(p);
	ask_for_split();
	kernel_page_size(p->chunk == 4096 ? 0 : p->chunk);
	kernel_bind(&kernel_nl, &binding, DEVMEM_BUF_GPU, p->buffer, &queue, 1, &answer);
	if (answer.err)
		fail("bind-rx of the kernel: %s: %s", strerror(answer.err), answer.text);
}

static const char *missing_kernel(const struct params *p)
{
	return p->chunk > 4096 ? "not in this kernel" : NULL;
}

static void attach_flow(const struct params *p, unsigned int i, int sock)
{
	struct flow *flow = &flows[i];

	flow->limit = (uint64_t)p->buffer / 100 * p->held / p->flows;
	flow->held = p->held ? malloc(HELD_MAX * sizeof(*flow->held)) : NULL;
	if (devmem_tokens_alloc(&flow->collector, sock, 0) || (p->held && !flow->held))
		fail("out of memory");
}

static void attach_devmem(const struct params *p, unsigned int i, int sock)
{
	attach(sock, &binding);
	attach_flow(p, i, sock);
}

static void give_ranges(int sock, const struct devmem_range *ranges, unsigned int nr,
			struct figures *f)
{
	uint64_t tokens = 0;
	unsigned int i;

	for (i = 0; i < nr; i++)
		tokens += ranges[i].token_count;
	check_eq(devmem_release(sock, ranges, nr, 0), tokens);
	f->calls++;
	f->tokens += tokens;
}

static void give(const struct params *p, struct flow *flow, int sock, uint32_t token,
		 struct figures *f)
{
	struct devmem_range *range = &flow->singles[flow->nr_singles];

	if (p->give <= GIVE_COLLECTED) {
		check_eq(devmem_tokens_add(flow->collector, token), 0);
		return;
	}
	range->token_start = token;
	range->token_count = 1;
	flow->nr_singles++;
	if (p->give == GIVE_SINGLE || flow->nr_singles == SINGLES) {
		give_ranges(sock, flow->singles, flow->nr_singles, f);
		flow->nr_singles = 0;
	}
}

static void keep(const struct params *p, struct flow *flow, int sock,
		 const struct devmem_piece *piece, struct figures *f)
{
	struct held *oldest, *newest;

	newest = &flow->held[(flow->first + flow->nr) % HELD_MAX];
	newest->token = piece->token;
	newest->size = piece->size;
	flow->bytes += piece->size;
	flow->nr++;
	while (flow->bytes > flow->limit || flow->nr == HELD_MAX) {
		oldest = &flow->held[flow->first];
		give(p, flow, sock, oldest->token, f);
		flow->bytes -= oldest->size;
		flow->first = (flow->first + 1) % HELD_MAX;
		flow->nr--;
	}
}

/* The collector may have called before. */
static void flush(struct flow *flow, struct figures *f)
{
	uint64_t calls, tokens;

	check_eq(devmem_tokens_flush(flow->collector), 0);
	calls = devmem_tokens_calls(flow->collector);
	tokens = devmem_tokens_released(flow->collector);
	f->calls += calls - flow->calls;
	f->tokens += tokens - flow->tokens;
	flow->calls = calls;
	flow->tokens = tokens;
}

uint64_t placed_give_all(const struct params *p, int sock)
{
	struct flow *flow = &flows[0];
	struct figures f = {};
	uint64_t tokens = flow->nr + flow->nr_singles;
	struct devmem_range range = { flow->held[flow->first].token, flow->nr };

	if (p->give == GIVE_RANGES) {
		give_ranges(sock, &range, 1, &f);
		check_eq(f.tokens, tokens);
		flow->nr = 0;
		flow->bytes = 0;
		return tokens;
	}
	for (; flow->nr; flow->nr--) {
		give(p, flow, sock, flow->held[flow->first].token, &f);
		flow->first = (flow->first + 1) % HELD_MAX;
	}
	flow->bytes = 0;
	if (flow->nr_singles)
		give_ranges(sock, flow->singles, flow->nr_singles, &f);
	flow->nr_singles = 0;
	flush(flow, &f);
	check_eq(f.tokens, tokens);
	return tokens;
}

bool arrived(ssize_t n, struct figures *f)
{
	f->calls++;
	if (n == -EAGAIN)
		return false;
	if (n <= 0)
		fail("%s", n ? devmem_error() : "end of the stream");
	f->bytes += (uint64_t)n;
	return true;
}

static void receive_placed(const struct params *p, unsigned int i, int sock, struct figures *f)
{
	ssize_t n = devmem_recv(sock, msg, p->flows > 1 ? MSG_DONTWAIT : 0);
	struct flow *flow = &flows[i];
	struct devmem_piece piece;

	if (!arrived(n, f))
		return;
	while (devmem_msg_next(msg, &piece)) {
		if (piece.type != DEVMEM_PIECE_DMABUF) {
			f->touched += 2 * (uint64_t)piece.size;
			continue;
		}
		f->placed += piece.size;
		f->pieces++;
		if (p->held)
			keep(p, flow, sock, &piece, f);
		else
			give(p, flow, sock, piece.token, f);
	}
	flush(flow, f);
}

const struct contender placed_devmem = {
	.name		= "net/devmem",
	.prepare	= prepare_devmem,
	.attach		= attach_devmem,
	.receive	= receive_placed,
};

const struct contender placed_kernel = {
	.name		= "kernel devmem",
	.missing	= missing_kernel,
	.prepare	= prepare_kernel,
	.attach		= attach_flow,
	.receive	= receive_placed,
};
