// SPDX-License-Identifier: GPL-2.0
/*
 * An IOMMU without hardware: DMA to memory that was not mapped for it, or is not any
 * more, is a fault. It knows the fake GPU's memory only; all other is let through, as
 * on a machine without an IOMMU. Owns page->private of each block. Knows nothing of
 * who exports or who maps, nor for which device.
 *
 * A block has a cookie in page->private while nobody may access it, which is the
 * address of a variable here: nobody else's page has that.
 */
#include <linux/mm.h>

#include "iommu.h"

static const char nsdm_iommu_cookie;

/* A compound page, or a single one, that is mapped for a device from now on. */
void nsdm_iommu_map(struct page *block)
{
	WRITE_ONCE(block->private, 0);
}

/* It is mapped for no device: one that has just been allocated, too. */
void nsdm_iommu_unmap(struct page *block)
{
	WRITE_ONCE(block->private, (unsigned long)&nsdm_iommu_cookie);
}

/* It will be freed. */
void nsdm_iommu_forget(struct page *block)
{
	WRITE_ONCE(block->private, 0);
}

/* A device has accessed these bytes, of ordinary memory. Was it wrong to? Asked
 * afterwards, this tells of what is unmapped in the middle of it, too.
 */
bool nsdm_iommu_fault(phys_addr_t phys, size_t len)
{
	unsigned long pfn, last = PHYS_PFN(phys + len - 1);

	for (pfn = PHYS_PFN(phys); pfn <= last; pfn++) {
		if (READ_ONCE(compound_head(pfn_to_page(pfn))->private) !=
		    (unsigned long)&nsdm_iommu_cookie)
			continue;
		WARN_ONCE(1, "DMA of %zu bytes at %pap, which is not mapped\n",
			  len, &phys);
		return true;
	}
	return false;
}
