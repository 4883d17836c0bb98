/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Others who give a reader's tokens back: a thread of its process, and another
 * process that gets each socket over a UNIX socket (SCM_RIGHTS). They look at the
 * pieces when they get them, hold them for a moment, and look once more.
 */
#ifndef SELFTESTS_COMMON_GIVERS_H
#define SELFTESTS_COMMON_GIVERS_H

#include <pthread.h>

#include "common.h"

struct givers {
	int to_thread;
	int to_process;

	/* private */
	const unsigned char *map;
	int from_thread;
	pthread_t thread;
	pid_t process;
};

/* Before any sender holds the other end of these sockets. */
void givers_start(struct givers *g, const struct bound *b);

/* All that @rx holds goes to g->to_thread or g->to_process. */
void givers_hand_over(struct rx *rx, int to);

/* Wait until they have given back everything. Returns how many tokens that were. */
uint64_t givers_stop(struct givers *g);

#endif /* SELFTESTS_COMMON_GIVERS_H */
