// SPDX-License-Identifier: GPL-2.0
/*
 * What real exporters do when their memory is bound: they move it first, and they
 * are still busy with it. Must not know of an exporter that takes it back.
 */
#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "common.h"
#include "common_ctl.h"

#define SEED	0xe4b0
#define BUFFER	(1U << 20)
#define STREAM	(512U << 10)
#define LONG	60000		/* ms: as good as never */

static struct bound b;
static struct conn c;
static struct rx rx;

/* A buffer of the fake GPU, which nothing is bound to. */
static void make_buffer(unsigned int flags)
{
	int fd = ctl_gpu_alloc(BUFFER, 4, flags);
	void *map;

	if (fd < 0)
		fail("a buffer of the fake GPU: %s", strerror(-fd));
	memset(&b, 0, sizeof(b));
	if (devmem_buf_import(&b.buf, fd, 0) || devmem_buf_map(b.buf, &map, 0) ||
	    devmem_nl_open(&b.nl, 0))
		fail("%s", devmem_error());
	close(fd);
	b.map = map;
	b.size = devmem_buf_size(b.buf);
}

static int try_bind(void)
{
	static const uint32_t queues[] = { 0, 1 };

	return devmem_bind_rx(b.nl, env_ifindex(), queues, 2, devmem_buf_fd(b.buf), 0,
			      &b.res, 0);
}

static void must_bind(void)
{
	if (try_bind())
		fail("bind-rx: %s", devmem_error());
}

static void busy(unsigned int usage, unsigned int ms)
{
	check_eq(ctl_gpu_fence(devmem_buf_fd(b.buf), usage, ms), 0);
}

/* Is nobody left who writes to the buffer, or with POLLOUT who uses it at all? While
 * somebody is, the question holds the buffer.
 */
static bool done(short events)
{
	struct pollfd pfd = { .fd = devmem_buf_fd(b.buf), .events = events };

	return must(poll(&pfd, 1, 0)) == 1;
}

/* All of a stream is placed, and right. */
static void receive(void)
{
	pid_t pid;

	connect_pair(&c, AF_INET);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
	rx.keep = true;
	pid = send_start(&c, STREAM, SEED, 4000, SEND_SHUTDOWN);
	rx_all(&rx, STREAM);
	rx_eof(&rx);
	test_join(pid);
	rx_check_placed(&rx, STREAM);
	rx_check_held(&rx);
	rx_free(&rx);
	disconnect_pair(&c);
}

/* ---- moves --------------------------------------------------------------- */

/* It is told to all importers that the buffer moves, while the first of them pins or
 * maps it: also to that one.
 */
static void moves_before_it_is_mapped(void)
{
	static const unsigned int flags[] = {
		NSDM_GPU_PIN_MOVES, NSDM_GPU_MAP_MOVES,
		NSDM_GPU_PIN_MOVES | NSDM_GPU_MAP_MOVES,
	};
	struct devmem_bind_info info;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		make_buffer(flags[i]);
		must_bind();
		bound_info(&b, &info);
		check_eq(info.state, NETDEV_DEVMEM_STATE_ACTIVE);
		check_eq(live_object("gpu_maps"), 1);
		check_eq(live_object("gpu_pins"), 1);
		receive();
		free_bound(&b);
		check(within(2000, !live_object("gpu_buffers")));
	}
}

/* Nor is anybody told who has it mapped when it is taken back for good. */
static void moves_and_is_revoked(void)
{
	struct devmem_bind_info info;

	make_buffer(NSDM_GPU_PIN_MOVES | NSDM_GPU_MAP_MOVES);
	must_bind();
	check_eq(ctl_gpu_revoke(devmem_buf_fd(b.buf)), 0);
	bound_info(&b, &info);
	check_eq(info.state, NETDEV_DEVMEM_STATE_REVOKED);
	check_eq(live_object("gpu_maps"), 0);
	check_eq(live_object("gpu_pins"), 0);
}

/* ---- fences -------------------------------------------------------------- */

/* Whoever writes is waited for, if that takes no longer than a second. */
static void waits_for_writers(void)
{
	static const unsigned int usages[] = { NSDM_GPU_WRITES, NSDM_GPU_MOVES };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(usages); i++) {
		make_buffer(0);
		busy(usages[i], 200);
		must_bind();
		check(done(POLLIN));
		receive();
		free_bound(&b);
	}
}

