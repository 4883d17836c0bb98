// SPDX-License-Identifier: GPL-2.0
/*
 * Between the NIC and its sockets: which devices stand above the NIC, and whether they
 * let its packets through. Routing knows a packet by the device that it last saw, which
 * is not always the NIC. Knows nothing of payload.
 */
#include <linux/if_macvlan.h>
#include <linux/netdevice.h>
#include <linux/tcp.h>
#include <net/inet_connection_sock.h>
#include <net/l3mdev.h>
#include <net/rtnetlink.h>

#include "devmem.h"

/* Is a packet that came in through interface @ifindex, as routing sees it, one of
 * @dev's? So it is if a VRF stands between. RCU read side.
 */
bool devmem_route_through(const struct net_device *dev, int ifindex)
{
	return ifindex == dev->ifindex ||
	       (netif_is_l3_slave(dev) && ifindex == l3mdev_master_ifindex_rcu(dev));
}

/* The handler of ipvlan takes what is for the addresses of its devices. */
static bool devmem_route_is_ipvlan(const struct net_device *dev)
{
	const char *kind = dev->rtnl_link_ops ? dev->rtnl_link_ops->kind : "";

	return !strcmp(kind, "ipvlan") || !strcmp(kind, "ipvtap");
}

/* The handler of macvlan takes what is for the addresses of its devices, but for two
 * modes: in one it takes everything, in the other it makes copies.
 */
static bool devmem_route_is_macvlan(const struct net_device *dev)
{
	const struct macvlan_dev *vlan = netdev_priv(dev);

	return netif_is_macvlan(dev) &&
	       !(READ_ONCE(vlan->mode) & (MACVLAN_MODE_PASSTHRU | MACVLAN_MODE_SOURCE));
}

/* Does the rx handler of @dev, which has one, take packets that are for the device's own
 * addresses? All do, those of bridge, bond and team among them, but for two. A device has
 * one handler: those above it tell which. RCU read side.
 */
bool devmem_route_diverted(struct net_device *dev)
{
	struct net_device *upper;
	struct list_head *iter;
	bool passes = false;

	netdev_for_each_upper_dev_rcu(dev, upper, iter) {
		if (devmem_route_is_macvlan(upper) || devmem_route_is_ipvlan(upper))
			passes = true;
		else if (netif_is_macvlan(upper))
			return true;
	}
	return !passes;
}

/* The interface through which the connection came in last, as routing sees it, or 0.
 * The SYN-ACK of an active open may have lost its route in the backlog: then the way
 * out tells, which is looked up again if an option has made the socket forget it. The
 * socket lock is held.
 */
static int devmem_route_ifindex(struct sock *sk)
{
	const struct dst_entry *dst;
	int ifindex = 0;

	if (rcu_access_pointer(sk->sk_rx_dst))
		return sk->sk_rx_dst_ifindex;
	if (inet_csk(sk)->icsk_af_ops->rebuild_header(sk))
		return 0;
	rcu_read_lock();
	dst = __sk_dst_get(sk);
	if (dst)
		ifindex = READ_ONCE(dst->dev)->ifindex;
	rcu_read_unlock();
	return ifindex;
}

/* Will the connection come in through the device with @ifindex? Placing looks at the
 * route of each packet anyway. The socket lock is held.
 *
 * Return: 0, -ENETUNREACH, or -ENETDOWN: while it is down nobody knows.
 */
int devmem_route_check(struct sock *sk, int ifindex)
{
	int through = devmem_route_ifindex(sk);
	const struct net_device *dev;
	int err = -ENETUNREACH;

	rcu_read_lock();
	dev = dev_get_by_index_rcu(sock_net(sk), ifindex);
	if (dev && devmem_route_through(dev, through))
		err = 0;
	else if (dev && !through && !(READ_ONCE(dev->flags) & IFF_UP))
		err = -ENETDOWN;
	rcu_read_unlock();
	return err;
}
