// SPDX-License-Identifier: GPL-2.0
/*
 * Rules of ethtool -N: packets with certain addresses, ports and protocol go to
 * a queue, to an RSS context, or nowhere. Owns the table of them. Knows nothing
 * of net/devmem's rules, which come before these.
 *
 * The table is one as a TCAM would be: the first rule that matches counts, by
 * location. A rule put where there is one replaces it. What can be matched:
 *
 *	tcp4 udp4 tcp6 udp6	addresses, ports of whole packets
 *	ip4 ip6			addresses, protocol; with fragments
 *
 * An address is compared up to some prefix length, all else in full or not at
 * all. The protocol of IPv6 is that of the first next header.
 *
 * A rule is never changed, only replaced. When a setting returns, no packet meets
 * the old one any more.
 */
#include <linux/ethtool.h>
#include <linux/in.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>

#include "nsdm.h"

#define NSDM_NTUPLE_WORDS	(sizeof(struct devmem_flow_key) / sizeof(u64))

#define NSDM_NTUPLE_L4		0x100	/* in devmem_flow_key.pad, see below */

/* What is compared: of @key also the field pad, which has the protocol in its
 * low byte, and NSDM_NTUPLE_L4 if the packet is a whole one of TCP or UDP.
 */
union nsdm_ntuple_key {
	struct devmem_flow_key key;
	u64 word[NSDM_NTUPLE_WORDS];
};

/**
 * struct nsdm_ntuple - a rule
 * @val: what a packet must have
 * @mask: in these bits
 * @action: what nsdm_ntuple_match() returns for it
 * @rss_context: as ethtool shows it
 * @fs: likewise
 * @gone: the next one, while all are being removed
 */
struct nsdm_ntuple {
	union nsdm_ntuple_key val;
	union nsdm_ntuple_key mask;
	int action;
	u32 rss_context;
	struct ethtool_rx_flow_spec fs;
	struct nsdm_ntuple *gone;
};

static bool nsdm_ntuple_hit(const struct nsdm_ntuple *rule,
			    const union nsdm_ntuple_key *key)
{
	unsigned int i;

	for (i = 0; i < NSDM_NTUPLE_WORDS; i++)
		if ((key->word[i] ^ rule->val.word[i]) & rule->mask.word[i])
			return false;
	return true;
}

/* What do the rules say of a packet that is parsed? RCU read side. */
int nsdm_ntuple_match(const struct nsdm *nd, const struct nsdm_cb *cb)
{
	const struct nsdm_ntuple *rule;
	union nsdm_ntuple_key key;
	unsigned int loc;

	if (!READ_ONCE(nd->nr_ntuples) || !cb->key.family)
		return NSDM_NTUPLE_NONE;
	key.key = cb->key;
	key.key.pad = cb->proto;
	if (cb->flags & NSDM_PKT_L4)
		key.key.pad |= NSDM_NTUPLE_L4;
	for_each_set_bit(loc, nd->ntuple_map, NSDM_NTUPLE_MAX) {
		rule = rcu_dereference(nd->ntuples[loc]);
		if (rule && nsdm_ntuple_hit(rule, &key))
			return rule->action;
	}
	return NSDM_NTUPLE_NONE;
}

/* The location of a rule for context @id, or -1. */
int nsdm_ntuple_find_context(const struct nsdm *nd, u32 id)
{
	unsigned int loc;

	for_each_set_bit(loc, nd->ntuple_map, NSDM_NTUPLE_MAX)
		if (devmem_settings_dereference(nd->dev, nd->ntuples[loc])->action ==
		    NSDM_NTUPLE_CONTEXT + id)
			return loc;
	return -1;
}

/* Have @rule at location @loc from now on, NULL: nothing. */
static void nsdm_ntuple_put(struct nsdm *nd, u32 loc, struct nsdm_ntuple *rule)
{
	struct nsdm_ntuple *old = devmem_settings_dereference(nd->dev, nd->ntuples[loc]);

	WRITE_ONCE(nd->nr_ntuples, nd->nr_ntuples + !!rule - !!old);
	rcu_assign_pointer(nd->ntuples[loc], rule);
	assign_bit(loc, nd->ntuple_map, rule);
	synchronize_net();
	kfree(old);
}

/* Forget all rules. */
void nsdm_ntuple_clear(struct nsdm *nd)
{
	struct nsdm_ntuple *rule, *gone = NULL;
	unsigned int loc;

	for_each_set_bit(loc, nd->ntuple_map, NSDM_NTUPLE_MAX) {
		rule = devmem_settings_dereference(nd->dev, nd->ntuples[loc]);
		RCU_INIT_POINTER(nd->ntuples[loc], NULL);
		rule->gone = gone;
		gone = rule;
	}
	bitmap_zero(nd->ntuple_map, NSDM_NTUPLE_MAX);
	WRITE_ONCE(nd->nr_ntuples, 0);
	synchronize_net();
	while ((rule = gone)) {
		gone = rule->gone;
		kfree(rule);
	}
}

