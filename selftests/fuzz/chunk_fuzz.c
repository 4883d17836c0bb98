// SPDX-License-Identifier: GPL-2.0
/*
 * net/devmem/chunk.c against a list of chunks that says for each how many hold
 * it, and since when it is free. An input is the number of chunks, which of the
 * two allocations fail, and then steps: what, and which chunk.
 */
#include "fuzz.h"

#include "devmem.h"

#define CHUNKS_MAX	64

static struct {
	unsigned int nr, free;
	unsigned int refs[CHUNKS_MAX];
	unsigned long freed[CHUNKS_MAX];	/* the higher, the later */
	bool inited[CHUNKS_MAX];
	unsigned long now;
	bool pressure;
	unsigned int events;
} model;

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

void devmem_binding_put_many(struct devmem_binding *b, u32 n)
{
	fuzz_check(b == &binding);
	fuzz_check(!fuzz_state.locks);
	fuzz_check(!refcount_sub_and_test(n, &b->ref));
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

/* Pressure: less than an eighth is free, rounded down, or there was none. */
static void model_alloc(int i)
{
	if (i >= 0) {
		model.refs[i] = 1;
		model.free--;
	}
	if ((i < 0 || 8 * (model.free + 1) <= model.nr) && !model.pressure) {
		model.pressure = true;
		model.events++;
	}
}

static void model_put(unsigned int i)
{
	if (--model.refs[i])
		return;
	model.freed[i] = ++model.now;
	model.free++;
	if (4 * model.free > model.nr)
		model.pressure = false;
}

static void compare(void)
{
	unsigned int held = model.nr - model.free;

	fuzz_check(devmem_pool_free_chunks(&binding) == model.free);
	fuzz_check(refcount_read(&binding.ref) == 1 + held);
	fuzz_check(devmem_objects[DEVMEM_OBJ_CHUNKS] == held);
	fuzz_check(events == model.events && stats.pressure == model.events);
}

static void alloc(void)
{
	struct devmem_chunk *chunk = devmem_chunk_alloc(&binding);
	int i = model_next();

	if (i < 0) {
		fuzz_check(!chunk);
	} else {
		fuzz_check(chunk == &binding.chunks[i]);
		fuzz_check(chunk->binding == &binding);
		fuzz_check(refcount_read(&chunk->ubuf.refcnt) == 1);
	}
	model_alloc(i);
}

static void put(unsigned int i)
{
	devmem_chunk_put(&binding.chunks[i]);
	model_put(i);
}

static void step(struct fuzz_in *in)
{
	u8 what = in_u8(in);
	unsigned int i = in_u16(in) % model.nr, n;

	switch (what % 6) {
	case 0:
		alloc();
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
	case 3:
		if (model.refs[i])
			fuzz_check(devmem_chunk_exclusive(&binding.chunks[i]) ==
				   (model.refs[i] == 1));
		break;
	case 4:
		for (n = i % 32; n; n--)
			alloc();
		break;
	case 5:		/* a row of them */
		for (n = what / 6; n && i < model.nr; n--, i++)
			if (model.refs[i])
				put(i);
		break;
	}
	compare();
}

void fuzz_one(struct fuzz_in *in)
{
	unsigned int i;
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
	fuzz_state.fail = in_u8(in) % 4;

	binding.nr_chunks = model.nr;
	binding.stats = &stats;
	refcount_set(&binding.ref, 1);
	spin_lock_init(&binding.pool.lock);
	err = devmem_pool_init(&binding);
	fuzz_check(err == (fuzz_state.failed ? -ENOMEM : 0));
	if (!err) {
		compare();
		while (in_more(in))
			step(in);
		for (i = 0; i < model.nr; i++)
			while (model.refs[i])
				put(i);
		compare();
		fuzz_check(model.free == model.nr);
		for (i = 0; i < model.nr; i++)
			fuzz_check(model.inited[i]);
		devmem_pool_destroy(&binding);
	}
	fuzz_check(!binding.chunks && !binding.pool.free);
}
