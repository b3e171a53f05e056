/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The reference implementation's interface: dirty IOVA ranges into a bitmap in
 * user memory. kernel/ref_bitmap.c tells how it works, with an example.
 *
 * An object belongs to the task that allocated it and is used by one thread at a
 * time, which may sleep: nothing in here locks. Bit n of the bitmap is bit n % 8
 * of byte n / 8 on every machine, and stands for page_size bytes of IOVA from
 * iova + n * page_size on, whether or not iova is a multiple of page_size.
 */
#ifndef IOVAB_BITMAP_H
#define IOVAB_BITMAP_H

#include <linux/compiler.h>
#include <linux/types.h>

#include "iovab_policy.h"

struct iovab_bitmap;

/* Marks what is dirty in @length bytes from @iova on. 0 or -errno, which ends for_each. */
typedef int (*iovab_bitmap_fn_t)(struct iovab_bitmap *bitmap, unsigned long iova,
				 size_t length, void *opaque);

/*
 * A report of @length bytes from @iova on, into the bitmap at @data, which has a
 * bit a page and any alignment. Ends with iovab_bitmap_free().
 * ERR_PTR: -EINVAL: an empty report, one that ends past the address space, a page
 * size that is no power of two, or no such policy. -EFAULT: @data is not in user
 * memory. -ENOMEM. Eager alone: what pinning the first window says.
 */
struct iovab_bitmap *iovab_bitmap_alloc(unsigned long iova, size_t length, unsigned long page_size,
					void __user *data, enum iovab_policy_id policy);

/*
 * Says for which device the report is, to whoever watches: before for_each. Who does not
 * call it is watched all the same, as an unknown device.
 */
void iovab_bitmap_name(const struct iovab_bitmap *bitmap, const char *device);

/*
 * Calls @fn for the whole range, or under the eager policy for each window of it in
 * turn. Returns the first error of the report, else what @fn says.
 */
int iovab_bitmap_for_each(struct iovab_bitmap *bitmap, void *opaque, iovab_bitmap_fn_t fn);

/*
 * Marks @length bytes from @iova on; what of it is outside of the report is no
 * error, and not marked. -EINVAL: a length of 0. Else what pinning says, mostly
 * -EFAULT; -EINTR: the task is being killed. An error stays: the report's bits are
 * not complete, nothing more is marked, and each call returns it again.
 */
int iovab_bitmap_set(struct iovab_bitmap *bitmap, unsigned long iova, size_t length);

/* Takes NULL and ERR_PTR, too. */
void iovab_bitmap_free(struct iovab_bitmap *bitmap);

#endif /* IOVAB_BITMAP_H */
