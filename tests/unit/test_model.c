// SPDX-License-Identifier: GPL-2.0-only
/* The model's arithmetic: totals, intervals, what is not there, what vanishes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "columns.h"
#include "fixture.h"

static struct fixture fx;

static int new_model(void **state)
{
	*state = model__new();
	return *state ? 0 : -1;
}

static int free_model(void **state)
{
	model__free(*state);
	return 0;
}

static void assert_ratio(struct iovab_ratio r, double expected)
{
	assert_int_equal(r.state, IOVAB_VALUE_KNOWN);
	assert_true(r.v > expected - 1e-9 && r.v < expected + 1e-9);
}

/* --- totals and intervals --- */

static void first_sight_has_no_interval(void **state)
{
	const struct iovab_snapshot *s;
	struct iovab_source_fact *a;

	fixture__init(&fx, IOVAB_TIER_SETS);
	a = fixture__source(&fx, 1, "a");
	fixture__report(a, 4, 1, 8192, 1000000);
	s = fixture__update(*state, &fx);
	assert_int_equal(s->n_rows, 1);
	assert_false(s->rows[0].has_interval);
	assert_int_equal(s->rows[0].interval.fig[IOVAB_FIG_REPORTS].state,
			 IOVAB_VALUE_NOT_MEASURED);
	assert_int_equal(s->rows[0].reports_per_s.state, IOVAB_VALUE_NOT_MEASURED);
	assert_false(s->rows[0].idle);
	assert_true(s->interval_s == 0 && s->elapsed_s == 0);
	fixture__assert_known(s->rows[0].total.fig[IOVAB_FIG_WINDOWS], 4);
	fixture__assert_known(s->sum.fig[IOVAB_FIG_WINDOWS_CLEAN], 3);
}

static void interval_is_the_difference(void **state)
{
	const struct iovab_row *row;
	const struct iovab_snapshot *s;
	struct iovab_source_fact *a;

	fixture__init(&fx, IOVAB_TIER_SETS);
	a = fixture__source(&fx, 1, "a");
	fixture__report(a, 4, 1, 8192, 1000000);
	fixture__update(*state, &fx);
	fixture__pass(&fx, 2 * SECOND_NS);
	fixture__report(a, 4, 2, 4096, 3000000);
	fixture__report(a, 4, 0, 0, 5000000);
	s = fixture__update(*state, &fx);
	row = fixture__row(s, "a");
	assert_true(s->interval_s == 2.0 && s->elapsed_s == 2.0);
	assert_true(row->has_interval);
	fixture__assert_known(row->total.fig[IOVAB_FIG_REPORTS], 3);
	fixture__assert_known(row->total.fig[IOVAB_FIG_DIRTY_BYTES], 12288);
	fixture__assert_known(row->interval.fig[IOVAB_FIG_REPORTS], 2);
	fixture__assert_known(row->interval.fig[IOVAB_FIG_WINDOWS], 8);
	fixture__assert_known(row->interval.fig[IOVAB_FIG_WINDOWS_CLEAN], 6);
	fixture__assert_known(row->interval.fig[IOVAB_FIG_DIRTY_BYTES], 4096);
	assert_int_equal(row->interval.report_ns.count, 2);
	assert_int_equal(row->interval.report_ns.sum, 8000000);
	assert_in_range(row->interval.report_ns.min, 2000001, 3000000);
	assert_int_equal(row->interval.report_ns.max, 5000000);
	assert_int_equal(row->interval.density_hist[0], 6);
	assert_ratio(row->reports_per_s, 1.0);
	assert_ratio(row->dirty_bytes_per_s, 2048);
	assert_ratio(row->interval.windows_per_report, 4.0);
	assert_ratio(row->interval.clean_share, 0.75);
	assert_ratio(row->total.clean_share, 0.75);
	assert_ratio(row->total.density, 12288.0 / (3 * 256.0 * GIB));
}

static void no_report_is_idle(void **state)
{
	const struct iovab_row *row;
	struct iovab_source_fact *a;

	fixture__init(&fx, IOVAB_TIER_DENSITY);
	a = fixture__source(&fx, 1, "a");
	fixture__report(a, 4, 1, 8192, 1000000);
	fixture__update(*state, &fx);
	fixture__pass(&fx, SECOND_NS);
	row = fixture__row(fixture__update(*state, &fx), "a");
	assert_true(row->idle);
	assert_ratio(row->reports_per_s, 0);
	assert_int_equal(row->interval.windows_per_report.state, IOVAB_VALUE_NOT_MEASURED);
	assert_int_equal(row->interval.density.state, IOVAB_VALUE_NOT_MEASURED);
	assert_int_equal(row->interval.report_ns.state, IOVAB_VALUE_NOT_MEASURED);
	fixture__assert_known(row->interval.fig[IOVAB_FIG_DIRTY_BYTES], 0);
}

static void later_source_counts_from_zero(void **state)
{
	const struct iovab_row *row;

	fixture__init(&fx, IOVAB_TIER_DENSITY);
	fixture__update(*state, &fx);
	fixture__pass(&fx, SECOND_NS);
	fixture__report(fixture__source(&fx, 9, "late"), 4, 1, 8192, 1000000);
	row = fixture__row(fixture__update(*state, &fx), "late");
	assert_true(row->has_interval);
	fixture__assert_known(row->interval.fig[IOVAB_FIG_WINDOWS], 4);
	assert_ratio(row->dirty_bytes_per_s, 8192);
}

