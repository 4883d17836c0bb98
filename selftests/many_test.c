// SPDX-License-Identifier: GPL-2.0
/*
 * Many at once: flows on one binding, processes with a binding each, flows that
 * want more than the buffer has. That nobody gets a byte of another's, and that
 * the lack of room costs placing, never data. Must not know of single packets.
 */
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>

#include "common.h"

#define SEED		0x3a27
#define QUEUES		8
#define FLOWS		64
#define SENDERS		4
#define PROCESSES	8

static struct bound b;
static struct conn c;
static struct rx rx;

static struct conn conns[FLOWS];
static struct rx rxs[FLOWS];

/* Sends on every SENDERSth flow from @first on, in turn, writes of many sizes. */
static pid_t send_turns(unsigned int first, uint64_t bytes)
{
	uint64_t pos[FLOWS] = {};
	unsigned int i, left, turn = first;
	pid_t pid = test_fork();
	size_t n;

	if (pid)
		return pid;
	do {
		left = 0;
		for (i = first; i < FLOWS; i += SENDERS) {
			n = 500 + turn * 7919 % 20000;
			turn++;
			if (n > bytes - pos[i])
				n = bytes - pos[i];
			if (n)
				send_pattern(conns[i].tx, n, pos[i], SEED + i, n);
			pos[i] += n;
			left += pos[i] < bytes;
		}
	} while (left);
	_exit(0);
}

static void receive_flows(uint64_t bytes)
{
	struct pollfd pfd[FLOWS];
	unsigned int i, left = FLOWS;

	for (i = 0; i < FLOWS; i++)
		pfd[i] = (struct pollfd) { .fd = conns[i].rx, .events = POLLIN };
	while (left) {
		check_cmp(poll(pfd, FLOWS, patient(10000)), >, 0);
		for (i = 0; i < FLOWS; i++) {
			if (!pfd[i].revents)
				continue;
			check_cmp(rx_recv(&rxs[i], MSG_DONTWAIT), >, 0);
			rx_return(&rxs[i]);
			if (rxs[i].bytes == bytes) {
				pfd[i].fd = -1;
				left--;
			}
		}
	}
}

static void many_flows_on_one_binding(void)
{
	const uint64_t bytes = 200000;
	unsigned int i, per_queue[QUEUES] = {};
	struct devmem_bind_info info;
	pid_t pid[SENDERS];

	bind_buffer(&b, DEVMEM_BUF_HEAP, 32 << 20, 65536);
	for (i = 0; i < FLOWS; i++) {
		connect_pair(&conns[i], i % 2 ? AF_INET6 : AF_INET);
		attach(conns[i].rx, &b);
		rx_init(&rxs[i], conns[i].rx, &b, SEED + i);
		per_queue[rx_check_info(&rxs[i]).queue]++;
	}
	/* four queues are bound: the flows are spread over them */
	for (i = 0; i < QUEUES; i++)
		check_eq(per_queue[i], i < 4 ? FLOWS / 4 : 0);
	for (i = 0; i < SENDERS; i++)
		pid[i] = send_turns(i, bytes);
	receive_flows(bytes);
	for (i = 0; i < SENDERS; i++)
		test_join(pid[i]);
	for (i = 0; i < FLOWS; i++) {
		rx_check_info(&rxs[i]);
		rx_check_placed(&rxs[i], bytes);
	}
	bound_info(&b, &info);
	check_eq(info.flows, FLOWS);
	only_again(&b);
}

/* Every byte of the buffer that no piece reported is as it was, or, after a
 * retransmission, nothing can be said.
 */
static void nothing_foreign(void)
{
	unsigned char *seen;
	size_t i;

	if (rx_check_info(&rx).placed_bytes != rx.placed)
		return;
	seen = calloc(1, b.size);
	check(seen);
	for (i = 0; i < rx.nr_held; i++)
		memset(seen + rx.held[i].off, 1, rx.held[i].size);
	for (i = 0; i < b.size; i++)
		if (!seen[i] && b.map[i] != 0xa5)
			fail("byte %zu of the buffer is 0x%02x: nobody reported it",
			     i, b.map[i]);
	free(seen);
}

/* A process with its own binding, queue, buffer and pattern. */
static void one_of_many(uint32_t number)
{
	const uint64_t bytes = 1 << 20;
	uint64_t seed = SEED * 1000 + number;
	pid_t pid;

	bind_queues(&b, number % 2 ? DEVMEM_BUF_HEAP : DEVMEM_BUF_UDMABUF,
		    2 << 20, 4096 << number % 2 * 4, &number, 1);
	connect_pair(&c, number & 2 ? AF_INET6 : AF_INET);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, seed);
	rx.keep = true;
	pid = send_start(&c, bytes, seed, 3000 + number, SEND_SHUTDOWN);
	rx_all(&rx, bytes);
	rx_eof(&rx);
	test_join(pid);
	rx_check_placed(&rx, bytes);
	check_eq(rx_check_info(&rx).queue, number);
	rx_check_held(&rx);
	nothing_foreign();
	rx_return(&rx);
}

