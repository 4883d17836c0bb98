// SPDX-License-Identifier: GPL-2.0
/*
 * Which cache lines two CPUs share: those that one of them writes and the other
 * reads or writes, by instructions that are watched, and by the locks that these
 * take. Owns what is known of each line; must not know what is measured.
 *
 * What else the kernel does to a line is not seen. The emulator changes from one
 * CPU to another rarely, so how often a line changes hands is the least there is,
 * and how often it is touched is the most.
 */
#include <stdbool.h>
#include <string.h>

#include "lines.h"

#define LINE_SHIFT	6
#define LINES_MAX	(1U << 20)
#define CPUS_MAX	16
#define KERNEL_START	(1ULL << 63)

enum { MINE, BESIDE, BOTH };
enum { READ, WRITE, KINDS };

struct line {
	uint64_t addr;
	struct {
		uint64_t times[KINDS];
		uint64_t where[KINDS];	/* the last instruction that did it */
	} by[BOTH];
	unsigned int last;		/* who touched it last, */
	uint64_t handed;		/* and how often that had been another */
};

static struct line lines[LINES_MAX];
static unsigned int nr_lines;
static unsigned int cpus[BOTH];
static bool watching;
static uint64_t calls[CPUS_MAX];	/* where a lock is taken, 0: elsewhere */

static struct line *find(uint64_t addr)
{
	unsigned int at = (unsigned int)((addr * 0x9e3779b97f4a7c15ULL) >> 44) % LINES_MAX;

	for (; lines[at].addr; at = (at + 1) % LINES_MAX)
		if (lines[at].addr == addr)
			return &lines[at];
	if (nr_lines == LINES_MAX / 2)
		return NULL;
	nr_lines++;
	lines[at].addr = addr;
	lines[at].last = BOTH;
	return &lines[at];
}

static void touch(uint32_t info, uint64_t addr, uint64_t where)
{
	unsigned int cpu = running(), who = cpu == cpus[MINE] ? MINE : BESIDE;
	unsigned int kind = qemu_plugin_mem_is_store(info) ? WRITE : READ;
	struct line *line;

	if (addr < KERNEL_START || cpu != cpus[who])
		return;
	line = find(addr >> LINE_SHIFT << LINE_SHIFT);
	if (!line)
		return;
	line->by[who].times[kind]++;
	line->by[who].where[kind] = where;
	line->handed += line->last != BOTH && line->last != who;
	line->last = who;
}

static void watched(unsigned int cpu, uint32_t info, uint64_t addr, void *where)
{
	(void)cpu;
	if (watching)
		touch(info, addr, (uint64_t)(uintptr_t)where);
}

static void watched_lock(unsigned int cpu, uint32_t info, uint64_t addr, void *arg)
{
	(void)cpu;
	(void)arg;
	if (watching && calls[running() % CPUS_MAX])
		touch(info, addr, calls[running() % CPUS_MAX]);
}

static void call(unsigned int cpu, void *where)
{
	(void)cpu;
	calls[running() % CPUS_MAX] = (uint64_t)(uintptr_t)where;
}

static void block(unsigned int cpu, void *arg)
{
	(void)cpu;
	(void)arg;
	calls[running() % CPUS_MAX] = 0;
}

void lines_watch(struct qemu_plugin_insn *insn)
{
	uint64_t where = qemu_plugin_insn_vaddr(insn);

	qemu_plugin_register_vcpu_mem_cb(insn, watched, QEMU_NO_REGS, QEMU_MEM_ANY,
					 (void *)(uintptr_t)where);
}

void lines_watch_call(struct qemu_plugin_insn *insn)
{
	uint64_t where = qemu_plugin_insn_vaddr(insn);

	qemu_plugin_register_vcpu_insn_exec_cb(insn, call, QEMU_NO_REGS,
					       (void *)(uintptr_t)where);
}

void lines_watch_lock(struct qemu_plugin_insn *insn)
{
	qemu_plugin_register_vcpu_mem_cb(insn, watched_lock, QEMU_NO_REGS, QEMU_MEM_ANY, NULL);
}

void lines_watch_block(struct qemu_plugin_tb *tb)
{
	qemu_plugin_register_vcpu_tb_exec_cb(tb, block, QEMU_NO_REGS, NULL);
}

void lines_begin(unsigned int cpu, unsigned int beside)
{
	memset(lines, 0, sizeof(lines));
	nr_lines = 0;
	cpus[MINE] = cpu;
	cpus[BESIDE] = beside;
	watching = true;
}

static bool shared(const struct line *line)
{
	const uint64_t *mine = line->by[MINE].times, *beside = line->by[BESIDE].times;

	return (mine[WRITE] && (beside[READ] || beside[WRITE])) ||
	       (beside[WRITE] && mine[READ]);
}

void lines_finish(FILE *out)
{
	const char *comma = "";
	unsigned int i, who;

	watching = false;
	fprintf(out, ", \"lines_touched\": %u, \"lines\": [", nr_lines);
	for (i = 0; i < LINES_MAX; i++) {
		if (!lines[i].addr || !shared(&lines[i]))
			continue;
		fprintf(out, "%s[%llu, %llu", comma, (unsigned long long)lines[i].addr,
			(unsigned long long)lines[i].handed);
		for (who = MINE; who < BOTH; who++)
			fprintf(out, ", [%llu, %llu, %llu, %llu]",
				(unsigned long long)lines[i].by[who].times[READ],
				(unsigned long long)lines[i].by[who].where[READ],
				(unsigned long long)lines[i].by[who].times[WRITE],
				(unsigned long long)lines[i].by[who].where[WRITE]);
		fprintf(out, "]");
		comma = ", ";
	}
	fprintf(out, "]");
}
