/* SPDX-License-Identifier: GPL-2.0 */
/*
 * netdevsim-devmem: a NIC without hardware, two of which make a link.
 *
 * How a packet travels:
 *
 *	ndo_start_xmit of A	nsdm_parse(), nsdm_steer(): which queue of B
 *	wire of B's queue	skb of the sender, still charged to its socket
 *	NAPI poll of B's queue	impairments; hardware GRO: several become one
 *	nsdm_rx()		a new skb made of a header buffer and memory of
 *				the receiver; the sender's skb is freed, its
 *				transmission is done
 *	devmem_rx_receive()	of B: placed ones may become one; the stack
 *
 * Locking, outermost first:
 *
 *	RTNL			who is paired with whom, up and down
 *	settings lock		settings: RTNL again on 6.12, the device's own on
 *				newer kernels
 *	net/devmem's lock	rules and bound queues of a device (its ops)
 *	nsdm.claim		what a queue's memory is for
 *	netdev_queue of A	ndo_start_xmit, ndo_xdp_xmit
 *	nsdm_rxq.lock of B	the wire, who waits for room, @active
 *
 * The peer pointer is written under RTNL and read under RCU. The netdev behind
 * it is freed a grace period after the pointer is cleared. Rules, indirection
 * tables and the XDP program are read under RCU.
 */
#ifndef _NSDM_H
#define _NSDM_H

#include <linux/bits.h>
#include <linux/ethtool.h>
#include <linux/hrtimer.h>
#include <linux/mutex.h>
#include <linux/netdevice.h>
#include <linux/prandom.h>
#include <linux/rhashtable.h>
#include <linux/sizes.h>
#include <linux/skbuff.h>
#include <net/devmem-compat.h>
#include <net/devmem.h>
#include <net/netmem.h>
#include <net/xdp.h>

#include "stats.h"

#define NSDM_NAME		"netdevsim-devmem"

#define NSDM_QUEUES_MAX		64	/* nsdm_rxq.waiters has a bit for each */
#define NSDM_QUEUES_DEFAULT	8
#define NSDM_RING_SIZE		1024	/* packets in a ring, if nobody says */
#define NSDM_DELAY_MAX		16384	/* packets in the delay line of a queue */
#define NSDM_DELAY_BYTES_MAX	SZ_64M	/* of memory in those of a device */
#define NSDM_HDR_MAX		256	/* bytes of a header buffer */
#define NSDM_TSO_MAX		SZ_512K	/* bytes of a super-packet */
#define NSDM_GRO_CONTEXTS	8	/* of a queue */
#define NSDM_RX_PAGE_MAX	SZ_2M	/* bytes of a page of an rx queue */
#define NSDM_HDS_THRESH_MAX	1024	/* bytes of a packet that stays whole */

#define NSDM_RSS_KEY		40	/* bytes of a hash key */
#define NSDM_RSS_INDIR		128	/* entries of an indirection table */
#define NSDM_RSS_CONTEXTS	64	/* the default one included */
#define NSDM_NTUPLE_MAX		1024	/* rules of ethtool */

/* Flows whose hashed fields can be chosen. */
enum nsdm_rss_flow {
	NSDM_RSS_TCP4,
	NSDM_RSS_UDP4,
	NSDM_RSS_TCP6,
	NSDM_RSS_UDP6,
	NSDM_RSS_FLOWS
};

/**
 * struct nsdm_cb - what the parser found, in the cb of a skb on the wire
 * @key: addresses; for whole TCP and UDP packets ports too
 * @l4_len: TCP or UDP header and payload, by the length field of IP; if it is too
 *	long for that, by its own length
 * @l4_off: from the MAC header to the TCP or UDP header, 0: there is none
 * @hdr_len: from the MAC header to the end of the TCP or UDP header
 * @flags: NSDM_PKT_*
 * @proto: protocol or next header field of IP
 */
struct nsdm_cb {
	struct devmem_flow_key key;
	u32 l4_len;
	u8 l4_off;
	u8 hdr_len;
	u8 flags;
	u8 proto;
};

