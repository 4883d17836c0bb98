// SPDX-License-Identifier: GPL-2.0
/*
 * The netdev: its life, its link to the peer, its counters. Owns struct nsdm.
 * Knows nothing of what is in a packet or a queue.
 */
#include <linux/etherdevice.h>
#include <linux/memcontrol.h>
#include <linux/platform_device.h>
#include <linux/rtnetlink.h>
#include <net/netdev_queues.h>

#include "nsdm.h"

/* The carrier is up while both ends are. */
static void nsdm_carrier_update(struct nsdm *nd, struct net_device *peer)
{
	if (peer && netif_running(nd->dev) && netif_running(peer)) {
		netif_carrier_on(nd->dev);
		netif_carrier_on(peer);
		return;
	}
	netif_carrier_off(nd->dev);
	if (peer)
		netif_carrier_off(peer);
}

static void nsdm_forget_waiters(struct nsdm *nd)
{
	u32 i;

	for (i = 0; i < nd->dev->num_rx_queues; i++)
		nsdm_rxq_forget_waiters(&nd->rxq[i]);
}

/* Neither has a peer. Who waited for room at an earlier one waits no more: that
 * one has been down since, and woke them.
 */
void nsdm_pair(struct nsdm *a, struct nsdm *b)
{
	ASSERT_RTNL();

	nsdm_forget_waiters(a);
	nsdm_forget_waiters(b);
	rcu_assign_pointer(a->peer, b->dev);
	rcu_assign_pointer(b->peer, a->dev);
	nsdm_carrier_update(a, b->dev);
}

/* Who has read the peer pointer before may use it until the grace period that
 * unregister_netdevice() waits for. @nd is down: its queues take no packets, so
 * nobody begins to wait for them.
 */
static void nsdm_unpair(struct nsdm *nd)
{
	struct net_device *peer = rtnl_dereference(nd->peer);
	struct nsdm *other;

	if (!peer)
		return;
	other = netdev_priv(peer);
	RCU_INIT_POINTER(nd->peer, NULL);
	RCU_INIT_POINTER(other->peer, NULL);
	nsdm_carrier_update(nd, peer);
}

static void nsdm_queues_free(struct nsdm *nd)
{
	kvfree(nd->rxq);
	kvfree(nd->txq);
}

static int nsdm_queues_alloc(struct nsdm *nd)
{
	struct net_device *dev = nd->dev;
	u32 i;

	nd->rxq = kvcalloc(dev->num_rx_queues, sizeof(*nd->rxq),
			   GFP_KERNEL_ACCOUNT);
	nd->txq = kvcalloc(dev->num_tx_queues, sizeof(*nd->txq),
			   GFP_KERNEL_ACCOUNT);
	if (!nd->rxq || !nd->txq) {
		kvfree(nd->rxq);
		kvfree(nd->txq);
		return -ENOMEM;
	}
	for (i = 0; i < dev->num_rx_queues; i++)
		nsdm_rxq_init(nd, i);
	for (i = 0; i < dev->num_tx_queues; i++)
		nsdm_txq_init(&nd->txq[i]);
	return 0;
}

/* What the link receives into is charged to whoever makes it, but where that is
 * the root of all cgroups: nothing is charged there.
 */
static void nsdm_memcg_get(struct nsdm *nd)
{
	struct mem_cgroup *memcg = get_mem_cgroup_from_mm(current->mm);

	if (memcg && !parent_mem_cgroup(memcg)) {
		mem_cgroup_put(memcg);
		memcg = NULL;
	}
	nd->memcg = memcg;
}

