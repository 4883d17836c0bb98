// SPDX-License-Identifier: GPL-2.0
/*
 * The device behind the netdev, which does the DMA, and what the driver offers
 * to net/devmem. Owns the only places that write to and read from addresses
 * which somebody else has mapped for the device.
 */
#include <linux/dma-direct.h>
#include <linux/dma-mapping.h>
#include <linux/idr.h>
#include <linux/kmemleak.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/platform_device.h>
#include <net/page_pool/helpers.h>

#include "iommu.h"
#include "nsdm.h"

static DEFINE_IDA(nsdm_dma_ids);

/* Devices that have to stay, see nsdm_dma_keep(), and have no netdev now. The
 * driver data of each is the next one.
 */
static DEFINE_MUTEX(nsdm_dma_lock);	/* protects next field */
static struct platform_device *nsdm_dma_spares;

static struct platform_device *nsdm_dma_take_spare(void)
{
	struct platform_device *pdev;

	mutex_lock(&nsdm_dma_lock);
	pdev = nsdm_dma_spares;
	if (pdev)
		nsdm_dma_spares = platform_get_drvdata(pdev);
	mutex_unlock(&nsdm_dma_lock);
	return pdev;
}

/* A platform device without a driver. Its memory and its release belong to the
 * driver core, so who holds a reference does not hold this module.
 */
int nsdm_dma_create(struct nsdm *nd)
{
	struct platform_device_info info = {
		.name		= NSDM_NAME,
		.dma_mask	= DMA_BIT_MASK(64),
	};
	struct platform_device *pdev = nsdm_dma_take_spare();

	nd->dma = pdev;
	nd->dma_kept = pdev;
	if (pdev)
		return 0;

	info.id = ida_alloc(&nsdm_dma_ids, GFP_KERNEL);
	if (info.id < 0)
		return info.id;
	pdev = platform_device_register_full(&info);
	if (IS_ERR(pdev)) {
		ida_free(&nsdm_dma_ids, info.id);
		return PTR_ERR(pdev);
	}
	dma_set_max_seg_size(&pdev->dev, UINT_MAX);
	nd->dma = pdev;
	return 0;
}

static void nsdm_dma_unregister(struct platform_device *pdev)
{
	int id = pdev->id;

	platform_device_unregister(pdev);
	ida_free(&nsdm_dma_ids, id);
}

void nsdm_dma_destroy(struct nsdm *nd)
{
	if (!nd->dma_kept) {
		nsdm_dma_unregister(nd->dma);
		return;
	}
	mutex_lock(&nsdm_dma_lock);
	platform_set_drvdata(nd->dma, nsdm_dma_spares);
	nsdm_dma_spares = nd->dma;
	mutex_unlock(&nsdm_dma_lock);
}

/* A binding of the kernel unmaps its dma-buf through our device when its netlink
 * socket is closed, even if the netdev has gone by then, and nothing tells us
 * when; with some page pools it is the same. So such a device is never freed; the
 * next netdev gets it. Under the settings lock.
 */
void nsdm_dma_keep(struct nsdm *nd)
{
	devmem_assert_settings_locked(nd->dev);

	if (nd->dma_kept)
		return;
	get_device(&nd->dma->dev);
	nd->dma_kept = true;
}

/* The module goes. What has to stay stays, but not in sysfs. */
void nsdm_dma_exit(void)
{
	struct platform_device *pdev;

	while ((pdev = nsdm_dma_take_spare())) {
		kmemleak_not_leak(pdev);
		nsdm_dma_unregister(pdev);
	}
}

/* The fake hardware cheats: its DMA is a copy by the CPU through the kernel's
 * own mapping of the page. So it reaches ordinary memory only. A bounce buffer
 * of swiotlb is reserved memory, and is refused here too: nobody would copy it
 * on to where it should go.
 */
static bool nsdm_dma_reach(const struct nsdm *nd, dma_addr_t addr, size_t len)
{
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
	}
	return true;
}

/* May sleep: the buffer may be large. */
static bool nsdm_dma_ok(struct net_device *dev, dma_addr_t addr, size_t len)
{
	const struct nsdm *nd = netdev_priv(dev);
	size_t n;

	do {
		n = min_t(size_t, len, SZ_64M);
		if (addr + n < addr || !nsdm_dma_reach(nd, addr, n))
			return false;
		addr += n;
		len -= n;
		cond_resched();
	} while (len);
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
				  rx->seg[i].len) ||
		    nsdm_iommu_fault(phys, rx->seg[i].len))
			return false;
		off += rx->seg[i].len;
	}
	return true;
}

/* The same to a piece of a page of the queue's pool. What the kernel's provider
 * gives us nobody has asked us about before: the hardware would report a bus
 * error.
 */
