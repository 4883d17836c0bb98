// SPDX-License-Identifier: GPL-2.0
/*
 * Receivers that are killed at any moment, on each path: the NIC is as it was before, and
 * the next one works at once. In which orders they end, and what others change meanwhile:
 * receiver_nic_test.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common_nic.h"
#include "common_provider.h"
#include "common_receiver.h"
#include "common_undo.h"

#define KILLS		100
#define KILLS_SLOW	20
#define TIMEOUT		120

static struct picture before;
static uint32_t table[RSS_INDIR];
static uint8_t split;

/* As check_undone(), by a few system calls and without the rest of what ethtool says. */
static void check_undone_quickly(void)
{
	uint32_t now[RSS_INDIR];
	uint8_t key[RSS_KEY];

	check(within(10000, !nic_processes(NULL)));
	rss_get(0, key, now);
	check(!memcmp(now, table, sizeof(now)));
	check_eq(rule_count(), 0);
	check_eq(split_get(), split);
}

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
	struct ctl_answer answer;
	uint8_t key[RSS_KEY];
	long long took;
	pid_t pid;

	diag("seed %u", seed);
	srandom(seed);
	/* net/devmem wants it on, and does not switch it on */
	set_split(via == DEVMEM_VIA_DEVMEM, &answer);
	check_eq(answer.err, 0);
	picture_take(&before);
	split = split_get();
	rss_get(0, key, table);
	took = time_it_takes(via);
	for (i = 0; i < (slow() > 1 ? KILLS_SLOW : KILLS); i++) {
		pid = test_fork();
		if (!pid)
			receive(via, -1);
		usleep((useconds_t)(random() % (took + took / 2)));
		kill_receiver(pid);
		check(within(2000, !live_object("bindings")));
		check_undone_quickly();
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
