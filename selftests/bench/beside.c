// SPDX-License-Identifier: GPL-2.0
/*
 * Who receives beside the one that is measured: a process with a connection, a queue,
 * a poll, a sender and CPUs of its own. Owns that process and what it counts.
 */
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "../common.h"
#include "bench.h"
#include "mark.h"

#define WARM_UP		(32ULL << 20)
#define RCVBUF		(2 << 20)

static atomic_ullong *received;

/* A flow of a binding of two queues goes to the second if another has the first. */
static void receive_for_ever(const struct params *p, const struct contender *who)
{
	struct conn_opts opts = {
		.family = AF_INET, .rcvbuf = RCVBUF, .sport = BESIDE_PORT + 1,
	};
	struct params mine = *p;
	int lowat = (int)p->lowat;
	struct figures f = {};
	struct conn c;

	if (p->beside == BESIDE_OWN) {
		mine.queue = 1;
		who->prepare(&mine);
	}
	pin(0, CPU_BESIDE);
	connect_with(&c, &opts);
	must(setsockopt(c.rx, SOL_SOCKET, SO_RCVLOWAT, &lowat, sizeof(lowat)));
	who->attach(&mine, 0, c.rx);
	sender_start(&c.tx, 1, p->lowat, CPU_BESIDE_SENDER);
	for (;;) {
		who->receive(&mine, 0, c.rx, &f);
		atomic_store_explicit(received, f.bytes, memory_order_relaxed);
	}
}

void beside_start(const struct params *p, const struct contender *who)
{
	received = mmap(NULL, sizeof(*received), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check(received != MAP_FAILED);
	if (!test_fork()) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		receive_for_ever(p, who);
	}
	check(within(20000, beside_bytes() > WARM_UP));
	mark(MARK_BESIDE, CPU_BESIDE);
}

uint64_t beside_bytes(void)
{
	return received ? atomic_load_explicit(received, memory_order_relaxed) : 0;
}
