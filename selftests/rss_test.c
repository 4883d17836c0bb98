// SPDX-License-Identifier: GPL-2.0
/*
 * Receive-side scaling: hash, key, indirection table, contexts. That a packet's
 * hash is the true Toeplitz hash, and that its queue is the one of the table.
 * Must not know of rules but as the way into a context.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common_nic.h"

#define QUEUES		4
#define CONTEXTS	63
#define L3		(RXH_IP_SRC | RXH_IP_DST)
#define L4		(RXH_L4_B_0_1 | RXH_L4_B_2_3)

/* The key and the packets of the RSS specification's verification suite. */
static const uint8_t spec_key[RSS_KEY] = {
	0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2,
	0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0,
	0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4,
	0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c,
	0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
};

static const struct {
	struct packet p;
	uint32_t with_ports;
	uint32_t without;
} spec[] = {
	{ { AF_INET, IPPROTO_TCP, "66.9.149.187", "161.142.100.80", 2794, 1766, false },
	  0x51ccc178, 0x323e8fc2 },
	{ { AF_INET, IPPROTO_UDP, "199.92.111.2", "65.69.140.83", 14230, 4739, false },
	  0xc626b0ea, 0xd718262a },
	{ { AF_INET, IPPROTO_TCP, "24.19.198.95", "12.22.207.184", 12898, 38024, false },
	  0x5c2b394a, 0xd2d0a5de },
	{ { AF_INET6, IPPROTO_TCP, "3ffe:2501:200:1fff::7", "3ffe:2501:200:3::1",
	    2794, 1766, false }, 0x40207d3d, 0x2cc18cd5 },
	{ { AF_INET6, IPPROTO_UDP, "3ffe:501:8::260:97ff:fe40:efab", "ff02::1",
	    14230, 4739, false }, 0xdde51bbf, 0x0f0c461c },
};

static uint32_t table[RSS_INDIR];
static uint8_t key[RSS_KEY];

static void random_settings(void)
{
	unsigned int i;

	for (i = 0; i < RSS_KEY; i++)
		key[i] = (uint8_t)rand();
	for (i = 0; i < RSS_INDIR; i++)
		table[i] = (uint32_t)rand() % QUEUES;
}

static void set_all(uint32_t context)
{
	check_eq(rss_set(&context, key, table), 0);
}

static void random_packet(struct packet *p)
{
	static char saddr[64], daddr[64];

	p->family = rand() & 1 ? AF_INET : AF_INET6;
	p->proto = rand() & 1 ? IPPROTO_TCP : IPPROTO_UDP;
	p->sport = (uint16_t)rand();
	p->dport = (uint16_t)rand();
	snprintf(saddr, sizeof(saddr),
		 p->family == AF_INET ? "10.%u.%u.%u" : "2001:db8:%x:%x::%x",
		 rand() & 255, rand() & 255, rand() & 255);
	snprintf(daddr, sizeof(daddr),
		 p->family == AF_INET ? "172.16.%u.%u" : "2001:db8:%x::%x",
		 rand() & 255, rand() & 255);
	p->saddr = saddr;
	p->daddr = daddr;
}

/* It comes with the hash of these @fields and in the queue of the table. */
static void comes(const struct packet *p, uint64_t fields)
{
	uint32_t hash = toeplitz(key, p, fields);

	if (packet_comes(p, &hash, table[hash % RSS_INDIR]))
		return;
	fail("%s:%u > %s:%u protocol %u: not with hash %08x in queue %u",
	     p->saddr, p->sport, p->daddr, p->dport, p->proto, hash,
	     table[hash % RSS_INDIR]);
}

static void specification(void)
{
	unsigned int i;

	memcpy(key, spec_key, sizeof(key));
	for (i = 0; i < RSS_INDIR; i++)
		table[i] = i % QUEUES;
	set_all(0);
	for (i = 0; i < ARRAY_SIZE(spec); i++) {
		struct packet p = spec[i].p;

		check_eq(toeplitz(key, &p, L3 | L4), spec[i].with_ports);
		check_eq(toeplitz(key, &p, L3), spec[i].without);
		check(packet_comes(&p, &spec[i].with_ports, ANY_QUEUE));
		p.proto = 132;	/* SCTP */
		check(packet_comes(&p, &spec[i].without, ANY_QUEUE));
	}
}

static void any_packet(void)
{
	struct packet p = {};
	int i;

	for (i = 0; i < 60; i++) {
		if (i % 10 == 0) {
			random_settings();
			set_all(0);
		}
		random_packet(&p);
		comes(&p, L3 | L4);
	}
	p.family = AF_INET;
	p.saddr = "192.0.2.1";
	p.daddr = "192.0.2.2";
	p.fragment = true;
	comes(&p, L3);
}

