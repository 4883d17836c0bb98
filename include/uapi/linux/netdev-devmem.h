/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Device-memory TCP: the socket side.
 *
 * The netlink side (bind-rx and friends) is described by
 * Documentation/netlink/specs/netdev-devmem.yaml and included below.
 *
 * A process receives into device memory in three steps:
 *
 *  1. somebody with CAP_NET_ADMIN binds the dma-buf to rx queues of a device
 *     (NETDEV_DEVMEM_CMD_BIND_RX) and tells the process the binding's id;
 *  2. the process sets the ULP on an established TCP socket and attaches it:
 *
 *	setsockopt(fd, IPPROTO_TCP, TCP_ULP, "devmem", sizeof("devmem"));
 *	struct devmem_attach a = { .binding_id = id, .dmabuf_fd = dmabuf };
 *	setsockopt(fd, SOL_DEVMEM, DEVMEM_ATTACH, &a, sizeof(a));
 *
 *  3. recvmsg(fd, &msg, MSG_SOCK_DEVMEM) reports, in the order of the stream,
 *     one SOL_SOCKET control message for each piece:
 *
 *	SCM_DEVMEM_DMABUF (79)	frag_size bytes lie at frag_offset of the
 *				dma-buf; frag_token holds them there until it
 *				is given back. With DEVMEM_CMSG_LOST in flags the
 *				exporter has taken the memory back meanwhile: the
 *				bytes are lost, and there is no token
 *	SCM_DEVMEM_LINEAR (78)	frag_size bytes were copied to the iovec, for
 *				this piece arrived in host memory
 *
 *     and setsockopt(fd, SOL_SOCKET, SO_DEVMEM_DONTNEED (80), ...) with an
 *     array of struct dmabuf_token gives tokens back. These numbers and
 *     structs are the kernel's own, from <asm/socket.h> and <linux/uio.h>.
 *
 * Bytes that TCP has acknowledged can be lost only with the memory in which they
 * lie, when the exporter takes it back before they were received. recvmsg() gives
 * out what comes before them; from there on it fails with EIO, unless the socket
 * was attached with DEVMEM_ATTACH_REPORT_LOST: then it names them, as above, and
 * what follows is received as ever. (With MSG_TRUNC it drops them like any other.)
 * Whether pieces given out before are still there, only the exporter knows: who has
 * used them and then finds DEVMEM_INFO's state ACTIVE has used what was sent.
 *
 * The structs of this header grow at the end only. Their users pass the size
 * they know as optlen: a kernel that knows more takes the rest as zero, a
 * kernel that knows less accepts trailing bytes only if they are zero (E2BIG
 * otherwise). No struct has implicit padding.
 */
#ifndef _UAPI_LINUX_NETDEV_DEVMEM_H
#define _UAPI_LINUX_NETDEV_DEVMEM_H

#include <linux/types.h>
#include <linux/netdev-devmem-genl.h>

/* Name for setsockopt(TCP_ULP). Errors, beside the kernel's own:
 *	ENOTCONN	the socket is not an established connection
 *	EOPNOTSUPP	a TCP MD5, TCP-AO, MPTCP or TCP_REPAIR socket, or one that has
 *			listened before it was connected
 *	EBUSY		urgent data is pending
 *	EEXIST		the socket has a ULP (this one or kTLS) already
 */
#define DEVMEM_ULP_NAME		"devmem"

/* Level for setsockopt and getsockopt: "ND", far from the kernel's SOL_*. */
#define SOL_DEVMEM		0x4e44

