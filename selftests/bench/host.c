// SPDX-License-Identifier: GPL-2.0
/*
 * Receiving into host memory: recv() alone, recv() and a copy into a dma-buf that
 * the process has mapped, and TCP_ZEROCOPY_RECEIVE with the same copy. Owns the
 * memory that they receive into.
 */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "../common.h"
#include "bench.h"

static unsigned char *host;		/* what recv() writes to */
static unsigned char *target;		/* the dma-buf, mapped */
static size_t target_size;
static size_t target_at;
static unsigned char *window;		/* where pages of a socket are mapped */

static void prepare_recv(const struct params *p)
{
	(void)p;
	host = malloc(CALL_MAX);
	if (!host)
		fail("out of memory");
	memset(host, 0, CALL_MAX);
}

static void prepare_copy(const struct params *p)
{
	struct devmem_buf *buf;
	void *map;

	prepare_recv(p);
	if (devmem_buf_alloc(&buf, DEVMEM_BUF_GPU, p->buffer, 0) ||
	    devmem_buf_map(buf, &map, 0))
		fail("%s", devmem_error());
	memset(map, 0, p->buffer);
	target = map;
	target_size = p->buffer;
}

static size_t take(int sock, struct figures *f, unsigned int flows)
{
	ssize_t n = recv(sock, host, CALL_MAX, flows > 1 ? MSG_DONTWAIT : 0);

	f->calls++;
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		fail("recv: %s", n ? strerror(errno) : "end of the stream");
	f->bytes += (uint64_t)n;
	f->touched += 2 * (uint64_t)n;
	return (size_t)n;
}

static void store(const unsigned char *from, size_t n, struct figures *f)
{
	if (n > target_size - target_at)
		target_at = 0;
	memcpy(target + target_at, from, n);
	target_at += n;
	f->touched += 2 * (uint64_t)n;
}

static void receive_recv(const struct params *p, unsigned int i, int sock, struct figures *f)
{
	(void)i;
	take(sock, f, p->flows);
}

static void receive_copy(const struct params *p, unsigned int i, int sock, struct figures *f)
{
	(void)i;
	store(host, take(sock, f, p->flows), f);
}

static void attach_zerocopy(const struct params *p, unsigned int i, int sock)
{
	void *map = mmap(NULL, CALL_MAX, PROT_READ, MAP_SHARED, sock, 0);

	(void)p;
	check_eq(i, 0);		/* there is one window */
	if (map == MAP_FAILED)
		fail("mmap of a socket: %s", strerror(errno));
	window = map;
}

static void wait_readable(int sock, struct figures *f)
{
	struct pollfd pfd = { .fd = sock, .events = POLLIN };

	must(poll(&pfd, 1, -1));
	f->calls++;
}

/* The kernel maps what it can, and says how much is to be read by recv() first. */
static void receive_zerocopy(const struct params *p, unsigned int i, int sock, struct figures *f)
{
	struct tcp_zerocopy_receive z = {
		.address = (uint64_t)(uintptr_t)window,
		.length = CALL_MAX,
	};
	socklen_t len = sizeof(z);
	ssize_t n;

	(void)p;
	(void)i;
	wait_readable(sock, f);
	must(getsockopt(sock, IPPROTO_TCP, TCP_ZEROCOPY_RECEIVE, &z, &len));
	f->calls++;
	f->bytes += z.length;
	store(window, z.length, f);
	if (!z.recv_skip_hint)
		return;
	n = must(recv(sock, host, z.recv_skip_hint < CALL_MAX ? z.recv_skip_hint : CALL_MAX, 0));
	f->calls++;
	f->bytes += (uint64_t)n;
	f->touched += 2 * (uint64_t)n;
	store(host, (size_t)n, f);
}

const struct contender host_recv = {
	.name		= "recv",
	.prepare	= prepare_recv,
	.receive	= receive_recv,
};

const struct contender host_copy = {
	.name		= "recv+copy",
	.prepare	= prepare_copy,
	.receive	= receive_copy,
};

const struct contender host_zerocopy = {
	.name		= "zerocopy+copy",
	.prepare	= prepare_copy,
	.attach		= attach_zerocopy,
	.receive	= receive_zerocopy,
};
