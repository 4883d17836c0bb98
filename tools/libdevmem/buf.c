// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Owns buffers, dma-bufs nearly all: making them, their CPU mapping, freeing them.
 * Must not know what a binding or a socket is.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/dma-heap.h>
#include <linux/memfd.h>
#include <linux/nsdm-gpu.h>
#include <linux/udmabuf.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

#define UDMABUF_NODE	"/dev/udmabuf"
#define UDMABUF_LIMIT	"/sys/module/udmabuf/parameters/size_limit_mb"
#define HEAP_NODE	"/dev/dma_heap/system"
#define GPU_NODE	"/dev/nsdm-gpu"
#define HUGE_SIZE	((size_t)2 << 20)

struct devmem_buf {
	int fd;
	size_t size;
	bool host;		/* no dma-buf: nothing to synchronize with */
	pthread_mutex_t lock;	/* protects the next 2 fields */
	void *addr;		/* NULL until mapped */
	bool writable;
};

static const char * const devmem_kind_names[] = {
	[DEVMEM_BUF_UDMABUF] = "udmabuf",
	[DEVMEM_BUF_HUGETLB] = "hugetlb",
	[DEVMEM_BUF_HEAP] = "heap",
	[DEVMEM_BUF_GPU] = "gpu",
	[DEVMEM_BUF_HOST] = "host",
};

const char *devmem_buf_kind_name(enum devmem_buf_kind kind)
{
	if ((unsigned int)kind >= ARRAY_SIZE(devmem_kind_names))
		return "unknown";
	return devmem_kind_names[kind];
}

int devmem_buf_kind_parse(const char *name, enum devmem_buf_kind *kind)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(devmem_kind_names); i++) {
		if (!strcmp(name, devmem_kind_names[i])) {
			*kind = (enum devmem_buf_kind)i;
			return 0;
		}
	}
	return devmem_fail(EINVAL,
			   "buffer '%s': unknown, use heap, udmabuf, hugetlb, gpu or host",
			   name);
}

static int devmem_open_node(const char *node, const char *remedy)
{
	int fd = open(node, O_RDWR | O_CLOEXEC);
	int err = errno;

	if (fd >= 0)
		return fd;
	if (err == ENOENT || err == ENODEV || err == ENXIO)
		return devmem_fail(ENOENT, "%s: not there; %s", node, remedy);
	return devmem_fail(err, "%s: %s; it takes root or a right to the node",
			   node, strerror(err));
}

/* The module parameter in MiB, 0 if it cannot be read. */
static unsigned long devmem_udmabuf_limit(void)
{
	unsigned long mb = 0;
	FILE *f = fopen(UDMABUF_LIMIT, "re");

	if (!f)
		return 0;
	if (fscanf(f, "%lu", &mb) != 1)
		mb = 0;
	fclose(f);
	return mb;
}

static int devmem_memfd(size_t size, bool huge)
{
	unsigned int flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd, err;

	if (huge)
		flags |= MFD_HUGETLB | MFD_HUGE_2MB;

	fd = memfd_create("devmem", flags);
	if (fd < 0) {
		err = errno;
		return devmem_fail(err, "memfd_create%s: %s",
				   huge ? " with 2 MiB pages" : "",
				   strerror(err));
	}

	/* Allocate now: running out is an error here and a SIGBUS later. */
	if (ftruncate(fd, (off_t)size) || fallocate(fd, 0, 0, (off_t)size)) {
		err = errno;
		close(fd);
		if (huge)
			return devmem_fail(ENOMEM, "%zu pages of 2 MiB: %s; reserve them in /proc/sys/vm/nr_hugepages",
					   size / HUGE_SIZE, strerror(err));
		return devmem_fail(ENOMEM, "memfd of %zu bytes: %s", size,
				   strerror(err));
	}

	/* Who has it mapped must not be surprised, and udmabuf takes no others. */
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK)) {
		err = errno;
		close(fd);
		return devmem_fail(err, "memfd: F_SEAL_SHRINK: %s",
				   strerror(err));
	}
	return fd;
}

