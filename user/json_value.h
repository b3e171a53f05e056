/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * JSON values of the model's. Whatever fails sets *@err to -ENOMEM and leaves
 * nothing else to clean up, so that a caller looks once, at the end.
 */
#ifndef IOVAB_JSON_VALUE_H
#define IOVAB_JSON_VALUE_H

#include <jansson.h>
#include <stdio.h>

#include "model.h"

/* Both take over @value. */
void json_value__put(json_t *object, const char *key, json_t *value, int *err);
void json_value__append(json_t *array, json_t *value, int *err);

/* At most 2^63 - 1: the library knows no unsigned. */
json_t *json_value__integer(__u64 v);

/* Absent if it is not measured, null if it is unknown. */
void json_value__put_ratio(json_t *object, const char *key, struct iovab_ratio r, int *err);

/* One line. 0, or -errno of the output. */
int json_value__write_line(FILE *out, const json_t *o);

#endif /* IOVAB_JSON_VALUE_H */
