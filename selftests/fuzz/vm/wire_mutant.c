// SPDX-License-Identifier: GPL-2.0
/*
 * Puts the segments of wire_shape.h into frames and sends them, many with one
 * call. Owns the batch; must not know what becomes of them.
 */
#include <errno.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "chance.h"
#include "wire_shape.h"

#define BATCH		128
#define FRAME_MAX	2048
#define SUPER_MAX	16000

/* ---- the batch ---------------------------------------------------------- */

static uint8_t buffers[BATCH][FRAME_MAX];
static struct iovec iovs[BATCH];
static struct mmsghdr msgs[BATCH];
static unsigned int waiting;
static int out = -1, super_out = -1;
static uint64_t sent;

void frames_to(int packet_fd, int vnet_fd)
{
	out = packet_fd;
	super_out = vnet_fd;
	waiting = 0;
	sent = 0;
}

uint64_t frames_sent(void)
{
	uint64_t n = sent;

	sent = 0;
	return n;
}

void frames_flush(void)
{
	unsigned int at = 0;
	int n;

	while (at < waiting) {
		n = sendmmsg(out, msgs + at, waiting - at, 0);
		if (n < 0 && errno == ENOBUFS)
			n = 1;		/* the queue is full: lost, as on any wire */
		if (n < 0)
			fail("frame of %zu bytes: %s", iovs[at].iov_len, strerror(errno));
		at += (unsigned int)n;
	}
	sent += waiting;
	waiting = 0;
}

static uint8_t *buffer(void)
{
	if (waiting == BATCH)
		frames_flush();
	return buffers[waiting];
}

/* The buffer has a frame. */
static void put(size_t len)
{
	iovs[waiting] = (struct iovec){ buffers[waiting], len };
	msgs[waiting].msg_hdr = (struct msghdr){ .msg_iov = &iovs[waiting], .msg_iovlen = 1 };
	waiting++;
}

/* ---- IP ----------------------------------------------------------------- */

/* Numbers of datagrams that are whole, and of those that are not, must not meet
 * in a reassembly.
 */
static uint16_t good_id(struct peer *p)
{
	return htons((uint16_t)(p->ids++ & 0x7fff));
}

static uint16_t bad_id(struct peer *p)
{
	return htons((uint16_t)(p->ids++ | 0x8000));
}

static uint8_t *put_eth(const struct peer *p, uint8_t *at, uint16_t type, uint32_t tags)
{
	static const uint16_t tpids[] = { 0x8100, 0x8100, 0x8100, 0x88a8, 0x9100 };
	uint16_t tag[2];

	memcpy(at, p->mac[1], 6);
	memcpy(at + 6, p->mac[0], 6);
	at += 12;
	while (tags--) {
		tag[0] = htons(rnd_of(tpids));
		tag[1] = htons((uint16_t)(rnd(3) ? rnd(8) << 13 : rnd32()));
		memcpy(at, tag, 4);
		at += 4;
	}
	type = htons(type);
	memcpy(at, &type, 2);
	return at + 2;
}

static uint32_t put_ip4(const struct peer *p, uint8_t *at, uint32_t options, uint32_t len,
			uint16_t id, uint16_t frag)
{
	struct iphdr *ip = (void *)at;

	memset(ip, 0, sizeof(*ip));
	ip->version = 4;
	ip->ihl = (5 + options / 4) & 15;
	ip->tot_len = htons((uint16_t)(20 + options + len));
	ip->id = id;
	ip->frag_off = htons(frag);
	ip->ttl = 64;
	ip->protocol = IPPROTO_TCP;
	memcpy(&ip->saddr, p->addr[0], 4);
	memcpy(&ip->daddr, p->addr[1], 4);
	ip->check = fold(sum_of(at, 20 + options, 0));
	return 20 + options;
}

static uint32_t put_ip6(const struct peer *p, uint8_t *at, uint8_t next, uint32_t len)
{
	struct ip6_hdr *ip = (void *)at;

	ip->ip6_flow = htonl(6U << 28);
	ip->ip6_plen = htons((uint16_t)len);
	ip->ip6_nxt = next;
	ip->ip6_hlim = 64;
	memcpy(&ip->ip6_src, p->addr[0], 16);
	memcpy(&ip->ip6_dst, p->addr[1], 16);
	return sizeof(*ip);
}

static uint32_t put_ip(struct peer *p, uint8_t *at, uint32_t len)
{
	if (p->family == AF_INET)
		return put_ip4(p, at, 0, len, good_id(p), IP_DF);
	return put_ip6(p, at, IPPROTO_TCP, len);
}

