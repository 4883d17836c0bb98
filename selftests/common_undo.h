/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What ethtool says of nsd0, and whether some devmem-nic is still at work: for tests of
 * receivers that set it up.
 */
#ifndef SELFTESTS_COMMON_UNDO_H
#define SELFTESTS_COMMON_UNDO_H

#include "common.h"

/* ethtool -g, -k, -n and -x. */
struct picture {
	char text[32768];
};

void picture_take(struct picture *p);

/* It is as it was. */
void picture_check(const struct picture *before);

/* Processes named devmem-nic; the number of one of them, if there are, in @pid. */
unsigned int nic_processes(pid_t *pid);

/* They end in time, and nsd0 is as it was. */
void check_undone(const struct picture *before);

#endif /* SELFTESTS_COMMON_UNDO_H */
