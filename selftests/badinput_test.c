// SPDX-License-Identifier: GPL-2.0
/*
 * bind-rx with a descriptor, a buffer or a chunk size that will not do. Knows
 * nothing of sockets.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-heap.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common_probe.h"

/* ---- descriptors ------------------------------------------------------- */

enum fd_kind {
	FD_CLOSED, FD_MINUS_ONE, FD_PATH, FD_PIPE, FD_FILE, FD_DIR, FD_MEMFD,
	FD_SOCKET, FD_NULL, FD_UDMABUF, FD_READ_ONLY,
};

static int open_read_only(void)
{
	struct dma_heap_allocation_data data = {
		.len = PROBE_SIZE,
		.fd_flags = O_RDONLY | O_CLOEXEC,
	};
	int heap = must(open("/dev/dma_heap/system", O_RDWR | O_CLOEXEC));

	must(ioctl(heap, DMA_HEAP_IOCTL_ALLOC, &data));
	close(heap);
	return (int)data.fd;
}

static int open_kind(uint32_t kind)
{
	int pair[2];

	switch (kind) {
	case FD_PATH:
		return open("/proc/self/exe", O_PATH);
	case FD_PIPE:
		if (pipe(pair))
			return -1;
		close(pair[1]);
		return pair[0];
	case FD_FILE:
		return open("/proc/self/exe", O_RDONLY);
	case FD_DIR:
		return open("/", O_RDONLY);
	case FD_MEMFD:
		return memfd_create("not a dma-buf", 0);
	case FD_SOCKET:
		return socket(AF_INET, SOCK_STREAM, 0);
	case FD_NULL:
		return open("/dev/null", O_RDWR);
	case FD_UDMABUF:
		return open("/dev/udmabuf", O_RDWR);
	case FD_READ_ONLY:
		return open_read_only();
	default:
		return -1;
	}
}

static void put_fd(struct probe *p, uint32_t kind)
{
	move_fd(open_kind(kind));
	put_request(p, NSD, 0, kind == FD_MINUS_ONE ? UINT32_MAX : FD);
}

/* ---- buffers that misbehave, chunk sizes ------------------------------- */

/* Blocks of 64 KiB. */
static void put_gpu(struct probe *p, uint32_t flags)
{
	move_fd(ctl_gpu_alloc(PROBE_SIZE, 4, flags));
	put_request(p, NSD, 0, FD);
}

static void put_revoked(struct probe *p, uint32_t unused)
{
	(void)unused;
	put_gpu(p, 0);
	ctl_gpu_revoke(FD);
}

static void put_chunk(struct probe *p, uint32_t size)
{
	put_request(p, NSD, 0, (uint32_t)p->good);
	mnl_attr_put_u32(p->nlh, A(CHUNK_SIZE), size);
}

/* Two pieces of 64 KiB that do not follow each other. */
static void put_pieces(struct probe *p, uint32_t chunk_size)
{
	static const struct ctl_part parts[] = {
		{ 65536, 65536 }, { 0, 65536 },
	};

	move_fd(ctl_parts_alloc(parts, 2));
	put_request(p, NSD, 0, FD);
	mnl_attr_put_u32(p->nlh, A(CHUNK_SIZE), chunk_size);
}

/* A piece that is long enough, but begins at 4096 of the buffer. */
static void put_misaligned(struct probe *p, uint32_t chunk_size)
{
	static const struct ctl_part parts[] = {
		{ 1 << 20, 4096 }, { 0, 65536 - 4096 },
	};

	move_fd(ctl_parts_alloc(parts, 2));
	put_request(p, NSD, 0, FD);
	mnl_attr_put_u32(p->nlh, A(CHUNK_SIZE), chunk_size);
}

/* The size is no multiple of the chunk size, though the memory would do. */
static void put_remainder(struct probe *p, uint32_t chunk_size)
{
	static const struct ctl_part part = { 0, 3 * 65536 };

	move_fd(ctl_parts_alloc(&part, 1));
	put_request(p, NSD, 0, FD);
	mnl_attr_put_u32(p->nlh, A(CHUNK_SIZE), chunk_size);
}

static const struct row descriptors_rows[] = {
	ROW("fd: closed", put_fd, FD_CLOSED, EBADF, "fd 77 is not open"),
	ROW("fd: -1", put_fd, FD_MINUS_ONE, EBADF, "fd -1 is not open"),
	ROW("fd: O_PATH", put_fd, FD_PATH, EBADF, "fd 77 is not open"),
	ROW("fd: pipe", put_fd, FD_PIPE, EINVAL, "fd 77 is not a dma-buf"),
	ROW("fd: regular file", put_fd, FD_FILE, EINVAL, "fd 77 is not a dma-buf"),
	ROW("fd: directory", put_fd, FD_DIR, EINVAL, "fd 77 is not a dma-buf"),
	ROW("fd: memfd", put_fd, FD_MEMFD, EINVAL, "fd 77 is not a dma-buf"),
	ROW("fd: socket", put_fd, FD_SOCKET, EINVAL, "fd 77 is not a dma-buf"),
	ROW("fd: /dev/null", put_fd, FD_NULL, EINVAL, "fd 77 is not a dma-buf"),
	ROW("fd: /dev/udmabuf itself", put_fd, FD_UDMABUF, EINVAL, "fd 77 is not a dma-buf"),
	ROW("fd: read-only", put_fd, FD_READ_ONLY, EACCES, "fd 77 is open for reading only"),
};

