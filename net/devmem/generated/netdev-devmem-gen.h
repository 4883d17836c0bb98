/* SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause) */
/* Do not edit directly, auto-generated from: */
/*	Documentation/netlink/specs/netdev-devmem.yaml */
/* YNL-GEN kernel header */

#ifndef _LINUX_NETDEV_DEVMEM_GEN_H
#define _LINUX_NETDEV_DEVMEM_GEN_H

#include <net/netlink.h>
#include <net/genetlink.h>

#include <uapi/linux/netdev-devmem-genl.h>
#include <linux/list.h>

int netdev_devmem_nl_bind_get_start(struct netlink_callback *cb);

int netdev_devmem_nl_bind_rx_doit(struct sk_buff *skb, struct genl_info *info);
int netdev_devmem_nl_bind_get_doit(struct sk_buff *skb, struct genl_info *info);
int netdev_devmem_nl_bind_get_dumpit(struct sk_buff *skb,
				     struct netlink_callback *cb);

enum {
	NETDEV_DEVMEM_NLGRP_BINDINGS,
};

extern struct genl_family netdev_devmem_nl_family;

void netdev_devmem_nl_sock_priv_init(struct list_head *priv);
void netdev_devmem_nl_sock_priv_destroy(struct list_head *priv);

#endif /* _LINUX_NETDEV_DEVMEM_GEN_H */
