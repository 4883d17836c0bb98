// SPDX-License-Identifier: GPL-2.0
/*
 * Makes the segments of wire_shape.h. Owns the rules that keep wrong bytes out of
 * the window; must not know what a segment travels in.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "chance.h"
#include "wire_shape.h"

#define LONGER	64	/* bytes that a wrong header length may add to a payload */

/* ---- checksums ---------------------------------------------------------- */

uint64_t sum_of(const void *data, size_t len, uint64_t sum)
{
	const uint8_t *p = data;
	uint32_t word;
	uint16_t half;

	for (; len >= 4; p += 4, len -= 4) {
		memcpy(&word, p, 4);
		sum += word;
	}
	if (len >= 2) {
		memcpy(&half, p, 2);
		sum += half;
		p += 2;
		len -= 2;
	}
	return len ? sum + htons((uint16_t)(*p << 8)) : sum;
}

uint16_t fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static uint16_t tcp_sum(const struct peer *p, const uint8_t *tcp, size_t len)
{
	size_t alen = p->family == AF_INET ? 4 : 16;
	uint64_t sum;

	sum = sum_of(p->addr[0], alen, htonl(IPPROTO_TCP + (uint32_t)len));
	sum = sum_of(p->addr[1], alen, sum);
	return fold(sum_of(tcp, len, sum));
}

uint16_t wrong_sum(uint16_t sum)
{
	return (uint16_t)((sum + 1 + rnd(0xfffd)) % 0xffff);
}

/* ---- TCP ---------------------------------------------------------------- */

void put_bytes(const struct peer *p, uint8_t *at, uint32_t pos, uint32_t len)
{
	uint32_t n;

	if ((int32_t)pos < 0) {
		n = -pos < len ? -pos : len;
		rnd_fill(at, n);
		at += n;
		pos += n;
		len -= n;
	}
	n = pos < p->size ? p->size - pos : 0;
	n = n < len ? n : len;
	memcpy(at, p->stream + (n ? pos : 0), n);
	rnd_fill(at + n, len - n);
}

uint32_t put_tcp(const struct peer *p, uint8_t *at, const struct shape *s)
{
	uint32_t hlen = 20 + s->opt_len, doff = s->doff ? s->doff : hlen / 4;
	uint32_t len = hlen + s->len, seq = htonl(p->isn + s->pos);
	uint32_t ack = s->flags & ACK ? htonl(p->ack + s->ack_off) : s->ack_off;
	uint16_t sum;

	memcpy(at, &p->sport, 2);
	memcpy(at + 2, &p->dport, 2);
	memcpy(at + 4, &seq, 4);
	memcpy(at + 8, &ack, 4);
	at[12] = (uint8_t)(doff << 4 | s->res);
	at[13] = s->flags;
	at[14] = (uint8_t)(s->window >> 8);
	at[15] = (uint8_t)s->window;
	at[16] = at[17] = 0;
	at[18] = (uint8_t)(s->urg >> 8);
	at[19] = (uint8_t)s->urg;
	memcpy(at + 20, s->options, s->opt_len);
	/* the payload begins where the header says that it ends */
	if (doff * 4 >= 20 && doff * 4 < len)
		put_bytes(p, at + doff * 4, s->pos, len - doff * 4);
	if (doff * 4 > hlen)
		memset(at + hlen, 1, (doff * 4 < len ? doff * 4 : len) - hlen);
	sum = tcp_sum(p, at, len);
	if (s->partial)
		sum = (uint16_t)~fold(sum_of(p->addr[1], p->family == AF_INET ? 4 : 16,
				sum_of(p->addr[0], p->family == AF_INET ? 4 : 16,
				       htonl(IPPROTO_TCP + len))));
	else if (s->bad_sum)
		sum = wrong_sum(sum);
	memcpy(at + 16, &sum, 2);
	return len;
}

void add_option(struct shape *s, uint8_t kind, const void *data, uint8_t len)
{
	if (s->opt_len + 2 + len > 40)
		return;
	s->options[s->opt_len++] = kind;
	s->options[s->opt_len++] = (uint8_t)(2 + len);
	memcpy(s->options + s->opt_len, data, len);
	s->opt_len += len;
}

void add_time(const struct peer *p, struct shape *s, uint32_t val)
{
	uint32_t ts[2] = { htonl(val), htonl(p->ts_ecr) };

	add_option(s, 8, ts, 8);
}

void pad_options(struct shape *s)
{
	while (s->opt_len % 4)
		s->options[s->opt_len++] = 1;
}

/* A time stamp too new would make those that follow old ones, so it is the new
 * present; one that is far ahead only where nobody takes it in.
 */
