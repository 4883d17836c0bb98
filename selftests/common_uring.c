// SPDX-License-Identifier: GPL-2.0
/*
 * Owns the ring of common_uring.h and its buffers. Must not know what any case
 * expects, nor what is measured.
 *
 * A buffer has a header that says what is in it, control messages, and bytes; where
 * they begin depends on nothing but uring_open().
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "common.h"
#include "common_uring.h"

#define SQ_ENTRIES	2048
#define CQ_ENTRIES	8192U
#define GROUP		1

/* <linux/io_uring.h> of 6.7 and newer kernels */
#define OP_SETSOCKOPT_	3

bool uring_known(void)
{
	struct io_uring ring;

	if (io_uring_queue_init(1, &ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN))
		return false;
	io_uring_queue_exit(&ring);
	return true;
}

static void *map(size_t size)
{
	void *addr = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (addr == MAP_FAILED)
		fail("mmap of %zu bytes: %s", size, strerror(errno));
	return addr;
}

static void recycle(struct uring *u, unsigned int id)
{
	io_uring_buf_ring_add(u->free, u->bufs + id * u->buf_size, (unsigned int)u->buf_size,
			      (unsigned short)id, io_uring_buf_ring_mask(u->nr_bufs),
			      (int)u->given++);
}

static void make_bufs(struct uring *u, size_t linear, size_t control)
{
	struct io_uring_buf_reg reg = { .ring_entries = u->nr_bufs, .bgid = GROUP };
	unsigned int i;
	int err;

	u->form.msg_controllen = control;
	u->buf_size = sizeof(struct io_uring_recvmsg_out) + control + linear;
	u->bufs = map(u->nr_bufs * u->buf_size);
	u->free = map(u->nr_bufs * sizeof(struct io_uring_buf));
	reg.ring_addr = (uint64_t)(uintptr_t)u->free;
	err = io_uring_register_buf_ring(&u->ring, &reg, 0);
	if (err)
		fail("io_uring buffers: %s", strerror(-err));
	/* what is written to is there from the beginning; and no more than that */
	if (madvise(u->bufs, u->nr_bufs * u->buf_size, MADV_NOHUGEPAGE))
		check_eq(errno, EINVAL);	/* a kernel without huge pages */
	for (i = 0; i < u->nr_bufs; i++) {
		memset(u->bufs + i * u->buf_size, 0, u->buf_size - linear);
		recycle(u, i);
	}
	io_uring_buf_ring_advance(u->free, (int)u->given);
	u->given = 0;
}

void uring_open(struct uring *u, unsigned int nr_bufs, size_t linear, size_t control)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_CQSIZE,
		.cq_entries = CQ_ENTRIES,
	};
	int err;

	memset(u, 0, sizeof(*u));
	err = io_uring_queue_init_params(SQ_ENTRIES, &u->ring, &params);
	if (err)
		fail("io_uring_setup: %s", strerror(-err));
	/* for 6.12's User Mode Linux, which loses count of pages that a fork shares */
	err = io_uring_ring_dontfork(&u->ring);
	if (err)
		fail("io_uring: dontfork: %s", strerror(-err));
	u->nr_bufs = nr_bufs;
	if (nr_bufs)
		make_bufs(u, linear, control);
}

void uring_close(struct uring *u)
{
	io_uring_queue_exit(&u->ring);
	if (!u->nr_bufs)
		return;
	munmap(u->bufs, u->nr_bufs * u->buf_size);
	munmap(u->free, u->nr_bufs * sizeof(struct io_uring_buf));
}

static struct io_uring_sqe *request(struct uring *u, uint64_t user_data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&u->ring);

	check(sqe);
	memset(sqe, 0, sizeof(*sqe));
	sqe->user_data = user_data;
	return sqe;
}

void uring_recv(struct uring *u, int sock, struct msghdr *msg, unsigned int sqe_flags,
		uint64_t user_data)
{
	struct io_uring_sqe *sqe = request(u, user_data);

	io_uring_prep_recvmsg(sqe, sock, msg, MSG_SOCK_DEVMEM);
	sqe->flags = (uint8_t)sqe_flags;
	sqe->user_data = user_data;
}

void uring_recv_all(struct uring *u, int sock, uint64_t user_data)
{
	struct io_uring_sqe *sqe = request(u, user_data);

	io_uring_prep_recvmsg_multishot(sqe, sock, &u->form, MSG_SOCK_DEVMEM);
	sqe->flags = IOSQE_BUFFER_SELECT;
	sqe->buf_group = GROUP;
	sqe->user_data = user_data;
}

void uring_give(struct uring *u, int sock, const struct devmem_range *ranges, unsigned int nr,
		uint64_t user_data)
{
	struct io_uring_sqe *sqe = request(u, user_data);
	const uint32_t option[] = { SOL_SOCKET, SO_DEVMEM_DONTNEED };

	sqe->opcode = IORING_OP_URING_CMD;
	sqe->fd = sock;
	sqe->cmd_op = OP_SETSOCKOPT_;
	memcpy(&sqe->addr, option, sizeof(option));
	sqe->file_index = (uint32_t)(nr * sizeof(*ranges));	/* optlen */
	sqe->addr3 = (uint64_t)(uintptr_t)ranges;		/* optval */
}

void uring_wait(struct uring *u, unsigned int nr)
{
	must(io_uring_submit_and_wait(&u->ring, nr));
}

/* A buffer of the kernel's choice has come back, with a message if all went well. */
static void take_buffer(struct uring *u, const struct io_uring_cqe *cqe, struct uring_done *done)
{
	unsigned int id = cqe->flags >> IORING_CQE_BUFFER_SHIFT;
	unsigned char *buf = u->bufs + id * u->buf_size;
	const struct io_uring_recvmsg_out *out = (const void *)buf;

	check_cmp(id, <, u->nr_bufs);
	recycle(u, id);
	if (cqe->res < 0)
		return;
	check_cmp(cqe->res, >=, sizeof(*out) + u->form.msg_controllen);
	done->res = (int)out->payloadlen;
	done->msg.msg_control = buf + sizeof(*out);
	done->msg.msg_controllen = out->controllen;
	done->msg.msg_flags = (int)out->flags;
	done->linear = buf + sizeof(*out) + u->form.msg_controllen;
}

bool uring_next(struct uring *u, struct uring_done *done)
{
	const struct io_uring_cq *cq = &u->ring.cq;
	const struct io_uring_cqe *cqe;
	unsigned int head = *cq->khead + u->seen;

	if (head == io_uring_smp_load_acquire(cq->ktail)) {
		io_uring_cq_advance(&u->ring, u->seen);
		if (u->given)
			io_uring_buf_ring_advance(u->free, (int)u->given);
		u->seen = 0;
		u->given = 0;
		return false;
	}
	cqe = &cq->cqes[head & *cq->kring_mask];
	u->seen++;
	memset(done, 0, sizeof(*done));
	done->user_data = cqe->user_data;
	done->res = cqe->res;
	done->more = cqe->flags & IORING_CQE_F_MORE;
	if (cqe->flags & IORING_CQE_F_BUFFER)
		take_buffer(u, cqe, done);
	return true;
}
