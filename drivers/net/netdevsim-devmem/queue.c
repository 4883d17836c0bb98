// SPDX-License-Identifier: GPL-2.0
/*
 * Queues: the wire between a tx queue of one end and an rx queue of the other,
 * and the NAPI poll that empties it. Owns when a packet is received and how a
 * full wire holds the sender back. Knows nothing of headers, but for the one that
 * is not on a wire.
 *
 * A wire that is full stops the tx queue that filled it:
 *
 *	ndo_start_xmit				NAPI poll of the far end
 *	  lock(q)				  lock(q)
 *	  (A) append to the wire		  (C) take from the wire
 *	  (B) wire full: stop the tx queue,	  (D) wire half empty: take the
 *	      set its bit in waiters		      bits of waiters
 *	  unlock(q)				  unlock(q)
 *	  schedule the NAPI			  (E) wake those tx queues
 *
 * The lock makes (A)(B) and (C)(D) each one step, so a bit that (B) sets is
 * seen by some later (D): the wire is full then, hence a poll is still to come,
 * and it goes on until the wire is empty. A tx queue is stopped before its bit
 * can be taken, so (E) never comes too early. The device that goes down does (D)
 * and (E) one last time after it has cleared active under the lock; nobody
 * stops for it after that.
 *
 * A wire is full when there is as much on it as the rx ring has room for, or the
 * tx ring of who adds to it. A packet may wait a while for others before the NAPI
 * is scheduled, by a timer then; coalescing, which (C) clears, says that it will
 * be.
 *
 * Each of at most 64 tx queues stops after at most one packet above the limit:
 * the wire is bounded, and no packet is dropped for want of room.
 */
#include <linux/etherdevice.h>
#include <linux/if_vlan.h>
#include <linux/netfilter.h>
#include <net/dst.h>

#include "nsdm.h"

static void nsdm_tx_count(struct nsdm_txq *txq, enum nsdm_tx_stat stat)
{
	u64_stats_update_begin(&txq->stats.syncp);
	u64_stats_inc(&txq->stats.v[stat]);
	u64_stats_update_end(&txq->stats.syncp);
}

/* What there is to count of a packet, before the far end may free it. */
struct nsdm_tx_info {
	unsigned int len;
	unsigned int wire_packets;
	unsigned int wire_bytes;
	bool gso;
	bool needs_csum;
};

static void nsdm_tx_measure(struct nsdm_tx_info *info,
			    const struct sk_buff *skb)
{
	info->len = skb->len;
	info->wire_packets = nsdm_wire_packets(skb);
	info->wire_bytes = nsdm_wire_bytes(skb);
	info->gso = skb_is_gso(skb);
	info->needs_csum = skb->ip_summed == CHECKSUM_PARTIAL;
}

static void nsdm_tx_count_packet(struct nsdm_txq *txq,
				 const struct nsdm_tx_info *info)
{
	u64_stats_t *v = txq->stats.v;

	u64_stats_update_begin(&txq->stats.syncp);
	u64_stats_add(&v[NSDM_TX_PACKETS], info->wire_packets);
	u64_stats_add(&v[NSDM_TX_BYTES], info->wire_bytes);
	u64_stats_add(&v[info->needs_csum ? NSDM_TX_NEEDS_CSUM :
					    NSDM_TX_CSUM_NONE],
		      info->wire_packets);
	if (info->gso) {
		u64_stats_inc(&v[NSDM_TX_GSO_PACKETS]);
		u64_stats_add(&v[NSDM_TX_GSO_BYTES], info->len);
		u64_stats_add(&v[NSDM_TX_GSO_WIRE_PACKETS],
			      info->wire_packets);
		u64_stats_add(&v[NSDM_TX_GSO_WIRE_BYTES], info->wire_bytes);
	}
	u64_stats_update_end(&txq->stats.syncp);
}

/* Byte queue limits: what is on the wire has been sent, what the far end has
 * taken off it is completed. Each time that a device goes up or down its queues
 * begin anew. Packets on the way then are not theirs any more; an epoch that no
 * queue of any device ever had before, in skb->mark, tells which are. (On the
 * wire the mark has no other meaning: the packet that is received is a new one.)
 */
