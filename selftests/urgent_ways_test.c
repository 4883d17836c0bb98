// SPDX-License-Identifier: GPL-2.0
/*
 * The ways by which an urgent pointer gets to TCP where no netfilter hook sees it as
 * one: IPv6 fragments, which are put together behind the hooks; fragments that have
 * waited since before the connection was attached, or was there; a tunnel that hands
 * TCP over by itself. Each time payload follows that is placed, mostly in the same
 * poll. And that sockets are well afterwards. urgent_test has the pointers.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common.h"
#include "common_forge.h"
#include "common_nft.h"

#define SEED	0x0469
#define STEP	6000U		/* the pointers are at most this far ahead */
#define ROUNDS	8
#define HEAD	24		/* of a segment, in its first fragment */

static struct bound b;
static struct conn c;
static struct forge f;
static struct rx rx;

/* NIC with one queue: all that comes at the same time is in one poll. */
static void bind_it(void)
{
	static const uint32_t queue;

	bind_queues(&b, DEVMEM_BUF_GPU, 4 << 20, 65536, &queue, 1);
	must_cmd("ethtool -C nsd0 rx-usecs 5000");
}

static void begin(int family, bool reverse)
{
	struct conn_opts opts = { .family = family, .reverse = reverse };

	bind_it();
	connect_with(&c, &opts);
	forge_open(&f, c.tx);
	rx_init(&rx, c.rx, &b, SEED);
}

static uint32_t segments_in(void)
{
	struct tcp_info ti = {};
	socklen_t len = sizeof(ti);

	must(getsockopt(c.rx, IPPROTO_TCP, TCP_INFO, &ti, &len));
	return ti.tcpi_segs_in;
}

static void not_urgent_here(void)
{
	struct pollfd pfd = { .fd = c.rx, .events = POLLPRI };
	int mark = -1;
	char byte;

	must(poll(&pfd, 1, 0));
	check(!(pfd.revents & POLLPRI));
	check_errno(recv(c.rx, &byte, 1, MSG_OOB), EINVAL);
	must(ioctl(c.rx, SIOCATMARK, &mark));
	check_eq(mark, 0);
}

/* What the pointer points into. SIOCINQ counts all of it. */
static void data_follows(void)
{
	send_pattern(c.tx, STEP, rx.pos, SEED, STEP);
	rx_queued(&rx, STEP);
	not_urgent_here();
	rx_all(&rx, STEP);
	not_urgent_here();
}

static void placed_again(void)
{
	uint64_t before = rx.placed;

	data_follows();
	check_eq(rx.placed - before, STEP);
}

/* @send has the segment. Sometimes TCP is sure to have it before the data. */
static void rounds(void (*send)(const void *tcp))
{
	unsigned char tcp[FORGE_TCP];
	uint32_t before;
	unsigned int i;

	for (i = 0; i < ROUNDS; i++) {
		before = segments_in();
		forge_tcp(&f, tcp, TCP_ACK | TCP_URG, (uint16_t)(i * 517 + 1));
		send(tcp);
		f.id++;
		if (i % 4 == 3)
			check(within(5000, segments_in() > before));
		data_follows();
		check(within(5000, segments_in() > before));
		placed_again();
	}
}

static void way(int family, void (*send)(const void *tcp))
{
	begin(family, false);
	attach(c.rx, &b);
	placed_again();
	rounds(send);
	rx_check_info(&rx);
}

/* ---- the ways ---------------------------------------------------------- */

/* The control. */
static void plainly(const void *tcp)
{
	forge_send(&f, IPPROTO_TCP, tcp, FORGE_TCP);
}

static void in_one_packet_ipv4(void)
{
	way(AF_INET, plainly);
}

static void in_one_packet_ipv6(void)
{
	way(AF_INET6, plainly);
}

static void in_two(const void *tcp)
{
	forge_fragment(&f, IPPROTO_TCP, tcp, 0, HEAD, true);
	forge_fragment(&f, IPPROTO_TCP, tcp, HEAD, FORGE_TCP - HEAD, false);
}

