/* SPDX-License-Identifier: LGPL-2.1 OR MIT */
/*
 * libdevmem: receive TCP payload into a dma-buf.
 *
 * What most programs want, on any machine (libdevmem-rx.h, which comes along):
 *
 *	devmem_rx_*	a receiver: a buffer, and the path on which payload gets there
 *	devmem_conn_*	a connection of it: read so many bytes to that place of a
 *			buffer, or take the pieces as they lie
 *
 * They stand on four groups that know nothing of each other:
 *
 *	devmem_buf_*	buffers: where dma-bufs come from, CPU mapping of them,
 *			bytes into and out of them
 *	devmem_nl_*, devmem_bind_* (libdevmem-nl.h, as well)
 *			generic netlink: bind a dma-buf to rx queues, look at
 *			bindings, wait for changes
 *	devmem_attach, devmem_msg_*, devmem_recv
 *			one socket: attach it, receive, walk over the pieces
 *	devmem_tokens_*, devmem_release
 *			give memory back
 *
 * Conventions: calls return 0 or -errno unless they say otherwise; flags come
 * last and are 0 unless the call defines some (-EINVAL otherwise); *_free() and
 * *_close() take NULL. Objects are opaque and not locked: one thread uses an
 * object at a time. Nothing here writes to stdout or stderr, or keeps state
 * between calls other than the text of devmem_error().
 *
 * A program that reads records into device memory, without error handling; whole in
 * examples/records.c:
 *
 *	struct devmem_rx_config config = { .via = DEVMEM_VIA_AUTO, .dev = "eth0" };
 *
 *	devmem_buf_alloc(&staging, DEVMEM_BUF_HEAP, 64 << 20, 0);
 *	devmem_buf_alloc(&tensor, DEVMEM_BUF_HEAP, 1 << 20, 0);
 *	devmem_rx_open(&rx, staging, &config, 0);
 *	devmem_conn_open(&conn, rx, sock, 0);
 *	while (devmem_conn_read(conn, tensor, 0, 1 << 20, 0) > 0)
 *		... use the record at offset 0 of tensor ...
 *
 * The same with the groups below, on net/devmem only, piece by piece:
 *
 *	devmem_buf_alloc(&buf, DEVMEM_BUF_HEAP, 64 << 20, 0);
 *	devmem_nl_open(&nl, 0);
 *	devmem_bind_rx(nl, ifindex, queues, 2, devmem_buf_fd(buf), 0, &res, 0);
 *	devmem_attach(sock, res.id, devmem_buf_fd(buf), 0);
 *	devmem_msg_alloc(&msg, 1 << 20, 64, 0);
 *	devmem_tokens_alloc(&tokens, sock, 0);
 *	while (devmem_recv(sock, msg, 0) > 0) {
 *		while (devmem_msg_next(msg, &piece))
 *			if (piece.type == DEVMEM_PIECE_DMABUF) {
 *				... use piece.size bytes at piece.offset ...
 *				devmem_tokens_add(tokens, piece.token);
 *			} else {
 *				... use piece.size bytes at piece.data ...
 *			}
 *		devmem_tokens_flush(tokens);
 *	}
 */
#ifndef LIBDEVMEM_H
#define LIBDEVMEM_H

#include <linux/netdev-devmem.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>

/* The kernel's own numbers; the libc headers of Linux before 6.12 lack them. */
#ifndef SO_DEVMEM_LINEAR
#define SO_DEVMEM_LINEAR	78
#define SCM_DEVMEM_LINEAR	SO_DEVMEM_LINEAR
#define SO_DEVMEM_DMABUF	79
#define SCM_DEVMEM_DMABUF	SO_DEVMEM_DMABUF
#endif
#ifndef SO_DEVMEM_DONTNEED
#define SO_DEVMEM_DONTNEED	80
#endif
#ifndef MSG_SOCK_DEVMEM
#define MSG_SOCK_DEVMEM		0x2000000
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* Same layout as the kernel's struct dmabuf_cmsg and struct dmabuf_token
 * (<linux/uio.h> since 6.12), under names that do not clash with them.
 */
struct devmem_cmsg {
	uint64_t frag_offset;
	uint32_t frag_size;
	uint32_t frag_token;
	uint32_t dmabuf_id;
	uint32_t flags;
};

