// SPDX-License-Identifier: GPL-2.0
/*
 * Owns names and addresses: listening, connecting, printing them. IPv6
 * literals may carry a scope (fe80::1%eth0). Must not know device memory.
 */
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ncdevmem.h"

#define ND_RETRY_MS	100

const char *nd_addr_text(char text[ND_ADDR_LEN], const struct sockaddr *sa,
			 socklen_t len)
{
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (getnameinfo(sa, len, host, sizeof(host), port, sizeof(port),
			NI_NUMERICHOST | NI_NUMERICSERV))
		snprintf(text, ND_ADDR_LEN, "(unknown)");
	else
		snprintf(text, ND_ADDR_LEN, strchr(host, ':') ? "[%s]:%s"
							      : "%s:%s",
			 host, port);
	return text;
}

static int nd_addr_lookup(int family, const char *host, const char *port,
			  int flags, struct addrinfo **list)
{
	struct addrinfo hints = {
		.ai_family = family,
		.ai_socktype = SOCK_STREAM,
		.ai_protocol = IPPROTO_TCP,
		.ai_flags = flags,
	};
	int ret;

	ret = getaddrinfo(host, port, &hints, list);
	if (!ret)
		return 0;
	nd_err("%s%s%s: %s", host ? host : "", host ? " port " : "port ", port,
	       ret == EAI_SYSTEM ? strerror(errno) : gai_strerror(ret));
	return -EADDRNOTAVAIL;
}

static int nd_addr_listen_one(const struct addrinfo *ai, bool v6only)
{
	int fd, on = 1, only = v6only, err;

	fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC,
		    ai->ai_protocol);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (ai->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only));
	if (!bind(fd, ai->ai_addr, ai->ai_addrlen) && !listen(fd, 128))
		return fd;
	err = errno;
	close(fd);
	return -err;
}

/*
 * Without a host and a family: one socket for both families where IPv6 is
 * there, IPv4 alone where it is not. Return: a file descriptor or -errno.
 */
int nd_addr_listen(int family, const char *host, const char *port)
{
	struct addrinfo *list, *ai;
	char text[ND_ADDR_LEN];
	int pass, fd;

	fd = nd_addr_lookup(family, host, port, AI_PASSIVE, &list);
	if (fd)
		return fd;

	text[0] = '\0';
	for (pass = 0; pass < 2; pass++) {
		for (ai = list; ai; ai = ai->ai_next) {
			/* IPv6 first: it may serve both. */
			if ((ai->ai_family == AF_INET6) != !pass)
				continue;
			fd = nd_addr_listen_one(ai, family == AF_INET6 || host);
			if (fd >= 0) {
				freeaddrinfo(list);
				return fd;
			}
			nd_addr_text(text, ai->ai_addr, ai->ai_addrlen);
		}
	}
	freeaddrinfo(list);
	nd_err("cannot listen on %s: %s", text, strerror(-fd));
	return fd;
}

/* Wait for a connect() in progress, until @deadline if it is not 0. */
static int nd_addr_finish(int fd, double deadline)
{
	struct pollfd pfd = { .fd = fd, .events = POLLOUT };
	socklen_t len = sizeof(int);
	int err = 0, ret;

	do {
		ret = poll(&pfd, 1, deadline ? ND_RETRY_MS : -1);
		if (ret < 0 && errno != EINTR)
			return -errno;
		if (deadline && ret <= 0 && nd_now() >= deadline)
			return -ETIMEDOUT;
	} while (ret <= 0);
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &len);
	return -err;
}

static int nd_addr_connect_one(const struct addrinfo *ai, double deadline)
{
	int fd, ret;

	fd = socket(ai->ai_family,
		    ai->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
		    ai->ai_protocol);
	if (fd < 0)
		return -errno;
	if (!connect(fd, ai->ai_addr, ai->ai_addrlen))
		return fd;
	ret = errno == EINPROGRESS ? nd_addr_finish(fd, deadline) : -errno;
	if (!ret)
		return fd;
	close(fd);
	return ret;
}

/*
 * For @wait seconds, but not longer, go on trying while nobody listens or the
 * way there is not up yet. 0: one attempt, as long as the kernel takes. Return: a
 * non-blocking file descriptor or -errno.
 */
int nd_addr_connect(int family, const char *host, const char *port,
		    double wait)
{
	double deadline = nd_now() + wait;
	struct addrinfo *list, *ai;
	char text[ND_ADDR_LEN];
	int fd;

	fd = nd_addr_lookup(family, host, port, 0, &list);
	if (fd)
		return fd;

	for (;;) {
		for (ai = list; ai; ai = ai->ai_next) {
			fd = nd_addr_connect_one(ai, wait > 0 ? deadline : 0);
			if (fd >= 0)
				goto out;
			nd_addr_text(text, ai->ai_addr, ai->ai_addrlen);
		}
		if ((fd != -ECONNREFUSED && fd != -ENETUNREACH &&
		     fd != -EHOSTUNREACH) || nd_now() >= deadline) {
			nd_err("cannot connect to %s: %s", text, strerror(-fd));
			goto out;
		}
		poll(NULL, 0, ND_RETRY_MS);
	}
out:
	freeaddrinfo(list);
	return fd;
}
