// SPDX-License-Identifier: GPL-2.0
/*
 * Chunks: the unit in which a binding's buffer is handed out. Owns the pool of
 * free ones, a magazine of them for each queue, and the reference count of each.
 * Knows nothing of packets or the device, and of a flow that it is not another: a chunk
 * is a number with holders.
 */
#include <linux/slab.h>

#include "devmem.h"

/* Pressure begins when less than 1/8 of the chunks is free, and ends when more
 * than 1/4 is: far enough apart that a binding at the edge does not flood its
 * listeners.
 */
#define DEVMEM_PRESSURE_LOW(nr)		((nr) / 8)
#define DEVMEM_PRESSURE_OVER(nr)	((nr) / 4)

/* Chunks that a queue takes at once. What all queues keep to themselves is at most
 * 1/16 of the buffer: how much is free is looked at when the pool is.
 */
#define DEVMEM_BATCH(nr_chunks, nr_queues) \
	min_t(u32, DEVMEM_BATCH_MAX, (nr_chunks) / 32 / (nr_queues))

static void devmem_magazine_init(struct devmem_magazine *magazine,
				 struct devmem_binding *binding)
{
	spin_lock_init(&magazine->lock);
	magazine->binding = binding;
	magazine->batch = DEVMEM_BATCH(binding->nr_chunks, binding->nr_queues);
	magazine->room = 2 * magazine->batch;
}