static void zero_interval_divides_nothing(void **state)
{
	const struct iovab_snapshot *s;
	struct iovab_source_fact *a;

	fixture__init(&fx, IOVAB_TIER_DENSITY);
	a = fixture__source(&fx, 1, "a");
	fixture__update(*state, &fx);
	fixture__report(a, 4, 1, 8192, 1000000);
	fx.facts.cost.collector_cpu_ns = 1000;
	s = fixture__update(*state, &fx);
	assert_true(s->interval_s == 0);
	fixture__assert_known(s->rows[0].interval.fig[IOVAB_FIG_WINDOWS], 4);
	assert_int_equal(s->rows[0].reports_per_s.state, IOVAB_VALUE_NOT_MEASURED);
	assert_int_equal(s->rows[0].dirty_bytes_per_s.state, IOVAB_VALUE_NOT_MEASURED);
	assert_int_equal(s->collector_share.state, IOVAB_VALUE_NOT_MEASURED);
	/* and time that runs backwards is no time either */
	fx.facts.time_ns -= SECOND_NS;
	s = fixture__update(*state, &fx);
	assert_true(s->interval_s == 0 && s->elapsed_s == 0);
}

static void counters_wrap(void **state)
{
	const struct iovab_row *row;
	struct iovab_source_fact *a;

	fixture__init(&fx, IOVAB_TIER_SETS);
	a = fixture__source(&fx, 1, "a");
	a->counters.reports = 10;
	a->counters.dirty_bytes = ~0ULL - 4095;
	a->counters.marked_bytes = ~0ULL;
	a->counters.report.sum_ns = ~0ULL - 10;
	fixture__update(*state, &fx);
	fixture__pass(&fx, SECOND_NS);
	a->counters.reports = 11;
	a->counters.dirty_bytes = 4096;		/* 8192 more */
	a->counters.marked_bytes = 8191;	/* 8192 more */
	a->counters.report.sum_ns = 89;		/* 100 more */
	a->counters.report.bucket[3] = 1;
	row = fixture__row(fixture__update(*state, &fx), "a");
	assert_true(row->has_interval);
	fixture__assert_known(row->interval.fig[IOVAB_FIG_DIRTY_BYTES], 8192);
	fixture__assert_known(row->interval.fig[IOVAB_FIG_REDUNDANT_BYTES], 0);
	assert_int_equal(row->interval.report_ns.sum, 100);
	assert_ratio(row->dirty_bytes_per_s, 8192);
}

/* --- what comes and goes --- */

static void fresh_load_is_a_new_row(void **state)
{
	const struct iovab_snapshot *s;
	struct iovab_source_fact *a;

	fixture__init(&fx, IOVAB_TIER_DENSITY);
	a = fixture__source(&fx, 1, "a");
	fixture__report(a, 4, 1, 8192, 1000000);
	fixture__report(a, 4, 1, 8192, 1000000);
	fixture__update(*state, &fx);
	fixture__pass(&fx, SECOND_NS);
	fx.facts.n_sources = 0;
	a = fixture__source(&fx, 1, "a");	/* the same source, counted anew */
	fixture__report(a, 2, 1, 4096, 1000000);
	s = fixture__update(*state, &fx);
	assert_int_equal(s->n_rows, 2);
	assert_true(s->rows[0].stale);
	assert_false(s->rows[1].stale);
	assert_int_not_equal(s->rows[0].id, s->rows[1].id);
	assert_true(s->rows[1].has_interval);
	fixture__assert_known(s->rows[1].interval.fig[IOVAB_FIG_WINDOWS], 2);
	fixture__assert_known(s->sum.fig[IOVAB_FIG_WINDOWS], 10);
	fixture__assert_known(s->sum.fig[IOVAB_FIG_DIRTY_BYTES], 20480);
	/* and the new one goes on */
	fixture__pass(&fx, SECOND_NS);
	fixture__report(a, 2, 1, 4096, 1000000);
	s = fixture__update(*state, &fx);
	assert_int_equal(s->n_rows, 2);
	fixture__assert_known(s->rows[1].interval.fig[IOVAB_FIG_WINDOWS], 2);
}

static void other_key_is_another_row(void **state)
{
	const struct iovab_snapshot *s;

	fixture__init(&fx, IOVAB_TIER_DENSITY);
	fixture__report(fixture__source(&fx, 1, "a"), 4, 1, 8192, 1000000);
	fixture__update(*state, &fx);
	fixture__pass(&fx, SECOND_NS);
	fx.facts.n_sources = 0;
	fixture__report(fixture__source(&fx, 1, "b"), 8, 1, 8192, 1000000);
	s = fixture__update(*state, &fx);
	assert_int_equal(s->n_rows, 2);
	assert_true(fixture__row(s, "a")->stale);
	fixture__assert_known(fixture__row(s, "b")->interval.fig[IOVAB_FIG_WINDOWS], 8);
	fixture__assert_known(s->sum.fig[IOVAB_FIG_WINDOWS], 12);
}

static void vanished_device_stays_in_the_sum(void **state)
{
	const struct iovab_snapshot *s;
	struct iovab_source_fact a;

	fixture__init(&fx, IOVAB_TIER_DENSITY);
	fixture__report(fixture__source(&fx, 1, "a"), 4, 1, 8192, 1000000);
	fixture__live(&fx, 1, SECOND_NS);
	fixture__report(fixture__source(&fx, 2, "b"), 4, 1, 8192, 1000000);
	fixture__update(*state, &fx);
	a = fx.sources[0];
	fixture__pass(&fx, SECOND_NS);
	fx.sources[0] = fx.sources[1];
	fx.facts.n_sources = 1;
	s = fixture__update(*state, &fx);
	assert_int_equal(s->n_rows, 2);
	assert_true(fixture__row(s, "a")->stale);
	assert_false(fixture__row(s, "a")->has_interval);
	assert_int_equal(fixture__row(s, "a")->reports_in_flight, 0);
	assert_false(fixture__row(s, "b")->stale);
	fixture__assert_known(s->sum.fig[IOVAB_FIG_REPORTS], 2);
	assert_int_equal(s->sum.report_ns.count, 2);
	/* back again: one row, no interval for a time that nobody watched */
	fixture__pass(&fx, SECOND_NS);
	fx.sources[1] = a;
	fixture__report(&fx.sources[1], 4, 1, 8192, 1000000);
	fx.facts.n_sources = 2;
	s = fixture__update(*state, &fx);
	assert_int_equal(s->n_rows, 2);
	assert_false(fixture__row(s, "a")->stale);
	assert_false(fixture__row(s, "a")->has_interval);
	fixture__assert_known(s->sum.fig[IOVAB_FIG_REPORTS], 3);
	fixture__pass(&fx, SECOND_NS);
	assert_true(fixture__row(fixture__update(*state, &fx), "a")->has_interval);
	/* and gone again */
	fx.facts.n_sources = 1;
	assert_true(fixture__row(fixture__update(*state, &fx), "a")->stale);
}

