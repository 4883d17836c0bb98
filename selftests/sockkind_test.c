// SPDX-License-Identifier: GPL-2.0
/*
 * Which kinds of sockets may attach. Each refusal has its errno, leaves no flow
 * behind and leaves the connection usable. Bindings and rights: attach_test.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/bpf.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common_attach.h"

#define BUFFER	(2U << 20)

#ifndef IPPROTO_MPTCP
#define IPPROTO_MPTCP	262
#endif

static struct bound b;

static void bind_one(void)
{
	bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, 65536);
}

static void not_connected(void)
{
	int fd = new_socket(SOCK_STREAM, 0);

	bind_one();
	check_errno(set_ulp(fd, "devmem"), ENOTCONN);
	check_errno(try_attach(fd, b.res.id, devmem_buf_fd(b.buf)), ENOPROTOOPT);
	must(listen(fd, 1));
	check_errno(set_ulp(fd, "devmem"), ENOTCONN);
	check_errno(try_attach(fd, b.res.id, devmem_buf_fd(b.buf)), ENOPROTOOPT);
	no_flow(&b);
	check_eq(live_object("sockets"), 0);
}

/* SYN-SENT: nobody answers. */
static void connecting(void)
{
	struct sockaddr_in nobody = { .sin_family = AF_INET, .sin_port = htons(9) };
	int fd = new_socket(SOCK_STREAM | SOCK_NONBLOCK, 0);

	inet_pton(AF_INET, "10.9.0.77", &nobody.sin_addr);
	check_errno(connect(fd, (void *)&nobody, sizeof(nobody)), EINPROGRESS);
	check_errno(set_ulp(fd, "devmem"), ENOTCONN);
	check_eq(live_object("sockets"), 0);
}

/* A listener's memory outlives its last reference by a grace period, and so nobody
 * counts references on it; nor when it has become a connection.
 */
static void listened_before(void)
{
	struct sockaddr_storage ss;
	struct conn c;
	socklen_t len;
	int l;

	bind_one();
	env_enter(SENDER);
	len = side_addr(&ss, SENDER, AF_INET, 7002);
	l = new_socket(SOCK_STREAM, 0);
	must(bind(l, (void *)&ss, len));
	must(listen(l, 1));
	env_enter(RECEIVER);
	c.rx = new_socket(SOCK_STREAM, 0);
	must(listen(c.rx, 1));
	must(shutdown(c.rx, SHUT_RDWR));
	must(connect(c.rx, (void *)&ss, len));
	c.tx = must(accept(l, NULL, NULL));
	check_errno(set_ulp(c.rx, "devmem"), EOPNOTSUPP);
	check_errno(try_attach(c.rx, b.res.id, devmem_buf_fd(b.buf)), ENOPROTOOPT);
	check_eq(live_object("sockets"), 0);
	carries_plainly(&c);
}

static void not_tcp(void)
{
	int udp = new_socket(SOCK_DGRAM, 0), pair[2];

	check_errno(set_ulp(udp, "devmem"), ENOPROTOOPT);
	check_errno(try_attach(udp, 1, 0), ENOPROTOOPT);
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	check_errno(set_ulp(pair[0], "devmem"), EOPNOTSUPP);
	check_errno(try_attach(pair[0], 1, 0), EOPNOTSUPP);
	check_eq(live_object("sockets"), 0);
}

