// SPDX-License-Identifier: GPL-2.0
/*
 * Who may go first: bindings, sockets and processes that end while others hold
 * memory, and sockets that change hands or connections. Links, namespaces and
 * modules: teardown_test.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"
#include "common_ctl.h"

#define SEED	0x11fec
#define BUFFER	(4U << 20)
#define CHUNK	65536
#define STREAM	(512 * 1024)

static struct bound b;
static struct conn c;
static struct rx rx;

/* An attached connection that has placed STREAM bytes, whose tokens are held. */
static void hold_some(int family)
{
	pid_t pid;

	bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, CHUNK);
	connect_pair(&c, family);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
	rx.keep = true;
	pid = send_start(&c, STREAM, SEED, 4000, 0);
	rx_all(&rx, STREAM);
	test_join(pid);
	rx_check_placed(&rx, STREAM);
	check_cmp(rx.nr_held, >, 0);
	rx_check_info(&rx);
}

static uint32_t free_chunks(void)
{
	struct devmem_bind_info info;

	bound_info(&b, &info);
	return info.chunks_free;
}

/* ---- bindings and sockets ---------------------------------------------- */

/* The holder of the binding lets go; the reader goes on. */
static void binding_closed_while_tokens_are_held(void)
{
	struct devmem_bind_info bind_info;
	struct devmem_info info;
	struct devmem_nl *nl;
	struct bound other;
	pid_t pid;

	hold_some(AF_INET);
	check_eq(devmem_nl_open(&nl, 0), 0);
	unbind(&b);
	check_eq(devmem_nl_wait(nl, b.res.id, patient(2000), 0), 0);
	check_eq(devmem_bind_get(nl, b.res.id, &bind_info, 0), 0);
	check_eq(bind_info.state, NETDEV_DEVMEM_STATE_CLOSING);
	check_eq(bind_info.flows, 0);
	info = rx_check_info(&rx);
	check_eq(info.state, NETDEV_DEVMEM_STATE_CLOSING);

	/* its queues are free, its memory is not: the other's goes elsewhere */
	bind_buffer(&other, DEVMEM_BUF_GPU, BUFFER, CHUNK);
	rx_check_held(&rx);

	/* the stream goes on where it was, in host memory */
	pid = test_fork();
	if (!pid) {
		send_pattern(c.tx, STREAM, STREAM, SEED, 3000);
		must(shutdown(c.tx, SHUT_WR));
		_exit(0);
	}
	rx_all(&rx, STREAM);
	rx_eof(&rx);
	test_join(pid);
	rx_check_placed(&rx, STREAM);
	check_eq(rx.host, STREAM);
	rx_check_held(&rx);
	rx_return(&rx);
	check_eq(rx_check_info(&rx).tokens_held, 0);

	disconnect_pair(&c);
	check_eq(devmem_nl_wait(nl, b.res.id, patient(2000), DEVMEM_WAIT_GONE), 0);
	check_eq(devmem_bind_get(nl, b.res.id, &bind_info, 0), -ENOENT);
}

/* Its last token is returned after the binding and before the socket. */
static void binding_goes_with_the_socket(void)
{
	hold_some(AF_INET6);
	unbind(&b);
	check_eq(live_object("bindings"), 1);
	rx_return(&rx);
	check(within(2000, live_object("chunks") <= 1));
	check_eq(live_object("bindings"), 1);
	disconnect_pair(&c);
	check(within(2000, !live_object("bindings")));
	check_eq(live_object("chunks"), 0);
}

static void socket_closed_with_tokens_out(void)
{
	int round;

	hold_some(AF_INET);
	check_cmp(free_chunks(), <=, BUFFER / CHUNK - STREAM / CHUNK);
	close(c.rx);
	check(within(1000, free_chunks() == BUFFER / CHUNK));
	check_eq(live_object("tokens"), 0);
	check(within(1000, !live_object("sockets") && !live_object("flows") &&
		     !live_object("rules")));
	close(c.tx);

	/* and again, with data that nobody reads */
	for (round = 0; round < 5; round++) {
		connect_pair(&c, AF_INET);
		attach(c.rx, &b);
		send_pattern(c.tx, 100000, 0, SEED, 1000);
		check(within(2000, free_chunks() < BUFFER / CHUNK));
		disconnect_pair(&c);
		check(within(1000, free_chunks() == BUFFER / CHUNK));
	}
}

/* ---- processes --------------------------------------------------------- */

/* Receives until it is killed. @keep: without giving anything back. */
static void victim(int ready, bool keep)
{
	bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, CHUNK);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
	rx.keep = keep;
	must(write(ready, "r", 1));
	for (;;) {
		rx_all(&rx, CHUNK);
		if (rx.pos >= 16 * CHUNK)
			must(write(ready, "m", 1));
	}
}

