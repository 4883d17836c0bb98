// SPDX-License-Identifier: GPL-2.0
/*
 * Merging: what waits to be one packet. Placed packets that continue each other
 * within one poll go up the stack as one, for the way up costs the same for a
 * segment as for a hundred; the kernel's own GRO leaves packets with a frag_list
 * alone. Owns each flow's held packet, and decides when it goes to the stack.
 * Must not know how payload rides in a packet, nor where it lies.
 *
 * Two packets become one by GRO's rules: same Ethernet header, VLAN tag, TTL or
 * hop limit, TOS or traffic class, flow label and DF; sequence numbers that
 * follow each other; same acknowledgment, window, options and TCP flags, but that
 * only the last may have FIN; segments of one size, but that the last may be
 * shorter. So no CE mark is lost, nor what the peer says of ours: CWR and ECE must
 * be the same, for with accurate ECN they are a number. SYN, RST, URG, fragments
 * and IP options are not placed to begin with.
 *
 * Two of GRO's rules are not needed here, since nobody will ever cut such a packet
 * into segments again: it cannot be forwarded, nor segmented, and retransmissions are
 * the peer's. IP ids need not ascend: nothing above IP sees the id of a packet
 * that is no fragment. PSH may stand in the middle: GRO has it end a packet so
 * that nothing waits, and here nothing waits past the poll anyway; senders set it
 * at the end of each super-packet, of which several shall become one.
 */
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/unaligned.h>
#include <net/dst.h>
#include <net/ip.h>
#include <net/ip6_fib.h>
#include <net/tcp.h>

#include "devmem.h"

/* What a packet may have that its neighbours do not. */
#define DEVMEM_MERGE_FLAGS	(TCP_FLAG_PSH | TCP_FLAG_FIN)

/* What each segment of the short way goes through is inline: called, it cost 5 % of
 * all that a segment of 1,448 bytes does.
 */
#define DEVMEM_DIFF(type, a, b, off)					\
	(get_unaligned((const type *)((a) + (off))) ^			\
	 get_unaligned((const type *)((b) + (off))))

static __always_inline bool devmem_merge_same_mac(const u8 *a, const u8 *b)
{
	BUILD_BUG_ON(ETH_HLEN != 14);
	return !(DEVMEM_DIFF(u64, a, b, 0) | DEVMEM_DIFF(u64, a, b, ETH_HLEN - 8));
}

/* Are two IP headers the same, but for what differs from packet to packet of a
 * connection: length, and with IPv4 id and checksum?
 */
static __always_inline bool devmem_merge_same_ip(const u8 *a, const u8 *b, bool ipv4)
{
	if (ipv4)
		return !(DEVMEM_DIFF(u16, a, b, 0) |
			 DEVMEM_DIFF(u32, a, b, offsetof(struct iphdr, frag_off)) |
			 DEVMEM_DIFF(u64, a, b, offsetof(struct iphdr, saddr)));

	return !(DEVMEM_DIFF(u32, a, b, 0) |
		 DEVMEM_DIFF(u16, a, b, offsetof(struct ipv6hdr, nexthdr)) |
		 DEVMEM_DIFF(u64, a, b, offsetof(struct ipv6hdr, saddr)) |
		 DEVMEM_DIFF(u64, a, b, offsetof(struct ipv6hdr, saddr) + 8) |
		 DEVMEM_DIFF(u64, a, b, offsetof(struct ipv6hdr, daddr)) |
		 DEVMEM_DIFF(u64, a, b, offsetof(struct ipv6hdr, daddr) + 8));
}

/* Are two TCP headers of @len bytes the same, but for sequence number, checksum and
 * the flags that may differ?
 */
static __always_inline bool devmem_merge_same_tcp(const u8 *a, const u8 *b, unsigned int len)
{
	u32 diff;

	diff = DEVMEM_DIFF(u32, a, b, offsetof(struct tcphdr, source)) |
	       DEVMEM_DIFF(u32, a, b, offsetof(struct tcphdr, ack_seq)) |
	       (DEVMEM_DIFF(u32, a, b, offsetof(struct tcphdr, ack_seq) + 4) &
		~(__force u32)DEVMEM_MERGE_FLAGS);
	while (len > sizeof(struct tcphdr)) {
		len -= 4;
		diff |= DEVMEM_DIFF(u32, a, b, len);
	}
	return !diff;
}

