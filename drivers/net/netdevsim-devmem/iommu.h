/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The IOMMU between the fake GPU's memory and the devices that write to it.
 */
#ifndef _NSDM_IOMMU_H
#define _NSDM_IOMMU_H

#include <linux/types.h>

struct page;

/* iommu.c */
void nsdm_iommu_map(struct page *block);
void nsdm_iommu_unmap(struct page *block);
void nsdm_iommu_forget(struct page *block);
bool nsdm_iommu_fault(phys_addr_t phys, size_t len);

#endif /* _NSDM_IOMMU_H */
