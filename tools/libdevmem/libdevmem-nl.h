/* SPDX-License-Identifier: LGPL-2.1 OR MIT */
/*
 * Bindings, and queues that have memory of others. Included by libdevmem.h, whose
 * conventions hold here.
 */
#ifndef LIBDEVMEM_NL_H
#define LIBDEVMEM_NL_H

#include "libdevmem.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- netlink: bind a dma-buf to rx queues, watch bindings --------------- */

struct devmem_nl;

/**
 * devmem_nl_open() - connect to the netdev-devmem family
 * @nl: set on success
 * @flags: 0
 *
 * Acts in the network namespace the caller is in. Bindings made through @nl
 * live until devmem_nl_close(), or until the process dies.
 *
 * Return: 0; -ENOENT: the module netdev-devmem is not loaded; -errno.
 */
int devmem_nl_open(struct devmem_nl **nl, unsigned int flags);

/* Ends the bindings that were made through @nl. */
void devmem_nl_close(struct devmem_nl *nl);

/* What the kernel said about the last failed call on @nl (extack), or the
 * text of its errno; "" if the last call succeeded.
 */
const char *devmem_nl_error(const struct devmem_nl *nl);

struct devmem_bind_result {
	uint32_t id;		/* name of the binding for devmem_attach() */
	uint32_t chunk_size;	/* bytes */
	uint32_t chunks;	/* number of them */
};

/**
 * devmem_bind_rx() - bind a dma-buf to rx queues (CAP_NET_ADMIN)
 * @nl: owner of the binding
 * @ifindex: device
 * @queues: rx queue numbers
 * @nr_queues: number of @queues
 * @dmabuf_fd: the buffer; the binding takes a reference of its own
 * @chunk_size: power of two from 4096 to 2 MiB, or 0 for the kernel's choice
 * @res: filled on success
 * @flags: 0
 *
 * The request is sent as it is given, mistakes included: devmem_nl_error()
 * then has what the kernel says.
 *
 * Return: 0 or -errno, among them:
 *	-EBUSY		a queue is taken; or @dmabuf_fd has a binding, or had one of
 *			which somebody still holds memory
 *	-EACCES		@dmabuf_fd is open for reading only
 *	-ETIMEDOUT	the exporter still writes to the buffer: try again
 *	-EAGAIN		a signal came meanwhile
 */
int devmem_bind_rx(struct devmem_nl *nl, uint32_t ifindex,
		   const uint32_t *queues, unsigned int nr_queues,
		   int dmabuf_fd, uint32_t chunk_size,
		   struct devmem_bind_result *res, unsigned int flags);

#define DEVMEM_BIND_QUEUES	256
#define DEVMEM_COMM_LEN		32

/**
 * struct devmem_bind_info - a binding as the kernel describes it
 * @id: name of the binding for devmem_attach()
 * @ifindex: device, 0 when that is gone
 * @chunk_size: bytes
 * @state: enum netdev_devmem_state
 * @pid: of the process that made it, 0 where that cannot be seen
 * @flows: sockets attached
 * @chunks: number of chunks
 * @chunks_free: of those, held by nobody
 * @size: bytes of the dma-buf
 * @comm: name of the process that made it
 * @nr_queues: number of rx queues, may exceed DEVMEM_BIND_QUEUES
 * @queues: the first DEVMEM_BIND_QUEUES of its rx queues
 * @stats: counters, as in the netlink spec
 *
 * Fields that the kernel did not send are 0.
 */
struct devmem_bind_info {
	uint32_t id;
	uint32_t ifindex;
	uint32_t chunk_size;
	uint32_t state;
	uint32_t pid;
	uint32_t flows;
	uint32_t chunks;
	uint32_t chunks_free;
	uint64_t size;
	char comm[DEVMEM_COMM_LEN];
	uint32_t nr_queues;
	uint32_t queues[DEVMEM_BIND_QUEUES];
	struct {
		uint64_t placed_packets;
		uint64_t placed_bytes;
		uint64_t fallback_packets;
		uint64_t fallback_bytes;
		uint64_t fallback_exhausted;
		uint64_t fallback_nomem;
		uint64_t fallback_header;
		uint64_t fallback_route;
		uint64_t fallback_inactive;
		uint64_t urg_cleared;
		uint64_t forward_drops;
		uint64_t pressure;
		uint64_t fallback_again;
		uint64_t fallback_sequence;
		uint64_t fallback_paused;
	} stats;
};

