// SPDX-License-Identifier: GPL-2.0
/*
 * Receivers and connections of the library, on each path alike: exact reads to where
 * they were asked for, which path is chosen, and what is refused. Pieces that somebody
 * holds: receiver_hold_test. Without our modules: copy_test.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common_receiver.h"

/* ---- exact reads -------------------------------------------------------- */

static void read_sizes(enum devmem_via via, enum devmem_buf_kind kind, int family)
{
	static const struct devmem_span reads[] = {
		{ 0, 1 }, { 1, 7 }, { 4095, 2 }, { 8192, 4096 }, { 17, 1448 },
		{ 0, 1 << 20 }, { 1000001, 65537 }, { 0, TENSOR }, { TENSOR - 9, 9 },
		{ 64, (1 << 20) + 3 },
	};
	uint64_t at = 0, sum = 0;
	unsigned int i, round;
	pid_t pid;

	open_rx(via, kind);
	connect_rx(family);
	for (i = 0; i < ARRAY_SIZE(reads); i++)
		sum += reads[i].size;
	pid = send_start(&c, 3 * sum, SEED, 100000, SEND_SHUTDOWN);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < ARRAY_SIZE(reads); i++) {
			check_eq(devmem_conn_read(conn, tensor, reads[i].offset,
						  reads[i].size, 0), reads[i].size);
			check_tensor(at, reads[i].offset, reads[i].size);
			at += reads[i].size;
		}
	}
	check_eq(devmem_conn_read(conn, tensor, 0, 1, 0), 0);
	check_eq(devmem_conn_read(conn, tensor, 0, 1, 0), 0);
	test_join(pid);
	close_rx();
}

static void exactly_ipv4(void)
{
	read_sizes(DEVMEM_VIA_DEVMEM, DEVMEM_BUF_GPU, AF_INET);
}

static void exactly_ipv6(void)
{
	read_sizes(DEVMEM_VIA_DEVMEM, DEVMEM_BUF_HEAP, AF_INET6);
}

static void exactly_copied_ipv4(void)
{
	read_sizes(DEVMEM_VIA_COPY, DEVMEM_BUF_HOST, AF_INET);
}

static void exactly_copied_ipv6(void)
{
	read_sizes(DEVMEM_VIA_COPY, DEVMEM_BUF_UDMABUF, AF_INET6);
}

static void exactly_kernel_ipv4(void)
{
	read_sizes(DEVMEM_VIA_KERNEL, DEVMEM_BUF_GPU, AF_INET);
}

static void exactly_kernel_ipv6(void)
{
	read_sizes(DEVMEM_VIA_KERNEL, DEVMEM_BUF_UDMABUF, AF_INET6);
}

static void exactly_zcrx_ipv4(void)
{
	read_sizes(DEVMEM_VIA_ZCRX, DEVMEM_BUF_GPU, AF_INET);
}

static void exactly_zcrx_ipv6(void)
{
	read_sizes(DEVMEM_VIA_ZCRX, DEVMEM_BUF_UDMABUF, AF_INET6);
}

static void exactly_zcrx_host(void)
{
	read_sizes(DEVMEM_VIA_ZCRX, DEVMEM_BUF_HOST, AF_INET);
}

/* A header to the host, then what it announces to the device. */
static void headers(enum devmem_via via)
{
	unsigned char head[24];
	uint64_t at = 0;
	unsigned int i;
	pid_t pid;

	open_rx(via, DEVMEM_BUF_GPU);
	connect_rx(AF_INET);
	pid = send_start(&c, 20 * (sizeof(head) + 200001), SEED, 30000, 0);
	for (i = 0; i < 20; i++) {
		check_eq(devmem_conn_read_host(conn, head, sizeof(head), 0), sizeof(head));
		check_eq(devmem_pattern_check(head, sizeof(head), at, SEED), -1);
		at += sizeof(head);
		check_eq(devmem_conn_read(conn, tensor, 5, 200001, 0), 200001);
		check_tensor(at, 5, 200001);
		at += 200001;
	}
	test_join(pid);
	close_rx();
}

