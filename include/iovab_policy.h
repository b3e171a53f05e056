/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where a mark falls: the arithmetic of windows over a user bitmap, and no more.
 *
 * The reference implementation pins by it (kernel/ref_bitmap.c tells how), and
 * whoever has the marks of a report can follow them through it and knows what
 * would have been pinned. So there is no memory, no page and no call to
 * anything in here: it compiles for a kernel module, for BPF and for user space.
 *
 * Four units, and one noun each:
 *	iova	a byte of the device's address space
 *	bit	a bit of the bitmap, counted from the report's first IOVA; it
 *		stands for 1 << shift bytes of IOVA. The last one may stand for less
 *	page	a CPU page of the bitmap, counted from the one with bit 0
 *	table	a stretch of pages whose addresses are kept together
 * Every range here is given by its first and its last member, both inclusive: so
 * the last byte of a 64-bit address space is a number like any other, and no
 * length of 2^64 has to be written down.
 */
#ifndef IOVAB_POLICY_H
#define IOVAB_POLICY_H

#include <linux/types.h>

#define IOVAB_ARITHMETIC	static inline __attribute__((always_inline, unused))

/* Powers of two, of bitmap: 64 GiB and 4 GiB of IOVA at 4 KiB a bit. Tests make them small. */
#ifndef IOVAB_TABLE_BYTES
#define IOVAB_TABLE_BYTES	(2U << 20)
#define IOVAB_WINDOW_BYTES	(128U << 10)
#define IOVAB_TABLES_MAX	16
#endif

_Static_assert(IOVAB_TABLE_BYTES / IOVAB_WINDOW_BYTES < 32, "a table's windows fit a mask of 32 bits");

/* When a bitmap's pages are pinned, and for how long. */
enum iovab_policy_id {
	IOVAB_POLICY_CACHED = 0,	/* the reference's own: what is marked, and kept */
	IOVAB_POLICY_EAGER = 1,		/* as 6.1 to 6.7: each 2 MiB in turn, dirty or not */
	IOVAB_POLICY_LAZY = 2,		/* as 6.11 and later: 2 MiB from the mark on, one at a time */
	IOVAB_POLICIES
};

struct iovab_policy {
	__u32 tables;		/* kept at a time, at most */
	__u32 window_bytes;	/* of bitmap, pinned at once */
	__u8 from_mark;		/* a table begins at the mark that needs it, else on a grid */
	__u8 ahead;		/* pinned before anything is marked, all of it */
};

/* The report, and where its bitmap lies. */
struct iovab_layout {
	__u64 first;		/* iova */
	__u64 last;		/* iova */
	__u64 last_bit;
	__u64 last_page;
	__u64 skew;		/* bits of page 0 before bit 0 */
	__u32 shift;		/* of IOVA bytes a bit */
	__u32 page_shift;	/* of bits a CPU page */
};

/* A table: which bits, and so which pages, what is pinned of it, and when it was last turned to. */
struct iovab_table {
	__u64 first_bit;	/* above last_bit: the table is empty */
	__u64 last_bit;
	__u64 first_page;
	__u64 last_page;
	__u64 stamp;
	__u32 windows;		/* a bit each: 1: pinned, as far as it could be */
};

IOVAB_ARITHMETIC struct iovab_policy iovab_policy__of(enum iovab_policy_id id)
{
	struct iovab_policy policy = {
		.tables = 1,
		.window_bytes = IOVAB_TABLE_BYTES,
	};

	switch (id) {
	case IOVAB_POLICY_EAGER:
		policy.ahead = 1;
		break;
	case IOVAB_POLICY_LAZY:
		policy.from_mark = 1;
		break;
	default:
		policy.tables = IOVAB_TABLES_MAX;
		policy.window_bytes = IOVAB_WINDOW_BYTES;
		break;
	}
	return policy;
}

