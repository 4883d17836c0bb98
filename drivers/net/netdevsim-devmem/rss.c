// SPDX-License-Identifier: GPL-2.0
/*
 * Receive-side scaling: the Toeplitz hash of a packet, and the queue that an
 * indirection table has for it. Owns the keys and tables, context 0 being that
 * of packets which no rule sends elsewhere. Knows nothing of rules.
 *
 * A key with its table is never changed, only replaced. A packet meets either
 * the old one or the new one; when a setting returns, no packet meets the old
 * one any more.
 */
#include <linux/ethtool.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <linux/unaligned.h>

#include "nsdm.h"

#define NSDM_RSS_INPUT		36	/* bytes: two IPv6 addresses, two ports */
#define NSDM_RSS_NIBBLES	(2 * NSDM_RSS_INPUT)

#define NSDM_RXH_L3	(RXH_IP_SRC | RXH_IP_DST)
#define NSDM_RXH_L4	(RXH_L4_B_0_1 | RXH_L4_B_2_3)

/**
 * struct nsdm_rss - a hash key and an indirection table
 * @key: as ethtool shows it
 * @indir: queues; the low bits of a packet's hash say which entry
 * @toeplitz: what each value of each half byte of input adds to the hash
 */
struct nsdm_rss {
	u8 key[NSDM_RSS_KEY];
	u8 indir[NSDM_RSS_INDIR];
	u32 toeplitz[NSDM_RSS_NIBBLES][16];
};

/* The 32 bits of the key that begin with its bit @i, the first one being 0. */
static u32 nsdm_rss_window(const u8 *key, unsigned int i)
{
	u64 bits = (u64)get_unaligned_be32(key + i / 8) << 8 | key[i / 8 + 4];

	return bits >> (8 - i % 8);
}

/* Each bit of input that is set adds the window of the key at its place. */
static void nsdm_rss_set_key(struct nsdm_rss *rss, const u8 *key)
{
	unsigned int i, v;

	memcpy(rss->key, key, NSDM_RSS_KEY);
	for (i = 0; i < ARRAY_SIZE(rss->toeplitz); i++)
		for (v = 0; v < 16; v++)
			rss->toeplitz[i][v] =
				(v & 8 ? nsdm_rss_window(key, 4 * i) : 0) ^
				(v & 4 ? nsdm_rss_window(key, 4 * i + 1) : 0) ^
				(v & 2 ? nsdm_rss_window(key, 4 * i + 2) : 0) ^
				(v & 1 ? nsdm_rss_window(key, 4 * i + 3) : 0);
}

static u32 nsdm_rss_toeplitz(const struct nsdm_rss *rss, const u8 *input,
			     unsigned int len)
{
	u32 hash = 0;
	unsigned int i;

	for (i = 0; i < len; i++)
		hash ^= rss->toeplitz[2 * i][input[i] >> 4] ^
			rss->toeplitz[2 * i + 1][input[i] & 0xf];
	return hash;
}

/* Which fields are hashed? Only those of TCP and UDP can be chosen. */
static u32 nsdm_rss_fields(const struct nsdm *nd, const struct nsdm_cb *cb)
{
	bool v6 = cb->key.family == AF_INET6;

	if (!cb->key.family)
		return 0;
	if (cb->flags & NSDM_PKT_TCP)
		return READ_ONCE(nd->rss_fields[v6 ? NSDM_RSS_TCP6 :
						     NSDM_RSS_TCP4]);
	if (cb->flags & NSDM_PKT_UDP)
		return READ_ONCE(nd->rss_fields[v6 ? NSDM_RSS_UDP6 :
						     NSDM_RSS_UDP4]);
	return NSDM_RXH_L3;
}

static unsigned int nsdm_rss_put(u8 *input, unsigned int len, const void *field,
				 unsigned int size)
{
	memcpy(input + len, field, size);
	return len + size;
}

/* The number of the queue that context @id of @nd has for @skb, which is
 * parsed. The hash stays with the packet. One without any field that is hashed,
 * ARP say, has the hash 0, and that means none. RCU read side.
 */
u32 nsdm_rss_queue(const struct nsdm *nd, u32 id, struct sk_buff *skb)
{
	const struct nsdm_cb *cb = NSDM_CB(skb);
	const struct devmem_flow_key *key = &cb->key;
	unsigned int addr = key->family == AF_INET6 ? 16 : 4;
	u32 fields = nsdm_rss_fields(nd, cb);
	const struct nsdm_rss *rss;
	u8 input[NSDM_RSS_INPUT];
	unsigned int len = 0;
	u32 hash;

	/* no context: the rule that names it is gone, but was there just now */
	rss = rcu_dereference(nd->rss[id]) ?: rcu_dereference(nd->rss[0]);
	if (!fields) {
		skb_clear_hash(skb);
		return rss->indir[0];
	}

	if (fields & RXH_IP_SRC)
		len = nsdm_rss_put(input, len, key->saddr, addr);
	if (fields & RXH_IP_DST)
		len = nsdm_rss_put(input, len, key->daddr, addr);
	if (fields & RXH_L4_B_0_1)
		len = nsdm_rss_put(input, len, &key->sport, sizeof(key->sport));
	if (fields & RXH_L4_B_2_3)
		len = nsdm_rss_put(input, len, &key->dport, sizeof(key->dport));
	hash = nsdm_rss_toeplitz(rss, input, len);
	skb_set_hash(skb, hash, fields & NSDM_RXH_L4 ? PKT_HASH_TYPE_L4 :
						       PKT_HASH_TYPE_L3);
	return rss->indir[hash % NSDM_RSS_INDIR];
}

