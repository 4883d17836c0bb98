/* SPDX-License-Identifier: LGPL-2.1 OR MIT */
/*
 * Receivers of libdevmem, and their connections. Included by libdevmem.h, whose
 * conventions hold here.
 */
#ifndef LIBDEVMEM_RX_H
#define LIBDEVMEM_RX_H

#include "libdevmem.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- receivers: a buffer, and the path on which payload gets there ------ */

/**
 * enum devmem_via - the path on which payload gets into the buffer
 * @DEVMEM_VIA_AUTO: the first that works of DEVMEM, KERNEL, ZCRX, COPY
 * @DEVMEM_VIA_DEVMEM: net/devmem: the NIC writes it there. Takes a device whose
 *	driver is able to, and CAP_NET_ADMIN or somebody else's binding
 * @DEVMEM_VIA_COPY: the CPU copies it there. Any device, any kernel, no
 *	privilege; takes a buffer that the CPU can write to (devmem_buf_write())
 * @DEVMEM_VIA_KERNEL: the kernel's own devmem TCP: the NIC writes it there. Takes
 *	Linux 6.12 or newer, a device whose driver is able to (gve, bnxt, mlx5, fbnic, and
 *	others), with more than one rx queue and rules for connections, and CAP_NET_ADMIN.
 *	The device is set up for it, see devmem_rx_open()
 * @DEVMEM_VIA_ZCRX: io_uring's zero-copy receive: the NIC writes it there. Takes Linux
 *	6.15 or newer, one rx queue, a device and CAP_NET_ADMIN as for KERNEL; a buffer of
 *	any kind. A thread of the library does the receiving
 */
enum devmem_via {
	DEVMEM_VIA_AUTO,
	DEVMEM_VIA_DEVMEM,
	DEVMEM_VIA_COPY,
	DEVMEM_VIA_KERNEL,
	DEVMEM_VIA_ZCRX,
};

/**
 * devmem_via_parse() - path by name
 * @name: "auto", "devmem", "kernel", "zcrx" or "copy"
 * @via: set on success
 *
 * Return: 0; -EINVAL: no path has this name.
 */
int devmem_via_parse(const char *name, enum devmem_via *via);

/* Name of a path, or "unknown". */
const char *devmem_via_name(enum devmem_via via);

/**
 * devmem_via_check() - could payload come through a device on this path?
 * @via: a path, not AUTO
 * @dev: name of the device; COPY does not look at it
 * @flags: 0
 *
 * As far as that can be seen without changing anything.
 *
 * Return: 0; 1: yes, but somebody has queue 0, devmem_error() says who; -errno, with a
 * text that says what is missing.
 */
int devmem_via_check(enum devmem_via via, const char *dev, unsigned int flags);

/**
 * devmem_dev_cleanup() - undo what receivers have left of a device's set-up
 * @dev: name of the device
 * @flags: 0
 *
 * They leave nothing, not even if they are killed, unless their process devmem-nic is
 * killed as well. The next receiver on the device does this by itself.
 *
 * Return: 0 (also if nothing was left) or -errno.
 */
int devmem_dev_cleanup(const char *dev, unsigned int flags);

struct devmem_rx;

/**
 * struct devmem_rx_config - what a receiver is made of. All 0 is a good one.
 * @via: the path
 * @dev: name of the device that the connections come through; COPY does not look
 *	at it, KERNEL and ZCRX need it, DEVMEM that or @binding_id
 * @queues: rx queues of it that may be used; KERNEL, ZCRX: by nobody else
 * @nr_queues: number of @queues; 0: queue 0, KERNEL, ZCRX: the last one. KERNEL: several
 *	take a buffer with room for twice their rings, -ENOBUFS otherwise: each keeps
 *	pages for itself. ZCRX: 1 or 0
 * @chunk_size: of the buffer's parts, a power of two, 0: the best one. DEVMEM: as for
 *	devmem_bind_rx(); COPY: 4096 or more; KERNEL, ZCRX: 4096, or what the driver
 *	gives its NIC at a time (rx-page-size), in kernels that know of it
 * @binding_id: DEVMEM, KERNEL: a binding that another process has made of the buffer;
 *	@dev and @queues do not matter then, for DEVMEM @chunk_size neither. 0: make one
 * @shared: KERNEL, with @binding_id: what devmem_rx_share() gave that process; the
 *	receiver makes a copy. Not descriptor 0
 * @reserved: must be 0
 */