/* Not for ever: the request is refused, and may be made again. */
static void does_not_wait_for_ever(void)
{
	static const unsigned int usages[] = { NSDM_GPU_WRITES, NSDM_GPU_MOVES };
	long long began;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(usages); i++) {
		make_buffer(0);
		busy(usages[i], LONG);
		began = now_ms();
		check_eq(try_bind(), -ETIMEDOUT);
		check_cmp(now_ms() - began, >=, 900);
		check(!done(POLLIN));
		if (strcmp(devmem_nl_error(b.nl),
			   "exporter netdevsim_devmem still writes to the buffer: try again"))
			fail("%s", devmem_nl_error(b.nl));
		check(within(2000, !live_object("bindings")));
		check_eq(live_object("gpu_attachments"), 0);
		check_eq(live_object("gpu_maps"), 0);
		check_eq(live_object("gpu_pins"), 0);

		busy(NSDM_GPU_IDLE, 0);
		check(within(2000, done(POLLIN)));
		must_bind();
		receive();
		free_bound(&b);
	}
}

static void reads_do_not_matter(void)
{
	make_buffer(0);
	busy(NSDM_GPU_READS, LONG);
	must_bind();
	check(done(POLLIN));
	check(!done(POLLOUT));
	receive();
	busy(NSDM_GPU_IDLE, 0);
}

static void on_alarm(int sig)
{
	(void)sig;
}

/* A signal ends the wait. It comes again and again, for it may come too early. */
static void interrupted(void)
{
	struct itimerval every = { { 0, 100000 }, { 0, 100000 } }, never = {};
	struct sigaction sa = { .sa_handler = on_alarm };
	static struct ctl_nl nl;
	struct ctl_answer a;
	int ret;

	make_buffer(0);
	busy(NSDM_GPU_WRITES, LONG);
	check_eq(ctl_nl_open(&nl), 0);
	must(sigaction(SIGALRM, &sa, NULL));
	must(setitimer(ITIMER_REAL, &every, NULL));
	do
		ret = ctl_bind(&nl, env_ifindex(), 0, devmem_buf_fd(b.buf), 0, &a);
	while (ret == -EINTR);
	must(setitimer(ITIMER_REAL, &never, NULL));
	check_eq(ret, 0);
	check_eq(a.err, EAGAIN);
	if (strcmp(a.text, "interrupted while the exporter still wrote to the buffer"))
		fail("%s", a.text);
	check_eq(live_object("gpu_maps"), 0);
	ctl_nl_close(&nl);
	busy(NSDM_GPU_IDLE, 0);
}

/* Meanwhile the link goes, and waits no longer than that. Afterwards there is none to
 * bind to.
 */
static void holds_nobody_up(void)
{
	static const uint32_t queue;
	unsigned int ifindex;
	long long began;
	pid_t pid;
	int ret;

	make_buffer(0);
	busy(NSDM_GPU_WRITES, LONG);
	must_cmd("ip link add nsd8 type netdevsim-devmem");
	must_cmd("ip link set nsd8 up");
	ifindex = if_nametoindex("nsd8");
	pid = test_fork();
	if (!pid) {
		do
			ret = devmem_bind_rx(b.nl, ifindex, &queue, 1,
					     devmem_buf_fd(b.buf), 0, &b.res, 0);
		while (ret == -ETIMEDOUT);
		check_eq(ret, -ENODEV);
		_exit(0);
	}
	check(within(2000, live_object("gpu_maps") == 1));
	began = now_ms();
	must_cmd("ip link delete nsd8");
	check_cmp(now_ms() - began, <, patient(3000));
	test_join(pid);
	check(!done(POLLIN));
	busy(NSDM_GPU_IDLE, 0);
}

static void setup(void)
{
	env_setup(4);
	env_patient();
}

static const struct ktap_case cases[] = {
	KTAP_CASE(moves_before_it_is_mapped),
	KTAP_CASE(moves_and_is_revoked),
	KTAP_CASE(waits_for_writers),
	KTAP_CASE(does_not_wait_for_ever),
	KTAP_CASE(reads_do_not_matter),
	KTAP_CASE(interrupted),
	KTAP_CASE(holds_nobody_up),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
