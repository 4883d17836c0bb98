// SPDX-License-Identifier: GPL-2.0
/*
 * Who may attach to which binding, in which state, and with what in hand. Each
 * refusal has its errno, leaves no flow behind and leaves the connection usable.
 * Kinds of sockets: sockkind_test; layout of the structs: sockopt_test.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common_attach.h"
#include "common_ctl.h"

#define SEED	0xa77ac5
#define BUFFER	(2U << 20)
#define STREAM	(300 * 1000)

static struct bound b;

static void bind_one(void)
{
	bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, 65536);
}

/* ---- states ------------------------------------------------------------ */

static void reset_by_peer(void)
{
	struct linger now = { .l_onoff = 1 };
	struct pollfd pfd;
	struct conn c, d;

	bind_one();
	connect_pair(&c, AF_INET);
	connect_pair(&d, AF_INET);
	must(set_ulp(d.rx, "devmem"));
	must(setsockopt(c.tx, SOL_SOCKET, SO_LINGER, &now, sizeof(now)));
	must(setsockopt(d.tx, SOL_SOCKET, SO_LINGER, &now, sizeof(now)));
	close(c.tx);
	close(d.tx);
	pfd = (struct pollfd){ .fd = c.rx };
	check_eq(poll(&pfd, 1, patient(5000)), 1);
	pfd = (struct pollfd){ .fd = d.rx };
	check_eq(poll(&pfd, 1, patient(5000)), 1);
	check_errno(set_ulp(c.rx, "devmem"), ENOTCONN);
	check_errno(try_attach(d.rx, b.res.id, devmem_buf_fd(b.buf)), ENOTCONN);
	no_flow(&b);
}

static bool has_urgent(int sock)
{
	struct pollfd pfd = { .fd = sock, .events = POLLPRI };

	return poll(&pfd, 1, 0) == 1 && pfd.revents & POLLPRI;
}

/* An urgent byte waits: first it must be read. */
static void urgent_byte_waits(void)
{
	char bytes[16];
	struct conn c;

	bind_one();
	connect_pair(&c, AF_INET);
	check_eq(send(c.tx, "abc", 3, MSG_OOB), 3);
	check(within(2000, has_urgent(c.rx)));
	check_errno(set_ulp(c.rx, "devmem"), EBUSY);
	check_eq(recv(c.rx, bytes, 2, MSG_WAITALL), 2);
	check_errno(set_ulp(c.rx, "devmem"), EBUSY);
	check_eq(recv(c.rx, bytes, 1, MSG_OOB), 1);
	check_eq(bytes[0], 'c');
	check_eq(send(c.tx, "d", 1, 0), 1);
	check_eq(recv(c.rx, bytes, sizeof(bytes), 0), 1);
	attach(c.rx, &b);
	carries(&c, &b);
}

/* ---- bindings and buffers ---------------------------------------------- */

static void wrong_buffer(void)
{
	int other = ctl_gpu_alloc(BUFFER, 0, 0), pair[2];
	int fd, id, memfd = must(memfd_create("x", 0));
	struct conn c;

	bind_one();
	fd = devmem_buf_fd(b.buf);
	id = (int)b.res.id;
	connect_pair(&c, AF_INET);
	must(set_ulp(c.rx, "devmem"));
	must(pipe(pair));
	check_errno(try_attach(c.rx, b.res.id, other), EACCES);
	check_errno(try_attach(c.rx, b.res.id, -1), EBADF);
	check_errno(try_attach(c.rx, b.res.id, 999), EBADF);
	check_errno(try_attach(c.rx, b.res.id, pair[0]), EINVAL);
	check_errno(try_attach(c.rx, b.res.id, memfd), EINVAL);
	check_errno(try_attach(c.rx, b.res.id, c.rx), EINVAL);
	check_errno(try_attach(c.rx, 0, fd), ENOENT);
	check_errno(try_attach(c.rx, (uint32_t)id + 1, fd), ENOENT);
	check_errno(try_attach(c.rx, UINT32_MAX, fd), ENOENT);
	no_flow(&b);

	/* a duplicate of the descriptor is the same buffer */
	must(try_attach(c.rx, b.res.id, dup(fd)));
	carries(&c, &b);
}

