/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the NIC counts, and where; ethtool.c has the names, qstats.c tells netdev.
 */
#ifndef _NSDM_STATS_H
#define _NSDM_STATS_H

#include <linux/u64_stats_sync.h>

/* Counters of an rx queue; nsdm_rx_stat_names[] has their names. */
enum nsdm_rx_stat {
	NSDM_RX_PACKETS,		/* on the wire */
	NSDM_RX_BYTES,
	NSDM_RX_PLACED_PACKETS,		/* payload written to a binding */
	NSDM_RX_PLACED_BYTES,		/* of payload */
	NSDM_RX_MERGED_PACKETS,		/* placed, and part of an earlier packet */
	NSDM_RX_XDP_PASS,		/* what the XDP program has said: */
	NSDM_RX_XDP_DROP,
	NSDM_RX_XDP_TX,
	NSDM_RX_XDP_REDIRECT,
	NSDM_RX_XDP_ABORTED,		/* or it could not be done */
	NSDM_RX_FALLBACK_NOBUFS,	/* a rule matched, but to host memory: */
	NSDM_RX_FALLBACK_NOMEM,
	NSDM_RX_FALLBACK_PROTO,
	NSDM_RX_FALLBACK_ROUTE,
	NSDM_RX_FALLBACK_SHUTDOWN,
	NSDM_RX_FALLBACK_SEQUENCE,
	NSDM_RX_FALLBACK_PACKET,	/* not a packet that may be placed */
	NSDM_RX_STRAYS,			/* of a rule of another queue */
	NSDM_RX_CSUM_GOOD,		/* of what goes up: verified, right */
	NSDM_RX_CSUM_NONE,		/* not verified */
	NSDM_RX_CSUM_ERRORS,
	NSDM_RX_GRO_PACKETS,		/* that stand for several on the wire */
	NSDM_RX_GRO_BYTES,
	NSDM_RX_GRO_WIRE_PACKETS,	/* for so many */
	NSDM_RX_GRO_WIRE_BYTES,
	NSDM_RX_DROP_LENGTH,		/* longer than the MTU */
	NSDM_RX_DROP_NOMEM,
	NSDM_RX_DROP_UNREADABLE,	/* cannot go to the memory provider */
	NSDM_RX_ALLOC_FAIL,		/* the page pool had no page */
	NSDM_RX_DROP_DOWN,		/* queued when the device went down */
	NSDM_RX_IMPAIR_LOSS,
	NSDM_RX_IMPAIR_DUPLICATE,
	NSDM_RX_IMPAIR_CORRUPT,
	NSDM_RX_IMPAIR_REORDER,
	NSDM_RX_IMPAIR_DELAY,
	NSDM_RX_STATS
};

/* Counters of a tx queue; nsdm_tx_stat_names[] has their names. */
enum nsdm_tx_stat {
	NSDM_TX_PACKETS,		/* on the wire */
	NSDM_TX_BYTES,
	NSDM_TX_STOPS,			/* the far end had no room */
	NSDM_TX_CSUM_NONE,		/* the stack has written the checksum */
	NSDM_TX_NEEDS_CSUM,
	NSDM_TX_GSO_PACKETS,		/* that become several on the wire */
	NSDM_TX_GSO_BYTES,
	NSDM_TX_GSO_WIRE_PACKETS,	/* so many */
	NSDM_TX_GSO_WIRE_BYTES,
	NSDM_TX_DROP_LINK,		/* no peer, or it is down */
	NSDM_TX_DROP_BAD,		/* shorter than a MAC header, DMA failed */
	NSDM_TX_DROP_NOMEM,
	NSDM_TX_STATS
};

struct nsdm_rx_stats {
	struct u64_stats_sync syncp;
	u64_stats_t v[NSDM_RX_STATS];
};

struct nsdm_tx_stats {
	struct u64_stats_sync syncp;
	u64_stats_t v[NSDM_TX_STATS];
};

#endif /* _NSDM_STATS_H */
