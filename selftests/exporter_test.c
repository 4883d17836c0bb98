// SPDX-License-Identifier: GPL-2.0
/*
 * What real exporters do when their memory is bound: they move it first. Must not know of an exporter that takes it back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"
#include "common_ctl.h"

#define SEED	0xe4b0
#define BUFFER	(1U << 20)
#define STREAM	(512U << 10)

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
	check_eq(rx.placed, STREAM);
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

static void setup(void)
{
	env_setup(4);
	env_patient();
}

static const struct ktap_case cases[] = {
	KTAP_CASE(moves_before_it_is_mapped),
	KTAP_CASE(moves_and_is_revoked),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
