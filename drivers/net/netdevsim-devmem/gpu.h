/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fake GPU, as seen by the module that it happens to live in.
 */
#ifndef _NSDM_GPU_H
#define _NSDM_GPU_H

#include <linux/types.h>

struct dma_buf;
struct seq_file;

/* gpu.c */
int nsdm_gpu_register(void);
void nsdm_gpu_unregister(void);
void nsdm_gpu_show(struct seq_file *m);

/* gpu_fence.c */
int nsdm_gpu_fence_add(struct dma_buf *dmabuf, u32 usage, u32 ms);
void nsdm_gpu_fence_idle(struct dma_buf *dmabuf);
int nsdm_gpu_fence_count(void);
void nsdm_gpu_fence_exit(void);

#endif /* _NSDM_GPU_H */
