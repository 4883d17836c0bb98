// SPDX-License-Identifier: GPL-2.0
/*
 * Urgent data from the peer. TCP looks at the urgent byte itself, which it could
 * not in a placed segment, so an attached socket gets it as part of the stream;
 * wherever the pointer points, however it arrives, and whenever.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <linux/userfaultfd.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common.h"
#include "common_forge.h"
#include "common_wire.h"

static struct bound b;
static struct wire w;
static struct rx rx;
static struct neighbour near;

static void begin(void)
{
	bind_buffer(&b, DEVMEM_BUF_GPU, 4 << 20, 65536);
	neighbour_start(&near, &b);
	wire_open(&w);
	rx_init(&rx, wire_connect(&w), &b, WIRE_SEED);
	attach(rx.sock, &b);
}

static void finish(void)
{
	neighbour_stop(&near);
	rx_check_info(&rx);
	close(rx.sock);
	wire_close(&w);
}

static void still_placed(void)
{
	uint64_t before = rx.placed;

	wire_data(&w, rx.pos, 20000, 0);
	rx_all(&rx, 20000);
	check_eq(rx.placed - before, 20000);
}

static bool urgent_to_be_seen(void)
{
	struct pollfd pfd = { .fd = rx.sock, .events = POLLPRI };

	return poll(&pfd, 1, 0) && pfd.revents & POLLPRI;
}

static void not_urgent_here(void)
{
	char byte;

	check(!urgent_to_be_seen());
	check_errno(recv(rx.sock, &byte, 1, MSG_OOB), EINVAL);
}

static uint64_t cleared(void)
{
	struct devmem_bind_info info;

	bound_info(&b, &info);
	return info.stats.urg_cleared;
}

/* The pointer may say anything. */
static void every_pointer(void)
{
	static const uint16_t pointers[] = {
		0, 1, 2, 500, 999, 1000, 1001, 1500, 2000, 3001, 20000, 32767, 65535,
	};
	uint64_t before;
	size_t i;

	begin();
	for (i = 0; i < ARRAY_SIZE(pointers); i++) {
		before = cleared();
		wire_send(&w, &(struct segment){ .pos = rx.pos, .len = 1000,
				.flags = TCP_ACK | TCP_URG, .urg = pointers[i] });
		/* where it points to would be placed */
		wire_data(&w, rx.pos + 1000, 4000, 1000);
		rx_all(&rx, 5000);
		check_eq(cleared() - before, 1);
		not_urgent_here();
		still_placed();
	}
	check_eq(rx.host, ARRAY_SIZE(pointers) * 1000);
	finish();
}

/* With nothing, with FIN, and of segments that come before their turn. */
static void every_moment(void)
{
	uint64_t pos;

	begin();
	wire_send(&w, &(struct segment){ .pos = 0, .flags = TCP_ACK | TCP_URG, .urg = 700 });
	still_placed();
	not_urgent_here();
	pos = rx.pos;
	wire_send(&w, &(struct segment){ .pos = pos + 1000, .len = 1000, .urg = 5000,
					 .flags = TCP_ACK | TCP_URG });
	wire_data(&w, pos + 2000, 2000, 500);
	wire_send(&w, &(struct segment){ .pos = pos + 4000, .urg = 1,
					 .flags = TCP_ACK | TCP_URG });
	wire_send(&w, &(struct segment){ .pos = pos, .len = 1000, .urg = 1500,
					 .flags = TCP_ACK | TCP_URG | TCP_PSH });
	rx_all(&rx, 4000);
	not_urgent_here();
	still_placed();
	/* again, what was received before: out of the window by now */
	wire_send(&w, &(struct segment){ .pos = pos, .len = 1000, .urg = 30000,
					 .flags = TCP_ACK | TCP_URG });
	still_placed();
	wire_send(&w, &(struct segment){ .pos = rx.pos, .len = 10, .urg = 11,
					 .flags = TCP_ACK | TCP_URG | TCP_FIN });
	rx_all(&rx, 10);
	rx_eof(&rx);
	not_urgent_here();
	finish();
}

/* In pieces of IP: the flag and the pointer even in two different ones. */
static void in_fragments(void)
{
	static const uint16_t sizes[] = { 8, 16, 24, 520 };
	size_t i;
	int order;

	begin();
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (order = 0; order < 2; order++) {
			wire_send(&w, &(struct segment){
				.pos = rx.pos, .len = 600, .fragment = sizes[i],
				.last_first = (uint8_t)order, .urg = 1200,
				.ip_options = i & 1 ? 8 : 0,
				.flags = TCP_ACK | TCP_URG });
			wire_data(&w, rx.pos + 600, 3000, 1000);
			rx_all(&rx, 3600);
			not_urgent_here();
			still_placed();
		}
	}
	/* no rule of the device matches a fragment */
	check_eq(cleared(), 0);
	finish();
}

