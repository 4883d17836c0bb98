// SPDX-License-Identifier: GPL-2.0
/*
 * Impairments: what a bad wire does to the packets that a device receives. They
 * are set in /sys/class/net/DEV/impair/, draw from one random sequence for each
 * queue, and come in this order:
 *
 *	loss -> duplicate -> corrupt -> reorder -> delay
 *
 * Packets in here have left the sender: they are charged to no socket. Owns the
 * delay line and the packet that is held back, neither of which outlives the
 * queue's being open. Knows of packet contents only where to flip a bit.
 */
#include <linux/kstrtox.h>
#include <linux/rtnetlink.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/net_namespace.h>

#include "nsdm.h"

#define NSDM_PPM		1000000
#define NSDM_DELAY_US_MAX	1000000
#define NSDM_HELD_BEHIND_MAX	3
#define NSDM_HELD_US_MAX	1000

void nsdm_impair_init(struct nsdm *nd)
{
	nd->impair.seed = get_random_u32();
	nd->impair.epoch = 1;
}

/* Nothing to do for what comes, nothing left of what came. NAPI context. */
bool nsdm_impair_idle(const struct nsdm_rxq *q)
{
	const struct nsdm_impair *imp = &q->nd->impair;

	return !(READ_ONCE(imp->loss) | READ_ONCE(imp->reorder) |
		 READ_ONCE(imp->duplicate) | READ_ONCE(imp->corrupt) |
		 READ_ONCE(imp->delay_us)) &&
	       !q->held && skb_queue_empty(&q->delayed);
}

/* The generator needs a few rounds to get away from seeds that are alike. */
static void nsdm_impair_seed(struct nsdm_rxq *q)
{
	const struct nsdm_impair *imp = &q->nd->impair;
	u32 epoch = smp_load_acquire(&imp->epoch); /* with seed_store() */
	int i;

	if (q->rnd_epoch == epoch)
		return;
	q->rnd_epoch = epoch;
	prandom_seed_state(&q->rnd, READ_ONCE(imp->seed) +
			   ((u64)q->index << 32));
	for (i = 0; i < 16; i++)
		prandom_u32_state(&q->rnd);
}

/* Each packet draws the same number of times, whatever is switched on. */
static bool nsdm_impair_draw(struct nsdm_rxq *q, const u32 *ppm)
{
	return reciprocal_scale(prandom_u32_state(&q->rnd), NSDM_PPM) <
	       READ_ONCE(*ppm);
}

/* What is in the delay line is charged to nobody, so there is a limit; a queue that
 * has nothing there has no timer either that would end its waiting. NAPI context.
 */
bool nsdm_impair_full(const struct nsdm_rxq *q)
{
	return skb_queue_len(&q->delayed) >= NSDM_DELAY_MAX ||
	       (!skb_queue_empty(&q->delayed) &&
		atomic_long_read(&q->nd->delayed) >= NSDM_DELAY_BYTES_MAX);
}

static void nsdm_impair_undelay(struct nsdm_rxq *q, struct sk_buff *skb)
{
	__skb_unlink(skb, &q->delayed);
	atomic_long_sub(skb->truesize, &q->nd->delayed);
}

static void nsdm_impair_delay(struct nsdm_rxq *q, struct sk_buff *skb,
			      ktime_t now)
{
	u32 delay = READ_ONCE(q->nd->impair.delay_us);

	if (!delay && skb_queue_empty(&q->delayed)) {
		__skb_queue_tail(&q->ready, skb);
		return;
	}
	skb_orphan(skb);
	skb->tstamp = ktime_add_us(now, delay);
	__skb_queue_tail(&q->delayed, skb);
	atomic_long_add(skb->truesize, &q->nd->delayed);
	nsdm_rx_count(q, NSDM_RX_IMPAIR_DELAY, 1);
}

static void nsdm_impair_unhold(struct nsdm_rxq *q, ktime_t now)
{
	struct sk_buff *skb = q->held;

	q->held = NULL;
	nsdm_impair_delay(q, skb, now);
}

