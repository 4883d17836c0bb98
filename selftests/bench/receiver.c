// SPDX-License-Identifier: GPL-2.0
/*
 * Receiving through the library's receivers: pieces on the paths of net/devmem and of the
 * kernel's own devmem TCP, and exact reads on the path that copies. What these cost beyond
 * the bare calls, which placed.c and host.c have. Owns the receiver and its connections.
 */
#include <string.h>

#include "../common.h"
#include "bench.h"

#define PIECES		512	/* of one call */

static struct devmem_buf *staging, *target;
static uint64_t target_at;
static struct devmem_rx *receiver;
static struct devmem_conn *flows[FLOWS_MAX];
static struct devmem_msg *pieces;

static void open_receiver(const struct params *p, enum devmem_via via)
{
	struct devmem_rx_config config = {
		.via = via, .dev = "nsd0", .queues = &p->queue, .nr_queues = 1,
		.chunk_size = via == DEVMEM_VIA_COPY ? 0 : p->chunk,
	};

	if (devmem_msg_alloc(&pieces, CALL_MAX, PIECES, 0) ||
	    devmem_buf_alloc(&staging, DEVMEM_BUF_GPU, p->buffer, 0) ||
	    devmem_rx_open(&receiver, staging, &config, 0))
		fail("%s", devmem_error());
}

static void prepare_pieces(const struct params *p)
{
	open_receiver(p, DEVMEM_VIA_DEVMEM);
}

static void prepare_kernel(const struct params *p)
{
	open_receiver(p, DEVMEM_VIA_KERNEL);
}

/* The memory is touched before it is measured, as host.c's is. */
static void prepare_reads(const struct params *p)
{
	void *map;

	open_receiver(p, DEVMEM_VIA_COPY);
	if (devmem_buf_alloc(&target, DEVMEM_BUF_GPU, p->buffer, 0) ||
	    devmem_buf_map(target, &map, 0))
		fail("%s", devmem_error());
	memset(map, 0, p->buffer);
}

static void attach_conn(const struct params *p, unsigned int i, int sock)
{
	(void)p;
	if (devmem_conn_open(&flows[i], receiver, sock, 0))
		fail("%s", devmem_error());
}

static void receive_pieces(const struct params *p, unsigned int i, int sock, struct figures *f)
{
	ssize_t n = devmem_conn_recv(flows[i], pieces, p->flows > 1 ? MSG_DONTWAIT : 0);
	struct devmem_piece piece;

	(void)sock;
	if (!arrived(n, f))
		return;
	while (devmem_msg_next(pieces, &piece)) {
		if (piece.type != DEVMEM_PIECE_DMABUF) {
			f->touched += 2 * (uint64_t)piece.size;
			continue;
		}
		f->placed += piece.size;
		f->pieces++;
		f->tokens++;
		check_eq(devmem_conn_release(flows[i], piece.token), 0);
	}
	check_eq(devmem_conn_flush(flows[i]), 0);
	f->calls++;
}

static void receive_reads(const struct params *p, unsigned int i, int sock, struct figures *f)
{
	ssize_t n;

	(void)sock;
	if (target_at == p->buffer)
		target_at = 0;
	n = devmem_conn_read(flows[i], target, target_at, CALL_MAX, p->flows > 1 ? MSG_DONTWAIT : 0);
	if (!arrived(n, f))
		return;
	f->touched += 2 * (uint64_t)n;
	target_at += CALL_MAX;
}

const struct contender receiver_devmem = {
	.name		= "library",
	.prepare	= prepare_pieces,
	.attach		= attach_conn,
	.receive	= receive_pieces,
};

const struct contender receiver_kernel = {
	.name		= "library kernel",
	.prepare	= prepare_kernel,
	.attach		= attach_conn,
	.receive	= receive_pieces,
	.spare		= true,
};

const struct contender receiver_copy = {
	.name		= "library copy",
	.prepare	= prepare_reads,
	.attach		= attach_conn,
	.receive	= receive_reads,
};
