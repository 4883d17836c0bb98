/* SPDX-License-Identifier: LGPL-2.1 OR MIT */
/*
 * The test pattern: an endless stream in which each byte is a function of its
 * position and a seed. Header only, so that anything can use it.
 *
 * The stream is a sequence of 64-bit words in little-endian byte order; byte p
 * of the stream is byte p % 8 of word p / 8, and
 *
 *	word(i) = mix((i + 1) * 0x9e3779b97f4a7c15 + mix(seed))
 *	mix(x):	 x ^= x >> 30;  x *= 0xbf58476d1ce4e5b9;  x ^= x >> 31
 *
 * mix() and the odd multiplier are bijections of 64-bit numbers, so no word
 * occurs twice in a stream, and two seeds differ in each word: data that is
 * shifted, repeated, swapped between places or foreign does not pass. Nor does
 * memory that nobody wrote: the first word that is 0 is far out.
 */
#ifndef DEVMEM_PATTERN_H
#define DEVMEM_PATTERN_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DEVMEM_PATTERN_STEP	0x9e3779b97f4a7c15ULL

static inline uint64_t devmem_pattern_mix(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ULL;
	return x ^ x >> 31;
}

/* What word @index is made from; the next word's is DEVMEM_PATTERN_STEP more. */
static inline uint64_t devmem_pattern_start(uint64_t index, uint64_t seed)
{
	return (index + 1) * DEVMEM_PATTERN_STEP + devmem_pattern_mix(seed);
}

/* Word @index of the stream of @seed, as it lies in memory. */
static inline uint64_t devmem_pattern_word(uint64_t index, uint64_t seed)
{
	uint64_t x = devmem_pattern_start(index, seed);

	return htole64(devmem_pattern_mix(x));
}

/* Byte @pos of the stream of @seed. */
static inline uint8_t devmem_pattern_byte(uint64_t pos, uint64_t seed)
{
	uint64_t word = devmem_pattern_word(pos / 8, seed);

	return ((const uint8_t *)&word)[pos % 8];
}

/* Write bytes @pos .. @pos + @len - 1 of the stream to @buf (any alignment). */
static inline void devmem_pattern_fill(void *buf, size_t len, uint64_t pos,
				       uint64_t seed)
{
	uint64_t x, word;
	uint8_t *p = buf;

	for (; len && pos % 8; len--)
		*p++ = devmem_pattern_byte(pos++, seed);

	x = devmem_pattern_start(pos / 8, seed);
	for (; len >= 8; len -= 8, p += 8, pos += 8) {
		word = htole64(devmem_pattern_mix(x));
		memcpy(p, &word, 8);
		x += DEVMEM_PATTERN_STEP;
	}

	for (; len; len--)
		*p++ = devmem_pattern_byte(pos++, seed);
}

/*
 * Compare @buf with bytes @pos .. @pos + @len - 1 of the stream.
 * Return: -1 if all are right, else the position in the stream (not in @buf)
 * of the first wrong byte.
 */
static inline int64_t devmem_pattern_check(const void *buf, size_t len,
					   uint64_t pos, uint64_t seed)
{
	const uint8_t *p = buf;
	uint64_t x, word;

	for (; len && pos % 8; len--, p++, pos++)
		if (*p != devmem_pattern_byte(pos, seed))
			return (int64_t)pos;

	x = devmem_pattern_start(pos / 8, seed);
	for (; len >= 8; len -= 8, p += 8, pos += 8) {
		memcpy(&word, p, 8);
		if (word != htole64(devmem_pattern_mix(x)))
			break;
		x += DEVMEM_PATTERN_STEP;
	}

	/* The tail, or the word that differs: find the byte. */
	for (; len; len--, p++, pos++)
		if (*p != devmem_pattern_byte(pos, seed))
			return (int64_t)pos;
	return -1;
}

#endif /* DEVMEM_PATTERN_H */
