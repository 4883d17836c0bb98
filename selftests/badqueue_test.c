// SPDX-License-Identifier: GPL-2.0
/*
 * bind-rx for queues and interfaces that will not do, for queues that somebody
 * else has, and by those who have no right to bind. Knows nothing of sockets.
 */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "common_probe.h"

/* ---- queues and interfaces --------------------------------------------- */

/* Queues 0, 1, ..., 5 and then 3 again. */
static void put_queue_twice(struct probe *p, uint32_t again)
{
	uint32_t queue;

	put_request(p, NSD, 0, (uint32_t)p->good);
	for (queue = 1; queue < 6; queue++)
		mnl_attr_put_u32(p->nlh, A(QUEUE), queue);
	mnl_attr_put_u32(p->nlh, A(QUEUE), again);
}

/* The good ones first: the last must not be bound without the others. */
static void put_queue_last(struct probe *p, uint32_t last)
{
	put_request(p, NSD, 0, (uint32_t)p->good);
	mnl_attr_put_u32(p->nlh, A(QUEUE), 7);
	mnl_attr_put_u32(p->nlh, A(QUEUE), last);
}

static void put_many_queues(struct probe *p, uint32_t nr)
{
	uint32_t queue;

	mnl_attr_put_u32(p->nlh, A(IFINDEX), NSD);
	mnl_attr_put_u32(p->nlh, A(FD), (uint32_t)p->good);
	for (queue = 0; queue < nr; queue++)
		mnl_attr_put_u32(p->nlh, A(QUEUE), queue);
}

static void put_ifindex(struct probe *p, uint32_t ifindex)
{
	put_request(p, ifindex, 0, (uint32_t)p->good);
}

static const struct row queue_lists_rows[] = {
	ROW("queue 8 of 8", put_queue, 8, ERANGE, "queue 8 out of range, device has 8"),
	ROW("queue 2^32 - 1", put_queue, UINT32_MAX,
	  ERANGE, "queue 4294967295 out of range, device has 8"),
	ROW("queue: last of three unknown", put_queue_last, 9,
	  ERANGE, "queue 9 out of range, device has 8"),
	ROW("queue: repeated", put_queue_twice, 3, EINVAL, "queue 3 given twice"),
	ROW("queue: list empty", put_without, A(QUEUE), EINVAL, "no queue given"),
	ROW("queue: 4097 of them", put_many_queues, 4097,
	  E2BIG, "4097 queues: more than 4096"),
	ROW("queue: 4096 of them", put_many_queues, 4096,
	  ERANGE, "queue 8 out of range, device has 8"),
};

static void queue_lists(void)
{
	probe_rows(queue_lists_rows, ARRAY_SIZE(queue_lists_rows));
}

static const struct row interfaces_rows[] = {
	ROW("interface: down", put_ifindex, NSD_DOWN, ENETDOWN, "nsd9 is down"),
	ROW("interface: absent", put_ifindex, 9999,
	  ENODEV, "no interface 9999 in this network namespace", A(IFINDEX)),
	ROW("interface: in another namespace", put_ifindex, NSD_AWAY,
	  ENODEV, "no interface 1005 in this network namespace", A(IFINDEX)),
	ROW("interface: lo", put_ifindex, 1, EOPNOTSUPP,
	  "lo cannot receive into device memory"),
	ROW("interface: dummy", put_ifindex, DUMMY, EOPNOTSUPP,
	  "bad0 cannot receive into device memory"),
	ROW("interface: veth", put_ifindex, VETH, EOPNOTSUPP,
	  "bad1 cannot receive into device memory"),
	ROW("interface: index 0", put_ifindex, 0, ERANGE, "integer out of range", A(IFINDEX)),
	ROW("interface: index 2^31", put_ifindex, 1U << 31, ERANGE,
	  "integer out of range", A(IFINDEX)),
};

static void interfaces(void)
{
	probe_rows(interfaces_rows, ARRAY_SIZE(interfaces_rows));
}

