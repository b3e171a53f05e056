/* SPDX-License-Identifier: GPL-2.0-only */
/* The reference implementation, seen by its own files. ref_bitmap.c tells how it works. */
#ifndef IOVAB_REF_H
#define IOVAB_REF_H

#include <linux/mm_types.h>
#include <linux/types.h>

#include "iovab_bitmap.h"

/*
 * A table in the form that a mark needs: the stretch of it from the first window that was
 * pinned to the last. Of its array of pages only what is in that stretch is of any value,
 * so a table that is new need not be cleared for the few windows that most of them get.
 */
struct ref_near {
	u64 first;	/* iova; all of the stretch is inside the report */
	u64 span;	/* the last iova, counted from the first */
	u64 skew;	/* bits of the table's first page before the first iova's */
	u8 **pages;	/* the kernel's address of each page, owned; NULL: not pinned */
	u8 shift;	/* of IOVA bytes a bit */
	u32 low, high;	/* the stretch's pages, counted from the table's first; low above high: none */
};

/*
 * A hint where to look for the table of an IOVA: the IOVA range is cut into pieces as
 * long as a table, and a piece remembers which table its last mark was found in.
 */
#define REF_HINTS	64

struct iovab_bitmap {
	struct ref_near *near;		/* of the table that the last mark fell into */
	u64 clock;			/* counts turns from one table to another */
	u64 first;			/* iova, of the report */
	u8 hint_shift;			/* a piece is 1 << hint_shift bytes of IOVA */
	u8 hints[REF_HINTS];		/* indices of tables */

	int error;			/* the first one; it stays */
	struct iovab_layout layout;
	struct iovab_policy policy;
	unsigned long address;		/* of page 0 of the bitmap, in the owner's memory */
	struct mm_struct *mm;		/* the owner's; held, so that it can be compared */

	u32 tables_made;
	/* from here on only what belongs to tables that were made is of any value */
	struct iovab_table tables[IOVAB_TABLES_MAX];
	struct ref_near nears[IOVAB_TABLES_MAX];	/* of the table with the same index */
};

/* ref_tables: what is pinned, and what goes for it */

int ref_tables__init(struct iovab_bitmap *bitmap);
void ref_tables__destroy(struct iovab_bitmap *bitmap);
void ref_tables__unpin(struct iovab_bitmap *bitmap);
u8 *ref_tables__page(struct iovab_bitmap *bitmap, u64 bit);
int ref_tables__pin_ahead(struct iovab_bitmap *bitmap, u64 bit);

static __always_inline u8 *ref_tables__hint(struct iovab_bitmap *bitmap, u64 iova)
{
	return &bitmap->hints[((iova - bitmap->first) >> bitmap->hint_shift) % REF_HINTS];
}

/* Marks will fall into table @i. */
static __always_inline void ref_tables__turn_to(struct iovab_bitmap *bitmap, u32 i)
{
	bitmap->tables[i].stamp = ++bitmap->clock;
	bitmap->near = &bitmap->nears[i];
}

/*
 * Turns to the table of @iova if it is kept and the hint is right. @iova may be any: one
 * outside of the report is outside of each table. A table that an error has emptied
 * counts as kept, but no page of it is pinned.
 */
static __always_inline bool ref_tables__turn_to_kept(struct iovab_bitmap *bitmap, u64 iova)
{
	u32 i = *ref_tables__hint(bitmap, iova);

	if (iova - bitmap->nears[i].first > bitmap->nears[i].span)
		return false;
	ref_tables__turn_to(bitmap, i);
	return true;
}

/* ref_pages: a pinned page is its kernel address */

long ref_pages__pin(unsigned long address, unsigned long count, u8 **pages);
void ref_pages__unpin(u8 **pages, unsigned long count);

#endif /* IOVAB_REF_H */
