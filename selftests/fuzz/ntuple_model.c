// SPDX-License-Identifier: GPL-2.0
/*
 * What a rule of ethtool may be, and which packets it means: field by field and
 * byte by byte, from what the ABI and the head of ntuple.c say. Knows no table.
 */
#include "ntuple_model.h"

static bool any(const void *p, size_t len)
{
	const u8 *b = p;

	while (len--)
		if (*b++)
			return true;
	return false;
}

/* Ones, then zeros. */
static bool model_prefix(const void *mask, unsigned int bytes)
{
	const u8 *b = mask;
	unsigned int i, ones = 0;

	while (ones < 8 * bytes && b[ones / 8] << ones % 8 & 0x80)
		ones++;
	for (i = ones; i < 8 * bytes; i++)
		if (b[i / 8] << i % 8 & 0x80)
			return false;
	return true;
}

static bool model_full_or_none(const void *mask, unsigned int bytes)
{
	const u8 *b = mask;
	unsigned int i;

	for (i = 1; i < bytes; i++)
		if (b[i] != b[0])
			return false;
	return b[0] == 0 || b[0] == 0xff;
}

int model_fields(const struct ethtool_rx_flow_spec *fs)
{
	const union ethtool_flow_union *m = &fs->m_u;
	u32 type = fs->flow_type & ~(FLOW_EXT | FLOW_MAC_EXT | FLOW_RSS);

	if (fs->flow_type & (FLOW_EXT | FLOW_MAC_EXT) && any(&fs->m_ext, sizeof(fs->m_ext)))
		return -EINVAL;
	if (type == TCP_V4_FLOW || type == UDP_V4_FLOW)
		return model_prefix(&m->tcp_ip4_spec.ip4src, 4) &&
		       model_prefix(&m->tcp_ip4_spec.ip4dst, 4) &&
		       model_full_or_none(&m->tcp_ip4_spec.psrc, 2) &&
		       model_full_or_none(&m->tcp_ip4_spec.pdst, 2) &&
		       !m->tcp_ip4_spec.tos ? 0 : -EINVAL;
	if (type == TCP_V6_FLOW || type == UDP_V6_FLOW)
		return model_prefix(m->tcp_ip6_spec.ip6src, 16) &&
		       model_prefix(m->tcp_ip6_spec.ip6dst, 16) &&
		       model_full_or_none(&m->tcp_ip6_spec.psrc, 2) &&
		       model_full_or_none(&m->tcp_ip6_spec.pdst, 2) &&
		       !m->tcp_ip6_spec.tclass ? 0 : -EINVAL;
	if (type == IP_USER_FLOW)
		return model_prefix(&m->usr_ip4_spec.ip4src, 4) &&
		       model_prefix(&m->usr_ip4_spec.ip4dst, 4) &&
		       model_full_or_none(&m->usr_ip4_spec.proto, 1) &&
		       !m->usr_ip4_spec.tos && !m->usr_ip4_spec.l4_4_bytes &&
		       !m->usr_ip4_spec.ip_ver &&
		       fs->h_u.usr_ip4_spec.ip_ver == ETH_RX_NFC_IP4 ? 0 : -EINVAL;
	if (type == IPV6_USER_FLOW)
		return model_prefix(m->usr_ip6_spec.ip6src, 16) &&
		       model_prefix(m->usr_ip6_spec.ip6dst, 16) &&
		       model_full_or_none(&m->usr_ip6_spec.l4_proto, 1) &&
		       !m->usr_ip6_spec.tclass && !m->usr_ip6_spec.l4_4_bytes ? 0 : -EINVAL;
	return -EOPNOTSUPP;
}

static bool same(const void *a, const void *b, const void *mask, unsigned int bytes)
{
	const u8 *x = a, *y = b, *m = mask;

	for (; bytes; bytes--, x++, y++, m++)
		if ((*x & *m) != (*y & *m))
			return false;
	return true;
}

bool model_hit(const struct ethtool_rx_flow_spec *fs, const struct packet *p)
{
	const union ethtool_flow_union *h = &fs->h_u, *m = &fs->m_u;
	u32 type = fs->flow_type & 0xff;

	if (type == TCP_V4_FLOW || type == UDP_V4_FLOW)
		return !p->v6 && p->l4 && p->proto == (type == TCP_V4_FLOW ? 6 : 17) &&
		       same(p->src, &h->tcp_ip4_spec.ip4src, &m->tcp_ip4_spec.ip4src, 4) &&
		       same(p->dst, &h->tcp_ip4_spec.ip4dst, &m->tcp_ip4_spec.ip4dst, 4) &&
		       same(p->sport, &h->tcp_ip4_spec.psrc, &m->tcp_ip4_spec.psrc, 2) &&
		       same(p->dport, &h->tcp_ip4_spec.pdst, &m->tcp_ip4_spec.pdst, 2);
	if (type == TCP_V6_FLOW || type == UDP_V6_FLOW)
		return p->v6 && p->l4 && p->proto == (type == TCP_V6_FLOW ? 6 : 17) &&
		       same(p->src, h->tcp_ip6_spec.ip6src, m->tcp_ip6_spec.ip6src, 16) &&
		       same(p->dst, h->tcp_ip6_spec.ip6dst, m->tcp_ip6_spec.ip6dst, 16) &&
		       same(p->sport, &h->tcp_ip6_spec.psrc, &m->tcp_ip6_spec.psrc, 2) &&
		       same(p->dport, &h->tcp_ip6_spec.pdst, &m->tcp_ip6_spec.pdst, 2);
	if (type == IP_USER_FLOW)
		return !p->v6 &&
		       same(p->src, &h->usr_ip4_spec.ip4src, &m->usr_ip4_spec.ip4src, 4) &&
		       same(p->dst, &h->usr_ip4_spec.ip4dst, &m->usr_ip4_spec.ip4dst, 4) &&
		       same(&p->proto, &h->usr_ip4_spec.proto, &m->usr_ip4_spec.proto, 1);
	return p->v6 &&
	       same(p->src, h->usr_ip6_spec.ip6src, m->usr_ip6_spec.ip6src, 16) &&
	       same(p->dst, h->usr_ip6_spec.ip6dst, m->usr_ip6_spec.ip6dst, 16) &&
	       same(&p->proto, &h->usr_ip6_spec.l4_proto, &m->usr_ip6_spec.l4_proto, 1);
}
