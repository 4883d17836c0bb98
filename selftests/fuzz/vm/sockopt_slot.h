/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A socket in some state, its peer, and what is known of the two: what has been
 * sent, what has been read, and which tokens are held.
 */
#ifndef SELFTESTS_SOCKOPT_SLOT_H
#define SELFTESTS_SOCKOPT_SLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "common.h"

enum slot_kind {
	SLOT_STREAM,		/* a TCP connection */
	SLOT_LISTENING,
	SLOT_FRESH,		/* TCP, never connected */
	SLOT_UDP,
	SLOT_UNIX,
	SLOT_PIPE,		/* no socket at all */
	SLOT_KINDS
};

#define HELD_MAX	512	/* tokens */

struct held {
	uint32_t token;
	uint32_t size;
	uint64_t pos;
	uint64_t off;
	uint64_t seed;
};

struct slot {
	enum slot_kind kind;
	int fd;
	int peer;		/* -1: none */
	bool ulp;
	bool attached;
	bool connected;		/* the ULP may be set, the socket be attached */
	bool over;		/* the stream may have ended, or be lost */
	uint64_t seed;
	uint64_t sent;
	uint64_t pos;
	struct held held[HELD_MAX];
	unsigned int nr_held;
};

/* A socket in the state that @kind says; connections on the pair of NICs. */
void slot_open(struct slot *s, enum slot_kind kind);
void slot_close(struct slot *s);

/* The peer sends so much, if there is room. */
void slot_feed(struct slot *s, uint32_t len);

/* A call of recvmsg() with whatever buffers and flags there can be. What it
 * delivers is checked.
 */
void slot_receive(struct slot *s, const struct bound *b);

/* What is held is still there. */
void slot_check_held(const struct slot *s, const struct bound *b);

/* A place that cannot be read or written, near one that can. */
void *bad_pointer(void);

/* @len bytes that can, right before such a place. */
void *edge_pointer(size_t len);

#endif /* SELFTESTS_SOCKOPT_SLOT_H */
