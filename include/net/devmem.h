/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The contract between net/devmem and a NIC driver.
 *
 * net/devmem owns the buffer, its chunks, the sockets and how a placed packet
 * looks to the stack. The driver owns queues, rules and DMA. It learns of a
 * socket as a flow: an exact 4-tuple, a queue, and an opaque handle.
 *
 * What the driver does for each packet that matches a flow's rule, in the NAPI
 * poll of the rule's queue:
 *
 *	rcu_read_lock();
 *	for each packet {
 *		flow = (its own rule table, looked up under RCU);
 *		if (it is one segment, verified, without a VLAN tag &&
 *		    devmem_rx_continue(&q->rx, flow, headers, length, payload_len)) {
 *			DMA the payload to q->rx.seg[0], and if that worked:
 *			devmem_rx_extend(&q->rx, napi, headers);
 *			continue;
 *		}
 *		skb = headers only, MAC up to the last byte of the TCP header,
 *		      linear, after eth_type_trans(), network and transport
 *		      header set, ip_summed as verified; if it stands for
 *		      several segments, gso_size, gso_segs and gso_type, too;
 *		err = devmem_rx_reserve(flow, skb, payload_len, &q->rx);
 *		if (!err) {
 *			DMA the payload to q->rx.seg[0 .. nr_segs - 1];
 *			devmem_rx_commit(&q->rx, skb);	 or, if the DMA failed:
 *							 devmem_rx_abort(&q->rx)
 *		} else if (too long for host memory as one packet) {
 *			its segments, each as a packet of its own;
 *		} else {
 *			devmem_rx_skip(flow, payload_len, err);
 *			payload to host memory, as for any packet;
 *		}
 *		skb = devmem_rx_receive(&q->rx, napi, skb);
 *		if (skb)
 *			free it, or use it for the headers of the next packet;
 *	}
 *	devmem_rx_flush(&q->rx, napi);
 *	rcu_read_unlock();
 *	napi_complete_done(), if nothing is left;
 *
 * The first of these, the short way, may be left out: it makes no skb for a packet
 * that needs none.
 *
 * A packet that cannot be placed goes to host memory, never to the floor: TCP
 * mixes both.
 *
 * One that stands for several segments may be longer than the length fields of IP
 * can say. It has 0 there, and nothing else is different: no jumbo payload option
 * follows an IPv6 header, whatever the kernel makes of it later. Without the GSO marks
 * 0 is a wrong length.
 *
 * The driver keeps packets of one flow in order, and hands packets of attached
 * flows and all others to the stack through devmem_rx_receive(): placed packets
 * that continue each other may wait there until the end of the poll to become
 * one, and nothing must overtake them.
 */
#ifndef _NET_DEVMEM_H
#define _NET_DEVMEM_H

#include <linux/in6.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/types.h>

struct devmem_binding;
struct devmem_flow;

/**
 * struct devmem_flow_key - an exact 4-tuple, as in the packets that arrive
 * @family: AF_INET or AF_INET6
 * @sport: source port: the peer's
 * @dport: destination port: ours
 * @pad: zero
 * @saddr: source address: the peer's; the first word for AF_INET, rest zero
 * @daddr: destination address: ours; likewise
 *
 * Zeroed before it is filled, so it may be hashed and compared as bytes.
 */
struct devmem_flow_key {
	__u16 family;
	__be16 sport;
	__be16 dport;
	__u16 pad;
	__be32 saddr[4];
	__be32 daddr[4];
};

/**
 * struct devmem_dev_ops - what a NIC driver implements
 * @owner: the driver's module, pinned while a binding exists
 *
 * @queue_bind: @queue will serve flows of @binding. The rest of its traffic
 *	stays in host memory. Return -EBUSY and name the user in @extack if
 *	the queue is in use in a way that excludes this (XDP, another memory
 *	provider). From here until @queue_unbind the driver refuses what would
 *	break it: fewer channels, XDP, header split off.
 * @queue_unbind: the reverse. Cannot fail. No rule points to the queue any
 *	more.
 * @flow_add: deliver packets that match @key exactly to @queue and remember
 *	@flow with the rule. -ENOSPC when there is no room, -EEXIST when
 *	@key has a rule already.
 * @flow_del: remove the rule. Cannot fail. When it returns no new RCU reader
 *	finds @flow; net/devmem waits a grace period before it frees it.
 * @dma_ok: optional. Can the device reach these @len bytes at @addr? Asked
 *	once for each contiguous run of the buffer, at bind time.
 *
 * All are called from process context under net/devmem's lock for the device,
 * with or without RTNL, also while the interface is down. They may sleep. They
 * take neither RTNL nor a socket lock.
 */
