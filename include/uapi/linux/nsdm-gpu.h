/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * /dev/nsdm-gpu: a GPU without hardware. It allocates "video memory", which it
 * exports as dma-bufs, and can be told to behave badly, to test importers.
 *
 * The dma-buf can be mapped with mmap(MAP_SHARED) and takes
 * DMA_BUF_IOCTL_SYNC. The memory is zeroed and lives until the last user of
 * the dma-buf is gone.
 *
 * The structs are of fixed size: what grows gets an ioctl of its own. No struct
 * has implicit padding.
 */
#ifndef _UAPI_LINUX_NSDM_GPU_H
#define _UAPI_LINUX_NSDM_GPU_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define NSDM_GPU_ORDER_MAX	9		/* 2 MiB of 4 KiB pages */
#define NSDM_GPU_SIZE_MAX	(1ULL << 32)

/* Misbehaviour of a buffer towards those who import it, or what real exporters have
 * been seen to do; any of them together, except that the three MAP_* that change
 * addresses exclude each other. ENOTSUPP is the kernel's own, 524. It is for root of
 * the machine: CAP_SYS_ADMIN, as all else below that says EPERM.
 */
#define NSDM_GPU_NO_ATTACH	(1U << 0)	/* attach: EOPNOTSUPP */
#define NSDM_GPU_MAP_ENOMEM	(1U << 1)	/* map: ENOMEM */
#define NSDM_GPU_MAP_EIO	(1U << 2)	/* map: EIO */
#define NSDM_GPU_MAP_ODD_LEN	(1U << 3)	/* entries of odd length */
#define NSDM_GPU_MAP_ODD_START	(1U << 4)	/* entries that begin at 512 */
#define NSDM_GPU_MAP_NO_RAM	(1U << 5)	/* addresses beyond all memory */
#define NSDM_GPU_MAP_SHORT	(1U << 6)	/* the last block is missing; ENOMEM
						 * if that is the only one
						 */
#define NSDM_GPU_PIN_MOVES	(1U << 7)	/* tells the importers (move_notify)
						 * in pin, unless it is pinned
						 */
#define NSDM_GPU_MAP_MOVES	(1U << 8)	/* in map, unless it is mapped */
#define NSDM_GPU_NO_ATTACH_524	(1U << 9)	/* attach: ENOTSUPP */
#define NSDM_GPU_PIN_524	(1U << 10)	/* pin: ENOTSUPP */
#define NSDM_GPU_MAP_524	(1U << 11)	/* map: ENOTSUPP */
#define NSDM_GPU_MAP_EINTR	(1U << 12)	/* map: EINTR */
#define NSDM_GPU_P2P_ONLY	(1U << 13)	/* attach: EOPNOTSUPP unless the importer
						 * allows peer-to-peer DMA
						 */
#define NSDM_GPU_PCI_ONLY	(1U << 14)	/* a namesake of NVIDIA's, "nv_dmabuf";
						 * attach: EFAULT unless the importer
						 * is a PCI device
						 */

#define NSDM_GPU_FLAGS		((1U << 15) - 1)

/**
 * struct nsdm_gpu_alloc - NSDM_GPU_ALLOC: memory, and a dma-buf of it
 * @size: bytes, a multiple of the block size, at most NSDM_GPU_SIZE_MAX
 * @flags: NSDM_GPU_*, 0 for a buffer that behaves
 * @order: blocks of 4096 << order contiguous bytes, at most NSDM_GPU_ORDER_MAX
 * @fd: out: the dma-buf, close-on-exec, readable and writable
 * @reserved: must be 0
 *
 * There is so much video memory as the module's parameter gpu_mib says, for all
 * together; it is charged to the caller's memory control group.
 *
 * Errors: EINVAL: @size, @flags, @order or @reserved; EPERM: @flags; ENOMEM; EMFILE;
 * EFAULT.
 */
struct nsdm_gpu_alloc {
	__u64	size;
	__u32	flags;
	__u32	order;
	__s32	fd;
	__u32	reserved;
};

#define NSDM_GPU_REVOKE_AGAIN	(1U << 0)	/* though it was taken back before */

#define NSDM_GPU_REVOKE_FLAGS	((1U << 1) - 1)

/**
 * struct nsdm_gpu_revoke - NSDM_GPU_REVOKE: take the memory back
 * @fd: a dma-buf of this device
 * @flags: NSDM_GPU_REVOKE_*
 *
 * Tells the importers (move_notify), and from then on refuses attach, map and
 * mmap with ENODEV. Mappings that exist stay valid until they are undone.
 *
 * Whenever importers are told while there is no mapping they are told in atomic
 * context: there is nothing to wait for.
 *
 * Errors: EINVAL: not a dma-buf of this device, or @flags; EPERM: @flags; EBADF;
 * ENODEV: revoked already; EFAULT.
 */
struct nsdm_gpu_revoke {
	__s32	fd;
	__u32	flags;
};

#define NSDM_GPU_FENCE_MS_MAX	60000

/**
 * enum nsdm_gpu_usage - what a fence stands for
 * @NSDM_GPU_READS: the GPU reads the buffer
 * @NSDM_GPU_WRITES: it writes to it
 * @NSDM_GPU_MOVES: it moves it: only the kernel itself does that
 * @NSDM_GPU_IDLE: no fence: what there is of them signals, soon
 */
enum nsdm_gpu_usage {
	NSDM_GPU_READS,
	NSDM_GPU_WRITES,
	NSDM_GPU_MOVES,
	NSDM_GPU_IDLE,
};

/**
 * struct nsdm_gpu_fence - NSDM_GPU_FENCE: the GPU is busy with a buffer
 * @fd: a dma-buf of this device
 * @usage: enum nsdm_gpu_usage
 * @ms: until it is done, at most NSDM_GPU_FENCE_MS_MAX
 * @reserved: must be 0
 *
 * Puts a fence on the buffer that signals by itself, at the latest when the buffer
 * goes. The module stays for as long as there are any.
 *
 * Errors: EINVAL: not a dma-buf of this device, @usage, @ms or @reserved; EPERM; EBADF;
 * ENOMEM; EFAULT.
 */
struct nsdm_gpu_fence {
	__s32	fd;
	__u32	usage;
	__u32	ms;
	__u32	reserved;
};

#define NSDM_GPU_ALLOC	_IOWR('V', 0xd0, struct nsdm_gpu_alloc)
#define NSDM_GPU_REVOKE	_IOW('V', 0xd1, struct nsdm_gpu_revoke)
#define NSDM_GPU_FENCE	_IOW('V', 0xd2, struct nsdm_gpu_fence)

#endif /* _UAPI_LINUX_NSDM_GPU_H */
