// SPDX-License-Identifier: GPL-2.0
/*
 * The NIC's parser, drivers/net/netdevsim-devmem/parse.c, against one that reads
 * the packet byte by byte. An input says how the packet lies in memory and what
 * of it is put right before it is parsed; the rest of it is the packet.
 */
#include "fuzz.h"

#include "nsdm.h"

#define MAC		14	/* bytes of a MAC header */
#define PACKET_MAX	512	/* bytes that come from the input */

/* What is put right. */
#define FIX_LENGTH	0x01	/* the length in the IP header */
#define FIX_CSUM	0x02	/* the checksum of the IPv4 header */
#define FIX_IPV4	0x04	/* it is IPv4 without options */
#define FIX_IPV6	0x08	/* it is IPv6 */
#define FIX_TCP		0x10	/* with TCP in it; alone: with UDP */
#define FIX_WHOLE	0x20	/* no fragment */
#define FIX_LONG	0x40	/* there are up to 64 KiB more of it */
#define FIX_SUPER	0x80	/* it is a super-packet: of TCP, if so much is put right */

static u8 packet[PACKET_MAX + 0x10000];

static unsigned int at16(unsigned int off)
{
	return packet[off] << 8 | packet[off + 1];
}

static void put16(unsigned int off, unsigned int v)
{
	packet[off] = v >> 8;
	packet[off + 1] = v;
}

/* The sum of an IPv4 header's 16-bit words, carries added: 0xffff is right. */
static unsigned int ipv4_sum(void)
{
	unsigned int i, sum = 0;

	for (i = 0; i < (packet[MAC] & 15); i++) {
		sum += at16(MAC + 4 * i);
		sum = sum % 0x10000 + sum / 0x10000;
		sum += at16(MAC + 4 * i + 2);
		sum = sum % 0x10000 + sum / 0x10000;
	}
	return sum;
}

static void put_right(u8 fix, unsigned int len)
{
	if (fix & FIX_IPV6) {
		put16(12, 0x86dd);
		packet[MAC] = 0x60 | (packet[MAC] & 15);
		packet[MAC + 6] = fix & FIX_TCP ? 6 : 17;
		if (fix & FIX_LENGTH && len >= MAC + 40)
			put16(MAC + 4, len - MAC - 40 > 0xffff ? 0 : len - MAC - 40);
		return;
	}
	if (fix & FIX_IPV4) {
		put16(12, 0x0800);
		packet[MAC] = 0x45;
		packet[MAC + 9] = fix & FIX_TCP ? 6 : 17;
	}
	if (fix & FIX_LENGTH && len >= MAC)
		put16(MAC + 2, len - MAC > 0xffff ? 0 : len - MAC);
	if (fix & FIX_WHOLE)
		put16(MAC + 6, at16(MAC + 6) & 0xc000);
	if (fix & FIX_CSUM) {
		put16(MAC + 10, 0);
		put16(MAC + 10, 0xffff - ipv4_sum());
	}
}

/* Behind IP there are @len bytes at @off, of protocol @proto. */
static void model_l4(struct nsdm_cb *want, unsigned int proto, unsigned int off,
		     unsigned int len)
{
	unsigned int hdr;

	if (proto == 6 && len >= 20)
		hdr = packet[off + 12] / 16 * 4;
	else if (proto == 17 && len >= 8)
		hdr = 8;
	else
		return;
	if (proto == 6 && hdr < 20)
		return;
	if (hdr > len)
		return;
	want->flags |= proto == 6 ? NSDM_PKT_TCP : NSDM_PKT_UDP;
	memcpy(&want->key.sport, packet + off, 2);
	memcpy(&want->key.dport, packet + off + 2, 2);
	want->l4_off = off;
	want->l4_len = len;
	want->hdr_len = off + hdr;
}

/* Of @len bytes the length field at @off tells how many there are; of a super-packet
 * of TCP, if that is too long for it, nothing.
 */
static unsigned int model_len(u8 fix, unsigned int off, unsigned int len)
{
	const u8 super = FIX_SUPER | FIX_TCP;

	return (fix & super) == super && !at16(off) && len > 0xffff ? len : at16(off);
}

