/* SPDX-License-Identifier: GPL-2.0-only */
/* The reference implementation, seen by its own files. ref_bitmap.c tells how it works. */
#ifndef IOVAB_REF_H
#define IOVAB_REF_H

#include <linux/mm_types.h>
#include <linux/types.h>

#include "iovab_bitmap.h"

/*
 * The table that marks are falling into, in the form that a mark needs: with
 * the object's shift and the page addresses, one cache line. Its iova range is
 * that of its table, inside the report's.
 */
struct ref_near {
	u64 first;	/* iova */
	u64 span;	/* the last iova, counted from the first */
	u64 first_page;
	u64 skew;	/* bits of the first page before the first iova's */
	u8 **pages;	/* of the table: the kernel's address of each; NULL: not pinned */
	u8 shift;	/* of IOVA bytes a bit */
};

struct iovab_bitmap {
	struct ref_near near;

	int error;			/* the first one; it stays */
	struct iovab_layout layout;
	struct iovab_policy policy;
	unsigned long address;		/* of page 0 of the bitmap, in the owner's memory */
	struct mm_struct *mm;		/* the owner's; held, so that it can be compared */

	/* tables[i] says what pages[i] has: one entry a page, owned */
	u64 clock;			/* counts turns from one table to another */
	u32 tables_made;
	struct iovab_table tables[IOVAB_TABLES_MAX];
	u8 **pages[IOVAB_TABLES_MAX];
};

/* ref_tables: what is pinned, and what goes for it */

int ref_tables__init(struct iovab_bitmap *bitmap);
void ref_tables__destroy(struct iovab_bitmap *bitmap);
void ref_tables__unpin(struct iovab_bitmap *bitmap);
int ref_tables__turn_to(struct iovab_bitmap *bitmap, u64 bit);
int ref_tables__pin_ahead(struct iovab_bitmap *bitmap, u64 bit);

/* ref_pages: a pinned page is its kernel address */

long ref_pages__pin(unsigned long address, unsigned long count, u8 **pages);
void ref_pages__unpin(u8 **pages, unsigned long count);

#endif /* IOVAB_REF_H */