static uint16_t eth_type(const struct peer *p)
{
	return p->family == AF_INET ? ETHERTYPE_IP : ETHERTYPE_IPV6;
}

/* TCP in a header of IP without fault. */
static void send_shape(struct peer *p, const struct shape *s, uint32_t tags)
{
	uint32_t hlen = p->family == AF_INET ? 20 : 40, len;
	uint8_t *frame = buffer(), *at = put_eth(p, frame, eth_type(p), tags);

	len = put_tcp(p, at + hlen, s);
	put_ip(p, at, len);
	put((size_t)(at - frame) + hlen + len);
}

/* ---- what else may be wrong --------------------------------------------- */

/* Bytes behind the packet, or missing ones; lengths that are not true. One in
 * 65536 has the right checksum all the same, and true bytes, too.
 */
static void send_odd_length(struct peer *p, struct shape *s)
{
	uint32_t hlen = p->family == AF_INET ? 20 : 40, len, real;
	uint8_t *frame = buffer(), *at = put_eth(p, frame, eth_type(p), 0);
	int32_t claim;

	s->flags = (uint8_t)(s->flags & ~FIN);
	len = put_tcp(p, at + hlen, s);
	put_bytes(p, at + hlen + len,
		  s->pos + len - (s->doff ? s->doff * 4U : 20 + s->opt_len), 1500 - len);
	claim = (int32_t)len + (rnd(2) ? (int32_t)rnd(80) - 40 : (int32_t)rnd_wild());
	put_ip(p, at, len);
	if (p->family == AF_INET) {
		struct iphdr *ip = (void *)at;

		ip->tot_len = htons((uint16_t)(20 + claim));
		if (once_in(8))
			ip->ihl = rnd(16) & 15;
		ip->check = 0;
		ip->check = fold(sum_of(at, ip->ihl * 4U, 0));
	} else {
		((struct ip6_hdr *)at)->ip6_plen = htons((uint16_t)claim);
	}
	real = (uint32_t)(at - frame) + hlen + len;
	if (rnd(2))
		real -= rnd(real - 13);
	else if (real < 1500)
		real += rnd(1500 - real);
	put(real);
}

static void send_ip4_options(struct peer *p, const struct shape *s)
{
	static const uint8_t options[] = { 7, 68, 131, 137, 130, 148, 0, 255 };
	uint8_t *frame = buffer(), *at = put_eth(p, frame, ETHERTYPE_IP, 0);
	uint32_t n = 4 * (1 + rnd(10)), len;
	struct iphdr *ip = (void *)at;

	memset(at + 20, 1, n);
	if (rnd(2)) {
		rnd_fill(at + 20, n);
		/* record route, time stamp, source routes, security, router alert */
		at[20] = rnd_of(options);
		at[21] = (uint8_t)(rnd(4) ? n : rnd32());
		at[22] = (uint8_t)(rnd(4) ? 4 : rnd32());
	}
	len = put_tcp(p, at + 20 + n, s);
	put_ip4(p, at, n, len, good_id(p), rnd(2) ? IP_DF : 0);
	if (once_in(8)) {
		ip->check = wrong_sum(ip->check);
	} else if (once_in(4)) {
		ip->tos = (uint8_t)rnd32();
		ip->ttl = (uint8_t)rnd(3);
		ip->check = 0;
		ip->check = fold(sum_of(at, 20 + n, 0));
	}
	put((size_t)(at - frame) + 20 + n + len);
}

static void send_ip6_headers(struct peer *p, const struct shape *s)
{
	static const uint8_t kinds[] = { 0, 60, 60, 43, 44, 51, 50, 59, 135, 139, 253 };
	uint8_t *frame = buffer(), *at = put_eth(p, frame, ETHERTYPE_IPV6, 0);
	uint8_t *ext = at + 40, *next = at + 6;
	uint32_t n = rnd(4), len;
	uint8_t kind, words;

	put_ip6(p, at, IPPROTO_TCP, 0);
	while (n--) {
		kind = rnd_of(kinds);
		words = kind == 44 ? 0 : (uint8_t)rnd(3);
		memset(ext, 0, 8 + words * 8U);
		*next = kind;
		next = ext;
		ext[0] = IPPROTO_TCP;
		ext[1] = words;
		if (kind == 44) {		/* not a fragment at all */
			uint32_t id = htonl(0x40000000 | p->ids++);

			memcpy(ext + 4, &id, 4);
		} else if (kind == 43) {
			ext[2] = (uint8_t)(rnd(3) ? rnd(5) : rnd32());
			ext[3] = (uint8_t)(rnd(2) ? 0 : rnd32());
		} else if (rnd(3)) {
			ext[2] = 1;		/* PadN */
			ext[3] = (uint8_t)(4 + words * 8);
		} else {
			rnd_fill(ext + 2, 6 + words * 8U);
		}
		ext += 8 + words * 8U;
	}
	len = put_tcp(p, ext, s);
	len += (uint32_t)(ext - at) - 40;
	((struct ip6_hdr *)at)->ip6_plen = htons((uint16_t)len);
	if (once_in(4))
		at[7] = (uint8_t)rnd(3);	/* hop limit */
	put((size_t)(at - frame) + 40 + len);
}

