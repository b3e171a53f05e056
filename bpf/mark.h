/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Marks: one call of iova_bitmap_set each, up to millions a report.
 *
 * Drivers mark a page at a time, mostly in ascending order. So a mark of a
 * series (see struct iovab_slot) that goes on where the last one ended is not
 * even counted: the run's end moves on. One that jumps costs a few more
 * compares. Every other mark ends the series, is taken apart against the range
 * and the window, and begins the next series.
 *
 * Figures are pages of the report, and a mark touches a page if it touches a
 * byte of it. What lies outside the range is overshoot, and stray as far as the
 * kernel wrote it into memory that it had pinned. What lies inside is marked,
 * and lost if the kernel could not write it. On an eager kernel that is what
 * lies past the window's end, and all of a mark that begins before the window;
 * on a lazy one, from where a pin failed on, and all of a mark that begins
 * before the range.
 *
 * A mark of length 0 covers nothing. What kernels make of it depends on where it
 * is: nothing, a bit, a page of bits, an endless loop. It is counted as such, and
 * user space calls the figures that it may have touched unknown.
 */
#ifndef IOVAB_BPF_MARK_H
#define IOVAB_BPF_MARK_H

#include "whatif.h"

static __always_inline __u32 run_bucket(__u64 pages)
{
	__u32 log2 = iovab_log2(pages);

	return log2 > IOVAB_RUN_BUCKETS - 1 ? IOVAB_RUN_BUCKETS - 1 : log2;
}

/*
 * Where a mark of the series' length is sure to be written whole, and to change
 * nothing for other policies: inside the window if the kernel pins ahead, inside the
 * range if it pins what is marked, and inside the calm stretch (whatif.h). 0 if
 * there is no room for such a mark. A global function, as others here: the verifier
 * looks at it once, and not on every path that leads to it.
 */
__noinline int series_bound(__u32 n)
{
	struct iovab_slot *s = slot_at(n);
	struct report *r = report_at(n);
	struct what_if *w = what_if_at(n);
	__u64 first, last, window_last;

	if (!r || !w || (REFERENCE && r->failed))
		return 0;
	first = r->iova;
	last = r->iova + r->length - 1;
	if (!lazy) {
		first += r->window_page << r->page_shift;
		window_last = first + (r->window_pages << r->page_shift) - 1;
		if (window_last >= first && window_last < last)
			last = window_last;
	}
	if (w->calm_first > first)
		first = w->calm_first;
	if (w->calm_last < last)
		last = w->calm_last;
	if (last < first)
		return 0;
	s->first_start = first;
	s->span = last - first - (s->mark_length - 1);
	return s->mark_length - 1 <= last - first;
}

/*
 * Ends the series: what it adds up to goes to the counters. Its last run may
 * still go on; the pages of it are left in run_pages.
 */
static __always_inline void series_settle(struct iovab_slot *s, struct report *r)
{
	__u64 mark_pages = s->mark_length >> r->page_shift;
	__u64 bytes = s->next - s->anchor;

	if (s->next == IOVAB_NO_SERIES)
		return;
	if (s->singles)
		r->runs[run_bucket(mark_pages)] += s->singles;
	s->set_calls += s->singles + bytes / s->mark_length;
	s->marked_pages += s->singles * mark_pages + (bytes >> r->page_shift);
	s->singles = 0;
	r->run_pages = (s->next - s->run_start) >> r->page_shift;
	r->prev_start = s->next - s->mark_length;
	r->prev_last = s->next - 1;
	s->next = IOVAB_NO_SERIES;
}

static __always_inline void run_end(struct report *r)
{
	if (r->run_pages)
		r->runs[run_bucket(r->run_pages)]++;
	r->run_pages = 0;
}

/* Compares a mark with the one before: order, and whether the run goes on. */
static __always_inline void mark_order(struct iovab_slot *s, struct report *r,
				       __u64 start, __u64 last)
{
	if (s->set_calls && start == r->prev_last + 1)
		return;
	run_end(r);
	if (!s->set_calls)
		return;
	if (last < r->prev_start)
		s->descending++;
	else if (start <= r->prev_last)
		s->overlapping++;
}

/*
 * What a mark of these pages wrote past the range, into the window's memory:
 * bits that no mark before it reached. (A gap that a later mark fills is not
 * looked for.)
 */
static __always_inline void mark_stray(struct report *r, __u64 first_page, __u64 last_page)
{
	__u64 from = ((r->length - 1) >> r->page_shift) + 1;

	if (from < first_page)
		from = first_page;
	if (from < r->window_page)
		from = r->window_page;
	if (last_page >= r->window_pinned)
		last_page = r->window_pinned - 1;
	if (from < r->stray_past)
		from = r->stray_past;
	if (last_page < from)
		return;
	r->stray_bits += last_page - from + 1;
	r->stray_past = last_page + 1;
}

