/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The part of the shim that is about packets and devices. A packet has a linear
 * part, and what is behind that lies elsewhere, as in pages: whoever reads over
 * the end of one of them reads memory that is nobody's.
 */
#ifndef FUZZ_SHIM_NET_H
#define FUZZ_SHIM_NET_H

/* packets */

struct ubuf_info {
	refcount_t refcnt;
};

struct net_device;

struct sk_buff {
	struct net_device *dev;
	unsigned int len;
	unsigned int data_len;		/* of these, not in the linear part */
	const u8 *data;			/* the linear part */
	const u8 *paged;		/* the rest */
	u16 network_header;		/* from data on */
	u16 transport_header;
	u8 ip_summed;
	u32 hash;
	int hash_type;
	unsigned int gso_segs;
	unsigned int gso_size;
	unsigned int gso_type;
	char cb[48] __attribute__((aligned(8)));
};

struct sk_buff_head {
	struct sk_buff *next;
};

#define skb_shinfo(skb)		(skb)
#define SKB_GSO_TCPV4		BIT(0)
#define SKB_GSO_UDP		BIT(1)
#define SKB_GSO_TCPV6		BIT(4)
#define IP_MAX_MTU		0xffffu
#define CHECKSUM_NONE		0
#define CHECKSUM_UNNECESSARY	1
#define CHECKSUM_COMPLETE	2
#define CHECKSUM_PARTIAL	3

enum pkt_hash_types {
	PKT_HASH_TYPE_NONE,
	PKT_HASH_TYPE_L2,
	PKT_HASH_TYPE_L3,
	PKT_HASH_TYPE_L4,
};

static inline void skb_set_hash(struct sk_buff *skb, u32 hash, int type)
{
	skb->hash = hash;
	skb->hash_type = type;
}

static inline void skb_clear_hash(struct sk_buff *skb)
{
	skb_set_hash(skb, 0, PKT_HASH_TYPE_NONE);
}

static inline unsigned int skb_headlen(const struct sk_buff *skb)
{
	return skb->len - skb->data_len;
}

static inline bool skb_is_gso(const struct sk_buff *skb)
{
	return skb->gso_size;
}

static inline bool skb_is_gso_tcp(const struct sk_buff *skb)
{
	return skb->gso_type & (SKB_GSO_TCPV4 | SKB_GSO_TCPV6);
}

static inline bool skb_is_nonlinear(const struct sk_buff *skb)
{
	return skb->data_len;
}

/* Where @len bytes at @off are: in the packet, or copied together in @buf. */
static inline const void *skb_header_pointer(const struct sk_buff *skb, unsigned int off,
					     unsigned int len, void *buf)
{
	unsigned int headlen = skb_headlen(skb), i;

	if (off > skb->len || len > skb->len - off)
		return NULL;
	if (off + len <= headlen)
		return skb->data + off;
	for (i = 0; i < len; i++)
		((u8 *)buf)[i] = off + i < headlen ? skb->data[off + i] :
						     skb->paged[off + i - headlen];
	return buf;
}

#define skb_network_offset(skb)		((skb)->network_header)
#define skb_transport_offset(skb)	((skb)->transport_header)
#define ip_hdr(skb)	((const struct iphdr *)((skb)->data + (skb)->network_header))
#define ipv6_hdr(skb)	((const struct ipv6hdr *)((skb)->data + (skb)->network_header))
#define tcp_hdr(skb)	((const struct tcphdr *)((skb)->data + (skb)->transport_header))

static inline bool ip_is_fragment(const struct iphdr *ip)
{
	return ip->frag_off & htons(0x3fff);
}

