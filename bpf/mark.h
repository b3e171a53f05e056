/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Marks: one call of iova_bitmap_set each, up to millions a report.
 *
 * Drivers mark a page at a time, mostly in ascending order. So a mark that
 * continues a streak (see struct iovab_slot) is not counted at all: the streak's end
 * moves on. Every other mark ends the streak, is taken apart against the range
 * and the window, and begins the next streak.
 *
 * Figures are pages of the report, and a mark touches a page if it touches a
 * byte of it. What lies outside the range is overshoot. What lies inside is
 * marked, and lost if the kernel could not write it: up to v6.7 that is what
 * lies past the window's end, and all of a mark that begins before the window.
 */
#ifndef IOVAB_BPF_MARK_H
#define IOVAB_BPF_MARK_H

#include "window.h"

/* Adds the streak's uncounted marks to the counters. */
static __always_inline void mark_settle(struct iovab_slot *s, const struct report *r)
{
	__u64 bytes = s->next - s->anchor;

	if (s->next == IOVAB_NO_STREAK || !bytes)
		return;
	s->set_calls += bytes / s->mark_length;
	s->marked_pages += bytes >> r->page_shift;
	s->run_pages += bytes >> r->page_shift;
	s->prev_start = s->next - s->mark_length;
	s->prev_last = s->next - 1;
	s->anchor = s->next;
}

static __always_inline void run_end(struct iovab_slot *s, struct report *r)
{
	__u32 log2 = 0;
	__u64 v = s->run_pages;

	if (!v)
		return;
	if (v >> 32) { v >>= 32; log2 += 32; }
	if (v >> 16) { v >>= 16; log2 += 16; }
	if (v >> 8) { v >>= 8; log2 += 8; }
	if (v >> 4) { v >>= 4; log2 += 4; }
	if (v >> 2) { v >>= 2; log2 += 2; }
	log2 += v >> 1;
	if (log2 > IOVAB_RUN_BUCKETS - 1)
		log2 = IOVAB_RUN_BUCKETS - 1;
	r->runs[log2]++;
	s->run_pages = 0;
}

/* Compares a mark with the one before: order, and whether the run goes on. */
static __always_inline void mark_order(struct iovab_slot *s, struct report *r, __u64 start, __u64 last)
{
	if (s->set_calls && start == s->prev_last + 1)
		return;
	run_end(s, r);
	if (!s->set_calls)
		return;
	if (last < s->prev_start)
		s->descending++;
	else if (start <= s->prev_last)
		s->overlapping++;
}

/* The pages of [start, last], which is not empty, go to marked, lost and overshoot. */
static __always_inline void mark_split(struct iovab_slot *s, const struct report *r,
				       __u64 start, __u64 last)
{
	__u64 range_pages = ((r->length - 1) >> r->page_shift) + 1;
	__u64 window_past = r->window_page + r->window_pages;
	__u64 first_page = 0, last_page, pages;
	bool below = start < r->iova;

	if (below) {
		__u64 below_last = last < r->iova ? last : r->iova - 1;

		/* pages before the base are counted from the base down */
		s->overshoot_pages += ((r->iova - 1 - start) >> r->page_shift) -
				      ((r->iova - 1 - below_last) >> r->page_shift) + 1;
		if (last < r->iova)
			return;
	} else {
		first_page = (start - r->iova) >> r->page_shift;
	}
	last_page = (last - r->iova) >> r->page_shift;
	if (last_page >= range_pages) {
		s->overshoot_pages += last_page - (first_page > range_pages ?
						   first_page : range_pages) + 1;
		if (first_page >= range_pages)
			return;
		last_page = range_pages - 1;
	}

	pages = last_page - first_page + 1;
	s->marked_pages += pages;
	s->run_pages += pages;
	if (below || first_page < r->window_page)
		s->lost_pages += pages;
	else if (last_page >= window_past)
		s->lost_pages += last_page - (first_page > window_past ?
					      first_page : window_past) + 1;
}

static __noinline int mark_apart(__u32 n, __u64 start, __u64 length)
{
	struct iovab_slot *s = slot_at(n);
	struct report *r = report_at(n);
	__u64 last = start + length - 1, page_mask;

	if (!r)
		return 0;
	mark_settle(s, r);
	s->next = IOVAB_NO_STREAK;
	if (last < start)
		last = ~0ULL;		/* runs off the address space */
	if (!length) {
		s->set_calls++;		/* marks nothing: only the call counts */
		return 0;
	}
	mark_order(s, r, start, last);
	mark_split(s, r, start, last);
	s->set_calls++;
	s->prev_start = start;
	s->prev_last = last;

	page_mask = (1ULL << r->page_shift) - 1;
	if (((start - r->iova) | length) & page_mask)
		return 0;
	s->next = last + 1;
	s->anchor = s->next;
	s->mark_length = length;
	window_bound_streak(s, r);
	return 0;
}

/* The report's last marks; leaves nothing uncounted. */
static __always_inline void mark_finish(struct iovab_slot *s, struct report *r)
{
	mark_settle(s, r);
	run_end(s, r);
}

#endif /* IOVAB_BPF_MARK_H */
