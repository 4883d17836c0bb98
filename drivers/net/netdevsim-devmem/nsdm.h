/* SPDX-License-Identifier: GPL-2.0 */
/*
 * netdevsim-devmem: a NIC without hardware, two of which make a link.
 *
 * How a packet travels:
 *
 *	ndo_start_xmit of A	nsdm_parse(), nsdm_steer(): which queue of B
 *	wire of B's queue	skb of the sender, still charged to its socket
 *	NAPI poll of B's queue	impairments, then nsdm_rx(): a new skb made of a
 *				header buffer and memory of the receiver; the
 *				sender's skb is freed, its transmission is done
 *	napi_gro_receive()	of B
 *
 * Locking, outermost first:
 *
 *	RTNL			who is paired with whom, up and down
 *	net/devmem's lock	rules and bound queues of a device (its ops)
 *	netdev_queue of A	ndo_start_xmit
 *	nsdm_rxq.lock of B	the wire, who waits for room, @active
 *
 * The peer pointer is written under RTNL and read under RCU. The netdev behind
 * it is freed a grace period after the pointer is cleared. A rule is read under
 * RCU and freed with kfree_rcu().
 */
#ifndef _NSDM_H
#define _NSDM_H

#include <linux/bits.h>
#include <linux/hrtimer.h>
#include <linux/netdevice.h>
#include <linux/prandom.h>
#include <linux/rhashtable.h>
#include <linux/skbuff.h>
#include <linux/u64_stats_sync.h>
#include <net/devmem.h>

#define NSDM_NAME		"netdevsim-devmem"

#define NSDM_QUEUES_MAX		64	/* nsdm_rxq.waiters has a bit for each */
#define NSDM_QUEUES_DEFAULT	8
#define NSDM_RING_SIZE		1024	/* packets on the wire of a queue */
#define NSDM_DELAY_MAX		16384	/* packets in the delay line of a queue */
#define NSDM_HDR_MAX		256	/* bytes of a header buffer */

/**
 * struct nsdm_cb - what the parser found, in the cb of a skb on the wire
 * @key: addresses; for whole TCP and UDP packets ports too
 * @l4_off: from the MAC header to the TCP or UDP header, 0: there is none
 * @hdr_len: from the MAC header to the end of the TCP or UDP header
 * @l4_len: TCP or UDP header and payload, by the length field of IP
 * @flags: NSDM_PKT_*
 */
struct nsdm_cb {
	struct devmem_flow_key key;
	u16 l4_off;
	u16 hdr_len;
	u16 l4_len;
	u16 flags;
};

#define NSDM_PKT_TCP		BIT(0)
#define NSDM_PKT_UDP		BIT(1)
#define NSDM_PKT_PLAIN		BIT(2)	/* no IP options, nothing behind IP */
#define NSDM_PKT_CORRUPT	BIT(3)	/* flip a bit on arrival */

#define NSDM_PKT_L4		(NSDM_PKT_TCP | NSDM_PKT_UDP)

#define NSDM_CB(skb)		((struct nsdm_cb *)(skb)->cb)

/* Counters of an rx queue; nsdm_rx_stat_names[] has their names. */
enum nsdm_rx_stat {
	NSDM_RX_PACKETS,
	NSDM_RX_BYTES,
	NSDM_RX_PLACED_PACKETS,		/* payload written to a binding */
	NSDM_RX_PLACED_BYTES,		/* of payload */
	NSDM_RX_FALLBACK_NOBUFS,	/* a rule matched, but to host memory: */
	NSDM_RX_FALLBACK_NOMEM,
	NSDM_RX_FALLBACK_PROTO,
	NSDM_RX_FALLBACK_ROUTE,
	NSDM_RX_FALLBACK_SHUTDOWN,
	NSDM_RX_FALLBACK_PACKET,	/* not a packet that may be placed */
	NSDM_RX_STRAYS,			/* of a rule of another queue */
	NSDM_RX_CSUM_ERRORS,
	NSDM_RX_DROP_LENGTH,		/* longer than the MTU */
	NSDM_RX_DROP_NOMEM,
	NSDM_RX_DROP_DOWN,		/* queued when the device went down */
	NSDM_RX_IMPAIR_LOSS,
	NSDM_RX_IMPAIR_DUPLICATE,
	NSDM_RX_IMPAIR_CORRUPT,
	NSDM_RX_IMPAIR_REORDER,
	NSDM_RX_IMPAIR_DELAY,
	NSDM_RX_STATS
};

