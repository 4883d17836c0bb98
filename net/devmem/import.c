// SPDX-License-Identifier: GPL-2.0
/*
 * The dma-buf of a binding: attached, mapped, cut into chunks, and given back
 * when the binding or the exporter wants it so. Never looks at the memory: only
 * at DMA addresses. Knows nothing of queues, sockets or packets.
 */
#include <linux/dma-resv.h>
#include <linux/jiffies.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "devmem.h"
#include "trace.h"

/* How long bind-rx waits for whoever still writes to the buffer: a GPU clears or
 * copies one in milliseconds. Meanwhile the device cannot be removed, and no generic
 * netlink family come or go.
 */
#define DEVMEM_WRITERS_MS	1000

/* "drm/amdgpu": the first says nothing of exporters that use PRIME. No longer, since
 * an extack has 80 bytes.
 */
#define DEVMEM_EXPORTER_LEN	28

static const char *devmem_exporter(const struct dma_buf *dmabuf, char *text)
{
	const char *owner = dmabuf->owner ? dmabuf->owner->name : "kernel";

	if (strcmp(dmabuf->exp_name, owner))
		scnprintf(text, DEVMEM_EXPORTER_LEN, "%s/%s",
			  dmabuf->exp_name, owner);
	else
		strscpy(text, owner, DEVMEM_EXPORTER_LEN);
	return text;
}

/* Exporters return errors that have no name in user space; and a netlink request that
 * fails with EINTR is never answered.
 */
static int devmem_exporter_errno(long err)
{
	switch (err) {
	case -ENOTSUPP:
		return -EOPNOTSUPP;
	case -EINTR:
	case -ERESTARTSYS:
	case -ERESTARTNOINTR:
	case -ERESTARTNOHAND:
		return -EAGAIN;
	default:
		return err > -ERESTARTSYS ? err : -EIO;
	}
}

static void devmem_binding_unmap(struct devmem_binding *binding)
{
	dma_resv_assert_held(binding->dmabuf->resv);

	if (!binding->sgt)
		return;
	dma_buf_unmap_attachment(binding->attach, binding->sgt, DMA_FROM_DEVICE);
	binding->sgt = NULL;
	if (!DEVMEM_DMABUF_MAP_PINS)
		dma_buf_unpin(binding->attach);
}

/* The exporter takes the memory back. When this returns no device writes to it
 * any more and nothing of the mapping is left. Comes with the reservation lock
 * held. Tokens stay, so that their holders can give them back in peace.
 */
static void devmem_binding_invalidate(struct dma_buf_attachment *attach)
{
	struct devmem_binding *binding = attach->importer_priv;

	/* An exporter that moves a buffer tells everybody, and it may be us for whom
	 * it does, while we pin or map. Who has no mapping loses none.
	 */
	if (!binding->sgt)
		return;
	WRITE_ONCE(binding->revoked, true);
	if (cmpxchg(&binding->state, NETDEV_DEVMEM_STATE_ACTIVE,
		    NETDEV_DEVMEM_STATE_REVOKED) == NETDEV_DEVMEM_STATE_ACTIVE) {
		trace_devmem_revoke(binding);
		devmem_binding_event(binding, DEVMEM_EVENT_REVOKED);
	}
	synchronize_net();	/* (B) */
	devmem_binding_unmap(binding);
}

static const struct dma_buf_attach_ops devmem_attach_ops = {
	.invalidate_mappings = devmem_binding_invalidate,
};

static const struct dma_buf_attach_ops devmem_attach_pci_ops = {
	.allow_peer2peer = true,
	.invalidate_mappings = devmem_binding_invalidate,
};

/* A maximal DMA-contiguous run of the buffer. */
struct devmem_run {
	u64 start;		/* offset in the dma-buf */
	u64 len;
	dma_addr_t addr;
};

typedef int (*devmem_run_fn)(struct devmem_binding *binding,
			     const struct devmem_run *run,
			     struct netlink_ext_ack *extack);

/* Call @fn for each run of the first @size bytes of the mapping. */
static int devmem_run_walk(struct devmem_binding *binding, u64 size,
			   devmem_run_fn fn, struct netlink_ext_ack *extack)
{
	struct devmem_run run = {};
	struct scatterlist *sg;
	u64 pos = 0;
	int i, err;

	for_each_sgtable_dma_sg(binding->sgt, sg, i) {
		u64 len = min_t(u64, sg_dma_len(sg), size - pos);

		if (!len)
			continue;
		if (run.len && run.addr + run.len == sg_dma_address(sg)) {
			run.len += len;
		} else {
			if (run.len) {
				err = fn(binding, &run, extack);
				if (err)
					return err;
			}
			run.start = pos;
			run.len = len;
			run.addr = sg_dma_address(sg);
		}
		pos += len;
	}
	if (pos < size) {
		NL_SET_ERR_MSG_FMT(extack, "exporter mapped %llu of %llu bytes",
				   pos, size);
		return -EINVAL;
	}
	return fn(binding, &run, extack);
}

/* Refuse what the device cannot reach; lower binding->chunk_shift to what the
 * run allows.
 */