/* setsockopt(SOL_DEVMEM, DEVMEM_ATTACH, struct devmem_attach). Errors:
 *	EINVAL		optlen below DEVMEM_ATTACH_SIZE_VER0, or an unknown flag in @flags
 *	E2BIG		non-zero bytes behind what this kernel knows
 *	ENOTCONN	the socket is not established any more
 *	EISCONN		the socket is attached already
 *	EBUSY		urgent data is pending, on a socket that was connected anew
 *	ENOENT		no binding has this id in the socket's network namespace
 *	ESHUTDOWN	the binding is closing or its memory was revoked
 *	EBADF		@dmabuf_fd is not an open file
 *	EINVAL		@dmabuf_fd is not a dma-buf
 *	EACCES		@dmabuf_fd is a dma-buf, but not the binding's
 *	ENETUNREACH	the connection does not arrive through the binding's device;
 *			DEVMEM_INFO's rx_ifindex says through which it does
 *	ENETDOWN	the binding's device is down, and where the connection arrives
 *			is not known
 *	ENOSPC		the device has no flow rule left
 *	EDQUOT		the binding has as many sockets as netdev-devmem's parameter
 *			max_flows allows
 */
#define DEVMEM_ATTACH		1

/**
 * struct devmem_attach - which binding a socket receives into
 * @binding_id: NETDEV_DEVMEM_A_BINDING_ID
 * @dmabuf_fd: the binding's dma-buf: the right to receive into it
 * @flags: DEVMEM_ATTACH_REPORT_LOST or 0
 * @reserved: must be 0
 */
struct devmem_attach {
	__u32	binding_id;
	__s32	dmabuf_fd;
	__u32	flags;
	__u32	reserved;
};

#define DEVMEM_ATTACH_SIZE_VER0	16

/* The receiver looks at dmabuf_cmsg.flags, and gets along with lost bytes. */
#define DEVMEM_ATTACH_REPORT_LOST	(1U << 0)

/* In the flags of SCM_DEVMEM_DMABUF: see above. */
#define DEVMEM_CMSG_LOST		(1U << 0)

/* getsockopt(SOL_DEVMEM, DEVMEM_INFO, struct devmem_info): fills as many bytes
 * as both sides know and returns their number as optlen. Errors:
 *	EINVAL		optlen below DEVMEM_INFO_SIZE_VER0
 */
#define DEVMEM_INFO		2

/**
 * struct devmem_info - what has become of an attached socket
 * @binding_id: 0: not attached
 * @state: enum netdev_devmem_state of the binding
 * @queue: rx queue that the flow rule names
 * @chunk_size: bytes
 * @placed_bytes: payload put into the dma-buf by the device
 * @fallback_bytes: payload that went to host memory since attach: what the device's
 *	rule matched, again for each time it came, or at least what TCP has got
 * @pieces: SCM_DEVMEM_DMABUF messages given out
 * @tokens_held: of those, tokens not given back yet
 * @lost_bytes: payload reported with DEVMEM_CMSG_LOST
 * @rx_ifindex: interface through which the connection came in last, as routing sees
 *	it: a VRF, bridge or macvlan above the NIC, or 0 if that is not known. Also
 *	when DEVMEM_ATTACH was refused
 * @reserved: 0
 */
struct devmem_info {
	__u32	binding_id;
	__u32	state;
	__u32	queue;
	__u32	chunk_size;
	__u64	placed_bytes;
	__u64	fallback_bytes;
	__u64	pieces;
	__u64	tokens_held;
	__u64	lost_bytes;
	__u32	rx_ifindex;
	__u32	reserved;
};

#define DEVMEM_INFO_SIZE_VER0	48

/* Most tokens that one recvmsg caller may hold on a socket; at the limit
 * recvmsg returns ENOBUFS until some are given back. It bounds the table that
 * remembers them (16 bytes each).
 */
#define DEVMEM_MAX_TOKENS	(1U << 20)

/* SO_DEVMEM_DONTNEED: limits of one call, as in the kernel's own. Returns the
 * number of tokens given back: those never issued on this socket, and those
 * given back before, do not count.
 */
#define DEVMEM_MAX_DONTNEED_RANGES	128
#define DEVMEM_MAX_DONTNEED_TOKENS	1024

#endif /* _UAPI_LINUX_NETDEV_DEVMEM_H */
