// SPDX-License-Identifier: GPL-2.0
/*
 * Module init and exit. Owns the workqueue; knows only the order in which the
 * parts come and go.
 */
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <net/genetlink.h>

#include "devmem.h"

struct workqueue_struct *devmem_wq;

static int __init devmem_init(void)
{
	int err;

	devmem_wq = alloc_workqueue("netdev-devmem", WQ_UNBOUND, 0);
	if (!devmem_wq)
		return -ENOMEM;

	devmem_stats_init();

	err = devmem_dev_init();
	if (err)
		goto err_stats;

	err = devmem_guard_init();
	if (err)
		goto err_dev;

	err = devmem_nl_init();
	if (err)
		goto err_guard;

	err = devmem_ulp_init();
	if (err)
		goto err_nl;

	return 0;

err_nl:
	devmem_nl_exit();
err_guard:
	devmem_guard_exit();
err_dev:
	devmem_dev_exit();
err_stats:
	devmem_stats_exit();
	destroy_workqueue(devmem_wq);
	return err;
}

/* No binding, attached socket or registered device exists here: each pins the
 * module. What may still run is the end of a work item, of an RCU callback, or
 * of devmem_close(), whose task has given the module up just before its return.
 */
static void __exit devmem_exit(void)
{
	devmem_ulp_exit();
	devmem_nl_exit();
	devmem_guard_exit();
	devmem_dev_exit();
	devmem_stats_exit();
	rcu_barrier();
	destroy_workqueue(devmem_wq);
	devmem_binding_exit();
	synchronize_rcu_tasks();
}

module_init(devmem_init);
module_exit(devmem_exit);

MODULE_DESCRIPTION("Device-memory TCP: dma-buf backed receive for stock kernels");
MODULE_LICENSE("GPL");
/* No MODULE_ALIAS_GENL_FAMILY(): anybody can ask for a family, and without a driver,
 * which brings this module along, it could answer nothing but ENODEV.
 */
DEVMEM_IMPORT_NS_DMA_BUF();
