/* SPDX-License-Identifier: GPL-2.0-only */
/* A recording as a trace for Perfetto: slices for reports and windows, counters for rates. */
#ifndef IOVAB_TRACE_H
#define IOVAB_TRACE_H

#include <stdio.h>

#include "error.h"
#include "replay.h"

/* Goes through the recording once. -1 with @e set. */
int trace__write(FILE *out, struct replay *r, struct iovab_error *e);

#endif /* IOVAB_TRACE_H */
