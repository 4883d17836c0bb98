// SPDX-License-Identifier: GPL-2.0
/*
 * Owns the rules that bring connections to our queues (ethtool -n). Must not know which
 * connections those are.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devmem-nic.h"

/* struct ethtool_rxnfc with the locations of all rules of the device. */
struct dn_list {
	struct ethtool_rxnfc *nfc;
	uint32_t size;		/* of the table: places */
	bool special;		/* the driver chooses a place itself */
};

static int dn_list_get(const struct dn_nic *nic, struct dn_list *list)
{
	struct ethtool_rxnfc count = { .cmd = ETHTOOL_GRXCLSRLCNT };
	int ret = dn_ioctl(nic, &count);

	list->nfc = NULL;
	if (ret) {
		devmem_fail(-ret, "%s: its driver has no rules for connections (ethtool -n)",
			    nic->dev);
		return ret;
	}
	list->size = (uint32_t)count.data & ~RX_CLS_LOC_SPECIAL;
	list->special = count.data & RX_CLS_LOC_SPECIAL;
	list->nfc = calloc(1, sizeof(*list->nfc) + count.rule_cnt * sizeof(uint32_t));
	if (!list->nfc) {
		devmem_fail(ENOMEM, "out of memory");
		return -ENOMEM;
	}
	list->nfc->cmd = ETHTOOL_GRXCLSRLALL;
	list->nfc->rule_cnt = count.rule_cnt;
	ret = dn_ioctl(nic, list->nfc);
	if (!ret) {
		if (!list->size)
			list->size = (uint32_t)list->nfc->data & ~RX_CLS_LOC_SPECIAL;
		return 0;
	}
	free(list->nfc);
	list->nfc = NULL;
	devmem_fail(-ret, "%s: rules: %s", nic->dev, strerror(-ret));
	return ret;
}

/* Return: 0 or -errno, without a text. */
static int dn_rule_get(const struct dn_nic *nic, uint32_t location, struct ethtool_rxnfc *nfc)
{
	memset(nfc, 0, sizeof(*nfc));
	nfc->cmd = ETHTOOL_GRXCLSRULE;
	nfc->fs.location = location;
	return dn_ioctl(nic, nfc);
}

/* The queue that a rule names; UINT64_MAX: none. */
static uint64_t dn_rule_queue(const struct ethtool_rx_flow_spec *fs)
{
	if (fs->flow_type & FLOW_RSS || fs->ring_cookie == RX_CLS_FLOW_DISC ||
	    ethtool_get_flow_spec_ring_vf(fs->ring_cookie))
		return UINT64_MAX;
	return ethtool_get_flow_spec_ring(fs->ring_cookie);
}

static int dn_rules_features(const struct dn_nic *nic, uint32_t *flags)
{
	struct ethtool_value value = { .cmd = ETHTOOL_GFLAGS };
	int ret = dn_ioctl(nic, &value);

	*flags = value.data;
	return ret ? devmem_fail(-ret, "%s: features: %s", nic->dev, strerror(-ret)) : 0;
}

static int dn_rules_switch(const struct dn_nic *nic, bool on)
{
	struct ethtool_value value = { .cmd = ETHTOOL_SFLAGS };
	uint32_t flags;
	int ret = dn_rules_features(nic, &flags);

	if (ret)
		return ret;
	value.data = on ? flags | ETH_FLAG_NTUPLE : flags & ~(uint32_t)ETH_FLAG_NTUPLE;
	ret = dn_ioctl(nic, &value);
	return ret ? devmem_fail(-ret, "%s: ntuple-filters %s: %s%s", nic->dev,
				 on ? "on" : "off", strerror(-ret),
				 ret == -EPERM ? "; it takes CAP_NET_ADMIN" : "") : 0;
}

static bool dn_wanted(const struct dn_nic *nic, uint64_t queue)
{
	uint32_t i;

	for (i = 0; i < nic->nr_queues; i++)
		if (nic->queues[i] == queue)
			return true;
	return false;
}

int dn_rules_check(struct dn_nic *nic)
{
	struct dn_list list;
	int ret = dn_list_get(nic, &list);

	free(list.nfc);
	return ret;
}

