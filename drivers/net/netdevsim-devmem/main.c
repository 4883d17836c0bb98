// SPDX-License-Identifier: GPL-2.0
/*
 * The module: the link kind "netdevsim-devmem" and the counters of live
 * objects in debugfs. Owns how a device is configured before it is registered
 * and which two make a link. Knows nothing of packets.
 */
#include <linux/capability.h>
#include <linux/debugfs.h>
#include <linux/etherdevice.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <net/rtnetlink.h>

#include "gpu.h"
#include "nsdm.h"

static bool nsdm_user_links;
module_param_named(user_links, nsdm_user_links, bool, 0644);
MODULE_PARM_DESC(user_links, "root of any user namespace may make links (default: no)");

static u32 nsdm_links_max = 64;
module_param_named(links_max, nsdm_links_max, uint, 0644);
MODULE_PARM_DESC(links_max, "links that there may be, of all users together");

static struct dentry *nsdm_debugfs;
atomic_t nsdm_nr_links = ATOMIC_INIT(0);
atomic_t nsdm_nr_rules = ATOMIC_INIT(0);

static void nsdm_setup(struct net_device *dev)
{
	ether_setup(dev);
	eth_hw_addr_random(dev);

	dev->netdev_ops = &nsdm_netdev_ops;
	dev->ethtool_ops = &nsdm_ethtool_ops;
	dev->sysfs_groups[0] = &nsdm_impair_group;
	dev->needs_free_netdev = true;
	dev->priv_destructor = nsdm_destructor;

	/* The wire keeps the skb and its cb, so nobody may share it. Netpoll
	 * may transmit from an interrupt, in the middle of the wire's lock.
	 */
	dev->priv_flags &= ~IFF_TX_SKB_SHARING;
	dev->priv_flags |= IFF_LIVE_ADDR_CHANGE | IFF_DISABLE_NETPOLL;

	dev->hw_features = NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_HIGHDMA |
			   NETIF_F_TSO | NETIF_F_TSO6 | NETIF_F_TSO_ECN |
			   NETIF_F_RXCSUM | NETIF_F_RXHASH | NETIF_F_NTUPLE |
			   NETIF_F_GRO_HW |
			   NETIF_F_HW_VLAN_CTAG_TX | NETIF_F_HW_VLAN_CTAG_RX;
	dev->features = dev->hw_features;
	dev->vlan_features = NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_HIGHDMA |
			     NETIF_F_TSO | NETIF_F_TSO6 | NETIF_F_TSO_ECN;

	xdp_set_features_flag(dev, NETDEV_XDP_ACT_BASIC |
				   NETDEV_XDP_ACT_REDIRECT |
				   NETDEV_XDP_ACT_RX_SG |
				   NETDEV_XDP_ACT_NDO_XMIT |
				   NETDEV_XDP_ACT_NDO_XMIT_SG);
	devmem_set_sends_netmem(dev);

	netif_set_tso_max_size(dev, NSDM_TSO_MAX);
	dev->min_mtu = ETH_MIN_MTU;
	dev->max_mtu = ETH_MAX_MTU;
}

/* The device that IFLA_LINK names, which becomes the other end. */
static struct net_device *nsdm_link_peer(struct net *net, u32 ifindex,
					 struct netlink_ext_ack *extack)
{
	struct net_device *peer, *other;
	struct nsdm *nd;

	peer = __dev_get_by_index(net, ifindex);
	if (!peer) {
		NL_SET_ERR_MSG_FMT_MOD(extack, "link %u does not exist",
				       ifindex);
		return ERR_PTR(-ENODEV);
	}
	if (peer->rtnl_link_ops != &nsdm_link_ops) {
		NL_SET_ERR_MSG_FMT_MOD(extack, "link %s is not of kind %s",
				       peer->name, NSDM_NAME);
		return ERR_PTR(-EINVAL);
	}
	nd = netdev_priv(peer);
	other = rtnl_dereference(nd->peer);
	if (other) {
		NL_SET_ERR_MSG_FMT_MOD(extack, "link %s is paired with %s",
				       peer->name, other->name);
		return ERR_PTR(-EBUSY);
	}
	return peer;
}

/* There is room for as many queues as the caller says, or for all that a link
 * can have. In use are, at first, as many as he says of either kind, or one for
 * each CPU.
 */
static int nsdm_use_queues(struct net_device *dev, struct nlattr *tb[])
{
	u32 rx = min_t(u32, num_online_cpus(), NSDM_QUEUES_DEFAULT), tx = rx;

	if (tb[IFLA_NUM_RX_QUEUES])
		rx = dev->num_rx_queues;
	if (tb[IFLA_NUM_TX_QUEUES])
		tx = dev->num_tx_queues;
	if (tb[IFLA_NUM_RX_QUEUES] && !tb[IFLA_NUM_TX_QUEUES])
		tx = rx;
	if (tb[IFLA_NUM_TX_QUEUES] && !tb[IFLA_NUM_RX_QUEUES])
		rx = tx;
	return netif_set_real_num_queues(dev, tx, rx);
}