static void each_process_its_binding(void)
{
	pid_t pid[PROCESSES];
	unsigned int i;

	for (i = 0; i < PROCESSES; i++) {
		pid[i] = test_fork();
		if (!pid[i]) {
			one_of_many(i);
			_exit(0);
		}
	}
	for (i = 0; i < PROCESSES; i++)
		test_join(pid[i]);
}

/* Wait for a pressure notification of the binding. */
static void await_pressure(struct devmem_nl *nl)
{
	struct devmem_event ev;
	int err;

	do {
		err = devmem_nl_event(nl, &ev, patient(3000), 0);
		if (err)
			fail("no pressure notification: %s", strerror(-err));
	} while (ev.cmd != NETDEV_DEVMEM_CMD_PRESSURE_NTF);
	check_eq(ev.info.id, b.res.id);
}

static void no_event(struct devmem_nl *nl)
{
	struct devmem_event ev;

	check_eq(devmem_nl_event(nl, &ev, 100, 0), -ETIMEDOUT);
}

/* A packet is placed whole or not at all: long ones leave chunks over. Single ones take
 * those.
 */
static void fill_up(void)
{
	struct devmem_bind_info info;
	unsigned int i;

	for (i = 0; i < 64 && (bound_info(&b, &info), info.chunks_free); i++) {
		send_pattern(c.tx, 1000, rx.pos, SEED, 1000);
		rx_all(&rx, 1000);
	}
	check_eq(info.chunks_free, 0);
}

/* Who gives nothing back runs out of memory: the rest comes in host memory, is
 * counted, and the stream goes on. Who gives back is placed to again.
 */
static void exhausted(void)
{
	static const size_t writes[] = { 1000, 60000, 7000 };
	const uint64_t part = 600000;
	struct devmem_bind_info info;
	struct devmem_nl *nl;
	unsigned int round;
	uint64_t placed = 0;

	bind_buffer(&b, DEVMEM_BUF_HEAP, 128 << 10, 4096);
	check_eq(devmem_nl_open(&nl, 0), 0);
	check_eq(devmem_nl_subscribe(nl, 0), 0);
	connect_pair(&c, AF_INET);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
	rx.keep = true;
	for (round = 0; round < ARRAY_SIZE(writes); round++) {
		pid_t pid = test_fork();

		if (!pid) {
			send_pattern(c.tx, part, rx.pos, SEED, writes[round]);
			_exit(0);
		}
		rx_all(&rx, part);
		test_join(pid);
		fill_up();
		await_pressure(nl);
		no_event(nl);
		bound_info(&b, &info);
		check_cmp(info.stats.fallback_exhausted, >, 0);
		check_cmp(info.stats.fallback_bytes, >=, rx.host);
		check_eq(info.stats.pressure, round + 1);
		check_eq(info.chunks_free, 0);
		check_cmp(rx.placed - placed, >, 120 << 10);
		check_cmp(rx.placed - placed, <=, 128 << 10);
		placed = rx.placed;
		rx_check_held(&rx);
		rx_check_info(&rx);
		rx_return(&rx);
		bound_info(&b, &info);
		check_cmp(info.chunks_free, >=, 31);
	}
	devmem_nl_close(nl);
}