static void fields(void)
{
	static const uint32_t flow[] = { TCP_V4_FLOW, UDP_V4_FLOW, TCP_V6_FLOW,
					 UDP_V6_FLOW };
	unsigned int i, j;

	random_settings();
	set_all(0);
	for (i = 0; i < ARRAY_SIZE(flow); i++) {
		struct packet p = {
			.family = i < 2 ? AF_INET : AF_INET6,
			.proto = i & 1 ? IPPROTO_UDP : IPPROTO_TCP,
			.saddr = i < 2 ? "192.0.2.77" : "2001:db8::77",
			.daddr = i < 2 ? "192.0.2.1" : "2001:db8::1",
			.sport = 4711, .dport = 80,
		};

		check_eq(rss_fields_get(flow[i]), L3 | L4);
		for (j = 0; j < 16; j++) {
			check_eq(rss_fields_set(flow[i], RXH_IP_SRC * j), 0);
			check_eq(rss_fields_get(flow[i]), RXH_IP_SRC * j);
			comes(&p, RXH_IP_SRC * j);
		}
		/* the other flows keep what they had */
		p.proto ^= IPPROTO_TCP ^ IPPROTO_UDP;
		comes(&p, L3 | L4);
		check_eq(rss_fields_set(flow[i], L3 | RXH_VLAN), -EOPNOTSUPP);
		check_eq(rss_fields_set(flow[i], L3 | RXH_DISCARD), -EOPNOTSUPP);
		check_eq(rss_fields_get(flow[i]), L3 | L4);
	}
	check_eq(rss_fields_get(SCTP_V4_FLOW), L3);
	check_eq(rss_fields_get(IPV6_FLOW), L3);
	check_eq(rss_fields_set(SCTP_V4_FLOW, L3 | L4), -EOPNOTSUPP);
	check_eq(rss_fields_set(SCTP_V4_FLOW, L3), 0);
	check_eq(rss_fields_set(ETHER_FLOW, L3), -EINVAL);
}

static void defaults(void)
{
	unsigned int i, zero = 0;

	rss_get(0, key, table);
	for (i = 0; i < RSS_INDIR; i++)
		check_eq(table[i], i % QUEUES);
	for (i = 0; i < RSS_KEY; i++)
		zero += !key[i];
	check_cmp(zero, <, RSS_KEY / 2);
}

static int raw_rxfh(uint32_t indir_size, uint32_t key_size, uint8_t hfunc)
{
	static uint32_t buffer[64 + RSS_INDIR];
	struct ethtool_rxfh *rxfh = (void *)buffer;

	rxfh->cmd = ETHTOOL_SRSSH;
	rxfh->indir_size = indir_size;
	rxfh->key_size = key_size;
	rxfh->hfunc = hfunc;
	return nic_ioctl(rxfh);
}

static void bad_settings(void)
{
	uint32_t was[RSS_INDIR], context = 0;
	uint8_t key_was[RSS_KEY];

	random_settings();
	set_all(0);
	memcpy(was, table, sizeof(was));
	memcpy(key_was, key, sizeof(key));

	table[RSS_INDIR - 1] = QUEUES;
	check_eq(rss_set(&context, NULL, table), -EINVAL);
	table[RSS_INDIR - 1] = UINT32_MAX;
	check_eq(rss_set(&context, NULL, table), -EINVAL);
	context = 5;
	check_eq(rss_set(&context, NULL, was), -ENOENT);
	check_eq(raw_rxfh(RSS_INDIR - 1, 0, 0), -EINVAL);
	check_eq(raw_rxfh(RSS_INDIR + 1, 0, 0), -EINVAL);
	check_eq(raw_rxfh(ETH_RXFH_INDIR_NO_CHANGE, RSS_KEY - 1, 0), -EINVAL);
	check_eq(raw_rxfh(ETH_RXFH_INDIR_NO_CHANGE, RSS_KEY + 12, 0), -EINVAL);
	check_eq(raw_rxfh(ETH_RXFH_INDIR_NO_CHANGE, RSS_KEY, 2), -EOPNOTSUPP);

	rss_get(0, key, table);
	check(!memcmp(was, table, sizeof(was)));
	check(!memcmp(key_was, key, sizeof(key)));
}

/* A rule that sends TCP to port 7000 into @context. */
static uint32_t port_rule(uint32_t context)
{
	struct ethtool_rx_flow_spec fs = {
		.flow_type = TCP_V4_FLOW,
		.h_u.tcp_ip4_spec.pdst = htons(7000),
		.m_u.tcp_ip4_spec.pdst = 0xffff,
		.location = RX_CLS_LOC_ANY,
	};

	check_eq(rule_add(&fs, context), 0);
	return fs.location;
}

