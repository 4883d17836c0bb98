/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What goes on around the streams of a stress test: settings of nsd0 that change,
 * links that go down and come up again, and those who only look. One round each;
 * what they must not get wrong fails the case.
 */
#ifndef SELFTESTS_COMMON_DISTURB_H
#define SELFTESTS_COMMON_DISTURB_H

#include "common.h"
#include "common_stress.h"

#define DISTURB_QUEUES	8	/* that nsd0 must have */
#define DISTURB_MTU	6500	/* nsd0's before all, never less; nsd1's is never more */

void disturb_setting(struct stress_rnd *rnd);
void disturb_link(struct stress_rnd *rnd);
void disturb_by_looking(struct stress_rnd *rnd);

#endif /* SELFTESTS_COMMON_DISTURB_H */
