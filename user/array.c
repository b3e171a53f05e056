// SPDX-License-Identifier: GPL-2.0-only
#include "array.h"

#include <stdlib.h>

#define FIRST	16

bool array__grow(void *array, size_t n, size_t *max, size_t size)
{
	size_t larger = *max ? 2 * *max : FIRST;
	void **p = array, *more;

	if (n < *max)
		return true;
	more = reallocarray(*p, larger, size);
	if (!more)
		return false;
	*p = more;
	*max = larger;
	return true;
}
