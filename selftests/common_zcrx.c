// SPDX-License-Identifier: GPL-2.0
/*
 * Owns the ring of common_zcrx.h and what the kernel shares with it. Debian 12's
 * liburing is older than all of this: it makes the ring, the rest is here. Must not
 * know what any case expects, nor what is measured.
 */
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "common.h"
#include "common_zcrx.h"
#include "zcrx_abi.h"

#define CQ_ENTRIES	8192U
#define REFILL_ENTRIES	32768U		/* the most there can be */
#define PAGE		4096U
#define TRIES		5000

bool zcrx_known(void)
{
	struct io_uring_probe *probe = io_uring_get_probe();
	bool known;

	if (!probe)
		return false;
	known = io_uring_opcode_supported(probe, OP_RECV_ZC_);
	io_uring_free_probe(probe);
	return known;
}

static void make_ring(struct zcrx *z)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_CQE32 | IORING_SETUP_CQSIZE,
		.cq_entries = CQ_ENTRIES,
	};
	int err = io_uring_queue_init_params(1024, &z->ring, &params);

	if (err)
		fail("io_uring_setup: %s", strerror(-err));
	z->refill_size = PAGE + REFILL_ENTRIES * sizeof(struct zcrx_rqe);
	z->refill = mmap(NULL, z->refill_size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (z->refill == MAP_FAILED)
		fail("mmap: %s", strerror(errno));
}

/* The queue may still be with a ring that was closed a moment ago. */
static int register_queue(struct zcrx *z, struct zcrx_reg *reg)
{
	int tries;

	for (tries = 0; tries < TRIES; tries++) {
		if (!syscall(__NR_io_uring_register, z->ring.ring_fd, REGISTER_ZCRX_IFQ_, reg, 1))
			return 0;
		if (errno != EEXIST)
			break;
		usleep(1000);
	}
	return errno;
}

int zcrx_try_open(struct zcrx *z, uint32_t queue, const struct zcrx_area *area)
{
	struct zcrx_region region = { .flags = REGION_USER_ };
	struct zcrx_area_reg area_reg = { .len = area->size };
	struct zcrx_reg reg = {
		.ifindex = env_ifindex(),
		.queue = queue,
		.entries = REFILL_ENTRIES,
		.area = (uint64_t)(uintptr_t)&area_reg,
		.region = (uint64_t)(uintptr_t)&region,
		.page = area->page == PAGE ? 0 : area->page,
	};
	char *refill;
	int err;

	memset(z, 0, sizeof(*z));
	make_ring(z);
	region.addr = (uint64_t)(uintptr_t)z->refill;
	region.size = z->refill_size;
	if (area->dmabuf >= 0) {
		area_reg.flags = AREA_DMABUF_;
		area_reg.dmabuf = (uint32_t)area->dmabuf;
	} else {
		area_reg.addr = (uint64_t)(uintptr_t)area->addr;
	}
	err = register_queue(z, &reg);
	if (err) {
		zcrx_close(z);
		return err;
	}
	refill = z->refill;
	z->id = reg.id;
	z->area_token = area_reg.token;
	z->head = (void *)(refill + reg.offsets.head);
	z->tail = (void *)(refill + reg.offsets.tail);
	z->rqes = (void *)(refill + reg.offsets.rqes);
	z->mask = reg.entries - 1;
	return 0;
}

void zcrx_open(struct zcrx *z, uint32_t queue, const struct zcrx_area *area)
{
	int err = zcrx_try_open(z, queue, area);

	if (err)
		fail("io_uring zcrx on queue %u: %s", queue, strerror(err));
}

void zcrx_close(struct zcrx *z)
{
	io_uring_queue_exit(&z->ring);
	munmap(z->refill, z->refill_size);
}

void zcrx_receive(struct zcrx *z, int sock, uint64_t user_data)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&z->ring);

	check(sqe);
	io_uring_prep_rw(OP_RECV_ZC_, sqe, sock, NULL, 0, 0);
	sqe->ioprio = IORING_RECV_MULTISHOT;
	sqe->splice_fd_in = (int)z->id;		/* zcrx_ifq_idx */
	sqe->user_data = user_data;
}

void zcrx_wait(struct zcrx *z)
{
	must(io_uring_submit_and_wait(&z->ring, 1));
}

static void refill(struct zcrx *z, uint64_t offset, uint32_t size)
{
	struct zcrx_rqe *rqe = &z->rqes[z->at & z->mask];

	if (z->at - io_uring_smp_load_acquire(z->head) > z->mask)
		fail("io_uring zcrx: the kernel does not take pieces back");
	rqe->offset = offset | z->area_token;
	rqe->len = size;
	rqe->zero = 0;
	z->at++;
}

bool zcrx_next(struct zcrx *z, struct zcrx_piece *piece)
{
	const struct io_uring_cq *cq = &z->ring.cq;
	const struct io_uring_cqe *cqe;
	const struct zcrx_cqe *more;
	unsigned int head = *cq->khead + z->seen;

	if (head == io_uring_smp_load_acquire(cq->ktail)) {
		io_uring_smp_store_release(z->tail, z->at);
		io_uring_cq_advance(&z->ring, z->seen);
		z->seen = 0;
		return false;
	}
	cqe = &cq->cqes[(head & *cq->kring_mask) << 1];
	more = (const void *)(cqe + 1);
	z->seen++;
	piece->user_data = cqe->user_data;
	piece->last = !(cqe->flags & IORING_CQE_F_MORE);
	piece->error = cqe->res < 0 ? -cqe->res : 0;
	piece->size = piece->last ? 0 : (uint32_t)cqe->res;
	piece->offset = piece->last ? 0 : more->offset & ((1ULL << AREA_SHIFT_) - 1);
	if (piece->size)
		refill(z, piece->offset, piece->size);
	return true;
}
