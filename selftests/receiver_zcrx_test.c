// SPDX-License-Identifier: GPL-2.0
/*
 * What is special about receivers on io_uring's zero-copy receive: more comes at once than
 * its caller has room for, a descriptor to poll, pages that go back piece by piece, bytes
 * that came before the queue was theirs, and connections nobody reads. What it has in
 * common with other paths: receiver_test, receiver_hold_test, receiver_nic_test.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common_provider.h"
#include "common_receiver.h"
#include "common_tool.h"
#include "common_undo.h"
#include "common_zcrx.h"

#define PORT	5201
#define MIB	(1U << 20)

static struct devmem_msg *msg;
static uint64_t pos;

/* A receiver with a buffer of @size bytes. */
static void open_small(enum devmem_buf_kind kind, size_t size)
{
	static const uint32_t queues[] = { 3 };
	struct devmem_rx_config config = {
		.via = DEVMEM_VIA_ZCRX, .dev = "nsd0", .queues = queues, .nr_queues = 1,
	};

	need_path(DEVMEM_VIA_ZCRX);
	make_tensor();
	must_ok(devmem_buf_alloc(&staging, kind, size, 0));
	must_ok(devmem_rx_open(&rx, staging, &config, 0));
}

static void check_piece(const struct devmem_piece *piece, uint64_t at, uint64_t seed)
{
	static unsigned char bytes[MIB];

	if (piece->type == DEVMEM_PIECE_LINEAR) {
		check_eq(devmem_pattern_check(piece->data, piece->size, at, seed), -1);
		return;
	}
	check_eq(piece->type, DEVMEM_PIECE_DMABUF);
	must_ok(devmem_buf_read(staging, piece->offset, bytes, piece->size, 0));
	check_eq(devmem_pattern_check(bytes, piece->size, at, seed), -1);
}

/* What one call has brought: compared, and given back. */
static unsigned int take_pieces(void)
{
	struct devmem_piece piece;
	unsigned int nr = 0;

	for (; devmem_msg_next(msg, &piece); nr++) {
		check_piece(&piece, pos, SEED);
		pos += piece.size;
		if (piece.type == DEVMEM_PIECE_DMABUF)
			check_eq(devmem_conn_release(conn, piece.token), 0);
	}
	return nr;
}

static int queued(int sock)
{
	int bytes;

	must(ioctl(sock, FIONREAD, &bytes));
	return bytes;
}

/* Small segments that a slow reader takes one by one, waiting with the descriptor each
 * time: it says that there is more, as long as there is.
 */
static void one_by_one(void)
{
	const uint64_t stream = 3000 * 61;
	struct pollfd pfd = { .events = POLLIN };
	unsigned int calls = 0;
	ssize_t n;
	pid_t pid;

	open_small(DEVMEM_BUF_GPU, STAGING);
	connect_rx(AF_INET);
	must_ok(devmem_msg_alloc(&msg, 4096, 1, 0));
	pfd.fd = devmem_conn_poll_fd(conn);
	check_cmp(pfd.fd, >=, 0);
	check_eq(devmem_conn_poll_fd(conn), pfd.fd);
	check_eq(poll(&pfd, 1, 0), 0);
	pid = send_start(&c, stream, SEED, 61, SEND_SHUTDOWN);
	close(c.tx);
	/* much is there when the first call is made */
	check(within(5000, queued(c.rx) > 40 * 61));
	for (;;) {
		check_eq(poll(&pfd, 1, patient(5000)), 1);
		n = devmem_conn_recv(conn, msg, MSG_DONTWAIT);
		if (n == -EAGAIN)
			continue;
		must_ok(n);
		if (!n)
			break;
		check_eq(take_pieces(), 1);
		calls++;
	}
	check_eq(pos, stream);
	check_cmp(calls, >=, stream / 4096);
	/* the end stays */
	check_eq(poll(&pfd, 1, 0), 1);
	check_eq(devmem_conn_recv(conn, msg, 0), 0);
	test_join(pid);
	devmem_conn_close(conn);
	close_all();
}

