// SPDX-License-Identifier: GPL-2.0
/*
 * Those who listen in: packet taps on the receiving interface, a mirror, filters
 * on the socket. That they see no byte of what was placed, take nothing away,
 * and bring nobody down. Must not know of tokens or control messages.
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/mman.h>

#include "common.h"

#define SEED		0x7a9
#define BYTES		(2U << 20)
#define FRAME		(1U << 17)	/* holds a super-packet */
#define FRAMES		32U
#define PACKET_MAX	(256U << 10)	/* several super-packets may come as one */

static struct bound b;
static struct conn c;
static struct rx rx;

static void open_stream(int family)
{
	bind_buffer(&b, DEVMEM_BUF_HEAP, 8 << 20, 0);
	connect_pair(&c, family);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
}

/* A tap sees everything from before the first byte of the stream on. */
static int open_tap(const char *dev)
{
	struct sockaddr_ll ll = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = (int)if_nametoindex(dev),
	};
	int fd = must(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
	int room = 64 << 20;	/* for all of a stream, should nobody read meanwhile */

	check_cmp(ll.sll_ifindex, >, 0);
	must(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)));
	must(bind(fd, (struct sockaddr *)&ll, sizeof(ll)));
	return fd;
}

/* Where the TCP payload of a packet begins and ends, by its headers. False: it
 * has none, or is not TCP. @len bytes of it are known. One that is too long for
 * the length field of IP has 0 there; with IPv6 an option may follow that tells.
 */
static bool payload(const unsigned char *p, size_t len, size_t *begin, size_t *end)
{
	const struct ethhdr *eth = (const struct ethhdr *)p;
	const struct iphdr *ip = (const void *)(eth + 1);
	const struct ip6_hdr *ip6 = (const void *)(eth + 1);
	size_t off = sizeof(*eth);

	if (len >= off + sizeof(*ip) && eth->h_proto == htons(ETH_P_IP)) {
		if (ip->protocol != IPPROTO_TCP)
			return false;
		*end = off + (ip->tot_len ? ntohs(ip->tot_len) : len);
		off += ip->ihl * 4U;
	} else if (len >= off + sizeof(*ip6) + 8 && eth->h_proto == htons(ETH_P_IPV6)) {
		bool jumbo = !ip6->ip6_plen && ip6->ip6_nxt == IPPROTO_HOPOPTS &&
			     p[off + sizeof(*ip6)] == IPPROTO_TCP;

		if (ip6->ip6_nxt != IPPROTO_TCP && !jumbo)
			return false;
		off += sizeof(*ip6);
		*end = ip6->ip6_plen ? off + ntohs(ip6->ip6_plen) : len;
		off += jumbo ? 8 : 0;
	} else {
		return false;
	}
	if (len < off + sizeof(struct tcphdr))
		return false;
	*begin = off + ((const struct tcphdr *)(p + off))->doff * 4U;
	return *begin < *end;
}

/* What a tap has of payload must be nothing, or zeroes; else it is counted in
 * @readable. Returns whether the packet had some on the wire.
 */
static bool sees_nothing(const unsigned char *p, size_t len, unsigned int *readable)
{
	size_t i, end;

	if (!payload(p, len, &i, &end))
		return false;
	while (i < len && !p[i])
		i++;
	*readable += i < len;
	return true;
}

/* Payload that could be read in @packets of them: what came again, in host memory. */
static void only_what_came_again(unsigned int packets)
{
	struct devmem_bind_info info;
	struct devmem_nl *nl;

	must(devmem_nl_open(&nl, 0));
	must(devmem_bind_get(nl, b.res.id, &info, 0));
	if (packets > info.stats.fallback_packets)
		fail("the tap sees payload in %u packets, %llu came again", packets,
		     (unsigned long long)info.stats.fallback_packets);
	devmem_nl_close(nl);
}

static int stop_fd;		/* closed when the stream is over */

/* Reads the tap in a helper while the stream runs, and then what is left there.
 * Gets at least @frames, @packets of which with payload.
 */
