// SPDX-License-Identifier: GPL-2.0
/*
 * The guard: netfilter hooks that let a placed packet pass to the socket of its flow
 * only, and as it was placed. It carries that socket from the beginning (merge.c), and
 * nearly all that is on the way leaves both alone. What the guard drops the peer sends
 * again, and that goes to host memory (seq.c) and finds whom it is for.
 *
 *	LOCAL_IN	NAT that has rewritten the source here wants the socket looked
 *			up again, TPROXY assigns another, tc's action bpf takes it away,
 *			and a BPF program may have made an IPv6 packet of an IPv4 one or
 *			have forgotten that the checksum was verified, which nobody can
 *			do again.
 *	POST_ROUTING	No placed packet leaves the host. Forwarding drops what carries a
 *			socket, but it may have lost it; and fragmenting a packet that
 *			cannot be read is a BUG().
 *
 * The hooks stand in a network namespace from its first binding on. Where a kernel has no
 * CONFIG_NETFILTER, nothing translates and little redirects, and nothing is guarded.
 */
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>

#include "devmem.h"

#ifdef CONFIG_NETFILTER
struct devmem_net {
	bool hooked;			/* protected by devmem_guard_lock */
};

static unsigned int devmem_net_id;
static DEFINE_MUTEX(devmem_guard_lock);

/* Which piece does the placed payload of @skb begin with? False if it is none of ours. */
static bool devmem_guard_find(const struct sk_buff *skb, struct devmem_piece *piece)
{
	struct devmem_frag_cursor at = {};

	return !skb_frags_readable(skb) &&
	       devmem_frag_find(skb, skb_headlen(skb), &at, piece);
}

static unsigned int devmem_guard_drop(const struct devmem_piece *piece)
{
	this_cpu_inc(piece->chunk->binding->stats->forward_drops);
	return NF_DROP;
}

static unsigned int devmem_guard_in(void *priv, struct sk_buff *skb,
				    const struct nf_hook_state *state)
{
	struct devmem_piece piece;

	if (likely(skb_frags_readable(skb)))
		return NF_ACCEPT;
	if (devmem_frag_torn(skb))
		return NF_DROP;
	if (!devmem_guard_find(skb, &piece) ||
	    likely(skb->ip_summed == CHECKSUM_UNNECESSARY && skb->sk &&
		   devmem_sk_owns(skb->sk, piece.owner, state->pf)))
		return NF_ACCEPT;
	return devmem_guard_drop(&piece);
}

static unsigned int devmem_guard_out(void *priv, struct sk_buff *skb,
				     const struct nf_hook_state *state)
{
	struct devmem_piece piece;

	return unlikely(devmem_guard_find(skb, &piece)) ? devmem_guard_drop(&piece) :
							  NF_ACCEPT;
}

#define DEVMEM_GUARD_HOOK(fn, family, num, prio)			\
	{ .hook = (fn), .pf = (family), .hooknum = (num), .priority = (prio) }

/* In: after everything that may rewrite a packet. Out: before. */
static const struct nf_hook_ops devmem_guard_hooks[] = {
	DEVMEM_GUARD_HOOK(devmem_guard_in, NFPROTO_IPV4, NF_INET_LOCAL_IN, NF_IP_PRI_LAST),
	DEVMEM_GUARD_HOOK(devmem_guard_out, NFPROTO_IPV4, NF_INET_POST_ROUTING,
			  NF_IP_PRI_FIRST),
#if IS_ENABLED(CONFIG_IPV6)
	DEVMEM_GUARD_HOOK(devmem_guard_in, NFPROTO_IPV6, NF_INET_LOCAL_IN, NF_IP6_PRI_LAST),
	DEVMEM_GUARD_HOOK(devmem_guard_out, NFPROTO_IPV6, NF_INET_POST_ROUTING,
			  NF_IP6_PRI_FIRST),
#endif
};

/* Before any payload is placed in @net. */
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
#else
int devmem_guard_enable(struct net *net)
{
	return 0;
}

int devmem_guard_init(void)
{
	return 0;
}

void devmem_guard_exit(void)
{
}
#endif
