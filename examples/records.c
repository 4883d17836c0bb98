// SPDX-License-Identifier: LGPL-2.1 OR MIT
/* records DEV ADDR PORT: read records of 1 MiB from a TCP server, each contiguous in
 * device memory, where payload gets on the best path that DEV has.
 */
#include <libdevmem.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#define RECORD	(1 << 20)

static void must(ssize_t ret, const char *why)
{
	if (ret >= 0)
		return;
	fprintf(stderr, "records: %s\n", why ? why : devmem_error());
	exit(1);
}

static int connect_to(const char *host, const char *port)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *ai;
	int fd;

	must(getaddrinfo(host, port, &hints, &ai) ? -1 : 0, "bad address");
	fd = socket(ai->ai_family, ai->ai_socktype, 0);
	must(connect(fd, ai->ai_addr, ai->ai_addrlen), "no connection");
	freeaddrinfo(ai);
	return fd;
}

int main(int argc, char **argv)
{
	struct devmem_rx_config config = { .dev = argv[1] };
	struct devmem_buf *staging, *tensor;
	struct devmem_conn *conn;
	struct devmem_rx *rx;
	unsigned char head[2];
	ssize_t n;

	must(argc == 4 ? 0 : -1, "usage: records DEV ADDR PORT");
	must(devmem_buf_alloc(&staging, DEVMEM_BUF_HEAP, 16 * RECORD, 0), NULL);
	must(devmem_buf_alloc(&tensor, DEVMEM_BUF_HEAP, RECORD, 0), NULL);
	must(devmem_rx_open(&rx, staging, &config, 0), NULL);
	must(devmem_conn_open(&conn, rx, connect_to(argv[2], argv[3]), 0), NULL);
	while ((n = devmem_conn_read(conn, tensor, 0, RECORD, 0)) > 0) {
		must(devmem_buf_read(tensor, 0, head, sizeof(head), 0), NULL);
		printf("a record via %s begins with %02x %02x\n",
		       devmem_via_name(devmem_rx_via(rx)), head[0], head[1]);
	}
	must(n, NULL);
	devmem_conn_close(conn);
	devmem_rx_close(rx);
	devmem_buf_free(tensor);
	devmem_buf_free(staging);
	return 0;
}