/* From a socket of the sender's kernel, with TSO. */
static void from_an_ordinary_sender(void)
{
	const size_t step = 20000;
	unsigned char *buf = malloc(step);
	struct conn c;
	uint64_t pos;

	bind_buffer(&b, DEVMEM_BUF_GPU, 4 << 20, 65536);
	neighbour_start(&near, &b);
	connect_pair(&c, AF_INET6);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, WIRE_SEED);
	for (pos = 0; pos < 20 * step; pos += step) {
		devmem_pattern_fill(buf, step, pos, WIRE_SEED);
		check_eq(send(c.tx, buf, step - 777, MSG_OOB), step - 777);
		check_eq(send(c.tx, buf + step - 777, 777, 0), 777);
		rx_all(&rx, step);
		not_urgent_here();
	}
	check_cmp(cleared(), >=, 20);
	send_pattern(c.tx, step, pos, WIRE_SEED, step);
	rx_all(&rx, step);
	check_cmp(rx.placed, >, 0);
	disconnect_pair(&c);
	neighbour_stop(&near);
}

/* ---- while the socket is locked ---------------------------------------- */

/* Memory that whoever touches it waits for, with whatever locks it holds. */
struct trap {
	int fd;
	unsigned char *page;
};

static void trap_set(struct trap *t)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	t->fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (t->fd < 0)
		skip("userfaultfd: %s", strerror(errno));
	must(ioctl(t->fd, UFFDIO_API, &api));
	t->page = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reg.range.start = (uint64_t)(uintptr_t)t->page;
	reg.range.len = 4096;
	must(ioctl(t->fd, UFFDIO_REGISTER, &reg));
}

/* Somebody has stepped on it. */
static void trap_wait(struct trap *t)
{
	struct pollfd pfd = { .fd = t->fd, .events = POLLIN };

	check_eq(poll(&pfd, 1, patient(5000)), 1);
}

static void trap_release(struct trap *t, const void *data, size_t len)
{
	static unsigned char page[4096] __attribute__((aligned(4096)));
	struct uffdio_copy copy = {
		.dst = (uint64_t)(uintptr_t)t->page,
		.src = (uint64_t)(uintptr_t)page,
		.len = 4096,
	};

	memcpy(page, data, len);
	must(ioctl(t->fd, UFFDIO_COPY, &copy));
}

/* Memory of packets that wait for whoever has the socket's lock, or have been
 * received: to be had without it.
 */
static struct waiting {
	uint32_t locked_out;
	uint32_t received;
} waiting(void)
{
	uint32_t mem[SK_MEMINFO_VARS] = {};
	socklen_t len = sizeof(mem);

	must(getsockopt(rx.sock, SOL_SOCKET, SO_MEMINFO, mem, &len));
	return (struct waiting){ mem[SK_MEMINFO_BACKLOG], mem[SK_MEMINFO_RMEM_ALLOC] };
}

/* The socket has it, or the backlog, if it is locked. */
static void send_until_there(const struct segment *s, bool locked)
{
	struct waiting before = waiting();

	wire_send(&w, s);
	if (locked)
		check(within(5000, waiting().locked_out > before.locked_out));
	else
		check(within(5000, waiting().received > before.received));
}

/* Urgent, pointing ahead, then what it points to. */
static void send_urgent(uint64_t pos, bool locked)
{
	struct segment s = { .pos = pos, .len = 1000, .urg = 1500,
			     .flags = TCP_ACK | TCP_URG };

	send_until_there(&s, locked);
	for (s.flags = TCP_ACK | TCP_PSH; s.pos < pos + 2000;) {
		s.pos += 1000;
		send_until_there(&s, locked);
	}
	s = (struct segment){ .pos = pos + 3000, .len = 1000, .urg = 1,
			      .flags = TCP_ACK | TCP_URG };
	send_until_there(&s, locked);
}

static void *blocked_reader(void *arg)
{
	struct trap *t = arg;

	return (void *)recv(rx.sock, t->page, 600, 0);
}

/* A reader of bytes in host memory is stopped in the middle of its copy. */
static void into_the_backlog(void)
{
	struct trap t;
	pthread_t reader;
	void *ret;

	begin();
	trap_set(&t);
	wire_send(&w, &(struct segment){ .pos = 0, .len = 600, .ip_options = 4 });
	rx_wait(&rx);
	check_eq(pthread_create(&reader, NULL, blocked_reader, &t), 0);
	trap_wait(&t);
	send_urgent(600, true);
	trap_release(&t, "", 0);
	check_eq(pthread_join(reader, &ret), 0);
	check_eq((long)ret, 600);
	check_eq(devmem_pattern_check(t.page, 600, 0, WIRE_SEED), -1);
	rx.pos = 600;
	rx_all(&rx, 4000);
	not_urgent_here();
	check_eq(rx.placed, 2000);
	still_placed();
	finish();
}

