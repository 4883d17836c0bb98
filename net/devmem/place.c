// SPDX-License-Identifier: GPL-2.0
/*
 * Placing: from a packet's headers and a flow to room in the buffer, and from
 * there to a placed packet. Owns the flow's cursor and the rules that say which
 * packet may be placed. Runs in NAPI; knows nothing of what a chunk looks like
 * in an skb.
 */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <net/dst.h>
#include <net/ip.h>
#include <net/tcp.h>

#include "devmem.h"
#include "trace.h"

/* Does a length field of IP say @len? If it cannot, it must be 0, and the GSO marks
 * must say that this is no single packet.
 */
static bool devmem_place_check_len(const struct sk_buff *skb, __be16 field,
				   unsigned int len)
{
	if (len <= IP_MAX_MTU)
		return ntohs(field) == len;
	return !field && skb_is_gso(skb) && skb_is_gso_tcp(skb);
}

/* The network header says: this flow, TCP right behind it, no fragment, and as
 * long as the driver says.
 */
static bool devmem_place_check_ip(const struct devmem_flow_key *key,
				  const struct sk_buff *skb, unsigned int len)
{
	unsigned int nhoff = skb_network_offset(skb);
	unsigned int l3_len = skb->len - nhoff + len;

	if (key->family == AF_INET) {
		const struct iphdr *iph = ip_hdr(skb);

		return nhoff + sizeof(*iph) <= skb_headlen(skb) &&
		       iph->version == 4 && iph->ihl == 5 &&
		       iph->protocol == IPPROTO_TCP && !ip_is_fragment(iph) &&
		       iph->saddr == key->saddr[0] &&
		       iph->daddr == key->daddr[0] &&
		       devmem_place_check_len(skb, iph->tot_len, l3_len) &&
		       skb_transport_offset(skb) == nhoff + sizeof(*iph);
	} else {
		const struct ipv6hdr *iph = ipv6_hdr(skb);

		return nhoff + sizeof(*iph) <= skb_headlen(skb) &&
		       iph->version == 6 && iph->nexthdr == IPPROTO_TCP &&
		       !memcmp(&iph->saddr, key->saddr, sizeof(key->saddr)) &&
		       !memcmp(&iph->daddr, key->daddr, sizeof(key->daddr)) &&
		       devmem_place_check_len(skb, iph->payload_len,
					      l3_len - sizeof(*iph)) &&
		       skb_transport_offset(skb) == nhoff + sizeof(*iph);
	}
}

/* Plain data of an established connection, verified, with no header but TCP's.
 * Urgent data must stay readable: TCP looks at the urgent byte.
 */
static bool devmem_place_check_tcp(const struct devmem_flow_key *key,
				   const struct sk_buff *skb)
{
	unsigned int thoff = skb_transport_offset(skb);
	const struct tcphdr *th = tcp_hdr(skb);

	return !skb_is_nonlinear(skb) &&
	       thoff + sizeof(*th) <= skb->len &&
	       th->doff >= sizeof(*th) / 4 &&
	       thoff + th->doff * 4 == skb->len &&
	       th->source == key->sport && th->dest == key->dport &&
	       th->ack && !th->syn && !th->rst && !th->urg &&
	       skb->ip_summed == CHECKSUM_UNNECESSARY;
}

/* Will the packet go straight up to this socket? A packet whose payload nobody
 * can read must not be forwarded, redirected or handed to a program. The
 * socket's cached input route is what early demux would trust, too.
 */
static bool devmem_place_check_route(const struct devmem_flow *flow,
				     struct net_device *dev)
{
	const struct sock *sk = flow->sk;
	struct dst_entry *dst;

	if (dev != flow->ddev->netdev ||
	    (rcu_access_pointer(dev->rx_handler) && devmem_route_diverted(dev)) ||
	    rcu_access_pointer(dev->xdp_prog))
		return false;

	dst = rcu_dereference(sk->sk_rx_dst);
	return dst && devmem_route_through(dev, READ_ONCE(sk->sk_rx_dst_ifindex)) &&
	       dst_check(dst, READ_ONCE(sk->sk_rx_dst_cookie));
}

/* Is the flow to be placed at all? */
static bool devmem_place_active(const struct devmem_flow *flow)
{
	return smp_load_acquire(&flow->armed) &&	/* (A) */
	       READ_ONCE(flow->binding->state) == NETDEV_DEVMEM_STATE_ACTIVE;
}

/* Has a packet that may not be placed an urgent pointer? */
static bool devmem_place_urgent(const struct sk_buff *skb)
{
	return skb_transport_offset(skb) + sizeof(struct tcphdr) <= skb_headlen(skb) &&
	       tcp_hdr(skb)->urg;
}

/* Would TCP take the payload now, and has it not been placed before? What may continue
 * it is to end at @rx->end. The socket is not locked: TCP may be further by now, or have
 * packets in its backlog. Window and its beginning are two words: one old and one new,
 * they give an edge between the two that TCP has told the peer. And snd_nxt is moved
 * when the packet has left, whose acknowledgment may be quicker: write_seq says what the
 * peer may have got.
 */
