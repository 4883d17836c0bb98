// SPDX-License-Identifier: GPL-2.0
/*
 * Owns the receiving side of one connection: attach, receive, look at the
 * bytes where they lie, give tokens back. Runs in a thread of its own. Must
 * not know where connections and bindings come from.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <pattern.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ncdevmem.h"

/* A piece whose token we keep for a while (--hold). */
struct nd_held {
	uint64_t pos;
	uint64_t offset;
	uint32_t size;
	uint32_t token;
};

/* One receiver at work. @held is a ring of cfg->hold entries. */
struct nd_work {
	struct nd_rx *rx;
	struct devmem_msg *msg;
	struct devmem_conn *conn;
	struct nd_held *held;
	unsigned int held_first;
	unsigned int held_nr;
	bool to_file;		/* the output is one: it never keeps us waiting */
	uint64_t pos;		/* in the stream */
};

static int nd_rx_fail(struct nd_rx *rx, enum nd_exit ret)
{
	/* The first failure is the one that counts. */
	if (rx->ret == ND_OK)
		rx->ret = ret;
	return -1;
}

static int nd_verify(struct nd_work *w, const void *data, uint64_t pos,
		     uint32_t size, const char *where)
{
	const struct nd_rx_config *cfg = w->rx->cfg;
	int64_t bad;

	bad = devmem_pattern_check(data, size, pos, cfg->seed);
	if (bad < 0)
		return 0;
	nd_err("%s: byte %" PRId64 " of the stream is 0x%02x, the pattern has 0x%02x (%s)",
	       w->rx->peer, bad,
	       ((const uint8_t *)data)[(uint64_t)bad - pos], /* NOLINT: a byte is bad, so there are some */
	       devmem_pattern_byte((uint64_t)bad, cfg->seed), where);
	return nd_rx_fail(w->rx, ND_MISMATCH);
}

/* Does not wait for who does not read any more once we are told to stop. */
static int nd_output(struct nd_work *w, const char *data, uint32_t size)
{
	struct pollfd pfd[] = {
		{ .fd = w->rx->cfg->output, .events = POLLOUT },
		{ .fd = w->rx->cfg->stopfd, .events = POLLIN },
	};
	ssize_t n;

	while (size) {
		if (poll(pfd, ARRAY_SIZE(pfd), -1) < 0)
			continue;
		if (!pfd[0].revents) {
			w->rx->interrupted = true;
			return -1;
		}
		/* What poll() promises of a pipe is room for that much. */
		n = write(pfd[0].fd, data, w->to_file || size < PIPE_BUF ?
					   size : PIPE_BUF);
		if (n >= 0) {
			data += n;
			size -= (uint32_t)n;
		} else if (errno != EAGAIN && errno != EINTR) {
			nd_err("--output: %s", strerror(errno));
			return nd_rx_fail(w->rx, ND_FAIL);
		}
	}
	return 0;
}

static int nd_release(struct nd_work *w, uint32_t token)
{
	if (!devmem_conn_release(w->conn, token))
		return 0;
	nd_err("%s: %s", w->rx->peer, devmem_error());
	return nd_rx_fail(w->rx, ND_FAIL);
}

static int nd_flush(struct nd_work *w)
{
	if (!devmem_conn_flush(w->conn))
		return 0;
	nd_err("%s: %s", w->rx->peer, devmem_error());
	return nd_rx_fail(w->rx, ND_FAIL);
}

/* Give back the oldest held piece; it must still be what it was. */
static int nd_held_drop(struct nd_work *w)
{
	const struct nd_rx_config *cfg = w->rx->cfg;
	struct nd_held *h = &w->held[w->held_first];
	int ret = 0;

	if (cfg->verify && w->rx->ret == ND_OK)
		ret = nd_verify(w, cfg->map + h->offset, h->pos, h->size,
				"in a piece that was held");
	w->held_first = (w->held_first + 1) % cfg->hold;
	w->held_nr--;
	if (nd_release(w, h->token))
		ret = -1;
	return ret;
}


static int nd_keep(struct nd_work *w, const struct devmem_piece *piece)
{
	const struct nd_rx_config *cfg = w->rx->cfg;
	struct nd_held *h;

	if (!cfg->hold)
		return nd_release(w, piece->token);
	if (w->held_nr == cfg->hold && nd_held_drop(w)) {
		nd_release(w, piece->token);
		return -1;
	}

	h = &w->held[(w->held_first + w->held_nr++) % cfg->hold];
	h->pos = w->pos;
	h->offset = piece->offset;
	h->size = piece->size;
	h->token = piece->token;
	return 0;
}