/* The key of a new context, if nobody says: that of context 0. ethtool takes one
 * of zeroes for the oversight of a driver, so that does not spread.
 */
static void nsdm_rss_default_key(struct nsdm_rss *rss, const struct nsdm_rss *first)
{
	u8 key[NSDM_RSS_KEY];

	memcpy(key, first->key, sizeof(key));
	if (!memchr_inv(key, 0, sizeof(key)))
		netdev_rss_key_fill(key, sizeof(key));
	nsdm_rss_set_key(rss, key);
}

/* Replace context @id. What is NULL of @key and @indir stays what it was; with
 * neither that nor an old one: the default key, all queues.
 */
static int nsdm_rss_replace(struct nsdm *nd, u32 id, const u8 *key,
			    const u32 *indir)
{
	struct nsdm_rss *old = devmem_settings_dereference(nd->dev, nd->rss[id]);
	struct nsdm_rss *first = devmem_settings_dereference(nd->dev, nd->rss[0]);
	u32 queues = nd->dev->real_num_rx_queues;
	struct nsdm_rss *rss;
	unsigned int i;

	rss = kmalloc(sizeof(*rss), GFP_KERNEL_ACCOUNT);
	if (!rss)
		return -ENOMEM;
	if (old)
		*rss = *old;
	if (key)
		nsdm_rss_set_key(rss, key);
	else if (!old)
		nsdm_rss_default_key(rss, first);
	if (indir)
		for (i = 0; i < NSDM_RSS_INDIR; i++)
			rss->indir[i] = indir[i];
	else if (!old)
		for (i = 0; i < NSDM_RSS_INDIR; i++)
			rss->indir[i] = ethtool_rxfh_indir_default(i, queues);
	rcu_assign_pointer(nd->rss[id], rss);
	if (old) {
		synchronize_net();
		kfree(old);
	}
	return 0;
}

int nsdm_rss_init(struct nsdm *nd)
{
	u8 key[NSDM_RSS_KEY];
	int i;

	for (i = 0; i < NSDM_RSS_FLOWS; i++)
		nd->rss_fields[i] = NSDM_RXH_L3 | NSDM_RXH_L4;
	netdev_rss_key_fill(key, sizeof(key));
	return nsdm_rss_replace(nd, 0, key, NULL);
}

/* Nobody reads them any more. */
void nsdm_rss_free(struct nsdm *nd)
{
	u32 id;

	for (id = 0; id < NSDM_RSS_CONTEXTS; id++)
		kfree(rcu_dereference_protected(nd->rss[id], true));
}

/* There will be @queues of them. A table that somebody has set stays: it names
 * none that goes, ethtool has seen to that.
 */
int nsdm_rss_spread(struct nsdm *nd, u32 queues)
{
	u32 indir[NSDM_RSS_INDIR];
	unsigned int i;

	if (netif_is_rxfh_configured(nd->dev))
		return 0;
	for (i = 0; i < NSDM_RSS_INDIR; i++)
		indir[i] = ethtool_rxfh_indir_default(i, queues);
	return nsdm_rss_replace(nd, 0, NULL, indir);
}

bool nsdm_rss_exists(const struct nsdm *nd, u32 id)
{
	return id < NSDM_RSS_CONTEXTS && devmem_settings_dereference(nd->dev, nd->rss[id]);
}

/* ethtool */

u32 nsdm_get_rxfh_key_size(struct net_device *dev)
{
	return NSDM_RSS_KEY;
}

u32 nsdm_get_rxfh_indir_size(struct net_device *dev)
{
	return NSDM_RSS_INDIR;
}

int nsdm_get_rxfh(struct net_device *dev, struct ethtool_rxfh_param *rxfh)
{
	struct nsdm *nd = netdev_priv(dev);
	const struct nsdm_rss *rss = devmem_settings_dereference(nd->dev, nd->rss[0]);
	unsigned int i;

	rxfh->hfunc = ETH_RSS_HASH_TOP;
	if (rxfh->key)
		memcpy(rxfh->key, rss->key, NSDM_RSS_KEY);
	if (rxfh->indir)
		for (i = 0; i < NSDM_RSS_INDIR; i++)
			rxfh->indir[i] = rss->indir[i];
	return 0;
}

