// SPDX-License-Identifier: GPL-2.0
/*
 * See common_fault.h. Owns the kernel's fault injection; must not know
 * what any operation is about.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common.h"
#include "common_fault.h"

#define DEBUGFS		"/sys/kernel/debug"
#define PLACES_MAX	5000		/* of one operation */
#define SPACE_MAX	(64U << 20)	/* bytes that one may need */
#define NO_ORDER	100		/* no page allocation is as large */
#define TIMES		1000000000U
#define SETTLE_MS	3000		/* for work items and RCU */

static const char * const injectors[] = {
	"failslab", "fail_page_alloc", "fail_usercopy",
};

/* of /proc/thread-self: about the task that has opened them */
static int nth_fd = -1, starve_fd = -1;
static pid_t own_pid;

bool fault_possible(void)
{
	if (!access("/proc/thread-self/fail-nth", W_OK) &&
	    !access(DEBUGFS "/failslab", X_OK))
		return true;
	printf("KTAP version 1\n1..0 # SKIP this kernel injects no faults (FAILSLAB, FAULT_INJECTION_DEBUG_FS)\n");
	return false;
}

static bool has_injector(const char *injector)
{
	char path[128];

	snprintf(path, sizeof(path), DEBUGFS "/%s", injector);
	return !access(path, X_OK);
}

static void set_text(const char *injector, const char *name, const char *text)
{
	char path[128];
	int err;

	if (!has_injector(injector))
		return;
	snprintf(path, sizeof(path), DEBUGFS "/%s/%s", injector, name);
	err = env_write(path, text);
	if (err)
		fail("%s = %s: %s", path, text, strerror(-err));
}

static void set(const char *injector, const char *name, unsigned int value)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", value);
	set_text(injector, name, text);
}

static unsigned int get(const char *injector, const char *name)
{
	unsigned int value;
	char path[128];
	FILE *f;

	if (!has_injector(injector))
		return 0;
	snprintf(path, sizeof(path), DEBUGFS "/%s/%s", injector, name);
	f = fopen(path, "re");
	if (!f || fscanf(f, "%u", &value) != 1)
		fail("%s: %s", path, strerror(errno));
	fclose(f);
	return value;
}

/* None fails by itself, and none is told in the log. */
static void calm(void *arg)
{
	unsigned int i;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(injectors); i++) {
		set(injectors[i], "probability", 0);
		set(injectors[i], "interval", 1);
		set(injectors[i], "space", 0);
		set(injectors[i], "verbose", 0);
		set_text(injectors[i], "times", "-1");
		set_text(injectors[i], "task-filter", "N");
	}
	set_text("failslab", "ignore-gfp-wait", "N");
	set_text("failslab", "cache-filter", "N");
	set_text("fail_page_alloc", "ignore-gfp-wait", "N");
	set_text("fail_page_alloc", "ignore-gfp-highmem", "N");
	set("fail_page_alloc", "min-order", 0);
}

void fault_setup(void)
{
	defer(calm, NULL);
	calm(NULL);
}

bool fault_is_refusal(int err)
{
	/* what is copied from and to the caller may fail as well */
	return err == -ENOMEM || err == -ENOBUFS ||
	       (err == -EFAULT && has_injector("fail_usercopy"));
}

static void open_own(void)
{
	if (own_pid == getpid())
		return;
	nth_fd = must(open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC));
	starve_fd = must(open("/proc/thread-self/make-it-fail",
			      O_RDWR | O_CLOEXEC));
	own_pid = getpid();
	/* without memory the kernel could not even give us a page of our own */
	must(mlockall(MCL_CURRENT | MCL_FUTURE));
}

void fault_begin(unsigned int nth)
{
	char text[16];
	int len;

	open_own();
	len = snprintf(text, sizeof(text), "%u", nth);
	must(pwrite(nth_fd, text, (size_t)len, 0));
}

/* What is left is the number of places that did not come. These calls copy as
 * well: where that can fail, they may use it up.
 */
bool fault_end(void)
{
	char text[16] = "";
	ssize_t n = pread(nth_fd, text, sizeof(text) - 1, 0);

	if (n < 0 && errno != EFAULT)
		fail("fail-nth: %s", strerror(errno));
	if (n < 0)
		return false;
	if (!atoi(text))
		return true;
	if (pwrite(nth_fd, "0", 1, 0) < 0 && errno != EFAULT)
		fail("fail-nth: %s", strerror(errno));
	return false;
}

static const char * const allocators[] = { "failslab", "fail_page_alloc" };

/* After @space bytes there is nothing more for this task. */
static void starve_begin(unsigned int space)
{
	unsigned int i;

	open_own();
	set("failslab", "space", space);
	set("fail_page_alloc", "space", space / 4096);
	for (i = 0; i < ARRAY_SIZE(allocators); i++) {
		set(allocators[i], "times", TIMES);
		set_text(allocators[i], "task-filter", "Y");
		set(allocators[i], "probability", 100);
	}
	must(pwrite(starve_fd, "1", 1, 0));
}

