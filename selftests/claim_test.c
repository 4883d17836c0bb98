// SPDX-License-Identifier: GPL-2.0
/*
 * One queue receives into ordinary memory, or into the kernel's provider, or
 * into a binding of net/devmem: who comes second is refused and told why, and
 * nobody else notices when the queue changes hands. Owns who may use a queue;
 * what then arrives in it is provider_test's.
 */
#include <errno.h>
#include <glob.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common_provider.h"

#define SEED	0x636c61696dULL
#define MIB	(1UL << 20)
#define QUEUES	4

static struct ctl_nl nl, other;

static void setup(void)
{
	env_setup(QUEUES);
	ask_for_split();
}

static void refused(const struct ctl_answer *answer, int err, const char *text)
{
	check_eq(answer->err, err);
	if (!strstr(answer->text, text))
		fail("extack is '%s', should have '%s'", answer->text, text);
}

static void kernel_first(void)
{
	struct ctl_answer answer;
	struct bound b = { 0 };

	kernel_bind_queues(&nl, &b, MIB, 1, 1);
	devmem_bind(&other, &b, 1, &answer);
	refused(&answer, EBUSY,
		"queue 1 is bound by the kernel's devmem TCP or io_uring");
	devmem_bind(&other, &b, 2, &answer);
	check_eq(answer.err, 0);
	ctl_nl_close(&other);
	kernel_unbind(&nl);
	devmem_bind(&other, &b, 1, &answer);
	check_eq(answer.err, 0);
	ctl_nl_close(&other);
}

static void kernel_first_then_down(void)
{
	struct ctl_answer answer;
	struct bound b = { 0 };

	kernel_bind_queues(&nl, &b, MIB, 1, 1);
	must_cmd("ip link set nsd0 down");
	must_cmd("ip link set nsd0 up");
	devmem_bind(&other, &b, 1, &answer);
	refused(&answer, EBUSY, "queue 1 is bound by the kernel's");
	kernel_unbind(&nl);
}

static void devmem_first(void)
{
	static const uint32_t queues[] = { 0, 2, 1 };
	struct ctl_answer answer;
	struct bound b = { 0 };

	kernel_bind(&nl, &b, DEVMEM_BUF_UDMABUF, MIB, queues, 1, &answer);
	check_eq(answer.err, 0);
	kernel_unbind(&nl);

	devmem_bind(&other, &b, 1, &answer);
	check_eq(answer.err, 0);
	kernel_bind(&nl, &b, 0, 0, &queues[2], 1, &answer);
	check_eq(answer.err, EBUSY);
	/* the last of three: the first two must not stay bound */
	kernel_bind(&nl, &b, 0, 0, queues, ARRAY_SIZE(queues), &answer);
	check_eq(answer.err, EBUSY);
	ctl_nl_close(&other);
	devmem_bind(&other, &b, 0, &answer);
	check_eq(answer.err, 0);
	ctl_nl_close(&other);
	kernel_bind(&nl, &b, 0, 0, queues, ARRAY_SIZE(queues), &answer);
	check_eq(answer.err, 0);
}

static void kernel_twice(void)
{
	static const uint32_t queue = 1;
	struct ctl_answer answer;
	struct bound b = { 0 };

	kernel_bind_queues(&nl, &b, MIB, 1, 1);
	kernel_bind(&other, &b, 0, 0, &queue, 1, &answer);
	refused(&answer, EEXIST, "already memory provider bound");
}