static void headers_placed(void)
{
	headers(DEVMEM_VIA_DEVMEM);
}

static void headers_kernel(void)
{
	headers(DEVMEM_VIA_KERNEL);
}

static void headers_zcrx(void)
{
	headers(DEVMEM_VIA_ZCRX);
}

static void headers_copied(void)
{
	headers(DEVMEM_VIA_COPY);
}

/* A read that does not wait is gone on with, by the same arguments and no others. */
static void in_parts(enum devmem_via via)
{
	struct devmem_msg *msg;
	struct pollfd pfd;
	unsigned int again = 0;
	ssize_t ret;
	pid_t pid;

	open_rx(via, DEVMEM_BUF_HEAP);
	connect_rx(AF_INET);
	must_ok(devmem_msg_alloc(&msg, 4096, 1, 0));
	pfd = (struct pollfd) { .fd = devmem_conn_poll_fd(conn), .events = POLLIN };
	check_cmp(pfd.fd, >=, 0);
	check_eq(devmem_conn_read(conn, tensor, 0, 2 << 20, MSG_DONTWAIT), -EAGAIN);
	send_pattern(c.tx, 1000, 0, SEED, 1000);
	check(within(2000, poll(&pfd, 1, 0) == 1));
	check_eq(devmem_conn_read(conn, tensor, 0, 2 << 20, MSG_DONTWAIT), -EAGAIN);

	check_eq(devmem_conn_read(conn, tensor, 1, 2 << 20, MSG_DONTWAIT), -EINVAL);
	check_eq(devmem_conn_read(conn, tensor, 0, 1000, MSG_DONTWAIT), -EINVAL);
	check_eq(devmem_conn_read_host(conn, map, 2 << 20, MSG_DONTWAIT), -EINVAL);
	check_eq(devmem_conn_recv(conn, msg, MSG_DONTWAIT), -EINVAL);

	pid = test_fork();
	if (!pid) {
		send_pattern(c.tx, (2 << 20) + 500, 1000, SEED, 10000);
		_exit(0);
	}
	must(fcntl(devmem_conn_sock(conn), F_SETFL, O_NONBLOCK));
	while ((ret = devmem_conn_read(conn, tensor, 0, 2 << 20, 0)) == -EAGAIN) {
		again++;
		check_eq(poll(&pfd, 1, patient(5000)), 1);
	}
	check_eq(ret, 2 << 20);
	check_cmp(again, >, 0);
	check_tensor(0, 0, 2 << 20);
	test_join(pid);

	/* the stream ends in the middle of one */
	shutdown(c.tx, SHUT_WR);
	must(fcntl(devmem_conn_sock(conn), F_SETFL, 0));
	check_eq(devmem_conn_read(conn, tensor, 0, 1501, 0), -ENODATA);
	check_eq(devmem_pattern_check(map, 1500, 2 << 20, SEED), -1);
	check_eq(devmem_conn_read(conn, tensor, 0, 1501, 0), 0);
	devmem_msg_free(msg);
	close_rx();
}

static void in_parts_placed(void)
{
	in_parts(DEVMEM_VIA_DEVMEM);
}

static void in_parts_kernel(void)
{
	in_parts(DEVMEM_VIA_KERNEL);
}

static void in_parts_zcrx(void)
{
	in_parts(DEVMEM_VIA_ZCRX);
}

static void in_parts_copied(void)
{
	in_parts(DEVMEM_VIA_COPY);
}

/* ---- several at a time ---------------------------------------------------- */

#define THREADS		4
#define RECORD		((TENSOR / THREADS) - 5)
#define RECORDS		6

struct reader {
	pthread_t thread;
	struct devmem_conn *conn;
	unsigned int nr;
	unsigned int bad;	/* records that were not as they should be */
};