static void *blocked_ulp(void *unused)
{
	(void)unused;
	return (void *)(long)(setsockopt(rx.sock, IPPROTO_TCP, TCP_ULP, "devmem", 7) ?
			      errno : 0);
}

/* The backlog has it before anybody asks for the ULP: TCP eats it first. */
static void in_the_backlog_before_the_ulp(void)
{
	static unsigned char buf[2000];
	pthread_t reader, setter;
	int one = 1;
	struct trap t;
	void *ret;

	bind_buffer(&b, DEVMEM_BUF_GPU, 4 << 20, 65536);
	neighbour_start(&near, &b);
	wire_open(&w);
	rx_init(&rx, wire_connect(&w), &b, WIRE_SEED);
	must(setsockopt(rx.sock, SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one)));
	trap_set(&t);
	wire_send(&w, &(struct segment){ .pos = 0, .len = 600 });
	rx_wait(&rx);
	check_eq(pthread_create(&reader, NULL, blocked_reader, &t), 0);
	trap_wait(&t);
	send_until_there(&(struct segment){ .pos = 600, .len = 1000, .urg = 1500,
					    .flags = TCP_ACK | TCP_URG }, true);
	check_eq(pthread_create(&setter, NULL, blocked_ulp, NULL), 0);
	usleep(50000);
	trap_release(&t, "", 0);
	check_eq(pthread_join(reader, &ret), 0);
	check_eq((long)ret, 600);
	check_eq(pthread_join(setter, &ret), 0);
	check_eq((long)ret, EBUSY);

	/* what it points to comes and is read: then there is nothing left to see */
	wire_data(&w, 1600, 1000, 1000);
	/* recv() stops at the mark */
	check_eq(recv(rx.sock, buf, 2000, MSG_WAITALL), 1499);
	check_eq(recv(rx.sock, buf + 1499, 501, MSG_WAITALL), 501);
	check_eq(devmem_pattern_check(buf, 2000, 600, WIRE_SEED), -1);
	attach(rx.sock, &b);
	rx.pos = 2600;
	still_placed();
	finish();
}

static int blocked_errno;

static void *blocked_attach(void *arg)
{
	struct trap *t = arg;

	int ret = setsockopt(rx.sock, SOL_DEVMEM, DEVMEM_ATTACH, t->page,
			     sizeof(struct devmem_attach));

	blocked_errno = errno;
	return (void *)(long)ret;
}

/* DEVMEM_ATTACH is stopped where it copies its argument. */
static void while_attaching(void)
{
	struct devmem_attach a = {};
	struct trap t;
	pthread_t thread;
	void *ret;

	bind_buffer(&b, DEVMEM_BUF_GPU, 4 << 20, 65536);
	neighbour_start(&near, &b);
	wire_open(&w);
	rx_init(&rx, wire_connect(&w), &b, WIRE_SEED);
	must(setsockopt(rx.sock, IPPROTO_TCP, TCP_ULP, "devmem", 7));
	trap_set(&t);
	check_eq(pthread_create(&thread, NULL, blocked_attach, &t), 0);
	trap_wait(&t);
	send_urgent(0, true);
	a.binding_id = b.res.id;
	a.dmabuf_fd = devmem_buf_fd(b.buf);
	trap_release(&t, &a, sizeof(a));
	check_eq(pthread_join(thread, &ret), 0);
	check_eq((long)ret, 0);
	rx_all(&rx, 4000);
	not_urgent_here();
	still_placed();
	send_urgent(rx.pos, false);
	rx_all(&rx, 4000);
	still_placed();
	finish();
}

/* The same socket, with another connection: nothing keeps a pointer from TCP until it is
 * attached once more. What has come meanwhile TCP gets first, and then it is in the way.
 */
