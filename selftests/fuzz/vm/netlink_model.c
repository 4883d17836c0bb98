// SPDX-License-Identifier: GPL-2.0
/*
 * Owns the files and the picture of the queues, see netlink_model.h. Must not
 * know how a message is made.
 */
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "chance.h"
#include "common.h"
#include "common_ctl.h"
#include "common_probe.h"
#include "netlink_model.h"

#define CHUNK_MIN	4096U
#define CHUNK_MAX	(2U << 20)

/* @err: what binding it must say; @size and @piece of good ones; @owner: socket + 1,
 * 0: not bound.
 */
static struct file {
	int fd;
	int err;
	uint32_t size;
	uint32_t piece;
	int owner;
} files[MODEL_FILES];
static unsigned int nr_files, nr_good;

static int owners[MODEL_QUEUES];	/* socket + 1, 0: free */

static void add(int fd, int err, uint32_t size, uint32_t piece)
{
	check_cmp(fd, >=, 0);
	check_cmp(nr_files, <, MODEL_FILES);
	files[nr_files++] = (struct file){ fd, err, size, piece, 0 };
}

static void add_gpu(uint32_t size, unsigned int order, unsigned int flags, int err)
{
	int fd = ctl_gpu_alloc(size, order, flags);

	if (fd < 0)
		fail("a buffer of the fake GPU: %s", strerror(-fd));
	add(fd, err, size, 4096U << order);
}

static struct file *find_file(int fd)
{
	struct file *f;

	for (f = files; f < files + nr_files; f++)
		if (f->fd == fd)
			return f;
	return NULL;
}

void model_open_files(void)
{
	static const struct ctl_part parts[] = { { 0, 65536 }, { 131072, 4096 }, { 65536, 61440 } };
	int pair[2], i;

	for (i = 0; i < 4; i++)
		add_gpu(65536U << i, 4, 0, 0);
	add_gpu(1 << 20, 4, 0, 0);
	add_gpu(4096 * 3, 0, 0, 0);
	add_gpu(2 << 20, 9, 0, 0);
	add_gpu(65536 * 5, 4, 0, 0);
	add_gpu(1 << 17, 5, NSDM_GPU_MAP_ODD_LEN, 0);
	if (has_hugetlb())
		add(ctl_parts_alloc(parts, ARRAY_SIZE(parts)), 0, 131072, 4096);
	nr_good = nr_files;

	add_gpu(65536, 4, NSDM_GPU_NO_ATTACH, EOPNOTSUPP);
	add_gpu(65536, 4, NSDM_GPU_NO_ATTACH_524, EOPNOTSUPP);
	add_gpu(65536, 4, NSDM_GPU_PCI_ONLY, EOPNOTSUPP);
	add_gpu(65536, 4, NSDM_GPU_MAP_EINTR, EAGAIN);
	add_gpu(65536, 4, NSDM_GPU_MAP_ENOMEM, ENOMEM);
	add_gpu(65536, 4, NSDM_GPU_MAP_EIO, EIO);
	add_gpu(65536, 4, NSDM_GPU_MAP_ODD_START, EINVAL);
	add_gpu(65536, 4, NSDM_GPU_MAP_NO_RAM, EFAULT);
	add_gpu(65536, 4, NSDM_GPU_MAP_SHORT, ENOMEM);
	add_gpu(131072, 4, NSDM_GPU_MAP_SHORT, EINVAL);
	add_gpu(65536, 4, 0, ENODEV);
	check_eq(ctl_gpu_revoke(files[nr_files - 1].fd), 0);
	add(must(open("/dev/null", O_RDWR | O_CLOEXEC)), EINVAL, 0, 0);
	add(must(open("/", O_RDONLY | O_CLOEXEC)), EINVAL, 0, 0);
	add(must(memfd_create("file", MFD_CLOEXEC)), EINVAL, 0, 0);
	add(must(eventfd(0, EFD_CLOEXEC)), EINVAL, 0, 0);
	add(must(epoll_create1(EPOLL_CLOEXEC)), EINVAL, 0, 0);
	add(must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), EINVAL, 0, 0);
	must(pipe2(pair, O_CLOEXEC));
	add(pair[0], EINVAL, 0, 0);
	add(must(open("/dev/nsdm-gpu", O_RDWR | O_CLOEXEC)), EINVAL, 0, 0);
	add(must(open("/tmp", O_PATH | O_CLOEXEC)), EBADF, 0, 0);
}

