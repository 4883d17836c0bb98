// SPDX-License-Identifier: GPL-2.0
/*
 * devmem-nic: sets a NIC up for one receiver of libdevmem, and undoes that when the
 * receiver's process has gone, killed or not. Owns the life of this process. Must not
 * know what it is asked for.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
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

/* Each connection has a descriptor here. */
static void dn_room(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl))
		return;
	rl.rlim_cur = rl.rlim_max;
	setrlimit(RLIMIT_NOFILE, &rl);
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
	dn_room();
	openlog(DEVMEM_NIC_PROGRAM, LOG_PID, LOG_DAEMON);
	dn_serve(&nic, owner);
	dn_undo(&nic);
	dn_nic_free(&nic);
	return 0;
}
