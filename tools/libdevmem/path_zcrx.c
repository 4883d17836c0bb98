// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Owns the path through io_uring's zero-copy receive: the NIC writes payload to pages of
 * the buffer that its queue is given, a ring tells where. What it has told, and who asked
 * had no room for, waits here. A token is the number of a page. The NIC is set up by
 * devmem-nic. Must not know the other paths, nor how a ring works.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "internal.h"
#include "nic.h"
#include "zcrx.h"

/* So much is taken from a socket at once at least, for reads of a few bytes; of a small
 * buffer less.
 */
#define ZCRX_PULL_MIN		65536U
#define ZCRX_PULL_SHARE		16
#define ZCRX_PULL_MAX		(1U << 20)

/* The next bytes are not the ring's, and then they are: between two looks at them. */
#define ZCRX_TRIES		8

/* Between looks whether the kernel has room for what goes back. */
#define ZCRX_LATE_MS		10

struct devmem_zcrx {
	struct devmem_ring *ring;
	struct devmem_worker *worker;
	struct devmem_pages *pages;	/* protected by devmem_rx.lock */
	int more;			/* an eventfd, always readable */
};

struct devmem_zcrx_conn {
	struct zcrx_pieces got;
	unsigned int next;	/* of @got */
	int pollfd;		/* an epoll, -1: nobody has asked for it */
	bool readable;		/* it has devmem_zcrx.more */
};

/* ---- the receiver ----------------------------------------------------------- */

static void zcrx_free(struct devmem_rx *rx)
{
	struct devmem_zcrx *z = rx->zcrx;

	devmem_worker_free(z->worker);
	devmem_ring_free(z->ring);
	if (z->more >= 0)
		close(z->more);
	devmem_pages_free(z->pages);
	free(z);
	rx->zcrx = NULL;
}

static bool zcrx_alloc(struct devmem_rx *rx)
{
	struct devmem_zcrx *z = calloc(1, sizeof(*z));

	if (!z)
		return false;
	rx->zcrx = z;
	z->ring = devmem_ring_alloc();
	z->pages = devmem_pages_alloc(z->ring, rx->res.chunks, rx->res.chunk_size);
	z->more = eventfd(1, EFD_CLOEXEC);
	if (z->pages && z->ring && z->more >= 0)
		return true;
	zcrx_free(rx);
	return false;
}

static int zcrx_take_queue(struct devmem_rx *rx, const char *dev, uint32_t queue)
{
	struct zcrx_area area = {
		.dev = dev, .queue = queue, .dmabuf = -1,
		.size = (size_t)rx->res.chunks * rx->res.chunk_size, .page = rx->res.chunk_size,
	};
	int ret = 0;

	if (devmem_buf_is_host(rx->buf))
		ret = devmem_buf_map_write(rx->buf, &area.addr);
	else
		area.dmabuf = devmem_buf_fd(rx->buf);
	/* the kernel takes a dma-buf whole or not at all */
	if (area.dmabuf >= 0)
		area.size = devmem_buf_size(rx->buf);
	if (ret)
		return ret;
	if (!zcrx_alloc(rx)) {
		devmem_fail(ENOMEM, "out of memory, or of descriptors");
		return -ENOMEM;
	}
	ret = devmem_worker_open(&rx->zcrx->worker, rx->zcrx->ring, &area);
	if (ret)
		zcrx_free(rx);
	return ret;
}

static int zcrx_open(struct devmem_rx *rx, const struct devmem_rx_config *config)
{
	struct devmem_nic_request req = { .what = DEVMEM_NIC_CLAIM };
	struct devmem_nic_reply reply;
	int ret;

	if (config->binding_id)
		return devmem_fail(EINVAL, "a binding of another process: not on the path 'zcrx'");
	if (config->nr_queues > 1)
		return devmem_fail(EINVAL, "%u rx queues: the path 'zcrx' takes one",
				   config->nr_queues);
	ret = devmem_ring_check();
	if (!ret)
		ret = devmem_nic_path_open(rx, &req, config, -1, &reply);
	if (ret)
		return ret;
	rx->res.id = 0;
	ret = zcrx_take_queue(rx, config->dev, reply.queue);
	if (ret)
		devmem_nic_path_close(rx);
	return ret;
}

