// SPDX-License-Identifier: GPL-2.0
/*
 * net/devmem/place.c with the real allocator, against a list of the pieces of the
 * buffer that somebody holds: no byte has two holders, payload is dense, nothing
 * is lost. And which packet may be placed, against a reading of its headers byte
 * by byte. An input is the size of the buffer, the family, then steps: a packet
 * of the flow, perhaps with some bytes changed or in a state of things that
 * forbids it; or a holder that lets go.
 */
#include "place_packet.h"

#define CHUNKS_MAX	40
#define SHIFT		12
#define SIZE		(1U << SHIFT)
#define PIECES_MAX	256

struct piece {
	u32 chunk, off, len;
};

static struct {
	struct piece piece[PIECES_MAX];	/* each has a reference on its chunk */
	unsigned int nr;
	bool cursor;			/* the flow stands in a chunk that somebody holds */
	u32 chunk, off;
	bool fits;			/* the next headers continue */
	unsigned int last;		/* this piece */
	u64 placed, fallback;
	bool urgent;			/* TCP may look at an urgent byte */
	int seq;			/* what the sequence numbers give */
	u32 noted;			/* bytes placed of that */
} model;

static struct devmem_binding binding;
static struct devmem_stats stats;
static struct devmem_dev ddev;
static struct net_device dev, other;
static struct devmem_flow flow;
static struct dst_entry dst;
static struct tcp_sock tp;
static unsigned int payloads;	/* skbs for payload that nobody has freed */
static u8 headers[HDR] __attribute__((aligned(4)));

long devmem_objects[DEVMEM_OBJ_MAX];

void devmem_frag_init_chunk(struct devmem_chunk *chunk)
{
}

void devmem_binding_event(struct devmem_binding *b, enum devmem_event event)
{
}

void devmem_binding_pool_full(struct devmem_binding *b)
{
	fuzz_check(!refcount_dec_and_test(&b->ref));
}

struct sk_buff *devmem_frag_alloc(void)
{
	struct sk_buff *skb = fuzz_alloc(1, sizeof(*skb), 0, true);

	payloads += !!skb;
	return skb;
}

void kfree_skb(struct sk_buff *skb)
{
	payloads--;
	fuzz_free(skb);
}

/* Each packet stays by itself: merging is not this target's. */
bool devmem_merge_continues(const struct devmem_flow *f, const struct sk_buff *skb,
			    unsigned int len)
{
	return false;
}

void devmem_merge_join(struct devmem_flow *f, const struct sk_buff *skb, unsigned int len)
{
	fuzz_check(false);
}

void devmem_merge_settle(struct devmem_flow *f)
{
}

/* The short way: whether headers fit is merging's, here it is as wanted. */
bool devmem_merge_fits(const struct devmem_flow *f, const void *hdr, unsigned int hdr_len,
		       unsigned int len)
{
	return model.fits;
}

void devmem_merge_grow(struct devmem_flow *f, struct napi_struct *napi, const void *hdr,
		       unsigned int len)
{
	model.piece[model.last].len += len;
	model.noted += len;	/* merging does, before the next packet is asked about */
}

bool devmem_frag_ends_at(const struct sk_buff *payload,
			 const struct devmem_chunk *chunk, u32 off)
{
	fuzz_check(false);
	return false;
}

void devmem_frag_extend(struct sk_buff *skb, struct sk_buff *payload, u32 len)
{
	fuzz_check(false);
}

u32 devmem_merge_max_len(const struct devmem_flow *f, const struct sk_buff *skb)
{
	return 8 * 65535;
}

bool devmem_route_through(const struct net_device *d, int ifindex)
{
	return ifindex == d->ifindex;
}

bool devmem_route_diverted(struct net_device *d)
{
	return d->rx_handler;
}

bool devmem_urgent_ignored(const struct sock *sk)
{
	return !model.urgent;
}

/* Sequence numbers are another target's. */
int devmem_seq_check(struct devmem_seq *s, const struct devmem_seq_now *now,
		     u32 seq, u32 len, u32 ack, u32 *end)
{
	*end = seq + len;
	return model.seq;
}

void devmem_seq_note(struct devmem_seq *s, u32 seq, u32 len)
{
	model.noted += len;
}

