// SPDX-License-Identifier: GPL-2.0
/*
 * net/devmem/token.c against a plain list of the tokens that are out. An input is
 * the first number, so that the wrap from 2^32 - 1 to 1 is near if it likes, and
 * then steps: issue some, give a range back, let allocations fail.
 */
#include "fuzz.h"

#include "devmem.h"

#define TOKENS_MAX	160	/* of one input */
#define CHUNKS		16
#define LIMIT		0x6c696d74	/* "limt": for a kept input, it takes a while */

static struct {
	u32 number[TOKENS_MAX];
	u8 chunk[TOKENS_MAX];
	unsigned int nr;	/* of those that are out */
	unsigned int issued;
	u32 last;		/* the latest number; with that, 0 is none */
	unsigned int held[CHUNKS];
} model;

static struct devmem_chunk chunks[CHUNKS];
static struct devmem_tokens tokens;
static unsigned int given_back[CHUNKS];

long devmem_objects[DEVMEM_OBJ_MAX];

void devmem_chunk_put(struct devmem_chunk *chunk)
{
	fuzz_check(chunk >= chunks && chunk < chunks + CHUNKS);
	fuzz_check(!fuzz_state.locks);
	given_back[chunk - chunks]++;
}

void devmem_chunks_put(struct devmem_chunk **several, u32 nr)
{
	while (nr--)
		devmem_chunk_put(*several++);
}

static void compare(void)
{
	unsigned int i;

	fuzz_check(tokens.held == model.nr);
	fuzz_check(devmem_objects[DEVMEM_OBJ_TOKENS] == model.nr);
	for (i = 0; i < CHUNKS; i++)
		fuzz_check(given_back[i] == model.held[i]);
	memset(given_back, 0, sizeof(given_back));
	memset(model.held, 0, sizeof(model.held));
}

/* A number may be left out if it is 0, or its slot is taken: by a token that is
 * out and whose number is the same modulo the size of the table.
 */
static bool may_skip(u32 number)
{
	unsigned int i;

	if (!number)
		return true;
	for (i = 0; i < model.nr; i++)
		if (model.number[i] % tokens.size == number % tokens.size)
			return true;
	return false;
}

static bool issue(u8 chunk)
{
	unsigned int failed = fuzz_state.failed, i;
	u32 number, skipped;
	int err;

	err = devmem_tokens_reserve(&tokens);
	if (err) {
		fuzz_check(err == -ENOMEM && fuzz_state.failed == failed + 1);
		return false;
	}
	fuzz_check(fuzz_state.failed == failed);
	fuzz_check(tokens.size >= 2 * (model.nr + 1) &&
		   !(tokens.size & (tokens.size - 1)));
	number = devmem_tokens_issue(&tokens, &chunks[chunk]);

	fuzz_check(number);
	for (i = 0; i < model.nr; i++)
		fuzz_check(model.number[i] != number);
	fuzz_check(number - model.last <= tokens.size);
	for (skipped = model.last + 1; skipped != number; skipped++)
		fuzz_check(may_skip(skipped));

	model.number[model.nr] = number;
	model.chunk[model.nr++] = chunk;
	model.issued++;
	model.last = number;
	return true;
}

static void release(u32 start, u32 count)
{
	unsigned int i, left = 0, found = 0;

	for (i = 0; i < model.nr; i++) {
		if (model.number[i] - start < count) {
			model.held[model.chunk[i]]++;
			found++;
			continue;
		}
		model.number[left] = model.number[i];
		model.chunk[left++] = model.chunk[i];
	}
	model.nr = left;
	fuzz_check(devmem_tokens_release(&tokens, start, count) == found);
}

static void step(struct fuzz_in *in)
{
	u8 what = in_u8(in), arg = in_u8(in);
	unsigned int n;
	u32 start;

	switch (what % 5) {
	case 0:
		n = 1 + arg / CHUNKS * 4;
		while (n-- && model.issued < TOKENS_MAX && issue(arg % CHUNKS))
			;
		break;
	case 1:		/* near one that is out */
		if (model.nr)
			release(model.number[in_u16(in) % model.nr] + (s8)arg, what / 5);
		break;
	case 2:		/* anything; a caller asks for so many at the most */
		start = in_u32(in);
		release(start, in_u16(in) % (DEVMEM_MAX_DONTNEED_TOKENS + 1));
		break;
	case 3:		/* every so many of them */
		for (n = 0; n < model.nr; n += arg % 8)
			release(model.number[n], 1);
		break;
	case 4:
		fuzz_state.fail = arg;
		break;
	}
	compare();
}

/* Not one more than DEVMEM_MAX_TOKENS are out, and one that comes back makes room
 * for one. The table says so, the model would take too long.
 */
static void limit(void)
{
	u32 i, first = 0, number = 0;

	for (i = 0; i < DEVMEM_MAX_TOKENS; i++) {
		fuzz_check(!devmem_tokens_reserve(&tokens));
		number = devmem_tokens_issue(&tokens, &chunks[0]);
		first = i ? first : number;
	}
	fuzz_check(number - first == DEVMEM_MAX_TOKENS - 1);
	fuzz_check(devmem_tokens_reserve(&tokens) == -ENOBUFS);
	fuzz_check(devmem_tokens_release(&tokens, number - 5, 1) == 1);
	fuzz_check(!devmem_tokens_reserve(&tokens));
	fuzz_check(devmem_tokens_issue(&tokens, &chunks[1]) == number + 1);
	fuzz_check(devmem_tokens_reserve(&tokens) == -ENOBUFS);
	fuzz_check(tokens.held == DEVMEM_MAX_TOKENS);
	fuzz_check(given_back[0] == 1);
	devmem_tokens_destroy(&tokens);
	fuzz_check(given_back[0] == DEVMEM_MAX_TOKENS && given_back[1] == 1);
}

void fuzz_one(struct fuzz_in *in)
{
	unsigned int i;

	memset(&model, 0, sizeof(model));
	memset(&tokens, 0, sizeof(tokens));
	memset(devmem_objects, 0, sizeof(devmem_objects));
	memset(given_back, 0, sizeof(given_back));

	devmem_tokens_init(&tokens);
	fuzz_check(tokens.next == 1);
	/* as if so many had been issued and given back */
	model.last = in_u32(in);
	tokens.next = model.last + 1;
	if (model.last == LIMIT && !in_more(in)) {
		limit();
		return;
	}

	while (in_more(in))
		step(in);

	for (i = 0; i < model.nr; i++)
		model.held[model.chunk[i]]++;
	model.nr = 0;
	devmem_tokens_destroy(&tokens);
	compare();
	fuzz_check(!tokens.slot && !tokens.size);
}