/* Another process holds the queue: who, says the text. */
static void queue_bound_already(void)
{
	char text[128];
	struct row busy = ROW("busy", put_queue, 1, EBUSY, text);
	struct row last = ROW("busy, last of three", put_queue_last, 1, EBUSY, text);
	static struct ctl_nl nl;
	struct ctl_answer a;
	struct probe p = { .nl = &nl };
	int ready[2], stop[2];
	uint32_t id = 0;
	pid_t pid;
	int good_fd = probe_buffer();

	must(pipe(ready));
	must(pipe(stop));
	pid = test_fork();
	if (!pid) {
		close(stop[1]);
		prctl(PR_SET_NAME, "the holder");
		check_eq(ctl_nl_open(&nl), 0);
		check_eq(ctl_bind(&nl, NSD, 1, good_fd, 0, &a), 0);
		check_eq(a.err, 0);
		check_eq(write(ready[1], &a.id, sizeof(a.id)), sizeof(a.id));
		check_eq(read(stop[0], &id, sizeof(id)), 0);
		_exit(0);
	}
	close(ready[1]);
	check_eq(read(ready[0], &id, sizeof(id)), sizeof(id));
	snprintf(text, sizeof(text),
		 "queue 1 bound already: binding %u, pid %d (the holder)",
		 id, pid);

	check_eq(ctl_nl_open(&nl), 0);
	p.good = good_fd;
	p.nlh = ctl_request(&nl, NETDEV_DEVMEM_CMD_BIND_RX);
	busy.put(&p, busy.arg);
	check_eq(ctl_talk(&nl, p.nlh, &a), 0);
	check(probe_expected(&busy, &a));
	p.nlh = ctl_request(&nl, NETDEV_DEVMEM_CMD_BIND_RX);
	last.put(&p, last.arg);
	check_eq(ctl_talk(&nl, p.nlh, &a), 0);
	check(probe_expected(&last, &a));

	/* the others of the list are free */
	check_eq(ctl_bind(&nl, NSD, 0, probe_buffer(), 0, &a), 0);
	check_eq(a.err, 0);
	check_eq(ctl_bind(&nl, NSD, 7, probe_buffer(), 0, &a), 0);
	check_eq(a.err, 0);

	/* and so is this one when its holder is gone */
	close(stop[1]);
	test_join(pid);
	check(within(1000, !ctl_bind(&nl, NSD, 1, good_fd, 0, &a) && !a.err));
}

static void try_unprivileged(struct ctl_nl *nl, int fd)
{
	struct ctl_answer a;

	check_eq(ctl_bind(nl, NSD, 0, fd, 0, &a), 0);
	check_eq(a.err, EPERM);
	check_eq(a.id, 0);
	check_eq(ctl_count_bindings(), 1);
}

/* Nobody, by a socket of its own and by one that root has opened; and root of a
 * user namespace without rights here. All may look.
 */
static void no_right_to_bind(void)
{
	static struct ctl_nl owner, nl;
	struct ctl_answer a;
	pid_t pid;
	int good_fd = probe_buffer();

	check_eq(ctl_nl_open(&owner), 0);
	check_eq(ctl_bind(&owner, NSD, 3, good_fd, 0, &a), 0);
	check_eq(a.err, 0);

	pid = test_fork();
	if (!pid) {
		check_eq(ctl_drop_privileges(), 0);
		check_eq(ctl_nl_open(&nl), 0);
		try_unprivileged(&nl, good_fd);
		_exit(0);
	}
	test_join(pid);

	pid = test_fork();
	if (!pid) {
		check_eq(ctl_nl_open(&nl), 0);
		check_eq(ctl_drop_privileges(), 0);
		try_unprivileged(&nl, good_fd);
		_exit(0);
	}
	test_join(pid);

	pid = test_fork();
	if (!pid) {
		must(unshare(CLONE_NEWUSER));
		check_eq(ctl_nl_open(&nl), 0);
		try_unprivileged(&nl, good_fd);
		_exit(0);
	}
	test_join(pid);
	check_eq(ctl_bind(&owner, NSD, 0, probe_buffer(), 0, &a), 0);
	check_eq(a.err, 0);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(queue_lists),
	KTAP_CASE(interfaces),
	KTAP_CASE(queue_bound_already),
	KTAP_CASE(no_right_to_bind),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, probe_setup, cases, ARRAY_SIZE(cases));
}
