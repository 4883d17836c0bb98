// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Owns the process devmem-nic of a receiver: starting it, asking it, waiting until it has
 * undone what it did. Must not know what is asked for.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "internal.h"
#include "nic.h"

/* To undo takes a few system calls, some of which wait for the NIC's firmware. */
#define NIC_UNDO_MS	10000

struct devmem_nic {
	int sock;
};

/* PATH is what the administrator has chosen, unless we have more rights than whoever
 * called us.
 */
static int nic_spawn_at(pid_t *pid, const posix_spawn_file_actions_t *actions)
{
	static char name[] = DEVMEM_NIC_PROGRAM;
	static char * const argv[] = { name, NULL };
	static const char * const places[] = {
		"/usr/local/sbin/" DEVMEM_NIC_PROGRAM, "/usr/sbin/" DEVMEM_NIC_PROGRAM,
	};
	unsigned int i;
	int err = ENOENT;

	if (!getauxval(AT_SECURE))
		err = posix_spawnp(pid, DEVMEM_NIC_PROGRAM, actions, NULL, argv, environ);
	for (i = 0; err == ENOENT && i < ARRAY_SIZE(places); i++)
		err = posix_spawn(pid, places[i], actions, NULL, argv, environ);
	return err;
}

/* What is ours stays with us, but for @sock: our standard files may be pipes that
 * somebody waits for the end of.
 */
static int nic_spawn(int sock)
{
	posix_spawn_file_actions_t actions;
	int err, fd;
	pid_t pid;

	err = posix_spawn_file_actions_init(&actions);
	if (err)
		return devmem_fail(err, "out of memory");
	err = posix_spawn_file_actions_adddup2(&actions, sock, DEVMEM_NIC_FD);
	for (fd = 0; !err && fd < DEVMEM_NIC_FD; fd++)
		err = posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
	if (!err)
		err = nic_spawn_at(&pid, &actions);
	posix_spawn_file_actions_destroy(&actions);
	if (err)
		return devmem_fail(err, "the program " DEVMEM_NIC_PROGRAM ", which sets the device up: %s; it comes with libdevmem and must be in PATH or /usr/sbin",
				   strerror(err));
	/* it lets go of us at once */
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return 0;
}

/* Takes over @sock. */
static int nic_wrap(struct devmem_nic **nic, int sock)
{
	struct devmem_nic *n = calloc(1, sizeof(*n));

	if (!n) {
		close(sock);
		devmem_fail(ENOMEM, "out of memory");
		return -ENOMEM;
	}
	n->sock = sock;
	*nic = n;
	return 0;
}

static int nic_pair(int pair[2])
{
	int err;

	if (!socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return 0;
	err = errno;
	return devmem_fail(err, "socketpair: %s", strerror(err));
}

int devmem_nic_open(struct devmem_nic **nic)
{
	int pair[2] = { -1, -1 };
	int ret = nic_pair(pair);

	if (ret)
		return ret;
	ret = nic_spawn(pair[1]);
	close(pair[1]);
	if (!ret)
		return nic_wrap(nic, pair[0]);
	close(pair[0]);
	return ret;
}

int devmem_nic_join(struct devmem_nic **nic, int fd)
{
	int type = 0, own, err;
	socklen_t len = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) || type != SOCK_SEQPACKET)
		return devmem_fail(EINVAL, "shared %d: not what devmem_rx_share() gives", fd);
	own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	err = errno;
	return own < 0 ? devmem_fail(err, "shared %d: %s", fd, strerror(err)) :
			 nic_wrap(nic, own);
}

int devmem_nic_share(struct devmem_nic *nic, int *fd)
{
	struct devmem_nic_request req = { .what = DEVMEM_NIC_SHARE };
	struct devmem_nic_reply reply;
	int pair[2] = { -1, -1 };
	int ret = nic_pair(pair);

	if (ret)
		return ret;
	ret = devmem_nic_ask(nic, &req, pair[1], &reply);
	close(pair[1]);
	if (ret)
		close(pair[0]);
	else
		*fd = pair[0];
	return ret;
}

static int nic_send(const struct devmem_nic *nic, const struct devmem_nic_request *req, int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { .buf = "" };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)req, .iov_len = sizeof(*req) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *cmsg;
	ssize_t n;

	if (fd >= 0) {
		msg.msg_control = control.buf;
		msg.msg_controllen = sizeof(control.buf);
		cmsg = CMSG_FIRSTHDR(&msg);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	}
	do {
		n = sendmsg(nic->sock, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

int devmem_nic_ask(struct devmem_nic *nic, struct devmem_nic_request *req, int fd,
		   struct devmem_nic_reply *reply)
{
	ssize_t n;

	req->version = DEVMEM_NIC_VERSION;
	reply->version = 0;
	n = nic_send(nic, req, fd);
	if (!n) {
		do {
			n = recv(nic->sock, reply, sizeof(*reply), 0);
		} while (n < 0 && errno == EINTR);
	}
	if (n <= 0)
		return devmem_fail(EPIPE, "the process " DEVMEM_NIC_PROGRAM " has gone");
	if (n != sizeof(*reply) || reply->version != DEVMEM_NIC_VERSION)
		return devmem_fail(EPROTO, DEVMEM_NIC_PROGRAM " is of another version than the library");
	return reply->ret ? devmem_fail(-reply->ret, "%.*s", (int)sizeof(reply->text),
					reply->text) : 0;
}

void devmem_nic_close(struct devmem_nic *nic)
{
	struct pollfd pfd;
	int ret;

	if (!nic)
		return;
	shutdown(nic->sock, SHUT_WR);
	pfd = (struct pollfd) { .fd = nic->sock, .events = POLLIN };
	do {
		ret = poll(&pfd, 1, NIC_UNDO_MS);
	} while (ret < 0 && errno == EINTR);
	close(nic->sock);
	free(nic);
}

int devmem_nic_dev(struct devmem_nic_request *req, const char *dev)
{
	if (!dev)
		return devmem_fail(EINVAL, "no device was given");
	if (!*dev || strlen(dev) >= sizeof(req->dev))
		return devmem_fail(ENODEV, "%s: no device has such a name", dev);
	strcpy(req->dev, dev);
	return 0;
}

/* A request about a device, by a process of its own. */
static int nic_once(const char *dev, uint32_t what)
{
	struct devmem_nic_request req = { .what = what };
	struct devmem_nic_reply reply;
	struct devmem_nic *nic;
	int ret = devmem_nic_dev(&req, dev);

	if (!ret)
		ret = devmem_nic_open(&nic);
	if (ret)
		return ret;
	ret = devmem_nic_ask(nic, &req, -1, &reply);
	devmem_nic_close(nic);
	return ret;
}

int devmem_nic_check(const char *dev)
{
	return nic_once(dev, DEVMEM_NIC_CHECK);
}

int devmem_dev_cleanup(const char *dev, unsigned int flags)
{
	if (flags)
		return devmem_fail(EINVAL, "flags 0x%x: none is defined", flags);
	return nic_once(dev, DEVMEM_NIC_CLEANUP);
}
