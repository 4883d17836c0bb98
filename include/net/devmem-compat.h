/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The only file that knows kernel versions. The code is written for the newest
 * kernel; where 6.12 differs, its own name or signature is made up for here, or
 * a wrapper says what the difference is about.
 */
#ifndef _NET_DEVMEM_COMPAT_H
#define _NET_DEVMEM_COMPAT_H

#include <linux/version.h>

/* The build asks this before it compiles anything, see Kbuild. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 91) || \
	(LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0) && \
	 LINUX_VERSION_CODE < KERNEL_VERSION(7, 2, 0))
#error "netdev-devmem needs Linux 6.12, from 6.12.91 on, or 7.2 or newer"
#endif

#ifndef CONFIG_64BIT
#error "netdev-devmem needs a 64-bit kernel"
#endif

#include <linux/dma-buf.h>
#include <linux/ethtool.h>
#include <linux/hrtimer.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/rtnetlink.h>
#include <linux/socket.h>
#include <net/inet_common.h>
#include <net/ipv6.h>
#include <net/netdev_queues.h>
#include <net/netlink.h>
#include <net/page_pool/helpers.h>
#include <net/rtnetlink.h>
#include <net/tcp.h>

#define DEVMEM_KERNEL_6_12	(LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0))

/* Within 6.12. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 111)
#define nlmsg_for_each_attr_type(pos, type, nlh, hdrlen, rem)		\
	nlmsg_for_each_attr(pos, nlh, hdrlen, rem)			\
		if (nla_type(pos) == (type))

/* Which fields are hashed is asked for by get_rxnfc() and set_rxnfc(). */
struct ethtool_rxfh_fields {
	u32 data;
	u32 flow_type;
	u32 rss_context;
};

#define DEVMEM_ETHTOOL_RXFH_FIELDS_OPS(get, set)
#else
#define DEVMEM_ETHTOOL_RXFH_FIELDS_OPS(get, set)			\
	.get_rxfh_fields	= (get),				\
	.set_rxfh_fields	= (set),
#endif

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 112)
static inline netmem_ref page_pool_alloc_netmems(struct page_pool *pool,
						 gfp_t gfp)
{
	return page_pool_alloc_netmem(pool, gfp);
}

/* Memory of a provider is not synced at all. */
static inline void page_pool_dma_sync_netmem_for_cpu(const struct page_pool *pool,
						     netmem_ref netmem,
						     u32 offset, u32 len)
{
	if (!netmem_is_net_iov(netmem))
		page_pool_dma_sync_for_cpu(pool, netmem_to_page(netmem), offset,
					   len);
}
#endif

#if DEVMEM_KERNEL_6_12

#define DEVMEM_IMPORT_NS_DMA_BUF()	MODULE_IMPORT_NS(DMA_BUF)

static inline void hrtimer_setup(struct hrtimer *timer,
				 enum hrtimer_restart (*function)(struct hrtimer *),
				 clockid_t clock, enum hrtimer_mode mode)
{
	hrtimer_init(timer, clock, mode);
	timer->function = function;
}

/* The lock for settings of a device is RTNL. On newer kernels it is the device's
 * own, with RTNL only where the driver asks for that, too; it is not taken before
 * the device can be found, nor when it cannot be found any more.
 */
#define devmem_assert_settings_locked(dev)	ASSERT_RTNL()
#define devmem_settings_dereference(dev, p)	rtnl_dereference(p)
#define DEVMEM_ETHTOOL_OPS_NEED_RTNL(ops)

/* tcp_data_split in a setting may be what get_ringparam() has said, and not what
 * somebody wants.
 */
#define DEVMEM_RING_TELLS_WISH		false

#define netif_napi_add_config_locked(dev, napi, poll, index)		\
	netif_napi_add(dev, napi, poll)
#define netif_napi_del_locked(napi)		netif_napi_del(napi)
#define napi_enable_locked(napi)	napi_enable(napi)
#define napi_disable_locked(napi)	napi_disable(napi)

/* What a new link is made of. */
struct rtnl_newlink_params {
	struct net *link_net;
	struct nlattr **tb;
};

static inline struct net *rtnl_newlink_link_net(struct rtnl_newlink_params *p)
{
	return p->link_net;
}

#define DEVMEM_RTNL_NEWLINK(fn)						\
static int fn##_6_12(struct net *link_net, struct net_device *dev,	\
		     struct nlattr *tb[], struct nlattr *data[],	\
		     struct netlink_ext_ack *extack)			\
{									\
	struct rtnl_newlink_params params = {				\
		.link_net	= link_net,				\
		.tb		= tb,					\
	};								\
									\
	return fn(dev, &params, extack);				\
}
#define DEVMEM_RTNL_NEWLINK_OP(fn)	fn##_6_12