static bool starve_end(void)
{
	unsigned int i, failed = 0;

	must(pwrite(starve_fd, "0", 1, 0));
	for (i = 0; i < ARRAY_SIZE(allocators); i++)
		if (has_injector(allocators[i]))
			failed += TIMES - get(allocators[i], "times");
	calm(NULL);
	return failed;
}

/* All that both modules count. */
static void snapshot(char *text, size_t size)
{
	static const char * const names[] = {
		"devices", "bindings", "chunks", "flows", "sockets", "tokens",
		"links", "rules", "gpu_buffers", "gpu_attachments", "gpu_maps",
		"gpu_pins",
	};
	size_t i, used = 0;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		used += (size_t)snprintf(text + used, size - used, "%s %ld, ",
					 names[i], live_object(names[i]));
}

#define SNAPSHOT	512

static bool same_objects(const char *wanted)
{
	char now[SNAPSHOT];

	snapshot(now, sizeof(now));
	return !strcmp(now, wanted);
}

static void check_objects(const struct fault_op *op, unsigned int at,
			  const char *wanted)
{
	char now[SNAPSHOT];

	if (within(SETTLE_MS, same_objects(wanted)))
		return;
	snapshot(now, sizeof(now));
	fail("%s, %u: has left\n%s\nafter\n%s", op->name, at, now, wanted);
}

struct tally {
	unsigned int places;
	unsigned int refused;
	unsigned int lost;
};

/* Once. Returns whether something had to fail. */
static bool try_op(const struct fault_op *op, enum fault_mode mode,
		   unsigned int at, struct tally *tally)
{
	bool hit;
	int err;

	if (op->before)
		op->before();
	if (mode == FAULT_ALL)
		starve_begin(at);
	else
		fault_begin(at);
	err = op->run();
	hit = mode == FAULT_ALL ? starve_end() : fault_end();

	if (!hit && err)
		fail("%s, %u: %s, but nothing was made to fail", op->name, at,
		     err < 0 ? strerror(-err) : "no answer");
	if (err < 0) {
		if (!fault_is_refusal(err) && err != op->also)
			fail("%s, %u: %s", op->name, at, strerror(-err));
		tally->refused++;
		err = op->run();
		if (err)
			fail("%s, %u: %s when there was memory again", op->name,
			     at, strerror(err < 0 ? -err : EIO));
	} else if (err) {
		tally->lost++;
	}
	if (op->after)
		op->after(!err);
	tally->places += hit;
	return hit;
}

static const char * const what_failed[] = {
	[FAULT_ONE]	= "allocations failed one by one",
	[FAULT_PAGES]	= "page allocations failed one by one",
	[FAULT_ALL]	= "times short of memory",
};

static void sweep(const struct fault_op *op, enum fault_mode mode,
		  struct tally *tally)
{
	unsigned int at = mode != FAULT_ALL;
	char wanted[SNAPSHOT];

	snapshot(wanted, sizeof(wanted));
	while (try_op(op, mode, at, tally)) {
		check_objects(op, at, wanted);
		at += mode == FAULT_ALL ? at / 4 + 64 : 1;
		if (at > (mode == FAULT_ALL ? SPACE_MAX : PLACES_MAX))
			fail("%s: no end of it", op->name);
	}
	check_objects(op, at, wanted);
	diag("%s: %u %s, %u refused, %u without an answer", op->name,
	     tally->places, what_failed[mode], tally->refused, tally->lost);
}

/* Only one kind of memory is counted at a time: whether a slab allocation takes a
 * page depends on what has been freed before, and would shift all that follow.
 */
void fault_sweep(const struct fault_op *op, enum fault_mode mode)
{
	struct tally tally = {};

	if (mode == FAULT_ONE)
		set("fail_page_alloc", "min-order", NO_ORDER);
	else if (mode == FAULT_PAGES)
		set_text("failslab", "cache-filter", "Y");
	if (mode != FAULT_PAGES || has_injector("fail_page_alloc"))
		sweep(op, mode, &tally);
	calm(NULL);
	if (mode == FAULT_ONE)
		check_cmp(tally.refused, >=, op->floor);
	else if (mode == FAULT_ALL && op->floor)
		check_cmp(tally.refused, >, 0);
}

void fault_sweep_memory(const struct fault_op *op)
{
	fault_sweep(op, FAULT_ONE);
	fault_sweep(op, FAULT_PAGES);
}

static unsigned int atomic_times;

void fault_atomic_begin(unsigned int percent, unsigned int times)
{
	unsigned int i;

	defer(calm, NULL);
	atomic_times = times;
	for (i = 0; i < ARRAY_SIZE(allocators); i++) {
		set_text(allocators[i], "ignore-gfp-wait", "Y");
		set(allocators[i], "times", times);
	}
	/* no fixed interval: what TCP tries again could fail each time */
	for (i = 0; i < ARRAY_SIZE(allocators); i++)
		set(allocators[i], "probability", percent);
}

unsigned int fault_atomic_end(void)
{
	unsigned int i, failed = 0;

	for (i = 0; i < ARRAY_SIZE(allocators); i++)
		if (has_injector(allocators[i]))
			failed += atomic_times - get(allocators[i], "times");
	calm(NULL);
	return failed;
}