struct devmem_range {
	uint32_t token_start;
	uint32_t token_count;
};

/* ---- errors: why a call failed ------------------------------------------ */

/**
 * devmem_error() - why the last call of this thread failed
 *
 * Return: one line without a newline that names the value and, where there is
 * one, the remedy. Valid until this thread's next call of the library. Only
 * meaningful after a call returned a negative number.
 */
const char *devmem_error(void);

/* ---- buffers: where dma-bufs come from, and their bytes ----------------- */

struct devmem_buf;

/**
 * enum devmem_buf_kind - where a dma-buf comes from
 * @DEVMEM_BUF_UDMABUF: /dev/udmabuf over a memfd of small pages. Contiguous
 *	runs are one page, so the chunk size is 4096 as a rule.
 * @DEVMEM_BUF_HUGETLB: /dev/udmabuf over a memfd of 2 MiB pages, which the
 *	administrator reserves in /proc/sys/vm/nr_hugepages.
 * @DEVMEM_BUF_HEAP: /dev/dma_heap/system: pieces as large as the page
 *	allocator has them, 1 MiB or 64 KiB mostly.
 * @DEVMEM_BUF_GPU: /dev/nsdm-gpu, the fake GPU of netdevsim-devmem, in blocks
 *	of 2 MiB where @size allows.
 * @DEVMEM_BUF_HOST: plain memory (a memfd) and no dma-buf, which anybody may
 *	have: for the path that copies, and to read into.
 */
enum devmem_buf_kind {
	DEVMEM_BUF_UDMABUF,
	DEVMEM_BUF_HUGETLB,
	DEVMEM_BUF_HEAP,
	DEVMEM_BUF_GPU,
	DEVMEM_BUF_HOST,
};

/**
 * devmem_buf_alloc() - make a dma-buf
 * @buf: set on success
 * @kind: where from
 * @size: bytes; rounded up to the page size of @kind
 * @flags: 0
 *
 * Return: 0 or -errno:
 *	-ENOENT		this kernel does not have @kind
 *	-EACCES		no right to open the device node
 *	-E2BIG		more than udmabuf's module parameter size_limit_mb
 *	-ENOMEM		no memory, or not enough 2 MiB pages reserved
 *	-EINVAL		unknown @kind or flag, or @size is 0
 */
int devmem_buf_alloc(struct devmem_buf **buf, enum devmem_buf_kind kind,
		     size_t size, unsigned int flags);

/**
 * devmem_buf_import() - wrap a dma-buf that somebody else made
 * @buf: set on success
 * @fd: dma-buf; duplicated, the caller keeps its own
 * @flags: 0
 *
 * Return: 0; -EBADF: @fd is not open; -EINVAL: it is not a dma-buf; -errno.
 */
int devmem_buf_import(struct devmem_buf **buf, int fd, unsigned int flags);

/* Unmaps and closes. Memory that a binding or a token still holds stays. */
void devmem_buf_free(struct devmem_buf *buf);

/* The dma-buf's file descriptor (close-on-exec), owned by @buf; DEVMEM_BUF_HOST: the
 * memfd's.
 */
int devmem_buf_fd(const struct devmem_buf *buf);

/* Bytes in the dma-buf. */
size_t devmem_buf_size(const struct devmem_buf *buf);

/**
 * devmem_buf_map() - map the dma-buf into this process
 * @buf: the buffer
 * @addr: set on success; valid until devmem_buf_free(). Mapping twice gives
 *	the same address.
 * @flags: 0
 *
 * Bracket accesses with devmem_buf_sync(). Several threads may map a buffer, and
 * use what devmem_buf_write() and the like offer.
 *
 * Return: 0; -EOPNOTSUPP: the exporter has no mmap; -errno.
 */
int devmem_buf_map(struct devmem_buf *buf, void **addr, unsigned int flags);

#define DEVMEM_SYNC_READ	(1U << 0)
#define DEVMEM_SYNC_WRITE	(1U << 1)
#define DEVMEM_SYNC_START	(0U << 2)
#define DEVMEM_SYNC_END		(1U << 2)

