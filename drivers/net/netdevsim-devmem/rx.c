// SPDX-License-Identifier: GPL-2.0
/*
 * Reception: what the hardware does with a packet that has arrived. Headers go
 * to a header buffer, exactly up to the end of the TCP or UDP header; payload
 * goes to the receiver's host memory or, if a rule says so, to device memory;
 * checksums are verified. A super-packet of the sender's TSO stays one packet:
 * so would hardware GRO hand it up. Knows nothing of how the packet got here.
 *
 * The skb on the wire is the sender's: it is read, never changed, never handed
 * up, and freed when it has been copied.
 */
#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/checksum.h>
#include <net/gso.h>
#include <net/ip6_checksum.h>

#include "nsdm.h"

/* The GSO types whose packets TSO hands us whole. */
#define NSDM_GSO_TYPES	(SKB_GSO_TCPV4 | SKB_GSO_TCPV6 | SKB_GSO_TCP_ECN)

/* Does it fit the MTU, each segment by itself? A VLAN tag is for free. */
static bool nsdm_rx_fits(const struct nsdm *nd, const struct sk_buff *wire)
{
	unsigned int mtu = READ_ONCE(nd->dev->mtu);
	unsigned int overhead = ETH_HLEN;

	if (skb_is_gso(wire))
		return skb_gso_validate_network_len(wire, mtu);
	if (eth_type_vlan(wire->protocol))
		overhead += VLAN_HLEN;
	return wire->len <= mtu + overhead;
}

/* The checksum that a TCP or UDP packet should have whose field holds @old.
 * With 0 for @old: 0 if the one it has is right.
 */
static __sum16 nsdm_csum(const struct sk_buff *wire, const struct nsdm_cb *cb,
			 __sum16 old)
{
	u8 proto = cb->flags & NSDM_PKT_TCP ? IPPROTO_TCP : IPPROTO_UDP;
	const struct devmem_flow_key *key = &cb->key;
	__wsum sum;

	sum = csum_sub(skb_checksum(wire, cb->l4_off, cb->l4_len, 0),
		       csum_unfold(old));
	if (key->family == AF_INET)
		return csum_tcpudp_magic(key->saddr[0], key->daddr[0],
					 cb->l4_len, proto, sum);
	return csum_ipv6_magic((const struct in6_addr *)key->saddr,
			       (const struct in6_addr *)key->daddr,
			       cb->l4_len, proto, sum);
}

static unsigned int nsdm_csum_field(const struct nsdm_cb *cb)
{
	return cb->flags & NSDM_PKT_TCP ? offsetof(struct tcphdr, check) :
					  offsetof(struct udphdr, check);
}

/* The sender's hardware was to write the checksum of the TCP or UDP header that
 * the parser found: it was told so, or it cut the packet in segments.
 */
static bool nsdm_csum_outer(const struct sk_buff *wire,
			    const struct nsdm_cb *cb)
{
	if (!(cb->flags & NSDM_PKT_L4))
		return false;
	if (skb_is_gso(wire))
		return true;
	return wire->ip_summed == CHECKSUM_PARTIAL &&
	       skb_checksum_start_offset(wire) == cb->l4_off &&
	       wire->csum_offset == nsdm_csum_field(cb);
}

/* It was to write another one, of an inner header say. @skb has the whole
 * packet, from behind its MAC header.
 */
static bool nsdm_csum_inner(struct sk_buff *skb, const struct sk_buff *wire)
{
	int start = skb_checksum_start_offset(wire);
	__sum16 sum;

	sum = csum_fold(skb_checksum(wire, start, wire->len - start, 0)) ?:
	      CSUM_MANGLED_0;
	return !skb_store_bits(skb, start + wire->csum_offset - ETH_HLEN,
			       &sum, sizeof(sum));
}

/* Verify the checksum of a TCP or UDP packet, whose headers @skb has. One that
 * the sender's hardware was to write is right; here it is written, for who else
 * could. The fake hardware cheats with a super-packet: it leaves in it what the
 * sender's stack had put there, and nobody will look.
 */
