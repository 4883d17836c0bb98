// SPDX-License-Identifier: GPL-2.0
/*
 * Owns those who give tokens back for a reader, see common_givers.h: a thread and
 * a process, what is sent to them, and their look at each piece. Must not know
 * when or why a reader hands over.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common_givers.h"

#define BATCH		16
#define PAUSE_US	2000

static uint64_t *given;		/* tokens; shared with the process */

struct parcel {
	uint64_t seed;
	unsigned int nr;
	struct rx_piece pieces[BATCH];
};

static void check_pieces(const struct parcel *p, const unsigned char *map)
{
	unsigned int i;

	for (i = 0; i < p->nr; i++)
		if (devmem_pattern_check(map + p->pieces[i].off, p->pieces[i].size,
					 p->pieces[i].pos, p->seed) >= 0)
			fail("a held piece has changed: byte %llu, offset %llu, size %u",
			     (unsigned long long)p->pieces[i].pos,
			     (unsigned long long)p->pieces[i].off, p->pieces[i].size);
}

/* Takes pieces and a descriptor of their socket, and gives the tokens back. */
static void give_back(int from, const unsigned char *map)
{
	union {
		struct cmsghdr hdr;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct devmem_range range = { 0, 1 };
	struct parcel p;
	struct iovec iov = { &p, sizeof(p) };
	struct msghdr msg;
	unsigned int i;
	int sock;

	for (;;) {
		msg = (struct msghdr) { .msg_iov = &iov, .msg_iovlen = 1,
					.msg_control = control.bytes,
					.msg_controllen = sizeof(control.bytes) };
		if (must(recvmsg(from, &msg, MSG_CMSG_CLOEXEC)) != sizeof(p))
			return;
		memcpy(&sock, CMSG_DATA(&control.hdr), sizeof(sock));
		check_pieces(&p, map);
		usleep((useconds_t)(p.seed + p.pieces[0].pos) % PAUSE_US);
		check_pieces(&p, map);
		for (i = 0; i < p.nr; i++) {
			range.token_start = p.pieces[i].token;
			check_eq(setsockopt(sock, SOL_SOCKET, SO_DEVMEM_DONTNEED, &range,
					    sizeof(range)), 1);
		}
		close(sock);
		__atomic_fetch_add(given, p.nr, __ATOMIC_RELAXED);
	}
}

void givers_hand_over(struct rx *rx, int to)
{
	union {
		struct cmsghdr hdr;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .hdr = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct parcel p = { .seed = rx->seed };
	struct iovec iov = { &p, sizeof(p) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };

	memcpy(CMSG_DATA(&control.hdr), &rx->sock, sizeof(int));
	while (rx->nr_held) {
		p.nr = rx->nr_held < BATCH ? (unsigned int)rx->nr_held : BATCH;
		rx->nr_held -= p.nr;
		memcpy(p.pieces, rx->held + rx->nr_held, p.nr * sizeof(p.pieces[0]));
		check_eq(sendmsg(to, &msg, MSG_NOSIGNAL), sizeof(p));
	}
}

static void *thread_main(void *arg)
{
	struct givers *g = arg;

	give_back(g->from_thread, g->map);
	return NULL;
}

void givers_start(struct givers *g, const struct bound *b)
{
	int pairs[2][2];

	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pairs[0]));
	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pairs[1]));
	given = mmap(NULL, sizeof(*given), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	check(given != MAP_FAILED);
	g->map = b->map;
	g->from_thread = pairs[0][0];
	g->to_thread = pairs[0][1];
	g->to_process = pairs[1][1];
	g->process = test_fork();
	if (!g->process) {
		close(g->to_thread);
		close(g->to_process);
		devmem_nl_close(b->nl);	/* else the binding would be ours, too */
		give_back(pairs[1][0], b->map);
		_exit(0);
	}
	close(pairs[1][0]);
	check_eq(pthread_create(&g->thread, NULL, thread_main, g), 0);
}

uint64_t givers_stop(struct givers *g)
{
	close(g->to_thread);
	close(g->to_process);
	pthread_join(g->thread, NULL);
	test_join(g->process);
	return *given;
}
