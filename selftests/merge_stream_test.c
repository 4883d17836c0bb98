// SPDX-License-Identifier: GPL-2.0
/*
 * Merging, stream by stream: what a kernel's TCP sends becomes one packet in the
 * end, also a longer one than IP has length fields for; every byte is right, and
 * a tap sees well-formed packets and zeroes. With disturbances: the buffer, the
 * binding or the socket goes, settings change. Which packets become one is
 * merge_test's.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#include "common.h"
#include "common_ctl.h"
#include "common_nic.h"

#define SEED		0x6d6572ULL
#define MIB		(1UL << 20)
#define IP_MAX		524280U		/* longest packet that is made of several */

static struct bound b;
static struct conn c;
static struct rx rx;

static void restore(void *arg)
{
	(void)arg;
	cmd("ethtool -K nsd0 gro on rx-gro-hw on");
	cmd("ethtool -C nsd0 rx-usecs 0");
	ctl_gro_max("nsd0", 65536);
	cmd("ip netns exec devmem-b ethtool -K nsd1 tso on gso on");
}

static uint64_t merged(void)
{
	return nic_counter(RECEIVER, "rx_merged_packets");
}

/* Each poll finds several packets, however slowly they are sent: of the sender's
 * TSO, which may become longer than IP can say, or single segments. There are chunks
 * for all that may wait to be read.
 */
static void begin(int family, bool super, uint32_t chunk)
{
	struct conn_opts opts = { .family = family, .rcvbuf = MIB };

	defer(restore, NULL);
	must_cmd("ethtool -K nsd0 rx-gro-hw %s", super ? "on" : "off");
	must_cmd("ethtool -C nsd0 rx-usecs 10000");
	check_eq(ctl_gro_max("nsd0", super ? IP_MAX : 65536), 0);
	bind_buffer(&b, DEVMEM_BUF_GPU, 8 * MIB, chunk);
	connect_with(&c, &opts);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
}

static uint64_t some(uint64_t bytes)
{
	return bytes / (unsigned int)slow();
}

/* @bytes more, and the stream's end. */
static void whole_stream(uint64_t bytes, size_t size)
{
	pid_t pid = send_start(&c, bytes, SEED, size, SEND_SHUTDOWN);

	rx_all(&rx, bytes);
	close(c.tx);
	rx_eof(&rx);
	test_join(pid);
}

static void all_placed(int family, bool super, uint32_t chunk, size_t size)
{
	uint64_t before = merged();

	begin(family, super, chunk);
	whole_stream(some(8 * MIB), size);
	rx_check_placed(&rx, some(8 * MIB));
	check_cmp(merged() - before, >, 0);
	rx_check_info(&rx);
}

static void segments_ipv4(void)
{
	all_placed(AF_INET, false, 65536, 65536);
}

static void segments_ipv6(void)
{
	all_placed(AF_INET6, false, 16384, 65536);
}

static void super_packets_ipv4(void)
{
	all_placed(AF_INET, true, 2 * MIB, 65536);
}

static void super_packets_ipv6(void)
{
	all_placed(AF_INET6, true, 4096, 65536);
}

/* Writes end in the middle of a segment, with PSH. */
static void odd_writes(void)
{
	all_placed(AF_INET, false, 65536, 3001);
}

/* ---- long packets, and those who see them -------------------------------- */

struct seen {
	unsigned int packets;	/* with payload */
	unsigned int longest;	/* of IP, without a jumbo payload option */
};

