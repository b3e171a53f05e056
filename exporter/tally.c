// SPDX-License-Identifier: GPL-2.0-only
#include "tally.h"

#include <string.h>

#include "exposition.h"
#include "hist.h"

/*
 * Where buckets end, as powers of two of nanoseconds. Between 1 ms and 1 s lies
 * what decides over a downtime: a bucket there is a factor of two wide.
 */
static const unsigned char report_shifts[TALLY_REPORT_BUCKETS - 1] = {
	14, 16, 18, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 32, 34,
};

static const unsigned char pin_shifts[TALLY_PIN_BUCKETS - 1] = {
	10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30,
};

/* --- edges --- */

struct edges {
	char text[TALLY_REPORT_BUCKETS][EXPOSITION_NUMBER_LEN];
	const char *le[TALLY_REPORT_BUCKETS];
};

_Static_assert(TALLY_REPORT_BUCKETS >= TALLY_DENSITY_BUCKETS &&
	       TALLY_REPORT_BUCKETS >= TALLY_PIN_BUCKETS, "struct edges has room for each");

static const char *const *latency_edges(struct edges *e, const unsigned char *shifts, size_t n)
{
	size_t i;

	if (e->le[0])
		return e->le;
	for (i = 0; i < n; i++) {
		exposition__format_real(e->text[i], (double)((1ULL << shifts[i]) - 1) / 1e9);
		e->le[i] = e->text[i];
	}
	return e->le;
}

const char *const *tally__report_edges(void)
{
	static struct edges e;

	return latency_edges(&e, report_shifts, TALLY_REPORT_BUCKETS - 1);
}

const char *const *tally__pin_edges(void)
{
	static struct edges e;

	return latency_edges(&e, pin_shifts, TALLY_PIN_BUCKETS - 1);
}

const char *const *tally__density_edges(void)
{
	static struct edges e;
	size_t i;

	if (e.le[0])
		return e.le;
	for (i = 0; i < IOVAB_DENSITY_BUCKETS; i++) {
		exposition__format_real(e.text[i], i ? 1.0 / (double)(1ULL << (13 - i)) : 0);
		e.le[i] = e.text[i];
	}
	return e.le;
}

/* --- the tally of a row --- */

/* Adds the kernel's buckets up to ours: each of them lies in one of ours. */
static void coarsen(__u64 *out, const unsigned char *shifts, size_t n_shifts,
		    const __u64 hist[IOVAB_HIST_BUCKETS])
{
	size_t i, b = 0;

	for (i = 0; i < IOVAB_HIST_BUCKETS; i++) {
		while (b < n_shifts && hist__upper_ns(i) > 1ULL << shifts[b])
			b++;
		out[b] += hist[i];
	}
}

void tally__of_row(struct tally *t, const struct iovab_row *row, enum iovab_tier tier)
{
	const struct iovab_figures *f = &row->total;

	memset(t, 0, sizeof(*t));
	memcpy(t->fig, f->measured, sizeof(t->fig));
	memcpy(t->below, f->below, sizeof(t->below));
	t->rounds = f->rounds;
	t->report_ns = f->report_ns.sum;
	coarsen(t->report, report_shifts, TALLY_REPORT_BUCKETS - 1, f->report_hist);
	t->pin_ns = f->pin_ns.sum;
	coarsen(t->pin, pin_shifts, TALLY_PIN_BUCKETS - 1, f->pin_hist);
	t->density_measured = tier >= IOVAB_TIER_DENSITY;
	memcpy(t->density, f->density_hist, sizeof(f->density_hist));
	t->density_sum = f->density_sum;
	t->marks_measured = tier >= IOVAB_TIER_SETS;
	memcpy(t->lost_by, f->lost_by, sizeof(t->lost_by));
	t->what_if_reports = f->what_if_reports;
	memcpy(t->what_if, f->what_if, sizeof(t->what_if));
}

/* --- sums --- */

static void add_value(struct iovab_value *sum, struct iovab_value now, struct iovab_value before)
{
	if (now.state == IOVAB_VALUE_NOT_MEASURED || sum->state == IOVAB_VALUE_UNKNOWN)
		return;
	if (now.state == IOVAB_VALUE_UNKNOWN || before.state == IOVAB_VALUE_UNKNOWN ||
	    now.v < before.v) {
		*sum = (struct iovab_value){ IOVAB_VALUE_UNKNOWN, 0 };
		return;
	}
	sum->state = IOVAB_VALUE_KNOWN;
	sum->v += now.v - before.v;
}

static void add_buckets(__u64 *sum, const __u64 *now, const __u64 *before, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		sum[i] += now[i] - before[i];
}

void tally__add_growth(struct tally *sum, const struct tally *now, const struct tally *before)
{
	size_t i;

	for (i = 0; i < IOVAB_FIGURES; i++)
		add_value(&sum->fig[i], now->fig[i], before->fig[i]);
	sum->rounds += now->rounds - before->rounds;
	add_buckets(sum->report, now->report, before->report, TALLY_REPORT_BUCKETS);
	sum->report_ns += now->report_ns - before->report_ns;
	add_buckets(sum->pin, now->pin, before->pin, TALLY_PIN_BUCKETS);
	sum->pin_ns += now->pin_ns - before->pin_ns;
	sum->density_measured |= now->density_measured;
	add_buckets(sum->density, now->density, before->density, TALLY_DENSITY_BUCKETS);
	sum->density_sum += now->density_sum - before->density_sum;
	add_buckets(sum->below, now->below, before->below, IOVAB_TIER_SETS + 1);
	sum->marks_measured |= now->marks_measured;
	add_buckets(sum->lost_by, now->lost_by, before->lost_by, IOVAB_LOST_REASONS);
	sum->what_if_reports += now->what_if_reports - before->what_if_reports;
	add_buckets((__u64 *)sum->what_if, (const __u64 *)now->what_if,
		    (const __u64 *)before->what_if, sizeof(sum->what_if) / (sizeof(__u64)));
}
