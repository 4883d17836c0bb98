// SPDX-License-Identifier: GPL-2.0
/*
 * The rules of ethtool -N, drivers/net/netdevsim-devmem/ntuple.c, against a table
 * that keeps each rule as ethtool has given it, see ntuple_model.c. An input is a
 * list of steps: insert, remove, show and list rules, and ask what the rules say
 * of a packet.
 */
#include "fuzz.h"

#include "nsdm.h"
#include "ntuple_model.h"

#define QUEUES		8
#define FULL		0x66756c6c	/* "full": for kept inputs, it takes a while */

static struct {
	bool there[NSDM_NTUPLE_MAX];
	struct ethtool_rxnfc nfc[NSDM_NTUPLE_MAX];
	unsigned int nr;
	u32 contexts;		/* bits of those that exist, twice */
} model;

static struct net_device dev;
static struct nsdm *nd;

bool nsdm_rss_exists(const struct nsdm *n, u32 id)
{
	fuzz_check(n == nd);
	return id < NSDM_RSS_CONTEXTS && model.contexts >> id % 32 & 1;
}

u32 nsdm_get_rx_ring_count(struct net_device *d)
{
	return d->real_num_rx_queues;
}

/* Not a matter of rules: who asks is told that he is in the right place. */
int nsdm_get_rxfh_fields(struct net_device *d, struct ethtool_rxfh_fields *fields)
{
	fields->data = ~fields->flow_type;
	return 0;
}

int nsdm_set_rxfh_fields(struct net_device *d, const struct ethtool_rxfh_fields *fields,
			 struct netlink_ext_ack *extack)
{
	return fields->data == ~fields->flow_type ? 0 : -EINVAL;
}

/* Where the rule goes, or the error that is found first. */
static int model_insert(const struct ethtool_rxnfc *nfc)
{
	const struct ethtool_rx_flow_spec *fs = &nfc->fs;
	unsigned int loc = fs->location;
	int err;

	if (!(dev.features & NETIF_F_NTUPLE))
		return -EOPNOTSUPP;
	if (loc == RX_CLS_LOC_ANY || loc == RX_CLS_LOC_FIRST) {
		for (loc = 0; loc < NSDM_NTUPLE_MAX && model.there[loc];)
			loc++;
		if (loc == NSDM_NTUPLE_MAX)
			return -ENOSPC;
	} else if (loc == RX_CLS_LOC_LAST) {
		for (loc = NSDM_NTUPLE_MAX; loc && model.there[loc - 1];)
			loc--;
		if (!loc)
			return -ENOSPC;
		loc--;
	} else if (loc & RX_CLS_LOC_SPECIAL) {
		return -EINVAL;
	} else if (loc >= NSDM_NTUPLE_MAX) {
		return -ENOSPC;
	}

	if (fuzz_state.fail & 1)
		return -ENOMEM;
	err = model_fields(fs);
	if (err)
		return err;
	if (fs->flow_type & FLOW_RSS)
		return !fs->ring_cookie && nsdm_rss_exists(nd, nfc->rss_context) ?
			(int)loc : -EINVAL;
	return fs->ring_cookie == RX_CLS_FLOW_DISC || fs->ring_cookie < QUEUES ?
		(int)loc : -EINVAL;
}

static int model_match(const struct packet *p)
{
	const struct ethtool_rxnfc *nfc;
	unsigned int loc;

	for (loc = 0; loc < NSDM_NTUPLE_MAX; loc++) {
		nfc = &model.nfc[loc];
		if (!model.there[loc] || !model_hit(&nfc->fs, p))
			continue;
		if (nfc->fs.flow_type & FLOW_RSS)
			return NSDM_NTUPLE_CONTEXT + nfc->rss_context;
		if (nfc->fs.ring_cookie == RX_CLS_FLOW_DISC)
			return NSDM_NTUPLE_DROP;
		return nfc->fs.ring_cookie;
	}
	return NSDM_NTUPLE_NONE;
}

/* steps */

/* One of few addresses, that differ late, or have another bit of their own. */
static void in_addr(struct fuzz_in *in, void *addr, unsigned int bytes)
{
	u8 pick = in_u8(in), *b = addr;

	memset(b, 0x0a, bytes);
	b[bytes - 1] = pick % 4;
	if (pick >= 4)
		b[pick / 8 % bytes] ^= 1 << pick % 8;
}