static atomic_t nsdm_bql_epochs = ATOMIC_INIT(0);

void nsdm_txq_init(struct nsdm_txq *txq)
{
	u64_stats_init(&txq->stats.syncp);
	spin_lock_init(&txq->bql_lock);
}

/* Nothing transmits. */
void nsdm_txq_reset(struct nsdm *nd, u32 index)
{
	struct nsdm_txq *txq = &nd->txq[index];

	spin_lock_bh(&txq->bql_lock);
	txq->bql_epoch = atomic_inc_return(&nsdm_bql_epochs);
	netdev_tx_reset_queue(netdev_get_tx_queue(nd->dev, index));
	spin_unlock_bh(&txq->bql_lock);
}

/**
 * struct nsdm_done - packets of one tx queue of the peer that have left the wire
 * @index: the tx queue
 * @epoch: its epoch when they were sent
 * @packets: how many
 * @bytes: of them
 */
struct nsdm_done {
	u16 index;
	u32 epoch;
	unsigned int packets;
	unsigned int bytes;
};

/* RCU read side. */
static void nsdm_done_report(struct nsdm *nd, struct nsdm_done *done)
{
	struct net_device *peer = rcu_dereference(nd->peer);
	struct nsdm_txq *txq;

	if (done->packets && peer && done->index < peer->num_tx_queues) {
		txq = &((struct nsdm *)netdev_priv(peer))->txq[done->index];
		spin_lock(&txq->bql_lock);
		if (txq->bql_epoch == done->epoch)
			netdev_tx_completed_queue(netdev_get_tx_queue(peer, done->index),
						  done->packets, done->bytes);
		spin_unlock(&txq->bql_lock);
	}
	done->packets = 0;
	done->bytes = 0;
}

static void nsdm_done_add(struct nsdm *nd, struct nsdm_done *done,
			  const struct sk_buff *skb)
{
	u16 index = skb_get_queue_mapping(skb);

	if (done->index != index || done->epoch != skb->mark) {
		nsdm_done_report(nd, done);
		done->index = index;
		done->epoch = skb->mark;
	}
	done->packets++;
	done->bytes += skb->len;
}

/* These are off the wire. A function of its own, for make bench: it is what the
 * sender's hardware would tell the sender. RCU read side.
 */
static noinline void nsdm_done_all(struct nsdm *nd, const struct sk_buff_head *list)
{
	struct nsdm_done done = {};
	struct sk_buff *skb;

	skb_queue_walk(list, skb)
		nsdm_done_add(nd, &done, skb);
	nsdm_done_report(nd, &done);
}

/* @skb may wait for others: the NAPI will be scheduled later, and takes it. The
 * caller holds the lock.
 */
static bool nsdm_coalesce(struct nsdm_rxq *q)
{
	u32 usecs = READ_ONCE(q->nd->rx_usecs);
	u32 frames = READ_ONCE(q->nd->rx_frames);

	if (!usecs || (frames && skb_queue_len(&q->wire) >= frames))
		return false;
	if (!q->coalescing) {
		q->coalescing = true;
		hrtimer_start(&q->coalesce, ns_to_ktime((u64)usecs * NSEC_PER_USEC),
			      HRTIMER_MODE_REL);
	}
	return true;
}

/* Put @skb on the wire of @q, see (A) and (B) above. */
static bool nsdm_wire_put(struct nsdm_rxq *q, struct sk_buff *skb,
			  struct net_device *dev, u16 index)
{
	struct nsdm *nd = netdev_priv(dev);
	bool active, full = false, later = false;
	unsigned int ring;

	spin_lock(&q->lock);
	active = q->active;
	if (active) {
		skb->mark = nd->txq[index].bql_epoch;
		netdev_tx_sent_queue(netdev_get_tx_queue(dev, index), skb->len);
		__skb_queue_tail(&q->wire, skb);
		ring = min(READ_ONCE(q->nd->rx_ring), READ_ONCE(nd->tx_ring));
		full = skb_queue_len(&q->wire) >= ring;
		if (full) {
			netif_tx_stop_queue(netdev_get_tx_queue(dev, index));
			q->low = q->waiters ? min(q->low, ring / 2) : ring / 2;
			q->waiters |= BIT_ULL(index);
		} else {
			later = nsdm_coalesce(q);
		}
	}
	spin_unlock(&q->lock);