static void descriptors(void)
{
	probe_rows(descriptors_rows, ARRAY_SIZE(descriptors_rows));
}

/* A dma-buf has one file, with one right to it: what attach takes for a binding's
 * is what could be bound.
 */
static void read_only_for_good(void)
{
	static struct ctl_nl nl;
	struct ctl_answer a;
	char path[64];
	int fd = open_read_only();

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	check_errno(open(path, O_RDWR), ENXIO);
	check_errno(open(path, O_RDONLY), ENXIO);
	must(fcntl(fd, F_SETFL, O_RDWR));
	check_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	check_eq(ctl_nl_open(&nl), 0);
	check_eq(ctl_bind(&nl, NSD, 0, fd, 0, &a), 0);
	check_eq(a.err, EACCES);
	ctl_nl_close(&nl);
}

static const struct row buffers_rows[] = {
	ROW("buffer: exporter refuses the device", put_gpu, NSDM_GPU_NO_ATTACH,
	  EOPNOTSUPP, "exporter netdevsim_devmem refuses nsd8: error -95"),
	ROW("buffer: mapping fails with ENOMEM", put_gpu, NSDM_GPU_MAP_ENOMEM,
	  ENOMEM, "exporter netdevsim_devmem cannot map for nsd8: error -12"),
	ROW("buffer: mapping fails with EIO", put_gpu, NSDM_GPU_MAP_EIO,
	  EIO, "exporter netdevsim_devmem cannot map for nsd8: error -5"),
	ROW("buffer: exporter refuses the device with ENOTSUPP", put_gpu,
	  NSDM_GPU_NO_ATTACH_524,
	  EOPNOTSUPP, "exporter netdevsim_devmem refuses nsd8: error -95"),
	ROW("buffer: mapping fails with ENOTSUPP", put_gpu, NSDM_GPU_MAP_524,
	  EOPNOTSUPP, "exporter netdevsim_devmem cannot map for nsd8: error -95"),
	ROW("buffer: mapping is interrupted", put_gpu, NSDM_GPU_MAP_EINTR,
	  EAGAIN, "exporter netdevsim_devmem cannot map for nsd8: error -11"),
	ROW("buffer: for peer-to-peer DMA only", put_gpu, NSDM_GPU_P2P_ONLY,
	  EOPNOTSUPP, "exporter netdevsim_devmem refuses nsd8: error -95"),
	ROW("buffer: like NVIDIA's", put_gpu, NSDM_GPU_PCI_ONLY, EOPNOTSUPP,
	  "exporter nv_dmabuf/netdevsim_devmem needs a PCI device, not nsd8"),
	ROW("buffer: pieces begin in mid-page", put_gpu, NSDM_GPU_MAP_ODD_START,
	  EINVAL, "exporter mapped an odd piece: 65024 bytes at offset 0"),
	ROW("buffer: out of the device's reach", put_gpu, NSDM_GPU_MAP_NO_RAM,
	  EFAULT, "device cannot reach 1048576 bytes at offset 0"),
	ROW("buffer: mapped in part", put_gpu, NSDM_GPU_MAP_SHORT,
	  EINVAL, "exporter mapped 983040 of 1048576 bytes"),
	ROW("buffer: revoked before", put_revoked, 0,
	  ENODEV, "exporter netdevsim_devmem refuses nsd8: error -19"),
};

static void buffers(void)
{
	probe_rows(buffers_rows, ARRAY_SIZE(buffers_rows));
}

/* Whether pinning is a part of mapping is the kernel's business. */
static void pinning_fails(void)
{
	int fd = ctl_gpu_alloc(PROBE_SIZE, 4, NSDM_GPU_PIN_524);
	static struct ctl_nl nl;
	struct ctl_answer a;

	check_eq(ctl_nl_open(&nl), 0);
	check_eq(ctl_bind(&nl, NSD, 0, fd, 0, &a), 0);
	check_eq(a.err, EOPNOTSUPP);
	if (strcmp(a.text, "exporter netdevsim_devmem cannot map for nsd8: error -95") &&
	    strcmp(a.text, "exporter netdevsim_devmem cannot pin the buffer: error -95"))
		fail("%s", a.text);
	check_eq(live_object("gpu_attachments"), 0);
	ctl_nl_close(&nl);
}

