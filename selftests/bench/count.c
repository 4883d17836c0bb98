// SPDX-License-Identifier: GPL-2.0
/*
 * A QEMU plugin that counts instructions by CPU of the guest, between two marks
 * that a program there makes (mark.h). Owns what is counted and what is left out;
 * must not know what is being measured.
 *
 * Left out is what hardware would do. The driver does that in functions of its
 * own, or by calling the kernel's, to free what the sender's hardware has sent for
 * instance. So from a call by the driver's text to such a function on, until the
 * driver's other text runs again on that CPU, instructions are the device's. Which
 * functions those are the guest says, before the driver runs for the first time:
 * QEMU asks us once about each piece of code.
 *
 * Blocks of code are counted as they begin; with -icount they end early only where
 * an instruction faults. With one thread for all CPUs QEMU 10.0 tells callbacks, and
 * counters that it keeps itself, the CPU that a block was translated for; so we look
 * which one runs.
 *
 * With the argument lines=yes each result has the cache lines that two CPUs share, see
 * lines.c. With the argument profile=FILE that has, for each measurement, the addresses of
 * translated blocks and how many instructions the CPU that made the marks has run in
 * them. Each result is a line of JSON in the file out=FILE.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lines.h"
#include "mark.h"
#include "qemu-api.h"

#define CPUS_MAX	16
#define RANGES_MAX	64
#define CALLEES_MAX	8
#define KERNEL_START	(1ULL << 63)
#define HASH_SIZE	(1U << 18)
#define CALL_REL32	0xe8		/* opcodes */
#define JMP_REL32	0xe9

struct counters {
	uint64_t user;
	uint64_t kernel;
	uint64_t device;	/* of @kernel */
	uint64_t since;		/* @kernel when the device's work began */
	uint64_t in_device;
};

struct range {
	uint64_t start;
	uint64_t end;
};

struct block {
	struct block *next;
	uint64_t addr;
	size_t size;
	uint64_t runs;
};

QEMU_EXPORT int qemu_plugin_version = QEMU_API_VERSION;

static uint64_t plugin;
static bool want_lines;
static struct range watch[RANGES_MAX], locks[RANGES_MAX];
static unsigned int nr_watch, nr_locks;
static int beside = -1;			/* the CPU of another connection */

static void look(uint64_t id);

static struct counters all[CPUS_MAX], at_begin[CPUS_MAX];
static unsigned int nr_cpus;

static struct range text;		/* the driver's */
static struct range device[RANGES_MAX];	/* of that, the hardware's */
static unsigned int nr_device;
static uint64_t callees[CALLEES_MAX];
static unsigned int nr_callees;

static FILE *out, *profile;
static struct block *blocks[HASH_SIZE];
static int measuring = -1;		/* the CPU that has begun */

unsigned int running(void)
{
	unsigned int i;

	for (i = 0; i < nr_cpus - 1; i++)
		if (qemu_get_cpu((int)i) == current_cpu)
			break;
	return i;
}

static bool inside(const struct range *r, uint64_t addr)
{
	return addr >= r->start && addr < r->end;
}

static bool inside_any(const struct range *ranges, unsigned int nr, uint64_t addr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (inside(&ranges[i], addr))
			return true;
	return false;
}

static bool device_text(uint64_t addr)
{
	return inside_any(device, nr_device, addr);
}

static bool driver_text(uint64_t addr)
{
	return inside(&text, addr) && !device_text(addr);
}

static bool device_callee(uint64_t addr)
{
	unsigned int i;

	for (i = 0; i < nr_callees; i++)
		if (callees[i] == addr)
			return true;
	return device_text(addr);
}

static void device_enter(unsigned int cpu, void *arg)
{
	struct counters *c = &all[running()];

	(void)cpu;
	(void)arg;
	c->in_device = 1;
	c->since = c->kernel;
}

static void device_leave(unsigned int cpu, void *arg)
{
	struct counters *c = &all[running()];

	(void)cpu;
	(void)arg;
	if (!c->in_device)
		return;
	c->in_device = 0;
	c->device += c->kernel - c->since;
}

static void user_block(unsigned int cpu, void *size)
{
	(void)cpu;
	all[running()].user += (uintptr_t)size;
}

static void kernel_block(unsigned int cpu, void *size)
{
	(void)cpu;
	all[running()].kernel += (uintptr_t)size;
}

static void profiled_block(unsigned int cpu, void *arg)
{
	struct block *b = arg;

	(void)cpu;
	if ((int)running() == measuring && !all[measuring].in_device)
		b->runs++;
}

