// SPDX-License-Identifier: GPL-2.0
/*
 * Statistics of queues for the kernel's netdev family. Reads the counters of
 * the queues, which live as long as the device: nothing ever goes backwards.
 * Owns none of them.
 */
#include <net/netdev_queues.h>

#include "nsdm.h"

/* Counters of the queues from @from to before @to, all that the hardware has. What
 * it does not count must stay as it is.
 */
static void nsdm_qstats_rx(const struct nsdm *nd, u32 from, u32 to,
			   struct netdev_queue_stats_rx *s)
{
	s->packets = nsdm_rx_stat_sum(nd, from, to, NSDM_RX_PACKETS);
	s->bytes = nsdm_rx_stat_sum(nd, from, to, NSDM_RX_BYTES);
	s->alloc_fail = nsdm_rx_stat_sum(nd, from, to, NSDM_RX_DROP_NOMEM);
	s->hw_drops = nsdm_rx_stat_sum(nd, from, to, NSDM_RX_DROP_UNREADABLE) +
		      nsdm_rx_stat_sum(nd, from, to, NSDM_RX_DROP_LENGTH) +
		      nsdm_rx_stat_sum(nd, from, to, NSDM_RX_DROP_DOWN);
	s->csum_unnecessary = nsdm_rx_stat_sum(nd, from, to, NSDM_RX_CSUM_GOOD);
	s->csum_none = nsdm_rx_stat_sum(nd, from, to, NSDM_RX_CSUM_NONE);
	s->csum_bad = nsdm_rx_stat_sum(nd, from, to, NSDM_RX_CSUM_ERRORS);
	s->hw_gro_packets = nsdm_rx_stat_sum(nd, from, to, NSDM_RX_GRO_PACKETS);
	s->hw_gro_bytes = nsdm_rx_stat_sum(nd, from, to, NSDM_RX_GRO_BYTES);
	s->hw_gro_wire_packets = nsdm_rx_stat_sum(nd, from, to,
						  NSDM_RX_GRO_WIRE_PACKETS);
	s->hw_gro_wire_bytes = nsdm_rx_stat_sum(nd, from, to, NSDM_RX_GRO_WIRE_BYTES);
}

static void nsdm_qstats_tx(const struct nsdm *nd, u32 from, u32 to,
			   struct netdev_queue_stats_tx *s)
{
	s->packets = nsdm_tx_stat_sum(nd, from, to, NSDM_TX_PACKETS);
	s->bytes = nsdm_tx_stat_sum(nd, from, to, NSDM_TX_BYTES);
	s->hw_drop_errors = nsdm_tx_stat_sum(nd, from, to, NSDM_TX_DROP_BAD);
	s->hw_drops = nsdm_tx_stat_sum(nd, from, to, NSDM_TX_DROP_BAD) +
		      nsdm_tx_stat_sum(nd, from, to, NSDM_TX_DROP_NOMEM) +
		      nsdm_tx_stat_sum(nd, from, to, NSDM_TX_DROP_LINK);
	s->csum_none = nsdm_tx_stat_sum(nd, from, to, NSDM_TX_CSUM_NONE);
	s->needs_csum = nsdm_tx_stat_sum(nd, from, to, NSDM_TX_NEEDS_CSUM);
	s->hw_gso_packets = nsdm_tx_stat_sum(nd, from, to, NSDM_TX_GSO_PACKETS);
	s->hw_gso_bytes = nsdm_tx_stat_sum(nd, from, to, NSDM_TX_GSO_BYTES);
	s->hw_gso_wire_packets = nsdm_tx_stat_sum(nd, from, to,
						  NSDM_TX_GSO_WIRE_PACKETS);
	s->hw_gso_wire_bytes = nsdm_tx_stat_sum(nd, from, to, NSDM_TX_GSO_WIRE_BYTES);
	s->stop = nsdm_tx_stat_sum(nd, from, to, NSDM_TX_STOPS);
	for (s->wake = 0; from < to; from++)
		s->wake += atomic64_read(&nd->txq[from].wakes);
}

static void nsdm_get_queue_stats_rx(struct net_device *dev, int i,
				    struct netdev_queue_stats_rx *s)
{
	nsdm_qstats_rx(netdev_priv(dev), i, i + 1, s);
}

static void nsdm_get_queue_stats_tx(struct net_device *dev, int i,
				    struct netdev_queue_stats_tx *s)
{
	nsdm_qstats_tx(netdev_priv(dev), i, i + 1, s);
}

/* Queues that are not in use now may have been. */
static void nsdm_get_base_stats(struct net_device *dev,
				struct netdev_queue_stats_rx *rx,
				struct netdev_queue_stats_tx *tx)
{
	const struct nsdm *nd = netdev_priv(dev);

	nsdm_qstats_rx(nd, dev->real_num_rx_queues, dev->num_rx_queues, rx);
	nsdm_qstats_tx(nd, dev->real_num_tx_queues, dev->num_tx_queues, tx);
}

const struct netdev_stat_ops nsdm_stat_ops = {
	.get_queue_stats_rx	= nsdm_get_queue_stats_rx,
	.get_queue_stats_tx	= nsdm_get_queue_stats_tx,
	.get_base_stats		= nsdm_get_base_stats,
};
