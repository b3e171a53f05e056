// SPDX-License-Identifier: GPL-2.0-only
#include <string.h>

#include "hist.h"

#define SUB	(1U << IOVAB_HIST_SUB_BITS)

__u64 hist__lower_ns(unsigned int bucket)
{
	unsigned int octave, sub;

	if (!bucket)
		return 0;
	octave = (bucket - 1) >> IOVAB_HIST_SUB_BITS;
	sub = (bucket - 1) & (SUB - 1);
	return (__u64)(SUB + sub) << (octave + IOVAB_HIST_MIN_SHIFT - IOVAB_HIST_SUB_BITS);
}

__u64 hist__upper_ns(unsigned int bucket)
{
	if (bucket >= IOVAB_HIST_BUCKETS - 1)
		return ~0ULL;
	return hist__lower_ns(bucket + 1);
}

__u64 hist__count(const __u64 bucket[IOVAB_HIST_BUCKETS])
{
	__u64 count = 0;
	unsigned int i;

	for (i = 0; i < IOVAB_HIST_BUCKETS; i++)
		count += bucket[i];
	return count;
}

static __u64 clamp(__u64 v, __u64 min, __u64 max)
{
	if (v < min)
		return min;
	return v > max ? max : v;
}

/* ceil(q x count), from 1 to count. */
static __u64 rank_of(double q, __u64 count)
{
	double want = q * (double)count;
	__u64 rank;

	if (want >= (double)count)
		return count;
	rank = (__u64)want;
	if ((double)rank < want)
		rank++;
	return clamp(rank, 1, count);
}

/* The value of the count @rank (from 1) of the @n that bucket @i holds. */
static __u64 inside_bucket(unsigned int i, __u64 rank, __u64 n, __u64 min, __u64 max)
{
	__u64 lower = clamp(hist__lower_ns(i), min, max);
	__u64 upper = clamp(hist__upper_ns(i), min, max);

	return lower + (__u64)((double)(upper - lower) * ((double)rank - 0.5) / (double)n);
}

__u64 hist__percentile(const __u64 bucket[IOVAB_HIST_BUCKETS], double q, __u64 min, __u64 max)
{
	__u64 count = hist__count(bucket), rank, below = 0;
	unsigned int i;

	if (!count)
		return 0;
	rank = rank_of(q, count);
	for (i = 0; i < IOVAB_HIST_BUCKETS; i++) {
		if (rank - below <= bucket[i])
			return inside_bucket(i, rank - below, bucket[i], min, max);
		below += bucket[i];
	}
	return max;
}

void hist__figures(struct iovab_latency_figures *f, const __u64 bucket[IOVAB_HIST_BUCKETS],
		   __u64 sum, __u64 min, __u64 max)
{
	memset(f, 0, sizeof(*f));
	f->count = hist__count(bucket);
	if (!f->count)
		return;
	if (min > max)		/* a record that contradicts itself */
		min = max;
	f->state = IOVAB_VALUE_KNOWN;
	f->sum = sum;
	f->min = min;
	f->max = max;
	f->p50 = hist__percentile(bucket, 0.50, min, max);
	f->p90 = hist__percentile(bucket, 0.90, min, max);
	f->p99 = hist__percentile(bucket, 0.99, min, max);
}

void hist__figures_part(struct iovab_latency_figures *f, const __u64 bucket[IOVAB_HIST_BUCKETS],
			__u64 sum, __u64 min, __u64 max)
{
	unsigned int first = 0, last = IOVAB_HIST_BUCKETS - 1;

	if (min > max)
		min = max;
	while (first < last && !bucket[first])
		first++;
	while (last > first && !bucket[last])
		last--;
	hist__figures(f, bucket, sum, clamp(hist__lower_ns(first), min, max),
		      clamp(hist__upper_ns(last) - 1, min, max));
}