static bool is_good(int fd)
{
	unsigned int i;

	for (i = 0; i < nr_good; i++)
		if (files[i].fd == fd)
			return true;
	return false;
}

int model_file(bool good, bool bad)
{
	int fd;

	if (good || (!bad && once_in(24)))
		return files[rnd(nr_good)].fd;
	if (!once_in(8))
		return files[nr_good + rnd(nr_files - nr_good)].fd;
	do
		fd = (int)(rnd(2) ? rnd_wild() : 200 + rnd(1000));
	while (is_good(fd));
	return fd;
}

static int expect_chunk(uint32_t chunk)
{
	if (chunk & (chunk - 1) || chunk < CHUNK_MIN || chunk > CHUNK_MAX)
		return EINVAL;
	return 0;
}

/* -1: who knows, its queues are not watched. */
static int expect_device(uint32_t ifindex)
{
	char name[IF_NAMESIZE];

	if (ifindex == NSD)
		return 0;
	if (ifindex == NSD_DOWN)
		return ENETDOWN;
	if (ifindex == env_ifindex())
		return -1;
	return if_indextoname(ifindex, name) ? EOPNOTSUPP : ENODEV;
}

static int expect_queues(const struct asked *a)
{
	unsigned int i, j;

	for (i = 0; i < a->nr_queues; i++) {
		if (a->queues[i] >= MODEL_QUEUES)
			return ERANGE;
		for (j = 0; j < i; j++)
			if (a->queues[i] == a->queues[j])
				return EINVAL;
		if (owners[a->queues[i]])
			return EBUSY;
	}
	return 0;
}

static int expect_file(const struct asked *a, bool *either)
{
	const struct file *f = find_file(a->fd);

	if (!f)
		return fcntl(a->fd, F_GETFD) < 0 ? EBADF : EINVAL;
	if (f->owner)
		return EBUSY;
	if (f->err || !a->has_chunk)
		return f->err;
	if (f->size & (a->chunk - 1))
		return EINVAL;
	/* blocks may happen to be neighbours */
	*either = a->chunk > f->piece;
	return *either ? EINVAL : 0;
}

/* In the order in which the kernel looks. */
int model_expect(const struct asked *a, bool *either)
{
	int err;

	*either = false;
	if (a->has_ifindex && (!a->ifindex || a->ifindex > INT32_MAX))
		return ERANGE;
	if (!a->has_ifindex || !a->has_fd || !a->nr_queues)
		return EINVAL;
	err = a->has_chunk ? expect_chunk(a->chunk) : 0;
	if (!err)
		err = expect_device(a->ifindex);
	if (!err)
		err = expect_queues(a);
	return err ? err : expect_file(a, either);
}

void model_bound(const struct asked *a, unsigned int owner)
{
	struct file *f = find_file(a->fd);
	unsigned int i;

	check(f && !f->owner);
	f->owner = (int)owner + 1;
	for (i = 0; a->ifindex == NSD && i < a->nr_queues; i++)
		owners[a->queues[i]] = (int)owner + 1;
}

void model_closed(unsigned int owner)
{
	unsigned int i;

	for (i = 0; i < MODEL_QUEUES; i++)
		if (owners[i] == (int)owner + 1)
			owners[i] = 0;
	for (i = 0; i < nr_files; i++)
		if (files[i].owner == (int)owner + 1)
			files[i].owner = 0;
}