struct devmem_dev_ops {
	struct module *owner;
	int (*queue_bind)(struct net_device *dev, u32 queue,
			  struct devmem_binding *binding,
			  struct netlink_ext_ack *extack);
	void (*queue_unbind)(struct net_device *dev, u32 queue);
	int (*flow_add)(struct net_device *dev, u32 queue,
			const struct devmem_flow_key *key,
			struct devmem_flow *flow);
	void (*flow_del)(struct net_device *dev, u32 queue,
			 const struct devmem_flow_key *key,
			 struct devmem_flow *flow);
	bool (*dma_ok)(struct net_device *dev, dma_addr_t addr, size_t len);
};

/**
 * devmem_dev_register() - a device that can receive into device memory appears
 * @dev: the device, before or after register_netdevice()
 * @dma_dev: the struct device that does the DMA; the dma-buf is mapped for it
 * @ops: the driver's operations, valid until devmem_dev_unregister() returns
 *
 * Return: 0, -EINVAL (an op is missing), -EEXIST or -ENOMEM.
 */
int devmem_dev_register(struct net_device *dev, struct device *dma_dev,
			const struct devmem_dev_ops *ops);

/**
 * devmem_dev_unregister() - the device goes
 * @dev: the device
 *
 * Takes back every rule and queue through the driver's ops and unmaps every
 * dma-buf, then forgets @ops. Bindings live on without a device until their
 * holders let go. Call it from ndo_uninit, or wherever the queues can still be
 * told to stop. Does nothing if @dev is not registered.
 */
void devmem_dev_unregister(struct net_device *dev);

/* Longest packet that is placed, IP header included. The length fields of IP do not
 * limit it, for it never leaves this host: TCP takes the length from the skb.
 * devmem_rx_receive() makes of several what gro_max_size allows.
 */
#define DEVMEM_RX_MAX_LEN	(256U * 1024)

/* Most contiguous pieces of one packet: the longest in chunks of 4 KiB, begun and
 * ended inside a chunk.
 */
#define DEVMEM_RX_MAX_SEGS	(DEVMEM_RX_MAX_LEN / 4096 + 2)

/**
 * struct devmem_rx - room for the payload of one packet, and packets that wait
 * @flow: whose packet
 * @nr_segs: number of pieces in @seg
 * @len: payload bytes in all
 * @seg: where the payload goes, in this order
 * @seg.addr: DMA address for the registered dma_dev
 * @seg.len: bytes
 *
 * Embed one in each queue, zeroed: it is too large for the stack. Owner: NAPI of
 * the queue. What is documented is valid from a successful devmem_rx_reserve() to
 * the commit or abort that follows in the same RCU read-side section.
 */
struct devmem_rx {
	struct devmem_flow *flow;
	unsigned int nr_segs;
	unsigned int len;
	struct {
		dma_addr_t addr;
		u32 len;
		/* private: */
		struct devmem_chunk *chunk;
		struct sk_buff *skb;
		u32 off;
		/* public: */
	} seg[DEVMEM_RX_MAX_SEGS];
	/* private: merge.c */
	u32 poll;			/* number of the poll */
	u32 end;			/* sequence number that it may be continued to */
	bool joins;			/* the packet continues the held one */
	struct sk_buff *tail;		/* else: its last payload skb */
	struct devmem_flow *placed;	/* whose packet comes next, with payload */
	struct devmem_flow *first;	/* flows with a held packet, in order */
	struct devmem_flow *last;
	/* public: */
};

