// SPDX-License-Identifier: GPL-2.0
/*
 * Owns a device's indirection table (ethtool -x): that it sends nothing to our queues.
 * Must not know what they are for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devmem-nic.h"

/* Return: the table, its size in the field, to be freed; NULL: see devmem_error(). */
static struct ethtool_rxfh_indir *dn_rss_get(const struct dn_nic *nic)
{
	struct ethtool_rxfh_indir ask = { .cmd = ETHTOOL_GRXFHINDIR };
	struct ethtool_rxfh_indir *table;
	int ret = dn_ioctl(nic, &ask);

	if (ret || !ask.size) {
		devmem_fail(-ret, "%s: its driver has no RSS table to take queues out of (ethtool -x)",
			    nic->dev);
		return NULL;
	}
	table = calloc(1, sizeof(*table) + ask.size * sizeof(table->ring_index[0]));
	if (!table) {
		devmem_fail(ENOMEM, "out of memory");
		return NULL;
	}
	table->cmd = ETHTOOL_GRXFHINDIR;
	table->size = ask.size;
	ret = dn_ioctl(nic, table);
	if (!ret)
		return table;
	free(table);
	devmem_fail(-ret, "%s: RSS table: %s", nic->dev, strerror(-ret));
	return NULL;
}

/* A table as the kernel makes it by itself is better not set: it would stay as it is when
 * the number of queues changes.
 */
static bool dn_rss_is_default(const struct dn_nic *nic, const struct ethtool_rxfh_indir *table)
{
	struct ethtool_rxnfc rings = { .cmd = ETHTOOL_GRXRINGS };
	uint32_t i;

	if (dn_ioctl(nic, &rings) || !rings.data)
		return false;
	for (i = 0; i < table->size; i++)
		if (table->ring_index[i] != i % (uint32_t)rings.data)
			return false;
	return true;
}

static int dn_rss_put(const struct dn_nic *nic, struct ethtool_rxfh_indir *table)
{
	int ret;

	table->cmd = ETHTOOL_SRXFHINDIR;
	if (dn_rss_is_default(nic, table))
		table->size = 0;
	ret = dn_ioctl(nic, table);
	return ret ? devmem_fail(-ret, "%s: RSS table: %s%s", nic->dev, strerror(-ret),
				 ret == -EPERM ? "; it takes CAP_NET_ADMIN" : "") : 0;
}

int dn_rss_check(struct dn_nic *nic)
{
	struct ethtool_rxfh_indir *table = dn_rss_get(nic);

	if (!table)
		return -EOPNOTSUPP;
	free(table);
	return 0;
}

/* Entries that name a receiver's queue get those that the others name, in turn. */
static int dn_rss_exclude(const struct dn_nic *nic, const uint32_t *before,
			  struct ethtool_rxfh_indir *table)
{
	const uint8_t *owners = nic->state->owners;
	uint32_t i, from = 0, size = table->size;

	while (from < size && owners[before[from]])
		from++;
	if (from == size)
		return devmem_fail(EINVAL, "%s: RSS sends everything to the queues that are wanted: leave it one (ethtool -X), or take fewer",
				   nic->dev);
	for (i = 0; i < size; i++) {
		table->ring_index[i] = before[i];
		if (!owners[before[i]])
			continue;
		table->ring_index[i] = before[from];
		do {
			from = (from + 1) % size;
		} while (owners[before[from]]);
	}
	return 0;
}

static bool dn_rss_known(const struct ethtool_rxfh_indir *table)
{
	uint32_t i;

	if (table->size > DN_TABLE)
		return false;
	for (i = 0; i < table->size; i++)
		if (table->ring_index[i] >= DN_QUEUES)
			return false;
	return true;
}

/* Is the table what we have made of it? Who has changed it since wants it so: what there
 * was before is forgotten.
 */
static bool dn_rss_ours(struct dn_state *st, const struct ethtool_rxfh_indir *table)
{
	if (st->table_size != table->size ||
	    memcmp(st->table_set, table->ring_index, table->size * sizeof(st->table_set[0])))
		st->table_size = 0;
	return st->table_size;
}

static int dn_rss_change(struct dn_nic *nic, struct ethtool_rxfh_indir *table)
{
	struct dn_state *st = nic->state;
	uint32_t size = table->size;
	size_t bytes = size * sizeof(st->table_set[0]);
	bool ours = dn_rss_ours(st, table), same;
	int ret;

	if (!dn_state_busy(nic) && !ours)
		return 0;
	if (!ours)
		memcpy(st->table_before, table->ring_index, bytes);
	ret = dn_rss_exclude(nic, st->table_before, table);
	if (ret)
		return ret;
	same = !memcmp(st->table_before, table->ring_index, bytes);
	if (same && !ours)
		return 0;
	memcpy(st->table_set, table->ring_index, bytes);
	st->table_size = size;
	ret = dn_rss_put(nic, table);
	if (!ret && same)
		st->table_size = 0;
	return ret;
}

int dn_rss_settle(struct dn_nic *nic)
{
	struct ethtool_rxfh_indir *table;
	int ret;

	if (!dn_state_busy(nic) && !nic->state->table_size)
		return 0;
	table = dn_rss_get(nic);
	if (!table)
		return -ENODEV;
	ret = dn_rss_known(table) ? dn_rss_change(nic, table) :
	      devmem_fail(E2BIG, "%s: its RSS table has %u entries, or names queues from %d on",
			  nic->dev, table->size, DN_QUEUES);
	free(table);
	return ret;
}
