/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who looks at packets in user space (NFQUEUE): it takes them all and lets them go on,
 * in its own time and order. The caller makes the rule that sends packets to queue 0,
 * which must exist before that.
 */
#ifndef SELFTESTS_COMMON_QUEUE_H
#define SELFTESTS_COMMON_QUEUE_H

#include <stdbool.h>

#define QUEUE_SEEN	7	/* the mark of what comes with @repeat */

struct queue_opts {
	bool gso;		/* takes long packets whole: NFQA_CFG_F_GSO */
	bool reverse;		/* the last of what waits goes on first */
	bool repeat;		/* goes to the chain's beginning again, marked */
	bool hold;		/* none goes on before queue_release() */
};

/* Its process, in the namespace of the caller. Skips the case if the kernel has no
 * such queues.
 */
void queue_start(const struct queue_opts *opts);

/* Packets that wait for it to decide. */
unsigned int queue_waiting(void);

/* From now on it does not hold them. */
void queue_release(void);

#endif /* SELFTESTS_COMMON_QUEUE_H */
