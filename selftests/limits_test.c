// SPDX-License-Identifier: GPL-2.0
/*
 * What those may do who are not root of the machine: nobody, and root of a user
 * namespace, with the NIC and the GPU; and how much there is of what they share. Must
 * not know how it is counted.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/nsdm-gpu.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common_ctl.h"
#include "common_nic.h"

#define MIB		(1UL << 20)
#define PARAMETERS	"/sys/module/netdevsim_devmem/parameters/"

static void parameter(const char *name, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	check_eq(env_write(path, value), 0);
}

/* user_links as it was */
static void parameters_restore(void *unused)
{
	(void)unused;
	env_write(PARAMETERS "user_links", "N");
	env_write(PARAMETERS "links_max", "64");
	env_write(PARAMETERS "gpu_mib", "0");
}

/* Root of a user namespace of his own, with a network namespace that belongs to it.
 * For children.
 */
static void become_root_of_nothing(void)
{
	must(unshare(CLONE_NEWUSER | CLONE_NEWNET));
	check_eq(env_write("/proc/self/setgroups", "deny"), 0);
	check_eq(env_write("/proc/self/uid_map", "0 0 1"), 0);
	check_eq(env_write("/proc/self/gid_map", "0 0 1"), 0);
}

/* ---- links ------------------------------------------------------------- */

static void links_are_for_root(void)
{
	pid_t pid;

	defer(parameters_restore, NULL);
	pid = test_fork();
	if (!pid) {
		become_root_of_nothing();
		must_cmd("ip link set lo up");
		check(cmd("ip link add nsd2 type netdevsim-devmem"));
		_exit(0);
	}
	test_join(pid);

	parameter("user_links", "Y");
	pid = test_fork();
	if (!pid) {
		become_root_of_nothing();
		must_cmd("ip link add nsd2 type netdevsim-devmem");
		must_cmd("ip link delete nsd2");
		_exit(0);
	}
	test_join(pid);
}

/* He may have one of his own make do with small pages. */
static void large_pages_are_for_root(void)
{
	pid_t pid;

	defer(parameters_restore, NULL);
	parameter("user_links", "Y");
	pid = test_fork();
	if (!pid) {
		become_root_of_nothing();
		must_cmd("ip link add nsd2 type netdevsim-devmem");
		must_cmd("ethtool -G nsd2 rx 64");
		check(cmd("ethtool -G nsd2 rx-buf-len 8192"));
		check(cmd("ethtool -G nsd2 rx-buf-len 65536"));
		_exit(0);
	}
	test_join(pid);
	must_cmd("ip link set nsd0 down");
	must_cmd("ethtool -G nsd0 rx-buf-len 8192");
	must_cmd("ethtool -G nsd0 rx-buf-len 4096");
	must_cmd("ip link set nsd0 up");
}

static void delete_more(void *unused)
{
	(void)unused;
	cmd("ip link delete nsd2");
	cmd("ip link delete nsd3");
}

static void so_many_links(void)
{
	char text[24];

	defer(parameters_restore, NULL);
	defer(delete_more, NULL);
	snprintf(text, sizeof(text), "%ld", live_object("links") + 1);
	parameter("links_max", text);
	must_cmd("ip link add nsd2 type netdevsim-devmem");
	check(cmd("ip link add nsd3 type netdevsim-devmem"));
	must_cmd("ip link delete nsd2");
	check(within(2000, !cmd("ip link add nsd3 type netdevsim-devmem")));
}

/* ---- the modules ------------------------------------------------------- */

/* Last: it takes the links away. */
static void nobody_loads_them(void)
{
	static struct ctl_nl nl;
	pid_t pid;

	env_leave();
	must_cmd("ip -n %s link delete nsd0", NS_NAME(RECEIVER));
	must_cmd("ip -n %s link delete nsd1", NS_NAME(SENDER));
	defer(env_modules, NULL);
	check(within(2000, !env_rmmod("netdevsim_devmem")));
	check(within(2000, !env_rmmod("netdev_devmem")));

	pid = test_fork();
	if (!pid) {
		become_root_of_nothing();
		cmd("ip link add nsd2 type netdevsim-devmem");
		ctl_nl_open(&nl);
		_exit(0);
	}
	test_join(pid);
	check_errno(access("/sys/module/netdevsim_devmem", F_OK), ENOENT);
	check_errno(access("/sys/module/netdev_devmem", F_OK), ENOENT);
	must_cmd("modprobe netdevsim-devmem");
	check_eq(access("/sys/module/netdev_devmem", F_OK), 0);
}

/* ---- the GPU ----------------------------------------------------------- */

static void close_gpu(void *unused)
{
	(void)unused;
	chmod("/dev/nsdm-gpu", 0600);
}

static void misbehaviour_is_for_root(void)
{
	unsigned int bit;
	struct stat st;
	pid_t pid;
	int fd;

	must(stat("/dev/nsdm-gpu", &st));
	check_eq(st.st_mode & 0777, 0600);
	for (bit = 1; bit <= NSDM_GPU_FLAGS; bit <<= 1)
		close(must(ctl_gpu_alloc(2 * MIB, 9, bit)));
	must(chmod("/dev/nsdm-gpu", 0666));
	defer(close_gpu, NULL);
	pid = test_fork();
	if (!pid) {
		check_eq(ctl_drop_privileges(), 0);
		for (bit = 1; bit <= NSDM_GPU_FLAGS; bit <<= 1)
			check_eq(ctl_gpu_alloc(2 * MIB, 9, bit), -EPERM);
		fd = must(ctl_gpu_alloc(2 * MIB, 9, 0));
		check_eq(ctl_gpu_fence(fd, NSDM_GPU_READS, 1), -EPERM);
		check_eq(ctl_gpu_fence(fd, NSDM_GPU_IDLE, 0), -EPERM);
		check_eq(ctl_gpu_revoke(fd), 0);
		check_eq(ctl_gpu_revoke_again(fd), -EPERM);
		_exit(0);
	}
	test_join(pid);
}

static void so_much_video_memory(void)
{
	int a, b;

	defer(parameters_restore, NULL);
	check(within(2000, !live_object("gpu_buffers")));
	parameter("gpu_mib", "16");
	a = must(ctl_gpu_alloc(8 * MIB, 0, 0));
	b = must(ctl_gpu_alloc(8 * MIB, 9, 0));
	check_eq(ctl_gpu_alloc(4096, 0, 0), -ENOMEM);
	close(b);
	check(within(2000, (b = ctl_gpu_alloc(8 * MIB, 0, 0)) >= 0));
	check_eq(ctl_gpu_alloc(1UL << 32, 9, 0), -ENOMEM);
	close(a);
	check(within(2000, (a = ctl_gpu_alloc(8 * MIB, 3, 0)) >= 0));
	close(a);
	close(b);
}

static void setup(void)
{
	env_setup(4);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(links_are_for_root),
	KTAP_CASE(large_pages_are_for_root),
	KTAP_CASE(so_many_links),
	KTAP_CASE(misbehaviour_is_for_root),
	KTAP_CASE(so_much_video_memory),
	KTAP_CASE(nobody_loads_them),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
