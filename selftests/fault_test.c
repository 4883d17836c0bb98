// SPDX-License-Identifier: GPL-2.0
/*
 * No memory, at each place where net/devmem or the kernel on its behalf wants
 * some: binding, attaching, receiving, and the end of each. Sees whether the
 * caller learns of it, can go on, and nothing is left behind. Must not know how
 * a NIC is made: fault_nic_test.c.
 */
#include <fcntl.h>
#include <linux/netdev-devmem.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>

#include "common.h"
#include "common_attach.h"
#include "common_ctl.h"
#include "common_fault.h"

#define SEED	0xfa17
#define CHUNK	4096
#define SIZE	(1U << 20)

static uint32_t ifindex;
static int buffer = -1;
static struct ctl_nl nl;
static struct ctl_answer answer;
static struct bound b;
static struct conn c;

static void setup(void)
{
	fault_setup();
	env_setup(4);
	ifindex = env_ifindex();
}

static int answered(int ret)
{
	return ret ? FAULT_LOST : -answer.err;
}

/* ---- binding ------------------------------------------------------------ */

static void open_socket(void)
{
	check_eq(ctl_nl_open(&nl), 0);
}

static int run_bind(void)
{
	return answered(ctl_bind(&nl, ifindex, 3, buffer, CHUNK, &answer));
}

static void close_socket(bool done)
{
	if (done) {
		check_eq(answer.chunks, SIZE / CHUNK);
		check_eq(ctl_count_bindings(), 1);
	}
	ctl_nl_close(&nl);
}

static const struct fault_op bind_op = {
	.name = "bind-rx", .floor = 6,
	.before = open_socket, .run = run_bind, .after = close_socket,
};

static void bind_rx(void)
{
	buffer = must(ctl_gpu_alloc(SIZE, 0, 0));
	fault_sweep_memory(&bind_op);
	fault_sweep(&bind_op, FAULT_ALL);
}

/* Somebody listens: what he is not told is no error. */
static void bind_with_listener(void)
{
	static const struct fault_op op = {
		.name = "bind-rx with a listener", .floor = 6,
		.before = open_socket, .run = run_bind, .after = close_socket,
	};
	struct devmem_nl *listener;

	buffer = must(ctl_gpu_alloc(SIZE, 0, 0));
	if (devmem_nl_open(&listener, 0) || devmem_nl_subscribe(listener, 0))
		fail("%s", devmem_error());
	fault_sweep_memory(&op);
	devmem_nl_close(listener);
}

static uint32_t binding;

static void open_bound(void)
{
	open_socket();
	check_eq(run_bind(), 0);
	binding = answer.id;
}

static int run_get(void)
{
	struct nlmsghdr *nlh = ctl_request(&nl, NETDEV_DEVMEM_CMD_BIND_GET);

	mnl_attr_put_u32(nlh, NETDEV_DEVMEM_A_BINDING_ID, binding);
	return answered(ctl_talk(&nl, nlh, &answer));
}

static void forget(bool done)
{
	if (done)
		check_eq(answer.id, binding);
	ctl_nl_close(&nl);
}

static void ask(void)
{
	static const struct fault_op op = {
		.name = "bind-get", .floor = 1,
		.before = open_bound, .run = run_get, .after = forget,
	};

	buffer = must(ctl_gpu_alloc(SIZE, 0, 0));
	fault_sweep_memory(&op);
}

static int run_close(void)
{
	ctl_nl_close(&nl);
	return 0;
}

/* The end of a binding cannot fail. */
static void unbind_by_close(void)
{
	static const struct fault_op op = {
		.name = "unbind", .before = open_bound, .run = run_close,
	};
	struct devmem_nl *listener;

	buffer = must(ctl_gpu_alloc(SIZE, 0, 0));
	if (devmem_nl_open(&listener, 0) || devmem_nl_subscribe(listener, 0))
		fail("%s", devmem_error());
	fault_sweep_memory(&op);
	fault_sweep(&op, FAULT_ALL);
	devmem_nl_close(listener);
}

/* ---- sockets ------------------------------------------------------------ */

static int home = -1;

static void loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));

	must(ioctl(fd, SIOCSIFFLAGS, &ifr));
	close(fd);
}

/* A connection in a network namespace where nobody has set the ULP before. */
static void new_namespace(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	socklen_t len = sizeof(addr);
	int listener;

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(unshare(CLONE_NEWNET));
	loopback_up();
	listener = new_socket(SOCK_STREAM, 0);
	must(listen(listener, 1));
	must(getsockname(listener, (struct sockaddr *)&addr, &len));
	c.tx = new_socket(SOCK_STREAM, 0);
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(connect(c.tx, (struct sockaddr *)&addr, sizeof(addr)));
	c.rx = must(accept4(listener, NULL, NULL, SOCK_CLOEXEC));
	close(listener);
}

static int run_ulp(void)
{
	return set_ulp(c.rx, "devmem") ? -errno : 0;
}