/* Into a part of the buffer that is its own. */
static void *read_records(void *arg)
{
	struct reader *r = arg;
	uint64_t offset = (uint64_t)r->nr * (TENSOR / THREADS);
	unsigned int i;

	for (i = 0; i < RECORDS; i++)
		if (devmem_conn_read(r->conn, tensor, offset, RECORD, 0) != RECORD ||
		    devmem_pattern_check(map + offset, RECORD, (uint64_t)i * RECORD,
					 SEED + r->nr) >= 0)
			r->bad++;
	return NULL;
}

static void threads(enum devmem_via via)
{
	struct reader r[THREADS] = {};
	struct conn pairs[THREADS];
	pid_t pids[THREADS];
	unsigned int i;

	open_rx(via, DEVMEM_BUF_GPU);
	for (i = 0; i < THREADS; i++) {
		connect_pair(&pairs[i], i % 2 ? AF_INET6 : AF_INET);
		check_eq(devmem_conn_open(&r[i].conn, rx, pairs[i].rx, 0), 0);
		r[i].nr = i;
		pids[i] = send_start(&pairs[i], RECORDS * RECORD, SEED + i, 30000, 0);
		check_eq(pthread_create(&r[i].thread, NULL, read_records, &r[i]), 0);
	}
	for (i = 0; i < THREADS; i++) {
		check_eq(pthread_join(r[i].thread, NULL), 0);
		check_eq(r[i].bad, 0);
		test_join(pids[i]);
		devmem_conn_close(r[i].conn);
		close(pairs[i].tx);
	}
	close_all();
}

static void threads_placed(void)
{
	threads(DEVMEM_VIA_DEVMEM);
}

static void threads_kernel(void)
{
	threads(DEVMEM_VIA_KERNEL);
}

static void threads_zcrx(void)
{
	threads(DEVMEM_VIA_ZCRX);
}

static void threads_copied(void)
{
	threads(DEVMEM_VIA_COPY);
}

/* ---- which path, and what is refused ------------------------------------- */

static enum devmem_via chosen(const char *dev, const char *passed_over)
{
	struct devmem_rx_config config = { .via = DEVMEM_VIA_AUTO, .dev = dev };
	enum devmem_via via;

	must_ok(devmem_rx_open(&rx, staging, &config, 0));
	via = devmem_rx_via(rx);
	if (!strstr(devmem_rx_passed_over(rx), passed_over))
		fail("'%s' does not say '%s'", devmem_rx_passed_over(rx), passed_over);
	if (via == DEVMEM_VIA_DEVMEM)
		check_eq(*devmem_rx_passed_over(rx), '\0');
	devmem_rx_close(rx);
	return via;
}

static void chosen_by_itself(void)
{
	pid_t pid;

	must_ok(devmem_buf_alloc(&staging, DEVMEM_BUF_HEAP, STAGING, 0));
	check_eq(chosen("nsd0", ""), DEVMEM_VIA_DEVMEM);
	check_eq(chosen(NULL, "devmem: no device was given"), DEVMEM_VIA_COPY);
	check_eq(chosen("lo", "devmem: "), DEVMEM_VIA_COPY);
	check_eq(chosen("lo", "lo cannot receive into device memory"), DEVMEM_VIA_COPY);
	check_eq(chosen("nsd7", "devmem: nsd7: No such device"), DEVMEM_VIA_COPY);

	pid = test_fork();
	if (!pid) {
		must(setresuid(65534, 65534, 65534));
		check_eq(chosen("nsd0", "devmem: "), DEVMEM_VIA_COPY);
		_exit(0);
	}
	test_join(pid);
	devmem_buf_free(staging);
	check_eq(live_object("bindings"), 0);
}