/* The number of the only bit in @value, which is a power of two. */
IOVAB_ARITHMETIC __u32 iovab_shift(__u64 value)
{
	return (!!(value & 0xffffffff00000000ULL) << 5) | (!!(value & 0xffff0000ffff0000ULL) << 4) |
	       (!!(value & 0xff00ff00ff00ff00ULL) << 3) | (!!(value & 0xf0f0f0f0f0f0f0f0ULL) << 2) |
	       (!!(value & 0xccccccccccccccccULL) << 1) | !!(value & 0xaaaaaaaaaaaaaaaaULL);
}

/*
 * A report of @length bytes from @iova on, a bit for each 1 << @shift of them, into
 * a bitmap at @address of a machine with CPU pages of 1 << @cpu_shift bytes.
 * Says whether there is such a report: it is not empty, and ends inside the address space.
 */
IOVAB_ARITHMETIC _Bool iovab_layout__init_shift(struct iovab_layout *layout, __u64 iova,
						__u64 length, __u32 shift, __u64 address,
						__u32 cpu_shift)
{
	if (!length || iova + (length - 1) < iova)
		return 0;
	layout->first = iova;
	layout->last = iova + (length - 1);
	layout->shift = shift;
	layout->last_bit = (length - 1) >> shift;
	layout->page_shift = cpu_shift + 3;
	layout->skew = (address & ((1ULL << cpu_shift) - 1)) << 3;
	layout->last_page = (layout->last_bit + layout->skew) >> layout->page_shift;
	return 1;
}

/* The same with a bit for each @page_size bytes, which has to be a power of two. */
IOVAB_ARITHMETIC _Bool iovab_layout__init(struct iovab_layout *layout, __u64 iova, __u64 length,
					  __u64 page_size, __u64 address, __u32 cpu_shift)
{
	if (!page_size || (page_size & (page_size - 1)))
		return 0;
	return iovab_layout__init_shift(layout, iova, length, iovab_shift(page_size), address,
					cpu_shift);
}

/* The bit of an IOVA in the report. */
IOVAB_ARITHMETIC __u64 iovab_layout__bit(const struct iovab_layout *layout, __u64 iova)
{
	return (iova - layout->first) >> layout->shift;
}

/* The inverse: the first IOVA of a bit, and its last. */
IOVAB_ARITHMETIC __u64 iovab_layout__iova(const struct iovab_layout *layout, __u64 bit)
{
	return layout->first + (bit << layout->shift);
}

IOVAB_ARITHMETIC __u64 iovab_layout__last_iova(const struct iovab_layout *layout, __u64 bit)
{
	if (bit >= layout->last_bit)
		return layout->last;
	return iovab_layout__iova(layout, bit + 1) - 1;
}

/* The page of a bit. */
IOVAB_ARITHMETIC __u64 iovab_layout__page(const struct iovab_layout *layout, __u64 bit)
{
	return (bit + layout->skew) >> layout->page_shift;
}

/* The inverse: the first bit of a page that is the report's, and the last. */
IOVAB_ARITHMETIC __u64 iovab_layout__first_bit(const struct iovab_layout *layout, __u64 page)
{
	return page ? (page << layout->page_shift) - layout->skew : 0;
}

IOVAB_ARITHMETIC __u64 iovab_layout__last_bit(const struct iovab_layout *layout, __u64 page)
{
	if (page >= layout->last_page)
		return layout->last_bit;
	return iovab_layout__first_bit(layout, page + 1) - 1;
}

/* How many pages @bytes of bitmap are, at least one. A power of two, as both sizes are. */
IOVAB_ARITHMETIC __u64 iovab_layout__pages_of(const struct iovab_layout *layout, __u32 bytes)
{
	__u64 pages = ((__u64)bytes << 3) >> layout->page_shift;

	return pages ? pages : 1;
}

IOVAB_ARITHMETIC __u64 iovab_table_pages(const struct iovab_layout *layout)
{
	return iovab_layout__pages_of(layout, IOVAB_TABLE_BYTES);
}