static void leave_namespace(bool done)
{
	char byte = 1;

	check(done);
	check_eq(send(c.tx, &byte, 1, 0), 1);
	check_eq(recv(c.rx, &byte, 1, 0), 1);
	disconnect_pair(&c);
	must(setns(home, CLONE_NEWNET));
}

static void ulp(void)
{
	static const struct fault_op op = {
		.name = "TCP_ULP", .floor = 1, .before = new_namespace,
		.run = run_ulp, .after = leave_namespace,
	};

	home = must(open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC));
	fault_sweep_memory(&op);
	fault_sweep(&op, FAULT_ALL);
}

/* There is room for what is sent before anybody reads, in whatever pieces it comes. */
static void with_ulp(void)
{
	struct conn_opts opts = { .family = AF_INET, .rcvbuf = 1 << 20 };

	connect_with(&c, &opts);
	must(set_ulp(c.rx, "devmem"));
}

static int run_attach(void)
{
	return try_attach(c.rx, b.res.id, devmem_buf_fd(b.buf)) ? -errno : 0;
}

/* It is attached, and carries what it should. */
static void carry(bool done)
{
	check(done);
	carries(&c, &b);
	disconnect_pair(&c);
}

static void attach_socket(void)
{
	static const struct fault_op op = {
		.name = "DEVMEM_ATTACH", .floor = 2,
		.before = with_ulp, .run = run_attach, .after = carry,
	};

	env_patient();
	bind_buffer(&b, DEVMEM_BUF_GPU, 4 * SIZE, 65536);
	fault_sweep_memory(&op);
	fault_sweep(&op, FAULT_ALL);
}

static void attached(void)
{
	with_ulp();
	check_eq(run_attach(), 0);
	send_pattern(c.tx, 100000, 0, SEED, 10000);
}

static int run_close_socket(void)
{
	close(c.rx);
	return 0;
}

static int run_disconnect(void)
{
	struct sockaddr unspec = { .sa_family = AF_UNSPEC };

	return connect(c.rx, &unspec, sizeof(unspec)) ? -errno : 0;
}

static void close_sender(bool done)
{
	check(done);
	close(c.tx);
}

static void close_both(bool done)
{
	check(done);
	disconnect_pair(&c);
}

/* Neither close() nor a disconnect can fail; unread packets go with them. */
static void detach(void)
{
	static const struct fault_op close_op = {
		.name = "close", .before = attached, .run = run_close_socket,
		.after = close_sender,
	};
	static const struct fault_op disconnect_op = {
		.name = "disconnect", .before = attached, .run = run_disconnect,
		.after = close_both,
	};

	bind_buffer(&b, DEVMEM_BUF_GPU, 4 * SIZE, 65536);
	fault_sweep_memory(&close_op);
	fault_sweep_memory(&disconnect_op);
}

/* ---- receiving ---------------------------------------------------------- */

#define STREAM	(600 * 1000)

static struct rx rx;

/* One call. Whatever it says, the next one goes on where this one ended. */
static bool receive(unsigned int nth)
{
	ssize_t n;
	bool hit;

	rx_wait(&rx);
	fault_begin(nth);
	n = rx_recv(&rx, MSG_DONTWAIT);
	hit = fault_end();
	if (n < 0 && !fault_is_refusal((int)n))
		fail("recvmsg: %s", strerror((int)-n));
	if (n < 0)
		check(hit);
	return n < 0;
}

/* Each call to read a stream fails at its first allocation; when it is refused,
 * the next one fails at its second. All tokens are held, so that the table of
 * them has to grow several times.
 */
static void receive_without(void)
{
	unsigned int calls, refused = 0, nth = 1;
	pid_t pid;

	bind_buffer(&b, DEVMEM_BUF_GPU, 4 * SIZE, CHUNK);
	with_ulp();
	check_eq(run_attach(), 0);
	rx_init(&rx, c.rx, &b, SEED);
	rx.linear_size = 3000;
	pid = send_start(&c, STREAM, SEED, 10000, SEND_SHUTDOWN);
	for (calls = 0; rx.pos < STREAM; calls++) {
		nth = receive(nth) ? nth + 1 : 1;
		refused += nth > 1;
	}
	rx_eof(&rx);
	test_join(pid);
	diag("recvmsg: %u calls, %u refused", calls, refused);
	check_cmp(refused, >=, 3);
	check_cmp(rx.placed, >, 0);
	rx_check_held(&rx);
	rx_check_info(&rx);
	rx_return(&rx);
	disconnect_pair(&c);
	free_bound(&b);
}

static uint32_t token;

static void hold_token(void)
{
	attached();
	rx_init(&rx, c.rx, &b, SEED);
	rx_queued(&rx, 100000);
	check_cmp(rx_recv(&rx, MSG_DONTWAIT), >, 0);
	check_cmp(rx.nr_held, >, 0);
	token = rx.held[--rx.nr_held].token;
}

