/* SPDX-License-Identifier: GPL-2.0 */
/*
 * io_uring's zero-copy receive on a queue of nsd0: the kernel gives the NIC memory
 * of this process, or a dma-buf, and a ring tells where in it payload has come to
 * lie. Unless they say otherwise, these calls fail() the case when something goes
 * wrong.
 *
 *	zcrx_open(&z, 0, &area);
 *	connect_pair(&c, AF_INET);
 *	zcrx_receive(&z, c.rx, 0);
 *	zcrx_wait(&z);
 *	while (zcrx_next(&z, &piece))
 *		... piece.size bytes at piece.offset of the area ...
 */
#ifndef SELFTESTS_COMMON_ZCRX_H
#define SELFTESTS_COMMON_ZCRX_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

/* Where payload is to go: @dmabuf, or if that is -1 @addr. */
struct zcrx_area {
	int dmabuf;
	void *addr;
	size_t size;
	uint32_t page;		/* bytes that the NIC gets in one piece */
};

struct zcrx_piece {
	uint64_t user_data;	/* as given to zcrx_receive() */
	uint64_t offset;
	uint32_t size;
	bool last;		/* nothing more comes: no bytes, see @error */
	int error;		/* 0: the end of the stream; or an errno */
};

struct zcrx {
	struct io_uring ring;
	uint32_t id;
	uint64_t area_token;

	/* of what this process gives back, read by the kernel */
	void *refill;
	size_t refill_size;
	const uint32_t *head;
	uint32_t *tail;
	struct zcrx_rqe *rqes;
	uint32_t mask;
	uint32_t at;

	unsigned int seen;	/* completions that zcrx_next() has returned */
};

/* Has this kernel such a thing? */
bool zcrx_known(void);

/* Register @area for @queue: 0, or the errno that the kernel has refused it with. */
int zcrx_try_open(struct zcrx *z, uint32_t queue, const struct zcrx_area *area);
void zcrx_open(struct zcrx *z, uint32_t queue, const struct zcrx_area *area);

/* Ends the queue's use of the area. */
void zcrx_close(struct zcrx *z);

/* All that comes on @sock, until the piece that is the last. */
void zcrx_receive(struct zcrx *z, int sock, uint64_t user_data);

/* Wait for at least one piece. */
void zcrx_wait(struct zcrx *z);

/* The next that is there. What was returned before goes back to the NIC: false says
 * that all has, in one go.
 */
bool zcrx_next(struct zcrx *z, struct zcrx_piece *piece);

#endif /* SELFTESTS_COMMON_ZCRX_H */
