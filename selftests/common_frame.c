// SPDX-License-Identifier: GPL-2.0
/*
 * See common_frame.h. Owns a packet socket at each end of the link; must not
 * know which packets may become one.
 */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common.h"
#include "common_frame.h"
#include "common_nic.h"

#define SEED		0x6672616d65ULL
#define DPORT		5201
#define FRAME_MAX	(ETH_HLEN + 65536 + 128)
#define OPTIONS		8	/* of IP, or hop-by-hop */

/* Where in the pattern: sequence numbers may wrap, this does not. */
#define POS(seq)	((uint32_t)((seq) + 0x10000))

const struct frame frame_plain4 = {
	.family = AF_INET, .sport = FRAME_SPORT, .seq = 0xfffff000, .len = FRAME_SIZE,
	.flags = F_ACK, .ack = 77, .window = 500, .id = 0xfffe, .df = true, .ttl = 64,
	.tos = 0x20, .stamp = 9,
};

const struct frame frame_plain6 = {
	.family = AF_INET6, .sport = FRAME_SPORT, .seq = 0x7ffff000, .len = FRAME_SIZE,
	.flags = F_ACK, .ack = 77, .window = 500, .ttl = 64, .tos = 0x20,
	.label = 0x12345, .stamp = 9,
};

static int in_fd, out_fd;
static unsigned char mac[6];

static const char *addr(int family, bool source)
{
	if (family == AF_INET)
		return source ? "10.9.0.66" : "10.9.0.77";
	return source ? "fd09::66" : "fd09::77";
}

uint32_t frame_sum(const void *data, size_t len, uint32_t sum)
{
	const unsigned char *p = data;

	for (; len > 1; p += 2, len -= 2)
		sum += (uint32_t)p[0] << 8 | p[1];
	return len ? sum + ((uint32_t)p[0] << 8) : sum;
}

uint16_t frame_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/* Of the pseudo header. */
static uint32_t pseudo(int family, unsigned int len)
{
	unsigned char addrs[32];
	unsigned int size = family == AF_INET ? 4 : 16;

	check_eq(inet_pton(family, addr(family, true), addrs), 1);
	check_eq(inet_pton(family, addr(family, false), addrs + size), 1);
	return frame_sum(addrs, 2 * size, IPPROTO_TCP + len);
}

static unsigned int put_mac(unsigned char *at, const struct frame *f)
{
	uint16_t type = htons(f->family == AF_INET ? ETHERTYPE_IP : ETHERTYPE_IPV6);
	uint16_t tag[2] = { htons(ETHERTYPE_VLAN), htons(f->vlan) };
	unsigned int len = 12;

	memcpy(at, mac, 6);
	memset(at + 6, 0, 6);
	at[6] = 2;
	at[11] = f->mac;
	if (f->vlan) {
		memcpy(at + len, tag, sizeof(tag));
		len += sizeof(tag);
	}
	memcpy(at + len, &type, sizeof(type));
	return len + sizeof(type);
}

/* The IP header before @len bytes. */
static unsigned int put_ip(unsigned char *at, const struct frame *f, unsigned int len)
{
	unsigned int options = f->ip_option ? OPTIONS : 0;
	uint8_t proto = f->proto ? f->proto : IPPROTO_TCP;
	struct ip6_hdr *ip6 = (void *)at;
	struct iphdr *ip = (void *)at;

	if (f->family == AF_INET6) {
		memset(at, 0, sizeof(*ip6) + options);
		ip6->ip6_flow = htonl(6U << 28 | (uint32_t)f->tos << 20 | f->label);
		ip6->ip6_plen = htons((uint16_t)(len + options));
		ip6->ip6_nxt = options ? IPPROTO_HOPOPTS : proto;
		ip6->ip6_hlim = f->ttl;
		check_eq(inet_pton(AF_INET6, addr(AF_INET6, true), &ip6->ip6_src), 1);
		check_eq(inet_pton(AF_INET6, addr(AF_INET6, false), &ip6->ip6_dst), 1);
		at += sizeof(*ip6);
		if (options) {
			at[0] = proto;
			at[2] = 1;	/* PadN of four bytes */
			at[3] = 4;
		}
		return sizeof(*ip6) + options;
	}
	memset(at, 0, sizeof(*ip));
	memset(at + sizeof(*ip), 1, options);
	ip->version = 4;
	ip->ihl = (sizeof(*ip) + options) / 4 & 15;
	ip->tos = f->tos;
	ip->tot_len = htons((uint16_t)(sizeof(*ip) + options + len));
	ip->id = htons(f->id);
	ip->frag_off = htons((f->df ? IP_DF : 0) | (f->fragment ? IP_MF : 0));
	ip->ttl = f->ttl;
	ip->protocol = proto;
	check_eq(inet_pton(AF_INET, addr(AF_INET, true), &ip->saddr), 1);
	check_eq(inet_pton(AF_INET, addr(AF_INET, false), &ip->daddr), 1);
	ip->check = htons((uint16_t)~frame_fold(frame_sum(at, sizeof(*ip) + options, 0)));
	if (f->bad_ip_csum)
		ip->check ^= 0x5555;
	return sizeof(*ip) + options;
}

