// SPDX-License-Identifier: GPL-2.0
/*
 * A GPU without hardware: an exporter of dma-bufs that, unlike real ones, can
 * be told to behave badly. Knows of its importers what <linux/dma-buf.h> tells
 * an exporter, and nothing of any NIC or of net/devmem.
 *
 * The fake hardware cheats: its video memory is ordinary memory.
 */
#include <linux/bits.h>
#include <linux/capability.h>
#include <linux/dma-buf.h>
#include <linux/dma-mapping.h>
#include <linux/dma-resv.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/preempt.h>
#include <linux/scatterlist.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <net/devmem-compat.h>
#include <uapi/linux/nsdm-gpu.h>

#include "gpu.h"
#include "iommu.h"

#define NSDM_GPU_MAP_ADDR	(NSDM_GPU_MAP_ODD_LEN | \
				 NSDM_GPU_MAP_ODD_START | NSDM_GPU_MAP_NO_RAM)
#define NSDM_GPU_ODD		512
#define NSDM_GPU_NO_RAM_ADDR	BIT_ULL(50)

/* Video memory, which a GPU has so much of; and what is allocated of it. */
static u32 nsdm_gpu_mib;
module_param_named(gpu_mib, nsdm_gpu_mib, uint, 0644);
MODULE_PARM_DESC(gpu_mib, "MiB of video memory (default: half of the machine's memory)");

static atomic_long_t nsdm_gpu_pages = ATOMIC_LONG_INIT(0);

/* Live objects: for tests that look for leaks. */
static atomic_t nsdm_gpu_nr_buffers = ATOMIC_INIT(0);
static atomic_t nsdm_gpu_nr_attachments = ATOMIC_INIT(0);
static atomic_t nsdm_gpu_nr_maps = ATOMIC_INIT(0);
static atomic_t nsdm_gpu_nr_pins = ATOMIC_INIT(0);

/**
 * struct nsdm_gpu_buffer - a piece of video memory; owner: its dma-buf
 * @order: of each block
 * @flags: NSDM_GPU_*
 * @revoked: set once; protected by the reservation lock
 * @pins: likewise
 * @maps: of struct nsdm_gpu_map; protected by the reservation lock
 * @nr_blocks: number of @blocks
 * @blocks: compound pages
 */
struct nsdm_gpu_buffer {
	u32 order;
	u32 flags;
	bool revoked;
	u32 pins;
	struct list_head maps;
	size_t nr_blocks;
	struct page *blocks[] __counted_by(nr_blocks);
};

/**
 * struct nsdm_gpu_map - a mapping for one importer
 * @node: in nsdm_gpu_buffer.maps
 * @sgt: what the importer has
 * @dev: the importer's
 * @dma: @sgt is mapped for @dev, and not made up
 */
struct nsdm_gpu_map {
	struct list_head node;
	struct sg_table sgt;
	struct device *dev;
	bool dma;
};

static long nsdm_gpu_pages_max(void)
{
	u32 mib = READ_ONCE(nsdm_gpu_mib);

	return mib ? (long)mib << (20 - PAGE_SHIFT) : totalram_pages() / 2;
}

static size_t nsdm_gpu_block_size(const struct nsdm_gpu_buffer *buf)
{
	return PAGE_SIZE << buf->order;
}

static void nsdm_gpu_free(struct nsdm_gpu_buffer *buf)
{
	size_t i;

	for (i = 0; i < buf->nr_blocks && buf->blocks[i]; i++) {
		nsdm_iommu_forget(buf->blocks[i]);
		__free_pages(buf->blocks[i], buf->order);
	}
	atomic_long_sub(buf->nr_blocks << buf->order, &nsdm_gpu_pages);
	kvfree(buf);
	atomic_dec(&nsdm_gpu_nr_buffers);
}

static struct nsdm_gpu_buffer *nsdm_gpu_alloc(u64 size, u32 order, u32 flags)
{
	size_t i, nr = size >> (PAGE_SHIFT + order);
	struct nsdm_gpu_buffer *buf;

	if (atomic_long_add_return(nr << order, &nsdm_gpu_pages) >
	    nsdm_gpu_pages_max()) {
		atomic_long_sub(nr << order, &nsdm_gpu_pages);
		return ERR_PTR(-ENOMEM);
	}
	buf = kvzalloc(struct_size(buf, blocks, nr),
		       GFP_KERNEL_ACCOUNT | __GFP_NOWARN);
	if (!buf) {
		atomic_long_sub(nr << order, &nsdm_gpu_pages);
		return ERR_PTR(-ENOMEM);
	}
	atomic_inc(&nsdm_gpu_nr_buffers);
	buf->order = order;
	buf->flags = flags;
	buf->nr_blocks = nr;
	INIT_LIST_HEAD(&buf->maps);

