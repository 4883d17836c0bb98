/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A netlink family as its specification has it; scripts/gen-table fills it in.
 */
#ifndef SELFTESTS_TABLE_H
#define SELFTESTS_TABLE_H

#include <stdbool.h>
#include <stdint.h>

enum table_kind {
	TABLE_U32,
	TABLE_UINT,
	TABLE_STRING,
	TABLE_NEST,
};

struct table_set;

struct table_attr {
	const char *name;
	uint16_t type;
	enum table_kind kind;
	const struct table_set *nest;
};

struct table_set {
	const struct table_attr *attrs;
	unsigned int nr;
};

struct table_op {
	const char *name;
	uint8_t cmd;
	bool dump;
	const struct table_set *set;
	const uint16_t *attrs;		/* of a request */
	unsigned int nr;
};

#endif /* SELFTESTS_TABLE_H */