static void owner_gone_is_stale(void **state)
{
	const struct iovab_row *row;
	struct iovab_source_fact *a;

	fixture__init(&fx, IOVAB_TIER_DENSITY);
	a = fixture__source(&fx, 1, "a");
	fixture__report(a, 4, 1, 8192, 1000000);
	fixture__update(*state, &fx);
	fixture__pass(&fx, SECOND_NS);
	a->owner_gone = true;
	a->vm[0] = '\0';		/* /proc is gone too */
	fixture__report(a, 4, 1, 8192, 1000000);
	row = fixture__row(fixture__update(*state, &fx), "a");
	assert_true(row->stale);
	assert_true(row->has_interval);
	fixture__assert_known(row->interval.fig[IOVAB_FIG_REPORTS], 1);
	assert_string_equal(row->vm, "web-1");
}

static void one_id_twice_counts_once(void **state)
{
	const struct iovab_snapshot *s;

	fixture__init(&fx, IOVAB_TIER_DENSITY);
	fixture__report(fixture__source(&fx, 1, "a"), 4, 1, 8192, 1000000);
	fixture__report(fixture__source(&fx, 1, "b"), 4, 1, 8192, 1000000);
	s = fixture__update(*state, &fx);
	assert_int_equal(s->n_rows, 1);
	fixture__assert_known(s->sum.fig[IOVAB_FIG_REPORTS], 1);
}

/* Rounds and the sum of densities: in totals, intervals and the sum; and when the last report ended. */
static void rounds_and_densities_add_up(void **state)
{
	struct iovab_source_fact *a, *b;
	const struct iovab_snapshot *s;

	fixture__init(&fx, IOVAB_TIER_DENSITY);
	a = fixture__source(&fx, 1, "a");
	b = fixture__source(&fx, 2, "b");
	a->counters.rounds = 3;
	a->counters.density_sum = IOVAB_DENSITY_ONE;
	b->counters.rounds = 4;
	fixture__update(*state, &fx);
	a->counters.rounds = 5;
	a->counters.density_sum = IOVAB_DENSITY_ONE * 3 / 2;
	a->counters.last_end_ns = 77;
	fx.facts.cost.bpf_run_ns = 5;
	fixture__pass(&fx, SECOND_NS);
	s = fixture__update(*state, &fx);
	assert_int_equal(s->rows[0].total.rounds, 5);
	assert_int_equal(s->rows[0].interval.rounds, 2);
	assert_int_equal(s->rows[0].interval.density_sum, IOVAB_DENSITY_ONE / 2);
	assert_int_equal(s->rows[0].last_end_ns, 77);
	assert_int_equal(s->sum.rounds, 9);
	assert_int_equal(s->sum.density_sum, IOVAB_DENSITY_ONE * 3 / 2);
	assert_int_equal(s->time_ns, fx.facts.time_ns);
	assert_int_equal(s->cost.bpf_run_ns, 5);
}

/* Many sources come and go: rows are bounded, the sum counts them all. */
static void stale_rows_are_bounded(void **state)
{
	const struct iovab_snapshot *s = NULL;
	__u64 before = 0, now;
	unsigned int i, total = MODEL_MAX_VANISHED + 1000;

	fixture__init(&fx, IOVAB_TIER_DENSITY);
	for (i = 0; i < total; i++) {
		if (i % 50 == 0) {
			s = fixture__update(*state, &fx);
			assert_true(s->n_rows <= MODEL_MAX_VANISHED + 50);
			now = s->sum.fig[IOVAB_FIG_WINDOWS].v;
			assert_true(now >= before);
			before = now;
			fixture__pass(&fx, SECOND_NS);
			fx.facts.n_sources = 0;
		}
		fixture__report(fixture__source(&fx, i + 1, "a"), 4, 1, 8192, 1000000);
	}
	fixture__update(*state, &fx);
	fx.facts.n_sources = 0;
	s = fixture__update(*state, &fx);
	assert_true(s->n_rows <= MODEL_MAX_VANISHED);
	assert_int_equal(s->n_rows + s->rows_folded, total);
	assert_true(s->rows_folded > 0);
	fixture__assert_known(s->sum.fig[IOVAB_FIG_WINDOWS], 4ULL * total);
	assert_int_equal(s->sum.report_ns.count, total);
	assert_int_equal(s->sum.pin_ns.min, 20000);
	assert_ratio(s->sum.clean_share, 0.75);
	/* the rows kept are the last ones */
	assert_int_equal(s->rows[s->n_rows - 1].id, total);
}

/* --- what is not measured, what is unknown --- */

static enum iovab_value_state state_at(struct model *m, enum iovab_tier tier,
				       enum iovab_figure fig)
{
	struct iovab_source_fact *a;

	fixture__init(&fx, tier);
	a = fixture__source(&fx, tier, "a");
	a->key.owner_start_ns = tier;
	fixture__report(a, 4, 1, 8192, 1000000);
	return fixture__update(m, &fx)->sum.fig[fig].state;
}

