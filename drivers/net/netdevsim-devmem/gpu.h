/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The fake GPU, as seen by the module that it happens to live in.
 */
#ifndef _NSDM_GPU_H
#define _NSDM_GPU_H

struct seq_file;

/* gpu.c */
int nsdm_gpu_register(void);
void nsdm_gpu_unregister(void);
void nsdm_gpu_show(struct seq_file *m);

#endif /* _NSDM_GPU_H */
