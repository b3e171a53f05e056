/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What if: the marks of a report, followed through other policies of pinning.
 *
 * A kernel pins by one policy; what the others would have pinned for the same marks
 * needs no pin to be known, only in which window each mark falls (iovab_policy.h):
 *
 *	eager	as 6.1 to 6.7: depends on the range alone, so it is worked out at the end
 *	lazy	as 6.11 and later: one window, from the byte of the mark on that is not in it
 *	cached	as the reference: windows on a grid, of which several are kept
 *
 * Most marks change nothing: they fall where both lazy and cached have pinned already.
 * That stretch of IOVA (calm) is worked out when a mark leaves it, and the series of
 * mark.h are bounded by it. So a mark in a series costs no more than without this.
 *
 * It is proven by what is observed: under the policy that the running kernel has, the
 * figures here must be the kernel's own. So lazy and eager are the kernel's rules with
 * their oddities (a page more for an unaligned bitmap; a mark past the range's end
 * pins again each time), and not the reference's tidier ones.
 *
 * A mark of length 0 is not followed: what a kernel does for it is no policy.
 */
#ifndef IOVAB_BPF_WHATIF_H
#define IOVAB_BPF_WHATIF_H

#include "series.h"
#include "window.h"
#include "iovab_policy.h"

/* Windows that one mark can reach; there are 2^11 of the smaller kind in 2^43 bytes at 4 KiB. */
#define WHAT_IF_STEPS	(1U << 16)

struct what_if {
	__u64 calm_first;	/* IOVA; first above last: nothing is calm */
	__u64 calm_last;
	/* lazy: its window */
	__u64 lazy_first;	/* IOVA; likewise */
	__u64 lazy_last;
	__u64 lazy_past;	/* one past the last bit of the memory pinned, from the report's first */
	__u64 lazy_pages;	/* so many CPU pages */
	/* cached */
	__u64 clock;		/* turns from one table to another */
	__u32 near;		/* index of the table that the last mark fell into */
	__u32 made;		/* so many tables there are */
	__u64 kept_first;	/* IOVA; of the stretch of windows around that mark that are pinned */
	__u64 kept_last;
	struct iovab_table tables[IOVAB_TABLES_MAX];

	struct iovab_pins pins[IOVAB_POLICIES];	/* what it comes to */
	__u64 last_start[IOVAB_POLICIES];	/* heads of the chains in window_starts */
} __attribute__((aligned(64)));

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, IOVAB_MAX_REPORTS);	/* 1 below tier sets */
	__uint(map_flags, BPF_F_MMAPABLE);	/* as reports */
	__type(key, __u32);
	__type(value, struct what_if);
} what_ifs SEC(".maps");

static __always_inline struct what_if *what_if_at(__u32 n)
{
	return bpf_map_lookup_elem(&what_ifs, &n);
}

static const struct what_if no_marks = {
	.calm_first = 1,
	.lazy_first = 1,
	.kept_first = 1,
};

/* The bitmap's bytes, as a kernel counts them. */
static __always_inline __u64 bitmap_bytes(const struct report *r)
{
	return (((r->length - 1) >> r->page_shift) >> 3) + 1;
}

/* What a kernel pins from byte @byte of the bitmap on: pages. */
static __always_inline __u64 kernel_pages(const struct report *r, __u64 byte)
{
	__u64 page_mask = (1ULL << cpu_page_shift) - 1, most = (1ULL << cpu_page_shift) / 8;
	__u64 pages = ((bitmap_bytes(r) - byte) + page_mask) >> cpu_page_shift;

	if ((r->bitmap_addr + byte) & page_mask)
		pages++;
	return pages < most ? pages : most;
}

/* One past the last byte of bitmap that these pages hold. */
static __always_inline __u64 pages_past(const struct report *r, __u64 byte, __u64 pages)
{
	__u64 page_mask = (1ULL << cpu_page_shift) - 1;

	return byte + (pages << cpu_page_shift) - ((r->bitmap_addr + byte) & page_mask);
}

/* Of each report and policy so many windows are remembered: repins of further ones are unknown. */
#define WHAT_IF_STARTS	1536