/* Chosen by itself, it serves a connection that comes in another way as well. */
static void another_way(void)
{
	struct devmem_rx_config config = { .via = DEVMEM_VIA_AUTO, .dev = "nsd0" };
	struct devmem_conn_stats stats;
	pid_t pid;

	make_tensor();
	must_ok(devmem_buf_alloc(&staging, DEVMEM_BUF_GPU, STAGING, 0));
	must_ok(devmem_rx_open(&rx, staging, &config, 0));
	check_eq(devmem_rx_via(rx), DEVMEM_VIA_DEVMEM);

	connect_lo(AF_INET);
	check_eq(devmem_conn_open(&conn, rx, c.rx, 0), 1);
	devmem_conn_get_stats(conn, &stats);
	check(!stats.attached);
	pid = send_start(&c, TENSOR - 100, SEED, 50000, 0);
	check_eq(devmem_conn_read(conn, tensor, 50, TENSOR - 100, 0), TENSOR - 100);
	check_tensor(0, 50, TENSOR - 100);
	test_join(pid);
	devmem_conn_close(conn);
	devmem_rx_close(rx);

	/* who insists on the path is told */
	config.via = DEVMEM_VIA_DEVMEM;
	must_ok(devmem_rx_open(&rx, staging, &config, 0));
	c.rx = must(dup(c.tx));
	check_cmp(devmem_conn_open(&conn, rx, c.rx, 0), <, 0);
	must(fcntl(c.rx, F_GETFD));
	devmem_rx_close(rx);
}

static void mistakes(void)
{
	struct devmem_rx_config config = { .via = DEVMEM_VIA_COPY };
	struct devmem_rx *none;
	struct devmem_msg *msg;
	char byte;

	open_rx(DEVMEM_VIA_COPY, DEVMEM_BUF_HEAP);
	connect_rx(AF_INET);
	check_eq(devmem_conn_read(conn, tensor, 0, 0, 0), -EINVAL);
	check_eq(devmem_conn_read(conn, tensor, 0, SIZE_MAX, 0), -ERANGE);
	check_eq(devmem_conn_read(conn, tensor, TENSOR, 1, 0), -ERANGE);
	check_eq(devmem_conn_read(conn, tensor, UINT64_MAX, 2, 0), -ERANGE);
	check_eq(devmem_conn_read(conn, tensor, 1, TENSOR, 0), -ERANGE);
	check_eq(devmem_conn_read(conn, staging, 0, 1, 0), -EINVAL);
	check_eq(devmem_conn_read(conn, tensor, 0, 1, MSG_PEEK), -EINVAL);
	check_eq(devmem_conn_read_host(conn, &byte, SIZE_MAX, 0), -EINVAL);
	check_eq(devmem_conn_release(conn, 0), -EINVAL);
	must_ok(devmem_msg_alloc(&msg, 4096, 1, 0));
	check_eq(devmem_conn_recv(conn, msg, MSG_PEEK), -EINVAL);
	check_eq(devmem_conn_recv(conn, msg, MSG_DONTWAIT), -EAGAIN);
	devmem_msg_free(msg);

	/* none of them has taken anything */
	send_pattern(c.tx, 1000, 0, SEED, 1000);
	check_eq(devmem_conn_read(conn, tensor, 0, 1000, 0), 1000);
	check_tensor(0, 0, 1000);

	config.reserved[2] = 1;
	check_eq(devmem_rx_open(&none, staging, &config, 0), -EINVAL);
	config.reserved[2] = 0;
	config.chunk_size = 5000;
	check_eq(devmem_rx_open(&none, staging, &config, 0), -EINVAL);
	config.chunk_size = 2048;
	check_eq(devmem_rx_open(&none, staging, &config, 0), -EINVAL);
	config.chunk_size = 2 * STAGING;
	check_eq(devmem_rx_open(&none, staging, &config, 0), -EINVAL);
	config.chunk_size = 0;
	config.via = DEVMEM_VIA_ZCRX + 1;
	check_eq(devmem_rx_open(&none, staging, &config, 0), -EINVAL);
	config.via = DEVMEM_VIA_COPY;
	check_eq(devmem_rx_open(&none, staging, &config, 1), -EINVAL);
	close_rx();
}