static void split_off(void)
{
	static const uint32_t queue = 1;
	struct ctl_answer answer;
	struct bound b = { 0 };
	struct conn c;
	struct rx rx;
	pid_t pid;

	set_split(false, &answer);
	check_eq(answer.err, 0);
	kernel_bind(&nl, &b, DEVMEM_BUF_UDMABUF, MIB, &queue, 1, &answer);
	check_eq(answer.err, EINVAL);
	devmem_bind(&other, &b, 1, &answer);
	refused(&answer, EINVAL,
		"queue 1 cannot be bound: tcp-data-split is off");

	/* ordinary traffic goes on while it changes */
	connect_pair(&c, AF_INET);
	pid = send_start(&c, 2 * MIB, SEED, 5000, 0);
	rx_init(&rx, c.rx, NULL, SEED);
	rx.plain = true;
	while (rx.pos < 2 * MIB) {
		set_split(true, &answer);
		check_eq(answer.err, 0);
		rx_all(&rx, MIB / 16);
		set_split(false, &answer);
		check_eq(answer.err, 0);
		rx_all(&rx, MIB / 16);
	}
	test_join(pid);
	check_eq(nic_counter(RECEIVER, "rx_drop_down"), 0);

	set_split(true, &answer);
	kernel_bind(&nl, &b, 0, 0, &queue, 1, &answer);
	check_eq(answer.err, 0);
	set_split(false, &answer);
	if (answer.err == EINVAL)	/* newer kernels do not ask the driver */
		refused(&answer, EINVAL,
			"can't disable tcp-data-split while device has memory provider");
	else
		refused(&answer, EBUSY,
			"queue 1 is bound: tcp-data-split stays on");
	kernel_unbind(&nl);
	devmem_bind(&other, &b, 2, &answer);
	check_eq(answer.err, 0);
	set_split(false, &answer);
	refused(&answer, EBUSY,
		"queue 2 is bound: tcp-data-split stays on");
	ctl_nl_close(&other);
	set_split(false, &answer);
	check_eq(answer.err, 0);
	set_split(true, &answer);
	check_eq(answer.err, 0);
}

/* Left to the driver header split is on, and that is good enough for net/devmem.
 * Some kernels want to be asked for it before they bind their own provider.
 */
static void split_auto(void)
{
	static const uint32_t queue = 1;
	struct ctl_answer answer;
	struct bound b = { 0 };

	set_split(false, &answer);
	check_eq(answer.err, 0);
	split_set(TCP_DATA_SPLIT_AUTO, &answer);
	check_eq(answer.err, 0);
	kernel_bind(&nl, &b, DEVMEM_BUF_UDMABUF, MIB, &queue, 1, &answer);
	if (answer.err)
		refused(&answer, EINVAL, "tcp-data-split is disabled");
	else
		kernel_unbind(&nl);
	devmem_bind(&other, &b, 1, &answer);
	check_eq(answer.err, 0);
	ctl_nl_close(&other);
	ask_for_split();
	kernel_bind(&nl, &b, 0, 0, &queue, 1, &answer);
	check_eq(answer.err, 0);
	kernel_unbind(&nl);
}

/* What nobody can read must have been verified: no provider without checksums, no
 * end of them with one.
 */
static void checksums_stay_on(void)
{
	static const uint32_t queue = 1;
	struct ctl_answer answer;
	struct bound b = { 0 };

	must_cmd("ip netns exec %s ethtool -K nsd0 rx off", NS_NAME(RECEIVER));
	kernel_bind(&nl, &b, DEVMEM_BUF_UDMABUF, MIB, &queue, 1, &answer);
	check_eq(answer.err, EINVAL);
	must_cmd("ip netns exec %s ethtool -K nsd0 rx on", NS_NAME(RECEIVER));
	kernel_bind_queues(&nl, &b, 0, queue, 1);
	check(cmd("ip netns exec %s ethtool -K nsd0 rx off", NS_NAME(RECEIVER)));
	must_cmd("ip netns exec %s ethtool -K nsd0 rx on", NS_NAME(RECEIVER));
	kernel_unbind(&nl);
	check(within(2000, !cmd("ip netns exec %s ethtool -K nsd0 rx off", NS_NAME(RECEIVER))));
	must_cmd("ip netns exec %s ethtool -K nsd0 rx on", NS_NAME(RECEIVER));
}