static void while_attaching_anew(void)
{
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };
	struct sockaddr_storage ss;
	unsigned char tcp[FORGE_TCP];
	struct devmem_attach a = {};
	struct waiting before;
	pthread_t thread;
	struct forge f;
	struct conn c;
	struct trap t;
	void *ret;
	int one = 1, listener;
	socklen_t len = side_addr(&ss, SENDER, AF_INET, 0);

	bind_buffer(&b, DEVMEM_BUF_GPU, 4 << 20, 65536);
	connect_pair(&c, AF_INET);
	rx_init(&rx, c.rx, &b, WIRE_SEED);
	must(setsockopt(c.rx, SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one)));
	must(setsockopt(c.rx, IPPROTO_TCP, TCP_ULP, "devmem", 7));
	must(connect(c.rx, &unspec, sizeof(unspec)));
	close(c.tx);
	env_enter(SENDER);
	listener = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	env_enter(RECEIVER);
	must(bind(listener, (void *)&ss, len));
	must(listen(listener, 1));
	must(getsockname(listener, (void *)&ss, &len));
	must(connect(c.rx, (void *)&ss, len));
	c.tx = must(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	close(listener);
	forge_open(&f, c.tx);

	trap_set(&t);
	check_eq(pthread_create(&thread, NULL, blocked_attach, &t), 0);
	trap_wait(&t);
	before = waiting();
	forge_tcp(&f, tcp, TCP_ACK | TCP_URG, 1500);
	forge_send(&f, IPPROTO_TCP, tcp, sizeof(tcp));
	check(within(5000, waiting().locked_out > before.locked_out));
	a.binding_id = b.res.id;
	a.dmabuf_fd = devmem_buf_fd(b.buf);
	trap_release(&t, &a, sizeof(a));
	check_eq(pthread_join(thread, &ret), 0);
	check_eq((long)ret, -1);
	check_eq(blocked_errno, EBUSY);

	/* until it has been read */
	send_pattern(c.tx, 3000, 0, WIRE_SEED, 3000);
	rx_all(&rx, 3000);
	attach(c.rx, &b);
	send_pattern(c.tx, 3000, 3000, WIRE_SEED, 3000);
	rx_all(&rx, 3000);
	check_eq(rx.placed, 3000);
	disconnect_pair(&c);
	forge_close(&f);
}

/* ---- around attach ----------------------------------------------------- */

#define RACE_BYTES	12000

static void race_sender(void)
{
	unsigned int pos;

	for (pos = 0; pos < RACE_BYTES; pos += 200)
		wire_send(&w, &(struct segment){
			.pos = pos, .len = 200, .urg = (uint16_t)(pos % 700),
			.flags = pos % 3 ? TCP_ACK | TCP_URG : TCP_ACK });
	_exit(0);
}

/* Every byte of a stream that had urgent data before the ULP, to plain recv()
 * or to recvmsg() of the ULP; with SO_OOBINLINE there is no hole in it.
 */
static void race_receive(bool ulp)
{
	static unsigned char buf[RACE_BYTES];
	size_t got = 0;
	ssize_t n;

	if (ulp) {
		rx_all(&rx, RACE_BYTES);
		return;
	}
	for (; got < RACE_BYTES; got += (size_t)n) {
		rx_wait(&rx);
		n = recv(rx.sock, buf + got, RACE_BYTES - got, MSG_DONTWAIT);
		check_cmp(n, >, 0);
	}
	check_eq(devmem_pattern_check(buf, RACE_BYTES, 0, WIRE_SEED), -1);
}

/* Attach in the middle of a flood of urgent segments: it succeeds or says that
 * urgent data is pending, and in either case no byte is lost and none wrong.
 */
static void flood_around_attach(void)
{
	int round, one = 1, ret, attached = 0, busy = 0;
	bool ulp;
	pid_t pid;

	bind_buffer(&b, DEVMEM_BUF_GPU, 4 << 20, 65536);
	neighbour_start(&near, &b);
	wire_open(&w);
	for (round = 0; round < 40; round++) {
		rx_init(&rx, wire_connect(&w), &b, WIRE_SEED);
		must(setsockopt(rx.sock, SOL_SOCKET, SO_OOBINLINE, &one, sizeof(one)));
		pid = test_fork();
		if (!pid)
			race_sender();
		usleep((unsigned int)(round % 10) * 300);
		ulp = !setsockopt(rx.sock, IPPROTO_TCP, TCP_ULP, "devmem", 7);
		if (!ulp)
			check_eq(errno, EBUSY);
		ret = ulp ? devmem_attach(rx.sock, b.res.id, devmem_buf_fd(b.buf), 0) : 0;
		if (ret)
			check_eq(ret, -EBUSY);
		attached += ulp && !ret;
		busy += !ulp || ret;
		race_receive(ulp);
		test_join(pid);
		if (ulp && !ret)
			still_placed();
		close(rx.sock);
		rx_free(&rx);
	}
	diag("attached %d times, busy %d times", attached, busy);
	neighbour_stop(&near);
	wire_close(&w);
}

static void setup(void)
{
	env_setup(8);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(every_pointer),
	KTAP_CASE(every_moment),
	KTAP_CASE(in_fragments),
	KTAP_CASE(from_an_ordinary_sender),
	KTAP_CASE(into_the_backlog),
	KTAP_CASE(in_the_backlog_before_the_ulp),
	KTAP_CASE(while_attaching),
	KTAP_CASE(while_attaching_anew),
	KTAP_CASE(flood_around_attach),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
