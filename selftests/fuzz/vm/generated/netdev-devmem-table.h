/* SPDX-License-Identifier: GPL-2.0 */
/* Generated from Documentation/netlink/specs/netdev-devmem.yaml by scripts/gen-table: make gen */
#include "../table.h"

static const struct table_attr netdev_devmem_stats_attrs[] = {
	{ .name = "placed-packets", .type = NETDEV_DEVMEM_A_STATS_PLACED_PACKETS, .kind = TABLE_UINT },
	{ .name = "placed-bytes", .type = NETDEV_DEVMEM_A_STATS_PLACED_BYTES, .kind = TABLE_UINT },
	{ .name = "fallback-packets", .type = NETDEV_DEVMEM_A_STATS_FALLBACK_PACKETS, .kind = TABLE_UINT },
	{ .name = "fallback-bytes", .type = NETDEV_DEVMEM_A_STATS_FALLBACK_BYTES, .kind = TABLE_UINT },
	{ .name = "fallback-exhausted", .type = NETDEV_DEVMEM_A_STATS_FALLBACK_EXHAUSTED, .kind = TABLE_UINT },
	{ .name = "fallback-nomem", .type = NETDEV_DEVMEM_A_STATS_FALLBACK_NOMEM, .kind = TABLE_UINT },
	{ .name = "fallback-header", .type = NETDEV_DEVMEM_A_STATS_FALLBACK_HEADER, .kind = TABLE_UINT },
	{ .name = "fallback-route", .type = NETDEV_DEVMEM_A_STATS_FALLBACK_ROUTE, .kind = TABLE_UINT },
	{ .name = "fallback-inactive", .type = NETDEV_DEVMEM_A_STATS_FALLBACK_INACTIVE, .kind = TABLE_UINT },
	{ .name = "urg-cleared", .type = NETDEV_DEVMEM_A_STATS_URG_CLEARED, .kind = TABLE_UINT },
	{ .name = "forward-drops", .type = NETDEV_DEVMEM_A_STATS_FORWARD_DROPS, .kind = TABLE_UINT },
	{ .name = "pressure", .type = NETDEV_DEVMEM_A_STATS_PRESSURE, .kind = TABLE_UINT },
	{ .name = "fallback-again", .type = NETDEV_DEVMEM_A_STATS_FALLBACK_AGAIN, .kind = TABLE_UINT },
	{ .name = "fallback-sequence", .type = NETDEV_DEVMEM_A_STATS_FALLBACK_SEQUENCE, .kind = TABLE_UINT },
	{ .name = "fallback-paused", .type = NETDEV_DEVMEM_A_STATS_FALLBACK_PAUSED, .kind = TABLE_UINT },
};

static const struct table_set netdev_devmem_stats_set = {
	netdev_devmem_stats_attrs, 15
};

static const struct table_attr netdev_devmem_binding_attrs[] = {
	{ .name = "id", .type = NETDEV_DEVMEM_A_BINDING_ID, .kind = TABLE_U32 },
	{ .name = "ifindex", .type = NETDEV_DEVMEM_A_BINDING_IFINDEX, .kind = TABLE_U32 },
	{ .name = "queue", .type = NETDEV_DEVMEM_A_BINDING_QUEUE, .kind = TABLE_U32 },
	{ .name = "fd", .type = NETDEV_DEVMEM_A_BINDING_FD, .kind = TABLE_U32 },
	{ .name = "chunk-size", .type = NETDEV_DEVMEM_A_BINDING_CHUNK_SIZE, .kind = TABLE_U32 },
	{ .name = "size", .type = NETDEV_DEVMEM_A_BINDING_SIZE, .kind = TABLE_UINT },
	{ .name = "state", .type = NETDEV_DEVMEM_A_BINDING_STATE, .kind = TABLE_U32 },
	{ .name = "pid", .type = NETDEV_DEVMEM_A_BINDING_PID, .kind = TABLE_U32 },
	{ .name = "comm", .type = NETDEV_DEVMEM_A_BINDING_COMM, .kind = TABLE_STRING },
	{ .name = "flows", .type = NETDEV_DEVMEM_A_BINDING_FLOWS, .kind = TABLE_U32 },
	{ .name = "chunks", .type = NETDEV_DEVMEM_A_BINDING_CHUNKS, .kind = TABLE_U32 },
	{ .name = "chunks-free", .type = NETDEV_DEVMEM_A_BINDING_CHUNKS_FREE, .kind = TABLE_U32 },
	{ .name = "stats", .type = NETDEV_DEVMEM_A_BINDING_STATS, .kind = TABLE_NEST, .nest = &netdev_devmem_stats_set },
};

static const struct table_set netdev_devmem_binding_set = {
	netdev_devmem_binding_attrs, 13
};

static const uint16_t netdev_devmem_bind_rx_do_attrs[] = {
	NETDEV_DEVMEM_A_BINDING_IFINDEX,
	NETDEV_DEVMEM_A_BINDING_QUEUE,
	NETDEV_DEVMEM_A_BINDING_FD,
	NETDEV_DEVMEM_A_BINDING_CHUNK_SIZE,
};

static const uint16_t netdev_devmem_bind_get_do_attrs[] = {
	NETDEV_DEVMEM_A_BINDING_ID,
};

static const uint16_t netdev_devmem_bind_get_dump_attrs[] = {
	NETDEV_DEVMEM_A_BINDING_IFINDEX,
};

static const struct table_op netdev_devmem_ops[] = {
	{ .name = "bind-rx", .cmd = 1, .dump = 0,
	  .set = &netdev_devmem_binding_set, .attrs = netdev_devmem_bind_rx_do_attrs,
	  .nr = 4 },
	{ .name = "bind-get", .cmd = 2, .dump = 0,
	  .set = &netdev_devmem_binding_set, .attrs = netdev_devmem_bind_get_do_attrs,
	  .nr = 1 },
	{ .name = "bind-get", .cmd = 2, .dump = 1,
	  .set = &netdev_devmem_binding_set, .attrs = netdev_devmem_bind_get_dump_attrs,
	  .nr = 1 },
};
