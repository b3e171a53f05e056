/* SPDX-License-Identifier: GPL-2.0-only */
/* The per-device record, schema iovab.device/1, a line an object (NDJSON). */
#ifndef IOVAB_JSON_H
#define IOVAB_JSON_H

#include <stdio.h>

#include "model.h"

/*
 * Writes a line for each row of the snapshot, in its order; nothing if there
 * is none. Lines are pure ASCII: anything else in a name is escaped as JSON
 * has it. Returns 0, -ENOMEM, or -errno of the output.
 */
int json__write(FILE *out, const struct iovab_snapshot *s);

#endif /* IOVAB_JSON_H */
