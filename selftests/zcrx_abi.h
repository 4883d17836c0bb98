/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What <linux/io_uring.h> and <linux/io_uring/zcrx.h> of 6.15 and newer kernels say of
 * zero-copy receive, as far as common_zcrx.c needs it: Debian 12's headers are too old.
 */
#ifndef SELFTESTS_ZCRX_ABI_H
#define SELFTESTS_ZCRX_ABI_H

#include <stdint.h>

#define OP_RECV_ZC_		58
#define REGISTER_ZCRX_IFQ_	32
#define REGION_USER_		1
#define AREA_DMABUF_		1
#define AREA_SHIFT_		48

/* Ours to the kernel: this piece may be used again. */
struct zcrx_rqe {
	uint64_t offset;
	uint32_t len;
	uint32_t zero;
};

/* The second half of a completion. */
struct zcrx_cqe {
	uint64_t offset;
	uint64_t zero;
};

struct zcrx_region {
	uint64_t addr;
	uint64_t size;
	uint32_t flags;
	uint32_t id;
	uint64_t mmap_offset;
	uint64_t zero[4];
};

struct zcrx_area_reg {
	uint64_t addr;
	uint64_t len;
	uint64_t token;
	uint32_t flags;
	uint32_t dmabuf;
	uint64_t zero[2];
};

struct zcrx_reg {
	uint32_t ifindex;
	uint32_t queue;
	uint32_t entries;
	uint32_t flags;
	uint64_t area;
	uint64_t region;
	struct {
		uint32_t head;
		uint32_t tail;
		uint32_t rqes;
		uint32_t zero;
		uint64_t zeroes[2];
	} offsets;
	uint32_t id;
	uint32_t page;		/* 0 for 4096: kernels before 7.0 know no other */
	uint64_t zero[3];
};

#endif /* SELFTESTS_ZCRX_ABI_H */