static void in_port(struct fuzz_in *in, void *port)
{
	u8 pick = in_u8(in), *b = port;

	b[0] = pick / 16;
	b[1] = pick % 16;
}

/* Ones and zeros, and now and then another one among the zeros, or as told. */
static void in_mask(struct fuzz_in *in, void *mask, unsigned int bytes)
{
	u8 pick = in_u8(in), *b = mask;
	unsigned int i;

	for (i = 0; i < 8 * bytes; i++)
		if (i < pick % (8 * bytes + 1))
			b[i / 8] |= 0x80 >> i % 8;
	if (pick >= 0xc0)
		b[pick % bytes] ^= in_u8(in);
	else if (pick >= 0x88)
		memset(b, 0xff, bytes);
}

static void in_spec(struct fuzz_in *in, struct ethtool_rx_flow_spec *fs)
{
	union ethtool_flow_union *h = &fs->h_u, *m = &fs->m_u;
	u32 type = fs->flow_type & 0xff;

	if (type == TCP_V6_FLOW || type == UDP_V6_FLOW || type == IPV6_USER_FLOW) {
		in_addr(in, h->tcp_ip6_spec.ip6src, 16);
		in_mask(in, m->tcp_ip6_spec.ip6src, 16);
		in_addr(in, h->tcp_ip6_spec.ip6dst, 16);
		in_mask(in, m->tcp_ip6_spec.ip6dst, 16);
	} else {
		in_addr(in, &h->tcp_ip4_spec.ip4src, 4);
		in_mask(in, &m->tcp_ip4_spec.ip4src, 4);
		in_addr(in, &h->tcp_ip4_spec.ip4dst, 4);
		in_mask(in, &m->tcp_ip4_spec.ip4dst, 4);
	}
	switch (type) {
	case IP_USER_FLOW:
		h->usr_ip4_spec.proto = in_u8(in);
		in_mask(in, &m->usr_ip4_spec.proto, 1);
		h->usr_ip4_spec.ip_ver = ETH_RX_NFC_IP4;
		break;
	case IPV6_USER_FLOW:
		h->usr_ip6_spec.l4_proto = in_u8(in);
		in_mask(in, &m->usr_ip6_spec.l4_proto, 1);
		break;
	case TCP_V6_FLOW:
	case UDP_V6_FLOW:
		in_port(in, &h->tcp_ip6_spec.psrc);
		in_mask(in, &m->tcp_ip6_spec.psrc, 2);
		in_port(in, &h->tcp_ip6_spec.pdst);
		in_mask(in, &m->tcp_ip6_spec.pdst, 2);
		break;
	default:
		in_port(in, &h->tcp_ip4_spec.psrc);
		in_mask(in, &m->tcp_ip4_spec.psrc, 2);
		in_port(in, &h->tcp_ip4_spec.pdst);
		in_mask(in, &m->tcp_ip4_spec.pdst, 2);
		break;
	}
}

static const u32 flow_types[] = {
	TCP_V4_FLOW, UDP_V4_FLOW, TCP_V6_FLOW, UDP_V6_FLOW, IP_USER_FLOW, IPV6_USER_FLOW,
	SCTP_V4_FLOW, ETHER_FLOW,
};

static u32 in_location(struct fuzz_in *in)
{
	u8 pick = in_u8(in);

	switch (pick) {
	case 0xff:
		return RX_CLS_LOC_ANY;
	case 0xfe:
		return RX_CLS_LOC_FIRST;
	case 0xfd:
		return RX_CLS_LOC_LAST;
	case 0xfc:
		return in_u32(in);
	}
	return pick < 0xf0 ? pick % 16 : NSDM_NTUPLE_MAX - 8 + pick % 16;
}

