// SPDX-License-Identifier: GPL-2.0
/*
 * The two ends of what is measured. Owns the marks that the plugin counts between, and
 * for guests without it a clock: cycles of the receiving CPU while it is not idle, or
 * where the guest has no such counter its TSC, which goes on. Reading the clock is
 * outside of the marks.
 */
#include <linux/perf_event.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <x86intrin.h>

#include "../ktap.h"
#include "bench.h"
#include "mark.h"

static int counter = -2;		/* not asked for yet */
static uint64_t at_begin, ns_at_begin;

static void open_counter(void)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_HARDWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_HW_CPU_CYCLES,
		.pinned = 1,
	};

	counter = (int)syscall(__NR_perf_event_open, &attr, -1, CPU_RECEIVER, -1,
			       PERF_FLAG_FD_CLOEXEC);
}

static uint64_t clock_read(void)
{
	uint64_t cycles;

	if (counter < 0)
		return __rdtsc();
	check_eq(read(counter, &cycles, sizeof(cycles)), sizeof(cycles));
	return cycles;
}

static uint64_t ns_read(void)
{
	struct timespec now;

	must(clock_gettime(CLOCK_MONOTONIC, &now));
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

void stretch_begin(unsigned int number)
{
	if (counter == -2)
		open_counter();
	ns_at_begin = ns_read();
	at_begin = clock_read();
	mark(MARK_BEGIN, number);
}

void stretch_finish(unsigned int number)
{
	uint64_t cycles, ns;

	mark(MARK_FINISH, number);
	cycles = clock_read() - at_begin;
	ns = ns_read() - ns_at_begin;
	printf("@ {\"number\": %u, \"clock\": \"%s\", \"cycles\": %llu, \"ns\": %llu}\n", number,
	       counter < 0 ? "TSC" : "cycles", (unsigned long long)cycles,
	       (unsigned long long)ns);
}
