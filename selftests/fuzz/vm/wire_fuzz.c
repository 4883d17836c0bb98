// SPDX-License-Identifier: GPL-2.0
/*
 * A connection that is attached, and a peer that sends it everything there is,
 * see wire_mutant.h. What is delivered must be the stream, what is held must
 * stay as it is, what is sent properly must arrive, and the stream of a
 * neighbour on the same binding must not notice. Must not know what a frame looks
 * like.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common.h"
#include "chance.h"
#include "common_nic.h"
#include "common_wire.h"
#include "wire_mutant.h"

#define PACKETS		10000		/* if nobody says */
#define ROUND		10000		/* packets of a connection */
#define STREAM		(4U << 20)
#define BUFFER		(16U << 20)
#define HELD_MAX	(1U << 20)	/* bytes */
#define SEGMENTS	32		/* at most, of what is sent properly at once */
#define NEIGHBOUR	16		/* rounds that a neighbour lives for */

#define PEER4	"10.9.0.66"
#define PEER6	"fd09::66"

static struct bound b;
static struct peer peer;
static struct rx rx;
static int packet, vnet, listener;
static uint8_t stream[STREAM];
static uint64_t held;

static void read_mac(enum side side, uint8_t *mac)
{
	struct ifreq ifr = {};
	int fd;

	env_enter(side);
	fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	strcpy(ifr.ifr_name, DEV_NAME(side));
	must(ioctl(fd, SIOCGIFHWADDR, &ifr));
	memcpy(mac, ifr.ifr_hwaddr.sa_data, 6);
	close(fd);
}

/* Of all that nsd1 sees its packet socket takes in what has ACK and SYN at the
 * place that they have without IP options.
 */
static int packet_open(uint16_t protocol, int has_vnet)
{
	static struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETHERTYPE_IP, 2, 0),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 14 + 40 + 13),
		BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 14 + 20 + 13),
		BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x12, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 2048),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = { ARRAY_SIZE(filter), filter };
	struct sockaddr_ll ll = { .sll_family = AF_PACKET, .sll_protocol = htons(protocol) };
	int fd, one = 1, big = 1 << 20;

	fd = must(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
	ll.sll_ifindex = (int)if_nametoindex(DEV_NAME(SENDER));
	must(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)));
	must(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)));
	must(setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big)));
	if (has_vnet)
		must(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)));
	must(bind(fd, (void *)&ll, sizeof(ll)));
	return fd;
}

static void open_peer(void)
{
	read_mac(RECEIVER, peer.mac[1]);
	read_mac(SENDER, peer.mac[0]);
	env_enter(SENDER);
	packet = packet_open(ETH_P_ALL, 0);
	vnet = packet_open(0, 1);
	must_cmd("ip link set nsd1 mtu 1900");
	env_enter(RECEIVER);
	must_cmd("ip neigh replace " PEER4 " lladdr %02x:%02x:%02x:%02x:%02x:%02x dev nsd0 nud permanent",
		 peer.mac[0][0], peer.mac[0][1], peer.mac[0][2], peer.mac[0][3],
		 peer.mac[0][4], peer.mac[0][5]);
	must_cmd("ip neigh replace " PEER6 " lladdr %02x:%02x:%02x:%02x:%02x:%02x dev nsd0 nud permanent",
		 peer.mac[0][0], peer.mac[0][1], peer.mac[0][2], peer.mac[0][3],
		 peer.mac[0][4], peer.mac[0][5]);
	frames_to(packet, vnet);
}

static void listen_anew(void)
{
	static const int sizes[] = { 0, 0, 0, 20000, 100000, 4 << 20 };
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int size = rnd_of(sizes);

	listener = must(socket(peer.family, SOCK_STREAM | SOCK_CLOEXEC, 0));
	if (size)
		must(setsockopt(listener, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)));
	must(bind(listener, (void *)&ss, side_addr(&ss, RECEIVER, peer.family, 0)));
	must(listen(listener, 8));
	must(getsockname(listener, (void *)&ss, &len));
	peer.dport = ((struct sockaddr_in *)&ss)->sin_port;	/* sin6_port is there, too */
}

/* The SYN-ACK: what the receiver begins with, and whether it knows the time. */
static bool syn_ack(uint8_t *tcp, size_t size)
{
	struct pollfd pfd = { .fd = packet, .events = POLLIN };
	uint8_t frame[2048];
	size_t at;
	ssize_t n;

	while (poll(&pfd, 1, patient(1000)) == 1) {
		n = recv(packet, frame, sizeof(frame), MSG_DONTWAIT);
		at = 14 + (peer.family == AF_INET ? 20 : 40);
		if (n < (ssize_t)(at + 20) || memcmp(frame + at, &peer.dport, 2) ||
		    memcmp(frame + at + 2, &peer.sport, 2))
			continue;
		n -= (ssize_t)at;
		memcpy(tcp, frame + at, (size_t)n < size ? (size_t)n : size);
		return true;
	}
	return false;
}

