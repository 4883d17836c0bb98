// SPDX-License-Identifier: GPL-2.0
/*
 * What lies under a stream goes away: link, peer, network namespace, module; in
 * every order with what lies above. Bytes that were delivered stay, tokens can
 * be returned, nothing is left when all have gone.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"
#include "common_ctl.h"

#define SEED	0x7ea2
#define BUFFER	(4U << 20)
#define CHUNK	65536
#define STREAM	(256 * 1024)

static struct bound b;
static struct conn c;
static struct rx rx;

static void hold_some(enum devmem_buf_kind kind)
{
	/* what has come and waits to be read is a part of the stream only, and of the
	 * buffer, however late the reader is
	 */
	struct conn_opts opts = { .family = AF_INET, .rcvbuf = 1 << 20 };
	pid_t pid;

	bind_buffer(&b, kind, BUFFER, CHUNK);
	connect_with(&c, &opts);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
	rx.keep = true;
	pid = send_start(&c, STREAM, SEED, 4000, 0);
	rx_all(&rx, STREAM);
	test_join(pid);
	rx_check_placed(&rx, STREAM);
}

/* The rest of the stream, sent by a process that may never get rid of it. */
static pid_t send_rest(uint64_t bytes)
{
	pid_t pid = test_fork();

	if (!pid) {
		close(c.rx);
		send_pattern(c.tx, bytes, STREAM, SEED, 4000);
		must(shutdown(c.tx, SHUT_WR));
		_exit(0);
	}
	return pid;
}

/* Read what is there until nothing comes for a while. */
static void drain(void)
{
	struct pollfd pfd = { .fd = c.rx, .events = POLLIN };

	while (poll(&pfd, 1, 300) == 1 && rx_recv(&rx, MSG_DONTWAIT) > 0)
		;
}

static void end(pid_t sender)
{
	kill(sender, SIGKILL);
	waitpid(sender, NULL, 0);
}

static void all_gone(void)
{
	char text[256];

	if (!within(2000, !live_objects(text, sizeof(text))))
		fail("left: %s", text);
}

/* ---- every order ------------------------------------------------------- */

enum thing { NETLINK, SOCKET, TOKENS, LINK, DMABUF, THINGS };

static void take_away(enum thing thing)
{
	switch (thing) {
	case NETLINK:
		unbind(&b);
		break;
	case SOCKET:
		disconnect_pair(&c);
		break;
	case TOKENS:
		if (c.rx >= 0)
			rx_return(&rx);
		break;
	case LINK:
		must_cmd("ip -n devmem-a link delete nsd0");
		break;
	case DMABUF:
		devmem_buf_free(b.buf);
		b.buf = NULL;
		rx.b = NULL;
		break;
	default:
		break;
	}
	if (b.buf && c.rx >= 0)
		rx_check_held(&rx);
}

static void run_batch(const char *ns, const char *lines)
{
	char path[] = "/tmp/teardown.XXXXXX";
	int fd = must(mkostemp(path, O_CLOEXEC));

	must(write(fd, lines, strlen(lines)));
	close(fd);
	must_cmd("ip -n %s -batch %s", ns, path);
	unlink(path);
}

/* The pair anew, after nsd0 was deleted. */
static void links_again(void)
{
	run_batch("devmem-b",
		  "link delete nsd1\n"
		  "link add nsd1 numrxqueues 4 type netdevsim-devmem\n"
		  "link add nsd0 link nsd1 numrxqueues 4 type netdevsim-devmem\n"
		  "link set nsd0 netns devmem-a\n"
		  "addr add 10.9.0.2/24 dev nsd1\n"
		  "link set nsd1 up\n");
	run_batch("devmem-a",
		  "addr add 10.9.0.1/24 dev nsd0\n"
		  "link set nsd0 up\n");
}