#define NSDM_PKT_TCP		BIT(0)
#define NSDM_PKT_UDP		BIT(1)
#define NSDM_PKT_PLAIN		BIT(2)	/* no IP options, nothing behind IP */
#define NSDM_PKT_CORRUPT	BIT(3)	/* flip a bit on arrival */

#define NSDM_PKT_L4		(NSDM_PKT_TCP | NSDM_PKT_UDP)

#define NSDM_CB(skb)		((struct nsdm_cb *)(skb)->cb)

/**
 * struct nsdm_mem - memory that an rx queue receives payload into
 * @q: whose
 * @pool: where it comes from
 * @xdp: by which XDP knows @pool
 * @page_size: of its pages: PAGE_SIZE, or what the provider has been asked for
 * @provided: whether the kernel's provider fills @pool: nobody can read it
 */
struct nsdm_mem {
	struct nsdm_rxq *q;
	struct page_pool *pool;
	struct xdp_mem_info xdp;
	unsigned int page_size;
	bool provided;
};

/**
 * struct nsdm_gro - an aggregation context: packets that will be one
 * @packets: of one connection, in order; none: the context is free
 * @len: bytes of payload
 * @size: of each segment on the wire, but that the last may have less
 * @segs: how many segments
 * @fixed_id: all have the same IP id
 */
struct nsdm_gro {
	struct sk_buff_head packets;
	unsigned int len;
	unsigned int size;
	unsigned int segs;
	bool fixed_id;
};

/**
 * struct nsdm_rxq - an rx queue
 * @nd: write-once
 * @index: write-once
 * @napi: enabled while the device is up
 * @lock: protects @wire, @waiters, @low, @coalescing and @active
 * @wire: packets that the peer has sent
 * @waiters: tx queues of the peer that stopped because @wire was full
 * @low: they go on when @wire is as short as that
 * @coalescing: @coalesce will schedule @napi, so that nobody else need
 * @active: whether @wire takes packets: the device is up
 * @ready: off the wire, to be received now; owner: NAPI
 * @delayed: the delay line, skb->tstamp says until when; owner: NAPI
 * @held: a packet that others overtake; owner: NAPI
 * @held_until: but not after this time; owner: NAPI
 * @held_behind: and not by more than these; owner: NAPI
 * @timer: ends delays: schedules @napi and does nothing else
 * @coalesce: the same when packets have waited long enough for others
 * @gro: aggregation contexts, all free between two polls; owner: NAPI
 * @gro_turn: the one to make free when none is; owner: NAPI
 * @rnd: draws the impairments; owner: NAPI
 * @rnd_epoch: of nsdm_impair.epoch when @rnd was seeded; owner: NAPI
 * @mem: memory for payload; owner: NAPI, exchanged while that is disabled
 * @netmem: the page of @mem that is being filled, 0: none; owner: NAPI
 * @netmem_off: up to where; owner: NAPI
 * @xdp_rxq: what an XDP program can learn of the queue, and of @mem; owner: NAPI
 * @xdp_redirected: this poll has redirected a packet; owner: NAPI
 * @bound: bindings that this queue serves; protected by nsdm.claim
 * @provided: memories of this queue that the kernel's provider fills: for the
 *	moment of an exchange there may be two; protected by nsdm.claim
 * @rx: room for one packet's payload, and placed packets that wait for others;
 *	owner: NAPI
 * @spare: a header buffer to use again, NULL: none; owner: NAPI
 * @stats: owner: NAPI
 */
struct nsdm_rxq {
	struct nsdm *nd;
	u32 index;
	struct napi_struct napi;

	spinlock_t lock;	/* protects next 5 fields */
	struct sk_buff_head wire;
	u64 waiters;
	unsigned int low;
	bool coalescing;
	bool active;