static int nsdm_newlink(struct net_device *dev,
			struct rtnl_newlink_params *params,
			struct netlink_ext_ack *extack)
{
	struct nlattr **tb = params->tb;
	struct net_device *peer = NULL;
	int err;

	if (dev->num_rx_queues > NSDM_QUEUES_MAX ||
	    dev->num_tx_queues > NSDM_QUEUES_MAX) {
		NL_SET_ERR_MSG_FMT_MOD(extack, "%u queues, at most %u",
				       max(dev->num_rx_queues,
					   dev->num_tx_queues),
				       NSDM_QUEUES_MAX);
		return -EINVAL;
	}
	if (!READ_ONCE(nsdm_user_links) && !capable(CAP_NET_ADMIN)) {
		NL_SET_ERR_MSG_MOD(extack,
				   "links need the host's CAP_NET_ADMIN, or user_links=1");
		return -EPERM;
	}
	if (atomic_read(&nsdm_nr_links) >= READ_ONCE(nsdm_links_max)) {
		NL_SET_ERR_MSG_FMT_MOD(extack, "there are %u links already",
				       READ_ONCE(nsdm_links_max));
		return -ENOSPC;
	}
	if (tb[IFLA_LINK]) {
		peer = nsdm_link_peer(rtnl_newlink_link_net(params),
				      nla_get_u32(tb[IFLA_LINK]), extack);
		if (IS_ERR(peer))
			return PTR_ERR(peer);
	}

	err = nsdm_use_queues(dev, tb) ?: register_netdevice(dev);
	if (err)
		return err;

	netif_carrier_off(dev);
	if (peer)
		nsdm_pair(netdev_priv(dev), netdev_priv(peer));
	return 0;
}

DEVMEM_RTNL_NEWLINK(nsdm_newlink)

static void nsdm_dellink(struct net_device *dev, struct list_head *head)
{
	unregister_netdevice_queue(dev, head);
}

static struct net *nsdm_get_link_net(const struct net_device *dev)
{
	const struct nsdm *nd = netdev_priv(dev);
	struct net_device *peer = rcu_dereference_rtnl(nd->peer);

	return dev_net(peer ?: dev);
}

static unsigned int nsdm_num_queues(void)
{
	return NSDM_QUEUES_MAX;
}

struct rtnl_link_ops nsdm_link_ops = {
	.kind			= NSDM_NAME,
	.priv_size		= sizeof(struct nsdm),
	.setup			= nsdm_setup,
	.newlink		= DEVMEM_RTNL_NEWLINK_OP(nsdm_newlink),
	.dellink		= nsdm_dellink,
	.get_link_net		= nsdm_get_link_net,
	.get_num_tx_queues	= nsdm_num_queues,
	.get_num_rx_queues	= nsdm_num_queues,
};

static int nsdm_objects_show(struct seq_file *m, void *v)
{
	seq_printf(m, "links %d\n", atomic_read(&nsdm_nr_links));
	seq_printf(m, "rules %d\n", atomic_read(&nsdm_nr_rules));
	nsdm_gpu_show(m);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(nsdm_objects);

static int __init nsdm_module_init(void)
{
	int err;

	BUILD_BUG_ON(sizeof(struct nsdm_cb) > sizeof_field(struct sk_buff, cb));
	/* headers with all options, for the offsets in there */
	BUILD_BUG_ON(ETH_HLEN + 2 * 15 * 4 > U8_MAX);
	BUILD_BUG_ON(NSDM_QUEUES_MAX > BITS_PER_TYPE(u64));

	err = nsdm_gpu_register();
	if (err)
		return err;

	nsdm_debugfs = debugfs_create_dir(NSDM_NAME, NULL);
	debugfs_create_file("objects", 0444, nsdm_debugfs, NULL,
			    &nsdm_objects_fops);

	err = rtnl_link_register(&nsdm_link_ops);
	if (err) {
		debugfs_remove_recursive(nsdm_debugfs);
		nsdm_gpu_unregister();
	}
	return err;
}

static void __exit nsdm_module_exit(void)
{
	rtnl_link_unregister(&nsdm_link_ops);
	nsdm_dma_exit();
	debugfs_remove_recursive(nsdm_debugfs);
	nsdm_gpu_unregister();
}

module_init(nsdm_module_init);
module_exit(nsdm_module_exit);

MODULE_DESCRIPTION("NIC and GPU without hardware, for tests of device-memory TCP");
MODULE_LICENSE("GPL");
/* No MODULE_ALIAS_RTNL_LINK(): root of any user namespace can ask for a link kind, and
 * a test NIC is for machines whose root has loaded it.
 */
