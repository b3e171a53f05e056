// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is pinned, and what goes for it: the tables of one object.
 *
 * Which table and which window a bit is in is iovab_policy.h's business; here
 * they get memory, and their pages are pinned. A table that has to go is emptied
 * and used again, so that after the first one nothing here needs memory to go on:
 * when there is none for one more table, the oldest goes, as if they were all made.
 *
 * Pages are pinned a window at a time, but only those that a mark needs must be there.
 * A hole in the bitmap is the business of the mark that falls into it; the pages around
 * it are pinned as far as they go.
 */
#include <linux/err.h>
#include <linux/ktime.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "ref.h"
#include "ref_trace.h"

/* How many of the pages from @first to @last, which it is not above, are not pinned, from the first on. */
static u64 missing(u8 * const *first, u8 * const *last)
{
	u8 * const *page = first;

	while (page <= last && !*page)
		page++;
	return page - first;
}

/* How many are. */
static u64 pinned(u8 * const *first, u8 * const *last)
{
	u8 * const *page = first;

	while (page <= last && *page)
		page++;
	return page - first;
}

/* The IOVA of pages of a table, which may begin in the middle of its first page. */
static u64 first_iova(const struct iovab_bitmap *bitmap, const struct iovab_table *table, u64 page)
{
	u64 bit = iovab_layout__first_bit(&bitmap->layout, page);

	return iovab_layout__iova(&bitmap->layout, max(bit, table->first_bit));
}

static u64 last_iova(const struct iovab_bitmap *bitmap, u64 page)
{
	return iovab_layout__last_iova(&bitmap->layout,
				       iovab_layout__last_bit(&bitmap->layout, page));
}

/*
 * Pins what is not pinned yet of the pages @first to @last of table @i, where nothing is if
 * they are @fresh. Those from @need_first to @need_last must be there, and are afterwards,
 * or an error comes out.
 */
static int pin_pages(struct iovab_bitmap *bitmap, u32 i, u64 first, u64 last,
		     u64 need_first, u64 need_last, bool fresh)
{
	const struct iovab_table *table = &bitmap->tables[i];
	u8 **pages = bitmap->nears[i].pages;
	u64 page = first, at, start_ns;
	long got;

	while (page <= last) {
		at = page - table->first_page;
		if (pages[at]) {
			page++;
			continue;
		}
		got = -EFAULT;
		start_ns = trace_iovab_ref_pin_enabled() ? ktime_get_ns() : 0;
		if (current->mm == bitmap->mm)
			got = ref_pages__pin(bitmap->address + (page << PAGE_SHIFT),
					     fresh ? last - page + 1 :
						     missing(pages + at, pages + (last - table->first_page)),
					     pages + at);
		trace_iovab_ref_pin(bitmap, first_iova(bitmap, table, page),
				    last_iova(bitmap, got > 0 ? page + got - 1 : page), got,
				    start_ns ? ktime_get_ns() - start_ns : 0, pages + at);
		if (got > 0)
			page += got;
		else if (page > need_last)
			return 0;
		else if (page >= need_first)
			return got;
		else
			page = need_first;
	}
	return 0;
}

/* Unpins what is pinned of the pages @first to @last of table @i. */
static void unpin_pages(struct iovab_bitmap *bitmap, u32 i, u64 first, u64 last)
{
	const struct iovab_table *table = &bitmap->tables[i];
	u8 **pages = bitmap->nears[i].pages;
	u64 page = first, at, count;

	while (page <= last) {
		at = page - table->first_page;
		count = pinned(pages + at, pages + (last - table->first_page));
		if (count) {
			trace_iovab_ref_unpin(bitmap, first_iova(bitmap, table, page),
					      last_iova(bitmap, page + count - 1), count,
					      pages + at);
			ref_pages__unpin(pages + at, count);
			page += count;
		} else {
			page++;
		}
	}
}

/* Unpins all of table @i, a window at a time, and leaves it empty. */
static void table_clear(struct iovab_bitmap *bitmap, u32 i)
{
	struct iovab_table *table = &bitmap->tables[i];
	u64 first, last;
	u32 window;

	for (window = 0; table->windows >> window; window++) {
		if (!(table->windows >> window & 1))
			continue;
		iovab_table__window(table, &bitmap->policy, &bitmap->layout, window, &first, &last);
		unpin_pages(bitmap, i, first, last);
	}
	iovab_table__make_empty(table);
}

/* Widens the stretch of table @i that is of any value to its pages @first to @last. */
static void table_widen(struct iovab_bitmap *bitmap, u32 i, u64 first, u64 last)
{
	const struct iovab_layout *layout = &bitmap->layout;
	const struct iovab_table *table = &bitmap->tables[i];
	struct ref_near *near = &bitmap->nears[i];
	u32 low = first - table->first_page, high = last - table->first_page;
	u64 first_bit;

	if (near->low > near->high) {
		memset(near->pages + low, 0, (high - low + 1) * sizeof(*near->pages));
	} else {
		if (low < near->low)
			memset(near->pages + low, 0, (near->low - low) * sizeof(*near->pages));
		if (high > near->high)
			memset(near->pages + near->high + 1, 0, (high - near->high) * sizeof(*near->pages));
		low = min(low, near->low);
		high = max(high, near->high);
	}
	near->low = low;
	near->high = high;
	first_bit = max(iovab_layout__first_bit(layout, table->first_page + low), table->first_bit);
	near->first = iovab_layout__iova(layout, first_bit);
	near->span = last_iova(bitmap, table->first_page + high) - near->first;
	near->skew = first_bit + layout->skew - (table->first_page << layout->page_shift);
}