/* The socket is empty, what it had waits in the library. */
static void waits_elsewhere(void)
{
	struct pollfd pfd[] = { { .events = POLLIN }, { .events = POLLIN } };
	unsigned char bytes[30000];
	size_t rest;

	open_small(DEVMEM_BUF_UDMABUF, STAGING);
	connect_rx(AF_INET6);
	pfd[0].fd = devmem_conn_poll_fd(conn);
	pfd[1].fd = devmem_conn_sock(conn);
	send_pattern(c.tx, sizeof(bytes), 0, SEED, 1000);
	check(within(5000, queued(c.rx) == sizeof(bytes)));
	for (; queued(c.rx); pos++) {
		check_eq(devmem_conn_read_host(conn, bytes, 1, 0), 1);
		check_eq(devmem_pattern_check(bytes, 1, pos, SEED), -1);
	}
	check_eq(poll(pfd, 2, 0), 1);
	check_eq(pfd[0].revents, POLLIN);
	rest = sizeof(bytes) - pos;
	check_eq(devmem_conn_read_host(conn, bytes, rest, 0), rest);
	check_eq(devmem_pattern_check(bytes, rest, pos, SEED), -1);
	check_eq(poll(pfd, 2, 0), 0);
	close_rx();
}

/* Byte by byte through all pages of a small buffer, and again. */
static void tiny_reads(void)
{
	const uint64_t stream = 3 * MIB;
	unsigned int size;
	pid_t pid;

	open_small(DEVMEM_BUF_GPU, MIB);
	connect_rx(AF_INET);
	pid = send_start(&c, stream, SEED, 10000, SEND_SHUTDOWN);
	for (size = 1; pos < stream; size = size % 97 + 1) {
		if (stream - pos < size)
			size = (unsigned int)(stream - pos);
		check_eq(devmem_conn_read(conn, tensor, 3, size, 0), size);
		check_eq(devmem_pattern_check(map + 3, size, pos, SEED), -1);
		pos += size;
	}
	check_eq(devmem_conn_read(conn, tensor, 0, 1, 0), 0);
	test_join(pid);
	close_rx();
}

/* A window of pieces is held all the time, each given back out of order, and whole till
 * then: the buffer is gone through many times.
 */
static void window(void)
{
	enum { WINDOW = 60 };
	const uint64_t stream = 12 * MIB;
	struct devmem_piece held[WINDOW] = { 0 }, piece;
	uint64_t at[WINDOW];
	unsigned int i, next = 0;
	ssize_t n;
	pid_t pid;

	open_small(DEVMEM_BUF_GPU, MIB);
	connect_rx(AF_INET);
	must_ok(devmem_msg_alloc(&msg, 100000, 7, 0));
	pid = send_start(&c, stream, SEED, 30000, SEND_SHUTDOWN);
	while ((n = devmem_conn_recv(conn, msg, 0)) > 0) {
		for (; devmem_msg_next(msg, &piece); pos += piece.size) {
			check_piece(&piece, pos, SEED);
			if (piece.type != DEVMEM_PIECE_DMABUF)
				continue;
			next = next * 7 + 13;
			i = next % WINDOW;
			if (held[i].size) {
				check_piece(&held[i], at[i], SEED);
				check_eq(devmem_conn_release(conn, held[i].token), 0);
			}
			held[i] = piece;
			at[i] = pos;
		}
	}
	must_ok(n);
	check_eq(pos, stream);
	for (i = 0; i < WINDOW; i++) {
		if (!held[i].size)
			continue;
		check_piece(&held[i], at[i], SEED);
		check_eq(devmem_conn_release(conn, held[i].token), 0);
	}
	test_join(pid);
	close_rx();
}

/* What has come before the connection was known to the receiver is in host memory. */
static void early_bytes(enum devmem_buf_kind kind)
{
	const uint64_t early = 40000, stream = 10 * early;
	struct devmem_conn_stats stats;

	open_small(kind, STAGING);
	pos = 0;
	must_ok(devmem_msg_alloc(&msg, 100000, 64, 0));
	connect_pair(&c, AF_INET);
	send_pattern(c.tx, early, 0, SEED, 10000);
	check(within(5000, queued(c.rx) == (int)early));
	check_eq(devmem_conn_open(&conn, rx, c.rx, 0), 0);
	send_pattern(c.tx, stream - early, early, SEED, 10000);
	while (pos < stream) {
		check_cmp(devmem_conn_recv(conn, msg, 0), >, 0);
		take_pieces();
	}
	devmem_conn_get_stats(conn, &stats);
	check_cmp(stats.tokens, >, 0);
	devmem_msg_free(msg);
	close_rx();
}

