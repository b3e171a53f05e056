/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Windows: from a successful pin of bitmap pages to their unpin.
 *
 * Up to v6.7 the kernel pins in iova_bitmap_get, inside alloc for the first
 * window and when for_each moves on for the others, and it unpins (in a
 * function that is always inlined) right before the next pin or in free. So a
 * window ends where the next pin or the free begins; its bits are still in the
 * same user memory then.
 *
 * The scans are ours and take time that the report would not have taken: they
 * are timed, and taken off the report's latency.
 */
#ifndef IOVAB_BPF_WINDOW_H
#define IOVAB_BPF_WINDOW_H

#include "scan.h"

static __always_inline __u32 log2_ceil(__u64 v)
{
	__u32 log2 = 0;

	for (v -= 1; v && log2 < 64; v >>= 1)
		log2++;
	return log2;
}

/* The bucket of the density histogram for @dirty of @pages. */
static __always_inline __u32 density_bucket(__u64 dirty, __u64 pages)
{
	__u32 i;

	if (!dirty)
		return 0;
	/* bucket i: dirty / pages <= 2^-(13 - i) */
	for (i = 1; i < IOVAB_DENSITY_BUCKETS - 1; i++)
		if (dirty << (IOVAB_DENSITY_BUCKETS - 1 - i) <= pages)
			break;
	return i;
}

/* Reads from the object which part of the bitmap was just pinned. */
static __always_inline void window_locate(struct report *r, struct iova_bitmap *obj,
					  __u64 npages)
{
	__u64 base = BPF_CORE_READ(obj, mapped_base_index) * index_bytes;
	__u64 total = BPF_CORE_READ(obj, mapped_total_index) * index_bytes;
	__u64 offset = BPF_CORE_READ(obj, mapped.pgoff);
	__u64 bytes = (npages << cpu_page_shift) - offset;
	__u64 pages = ((r->length - 1) >> r->page_shift) + 1;

	if (bytes > total - base)
		bytes = total - base;
	r->window_addr = (__u64)BPF_CORE_READ(obj, bitmap) + base;
	r->window_page = base * 8;
	r->window_pages = bytes * 8;
	if (r->window_pages > pages - r->window_page)
		r->window_pages = pages - r->window_page;
}

/*
 * Up to which start a mark of the streak's length lies inside the window. A
 * window that is shorter than such a mark ends the streak.
 */
static __always_inline void window_bound_streak(struct iovab_slot *s, const struct report *r)
{
	__u64 first = r->iova + (r->window_page << r->page_shift);
	__u64 last = first + (r->window_pages << r->page_shift) - 1;
	__u64 range_last = r->iova + r->length - 1;

	if (last > range_last || last < first)
		last = range_last;
	if (s->mark_length - 1 > last - first)
		s->next = IOVAB_NO_STREAK;
	s->last_start = last - (s->mark_length - 1);
}

static __always_inline void window_scan_start(struct report *r)
{
	__s64 set;
	__u64 t0;
	__u32 i;

	for (i = 0; i < IOVAB_CELLS; i++)
		r->cells[i] = 0;
	i = log2_ceil(r->window_pages);
	/* a cell is at least one group of the scan, and there are 2^6 of them */
	r->cell_shift = i < 9 + 6 ? 9 : i - 6;

	t0 = bpf_ktime_get_ns();
	set = scan_window(r, SCAN_PIN_EXIT, false);
	r->own_ns += bpf_ktime_get_ns() - t0;
	r->window_skipped = set < 0;
	r->window_dirty = set;
}

/* Tells user space about the window that ends; @dirty is what it found. */
static __always_inline void window_announce(const struct report *r, const struct iovab_slot *s,
					    __u64 dirty, __u64 now)
{
	struct iovab_window_event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	__u32 i;

	if (!e) {
		count(&losses.events_dropped);
		return;
	}
	e->source_id = s->source_id;
	e->pages = s->pages_now;
	e->start_ns = r->window_start_ns;
	e->end_ns = now;
	e->iova = r->iova + (r->window_page << r->page_shift);
	e->length = r->window_pages << r->page_shift;
	e->page_size = 1ULL << r->page_shift;
	e->dirty_pages = dirty;
	e->scan_skipped = r->window_skipped;
	e->cell_shift = r->cell_shift;
	for (i = 0; i < IOVAB_CELLS; i++)
		e->cells[i] = r->cells[i];
	bpf_ringbuf_submit(e, 0);
}

static __always_inline void window_scan_end(struct report *r, struct iovab_slot *s,
					    enum scan_user user)
{
	__u64 t0 = bpf_ktime_get_ns(), now, dirty = 0;
	__s64 set;
	__u32 b;

	if (!r->window_skipped) {
		set = scan_window(r, user, true);
		/* fewer than at the start: somebody cleared bits meanwhile */
		if (set < 0 || set < (__s64)r->window_dirty)
			r->window_skipped = 1;
		else
			dirty = set - r->window_dirty;
	}
	if (r->window_skipped) {
		r->scan_skipped++;
	} else {
		r->dirty_pages += dirty;
		r->windows_clean += !dirty;
		b = density_bucket(dirty, r->window_pages);
		if (b < IOVAB_DENSITY_BUCKETS)
			r->density[b]++;
	}
	now = bpf_ktime_get_ns();
	if (want_events)
		window_announce(r, s, dirty, t0);
	r->own_ns += now - t0;
}

static __always_inline void window_end(struct report *r, struct iovab_slot *s, enum scan_user user)
{
	if (!r->window_pages)
		return;
	if (tier >= IOVAB_TIER_DENSITY)
		window_scan_end(r, s, user);
	r->window_pages = 0;
	s->pages_now = 0;
}

static __always_inline void window_start(struct report *r, struct iovab_slot *s,
					 struct iova_bitmap *obj, __u64 npages, __u64 now)
{
	window_locate(r, obj, npages);
	window_bound_streak(s, r);
	s->pages_now = npages;
	r->windows++;
	r->pages_pinned += npages;
	if (r->window_page < r->next_window_page)
		r->repins++;
	else
		r->next_window_page = r->window_page + r->window_pages;
	r->window_start_ns = now;
	if (tier >= IOVAB_TIER_DENSITY)
		window_scan_start(r);
}

static __always_inline void pin_timed(struct report *r, __u64 ns)
{
	__u32 b = iovab_hist_index(ns);

	if (b < IOVAB_HIST_BUCKETS)
		r->pin_bucket[b]++;
	r->pin_sum_ns += ns;
	if (ns < r->pin_min_ns)
		r->pin_min_ns = ns;
	if (ns > r->pin_max_ns)
		r->pin_max_ns = ns;
}

#endif /* IOVAB_BPF_WINDOW_H */
