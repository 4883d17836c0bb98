// SPDX-License-Identifier: GPL-2.0
/*
 * Rules of ethtool -N: what they match, where packets go then, in which order
 * they are asked, where they are put, and what is refused. The table of queues
 * has queue 0 only, so a packet elsewhere is there because of a rule. Must not
 * know of hashes.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common_nic.h"

#define QUEUES		4
#define WAITS_MS	10	/* rx-usecs, at most */

static const struct packet base[] = {
	{ .family = AF_INET, .proto = IPPROTO_TCP, .saddr = "192.0.2.77",
	  .daddr = "198.51.100.1", .sport = 4711, .dport = 80 },
	{ .family = AF_INET, .proto = IPPROTO_UDP, .saddr = "192.0.2.77",
	  .daddr = "198.51.100.1", .sport = 4711, .dport = 80 },
	{ .family = AF_INET6, .proto = IPPROTO_TCP, .saddr = "2001:db8::77",
	  .daddr = "2001:db8:1::1", .sport = 4711, .dport = 80 },
	{ .family = AF_INET6, .proto = IPPROTO_UDP, .saddr = "2001:db8::77",
	  .daddr = "2001:db8:1::1", .sport = 4711, .dport = 80 },
};

#define MATCH_SADDR	1
#define MATCH_DADDR	2
#define MATCH_SPORT	4
#define MATCH_DPORT	8

static void put_addr(int family, uint32_t *at, uint32_t *mask,
		     const char *addr, unsigned int prefix)
{
	unsigned int i;

	must(inet_pton(family, addr, at) - 1);
	for (i = 0; i < prefix; i++)
		mask[i / 32] |= htonl(1U << (31 - i % 32));
}

/* A rule for the fields @match of @p, addresses up to @prefix bits. */
static void make_rule(struct ethtool_rx_flow_spec *fs, const struct packet *p,
		      unsigned int match, unsigned int prefix,
		      unsigned int queue)
{
	bool v4 = p->family == AF_INET;
	struct ethtool_tcpip4_spec *h4 = &fs->h_u.tcp_ip4_spec;
	struct ethtool_tcpip4_spec *m4 = &fs->m_u.tcp_ip4_spec;
	struct ethtool_tcpip6_spec *h6 = &fs->h_u.tcp_ip6_spec;
	struct ethtool_tcpip6_spec *m6 = &fs->m_u.tcp_ip6_spec;
	uint32_t h[8] = {}, m[8] = {};

	memset(fs, 0, sizeof(*fs));
	fs->location = RX_CLS_LOC_ANY;
	fs->ring_cookie = queue;
	if (match & MATCH_SADDR)
		put_addr(p->family, h, m, p->saddr, prefix);
	if (match & MATCH_DADDR)
		put_addr(p->family, h + 4, m + 4, p->daddr, prefix);
	if (v4) {
		fs->flow_type = p->proto == IPPROTO_TCP ? TCP_V4_FLOW : UDP_V4_FLOW;
		h4->ip4src = h[0];
		m4->ip4src = m[0];
		h4->ip4dst = h[4];
		m4->ip4dst = m[4];
	} else {
		fs->flow_type = p->proto == IPPROTO_TCP ? TCP_V6_FLOW : UDP_V6_FLOW;
		memcpy(h6->ip6src, h, 16);
		memcpy(m6->ip6src, m, 16);
		memcpy(h6->ip6dst, h + 4, 16);
		memcpy(m6->ip6dst, m + 4, 16);
	}
	if (match & MATCH_SPORT) {
		*(v4 ? &h4->psrc : &h6->psrc) = htons(p->sport);
		*(v4 ? &m4->psrc : &m6->psrc) = 0xffff;
	}
	if (match & MATCH_DPORT) {
		*(v4 ? &h4->pdst : &h6->pdst) = htons(p->dport);
		*(v4 ? &m4->pdst : &m6->pdst) = 0xffff;
	}
}

static void comes_to(const struct packet *p, unsigned int queue)
{
	if (!packet_comes(p, NULL, queue))
		fail("%s:%u > %s:%u protocol %u: not in queue %u", p->saddr,
		     p->sport, p->daddr, p->dport, p->proto, queue);
}

/* The same packet with other values in the fields @other. */
static struct packet change(const struct packet *p, unsigned int other)
{
	struct packet q = *p;

