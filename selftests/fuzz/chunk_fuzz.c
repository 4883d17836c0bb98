// SPDX-License-Identifier: GPL-2.0
/*
 * net/devmem/chunk.c against a list of chunks that says for each how many hold
 * it, and since when it is free. An input is the number of chunks
 * and of queues, which of the three allocations fail, when the pool is closed, and
 * then steps: what, and which chunk.
 */
#include "fuzz.h"

#include "devmem.h"

#define CHUNKS_MAX	256
#define QUEUES_MAX	3

static struct {
	unsigned int nr, free, queues;
	unsigned int refs[CHUNKS_MAX];
	const struct devmem_flow *owner[CHUNKS_MAX];
	unsigned long freed[CHUNKS_MAX];	/* the higher, the later */
	bool inited[CHUNKS_MAX];
	unsigned long now;
	bool pressure;
	bool closed;
	unsigned int events;
} model;

static struct devmem_flow flows[3];
static struct devmem_binding binding;
static struct devmem_stats stats;
static unsigned int events;

long devmem_objects[DEVMEM_OBJ_MAX];

void devmem_frag_init_chunk(struct devmem_chunk *chunk)
{
	unsigned int i = chunk - binding.chunks;

	fuzz_check(i < model.nr && !model.inited[i]);
	model.inited[i] = true;
}

void devmem_binding_event(struct devmem_binding *b, enum devmem_event event)
{
	fuzz_check(b == &binding && event == DEVMEM_EVENT_PRESSURE);
	fuzz_check(!fuzz_state.locks);
	events++;
}

/* Once closed, and with all chunks in it. */
void devmem_binding_pool_full(struct devmem_binding *b)
{
	fuzz_check(b == &binding);
	fuzz_check(b->pool.closed && b->pool.nr_free == model.nr);
	fuzz_check(!refcount_dec_and_test(&b->ref));
}

/* The one that became free last. */
static int model_next(void)
{
	int best = -1;
	unsigned int i;

	for (i = 0; i < model.nr; i++)
		if (!model.refs[i] && (best < 0 || model.freed[i] > model.freed[best]))
			best = i;
	return best;
}

/* What magazines may hold back. */
static unsigned int slack(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < model.queues; i++)
		n += binding.magazines[i].room;
	fuzz_check(16 * n <= model.nr);
	return n;
}

/* Pressure: less than an eighth is free, rounded down, or there was none. It may
 * be noticed as much later as magazines hold back.
 */
static void model_alloc(int i)
{
	bool begins = events != model.events;

	if (i >= 0) {
		model.refs[i] = 1;
		model.free--;
	}
	if (begins) {
		fuzz_check(!model.pressure && events == model.events + 1);
		fuzz_check(i < 0 || 8 * (model.free + 1) <= model.nr);
		model.events++;
	}
	if (i < 0 || 8 * (model.free + 1 + slack()) <= model.nr)
		fuzz_check(binding.pool.pressure);
	model.pressure = binding.pool.pressure;
}

static void model_put(unsigned int i)
{
	if (--model.refs[i])
		return;
	model.freed[i] = ++model.now;
	model.free++;
	if (4 * model.free <= model.nr)
		fuzz_check(binding.pool.pressure == model.pressure);
	else if (4 * (model.free - min(slack(), model.free)) > model.nr)
		fuzz_check(!binding.pool.pressure);
	model.pressure = binding.pool.pressure;
}

static void compare(void)
{
	unsigned int i, in_magazines = 0, held = model.nr - model.free;

	for (i = 0; i < model.queues; i++)
		in_magazines += binding.magazines[i].nr_free;
	fuzz_check(!model.closed || !in_magazines);
	fuzz_check(in_magazines <= slack());
	fuzz_check(devmem_pool_free_chunks(&binding) == model.free);
	fuzz_check(refcount_read(&binding.ref) == 1 + !(model.closed && !held));
	fuzz_check(devmem_objects[DEVMEM_OBJ_CHUNKS] == held);
	fuzz_check(events == model.events && stats.pressure == model.events);
	fuzz_check(!fuzz_state.locks);
}

