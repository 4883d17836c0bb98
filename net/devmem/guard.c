// SPDX-License-Identifier: GPL-2.0
/*
 * The guard: netfilter hooks that keep two things from the stack, whichever way
 * a packet came in.
 *
 *	LOCAL_IN	No urgent pointer reaches a socket with the ULP. TCP looks
 *			at the urgent byte even if it lies in a later segment,
 *			and one in unreadable payload would be a BUG(). The flag
 *			and the pointer are cleared and the checksum mended; the
 *			byte stays in the stream.
 *	FORWARD		No placed packet is forwarded: routing may have changed
 *			between placing and input. It is dropped, and the peer's
 *			retransmission finds its way in host memory.
 *
 * The hooks stand in a network namespace from its first socket with the ULP on.
 * Knows the ULP only as "has this socket one".
 */
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter_ipv6.h>
#include <linux/tcp.h>
#include <net/inet6_hashtables.h>
#include <net/inet_hashtables.h>
#include <net/ipv6.h>
#include <net/net_namespace.h>
#include <net/netns/generic.h>
#include <net/tcp.h>

#include "devmem.h"

struct devmem_net {
	bool hooked;			/* protected by devmem_guard_lock */
};

static unsigned int devmem_net_id;
static DEFINE_MUTEX(devmem_guard_lock);

/* The socket that @skb is for, with a reference that the caller puts. */
static struct sock *devmem_guard_lookup(struct net *net, struct sk_buff *skb,
					const struct tcphdr *th, u8 pf)
{
	u16 hnum = ntohs(th->dest);

	if (pf == NFPROTO_IPV4)
		return devmem_lookup_established(net,
						 ip_hdr(skb)->saddr, th->source,
						 ip_hdr(skb)->daddr, hnum,
						 inet_iif(skb), inet_sdif(skb));
#if IS_ENABLED(CONFIG_IPV6)
	return devmem_lookup6_established(net,
					  &ipv6_hdr(skb)->saddr, th->source,
					  &ipv6_hdr(skb)->daddr, hnum,
					  inet6_iif(skb), inet6_sdif(skb));
#else
	return NULL;
#endif
}

static void devmem_guard_count_urg(const struct sock *sk)
{
	const struct devmem_flow *flow;
	const struct devmem_sock *ds;

	/* the socket is looked at without its lock: RCU keeps what it holds */
	ds = devmem_sk(sk);
	flow = ds ? READ_ONCE(ds->flow) : NULL;
	if (flow)
		this_cpu_inc(flow->binding->stats->urg_cleared);
}

/* Make the segment an ordinary one. The flag shares a 16-bit word with doff. */
static bool devmem_guard_clear_urg(struct sk_buff *skb, unsigned int thoff)
{
	struct tcphdr *th;
	__be16 *word;
	__be16 old;

	if (skb_ensure_writable(skb, thoff + sizeof(*th)))
		return false;

	th = (struct tcphdr *)(skb->data + thoff);
	word = (__be16 *)th + 6;
	old = *word;
	th->urg = 0;
	inet_proto_csum_replace2(&th->check, skb, old, *word, false);
	old = th->urg_ptr;
	th->urg_ptr = 0;
	inet_proto_csum_replace2(&th->check, skb, old, 0, false);
	return true;
}

static unsigned int devmem_guard_urg(struct sk_buff *skb, unsigned int thoff,
				     const struct nf_hook_state *state)
{
	const struct tcphdr *th;
	struct tcphdr buf;
	struct sock *sk;
	bool ok = true;

	th = skb_header_pointer(skb, thoff, sizeof(buf), &buf);
	if (!th || likely(!th->urg))
		return NF_ACCEPT;

	sk = devmem_guard_lookup(state->net, skb, th, state->pf);
	if (!sk)
		return NF_ACCEPT;
	if (sk_fullsock(sk) && devmem_sk_has_ulp(sk)) {
		ok = devmem_guard_clear_urg(skb, thoff);
		if (ok)
			devmem_guard_count_urg(sk);
	}
	sock_gen_put(sk);
	return ok ? NF_ACCEPT : NF_DROP;
}

static unsigned int devmem_guard_in4(void *priv, struct sk_buff *skb,
				     const struct nf_hook_state *state)
{
	const struct iphdr *iph = ip_hdr(skb);

	if (iph->protocol != IPPROTO_TCP)
		return NF_ACCEPT;
	return devmem_guard_urg(skb, skb_network_offset(skb) + iph->ihl * 4, state);
}

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

#if IS_ENABLED(CONFIG_IPV6)
static unsigned int devmem_guard_in6(void *priv, struct sk_buff *skb,
				     const struct nf_hook_state *state)
{
	unsigned int thoff = 0;
	unsigned short frag = 0;

	/* any extension headers before TCP; not for later fragments */
	if (ipv6_hdr(skb)->nexthdr == IPPROTO_TCP)
		thoff = skb_network_offset(skb) + sizeof(struct ipv6hdr);
	else if (ipv6_find_hdr(skb, &thoff, IPPROTO_TCP, &frag, NULL) < 0 || frag)
		return NF_ACCEPT;
	return devmem_guard_urg(skb, thoff, state);
}
#endif

/* Last before the stack: after everything that may rewrite a packet. */
static const struct nf_hook_ops devmem_guard_hooks[] = {
	{
		.hook		= devmem_guard_in4,
		.pf		= NFPROTO_IPV4,
		.hooknum	= NF_INET_LOCAL_IN,
		.priority	= NF_IP_PRI_LAST,
	},
	{
		.hook		= devmem_guard_forward,
		.pf		= NFPROTO_IPV4,
		.hooknum	= NF_INET_FORWARD,
		.priority	= NF_IP_PRI_FIRST,
	},
#if IS_ENABLED(CONFIG_IPV6)
	{
		.hook		= devmem_guard_in6,
		.pf		= NFPROTO_IPV6,
		.hooknum	= NF_INET_LOCAL_IN,
		.priority	= NF_IP6_PRI_LAST,
	},
	{
		.hook		= devmem_guard_forward,
		.pf		= NFPROTO_IPV6,
		.hooknum	= NF_INET_FORWARD,
		.priority	= NF_IP6_PRI_FIRST,
	},
#endif
};

/* Sure only after a grace period: packets may be past the hooks' place now. */
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