/* The kernel names a place in our buffer: it had better be one. */
static int nd_check_place(struct nd_work *w, const struct devmem_piece *piece)
{
	const struct nd_binding *b = w->rx->cfg->binding;
	uint64_t size = devmem_buf_size(b->buf);

	if (piece->dmabuf_id == b->id && piece->offset <= size &&
	    piece->size <= size - piece->offset)
		return 0;
	nd_err("%s: piece of %u bytes at %" PRIu64 " of binding %u is not in our buffer (binding %u, %" PRIu64 " bytes)",
	       w->rx->peer, piece->size, piece->offset, piece->dmabuf_id, b->id,
	       size);
	return nd_rx_fail(w->rx, ND_FAIL);
}

/* The exporter has taken back the memory in which they lay. What comes after them is
 * received all the same, unless somebody wants the stream in one piece.
 */
static int nd_lost(struct nd_work *w, const struct devmem_piece *piece)
{
	if (!w->rx->stats.lost)
		nd_err("%s: bytes are lost from %" PRIu64 " of the stream on: the dma-buf's memory was taken back",
		       w->rx->peer, w->pos);
	w->rx->stats.lost += piece->size;
	w->pos += piece->size;
	return w->rx->cfg->output >= 0 ? nd_rx_fail(w->rx, ND_FAIL) : 0;
}

static int nd_piece(struct nd_work *w, const struct devmem_piece *piece)
{
	const struct nd_rx_config *cfg = w->rx->cfg;
	bool placed = piece->type == DEVMEM_PIECE_DMABUF;
	const void *data = piece->data;
	int ret = 0;

	if (piece->type == DEVMEM_PIECE_LOST)
		return nd_lost(w, piece);
	if (placed) {
		w->rx->stats.placed += piece->size;
		w->rx->stats.pieces++;
		if (w->rx->ret == ND_OK)
			ret = nd_check_place(w, piece);
		data = cfg->map ? cfg->map + piece->offset : NULL;
	} else {
		w->rx->stats.fallback += piece->size;
		w->rx->stats.fallback_pieces++;
	}

	if (!ret && cfg->verify && w->rx->ret == ND_OK)
		ret = nd_verify(w, data, w->pos, piece->size,
				placed ? "in the dma-buf" : "in host memory");
	if (!ret && cfg->output >= 0 && w->rx->ret == ND_OK &&
	    !w->rx->interrupted)
		ret = nd_output(w, data, piece->size);

	/* After an error too: what was given out must go back. */
	if (placed && (ret ? nd_release(w, piece->token) : nd_keep(w, piece)))
		ret = -1;
	w->pos += piece->size;
	return ret;
}

static int nd_sync(struct nd_work *w, unsigned int op)
{
	const struct nd_rx_config *cfg = w->rx->cfg;

	if (!cfg->map || !devmem_buf_sync(cfg->binding->buf,
					  op | DEVMEM_SYNC_READ))
		return 0;
	nd_err("%s: %s", w->rx->peer, devmem_error());
	return nd_rx_fail(w->rx, ND_FAIL);
}

static int nd_held_drop_all(struct nd_work *w)
{
	int ret;

	if (!w->held_nr)
		return 0;
	ret = nd_sync(w, DEVMEM_SYNC_START);
	while (w->held_nr)
		if (nd_held_drop(w))
			ret = -1;
	if (nd_sync(w, DEVMEM_SYNC_END))
		ret = -1;
	return ret;
}

/* All pieces of one devmem_recv(). */
static int nd_pieces(struct nd_work *w)
{
	struct devmem_piece piece;
	int ret;

	ret = nd_sync(w, DEVMEM_SYNC_START);
	while (devmem_msg_next(w->msg, &piece))
		if (nd_piece(w, &piece))
			ret = -1;
	if (nd_sync(w, DEVMEM_SYNC_END))
		ret = -1;
	atomic_store_explicit(&w->rx->progress, w->pos, memory_order_relaxed);
	return ret;
}

/* Wait for data, but not with memory in hand that others could use. */
static int nd_wait(struct nd_work *w)
{
	struct pollfd pfd[] = {
		{ .fd = devmem_conn_poll_fd(w->conn), .events = POLLIN },
		{ .fd = w->rx->cfg->stopfd, .events = POLLIN },
	};

	if (pfd[0].fd < 0) {
		nd_err("%s: %s", w->rx->peer, devmem_error());
		return nd_rx_fail(w->rx, ND_FAIL);
	}
	if (nd_flush(w))
		return -1;
	if (poll(pfd, ARRAY_SIZE(pfd), -1) < 0 && errno != EINTR) {
		nd_err("poll: %s", strerror(errno));
		return nd_rx_fail(w->rx, ND_FAIL);
	}
	return 0;
}

static uint64_t nd_pending(struct nd_work *w)
{
	struct devmem_conn_stats stats;

	devmem_conn_get_stats(w->conn, &stats);
	return stats.pending;
}