static void endless_sender(void)
{
	static unsigned char buf[32768];
	uint64_t pos = 0;

	for (;;) {
		devmem_pattern_fill(buf, sizeof(buf), pos, SEED);
		if (send(c.tx, buf, sizeof(buf), MSG_NOSIGNAL) != sizeof(buf))
			_exit(0);
		pos += sizeof(buf);
	}
}

static void kill_mid_stream(bool keep)
{
	pid_t pid, sender;
	int ready[2];
	char byte;

	must(pipe(ready));
	connect_pair(&c, AF_INET);
	pid = test_fork();
	if (!pid) {
		close(c.tx);
		victim(ready[1], keep);
	}
	close(c.rx);
	check_eq(read(ready[0], &byte, 1), 1);
	sender = test_fork();
	if (!sender)
		endless_sender();
	close(c.tx);
	do
		check_eq(read(ready[0], &byte, 1), 1);
	while (byte != 'm');
	/* for a moment there may be none: all filled, read and given back */
	check(within(1000, live_object("chunks")));
	kill(pid, SIGKILL);

	/* all its memory, within a second of its death */
	check_eq(waitpid(pid, NULL, 0), pid);
	check(within(1000, !live_object("gpu_buffers") && !live_object("chunks") &&
		     !live_object("bindings") && !live_object("tokens") &&
		     !live_object("flows") && !live_object("sockets")));
	bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, CHUNK);
	free_bound(&b);
	kill(sender, SIGKILL);
	check_eq(waitpid(sender, NULL, 0), sender);
}

static void process_killed_mid_stream(void)
{
	kill_mid_stream(false);
	kill_mid_stream(false);
}

static void process_killed_with_tokens_out(void)
{
	kill_mid_stream(true);
}

static void socket_shared_by_fork(void)
{
	struct devmem_info info;
	pid_t pid, reader;

	hold_some(AF_INET);
	pid = test_fork();
	if (!pid) {
		send_pattern(c.tx, 3 * STREAM, STREAM, SEED, 20000);
		_exit(0);
	}
	/* the child reads on, and gives back the tokens that the parent got */
	reader = test_fork();
	if (!reader) {
		rx_all(&rx, STREAM);
		rx_return(&rx);
		_exit(0);
	}
	test_join(reader);
	check_eq(devmem_sock_info(c.rx, &info, 0), 0);
	check_eq(info.tokens_held, 0);
	check_eq(live_object("tokens"), 0);
	check_eq(live_object("sockets"), 1);

	/* then the parent, though a process with the socket has ended */
	rx.nr_held = 0;
	rx.pos = 2 * STREAM;
	rx.placed = 0;
	rx_all(&rx, 2 * STREAM);
	test_join(pid);
	rx_check_placed(&rx, 2 * STREAM);
}

/* A process that was there before the binding and the connection. */
static void inherit(int channel)
{
	uint64_t state[3];
	struct rx_piece *held;
	void *map;
	int sock;

	check_eq(recv(channel, &b.res, sizeof(b.res), MSG_WAITALL), sizeof(b.res));
	check_eq(recv(channel, state, sizeof(state), MSG_WAITALL), sizeof(state));
	held = calloc(state[1], sizeof(*held));
	check_eq(recv(channel, held, state[1] * sizeof(*held), MSG_WAITALL),
		 (ssize_t)(state[1] * sizeof(*held)));
	sock = ctl_recv_fd(channel);
	check_eq(devmem_buf_import(&b.buf, ctl_recv_fd(channel), 0), 0);
	check_eq(devmem_buf_map(b.buf, &map, 0), 0);
	b.map = map;
	b.size = BUFFER;
	must(send(channel, "k", 1, 0));

	rx_init(&rx, sock, &b, SEED);
	rx.keep = true;
	rx.pos = state[0];
	rx.held = held;
	rx.nr_held = rx.max_held = state[1];
	rx_check_held(&rx);
	rx_all(&rx, STREAM);
	rx_eof(&rx);
	rx_check_placed(&rx, STREAM);
	rx_check_held(&rx);
	rx_return(&rx);
	_exit(0);
}

