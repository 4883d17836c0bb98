// SPDX-License-Identifier: GPL-2.0
/*
 * A dma-buf has one binding at a time, and none while somebody holds what an earlier
 * one has handed out: whoever comes second is told who was first.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common.h"
#include "common_ctl.h"

#define SEED	0x2b1d
#define BUFFER	(1U << 20)
#define CHUNK	16384
#define STREAM	(300U << 10)

static struct ctl_nl nl;

/* Bind @fd to @queue of nsd0; the answer must be EBUSY with these words. */
static void must_be_busy(unsigned int ifindex, uint32_t queue, int fd, const char *text)
{
	struct ctl_answer a;

	check_eq(ctl_bind(&nl, ifindex, queue, fd, 0, &a), 0);
	check_eq(a.err, EBUSY);
	check_eq(a.attr, 0);
	if (strcmp(a.text, text))
		fail("'%s', should be '%s'", a.text, text);
}

static void must_bind(unsigned int ifindex, uint32_t queue, int fd, struct ctl_answer *a)
{
	check_eq(ctl_bind(&nl, ifindex, queue, fd, 0, a), 0);
	if (a->err)
		fail("bind-rx: %s, '%s'", strerror(a->err), a->text);
}

static int gpu_buffer(void)
{
	int fd = ctl_gpu_alloc(BUFFER, 4, 0);

	if (fd < 0)
		fail("a buffer of the fake GPU: %s", strerror(-fd));
	return fd;
}

/* By the same process: on the same device, on another, by a copy of the descriptor,
 * and when the buffer is taken back.
 */
static void by_oneself(void)
{
	int fd = gpu_buffer(), copy = must(fcntl(fd, F_DUPFD_CLOEXEC, 0));
	struct ctl_answer a, other;
	unsigned int far;
	char text[128];

	must_cmd("ip link add nsd8 type netdevsim-devmem");
	must_cmd("ip link set nsd8 up");
	far = if_nametoindex("nsd8");
	prctl(PR_SET_NAME, "the first");
	check_eq(ctl_nl_open(&nl), 0);
	must_bind(env_ifindex(), 0, fd, &a);
	snprintf(text, sizeof(text), "dma-buf is bound already: binding %u, pid %d (the first)",
		 a.id, getpid());
	must_be_busy(env_ifindex(), 1, fd, text);
	must_be_busy(far, 0, fd, text);
	must_be_busy(env_ifindex(), 1, copy, text);
	check_eq(live_object("gpu_maps"), 1);
	check_eq(ctl_count_bindings(), 1);
	must_bind(far, 0, gpu_buffer(), &other);

	check_eq(ctl_gpu_revoke(fd), 0);
	must_be_busy(env_ifindex(), 1, fd, text);
	must_cmd("ip link delete nsd8");
	ctl_nl_close(&nl);
	check_eq(ctl_nl_open(&nl), 0);
	check_eq(ctl_bind(&nl, env_ifindex(), 1, fd, 0, &a), 0);
	check_eq(a.err, ENODEV);
	ctl_nl_close(&nl);
}

/* By another process, to whom the first has another number, or none. */
static void by_another(void)
{
	int fd = gpu_buffer();
	static struct ctl_nl first;
	struct ctl_answer a;
	char text[128];
	pid_t pid;

	prctl(PR_SET_NAME, "the first");
	check_eq(ctl_nl_open(&first), 0);
	check_eq(ctl_bind(&first, env_ifindex(), 0, fd, 0, &a), 0);
	check_eq(a.err, 0);
	pid = test_fork();
	if (!pid) {
		check_eq(ctl_nl_open(&nl), 0);
		snprintf(text, sizeof(text),
			 "dma-buf is bound already: binding %u, pid %d (the first)",
			 a.id, getppid());
		must_be_busy(env_ifindex(), 1, fd, text);

		/* test_fork() wants to know its parent */
		must(unshare(CLONE_NEWPID));
		pid = must(fork());
		if (!pid) {
			snprintf(text, sizeof(text),
				 "dma-buf is bound already: binding %u, pid 0 (the first)",
				 a.id);
			must_be_busy(env_ifindex(), 1, fd, text);
			_exit(0);
		}
		test_join(pid);
		_exit(0);
	}
	test_join(pid);

	/* whose turn it is when the first is gone */
	ctl_nl_close(&first);
	check_eq(ctl_nl_open(&nl), 0);
	must_bind(env_ifindex(), 1, fd, &a);
	ctl_nl_close(&nl);
}

