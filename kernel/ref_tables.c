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
#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "ref.h"
#include "ref_trace.h"

/* The pages from @first on that are pinned or, if not @pinned, that are not; up to @last. */
static u64 stretch(u8 * const *pages, u64 first, u64 last, bool pinned)
{
	u64 count = 0;

	while (first + count <= last && !!pages[first + count] == pinned)
		count++;
	return count;
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
 * Pins what is not pinned yet of the pages @first to @last of table @i. Those from
 * @need_first to @need_last must be there, and are afterwards, or an error comes out.
 */
static int pin_pages(struct iovab_bitmap *bitmap, u32 i, u64 first, u64 last,
		     u64 need_first, u64 need_last)
{
	const struct iovab_table *table = &bitmap->tables[i];
	u8 **pages = bitmap->pages[i];
	u64 page = first, at;
	long got;

	while (page <= last) {
		at = page - table->first_page;
		if (pages[at]) {
			page++;
			continue;
		}
		got = -EFAULT;
		if (current->mm == bitmap->mm)
			got = ref_pages__pin(bitmap->address + (page << PAGE_SHIFT),
					     stretch(pages, at, last - table->first_page, false),
					     pages + at);
		trace_iovab_ref_pin(bitmap, first_iova(bitmap, table, page),
				    last_iova(bitmap, got > 0 ? page + got - 1 : page), got);
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
	u8 **pages = bitmap->pages[i];
	u64 page = first, at, count;

	while (page <= last) {
		at = page - table->first_page;
		count = stretch(pages, at, last - table->first_page, true);
		if (count) {
			trace_iovab_ref_unpin(bitmap, first_iova(bitmap, table, page),
					      last_iova(bitmap, page + count - 1), count);
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
	u64 page, first, last;

	for (page = table->first_page; page <= table->last_page; page = last + 1) {
		iovab_table__window(table, &bitmap->policy, &bitmap->layout, page, &first, &last);
		unpin_pages(bitmap, i, first, last);
	}
	iovab_table__make_empty(table);
}

/* One more table, empty. Says whether there was memory for it. */
static bool table_add(struct iovab_bitmap *bitmap, gfp_t gfp)
{
	u64 count = min(iovab_table_pages(&bitmap->layout), bitmap->layout.last_page + 1);
	u32 i = bitmap->tables_made;

	bitmap->pages[i] = kcalloc(count, sizeof(*bitmap->pages[i]), gfp);
	if (!bitmap->pages[i])
		return false;
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

/* Marks will fall into table @i. */
static void go_near(struct iovab_bitmap *bitmap, u32 i)
{
	const struct iovab_layout *layout = &bitmap->layout;
	struct iovab_table *table = &bitmap->tables[i];
	struct ref_near *near = &bitmap->near;

	table->stamp = ++bitmap->clock;
	near->first = iovab_layout__iova(layout, table->first_bit);
	near->span = iovab_layout__last_iova(layout, table->last_bit) - near->first;
	near->first_page = table->first_page;
	near->skew = table->first_bit + layout->skew - (table->first_page << layout->page_shift);
	near->pages = bitmap->pages[i];
}

/* The table of @bit: a kept one, or one that is made. */
static int find_table(struct iovab_bitmap *bitmap, u64 bit)
{
	u32 i = iovab_tables__find(bitmap->tables, bitmap->tables_made, bit);

	if (i < bitmap->tables_made)
		return i;
	cond_resched();
	if (fatal_signal_pending(current))
		return -EINTR;
	i = table_take(bitmap);
	iovab_table__place(&bitmap->tables[i], &bitmap->policy, &bitmap->layout, bit);
	return i;
}

/* Makes the table of @bit the near one, with the bit's page pinned. */
int ref_tables__turn_to(struct iovab_bitmap *bitmap, u64 bit)
{
	u64 page = iovab_layout__page(&bitmap->layout, bit), first, last;
	int i = find_table(bitmap, bit), err = 0;

	if (i < 0)
		return i;
	go_near(bitmap, i);
	if (!bitmap->near.pages[page - bitmap->near.first_page]) {
		iovab_table__window(&bitmap->tables[i], &bitmap->policy, &bitmap->layout, page,
				    &first, &last);
		err = pin_pages(bitmap, i, first, last, page, page);
	}
	return err;
}

/* The same with all pages of the table. */
int ref_tables__pin_ahead(struct iovab_bitmap *bitmap, u64 bit)
{
	const struct iovab_table *table;
	int i = find_table(bitmap, bit);

	if (i < 0)
		return i;
	go_near(bitmap, i);
	table = &bitmap->tables[i];
	return pin_pages(bitmap, i, table->first_page, table->last_page,
			 table->first_page, table->last_page);
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
	bitmap->near.first = bitmap->layout.first;
	bitmap->near.shift = bitmap->layout.shift;
	bitmap->near.pages = bitmap->pages[0];
	return 0;
}

/* All is unpinned. */
void ref_tables__destroy(struct iovab_bitmap *bitmap)
{
	u32 i;

	for (i = 0; i < bitmap->tables_made; i++)
		kfree(bitmap->pages[i]);
}
