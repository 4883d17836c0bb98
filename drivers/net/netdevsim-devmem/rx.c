// SPDX-License-Identifier: GPL-2.0
/*
 * Reception: what the hardware does with a packet that has arrived. Headers go
 * to a header buffer, exactly up to the end of the TCP or UDP header; payload
 * goes to the receiver's host memory or, if a rule says so, to device memory;
 * checksums are verified. With an XDP program all goes to memory of its kind
 * instead, and it has the first word. A super-packet stays one packet: so does
 * hardware GRO hand it up; one that is too long for that comes in segments. Knows
 * nothing of how the packet got here.
 *
 * The skb on the wire is the sender's: it is read, never changed, never handed
 * up, and freed when it has been copied.
 */
#include <linux/etherdevice.h>
#include <linux/filter.h>
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/checksum.h>
#include <net/gso.h>
#include <net/ip6_checksum.h>

#include "nsdm.h"

/* The GSO types of super-packets. */
#define NSDM_GSO_TYPES	(SKB_GSO_TCPV4 | SKB_GSO_TCPV6 | SKB_GSO_TCP_ECN | \
			 SKB_GSO_TCP_FIXEDID)

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

/* Is the checksum of a TCP packet one that will be verified, and right? */
bool nsdm_csum_good(const struct sk_buff *wire, const struct nsdm_cb *cb)
{
	if (nsdm_csum_outer(wire, cb))
		return true;
	return wire->ip_summed != CHECKSUM_PARTIAL && !nsdm_csum(wire, cb, 0);
}

/* Verify the checksum of a TCP or UDP packet, whose headers @skb has. One that
 * the sender's hardware was to write is right; here it is written, for who else
 * could. The fake hardware cheats with a super-packet: it leaves in it what the
 * sender's stack had put there, and nobody will look. False: it is wrong.
 */
static bool nsdm_rx_csum(struct nsdm_rxq *q, struct sk_buff *skb,
			 const struct sk_buff *wire, struct nsdm_cb *cb)
{
	bool offload = READ_ONCE(q->nd->dev->features) & NETIF_F_RXCSUM;
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
		return true;
	} else if (nsdm_csum(wire, cb, 0)) {
		/* another flipped bit could make it right */
		cb->flags &= ~NSDM_PKT_CORRUPT;
		return false;
	}
	if (cb->flags & NSDM_PKT_CORRUPT)
		return false;
	if (offload)
		skb->ip_summed = CHECKSUM_UNNECESSARY;
	return true;
}

/* Has the hardware looked at the checksum, and was it wrong? */
static bool nsdm_rx_csum_wrong(const struct nsdm_rxq *q,
			       const struct sk_buff *skb)
{
	return skb->ip_summed != CHECKSUM_UNNECESSARY &&
	       READ_ONCE(q->nd->dev->features) & NETIF_F_RXCSUM;
}

/* Payload, from @off on, to the header buffer if that has room for it, as real NICs
 * have it done by their drivers: a page is not for a few bytes. Else to the queue's
 * own memory; what a provider gives is for all that is meant for it.
 */
static bool nsdm_rx_host(struct nsdm_rxq *q, struct sk_buff *skb,
			 const struct sk_buff *wire, unsigned int off)
{
	unsigned int at, len, share;
	netmem_ref netmem;
	int i;

	if (wire->len <= NSDM_HDR_MAX && !q->mem.provided) {
		len = wire->len - off;
		return !skb_copy_bits(wire, off, skb_put(skb, len), len);
	}
	skb_mark_for_recycle(skb);
	for (i = 0; off < wire->len; i++, off += len) {
		if (i == MAX_SKB_FRAGS)
			return false;
		netmem = nsdm_pool_get(q, wire->len - off, &at, &len, &share);
		if (!netmem)
			return false;
		skb_add_rx_frag_netmem(skb, i, netmem, at, len, share);
		if (!nsdm_dma_write_pool(&q->mem, netmem, at, wire, off, len))
			return false;
	}
	return true;
}

/* How much of the packet goes to the header buffer: with header split, exactly
 * the headers; without, or if the packet is short enough, as much as there is
 * room for. Only TCP's payload goes to a provider's memory: where it is in use,
 * other packets have the header buffer alone.
 */
static unsigned int nsdm_rx_hdr_len(const struct nsdm_rxq *q,
				    const struct sk_buff *wire,
				    const struct nsdm_cb *cb)
{
	bool split = cb->hdr_len && READ_ONCE(q->nd->split) &&
		     wire->len > READ_ONCE(q->nd->hds_thresh);

	if (q->mem.provided && !(cb->flags & NSDM_PKT_TCP))
		split = false;
	return split ? cb->hdr_len : min(wire->len, NSDM_HDR_MAX);
}