static void socket_passed_to_another_process(void)
{
	uint64_t state[3];
	pid_t pid, sender;
	int pair[2];
	char byte;

	must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	pid = test_fork();
	if (!pid)
		inherit(pair[1]);
	hold_some(AF_INET6);
	state[0] = rx.pos;
	state[1] = rx.nr_held;
	must(send(pair[0], &b.res, sizeof(b.res), 0));
	must(send(pair[0], state, sizeof(state), 0));
	must(send(pair[0], rx.held, rx.nr_held * sizeof(*rx.held), 0));
	check_eq(ctl_send_fd(pair[0], c.rx), 0);
	check_eq(ctl_send_fd(pair[0], devmem_buf_fd(b.buf)), 0);
	check_eq(recv(pair[0], &byte, 1, 0), 1);
	close(c.rx);
	check_eq(live_object("tokens"), (long)rx.nr_held);
	sender = test_fork();
	if (!sender) {
		send_pattern(c.tx, STREAM, STREAM, SEED, 1448);
		must(shutdown(c.tx, SHUT_WR));
		_exit(0);
	}
	test_join(pid);
	test_join(sender);
	check(within(2000, !live_object("sockets") && !live_object("tokens")));
}

/* ---- connections ------------------------------------------------------- */

static void wait_for_reset(int sock)
{
	struct pollfd pfd = { .fd = sock };

	check_eq(poll(&pfd, 1, patient(5000)), 1);
	check(pfd.revents & (POLLERR | POLLHUP));
}

/* The peer breaks the connection and makes one with the same addresses and
 * ports, while the old socket is still open here and holds tokens.
 */
static void reuse_tuple(bool reverse)
{
	struct conn_opts opts = {
		.family = AF_INET, .sport = 4321, .dport = 1234, .reverse = reverse,
	};
	struct linger now = { .l_onoff = 1 };
	unsigned char byte[100];
	struct rx old;
	int old_sock = -1, round;
	pid_t pid;

	memset(&old, 0, sizeof(old));
	bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, CHUNK);
	for (round = 0; round < 8; round++) {
		uint64_t seed = SEED + (uint64_t)round;

		connect_with(&c, &opts);
		/* nobody has said that this one's bytes may be placed */
		send_pattern(c.tx, sizeof(byte), 0, seed, sizeof(byte));
		check_eq(recv(c.rx, byte, sizeof(byte), MSG_WAITALL), sizeof(byte));
		check_eq(devmem_pattern_check(byte, sizeof(byte), 0, seed), -1);

		attach(c.rx, &b);
		if (old_sock >= 0) {
			rx_check_held(&old);
			if (round & 1)
				rx_return(&old);
			close(old_sock);
			rx_free(&old);
		}
		rx_init(&rx, c.rx, &b, seed);
		rx.pos = sizeof(byte);
		rx.keep = true;
		pid = test_fork();
		if (!pid) {
			send_pattern(c.tx, STREAM, sizeof(byte), seed, 8000);
			_exit(0);
		}
		rx_all(&rx, STREAM);
		test_join(pid);
		rx_check_placed(&rx, STREAM);

		must(setsockopt(c.tx, SOL_SOCKET, SO_LINGER, &now, sizeof(now)));
		close(c.tx);
		wait_for_reset(c.rx);
		old = rx;
		old_sock = c.rx;
	}
	check_eq(rx_recv(&old, MSG_DONTWAIT), -ECONNRESET);
	rx_check_held(&old);
	rx_return(&old);
	check_eq(rx_recv(&old, MSG_DONTWAIT), 0);
	close(old_sock);
	check(within(2000, !live_object("flows") && !live_object("rules")));
}

static void tuple_reused_by_a_client(void)
{
	reuse_tuple(false);
}

static void tuple_reused_by_ourselves(void)
{
	reuse_tuple(true);
}

static struct conn_opts active_open = { .family = AF_INET, .reverse = true };

/* connect(AF_UNSPEC), then another connection with the same socket. */
static void connect_again(void)
{
	struct sockaddr nowhere = { .sa_family = AF_UNSPEC };
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int listener;

	must(connect(c.rx, &nowhere, sizeof(nowhere)));
	check(within(2000, !live_object("flows") && !live_object("rules")));
	rx_check_held(&rx);
	check_eq(rx_recv(&rx, MSG_DONTWAIT), -ECONNRESET);
	check_eq(rx_recv(&rx, MSG_DONTWAIT), -ENOTCONN);
	check_eq(devmem_attach(c.rx, b.res.id, devmem_buf_fd(b.buf), 0), -ENOTCONN);
	check_errno(listen(c.rx, 1), EINVAL);
	close(c.tx);

	env_enter(SENDER);
	listener = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	env_enter(RECEIVER);
	must(bind(listener, (void *)&ss, side_addr(&ss, SENDER, AF_INET, 0)));
	must(listen(listener, 1));
	must(getsockname(listener, (void *)&ss, &len));
	must(connect(c.rx, (void *)&ss, len));
	c.tx = must(accept(listener, NULL, NULL));
}

