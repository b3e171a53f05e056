/* SPDX-License-Identifier: GPL-2.0-only */
/* What this kernel offers, for a person and as JSON (schema iovab.probe/1). */
#ifndef IOVAB_PROBE_H
#define IOVAB_PROBE_H

#include <stdio.h>

#include "features.h"

/*
 * Both write what features__probe() found, also if that is a facility that is
 * still to come. Return 0 or -errno of the output.
 */
int probe__write_text(FILE *out, const struct features *f);
int probe__write_json(FILE *out, const struct features *f);

#endif /* IOVAB_PROBE_H */
