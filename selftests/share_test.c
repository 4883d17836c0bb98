// SPDX-License-Identifier: GPL-2.0
/*
 * One socket, several who use it at the same time: readers, those who peek,
 * attach or shut it down, and io_uring. Each byte goes to one of them, once.
 * Must not know of a bad network.
 */
#include <linux/io_uring.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "common.h"

#define SEED	0x54a8e
#define WORDS	(1U << 18)	/* 2 MiB */

static struct bound b;
static struct conn c;
static struct rx rx;

static void open_stream(void)
{
	bind_buffer(&b, DEVMEM_BUF_HEAP, 4 << 20, 4096);
	connect_pair(&c, AF_INET);
	attach(c.rx, &b);
}

/* The reverse of devmem_pattern_mix(). */
static uint64_t unmix(uint64_t x)
{
	uint64_t inverse = 1;
	int i;

	x ^= x >> 31 ^ x >> 62;
	/* Newton: each step doubles the bits that are right */
	for (i = 0; i < 7; i++)
		inverse *= 2 - 0xbf58476d1ce4e5b9ULL * inverse;
	x *= inverse;
	return x ^ x >> 30 ^ x >> 60;
}

/* Which word of the stream is at @p? */
static uint64_t word_index(const void *p)
{
	uint64_t inverse = 1, word;
	int i;

	memcpy(&word, p, sizeof(word));
	for (i = 0; i < 7; i++)
		inverse *= 2 - DEVMEM_PATTERN_STEP * inverse;
	return (unmix(le64toh(word)) - devmem_pattern_start(0, SEED)) * inverse;
}

/* Who reads does not know where the others are: the bytes have to tell. All
 * writes are of whole words, so all pieces are, too.
 */
struct reader {
	unsigned char linear[65536];
	unsigned char control[64 * CMSG_SPACE(sizeof(struct devmem_cmsg))];
	struct msghdr msg;
};

/* Marks the words of one call in @seen, and gives the tokens back. */
/* NOLINTNEXTLINE: atomics write to it, clang-tidy cannot see that */
static void account(struct reader *r, size_t n, unsigned char *seen)
{
	struct devmem_cmsg dc;
	struct devmem_range range;
	struct cmsghdr *cmsg;
	uint64_t next = 0, i;
	size_t sum = 0;

	for (cmsg = CMSG_FIRSTHDR(&r->msg); cmsg; cmsg = CMSG_NXTHDR(&r->msg, cmsg)) {
		check_eq(cmsg->cmsg_type, SCM_DEVMEM_DMABUF);
		memcpy(&dc, CMSG_DATA(cmsg), sizeof(dc));
		check_eq(dc.frag_size % 8, 0);
		if (!sum)
			next = word_index(b.map + dc.frag_offset);
		check_cmp(next + dc.frag_size / 8, <=, WORDS);
		check_eq(devmem_pattern_check(b.map + dc.frag_offset, dc.frag_size,
					      next * 8, SEED), -1);
		for (i = 0; i < dc.frag_size / 8; i++)
			check_eq(__atomic_fetch_add(&seen[next + i], 1, __ATOMIC_RELAXED), 0);
		next += dc.frag_size / 8;
		sum += dc.frag_size;
		range = (struct devmem_range) { dc.frag_token, 1 };
		check_eq(setsockopt(c.rx, SOL_SOCKET, SO_DEVMEM_DONTNEED, &range,
				    sizeof(range)), 1);
	}
	check_eq(sum, n);
}

static ssize_t read_once(struct reader *r, size_t size, int flags)
{
	struct iovec iov = { r->linear, size };

	r->msg = (struct msghdr) {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = r->control,
		.msg_controllen = sizeof(r->control),
	};
	return recvmsg(c.rx, &r->msg, flags | MSG_SOCK_DEVMEM);
}

