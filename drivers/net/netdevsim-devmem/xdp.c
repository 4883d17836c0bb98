// SPDX-License-Identifier: GPL-2.0
/*
 * XDP: a program that sees each packet before the stack does. Owns the program,
 * the memory that a packet is received into while there is one, what becomes of
 * the packet then, and the frames that other devices redirect to this one. Knows
 * nothing of what is in a packet.
 *
 * The program is the device's: all rx queues run it. It wants a packet in memory
 * that it may read and write, headers and payload together. So there is none
 * while a queue serves device memory, nor together with header split: what
 * ethtool has switched on stays on, and keeps a program away; what was left to
 * the driver is off for as long as the program is there.
 *
 * A packet is received like any other, but into whole pages of the queue's pool:
 * one with room for the program before the packet and for skb_shared_info behind
 * it, and more for what does not fit in there. Hardware GRO is off, for a program
 * sees packets as they are on the wire.
 */
#include <linux/bpf_trace.h>
#include <linux/etherdevice.h>
#include <linux/filter.h>
#include <linux/if_vlan.h>
#include <linux/rtnetlink.h>
#include <net/page_pool/helpers.h>
#include <net/xdp.h>

#include "nsdm.h"

/* Before the packet: room for the program, and for a VLAN's tag. */
#define NSDM_XDP_HEADROOM	ALIGN(XDP_PACKET_HEADROOM + VLAN_HLEN, 8)

/* The longest packet that fits in one page. */
#define NSDM_XDP_LEN		(SKB_WITH_OVERHEAD(PAGE_SIZE) -		\
				 NSDM_XDP_HEADROOM)
#define NSDM_XDP_MTU		(NSDM_XDP_LEN - ETH_HLEN - VLAN_HLEN)

/* Would @len bytes be in more pieces than the program knows of? */
bool nsdm_xdp_too_long(const struct bpf_prog *prog, unsigned int len)
{
	return !prog->aux->xdp_has_frags && len > NSDM_XDP_LEN;
}

/* From now on no queue can be bound. */
static int nsdm_xdp_claim(struct nsdm *nd, struct netlink_ext_ack *extack)
{
	int bound;

	mutex_lock(&nd->claim);
	bound = nsdm_pool_bound(nd, 0);
	if (bound < 0)
		nd->xdp = true;
	else
		NL_SET_ERR_MSG_FMT_MOD(extack,
				       "queue %d is bound: no XDP program",
				       bound);
	mutex_unlock(&nd->claim);
	return bound < 0 ? 0 : -EBUSY;
}

static void nsdm_xdp_unclaim(struct nsdm *nd)
{
	mutex_lock(&nd->claim);
	nd->xdp = false;
	mutex_unlock(&nd->claim);
}

/* Install @prog, or none. Each packet is for the old one or for the new one.
 * Hardware GRO goes before the first comes, and comes when the last has gone.
 */
static int nsdm_xdp_set(struct nsdm *nd, struct bpf_prog *prog,
			struct netlink_ext_ack *extack)
{
	struct net_device *dev = nd->dev;
	struct bpf_prog *old;
	int err;

	devmem_assert_settings_locked(dev);

	if (prog && !prog->aux->xdp_has_frags && dev->mtu > NSDM_XDP_MTU) {
		NL_SET_ERR_MSG_FMT_MOD(extack,
				       "MTU %u: an XDP program without fragments takes %lu at most",
				       dev->mtu, NSDM_XDP_MTU);
		return -EOPNOTSUPP;
	}
	if (prog && nd->rx_buf_len != PAGE_SIZE) {
		NL_SET_ERR_MSG_FMT_MOD(extack,
				       "rx-buf-len is %u, not %lu: no XDP program",
				       nd->rx_buf_len, PAGE_SIZE);
		return -EBUSY;
	}
	if (prog && nd->split && !nd->split_auto) {
		NL_SET_ERR_MSG_MOD(extack,
				   "tcp-data-split is on, turn it off: no XDP program");
		return -EBUSY;
	}
	if (prog) {
		err = nsdm_xdp_claim(nd, extack);
		if (err)
			return err;
		netdev_update_features(dev);
	}