static u32 devmem_merge_segs(const struct sk_buff *skb)
{
	return max_t(u32, skb_shinfo(skb)->gso_segs, 1);
}

/* May @skb, headers of a packet that may be placed, with @len bytes of payload,
 * become part of what the flow holds?
 */
bool devmem_merge_continues(const struct devmem_flow *flow,
			    const struct sk_buff *skb, unsigned int len)
{
	const struct devmem_held *held = &flow->held;
	const struct sk_buff *first = held->skb;
	const struct tcphdr *th = tcp_hdr(skb);

	if (!first || len > held->room || ntohl(th->seq) != held->seq ||
	    held->segs + devmem_merge_segs(skb) > U16_MAX)
		return false;
	if (skb_is_gso(skb) ? skb_shinfo(skb)->gso_size != held->size :
			      len > held->size)
		return false;
	return tcp_hdrlen(first) == tcp_hdrlen(skb) &&
	       devmem_merge_same_tcp(skb_transport_header(first),
				     skb_transport_header(skb), tcp_hdrlen(skb)) &&
	       devmem_merge_same_ip(skb_network_header(first), skb_network_header(skb),
				    flow->key.family == AF_INET) &&
	       first->vlan_all == skb->vlan_all &&
	       devmem_merge_same_mac(skb_mac_header(first), skb_mac_header(skb));
}

/* Is this the end: will nothing continue a packet that ends like this? */
static bool devmem_merge_ends(const struct devmem_held *held,
			      const struct sk_buff *skb, unsigned int len)
{
	if (tcp_hdr(skb)->fin)
		return true;
	return skb_is_gso(skb) ? len % held->size : len != held->size;
}

/* @len bytes in @segs segments are with the held packet now; so are the flags. */
static void devmem_merge_add(struct devmem_held *held, __be32 flags, u32 len,
			     u32 segs, bool ends)
{
	tcp_flag_word(tcp_hdr(held->skb)) |= flags & DEVMEM_MERGE_FLAGS;
	held->seq += len;
	held->segs += segs;
	held->room = ends ? 0 : held->room - len;
	held->joined = true;
}

/* The payload of @skb is with the held packet now. */
void devmem_merge_join(struct devmem_flow *flow, const struct sk_buff *skb,
		       unsigned int len)
{
	struct devmem_held *held = &flow->held;

	devmem_merge_add(held, tcp_flag_word(tcp_hdr(skb)), len,
			 devmem_merge_segs(skb), devmem_merge_ends(held, skb, len));
}

/* Is @hdr, as it came from the wire, the headers of one segment with @len bytes of
 * payload that may become part of what the flow holds? All that was found of the
 * first packet's headers when it was placed is true of these, then.
 */
bool devmem_merge_fits(const struct devmem_flow *flow, const void *hdr,
		       unsigned int hdr_len, unsigned int len)
{
	const struct devmem_held *held = &flow->held;
	bool ipv4 = flow->key.family == AF_INET;
	unsigned int tcp_off, l3_len;
	const u8 *first, *b = hdr;

	if (!held->skb || hdr_len != held->hdr_len || len > held->size ||
	    len > held->room || !len || held->segs >= U16_MAX)
		return false;

	first = skb_mac_header(held->skb);
	tcp_off = ETH_HLEN + (ipv4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr));
	l3_len = get_unaligned_be16(b + ETH_HLEN +
				    (ipv4 ? offsetof(struct iphdr, tot_len) :
					    offsetof(struct ipv6hdr, payload_len)));
	if (l3_len != hdr_len + len - (ipv4 ? ETH_HLEN : tcp_off) ||
	    get_unaligned_be32(b + tcp_off + offsetof(struct tcphdr, seq)) != held->seq)
		return false;
	return devmem_merge_same_mac(first, b) &&
	       devmem_merge_same_ip(first + ETH_HLEN, b + ETH_HLEN, ipv4) &&
	       devmem_merge_same_tcp(first + tcp_off, b + tcp_off, hdr_len - tcp_off);
}

