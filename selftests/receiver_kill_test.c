// SPDX-License-Identifier: GPL-2.0
/*
 * Receivers that are killed at any moment, on each path: the NIC is as it was before, and
 * the next one works at once. In which orders they end, and what others change meanwhile:
 * receiver_nic_test.
 */
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "common_receiver.h"
#include "common_undo.h"

#define KILLS		100
#define KILLS_SLOW	20
#define TIMEOUT		120

static struct picture before;

/* Until it is killed; an error ends it otherwise. @ready: has received something. */
static void receive(enum devmem_via via, int ready)
{
	char bytes[20000];
	uint64_t at;

	open_rx(via, DEVMEM_BUF_GPU);
	for (;;) {
		connect_rx(AF_INET);
		for (at = 0; at < 10 * sizeof(bytes); at += sizeof(bytes)) {
			send_pattern(c.tx, sizeof(bytes), at, SEED, sizeof(bytes));
			must_ok(devmem_conn_read_host(conn, bytes, sizeof(bytes), 0));
			check_eq(devmem_pattern_check(bytes, sizeof(bytes), at, SEED), -1);
			if (ready >= 0)
				check_eq(write(ready, "", 1), 1);
			ready = -1;
		}
		devmem_conn_close(conn);
		close(c.tx);
	}
}

static void kill_receiver(pid_t pid)
{
	int status;

	must(kill(pid, SIGKILL));
	check_eq(waitpid(pid, &status, 0), pid);
	check(WIFSIGNALED(status));
}

/* How long it takes to receive something, in us. */
static long long time_it_takes(enum devmem_via via)
{
	long long begin = now_ms(), took;
	int pipes[2];
	pid_t pid;
	char byte;

	must(pipe(pipes));
	pid = test_fork();
	if (!pid)
		receive(via, pipes[1]);
	close(pipes[1]);
	check_eq(read(pipes[0], &byte, 1), 1);
	took = now_ms() - begin;
	kill_receiver(pid);
	check_undone(&before);
	return 1000 * (took + 1);
}

static void killed(enum devmem_via via)
{
	unsigned int i, seed = (unsigned int)now_ms();
	long long took;
	pid_t pid;

	diag("seed %u", seed);
	srandom(seed);
	picture_take(&before);
	took = time_it_takes(via);
	for (i = 0; i < (slow() > 1 ? KILLS_SLOW : KILLS); i++) {
		pid = test_fork();
		if (!pid)
			receive(via, -1);
		usleep((useconds_t)(random() % (2 * took)));
		kill_receiver(pid);
		check(within(2000, !live_object("bindings")));
		if (via == DEVMEM_VIA_KERNEL || via == DEVMEM_VIA_ZCRX)	/* who changes something */
			check_undone(&before);
	}
	check_undone(&before);
}

static void killed_placed(void)
{
	killed(DEVMEM_VIA_DEVMEM);
}

static void killed_kernel(void)
{
	killed(DEVMEM_VIA_KERNEL);
}

static void killed_zcrx(void)
{
	need_path(DEVMEM_VIA_ZCRX);
	killed(DEVMEM_VIA_ZCRX);
}

static void killed_copied(void)
{
	killed(DEVMEM_VIA_COPY);
}

static void setup(void)
{
	env_setup(4);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(killed_placed, .timeout = TIMEOUT),
	KTAP_CASE(killed_kernel, .timeout = TIMEOUT),
	KTAP_CASE(killed_zcrx, .timeout = TIMEOUT),
	KTAP_CASE(killed_copied, .timeout = TIMEOUT),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