static void tiers_measure_what_they_say(void **state)
{
	enum iovab_figure f;
	enum iovab_tier t;
	struct model *m;

	for (f = 0; f < IOVAB_FIGURES; f++)
		for (t = IOVAB_TIER_WINDOWS; t <= IOVAB_TIER_SETS; t++) {
			m = model__new();
			assert_int_equal(state_at(m, t, f), t >= model__figure_tier(f) ?
					 IOVAB_VALUE_KNOWN : IOVAB_VALUE_NOT_MEASURED);
			model__free(m);
		}
	assert_int_equal(model__figure_tier(IOVAB_FIG_REPINS), IOVAB_TIER_WINDOWS);
	assert_int_equal(model__figure_tier(IOVAB_FIG_WINDOWS_CLEAN), IOVAB_TIER_DENSITY);
	assert_int_equal(model__figure_tier(IOVAB_FIG_DIRTY_BYTES), IOVAB_TIER_DENSITY);
	assert_int_equal(model__figure_tier(IOVAB_FIG_LOST_BYTES), IOVAB_TIER_SETS);
}

static void windows_tier_has_no_density(void **state)
{
	const struct iovab_snapshot *s;

	fixture__init(&fx, IOVAB_TIER_WINDOWS);
	fixture__report(fixture__source(&fx, 1, "a"), 4, 1, 8192, 1000000);
	s = fixture__update(*state, &fx);
	assert_int_equal(s->rows[0].total.density.state, IOVAB_VALUE_NOT_MEASURED);
	assert_int_equal(s->rows[0].total.clean_share.state, IOVAB_VALUE_NOT_MEASURED);
	assert_int_equal(s->sum.density.state, IOVAB_VALUE_NOT_MEASURED);
	assert_int_equal(s->rows[0].total.report_ns.state, IOVAB_VALUE_KNOWN);
}

static void assert_scan_figures(const struct iovab_figures *f, enum iovab_value_state expected)
{
	assert_int_equal(f->fig[IOVAB_FIG_DIRTY_BYTES].state, expected);
	assert_int_equal(f->fig[IOVAB_FIG_WINDOWS_CLEAN].state, expected);
	assert_int_equal(f->fig[IOVAB_FIG_REDUNDANT_BYTES].state, expected);
	assert_int_equal(f->density.state, expected);
	assert_int_equal(f->clean_share.state, expected);
	if (expected == IOVAB_VALUE_UNKNOWN)
		assert_int_equal(f->fig[IOVAB_FIG_DIRTY_BYTES].v, 0);
}

static void skipped_scans_make_it_unknown(void **state)
{
	const struct iovab_snapshot *s;
	struct iovab_source_fact *a;

	fixture__init(&fx, IOVAB_TIER_SETS);
	a = fixture__source(&fx, 1, "a");
	fixture__report(a, 4, 1, 8192, 1000000);
	fixture__report(fixture__source(&fx, 2, "b"), 4, 1, 8192, 1000000);
	s = fixture__update(*state, &fx);
	assert_scan_figures(&s->sum, IOVAB_VALUE_KNOWN);
	fixture__pass(&fx, SECOND_NS);
	fixture__report(a, 4, 1, 8192, 1000000);
	a->counters.scan_skipped++;
	s = fixture__update(*state, &fx);
	assert_scan_figures(&s->rows[0].total, IOVAB_VALUE_UNKNOWN);
	assert_scan_figures(&s->rows[0].interval, IOVAB_VALUE_UNKNOWN);
	assert_int_equal(s->rows[0].dirty_bytes_per_s.state, IOVAB_VALUE_UNKNOWN);
	assert_scan_figures(&s->rows[1].total, IOVAB_VALUE_KNOWN);
	assert_scan_figures(&s->sum, IOVAB_VALUE_UNKNOWN);
	fixture__assert_known(s->sum.fig[IOVAB_FIG_SCAN_SKIPPED], 1);
	fixture__assert_known(s->sum.fig[IOVAB_FIG_WINDOWS], 12);
	/* the next interval is good again, the total never */
	fixture__pass(&fx, SECOND_NS);
	fixture__report(a, 4, 1, 8192, 1000000);
	s = fixture__update(*state, &fx);
	assert_scan_figures(&s->rows[0].interval, IOVAB_VALUE_KNOWN);
	assert_scan_figures(&s->rows[0].total, IOVAB_VALUE_UNKNOWN);
}

static void assert_mark_figures(const struct iovab_figures *f, enum iovab_value_state expected)
{
	assert_int_equal(f->fig[IOVAB_FIG_SET_CALLS].state, expected);
	assert_int_equal(f->fig[IOVAB_FIG_LOST_BYTES].state, expected);
	assert_int_equal(f->fig[IOVAB_FIG_STRAY_BITS].state, expected);
	assert_int_equal(model__measured(f, IOVAB_TIER_SETS, IOVAB_TIER_SETS), expected);
	if (expected == IOVAB_VALUE_UNKNOWN)
		assert_int_equal(f->fig[IOVAB_FIG_LOST_BYTES].v, 0);
}

