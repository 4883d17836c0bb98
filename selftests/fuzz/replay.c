// SPDX-License-Identifier: GPL-2.0
/*
 * replay FILE: one kept input through a target, without a fuzzer.
 * replay FILE OUT: that input as bytes, for a fuzzer to begin with.
 *
 * A kept input is text: bytes as pairs of hexadecimal digits, and comments from
 * a # to the end of the line. Knows nothing of what the bytes mean.
 */
#include <ctype.h>

#include "fuzz.h"

#define INPUT_MAX	65536

static size_t read_input(FILE *f, u8 *out)
{
	unsigned int byte;
	size_t n = 0;
	int c;

	while ((c = fgetc(f)) != EOF) {
		if (isspace(c))
			continue;
		if (c == '#') {
			while (c != EOF && c != '\n')
				c = fgetc(f);
			continue;
		}
		ungetc(c, f);
		if (n == INPUT_MAX || fscanf(f, "%2x", &byte) != 1) {
			fprintf(stderr, "replay: not a kept input, after %zu bytes\n", n);
			exit(2);
		}
		out[n++] = byte;
	}
	return n;
}

static FILE *open_or_exit(const char *name, const char *mode)
{
	FILE *f = fopen(name, mode);

	if (!f) {
		perror(name);
		exit(2);
	}
	return f;
}

int main(int argc, char **argv)
{
	u8 *data = malloc(INPUT_MAX), *input;
	size_t n;
	FILE *f;

	if (argc < 2 || argc > 3 || !data)
		return 2;
	f = open_or_exit(argv[1], "r");
	n = read_input(f, data);
	fclose(f);

	if (argc == 3) {
		f = open_or_exit(argv[2], "w");
		if (fwrite(data, 1, n, f) != n || fclose(f))
			return 2;
		free(data);
		return 0;
	}

	/* so that reading over its end is noticed */
	input = malloc(n ? n : 1);
	if (!input)
		return 2;
	memcpy(input, data, n);
	free(data);
	LLVMFuzzerTestOneInput(input, n);
	free(input);
	return 0;
}
