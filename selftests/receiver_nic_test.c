// SPDX-License-Identifier: GPL-2.0
/*
 * What a receiver on the kernel's own devmem TCP, or on io_uring, does to the NIC, and that
 * all of it is undone: in whatever order receivers end, killed or not, and never what
 * somebody else has changed meanwhile. What it receives: receiver_test.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common_nic.h"
#include "common_provider.h"
#include "common_receiver.h"
#include "common_tool.h"
#include "common_undo.h"

#define QUEUES	4
#define MIB	(1U << 20)

static struct picture before;
static enum devmem_via on = DEVMEM_VIA_KERNEL;

/* A receiver on these queues, with a buffer of its own. */
static int try_open(struct devmem_rx **r, enum devmem_via via, const uint32_t *queues,
		    unsigned int nr)
{
	struct devmem_rx_config config = {
		.via = via, .dev = "nsd0", .queues = queues, .nr_queues = nr,
	};
	struct devmem_buf *buf;

	must_ok(devmem_buf_alloc(&buf, DEVMEM_BUF_UDMABUF, MIB, 0));
	return devmem_rx_open(r, buf, &config, 0);
}

/* As a user who has got the buffer from somebody. */
static void nobody(void)
{
	struct devmem_rx_config config = { .via = on, .dev = "nsd0" };
	struct devmem_buf *buf;
	struct devmem_rx *r;

	must_ok(devmem_buf_alloc(&buf, DEVMEM_BUF_UDMABUF, MIB, 0));
	must(setresuid(65534, 65534, 65534));
	check_eq(devmem_rx_open(&r, buf, &config, 0), -EPERM);
	check(strstr(devmem_error(), "takes CAP_NET_ADMIN"));
	check_eq(devmem_via_check(on, "nsd0", 0), -EPERM);
	check_eq(devmem_dev_cleanup("nsd0", 0), -EPERM);
	_exit(0);
}

static struct devmem_rx *open_queue(uint32_t queue)
{
	struct devmem_rx *r;

	must_ok(try_open(&r, on, &queue, 1));
	return r;
}

static void refused(const uint32_t *queues, unsigned int nr, int err, const char *text)
{
	struct devmem_rx *r;

	check_eq(try_open(&r, on, queues, nr), -err);
	if (!strstr(devmem_error(), text))
		fail("'%s' does not say '%s'", devmem_error(), text);
}

/* Of the 128 entries, so many name @queue. */
static unsigned int entries(uint32_t queue)
{
	uint32_t indir[RSS_INDIR];
	uint8_t key[RSS_KEY];
	unsigned int i, nr = 0;

	rss_get(0, key, indir);
	for (i = 0; i < RSS_INDIR; i++)
		nr += indir[i] == queue;
	return nr;
}

/* One connection: has its rule, and all is in the buffer. */
static void receives(struct devmem_rx *r, int family)
{
	unsigned int had = rule_count();
	struct devmem_conn_stats stats;
	char bytes[5000];
	unsigned int i;

	connect_pair(&c, family);
	check_eq(devmem_conn_open(&conn, r, c.rx, 0), 0);
	check_eq(rule_count(), had + 1);
	for (i = 0; i < 40; i++) {
		send_pattern(c.tx, sizeof(bytes), i * sizeof(bytes), SEED, sizeof(bytes));
		must_ok(devmem_conn_read_host(conn, bytes, sizeof(bytes), 0));
		check_eq(devmem_pattern_check(bytes, sizeof(bytes), i * sizeof(bytes), SEED), -1);
	}
	devmem_conn_get_stats(conn, &stats);
	check(stats.attached);
	check_cmp(stats.tokens, >=, 40);
	check_eq(stats.released, stats.tokens);
	devmem_conn_close(conn);
	check_eq(rule_count(), had);
	close(c.tx);
}

/* What it needs is there while it is there. */
static void set_up(void)
{
	struct devmem_rx *r = NULL;
	struct ctl_answer answer;

	set_split(false, &answer);
	check_eq(answer.err, 0);
	nic_feature("rx-ntuple-filter", false);
	picture_take(&before);
	must_ok(try_open(&r, on, NULL, 0));
	check_eq(entries(QUEUES - 1), 0);
	check_cmp(entries(0), >, 0);
	check_eq(split_get(), TCP_DATA_SPLIT_ON);
	receives(r, AF_INET);
	receives(r, AF_INET6);
	devmem_rx_close(r);
	picture_check(&before);
	check_eq(nic_processes(NULL), 0);
	nic_feature("rx-ntuple-filter", true);
}

