// SPDX-License-Identifier: GPL-2.0
/*
 * Queues: the wire between a tx queue of one end and an rx queue of the other,
 * and the NAPI poll that empties it. Owns when a packet is received and how a
 * full wire holds the sender back. Knows nothing of headers.
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
 * Each of at most 64 tx queues stops after at most one packet above the limit:
 * the wire is bounded, and no packet is dropped for want of room.
 */
#include <linux/etherdevice.h>
#include <linux/netfilter.h>
#include <net/dst.h>

#include "nsdm.h"

static void nsdm_tx_count(struct nsdm_txq *txq, enum nsdm_tx_stat stat)
{
	u64_stats_update_begin(&txq->stats.syncp);
	u64_stats_inc(&txq->stats.v[stat]);
	u64_stats_update_end(&txq->stats.syncp);
}

static void nsdm_tx_count_packet(struct nsdm_txq *txq, unsigned int len)
{
	u64_stats_update_begin(&txq->stats.syncp);
	u64_stats_inc(&txq->stats.v[NSDM_TX_PACKETS]);
	u64_stats_add(&txq->stats.v[NSDM_TX_BYTES], len);
	u64_stats_update_end(&txq->stats.syncp);
}

/* Put @skb on the wire of @q, see (A) and (B) above. */
static bool nsdm_wire_put(struct nsdm_rxq *q, struct sk_buff *skb,
			  struct net_device *dev, u16 index)
{
	struct nsdm *nd = netdev_priv(dev);
	bool active, full = false;

	spin_lock(&q->lock);
	active = q->active;
	if (active) {
		__skb_queue_tail(&q->wire, skb);
		full = skb_queue_len(&q->wire) >= NSDM_RING_SIZE;
		if (full) {
			netif_tx_stop_queue(netdev_get_tx_queue(dev, index));
			q->waiters |= BIT_ULL(index);
		}
	}
	spin_unlock(&q->lock);

	if (full)
		nsdm_tx_count(&nd->txq[index], NSDM_TX_STOPS);
	if (active)
		napi_schedule(&q->napi);
	return active;
}

netdev_tx_t nsdm_start_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct nsdm *nd = netdev_priv(dev);
	u16 index = skb_get_queue_mapping(skb);
	struct nsdm_txq *txq = &nd->txq[index];
	unsigned int len = skb->len;
	struct net_device *peer;

	if (unlikely(len < ETH_HLEN || !skb_frags_readable(skb))) {
		nsdm_tx_count(txq, NSDM_TX_DROP_BAD);
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

	rcu_read_lock();
	peer = rcu_dereference(nd->peer);
	if (likely(peer && nsdm_wire_put(nsdm_steer(netdev_priv(peer), skb),
					 skb, dev, index))) {
		nsdm_tx_count_packet(txq, len);
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
	u32 i;

	if (!peer)
		return;
	for (i = 0; i < peer->num_tx_queues && waiters >> i; i++)
		if (waiters & BIT_ULL(i))
			netif_tx_wake_queue(netdev_get_tx_queue(peer, i));
}

/* Take up to @want packets off the wire, see (C) to (E) above. They are
 * received now, or later if they are to be impaired. RCU read side.
 */
static unsigned int nsdm_wire_take(struct nsdm_rxq *q, unsigned int want)
{
	struct sk_buff_head batch;
	bool impaired = !nsdm_impair_idle(q);
	unsigned int n = 0;
	struct sk_buff *skb;
	u64 waiters = 0;
	ktime_t now;

	__skb_queue_head_init(&batch);
	spin_lock(&q->lock);
	while (n < want && (skb = __skb_dequeue(&q->wire))) {
		__skb_queue_tail(&batch, skb);
		n++;
	}
	if (q->waiters && skb_queue_len(&q->wire) <= NSDM_RING_SIZE / 2) {
		waiters = q->waiters;
		q->waiters = 0;
	}
	spin_unlock(&q->lock);
	if (waiters)
		nsdm_wake(q->nd, waiters);

	if (!impaired) {
		skb_queue_splice_tail(&batch, &q->ready);
		return n;
	}
	now = ktime_get();
	while ((skb = __skb_dequeue(&batch)))
		nsdm_impair_in(q, skb, now);
	nsdm_impair_out(q, now);
	return n;
}

static int nsdm_poll(struct napi_struct *napi, int budget)
{
	struct nsdm_rxq *q = container_of(napi, struct nsdm_rxq, napi);
	unsigned int want = 0, taken = 0;
	struct sk_buff *skb;
	int done = 0;

	if (!budget)
		return 0;

	rcu_read_lock();
	/* A full delay line leaves packets on the wire, and so holds the
	 * sender back; its timer brings us here again.
	 */
	if (skb_queue_len(&q->ready) < budget &&
	    skb_queue_len(&q->delayed) < NSDM_DELAY_MAX)
		want = budget - skb_queue_len(&q->ready);
	taken = nsdm_wire_take(q, want);
	while (done < budget && (skb = __skb_dequeue(&q->ready))) {
		nsdm_rx(q, skb);
		done++;
	}
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

void nsdm_rxq_init(struct nsdm *nd, u32 index)
{
	struct nsdm_rxq *q = &nd->rxq[index];

	q->nd = nd;
	q->index = index;
	spin_lock_init(&q->lock);
	__skb_queue_head_init(&q->wire);
	__skb_queue_head_init(&q->ready);
	__skb_queue_head_init(&q->delayed);
	u64_stats_init(&q->stats.syncp);
	hrtimer_init(&q->timer, CLOCK_MONOTONIC, HRTIMER_MODE_ABS);
	q->timer.function = nsdm_timer;
	netif_napi_add(nd->dev, &q->napi, nsdm_poll);
}

void nsdm_rxq_open(struct nsdm_rxq *q)
{
	napi_enable(&q->napi);
	spin_lock_bh(&q->lock);
	q->active = true;
	spin_unlock_bh(&q->lock);
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

	napi_disable(&q->napi);
	hrtimer_cancel(&q->timer);

	dropped = skb_queue_len(&q->wire) + skb_queue_len(&q->ready);
	__skb_queue_purge(&q->wire);
	__skb_queue_purge(&q->ready);
	dropped += nsdm_impair_purge(q);
	local_bh_disable();
	nsdm_rx_count(q, NSDM_RX_DROP_DOWN, dropped);
	rcu_read_lock();
	nsdm_wake(q->nd, waiters);
	rcu_read_unlock();
	local_bh_enable();
}

void nsdm_rxq_forget_waiters(struct nsdm_rxq *q)
{
	spin_lock_bh(&q->lock);
	q->waiters = 0;
	spin_unlock_bh(&q->lock);
}

/* The device is down for good, or never was up. The caller waits a grace period
 * before it frees @q.
 */
void nsdm_rxq_free(struct nsdm_rxq *q)
{
	__netif_napi_del(&q->napi);
	if (q->frag.page)
		put_page(q->frag.page);
}