/* Configuration of one queue: there is none. */
struct netdev_queue_config {
	u32 rx_page_size;
};

#define netdev_queue_config(dev, idx, qcfg)	memset(qcfg, 0, sizeof(*(qcfg)))
#define DEVMEM_QUEUE_CONFIG_OPS(defaults, validate, params)

#define DEVMEM_QUEUE_MEM_ALLOC(fn)					\
static int fn##_6_12(struct net_device *dev, void *mem, int idx)	\
{									\
	struct netdev_queue_config qcfg = {};				\
									\
	return fn(dev, &qcfg, mem, idx);				\
}
#define DEVMEM_QUEUE_START(fn)		DEVMEM_QUEUE_MEM_ALLOC(fn)
#define DEVMEM_QUEUE_OP(fn)		fn##_6_12

#define DEVMEM_ETHTOOL_RING_COUNT_OP(get)

/* No device can send memory that nobody can read. */
static inline void devmem_set_sends_netmem(struct net_device *dev)
{
}

static inline bool devmem_sends_netmem(const struct net_device *dev)
{
	return false;
}

/* Header split has no threshold. */
#define DEVMEM_RING_USE_HDS_THRS	0

static inline void devmem_ring_put_hds_thresh(struct kernel_ethtool_ringparam *ring,
					      u32 thresh, u32 max)
{
}

static inline u32 devmem_ring_hds_thresh(const struct kernel_ethtool_ringparam *ring)
{
	return 0;
}

/* Only with CONFIG_DMABUF_MOVE_NOTIFY may the buffer of a dynamic importer move
 * while it is mapped, unless the importer pins it.
 */
#define DEVMEM_DMABUF_MAP_PINS		(!IS_ENABLED(CONFIG_DMABUF_MOVE_NOTIFY))
#define invalidate_mappings		move_notify
#define dma_buf_invalidate_mappings	dma_buf_move_notify

typedef struct timespec64 devmem_tstamp_t;

static inline devmem_tstamp_t devmem_tstamp(ktime_t t)
{
	return t ? ktime_to_timespec64(t) : (struct timespec64) {};
}

static inline bool devmem_tstamp_is_set(devmem_tstamp_t t)
{
	return t.tv_sec || t.tv_nsec;
}

static inline struct timespec64 devmem_tstamp_to_timespec64(devmem_tstamp_t t)
{
	return t;
}

/* recvmsg() of a protocol hands the length of the peer's address out; newer
 * kernels have it in msg->msg_namelen only.
 */
static inline int devmem_recv_error(struct sock *sk, struct msghdr *msg, int len)
{
	int addr_len = 0, ret;

	ret = inet_recv_error(sk, msg, len, &addr_len);
	msg->msg_namelen = addr_len;
	return ret;
}

#define DEVMEM_PROTO_RECVMSG(fn)					\
static int fn##_6_12(struct sock *sk, struct msghdr *msg, size_t len,	\
		     int flags, int *addr_len)				\
{									\
	int ret = fn(sk, msg, len, flags);				\
									\
	if (flags & MSG_ERRQUEUE)					\
		*addr_len = msg->msg_namelen;				\
	return ret;							\
}
#define DEVMEM_PROTO_RECVMSG_OP(fn)	fn##_6_12

/* An IPv6 packet of more than 65535 bytes has a jumbo payload option, before which
 * MAC and IP header move forward: if there is @room before the MAC header, and if the
 * option would not be refused. napi_gro_receive() does not know it for one of its
 * connection then.
 */
static inline bool devmem_ipv6_may_be_big(const struct net_device *dev,
					  unsigned int room)
{
	const struct net *net = dev_net(dev);

	return room >= sizeof(struct hop_jumbo_hdr) &&
	       READ_ONCE(net->ipv6.sysctl.max_hbh_opts_cnt) &&
	       READ_ONCE(net->ipv6.sysctl.max_hbh_opts_len) >=
			(int)sizeof(struct hop_jumbo_hdr);
}

static inline void devmem_ipv6_make_big(struct napi_struct *napi,
					struct sk_buff *skb, u32 payload_len)
{
	struct hop_jumbo_hdr *jumbo;
	struct ipv6hdr *iph;