/* Nobody reads them any more. */
void nsdm_ntuple_free(struct nsdm *nd)
{
	unsigned int loc;

	for_each_set_bit(loc, nd->ntuple_map, NSDM_NTUPLE_MAX)
		kfree(rcu_dereference_protected(nd->ntuples[loc], true));
}

/* Bits from the first one on, then none? */
static bool nsdm_is_prefix(const __be32 *mask, unsigned int words)
{
	bool end = false;
	unsigned int i;
	u32 rest;

	for (i = 0; i < words; i++) {
		rest = ~ntohl(mask[i]);
		if (rest & (rest + 1) || (end && mask[i]))
			return false;
		end = end || rest;
	}
	return true;
}

static bool nsdm_is_all_or_none(__be16 mask)
{
	return !mask || mask == htons(0xffff);
}

/* The parts of a rule that the four kinds of flow have in common, whatever they
 * are called there.
 */
static int nsdm_ntuple_addrs(struct nsdm_ntuple *rule, u16 family,
			     const __be32 *saddr, const __be32 *saddr_mask,
			     const __be32 *daddr, const __be32 *daddr_mask)
{
	unsigned int i, words = family == AF_INET6 ? 4 : 1;

	if (!nsdm_is_prefix(saddr_mask, words) ||
	    !nsdm_is_prefix(daddr_mask, words))
		return -EINVAL;
	rule->val.key.family = family;
	rule->mask.key.family = ~0;
	for (i = 0; i < words; i++) {
		rule->val.key.saddr[i] = saddr[i];
		rule->mask.key.saddr[i] = saddr_mask[i];
		rule->val.key.daddr[i] = daddr[i];
		rule->mask.key.daddr[i] = daddr_mask[i];
	}
	return 0;
}

static int nsdm_ntuple_ports(struct nsdm_ntuple *rule, u8 proto,
			     __be16 sport, __be16 sport_mask,
			     __be16 dport, __be16 dport_mask)
{
	if (!nsdm_is_all_or_none(sport_mask) ||
	    !nsdm_is_all_or_none(dport_mask))
		return -EINVAL;
	rule->val.key.sport = sport;
	rule->mask.key.sport = sport_mask;
	rule->val.key.dport = dport;
	rule->mask.key.dport = dport_mask;
	rule->val.key.pad = NSDM_NTUPLE_L4 | proto;
	rule->mask.key.pad = NSDM_NTUPLE_L4 | 0xff;
	return 0;
}

static int nsdm_ntuple_proto(struct nsdm_ntuple *rule, u8 proto, u8 mask)
{
	if (mask && mask != 0xff)
		return -EINVAL;
	rule->val.key.pad = proto;
	rule->mask.key.pad = mask;
	return 0;
}

static int nsdm_ntuple_l4(struct nsdm_ntuple *rule,
			  const struct ethtool_rx_flow_spec *fs, u8 proto)
{
	const struct ethtool_tcpip4_spec *h = &fs->h_u.tcp_ip4_spec;
	const struct ethtool_tcpip4_spec *m = &fs->m_u.tcp_ip4_spec;

	if (m->tos)
		return -EINVAL;
	return nsdm_ntuple_addrs(rule, AF_INET, &h->ip4src, &m->ip4src,
				 &h->ip4dst, &m->ip4dst) ?:
	       nsdm_ntuple_ports(rule, proto, h->psrc, m->psrc, h->pdst,
				 m->pdst);
}

static int nsdm_ntuple_l4_v6(struct nsdm_ntuple *rule,
			     const struct ethtool_rx_flow_spec *fs, u8 proto)
{
	const struct ethtool_tcpip6_spec *h = &fs->h_u.tcp_ip6_spec;
	const struct ethtool_tcpip6_spec *m = &fs->m_u.tcp_ip6_spec;

	if (m->tclass)
		return -EINVAL;
	return nsdm_ntuple_addrs(rule, AF_INET6, h->ip6src, m->ip6src,
				 h->ip6dst, m->ip6dst) ?:
	       nsdm_ntuple_ports(rule, proto, h->psrc, m->psrc, h->pdst,
				 m->pdst);
}

