// SPDX-License-Identifier: GPL-2.0
/*
 * Segmentation: from a super-packet of the sender's TSO to the packets that are
 * on the wire. The fake hardware does it late, where somebody must see single
 * packets: a receiver without hardware GRO, one that takes none so long, or a bad
 * wire. Owns no packet and no state. Knows nothing of what becomes of them.
 */
#include <linux/netdevice.h>
#include <net/gso.h>

#include "nsdm.h"

/* What the sender's hardware does apart from segmentation: it gathers, and
 * writes checksums. So segments share the payload with the sender, and have
 * checksums that are still to be written.
 */
#define NSDM_SEGMENT_FEATURES	(NETIF_F_SG | NETIF_F_HW_CSUM | NETIF_F_HIGHDMA)

/* Append @skb to @to: its segments, if it is a super-packet. They have its
 * charge to its socket between them. NAPI context.
 */
void nsdm_segment(struct nsdm_rxq *q, struct sk_buff *skb,
		  struct sk_buff_head *to)
{
	struct sk_buff *segs, *seg, *next;

	if (!skb_is_gso(skb)) {
		__skb_queue_tail(to, skb);
		return;
	}

	/* one that was forwarded: its checksum is written into its headers */
	if (skb->ip_summed != CHECKSUM_PARTIAL && skb_cow_head(skb, 0))
		segs = ERR_PTR(-ENOMEM);
	else
		segs = skb_gso_segment(skb, NSDM_SEGMENT_FEATURES);
	if (IS_ERR_OR_NULL(segs)) {
		nsdm_rx_count(q, PTR_ERR(segs) == -ENOMEM ?
				 NSDM_RX_DROP_NOMEM : NSDM_RX_DROP_LENGTH, 1);
		kfree_skb(skb);
		return;
	}
	skb_list_walk_safe(segs, seg, next) {
		skb_mark_not_on_list(seg);
		nsdm_parse(seg);
		__skb_queue_tail(to, seg);
	}
	consume_skb(skb);
}