static void contexts(void)
{
	struct packet p = { .family = AF_INET, .proto = IPPROTO_TCP,
			    .saddr = "192.0.2.1", .daddr = "192.0.2.2",
			    .dport = 7000 };
	uint32_t context = ETH_RXFH_CONTEXT_ALLOC, rule, main_table[RSS_INDIR];
	uint8_t main_key[RSS_KEY];
	unsigned int i;

	random_settings();
	set_all(0);
	memcpy(main_table, table, sizeof(table));
	memcpy(main_key, key, sizeof(key));

	/* key of the default context, all queues */
	check_eq(rss_set(&context, NULL, NULL), 0);
	check_cmp(context, >, 0);
	check_cmp(context, <=, CONTEXTS);
	rss_get(context, key, table);
	check(!memcmp(key, main_key, sizeof(key)));
	for (i = 0; i < RSS_INDIR; i++)
		check_eq(table[i], i % QUEUES);

	rule = port_rule(context);
	for (i = 0; i < 20; i++) {
		random_settings();
		set_all(context);
		p.sport = (uint16_t)(1000 + i);
		comes(&p, L3 | L4);
	}
	/* other packets do not notice */
	memcpy(table, main_table, sizeof(table));
	memcpy(key, main_key, sizeof(key));
	p.dport = 7001;
	comes(&p, L3 | L4);
	p.dport = 7000;

	check_eq(rss_delete(context), -EBUSY);
	check_eq(rule_delete(rule), 0);
	comes(&p, L3 | L4);
	check_eq(rss_delete(context), 0);
	check_eq(rss_delete(context), -ENOENT);
}

/* Nobody need have hashes. Who wants a context then, and says no more, has some. */
static void key_of_zeroes(void)
{
	uint32_t context = ETH_RXFH_CONTEXT_ALLOC, zero = 0;
	unsigned int i;

	memset(key, 0, sizeof(key));
	check_eq(rss_set(&zero, key, NULL), 0);
	check_eq(rss_set(&context, NULL, NULL), 0);
	rss_get(context, key, table);
	for (i = 0; i < RSS_KEY && !key[i]; i++)
		;
	check_cmp(i, <, RSS_KEY);
	check_eq(rss_delete(context), 0);
}

static void many_contexts(void)
{
	uint32_t ids[CONTEXTS], rules[CONTEXTS], id;
	struct ethtool_rx_flow_spec fs = {
		.flow_type = TCP_V4_FLOW,
		.m_u.tcp_ip4_spec.pdst = 0xffff,
	};
	struct packet p = { .family = AF_INET, .proto = IPPROTO_TCP,
			    .saddr = "192.0.2.1", .daddr = "192.0.2.2",
			    .sport = 1 };
	unsigned int i, j;

	for (i = 0; i < CONTEXTS; i++) {
		for (j = 0; j < RSS_INDIR; j++)
			table[j] = i % QUEUES;
		ids[i] = ETH_RXFH_CONTEXT_ALLOC;
		check_eq(rss_set(&ids[i], NULL, table), 0);
		fs.h_u.tcp_ip4_spec.pdst = htons((uint16_t)(7000 + i));
		fs.location = RX_CLS_LOC_ANY;
		check_eq(rule_add(&fs, ids[i]), 0);
		rules[i] = fs.location;
	}
	id = ETH_RXFH_CONTEXT_ALLOC;
	check_cmp(rss_set(&id, NULL, NULL), <, 0);
	for (i = 0; i < CONTEXTS; i++) {
		p.dport = (uint16_t)(7000 + i);
		check(packet_comes(&p, NULL, i % QUEUES));
	}
	/* not in the order they came */
	for (i = 0; i < CONTEXTS; i++) {
		j = (i * 5 + 2) % CONTEXTS;
		check_eq(rule_delete(rules[j]), 0);
		check_eq(rss_delete(ids[j]), 0);
	}
}

/* Not one packet comes to a queue that is not in the table: neither of a
 * stream, nor of ARP, ICMP and what else comes along.
 */
static void idle_queues(void)
{
	struct nic_count before[] = {
		{ RECEIVER, "rx0_packets", 0 }, { RECEIVER, "rx1_packets", 0 },
		{ RECEIVER, "rx_bytes", 0 },
	};
	struct conn c;
	struct rx rx;
	unsigned int i;

	rss_get(0, key, table);
	for (i = 0; i < RSS_INDIR; i++)
		table[i] = 2 + (i & 1);
	set_all(0);
	/* what was steered by the old table may be on its way */
	nic_counts_quiet(before, ARRAY_SIZE(before));

	must_cmd("ip -n %s neigh flush all", NS_NAME(SENDER));
	for (i = 0; i < 8; i++) {
		connect_pair(&c, i & 1 ? AF_INET6 : AF_INET);
		rx_init(&rx, c.rx, NULL, 1);
		rx.plain = true;
		send_pattern(c.tx, 1 << 16, 0, 1, 1460);
		rx_all(&rx, 1 << 16);
		rx_free(&rx);
		disconnect_pair(&c);
	}
	check_cmp(nic_counter(RECEIVER, "rx_bytes"), >, before[2].value + (8 << 16));
	check_eq(nic_counter(RECEIVER, "rx0_packets"), before[0].value);
	check_eq(nic_counter(RECEIVER, "rx1_packets"), before[1].value);
}

static void setup(void)
{
	srand(17);
	env_setup(QUEUES);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(defaults),
	KTAP_CASE(specification),
	KTAP_CASE(any_packet),
	KTAP_CASE(fields),
	KTAP_CASE(bad_settings),
	KTAP_CASE(contexts),
	KTAP_CASE(many_contexts),
	KTAP_CASE(key_of_zeroes),
	KTAP_CASE(idle_queues),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
