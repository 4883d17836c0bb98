// SPDX-License-Identifier: GPL-2.0
/*
 * Tokens: what a reader holds a piece of the buffer with. Owns the numbers and
 * one chunk reference for each token out. Calls nobody but the chunk's put.
 */
#include <linux/slab.h>

#include "devmem.h"

#define DEVMEM_TOKENS_MIN	64	/* slots of the first table: 1 KiB */
#define DEVMEM_TOKENS_BATCH	64	/* chunks put at once, outside the lock */
#define DEVMEM_TOKENS_TRIES	1024	/* slots looked at under the lock */

void devmem_tokens_init(struct devmem_tokens *tokens)
{
	spin_lock_init(&tokens->lock);
	tokens->next = 1;
}

/* Numbers that differ modulo a table's size differ modulo twice that. */
static void devmem_tokens_move(struct devmem_token *to, u32 to_size,
			       const struct devmem_token *from, u32 from_size)
{
	u32 i;

	for (i = 0; i < from_size; i++)
		if (from[i].chunk)
			to[from[i].number & (to_size - 1)] = from[i];
}

/* Make sure that one token can be issued. The table is kept at most half full,
 * so that a free slot is near. Only one task reserves at a time: the socket
 * lock is held.
 *
 * Return: 0, -ENOMEM, or -ENOBUFS: the reader holds DEVMEM_MAX_TOKENS.
 */
int devmem_tokens_reserve(struct devmem_tokens *tokens)
{
	struct devmem_token *slot, *old;
	u32 size;

	if (READ_ONCE(tokens->held) >= DEVMEM_MAX_TOKENS)
		return -ENOBUFS;
	if (READ_ONCE(tokens->held) < tokens->size / 2)
		return 0;

	size = tokens->size ? tokens->size * 2 : DEVMEM_TOKENS_MIN;
	slot = kvcalloc(size, sizeof(*slot), GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!slot)
		return -ENOMEM;

	spin_lock_bh(&tokens->lock);
	devmem_tokens_move(slot, size, tokens->slot, tokens->size);
	old = tokens->slot;
	tokens->slot = slot;
	tokens->size = size;
	spin_unlock_bh(&tokens->lock);
	kvfree(old);
	return 0;
}

/* The next number whose slot is free, or 0: look again. */
static u32 devmem_tokens_next(struct devmem_tokens *tokens)
{
	u32 number, tries;

	for (tries = 0; tries < DEVMEM_TOKENS_TRIES; tries++) {
		number = tokens->next++;
		if (number && !tokens->slot[number & (tokens->size - 1)].chunk)
			return number;
	}
	return 0;
}

/* After a successful reserve. Takes over a reference on @chunk. Process context: a
 * reader may hold half a million in a row, and it comes around to them.
 */
u32 devmem_tokens_issue(struct devmem_tokens *tokens, struct devmem_chunk *chunk)
{
	struct devmem_token *slot;
	u32 number;

	spin_lock_bh(&tokens->lock);
	while (!(number = devmem_tokens_next(tokens))) {
		spin_unlock_bh(&tokens->lock);
		cond_resched();
		spin_lock_bh(&tokens->lock);
	}
	slot = &tokens->slot[number & (tokens->size - 1)];
	slot->number = number;
	slot->chunk = chunk;
	tokens->held++;
	spin_unlock_bh(&tokens->lock);

	devmem_object_add(DEVMEM_OBJ_TOKENS, 1);
	return number;
}

/* Take back up to @nr of the @count tokens from @start on, which move on to the next
 * one. Returns how many of them were out; their chunks are in @chunks.
 */
static u32 devmem_tokens_take(struct devmem_tokens *tokens, u32 *start, u32 *count,
			      struct devmem_chunk **chunks, u32 nr)
{
	u32 n = 0, number = *start, left = *count;
	struct devmem_token *slot;

	spin_lock_bh(&tokens->lock);
	if (!tokens->held)
		left = 0;
	for (; left && n < nr; left--, number++) {
		slot = &tokens->slot[number & (tokens->size - 1)];
		if (!slot->chunk || slot->number != number)
			continue;
		chunks[n++] = slot->chunk;
		slot->chunk = NULL;
	}
	tokens->held -= n;
	spin_unlock_bh(&tokens->lock);

	*start = number;
	*count = left;
	return n;
}

/* Take back @count tokens from @start on. Returns how many of them were out. They
 * may be of several bindings: a socket that disconnects can be attached again.
 */
u32 devmem_tokens_release(struct devmem_tokens *tokens, u32 start, u32 count)
{
	struct devmem_chunk *chunks[DEVMEM_TOKENS_BATCH];
	u32 done = 0, n;

	while (count) {
		n = devmem_tokens_take(tokens, &start, &count, chunks,
				       ARRAY_SIZE(chunks));
		devmem_chunks_put(chunks, n);
		done += n;
	}

	devmem_object_add(DEVMEM_OBJ_TOKENS, -(long)done);
	return done;
}

/* Nobody else uses @tokens any more. */
void devmem_tokens_destroy(struct devmem_tokens *tokens)
{
	u32 i;

	for (i = 0; i < tokens->size; i++)
		if (tokens->slot[i].chunk)
			devmem_chunk_put(tokens->slot[i].chunk);
	devmem_object_add(DEVMEM_OBJ_TOKENS, -(long)tokens->held);
	kvfree(tokens->slot);
	tokens->slot = NULL;
	tokens->size = 0;
	tokens->held = 0;
}
