/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Cache lines that two receiving CPUs share, as the plugin sees them (lines.c).
 */
#ifndef BENCH_LINES_H
#define BENCH_LINES_H

#include <stdint.h>
#include <stdio.h>

#include "qemu-api.h"

/* An instruction of the code that is watched. */
void lines_watch(struct qemu_plugin_insn *insn);
/* It is a call to a function that takes or drops a lock, */
void lines_watch_call(struct qemu_plugin_insn *insn);
/* and an instruction of such a function: counts if called from there. */
void lines_watch_lock(struct qemu_plugin_insn *insn);
/* A piece of code that is watched begins. */
void lines_watch_block(struct qemu_plugin_tb *tb);

/* Between these two, by these two CPUs. */
void lines_begin(unsigned int cpu, unsigned int beside);
/* As a member of a JSON object. */
void lines_finish(FILE *out);

/* count.c */
unsigned int running(void);

#endif /* BENCH_LINES_H */