	for (i = 0; i < nr; i++) {
		buf->blocks[i] = alloc_pages(GFP_KERNEL_ACCOUNT | __GFP_ZERO |
					     __GFP_COMP | __GFP_NOWARN |
					     __GFP_RETRY_MAYFAIL, order);
		if (!buf->blocks[i] || fatal_signal_pending(current)) {
			nsdm_gpu_free(buf);
			return ERR_PTR(-ENOMEM);
		}
		nsdm_iommu_unmap(buf->blocks[i]);
	}
	return buf;
}

/* Tell the importers. Where nobody has a mapping nobody has anything to wait for, and
 * who does all the same is told on by the scheduler.
 */
static void nsdm_gpu_notify(struct dma_buf *dmabuf)
{
	const struct nsdm_gpu_buffer *buf = dmabuf->priv;
	bool atomic = list_empty(&buf->maps);

	dma_resv_assert_held(dmabuf->resv);

	if (atomic)
		preempt_disable();
	dma_buf_invalidate_mappings(dmabuf);
	if (atomic)
		preempt_enable();
}

static int nsdm_gpu_attach(struct dma_buf *dmabuf,
			   struct dma_buf_attachment *attach)
{
	struct nsdm_gpu_buffer *buf = dmabuf->priv;
	bool revoked;

	if (buf->flags & NSDM_GPU_NO_ATTACH)
		return -EOPNOTSUPP;
	if (buf->flags & NSDM_GPU_NO_ATTACH_524)
		return -ENOTSUPP;
	if (buf->flags & NSDM_GPU_P2P_ONLY && !attach->peer2peer)
		return -EOPNOTSUPP;
	/* where the other one reads what is not there */
	if (buf->flags & NSDM_GPU_PCI_ONLY && !dev_is_pci(attach->dev))
		return -EFAULT;
	dma_resv_lock(dmabuf->resv, NULL);
	revoked = buf->revoked;
	dma_resv_unlock(dmabuf->resv);
	if (revoked)
		return -ENODEV;
	atomic_inc(&nsdm_gpu_nr_attachments);
	return 0;
}

static void nsdm_gpu_detach(struct dma_buf *dmabuf,
			    struct dma_buf_attachment *attach)
{
	atomic_dec(&nsdm_gpu_nr_attachments);
}

/* The memory never moves, but the first pin may tell everybody that it does, as is
 * usual where memory that is pinned has to be in a certain place.
 */
static int nsdm_gpu_pin(struct dma_buf_attachment *attach)
{
	struct nsdm_gpu_buffer *buf = attach->dmabuf->priv;

	dma_resv_assert_held(attach->dmabuf->resv);
	if (buf->revoked)
		return -ENODEV;
	if (buf->flags & NSDM_GPU_PIN_524)
		return -ENOTSUPP;
	if (buf->flags & NSDM_GPU_PIN_MOVES && !buf->pins)
		nsdm_gpu_notify(attach->dmabuf);
	buf->pins++;
	atomic_inc(&nsdm_gpu_nr_pins);
	return 0;
}

static void nsdm_gpu_unpin(struct dma_buf_attachment *attach)
{
	struct nsdm_gpu_buffer *buf = attach->dmabuf->priv;

	dma_resv_assert_held(attach->dmabuf->resv);
	buf->pins--;
	atomic_dec(&nsdm_gpu_nr_pins);
}

/* One entry for each block, or odd ones that cover the same bytes: each block
 * in two parts, or each block without its beginning and that later.
 */
static int nsdm_gpu_fill(const struct nsdm_gpu_buffer *buf,
			 struct sg_table *sgt)
{
	size_t i, size = nsdm_gpu_block_size(buf), nr = buf->nr_blocks;
	bool odd_len = buf->flags & NSDM_GPU_MAP_ODD_LEN;
	bool odd_start = buf->flags & NSDM_GPU_MAP_ODD_START;
	struct scatterlist *sg;
	int err;

