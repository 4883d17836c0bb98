// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Owns a ring of io_uring with a queue of a NIC. The kernel's requests to receive go on
 * for as long as data comes; here each is called off as soon as it has taken what was
 * there: data waits in its socket until somebody wants it, TCP's window closes when nobody
 * does, and a socket can be polled. Must not know what pieces are used for, nor who asks.
 *
 * No liburing: that of Debian 12 is older than all of this.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/io_uring.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "internal.h"
#include "zcrx.h"

#define RING_SQES	8
#define RING_CQES	512		/* pieces at a time, about */
#define RING_PAGE	4096
#define RING_REFILL_MIN	1024
#define RING_REFILL_MAX	32768		/* the kernel's */

/* Of requests. */
#define RING_RECV	1
#define RING_CANCEL	2

struct devmem_ring {
	int index;			/* it has no descriptor; -1: none */
	uint32_t id;			/* of the queue */
	int err;			/* errno of what has failed in making it */
	const char *failed;		/* NULL: getting the queue */

	void *rings;
	size_t rings_size;
	struct io_uring_sqe *sqes;
	size_t sqes_size;
	uint32_t *sq_tail, sq_mask;
	uint32_t *cq_head, *cq_tail, cq_mask;
	struct io_uring_cqe *cqes;
	uint32_t unsent;		/* requests */
	bool broken;			/* nobody knows what it still does for whom */

	/* what is given back */
	void *refill;
	size_t refill_size;
	struct zcrx_rqe *rqes;
	uint32_t *rq_head, *rq_tail, rq_mask, rq_at;
	uint64_t area_token;
	bool gone;			/* nobody takes it any more; atomic */
};

/* One that is under way. */
struct ring_job {
	int sock;
	uint32_t most;
	struct zcrx_pieces *got;
	uint64_t bytes;
	bool receiving;		/* no last completion yet */
	bool cancelling;
	int last;		/* its result */
};

static int ring_register(const struct devmem_ring *r, unsigned int op, void *arg,
			 unsigned int nr)
{
	return (int)syscall(SYS_io_uring_register, r->index, op | ZCRX_REGISTER_BY_INDEX, arg,
			    nr);
}

/* ---- requests and completions -------------------------------------------- */

static struct io_uring_sqe *ring_sqe(struct devmem_ring *r, uint8_t op, uint64_t user_data)
{
	uint32_t tail = *r->sq_tail;
	struct io_uring_sqe *sqe = &r->sqes[tail & r->sq_mask];

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = op;
	sqe->user_data = user_data;
	r->unsent++;
	__atomic_store_n(r->sq_tail, tail + 1, __ATOMIC_RELEASE);
	return sqe;
}

static void ring_put_recv(struct devmem_ring *r, struct ring_job *job)
{
	struct io_uring_sqe *sqe = ring_sqe(r, ZCRX_OP_RECV, RING_RECV);

	sqe->fd = job->sock;
	sqe->ioprio = IORING_RECV_MULTISHOT;
	sqe->len = job->most;
	sqe->splice_fd_in = (int)r->id;		/* zcrx_ifq_idx */
	job->receiving = true;
}

static void ring_put_cancel(struct devmem_ring *r, struct ring_job *job)
{
	struct io_uring_sqe *sqe = ring_sqe(r, IORING_OP_ASYNC_CANCEL, RING_CANCEL);

	sqe->fd = -1;
	sqe->addr = RING_RECV;
	job->cancelling = true;
}

/* Send what is unsent, and wait for a completion. */
static int ring_enter(struct devmem_ring *r)
{
	long ret = syscall(SYS_io_uring_enter, r->index, r->unsent, 1,
			   IORING_ENTER_GETEVENTS | IORING_ENTER_REGISTERED_RING, NULL, 0);

	if (ret >= 0)
		r->unsent -= (uint32_t)ret;
	/* -EBUSY: completions wait for room, which there is now */
	return ret >= 0 || errno == EINTR || errno == EAGAIN || errno == EBUSY ? 0 : -errno;
}

