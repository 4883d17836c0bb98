// SPDX-License-Identifier: GPL-2.0
/*
 * Registered devices: which NIC can receive into device memory, and what is
 * taken back from it when it goes or changes its network namespace. Knows
 * nothing of dma-bufs, packets or sockets.
 */
#include <linux/rtnetlink.h>

#include "devmem.h"

static LIST_HEAD(devmem_devs);
static DEFINE_MUTEX(devmem_devs_lock);	/* protects devmem_devs; innermost */

static struct devmem_dev *devmem_dev_lookup(const struct net_device *dev)
	__must_hold(&devmem_devs_lock)
{
	struct devmem_dev *ddev;

	list_for_each_entry(ddev, &devmem_devs, node)
		if (ddev->netdev == dev)
			return ddev;
	return NULL;
}

/* The caller holds a reference on @dev and puts the result. */
struct devmem_dev *devmem_dev_find(const struct net_device *dev)
{
	struct devmem_dev *ddev;

	mutex_lock(&devmem_devs_lock);
	ddev = devmem_dev_lookup(dev);
	if (ddev)
		refcount_inc(&ddev->ref);
	mutex_unlock(&devmem_devs_lock);
	return ddev;
}

void devmem_dev_put(struct devmem_dev *ddev)
{
	if (!refcount_dec_and_test(&ddev->ref))
		return;
	xa_destroy(&ddev->queues);
	mutex_destroy(&ddev->lock);
	kfree(ddev);
	devmem_object_add(DEVMEM_OBJ_DEVICES, -1);
}

int devmem_dev_register(struct net_device *dev, struct device *dma_dev,
			const struct devmem_dev_ops *ops)
{
	struct devmem_dev *ddev;

	if (WARN_ON(!dma_dev || !ops->owner || !ops->queue_bind ||
		    !ops->queue_unbind || !ops->flow_add || !ops->flow_del))
		return -EINVAL;

	ddev = kzalloc(sizeof(*ddev), GFP_KERNEL);
	if (!ddev)
		return -ENOMEM;

	refcount_set(&ddev->ref, 1);
	ddev->netdev = dev;
	ddev->dma_dev = dma_dev;
	ddev->ops = ops;
	mutex_init(&ddev->lock);
	init_llist_head(&ddev->gone);
	INIT_WORK(&ddev->gone_work, devmem_flow_gone_work);
	INIT_LIST_HEAD(&ddev->bindings);
	INIT_LIST_HEAD(&ddev->flows);
	xa_init(&ddev->queues);

	mutex_lock(&devmem_devs_lock);
	if (devmem_dev_lookup(dev)) {
		mutex_unlock(&devmem_devs_lock);
		kfree(ddev);
		return -EEXIST;
	}
	list_add_tail(&ddev->node, &devmem_devs);
	devmem_object_add(DEVMEM_OBJ_DEVICES, 1);
	mutex_unlock(&devmem_devs_lock);
	return 0;
}
EXPORT_SYMBOL_GPL(devmem_dev_register);

static void devmem_dev_unbind_all(struct devmem_dev *ddev)
	__must_hold(&ddev->lock)
{
	struct devmem_binding *binding, *tmp;

	list_for_each_entry_safe(binding, tmp, &ddev->bindings, dev_node)
		__devmem_binding_unbind(binding);
}

void devmem_dev_unregister(struct net_device *dev)
{
	struct devmem_dev *ddev;

	mutex_lock(&devmem_devs_lock);
	ddev = devmem_dev_lookup(dev);
	if (ddev)
		list_del(&ddev->node);
	mutex_unlock(&devmem_devs_lock);
	if (!ddev)
		return;

	mutex_lock(&ddev->lock);
	devmem_dev_unbind_all(ddev);
	ddev->dead = true;
	mutex_unlock(&ddev->lock);
	devmem_dev_put(ddev);
}
EXPORT_SYMBOL_GPL(devmem_dev_unregister);

/* A device that leaves its network namespace leaves its bindings behind: the
 * sockets and the rights were those of the old one.
 */
static int devmem_dev_event(struct notifier_block *nb, unsigned long event,
			    void *ptr)
{
	struct devmem_dev *ddev;

	if (event != NETDEV_UNREGISTER)
		return NOTIFY_DONE;

	ddev = devmem_dev_find(netdev_notifier_info_to_dev(ptr));
	if (ddev) {
		mutex_lock(&ddev->lock);
		devmem_dev_unbind_all(ddev);
		mutex_unlock(&ddev->lock);
		devmem_dev_put(ddev);
	}
	return NOTIFY_DONE;
}

static struct notifier_block devmem_dev_notifier = {
	.notifier_call = devmem_dev_event,
};

int devmem_dev_init(void)
{
	return register_netdevice_notifier(&devmem_dev_notifier);
}

void devmem_dev_exit(void)
{
	unregister_netdevice_notifier(&devmem_dev_notifier);
}