static void in_fragments_ipv4(void)
{
	way(AF_INET, in_two);
}

static void in_fragments_ipv6(void)
{
	way(AF_INET6, in_two);
}

/* All that the first fragment has is options that name more options. */
static unsigned int behind_options(unsigned char *at, const void *tcp)
{
	static const unsigned char options[2][8] = {
		{ IPPROTO_DSTOPTS, 0, 1, 4 }, { IPPROTO_TCP, 0, 1, 4 },
	};

	memcpy(at, options, sizeof(options));
	memcpy(at + sizeof(options), tcp, FORGE_TCP);
	return sizeof(options) + FORGE_TCP;
}

static void hide(const void *tcp)
{
	unsigned char at[16 + FORGE_TCP];
	unsigned int len = behind_options(at, tcp);

	forge_fragment(&f, IPPROTO_DSTOPTS, at, 0, 8, true);
	forge_fragment(&f, IPPROTO_DSTOPTS, at, 8, len - 8, false);
}

static void hidden_in_fragments(void)
{
	way(AF_INET6, hide);
}

static void hide_last_first(const void *tcp)
{
	unsigned char at[16 + FORGE_TCP];
	unsigned int len = behind_options(at, tcp);

	forge_fragment(&f, IPPROTO_DSTOPTS, at, 8, len - 8, false);
	forge_fragment(&f, IPPROTO_DSTOPTS, at, 0, 8, true);
}

static void hidden_in_fragments_last_first(void)
{
	way(AF_INET6, hide_last_first);
}

static void no_fou(void *unused)
{
	(void)unused;
	env_enter(RECEIVER);
	cmd("ip fou del port %d", FORGE_GUE_PORT);
	cmd("ip -6 fou del port %d", FORGE_GUE_PORT);
}

static void in_gue(const void *tcp)
{
	forge_gue(&f, tcp, FORGE_TCP);
}

static void tunnel(int family)
{
	cmd("modprobe -q fou");
	cmd("modprobe -q fou6");
	defer(no_fou, NULL);
	if (cmd("ip %s fou add port %d gue", family == AF_INET ? "-4" : "-6", FORGE_GUE_PORT))
		skip("this kernel has no fou");
	way(family, in_gue);
}

static void in_gue_ipv4(void)
{
	tunnel(AF_INET);
}

static void in_gue_ipv6(void)
{
	tunnel(AF_INET6);
}

/* ---- fragments that wait ----------------------------------------------- */

static void first_fragment(unsigned char *tcp)
{
	uint64_t before = nic_counter(RECEIVER, "rx_packets");

	forge_tcp(&f, tcp, TCP_ACK | TCP_URG, STEP / 2);
	forge_fragment(&f, IPPROTO_TCP, tcp, 0, HEAD, true);
	check(within(5000, nic_counter(RECEIVER, "rx_packets") > before));
}

static void second_fragment(const unsigned char *tcp)
{
	uint32_t before = segments_in();

	forge_fragment(&f, IPPROTO_TCP, tcp, HEAD, FORGE_TCP - HEAD, false);
	f.id++;
	data_follows();
	check(within(5000, segments_in() > before));
	placed_again();
	rounds(plainly);
}

/* Its first half is there before anybody asks for the ULP. */
static void since_before_attach(int family)
{
	unsigned char tcp[FORGE_TCP];

	begin(family, false);
	first_fragment(tcp);
	attach(c.rx, &b);
	second_fragment(tcp);
}

static void since_before_attach_ipv4(void)
{
	since_before_attach(AF_INET);
}

static void since_before_attach_ipv6(void)
{
	since_before_attach(AF_INET6);
}

