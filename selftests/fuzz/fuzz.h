/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a fuzz target stands on. A target is a file NAME_fuzz.c with one function,
 * fuzz_one(), that reads its input as a list of things to do, does them with the
 * real code and with a simple model of it, and compares. The model is written
 * from what the code promises, in another way than the code: where both are
 * wrong, they are so differently.
 *
 * An input that is over reads as zeros: each input means something.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include "shim/kernel.h"

struct fuzz_in {
	const u8 *at;
	const u8 *end;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A target's only function. All that it has allocated is freed when it returns. */
void fuzz_one(struct fuzz_in *in);

static inline bool in_more(const struct fuzz_in *in)
{
	return in->at < in->end;
}

static inline u8 in_u8(struct fuzz_in *in)
{
	return in_more(in) ? *in->at++ : 0;
}

/* Most significant byte first, for who writes an input by hand. */
static inline u16 in_u16(struct fuzz_in *in)
{
	u16 high = in_u8(in);

	return high << 8 | in_u8(in);
}

static inline u32 in_u32(struct fuzz_in *in)
{
	u32 high = in_u16(in);

	return high << 16 | in_u16(in);
}

#endif /* FUZZ_H */