static void mptcp(void)
{
	struct sockaddr_storage ss;
	int listener, out, in;
	struct conn c;
	socklen_t len;
	char byte = 'm';

	listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_MPTCP);
	if (listener < 0)
		skip("MPTCP: %s", strerror(errno));
	len = side_addr(&ss, RECEIVER, AF_INET, 7001);
	must(bind(listener, (void *)&ss, len));
	must(listen(listener, 1));
	env_enter(SENDER);
	out = new_socket(SOCK_STREAM, IPPROTO_MPTCP);
	env_enter(RECEIVER);
	must(connect(out, (void *)&ss, len));
	in = must(accept(listener, NULL, NULL));
	check_errno(set_ulp(in, "devmem"), ENOPROTOOPT);
	check_errno(set_ulp(out, "devmem"), ENOPROTOOPT);
	check_errno(try_attach(in, 1, 0), ENOPROTOOPT);
	check_eq(send(out, &byte, 1, 0), 1);
	check_eq(recv(in, &byte, 1, 0), 1);
	check_eq(live_object("sockets"), 0);

	/* a peer that knows no MPTCP: what was accepted is plain TCP */
	bind_one();
	env_enter(SENDER);
	c.tx = new_socket(SOCK_STREAM, 0);
	env_enter(RECEIVER);
	must(connect(c.tx, (void *)&ss, len));
	c.rx = must(accept(listener, NULL, NULL));
	attach(c.rx, &b);
	carries(&c, &b);
}

/* A key for a peer that never comes is enough. */
static void md5(void)
{
	struct tcp_md5sig key = { .tcpm_keylen = 4, .tcpm_key = "key" };
	struct sockaddr_in *sin = (void *)&key.tcpm_addr;
	struct conn c;

	connect_pair(&c, AF_INET);
	sin->sin_family = AF_INET;
	inet_pton(AF_INET, "10.9.0.99", &sin->sin_addr);
	must(setsockopt(c.rx, IPPROTO_TCP, TCP_MD5SIG, &key, sizeof(key)));
	check_errno(set_ulp(c.rx, "devmem"), EOPNOTSUPP);
	check_eq(live_object("sockets"), 0);
	carries_plainly(&c);
}

static void repair(void)
{
	struct conn c;
	int on = 1, off = -1;

	connect_pair(&c, AF_INET);
	must(setsockopt(c.rx, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)));
	check_errno(set_ulp(c.rx, "devmem"), EOPNOTSUPP);
	must(setsockopt(c.rx, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off)));
	carries_plainly(&c);
}

static void ktls(void)
{
	struct conn c, d;

	cmd("modprobe tls");
	connect_pair(&c, AF_INET);
	if (set_ulp(c.rx, "tls"))
		skip("ULP tls: %s", strerror(errno));
	check_errno(set_ulp(c.rx, "devmem"), EEXIST);
	check_errno(try_attach(c.rx, 1, 0), ENOPROTOOPT);
	carries_plainly(&c);

	/* and the other way round */
	bind_one();
	connect_pair(&d, AF_INET);
	attach(d.rx, &b);
	check_errno(set_ulp(d.rx, "tls"), EEXIST);
	carries(&d, &b);
	disconnect_pair(&d);
	disconnect_pair(&c);
	check(within(2000, !cmd("rmmod tls")));
}

static int sockmap_update(int map, int sock)
{
	uint32_t key = 0;
	uint64_t value = (uint64_t)sock;
	union bpf_attr attr = {
		.map_fd = (uint32_t)map,
		.key = (uint64_t)(uintptr_t)&key,
		.value = (uint64_t)(uintptr_t)&value,
	};

	return (int)syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &attr, sizeof(attr));
}

static void sockmap(void)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_SOCKMAP,
		.key_size = 4,
		.value_size = 8,
		.max_entries = 1,
	};
	int map = (int)syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
	struct conn c, d;

	if (map < 0)
		skip("sockmap: %s", strerror(errno));
	bind_one();
	connect_pair(&c, AF_INET);
	attach(c.rx, &b);
	check_errno(sockmap_update(map, c.rx), EINVAL);
	carries(&c, &b);

	connect_pair(&d, AF_INET);
	must(sockmap_update(map, d.rx));
	check_errno(set_ulp(d.rx, "devmem"), EOPNOTSUPP);
	carries_plainly(&d);
}

static void setup(void)
{
	env_setup(8);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(not_connected),
	KTAP_CASE(connecting),
	KTAP_CASE(listened_before),
	KTAP_CASE(not_tcp),
	KTAP_CASE(mptcp),
	KTAP_CASE(md5),
	KTAP_CASE(repair),
	KTAP_CASE(ktls),
	KTAP_CASE(sockmap),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
