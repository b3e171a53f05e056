// SPDX-License-Identifier: GPL-2.0-only
/*
 * The same rules as for a device's line (json.c): what is not measured is
 * absent, what is unknown is named in "unknown", names are hostile.
 */
#include "study_json.h"

#include <errno.h>
#include <string.h>

#include "json.h"
#include "json_value.h"

#define SCHEMA	"iovab.report/1"

#define put		json_value__put
#define append		json_value__append
#define integer		json_value__integer
#define put_ratio	json_value__put_ratio

/* @v as an integer, or -1. */
static json_t *integer_or(bool known, double v)
{
	return json_integer(known ? (json_int_t)(v < 9e18 ? v : 9e18) : -1);
}

static void put_text(json_t *object, const char *key, const char *raw, size_t size, int *err)
{
	if (raw[0])
		put(object, key, json__string(raw, size), err);
}

/* Seconds since the recording's first moment. */
static json_t *seconds(const struct study *s, __u64 ns)
{
	return json_real(((double)ns - (double)s->first_ns) / 1e9);
}

/* --- rounds and migrations --- */

static void put_dirty(json_t *o, const struct iovab_round *r, int *err)
{
	if (r->dirty_bytes.state == IOVAB_VALUE_KNOWN) {
		put(o, "dirty_bytes", integer(r->dirty_bytes.v), err);
		put(o, "windows_clean", integer(r->windows_clean), err);
	} else if (r->dirty_bytes.state == IOVAB_VALUE_UNKNOWN) {
		put(o, "unknown", json_pack("[s,s]", "dirty_bytes", "windows_clean"), err);
	}
}

static json_t *round_object(const struct study *s, const struct iovab_round *r, int *err)
{
	const char *phase = model__phase_name(r->phase);
	json_t *o = json_object();

	if (phase)
		put(o, "phase", json_string_nocheck(phase), err);
	put(o, "start_s", seconds(s, r->start_ns), err);
	put(o, "end_s", seconds(s, r->end_ns), err);
	put(o, "reports", integer(r->reports), err);
	put(o, "report_errors", integer(r->errors), err);
	put(o, "range_bytes", integer(r->range_bytes), err);
	put(o, "report_ns", integer(r->latency_ns), err);
	put(o, "windows", integer(r->windows), err);
	put(o, "repins", integer(r->repins), err);
	put(o, "pages_pinned", integer(r->pages_pinned), err);
	put(o, "pin_failures", integer(r->pin_failures), err);
	put_dirty(o, r, err);
	put_ratio(o, "dirty_bytes_per_s", r->dirty_per_s, err);
	if (s->last->tier >= IOVAB_TIER_SETS) {
		put(o, "lost_bytes", integer(r->lost_bytes), err);
		put(o, "stray_bits", integer(r->stray_bits), err);
	}
	return o;
}

static json_t *downtime_object(const struct iovab_migration *m, int *err)
{
	json_t *o = json_object();

	put(o, "phase_known", json_boolean(m->stop_known), err);
	put(o, "reports", integer(m->stop.reports), err);
	put(o, "report_ns", integer(m->stop.latency_ns), err);
	if (m->stop.dirty_bytes.state == IOVAB_VALUE_KNOWN)
		put(o, "dirty_bytes", integer(m->stop.dirty_bytes.v), err);
	return o;
}

static json_t *migration_object(const struct study *s, const struct rounds *r,
				const struct iovab_migration *m, int *err)
{
	json_t *o = json_object(), *rounds = json_array();
	size_t i;

	for (i = m->first; i < m->first + m->n; i++)
		append(rounds, round_object(s, &r->rounds[i], err), err);
	put(o, "rounds", rounds, err);
	put(o, "convergence", json__convergence(m, err), err);
	if (m->has_stop)
		put(o, "downtime", downtime_object(m, err), err);
	return o;
}

static json_t *hot_array(const struct study_row *row, int *err)
{
	json_t *a = json_array();
	size_t i;

	for (i = 0; i < row->n_hot; i++) {
		json_t *o = json_object();

		put(o, "iova", integer(row->hot[i].iova), err);
		put(o, "length", integer(row->hot[i].last - row->hot[i].iova + 1), err);
		put(o, row->hot_marks ? "marked_bytes" : "dirty_bytes", integer(row->hot[i].bytes), err);
		put(o, "share", json_real(row->hot[i].share), err);
		append(a, o, err);
	}
	return a;
}

