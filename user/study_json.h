/* SPDX-License-Identifier: GPL-2.0-only */
/* What a recording says, schema iovab.report/1. */
#ifndef IOVAB_STUDY_JSON_H
#define IOVAB_STUDY_JSON_H

#include <jansson.h>
#include <stdio.h>

#include "study.h"

/* One object. Returns 0, -ENOMEM, or -errno of the output. */
int study_json__write(FILE *out, const struct study *s);

/* The same as a value, and with the course in time of each device (@charts). NULL: no memory. */
json_t *study_json__object(const struct study *s, bool charts);

#endif /* IOVAB_STUDY_JSON_H */