static unsigned int tcp_hlen(const struct frame *f)
{
	return sizeof(struct tcphdr) + (f->stamp ? 12 : 0);
}

/* TCP header and payload. For TSO the checksum is that of the pseudo header. */
static void put_tcp(unsigned char *at, const struct frame *f)
{
	static const unsigned char stamp[4] = { 1, 1, 8, 10 };
	uint32_t echo[2] = { htonl(f->stamp), htonl(1) };
	unsigned int hlen = tcp_hlen(f);
	struct tcphdr *th = (void *)at;

	memset(at, 0, hlen);
	th->source = htons(f->sport);
	th->dest = htons(DPORT);
	th->seq = htonl(f->seq);
	th->ack_seq = htonl(f->ack);
	at[13] = f->flags;
	th->doff = hlen / 4 & 15;
	th->window = htons(f->window);
	th->urg_ptr = htons(f->urg);
	if (f->stamp) {
		memcpy(at + sizeof(*th), stamp, sizeof(stamp));
		memcpy(at + sizeof(*th) + sizeof(stamp), echo, sizeof(echo));
	}
	devmem_pattern_fill(at + hlen, f->len, POS(f->seq), SEED);
	if (f->gso_size)
		th->check = htons(frame_fold(pseudo(f->family, hlen + f->len)));
	else
		th->check = htons((uint16_t)~frame_fold(
				frame_sum(at, hlen + f->len, pseudo(f->family, hlen + f->len))));
	if (f->bad_tcp_csum)
		th->check ^= 0x1111;
}

static void send_frame(const struct frame *f)
{
	static unsigned char buf[sizeof(struct virtio_net_hdr) + FRAME_MAX];
	struct virtio_net_hdr *vh = (void *)buf;
	unsigned char *at = buf + sizeof(*vh);
	unsigned int l4;
	ssize_t len;

	memset(vh, 0, sizeof(*vh));
	l4 = put_mac(at, f);
	l4 += put_ip(at + l4, f, tcp_hlen(f) + f->len);
	put_tcp(at + l4, f);
	if (f->gso_size) {
		vh->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		vh->csum_start = (uint16_t)l4;
		vh->csum_offset = 16;
		vh->gso_type = f->family == AF_INET ? VIRTIO_NET_HDR_GSO_TCPV4 :
						      VIRTIO_NET_HDR_GSO_TCPV6;
		if (f->flags & F_CWR)
			vh->gso_type |= VIRTIO_NET_HDR_GSO_ECN;
		vh->gso_size = f->gso_size;
		vh->hdr_len = (uint16_t)(l4 + tcp_hlen(f));
	}
	len = (ssize_t)(sizeof(*vh) + l4 + tcp_hlen(f) + f->len);
	check_eq(must(send(out_fd, buf, (size_t)len, 0)), len);
}

static int open_packet(enum side side)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET };
	int one = 1, big = 16 << 20;
	int fd;

	env_enter(side);
	fd = must(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
	must(setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)));
	must(setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big)));
	must(setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &big, sizeof(big)));
	if (side == SENDER)
		must(setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one)));
	else
		must(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)));
	ll.sll_protocol = side == RECEIVER ? htons(ETH_P_ALL) : 0;
	ll.sll_ifindex = (int)if_nametoindex(DEV_NAME(side));
	must(bind(fd, (void *)&ll, sizeof(ll)));
	env_enter(RECEIVER);
	return fd;
}

static void frames_close(void *arg)
{
	(void)arg;
	env_sysfs_write(RECEIVER, "threaded", "0");
	cmd("ip netns exec devmem-b ip link set nsd1 mtu 1500");
	cmd("ip link set nsd0 mtu 1500");
}

void frames_open(void)
{
	struct ifreq ifr = {};

	defer(frames_close, NULL);
	in_fd = open_packet(RECEIVER);
	out_fd = open_packet(SENDER);
	strcpy(ifr.ifr_name, DEV_NAME(RECEIVER));
	must(ioctl(in_fd, SIOCGIFHWADDR, &ifr));
	memcpy(mac, ifr.ifr_hwaddr.sa_data, 6);
	check_eq(env_sysfs_write(RECEIVER, "threaded", "1"), 0);
	nic_pin_pollers();
}