static void ring_piece(struct ring_job *job, const struct io_uring_cqe *cqe)
{
	const struct zcrx_cqe *more = (const void *)(cqe + 1);
	struct zcrx_pieces *got = job->got;
	struct zcrx_piece *piece;
	unsigned int room;

	if (got->nr == got->room) {
		room = got->room ? 2 * got->room : 64;
		piece = realloc(got->piece, room * sizeof(*piece));
		if (!piece) {
			/* the stream has a hole from here on */
			got->err = -EIO;
			return;
		}
		got->piece = piece;
		got->room = room;
	}
	piece = &got->piece[got->nr++];
	piece->offset = more->offset & ((1ULL << ZCRX_AREA_SHIFT) - 1);
	piece->size = (uint32_t)cqe->res;
	job->bytes += piece->size;
}

static void ring_reap(struct devmem_ring *r, struct ring_job *job)
{
	uint32_t tail = __atomic_load_n(r->cq_tail, __ATOMIC_ACQUIRE);
	uint32_t head = *r->cq_head;

	for (; head != tail; head++) {
		/* of twice the size */
		const struct io_uring_cqe *cqe = &r->cqes[(head & r->cq_mask) << 1];

		if (cqe->user_data == RING_CANCEL) {
			job->cancelling = false;
		} else if (cqe->flags & IORING_CQE_F_MORE) {
			ring_piece(job, cqe);
		} else {
			job->receiving = false;
			job->last = cqe->res;
		}
	}
	__atomic_store_n(r->cq_head, head, __ATOMIC_RELEASE);
}

/* A request that the kernel has put off for a moment is not found, and has to be called
 * off again. It ends at @most bytes in any case.
 */
static int ring_receive(struct devmem_ring *r, struct ring_job *job)
{
	int ret;

	ring_put_recv(r, job);
	ring_put_cancel(r, job);
	while (job->receiving || job->cancelling) {
		ret = ring_enter(r);
		if (ret) {
			/* what comes of it later must not be taken for another socket's */
			r->broken = true;
			job->got->err = -EIO;
			return ret;
		}
		ring_reap(r, job);
		if (job->receiving && !job->cancelling)
			ring_put_cancel(r, job);
	}
	return 0;
}

void devmem_ring_flush(struct devmem_ring *r)
{
	struct zcrx_ctrl ctrl = { .id = r->id, .op = ZCRX_CTRL_FLUSH };

	ring_register(r, ZCRX_REGISTER_CTRL, &ctrl, 0);
}

static int ring_result(int last)
{
	switch (last) {
	case -ECANCELED:
	case -ENOSPC:		/* for completions */
		return -EAGAIN;
	case -EFAULT:
	case -EPROTONOSUPPORT:	/* TLS in the kernel, for one */
		return -ENOMEM;
	default:
		return last;
	}
}

int devmem_ring_pull(struct devmem_ring *r, int sock, size_t most, struct zcrx_pieces *got)
{
	struct ring_job job = {
		.sock = sock, .got = got,
		.most = most < UINT32_MAX ? (uint32_t)most : UINT32_MAX,
	};
	int ret;

	got->nr = 0;
	got->err = r->broken ? -EIO : 0;
	if (r->broken)
		return -EIO;
	ret = ring_receive(r, &job);
	if (!ret)
		ret = ring_result(job.last);
	if (!job.bytes)
		return got->err ? got->err : ret;
	/* what is to be found again the next time is not kept */
	if (!got->err && ret < 0 && ret != -EAGAIN && ret != -ENOMEM)
		got->err = ret;
	return 1;
}

bool devmem_ring_refill(struct devmem_ring *r, uint64_t offset)
{
	struct zcrx_rqe *rqe = &r->rqes[r->rq_at & r->rq_mask];

	if (__atomic_load_n(&r->gone, __ATOMIC_RELAXED))
		return true;
	if (r->rq_at - __atomic_load_n(r->rq_head, __ATOMIC_ACQUIRE) > r->rq_mask)
		return false;
	*rqe = (struct zcrx_rqe) { .offset = offset | r->area_token };
	r->rq_at++;
	return true;
}