static void insert(struct fuzz_in *in)
{
	u8 pick = in_u8(in), odd = in_u8(in), where = in_u8(in);
	struct ethtool_rxnfc nfc = { .cmd = ETHTOOL_SRXCLSRLINS }, was;
	unsigned int at;
	int want, err;
	u32 loc;

	nfc.fs.flow_type = flow_types[pick % 8];
	nfc.fs.location = in_location(in);
	nfc.fs.ring_cookie = where < 0xf0 ? where % (QUEUES + 1) :
			     where < 0xf8 ? RX_CLS_FLOW_DISC : (u64)where << 32;
	if (pick & 0x08) {
		nfc.fs.flow_type |= FLOW_RSS;
		nfc.rss_context = in_u8(in);
		nfc.fs.ring_cookie = where == 0xff;
	}
	if (pick & 0x10)
		nfc.fs.flow_type |= FLOW_EXT;
	if (pick & 0x20)
		nfc.fs.flow_type |= FLOW_MAC_EXT;
	in_spec(in, &nfc.fs);
	if (odd & 0x80) {	/* a byte somewhere is another one */
		at = in_u8(in) % sizeof(nfc.fs);
		((u8 *)&nfc.fs)[at] ^= in_u8(in);
	}

	was = nfc;
	want = model_insert(&nfc);
	err = nsdm_set_rxnfc(&dev, &nfc);
	fuzz_check(err == (want < 0 ? want : 0));
	if (err) {
		fuzz_check(!memcmp(&nfc, &was, sizeof(nfc)));
		return;
	}
	loc = want;
	was.fs.location = loc;	/* the caller is told where it is */
	fuzz_check(!memcmp(&nfc, &was, sizeof(nfc)));
	model.nr += !model.there[loc];
	model.there[loc] = true;
	model.nfc[loc] = nfc;
}

static void remove_one(u32 loc)
{
	struct ethtool_rxnfc nfc = { .cmd = ETHTOOL_SRXCLSRLDEL, .fs.location = loc };
	int want = loc >= NSDM_NTUPLE_MAX ? -ENOSPC : model.there[loc] ? 0 : -ENOENT;

	fuzz_check(nsdm_set_rxnfc(&dev, &nfc) == want);
	if (!want) {
		model.there[loc] = false;
		model.nr--;
	}
}

static void show(u32 loc)
{
	struct ethtool_rxnfc nfc = { .cmd = ETHTOOL_GRXCLSRULE, .fs.location = loc };
	int want = loc >= NSDM_NTUPLE_MAX ? -EINVAL : model.there[loc] ? 0 : -ENOENT;

	fuzz_check(nsdm_get_rxnfc(&dev, &nfc, NULL) == want);
	if (want)
		return;
	fuzz_check(nfc.data == NSDM_NTUPLE_MAX);
	fuzz_check(!memcmp(&nfc.fs, &model.nfc[loc].fs, sizeof(nfc.fs)));
	if (nfc.fs.flow_type & FLOW_RSS)
		fuzz_check(nfc.rss_context == model.nfc[loc].rss_context);
}

static void list(unsigned int room)
{
	struct ethtool_rxnfc nfc = { .cmd = ETHTOOL_GRXCLSRLCNT };
	unsigned int loc, n = 0;
	u32 *locs;
	int err;

	fuzz_check(!nsdm_get_rxnfc(&dev, &nfc, NULL));
	fuzz_check(nfc.rule_cnt == model.nr);
	fuzz_check(nfc.data == (NSDM_NTUPLE_MAX | RX_CLS_LOC_SPECIAL));

	locs = malloc(room * sizeof(*locs));
	fuzz_check(locs);
	nfc.cmd = ETHTOOL_GRXCLSRLALL;
	nfc.rule_cnt = room;
	err = nsdm_get_rxnfc(&dev, &nfc, locs);
	fuzz_check(err == (room < model.nr ? -EMSGSIZE : 0));
	if (!err) {
		fuzz_check(nfc.rule_cnt == model.nr);
		for (loc = 0; loc < NSDM_NTUPLE_MAX; loc++)
			if (model.there[loc])
				fuzz_check(locs[n++] == loc);
	}
	free(locs);
}

