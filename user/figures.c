// SPDX-License-Identifier: GPL-2.0-only
/*
 * What each figure of a scope is made from, and when it is not there.
 *
 * - Not measured: the tier does not look. It stays so in every sum.
 * - Unknown: a scan of a bitmap failed in this scope, so that whatever follows
 *   from scans (dirty, clean windows, density, redundant) is too small by some
 *   unknown amount. And: redundant = marked - dirty - lost can be negative when
 *   user space clears bits while the kernel reports; then it says nothing.
 *   Marks for which the kernel sets bits that are not theirs make redundant
 *   unknown too, and those of length 0 among them the stray bits.
 *
 * An unknown value carries the number 0, so that no view can show the wrong one.
 */
#include <string.h>

#include "figures.h"
#include "hist.h"

/* The counters from reports to density[] lie side by side. */
#define FIRST_COUNTER	offsetof(struct iovab_source, reports)
#define N_COUNTERS	((offsetof(struct iovab_source, report) - FIRST_COUNTER) / sizeof(__u64))

_Static_assert((offsetof(struct iovab_source, report) - FIRST_COUNTER) % sizeof(__u64) == 0,
	       "only counters between reports and the latencies");

static const struct {
	const char *name;
	enum iovab_tier tier;
	size_t offset;		/* in struct iovab_source; 0: computed */
	bool scanned;		/* follows from scans */
	size_t spoilt_by;	/* a counter that makes it unknown unless 0; 0: none */
} table[IOVAB_FIGURES] = {
#define COUNTER(field, tier, scanned) \
	{ #field, IOVAB_TIER_##tier, offsetof(struct iovab_source, field), scanned }
	[IOVAB_FIG_REPORTS]		= COUNTER(reports, WINDOWS, false),
	[IOVAB_FIG_REPORT_ERRORS]	= COUNTER(report_errors, WINDOWS, false),
	[IOVAB_FIG_RANGE_BYTES]		= COUNTER(range_bytes, WINDOWS, false),
	[IOVAB_FIG_WINDOWS]		= COUNTER(windows, WINDOWS, false),
	[IOVAB_FIG_WINDOWS_CLEAN]	= COUNTER(windows_clean, DENSITY, true),
	[IOVAB_FIG_REPINS]		= COUNTER(repins, WINDOWS, false),
	[IOVAB_FIG_PAGES_PINNED]	= COUNTER(pages_pinned, WINDOWS, false),
	[IOVAB_FIG_PIN_FAILURES]	= COUNTER(pin_failures, WINDOWS, false),
	[IOVAB_FIG_SCAN_SKIPPED]	= COUNTER(scan_skipped, DENSITY, false),
	[IOVAB_FIG_DIRTY_BYTES]		= COUNTER(dirty_bytes, DENSITY, true),
	[IOVAB_FIG_SET_CALLS]		= COUNTER(set_calls, SETS, false),
	[IOVAB_FIG_MARKED_BYTES]	= COUNTER(marked_bytes, SETS, false),
	[IOVAB_FIG_REDUNDANT_BYTES]	= { "redundant_bytes", IOVAB_TIER_SETS, 0, true,
					    offsetof(struct iovab_source, wild_marks) },
	[IOVAB_FIG_LOST_BYTES]		= COUNTER(lost_bytes, SETS, false),
	[IOVAB_FIG_OVERSHOOT_BYTES]	= COUNTER(overshoot_bytes, SETS, false),
	[IOVAB_FIG_STRAY_BITS]		= { "stray_bits", IOVAB_TIER_SETS,
					    offsetof(struct iovab_source, stray_bits), false,
					    offsetof(struct iovab_source, empty_marks) },
	[IOVAB_FIG_EMPTY_MARKS]		= COUNTER(empty_marks, SETS, false),
	[IOVAB_FIG_WILD_MARKS]		= COUNTER(wild_marks, SETS, false),
#undef COUNTER
};

const char *model__figure_name(enum iovab_figure f)
{
	return table[f].name;
}

enum iovab_tier model__figure_tier(enum iovab_figure f)
{
	return table[f].tier;
}

/* Differences of @n counters. False if one went backwards: no wrap is that far. */
static bool subtract(__u64 *delta, const __u64 *now, const __u64 *before, size_t n)
{
	__u64 backwards = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		delta[i] = now[i] - before[i];
		backwards |= delta[i];
	}
	return !(backwards >> 63);
}

