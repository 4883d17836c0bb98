// SPDX-License-Identifier: GPL-2.0
/*
 * The exporter takes a buffer back under a stream, and what net/devmem tells
 * those who listen: notifications of bind, unbind, revocation and pressure.
 */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"
#include "common_ctl.h"

#define SEED	0x4e0e
#define BUFFER	(4U << 20)
#define CHUNK	65536
#define STREAM	(1U << 20)
#define REST	(4U << 20)

static struct bound b;
static struct conn c;
static struct rx rx;

static void take_back(void)
{
	int ret = ctl_gpu_revoke(devmem_buf_fd(b.buf));

	if (ret)
		fail("NSDM_GPU_REVOKE: %s", strerror(-ret));
}

static uint32_t state_of(uint32_t id)
{
	struct devmem_bind_info info;

	check_eq(devmem_bind_get(b.nl, id, &info, 0), 0);
	return info.state;
}

/* ---- revocation -------------------------------------------------------- */

static void revoked_mid_stream(void)
{
	static struct ctl_nl nl;
	/* a reader who comes late must not find the buffer full */
	struct conn_opts opts = { .family = AF_INET, .rcvbuf = 1 << 20 };
	struct devmem_bind_info info;
	struct ctl_answer a;
	struct conn other;
	uint64_t placed;
	pid_t pid;

	bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, CHUNK);
	connect_with(&c, &opts);
	connect_pair(&other, AF_INET);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
	rx.lossy = true;
	rx.keep = true;
	pid = send_start(&c, STREAM + REST, SEED, 4000, SEND_SHUTDOWN);
	rx_all(&rx, STREAM);
	check_cmp(rx.placed, >, 0);
	take_back();
	bound_info(&b, &info);
	check_eq(info.state, NETDEV_DEVMEM_STATE_REVOKED);
	placed = info.stats.placed_bytes;
	check_eq(live_object("gpu_maps"), 0);

	/* what was on its way is right, the rest comes in host memory */
	rx_all(&rx, REST);
	rx_eof(&rx);
	test_join(pid);
	check_cmp(rx.placed, <=, placed);	/* less what came twice */
	check_cmp(rx.host, >, 0);
	bound_info(&b, &info);
	check_eq(info.stats.placed_bytes, placed);
	check_eq(info.stats.fallback_inactive, info.stats.fallback_packets);
	/* a segment that TCP saw twice counts twice */
	check_cmp(info.stats.fallback_bytes, >=, rx.host);
	check_eq(rx_check_info(&rx).state, NETDEV_DEVMEM_STATE_REVOKED);

	/* nobody else may come */
	check_eq(devmem_attach(other.rx, b.res.id, devmem_buf_fd(b.buf), 0), -ESHUTDOWN);
	check_eq(ctl_nl_open(&nl), 0);
	check_eq(ctl_bind(&nl, env_ifindex(), 0, devmem_buf_fd(b.buf), 0, &a), 0);
	check_eq(a.err, EBUSY);

	rx_check_held(&rx);
	rx_return(&rx);
	disconnect_pair(&c);
	unbind(&b);
	check(within(2000, !ctl_bind(&nl, env_ifindex(), 0, devmem_buf_fd(b.buf), 0, &a) &&
		     a.err == ENODEV));
}

/* Tokens are never returned. */
static void revoked_under_several_streams(void)
{
	struct conn conns[4];
	struct rx rxs[4];
	pid_t pids[4];
	int i;

	bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, CHUNK);
	for (i = 0; i < 4; i++) {
		connect_pair(&conns[i], i & 1 ? AF_INET6 : AF_INET);
		attach(conns[i].rx, &b);
		rx_init(&rxs[i], conns[i].rx, &b, SEED + (uint64_t)i);
		rxs[i].lossy = true;
		pids[i] = send_start(&conns[i], STREAM, SEED + (uint64_t)i, 4000,
				     SEND_SHUTDOWN);
	}
	for (i = 0; i < 4; i++)
		rx_all(&rxs[i], 100000);
	take_back();
	check_eq(state_of(b.res.id), NETDEV_DEVMEM_STATE_REVOKED);
	check_eq(live_object("gpu_maps"), 0);
	for (i = 0; i < 4; i++) {
		rx_all(&rxs[i], STREAM - rxs[i].pos);
		rx_eof(&rxs[i]);
		test_join(pids[i]);
		close(conns[i].rx);
	}
}

