// SPDX-License-Identifier: GPL-2.0
/*
 * See common_receiver.h. Must not know what a test does with the connection.
 */
#include <arpa/inet.h>
#include <string.h>
#include <unistd.h>

#include "common_receiver.h"
#include "common_zcrx.h"

struct devmem_buf *staging, *tensor;
unsigned char *map;
struct devmem_rx *rx;
struct devmem_conn *conn;
struct conn c;

void must_ok(ssize_t ret)
{
	if (ret < 0)
		fail("%s", devmem_error());
}

void need_path(enum devmem_via via)
{
	if (via == DEVMEM_VIA_ZCRX && !zcrx_known())
		skip("this kernel has no zero-copy receive of io_uring");
}

void make_tensor(void)
{
	void *addr;

	must_ok(devmem_buf_alloc(&tensor, DEVMEM_BUF_HOST, TENSOR, 0));
	must_ok(devmem_buf_map(tensor, &addr, 0));
	map = addr;
	memset(map, UNTOUCHED, TENSOR);
}

void open_rx(enum devmem_via via, enum devmem_buf_kind kind)
{
	static const uint32_t queues[] = { 0, 1, 2, 3 };
	struct devmem_rx_config config = {
		.via = via, .dev = "nsd0", .queues = queues, .nr_queues = 4,
		.chunk_size = CHUNK,
	};

	need_path(via);
	/* one queue, which gets all pages there are, in the size that any kernel knows */
	if (via == DEVMEM_VIA_KERNEL || via == DEVMEM_VIA_ZCRX) {
		config.queues = queues + 2;
		config.nr_queues = 1;
		config.chunk_size = 0;
	}
	make_tensor();
	must_ok(devmem_buf_alloc(&staging, kind, STAGING, 0));
	must_ok(devmem_rx_open(&rx, staging, &config, 0));
	check_eq(devmem_rx_via(rx), via);
	check_eq(*devmem_rx_passed_over(rx), '\0');
}

void connect_rx(int family)
{
	connect_pair(&c, family);
	check_eq(devmem_conn_open(&conn, rx, c.rx, 0), 0);
	check_eq(devmem_conn_sock(conn), c.rx);
}

void connect_lo(int family)
{
	struct sockaddr_in6 sin6 = { .sin6_family = AF_INET6, .sin6_addr = in6addr_loopback };
	struct sockaddr_in sin = { .sin_family = AF_INET };
	struct sockaddr *sa = family == AF_INET ? (void *)&sin : (void *)&sin6;
	socklen_t len = family == AF_INET ? sizeof(sin) : sizeof(sin6);
	int listener = must(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	must(bind(listener, sa, len));
	must(listen(listener, 1));
	must(getsockname(listener, sa, &len));
	c.tx = must(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0));
	must(connect(c.tx, sa, len));
	c.rx = must(accept(listener, NULL, NULL));
	close(listener);
}

void close_all(void)
{
	devmem_rx_close(rx);
	devmem_buf_free(staging);
	devmem_buf_free(tensor);
}

void close_rx(void)
{
	struct devmem_conn_stats stats;

	devmem_conn_get_stats(conn, &stats);
	check_eq(stats.released, stats.tokens);
	check_eq(stats.pending, 0);
	devmem_conn_close(conn);
	close(c.tx);
	close_all();
}

void check_tensor(uint64_t at, uint64_t offset, size_t size)
{
	size_t i;

	check_eq(devmem_pattern_check(map + offset, size, at, SEED), -1);
	for (i = 0; i < 64 && i < offset; i++)
		check_eq(map[offset - 1 - i], UNTOUCHED);
	for (i = 0; i < 64 && offset + size + i < TENSOR; i++)
		check_eq(map[offset + size + i], UNTOUCHED);
	memset(map + offset, UNTOUCHED, size);
}