static void nsdm_impair_reorder(struct nsdm_rxq *q, struct sk_buff *skb,
				bool hold, u32 rnd, ktime_t now)
{
	if (hold && !q->held) {
		skb_orphan(skb);
		q->held = skb;
		q->held_until = ktime_add_us(now, NSDM_HELD_US_MAX);
		q->held_behind = 1 + reciprocal_scale(rnd,
						      NSDM_HELD_BEHIND_MAX);
		nsdm_rx_count(q, NSDM_RX_IMPAIR_REORDER, 1);
		return;
	}
	nsdm_impair_delay(q, skb, now);
	if (q->held && !--q->held_behind)
		nsdm_impair_unhold(q, now);
}

/* A packet comes off the wire. NAPI context. */
void nsdm_impair_in(struct nsdm_rxq *q, struct sk_buff *skb, ktime_t now)
{
	const struct nsdm_impair *imp = &q->nd->impair;
	bool loss, duplicate, corrupt, reorder;
	struct sk_buff *copy = NULL;
	u32 rnd;

	nsdm_impair_seed(q);
	loss = nsdm_impair_draw(q, &imp->loss);
	duplicate = nsdm_impair_draw(q, &imp->duplicate);
	corrupt = nsdm_impair_draw(q, &imp->corrupt);
	reorder = nsdm_impair_draw(q, &imp->reorder);
	rnd = prandom_u32_state(&q->rnd);

	if (loss) {
		nsdm_rx_count(q, NSDM_RX_IMPAIR_LOSS, 1);
		consume_skb(skb);
		return;
	}
	if (duplicate)
		copy = skb_clone(skb, GFP_ATOMIC | __GFP_NOWARN);
	if (corrupt && NSDM_CB(skb)->flags & NSDM_PKT_L4)
		NSDM_CB(skb)->flags |= NSDM_PKT_CORRUPT;
	nsdm_impair_reorder(q, skb, reorder, rnd, now);
	if (copy) {
		nsdm_rx_count(q, NSDM_RX_IMPAIR_DUPLICATE, 1);
		nsdm_impair_reorder(q, copy, false, 0, now);
	}
}

/* What has waited long enough gets ready. NAPI context. */
void nsdm_impair_out(struct nsdm_rxq *q, ktime_t now)
{
	struct sk_buff *skb;

	if (q->held && ktime_compare(q->held_until, now) <= 0)
		nsdm_impair_unhold(q, now);
	while ((skb = skb_peek(&q->delayed)) &&
	       ktime_compare(skb->tstamp, now) <= 0) {
		nsdm_impair_undelay(q, skb);
		__skb_queue_tail(&q->ready, skb);
	}
}

/* The poll ends: come back when the next packet has waited long enough. */
void nsdm_impair_arm(struct nsdm_rxq *q)
{
	struct sk_buff *skb = skb_peek(&q->delayed);
	ktime_t until;

	if (!skb && !q->held)
		return;
	until = skb ? skb->tstamp : q->held_until;
	if (q->held && ktime_before(q->held_until, until))
		until = q->held_until;
	hrtimer_start(&q->timer, until, HRTIMER_MODE_ABS);
}

/* The device goes down. How many packets is that? NAPI is disabled. */
unsigned int nsdm_impair_purge(struct nsdm_rxq *q)
{
	unsigned int n = skb_queue_len(&q->delayed) + !!q->held;
	struct sk_buff *skb;

	while ((skb = skb_peek(&q->delayed))) {
		nsdm_impair_undelay(q, skb);
		kfree_skb(skb);
	}
	kfree_skb(q->held);
	q->held = NULL;
	return n;
}

/* Flip a bit that the checksum of @skb, whole and with its true checksum in it,
 * covers: one of the payload or of the checksum itself. A UDP checksum must not
 * become 0, for that would say that there is none.
 */