/* Every @step-th order of four things, the fifth at a place that changes. */
static void run_orders(enum thing fifth, unsigned int step)
{
	static const enum thing four[2][4] = {
		{ NETLINK, SOCKET, TOKENS, DMABUF }, { NETLINK, SOCKET, TOKENS, LINK },
	};
	const enum thing *from = four[fifth == DMABUF];
	unsigned int order, i, place;
	enum thing todo[4];

	for (order = 0; order < 24; order += step) {
		unsigned int code = order, left = 4, used = 0, n;

		for (i = 0; i < 4; i++, left--) {
			n = code % left;
			code /= left;
			for (place = 0; place < 4; place++)
				if (!(used & 1U << place) && !n--)
					break;
			used |= 1U << place;
			todo[i] = from[place];
		}
		hold_some(DEVMEM_BUF_GPU);
		for (i = 0; i <= 4; i++) {
			if (i == order % 5 && fifth != THINGS)
				take_away(fifth);
			if (i < 4)
				take_away(todo[i]);
		}
		rx_free(&rx);
		all_gone();
		if (fifth == DMABUF)
			links_again();
	}
}

static void every_order(void)
{
	env_setup(4);
	run_orders(THINGS, 1);
}

static void every_order_with_the_link(void)
{
	env_setup(4);
	run_orders(DMABUF, 3);
}

/* ---- links ------------------------------------------------------------- */

static void link_deleted_mid_stream(void)
{
	struct devmem_bind_info info;
	struct devmem_nl *nl;
	pid_t sender;

	env_setup(4);
	hold_some(DEVMEM_BUF_GPU);
	check_eq(devmem_nl_open(&nl, 0), 0);
	sender = send_rest(64 << 20);
	rx_all(&rx, STREAM);
	must_cmd("ip -n devmem-a link delete nsd0");
	drain();
	rx_check_held(&rx);
	check_eq(rx_check_info(&rx).state, NETDEV_DEVMEM_STATE_CLOSING);
	check_eq(devmem_bind_get(nl, b.res.id, &info, 0), 0);
	check_eq(info.state, NETDEV_DEVMEM_STATE_CLOSING);
	check_eq(info.flows, 0);
	check(within(2000, !live_object("gpu_attachments") && !live_object("gpu_maps")));
	rx_return(&rx);
	end(sender);		/* it has a copy of the netlink socket */
	disconnect_pair(&c);
	check_eq(live_object("bindings"), 1);
	unbind(&b);
	check(within(2000, !live_object("bindings")));
}

static void peer_deleted_mid_stream(void)
{
	pid_t sender;

	env_setup(4);
	hold_some(DEVMEM_BUF_HEAP);
	sender = send_rest(64 << 20);
	rx_all(&rx, STREAM);
	must_cmd("ip -n devmem-b link delete nsd1");
	drain();
	rx_check_held(&rx);
	check_eq(rx_check_info(&rx).state, NETDEV_DEVMEM_STATE_ACTIVE);
	rx_return(&rx);
	end(sender);
}

/* Packets in ordinary memory that nobody has read hold pages of the NIC's pools.
 * They come back when the link has been gone for long.
 */
static void pages_outlive_the_link(void)
{
	env_setup(4);
	connect_pair(&c, AF_INET);
	send_pattern(c.tx, 50000, 0, SEED, 5000);
	must_cmd("ip -n devmem-a link delete nsd0");
	usleep(1500000);	/* page_pool looks once a second */
	close(c.rx);
	usleep(1500000);
	close(c.tx);
}

/* The binding stays, and placing goes on when the link is back. */
static void link_down_and_up_mid_stream(void)
{
	const uint64_t rest = 8 << 20;
	uint64_t placed;
	pid_t sender;

	env_setup(4);
	hold_some(DEVMEM_BUF_GPU);
	rx.keep = false;
	sender = send_rest(rest);
	rx_all(&rx, rest / 4);
	must_cmd("ip -n devmem-a link set nsd0 down");
	drain();
	check_cmp(rx.pos, <, STREAM + rest);
	rx_check_held(&rx);
	rx_return(&rx);
	check_eq(rx_check_info(&rx).state, NETDEV_DEVMEM_STATE_ACTIVE);
	placed = rx.placed;
	must_cmd("ip -n devmem-a link set nsd0 up");
	rx_all(&rx, STREAM + rest - rx.pos);
	rx_eof(&rx);
	test_join(sender);
	check_cmp(rx.placed, >, placed + rest / 8);
}