/* One report of which marks were not followed, then one that was not scanned either. */
static void dropped_tiers_make_it_unknown(void **state)
{
	const struct iovab_snapshot *s;
	struct iovab_source_fact *a;

	fixture__init(&fx, IOVAB_TIER_SETS);
	a = fixture__source(&fx, 1, "a");
	fixture__report(a, 4, 1, 8192, 1000000);
	fixture__report(fixture__source(&fx, 2, "b"), 4, 1, 8192, 1000000);
	fixture__update(*state, &fx);
	fixture__pass(&fx, SECOND_NS);
	a->counters.reports++;
	a->counters.dirty_bytes += 4096;
	a->counters.below_sets++;
	fx.facts.budget = (struct iovab_budget_fact){ .limit_ppm = 10000, .drops = 1,
						      .tier = IOVAB_TIER_DENSITY };
	s = fixture__update(*state, &fx);
	assert_int_equal(model__tier_now(s), IOVAB_TIER_DENSITY);
	assert_mark_figures(&s->rows[0].total, IOVAB_VALUE_UNKNOWN);
	assert_mark_figures(&s->rows[0].interval, IOVAB_VALUE_UNKNOWN);
	assert_mark_figures(&s->rows[1].total, IOVAB_VALUE_KNOWN);
	assert_mark_figures(&s->sum, IOVAB_VALUE_UNKNOWN);
	fixture__assert_known(s->rows[0].total.fig[IOVAB_FIG_DIRTY_BYTES], 12288);
	fixture__assert_known(s->rows[0].total.measured[IOVAB_FIG_MARKED_BYTES], 8192);
	assert_int_equal(s->rows[0].total.measured[IOVAB_FIG_REDUNDANT_BYTES].state,
			 IOVAB_VALUE_UNKNOWN);
	fixture__pass(&fx, SECOND_NS);
	a->counters.reports++;
	a->counters.windows++;
	a->counters.range_bytes += GIB;
	a->counters.below_sets++;
	a->counters.below_density++;
	s = fixture__update(*state, &fx);
	assert_scan_figures(&s->rows[0].total, IOVAB_VALUE_UNKNOWN);
	assert_scan_figures(&s->rows[0].interval, IOVAB_VALUE_UNKNOWN);
	fixture__assert_known(s->rows[0].total.fig[IOVAB_FIG_REPORTS], 3);
	fixture__assert_known(s->sum.measured[IOVAB_FIG_DIRTY_BYTES], 20480);
	/* the tier is back: so is the interval, and what was lost is told of what was measured */
	fixture__pass(&fx, SECOND_NS);
	fixture__report(a, 4, 1, 8192, 1000000);
	a->counters.lost_bytes = 4096;
	a->counters.marked_bytes += 4096;
	s = fixture__update(*state, &fx);
	assert_mark_figures(&s->rows[0].interval, IOVAB_VALUE_KNOWN);
	assert_scan_figures(&s->rows[0].interval, IOVAB_VALUE_KNOWN);
	assert_mark_figures(&s->rows[0].total, IOVAB_VALUE_UNKNOWN);
	assert_true(columns__row_is_bad(&s->rows[0]));
}

static void redundant_is_never_negative(void **state)
{
	const struct iovab_figures *t;
	struct iovab_source_fact *a;

	fixture__init(&fx, IOVAB_TIER_SETS);
	a = fixture__source(&fx, 1, "a");
	fixture__report(a, 4, 1, 8192, 1000000);
	a->counters.marked_bytes += 3 * 4096;
	a->counters.lost_bytes = 4096;
	t = &fixture__update(*state, &fx)->rows[0].total;
	fixture__assert_known(t->fig[IOVAB_FIG_REDUNDANT_BYTES], 2 * 4096);
	a->counters.lost_bytes = 3 * 4096 + 1;	/* one byte too many */
	t = &fixture__update(*state, &fx)->rows[0].total;
	assert_int_equal(t->fig[IOVAB_FIG_REDUNDANT_BYTES].state, IOVAB_VALUE_UNKNOWN);
	a->counters.lost_bytes = 1ULL << 62;
	fixture__pass(&fx, 1);
	t = &fixture__update(*state, &fx)->sum;
	assert_int_equal(t->fig[IOVAB_FIG_REDUNDANT_BYTES].state, IOVAB_VALUE_UNKNOWN);
	fixture__assert_known(t->fig[IOVAB_FIG_DIRTY_BYTES], 8192);
}

static void no_rows_measure_nothing(void **state)
{
	const struct iovab_snapshot *s;

	fixture__init(&fx, IOVAB_TIER_SETS);
	fx.facts.state = IOVAB_STATE_WAITING;
	fx.facts.generation = NULL;
	s = fixture__update(*state, &fx);
	assert_int_equal(s->n_rows, 0);
	assert_null(s->generation);
	assert_int_equal(s->state, IOVAB_STATE_WAITING);
	assert_int_equal(s->sum.fig[IOVAB_FIG_REPORTS].state, IOVAB_VALUE_NOT_MEASURED);
	assert_int_equal(s->sum.report_ns.state, IOVAB_VALUE_NOT_MEASURED);
}

static void sum_saturates(void **state)
{
	const struct iovab_snapshot *s;

	fixture__init(&fx, IOVAB_TIER_SETS);
	fixture__source(&fx, 1, "a")->counters.range_bytes = ~0ULL - 1;
	fixture__source(&fx, 2, "b")->counters.range_bytes = 100;
	s = fixture__update(*state, &fx);
	fixture__assert_known(s->sum.fig[IOVAB_FIG_RANGE_BYTES], ~0ULL);
}

static void sum_merges_latencies(void **state)
{
	const struct iovab_snapshot *s;

	fixture__init(&fx, IOVAB_TIER_WINDOWS);
	fixture__report(fixture__source(&fx, 1, "a"), 1, 0, 0, 3000);
	fixture__report(fixture__source(&fx, 2, "b"), 1, 0, 0, 1000);
	fixture__report(fixture__source(&fx, 3, "c"), 1, 0, 0, 2000);
	fixture__source(&fx, 4, "nothing timed");
	s = fixture__update(*state, &fx);
	assert_int_equal(s->sum.report_ns.min, 1000);
	assert_int_equal(s->sum.report_ns.max, 3000);
	assert_int_equal(s->sum.report_ns.sum, 6000);
	assert_int_equal(s->sum.report_ns.count, 3);
	assert_int_equal(iovab_hist_index(s->sum.report_ns.p50), iovab_hist_index(2000));
}

/* --- now, heat, losses, cost --- */

static void reports_in_flight_are_counted(void **state)
{
	const struct iovab_snapshot *s;

	fixture__init(&fx, IOVAB_TIER_DENSITY);
	fixture__source(&fx, 1, "a");
	fixture__source(&fx, 2, "b");
	fixture__live(&fx, 1, 3 * SECOND_NS);
	fixture__live(&fx, 1, 7 * SECOND_NS);
	fixture__live(&fx, 0, SECOND_NS);
	fixture__live(&fx, 2, 0)->start_ns = fx.facts.time_ns + 5;	/* began just now */
	fixture__live(&fx, 77, SECOND_NS);
	s = fixture__update(*state, &fx);
	assert_int_equal(s->reports_in_flight, 5);
	assert_int_equal(s->pages_pinned_now, 5 * 512);
	assert_int_equal(s->rows[0].reports_in_flight, 2);
	assert_int_equal(s->rows[0].oldest_in_flight_ns, 7 * SECOND_NS);
	assert_int_equal(s->rows[0].pages_pinned_now, 1024);
	assert_int_equal(s->rows[1].reports_in_flight, 1);
	assert_int_equal(s->rows[1].oldest_in_flight_ns, 0);
	fx.facts.n_live = 0;
	s = fixture__update(*state, &fx);
	assert_int_equal(s->rows[0].reports_in_flight, 0);
	assert_int_equal(s->rows[0].pages_pinned_now, 0);
	assert_int_equal(s->pages_pinned_now, 0);
}

