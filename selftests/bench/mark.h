/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How a program in the guest talks to the plugin that counts its instructions
 * (count.c): by a store that nobody else makes, with two fixed registers and a
 * displacement that says what the stored value means. Without the plugin it is
 * a store like any other.
 */
#ifndef BENCH_MARK_H
#define BENCH_MARK_H

#include <stdint.h>

#define MARK_MAGIC	0x4d420000U	/* of the displacement's upper half */

/* mov %rax, disp32(%rcx) */
#define MARK_OPCODE	{ 0x48, 0x89, 0x81 }
#define MARK_INSN_SIZE	7

enum mark {
	MARK_TEXT_START = 1,	/* the driver's text begins here, */
	MARK_TEXT_END,		/* and ends before */
	MARK_DEVICE_START,	/* a function in it that does the hardware's work, */
	MARK_DEVICE_END,	/* up to here */
	MARK_DEVICE_CALLEE,	/* a kernel function that does so when the driver calls it */
	MARK_WATCH_START,	/* code whose accesses to memory matter, */
	MARK_WATCH_END,		/* up to here */
	MARK_LOCK_START,	/* a function that takes or drops a lock, */
	MARK_LOCK_END,
	MARK_WATCH,		/* all of these are known now */
	MARK_BESIDE,		/* the CPU that another connection is received on, 0: none */
	MARK_BEGIN,		/* of a measurement with this number, on this CPU */
	MARK_FINISH,		/* of it */
	MARK_LAST
};

#ifdef __x86_64__
#define mark(what, value) do {						\
	static uint64_t mark_slot_;					\
	register uint64_t mark_value_ asm("rax") = (value);		\
	register uint64_t mark_base_ asm("rcx") =			\
		(uint64_t)(uintptr_t)&mark_slot_ - (MARK_MAGIC | (what)); \
	asm volatile("movq %%rax, %c2(%%rcx)"				\
		     : : "r" (mark_value_), "r" (mark_base_),		\
		       "i" (MARK_MAGIC | (what)) : "memory");		\
} while (0)
#else
#define mark(what, value)	((void)(what), (void)(value))
#endif

#endif /* BENCH_MARK_H */
