// SPDX-License-Identifier: GPL-2.0
/*
 * Segments of all sizes into chunks of all sizes: that every byte is placed,
 * lies where the kernel says, and comes in as few pieces as it can. Must not
 * know of a bad network or of unusual ways to receive.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"

#define SEED		0x5e9
#define BUFFER		(16U << 20)	/* more than a receive queue holds */
#define WRITES		48

/* Around 1, MSS with timestamps (IPv6 1428, IPv4 1448), pages, the largest
 * super-packet and beyond.
 */
static const size_t sizes[] = {
	1, 2, 3, 7, 63, 64, 65, 100, 535, 536, 537, 1427, 1428, 1429, 1447,
	1448, 1449, 1460, 2895, 2896, 2897, 4095, 4096, 4097, 8191, 8193,
	12289, 16384, 32767, 32769, 65483, 65535, 65536,
};

static struct bound b;
static struct conn c;
static struct rx rx;

static void open_with(const struct conn_opts *opts, enum devmem_buf_kind kind,
		      uint32_t chunk)
{
	bind_buffer(&b, kind, BUFFER, chunk);
	connect_with(&c, opts);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
}

static void open_stream(int family, enum devmem_buf_kind kind, uint32_t chunk)
{
	struct conn_opts opts = { .family = family };

	open_with(&opts, kind, chunk);
}

/* The stream was received to its end: nothing went another way, but for the first
 * segment after a change of routes, such as IPv6 makes when a link has come up.
 */
static void all_placed(uint64_t bytes)
{
	struct devmem_bind_info info;
	struct devmem_info sock;

	rx_eof(&rx);
	/* the same, unless something comes once more just now */
	check(within(1000, (sock = rx_check_info(&rx), bound_info(&b, &info),
			    info.stats.placed_bytes == sock.placed_bytes)));
	check_eq(rx.bytes, bytes);
	check_cmp(info.stats.fallback_route, <=, 2);
	check_eq(info.stats.fallback_packets,
		 info.stats.fallback_route + info.stats.fallback_again);
	if (!info.stats.fallback_packets) {
		rx_check_placed(&rx, bytes);
		check_eq(sock.fallback_bytes, 0);
	}
	check_cmp(sock.placed_bytes, >=, rx.placed);	/* the peer may retransmit */
}

/* @writes of each of @sizes, one after the other, from a helper. */
static pid_t send_sizes(const size_t *list, size_t nr, unsigned int writes,
			uint64_t *total)
{
	uint64_t pos = 0;
	size_t i;
	pid_t pid;

	for (i = 0, *total = 0; i < nr; i++)
		*total += list[i] * writes;

	pid = test_fork();
	if (pid)
		return pid;
	for (i = 0; i < nr; i++) {
		send_pattern(c.tx, list[i] * writes, pos, SEED, list[i]);
		pos += list[i] * writes;
	}
	must(shutdown(c.tx, SHUT_WR));
	_exit(0);
}

static void stream_sizes(int family, enum devmem_buf_kind kind, uint32_t chunk)
{
	uint64_t total;
	pid_t pid;

	open_stream(family, kind, chunk);
	pid = send_sizes(sizes, ARRAY_SIZE(sizes), WRITES, &total);
	rx_all(&rx, total);
	test_join(pid);
	all_placed(total);
}

static void ipv4_chunks_of_4k(void)
{
	stream_sizes(AF_INET, DEVMEM_BUF_UDMABUF, 4096);
}

static void ipv4_chunks_of_64k(void)
{
	stream_sizes(AF_INET, DEVMEM_BUF_HEAP, 65536);
}

static void ipv4_chunks_of_2m(void)
{
	need_hugetlb();
	stream_sizes(AF_INET, DEVMEM_BUF_HUGETLB, 2 << 20);
}

static void ipv6_chunks_of_4k(void)
{
	stream_sizes(AF_INET6, DEVMEM_BUF_HEAP, 4096);
}