static void model(struct nsdm_cb *want, u8 fix, unsigned int len)
{
	unsigned int ihl, total;

	memset(want, 0, sizeof(*want));
	if (len >= MAC + 20 && at16(12) == 0x0800) {
		ihl = packet[MAC] % 16 * 4;
		total = model_len(fix, MAC + 2, len - MAC);
		if (packet[MAC] / 16 != 4 || ihl < 20 || total < ihl || MAC + total > len)
			return;
		want->key.family = AF_INET;
		memcpy(want->key.saddr, packet + MAC + 12, 4);
		memcpy(want->key.daddr, packet + MAC + 16, 4);
		want->proto = packet[MAC + 9];
		if (at16(MAC + 6) % 0x4000)	/* an offset, or more to come */
			return;
		if (ihl == 20 && MAC + total == len && ipv4_sum() == 0xffff)
			want->flags |= NSDM_PKT_PLAIN;
		model_l4(want, want->proto, MAC + ihl, total - ihl);
	} else if (len >= MAC + 40 && at16(12) == 0x86dd) {
		total = model_len(fix, MAC + 4, len - MAC - 40);
		if (packet[MAC] / 16 != 6 || MAC + 40 + total > len)
			return;
		want->key.family = AF_INET6;
		memcpy(want->key.saddr, packet + MAC + 8, 16);
		memcpy(want->key.daddr, packet + MAC + 24, 16);
		want->proto = packet[MAC + 6];
		if (MAC + 40 + total == len)
			want->flags |= NSDM_PKT_PLAIN;
		model_l4(want, want->proto, MAC + 40, total);
	}
}

/* What those who use a parsed packet count on. */
static void promises(const struct nsdm_cb *cb, unsigned int len)
{
	if (!(cb->flags & NSDM_PKT_L4)) {
		fuzz_check(!cb->l4_off && !cb->l4_len && !cb->hdr_len);
		fuzz_check(!cb->key.sport && !cb->key.dport);
		return;
	}
	fuzz_check((cb->flags & NSDM_PKT_L4) != NSDM_PKT_L4);
	fuzz_check(cb->key.family);
	fuzz_check(cb->l4_off < cb->hdr_len);
	fuzz_check(cb->hdr_len <= cb->l4_off + cb->l4_len);
	fuzz_check(cb->l4_off + cb->l4_len <= len);
}

void fuzz_one(struct fuzz_in *in)
{
	u8 fix = in_u8(in);
	unsigned int headlen = in_u8(in), more, len = 0;
	const struct nsdm_cb *cb;
	u8 *linear, *paged;
	struct sk_buff skb;
	struct nsdm_cb want;

	/* 255: all of it; less: so much in the linear part */
	more = fix & FIX_LONG ? in_u16(in) : 0;
	memset(packet, 0, PACKET_MAX);	/* all behind that is 0 anyway */
	while (in_more(in) && len < PACKET_MAX)
		packet[len++] = in_u8(in);
	len += more;
	put_right(fix, len);
	if (headlen == 255 || headlen > len)
		headlen = len;

	/* exactly as long as they say, the IP header on a multiple of 4 */
	linear = malloc(headlen + 2);
	paged = malloc(len - headlen);
	fuzz_check(linear && paged);
	memcpy(linear + 2, packet, headlen);
	memcpy(paged, packet + headlen, len - headlen);

	memset(&skb, 0xa5, sizeof(skb));
	skb.len = len;
	skb.data_len = len - headlen;
	skb.data = linear + 2;
	skb.paged = paged;
	skb.gso_size = fix & FIX_SUPER ? 1 : 0;
	skb.gso_type = fix & FIX_TCP ? SKB_GSO_TCPV4 : SKB_GSO_UDP;
	_Static_assert(sizeof(struct nsdm_cb) <= sizeof(skb.cb), "cb too small");

	nsdm_parse(&skb);
	cb = NSDM_CB(&skb);
	promises(cb, len);
	model(&want, fix, len);
	fuzz_check(!memcmp(&cb->key, &want.key, sizeof(want.key)));
	fuzz_check(cb->flags == want.flags);
	fuzz_check(cb->proto == want.proto);
	fuzz_check(cb->l4_off == want.l4_off);
	fuzz_check(cb->l4_len == want.l4_len);
	fuzz_check(cb->hdr_len == want.hdr_len);
	fuzz_check(!memcmp(linear + 2, packet, headlen));
	free(linear);
	free(paged);
}