	struct sk_buff_head ready;
	struct sk_buff_head delayed;
	struct sk_buff *held;
	ktime_t held_until;
	unsigned int held_behind;
	struct hrtimer timer;
	struct hrtimer coalesce;
	struct nsdm_gro gro[NSDM_GRO_CONTEXTS];
	unsigned int gro_turn;
	struct rnd_state rnd;
	u32 rnd_epoch;

	struct nsdm_mem mem;
	netmem_ref netmem;
	unsigned int netmem_off;
	struct xdp_rxq_info xdp_rxq;
	bool xdp_redirected;

	unsigned int bound;
	unsigned int provided;
	struct devmem_rx rx;
	struct sk_buff *spare;

	struct nsdm_rx_stats stats;
} ____cacheline_aligned_in_smp;	/* no line is of two queues */

/**
 * struct nsdm_txq - a tx queue
 * @stats: written under the netdev_queue's lock
 * @wakes: how often the far end had room again
 * @bql_lock: completions come from several queues of the far end
 * @bql_epoch: packets with this mark are the byte queue limit's business;
 *	written under @bql_lock while nothing transmits
 */
struct nsdm_txq {
	struct nsdm_tx_stats stats;
	atomic64_t wakes;
	spinlock_t bql_lock;	/* protects next field, serializes completion */
	u32 bql_epoch;
} ____cacheline_aligned_in_smp;

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
 * @memcg: whose memory pages of @rxq are, NULL: nobody is asked; write-once
 * @rules: struct nsdm_rule by key; written under net/devmem's lock, RCU
 * @nr_rules: number of @rules; protected by net/devmem's lock
 * @claim: who uses an rx queue for device memory: a leaf
 * @rx_queues: those that may be bound: all that are in use; protected by @claim
 * @rx_seen: the most that ever were in use; settings lock, as the next one
 * @tx_seen: the same of tx queues
 * @rx_ring: packets on the wire of each rx queue; settings lock
 * @tx_ring: at most so many, too, when a tx queue of this device adds one
 * @rx_buf_len: bytes of a page of host memory; settings lock, device down
 * @rx_usecs: how long packets wait on the wire for others
 * @rx_frames: but not when there are so many, unless 0
 * @split: payload of TCP apart from headers, unless there is an XDP program;
 *	settings lock and @claim
 * @hds_thresh: but only of packets longer than this; likewise
 * @split_auto: nobody insists on @split; settings lock
 * @xdp: no queue may be bound, for XDP's sake; settings lock and @claim
 * @xdp_prog: sees packets first, NULL: none; RCU, settings lock
 * @gro: a received packet may stand for several on the wire; settings lock
 * @dma_kept: @dma is referenced for ever, see nsdm_dma_keep(); settings lock
 * @rss: hash keys and indirection tables by context, 0 is always there; RCU,
 *	settings lock
 * @rss_fields: RXH_* by flow; settings lock
 * @ntuples: rules of ethtool by location; RCU, settings lock
 * @ntuple_map: where there is one; settings lock
 * @nr_ntuples: how many there are; settings lock
 * @ntuple_drops: packets that such a rule has dropped
 * @impair: see there
 * @delayed: memory of all that is in the delay lines of @rxq
 */