static void attach_twice(void)
{
	struct bound second;
	static const uint32_t queue = 5;
	struct conn c;

	bind_one();
	bind_queues(&second, DEVMEM_BUF_GPU, BUFFER, 0, &queue, 1);
	connect_pair(&c, AF_INET);
	attach(c.rx, &b);
	check_errno(set_ulp(c.rx, "devmem"), EEXIST);
	check_errno(try_attach(c.rx, b.res.id, devmem_buf_fd(b.buf)), EISCONN);
	check_errno(try_attach(c.rx, second.res.id, devmem_buf_fd(second.buf)), EISCONN);
	check_eq(live_object("rules"), 1);
	check_eq(live_object("flows"), 1);
	carries(&c, &b);
}

/* The sender's namespace has a binding of its own, on its end of the link. */
static void binding_of_another_namespace(void)
{
	static struct ctl_nl nl;
	struct ctl_answer a;
	struct conn c;
	int fd;

	bind_one();
	fd = ctl_gpu_alloc(BUFFER, 0, 0);
	connect_pair(&c, AF_INET);
	env_enter(SENDER);
	check_eq(ctl_nl_open(&nl), 0);
	check_eq(ctl_bind(&nl, if_nametoindex(DEV_NAME(SENDER)), 0, fd, 0, &a), 0);
	check_eq(a.err, 0);
	env_enter(RECEIVER);
	must(set_ulp(c.rx, "devmem"));
	check_errno(try_attach(c.rx, a.id, fd), ENOENT);
	no_flow(&b);
	must(set_ulp(c.tx, "devmem"));
	check_errno(try_attach(c.tx, b.res.id, devmem_buf_fd(b.buf)), ENOENT);
	must(try_attach(c.tx, a.id, fd));
	attach(c.rx, &b);
	carries(&c, &b);
	ctl_nl_close(&nl);
}

/* Over lo, which is not the binding's device; and to the device's own address. */
static void other_interface(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t len = sizeof(sin);
	struct conn c;
	int listener;

	bind_one();
	listener = new_socket(SOCK_STREAM, 0);
	inet_pton(AF_INET, ADDR4(RECEIVER), &sin.sin_addr);
	must(bind(listener, (void *)&sin, sizeof(sin)));
	must(listen(listener, 1));
	must(getsockname(listener, (void *)&sin, &len));
	c.tx = new_socket(SOCK_STREAM, 0);
	must(connect(c.tx, (void *)&sin, sizeof(sin)));
	c.rx = must(accept(listener, NULL, NULL));
	must(set_ulp(c.rx, "devmem"));
	check_errno(try_attach(c.rx, b.res.id, devmem_buf_fd(b.buf)), ENETUNREACH);
	must(set_ulp(c.tx, "devmem"));
	check_errno(try_attach(c.tx, b.res.id, devmem_buf_fd(b.buf)), ENETUNREACH);
	no_flow(&b);
	carries(&c, NULL);
}

/* No room for a second rule, until the first socket is gone. */
/* A module's parameter allows one attached socket; a closed one makes room. */
static void one_only(const char *path, const char *normal, int err)
{
	int fd = must(open(path, O_RDWR | O_CLOEXEC));
	struct conn c, d;

	bind_one();
	connect_pair(&c, AF_INET);
	connect_pair(&d, AF_INET);
	attach(c.rx, &b);
	must(set_ulp(d.rx, "devmem"));
	must(write(fd, "1", 1));
	check_errno(try_attach(d.rx, b.res.id, devmem_buf_fd(b.buf)), err);
	close(c.rx);
	check(within(2000, !try_attach(d.rx, b.res.id, devmem_buf_fd(b.buf))));
	must((int)write(fd, normal, strlen(normal)));
	close(fd);
	carries(&d, &b);
}

static void no_rule_left(void)
{
	one_only("/sys/module/netdevsim_devmem/parameters/rules_max", "16384", ENOSPC);
}

