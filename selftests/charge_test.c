// SPDX-License-Identifier: GPL-2.0
/*
 * Host memory that the NIC receives into is charged: to the socket that holds it, at
 * half of its size at the least, and to whoever has made the link, and what nobody is
 * charged for has a limit. Must not know how the driver cuts its pages.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/sock_diag.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common_ctl.h"
#include "common_nic.h"

#define MIB		(1L << 20)
#define HOARDER		7001
#define NOBODY		7002
#define FILLER		8000
#define GROUP		"/sys/fs/cgroup/devmem-charge"

static unsigned char datagram[65536];

/* ---- what a socket holds ----------------------------------------------- */

/* It has been down: IPv6 does not come back. */
static void wait_for_link(void)
{
	check(within(5000, !cmd("ping -c 1 -W 1 -q %s", ADDR4(SENDER))));
}

static int hoarder_open(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(HOARDER) };
	int fd, all = 1 << 29;

	env_enter(RECEIVER);
	fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	must(bind(fd, (void *)&sin, sizeof(sin)));
	must(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &all, sizeof(all)));
	return fd;
}

static long charged(int fd)
{
	uint32_t info[SK_MEMINFO_VARS];
	socklen_t len = sizeof(info);

	must(getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &len));
	return info[SK_MEMINFO_RMEM_ALLOC];
}

static void send_to(int fd, uint16_t port, unsigned int len)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(port) };

	inet_pton(AF_INET, ADDR4(RECEIVER), &sin.sin_addr);
	while (sendto(fd, datagram, len, 0, (void *)&sin, sizeof(sin)) < 0)
		if (errno != ECONNREFUSED && errno != ENOBUFS)
			fail("sendto: %s", strerror(errno));
}

/* Send @nr datagrams of @len bytes to somebody who keeps them, and after each as
 * many bytes to nobody as would fill a page of @page bytes.
 */
static void hoard(unsigned int nr, unsigned int len, unsigned int page)
{
	unsigned int i, filled;
	int fd;

	env_enter(SENDER);
	fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	env_enter(RECEIVER);
	for (i = 0; i < nr; i++) {
		send_to(fd, HOARDER, len);
		for (filled = 0; filled < page; filled += FILLER)
			send_to(fd, NOBODY, FILLER);
	}
	close(fd);
}

/* Returns what one of them is charged for. */
static long held_by(unsigned int nr, unsigned int len, unsigned int page)
{
	long before, used, cost;
	int fd = hoarder_open();

	hoard(100, FILLER, page);	/* all that is allocated once */
	before = meminfo("MemFree");
	cost = charged(fd);
	hoard(nr, len, page);
	check(within(5000, charged(fd) - cost >= (long)(nr * len)));
	usleep(100000);
	cost = charged(fd) - cost;
	used = (before - meminfo("MemFree")) * 1024;
	diag("%u datagrams of %u bytes: %ld KiB charged, %ld KiB gone", nr, len,
	     cost / 1024, used / 1024);
	check_cmp(used, <, 3 * cost);
	close(fd);
	return cost / nr;
}

static void bytes_hold_no_page(void)
{
	check_cmp(held_by(12000, 1, 4096), <, 2048);
}

static void pieces_are_charged(void)
{
	check_cmp(held_by(10000, 300, 4096), >=, 4096 / 2);
}

static void large_pages_restore(void *unused)
{
	(void)unused;
	cmd("ip -n %s link set nsd0 down", NS_NAME(RECEIVER));
	cmd("ip netns exec %s ethtool -G nsd0 rx-buf-len 4096", NS_NAME(RECEIVER));
	cmd("ip -n %s link set nsd0 up", NS_NAME(RECEIVER));
}

static void large_pages_are_charged(void)
{
	defer(large_pages_restore, NULL);
	must_cmd("ip link set nsd0 down");
	must_cmd("ethtool -G nsd0 rx-buf-len 65536");
	must_cmd("ip link set nsd0 up");
	wait_for_link();
	check_cmp(held_by(800, 300, 65536), >=, 65536 / 2);
}

/* ---- what the link uses ------------------------------------------------ */

