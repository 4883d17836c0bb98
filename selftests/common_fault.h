/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Operations that run out of memory: at each place where the kernel can, one
 * after the other. Needs a kernel with fault injection.
 *
 * An operation is run with its first allocation failing, then its second, and so
 * on until it needs no more than were let through. Each time
 *
 *	it may succeed all the same, or be refused with ENOMEM or the like;
 *	when it was refused it must succeed at once when there is memory again;
 *	when it has been undone there must be as many objects as before.
 *
 * The kernel counts what the calling task does, not what interrupts do.
 */
#ifndef SELFTESTS_COMMON_FAULT_H
#define SELFTESTS_COMMON_FAULT_H

#include <stdbool.h>
#include <stdint.h>

/* The whole test is skipped unless the kernel can do this. For main(): prints
 * the plan of a file that is skipped.
 */
bool fault_possible(void);

/* How operations that need memory find none. */
enum fault_mode {
	FAULT_ONE,		/* the n-th time, and only then: slab memory */
	FAULT_PAGES,		/* the same: pages */
	FAULT_ALL,		/* from some time on: also for cleaning up */
};

/* run() returns 0; or -errno: it was refused and nothing has changed; or this:
 * nobody knows, for the answer was what there was no memory for.
 */
#define FAULT_LOST	1

struct fault_op {
	const char *name;
	unsigned int floor;	/* at least so often it must be refused (FAULT_ONE) */
	void (*before)(void);	/* with memory; may be NULL, as after() */
	int (*run)(void);
	void (*after)(bool done);	/* @done: it succeeded in the end */
	int also;		/* what the kernel calls it here, too */
};

/* From setup(). */
void fault_setup(void);

void fault_sweep(const struct fault_op *op, enum fault_mode mode);

/* FAULT_ONE, then FAULT_PAGES. */
void fault_sweep_memory(const struct fault_op *op);

/* For tests with a loop of their own: what the caller does from fault_begin() on
 * fails at the @nth place. fault_end() returns whether there was such a place.
 */
void fault_begin(unsigned int nth);
bool fault_end(void);

/* Is @err what an operation may be refused with for want of memory? */
bool fault_is_refusal(int err);

/* @percent of the allocations that may not wait, @times at most, whoever makes
 * them: interrupts for the most part. Until fault_atomic_end(), which returns how
 * many have failed, or until the case ends.
 */
void fault_atomic_begin(unsigned int percent, unsigned int times);
unsigned int fault_atomic_end(void);

#endif /* SELFTESTS_COMMON_FAULT_H */