static void no_more_of_a_binding(void)
{
	one_only("/sys/module/netdev_devmem/parameters/max_flows", "4096", EDQUOT);
}

/* ---- rights ------------------------------------------------------------ */

/* In a process without any: it has been given a socket and a dma-buf. */
static void nobody_receives(int channel, int stranger, uint32_t id)
{
	struct bound given = { .size = BUFFER, .res = { id, 65536, BUFFER / 65536 } };
	int dmabuf, sock;
	struct rx rx;
	void *map;

	check_eq(ctl_drop_privileges(), 0);
	sock = ctl_recv_fd(channel);
	check_cmp(sock, >=, 0);
	must(set_ulp(sock, "devmem"));
	/* to know the number is no right; a buffer of one's own is none, either */
	check_errno(try_attach(sock, id, -1), EBADF);
	check_errno(try_attach(sock, id, stranger), EACCES);

	dmabuf = ctl_recv_fd(channel);
	check_cmp(dmabuf, >=, 0);
	check_eq(devmem_buf_import(&given.buf, dmabuf, 0), 0);
	check_eq(devmem_buf_map(given.buf, &map, 0), 0);
	given.map = map;
	must(try_attach(sock, id, dmabuf));
	must(send(channel, "a", 1, 0));
	rx_init(&rx, sock, &given, SEED);
	rx_all(&rx, STREAM);
	rx_eof(&rx);
	rx_check_placed(&rx, STREAM);
	_exit(0);
}

static void unprivileged_process(void)
{
	int stranger = ctl_gpu_alloc(BUFFER, 0, 0), pair[2];
	pid_t pid, sender;
	struct conn c;
	char byte;

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	pid = test_fork();
	if (!pid) {
		uint32_t id;

		check_eq(recv(pair[1], &id, sizeof(id), MSG_WAITALL), sizeof(id));
		nobody_receives(pair[1], stranger, id);
	}
	bind_one();
	connect_pair(&c, AF_INET);
	must(send(pair[0], &b.res.id, sizeof(b.res.id), 0));
	check_eq(ctl_send_fd(pair[0], c.rx), 0);
	check_eq(ctl_send_fd(pair[0], devmem_buf_fd(b.buf)), 0);
	check_eq(recv(pair[0], &byte, 1, 0), 1);
	sender = send_start(&c, STREAM, SEED, 5000, SEND_SHUTDOWN);
	test_join(pid);
	test_join(sender);
}

static void setup(void)
{
	env_setup(8);
}

/* An option that changes the way out makes the socket forget its route, and who
 * has connected himself may know no way in before there is data.
 */
static void forgotten_route(void)
{
	static const struct conn_opts opts[] = {
		{ .family = AF_INET, .reverse = true }, { .family = AF_INET6, .reverse = true },
	};
	int tos = 8, i;
	struct conn c;

	bind_buffer(&b, DEVMEM_BUF_HEAP, 1 << 20, 65536);
	for (i = 0; i < 20; i++) {
		connect_with(&c, &opts[i % 2]);
		if (i % 2)
			must(setsockopt(c.rx, IPPROTO_IPV6, IPV6_TCLASS, &tos, sizeof(tos)));
		else
			must(setsockopt(c.rx, IPPROTO_IP, IP_TOS, &tos, sizeof(tos)));
		must(setsockopt(c.rx, SOL_SOCKET, SO_MARK, &tos, sizeof(tos)));
		attach(c.rx, &b);
		disconnect_pair(&c);
	}
}

static const struct ktap_case cases[] = {
	KTAP_CASE(reset_by_peer),
	KTAP_CASE(urgent_byte_waits),
	KTAP_CASE(wrong_buffer),
	KTAP_CASE(attach_twice),
	KTAP_CASE(binding_of_another_namespace),
	KTAP_CASE(other_interface),
	KTAP_CASE(no_rule_left),
	KTAP_CASE(no_more_of_a_binding),
	KTAP_CASE(unprivileged_process),
	KTAP_CASE(forgotten_route),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