static void early(void)
{
	early_bytes(DEVMEM_BUF_GPU);
	early_bytes(DEVMEM_BUF_HOST);
}

/* One that nobody reads, with as much to come as there is; another is served. */
static void nobody_reads(void)
{
	struct devmem_conn *idle;
	struct conn silent;
	unsigned int i;
	pid_t pid, other;

	open_small(DEVMEM_BUF_GPU, STAGING);
	connect_pair(&silent, AF_INET);
	check_eq(devmem_conn_open(&idle, rx, silent.rx, 0), 0);
	other = send_start(&silent, 16 * STAGING, SEED + 1, 100000, 0);
	/* it is read once, and never again */
	check_eq(devmem_conn_read(idle, tensor, 0, 1, 0), 1);
	connect_rx(AF_INET6);
	pid = send_start(&c, 4 * TENSOR, SEED, 50000, 0);
	for (i = 0; i < 4; i++, pos += TENSOR) {
		check_eq(devmem_conn_read(conn, tensor, 0, TENSOR, 0), TENSOR);
		check_eq(devmem_pattern_check(map, TENSOR, pos, SEED), -1);
	}
	test_join(pid);
	kill(other, SIGKILL);
	must(waitpid(other, NULL, 0));
	devmem_conn_close(idle);
	close_rx();
}

/* What was not received then is told to be gone; what is held stays as it is. */
static void closed_under_it(void)
{
	struct devmem_piece piece;
	ssize_t n;

	open_small(DEVMEM_BUF_UDMABUF, STAGING);
	connect_rx(AF_INET);
	must_ok(devmem_msg_alloc(&msg, 100000, 1, 0));
	send_pattern(c.tx, 1000, 0, SEED, 1000);
	check_cmp(devmem_conn_recv(conn, msg, 0), >, 0);
	check(devmem_msg_next(msg, &piece));
	check_eq(piece.type, DEVMEM_PIECE_DMABUF);
	send_pattern(c.tx, 200000, 1000, SEED, 10000);
	check(within(5000, queued(c.rx) >= 100000));
	devmem_rx_close(rx);
	check_piece(&piece, 0, SEED);
	n = devmem_conn_recv(conn, msg, 0);
	check_eq(n, -EIO);
	check(strstr(devmem_error(), "when the receiver was closed"));
	devmem_conn_close(conn);
	check_piece(&piece, 0, SEED);
	check_eq(devmem_conn_release(conn, piece.token), 0);
	devmem_buf_free(staging);
	devmem_buf_free(tensor);
}

static void nothing(int sig)
{
	(void)sig;
}