/*
 * Cuts the part of a mark that lies in the report. *@first and *@last are an
 * iova and become bits. Says whether there is any.
 */
IOVAB_ARITHMETIC _Bool iovab_layout__clip(const struct iovab_layout *layout,
					  __u64 *first, __u64 *last)
{
	if (*first > layout->last || *last < layout->first)
		return 0;
	*first = *first > layout->first ? iovab_layout__bit(layout, *first) : 0;
	*last = *last < layout->last ? iovab_layout__bit(layout, *last) : layout->last_bit;
	return 1;
}

IOVAB_ARITHMETIC _Bool iovab_table__is_empty(const struct iovab_table *table)
{
	return table->first_bit > table->last_bit;
}

IOVAB_ARITHMETIC void iovab_table__make_empty(struct iovab_table *table)
{
	table->first_bit = 1;
	table->last_bit = 0;
	table->first_page = 1;
	table->last_page = 0;
	table->stamp = 0;
	table->windows = 0;
}

/*
 * The table that is made for @bit, when none that is kept has it. One that
 * begins at a mark begins at that mark's byte: so the kernel's does.
 */
IOVAB_ARITHMETIC void iovab_table__place(struct iovab_table *table, const struct iovab_policy *policy,
					 const struct iovab_layout *layout, __u64 bit)
{
	__u64 pages = iovab_table_pages(layout);
	__u64 page = iovab_layout__page(layout, bit);

	table->first_page = policy->from_mark ? page : page & ~(pages - 1);
	table->last_page = table->first_page + (pages - 1);
	if (table->last_page > layout->last_page)
		table->last_page = layout->last_page;
	table->first_bit = policy->from_mark ? bit & ~7ULL :
					       iovab_layout__first_bit(layout, table->first_page);
	table->last_bit = iovab_layout__last_bit(layout, table->last_page);
	table->windows = 0;
}

/* The number, in @table, of the window that @page of it is in. */
IOVAB_ARITHMETIC __u32 iovab_table__window_of(const struct iovab_table *table,
					      const struct iovab_policy *policy,
					      const struct iovab_layout *layout, __u64 page)
{
	return (page - table->first_page) / iovab_layout__pages_of(layout, policy->window_bytes);
}

/* The pages of a window: those that are pinned at once. */
IOVAB_ARITHMETIC void iovab_table__window(const struct iovab_table *table,
					  const struct iovab_policy *policy,
					  const struct iovab_layout *layout, __u32 window,
					  __u64 *first_page, __u64 *last_page)
{
	__u64 pages = iovab_layout__pages_of(layout, policy->window_bytes);

	*first_page = table->first_page + window * pages;
	*last_page = *first_page + (pages - 1);
	if (*last_page > table->last_page)
		*last_page = table->last_page;
}

/* Which of the @count tables has @bit; @count: none. */
IOVAB_ARITHMETIC __u32 iovab_tables__find(const struct iovab_table *tables, __u32 count, __u64 bit)
{
	__u32 i;

	for (i = 0; i < count; i++)
		if (bit >= tables[i].first_bit && bit <= tables[i].last_bit)
			break;
	return i;
}

/* The one of the @count tables, at least one, that was turned to longest ago. */
IOVAB_ARITHMETIC __u32 iovab_tables__oldest(const struct iovab_table *tables, __u32 count)
{
	__u32 i, oldest = 0;

	for (i = 1; i < count; i++)
		if (tables[i].stamp < tables[oldest].stamp)
			oldest = i;
	return oldest;
}

/*
 * The kernel's own ways, which are not as tidy: it counts the bitmap in bytes; pins a
 * page more than it needs where the bitmap does not begin on one; and pins anew for each
 * mark that does not lie in its window as a whole. So what it would have pinned is not
 * what a policy of the reference's does, and is worked out by these.
 */