/* Rules that bring something else to our queues are the operator's to remove. */
int dn_rules_conflict(struct dn_nic *nic)
{
	struct ethtool_rxnfc nfc;
	struct dn_list list;
	uint64_t queue;
	uint32_t i;
	int ret = dn_list_get(nic, &list);

	for (i = 0; !ret && i < list.nfc->rule_cnt; i++) {
		if (dn_rule_get(nic, list.nfc->rule_locs[i], &nfc))
			continue;
		queue = dn_rule_queue(&nfc.fs);
		if (dn_wanted(nic, queue))
			ret = devmem_fail(EBUSY, "%s: rule %u brings other traffic to rx queue %u: remove it (ethtool -N %s delete %u) or take another queue",
					  nic->dev, nfc.fs.location, (uint32_t)queue,
					  nic->dev, nfc.fs.location);
	}
	free(list.nfc);
	return ret;
}

static int dn_rules_on(struct dn_nic *nic, uint32_t flags)
{
	int ret;

	if (flags & ETH_FLAG_NTUPLE)
		return 0;
	nic->state->feature_set = true;
	ret = dn_rules_switch(nic, true);
	if (!ret)
		ret = dn_rules_features(nic, &flags);
	if (!ret && !(flags & ETH_FLAG_NTUPLE))
		ret = devmem_fail(EOPNOTSUPP, "%s: ntuple-filters stay off", nic->dev);
	return ret;
}

/* The filters go off again unless somebody else has come to use them. */
static int dn_rules_off(struct dn_nic *nic, uint32_t flags)
{
	struct dn_list list;
	int ret = dn_list_get(nic, &list);

	if (ret)
		return ret;
	if (!list.nfc->rule_cnt && flags & ETH_FLAG_NTUPLE)
		ret = dn_rules_switch(nic, false);
	free(list.nfc);
	if (!ret)
		nic->state->feature_set = false;
	return ret;
}

int dn_rules_settle(struct dn_nic *nic)
{
	bool busy = dn_state_busy(nic);
	uint32_t flags;
	int ret;

	if (!busy && !nic->state->feature_set)
		return 0;
	ret = dn_rules_features(nic, &flags);
	if (ret)
		return ret;
	return busy ? dn_rules_on(nic, flags) : dn_rules_off(nic, flags);
}

static void dn_rule_spec(struct ethtool_rx_flow_spec *fs, const struct dn_flow *flow)
{
	struct ethtool_tcpip6_spec *h6 = &fs->h_u.tcp_ip6_spec, *m6 = &fs->m_u.tcp_ip6_spec;
	struct ethtool_tcpip4_spec *h4 = &fs->h_u.tcp_ip4_spec, *m4 = &fs->m_u.tcp_ip4_spec;

	memset(fs, 0, sizeof(*fs));
	if (flow->family == AF_INET) {
		fs->flow_type = TCP_V4_FLOW;
		memcpy(&h4->ip4src, flow->src, sizeof(h4->ip4src));
		memcpy(&h4->ip4dst, flow->dst, sizeof(h4->ip4dst));
		h4->psrc = flow->src_port;
		h4->pdst = flow->dst_port;
		memset(&m4->ip4src, 0xff, sizeof(m4->ip4src));
		memset(&m4->ip4dst, 0xff, sizeof(m4->ip4dst));
		m4->psrc = 0xffff;
		m4->pdst = 0xffff;
		return;
	}
	fs->flow_type = TCP_V6_FLOW;
	memcpy(h6->ip6src, flow->src, sizeof(h6->ip6src));
	memcpy(h6->ip6dst, flow->dst, sizeof(h6->ip6dst));
	h6->psrc = flow->src_port;
	h6->pdst = flow->dst_port;
	memset(m6->ip6src, 0xff, sizeof(m6->ip6src));
	memset(m6->ip6dst, 0xff, sizeof(m6->ip6dst));
	m6->psrc = 0xffff;
	m6->pdst = 0xffff;
}

/* Of a driver that does not choose: the last place that is free, for the first ones are
 * what operators take.
 */
static int dn_rule_place(const struct dn_nic *nic, uint32_t *location)
{
	struct dn_list list;
	uint32_t place, i;
	int ret = dn_list_get(nic, &list);

	if (ret)
		return ret;
	*location = RX_CLS_LOC_ANY;
	for (place = list.size; !list.special && place; place--) {
		for (i = 0; i < list.nfc->rule_cnt; i++)
			if (list.nfc->rule_locs[i] == place - 1)
				break;
		if (i == list.nfc->rule_cnt) {
			*location = place - 1;
			break;
		}
	}
	if (!list.special && !place)
		ret = devmem_fail(ENOSPC, "%s: all its %u rules are taken", nic->dev, list.size);
	free(list.nfc);
	return ret;
}

