// SPDX-License-Identifier: GPL-2.0-only
/* The latency histograms: which bucket, its edges, percentiles. */
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "hist.h"

/* What iovab.h says in words: each power of two in four, from 2^8 to 2^38. */
static unsigned int naive_index(__u64 ns)
{
	unsigned int bucket = 0;
	__u64 power, quarter, edge = 256;

	for (power = 256; power < 1ULL << 38; power *= 2)
		for (quarter = 0; quarter < 4; quarter++) {
			if (ns < edge)
				return bucket;
			bucket++;
			edge += power / 4;
		}
	return ns < edge ? bucket : bucket + 1;
}

static void check_value(__u64 ns)
{
	unsigned int i = iovab_hist_index(ns);

	assert_int_equal(i, naive_index(ns));
	assert_true(i < IOVAB_HIST_BUCKETS);
	assert_true(ns >= hist__lower_ns(i));
	assert_true(ns < hist__upper_ns(i) || i == IOVAB_HIST_BUCKETS - 1);
}

static void index_of_powers_and_neighbours(void **state)
{
	unsigned int bit, k;

	for (bit = 0; bit < 64; bit++)
		for (k = 0; k < 5; k++)
			check_value((1ULL << bit) + k - 2);
	check_value(~0ULL);
}

static void index_of_quarters_and_neighbours(void **state)
{
	unsigned int bit, quarter;
	__u64 edge;

	for (bit = 8; bit < 39; bit++)
		for (quarter = 0; quarter < 4; quarter++) {
			edge = (1ULL << bit) + quarter * ((1ULL << bit) / 4);
			check_value(edge - 1);
			check_value(edge);
			check_value(edge + 1);
		}
}

static void index_of_random_values(void **state)
{
	unsigned int i;

	for (i = 0; i < 100000; i++)
		check_value(fixture__random() >> (fixture__random() & 63));
}

static void edges_meet(void **state)
{
	unsigned int i;

	assert_int_equal(hist__lower_ns(0), 0);
	for (i = 0; i + 1 < IOVAB_HIST_BUCKETS; i++) {
		assert_true(hist__upper_ns(i) > hist__lower_ns(i));
		assert_int_equal(hist__upper_ns(i), hist__lower_ns(i + 1));
	}
	assert_int_equal(hist__lower_ns(IOVAB_HIST_BUCKETS - 1), 1ULL << IOVAB_HIST_MAX_SHIFT);
	assert_int_equal(hist__upper_ns(IOVAB_HIST_BUCKETS - 1), ~0ULL);
}

static int by_size(const void *a, const void *b)
{
	__u64 x = *(const __u64 *)a, y = *(const __u64 *)b;

	return (x > y) - (x < y);
}

/* Every percentile lies in the bucket of the sorted array's value. */
static void check_percentiles(__u64 *values, size_t n)
{
	struct iovab_latency l = { 0 };
	size_t i, rank;
	unsigned int q;
	__u64 p;

	for (i = 0; i < n; i++)
		fixture__count(&l, values[i]);
	qsort(values, n, sizeof(*values), by_size);
	for (q = 1; q <= 100; q++) {
		rank = (q * n + 99) / 100;
		p = hist__percentile(l.bucket, q / 100.0, l.min_ns, l.max_ns);
		assert_in_range(p, values[0], values[n - 1]);
		/* q / 100.0 x n may land just above an integer: the next one, then */
		if (iovab_hist_index(p) != iovab_hist_index(values[rank - 1]))
			assert_int_equal(iovab_hist_index(p),
					 iovab_hist_index(values[rank < n ? rank : n - 1]));
	}
}

static void percentiles_match_a_sorted_array(void **state)
{
	__u64 values[500];
	size_t round, i, n;

	for (round = 0; round < 200; round++) {
		n = 1 + fixture__random() % 500;
		for (i = 0; i < n; i++)
			values[i] = fixture__random() >> (20 + fixture__random() % 40);
		check_percentiles(values, n);
	}
}

static void percentiles_of_one_value_are_exact(void **state)
{
	struct iovab_latency l = { 0 };
	struct iovab_latency_figures f;

	fixture__count(&l, 123456789);
	hist__figures(&f, l.bucket, l.sum_ns, l.min_ns, l.max_ns);
	assert_int_equal(f.state, IOVAB_VALUE_KNOWN);
	assert_int_equal(f.count, 1);
	assert_int_equal(f.p50, 123456789);
	assert_int_equal(f.p99, 123456789);
}

static void percentiles_interpolate(void **state)
{
	__u64 bucket[IOVAB_HIST_BUCKETS] = { 0 };

	/* ten values spread over [1024, 1280): the middle of the fifth tenth, ... */
	bucket[iovab_hist_index(1024)] = 10;
	assert_int_equal(hist__percentile(bucket, 0.5, 1024, 1280), 1024 + 256 * 45 / 100);
	assert_int_equal(hist__percentile(bucket, 0.9, 1024, 1280), 1024 + 256 * 85 / 100);
	assert_int_equal(hist__percentile(bucket, 0.0, 1024, 1280), 1024 + 256 * 5 / 100);
	assert_int_equal(hist__percentile(bucket, 1.0, 1024, 1280), 1024 + 256 * 95 / 100);
}

static void nothing_counted_is_not_measured(void **state)
{
	__u64 bucket[IOVAB_HIST_BUCKETS] = { 0 };
	struct iovab_latency_figures f;

	hist__figures(&f, bucket, 0, 0, 0);
	assert_int_equal(f.state, IOVAB_VALUE_NOT_MEASURED);
	hist__figures_part(&f, bucket, 0, 0, 0);
	assert_int_equal(f.state, IOVAB_VALUE_NOT_MEASURED);
}

static void extremes_of_a_part_are_edges(void **state)
{
	__u64 bucket[IOVAB_HIST_BUCKETS] = { 0 };
	struct iovab_latency_figures f;

	bucket[iovab_hist_index(2000)] = 1;	/* [1792, 2048) */
	bucket[iovab_hist_index(5000)] = 1;	/* [4096, 5120) */
	hist__figures_part(&f, bucket, 7000, 10, 1000000);
	assert_int_equal(f.min, 1792);
	assert_int_equal(f.max, 5119);
	/* within the total's */
	hist__figures_part(&f, bucket, 7000, 1900, 5050);
	assert_int_equal(f.min, 1900);
	assert_int_equal(f.max, 5050);
}

static void last_bucket_ends_at_max(void **state)
{
	struct iovab_latency l = { 0 };
	struct iovab_latency_figures f;

	fixture__count(&l, 1ULL << 40);
	fixture__count(&l, 1ULL << 41);
	hist__figures(&f, l.bucket, l.sum_ns, l.min_ns, l.max_ns);
	assert_in_range(f.p50, 1ULL << 40, 1ULL << 41);
	assert_in_range(f.p99, 1ULL << 40, 1ULL << 41);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(index_of_powers_and_neighbours),
		cmocka_unit_test(index_of_quarters_and_neighbours),
		cmocka_unit_test(index_of_random_values),
		cmocka_unit_test(edges_meet),
		cmocka_unit_test(percentiles_match_a_sorted_array),
		cmocka_unit_test(percentiles_of_one_value_are_exact),
		cmocka_unit_test(percentiles_interpolate),
		cmocka_unit_test(nothing_counted_is_not_measured),
		cmocka_unit_test(extremes_of_a_part_are_edges),
		cmocka_unit_test(last_bucket_ends_at_max),
	};

	return cmocka_run_group_tests_name("hist", tests, NULL, NULL);
}
