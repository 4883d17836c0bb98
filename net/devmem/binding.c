// SPDX-License-Identifier: GPL-2.0
/*
 * Bindings: a dma-buf, imported, cut into chunks and bound to queues. Owns the
 * dma-buf side (attachment, mapping, revocation), the binding's life and its
 * number. Knows nothing of sockets or packets, and never looks at the memory:
 * only at DMA addresses.
 */
#include <linux/dma-resv.h>
#include <linux/log2.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/slab.h>
#include <net/net_namespace.h>

#include "devmem.h"
#include "trace.h"

/* All bindings that are not freed yet, by id. */
static DEFINE_XARRAY_ALLOC1(devmem_bindings);
static u32 devmem_bindings_next;

static void devmem_binding_free_work(struct work_struct *work)
{
	struct devmem_binding *binding =
		container_of(work, struct devmem_binding, free_work);

	if (binding->id)
		xa_erase(&devmem_bindings, binding->id);
	devmem_pool_destroy(binding);
	devmem_frag_poison_free(binding->poison, binding->chunk_shift);
	kvfree(binding->dma);
	kfree(binding->queues);
	free_percpu(binding->stats);
	put_pid(binding->pid);
	devmem_dev_put(binding->ddev);
	kfree(binding);
	devmem_object_add(DEVMEM_OBJ_BINDINGS, -1);
	module_put(THIS_MODULE);
}

/* Any context: the last holder may be an skb that softirq frees. */
void devmem_binding_put(struct devmem_binding *binding)
{
	if (refcount_dec_and_test(&binding->ref))
		queue_work(devmem_wq, &binding->free_work);
}

/* The caller puts the result. Bindings of any network namespace are found. */
struct devmem_binding *devmem_binding_lookup(u32 id)
{
	struct devmem_binding *binding;

	xa_lock(&devmem_bindings);
	binding = xa_load(&devmem_bindings, id);
	if (binding && !refcount_inc_not_zero(&binding->ref))
		binding = NULL;
	xa_unlock(&devmem_bindings);
	return binding;
}

/* The first binding with a number of at least *@id, which is set to it. The
 * caller puts the result.
 */
struct devmem_binding *devmem_binding_next(unsigned long *id)
{
	struct devmem_binding *binding;

	xa_lock(&devmem_bindings);
	for (binding = xa_find(&devmem_bindings, id, ULONG_MAX, XA_PRESENT);
	     binding && !refcount_inc_not_zero(&binding->ref);
	     binding = xa_find_after(&devmem_bindings, id, ULONG_MAX, XA_PRESENT))
		;
	xa_unlock(&devmem_bindings);
	return binding;
}

void devmem_binding_exit(void)
{
	WARN_ON(!xa_empty(&devmem_bindings));
	xa_destroy(&devmem_bindings);
}

static void devmem_binding_event_work(struct work_struct *work)
{
	struct devmem_binding *binding =
		container_of(work, struct devmem_binding, event_work);
	struct devmem_dev *ddev = binding->ddev;

	mutex_lock(&ddev->lock);
	if (binding->bound) {
		struct net *net = dev_net(ddev->netdev);

		if (test_and_clear_bit(DEVMEM_EVENT_PRESSURE, &binding->events))
			devmem_nl_notify(binding, net,
					 NETDEV_DEVMEM_CMD_PRESSURE_NTF);
		if (test_and_clear_bit(DEVMEM_EVENT_REVOKED, &binding->events))
			devmem_nl_notify(binding, net,
					 NETDEV_DEVMEM_CMD_UNBIND_NTF);
	}
	mutex_unlock(&ddev->lock);
	devmem_binding_put(binding);
}

/* Tell listeners, soon. Any context; the caller holds a reference. */
void devmem_binding_event(struct devmem_binding *binding, enum devmem_event event)
{
	set_bit(event, &binding->events);
	refcount_inc(&binding->ref);
	if (!queue_work(devmem_wq, &binding->event_work))
		devmem_binding_put(binding);
}

static void devmem_binding_unmap(struct devmem_binding *binding)
{
	dma_resv_assert_held(binding->dmabuf->resv);

	if (!binding->sgt)
		return;
	dma_buf_unmap_attachment(binding->attach, binding->sgt, DMA_FROM_DEVICE);
	binding->sgt = NULL;
	if (IS_ENABLED(CONFIG_DMABUF_MOVE_NOTIFY))
		dma_buf_unpin(binding->attach);
}

/* The exporter takes the memory back. When this returns no device writes to it
 * any more and nothing of the mapping is left. Comes with the reservation lock
 * held. Tokens stay, so that their holders can give them back in peace.
 */
