// SPDX-License-Identifier: GPL-2.0-only
#include "json_value.h"

#include <errno.h>
#include <stdint.h>

void json_value__put(json_t *object, const char *key, json_t *value, int *err)
{
	if (json_object_set_new_nocheck(object, key, value))
		*err = -ENOMEM;
}

void json_value__append(json_t *array, json_t *value, int *err)
{
	if (json_array_append_new(array, value))
		*err = -ENOMEM;
}

json_t *json_value__integer(__u64 v)
{
	return json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v);
}

void json_value__put_ratio(json_t *object, const char *key, struct iovab_ratio r, int *err)
{
	if (r.state == IOVAB_VALUE_KNOWN)
		json_value__put(object, key, json_real(r.v), err);
	else if (r.state == IOVAB_VALUE_UNKNOWN)
		json_value__put(object, key, json_null(), err);
}

int json_value__write_line(FILE *out, const json_t *o)
{
	errno = 0;
	if (json_dumpf(o, out, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(12)) ||
	    fputc('\n', out) == EOF)
		return errno ? -errno : -EIO;
	return 0;
}
