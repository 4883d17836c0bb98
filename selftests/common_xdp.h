/* SPDX-License-Identifier: GPL-2.0 */
/*
 * XDP programs for nsd0, as instructions: there need not be a compiler for them.
 *
 * Most leave alone what is not of an EtherType for experiments, so that addresses
 * can be resolved meanwhile; others are for all packets.
 */
#ifndef SELFTESTS_COMMON_XDP_H
#define SELFTESTS_COMMON_XDP_H

#include <linux/bpf.h>
#include <linux/if_link.h>
#include <stdbool.h>
#include <stdint.h>

#include "common.h"
#include "common_ctl.h"

#define ETH_P_OURS	0x88b5
#define ETH_P_OTHERS	0x88b6	/* likewise, but programs leave it alone */
#define FRAME_MIN	60

#define XDP_FRAGS	(1U << 5)	/* BPF_F_XDP_HAS_FRAGS */

#define INSN(c, d, s, o, i)						\
	{ .code = (c), .dst_reg = (d), .src_reg = (s), .off = (o), .imm = (i) }
#define MOV(d, i)	INSN(BPF_ALU64 | BPF_MOV | BPF_K, d, 0, 0, i)
#define MOVR(d, s)	INSN(BPF_ALU64 | BPF_MOV | BPF_X, d, s, 0, 0)
#define ADD(d, i)	INSN(BPF_ALU64 | BPF_ADD | BPF_K, d, 0, 0, i)
#define LOAD(sz, d, s, o)	INSN(BPF_LDX | BPF_MEM | (sz), d, s, o, 0)
#define STORE(sz, d, s, o)	INSN(BPF_STX | BPF_MEM | (sz), d, s, o, 0)
#define STOREI(sz, d, o, i)	INSN(BPF_ST | BPF_MEM | (sz), d, 0, o, i)
#define JGT(d, s, o)	INSN(BPF_JMP | BPF_JGT | BPF_X, d, s, o, 0)
#define JNE(d, i, o)	INSN(BPF_JMP | BPF_JNE | BPF_K, d, 0, o, i)
#define JEQ(d, i, o)	INSN(BPF_JMP | BPF_JEQ | BPF_K, d, 0, o, i)
#define CALL(f)		INSN(BPF_JMP | BPF_CALL, 0, 0, 0, f)
#define EXIT()		INSN(BPF_JMP | BPF_EXIT, 0, 0, 0, 0)

/* Load a program. Returns its descriptor. */
int xdp_load(bool ours, const struct bpf_insn *insns, size_t nr, uint32_t flags);
#define xdp_load_insns(ours, flags, ...) ({				\
	const struct bpf_insn insns_[] = { __VA_ARGS__ };		\
	xdp_load(ours, insns_, ARRAY_SIZE(insns_), flags);		\
})

/* One for frames of ETH_P_OURS of at least FRAME_MIN bytes, which passes others.
 * r6 is the context when it begins, r2 the frame, of which so many bytes are
 * known to be there.
 */
#define xdp_program(flags, ...)	xdp_load_insns(true, flags, __VA_ARGS__)
/* One for all packets; r1 is the context. */
#define xdp_program_all(flags, ...)	xdp_load_insns(false, flags, __VA_ARGS__)

#define xdp_ours(flags, action)	xdp_program(flags, MOV(0, action), EXIT())
#define xdp_all(flags, action)	xdp_program_all(flags, MOV(0, action), EXIT())

/* Have nsd0 run it, -1: none. @flags: XDP_FLAGS_*. */
void xdp_set(int prog, uint32_t flags, struct ctl_answer *answer);
void xdp_must_set(int prog, uint32_t flags);

/* The same for another interface, in the namespace where the caller is. */
void xdp_set_on(unsigned int ifindex, int prog, uint32_t flags,
		struct ctl_answer *answer);

/* Must have been refused, with @text in the extack. */
void xdp_refused(const struct ctl_answer *answer, int err, const char *text);

/* Defer this: no program, header split and MTU as they were. */
void xdp_restore(void *arg);

/* ---- frames ------------------------------------------------------------- */

#define JUMBO		9000
#define FRAME_HDR	14
#define FRAME_MAX	(JUMBO + FRAME_HDR)

/* The last one sent, the last one received; the sockets at either end. */
extern unsigned char frame_sent[FRAME_MAX], frame_got[FRAME_MAX];
extern int frame_fds[2];
void frames_setup(void);

/* A socket for what comes through a link of this namespace. */
int frame_open(const char *dev);

/* A frame of @len bytes, all different, from nsd1 to anybody. */
void frame_send(uint16_t type, size_t len);

/* The next frame of ETH_P_OURS that comes to @side. Returns its length, 0: one of
 * ETH_P_OTHERS has come first, or none.
 */
size_t frame_receive(enum side side);

/* None comes. */
void no_frame(enum side side);

/* One of ETH_P_OURS, which must come to @side as it was sent. */
void frame_comes(enum side side, size_t len);

/* By how much a counter of nsd0 has grown since the last question for it. */
uint64_t counter_grown(const char *name);

#endif /* SELFTESTS_COMMON_XDP_H */
