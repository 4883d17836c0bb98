// SPDX-License-Identifier: GPL-2.0
/*
 * Receive-side scaling, drivers/net/netdevsim-devmem/rss.c, against a hash that
 * goes bit by bit and tables that are plain arrays. An input is a list of steps:
 * set a key, a table or hashed fields, make and remove contexts, change the number
 * of queues, hash a packet.
 */
#include "fuzz.h"

#include "nsdm.h"

#define CONTEXTS	4	/* of those there can be */

struct context {
	bool there;
	u8 key[NSDM_RSS_KEY];
	u32 indir[NSDM_RSS_INDIR];
};

static struct {
	struct context context[CONTEXTS];
	u32 fields[NSDM_RSS_FLOWS];
} model;

static const u32 flow_types[NSDM_RSS_FLOWS] = {
	[NSDM_RSS_TCP4] = TCP_V4_FLOW, [NSDM_RSS_UDP4] = UDP_V4_FLOW,
	[NSDM_RSS_TCP6] = TCP_V6_FLOW, [NSDM_RSS_UDP6] = UDP_V6_FLOW,
};

static struct net_device dev;
static struct nsdm nd;
static u32 ruled;	/* the context that a rule sends packets to; 0: none does */

/* What a kernel would draw at random. */
void netdev_rss_key_fill(void *key, size_t len)
{
	u8 *k = key;

	while (len--)
		*k++ = 0x6d + 0x35 * len;
}

int nsdm_ntuple_find_context(const struct nsdm *n, u32 id)
{
	return id == ruled ? 5 : -1;
}

/* A register of 32 bits, through which the key is shifted: what is in it is added
 * for each bit of input that is 1.
 */
static u32 model_hash(const u8 *key, const u8 *input, unsigned int len)
{
	u32 hash = 0, reg = 0;
	unsigned int bit;

	for (bit = 0; bit < 32 + 8 * len; bit++) {
		if (bit >= 32 && input[bit / 8 - 4] & 0x80 >> bit % 8)
			hash ^= reg;
		reg = reg << 1 | (key[bit / 8] >> (7 - bit % 8) & 1);
	}
	return hash;
}

static void in_bytes(struct fuzz_in *in, void *to, unsigned int len)
{
	u8 *b = to, pick = in_u8(in);

	/* few bytes make all of them, or a single one stands out */
	memset(b, pick & 0x80 ? in_u8(in) : 0, len);
	b[pick % len] ^= in_u8(in);
	b[in_u8(in) % len] ^= in_u8(in) | 1;
}

static void hash(struct fuzz_in *in)
{
	u8 pick = in_u8(in), input[36];
	bool v6 = pick & 1, udp = pick & 2, l4 = pick & 4, ip = pick & 8;
	u32 id = pick / 16 % CONTEXTS, fields = RXH_IP_SRC | RXH_IP_DST, want = 0, queue;
	unsigned int addr = v6 ? 16 : 4, len = 0;
	const struct context *context = &model.context[model.context[id].there ? id : 0];
	struct sk_buff skb = { .hash = 1, .hash_type = PKT_HASH_TYPE_L2 };
	struct nsdm_cb *cb = NSDM_CB(&skb);

	if (ip) {
		cb->key.family = v6 ? AF_INET6 : AF_INET;
		in_bytes(in, cb->key.saddr, addr);
		in_bytes(in, cb->key.daddr, addr);
	}
	if (ip && l4) {
		cb->flags = udp ? NSDM_PKT_UDP : NSDM_PKT_TCP;
		cb->key.sport = in_u16(in);
		cb->key.dport = in_u16(in);
		fields = model.fields[v6 ? udp ? NSDM_RSS_UDP6 : NSDM_RSS_TCP6 :
				      udp ? NSDM_RSS_UDP4 : NSDM_RSS_TCP4];
	}

	rcu_read_lock();
	queue = nsdm_rss_queue(&nd, id, &skb);
	rcu_read_unlock();
	if (!ip || !fields) {
		fuzz_check(queue == context->indir[0]);
		fuzz_check(skb.hash_type == PKT_HASH_TYPE_NONE);
		return;
	}
	if (fields & RXH_IP_SRC) {
		memcpy(input, cb->key.saddr, addr);
		len += addr;
	}
	if (fields & RXH_IP_DST) {
		memcpy(input + len, cb->key.daddr, addr);
		len += addr;
	}
	if (fields & RXH_L4_B_0_1) {
		memcpy(input + len, &cb->key.sport, 2);
		len += 2;
	}
	if (fields & RXH_L4_B_2_3) {
		memcpy(input + len, &cb->key.dport, 2);
		len += 2;
	}
	want = model_hash(context->key, input, len);
	fuzz_check(skb.hash == want);
	fuzz_check(skb.hash_type == (fields & (RXH_L4_B_0_1 | RXH_L4_B_2_3) ?
				     PKT_HASH_TYPE_L4 : PKT_HASH_TYPE_L3));
	fuzz_check(queue == context->indir[want & (NSDM_RSS_INDIR - 1)]);
}