static void devmem_binding_move_notify(struct dma_buf_attachment *attach)
{
	struct devmem_binding *binding = attach->importer_priv;

	if (cmpxchg(&binding->state, NETDEV_DEVMEM_STATE_ACTIVE,
		    NETDEV_DEVMEM_STATE_REVOKED) == NETDEV_DEVMEM_STATE_ACTIVE) {
		trace_devmem_revoke(binding);
		devmem_binding_event(binding, DEVMEM_EVENT_REVOKED);
	}
	synchronize_net();	/* (B) */
	devmem_binding_unmap(binding);
}

static const struct dma_buf_attach_ops devmem_attach_ops = {
	.allow_peer2peer = true,
	.move_notify = devmem_binding_move_notify,
};

/* A maximal DMA-contiguous run of the buffer. */
struct devmem_run {
	u64 start;		/* offset in the dma-buf */
	u64 len;
	dma_addr_t addr;
};

/* Call @fn for each run of the first @size bytes of @sgt. */
static int devmem_for_each_run(struct devmem_binding *binding, u64 size,
			       int (*fn)(struct devmem_binding *binding,
					 const struct devmem_run *run,
					 struct netlink_ext_ack *extack),
			       struct netlink_ext_ack *extack)
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
		binding->dma[chunk++] = run->addr + off;
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
	err = devmem_for_each_run(binding, size, devmem_run_check, extack);
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

	binding->dma = kvmalloc_array(binding->nr_chunks, sizeof(*binding->dma),
				      GFP_KERNEL_ACCOUNT);
	binding->poison = devmem_frag_poison_alloc(binding->chunk_shift);
	if (!binding->dma || !binding->poison || devmem_pool_init(binding)) {
		NL_SET_ERR_MSG_FMT(extack, "no host memory to describe %u chunks of %u bytes",
				   binding->nr_chunks,
				   devmem_binding_chunk_size(binding));
		return -ENOMEM;
	}
	return devmem_for_each_run(binding, size, devmem_run_fill, extack);
}

/* The reverse of devmem_binding_import(). The device does not write any more. */
static void devmem_binding_unimport(struct devmem_binding *binding)
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
	struct sg_table *sgt;
	int err;

	dma_resv_assert_held(binding->dmabuf->resv);

	/* Payload is placed by a device that knows no page faults. */
	if (IS_ENABLED(CONFIG_DMABUF_MOVE_NOTIFY)) {
		err = dma_buf_pin(binding->attach);
		if (err) {
			NL_SET_ERR_MSG_FMT(extack, "exporter cannot pin the buffer: error %d",
					   err);
			return err;
		}
	}

	sgt = dma_buf_map_attachment(binding->attach, DMA_FROM_DEVICE);
	if (IS_ERR(sgt)) {
		if (IS_ENABLED(CONFIG_DMABUF_MOVE_NOTIFY))
			dma_buf_unpin(binding->attach);
		NL_SET_ERR_MSG_FMT(extack, "exporter cannot map the buffer for %s: error %ld",
				   binding->ddev->netdev->name, PTR_ERR(sgt));
		return PTR_ERR(sgt);
	}
	binding->sgt = sgt;
	return devmem_binding_layout(binding, chunk_size, extack);
}

static int devmem_binding_import(struct devmem_binding *binding, int fd,
				 u32 chunk_size, struct netlink_ext_ack *extack)
{
	struct dma_buf_attachment *attach;
	struct dma_buf *dmabuf;
	long ret;
	int err;

	dmabuf = dma_buf_get(fd);
	if (IS_ERR(dmabuf)) {
		err = PTR_ERR(dmabuf);
		NL_SET_ERR_MSG_FMT(extack, "fd %d is not %s", fd,
				   err == -EBADF ? "open" : "a dma-buf");
		return err;
	}
	binding->dmabuf = dmabuf;

	attach = dma_buf_dynamic_attach(dmabuf, binding->ddev->dma_dev,
					&devmem_attach_ops, binding);
	if (IS_ERR(attach)) {
		err = PTR_ERR(attach);
		NL_SET_ERR_MSG_FMT(extack, "exporter %s refuses %s: error %d",
				   dmabuf->exp_name,
				   binding->ddev->netdev->name, err);
		goto err_unimport;
	}
	binding->attach = attach;

	dma_resv_lock(dmabuf->resv, NULL);
	err = devmem_binding_map(binding, chunk_size, extack);
	dma_resv_unlock(dmabuf->resv);
	if (err)
		goto err_unimport;

	/* whoever still uses the buffer finishes first */
	ret = dma_resv_wait_timeout(dmabuf->resv, dma_resv_usage_rw(true), true,
				    MAX_SCHEDULE_TIMEOUT);
	if (ret < 0) {
		err = ret;
		NL_SET_ERR_MSG(extack, "interrupted while the exporter still used the buffer");
		goto err_unimport;
	}
	return 0;

err_unimport:
	devmem_binding_unimport(binding);
	return err;
}

