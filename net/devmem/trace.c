// SPDX-License-Identifier: GPL-2.0
/* Emits the tracepoints of trace.h. */
#include "devmem.h"

#define CREATE_TRACE_POINTS
#include "trace.h"