static int devmem_place_check_seq(struct devmem_flow *flow, const struct tcphdr *th,
				  unsigned int len, struct devmem_rx *rx)
{
	const struct tcp_sock *tp = tcp_sk(flow->sk);
	const struct devmem_seq_now now = {
		.poll = rx->poll,
		.rcv_nxt = READ_ONCE(tp->rcv_nxt),
		.rcv_edge = READ_ONCE(tp->rcv_wup) + READ_ONCE(tp->rcv_wnd),
		.snd_una = READ_ONCE(tp->snd_una),
		.snd_end = READ_ONCE(tp->write_seq),
		.max_window = READ_ONCE(tp->max_window),
	};

	return devmem_seq_check(&flow->seq, &now, ntohl(th->seq), len,
				ntohl(th->ack_seq), &rx->end);
}

static int devmem_place_check(struct devmem_flow *flow, const struct sk_buff *skb,
			      unsigned int len, struct devmem_rx *rx)
{
	int err;

	if (!devmem_place_active(flow))
		return -ESHUTDOWN;
	if (!len || !devmem_place_check_tcp(&flow->key, skb) ||
	    !devmem_place_check_ip(&flow->key, skb, len) ||
	    !devmem_urgent_ignored(flow->sk))
		return -EPROTO;
	if (!devmem_place_check_route(flow, skb->dev))
		return -EHOSTUNREACH;
	err = devmem_place_check_seq(flow, tcp_hdr(skb), len, rx);
	if (err)
		return err;
	len += skb->len - skb_network_offset(skb);
	if (skb_is_gso(skb) && len > min(devmem_merge_max_len(flow, skb), DEVMEM_RX_MAX_LEN))
		return -EMSGSIZE;
	return 0;
}

void devmem_rx_skip(struct devmem_flow *flow, unsigned int len, int err)
{
	struct devmem_binding *binding = flow->binding;

	WRITE_ONCE(flow->fallback_bytes, flow->fallback_bytes + len);
	this_cpu_inc(binding->stats->fallback_packets);
	this_cpu_add(binding->stats->fallback_bytes, len);
	switch (err) {
	case -ENOBUFS:
		this_cpu_inc(binding->stats->fallback_exhausted);
		break;
	case -ENOMEM:
		this_cpu_inc(binding->stats->fallback_nomem);
		break;
	case -EPROTO:
	case -EMSGSIZE:
		this_cpu_inc(binding->stats->fallback_header);
		break;
	case -EHOSTUNREACH:
		this_cpu_inc(binding->stats->fallback_route);
		break;
	case -EALREADY:
		this_cpu_inc(binding->stats->fallback_again);
		break;
	case -ERANGE:
		this_cpu_inc(binding->stats->fallback_sequence);
		break;
	case -EAGAIN:
		this_cpu_inc(binding->stats->fallback_paused);
		break;
	default:
		this_cpu_inc(binding->stats->fallback_inactive);
		break;
	}
	trace_devmem_fallback(flow, len, err);
}
EXPORT_SYMBOL_GPL(devmem_rx_skip);

void devmem_rx_abort(struct devmem_rx *rx)
{
	while (rx->nr_segs) {
		rx->nr_segs--;
		if (!rx->seg[rx->nr_segs].skb)
			continue;
		kfree_skb(rx->seg[rx->nr_segs].skb);
		devmem_chunk_put(rx->seg[rx->nr_segs].chunk);
	}
}
EXPORT_SYMBOL_GPL(devmem_rx_abort);

/* Does the piece at @off of @chunk continue the last one of the flow's held
 * packet? It needs no payload skb then, nor a reference of its own.
 */
static bool devmem_place_extends(const struct devmem_rx *rx,
				 const struct devmem_chunk *chunk, u32 off)
{
	return rx->joins && !rx->nr_segs && chunk &&
	       devmem_frag_ends_at(rx->flow->held.last, chunk, off);
}

/* Lay out @len bytes from the cursor on: through the chunk in which it stands to its
 * end, unless all that was placed there has been given back, then through fresh ones.
 * Each payload skb holds a reference on its chunk.
 */
static int devmem_place_layout(struct devmem_flow *flow, unsigned int len,
			       struct devmem_rx *rx)
{
	struct devmem_binding *binding = flow->binding;
	u32 size = devmem_binding_chunk_size(binding);
	struct devmem_chunk *chunk = flow->chunk;
	u32 n, off = flow->off;

	while (len) {
		bool extends = devmem_place_extends(rx, chunk, off);
		struct sk_buff *payload = NULL;

		if (rx->nr_segs == DEVMEM_RX_MAX_SEGS)
			return -EMSGSIZE;

		if (!extends) {
			payload = devmem_frag_alloc();
			if (!payload)
				return -ENOMEM;
		}

		if (chunk && !extends && !devmem_chunk_get_owned(chunk, flow))
			chunk = NULL;
		if (!chunk) {
			chunk = devmem_chunk_alloc(flow->magazine, flow);
			if (!chunk) {
				kfree_skb(payload);
				return -ENOBUFS;
			}
			off = 0;
		}

		n = min(len, size - off);
		rx->seg[rx->nr_segs].addr = chunk->dma + off;
		rx->seg[rx->nr_segs].len = n;
		rx->seg[rx->nr_segs].chunk = chunk;
		rx->seg[rx->nr_segs].skb = payload;
		rx->seg[rx->nr_segs].off = off;
		rx->nr_segs++;

		len -= n;
		off += n;
		if (off == size)
			chunk = NULL;
	}
	return 0;
}