/* As above where headers of long packets only are split off. */
static void threshold(void)
{
	uint32_t thresh, most;
	struct ctl_answer answer;
	struct devmem_rx *r;

	if (!get_hds_thresh(&thresh, &most))
		skip("the kernel knows no hds-thresh");
	set_hds_thresh(200, &answer);
	check_eq(answer.err, 0);
	picture_take(&before);
	r = open_queue(1);
	check(get_hds_thresh(&thresh, &most));
	check_eq(thresh, 0);
	receives(r, AF_INET);
	devmem_rx_close(r);
	picture_check(&before);
	set_hds_thresh(0, &answer);
}

/* Connections of others never reach the queue. */
static void others_stay_away(void)
{
	struct devmem_rx *r;
	struct conn other;
	int i;

	r = open_queue(2);
	receives(r, AF_INET);
	check_cmp(nic_counter(RECEIVER, "rx2_packets"), >, 0);
	for (i = 0; i < 24; i++) {
		connect_pair(&other, i % 2 ? AF_INET6 : AF_INET);
		check_cmp(queue_of(&other, QUEUES), !=, 2);
		disconnect_pair(&other);
	}
	devmem_rx_close(r);
}

/* Connections are spread over them. */
static void several_queues(void)
{
	static const uint32_t queues[] = { 1, 3 };
	struct devmem_rx_config config = {
		.via = DEVMEM_VIA_KERNEL, .dev = "nsd0", .queues = queues, .nr_queues = 2,
	};
	struct devmem_buf *buf;
	uint64_t had[2];
	struct devmem_rx *r;
	int i;

	must_ok(devmem_buf_alloc(&buf, DEVMEM_BUF_UDMABUF, 16 * MIB, 0));
	must_ok(devmem_rx_open(&r, buf, &config, 0));
	had[0] = nic_counter(RECEIVER, "rx1_packets");
	had[1] = nic_counter(RECEIVER, "rx3_packets");
	for (i = 0; i < 4; i++)
		receives(r, i % 2 ? AF_INET : AF_INET6);
	check_cmp(nic_counter(RECEIVER, "rx1_packets"), >=, had[0] + 80);
	check_cmp(nic_counter(RECEIVER, "rx3_packets"), >=, had[1] + 80);
	devmem_rx_close(r);
}

/* In each order of their ends. */
static void any_order(void)
{
	static const unsigned int orders[][3] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
	};
	struct devmem_rx *r[3];
	struct ctl_answer answer;
	unsigned int i, j;

	set_split(false, &answer);
	check_eq(answer.err, 0);
	picture_take(&before);
	for (i = 0; i < ARRAY_SIZE(orders); i++) {
		for (j = 0; j < 3; j++)
			r[j] = open_queue(j + 1);
		check_eq(entries(0), RSS_INDIR);
		refused((const uint32_t[]) { 0 }, 1, EINVAL,
			"RSS sends everything to the queues that are wanted");
		refused((const uint32_t[]) { 3 }, 1, EBUSY, "rx queue 3 is another receiver's");
		for (j = 0; j < 3; j++) {
			check_eq(split_get(), TCP_DATA_SPLIT_ON);
			devmem_rx_close(r[orders[i][j]]);
			check_cmp(entries(orders[i][j] + 1), >, 0);
		}
		picture_check(&before);
	}
}