static int devmem_udmabuf_create(size_t size, bool huge)
{
	struct udmabuf_create create = {
		.flags = UDMABUF_FLAGS_CLOEXEC,
		.size = size,
	};
	size_t mib = (size >> 20) + !!(size & ((1 << 20) - 1));
	unsigned long limit;
	int node, memfd, fd, err;

	node = devmem_open_node(UDMABUF_NODE, "the kernel needs CONFIG_UDMABUF");
	if (node < 0)
		return node;

	limit = devmem_udmabuf_limit();
	if (limit && mib > limit) {
		close(node);
		return devmem_fail(E2BIG, "%s: %zu bytes exceed the module parameter udmabuf.size_limit_mb = %lu; make the buffer smaller or write %zu to %s",
				   UDMABUF_NODE, size, limit, mib,
				   UDMABUF_LIMIT);
	}

	memfd = devmem_memfd(size, huge);
	if (memfd < 0) {
		close(node);
		return memfd;
	}
	create.memfd = (uint32_t)memfd;

	fd = ioctl(node, UDMABUF_CREATE, &create);
	err = errno;
	close(memfd);
	close(node);
	if (fd < 0)
		return devmem_fail(err, "%s: %zu bytes: %s%s", UDMABUF_NODE,
				   size, strerror(err),
				   err == EINVAL ? "; the module parameter udmabuf.size_limit_mb may be the limit" : "");
	return fd;
}

static int devmem_heap_create(size_t size)
{
	struct dma_heap_allocation_data data = {
		.len = size,
		.fd_flags = O_RDWR | O_CLOEXEC,
	};
	int node, ret, err;

	node = devmem_open_node(HEAP_NODE, "the kernel needs CONFIG_DMABUF_HEAPS_SYSTEM");
	if (node < 0)
		return node;

	ret = ioctl(node, DMA_HEAP_IOCTL_ALLOC, &data);
	err = errno;
	close(node);
	if (ret < 0)
		return devmem_fail(err, "%s: %zu bytes: %s", HEAP_NODE, size,
				   strerror(err));
	return (int)data.fd;
}

/* In the largest blocks that divide @size and that the machine has. */
static int devmem_gpu_create(size_t size)
{
	struct nsdm_gpu_alloc alloc = {
		.size = size,
		.order = NSDM_GPU_ORDER_MAX,
	};
	int node, ret, err;

	node = devmem_open_node(GPU_NODE, "load the module netdevsim-devmem");
	if (node < 0)
		return node;

	while (alloc.order && size % ((size_t)4096 << alloc.order))
		alloc.order--;
	while ((ret = ioctl(node, NSDM_GPU_ALLOC, &alloc)) &&
	       errno == ENOMEM && alloc.order)
		alloc.order--;
	err = errno;
	close(node);
	if (ret)
		return devmem_fail(err, "%s: %zu bytes: %s%s", GPU_NODE, size,
				   strerror(err), size > NSDM_GPU_SIZE_MAX ?
				   "; it has 4 GiB at most" : "");
	return alloc.fd;
}

/* Takes over @fd. */
static int devmem_buf_wrap(struct devmem_buf **buf, int fd, size_t size)
{
	struct devmem_buf *b = calloc(1, sizeof(*b));

	if (!b) {
		close(fd);
		return devmem_fail(ENOMEM, "out of memory");
	}
	b->fd = fd;
	b->size = size;
	pthread_mutex_init(&b->lock, NULL);
	*buf = b;
	return 0;
}

int devmem_buf_alloc(struct devmem_buf **buf, enum devmem_buf_kind kind,
		     size_t size, unsigned int flags)
{
	size_t unit;
	int fd, ret;

	if (flags)
		return devmem_fail(EINVAL, "flags 0x%x: none is defined", flags);

	unit = kind == DEVMEM_BUF_HUGETLB ? HUGE_SIZE
					  : (size_t)sysconf(_SC_PAGESIZE);
	if (!size || size > SIZE_MAX / 2)
		return devmem_fail(EINVAL, "buffer of %zu bytes", size);
	size = (size + unit - 1) / unit * unit;

	switch (kind) {
	case DEVMEM_BUF_UDMABUF:
	case DEVMEM_BUF_HUGETLB:
		fd = devmem_udmabuf_create(size, kind == DEVMEM_BUF_HUGETLB);
		break;
	case DEVMEM_BUF_HEAP:
		fd = devmem_heap_create(size);
		break;
	case DEVMEM_BUF_GPU:
		fd = devmem_gpu_create(size);
		break;
	case DEVMEM_BUF_HOST:
		fd = devmem_memfd(size, false);
		break;
	default:
		return devmem_fail(EINVAL, "buffer kind %d: unknown", (int)kind);
	}
	if (fd < 0)
		return fd;
	ret = devmem_buf_wrap(buf, fd, size);
	if (!ret)
		(*buf)->host = kind == DEVMEM_BUF_HOST;
	return ret;
}

