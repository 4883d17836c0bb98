/* SPDX-License-Identifier: GPL-2.0 */
/*
 * KTAP for self-tests in C. A file says what its cases are:
 *
 *	static void unknown_queue(void) { ... }
 *
 *	static const struct ktap_case cases[] = {
 *		KTAP_CASE(unknown_queue),
 *		KTAP_CASE(slow_reader, .timeout = 30),
 *	};
 *
 *	int main(int argc, char **argv)
 *	{
 *		return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
 *	}
 *
 * setup() (may be NULL) runs once, before the first case; what it defers runs
 * after the last. Each case runs in a process of its own, which leads a process
 * group: what a case leaves open, or leaves running, ends with it. A case fails
 * with the first fail(), or when its time is up; it passes by returning.
 *
 * After each case all objects of both modules but devices and links must be
 * gone within two seconds, or the case fails.
 */
#ifndef KTAP_H
#define KTAP_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#endif

#define KTAP_SKIP	4	/* exit status of a helper that called skip() */
#define KTAP_TIMEOUT	20	/* seconds for a case that does not say */

struct ktap_case {
	const char *name;
	void (*run)(void);
	unsigned int timeout;	/* seconds, where all is quiet: see patient() */
	bool dirty;		/* objects may outlive the case */
};

#define KTAP_CASE(fn, ...)	{ .name = #fn, .run = fn, ##__VA_ARGS__ }

/* argv[1] or KTAP_CASE in the environment: the only case to run. */
int ktap_main(int argc, char **argv, void (*setup)(void),
	      const struct ktap_case *cases, size_t nr);

/* A line of diagnostics. */
void diag(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The case, or the process made by test_fork(), ends here. */
#define fail(fmt, ...) \
	ktap_fail(__FILE__, __LINE__, fmt, ##__VA_ARGS__)
void ktap_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((noreturn, format(printf, 3, 4)));
void skip(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

#define check(cond)							\
	do {								\
		if (!(cond))						\
			fail("%s", #cond);				\
	} while (0)

/* Compares as signed 64-bit numbers and prints both. */
#define check_cmp(a, op, b)						\
	do {								\
		long long a_ = (long long)(a), b_ = (long long)(b);	\
		if (!(a_ op b_))					\
			fail("%s is %lld, should be %s %s (%lld)",	\
			     #a, a_, #op, #b, b_);			\
	} while (0)
#define check_eq(a, b)	check_cmp(a, ==, b)

/* A system call that must fail with the error @err. */
#define check_errno(call, err)						\
	do {								\
		errno = 0;						\
		long long r_ = (long long)(call);			\
		if (r_ >= 0)						\
			fail("%s returned %lld, should fail with %s",	\
			     #call, r_, #err);				\
		if (errno != (err))					\
			fail("%s: %s, should fail with %s", #call,	\
			     strerror(errno), #err);			\
	} while (0)

/* A system call that must not fail; its value. */
#define must(call) ({							\
	typeof(call) r_ = (call);					\
	if ((long long)r_ < 0)						\
		fail("%s: %s", #call, strerror(errno));			\
	r_;								\
})

/* How long to wait for what takes @ms at most where all is quiet. Who waits for a
 * condition loses nothing by waiting longer when the machine is busy.
 */
#define PATIENCE	4
#define patient(ms)	((ms) * (slow() + PATIENCE))

/* True as soon as @cond is, false when it is not in all that time. It is looked at
 * LOOKS times in any case: while a machine stands still its clock goes on.
 */
#define LOOKS		100
#define within(ms, cond) ({						\
	long long until_ = now_ms() + patient(ms);			\
	int looks_ = 0;							\
	bool ok_;							\
	while (!(ok_ = (cond)) &&					\
	       (++looks_ < LOOKS || now_ms() < until_))			\
		usleep(2000);						\
	ok_;								\
})
long long now_ms(void);

/* SLOW in the environment: how many times longer than usual all may take, 1 if
 * it says nothing. For kernels that check more than stock ones do.
 */
int slow(void);

/* @fn(@arg) is called when the case (or, from setup, the file) ends in whatever
 * way; last first. Needed for what outlives a process: links, namespaces.
 */
void defer(void (*fn)(void *arg), void *arg);

/* fork() for a helper of the case: it dies with the case, fail() in it makes
 * its exit status 1, and it runs none of what was deferred.
 */
pid_t test_fork(void);

/* Wait for a helper; fail() unless it exited with 0. */
void test_join(pid_t pid);

#endif /* KTAP_H */