/* The packet goes up: from here on the piece has a holder. */
void devmem_frag_attach(struct sk_buff *skb, struct sk_buff *last,
			struct sk_buff *payload, const struct devmem_piece *piece)
{
	fuzz_check(model.nr < PIECES_MAX);
	fuzz_check(piece->owner == flow.number);
	model.piece[model.nr++] = (struct piece) {
		.chunk	= piece->chunk - binding.chunks,
		.off	= piece->off,
		.len	= piece->len,
	};
	kfree_skb(payload);
}

static bool held(u32 chunk)
{
	unsigned int i;

	for (i = 0; i < model.nr; i++)
		if (model.piece[i].chunk == chunk)
			return true;
	return false;
}

static unsigned int chunks_free(void)
{
	unsigned int i, n = 0;

	for (i = 0; i < binding.nr_chunks; i++)
		n += !held(i);
	return n;
}

/* How many chunks are needed beyond the one at hand, and how many pieces. */
static int model_room(unsigned int len, unsigned int *pieces)
{
	unsigned int at_hand = model.cursor ? SIZE - model.off : 0, fresh;

	if (len <= at_hand) {
		*pieces = 1;
		return 0;
	}
	fresh = (len - at_hand + SIZE - 1) / SIZE;
	*pieces = fresh + !!at_hand;
	fuzz_check(*pieces <= DEVMEM_RX_MAX_SEGS);
	return fresh > chunks_free() ? -ENOBUFS : 0;
}

/* What has been reserved is nobody's, in order, and without a gap. */
static void check_reserved(const struct devmem_rx *rx, unsigned int len, unsigned int pieces)
{
	unsigned int i, sum = 0;
	bool fresh;
	u32 chunk;

	fuzz_check(rx->nr_segs == pieces && rx->len == len && rx->flow == &flow);
	for (i = 0; i < pieces; i++) {
		chunk = rx->seg[i].chunk - binding.chunks;
		fresh = i || !model.cursor;
		fuzz_check(chunk < binding.nr_chunks);
		fuzz_check(rx->seg[i].addr == binding.chunks[chunk].dma + rx->seg[i].off);
		fuzz_check(rx->seg[i].len && rx->seg[i].off + rx->seg[i].len <= SIZE);
		fuzz_check(rx->seg[i].skb);
		if (fresh)
			fuzz_check(!held(chunk) && !rx->seg[i].off);
		else
			fuzz_check(chunk == model.chunk && rx->seg[i].off == model.off);
		if (i + 1 < pieces)	/* to the chunk's last byte */
			fuzz_check(rx->seg[i].off + rx->seg[i].len == SIZE);
		sum += rx->seg[i].len;
	}
	fuzz_check(sum == len);
}

static void compare(void)
{
	unsigned int i, j, refs;
	const struct piece *a, *b;

	for (i = 0; i < model.nr; i++) {
		a = &model.piece[i];
		fuzz_check(!model.cursor || a->chunk != model.chunk ||
			   a->off + a->len <= model.off);
		for (j = 0; j < i; j++) {
			b = &model.piece[j];
			fuzz_check(a->chunk != b->chunk || a->off + a->len <= b->off ||
				   b->off + b->len <= a->off);
		}
	}
	for (i = 0; i < binding.nr_chunks; i++) {
		refs = 0;
		for (j = 0; j < model.nr; j++)
			refs += model.piece[j].chunk == i;
		fuzz_check(refcount_read(&binding.chunks[i].ubuf.refcnt) == refs);
	}
	fuzz_check(devmem_pool_free_chunks(&binding) == chunks_free());
	fuzz_check(!payloads);
	fuzz_check(flow.placed_bytes == model.placed && stats.placed_bytes == model.placed);
	fuzz_check(model.noted == (u32)model.placed);
	fuzz_check(flow.fallback_bytes == model.fallback &&
		   stats.fallback_bytes == model.fallback);
}

/* Nothing stands in the way of placing. */
static void clear_the_way(void)
{
	flow.armed = true;
	binding.state = NETDEV_DEVMEM_STATE_ACTIVE;
	model.urgent = false;
	model.seq = 0;
	dev.rx_handler = dev.xdp_prog = NULL;
	tp.sk.sk_rx_dst = &dst;
	tp.sk.sk_rx_dst_ifindex = dev.ifindex;
	tp.sk.sk_rx_dst_cookie = dst.cookie;
}

