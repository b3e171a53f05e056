/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The world around one report in user space: the user's memory, what goes wrong in it,
 * and the oracle that knows what must stand in it at the end.
 *
 * User memory is pages, made when they are first pinned; under ASan a page can be
 * touched only while it is pinned. Each page lies alone between red zones, so that
 * who runs past a page's end is caught there, whatever page follows in user memory.
 *
 * The oracle is naive on purpose: it divides in 128 bits, one bit after the other, and
 * knows nothing of windows. All bytes of all pages that were ever pinned are compared
 * with what it expects, so nothing can be written outside of the report's bits either.
 */
#ifndef WORLD_H
#define WORLD_H

#include "iovab_bitmap.h"

#define WORLD_HOLES	8

struct world {
	/* the report */
	u64 iova;
	u64 length;
	u64 page_size;
	u64 data;		/* user address of the bitmap */
	u8 fill;		/* what user memory holds before; a page's bytes all differ if not 0 */

	/* what goes wrong; 0: nothing */
	u64 holes[WORLD_HOLES];	/* user pages that are not there */
	u32 hole_count;
	u32 partial;		/* pages a call of pin gets, at most */
	u32 fail_pin;		/* the call of pin that gets nothing, from 1 on */
	u32 fail_alloc;		/* the allocation that fails, from 1 on */

	/* what was seen */
	u32 pins;		/* calls that got something */
	u32 pin_calls;
	u32 allocs;
	u32 pin_peak;		/* pages asked for at once, at most */
	u64 pages_pinned;	/* sum over calls */
	u64 pages_now;
	u64 pages_peak;
	u64 unpinned_clean;	/* pages unpinned, but not as dirty */
	u64 double_pins;	/* pages that were pinned already */
	u64 outside_pins;	/* pages that hold no bit of the report */
	long allocated_now;
};

extern struct world world;

/* A new world, with an empty memory; then set its report and its troubles. */
void world__reset(void);

u64 world__first_page(void);
u64 world__last_page(void);
void world__add_hole(u64 page);

/* The report as an object. */
struct iovab_bitmap *world__alloc(enum iovab_policy_id policy);

/* The oracle: this range is marked. */
void world__expect(u64 iova, u64 length);
/* It is marked or not, nobody can know: the mark failed. */
void world__allow(u64 iova, u64 length);
/* The first user page of the range that is a hole; U64_MAX: none. */
u64 world__hole_under(u64 iova, u64 length);

/* NULL, or what is wrong with memory, pins and allocations after the object is gone. */
const char *world__check(void);
/* The same while it is there: bits alone. */
const char *world__check_bits(void);

#endif /* WORLD_H */