struct devmem_rx_config {
	enum devmem_via via;
	const char *dev;
	const uint32_t *queues;
	unsigned int nr_queues;
	uint32_t chunk_size;
	uint32_t binding_id;
	int64_t shared;
	uint64_t reserved[3];
};

/**
 * devmem_rx_open() - make a receiver
 * @rx: set on success
 * @buf: where payload goes. Not owned: it must be there until devmem_rx_close(), and
 *	until the last connection and the last token are gone
 * @config: not kept
 * @flags: 0
 *
 * AUTO passes over a path whatever kept it from working, a mistake in @config
 * included: tell the user, see devmem_rx_passed_over().
 *
 * KERNEL and ZCRX set the device up: n-tuple filters on, header split on and of each packet
 * (hds-thresh 0), @queues taken out of RSS, and for each connection a rule that brings it
 * to one of @queues. A process of its own does that, devmem-nic, and undoes it at
 * devmem_rx_close() or when this process dies, however; what somebody else has changed
 * meanwhile it leaves alone.
 *
 * Return: 0 or the error of the last path that was tried, with a text that tells of
 * each of them.
 */
int devmem_rx_open(struct devmem_rx **rx, struct devmem_buf *buf,
		   const struct devmem_rx_config *config, unsigned int flags);

/* Ends the binding. Connections that are open go on: as when a binding ends. ZCRX: what
 * has come for them into the buffer by then, and was not received, is gone: -EIO.
 */
void devmem_rx_close(struct devmem_rx *rx);

/**
 * devmem_rx_share() - let another process receive into the buffer
 * @rx: receiver that has a binding
 * @fd: set on success: a descriptor that the other process needs for devmem_rx_config,
 *	besides the dma-buf, the binding's id and the chunk size; to be sent to it
 *	(SCM_RIGHTS), and closed. -1: nothing more is needed (DEVMEM)
 * @flags: 0
 *
 * One for each process. What it can do with it is to have connections of its own, whose
 * sockets it has, come through the receiver's queues; no privilege is needed for that. Who
 * shares a buffer can read and change all of it.
 *
 * Return: 0; -EOPNOTSUPP: there is no binding (COPY); -EUSERS: 1023 have got one; -errno.
 */
int devmem_rx_share(struct devmem_rx *rx, int *fd, unsigned int flags);

/* The path that was chosen, never AUTO. */
enum devmem_via devmem_rx_via(const struct devmem_rx *rx);

/* Why AUTO chose none of those before it: a line for each, as "devmem: ...", or "". */
const char *devmem_rx_passed_over(const struct devmem_rx *rx);

/* The binding, in @res; COPY, ZCRX: id 0; somebody else's: only its id. */
void devmem_rx_result(const struct devmem_rx *rx, struct devmem_bind_result *res);

/* The handle that owns the binding, for its events; NULL if there is none. */
struct devmem_nl *devmem_rx_nl(const struct devmem_rx *rx);

/* ---- connections: read from a connection into a buffer ------------------ */

struct devmem_conn;

/**
 * devmem_conn_open() - receive a connection
 * @conn: set on success
 * @rx: receiver
 * @sock: TCP connection; on success it is owned by @conn. Send on it all the same
 *	(devmem_conn_sock()), and have it blocking or not, as you like
 * @flags: 0, or as for devmem_attach()
 *
 * Connections of one receiver can be used by several threads, each by one at a time;
 * devmem_conn_release(), _flush() and _get_stats() by any thread.
 *
 * Return: 0; 1: all comes in host memory, devmem_error() says why: the peer has ended the
 * connection already, or, where AUTO has chosen the path, the connection is one that it
 * cannot serve (through another device, no rule left, another protocol); the errors of
 * devmem_attach(): @sock is still the caller's then.
 */
int devmem_conn_open(struct devmem_conn **conn, struct devmem_rx *rx, int sock,
		     unsigned int flags);

/**
 * devmem_conn_close() - end a connection
 * @conn: of which nothing but devmem_conn_release() and _flush() may be used from now on
 *
 * Shuts the socket down. Whoever still holds tokens keeps @conn, and the memory they
 * stand for: nobody writes to it. It goes with devmem_conn_release() of the last one.
 */
