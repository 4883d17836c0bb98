// SPDX-License-Identifier: GPL-2.0
/*
 * Sends requests that must be refused and looks at what is left. Owns the links
 * that they name; must not know what is wrong with any of them.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common_probe.h"

void put_request(struct probe *p, uint32_t ifindex, uint32_t queue,
			uint32_t fd)
{
	mnl_attr_put_u32(p->nlh, A(IFINDEX), ifindex);
	mnl_attr_put_u32(p->nlh, A(QUEUE), queue);
	mnl_attr_put_u32(p->nlh, A(FD), fd);
}

void put_queue(struct probe *p, uint32_t queue)
{
	put_request(p, NSD, queue, (uint32_t)p->good);
}

void put_without(struct probe *p, uint32_t attr)
{
	if (attr != A(IFINDEX))
		mnl_attr_put_u32(p->nlh, A(IFINDEX), NSD);
	if (attr != A(QUEUE))
		mnl_attr_put_u32(p->nlh, A(QUEUE), 0);
	if (attr != A(FD))
		mnl_attr_put_u32(p->nlh, A(FD), (uint32_t)p->good);
}

void move_fd(int fd)
{
	if (fd < 0)
		return;
	dup2(fd, FD);
	close(fd);
}

int probe_buffer(void)
{
	int fd = ctl_gpu_alloc(PROBE_SIZE, 4, 0);

	if (fd < 0)
		fail("a buffer of the fake GPU: %s", strerror(-fd));
	return fd;
}

static int good_fd = -1;	/* a buffer like any other */
static char before[256];	/* live objects */

static bool as_before(void)
{
	char now[256];

	live_objects(now, sizeof(now));
	return !strcmp(now, before) && !ctl_count_bindings();
}

bool probe_expected(const struct row *row, const struct ctl_answer *a)
{
	if (a->err == row->err && a->attr == row->attr &&
	    !strcmp(a->text, row->text))
		return true;
	diag("%s: %s, attribute %u, '%s'\n  should be %s, attribute %u, '%s'",
	     row->name, strerror(a->err), a->attr, a->text, strerror(row->err),
	     row->attr, row->text);
	return false;
}

/* Nothing is left behind, and the queue takes a request that makes sense. */
static bool leaves_nothing(struct ctl_nl *nl, const char *name)
{
	struct ctl_answer a;
	bool ok;

	ok = within(2000, as_before());
	if (!ok)
		diag("%s: left something behind", name);
	if (ctl_bind(nl, NSD, 0, good_fd, 0, &a) || a.err || !a.id ||
	    ctl_count_bindings() != 1) {
		diag("%s: a proper bind afterwards: %s, '%s'", name,
		     strerror(a.err), a.text);
		ok = false;
	}
	return ok;
}

static bool probe_row(const struct row *row)
{
	static struct ctl_nl nl;
	struct probe p = { .nl = &nl, .good = good_fd };
	struct ctl_answer a;
	bool ok;

	if (ctl_nl_open(&nl))
		fail("%s: no netlink socket", row->name);
	p.nlh = ctl_request(&nl, NETDEV_DEVMEM_CMD_BIND_RX);
	row->put(&p, row->arg);
	if (ctl_talk(&nl, p.nlh, &a))
		fail("%s: no answer", row->name);
	ok = probe_expected(row, &a);
	close(FD);
	ok &= leaves_nothing(&nl, row->name);
	ctl_nl_close(&nl);
	if (!within(2000, as_before())) {
		diag("%s: the proper bind left something behind", row->name);
		ok = false;
	}
	return ok;
}

void probe_rows(const struct row *rows, size_t nr)
{
	size_t i, bad = 0;

	good_fd = probe_buffer();
	live_objects(before, sizeof(before));
	for (i = 0; i < nr; i++)
		bad += !probe_row(&rows[i]);
	if (bad)
		fail("%zu of %zu requests", bad, nr);
}

static void links_away(void *unused)
{
	(void)unused;
	env_enter(RECEIVER);
	cmd("ip link delete nsd8");
	cmd("ip link delete nsd9");
	env_enter(SENDER);
	cmd("ip link delete nsd7");
	env_leave();
}

void probe_setup(void)
{
	env_setup(8);
	env_enter(RECEIVER);
	defer(links_away, NULL);
	must_cmd("ip link add nsd8 index %d numrxqueues 8 type netdevsim-devmem", NSD);
	must_cmd("ip link add nsd9 index %d type netdevsim-devmem", NSD_DOWN);
	must_cmd("ip link add bad0 index %d type dummy", DUMMY);
	must_cmd("ip link add bad1 index %d type veth", VETH);
	must_cmd("ip link set nsd8 up");
	must_cmd("ip link set bad0 up");
	must_cmd("ip link set bad1 up");
	env_enter(SENDER);
	must_cmd("ip link add nsd7 index %d type netdevsim-devmem", NSD_AWAY);
	must_cmd("ip link set nsd7 up");
	env_enter(RECEIVER);
}
