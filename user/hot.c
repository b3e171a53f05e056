// SPDX-License-Identifier: GPL-2.0-only
#include "hot.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* --- finding --- */

/* Takes a range in, in the place of the lightest if there is no room and that is lighter. */
static size_t keep(struct hot_range hot[HOT_RANGES], size_t n, const struct hot_range *range)
{
	size_t i, lightest = 0;

	if (n < HOT_RANGES) {
		hot[n] = *range;
		return n + 1;
	}
	for (i = 1; i < n; i++)
		if (hot[i].bytes < hot[lightest].bytes)
			lightest = i;
	if (range->bytes <= hot[lightest].bytes)
		return n;
	memmove(&hot[lightest], &hot[lightest + 1], (n - 1 - lightest) * sizeof(*hot));
	hot[n - 1] = *range;
	return n;
}

size_t hot__find(struct hot_range hot[HOT_RANGES], const __u64 *bytes, size_t n, __u64 known_cells,
		 __u64 iova, unsigned int shift)
{
	struct hot_range range = {};
	size_t found = 0, i;
	double all = 0;
	bool inside = false;

	for (i = 0; i < n; i++)
		all += (double)bytes[i];
	for (i = 0; i <= n && known_cells && all > 0; i++) {
		if (i == n || (double)bytes[i] < 2 * all / (double)known_cells) {
			if (inside)
				found = keep(hot, found, &range);
			inside = false;
			continue;
		}
		if (!inside)
			range = (struct hot_range){ .iova = iova + ((__u64)i << shift) };
		inside = true;
		range.last = iova + ((__u64)i << shift) + ((1ULL << shift) - 1);
		range.bytes += bytes[i];
		range.share = (double)range.bytes / all;
	}
	return found;
}

size_t hot__of_heat(struct hot_range hot[HOT_RANGES], const struct iovab_heat *h)
{
	unsigned int i, seen = 0;

	for (i = 0; i < IOVAB_CELLS && h->valid; i++)
		seen += h->seen_bytes[i] != 0;
	return hot__find(hot, h->total_bytes, IOVAB_CELLS, seen, h->iova, h->cell_shift);
}

/* --- marks --- */

#define CELLS		4096
#define FIRST_SHIFT	21
#define LAST_SHIFT	52	/* 64 - log2(CELLS): all of the address space */

/*
 * Cells are numbered from IOVA 0 on, and the map has those from @first to @last. When
 * more than CELLS are covered they merge in pairs: cell n goes to n / 2.
 */
struct hot_map {
	unsigned int shift;
	bool covers;		/* anything */
	__u64 first, last;	/* cells */
	__u64 bytes[CELLS];	/* of cell first + i */
};

struct hot_map *hot_map__new(void)
{
	struct hot_map *m = calloc(1, sizeof(*m));

	if (m)
		m->shift = FIRST_SHIFT;
	return m;
}

void hot_map__free(struct hot_map *m)
{
	free(m);
}

static void merge_pairs(struct hot_map *m)
{
	__u64 merged[CELLS] = {}, i;

	for (i = 0; i <= m->last - m->first; i++)
		merged[((m->first + i) >> 1) - (m->first >> 1)] += m->bytes[i];
	memcpy(m->bytes, merged, sizeof(merged));
	m->first >>= 1;
	m->last >>= 1;
	m->shift++;
}

static __u64 lesser(__u64 a, __u64 b)
{
	return a < b ? a : b;
}

static __u64 greater(__u64 a, __u64 b)
{
	return a > b ? a : b;
}

void hot_map__cover(struct hot_map *m, __u64 first, __u64 last)
{
	if (!m->covers) {
		while ((last >> m->shift) - (first >> m->shift) >= CELLS)
			m->shift++;
		m->first = first >> m->shift;
		m->last = last >> m->shift;
		m->covers = true;
		return;
	}
	while (greater(m->last, last >> m->shift) - lesser(m->first, first >> m->shift) >= CELLS)
		merge_pairs(m);
	m->last = greater(m->last, last >> m->shift);
	first >>= m->shift;
	if (first >= m->first)
		return;
	memmove(m->bytes + (m->first - first), m->bytes,
		(CELLS - (m->first - first)) * sizeof(*m->bytes));
	memset(m->bytes, 0, (m->first - first) * sizeof(*m->bytes));
	m->first = first;
}

void hot_map__add(struct hot_map *m, const struct run *run)
{
	__u64 first = run->iova, last = first + (run->length * run->count - 1), cell;

	if (!run->length || !m->covers)
		return;
	if (last < first)
		last = ~0ULL;	/* a mark that runs off the address space */
	first = greater(first, m->first << m->shift);
	last = lesser(last, (m->last << m->shift) + ((1ULL << m->shift) - 1));
	for (cell = first >> m->shift; first <= last && cell <= last >> m->shift; cell++) {
		__u64 from = greater(first, cell << m->shift);
		__u64 to = lesser(last, (cell << m->shift) + ((1ULL << m->shift) - 1));

		m->bytes[cell - m->first] += to - from + 1;
	}
}

size_t hot_map__find(struct hot_range hot[HOT_RANGES], const struct hot_map *m)
{
	__u64 n = m->last - m->first + 1;

	return m->covers ? hot__find(hot, m->bytes, (size_t)n, n, m->first << m->shift, m->shift) : 0;
}

_Static_assert(CELLS == 1ULL << (64 - LAST_SHIFT), "the largest cells cover all");