/* What an operator has changed meanwhile stays. */
static void operators_choice(void)
{
	struct ethtool_rx_flow_spec fs = {
		.flow_type = TCP_V4_FLOW, .ring_cookie = 1, .location = 7,
	};
	struct devmem_rx *r;
	struct ctl_answer answer;

	set_split(false, &answer);
	nic_feature("rx-ntuple-filter", false);
	r = open_queue(3);
	must_cmd("ethtool -X nsd0 weight 1 1 0 0");
	fs.h_u.tcp_ip4_spec.pdst = 80;
	fs.m_u.tcp_ip4_spec.pdst = 0xffff;
	check_eq(rule_add(&fs, 0), 0);
	devmem_rx_close(r);
	check_eq(entries(0), RSS_INDIR / 2);
	check_eq(entries(1), RSS_INDIR / 2);
	check_eq(rule_count(), 1);
	/* nobody has touched that one */
	check_eq(split_get(), TCP_DATA_SPLIT_OFF);

	/* what a rule of ours was replaced by */
	check_eq(rule_delete(7), 0);
	r = open_queue(3);
	connect_pair(&c, AF_INET);
	check_eq(devmem_conn_open(&conn, r, c.rx, 0), 0);
	check_eq(rule_list(&fs.location, 1), 1);
	check_eq(rule_delete(fs.location), 0);
	check_eq(rule_add(&fs, 0), 0);
	devmem_conn_close(conn);
	check_eq(rule_count(), 1);
	devmem_rx_close(r);
	check_eq(rule_count(), 1);
	check_eq(rule_delete(fs.location), 0);
	must_cmd("ethtool -X nsd0 default");
}

/* A rule to one of the queues is somebody's. */
static void conflict(void)
{
	struct ethtool_rx_flow_spec fs = {
		.flow_type = UDP_V4_FLOW, .ring_cookie = 2, .location = 9,
	};
	static const uint32_t queues[] = { 2 };

	fs.h_u.udp_ip4_spec.pdst = 53;
	fs.m_u.udp_ip4_spec.pdst = 0xffff;
	nic_feature("rx-ntuple-filter", true);
	check_eq(rule_add(&fs, 0), 0);
	picture_take(&before);
	refused(queues, 1, EBUSY, "rule 9 brings other traffic to rx queue 2");
	refused(queues, 1, EBUSY, "ethtool -N nsd0 delete 9");
	picture_check(&before);
	check_eq(rule_delete(9), 0);
}

static void refusals(void)
{
	static const uint32_t beyond[] = { 1, 4 }, last[] = { 3 };
	static const uint32_t two[] = { 1, 2 };
	static struct ctl_nl nl;
	struct ctl_answer answer;
	struct bound b = { 0 };
	struct devmem_rx *r;
	char *path = strdup(getenv("PATH") ?: "");
	pid_t pid;

	set_split(false, &answer);
	picture_take(&before);
	refused(beyond, 2, ERANGE, "no rx queue 4, there are 4");
	refused(two, 2, ENOBUFS, "2 queues with rings of 1024 need a buffer of 4096 pages, this one has 256");
	check_eq(channels_set(1), 0);
	refused(NULL, 0, EINVAL, "has one rx queue, which other traffic needs");
	check_eq(channels_set(QUEUES), 0);

	/* a queue that somebody else has bound */
	ask_for_split();
	kernel_bind(&nl, &b, DEVMEM_BUF_UDMABUF, MIB, last, 1, &answer);
	check_eq(answer.err, 0);
	check_cmp(try_open(&r, DEVMEM_VIA_KERNEL, last, 1), <, 0);
	kernel_unbind(&nl);
	set_split(false, &answer);

	/* by no means */
	check_eq(setenv("PATH", "/nowhere", 1), 0);
	refused(NULL, 0, ENOENT, "the program devmem-nic, which sets the device up");
	check_eq(setenv("PATH", path, 1), 0);
	pid = test_fork();
	if (!pid)
		nobody();
	test_join(pid);
	check_eq(devmem_via_check(DEVMEM_VIA_KERNEL, "nsd0", 0), 0);
	check_eq(devmem_via_check(DEVMEM_VIA_KERNEL, "lo", 0), -EOPNOTSUPP);
	check_eq(devmem_via_check(DEVMEM_VIA_KERNEL, NULL, 0), -EINVAL);
	check_eq(devmem_via_check(DEVMEM_VIA_AUTO, "nsd0", 0), -EINVAL);
	check_undone(&before);
	must_cmd("ip link set dev nsd0 down");
	refused(NULL, 0, ENETDOWN, "nsd0 is down");
	must_cmd("ip link set dev nsd0 up");
	free(path);
}