static void nsdm_rx_csum(struct nsdm_rxq *q, struct sk_buff *skb,
			 const struct sk_buff *wire, struct nsdm_cb *cb)
{
	bool offload = q->nd->dev->features & NETIF_F_RXCSUM;
	__sum16 *field = (__sum16 *)(skb->data + cb->l4_off +
				     nsdm_csum_field(cb));

	if (nsdm_csum_outer(wire, cb)) {
		if (!skb_is_gso(wire) || !offload ||
		    cb->flags & NSDM_PKT_CORRUPT)
			*field = nsdm_csum(wire, cb, *field) ?: CSUM_MANGLED_0;
	} else if (wire->ip_summed == CHECKSUM_PARTIAL ||
		   (cb->flags & NSDM_PKT_UDP && !*field)) {
		/* an inner one, or none: nothing to tell */
		cb->flags &= ~NSDM_PKT_CORRUPT;
		return;
	} else if (nsdm_csum(wire, cb, 0)) {
		/* another flipped bit could make it right */
		cb->flags &= ~NSDM_PKT_CORRUPT;
		nsdm_rx_count(q, NSDM_RX_CSUM_ERRORS, 1);
		return;
	}
	if (cb->flags & NSDM_PKT_CORRUPT)
		nsdm_rx_count(q, NSDM_RX_CSUM_ERRORS, 1);
	else if (offload)
		skb->ip_summed = CHECKSUM_UNNECESSARY;
}

/* Has the hardware looked at the checksum, and was it wrong? */
static bool nsdm_rx_csum_wrong(const struct nsdm_rxq *q,
			       const struct sk_buff *skb)
{
	return skb->ip_summed != CHECKSUM_UNNECESSARY &&
	       q->nd->dev->features & NETIF_F_RXCSUM;
}

/* Payload to host memory. */
static bool nsdm_rx_host(struct nsdm_rxq *q, struct sk_buff *skb,
			 const struct sk_buff *wire, unsigned int off)
{
	struct page_frag *frag = &q->frag;
	unsigned int len;
	int i = 0;

	for (; off < wire->len; off += len) {
		if (i == MAX_SKB_FRAGS ||
		    !skb_page_frag_refill(SMP_CACHE_BYTES, frag,
					  GFP_ATOMIC | __GFP_NOWARN))
			return false;
		len = min(wire->len - off, frag->size - frag->offset);
		if (skb_copy_bits(wire, off,
				  page_address(frag->page) + frag->offset, len))
			return false;
		get_page(frag->page);
		skb_add_rx_frag(skb, i++, frag->page, frag->offset, len,
				ALIGN(len, SMP_CACHE_BYTES));
		frag->offset += ALIGN(len, SMP_CACHE_BYTES);
	}
	return true;
}

/* Why net/devmem did not want the packet. */
static enum nsdm_rx_stat nsdm_rx_fallback(int err)
{
	switch (err) {
	case -ENOBUFS:
		return NSDM_RX_FALLBACK_NOBUFS;
	case -ENOMEM:
		return NSDM_RX_FALLBACK_NOMEM;
	case -EHOSTUNREACH:
		return NSDM_RX_FALLBACK_ROUTE;
	case -ESHUTDOWN:
		return NSDM_RX_FALLBACK_SHUTDOWN;
	default:
		return NSDM_RX_FALLBACK_PROTO;
	}
}

/* Payload to device memory, if a rule says so and the packet is one that may
 * be placed. False: to host memory with it. RCU read side.
 */