/* What a lazy kernel has pinned; nothing if first is above last. */
struct iovab_lazy_window {
	__u64 first;		/* iova */
	__u64 last;		/* iova */
	__u64 past;		/* one past the last bit that the pinned memory has */
};

IOVAB_ARITHMETIC __u64 iovab_kernel__bytes(const struct iovab_layout *layout)
{
	return (layout->last_bit >> 3) + 1;
}

/* What a kernel pins from byte @byte of the bitmap on: pages. */
IOVAB_ARITHMETIC __u64 iovab_kernel__pages(const struct iovab_layout *layout, __u64 byte)
{
	__u32 cpu_shift = layout->page_shift - 3;
	__u64 mask = (1ULL << cpu_shift) - 1, most = (1ULL << cpu_shift) / 8;
	__u64 pages = (iovab_kernel__bytes(layout) - byte + mask) >> cpu_shift;

	if (((layout->skew >> 3) + byte) & mask)
		pages++;
	return pages < most ? pages : most;
}

/* One past the last byte of bitmap that these pages hold. */
IOVAB_ARITHMETIC __u64 iovab_kernel__past(const struct iovab_layout *layout, __u64 byte, __u64 pages)
{
	__u32 cpu_shift = layout->page_shift - 3;

	return byte + (pages << cpu_shift) -
	       (((layout->skew >> 3) + byte) & ((1ULL << cpu_shift) - 1));
}

/* Nothing is pinned for a mark, or what is left of one, that lies in the window. */
IOVAB_ARITHMETIC _Bool iovab_lazy__covers(const struct iovab_lazy_window *window, __u64 first,
					  __u64 last)
{
	return first >= window->first && last <= window->last && first <= last;
}

/*
 * Pins for a mark that begins at @first, which is not below the report. Returns how many
 * pages, and in *@byte from which byte of bitmap on; 0: the mark begins past its end.
 */
IOVAB_ARITHMETIC __u64 iovab_lazy__pin(struct iovab_lazy_window *window,
				       const struct iovab_layout *layout, __u64 first, __u64 *byte)
{
	__u64 bytes = iovab_kernel__bytes(layout), pages, past;

	*byte = iovab_layout__bit(layout, first) >> 3;
	if (*byte >= bytes)
		return 0;
	pages = iovab_kernel__pages(layout, *byte);
	past = iovab_kernel__past(layout, *byte, pages);
	window->past = past << 3;
	window->first = iovab_layout__iova(layout, *byte << 3);
	if (past >= bytes)
		window->last = layout->last;
	else
		window->last = iovab_layout__iova(layout, past << 3) - 1;
	return pages;
}

/* Where what is left of the mark begins, behind the window; false: nothing is. */
IOVAB_ARITHMETIC _Bool iovab_lazy__rest(const struct iovab_lazy_window *window,
					const struct iovab_layout *layout, __u64 *first, __u64 last)
{
	__u64 bits = iovab_layout__bit(layout, last) + 1;

	if (bits <= window->past)
		return 0;
	*first = last + 1 - ((bits - window->past) << layout->shift);
	return 1;
}

/*
 * What an eager kernel pins: its first window may begin inside a page; those behind it
 * begin on one, and are full but the last.
 */
IOVAB_ARITHMETIC void iovab_eager__pins(const struct iovab_layout *layout, __u64 *windows,
					__u64 *pages)
{
	__u32 cpu_shift = layout->page_shift - 3, window_shift = 2 * cpu_shift - 3;
	__u64 past, left;

	*windows = 1;
	*pages = iovab_kernel__pages(layout, 0);
	past = iovab_kernel__past(layout, 0, *pages);
	if (past >= iovab_kernel__bytes(layout))
		return;
	left = iovab_kernel__bytes(layout) - past;
	*windows += (left + (1ULL << window_shift) - 1) >> window_shift;
	*pages += (left + (1ULL << cpu_shift) - 1) >> cpu_shift;
}

#endif /* IOVAB_POLICY_H */
