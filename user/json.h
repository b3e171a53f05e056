/* SPDX-License-Identifier: GPL-2.0-only */
/* The per-device record, schema iovab.device/1, a line an object (NDJSON). */
#ifndef IOVAB_JSON_H
#define IOVAB_JSON_H

#include <jansson.h>
#include <stdio.h>

#include "model.h"

/*
 * Writes a line for each row of the snapshot, in its order; nothing if there
 * is none. Lines are pure ASCII: anything else in a name is escaped as JSON
 * has it. Returns 0, -ENOMEM, or -errno of the output.
 */
int json__write(FILE *out, const struct iovab_snapshot *s);

/* The object of one row of the snapshot; NULL: no memory. */
json_t *json__row(const struct iovab_snapshot *s, const struct iovab_row *row);

/* What a migration's rounds say of its end: a part of such an object. */
json_t *json__convergence(const struct iovab_migration *m, int *err);

/* Bytes of a record as a string, and a time, as they are in such a line. */
json_t *json__string(const char *raw, size_t raw_size);
json_t *json__time(const struct timespec *wall);

#endif /* IOVAB_JSON_H */