bool nsdm_dma_write_pool(const struct nsdm_mem *mem, netmem_ref netmem,
			 unsigned int at, const struct sk_buff *skb,
			 unsigned int off, unsigned int len)
{
	dma_addr_t addr = page_pool_get_dma_addr_netmem(netmem) + at;
	const struct nsdm *nd = mem->q->nd;
	phys_addr_t phys;

	if (mem->provided && !nsdm_dma_reach(nd, addr, len))
		return false;
	phys = dma_to_phys(&nd->dma->dev, addr);
	if (skb_copy_bits(skb, off, phys_to_virt(phys), len) ||
	    nsdm_iommu_fault(phys, len))
		return false;
	page_pool_dma_sync_netmem_for_cpu(mem->pool, netmem, at, len);
	return true;
}

/* A packet whose payload lies where only the device can read it: the same one with
 * that payload, which the device reads now. Takes over @skb, whose charge to its
 * socket goes with the result. Frags that are no memory bound for sending, or out
 * of reach, are -EFAULT: a placed packet of net/devmem that was redirected, say.
 */
struct sk_buff *nsdm_dma_read(const struct nsdm *nd, struct sk_buff *skb)
{
	unsigned int i, off = skb_headlen(skb);
	struct sk_buff *copy;
	const skb_frag_t *frag;
	phys_addr_t phys;
	dma_addr_t addr;
	int err;

	err = -EFAULT;
	if (!devmem_sends_netmem(nd->dev) || skb_has_frag_list(skb))
		goto err_free;
	/* the same headroom: skb_copy_header() copies offsets from there */
	copy = alloc_skb_with_frags(skb_headroom(skb) + off, skb->data_len,
				    PAGE_ALLOC_COSTLY_ORDER, &err,
				    GFP_ATOMIC | __GFP_NOWARN);
	if (!copy) {
		err = -ENOMEM;
		goto err_free;
	}
	skb_reserve(copy, skb_headroom(skb));
	skb_put_data(copy, skb->data, off);
	copy->data_len = skb->data_len;
	copy->len += skb->data_len;

	err = -EFAULT;
	for (i = 0; i < skb_shinfo(skb)->nr_frags; i++) {
		frag = &skb_shinfo(skb)->frags[i];
		if (!netmem_is_net_iov(skb_frag_netmem(frag)))
			goto err_copy;
		addr = page_pool_get_dma_addr_netmem(skb_frag_netmem(frag)) +
		       skb_frag_off(frag);
		if (!nsdm_dma_reach(nd, addr, skb_frag_size(frag)))
			goto err_copy;
		phys = dma_to_phys(&nd->dma->dev, addr);
		if (skb_store_bits(copy, off, phys_to_virt(phys),
				   skb_frag_size(frag)) ||
		    nsdm_iommu_fault(phys, skb_frag_size(frag)))
			goto err_copy;
		off += skb_frag_size(frag);
	}

	skb_copy_header(copy, skb);
	copy->unreadable = 0;
	swap(copy->sk, skb->sk);
	swap(copy->destructor, skb->destructor);
	copy->truesize = skb->truesize;
	consume_skb(skb);
	return copy;

err_copy:
	kfree_skb(copy);
err_free:
	kfree_skb(skb);
	return ERR_PTR(err);
}

static int nsdm_queue_bind(struct net_device *dev, u32 queue,
			   struct devmem_binding *binding,
			   struct netlink_ext_ack *extack)
{
	struct nsdm *nd = netdev_priv(dev);
	struct nsdm_rxq *q;
	int err = 0;

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
	q = &nd->rxq[queue];
	mutex_lock(&nd->claim);
	if (nd->xdp) {
		NL_SET_ERR_MSG_FMT_MOD(extack,
				       "queue %u runs an XDP program", queue);
		err = -EBUSY;
	} else if (queue >= nd->rx_queues) {
		NL_SET_ERR_MSG_FMT_MOD(extack,
				       "queue %u out of range, %u are in use",
				       queue, nd->rx_queues);
		err = -ERANGE;
	} else if (!nd->split) {
		NL_SET_ERR_MSG_FMT_MOD(extack,
				       "queue %u cannot be bound: tcp-data-split is off",
				       queue);
		err = -EINVAL;
	} else if (nd->hds_thresh) {
		NL_SET_ERR_MSG_FMT_MOD(extack,
				       "queue %u cannot be bound: hds-thresh is %u",
				       queue, nd->hds_thresh);
		err = -EINVAL;
	} else if (nsdm_pool_provided(q)) {
		NL_SET_ERR_MSG_FMT_MOD(extack,
				       "queue %u is bound by the kernel's devmem TCP or io_uring",
				       queue);
		err = -EBUSY;
	} else {
		q->bound++;
	}
	mutex_unlock(&nd->claim);
	return err;
}

static void nsdm_queue_unbind(struct net_device *dev, u32 queue)
{
	struct nsdm *nd = netdev_priv(dev);

	mutex_lock(&nd->claim);
	WARN_ON(!nd->rxq[queue].bound--);
	mutex_unlock(&nd->claim);
}

const struct devmem_dev_ops nsdm_devmem_ops = {
	.owner		= THIS_MODULE,
	.queue_bind	= nsdm_queue_bind,
	.queue_unbind	= nsdm_queue_unbind,
	.flow_add	= nsdm_flow_add,
	.flow_del	= nsdm_flow_del,
	.dma_ok		= nsdm_dma_ok,
};