/* What is not in the header buffer goes to memory that nobody can read. May it?
 * The stack cannot verify a checksum there.
 */
static bool nsdm_rx_unreadable_ok(const struct nsdm_rxq *q,
				  const struct sk_buff *skb,
				  const struct nsdm_cb *cb)
{
	return cb->flags & NSDM_PKT_TCP &&
	       skb->ip_summed == CHECKSUM_UNNECESSARY;
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
	case -EALREADY:
	case -ERANGE:
	case -EAGAIN:
		return NSDM_RX_FALLBACK_SEQUENCE;
	default:
		return NSDM_RX_FALLBACK_PROTO;
	}
}

/* The rule of the packet's connection, NULL: none. A rule is for this device, not
 * for a VLAN upon it. RCU read side.
 */
static struct nsdm_rule *nsdm_rx_rule(const struct nsdm_rxq *q,
				      const struct sk_buff *wire)
{
	const struct nsdm_cb *cb = NSDM_CB(wire);

	if (!(cb->flags & NSDM_PKT_TCP) || skb_vlan_tag_present(wire))
		return NULL;
	return nsdm_rule_find(q->nd, &cb->key);
}

/* IPv6 has no room for its length. */
static bool nsdm_rx_ipv6_big(const struct sk_buff *wire)
{
	return NSDM_CB(wire)->key.family == AF_INET6 &&
	       wire->len > ETH_HLEN + sizeof(struct ipv6hdr) + IPV6_MAXPLEN;
}

/* Can it go to host memory as it is? A super-packet must not be as long as GRO's
 * would not be; a long one must be TCP by its headers; and the pages of an skb must
 * have room for it, the first of which may be half full. What hardware GRO has put
 * together, a frag list, is short enough.
 */
static bool nsdm_rx_host_takes(const struct nsdm_rxq *q,
			       const struct sk_buff *wire)
{
	const struct net_device *dev = q->nd->dev;

	if (!skb_is_gso(wire) || skb_has_frag_list(wire))
		return true;
	if (wire->len - ETH_HLEN >= netif_get_gro_max_size(dev, wire))
		return false;
	if (likely(wire->len <= ETH_HLEN + IP_MAX_MTU))
		return true;
	return NSDM_CB(wire)->flags & NSDM_PKT_TCP &&
	       wire->len <= (MAX_SKB_FRAGS - 1) * q->mem.page_size +
			    nsdm_pool_share(&q->mem) &&
	       (!nsdm_rx_ipv6_big(wire) ||
		devmem_ipv6_may_be_big(dev, NET_SKB_PAD));
}

/* May the super-packet be received as it is? If it is placed: net/devmem will tell.
 * RCU read side.
 */
bool nsdm_rx_takes(struct nsdm_rxq *q, const struct sk_buff *wire)
{
	struct nsdm_rule *rule;

	if (likely(nsdm_rx_host_takes(q, wire)))
		return true;
	rule = nsdm_rx_rule(q, wire);
	return rule && rule->queue == q->index;
}

/* Payload to device memory, if a rule says so and the packet is one that may
 * be placed. False: to host memory with it, or in segments, each of which comes
 * here and is counted. RCU read side.
 */
static bool nsdm_rx_place(struct nsdm_rxq *q, struct sk_buff *skb,
			  const struct sk_buff *wire, const struct nsdm_cb *cb)
{
	enum nsdm_rx_stat stat = NSDM_RX_FALLBACK_PACKET;
	struct nsdm_rule *rule = nsdm_rx_rule(q, wire);
	unsigned int len = wire->len - cb->hdr_len;
	int err = 0;

	if (!rule)
		return false;
	if (rule->queue != q->index) {
		/* on the wire already when the rule came */
		stat = NSDM_RX_STRAYS;
	} else if (skb->pkt_type != PACKET_HOST || nsdm_rx_csum_wrong(q, skb)) {
		/* the stack will drop it */
	} else if (!(cb->flags & NSDM_PKT_PLAIN)) {
		err = -EPROTO;
	} else {
		err = devmem_rx_reserve(rule->flow, skb, len, &q->rx);
		if (!err && nsdm_dma_write(q->nd, &q->rx, wire, cb->hdr_len)) {
			devmem_rx_commit(&q->rx, skb);
			nsdm_rx_count_packet(q, NSDM_RX_PLACED_PACKETS, len);
			return true;
		}
		if (err)
			stat = nsdm_rx_fallback(err);
		else
			devmem_rx_abort(&q->rx);
	}

	if (nsdm_rx_host_takes(q, wire)) {
		if (err)
			devmem_rx_skip(rule->flow, len, err);
		nsdm_rx_count(q, stat, 1);
	}
	return false;
}

