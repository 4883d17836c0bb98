// SPDX-License-Identifier: GPL-2.0
/*
 * Tasks that sleep in a socket when another one attaches it: who receives by calls that
 * know nothing of device memory is told so, and not that the stream has ended; nobody
 * else notices.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common.h"

#define SEED	1919
#define SOME	40000U		/* fits the window at once */
#define MUCH	(8U << 20)

static struct bound b;
static struct conn c;
static struct rx rx;

/* In the system call that it is to sleep in. */
static bool asleep(pid_t pid, int nr)
{
	char path[64], text[64] = "";
	int fd, is = -1;

	snprintf(path, sizeof(path), "/proc/%d/syscall", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	/* the number first, or "running" */
	if (fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && text[0] != 'r')
		is = atoi(text);
	if (fd >= 0)
		close(fd);
	return is == nr;
}

static void wait_asleep(pid_t pid, int nr)
{
	if (!access("/proc/self/syscall", R_OK))
		check(within(3000, asleep(pid, nr)));
	usleep(100000);
}

static void begin(int family)
{
	bind_buffer(&b, DEVMEM_BUF_GPU, 4 << 20, 65536);
	connect_pair(&c, family);
}

/* The stream is whole for who attaches. */
static void goes_on(void)
{
	rx_init(&rx, c.rx, &b, SEED);
	send_pattern(c.tx, SOME, 0, SEED, 10000);
	rx_all(&rx, SOME);
	check_cmp(rx.placed, >, SOME / 2);
}

static void in_splice(void)
{
	pid_t pid;
	int p[2];

	begin(AF_INET);
	must(pipe2(p, O_CLOEXEC));
	pid = test_fork();
	if (!pid) {
		check_errno(splice(c.rx, NULL, p[1], NULL, 65536, 0), EFAULT);
		_exit(0);
	}
	wait_asleep(pid, SYS_splice);
	attach(c.rx, &b);
	goes_on();
	test_join(pid);
}

static void in_recv(void)
{
	char buf[100];
	pid_t pid;

	begin(AF_INET6);
	pid = test_fork();
	if (!pid) {
		check_errno(recv(c.rx, buf, sizeof(buf), 0), EFAULT);
		_exit(0);
	}
	wait_asleep(pid, SYS_recvfrom);
	attach(c.rx, &b);
	goes_on();
	test_join(pid);
}

/* Who waits for room to send does so in the same way. */
static void in_send(void)
{
	unsigned char *buf = malloc(MUCH);
	pid_t pid;

	begin(AF_INET);
	pid = test_fork();
	if (!pid) {
		send_pattern(c.rx, MUCH, 0, SEED + 1, 1 << 20);
		_exit(0);
	}
	wait_asleep(pid, SYS_sendto);
	attach(c.rx, &b);
	goes_on();
	check_eq(recv(c.tx, buf, MUCH, MSG_WAITALL), MUCH);
	check_eq(devmem_pattern_check(buf, MUCH, 0, SEED + 1), -1);
	test_join(pid);
	free(buf);
}

/* Who polls for data waits for data. */
static void in_poll(void)
{
	struct pollfd pfd = { .events = POLLIN };
	pid_t pid;

	begin(AF_INET);
	pid = test_fork();
	if (!pid) {
		pfd.fd = c.rx;
		check_eq(poll(&pfd, 1, -1), 1);
		check_eq(pfd.revents, POLLIN);
		_exit(0);
	}
	wait_asleep(pid, SYS_poll);
	attach(c.rx, &b);
	usleep(50000);
	send_pattern(c.tx, 1000, 0, SEED, 1000);
	test_join(pid);
	rx_init(&rx, c.rx, &b, SEED);
	rx_all(&rx, 1000);
	check_eq(rx.placed, 1000);
}

static void setup(void)
{
	env_setup(4);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(in_splice),
	KTAP_CASE(in_recv),
	KTAP_CASE(in_send),
	KTAP_CASE(in_poll),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