/* A context's key, table or both are set; one that was not there is made. */
static void set(struct fuzz_in *in)
{
	u8 pick = in_u8(in), key[NSDM_RSS_KEY];
	u32 id = pick % CONTEXTS, indir[NSDM_RSS_INDIR], i;
	unsigned int failed = fuzz_state.failed;
	struct context *context = &model.context[id], next = *context;
	struct ethtool_rxfh_param rxfh = { .rss_context = id };
	struct ethtool_rxfh_context ctx = {};
	struct netlink_ext_ack extack = {};
	int err;

	rxfh.hfunc = pick / 64;		/* none, toeplitz, or others */
	if (!next.there) {
		memset(key, 0, sizeof(key));
		memcpy(next.key, model.context[0].key, sizeof(next.key));
		/* ethtool would take that for no key at all */
		if (!memcmp(next.key, key, sizeof(key)))
			netdev_rss_key_fill(next.key, sizeof(next.key));
		for (i = 0; i < NSDM_RSS_INDIR; i++)
			next.indir[i] = i % dev.real_num_rx_queues;
	}
	next.there = true;
	if (pick & 16) {
		in_bytes(in, key, sizeof(key));
		rxfh.key = key;
		memcpy(next.key, key, sizeof(key));
	}
	if (pick & 32) {
		for (i = 0; i < NSDM_RSS_INDIR; i++)
			indir[i] = 0;
		indir[in_u8(in) % NSDM_RSS_INDIR] = in_u8(in) % dev.real_num_rx_queues;
		rxfh.indir = indir;
		memcpy(next.indir, indir, sizeof(indir));
	}

	if (!id)
		err = nsdm_set_rxfh(&dev, &rxfh, &extack);
	else if (context->there)
		err = nsdm_modify_rxfh_context(&dev, &ctx, &rxfh, &extack);
	else
		err = nsdm_create_rxfh_context(&dev, &ctx, &rxfh, &extack);
	if (rxfh.hfunc > ETH_RSS_HASH_TOP) {
		fuzz_check(err == -EOPNOTSUPP && extack.msg[0]);
		return;
	}
	fuzz_check(err == (fuzz_state.failed == failed ? 0 : -ENOMEM));
	if (err)
		return;
	if (!context->there) {
		fuzz_check(!memcmp(ctx.key, next.key, sizeof(next.key)));
		fuzz_check(!memcmp(ctx.indir, next.indir, sizeof(next.indir)));
	}
	if (!id && rxfh.indir)
		dev.rxfh_configured = true;
	*context = next;
}

static void set_fields(struct fuzz_in *in)
{
	u8 pick = in_u8(in);
	struct ethtool_rxfh_fields fields = {
		.flow_type = pick & 0x80 ? IPV4_FLOW : flow_types[pick % NSDM_RSS_FLOWS],
	};
	const u32 all = RXH_IP_SRC | RXH_IP_DST | RXH_L4_B_0_1 | RXH_L4_B_2_3;
	u32 want = in_u8(in);
	int err;

	fields.data = want;
	err = nsdm_set_rxfh_fields(&dev, &fields, NULL);
	if (pick & 0x80) {
		fuzz_check(err == (want == (RXH_IP_SRC | RXH_IP_DST) ? 0 : -EOPNOTSUPP));
		return;
	}
	fuzz_check(err == (want & ~all ? -EOPNOTSUPP : 0));
	if (!err)
		model.fields[pick % NSDM_RSS_FLOWS] = want;
	fuzz_check(!nsdm_get_rxfh_fields(&dev, &fields));
	fuzz_check(fields.data == model.fields[pick % NSDM_RSS_FLOWS]);
}

