// SPDX-License-Identifier: GPL-2.0
/*
 * See common_forge.h. Owns headers and their checksums; must not know what a segment
 * is to do.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/tcp.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>
#include <string.h>
#include <unistd.h>

#include "common_forge.h"
#include "common_frame.h"

#define PACKET_MAX	1400
#define QUEUE_RECV	1	/* of TCP_REPAIR_QUEUE */
#define QUEUE_SEND	2

static size_t addr_len(const struct forge *f)
{
	return f->family == AF_INET ? 4 : 16;
}

static void keep(struct forge *f, int which, const struct sockaddr_storage *ss)
{
	if (f->family == AF_INET) {
		memcpy(f->addr[which], &((const struct sockaddr_in *)ss)->sin_addr, 4);
		f->port[which] = ((const struct sockaddr_in *)ss)->sin_port;
	} else {
		memcpy(f->addr[which], &((const struct sockaddr_in6 *)ss)->sin6_addr, 16);
		f->port[which] = ((const struct sockaddr_in6 *)ss)->sin6_port;
	}
}

void forge_open(struct forge *f, int tx)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	memset(&ss, 0, sizeof(ss));
	memset(f, 0, sizeof(*f));
	wire_open_link(&f->w);
	f->tx = tx;
	f->id = 1;
	must(getsockname(tx, (void *)&ss, &len));
	f->family = ss.ss_family;
	keep(f, 0, &ss);
	len = sizeof(ss);
	must(getpeername(tx, (void *)&ss, &len));
	keep(f, 1, &ss);
}

void forge_close(struct forge *f)
{
	wire_close(&f->w);
}

static uint32_t queue_seq(int fd, int queue)
{
	socklen_t len = sizeof(uint32_t);
	uint32_t seq;

	must(setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof(queue)));
	must(getsockopt(fd, IPPROTO_TCP, TCP_QUEUE_SEQ, &seq, &len));
	return seq;
}

static uint16_t checksum(const struct forge *f, uint8_t proto, const void *data, size_t len)
{
	uint32_t sum = frame_sum(f->addr[0], addr_len(f), proto + (uint32_t)len);

	sum = frame_sum(data, len, frame_sum(f->addr[1], addr_len(f), sum));
	return htons((uint16_t)~frame_fold(sum));
}

void forge_tcp(struct forge *f, void *at, uint8_t flags, uint16_t urg)
{
	int on = 1, off = -1;
	struct tcphdr *th = at;

	memset(at, 0, sizeof(*th));
	memset(th + 1, 1, FORGE_TCP - sizeof(*th));
	th->source = f->port[0];
	th->dest = f->port[1];
	must(setsockopt(f->tx, IPPROTO_TCP, TCP_REPAIR, &on, sizeof(on)));
	th->seq = htonl(queue_seq(f->tx, QUEUE_SEND));
	th->ack_seq = htonl(queue_seq(f->tx, QUEUE_RECV));
	must(setsockopt(f->tx, IPPROTO_TCP, TCP_REPAIR, &off, sizeof(off)));
	th->doff = FORGE_TCP / 4;
	((unsigned char *)at)[13] = flags;
	th->window = htons(500);
	th->urg_ptr = htons(urg);
	th->check = checksum(f, IPPROTO_TCP, at, FORGE_TCP);
}

void forge_data(struct forge *f, void *at, int32_t off, size_t len)
{
	struct tcphdr *th = at;

	forge_tcp(f, at, TCP_ACK | TCP_PSH, 0);
	th->seq = htonl(ntohl(th->seq) + (uint32_t)off);
	th->check = 0;
	th->check = checksum(f, IPPROTO_TCP, at, FORGE_TCP + len);
}

/* With @frag, IPv4's field, if it is not 0. */
static void send_ip(struct forge *f, uint8_t proto, const void *payload, size_t len,
		    uint16_t frag)
{
	unsigned char frame[ETH_HLEN + PACKET_MAX] = {}, *at = frame + ETH_HLEN;
	struct ether_header *eth = (void *)frame;
	struct iphdr *ip = (void *)at;
	struct ip6_hdr *ip6 = (void *)at;
	struct ip6_frag *fh = (void *)(ip6 + 1);
	bool v4 = f->family == AF_INET;

	check_cmp(len, <, PACKET_MAX - 100);
	memcpy(eth->ether_dhost, f->w.mac[0], 6);
	memcpy(eth->ether_shost, f->w.mac[1], 6);
	eth->ether_type = htons(v4 ? ETHERTYPE_IP : ETHERTYPE_IPV6);
	if (v4) {
		ip->version = 4;
		ip->ihl = sizeof(*ip) / 4;
		ip->tot_len = htons((uint16_t)(sizeof(*ip) + len));
		ip->id = htons((uint16_t)f->id);
		ip->frag_off = htons(frag);
		ip->ttl = 64;
		ip->protocol = proto;
		memcpy(&ip->saddr, f->addr[0], 4);
		memcpy(&ip->daddr, f->addr[1], 4);
		ip->check = htons((uint16_t)~frame_fold(frame_sum(ip, sizeof(*ip), 0)));
		at += sizeof(*ip);
	} else {
		ip6->ip6_flow = htonl(6U << 28);
		ip6->ip6_plen = htons((uint16_t)(len + (frag ? sizeof(*fh) : 0)));
		ip6->ip6_nxt = frag ? IPPROTO_FRAGMENT : proto;
		ip6->ip6_hlim = 64;
		memcpy(&ip6->ip6_src, f->addr[0], 16);
		memcpy(&ip6->ip6_dst, f->addr[1], 16);
		at += sizeof(*ip6);
		if (frag) {
			fh->ip6f_nxt = proto;
			fh->ip6f_offlg = htons((uint16_t)(frag << 3 | frag >> 13));
			fh->ip6f_ident = htonl(f->id);
			at += sizeof(*fh);
		}
	}
	memcpy(at, payload, len);
	len += (size_t)(at - frame);
	if (send(f->w.packet, frame, len, 0) != (ssize_t)len && !f->may_fail)
		fail("send: %s", strerror(errno));
}

void forge_send(struct forge *f, uint8_t proto, const void *payload, size_t len)
{
	send_ip(f, proto, payload, len, 0);
}

void forge_fragment(struct forge *f, uint8_t proto, const void *payload, size_t off,
		    size_t len, bool more)
{
	check_eq(off % 8, 0);
	send_ip(f, proto, (const char *)payload + off, len,
		(uint16_t)(off / 8 | (more ? IP_MF : 0)));
}

void forge_gue(struct forge *f, const void *tcp, size_t len)
{
	unsigned char at[PACKET_MAX] = {};
	struct udphdr *uh = (void *)at;
	size_t all = sizeof(*uh) + 4 + len;

	check_cmp(all, <=, sizeof(at));
	uh->source = htons(1234);
	uh->dest = htons(FORGE_GUE_PORT);
	uh->len = htons((uint16_t)all);
	at[sizeof(*uh) + 1] = IPPROTO_TCP;	/* GUE: version 0, no options, this protocol */
	memcpy(at + sizeof(*uh) + 4, tcp, len);
	uh->check = checksum(f, IPPROTO_UDP, at, all);
	forge_send(f, IPPROTO_UDP, at, all);
}
