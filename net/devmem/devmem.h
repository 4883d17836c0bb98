/* SPDX-License-Identifier: GPL-2.0 */
/*
 * net/devmem's private header: the map of the module.
 *
 * DOC: objects and who holds them
 *
 *	devmem_dev	a registered NIC. Held by the registry until the driver
 *			unregisters it, by each binding, by each flow and by its
 *			work item.
 *	devmem_binding	a dma-buf bound to queues. Held by its netlink socket
 *			together with the device ("bound"), by each flow and by
 *			its pool until that is closed and has all chunks back.
 *			Freed a grace period after the last put. Pins this
 *			module; while bound it pins the driver too. What it
 *			knows of chunks goes with the pool's reference.
 *	devmem_chunk	one chunk of the buffer. Held (ubuf.refcnt) by each
 *			payload skb and by each token. The last put returns it to
 *			the pool. A flow's cursor does not hold the chunk in
 *			which it stands: one without anybody's bytes is free.
 *	devmem_flow	an attached socket as the NIC sees it. Held by the
 *			socket and by the device's rule list. Freed a grace
 *			period after both let go.
 *	devmem_sock	what the ULP keeps for a socket. Owned by the socket.
 *
 * DOC: locking
 *
 *	RTNL or the socket lock or the family's cb_lock
 *	  -> devmem_dev.lock	queues, rules and bindings of one device
 *	       -> devmem_register_lock	which buffers are bound
 *	       -> the dma-buf's reservation lock	the mapping
 *	devmem_sock.tokens.lock: innermost, never nested
 *	devmem_magazine.lock -> devmem_pool.lock: innermost
 *
 *	The driver's ops run under devmem_dev.lock. The exporter's
 *	invalidate_mappings (move_notify on 6.12)
 *	comes with the reservation lock held and takes nothing further. NAPI
 *	takes no lock but those two: it sees flows and bindings under RCU.
 *
 * DOC: barrier pairs
 *
 *	(A) devmem_flow_arm(): smp_store_release(armed) pairs with
 *	    devmem_rx_reserve(): smp_load_acquire(armed): who sees the flow
 *	    armed sees its socket and binding.
 *	(B) revoke and unbind: state is set, then synchronize_net(), then the
 *	    mapping goes. devmem_rx_reserve() reads the state, and the caller
 *	    finishes its DMA, in one RCU read-side section. Packets held for
 *	    others do not outlive that, so no flow is freed under one.
 *	(C) devmem_chunk_alloc(): the owner is set, then the count; pairs with
 *	    devmem_chunk_get_owned(), which looks at the owner of a chunk that it
 *	    has found counted.
 *	(D) devmem_flow_disarm(): gone is set before the socket can be freed;
 *	    pairs with devmem_flow_get_sk(), which looks at it once it holds the
 *	    socket.
 */
#ifndef _DEVMEM_H
#define _DEVMEM_H

#include <linux/dma-buf.h>
#include <linux/list.h>
#include <linux/llist.h>
#include <linux/mutex.h>
#include <linux/netdevice.h>
#include <linux/percpu.h>
#include <linux/refcount.h>
#include <linux/sizes.h>
#include <linux/skbuff.h>
#include <linux/spinlock.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>
#include <net/devmem.h>
#include <net/devmem-compat.h>
#include <net/sock.h>
#include <uapi/linux/netdev-devmem.h>

/* Chunk sizes: a page at the least; at the most what one compound page covers
 * on every architecture with 4 KiB pages (PMD size), for the poison page of
 * frag.c is as large as a chunk.
 */
#define DEVMEM_CHUNK_SHIFT_MIN		12
#define DEVMEM_CHUNK_SHIFT_MAX		21
#define DEVMEM_CHUNK_SHIFT_DEFAULT	16

/* A buffer of more chunks is refused: chunks are numbered by u32, and their
 * descriptors take a cache line each: 1 GiB.
 */
#define DEVMEM_MAX_CHUNKS		SZ_16M

struct devmem_dev {
	refcount_t ref;
	struct list_head node;		/* protected by devmem_devs_lock */
	struct net_device *netdev;	/* write-once; valid until @dead */
	struct device *dma_dev;		/* likewise */
	const struct devmem_dev_ops *ops;	/* likewise */
	struct llist_head gone;		/* devmem_flow.gone_node: rules to remove */
	struct work_struct gone_work;	/* holds a reference while queued */

