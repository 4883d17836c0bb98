// SPDX-License-Identifier: GPL-2.0
/*
 * What the device tells ethtool of itself and its link, and the names of its
 * counters. Changes nothing: rss.c, ntuple.c, channels.c and rings.c do.
 *
 * The device has no pause frames, no EEPROM, no wake-up: it does not answer to
 * what asks for these.
 */
#include <linux/ethtool.h>
#include <linux/ethtool_netlink.h>
#include <linux/linkmode.h>

#include "nsdm.h"

static const char *const nsdm_rx_stat_names[NSDM_RX_STATS] = {
	[NSDM_RX_PACKETS]		= "packets",
	[NSDM_RX_BYTES]			= "bytes",
	[NSDM_RX_PLACED_PACKETS]	= "placed_packets",
	[NSDM_RX_PLACED_BYTES]		= "placed_bytes",
	[NSDM_RX_MERGED_PACKETS]	= "merged_packets",
	[NSDM_RX_XDP_PASS]		= "xdp_pass",
	[NSDM_RX_XDP_DROP]		= "xdp_drop",
	[NSDM_RX_XDP_TX]		= "xdp_tx",
	[NSDM_RX_XDP_REDIRECT]		= "xdp_redirect",
	[NSDM_RX_XDP_ABORTED]		= "xdp_aborted",
	[NSDM_RX_FALLBACK_NOBUFS]	= "fallback_nobufs",
	[NSDM_RX_FALLBACK_NOMEM]	= "fallback_nomem",
	[NSDM_RX_FALLBACK_PROTO]	= "fallback_proto",
	[NSDM_RX_FALLBACK_ROUTE]	= "fallback_route",
	[NSDM_RX_FALLBACK_SHUTDOWN]	= "fallback_shutdown",
	[NSDM_RX_FALLBACK_SEQUENCE]	= "fallback_sequence",
	[NSDM_RX_FALLBACK_PACKET]	= "fallback_packet",
	[NSDM_RX_STRAYS]		= "strays",
	[NSDM_RX_CSUM_GOOD]		= "csum_unnecessary",
	[NSDM_RX_CSUM_NONE]		= "csum_none",
	[NSDM_RX_CSUM_ERRORS]		= "csum_errors",
	[NSDM_RX_GRO_PACKETS]		= "gro_packets",
	[NSDM_RX_GRO_BYTES]		= "gro_bytes",
	[NSDM_RX_GRO_WIRE_PACKETS]	= "gro_wire_packets",
	[NSDM_RX_GRO_WIRE_BYTES]	= "gro_wire_bytes",
	[NSDM_RX_DROP_LENGTH]		= "drop_length",
	[NSDM_RX_DROP_NOMEM]		= "drop_nomem",
	[NSDM_RX_DROP_UNREADABLE]	= "drop_unreadable",
	[NSDM_RX_ALLOC_FAIL]		= "alloc_fail",
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
	[NSDM_TX_CSUM_NONE]		= "csum_none",
	[NSDM_TX_NEEDS_CSUM]		= "needs_csum",
	[NSDM_TX_GSO_PACKETS]		= "gso_packets",
	[NSDM_TX_GSO_BYTES]		= "gso_bytes",
	[NSDM_TX_GSO_WIRE_PACKETS]	= "gso_wire_packets",
	[NSDM_TX_GSO_WIRE_BYTES]	= "gso_wire_bytes",
	[NSDM_TX_DROP_LINK]		= "drop_link",
	[NSDM_TX_DROP_BAD]		= "drop_bad",
	[NSDM_TX_DROP_NOMEM]		= "drop_nomem",
};

/* These are shown for each queue besides the sum over all. */
#define NSDM_RX_STATS_QUEUE	(NSDM_RX_XDP_ABORTED + 1)
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