	if (full)
		nsdm_tx_count(&nd->txq[index], NSDM_TX_STOPS);
	if (active && !later)
		napi_schedule(&q->napi);
	return active;
}

/* On the wire the tag of a VLAN is beside the packet, whoever has put it there:
 * the sender's stack among the headers, or its hardware.
 */
static bool nsdm_tx_vlan(struct sk_buff *skb)
{
	u16 tci;

	if (skb_vlan_tag_present(skb) || skb->len < VLAN_ETH_HLEN)
		return true;
	skb_reset_mac_header(skb);
	if (eth_hdr(skb)->h_proto != htons(ETH_P_8021Q))
		return true;
	if (__skb_vlan_pop(skb, &tci))
		return false;
	__vlan_hwaccel_put_tag(skb, htons(ETH_P_8021Q), tci);
	return true;
}

netdev_tx_t nsdm_start_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct nsdm *nd = netdev_priv(dev);
	u16 index = skb_get_queue_mapping(skb);
	struct nsdm_txq *txq = &nd->txq[index];
	struct nsdm_tx_info info;
	struct net_device *peer;
	struct nsdm_rxq *q;

	if (unlikely(!skb_frags_readable(skb))) {
		skb_tx_timestamp(skb);
		skb = nsdm_dma_read(nd, skb);
		if (IS_ERR(skb)) {
			nsdm_tx_count(txq, PTR_ERR(skb) == -ENOMEM ?
					   NSDM_TX_DROP_NOMEM :
					   NSDM_TX_DROP_BAD);
			return NETDEV_TX_OK;
		}
	}
	if (unlikely(skb->len < ETH_HLEN || !pskb_may_pull(skb, ETH_HLEN) || !nsdm_tx_vlan(skb))) {
		nsdm_tx_count(txq, NSDM_TX_DROP_BAD);
		dev_kfree_skb_any(skb);
		return NETDEV_TX_OK;
	}

	if (unlikely(devmem_ipv6_big_to_wire(skb))) {
		nsdm_tx_count(txq, NSDM_TX_DROP_NOMEM);
		dev_kfree_skb_any(skb);
		return NETDEV_TX_OK;
	}

	skb_tx_timestamp(skb);

	/* On the wire it keeps nothing of this device or its namespace except
	 * the charge to its socket: that is released when the far end has
	 * copied it, as at the transmit completion of a real NIC.
	 */
	skb_dst_drop(skb);
	nf_reset_ct(skb);
	skb->dev = NULL;
	nsdm_parse(skb);
	nsdm_tx_measure(&info, skb);

	rcu_read_lock();
	peer = rcu_dereference(nd->peer);
	q = peer ? nsdm_steer(netdev_priv(peer), skb) : NULL;
	if (unlikely(peer && !q)) {
		nsdm_tx_count_packet(txq, &info);
		atomic64_inc(&((struct nsdm *)netdev_priv(peer))->ntuple_drops);
		dev_consume_skb_any(skb);
	} else if (likely(q && nsdm_wire_put(q, skb, dev, index))) {
		nsdm_tx_count_packet(txq, &info);
	} else {
		nsdm_tx_count(txq, NSDM_TX_DROP_LINK);
		dev_kfree_skb_any(skb);
	}
	rcu_read_unlock();
	return NETDEV_TX_OK;
}

/* See (E) above. RCU read side. */
static void nsdm_wake(struct nsdm *nd, u64 waiters)
{
	struct net_device *peer = rcu_dereference(nd->peer);
	struct nsdm *other;
	u32 i;

	if (!peer)
		return;
	other = netdev_priv(peer);
	for (i = 0; i < peer->num_tx_queues && waiters >> i; i++) {
		if (!(waiters & BIT_ULL(i)))
			continue;
		atomic64_inc(&other->txq[i].wakes);
		netif_tx_wake_queue(netdev_get_tx_queue(peer, i));
	}
}