/* --- the course in time, for charts --- */

/* Bins of time that become one column: with many devices a page must stay small. */
static size_t bins_a_column(const struct study *s)
{
	size_t columns = s->last->n_rows <= 20 ? STUDY_BINS : s->last->n_rows <= 100 ? 120 : 60;

	return (s->n_bins + columns - 1) / columns;
}

struct column {
	bool used;
	double dirty[IOVAB_CELLS], seen[IOVAB_CELLS];
};

/* Adds a strip to a column of the grid: the row's own strip, which has seen all of it. */
static void add_strip(struct column *c, const struct iovab_heat *h, const struct iovab_heat *grid)
{
	unsigned int i;

	for (i = 0; i < IOVAB_CELLS; i++) {
		__u64 at = h->iova + ((__u64)i << h->cell_shift);
		__u64 to = (at - grid->iova) >> grid->cell_shift;

		if (!h->seen_bytes[i] || at < grid->iova || to >= IOVAB_CELLS)
			continue;
		c->used = true;
		c->dirty[to] += (double)h->total_bytes[i];
		c->seen[to] += (double)h->seen_bytes[i];
	}
}

/* [number, [dirty bytes of each cell, -1 for one not seen], [bytes that were seen of each]] */
static json_t *column_array(size_t number, const struct column *c, int *err)
{
	json_t *a = json_array(), *dirty = json_array(), *seen = json_array();
	unsigned int i, n = IOVAB_CELLS;

	while (n && !(c->seen[n - 1] > 0))
		n--;
	for (i = 0; i < n; i++) {
		append(dirty, integer_or(c->seen[i] > 0, c->dirty[i]), err);
		append(seen, integer_or(true, c->seen[i]), err);
	}
	append(a, integer(number), err);
	append(a, dirty, err);
	append(a, seen, err);
	return a;
}

static json_t *heat_object(const struct study *s, const struct study_row *row,
			   const struct iovab_heat *grid, int *err)
{
	json_t *o = json_object(), *columns = json_array();
	size_t each = bins_a_column(s), b, i;
	char iova[24];

	snprintf(iova, sizeof(iova), "%llu", (unsigned long long)grid->iova);
	put(o, "iova", json_string_nocheck(iova), err);
	put(o, "cell_bytes", integer(1ULL << grid->cell_shift), err);
	put(o, "columns", integer((s->n_bins + each - 1) / each), err);
	put(o, "bin_s", json_real((double)(s->bin_ns * each) / 1e9), err);
	for (b = 0; row->bins && b < s->n_bins; b += each) {
		struct column c = {};

		for (i = b; i < b + each && i < s->n_bins; i++)
			if (row->bins[i].heat)
				add_strip(&c, row->bins[i].heat, grid);
		if (c.used)
			append(columns, column_array(b / each, &c, err), err);
	}
	put(o, "bins", columns, err);
	return o;
}

/* What a bin has for each column of the course; dirty figures may be unknown. */
static const struct {
	const char *name;
	size_t offset;
	bool scanned;
} course_columns[] = {
#define COLUMN(field, scanned) { #field, offsetof(struct study_bin, field), scanned }
	COLUMN(reports, false),
	COLUMN(report_ns_sum, false),
	COLUMN(report_ns_max, false),
	COLUMN(windows, false),
	COLUMN(repins, false),
	COLUMN(pages_pinned, false),
	COLUMN(windows_clean, true),
	COLUMN(dirty_bytes, true),
#undef COLUMN
};

static json_t *course_column(const struct study *s, const struct study_row *row, size_t column,
			     int *err)
{
	json_t *a = json_array();
	size_t b;

	for (b = 0; row->bins && b < s->n_bins; b++) {
		const struct study_bin *bin = &row->bins[b];
		__u64 v = *(const __u64 *)((const char *)bin + course_columns[column].offset);

		if (bin->seen)
			append(a, course_columns[column].scanned && bin->dirty_unknown ?
			       json_null() : integer(v), err);
	}
	return a;
}

