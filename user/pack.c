// SPDX-License-Identifier: GPL-2.0-only
#include "pack.h"

#include <errno.h>
#include <string.h>

size_t pack__put(unsigned char *to, __u64 v)
{
	size_t n = 0;

	while (v >= 0x80) {
		to[n++] = (unsigned char)(v | 0x80);
		v >>= 7;
	}
	to[n++] = (unsigned char)v;
	return n;
}

size_t pack__take(const unsigned char *blob, size_t size, __u64 *v)
{
	size_t n;

	*v = 0;
	for (n = 0; n < size && n < 10; n++) {
		__u64 bits = blob[n] & 0x7f;

		if (n == 9 && bits > 1)
			return 0;
		*v |= bits << (7 * n);
		if (!(blob[n] & 0x80))
			return n + 1;
	}
	return 0;
}

size_t pack__u64(unsigned char *blob, const __u64 *counts, size_t n)
{
	size_t i, size = 0;

	while (n && !counts[n - 1])
		n--;
	for (i = 0; i < n; i++)
		size += pack__put(blob + size, counts[i]);
	return size;
}

size_t pack__u32(unsigned char *blob, const __u32 *counts, size_t n)
{
	size_t i, size = 0;

	while (n && !counts[n - 1])
		n--;
	for (i = 0; i < n; i++)
		size += pack__put(blob + size, counts[i]);
	return size;
}

int unpack__u64(__u64 *counts, size_t n, const unsigned char *blob, size_t size)
{
	size_t i, at = 0;

	memset(counts, 0, n * sizeof(*counts));
	for (i = 0; at < size; i++) {
		__u64 v;
		size_t used = pack__take(blob + at, size - at, &v);

		if (!used || i == n)
			return -EINVAL;
		counts[i] = v;
		at += used;
	}
	return 0;
}

int unpack__u32(__u32 *counts, size_t n, const unsigned char *blob, size_t size)
{
	size_t i, at = 0;

	memset(counts, 0, n * sizeof(*counts));
	for (i = 0; at < size; i++) {
		__u64 v;
		size_t used = pack__take(blob + at, size - at, &v);

		if (!used || i == n || v > 0xffffffffULL)
			return -EINVAL;
		counts[i] = (__u32)v;
		at += used;
	}
	return 0;
}