/* The binding ends, the connection does not: it waits until its address is
 * there again, and goes on in host memory.
 */
static void device_moved_to_another_namespace(void)
{
	const uint64_t rest = 2 << 20;
	struct devmem_bind_info info;
	struct devmem_nl *nl;
	struct bound again;
	uint64_t placed;
	pid_t sender;

	env_setup(4);
	hold_some(DEVMEM_BUF_GPU);
	check_eq(devmem_nl_open(&nl, 0), 0);
	sender = send_rest(rest);
	rx_all(&rx, rest / 8);
	must_cmd("ip -n devmem-a link set nsd0 netns devmem-b");
	check_eq(devmem_nl_wait(nl, b.res.id, patient(2000), 0), 0);
	drain();
	rx_check_held(&rx);
	placed = rx.placed;
	check_eq(rx_check_info(&rx).state, NETDEV_DEVMEM_STATE_CLOSING);
	check_eq(devmem_bind_get(nl, b.res.id, &info, 0), 0);
	check_eq(info.flows, 0);

	/* nothing of it is to be seen from where the device is now */
	env_enter(SENDER);
	check_eq(ctl_count_bindings(), 0);
	env_enter(RECEIVER);

	must_cmd("ip -n devmem-b link set nsd0 netns devmem-a");
	must_cmd("ip -n devmem-a addr replace 10.9.0.1/24 dev nsd0");
	must_cmd("ip -n devmem-a link set nsd0 up");
	bind_buffer(&again, DEVMEM_BUF_GPU, BUFFER, CHUNK);
	rx_all(&rx, STREAM + rest - rx.pos);
	rx_eof(&rx);
	test_join(sender);
	check_eq(rx.placed, placed);
	rx_check_held(&rx);
	rx_return(&rx);
}

/* ---- network namespaces ------------------------------------------------ */

/* A process whose network namespace dies with it. It has the far end of a link
 * to the sender, a binding, an attached socket and tokens.
 */
static void inhabitant(int channel)
{
	struct sockaddr_storage ss = {};
	struct sockaddr_in *sin = (void *)&ss;
	static const uint32_t queues[] = { 0, 1 };
	void *map;
	int listener;
	char byte;

	must(unshare(CLONE_NEWNET));
	must(send(channel, "u", 1, 0));
	check_eq(recv(channel, &byte, 1, 0), 1);
	must_cmd("ip addr add 10.8.0.1/24 dev nsd8");
	must_cmd("ip link set nsd8 up");
	check_eq(devmem_buf_alloc(&b.buf, DEVMEM_BUF_GPU, BUFFER, 0), 0);
	check_eq(devmem_buf_map(b.buf, &map, 0), 0);
	b.map = map;
	b.size = BUFFER;
	check_eq(devmem_nl_open(&b.nl, 0), 0);
	check_eq(devmem_bind_rx(b.nl, if_nametoindex("nsd8"), queues, 2,
				devmem_buf_fd(b.buf), CHUNK, &b.res, 0), 0);
	listener = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	sin->sin_family = AF_INET;
	sin->sin_port = htons(5000);
	must(bind(listener, (void *)&ss, sizeof(*sin)));
	must(listen(listener, 1));
	must(send(channel, "l", 1, 0));
	c.rx = must(accept(listener, NULL, NULL));
	attach(c.rx, &b);
	must(send(channel, "a", 1, 0));
	rx_init(&rx, c.rx, &b, SEED);
	rx.keep = true;
	rx_all(&rx, STREAM);
	rx_check_placed(&rx, STREAM);
	must(send(channel, "r", 1, 0));
	for (;;)
		rx_all(&rx, CHUNK);
}

static void expect(int channel, char what)
{
	char byte = 0;

	check_eq(recv(channel, &byte, 1, 0), 1);
	check_eq(byte, what);
}