static void ipv6_chunks_of_64k(void)
{
	stream_sizes(AF_INET6, DEVMEM_BUF_GPU, 65536);
}

static void ipv6_chunks_of_2m(void)
{
	stream_sizes(AF_INET6, DEVMEM_BUF_GPU, 2 << 20);
}

/* Each size once: 1 .. 2000, then in steps of a prime up to 65536. */
static void every_size(void)
{
	static size_t list[2200];
	size_t n = 0, size;
	uint64_t total;
	pid_t pid;

	for (size = 1; size <= 2000; size++)
		list[n++] = size;
	for (; size < 65536; size += 509)
		list[n++] = size;
	list[n++] = 65536;
	check_cmp(n, <=, ARRAY_SIZE(list));

	open_stream(AF_INET, DEVMEM_BUF_UDMABUF, 4096);
	pid = send_sizes(list, n, 1, &total);
	rx_all(&rx, total);
	test_join(pid);
	all_placed(total);
}

/* One byte for each packet. */
static void bytes_one_by_one(void)
{
	const uint64_t total = 10000;
	pid_t pid;

	open_stream(AF_INET, DEVMEM_BUF_HEAP, 4096);
	pid = send_start(&c, total, SEED, 1, SEND_SHUTDOWN);
	rx_all(&rx, total);
	test_join(pid);
	all_placed(total);
}

/* What lies next to each other in a chunk is one piece with one token, however
 * many packets it came in; a chunk's end is a piece's end.
 */
static void neighbours_are_one_piece(void)
{
	struct conn_opts opts = { .family = AF_INET, .rcvbuf = 2 << 20 };
	const uint64_t total = 3 * 65536 + 1000;
	unsigned int i;

	open_with(&opts, DEVMEM_BUF_HEAP, 65536);
	send_pattern(c.tx, total, 0, SEED, 1000);
	rx_queued(&rx, total);
	check_eq(rx_recv(&rx, 0), total);
	check_eq(rx.nr_last, 4);
	for (i = 0; i < 4; i++) {
		check_eq(rx.last[i].size, i < 3 ? 65536 : 1000);
		check_eq(rx.last[i].off % 65536, 0);
	}

	/* goes on where the last packet ended */
	send_pattern(c.tx, 500, total, SEED, 50);
	rx_queued(&rx, 500);
	check_eq(rx_recv(&rx, 0), 500);
	check_eq(rx.nr_last, 1);
	check_eq(rx.last[0].off, rx.held[3].off + 1000);
	check_eq(rx.nr_held, 5);
	rx_check_held(&rx);
	rx_return(&rx);
	rx_check_info(&rx);
}

/* Two flows of one binding take turns: neither cuts the other's pieces. */
static void flows_do_not_cut_each_other(void)
{
	struct conn other;
	struct rx rx2;
	unsigned int i;

	open_stream(AF_INET, DEVMEM_BUF_HEAP, 65536);
	connect_pair(&other, AF_INET6);
	attach(other.rx, &b);
	rx_init(&rx2, other.rx, &b, SEED + 1);
	for (i = 0; i < 100; i++) {
		send_pattern(c.tx, 333, i * 333, SEED, 333);
		send_pattern(other.tx, 77, i * 77, SEED + 1, 77);
	}
	rx_queued(&rx, 33300);
	rx_queued(&rx2, 7700);
	check_eq(rx_recv(&rx, 0), 33300);
	check_eq(rx_recv(&rx2, 0), 7700);
	check_eq(rx.nr_last, 1);
	check_eq(rx2.nr_last, 1);
	check(rx.last[0].off / 65536 != rx2.last[0].off / 65536);
	rx_return(&rx);
	rx_return(&rx2);
}

static void restore_mtu(void *arg)
{
	(void)arg;
	cmd("ip -n devmem-a link set nsd0 mtu 1500");
	cmd("ip -n devmem-b link set nsd1 mtu 1500");
	/* an MTU below 1280 has taken them away */
	cmd("ip -n devmem-a addr replace fd09::1/64 dev nsd0 nodad");
	cmd("ip -n devmem-b addr replace fd09::2/64 dev nsd1 nodad");
	env_patient();
}