/* The short way: a segment that continues what net/devmem has of its connection
 * needs no skb. Its headers are read where they are, in place of a header buffer. It
 * fits the MTU, and there is no XDP program, for it is no longer than what it
 * continues. RCU read side.
 */
static bool nsdm_rx_continue(struct nsdm_rxq *q, const struct sk_buff *wire)
{
	const u8 wanted = NSDM_PKT_TCP | NSDM_PKT_PLAIN;
	const struct nsdm_cb *cb = NSDM_CB(wire);
	unsigned int len = wire->len - cb->hdr_len;
	struct nsdm_rule *rule;

	if ((cb->flags & (wanted | NSDM_PKT_CORRUPT)) != wanted ||
	    skb_is_gso(wire) || skb_headlen(wire) < cb->hdr_len ||
	    !(READ_ONCE(q->nd->dev->features) & NETIF_F_RXCSUM))
		return false;
	rule = nsdm_rx_rule(q, wire);
	if (!rule || rule->queue != q->index || !nsdm_csum_good(wire, cb) ||
	    !devmem_rx_continue(&q->rx, rule->flow, wire->data, cb->hdr_len, len) ||
	    !nsdm_dma_write(q->nd, &q->rx, wire, cb->hdr_len))
		return false;

	devmem_rx_extend(&q->rx, &q->napi, wire->data);
	nsdm_rx_count_packet(q, NSDM_RX_PACKETS, wire->len);
	nsdm_rx_count_packet(q, NSDM_RX_PLACED_PACKETS, len);
	nsdm_rx_count(q, NSDM_RX_MERGED_PACKETS, 1);
	nsdm_rx_count(q, NSDM_RX_CSUM_GOOD, 1);
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
	if (READ_ONCE(q->nd->dev->features) & NETIF_F_RXHASH)
		skb_copy_hash(skb, wire);
	skb_record_rx_queue(skb, q->index);
}

/* The tag of a VLAN: beside the packet, or among its headers again if the
 * hardware is not to strip it. @skb begins behind its MAC header.
 */
static struct sk_buff *nsdm_rx_vlan(const struct nsdm_rxq *q,
				    struct sk_buff *skb,
				    const struct sk_buff *wire)
{
	__be16 proto = wire->vlan_proto;
	u16 tci = skb_vlan_tag_get(wire);

	if (READ_ONCE(q->nd->dev->features) & NETIF_F_HW_VLAN_CTAG_RX) {
		__vlan_hwaccel_put_tag(skb, proto, tci);
		return skb;
	}
	__skb_push(skb, ETH_HLEN);
	skb = vlan_insert_tag_set_proto(skb, proto, tci);
	if (likely(skb)) {
		skb_reset_mac_header(skb);
		__skb_pull(skb, ETH_HLEN);
	}
	return skb;
}

/* The header buffer of a packet that has become part of another, as if it were a
 * fresh one.
 */
static struct sk_buff *nsdm_rx_reuse(struct nsdm_rxq *q)
{
	struct sk_buff *skb = q->spare;

	q->spare = NULL;
	skb->data = skb->head;
	skb_reset_tail_pointer(skb);
	skb->len = 0;
	skb_reserve(skb, NET_SKB_PAD + NET_IP_ALIGN);
	skb->ip_summed = CHECKSUM_NONE;
	skb->pkt_type = PACKET_HOST;
	skb_clear_hash(skb);
	skb_shinfo(skb)->gso_size = 0;
	skb_shinfo(skb)->gso_segs = 0;
	skb_shinfo(skb)->gso_type = 0;
	return skb;
}

/* A header buffer with as much of the packet as belongs there. One to use again
 * has a transport header set.
 */
static struct sk_buff *nsdm_rx_hdr(struct nsdm_rxq *q,
				   const struct sk_buff *wire,
				   unsigned int hdr_len)
{
	struct sk_buff *skb;

	if (q->spare && NSDM_CB(wire)->l4_off)
		skb = nsdm_rx_reuse(q);
	else
		skb = napi_alloc_skb(&q->napi, NSDM_HDR_MAX);

	if (likely(skb) &&
	    unlikely(skb_copy_bits(wire, 0, skb_put(skb, hdr_len), hdr_len))) {
		kfree_skb(skb);
		return NULL;
	}
	return skb;
}

/* To the stack. What is left of a packet that has become part of another is as
 * good for headers as new, once: q->spare was used for it if there was one.
 */
static void nsdm_rx_up(struct nsdm_rxq *q, struct sk_buff *skb)
{
	skb = devmem_rx_receive(&q->rx, &q->napi, skb);
	if (!skb)
		return;
	nsdm_rx_count(q, NSDM_RX_MERGED_PACKETS, 1);
	q->spare = skb;
}