/* Both change hands all the time, on queues that two streams do not use. */
static void loops_under_traffic(void)
{
	uint64_t packets[2] = { 0 };
	uint32_t used[2], queue;
	struct ctl_answer answer;
	struct bound b = { 0 };
	struct conn c[2];
	struct rx rx[2];
	char name[32];
	pid_t pid[2];
	int i;

	for (i = 0; i < 2; i++) {
		connect_pair(&c[i], i ? AF_INET6 : AF_INET);
		used[i] = queue_of(&c[i], QUEUES);
	}
	for (i = 0; i < 2; i++) {
		pid[i] = send_start(&c[i], 16 * MIB, SEED + i, 20000 + 7 * i, 0);
		rx_init(&rx[i], c[i].rx, NULL, SEED + i);
		rx[i].plain = true;
	}
	for (queue = 0; queue == used[0] || queue == used[1]; queue++)
		;
	diag("streams on queues %u and %u, changes on queue %u", used[0], used[1], queue);
	snprintf(name, sizeof(name), "rx%u_packets", queue);
	packets[0] = nic_counter(RECEIVER, name);
	kernel_bind_queues(&nl, &b, MIB, queue, 1);
	kernel_unbind(&nl);
	for (i = 0; i < 100; i++) {
		kernel_bind_queues(&nl, &b, 0, queue, 1);
		rx_all(&rx[0], MIB / 16);
		kernel_unbind(&nl);
		devmem_bind(&other, &b, queue, &answer);
		if (answer.err)
			fail("bind-rx: %s: %s", strerror(answer.err), answer.text);
		rx_all(&rx[1], MIB / 16);
		ctl_nl_close(&other);
	}
	for (i = 0; i < 2; i++) {
		rx_all(&rx[i], 16 * MIB - rx[i].pos);
		test_join(pid[i]);
	}
	packets[1] = nic_counter(RECEIVER, name);
	check_cmp(packets[1] - packets[0], <, 50);	/* neighbour discovery */
	check_eq(nic_counter(RECEIVER, "rx_drop_down"), 0);
	check_eq(nic_counter(RECEIVER, "rx_drop_nomem"), 0);
}

/* A device goes while the kernel's provider serves its queues and packets come;
 * the binding's netlink socket is closed only then.
 */
static void deleted_mid_stream(void)
{
	struct bound b = { 0 };
	struct conn c;
	struct rx rx;
	pid_t pid;

	kernel_bind_queues(&nl, &b, 4 * MIB, 0, QUEUES);
	connect_pair(&c, AF_INET);
	pid = send_start(&c, 64 * MIB, SEED, 16384, 0);
	kernel_rx_init(&rx, c.rx, &b, SEED);
	rx.keep = true;
	rx_all(&rx, MIB);
	must_cmd("ip link delete nsd0");
	kill(pid, SIGKILL);
	rx_check_held(&rx);
	kernel_unbind(&nl);
	rx_check_held(&rx);
	rx_return(&rx);
}

static unsigned int platform_devices(void)
{
	unsigned int n;
	glob_t found;

	if (glob("/sys/bus/platform/devices/netdevsim-devmem.*", 0, NULL, &found))
		return 0;
	n = found.gl_pathc;
	globfree(&found);
	return n;
}

/* The kernel unmaps its binding through a device whose netdev has gone, so
 * that one has to stay. It serves the next netdev.
 */
static void deleted_again_and_again(void)
{
	struct bound b = { 0 };
	unsigned int i;

	if (if_nametoindex("nsd0"))	/* alone, or after the case before */
		must_cmd("ip link delete nsd0");
	for (i = 0; i < 20; i++) {
		must_cmd("ip link add nsd0 numrxqueues %d numtxqueues %d type netdevsim-devmem",
			 QUEUES, QUEUES);
		must_cmd("ip link set nsd0 up");
		ask_for_split();
		kernel_bind_queues(&nl, &b, MIB, 0, QUEUES);
		must_cmd("ip link delete nsd0");
		kernel_unbind(&nl);
		free_bound(&b);
		check_eq(platform_devices(), 2);	/* that one, nsd1's */
	}
}

static const struct ktap_case cases[] = {
	KTAP_CASE(kernel_first),
	KTAP_CASE(devmem_first),
	KTAP_CASE(kernel_twice),
	KTAP_CASE(split_off),
	KTAP_CASE(split_auto),
	KTAP_CASE(checksums_stay_on),
	KTAP_CASE(loops_under_traffic, .timeout = 60),
	KTAP_CASE(kernel_first_then_down),	/* takes IPv6 addresses away */
	KTAP_CASE(deleted_mid_stream),
	KTAP_CASE(deleted_again_and_again),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
