/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Series: marks that are counted with next to nothing.
 *
 * Between two events that change something, most marks fall where they change nothing but
 * a few sums: inside the range, inside the window that is pinned (eager kernels), and
 * where other policies have pinned as well (whatif.h). That stretch of IOVA is worked
 * out when a series begins, and a mark that is made of whole pages and lies in it is of
 * the series. It is counted by what it does to the run of adjoining marks that goes on:
 *
 *	lone	marks of one length, none of which adjoins the one before: one compare a
 *		mark, and a counter of them. It is the state in which a series begins.
 *	run	marks of one length, the last ones of which adjoin.
 *	any	marks of any length. Each run that ends is counted in a tally by its
 *		length; a series stays in this state.
 *
 * The first two share one check: the end of a mark must not have a bit of end_mask, which
 * has all bits while a run goes on, and then leads away from the lone marks' path.
 *
 * Marks that descend make a lazy policy pin anew each time. As long as that is the same
 * number of pages, and nothing else changes, it is enough to count them (descents), and
 * to move the series' begin.
 *
 * What a series has counted becomes the report's when it ends (mark.h): sums need not
 * be there before (user space adds up those of reports under way: user/cost.c). A series is used by the task that walks its object and by nobody
 * else, so there is no lock, no atomic and no line of cache that two CPUs write: each
 * has lines of its own. The one line that all read, which object is the favourite, is
 * written when that report begins and ends.
 */
#ifndef IOVAB_BPF_SERIES_H
#define IOVAB_BPF_SERIES_H

#include "state.h"

#define TALLY_EXACT	IOVAB_TALLY_EXACT
#define RUN_GOES_ON	(~0ULL)	/* in end_mask */
#define NO_DESCENT	(~0ULL)	/* in lowest */

/*
 * The series of all slots. Slot 0 is taken first: while there is one report at a time, or
 * for one of several, no hash is needed to find it. Below the tier sets only the first is
 * there (user/session.c): what touches them is never reached then, as the verifier must see.
 */
struct {
	__u64 favourite;	/* the object of slot 0 */
	__u64 pad[7];
	struct iovab_series of[IOVAB_MAX_REPORTS];
} series __attribute__((aligned(64)));

static __always_inline struct iovab_series *series_at(__u32 n)
{
	return &series.of[n & (IOVAB_MAX_REPORTS - 1)];
}

/* A report begins: nothing is counted, and no series goes on. */
static __always_inline void series_reset(__u32 n, __u64 obj)
{
	struct iovab_series *s = series_at(n);

	__builtin_memset(s, 0, sizeof(*s));
	s->lowest = NO_DESCENT;
	s->obj = obj;
	if (!n)
		series.favourite = obj;
}

/* It ends: from here on its object's address may be somebody else's. */
static __always_inline void series_forget(__u32 n)
{
	if (tier < IOVAB_TIER_SETS)
		return;
	series_at(n)->obj = 0;
	if (!n)
		series.favourite = 0;
}

static __always_inline __u32 run_bucket(__u64 pages)
{
	__u32 log2 = iovab_log2(pages);

	return log2 > IOVAB_RUN_BUCKETS - 1 ? IOVAB_RUN_BUCKETS - 1 : log2;
}

/* A run of so many bytes ended. False: it is a long one, and only short ones are @quick. */
static __always_inline bool tally_run(struct iovab_series *s, __u64 bytes, bool quick)
{
	__u64 pages = bytes >> s->page_shift;
	__u32 b;

	if (pages < TALLY_EXACT) {
		s->tally[pages]++;
		return true;
	}
	if (quick)
		return false;
	b = run_bucket(pages);
	if (b < IOVAB_RUN_BUCKETS)
		s->tally_long[b]++;
	s->long_pages += pages;
	return true;
}

/*
 * Keeps the compiler from sharing what is alike in two ways through the program, which
 * saves bytes and costs instructions, and from reading ahead what only one of them needs,
 * which costs registers.
 */
#define APART() asm volatile("" : : "i"(__COUNTER__) : "memory")

