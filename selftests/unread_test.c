// SPDX-License-Identifier: GPL-2.0
/*
 * What a container with little host memory is charged for when it receives into the
 * GPU's: nothing for what waits there, as long as somebody may read it; and nothing of a
 * binding whose memory has gone back.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common.h"
#include "common_nic.h"

#define SEED	1717
#define MIB	(1UL << 20)
#define GROUP	"/sys/fs/cgroup/devmem-unread"

static struct bound b;
static struct conn c;
static struct rx rx;

static uint64_t charged(void)
{
	char text[32] = "";
	int fd = must(open(GROUP "/memory.current", O_RDONLY | O_CLOEXEC));

	must(read(fd, text, sizeof(text) - 1));
	close(fd);
	return strtoull(text, NULL, 10);
}

static int go(const char *group)
{
	char path[256], text[32];

	snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cgroup.procs", group);
	snprintf(text, sizeof(text), "%d", getpid());
	return env_write(path, text);
}

static char home[128];

static void leave(void *unused)
{
	(void)unused;
	go(home);
	within(5000, !rmdir(GROUP));
}

/* All that is allocated from here on is charged to a cgroup of its own. */
static void enter(void)
{
	int fd = open("/proc/self/cgroup", O_RDONLY | O_CLOEXEC);
	char text[128] = "";

	check_cmp(fd, >=, 0);
	must(read(fd, text, sizeof(text) - 1));
	close(fd);
	if (sscanf(text, "0::%127s", home) != 1)
		skip("no cgroup v2");
	if (env_write("/sys/fs/cgroup/cgroup.subtree_control", "+memory"))
		skip("no memory cgroups");
	must(mkdir(GROUP, 0755));
	defer(leave, NULL);
	check_eq(go(GROUP + strlen("/sys/fs/cgroup")), 0);
}

/* A socket is its maker's, and that is whoever has accepted it. */
static void connect_charged(int family)
{
	struct conn_opts opts = { .family = family, .rcvbuf = 64 << 20 };

	connect_with(&c, &opts);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
}

static void unread(int family)
{
	const uint64_t bytes = slow() > 1 ? 4 * MIB : 16 * MIB;
	uint64_t before, with;
	pid_t pid;

	must_cmd("ethtool -K nsd0 rx-gro-hw on");
	bind_buffer(&b, DEVMEM_BUF_GPU, 32 * MIB, 65536);
	enter();
	connect_charged(family);
	before = charged();
	pid = send_start(&c, bytes, SEED, 500000, 0);
	test_join(pid);
	rx_queued(&rx, bytes);
	with = charged();
	diag("%llu bytes are unread: %lld charged", (unsigned long long)bytes,
	     (long long)(with - before));
	/* what TCP could not take at once comes again, a little */
	check_cmp(rx_check_info(&rx).fallback_bytes, <, bytes / 16);
	check_cmp((int64_t)(with - before), <, bytes / 4);

	/* and all is in order when it is read, or closed before it is */
	rx_all(&rx, bytes / 2);
	send_pattern(c.tx, 3000, bytes, SEED, 3000);
	rx_all(&rx, bytes / 2 + 3000);
	check_cmp(rx.placed, >, bytes - bytes / 16);
	send_pattern(c.tx, 2 * MIB, bytes + 3000, SEED, 100000);
	rx_queued(&rx, 2 * MIB);
	disconnect_pair(&c);
	rx_free(&rx);
	free_bound(&b);
}

static void unread_ipv4(void)
{
	unread(AF_INET);
}

static void unread_ipv6(void)
{
	unread(AF_INET6);
}

/* Host memory is charged as ever, and so is what is read late of both. */
static void host_memory(void)
{
	const uint64_t bytes = 4 * MIB;
	uint64_t before;

	bind_buffer(&b, DEVMEM_BUF_GPU, MIB, 65536);
	enter();
	connect_charged(AF_INET);
	before = charged();
	send_pattern(c.tx, bytes, 0, SEED, 100000);
	rx_queued(&rx, bytes);
	check_cmp(rx_check_info(&rx).fallback_bytes, >=, 3 * MIB);
	check_cmp((int64_t)(charged() - before), >, 2 * MIB);
	rx_all(&rx, bytes);
	check_cmp(rx.placed, >, 0);
	check_cmp(rx.host, >=, 3 * MIB);
}

/* A connection that ends and begins again, with bytes unread, counts anew. */
static void connected_again(void)
{
	struct sockaddr none = { .sa_family = AF_UNSPEC };
	struct conn_opts opts = { .family = AF_INET, .rcvbuf = 64 << 20, .reverse = true };

	bind_buffer(&b, DEVMEM_BUF_GPU, 32 * MIB, 65536);
	connect_with(&c, &opts);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
	send_pattern(c.tx, 3 * MIB, 0, SEED, 100000);
	rx_queued(&rx, 3 * MIB);
	rx_all(&rx, MIB);
	must(connect(c.rx, &none, sizeof(none)));
	disconnect_pair(&c);
}

/* An ended binding is a number with counters: what described its chunks has gone, also
 * while a socket is still attached.
 */
static void chunks_of_an_ended_binding(void)
{
	uint64_t with;

	enter();
	bind_buffer(&b, DEVMEM_BUF_GPU, 64 * MIB, 4096);
	connect_charged(AF_INET);
	with = charged();
	unbind(&b);
	/* 16384 chunks, a cache line each; the kernel counts in batches of 64 pages */
	check(within(5000, charged() + MIB / 2 < with));
	send_pattern(c.tx, 10000, 0, SEED, 10000);
	rx_all(&rx, 10000);
	check_eq(rx.host, 10000);
}

static void setup(void)
{
	env_setup(4);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(unread_ipv4, .timeout = 60),
	KTAP_CASE(unread_ipv6, .timeout = 60),
	KTAP_CASE(host_memory),
	KTAP_CASE(connected_again),
	KTAP_CASE(chunks_of_an_ended_binding),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