	old = devmem_settings_dereference(dev, nd->xdp_prog);
	rcu_assign_pointer(nd->xdp_prog, prog);
	if (old)
		bpf_prog_put(old);	/* which waits for who runs it */
	WRITE_ONCE(dev->max_mtu, prog && !prog->aux->xdp_has_frags ?
				 NSDM_XDP_MTU : ETH_MAX_MTU);
	if (!prog) {
		nsdm_xdp_unclaim(nd);
		netdev_update_features(dev);
	}
	return 0;
}

int nsdm_xdp(struct net_device *dev, struct netdev_bpf *bpf)
{
	switch (bpf->command) {
	case XDP_SETUP_PROG:
		return nsdm_xdp_set(netdev_priv(dev), bpf->prog, bpf->extack);
	default:
		return -EINVAL;
	}
}

/* The whole packet on the wire in memory that a program can work in. NAPI
 * context.
 */
struct sk_buff *nsdm_xdp_receive(struct nsdm_rxq *q, const struct sk_buff *wire)
{
	unsigned int len = min_t(unsigned int, wire->len, NSDM_XDP_LEN);
	netmem_ref netmem = nsdm_pool_page(q);
	struct sk_buff *skb = NULL;
	unsigned int off;
	int i;

	if (unlikely(!netmem))
		return NULL;
	if (likely(nsdm_dma_write_pool(&q->mem, netmem, NSDM_XDP_HEADROOM,
				       wire, 0, len)))
		skb = napi_build_skb(page_address(netmem_to_page(netmem)),
				     PAGE_SIZE);
	if (unlikely(!skb)) {
		page_pool_put_full_netmem(q->mem.pool, netmem, true);
		return NULL;
	}
	skb_mark_for_recycle(skb);
	skb_reserve(skb, NSDM_XDP_HEADROOM);
	__skb_put(skb, len);

	for (i = 0, off = len; off < wire->len; i++, off += len) {
		netmem = i < MAX_SKB_FRAGS ? nsdm_pool_page(q) : 0;
		if (unlikely(!netmem))
			goto err_skb;
		len = min_t(unsigned int, wire->len - off, PAGE_SIZE);
		skb_add_rx_frag_netmem(skb, i, netmem, 0, len, PAGE_SIZE);
		if (unlikely(!nsdm_dma_write_pool(&q->mem, netmem, 0, wire,
						  off, len)))
			goto err_skb;
	}
	return skb;

err_skb:
	kfree_skb(skb);
	return NULL;
}

static void nsdm_xdp_prepare(struct nsdm_rxq *q, struct sk_buff *skb,
			     struct xdp_buff *xdp)
{
	skb_push(skb, skb->data - skb_mac_header(skb));
	xdp_init_buff(xdp, PAGE_SIZE, &q->xdp_rxq);
	xdp_prepare_buff(xdp, skb->head, skb_headroom(skb), skb_headlen(skb),
			 true);
	if (skb_is_nonlinear(skb)) {
		skb_shinfo(skb)->xdp_frags_size = skb->data_len;
		xdp_buff_set_frags_flag(xdp);
	}
}

/* The packet as the program leaves it. It may have given back some of its
 * @nr_frags fragments.
 */
static void nsdm_xdp_update(struct sk_buff *skb, struct xdp_buff *xdp,
			    unsigned int nr_frags)
{
	unsigned int headlen = xdp->data_end - xdp->data;

	skb->data_len = 0;
	if (xdp_buff_has_frags(xdp)) {
		skb->data_len = skb_shinfo(skb)->xdp_frags_size;
		nr_frags -= skb_shinfo(skb)->nr_frags;
	}
	skb->truesize -= nr_frags * PAGE_SIZE;
	skb->data = xdp->data;
	skb->len = headlen + skb->data_len;
	skb_set_tail_pointer(skb, headlen);
	skb_reset_mac_header(skb);
}