/* A mark does not ascend from the one that began at @prev_start. */
static __always_inline void order_back(struct iovab_series *s, __u64 end, __u64 prev_start)
{
	if (end <= prev_start) {
		s->descending++;
		APART();
	} else {
		s->overlapping++;
		APART();
	}
}

/* From marks of one length to marks of any. False: it cannot be done here. */
static __always_inline bool series_widen(struct iovab_series *s)
{
	__u64 pages = s->mark_length >> s->page_shift;

	if (s->descents || pages >= TALLY_EXACT)
		return false;
	s->tally[pages] += s->lone;
	s->lone = 0;
	s->prev_start = s->next - s->mark_length;
	if (s->end_mask != RUN_GOES_ON)
		s->run_start = s->prev_start;
	s->starts = 0;
	s->lowest = NO_DESCENT;
	return true;
}

/*
 * Counts a mark that is of the series, whose @offset from its base is given. False: it
 * is none, or not one for who is @quick, and nothing was counted.
 */
static __always_inline bool mark_any(struct iovab_series *s, __u64 offset, __u64 start, __u64 length,
				     bool quick)
{
	__u64 room = s->room;

	if (offset >= room || length > room - offset || !length)
		return false;
	if ((offset | length) & s->page_mask)
		return false;
	if (s->starts && (quick || !series_widen(s)))
		return false;
	length += start;
	if (start == s->next) {
		s->adjoined++;
		APART();
	} else {
		if (!tally_run(s, s->next - s->run_start, quick))
			return false;
		if (start < s->next)
			order_back(s, length, s->prev_start);
		s->run_start = start;
	}
	s->prev_start = start;
	s->next = length;
	return true;
}

/*
 * The same for a mark of a length that may be the series'. @quick is for the program
 * itself: it leaves out what is seldom and needs more registers than a program has
 * without saving some, which costs as much as all of this.
 */
static __always_inline bool mark_in_series(struct iovab_series *s, __u64 start, __u64 length, bool quick)
{
	__u64 offset = start + s->minus_base, end;

	if (length != s->mark_length)
		return mark_any(s, offset, start, length, quick);
	if (offset >= s->starts) {
		/* a series of any; or out of this one at its end, or below it */
		if (!s->starts)
			return mark_any(s, offset, start, length, quick);
		end = start + length;
		if ((__s64)offset >= 0 || start < s->lowest || end & s->end_mask ||
		    end > s->next - length)
			return false;
		s->descents++;
		s->next = end;
		s->minus_base = -(start & s->byte_mask);
		APART();
		return true;
	}
	end = length + start;
	/* the length is end - start from here on: a register less */
	asm volatile("" : "+r"(end));
	if (!(end & s->end_mask)) {
		APART();
		if (start > s->next) {
			s->lone++;
			s->next = end;
			APART();
			return true;
		}
		if (start == s->next) {
			s->run_start = start - (end - start);
			s->end_mask = RUN_GOES_ON;
			s->adjoined++;
			s->next = end;
			APART();
			return true;
		}
		s->lone++;
		order_back(s, end, s->next - (end - start));
		s->next = end;
		return true;
	}
	APART();
	if (start == s->next) {
		s->adjoined++;
		s->next = end;
		APART();
		return true;
	}
	if (end & s->page_mask)
		return false;
	APART();
	if (!tally_run(s, s->next - s->run_start, quick))
		return false;
	if (start < s->next)
		order_back(s, end, s->next - (end - start));
	s->end_mask = s->page_mask;
	s->next = end;
	return true;
}

/* Counts the commonest mark: one of the favourite's. False: it was not counted. */
static __always_inline bool mark_in_passing(__u64 obj, __u64 start, __u64 length)
{
	typeof(series) *all = &series;

	/* the address is long to write down: once will do */
	asm volatile("" : "+r"(all));
	return all->favourite == obj && mark_in_series(&all->of[0], start, length, true);
}

#endif /* IOVAB_BPF_SERIES_H */