static int connect_anew(void)
{
	struct pollfd pfd;
	uint8_t tcp[60];
	uint32_t seq;
	int tries = 5, fd;

	peer.sport = htons((uint16_t)(1024 + rnd(60000)));
	peer.isn = rnd(2) ? rnd32() : -rnd(100000);
	peer.ack = 0;
	peer.ts = rnd(2);
	peer.ts_val = rnd(2) ? rnd32() : -rnd(1000);
	peer.ts_ecr = 0;
	peer.edge = 0;
	peer.end = STREAM - 65536;
	peer.killed = false;
	do {
		frame_plain(&peer, 0, 0, TCP_SYN);
		frames_flush();
		if (!--tries)
			fail("no SYN-ACK");
	} while (!syn_ack(tcp, sizeof(tcp)));
	memcpy(&seq, tcp + 4, 4);
	peer.ack = ntohl(seq) + 1;
	if (peer.ts)
		memcpy(&peer.ts_ecr, tcp + 20 + 4, 4);	/* near enough to be ignored */
	frame_plain(&peer, 0, 0, TCP_ACK);
	frames_flush();
	pfd = (struct pollfd){ .fd = listener, .events = POLLIN };
	check_eq(poll(&pfd, 1, patient(3000)), 1);
	fd = must(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	close(listener);
	return fd;
}

/* ---- the reader --------------------------------------------------------- */

static void give_back(void)
{
	rx_check_held(&rx);
	rx_return(&rx);
	held = 0;
}

/* Read what there is. False: the stream has ended. */
static bool take_in(void)
{
	uint64_t placed;
	ssize_t n;

	for (;;) {
		rx.linear_size = 1 + rnd_size(RX_LINEAR - 1);
		rx.control_size = (1 + rnd_size(RX_PIECES - 1)) *
				  CMSG_SPACE(sizeof(struct devmem_cmsg));
		if (once_in(8))
			rx_recv(&rx, MSG_DONTWAIT | MSG_PEEK);
		placed = rx.placed;
		n = rx_recv(&rx, MSG_DONTWAIT);
		if (n == -EAGAIN)
			break;
		if (n <= 0 && peer.killed)
			return false;
		if (n <= 0)
			fail("at byte %llu: %s", (unsigned long long)rx.pos,
			     n ? strerror((int)-n) : "the stream ends");
		held += rx.placed - placed;
		if (held > HELD_MAX || once_in(16))
			give_back();
	}
	peer.edge = (uint32_t)rx.pos;
	return true;
}

/* A few segments of the stream, in any order, some twice. */
static void send_stream(uint32_t from, uint32_t len)
{
	uint32_t size = len / SEGMENTS + 1 + rnd_size(WIRE_MSS - len / SEGMENTS - 1);
	uint32_t nr = (len + size - 1) / size, i, at, k;
	bool backwards = once_in(3);

	for (i = 0; i < nr; i++) {
		k = backwards ? nr - 1 - i : i;
		at = k * size;
		frame_plain(&peer, from + at, len - at < size ? len - at : size,
			    (uint8_t)(TCP_ACK | (rnd(2) ? TCP_PSH : 0)));
		if (once_in(16))
			frame_mutant(&peer, false);
	}
}

/* What is sent properly arrives, whatever came before it. */
static bool goes_on(uint32_t len)
{
	uint32_t goal = peer.edge + len;
	long long until = now_ms() + patient(10000);

	if (goal > peer.end)
		goal = peer.end;
	while (peer.edge < goal) {
		struct pollfd pfd = { .fd = rx.sock, .events = POLLIN };

		if (now_ms() > until)
			fail("nothing arrives any more at byte %u", peer.edge);
		send_stream(peer.edge, goal - peer.edge < 2000 ? goal - peer.edge :
			    2000 + rnd(goal - peer.edge - 2000 + 1));
		frames_flush();
		poll(&pfd, 1, 20 * slow());
		if (!take_in())
			return false;
	}
	return true;
}

/* ---- rounds ------------------------------------------------------------- */

static void set_features(void)
{
	static bool csum = true, gro = true;
	bool want;

	want = rnd(8);
	if (want != csum)
		nic_feature("rx-checksum", want);
	csum = want;
	want = rnd(4);
	if (want != gro)
		nic_feature("rx-gro-hw", want);
	gro = want;
}

static void one_round(void)
{
	uint64_t n = 0;
	uint32_t burst;
	int on = (int)rnd(2);

	peer.family = rnd(3) ? AF_INET : AF_INET6;
	must(inet_pton(peer.family, peer.family == AF_INET ? PEER4 : PEER6, peer.addr[0]));
	must(inet_pton(peer.family, peer.family == AF_INET ? ADDR4(RECEIVER) : ADDR6(RECEIVER),
		       peer.addr[1]));
	must(setsockopt(packet, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof(on)));
	listen_anew();
	rx_init(&rx, connect_anew(), &b, fuzz_round());
	devmem_pattern_fill(stream, STREAM, 0, fuzz_round());
	peer.stream = stream;
	peer.size = STREAM;
	held = 0;
	attach(rx.sock, &b);
	while (n < ROUND && peer.edge < peer.end) {
		uint64_t more;

		for (burst = rnd_size(3000); burst; burst--) {
			frame_mutant(&peer, once_in(5000));
			if (once_in(100))
				frame_super(&peer);
		}
		frames_flush();
		if (!take_in() || !goes_on(rnd_size(8000)))
			break;
		more = frames_sent();
		fuzz_count(more);
		n += more;
	}
	give_back();
	rx_check_info(&rx);
	close(rx.sock);
	rx_free(&rx);
}

static void streams(void)
{
	struct neighbour near = { .host = true };	/* where checksums are not verified */
	unsigned int left = 0;

	fuzz_begin("wire", PACKETS);
	bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, 65536);
	open_peer();
	while (fuzz_next()) {
		set_features();
		if (!left--) {
			neighbour_start(&near, &b);
			left = NEIGHBOUR - 1;
		}
		one_round();
		if (!left)
			neighbour_stop(&near);
	}
	if (left)
		neighbour_stop(&near);
}

static void setup(void)
{
	env_setup(8);
}

static struct ktap_case cases[] = {
	KTAP_CASE(streams, .timeout = 60),
};

int main(int argc, char **argv)
{
	return fuzz_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
