// SPDX-License-Identifier: GPL-2.0
/*
 * Steering: which queue gets a packet. Owns the parser and the table of rules,
 * which name the queue of one connection each. Knows nothing of queues but
 * their number.
 *
 * A rule that comes or goes moves a connection to another queue. What is on the
 * wire of the old one then may be overtaken, as with any NIC; and it is not
 * placed, for a rule counts on its own queue only.
 */
#include <linux/etherdevice.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/jhash.h>
#include <linux/module.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/ip.h>

#include "nsdm.h"

static unsigned int nsdm_rules_max = 16384;
module_param_named(rules_max, nsdm_rules_max, uint, 0644);
MODULE_PARM_DESC(rules_max, "steering rules that a device has room for");

static const struct rhashtable_params nsdm_rules_params = {
	.key_len		= sizeof(struct devmem_flow_key),
	.key_offset		= offsetof(struct nsdm_rule, key),
	.head_offset		= offsetof(struct nsdm_rule, node),
	.automatic_shrinking	= true,
};

int nsdm_rules_init(struct nsdm *nd)
{
	return rhashtable_init(&nd->rules, &nsdm_rules_params);
}

/* devmem_dev_unregister() has taken back all rules. */
void nsdm_rules_free(struct nsdm *nd)
{
	WARN_ON(nd->nr_rules);
	rhashtable_destroy(&nd->rules);
}

int nsdm_flow_add(struct net_device *dev, u32 queue,
		  const struct devmem_flow_key *key, struct devmem_flow *flow)
{
	struct nsdm *nd = netdev_priv(dev);
	struct nsdm_rule *rule;
	int err;

	if (queue >= dev->num_rx_queues)
		return -EINVAL;
	if (nd->nr_rules >= READ_ONCE(nsdm_rules_max))
		return -ENOSPC;

	rule = kzalloc(sizeof(*rule), GFP_KERNEL_ACCOUNT);
	if (!rule)
		return -ENOMEM;
	rule->key = *key;
	rule->queue = queue;
	rule->flow = flow;

	err = rhashtable_lookup_insert_fast(&nd->rules, &rule->node,
					    nsdm_rules_params);
	if (err) {
		kfree(rule);
		return err == -EEXIST ? err : -ENOMEM;
	}
	WRITE_ONCE(nd->nr_rules, nd->nr_rules + 1);
	atomic_inc(&nsdm_nr_rules);
	return 0;
}

void nsdm_flow_del(struct net_device *dev, u32 queue,
		   const struct devmem_flow_key *key, struct devmem_flow *flow)
{
	struct nsdm *nd = netdev_priv(dev);
	struct nsdm_rule *rule;

	rcu_read_lock();
	rule = rhashtable_lookup(&nd->rules, key, nsdm_rules_params);
	if (!WARN_ON(!rule || rule->flow != flow || rule->queue != queue) &&
	    !rhashtable_remove_fast(&nd->rules, &rule->node,
				    nsdm_rules_params)) {
		WRITE_ONCE(nd->nr_rules, nd->nr_rules - 1);
		atomic_dec(&nsdm_nr_rules);
		kfree_rcu(rule, rcu);
	}
	rcu_read_unlock();
}

/* RCU read side. */
struct nsdm_rule *nsdm_rule_find(struct nsdm *nd,
				 const struct devmem_flow_key *key)
{
	if (!READ_ONCE(nd->nr_rules))
		return NULL;
	return rhashtable_lookup(&nd->rules, key, nsdm_rules_params);
}

static void nsdm_parse_l4(struct sk_buff *skb, u8 proto, unsigned int off,
			  unsigned int len)
{
	struct nsdm_cb *cb = NSDM_CB(skb);
	unsigned int hdr_len;
	struct tcphdr tcp;
	struct udphdr udp;
	const void *hdr;

	switch (proto) {
	case IPPROTO_TCP:
		hdr = skb_header_pointer(skb, off, sizeof(tcp), &tcp);
		if (len < sizeof(tcp) || !hdr)
			return;
		hdr_len = __tcp_hdrlen(hdr);
		if (hdr_len < sizeof(tcp) || hdr_len > len)
			return;
		cb->key.sport = ((const struct tcphdr *)hdr)->source;
		cb->key.dport = ((const struct tcphdr *)hdr)->dest;
		cb->flags |= NSDM_PKT_TCP;
		break;
	case IPPROTO_UDP:
		hdr = skb_header_pointer(skb, off, sizeof(udp), &udp);
		if (len < sizeof(udp) || !hdr)
			return;
		hdr_len = sizeof(udp);
		cb->key.sport = ((const struct udphdr *)hdr)->source;
		cb->key.dport = ((const struct udphdr *)hdr)->dest;
		cb->flags |= NSDM_PKT_UDP;
		break;
	default:
		return;
	}
	cb->l4_off = off;
	cb->l4_len = len;
	cb->hdr_len = off + hdr_len;
}

