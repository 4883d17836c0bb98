/* SPDX-License-Identifier: LGPL-2.1 OR MIT */
/*
 * A ring of io_uring that receives into an area of memory: what the kernel's interface
 * looks like, and what the files zcrx_*.c make of it for path_zcrx.c.
 */
#ifndef LIBDEVMEM_ZCRX_H
#define LIBDEVMEM_ZCRX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * As in <linux/io_uring.h> and <linux/io_uring/zcrx.h> of Linux 6.15 and newer (the
 * flush: 7.0), as far as it is needed: the headers of Debian 12 are older.
 */
#define ZCRX_OP_RECV			58		/* IORING_OP_RECV_ZC */
#define ZCRX_REGISTER_IFQ		32		/* IORING_REGISTER_ZCRX_IFQ */
#define ZCRX_REGISTER_CTRL		36		/* IORING_REGISTER_ZCRX_CTRL */
#define ZCRX_REGISTER_BY_INDEX		(1U << 31)	/* .._USE_REGISTERED_RING */
#define ZCRX_REGION_USER		1		/* IORING_MEM_REGION_TYPE_USER */
#define ZCRX_AREA_DMABUF		1		/* IORING_ZCRX_AREA_DMABUF */
#define ZCRX_AREA_SHIFT			48		/* IORING_ZCRX_AREA_SHIFT */
#define ZCRX_CTRL_FLUSH			0		/* ZCRX_CTRL_FLUSH_RQ */

struct zcrx_rqe {			/* io_uring_zcrx_rqe */
	uint64_t offset;
	uint32_t size;
	uint32_t zero;
};

struct zcrx_cqe {			/* io_uring_zcrx_cqe: after an io_uring_cqe */
	uint64_t offset;
	uint64_t zero;
};

struct zcrx_region_reg {		/* io_uring_region_desc */
	uint64_t addr;
	uint64_t size;
	uint32_t flags;
	uint32_t id;
	uint64_t mmap_offset;
	uint64_t zero[4];
};

struct zcrx_area_reg {			/* io_uring_zcrx_area_reg */
	uint64_t addr;
	uint64_t size;
	uint64_t token;
	uint32_t flags;
	uint32_t dmabuf;
	uint64_t zero[2];
};

struct zcrx_ifq_reg {			/* io_uring_zcrx_ifq_reg */
	uint32_t ifindex;
	uint32_t queue;
	uint32_t entries;
	uint32_t flags;
	uint64_t area;
	uint64_t region;
	struct {
		uint32_t head;
		uint32_t tail;
		uint32_t rqes;
		uint32_t zero;
		uint64_t zeroes[2];
	} offsets;
	uint32_t id;
	uint32_t page;			/* 0: 4096; kernels before 7.0 know no other */
	uint64_t zero[3];
};

struct zcrx_ctrl {			/* zcrx_ctrl */
	uint32_t id;
	uint32_t op;
	uint64_t zero[8];
};

struct devmem_ring;
struct devmem_worker;
struct devmem_pages;

/* What is received into, and where from: @dmabuf, or if that is -1 @addr. */
struct zcrx_area {
	const char *dev;
	uint32_t queue;
	int dmabuf;
	void *addr;
	size_t size;
	uint32_t page;
};

struct zcrx_piece {
	uint64_t offset;
	uint32_t size;
};

/* What was received, in order; grows. */
struct zcrx_pieces {
	struct zcrx_piece *piece;
	unsigned int nr;
	unsigned int room;
	int err;		/* that comes after them, -errno */
};

/* zcrx_ring.c: a ring, used by the task that has made it; but for what goes back. */

/* Has the kernel such a thing? 0 or -errno with a text. */
int devmem_ring_check(void);

struct devmem_ring *devmem_ring_alloc(void);
void devmem_ring_free(struct devmem_ring *ring);

/* Get a queue for it. Return: false: devmem_ring_why() is the error, with its text. */
bool devmem_ring_make(struct devmem_ring *ring, const struct zcrx_area *area);
int devmem_ring_why(const struct devmem_ring *ring, const struct zcrx_area *area);

/* Ends the queue's use of the area. */
void devmem_ring_unmake(struct devmem_ring *ring);

/*
 * Take up to @most bytes that have come on @sock already. Without a text:
 *
 * Return: 0: the end of the stream; 1: @got has pieces; -EAGAIN: there is nothing;
 * -ENOMEM: the next bytes are in host memory; or -errno.
 */
int devmem_ring_pull(struct devmem_ring *ring, int sock, size_t most, struct zcrx_pieces *got);

/* One piece in the page at @offset is not needed any more: told to the kernel with
 * devmem_ring_publish(), which takes it when it needs pages. Callers take turns.
 * Return: false if there is no room: see devmem_ring_flush().
 */
bool devmem_ring_refill(struct devmem_ring *ring, uint64_t offset);
void devmem_ring_publish(struct devmem_ring *ring);

/* Have the kernel take them now, where it knows of that. */
void devmem_ring_flush(struct devmem_ring *ring);

/* zcrx_worker.c: the task of a ring, for any thread. */

int devmem_worker_open(struct devmem_worker **worker, struct devmem_ring *ring,
		       const struct zcrx_area *area);

/* Unmakes the ring. What is asked for afterwards is refused. */
void devmem_worker_close(struct devmem_worker *worker);
void devmem_worker_free(struct devmem_worker *worker);

/* As of the ring; -ESHUTDOWN: it is closed. By one thread at a time for a socket. */
int devmem_worker_pull(struct devmem_worker *worker, int sock, size_t most,
		       struct zcrx_pieces *got);
void devmem_worker_flush(struct devmem_worker *worker);

/* zcrx_pages.c: under a lock of the caller's. */

struct devmem_pages *devmem_pages_alloc(struct devmem_ring *ring, uint32_t nr, uint32_t size);
void devmem_pages_free(struct devmem_pages *pages);
uint32_t devmem_pages_of(const struct devmem_pages *pages, const struct zcrx_piece *piece);

/* A ring has told of these; somebody has another part of one. */
void devmem_pages_told(struct devmem_pages *pages, const struct zcrx_pieces *got);
void devmem_pages_get(struct devmem_pages *pages, uint32_t nr);

/* Give one back, which goes to the kernel with the last. Return: false: nobody has it. */
bool devmem_pages_put(struct devmem_pages *pages, uint32_t nr);

/* What the kernel had no room for then. Return: it has all. */
bool devmem_pages_back(struct devmem_pages *pages);

#endif /* LIBDEVMEM_ZCRX_H */
