// SPDX-License-Identifier: GPL-2.0
/*
 * The device behind the netdev, which does the DMA, and what the driver offers
 * to net/devmem. Owns the only place that writes to addresses which somebody
 * else has mapped for the device.
 */
#include <linux/dma-direct.h>
#include <linux/dma-mapping.h>
#include <linux/idr.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/platform_device.h>

#include "nsdm.h"

static DEFINE_IDA(nsdm_dma_ids);

/* A platform device without a driver. Its memory and its release belong to the
 * driver core, so who holds a reference does not hold this module.
 */
struct platform_device *nsdm_dma_create(void)
{
	struct platform_device_info info = {
		.name		= NSDM_NAME,
		.dma_mask	= DMA_BIT_MASK(64),
	};
	struct platform_device *pdev;

	info.id = ida_alloc(&nsdm_dma_ids, GFP_KERNEL);
	if (info.id < 0)
		return ERR_PTR(info.id);
	pdev = platform_device_register_full(&info);
	if (IS_ERR(pdev))
		ida_free(&nsdm_dma_ids, info.id);
	else
		dma_set_max_seg_size(&pdev->dev, UINT_MAX);
	return pdev;
}

void nsdm_dma_destroy(struct platform_device *pdev)
{
	int id = pdev->id;

	platform_device_unregister(pdev);
	ida_free(&nsdm_dma_ids, id);
}

/* The fake hardware cheats: its DMA is a copy by the CPU through the kernel's
 * own mapping of the page. So it reaches ordinary memory only. A bounce buffer
 * of swiotlb is reserved memory, and is refused here too: nobody would copy it
 * on to where it should go.
 */
static bool nsdm_dma_ok(struct net_device *dev, dma_addr_t addr, size_t len)
{
	struct nsdm *nd = netdev_priv(dev);
	unsigned long pfn, last;
	struct page *page;
	phys_addr_t phys;

	phys = dma_to_phys(&nd->dma->dev, addr);
	if (!len || phys + len - 1 < phys)
		return false;

	last = PHYS_PFN(phys + len - 1);
	for (pfn = PHYS_PFN(phys); pfn <= last; pfn++) {
		if (!pfn_valid(pfn))
			return false;
		page = pfn_to_page(pfn);
		if (PageReserved(page) || PageOffline(page) ||
		    PageHighMem(page) || is_zone_device_page(page))
			return false;
		if (!(pfn & 0x3fff))
			cond_resched();
	}
	return true;
}

/* The DMA of one packet's payload, which begins at @off of @skb. The addresses
 * are parts of runs that nsdm_dma_ok() has agreed to.
 */
bool nsdm_dma_write(const struct nsdm *nd, const struct devmem_rx *rx,
		    const struct sk_buff *skb, unsigned int off)
{
	phys_addr_t phys;
	unsigned int i;

	for (i = 0; i < rx->nr_segs; i++) {
		phys = dma_to_phys(&nd->dma->dev, rx->seg[i].addr);
		if (skb_copy_bits(skb, off, phys_to_virt(phys),
				  rx->seg[i].len))
			return false;
		off += rx->seg[i].len;
	}
	return true;
}

static int nsdm_queue_bind(struct net_device *dev, u32 queue,
			   struct devmem_binding *binding,
			   struct netlink_ext_ack *extack)
{
	struct nsdm *nd = netdev_priv(dev);

	if (queue >= dev->num_rx_queues) {
		NL_SET_ERR_MSG_FMT_MOD(extack,
				       "queue %u out of range, device has %u",
				       queue, dev->num_rx_queues);
		return -EINVAL;
	}
	if (rcu_access_pointer(dev->xdp_prog)) {
		NL_SET_ERR_MSG_FMT_MOD(extack,
				       "queue %u runs an XDP program", queue);
		return -EBUSY;
	}
	nd->rxq[queue].bound++;
	return 0;
}

static void nsdm_queue_unbind(struct net_device *dev, u32 queue)
{
	struct nsdm *nd = netdev_priv(dev);

	WARN_ON(!nd->rxq[queue].bound--);
}

const struct devmem_dev_ops nsdm_devmem_ops = {
	.owner		= THIS_MODULE,
	.queue_bind	= nsdm_queue_bind,
	.queue_unbind	= nsdm_queue_unbind,
	.flow_add	= nsdm_flow_add,
	.flow_del	= nsdm_flow_del,
	.dma_ok		= nsdm_dma_ok,
};