/* A helper that reads to the end of the stream. */
static pid_t reader_start(unsigned char *seen, size_t size)
{
	static struct reader r;
	pid_t pid = test_fork();
	ssize_t n;

	if (pid)
		return pid;
	close(c.tx);
	while ((n = must(read_once(&r, size, 0))))
		account(&r, (size_t)n, seen);
	_exit(0);
}

static unsigned char *shared_map(void)
{
	unsigned char *seen = mmap(NULL, WORDS, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	check(seen != MAP_FAILED);
	return seen;
}

static void all_seen(const unsigned char *seen)
{
	uint64_t i;

	for (i = 0; i < WORDS; i++)
		if (seen[i] != 1)
			fail("word %llu was read %u times", (unsigned long long)i, seen[i]);
}

static void several_readers(void)
{
	static const size_t sizes[] = { 800, 4096, 65536 };
	unsigned char *seen = shared_map();
	pid_t tx, pid[ARRAY_SIZE(sizes)];
	unsigned int i;

	open_stream();
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		pid[i] = reader_start(seen, sizes[i]);
	tx = send_start(&c, WORDS * 8ULL, SEED, 8000, SEND_SHUTDOWN);
	test_join(tx);
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		test_join(pid[i]);
	all_seen(seen);
	check_eq(live_object("tokens"), 0);
}

/* Peeks until the end of the stream, at what somebody else reads. What it is
 * told may be gone by the time that it looks: only the call itself is tested.
 */
static pid_t peeker_start(void)
{
	static struct reader r;
	pid_t pid = test_fork();

	if (pid)
		return pid;
	close(c.tx);
	while (must(read_once(&r, 30000, rand() % 2 ? MSG_PEEK : MSG_PEEK | MSG_WAITALL)))
		;
	_exit(0);
}

static void reader_and_peekers(void)
{
	unsigned char *seen = shared_map();
	pid_t tx, pid[3];
	unsigned int i;

	open_stream();
	pid[0] = reader_start(seen, 3000);
	for (i = 1; i < 3; i++)
		pid[i] = peeker_start();
	tx = send_start(&c, WORDS * 8ULL, SEED, 8000, SEND_SHUTDOWN);
	test_join(tx);
	for (i = 0; i < 3; i++)
		test_join(pid[i]);
	all_seen(seen);
	check_eq(live_object("tokens"), 0);
}

/* Of those who attach at the same time one succeeds. */
static void attach_races(void)
{
	unsigned int round, i, done;
	pid_t pid[3];
	int *result = (int *)shared_map();

	bind_buffer(&b, DEVMEM_BUF_HEAP, 1 << 20, 4096);
	for (round = 0; round < 20; round++) {
		connect_pair(&c, AF_INET);
		for (i = 0; i < 3; i++) {
			pid[i] = test_fork();
			if (!pid[i]) {
				result[i] = devmem_attach(c.rx, b.res.id,
							  devmem_buf_fd(b.buf), 0);
				_exit(0);
			}
		}
		for (i = 0, done = 0; i < 3; i++) {
			test_join(pid[i]);
			if (result[i])
				check_eq(result[i], -EISCONN);
			else
				done++;
		}
		check_eq(done, 1);
		rx_init(&rx, c.rx, &b, round);
		send_pattern(c.tx, 1000, 0, round, 1000);
		rx_all(&rx, 1000);
		check_eq(rx.placed, 1000);
		rx_free(&rx);
		disconnect_pair(&c);
	}
}

/* Who sleeps in recvmsg() wakes when another shuts the socket down. */
static void shutdown_wakes_the_reader(void)
{
	unsigned char *seen = shared_map();
	pid_t pid;

	open_stream();
	pid = reader_start(seen, 4096);
	send_pattern(c.tx, 8000, 0, SEED, 8000);
	check(within(5000, __atomic_load_n(&seen[999], __ATOMIC_RELAXED)));
	must(shutdown(c.rx, SHUT_RD));
	test_join(pid);
}

/* io_uring, by hand: one entry at a time. */
struct ring {
	int fd;
	unsigned char *sq, *cq;
	struct io_uring_sqe *sqe;
	struct io_uring_params p;
};

static void *ring_map(int fd, size_t size, off_t what)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		       fd, what);

	check(p != MAP_FAILED);
	return p;
}