/* Again and again, at any moment of a stream that is never short of memory. */
static void revoked_at_any_moment(void)
{
	const uint64_t some = 600 * 1000;
	int round;
	pid_t pid;

	for (round = 0; round < 8; round++) {
		bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, CHUNK);
		connect_pair(&c, round & 1 ? AF_INET6 : AF_INET);
		attach(c.rx, &b);
		rx_init(&rx, c.rx, &b, SEED);
		rx.lossy = true;
		pid = send_start(&c, some, SEED, 7000, SEND_SHUTDOWN);
		rx_all(&rx, (uint64_t)round * 70000 + 1);
		take_back();
		if (round & 2)
			unbind(&b);
		rx_all(&rx, some - rx.pos);
		rx_eof(&rx);
		test_join(pid);
		disconnect_pair(&c);
		rx_free(&rx);
		free_bound(&b);
		check(within(2000, !live_object("gpu_buffers")));
	}
}

/* The link is deleted under a binding whose buffer is gone already. */
static void revoked_then_the_link_goes(void)
{
	int fd = ctl_gpu_alloc(BUFFER, 4, 0);
	static struct ctl_nl nl;
	struct ctl_answer a;

	check_cmp(fd, >=, 0);
	must_cmd("ip link add nsd8 type netdevsim-devmem");
	must_cmd("ip link set nsd8 up");
	check_eq(ctl_nl_open(&nl), 0);
	check_eq(ctl_bind(&nl, if_nametoindex("nsd8"), 0, fd, 0, &a), 0);
	check_eq(a.err, 0);
	check_eq(ctl_gpu_revoke(fd), 0);
	must_cmd("ip link delete nsd8");
	check_eq(live_object("gpu_attachments"), 0);
	ctl_nl_close(&nl);
	check(within(2000, !live_object("bindings")));
	close(fd);
	check_eq(live_object("gpu_buffers"), 0);
}

/* ---- notifications ----------------------------------------------------- */

static struct devmem_nl *listen_to(void)
{
	struct devmem_nl *nl;

	check_eq(devmem_nl_open(&nl, 0), 0);
	check_eq(devmem_nl_subscribe(nl, 0), 0);
	return nl;
}

static void expect_event(struct devmem_nl *nl, uint8_t cmd, uint32_t id,
			 uint32_t state, struct devmem_event *ev)
{
	int ret = devmem_nl_event(nl, ev, patient(2000), 0);

	if (ret)
		fail("waiting for command %u: %s", cmd, devmem_error());
	check_eq(ev->cmd, cmd);
	check_eq(ev->info.id, id);
	check_eq(ev->info.state, state);
	check_eq(ev->info.ifindex, env_ifindex());
	check_eq(ev->info.chunk_size, b.res.chunk_size);
	check_eq(ev->info.chunks, b.res.chunks);
}

static void expect_silence(struct devmem_nl *nl)
{
	struct devmem_event ev;

	if (devmem_nl_event(nl, &ev, 100, 0) != -ETIMEDOUT)
		fail("command %u, binding %u", ev.cmd, ev.info.id);
}

static void told_of_bind_and_unbind(void)
{
	struct devmem_nl *here = listen_to(), *away;
	struct devmem_bind_info info;
	struct devmem_event ev;

	env_enter(SENDER);
	away = listen_to();
	env_enter(RECEIVER);
	bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, CHUNK);
	expect_event(here, NETDEV_DEVMEM_CMD_BIND_NTF, b.res.id,
		     NETDEV_DEVMEM_STATE_ACTIVE, &ev);
	check_eq(ev.info.nr_queues, 4);
	check_eq(ev.info.queues[3], 3);
	check_eq(ev.info.size, BUFFER);
	check_eq(ev.info.chunks_free, BUFFER / CHUNK);
	/* listeners may be in other pid namespaces; who asks is told his own's */
	check_eq(ev.info.pid, 0);
	bound_info(&b, &info);
	check_eq(info.pid, getpid());
	unbind(&b);
	expect_event(here, NETDEV_DEVMEM_CMD_UNBIND_NTF, b.res.id,
		     NETDEV_DEVMEM_STATE_CLOSING, &ev);
	expect_silence(here);
	expect_silence(away);
}

