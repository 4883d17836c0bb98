// SPDX-License-Identifier: GPL-2.0
/*
 * What the device tells ethtool, and the names of its counters. Changes
 * nothing.
 */
#include <linux/ethtool.h>
#include <linux/ethtool_netlink.h>

#include "nsdm.h"

static const char *const nsdm_rx_stat_names[NSDM_RX_STATS] = {
	[NSDM_RX_PACKETS]		= "packets",
	[NSDM_RX_BYTES]			= "bytes",
	[NSDM_RX_PLACED_PACKETS]	= "placed_packets",
	[NSDM_RX_PLACED_BYTES]		= "placed_bytes",
	[NSDM_RX_FALLBACK_NOBUFS]	= "fallback_nobufs",
	[NSDM_RX_FALLBACK_NOMEM]	= "fallback_nomem",
	[NSDM_RX_FALLBACK_PROTO]	= "fallback_proto",
	[NSDM_RX_FALLBACK_ROUTE]	= "fallback_route",
	[NSDM_RX_FALLBACK_SHUTDOWN]	= "fallback_shutdown",
	[NSDM_RX_FALLBACK_PACKET]	= "fallback_packet",
	[NSDM_RX_STRAYS]		= "strays",
	[NSDM_RX_CSUM_ERRORS]		= "csum_errors",
	[NSDM_RX_DROP_LENGTH]		= "drop_length",
	[NSDM_RX_DROP_NOMEM]		= "drop_nomem",
	[NSDM_RX_DROP_DOWN]		= "drop_down",
	[NSDM_RX_IMPAIR_LOSS]		= "impair_loss",
	[NSDM_RX_IMPAIR_DUPLICATE]	= "impair_duplicate",
	[NSDM_RX_IMPAIR_CORRUPT]	= "impair_corrupt",
	[NSDM_RX_IMPAIR_REORDER]	= "impair_reorder",
	[NSDM_RX_IMPAIR_DELAY]		= "impair_delay",
};

static const char *const nsdm_tx_stat_names[NSDM_TX_STATS] = {
	[NSDM_TX_PACKETS]		= "packets",
	[NSDM_TX_BYTES]			= "bytes",
	[NSDM_TX_STOPS]			= "stops",
	[NSDM_TX_DROP_LINK]		= "drop_link",
	[NSDM_TX_DROP_BAD]		= "drop_bad",
};

/* These are shown for each queue besides the sum over all. */
#define NSDM_RX_STATS_QUEUE	(NSDM_RX_PLACED_BYTES + 1)
#define NSDM_TX_STATS_QUEUE	(NSDM_TX_STOPS + 1)

static u64 nsdm_stat_read(const struct u64_stats_sync *syncp,
			  const u64_stats_t *v)
{
	unsigned int start;
	u64 val;

	do {
		start = u64_stats_fetch_begin(syncp);
		val = u64_stats_read(v);
	} while (u64_stats_fetch_retry(syncp, start));
	return val;
}

static u64 nsdm_rxq_stat(const struct nsdm *nd, u32 i, enum nsdm_rx_stat stat)
{
	const struct nsdm_rx_stats *stats = &nd->rxq[i].stats;

	return nsdm_stat_read(&stats->syncp, &stats->v[stat]);
}

static u64 nsdm_txq_stat(const struct nsdm *nd, u32 i, enum nsdm_tx_stat stat)
{
	const struct nsdm_tx_stats *stats = &nd->txq[i].stats;

	return nsdm_stat_read(&stats->syncp, &stats->v[stat]);
}

u64 nsdm_rx_stat(const struct nsdm *nd, enum nsdm_rx_stat stat)
{
	u64 sum = 0;
	u32 i;

	for (i = 0; i < nd->dev->num_rx_queues; i++)
		sum += nsdm_rxq_stat(nd, i, stat);
	return sum;
}

u64 nsdm_tx_stat(const struct nsdm *nd, enum nsdm_tx_stat stat)
{
	u64 sum = 0;
	u32 i;

	for (i = 0; i < nd->dev->num_tx_queues; i++)
		sum += nsdm_txq_stat(nd, i, stat);
	return sum;
}

