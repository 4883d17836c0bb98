// SPDX-License-Identifier: GPL-2.0
/*
 * How a chunk rides in an skb. This file owns the representation; nobody else
 * may know it.
 *
 *	main skb	headers in the linear part, no frags, unreadable
 *	  frag_list	one payload skb for each contiguous piece, unreadable;
 *			its one frag points into the binding's poison page: a
 *			zeroed compound page, as large as a chunk, that anybody
 *			may read and that tells nothing. Frag offset and size
 *			say which bytes of the chunk are meant, and stay right
 *			under every trim and pull. Its zerocopy ubuf is the
 *			chunk, whose reference the payload skb holds. The chunk
 *			keeps the page, so the frag has no reference of its own
 *			(SKBFL_MANAGED_FRAG_REFS): all queues would count at one
 *			place.
 *
 * The ubuf is never on the main skb: taps orphan that one by copying. A module
 * cannot use net_iov frags: only built-in memory providers may own those.
 */
#include <linux/gfp.h>
#include <linux/kmemleak.h>
#include <linux/skbuff.h>

#include "devmem.h"

static void devmem_frag_complete(struct sk_buff *skb, struct ubuf_info *ubuf,
				 bool success)
{
	devmem_chunk_put(container_of(ubuf, struct devmem_chunk, ubuf));
}

/* In a payload skb's cb, where nobody else has business: it stays in the frag_list. */
struct devmem_frag_cb {
	u64 owner;
};

static struct devmem_frag_cb *devmem_frag_cb(const struct sk_buff *payload)
{
	return (struct devmem_frag_cb *)payload->cb;
}

static const struct ubuf_info_ops devmem_frag_ubuf_ops = {
	.complete = devmem_frag_complete,
};

void devmem_frag_init_chunk(struct devmem_chunk *chunk)
{
	chunk->ubuf.ops = &devmem_frag_ubuf_ops;
	chunk->ubuf.flags = SKBFL_ZEROCOPY_FRAG | SKBFL_DONT_ORPHAN;
}

static unsigned int devmem_frag_poison_order(u32 chunk_shift)
{
	return chunk_shift > PAGE_SHIFT ? chunk_shift - PAGE_SHIFT : 0;
}

struct page *devmem_frag_poison_alloc(u32 chunk_shift)
{
	return alloc_pages(GFP_KERNEL_ACCOUNT | __GFP_COMP | __GFP_ZERO |
			   __GFP_NOWARN, devmem_frag_poison_order(chunk_shift));
}

/* What the stack has copied frags into holds references of its own. */
void devmem_frag_poison_free(struct page *poison)
{
	if (poison)
		put_page(poison);
}

/* An empty payload skb. Its head has no room for data, and is cut from a page as
 * that of a received packet is: nobody has to zero it or find a slab for it. NAPI
 * context.
 */
struct sk_buff *devmem_frag_alloc(void)
{
	void *head = napi_alloc_frag(SKB_HEAD_ALIGN(0));
	struct sk_buff *skb;

	if (!head)
		return NULL;
	skb = napi_build_skb(head, SKB_HEAD_ALIGN(0));
	if (!skb)
		skb_free_frag(head);
	return skb;
}

/* Append @piece to @skb, behind @last of its payload skbs, or NULL if it has none.
 * Takes over @payload and one reference on the chunk.
 */
void devmem_frag_attach(struct sk_buff *skb, struct sk_buff *last,
			struct sk_buff *payload, const struct devmem_piece *piece)
{
	struct devmem_chunk *chunk = piece->chunk;
	u32 len = piece->len;

	devmem_frag_cb(payload)->owner = piece->owner;
	skb_fill_page_desc(payload, 0, chunk->binding->poison, piece->off, len);
	payload->len = len;
	payload->data_len = len;
	payload->truesize += len;
	payload->unreadable = 1;
	skb_zcopy_init(payload, &chunk->ubuf);
	skb_shinfo(payload)->flags |= SKBFL_MANAGED_FRAG_REFS;

	if (last)
		last->next = payload;
	else
		skb_shinfo(skb)->frag_list = payload;