static __always_inline void what_if_pin(struct report *r, struct what_if *w,
					enum iovab_policy_id policy, __u64 page, __u64 pages)
{
	struct iovab_pins *pins = &w->pins[policy];

	pins->windows++;
	pins->pages += pages;
	if (pins->repins_unknown)
		return;
	switch (starts_remember(r, policy, page, &w->last_start[policy])) {
	case STARTS_KNOWN:
		pins->repins++;
		break;
	case STARTS_FULL:
		pins->repins_unknown = 1;
		break;
	case STARTS_NEW:
		pins->repins_unknown = pins->windows - pins->repins > WHAT_IF_STARTS;
		break;
	}
}

/* --- lazy --- */

struct lazy_walk {
	struct report *r;
	struct what_if *w;
	__u64 start, last;	/* of what is left of the mark */
};

/* Its window now begins at byte @byte of the bitmap, and is @pages long. */
static __always_inline void lazy_place(const struct report *r, struct what_if *w, __u64 byte,
				       __u64 pages)
{
	__u64 range_last = r->iova + (r->length - 1), past = pages_past(r, byte, pages);

	w->lazy_pages = pages;
	w->lazy_past = past * 8;
	if (past > bitmap_bytes(r))
		past = bitmap_bytes(r);
	w->lazy_first = r->iova + ((byte * 8) << r->page_shift);
	w->lazy_last = w->lazy_first + (((past - byte) * 8) << r->page_shift) - 1;
	if (w->lazy_last > range_last || w->lazy_last < w->lazy_first)
		w->lazy_last = range_last;
}

/*
 * Marks below the lazy window make a new one that begins in the byte of the mark. Where
 * that is in the same page of bitmap, it has the same number of pages: from which IOVA on?
 * Only when repins are not told apart any more: for that each window has to be looked at.
 * @first: from where on nothing else happens to a mark. NO_DESCENT: nowhere.
 */
static __always_inline __u64 what_if_lowest(const struct report *r, const struct what_if *w,
					    __u64 first)
{
	__u64 page_bytes = 1ULL << cpu_page_shift, byte, offset, left, low;

	if (!w->pins[IOVAB_POLICY_LAZY].repins_unknown || w->lazy_first != w->calm_first ||
	    r->iova & ((8ULL << r->page_shift) - 1))
		return NO_DESCENT;
	byte = ((w->lazy_first - r->iova) >> r->page_shift) >> 3;
	offset = (r->bitmap_addr + byte) & (page_bytes - 1);
	/* a window that begins with its page has a page less than those behind it */
	if (!offset)
		return NO_DESCENT;
	low = byte - offset < byte ? byte - offset + 1 : 0;
	/* as many pages as now are needed from this byte on, and one more before it */
	left = bitmap_bytes(r) - byte;
	offset = (left + page_bytes - 1) & ~(page_bytes - 1);
	if (bitmap_bytes(r) > offset && bitmap_bytes(r) - offset > low)
		low = bitmap_bytes(r) - offset;
	low = r->iova + ((low * 8) << r->page_shift);
	if (low < first)
		low = first;
	return low < w->kept_first ? w->kept_first : low;
}

/* So many such windows were made, the last of them at @first. */
static __always_inline void what_if_descended(const struct report *r, struct what_if *w,
					      __u64 first, __u64 descents)
{
	struct iovab_pins *pins = &w->pins[IOVAB_POLICY_LAZY];

	pins->windows += descents;
	pins->pages += descents * w->lazy_pages;
	lazy_place(r, w, ((first - r->iova) >> r->page_shift) >> 3, w->lazy_pages);
}

static long lazy_step(__u32 index, struct lazy_walk *walk)
{
	struct report *r = walk->r;
	struct what_if *w = walk->w;
	__u64 byte, pages, bits;

	if (walk->start < w->lazy_first || walk->last > w->lazy_last || walk->last < walk->start) {
		if (walk->start < r->iova)
			return 1;
		byte = ((walk->start - r->iova) >> r->page_shift) >> 3;
		if (byte >= bitmap_bytes(r))
			return 1;
		pages = kernel_pages(r, byte);
		what_if_pin(r, w, IOVAB_POLICY_LAZY, byte * 8, pages);
		lazy_place(r, w, byte, pages);
	}
	/* the rest, a whole number of pages, is behind the memory that is pinned */
	bits = ((walk->last - r->iova) >> r->page_shift) + 1;
	if (bits <= w->lazy_past)
		return 1;
	walk->start = walk->last + 1 - ((bits - w->lazy_past) << r->page_shift);
	return 0;
}