static uint16_t fold(const void *data, size_t len)
{
	const uint16_t *p = data;
	uint32_t sum = 0;

	for (; len; len -= 2)
		sum += *p++;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static bool kernel_is(const char *series)
{
	struct utsname uts;

	must(uname(&uts));
	return !strncmp(uts.release, series, strlen(series));
}

/* Where TCP begins in a packet of @len bytes from the IP header on, which says how
 * long it is, or cannot. 0: not TCP.
 */
static unsigned int check_lengths(const unsigned char *at, unsigned int len,
				  unsigned int *ip_len)
{
	const struct ip6_hdr *ip6 = (const void *)at;
	const struct iphdr *ip = (const void *)at;
	uint32_t jumbo;

	*ip_len = len;
	if (ip->version == 4) {
		if (ip->protocol != IPPROTO_TCP)
			return 0;
		check_eq(ntohs(ip->tot_len), len <= 65535 ? len : 0);
		check_eq(fold(ip, ip->ihl * 4U), 0xffff);
		return ip->ihl * 4U;
	}
	if (ip6->ip6_nxt == IPPROTO_HOPOPTS && !ip6->ip6_plen) {
		static const unsigned char option[] = { IPPROTO_TCP, 0, 0xc2, 4 };

		check(!memcmp(ip6 + 1, option, sizeof(option)));
		memcpy(&jumbo, (const char *)(ip6 + 1) + 4, 4);
		check_eq(ntohl(jumbo), len - sizeof(*ip6));
		check_cmp(ntohl(jumbo), >, 65535);
		*ip_len = len - 8;
		return sizeof(*ip6) + 8;
	}
	if (ip6->ip6_nxt != IPPROTO_TCP)
		return 0;
	len -= sizeof(*ip6);
	check_eq(ntohs(ip6->ip6_plen), len <= 65535 ? len : 0);
	if (kernel_is("6.12."))
		check_cmp(len, <=, 65535);
	return sizeof(*ip6);
}

/* Of @len bytes the tap has @got. */
static void look(struct seen *seen, const unsigned char *at, unsigned int got,
		 unsigned int len)
{
	unsigned int off, ip_len, i;

	off = check_lengths(at, len, &ip_len);
	if (!off)
		return;
	off += ((const struct tcphdr *)(at + off))->doff * 4U;
	check_cmp(ip_len, <=, IP_MAX);
	if (off == len)
		return;
	for (i = off; i < got; i++)
		if (at[i])
			fail("the tap sees byte 0x%02x at %u of %u", at[i], i, len);
	seen->packets++;
	if (ip_len > seen->longest)
		seen->longest = ip_len;
}

/* Where nobody can read payload a tap has the headers alone, and is told beside
 * them how long the packet was.
 */
static void take_packet(int fd, struct seen *seen)
{
	static unsigned char buf[IP_MAX + 64];
	struct tpacket_auxdata aux;
	char control[CMSG_SPACE(sizeof(aux))];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	ssize_t n = must(recvmsg(fd, &msg, 0));

	check(!(msg.msg_flags & (MSG_TRUNC | MSG_CTRUNC)));
	check(CMSG_FIRSTHDR(&msg));
	memcpy(&aux, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(aux));
	if (n > ETH_HLEN)
		look(seen, buf + ETH_HLEN, (unsigned int)n - ETH_HLEN,
		     aux.tp_len - ETH_HLEN);
}

/* In a helper, until it is killed; what it has seen is in *@seen. */
static pid_t watch(struct seen *seen)
{
	struct sockaddr_ll ll = {
		.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex("nsd0"),
	};
	int fd = must(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
	int one = 1, big = 64 << 20;
	pid_t pid;

	must(setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &one, sizeof(one)));
	must(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)));
	must(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big)));
	must(bind(fd, (void *)&ll, sizeof(ll)));
	pid = test_fork();
	if (pid) {
		close(fd);
		return pid;
	}
	for (;;)
		take_packet(fd, seen);
}

/* A stream that fills the wire becomes packets longer than IP can say. */
static void longer_than_ip(int family)
{
	struct seen *seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t bytes = 0;
	pid_t tap;
	pid_t pid;

	check(seen != MAP_FAILED);
	begin(family, true, 65536);
	tap = watch(seen);
	pid = send_start(&c, 256 * MIB, SEED, MIB, 0);
	do {
		rx_all(&rx, MIB);
		bytes += MIB;
	} while (bytes < some(256 * MIB) && (bytes < some(8 * MIB) || seen->longest <= 65535));
	/* it may have a few more to look at */
	check(within(2000, seen->longest > 65535));
	rx_check_placed(&rx, rx.bytes);
	check_cmp(seen->packets, >, 0);
	check_eq(waitpid(tap, NULL, WNOHANG), 0);
	check_eq(kill(tap, SIGKILL), 0);
	check_eq(kill(pid, SIGKILL), 0);
	diag("%u packets, the longest had %u bytes", seen->packets, seen->longest);
}

static void longer_than_ipv4(void)
{
	longer_than_ip(AF_INET);
}

static void longer_than_ipv6(void)
{
	longer_than_ip(AF_INET6);
}