/* Attached to @b, and most of 50000 bytes placed. */
static void hold_first(void)
{
	connect_with(&c, &active_open);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
	rx.keep = true;
	/* the input route of an active open may come with its first segments */
	send_pattern(c.tx, 5000, 0, SEED, 5000);
	rx_all(&rx, 5000);
	send_pattern(c.tx, 45000, 5000, SEED, 5000);
	rx_all(&rx, 45000);
	check_cmp(rx.placed, >=, 45000);
}

static void disconnect_and_connect_again(void)
{
	struct rx again;
	pid_t pid;

	bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, CHUNK);
	hold_first();
	connect_again();
	attach(c.rx, &b);
	rx_init(&again, c.rx, &b, SEED + 1);
	send_pattern(c.tx, 4000, 0, SEED + 1, 4000);
	rx_all(&again, 4000);
	pid = test_fork();
	if (!pid) {
		send_pattern(c.tx, STREAM - 4000, 4000, SEED + 1, 4000);
		must(shutdown(c.tx, SHUT_WR));
		_exit(0);
	}
	rx_all(&again, STREAM - 4000);
	rx_eof(&again);
	test_join(pid);
	check_cmp(again.placed, >=, STREAM - 4000);
	/* tokens of the first connection were kept, and count still */
	rx_check_held(&rx);
	rx_return(&rx);
}

/* A socket that was attached to one binding and now is to another gives tokens of
 * both back in one range.
 */
static void tokens_of_two_bindings(void)
{
	static const uint32_t queues[] = { 0, 1 };
	struct devmem_bind_info info;
	struct devmem_range all;
	struct bound second = {};
	struct rx again;

	bind_queues(&b, DEVMEM_BUF_GPU, BUFFER, 4096, &queues[0], 1);
	bind_queues(&second, DEVMEM_BUF_HEAP, BUFFER / 2, 4096, &queues[1], 1);
	hold_first();
	connect_again();
	attach(c.rx, &second);
	rx_init(&again, c.rx, &second, SEED + 1);
	again.keep = true;
	send_pattern(c.tx, 5000, 0, SEED + 1, 5000);
	rx_all(&again, 5000);
	send_pattern(c.tx, 45000, 5000, SEED + 1, 5000);
	rx_all(&again, 45000);
	check_cmp(again.nr_held, >, 10);
	rx_check_held(&rx);
	rx_check_held(&again);

	all.token_start = rx.held[0].token;
	all.token_count = again.held[again.nr_held - 1].token - all.token_start + 1;
	check_eq(devmem_release(c.rx, &all, 1, 0), rx.nr_held + again.nr_held);
	check(within(1000, (bound_info(&b, &info), info.chunks_free == info.chunks)));
	bound_info(&second, &info);
	check_cmp(info.chunks_free, >=, info.chunks - 1);
	disconnect_pair(&c);
	free_bound(&second);
}

/* What a binding takes of the host's memory it gives back, above all the page as
 * large as a chunk that stands for its payload in skbs.
 */
static void host_memory_comes_back(void)
{
	const unsigned int rounds = 96, chunk_kib = 2048;
	long long before, lost;
	unsigned int i;

	before = meminfo("MemAvailable");
	for (i = 0; i < rounds; i++) {
		bind_buffer(&b, DEVMEM_BUF_GPU, BUFFER, chunk_kib << 10);
		connect_pair(&c, AF_INET);
		attach(c.rx, &b);
		rx_init(&rx, c.rx, &b, SEED);
		send_pattern(c.tx, 60000, 0, SEED, 60000);
		rx_all(&rx, 60000);
		rx_check_placed(&rx, 60000);
		rx_free(&rx);
		disconnect_pair(&c);
		free_bound(&b);
		check(within(2000, !live_object("bindings")));
	}
	lost = before - meminfo("MemAvailable");
	diag("%lld KiB less", lost);
	check_cmp(lost, <, rounds * chunk_kib / 2);
}

static void setup(void)
{
	env_setup(4);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(binding_closed_while_tokens_are_held),
	KTAP_CASE(binding_goes_with_the_socket),
	KTAP_CASE(socket_closed_with_tokens_out),
	KTAP_CASE(process_killed_mid_stream),
	KTAP_CASE(process_killed_with_tokens_out),
	KTAP_CASE(socket_shared_by_fork),
	KTAP_CASE(socket_passed_to_another_process),
	KTAP_CASE(tuple_reused_by_a_client),
	KTAP_CASE(tuple_reused_by_ourselves),
	KTAP_CASE(disconnect_and_connect_again),
	KTAP_CASE(tokens_of_two_bindings),
	KTAP_CASE(host_memory_comes_back, .timeout = 60),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