static int nsdm_init(struct net_device *dev)
{
	struct nsdm *nd = netdev_priv(dev);
	int err;

	nd->dev = dev;
	nd->split = true;
	nd->split_auto = true;
	nd->gro = true;
	nd->rx_queues = dev->real_num_rx_queues;
	nd->rx_seen = dev->real_num_rx_queues;
	nd->tx_seen = dev->real_num_tx_queues;
	nd->rx_ring = NSDM_RING_SIZE;
	nd->tx_ring = NSDM_RING_SIZE;
	nd->rx_buf_len = PAGE_SIZE;
	memcpy(dev->perm_addr, dev->dev_addr, dev->addr_len);
	mutex_init(&nd->claim);
	dev->queue_mgmt_ops = &nsdm_queue_mgmt_ops;
	dev->stat_ops = &nsdm_stat_ops;
	nsdm_impair_init(nd);

	err = nsdm_dma_create(nd);
	if (err)
		return err;
	nsdm_memcg_get(nd);
	SET_NETDEV_DEV(dev, &nd->dma->dev);

	err = nsdm_rss_init(nd);
	if (err)
		goto err_dma;
	err = nsdm_rules_init(nd);
	if (err)
		goto err_rss;
	err = nsdm_queues_alloc(nd);
	if (err)
		goto err_rules;
	err = devmem_dev_register(dev, &nd->dma->dev, &nsdm_devmem_ops);
	if (err)
		goto err_queues;

	atomic_inc(&nsdm_nr_links);
	return 0;

err_queues:
	nsdm_queues_free(nd);
err_rules:
	nsdm_rules_free(nd);
err_rss:
	nsdm_rss_free(nd);
err_dma:
	mem_cgroup_put(nd->memcg);
	nsdm_dma_destroy(nd);
	return err;
}

/* The device is down. Rules and bindings go first, then the link. */
static void nsdm_uninit(struct net_device *dev)
{
	devmem_dev_unregister(dev);
	nsdm_unpair(netdev_priv(dev));
}

/* After the last reference and a grace period: nobody has the peer's pointer to
 * us, a rule or a queue any more.
 */
void nsdm_destructor(struct net_device *dev)
{
	struct nsdm *nd = netdev_priv(dev);

	nsdm_queues_free(nd);
	nsdm_ntuple_free(nd);
	nsdm_rules_free(nd);
	nsdm_rss_free(nd);
	mem_cgroup_put(nd->memcg);
	nsdm_dma_destroy(nd);
	atomic_dec(&nsdm_nr_links);
}

static int nsdm_open(struct net_device *dev)
{
	struct nsdm *nd = netdev_priv(dev);
	int err;
	u32 i;

	for (i = 0; i < dev->real_num_rx_queues; i++) {
		err = nsdm_rxq_open(&nd->rxq[i]);
		if (err)
			goto err_queues;
		netif_queue_set_napi(dev, i, NETDEV_QUEUE_TYPE_RX,
				     &nd->rxq[i].napi);
	}
	for (i = 0; i < dev->num_tx_queues; i++)
		nsdm_txq_reset(nd, i);
	netif_tx_start_all_queues(dev);
	nsdm_carrier_update(nd, rtnl_dereference(nd->peer));
	return 0;

err_queues:
	while (i--) {
		nsdm_rxq_stop(&nd->rxq[i]);
		netif_queue_set_napi(dev, i, NETDEV_QUEUE_TYPE_RX, NULL);
	}
	return err;
}

static int nsdm_stop(struct net_device *dev)
{
	struct nsdm *nd = netdev_priv(dev);
	u32 i;

	nsdm_carrier_update(nd, rtnl_dereference(nd->peer));
	netif_tx_disable(dev);
	for (i = 0; i < dev->num_tx_queues; i++)
		nsdm_txq_reset(nd, i);
	for (i = 0; i < dev->real_num_rx_queues; i++) {
		nsdm_rxq_stop(&nd->rxq[i]);
		netif_queue_set_napi(dev, i, NETDEV_QUEUE_TYPE_RX, NULL);
	}
	return 0;
}

/* What goes to a memory provider nobody but the hardware can verify. Hardware
 * GRO is GRO: without the one there is none of the other. An XDP program sees
 * packets as they are on the wire.
 */