static struct block *block_get(uint64_t addr, size_t size)
{
	struct block **head = &blocks[(addr ^ addr >> 18) % HASH_SIZE], *b;

	for (b = *head; b; b = b->next)
		if (b->addr == addr && b->size == size)
			return b;
	b = calloc(1, sizeof(*b));
	if (!b)
		abort();
	b->addr = addr;
	b->size = size;
	b->next = *head;
	*head = b;
	return b;
}

static void profile_write(uint64_t number)
{
	unsigned long long insns;
	struct block *b;
	unsigned int i;

	for (i = 0; i < HASH_SIZE; i++) {
		for (b = blocks[i]; b; b = b->next) {
			insns = b->runs;
			insns *= b->size;
			if (insns)
				fprintf(profile, "%llu %llx %llu\n", (unsigned long long)number,
					(unsigned long long)b->addr, insns);
			b->runs = 0;
		}
	}
	fflush(profile);
}

static void begin(unsigned int cpu)
{
	memcpy(at_begin, all, sizeof(all));
	measuring = (int)cpu;
	if (want_lines && beside >= 0)
		lines_begin(cpu, (unsigned int)beside);
}

static void finish(unsigned int cpu, uint64_t number)
{
	const struct counters *c, *was;
	unsigned int i;

	if (measuring != (int)cpu)
		fprintf(out, "{\"number\": %llu, \"error\": \"begun on CPU %d, finished on %u\"}\n",
			(unsigned long long)number, measuring, cpu);
	measuring = -1;
	fprintf(out, "{\"number\": %llu, \"cpu\": %u, \"cpus\": [", (unsigned long long)number, cpu);
	for (i = 0; i < nr_cpus; i++) {
		c = &all[i];
		was = &at_begin[i];
		fprintf(out, "%s{\"user\": %llu, \"kernel\": %llu, \"device\": %llu}", i ? ", " : "",
			(unsigned long long)(c->user - was->user),
			(unsigned long long)(c->kernel - was->kernel - (c->device - was->device)),
			(unsigned long long)(c->device - was->device));
	}
	fprintf(out, "]");
	if (want_lines && beside >= 0)
		lines_finish(out);
	fprintf(out, "}\n");
	fflush(out);
	if (profile)
		profile_write(number);
}

static void range_start(struct range *ranges, unsigned int nr, uint64_t addr)
{
	if (nr < RANGES_MAX)
		ranges[nr].start = addr;
}

static void range_end(struct range *ranges, unsigned int *nr, uint64_t addr)
{
	if (*nr < RANGES_MAX)
		ranges[(*nr)++].end = addr;
}

/* Locks have been taken for a while: that code is to be looked at again. */
static void watch_all(void)
{
	if (want_lines)
		qemu_plugin_reset(plugin, look);
}

static void marked(unsigned int cpu, uint32_t info, uint64_t addr, void *arg)
{
	uint64_t value = qemu_plugin_mem_get_value(info).data.u64;

	(void)cpu;
	(void)addr;
	switch ((enum mark)(uintptr_t)arg) {
	case MARK_TEXT_START:
		text.start = value;
		break;
	case MARK_TEXT_END:
		text.end = value;
		break;
	case MARK_DEVICE_START:
		range_start(device, nr_device, value);
		break;
	case MARK_DEVICE_END:
		range_end(device, &nr_device, value);
		break;
	case MARK_WATCH_START:
		range_start(watch, nr_watch, value);
		break;
	case MARK_WATCH_END:
		range_end(watch, &nr_watch, value);
		break;
	case MARK_LOCK_START:
		range_start(locks, nr_locks, value);
		break;
	case MARK_LOCK_END:
		range_end(locks, &nr_locks, value);
		break;
	case MARK_WATCH:
		watch_all();
		break;
	case MARK_BESIDE:
		beside = value ? (int)value : -1;
		break;
	case MARK_DEVICE_CALLEE:
		if (nr_callees < CALLEES_MAX)
			callees[nr_callees++] = value;
		break;
	case MARK_BEGIN:
		begin(running());
		break;
	case MARK_FINISH:
		finish(running(), value);
		break;
	default:
		break;
	}
}

/* Which mark the instruction makes, 0: none. */
static uint32_t insn_mark(const struct qemu_plugin_insn *insn)
{
	static const uint8_t opcode[] = MARK_OPCODE;
	uint8_t bytes[MARK_INSN_SIZE];
	uint32_t disp;

	if (qemu_plugin_insn_size(insn) != sizeof(bytes) ||
	    qemu_plugin_insn_data(insn, bytes, sizeof(bytes)) != sizeof(bytes) ||
	    memcmp(bytes, opcode, sizeof(opcode)))
		return 0;
	memcpy(&disp, bytes + sizeof(opcode), sizeof(disp));
	disp ^= MARK_MAGIC;
	return disp < MARK_LAST ? disp : 0;
}