static void nsdm_parse_ipv4(struct sk_buff *skb)
{
	struct nsdm_cb *cb = NSDM_CB(skb);
	unsigned int ihl, len;
	const struct iphdr *ip;
	struct iphdr buf;

	ip = skb_header_pointer(skb, ETH_HLEN, sizeof(buf), &buf);
	if (!ip || ip->version != 4 || ip->ihl < 5)
		return;
	ihl = ip->ihl * 4;
	len = ntohs(ip->tot_len);
	if (len < ihl || ETH_HLEN + len > skb->len)
		return;

	cb->key.family = AF_INET;
	cb->key.saddr[0] = ip->saddr;
	cb->key.daddr[0] = ip->daddr;
	if (ip_is_fragment(ip))
		return;
	if (ip->ihl == 5 && ETH_HLEN + len == skb->len &&
	    !ip_fast_csum(ip, ip->ihl))
		cb->flags |= NSDM_PKT_PLAIN;
	nsdm_parse_l4(skb, ip->protocol, ETH_HLEN + ihl, len - ihl);
}

static void nsdm_parse_ipv6(struct sk_buff *skb)
{
	struct nsdm_cb *cb = NSDM_CB(skb);
	const struct ipv6hdr *ip;
	struct ipv6hdr buf;
	unsigned int len;

	ip = skb_header_pointer(skb, ETH_HLEN, sizeof(buf), &buf);
	if (!ip || ip->version != 6)
		return;
	len = ntohs(ip->payload_len);
	if (ETH_HLEN + sizeof(*ip) + len > skb->len)
		return;

	cb->key.family = AF_INET6;
	memcpy(cb->key.saddr, &ip->saddr, sizeof(cb->key.saddr));
	memcpy(cb->key.daddr, &ip->daddr, sizeof(cb->key.daddr));
	if (ETH_HLEN + sizeof(*ip) + len == skb->len)
		cb->flags |= NSDM_PKT_PLAIN;
	nsdm_parse_l4(skb, ip->nexthdr, ETH_HLEN + sizeof(*ip), len);
}

/* Read the headers of a packet, whose data begins at the MAC header, into its
 * cb. What is not IP, or not as long as it says, has no key.
 */
void nsdm_parse(struct sk_buff *skb)
{
	const struct ethhdr *eth;
	struct ethhdr buf;

	memset(skb->cb, 0, sizeof(struct nsdm_cb));
	eth = skb_header_pointer(skb, 0, sizeof(buf), &buf);
	if (!eth)
		return;
	if (eth->h_proto == htons(ETH_P_IP))
		nsdm_parse_ipv4(skb);
	else if (eth->h_proto == htons(ETH_P_IPV6))
		nsdm_parse_ipv6(skb);
}

/* The queue of @nd that gets @skb, which is parsed: that of its connection's
 * rule, else one by the hash of its addresses and, unless it is a fragment,
 * ports. The hash stays with the packet. RCU read side.
 */
struct nsdm_rxq *nsdm_steer(struct nsdm *nd, struct sk_buff *skb)
{
	const struct nsdm_cb *cb = NSDM_CB(skb);
	struct nsdm_rule *rule;
	u32 hash;

	if (!cb->key.family)
		return &nd->rxq[0];

	hash = jhash(&cb->key, sizeof(cb->key), nd->hash_seed);
	skb_set_hash(skb, hash, PKT_HASH_TYPE_L3);
	if (cb->flags & NSDM_PKT_TCP) {
		rule = nsdm_rule_find(nd, &cb->key);
		if (rule)
			return &nd->rxq[rule->queue];
	}
	return &nd->rxq[reciprocal_scale(hash, nd->dev->real_num_rx_queues)];
}
