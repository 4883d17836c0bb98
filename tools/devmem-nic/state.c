// SPDX-License-Identifier: GPL-2.0
/*
 * Owns what the devmem-nics of a device know together, and who of them lives: each holds
 * a lock on its own byte of the file, which goes with it. Must not know what is done to
 * a device.
 *
 * Lock order: the file's flock() is the only lock that anybody waits for.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devmem-nic.h"

#define DN_DIR		"/run/" DEVMEM_NIC_PROGRAM
#define DN_MAGIC	0x646e6331	/* "dnc1" */

/* Names of devices are those of a network namespace. */
static int dn_state_file(const struct dn_nic *nic)
{
	struct stat st;
	char path[96];
	int fd;

	if ((mkdir(DN_DIR, 0700) && errno != EEXIST) || stat("/proc/self/ns/net", &st))
		return -1;
	snprintf(path, sizeof(path), DN_DIR "/%lu-%u", (unsigned long)st.st_ino, nic->ifindex);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0 && ftruncate(fd, sizeof(*nic->state))) {
		close(fd);
		return -1;
	}
	return fd;
}

/* Where there is no place for the file, we are alone. */
int dn_state_open(struct dn_nic *nic)
{
	void *map;
	int err;

	nic->user = -1;
	nic->state_fd = dn_state_file(nic);
	map = mmap(NULL, sizeof(*nic->state), PROT_READ | PROT_WRITE,
		   nic->state_fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED,
		   nic->state_fd, 0);
	if (map == MAP_FAILED) {
		err = errno;
		return devmem_fail(err, "%s: memory for its state: %s", nic->dev, strerror(err));
	}
	nic->state = map;
	return 0;
}

void dn_state_close(struct dn_nic *nic)
{
	if (nic->state)
		munmap(nic->state, sizeof(*nic->state));
	if (nic->state_fd >= 0)
		close(nic->state_fd);
	nic->state = NULL;
	nic->state_fd = -1;
}

static bool dn_state_alive(const struct dn_nic *nic)
{
	int user;

	for (user = 0; user < DN_USERS; user++)
		if (nic->state->used[user] && !dn_state_dead(nic, user))
			return true;
	return false;
}

/* The file may be of another version, or of another device that had the number before:
 * one of another name, unless somebody has this one, which was renamed then.
 */
static bool dn_state_valid(const struct dn_nic *nic)
{
	const struct dn_state *st = nic->state;

	return st->magic == DN_MAGIC && st->size == sizeof(*st) &&
	       st->ifindex == nic->ifindex &&
	       (!memcmp(st->dev, nic->dev, sizeof(st->dev)) || dn_state_alive(nic));
}

void dn_state_lock(struct dn_nic *nic)
{
	struct dn_state *st = nic->state;
	char name[IF_NAMESIZE] = "";

	if (nic->state_fd >= 0)
		while (flock(nic->state_fd, LOCK_EX) && errno == EINTR)
			;
	/* another device may have the name that it had */
	if (if_indextoname(nic->ifindex, name))
		memcpy(nic->dev, name, sizeof(nic->dev));
	if (!dn_state_valid(nic)) {
		memset(st, 0, sizeof(*st));
		st->magic = DN_MAGIC;
		st->size = sizeof(*st);
		st->ifindex = nic->ifindex;
	}
	memcpy(st->dev, nic->dev, sizeof(st->dev));
}

void dn_state_unlock(struct dn_nic *nic)
{
	if (nic->state_fd >= 0)
		flock(nic->state_fd, LOCK_UN);
}

static struct flock dn_life(int user)
{
	return (struct flock) { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = user,
				.l_len = 1 };
}

/* Is the number one that somebody has had and not given back? */
bool dn_state_dead(const struct dn_nic *nic, int user)
{
	struct flock life = dn_life(user);

	if (!nic->state->used[user] || user == nic->user)
		return false;
	return nic->state_fd < 0 ||
	       (!fcntl(nic->state_fd, F_OFD_GETLK, &life) && life.l_type == F_UNLCK);
}

int dn_state_join(struct dn_nic *nic)
{
	struct flock life;
	int user;

	for (user = 0; user < DN_USERS; user++)
		if (!nic->state->used[user])
			break;
	if (user == DN_USERS)
		return devmem_fail(EUSERS, "%s: has %d receivers already", nic->dev, DN_USERS);
	life = dn_life(user);
	if (nic->state_fd >= 0 && fcntl(nic->state_fd, F_OFD_SETLK, &life))
		return devmem_fail(EAGAIN, "%s: lock of its state: %s", nic->dev,
				   strerror(errno));
	nic->state->used[user] = true;
	nic->user = user;
	return 0;
}

/* Its rules are gone already. */
void dn_state_leave(struct dn_nic *nic, int user)
{
	struct flock life = dn_life(user);
	uint32_t i;

	for (i = 0; i < DN_QUEUES; i++)
		if (nic->state->owners[i] == user + 1)
			nic->state->owners[i] = 0;
	nic->state->used[user] = false;
	if (user != nic->user)
		return;
	nic->user = -1;
	life.l_type = F_UNLCK;
	if (nic->state_fd >= 0)
		fcntl(nic->state_fd, F_OFD_SETLK, &life);
}

bool dn_state_busy(const struct dn_nic *nic)
{
	int user;

	for (user = 0; user < DN_USERS; user++)
		if (nic->state->used[user])
			return true;
	return false;
}
