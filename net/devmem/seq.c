// SPDX-License-Identifier: GPL-2.0
/*
 * Sequence numbers: which bytes of a flow's stream may be placed. Those that TCP
 * would take now, and each of them once: what comes again goes to host memory,
 * whoever or whatever has kept the placed bytes from TCP. Owns what is remembered
 * of bytes placed, and when placing pauses. Pure: numbers in, numbers out.
 *
 * Placed bytes that TCP does not have yet are kept as runs, lowest first, with gaps
 * between them that nothing has been placed for.
 *
 * Somebody on the way to TCP may drop all that it cannot read. Each time that costs
 * the connection what a lost packet costs, so placing pauses: when the byte that TCP
 * waits for was placed in an earlier poll and comes again, and that STRIKES times
 * without any placed byte having reached TCP in between, the next PAUSE_MIN bytes go to
 * host memory. Then one packet is placed, the probe, and what follows goes to host memory
 * until TCP has passed it. If it comes again, the next pause is twice as long; if it
 * has reached TCP, placing goes on. The length of a pause is forgotten when as many
 * bytes have been placed well.
 */
#include <linux/minmax.h>
#include <linux/sizes.h>
#include <linux/string.h>
#include <net/tcp.h>

#include "devmem.h"

/* Not at once: a tail loss probe may come while the packet waits in the backlog of a
 * busy socket, and TCP drops what it has no room for.
 */
#define DEVMEM_SEQ_STRIKES	3
#define DEVMEM_SEQ_PAUSE_MIN	SZ_32K
/* Far below 2^31, for pauses are compared as sequence numbers. */
#define DEVMEM_SEQ_PAUSE_MAX	SZ_256M

/* Placing has paused or may do so soon. @arrived: placed bytes have reached TCP. */
static void devmem_seq_recover(struct devmem_seq *s, u32 nxt, bool arrived)
{
	if (s->probing && !before(nxt, s->probe_end)) {
		s->probing = false;
		if (arrived)
			s->paused = false;
	}
	if (!arrived)
		return;
	s->strikes = 0;
	if (!s->paused && s->pause && !before(nxt, s->resume + s->pause))
		s->pause = 0;
}

/* TCP has all before @nxt. What came again has not reached it by being placed. */
static void devmem_seq_advance(struct devmem_seq *s, u32 nxt)
{
	bool arrived = false;
	u32 n = 0;

	/* nobody has asked for so long that what is known is of another round */
	if (unlikely(nxt - s->nxt > SZ_1G))
		memset(s, 0, sizeof(*s));
	s->nxt = nxt;

	for (; n < s->nr_runs && !after(s->run[n].end, nxt); n++)
		arrived |= after(s->run[n].end, s->again);
	if (n) {
		s->nr_runs -= n;
		memmove(s->run, s->run + n, s->nr_runs * sizeof(*s->run));
	}
	if (s->nr_runs && before(s->run[0].begin, nxt)) {
		s->run[0].begin = nxt;
		arrived |= after(nxt, s->again);
	}
	if (unlikely(s->strikes || s->pause))
		devmem_seq_recover(s, nxt, arrived);
}

/* Bytes up to @end have come again. @lost: TCP waits for the first of them. */
static void devmem_seq_came_again(struct devmem_seq *s, u32 end, bool lost)
{
	if (!s->strikes || after(end, s->again))
		s->again = end;
	if (!lost)
		return;
	if (s->paused) {
		/* placed before the pause; but is it the probe? */
		if (!s->probing || !before(s->run[0].begin, s->probe_end))
			return;
	} else if (++s->strikes < DEVMEM_SEQ_STRIKES && !s->pause) {
		return;
	}
	s->pause = s->pause ? min_t(u32, 2 * s->pause, DEVMEM_SEQ_PAUSE_MAX) :
			      DEVMEM_SEQ_PAUSE_MIN;
	s->resume = s->run[s->nr_runs - 1].end + s->pause;
	s->paused = true;
	s->probing = false;
}

/* May @len bytes from @seq on be placed, of a packet that acknowledges @ack?
 *
 * Return: 0, with what may continue them ending at *@end at the latest; -EALREADY:
 * TCP has them, or they were placed before; -ERANGE: TCP would not take them, or
 * there are more gaps than can be remembered; -EAGAIN: placing pauses.
 */
int devmem_seq_check(struct devmem_seq *s, const struct devmem_seq_now *now,
		     u32 seq, u32 len, u32 ack, u32 *end)
{
	u32 last = seq + len, i;
	bool lost;

	devmem_seq_advance(s, now->rcv_nxt);
	s->poll = now->poll;

	if (before(seq, now->rcv_nxt))
		return -EALREADY;
	if (after(last, now->rcv_edge) || after(ack, now->snd_end) ||
	    before(ack, now->snd_una - now->max_window))
		return -ERANGE;

	/* the first run that ends behind @seq */
	for (i = s->nr_runs; i && after(s->run[i - 1].end, seq); i--)
		;
	*end = now->rcv_edge;
	if (unlikely(i < s->nr_runs)) {
		if (before(s->run[i].begin, last)) {
			lost = seq == now->rcv_nxt && seq == s->run[i].begin &&
			       s->poll != s->grown;
			devmem_seq_came_again(s, last, lost);
			return -EALREADY;
		}
		if (before(s->run[i].begin, *end))
			*end = s->run[i].begin;
	}

	if (unlikely(s->paused)) {
		if (s->probing || before(seq, s->resume))
			return -EAGAIN;
		*end = last;
	}
	if (unlikely(s->nr_runs == DEVMEM_SEQ_RUNS) && (!i || s->run[i - 1].end != seq) &&
	    (i == s->nr_runs || s->run[i].begin != last))
		return -ERANGE;
	return 0;
}

/* @len bytes from @seq on have been placed, as devmem_seq_check() has allowed. */
void devmem_seq_note(struct devmem_seq *s, u32 seq, u32 len)
{
	u32 last = seq + len, i;

	s->grown = s->poll;
	if (unlikely(s->paused)) {
		s->probing = true;
		s->probe_end = last;
	}

	for (i = s->nr_runs; i && after(s->run[i - 1].end, seq); i--)
		;
	if (i && s->run[i - 1].end == seq) {
		s->run[i - 1].end = last;
		if (likely(i == s->nr_runs) || s->run[i].begin != last)
			return;
		/* the gap is closed */
		s->run[i - 1].end = s->run[i].end;
		s->nr_runs--;
		memmove(s->run + i, s->run + i + 1, (s->nr_runs - i) * sizeof(*s->run));
		return;
	}
	if (i < s->nr_runs && s->run[i].begin == last) {
		s->run[i].begin = seq;
		return;
	}
	/* never, unless TCP has got what waits in merge.c from elsewhere */
	if (unlikely(s->nr_runs == DEVMEM_SEQ_RUNS))
		return;
	memmove(s->run + i + 1, s->run + i, (s->nr_runs - i) * sizeof(*s->run));
	s->run[i].begin = seq;
	s->run[i].end = last;
	s->nr_runs++;
}
