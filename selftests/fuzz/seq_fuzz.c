// SPDX-License-Identifier: GPL-2.0
/*
 * net/devmem/seq.c against a map of a stream's bytes: which have been placed, and how
 * far TCP has come. An input is the first sequence number, then steps: a packet arrives
 * and, if it may be placed, reaches TCP or is swallowed; TCP gets bytes in host memory.
 * No byte is placed twice before TCP has it, none that it would not take; who loses
 * nothing is never told to pause; and however much is swallowed, all ends well: a
 * stream whose packets are sent until TCP has them comes to its end.
 */
#include "fuzz.h"

#include "devmem.h"

#define BYTES	(1U << 19)	/* of the stream */
#define WINDOW	(1U << 17)
#define UNIT	512		/* packets begin and end at multiples of it */
#define UNITS	(BYTES / UNIT)

static struct devmem_seq seq;
static struct devmem_seq_now tcp;
static u32 isn;

static struct {
	bool placed[UNITS];	/* and TCP has not passed it */
	bool tcp[UNITS];	/* TCP has it, perhaps out of order */
	u32 nxt;		/* in units */
	bool again;		/* one came again, ever */
} model;

/* TCP gets the units. */
static void deliver(u32 at, u32 nr)
{
	u32 i;

	for (i = at; i < at + nr; i++)
		model.tcp[i] = true;
	while (model.nxt < UNITS && model.tcp[model.nxt])
		model.nxt++;
	tcp.rcv_nxt = isn + model.nxt * UNIT;
	tcp.rcv_edge = tcp.rcv_nxt + WINDOW;
}

static bool any_placed(u32 at, u32 nr)
{
	u32 i;

	for (i = at; i < min_t(u32, at + nr, UNITS); i++)
		if (i >= model.nxt && model.placed[i])
			return true;
	return false;
}

/* Gaps that nothing has been placed for, with what is placed above TCP's. */
static u32 runs(void)
{
	u32 i, n = 0;

	for (i = model.nxt; i < UNITS; i++)
		n += model.placed[i] && (i == model.nxt || !model.placed[i - 1]);
	return n;
}

/* A packet of @nr units arrives; what becomes of it if it is placed? */
static int packet(u32 at, u32 nr, bool swallow)
{
	u32 i, end = 0, s = isn + at * UNIT;
	int err;

	tcp.poll++;
	err = devmem_seq_check(&seq, &tcp, s, nr * UNIT, tcp.snd_una, &end);
	if (at < model.nxt) {
		fuzz_check(err == -EALREADY);
	} else if ((at + nr - model.nxt) * UNIT > WINDOW) {
		fuzz_check(err == -ERANGE);
	} else if (any_placed(at, nr)) {
		fuzz_check(err == -EALREADY);
		model.again = true;
	} else if (err == -ERANGE) {
		fuzz_check(runs() >= DEVMEM_SEQ_RUNS);
	} else if (err) {
		fuzz_check(err == -EAGAIN && model.again);
	}
	if (err) {
		deliver(at, nr);
		return err;
	}

	/* what continues it ends before what is placed, and in the window */
	fuzz_check(end - s >= nr * UNIT && end - tcp.rcv_nxt <= WINDOW);
	fuzz_check(!any_placed(at, (end - s) / UNIT));
	devmem_seq_note(&seq, s, nr * UNIT);
	for (i = at; i < at + nr; i++)
		model.placed[i] = true;
	if (!swallow)
		deliver(at, nr);
	return 0;
}

/* The peer sends what TCP does not have, a quarter of a window at a time, to the end. */
static void finish(bool swallow)
{
	u32 tries = 0, at, from;

	while (model.nxt < UNITS) {
		from = model.nxt;
		for (at = from; at < UNITS && at - from < WINDOW / UNIT / 4; at++)
			if (!model.tcp[at])
				packet(at, 1, swallow);
		tries += model.nxt == from;
		/* as often as a pause can become twice as long in such a stream */
		fuzz_check(tries < 32);
	}
}

static void step(struct fuzz_in *in)
{
	u8 what = in_u8(in), arg = in_u8(in);
	u32 at = model.nxt, nr = 1 + what / 16;

	switch (what % 4) {
	case 0:		/* the next one, or one of the next */
		at += arg / 2;
		break;
	case 1:		/* further away */
		at += arg * 16;
		break;
	case 2:		/* an old one */
		at -= min_t(u32, at, arg);
		break;
	case 3:		/* wrong acknowledgment */
		if (model.nxt + nr < UNITS)
			fuzz_check(devmem_seq_check(&seq, &tcp, tcp.rcv_nxt, UNIT * nr,
						    tcp.snd_end + 1 + arg, &at) == -ERANGE);
		return;
	}
	if (at + nr <= UNITS)
		packet(at, nr, arg & 1);
}

void fuzz_one(struct fuzz_in *in)
{
	bool swallow;

	memset(&model, 0, sizeof(model));
	memset(&seq, 0, sizeof(seq));
	isn = in_u32(in);
	tcp = (struct devmem_seq_now) {
		.rcv_nxt = isn,
		.rcv_edge = isn + WINDOW,
		.snd_una = 1000,
		.snd_end = 2000,
		.max_window = 65535,
	};
	swallow = in_u8(in) & 1;
	while (in_more(in))
		step(in);
	finish(swallow);
	fuzz_check(seq.nr_runs <= DEVMEM_SEQ_RUNS);
}