static pid_t watch(int tap, unsigned int frames, unsigned int packets)
{
	static unsigned char buf[FRAME];
	unsigned int got = 0, seen = 0, readable = 0;
	struct pollfd pfd[2];
	int stop[2];
	ssize_t n;
	pid_t pid;

	must(pipe2(stop, O_CLOEXEC));
	pid = test_fork();
	if (pid) {
		close(stop[0]);
		stop_fd = stop[1];
		return pid;
	}
	close(stop[1]);
	close(c.rx);
	close(c.tx);
	pfd[0] = (struct pollfd){ .fd = tap, .events = POLLIN };
	pfd[1] = (struct pollfd){ .fd = stop[0] };
	for (;;) {
		must(poll(pfd, 2, -1));
		n = recv(tap, buf, sizeof(buf), MSG_DONTWAIT);
		if (n < 0 && errno == EAGAIN) {
			if (pfd[1].revents)
				break;
			continue;
		}
		/* it may not be copied, and says so */
		if (n < 0)
			check_eq(errno, EFAULT);
		got++;
		seen += n < 0 || sees_nothing(buf, (size_t)n, &readable);
	}
	only_what_came_again(readable);
	if (got < frames || seen < packets)
		fail("the tap got %u packets, %u with payload, should be %u and %u",
		     got, seen, frames, packets);
	_exit(0);
}

/* The stream is over: all of it has passed the tap. */
static void watched(pid_t pid)
{
	close(stop_fd);
	test_join(pid);
}

static void stream(size_t size)
{
	pid_t pid = send_start(&c, BYTES, SEED, size, SEND_SHUTDOWN);

	rx_all(&rx, BYTES);
	rx_eof(&rx);
	test_join(pid);
	rx_check_placed(&rx, BYTES);
	rx_check_info(&rx);
}

static void tap_ipv4(void)
{
	pid_t pid;

	open_stream(AF_INET);
	pid = watch(open_tap("nsd0"), BYTES / PACKET_MAX, BYTES / PACKET_MAX);
	stream(20000);
	watched(pid);
}

static void restore_gro(void *arg)
{
	(void)arg;
	cmd("ethtool -K nsd0 gro on rx-gro-hw on");
}

/* Without GRO nothing comes up that is larger than the MTU. */
static void tap_ipv6_single_segments(void)
{
	pid_t pid;

	defer(restore_gro, NULL);
	must_cmd("ethtool -K nsd0 gro off rx-gro-hw off");
	open_stream(AF_INET6);
	pid = watch(open_tap("nsd0"), BYTES / 1500, BYTES / 1500);
	stream(1000);
	watched(pid);
}

/* A tap whose packets the kernel writes to a shared ring. */
static void tap_ring(void)
{
	struct tpacket_req req = {
		.tp_block_size = FRAME, .tp_block_nr = FRAMES,
		.tp_frame_size = FRAME, .tp_frame_nr = FRAMES,
	};
	int version = TPACKET_V2, one = 1, tap;
	const struct tpacket2_hdr *hdr;
	unsigned int i, seen = 0, readable = 0;
	unsigned char *ring;

	open_stream(AF_INET);
	tap = open_tap("nsd0");
	/* nobody empties it: acknowledgments would take the room */
	must(setsockopt(tap, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)));
	must(setsockopt(tap, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)));
	must(setsockopt(tap, SOL_PACKET, PACKET_RX_RING, &req, sizeof(req)));
	ring = mmap(NULL, (size_t)FRAME * FRAMES, PROT_READ | PROT_WRITE,
		    MAP_SHARED, tap, 0);
	check(ring != MAP_FAILED);
	/* for 6.12's User Mode Linux, which loses count of pages that a fork shares */
	must(madvise(ring, (size_t)FRAME * FRAMES, MADV_DONTFORK));
	stream(20000);
	for (i = 0; i < FRAMES; i++) {
		hdr = (const void *)(ring + (size_t)i * FRAME);
		if (hdr->tp_status & TP_STATUS_USER)
			seen += sees_nothing((const unsigned char *)hdr + hdr->tp_mac,
					     hdr->tp_snaplen, &readable);
	}
	only_what_came_again(readable);
	check_cmp(seen, >, 5);
}

/* Nobody reads the tap: what it holds is out of circulation, no more. */
static void tap_that_nobody_reads(void)
{
	struct devmem_bind_info info;
	int tap;

	open_stream(AF_INET);
	tap = open_tap("nsd0");
	stream(20000);
	close(tap);
	disconnect_pair(&c);
	check(within(1000, (unpark(), bound_info(&b, &info), info.chunks_free == info.chunks)));
}

