// SPDX-License-Identifier: GPL-2.0
/*
 * Owns workers, see common_stress.h: their processes, rounds, random numbers and
 * signs of life. Must not know what a round does.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common_stress.h"

#define SECONDS		6
#define STALL_MS	30000	/* without a sign of life: see patient() */
#define REPORT_MS	30000	/* between two lines that say how it goes */
#define MAX_WORKERS	32

/* Shared by all processes. */
struct slot {
	uint64_t rounds;	/* that have ended */
	long long alive;	/* now_ms() */
	char doing[96];
};

static struct shared {
	int stop;
	uint64_t counters[STRESS_COUNTERS];
	struct slot slots[MAX_WORKERS];
} *shared;

static struct slot *me;

/* ---- random numbers ---------------------------------------------------- */

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 33) * 0xff51afd7ed558ccdULL;
	x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53ULL;
	return x ^ x >> 33;
}

uint32_t rnd_below(struct stress_rnd *rnd, uint32_t n)
{
	rnd->state += 0x9e3779b97f4a7c15ULL;
	return (uint32_t)((mix(rnd->state) >> 32) * n >> 32);
}

bool rnd_one_in(struct stress_rnd *rnd, uint32_t n)
{
	return !rnd_below(rnd, n);
}

struct stress_rnd stress_round_rnd(uint64_t seed, const char *name, unsigned int nr,
				   uint64_t round)
{
	uint64_t state = mix(seed + 1);

	for (; *name; name++)
		state = mix(state ^ (unsigned char)*name);
	return (struct stress_rnd) { mix(mix(state ^ nr) ^ round) };
}

uint64_t stress_seed(void)
{
	static uint64_t seed;
	const char *text = getenv("SEED");

	if (!seed)
		seed = text && *text ? strtoull(text, NULL, 0) :
			mix((uint64_t)time(NULL) << 20 ^ (uint64_t)getpid()) >> 40;
	return seed;
}

unsigned int stress_seconds(void)
{
	const char *text = getenv("STRESS");

	/* on a slow kernel less happens in a second; twice as many are enough */
	return text && *text ? (unsigned int)atoi(text) : SECONDS * (slow() > 1 ? 2 : 1);
}

/* ---- signs of life ----------------------------------------------------- */

void stress_alive(void)
{
	__atomic_store_n(&me->alive, now_ms(), __ATOMIC_RELAXED);
}

void stress_doing(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(me->doing, sizeof(me->doing), fmt, ap);
	va_end(ap);
	stress_alive();
}

void stress_count(unsigned int counter, uint64_t n)
{
	__atomic_fetch_add(&shared->counters[counter], n, __ATOMIC_RELAXED);
}

uint64_t stress_counted(unsigned int counter)
{
	return __atomic_load_n(&shared->counters[counter], __ATOMIC_RELAXED);
}

/* ---- workers ----------------------------------------------------------- */

static void work(const struct stress_worker *w, uint64_t seed)
{
	struct stress_rnd rnd;
	pid_t pid;

	do {
		rnd = stress_round_rnd(seed, w->name, w->nr, me->rounds);
		stress_doing("begins");
		pid = test_fork();
		if (!pid) {
			w->round(&rnd, w->nr);
			fflush(stdout);
			_exit(0);
		}
		test_join(pid);
		stress_alive();
		me->rounds++;
	} while (!__atomic_load_n(&shared->stop, __ATOMIC_RELAXED));
	_exit(0);
}

static void tell(const struct stress_worker *w, const struct slot *slot)
{
	diag("%s %u, round %" PRIu64 ": '%s', %lld ms ago", w->name, w->nr, slot->rounds,
	     slot->doing, now_ms() - __atomic_load_n(&slot->alive, __ATOMIC_RELAXED));
}

static void show_stack(const char *pid)
{
	char path[300], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/stack", pid);
	f = fopen(path, "re");
	if (!f)
		return;
	diag("process %s:", pid);
	while (fgets(line, sizeof(line), f))
		diag("  %s", line);
	fclose(f);
}

/* Of all processes of the case. */
static void show_stacks(void)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;

	while (dir && (entry = readdir(dir)))
		if (isdigit((unsigned char)entry->d_name[0]) &&
		    getpgid(atoi(entry->d_name)) == getpgrp())
			show_stack(entry->d_name);
	if (dir)
		closedir(dir);
}

static void report(const struct stress_worker *workers, size_t nr,
		   const char *const *counters, size_t nr_counters)
{
	char text[1024];
	size_t i, used = 0;

	for (i = 0; i < nr; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s %u: %" PRIu64,
					 i ? ", " : "rounds: ", workers[i].name,
					 workers[i].nr, shared->slots[i].rounds);
	diag("%s", text);
	for (i = 0, used = 0; i < nr_counters; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s %" PRIu64,
					 i ? ", " : "", counters[i],
					 stress_counted((unsigned int)i));
	diag("%s", text);
}

/* A worker has ended: that is right when it was told to, and had no complaint. */
static size_t reap(const struct stress_worker *workers, pid_t *pids, size_t nr, uint64_t seed)
{
	size_t i, ended = 0;
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		for (i = 0; i < nr && pids[i] != pid; i++)
			;
		if (i == nr)
			continue;
		ended++;
		pids[i] = 0;
		if (WIFEXITED(status) && !WEXITSTATUS(status))
			continue;
		tell(&workers[i], &shared->slots[i]);
		fail("%s %u has failed, SEED=%" PRIu64, workers[i].name, workers[i].nr, seed);
	}
	return ended;
}

static void check_alive(const struct stress_worker *workers, const pid_t *pids, size_t nr,
			uint64_t seed, void (*hangs)(void))
{
	long long limit = now_ms() - patient(STALL_MS);
	const struct slot *slot;
	size_t i;

	for (i = 0; i < nr; i++) {
		slot = &shared->slots[i];
		if (!pids[i] || __atomic_load_n(&slot->alive, __ATOMIC_RELAXED) > limit)
			continue;
		show_stacks();
		hangs();
		tell(&workers[i], slot);
		fail("%s %u hangs, SEED=%" PRIu64, workers[i].name, workers[i].nr, seed);
	}
}

void stress_run(const struct stress_worker *workers, size_t nr,
		const char *const *counters, size_t nr_counters,
		bool (*enough)(void), void (*hangs)(void))
{
	long long until = now_ms() + 1000LL * stress_seconds();
	long long at_last = until + patient(STALL_MS);
	long long next_report = now_ms() + REPORT_MS;
	uint64_t seed = stress_seed();
	pid_t pids[MAX_WORKERS];
	size_t i, ended = 0;

	check_cmp(nr, <=, MAX_WORKERS);
	check_cmp(nr_counters, <=, STRESS_COUNTERS);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check(shared != MAP_FAILED);
	diag("%u seconds, SEED=%" PRIu64, stress_seconds(), seed);
	for (i = 0; i < nr; i++) {
		me = &shared->slots[i];
		stress_doing("starts");
		pids[i] = test_fork();
		if (!pids[i])
			work(&workers[i], seed);
	}
	while (ended < nr) {
		usleep(50000);
		if (now_ms() >= (enough() ? until : at_last))
			__atomic_store_n(&shared->stop, 1, __ATOMIC_RELAXED);
		ended += reap(workers, pids, nr, seed);
		check_alive(workers, pids, nr, seed, hangs);
		if (now_ms() >= next_report) {
			next_report += REPORT_MS;
			report(workers, nr, counters, nr_counters);
		}
	}
	report(workers, nr, counters, nr_counters);
	for (i = 0; i < nr; i++)
		check_cmp(shared->slots[i].rounds, >, 0);
}
