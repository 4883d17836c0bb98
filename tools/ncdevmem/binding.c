// SPDX-License-Identifier: GPL-2.0
/*
 * Owns the receiver a command works with, and its binding: made here, or handed over
 * by another process through a UNIX socket. Must not know about TCP connections.
 */
#include <errno.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ncdevmem.h"

/* What "ncdevmem bind" says to whoever connects, with the dma-buf's fd and, if the path
 * has one, that of devmem_rx_share().
 */
struct nd_hand_out {
	uint32_t magic;
	uint32_t version;
	uint32_t id;
	uint32_t ifindex;
	uint32_t chunk_size;
	uint32_t chunks;
	uint32_t via;
};

#define ND_HAND_OUT_MAGIC	0x6e64766d	/* "ndvm" */
#define ND_HAND_OUT_VERSION	2
#define ND_HAND_OUT_FDS		2

#define ND_MIN_SIZE		4096
#define ND_MAX_SIZE		(1ULL << 40)

void nd_binding_defaults(struct nd_binding_opts *opts)
{
	memset(opts, 0, sizeof(*opts));
	opts->via = DEVMEM_VIA_DEVMEM;
	opts->kind = DEVMEM_BUF_HEAP;
	opts->size = 64 << 20;
}

static int nd_queues_usage(const char *arg)
{
	return nd_usage("--queues '%s': must be numbers and ranges, as 0,2,4-7",
			arg);
}

/* Numbers and ranges: 0,2,4-7. Whether they make sense is for the kernel. */
static int nd_parse_queues(struct nd_binding_opts *opts, const char *arg)
{
	const char *p = arg;
	unsigned int nr = 0;
	uint64_t from, to;
	char *end;

	do {
		if (!nd_number(p, 10, &from, &end))
			return nd_queues_usage(arg);
		to = from;
		if (*end == '-' && !nd_number(end + 1, 10, &to, &end))
			return nd_queues_usage(arg);
		if ((*end && *end != ',') || to < from)
			return nd_queues_usage(arg);
		if (to > UINT32_MAX)
			return nd_usage("--queues '%s': more than %u", arg,
					UINT32_MAX);
		for (; from <= to; from++) {
			if (nr == ARRAY_SIZE(opts->queues))
				return nd_usage("--queues '%s': more than %zu queues",
						arg, ARRAY_SIZE(opts->queues));
			opts->queues[nr++] = (uint32_t)from;
		}
		p = end + 1;
	} while (*end);
	opts->nr_queues = nr;
	return ND_OK;
}

int nd_binding_option(struct nd_binding_opts *opts, int opt, const char *arg)
{
	switch (opt) {
	case ND_OPT_DEV:
		opts->dev = arg;
		return ND_OK;
	case ND_OPT_QUEUES:
		return nd_parse_queues(opts, arg);
	case ND_OPT_BUFFER:
		if (devmem_buf_kind_parse(arg, &opts->kind))
			return nd_usage("--%s", devmem_error());
		opts->kind_given = true;
		return ND_OK;
	case ND_OPT_VIA:
		if (devmem_via_parse(arg, &opts->via))
			return nd_usage("--via: %s", devmem_error());
		return ND_OK;
	case ND_OPT_SIZE:
		return nd_parse_size("--size", arg, ND_MIN_SIZE, ND_MAX_SIZE,
				     &opts->size);
	case ND_OPT_CHUNK:
		return nd_parse_size("--chunk", arg, 1, UINT32_MAX,
				     &opts->chunk);
	default:
		return ND_USAGE;
	}
}

/* Any user may have plain memory, and where the CPU copies it will do. */
static int nd_binding_alloc(struct nd_binding *b, const struct nd_binding_opts *opts)
{
	enum devmem_buf_kind kind = opts->kind;

	if (opts->via == DEVMEM_VIA_COPY && !opts->kind_given)
		kind = DEVMEM_BUF_HOST;
	if (!devmem_buf_alloc(&b->buf, kind, opts->size, 0))
		return ND_OK;
	nd_err("%s", devmem_error());
	if (opts->via != DEVMEM_VIA_AUTO || opts->kind_given)
		return ND_FAIL;
	if (!devmem_buf_alloc(&b->buf, DEVMEM_BUF_HOST, opts->size, 0))
		return ND_OK;
	nd_err("%s", devmem_error());
	return ND_FAIL;
}