/* Two connections, attached to @b: that of @c and @rx, and another. */
static void attach_two(struct conn *other, struct rx *rx2)
{
	connect_pair(&c, AF_INET);
	connect_pair(other, AF_INET6);
	attach(c.rx, &b);
	attach(other->rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
	rx_init(rx2, other->rx, &b, SEED + 1);
}

/* Two flows, one of which hoards: the other falls back, too, and gets its share
 * when the hoarder goes.
 */
static void a_hoarder(void)
{
	struct devmem_bind_info info;
	struct conn other;
	struct rx rx2;
	pid_t pid;

	bind_buffer(&b, DEVMEM_BUF_GPU, 256 << 10, 4096);
	attach_two(&other, &rx2);
	rx.keep = true;
	pid = send_start(&c, 500000, SEED, 1000, 0);
	rx_all(&rx, 500000);
	test_join(pid);
	check_cmp(rx.host, >, 0);

	pid = send_start(&other, 300000, SEED + 1, 1000, 0);
	rx_all(&rx2, 300000);
	test_join(pid);
	check_cmp(rx2.host, >, 250000);
	rx_check_held(&rx);

	disconnect_pair(&c);
	check(within(1000, (bound_info(&b, &info), info.chunks_free >= 60)));
	send_pattern(other.tx, 60000, 300000, SEED + 1, 1000);
	rx_all(&rx2, 60000);
	check_cmp(rx2.placed, >=, 60000);
}

/* What one queue keeps ready for itself is there for another that has nothing left. */
static void from_queue_to_queue(void)
{
	static const uint32_t queues[] = { 0, 1 };
	const uint64_t size = 4 << 20;
	struct devmem_bind_info info;
	struct conn other;
	unsigned int i;
	struct rx rx2;
	pid_t pid;

	bind_queues(&b, DEVMEM_BUF_GPU, size, 4096, queues, ARRAY_SIZE(queues));
	attach_two(&other, &rx2);
	pid = send_start(&c, 1 << 20, SEED, 65536, 0);
	rx_all(&rx, 1 << 20);
	test_join(pid);
	rx_check_placed(&rx, 1 << 20);

	rx2.keep = true;
	pid = send_start(&other, size + (1 << 20), SEED + 1, 65536, 0);
	rx_all(&rx2, size + (1 << 20));
	test_join(pid);
	/* a large packet needs more chunks than may be left */
	for (i = 0; i < 32 && (bound_info(&b, &info), info.chunks_free); i++) {
		send_pattern(other.tx, 4096, rx2.pos, SEED + 1, 4096);
		rx_all(&rx2, 4096);
	}
	check_eq(info.chunks_free, 0);
	check_eq(info.stats.pressure, 1);
	check_cmp(rx2.placed, >=, size - 2 * 4096);	/* one chunk is the other's */
	rx_check_held(&rx2);

	disconnect_pair(&other);
	check(within(1000, (bound_info(&b, &info), info.chunks_free >= 1022)));
	send_pattern(c.tx, 60000, rx.pos, SEED, 60000);
	rx_all(&rx, 60000);
	rx_check_placed(&rx, (1 << 20) + 60000);
}

/* The smallest buffer: a packet fits if the last one was read. */
static void one_chunk(void)
{
	unsigned int i;

	bind_buffer(&b, DEVMEM_BUF_UDMABUF, 4096, 4096);
	check_eq(b.res.chunks, 1);
	connect_pair(&c, AF_INET);
	attach(c.rx, &b);
	rx_init(&rx, c.rx, &b, SEED);
	for (i = 0; i < 50; i++) {
		send_pattern(c.tx, 4096, i * 14096, SEED, 1024);
		rx_all(&rx, 4096);
		send_pattern(c.tx, 10000, i * 14096 + 4096, SEED, 10000);
		rx_all(&rx, 10000);
	}
	check_cmp(rx.placed, >=, 50 * 4096);
	check_cmp(rx.host, >, 0);
	rx_check_info(&rx);
}

/* Both ends receive into device memory, each on its own device. */
static void both_ends_attached(void)
{
	static const uint32_t queue = 2;
	const uint64_t bytes = 1 << 20;
	struct bound far = {};
	unsigned char byte;
	struct rx rx2;
	void *map;
	pid_t pid;

	bind_buffer(&b, DEVMEM_BUF_HEAP, 4 << 20, 0);
	env_enter(SENDER);
	check_eq(devmem_buf_alloc(&far.buf, DEVMEM_BUF_GPU, 4 << 20, 0), 0);
	check_eq(devmem_buf_map(far.buf, &map, 0), 0);
	check_eq(devmem_nl_open(&far.nl, 0), 0);
	check_eq(devmem_bind_rx(far.nl, if_nametoindex("nsd1"), &queue, 1,
				devmem_buf_fd(far.buf), 0, &far.res, 0), 0);
	env_enter(RECEIVER);
	far.map = map;
	far.size = devmem_buf_size(far.buf);

	connect_pair(&c, AF_INET6);
	attach(c.rx, &b);
	send_pattern(c.rx, 1, 0, SEED + 1, 1);	/* so that the far end knows its way in */
	check_eq(recv(c.tx, &byte, 1, 0), 1);
	attach(c.tx, &far);
	rx_init(&rx, c.rx, &b, SEED);
	rx_init(&rx2, c.tx, &far, SEED + 1);
	rx2.pos = 1;
	pid = test_fork();
	if (!pid) {
		send_pattern(c.tx, bytes, 0, SEED, 9000);
		_exit(0);
	}
	rx_all(&rx, bytes);
	test_join(pid);
	pid = test_fork();
	if (!pid) {
		send_pattern(c.rx, bytes, 1, SEED + 1, 9000);
		_exit(0);
	}
	rx_all(&rx2, bytes);
	test_join(pid);
	rx_check_placed(&rx, bytes);
	rx_check_placed(&rx2, bytes);
}

static void setup(void)
{
	env_setup(QUEUES);
	env_patient();
}

static const struct ktap_case cases[] = {
	KTAP_CASE(many_flows_on_one_binding, .timeout = 40),
	KTAP_CASE(each_process_its_binding, .timeout = 40),
	KTAP_CASE(exhausted),
	KTAP_CASE(a_hoarder),
	KTAP_CASE(from_queue_to_queue),
	KTAP_CASE(one_chunk),
	KTAP_CASE(both_ends_attached),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
