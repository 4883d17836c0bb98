// SPDX-License-Identifier: GPL-2.0
/*
 * The shim's memory, and what it finds out about who uses it. Owns the state that
 * an input begins with and must end with. Knows nothing of what is tried.
 */
#include "fuzz.h"

struct fuzz_state fuzz_state;

/* Pointers that RCU readers may still have. */
static const void *retired[2048];
static unsigned int nr_retired;

void fuzz_fail(const char *file, int line, const char *what)
{
	fprintf(stderr, "FUZZ: %s:%d: not so: %s\n", file, line, what);
	abort();
}

/* Memory that is not to be zero is anything but. */
void *fuzz_alloc(size_t n, size_t size, gfp_t gfp, bool zero)
{
	bool fail = fuzz_state.fail & 1;
	void *p;

	fuzz_check(!(gfp & GFP_KERNEL_ACCOUNT) ||
		   (!fuzz_state.locks && !fuzz_state.readers));
	fuzz_state.fail >>= 1;
	if (fail) {
		fuzz_state.failed++;
		return NULL;
	}
	p = calloc(n, size);
	fuzz_check(p);
	if (!zero)
		memset(p, 0xa5, n * size);
	fuzz_state.allocs++;
	return p;
}

void fuzz_free(const void *p)
{
	unsigned int i;

	if (!p)
		return;
	for (i = 0; i < nr_retired; i++)
		fuzz_check(retired[i] != p);
	fuzz_check(fuzz_state.allocs);
	fuzz_state.allocs--;
	free((void *)p);
}

void fuzz_retire(const void *p)
{
	if (!p)
		return;
	fuzz_check(nr_retired < ARRAY_SIZE(retired));
	retired[nr_retired++] = p;
}

void synchronize_net(void)
{
	fuzz_check(!fuzz_state.locks && !fuzz_state.readers);
	nr_retired = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_in in = { .at = data, .end = data + size };

	memset(&fuzz_state, 0, sizeof(fuzz_state));
	nr_retired = 0;
	fuzz_one(&in);
	fuzz_check(!fuzz_state.allocs);
	fuzz_check(!fuzz_state.locks);
	fuzz_check(!fuzz_state.readers);
	return 0;
}