/* --- cached --- */

struct cached_walk {
	__u32 n;
	struct report *r;
	struct what_if *w;
	struct iovab_layout layout;
	__u64 bit, last;	/* of what is left of the mark */
};

static __always_inline struct iovab_table *table_at(struct what_if *w, __u32 i)
{
	return &w->tables[i % IOVAB_TABLES_MAX];
}

/*
 * Searches through the tables have as many ways out as there are tables. As global
 * functions they are looked at once each, and not in every combination; older
 * verifiers do not come to an end of those.
 */
__noinline int table_find(__u32 n, __u64 bit)
{
	struct what_if *w = what_if_at(n);

	return w ? iovab_tables__find(w->tables, IOVAB_TABLES_MAX, bit) : IOVAB_TABLES_MAX;
}

__noinline int table_oldest(__u32 n)
{
	struct what_if *w = what_if_at(n);
	__u64 least = ~0ULL;
	__u32 i;

	if (!w)
		return 0;
	for (i = 0; i < IOVAB_TABLES_MAX; i++)
		if (w->tables[i].stamp < least)
			least = w->tables[i].stamp;
	return least % IOVAB_TABLES_MAX;
}

/* The table of a bit: kept, made, or in the place of the one turned to longest ago. */
static __always_inline void turn_to(struct cached_walk *walk, const struct iovab_policy *policy)
{
	struct what_if *w = walk->w;
	struct iovab_table *near = table_at(w, w->near);
	__u32 i;

	if (w->made && walk->bit >= near->first_bit && walk->bit <= near->last_bit)
		return;
	i = table_find(walk->n, walk->bit);
	if (i >= w->made) {
		i = w->made < IOVAB_TABLES_MAX ? w->made++ : table_oldest(walk->n);
		iovab_table__place(table_at(w, i), policy, &walk->layout, walk->bit);
	}
	w->near = i;
	/* it ends in the table's number: so the least of all stamps tells whose it is */
	table_at(w, i)->stamp = ++w->clock * IOVAB_TABLES_MAX + i % IOVAB_TABLES_MAX;
}

static long cached_step(__u32 index, struct cached_walk *walk)
{
	const struct iovab_policy policy = iovab_policy__of(IOVAB_POLICY_CACHED);
	struct what_if *w = walk->w;
	__u64 first_page, last_page;
	struct iovab_table *table;
	__u32 window;

	turn_to(walk, &policy);
	table = table_at(w, w->near);
	window = iovab_table__window_of(table, &policy, &walk->layout,
					iovab_layout__page(&walk->layout, walk->bit)) & 31;
	iovab_table__window(table, &policy, &walk->layout, window, &first_page, &last_page);
	if (!(table->windows >> window & 1)) {
		table->windows |= 1U << window;
		what_if_pin(walk->r, w, IOVAB_POLICY_CACHED, first_page, last_page - first_page + 1);
	}
	walk->bit = iovab_layout__last_bit(&walk->layout, last_page) + 1;
	return walk->bit > walk->last || !walk->bit;
}

/* The stretch of windows around the last mark's that are pinned in the near table. */
static __always_inline void cached_calm(struct cached_walk *walk, __u64 bit)
{
	const struct iovab_policy policy = iovab_policy__of(IOVAB_POLICY_CACHED);
	struct what_if *w = walk->w;
	const struct iovab_table *table = table_at(w, w->near);
	const struct iovab_layout *layout = &walk->layout;
	__u64 first_page, last_page, unused, pinned = table->windows, one, below;
	__u32 from, to;

	one = 1ULL << (iovab_table__window_of(table, &policy, layout,
					      iovab_layout__page(layout, bit)) & 31);
	/* a carry runs through the ones from here on, up to the first zero */
	to = highest_bit((pinned + one) & ~pinned) - 1;
	below = ~pinned & (one - 1);
	from = below ? highest_bit(below) + 1 : 0;
	iovab_table__window(table, &policy, layout, from, &first_page, &unused);
	iovab_table__window(table, &policy, layout, to, &unused, &last_page);
	w->kept_first = iovab_layout__iova(layout, iovab_layout__first_bit(layout, first_page));
	w->kept_last = iovab_layout__last_iova(layout, iovab_layout__last_bit(layout, last_page));
}