/* Where the instruction calls or, at the end of a function, jumps to; 0: it does
 * neither, or not directly.
 */
static uint64_t insn_callee(const struct qemu_plugin_insn *insn)
{
	uint8_t bytes[5];
	int32_t rel;

	if (qemu_plugin_insn_size(insn) != sizeof(bytes) ||
	    qemu_plugin_insn_data(insn, bytes, sizeof(bytes)) != sizeof(bytes) ||
	    (bytes[0] != CALL_REL32 && bytes[0] != JMP_REL32))
		return 0;
	memcpy(&rel, bytes + 1, sizeof(rel));
	return qemu_plugin_insn_vaddr(insn) + sizeof(bytes) + (uint64_t)(int64_t)rel;
}

static void translated_lines(struct qemu_plugin_tb *tb)
{
	uint64_t addr = qemu_plugin_tb_vaddr(tb);
	bool watched = inside_any(watch, nr_watch, addr);
	bool lock = inside_any(locks, nr_locks, addr);
	size_t i, n = qemu_plugin_tb_n_insns(tb);
	struct qemu_plugin_insn *insn;

	if (watched)
		lines_watch_block(tb);
	for (i = 0; (watched || lock) && i < n; i++) {
		insn = qemu_plugin_tb_get_insn(tb, i);
		if (lock)
			lines_watch_lock(insn);
		if (!watched)
			continue;
		lines_watch(insn);
		if (inside_any(locks, nr_locks, insn_callee(insn)))
			lines_watch_call(insn);
	}
}

static void translated(uint64_t id, struct qemu_plugin_tb *tb)
{
	uint64_t addr = qemu_plugin_tb_vaddr(tb);
	bool in_kernel = addr >= KERNEL_START;
	bool driver = driver_text(addr);
	size_t i, n = qemu_plugin_tb_n_insns(tb);
	struct qemu_plugin_insn *insn;
	uint32_t what;

	(void)id;
	if (want_lines)
		translated_lines(tb);
	if (driver)
		qemu_plugin_register_vcpu_tb_exec_cb(tb, device_leave, QEMU_NO_REGS, NULL);
	qemu_plugin_register_vcpu_tb_exec_cb(tb, in_kernel ? kernel_block : user_block,
					     QEMU_NO_REGS, (void *)(uintptr_t)n);
	if (profile)
		qemu_plugin_register_vcpu_tb_exec_cb(tb, profiled_block, QEMU_NO_REGS,
						     block_get(addr, n));
	for (i = 0; i < n; i++) {
		insn = qemu_plugin_tb_get_insn(tb, i);
		if (driver && device_callee(insn_callee(insn)))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, device_enter, QEMU_NO_REGS,
							       NULL);
		what = in_kernel ? 0 : insn_mark(insn);
		if (what)
			qemu_plugin_register_vcpu_mem_cb(insn, marked, QEMU_NO_REGS,
							 QEMU_MEM_WRITE, (void *)(uintptr_t)what);
	}
}

static void look(uint64_t id)
{
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
}

static FILE *open_argument(const char *arg, const char *name)
{
	size_t n = strlen(name);
	FILE *f;

	if (strncmp(arg, name, n))
		return NULL;
	f = fopen(arg + n, "we");
	if (!f)
		fprintf(stderr, "count: cannot write %s\n", arg + n);
	return f;
}

QEMU_EXPORT int qemu_plugin_install(uint64_t id, const struct qemu_info *info,
				    int argc, char **argv);
QEMU_EXPORT int qemu_plugin_install(uint64_t id, const struct qemu_info *info,
				    int argc, char **argv)
{
	int i;

	for (i = 0; i < argc; i++) {
		want_lines = want_lines || !strcmp(argv[i], "lines=yes");
		out = out ?: open_argument(argv[i], "out=");
		profile = profile ?: open_argument(argv[i], "profile=");
	}
	if (!out || info->smp_vcpus > CPUS_MAX || strcmp(info->target_name, "x86_64")) {
		fprintf(stderr, "count: needs out=FILE and an x86-64 guest of at most %d CPUs\n",
			CPUS_MAX);
		return -1;
	}
	nr_cpus = (unsigned int)info->smp_vcpus;
	plugin = id;
	look(id);
	return 0;
}
