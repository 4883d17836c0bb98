// SPDX-License-Identifier: GPL-2.0
/*
 * Owns who asks for what: the owner of the receiver through the first channel, others to
 * whom he has given channels through those; and that a connection's rule goes with the
 * connection, and with the channel that asked for it. Must not know what is done to a NIC.
 *
 * Others are not trusted: nothing here waits for what they do with a channel, a socket or
 * whatever descriptor they send.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devmem-nic.h"

#define DN_CHANNELS	1024
#define DN_EVENTS	64

/* What an event is about; the number of a channel or a rule is in the lower half. */
#define DN_ABOUT_OWNER		0ULL
#define DN_ABOUT_CHANNEL	(1ULL << 32)
#define DN_ABOUT_RULE		(2ULL << 32)

struct dn_server {
	struct dn_nic *nic;
	int epoll;
	int closer;			/* pipe to the thread that closes, or -1 */
	int channels[DN_CHANNELS];	/* the first is the owner's; -1: none */
	struct {
		int sock;		/* -1: none; ours, or it might be closed in secret */
		uint32_t channel;
	} rules[DN_RULES];
};

static int dn_watch(const struct dn_server *s, int fd, uint32_t events, uint64_t about)
{
	struct epoll_event event = { .events = events, .data.u64 = about };
	int err;

	if (!epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event))
		return 0;
	err = errno;
	return devmem_fail(err, "epoll: %s", strerror(err));
}

/* close() may wait: for SO_LINGER, for a FUSE server, for whatever. */
static void *dn_closer(void *arg)
{
	int from = (int)(intptr_t)arg, fd;

	while (read(from, &fd, sizeof(fd)) == sizeof(fd))
		close(fd);
	return NULL;
}

static int dn_closer_start(struct dn_server *s)
{
	pthread_t thread;
	int ends[2], err;

	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	fcntl(ends[1], F_SETFL, O_NONBLOCK);
	s->closer = ends[1];
	err = pthread_create(&thread, NULL, dn_closer, (void *)(intptr_t)ends[0]);
	return -err;
}

/* What is somebody else's. If thousands wait to be closed, one more stays open. */
static void dn_close(const struct dn_server *s, int fd)
{
	if (fd >= 0 && write(s->closer, &fd, sizeof(fd)) < 0)
		return;
}

/* The file may stay open elsewhere: then it would go on being watched. */
static void dn_unwatch(const struct dn_server *s, int fd)
{
	epoll_ctl(s->epoll, EPOLL_CTL_DEL, fd, NULL);
}

/* The descriptor in @cmsg, or -1. There is room for two: of those that are not asked for
 * none is kept.
 */
static int dn_take(const struct dn_server *s, struct cmsghdr *cmsg)
{
	int fds[2] = { -1, -1 };

	if (!cmsg || cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS ||
	    cmsg->cmsg_len > CMSG_LEN(sizeof(fds)))
		return -1;
	memcpy(fds, CMSG_DATA(cmsg), cmsg->cmsg_len - CMSG_LEN(0));
	if (fds[1] < 0)
		return fds[0];
	dn_close(s, fds[0]);
	dn_close(s, fds[1]);
	return -1;
}

/* Return: bytes, 0 if nobody can ask any more, -1: nothing is there. @fd: a descriptor
 * that came along, or -1.
 */