/**
 * devmem_buf_sync() - begin or end CPU access (DMA_BUF_IOCTL_SYNC)
 * @buf: the buffer
 * @flags: DEVMEM_SYNC_START or _END, with _READ, _WRITE or both
 *
 * Concerns the whole buffer: begin once for many pieces.
 *
 * Return: 0; -EINVAL: other @flags; -errno.
 */
int devmem_buf_sync(struct devmem_buf *buf, unsigned int flags);

/**
 * devmem_buf_kind_parse() - kind by name
 * @name: "udmabuf", "hugetlb", "heap", "gpu" or "host"
 * @kind: set on success
 *
 * Return: 0; -EINVAL: no kind has this name.
 */
int devmem_buf_kind_parse(const char *name, enum devmem_buf_kind *kind);

/* Name of a kind, or "unknown". */
const char *devmem_buf_kind_name(enum devmem_buf_kind kind);

/**
 * struct devmem_span - part of a buffer
 * @offset: in bytes
 * @size: in bytes
 */
struct devmem_span {
	uint64_t offset;
	uint64_t size;
};

/**
 * devmem_buf_write() - copy host memory into a buffer
 * @buf: the buffer
 * @offset: where to, in bytes
 * @src: host memory
 * @size: bytes
 * @flags: 0
 *
 * This and the next two are by the means that the buffer's exporter offers: today
 * its mmap. They have done their work when they return, and bracket it with
 * devmem_buf_sync() themselves.
 *
 * Return: 0; -ERANGE: beyond the end of the buffer; -EOPNOTSUPP: the exporter
 * offers no means; -errno.
 */
int devmem_buf_write(struct devmem_buf *buf, uint64_t offset, const void *src,
		     size_t size, unsigned int flags);

/* The other direction: from @offset of @buf into host memory. */
int devmem_buf_read(struct devmem_buf *buf, uint64_t offset, void *dst,
		    size_t size, unsigned int flags);

/**
 * devmem_buf_gather() - make scattered pieces contiguous
 * @dst: buffer to write to
 * @offset: of @dst, where the first span goes; the others follow it
 * @src: buffer to read from, not @dst
 * @spans: parts of @src
 * @nr: number of @spans
 * @flags: 0
 *
 * Return: 0; -ERANGE: a span, or all together, are beyond the end of a buffer;
 * nothing has been copied then; -EINVAL: @src is @dst; as devmem_buf_write().
 */
int devmem_buf_gather(struct devmem_buf *dst, uint64_t offset,
		      struct devmem_buf *src, const struct devmem_span *spans,
		      unsigned int nr, unsigned int flags);

/* ---- sockets: attach a socket, receive, walk over pieces ---------------- */

/**
 * devmem_attach() - receive this socket's payload into the buffer of a binding
 * @sock: established TCP socket
 * @binding_id: from devmem_bind_rx(), of this process or another
 * @dmabuf_fd: the binding's dma-buf: the right to receive into it
 * @flags: DEVMEM_ATTACH_REPORT_LOST or 0; passed on in struct devmem_attach
 *
 * Sets the ULP first unless it is set. A failed attach leaves the socket usable
 * with plain recv().
 *
 * Return: 0 or the errors listed in <linux/netdev-devmem.h>; -ENOENT with the
 * text "... module ..." if the kernel does not know the ULP.
 */
int devmem_attach(int sock, uint32_t binding_id, int dmabuf_fd,
		  unsigned int flags);

/* State of one attached socket, see struct devmem_info in <linux/netdev-devmem.h>. Fields
 * the kernel does not know are 0.
 */
int devmem_sock_info(int sock, struct devmem_info *info, unsigned int flags);

struct devmem_msg;

enum devmem_piece_type {
	DEVMEM_PIECE_LINEAR,
	DEVMEM_PIECE_DMABUF,
	DEVMEM_PIECE_LOST,
};

/**
 * struct devmem_piece - one contiguous part of what a devmem_recv() delivered
 * @type: DEVMEM_PIECE_DMABUF: in the dma-buf; _LINEAR: in host memory; _LOST: they
 *	were in the dma-buf, whose exporter has taken its memory back. Only for
 *	sockets attached with DEVMEM_ATTACH_REPORT_LOST
 * @dmabuf_id: DMABUF: id of the binding
 * @token: DMABUF: give it back when the bytes are not needed any more; 0 with
 *	MSG_PEEK, which gives no tokens out
 * @size: bytes, at least 1
 * @offset: DMABUF: where the piece starts in the dma-buf
 * @data: LINEAR: the bytes, valid until the next devmem_recv() on the msg
 */
