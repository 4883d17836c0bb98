// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Owns notifications: subscribing, receiving, waiting for a binding to end.
 * Must not know how requests travel.
 */
#include <errno.h>
#include <linux/genetlink.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"

/* The last token of a binding goes without a notification. */
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

static int devmem_join(struct devmem_nl *nl)
{
	int ret = devmem_nl_socket(&nl->events), err;

	if (ret)
		return ret;
	if (!mnl_socket_setsockopt(nl->events, NETLINK_ADD_MEMBERSHIP,
				   &nl->mcgrp, sizeof(nl->mcgrp)))
		return 0;
	err = errno;
	return devmem_fail(err, "multicast group %s (%u): %s",
			   NETDEV_DEVMEM_MCGRP_BINDINGS, nl->mcgrp,
			   strerror(err));
}

/* One descriptor to poll for what waits in the socket and in the watch. */
static int devmem_wait_open(struct devmem_nl *nl)
{
	struct epoll_event in = { .events = EPOLLIN }, off = { .events = 0 };
	int err;

	nl->waitfd = epoll_create1(EPOLL_CLOEXEC);
	nl->morefd = eventfd(1, EFD_CLOEXEC);
	if (nl->waitfd >= 0 && nl->morefd >= 0 &&
	    !epoll_ctl(nl->waitfd, EPOLL_CTL_ADD,
		       mnl_socket_get_fd(nl->events), &in) &&
	    !epoll_ctl(nl->waitfd, EPOLL_CTL_ADD, nl->morefd, &off))
		return 0;
	err = errno;
	return devmem_fail(err, "notifications: %s", strerror(err));
}

void devmem_nl_unsubscribe(struct devmem_nl *nl)
{
	if (!nl->events)
		return;
	mnl_socket_close(nl->events);
	nl->events = NULL;
	if (nl->waitfd >= 0)
		close(nl->waitfd);
	if (nl->morefd >= 0)
		close(nl->morefd);
	devmem_watch_clear(&nl->watch);
}

int devmem_nl_subscribe(struct devmem_nl *nl, unsigned int flags)
{
	int ret;

	if (flags)
		return devmem_fail(EINVAL, "flags 0x%x: none is defined", flags);
	if (nl->events)
		return 0;

	nl->waitfd = -1;
	nl->morefd = -1;
	nl->more = false;
	nl->lost = false;
	ret = devmem_join(nl);
	if (!ret)
		ret = devmem_wait_open(nl);
	/* What is there already is no news. */
	if (!ret)
		ret = devmem_watch_look(&nl->watch, nl);
	if (ret) {
		devmem_nl_unsubscribe(nl);
		return ret;
	}
	while (devmem_watch_next(&nl->watch, NULL))
		;
	return 0;
}

int devmem_nl_event_fd(const struct devmem_nl *nl)
{
	if (!nl->events)
		return devmem_fail(ENOTCONN, "not subscribed");
	return nl->waitfd;
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

/* Return: 1 and @ev filled, 0: not one of ours, -errno; -EAGAIN: none waits. */
static int devmem_event_read(struct devmem_nl *nl, struct devmem_event *ev)
{
	const struct nlmsghdr *nlh = (const void *)nl->buf;
	const struct genlmsghdr *genl;
	ssize_t n;

	n = recv(mnl_socket_get_fd(nl->events), nl->buf, DEVMEM_NL_BUF,
		 MSG_DONTWAIT);
	if (n < 0) {
		int err = errno;

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

/*
 * After a loss the kernel loses more until its queue has been emptied: take
 * what is there, then look. What comes meanwhile may be told twice.
 *
 * Return: as devmem_event_read().
 */
static int devmem_event_next(struct devmem_nl *nl, struct devmem_event *ev)
{
	int ret;

	if (devmem_watch_next(&nl->watch, ev))
		return 1;
	ret = devmem_event_read(nl, ev);
	if (ret > 0 && devmem_watch_told(&nl->watch, ev))
		nl->lost = true;
	if (ret == -ENOBUFS) {
		nl->lost = true;
		return 0;
	}
	if (ret != -EAGAIN || !nl->lost)
		return ret;

	ret = devmem_watch_look(&nl->watch, nl);
	if (!ret)
		nl->lost = false;
	return ret;
}

/* The caller may poll() next. */
static void devmem_event_more(struct devmem_nl *nl)
{
	struct epoll_event ev = { .events = 0 };
	bool more = nl->lost || nl->watch.missed;

	if (more == nl->more)
		return;
	nl->more = more;
	if (more)
		ev.events = EPOLLIN;
	epoll_ctl(nl->waitfd, EPOLL_CTL_MOD, nl->morefd, &ev);
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
	pfd.fd = nl->waitfd;

	for (;;) {
		do {
			ret = devmem_event_next(nl, ev);
		} while (!ret);
		devmem_event_more(nl);
		if (ret != -EAGAIN)
			return ret > 0 ? 0 : ret;

		ret = poll(&pfd, 1, devmem_left_ms(timeout_ms, deadline));
		if (ret < 0) {
			err = errno;
			return devmem_fail(err, "notifications: %s",
					   strerror(err));
		}
		if (!ret)
			return devmem_fail(ETIMEDOUT, "no notification in %d ms",
					   timeout_ms);
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
		if (ret == -ETIMEDOUT)
			continue;
		if (ret)
			return ret;
		if (!(flags & DEVMEM_WAIT_GONE) && ev.info.id == id &&
		    ev.cmd == NETDEV_DEVMEM_CMD_UNBIND_NTF &&
		    ev.info.state == NETDEV_DEVMEM_STATE_CLOSING)
			return 0;
	}
}