static int devmem_binding_check_queues(struct devmem_binding *binding,
				       struct netlink_ext_ack *extack)
{
	const struct devmem_dev *ddev = binding->ddev;
	u32 max = ddev->netdev->real_num_rx_queues;
	struct devmem_binding *other;
	u32 i, j;

	for (i = 0; i < binding->nr_queues; i++) {
		u32 queue = binding->queues[i];

		if (queue >= max) {
			NL_SET_ERR_MSG_FMT(extack, "queue %u out of range, device has %u",
					   queue, max);
			return -ERANGE;
		}
		for (j = 0; j < i; j++)
			if (binding->queues[j] == queue) {
				NL_SET_ERR_MSG_FMT(extack, "queue %u given twice",
						   queue);
				return -EINVAL;
			}
		other = xa_load((struct xarray *)&ddev->queues, queue);
		if (other) {
			NL_SET_ERR_MSG_FMT(extack,
					   "queue %u bound already: binding %u, pid %d (%s)",
					   queue, other->id,
					   pid_vnr(other->pid), other->comm);
			return -EBUSY;
		}
	}
	return 0;
}

static void devmem_binding_put_queues(struct devmem_binding *binding, u32 nr)
{
	struct devmem_dev *ddev = binding->ddev;

	while (nr--) {
		ddev->ops->queue_unbind(ddev->netdev, binding->queues[nr]);
		xa_erase(&ddev->queues, binding->queues[nr]);
	}
}

static int devmem_binding_get_queues(struct devmem_binding *binding,
				     struct netlink_ext_ack *extack)
{
	struct devmem_dev *ddev = binding->ddev;
	u32 i;
	int err;

	for (i = 0; i < binding->nr_queues; i++) {
		err = xa_err(xa_store(&ddev->queues, binding->queues[i], binding,
				      GFP_KERNEL));
		if (err)
			goto err_put;
		err = ddev->ops->queue_bind(ddev->netdev, binding->queues[i],
					    binding, extack);
		if (err) {
			xa_erase(&ddev->queues, binding->queues[i]);
			goto err_put;
		}
	}
	return 0;

err_put:
	devmem_binding_put_queues(binding, i);
	return err;
}

/* Is the device still what the caller saw? */
static int devmem_binding_check_dev(struct devmem_binding *binding,
				    const struct net *net,
				    struct netlink_ext_ack *extack)
{
	const struct devmem_dev *ddev = binding->ddev;

	lockdep_assert_held(&ddev->lock);

	if (ddev->dead || !net_eq(dev_net(ddev->netdev), net)) {
		NL_SET_ERR_MSG_FMT(extack, "interface %d went away",
				   binding->ifindex);
		return -ENODEV;
	}
	if (!(ddev->netdev->flags & IFF_UP)) {
		NL_SET_ERR_MSG_FMT(extack, "%s is down", ddev->netdev->name);
		return -ENETDOWN;
	}
	return 0;
}

static struct devmem_binding *devmem_binding_alloc(const struct devmem_bind_args *args,
						   struct netlink_ext_ack *extack)
{
	struct devmem_binding *binding;
	struct devmem_dev *ddev;

	ddev = devmem_dev_find(args->netdev);
	if (!ddev) {
		NL_SET_ERR_MSG_FMT(extack, "%s cannot receive into device memory",
				   args->netdev->name);
		return ERR_PTR(-EOPNOTSUPP);
	}

	binding = kzalloc(sizeof(*binding), GFP_KERNEL_ACCOUNT);
	if (!binding)
		goto err_dev;
	binding->stats = alloc_percpu_gfp(struct devmem_stats, GFP_KERNEL_ACCOUNT);
	binding->queues = kmemdup_array(args->queues, args->nr_queues,
					sizeof(*args->queues), GFP_KERNEL_ACCOUNT);
	if (!binding->stats || !binding->queues)
		goto err_free;