/* The queue is let go before the device is undone: it needs header split till then. */
static void zcrx_close(struct devmem_rx *rx)
{
	devmem_worker_close(rx->zcrx->worker);
	devmem_nic_path_close(rx);
}

static int zcrx_check(const char *dev)
{
	int ret = devmem_ring_check();

	return ret ? ret : devmem_nic_check(dev);
}

/* ---- connections ------------------------------------------------------------ */

static int zcrx_attach(struct devmem_conn *conn, unsigned int flags)
{
	conn->zcrx = calloc(1, sizeof(*conn->zcrx));
	if (!conn->zcrx)
		return devmem_fail(ENOMEM, "out of memory");
	conn->zcrx->pollfd = -1;
	return devmem_nic_path_attach(conn, flags);
}

/* What waits for its user is not wanted any more. */
static void zcrx_end(struct devmem_conn *conn)
{
	struct devmem_pages *pages = conn->rx->zcrx->pages;
	struct devmem_zcrx_conn *zc = conn->zcrx;

	devmem_nic_path_end(conn);
	pthread_mutex_lock(&conn->rx->lock);
	for (; zc->next < zc->got.nr; zc->next++)
		devmem_pages_put(pages, devmem_pages_of(pages, &zc->got.piece[zc->next]));
	pthread_mutex_unlock(&conn->rx->lock);
}

static void zcrx_detach(struct devmem_conn *conn)
{
	struct devmem_zcrx_conn *zc = conn->zcrx;

	if (!zc)
		return;
	if (zc->pollfd >= 0)
		close(zc->pollfd);
	free(zc->got.piece);
	free(zc);
}

/* The socket does not tell of what waits here. */
static bool zcrx_waits(const struct devmem_zcrx_conn *zc)
{
	return zc->next < zc->got.nr || zc->got.err;
}

static void zcrx_poll_update(struct devmem_conn *conn)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct devmem_zcrx_conn *zc = conn->zcrx;

	if (zc->pollfd < 0 || zc->readable == zcrx_waits(zc))
		return;
	if (!epoll_ctl(zc->pollfd, zc->readable ? EPOLL_CTL_DEL : EPOLL_CTL_ADD,
		       conn->rx->zcrx->more, &event))
		zc->readable = !zc->readable;
}

static int zcrx_poll_fd(struct devmem_conn *conn)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP };
	struct devmem_zcrx_conn *zc = conn->zcrx;
	int fd, err;

	if (zc->pollfd >= 0)
		return zc->pollfd;
	fd = epoll_create1(EPOLL_CLOEXEC);
	if (fd < 0 || epoll_ctl(fd, EPOLL_CTL_ADD, conn->sock, &event)) {
		err = errno;
		if (fd >= 0)
			close(fd);
		return devmem_fail(err, "epoll: %s", strerror(err));
	}
	zc->pollfd = fd;
	zcrx_poll_update(conn);
	return fd;
}

/* ---- receiving --------------------------------------------------------------- */

/* What waits here already. */
static size_t zcrx_give(struct devmem_conn *conn, struct devmem_msg *msg, size_t most)
{
	struct devmem_zcrx_conn *zc = conn->zcrx;
	struct devmem_rx *rx = conn->rx;
	struct devmem_cmsg dc = { .frag_size = 0 };
	struct zcrx_piece *piece;
	size_t left = most;

	pthread_mutex_lock(&rx->lock);
	for (; left && zc->next < zc->got.nr; left -= dc.frag_size) {
		piece = &zc->got.piece[zc->next];
		dc.frag_offset = piece->offset;
		dc.frag_size = piece->size < left ? piece->size : (uint32_t)left;
		dc.frag_token = devmem_pages_of(rx->zcrx->pages, piece);
		if (!devmem_msg_add_piece(msg, &dc))
			break;
		if (dc.frag_size == piece->size) {
			zc->next++;
			continue;
		}
		devmem_pages_get(rx->zcrx->pages, dc.frag_token);
		piece->offset += dc.frag_size;
		piece->size -= dc.frag_size;
	}
	pthread_mutex_unlock(&rx->lock);
	devmem_nic_path_hold(rx, devmem_msg_tokens(msg));
	return most - left;
}