	struct mutex lock;		/* protects the rest */
	bool dead;
	struct list_head bindings;	/* devmem_binding.dev_node */
	struct list_head flows;		/* devmem_flow.node */
	struct xarray queues;		/* queue -> devmem_binding */
};

struct devmem_stats {
	u64 placed_packets;
	u64 placed_bytes;
	u64 fallback_packets;
	u64 fallback_bytes;
	u64 fallback_exhausted;
	u64 fallback_nomem;
	u64 fallback_header;
	u64 fallback_route;
	u64 fallback_inactive;
	u64 urg_cleared;
	u64 forward_drops;
	u64 pressure;
	u64 fallback_again;
	u64 fallback_sequence;
	u64 fallback_paused;
};

/* Neighbours may be with different queues, whose CPUs count references all the
 * time: none shares a line with another.
 */
struct devmem_chunk {
	struct ubuf_info ubuf;		/* refcnt: see DOC: objects */
	struct devmem_binding *binding;	/* write-once */
	struct devmem_magazine *magazine;	/* it comes from; stable while held */
	const struct devmem_flow *owner;	/* whose cursor stands in it, see (C) */
	dma_addr_t dma;			/* valid under (B) */
} ____cacheline_aligned_in_smp;

/* Chunks that a queue takes from the pool or gives back at once, at the most. */
#define DEVMEM_BATCH_MAX		32

/* Free chunks of one queue, most recently used last: while it gets back as many
 * as it hands out, it has nothing to do with other queues.
 */
struct devmem_magazine {
	spinlock_t lock;		/* protects the next 4 fields */
	u32 nr_free;			/* read by others */
	u32 batch;			/* 0: it keeps none */
	u32 room;			/* for chunks to keep */
	u32 free[2 * DEVMEM_BATCH_MAX + 1];	/* stack of chunk numbers */
	struct devmem_binding *binding;	/* write-once */
} ____cacheline_aligned_in_smp;

/* Free chunks of no queue, most recently used last. */
struct devmem_pool {
	spinlock_t lock;		/* protects the next 4 fields */
	u32 *free;			/* stack of chunk numbers */
	u32 nr_free;
	bool pressure;
	bool closed;			/* nothing is handed out any more */
};

struct devmem_binding {
	refcount_t ref;			/* who finds it, holds it or its chunks */
	refcount_t parts;		/* in memory: itself while there is a ref, the pool */
	u32 id;				/* write-once, before publication */
	u32 chunk_shift;		/* write-once, as the next 13 */
	u32 nr_chunks;
	u32 nr_queues;
	int ifindex;
	u64 net_cookie;
	u64 dmabuf_ino;			/* which dma-buf, also after that is put */
	u32 *queues;
	struct pid *pid;
	char comm[TASK_COMM_LEN];
	struct devmem_dev *ddev;
	struct devmem_chunk *chunks;	/* array of nr_chunks */
	struct devmem_magazine *magazines;	/* array of nr_queues */
	struct page *poison;		/* owner: frag.c */
	struct devmem_stats __percpu *stats;

	struct dma_buf *dmabuf;		/* protected by ddev->lock, NULL once unbound */
	struct dma_buf_attachment *attach;	/* protected by ddev->lock */
	struct sg_table *sgt;		/* protected by the reservation lock */
	int state;			/* enum netdev_devmem_state, see (B) */
	bool revoked;			/* the exporter has taken the memory; for good */

	struct devmem_pool pool ____cacheline_aligned_in_smp;

	bool bound;			/* written under ddev->lock, as the next 4 */
	u32 next_queue;			/* round robin of flows */
	u32 nr_flows;
	struct list_head dev_node;	/* devmem_dev.bindings */
	struct list_head owner_node;	/* protected by devmem_owners_lock, nl.c */

	unsigned long events;		/* bits of enum devmem_event */
	struct work_struct event_work;
	struct rcu_work pool_work;	/* the last chunk is back */
	struct rcu_work free_work;
};

enum devmem_event {
	DEVMEM_EVENT_PRESSURE,
	DEVMEM_EVENT_REVOKED,
};

