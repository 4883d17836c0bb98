// SPDX-License-Identifier: GPL-2.0
/*
 * How many queues there are in use, ethtool -l and -L. Owns nsdm.rx_queues. A
 * link has combined channels, and rx or tx ones for what one kind has more of.
 * Knows nothing of packets.
 *
 * The link stays up while that changes, and no packet is lost but those that an
 * impairment holds: nothing is sent to a queue any more before it goes, and what
 * is on its wire by then goes where it would be sent now.
 */
#include <linux/ethtool.h>
#include <linux/rtnetlink.h>

#include "nsdm.h"

void nsdm_get_channels(struct net_device *dev, struct ethtool_channels *ch)
{
	ch->combined_count = min(dev->real_num_rx_queues,
				 dev->real_num_tx_queues);
	ch->rx_count = dev->real_num_rx_queues - ch->combined_count;
	ch->tx_count = dev->real_num_tx_queues - ch->combined_count;
	ch->max_combined = min(dev->num_rx_queues, dev->num_tx_queues);
	ch->max_rx = dev->num_rx_queues - ch->max_combined;
	ch->max_tx = dev->num_tx_queues - ch->max_combined;
}

u32 nsdm_get_rx_ring_count(struct net_device *dev)
{
	return dev->real_num_rx_queues;
}

/* From now on no queue from @queues on can be bound. There is nothing to put
 * a reason into, so it goes to the log.
 */
static int nsdm_claim_channels(struct nsdm *nd, u32 queues)
{
	int bound;

	mutex_lock(&nd->claim);
	bound = nsdm_pool_bound(nd, queues);
	if (bound < 0)
		nd->rx_queues = queues;
	else
		netdev_notice(nd->dev, "queue %d is bound: %u rx channels are too few\n",
			      bound, queues);
	mutex_unlock(&nd->claim);
	return bound < 0 ? 0 : -EBUSY;
}

static void nsdm_close_channels(struct nsdm *nd, u32 from, u32 to)
{
	while (to-- > from) {
		nsdm_rxq_leave(&nd->rxq[to]);
		netif_queue_set_napi(nd->dev, to, NETDEV_QUEUE_TYPE_RX, NULL);
	}
}

static int nsdm_open_channels(struct nsdm *nd, u32 from, u32 to)
{
	int err;
	u32 i;

	for (i = from; i < to; i++) {
		err = nsdm_rxq_open(&nd->rxq[i]);
		if (err) {
			nsdm_close_channels(nd, from, i);
			return err;
		}
		netif_queue_set_napi(nd->dev, i, NETDEV_QUEUE_TYPE_RX,
				     &nd->rxq[i].napi);
	}
	return 0;
}

static int nsdm_fewer_rx(struct nsdm *nd, u32 queues)
{
	u32 had = nd->dev->real_num_rx_queues;
	int err;

	err = nsdm_claim_channels(nd, queues);
	if (err)
		return err;
	err = nsdm_rss_spread(nd, queues);
	if (err) {
		nsdm_claim_channels(nd, had);
		return err;
	}
	if (netif_running(nd->dev))
		nsdm_close_channels(nd, queues, had);
	WARN_ON(netif_set_real_num_rx_queues(nd->dev, queues));
	return 0;
}

static int nsdm_more_rx(struct nsdm *nd, u32 queues)
{
	u32 had = nd->dev->real_num_rx_queues;
	int err;

	if (netif_running(nd->dev)) {
		err = nsdm_open_channels(nd, had, queues);
		if (err)
			return err;
	}
	err = netif_set_real_num_rx_queues(nd->dev, queues);
	if (err)
		goto err_close;
	err = nsdm_rss_spread(nd, queues);
	if (err)
		goto err_fewer;
	return nsdm_claim_channels(nd, queues);

err_fewer:
	netif_set_real_num_rx_queues(nd->dev, had);
err_close:
	if (netif_running(nd->dev))
		nsdm_close_channels(nd, had, queues);
	return err;
}

/* ethtool has seen to it that there are so many, and that neither a rule nor a
 * table that somebody has set names a queue that goes.
 */
int nsdm_set_channels(struct net_device *dev, struct ethtool_channels *ch)
{
	u32 rx = ch->combined_count + ch->rx_count;
	u32 tx = ch->combined_count + ch->tx_count;
	u32 had = dev->real_num_tx_queues;
	struct nsdm *nd = netdev_priv(dev);
	int err;

	err = netif_set_real_num_tx_queues(dev, tx);
	if (err)
		return err;
	if (rx < dev->real_num_rx_queues)
		err = nsdm_fewer_rx(nd, rx);
	else if (rx > dev->real_num_rx_queues)
		err = nsdm_more_rx(nd, rx);
	if (err) {
		netif_set_real_num_tx_queues(dev, had);
		return err;
	}
	nd->rx_seen = max(nd->rx_seen, rx);
	nd->tx_seen = max(nd->tx_seen, tx);
	return 0;
}
