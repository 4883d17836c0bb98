// SPDX-License-Identifier: GPL-2.0
/*
 * The hostile peer of common_wire.h: a packet socket and just enough of TCP to
 * get a connection; and its peaceful neighbour. Owns no state of the receiver's;
 * must not know what a packet is meant to break.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common.h"
#include "common_wire.h"

#define FRAME_MAX	(ETH_HLEN + 65535)

static uint32_t addr_of(const char *text)
{
	struct in_addr in;

	inet_pton(AF_INET, text, &in);
	return in.s_addr;
}

static void read_mac(enum side side, unsigned char *mac)
{
	struct ifreq ifr = {};
	int fd;

	env_enter(side);
	fd = must(socket(AF_INET, SOCK_DGRAM, 0));
	strcpy(ifr.ifr_name, DEV_NAME(side));
	must(ioctl(fd, SIOCGIFHWADDR, &ifr));
	memcpy(mac, ifr.ifr_hwaddr.sa_data, 6);
	close(fd);
}

/* The socket gets what is for us alone. It is emptied only now and then, and should
 * have no room for what a neighbour's receiver has to say by then.
 */
static void only_ours(int fd)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 ETH_HLEN + offsetof(struct iphdr, daddr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ntohl(addr_of(WIRE_ADDR)), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0xffff),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = { ARRAY_SIZE(code), code };

	must(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof(prog)));
}

void wire_open_link(struct wire *w)
{
	struct sockaddr_ll ll = { .sll_family = AF_PACKET,
				  .sll_protocol = htons(ETH_P_IP) };
	int big = 4 << 20;

	memset(w, 0, sizeof(*w));
	w->listener = -1;
	read_mac(RECEIVER, w->mac[0]);
	read_mac(SENDER, w->mac[1]);
	env_enter(SENDER);
	w->packet = must(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
	only_ours(w->packet);
	ll.sll_ifindex = (int)if_nametoindex(DEV_NAME(SENDER));
	must(bind(w->packet, (void *)&ll, sizeof(ll)));
	setsockopt(w->packet, SOL_SOCKET, SO_RCVBUFFORCE, &big, sizeof(big));
	env_enter(RECEIVER);
}

void wire_open(struct wire *w)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);

	wire_open_link(w);
	must_cmd("ip neigh replace " WIRE_ADDR " lladdr %02x:%02x:%02x:%02x:%02x:%02x dev nsd0 nud permanent",
		 w->mac[1][0], w->mac[1][1], w->mac[1][2], w->mac[1][3],
		 w->mac[1][4], w->mac[1][5]);
	w->listener = must(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
	must(bind(w->listener, (void *)&ss, side_addr(&ss, RECEIVER, AF_INET, 0)));
	must(listen(w->listener, 64));
	must(getsockname(w->listener, (void *)&ss, &len));
	w->dport = ((struct sockaddr_in *)&ss)->sin_port;
	w->sport = htons((uint16_t)(20000 + getpid() % 20000));
}

void wire_close(struct wire *w)
{
	close(w->packet);
	if (w->listener >= 0)
		close(w->listener);
}

static uint32_t sum_of(const void *data, size_t len, uint32_t sum)
{
	const unsigned char *p = data;

	for (; len > 1; p += 2, len -= 2)
		sum += (uint32_t)p[0] << 8 | p[1];
	if (len)
		sum += (uint32_t)p[0] << 8;
	return sum;
}

static uint16_t fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((uint16_t)~sum);
}

static void send_frame(struct wire *w, unsigned char *frame, size_t len, uint8_t mac)
{
	struct ether_header *eth = (void *)frame;

	memcpy(eth->ether_dhost, w->mac[0], 6);
	memcpy(eth->ether_shost, w->mac[1], 6);
	eth->ether_shost[5] = (uint8_t)(eth->ether_shost[5] + mac);
	eth->ether_type = htons(ETH_P_IP);
	if (send(w->packet, frame, len, 0) != (ssize_t)len)
		fail("send of a frame of %zu bytes: %s", len, strerror(errno));
}

void wire_raw(struct wire *w, const void *ip, size_t len)
{
	unsigned char frame[ETH_HLEN + 2000];

	if (len > 2000)
		fail("raw packet of %zu bytes", len);
	memcpy(frame + ETH_HLEN, ip, len);
	send_frame(w, frame, ETH_HLEN + len, 0);
}