static void told_of_revocation(void)
{
	struct devmem_nl *nl = listen_to();
	struct devmem_event ev;

	bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, CHUNK);
	expect_event(nl, NETDEV_DEVMEM_CMD_BIND_NTF, b.res.id,
		     NETDEV_DEVMEM_STATE_ACTIVE, &ev);
	take_back();
	expect_event(nl, NETDEV_DEVMEM_CMD_UNBIND_NTF, b.res.id,
		     NETDEV_DEVMEM_STATE_REVOKED, &ev);
	expect_silence(nl);
	unbind(&b);
	expect_event(nl, NETDEV_DEVMEM_CMD_UNBIND_NTF, b.res.id,
		     NETDEV_DEVMEM_STATE_CLOSING, &ev);
	expect_silence(nl);
}

/* Who has lost the buffer has nothing to do when he hears of it again: he sends no
 * second notification, and does not sleep, where the fake GPU lets nobody.
 */
static void told_again(void)
{
	struct devmem_nl *nl = listen_to();
	struct devmem_event ev;
	int i;

	bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, CHUNK);
	expect_event(nl, NETDEV_DEVMEM_CMD_BIND_NTF, b.res.id,
		     NETDEV_DEVMEM_STATE_ACTIVE, &ev);
	take_back();
	expect_event(nl, NETDEV_DEVMEM_CMD_UNBIND_NTF, b.res.id,
		     NETDEV_DEVMEM_STATE_REVOKED, &ev);
	for (i = 0; i < 8; i++)
		check_eq(ctl_gpu_revoke_again(devmem_buf_fd(b.buf)), 0);
	expect_silence(nl);
	check_eq(state_of(b.res.id), NETDEV_DEVMEM_STATE_REVOKED);
	check_eq(live_object("gpu_maps"), 0);
	check_eq(live_object("gpu_pins"), 0);
}

/* Once when less than one eighth is free, and not again before more than one
 * quarter was.
 */
static void told_of_pressure(void)
{
	struct devmem_nl *nl = listen_to();
	struct devmem_bind_info info;
	struct devmem_event ev;
	unsigned int round;

	bind_buffer(&b, DEVMEM_BUF_GPU, 32 * 4096, 4096);
	expect_event(nl, NETDEV_DEVMEM_CMD_BIND_NTF, b.res.id,
		     NETDEV_DEVMEM_STATE_ACTIVE, &ev);
	connect_pair(&c, AF_INET);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
	rx.lossy = true;
	rx.keep = true;
	for (round = 1; round <= 3; round++) {
		/* 24 of 32 chunks: one quarter is left, also if some come twice */
		send_pattern(c.tx, 24 * 4096, rx.pos, SEED, 4096);
		rx_all(&rx, 24 * 4096);
		expect_silence(nl);
		send_pattern(c.tx, 14 * 4096, rx.pos, SEED, 4096);
		rx_all(&rx, 14 * 4096);
		expect_event(nl, NETDEV_DEVMEM_CMD_PRESSURE_NTF, b.res.id,
			     NETDEV_DEVMEM_STATE_ACTIVE, &ev);
		check_cmp(ev.info.chunks_free, <, 4);
		bound_info(&b, &info);
		check_eq(info.stats.pressure, round);
		check_cmp(info.chunks_free, <, 4);
		check_cmp(info.stats.fallback_exhausted, >, 0);
		expect_silence(nl);
		rx_check_held(&rx);
		rx_return(&rx);
		check(within(1000, (bound_info(&b, &info), info.chunks_free >= 31)));
		expect_silence(nl);
	}
}

/* Anybody may listen. */
static void told_to_anybody(void)
{
	struct devmem_event ev;
	int ready[2];
	char byte;
	pid_t pid;

	must(pipe(ready));
	pid = test_fork();
	if (!pid) {
		struct devmem_nl *nl;

		check_eq(ctl_drop_privileges(), 0);
		nl = listen_to();
		must(write(ready[1], "r", 1));
		check_eq(devmem_nl_event(nl, &ev, patient(5000), 0), 0);
		check_eq(ev.cmd, NETDEV_DEVMEM_CMD_BIND_NTF);
		_exit(0);
	}
	check_eq(read(ready[0], &byte, 1), 1);
	bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, CHUNK);
	test_join(pid);
}

static void setup(void)
{
	env_setup(8);
	env_patient();
}

static const struct ktap_case cases[] = {
	KTAP_CASE(revoked_mid_stream),
	KTAP_CASE(revoked_under_several_streams),
	KTAP_CASE(revoked_at_any_moment),
	KTAP_CASE(revoked_then_the_link_goes),
	KTAP_CASE(told_of_bind_and_unbind),
	KTAP_CASE(told_of_revocation),
	KTAP_CASE(told_again),
	KTAP_CASE(told_of_pressure),
	KTAP_CASE(told_to_anybody),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
