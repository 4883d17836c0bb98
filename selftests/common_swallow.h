/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Those between the NIC and a socket who want to read payload, and drop what they
 * cannot read; and some who only look. To an ordinary connection none of them makes
 * a difference.
 */
#ifndef SELFTESTS_COMMON_SWALLOW_H
#define SELFTESTS_COMMON_SWALLOW_H

#include <stdint.h>

struct swallower {
	uint16_t port;			/* of the receiver, if that matters */
	void (*before)(int family);	/* there is a connection */
	void (*on)(int sock);		/* the connection's socket */
	void (*end)(int family, int sock);
};

/* tc sends what comes in through an ifb, for shaping */
extern const struct swallower swallow_ifb;

/* tc computes checksums again */
extern const struct swallower swallow_csum;

/* a program of tc wants each packet in one piece */
extern const struct swallower swallow_pull;

/* the same filter alone, for a clsact qdisc that nsd0 has */
void swallow_pull_at(uint32_t pref);

/* u32 of tc lets pass what has some payload, and what is short; IPv4 only */
extern const struct swallower swallow_u32;

/* a helper of connection tracking */
extern const struct swallower swallow_helper;

/* filters of the socket, classic and not, that load bytes of payload */
extern const struct swallower swallow_filter;
extern const struct swallower swallow_program;

/* drops nothing: nft logs the payload for a program, which is there */
extern const struct swallower swallow_log;

#endif /* SELFTESTS_COMMON_SWALLOW_H */