/* Taps come and go. */
static void tap_opened_mid_stream(void)
{
	pid_t pid;
	int tap;

	open_stream(AF_INET6);
	pid = send_start(&c, BYTES, SEED, 4000, SEND_SHUTDOWN);
	while (rx.bytes < BYTES) {
		tap = open_tap("nsd0");
		rx_all(&rx, BYTES - rx.bytes < 100000 ? BYTES - rx.bytes : 100000);
		close(tap);
	}
	rx_eof(&rx);
	test_join(pid);
	rx_check_placed(&rx, BYTES);
}

static void remove_mirror(void *arg)
{
	(void)arg;
	cmd("tc qdisc del dev nsd0 clsact");
	cmd("ip link delete mirror0");
}

/* What comes in shall go out through another device as well. What cannot be
 * read cannot, and the stream does not mind.
 */
static void mirrored(void)
{
	pid_t pid;
	int tap;

	defer(remove_mirror, NULL);
	must_cmd("ip link add mirror0 type dummy");
	must_cmd("ip link set mirror0 up");
	must_cmd("tc qdisc add dev nsd0 clsact");
	must_cmd("tc filter add dev nsd0 ingress protocol all u32 match u32 0 0 action mirred egress mirror dev mirror0");
	/* of this stream, only the handshake is sure to have no payload */
	tap = open_tap("mirror0");
	open_stream(AF_INET);
	pid = watch(tap, 2, 0);
	stream(20000);
	watched(pid);
}

static void filter_socket(struct sock_filter *code, unsigned short len)
{
	struct sock_fprog prog = { .len = len, .filter = code };

	must(setsockopt(c.rx, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)));
}

/* A packet that is cut keeps its FIN, which TCP then takes to be right behind
 * what is left: no filter at the end of the stream.
 */
static void unfiltered_end(void)
{
	int unused = 0;

	must(setsockopt(c.rx, SOL_SOCKET, SO_DETACH_FILTER, &unused, sizeof(unused)));
	must(shutdown(c.tx, SHUT_WR));
	rx_eof(&rx);
}

/* A classic filter may cut packets; TCP takes what is left and asks for the rest
 * again, which comes in host memory.
 */
static void filter_that_truncates(void)
{
	struct sock_filter code[] = { { BPF_RET | BPF_K, 0, 0, 1000 } };
	const uint64_t bytes = 20000;
	pid_t pid;

	open_stream(AF_INET);
	filter_socket(code, ARRAY_SIZE(code));
	pid = send_start(&c, bytes, SEED, 1448, 0);
	rx_all(&rx, bytes);
	test_join(pid);
	unfiltered_end();
	check_cmp(rx.placed, >, 0);
	check_cmp(rx.host, >, 0);
	rx_check_info(&rx);
}

/* Drops some, cuts some anywhere, lets some through. */
static void filter_at_random(void)
{
	struct sock_filter code[] = {
		{ BPF_LD | BPF_W | BPF_ABS, 0, 0, (__u32)SKF_AD_OFF + SKF_AD_RANDOM },
		{ BPF_ALU | BPF_AND | BPF_K, 0, 0, 0x1fff },
		{ BPF_RET | BPF_A, 0, 0, 0 },
	};
	const uint64_t bytes = 400000;
	pid_t pid, taps;

	open_stream(AF_INET6);
	filter_socket(code, ARRAY_SIZE(code));
	taps = watch(open_tap("nsd0"), bytes / PACKET_MAX, bytes / PACKET_MAX);
	pid = send_start(&c, bytes, SEED, 3000, 0);
	rx_all(&rx, bytes);
	test_join(pid);
	watched(taps);
	unfiltered_end();
	check_cmp(rx.placed, >, 0);
	rx_check_info(&rx);
}

static void setup(void)
{
	env_setup(4);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(tap_ipv4),
	KTAP_CASE(tap_ipv6_single_segments),
	KTAP_CASE(tap_ring),
	KTAP_CASE(tap_that_nobody_reads),
	KTAP_CASE(tap_opened_mid_stream),
	KTAP_CASE(mirrored),
	KTAP_CASE(filter_that_truncates),
	KTAP_CASE(filter_at_random, .timeout = 30),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
