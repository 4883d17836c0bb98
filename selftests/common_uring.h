/* SPDX-License-Identifier: GPL-2.0 */
/*
 * recvmsg() with MSG_SOCK_DEVMEM by way of io_uring: a ring, buffers that the kernel
 * chooses from, and messages as recvmsg() would have filled them in. Unless they say
 * otherwise, these calls fail() the case when something goes wrong.
 */
#ifndef SELFTESTS_COMMON_URING_H
#define SELFTESTS_COMMON_URING_H

#include <liburing.h>
#include <libdevmem.h>
#include <stdbool.h>
#include <stdint.h>

struct uring {
	struct io_uring ring;
	struct msghdr form;		/* how much of a buffer is what */
	struct io_uring_buf_ring *free;
	unsigned char *bufs;
	size_t buf_size;
	unsigned int nr_bufs;
	unsigned int seen;		/* completions that uring_next() has returned */
	unsigned int given;		/* buffers that the kernel will get back */
};

/* What one completion says. */
struct uring_done {
	uint64_t user_data;
	int res;			/* as the call's, negative: an errno */
	bool more;			/* others of this request follow */
	struct msghdr msg;		/* a message: what the control messages are, and flags */
	const unsigned char *linear;	/* its bytes in host memory, or NULL */
};

/* May a process here have such a ring? */
bool uring_known(void);

/* With @nr_bufs (a power of two, or 0) buffers, each for @linear bytes in host memory
 * and control messages of @control bytes.
 */
void uring_open(struct uring *u, unsigned int nr_bufs, size_t linear, size_t control);
void uring_close(struct uring *u);

/* A request for one message, into @msg; it and what it points to stay until it is
 * done. @sqe_flags: IOSQE_*
 */
void uring_recv(struct uring *u, int sock, struct msghdr *msg, unsigned int sqe_flags,
		uint64_t user_data);

/* One for many messages, into the buffers. */
void uring_recv_all(struct uring *u, int sock, uint64_t user_data);

/* SO_DEVMEM_DONTNEED; the ranges stay until it is done, and are not empty. */
void uring_give(struct uring *u, int sock, const struct devmem_range *ranges, unsigned int nr,
		uint64_t user_data);

/* Hand all requests over, wait for at least @nr completions. */
void uring_wait(struct uring *u, unsigned int nr);

/* The next that is there. Buffers of those returned before go back to the kernel when
 * there is none.
 */
bool uring_next(struct uring *u, struct uring_done *done);

#endif /* SELFTESTS_COMMON_URING_H */