void devmem_conn_close(struct devmem_conn *conn);

/* Its socket: to send. It says nothing of bytes that the library has taken from it: poll
 * devmem_conn_poll_fd().
 */
int devmem_conn_sock(const struct devmem_conn *conn);

/**
 * devmem_conn_poll_fd() - a descriptor to wait with
 * @conn: connection, which owns it
 *
 * It is readable (POLLIN) when devmem_conn_recv() would not wait, be it for bytes, the end
 * of the stream or an error. Where the path has nothing better it is the socket. By the
 * thread that uses @conn.
 *
 * Return: the descriptor, always the same; or -errno.
 */
int devmem_conn_poll_fd(struct devmem_conn *conn);

/**
 * devmem_conn_read() - read exactly so much, contiguous in a buffer
 * @conn: connection
 * @dst: where to; not the receiver's own buffer
 * @offset: of @dst, in bytes
 * @size: bytes
 * @flags: MSG_DONTWAIT or 0
 *
 * Where the bytes come from does not matter: some may have been in host memory. The
 * receiver's buffer is needed only for what is under way, so it may be smaller than
 * @size.
 *
 * Return: @size; 0: the stream has ended, before the first byte; -EAGAIN
 * (MSG_DONTWAIT or a non-blocking socket) or -EINTR: not all of it has come; the read
 * is under way, go on with the same arguments; -ENODATA: the stream has ended in the
 * middle; -EINVAL: @size is 0, another read is under way, or @dst is the receiver's;
 * -ERANGE: beyond the end of @dst; the errors of devmem_conn_recv(). After any error
 * but those two the read is over, and what it had read is gone from the stream.
 */
ssize_t devmem_conn_read(struct devmem_conn *conn, struct devmem_buf *dst,
			 uint64_t offset, size_t size, unsigned int flags);

/* The same into host memory: a header, wherever it lies. */
ssize_t devmem_conn_read_host(struct devmem_conn *conn, void *dst, size_t size,
			      unsigned int flags);

/**
 * devmem_conn_recv() - what has come, as it lies
 * @conn: connection
 * @msg: holds the pieces afterwards
 * @flags: as for devmem_recv(), without MSG_PEEK and MSG_TRUNC on paths other than DEVMEM
 *
 * Of DEVMEM_PIECE_DMABUF each has a token for devmem_conn_release(): nobody writes to
 * its bytes before that. Several pieces may have the same token (COPY, ZCRX): it is given
 * back for each. Where none of the buffer is free, bytes come in host memory; KERNEL, ZCRX:
 * who holds half of the buffer gets no more. Who reads on only when he has given something back has
 * TCP's window close, and the sender wait.
 *
 * Return: as devmem_recv(); -EINVAL: a devmem_conn_read() is under way; -ENOBUFS: too much
 * is held, give some back.
 */
ssize_t devmem_conn_recv(struct devmem_conn *conn, struct devmem_msg *msg,
			 unsigned int flags);

/* Give a piece back, once. They are collected: devmem_conn_flush() before waiting for
 * data. May free @conn, see devmem_conn_close().
 * Return: as devmem_tokens_add(); -EINVAL: all that were given out are back; -EIO:
 * after devmem_conn_close(), the kernel did not take it.
 */
int devmem_conn_release(struct devmem_conn *conn, uint32_t token);
int devmem_conn_flush(struct devmem_conn *conn);

/**
 * struct devmem_conn_stats - what a connection has done
 * @attached: its payload is placed (DEVMEM, KERNEL, ZCRX)
 * @tokens: given out
 * @released: of them, taken back by the kernel or the library
 * @pending: of them, collected
 * @release_calls: system calls that took
 * @reserved: 0
 */
struct devmem_conn_stats {
	bool attached;
	uint64_t tokens;
	uint64_t released;
	uint64_t pending;
	uint64_t release_calls;
	uint64_t reserved[3];
};

/* What @conn has done so far. */
void devmem_conn_get_stats(struct devmem_conn *conn, struct devmem_conn_stats *stats);

#ifdef __cplusplus
}
#endif

#endif /* LIBDEVMEM_RX_H */
