// SPDX-License-Identifier: GPL-2.0
/*
 * Headers of a flow's packets, and a reading of them byte by byte: for place_fuzz.c.
 */
#include "place_packet.h"

static unsigned int at16(const u8 *p)
{
	return p[0] << 8 | p[1];
}

static void put16(u8 *p, unsigned int v)
{
	p[0] = v >> 8;
	p[1] = v;
}

/* Does the length field at @p say @len, or nothing of a super-packet that is longer
 * than it can say?
 */
static bool model_len(const struct sk_buff *skb, const u8 *p, unsigned int len)
{
	return at16(p) == (len > 0xffff && skb->gso_size ? 0 : len);
}

/* @ip and @tcp: where that header is. */
bool model_header(const struct sk_buff *skb, const struct devmem_flow_key *key,
		  unsigned int len)
{
	unsigned int end = skb->len, ip = skb->network_header, tcp = skb->transport_header;
	const u8 *p = skb->data;

	if (skb->data_len || skb->ip_summed != CHECKSUM_UNNECESSARY || !len)
		return false;
	if (tcp + 20 > end || tcp + p[tcp + 12] / 16 * 4 != end || p[tcp + 12] / 16 < 5)
		return false;
	/* of URG ACK PSH RST SYN FIN, ACK must be there, and PSH and FIN may */
	if ((p[tcp + 13] & 0x36) != 0x10)
		return false;
	if (memcmp(p + tcp, &key->sport, 2) || memcmp(p + tcp + 2, &key->dport, 2))
		return false;
	if (key->family == AF_INET)
		return tcp == ip + 20 && p[ip] == 0x45 && p[ip + 9] == 6 &&
		       !(at16(p + ip + 6) & 0x3fff) && model_len(skb, p + ip + 2, end - ip + len) &&
		       !memcmp(p + ip + 12, key->saddr, 4) &&
		       !memcmp(p + ip + 16, key->daddr, 4);
	return tcp == ip + 40 && p[ip] / 16 == 6 && p[ip + 6] == 6 &&
	       model_len(skb, p + ip + 4, end - tcp + len) &&
	       !memcmp(p + ip + 8, key->saddr, 16) &&
	       !memcmp(p + ip + 24, key->daddr, 16);
}

/* What a length field says. */
static void put_len(u8 *p, unsigned int len)
{
	put16(p, len > 0xffff ? 0 : len);
}

void packet(struct sk_buff *skb, u8 *headers, const struct devmem_flow_key *key,
	    struct net_device *dev, unsigned int len)
{
	bool v6 = key->family == AF_INET6;
	unsigned int ip = v6 ? 40 : 20;
	u8 *p = headers;

	memset(headers, 0, HDR);
	if (v6) {
		p[0] = 0x60;
		put_len(p + 4, 20 + len);
		p[6] = 6;
		memcpy(p + 8, key->saddr, 16);
		memcpy(p + 24, key->daddr, 16);
	} else {
		p[0] = 0x45;
		put_len(p + 2, 40 + len);
		p[9] = 6;
		memcpy(p + 12, key->saddr, 4);
		memcpy(p + 16, key->daddr, 4);
	}
	memcpy(p + ip, &key->sport, 2);
	memcpy(p + ip + 2, &key->dport, 2);
	p[ip + 12] = 0x50;
	p[ip + 13] = 0x10;

	memset(skb, 0, sizeof(*skb));
	skb->dev = dev;
	skb->data = p;
	skb->len = ip + 20;
	skb->transport_header = ip;
	skb->ip_summed = CHECKSUM_UNNECESSARY;
	skb->gso_size = len > 1460 ? 1460 : 0;
	skb->gso_type = v6 ? SKB_GSO_TCPV6 : SKB_GSO_TCPV4;
}
