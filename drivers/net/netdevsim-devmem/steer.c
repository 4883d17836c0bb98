// SPDX-License-Identifier: GPL-2.0
/*
 * Steering: which queue gets a packet. Owns the table of net/devmem's rules,
 * which name the queue of one connection each, and in which order rules and hash
 * are asked. Knows nothing of headers, nor of queues but their number.
 *
 * A rule that comes or goes moves a connection to another queue. What is on the
 * wire of the old one then may be overtaken, as with any NIC; and it is not
 * placed, for a rule counts on its own queue only.
 */
#include <linux/module.h>
#include <linux/slab.h>

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

/* The queue of @nd that gets @skb, which is parsed; NULL: a rule says that it is
 * dropped. The first of these that has something to say:
 *
 *	the rule of its connection, from net/devmem
 *	the rules of ethtool, lowest location first
 *	the indirection table
 *
 * So whoever has bound a queue gets his connections there, whatever the other
 * rules say. RCU read side.
 */
struct nsdm_rxq *nsdm_steer(struct nsdm *nd, struct sk_buff *skb)
{
	u32 queue = nsdm_rss_queue(nd, 0, skb);
	const struct nsdm_cb *cb = NSDM_CB(skb);
	struct nsdm_rule *rule;
	int ntuple;

	if (cb->flags & NSDM_PKT_TCP) {
		rule = nsdm_rule_find(nd, &cb->key);
		if (rule)
			return &nd->rxq[rule->queue];
	}

	ntuple = nsdm_ntuple_match(nd, cb);
	if (ntuple == NSDM_NTUPLE_DROP)
		return NULL;
	if (ntuple >= NSDM_NTUPLE_CONTEXT)
		queue = nsdm_rss_queue(nd, ntuple - NSDM_NTUPLE_CONTEXT, skb);
	else if (ntuple != NSDM_NTUPLE_NONE)
		queue = ntuple;
	return &nd->rxq[queue];
}
