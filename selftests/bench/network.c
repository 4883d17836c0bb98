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

/* The number of the NAPI that the thread @pid polls, 0: it is not one of @dev. They
 * are numbered as the queues are opened.
 */
static unsigned int napi_number(int pid, const char *dev)
{
	char path[64], want[32], name[64] = "";
	size_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (read(fd, name, sizeof(name) - 1) < 0)
		name[0] = 0;
	close(fd);
	snprintf(want, sizeof(want), "napi/%s-", dev);
	n = strlen(want);
	return strncmp(name, want, n) ? 0 : (unsigned int)strtoul(name + n, NULL, 10);
}

/* The poll of the first queue runs on @cpu, that of a second one on @beside. */
static void pin_threads(enum side side, int cpu, int beside)
{
	unsigned int number, first = 0;
	struct dirent *entry;
	int pid, found = 0;
	DIR *proc;

	proc = opendir("/proc");
	if (!proc)
		fail("/proc: %s", strerror(errno));
	while ((entry = readdir(proc))) {
		pid = atoi(entry->d_name);
		number = pid > 0 ? napi_number(pid, DEV_NAME(side)) : 0;
		if (!number)
			continue;
		if (!first || number < first) {
			if (found)
				pin(found, beside);
			first = number;
			found = pid;
			pin(pid, cpu);
		} else {
			pin(pid, beside);
		}
	}
	closedir(proc);
	check_cmp(found, >, 0);
}

/* Which CPUs there are for a second queue. */
static int cpu_beside = CPU_RECEIVER, cpu_beside_sender = CPU_SENDER;

/* After all settings: some of them make the polls anew. */
void network_pin(void)
{
	check_eq(env_sysfs_write(RECEIVER, "threaded", "1"), 0);
	check_eq(env_sysfs_write(SENDER, "threaded", "1"), 0);
	pin_threads(RECEIVER, CPU_RECEIVER, cpu_beside);
	pin_threads(SENDER, CPU_SENDER, cpu_beside_sender);
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
	if (p->gro)
		check_eq(ctl_gro_max("nsd0", p->gro), 0);
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
static void set_sender(const struct params *p)
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
	if (p->beside)
		check_eq(env_sysfs_write(SENDER, "queues/tx-1/byte_queue_limits/limit_min",
					 "1000000000"), 0);
}

static void set_xps(enum side side, unsigned int queue, int cpu)
{
	char name[32], mask[16];

	snprintf(name, sizeof(name), "queues/tx-%u/xps_cpus", queue);
	snprintf(mask, sizeof(mask), "%x", 1U << cpu);
	check_eq(env_sysfs_write(side, name, mask), 0);
}

/* Two of everything: who sends on a CPU has a queue for that, and acknowledgments
 * come back to the CPU that has sent.
 */
static void set_beside(void)
{
	unsigned int i;

	cpu_beside = CPU_BESIDE;
	cpu_beside_sender = CPU_BESIDE_SENDER;
	set_xps(RECEIVER, 0, CPU_RECEIVER);
	set_xps(RECEIVER, 1, CPU_BESIDE);
	set_xps(SENDER, 0, CPU_SENDER);
	set_xps(SENDER, 1, CPU_BESIDE_SENDER);
	env_enter(SENDER);
	for (i = 0; i < 2; i++)
		must_cmd("ethtool -N nsd1 flow-type tcp4 dst-port %u action %u",
			 BESIDE_PORT + i, i);
	env_enter(RECEIVER);
}

void network_setup(const struct params *p, bool spare)
{
	env_setup(p->beside || spare ? 2 : 1);
	if (!p->beside && spare)
		must_cmd("ip netns exec %s ethtool -L nsd1 combined 1", NS_NAME(SENDER));
	set_segment(p);
	set_page(p->page);
	set_sender(p);
	must_cmd("ethtool -C nsd0 rx-usecs %u", p->usecs);
	if (p->beside)
		set_beside();
}

uint64_t network_packets(void)
{
	return nic_counter(RECEIVER, "rx0_packets");
}
