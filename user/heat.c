// SPDX-License-Identifier: GPL-2.0-only
/*
 * The strip has IOVAB_CELLS cells of a power of two of bytes each, and the
 * windows that it must show may be of any size and come from anywhere.
 *
 * All of IOVA space is thought of as cut into cells, numbered from IOVA 0 on,
 * and the strip is a view of the IOVAB_CELLS of them from *base* on. The base is
 * the cell of the lowest IOVA seen. When what was seen does not fit any more,
 * cells merge in pairs: cell n goes to n / 2, and half the strip is free.
 *
 * Invariants
 * - heat->iova is a multiple of the cell's size; cell 0 has seen something.
 * - No dirty byte is lost or counted twice by growing: the sum over the cells
 *   stays the same.
 * - A cell of the strip is never smaller than a cell of a window that went in
 *   (but for cells above 2^58 bytes), so that nothing is drawn finer than it
 *   was measured. A window's cell that lies across the edge of two cells is cut
 *   in proportion: the one guess made here; an aligned window is never cut.
 *
 * Cells are counted, not bytes, and ends are the last byte, inclusive, so that
 * 2^64 bytes need no number that does not fit: 64 cells of 2^58 cover them all.
 */
#include <string.h>

#include "heat.h"

#define MAX_SHIFT	58	/* 64 - log2(IOVAB_CELLS) */

_Static_assert(IOVAB_CELLS == 1 << (64 - MAX_SHIFT), "the largest cells cover 2^64 bytes");

static __u64 add_saturated(__u64 a, __u64 b)
{
	return a + b < a ? ~0ULL : a + b;
}

static __u64 mul_saturated(__u64 a, __u64 b)
{
	__u64 v;

	return __builtin_mul_overflow(a, b, &v) ? ~0ULL : v;
}

/* A window, checked: where it begins and ends, and how large its cells are. */
struct span {
	__u64 first, last;	/* bytes, inclusive */
	__u64 cell_bytes;
	unsigned int cell_shift;	/* log2 of cell_bytes, rounded up */
};

static bool span_of(struct span *s, const struct iovab_window_event *w)
{
	if (w->scan_skipped || !w->length || !w->page_size || w->cell_shift > 63)
		return false;
	s->cell_bytes = w->page_size << w->cell_shift;
	if (s->cell_bytes >> w->cell_shift != w->page_size)
		return false;
	s->cell_shift = s->cell_bytes > 1 ? 64 - (unsigned int)__builtin_clzll(s->cell_bytes - 1) : 0;
	s->first = w->iova;
	s->last = w->iova + (w->length - 1);
	if (s->last < s->first)
		s->last = ~0ULL;
	return true;
}

/* Cells of the strip that have seen something; base included. */
static unsigned int used_cells(const struct iovab_heat *h)
{
	unsigned int n = IOVAB_CELLS;

	while (n && !h->seen_bytes[n - 1])
		n--;
	return n;
}

static void merge_array(__u64 cells[IOVAB_CELLS], unsigned int odd)
{
	__u64 merged[IOVAB_CELLS] = { 0 };
	unsigned int i, to;

	for (i = 0; i < IOVAB_CELLS; i++) {
		to = (i + odd) / 2;
		merged[to] = add_saturated(merged[to], cells[i]);
	}
	memcpy(cells, merged, sizeof(merged));
}

static void merge_pairs(struct iovab_heat *h)
{
	unsigned int odd = (h->iova >> h->cell_shift) & 1;

	merge_array(h->total_bytes, odd);
	merge_array(h->interval_bytes, odd);
	merge_array(h->seen_bytes, odd);
	h->cell_shift++;
	h->iova = h->iova >> h->cell_shift << h->cell_shift;
}

static void move_array(__u64 cells[IOVAB_CELLS], unsigned int by)
{
	memmove(cells + by, cells, (IOVAB_CELLS - by) * sizeof(*cells));
	memset(cells, 0, by * sizeof(*cells));
}

/* Makes cell 0 that of @iova, @by cells further down. */
static void move_base(struct iovab_heat *h, __u64 iova, unsigned int by)
{
	move_array(h->total_bytes, by);
	move_array(h->interval_bytes, by);
	move_array(h->seen_bytes, by);
	h->iova = iova >> h->cell_shift << h->cell_shift;
}