int devmem_pool_init(struct devmem_binding *binding)
{
	struct devmem_pool *pool = &binding->pool;
	u32 nr = binding->nr_chunks;
	u32 i;

	/* who wants too much is told so, and not the log */
	binding->chunks = kvcalloc(nr, sizeof(*binding->chunks),
				   GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	binding->magazines = kvcalloc(binding->nr_queues, sizeof(*binding->magazines),
				      GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	pool->free = kvmalloc_array(nr, sizeof(*pool->free),
				    GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!binding->chunks || !binding->magazines || !pool->free) {
		devmem_pool_destroy(binding);
		return -ENOMEM;
	}

	for (i = 0; i < nr; i++) {
		binding->chunks[i].binding = binding;
		devmem_frag_init_chunk(&binding->chunks[i]);
		/* lowest numbers on top */
		pool->free[i] = nr - 1 - i;
	}
	pool->nr_free = nr;
	for (i = 0; i < binding->nr_queues; i++)
		devmem_magazine_init(&binding->magazines[i], binding);
	return 0;
}

void devmem_pool_destroy(struct devmem_binding *binding)
{
	kvfree(binding->pool.free);
	kvfree(binding->magazines);
	kvfree(binding->chunks);
	binding->pool.free = NULL;
	binding->magazines = NULL;
	binding->chunks = NULL;
}

/* Free chunks, those in magazines too. Between these and the pool none moves while
 * its lock is held. A closed pool's magazines keep none.
 */
static u32 devmem_pool_count(const struct devmem_binding *binding)
{
	u32 i, nr = binding->pool.nr_free;

	lockdep_assert_held(&binding->pool.lock);

	if (binding->pool.closed)
		return nr;
	for (i = 0; i < binding->nr_queues; i++)
		nr += READ_ONCE(binding->magazines[i].nr_free);
	return nr;
}

/* Chunks are about to be handed out: does pressure begin? With fewer than 8 chunks
 * it does when there is none.
 */
static bool devmem_pool_press(struct devmem_binding *binding)
{
	struct devmem_pool *pool = &binding->pool;

	if (pool->pressure ||
	    devmem_pool_count(binding) > DEVMEM_PRESSURE_LOW(binding->nr_chunks))
		return false;
	pool->pressure = true;
	return true;
}

/* Chunks came back. */
static void devmem_pool_relieve(struct devmem_binding *binding)
{
	struct devmem_pool *pool = &binding->pool;

	if (pool->pressure &&
	    devmem_pool_count(binding) > DEVMEM_PRESSURE_OVER(binding->nr_chunks))
		pool->pressure = false;
}

static void devmem_magazine_set_free(struct devmem_magazine *magazine, u32 nr)
{
	WRITE_ONCE(magazine->nr_free, nr);
}

/* Take chunks from the pool, at least one if it has any. Does pressure begin? */
static bool devmem_magazine_fill(struct devmem_magazine *magazine)
{
	struct devmem_binding *binding = magazine->binding;
	struct devmem_pool *pool = &binding->pool;
	bool begins = false;
	u32 nr;

	lockdep_assert_held(&magazine->lock);

	spin_lock(&pool->lock);
	if (!pool->closed) {
		nr = min(max(magazine->batch, 1U), pool->nr_free);
		pool->nr_free -= nr;
		memcpy(magazine->free, pool->free + pool->nr_free,
		       nr * sizeof(*pool->free));
		devmem_magazine_set_free(magazine, nr);
		devmem_pool_relieve(binding);
		begins = devmem_pool_press(binding);
	}
	spin_unlock(&pool->lock);
	return begins;
}

/* Give chunks to the pool until @nr are left. After the lock is dropped the magazine
 * is there only for an RCU reader.
 */
static void devmem_magazine_spill(struct devmem_magazine *magazine, u32 nr)
{
	struct devmem_binding *binding = magazine->binding;
	struct devmem_pool *pool = &binding->pool;
	u32 n = magazine->nr_free - nr;
	bool last;

	lockdep_assert_held(&magazine->lock);

	spin_lock(&pool->lock);
	memcpy(pool->free + pool->nr_free, magazine->free + nr,
	       n * sizeof(*pool->free));
	pool->nr_free += n;
	devmem_magazine_set_free(magazine, nr);
	devmem_pool_relieve(binding);
	last = pool->closed && pool->nr_free == binding->nr_chunks;
	spin_unlock(&pool->lock);

	if (last)
		devmem_binding_pool_full(binding);
}

/* Give all that is in magazines to the pool. Was there any? */
static bool devmem_pool_gather(struct devmem_binding *binding)
{
	struct devmem_magazine *magazine;
	bool any = false;
	u32 i;

	for (i = 0; i < binding->nr_queues; i++) {
		magazine = &binding->magazines[i];
		if (!READ_ONCE(magazine->nr_free))
			continue;
		spin_lock_bh(&magazine->lock);
		if (magazine->nr_free) {
			devmem_magazine_spill(magazine, 0);
			any = true;
		}
		spin_unlock_bh(&magazine->lock);
	}
	return any;
}

/* Nobody allocates any more. The pool puts its reference on the binding once all
 * chunks are there.
 */
void devmem_pool_close(struct devmem_binding *binding)
{
	struct devmem_pool *pool = &binding->pool;
	bool last;
	u32 i;

	for (i = 0; i < binding->nr_queues; i++) {
		struct devmem_magazine *magazine = &binding->magazines[i];

		spin_lock_bh(&magazine->lock);
		magazine->batch = 0;
		magazine->room = 0;
		devmem_magazine_spill(magazine, 0);
		spin_unlock_bh(&magazine->lock);
	}

	spin_lock_bh(&pool->lock);
	pool->closed = true;
	last = pool->nr_free == binding->nr_chunks;
	spin_unlock_bh(&pool->lock);
	if (last)
		devmem_binding_pool_full(binding);
}

static struct devmem_chunk *devmem_magazine_take(struct devmem_magazine *magazine)
{
	struct devmem_binding *binding = magazine->binding;
	struct devmem_chunk *chunk = NULL;
	bool pressure = false;

	spin_lock_bh(&magazine->lock);
	if (!magazine->nr_free)
		pressure = devmem_magazine_fill(magazine);
	if (magazine->nr_free) {
		devmem_magazine_set_free(magazine, magazine->nr_free - 1);
		chunk = &binding->chunks[magazine->free[magazine->nr_free]];
	}
	spin_unlock_bh(&magazine->lock);

	/* who is told finds this chunk gone */
	if (pressure) {
		this_cpu_inc(binding->stats->pressure);
		devmem_binding_event(binding, DEVMEM_EVENT_PRESSURE);
	}
	return chunk;
}

/* Returns a chunk with one reference, or NULL when all are held. */
struct devmem_chunk *devmem_chunk_alloc(struct devmem_magazine *magazine,
					const struct devmem_flow *owner)
{
	struct devmem_chunk *chunk = devmem_magazine_take(magazine);

	if (!chunk && devmem_pool_gather(magazine->binding))
		chunk = devmem_magazine_take(magazine);
	if (!chunk)
		return NULL;

	chunk->magazine = magazine;
	WRITE_ONCE(chunk->owner, owner);
	smp_wmb();	/* (C) */
	refcount_set(&chunk->ubuf.refcnt, 1);
	devmem_object_add(DEVMEM_OBJ_CHUNKS, 1);
	return chunk;
}

static void devmem_chunks_free(struct devmem_magazine *magazine,
			       struct devmem_chunk **chunks, u32 nr)
{
	const struct devmem_chunk *first = magazine->binding->chunks;
	u32 i, n, *free;

	devmem_object_add(DEVMEM_OBJ_CHUNKS, -(long)nr);

	spin_lock_bh(&magazine->lock);
	for (; nr; nr -= n, chunks += n) {
		if (magazine->nr_free == ARRAY_SIZE(magazine->free))
			devmem_magazine_spill(magazine, magazine->batch);
		n = min_t(u32, nr, ARRAY_SIZE(magazine->free) - magazine->nr_free);
		free = magazine->free + magazine->nr_free;
		for (i = 0; i < n; i++)
			free[i] = chunks[i] - first;
		devmem_magazine_set_free(magazine, magazine->nr_free + n);
	}
	if (magazine->nr_free > magazine->room)
		devmem_magazine_spill(magazine, magazine->batch);
	spin_unlock_bh(&magazine->lock);
}

/* A reference on each of @nr chunks, of whatever bindings. Leaves in @chunks what it
 * likes.
 */
void devmem_chunks_put(struct devmem_chunk **chunks, u32 nr)
{
	struct devmem_magazine *magazine = NULL;
	struct devmem_chunk *chunk;
	u32 i, last = 0;

	for (i = 0; i < nr; i++) {
		chunk = chunks[i];
		if (!refcount_dec_and_test(&chunk->ubuf.refcnt))
			continue;
		if (chunk->magazine != magazine) {
			if (last)
				devmem_chunks_free(magazine, chunks, last);
			magazine = chunk->magazine;
			last = 0;
		}
		chunks[last++] = chunk;
	}
	if (last)
		devmem_chunks_free(magazine, chunks, last);
}

void devmem_chunk_put(struct devmem_chunk *chunk)
{
	if (refcount_dec_and_test(&chunk->ubuf.refcnt))
		devmem_chunks_free(chunk->magazine, &chunk, 1);
}

/* A reference on a chunk that @owner was given once, unless it has become free since,
 * and perhaps another's.
 */
bool devmem_chunk_get_owned(struct devmem_chunk *chunk, const struct devmem_flow *owner)
{
	if (!refcount_inc_not_zero(&chunk->ubuf.refcnt))
		return false;
	smp_mb__after_atomic();	/* (C) */
	if (likely(READ_ONCE(chunk->owner) == owner))
		return true;
	devmem_chunk_put(chunk);
	return false;
}

u32 devmem_pool_free_chunks(struct devmem_binding *binding)
{
	u32 nr;

	spin_lock_bh(&binding->pool.lock);
	nr = devmem_pool_count(binding);
	spin_unlock_bh(&binding->pool.lock);
	return nr;
}