/* One more table, empty. Says whether there was memory for it. */
static bool table_add(struct iovab_bitmap *bitmap, gfp_t gfp)
{
	u64 count = min(iovab_table_pages(&bitmap->layout), bitmap->layout.last_page + 1);
	u32 i = bitmap->tables_made;
	struct ref_near *near = &bitmap->nears[i];

	near->pages = kmalloc(count * sizeof(*near->pages), gfp);
	if (!near->pages)
		return false;
	/* a stretch of one byte, in no page that is pinned */
	near->pages[0] = NULL;
	near->first = bitmap->layout.first;
	near->span = 0;
	near->skew = 0;
	near->shift = bitmap->layout.shift;
	near->low = 1;
	near->high = 0;
	iovab_table__make_empty(&bitmap->tables[i]);
	bitmap->tables_made++;
	return true;
}

/* An empty table: a spare one, a new one, or the oldest, which goes. */
static u32 table_take(struct iovab_bitmap *bitmap)
{
	u32 oldest = iovab_tables__oldest(bitmap->tables, bitmap->tables_made);

	if (iovab_table__is_empty(&bitmap->tables[oldest]))
		return oldest;
	if (bitmap->tables_made < bitmap->policy.tables &&
	    table_add(bitmap, GFP_KERNEL_ACCOUNT | __GFP_NORETRY | __GFP_NOWARN))
		return bitmap->tables_made - 1;
	table_clear(bitmap, oldest);
	return oldest;
}

/* Gives the empty table @i the place of @bit. Who does so widens it then. */
static void table_place(struct iovab_bitmap *bitmap, u32 i, u64 bit)
{
	struct ref_near *near = &bitmap->nears[i];

	iovab_table__place(&bitmap->tables[i], &bitmap->policy, &bitmap->layout, bit);
	near->low = 1;
	near->high = 0;
}

/* The table of @bit: a kept one, or one that is made; and it is near. -EINTR: killed. */
static int find_table(struct iovab_bitmap *bitmap, u64 bit)
{
	u32 i = iovab_tables__find(bitmap->tables, bitmap->tables_made, bit);

	if (i == bitmap->tables_made) {
		cond_resched();
		if (fatal_signal_pending(current))
			return -EINTR;
		i = table_take(bitmap);
		table_place(bitmap, i, bit);
	}
	*ref_tables__hint(bitmap, iovab_layout__iova(&bitmap->layout, bit)) = i;
	ref_tables__turn_to(bitmap, i);
	return i;
}

/* The kernel's address of the page of @bit, pinned in a near table; or ERR_PTR. */
u8 *ref_tables__page(struct iovab_bitmap *bitmap, u64 bit)
{
	u64 page = iovab_layout__page(&bitmap->layout, bit), first, last;
	int i = find_table(bitmap, bit), err;
	struct iovab_table *table;
	struct ref_near *near;
	u32 window, at;
	bool fresh;

	if (i < 0)
		return ERR_PTR(i);
	table = &bitmap->tables[i];
	near = &bitmap->nears[i];
	at = page - table->first_page;
	if (at < near->low || at > near->high || !near->pages[at]) {
		window = iovab_table__window_of(table, &bitmap->policy, &bitmap->layout, page);
		iovab_table__window(table, &bitmap->policy, &bitmap->layout, window, &first, &last);
		table_widen(bitmap, i, first, last);
		fresh = !(table->windows >> window & 1);
		table->windows |= 1U << window;
		err = pin_pages(bitmap, i, first, last, page, page, fresh);
		if (err)
			return ERR_PTR(err);
	}
	return near->pages[at];
}

/* Pins all pages of the table of @bit, which is made near; under a policy of one window a table. */
int ref_tables__pin_ahead(struct iovab_bitmap *bitmap, u64 bit)
{
	struct iovab_table *table;
	int i = find_table(bitmap, bit);
	bool fresh;

	if (i < 0)
		return i;
	table = &bitmap->tables[i];
	table_widen(bitmap, i, table->first_page, table->last_page);
	fresh = !table->windows;
	table->windows = 1;
	return pin_pages(bitmap, i, table->first_page, table->last_page,
			 table->first_page, table->last_page, fresh);
}

/* Unpins all. The near table stays, with no page pinned in it: no mark is done in passing. */
void ref_tables__unpin(struct iovab_bitmap *bitmap)
{
	u32 i;

	for (i = 0; i < bitmap->tables_made; i++)
		table_clear(bitmap, i);
}

/* Makes the first table, empty, and near for want of another. */
int ref_tables__init(struct iovab_bitmap *bitmap)
{
	if (!table_add(bitmap, GFP_KERNEL_ACCOUNT))
		return -ENOMEM;
	bitmap->near = &bitmap->nears[0];
	bitmap->first = bitmap->layout.first;
	bitmap->hint_shift = min(bitmap->layout.shift + ilog2(IOVAB_TABLE_BYTES * 8), 63U);
	return 0;
}

/* All is unpinned. */
void ref_tables__destroy(struct iovab_bitmap *bitmap)
{
	u32 i;

	for (i = 0; i < bitmap->tables_made; i++)
		kfree(bitmap->nears[i].pages);
}