static netdev_features_t nsdm_fix_features(struct net_device *dev,
					   netdev_features_t features)
{
	const struct nsdm *nd = netdev_priv(dev);
	u32 i;

	if (nd->xdp)
		features &= ~NETIF_F_GRO_HW;
	for (i = 0; i < dev->num_rx_queues; i++) {
		if (features & NETIF_F_RXCSUM || !nd->rxq[i].provided)
			continue;
		netdev_notice(dev, "queue %u serves a memory provider: rx-checksumming stays on\n",
			      i);
		features |= NETIF_F_RXCSUM;
	}
	if (!(features & NETIF_F_GRO))
		features &= ~NETIF_F_GRO_HW;
	return features;
}

/* When hardware GRO is off no poll goes on that had begun with it. */
static int nsdm_set_features(struct net_device *dev,
			     netdev_features_t features)
{
	struct nsdm *nd = netdev_priv(dev);
	bool gro = features & NETIF_F_GRO_HW;

	if (!(features & NETIF_F_NTUPLE))
		nsdm_ntuple_clear(nd);
	if (nd->gro != gro) {
		WRITE_ONCE(nd->gro, gro);
		if (!gro)
			synchronize_net();
	}
	return 0;
}

static int nsdm_get_iflink(const struct net_device *dev)
{
	const struct nsdm *nd = netdev_priv(dev);
	struct net_device *peer;
	int iflink;

	rcu_read_lock();
	peer = rcu_dereference(nd->peer);
	iflink = READ_ONCE((peer ?: dev)->ifindex);
	rcu_read_unlock();
	return iflink;
}

static void nsdm_get_stats64(struct net_device *dev,
			     struct rtnl_link_stats64 *stats)
{
	const struct nsdm *nd = netdev_priv(dev);

	stats->rx_packets = nsdm_rx_stat(nd, NSDM_RX_PACKETS);
	stats->rx_bytes = nsdm_rx_stat(nd, NSDM_RX_BYTES);
	stats->rx_length_errors = nsdm_rx_stat(nd, NSDM_RX_DROP_LENGTH);
	stats->rx_errors = stats->rx_length_errors;
	stats->rx_dropped = nsdm_rx_stat(nd, NSDM_RX_DROP_NOMEM) +
			    nsdm_rx_stat(nd, NSDM_RX_DROP_UNREADABLE) +
			    nsdm_rx_stat(nd, NSDM_RX_DROP_DOWN);
	stats->tx_packets = nsdm_tx_stat(nd, NSDM_TX_PACKETS);
	stats->tx_bytes = nsdm_tx_stat(nd, NSDM_TX_BYTES);
	stats->tx_carrier_errors = nsdm_tx_stat(nd, NSDM_TX_DROP_LINK);
	stats->tx_errors = stats->tx_carrier_errors;
	stats->tx_dropped = nsdm_tx_stat(nd, NSDM_TX_DROP_BAD) +
			    nsdm_tx_stat(nd, NSDM_TX_DROP_NOMEM);
}

const struct net_device_ops nsdm_netdev_ops = {
	.ndo_init		= nsdm_init,
	.ndo_uninit		= nsdm_uninit,
	.ndo_open		= nsdm_open,
	.ndo_stop		= nsdm_stop,
	.ndo_start_xmit		= nsdm_start_xmit,
	.ndo_get_stats64	= nsdm_get_stats64,
	.ndo_fix_features	= nsdm_fix_features,
	.ndo_set_features	= nsdm_set_features,
	.ndo_get_iflink		= nsdm_get_iflink,
	.ndo_bpf		= nsdm_xdp,
	.ndo_xdp_xmit		= nsdm_xdp_xmit,
	.ndo_set_mac_address	= eth_mac_addr,
	.ndo_validate_addr	= eth_validate_addr,
};
