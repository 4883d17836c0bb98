// SPDX-License-Identifier: GPL-2.0
/*
 * Hardware GRO: packets of one connection that one poll takes off the wire, each
 * of which continues the one before it, are received as one. Owns the
 * aggregation contexts of a queue, which are empty between two polls: nothing
 * waits here. Knows nothing of where payload goes.
 *
 * Two packets become one by the rules of the kernel's own GRO: what the stack
 * gets could be cut again into the packets that were on the wire. So
 *
 *	- both are whole TCP packets with payload, no options or extension
 *	  headers of IP, as long as they say, and with right checksums;
 *	- MAC header, VLAN tag, addresses, ports, TTL or hop limit, TOS or traffic
 *	  class, flow label and DF are the same; IP ids ascend by one, or with DF
 *	  stay the same;
 *	- TCP's acknowledgment, window, options and flags are the same, but that
 *	  only the first may have CWR and only the last PSH and FIN; SYN, RST and
 *	  URG are for packets that stay alone;
 *	- segments are of one size, but that the last may be smaller.
 *
 * A packet that ends such a sequence, or cannot be part of one, never overtakes
 * what its connection has here.
 *
 * The packets are the sender's: their payload is read where it is. What they
 * become is a packet like any on the wire, as the sender's TSO would have made
 * it, with new headers and with theirs cut off: a frag list.
 */
#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <net/ip6_checksum.h>
#include <net/tcp.h>

#include "nsdm.h"

/* The hardware's limit, and that of the length fields of IP. */
#define NSDM_GRO_LEN_MAX	65535u

/* MAC, IP and TCP header with all its options fit in a header buffer. */
static_assert(ETH_HLEN + sizeof(struct ipv6hdr) + 15 * 4 <= NSDM_HDR_MAX);

static struct iphdr *nsdm_gro_ip(const struct sk_buff *skb)
{
	return (struct iphdr *)(skb->data + ETH_HLEN);
}

static struct ipv6hdr *nsdm_gro_ipv6(const struct sk_buff *skb)
{
	return (struct ipv6hdr *)(skb->data + ETH_HLEN);
}

static struct tcphdr *nsdm_gro_tcp(const struct sk_buff *skb)
{
	return (struct tcphdr *)(skb->data + NSDM_CB(skb)->l4_off);
}

/* Of each segment but the last, which may have less. */
static unsigned int nsdm_gro_size(const struct sk_buff *skb)
{
	return skb_is_gso(skb) ? skb_shinfo(skb)->gso_size :
				 skb->len - NSDM_CB(skb)->hdr_len;
}

/* May it be one of several? Its headers can be read in place then. */
static bool nsdm_gro_ok(const struct nsdm_rxq *q, struct sk_buff *skb)
{
	const u8 flags = NSDM_PKT_TCP | NSDM_PKT_PLAIN;
	const struct nsdm_cb *cb = NSDM_CB(skb);

	if ((cb->flags & (flags | NSDM_PKT_CORRUPT)) != flags ||
	    skb->len <= cb->hdr_len ||
	    cb->hdr_len + nsdm_gro_size(skb) >
	    READ_ONCE(q->nd->dev->mtu) + ETH_HLEN ||
	    !pskb_may_pull(skb, cb->hdr_len))
		return false;
	return !(tcp_flag_word(nsdm_gro_tcp(skb)) &
		 (TCP_FLAG_SYN | TCP_FLAG_RST | TCP_FLAG_URG)) &&
	       nsdm_csum_good(skb, cb);
}

/* Nothing may follow it, or only what is apart. @left: payload of its last
 * segment that makes no whole one.
 */
static bool nsdm_gro_last(const struct sk_buff *skb, unsigned int left)
{
	return left || tcp_flag_word(nsdm_gro_tcp(skb)) &
		       (TCP_FLAG_PSH | TCP_FLAG_FIN);
}

/* Do its segments have one IP id, where they have DF? */
static bool nsdm_gro_fixed_id(const struct sk_buff *skb)
{
	return skb_is_gso(skb) &&
	       skb_shinfo(skb)->gso_type & SKB_GSO_TCP_FIXEDID;
}

static bool nsdm_gro_same_ip(struct nsdm_gro *gro, const struct sk_buff *first,
			     const struct sk_buff *skb)
{
	const struct iphdr *a = nsdm_gro_ip(first), *b = nsdm_gro_ip(skb);
	u16 ids = ntohs(b->id) - ntohs(a->id);

	if (a->ttl != b->ttl || a->tos != b->tos ||
	    (a->frag_off ^ b->frag_off) & htons(IP_DF))
		return false;
	if (gro->segs == 1)
		gro->fixed_id = !ids && b->frag_off & htons(IP_DF);
	if (skb_is_gso(skb) && nsdm_gro_fixed_id(skb) != gro->fixed_id)
		return false;
	return ids == (gro->fixed_id ? 0 : gro->segs);
}