/* Return: 1 to go on, 0 at the end of the stream, -1 to stop. */
static int nd_step(struct nd_work *w)
{
	struct nd_rx *rx = w->rx;
	ssize_t n;

	if (atomic_load_explicit(rx->cfg->stop, memory_order_relaxed)) {
		rx->interrupted = true;
		return -1;
	}
	n = devmem_conn_recv(w->conn, w->msg, MSG_DONTWAIT);
	rx->stats.recv_calls++;
	if (n > 0)
		return nd_pieces(w) ? -1 : 1;

	switch (n) {
	case 0:
		return 0;
	case -EINTR:
		return 1;
	case -EAGAIN:
		return nd_wait(w) ? -1 : 1;
	case -ENOBUFS:
		/* More tokens out than the socket may have: only ours. */
		if (!w->held_nr && !nd_pending(w))
			break;
		return nd_held_drop_all(w) || nd_flush(w) ? -1 : 1;
	case -EPROTO:
		nd_err("%s: %s", rx->peer, devmem_error());
		nd_rx_fail(rx, ND_FAIL);
		nd_pieces(w);
		return -1;
	default:
		break;
	}
	nd_err("%s: after %" PRIu64 " bytes: %s", rx->peer, w->pos,
	       devmem_error());
	return nd_rx_fail(rx, ND_FAIL);
}

/*
 * A peer may have sent all it had and closed before we came to attach. There
 * is nothing to be placed then, and what it sent waits in host memory.
 */
static int nd_attach(struct nd_work *w)
{
	struct nd_rx *rx = w->rx;
	int ret;

	ret = devmem_conn_open(&w->conn, rx->cfg->binding->rx, rx->sock,
			       DEVMEM_ATTACH_REPORT_LOST);
	if (ret >= 0) {
		if (ret)
			nd_err("%s: %s; reading from host memory", rx->peer,
			       devmem_error());
		return 0;
	}
	nd_err("%s: %s", rx->peer, devmem_error());
	close(rx->sock);
	return nd_rx_fail(rx, ND_FAIL);
}

static int nd_setup(struct nd_work *w)
{
	const struct nd_rx_config *cfg = w->rx->cfg;
	struct stat st;

	w->to_file = !fstat(cfg->output, &st) && S_ISREG(st.st_mode);
	if (nd_attach(w))
		return -1;
	if (devmem_msg_alloc(&w->msg, cfg->read_size, cfg->pieces, 0)) {
		nd_err("%s", devmem_error());
		return nd_rx_fail(w->rx, ND_FAIL);
	}
	if (cfg->hold) {
		w->held = calloc(cfg->hold, sizeof(*w->held));
		if (!w->held) {
			nd_err("--hold %u: out of memory", cfg->hold);
			return nd_rx_fail(w->rx, ND_FAIL);
		}
	}
	/* It widens the window: not before the window leads to our buffer. */
	if (cfg->lowat && setsockopt(w->rx->sock, SOL_SOCKET, SO_RCVLOWAT,
				     &cfg->lowat, sizeof(cfg->lowat))) {
		nd_err("--lowat %d: %s", cfg->lowat, strerror(errno));
		return nd_rx_fail(w->rx, ND_FAIL);
	}
	return 0;
}

/* All tokens back, and did the kernel count what we counted? */
static void nd_finish(struct nd_work *w)
{
	struct devmem_conn_stats stats;
	struct nd_rx *rx = w->rx;

	if (!w->conn)
		return;
	nd_held_drop_all(w);
	nd_flush(w);
	devmem_conn_get_stats(w->conn, &stats);
	rx->attached = stats.attached;
	rx->stats.tokens = stats.released;
	rx->stats.release_calls = stats.release_calls;
	if (rx->stats.tokens != rx->stats.pieces) {
		nd_err("%s: %" PRIu64 " tokens were given out, the kernel took %" PRIu64 " back",
		       rx->peer, rx->stats.pieces, rx->stats.tokens);
		nd_rx_fail(rx, ND_FAIL);
	}
	if (rx->stats.lost) {
		nd_err("%s: %" PRIu64 " bytes were lost", rx->peer, rx->stats.lost);
		nd_rx_fail(rx, ND_FAIL);
	}
}

void nd_receive(struct nd_rx *rx)
{
	struct nd_work w = { .rx = rx };

	if (!nd_setup(&w))
		while (nd_step(&w) > 0)
			;
	rx->end = nd_now();
	nd_finish(&w);
	if (rx->ret == ND_OK && rx->cfg->expect != ND_EXPECT_ANY &&
	    rx->cfg->expect != w.pos) {
		nd_err("%s: %" PRIu64 " bytes came, %" PRIu64 " were expected",
		       rx->peer, w.pos, rx->cfg->expect);
		nd_rx_fail(rx, ND_FAIL);
	}
	devmem_conn_close(w.conn);
	devmem_msg_free(w.msg);
	free(w.held);
}