static ssize_t dn_receive(const struct dn_server *s, int channel,
			  struct devmem_nic_request *req, int *fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov = { .iov_base = req, .iov_len = sizeof(*req) };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	ssize_t n;

	*fd = -1;
	do {
		n = recvmsg(channel, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n < 0 && errno == EAGAIN ? -1 : 0;
	*fd = dn_take(s, CMSG_FIRSTHDR(&msg));
	return n;
}

/* It keeps @fd if it returns 0. */
static int dn_share(struct dn_server *s, int fd)
{
	uint32_t i;
	int ret;

	if (fd < 0)
		return devmem_fail(EBADF, "share: no channel came along");
	for (i = 1; i < DN_CHANNELS; i++)
		if (s->channels[i] < 0)
			break;
	if (i == DN_CHANNELS)
		return devmem_fail(EUSERS, "%s: the receiver is shared by %d already",
				   s->nic->dev, DN_CHANNELS);
	ret = dn_watch(s, fd, EPOLLIN, DN_ABOUT_CHANNEL | i);
	if (!ret)
		s->channels[i] = fd;
	return ret;
}

static int dn_serve_rule(struct dn_server *s, uint32_t channel, int sock, uint32_t *rule)
{
	int ret;

	if (sock < 0)
		return devmem_fail(EBADF, "a rule: no socket came along");
	ret = dn_nic_rule_add(s->nic, sock, rule);
	if (ret)
		return ret;
	/* errors that wait to be read, too, are told of: once is enough */
	ret = dn_watch(s, sock, EPOLLET, DN_ABOUT_RULE | *rule);
	if (ret) {
		dn_nic_rule_del(s->nic, *rule);
		return ret;
	}
	s->rules[*rule].sock = sock;
	s->rules[*rule].channel = channel;
	return 0;
}

static int dn_forget_rule(struct dn_server *s, uint32_t rule)
{
	int ret = dn_nic_rule_del(s->nic, rule);

	dn_unwatch(s, s->rules[rule].sock);
	dn_close(s, s->rules[rule].sock);
	s->rules[rule].sock = -1;
	return ret;
}

static int dn_serve_rule_del(struct dn_server *s, uint32_t channel, uint32_t rule)
{
	if (rule >= DN_RULES)
		return devmem_fail(EINVAL, "rule %u: there are %d", rule, DN_RULES);
	/* it may have gone with its connection */
	if (s->rules[rule].sock < 0 || s->rules[rule].channel != channel)
		return 0;
	return dn_forget_rule(s, rule);
}

/* @fd is -1 afterwards if it is kept. */
static int dn_act(struct dn_server *s, uint32_t channel, const struct devmem_nic_request *req,
		  int *fd, struct devmem_nic_reply *reply)
{
	int ret;

	if (req->version != DEVMEM_NIC_VERSION)
		return devmem_fail(EPROTO, "devmem-nic is of version %u, the library wants %u",
				   DEVMEM_NIC_VERSION, req->version);
	switch (req->what) {
	case DEVMEM_NIC_RULE_ADD:
		ret = dn_serve_rule(s, channel, *fd, &reply->rule);
		if (!ret)
			*fd = -1;
		return ret;
	case DEVMEM_NIC_RULE_DEL:
		return dn_serve_rule_del(s, channel, req->rule);
	default:
		break;
	}
	if (channel)
		return devmem_fail(EPERM, "devmem-nic: request %u is the owner's", req->what);
	switch (req->what) {
	case DEVMEM_NIC_CHECK:
		return dn_nic_check(s->nic, req);
	case DEVMEM_NIC_BIND:
	case DEVMEM_NIC_CLAIM:
		return dn_nic_take(s->nic, req, *fd, reply);
	case DEVMEM_NIC_CLEANUP:
		return dn_nic_cleanup(s->nic, req);
	case DEVMEM_NIC_SHARE:
		ret = dn_share(s, *fd);
		if (!ret)
			*fd = -1;
		return ret;
	default:
		return devmem_fail(EINVAL, "devmem-nic: request %u is unknown", req->what);
	}
}

/* Return: false if nobody can ask any more. */
static bool dn_serve_one(struct dn_server *s, uint32_t channel)
{
	struct devmem_nic_reply reply = { .version = DEVMEM_NIC_VERSION };
	struct devmem_nic_request req = { 0 };
	int sock = s->channels[channel];
	ssize_t n;
	int fd;

	n = dn_receive(s, sock, &req, &fd);
	if (n <= 0)
		return n < 0;
	if (n != sizeof(req))
		req.version = 0;
	req.dev[sizeof(req.dev) - 1] = '\0';
	reply.ret = dn_act(s, channel, &req, &fd, &reply);
	dn_close(s, fd);
	if (reply.ret)
		snprintf(reply.text, sizeof(reply.text), "%s", devmem_error());
	/* who does not take his replies has no more questions */
	return send(sock, &reply, sizeof(reply), MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof(reply);
}

static void dn_close_channel(struct dn_server *s, uint32_t channel)
{
	uint32_t i;

	for (i = 0; i < DN_RULES; i++)
		if (s->rules[i].sock >= 0 && s->rules[i].channel == channel)
			dn_forget_rule(s, i);
	dn_unwatch(s, s->channels[channel]);
	dn_close(s, s->channels[channel]);
	s->channels[channel] = -1;
}

/* Both directions are shut down: the same addresses may become somebody else's. */
static bool dn_is_over(int sock)
{
	struct pollfd pfd = { .fd = sock };

	return poll(&pfd, 1, 0) == 1 && pfd.revents & POLLHUP;
}

/* Return: false at the end of the owner, or of his channel. A child of his may still have
 * that.
 */
static bool dn_event(struct dn_server *s, uint64_t about)
{
	uint32_t nr = (uint32_t)about;

	switch (about - nr) {
	case DN_ABOUT_CHANNEL:
		if (s->channels[nr] < 0 || dn_serve_one(s, nr))
			return true;
		if (nr)
			dn_close_channel(s, nr);
		return nr;
	case DN_ABOUT_RULE:
		/* the number may have gone to another one since the event */
		if (s->rules[nr].sock >= 0 && dn_is_over(s->rules[nr].sock))
			dn_forget_rule(s, nr);
		return true;
	default:
		return false;
	}
}

static struct dn_server dn_server;

void dn_serve(struct dn_nic *nic, int owner)
{
	struct epoll_event events[DN_EVENTS];
	struct dn_server *s = &dn_server;
	int i, nr;

	s->nic = nic;
	for (i = 0; i < DN_CHANNELS; i++)
		s->channels[i] = -1;
	for (i = 0; i < DN_RULES; i++)
		s->rules[i].sock = -1;
	s->channels[0] = DEVMEM_NIC_FD;
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll < 0 || dn_closer_start(s) || dn_watch(s, owner, EPOLLIN, DN_ABOUT_OWNER) ||
	    dn_watch(s, DEVMEM_NIC_FD, EPOLLIN, DN_ABOUT_CHANNEL))
		return;
	for (;;) {
		nr = epoll_wait(s->epoll, events, DN_EVENTS, -1);
		for (i = 0; i < nr; i++)
			if (!dn_event(s, events[i].data.u64))
				goto out;
	}
out:
	/* their sockets are not kept open any longer, the rules are undone with the rest */
	for (i = 0; i < DN_RULES; i++)
		dn_close(s, s->rules[i].sock);
	for (i = 1; i < DN_CHANNELS; i++)
		dn_close(s, s->channels[i]);
	close(s->epoll);
}
