/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Those between a NIC and a socket, one at a time or all at once: each comes, stays
 * for a moment, and goes, as a seed says. To an ordinary connection none of them makes
 * a difference but time; nor may it to an attached one.
 *
 * A new one is an entry of the table in common_hostile.c.
 */
#ifndef SELFTESTS_COMMON_HOSTILE_H
#define SELFTESTS_COMMON_HOSTILE_H

#include "common.h"
#include "common_stress.h"

/* Of listeners, by number: where they listen, where clients find them if somebody
 * translates, and those of the sender, for connections that somebody masquerades.
 */
#define HOSTILE_PORT	5300
#define HOSTILE_PUBLIC	5400
#define HOSTILE_AWAY	5500
#define HOSTILE_PORTS	8	/* so many listeners at each */

/* After env_setup(DISTURB_QUEUES): finds out whom this kernel can have. */
void hostile_setup(void);

/* A round of worker @nr of @workers: one of them that has been here less than others. No
 * two workers have the same.
 */
void hostile_round(struct stress_rnd *rnd, unsigned int nr, unsigned int workers);

/* Each has been here and has seen packets. */
bool hostile_all_met(void);

/* Who has seen how much, and who could not be had; fails if most could not. */
void hostile_tell(void);

/* ---- common_hostile_send.c ---------------------------------------------- */

struct hostile_sender {
	uint64_t bytes;
	uint64_t seed;			/* of the pattern, and of all that is random */
	bool forges;			/* segments in its own name, now and then */
	bool tunnel;			/* some of them in a tunnel */
	unsigned int counter;		/* of those, for stress_count() */
};

/* Sends a stream and its end; for a child, of which nothing but @tx stays open. */
void hostile_send(int tx, const struct hostile_sender *s) __attribute__((noreturn));

#endif /* SELFTESTS_COMMON_HOSTILE_H */