static void stream_mtu(unsigned int mtu, uint32_t chunk)
{
	const uint64_t total = mtu < 1000 ? 300000 : 2 << 20;
	pid_t pid;

	must_cmd("ip -n devmem-a link set nsd0 mtu %u", mtu);
	must_cmd("ip -n devmem-b link set nsd1 mtu %u", mtu);
	open_stream(AF_INET, DEVMEM_BUF_HEAP, chunk);
	pid = send_start(&c, total, SEED, 100001, SEND_SHUTDOWN);
	rx_all(&rx, total);
	test_join(pid);
	all_placed(total);
	rx_free(&rx);
	disconnect_pair(&c);
	free_bound(&b);
}

/* Both with packets as small as the MTU and with super-packets of them. */
static void mtus(void)
{
	static const unsigned int mtu[] = { 256, 1499, 9000, 65535 };
	unsigned int i;

	defer(restore_mtu, NULL);
	for (i = 0; i < ARRAY_SIZE(mtu); i++) {
		stream_mtu(mtu[i], 4096);
		stream_mtu(mtu[i], 65536);
	}
}

static void restore_tso(void *arg)
{
	(void)arg;
	cmd("ip netns exec devmem-b ethtool -K nsd1 tso on gso on");
}

/* No super-packets: each segment comes for itself. */
static void without_tso(void)
{
	const uint64_t total = 3 << 20;
	pid_t pid;

	defer(restore_tso, NULL);
	must_cmd("ip netns exec devmem-b ethtool -K nsd1 tso off gso off");
	open_stream(AF_INET6, DEVMEM_BUF_UDMABUF, 4096);
	pid = send_start(&c, total, SEED, 65536, SEND_SHUTDOWN);
	rx_all(&rx, total);
	test_join(pid);
	all_placed(total);
}

static void stream_once(int family)
{
	const uint64_t total = 2 << 20;
	pid_t pid;

	open_stream(family, DEVMEM_BUF_HEAP, 65536);
	pid = send_start(&c, total, SEED, 8191, SEND_SHUTDOWN);
	rx_all(&rx, total);
	test_join(pid);
	all_placed(total);
	rx_free(&rx);
	disconnect_pair(&c);
	free_bound(&b);
}

static void restore_options(void *arg)
{
	(void)arg;
	env_sysctl(SENDER, "ipv4/tcp_timestamps", "1");
	env_sysctl(SENDER, "ipv4/tcp_sack", "1");
}

/* The shortest headers. */
static void without_tcp_options(void)
{
	defer(restore_options, NULL);
	env_sysctl(SENDER, "ipv4/tcp_timestamps", "0");
	env_sysctl(SENDER, "ipv4/tcp_sack", "0");
	stream_once(AF_INET);
	stream_once(AF_INET6);
}

static void set_path_up(const char *rps, const char *threaded, const char *gro)
{
	static const char * const queues[] = {
		"queues/rx-0/rps_cpus", "queues/rx-1/rps_cpus",
		"queues/rx-2/rps_cpus", "queues/rx-3/rps_cpus",
	};
	unsigned int i;

	/* a kernel for one CPU has no RPS */
	for (i = 0; i < ARRAY_SIZE(queues) && !access("/proc/sys/net/core/rps_sock_flow_entries", F_OK); i++)
		check_eq(env_sysfs_write(RECEIVER, queues[i], rps), 0);
	check_eq(env_sysfs_write(RECEIVER, "threaded", threaded), 0);
	must_cmd("ip netns exec devmem-a ethtool -K nsd0 gro %s", gro);
}

static void restore_path_up(void *arg)
{
	(void)arg;
	set_path_up("0", "0", "on");
}

/* Other ways from the device to the socket: by way of another CPU, from a
 * thread, without GRO.
 */
