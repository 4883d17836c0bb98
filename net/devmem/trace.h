/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints, under events/netdev_devmem/ in tracefs.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM netdev_devmem

#if !defined(_DEVMEM_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _DEVMEM_TRACE_H

#include <linux/tracepoint.h>

#include "devmem.h"

DECLARE_EVENT_CLASS(devmem_binding_class,
	TP_PROTO(const struct devmem_binding *binding),
	TP_ARGS(binding),
	TP_STRUCT__entry(
		__field(u32, id)
		__field(int, ifindex)
		__field(u32, queues)
		__field(u32, chunks)
		__field(u32, chunk_size)
	),
	TP_fast_assign(
		__entry->id = binding->id;
		__entry->ifindex = binding->ifindex;
		__entry->queues = binding->nr_queues;
		__entry->chunks = binding->nr_chunks;
		__entry->chunk_size = 1U << binding->chunk_shift;
	),
	TP_printk("binding=%u ifindex=%d queues=%u chunks=%u chunk_size=%u",
		  __entry->id, __entry->ifindex, __entry->queues,
		  __entry->chunks, __entry->chunk_size)
);

DEFINE_EVENT(devmem_binding_class, devmem_bind,
	TP_PROTO(const struct devmem_binding *binding), TP_ARGS(binding));
DEFINE_EVENT(devmem_binding_class, devmem_unbind,
	TP_PROTO(const struct devmem_binding *binding), TP_ARGS(binding));
DEFINE_EVENT(devmem_binding_class, devmem_revoke,
	TP_PROTO(const struct devmem_binding *binding), TP_ARGS(binding));

DECLARE_EVENT_CLASS(devmem_flow_class,
	TP_PROTO(const struct devmem_flow *flow),
	TP_ARGS(flow),
	TP_STRUCT__entry(
		__field(u32, id)
		__field(u32, queue)
		__field(u16, family)
		__field(u16, sport)
		__field(u16, dport)
		__field(u64, placed)
		__field(u64, fallback)
	),
	TP_fast_assign(
		__entry->id = flow->binding->id;
		__entry->queue = flow->queue;
		__entry->family = flow->key.family;
		__entry->sport = ntohs(flow->key.sport);
		__entry->dport = ntohs(flow->key.dport);
		__entry->placed = flow->placed_bytes;
		__entry->fallback = flow->fallback_bytes;
	),
	TP_printk("binding=%u queue=%u family=%u sport=%u dport=%u placed=%llu fallback=%llu",
		  __entry->id, __entry->queue, __entry->family, __entry->sport,
		  __entry->dport, __entry->placed, __entry->fallback)
);

DEFINE_EVENT(devmem_flow_class, devmem_attach,
	TP_PROTO(const struct devmem_flow *flow), TP_ARGS(flow));
DEFINE_EVENT(devmem_flow_class, devmem_detach,
	TP_PROTO(const struct devmem_flow *flow), TP_ARGS(flow));

TRACE_EVENT(devmem_place,
	TP_PROTO(const struct devmem_flow *flow, unsigned int len,
		 unsigned int pieces),
	TP_ARGS(flow, len, pieces),
	TP_STRUCT__entry(
		__field(u32, id)
		__field(u32, queue)
		__field(u16, sport)
		__field(u16, dport)
		__field(unsigned int, len)
		__field(unsigned int, pieces)
	),
	TP_fast_assign(
		__entry->id = flow->binding->id;
		__entry->queue = flow->queue;
		__entry->sport = ntohs(flow->key.sport);
		__entry->dport = ntohs(flow->key.dport);
		__entry->len = len;
		__entry->pieces = pieces;
	),
	TP_printk("binding=%u queue=%u sport=%u dport=%u len=%u pieces=%u",
		  __entry->id, __entry->queue, __entry->sport, __entry->dport,
		  __entry->len, __entry->pieces)
);

TRACE_EVENT(devmem_fallback,
	TP_PROTO(const struct devmem_flow *flow, unsigned int len, int reason),
	TP_ARGS(flow, len, reason),
	TP_STRUCT__entry(
		__field(u32, id)
		__field(u32, queue)
		__field(u16, sport)
		__field(u16, dport)
		__field(unsigned int, len)
		__field(int, reason)
	),
	TP_fast_assign(
		__entry->id = flow->binding->id;
		__entry->queue = flow->queue;
		__entry->sport = ntohs(flow->key.sport);
		__entry->dport = ntohs(flow->key.dport);
		__entry->len = len;
		__entry->reason = reason;
	),
	TP_printk("binding=%u queue=%u sport=%u dport=%u len=%u reason=%d",
		  __entry->id, __entry->queue, __entry->sport, __entry->dport,
		  __entry->len, __entry->reason)
);

#endif /* _DEVMEM_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
