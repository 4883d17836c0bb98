// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Owns the path that works everywhere: recv() into the buffer, by the CPU. The buffer
 * is divided into chunks; a connection fills one after the other, and a chunk can be
 * filled again when nobody holds a piece of it. A token is the number of the chunk.
 * Must not know the other paths.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

#define COPY_CHUNK_MIN	4096
#define COPY_CHUNK_BEST	(1U << 20)	/* as much as one recv() takes, mostly */
#define COPY_CHUNKS	16		/* of a buffer that is smaller: that many */
#define COPY_CHUNK_NONE	UINT32_MAX
#define COPY_REST_MIN	4096		/* less is not worth a system call */

struct devmem_copy {
	char *map;
	uint32_t *free;		/* stack of chunk numbers */
	uint32_t nr_free;
	uint32_t *refs;		/* of each chunk: pieces, and who fills it */
};

static int copy_chunk_size(const struct devmem_rx *rx, uint32_t wanted, uint32_t *size)
{
	size_t all = devmem_buf_size(rx->buf);

	*size = wanted;
	if (!wanted) {
		*size = COPY_CHUNK_BEST;
		while (*size > COPY_CHUNK_MIN && all / *size < COPY_CHUNKS)
			*size /= 2;
	}
	if (*size < COPY_CHUNK_MIN || *size & (*size - 1))
		return devmem_fail(EINVAL, "chunk size %u is not a power of two from %u on",
				   wanted, COPY_CHUNK_MIN);
	if (all < *size || all / *size >= COPY_CHUNK_NONE)
		return devmem_fail(EINVAL, "chunk size %u: a buffer of %zu bytes has %zu of them",
				   *size, all, all / *size);
	return 0;
}

static void copy_free(struct devmem_rx *rx)
{
	free(rx->copy->free);
	free(rx->copy->refs);
	free(rx->copy);
	rx->copy = NULL;
}

static int copy_open(struct devmem_rx *rx, const struct devmem_rx_config *config)
{
	struct devmem_copy *copy;
	uint32_t size, nr, i;
	void *map;
	int ret;

	ret = copy_chunk_size(rx, config->chunk_size, &size);
	if (!ret)
		ret = devmem_buf_map_write(rx->buf, &map);
	if (ret)
		return ret;
	nr = (uint32_t)(devmem_buf_size(rx->buf) / size);

	copy = calloc(1, sizeof(*copy));
	if (!copy)
		return devmem_fail(ENOMEM, "out of memory");
	rx->copy = copy;
	copy->map = map;
	copy->free = calloc(nr, sizeof(*copy->free));
	copy->refs = calloc(nr, sizeof(*copy->refs));
	if (!copy->free || !copy->refs) {
		copy_free(rx);
		return devmem_fail(ENOMEM, "out of memory");
	}
	for (i = 0; i < nr; i++)
		copy->free[i] = nr - 1 - i;	/* lowest on top */
	copy->nr_free = nr;
	rx->res.id = 0;
	rx->res.chunk_size = size;
	rx->res.chunks = nr;
	return 0;
}

static int copy_attach(struct devmem_conn *conn, unsigned int flags)
{
	conn->chunk = COPY_CHUNK_NONE;
	if (flags & ~DEVMEM_ATTACH_REPORT_LOST)
		return devmem_fail(EINVAL, "flags 0x%x: only DEVMEM_ATTACH_REPORT_LOST is defined",
				   flags);
	return 0;
}

/* A chunk is taken, with a reference. */
static uint32_t copy_take(struct devmem_rx *rx)
{
	struct devmem_copy *copy = rx->copy;
	uint32_t chunk = COPY_CHUNK_NONE;

	pthread_mutex_lock(&rx->lock);
	if (copy->nr_free) {
		chunk = copy->free[--copy->nr_free];
		copy->refs[chunk] = 1;
	}
	pthread_mutex_unlock(&rx->lock);
	return chunk;
}

static void copy_ref(struct devmem_rx *rx, uint32_t chunk)
{
	pthread_mutex_lock(&rx->lock);
	rx->copy->refs[chunk]++;
	pthread_mutex_unlock(&rx->lock);
}

/* Return: false if nobody holds it. */
static bool copy_put(struct devmem_rx *rx, uint32_t chunk)
{
	struct devmem_copy *copy = rx->copy;
	bool held;

	pthread_mutex_lock(&rx->lock);
	held = chunk < rx->res.chunks && copy->refs[chunk];
	if (held && !--copy->refs[chunk])
		copy->free[copy->nr_free++] = chunk;
	pthread_mutex_unlock(&rx->lock);
	return held;
}

