// SPDX-License-Identifier: GPL-2.0
/*
 * What is seen of bindings, and from where. From another network namespace nothing: not
 * in a dump, not by number, not by who listens, not by a socket that wants to attach.
 * Those of one device where that was asked for. And of one that has ended, as long as
 * something of it is held, no queues: they may be another's.
 */
#include <errno.h>
#include <net/if.h>
#include <string.h>

#include "common.h"
#include "common_attach.h"
#include "common_ctl.h"

static struct bound b, far;

/* A binding of the sender's, on nsd1. */
static void bind_far(void)
{
	static const uint32_t queue;
	void *map;

	env_enter(SENDER);
	check_eq(devmem_buf_alloc(&far.buf, DEVMEM_BUF_GPU, 1 << 20, 0), 0);
	check_eq(devmem_buf_map(far.buf, &map, 0), 0);
	check_eq(devmem_nl_open(&far.nl, 0), 0);
	check_eq(devmem_bind_rx(far.nl, if_nametoindex("nsd1"), &queue, 1,
				devmem_buf_fd(far.buf), 0, &far.res, 0), 0);
	env_enter(RECEIVER);
}

static void in_a_dump(void)
{
	bind_buffer(&b, DEVMEM_BUF_GPU, 1 << 20, 0);
	check_eq(ctl_count_bindings(), 1);
	env_enter(SENDER);
	check_eq(ctl_count_bindings(), 0);
	bind_far();
	check_eq(ctl_count_bindings(), 1);
	env_leave();
	check_eq(ctl_count_bindings(), 0);
	env_enter(RECEIVER);
}

static void by_its_number(void)
{
	struct devmem_bind_info info;

	bind_buffer(&b, DEVMEM_BUF_GPU, 1 << 20, 0);
	bind_far();
	check_eq(devmem_bind_get(b.nl, b.res.id, &info, 0), 0);
	check_eq(devmem_bind_get(b.nl, far.res.id, &info, 0), -ENOENT);
	check_eq(devmem_bind_get(far.nl, far.res.id, &info, 0), 0);
	check_eq(devmem_bind_get(far.nl, b.res.id, &info, 0), -ENOENT);
}

/* One that has ended and of which nothing is held is gone when its owner is. */
static void when_it_is_over(void)
{
	struct devmem_bind_info info;
	struct devmem_nl *nl;
	unsigned int i;

	check_eq(devmem_nl_open(&nl, 0), 0);
	for (i = 0; i < 20; i++) {
		bind_buffer(&b, DEVMEM_BUF_GPU, 1 << 20, 0);
		unbind(&b);
		check_eq(devmem_bind_get(nl, b.res.id, &info, 0), -ENOENT);
		check_eq(ctl_count_bindings(), 0);
		devmem_buf_free(b.buf);
	}
	devmem_nl_close(nl);
}

static void next_is(struct devmem_nl *nl, uint32_t cmd, uint32_t id)
{
	struct devmem_event ev;

	check_eq(devmem_nl_event(nl, &ev, patient(3000), 0), 0);
	check_eq(ev.cmd, cmd);
	check_eq(ev.info.id, id);
}

/* Each listener is told of those of its own namespace, and of nothing else first. */
static void by_who_listens(void)
{
	struct devmem_nl *here, *there;

	check_eq(devmem_nl_open(&here, 0), 0);
	check_eq(devmem_nl_subscribe(here, 0), 0);
	env_enter(SENDER);
	check_eq(devmem_nl_open(&there, 0), 0);
	check_eq(devmem_nl_subscribe(there, 0), 0);
	env_enter(RECEIVER);
	bind_buffer(&b, DEVMEM_BUF_GPU, 1 << 20, 0);
	bind_far();
	next_is(here, NETDEV_DEVMEM_CMD_BIND_NTF, b.res.id);
	next_is(there, NETDEV_DEVMEM_CMD_BIND_NTF, far.res.id);
	unbind(&b);
	unbind(&far);
	next_is(here, NETDEV_DEVMEM_CMD_UNBIND_NTF, b.res.id);
	next_is(there, NETDEV_DEVMEM_CMD_UNBIND_NTF, far.res.id);
	devmem_nl_close(here);
	devmem_nl_close(there);
}