	if (other & MATCH_SADDR)
		q.saddr = p->family == AF_INET ? "192.0.2.78" : "2001:db8::78";
	if (other & MATCH_DADDR)
		q.daddr = p->family == AF_INET ? "198.51.100.0" : "2001:db8:1::";
	if (other & MATCH_SPORT)
		q.sport ^= 1;
	if (other & MATCH_DPORT)
		q.dport ^= 0x8000;
	return q;
}

static void tuples(void)
{
	unsigned int i, match, field;
	struct ethtool_rx_flow_spec fs;
	struct packet q;

	for (i = 0; i < ARRAY_SIZE(base); i++) {
		for (match = 0; match < 16; match++) {
			make_rule(&fs, &base[i], match, i < 2 ? 32 : 128, 3);
			check_eq(rule_add(&fs, 0), 0);
			comes_to(&base[i], 3);
			/* fields that are not in the rule do not matter */
			q = change(&base[i], ~match);
			comes_to(&q, 3);
			for (field = 1; field < 16; field <<= 1) {
				if (!(match & field))
					continue;
				q = change(&base[i], field);
				comes_to(&q, 0);
			}
			/* not the other protocols */
			q = base[i];
			q.proto ^= IPPROTO_TCP ^ IPPROTO_UDP;
			comes_to(&q, 0);
			comes_to(&base[(i + 2) % 4], 0);
			check_eq(rule_delete(fs.location), 0);
			comes_to(&base[i], 0);
		}
	}
}

static void fragments(void)
{
	struct packet q = { .family = AF_INET, .proto = IPPROTO_UDP,
			    .saddr = "192.0.2.77", .daddr = "198.51.100.1",
			    .fragment = true };
	struct ethtool_rx_flow_spec fs;

	make_rule(&fs, &base[1], 0, 0, 3);
	check_eq(rule_add(&fs, 0), 0);
	comes_to(&base[1], 3);
	comes_to(&q, 0);
	check_eq(rule_delete(fs.location), 0);
}

/* All that is IP, fragments included, by addresses and protocol. */
static void ip_flows(void)
{
	struct packet q = { .family = AF_INET, .proto = 47,
			    .saddr = "192.0.2.77", .daddr = "198.51.100.1" };
	struct ethtool_rx_flow_spec fs = {
		.flow_type = IPV4_USER_FLOW,
		.h_u.usr_ip4_spec.ip_ver = ETH_RX_NFC_IP4,
		.ring_cookie = 2,
	};

	check_eq(rule_add(&fs, 0), 0);
	comes_to(&q, 2);
	comes_to(&base[0], 2);
	comes_to(&base[2], 0);
	q.fragment = true;
	comes_to(&q, 2);

	fs.h_u.usr_ip4_spec.proto = 47;
	fs.m_u.usr_ip4_spec.proto = 0xff;
	put_addr(AF_INET, &fs.h_u.usr_ip4_spec.ip4src,
		 &fs.m_u.usr_ip4_spec.ip4src, "192.0.2.0", 24);
	check_eq(rule_add(&fs, 0), 0);	/* replaces the first one */
	comes_to(&q, 2);
	comes_to(&base[0], 0);
	q.saddr = "192.0.3.77";
	comes_to(&q, 0);

	memset(&fs, 0, sizeof(fs));
	fs.flow_type = IPV6_USER_FLOW;
	fs.h_u.usr_ip6_spec.l4_proto = IPPROTO_UDP;
	fs.m_u.usr_ip6_spec.l4_proto = 0xff;
	fs.ring_cookie = 1;
	check_eq(rule_add(&fs, 0), 0);
	comes_to(&base[3], 1);
	comes_to(&base[2], 0);
	comes_to(&base[1], 0);
	check_eq(rule_delete(0), 0);
}