/* Sums are rx_NAME and tx_NAME, those of a queue rxN_NAME and txN_NAME. */
static void nsdm_get_strings(struct net_device *dev, u32 set, u8 *data)
{
	int i, s;

	if (set != ETH_SS_STATS)
		return;
	ethtool_puts(&data, "rules");
	for (s = 0; s < NSDM_RX_STATS; s++)
		ethtool_sprintf(&data, "rx_%s", nsdm_rx_stat_names[s]);
	for (s = 0; s < NSDM_TX_STATS; s++)
		ethtool_sprintf(&data, "tx_%s", nsdm_tx_stat_names[s]);
	for (i = 0; i < dev->num_rx_queues; i++)
		for (s = 0; s < NSDM_RX_STATS_QUEUE; s++)
			ethtool_sprintf(&data, "rx%d_%s", i,
					nsdm_rx_stat_names[s]);
	for (i = 0; i < dev->num_tx_queues; i++)
		for (s = 0; s < NSDM_TX_STATS_QUEUE; s++)
			ethtool_sprintf(&data, "tx%d_%s", i,
					nsdm_tx_stat_names[s]);
}

static int nsdm_get_sset_count(struct net_device *dev, int set)
{
	if (set != ETH_SS_STATS)
		return -EOPNOTSUPP;
	return 1 + NSDM_RX_STATS + NSDM_TX_STATS +
	       dev->num_rx_queues * NSDM_RX_STATS_QUEUE +
	       dev->num_tx_queues * NSDM_TX_STATS_QUEUE;
}

static void nsdm_get_ethtool_stats(struct net_device *dev,
				   struct ethtool_stats *stats, u64 *data)
{
	const struct nsdm *nd = netdev_priv(dev);
	int i, s;

	*data++ = READ_ONCE(nd->nr_rules);
	for (s = 0; s < NSDM_RX_STATS; s++)
		*data++ = nsdm_rx_stat(nd, s);
	for (s = 0; s < NSDM_TX_STATS; s++)
		*data++ = nsdm_tx_stat(nd, s);
	for (i = 0; i < dev->num_rx_queues; i++)
		for (s = 0; s < NSDM_RX_STATS_QUEUE; s++)
			*data++ = nsdm_rxq_stat(nd, i, s);
	for (i = 0; i < dev->num_tx_queues; i++)
		for (s = 0; s < NSDM_TX_STATS_QUEUE; s++)
			*data++ = nsdm_txq_stat(nd, i, s);
}

static void nsdm_get_drvinfo(struct net_device *dev,
			     struct ethtool_drvinfo *info)
{
	strscpy(info->driver, NSDM_NAME, sizeof(info->driver));
	strscpy(info->bus_info, dev_name(dev->dev.parent),
		sizeof(info->bus_info));
}

static void nsdm_get_channels(struct net_device *dev,
			      struct ethtool_channels *ch)
{
	ch->combined_count = min(dev->real_num_rx_queues,
				 dev->real_num_tx_queues);
	ch->rx_count = dev->real_num_rx_queues - ch->combined_count;
	ch->tx_count = dev->real_num_tx_queues - ch->combined_count;
	ch->max_combined = min(dev->num_rx_queues, dev->num_tx_queues);
	ch->max_rx = dev->num_rx_queues - ch->max_combined;
	ch->max_tx = dev->num_tx_queues - ch->max_combined;
}

static void nsdm_get_ringparam(struct net_device *dev,
			       struct ethtool_ringparam *ring,
			       struct kernel_ethtool_ringparam *kernel_ring,
			       struct netlink_ext_ack *extack)
{
	ring->rx_pending = NSDM_RING_SIZE;
	ring->rx_max_pending = NSDM_RING_SIZE;
	kernel_ring->tcp_data_split = ETHTOOL_TCP_DATA_SPLIT_ENABLED;
}

static int nsdm_get_link_ksettings(struct net_device *dev,
				   struct ethtool_link_ksettings *cmd)
{
	cmd->base.speed = SPEED_100000;
	cmd->base.duplex = DUPLEX_FULL;
	cmd->base.port = PORT_OTHER;
	cmd->base.autoneg = AUTONEG_DISABLE;
	return 0;
}

const struct ethtool_ops nsdm_ethtool_ops = {
	.get_drvinfo		= nsdm_get_drvinfo,
	.get_link		= ethtool_op_get_link,
	.get_link_ksettings	= nsdm_get_link_ksettings,
	.get_ts_info		= ethtool_op_get_ts_info,
	.get_channels		= nsdm_get_channels,
	.get_ringparam		= nsdm_get_ringparam,
	.get_strings		= nsdm_get_strings,
	.get_sset_count		= nsdm_get_sset_count,
	.get_ethtool_stats	= nsdm_get_ethtool_stats,
};
