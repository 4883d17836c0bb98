// SPDX-License-Identifier: GPL-2.0
/*
 * Owns how the packets of a connection look when they arrive, by its socket. Who has the
 * socket has the right to what comes on it. Must not know of rules.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "devmem-nic.h"

/* <asm-generic/socket.h> of Linux 5.14 */
#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE	71
#endif

static int dn_sockopt(int sock, int option)
{
	int val = -1;
	socklen_t len = sizeof(val);

	return getsockopt(sock, SOL_SOCKET, option, &val, &len) ? -1 : val;
}

static uint64_t dn_netns(int sock)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	return getsockopt(sock, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) ? 0 : cookie;
}

/* May more come? */
static bool dn_flow_lives(int sock)
{
	struct tcp_info info = { .tcpi_state = TCP_CLOSE };
	socklen_t len = sizeof(info);

	if (getsockopt(sock, IPPROTO_TCP, TCP_INFO, &info, &len))
		return false;
	return info.tcpi_state == TCP_ESTABLISHED || info.tcpi_state == TCP_FIN_WAIT1 ||
	       info.tcpi_state == TCP_FIN_WAIT2;
}

union dn_address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/* IPv4 in IPv6 is IPv4 on the wire. */
static void dn_flow_address(const union dn_address *address, uint32_t *family,
			    uint8_t addr[16], uint16_t *port)
{
	const struct sockaddr_in6 *sin6 = &address->in6;
	const struct sockaddr_in *sin = &address->in;

	*family = address->sa.sa_family;
	if (*family == AF_INET) {
		memcpy(addr, &sin->sin_addr, sizeof(sin->sin_addr));
		*port = sin->sin_port;
		return;
	}
	*port = sin6->sin6_port;
	if (!IN6_IS_ADDR_V4MAPPED(&sin6->sin6_addr)) {
		memcpy(addr, &sin6->sin6_addr, sizeof(sin6->sin6_addr));
		return;
	}
	*family = AF_INET;
	memcpy(addr, &sin6->sin6_addr.s6_addr[12], sizeof(sin->sin_addr));
}

int dn_flow_get(const struct dn_nic *nic, int sock, struct dn_flow *flow)
{
	union dn_address local, peer;
	socklen_t len = sizeof(local);
	int domain = dn_sockopt(sock, SO_DOMAIN);

	memset(flow, 0, sizeof(*flow));
	memset(&local, 0, sizeof(local));
	memset(&peer, 0, sizeof(peer));
	if (dn_sockopt(sock, SO_PROTOCOL) != IPPROTO_TCP ||
	    (domain != AF_INET && domain != AF_INET6))
		return devmem_fail(EOPNOTSUPP, "not a TCP socket of IPv4 or IPv6");
	if (dn_netns(sock) != dn_netns(nic->ctl))
		return devmem_fail(ENETUNREACH, "the connection is not of the network namespace that %s is in",
				   nic->dev);
	if (!dn_flow_lives(sock) || getsockname(sock, &local.sa, &len))
		return devmem_fail(ENOTCONN, "the connection is not established any more");
	len = sizeof(peer);
	if (getpeername(sock, &peer.sa, &len))
		return devmem_fail(ENOTCONN, "the connection is not established any more");
	dn_flow_address(&peer, &flow->family, flow->src, &flow->src_port);
	dn_flow_address(&local, &flow->family, flow->dst, &flow->dst_port);
	if (!memcmp(flow->src, flow->dst, sizeof(flow->src)))
		return devmem_fail(ENETUNREACH, "the connection comes from this host, not through %s",
				   nic->dev);
	return 0;
}