static void copy_detach(struct devmem_conn *conn)
{
	if (conn->chunk != COPY_CHUNK_NONE)
		copy_put(conn->rx, conn->chunk);
	conn->chunk = COPY_CHUNK_NONE;
}

/* Nobody holds a piece of the chunk that is being filled: from its beginning again,
 * which the CPU's caches know.
 */
static void copy_rewind(struct devmem_conn *conn)
{
	pthread_mutex_lock(&conn->rx->lock);
	if (conn->rx->copy->refs[conn->chunk] == 1)
		conn->filled = 0;
	pthread_mutex_unlock(&conn->rx->lock);
}

/* Room in the chunk that is being filled, or in another; 0: all are held. */
static uint32_t copy_room(struct devmem_conn *conn)
{
	uint32_t size = conn->rx->res.chunk_size;

	if (conn->chunk != COPY_CHUNK_NONE)
		copy_rewind(conn);
	if (conn->chunk != COPY_CHUNK_NONE && conn->filled + COPY_REST_MIN <= size)
		return size - conn->filled;
	copy_detach(conn);
	conn->chunk = copy_take(conn->rx);
	conn->filled = 0;
	return conn->chunk == COPY_CHUNK_NONE ? 0 : size;
}

/* Return: as recv(), or -errno. */
static ssize_t copy_recv_host(int sock, void *addr, size_t most, unsigned int flags)
{
	ssize_t n = recv(sock, addr, most, (int)flags);
	int err = errno;

	return n >= 0 ? n : devmem_fail(err, "recv: %s", strerror(err));
}

/* The buffer's exporter must know that the CPU writes. */
static ssize_t copy_recv_buf(struct devmem_buf *buf, int sock, void *addr, size_t most,
			     unsigned int flags)
{
	ssize_t n;
	int ret;

	ret = devmem_buf_sync(buf, DEVMEM_SYNC_START | DEVMEM_SYNC_WRITE);
	if (ret)
		return ret;
	n = copy_recv_host(sock, addr, most, flags);
	ret = devmem_buf_sync(buf, DEVMEM_SYNC_END | DEVMEM_SYNC_WRITE);
	return n > 0 && ret ? ret : n;
}

static ssize_t copy_recv(struct devmem_conn *conn, struct devmem_msg *msg, size_t most,
			 unsigned int flags)
{
	struct devmem_rx *rx = conn->rx;
	struct devmem_cmsg dc = {};
	size_t room, size;
	void *linear;
	ssize_t n;

	devmem_msg_set_empty(msg);
	if (flags & (MSG_PEEK | MSG_TRUNC))
		return devmem_fail(EINVAL, "MSG_PEEK and MSG_TRUNC: not on the path 'copy'");
	linear = devmem_msg_linear(msg, &size);
	if (most > size)
		most = size;
	room = copy_room(conn);
	if (!room) {
		n = copy_recv_host(conn->sock, linear, most, flags);
		if (n > 0)
			devmem_msg_set_linear(msg, (size_t)n);
		return n;
	}

	dc.frag_offset = (uint64_t)conn->chunk * rx->res.chunk_size + conn->filled;
	n = copy_recv_buf(rx->buf, conn->sock, rx->copy->map + dc.frag_offset,
			  most < room ? most : room, flags);
	if (n <= 0)
		return n;
	dc.frag_size = (uint32_t)n;
	dc.frag_token = conn->chunk;
	conn->filled += (uint32_t)n;
	copy_ref(rx, conn->chunk);
	devmem_msg_add_piece(msg, &dc);
	return n;
}

static ssize_t copy_recv_to(struct devmem_conn *conn, void *addr, size_t most,
			    unsigned int flags)
{
	if (!(flags & MSG_DONTWAIT))
		flags |= MSG_WAITALL;
	return copy_recv_host(conn->sock, addr, most, flags);
}

static int copy_release(struct devmem_conn *conn, uint32_t token)
{
	conn->released += copy_put(conn->rx, token);
	return 0;
}

static int copy_flush(struct devmem_conn *conn)
{
	(void)conn;
	return 0;
}

static void copy_stats(const struct devmem_conn *conn, struct devmem_conn_stats *stats)
{
	stats->released = conn->released;
}

const struct devmem_path devmem_path_copy = {
	.name = "copy",
	.open = copy_open,
	.free = copy_free,
	.attach = copy_attach,
	.detach = copy_detach,
	.recv = copy_recv,
	.recv_to = copy_recv_to,
	.release = copy_release,
	.flush = copy_flush,
	.stats = copy_stats,
};