static int run_dontneed(void)
{
	struct devmem_range range = { token, 1 };
	int got = setsockopt(c.rx, SOL_SOCKET, SO_DEVMEM_DONTNEED, &range,
			     sizeof(range));

	if (got < 0)
		return -errno;
	check_eq(got, 1);
	return 0;
}

static int run_info(void)
{
	struct devmem_info info;
	socklen_t len = sizeof(info);

	return getsockopt(c.rx, SOL_DEVMEM, DEVMEM_INFO, &info, &len) ? -errno : 0;
}

static void return_rest(bool done)
{
	check(done);
	rx_return(&rx);
	rx_free(&rx);
	disconnect_pair(&c);
}

/* A token is given back once, however often it was tried. */
static void return_tokens(void)
{
	static const struct fault_op dontneed_op = {
		.name = "SO_DEVMEM_DONTNEED", .floor = 1, .before = hold_token,
		.run = run_dontneed, .after = return_rest,
	};
	static const struct fault_op info_op = {
		.name = "DEVMEM_INFO", .before = attached, .run = run_info,
		.after = close_both,
	};

	bind_buffer(&b, DEVMEM_BUF_GPU, 4 * SIZE, 65536);
	fault_sweep_memory(&dontneed_op);
	fault_sweep_memory(&info_op);
	free_bound(&b);
}

#define LONG_STREAM	(4U << 20)
#define STREAMS		16

/* The NIC has no memory now and then, nor has the stack in interrupts: payload
 * falls back, packets are dropped and sent again, and the stream is right. Whose
 * allocations fail is a matter of chance: it goes on until the NIC's did, too. Its
 * end is not tried: TCP forgets a FIN that there was no memory for.
 */
static void interrupts_fail(uint32_t chunk)
{
	struct devmem_bind_info info;
	uint64_t dropped = 0, fallen = 0, drops, falls;
	unsigned int failed = 0, i;
	pid_t pid;

	bind_buffer(&b, DEVMEM_BUF_GPU, 4 * SIZE, chunk);
	with_ulp();
	check_eq(run_attach(), 0);
	rx_init(&rx, c.rx, &b, SEED);
	drops = nic_counter(RECEIVER, "rx_drop_nomem");
	falls = nic_counter(RECEIVER, "rx_fallback_nomem");
	pid = send_start(&c, STREAMS * LONG_STREAM, SEED, 20000, 0);
	for (i = 0; i < STREAMS && (failed <= 30 || !(dropped + fallen)); i++) {
		fault_atomic_begin(9, 300);
		rx_all(&rx, LONG_STREAM);
		failed += fault_atomic_end();
		dropped = nic_counter(RECEIVER, "rx_drop_nomem") - drops;
		fallen = nic_counter(RECEIVER, "rx_fallback_nomem") - falls;
	}
	rx_check_info(&rx);
	check_eq(kill(pid, SIGKILL), 0);
	bound_info(&b, &info);
	diag("interrupts: %u allocations failed, %llu packets dropped, %llu fell back",
	     failed, (unsigned long long)dropped, (unsigned long long)fallen);
	check_cmp(failed, >, 30);
	check_cmp(dropped + fallen, >, 0);
	check_cmp(rx.placed, >, 0);
	disconnect_pair(&c);
	free_bound(&b);
}

static void interrupts(void)
{
	interrupts_fail(65536);
}

static void restore_nic(void *arg)
{
	(void)arg;
	cmd("ethtool -K nsd0 rx-gro-hw on");
	cmd("ethtool -C nsd0 rx-usecs 0");
}

/* The same when many packets become one, whose chunks end within it: some want
 * memory of their own and do not get it.
 */
static void interrupts_while_merging(void)
{
	uint64_t merged = nic_counter(RECEIVER, "rx_merged_packets");

	defer(restore_nic, NULL);
	must_cmd("ethtool -K nsd0 rx-gro-hw off");
	must_cmd("ethtool -C nsd0 rx-usecs 1000");
	interrupts_fail(CHUNK);
	check_cmp(nic_counter(RECEIVER, "rx_merged_packets"), >, merged);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(bind_rx, .timeout = 60),
	KTAP_CASE(bind_with_listener, .timeout = 60),
	KTAP_CASE(ask, .timeout = 30),
	KTAP_CASE(unbind_by_close, .timeout = 60),
	KTAP_CASE(ulp, .timeout = 60),
	KTAP_CASE(detach, .timeout = 60),
	KTAP_CASE(receive_without, .timeout = 30),
	KTAP_CASE(return_tokens, .timeout = 30),
	KTAP_CASE(interrupts, .timeout = 30),
	KTAP_CASE(interrupts_while_merging, .timeout = 30),
	KTAP_CASE(attach_socket, .timeout = 60),	/* leaves a patient sender */
};

int main(int argc, char **argv)
{
	if (!fault_possible())
		return 4;
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
