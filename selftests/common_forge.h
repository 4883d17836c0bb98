/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Segments forged in the name of a connection's sender, which knows nothing of them
 * and goes on sending: they have no payload. IPv4 and IPv6, in one packet, in
 * fragments, or in a tunnel. Others of common_wire.h come from a peer of its own.
 */
#ifndef SELFTESTS_COMMON_FORGE_H
#define SELFTESTS_COMMON_FORGE_H

#include <stddef.h>
#include <stdint.h>

#include "common.h"
#include "common_wire.h"

#define FORGE_TCP	32	/* bytes of a segment: 12 of options */
#define FORGE_GUE_PORT	7777

struct forge {
	struct wire w;		/* the socket it is sent through, and MAC addresses */
	int family;
	int tx;
	unsigned char addr[2][16];
	uint16_t port[2];
	uint32_t id;		/* of the fragments */
	bool may_fail;		/* the link may be down */
};

/* The sender's socket is @tx. */
void forge_open(struct forge *f, int tx);
void forge_close(struct forge *f);

/* A segment where the sender's stream is now, FORGE_TCP bytes. */
void forge_tcp(struct forge *f, void *at, uint8_t flags, uint16_t urg);

/* The same in front of @len bytes of payload, which are there already: @off bytes from
 * where the stream is.
 */
void forge_data(struct forge *f, void *at, int32_t off, size_t len);

/* An IP packet with it, or what else there is of @proto. */
void forge_send(struct forge *f, uint8_t proto, const void *payload, size_t len);

/* A fragment: bytes @off, a multiple of 8, and on. New f->id: another packet's. */
void forge_fragment(struct forge *f, uint8_t proto, const void *payload, size_t off,
		    size_t len, bool more);

/* In UDP, for the port that "ip fou" has for GUE: @len bytes, header and payload. */
void forge_gue(struct forge *f, const void *tcp, size_t len);

#endif /* SELFTESTS_COMMON_FORGE_H */