static int nsdm_rss_set(struct nsdm *nd, u32 id,
			const struct ethtool_rxfh_param *rxfh,
			struct netlink_ext_ack *extack)
{
	if (rxfh->hfunc != ETH_RSS_HASH_NO_CHANGE &&
	    rxfh->hfunc != ETH_RSS_HASH_TOP) {
		NL_SET_ERR_MSG_MOD(extack, "the only hash function is toeplitz");
		return -EOPNOTSUPP;
	}
	return nsdm_rss_replace(nd, id, rxfh->key, rxfh->indir);
}

int nsdm_set_rxfh(struct net_device *dev, struct ethtool_rxfh_param *rxfh,
		  struct netlink_ext_ack *extack)
{
	return nsdm_rss_set(netdev_priv(dev), 0, rxfh, extack);
}

/* What the caller has left open is told in @ctx. */
int nsdm_create_rxfh_context(struct net_device *dev,
			     struct ethtool_rxfh_context *ctx,
			     const struct ethtool_rxfh_param *rxfh,
			     struct netlink_ext_ack *extack)
{
	struct nsdm *nd = netdev_priv(dev);
	const struct nsdm_rss *rss;
	unsigned int i;
	int err;

	err = nsdm_rss_set(nd, rxfh->rss_context, rxfh, extack);
	if (err)
		return err;
	rss = devmem_settings_dereference(nd->dev, nd->rss[rxfh->rss_context]);
	ctx->hfunc = ETH_RSS_HASH_TOP;
	ctx->input_xfrm = 0;
	memcpy(ethtool_rxfh_context_key(ctx), rss->key, NSDM_RSS_KEY);
	for (i = 0; i < NSDM_RSS_INDIR; i++)
		ethtool_rxfh_context_indir(ctx)[i] = rss->indir[i];
	return 0;
}

int nsdm_modify_rxfh_context(struct net_device *dev,
			     struct ethtool_rxfh_context *ctx,
			     const struct ethtool_rxfh_param *rxfh,
			     struct netlink_ext_ack *extack)
{
	return nsdm_rss_set(netdev_priv(dev), rxfh->rss_context, rxfh, extack);
}

int nsdm_remove_rxfh_context(struct net_device *dev,
			     struct ethtool_rxfh_context *ctx, u32 id,
			     struct netlink_ext_ack *extack)
{
	struct nsdm *nd = netdev_priv(dev);
	struct nsdm_rss *old = devmem_settings_dereference(nd->dev, nd->rss[id]);
	int loc;

	loc = nsdm_ntuple_find_context(nd, id);
	if (loc >= 0) {
		NL_SET_ERR_MSG_FMT_MOD(extack,
				       "rule %d sends packets to context %u",
				       loc, id);
		return -EBUSY;
	}
	RCU_INIT_POINTER(nd->rss[id], NULL);
	synchronize_net();
	kfree(old);
	return 0;
}

static int nsdm_rss_flow(u32 flow_type)
{
	switch (flow_type) {
	case TCP_V4_FLOW:
		return NSDM_RSS_TCP4;
	case UDP_V4_FLOW:
		return NSDM_RSS_UDP4;
	case TCP_V6_FLOW:
		return NSDM_RSS_TCP6;
	case UDP_V6_FLOW:
		return NSDM_RSS_UDP6;
	default:
		return -EINVAL;
	}
}

/* All else that is IP is hashed by its addresses. */
int nsdm_get_rxfh_fields(struct net_device *dev,
			 struct ethtool_rxfh_fields *fields)
{
	const struct nsdm *nd = netdev_priv(dev);

	switch (fields->flow_type) {
	case TCP_V4_FLOW:
	case UDP_V4_FLOW:
	case TCP_V6_FLOW:
	case UDP_V6_FLOW:
		fields->data = nd->rss_fields[nsdm_rss_flow(fields->flow_type)];
		return 0;
	case SCTP_V4_FLOW:
	case AH_ESP_V4_FLOW:
	case AH_V4_FLOW:
	case ESP_V4_FLOW:
	case IPV4_FLOW:
	case SCTP_V6_FLOW:
	case AH_ESP_V6_FLOW:
	case AH_V6_FLOW:
	case ESP_V6_FLOW:
	case IPV6_FLOW:
		fields->data = NSDM_RXH_L3;
		return 0;
	default:
		return -EINVAL;
	}
}

int nsdm_set_rxfh_fields(struct net_device *dev,
			 const struct ethtool_rxfh_fields *fields,
			 struct netlink_ext_ack *extack)
{
	struct ethtool_rxfh_fields now = { .flow_type = fields->flow_type };
	int flow = nsdm_rss_flow(fields->flow_type);
	struct nsdm *nd = netdev_priv(dev);

	if (nsdm_get_rxfh_fields(dev, &now))
		return -EINVAL;
	if (flow < 0)	/* fixed */
		return fields->data == now.data ? 0 : -EOPNOTSUPP;
	if (fields->data & ~(NSDM_RXH_L3 | NSDM_RXH_L4))
		return -EOPNOTSUPP;
	WRITE_ONCE(nd->rss_fields[flow], fields->data);
	return 0;
}