/* Take up to @want packets off the wire, see (C) to (E) above. They are
 * received now, or later if they are to be impaired: each segment by itself
 * then, for there are no super-packets on a wire. RCU read side.
 */
static unsigned int nsdm_wire_take(struct nsdm_rxq *q, unsigned int want)
{
	struct sk_buff_head batch, segs;
	bool impaired = !nsdm_impair_idle(q);
	struct sk_buff *skb;
	u64 waiters = 0;
	unsigned int n;
	ktime_t now;

	__skb_queue_head_init(&batch);
	spin_lock(&q->lock);
	if (skb_queue_len(&q->wire) <= want)
		skb_queue_splice_init(&q->wire, &batch);
	else
		while (skb_queue_len(&batch) < want)
			__skb_queue_tail(&batch, __skb_dequeue(&q->wire));
	n = skb_queue_len(&batch);
	q->coalescing = false;
	if (q->waiters && skb_queue_len(&q->wire) <= q->low) {
		waiters = q->waiters;
		q->waiters = 0;
	}
	spin_unlock(&q->lock);
	nsdm_done_all(q->nd, &batch);
	if (waiters)
		nsdm_wake(q->nd, waiters);

	if (!impaired) {
		skb_queue_splice_tail(&batch, &q->ready);
		return n;
	}
	__skb_queue_head_init(&segs);
	while ((skb = __skb_dequeue(&batch)))
		nsdm_segment(q, skb, &segs);
	now = ktime_get();
	while ((skb = __skb_dequeue(&segs)))
		nsdm_impair_in(q, skb, now);
	nsdm_impair_out(q, now);
	return n;
}

static int nsdm_poll(struct napi_struct *napi, int budget)
{
	struct nsdm_rxq *q = container_of(napi, struct nsdm_rxq, napi);
	unsigned int want = 0, taken = 0;
	struct sk_buff_head segs;
	struct sk_buff *skb;
	int done = 0;
	bool gro;

	if (!budget)
		return 0;
	__skb_queue_head_init(&segs);

	rcu_read_lock();
	/* A full delay line leaves packets on the wire, and so holds the
	 * sender back; its timer brings us here again.
	 */
	if (skb_queue_len(&q->ready) < budget && !nsdm_impair_full(q))
		want = budget - skb_queue_len(&q->ready);
	taken = nsdm_wire_take(q, want);
	gro = READ_ONCE(q->nd->gro);
	while (done < budget && (skb = __skb_dequeue(&q->ready))) {
		if (skb_is_gso(skb) && (!gro || !nsdm_rx_takes(q, skb))) {
			nsdm_segment(q, skb, &segs);
			skb_queue_splice_init(&segs, &q->ready);
			continue;
		}
		if (gro)
			nsdm_gro_rx(q, skb);
		else
			nsdm_rx(q, skb);
		done++;
	}
	nsdm_gro_flush_all(q);
	devmem_rx_flush(&q->rx, &q->napi);
	nsdm_xdp_flush(q);
	rcu_read_unlock();

	if (done == budget || (want && taken == want))
		return budget;
	nsdm_impair_arm(q);
	napi_complete_done(napi, done);
	return done;
}

static enum hrtimer_restart nsdm_timer(struct hrtimer *timer)
{
	napi_schedule(&container_of(timer, struct nsdm_rxq, timer)->napi);
	return HRTIMER_NORESTART;
}

static enum hrtimer_restart nsdm_coalesce_timer(struct hrtimer *timer)
{
	napi_schedule(&container_of(timer, struct nsdm_rxq, coalesce)->napi);
	return HRTIMER_NORESTART;
}

void nsdm_rxq_init(struct nsdm *nd, u32 index)
{
	struct nsdm_rxq *q = &nd->rxq[index];

	q->nd = nd;
	q->index = index;
	spin_lock_init(&q->lock);
	__skb_queue_head_init(&q->wire);
	__skb_queue_head_init(&q->ready);
	__skb_queue_head_init(&q->delayed);
	nsdm_gro_init(q);
	u64_stats_init(&q->stats.syncp);
	hrtimer_setup(&q->timer, nsdm_timer, CLOCK_MONOTONIC,
		      HRTIMER_MODE_ABS);
	hrtimer_setup(&q->coalesce, nsdm_coalesce_timer, CLOCK_MONOTONIC,
		      HRTIMER_MODE_REL);
}