/* The IP header of @len bytes of payload. Returns its length. */
static unsigned int put_ip(struct wire *w, unsigned char *at,
			   const struct segment *s, unsigned int len)
{
	unsigned int hlen = sizeof(struct iphdr) + s->ip_options;
	struct iphdr *ip = (void *)at;

	memset(at, 0, sizeof(*ip));
	memset(at + sizeof(*ip), 1, s->ip_options);
	ip->version = 4;
	ip->ihl = hlen / 4;
	ip->tot_len = htons((uint16_t)((int)(hlen + len) + s->tot_len_off));
	ip->id = htons(w->ip_id);
	ip->tos = s->tos;
	ip->ttl = s->ttl ? s->ttl : 64;
	ip->protocol = IPPROTO_TCP;
	ip->saddr = addr_of(WIRE_ADDR);
	ip->daddr = addr_of(ADDR4(RECEIVER));
	return hlen;
}

static void finish_ip(unsigned char *at, uint16_t frag_off, bool bad)
{
	struct iphdr *ip = (void *)at;

	ip->frag_off = htons(frag_off);
	ip->check = 0;
	ip->check = fold(sum_of(at, ip->ihl * 4U, 0));
	if (bad)
		ip->check ^= 0x5555;
}

/* TCP header and payload. Returns their length. */
static unsigned int put_tcp(struct wire *w, unsigned char *at,
			    const struct segment *s)
{
	unsigned int hlen = sizeof(struct tcphdr) + s->tcp_options;
	uint8_t flags = s->flags ? s->flags : TCP_ACK;
	struct tcphdr *th = (void *)at;
	uint32_t sum;

	memset(at, 0, sizeof(*th));
	memset(at + sizeof(*th), 1, s->tcp_options);
	th->source = w->sport;
	th->dest = w->dport;
	th->seq = htonl(w->isn + (uint32_t)s->pos + (uint32_t)s->seq_off);
	th->ack_seq = flags & TCP_ACK ? htonl(w->ack + (uint32_t)s->ack_off) : 0;
	at[13] = flags;
	th->doff = s->doff ? s->doff : hlen / 4;
	th->window = htons(s->window ? s->window : 65535);
	th->urg_ptr = htons(s->urg);
	devmem_pattern_fill(at + hlen, s->len, s->pos, s->seed ? s->seed : WIRE_SEED);

	sum = sum_of(&(uint32_t){ addr_of(WIRE_ADDR) }, 4, 0);
	sum = sum_of(&(uint32_t){ addr_of(ADDR4(RECEIVER)) }, 4, sum);
	sum += IPPROTO_TCP + hlen + s->len;
	th->check = fold(sum_of(at, hlen + s->len, sum));
	if (s->bad_csum & 1)
		th->check ^= 0x1111;
	return hlen + s->len;
}

static void send_fragments(struct wire *w, const struct segment *s,
			   unsigned char *tcp, unsigned int len)
{
	unsigned int nr = (len + s->fragment - 1) / s->fragment, i, k;
	unsigned char frame[ETH_HLEN + 1600];

	for (k = 0; k < nr; k++) {
		unsigned int off, n, hlen;

		i = s->last_first ? nr - 1 - k : k;
		off = i * s->fragment;
		n = len - off < s->fragment ? len - off : s->fragment;
		hlen = put_ip(w, frame + ETH_HLEN, s, n);
		finish_ip(frame + ETH_HLEN, (uint16_t)(off / 8 | (i < nr - 1 ? 0x2000 : 0)),
			  false);
		memcpy(frame + ETH_HLEN + hlen, tcp + off, n);
		send_frame(w, frame, ETH_HLEN + hlen + n, s->mac);
	}
}

void wire_send(struct wire *w, const struct segment *s)
{
	static unsigned char frame[FRAME_MAX], tcp[FRAME_MAX];
	unsigned int hlen, len;

	w->ip_id++;
	len = put_tcp(w, tcp, s);
	if (s->fragment) {
		send_fragments(w, s, tcp, len);
		return;
	}
	hlen = put_ip(w, frame + ETH_HLEN, s, len);
	finish_ip(frame + ETH_HLEN, s->no_df ? 0 : 0x4000, s->bad_csum & 2);
	memcpy(frame + ETH_HLEN + hlen, tcp, len);
	memset(frame + ETH_HLEN + hlen + len, 0, s->pad);
	send_frame(w, frame, ETH_HLEN + hlen + len + s->pad - s->cut, s->mac);
}

