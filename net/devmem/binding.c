// SPDX-License-Identifier: GPL-2.0
/*
 * Bindings: a buffer (import.c) bound to queues of a device. Owns the binding's
 * life, its number and its queues. Knows nothing of sockets or packets.
 */
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/slab.h>
#include <net/net_namespace.h>

#include "devmem.h"
#include "trace.h"

/* All bindings that are not freed yet, by id. */
static DEFINE_XARRAY_ALLOC1(devmem_bindings);
static u32 devmem_bindings_next;

/* Nobody registers between another's look for his buffer and his registration. */
static DEFINE_MUTEX(devmem_register_lock);

static void devmem_binding_free(struct devmem_binding *binding)
{
	if (binding->id)
		xa_erase(&devmem_bindings, binding->id);
	devmem_pool_destroy(binding);
	devmem_frag_poison_free(binding->poison);
	kfree(binding->queues);
	free_percpu(binding->stats);
	put_pid(binding->pid);
	devmem_dev_put(binding->ddev);
	kfree(binding);
	devmem_object_add(DEVMEM_OBJ_BINDINGS, -1);
	module_put(THIS_MODULE);
}

static void devmem_binding_part_gone(struct devmem_binding *binding)
{
	if (refcount_dec_and_test(&binding->parts))
		devmem_binding_free(binding);
}

static void devmem_binding_free_work(struct work_struct *work)
{
	devmem_binding_part_gone(container_of(to_rcu_work(work), struct devmem_binding,
					      free_work));
}

/* Any context: the last holder may be an skb that softirq frees. From then on
 * nobody finds the binding any more.
 */
void devmem_binding_put(struct devmem_binding *binding)
{
	if (refcount_dec_and_test(&binding->ref))
		queue_rcu_work(devmem_wq, &binding->free_work);
}

/* Nobody can find a chunk any more, and whoever put the last one has left it alone
 * since: of the pool only its counts remain.
 */
static void devmem_binding_pool_work(struct work_struct *work)
{
	struct devmem_binding *binding =
		container_of(to_rcu_work(work), struct devmem_binding, pool_work);

	devmem_pool_destroy(binding);
	devmem_frag_poison_free(binding->poison);
	binding->poison = NULL;
	devmem_binding_part_gone(binding);
}

/* The pool is closed and the last chunk has come back. Any context, with locks of the
 * pool held.
 */
void devmem_binding_pool_full(struct devmem_binding *binding)
{
	queue_rcu_work(devmem_wq, &binding->pool_work);
	devmem_binding_put(binding);
}

/* The caller puts the result. To @net the bindings of others do not exist. */
struct devmem_binding *devmem_binding_lookup(const struct net *net, u32 id)
{
	struct devmem_binding *binding;

	xa_lock(&devmem_bindings);
	binding = xa_load(&devmem_bindings, id);
	if (binding && (binding->net_cookie != net->net_cookie ||
			!refcount_inc_not_zero(&binding->ref)))
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

/* Chunks that can still be written to or read: all until the device has given the
 * buffer back, then those that somebody holds.
 */
static u32 devmem_binding_in_use(struct devmem_binding *binding)
{
	bool closed;

	spin_lock_bh(&binding->pool.lock);
	closed = binding->pool.closed;
	spin_unlock_bh(&binding->pool.lock);
	return binding->nr_chunks - (closed ? devmem_pool_free_chunks(binding) : 0);
}

/* Two bindings of a buffer would each hand out what the other has given away. */
static int devmem_binding_check_buffer(const struct devmem_binding *binding,
				       struct netlink_ext_ack *extack)
{
	struct devmem_binding *other;
	unsigned long id;
	int err = 0;
	u32 n;

	xa_lock(&devmem_bindings);
	xa_for_each(&devmem_bindings, id, other) {
		if (other->dmabuf_ino != binding->dmabuf_ino)
			continue;
		n = devmem_binding_in_use(other);
		if (!n)
			continue;
		err = -EBUSY;
		if (READ_ONCE(other->state) != NETDEV_DEVMEM_STATE_CLOSING) {
			NL_SET_ERR_MSG_FMT(extack,
					   "dma-buf is bound already: binding %u, pid %d (%s)",
					   other->id, pid_vnr(other->pid),
					   other->comm);
			break;
		}
		NL_SET_ERR_MSG_FMT(extack,
				   "binding %u, pid %d (%s) still holds %u of its chunks",
				   other->id, pid_vnr(other->pid), other->comm, n);
	}
	xa_unlock(&devmem_bindings);
	return err;
}

/* Give the binding its number, if nobody has its buffer. */
static int devmem_binding_register(struct devmem_binding *binding,
				   struct netlink_ext_ack *extack)
{
	int err;

	mutex_lock(&devmem_register_lock);
	err = devmem_binding_check_buffer(binding, extack);
	if (!err) {
		err = xa_alloc_cyclic(&devmem_bindings, &binding->id, binding,
				      XA_LIMIT(1, U32_MAX), &devmem_bindings_next,
				      GFP_KERNEL_ACCOUNT);
		if (err < 0)
			/* the number that was tried: it may be another's by now */
			binding->id = 0;
	}
	mutex_unlock(&devmem_register_lock);
	return err < 0 ? err : 0;
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
	if (!(READ_ONCE(ddev->netdev->flags) & IFF_UP)) {
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
	refcount_set(&binding->parts, 1);
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
	INIT_RCU_WORK(&binding->pool_work, devmem_binding_pool_work);
	INIT_RCU_WORK(&binding->free_work, devmem_binding_free_work);
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

	err = devmem_guard_enable(args->net);
	if (err) {
		NL_SET_ERR_MSG_FMT(extack, "no netfilter hook for the binding: error %d", err);
		goto err_put;
	}

	err = devmem_binding_open(binding, args->fd, extack) ?:
	      devmem_binding_check_buffer(binding, extack) ?:
	      devmem_binding_import(binding, args->chunk_size, extack);
	if (err)
		goto err_unimport;

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
	err = devmem_binding_register(binding, extack);
	if (err)
		goto err_queues;

	refcount_add(2, &binding->ref);	/* the device's and the pool's */
	refcount_inc(&binding->parts);	/* the pool */
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
err_unimport:
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
	WRITE_ONCE(binding->bound, false);
	list_del_init(&binding->dev_node);
	WRITE_ONCE(binding->state, NETDEV_DEVMEM_STATE_CLOSING);

	list_for_each_entry_safe(flow, tmp, &ddev->flows, node)
		if (flow->binding == binding)
			devmem_flow_del_rule(flow);
	devmem_binding_put_queues(binding, binding->nr_queues);

	synchronize_net();	/* (B) */
	devmem_pool_close(binding);
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