/* What is held stays as it is: nobody else gets the buffer before it is given back. */
static void while_it_is_held(void)
{
	static struct bound b;
	static struct conn c;
	static struct rx rx;
	struct ctl_answer a;
	char text[128];
	pid_t pid;
	int fd;

	prctl(PR_SET_NAME, "the first");
	bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, CHUNK);
	fd = devmem_buf_fd(b.buf);
	connect_pair(&c, AF_INET);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
	rx.keep = true;
	pid = send_start(&c, STREAM, SEED, 4000, SEND_SHUTDOWN);
	rx_all(&rx, STREAM);
	rx_eof(&rx);
	test_join(pid);
	check_cmp(rx.nr_held, >, 0);
	unbind(&b);

	check_eq(ctl_nl_open(&nl), 0);
	check_cmp(live_object("chunks"), >=, STREAM / CHUNK);
	snprintf(text, sizeof(text), "binding %u, pid %d (the first) still holds %ld of its chunks",
		 b.res.id, getpid(), live_object("chunks"));
	must_be_busy(env_ifindex(), 0, fd, text);
	rx_check_held(&rx);
	rx_return(&rx);

	/* the socket, too, may have begun with one */
	disconnect_pair(&c);
	check(within(2000, !ctl_bind(&nl, env_ifindex(), 0, fd, 0, &a) && !a.err));
	ctl_nl_close(&nl);
	rx_free(&rx);
	devmem_buf_free(b.buf);
}

/* Several at once: one of them gets it. */
static void at_once(void)
{
	enum { RACERS = 3, ROUNDS = 40 };
	int fd = gpu_buffer(), round, i, won;
	int go[2], result[2], stop[2];
	struct ctl_answer a;
	pid_t pids[RACERS];
	unsigned char err;
	char byte;

	for (round = 0; round < ROUNDS; round++) {
		must(pipe2(go, O_CLOEXEC));
		must(pipe2(stop, O_CLOEXEC));
		must(pipe2(result, O_CLOEXEC));
		for (i = 0; i < RACERS; i++) {
			pids[i] = test_fork();
			if (pids[i])
				continue;
			close(go[1]);
			close(stop[1]);
			check_eq(ctl_nl_open(&nl), 0);
			check_eq(read(go[0], &byte, 1), 0);
			check_eq(ctl_bind(&nl, env_ifindex(), (uint32_t)i, fd, 0, &a), 0);
			err = (unsigned char)a.err;
			check_eq(write(result[1], &err, 1), 1);
			check_eq(read(stop[0], &byte, 1), 0);
			_exit(0);
		}
		close(go[1]);
		for (won = i = 0; i < RACERS; i++) {
			check_eq(read(result[0], &err, 1), 1);
			check(!err || err == EBUSY);
			won += !err;
		}
		check_eq(won, 1);
		check_eq(live_object("gpu_maps"), 1);
		close(stop[1]);
		for (i = 0; i < RACERS; i++)
			test_join(pids[i]);
		close(go[0]);
		close(stop[0]);
		close(result[0]);
		close(result[1]);
		check(within(2000, !live_object("gpu_maps")));
	}
}

static void setup(void)
{
	env_setup(4);
	env_patient();
}

static const struct ktap_case cases[] = {
	KTAP_CASE(by_oneself),
	KTAP_CASE(by_another),
	KTAP_CASE(while_it_is_held),
	KTAP_CASE(at_once),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