	if (buf->flags & NSDM_GPU_MAP_SHORT)
		nr--;
	if (!nr)
		return -ENOMEM;
	err = sg_alloc_table(sgt, odd_len || odd_start ? 2 * nr : nr,
			     GFP_KERNEL_ACCOUNT);
	if (err)
		return err;

	sg = sgt->sgl;
	for (i = 0; i < nr; i++, sg = sg_next(sg)) {
		if (odd_len || odd_start) {
			sg_set_page(sg, buf->blocks[i],
				    odd_len ? NSDM_GPU_ODD : size - NSDM_GPU_ODD,
				    odd_len ? 0 : NSDM_GPU_ODD);
			sg = sg_next(sg);
			sg_set_page(sg, buf->blocks[i],
				    odd_len ? size - NSDM_GPU_ODD : NSDM_GPU_ODD,
				    odd_len ? NSDM_GPU_ODD : 0);
		} else {
			sg_set_page(sg, buf->blocks[i], size, 0);
		}
	}
	return 0;
}

static struct sg_table *nsdm_gpu_map(struct dma_buf_attachment *attach,
				     enum dma_data_direction dir)
{
	struct nsdm_gpu_buffer *buf = attach->dmabuf->priv;
	dma_addr_t addr = NSDM_GPU_NO_RAM_ADDR;
	struct nsdm_gpu_map *map;
	struct scatterlist *sg;
	size_t i;
	int err;

	dma_resv_assert_held(attach->dmabuf->resv);
	if (buf->revoked)
		return ERR_PTR(-ENODEV);
	if (buf->flags & NSDM_GPU_MAP_ENOMEM)
		return ERR_PTR(-ENOMEM);
	if (buf->flags & NSDM_GPU_MAP_EIO)
		return ERR_PTR(-EIO);
	if (buf->flags & NSDM_GPU_MAP_524)
		return ERR_PTR(-ENOTSUPP);
	if (buf->flags & NSDM_GPU_MAP_EINTR)
		return ERR_PTR(-EINTR);
	if (buf->flags & NSDM_GPU_MAP_MOVES && list_empty(&buf->maps))
		nsdm_gpu_notify(attach->dmabuf);

	map = kzalloc(sizeof(*map), GFP_KERNEL_ACCOUNT);
	if (!map)
		return ERR_PTR(-ENOMEM);
	err = nsdm_gpu_fill(buf, &map->sgt);
	if (err)
		goto err_free;

	map->dev = attach->dev;
	map->dma = !(buf->flags & NSDM_GPU_MAP_NO_RAM);
	if (map->dma) {
		err = dma_map_sgtable(map->dev, &map->sgt, dir, 0);
		if (err)
			goto err_table;
	} else {
		for_each_sgtable_sg(&map->sgt, sg, i) {
			sg_dma_address(sg) = addr;
			sg_dma_len(sg) = sg->length;
			addr += sg->length;
		}
		map->sgt.nents = map->sgt.orig_nents;
	}
	if (list_empty(&buf->maps))
		for (i = 0; i < buf->nr_blocks; i++)
			nsdm_iommu_map(buf->blocks[i]);
	list_add(&map->node, &buf->maps);
	atomic_inc(&nsdm_gpu_nr_maps);
	return &map->sgt;

err_table:
	sg_free_table(&map->sgt);
err_free:
	kfree(map);
	return ERR_PTR(err);
}

static void nsdm_gpu_unmap(struct dma_buf_attachment *attach,
			   struct sg_table *sgt, enum dma_data_direction dir)
{
	struct nsdm_gpu_map *map = container_of(sgt, struct nsdm_gpu_map, sgt);
	struct nsdm_gpu_buffer *buf = attach->dmabuf->priv;
	size_t i;

	dma_resv_assert_held(attach->dmabuf->resv);
	list_del(&map->node);
	if (list_empty(&buf->maps))
		for (i = 0; i < buf->nr_blocks; i++)
			nsdm_iommu_unmap(buf->blocks[i]);
	if (map->dma)
		dma_unmap_sgtable(map->dev, sgt, dir, 0);
	sg_free_table(sgt);
	kfree(map);
	atomic_dec(&nsdm_gpu_nr_maps);
}

static int nsdm_gpu_begin_cpu_access(struct dma_buf *dmabuf,
				     enum dma_data_direction dir)
{
	struct nsdm_gpu_buffer *buf = dmabuf->priv;
	struct nsdm_gpu_map *map;