/* The last bit of the prefix counts, the one behind it does not. */
static void prefixes(void)
{
	static const unsigned int v4[] = { 1, 8, 15, 16, 17, 31 };
	static const unsigned int v6[] = { 1, 31, 32, 33, 64, 95, 127 };
	unsigned int i, j, bits, side;
	struct ethtool_rx_flow_spec fs;
	unsigned char addr[16];
	char text[64];

	for (i = 0; i < 4; i += 2) {
		for (j = 0; j < (i ? ARRAY_SIZE(v6) : ARRAY_SIZE(v4)); j++) {
			bits = i ? v6[j] : v4[j];
			for (side = 0; side < 2; side++) {
				struct packet q = base[i];
				const char **a = side ? &q.daddr : &q.saddr;

				make_rule(&fs, &base[i], side ? MATCH_DADDR : MATCH_SADDR,
					  bits, 1);
				check_eq(rule_add(&fs, 0), 0);
				inet_pton(q.family, *a, addr);
				*a = text;
				addr[bits / 8] ^= 0x80 >> bits % 8;
				inet_ntop(q.family, addr, text, sizeof(text));
				comes_to(&q, 1);
				addr[(bits - 1) / 8] ^= 0x80 >> (bits - 1) % 8;
				inet_ntop(q.family, addr, text, sizeof(text));
				comes_to(&q, 0);
				check_eq(rule_delete(fs.location), 0);
			}
		}
	}
}

static void refused(struct ethtool_rx_flow_spec *fs, int err)
{
	uint32_t locations[4];

	check_eq(rule_add(fs, 0), err);
	check_eq(rule_list(locations, 4), 0);
}

static void bad_matches(void)
{
	struct ethtool_rx_flow_spec fs;

	make_rule(&fs, &base[0], MATCH_SADDR, 32, 1);
	fs.m_u.tcp_ip4_spec.ip4src = htonl(0xff00ff00);
	refused(&fs, -EINVAL);
	fs.m_u.tcp_ip4_spec.ip4src = htonl(0x000000ff);
	refused(&fs, -EINVAL);
	make_rule(&fs, &base[2], MATCH_DADDR, 64, 1);
	fs.m_u.tcp_ip6_spec.ip6dst[3] = htonl(0xffffffff);
	refused(&fs, -EINVAL);
	make_rule(&fs, &base[0], MATCH_DPORT, 32, 1);
	fs.m_u.tcp_ip4_spec.pdst = htons(0xff00);
	refused(&fs, -EINVAL);
	make_rule(&fs, &base[3], MATCH_SPORT, 32, 1);
	fs.m_u.udp_ip6_spec.psrc = htons(1);
	refused(&fs, -EINVAL);
	make_rule(&fs, &base[0], 0, 0, 1);
	fs.m_u.tcp_ip4_spec.tos = 0xff;
	refused(&fs, -EINVAL);
	make_rule(&fs, &base[2], 0, 0, 1);
	fs.m_u.tcp_ip6_spec.tclass = 0xff;
	refused(&fs, -EINVAL);
	make_rule(&fs, &base[0], 0, 0, 1);
	fs.flow_type |= FLOW_EXT;
	fs.m_ext.vlan_tci = 0xffff;
	refused(&fs, -EINVAL);
	make_rule(&fs, &base[0], 0, 0, 1);
	fs.flow_type |= FLOW_MAC_EXT;
	fs.m_ext.h_dest[0] = 0xff;
	refused(&fs, -EINVAL);

	memset(&fs, 0, sizeof(fs));
	fs.location = RX_CLS_LOC_ANY;
	fs.flow_type = IPV4_USER_FLOW;
	refused(&fs, -EINVAL);			/* ip_ver */
	fs.h_u.usr_ip4_spec.ip_ver = ETH_RX_NFC_IP4;
	fs.m_u.usr_ip4_spec.l4_4_bytes = 0xffffffff;
	refused(&fs, -EINVAL);
	fs.m_u.usr_ip4_spec.l4_4_bytes = 0;
	fs.m_u.usr_ip4_spec.proto = 0x0f;
	refused(&fs, -EINVAL);
	memset(&fs, 0, sizeof(fs));
	fs.location = RX_CLS_LOC_ANY;
	fs.flow_type = ETHER_FLOW;
	refused(&fs, -EOPNOTSUPP);
	fs.flow_type = SCTP_V4_FLOW;
	refused(&fs, -EOPNOTSUPP);
	fs.flow_type = 0x1234;
	refused(&fs, -EOPNOTSUPP);
}