void devmem_ring_publish(struct devmem_ring *r)
{
	__atomic_store_n(r->rq_tail, r->rq_at, __ATOMIC_RELEASE);
}

/* ---- making it ------------------------------------------------------------ */

static bool ring_failed(struct devmem_ring *r, const char *what)
{
	r->err = errno;
	r->failed = what;
	return false;
}

static bool ring_map(struct devmem_ring *r, int fd, const struct io_uring_params *p)
{
	size_t sq = p->sq_off.array + p->sq_entries * sizeof(uint32_t);
	size_t cq = p->cq_off.cqes + p->cq_entries * 2 * sizeof(struct io_uring_cqe);
	char *rings;
	void *sqes;
	uint32_t i;

	r->rings_size = sq > cq ? sq : cq;
	r->sqes_size = p->sq_entries * sizeof(struct io_uring_sqe);
	rings = mmap(NULL, r->rings_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
		     IORING_OFF_SQ_RING);
	if (rings == MAP_FAILED)
		return ring_failed(r, "memory for a ring");
	r->rings = rings;
	sqes = mmap(NULL, r->sqes_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
		    IORING_OFF_SQES);
	if (sqes == MAP_FAILED)
		return ring_failed(r, "memory for a ring");
	r->sqes = sqes;
	/* a child of this process does not keep the ring, and with it the queue */
	if (madvise(rings, r->rings_size, MADV_DONTFORK) ||
	    madvise(sqes, r->sqes_size, MADV_DONTFORK))
		return ring_failed(r, "madvise");

	r->sq_tail = (void *)(rings + p->sq_off.tail);
	r->sq_mask = p->sq_entries - 1;
	r->cq_head = (void *)(rings + p->cq_off.head);
	r->cq_tail = (void *)(rings + p->cq_off.tail);
	r->cq_mask = p->cq_entries - 1;
	r->cqes = (void *)(rings + p->cq_off.cqes);
	for (i = 0; i < p->sq_entries; i++)
		((uint32_t *)(void *)(rings + p->sq_off.array))[i] = i;
	return true;
}

/* By the thread that uses it. It goes with that: what is inherited is a descriptor, and
 * it has none.
 */
static bool ring_make(struct devmem_ring *r)
{
	struct io_uring_params params = {
		.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
			 IORING_SETUP_CQE32 | IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL,
		.cq_entries = RING_CQES,
	};
	int fd = (int)syscall(SYS_io_uring_setup, RING_SQES, &params);
	struct io_uring_rsrc_update update = { .offset = -1U, .data = (uint64_t)fd };
	bool made;

	if (fd < 0)
		return ring_failed(r, "io_uring_setup");
	made = ring_map(r, fd, &params);
	if (made && syscall(SYS_io_uring_register, fd, IORING_REGISTER_RING_FDS, &update, 1) != 1)
		made = ring_failed(r, "io_uring: registering the ring");
	r->index = (int)update.offset;
	close(fd);
	return made;
}