static void namespace_deleted_mid_stream(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET, .sin_port = htons(5000),
				   .sin_addr.s_addr = htonl(0x0a080001) };
	int pair[2], links;
	pid_t pid, sender;

	env_setup(2);
	links = (int)live_object("links");
	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	pid = test_fork();
	if (!pid)
		inhabitant(pair[1]);
	expect(pair[0], 'u');
	env_enter(SENDER);
	must_cmd("ip link add nsd8 numrxqueues 4 type netdevsim-devmem");
	must_cmd("ip link add nsd7 link nsd8 type netdevsim-devmem");
	must_cmd("ip link set nsd8 netns %d", pid);
	must_cmd("ip addr add 10.8.0.2/24 dev nsd7");
	must_cmd("ip link set nsd7 up");
	must(send(pair[0], "g", 1, 0));
	expect(pair[0], 'l');
	c.tx = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	must(connect(c.tx, (void *)&sin, sizeof(sin)));
	expect(pair[0], 'a');
	sender = test_fork();
	if (!sender) {
		send_pattern(c.tx, 64 << 20, 0, SEED, 4000);
		_exit(0);
	}
	expect(pair[0], 'r');
	check_eq(live_object("flows"), 1);
	check_eq(live_object("links"), links + 2);
	kill(pid, SIGKILL);
	check_eq(waitpid(pid, NULL, 0), pid);
	check(within(3000, live_object("links") == links + 1));
	end(sender);
	all_gone();
	must_cmd("ip link delete nsd7");
	env_enter(RECEIVER);
}

/* ---- modules ----------------------------------------------------------- */

static void modules_removed_while_in_use(void)
{
	pid_t sender;
	int round;

	env_setup(4);
	hold_some(DEVMEM_BUF_HEAP);
	sender = send_rest(4 << 20);
	rx.keep = false;
	for (round = 0; round < 20; round++) {
		check_errno(env_rmmod("netdevsim_devmem"), EAGAIN);
		check_errno(env_rmmod("netdev_devmem"), EAGAIN);
		rx_all(&rx, STREAM / 4);
	}
	rx_all(&rx, (4 << 20) + STREAM - rx.pos);
	rx_eof(&rx);
	test_join(sender);
	rx_check_placed(&rx, (4 << 20) + STREAM);
}

/* The driver may go when nothing is bound: its links go with it. A socket that
 * still has the ULP, and tokens, keeps net/devmem; afterwards that may go too,
 * at once, and come back.
 */
static void modules_removed_after(void)
{
	int pass;

	defer(env_modules, NULL);
	for (pass = 0; pass < 3; pass++) {
		env_setup(4);
		hold_some(DEVMEM_BUF_HEAP);
		check_errno(env_rmmod("netdevsim_devmem"), EAGAIN);
		unbind(&b);
		check(within(2000, !env_rmmod("netdevsim_devmem")));
		check(if_nametoindex("nsd0") == 0);
		check_errno(env_rmmod("netdev_devmem"), EAGAIN);
		rx_check_held(&rx);
		if (pass & 1)
			rx_return(&rx);
		disconnect_pair(&c);
		check(within(2000, !env_rmmod("netdev_devmem")));
		rx_check_held(&rx);
		check_errno(open("/dev/nsdm-gpu", O_RDWR), ENOENT);
		check_errno(access("/sys/module/netdev_devmem", F_OK), ENOENT);
		devmem_buf_free(b.buf);
		rx_free(&rx);
		env_modules(NULL);
		if (pass < 2) {
			env_leave();
			must_cmd("ip netns delete devmem-a");
			must_cmd("ip netns delete devmem-b");
		}
	}
}

static const struct ktap_case cases[] = {
	KTAP_CASE(every_order),
	KTAP_CASE(every_order_with_the_link, .timeout = 40),
	KTAP_CASE(link_deleted_mid_stream),
	KTAP_CASE(peer_deleted_mid_stream),
	KTAP_CASE(pages_outlive_the_link),
	KTAP_CASE(link_down_and_up_mid_stream),
	KTAP_CASE(device_moved_to_another_namespace),
	KTAP_CASE(namespace_deleted_mid_stream),
	KTAP_CASE(modules_removed_while_in_use),
	KTAP_CASE(modules_removed_after),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, NULL, cases, ARRAY_SIZE(cases));
}