/* As long as recv() would wait, and no longer. */
static void waiting(void)
{
	struct timeval timeout = { .tv_usec = 50000 };
	struct sigaction action = { .sa_handler = nothing };
	struct linger linger = { .l_onoff = 1 };
	struct itimerval often = { .it_value.tv_usec = 20000, .it_interval.tv_usec = 20000 };
	char byte;

	open_small(DEVMEM_BUF_UDMABUF, STAGING);
	connect_rx(AF_INET);
	check_eq(devmem_conn_read_host(conn, &byte, 1, MSG_DONTWAIT), -EAGAIN);
	must(setsockopt(c.rx, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)));
	check_eq(devmem_conn_read_host(conn, &byte, 1, 0), -EAGAIN);
	timeout.tv_usec = 0;
	must(setsockopt(c.rx, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)));
	must(sigaction(SIGALRM, &action, NULL));
	must(setitimer(ITIMER_REAL, &often, NULL));
	check_eq(devmem_conn_read_host(conn, &byte, 1, 0), -EINTR);
	memset(&often, 0, sizeof(often));
	must(setitimer(ITIMER_REAL, &often, NULL));

	/* it goes on, and then the peer is gone */
	send_pattern(c.tx, 1, 0, SEED, 1);
	check_eq(devmem_conn_read_host(conn, &byte, 1, 0), 1);
	check_eq((unsigned char)byte, devmem_pattern_byte(0, SEED));
	must(setsockopt(c.tx, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	close(c.tx);
	check_eq(devmem_conn_read_host(conn, &byte, 1, 0), -ECONNRESET);
	devmem_conn_close(conn);
	close_all();
}

/* Several bytes, then an end that is none: the bytes come first, and it is told once. */
static void reset_after_bytes(void)
{
	struct linger linger = { .l_onoff = 1 };
	unsigned char bytes[20000];
	ssize_t n;

	open_small(DEVMEM_BUF_GPU, STAGING);
	connect_rx(AF_INET);
	send_pattern(c.tx, sizeof(bytes), 0, SEED, 1000);
	check(within(5000, queued(c.rx) == sizeof(bytes)));
	check_eq(devmem_conn_read_host(conn, bytes, 10, 0), 10);
	must(setsockopt(c.tx, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
	close(c.tx);
	/* those that were taken already are there */
	check_eq(devmem_conn_read_host(conn, bytes, sizeof(bytes) - 10, 0), sizeof(bytes) - 10);
	check_eq(devmem_pattern_check(bytes, sizeof(bytes) - 10, 10, SEED), -1);
	n = devmem_conn_read_host(conn, bytes, 1, 0);
	check_eq(n, -ECONNRESET);
	check_eq(devmem_conn_read_host(conn, bytes, 1, 0), 0);
	devmem_conn_close(conn);
	close_all();
}

/* By itself where the others do not work. */
static void chosen_third(void)
{
	static const uint32_t queue = 3;
	struct devmem_rx_config config = { .dev = "nsd0", .queues = &queue, .nr_queues = 1 };

	need_path(DEVMEM_VIA_ZCRX);
	make_tensor();
	must_ok(devmem_buf_alloc(&staging, DEVMEM_BUF_HOST, STAGING, 0));
	must_ok(devmem_rx_open(&rx, staging, &config, 0));
	check_eq(devmem_rx_via(rx), DEVMEM_VIA_ZCRX);
	check(strstr(devmem_rx_passed_over(rx), "kernel: "));
	connect_rx(AF_INET);
	send_pattern(c.tx, 5000, 0, SEED, 5000);
	check_eq(devmem_conn_read(conn, tensor, 0, 5000, 0), 5000);
	check_tensor(0, 0, 5000);
	close_rx();
}

static void doctor_says(const char *text)
{
	static const struct tool_opts on_receiver;
	struct tool t;

	tool_start(&t, &on_receiver, "doctor --json nsd0");
	check(within(5000, !tool_runs(&t)));
	check(tool_printed(&t, text));
	check_eq(tool_end(&t), 0);
}

/* Where the kernel lacks it, that is all there is to say, and nothing has changed. */
static void kernel_lacks_it(void)
{
	struct devmem_rx_config config = { .via = DEVMEM_VIA_ZCRX, .dev = "nsd0" };

	if (zcrx_known())
		skip("this kernel has it");
	must_ok(devmem_buf_alloc(&staging, DEVMEM_BUF_UDMABUF, MIB, 0));
	check_eq(devmem_rx_open(&rx, staging, &config, 0), -EOPNOTSUPP);
	check(strstr(devmem_error(), "it takes Linux 6.15 or newer"));
	check_eq(devmem_via_check(DEVMEM_VIA_ZCRX, "nsd0", 0), -EOPNOTSUPP);
	doctor_says("\"path zcrx\", \"finding\": \"no\"");
	devmem_buf_free(staging);
}

static void tool(void)
{
	static const struct tool_opts on_receiver, on_sender = { .side = SENDER };
	static const char * const addr[] = { ADDR4(RECEIVER), ADDR6(RECEIVER) };
	struct tool listener, sender;
	unsigned int i;

	need_path(DEVMEM_VIA_ZCRX);
	doctor_says("\"path zcrx\", \"finding\": \"ok\"");
	for (i = 0; i < ARRAY_SIZE(addr); i++) {
		tool_start(&listener, &on_receiver,
			   "listen --json --via zcrx --dev nsd0 --verify pattern --expect 64M --size 16M %s %s %u",
			   i ? "--hold 50 --pieces 16" : "--buffer udmabuf", addr[i], PORT);
		tool_must_say(&listener, "listening on");
		tool_start(&sender, &on_sender, "send --bytes 64M %s %u", addr[i], PORT);
		check_eq(tool_end(&sender), 0);
		check(within(20000, !tool_runs(&listener)));
		check(tool_printed(&listener, "\"verified\": true"));
		check(tool_printed(&listener, "\"via\": \"zcrx\""));
		check_eq(tool_end(&listener), 0);
	}
}

/* A queue that a ring of somebody else has. */
static void taken(void)
{
	static const uint32_t queue = 3;
	struct devmem_rx_config config = {
		.via = DEVMEM_VIA_ZCRX, .dev = "nsd0", .queues = &queue, .nr_queues = 1,
	};
	struct zcrx_area area = { .dmabuf = -1, .size = MIB, .page = 4096 };
	struct devmem_buf *theirs;
	struct zcrx z;

	need_path(DEVMEM_VIA_ZCRX);
	ask_for_split();
	must_ok(devmem_buf_alloc(&theirs, DEVMEM_BUF_HOST, MIB, 0));
	must_ok(devmem_buf_map(theirs, &area.addr, 0));
	must_ok(devmem_buf_alloc(&staging, DEVMEM_BUF_HOST, MIB, 0));
	zcrx_open(&z, queue, &area);
	check_eq(devmem_rx_open(&rx, staging, &config, 0), -EBUSY);
	check(strstr(devmem_error(), "a program receives from rx queue 3 by io_uring"));
	zcrx_close(&z);
	/* it waits until that has let go */
	must_ok(devmem_rx_open(&rx, staging, &config, 0));
	devmem_rx_close(rx);
	devmem_buf_free(staging);
	devmem_buf_free(theirs);
}

/* devmem-nic is killed: what the receiver needs is left as it is until that has gone. */
static void orphan(void)
{
	struct devmem_conn_stats stats;
	struct picture before;
	pid_t nic;

	need_path(DEVMEM_VIA_ZCRX);
	picture_take(&before);
	open_small(DEVMEM_BUF_GPU, STAGING);
	connect_rx(AF_INET);
	check_eq(nic_processes(&nic), 1);
	must(kill(nic, SIGKILL));
	check(within(2000, !nic_processes(NULL)));
	must_cmd("ncdevmem cleanup nsd0");
	send_pattern(c.tx, 10000, 0, SEED, 10000);
	check_eq(devmem_conn_read(conn, tensor, 0, 10000, 0), 10000);
	check_tensor(0, 0, 10000);
	devmem_conn_get_stats(conn, &stats);
	check_cmp(stats.tokens, >, 0);
	close_rx();
	must_cmd("ncdevmem cleanup nsd0");
	check_undone(&before);
}

/* Last: it does not come back. */
static void device_goes(void)
{
	struct devmem_piece piece;

	open_small(DEVMEM_BUF_GPU, STAGING);
	connect_rx(AF_INET);
	must_ok(devmem_msg_alloc(&msg, 100000, 1, 0));
	send_pattern(c.tx, 1000, 0, SEED, 1000);
	check_cmp(devmem_conn_recv(conn, msg, 0), >, 0);
	check(devmem_msg_next(msg, &piece));
	must_cmd("ip link del dev nsd0");
	check_eq(devmem_conn_recv(conn, msg, MSG_DONTWAIT), -EAGAIN);
	check_piece(&piece, 0, SEED);
	check_eq(devmem_conn_release(conn, piece.token), 0);
	devmem_conn_close(conn);
	devmem_rx_close(rx);
	check_eq(nic_processes(NULL), 0);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(one_by_one),
	KTAP_CASE(waits_elsewhere),
	KTAP_CASE(tiny_reads),
	KTAP_CASE(window),
	KTAP_CASE(early),
	KTAP_CASE(nobody_reads),
	KTAP_CASE(closed_under_it),
	KTAP_CASE(waiting),
	KTAP_CASE(reset_after_bytes),
	KTAP_CASE(chosen_third),
	KTAP_CASE(kernel_lacks_it),
	KTAP_CASE(tool),
	KTAP_CASE(taken),
	KTAP_CASE(orphan),
	KTAP_CASE(device_goes),
};

static void setup(void)
{
	env_setup(4);
}

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