static void bad_actions(void)
{
	struct ethtool_rx_flow_spec fs;
	uint32_t locations[1];

	make_rule(&fs, &base[0], 0, 0, QUEUES);
	refused(&fs, -EINVAL);
	fs.ring_cookie = RX_CLS_FLOW_WAKE;
	refused(&fs, -EINVAL);
	fs.ring_cookie = 1ULL << 32 | 1;	/* of a virtual function */
	refused(&fs, -EINVAL);
	fs.ring_cookie = 0;
	check_eq(rule_add(&fs, 7), -EINVAL);	/* no such context */
	check_eq(rule_add(&fs, UINT32_MAX), -EINVAL);
	check_eq(rule_list(locations, 1), 0);
}

/* The lowest location that matches counts; a rule replaces the one that was
 * there.
 */
static void order(void)
{
	struct ethtool_rx_flow_spec fs;

	make_rule(&fs, &base[0], MATCH_DPORT, 32, 2);
	fs.location = 7;
	check_eq(rule_add(&fs, 0), 0);
	check_eq(fs.location, 7);
	make_rule(&fs, &base[0], MATCH_SADDR, 24, 1);
	fs.location = 9;
	check_eq(rule_add(&fs, 0), 0);
	comes_to(&base[0], 2);
	make_rule(&fs, &base[0], 0, 0, 3);
	fs.location = 5;
	check_eq(rule_add(&fs, 0), 0);
	comes_to(&base[0], 3);
	make_rule(&fs, &base[1], 0, 0, 3);
	fs.location = 5;
	check_eq(rule_add(&fs, 0), 0);
	comes_to(&base[0], 2);
	comes_to(&base[1], 3);
	check_eq(rule_delete(7), 0);
	comes_to(&base[0], 1);
	check_eq(rule_delete(9), 0);
	check_eq(rule_delete(5), 0);
	comes_to(&base[0], 0);
	comes_to(&base[1], 0);
}

static void drop(void)
{
	uint64_t drops = nic_counter(RECEIVER, "rx_drop_ntuple");
	struct ethtool_rx_flow_spec fs;
	struct packet q;

	check(!packet_dropped(&base[0]));
	make_rule(&fs, &base[0], MATCH_SPORT, 32, 0);
	fs.ring_cookie = RX_CLS_FLOW_DISC;
	fs.location = 10;
	check_eq(rule_add(&fs, 0), 0);
	check(packet_dropped(&base[0]));
	check_eq(nic_counter(RECEIVER, "rx_drop_ntuple"), drops + 1);
	q = change(&base[0], MATCH_SPORT);
	comes_to(&q, 0);
	/* one that is asked first lets it pass */
	make_rule(&fs, &base[0], MATCH_SADDR, 32, 1);
	fs.location = 9;
	check_eq(rule_add(&fs, 0), 0);
	comes_to(&base[0], 1);
	check_eq(rule_delete(9), 0);
	check(packet_dropped(&base[0]));
	check_eq(rule_delete(10), 0);
	comes_to(&base[0], 0);
}