static int devmem_run_check(struct devmem_binding *binding,
			    const struct devmem_run *run,
			    struct netlink_ext_ack *extack)
{
	const struct devmem_dev *ddev = binding->ddev;
	u32 shift = __ffs64(run->start | run->len);

	if (shift < DEVMEM_CHUNK_SHIFT_MIN) {
		NL_SET_ERR_MSG_FMT(extack,
				   "exporter mapped an odd piece: %llu bytes at offset %llu",
				   run->len, run->start);
		return -EINVAL;
	}
	if (ddev->ops->dma_ok &&
	    !ddev->ops->dma_ok(ddev->netdev, run->addr, run->len)) {
		NL_SET_ERR_MSG_FMT(extack,
				   "device cannot reach %llu bytes at offset %llu",
				   run->len, run->start);
		return -EFAULT;
	}
	if (shift < binding->chunk_shift)
		binding->chunk_shift = shift;
	return 0;
}

static int devmem_run_fill(struct devmem_binding *binding,
			   const struct devmem_run *run,
			   struct netlink_ext_ack *extack)
{
	u32 chunk = run->start >> binding->chunk_shift;
	u64 off;

	for (off = 0; off < run->len; off += devmem_binding_chunk_size(binding))
		binding->chunks[chunk++].dma = run->addr + off;
	return 0;
}

/* Cut the mapped buffer into chunks. Decides binding->chunk_shift. */
static int devmem_binding_layout(struct devmem_binding *binding, u32 chunk_size,
				 struct netlink_ext_ack *extack)
{
	u64 size = binding->dmabuf->size;
	u32 want = chunk_size ? ilog2(chunk_size) : DEVMEM_CHUNK_SHIFT_DEFAULT;
	int err;

	if (!size) {
		NL_SET_ERR_MSG(extack, "buffer of 0 bytes");
		return -EINVAL;
	}

	if (chunk_size && size & (chunk_size - 1)) {
		NL_SET_ERR_MSG_FMT(extack,
				   "buffer of %llu bytes is no multiple of chunk size %u",
				   size, chunk_size);
		return -EINVAL;
	}

	binding->chunk_shift = want;
	err = devmem_run_walk(binding, size, devmem_run_check, extack);
	if (err)
		return err;
	if (chunk_size && binding->chunk_shift < want) {
		NL_SET_ERR_MSG_FMT(extack,
				   "chunk size %u: buffer has pieces that allow %u at most",
				   chunk_size, devmem_binding_chunk_size(binding));
		return -EINVAL;
	}
	if (size >> binding->chunk_shift > DEVMEM_MAX_CHUNKS) {
		NL_SET_ERR_MSG_FMT(extack,
				   "%llu bytes in chunks of %u: more than %u chunks",
				   size, devmem_binding_chunk_size(binding),
				   DEVMEM_MAX_CHUNKS);
		return -E2BIG;
	}
	binding->nr_chunks = size >> binding->chunk_shift;

	binding->poison = devmem_frag_poison_alloc(binding->chunk_shift);
	if (!binding->poison || devmem_pool_init(binding)) {
		NL_SET_ERR_MSG_FMT(extack, "no host memory to describe %u chunks of %u bytes",
				   binding->nr_chunks,
				   devmem_binding_chunk_size(binding));
		return -ENOMEM;
	}
	return devmem_run_walk(binding, size, devmem_run_fill, extack);
}

/* The reverse of devmem_binding_open() and _import(). The device does not write any
 * more.
 */
void devmem_binding_unimport(struct devmem_binding *binding)
{
	struct dma_buf *dmabuf = binding->dmabuf;

	if (!dmabuf)
		return;
	if (binding->attach) {
		dma_resv_lock(dmabuf->resv, NULL);
		devmem_binding_unmap(binding);
		dma_resv_unlock(dmabuf->resv);
		dma_buf_detach(dmabuf, binding->attach);
		binding->attach = NULL;
	}
	binding->dmabuf = NULL;
	dma_buf_put(dmabuf);
}

static int devmem_binding_map(struct devmem_binding *binding, u32 chunk_size,
			      struct netlink_ext_ack *extack)
{
	char exporter[DEVMEM_EXPORTER_LEN];
	struct sg_table *sgt;
	int err;

	dma_resv_assert_held(binding->dmabuf->resv);

	/* Payload is placed by a device that knows no page faults. */
	if (!DEVMEM_DMABUF_MAP_PINS) {
		err = dma_buf_pin(binding->attach);
		if (err) {
			err = devmem_exporter_errno(err);
			NL_SET_ERR_MSG_FMT(extack, "exporter %s cannot pin the buffer: error %d",
					   devmem_exporter(binding->dmabuf, exporter),
					   err);
			return err;
		}
	}

	sgt = dma_buf_map_attachment(binding->attach, DMA_FROM_DEVICE);
	if (IS_ERR(sgt)) {
		if (!DEVMEM_DMABUF_MAP_PINS)
			dma_buf_unpin(binding->attach);
		err = devmem_exporter_errno(PTR_ERR(sgt));
		NL_SET_ERR_MSG_FMT(extack, "exporter %s cannot map for %s: error %d",
				   devmem_exporter(binding->dmabuf, exporter),
				   binding->ddev->netdev->name, err);
		return err;
	}
	binding->sgt = sgt;
	return devmem_binding_layout(binding, chunk_size, extack);
}

