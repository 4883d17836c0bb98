// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Owns the socket options of one connection: ULP, attach, info. Must not know
 * how data is received or where bindings come from.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>

#include "internal.h"

/* What the kernel's errno means at attach; NULL: its usual text will do. */
static const char *devmem_attach_text(int err)
{
	switch (err) {
	case ENOTCONN:
		return "the connection is not established any more";
	case EISCONN:
		return "the socket is attached already";
	case EBUSY:
		return "urgent data is pending on the socket";
	case ENOENT:
		return "no such binding in this network namespace";
	case ESHUTDOWN:
		return "the binding is closing or its memory was revoked";
	case EACCES:
		return "the dma-buf is not the binding's";
	case ENETUNREACH:
		return "the connection does not arrive through the binding's device";
	case ENETDOWN:
		return "the binding's device is down, and nothing has come through it yet";
	case ENOSPC:
		return "the device has no flow rule left";
	case EDQUOT:
		return "the binding has all the sockets that netdev-devmem's parameter max_flows allows";
	default:
		return NULL;
	}
}

static int devmem_set_ulp(int sock)
{
	char name[16] = "";
	socklen_t len = sizeof(name) - 1;
	int err;

	if (!setsockopt(sock, IPPROTO_TCP, TCP_ULP, DEVMEM_ULP_NAME,
			sizeof(DEVMEM_ULP_NAME)))
		return 0;

	err = errno;
	switch (err) {
	case EEXIST:
		if (!getsockopt(sock, IPPROTO_TCP, TCP_ULP, name, &len) &&
		    !strcmp(name, DEVMEM_ULP_NAME))
			return 0;
		return devmem_fail(EEXIST, "TCP_ULP: the socket has the ULP '%s' already",
				   name);
	case ENOENT:
		return devmem_fail(ENOENT, "TCP_ULP: the kernel has no ULP '" DEVMEM_ULP_NAME "'; load the module netdev-devmem");
	case ENOTCONN:
		return devmem_fail(ENOTCONN, "TCP_ULP: the socket is not an established connection");
	case EOPNOTSUPP:
	case ENOPROTOOPT:
		return devmem_fail(err, "TCP_ULP: not a plain TCP socket (UDP, MPTCP, TCP MD5 or TCP-AO)");
	default:
		return devmem_fail(err, "TCP_ULP: %s", strerror(err));
	}
}

int devmem_attach(int sock, uint32_t binding_id, int dmabuf_fd,
		  unsigned int flags)
{
	struct devmem_attach attach = {
		.binding_id = binding_id,
		.dmabuf_fd = dmabuf_fd,
		.flags = flags,
	};
	const char *text;
	int ret, err;

	ret = devmem_set_ulp(sock);
	if (ret)
		return ret;
	if (!setsockopt(sock, SOL_DEVMEM, DEVMEM_ATTACH, &attach,
			sizeof(attach)))
		return 0;

	err = errno;
	text = devmem_attach_text(err);
	return devmem_fail(err, "attach to binding %u with dma-buf fd %d: %s",
			   binding_id, dmabuf_fd, text ? text : strerror(err));
}

int devmem_sock_info(int sock, struct devmem_info *info, unsigned int flags)
{
	socklen_t len = sizeof(*info);
	int err;

	if (flags)
		return devmem_fail(EINVAL, "flags 0x%x: none is defined", flags);

	memset(info, 0, sizeof(*info));
	if (getsockopt(sock, SOL_DEVMEM, DEVMEM_INFO, info, &len)) {
		err = errno;
		return devmem_fail(err, "DEVMEM_INFO: %s", strerror(err));
	}
	return 0;
}
