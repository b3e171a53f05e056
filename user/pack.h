/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Arrays of counts as short blobs: each count as LEB128 (seven bits a byte, the
 * lowest first, the eighth bit set where more follow), without the zeroes at the
 * end. So an empty histogram is an empty blob, in any byte order.
 */
#ifndef IOVAB_PACK_H
#define IOVAB_PACK_H

#include <linux/types.h>
#include <stddef.h>

/* Bytes that @n counts can take at most. */
#define PACK_MAX(n)	(10 * (size_t)(n))

/* One number, in at most PACK_MAX(1) bytes; returns how many. */
size_t pack__put(unsigned char *to, __u64 v);
/* Takes one from @blob. Returns its bytes, or 0 if it is cut off or too large. */
size_t pack__take(const unsigned char *blob, size_t size, __u64 *v);

/* Writes at most PACK_MAX(@n) bytes to @blob; returns how many. */
size_t pack__u64(unsigned char *blob, const __u64 *counts, size_t n);
size_t pack__u32(unsigned char *blob, const __u32 *counts, size_t n);

/* Fills all @n counts. -EINVAL: more than @n, cut off, or one that is too large. */
int unpack__u64(__u64 *counts, size_t n, const unsigned char *blob, size_t size);
int unpack__u32(__u32 *counts, size_t n, const unsigned char *blob, size_t size);

#endif /* IOVAB_PACK_H */