/* Say why, when it is not the first that was tried. */
static void nd_binding_passed_over(const struct nd_binding *b)
{
	const char *text = devmem_rx_passed_over(b->rx);
	size_t len;

	for (; *text; text += len + !!text[len]) {
		len = strcspn(text, "\n");
		nd_err("not via %.*s", (int)len, text);
	}
}

static int nd_binding_open(struct nd_binding *b, const struct devmem_rx_config *config)
{
	struct devmem_bind_result res;
	int ret;

	ret = devmem_rx_open(&b->rx, b->buf, config, 0);
	if (ret)
		return ret;
	nd_binding_passed_over(b);
	devmem_rx_result(b->rx, &res);
	b->id = res.id;
	if (res.chunks) {
		b->chunk_size = res.chunk_size;
		b->chunks = res.chunks;
	}
	return 0;
}

int nd_binding_make(struct nd_binding *b, const struct nd_binding_opts *opts)
{
	struct devmem_rx_config config = {
		.via = opts->via,
		.dev = opts->dev,
		.queues = opts->queues,
		.nr_queues = opts->nr_queues,
		.chunk_size = (uint32_t)opts->chunk,
	};

	memset(b, 0, sizeof(*b));
	b->own = true;
	if (opts->dev) {
		b->ifindex = if_nametoindex(opts->dev);
		if (!b->ifindex) {
			nd_err("--dev %s: %s", opts->dev, strerror(errno));
			return ND_FAIL;
		}
	}
	if (nd_binding_alloc(b, opts))
		return ND_FAIL;
	if (nd_binding_open(b, &config)) {
		nd_err("%s%s%s", opts->dev ? opts->dev : "", opts->dev ? ": " : "",
		       devmem_error());
		nd_binding_free(b);
		return ND_FAIL;
	}
	return ND_OK;
}