/* Pages that the report lost, for whatever reason. */
static __always_inline __u64 marks_lost(const struct report *r)
{
	__u64 pages = 0;
	__u32 i;

	for (i = 0; i < IOVAB_LOST_REASONS; i++)
		pages += r->lost_pages[i];
	return pages;
}

/* @pages from @first_page on, inside the range, did not reach the bitmap. */
static __always_inline void mark_lost(struct report *r, enum iovab_lost why, __u64 first_page,
				      __u64 pages)
{
	if (!marks_lost(r))
		r->lost_page = first_page;
	r->lost_pages[why] += pages;
}

/*
 * An eager kernel's index of a mark that begins @pages_below pages before the
 * window wraps around. It is dropped as too high, unless the bitmap does not begin
 * on a CPU page and the part of that page before it has room for all these pages:
 * then the index's upper half is cut off, and the kernel writes from there on.
 */
static __always_inline bool mark_wraps(const struct report *r, __u64 pages_below)
{
	__u64 offset = r->window_addr & ((1ULL << cpu_page_shift) - 1);

	return r->page_shift + cpu_page_shift + 3 <= 32 && pages_below <= offset * 8;
}

/* Bits @from to @to before the bitmap (1: the last one before it) were written. */
static __always_inline void mark_stray_before(struct report *r, __u64 from, __u64 to)
{
	if (to <= r->stray_before)
		return;
	if (from <= r->stray_before)
		from = r->stray_before + 1;
	r->stray_bits += to - from + 1;
	r->stray_before = to;
}

/*
 * Such a mark that wraps and ends inside the range, at @last_page, sets all bits
 * from its first one to the end of that CPU page of bitmap, marked or not.
 */
static __always_inline void mark_wrapped(struct iovab_slot *s, struct report *r, __u64 pages_below,
					 __u64 last_page)
{
	__u64 range_pages = ((r->length - 1) >> r->page_shift) + 1;
	__u64 offset = r->window_addr & ((1ULL << cpu_page_shift) - 1);
	__u64 past = (8ULL << cpu_page_shift) - offset * 8;	/* the page's end, as a page */

	r->wild_marks++;
	mark_stray_before(r, 1, pages_below);
	if (past > range_pages)
		mark_stray(r, range_pages, past - 1);
	if (last_page >= range_pages) {
		r->overshoot_pages += last_page - range_pages + 1;
		last_page = range_pages - 1;
	}
	s->marked_pages += last_page + 1;
	r->run_pages += last_page + 1;
	if (last_page >= past)
		mark_lost(r, IOVAB_LOST_WINDOW, past, last_page - past + 1);
}

/* The pages of [start, last], which is not empty, go to marked, lost and overshoot. */
__noinline int mark_split(__u32 n, __u64 start, __u64 last)
{
	__u64 first_page = 0, last_page, pages, range_pages, window_past;
	struct iovab_slot *s = slot_at(n);
	struct report *r = report_at(n);
	bool below;

	if (!r)
		return 0;
	range_pages = ((r->length - 1) >> r->page_shift) + 1;
	window_past = r->window_page + r->window_pages;
	below = start < r->iova;
	if (below) {
		__u64 below_last = last < r->iova ? last : r->iova - 1;
		/* pages before the base are counted from the base down, from 1 on */
		__u64 from = ((r->iova - 1 - below_last) >> r->page_shift) + 1;
		__u64 to = ((r->iova - 1 - start) >> r->page_shift) + 1;
		bool wraps = !lazy && !r->window_page && mark_wraps(r, to);

		r->overshoot_pages += to - from + 1;
		if (last < r->iova) {
			if (wraps)
				mark_stray_before(r, from, to);
			return 0;
		}
		if (wraps) {
			mark_wrapped(s, r, to, (last - r->iova) >> r->page_shift);
			return 0;
		}
	} else {
		first_page = (start - r->iova) >> r->page_shift;
	}
	last_page = (last - r->iova) >> r->page_shift;
	if (last_page >= range_pages) {
		r->overshoot_pages += last_page - (first_page > range_pages ?
						   first_page : range_pages) + 1;
		if (!lazy && !below && first_page >= r->window_page)
			mark_stray(r, first_page, last_page);
		if (first_page >= range_pages)
			return 0;
		last_page = range_pages - 1;
	}

	pages = last_page - first_page + 1;
	s->marked_pages += pages;
	r->run_pages += pages;
	if (lazy) {
		if (below && !REFERENCE)
			mark_lost(r, IOVAB_LOST_BELOW, first_page, pages);
		return 0;
	}
	if (!r->window_pages)
		return 0;		/* its pin was not seen: nobody knows */
	if (below || first_page < r->window_page) {
		mark_lost(r, IOVAB_LOST_WINDOW, first_page, pages);
	} else if (last_page >= window_past) {
		if (first_page < window_past)
			first_page = window_past;
		mark_lost(r, IOVAB_LOST_WINDOW, first_page, last_page - first_page + 1);
	}
	return 0;
}