#define CHUNK(n)	"chunk size " #n " is not a power of two from 4096 to 2097152"

static const struct row chunk_sizes_rows[] = {
	ROW("chunk size 0", put_chunk, 0, EINVAL, CHUNK(0), A(CHUNK_SIZE)),
	ROW("chunk size 1", put_chunk, 1, EINVAL, CHUNK(1), A(CHUNK_SIZE)),
	ROW("chunk size 2048", put_chunk, 2048, EINVAL, CHUNK(2048), A(CHUNK_SIZE)),
	ROW("chunk size 4095", put_chunk, 4095, EINVAL, CHUNK(4095), A(CHUNK_SIZE)),
	ROW("chunk size 12288", put_chunk, 12288, EINVAL, CHUNK(12288), A(CHUNK_SIZE)),
	ROW("chunk size 4194304", put_chunk, 4194304, EINVAL, CHUNK(4194304), A(CHUNK_SIZE)),
	ROW("chunk size 2^31", put_chunk, 1U << 31, EINVAL, CHUNK(2147483648), A(CHUNK_SIZE)),
	ROW("chunk size 2^32 - 1", put_chunk, UINT32_MAX, EINVAL, CHUNK(4294967295), A(CHUNK_SIZE)),
	ROW("chunk size larger than the buffer", put_chunk, 2 * PROBE_SIZE,
	  EINVAL, "buffer of 1048576 bytes is no multiple of chunk size 2097152"),
};

/* Buffers whose pieces lie as they should not, of large pages. */
static const struct row pieces_rows[] = {
	ROW("chunk size that does not divide the buffer", put_remainder, 131072,
	  EINVAL, "buffer of 196608 bytes is no multiple of chunk size 131072"),
	ROW("chunk size larger than an entry", put_pieces, 131072,
	  EINVAL, "chunk size 131072: buffer has pieces that allow 65536 at most"),
	ROW("chunk size and misaligned pieces", put_misaligned, 8192,
	  EINVAL, "chunk size 8192: buffer has pieces that allow 4096 at most"),
};

static void chunk_sizes(void)
{
	probe_rows(chunk_sizes_rows, ARRAY_SIZE(chunk_sizes_rows));
}

static void pieces(void)
{
	need_hugetlb();
	probe_rows(pieces_rows, ARRAY_SIZE(pieces_rows));
}

/* What the kernel chooses without a chunk size, and takes with one. */
static void chunk_sizes_that_fit(void)
{
	static const struct ctl_part whole = { 0, 2 << 20 };
	static const struct ctl_part halves[] = { { 65536, 65536 }, { 0, 65536 } };
	static const struct ctl_part odd[] = { { 1 << 20, 4096 }, { 0, 61440 } };
	const struct {
		int fd;
		uint32_t size, chunk, chunks;
	} fits[] = {
		{ ctl_parts_alloc(&whole, 1), 0, 65536, 32 },
		{ ctl_parts_alloc(&whole, 1), 2 << 20, 2 << 20, 1 },
		{ ctl_parts_alloc(&whole, 1), 4096, 4096, 512 },
		{ ctl_parts_alloc(halves, 2), 0, 65536, 2 },
		{ ctl_parts_alloc(halves, 2), 65536, 65536, 2 },
		{ ctl_parts_alloc(halves, 2), 8192, 8192, 16 },
		{ ctl_parts_alloc(odd, 2), 0, 4096, 16 },
		{ ctl_parts_alloc(odd, 2), 4096, 4096, 16 },
		/* pieces of odd length that follow each other are one */
		{ ctl_gpu_alloc(PROBE_SIZE, 4, NSDM_GPU_MAP_ODD_LEN), 65536, 65536, 16 },
	};
	static struct ctl_nl nl;
	struct ctl_answer a;
	size_t i;

	need_hugetlb();
	for (i = 0; i < ARRAY_SIZE(fits); i++) {
		check_eq(ctl_nl_open(&nl), 0);
		check_cmp(fits[i].fd, >=, 0);
		check_eq(ctl_bind(&nl, NSD, 0, fits[i].fd, fits[i].size, &a), 0);
		if (a.err)
			fail("%zu: %s", i, a.text);
		check_eq(a.chunk_size, fits[i].chunk);
		check_eq(a.chunks, fits[i].chunks);
		ctl_nl_close(&nl);
		check(within(2000, !ctl_count_bindings()));
	}
}

static const struct ktap_case cases[] = {
	KTAP_CASE(descriptors),
	KTAP_CASE(read_only_for_good),
	KTAP_CASE(buffers),
	KTAP_CASE(pinning_fails),
	KTAP_CASE(chunk_sizes),
	KTAP_CASE(pieces),
	KTAP_CASE(chunk_sizes_that_fit),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, probe_setup, cases, ARRAY_SIZE(cases));
}