	refcount_set(&binding->ref, 1);
	binding->ddev = ddev;
	binding->nr_queues = args->nr_queues;
	binding->ifindex = args->netdev->ifindex;
	binding->net_cookie = args->net->net_cookie;
	binding->pid = get_pid(task_tgid(current));
	get_task_comm(binding->comm, current);
	binding->state = NETDEV_DEVMEM_STATE_ACTIVE;
	spin_lock_init(&binding->pool.lock);
	INIT_LIST_HEAD(&binding->dev_node);
	INIT_LIST_HEAD(&binding->owner_node);
	INIT_WORK(&binding->event_work, devmem_binding_event_work);
	INIT_WORK(&binding->free_work, devmem_binding_free_work);
	__module_get(THIS_MODULE);
	devmem_object_add(DEVMEM_OBJ_BINDINGS, 1);
	return binding;

err_free:
	kfree(binding->queues);
	free_percpu(binding->stats);
	kfree(binding);
err_dev:
	devmem_dev_put(ddev);
	return ERR_PTR(-ENOMEM);
}

/* Bind. The caller holds a reference on the device; it owns the result until
 * it calls devmem_binding_unbind(), and puts its reference after that.
 */
struct devmem_binding *devmem_binding_create(const struct devmem_bind_args *args,
					     struct netlink_ext_ack *extack)
{
	struct devmem_binding *binding;
	struct devmem_dev *ddev;
	int err;

	binding = devmem_binding_alloc(args, extack);
	if (IS_ERR(binding))
		return binding;
	ddev = binding->ddev;

	/* Refuse cheaply first; asked again once the buffer is mapped, for that
	 * may take long and must not hold up the device's removal.
	 */
	mutex_lock(&ddev->lock);
	err = devmem_binding_check_dev(binding, args->net, extack) ?:
	      devmem_binding_check_queues(binding, extack);
	mutex_unlock(&ddev->lock);
	if (err)
		goto err_put;

	err = devmem_binding_import(binding, args->fd, args->chunk_size, extack);
	if (err)
		goto err_put;

	mutex_lock(&ddev->lock);
	err = devmem_binding_check_dev(binding, args->net, extack) ?:
	      devmem_binding_check_queues(binding, extack);
	if (err)
		goto err_unlock;
	if (READ_ONCE(binding->state) != NETDEV_DEVMEM_STATE_ACTIVE) {
		NL_SET_ERR_MSG(extack, "exporter took the buffer back");
		err = -ESHUTDOWN;
		goto err_unlock;
	}
	if (!try_module_get(ddev->ops->owner)) {
		NL_SET_ERR_MSG_FMT(extack, "driver of %s is going away",
				   ddev->netdev->name);
		err = -ENODEV;
		goto err_unlock;
	}
	err = devmem_binding_get_queues(binding, extack);
	if (err)
		goto err_module;
	err = xa_alloc_cyclic(&devmem_bindings, &binding->id, binding,
			      XA_LIMIT(1, U32_MAX), &devmem_bindings_next,
			      GFP_KERNEL_ACCOUNT);
	if (err < 0)
		goto err_queues;

	refcount_inc(&binding->ref);	/* the device's */
	binding->bound = true;
	list_add_tail(&binding->dev_node, &ddev->bindings);
	trace_devmem_bind(binding);
	devmem_nl_notify(binding, args->net, NETDEV_DEVMEM_CMD_BIND_NTF);
	mutex_unlock(&ddev->lock);
	return binding;

err_queues:
	devmem_binding_put_queues(binding, binding->nr_queues);
err_module:
	module_put(ddev->ops->owner);
err_unlock:
	mutex_unlock(&ddev->lock);
	devmem_binding_unimport(binding);
err_put:
	devmem_binding_put(binding);
	return ERR_PTR(err);
}

/* Take everything back from the device and the exporter. Afterwards the binding
 * is only a number with counters, alive for those who still hold tokens.
 */
void __devmem_binding_unbind(struct devmem_binding *binding)
{
	struct devmem_dev *ddev = binding->ddev;
	struct devmem_flow *flow, *tmp;

	lockdep_assert_held(&ddev->lock);

	if (!binding->bound)
		return;
	binding->bound = false;
	list_del_init(&binding->dev_node);
	WRITE_ONCE(binding->state, NETDEV_DEVMEM_STATE_CLOSING);

	list_for_each_entry_safe(flow, tmp, &ddev->flows, node)
		if (flow->binding == binding)
			devmem_flow_del_rule(flow);
	devmem_binding_put_queues(binding, binding->nr_queues);

	synchronize_net();	/* (B) */
	devmem_binding_unimport(binding);
	module_put(ddev->ops->owner);

	trace_devmem_unbind(binding);
	devmem_nl_notify(binding, dev_net(ddev->netdev),
			 NETDEV_DEVMEM_CMD_UNBIND_NTF);
	devmem_binding_put(binding);
}

/* Does nothing if the device went first. */
void devmem_binding_unbind(struct devmem_binding *binding)
{
	mutex_lock(&binding->ddev->lock);
	__devmem_binding_unbind(binding);
	mutex_unlock(&binding->ddev->lock);
}