/* The sender keeps its acknowledgment of the SYN-ACK to itself. Returns the listener. */
static int half_open(int family)
{
	struct sockaddr_storage ss;
	socklen_t len = side_addr(&ss, RECEIVER, family, 0);
	int listener = must(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));

	must(bind(listener, (void *)&ss, len));
	must(listen(listener, 1));
	must(getsockname(listener, (void *)&ss, &len));
	env_enter(SENDER);
	nft_table(family);
	nft_add(family, "chain", "out { type filter hook output priority 0 ; }");
	nft_add(family, "rule", "out tcp flags & (syn | ack) == ack drop");
	c.tx = must(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
	must(connect(c.tx, (void *)&ss, len));
	env_enter(RECEIVER);
	return listener;
}

/* Its first half is there before the connection is. */
static void since_before_the_connection(int family)
{
	unsigned char tcp[FORGE_TCP], ack[FORGE_TCP];
	int listener;

	bind_it();
	listener = half_open(family);
	forge_open(&f, c.tx);
	first_fragment(tcp);
	env_enter(SENDER);
	nft_delete(family);
	env_enter(RECEIVER);
	forge_tcp(&f, ack, TCP_ACK, 0);
	forge_send(&f, IPPROTO_TCP, ack, sizeof(ack));
	c.rx = must(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	rx_init(&rx, c.rx, &b, SEED);
	attach(c.rx, &b);
	second_fragment(tcp);
}

static void since_before_the_connection_ipv4(void)
{
	since_before_the_connection(AF_INET);
}

static void since_before_the_connection_ipv6(void)
{
	since_before_the_connection(AF_INET6);
}

/* ---- sockets ----------------------------------------------------------- */

/* The ULP alone makes urgent data part of the stream, and is no obstacle to attach. */
static void ulp_alone(int family)
{
	unsigned char tcp[FORGE_TCP];
	unsigned int i;
	uint32_t before;

	begin(family, false);
	must(setsockopt(c.rx, IPPROTO_TCP, TCP_ULP, "devmem", 7));
	for (i = 0; i < ROUNDS; i++) {
		before = segments_in();
		forge_tcp(&f, tcp, TCP_ACK | TCP_URG, (uint16_t)(i * 517 + 1));
		if (family == AF_INET6 && i & 1)
			hide(tcp);
		else
			plainly(tcp);
		f.id++;
		check(within(5000, segments_in() > before));
		data_follows();
	}
	check_eq(rx.placed, 0);
	/* one that points to what comes after attach */
	before = segments_in();
	forge_tcp(&f, tcp, TCP_ACK | TCP_URG, STEP / 2);
	plainly(tcp);
	check(within(5000, segments_in() > before));
	attach(c.rx, &b);
	placed_again();
	rounds(plainly);
}

static void ulp_alone_ipv4(void)
{
	ulp_alone(AF_INET);
}

static void ulp_alone_ipv6(void)
{
	ulp_alone(AF_INET6);
}

/* From send(MSG_OOB): the urgent byte has a place in the stream. */
static void from_an_ordinary_sender(void)
{
	static unsigned char buf[STEP];
	unsigned int i;

	begin(AF_INET6, false);
	attach(c.rx, &b);
	for (i = 0; i < ROUNDS; i++) {
		devmem_pattern_fill(buf, STEP, rx.pos, SEED);
		check_eq(send(c.tx, buf, 700 * i + 1, MSG_OOB), 700 * i + 1);
		check_eq(send(c.tx, buf + 700 * i + 1, STEP - 700 * i - 1, 0), STEP - 700 * i - 1);
		rx_queued(&rx, STEP);
		not_urgent_here();
		rx_all(&rx, STEP);
		placed_again();
	}
}

/* Bytes that nobody looks at. */
static void bulk(uint64_t bytes)
{
	static char buf[1 << 20];
	uint64_t left;
	ssize_t n;
	pid_t pid = test_fork();

	if (!pid) {
		for (left = bytes; left; left -= sizeof(buf))
			check_eq(send(c.tx, buf, sizeof(buf), 0), sizeof(buf));
		_exit(0);
	}
	for (left = bytes; left; left -= (uint64_t)n) {
		rx_wait(&rx);
		n = must(recv(c.rx, NULL, left, MSG_TRUNC | MSG_DONTWAIT));
		check_cmp(n, >, 0);
	}
	test_join(pid);
}

/* Sequence numbers are compared with others that are less than 2 GiB away: further than
 * that, wherever TCP believes the urgent byte to be.
 */
static void half_way_around(void)
{
	unsigned int i;

	if (slow() > 1)
		skip("2 GiB take too long here");
	begin(AF_INET, false);
	attach(c.rx, &b);
	must_cmd("ethtool -C nsd0 rx-usecs 0");
	for (i = 0; i < 5; i++) {
		bulk(450 << 20);
		rounds(plainly);
		if (i % 2)
			rounds(in_two);
	}
}

static void half_closed(void)
{
	unsigned char tcp[FORGE_TCP];

	begin(AF_INET, false);
	attach(c.rx, &b);
	placed_again();
	must(shutdown(c.rx, SHUT_WR));
	forge_tcp(&f, tcp, TCP_ACK | TCP_URG, STEP / 2);
	plainly(tcp);
	data_follows();
	must(shutdown(c.rx, SHUT_RD));
	forge_tcp(&f, tcp, TCP_ACK | TCP_URG, STEP / 2);
	plainly(tcp);
	send_pattern(c.tx, STEP, rx.pos, SEED, STEP);
	/* nobody may read it any more: a reset */
	check(within(5000, send(c.tx, "", 1, MSG_NOSIGNAL) < 0));
}

/* The same socket has another connection, and another urgent pointer. */
static void connected_again(void)
{
	struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	unsigned char tcp[FORGE_TCP];
	int listener, i;

	begin(AF_INET, true);
	env_enter(SENDER);
	listener = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	env_enter(RECEIVER);
	must(bind(listener, (void *)&ss, side_addr(&ss, SENDER, AF_INET, 0)));
	must(listen(listener, 1));
	must(getsockname(listener, (void *)&ss, &len));
	for (i = 0; i < 3; i++) {
		attach(c.rx, &b);
		data_follows();	/* its route may come with its first segments */
		rounds(plainly);
		forge_tcp(&f, tcp, TCP_ACK | TCP_URG, STEP / 2);
		plainly(tcp);
		send_pattern(c.tx, STEP, rx.pos, SEED, STEP);
		must(connect(c.rx, &nowhere, sizeof(nowhere)));
		close(c.tx);
		forge_close(&f);
		must(connect(c.rx, (void *)&ss, len));
		c.tx = must(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
		forge_open(&f, c.tx);
		rx_free(&rx);
		rx_init(&rx, c.rx, &b, SEED);
	}
}

static void setup(void)
{
	env_setup(1);
	env_patient();
}

static const struct ktap_case cases[] = {
	KTAP_CASE(in_one_packet_ipv4),
	KTAP_CASE(in_one_packet_ipv6),
	KTAP_CASE(in_fragments_ipv4),
	KTAP_CASE(in_fragments_ipv6),
	KTAP_CASE(hidden_in_fragments),
	KTAP_CASE(hidden_in_fragments_last_first),
	KTAP_CASE(in_gue_ipv4),
	KTAP_CASE(in_gue_ipv6),
	KTAP_CASE(since_before_attach_ipv4),
	KTAP_CASE(since_before_attach_ipv6),
	KTAP_CASE(since_before_the_connection_ipv4),
	KTAP_CASE(since_before_the_connection_ipv6),
	KTAP_CASE(ulp_alone_ipv4),
	KTAP_CASE(ulp_alone_ipv6),
	KTAP_CASE(from_an_ordinary_sender),
	KTAP_CASE(half_way_around, .timeout = 120),
	KTAP_CASE(half_closed),
	KTAP_CASE(connected_again),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