/* Of a receiver's queue; drivers may tell masks, and what is in the padding, in their
 * own way.
 */
static bool dn_rule_is(const struct dn_rule *rule, const struct ethtool_rx_flow_spec *fs)
{
	struct ethtool_rx_flow_spec want;
	size_t size;

	dn_rule_spec(&want, &rule->flow);
	size = want.flow_type == TCP_V4_FLOW ? offsetof(struct ethtool_tcpip4_spec, tos) :
					       offsetof(struct ethtool_tcpip6_spec, tclass);
	return want.flow_type == fs->flow_type && rule->queue == dn_rule_queue(fs) &&
	       !memcmp(&want.h_u, &fs->h_u, size);
}

/* Whoever was to make it was killed: has he? */
static int dn_rule_find(const struct dn_nic *nic, struct dn_rule *rule)
{
	struct ethtool_rxnfc nfc;
	struct dn_list list;
	uint32_t i;
	int ret;

	if (rule->location != RX_CLS_LOC_ANY)
		return 0;
	ret = dn_list_get(nic, &list);
	if (ret)
		return ret;
	for (i = 0; i < list.nfc->rule_cnt; i++)
		if (!dn_rule_get(nic, list.nfc->rule_locs[i], &nfc) &&
		    dn_rule_is(rule, &nfc.fs))
			rule->location = list.nfc->rule_locs[i];
	free(list.nfc);
	return 0;
}

static int dn_rule_remove(const struct dn_nic *nic, struct dn_rule *rule)
{
	struct ethtool_rxnfc nfc;
	int ret = dn_rule_find(nic, rule);

	if (ret)
		return ret;
	ret = dn_rule_get(nic, rule->location, &nfc);
	if (ret == -ENODEV)
		return devmem_fail(ENODEV, "%s: gone", nic->dev);
	/* or else somebody has removed it, and may have put another one there */
	if (!ret && dn_rule_is(rule, &nfc.fs)) {
		nfc.cmd = ETHTOOL_SRXCLSRLDEL;
		nfc.fs.location = rule->location;
		ret = dn_ioctl(nic, &nfc);
		if (ret)
			return devmem_fail(-ret, "%s: removing rule %u: %s", nic->dev,
					   rule->location, strerror(-ret));
	}
	rule->user = 0;
	return 0;
}

int dn_rules_drop(struct dn_nic *nic, int user)
{
	struct dn_rule *rule = nic->state->rules;
	int ret = 0;

	for (; !ret && rule < nic->state->rules + DN_RULES; rule++)
		if (rule->user == (uint32_t)user + 1)
			ret = dn_rule_remove(nic, rule);
	return ret;
}

int dn_rule_add(struct dn_nic *nic, const struct dn_flow *flow, uint32_t queue,
		uint32_t *nr)
{
	struct ethtool_rxnfc nfc = { .cmd = ETHTOOL_SRXCLSRLINS };
	struct dn_rule *rule = nic->state->rules;
	int ret;

	while (rule < nic->state->rules + DN_RULES && rule->user)
		rule++;
	if (rule == nic->state->rules + DN_RULES)
		return devmem_fail(ENOSPC, "%s: has %d connections already", nic->dev, DN_RULES);
	dn_rule_spec(&nfc.fs, flow);
	nfc.fs.ring_cookie = queue;
	ret = dn_rule_place(nic, &nfc.fs.location);
	if (ret)
		return ret;
	rule->flow = *flow;
	rule->queue = queue;
	rule->location = nfc.fs.location;
	rule->user = (uint32_t)nic->user + 1;
	ret = dn_ioctl(nic, &nfc);
	if (ret) {
		rule->user = 0;
		return devmem_fail(-ret, "%s: a rule for the connection: %s", nic->dev,
				   ret == -ENOSPC ? "all are taken" : strerror(-ret));
	}
	rule->location = nfc.fs.location;
	*nr = (uint32_t)(rule - nic->state->rules);
	return 0;
}

int dn_rule_del(struct dn_nic *nic, uint32_t nr)
{
	struct dn_rule *rule = &nic->state->rules[nr];

	return rule->user == (uint32_t)nic->user + 1 ? dn_rule_remove(nic, rule) : 0;
}