/* Counters of a tx queue; nsdm_tx_stat_names[] has their names. */
enum nsdm_tx_stat {
	NSDM_TX_PACKETS,
	NSDM_TX_BYTES,
	NSDM_TX_STOPS,			/* the far end had no room */
	NSDM_TX_DROP_LINK,		/* no peer, or it is down */
	NSDM_TX_DROP_BAD,		/* shorter than a MAC header, unreadable */
	NSDM_TX_STATS
};

struct nsdm_rx_stats {
	struct u64_stats_sync syncp;
	u64_stats_t v[NSDM_RX_STATS];
};

struct nsdm_tx_stats {
	struct u64_stats_sync syncp;
	u64_stats_t v[NSDM_TX_STATS];
};

/**
 * struct nsdm_rxq - an rx queue
 * @nd: write-once
 * @index: write-once
 * @napi: enabled while the device is up
 * @lock: protects @wire, @waiters and @active
 * @wire: packets that the peer has sent
 * @waiters: tx queues of the peer that stopped because @wire was full
 * @active: whether @wire takes packets: the device is up
 * @ready: off the wire, to be received now; owner: NAPI
 * @delayed: the delay line, skb->tstamp says until when; owner: NAPI
 * @held: a packet that others overtake; owner: NAPI
 * @held_until: but not after this time; owner: NAPI
 * @held_behind: and not by more than these; owner: NAPI
 * @timer: ends delays: schedules @napi and does nothing else
 * @rnd: draws the impairments; owner: NAPI
 * @rnd_epoch: of nsdm_impair.epoch when @rnd was seeded; owner: NAPI
 * @frag: host memory for payload; owner: NAPI
 * @bound: bindings that this queue serves; protected by net/devmem's lock
 * @rx: room for one packet's payload; owner: NAPI
 * @stats: owner: NAPI
 */
struct nsdm_rxq {
	struct nsdm *nd;
	u32 index;
	struct napi_struct napi;

	spinlock_t lock;	/* protects next 3 fields */
	struct sk_buff_head wire;
	u64 waiters;
	bool active;

	struct sk_buff_head ready;
	struct sk_buff_head delayed;
	struct sk_buff *held;
	ktime_t held_until;
	unsigned int held_behind;
	struct hrtimer timer;
	struct rnd_state rnd;
	u32 rnd_epoch;
	struct page_frag frag;

	unsigned int bound;
	struct devmem_rx rx;

	struct nsdm_rx_stats stats;
};

/**
 * struct nsdm_txq - a tx queue
 * @stats: written under the netdev_queue's lock
 */
struct nsdm_txq {
	struct nsdm_tx_stats stats;
};

/**
 * struct nsdm_impair - what happens to packets that this device receives
 * @loss: the packet vanishes; this and the next three in parts per million
 * @reorder: it is overtaken by one to three packets
 * @duplicate: it comes twice
 * @corrupt: it comes with a bit flipped that its checksum covers
 * @delay_us: each packet comes that much later
 * @seed: the start of the random sequences of all queues
 * @epoch: counts writes of @seed: each makes the queues start again
 *
 * Written by sysfs under RTNL, read without a lock.
 */
struct nsdm_impair {
	u32 loss;
	u32 reorder;
	u32 duplicate;
	u32 corrupt;
	u32 delay_us;
	u32 seed;
	u32 epoch;
};

/**
 * struct nsdm - private data of a netdev
 * @dev: write-once
 * @peer: the other end of the link, NULL: none; RCU, written under RTNL
 * @rxq: dev->num_rx_queues of them; write-once
 * @txq: dev->num_tx_queues of them; write-once
 * @dma: what does the DMA, outlives the netdev's use of it; write-once
 * @rules: struct nsdm_rule by key; written under net/devmem's lock, RCU
 * @nr_rules: number of @rules; protected by net/devmem's lock
 * @hash_seed: for queues of packets without a rule; write-once
 * @impair: see there
 */
