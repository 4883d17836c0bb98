// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Owns notifications: subscribing, receiving, waiting for a binding to end.
 * Must not know how requests travel.
 */
#include <errno.h>
#include <linux/genetlink.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "internal.h"

/* A notification that was lost (ENOBUFS) must not hang devmem_nl_wait(). */
#define DEVMEM_WAIT_RECHECK_MS	200

/* A binding that somebody still holds tokens of stays "closing". Its queues are
 * free when the notification comes; if it does not come in this time it came
 * before we subscribed.
 */
#define DEVMEM_WAIT_SETTLE_MS	500

static int64_t devmem_now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

int devmem_nl_subscribe(struct devmem_nl *nl, unsigned int flags)
{
	struct mnl_socket *s;
	int ret, err;

	if (flags)
		return devmem_fail(EINVAL, "flags 0x%x: none is defined", flags);
	if (nl->events)
		return 0;

	ret = devmem_nl_socket(&s);
	if (ret)
		return ret;
	if (mnl_socket_setsockopt(s, NETLINK_ADD_MEMBERSHIP, &nl->mcgrp,
				  sizeof(nl->mcgrp)) < 0) {
		err = errno;
		mnl_socket_close(s);
		return devmem_fail(err, "multicast group %s (%u): %s",
				   NETDEV_DEVMEM_MCGRP_BINDINGS, nl->mcgrp,
				   strerror(err));
	}
	nl->events = s;
	return 0;
}

int devmem_nl_event_fd(const struct devmem_nl *nl)
{
	if (!nl->events)
		return devmem_fail(ENOTCONN, "not subscribed");
	return mnl_socket_get_fd(nl->events);
}

/* What is left of a timeout that began with @deadline, for poll(). */
static int devmem_left_ms(int timeout_ms, int64_t deadline)
{
	int64_t left;

	if (timeout_ms < 0)
		return -1;
	left = deadline - devmem_now_ms();
	return left > 0 ? (int)left : 0;
}

/* Return: 1 and @ev filled, 0: not one of ours, -errno. */
static int devmem_event_read(struct devmem_nl *nl, struct devmem_event *ev)
{
	const struct nlmsghdr *nlh = (const void *)nl->buf;
	const struct genlmsghdr *genl;
	ssize_t n;

	n = recv(mnl_socket_get_fd(nl->events), nl->buf, DEVMEM_NL_BUF,
		 MSG_DONTWAIT);
	if (n < 0) {
		int err = errno;

		if (err == EAGAIN)
			return 0;
		return devmem_fail(err, "notifications: %s", strerror(err));
	}

	/* The kernel sends one notification per datagram. */
	if (!mnl_nlmsg_ok(nlh, (int)n) || nlh->nlmsg_type != nl->family ||
	    mnl_nlmsg_get_payload_len(nlh) < sizeof(*genl))
		return 0;
	genl = mnl_nlmsg_get_payload(nlh);
	ev->cmd = genl->cmd;
	devmem_bind_parse(nlh, &ev->info);
	return 1;
}

int devmem_nl_event(struct devmem_nl *nl, struct devmem_event *ev,
		    int timeout_ms, unsigned int flags)
{
	int64_t deadline = devmem_now_ms() + timeout_ms;
	struct pollfd pfd = { .events = POLLIN };
	int ret, err;

	if (flags)
		return devmem_fail(EINVAL, "flags 0x%x: none is defined", flags);
	if (!nl->events)
		return devmem_fail(ENOTCONN, "not subscribed");
	pfd.fd = mnl_socket_get_fd(nl->events);

	for (;;) {
		ret = poll(&pfd, 1, devmem_left_ms(timeout_ms, deadline));
		if (ret < 0) {
			err = errno;
			return devmem_fail(err, "notifications: %s",
					   strerror(err));
		}
		if (!ret)
			return devmem_fail(ETIMEDOUT, "no notification in %d ms",
					   timeout_ms);
		ret = devmem_event_read(nl, ev);
		if (ret)
			return ret > 0 ? 0 : ret;
	}
}

int devmem_nl_wait(struct devmem_nl *nl, uint32_t id, int timeout_ms,
		   unsigned int flags)
{
	int64_t deadline = devmem_now_ms() + timeout_ms;
	struct devmem_bind_info info;
	struct devmem_event ev = { 0 };
	int64_t closing = 0;	/* when seen first */
	int ret, left;

	if (flags & ~DEVMEM_WAIT_GONE)
		return devmem_fail(EINVAL, "flags 0x%x: unknown", flags);

	/* Subscribe before the first look, or the change slips between. */
	ret = devmem_nl_subscribe(nl, 0);
	if (ret)
		return ret;

	for (;;) {
		ret = devmem_bind_get(nl, id, &info, 0);
		if (ret == -ENOENT)
			return 0;
		if (ret)
			return ret;
		if (!(flags & DEVMEM_WAIT_GONE) &&
		    info.state == NETDEV_DEVMEM_STATE_CLOSING) {
			if (!closing)
				closing = devmem_now_ms();
			if (!info.nr_queues || devmem_now_ms() - closing >
					       DEVMEM_WAIT_SETTLE_MS)
				return 0;
		}

		left = devmem_left_ms(timeout_ms, deadline);
		if (!left)
			return devmem_fail(ETIMEDOUT, "binding %u is still %s after %d ms",
					   id, devmem_state_name(info.state),
					   timeout_ms);
		if (left < 0 || left > DEVMEM_WAIT_RECHECK_MS)
			left = DEVMEM_WAIT_RECHECK_MS;

		ret = devmem_nl_event(nl, &ev, left, 0);
		if (ret == -ETIMEDOUT || ret == -ENOBUFS)
			continue;
		if (ret)
			return ret;
		if (!(flags & DEVMEM_WAIT_GONE) && ev.info.id == id &&
		    ev.cmd == NETDEV_DEVMEM_CMD_UNBIND_NTF &&
		    ev.info.state == NETDEV_DEVMEM_STATE_CLOSING)
			return 0;
	}
}
