/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Marks: one call of iova_bitmap_set each, up to millions a report.
 *
 * Most marks are of a series (series.h) and counted there. Every other mark ends the
 * series, is taken apart against the range and the window, and begins the next series
 * if it is of whole pages and lies where marks change nothing.
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

/*
 * Works out where a mark is sure to be written whole, and to change nothing for other
 * policies: inside the window if the kernel pins ahead, inside the range if it pins what
 * is marked, and inside the calm stretch (whatif.h). Says whether there is such a place.
 * A global function, as others here: the verifier looks at it once, and not on every path
 * that leads to it. It is handed the series, which is not NULL: below the tier sets, where
 * there is none, the verifier looks at it all the same.
 */
__noinline int series_bound(struct iovab_series *s, __u32 n)
{
	struct report *r = report_at(n);
	struct what_if *w = what_if_at(n);
	__u64 first, last, window_last;

	if (!s || !r || !w || (REFERENCE && r->failed))
		return 0;
	first = r->iova;
	last = r->iova + r->length - 1;
	if (!lazy) {
		first += r->window_page << r->page_shift;
		window_last = first + (r->window_pages << r->page_shift) - 1;
		if (window_last >= first && window_last < last)
			last = window_last;
	}
	s->lowest = what_if_lowest(r, w, first);
	if (w->calm_first > first)
		first = w->calm_first;
	if (w->calm_last < last)
		last = w->calm_last;
	/* one past the last byte of an address space is no number */
	if (last < first || last == ~0ULL)
		return 0;
	s->minus_base = -first;
	s->byte_mask = ~((8ULL << r->page_shift) - 1);
	s->room = last - first + 1;
	return 1;
}

/*
 * The series that goes on ends: what it adds up to goes to the report, but for what the
 * tally has. Its last run may still go on; the pages of it are left in run_pages.
 */
__noinline int series_settle(struct iovab_series *s, __u32 n)
{
	struct report *r = report_at(n);
	struct what_if *w = what_if_at(n);
	__u64 pages, lone;

	if (!s || !s->room || !r || !w)
		return 0;
	pages = s->mark_length >> (r->page_shift & 63);
	lone = s->lone + s->descents;
	if (s->starts) {
		s->prev_start = s->next - s->mark_length;
		if (s->end_mask != RUN_GOES_ON)
			s->run_start = s->prev_start;
		if (lone)
			r->runs[run_bucket(pages)] += lone;
		s->set_calls += lone;
		r->marked_pages += lone * pages;
		s->descending += s->descents;
		if (s->descents)
			what_if_descended(r, w, -s->minus_base, s->descents);
		s->lone = s->descents = 0;
	}
	/* the run: its first mark is counted nowhere yet, the others as adjoined */
	r->run_pages = (s->next - s->run_start) >> r->page_shift;
	s->set_calls++;
	r->marked_pages += r->run_pages;
	r->prev_start = s->prev_start;
	r->prev_last = s->next - 1;
	s->room = s->starts = 0;
	s->lowest = NO_DESCENT;
	return 0;
}

/*
 * A mark, whose place series_bound() has found fit, begins a series. A run that it goes on
 * with is in the counters already; it will be counted again as a whole.
 */
static __always_inline void series_begin(struct iovab_series *s, struct report *r, __u64 start,
					 __u64 length)
{
	bool from_page = !(r->iova & s->page_mask);

	s->mark_length = length;
	s->starts = from_page ? s->room - length + 1 : 0;
	s->end_mask = s->page_mask;
	s->next = start + length;
	s->run_start = s->prev_start = start;
	if (!from_page)
		s->lowest = NO_DESCENT;
	if (!r->run_pages)
		return;
	s->end_mask = RUN_GOES_ON;
	s->run_start -= r->run_pages << r->page_shift;
	s->adjoined++;
	s->set_calls--;
	r->marked_pages -= r->run_pages;
}

static __always_inline void run_end(struct report *r)
{
	if (r->run_pages)
		r->runs[run_bucket(r->run_pages)]++;
	r->run_pages = 0;
}

