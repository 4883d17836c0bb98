/* SPDX-License-Identifier: GPL-2.0 */
/* A packet of a flow; for place_fuzz.c. */
#ifndef PLACE_PACKET_H
#define PLACE_PACKET_H

#include "fuzz.h"

#include "devmem.h"

#define HDR		64	/* room for headers in a packet, from IP on */

/* @skb with @headers of the flow, for @len bytes of payload: one super-packet, if they
 * are many.
 */
void packet(struct sk_buff *skb, u8 *headers, const struct devmem_flow_key *key,
	    struct net_device *dev, unsigned int len);

/* Is it what the flow's packets look like? */
bool model_header(const struct sk_buff *skb, const struct devmem_flow_key *key,
		  unsigned int len);

#endif /* PLACE_PACKET_H */
