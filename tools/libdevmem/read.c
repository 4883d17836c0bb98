// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Owns reads of exactly so many bytes to one place, wherever they were received to.
 * Must not know how a path receives.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

/* Of one call: as much as TCP's window has, mostly. */
#define READ_BYTES	(1U << 20)
#define READ_PIECES	256

int devmem_conn_check_idle(const struct devmem_conn *conn)
{
	const struct devmem_reading *r = &conn->reading;

	if (!r->size)
		return 0;
	return devmem_fail(EINVAL, "a read of %zu bytes is under way, %zu of them done",
			   r->size, r->done);
}

void devmem_conn_free_reading(struct devmem_conn *conn)
{
	devmem_msg_free(conn->msg);
	free(conn->spans);
}

static int read_prepare(struct devmem_conn *conn)
{
	if (conn->msg)
		return 0;
	if (!conn->spans)
		conn->spans = calloc(READ_PIECES, sizeof(*conn->spans));
	if (!conn->spans)
		return devmem_fail(ENOMEM, "out of memory");
	return devmem_msg_alloc(&conn->msg, READ_BYTES, READ_PIECES, 0);
}

/* @nr spans of the receiver's buffer, @size bytes in all, go to where @done is. */
static int read_spans(struct devmem_conn *conn, unsigned int nr, size_t size)
{
	struct devmem_reading *r = &conn->reading;
	struct devmem_buf *from = conn->rx->buf;
	char *host = r->host + r->done;
	unsigned int i;
	int ret = 0;

	if (!nr)
		return 0;
	if (r->dst)
		ret = devmem_buf_gather(r->dst, r->offset + r->done, from, conn->spans, nr, 0);
	for (i = 0; !r->dst && !ret && i < nr; i++) {
		ret = devmem_buf_read(from, conn->spans[i].offset, host,
				      conn->spans[i].size, 0);
		host += conn->spans[i].size;
	}
	if (!ret)
		r->done += size;
	return ret;
}

static int read_linear(struct devmem_reading *r, const void *data, size_t size)
{
	int ret = 0;

	if (r->dst)
		ret = devmem_buf_write(r->dst, r->offset + r->done, data, size, 0);
	else
		memcpy(r->host + r->done, data, size);
	if (!ret)
		r->done += size;
	return ret;
}

/* Move what one call has received, as many pieces at a time as possible. There are
 * no more than @msg has room for.
 */
static int read_move(struct devmem_conn *conn)
{
	struct devmem_piece piece;
	unsigned int nr = 0;
	size_t size = 0;
	int ret;

	while (devmem_msg_next(conn->msg, &piece)) {
		if (piece.type == DEVMEM_PIECE_DMABUF) {
			conn->spans[nr].offset = piece.offset;
			conn->spans[nr++].size = piece.size;
			size += piece.size;
			continue;
		}
		ret = read_spans(conn, nr, size);
		nr = 0;
		size = 0;
		if (!ret)
			ret = piece.type == DEVMEM_PIECE_LINEAR ?
			      read_linear(&conn->reading, piece.data, piece.size) :
			      devmem_fail(EIO, "%u bytes are lost: the buffer's memory was taken back",
					  piece.size);
		if (ret)
			return ret;
	}
	return read_spans(conn, nr, size);
}

/* The device has finished with all of them. */
static int read_release(struct devmem_conn *conn)
{
	struct devmem_piece piece;
	int ret = 0, err;

	devmem_msg_rewind(conn->msg);
	while (devmem_msg_next(conn->msg, &piece)) {
		if (piece.type != DEVMEM_PIECE_DMABUF)
			continue;
		err = devmem_conn_release(conn, piece.token);
		if (err)
			ret = err;
	}
	return ret;
}