static u64 nsdm_rxq_stat(const struct nsdm *nd, u32 i,
			 enum nsdm_rx_stat stat)
{
	const struct nsdm_rx_stats *stats = &nd->rxq[i].stats;

	return nsdm_stat_read(&stats->syncp, &stats->v[stat]);
}

static u64 nsdm_txq_stat(const struct nsdm *nd, u32 i,
			 enum nsdm_tx_stat stat)
{
	const struct nsdm_tx_stats *stats = &nd->txq[i].stats;

	return nsdm_stat_read(&stats->syncp, &stats->v[stat]);
}

u64 nsdm_rx_stat_sum(const struct nsdm *nd, u32 from, u32 to,
		     enum nsdm_rx_stat stat)
{
	u64 sum = 0;

	for (; from < to; from++)
		sum += nsdm_rxq_stat(nd, from, stat);
	return sum;
}

u64 nsdm_rx_stat(const struct nsdm *nd, enum nsdm_rx_stat stat)
{
	return nsdm_rx_stat_sum(nd, 0, nd->dev->num_rx_queues, stat);
}

u64 nsdm_tx_stat_sum(const struct nsdm *nd, u32 from, u32 to,
		     enum nsdm_tx_stat stat)
{
	u64 sum = 0;

	for (; from < to; from++)
		sum += nsdm_txq_stat(nd, from, stat);
	return sum;
}

u64 nsdm_tx_stat(const struct nsdm *nd, enum nsdm_tx_stat stat)
{
	return nsdm_tx_stat_sum(nd, 0, nd->dev->num_tx_queues, stat);
}

/* Sums are rx_NAME and tx_NAME, those of a queue rxN_NAME and txN_NAME. There
 * are as many of the latter as there ever were queues in use.
 */
static void nsdm_get_strings(struct net_device *dev, u32 set, u8 *data)
{
	const struct nsdm *nd = netdev_priv(dev);
	u32 i, s;

	if (set != ETH_SS_STATS)
		return;
	ethtool_puts(&data, "rules");
	ethtool_puts(&data, "rx_drop_ntuple");
	for (s = 0; s < NSDM_RX_STATS; s++)
		ethtool_sprintf(&data, "rx_%s", nsdm_rx_stat_names[s]);
	for (s = 0; s < NSDM_TX_STATS; s++)
		ethtool_sprintf(&data, "tx_%s", nsdm_tx_stat_names[s]);
	for (i = 0; i < nd->rx_seen; i++)
		for (s = 0; s < NSDM_RX_STATS_QUEUE; s++)
			ethtool_sprintf(&data, "rx%u_%s", i,
					nsdm_rx_stat_names[s]);
	for (i = 0; i < nd->tx_seen; i++)
		for (s = 0; s < NSDM_TX_STATS_QUEUE; s++)
			ethtool_sprintf(&data, "tx%u_%s", i,
					nsdm_tx_stat_names[s]);
}

static int nsdm_get_sset_count(struct net_device *dev, int set)
{
	const struct nsdm *nd = netdev_priv(dev);

	if (set != ETH_SS_STATS)
		return -EOPNOTSUPP;
	return 2 + NSDM_RX_STATS + NSDM_TX_STATS +
	       nd->rx_seen * NSDM_RX_STATS_QUEUE +
	       nd->tx_seen * NSDM_TX_STATS_QUEUE;
}

static void nsdm_get_ethtool_stats(struct net_device *dev,
				   struct ethtool_stats *stats, u64 *data)
{
	const struct nsdm *nd = netdev_priv(dev);
	u32 i, s;