/* Compares a mark with the one before: order, and whether the run goes on. */
static __always_inline void mark_order(struct iovab_series *s, struct report *r,
				       __u64 start, __u64 last)
{
	if (r->marked && start == r->prev_last + 1)
		return;
	run_end(r);
	if (!r->marked)
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
static __always_inline void mark_wrapped(struct report *r, __u64 pages_below, __u64 last_page)
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
	r->marked_pages += last_page + 1;
	r->run_pages += last_page + 1;
	if (last_page >= past)
		mark_lost(r, IOVAB_LOST_WINDOW, past, last_page - past + 1);
}

/* The pages of [start, last], which is not empty, go to marked, lost and overshoot. */
__noinline int mark_split(__u32 n, __u64 start, __u64 last)
{
	__u64 first_page = 0, last_page, pages, range_pages, window_past;
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
			mark_wrapped(r, to, (last - r->iova) >> r->page_shift);
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
	r->marked_pages += pages;
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
__noinline int mark_apart(struct iovab_series *s, __u32 n, __u64 start, __u64 length)
{
	struct report *r = report_at(n);
	struct what_if *w = what_if_at(n);
	__u64 last = start + length - 1;

	if (!s || !r || !w)
		return 0;
	series_settle(s, n);
	if (last < start)
		last = ~0ULL;		/* runs off the address space */
	if (!length) {
		s->set_calls++;
		r->empty_marks++;
		r->wild_marks += !REFERENCE;
		r->mark_empty = 1;
		return 0;
	}
	r->mark_empty = 0;
	mark_order(s, r, start, last);
	r->marked = 1;
	if (!what_if_calm(w, start, last))
		what_if_mark(n, w, start, last);
	s->page_shift = r->page_shift;
	s->page_mask = (1ULL << r->page_shift) - 1;
	if (!(((start - r->iova) | length) & s->page_mask) && series_bound(s, n)) {
		__u64 offset = start + s->minus_base;

		if (offset < s->room && length <= s->room - offset) {
			series_begin(s, r, start, length);
			return 0;
		}
		s->room = 0;
		s->lowest = NO_DESCENT;
	}
	mark_split(n, start, last);
	s->set_calls++;
	r->prev_start = start;
	r->prev_last = last;
	return 0;
}

/*
 * The mark whose set is running: the last one that was counted. False: it is before
 * the range, or is empty.
 */
static __always_inline bool mark_current(const struct iovab_series *s, const struct report *r,
					 __u64 *first_page, __u64 *last_page)
{
	__u64 start = r->prev_start, last = r->prev_last;

	if (s->room) {
		start = s->starts ? s->next - s->mark_length : s->prev_start;
		last = s->next - 1;
	}
	if (start < r->iova || r->mark_empty)
		return false;
	*first_page = (start - r->iova) >> r->page_shift;
	*last_page = (last - r->iova) >> r->page_shift;
	return true;
}

/* A lazy kernel's pin from the user address @addr on failed, inside set. */
static __always_inline void mark_pin_failed(const struct iovab_series *s, struct report *r,
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
 * past the range will be written. An eager one moved on, and marks have room elsewhere.
 */
static __always_inline void mark_pinned(__u32 n, struct report *r)
{
	__u64 first, last;

	if (!lazy)
		series_settle(series_at(n), n);
	else if (mark_current(series_at(n), r, &first, &last))
		mark_stray(r, first, last);
}

/* The report's last marks; leaves nothing uncounted. Returns 0. */
__noinline int mark_finish(struct iovab_series *s, __u32 n)
{
	struct report *r = report_at(n);
	__u32 i;

	if (!s || !r)
		return 0;
	series_settle(s, n);
	run_end(r);
	s->set_calls += s->adjoined;
	r->marked_pages += s->long_pages;
	r->descending = s->descending;
	r->overlapping = s->overlapping;
	for (i = 0; i < TALLY_EXACT; i++) {
		r->runs[run_bucket(i)] += s->tally[i];
		s->set_calls += s->tally[i];
		r->marked_pages += i * s->tally[i];
	}
	for (i = 0; i < IOVAB_RUN_BUCKETS; i++) {
		r->runs[i] += s->tally_long[i];
		s->set_calls += s->tally_long[i];
	}
	return 0;
}

#endif /* IOVAB_BPF_MARK_H */