/* Through the receiver's buffer. Return: 1 to go on, 0 at the end of the stream. */
static int read_pieces(struct devmem_conn *conn, unsigned int flags)
{
	const struct devmem_reading *r = &conn->reading;
	size_t most = r->size - r->done;
	int ret, err;
	ssize_t n;

	ret = read_prepare(conn);
	if (ret)
		return ret;
	n = devmem_conn_recv_most(conn, conn->msg, most, flags | MSG_DONTWAIT);
	if (n == -EAGAIN && !(flags & MSG_DONTWAIT)) {
		/* not with memory in hand that others could use */
		ret = devmem_conn_flush(conn);
		if (ret)
			return ret;
		n = devmem_conn_recv_most(conn, conn->msg, most, flags);
	}
	ret = n > 0 ? read_move(conn) : (int)n;
	err = read_release(conn);
	if (ret || !n)
		return ret;
	return err ? err : 1;
}

/* Straight to @addr. */
static int read_straight(struct devmem_conn *conn, char *addr, unsigned int flags)
{
	struct devmem_reading *r = &conn->reading;
	ssize_t n;

	n = conn->rx->path->recv_to(conn, addr + r->done, r->size - r->done, flags);
	if (n <= 0)
		return (int)n;
	r->done += (size_t)n;
	return 1;
}

/* Where the bytes can go without being moved again; NULL: nowhere. */
static char *read_where(const struct devmem_conn *conn)
{
	const struct devmem_reading *r = &conn->reading;
	void *map;

	if (!conn->rx->path->recv_to)
		return NULL;
	if (!r->dst)
		return r->host;
	return devmem_buf_map_write(r->dst, &map) ? NULL : (char *)map + r->offset;
}

static ssize_t read_all(struct devmem_conn *conn, unsigned int flags)
{
	struct devmem_reading *r = &conn->reading;
	char *where = read_where(conn);
	bool sync = where && r->dst;
	int ret = 1, err;

	if (sync)
		ret = devmem_buf_sync(r->dst, DEVMEM_SYNC_START | DEVMEM_SYNC_WRITE) ?: 1;
	while (ret > 0 && r->done < r->size)
		ret = where ? read_straight(conn, where, flags) : read_pieces(conn, flags);
	if (sync) {
		err = devmem_buf_sync(r->dst, DEVMEM_SYNC_END | DEVMEM_SYNC_WRITE);
		if (err && ret > 0)
			ret = err;
	}
	err = devmem_conn_flush(conn);
	if (err && ret > 0)
		ret = err;
	return ret > 0 ? (ssize_t)r->size : ret;
}

static ssize_t read_exactly(struct devmem_conn *conn, const struct devmem_reading *want,
			    unsigned int flags)
{
	struct devmem_reading *r = &conn->reading;
	ssize_t ret;

	if (flags & ~(unsigned int)MSG_DONTWAIT)
		return devmem_fail(EINVAL, "flags 0x%x: only MSG_DONTWAIT is defined", flags);
	if (!want->size || want->size > SSIZE_MAX)
		return devmem_fail(EINVAL, "read of %zu bytes", want->size);
	if (r->size && (r->dst != want->dst || r->host != want->host ||
			r->offset != want->offset || r->size != want->size))
		return devmem_conn_check_idle(conn);
	if (!r->size)
		*r = *want;

	ret = read_all(conn, flags);
	if (ret == -EAGAIN || ret == -EINTR)
		return ret;
	if (!ret && r->done)
		ret = devmem_fail(ENODATA, "the stream has ended after %zu of %zu bytes",
				  r->done, r->size);
	memset(r, 0, sizeof(*r));
	return ret;
}

ssize_t devmem_conn_read(struct devmem_conn *conn, struct devmem_buf *dst,
			 uint64_t offset, size_t size, unsigned int flags)
{
	const struct devmem_reading want = { .dst = dst, .offset = offset, .size = size };
	int ret;

	if (dst == conn->rx->buf)
		return devmem_fail(EINVAL, "read into the receiver's own buffer");
	ret = devmem_buf_check(dst, offset, size);
	return ret ? ret : read_exactly(conn, &want, flags);
}

ssize_t devmem_conn_read_host(struct devmem_conn *conn, void *dst, size_t size,
			      unsigned int flags)
{
	const struct devmem_reading want = { .host = dst, .size = size };

	return read_exactly(conn, &want, flags);
}
