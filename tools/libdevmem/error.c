// SPDX-License-Identifier: LGPL-2.1 OR MIT
/*
 * Owns the text of the last error of each thread. Knows nothing of what the
 * errors are about.
 */
#include <stdarg.h>
#include <stdio.h>

#include "internal.h"

static _Thread_local char devmem_text[768];

/* Keep the text and return -@err, so that a failing path is one statement. */
int devmem_fail(int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(devmem_text, sizeof(devmem_text), fmt, ap);
	va_end(ap);
	return -err;
}

const char *devmem_error(void)
{
	return devmem_text;
}