/* How long may a packet become, IP header included? As long as one that GRO makes:
 * what is longer than IP can say looks odd to firewalls, and must have been asked for.
 */
u32 devmem_merge_max_len(const struct devmem_flow *flow, const struct sk_buff *skb)
{
	/* there is nobody who keeps it from being 0 */
	u32 limit = max(netif_get_gro_max_size(skb->dev, skb), 1U) - 1;

	if (flow->key.family == AF_INET6 &&
	    !devmem_ipv6_may_be_big(skb->dev, skb_mac_header(skb) - skb->head))
		limit = min_t(u32, limit, sizeof(struct ipv6hdr) + IPV6_MAXPLEN);
	return limit;
}

/* The same where GRO may be off. */
static u32 devmem_merge_limit(const struct devmem_flow *flow,
			      const struct sk_buff *skb)
{
	if (!(READ_ONCE(skb->dev->features) & NETIF_F_GRO))
		return 0;
	return devmem_merge_max_len(flow, skb);
}

/* @skb, just placed, becomes the flow's held packet, without room if it has
 * nothing to wait for.
 */
static void devmem_merge_hold(struct devmem_rx *rx, struct devmem_flow *flow,
			      struct sk_buff *skb)
{
	u32 limit = devmem_merge_limit(flow, skb);
	u32 len = skb->len - skb_network_offset(skb);
	struct devmem_held *held = &flow->held;

	held->skb = skb;
	held->last = rx->tail;
	held->seq = ntohl(tcp_hdr(skb)->seq) + skb->data_len;
	held->size = skb_shinfo(skb)->gso_size ?: skb->data_len;
	held->segs = devmem_merge_segs(skb);
	held->hdr_len = skb_vlan_tag_present(skb) ||
			skb_network_offset(skb) != skb_mac_offset(skb) + ETH_HLEN ?
			0 : skb_headlen(skb) - skb_mac_offset(skb);
	held->grown = 0;
	held->joined = false;
	held->room = limit > len && !devmem_merge_ends(held, skb, skb->data_len) ?
		     min(limit - len, rx->end - held->seq) : 0;

	if (held->next || rx->last == flow)
		return;
	if (rx->last)
		rx->last->held.next = flow;
	else
		rx->first = flow;
	rx->last = flow;
}

/* Lengths and marks are those of all segments. TCP's checksum has been verified
 * for each, and stays that of the first. A packet that came so long needs no more
 * than what IPv6 wants of it.
 */
static void devmem_merge_complete(const struct devmem_flow *flow,
				  struct napi_struct *napi, struct sk_buff *skb)
{
	struct skb_shared_info *shinfo = skb_shinfo(skb);
	u32 len = skb->len - skb_network_offset(skb);

	shinfo->gso_size = flow->held.size;
	shinfo->gso_segs = flow->held.segs;
	if (tcp_hdr(skb)->cwr)
		shinfo->gso_type |= SKB_GSO_TCP_ECN;

	if (flow->key.family == AF_INET) {
		shinfo->gso_type |= SKB_GSO_TCPV4;
		iph_set_totlen(ip_hdr(skb), len);
		ip_send_check(ip_hdr(skb));
		return;
	}
	shinfo->gso_type |= SKB_GSO_TCPV6;
	len -= sizeof(struct ipv6hdr);
	if (len <= IPV6_MAXPLEN)
		ipv6_hdr(skb)->payload_len = htons(len);
	else
		devmem_ipv6_make_big(napi, skb, len);
}

/* What devmem_merge_grow() has added becomes visible in the packet, and is remembered
 * as placed.
 */
void devmem_merge_settle(struct devmem_flow *flow)
{
	struct devmem_held *held = &flow->held;

	if (!held->grown)
		return;
	devmem_frag_extend(held->skb, held->last, held->grown);
	devmem_seq_note(&flow->seq, held->seq - held->grown, held->grown);
	held->grown = 0;
}

/* Segments that the stack makes of a packet would be copies of what nobody can read,
 * under checksums that are right. Marked as of the other family, it has all that TCP
 * wants to know, and whoever wants to segment it gets an error.
 */