static int zcrx_pull(struct devmem_conn *conn, const struct devmem_msg *msg, size_t most)
{
	struct devmem_rx *rx = conn->rx;
	size_t room = (size_t)devmem_msg_pieces(msg) * rx->res.chunk_size;
	size_t least = devmem_buf_size(rx->buf) / ZCRX_PULL_SHARE;
	struct devmem_zcrx_conn *zc = conn->zcrx;
	int ret;

	if (most > room)
		most = room;
	if (least > ZCRX_PULL_MIN)
		least = ZCRX_PULL_MIN;
	if (most < least)
		most = least;
	if (most > ZCRX_PULL_MAX)
		most = ZCRX_PULL_MAX;
	zc->next = 0;
	ret = devmem_worker_pull(rx->zcrx->worker, conn->sock, most, &zc->got);
	pthread_mutex_lock(&rx->lock);
	devmem_pages_told(rx->zcrx->pages, &zc->got);
	pthread_mutex_unlock(&rx->lock);
	return ret;
}

static ssize_t zcrx_recv_host(struct devmem_conn *conn, struct devmem_msg *msg, size_t most)
{
	size_t size;
	void *linear = devmem_msg_linear(msg, &size);
	ssize_t n = recv(conn->sock, linear, most, MSG_DONTWAIT);

	if (n < 0)
		return -errno;
	if (n)
		devmem_msg_set_linear(msg, (size_t)n);
	return n;
}

/* Without waiting. Bytes that have come through other queues, before the connection had
 * its rule for one, are in host memory, and no ring's.
 */
static ssize_t zcrx_fetch(struct devmem_conn *conn, struct devmem_msg *msg, size_t most)
{
	unsigned int tries;
	ssize_t ret, n;

	for (tries = 0; tries < ZCRX_TRIES; tries++) {
		ret = conn->attached ? zcrx_pull(conn, msg, most) : -ENOMEM;
		if (ret > 0)
			return (ssize_t)zcrx_give(conn, msg, most);
		if (ret != -ENOMEM && ret != -ESHUTDOWN)
			return ret < 0 ? devmem_fail((int)-ret, "recv: %s",
						     strerror((int)-ret)) : 0;
		n = zcrx_recv_host(conn, msg, most);
		if (n >= 0)
			return n;
		if (n != -EFAULT)
			return devmem_fail((int)-n, "recv: %s", strerror((int)-n));
		if (ret == -ESHUTDOWN)
			return devmem_fail(EIO, "the next bytes are lost: they were in the buffer when the receiver was closed");
	}
	return devmem_fail(EIO, "the next bytes can be received by no means");
}

static bool zcrx_pages_back(struct devmem_rx *rx)
{
	bool all;

	pthread_mutex_lock(&rx->lock);
	all = devmem_pages_back(rx->zcrx->pages);
	pthread_mutex_unlock(&rx->lock);
	return all;
}

/* What the kernel had no room for may be what the NIC needs: not before waiting.
 * Return: it has all.
 */
static bool zcrx_give_back(struct devmem_rx *rx)
{
	if (zcrx_pages_back(rx))
		return true;
	devmem_worker_flush(rx->zcrx->worker);
	return zcrx_pages_back(rx);
}

