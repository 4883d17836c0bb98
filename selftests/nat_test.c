// SPDX-License-Identifier: GPL-2.0
/*
 * Address translation on the receiving host: the wire has other addresses and ports
 * than the socket. An attached connection is placed all the same, and no payload of
 * one connection lies in the buffer of another, however alike their tuples are on
 * either side of the translation.
 */
#include <errno.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common.h"
#include "common_nft.h"

#define SEED	0x4a7
#define OTHER	0x4a8		/* of whoever else there is */
#define STREAM	(4U << 20)
#define SOME	20000		/* of a short stream */
#define PORT	5201		/* where the programs listen */
#define PUBLIC	80		/* where clients connect */
#define ALIAS4	"10.9.0.3"
#define ALIAS6	"fd09::3"

static struct bound b;
static struct rx rx;

/* Different in each case: what is over is in TIME_WAIT for a minute. */
static uint16_t client_port(void)
{
	return (uint16_t)(20000 + getpid() % 20000);
}

static const char *alias(int family)
{
	return family == AF_INET ? ALIAS4 : ALIAS6;
}

static void no_alias(void *unused)
{
	(void)unused;
	env_enter(RECEIVER);
	cmd("ip addr del " ALIAS4 "/24 dev nsd0");
	cmd("ip addr del " ALIAS6 "/64 dev nsd0");
}

/* Another address of the receiver. */
static void add_alias(void)
{
	defer(no_alias, NULL);
	must_cmd("ip addr add " ALIAS4 "/24 dev nsd0");
	must_cmd("ip addr add " ALIAS6 "/64 dev nsd0 nodad");
	env_ready();
}

static void redirect(int family)
{
	nft_table(family);
	nft_add(family, "chain", "pre { type nat hook prerouting priority -100 ; }");
	nft_add(family, "rule", "pre tcp dport %d redirect to :%d", PUBLIC, PORT);
}

static void dnat(int family)
{
	add_alias();
	nft_table(family);
	nft_add(family, "chain", "pre { type nat hook prerouting priority -100 ; }");
	nft_add(family, "rule", family == AF_INET ? "pre tcp dport %d dnat to %s:%d" :
		"pre tcp dport %d dnat to [%s]:%d", PUBLIC, alias(family), PORT);
}

/* A socket of @side with a port that others may use, too. */
static int port_socket(int family, enum side side, uint16_t port)
{
	struct sockaddr_storage ss;
	socklen_t len = side_addr(&ss, side, family, port);
	int fd, one = 1;

	if (side == RECEIVER)	/* at any address */
		memset((char *)&ss + (family == AF_INET ? 4 : 8), 0, family == AF_INET ? 4 : 16);
	env_enter(side);
	fd = must(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
	env_enter(RECEIVER);
	must(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)));
	must(bind(fd, (void *)&ss, len));
	return fd;
}

static int listener(int family)
{
	int fd = port_socket(family, RECEIVER, PORT);

	must(listen(fd, 8));
	return fd;
}

/* The same port of the client each time, to @dport. */
static void client(struct conn *c, int family, int l, uint16_t dport)
{
	struct sockaddr_storage ss;
	socklen_t len = side_addr(&ss, RECEIVER, family, dport);

	c->tx = port_socket(family, SENDER, client_port());
	must(connect(c->tx, (void *)&ss, len));
	c->rx = must(accept4(l, NULL, NULL, SOCK_CLOEXEC));
}

/* Reads SOME bytes as any program does. */
static void plain_bytes(int sock, uint64_t seed)
{
	static unsigned char buf[SOME];
	struct pollfd pfd = { .fd = sock, .events = POLLIN };
	size_t got = 0;
	ssize_t n;

	while (got < SOME) {
		if (poll(&pfd, 1, patient(3000)) != 1)
			fail("nothing to read at byte %zu", got);
		n = must(recv(sock, buf + got, SOME - got, MSG_DONTWAIT));
		check_cmp(n, >, 0);
		got += (size_t)n;
	}
	check_eq(devmem_pattern_check(buf, SOME, 0, seed), -1);
}

/* All of it right, most of it placed. */
static void placed_stream(const struct conn *c)
{
	pid_t pid;

	attach(c->rx, &b);
	pid = send_start(c, STREAM, SEED, 50000, SEND_SHUTDOWN);
	rx_init(&rx, c->rx, &b, SEED);
	rx_all(&rx, STREAM);
	rx_eof(&rx);
	test_join(pid);
	check_cmp(rx.placed, >=, STREAM / 4 * 3);
	rx_check_info(&rx);
}

static void translated(int family, void (*rule)(int family))
{
	struct conn c;

	rule(family);
	bind_buffer(&b, DEVMEM_BUF_GPU, 8 << 20, 65536);
	client(&c, family, listener(family), PUBLIC);
	placed_stream(&c);
}

static void redirected_ipv4(void)
{
	translated(AF_INET, redirect);
}