struct nsdm {
	struct net_device *dev;
	struct net_device __rcu *peer;
	struct nsdm_rxq *rxq;
	struct nsdm_txq *txq;
	struct platform_device *dma;
	struct mem_cgroup *memcg;
	struct rhashtable rules;
	unsigned int nr_rules;
	struct mutex claim;	/* protects nsdm_rxq.bound and .provided, .xdp */
	u32 rx_queues;
	u32 rx_seen;
	u32 tx_seen;
	u32 rx_ring;
	u32 tx_ring;
	u32 rx_buf_len;
	u32 rx_usecs;
	u32 rx_frames;
	bool split;
	u32 hds_thresh;
	bool split_auto;
	bool xdp;
	struct bpf_prog __rcu *xdp_prog;
	bool gro;
	bool dma_kept;
	struct nsdm_rss __rcu *rss[NSDM_RSS_CONTEXTS];
	u8 rss_fields[NSDM_RSS_FLOWS];
	struct nsdm_ntuple __rcu *ntuples[NSDM_NTUPLE_MAX];
	DECLARE_BITMAP(ntuple_map, NSDM_NTUPLE_MAX);
	unsigned int nr_ntuples;
	atomic64_t ntuple_drops;
	struct nsdm_impair impair;
	atomic_long_t delayed;
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

/* A piece of a page is charged to a socket as so many bytes, or a multiple: half of
 * what it keeps from being used again, at the least. What a provider gives is no host
 * memory, and there may be few pages of it.
 */
static inline unsigned int nsdm_pool_share(const struct nsdm_mem *mem)
{
	return mem->provided ? SMP_CACHE_BYTES : mem->page_size / 2;
}

static inline void nsdm_rx_count(struct nsdm_rxq *q, enum nsdm_rx_stat stat,
				 unsigned int n)
{
	u64_stats_update_begin(&q->stats.syncp);
	u64_stats_add(&q->stats.v[stat], n);
	u64_stats_update_end(&q->stats.syncp);
}

static inline void nsdm_rx_count_packets(struct nsdm_rxq *q,
					 enum nsdm_rx_stat packets,
					 unsigned int n, unsigned int len)
{
	u64_stats_update_begin(&q->stats.syncp);
	u64_stats_add(&q->stats.v[packets], n);
	u64_stats_add(&q->stats.v[packets + 1], len);
	u64_stats_update_end(&q->stats.syncp);
}

static inline void nsdm_rx_count_packet(struct nsdm_rxq *q,
					enum nsdm_rx_stat packets,
					unsigned int len)
{
	nsdm_rx_count_packets(q, packets, 1, len);
}

/* How many packets a super-packet is on the wire, and their bytes: each segment
 * has its headers.
 */
static inline unsigned int nsdm_wire_packets(const struct sk_buff *wire)
{
	return max_t(unsigned int, skb_shinfo(wire)->gso_segs, 1);
}

static inline unsigned int nsdm_wire_bytes(const struct sk_buff *wire)
{
	return wire->len +
	       (nsdm_wire_packets(wire) - 1) * NSDM_CB(wire)->hdr_len;
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
int nsdm_rxq_open(struct nsdm_rxq *q);
void nsdm_rxq_stop(struct nsdm_rxq *q);
void nsdm_rxq_leave(struct nsdm_rxq *q);
void nsdm_rxq_pause(struct nsdm_rxq *q);
void nsdm_rxq_resume(struct nsdm_rxq *q);
void nsdm_rxq_forget_waiters(struct nsdm_rxq *q);
void nsdm_txq_init(struct nsdm_txq *txq);
void nsdm_txq_reset(struct nsdm *nd, u32 index);
netdev_tx_t nsdm_start_xmit(struct sk_buff *skb, struct net_device *dev);

/* pool.c */
extern const struct netdev_queue_mgmt_ops nsdm_queue_mgmt_ops;
bool nsdm_pool_provided(const struct nsdm_rxq *q);
int nsdm_pool_bound(const struct nsdm *nd, u32 from);
int nsdm_pool_open(struct nsdm_rxq *q);
void nsdm_pool_close(struct nsdm_rxq *q);
netmem_ref nsdm_pool_page(struct nsdm_rxq *q);
netmem_ref nsdm_pool_get(struct nsdm_rxq *q, unsigned int want,
			 unsigned int *off, unsigned int *len,
			 unsigned int *share);
void nsdm_get_split(const struct nsdm *nd,
		    struct kernel_ethtool_ringparam *ring);
int nsdm_set_split(struct nsdm *nd, const struct kernel_ethtool_ringparam *ring,
		   struct netlink_ext_ack *extack);

/* segment.c */
void nsdm_segment(struct nsdm_rxq *q, struct sk_buff *skb,
		  struct sk_buff_head *to);

/* gro.c */
void nsdm_gro_init(struct nsdm_rxq *q);
void nsdm_gro_rx(struct nsdm_rxq *q, struct sk_buff *skb);
void nsdm_gro_flush_all(struct nsdm_rxq *q);

/* rx.c */
bool nsdm_csum_good(const struct sk_buff *wire, const struct nsdm_cb *cb);
bool nsdm_rx_takes(struct nsdm_rxq *q, const struct sk_buff *wire);
void nsdm_rx(struct nsdm_rxq *q, struct sk_buff *wire);

/* xdp.c */
int nsdm_xdp(struct net_device *dev, struct netdev_bpf *bpf);
int nsdm_xdp_xmit(struct net_device *dev, int n, struct xdp_frame **frames,
		  u32 flags);
bool nsdm_xdp_too_long(const struct bpf_prog *prog, unsigned int len);
struct sk_buff *nsdm_xdp_receive(struct nsdm_rxq *q,
				 const struct sk_buff *wire);
struct sk_buff *nsdm_xdp_run(struct nsdm_rxq *q, struct bpf_prog *prog,
			     struct sk_buff *skb);
void nsdm_xdp_flush(struct nsdm_rxq *q);
int nsdm_xdp_pool_add(struct nsdm_mem *mem);
void nsdm_xdp_pool_del(struct nsdm_mem *mem);
void nsdm_xdp_pool_use(struct nsdm_rxq *q);
void nsdm_xdp_rxq_init(struct nsdm_rxq *q);
void nsdm_xdp_rxq_free(struct nsdm_rxq *q);

/* parse.c */
void nsdm_parse(struct sk_buff *skb);

/* steer.c */
int nsdm_rules_init(struct nsdm *nd);
void nsdm_rules_free(struct nsdm *nd);
int nsdm_flow_add(struct net_device *dev, u32 queue,
		  const struct devmem_flow_key *key, struct devmem_flow *flow);
void nsdm_flow_del(struct net_device *dev, u32 queue,
		   const struct devmem_flow_key *key, struct devmem_flow *flow);
struct nsdm_rule *nsdm_rule_find(struct nsdm *nd,
				 const struct devmem_flow_key *key);
struct nsdm_rxq *nsdm_steer(struct nsdm *nd, struct sk_buff *skb);

/* rss.c */
int nsdm_rss_init(struct nsdm *nd);
void nsdm_rss_free(struct nsdm *nd);
u32 nsdm_rss_queue(const struct nsdm *nd, u32 id, struct sk_buff *skb);
int nsdm_rss_spread(struct nsdm *nd, u32 queues);
bool nsdm_rss_exists(const struct nsdm *nd, u32 id);
u32 nsdm_get_rxfh_key_size(struct net_device *dev);
u32 nsdm_get_rxfh_indir_size(struct net_device *dev);
int nsdm_get_rxfh(struct net_device *dev, struct ethtool_rxfh_param *rxfh);
int nsdm_set_rxfh(struct net_device *dev, struct ethtool_rxfh_param *rxfh,
		  struct netlink_ext_ack *extack);
int nsdm_create_rxfh_context(struct net_device *dev,
			     struct ethtool_rxfh_context *ctx,
			     const struct ethtool_rxfh_param *rxfh,
			     struct netlink_ext_ack *extack);
int nsdm_modify_rxfh_context(struct net_device *dev,
			     struct ethtool_rxfh_context *ctx,
			     const struct ethtool_rxfh_param *rxfh,
			     struct netlink_ext_ack *extack);
int nsdm_remove_rxfh_context(struct net_device *dev,
			     struct ethtool_rxfh_context *ctx, u32 id,
			     struct netlink_ext_ack *extack);
int nsdm_get_rxfh_fields(struct net_device *dev,
			 struct ethtool_rxfh_fields *fields);
int nsdm_set_rxfh_fields(struct net_device *dev,
			 const struct ethtool_rxfh_fields *fields,
			 struct netlink_ext_ack *extack);

/* ntuple.c */
#define NSDM_NTUPLE_NONE	(-1)	/* no rule, or else what one says: */
#define NSDM_NTUPLE_DROP	(-2)
#define NSDM_NTUPLE_CONTEXT	0x10000	/* plus the context; else a queue */

int nsdm_ntuple_match(const struct nsdm *nd, const struct nsdm_cb *cb);
int nsdm_ntuple_find_context(const struct nsdm *nd, u32 id);
void nsdm_ntuple_clear(struct nsdm *nd);
void nsdm_ntuple_free(struct nsdm *nd);
int nsdm_get_rxnfc(struct net_device *dev, struct ethtool_rxnfc *nfc, u32 *locs);
int nsdm_set_rxnfc(struct net_device *dev, struct ethtool_rxnfc *nfc);

/* impair.c */
extern const struct attribute_group nsdm_impair_group;
bool nsdm_impair_idle(const struct nsdm_rxq *q);
bool nsdm_impair_full(const struct nsdm_rxq *q);
void nsdm_impair_init(struct nsdm *nd);
void nsdm_impair_in(struct nsdm_rxq *q, struct sk_buff *skb, ktime_t now);
void nsdm_impair_out(struct nsdm_rxq *q, ktime_t now);
void nsdm_impair_arm(struct nsdm_rxq *q);
unsigned int nsdm_impair_purge(struct nsdm_rxq *q);
void nsdm_impair_corrupt(struct nsdm_rxq *q, struct sk_buff *skb,
			 const struct nsdm_cb *cb);

/* dma.c */
extern const struct devmem_dev_ops nsdm_devmem_ops;
int nsdm_dma_create(struct nsdm *nd);
void nsdm_dma_destroy(struct nsdm *nd);
void nsdm_dma_keep(struct nsdm *nd);
void nsdm_dma_exit(void);
bool nsdm_dma_write(const struct nsdm *nd, const struct devmem_rx *rx,
		    const struct sk_buff *skb, unsigned int off);
struct sk_buff *nsdm_dma_read(const struct nsdm *nd, struct sk_buff *skb);
bool nsdm_dma_write_pool(const struct nsdm_mem *mem, netmem_ref netmem,
			 unsigned int at, const struct sk_buff *skb,
			 unsigned int off, unsigned int len);

/* qstats.c */
extern const struct netdev_stat_ops nsdm_stat_ops;

/* channels.c */
void nsdm_get_channels(struct net_device *dev, struct ethtool_channels *ch);
u32 nsdm_get_rx_ring_count(struct net_device *dev);
int nsdm_set_channels(struct net_device *dev, struct ethtool_channels *ch);

/* rings.c */
void nsdm_get_ringparam(struct net_device *dev, struct ethtool_ringparam *ring,
			struct kernel_ethtool_ringparam *kernel_ring,
			struct netlink_ext_ack *extack);
int nsdm_set_ringparam(struct net_device *dev, struct ethtool_ringparam *ring,
		       struct kernel_ethtool_ringparam *kernel_ring,
		       struct netlink_ext_ack *extack);
int nsdm_get_coalesce(struct net_device *dev, struct ethtool_coalesce *coal,
		      struct kernel_ethtool_coalesce *kernel_coal,
		      struct netlink_ext_ack *extack);
int nsdm_set_coalesce(struct net_device *dev, struct ethtool_coalesce *coal,
		      struct kernel_ethtool_coalesce *kernel_coal,
		      struct netlink_ext_ack *extack);

/* ethtool.c */
extern const struct ethtool_ops nsdm_ethtool_ops;
u64 nsdm_rx_stat_sum(const struct nsdm *nd, u32 from, u32 to,
		     enum nsdm_rx_stat stat);
u64 nsdm_tx_stat_sum(const struct nsdm *nd, u32 from, u32 to,
		     enum nsdm_tx_stat stat);
u64 nsdm_rx_stat(const struct nsdm *nd, enum nsdm_rx_stat stat);
u64 nsdm_tx_stat(const struct nsdm *nd, enum nsdm_tx_stat stat);

#endif /* _NSDM_H */
