// SPDX-License-Identifier: GPL-2.0-only
/* The tracepoints of ref_trace.h, made. */
#define CREATE_TRACE_POINTS
#include "ref_trace.h"