/* "active", "moving", "revoked", "closing", or "unknown". */
const char *devmem_state_name(uint32_t state);

/* One binding by number; -ENOENT if there is none in this namespace. */
int devmem_bind_get(struct devmem_nl *nl, uint32_t id,
		    struct devmem_bind_info *info, unsigned int flags);

/**
 * devmem_bind_dump() - all bindings
 * @nl: handle
 * @ifindex: only those on this device, or 0
 * @cb: called for each; a non-zero return value ends the dump and is returned.
 *	It must not use @nl.
 * @arg: for @cb
 * @flags: 0
 *
 * Return: 0, what @cb ended it with, or -errno.
 */
int devmem_bind_dump(struct devmem_nl *nl, uint32_t ifindex,
		     int (*cb)(const struct devmem_bind_info *info, void *arg),
		     void *arg, unsigned int flags);

/**
 * struct devmem_queue_info - an rx queue that has memory of a provider of the kernel
 * @ifindex: device
 * @queue: number
 * @binding_id: of the kernel's own binding of a dma-buf; 0: none
 * @io_uring: a ring has it for zero-copy receive
 * @reserved: 0
 */
struct devmem_queue_info {
	uint32_t ifindex;
	uint32_t queue;
	uint32_t binding_id;
	bool io_uring;
	uint32_t reserved[4];
};

/**
 * devmem_queue_dump() - queues with memory that is not of net/devmem's bindings
 * @ifindex: only those of this device, or 0
 * @cb: called for each; a non-zero return value ends the dump and is returned
 * @arg: for @cb
 * @flags: 0
 *
 * Return: 0, what @cb ended it with, or -errno; -ENOENT: the kernel does not know.
 */
int devmem_queue_dump(uint32_t ifindex,
		      int (*cb)(const struct devmem_queue_info *info, void *arg),
		      void *arg, unsigned int flags);

struct devmem_event {
	/* NETDEV_DEVMEM_CMD_BIND_NTF, _UNBIND_NTF or _PRESSURE_NTF */
	uint8_t cmd;
	struct devmem_bind_info info;
};

/* Join the multicast group "bindings". Doing so again has no effect. Notifications have a
 * socket of their own, so requests on @nl go on working. Bindings that are there
 * already are not told of.
 */
int devmem_nl_subscribe(struct devmem_nl *nl, unsigned int flags);

/* Readable (poll) when an event waits; -ENOTCONN before devmem_nl_subscribe(). */
int devmem_nl_event_fd(const struct devmem_nl *nl);

/**
 * devmem_nl_event() - next notification
 * @nl: subscribed handle
 * @ev: filled on success
 * @timeout_ms: how long to wait; 0: do not, negative: for ever
 * @flags: 0
 *
 * The kernel drops notifications of which too many wait (ENOBUFS). What they
 * would have said is found by looking at all bindings, and comes as
 * notifications like the others: each binding that has come or gone, was
 * revoked or ran out of memory meanwhile; not one that came and went. After
 * such a loss one may come twice.
 *
 * Return: 0; -ETIMEDOUT; -EINTR; -ENOTCONN: not subscribed; -errno of that look,
 * which the next call tries again.
 */
int devmem_nl_event(struct devmem_nl *nl, struct devmem_event *ev,
		    int timeout_ms, unsigned int flags);

/**
 * devmem_nl_wait() - wait until a binding has given its queues back
 * @nl: handle, not the one whose binding it is
 * @id: binding
 * @timeout_ms: as for devmem_nl_event()
 * @flags: DEVMEM_WAIT_GONE: wait until the binding itself has ended, with the
 *	last attached socket and the last token
 *
 * Subscribes @nl and consumes its notifications.
 *
 * Return: 0 (also if there is no such binding); -ETIMEDOUT; -EINTR.
 */
int devmem_nl_wait(struct devmem_nl *nl, uint32_t id, int timeout_ms,
		   unsigned int flags);

#define DEVMEM_WAIT_GONE	(1U << 0)

#ifdef __cplusplus
}
#endif

#endif /* LIBDEVMEM_NL_H */