static void start_strip(struct iovab_heat *h, const struct span *s)
{
	memset(h, 0, sizeof(*h));
	h->valid = true;
	h->cell_shift = s->cell_shift < MAX_SHIFT ? s->cell_shift : MAX_SHIFT;
	while ((s->last >> h->cell_shift) - (s->first >> h->cell_shift) >= IOVAB_CELLS)
		h->cell_shift++;
	h->iova = s->first >> h->cell_shift << h->cell_shift;
}

static bool needs_merge(const struct iovab_heat *h, const struct span *s)
{
	__u64 low = h->iova >> h->cell_shift, high = low + used_cells(h) - 1;
	__u64 first = s->first >> h->cell_shift, last = s->last >> h->cell_shift;

	if (h->cell_shift >= MAX_SHIFT)
		return false;
	if (h->cell_shift < s->cell_shift)
		return true;
	return (last > high ? last : high) - (first < low ? first : low) >= IOVAB_CELLS;
}

static void make_room(struct iovab_heat *h, const struct span *s)
{
	__u64 low, first;

	while (needs_merge(h, s))
		merge_pairs(h);
	low = h->iova >> h->cell_shift;
	first = s->first >> h->cell_shift;
	if (first < low)
		move_base(h, s->first, (unsigned int)(low - first));
}

static unsigned int cell_of(const struct iovab_heat *h, __u64 iova)
{
	return (unsigned int)((iova - h->iova) >> h->cell_shift);
}

static void add_dirty(struct iovab_heat *h, unsigned int cell, __u64 bytes)
{
	h->total_bytes[cell] = add_saturated(h->total_bytes[cell], bytes);
	h->interval_bytes[cell] = add_saturated(h->interval_bytes[cell], bytes);
}

/* Adds @bytes that are dirty somewhere in [@first, @last], cut by the cells' edges. */
static void add_range(struct iovab_heat *h, __u64 first, __u64 last, __u64 bytes)
{
	unsigned int i, to = cell_of(h, last);
	__u64 end, upto, placed = 0;

	for (i = cell_of(h, first); i < to; i++) {
		end = h->iova + ((__u64)(i + 1) << h->cell_shift);
		/* floating point would round away what must add up; this does not */
		upto = (__u64)((unsigned __int128)bytes * (end - first) /
			       ((unsigned __int128)(last - first) + 1));
		add_dirty(h, i, upto - placed);
		placed = upto;
	}
	add_dirty(h, to, bytes - placed);
}

static void add_cells(struct iovab_heat *h, const struct span *s,
		      const struct iovab_window_event *w)
{
	unsigned int i;

	for (i = 0; i < IOVAB_CELLS; i++) {
		__u64 off = mul_saturated(i, s->cell_bytes), first, last;

		if (!w->cells[i])
			continue;
		/* what claims to lie behind the window's end goes to its last byte */
		first = off > s->last - s->first ? s->last : s->first + off;
		last = s->last - first < s->cell_bytes ? s->last : first + (s->cell_bytes - 1);
		add_range(h, first, last, mul_saturated(w->cells[i], w->page_size));
	}
}

static void add_seen(struct iovab_heat *h, const struct span *s)
{
	unsigned int i, from = cell_of(h, s->first), to = cell_of(h, s->last);

	for (i = from; i <= to; i++) {
		__u64 start = h->iova + ((__u64)i << h->cell_shift);
		__u64 end = start + ((1ULL << h->cell_shift) - 1);
		__u64 first = i == from ? s->first : start, last = i == to ? s->last : end;

		h->seen_bytes[i] = add_saturated(h->seen_bytes[i], last - first + 1);
	}
}

bool heat__add(struct iovab_heat *heat, const struct iovab_window_event *window)
{
	struct span s;

	if (!span_of(&s, window))
		return false;
	if (heat->valid)
		make_room(heat, &s);
	else
		start_strip(heat, &s);
	add_seen(heat, &s);
	add_cells(heat, &s, window);
	return true;
}

void heat__next_interval(struct iovab_heat *heat)
{
	memset(heat->interval_bytes, 0, sizeof(heat->interval_bytes));
}