/* What stands in the way of placing, in the order in which it counts. */
static void hinder(struct fuzz_in *in, struct sk_buff *skb, bool *inactive, bool *urgent,
		   bool *route)
{
	static const int refusals[] = { -EALREADY, -ERANGE, -EAGAIN };
	u8 what = in_u8(in), at, *byte;

	switch (what % 16) {
	case 0:
		flow.armed = false;
		*inactive = true;
		break;
	case 1:
		binding.state = NETDEV_DEVMEM_STATE_REVOKED;
		*inactive = true;
		break;
	case 2:
		model.urgent = true;
		*urgent = true;
		break;
	case 3:
		skb->dev = &other;
		*route = true;
		break;
	case 4:
		dev.rx_handler = &dev;
		*route = true;
		break;
	case 5:
		dev.xdp_prog = &dev;
		*route = true;
		break;
	case 6:
		tp.sk.sk_rx_dst = NULL;
		*route = true;
		break;
	case 7:
		tp.sk.sk_rx_dst_ifindex++;
		*route = true;
		break;
	case 8:
		tp.sk.sk_rx_dst_cookie++;
		*route = true;
		break;
	case 9:
		skb->ip_summed = what / 16 % 4;
		break;
	case 10:	/* cut short, or the last of it in pages */
		at = in_u8(in) % HDR;
		if (what / 16 % 2)
			skb->len = at;
		else if (at < skb->len)
			skb->data_len = skb->len - at;
		break;
	case 11:	/* a header is said to be elsewhere */
		skb->transport_header = in_u8(in) % HDR & ~3;
		break;
	case 12:
		fuzz_state.fail = 1U << what / 16;
		break;
	case 13:
		skb->gso_size = 0;
		break;
	case 14:
		model.seq = refusals[what / 16 % ARRAY_SIZE(refusals)];
		break;
	default:
		break;
	}
	for (at = what / 64; at; at--) {
		byte = &headers[in_u8(in) % HDR];
		*byte ^= in_u8(in);
	}
}

static void receive(struct fuzz_in *in)
{
	unsigned int len = in_u16(in), pieces = 0, failed = fuzz_state.failed;
	bool abort_it = in_u8(in) % 8 == 0, inactive = false, urgent = false, route = false;
	bool plain = in_u8(in) % 2;
	struct devmem_rx rx;
	struct sk_buff skb;
	int want, err;

	if (model.nr + DEVMEM_RX_MAX_SEGS > PIECES_MAX)
		return;
	/* lengths that end at a chunk's end are the interesting ones */
	if (len >= 0xc000)
		len = (len % 80 + 1) * SIZE - (model.cursor ? model.off : 0) + len / 80 % 3 - 1;
	packet(&skb, headers, &flow.key, &dev, len);
	clear_the_way();
	if (!plain)
		hinder(in, &skb, &inactive, &urgent, &route);

	if (inactive)
		want = -ESHUTDOWN;
	else if (!model_header(&skb, &flow.key, len) || urgent)
		want = -EPROTO;
	else if (route)
		want = -EHOSTUNREACH;
	else if (model.seq)
		want = model.seq;
	else if (skb.gso_size && skb.len + len > DEVMEM_RX_MAX_LEN)
		want = -EMSGSIZE;
	else
		want = 0;
	if (!want)
		want = model_room(len, &pieces);

	memset(&rx, 0xa5, sizeof(rx));
	rcu_read_lock();
	err = devmem_rx_reserve(&flow, &skb, len, &rx);
	if (fuzz_state.failed != failed)
		want = -ENOMEM;
	fuzz_state.fail = 0;
	fuzz_check(err == want);
	if (err) {
		fuzz_check(!rx.nr_segs);
		devmem_rx_skip(&flow, len, err);
		model.fallback += len;
	} else {
		check_reserved(&rx, len, pieces);
		if (abort_it) {
			devmem_rx_abort(&rx);
		} else {
			model.chunk = rx.seg[pieces - 1].chunk - binding.chunks;
			model.off = rx.seg[pieces - 1].off + rx.seg[pieces - 1].len;
			model.cursor = model.off < SIZE;
			model.placed += len;
			devmem_rx_commit(&rx, &skb);
		}
	}
	rcu_read_unlock();
}

/* Is there a piece that ends where the cursor stands? */
static bool find_last(void)
{
	struct piece *p;

	for (model.last = 0; model.last < model.nr; model.last++) {
		p = &model.piece[model.last];
		if (model.cursor && p->chunk == model.chunk && p->off + p->len == model.off)
			return true;
	}
	return false;
}

