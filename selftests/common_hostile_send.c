// SPDX-License-Identifier: GPL-2.0
/*
 * The sender of a stream, who also forges segments in its own name: see
 * common_hostile.h. Must not know who receives it, or how.
 */
#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "common.h"
#include "common_forge.h"
#include "common_hostile.h"

#define FORGED_MAX	1000		/* bytes of a segment */
#define FAR		(100 << 20)	/* beyond any window */

static int left_to(int sock, unsigned long what)
{
	int left = 0;

	ioctl(sock, what, &left);
	return left;
}

/* What comes out of a tunnel is not translated, but answered with a reset. */
static void send_forged(struct forge *f, struct stress_rnd *rnd, bool tunnel, const void *at,
			size_t len)
{
	switch (rnd_below(rnd, 4)) {
	case 0:
		if (tunnel)
			forge_gue(f, at, len);
		break;
	case 1:
		f->id++;
		if (len > 24 + 8) {
			forge_fragment(f, IPPROTO_TCP, at, 0, 24, true);
			forge_fragment(f, IPPROTO_TCP, at, 24, len - 24, false);
			break;
		}
		/* fall through */
	default:
		forge_send(f, IPPROTO_TCP, at, len);
	}
}

/* What was sent is sent once more, in a packet, in fragments, in a tunnel; wrong bytes
 * come where TCP has the right ones already, or where it wants none; and an urgent
 * pointer.
 */
static void forge_some(struct forge *f, struct stress_rnd *rnd, uint64_t pos,
		       const struct hostile_sender *s)
{
	unsigned char at[FORGE_TCP + FORGED_MAX];
	int unsent = left_to(f->tx, SIOCOUTQNSD), open = left_to(f->tx, SIOCOUTQ);
	uint64_t len = 1 + rnd_below(rnd, FORGED_MAX), sent = pos - (uint64_t)unsent;
	uint64_t acked = pos - (uint64_t)open;
	int32_t off;

	switch (rnd_below(rnd, 4)) {
	case 0:
		forge_tcp(f, at, TCP_ACK | TCP_URG, (uint16_t)rnd_below(rnd, 20000));
		send_forged(f, rnd, s->tunnel, at, FORGE_TCP);
		break;
	case 1:
		if (acked <= len)
			return;
		memset(at + FORGE_TCP, 0x55, len);
		off = (int32_t)(acked - len) - (int32_t)pos;
		forge_data(f, at, off, len);
		send_forged(f, rnd, s->tunnel, at, FORGE_TCP + len);
		break;
	case 2:
		memset(at + FORGE_TCP, 0x55, len);
		forge_data(f, at, FAR, len);
		send_forged(f, rnd, s->tunnel, at, FORGE_TCP + len);
		break;
	default:
		if (sent <= len)
			return;
		devmem_pattern_fill(at + FORGE_TCP, len, sent - len, s->seed);
		off = (int32_t)(sent - len) - (int32_t)pos;
		forge_data(f, at, off, len);
		send_forged(f, rnd, s->tunnel, at, FORGE_TCP + len);
	}
	stress_count(s->counter, 1);
}

/* Only what it sends through stays open: a copy of a descriptor keeps what it names. */
static int keep_only(int tx, int *packet)
{
	enum { TX = 200, PACKET };

	must(dup2(tx, TX));
	if (packet)
		*packet = must(dup2(*packet, PACKET));
	close_range(3, TX - 1, 0);
	close_range(packet ? PACKET + 1 : TX + 1, ~0U, 0);
	return TX;
}

void hostile_send(int tx, const struct hostile_sender *s)
{
	struct stress_rnd rnd = { s->seed + 1 };
	static unsigned char buf[65536];
	struct forge forge = {};
	uint64_t pos = 0, n;
	ssize_t done;

	if (s->forges) {
		forge_open(&forge, tx);
		forge.may_fail = true;
		tx = forge.tx = keep_only(tx, &forge.w.packet);
	} else {
		tx = keep_only(tx, NULL);
	}
	while (pos < s->bytes) {
		n = 1 + rnd_below(&rnd, 1U << (7 + rnd_below(&rnd, 10)));
		n = s->bytes - pos < n ? s->bytes - pos : n;
		devmem_pattern_fill(buf, n, pos, s->seed);
		done = send(tx, buf, n, MSG_NOSIGNAL);
		if (done < 0)
			_exit(1);
		pos += (uint64_t)done;
		if (s->forges && rnd_one_in(&rnd, 8))
			forge_some(&forge, &rnd, pos, s);
	}
	shutdown(tx, SHUT_WR);
	_exit(0);
}