/* In ms; -1: for ever. */
static int zcrx_timeout(int sock)
{
	struct timeval most = { 0 };
	socklen_t len = sizeof(most);

	getsockopt(sock, SOL_SOCKET, SO_RCVTIMEO, &most, &len);
	if ((!most.tv_sec && !most.tv_usec) || most.tv_sec > INT_MAX / 1000 - 1)
		return -1;
	return (int)(most.tv_sec * 1000 + (most.tv_usec + 999) / 1000);
}

/* As recv() would: for as long as SO_RCVTIMEO says. */
static int zcrx_wait(struct devmem_conn *conn)
{
	struct pollfd pfd = { .fd = conn->sock, .events = POLLIN };
	int left = zcrx_timeout(conn->sock), ms, ret, err;

	do {
		ms = left;
		if (!zcrx_give_back(conn->rx) && (left < 0 || left > ZCRX_LATE_MS))
			ms = ZCRX_LATE_MS;
		ret = poll(&pfd, 1, ms);
		if (left >= 0)
			left -= ms;
	} while (!ret && left);
	if (ret > 0)
		return 0;
	err = ret ? errno : EAGAIN;
	return devmem_fail(err, "recv: %s", strerror(err));
}

static bool zcrx_may_wait(const struct devmem_conn *conn, unsigned int flags)
{
	return !(flags & MSG_DONTWAIT) && !(fcntl(conn->sock, F_GETFL) & O_NONBLOCK);
}

static ssize_t zcrx_recv_some(struct devmem_conn *conn, struct devmem_msg *msg, size_t most,
			      unsigned int flags)
{
	struct devmem_zcrx_conn *zc = conn->zcrx;
	ssize_t n;
	int ret;

	n = (ssize_t)zcrx_give(conn, msg, most);
	if (n)
		return n;
	if (zc->got.err) {
		ret = zc->got.err;
		/* what has come then is gone */
		if (ret != -EIO)
			zc->got.err = 0;
		return devmem_fail(-ret, "recv: %s", strerror(-ret));
	}
	for (;;) {
		n = zcrx_fetch(conn, msg, most);
		if (n != -EAGAIN || !zcrx_may_wait(conn, flags))
			return n;
		ret = zcrx_wait(conn);
		if (ret)
			return ret;
	}
}

static ssize_t zcrx_recv(struct devmem_conn *conn, struct devmem_msg *msg, size_t most,
			 unsigned int flags)
{
	size_t size;
	ssize_t n;

	devmem_msg_set_empty(msg);
	if (flags & (MSG_PEEK | MSG_TRUNC))
		return devmem_fail(EINVAL, "MSG_PEEK and MSG_TRUNC: not on the path 'zcrx'");
	devmem_msg_linear(msg, &size);
	n = zcrx_recv_some(conn, msg, most < size ? most : size, flags);
	zcrx_poll_update(conn);
	return n;
}

static int zcrx_release(struct devmem_conn *conn, uint32_t token)
{
	bool held;

	pthread_mutex_lock(&conn->rx->lock);
	held = devmem_pages_put(conn->rx->zcrx->pages, token);
	pthread_mutex_unlock(&conn->rx->lock);
	if (held)
		devmem_nic_path_drop(conn->rx);
	conn->released += held;
	return 0;
}

static int zcrx_flush(struct devmem_conn *conn)
{
	zcrx_give_back(conn->rx);
	return 0;
}

static void zcrx_stats(const struct devmem_conn *conn, struct devmem_conn_stats *stats)
{
	stats->released = conn->released;
}

const struct devmem_path devmem_path_zcrx = {
	.name = "zcrx",
	.open = zcrx_open,
	.close = zcrx_close,
	.free = zcrx_free,
	.check = zcrx_check,
	.attach = zcrx_attach,
	.end = zcrx_end,
	.detach = zcrx_detach,
	.poll_fd = zcrx_poll_fd,
	.room = devmem_nic_path_room,
	.recv = zcrx_recv,
	.release = zcrx_release,
	.flush = zcrx_flush,
	.stats = zcrx_stats,
};