	napi_gro_flush(napi, false);
	memmove(skb_mac_header(skb) - sizeof(*jumbo), skb_mac_header(skb),
		skb_transport_header(skb) - skb_mac_header(skb));
	skb->mac_header -= sizeof(*jumbo);
	skb->network_header -= sizeof(*jumbo);
	__skb_push(skb, sizeof(*jumbo));

	iph = ipv6_hdr(skb);
	jumbo = (struct hop_jumbo_hdr *)(iph + 1);
	jumbo->nexthdr = iph->nexthdr;
	jumbo->hdrlen = 0;
	jumbo->tlv_type = IPV6_TLV_JUMBO;
	jumbo->tlv_len = sizeof(jumbo->jumbo_payload_len);
	jumbo->jumbo_payload_len = htonl(payload_len + sizeof(*jumbo));
	iph->nexthdr = NEXTHDR_HOP;
	iph->payload_len = 0;
}

/* The stack of the sender makes that option, too, of which TSO leaves nothing on the
 * wire.
 */
static inline int devmem_ipv6_big_to_wire(struct sk_buff *skb)
{
	return skb_is_gso(skb) ? ipv6_hopopt_jumbo_remove(skb) : 0;
}

#else /* 7.2 and newer */

#include <net/netdev_lock.h>

#define DEVMEM_IMPORT_NS_DMA_BUF()	MODULE_IMPORT_NS("DMA_BUF")

#define devmem_assert_settings_locked(dev)				\
	netdev_assert_locked_or_invisible(dev)
#define devmem_settings_dereference(dev, p)				\
	rcu_dereference_protected(p, lockdep_is_held(&(dev)->lock) ||	\
				  (dev)->reg_state != NETREG_REGISTERED)
#define DEVMEM_ETHTOOL_OPS_NEED_RTNL(ops)	.op_needs_rtnl = (ops),

#define DEVMEM_RING_TELLS_WISH		true

#define DEVMEM_RTNL_NEWLINK(fn)
#define DEVMEM_RTNL_NEWLINK_OP(fn)	fn

#define DEVMEM_QUEUE_CONFIG_OPS(defaults, validate, params)		\
	.ndo_default_qcfg	= (defaults),				\
	.ndo_validate_qcfg	= (validate),				\
	.supported_params	= (params),
#define DEVMEM_QUEUE_MEM_ALLOC(fn)
#define DEVMEM_QUEUE_START(fn)
#define DEVMEM_QUEUE_OP(fn)		fn

#define DEVMEM_ETHTOOL_RING_COUNT_OP(get)				\
	.get_rx_ring_count	= (get),

static inline void devmem_set_sends_netmem(struct net_device *dev)
{
	dev->netmem_tx = NETMEM_TX_DMA;
}

/* The core has seen to it then that the memory is bound to this device. */
static inline bool devmem_sends_netmem(const struct net_device *dev)
{
	return dev->netmem_tx == NETMEM_TX_DMA;
}

#define DEVMEM_RING_USE_HDS_THRS	ETHTOOL_RING_USE_HDS_THRS

static inline void devmem_ring_put_hds_thresh(struct kernel_ethtool_ringparam *ring,
					      u32 thresh, u32 max)
{
	ring->hds_thresh = thresh;
	ring->hds_thresh_max = max;
}

static inline u32 devmem_ring_hds_thresh(const struct kernel_ethtool_ringparam *ring)
{
	return ring->hds_thresh;
}

#define DEVMEM_DMABUF_MAP_PINS		false

typedef ktime_t devmem_tstamp_t;

static inline devmem_tstamp_t devmem_tstamp(ktime_t t)
{
	return t;
}

static inline bool devmem_tstamp_is_set(devmem_tstamp_t t)
{
	return t;
}

static inline struct timespec64 devmem_tstamp_to_timespec64(devmem_tstamp_t t)
{
	return ktime_to_timespec64(t);
}

/* As IPv4: the GSO marks say that the length is that of the skb. */
static inline bool devmem_ipv6_may_be_big(const struct net_device *dev,
					  unsigned int room)
{
	return true;
}

static inline void devmem_ipv6_make_big(struct napi_struct *napi,
					struct sk_buff *skb, u32 payload_len)
{
	ipv6_set_payload_len(ipv6_hdr(skb), payload_len);
}

static inline int devmem_ipv6_big_to_wire(struct sk_buff *skb)
{
	return 0;
}

#define devmem_recv_error(sk, msg, len)	inet_recv_error(sk, msg, len)
#define DEVMEM_PROTO_RECVMSG(fn)
#define DEVMEM_PROTO_RECVMSG_OP(fn)	fn

#endif

#endif /* _NET_DEVMEM_COMPAT_H */
