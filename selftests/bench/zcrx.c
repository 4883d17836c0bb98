// SPDX-License-Identifier: GPL-2.0
/*
 * io_uring's zero-copy receive: the NIC places payload in an area that the ring was
 * registered with, a dma-buf or memory of this process; completions say where. Owns
 * the area and the ring.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "../common_provider.h"
#include "../common_zcrx.h"
#include "bench.h"

static struct zcrx zcrx;

static const char *missing(const struct params *p)
{
	(void)p;
	return zcrx_known() ? NULL : "not in this kernel";
}

static void prepare_dmabuf(const struct params *p)
{
	struct zcrx_area area = { .size = p->buffer, .page = p->chunk };
	struct devmem_buf *buf;

	ask_for_split();
	if (devmem_buf_alloc(&buf, DEVMEM_BUF_GPU, p->buffer, 0))
		fail("%s", devmem_error());
	area.dmabuf = devmem_buf_fd(buf);
	zcrx_open(&zcrx, 0, &area);
}

static void prepare_user(const struct params *p)
{
	struct zcrx_area area = { .dmabuf = -1, .size = p->buffer, .page = p->chunk };

	ask_for_split();
	area.addr = mmap(NULL, p->buffer, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (area.addr == MAP_FAILED)
		fail("mmap: %s", strerror(errno));
	zcrx_open(&zcrx, 0, &area);
}

static void attach_ring(const struct params *p, unsigned int i, int sock)
{
	(void)p;
	(void)i;
	zcrx_receive(&zcrx, sock, (uint64_t)sock);
}

/* A request ends when there are more completions than the ring has room for. */
static void again(const struct zcrx_piece *piece)
{
	if (piece->error != ENOSPC)
		fail("receive: %s", piece->error ? strerror(piece->error) : "end of the stream");
	zcrx_receive(&zcrx, (int)piece->user_data, piece->user_data);
}

static void receive_ring(const struct params *p, unsigned int i, int sock, struct figures *f)
{
	struct zcrx_piece piece;

	(void)p;
	(void)i;
	(void)sock;
	zcrx_wait(&zcrx);
	f->calls++;
	while (zcrx_next(&zcrx, &piece)) {
		if (piece.last) {
			again(&piece);
			continue;
		}
		f->bytes += piece.size;
		f->placed += piece.size;
		f->pieces++;
		f->tokens++;
	}
}

const struct contender zcrx_dmabuf = {
	.name		= "io_uring zcrx",
	.missing	= missing,
	.prepare	= prepare_dmabuf,
	.attach		= attach_ring,
	.receive	= receive_ring,
	.waits		= true,
};

const struct contender zcrx_user = {
	.name		= "io_uring zcrx user",
	.missing	= missing,
	.prepare	= prepare_user,
	.attach		= attach_ring,
	.receive	= receive_ring,
	.waits		= true,
};