/* NVIDIA's exporter takes every importer for a PCI device, without a look. */
static bool devmem_exporter_needs_pci(const struct dma_buf *dmabuf)
{
	return !strcmp(dmabuf->exp_name, "nv_dmabuf") ||
	       (dmabuf->owner && !strcmp(dmabuf->owner->name, "nvidia"));
}

static int devmem_binding_attach(struct devmem_binding *binding,
				 struct netlink_ext_ack *extack)
{
	struct device *dma_dev = binding->ddev->dma_dev;
	struct dma_buf *dmabuf = binding->dmabuf;
	struct dma_buf_attachment *attach;
	char exporter[DEVMEM_EXPORTER_LEN];
	bool pci = dev_is_pci(dma_dev);
	int err;

	if (!pci && devmem_exporter_needs_pci(dmabuf)) {
		NL_SET_ERR_MSG_FMT(extack, "exporter %s needs a PCI device, not %s",
				   devmem_exporter(dmabuf, exporter),
				   binding->ddev->netdev->name);
		return -EOPNOTSUPP;
	}

	attach = dma_buf_dynamic_attach(dmabuf, dma_dev,
					pci ? &devmem_attach_pci_ops :
					      &devmem_attach_ops, binding);
	if (IS_ERR(attach)) {
		err = devmem_exporter_errno(PTR_ERR(attach));
		NL_SET_ERR_MSG_FMT(extack, "exporter %s refuses %s: error %d",
				   devmem_exporter(dmabuf, exporter),
				   binding->ddev->netdev->name, err);
		return err;
	}
	binding->attach = attach;
	return 0;
}

/* Whoever still writes finishes first, or what the NIC places is overwritten. Readers
 * are not waited for: what they see while somebody receives there is up to those who
 * share the buffer.
 */
static int devmem_binding_wait(struct devmem_binding *binding,
			       struct netlink_ext_ack *extack)
{
	char exporter[DEVMEM_EXPORTER_LEN];
	long ret;

	ret = dma_resv_wait_timeout(binding->dmabuf->resv, DMA_RESV_USAGE_WRITE,
				    true, msecs_to_jiffies(DEVMEM_WRITERS_MS));
	if (ret > 0)
		return 0;
	if (!ret) {
		NL_SET_ERR_MSG_FMT(extack, "exporter %s still writes to the buffer: try again",
				   devmem_exporter(binding->dmabuf, exporter));
		return -ETIMEDOUT;
	}
	NL_SET_ERR_MSG(extack, "interrupted while the exporter still wrote to the buffer");
	return devmem_exporter_errno(ret);
}

/* The dma-buf that @fd stands for, if it may be written to: who receives writes. The
 * caller puts it. -EBADF: not open; -EINVAL: no dma-buf; -EACCES: for reading only.
 */
struct dma_buf *devmem_dmabuf_get(int fd)
{
	struct dma_buf *dmabuf = dma_buf_get(fd);

	/* a dma-buf has one file, which cannot be opened again */
	if (!IS_ERR(dmabuf) && !(dmabuf->file->f_mode & FMODE_WRITE)) {
		dma_buf_put(dmabuf);
		return ERR_PTR(-EACCES);
	}
	return dmabuf;
}

/* Errors as for bind-rx, with @extack set. Undone by devmem_binding_unimport(). */
int devmem_binding_open(struct devmem_binding *binding, int fd,
			struct netlink_ext_ack *extack)
{
	struct dma_buf *dmabuf = devmem_dmabuf_get(fd);

	switch (PTR_ERR_OR_ZERO(dmabuf)) {
	case 0:
		binding->dmabuf = dmabuf;
		/* counted up in 64 bits, never reused */
		binding->dmabuf_ino = file_inode(dmabuf->file)->i_ino;
		return 0;
	case -EBADF:
		NL_SET_ERR_MSG_FMT(extack, "fd %d is not open", fd);
		break;
	case -EACCES:
		NL_SET_ERR_MSG_FMT(extack, "fd %d is open for reading only", fd);
		break;
	default:
		NL_SET_ERR_MSG_FMT(extack, "fd %d is not a dma-buf", fd);
	}
	return PTR_ERR(dmabuf);
}

/* Errors as for bind-rx, with @extack set; after one devmem_binding_unimport() is
 * due, too. The caller holds a reference on the device and has taken no lock: the
 * exporter may take its time.
 */
int devmem_binding_import(struct devmem_binding *binding, u32 chunk_size,
			  struct netlink_ext_ack *extack)
{
	int err;

	err = devmem_binding_attach(binding, extack);
	if (err)
		return err;

	dma_resv_lock(binding->dmabuf->resv, NULL);
	err = devmem_binding_map(binding, chunk_size, extack);
	dma_resv_unlock(binding->dmabuf->resv);

	return err ?: devmem_binding_wait(binding, extack);
}