static void windows_feed_the_strip(void **state)
{
	const struct iovab_snapshot *s;

	fixture__init(&fx, IOVAB_TIER_DENSITY);
	fixture__source(&fx, 1, "a");
	fixture__window(&fx, 1, 0, 64 * GIB)->cells[5] = 3;
	fixture__window(&fx, 0, 0, 64 * GIB);		/* not placed: no source yet */
	fixture__window(&fx, 42, 0, 64 * GIB);		/* nor this: no such source */
	fixture__window(&fx, 1, 0, 64 * GIB)->scan_skipped = 1;
	fixture__window(&fx, 1, 0, 0);			/* nonsense */
	s = fixture__update(*state, &fx);
	assert_true(s->rows[0].heat.valid);
	assert_int_equal(s->rows[0].heat.cell_shift, 30);
	assert_int_equal(s->rows[0].heat.total_bytes[5], 3 * 4096);
	assert_int_equal(s->rows[0].heat.interval_bytes[5], 3 * 4096);
	assert_int_equal(s->heat_unplaced, 3);
	fixture__pass(&fx, SECOND_NS);
	s = fixture__update(*state, &fx);
	assert_int_equal(s->rows[0].heat.total_bytes[5], 3 * 4096);
	assert_int_equal(s->rows[0].heat.interval_bytes[5], 0);
}

static void losses_survive_a_fresh_load(void **state)
{
	const struct iovab_snapshot *s;

	fixture__init(&fx, IOVAB_TIER_DENSITY);
	fx.facts.losses = (struct iovab_losses){
		.slots_full = 1, .sources_full = 2, .joined_late = 3, .marks_unowned = 4,
		.pins_unowned = 5, .starts_full = 7, .names_cut = 100, .events_dropped = 1000,
		.recursion_missed = 6, .callers_full = 8, .results_missed = 9,
		.ends_missed = 10,
	};
	s = fixture__update(*state, &fx);
	assert_int_equal(s->events_lost, 1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9 + 10);
	assert_int_equal(s->losses.names_cut, 100);
	fx.facts.losses.slots_full = 11;
	s = fixture__update(*state, &fx);
	assert_int_equal(s->losses.slots_full, 11);
	fx.facts.losses.slots_full = 2;
	s = fixture__update(*state, &fx);
	assert_int_equal(s->losses.slots_full, 13);
	assert_int_equal(s->events_lost, 13 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9 + 10);
}

static void cost_is_a_share_of_time(void **state)
{
	const struct iovab_snapshot *s;

	fixture__init(&fx, IOVAB_TIER_DENSITY);
	fx.facts.cost.collector_cpu_ns = 50000000;
	s = fixture__update(*state, &fx);
	assert_int_equal(s->collector_share.state, IOVAB_VALUE_NOT_MEASURED);
	assert_int_equal(s->bpf_share.state, IOVAB_VALUE_UNKNOWN);
	fixture__pass(&fx, 2 * SECOND_NS);
	fx.facts.cost.collector_cpu_ns += 20000000;
	fx.facts.cost.bpf_known = true;
	fx.facts.cost.bpf_run_ns = 1000000;
	fx.facts.cost.bpf_sampled_ns = 100000000;
	s = fixture__update(*state, &fx);
	assert_ratio(s->collector_share, 0.01);
	assert_ratio(s->bpf_share, 0.01);
	/* no sample in this interval: not the last one's */
	fixture__pass(&fx, SECOND_NS);
	fx.facts.cost.bpf_known = false;
	s = fixture__update(*state, &fx);
	assert_ratio(s->collector_share, 0);
	assert_int_equal(s->bpf_share.state, IOVAB_VALUE_UNKNOWN);
	/* the next sample counts from the last one */
	fixture__pass(&fx, SECOND_NS);
	fx.facts.cost.bpf_known = true;
	fx.facts.cost.bpf_run_ns = 6000000;
	fx.facts.cost.bpf_sampled_ns = 200000000;
	s = fixture__update(*state, &fx);
	assert_ratio(s->bpf_share, 0.05);
}

static void unterminated_strings_are_ended(void **state)
{
	const struct iovab_row *row;
	struct iovab_source_fact *a;

	fixture__init(&fx, IOVAB_TIER_DENSITY);
	a = fixture__source(&fx, 1, "a");
	memset(a->key.device, 'd', sizeof(a->key.device));
	memset(a->counters.comm, 'c', sizeof(a->counters.comm));
	memset(a->vm, 'v', sizeof(a->vm));
	row = &fixture__update(*state, &fx)->rows[0];
	assert_int_equal(strnlen(row->device, sizeof(row->device)), sizeof(row->device) - 1);
	assert_int_equal(strnlen(row->comm, sizeof(row->comm)), sizeof(row->comm) - 1);
	assert_int_equal(strnlen(row->vm, sizeof(row->vm)), sizeof(row->vm) - 1);
}