static void match(struct fuzz_in *in)
{
	struct nsdm_cb cb = {};
	u8 pick = in_u8(in);
	struct packet p = {
		.v6 = pick & 1,
		.l4 = pick & 2,
		.proto = pick & 4 ? IPPROTO_TCP : IPPROTO_UDP,
	};
	unsigned int bytes = p.v6 ? 16 : 4;
	int got;

	if (pick & 8) {
		p.l4 = false;
		p.proto = in_u8(in);
	}
	in_addr(in, p.src, bytes);
	in_addr(in, p.dst, bytes);
	if (p.l4) {
		in_port(in, p.sport);
		in_port(in, p.dport);
		cb.flags = p.proto == IPPROTO_TCP ? NSDM_PKT_TCP : NSDM_PKT_UDP;
	}
	if (pick & 16)
		cb.flags |= NSDM_PKT_PLAIN;
	cb.proto = p.proto;
	cb.key.family = p.v6 ? AF_INET6 : AF_INET;
	memcpy(cb.key.saddr, p.src, 16);
	memcpy(cb.key.daddr, p.dst, 16);
	memcpy(&cb.key.sport, p.sport, 2);
	memcpy(&cb.key.dport, p.dport, 2);

	rcu_read_lock();
	got = nsdm_ntuple_match(nd, &cb);
	/* what is not IP meets no rule */
	memset(&cb, 0, sizeof(cb));
	fuzz_check(nsdm_ntuple_match(nd, &cb) == NSDM_NTUPLE_NONE);
	rcu_read_unlock();
	fuzz_check(got == model_match(&p));
}

static void find_context(u32 id)
{
	unsigned int loc;
	int want = -1;

	for (loc = 0; loc < NSDM_NTUPLE_MAX && want < 0; loc++)
		if (model.there[loc] && model.nfc[loc].fs.flow_type & FLOW_RSS &&
		    model.nfc[loc].rss_context == id)
			want = loc;
	fuzz_check(nsdm_ntuple_find_context(nd, id) == want);
}

static void step(struct fuzz_in *in)
{
	u8 what = in_u8(in);

	switch (what % 16) {
	case 0 ... 3:
		insert(in);
		break;
	case 4 ... 8:
		match(in);
		break;
	case 9:
		remove_one(in_location(in));
		break;
	case 10:
		show(in_location(in));
		break;
	case 11:
		list(what / 16 > 8 ? NSDM_NTUPLE_MAX : model.nr + what / 16 - !!model.nr);
		break;
	case 12:
		find_context(in_u8(in) % NSDM_RSS_CONTEXTS);
		break;
	case 13:
		if (what / 16 > 8) {
			nsdm_ntuple_clear(nd);
			memset(model.there, 0, sizeof(model.there));
			model.nr = 0;
		}
		break;
	case 14:
		fuzz_state.fail = what / 16;
		break;
	case 15:
		dev.features = what / 16 ? NETIF_F_NTUPLE : 0;
		break;
	}
	fuzz_check(nd->nr_ntuples == model.nr);
	fuzz_check(fuzz_state.allocs == model.nr);
}

/* The table is full but for the first and the last locations. */
static void fill(void)
{
	struct ethtool_rxnfc nfc = {
		.cmd = ETHTOOL_SRXCLSRLINS,
		.fs.flow_type = TCP_V4_FLOW,
		.fs.h_u.tcp_ip4_spec.pdst = htons(1),
		.fs.m_u.tcp_ip4_spec.pdst = 0xffff,
	};

	for (nfc.fs.location = 2; nfc.fs.location < NSDM_NTUPLE_MAX - 2; nfc.fs.location++) {
		fuzz_check(!nsdm_set_rxnfc(&dev, &nfc));
		model.there[nfc.fs.location] = true;
		model.nfc[nfc.fs.location] = nfc;
		model.nr++;
	}
}

void fuzz_one(struct fuzz_in *in)
{
	static struct nsdm zero;

	nd = &zero;
	memset(nd, 0, sizeof(*nd));
	memset(model.there, 0, sizeof(model.there));
	model.nr = 0;
	memset(&dev, 0, sizeof(dev));
	dev.priv = nd;
	dev.features = NETIF_F_NTUPLE;
	dev.num_rx_queues = NSDM_QUEUES_MAX;
	dev.real_num_rx_queues = QUEUES;
	dev.settings_locked = true;
	nd->dev = &dev;
	model.contexts = in_u32(in);
	if (model.contexts == FULL)
		fill();

	while (in_more(in))
		step(in);

	dev.settings_locked = false;
	nsdm_ntuple_free(nd);
}
