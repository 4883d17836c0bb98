// SPDX-License-Identifier: GPL-2.0
/*
 * Tells the plugin where in the kernel what is: which functions do the work of
 * hardware, which code is ours, which functions take locks. Owns these lists. Must not
 * know what the plugin makes of them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../common.h"
#include "bench.h"
#include "mark.h"

#define DRIVER		"netdevsim_devmem"
#define STACK		"netdev_devmem"
#define SYMBOLS_MAX	1024
#define PAGE_END(addr)	(((addr) | 4095) + 1)

/* Functions of a module, by address. */
struct text {
	uint64_t start[SYMBOLS_MAX];
	unsigned int nr;
};

static struct text driver, stack, device;

static int by_address(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Functions of the driver that do what hardware does, by the beginning of their
 * names: DMA and the IOMMU, parsing, the look-up of rules, hashing, hardware GRO, checksums.
 */
static const char * const device_names[] = {
	"nsdm_dma_", "nsdm_parse", "nsdm_steer", "nsdm_rule_find", "nsdm_rss_", "nsdm_gro_",
	"nsdm_csum", "nsdm_segment", "nsdm_done_", "nsdm_iommu_fault", "rht_",
};

/* Functions of the kernel that are the hardware's work when the driver calls them:
 * they move headers, compute checksums, and free what the far end has sent.
 */
static const char * const device_callees[] = { "skb_copy_bits", "skb_checksum", "consume_skb" };

static bool is_device_name(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(device_names); i++)
		if (!strncmp(name, device_names[i], strlen(device_names[i])))
			return true;
	return false;
}

static bool is_device_callee(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(device_callees); i++)
		if (!strcmp(name, device_callees[i]))
			return true;
	return false;
}

static bool is_lock_name(const char *name)
{
	static const char * const names[] = { "_raw_spin_", "_raw_read_", "_raw_write_", "queued_" };
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strncmp(name, names[i], strlen(names[i])))
			return true;
	return false;
}

/* Symbols have no size: up to the next one. The kernel's own are in order. */
static void announce_lock(const char *name, uint64_t addr)
{
	static uint64_t start;

	if (start && addr > start) {
		mark(MARK_LOCK_END, addr);
		start = 0;
	}
	if (!start && is_lock_name(name)) {
		mark(MARK_LOCK_START, addr);
		start = addr;
	}
}

static void add(struct text *text, uint64_t addr)
{
	check_cmp(text->nr, <, SYMBOLS_MAX);
	text->start[text->nr++] = addr;
}

static void read_symbols(void)
{
	char line[256], name[128], module[64];
	FILE *f = fopen("/proc/kallsyms", "re");
	unsigned long long addr;
	char type;

	check(f);
	while (fgets(line, sizeof(line), f)) {
		module[0] = 0;
		if (sscanf(line, "%llx %c %127s [%63[^]]]", &addr, &type, name, module) < 3 ||
		    (type != 't' && type != 'T'))
			continue;
		if (!module[0] && is_device_callee(name))
			mark(MARK_DEVICE_CALLEE, addr);
		if (!module[0])
			announce_lock(name, addr);
		if (!strcmp(module, STACK))
			add(&stack, addr);
		if (strcmp(module, DRIVER))
			continue;
		add(&driver, addr);
		if (is_device_name(name))
			add(&device, addr);
	}
	fclose(f);
}

static void announce_watch(const struct text *text)
{
	mark(MARK_WATCH_START, text->start[0]);
	mark(MARK_WATCH_END, PAGE_END(text->start[text->nr - 1]));
}

/* Up to the next symbol of the driver. */
static void announce_device(uint64_t addr)
{
	uint64_t *end = bsearch(&addr, driver.start, driver.nr, sizeof(addr), by_address);

	while (end && end < driver.start + driver.nr - 1 && *end == addr)
		end++;
	mark(MARK_DEVICE_START, addr);
	mark(MARK_DEVICE_END, end ? *end : addr + 1);
}

void announce(void)
{
	unsigned int i;

	read_symbols();
	check_cmp(device.nr, >, 0);
	check_cmp(stack.nr, >, 0);
	qsort(driver.start, driver.nr, sizeof(driver.start[0]), by_address);
	qsort(stack.start, stack.nr, sizeof(stack.start[0]), by_address);
	mark(MARK_TEXT_START, driver.start[0]);
	mark(MARK_TEXT_END, driver.start[driver.nr - 1] + 1);
	for (i = 0; i < device.nr; i++)
		announce_device(device.start[i]);
	announce_watch(&driver);
	announce_watch(&stack);
	mark(MARK_WATCH, 1);
	printf("@ {\"device_functions\": %u}\n", device.nr);
}
