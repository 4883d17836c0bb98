/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Workers that all run at once, each round after round, for a given time. What a
 * round does follows from the seed, the worker and the number of the round, and
 * from nothing else, so that SEED=number has each worker do the same things in
 * the same order again; when they meet is the scheduler's.
 *
 *	static void stir(struct stress_rnd *rnd, unsigned int nr) { ... }
 *
 *	static const struct stress_worker workers[] = {
 *		{ "stir", stir, 0 }, { "stir", stir, 1 },
 *	};
 *
 *	stress_run(workers, ARRAY_SIZE(workers), counters, ARRAY_SIZE(counters),
 *		   enough, hangs);
 *
 * Each round is a process of its own, a helper as test_fork() makes them: what
 * it leaves open, or leaves running, ends with it. The case fails with the first
 * fail() of a round, and when a worker makes no progress for long; it is told
 * then what the worker was about, and its seed.
 */
#ifndef SELFTESTS_COMMON_STRESS_H
#define SELFTESTS_COMMON_STRESS_H

#include <stddef.h>
#include <stdint.h>

#include "ktap.h"

#define STRESS_COUNTERS	24

struct stress_rnd {
	uint64_t state;
};

struct stress_worker {
	const char *name;
	void (*round)(struct stress_rnd *rnd, unsigned int nr);
	unsigned int nr;	/* which of those with this name */
};

/* SEED, or a new one at each start. */
uint64_t stress_seed(void);

/* STRESS: how many seconds, 6 (times SLOW) if it does not say. */
unsigned int stress_seconds(void);

/* What all decisions of that round come from. */
struct stress_rnd stress_round_rnd(uint64_t seed, const char *name, unsigned int nr,
				   uint64_t round);

/* 0 .. @n - 1 */
uint32_t rnd_below(struct stress_rnd *rnd, uint32_t n);

/* One in @n. */
bool rnd_one_in(struct stress_rnd *rnd, uint32_t n);

/* @counters names what stress_count() counts; @enough says whether what should
 * happen has happened, else it goes on for a while; @hangs shows the state of things
 * when a worker makes no progress.
 */
void stress_run(const struct stress_worker *workers, size_t nr,
		const char *const *counters, size_t nr_counters,
		bool (*enough)(void), void (*hangs)(void));

/* In a round: what it is about; also a sign of life. */
void stress_doing(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void stress_alive(void);

void stress_count(unsigned int counter, uint64_t n);

/* The sum so far; all of it once stress_run() has returned. */
uint64_t stress_counted(unsigned int counter);

#endif /* SELFTESTS_COMMON_STRESS_H */
