// SPDX-License-Identifier: GPL-2.0
/*
 * Owns accept(): what its errors mean, and when to try again. Must not know
 * what becomes of a connection.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "ncdevmem.h"

#define ND_PAUSE		0.1	/* seconds */
#define ND_SAY_AGAIN		60

/* For poll(): -1, which it skips, during a pause. */
int nd_acceptor_fd(struct nd_acceptor *a)
{
	if (a->resume && nd_now() >= a->resume)
		a->resume = 0;
	return a->resume ? -1 : a->sock;
}

/* For poll(): until the pause ends, or -1. */
int nd_acceptor_timeout(const struct nd_acceptor *a)
{
	double left = a->resume - nd_now();

	if (!a->resume)
		return -1;
	return left > 0 ? (int)(left * 1000) + 1 : 0;
}

/* What the pause waited for may be there. */
void nd_acceptor_resume(struct nd_acceptor *a)
{
	a->resume = 0;
}

/* Something is missing: who wants to connect waits in the backlog. */
void nd_acceptor_pause(struct nd_acceptor *a)
{
	a->resume = nd_now() + ND_PAUSE;
}

static void nd_acceptor_short(struct nd_acceptor *a, int err)
{
	nd_acceptor_pause(a);
	if (a->said && nd_now() - a->said < ND_SAY_AGAIN)
		return;
	a->said = nd_now();
	nd_err("accept: %s; connections wait until that is over",
	       strerror(err));
}

/* Return: a file descriptor; -EAGAIN: none for now; -errno: there never will
 * be one, which was said.
 */
int nd_acceptor_take(struct nd_acceptor *a, struct sockaddr *sa, socklen_t *len)
{
	int sock = accept4(a->sock, sa, len, SOCK_CLOEXEC), err = errno;

	if (sock >= 0)
		return sock;
	switch (err) {
	case EBADF:
	case EFAULT:
	case EINVAL:
	case ENOTSOCK:
		nd_err("accept: %s", strerror(err));
		return -err;
	case EAGAIN:
	case EINTR:
	case ECONNABORTED:
	/* accept(2): errors of the new connection, to be taken like EAGAIN */
	case ENETDOWN:
	case EPROTO:
	case ENOPROTOOPT:
	case EHOSTDOWN:
	case ENONET:
	case EHOSTUNREACH:
	case EOPNOTSUPP:
	case ENETUNREACH:
		return -EAGAIN;
	default:	/* EMFILE, ENFILE, ENOBUFS, ENOMEM: of ours or of all */
		nd_acceptor_short(a, err);
		return -EAGAIN;
	}
}