static int nsdm_ntuple_ip(struct nsdm_ntuple *rule,
			  const struct ethtool_rx_flow_spec *fs)
{
	const struct ethtool_usrip4_spec *h = &fs->h_u.usr_ip4_spec;
	const struct ethtool_usrip4_spec *m = &fs->m_u.usr_ip4_spec;

	if (m->l4_4_bytes || m->tos || m->ip_ver ||
	    h->ip_ver != ETH_RX_NFC_IP4)
		return -EINVAL;
	return nsdm_ntuple_addrs(rule, AF_INET, &h->ip4src, &m->ip4src,
				 &h->ip4dst, &m->ip4dst) ?:
	       nsdm_ntuple_proto(rule, h->proto, m->proto);
}

static int nsdm_ntuple_ip_v6(struct nsdm_ntuple *rule,
			     const struct ethtool_rx_flow_spec *fs)
{
	const struct ethtool_usrip6_spec *h = &fs->h_u.usr_ip6_spec;
	const struct ethtool_usrip6_spec *m = &fs->m_u.usr_ip6_spec;

	if (m->l4_4_bytes || m->tclass)
		return -EINVAL;
	return nsdm_ntuple_addrs(rule, AF_INET6, h->ip6src, m->ip6src,
				 h->ip6dst, m->ip6dst) ?:
	       nsdm_ntuple_proto(rule, h->l4_proto, m->l4_proto);
}

/* What is to be matched. -EOPNOTSUPP: another kind of flow; -EINVAL: a field or
 * a mask that the table has no room for.
 */
static int nsdm_ntuple_parse(struct nsdm_ntuple *rule,
			     const struct ethtool_rx_flow_spec *fs)
{
	u32 ext = fs->flow_type & (FLOW_EXT | FLOW_MAC_EXT);

	if (ext && memchr_inv(&fs->m_ext, 0, sizeof(fs->m_ext)))
		return -EINVAL;
	switch (fs->flow_type & ~(ext | FLOW_RSS)) {
	case TCP_V4_FLOW:
		return nsdm_ntuple_l4(rule, fs, IPPROTO_TCP);
	case UDP_V4_FLOW:
		return nsdm_ntuple_l4(rule, fs, IPPROTO_UDP);
	case TCP_V6_FLOW:
		return nsdm_ntuple_l4_v6(rule, fs, IPPROTO_TCP);
	case UDP_V6_FLOW:
		return nsdm_ntuple_l4_v6(rule, fs, IPPROTO_UDP);
	case IP_USER_FLOW:
		return nsdm_ntuple_ip(rule, fs);
	case IPV6_USER_FLOW:
		return nsdm_ntuple_ip_v6(rule, fs);
	default:
		return -EOPNOTSUPP;
	}
}

/* Where the packets are to go. */
static int nsdm_ntuple_action(const struct nsdm *nd, struct nsdm_ntuple *rule,
			      const struct ethtool_rxnfc *nfc)
{
	u64 cookie = nfc->fs.ring_cookie;

	if (nfc->fs.flow_type & FLOW_RSS) {
		if (cookie || !nsdm_rss_exists(nd, nfc->rss_context))
			return -EINVAL;
		rule->action = NSDM_NTUPLE_CONTEXT + nfc->rss_context;
	} else if (cookie == RX_CLS_FLOW_DISC) {
		rule->action = NSDM_NTUPLE_DROP;
	} else {
		/* a virtual function, or to wake the machine up, too */
		if (cookie >= nd->dev->real_num_rx_queues)
			return -EINVAL;
		rule->action = cookie;
	}
	return 0;
}

/* The location that the caller means, or an error. */
static int nsdm_ntuple_location(const struct nsdm *nd, u32 loc)
{
	u32 free;

	switch (loc) {
	case RX_CLS_LOC_ANY:
	case RX_CLS_LOC_FIRST:
		free = find_first_zero_bit(nd->ntuple_map, NSDM_NTUPLE_MAX);
		return free < NSDM_NTUPLE_MAX ? free : -ENOSPC;
	case RX_CLS_LOC_LAST:
		for (free = NSDM_NTUPLE_MAX; free; free--)
			if (!test_bit(free - 1, nd->ntuple_map))
				return free - 1;
		return -ENOSPC;
	}
	if (loc & RX_CLS_LOC_SPECIAL)
		return -EINVAL;
	return loc < NSDM_NTUPLE_MAX ? loc : -ENOSPC;
}