struct devmem_piece {
	enum devmem_piece_type type;
	uint32_t dmabuf_id;
	uint32_t token;
	uint32_t size;
	uint64_t offset;
	const void *data;
};

/**
 * devmem_msg_alloc() - buffers for devmem_recv()
 * @msg: set on success
 * @linear_size: most bytes of one call. The kernel counts placed bytes against
 *	it as well, so make it large; only what arrives in host memory is
 *	written to it.
 * @nr_pieces: most pieces of one call
 * @flags: 0
 *
 * One msg serves any number of sockets, one call at a time.
 *
 * Return: 0 or -errno.
 */
int devmem_msg_alloc(struct devmem_msg **msg, size_t linear_size,
		     unsigned int nr_pieces, unsigned int flags);

/* The bytes of LINEAR pieces go with it; tokens are not given back. */
void devmem_msg_free(struct devmem_msg *msg);

/**
 * devmem_recv() - recvmsg() with MSG_SOCK_DEVMEM
 * @sock: attached socket (any TCP socket works; pieces are LINEAR then)
 * @msg: holds the pieces afterwards
 * @flags: MSG_* for recvmsg(); MSG_SOCK_DEVMEM is added
 *
 * Return: bytes, the sum of the pieces' sizes; 0 at the end of the stream;
 * -errno: -EINTR, -EAGAIN, -ECONNRESET; -ENOBUFS: DEVMEM_MAX_TOKENS are held,
 * give some back; -EIO: the next bytes are lost, see <linux/netdev-devmem.h>;
 * -EPROTO: the control messages do not add up to the bytes returned (tokens among
 * them can still be walked and given back).
 * With MSG_TRUNC the bytes are dropped and there are no pieces.
 */
ssize_t devmem_recv(int sock, struct devmem_msg *msg, unsigned int flags);

/* The pieces of the last devmem_recv(), in the order of the stream.
 * Return: false when there are no more.
 */
bool devmem_msg_next(struct devmem_msg *msg, struct devmem_piece *piece);

/* Start again at the first piece. */
void devmem_msg_rewind(struct devmem_msg *msg);

/* msg_flags of the last devmem_recv(), e.g. MSG_CTRUNC. */
int devmem_msg_flags(const struct devmem_msg *msg);

/* ---- tokens: give memory back ------------------------------------------- */

/**
 * devmem_release() - give tokens back (SO_DEVMEM_DONTNEED)
 * @sock: the socket that gave them out
 * @ranges: token numbers; one call of the kernel takes 128 ranges and 1024
 *	tokens, so this makes as many calls as it needs
 * @nr: number of @ranges
 * @flags: 0
 *
 * Return: number of tokens that the kernel took back (those never issued or
 * given back before do not count), or -errno if none was and a call failed.
 */
ssize_t devmem_release(int sock, const struct devmem_range *ranges,
		       unsigned int nr, unsigned int flags);

struct devmem_tokens;

/* A collector: merges consecutive tokens into ranges and gives them back in
 * few calls. Does not own @sock.
 */
int devmem_tokens_alloc(struct devmem_tokens **t, int sock, unsigned int flags);

/* Does not give tokens back: call devmem_tokens_flush() first. */
void devmem_tokens_free(struct devmem_tokens *t);

/* Remember a token. Flushes when the limits of one call are reached, so that
 * it returns 0 or the error of that flush; the token is kept in any case.
 */
int devmem_tokens_add(struct devmem_tokens *t, uint32_t token);

/* Give back what was collected. 0, or -errno (the tokens are dropped from the
 * collector: a socket that refuses them will not take them later).
 */
int devmem_tokens_flush(struct devmem_tokens *t);

/* Tokens in the collector; tokens the kernel took back and calls so far. */
unsigned int devmem_tokens_pending(const struct devmem_tokens *t);
uint64_t devmem_tokens_released(const struct devmem_tokens *t);
uint64_t devmem_tokens_calls(const struct devmem_tokens *t);

#ifdef __cplusplus
}
#endif

#include "libdevmem-nl.h"
#include "libdevmem-rx.h"

#endif /* LIBDEVMEM_H */