struct nsdm {
	struct net_device *dev;
	struct net_device __rcu *peer;
	struct nsdm_rxq *rxq;
	struct nsdm_txq *txq;
	struct platform_device *dma;
	struct rhashtable rules;
	unsigned int nr_rules;
	u32 hash_seed;
	struct nsdm_impair impair;
};

/**
 * struct nsdm_rule - packets of one connection go to one queue
 * @node: in nsdm.rules
 * @key: write-once
 * @queue: write-once
 * @flow: net/devmem's; write-once
 * @rcu: for kfree_rcu()
 */
struct nsdm_rule {
	struct rhash_head node;
	struct devmem_flow_key key;
	u32 queue;
	struct devmem_flow *flow;
	struct rcu_head rcu;
};

static inline void nsdm_rx_count(struct nsdm_rxq *q, enum nsdm_rx_stat stat,
				 unsigned int n)
{
	u64_stats_update_begin(&q->stats.syncp);
	u64_stats_add(&q->stats.v[stat], n);
	u64_stats_update_end(&q->stats.syncp);
}

static inline void nsdm_rx_count_packet(struct nsdm_rxq *q,
					enum nsdm_rx_stat packets,
					unsigned int len)
{
	u64_stats_update_begin(&q->stats.syncp);
	u64_stats_inc(&q->stats.v[packets]);
	u64_stats_add(&q->stats.v[packets + 1], len);
	u64_stats_update_end(&q->stats.syncp);
}

/* main.c */
extern struct rtnl_link_ops nsdm_link_ops;
extern atomic_t nsdm_nr_links;
extern atomic_t nsdm_nr_rules;

/* nic.c */
extern const struct net_device_ops nsdm_netdev_ops;
void nsdm_pair(struct nsdm *a, struct nsdm *b);
void nsdm_destructor(struct net_device *dev);

/* queue.c */
void nsdm_rxq_init(struct nsdm *nd, u32 index);
void nsdm_rxq_open(struct nsdm_rxq *q);
void nsdm_rxq_stop(struct nsdm_rxq *q);
void nsdm_rxq_free(struct nsdm_rxq *q);
void nsdm_rxq_forget_waiters(struct nsdm_rxq *q);
netdev_tx_t nsdm_start_xmit(struct sk_buff *skb, struct net_device *dev);

/* rx.c */
void nsdm_rx(struct nsdm_rxq *q, struct sk_buff *wire);

/* steer.c */
int nsdm_rules_init(struct nsdm *nd);
void nsdm_rules_free(struct nsdm *nd);
int nsdm_flow_add(struct net_device *dev, u32 queue,
		  const struct devmem_flow_key *key, struct devmem_flow *flow);
void nsdm_flow_del(struct net_device *dev, u32 queue,
		   const struct devmem_flow_key *key, struct devmem_flow *flow);
void nsdm_parse(struct sk_buff *skb);
struct nsdm_rule *nsdm_rule_find(struct nsdm *nd,
				 const struct devmem_flow_key *key);
struct nsdm_rxq *nsdm_steer(struct nsdm *nd, struct sk_buff *skb);

/* impair.c */
extern const struct attribute_group nsdm_impair_group;
bool nsdm_impair_idle(const struct nsdm_rxq *q);
void nsdm_impair_init(struct nsdm *nd);
void nsdm_impair_in(struct nsdm_rxq *q, struct sk_buff *skb, ktime_t now);
void nsdm_impair_out(struct nsdm_rxq *q, ktime_t now);
void nsdm_impair_arm(struct nsdm_rxq *q);
unsigned int nsdm_impair_purge(struct nsdm_rxq *q);
void nsdm_impair_corrupt(struct nsdm_rxq *q, struct sk_buff *skb,
			 const struct nsdm_cb *cb);

/* dma.c */
extern const struct devmem_dev_ops nsdm_devmem_ops;
struct platform_device *nsdm_dma_create(void);
void nsdm_dma_destroy(struct platform_device *pdev);
bool nsdm_dma_write(const struct nsdm *nd, const struct devmem_rx *rx,
		    const struct sk_buff *skb, unsigned int off);

/* ethtool.c */
extern const struct ethtool_ops nsdm_ethtool_ops;
u64 nsdm_rx_stat(const struct nsdm *nd, enum nsdm_rx_stat stat);
u64 nsdm_tx_stat(const struct nsdm *nd, enum nsdm_tx_stat stat);

#endif /* _NSDM_H */
