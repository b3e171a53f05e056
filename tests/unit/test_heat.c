// SPDX-License-Identifier: GPL-2.0-only
/* The heat strip against an oracle that remembers every cell of every window. */
#include <string.h>

#include "fixture.h"
#include "heat.h"

#define MAX_WINDOWS	200

struct oracle {
	size_t n;
	struct iovab_window_event windows[MAX_WINDOWS];
};

static __u64 last_of(const struct iovab_window_event *w)
{
	return w->iova + (w->length - 1);
}

/* Bytes that [@a, @b] and [@c, @d] share. */
static __u64 overlap(__u64 a, __u64 b, __u64 c, __u64 d)
{
	__u64 first = a > c ? a : c, last = b < d ? b : d;

	return first > last ? 0 : last - first + 1;
}

static __u64 oracle_dirty(const struct oracle *o, __u64 first, __u64 last)
{
	__u64 sum = 0, at;
	size_t i, k;

	for (i = 0; i < o->n; i++)
		for (k = 0; k < IOVAB_CELLS; k++) {
			const struct iovab_window_event *w = &o->windows[i];

			at = w->iova + k * (w->page_size << w->cell_shift);
			if (w->cells[k] && at >= first && at <= last)
				sum += w->cells[k] * w->page_size;
		}
	return sum;
}

static __u64 oracle_seen(const struct oracle *o, __u64 first, __u64 last)
{
	__u64 sum = 0;
	size_t i;

	for (i = 0; i < o->n; i++)
		sum += overlap(o->windows[i].iova, last_of(&o->windows[i]), first, last);
	return sum;
}

/* Every cell is what the oracle says, and the cells miss nothing. */
static void check_strip(const struct iovab_heat *h, const struct oracle *o)
{
	__u64 lowest = ~0ULL, dirty = 0, first, last;
	size_t i;

	for (i = 0; i < o->n; i++)
		if (o->windows[i].iova < lowest)
			lowest = o->windows[i].iova;
	assert_true(h->valid);
	assert_int_equal(h->iova, lowest >> h->cell_shift << h->cell_shift);
	for (i = 0; i < IOVAB_CELLS; i++) {
		first = h->iova + ((__u64)i << h->cell_shift);
		last = first + ((1ULL << h->cell_shift) - 1);
		if (i && first < h->iova) {	/* above 2^64 */
			assert_int_equal(h->total_bytes[i], 0);
			continue;
		}
		assert_int_equal(h->total_bytes[i], oracle_dirty(o, first, last));
		assert_int_equal(h->seen_bytes[i], oracle_seen(o, first, last));
		dirty += h->total_bytes[i];
	}
	assert_int_equal(dirty, oracle_dirty(o, 0, ~0ULL));
}

/* A window aligned to its cells somewhere in 2^@space bytes. */
static struct iovab_window_event random_window(unsigned int space)
{
	struct iovab_window_event w = { .source_id = 1, .page_size = 4096 };
	unsigned int cells = 1 + fixture__random() % IOVAB_CELLS, i;
	__u64 cell_bytes, mask = space < 64 ? (1ULL << space) - 1 : ~0ULL;

	w.cell_shift = fixture__random() % (space - 22);
	cell_bytes = w.page_size << w.cell_shift;
	w.iova = fixture__random() & mask & ~(cell_bytes - 1);
	w.length = cells * cell_bytes;
	if (w.iova + (w.length - 1) < w.iova) {
		w.length = cell_bytes;
		cells = 1;
	}
	for (i = 0; i < cells; i++)
		w.cells[i] = fixture__random() % 3 ? 0 : fixture__random() % 1000;
	return w;
}

static void check_random_windows(unsigned int space, unsigned int n)
{
	static struct oracle o;
	struct iovab_heat h = { 0 };
	unsigned int i;

	o.n = 0;
	for (i = 0; i < n; i++) {
		o.windows[o.n++] = random_window(space);
		assert_true(heat__add(&h, &o.windows[o.n - 1]));
		check_strip(&h, &o);
	}
}

static void grows_like_the_oracle(void **state)
{
	unsigned int space, round;

	for (space = 24; space <= 64; space += 4)
		for (round = 0; round < 4; round++)
			check_random_windows(space, 40);
}

static void covers_all_of_iova_space(void **state)
{
	static struct oracle o;
	struct iovab_heat h = { 0 };

	o.n = 2;
	o.windows[0] = (struct iovab_window_event){
		.page_size = 4096, .iova = 0xfffffffffffff000ULL, .length = 4096, .cells = { 1 },
	};
	o.windows[1] = (struct iovab_window_event){
		.page_size = 4096, .iova = 0, .length = 4096, .cells = { 1 },
	};
	assert_true(heat__add(&h, &o.windows[0]));
	assert_true(heat__add(&h, &o.windows[1]));
	assert_int_equal(h.cell_shift, 58);
	assert_int_equal(h.iova, 0);
	assert_int_equal(h.total_bytes[0], 4096);
	assert_int_equal(h.total_bytes[63], 4096);
	check_strip(&h, &o);
}