static void redirected_ipv6(void)
{
	translated(AF_INET6, redirect);
}

/* A zone of connection tracking that is not asked: no rule matches, and the socket says
 * so.
 */
static void in_another_zone(void)
{
	struct devmem_info info;
	struct conn c;
	pid_t pid;

	redirect(AF_INET);
	nft_add(AF_INET, "chain", "zone { type filter hook prerouting priority raw ; }");
	nft_add(AF_INET, "rule", "zone ct zone set 5");
	nft_add(AF_INET, "chain", "out { type filter hook output priority raw ; }");
	nft_add(AF_INET, "rule", "out ct zone set 5");
	bind_buffer(&b, DEVMEM_BUF_GPU, 1 << 20, 65536);
	client(&c, AF_INET, listener(AF_INET), PUBLIC);
	attach(c.rx, &b);
	pid = send_start(&c, STREAM, SEED, 50000, SEND_SHUTDOWN);
	rx_init(&rx, c.rx, &b, SEED);
	rx_all(&rx, STREAM);
	rx_eof(&rx);
	test_join(pid);
	info = rx_check_info(&rx);
	check_eq(info.placed_bytes, 0);
	check_eq(info.fallback_bytes, STREAM);
}

static void dnat_ipv4(void)
{
	translated(AF_INET, dnat);
}

static void dnat_ipv6(void)
{
	translated(AF_INET6, dnat);
}

/* Nobody is attached. */
static void redirected_plain(void)
{
	struct conn c;

	redirect(AF_INET);
	client(&c, AF_INET, listener(AF_INET), PUBLIC);
	send_pattern(c.tx, SOME, 0, OTHER, 7000);
	plain_bytes(c.rx, OTHER);
}

/* ---- the receiver has connected ---------------------------------------- */

static void source(int family, const char *target)
{
	struct conn_opts opts = { .family = family, .reverse = true };
	struct conn c;

	add_alias();
	nft_table(family);
	nft_add(family, "chain", "post { type nat hook postrouting priority 100 ; }");
	nft_add(family, "rule", "post meta l4proto tcp %s", target);
	bind_buffer(&b, DEVMEM_BUF_GPU, 8 << 20, 65536);
	connect_with(&c, &opts);
	placed_stream(&c);
}

static void snat_ipv4(void)
{
	source(AF_INET, "snat to " ALIAS4 ":30000-30999");
}

static void snat_ipv6(void)
{
	source(AF_INET6, "snat to [" ALIAS6 "]:30000-30999");
}

static void masquerade_ipv4(void)
{
	source(AF_INET, "masquerade to :30000-30999");
}

static void masquerade_ipv6(void)
{
	source(AF_INET6, "masquerade to :30000-30999");
}

/* ---- others ------------------------------------------------------------ */

/* Does a part of the stream with this seed lie in the buffer? */
static bool lies_in(const struct bound *in, uint64_t seed)
{
	unsigned char some[16];
	bool found = false;
	uint64_t pos;

	if (devmem_buf_sync(in->buf, DEVMEM_SYNC_START | DEVMEM_SYNC_READ))
		fail("%s", devmem_error());
	for (pos = 0; pos + sizeof(some) <= SOME && !found; pos += 700) {
		devmem_pattern_fill(some, sizeof(some), pos, seed);
		found = memmem(in->map, in->size, some, sizeof(some));
	}
	if (devmem_buf_sync(in->buf, DEVMEM_SYNC_END | DEVMEM_SYNC_READ))
		fail("%s", devmem_error());
	return found;
}

/* A stranger has the client's port and goes straight to where the redirected ones
 * end: on the wire it is what the attached socket says it is.
 */
static void stranger(int family)
{
	struct conn c, other;
	int l;

	redirect(family);
	bind_buffer(&b, DEVMEM_BUF_GPU, 1 << 20, 65536);
	l = listener(family);
	client(&c, family, l, PUBLIC);
	attach(c.rx, &b);
	client(&other, family, l, PORT);
	send_pattern(other.tx, SOME, 0, OTHER, 7000);
	plain_bytes(other.rx, OTHER);
	check(!lies_in(&b, OTHER));
	send_pattern(c.tx, SOME, 0, SEED, 7000);
	rx_init(&rx, c.rx, &b, SEED);
	rx_all(&rx, SOME);
	send_pattern(other.tx, SOME, 0, OTHER, 7000);
	plain_bytes(other.rx, OTHER);
	check(!lies_in(&b, OTHER));
}

static void stranger_ipv4(void)
{
	stranger(AF_INET);
}

static void stranger_ipv6(void)
{
	stranger(AF_INET6);
}

