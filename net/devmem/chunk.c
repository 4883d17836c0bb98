// SPDX-License-Identifier: GPL-2.0
/*
 * Chunks: the unit in which a binding's buffer is handed out. Owns the pool of
 * free ones and the reference count of each. Knows nothing of packets, flows or
 * the device: a chunk is a number with holders.
 */
#include <linux/slab.h>

#include "devmem.h"

/* Pressure begins when less than 1/8 of the chunks is free, and ends when more
 * than 1/4 is: far enough apart that a binding at the edge does not flood its
 * listeners.
 */
#define DEVMEM_PRESSURE_LOW(nr)		((nr) / 8)
#define DEVMEM_PRESSURE_OVER(nr)	((nr) / 4)

int devmem_pool_init(struct devmem_binding *binding)
{
	struct devmem_pool *pool = &binding->pool;
	u32 nr = binding->nr_chunks;
	u32 i;

	/* who wants too much is told so, and not the log */
	binding->chunks = kvcalloc(nr, sizeof(*binding->chunks),
				   GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	pool->free = kvmalloc_array(nr, sizeof(*pool->free),
				    GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!binding->chunks || !pool->free) {
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
	return 0;
}

void devmem_pool_destroy(struct devmem_binding *binding)
{
	kvfree(binding->pool.free);
	kvfree(binding->chunks);
	binding->pool.free = NULL;
	binding->chunks = NULL;
}

/* Returns a chunk with one reference, or NULL when all are held. */
struct devmem_chunk *devmem_chunk_alloc(struct devmem_binding *binding)
{
	struct devmem_pool *pool = &binding->pool;
	struct devmem_chunk *chunk = NULL;
	bool event = false;

	spin_lock_bh(&pool->lock);
	if (pool->nr_free) {
		chunk = &binding->chunks[pool->free[--pool->nr_free]];
		if (pool->nr_free < DEVMEM_PRESSURE_LOW(binding->nr_chunks) &&
		    !pool->pressure) {
			pool->pressure = true;
			event = true;
		}
	} else if (!pool->pressure) {
		/* fewer than 8 chunks: the low mark is never crossed */
		pool->pressure = true;
		event = true;
	}
	spin_unlock_bh(&pool->lock);

	if (event) {
		this_cpu_inc(binding->stats->pressure);
		devmem_binding_event(binding, DEVMEM_EVENT_PRESSURE);
	}
	if (!chunk)
		return NULL;

	refcount_set(&chunk->ubuf.refcnt, 1);
	refcount_inc(&binding->ref);
	devmem_object_add(DEVMEM_OBJ_CHUNKS, 1);
	return chunk;
}

static void devmem_chunks_free(struct devmem_chunk **chunks, u32 nr)
{
	struct devmem_binding *binding = chunks[0]->binding;
	struct devmem_pool *pool = &binding->pool;
	u32 i;

	spin_lock_bh(&pool->lock);
	for (i = 0; i < nr; i++)
		pool->free[pool->nr_free++] = chunks[i] - binding->chunks;
	if (pool->nr_free > DEVMEM_PRESSURE_OVER(binding->nr_chunks))
		pool->pressure = false;
	spin_unlock_bh(&pool->lock);

	devmem_object_add(DEVMEM_OBJ_CHUNKS, -(long)nr);
	devmem_binding_put_many(binding, nr);
}

/* A reference on each of @nr chunks, all of one binding. Leaves in @chunks what it
 * likes.
 */
void devmem_chunks_put(struct devmem_chunk **chunks, u32 nr)
{
	u32 i, last = 0;

	for (i = 0; i < nr; i++)
		if (refcount_dec_and_test(&chunks[i]->ubuf.refcnt))
			chunks[last++] = chunks[i];
	if (last)
		devmem_chunks_free(chunks, last);
}

void devmem_chunk_put(struct devmem_chunk *chunk)
{
	if (refcount_dec_and_test(&chunk->ubuf.refcnt))
		devmem_chunks_free(&chunk, 1);
}

/* Does the caller hold the only reference? Then nobody can take another. */
bool devmem_chunk_exclusive(struct devmem_chunk *chunk)
{
	if (refcount_read(&chunk->ubuf.refcnt) != 1)
		return false;
	smp_acquire__after_ctrl_dep();	/* (C) */
	return true;
}

u32 devmem_pool_free_chunks(struct devmem_binding *binding)
{
	return READ_ONCE(binding->pool.nr_free);
}