/* 0: the checksum of a header of @ihl words is right. */
static inline u16 ip_fast_csum(const void *ip, unsigned int ihl)
{
	const u8 *b = ip;
	u32 sum = 0;

	for (; ihl; ihl--, b += 4)
		sum += (b[0] << 8 | b[1]) + (b[2] << 8 | b[3]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static inline unsigned int __tcp_hdrlen(const struct tcphdr *th)
{
	return th->doff * 4;
}

void kfree_skb(struct sk_buff *skb);

/* devices */

#define NETIF_F_NTUPLE		BIT(0)

struct net_device {
	void *priv;
	u64 features;
	unsigned int num_rx_queues;
	unsigned int real_num_rx_queues;
	int ifindex;
	void *rx_handler;
	void *xdp_prog;
	bool settings_locked;
	bool rxfh_configured;
};

static inline void *netdev_priv(const struct net_device *dev)
{
	return dev->priv;
}

static inline bool netif_is_rxfh_configured(const struct net_device *dev)
{
	return dev->rxfh_configured;
}

struct napi_struct {
	int weight;
};

#define EXTACK_MAX	80	/* a longer message is cut off */

struct netlink_ext_ack {
	char msg[EXTACK_MAX];
};

#define NL_SET_ERR_MSG_FMT_MOD(extack, ...)				\
	do {								\
		if (extack)						\
			fuzz_check(snprintf((extack)->msg, EXTACK_MAX,	\
					    __VA_ARGS__) < EXTACK_MAX);	\
	} while (0)
#define NL_SET_ERR_MSG_MOD(extack, text)	NL_SET_ERR_MSG_FMT_MOD(extack, "%s", text)

struct u64_stats_sync {
	int seq;
};

typedef struct {
	u64 v;
} u64_stats_t;

#define u64_stats_update_begin(s)	((void)(s))
#define u64_stats_update_end(s)		((void)(s))
#define u64_stats_add(s, n)		((void)((s)->v += (n)))

struct hrtimer {
	ktime_t expires;
};

struct rnd_state {
	u32 s;
};

struct rhashtable {
	void *table;
};

struct rhash_head {
	void *next;
};

struct xdp_mem_info {
	u32 id;
};

struct xdp_rxq_info {
	struct xdp_mem_info mem;
};

struct xdp_frame;
struct netdev_bpf;
struct bpf_prog;
struct page_pool;
struct platform_device;
struct attribute_group;
struct rtnl_link_ops;
struct ethtool_ops;
struct net_device_ops;
struct netdev_queue_mgmt_ops;
struct netdev_stat_ops;
struct kernel_ethtool_ringparam;
struct kernel_ethtool_coalesce;
typedef unsigned long netmem_ref;
typedef int netdev_tx_t;

/* what ethtool hands to a driver */

#define ETH_RSS_HASH_TOP	1
#define ETH_RSS_HASH_NO_CHANGE	0

struct ethtool_rxfh_param {
	u8 hfunc;
	u32 indir_size;
	u32 *indir;
	u32 key_size;
	u8 *key;
	u32 rss_context;
};

struct ethtool_rxfh_context {
	u8 hfunc;
	u8 input_xfrm;
	u32 indir[128];
	u8 key[40];
};

#define ethtool_rxfh_context_key(ctx)	((ctx)->key)
#define ethtool_rxfh_context_indir(ctx)	((ctx)->indir)

struct ethtool_rxfh_fields {
	u32 data;
	u32 flow_type;
	u32 rss_context;
};

static inline u32 ethtool_rxfh_indir_default(u32 index, u32 queues)
{
	return index % queues;
}

void netdev_rss_key_fill(void *key, size_t len);

/* sockets, as far as placing looks at them */

struct proto;
struct proto_ops;
struct pid;
struct dma_buf;

struct dst_entry {
	u32 cookie;			/* valid for who knows this one */
};

struct sock {
	struct dst_entry *sk_rx_dst;
	int sk_rx_dst_ifindex;
	u32 sk_rx_dst_cookie;
};

struct tcp_sock {
	struct sock sk;
	u32 rcv_nxt;
	u32 rcv_wup;
	u32 rcv_wnd;
	u32 snd_una;
	u32 write_seq;
	u32 max_window;
};

/* sequence numbers */

static inline bool before(u32 a, u32 b)
{
	return (s32)(a - b) < 0;
}

#define after(a, b)	before(b, a)

static inline const struct tcp_sock *tcp_sk(const struct sock *sk)
{
	return (const struct tcp_sock *)sk;
}

static inline bool dst_check(const struct dst_entry *dst, u32 cookie)
{
	return dst->cookie == cookie;
}

/* tracepoints: somebody may look, nothing changes */

#define DECLARE_EVENT_CLASS(name, proto, ...)	struct fuzz_event_##name
#define DEFINE_EVENT(class, name, proto, args)				\
	static inline void trace_##name(proto) {}			\
	struct fuzz_event_##name
#define TRACE_EVENT(name, proto, ...)					\
	static inline void trace_##name(proto) {}			\
	struct fuzz_event_##name
#define TP_PROTO(...)		__VA_ARGS__

#endif /* FUZZ_SHIM_NET_H */