static void locations(void)
{
	static uint32_t list[RULES_MAX];
	struct ethtool_rxnfc count = { .cmd = ETHTOOL_GRXCLSRLCNT };
	struct ethtool_rx_flow_spec fs, got;
	uint32_t context;
	int i;

	check_eq(nic_ioctl(&count), 0);
	check_eq(count.rule_cnt, 0);
	check_eq(count.data, (uint64_t)(RULES_MAX | RX_CLS_LOC_SPECIAL));

	make_rule(&fs, &base[0], MATCH_DPORT | MATCH_DADDR, 24, 2);
	fs.location = RX_CLS_LOC_LAST;
	check_eq(rule_add(&fs, 0), 0);
	check_eq(fs.location, RULES_MAX - 1);
	check_eq(rule_get(RULES_MAX - 1, &got, &context), 0);
	/* byte by byte: nothing may come back that was not set */
	check(!memcmp(&got, &fs, sizeof(fs)));	/* NOLINT: it has holes, all zeroed */
	fs.location = 1;
	check_eq(rule_add(&fs, 0), 0);
	fs.location = RX_CLS_LOC_FIRST;
	check_eq(rule_add(&fs, 0), 0);
	check_eq(fs.location, 0);
	fs.location = RX_CLS_LOC_ANY;
	check_eq(rule_add(&fs, 0), 0);
	check_eq(fs.location, 2);
	check_eq(rule_list(list, RULES_MAX), 4);
	check_eq(list[0], 0);
	check_eq(list[1], 1);
	check_eq(list[2], 2);
	check_eq(list[3], RULES_MAX - 1);
	check_eq(rule_list(list, 3), -EMSGSIZE);

	fs.location = RULES_MAX;
	check_eq(rule_add(&fs, 0), -ENOSPC);
	fs.location = RX_CLS_LOC_SPECIAL;
	check_eq(rule_add(&fs, 0), -EINVAL);
	check_eq(rule_get(3, &got, &context), -ENOENT);
	check_eq(rule_get(RULES_MAX, &got, &context), -EINVAL);
	check_eq(rule_delete(3), -ENOENT);
	check_eq(rule_delete(RULES_MAX), -ENOSPC);

	for (i = 4; i < RULES_MAX; i++) {
		fs.location = RX_CLS_LOC_ANY;
		check_eq(rule_add(&fs, 0), 0);
		check_eq(fs.location, i - 1);
	}
	fs.location = RX_CLS_LOC_ANY;
	check_eq(rule_add(&fs, 0), -ENOSPC);
	fs.location = RX_CLS_LOC_LAST;
	check_eq(rule_add(&fs, 0), -ENOSPC);
	check_eq(rule_list(list, RULES_MAX), RULES_MAX);
	/* the last of them all is met, too */
	make_rule(&fs, &base[3], 0, 0, 3);
	fs.location = RULES_MAX - 1;
	check_eq(rule_add(&fs, 0), 0);
	comes_to(&base[3], 3);
	for (i = 0; i < 8; i++)
		check_eq(rule_delete((uint32_t)i), 0);
	check_eq(rule_list(list, RULES_MAX), RULES_MAX - 8);
	must_cmd("ip netns exec %s ethtool -K nsd0 ntuple off", NS_NAME(RECEIVER));
	must_cmd("ip netns exec %s ethtool -K nsd0 ntuple on", NS_NAME(RECEIVER));
	check_eq(rule_list(list, RULES_MAX), 0);
	comes_to(&base[3], 0);
}

static void feature_off(void)
{
	struct ethtool_rx_flow_spec fs;
	uint32_t list[1];

	make_rule(&fs, &base[0], 0, 0, 3);
	check_eq(rule_add(&fs, 0), 0);
	comes_to(&base[0], 3);
	must_cmd("ip netns exec %s ethtool -K nsd0 ntuple off", NS_NAME(RECEIVER));
	check_eq(rule_list(list, 1), 0);
	comes_to(&base[0], 0);
	fs.location = RX_CLS_LOC_ANY;
	check_eq(rule_add(&fs, 0), -EOPNOTSUPP);
	must_cmd("ip netns exec %s ethtool -K nsd0 ntuple on", NS_NAME(RECEIVER));
	check_eq(rule_list(list, 1), 0);
	comes_to(&base[0], 0);
	check_eq(rule_add(&fs, 0), 0);
	comes_to(&base[0], 3);
	check_eq(rule_delete(fs.location), 0);
}

/* An attached connection stays on the queues that it is bound to, whatever the
 * rules of ethtool say; others do as these say.
 */
static void devmem_first(void)
{
	static const uint32_t queue = 1;
	struct conn attached, plain;
	struct bound b;
	struct rx rx;
	struct ethtool_rx_flow_spec fs = {
		.flow_type = IPV4_USER_FLOW,
		.h_u.usr_ip4_spec.ip_ver = ETH_RX_NFC_IP4,
		.ring_cookie = 2,
	};

	bind_queues(&b, DEVMEM_BUF_HEAP, 4 << 20, 65536, &queue, 1);
	connect_pair(&attached, AF_INET);
	connect_pair(&plain, AF_INET);
	attach(attached.rx, &b);
	check_eq(rule_add(&fs, 0), 0);
	rx_init(&rx, attached.rx, &b, 3);
	send_start(&attached, 1 << 20, 3, 1460, SEND_SHUTDOWN);
	rx_all(&rx, 1 << 20);
	rx_check_placed(&rx, 1 << 20);
	rx_free(&rx);
	check_cmp(nic_counter(RECEIVER, "rx1_placed_bytes"), >=, 1 << 20);
	check_cmp(nic_counter(RECEIVER, "rx1_placed_bytes"), <=,
		  (1 << 20) + sent_again(&attached));
	check_eq(nic_counter(RECEIVER, "rx2_placed_bytes"), 0);

	rx_init(&rx, plain.rx, NULL, 3);
	rx.plain = true;
	send_start(&plain, 1 << 20, 3, 1460, SEND_SHUTDOWN);
	rx_all(&rx, 1 << 20);
	rx_free(&rx);
	check_cmp(nic_counter(RECEIVER, "rx2_bytes"), >, 1 << 20);
	check_eq(rule_delete(0), 0);
	disconnect_pair(&attached);
	disconnect_pair(&plain);
	unbind(&b);
	free_bound(&b);
}