/* ---- bytes into, out of and between buffers -------------------------------- */

static void gather_from(enum devmem_buf_kind kind)
{
	static const struct devmem_span spans[] = {
		{ 900000, 1448 }, { 0, 1 }, { 4096, 65536 }, { 0, 0 }, { STAGING - 3, 3 },
	};
	static const struct devmem_span beyond[] = { { 0, 10 }, { STAGING - 3, 4 } };
	unsigned char *bytes = malloc(STAGING);
	uint64_t at = 77;
	unsigned int i;

	check(bytes);
	make_tensor();
	must_ok(devmem_buf_alloc(&staging, kind, STAGING, 0));
	devmem_pattern_fill(bytes, STAGING, 0, SEED);
	must_ok(devmem_buf_write(staging, 0, bytes, STAGING, 0));
	memset(bytes, 0, STAGING);
	must_ok(devmem_buf_read(staging, 11, bytes, STAGING - 11, 0));
	check_eq(devmem_pattern_check(bytes, STAGING - 11, 11, SEED), -1);

	must_ok(devmem_buf_gather(tensor, at, staging, spans, ARRAY_SIZE(spans), 0));
	for (i = 0; i < ARRAY_SIZE(spans); at += spans[i++].size)
		check_eq(devmem_pattern_check(map + at, spans[i].size, spans[i].offset, SEED), -1);
	check_eq(map[76], UNTOUCHED);
	check_eq(map[at], UNTOUCHED);
	memset(map, UNTOUCHED, at);

	check_eq(devmem_buf_gather(tensor, 0, staging, beyond, 2, 0), -ERANGE);
	check_eq(devmem_buf_gather(tensor, TENSOR - 1, staging, spans, 1, 0), -ERANGE);
	check_eq(devmem_buf_gather(staging, 0, staging, spans, 1, 0), -EINVAL);
	check_eq(devmem_buf_write(tensor, TENSOR - 1, "ab", 2, 0), -ERANGE);
	check_eq(devmem_buf_read(tensor, TENSOR + 1, bytes, 0, 0), -ERANGE);
	for (i = 0; i < TENSOR; i++)
		check_eq(map[i], UNTOUCHED);
	free(bytes);
	devmem_buf_free(staging);
	devmem_buf_free(tensor);
}

static void gather(void)
{
	gather_from(DEVMEM_BUF_HOST);
	gather_from(DEVMEM_BUF_HEAP);
	gather_from(DEVMEM_BUF_UDMABUF);
	gather_from(DEVMEM_BUF_GPU);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(exactly_ipv4),
	KTAP_CASE(exactly_ipv6),
	KTAP_CASE(exactly_kernel_ipv4),
	KTAP_CASE(exactly_kernel_ipv6),
	KTAP_CASE(exactly_zcrx_ipv4),
	KTAP_CASE(exactly_zcrx_ipv6),
	KTAP_CASE(exactly_zcrx_host),
	KTAP_CASE(exactly_copied_ipv4),
	KTAP_CASE(exactly_copied_ipv6),
	KTAP_CASE(headers_placed),
	KTAP_CASE(headers_kernel),
	KTAP_CASE(headers_zcrx),
	KTAP_CASE(headers_copied),
	KTAP_CASE(in_parts_placed),
	KTAP_CASE(in_parts_kernel),
	KTAP_CASE(in_parts_zcrx),
	KTAP_CASE(in_parts_copied),
	KTAP_CASE(threads_placed),
	KTAP_CASE(threads_kernel),
	KTAP_CASE(threads_zcrx),
	KTAP_CASE(threads_copied),
	KTAP_CASE(chosen_by_itself),
	KTAP_CASE(another_way),
	KTAP_CASE(mistakes),
	KTAP_CASE(gather),
};

static void setup(void)
{
	env_setup(4);
}

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