int devmem_rx_reserve(struct devmem_flow *flow, const struct sk_buff *skb,
		      unsigned int len, struct devmem_rx *rx)
{
	int err;

	rx->flow = flow;
	rx->len = len;
	rx->nr_segs = 0;
	rx->placed = NULL;

	devmem_merge_settle(flow);
	err = devmem_place_check(flow, skb, len, rx);
	if (err == -EPROTO && devmem_place_urgent(skb))
		this_cpu_inc(flow->binding->stats->urg_cleared);
	if (!err) {
		rx->joins = devmem_merge_continues(flow, skb, len);
		err = devmem_place_layout(flow, len, rx);
	}
	if (err)
		devmem_rx_abort(rx);
	return err;
}
EXPORT_SYMBOL_GPL(devmem_rx_reserve);

/* The cursor moves to the end of the last piece, and out of a full chunk. */
static void devmem_place_advance(struct devmem_flow *flow,
				 struct devmem_chunk *chunk, u32 off)
{
	bool full = off == devmem_binding_chunk_size(flow->binding);

	flow->chunk = full ? NULL : chunk;
	flow->off = full ? 0 : off;
}

/* The pieces become part of @skb, whose payload so far ends with @last. Returns
 * what it ends with now.
 */
static struct sk_buff *devmem_place_attach(const struct devmem_rx *rx,
					   struct sk_buff *skb,
					   struct sk_buff *last)
{
	struct devmem_piece piece = { .owner = rx->flow->number };
	unsigned int i;

	for (i = 0; i < rx->nr_segs; i++) {
		if (!rx->seg[i].skb) {
			devmem_frag_extend(skb, last, rx->seg[i].len);
			continue;
		}
		piece.chunk = rx->seg[i].chunk;
		piece.off = rx->seg[i].off;
		piece.len = rx->seg[i].len;
		devmem_frag_attach(skb, last, rx->seg[i].skb, &piece);
		last = rx->seg[i].skb;
	}
	return last;
}

static void devmem_place_count(struct devmem_flow *flow, unsigned int len,
			       unsigned int nr_segs)
{
	WRITE_ONCE(flow->placed_bytes, flow->placed_bytes + len);
	this_cpu_inc(flow->binding->stats->placed_packets);
	this_cpu_add(flow->binding->stats->placed_bytes, len);
	trace_devmem_place(flow, len, nr_segs);
}

void devmem_rx_commit(struct devmem_rx *rx, struct sk_buff *skb)
{
	unsigned int last = rx->nr_segs - 1;
	struct devmem_flow *flow = rx->flow;
	struct devmem_held *held = &flow->held;

	devmem_place_advance(flow, rx->seg[last].chunk,
			     rx->seg[last].off + rx->seg[last].len);
	if (rx->joins) {
		held->last = devmem_place_attach(rx, held->skb, held->last);
		devmem_merge_join(flow, skb, rx->len);
	} else {
		rx->tail = devmem_place_attach(rx, skb, NULL);
	}
	rx->placed = flow;
	devmem_seq_note(&flow->seq, ntohl(tcp_hdr(skb)->seq), rx->len);
	devmem_place_count(flow, rx->len, rx->nr_segs);
	rx->nr_segs = 0;
}
EXPORT_SYMBOL_GPL(devmem_rx_commit);

/* The cursor stands where the held packet ends, and what that fills is in no need
 * of a reference. Where it would fill the chunk, the long way moves the cursor.
 */
bool devmem_rx_continue(struct devmem_rx *rx, struct devmem_flow *flow,
			const void *hdr, unsigned int hdr_len, unsigned int len)
{
	const struct devmem_binding *binding = flow->binding;

	if (!devmem_merge_fits(flow, hdr, hdr_len, len) || !flow->chunk ||
	    len >= devmem_binding_chunk_size(binding) - flow->off ||
	    !devmem_place_active(flow))
		return false;

	rx->flow = flow;
	rx->len = len;
	rx->nr_segs = 1;
	rx->seg[0].addr = flow->chunk->dma + flow->off;
	rx->seg[0].len = len;
	rx->seg[0].skb = NULL;
	return true;
}
EXPORT_SYMBOL_GPL(devmem_rx_continue);

void devmem_rx_extend(struct devmem_rx *rx, struct napi_struct *napi,
		      const void *hdr)
{
	struct devmem_flow *flow = rx->flow;

	flow->off += rx->len;
	devmem_place_count(flow, rx->len, 1);
	rx->nr_segs = 0;
	devmem_merge_grow(flow, napi, hdr, rx->len);
}
EXPORT_SYMBOL_GPL(devmem_rx_extend);