static void no_coalescing(void *arg)
{
	(void)arg;
	cmd("ethtool -C nsd0 rx-usecs 0");
	channels_set(QUEUES);
}

/* A packet waits on the wire of a queue that goes, and a rule that has come
 * meanwhile drops it when it is steered once more: for its sender it is sent. If it
 * were not, the sender's queue would wait for that for ever.
 */
static void drop_when_the_queue_goes(void)
{
	const struct packet p = { .family = AF_INET, .proto = IPPROTO_UDP, .dport = 4712 };
	static const char large[1400];	/* more than byte queue limits know of yet */
	struct ethtool_rx_flow_spec to_queue, to_nowhere;
	uint64_t drops = nic_counter(RECEIVER, "rx_drop_ntuple");
	bool in_time = false;
	long long start;
	struct sockaddr_storage ss;
	socklen_t len = side_addr(&ss, RECEIVER, AF_INET, p.dport);
	int rx, tx, i;
	char byte;

	defer(no_coalescing, NULL);
	rx = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	must(bind(rx, (struct sockaddr *)&ss, len));
	env_enter(SENDER);
	tx = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	env_enter(RECEIVER);
	must(connect(tx, (struct sockaddr *)&ss, len));
	must(send(tx, "a", 1, 0));
	check(within(1000, recv(rx, &byte, 1, 0) == 1));

	make_rule(&to_queue, &p, MATCH_DPORT, 0, QUEUES - 1);
	make_rule(&to_nowhere, &p, MATCH_DPORT, 0, 0);
	to_nowhere.ring_cookie = RX_CLS_FLOW_DISC;
	to_queue.location = 0;
	to_nowhere.location = 1;
	must_cmd("ethtool -C nsd0 rx-usecs %d", 1000 * WAITS_MS);
	for (i = 0; i < 200 && nic_counter(RECEIVER, "rx_drop_ntuple") == drops; i++) {
		while (recv(rx, &byte, 1, 0) >= 0)
			;	/* came too soon */
		check_eq(rule_add(&to_queue, 0), 0);
		check_eq(rule_add(&to_nowhere, 0), 0);
		start = now_ms();
		must(send(tx, large, sizeof(large), 0));
		check_eq(rule_delete(to_queue.location), 0);
		check_eq(channels_set(QUEUES - 1), 0);
		in_time |= now_ms() - start < WAITS_MS;
		check_eq(rule_delete(to_nowhere.location), 0);
		check_eq(channels_set(QUEUES), 0);
	}
	if (!in_time && nic_counter(RECEIVER, "rx_drop_ntuple") == drops)
		skip("no packet waits so long on a wire as this machine takes");
	check_cmp(nic_counter(RECEIVER, "rx_drop_ntuple"), >, drops);
	must_cmd("ethtool -C nsd0 rx-usecs 0");
	must(send(tx, "c", 1, 0));
	check(within(2000, recv(rx, &byte, 1, 0) == 1 && byte == 'c'));
}

static void setup(void)
{
	static const uint32_t table[RSS_INDIR];
	uint32_t context = 0;

	env_setup(QUEUES);
	check_eq(rss_set(&context, NULL, table), 0);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(tuples),
	KTAP_CASE(fragments),
	KTAP_CASE(ip_flows),
	KTAP_CASE(prefixes),
	KTAP_CASE(order),
	KTAP_CASE(drop),
	KTAP_CASE(drop_when_the_queue_goes, .timeout = 40),
	KTAP_CASE(locations),
	KTAP_CASE(bad_matches),
	KTAP_CASE(bad_actions),
	KTAP_CASE(feature_off),
	KTAP_CASE(devmem_first),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