	*data++ = READ_ONCE(nd->nr_rules);
	*data++ = atomic64_read(&nd->ntuple_drops);
	for (s = 0; s < NSDM_RX_STATS; s++)
		*data++ = nsdm_rx_stat(nd, s);
	for (s = 0; s < NSDM_TX_STATS; s++)
		*data++ = nsdm_tx_stat(nd, s);
	for (i = 0; i < nd->rx_seen; i++)
		for (s = 0; s < NSDM_RX_STATS_QUEUE; s++)
			*data++ = nsdm_rxq_stat(nd, i, s);
	for (i = 0; i < nd->tx_seen; i++)
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

/* There is one link mode, and nothing to negotiate. */
static int nsdm_get_link_ksettings(struct net_device *dev,
				   struct ethtool_link_ksettings *cmd)
{
	linkmode_set_bit(ETHTOOL_LINK_MODE_100000baseCR4_Full_BIT,
			 cmd->link_modes.supported);
	linkmode_set_bit(ETHTOOL_LINK_MODE_100000baseCR4_Full_BIT,
			 cmd->link_modes.advertising);
	linkmode_set_bit(ETHTOOL_LINK_MODE_FIBRE_BIT,
			 cmd->link_modes.supported);
	cmd->base.port = PORT_DA;
	cmd->base.autoneg = AUTONEG_DISABLE;
	cmd->base.speed = SPEED_UNKNOWN;
	cmd->base.duplex = DUPLEX_UNKNOWN;
	if (netif_carrier_ok(dev))
		ethtool_params_from_link_mode(cmd, ETHTOOL_LINK_MODE_100000baseCR4_Full_BIT);
	return 0;
}

const struct ethtool_ops nsdm_ethtool_ops = {
	DEVMEM_ETHTOOL_OPS_NEED_RTNL(ETHTOOL_OP_NEEDS_RTNL_SCHANNELS |
				     ETHTOOL_OP_NEEDS_RTNL_GLINK)
	DEVMEM_ETHTOOL_RING_COUNT_OP(nsdm_get_rx_ring_count)
	DEVMEM_ETHTOOL_RXFH_FIELDS_OPS(nsdm_get_rxfh_fields,
				       nsdm_set_rxfh_fields)
	.supported_coalesce_params = ETHTOOL_COALESCE_RX_USECS |
				     ETHTOOL_COALESCE_RX_MAX_FRAMES,
	.supported_ring_params	= ETHTOOL_RING_USE_RX_BUF_LEN |
				  ETHTOOL_RING_USE_TCP_DATA_SPLIT |
				  DEVMEM_RING_USE_HDS_THRS,
	.rxfh_per_ctx_key	= true,
	.rxfh_indir_space	= NSDM_RSS_INDIR,
	.rxfh_key_space		= NSDM_RSS_KEY,
	.rxfh_max_num_contexts	= NSDM_RSS_CONTEXTS,
	.get_drvinfo		= nsdm_get_drvinfo,
	.get_link		= ethtool_op_get_link,
	.get_link_ksettings	= nsdm_get_link_ksettings,
	.get_ts_info		= ethtool_op_get_ts_info,
	.get_channels		= nsdm_get_channels,
	.set_channels		= nsdm_set_channels,
	.get_rxnfc		= nsdm_get_rxnfc,
	.set_rxnfc		= nsdm_set_rxnfc,
	.get_rxfh_key_size	= nsdm_get_rxfh_key_size,
	.get_rxfh_indir_size	= nsdm_get_rxfh_indir_size,
	.get_rxfh		= nsdm_get_rxfh,
	.set_rxfh		= nsdm_set_rxfh,
	.create_rxfh_context	= nsdm_create_rxfh_context,
	.modify_rxfh_context	= nsdm_modify_rxfh_context,
	.remove_rxfh_context	= nsdm_remove_rxfh_context,
	.get_coalesce		= nsdm_get_coalesce,
	.set_coalesce		= nsdm_set_coalesce,
	.get_ringparam		= nsdm_get_ringparam,
	.set_ringparam		= nsdm_set_ringparam,
	.get_strings		= nsdm_get_strings,
	.get_sset_count		= nsdm_get_sset_count,
	.get_ethtool_stats	= nsdm_get_ethtool_stats,
};