int devmem_buf_import(struct devmem_buf **buf, int fd, unsigned int flags)
{
	struct dma_buf_sync sync = { .flags = DMA_BUF_SYNC_READ };
	off_t size;
	int own, err;

	if (flags)
		return devmem_fail(EINVAL, "flags 0x%x: none is defined", flags);

	own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (own < 0) {
		err = errno;
		return devmem_fail(err, "fd %d: %s", fd, strerror(err));
	}

	/* Only a dma-buf knows this ioctl. */
	sync.flags = DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ;
	if (ioctl(own, DMA_BUF_IOCTL_SYNC, &sync)) {
		err = errno == ENOTTY ? EINVAL : errno;
		close(own);
		return devmem_fail(err, "fd %d: not a usable dma-buf: %s", fd,
				   strerror(err));
	}
	sync.flags = DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ;
	ioctl(own, DMA_BUF_IOCTL_SYNC, &sync);

	size = lseek(own, 0, SEEK_END);
	if (size <= 0) {
		close(own);
		return devmem_fail(EINVAL, "fd %d: dma-buf of unknown size", fd);
	}
	return devmem_buf_wrap(buf, own, (size_t)size);
}

void devmem_buf_free(struct devmem_buf *buf)
{
	if (!buf)
		return;
	if (buf->addr)
		munmap(buf->addr, buf->size);
	pthread_mutex_destroy(&buf->lock);
	close(buf->fd);
	free(buf);
}

int devmem_buf_fd(const struct devmem_buf *buf)
{
	return buf->fd;
}

size_t devmem_buf_size(const struct devmem_buf *buf)
{
	return buf->size;
}

bool devmem_buf_is_host(const struct devmem_buf *buf)
{
	return buf->host;
}

static int devmem_buf_mmap(struct devmem_buf *buf)
{
	void *p;
	int err;

	if (buf->addr)
		return 0;
	buf->writable = true;
	p = mmap(NULL, buf->size, PROT_READ | PROT_WRITE, MAP_SHARED, buf->fd, 0);
	/* An exporter may hand out descriptors for reading alone. */
	if (p == MAP_FAILED && errno == EACCES) {
		buf->writable = false;
		p = mmap(NULL, buf->size, PROT_READ, MAP_SHARED, buf->fd, 0);
	}
	if (p == MAP_FAILED) {
		/* 524: the kernel's own ENOTSUPP, what NVIDIA's driver says */
		err = errno == EINVAL || errno == ENODEV || errno == 524 ? EOPNOTSUPP
									 : errno;
		return devmem_fail(err, "mmap of a dma-buf of %zu bytes: %s",
				   buf->size, strerror(err));
	}
	buf->addr = p;
	return 0;
}

int devmem_buf_map(struct devmem_buf *buf, void **addr, unsigned int flags)
{
	int ret;

	if (flags)
		return devmem_fail(EINVAL, "flags 0x%x: none is defined", flags);

	pthread_mutex_lock(&buf->lock);
	ret = devmem_buf_mmap(buf);
	if (!ret)
		*addr = buf->addr;
	pthread_mutex_unlock(&buf->lock);
	return ret;
}

int devmem_buf_map_write(struct devmem_buf *buf, void **addr)
{
	int ret = devmem_buf_map(buf, addr, 0);

	if (!ret && !buf->writable)
		return devmem_fail(EACCES, "dma-buf of %zu bytes: open for reading only",
				   buf->size);
	return ret;
}

int devmem_buf_sync(struct devmem_buf *buf, unsigned int flags)
{
	struct dma_buf_sync sync = { .flags = 0 };
	int err;

	if (flags & ~(DEVMEM_SYNC_READ | DEVMEM_SYNC_WRITE | DEVMEM_SYNC_END) ||
	    !(flags & (DEVMEM_SYNC_READ | DEVMEM_SYNC_WRITE)))
		return devmem_fail(EINVAL, "sync flags 0x%x", flags);
	if (buf->host)
		return 0;

	if (flags & DEVMEM_SYNC_READ)
		sync.flags |= DMA_BUF_SYNC_READ;
	if (flags & DEVMEM_SYNC_WRITE)
		sync.flags |= DMA_BUF_SYNC_WRITE;
	if (flags & DEVMEM_SYNC_END)
		sync.flags |= DMA_BUF_SYNC_END;

	while (ioctl(buf->fd, DMA_BUF_IOCTL_SYNC, &sync)) {
		err = errno;
		if (err == EINTR || err == EAGAIN)
			continue;
		return devmem_fail(err, "DMA_BUF_IOCTL_SYNC: %s", strerror(err));
	}
	return 0;
}