/* Its end of the connection, and the right to the memory. */
static void by_a_socket(void)
{
	struct conn c;

	bind_buffer(&b, DEVMEM_BUF_GPU, 1 << 20, 0);
	connect_pair(&c, AF_INET);
	must(set_ulp(c.tx, "devmem"));
	check_errno(try_attach(c.tx, b.res.id, devmem_buf_fd(b.buf)), ENOENT);
	no_flow(&b);
}

static int add(const struct devmem_bind_info *info, void *ids)
{
	uint32_t *id = ids;

	while (*id)
		id++;
	*id = info->id;
	return 0;
}

/* A device of its own, beside nsd0. */
static void of_one_device(void)
{
	static const uint32_t queue;
	uint32_t ids[4] = {};
	unsigned int other;

	must_cmd("ip link add nsd5 numrxqueues 1 type netdevsim-devmem");
	must_cmd("ip link set nsd5 up");
	other = if_nametoindex("nsd5");
	bind_buffer(&b, DEVMEM_BUF_GPU, 1 << 20, 0);
	check_eq(devmem_buf_alloc(&far.buf, DEVMEM_BUF_GPU, 1 << 20, 0), 0);
	check_eq(devmem_nl_open(&far.nl, 0), 0);
	check_eq(devmem_bind_rx(far.nl, other, &queue, 1, devmem_buf_fd(far.buf), 0,
				&far.res, 0), 0);
	check_eq(devmem_bind_dump(b.nl, other, add, ids, 0), 0);
	check_eq(ids[0], far.res.id);
	check_eq(ids[1], 0);
	ids[0] = 0;
	check_eq(devmem_bind_dump(b.nl, env_ifindex(), add, ids, 0), 0);
	check_eq(ids[0], b.res.id);
	check_eq(ids[1], 0);
	ids[0] = 0;
	check_eq(devmem_bind_dump(b.nl, 0, add, ids, 0), 0);
	check_cmp(ids[1], !=, 0);
	check_eq(ids[2], 0);
	must_cmd("ip link del nsd5");
}

static void after_its_end(void)
{
	struct devmem_bind_info info;
	struct devmem_nl *nl;
	struct conn c;
	struct rx rx;

	bind_buffer(&b, DEVMEM_BUF_GPU, 1 << 20, 0);
	bound_info(&b, &info);
	check_eq(info.nr_queues, 4);
	connect_pair(&c, AF_INET);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, 1);
	rx.keep = true;
	send_pattern(c.tx, 5000, 0, 1, 5000);
	rx_all(&rx, 5000);
	check_cmp(rx.nr_held, >, 0);
	unbind(&b);
	check_eq(devmem_nl_open(&nl, 0), 0);
	check_eq(devmem_bind_get(nl, b.res.id, &info, 0), 0);
	check_eq(info.state, NETDEV_DEVMEM_STATE_CLOSING);
	check_eq(info.nr_queues, 0);
	check_eq(info.chunks_free, info.chunks - 1);
	rx_return(&rx);
	disconnect_pair(&c);
	check(within(2000, devmem_bind_get(nl, b.res.id, &info, 0) == -ENOENT));
	devmem_nl_close(nl);
}

static void setup(void)
{
	env_setup(8);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(in_a_dump),
	KTAP_CASE(by_its_number),
	KTAP_CASE(when_it_is_over),
	KTAP_CASE(by_who_listens),
	KTAP_CASE(by_a_socket),
	KTAP_CASE(of_one_device),
	KTAP_CASE(after_its_end),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
