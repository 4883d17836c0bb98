// SPDX-License-Identifier: GPL-2.0
/*
 * The netdev: its life, its link to the peer, its counters. Owns struct nsdm.
 * Knows nothing of what is in a packet or a queue.
 */
#include <linux/etherdevice.h>
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
	u32 i;

	for (i = 0; i < nd->dev->num_rx_queues; i++)
		nsdm_rxq_free(&nd->rxq[i]);
	synchronize_net();	/* who looks a NAPI up by its id */
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
		u64_stats_init(&nd->txq[i].stats.syncp);
	return 0;
}

static int nsdm_init(struct net_device *dev)
{
	struct nsdm *nd = netdev_priv(dev);
	int err;

	nd->dev = dev;
	nd->hash_seed = get_random_u32();
	nsdm_impair_init(nd);

	nd->dma = nsdm_dma_create();
	if (IS_ERR(nd->dma))
		return PTR_ERR(nd->dma);
	SET_NETDEV_DEV(dev, &nd->dma->dev);

	err = nsdm_rules_init(nd);
	if (err)
		goto err_dma;
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
err_dma:
	nsdm_dma_destroy(nd->dma);
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
	nsdm_rules_free(nd);
	nsdm_dma_destroy(nd->dma);
	atomic_dec(&nsdm_nr_links);
}

static int nsdm_open(struct net_device *dev)
{
	struct nsdm *nd = netdev_priv(dev);
	u32 i;

	for (i = 0; i < dev->num_rx_queues; i++) {
		netif_queue_set_napi(dev, i, NETDEV_QUEUE_TYPE_RX,
				     &nd->rxq[i].napi);
		nsdm_rxq_open(&nd->rxq[i]);
	}
	netif_tx_start_all_queues(dev);
	nsdm_carrier_update(nd, rtnl_dereference(nd->peer));
	return 0;
}

static int nsdm_stop(struct net_device *dev)
{
	struct nsdm *nd = netdev_priv(dev);
	u32 i;

	nsdm_carrier_update(nd, rtnl_dereference(nd->peer));
	netif_tx_disable(dev);
	for (i = 0; i < dev->num_rx_queues; i++) {
		nsdm_rxq_stop(&nd->rxq[i]);
		netif_queue_set_napi(dev, i, NETDEV_QUEUE_TYPE_RX, NULL);
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
			    nsdm_rx_stat(nd, NSDM_RX_DROP_DOWN);
	stats->tx_packets = nsdm_tx_stat(nd, NSDM_TX_PACKETS);
	stats->tx_bytes = nsdm_tx_stat(nd, NSDM_TX_BYTES);
	stats->tx_carrier_errors = nsdm_tx_stat(nd, NSDM_TX_DROP_LINK);
	stats->tx_errors = stats->tx_carrier_errors;
	stats->tx_dropped = nsdm_tx_stat(nd, NSDM_TX_DROP_BAD);
}

const struct net_device_ops nsdm_netdev_ops = {
	.ndo_init		= nsdm_init,
	.ndo_uninit		= nsdm_uninit,
	.ndo_open		= nsdm_open,
	.ndo_stop		= nsdm_stop,
	.ndo_start_xmit		= nsdm_start_xmit,
	.ndo_get_stats64	= nsdm_get_stats64,
	.ndo_get_iflink		= nsdm_get_iflink,
	.ndo_set_mac_address	= eth_mac_addr,
	.ndo_validate_addr	= eth_validate_addr,
};
