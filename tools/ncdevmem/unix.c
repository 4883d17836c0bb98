// SPDX-License-Identifier: GPL-2.0
/*
 * Owns UNIX sockets by their paths: whose path it is, who may connect, that
 * nobody's is taken away. Must not know what is said through them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "ncdevmem.h"

#define ND_UNIX_TRIES	16
#define ND_UNIX_SUFFIX	9	/* ".0123abcd" */
#define ND_UNIX_LOCK_TRIES	200	/* 10 ms after each other: 2 s */

static int nd_unix_addr(struct sockaddr_un *sun, const char *path)
{
	memset(sun, 0, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	if (strlen(path) >= sizeof(sun->sun_path))
		return -ENAMETOOLONG;
	strcpy(sun->sun_path, path);
	return 0;
}

/* Return: a file descriptor or -errno. */
int nd_unix_connect(const char *path, int flags)
{
	struct sockaddr_un sun;
	int fd, err;

	err = nd_unix_addr(&sun, path);
	if (err)
		return err;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0);
	if (fd < 0)
		return -errno;
	if (!connect(fd, (struct sockaddr *)&sun, sizeof(sun)))
		return fd;
	err = errno;
	close(fd);
	return -err;
}

/* Is @path what a killed predecessor left, a socket that nobody listens on?
 * Return: 0 and @st; -EADDRINUSE; -ENOTSOCK; -errno.
 */
static int nd_unix_stale(const char *path, struct stat *st)
{
	int fd;

	if (lstat(path, st))
		return -errno;
	if (!S_ISSOCK(st->st_mode))
		return -ENOTSOCK;
	fd = nd_unix_connect(path, SOCK_NONBLOCK);
	if (fd == -ECONNREFUSED)
		return 0;
	if (fd == -ENOENT || fd == -EACCES)
		return fd;
	if (fd >= 0)
		close(fd);
	return -EADDRINUSE;
}

static bool nd_unix_same(const char *path, const struct stat *st)
{
	struct stat now;

	return !lstat(path, &now) && now.st_dev == st->st_dev &&
	       now.st_ino == st->st_ino;
}

/* Of those that want @path only one at a time looks whether it is stale and takes
 * it: two would put each other's sockets there, and whoever connects meanwhile
 * would be turned away by the one that gives way. The lock is the directory's and
 * goes with the descriptor.
 * Return: the descriptor; -EBUSY, somebody keeps the lock; -errno.
 */
static int nd_unix_lock(const char *path)
{
	char dir[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	const struct timespec pause = { .tv_nsec = 10 * 1000 * 1000 };
	int fd, err, tries;

	snprintf(dir, sizeof(dir), "%s", path);
	fd = open(dirname(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (tries = 0; flock(fd, LOCK_EX | LOCK_NB); tries++) {
		err = errno;
		if (err == EWOULDBLOCK && tries < ND_UNIX_LOCK_TRIES) {
			nanosleep(&pause, NULL);
			continue;
		}
		close(fd);
		return err == EWOULDBLOCK ? -EBUSY : -err;
	}
	return fd;
}

/* Put @temp where a stale socket is. @held keeps that one's number from being
 * given to another, which would be taken for it.
 */
static int nd_unix_replace_locked(const char *temp, const char *path)
{
	struct stat stale;
	int held, ret;

	held = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (held < 0)
		return -errno;
	ret = nd_unix_stale(path, &stale);
	if (ret)
		goto out;
	if (renameat2(AT_FDCWD, temp, AT_FDCWD, path, RENAME_EXCHANGE)) {
		ret = -errno;
		goto out;
	}
	if (nd_unix_same(temp, &stale)) {
		unlink(temp);
		goto out;
	}
	/* Somebody who knows no lock was faster: give it back. */
	ret = -EADDRINUSE;
	if (renameat2(AT_FDCWD, temp, AT_FDCWD, path, RENAME_EXCHANGE))
		ret = -errno;
out:
	close(held);
	return ret;
}

static int nd_unix_replace(const char *temp, const char *path)
{
	int lock = nd_unix_lock(path), ret;

	if (lock < 0)
		return lock;
	ret = nd_unix_replace_locked(temp, path);
	close(lock);
	return ret;
}

static int nd_unix_place(const char *temp, const char *path)
{
	int ret, tries;

	for (tries = 0; tries < ND_UNIX_TRIES; tries++) {
		if (!renameat2(AT_FDCWD, temp, AT_FDCWD, path,
			       RENAME_NOREPLACE))
			return 0;
		if (errno != EEXIST)
			return -errno;
		ret = nd_unix_replace(temp, path);
		if (ret != -ENOENT)	/* gone meanwhile */
			return ret;
	}
	return -EADDRINUSE;
}

/* A socket at @temp that listens, open to whom it shall be open. */
static int nd_unix_make(struct nd_unix *u, const char *temp)
{
	struct sockaddr_un sun;
	mode_t old;
	int ret;

	ret = nd_unix_addr(&sun, temp);
	if (ret)
		return ret;
	u->sock = socket(AF_UNIX,
			 SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (u->sock < 0)
		return -errno;

	/* Never wider than asked for, not even for a moment. */
	old = umask(0777 & ~u->mode);
	ret = bind(u->sock, (struct sockaddr *)&sun, sizeof(sun)) ? -errno : 0;
	umask(old);
	if (ret)
		return ret;
	if ((u->group != ND_NO_GROUP && lchown(temp, (uid_t)-1, u->group)) ||
	    lstat(temp, &u->st) || listen(u->sock, 128)) {
		ret = -errno;
		unlink(temp);
	}
	return ret;
}

static void nd_unix_say(const char *path, int err)
{
	switch (err) {
	case EADDRINUSE:
		nd_err("--socket %s: somebody listens there already", path);
		break;
	case EBUSY:
		nd_err("--socket %s: another process keeps its directory locked", path);
		break;
	case ENOTSOCK:
		nd_err("--socket %s: is there and is no socket", path);
		break;
	case ENAMETOOLONG:
		nd_err("--socket %s: path longer than %zu", path,
		       sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1 -
		       ND_UNIX_SUFFIX);
		break;
	default:
		nd_err("--socket %s: %s", path, strerror(err));
	}
}

/* Listen at @u->path. It appears there when all is ready. */
int nd_unix_listen(struct nd_unix *u)
{
	char temp[sizeof(((struct sockaddr_un *)NULL)->sun_path) + 1];
	uint32_t number;
	int ret;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		number = (uint32_t)getpid();
	snprintf(temp, sizeof(temp), "%s.%08x", u->path, number);
	ret = nd_unix_make(u, temp);
	if (!ret) {
		ret = nd_unix_place(temp, u->path);
		if (ret)
			unlink(temp);
	}
	if (!ret)
		return ND_OK;
	nd_unix_say(u->path, -ret);
	if (u->sock >= 0)
		close(u->sock);
	u->sock = -1;
	return ND_FAIL;
}

/* The path may be another's by now. Its number is ours as long as we have the
 * socket.
 */
void nd_unix_close(struct nd_unix *u)
{
	if (u->sock < 0)
		return;
	if (nd_unix_same(u->path, &u->st))
		unlink(u->path);
	close(u->sock);
	u->sock = -1;
}