/* @at has @len bytes from the IP header on. False: none of ours. */
static bool parse(const unsigned char *at, size_t len, const struct virtio_net_hdr *vh,
		  struct arrival *a)
{
	const struct ip6_hdr *ip6 = (const void *)at;
	const struct iphdr *ip = (const void *)at;
	unsigned int hlen, l4_len;
	const struct tcphdr *th;
	int family = AF_INET;
	uint8_t proto;

	if (len < sizeof(*ip6))
		return false;
	memset(a, 0, sizeof(*a));
	a->right = true;
	if (ip->version == 4) {
		a->id = ntohs(ip->id);
		hlen = ip->ihl * 4U;
		proto = ip->protocol;
		a->right = ntohs(ip->tot_len) == len &&
			   frame_fold(frame_sum(at, hlen, 0)) == 0xffff;
	} else {
		family = AF_INET6;
		hlen = sizeof(*ip6);
		proto = ip6->ip6_nxt;
		if (proto == IPPROTO_HOPOPTS) {
			proto = at[hlen];
			hlen += OPTIONS;
		}
		a->right = ntohs(ip6->ip6_plen) == len - sizeof(*ip6);
	}
	th = (const void *)(at + hlen);
	l4_len = (unsigned int)len - hlen;
	if (proto != IPPROTO_TCP || l4_len < sizeof(*th) || th->dest != htons(DPORT))
		return false;
	a->sport = ntohs(th->source);
	a->seq = ntohl(th->seq);
	a->flags = at[hlen + 13];
	a->len = l4_len - th->doff * 4U;
	a->gso_size = vh->gso_type ? vh->gso_size : 0;
	a->ecn = vh->gso_type & VIRTIO_NET_HDR_GSO_ECN;
	a->csum_right = frame_fold(frame_sum(th, l4_len, pseudo(family, l4_len))) == 0xffff;
	if (devmem_pattern_check(at + hlen + th->doff * 4U, a->len, POS(a->seq), SEED) >= 0)
		a->right = false;
	return true;
}

bool frame_arrives(struct arrival *a, int ms)
{
	static unsigned char buf[sizeof(struct virtio_net_hdr) + FRAME_MAX];
	struct pollfd pfd = { .fd = in_fd, .events = POLLIN };
	const size_t before = sizeof(struct virtio_net_hdr) + ETH_HLEN;
	long long until = now_ms() + ms;
	ssize_t n;

	do {
		if (poll(&pfd, 1, ms) <= 0)
			return false;
		n = recv(in_fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n > (ssize_t)before &&
		    parse(buf + before, (size_t)n - before, (void *)buf, a))
			return true;
	} while (now_ms() < until);
	return false;
}

void frames_drain(void)
{
	struct arrival a;

	while (frame_arrives(&a, 0))
		;
}

unsigned int frame_segs(const struct frame *f)
{
	return f->gso_size ? (f->len + f->gso_size - 1) / f->gso_size : 1;
}

unsigned int frame_bytes(const struct frame *f)
{
	unsigned int hdr = 14 + (f->family == AF_INET ? 20 : 40) +
			   (f->ip_option ? 8 : 0) + 20 + (f->stamp ? 12 : 0);

	return frame_segs(f) * hdr + f->len;
}

void frame_counters_read(struct frame_counters *c)
{
	c->packets = nic_counter(RECEIVER, "rx_packets");
	c->bytes = nic_counter(RECEIVER, "rx_bytes");
	c->gro = nic_counter(RECEIVER, "rx_gro_packets");
	c->wire = nic_counter(RECEIVER, "rx_gro_wire_packets");
	c->too_long = nic_counter(RECEIVER, "rx_drop_length");
}

/* Packets that have come to the end of the wire. */
static uint64_t came(void)
{
	return nic_counter(RECEIVER, "rx_packets") + nic_counter(RECEIVER, "rx_drop_length");
}

/* False: some may have been polled before the last was sent. */
static bool send_at_once(const struct frame *frames, size_t nr)
{
	size_t i;

	nic_own_cpu();
	for (i = 0; i < nr; i++)
		send_frame(&frames[i]);
	return nic_share_cpu();
}

void frames_send(const struct frame *frames, size_t nr, struct frame_counters *before)
{
	uint64_t packets;
	struct arrival a;
	size_t i;

	for (;;) {
		frame_counters_read(before);
		if (send_at_once(frames, nr))
			return;
		packets = before->packets + before->too_long;
		for (i = 0; i < nr; i++)
			packets += frame_segs(&frames[i]);
		check(within(2000, came() >= packets));
		while (frame_arrives(&a, 100))
			;
	}
}

void frames_count(const struct frame *frames, size_t nr,
		  struct frame_counters *before, struct frame_counters *after)
{
	frames_send(frames, nr, before);
	check(within(2000, nic_counter(RECEIVER, "rx_packets") >= before->packets + nr));
	frame_counters_read(after);
}