/* --- both --- */

/*
 * A mark that leaves the calm stretch, through each of the two. Global functions: the
 * verifier looks at each once, and not at one in every state that the other ends in.
 * They return 0.
 */
__noinline int what_if_lazy(__u32 n, __u64 start, __u64 last)
{
	struct lazy_walk walk = { .start = start, .last = last };
	struct report *r = report_at(n);
	struct what_if *w = what_if_at(n);

	if (!r || !w)
		return 0;
	walk.r = r;
	walk.w = w;
	bpf_loop(WHAT_IF_STEPS, lazy_step, &walk, 0);
	return 0;
}

__noinline int what_if_cached(__u32 n, __u64 start, __u64 last)
{
	struct cached_walk walk = { .n = n, .bit = start, .last = last };
	struct report *r = report_at(n);
	struct what_if *w = what_if_at(n);
	__u64 bit;

	if (!r || !w)
		return 0;
	walk.r = r;
	walk.w = w;
	w->kept_first = 1;
	w->kept_last = 0;
	if (!iovab_layout__init_shift(&walk.layout, r->iova, r->length, r->page_shift & 63,
				      r->bitmap_addr, cpu_page_shift) ||
	    !iovab_layout__clip(&walk.layout, &walk.bit, &walk.last))
		return 0;
	bit = walk.last;
	bpf_loop(WHAT_IF_STEPS, cached_step, &walk, 0);
	cached_calm(&walk, bit);
	return 0;
}

/* A mark that leaves the calm stretch. */
static __always_inline void what_if_mark(__u32 n, struct what_if *w, __u64 start, __u64 last)
{
	what_if_lazy(n, start, last);
	/* in the near table, where all is pinned: nothing happens there */
	if (start < w->kept_first || last > w->kept_last)
		what_if_cached(n, start, last);
	w->calm_first = w->kept_first;
	w->calm_last = w->kept_last;
	if (w->lazy_first > w->calm_first)
		w->calm_first = w->lazy_first;
	if (w->lazy_last < w->calm_last)
		w->calm_last = w->lazy_last;
}

/* Does the mark fall where nothing changes? */
static __always_inline bool what_if_calm(const struct what_if *w, __u64 start, __u64 last)
{
	return start >= w->calm_first && last <= w->calm_last;
}

/* --- eager, and the end --- */

/* The first window may begin inside a page; those behind it begin on one, and are full but the last. */
static __always_inline void what_if_eager(const struct report *r, struct what_if *w)
{
	struct iovab_pins *pins = &w->pins[IOVAB_POLICY_EAGER];
	__u64 pages = kernel_pages(r, 0), past = pages_past(r, 0, pages), left;
	__u32 window_shift = 2 * cpu_page_shift - 3;	/* a page of addresses of pages */

	pins->windows = 1;
	pins->pages = pages;
	if (past >= bitmap_bytes(r))
		return;
	left = bitmap_bytes(r) - past;
	pins->windows += (left + (1ULL << window_shift) - 1) >> window_shift;
	pins->pages += (left + (1ULL << cpu_page_shift) - 1) >> cpu_page_shift;
}

static __always_inline void what_if_forget(__u32 n)
{
	struct what_if *w = what_if_at(n);
	struct report *r = report_at(n);

	if (!w || !r)
		return;
	starts_forget(r, IOVAB_POLICY_LAZY, w->last_start[IOVAB_POLICY_LAZY]);
	starts_forget(r, IOVAB_POLICY_CACHED, w->last_start[IOVAB_POLICY_CACHED]);
}

#endif /* IOVAB_BPF_WHATIF_H */