static int nsdm_ntuple_insert(struct nsdm *nd, struct ethtool_rxnfc *nfc)
{
	struct nsdm_ntuple *rule;
	int loc, err;

	if (!(nd->dev->features & NETIF_F_NTUPLE))
		return -EOPNOTSUPP;
	loc = nsdm_ntuple_location(nd, nfc->fs.location);
	if (loc < 0)
		return loc;
	rule = kzalloc(sizeof(*rule), GFP_KERNEL_ACCOUNT);
	if (!rule)
		return -ENOMEM;
	err = nsdm_ntuple_parse(rule, &nfc->fs) ?:
	      nsdm_ntuple_action(nd, rule, nfc);
	if (err) {
		kfree(rule);
		return err;
	}
	nfc->fs.location = loc;
	rule->fs = nfc->fs;
	if (nfc->fs.flow_type & FLOW_RSS)
		rule->rss_context = nfc->rss_context;
	nsdm_ntuple_put(nd, loc, rule);
	return 0;
}

static int nsdm_ntuple_remove(struct nsdm *nd, u32 loc)
{
	if (loc >= NSDM_NTUPLE_MAX)
		return -ENOSPC;
	if (!test_bit(loc, nd->ntuple_map))
		return -ENOENT;
	nsdm_ntuple_put(nd, loc, NULL);
	return 0;
}

static int nsdm_ntuple_get(const struct nsdm *nd, struct ethtool_rxnfc *nfc)
{
	const struct nsdm_ntuple *rule;

	if (nfc->fs.location >= NSDM_NTUPLE_MAX)
		return -EINVAL;
	rule = devmem_settings_dereference(nd->dev, nd->ntuples[nfc->fs.location]);
	if (!rule)
		return -ENOENT;
	nfc->data = NSDM_NTUPLE_MAX;
	nfc->fs = rule->fs;
	nfc->rss_context = rule->rss_context;
	return 0;
}

static int nsdm_ntuple_list(const struct nsdm *nd, struct ethtool_rxnfc *nfc,
			    u32 *locs)
{
	unsigned int loc, n = 0;

	nfc->data = NSDM_NTUPLE_MAX;
	if (nfc->rule_cnt < nd->nr_ntuples)
		return -EMSGSIZE;
	for_each_set_bit(loc, nd->ntuple_map, NSDM_NTUPLE_MAX)
		locs[n++] = loc;
	nfc->rule_cnt = n;
	return 0;
}

/* Which fields are hashed, and how many queues there are, only older kernels ask
 * for here: newer ones have operations for that.
 */
static int nsdm_get_rxfh_fields_nfc(struct net_device *dev,
				    struct ethtool_rxnfc *nfc)
{
	struct ethtool_rxfh_fields fields = {
		.flow_type	= nfc->flow_type & ~FLOW_RSS,
	};
	int err;

	err = nsdm_get_rxfh_fields(dev, &fields);
	nfc->data = fields.data;
	return err;
}

static int nsdm_set_rxfh_fields_nfc(struct net_device *dev,
				    const struct ethtool_rxnfc *nfc)
{
	struct ethtool_rxfh_fields fields = {
		.flow_type	= nfc->flow_type & ~FLOW_RSS,
		.data		= nfc->data,
	};

	if (fields.data != nfc->data)
		return -EOPNOTSUPP;
	return nsdm_set_rxfh_fields(dev, &fields, NULL);
}

int nsdm_get_rxnfc(struct net_device *dev, struct ethtool_rxnfc *nfc, u32 *locs)
{
	struct nsdm *nd = netdev_priv(dev);

	switch (nfc->cmd) {
	case ETHTOOL_GRXRINGS:
		nfc->data = nsdm_get_rx_ring_count(dev);
		return 0;
	case ETHTOOL_GRXFH:
		return nsdm_get_rxfh_fields_nfc(dev, nfc);
	case ETHTOOL_GRXCLSRLCNT:
		nfc->rule_cnt = nd->nr_ntuples;
		nfc->data = NSDM_NTUPLE_MAX | RX_CLS_LOC_SPECIAL;
		return 0;
	case ETHTOOL_GRXCLSRULE:
		return nsdm_ntuple_get(nd, nfc);
	case ETHTOOL_GRXCLSRLALL:
		return nsdm_ntuple_list(nd, nfc, locs);
	default:
		return -EOPNOTSUPP;
	}
}

int nsdm_set_rxnfc(struct net_device *dev, struct ethtool_rxnfc *nfc)
{
	struct nsdm *nd = netdev_priv(dev);

	switch (nfc->cmd) {
	case ETHTOOL_SRXFH:
		return nsdm_set_rxfh_fields_nfc(dev, nfc);
	case ETHTOOL_SRXCLSRLINS:
		return nsdm_ntuple_insert(nd, nfc);
	case ETHTOOL_SRXCLSRLDEL:
		return nsdm_ntuple_remove(nd, nfc->fs.location);
	default:
		return -EOPNOTSUPP;
	}
}
