// SPDX-License-Identifier: GPL-2.0
/*
 * The parser: what the headers of a packet say, as far as the NIC looks at them.
 * Owns what is in the cb of a packet on the wire. Knows nothing of devices, and
 * believes no length field.
 */
#include <linux/etherdevice.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <net/ip.h>

#include "nsdm.h"

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

/* What a length field of IP says of the packet from @off on. A super-packet may be
 * too long for it, which is 0 then: what each segment has there the hardware will
 * know. No other packet is as long as it likes.
 */
static unsigned int nsdm_parse_len(const struct sk_buff *skb, unsigned int off,
				   __be16 field)
{
	if (!field && skb->len > off + IP_MAX_MTU && skb_is_gso(skb) &&
	    skb_is_gso_tcp(skb))
		return skb->len - off;
	return ntohs(field);
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
	len = nsdm_parse_len(skb, ETH_HLEN, ip->tot_len);
	if (len < ihl || ETH_HLEN + len > skb->len)
		return;

	cb->key.family = AF_INET;
	cb->key.saddr[0] = ip->saddr;
	cb->key.daddr[0] = ip->daddr;
	cb->proto = ip->protocol;
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
	len = nsdm_parse_len(skb, ETH_HLEN + sizeof(*ip), ip->payload_len);
	if (ETH_HLEN + sizeof(*ip) + len > skb->len)
		return;

	cb->key.family = AF_INET6;
	memcpy(cb->key.saddr, &ip->saddr, sizeof(cb->key.saddr));
	memcpy(cb->key.daddr, &ip->daddr, sizeof(cb->key.daddr));
	cb->proto = ip->nexthdr;
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