static void many_sources_are_not_mixed_up(void **state)
{
	static struct iovab_source_fact many[IOVAB_MAX_SOURCES];
	const struct iovab_snapshot *s;
	unsigned int round, i, n = IOVAB_MAX_SOURCES;

	fixture__init(&fx, IOVAB_TIER_DENSITY);
	for (i = 0; i < n; i++) {
		fx.facts.n_sources = 0;
		/* ids that collide in any simple hash */
		many[i] = *fixture__source(&fx, 1 + i * 4096, "a");
	}
	fx.facts.sources = many;
	fx.facts.n_sources = n;
	for (round = 0; round < 3; round++) {
		s = fixture__update(*state, &fx);
		assert_int_equal(s->n_rows, n);
		for (i = 0; i < n; i++) {
			fixture__assert_known(s->rows[i].total.fig[IOVAB_FIG_REPINS],
					      (__u64)round * i);
			if (round)
				fixture__assert_known(s->rows[i].interval.fig[IOVAB_FIG_REPINS], i);
			many[i].counters.repins += i;
		}
		fixture__pass(&fx, SECOND_NS);
	}
}

/* Whichever allocation fails: the old snapshot can be read, and nothing is lost. */
static void out_of_memory_changes_nothing(void **state)
{
	const struct iovab_snapshot *s;
	struct model *m;
	unsigned int nth, i;

	for (nth = 1; nth <= 3; nth++) {
		m = model__new();
		fixture__init(&fx, IOVAB_TIER_DENSITY);
		fixture__report(fixture__source(&fx, 1, "a"), 4, 1, 8192, 1000000);
		s = fixture__update(m, &fx);
		fixture__pass(&fx, SECOND_NS);
		for (i = 2; i <= 50; i++)
			fixture__report(fixture__source(&fx, i, "b"), 4, 1, 8192, 1000000);
		fixture__fail_alloc(nth);
		errno = 0;
		assert_null(model__update(m, &fx.facts));
		assert_int_equal(errno, ENOMEM);
		assert_int_equal(s->n_rows, 1);
		fixture__assert_known(s->rows[0].total.fig[IOVAB_FIG_WINDOWS], 4);
		assert_true(s->elapsed_s == 0);
		s = fixture__update(m, &fx);
		assert_int_equal(s->n_rows, 50);
		assert_true(s->interval_s == 1.0);
		fixture__assert_known(s->sum.fig[IOVAB_FIG_REPORTS], 50);
		model__free(m);
	}
	fixture__fail_alloc(0);
}

static void names_are_those_of_the_contract(void **state)
{
	static const char *const names[IOVAB_FIGURES] = {
		"reports", "report_errors", "range_bytes", "windows", "windows_clean", "repins",
		"pages_pinned", "pin_failures", "scan_skipped", "dirty_bytes", "set_calls",
		"marked_bytes", "redundant_bytes", "lost_bytes", "overshoot_bytes",
		"stray_bits", "empty_marks", "wild_marks",
	};
	enum iovab_figure f;

	for (f = 0; f < IOVAB_FIGURES; f++)
		assert_string_equal(model__figure_name(f), names[f]);
	assert_null(model__client_name(IOVAB_CLIENT_UNKNOWN));
	assert_null(model__client_name(200));
	assert_string_equal(model__client_name(IOVAB_CLIENT_IOMMUFD), "iommufd");
	assert_string_equal(model__tier_name(IOVAB_TIER_SETS), "sets");
	assert_string_equal(model__implementation_name(IOVAB_IMPL_REFERENCE), "reference");
	assert_null(model__phase_name(IOVAB_PHASE_UNKNOWN));
	assert_string_equal(model__phase_name(IOVAB_PHASE_PRECOPY), "precopy");
	assert_string_equal(model__phase_name(IOVAB_PHASE_STOP_COPY), "stop-copy");
}

/* An HWPT's devices come and go with each report; one alone names the row. */
static void an_hwpt_has_the_devices_of_its_last_report(void **state)
{
	struct iovab_hwpt hwpt = { .attached = 2 };
	struct iovab_source_fact *s;
	const struct iovab_row *row;

	fixture__init(&fx, IOVAB_TIER_WINDOWS);
	strcpy(hwpt.named[0].device, "0000:3b:00.1");
	strcpy(hwpt.named[1].device, "0000:3b:00.2");
	strcpy(hwpt.named[0].driver, "vfio-pci");
	s = fixture__source(&fx, 1, "");
	s->key.hwpt = 7;
	s->counters.driver[0] = '\0';
	s->hwpt = &hwpt;
	row = &fixture__update(*state, &fx)->rows[0];
	assert_true(row->devices_known);
	assert_int_equal(row->n_devices, 2);
	assert_string_equal(row->devices[1], "0000:3b:00.2");
	assert_string_equal(row->device, "");

	hwpt.attached = 1;
	row = &fixture__update(*state, &fx)->rows[0];
	assert_string_equal(row->device, "0000:3b:00.1");
	assert_string_equal(row->driver, "vfio-pci");

	hwpt.unknown = 1;
	row = &fixture__update(*state, &fx)->rows[0];
	assert_false(row->devices_known);
	assert_int_equal(row->n_devices, 0);
	assert_string_equal(row->device, "");

	hwpt = (struct iovab_hwpt){ .attached = 1000 };
	row = &fixture__update(*state, &fx)->rows[0];
	assert_int_equal(row->n_devices, 1000);
	s->hwpt = NULL;
	row = &fixture__update(*state, &fx)->rows[0];
	assert_false(row->devices_known);
}

static void phases_are_counted_apart(void **state)
{
	struct iovab_source_fact *s;
	const struct iovab_row *row;

	fixture__init(&fx, IOVAB_TIER_WINDOWS);
	s = fixture__source(&fx, 1, "a");
	row = &fixture__update(*state, &fx)->rows[0];
	assert_int_equal(row->phase, IOVAB_PHASE_UNKNOWN);
	s->counters.last_phase = IOVAB_PHASE_STOP_COPY;
	s->counters.phase_reports[IOVAB_PHASE_PRECOPY] = 5;
	s->counters.phase_reports[IOVAB_PHASE_STOP_COPY] = 2;
	s->counters.phase_ns[IOVAB_PHASE_STOP_COPY] = 3000;
	fixture__pass(&fx, SECOND_NS);
	fixture__update(*state, &fx);
	s->counters.phase_reports[IOVAB_PHASE_STOP_COPY] = 3;
	s->counters.phase_ns[IOVAB_PHASE_STOP_COPY] = 4000;
	fixture__pass(&fx, SECOND_NS);
	row = &fixture__update(*state, &fx)->rows[0];
	assert_int_equal(row->phase, IOVAB_PHASE_STOP_COPY);
	assert_int_equal(row->total.phase_reports[IOVAB_PHASE_PRECOPY], 5);
	assert_int_equal(row->total.phase_ns[IOVAB_PHASE_STOP_COPY], 4000);
	assert_int_equal(row->interval.phase_reports[IOVAB_PHASE_PRECOPY], 0);
	assert_int_equal(row->interval.phase_ns[IOVAB_PHASE_STOP_COPY], 1000);
}