/* Up to the stack. What the hardware has found out of the checksum is true of a
 * packet that begins and ends where it did; that its bytes are right is then the
 * program's affair, as with other drivers.
 */
static void nsdm_xdp_pass(struct nsdm_rxq *q, struct sk_buff *skb,
			  struct xdp_buff *xdp, unsigned int nr_frags)
{
	const unsigned char *data = skb->data;
	unsigned int len = skb->len;

	nsdm_xdp_update(skb, xdp, nr_frags);
	if (skb->data != data || skb->len != len)
		skb->ip_summed = CHECKSUM_NONE;
	if (xdp->data > xdp->data_meta)
		skb_metadata_set(skb, xdp->data - xdp->data_meta);
	skb->pkt_type = PACKET_HOST;
	skb->protocol = eth_type_trans(skb, q->nd->dev);
	skb_reset_network_header(skb);
}

/* Does a tx queue that the caller has locked take anything now? Who goes up or
 * down has no carrier from before to after the queues are reset; whether they
 * are stopped then is not to be relied on, for the far end wakes them.
 */
static bool nsdm_xdp_can_send(const struct net_device *dev, u32 index)
{
	return netif_carrier_ok(dev) &&
	       !netif_xmit_frozen_or_drv_stopped(netdev_get_tx_queue(dev, index));
}

/* Transmit @skb, whose data begins at the MAC header, on such a queue. */
static void nsdm_xdp_send(struct net_device *dev, u32 index,
			  struct sk_buff *skb)
{
	skb_set_queue_mapping(skb, index);
	skb->protocol = ((struct ethhdr *)skb->data)->h_proto;
	nsdm_start_xmit(skb, dev);
}

/* Back to where the packet came from. A tag that was taken off it does not
 * belong to what the program has seen.
 */
static bool nsdm_xdp_tx(struct nsdm_rxq *q, struct sk_buff *skb,
			struct xdp_buff *xdp, unsigned int nr_frags)
{
	struct net_device *dev = q->nd->dev;
	u32 index = q->index % READ_ONCE(dev->real_num_tx_queues);
	struct netdev_queue *txq = netdev_get_tx_queue(dev, index);
	bool can;

	nsdm_xdp_update(skb, xdp, nr_frags);
	skb->ip_summed = CHECKSUM_NONE;
	__vlan_hwaccel_clear_tag(skb);
	__netif_tx_lock(txq, smp_processor_id());
	can = nsdm_xdp_can_send(dev, index);
	if (likely(can))
		nsdm_xdp_send(dev, index, skb);
	__netif_tx_unlock(txq);
	if (unlikely(!can))
		kfree_skb_reason(skb, SKB_DROP_REASON_XDP);
	return can;
}

/* To another device, another CPU or a socket, which want the memory alone. */
static bool nsdm_xdp_redirect(struct nsdm_rxq *q, struct bpf_prog *prog,
			      struct sk_buff *skb, struct xdp_buff *xdp)
{
	kfree_skb_partial(skb, true);
	if (unlikely(xdp_do_redirect(q->nd->dev, xdp, prog))) {
		xdp_return_buff(xdp);
		return false;
	}
	q->xdp_redirected = true;
	return true;
}

/* Run the program on a packet of nsdm_xdp_receive(). NULL: nothing is left for
 * the stack. NAPI context, RCU read side.
 */
struct sk_buff *nsdm_xdp_run(struct nsdm_rxq *q, struct bpf_prog *prog,
			     struct sk_buff *skb)
{
	unsigned int nr_frags = skb_shinfo(skb)->nr_frags;
	struct net_device *dev = q->nd->dev;
	enum nsdm_rx_stat stat;
	struct xdp_buff xdp;
	bool done;
	u32 act;