static void huge_cells_are_spread(void **state)
{
	struct iovab_window_event w = {
		.page_size = 1ULL << 62, .iova = 0, .length = ~0ULL, .cells = { 1, 0, 0, 1 },
	};
	struct iovab_heat h = { 0 };

	assert_true(heat__add(&h, &w));
	assert_int_equal(h.cell_shift, 58);
	assert_int_equal(h.total_bytes[0], 1ULL << 58);
	assert_int_equal(h.total_bytes[15], 1ULL << 58);
	assert_int_equal(h.total_bytes[16], 0);
	assert_true(h.total_bytes[63] >= 1ULL << 58);
}

static void unaligned_windows_lose_nothing(void **state)
{
	struct iovab_heat h = { 0 };
	__u64 expected = 0, got = 0;
	unsigned int i, k;

	for (i = 0; i < 300; i++) {
		struct iovab_window_event w = random_window(44);

		w.iova += (fixture__random() % 512) * 4096;
		for (k = 0; k < IOVAB_CELLS; k++)
			expected += w.cells[k] * w.page_size;
		assert_true(heat__add(&h, &w));
	}
	for (k = 0; k < IOVAB_CELLS; k++)
		got += h.total_bytes[k];
	assert_int_equal(got, expected);
}

static void a_cell_across_an_edge_is_cut_in_proportion(void **state)
{
	struct iovab_window_event w = {
		.page_size = 4096, .cell_shift = 2, .iova = 4096, .length = 4 * 4096,
		.cells = { 4 },
	};
	struct iovab_heat h = { 0 };

	assert_true(heat__add(&h, &w));
	assert_int_equal(h.cell_shift, 14);
	assert_int_equal(h.total_bytes[0], 3 * 4096);
	assert_int_equal(h.total_bytes[1], 4096);
}

static void cells_are_never_finer_than_measured(void **state)
{
	struct iovab_window_event fine = {
		.page_size = 4096, .iova = 0, .length = 4096, .cells = { 1 },
	};
	struct iovab_window_event coarse = {
		.page_size = 4096, .cell_shift = 8, .iova = 0, .length = 1 << 20, .cells = { 1 },
	};
	struct iovab_heat h = { 0 };

	heat__add(&h, &fine);
	assert_int_equal(h.cell_shift, 12);
	heat__add(&h, &coarse);
	assert_int_equal(h.cell_shift, 20);
	assert_int_equal(h.total_bytes[0], 2 * 4096);
}

static void nonsense_changes_nothing(void **state)
{
	struct iovab_window_event good = {
		.page_size = 4096, .iova = 1 << 20, .length = 4096, .cells = { 1 },
	};
	struct iovab_window_event bad[5];
	struct iovab_heat h = { 0 }, before;
	unsigned int i;

	assert_true(heat__add(&h, &good));
	before = h;
	for (i = 0; i < 5; i++)
		bad[i] = good;
	bad[0].scan_skipped = 1;
	bad[1].length = 0;
	bad[2].page_size = 0;
	bad[3].cell_shift = 64;
	bad[4].page_size = 1ULL << 63;
	bad[4].cell_shift = 1;
	for (i = 0; i < 5; i++) {
		assert_false(heat__add(&h, &bad[i]));
		assert_memory_equal(&h, &before, sizeof(h));
	}
}

static void a_window_beyond_the_top_ends_there(void **state)
{
	struct iovab_window_event w = {
		.page_size = 4096, .iova = 0xffffffffffff0000ULL, .length = 1 << 20,
		.cells = { 1, [63] = 7 },
	};
	struct iovab_heat h = { 0 };
	__u64 sum = 0;
	unsigned int i;

	assert_true(heat__add(&h, &w));
	for (i = 0; i < IOVAB_CELLS; i++)
		sum += h.total_bytes[i];
	assert_int_equal(sum, 8 * 4096);
}

static void interval_starts_again(void **state)
{
	struct iovab_window_event w = {
		.page_size = 4096, .iova = 0, .length = 4096, .cells = { 1 },
	};
	struct iovab_heat h = { 0 };

	heat__add(&h, &w);
	assert_int_equal(h.interval_bytes[0], 4096);
	heat__next_interval(&h);
	assert_int_equal(h.interval_bytes[0], 0);
	assert_int_equal(h.total_bytes[0], 4096);
	heat__add(&h, &w);
	assert_int_equal(h.interval_bytes[0], 4096);
	assert_int_equal(h.total_bytes[0], 8192);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_like_the_oracle),
		cmocka_unit_test(covers_all_of_iova_space),
		cmocka_unit_test(huge_cells_are_spread),
		cmocka_unit_test(unaligned_windows_lose_nothing),
		cmocka_unit_test(a_cell_across_an_edge_is_cut_in_proportion),
		cmocka_unit_test(cells_are_never_finer_than_measured),
		cmocka_unit_test(nonsense_changes_nothing),
		cmocka_unit_test(a_window_beyond_the_top_ends_there),
		cmocka_unit_test(interval_starts_again),
	};

	return cmocka_run_group_tests_name("heat", tests, NULL, NULL);
}
