/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The only file that knows kernel versions.
 */
#ifndef _NET_DEVMEM_COMPAT_H
#define _NET_DEVMEM_COMPAT_H

#include <linux/module.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#error "netdev-devmem needs Linux 6.12 or newer: older kernels have no notion of unreadable payload"
#endif

#ifndef CONFIG_64BIT
#error "netdev-devmem needs a 64-bit kernel"
#endif

#ifndef CONFIG_NETFILTER
#error "netdev-devmem needs CONFIG_NETFILTER, to keep urgent pointers from TCP"
#endif

/* MODULE_IMPORT_NS() takes a string since 6.13. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 13, 0)
#define DEVMEM_IMPORT_NS_DMA_BUF()	MODULE_IMPORT_NS(DMA_BUF)
#else
#define DEVMEM_IMPORT_NS_DMA_BUF()	MODULE_IMPORT_NS("DMA_BUF")
#endif

#endif /* _NET_DEVMEM_COMPAT_H */
