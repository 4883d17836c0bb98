// SPDX-License-Identifier: GPL-2.0
/*
 * Bindings, connections and those who send. Owns the file descriptors of both;
 * must not know how a receiver reads.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"

#define SEND_MAX	(1U << 20)
#define BIND_QUEUES	4

void bind_queues(struct bound *b, enum devmem_buf_kind kind, size_t size,
		 uint32_t chunk, const uint32_t *queues, unsigned int nr)
{
	void *map;

	memset(b, 0, sizeof(*b));
	if (devmem_buf_alloc(&b->buf, kind, size, 0) ||
	    devmem_buf_map(b->buf, &map, 0) || devmem_nl_open(&b->nl, 0))
		fail("%s", devmem_error());
	b->map = map;
	b->size = devmem_buf_size(b->buf);
	memset(b->map, 0xa5, b->size);
	if (devmem_bind_rx(b->nl, env_ifindex(), queues, nr,
			   devmem_buf_fd(b->buf), chunk, &b->res, 0))
		fail("bind-rx: %s", devmem_error());
	if (chunk)
		check_eq(b->res.chunk_size, chunk);
	check_eq((uint64_t)b->res.chunk_size * b->res.chunks, b->size);
}

void bind_buffer(struct bound *b, enum devmem_buf_kind kind, size_t size,
		 uint32_t chunk)
{
	static const uint32_t queues[BIND_QUEUES] = { 0, 1, 2, 3 };

	bind_queues(b, kind, size, chunk, queues, BIND_QUEUES);
}

void unbind(struct bound *b)
{
	devmem_nl_close(b->nl);
	b->nl = NULL;
}

void free_bound(struct bound *b)
{
	unbind(b);
	devmem_buf_free(b->buf);
	memset(b, 0, sizeof(*b));
}

void bound_info(const struct bound *b, struct devmem_bind_info *info)
{
	if (devmem_bind_get(b->nl, b->res.id, info, 0))
		fail("bind-get: %s", devmem_error());
}

bool has_hugetlb(void)
{
	return !access("/proc/sys/vm/nr_hugepages", F_OK);
}

void need_hugetlb(void)
{
	if (!has_hugetlb())
		skip("this kernel has no hugetlbfs");
}

socklen_t side_addr(struct sockaddr_storage *ss, enum side side, int family,
		    uint16_t port)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ss;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)ss;

	memset(ss, 0, sizeof(*ss));
	ss->ss_family = (sa_family_t)family;
	if (family == AF_INET6) {
		in6->sin6_port = htons(port);
		inet_pton(AF_INET6, ADDR6(side), &in6->sin6_addr);
		return sizeof(*in6);
	}
	in->sin_port = htons(port);
	inet_pton(AF_INET, ADDR4(side), &in->sin_addr);
	return sizeof(*in);
}

static void set_int(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)))
		fail("setsockopt(%d, %d, %d): %s", level, name, value,
		     strerror(errno));
}

/* A socket on @side, bound to its address and @port. */
static int side_socket(enum side side, const struct conn_opts *o, uint16_t port)
{
	struct sockaddr_storage ss;
	socklen_t len;
	int fd;

	env_enter(side);
	fd = must(socket(o->family, SOCK_STREAM | SOCK_CLOEXEC, 0));
	set_int(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (o->mss)
		set_int(fd, IPPROTO_TCP, TCP_MAXSEG, o->mss);
	if (side == RECEIVER && o->rcvbuf)
		set_int(fd, SOL_SOCKET, SO_RCVBUFFORCE, o->rcvbuf);
	len = side_addr(&ss, side, o->family, port);
	must(bind(fd, (struct sockaddr *)&ss, len));
	return fd;
}

void connect_with(struct conn *c, const struct conn_opts *o)
{
	enum side server = o->reverse ? SENDER : RECEIVER;
	enum side client = o->reverse ? RECEIVER : SENDER;
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int listener, out, in;

	listener = side_socket(server, o, o->reverse ? o->sport : o->dport);
	must(listen(listener, 8));
	must(getsockname(listener, (struct sockaddr *)&ss, &len));
	out = side_socket(client, o, o->reverse ? o->dport : o->sport);
	env_enter(RECEIVER);
	must(connect(out, (struct sockaddr *)&ss, len));
	in = must(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	close(listener);

	c->rx = o->reverse ? out : in;
	c->tx = o->reverse ? in : out;
	set_int(c->tx, IPPROTO_TCP, TCP_NODELAY, 1);
}

void connect_pair(struct conn *c, int family)
{
	struct conn_opts opts = { .family = family };

	connect_with(c, &opts);
}

void disconnect_pair(struct conn *c)
{
	close(c->rx);
	close(c->tx);
	c->rx = -1;
	c->tx = -1;
}

uint64_t sent_again(const struct conn *c)
{
	struct tcp_info ti = {};
	socklen_t len = sizeof(ti);

	must(getsockopt(c->tx, IPPROTO_TCP, TCP_INFO, &ti, &len));
	return ti.tcpi_bytes_retrans;
}

void attach(int sock, const struct bound *b)
{
	if (devmem_attach(sock, b->res.id, devmem_buf_fd(b->buf),
			  DEVMEM_ATTACH_REPORT_LOST))
		fail("attach: %s", devmem_error());
}

void send_pattern(int sock, uint64_t bytes, uint64_t pos, uint64_t seed,
		  size_t size)
{
	unsigned char *buf = malloc(size);
	ssize_t done;
	size_t n, at;

	if (!buf || size > SEND_MAX)
		fail("cannot send in writes of %zu bytes", size);
	while (bytes) {
		n = bytes < size ? bytes : size;
		devmem_pattern_fill(buf, n, pos, seed);
		for (at = 0; at < n; at += (size_t)done) {
			done = send(sock, buf + at, n - at, MSG_NOSIGNAL);
			if (done < 0 && errno == EINTR)
				done = 0;
			if (done < 0)
				fail("send at %llu: %s",
				     (unsigned long long)(pos + at), strerror(errno));
		}
		pos += n;
		bytes -= n;
	}
	free(buf);
}

pid_t send_start(const struct conn *c, uint64_t bytes, uint64_t seed,
		 size_t size, unsigned int flags)
{
	pid_t pid = test_fork();

	if (pid)
		return pid;
	/* a copy of a descriptor keeps what it names alive */
	if (c->tx > 3)
		close_range(3, (unsigned int)c->tx - 1, 0);
	close_range((unsigned int)c->tx + 1, ~0U, 0);
	send_pattern(c->tx, bytes, 0, seed, size);
	if (flags & SEND_SHUTDOWN)
		must(shutdown(c->tx, SHUT_WR));
	_exit(0);
}
