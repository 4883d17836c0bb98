// SPDX-License-Identifier: GPL-2.0
/*
 * Counters: of a binding, and of live objects (debugfs netdev-devmem/objects,
 * one "name count" a line), which is how tests see that nothing leaks.
 */
#include <linux/debugfs.h>
#include <linux/seq_file.h>

#include "devmem.h"

DEFINE_PER_CPU(long, devmem_objects[DEVMEM_OBJ_MAX]);

static struct dentry *devmem_debugfs;

static const char * const devmem_object_names[DEVMEM_OBJ_MAX] = {
	[DEVMEM_OBJ_DEVICES]	= "devices",
	[DEVMEM_OBJ_BINDINGS]	= "bindings",
	[DEVMEM_OBJ_CHUNKS]	= "chunks",
	[DEVMEM_OBJ_FLOWS]	= "flows",
	[DEVMEM_OBJ_SOCKETS]	= "sockets",
	[DEVMEM_OBJ_TOKENS]	= "tokens",
};

static int objects_show(struct seq_file *seq, void *unused)
{
	int object, cpu;
	long sum;

	for (object = 0; object < DEVMEM_OBJ_MAX; object++) {
		sum = 0;
		for_each_possible_cpu(cpu)
			sum += READ_ONCE(per_cpu(devmem_objects[object], cpu));
		seq_printf(seq, "%s %ld\n", devmem_object_names[object], sum);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(objects);

void devmem_stats_init(void)
{
	devmem_debugfs = debugfs_create_dir("netdev-devmem", NULL);
	debugfs_create_file("objects", 0444, devmem_debugfs, NULL, &objects_fops);
}

void devmem_stats_exit(void)
{
	debugfs_remove_recursive(devmem_debugfs);
}

/* All counters are u64, so the sum may be taken word by word. */
void devmem_stats_read(struct devmem_binding *binding, struct devmem_stats *sum)
{
	const size_t words = sizeof(*sum) / sizeof(u64);
	u64 *to = (u64 *)sum;
	size_t i;
	int cpu;

	memset(sum, 0, sizeof(*sum));
	for_each_possible_cpu(cpu) {
		const u64 *from = (const u64 *)per_cpu_ptr(binding->stats, cpu);

		for (i = 0; i < words; i++)
			to[i] += READ_ONCE(from[i]);
	}
}
