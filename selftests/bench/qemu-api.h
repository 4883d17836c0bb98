/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The few calls of QEMU's plugin interface that count.c needs, as QEMU 10 has
 * them (interface version 4). Debian has no package with its header.
 */
#ifndef BENCH_QEMU_API_H
#define BENCH_QEMU_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QEMU_API_VERSION	4
#define QEMU_EXPORT		__attribute__((visibility("default")))

struct qemu_plugin_tb;
struct qemu_plugin_insn;

/* The beginning of what qemu_plugin_install() is told. */
struct qemu_info {
	const char *target_name;
	struct {
		int min;
		int cur;
	} version;
	bool system_emulation;
	int smp_vcpus;
	int max_vcpus;
};

struct qemu_value {
	int type;
	union {
		uint64_t u64;
		uint64_t u128[2];
	} data;
};

enum { QEMU_NO_REGS };
enum { QEMU_MEM_WRITE = 2, QEMU_MEM_ANY };

typedef void (*qemu_cpu_fn)(unsigned int cpu, void *arg);
typedef void (*qemu_mem_fn)(unsigned int cpu, uint32_t info, uint64_t addr, void *arg);

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id,
	void (*fn)(uint64_t id, struct qemu_plugin_tb *tb));
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, qemu_cpu_fn fn,
					  int flags, void *arg);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, qemu_cpu_fn fn,
					    int flags, void *arg);
void qemu_plugin_register_vcpu_mem_cb(struct qemu_plugin_insn *insn, qemu_mem_fn fn,
				      int flags, int rw, void *arg);
bool qemu_plugin_mem_is_store(uint32_t info);
/* Forget all callbacks and all code that was translated; then @again is called. */
void qemu_plugin_reset(uint64_t id, void (*again)(uint64_t id));
struct qemu_value qemu_plugin_mem_get_value(uint32_t info);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *to, size_t len);
/* Not of that interface, but QEMU's own: the CPU that runs in this thread. */
extern __thread const void *current_cpu;
const void *qemu_get_cpu(int index);

#endif /* BENCH_QEMU_API_H */