static long group_read(const char *name)
{
	char path[128], text[64] = "";
	int fd;

	snprintf(path, sizeof(path), GROUP "/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		fail("%s: %s", path, strerror(errno));
	close(fd);
	return atol(text);
}

static char home[256];

static void group_remove(void *unused)
{
	(void)unused;
	env_write(home, "0");
	rmdir(GROUP);
}

/* The caller is in a control group of its own, until he leaves it. */
static void group_enter(void)
{
	char line[128] = "";
	FILE *f;

	if (env_write("/sys/fs/cgroup/cgroup.subtree_control", "+memory"))
		skip("no memory control groups");
	f = fopen("/proc/self/cgroup", "re");
	while (f && fgets(line, sizeof(line), f) && strncmp(line, "0::", 3))
		;
	if (f)
		fclose(f);
	line[strcspn(line, "\n")] = 0;
	snprintf(home, sizeof(home), "/sys/fs/cgroup%s/cgroup.procs", line + 3);
	must(mkdir(GROUP, 0755));
	defer(group_remove, NULL);
	check_eq(env_write(GROUP "/cgroup.procs", "0"), 0);
}

static void group_leave(void)
{
	check_eq(env_write(home, "0"), 0);
}

static void group_limit(long bytes)
{
	char text[32];

	snprintf(text, sizeof(text), "%ld", bytes);
	check_eq(env_write(GROUP "/memory.max", text), 0);
}

static void links_of_group(void)
{
	group_enter();
	must_cmd("ip -n %s link delete nsd0", NS_NAME(RECEIVER));
	must_cmd("ip -n %s link delete nsd1", NS_NAME(SENDER));
	must_cmd("ip netns exec %s ip link add nsd0 numrxqueues 1 type netdevsim-devmem",
		 NS_NAME(RECEIVER));
	must_cmd("ip netns exec %s ip link add nsd1 link nsd0 numrxqueues 1 type netdevsim-devmem",
		 NS_NAME(RECEIVER));
	group_leave();
	must_cmd("ip -n %s link set nsd1 netns %s", NS_NAME(RECEIVER), NS_NAME(SENDER));
	must_cmd("ip -n %s link set nsd1 up mtu 9000", NS_NAME(SENDER));
	must_cmd("ip -n %s addr add %s/24 dev nsd1", NS_NAME(SENDER), ADDR4(SENDER));
	must_cmd("ip -n %s addr add %s/24 dev nsd0", NS_NAME(RECEIVER), ADDR4(RECEIVER));
	must_cmd("ip -n %s link set nsd0 up mtu 9000", NS_NAME(RECEIVER));
	wait_for_link();
}

/* Sockets of others hold 32 MiB of what the link has received. Then the owner of the
 * link gets no more, and neither do they.
 */
static void pages_are_the_owners(void)
{
	long before, limit;
	int fd;

	links_of_group();
	fd = hoarder_open();
	before = group_read("memory.current");
	hoard(8000, 3000, 0);
	check(within(5000, group_read("memory.current") - before > 24 * MIB));
	diag("%ld KiB charged to the owner", (group_read("memory.current") - before) / 1024);

	limit = group_read("memory.current") + 4 * MIB;
	group_limit(limit);
	hoard(8000, 3000, 0);
	check_cmp(group_read("memory.current"), <=, limit);
	check_cmp(nic_counter(RECEIVER, "rx_alloc_fail"), >, 0);
	check_cmp(nic_counter(RECEIVER, "rx_drop_nomem"), >, 0);
	close(fd);
}

/* Video memory, and the end of it. */
static void video_memory(void)
{
	long before;
	int fd;

	group_enter();
	before = group_read("memory.current");
	fd = must(ctl_gpu_alloc(16 * MIB, 0, 0));
	check_cmp(group_read("memory.current") - before, >, 15 * MIB);
	close(fd);
	check(within(2000, group_read("memory.current") - before < 8 * MIB));
	fd = must(ctl_gpu_alloc(16 * MIB, 9, 0));
	check_cmp(group_read("memory.current") - before, >, 15 * MIB);
	close(fd);
	check(within(2000, group_read("memory.current") - before < 8 * MIB));
	group_limit(group_read("memory.current") + 8 * MIB);
	check_eq(ctl_gpu_alloc(16 * MIB, 0, 0), -ENOMEM);
	group_leave();
}

/* ---- what nobody is charged for ----------------------------------------- */

/* Who sends more than the delay line of a bad wire takes has to wait until the first
 * that is in it comes.
 */
static void delay_line(void)
{
	unsigned int n = 0, most = 80 * MIB / 60000;
	long long end;
	int fd;

	must_cmd("ip -n %s link set nsd0 mtu 65535", NS_NAME(RECEIVER));
	must_cmd("ip -n %s link set nsd1 mtu 65535", NS_NAME(SENDER));
	impair(RECEIVER, "delay_us", 1000000);
	fd = nic_raw_socket();
	datagram[0] = 2;
	datagram[12] = 0x88;
	datagram[13] = 0xb5;		/* for experiments: nobody answers */
	for (end = now_ms() + 900; n < most && now_ms() < end;)
		n += send(fd, datagram, 60000, MSG_DONTWAIT) > 0;
	diag("%u frames of 60000 bytes", n);
	check_cmp(n, >, 64);
	check_cmp(n, <, most);
	close(fd);
}

static void setup(void)
{
	env_setup(1);
	must_cmd("ip -n %s link set nsd1 mtu 9000", NS_NAME(SENDER));
	must_cmd("ip -n %s link set nsd0 mtu 9000", NS_NAME(RECEIVER));
	must_cmd("ethtool -G nsd0 rx 64");
}

static const struct ktap_case cases[] = {
	KTAP_CASE(bytes_hold_no_page, .timeout = 60),
	KTAP_CASE(pieces_are_charged, .timeout = 60),
	KTAP_CASE(large_pages_are_charged, .timeout = 60),
	KTAP_CASE(video_memory),
	KTAP_CASE(delay_line, .timeout = 60),
	KTAP_CASE(pages_are_the_owners, .timeout = 60),	/* last: with links of its own */
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
