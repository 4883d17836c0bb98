// SPDX-License-Identifier: GPL-2.0
/*
 * The other end of all connections: a process that sends for as long as somebody
 * receives, on each in turn as much as its reader waits for. Owns nothing that is measured.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../ktap.h"
#include "bench.h"

static void send_for_ever(const int *socks, unsigned int nr, size_t turn)
{
	char *buf = calloc(1, turn);
	unsigned int i;
	size_t at;
	ssize_t n;

	for (i = 0; buf; i = (i + 1) % nr) {
		for (at = 0; at < turn; at += (size_t)n) {
			n = send(socks[i], buf + at, turn - at, MSG_NOSIGNAL);
			if (n < 0 && errno != EINTR)
				_exit(0);
			if (n < 0)
				n = 0;
		}
	}
	_exit(1);
}

void sender_start(const int *socks, unsigned int nr, size_t turn, int cpu)
{
	pid_t pid = must(fork());

	if (pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	pin(0, cpu);
	send_for_ever(socks, nr, turn);
}