/* A mark that is not of the series that goes on. */
static __always_inline void mark_apart(__u32 n, struct iovab_slot *s, struct report *r,
				       struct what_if *w, __u64 start, __u64 length)
{
	__u64 last = start + length - 1;

	series_settle(s, r);
	if (last < start)
		last = ~0ULL;		/* runs off the address space */
	if (!length) {
		s->set_calls++;
		r->empty_marks++;
		r->wild_marks += !REFERENCE;
		r->mark_empty = 1;
		return;
	}
	r->mark_empty = 0;
	mark_order(s, r, start, last);
	if (!what_if_calm(w, start, last))
		what_if_mark(n, start, last);
	s->mark_length = length;
	s->page_mask = (1ULL << r->page_shift) - 1;
	if (!(((start - r->iova) | length) & s->page_mask) && series_bound(n) &&
	    start - s->first_start <= s->span) {
		/* it begins a series; the run may have begun before it */
		s->run_start = start - (r->run_pages << r->page_shift);
		s->anchor = start;
		s->next = start + length;
		return;
	}
	mark_split(n, start, last);
	s->set_calls++;
	r->prev_start = start;
	r->prev_last = last;
}

/*
 * A mark of the series: inside, aligned, of its length. True if it was counted;
 * false if it is none, or ends a run of several marks.
 */
static __always_inline bool mark_in_series(struct iovab_slot *s, __u64 start, __u64 length)
{
	__u64 offset = start - s->first_start;

	if (length != s->mark_length || offset > s->span)
		return false;
	if (start == s->next) {
		s->next = start + length;
		return true;
	}
	if (offset & s->page_mask || s->next - s->run_start != length)
		return false;
	s->singles++;
	if (start < s->next) {
		if (start + length <= s->run_start)
			s->descending++;
		else
			s->overlapping++;
	}
	s->run_start = s->anchor = start;
	s->next = start + length;
	return true;
}

/*
 * The mark whose set is running: the last one that was counted. False: it is before
 * the range, or is empty.
 */
static __always_inline bool mark_current(const struct iovab_slot *s, const struct report *r,
					 __u64 *first_page, __u64 *last_page)
{
	__u64 start = r->prev_start, last = r->prev_last;

	if (s->next != IOVAB_NO_SERIES) {
		start = s->next - s->mark_length;
		last = s->next - 1;
	}
	if (start < r->iova || r->mark_empty)
		return false;
	*first_page = (start - r->iova) >> r->page_shift;
	*last_page = (last - r->iova) >> r->page_shift;
	return true;
}

/* A lazy kernel's pin from the user address @addr on failed, inside set. */
static __always_inline void mark_pin_failed(struct iovab_slot *s, struct report *r,
					    __u64 addr)
{
	__u64 first, last, base = (addr - r->bitmap_addr) * 8;
	__u64 range_pages = ((r->length - 1) >> r->page_shift) + 1;

	if (!mark_current(s, r, &first, &last))
		return;
	if (first < base)
		first = base;
	if (last >= range_pages)
		last = range_pages - 1;
	if (last >= first)
		mark_lost(r, IOVAB_LOST_PIN, first, last - first + 1);
}

/*
 * A window was pinned. A lazy kernel did that inside set: what of the mark lies
 * past the range will be written. An eager one moved on: the series goes on only
 * if its marks have room in the new window.
 */
static __always_inline void mark_pinned(__u32 n, struct iovab_slot *s, struct report *r)
{
	__u64 first, last;

	if (lazy) {
		if (mark_current(s, r, &first, &last))
			mark_stray(r, first, last);
	} else if (s->next != IOVAB_NO_SERIES && !series_bound(n)) {
		series_settle(s, r);
	}
}

/* The report's last marks; leaves nothing uncounted. */
static __always_inline void mark_finish(struct iovab_slot *s, struct report *r)
{
	series_settle(s, r);
	run_end(r);
}

#endif /* IOVAB_BPF_MARK_H */