static void ways_up(void)
{
	defer(restore_path_up, NULL);
	set_path_up("2", "0", "on");
	stream_once(AF_INET);
	set_path_up("3", "1", "on");
	stream_once(AF_INET6);
	set_path_up("0", "1", "off");
	stream_once(AF_INET);
}

/* Segments of the size that the receiver asked for, mostly odd ones. */
static void small_mss(void)
{
	static const int mss[] = { 88, 537, 1337 };
	const uint64_t total = 200000;
	struct conn_opts opts = { .family = AF_INET };
	unsigned int i;
	pid_t pid;

	bind_buffer(&b, DEVMEM_BUF_UDMABUF, BUFFER, 4096);
	for (i = 0; i < ARRAY_SIZE(mss); i++) {
		opts.mss = mss[i];
		connect_with(&c, &opts);
		attach(c.rx, &b);
		rx_init(&rx, c.rx, &b, SEED + i);
		pid = send_start(&c, total, SEED + i, 10007, SEND_SHUTDOWN);
		rx_all(&rx, total);
		test_join(pid);
		rx_eof(&rx);
		rx_check_placed(&rx, total);
		rx_check_info(&rx);
		rx_free(&rx);
		disconnect_pair(&c);
	}
}

/* The side that has connected can be the receiver as well, from the first moment
 * on. TCP may learn the way in with the first data; that goes to host memory.
 */
static void the_client_receives(void)
{
	struct conn_opts opts = { .family = AF_INET6, .reverse = true };
	const uint64_t total = 1 << 20;
	pid_t pid;

	bind_buffer(&b, DEVMEM_BUF_HEAP, BUFFER, 0);
	connect_with(&c, &opts);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
	pid = send_start(&c, total, SEED, 30001, SEND_SHUTDOWN);
	rx_all(&rx, total);
	test_join(pid);
	rx_eof(&rx);
	rx_check_info(&rx);
	check_cmp(rx.placed, >, total / 2);
}

/* A dual-stack socket's IPv4 connection. */
static void mapped_address(void)
{
	const uint64_t total = 1 << 20;
	struct sockaddr_in6 any = { .sin6_family = AF_INET6 };
	struct sockaddr_storage ss;
	socklen_t len = sizeof(any);
	int listener;
	pid_t pid;

	bind_buffer(&b, DEVMEM_BUF_HEAP, BUFFER, 0);
	listener = must(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
	must(bind(listener, (struct sockaddr *)&any, sizeof(any)));
	must(listen(listener, 1));
	must(getsockname(listener, (struct sockaddr *)&any, &len));
	env_enter(SENDER);
	c.tx = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	env_enter(RECEIVER);
	len = side_addr(&ss, RECEIVER, AF_INET, ntohs(any.sin6_port));
	must(connect(c.tx, (struct sockaddr *)&ss, len));
	c.rx = must(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
	pid = send_start(&c, total, SEED, 9999, SEND_SHUTDOWN);
	rx_all(&rx, total);
	test_join(pid);
	all_placed(total);
}

static void setup(void)
{
	env_setup(4);
	env_patient();
}

static const struct ktap_case cases[] = {
	KTAP_CASE(ipv4_chunks_of_4k),
	KTAP_CASE(ipv4_chunks_of_64k),
	KTAP_CASE(ipv4_chunks_of_2m),
	KTAP_CASE(ipv6_chunks_of_4k),
	KTAP_CASE(ipv6_chunks_of_64k),
	KTAP_CASE(ipv6_chunks_of_2m),
	KTAP_CASE(every_size),
	KTAP_CASE(bytes_one_by_one),
	KTAP_CASE(neighbours_are_one_piece),
	KTAP_CASE(flows_do_not_cut_each_other),
	KTAP_CASE(mtus),
	KTAP_CASE(without_tso),
	KTAP_CASE(without_tcp_options),
	KTAP_CASE(ways_up),
	KTAP_CASE(small_mss),
	KTAP_CASE(the_client_receives),
	KTAP_CASE(mapped_address),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