	dma_resv_lock(dmabuf->resv, NULL);
	list_for_each_entry(map, &buf->maps, node)
		if (map->dma)
			dma_sync_sgtable_for_cpu(map->dev, &map->sgt, dir);
	dma_resv_unlock(dmabuf->resv);
	return 0;
}

static int nsdm_gpu_end_cpu_access(struct dma_buf *dmabuf,
				   enum dma_data_direction dir)
{
	struct nsdm_gpu_buffer *buf = dmabuf->priv;
	struct nsdm_gpu_map *map;

	dma_resv_lock(dmabuf->resv, NULL);
	list_for_each_entry(map, &buf->maps, node)
		if (map->dma)
			dma_sync_sgtable_for_device(map->dev, &map->sgt, dir);
	dma_resv_unlock(dmabuf->resv);
	return 0;
}

/* The dma-buf core has checked that the range lies in the buffer. */
static int nsdm_gpu_mmap(struct dma_buf *dmabuf, struct vm_area_struct *vma)
{
	struct nsdm_gpu_buffer *buf = dmabuf->priv;
	unsigned long pgoff = vma->vm_pgoff, addr, len, off;
	size_t size = nsdm_gpu_block_size(buf);
	struct page *block;
	bool revoked;
	int err;

	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	dma_resv_lock(dmabuf->resv, NULL);
	revoked = buf->revoked;
	dma_resv_unlock(dmabuf->resv);
	if (revoked)
		return -ENODEV;

	for (addr = vma->vm_start; addr < vma->vm_end; addr += len) {
		block = buf->blocks[pgoff >> buf->order];
		off = (pgoff << PAGE_SHIFT) & (size - 1);
		len = min_t(unsigned long, size - off, vma->vm_end - addr);
		err = remap_pfn_range(vma, addr,
				      page_to_pfn(block) + PHYS_PFN(off), len,
				      vma->vm_page_prot);
		if (err)
			return err;
		pgoff += len >> PAGE_SHIFT;
	}
	return 0;
}

static void nsdm_gpu_release(struct dma_buf *dmabuf)
{
	nsdm_gpu_fence_idle(dmabuf);
	nsdm_gpu_free(dmabuf->priv);
}

static const struct dma_buf_ops nsdm_gpu_ops = {
	.attach			= nsdm_gpu_attach,
	.detach			= nsdm_gpu_detach,
	.pin			= nsdm_gpu_pin,
	.unpin			= nsdm_gpu_unpin,
	.map_dma_buf		= nsdm_gpu_map,
	.unmap_dma_buf		= nsdm_gpu_unmap,
	.begin_cpu_access	= nsdm_gpu_begin_cpu_access,
	.end_cpu_access		= nsdm_gpu_end_cpu_access,
	.mmap			= nsdm_gpu_mmap,
	.release		= nsdm_gpu_release,
};

static int nsdm_gpu_ioctl_alloc(void __user *arg)
{
	DEFINE_DMA_BUF_EXPORT_INFO(info);
	struct nsdm_gpu_alloc alloc;
	struct nsdm_gpu_buffer *buf;
	struct dma_buf *dmabuf;
	int fd;

	if (copy_from_user(&alloc, arg, sizeof(alloc)))
		return -EFAULT;
	if (alloc.reserved || alloc.flags & ~NSDM_GPU_FLAGS ||
	    hweight32(alloc.flags & NSDM_GPU_MAP_ADDR) > 1 ||
	    alloc.order > NSDM_GPU_ORDER_MAX)
		return -EINVAL;
	if (!alloc.size || alloc.size > NSDM_GPU_SIZE_MAX ||
	    alloc.size & ((PAGE_SIZE << alloc.order) - 1))
		return -EINVAL;
	if (alloc.flags && !capable(CAP_SYS_ADMIN))
		return -EPERM;

	buf = nsdm_gpu_alloc(alloc.size, alloc.order, alloc.flags);
	if (IS_ERR(buf))
		return PTR_ERR(buf);

	info.ops = &nsdm_gpu_ops;
	info.size = alloc.size;
	info.flags = O_RDWR;
	info.priv = buf;
	if (alloc.flags & NSDM_GPU_PCI_ONLY)
		info.exp_name = "nv_dmabuf";
	dmabuf = dma_buf_export(&info);
	if (IS_ERR(dmabuf)) {
		nsdm_gpu_free(buf);
		return PTR_ERR(dmabuf);
	}

	/* Install the fd last: what has a number can be closed by others. */
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		dma_buf_put(dmabuf);
		return fd;
	}
	alloc.fd = fd;
	if (copy_to_user(arg, &alloc, sizeof(alloc))) {
		put_unused_fd(fd);
		dma_buf_put(dmabuf);
		return -EFAULT;
	}
	fd_install(fd, dmabuf->file);
	return 0;
}

