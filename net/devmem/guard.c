// SPDX-License-Identifier: GPL-2.0
/*
 * The guard: a netfilter hook that keeps placed packets in this host. Routing may have
 * changed between placing and input: what is about to be forwarded is dropped, and the
 * peer's retransmission finds its way in host memory.
 *
 * The hook stands in a network namespace from its first socket with the ULP on.
 */
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "devmem.h"

struct devmem_net {
	bool hooked;			/* protected by devmem_guard_lock */
};

static unsigned int devmem_net_id;
static DEFINE_MUTEX(devmem_guard_lock);

static unsigned int devmem_guard_forward(void *priv, struct sk_buff *skb,
					 const struct nf_hook_state *state)
{
	struct devmem_frag_cursor at = {};
	struct devmem_piece piece;

	if (likely(skb_frags_readable(skb)) ||
	    !devmem_frag_find(skb, skb_headlen(skb), &at, &piece))
		return NF_ACCEPT;
	this_cpu_inc(piece.chunk->binding->stats->forward_drops);
	return NF_DROP;
}

static const struct nf_hook_ops devmem_guard_hooks[] = {
	{
		.hook		= devmem_guard_forward,
		.pf		= NFPROTO_IPV4,
		.hooknum	= NF_INET_FORWARD,
		.priority	= NF_IP_PRI_FIRST,
	},
#if IS_ENABLED(CONFIG_IPV6)
	{
		.hook		= devmem_guard_forward,
		.pf		= NFPROTO_IPV6,
		.hooknum	= NF_INET_FORWARD,
		.priority	= NF_IP6_PRI_FIRST,
	},
#endif
};

int devmem_guard_enable(struct net *net)
{
	struct devmem_net *dn = net_generic(net, devmem_net_id);
	int err = 0;

	mutex_lock(&devmem_guard_lock);
	if (!dn->hooked) {
		err = nf_register_net_hooks(net, devmem_guard_hooks,
					    ARRAY_SIZE(devmem_guard_hooks));
		dn->hooked = !err;
	}
	mutex_unlock(&devmem_guard_lock);
	return err;
}

static void __net_exit devmem_guard_net_exit(struct net *net)
{
	struct devmem_net *dn = net_generic(net, devmem_net_id);

	if (dn->hooked)
		nf_unregister_net_hooks(net, devmem_guard_hooks,
					ARRAY_SIZE(devmem_guard_hooks));
}

static struct pernet_operations devmem_guard_net_ops = {
	.exit = devmem_guard_net_exit,
	.id = &devmem_net_id,
	.size = sizeof(struct devmem_net),
};

int devmem_guard_init(void)
{
	return register_pernet_subsys(&devmem_guard_net_ops);
}

void devmem_guard_exit(void)
{
	unregister_pernet_subsys(&devmem_guard_net_ops);
}