static bool ring_refill_map(struct devmem_ring *r, uint32_t pages)
{
	uint32_t entries = RING_REFILL_MIN;

	/* a page may have come in several pieces */
	while (entries < RING_REFILL_MAX && entries / 4 < pages)
		entries *= 2;
	r->rq_mask = entries - 1;
	r->refill_size = RING_PAGE + entries * sizeof(struct zcrx_rqe);
	r->refill = mmap(NULL, r->refill_size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return r->refill != MAP_FAILED || ring_failed(r, "memory for what is given back");
}

static bool ring_take_queue(struct devmem_ring *r, const struct zcrx_area *area)
{
	struct zcrx_region_reg region = {
		.addr = (uintptr_t)r->refill, .size = r->refill_size, .flags = ZCRX_REGION_USER,
	};
	struct zcrx_area_reg reg_area = { .size = area->size };
	struct zcrx_ifq_reg reg = {
		.ifindex = if_nametoindex(area->dev), .queue = area->queue,
		.entries = r->rq_mask + 1, .area = (uintptr_t)&reg_area,
		.region = (uintptr_t)&region, .page = area->page == RING_PAGE ? 0 : area->page,
	};
	char *refill = r->refill;

	if (area->dmabuf >= 0) {
		reg_area.flags = ZCRX_AREA_DMABUF;
		reg_area.dmabuf = (uint32_t)area->dmabuf;
	} else {
		reg_area.addr = (uintptr_t)area->addr;
	}
	if (ring_register(r, ZCRX_REGISTER_IFQ, &reg, 1))
		return ring_failed(r, NULL);
	r->id = reg.id;
	r->area_token = reg_area.token;
	r->rq_head = (void *)(refill + reg.offsets.head);
	r->rq_tail = (void *)(refill + reg.offsets.tail);
	r->rqes = (void *)(refill + reg.offsets.rqes);
	r->rq_mask = reg.entries - 1;
	return true;
}

bool devmem_ring_make(struct devmem_ring *r, const struct zcrx_area *area)
{
	return ring_make(r) && ring_refill_map(r, (uint32_t)(area->size / area->page)) &&
	       ring_take_queue(r, area);
}

void devmem_ring_unmake(struct devmem_ring *r)
{
	struct io_uring_rsrc_update update = { .offset = (uint32_t)r->index };

	__atomic_store_n(&r->gone, true, __ATOMIC_RELAXED);
	if (r->sqes)
		munmap(r->sqes, r->sqes_size);
	if (r->rings)
		munmap(r->rings, r->rings_size);
	if (r->index >= 0)
		ring_register(r, IORING_UNREGISTER_RING_FDS, &update, 1);
}

struct devmem_ring *devmem_ring_alloc(void)
{
	struct devmem_ring *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->index = -1;
	r->refill = MAP_FAILED;
	return r;
}

void devmem_ring_free(struct devmem_ring *r)
{
	if (!r)
		return;
	if (r->refill != MAP_FAILED)
		munmap(r->refill, r->refill_size);
	free(r);
}

/* ---- what is missing ------------------------------------------------------- */

int devmem_ring_why(const struct devmem_ring *r, const struct zcrx_area *area)
{
	const char *text = strerror(r->err);

	if (r->failed)
		return devmem_fail(r->err, "%s: %s%s", r->failed, text,
				   r->err == EPERM ? "; see the sysctl kernel.io_uring_disabled" : "");
	if (r->err == EEXIST || r->err == EBUSY)
		return devmem_fail(EBUSY, "%s: rx queue %u is somebody else's", area->dev,
				   area->queue);
	if (r->err == EPERM)
		text = "it takes CAP_NET_ADMIN";
	else if (r->err == EOPNOTSUPP)
		text = "its driver cannot do that";
	else if (r->err == EINVAL && area->page != RING_PAGE)
		text = "this kernel, its driver or the buffer has no such chunks";
	else if (r->err == ENOMEM)
		text = "memory, or what of it this user may lock, is short";
	return devmem_fail(r->err, "%s: rx queue %u for io_uring: %s", area->dev, area->queue,
			   text);
}

static int ring_probe(int fd)
{
	struct {
		struct io_uring_probe head;
		struct io_uring_probe_op ops[ZCRX_OP_RECV + 1];
	} probe;
	long ret;

	memset(&probe, 0, sizeof(probe));
	ret = syscall(SYS_io_uring_register, fd, IORING_REGISTER_PROBE, &probe,
		      ARRAY_SIZE(probe.ops));
	if (!ret && probe.head.last_op >= ZCRX_OP_RECV &&
	    probe.ops[ZCRX_OP_RECV].flags & IO_URING_OP_SUPPORTED)
		return 0;
	return devmem_fail(EOPNOTSUPP, "this kernel's io_uring has no zero-copy receive: it takes Linux 6.15 or newer");
}

int devmem_ring_check(void)
{
	struct io_uring_params params = { 0 };
	int fd = (int)syscall(SYS_io_uring_setup, 1, &params);
	int ret, err = errno;

	if (fd < 0)
		return devmem_fail(err, "io_uring: %s%s", strerror(err),
				   err == EPERM ? "; see the sysctl kernel.io_uring_disabled" :
						  "");
	ret = ring_probe(fd);
	close(fd);
	return ret;
}
