/* SPDX-License-Identifier: GPL-2.0-only */
/* Arithmetic on the latency histograms of iovab.h. */
#ifndef IOVAB_HIST_H
#define IOVAB_HIST_H

#include "model.h"

/* The edges of a bucket in ns; the upper one is not in it. The last bucket has
 * no upper edge: U64_MAX.
 */
__u64 hist__lower_ns(unsigned int bucket);
__u64 hist__upper_ns(unsigned int bucket);

__u64 hist__count(const __u64 bucket[IOVAB_HIST_BUCKETS]);

/*
 * The value below which @q (0.0 to 1.0) of the counts are: that of the count
 * with rank ceil(q x count), as if the counts of a bucket were spread evenly
 * over it; within [@min, @max]. 0 if nothing was counted.
 */
__u64 hist__percentile(const __u64 bucket[IOVAB_HIST_BUCKETS], double q, __u64 min, __u64 max);

/* Fills in count and percentiles from the buckets; sum, min and max as given. */
void hist__figures(struct iovab_latency_figures *f, const __u64 bucket[IOVAB_HIST_BUCKETS],
		   __u64 sum, __u64 min, __u64 max);

/* The same for a part of the time in which the extremes were @min and @max:
 * min and max become the edges of the outermost buckets that are not empty.
 */
void hist__figures_part(struct iovab_latency_figures *f, const __u64 bucket[IOVAB_HIST_BUCKETS],
			__u64 sum, __u64 min, __u64 max);

#endif /* IOVAB_HIST_H */