static void alloc(unsigned int queue)
{
	const struct devmem_flow *owner = &flows[queue % ARRAY_SIZE(flows)];
	struct devmem_chunk *chunk = devmem_chunk_alloc(&binding.magazines[queue], owner);
	int i = model_next();

	if (i < 0 || model.closed) {
		fuzz_check(!chunk);
		if (!model.closed)
			model_alloc(-1);
		return;
	}
	fuzz_check(chunk);
	/* where magazines keep none, and no list is in between */
	fuzz_check(slack() || chunk == &binding.chunks[i]);
	i = chunk - binding.chunks;
	fuzz_check(!model.refs[i] && chunk->binding == &binding);
	fuzz_check(refcount_read(&chunk->ubuf.refcnt) == 1);
	model.owner[i] = owner;
	model_alloc(i);
}

static void put(unsigned int i)
{
	devmem_chunk_put(&binding.chunks[i]);
	model_put(i);
}

/* A reference on each of up to @n chunks from @i on, of whatever queues */
static void put_row(unsigned int i, unsigned int n)
{
	struct devmem_chunk *chunks[CHUNKS_MAX];
	unsigned int first = i, nr = 0;

	for (; n && i < model.nr; n--, i++)
		if (model.refs[i])
			chunks[nr++] = &binding.chunks[i];
	devmem_chunks_put(chunks, nr);
	model.pressure = binding.pool.pressure;
	for (i = first; nr; i++)
		if (model.refs[i]) {
			model_put(i);
			nr--;
		}
}

static void close_pool(void)
{
	devmem_pool_close(&binding);
	model.closed = true;
	model.pressure = binding.pool.pressure;
}

static void step(struct fuzz_in *in)
{
	u8 what = in_u8(in);
	unsigned int i = in_u16(in), n, queue = i % model.queues;

	i %= model.nr;
	switch (what % 6) {
	case 0:
		alloc(queue);
		break;
	case 1:		/* nobody takes a reference on what is free */
		if (model.refs[i] && model.refs[i] < 1000) {
			devmem_chunk_get(&binding.chunks[i]);
			model.refs[i]++;
		}
		break;
	case 2:
		if (model.refs[i])
			put(i);
		break;
	case 3: {	/* only who was given it last, and only while somebody has it */
		const struct devmem_flow *who = &flows[what / 6 % ARRAY_SIZE(flows)];
		bool want = model.refs[i] && model.owner[i] == who;

		if (model.refs[i] >= 1000)
			break;
		fuzz_check(devmem_chunk_get_owned(&binding.chunks[i], who) == want);
		model.refs[i] += want;
		break;
	}
	case 4:
		for (n = i % 32; n; n--)
			alloc(queue);
		break;
	case 5:
		put_row(i, what / 6);
		break;
	}
	compare();
}

void fuzz_one(struct fuzz_in *in)
{
	unsigned int i, close_at;
	int err;

	memset(&model, 0, sizeof(model));
	memset(&binding, 0, sizeof(binding));
	memset(&stats, 0, sizeof(stats));
	memset(devmem_objects, 0, sizeof(devmem_objects));
	events = 0;

	model.nr = 1 + in_u16(in) % CHUNKS_MAX;
	model.free = model.nr;
	for (i = 0; i < model.nr; i++)	/* at first, the lowest goes first */
		model.freed[i] = model.nr - i;
	model.now = model.nr;
	fuzz_state.fail = in_u8(in) % 8;
	model.queues = 1 + in_u8(in) % QUEUES_MAX;
	close_at = in_u8(in);

	binding.nr_chunks = model.nr;
	binding.nr_queues = model.queues;
	binding.stats = &stats;
	refcount_set(&binding.ref, 2);
	spin_lock_init(&binding.pool.lock);
	err = devmem_pool_init(&binding);
	fuzz_check(err == (fuzz_state.failed ? -ENOMEM : 0));
	if (!err) {
		compare();
		for (i = 0; in_more(in); i++) {
			if (i == close_at && !model.closed)
				close_pool();
			step(in);
		}
		if (!model.closed)
			close_pool();
		for (i = 0; i < model.nr; i++)
			while (model.refs[i])
				put(i);
		compare();
		fuzz_check(model.free == model.nr);
		for (i = 0; i < model.nr; i++)
			fuzz_check(model.inited[i]);
		devmem_pool_destroy(&binding);
	}
	fuzz_check(!binding.magazines);
	fuzz_check(!binding.chunks && !binding.pool.free);
}
