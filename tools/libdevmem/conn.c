// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Owns connections of a receiver, and how long each is there: as long as somebody holds
 * a piece of it. Must not know how a path receives, nor what the bytes are for.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "internal.h"

/* Is a connection that cannot be attached for this reason received all the same? */
static bool devmem_conn_serves(const struct devmem_rx *rx, int err)
{
	switch (err) {
	case -ENOTCONN:		/* the peer was quick: what it sent waits */
		return true;
	case -ENETUNREACH:	/* through another device */
	case -ENETDOWN:
	case -ENOSPC:		/* of rules, of sockets */
	case -EDQUOT:
	case -EEXIST:		/* another ULP, another protocol */
	case -EOPNOTSUPP:
		return rx->automatic;
	default:
		return false;
	}
}

static void devmem_conn_free(struct devmem_conn *conn)
{
	conn->rx->path->detach(conn);
	devmem_conn_free_reading(conn);
	close(conn->sock);
	pthread_mutex_destroy(&conn->lock);
	devmem_rx_put(conn->rx);
	free(conn);
}

int devmem_conn_open(struct devmem_conn **conn, struct devmem_rx *rx, int sock,
		     unsigned int flags)
{
	struct devmem_conn *c = calloc(1, sizeof(*c));
	int ret;

	if (!c)
		return devmem_fail(ENOMEM, "out of memory");
	c->rx = rx;
	c->sock = sock;
	ret = rx->path->attach(c, flags);
	if (ret && !devmem_conn_serves(rx, ret)) {
		rx->path->detach(c);
		free(c);
		return ret;
	}
	pthread_mutex_init(&c->lock, NULL);
	devmem_rx_get(rx);
	*conn = c;
	return ret ? 1 : 0;
}

void devmem_conn_close(struct devmem_conn *conn)
{
	bool held;

	if (!conn)
		return;
	shutdown(conn->sock, SHUT_RDWR);
	if (conn->rx->path->end)
		conn->rx->path->end(conn);
	pthread_mutex_lock(&conn->lock);
	conn->rx->path->flush(conn);
	conn->closed = true;
	held = conn->given != conn->returned;
	pthread_mutex_unlock(&conn->lock);
	if (!held)
		devmem_conn_free(conn);
}

int devmem_conn_poll_fd(struct devmem_conn *conn)
{
	return conn->rx->path->poll_fd ? conn->rx->path->poll_fd(conn) : conn->sock;
}

int devmem_conn_sock(const struct devmem_conn *conn)
{
	return conn->sock;
}

ssize_t devmem_conn_recv_most(struct devmem_conn *conn, struct devmem_msg *msg,
			      size_t most, unsigned int flags)
{
	ssize_t n = conn->rx->path->recv(conn, msg, most, flags);

	pthread_mutex_lock(&conn->lock);
	conn->given += devmem_msg_tokens(msg);
	pthread_mutex_unlock(&conn->lock);
	return n;
}

ssize_t devmem_conn_recv(struct devmem_conn *conn, struct devmem_msg *msg,
			 unsigned int flags)
{
	int ret = devmem_conn_check_idle(conn);

	if (!ret && conn->rx->path->room)
		ret = conn->rx->path->room(conn);
	if (ret)
		return ret;
	return devmem_conn_recv_most(conn, msg, SIZE_MAX, flags);
}

int devmem_conn_release(struct devmem_conn *conn, uint32_t token)
{
	bool last = false;
	int ret;

	pthread_mutex_lock(&conn->lock);
	if (conn->returned == conn->given) {
		pthread_mutex_unlock(&conn->lock);
		return devmem_fail(EINVAL, "token %u: all %" PRIu64 " that were given out are back",
				   token, conn->given);
	}
	conn->returned++;
	ret = conn->rx->path->release(conn, token);
	if (conn->closed) {
		if (conn->rx->path->flush(conn) && !ret)
			ret = -EIO;
		last = conn->returned == conn->given;
	}
	pthread_mutex_unlock(&conn->lock);
	if (last)
		devmem_conn_free(conn);
	return ret;
}

int devmem_conn_flush(struct devmem_conn *conn)
{
	int ret;

	pthread_mutex_lock(&conn->lock);
	ret = conn->rx->path->flush(conn);
	pthread_mutex_unlock(&conn->lock);
	return ret;
}

void devmem_conn_get_stats(struct devmem_conn *conn, struct devmem_conn_stats *stats)
{
	*stats = (struct devmem_conn_stats) { .attached = conn->attached };
	pthread_mutex_lock(&conn->lock);
	stats->tokens = conn->given;
	conn->rx->path->stats(conn, stats);
	pthread_mutex_unlock(&conn->lock);
}