static bool nsdm_gro_same_ipv6(const struct sk_buff *first,
			       const struct sk_buff *skb)
{
	const struct ipv6hdr *a = nsdm_gro_ipv6(first);
	const struct ipv6hdr *b = nsdm_gro_ipv6(skb);

	return a->hop_limit == b->hop_limit &&
	       *(const __be32 *)a == *(const __be32 *)b;
}

static bool nsdm_gro_same_tcp(const struct sk_buff *first,
			      const struct sk_buff *skb)
{
	const __be32 ignored = TCP_FLAG_CWR | TCP_FLAG_PSH | TCP_FLAG_FIN;
	const struct tcphdr *a = nsdm_gro_tcp(first), *b = nsdm_gro_tcp(skb);

	return a->ack_seq == b->ack_seq &&
	       !((tcp_flag_word(a) ^ tcp_flag_word(b)) & ~ignored) &&
	       !memcmp(a + 1, b + 1, a->doff * 4 - sizeof(*a));
}

/* How long may it become, from the IP header on? What comes in one super-packet may
 * be longer already.
 */
static unsigned int nsdm_gro_len_max(const struct nsdm_rxq *q,
				     const struct sk_buff *skb)
{
	return min(NSDM_GRO_LEN_MAX,
		   netif_get_gro_max_size(q->nd->dev, skb) - 1);
}

/* Does @skb, of the same connection, continue what is there? */
static bool nsdm_gro_continues(const struct nsdm_rxq *q, struct nsdm_gro *gro,
			       const struct sk_buff *skb)
{
	const struct sk_buff *first = skb_peek(&gro->packets);
	const struct nsdm_cb *cb = NSDM_CB(skb);
	unsigned int len = skb->len - cb->hdr_len;

	if (NSDM_CB(first)->hdr_len != cb->hdr_len ||
	    first->vlan_all != skb->vlan_all ||
	    memcmp(first->data, skb->data, ETH_HLEN) ||
	    !nsdm_gro_same_tcp(first, skb))
		return false;
	if (nsdm_gro_tcp(skb)->cwr ||
	    ntohl(nsdm_gro_tcp(skb)->seq) !=
	    ntohl(nsdm_gro_tcp(first)->seq) + gro->len)
		return false;
	if (skb_is_gso(skb) ? nsdm_gro_size(skb) != gro->size : len > gro->size)
		return false;
	if (cb->hdr_len - ETH_HLEN + gro->len + len > nsdm_gro_len_max(q, skb))
		return false;
	return cb->key.family == AF_INET ? nsdm_gro_same_ip(gro, first, skb) :
					   nsdm_gro_same_ipv6(first, skb);
}

static void nsdm_gro_add(struct nsdm_gro *gro, struct sk_buff *skb)
{
	if (skb_queue_empty(&gro->packets)) {
		gro->size = nsdm_gro_size(skb);
		gro->len = 0;
		gro->segs = 0;
		gro->fixed_id = nsdm_gro_fixed_id(skb);
	}
	gro->len += skb->len - NSDM_CB(skb)->hdr_len;
	gro->segs += nsdm_wire_packets(skb);
	__skb_queue_tail(&gro->packets, skb);
}

/* The headers of @super, which are those of the first packet, become those of
 * all. As TSO has it, TCP's checksum is that of the pseudo header alone.
 */
static void nsdm_gro_headers(struct sk_buff *super, const struct nsdm_gro *gro)
{
	struct nsdm_cb *cb = NSDM_CB(super);
	struct tcphdr *th = nsdm_gro_tcp(super);
	struct ipv6hdr *ip6;
	struct iphdr *ip;

	cb->l4_len = cb->hdr_len - cb->l4_off + gro->len;
	tcp_flag_word(th) |= tcp_flag_word(nsdm_gro_tcp(skb_peek_tail(&gro->packets))) &
			     (TCP_FLAG_PSH | TCP_FLAG_FIN);
	if (cb->key.family == AF_INET) {
		ip = nsdm_gro_ip(super);
		ip->tot_len = htons(sizeof(*ip) + cb->l4_len);
		ip->check = 0;
		ip->check = ip_fast_csum(ip, ip->ihl);
		th->check = ~tcp_v4_check(cb->l4_len, ip->saddr, ip->daddr, 0);
	} else {
		ip6 = nsdm_gro_ipv6(super);
		ip6->payload_len = htons(cb->l4_len);
		th->check = ~tcp_v6_check(cb->l4_len, &ip6->saddr, &ip6->daddr,
					  0);
	}
}

/* What the sender's stack says of a super-packet that is for TSO. */
static void nsdm_gro_describe(struct sk_buff *super, const struct nsdm_gro *gro,
			      const struct sk_buff *first)
{
	struct skb_shared_info *shinfo = skb_shinfo(super);

	super->protocol = first->protocol;
	__vlan_hwaccel_copy_tag(super, first);
	skb_copy_hash(super, first);
	skb_reset_mac_header(super);
	skb_set_network_header(super, ETH_HLEN);
	skb_set_transport_header(super, NSDM_CB(super)->l4_off);
	super->ip_summed = CHECKSUM_PARTIAL;
	super->csum_start = super->transport_header;
	super->csum_offset = offsetof(struct tcphdr, check);

	shinfo->gso_size = gro->size;
	shinfo->gso_segs = gro->segs;
	shinfo->gso_type = NSDM_CB(super)->key.family == AF_INET ?
			   SKB_GSO_TCPV4 : SKB_GSO_TCPV6;
	if (gro->fixed_id)
		shinfo->gso_type |= SKB_GSO_TCP_FIXEDID;
	if (nsdm_gro_tcp(super)->cwr)
		shinfo->gso_type |= SKB_GSO_TCP_ECN;
}

