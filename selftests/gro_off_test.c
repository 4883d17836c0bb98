// SPDX-License-Identifier: GPL-2.0
/*
 * Hardware GRO switched off: nothing becomes one, and a super-packet is cut into
 * what its sender's TSO puts on the wire. Must not know of streams.
 */
#include <stdio.h>
#include <stdlib.h>

#include "common.h"
#include "common_frame.h"

static void restore(void *arg)
{
	(void)arg;
	cmd("ethtool -K nsd0 rx on gro on rx-gro-hw on");
}

/* The segments of a super-packet are what the sender's TSO puts on the wire. */
static void cut(const struct frame *f)
{
	struct frame_counters before, after;
	unsigned int i, segs = frame_segs(f);
	struct arrival a;

	frames_drain();
	frames_send(f, 1, &before);
	for (i = 0; i < segs; i++) {
		bool first = !i, last = i == segs - 1;

		if (!frame_arrives(&a, patient(2000)))
			fail("%u of %u segments have come", i, segs);
		check(a.right);
		check(a.csum_right);
		check_eq(a.gso_size, 0);
		check_eq(a.seq, f->seq + i * f->gso_size);
		check_eq(a.len, last ? f->len - i * f->gso_size : f->gso_size);
		if (f->family == AF_INET)
			check_eq(a.id, (uint16_t)(f->id + i));
		check_eq(a.flags, f->flags & ~(first ? 0 : F_CWR) &
				  ~(last ? 0 : F_PSH | F_FIN));
	}
	check(!frame_arrives(&a, 20));
	frame_counters_read(&after);
	check_cmp(after.packets - before.packets, >=, segs);
	check_cmp(after.bytes - before.bytes, >=, frame_bytes(f));
	check_eq(after.gro, before.gro);
}

static void cuts(void)
{
	static const struct frame *const likes[] = { &frame_plain4, &frame_plain6 };
	static const unsigned int lens[] = { 1001, 2000, 5555, 60000 };
	unsigned int i, k;
	struct frame f;

	for (i = 0; i < ARRAY_SIZE(likes); i++) {
		for (k = 0; k < ARRAY_SIZE(lens); k++) {
			f = *likes[i];
			f.len = lens[k];
			f.gso_size = FRAME_SIZE;
			f.flags = F_ACK | F_PSH | F_CWR | (k & 1 ? F_FIN : 0);
			f.vlan = k == 2 ? 7 : 0;
			cut(&f);
		}
	}
}

/* Without the stack's GRO there is no hardware GRO either: the packets can be
 * seen as they come off the NIC.
 */
static void off_cuts(void)
{
	defer(restore, NULL);
	frames_open();
	must_cmd("ethtool -K nsd0 gro off");
	cuts();
	must_cmd("ethtool -K nsd0 rx off");
	cuts();
}

static void off_merges_nothing(void)
{
	struct frame_counters before, after;
	struct frame frames[40];
	unsigned int i;

	defer(restore, NULL);
	frames_open();
	must_cmd("ethtool -K nsd0 rx-gro-hw off");
	for (i = 0; i < 40; i++) {
		frames[i] = frame_plain4;
		frames[i].seq += i * FRAME_SIZE;
		frames[i].id += i;
	}
	frames_count(frames, 40, &before, &after);
	check_eq(after.gro, before.gro);
	check_cmp(after.packets - before.packets, >=, 40);
}

/* Who wants no checksums gets no hardware GRO, nor who wants no GRO. */
static void follows_other_features(void)
{
	static const char *const features[] = { "rx", "gro" };
	char text[64];
	unsigned int i;
	FILE *f;

	defer(restore, NULL);
	for (i = 0; i < ARRAY_SIZE(features); i++) {
		must_cmd("ethtool -K nsd0 %s off", features[i]);
		f = popen("ethtool -k nsd0 | grep rx-gro-hw", "r");
		check(f && fgets(text, sizeof(text), f));
		pclose(f);
		check(!strncmp(text, "rx-gro-hw: off", 14));
		must_cmd("ethtool -K nsd0 %s on", features[i]);
		f = popen("ethtool -k nsd0 | grep rx-gro-hw", "r");
		check(f && fgets(text, sizeof(text), f));
		pclose(f);
		check(!strncmp(text, "rx-gro-hw: on", 13));
	}
}

static void setup(void)
{
	env_setup(1);
}

static const struct ktap_case cases[] = {
	KTAP_CASE(off_cuts),
	KTAP_CASE(off_merges_nothing),
	KTAP_CASE(follows_other_features),
};

int main(int argc, char **argv)
{
	return ktap_main(argc, argv, setup, cases, ARRAY_SIZE(cases));
}