static void devmem_merge_seal(const struct devmem_flow *flow, struct sk_buff *skb)
{
	struct skb_shared_info *shinfo = skb_shinfo(skb);

	if (!skb_is_gso(skb))
		return;
	shinfo->gso_type &= ~(SKB_GSO_TCPV4 | SKB_GSO_TCPV6);
	shinfo->gso_type |= flow->key.family == AF_INET ? SKB_GSO_TCPV6 : SKB_GSO_TCPV4;
}

/* Would early demux give the packet this route? IPv6 takes a packet that has one before
 * for one that came in through the device to which the address belongs.
 */
static bool devmem_merge_dst_fits(const struct devmem_flow *flow,
				  const struct dst_entry *dst,
				  const struct net_device *dev)
{
	const struct inet6_dev *idev;

	if (flow->key.family == AF_INET)
		return true;
	idev = ip6_dst_idev(dst);
	return idev && idev->dev == dev;
}

/* The packet is its socket's from here on, whatever becomes of its headers: TCP takes
 * it as it takes one from bpf_sk_assign(). With the socket comes the input route, for
 * early demux, which would have found both, is skipped. False if the socket has gone.
 */
static bool devmem_merge_assign(const struct devmem_flow *flow, struct sk_buff *skb)
{
	struct sock *sk = devmem_flow_get_sk(flow);
	struct dst_entry *dst;

	if (!sk)
		return false;
	skb_orphan(skb);
	skb->sk = sk;
	skb->destructor = sock_pfree;

	dst = rcu_dereference(sk->sk_rx_dst);
	if (dst && devmem_merge_dst_fits(flow, dst, skb->dev) && dst_hold_safe(dst)) {
		skb_dst_set(skb, dst);
		/* or GRO would compare, and not flush what is before it in order */
		skb->slow_gro = 0;
	}
	return true;
}

static void devmem_merge_deliver(struct devmem_flow *flow, struct napi_struct *napi)
{
	struct sk_buff *skb = flow->held.skb;

	if (!skb)
		return;
	devmem_merge_settle(flow);
	flow->held.skb = NULL;
	if (!devmem_merge_assign(flow, skb)) {
		kfree_skb(skb);
		return;
	}
	if (flow->held.joined || skb->len > IP_MAX_MTU)
		devmem_merge_complete(flow, napi, skb);
	devmem_merge_seal(flow, skb);
	napi_gro_receive(napi, skb);
}

/* @len bytes behind headers that fit continue the last piece of the held packet. */
void devmem_merge_grow(struct devmem_flow *flow, struct napi_struct *napi,
		       const void *hdr, unsigned int len)
{
	struct devmem_held *held = &flow->held;
	const struct tcphdr *th;

	th = hdr + held->hdr_len - tcp_hdrlen(held->skb);
	devmem_merge_add(held, tcp_flag_word(th), len, 1, th->fin || len != held->size);
	held->grown += len;
	if (held->room < held->size)
		devmem_merge_deliver(flow, napi);
}

static void devmem_merge_flush(struct devmem_rx *rx, struct napi_struct *napi)
{
	struct devmem_flow *flow;

	while ((flow = rx->first)) {
		rx->first = flow->held.next;
		flow->held.next = NULL;
		devmem_merge_deliver(flow, napi);
	}
	rx->last = NULL;
}

void devmem_rx_flush(struct devmem_rx *rx, struct napi_struct *napi)
{
	devmem_merge_flush(rx, napi);
	rx->poll++;
}
EXPORT_SYMBOL_GPL(devmem_rx_flush);

/* A packet that was not placed may be of any flow: an acknowledgment, a reset,
 * one for host memory. All that is held goes before it.
 */
struct sk_buff *devmem_rx_receive(struct devmem_rx *rx, struct napi_struct *napi,
				  struct sk_buff *skb)
{
	struct devmem_flow *flow = rx->placed;

	if (!flow) {
		devmem_merge_flush(rx, napi);
		napi_gro_receive(napi, skb);
		return NULL;
	}

	rx->placed = NULL;
	if (!rx->joins) {
		devmem_merge_deliver(flow, napi);
		devmem_merge_hold(rx, flow, skb);
		skb = NULL;
	}
	if (flow->held.room < flow->held.size)
		devmem_merge_deliver(flow, napi);
	return skb;
}
EXPORT_SYMBOL_GPL(devmem_rx_receive);
