// SPDX-License-Identifier: GPL-2.0
/*
 * Owns the random sequence and the count of rounds, see chance.h. Must not
 * know what is being fuzzed.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chance.h"

#define PROGRESS_MS	10000

static struct {
	const char *what;
	uint64_t seed;
	uint64_t n;
	uint64_t next;		/* round */
	uint64_t from;
	uint64_t done;
	long long start;
	long long told;
	uint64_t state;
} fuzz;

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : otherwise;
}

/* However the case ends: how far it came. */
static void tell_end(void *arg)
{
	long long ms = now_ms() - fuzz.start;

	(void)arg;
	diag("%s: %llu in %lld ms, the last with FUZZ_SEED=%llu FUZZ_FROM=%llu", fuzz.what,
	     (unsigned long long)fuzz.done, ms, (unsigned long long)fuzz.seed,
	     (unsigned long long)fuzz_round());
}

void fuzz_begin(const char *what, uint64_t n)
{
	memset(&fuzz, 0, sizeof(fuzz));
	fuzz.what = what;
	fuzz.seed = number("FUZZ_SEED", 1);
	fuzz.from = number("FUZZ_FROM", 0);
	fuzz.n = number("FUZZ_N", n);
	fuzz.next = fuzz.from;
	fuzz.start = now_ms();
	fuzz.told = fuzz.start;
	defer(tell_end, NULL);
}

static void tell_kernel(void)
{
	char text[128];
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return;
	snprintf(text, sizeof(text), "<7>fuzz: %s: FUZZ_SEED=%llu FUZZ_FROM=%llu\n", fuzz.what,
		 (unsigned long long)fuzz.seed, (unsigned long long)fuzz_round());
	n = write(fd, text, strlen(text));
	(void)n;
	close(fd);
}

uint64_t fuzz_round(void)
{
	return fuzz.next - 1;
}

void fuzz_count(uint64_t n)
{
	fuzz.done += n;
	if (now_ms() - fuzz.told < PROGRESS_MS)
		return;
	fuzz.told = now_ms();
	diag("%s: %llu, round %llu, %lld s", fuzz.what, (unsigned long long)fuzz.done,
	     (unsigned long long)fuzz_round(), (fuzz.told - fuzz.start) / 1000);
}

bool fuzz_next(void)
{
	if (fuzz.done >= fuzz.n)
		return false;
	fuzz.next++;
	fuzz.state = fuzz.seed * 0x9e3779b97f4a7c15ULL ^ fuzz_round() * 0xd1342543de82ef95ULL;
	rnd64();
	tell_kernel();
	return true;
}

int fuzz_main(int argc, char **argv, void (*setup)(void), struct ktap_case *cases,
	      size_t nr)
{
	unsigned int timeout = (unsigned int)number("FUZZ_TIMEOUT", 0);
	size_t i;

	for (i = 0; timeout && i < nr; i++)
		cases[i].timeout = timeout;
	return ktap_main(argc, argv, setup, cases, nr);
}

/* splitmix64 */
uint64_t rnd64(void)
{
	uint64_t x = fuzz.state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

uint32_t rnd32(void)
{
	return (uint32_t)(rnd64() >> 32);
}

uint32_t rnd(uint32_t n)
{
	return (uint32_t)((rnd64() >> 32) * n >> 32);
}

bool once_in(uint32_t n)
{
	return !rnd(n);
}

uint32_t rnd_size(uint32_t max)
{
	uint32_t n = rnd32() >> rnd(32);

	return max == UINT32_MAX ? n : n % (max + 1);
}

uint32_t rnd_wild(void)
{
	uint32_t near = rnd(5) - 2;

	switch (rnd(6)) {
	case 0:
		return near;
	case 1:
		return (1U << rnd(32)) + near;
	case 2:
		return (rnd(2) ? INT32_MAX : (uint32_t)INT32_MIN) + near;
	case 3:
		return rnd(2) ? UINT16_MAX + near : UINT8_MAX + near;
	case 4:
		return rnd_size(UINT32_MAX);
	default:
		return rnd32();
	}
}

void rnd_fill(void *at, size_t len)
{
	unsigned char *p = at;
	uint64_t x;

	for (; len >= 8; len -= 8, p += 8) {
		x = rnd64();
		memcpy(p, &x, 8);
	}
	x = rnd64();
	memcpy(p, &x, len);
}