/* Holds queue 3 until it is killed; the child that it has does not keep it alive. */
static pid_t owner(void)
{
	int ready[2];
	pid_t pid;
	char byte;

	must(pipe(ready));
	pid = test_fork();
	if (!pid) {
		open_queue(3);
		if (!test_fork()) {
			check_eq(write(ready[1], "", 1), 1);
			pause();
		}
		pause();
	}
	check_eq(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(ready[1]);
	return pid;
}

static void killed(void)
{
	struct ctl_answer answer;
	pid_t pid, nic;

	set_split(false, &answer);
	picture_take(&before);
	pid = owner();
	check_eq(nic_processes(&nic), 1);
	/* what ends programs does not end it, while it is needed */
	kill(nic, SIGTERM);
	kill(nic, SIGINT);
	kill(nic, SIGHUP);
	check_eq(entries(3), 0);
	must(kill(pid, SIGKILL));
	check_undone(&before);
}

/* Both are: cleanup, or whoever comes next. */
static void all_killed(void)
{
	struct ctl_answer answer;
	struct devmem_rx *r;
	pid_t pid, nic;
	int i;

	set_split(false, &answer);
	picture_take(&before);
	for (i = 0; i < 2; i++) {
		pid = owner();
		check_eq(nic_processes(&nic), 1);
		must(kill(nic, SIGKILL));
		must(kill(pid, SIGKILL));
		check(within(2000, !nic_processes(NULL)));
		check_eq(entries(3), 0);
		if (i)
			must_cmd("ncdevmem cleanup nsd0");
		else
			devmem_rx_close(open_queue(3));
		check_undone(&before);
	}
	check_eq(cmd("ncdevmem cleanup lo"), 0);
	check_eq(cmd("ncdevmem cleanup nsd7"), 1);
	check_eq(cmd("ncdevmem cleanup"), 2);

	/* it leaves alone what is in use */
	r = open_queue(2);
	must_cmd("ncdevmem cleanup nsd0");
	check_eq(entries(2), 0);
	receives(r, AF_INET);
	devmem_rx_close(r);
	picture_check(&before);
}

/* devmem-nic is gone: what its owner has goes on, and new ones are told. */
static void nic_killed(void)
{
	struct devmem_rx *r = open_queue(3);
	pid_t nic;

	connect_pair(&c, AF_INET);
	check_eq(devmem_conn_open(&conn, r, c.rx, 0), 0);
	check_eq(nic_processes(&nic), 1);
	must(kill(nic, SIGKILL));
	check(within(2000, !nic_processes(NULL)));
	make_tensor();
	send_pattern(c.tx, 10000, 0, SEED, 10000);
	check_eq(devmem_conn_read(conn, tensor, 0, 10000, 0), 10000);
	check_tensor(0, 0, 10000);
	devmem_conn_close(conn);
	close(c.tx);
	connect_pair(&c, AF_INET);
	check_eq(devmem_conn_open(&conn, r, c.rx, 0), -EPIPE);
	devmem_rx_close(r);
	must_cmd("ncdevmem cleanup nsd0");
}

/* While net/devmem has a queue the header split stays, and goes when that has gone. */
static void needed_by_others(void)
{
	struct ctl_answer answer;
	struct devmem_rx *r, *placed;
	static const uint32_t first[] = { 0 };

	set_split(false, &answer);
	picture_take(&before);
	r = open_queue(3);
	must_ok(try_open(&placed, DEVMEM_VIA_DEVMEM, first, 1));
	devmem_rx_close(r);
	check_cmp(entries(3), >, 0);
	check_eq(split_get(), TCP_DATA_SPLIT_ON);
	check_eq(nic_processes(NULL), 1);
	devmem_rx_close(placed);
	check_undone(&before);
}

/* Another device has its name when all is undone. */
static void renamed(void)
{
	struct devmem_rx *r;

	picture_take(&before);
	r = open_queue(3);
	must_cmd("ip link set dev nsd0 down");
	must_cmd("ip link set dev nsd0 name other");
	must_cmd("ip link set dev other up");
	must_cmd("ip link add nsd0 type dummy");
	devmem_rx_close(r);
	must_cmd("ip link del dev nsd0");
	must_cmd("ip link set dev other down");
	must_cmd("ip link set dev other name nsd0");
	must_cmd("ip link set dev nsd0 up");
	check_undone(&before);
}

static void device_goes(void)
{
	struct devmem_rx *r;

	r = open_queue(3);
	connect_pair(&c, AF_INET);
	check_eq(devmem_conn_open(&conn, r, c.rx, 0), 0);
	must_cmd("ip link del dev nsd0");
	devmem_conn_close(conn);
	devmem_rx_close(r);
	check_eq(nic_processes(NULL), 0);
}

/* ---- the same by io_uring ------------------------------------------------------ */

static void by_zcrx(void (*test)(void))
{
	on = DEVMEM_VIA_ZCRX;
	need_path(on);
	test();
}

#define BY_ZCRX(test) static void test##_zcrx(void) { by_zcrx(test); }

BY_ZCRX(set_up)
BY_ZCRX(threshold)
BY_ZCRX(others_stay_away)
BY_ZCRX(any_order)
BY_ZCRX(conflict)
BY_ZCRX(killed)
BY_ZCRX(all_killed)
BY_ZCRX(nic_killed)
BY_ZCRX(needed_by_others)

/* One of each kind, in each order of their ends. */
static void both(void)
{
	struct devmem_rx *kernel, *zcrx;
	struct ctl_answer answer;
	unsigned int i;

	need_path(DEVMEM_VIA_ZCRX);
	set_split(false, &answer);
	check_eq(answer.err, 0);
	picture_take(&before);
	for (i = 0; i < 2; i++) {
		kernel = open_queue(1);
		on = DEVMEM_VIA_ZCRX;
		zcrx = open_queue(3);
		refused((const uint32_t[]) { 1 }, 1, EBUSY, "rx queue 1 is another receiver's");
		on = DEVMEM_VIA_KERNEL;
		refused((const uint32_t[]) { 3 }, 1, EBUSY, "rx queue 3 is another receiver's");
		receives(kernel, AF_INET);
		receives(zcrx, AF_INET6);
		devmem_rx_close(i ? zcrx : kernel);
		check_eq(split_get(), TCP_DATA_SPLIT_ON);
		receives(i ? kernel : zcrx, AF_INET);
		devmem_rx_close(i ? kernel : zcrx);
		picture_check(&before);
	}
}

static void refusals_zcrx(void)
{
	static const uint32_t beyond[] = { 4 }, last[] = { 3 }, two[] = { 1, 2 };
	static struct ctl_nl nl;
	struct ctl_answer answer;
	struct bound b = { 0 };
	pid_t pid;

	on = DEVMEM_VIA_ZCRX;
	need_path(on);
	set_split(false, &answer);
	picture_take(&before);
	refused(two, 2, EINVAL, "2 rx queues: the path 'zcrx' takes one");
	refused(beyond, 1, ERANGE, "no rx queue 4, there are 4");

	/* a queue that somebody else has */
	ask_for_split();
	kernel_bind(&nl, &b, DEVMEM_BUF_UDMABUF, MIB, last, 1, &answer);
	check_eq(answer.err, 0);
	refused(last, 1, EBUSY, "rx queue 3 is somebody else's");
	kernel_unbind(&nl);
	set_split(false, &answer);
	check_undone(&before);

	pid = test_fork();
	if (!pid)
		nobody();
	test_join(pid);
	check_eq(devmem_via_check(on, "nsd0", 0), 0);
	check_eq(devmem_via_check(on, "lo", 0), -EOPNOTSUPP);
	check_eq(devmem_via_check(on, NULL, 0), -EINVAL);
	check_undone(&before);
}

static void setup(void)
{
	env_setup(QUEUES);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(set_up),
	KTAP_CASE(set_up_zcrx),
	KTAP_CASE(threshold),
	KTAP_CASE(threshold_zcrx),
	KTAP_CASE(others_stay_away),
	KTAP_CASE(others_stay_away_zcrx),
	KTAP_CASE(several_queues),
	KTAP_CASE(any_order),
	KTAP_CASE(any_order_zcrx),
	KTAP_CASE(both),
	KTAP_CASE(operators_choice),
	KTAP_CASE(conflict),
	KTAP_CASE(conflict_zcrx),
	KTAP_CASE(killed),
	KTAP_CASE(killed_zcrx),
	KTAP_CASE(all_killed),
	KTAP_CASE(all_killed_zcrx),
	KTAP_CASE(nic_killed),
	KTAP_CASE(nic_killed_zcrx),
	KTAP_CASE(needed_by_others),
	KTAP_CASE(needed_by_others_zcrx),
	KTAP_CASE(refusals_zcrx),
	KTAP_CASE(refusals),
	KTAP_CASE(renamed),
	KTAP_CASE(device_goes),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