/* The first ones are kept, with whose they were; the others are counted. */
static void reports_in_trouble_are_told(void **state)
{
	static struct iovab_report_event events[MODEL_TROUBLES + 3];
	const struct iovab_snapshot *s;
	size_t i;

	fixture__init(&fx, IOVAB_TIER_SETS);
	fixture__source(&fx, 1, "a");
	fixture__update(*state, &fx);
	for (i = 0; i < MODEL_TROUBLES + 3; i++)
		events[i] = (struct iovab_report_event){ .source_id = 1, .lost_pages = 1,
							 .report = i, .page_size = 4096 };
	events[0].lost_pages = 0;		/* nothing is wrong with it */
	events[1].lost_pages = 0;
	events[1].stray_bits = 3;
	events[1].end_ns = fx.facts.time_ns + SECOND_NS / 2;
	events[2].source_id = 99;		/* nobody's */
	fx.facts.reports = events;
	fx.facts.n_reports = MODEL_TROUBLES + 3;
	fixture__pass(&fx, SECOND_NS);
	s = fixture__update(*state, &fx);
	assert_int_equal(s->n_troubles, MODEL_TROUBLES);
	assert_int_equal(s->more_troubles, 2);
	assert_string_equal(s->troubles[0].device, "a");
	assert_int_equal(s->troubles[0].report.stray_bits, 3);
	assert_int_equal(s->troubles[0].pid, 4241);
	assert_true(s->troubles[0].end_s == 0.5);
	assert_string_equal(s->troubles[1].device, "");
	fx.facts.n_reports = 0;
	s = fixture__update(*state, &fx);
	assert_int_equal(s->n_troubles, MODEL_TROUBLES);
}

/* Bits that nobody marked: what follows from counting marks is unknown, and not wrong. */
static void wild_marks_spoil_figures(void **state)
{
	struct iovab_source_fact *s;
	const struct iovab_figures *t;

	fixture__init(&fx, IOVAB_TIER_SETS);
	s = fixture__source(&fx, 1, "a");
	fixture__report(s, 1, 1, 1 << 20, 1000);
	s->counters.wild_marks = 1;
	t = &fixture__update(*state, &fx)->rows[0].total;
	assert_int_equal(t->fig[IOVAB_FIG_REDUNDANT_BYTES].state, IOVAB_VALUE_UNKNOWN);
	fixture__assert_known(t->fig[IOVAB_FIG_STRAY_BITS], 0);
	s->counters.empty_marks = 1;
	t = &fixture__update(*state, &fx)->rows[0].total;
	assert_int_equal(t->fig[IOVAB_FIG_STRAY_BITS].state, IOVAB_VALUE_UNKNOWN);
	fixture__assert_known(t->fig[IOVAB_FIG_DIRTY_BYTES], 1 << 20);
	fixture__assert_known(t->fig[IOVAB_FIG_EMPTY_MARKS], 1);
}

/* Fewer, for somebody who has no use for them. */
static void stale_rows_by_request(void **state)
{
	const struct iovab_snapshot *s = NULL;
	unsigned int i;

	model__set_max_vanished(*state, 10);
	fixture__init(&fx, IOVAB_TIER_DENSITY);
	for (i = 0; i < 100; i++) {
		fx.facts.n_sources = 0;
		fixture__report(fixture__source(&fx, i + 1, "a"), 4, 1, 8192, 1000000);
		s = fixture__update(*state, &fx);
		fixture__pass(&fx, SECOND_NS);
		assert_true(s->n_rows <= 11);
	}
	fixture__assert_known(s->sum.fig[IOVAB_FIG_REPORTS], 100);
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, new_model, free_model)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(first_sight_has_no_interval),
		TEST(interval_is_the_difference),
		TEST(no_report_is_idle),
		TEST(later_source_counts_from_zero),
		TEST(zero_interval_divides_nothing),
		TEST(counters_wrap),
		TEST(fresh_load_is_a_new_row),
		TEST(other_key_is_another_row),
		TEST(vanished_device_stays_in_the_sum),
		TEST(owner_gone_is_stale),
		TEST(one_id_twice_counts_once),
		TEST(rounds_and_densities_add_up),
		TEST(stale_rows_are_bounded),
		TEST(stale_rows_by_request),
		TEST(tiers_measure_what_they_say),
		TEST(windows_tier_has_no_density),
		TEST(skipped_scans_make_it_unknown),
		TEST(dropped_tiers_make_it_unknown),
		TEST(redundant_is_never_negative),
		TEST(no_rows_measure_nothing),
		TEST(sum_saturates),
		TEST(sum_merges_latencies),
		TEST(reports_in_flight_are_counted),
		TEST(windows_feed_the_strip),
		TEST(losses_survive_a_fresh_load),
		TEST(cost_is_a_share_of_time),
		TEST(unterminated_strings_are_ended),
		TEST(many_sources_are_not_mixed_up),
		TEST(out_of_memory_changes_nothing),
		TEST(names_are_those_of_the_contract),
		TEST(an_hwpt_has_the_devices_of_its_last_report),
		TEST(phases_are_counted_apart),
		TEST(reports_in_trouble_are_told),
		TEST(wild_marks_spoil_figures),
	};

	return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