/* One fragment of the @len bytes at @tcp. */
static void send_fragment(struct peer *p, const uint8_t *tcp, uint32_t off, uint32_t n,
			  bool more, uint32_t id)
{
	uint8_t *frame = buffer(), *at = put_eth(p, frame, eth_type(p), 0);
	uint32_t hlen;

	if (p->family == AF_INET) {
		hlen = put_ip4(p, at, 0, n, (uint16_t)id,
			       (uint16_t)(off / 8 | (more ? IP_MF : 0)));
	} else {
		uint16_t word = htons((uint16_t)(off | more));

		hlen = put_ip6(p, at, 44, n + 8);
		at[hlen] = IPPROTO_TCP;
		at[hlen + 1] = 0;
		memcpy(at + hlen + 2, &word, 2);
		memcpy(at + hlen + 4, &id, 4);
		hlen += 8;
	}
	memcpy(at + hlen, tcp, n);
	put((size_t)(at - frame) + hlen + n);
}

/* All fragments, in any order, some twice; or, of a segment that nobody may take
 * in, some, with holes, overlaps and contradictions.
 */
static void send_fragments(struct peer *p, struct shape *s)
{
	static uint8_t tcp[FRAME_MAX];
	uint32_t len, size = 8 * (1 + rnd_size(100)), nr, i, k, off, n, id;
	bool whole = !s->far && !s->bad_sum;

	if (!whole)
		s->pos = p->edge + FAR + rnd(FAR);
	len = put_tcp(p, tcp, s);
	if (size * 24 < len)
		size = (len / 24 + 8) & ~7U;
	nr = (len + size - 1) / size;
	id = p->family == AF_INET ? (whole ? good_id(p) : bad_id(p)) : p->ids++ | whole << 31;
	k = rnd(nr);
	for (i = 0; i < nr; i++) {
		off = (i + k) % nr * size;
		n = len - off < size ? len - off : size;
		if (whole) {
			send_fragment(p, tcp, off, n, off + n < len, id);
			if (once_in(8))
				send_fragment(p, tcp, off, n, off + n < len, id);
		} else if (rnd(4)) {
			send_fragment(p, tcp, off, n, rnd(6) ? off + n < len : rnd(2),
				      rnd(8) ? id : id ^ htonl(1));
			if (once_in(4))
				send_fragment(p, tcp, rnd(2) ? off + 8 : 8 * rnd(8192), n, rnd(2),
					      id);
		}
	}
}

/* Headers that are for somebody else, or nobody. */
static void send_elsewhere(struct peer *p, const struct shape *s)
{
	struct peer other = *p;
	struct shape t = *s;
	size_t alen = p->family == AF_INET ? 4 : 16;

	t.flags = (uint8_t)(t.flags & ~SYN);
	switch (rnd(5)) {
	case 0:
		other.sport = (uint16_t)rnd32();
		break;
	case 1:
		other.dport = (uint16_t)rnd32();
		break;
	case 2:
		other.addr[0][alen - 1] = (uint8_t)(70 + rnd(20));
		break;
	case 3:
		rnd_fill(other.mac[1], 6);
		other.mac[1][0] = (uint8_t)(rnd(2) ? 0xff : 2);
		if (rnd(2))
			memset(other.mac[1], 0xff, 6);
		break;
	default:
		other.addr[1][alen - 1] = (uint8_t)rnd32();
		break;
	}
	send_shape(&other, &t, 0);
	p->ids = other.ids;
}