/**
 * devmem_rx_reserve() - find room for one packet's payload
 * @flow: the flow whose rule matched
 * @skb: the packet's headers, see the top of this file
 * @len: payload bytes behind them, at least 1
 * @rx: filled on success
 *
 * NAPI context, RCU read side. Checks again that the packet is one that may be
 * placed, so that a driver need not know those rules.
 *
 * Return: 0; -ENOBUFS: no chunk is free; -ENOMEM; -EPROTO: this packet must go
 * to host memory (flags, options, checksum not verified);
 * -EMSGSIZE: it is longer than DEVMEM_RX_MAX_LEN, than GRO may make one (gro_max_size),
 * or than this host can take just now; its segments may be placed;
 * -EHOSTUNREACH: the socket has no valid route through this device just now;
 * -ESHUTDOWN: the flow or its binding is not active; -EALREADY: the payload has been
 * placed before, or TCP has it; -ERANGE: TCP would not take it now, going by sequence
 * and acknowledgment number; -EAGAIN: placing pauses, for placed packets have not
 * reached TCP.
 */
int devmem_rx_reserve(struct devmem_flow *flow, const struct sk_buff *skb,
		      unsigned int len, struct devmem_rx *rx);

/**
 * devmem_rx_continue() - room for a segment that continues what waits
 * @rx: of the queue
 * @flow: the flow whose rule matched
 * @hdr: headers, from MAC to the last byte of the TCP header, linear
 * @hdr_len: bytes of them
 * @len: payload bytes behind them
 *
 * The short way for most packets of a stream. The caller has verified TCP's checksum
 * and that of the IPv4 header, as the hardware does. There is no VLAN tag, neither in
 * @hdr nor beside it. NAPI context of the rule's queue, RCU read side.
 *
 * Return: true: @rx->seg[0] says where the payload goes; devmem_rx_extend() is to
 * follow, or nothing if the DMA failed. False: nothing was done or counted; the
 * packet goes the long way.
 */
bool devmem_rx_continue(struct devmem_rx *rx, struct devmem_flow *flow,
			const void *hdr, unsigned int hdr_len, unsigned int len);

/**
 * devmem_rx_extend() - the payload is in place: it belongs to what waits
 * @rx: from devmem_rx_continue()
 * @napi: of the queue
 * @hdr: the headers given to devmem_rx_continue()
 */
void devmem_rx_extend(struct devmem_rx *rx, struct napi_struct *napi,
		      const void *hdr);

/**
 * devmem_rx_skip() - a packet goes to host memory
 * @flow: the flow whose rule matched
 * @len: payload bytes of the packet
 * @err: what devmem_rx_reserve() has said; -EPROTO if the driver has not even asked
 *	it, because the packet has IP options, say
 *
 * Counts it as fallen back. Not for packets that the stack will drop, such as those
 * with a wrong checksum. NAPI context of the rule's queue, RCU read side.
 */
void devmem_rx_skip(struct devmem_flow *flow, unsigned int len, int err);

/**
 * devmem_rx_commit() - the payload is in place: make @skb the placed packet
 * @rx: from devmem_rx_reserve()
 * @skb: the headers given to devmem_rx_reserve(), unchanged
 *
 * The next call with @rx is devmem_rx_receive() of @skb. Until then the driver
 * leaves its length and data alone.
 */
void devmem_rx_commit(struct devmem_rx *rx, struct sk_buff *skb);

/**
 * devmem_rx_abort() - the payload did not get there: give the room back
 * @rx: from devmem_rx_reserve()
 */
void devmem_rx_abort(struct devmem_rx *rx);

/**
 * devmem_rx_receive() - hand a packet to the stack, now or with those to come
 * @rx: of the queue
 * @napi: of the queue
 * @skb: any packet, placed or not, ready for napi_gro_receive()
 *
 * What the kernel's GRO does for other packets: placed ones that continue each
 * other become one. They wait for that until devmem_rx_flush(), unless the
 * device has NETIF_F_GRO off. No packet overtakes one of its own connection.
 * NAPI context, RCU read side.
 *
 * Return: NULL, or @skb, still with headers only, if its payload has become part
 * of another packet: the caller frees it or uses it again.
 */
struct sk_buff *devmem_rx_receive(struct devmem_rx *rx, struct napi_struct *napi,
				  struct sk_buff *skb);

/**
 * devmem_rx_flush() - the poll ends: hand on what waits
 * @rx: of the queue
 * @napi: of the queue
 *
 * In the RCU read-side section of the devmem_rx_receive() calls, before
 * napi_complete_done(), however the poll ends.
 */
void devmem_rx_flush(struct devmem_rx *rx, struct napi_struct *napi);

#endif /* _NET_DEVMEM_H */
