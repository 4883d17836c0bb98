// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Owns the way of tokens back to the kernel, in few calls. Must not know what
 * the tokens stand for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

struct devmem_tokens {
	int sock;
	unsigned int nr_ranges;
	unsigned int nr_tokens;
	uint64_t released;
	uint64_t calls;
	struct devmem_range range[DEVMEM_MAX_DONTNEED_RANGES];
};

static ssize_t devmem_dontneed(int sock, const struct devmem_range *ranges,
			       unsigned int nr)
{
	int ret, err;

	ret = setsockopt(sock, SOL_SOCKET, SO_DEVMEM_DONTNEED, ranges,
			 (socklen_t)(nr * sizeof(*ranges)));
	if (ret >= 0)
		return ret;
	err = errno;
	return devmem_fail(err, "SO_DEVMEM_DONTNEED of %u ranges: %s", nr,
			   strerror(err));
}

ssize_t devmem_release(int sock, const struct devmem_range *ranges,
		       unsigned int nr, unsigned int flags)
{
	struct devmem_range batch[DEVMEM_MAX_DONTNEED_RANGES];
	unsigned int used = 0, room = DEVMEM_MAX_DONTNEED_TOKENS;
	struct devmem_range left;
	ssize_t ret, sum = 0;
	unsigned int i;

	if (flags)
		return devmem_fail(EINVAL, "flags 0x%x: none is defined", flags);

	for (i = 0; i < nr; i++) {
		left = ranges[i];
		while (left.token_count) {
			uint32_t take = left.token_count < room ?
					left.token_count : room;

			batch[used].token_start = left.token_start;
			batch[used++].token_count = take;
			left.token_start += take;
			left.token_count -= take;
			room -= take;
			if (room && used < DEVMEM_MAX_DONTNEED_RANGES)
				continue;

			ret = devmem_dontneed(sock, batch, used);
			if (ret < 0)
				return sum ? sum : ret;
			sum += ret;
			used = 0;
			room = DEVMEM_MAX_DONTNEED_TOKENS;
		}
	}
	if (!used)
		return sum;
	ret = devmem_dontneed(sock, batch, used);
	if (ret < 0)
		return sum ? sum : ret;
	return sum + ret;
}

int devmem_tokens_alloc(struct devmem_tokens **t, int sock, unsigned int flags)
{
	struct devmem_tokens *tokens;

	if (flags)
		return devmem_fail(EINVAL, "flags 0x%x: none is defined", flags);
	tokens = calloc(1, sizeof(*tokens));
	if (!tokens)
		return devmem_fail(ENOMEM, "out of memory");
	tokens->sock = sock;
	*t = tokens;
	return 0;
}

void devmem_tokens_free(struct devmem_tokens *t)
{
	free(t);
}

int devmem_tokens_flush(struct devmem_tokens *t)
{
	ssize_t ret;

	if (!t->nr_ranges)
		return 0;
	ret = devmem_dontneed(t->sock, t->range, t->nr_ranges);
	t->nr_ranges = 0;
	t->nr_tokens = 0;
	if (ret < 0)
		return (int)ret;
	t->released += (uint64_t)ret;
	t->calls++;
	return 0;
}

/* Into the last range if it comes right before that; after it: devmem_tokens_add(). */
static bool devmem_tokens_merge(struct devmem_tokens *t, uint32_t token)
{
	struct devmem_range *last;

	if (!t->nr_ranges)
		return false;
	last = &t->range[t->nr_ranges - 1];
	if (last->token_start && token == last->token_start - 1) {
		last->token_start--;
		last->token_count++;
		return true;
	}
	return false;
}

int devmem_tokens_add(struct devmem_tokens *t, uint32_t token)
{
	int ret = 0;

	/* most are of this kind */
	if (t->nr_ranges && t->nr_tokens < DEVMEM_MAX_DONTNEED_TOKENS &&
	    token == t->range[t->nr_ranges - 1].token_start +
		     t->range[t->nr_ranges - 1].token_count) {
		t->range[t->nr_ranges - 1].token_count++;
		t->nr_tokens++;
		return 0;
	}

	if (t->nr_tokens == DEVMEM_MAX_DONTNEED_TOKENS)
		ret = devmem_tokens_flush(t);
	if (!devmem_tokens_merge(t, token)) {
		if (t->nr_ranges == DEVMEM_MAX_DONTNEED_RANGES)
			ret = devmem_tokens_flush(t);
		t->range[t->nr_ranges].token_start = token;
		t->range[t->nr_ranges++].token_count = 1;
	}
	t->nr_tokens++;
	return ret;
}

unsigned int devmem_tokens_pending(const struct devmem_tokens *t)
{
	return t->nr_tokens;
}

uint64_t devmem_tokens_released(const struct devmem_tokens *t)
{
	return t->released;
}

uint64_t devmem_tokens_calls(const struct devmem_tokens *t)
{
	return t->calls;
}