/* Whatever comes out when bytes are changed at random. Its checksum is none. */
static void send_noise(struct peer *p, const struct shape *s)
{
	uint32_t hlen = p->family == AF_INET ? 20 : 40, len, n, at_bit;
	uint8_t *frame = buffer(), *at = put_eth(p, frame, eth_type(p), rnd(2));
	struct shape t = *s;

	t.pos = p->edge + FAR + rnd(FAR);
	t.bad_sum = true;
	len = put_tcp(p, at + hlen, &t);
	put_ip(p, at, len);
	/* the place in the stream stays far */
	for (n = 1 + rnd(4); n; n--) {
		at_bit = rnd(hlen * 8);
		at[at_bit / 8] ^= (uint8_t)(1 << at_bit % 8);
	}
	if (p->family == AF_INET && rnd(2)) {
		at[10] = at[11] = 0;
		((struct iphdr *)at)->check = fold(sum_of(at, (at[0] & 15U) * 4, 0));
	}
	len = (uint32_t)(at - frame) + hlen + len;
	put(once_in(4) ? 14 + rnd(len - 13) : len);
}

void frame_plain(struct peer *p, uint32_t pos, uint32_t len, uint8_t flags)
{
	struct shape s = { .pos = pos, .len = len, .flags = flags, .window = 65535 };

	if (flags & SYN) {
		uint8_t mss[2] = { WIRE_MSS >> 8, WIRE_MSS & 0xff };

		s.pos--;
		add_option(&s, 2, mss, 2);
		if (rnd(2))
			add_option(&s, 4, "", 0);
		if (rnd(2))
			add_option(&s, 3, (uint8_t[]){ (uint8_t)rnd(15) }, 1);
	}
	if (p->ts)
		add_time(p, &s, p->ts_val);
	pad_options(&s);
	send_shape(p, &s, 0);
}

void frame_mutant(struct peer *p, bool fatal)
{
	struct shape s = {};

	choose_shape(p, &s, fatal);
	switch (rnd(16)) {
	case 0:
		send_odd_length(p, &s);
		break;
	case 1:
	case 2:
		if (p->family == AF_INET)
			send_ip4_options(p, &s);
		else
			send_ip6_headers(p, &s);
		break;
	case 3:
		send_fragments(p, &s);
		break;
	case 4:
		send_elsewhere(p, &s);
		break;
	case 5:
		send_noise(p, &s);
		break;
	case 6:
		send_shape(p, &s, 1 + once_in(8));
		break;
	default:
		send_shape(p, &s, 0);
		break;
	}
}

/* In each of which the byte that belongs there stands at its place, whatever the
 * size of the pieces.
 */
void frame_super(struct peer *p)
{
	struct shape s = { .flags = ACK | (uint8_t)(rnd(2) ? PSH : 0), .window = 65535,
			   .partial = true };
	uint32_t hlen = p->family == AF_INET ? 20 : 40, len;
	static uint8_t packet[sizeof(struct virtio_net_hdr) + 14 + 40 + 60 + SUPER_MAX];
	struct virtio_net_hdr *vnet = (void *)packet;
	uint8_t *frame = packet + sizeof(*vnet), *at;

	s.pos = p->edge + (rnd(2) ? 0 : rnd_size(20000));
	s.len = 1 + rnd_size(SUPER_MAX - 1);
	if ((int32_t)(s.pos + s.len - p->end) > 0)
		return;
	if (once_in(8))
		s.flags |= (uint8_t)(rnd32() & ~(FIN | SYN | RST));
	s.urg = s.flags & URG ? (uint16_t)rnd_size(20000) : 0;
	if (p->ts)
		add_time(p, &s, p->ts_val);
	pad_options(&s);

	at = put_eth(p, frame, eth_type(p), 0);
	len = put_tcp(p, at + hlen, &s);
	put_ip(p, at, len);
	memset(vnet, 0, sizeof(*vnet));
	vnet->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	vnet->csum_start = (uint16_t)(at - frame + hlen);
	vnet->csum_offset = 16;
	vnet->gso_type = p->family == AF_INET ? VIRTIO_NET_HDR_GSO_TCPV4 :
						VIRTIO_NET_HDR_GSO_TCPV6;
	if (s.flags & 0x80)
		vnet->gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	vnet->gso_size = (uint16_t)(16 + rnd_size(once_in(16) ? 3000 : 1300));
	vnet->hdr_len = (uint16_t)(rnd(4) ? vnet->csum_start + 20 + s.opt_len : rnd32());
	if (send(super_out, packet, (size_t)(at - packet) + hlen + len, 0) < 0 &&
	    errno != EINVAL && errno != ENOBUFS && errno != EMSGSIZE)
		fail("super-packet: %s", strerror(errno));
	sent += 1 + s.len / vnet->gso_size;
}