	skb->len += len;
	skb->data_len += len;
	skb->truesize += payload->truesize;
	skb->unreadable = 1;
}

/* Would a piece at @off of @chunk continue @payload? */
bool devmem_frag_ends_at(const struct sk_buff *payload,
			 const struct devmem_chunk *chunk, u32 off)
{
	const skb_frag_t *frag = &skb_shinfo(payload)->frags[0];

	return skb_uarg(payload) == &chunk->ubuf &&
	       skb_frag_off(frag) + skb_frag_size(frag) == off;
}

/* @payload, one of @skb, has @len bytes more. Nobody else has seen either. The
 * poison page is as large as the chunk in which the bytes lie.
 */
void devmem_frag_extend(struct sk_buff *skb, struct sk_buff *payload, u32 len)
{
	skb_frag_size_add(&skb_shinfo(payload)->frags[0], len);
	payload->len += len;
	payload->data_len += len;
	payload->truesize += len;
	skb->len += len;
	skb->data_len += len;
	skb->truesize += len;
}

/* Is @skb one of ours? */
bool devmem_frag_placed(const struct sk_buff *skb)
{
	struct sk_buff *payload = skb_shinfo(skb)->frag_list;
	struct ubuf_info *ubuf;

	if (skb_frags_readable(skb) || !payload)
		return false;
	ubuf = skb_zcopy(payload);
	return ubuf && ubuf->ops == &devmem_frag_ubuf_ops;
}

/* Has somebody taken @skb apart, so that it is unreadable without saying where its bytes
 * are? Segments that were copied have zeroes in their place.
 */
bool devmem_frag_torn(const struct sk_buff *skb)
{
	const struct ubuf_info *ubuf = skb_zcopy((struct sk_buff *)skb);

	return !skb_is_nonlinear(skb) || (ubuf && ubuf->ops == &devmem_frag_ubuf_ops);
}

/* Which bytes of which chunk stand at @offset of @skb? False if they are not
 * ours: the linear part, or what another stack put there. @at is zeroed for the first
 * time, and saves later ones, further on in the same @skb, the way from its beginning.
 */
bool devmem_frag_find(const struct sk_buff *skb, u32 offset,
		      struct devmem_frag_cursor *at, struct devmem_piece *piece)
{
	struct sk_buff *payload;
	struct ubuf_info *ubuf;
	const skb_frag_t *frag;

	if (offset < skb_headlen(skb) || !devmem_frag_placed(skb))
		return false;
	if (!at->payload || offset < at->start) {
		at->payload = skb_shinfo(skb)->frag_list;
		at->start = skb_headlen(skb);
	}

	for (; at->payload; at->payload = payload->next) {
		payload = at->payload;
		if (offset - at->start >= payload->len) {
			at->start += payload->len;
			continue;
		}
		ubuf = skb_zcopy(payload);
		if (!ubuf || ubuf->ops != &devmem_frag_ubuf_ops ||
		    skb_shinfo(payload)->nr_frags != 1)
			return false;
		frag = &skb_shinfo(payload)->frags[0];
		piece->chunk = container_of(ubuf, struct devmem_chunk, ubuf);
		piece->off = skb_frag_off(frag) + offset - at->start;
		piece->len = payload->len - (offset - at->start);
		piece->owner = devmem_frag_cb(payload)->owner;
		return true;
	}
	return false;
}

/* The reader is through with @skb: let go of its chunks now, for the stack may
 * park the skb on another CPU for a while before it frees it, or keep it with an
 * orphan. What a clone shares stays as it is. kmemleak does not look into the
 * pages that heads like that of @skb are cut from.
 */
void devmem_frag_release(struct sk_buff *skb)
{
	struct sk_buff *payload;

	if (!devmem_frag_placed(skb) || skb_shared(skb) || skb_cloned(skb))
		return;
	skb_walk_frags(skb, payload) {
		kmemleak_not_leak(payload);
		if (skb_shared(payload) || skb_cloned(payload))
			continue;
		/* the page goes with the chunk, unless the stack took a reference */
		if (skb_zcopy_managed(payload))
			skb_shinfo(payload)->nr_frags = 0;
		skb_zcopy_clear(payload, true);
	}
}