/* Take in one packet of ours. False: none within @ms. */
static bool take_in(struct wire *w, int ms, struct tcphdr *out)
{
	struct pollfd pfd = { .fd = w->packet, .events = POLLIN };
	unsigned char frame[2048];
	struct tcphdr *th;
	struct iphdr *ip;
	ssize_t n;

	for (;;) {
		if (poll(&pfd, 1, ms) != 1)
			return false;
		n = recv(w->packet, frame, sizeof(frame), MSG_DONTWAIT);
		ip = (void *)(frame + ETH_HLEN);
		if (n < (ssize_t)(ETH_HLEN + sizeof(*ip) + sizeof(*th)) ||
		    ip->protocol != IPPROTO_TCP || ip->daddr != addr_of(WIRE_ADDR))
			continue;
		th = (void *)((unsigned char *)ip + ip->ihl * 4);
		if (th->source != w->dport || th->dest != w->sport)
			continue;
		*out = *th;
		if (th->ack && !th->syn) {
			uint32_t acked = ntohl(th->ack_seq) - w->isn;

			if ((int32_t)(acked - w->acked) >= 0) {
				w->acked = acked;
				w->window = ntohs(th->window);
			}
		}
		return true;
	}
}

int wire_acked(struct wire *w, uint64_t acked, int ms)
{
	long long until = now_ms() + ms;
	struct tcphdr th;

	while (w->acked < acked) {
		long long left = until - now_ms();

		if (left < 0 || !take_in(w, (int)left, &th))
			break;
	}
	return w->acked >= acked;
}

int wire_connect(struct wire *w)
{
	struct segment syn = { .flags = TCP_SYN, .seq_off = -1 };
	struct segment ack = { .flags = TCP_ACK };
	struct pollfd pfd = { .fd = w->listener, .events = POLLIN };
	struct tcphdr th;

	w->sport = htons((uint16_t)(ntohs(w->sport) + 1));
	w->isn = 0x7fffff00U + ntohs(w->sport) * 65536U;
	w->acked = 0;
	wire_send(w, &syn);
	do {
		if (!take_in(w, patient(3000), &th))
			fail("no SYN-ACK");
	} while (!th.syn || !th.ack);
	w->ack = ntohl(th.seq) + 1;
	w->window = ntohs(th.window);
	wire_send(w, &ack);
	check_eq(poll(&pfd, 1, patient(3000)), 1);
	return must(accept4(w->listener, NULL, NULL, SOCK_CLOEXEC));
}

/* No window scaling was offered: the window is what the header says. */
void wire_data(struct wire *w, uint64_t pos, uint64_t len, unsigned int size)
{
	struct segment s = { .flags = TCP_ACK | TCP_PSH };
	uint64_t end = pos + len;
	struct tcphdr th;

	if (!size)
		size = 1000;
	for (; pos < end; pos += s.len) {
		s.pos = pos;
		s.len = end - pos < size ? (unsigned int)(end - pos) : size;
		while (pos + s.len > w->acked + w->window)
			if (!take_in(w, patient(5000), &th))
				fail("the window stays closed at byte %llu",
				     (unsigned long long)pos);
		wire_send(w, &s);
	}
}

#define NEIGHBOUR_SEED	0x9e16
#define NEIGHBOUR_STEP	30000

static void neighbour_send(int sock, int stop)
{
	struct pollfd pfd = { .fd = stop, .events = POLLIN };
	uint64_t pos = 0;

	do {
		send_pattern(sock, NEIGHBOUR_STEP, pos, NEIGHBOUR_SEED, 200 + pos % 3001);
		pos += NEIGHBOUR_STEP;
	} while (!poll(&pfd, 1, 5));
	must(shutdown(sock, SHUT_WR));
	_exit(0);
}

static void neighbour_read(int sock, const struct bound *b, bool host)
{
	struct rx rx;
	ssize_t n;

	rx_init(&rx, sock, b, NEIGHBOUR_SEED);
	do {
		rx_wait(&rx);
		n = rx_recv(&rx, MSG_DONTWAIT);
		if (n < 0)
			fail("neighbour: %s", strerror((int)-n));
		rx_return(&rx);
	} while (n);
	check_cmp(rx.bytes, >=, NEIGHBOUR_STEP);
	check_eq(rx.bytes % NEIGHBOUR_STEP, 0);
	if (!host)
		check_eq(rx.placed, rx.bytes);
	_exit(0);
}

void neighbour_start(struct neighbour *n, const struct bound *b)
{
	struct conn c;
	int stop[2];

	must(pipe2(stop, O_CLOEXEC));
	connect_pair(&c, AF_INET);
	attach(c.rx, b);
	n->sender = test_fork();
	if (!n->sender) {
		close(stop[1]);
		close(c.rx);
		neighbour_send(c.tx, stop[0]);
	}
	n->reader = test_fork();
	if (!n->reader) {
		close(stop[1]);
		close(c.tx);
		neighbour_read(c.rx, b, n->host);
	}
	close(stop[0]);
	disconnect_pair(&c);
	n->stop = stop[1];
}

void neighbour_stop(struct neighbour *n)
{
	close(n->stop);
	test_join(n->sender);
	test_join(n->reader);
}