static void remove_context(u32 id)
{
	struct netlink_ext_ack extack = {};
	int err;

	if (!id || !model.context[id].there)
		return;
	err = nsdm_remove_rxfh_context(&dev, NULL, id, &extack);
	fuzz_check(err == (id == ruled ? -EBUSY : 0) && !extack.msg[0] == !err);
	if (!err)
		model.context[id].there = false;
}

/* Nobody shrinks below what a table names: ethtool has seen to that. */
static void spread(u32 queues)
{
	unsigned int failed = fuzz_state.failed, i, c;
	int err;

	for (c = 0; c < CONTEXTS; c++)
		for (i = 0; i < NSDM_RSS_INDIR && (c || dev.rxfh_configured); i++)
			if (model.context[c].there && model.context[c].indir[i] >= queues)
				return;
	err = nsdm_rss_spread(&nd, queues);
	fuzz_check(err == (fuzz_state.failed == failed ? 0 : -ENOMEM));
	if (err)
		return;
	dev.real_num_rx_queues = queues;
	for (i = 0; i < NSDM_RSS_INDIR && !dev.rxfh_configured; i++)
		model.context[0].indir[i] = i % queues;
}

static void show(void)
{
	u32 indir[NSDM_RSS_INDIR];
	u8 key[NSDM_RSS_KEY];
	struct ethtool_rxfh_param rxfh = { .indir = indir, .key = key };
	u32 id;

	fuzz_check(!nsdm_get_rxfh(&dev, &rxfh));
	fuzz_check(rxfh.hfunc == ETH_RSS_HASH_TOP);
	fuzz_check(!memcmp(key, model.context[0].key, sizeof(key)));
	fuzz_check(!memcmp(indir, model.context[0].indir, sizeof(indir)));
	for (id = 0; id < CONTEXTS; id++)
		fuzz_check(nsdm_rss_exists(&nd, id) == model.context[id].there);
	fuzz_check(!nsdm_rss_exists(&nd, NSDM_RSS_CONTEXTS));
}

static void step(struct fuzz_in *in)
{
	u8 what = in_u8(in);

	switch (what % 8) {
	case 0:
		set(in);
		break;
	case 1:
		set_fields(in);
		break;
	case 2:
		remove_context(what / 8 % CONTEXTS);
		break;
	case 3:
		spread(1 + in_u8(in) % NSDM_QUEUES_MAX);
		break;
	case 4:
		show();
		break;
	case 5:
		if (what / 8 < CONTEXTS)
			ruled = what / 8;
		else
			fuzz_state.fail = what / 128;
		break;
	default:
		hash(in);
		break;
	}
}

void fuzz_one(struct fuzz_in *in)
{
	unsigned int i;

	memset(&model, 0, sizeof(model));
	memset(&nd, 0, sizeof(nd));
	memset(&dev, 0, sizeof(dev));
	ruled = 0;
	nd.dev = &dev;
	dev.priv = &nd;
	dev.num_rx_queues = NSDM_QUEUES_MAX;
	dev.real_num_rx_queues = NSDM_QUEUES_DEFAULT;
	dev.settings_locked = true;

	fuzz_check(!nsdm_rss_init(&nd));
	model.context[0].there = true;
	netdev_rss_key_fill(model.context[0].key, NSDM_RSS_KEY);
	for (i = 0; i < NSDM_RSS_INDIR; i++)
		model.context[0].indir[i] = i % NSDM_QUEUES_DEFAULT;
	for (i = 0; i < NSDM_RSS_FLOWS; i++)
		model.fields[i] = RXH_IP_SRC | RXH_IP_DST | RXH_L4_B_0_1 | RXH_L4_B_2_3;

	while (in_more(in))
		step(in);
	show();

	dev.settings_locked = false;
	nsdm_rss_free(&nd);
}