/* The packet of a flow that others may continue: merge.c. Owner: NAPI of the
 * flow's queue; gone when that ends its poll.
 */
struct devmem_held {
	struct sk_buff *skb;		/* NULL: none */
	struct sk_buff *last;		/* its last payload skb */
	struct devmem_flow *next;	/* in devmem_rx.first */
	u32 seq;			/* that the next one begins with */
	u32 size;			/* of each segment, the last may have less */
	u32 room;			/* bytes that it may grow; 0: it has ended */
	u32 segs;			/* that it stands for */
	u32 hdr_len;			/* of @skb, with a plain MAC header; else 0 */
	u32 grown;			/* bytes of @last that its lengths and seq.c lack yet */
	bool joined;			/* it has grown */
};

/* Runs of bytes placed, see seq.c: one, and one more for each gap that the wire has
 * made.
 */
#define DEVMEM_SEQ_RUNS		16

/* Which bytes of a stream have been placed: seq.c. Sequence numbers. */
struct devmem_seq {
	u32 nxt;			/* TCP has what lies before */
	u32 poll;			/* in which this was asked last */
	u32 grown;			/* in which bytes were placed last */
	u32 nr_runs;
	struct {
		u32 begin, end;
	} run[DEVMEM_SEQ_RUNS];		/* placed, and not with TCP yet */
	u32 strikes;			/* bytes lost since some have reached TCP */
	u32 again;			/* the last ones that came again, if strikes */
	u32 pause;			/* length of the last pause, 0: none counts */
	u32 resume;			/* where it ends */
	u32 probe_end;			/* of the probe, if probing */
	bool paused;
	bool probing;
};

/* What TCP knows of a connection, and the number of the NAPI poll. */
struct devmem_seq_now {
	u32 poll;
	u32 rcv_nxt;
	u32 rcv_edge;			/* end of the window */
	u32 snd_una;
	u32 snd_end;			/* of what may have been sent */
	u32 max_window;
};

struct devmem_flow {
	struct devmem_flow_key key;	/* write-once, as the next 5 */
	u64 number;			/* of no other flow ever; not 0 */
	struct devmem_binding *binding;
	struct devmem_dev *ddev;
	struct sock *sk;		/* type-stable under RCU, for reading only */
	struct devmem_magazine *magazine;	/* of @queue, written with it */
	u32 queue;
	bool armed;			/* see (A); cleared for good by disarm */
	bool gone;			/* its socket is, see (D) */
	struct llist_node gone_node;	/* devmem_dev.gone, once */
	refcount_t ref;

	bool ruled;			/* protected by ddev->lock, as the next */
	struct list_head node;		/* devmem_dev.flows */
	struct rcu_work free_work;

	/* owner: NAPI of @queue. The counters are read by others. */
	struct devmem_chunk *chunk ____cacheline_aligned_in_smp;	/* not held */
	u32 off;			/* next free byte in @chunk */
	u64 placed_bytes;
	u64 fallback_bytes;
	struct devmem_held held;
	struct devmem_seq seq;
};

/* Tokens given out and not given back: slot[number & mask]. Numbers rise, so
 * that a reader's tokens make ranges; a slot still held is skipped.
 */
struct devmem_token {
	u32 number;
	struct devmem_chunk *chunk;	/* NULL: free */
};

struct devmem_tokens {
	spinlock_t lock;		/* protects the rest; BH disabled */
	struct devmem_token *slot;
	u32 size;			/* power of two, or 0 */
	u32 held;
	u32 next;			/* next number to try; never 0 */
};

struct devmem_sock {
	struct proto *base;		/* write-once, as the next */
	const struct proto_ops *base_ops;
	struct devmem_flow *flow;	/* protected by the socket lock, as the next 8 */
	bool report_lost;		/* DEVMEM_ATTACH_REPORT_LOST */
	u64 pieces;
	u64 lost;			/* bytes */
	u32 uncharged;			/* charge.c's, as the next 2 */
	u32 settled;
	void (*data_ready)(struct sock *sk);	/* the socket's own */
	u64 received;			/* TCP's bytes_received at attach */
	struct devmem_tokens tokens;
	struct rcu_head rcu;
};

/* main.c */
extern struct workqueue_struct *devmem_wq;

