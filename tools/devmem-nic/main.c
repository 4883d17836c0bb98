// SPDX-License-Identifier: GPL-2.0
/*
 * devmem-nic: sets a NIC up for one receiver of libdevmem, and undoes that when the
 * receiver's process has gone, killed or not. Owns the life of this process and the
 * requests. Must not know what is done to a NIC.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <syslog.h>
#include <unistd.h>

#include "devmem-nic.h"

/* Between attempts to undo what the kernel refuses while somebody else needs it. */
#define DN_WAIT_MIN_US	10000
#define DN_WAIT_MAX_US	1000000
#define DN_TRIES	10	/* for other reasons */

static int dn_usage(void)
{
	fputs("devmem-nic is started by libdevmem, which is what programs use; see devmem-nic(8)\n",
	      stderr);
	return 2;
}

/* Our parent is who owns the receiver, until it has waited for us.
 * Return: a pidfd, or -1: not started by the library, or the owner is gone already.
 */
static int dn_owner(void)
{
	int type = 0;
	socklen_t len = sizeof(type);
	struct ucred cred;
	int fd;

	if (getsockopt(DEVMEM_NIC_FD, SOL_SOCKET, SO_TYPE, &type, &len) ||
	    type != SOCK_SEQPACKET)
		return -1;
	len = sizeof(cred);
	if (getsockopt(DEVMEM_NIC_FD, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return -1;
	fd = (int)syscall(SYS_pidfd_open, cred.pid, 0);
	if (fd < 0)
		return -1;
	if (getppid() == cred.pid)
		return fd;
	close(fd);
	return -1;
}

/* Nobody's child, terminal or business, with no descriptors but two. */
static bool dn_detach(int owner)
{
	static const int ignored[] = {
		SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGPIPE, SIGALRM, SIGUSR1, SIGUSR2,
		SIGTSTP,
	};
	unsigned int i;
	sigset_t none;
	pid_t pid;

	for (i = 0; i < ARRAY_SIZE(ignored); i++)
		signal(ignored[i], SIG_IGN);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	pid = fork();
	if (pid)
		_exit(pid < 0 ? 1 : 0);
	setsid();
	if (chdir("/"))
		return false;
	fcntl(DEVMEM_NIC_FD, F_SETFD, FD_CLOEXEC);
	fcntl(owner, F_SETFD, FD_CLOEXEC);
	/* the owner may have had descriptors without FD_CLOEXEC */
	if (owner > DEVMEM_NIC_FD + 1)
		syscall(SYS_close_range, DEVMEM_NIC_FD + 1, owner - 1, 0);
	syscall(SYS_close_range, owner + 1, ~0U, 0);
	return true;
}

/* Return: bytes, 0 if nobody can ask any more. @fd: a descriptor that came along, or -1. */
static ssize_t dn_receive(struct devmem_nic_request *req, int *fd)
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
	struct cmsghdr *cmsg;
	ssize_t n;

	*fd = -1;
	do {
		n = recvmsg(DEVMEM_NIC_FD, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return 0;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (cmsg && cmsg->cmsg_level == SOL_SOCKET && cmsg->cmsg_type == SCM_RIGHTS &&
	    cmsg->cmsg_len == CMSG_LEN(sizeof(*fd)))
		memcpy(fd, CMSG_DATA(cmsg), sizeof(*fd));
	return n;
}

static int dn_act(struct dn_nic *nic, const struct devmem_nic_request *req, int fd,
		  struct devmem_nic_reply *reply)
{
	if (req->version != DEVMEM_NIC_VERSION)
		return devmem_fail(EPROTO, "devmem-nic is of version %u, the library wants %u",
				   DEVMEM_NIC_VERSION, req->version);
	switch (req->what) {
	case DEVMEM_NIC_CHECK:
		return dn_nic_check(nic, req);
	case DEVMEM_NIC_BIND:
	case DEVMEM_NIC_CLAIM:
		return dn_nic_take(nic, req, fd, reply);
	case DEVMEM_NIC_RULE_ADD:
		return dn_nic_rule_add(nic, &req->flow, &reply->rule);
	case DEVMEM_NIC_RULE_DEL:
		return dn_nic_rule_del(nic, req->rule);
	case DEVMEM_NIC_CLEANUP:
		return dn_nic_cleanup(nic, req);
	default:
		return devmem_fail(EINVAL, "devmem-nic: request %u is unknown", req->what);
	}
}

/* Return: false if nobody can ask any more. */
static bool dn_serve_one(struct dn_nic *nic)
{
	struct devmem_nic_reply reply = { .version = DEVMEM_NIC_VERSION };
	struct devmem_nic_request req = { 0 };
	ssize_t n;
	int fd;

	n = dn_receive(&req, &fd);
	if (!n)
		return false;
	if (n != sizeof(req))
		req.version = 0;
	req.dev[sizeof(req.dev) - 1] = '\0';
	reply.ret = dn_act(nic, &req, fd, &reply);
	if (fd >= 0)
		close(fd);
	if (reply.ret)
		snprintf(reply.text, sizeof(reply.text), "%s", devmem_error());
	return send(DEVMEM_NIC_FD, &reply, sizeof(reply), MSG_NOSIGNAL) == sizeof(reply);
}

/* Until the owner is dead, or has shut its end down. A child of it may still have that. */
static void dn_serve(struct dn_nic *nic, int owner)
{
	struct pollfd pfd[] = {
		{ .fd = DEVMEM_NIC_FD, .events = POLLIN },
		{ .fd = owner, .events = POLLIN },
	};

	for (;;) {
		if (poll(pfd, ARRAY_SIZE(pfd), -1) < 0)
			continue;
		if (pfd[1].revents)
			return;
		if (pfd[0].revents && !dn_serve_one(nic))
			return;
	}
}

/* Whoever has header split on in some other way may need it: until that is over. */
static void dn_undo(struct dn_nic *nic)
{
	useconds_t wait = DN_WAIT_MIN_US;
	unsigned int tries = 0;
	int ret;

	while ((ret = dn_nic_undo(nic))) {
		/* nobody waits for that */
		shutdown(DEVMEM_NIC_FD, SHUT_RDWR);
		tries = ret == -EBUSY ? 0 : tries + 1;
		if (tries == DN_TRIES) {
			syslog(LOG_WARNING, "left as it is: %s", devmem_error());
			return;
		}
		usleep(wait);
		wait = wait < DN_WAIT_MAX_US / 2 ? 2 * wait : DN_WAIT_MAX_US;
	}
}

int main(void)
{
	struct dn_nic nic = { .ctl = -1, .state_fd = -1, .user = -1 };
	int owner = dn_owner();

	if (owner < 0)
		return dn_usage();
	if (!dn_detach(owner))
		return 1;
	openlog(DEVMEM_NIC_PROGRAM, LOG_PID, LOG_DAEMON);
	dn_serve(&nic, owner);
	dn_undo(&nic);
	dn_nic_free(&nic);
	return 0;
}