/* The kernel knows a NAPI only while its queue is open: it waits for one that is
 * not enabled when threads are to end.
 */
int nsdm_rxq_open(struct nsdm_rxq *q)
{
	int err;

	netif_napi_add_config_locked(q->nd->dev, &q->napi, nsdm_poll,
				     q->index);
	nsdm_xdp_rxq_init(q);
	err = nsdm_pool_open(q);
	if (err) {
		nsdm_xdp_rxq_free(q);
		netif_napi_del_locked(&q->napi);
		return err;
	}
	napi_enable_locked(&q->napi);
	spin_lock_bh(&q->lock);
	q->active = true;
	spin_unlock_bh(&q->lock);
	return 0;
}

/* Between these two nothing is received, and nothing lost: the wire fills, and
 * the timer's effect is made up for. The device is up.
 */
void nsdm_rxq_pause(struct nsdm_rxq *q)
{
	napi_disable_locked(&q->napi);
}

void nsdm_rxq_resume(struct nsdm_rxq *q)
{
	napi_enable_locked(&q->napi);
	local_bh_disable();
	napi_schedule(&q->napi);
	local_bh_enable();
}

/* Nothing comes any more, nobody waits, what was under way is dropped. */
void nsdm_rxq_stop(struct nsdm_rxq *q)
{
	unsigned int dropped;
	u64 waiters;

	spin_lock_bh(&q->lock);
	q->active = false;
	waiters = q->waiters;
	q->waiters = 0;
	spin_unlock_bh(&q->lock);

	napi_disable_locked(&q->napi);
	hrtimer_cancel(&q->timer);
	hrtimer_cancel(&q->coalesce);
	q->coalescing = false;

	dropped = skb_queue_len(&q->wire) + skb_queue_len(&q->ready);
	local_bh_disable();
	rcu_read_lock();
	nsdm_done_all(q->nd, &q->wire);
	rcu_read_unlock();
	local_bh_enable();
	__skb_queue_purge(&q->wire);
	__skb_queue_purge(&q->ready);
	dropped += nsdm_impair_purge(q);
	kfree_skb(q->spare);
	q->spare = NULL;
	nsdm_pool_close(q);
	local_bh_disable();
	nsdm_rx_count(q, NSDM_RX_DROP_DOWN, dropped);
	rcu_read_lock();
	nsdm_wake(q->nd, waiters);
	rcu_read_unlock();
	local_bh_enable();
	nsdm_xdp_rxq_free(q);
	netif_napi_del_locked(&q->napi);
}

/* The queue goes while the device stays up. What is on its wire is steered once
 * more, and now to another queue; it does not matter if that wire is full.
 */
void nsdm_rxq_leave(struct nsdm_rxq *q)
{
	struct nsdm_done done = {};
	struct sk_buff_head moved;
	struct nsdm_rxq *to;
	struct sk_buff *skb;

	__skb_queue_head_init(&moved);
	spin_lock_bh(&q->lock);
	q->active = false;
	skb_queue_splice_init(&q->wire, &moved);
	spin_unlock_bh(&q->lock);
	nsdm_rxq_stop(q);

	local_bh_disable();
	rcu_read_lock();
	while ((skb = __skb_dequeue(&moved))) {
		to = nsdm_steer(q->nd, skb);
		if (!to) {
			atomic64_inc(&q->nd->ntuple_drops);
			nsdm_done_add(q->nd, &done, skb);
			consume_skb(skb);
			continue;
		}
		spin_lock(&to->lock);
		__skb_queue_tail(&to->wire, skb);
		spin_unlock(&to->lock);
		napi_schedule(&to->napi);
	}
	nsdm_done_report(q->nd, &done);
	rcu_read_unlock();
	local_bh_enable();
}

void nsdm_rxq_forget_waiters(struct nsdm_rxq *q)
{
	spin_lock_bh(&q->lock);
	q->waiters = 0;
	spin_unlock_bh(&q->lock);
}