/* dev.c */
struct devmem_dev *devmem_dev_find(const struct net_device *dev);
void devmem_dev_put(struct devmem_dev *ddev);
int devmem_dev_init(void);
void devmem_dev_exit(void);

/* binding.c */
struct devmem_bind_args {
	struct net *net;
	struct net_device *netdev;
	const u32 *queues;
	u32 nr_queues;
	int fd;
	u32 chunk_size;			/* 0: choose */
};

struct devmem_binding *devmem_binding_create(const struct devmem_bind_args *args,
					     struct netlink_ext_ack *extack);
void devmem_binding_unbind(struct devmem_binding *binding);
void __devmem_binding_unbind(struct devmem_binding *binding)
	__must_hold(&binding->ddev->lock);
struct devmem_binding *devmem_binding_lookup(const struct net *net, u32 id);
struct devmem_binding *devmem_binding_next(unsigned long *id);
void devmem_binding_event(struct devmem_binding *binding, enum devmem_event event);
void devmem_binding_pool_full(struct devmem_binding *binding);
void devmem_binding_put(struct devmem_binding *binding);
void devmem_binding_exit(void);

/* import.c */
struct dma_buf *devmem_dmabuf_get(int fd);
int devmem_binding_open(struct devmem_binding *binding, int fd,
			struct netlink_ext_ack *extack);
int devmem_binding_import(struct devmem_binding *binding, u32 chunk_size,
			  struct netlink_ext_ack *extack);
void devmem_binding_unimport(struct devmem_binding *binding);

static inline u32 devmem_binding_chunk_size(const struct devmem_binding *binding)
{
	return 1U << binding->chunk_shift;
}

/* chunk.c */
int devmem_pool_init(struct devmem_binding *binding);
void devmem_pool_close(struct devmem_binding *binding);
void devmem_pool_destroy(struct devmem_binding *binding);
struct devmem_chunk *devmem_chunk_alloc(struct devmem_magazine *magazine,
					const struct devmem_flow *owner);
bool devmem_chunk_get_owned(struct devmem_chunk *chunk, const struct devmem_flow *owner);
void devmem_chunks_put(struct devmem_chunk **chunks, u32 nr);
void devmem_chunk_put(struct devmem_chunk *chunk);
u32 devmem_pool_free_chunks(struct devmem_binding *binding);

static inline void devmem_chunk_get(struct devmem_chunk *chunk)
{
	refcount_inc(&chunk->ubuf.refcnt);
}

static inline u32 devmem_chunk_index(const struct devmem_chunk *chunk)
{
	return chunk - chunk->binding->chunks;
}

/* frag.c */
struct devmem_piece {
	struct devmem_chunk *chunk;
	u32 off;			/* in the chunk */
	u32 len;
	u64 owner;			/* devmem_flow.number */
};

/* Where a reader of one skb is. */
struct devmem_frag_cursor {
	struct sk_buff *payload;	/* that begins at @start of the skb; NULL: nowhere */
	u32 start;
};

void devmem_frag_init_chunk(struct devmem_chunk *chunk);
struct page *devmem_frag_poison_alloc(u32 chunk_shift);
void devmem_frag_poison_free(struct page *poison);
struct sk_buff *devmem_frag_alloc(void);
void devmem_frag_attach(struct sk_buff *skb, struct sk_buff *last,
			struct sk_buff *payload, const struct devmem_piece *piece);
bool devmem_frag_ends_at(const struct sk_buff *payload,
			 const struct devmem_chunk *chunk, u32 off);
void devmem_frag_extend(struct sk_buff *skb, struct sk_buff *payload, u32 len);
bool devmem_frag_placed(const struct sk_buff *skb);
bool devmem_frag_torn(const struct sk_buff *skb);
bool devmem_frag_find(const struct sk_buff *skb, u32 offset,
		      struct devmem_frag_cursor *at, struct devmem_piece *piece);
void devmem_frag_release(struct sk_buff *skb);

/* merge.c */
bool devmem_merge_continues(const struct devmem_flow *flow,
			    const struct sk_buff *skb, unsigned int len);
void devmem_merge_join(struct devmem_flow *flow, const struct sk_buff *skb,
		       unsigned int len);
bool devmem_merge_fits(const struct devmem_flow *flow, const void *hdr,
		       unsigned int hdr_len, unsigned int len);