static bool latency_delta(struct iovab_latency *delta, const struct iovab_latency *now,
			  const struct iovab_latency *before)
{
	return subtract(&delta->sum_ns, &now->sum_ns, &before->sum_ns, 1) &&
	       subtract(delta->bucket, now->bucket, before->bucket, IOVAB_HIST_BUCKETS);
}

bool figures__delta(struct iovab_source *delta, const struct iovab_source *now,
		    const struct iovab_source *before)
{
	*delta = *now;
	return subtract(&delta->reports, &now->reports, &before->reports, N_COUNTERS) &&
	       latency_delta(&delta->report, &now->report, &before->report) &&
	       latency_delta(&delta->pin, &now->pin, &before->pin);
}

static struct iovab_value known(__u64 v)
{
	return (struct iovab_value){ IOVAB_VALUE_KNOWN, v };
}

static struct iovab_value redundant(const struct iovab_source *c)
{
	if (c->dirty_bytes > c->marked_bytes || c->lost_bytes > c->marked_bytes - c->dirty_bytes)
		return (struct iovab_value){ IOVAB_VALUE_UNKNOWN, 0 };
	return known(c->marked_bytes - c->dirty_bytes - c->lost_bytes);
}

static __u64 counter_at(const struct iovab_source *c, size_t offset)
{
	__u64 v;

	memcpy(&v, (const char *)c + offset, sizeof(v));
	return v;
}

/* Empty marks are among the wild ones, but for the reference's: those it refuses. */
static bool spoilt(enum iovab_figure f, const struct iovab_source *c)
{
	return table[f].spoilt_by && counter_at(c, table[f].spoilt_by) && c->wild_marks;
}

static struct iovab_value value_of(enum iovab_figure f, const struct iovab_source *c,
				   enum iovab_tier tier)
{

	if (tier < table[f].tier)
		return (struct iovab_value){ IOVAB_VALUE_NOT_MEASURED, 0 };
	if ((table[f].scanned && c->scan_skipped) || spoilt(f, c))
		return (struct iovab_value){ IOVAB_VALUE_UNKNOWN, 0 };
	if (f == IOVAB_FIG_REDUNDANT_BYTES)
		return redundant(c);
	return known(counter_at(c, table[f].offset));
}

/* @part / @whole: absent if one of them is, or if there is no whole. */
static struct iovab_ratio ratio_of(struct iovab_value part, struct iovab_value whole)
{
	struct iovab_ratio r = { IOVAB_VALUE_NOT_MEASURED, 0 };

	if (part.state == IOVAB_VALUE_NOT_MEASURED || whole.state == IOVAB_VALUE_NOT_MEASURED)
		return r;
	if (whole.state == IOVAB_VALUE_KNOWN && !whole.v)
		return r;
	if (part.state == IOVAB_VALUE_UNKNOWN || whole.state == IOVAB_VALUE_UNKNOWN) {
		r.state = IOVAB_VALUE_UNKNOWN;
		return r;
	}
	r.state = IOVAB_VALUE_KNOWN;
	r.v = (double)part.v / (double)whole.v;
	return r;
}

static void compute_ratios(struct iovab_figures *f)
{
	f->density = ratio_of(f->fig[IOVAB_FIG_DIRTY_BYTES], f->fig[IOVAB_FIG_RANGE_BYTES]);
	f->clean_share = ratio_of(f->fig[IOVAB_FIG_WINDOWS_CLEAN], f->fig[IOVAB_FIG_WINDOWS]);
	f->windows_per_report = ratio_of(f->fig[IOVAB_FIG_WINDOWS], f->fig[IOVAB_FIG_REPORTS]);
	f->repins_per_report = ratio_of(f->fig[IOVAB_FIG_REPINS], f->fig[IOVAB_FIG_REPORTS]);
}

static void copy_counters(struct iovab_figures *f, const struct iovab_source *c,
			  enum iovab_tier tier)
{
	enum iovab_figure i;

	for (i = 0; i < IOVAB_FIGURES; i++)
		f->fig[i] = value_of(i, c, tier);
	compute_ratios(f);
	memcpy(f->report_hist, c->report.bucket, sizeof(f->report_hist));
	memcpy(f->pin_hist, c->pin.bucket, sizeof(f->pin_hist));
	memcpy(f->density_hist, c->density, sizeof(f->density_hist));
	f->density_sum = c->density_sum;
	memcpy(f->run_hist, c->runs, sizeof(f->run_hist));
	f->marks_ascending = c->marks_ascending;
	f->marks_descending = c->marks_descending;
	f->marks_overlapping = c->marks_overlapping;
	memcpy(f->lost_by, c->lost_by, sizeof(f->lost_by));
	f->what_if_reports = c->what_if_reports;
	memcpy(f->what_if, c->what_if, sizeof(f->what_if));
	memcpy(f->phase_reports, c->phase_reports, sizeof(f->phase_reports));
	memcpy(f->phase_ns, c->phase_ns, sizeof(f->phase_ns));
	f->rounds = c->rounds;
}

