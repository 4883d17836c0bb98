// SPDX-License-Identifier: GPL-2.0
/*
 * Address translation: what the packets of a connection look like on the wire, where
 * the NIC's rules look, when netfilter rewrites them on their way to the socket. Knows
 * of connection tracking what it must know to ask for one entry.
 */
#include <linux/module.h>
#include <net/net_namespace.h>
#if IS_ENABLED(CONFIG_NF_CONNTRACK)
#include <net/netfilter/nf_conntrack.h>
#include <net/netfilter/nf_conntrack_core.h>
#include <net/netfilter/nf_conntrack_zones.h>
#endif

#include "devmem.h"

#if IS_ENABLED(CONFIG_NF_CONNTRACK)
/* @key as the socket's own packets have it before they are translated. */
static void devmem_nat_fill(struct nf_conntrack_tuple *tuple,
			    const struct devmem_flow_key *key)
{
	memset(tuple, 0, sizeof(*tuple));
	tuple->src.l3num = key->family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6;
	memcpy(&tuple->src.u3, key->daddr, sizeof(key->daddr));
	memcpy(&tuple->dst.u3, key->saddr, sizeof(key->saddr));
	tuple->src.u.tcp.port = key->dport;
	tuple->dst.u.tcp.port = key->sport;
	tuple->dst.protonum = IPPROTO_TCP;
}

/* @key, which is what the socket knows, becomes what stands on the wire. Connection
 * tracking knows under which addresses and ports it expects the packets of the other
 * direction. Zones other than the default one are not looked at. Nothing is done
 * while the module is not loaded, and no link makes it stay. Process context.
 */
void devmem_nat_to_wire(struct net *net, struct devmem_flow_key *key)
{
	const struct nf_conntrack_tuple *wire;
	struct nf_conntrack_tuple_hash *hash;
	typeof(nf_conntrack_find_get) *find;
	struct nf_conntrack_tuple tuple;
	struct nf_conn *ct;

	find = symbol_get(nf_conntrack_find_get);
	if (!find)
		return;

	devmem_nat_fill(&tuple, key);
	hash = find(net, &nf_ct_zone_dflt, &tuple);
	if (hash) {
		ct = nf_ct_tuplehash_to_ctrack(hash);
		wire = nf_ct_tuple(ct, !NF_CT_DIRECTION(hash));
		memcpy(key->saddr, &wire->src.u3, sizeof(key->saddr));
		memcpy(key->daddr, &wire->dst.u3, sizeof(key->daddr));
		key->sport = wire->src.u.tcp.port;
		key->dport = wire->dst.u.tcp.port;
		nf_conntrack_put(&ct->ct_general);
	}
	symbol_put(nf_conntrack_find_get);
}
#else
void devmem_nat_to_wire(struct net *net, struct devmem_flow_key *key)
{
}
#endif