static int nd_hand_out_send(int conn, const struct nd_hand_out *say, const int *fds,
			    unsigned int nr)
{
	union {
		char buf[CMSG_SPACE(ND_HAND_OUT_FDS * sizeof(int))];
		struct cmsghdr align;
	} control = { .buf = "" };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)say, .iov_len = sizeof(*say) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = CMSG_SPACE(nr * sizeof(int)),
	};
	struct cmsghdr *cmsg;

	cmsg = CMSG_FIRSTHDR(&msg);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(nr * sizeof(int));
	memcpy(CMSG_DATA(cmsg), fds, nr * sizeof(int));
	/* A new connection has room for one message: no need to wait. */
	return sendmsg(conn, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

int nd_binding_hand_out(const struct nd_binding *b, int conn)
{
	struct nd_hand_out say = {
		.magic = ND_HAND_OUT_MAGIC,
		.version = ND_HAND_OUT_VERSION,
		.id = b->id,
		.ifindex = b->ifindex,
		.chunk_size = b->chunk_size,
		.chunks = b->chunks,
		.via = devmem_rx_via(b->rx),
	};
	int fds[ND_HAND_OUT_FDS] = { devmem_buf_fd(b->buf), -1 };
	int ret;

	ret = devmem_rx_share(b->rx, &fds[1], 0);
	if (ret)
		return ret;
	ret = nd_hand_out_send(conn, &say, fds, fds[1] < 0 ? 1 : 2);
	if (fds[1] >= 0)
		close(fds[1]);
	return ret;
}

/* Return: the number of bytes in @say, with @fds (-1: none), or -errno. */
static int nd_take(int conn, struct nd_hand_out *say, int fds[ND_HAND_OUT_FDS])
{
	union {
		char buf[CMSG_SPACE(ND_HAND_OUT_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = say, .iov_len = sizeof(*say) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *cmsg;
	ssize_t n;

	do {
		n = recvmsg(conn, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;

	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg && cmsg->cmsg_level == SOL_SOCKET &&
	    cmsg->cmsg_type == SCM_RIGHTS &&
	    cmsg->cmsg_len <= CMSG_LEN(ND_HAND_OUT_FDS * sizeof(int)))
		memcpy(fds, CMSG_DATA(cmsg), cmsg->cmsg_len - CMSG_LEN(0));
	return (int)n;
}

static int nd_binding_use(struct nd_binding *b, const struct nd_hand_out *say, const int *fds)
{
	struct devmem_rx_config config = {
		.via = (enum devmem_via)say->via,
		.binding_id = say->id,
		.shared = fds[1] < 0 ? 0 : fds[1],
		.chunk_size = say->chunk_size,
	};
	int ret;

	b->ifindex = say->ifindex;
	b->chunk_size = say->chunk_size;
	b->chunks = say->chunks;
	ret = devmem_buf_import(&b->buf, fds[0], 0);
	return ret ? ret : nd_binding_open(b, &config);
}

int nd_binding_fetch(struct nd_binding *b, const char *path)
{
	struct nd_hand_out say = { .magic = 0 };
	int fds[ND_HAND_OUT_FDS] = { -1, -1 };
	int conn, ret;

	memset(b, 0, sizeof(*b));
	conn = nd_unix_connect(path, 0);
	if (conn < 0) {
		nd_err("--binding %s: %s%s", path, strerror(-conn),
		       conn == -ENOENT || conn == -ECONNREFUSED ?
		       "; is 'ncdevmem bind --socket' running there?" : "");
		return ND_FAIL;
	}

	ret = nd_take(conn, &say, fds);
	if (ret < 0)
		nd_err("--binding %s: %s", path, strerror(-ret));
	else if (ret != sizeof(say) || say.magic != ND_HAND_OUT_MAGIC ||
		 say.version != ND_HAND_OUT_VERSION || fds[0] < 0)
		nd_err("--binding %s: the other side is not an 'ncdevmem bind' of this version",
		       path);
	else if (nd_binding_use(b, &say, fds))
		nd_err("--binding %s: %s", path, devmem_error());
	if (fds[0] >= 0)
		close(fds[0]);
	if (fds[1] >= 0)
		close(fds[1]);
	close(conn);
	return b->rx ? ND_OK : ND_FAIL;
}

/* As in "listening on ADDR, ...". */
const char *nd_binding_text(const struct nd_binding *b, char *text, size_t size)
{
	if (devmem_rx_via(b->rx) == DEVMEM_VIA_COPY)
		snprintf(text, size, "copying into %zu bytes", devmem_buf_size(b->buf));
	else if (!b->id)
		snprintf(text, size, "%zu bytes in %u chunks of %u", devmem_buf_size(b->buf),
			 b->chunks, b->chunk_size);
	else
		snprintf(text, size, "binding %u: %zu bytes in %u chunks of %u", b->id,
			 devmem_buf_size(b->buf), b->chunks, b->chunk_size);
	return text;
}

void nd_binding_json(const struct nd_binding *b, struct nd_json *j)
{
	char name[IF_NAMESIZE];

	nd_json_open(j, "binding", '{');
	nd_json_string(j, "via", devmem_via_name(devmem_rx_via(b->rx)));
	nd_json_uint(j, "id", b->id);
	nd_json_uint(j, "ifindex", b->ifindex);
	if (b->ifindex && if_indextoname(b->ifindex, name))
		nd_json_string(j, "dev", name);
	else
		nd_json_null(j, "dev");
	nd_json_uint(j, "size", devmem_buf_size(b->buf));
	nd_json_uint(j, "chunk_size", b->chunk_size);
	nd_json_uint(j, "chunks", b->chunks);
	nd_json_bool(j, "own", b->own);
	nd_json_close(j, '}');
}

void nd_binding_free(struct nd_binding *b)
{
	devmem_rx_close(b->rx);
	devmem_buf_free(b->buf);
	b->rx = NULL;
	b->buf = NULL;
}