void figures__of_total(struct iovab_figures *f, const struct iovab_source *total,
		       enum iovab_tier tier)
{
	const struct iovab_latency *r = &total->report, *p = &total->pin;

	copy_counters(f, total, tier);
	hist__figures(&f->report_ns, r->bucket, r->sum_ns, r->min_ns, r->max_ns);
	hist__figures(&f->pin_ns, p->bucket, p->sum_ns, p->min_ns, p->max_ns);
}

void figures__of_part(struct iovab_figures *f, const struct iovab_source *part,
		      enum iovab_tier tier)
{
	const struct iovab_latency *r = &part->report, *p = &part->pin;

	copy_counters(f, part, tier);
	hist__figures_part(&f->report_ns, r->bucket, r->sum_ns, r->min_ns, r->max_ns);
	hist__figures_part(&f->pin_ns, p->bucket, p->sum_ns, p->min_ns, p->max_ns);
}

/* A sum stops at the largest number rather than start again from zero. */
static void add(__u64 *sum, __u64 v)
{
	*sum = *sum + v < v ? ~0ULL : *sum + v;
}

static void add_all(__u64 *sum, const __u64 *v, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		add(&sum[i], v[i]);
}

static void add_value(struct iovab_value *sum, struct iovab_value v)
{
	if (v.state == IOVAB_VALUE_NOT_MEASURED || sum->state == IOVAB_VALUE_UNKNOWN)
		return;
	if (v.state == IOVAB_VALUE_UNKNOWN) {
		*sum = v;
		return;
	}
	sum->state = IOVAB_VALUE_KNOWN;
	add(&sum->v, v.v);
}

static void add_latency(struct iovab_latency_figures *sum, const struct iovab_latency_figures *f)
{
	if (f->state != IOVAB_VALUE_KNOWN)
		return;
	if (sum->state != IOVAB_VALUE_KNOWN || f->min < sum->min)
		sum->min = f->min;
	if (f->max > sum->max)
		sum->max = f->max;
	sum->state = IOVAB_VALUE_KNOWN;
	add(&sum->sum, f->sum);
}

void figures__add(struct iovab_figures *sum, const struct iovab_figures *f)
{
	enum iovab_figure i;

	for (i = 0; i < IOVAB_FIGURES; i++)
		add_value(&sum->fig[i], f->fig[i]);
	add_latency(&sum->report_ns, &f->report_ns);
	add_latency(&sum->pin_ns, &f->pin_ns);
	add_all(sum->report_hist, f->report_hist, IOVAB_HIST_BUCKETS);
	add_all(sum->pin_hist, f->pin_hist, IOVAB_HIST_BUCKETS);
	add_all(sum->density_hist, f->density_hist, IOVAB_DENSITY_BUCKETS);
	add(&sum->density_sum, f->density_sum);
	add_all(sum->run_hist, f->run_hist, IOVAB_RUN_BUCKETS);
	add(&sum->marks_ascending, f->marks_ascending);
	add(&sum->marks_descending, f->marks_descending);
	add(&sum->marks_overlapping, f->marks_overlapping);
	add_all(sum->lost_by, f->lost_by, IOVAB_LOST_REASONS);
	add(&sum->what_if_reports, f->what_if_reports);
	add_all((__u64 *)sum->what_if, (const __u64 *)f->what_if, sizeof(f->what_if) / (sizeof(__u64)));
	add_all(sum->phase_reports, f->phase_reports, IOVAB_PHASES);
	add_all(sum->phase_ns, f->phase_ns, IOVAB_PHASES);
	add(&sum->rounds, f->rounds);
}

static void finish_latency(struct iovab_latency_figures *f, const __u64 bucket[IOVAB_HIST_BUCKETS])
{
	__u64 sum = f->sum, min = f->min, max = f->max;

	hist__figures(f, bucket, sum, min, max);
}

void figures__finish(struct iovab_figures *sum)
{
	compute_ratios(sum);
	finish_latency(&sum->report_ns, sum->report_hist);
	finish_latency(&sum->pin_ns, sum->pin_hist);
}