static void strange_time(struct peer *p, struct shape *s)
{
	uint32_t val;

	if (s->far || s->bad_sum) {
		val = rnd32();
	} else if (rnd(2)) {
		p->ts_val += rnd(1 << 12);
		val = p->ts_val;
	} else {
		val = p->ts_val - rnd(1 << 20);
	}
	add_time(p, s, val);
}

static void strange_options(struct peer *p, struct shape *s)
{
	static const uint8_t rare[] = { 19, 29, 34, 30, 254, 253 };
	uint8_t data[40];
	uint32_t n, i;

	for (n = 1 + rnd(4); n; n--) {
		rnd_fill(data, sizeof(data));
		for (i = 0; i < sizeof(data); i++)	/* no time stamp by accident */
			data[i] = data[i] == 8 ? 7 : data[i];
		switch (rnd(8)) {
		case 0:		/* SACK of what nobody has sent */
			add_option(s, 5, data, (uint8_t)(8 * (1 + rnd(3))));
			break;
		case 1:
			strange_time(p, s);
			break;
		case 2:		/* MD5, AO, fast open, MPTCP, experiments */
			add_option(s, rnd_of(rare), data,
				   (uint8_t)rnd(18));
			break;
		case 3:		/* MSS, window scale, SACK permitted */
			add_option(s, (uint8_t)(2 + rnd(3)), data, (uint8_t)rnd(4));
			break;
		case 4:		/* longer than there is room, or shorter than it must be */
			if (s->opt_len + 2 <= 40) {
				s->options[s->opt_len++] = (uint8_t)(9 + rnd(200));
				s->options[s->opt_len++] = (uint8_t)(rnd(2) ? rnd(2) : 41 + rnd(200));
			}
			break;
		case 5:
			if (s->opt_len < 40)
				s->options[s->opt_len++] = 0;
			break;
		default:
			i = rnd(40 - s->opt_len + 1);
			memcpy(s->options + s->opt_len, data, i);
			s->opt_len += i;
			break;
		}
	}
}

/* Where in the stream, without doing harm there. */
static void choose_place(const struct peer *p, struct shape *s)
{
	uint32_t span = rnd(8) ? 20000 : 200000;

	s->len = rnd(4) ? rnd_size(WIRE_MSS) : 0;
	switch (rnd(8)) {
	case 0:
		s->pos = p->edge + FAR + rnd(FAR) * 2;
		s->far = true;
		break;
	case 1:
	case 2:
		s->pos = p->edge;
		break;
	case 3:
	case 4:
		s->pos = p->edge - rnd_size(span);
		break;
	default:
		s->pos = p->edge + rnd_size(span);
		break;
	}
	if (s->far)
		return;
	if ((int32_t)(s->pos - p->end) >= 0) {
		s->pos = p->end;
		s->len = 0;
	} else if ((int32_t)(s->pos + s->len - p->end) > 0) {
		s->len = p->end - s->pos;
	}
}

/* The connection ends with a FIN or RST that is in the window: never by chance. */
static void choose_flags(struct peer *p, struct shape *s, bool fatal)
{
	s->flags = rnd(3) ? ACK | (rnd(2) ? PSH : 0) : (uint8_t)rnd32();
	if (s->far || s->bad_sum)
		return;
	if (fatal && s->flags & (FIN | RST)) {
		p->killed = true;
		return;
	}
	/* what has been read already is no place for either */
	if (s->flags & RST && (int32_t)(s->pos - p->edge) >= 0)
		s->flags = (uint8_t)(s->flags & ~RST);
	if (s->flags & (FIN | SYN) && (int32_t)(s->pos + s->len + LONGER - p->edge) >= 0)
		s->flags = (uint8_t)(s->flags & ~FIN);
	if (s->flags & SYN && !(s->flags & RST))
		s->len = 0;
}

void choose_shape(struct peer *p, struct shape *s, bool fatal)
{
	choose_place(p, s);
	s->bad_sum = once_in(12);
	choose_flags(p, s, fatal);
	s->window = (uint16_t)(rnd(2) ? 65535 : rnd32());
	if (once_in(8))
		s->ack_off = rnd_wild();
	if (s->flags & URG || once_in(16))
		s->urg = (uint16_t)(rnd(2) ? rnd_size(2000) : rnd32());
	if (once_in(16))
		s->res = (uint8_t)rnd(16);
	if (p->ts && rnd(8))
		add_time(p, s, p->ts_val);
	if (once_in(4))
		strange_options(p, s);
	pad_options(s);
	if (once_in(16))
		s->doff = (uint8_t)rnd(16);
}