/* The short way: the payload goes where the last piece ends, or nothing happens. */
static void extend(struct fuzz_in *in)
{
	unsigned int len = in_u16(in);
	u8 what = in_u8(in);
	struct devmem_rx rx;
	bool want;

	/* the interesting ones fill the chunk, or nearly */
	if (len >= 0xc000)
		len = SIZE - (model.cursor ? model.off : 0) + len % 3 - 1;
	len = len ?: 1;
	clear_the_way();
	model.fits = find_last() && !(what & BIT(1));
	want = model.fits && len < SIZE - model.off;
	if (what & BIT(2)) {
		flow.armed = false;
		want = false;
	}
	if (what & BIT(3)) {
		binding.state = NETDEV_DEVMEM_STATE_REVOKED;
		want = false;
	}

	memset(&rx, 0xa5, sizeof(rx));
	rcu_read_lock();
	fuzz_check(devmem_rx_continue(&rx, &flow, headers, HDR, len) == want);
	if (want) {
		fuzz_check(rx.nr_segs == 1 && rx.seg[0].len == len);
		fuzz_check(rx.seg[0].addr == binding.chunks[model.chunk].dma + model.off);
		if (what & BIT(0)) {
			devmem_rx_extend(&rx, NULL, headers);
			model.off += len;
			model.placed += len;
		}
	}
	rcu_read_unlock();
}

static void let_go(unsigned int i)
{
	devmem_chunk_put(&binding.chunks[model.piece[i].chunk]);
	model.piece[i] = model.piece[--model.nr];
	/* the flow's cursor holds nothing */
	if (model.cursor && !held(model.chunk))
		model.cursor = false;
}

static void step(struct fuzz_in *in)
{
	u8 what = in_u8(in);
	unsigned int i;

	switch (what % 4) {
	case 0:
		receive(in);
		break;
	case 1:
		extend(in);
		break;
	case 2:
		for (i = what / 4 % 8 + 1; i && model.nr; i--)
			let_go(in_u8(in) % model.nr);
		break;
	case 3:
		for (i = what / 4; i && model.nr; i--)
			let_go(model.nr - 1);
		break;
	}
	compare();
}

static void set_up(struct fuzz_in *in)
{
	unsigned int i;

	memset(&model, 0, sizeof(model));
	memset(&binding, 0, sizeof(binding));
	memset(&stats, 0, sizeof(stats));
	memset(&flow, 0, sizeof(flow));
	memset(&tp, 0, sizeof(tp));
	memset(&dev, 0, sizeof(dev));
	memset(devmem_objects, 0, sizeof(devmem_objects));
	payloads = 0;

	binding.nr_chunks = 1 + in_u8(in) % CHUNKS_MAX;
	binding.chunk_shift = SHIFT;
	binding.nr_queues = 1;
	binding.stats = &stats;
	refcount_set(&binding.ref, 2);
	spin_lock_init(&binding.pool.lock);
	fuzz_check(!devmem_pool_init(&binding));
	for (i = 0; i < binding.nr_chunks; i++)	/* nowhere next to each other */
		binding.chunks[i].dma = 0x10000 + 3 * i * SIZE;

	dev.ifindex = 7;
	other.ifindex = 7;
	dst.cookie = 1;
	ddev.netdev = &dev;
	flow.ddev = &ddev;
	flow.binding = &binding;
	flow.number = 5;
	flow.magazine = binding.magazines;
	flow.sk = &tp.sk;
	flow.key.family = in_u8(in) % 2 ? AF_INET6 : AF_INET;
	memset(flow.key.saddr, 1, flow.key.family == AF_INET ? 4 : 16);
	memset(flow.key.daddr, 2, flow.key.family == AF_INET ? 4 : 16);
	flow.key.sport = htons(50000);
	flow.key.dport = htons(5201);
}

void fuzz_one(struct fuzz_in *in)
{
	set_up(in);
	while (in_more(in))
		step(in);

	/* the flow goes last, as if it had been detached */
	while (model.nr)
		let_go(0);
	compare();
	fuzz_check(chunks_free() == binding.nr_chunks);
	devmem_pool_close(&binding);
	fuzz_check(refcount_read(&binding.ref) == 1);
	devmem_pool_destroy(&binding);
}