static void ring_open(struct ring *r)
{
	memset(r, 0, sizeof(*r));
	r->fd = (int)syscall(__NR_io_uring_setup, 4, &r->p);
	if (r->fd < 0)
		skip("io_uring: %s", strerror(errno));
	r->sq = ring_map(r->fd, r->p.sq_off.array + r->p.sq_entries * sizeof(uint32_t),
			 IORING_OFF_SQ_RING);
	r->cq = ring_map(r->fd, r->p.cq_off.cqes + r->p.cq_entries *
			 sizeof(struct io_uring_cqe), IORING_OFF_CQ_RING);
	r->sqe = ring_map(r->fd, r->p.sq_entries * sizeof(*r->sqe), IORING_OFF_SQES);
}

static uint32_t *word_at(unsigned char *base, uint32_t off)
{
	return (uint32_t *)(base + off);
}

/* recvmsg() through the ring; it sleeps in there if there is nothing to read. */
static int ring_recvmsg(struct ring *r, struct msghdr *msg, unsigned int flags)
{
	uint32_t tail = *word_at(r->sq, r->p.sq_off.tail);
	uint32_t mask = *word_at(r->sq, r->p.sq_off.ring_mask);
	struct io_uring_sqe *sqe = &r->sqe[tail & mask];
	struct io_uring_cqe *cqes = (void *)(r->cq + r->p.cq_off.cqes);
	uint32_t head;

	memset(sqe, 0, sizeof(*sqe));
	sqe->opcode = IORING_OP_RECVMSG;
	sqe->fd = c.rx;
	sqe->addr = (uint64_t)(uintptr_t)msg;
	sqe->len = 1;
	sqe->msg_flags = flags;
	word_at(r->sq, r->p.sq_off.array)[tail & mask] = tail & mask;
	__atomic_store_n(word_at(r->sq, r->p.sq_off.tail), tail + 1, __ATOMIC_RELEASE);
	check_eq(must(syscall(__NR_io_uring_enter, r->fd, 1, 1, IORING_ENTER_GETEVENTS,
			      NULL, 0)), 1);
	head = *word_at(r->cq, r->p.cq_off.head);
	check(head != __atomic_load_n(word_at(r->cq, r->p.cq_off.tail), __ATOMIC_ACQUIRE));
	mask = *word_at(r->cq, r->p.cq_off.ring_mask);
	__atomic_store_n(word_at(r->cq, r->p.cq_off.head), head + 1, __ATOMIC_RELEASE);
	return cqes[head & mask].res;
}

static void through_io_uring(void)
{
	static struct reader r;
	unsigned char *seen = shared_map();
	struct iovec iov = { r.linear, 40000 };
	struct ring ring;
	unsigned int i = 0;
	pid_t pid;
	int n;

	ring_open(&ring);
	open_stream();
	pid = send_start(&c, WORDS * 8ULL, SEED, 8000, SEND_SHUTDOWN);
	do {
		r.msg = (struct msghdr) {
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = r.control,
			.msg_controllen = sizeof(r.control),
		};
		n = ring_recvmsg(&ring, &r.msg, MSG_SOCK_DEVMEM |
				 (i++ % 2 ? MSG_WAITALL : 0));
		if (n < 0)
			fail("recvmsg through io_uring: %s", strerror(-n));
		account(&r, (size_t)n, seen);
	} while (n);
	test_join(pid);
	all_seen(seen);
	check_eq(live_object("tokens"), 0);
	close(ring.fd);
}

static void setup(void)
{
	env_setup(4);
	env_patient();
}

static const struct ktap_case cases[] = {
	KTAP_CASE(several_readers),
	KTAP_CASE(reader_and_peekers),
	KTAP_CASE(attach_races),
	KTAP_CASE(shutdown_wakes_the_reader),
	KTAP_CASE(through_io_uring),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
