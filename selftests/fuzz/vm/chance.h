/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the fuzzers of the running modules share: chance, and where they are.
 *
 * A run is a sequence of rounds. A round begins with nothing left of earlier
 * ones, and draws from a random sequence of its own, made of the seed and the
 * round's number: so a run can begin at any round, and a failure is repeated by
 * that round alone, as far as the scheduler lets it. The environment says
 *
 *	FUZZ_SEED	the seed, 1 if it says nothing
 *	FUZZ_FROM	the first round, 0
 *	FUZZ_N		how many messages, calls or packets there are to be
 *	FUZZ_TIMEOUT	seconds for all of them
 *
 * The kernel log has a line for each round: a guest that dies tells which it was.
 */
#ifndef SELFTESTS_CHANCE_H
#define SELFTESTS_CHANCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ktap.h"

/* The beginning of a case: @what it is about, @n if the environment has none.
 * When the case ends it says how far it came.
 */
void fuzz_begin(const char *what, uint64_t n);

/* The next round; false: that was enough. */
bool fuzz_next(void);

/* So many more were sent, or called. */
void fuzz_count(uint64_t n);

/* Of this round; for whoever makes sockets or patterns with it. */
uint64_t fuzz_round(void);

/* ktap_main() with FUZZ_TIMEOUT. Changes @cases. */
int fuzz_main(int argc, char **argv, void (*setup)(void), struct ktap_case *cases,
	      size_t nr);

/* ---- chance ------------------------------------------------------------- */

uint64_t rnd64(void);
uint32_t rnd32(void);

/* 0 .. @n - 1 */
uint32_t rnd(uint32_t n);

/* True once in @n times. */
bool once_in(uint32_t n);

/* 0 .. @max, small ones as often as large ones. */
uint32_t rnd_size(uint32_t max);

/* A number that somebody may have forgotten: around 0, powers of two and the
 * ends of types.
 */
uint32_t rnd_wild(void);

void rnd_fill(void *at, size_t len);

#define rnd_of(array)	((array)[rnd(ARRAY_SIZE(array))])

#endif /* SELFTESTS_CHANCE_H */
