// SPDX-License-Identifier: GPL-2.0
/*
 * The pair of NICs as a measurement wants it. Owns their settings, and on which
 * CPU what runs: all that the receiving host does on one, the sender on another.
 * The NICs' interrupts cannot be sent to a CPU, their polls can: they are threads.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "../common.h"
#include "../common_ctl.h"
#include "bench.h"

#define SUPER_PACKET	65536
#define HEADERS_4	52	/* IPv4 and TCP with time stamps */
#define HEADERS_6	72
#define SNDBUF	"4096 1048576 16777216"

void pin(int pid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	must(sched_setaffinity(pid, sizeof(set), &set));
}

static bool starts_with(int pid, const char *want)
{
	char path[64], name[64] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	if (read(fd, name, sizeof(name) - 1) < 0)
		name[0] = 0;
	close(fd);
	return !strncmp(name, want, strlen(want));
}

static void pin_threads(enum side side, int cpu)
{
	unsigned int found = 0;
	struct dirent *entry;
	char want[32];
	DIR *proc;
	int pid;

	snprintf(want, sizeof(want), "napi/%s-", DEV_NAME(side));
	proc = opendir("/proc");
	if (!proc)
		fail("/proc: %s", strerror(errno));
	while ((entry = readdir(proc))) {
		pid = atoi(entry->d_name);
		if (pid <= 0 || !starts_with(pid, want))
			continue;
		pin(pid, cpu);
		found++;
	}
	closedir(proc);
	check_cmp(found, >, 0);
}

/* After all settings: some of them make the polls anew. */
void network_pin(void)
{
	check_eq(env_sysfs_write(RECEIVER, "threaded", "1"), 0);
	check_eq(env_sysfs_write(SENDER, "threaded", "1"), 0);
	pin_threads(RECEIVER, CPU_RECEIVER);
	pin_threads(SENDER, CPU_SENDER);
}

static void set_mtu(unsigned int mtu)
{
	must_cmd("ip -n %s link set nsd0 mtu %u", NS_NAME(RECEIVER), mtu);
	must_cmd("ip -n %s link set nsd1 mtu %u", NS_NAME(SENDER), mtu);
}

/* The receiver's stack takes what the sender's makes. */
static void set_big(unsigned int size)
{
	env_enter(SENDER);
	check_eq(ctl_gso_max("nsd1", size), 0);
	env_sysctl(SENDER, "ipv4/tcp_tso_rtt_log", "31");
	check_eq(ctl_gro_max("nsd0", size), 0);
}

/* With super-packets the NICs do TSO and hardware GRO. With segments they do
 * neither: each is a packet on the wire, and what the stack makes of them is its
 * own doing.
 */
static void set_segment(const struct params *p)
{
	unsigned int headers = p->family == 6 ? HEADERS_6 : HEADERS_4;
	bool super = p->segment >= SUPER_PACKET;

	if (!super || p->mss)
		set_mtu((super ? p->mss : p->segment) + headers);
	env_enter(SENDER);
	must_cmd("ethtool -K nsd1 tso %s", super ? "on" : "off");
	env_enter(RECEIVER);
	must_cmd("ethtool -K nsd0 rx-gro-hw %s", super ? "on" : "off");
	if (p->segment > SUPER_PACKET)
		set_big(p->segment);
}

static void set_page(unsigned int page)
{
	if (page == 4096)
		return;
	must_cmd("ip link set nsd0 down");
	must_cmd("ethtool -G nsd0 rx-buf-len %u", page);
	must_cmd("ip link set nsd0 up");
	must_cmd("ip addr replace %s/64 dev nsd0 nodad", ADDR6(RECEIVER));
}

/* What has to wait at the sender, for room on the wire or because TCP thinks that it
 * has enough there, is sent by who makes room: the receiver's CPU, with this NIC. So
 * nothing waits.
 */
static void set_sender(void)
{
	env_sysctl(SENDER, "ipv4/tcp_pacing_ss_ratio", "1000");
	env_sysctl(SENDER, "ipv4/tcp_pacing_ca_ratio", "1000");
	env_sysctl(SENDER, "ipv4/tcp_limit_output_bytes", "1073741824");
	/* many connections have long pauses */
	env_sysctl(SENDER, "ipv4/tcp_slow_start_after_idle", "0");
	env_sysctl(SENDER, "ipv4/tcp_wmem", SNDBUF);
	env_enter(SENDER);
	must_cmd("ethtool -G nsd1 rx 4096 tx 4096");
	env_enter(RECEIVER);
	must_cmd("ethtool -G nsd0 rx 4096 tx 4096");
	check_eq(env_sysfs_write(SENDER, "queues/tx-0/byte_queue_limits/limit_min",
				 "1000000000"), 0);
}

void network_setup(const struct params *p)
{
	env_setup(1);
	set_segment(p);
	set_page(p->page);
	set_sender();
	must_cmd("ethtool -C nsd0 rx-usecs %u", p->usecs);
}

uint64_t network_packets(void)
{
	return nic_counter(RECEIVER, "rx0_packets");
}