static bool nsdm_rx_place(struct nsdm_rxq *q, struct sk_buff *skb,
			  const struct sk_buff *wire, const struct nsdm_cb *cb)
{
	unsigned int len = wire->len - cb->hdr_len;
	struct nsdm_rule *rule;
	int err;

	if (!(cb->flags & NSDM_PKT_TCP))
		return false;
	rule = nsdm_rule_find(q->nd, &cb->key);
	if (!rule)
		return false;
	if (rule->queue != q->index) {
		/* on the wire already when the rule came */
		nsdm_rx_count(q, NSDM_RX_STRAYS, 1);
		return false;
	}
	if (skb->pkt_type != PACKET_HOST || nsdm_rx_csum_wrong(q, skb)) {
		/* the stack will drop it */
		nsdm_rx_count(q, NSDM_RX_FALLBACK_PACKET, 1);
		return false;
	}
	if (!(cb->flags & NSDM_PKT_PLAIN)) {
		devmem_rx_skip(rule->flow, len);
		nsdm_rx_count(q, NSDM_RX_FALLBACK_PACKET, 1);
		return false;
	}

	err = devmem_rx_reserve(rule->flow, skb, len, &q->rx);
	if (err) {
		nsdm_rx_count(q, nsdm_rx_fallback(err), 1);
		return false;
	}
	if (!nsdm_dma_write(q->nd, &q->rx, wire, cb->hdr_len)) {
		devmem_rx_abort(&q->rx);
		nsdm_rx_count(q, NSDM_RX_FALLBACK_PACKET, 1);
		return false;
	}
	devmem_rx_commit(&q->rx, skb);
	nsdm_rx_count_packet(q, NSDM_RX_PLACED_PACKETS, len);
	return true;
}

/* What a completion descriptor would say of the packet. */
static void nsdm_rx_describe(struct nsdm_rxq *q, struct sk_buff *skb,
			     const struct sk_buff *wire,
			     const struct nsdm_cb *cb)
{
	skb_set_network_header(skb, ETH_HLEN);
	if (cb->l4_off)
		skb_set_transport_header(skb, cb->l4_off);
	if (skb_is_gso(wire)) {
		skb_shinfo(skb)->gso_size = skb_shinfo(wire)->gso_size;
		skb_shinfo(skb)->gso_segs = skb_shinfo(wire)->gso_segs;
		skb_shinfo(skb)->gso_type = skb_shinfo(wire)->gso_type &
					    NSDM_GSO_TYPES;
	}
	if (q->nd->dev->features & NETIF_F_RXHASH && cb->key.family)
		skb_set_hash(skb, wire->hash, cb->flags & NSDM_PKT_L4 ?
			     PKT_HASH_TYPE_L4 : PKT_HASH_TYPE_L3);
	skb_record_rx_queue(skb, q->index);
}

/* Receive the packet on the wire and free it. NAPI context, RCU read side. */
void nsdm_rx(struct nsdm_rxq *q, struct sk_buff *wire)
{
	struct nsdm_cb *cb = NSDM_CB(wire);
	struct sk_buff *skb = NULL;
	unsigned int hdr_len;

	if (unlikely(!nsdm_rx_fits(q->nd, wire))) {
		nsdm_rx_count(q, NSDM_RX_DROP_LENGTH, 1);
		goto drop;
	}

	hdr_len = cb->hdr_len ?: min(wire->len, NSDM_HDR_MAX);
	skb = napi_alloc_skb(&q->napi, NSDM_HDR_MAX);
	if (unlikely(!skb))
		goto drop_nomem;
	if (unlikely(skb_copy_bits(wire, 0, skb_put(skb, hdr_len), hdr_len)))
		goto drop_nomem;
	nsdm_rx_describe(q, skb, wire, cb);
	if (cb->flags & NSDM_PKT_L4)
		nsdm_rx_csum(q, skb, wire, cb);
	skb->protocol = eth_type_trans(skb, q->nd->dev);

	if (hdr_len < wire->len && !nsdm_rx_place(q, skb, wire, cb) &&
	    unlikely(!nsdm_rx_host(q, skb, wire, hdr_len)))
		goto drop_nomem;

	if (unlikely(wire->ip_summed == CHECKSUM_PARTIAL &&
		     !nsdm_csum_outer(wire, cb) &&
		     !nsdm_csum_inner(skb, wire)))
		goto drop_nomem;
	if (unlikely(cb->flags & NSDM_PKT_CORRUPT))
		nsdm_impair_corrupt(q, skb, cb);

	nsdm_rx_count_packet(q, NSDM_RX_PACKETS, wire->len);
	consume_skb(wire);
	napi_gro_receive(&q->napi, skb);
	return;

drop_nomem:
	nsdm_rx_count(q, NSDM_RX_DROP_NOMEM, 1);
	kfree_skb(skb);
drop:
	kfree_skb(wire);
}