/* A dma-buf of ours; the caller puts it. */
static struct dma_buf *nsdm_gpu_get(int fd)
{
	struct dma_buf *dmabuf = dma_buf_get(fd);

	if (!IS_ERR(dmabuf) && dmabuf->ops != &nsdm_gpu_ops) {
		dma_buf_put(dmabuf);
		return ERR_PTR(-EINVAL);
	}
	return dmabuf;
}

static int nsdm_gpu_ioctl_revoke(void __user *arg)
{
	struct nsdm_gpu_revoke revoke;
	struct nsdm_gpu_buffer *buf;
	struct dma_buf *dmabuf;
	int err = 0;

	if (copy_from_user(&revoke, arg, sizeof(revoke)))
		return -EFAULT;
	if (revoke.flags & ~NSDM_GPU_REVOKE_FLAGS)
		return -EINVAL;
	if (revoke.flags && !capable(CAP_SYS_ADMIN))
		return -EPERM;
	dmabuf = nsdm_gpu_get(revoke.fd);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);

	buf = dmabuf->priv;
	dma_resv_lock(dmabuf->resv, NULL);
	if (buf->revoked && !(revoke.flags & NSDM_GPU_REVOKE_AGAIN)) {
		err = -ENODEV;
	} else {
		buf->revoked = true;
		nsdm_gpu_notify(dmabuf);
	}
	dma_resv_unlock(dmabuf->resv);
	dma_buf_put(dmabuf);
	return err;
}

static int nsdm_gpu_ioctl_fence(void __user *arg)
{
	struct nsdm_gpu_fence fence;
	struct dma_buf *dmabuf;
	int err = 0;

	if (copy_from_user(&fence, arg, sizeof(fence)))
		return -EFAULT;
	if (fence.reserved || fence.usage > NSDM_GPU_IDLE ||
	    fence.ms > NSDM_GPU_FENCE_MS_MAX)
		return -EINVAL;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	dmabuf = nsdm_gpu_get(fence.fd);
	if (IS_ERR(dmabuf))
		return PTR_ERR(dmabuf);
	if (fence.usage == NSDM_GPU_IDLE)
		nsdm_gpu_fence_idle(dmabuf);
	else
		err = nsdm_gpu_fence_add(dmabuf, fence.usage, fence.ms);
	dma_buf_put(dmabuf);
	return err;
}

static long nsdm_gpu_ioctl(struct file *file, unsigned int cmd,
			   unsigned long arg)
{
	switch (cmd) {
	case NSDM_GPU_ALLOC:
		return nsdm_gpu_ioctl_alloc((void __user *)arg);
	case NSDM_GPU_REVOKE:
		return nsdm_gpu_ioctl_revoke((void __user *)arg);
	case NSDM_GPU_FENCE:
		return nsdm_gpu_ioctl_fence((void __user *)arg);
	default:
		return -ENOTTY;
	}
}

static const struct file_operations nsdm_gpu_fops = {
	.owner		= THIS_MODULE,
	.unlocked_ioctl	= nsdm_gpu_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

static struct miscdevice nsdm_gpu_misc = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "nsdm-gpu",
	.fops	= &nsdm_gpu_fops,
};

int nsdm_gpu_register(void)
{
	return misc_register(&nsdm_gpu_misc);
}

void nsdm_gpu_unregister(void)
{
	misc_deregister(&nsdm_gpu_misc);
	nsdm_gpu_fence_exit();
}

void nsdm_gpu_show(struct seq_file *m)
{
	seq_printf(m, "gpu_buffers %d\n", atomic_read(&nsdm_gpu_nr_buffers));
	seq_printf(m, "gpu_attachments %d\n",
		   atomic_read(&nsdm_gpu_nr_attachments));
	seq_printf(m, "gpu_maps %d\n", atomic_read(&nsdm_gpu_nr_maps));
	seq_printf(m, "gpu_pins %d\n", atomic_read(&nsdm_gpu_nr_pins));
	seq_printf(m, "gpu_fences %d\n", nsdm_gpu_fence_count());
}

DEVMEM_IMPORT_NS_DMA_BUF();