/* The stranger is attached, too, to a buffer of its own. */
static void tenants(int family)
{
	static const uint32_t queues[] = { 4, 5, 6, 7 };
	struct conn c[2];
	struct bound b2;
	struct rx rx2;
	unsigned int i;
	int l;

	redirect(family);
	bind_buffer(&b, DEVMEM_BUF_GPU, 1 << 20, 65536);
	bind_queues(&b2, DEVMEM_BUF_GPU, 1 << 20, 65536, queues, ARRAY_SIZE(queues));
	l = listener(family);
	client(&c[0], family, l, PUBLIC);
	attach(c[0].rx, &b);
	client(&c[1], family, l, PORT);
	attach(c[1].rx, &b2);
	rx_init(&rx, c[0].rx, &b, SEED);
	rx_init(&rx2, c[1].rx, &b2, OTHER);
	for (i = 0; i < 10; i++) {
		send_pattern(c[0].tx, SOME, i * SOME, SEED, 7000);
		send_pattern(c[1].tx, SOME, i * SOME, OTHER, 7000);
		rx_all(&rx2, SOME);
		check(!lies_in(&b, OTHER));
		rx_all(&rx, SOME);
		check(!lies_in(&b2, SEED));
	}
	rx_check_info(&rx);
	rx_check_info(&rx2);
}

static void tenants_ipv4(void)
{
	tenants(AF_INET);
}

static void tenants_ipv6(void)
{
	tenants(AF_INET6);
}

/* ---- translation that changes ------------------------------------------ */

static bool all_acknowledged(const struct conn *c)
{
	int left = 0;

	must(ioctl(c->tx, SIOCOUTQ, &left));
	return !left;
}

/* The kernel forgets the connection, and takes it up again with the next packet. */
static void forgotten(int family)
{
	struct conn c;
	unsigned int i;
	pid_t pid;

	redirect(family);
	bind_buffer(&b, DEVMEM_BUF_GPU, 1 << 20, 65536);
	client(&c, family, listener(family), PUBLIC);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
	for (i = 0; i < 5; i++) {
		send_pattern(c.tx, SOME, i * SOME, SEED, 7000);
		rx_all(&rx, SOME);
		/* else what we send would be first, and the peer would not know it */
		check(within(5000, all_acknowledged(&c)));
		nft_forget_connections();
	}
	rx.pos = 0;	/* another stream of the same seed */
	pid = send_start(&c, STREAM, SEED, 50000, SEND_SHUTDOWN);
	rx_all(&rx, STREAM);
	rx_eof(&rx);
	test_join(pid);
}

static void forgotten_ipv4(void)
{
	forgotten(AF_INET);
}

static void forgotten_ipv6(void)
{
	forgotten(AF_INET6);
}

/* Nobody translates any more. The connection may end; what is read until then is
 * right, and who comes next has nothing to do with it.
 */
static void translation_ends(void)
{
	unsigned char *buf = malloc(STREAM);
	struct pollfd pfd;
	struct conn c;
	ssize_t n;

	redirect(AF_INET);
	bind_buffer(&b, DEVMEM_BUF_GPU, 1 << 20, 65536);
	client(&c, AF_INET, listener(AF_INET), PUBLIC);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
	send_pattern(c.tx, SOME, 0, SEED, 7000);
	rx_all(&rx, SOME);
	nft_delete(AF_INET);
	check(buf);
	devmem_pattern_fill(buf, STREAM, SOME, SEED);
	must(send(c.tx, buf, STREAM, MSG_DONTWAIT | MSG_NOSIGNAL));
	pfd = (struct pollfd){ .fd = c.tx, .events = POLLRDHUP };
	within(5000, (poll(&pfd, 1, 0) && pfd.revents & (POLLERR | POLLHUP)) ||
		     all_acknowledged(&c));
	do {
		n = rx_recv(&rx, MSG_DONTWAIT);
		rx_return(&rx);
	} while (n > 0);
	diag("%llu bytes came, then %zd", (unsigned long long)rx.bytes, n);
	close(c.tx);
	connect_pair(&c, AF_INET);
	send_pattern(c.tx, SOME, 0, OTHER, 7000);
	plain_bytes(c.rx, OTHER);
	check(!lies_in(&b, OTHER));
}

static void setup(void)
{
	env_setup(8);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(redirected_plain),
	KTAP_CASE(redirected_ipv4),
	KTAP_CASE(redirected_ipv6),
	KTAP_CASE(in_another_zone),
	KTAP_CASE(dnat_ipv4),
	KTAP_CASE(dnat_ipv6),
	KTAP_CASE(snat_ipv4),
	KTAP_CASE(snat_ipv6),
	KTAP_CASE(masquerade_ipv4),
	KTAP_CASE(masquerade_ipv6),
	KTAP_CASE(stranger_ipv4),
	KTAP_CASE(stranger_ipv6),
	KTAP_CASE(tenants_ipv4),
	KTAP_CASE(tenants_ipv6),
	KTAP_CASE(forgotten_ipv4, .timeout = 40),
	KTAP_CASE(forgotten_ipv6, .timeout = 40),
	KTAP_CASE(translation_ends, .timeout = 40),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