/* Nobody has asked for packets that IP could not tell the length of. */
static void not_longer_than_ip(void)
{
	static const int families[] = { AF_INET, AF_INET6 };
	struct seen *seen = mmap(NULL, sizeof(*seen), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned int i;
	pid_t tap;

	check(seen != MAP_FAILED);
	for (i = 0; i < ARRAY_SIZE(families); i++) {
		begin(families[i], false, 65536);
		memset(seen, 0, sizeof(*seen));
		tap = watch(seen);
		whole_stream(some(32 * MIB), MIB);
		check(within(2000, seen->longest > 10000));
		check_cmp(seen->longest, <=, 65535);
		check_eq(kill(tap, SIGKILL), 0);
		diag("%u packets, the longest had %u bytes", seen->packets, seen->longest);
		close(c.rx);
		rx_free(&rx);
		free_bound(&b);
	}
}

/* An option that the receiver's host would not take is not made. */
static void no_options(void)
{
	begin(AF_INET6, true, 65536);
	env_sysctl(RECEIVER, "ipv6/max_hbh_opts_number", "0");
	whole_stream(some(16 * MIB), MIB);
	env_sysctl(RECEIVER, "ipv6/max_hbh_opts_number", "8");
	rx_check_placed(&rx, rx.bytes);
}

/* ---- disturbances --------------------------------------------------------- */

/* Until nobody has the other end of @stop: whoever were killed would leave a command
 * of his running.
 */
static void toggle(int stop)
{
	struct pollfd pfd = { .fd = stop, .events = POLLIN };
	unsigned int i;

	for (i = 0; !poll(&pfd, 1, 0); i++) {
		nic_feature("rx-gro", i & 1);
		usleep((useconds_t)rand() % 5000);
		if (i % 16 == 3)
			cmd("ip link set nsd0 gro_max_size %u", 3000 + (unsigned int)rand() % 60000);
		if (i % 16 == 11)
			cmd("ip link set nsd0 gro_max_size 65536");
	}
	_exit(0);
}

static void toggled_mid_stream(void)
{
	int stop[2];
	pid_t pid;

	begin(AF_INET, false, 4096);
	must(pipe2(stop, O_CLOEXEC));
	pid = test_fork();
	if (!pid) {
		close(stop[1]);
		toggle(stop[0]);
	}
	whole_stream(some(16 * MIB), 30000);
	if (!only_again(&b))
		rx_check_placed(&rx, rx.bytes);
	close(stop[1]);
	test_join(pid);
	cmd("ip link set nsd0 gro_max_size 65536");
}

enum end { REVOKE, UNBIND, CLOSE };

/* One of them goes while packets wait for others. */
static void ends_mid_stream(enum end end)
{
	uint64_t before = merged();
	unsigned int i;
	pid_t pid;

	for (i = 0; i < 5; i++) {
		begin(i & 1 ? AF_INET6 : AF_INET, i & 2, 16384);
		pid = send_start(&c, some(16 * MIB), SEED, 65536, SEND_SHUTDOWN);
		rx_all(&rx, some(MIB));
		usleep((useconds_t)i * 1500);
		rx.lossy = end == REVOKE;
		if (end == REVOKE)
			check_eq(ctl_gpu_revoke(devmem_buf_fd(b.buf)), 0);
		if (end == UNBIND)
			unbind(&b);
		if (end == CLOSE) {
			/* what is in its buffer is sent all the same */
			kill(pid, SIGKILL);
			close(c.rx);
		} else {
			rx_all(&rx, some(16 * MIB) - some(MIB));
			rx_eof(&rx);
			test_join(pid);
			check_cmp(rx.placed, >, 0);
			close(c.rx);
		}
		close(c.tx);
		rx_free(&rx);
		if (end == UNBIND)
			devmem_buf_free(b.buf);
		else
			free_bound(&b);
	}
	check_cmp(merged() - before, >, 0);
}

static void revoked(void)
{
	ends_mid_stream(REVOKE);
}

static void unbound(void)
{
	ends_mid_stream(UNBIND);
}

static void closed(void)
{
	ends_mid_stream(CLOSE);
}

/* Nothing waits longer than a poll: a byte there and a byte back, many times. */
static void ping_pong(void)
{
	unsigned int i;

	begin(AF_INET, false, 4096);
	must_cmd("ethtool -C nsd0 rx-usecs 0");
	for (i = 0; i < 500; i++) {
		send_pattern(c.tx, 1, i, SEED, 1);
		rx_all(&rx, 1);
	}
	check_eq(rx.placed, 500);
}

static void setup(void)
{
	env_setup(4);
	/* while they wait the sender may have few packets under way: long ones, soon */
	env_sysctl(SENDER, "ipv4/tcp_tso_rtt_log", "31");
	env_sysctl(SENDER, "ipv4/tcp_congestion_control", "reno");
}

static const struct ktap_case cases[] = {
	KTAP_CASE(segments_ipv4, .timeout = 40),
	KTAP_CASE(segments_ipv6, .timeout = 40),
	KTAP_CASE(super_packets_ipv4, .timeout = 40),
	KTAP_CASE(super_packets_ipv6, .timeout = 40),
	KTAP_CASE(odd_writes, .timeout = 40),
	KTAP_CASE(longer_than_ipv4, .timeout = 60),
	KTAP_CASE(longer_than_ipv6, .timeout = 60),
	KTAP_CASE(not_longer_than_ip, .timeout = 60),
	KTAP_CASE(no_options, .timeout = 40),
	KTAP_CASE(toggled_mid_stream, .timeout = 40),
	KTAP_CASE(revoked, .timeout = 40),
	KTAP_CASE(unbound, .timeout = 40),
	KTAP_CASE(closed, .timeout = 40, .dirty = true),
	KTAP_CASE(ping_pong, .timeout = 40),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