	nsdm_xdp_prepare(q, skb, &xdp);
	act = bpf_prog_run_xdp(prog, &xdp);
	switch (act) {
	case XDP_PASS:
		nsdm_xdp_pass(q, skb, &xdp, nr_frags);
		nsdm_rx_count(q, NSDM_RX_XDP_PASS, 1);
		return skb;
	case XDP_TX:
		stat = NSDM_RX_XDP_TX;
		done = nsdm_xdp_tx(q, skb, &xdp, nr_frags);
		break;
	case XDP_REDIRECT:
		stat = NSDM_RX_XDP_REDIRECT;
		done = nsdm_xdp_redirect(q, prog, skb, &xdp);
		break;
	default:
		bpf_warn_invalid_xdp_action(dev, prog, act);
		fallthrough;
	case XDP_ABORTED:
	case XDP_DROP:
		stat = NSDM_RX_XDP_DROP;
		done = act == XDP_DROP;
		nsdm_xdp_update(skb, &xdp, nr_frags);
		kfree_skb_reason(skb, SKB_DROP_REASON_XDP);
		break;
	}
	if (unlikely(!done)) {
		trace_xdp_exception(dev, prog, act);
		stat = NSDM_RX_XDP_ABORTED;
	}
	nsdm_rx_count(q, stat, 1);
	return NULL;
}

/* At the end of a poll. */
void nsdm_xdp_flush(struct nsdm_rxq *q)
{
	if (!q->xdp_redirected)
		return;
	q->xdp_redirected = false;
	xdp_do_flush();
}

/* Frames that others redirect to this device. Returns how many it took. */
int nsdm_xdp_xmit(struct net_device *dev, int n, struct xdp_frame **frames,
		  u32 flags)
{
	struct netdev_queue *txq;
	struct sk_buff *skb;
	u32 index;
	int i;

	if (unlikely(flags & ~XDP_XMIT_FLAGS_MASK))
		return -EINVAL;
	if (unlikely(!netif_carrier_ok(dev)))
		return -ENETDOWN;

	index = smp_processor_id() % READ_ONCE(dev->real_num_tx_queues);
	txq = netdev_get_tx_queue(dev, index);
	__netif_tx_lock(txq, smp_processor_id());
	for (i = 0; i < n; i++) {
		if (!nsdm_xdp_can_send(dev, index))
			break;
		skb = xdp_build_skb_from_frame(frames[i], dev);
		if (unlikely(!skb))
			break;
		__skb_push(skb, ETH_HLEN);
		nsdm_xdp_send(dev, index, skb);
	}
	__netif_tx_unlock(txq);
	return i;
}

/* Frames know the pool that they come from, even when the queue has another. */
int nsdm_xdp_pool_add(struct nsdm_mem *mem)
{
	return xdp_reg_mem_model(&mem->xdp, MEM_TYPE_PAGE_POOL, mem->pool);
}

void nsdm_xdp_pool_del(struct nsdm_mem *mem)
{
	xdp_unreg_mem_model(&mem->xdp);
}

/* The queue receives into q->mem from now on. NAPI is disabled. */
void nsdm_xdp_pool_use(struct nsdm_rxq *q)
{
	q->xdp_rxq.mem = q->mem.xdp;
}

/* What is registered here is a piece of memory, and cannot fail. */
void nsdm_xdp_rxq_init(struct nsdm_rxq *q)
{
	WARN_ON(__xdp_rxq_info_reg(&q->xdp_rxq, q->nd->dev, q->index,
				   q->napi.napi_id, PAGE_SIZE));
}

void nsdm_xdp_rxq_free(struct nsdm_rxq *q)
{
	memset(&q->xdp_rxq.mem, 0, sizeof(q->xdp_rxq.mem));
	xdp_rxq_info_unreg(&q->xdp_rxq);
}