static json_t *course_object(const struct study *s, const struct study_row *row, int *err)
{
	json_t *o = json_object(), *bins = json_array(), *seconds_seen = json_array();
	size_t b, i;

	for (b = 0; row->bins && b < s->n_bins; b++) {
		if (!row->bins[b].seen)
			continue;
		append(bins, integer(b), err);
		append(seconds_seen, json_real(row->bins[b].seconds), err);
	}
	put(o, "bin", bins, err);
	put(o, "seconds", seconds_seen, err);
	for (i = 0; i < sizeof(course_columns) / sizeof(course_columns[0]); i++)
		if (!course_columns[i].scanned || s->last->tier >= IOVAB_TIER_DENSITY)
			put(o, course_columns[i].name, course_column(s, row, i, err), err);
	return o;
}

static json_t *counts_array(const __u64 *counts, size_t n, int *err)
{
	json_t *a = json_array();
	size_t i;

	while (n && !counts[n - 1])
		n--;
	for (i = 0; i < n; i++)
		append(a, integer(counts[i]), err);
	return a;
}

static void put_charts(json_t *o, const struct study *s, const struct iovab_row *row,
		       const struct study_row *known, int *err)
{
	put(o, "course", course_object(s, known, err), err);
	if (row->heat.valid)
		put(o, "heat", heat_object(s, known, &row->heat, err), err);
	put(o, "report_histogram", counts_array(row->total.report_hist, IOVAB_HIST_BUCKETS, err), err);
	put(o, "pin_histogram", counts_array(row->total.pin_hist, IOVAB_HIST_BUCKETS, err), err);
}

/* --- the whole --- */

static json_t *device_object(const struct study *s, const struct iovab_row *row, bool charts,
			     int *err)
{
	const struct study_row *known = study__row(s, row);
	json_t *o = json__row(s->last, row), *migrations = json_array();
	size_t i;

	for (i = 0; known && i < known->rounds.n_migrations; i++)
		append(migrations,
		       migration_object(s, &known->rounds, &known->rounds.migrations[i], err), err);
	/* each of them has its own */
	json_object_del(o, "convergence");
	put(o, "migrations", migrations, err);
	if (known)
		put(o, "hot", hot_array(known, err), err);
	if (known && charts)
		put_charts(o, s, row, known, err);
	return o;
}

static void put_about(json_t *o, const struct study *s, int *err)
{
	const struct replay_about *a = s->about;

	put_text(o, "program", a->program, sizeof(a->program), err);
	put_text(o, "host", a->host, sizeof(a->host), err);
	put_text(o, "kernel", a->kernel, sizeof(a->kernel), err);
	put_text(o, "machine", a->machine, sizeof(a->machine), err);
	put_text(o, "command", a->command, sizeof(a->command), err);
	put(o, "start", json__time(&s->first_wall), err);
	put(o, "end", json__time(&s->last->wall), err);
	put(o, "moments", integer(s->n_moments), err);
	put(o, "ended", json_boolean(a->ended), err);
	put(o, "moments_failed", integer(a->moments_failed), err);
	put(o, "events_failed", integer(a->events_failed), err);
	put(o, "events_pruned", integer(a->events_pruned), err);
	put(o, "marks_failed", integer(a->marks_failed), err);
	put(o, "marks_pruned", integer(a->marks_pruned), err);
	put(o, "tier", json_string_nocheck(model__tier_name(s->last->tier)), err);
	put(o, "events_lost", integer(s->last->events_lost), err);
}

json_t *study_json__object(const struct study *s, bool charts)
{
	json_t *o = json_object(), *devices = json_array();
	int err = 0;
	size_t i;

	put(o, "schema", json_string_nocheck(SCHEMA), &err);
	put_about(o, s, &err);
	if (charts) {
		put(o, "bin_s", json_real((double)s->bin_ns / 1e9), &err);
		put(o, "bins", integer(s->n_bins), &err);
	}
	for (i = 0; i < s->last->n_rows; i++)
		append(devices, device_object(s, &s->last->rows[i], charts, &err), &err);
	put(o, "devices", devices, &err);
	if (!err)
		return o;
	json_decref(o);
	return NULL;
}

int study_json__write(FILE *out, const struct study *s)
{
	json_t *o = study_json__object(s, false);
	int err = o ? json_value__write_line(out, o) : -ENOMEM;

	json_decref(o);
	return err;
}
