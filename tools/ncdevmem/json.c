// SPDX-License-Identifier: GPL-2.0
/*
 * Owns JSON syntax: commas, brackets, escapes. Must not know what is printed.
 * @name is NULL inside an array and for the outermost object.
 */
#include <inttypes.h>

#include "ncdevmem.h"

static void nd_json_escape(FILE *f, const char *s)
{
	const unsigned char *p;

	putc('"', f);
	for (p = (const unsigned char *)s; *p; p++) {
		if (*p == '"' || *p == '\\')
			fprintf(f, "\\%c", *p);
		else if (*p < 0x20 || *p >= 0x7f)
			fprintf(f, "\\u%04x", *p);
		else
			putc(*p, f);
	}
	putc('"', f);
}

static void nd_json_name(struct nd_json *j, const char *name)
{
	if (j->comma)
		fputs(", ", j->f);
	j->comma = true;
	if (name) {
		nd_json_escape(j->f, name);
		fputs(": ", j->f);
	}
}

void nd_json_open(struct nd_json *j, const char *name, char bracket)
{
	nd_json_name(j, name);
	putc(bracket, j->f);
	j->comma = false;
}

void nd_json_close(struct nd_json *j, char bracket)
{
	putc(bracket, j->f);
	j->comma = true;
}

void nd_json_uint(struct nd_json *j, const char *name, uint64_t val)
{
	nd_json_name(j, name);
	fprintf(j->f, "%" PRIu64, val);
}

void nd_json_bool(struct nd_json *j, const char *name, bool val)
{
	nd_json_name(j, name);
	fputs(val ? "true" : "false", j->f);
}

void nd_json_null(struct nd_json *j, const char *name)
{
	nd_json_name(j, name);
	fputs("null", j->f);
}

void nd_json_seconds(struct nd_json *j, const char *name, double val)
{
	nd_json_name(j, name);
	fprintf(j->f, "%.6f", val);
}

void nd_json_string(struct nd_json *j, const char *name, const char *val)
{
	nd_json_name(j, name);
	nd_json_escape(j->f, val);
}