/* A super-packet that nobody takes as one: in segments. */
static void nsdm_rx_segments(struct nsdm_rxq *q, struct sk_buff *wire)
{
	struct sk_buff_head segs;
	struct sk_buff *seg;

	__skb_queue_head_init(&segs);
	nsdm_segment(q, wire, &segs);
	while ((seg = __skb_dequeue(&segs)))
		nsdm_rx(q, seg);
}

/* The long way: a new skb. Not inline, so that the short way keeps its small frame. */
static noinline void nsdm_rx_skb(struct nsdm_rxq *q, struct sk_buff *wire)
{
	struct bpf_prog *prog = rcu_dereference(q->nd->xdp_prog);
	struct nsdm_cb *cb = NSDM_CB(wire);
	struct sk_buff *skb = NULL;
	bool csum_wrong = false, placed;
	unsigned int hdr_len;

	if (unlikely(prog && skb_is_gso(wire)))
		prog = NULL;	/* it has gone, and hardware GRO is back */
	if (unlikely(!nsdm_rx_fits(q->nd, wire) ||
		     (prog && nsdm_xdp_too_long(prog, wire->len)))) {
		nsdm_rx_count(q, NSDM_RX_DROP_LENGTH, 1);
		goto drop;
	}

	hdr_len = prog ? wire->len : nsdm_rx_hdr_len(q, wire, cb);
	skb = prog ? nsdm_xdp_receive(q, wire) : nsdm_rx_hdr(q, wire, hdr_len);
	if (unlikely(!skb))
		goto drop_nomem;
	nsdm_rx_describe(q, skb, wire, cb);
	if (cb->flags & NSDM_PKT_L4 && !nsdm_rx_csum(q, skb, wire, cb)) {
		csum_wrong = true;
		nsdm_rx_count(q, NSDM_RX_CSUM_ERRORS, 1);
	}
	skb->protocol = eth_type_trans(skb, q->nd->dev);

	if (hdr_len < wire->len && q->mem.provided &&
	    unlikely(!nsdm_rx_unreadable_ok(q, skb, cb))) {
		nsdm_rx_count(q, NSDM_RX_DROP_UNREADABLE, 1);
		kfree_skb(skb);
		goto drop;
	}
	placed = hdr_len < wire->len && nsdm_rx_place(q, skb, wire, cb);
	if (unlikely(!placed && !nsdm_rx_host_takes(q, wire))) {
		kfree_skb(skb);
		nsdm_rx_segments(q, wire);
		return;
	}
	if (hdr_len < wire->len && !placed &&
	    unlikely(!nsdm_rx_host(q, skb, wire, hdr_len)))
		goto drop_nomem;

	if (unlikely(wire->ip_summed == CHECKSUM_PARTIAL &&
		     !nsdm_csum_outer(wire, cb) &&
		     !nsdm_csum_inner(skb, wire)))
		goto drop_nomem;
	if (unlikely(cb->flags & NSDM_PKT_CORRUPT))
		nsdm_impair_corrupt(q, skb, cb);
	if (skb_vlan_tag_present(wire)) {
		skb = nsdm_rx_vlan(q, skb, wire);
		if (unlikely(!skb))
			goto drop_nomem;
	}

	nsdm_rx_count_packets(q, NSDM_RX_PACKETS, nsdm_wire_packets(wire),
			      nsdm_wire_bytes(wire));
	if (prog) {
		skb = nsdm_xdp_run(q, prog, skb);
		if (!skb) {
			consume_skb(wire);
			return;
		}
	}
	if (skb->ip_summed == CHECKSUM_UNNECESSARY)
		nsdm_rx_count(q, NSDM_RX_CSUM_GOOD, 1);
	else if (!csum_wrong)
		nsdm_rx_count(q, NSDM_RX_CSUM_NONE, 1);
	if (skb_is_gso(wire)) {
		nsdm_rx_count_packet(q, NSDM_RX_GRO_PACKETS, wire->len);
		nsdm_rx_count_packets(q, NSDM_RX_GRO_WIRE_PACKETS,
				      nsdm_wire_packets(wire),
				      nsdm_wire_bytes(wire));
	}
	if (unlikely(!placed && nsdm_rx_ipv6_big(wire)))
		devmem_ipv6_make_big(&q->napi, skb, wire->len - ETH_HLEN -
						    sizeof(struct ipv6hdr));
	consume_skb(wire);
	nsdm_rx_up(q, skb);
	return;

drop_nomem:
	nsdm_rx_count(q, NSDM_RX_DROP_NOMEM, 1);
	kfree_skb(skb);
drop:
	kfree_skb(wire);
}

/* Receive the packet on the wire and free it. NAPI context, RCU read side. */
void nsdm_rx(struct nsdm_rxq *q, struct sk_buff *wire)
{
	if (nsdm_rx_continue(q, wire))
		consume_skb(wire);
	else
		nsdm_rx_skb(q, wire);
}