void devmem_merge_grow(struct devmem_flow *flow, struct napi_struct *napi,
		       const void *hdr, unsigned int len);
void devmem_merge_settle(struct devmem_flow *flow);
u32 devmem_merge_max_len(const struct devmem_flow *flow, const struct sk_buff *skb);

/* seq.c */
int devmem_seq_check(struct devmem_seq *s, const struct devmem_seq_now *now,
		     u32 seq, u32 len, u32 ack, u32 *end);
void devmem_seq_note(struct devmem_seq *s, u32 seq, u32 len);

/* route.c */
bool devmem_route_through(const struct net_device *dev, int ifindex);
bool devmem_route_diverted(struct net_device *dev);
int devmem_route_check(struct sock *sk, int ifindex);

/* nat.c */
void devmem_nat_to_wire(struct net *net, struct devmem_flow_key *key);

/* flow.c */
struct devmem_flow *devmem_flow_create(struct devmem_binding *binding, struct sock *sk);
int devmem_flow_add_rule(struct devmem_flow *flow, int dmabuf_fd);
void devmem_flow_arm(struct devmem_flow *flow);
void devmem_flow_disarm(struct devmem_flow *flow);
void devmem_flow_gone_work(struct work_struct *work);
void devmem_flow_del_rule(struct devmem_flow *flow)
	__must_hold(&flow->ddev->lock);
void devmem_flow_put(struct devmem_flow *flow);
struct sock *devmem_flow_get_sk(const struct devmem_flow *flow);

/* token.c */
void devmem_tokens_init(struct devmem_tokens *tokens);
int devmem_tokens_reserve(struct devmem_tokens *tokens);
u32 devmem_tokens_issue(struct devmem_tokens *tokens, struct devmem_chunk *chunk);
u32 devmem_tokens_release(struct devmem_tokens *tokens, u32 start, u32 count);
void devmem_tokens_destroy(struct devmem_tokens *tokens);

/* ulp.c */
bool devmem_sk_has_ulp(const struct sock *sk);
struct devmem_sock *devmem_sk(const struct sock *sk);
bool devmem_sk_owns(const struct sock *sk, u64 owner, u8 pf);
bool devmem_sk_connected(const struct sock *sk);
int devmem_ulp_init(void);
void devmem_ulp_exit(void);

/* charge.c */
void devmem_charge_begin(struct sock *sk);
void devmem_charge_end(struct sock *sk);
void devmem_charge_reset(struct sock *sk);
void devmem_charge_read(struct sock *sk, const struct sk_buff *skb);
void devmem_charge_read_on(struct sock *sk);

/* urgent.c */
int devmem_urgent_ignore(struct sock *sk);
bool devmem_urgent_ignored(const struct sock *sk);

/* sockopt.c */
int devmem_setsockopt(struct sock *sk, int level, int optname,
		      sockptr_t optval, unsigned int optlen);
int devmem_getsockopt(struct sock *sk, int level, int optname,
		      char __user *optval, int __user *optlen);

/* rx.c */
int devmem_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags);

/* guard.c */
int devmem_guard_enable(struct net *net);
int devmem_guard_init(void);
void devmem_guard_exit(void);

/* nl.c */
void devmem_nl_notify(struct devmem_binding *binding, struct net *net, int cmd);
int devmem_nl_init(void);
void devmem_nl_exit(void);

/* stats.c */
enum devmem_object {
	DEVMEM_OBJ_DEVICES,
	DEVMEM_OBJ_BINDINGS,
	DEVMEM_OBJ_CHUNKS,
	DEVMEM_OBJ_FLOWS,
	DEVMEM_OBJ_SOCKETS,
	DEVMEM_OBJ_TOKENS,
	DEVMEM_OBJ_MAX
};

DECLARE_PER_CPU(long, devmem_objects[DEVMEM_OBJ_MAX]);

/* One object more or less lives; the sum over the CPUs is what counts. */
static inline void devmem_object_add(enum devmem_object object, long n)
{
	this_cpu_add(devmem_objects[object], n);
}

void devmem_stats_read(struct devmem_binding *binding, struct devmem_stats *sum);
void devmem_stats_init(void);
void devmem_stats_exit(void);

#endif /* _DEVMEM_H */