void nsdm_impair_corrupt(struct nsdm_rxq *q, struct sk_buff *skb,
			 const struct nsdm_cb *cb)
{
	unsigned int bits = (cb->l4_off + cb->l4_len - cb->hdr_len) * 8;
	u32 rnd = prandom_u32_state(&q->rnd);
	unsigned int bit, off;
	u16 sum;
	u8 byte;

	if (bits && rnd & 1) {
		bit = reciprocal_scale(prandom_u32_state(&q->rnd), bits);
		off = cb->hdr_len + bit / 8 - ETH_HLEN;
		if (skb_copy_bits(skb, off, &byte, sizeof(byte)))
			return;
		byte ^= BIT(bit % 8);
		if (skb_store_bits(skb, off, &byte, sizeof(byte)))
			return;
	} else {
		off = cb->l4_off - ETH_HLEN;
		off += cb->flags & NSDM_PKT_TCP ?
		       offsetof(struct tcphdr, check) :
		       offsetof(struct udphdr, check);
		if (skb_copy_bits(skb, off, &sum, sizeof(sum)))
			return;
		bit = rnd >> 28;
		if (sum == BIT(bit))
			bit ^= 1;
		sum ^= BIT(bit);
		if (skb_store_bits(skb, off, &sum, sizeof(sum)))
			return;
	}
	nsdm_rx_count(q, NSDM_RX_IMPAIR_CORRUPT, 1);
}

/* sysfs */

static ssize_t nsdm_impair_store(struct device *d, const char *buf, size_t len,
				 size_t off, u32 max)
{
	struct net_device *dev = to_net_dev(d);
	struct nsdm *nd = netdev_priv(dev);
	u32 *field = (void *)&nd->impair + off;
	u32 val;
	int err;

	if (!ns_capable(dev_net(dev)->user_ns, CAP_NET_ADMIN))
		return -EPERM;
	err = kstrtou32(buf, 0, &val);
	if (err)
		return -EINVAL;
	if (val > max)
		return -EINVAL;
	if (!rtnl_trylock())
		return restart_syscall();
	WRITE_ONCE(*field, val);
	if (field == &nd->impair.seed)	/* pairs with nsdm_impair_seed() */
		smp_store_release(&nd->impair.epoch, nd->impair.epoch + 1);
	rtnl_unlock();
	return len;
}

#define NSDM_IMPAIR_ATTR(_name, _max)					\
static ssize_t _name##_show(struct device *d,				\
			    struct device_attribute *attr, char *buf)	\
{									\
	struct nsdm *nd = netdev_priv(to_net_dev(d));			\
									\
	return sysfs_emit(buf, "%u\n", READ_ONCE(nd->impair._name));	\
}									\
static ssize_t _name##_store(struct device *d,				\
			     struct device_attribute *attr,		\
			     const char *buf, size_t len)		\
{									\
	return nsdm_impair_store(d, buf, len,				\
				 offsetof(struct nsdm_impair, _name),	\
				 _max);					\
}									\
static DEVICE_ATTR_RW(_name)

NSDM_IMPAIR_ATTR(loss, NSDM_PPM);
NSDM_IMPAIR_ATTR(reorder, NSDM_PPM);
NSDM_IMPAIR_ATTR(duplicate, NSDM_PPM);
NSDM_IMPAIR_ATTR(corrupt, NSDM_PPM);
NSDM_IMPAIR_ATTR(delay_us, NSDM_DELAY_US_MAX);
NSDM_IMPAIR_ATTR(seed, U32_MAX);

static struct attribute *nsdm_impair_attrs[] = {
	&dev_attr_loss.attr,
	&dev_attr_reorder.attr,
	&dev_attr_duplicate.attr,
	&dev_attr_corrupt.attr,
	&dev_attr_delay_us.attr,
	&dev_attr_seed.attr,
	NULL
};

const struct attribute_group nsdm_impair_group = {
	.name	= "impair",
	.attrs	= nsdm_impair_attrs,
};
