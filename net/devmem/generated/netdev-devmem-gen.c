// SPDX-License-Identifier: ((GPL-2.0 WITH Linux-syscall-note) OR BSD-3-Clause)
/* Do not edit directly, auto-generated from: */
/*	Documentation/netlink/specs/netdev-devmem.yaml */
/* YNL-GEN kernel source */

#include <net/netlink.h>
#include <net/genetlink.h>

#include "netdev-devmem-gen.h"

#include <uapi/linux/netdev-devmem-genl.h>
#include <linux/list.h>

/* Integer value ranges */
static const struct netlink_range_validation netdev_devmem_a_binding_ifindex_range = {
	.min	= 1ULL,
	.max	= S32_MAX,
};

/* NETDEV_DEVMEM_CMD_BIND_RX - do */
static const struct nla_policy netdev_devmem_bind_rx_nl_policy[NETDEV_DEVMEM_A_BINDING_CHUNK_SIZE + 1] = {
	[NETDEV_DEVMEM_A_BINDING_IFINDEX] = NLA_POLICY_FULL_RANGE(NLA_U32, &netdev_devmem_a_binding_ifindex_range),
	[NETDEV_DEVMEM_A_BINDING_QUEUE] = { .type = NLA_U32, },
	[NETDEV_DEVMEM_A_BINDING_FD] = { .type = NLA_U32, },
	[NETDEV_DEVMEM_A_BINDING_CHUNK_SIZE] = { .type = NLA_U32, },
};

/* NETDEV_DEVMEM_CMD_BIND_GET - do */
static const struct nla_policy netdev_devmem_bind_get_do_nl_policy[NETDEV_DEVMEM_A_BINDING_ID + 1] = {
	[NETDEV_DEVMEM_A_BINDING_ID] = NLA_POLICY_MIN(NLA_U32, 1),
};

/* NETDEV_DEVMEM_CMD_BIND_GET - dump */
static const struct nla_policy netdev_devmem_bind_get_dump_nl_policy[NETDEV_DEVMEM_A_BINDING_IFINDEX + 1] = {
	[NETDEV_DEVMEM_A_BINDING_IFINDEX] = NLA_POLICY_FULL_RANGE(NLA_U32, &netdev_devmem_a_binding_ifindex_range),
};

/* Ops table for netdev_devmem */
static const struct genl_split_ops netdev_devmem_nl_ops[] = {
	{
		.cmd		= NETDEV_DEVMEM_CMD_BIND_RX,
		.doit		= netdev_devmem_nl_bind_rx_doit,
		.policy		= netdev_devmem_bind_rx_nl_policy,
		.maxattr	= NETDEV_DEVMEM_A_BINDING_CHUNK_SIZE,
		.flags		= GENL_ADMIN_PERM | GENL_CMD_CAP_DO,
	},
	{
		.cmd		= NETDEV_DEVMEM_CMD_BIND_GET,
		.doit		= netdev_devmem_nl_bind_get_doit,
		.policy		= netdev_devmem_bind_get_do_nl_policy,
		.maxattr	= NETDEV_DEVMEM_A_BINDING_ID,
		.flags		= GENL_CMD_CAP_DO,
	},
	{
		.cmd		= NETDEV_DEVMEM_CMD_BIND_GET,
		.start		= netdev_devmem_nl_bind_get_start,
		.dumpit		= netdev_devmem_nl_bind_get_dumpit,
		.policy		= netdev_devmem_bind_get_dump_nl_policy,
		.maxattr	= NETDEV_DEVMEM_A_BINDING_IFINDEX,
		.flags		= GENL_CMD_CAP_DUMP,
	},
};

static const struct genl_multicast_group netdev_devmem_nl_mcgrps[] = {
	[NETDEV_DEVMEM_NLGRP_BINDINGS] = { "bindings", },
};

static void __netdev_devmem_nl_sock_priv_init(void *priv)
{
	netdev_devmem_nl_sock_priv_init(priv);
}

static void __netdev_devmem_nl_sock_priv_destroy(void *priv)
{
	netdev_devmem_nl_sock_priv_destroy(priv);
}

struct genl_family netdev_devmem_nl_family __ro_after_init = {
	.name		= NETDEV_DEVMEM_FAMILY_NAME,
	.version	= NETDEV_DEVMEM_FAMILY_VERSION,
	.netnsok	= true,
	.parallel_ops	= true,
	.module		= THIS_MODULE,
	.split_ops	= netdev_devmem_nl_ops,
	.n_split_ops	= ARRAY_SIZE(netdev_devmem_nl_ops),
	.mcgrps		= netdev_devmem_nl_mcgrps,
	.n_mcgrps	= ARRAY_SIZE(netdev_devmem_nl_mcgrps),
	.sock_priv_size	= sizeof(struct list_head),
	.sock_priv_init	= __netdev_devmem_nl_sock_priv_init,
	.sock_priv_destroy = __netdev_devmem_nl_sock_priv_destroy,
};
