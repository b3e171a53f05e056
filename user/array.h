/* SPDX-License-Identifier: GPL-2.0-only */
/* Arrays that grow. */
#ifndef IOVAB_ARRAY_H
#define IOVAB_ARRAY_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Makes room for one element more of @size bytes in *@array, which has @n and
 * room for *@max; both begin as NULL and 0. @array is the address of a pointer
 * of any type. False: no memory, and all is as it was.
 */
bool array__grow(void *array, size_t n, size_t *max, size_t size);

#endif /* IOVAB_ARRAY_H */