/* The packets, of which there are two at least, as one. NULL: no memory. */
static struct sk_buff *nsdm_gro_super(struct nsdm_gro *gro)
{
	struct sk_buff *first = skb_peek(&gro->packets), *skb, **last;
	unsigned int hdr_len = NSDM_CB(first)->hdr_len;
	struct sk_buff *super;

	super = alloc_skb(NET_IP_ALIGN + hdr_len, GFP_ATOMIC | __GFP_NOWARN);
	if (unlikely(!super))
		return NULL;
	skb_reserve(super, NET_IP_ALIGN);
	skb_put_data(super, first->data, hdr_len);
	*NSDM_CB(super) = *NSDM_CB(first);
	nsdm_gro_headers(super, gro);
	nsdm_gro_describe(super, gro, first);

	last = &skb_shinfo(super)->frag_list;
	while ((skb = __skb_dequeue(&gro->packets))) {
		__skb_pull(skb, hdr_len);
		super->len += skb->len;
		super->data_len += skb->len;
		super->truesize += skb->truesize;
		*last = skb;
		last = &skb->next;
	}
	return super;
}

static void nsdm_gro_flush(struct nsdm_rxq *q, struct nsdm_gro *gro)
{
	struct sk_buff *super = NULL, *skb;

	if (skb_queue_len(&gro->packets) > 1)
		super = nsdm_gro_super(gro);
	if (super)
		nsdm_rx(q, super);
	else
		while ((skb = __skb_dequeue(&gro->packets)))
			nsdm_rx(q, skb);
}

void nsdm_gro_flush_all(struct nsdm_rxq *q)
{
	unsigned int i;

	for (i = 0; i < NSDM_GRO_CONTEXTS; i++)
		nsdm_gro_flush(q, &q->gro[i]);
}

static struct nsdm_gro *nsdm_gro_find(struct nsdm_rxq *q,
				      const struct devmem_flow_key *key)
{
	const struct sk_buff *first;
	unsigned int i;

	for (i = 0; i < NSDM_GRO_CONTEXTS; i++) {
		first = skb_peek(&q->gro[i].packets);
		if (first && !memcmp(&NSDM_CB(first)->key, key, sizeof(*key)))
			return &q->gro[i];
	}
	return NULL;
}

/* A free context; if there is none, one is made so, each in its turn. */
static struct nsdm_gro *nsdm_gro_get(struct nsdm_rxq *q)
{
	struct nsdm_gro *gro;
	unsigned int i;

	for (i = 0; i < NSDM_GRO_CONTEXTS; i++)
		if (skb_queue_empty(&q->gro[i].packets))
			return &q->gro[i];
	gro = &q->gro[q->gro_turn++ % NSDM_GRO_CONTEXTS];
	nsdm_gro_flush(q, gro);
	return gro;
}

/* Receive @skb, now or with others before nsdm_gro_flush_all(). NAPI context,
 * RCU read side.
 */
void nsdm_gro_rx(struct nsdm_rxq *q, struct sk_buff *skb)
{
	const struct nsdm_cb *cb = NSDM_CB(skb);
	struct nsdm_gro *gro;

	if (!(cb->flags & NSDM_PKT_TCP)) {
		/* a fragment, say, of a connection that we cannot tell */
		if (!(cb->flags & NSDM_PKT_UDP))
			nsdm_gro_flush_all(q);
		nsdm_rx(q, skb);
		return;
	}

	gro = nsdm_gro_find(q, &cb->key);
	if (!nsdm_gro_ok(q, skb)) {
		if (gro)
			nsdm_gro_flush(q, gro);
		nsdm_rx(q, skb);
		return;
	}
	if (gro && nsdm_gro_continues(q, gro, skb)) {
		nsdm_gro_add(gro, skb);
		if (nsdm_gro_last(skb, gro->len % gro->size))
			nsdm_gro_flush(q, gro);
		return;
	}
	if (gro)
		nsdm_gro_flush(q, gro);
	if (nsdm_gro_last(skb, (skb->len - cb->hdr_len) % nsdm_gro_size(skb))) {
		nsdm_rx(q, skb);
		return;
	}
	nsdm_gro_add(gro ?: nsdm_gro_get(q), skb);
}

void nsdm_gro_init(struct nsdm_rxq *q)
{
	unsigned int i;

	for (i = 0; i < NSDM_GRO_CONTEXTS; i++)
		__skb_queue_head_init(&q->gro[i].packets);
}
