// SPDX-License-Identifier: GPL-2.0-only
#include "study.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "convergence.h"
#include "heat.h"

/* --- rows --- */

static int add_row(struct study *s, const struct iovab_row *from)
{
	struct study_row *row;

	if (!array__grow(&s->rows, s->n_rows, &s->max_rows, sizeof(*s->rows)))
		return -ENOMEM;
	row = &s->rows[s->n_rows];
	memset(row, 0, sizeof(*row));
	row->row_id = from->id;
	row->pid = from->pid;
	s->n_rows++;
	return 0;
}

/* Rows come with ascending ids, so the new ones are at the end. */
static int add_rows(struct study *s)
{
	__u32 known = s->n_rows ? s->rows[s->n_rows - 1].row_id : 0;
	size_t i;

	for (i = 0; i < s->last->n_rows; i++)
		if (s->last->rows[i].id > known && add_row(s, &s->last->rows[i]))
			return -ENOMEM;
	return 0;
}

static struct study_row *find_row(const struct study *s, __u32 row_id)
{
	size_t low = 0, high = s->n_rows;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->rows[middle].row_id < row_id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < s->n_rows && s->rows[low].row_id == row_id ? &s->rows[low] : NULL;
}

const struct study_row *study__row(const struct study *s, const struct iovab_row *row)
{
	return find_row(s, row->id);
}

/* The row that a source of the facts at hand is; the newest one of that id. */
static struct study_row *row_of_source(const struct study *s, __u32 source_id)
{
	size_t i;

	for (i = s->last->n_rows; source_id && i--;)
		if (s->last->rows[i].source_id == source_id)
			return find_row(s, s->last->rows[i].id);
	return NULL;
}

/* --- time --- */

/* Where @ns belongs; the row's bins are made when one is needed. NULL: no memory. */
static struct study_bin *bin_at(const struct study *s, struct study_row *row, __u64 ns)
{
	__u64 bin;

	if (!row->bins)
		row->bins = calloc(s->n_bins, sizeof(*row->bins));
	if (!row->bins)
		return NULL;
	if (ns < s->first_ns)
		ns = s->first_ns;
	bin = (ns - s->first_ns) / s->bin_ns;
	return &row->bins[bin < s->n_bins ? bin : s->n_bins - 1];
}

static __u64 known(struct iovab_value v)
{
	return v.state == IOVAB_VALUE_KNOWN ? v.v : 0;
}

static void add_interval(struct study_bin *bin, const struct iovab_row *row, double seconds)
{
	const struct iovab_figures *f = &row->interval;

	bin->seen = true;
	bin->seconds += seconds;
	bin->reports += known(f->fig[IOVAB_FIG_REPORTS]);
	bin->windows += known(f->fig[IOVAB_FIG_WINDOWS]);
	bin->windows_clean += known(f->fig[IOVAB_FIG_WINDOWS_CLEAN]);
	bin->repins += known(f->fig[IOVAB_FIG_REPINS]);
	bin->pages_pinned += known(f->fig[IOVAB_FIG_PAGES_PINNED]);
	bin->dirty_bytes += known(f->fig[IOVAB_FIG_DIRTY_BYTES]);
	bin->dirty_unknown |= f->fig[IOVAB_FIG_DIRTY_BYTES].state == IOVAB_VALUE_UNKNOWN;
	if (f->report_ns.state == IOVAB_VALUE_KNOWN) {
		bin->report_ns_sum += f->report_ns.sum;
		if (f->report_ns.max > bin->report_ns_max)
			bin->report_ns_max = f->report_ns.max;
	}
}

static int add_intervals(struct study *s, const struct iovab_facts *facts)
{
	size_t i;

	for (i = 0; i < s->last->n_rows; i++) {
		const struct iovab_row *row = &s->last->rows[i];
		struct study_row *to = row->has_interval ? find_row(s, row->id) : NULL;
		/* a bin's last moment ends an interval that is inside */
		struct study_bin *bin = to ? bin_at(s, to, facts->time_ns - 1) : NULL;

		if (to && !bin)
			return -ENOMEM;
		if (bin)
			add_interval(bin, row, s->last->interval_s);
	}
	return 0;
}

static int add_windows(struct study *s, const struct iovab_facts *facts)
{
	size_t i;

	for (i = 0; i < facts->n_windows; i++) {
		const struct iovab_window_event *w = &facts->windows[i];
		struct study_row *row = w->scan_skipped ? NULL : row_of_source(s, w->source_id);
		struct study_bin *bin;

		if (!row)
			continue;
		bin = bin_at(s, row, w->end_ns);
		if (bin && !bin->heat)
			bin->heat = calloc(1, sizeof(*bin->heat));
		if (!bin || !bin->heat)
			return -ENOMEM;
		heat__add(bin->heat, w);
	}
	return 0;
}

/* Which of them are missing is told by what their sources count. */
static void expect_reports(struct study *s, const struct iovab_facts *facts)
{
	struct study_row *row;
	size_t i;

	for (i = 0; i < facts->n_reports; i++) {
		row = row_of_source(s, facts->reports[i].source_id);
		if (row)
			row->told++;
	}
	for (i = 0; i < s->last->n_rows; i++) {
		const struct iovab_row *from = &s->last->rows[i];

		row = find_row(s, from->id);
		if (row && !from->stale)
			rounds__expect(&row->rounds, row->told, known(from->total.fig[IOVAB_FIG_REPORTS]),
				       from->has_interval);
		if (row)
			row->told = 0;
	}
}

static int add_reports(struct study *s, const struct iovab_facts *facts)
{
	size_t i;

	expect_reports(s, facts);
	for (i = 0; i < facts->n_reports; i++) {
		struct study_row *row = row_of_source(s, facts->reports[i].source_id);

		if (row && rounds__add(&row->rounds, &facts->reports[i], facts->tier))
			return -ENOMEM;
	}
	return 0;
}

/* Marks, by place. -EINVAL: they are damaged. */
static int add_chunk(struct study *s, struct study_row *row, const struct iovab_chunk_fact *chunk)
{
	struct run run;
	int ret = chunk_reader__open(s->reader, chunk);

	if (!row->marks)
		row->marks = hot_map__new();
	if (!row->marks)
		return -ENOMEM;
	hot_map__cover(row->marks, chunk->iova, chunk->iova + (chunk->length - 1));
	while (!ret && (ret = chunk_reader__next(s->reader, &run)) == 1) {
		hot_map__add(row->marks, &run);
		ret = 0;
	}
	return ret;
}

static int add_chunks(struct study *s, const struct iovab_facts *facts)
{
	size_t i;
	int err = 0;

	for (i = 0; i < facts->n_chunks && !err; i++) {
		struct study_row *row = row_of_source(s, facts->chunks[i].source_id);

		err = row ? add_chunk(s, row, &facts->chunks[i]) : 0;
	}
	return err;
}

static int add_facts(struct study *s, const struct iovab_facts *facts)
{
	s->last = model__update(s->model, facts);
	if (!s->last || add_rows(s))
		return -ENOMEM;
	if (!s->n_moments++)
		s->first_wall = facts->wall;
	if (add_intervals(s, facts) || add_windows(s, facts) || add_reports(s, facts))
		return -ENOMEM;
	return add_chunks(s, facts);
}

/* --- the end --- */

static void find_hot(struct study_row *row, const struct iovab_heat *h)
{
	row->hot_marks = row->marks != NULL;
	row->n_hot = row->marks ? hot_map__find(row->hot, row->marks) : hot__of_heat(row->hot, h);
}

/* All migrations of all rows, those of one owner at one time together. */
static int judge(struct study *s)
{
	struct convergence_member *members;
	size_t i, j, n = 0;

	for (i = 0; i < s->n_rows; i++)
		n += s->rows[i].rounds.n_migrations;
	members = calloc(n ? n : 1, sizeof(*members));
	if (!members)
		return -ENOMEM;
	for (i = n = 0; i < s->n_rows; i++)
		for (j = 0; j < s->rows[i].rounds.n_migrations; j++, n++) {
			members[n].pid = s->rows[i].pid;
			members[n].migration = &s->rows[i].rounds.migrations[j];
		}
	convergence__judge(members, n);
	free(members);
	return 0;
}

static int finish(struct study *s)
{
	size_t i;

	for (i = 0; i < s->n_rows; i++)
		rounds__settle(&s->rows[i].rounds);
	if (judge(s))
		return -ENOMEM;
	for (i = 0; i < s->last->n_rows; i++) {
		struct study_row *row = find_row(s, s->last->rows[i].id);

		if (row)
			find_hot(row, &s->last->rows[i].heat);
	}
	return 0;
}

/* --- the whole --- */

static void cut_time(struct study *s)
{
	__u64 span;
	size_t n;

	n = replay__span(s->replay, &s->first_ns, &s->last_ns);
	span = s->last_ns - s->first_ns;
	s->n_bins = n > STUDY_BINS ? STUDY_BINS : n > 1 ? n - 1 : 1;
	s->bin_ns = span / s->n_bins + 1;
}

static int go_through(struct study *s, struct iovab_error *e)
{
	const struct iovab_facts *facts;
	int err = 0;

	cut_time(s);
	replay__want_marks(s->replay);
	while (!err && (facts = replay__next(s->replay, e)))
		err = add_facts(s, facts);
	if (!err && !e->code)
		err = finish(s);
	if (err == -EINVAL)
		return error__set(e, IOVAB_EXIT_FAILURE, "the recording is damaged: marks in it cannot be read");
	if (err)
		return error__set(e, IOVAB_EXIT_FAILURE, "out of memory");
	return e->code ? -1 : 0;
}

struct study *study__new(const char *path, struct iovab_error *e)
{
	struct study *s = calloc(1, sizeof(*s));

	if (!s) {
		error__set(e, IOVAB_EXIT_FAILURE, "out of memory");
		return NULL;
	}
	s->replay = replay__open(path, e);
	if (!s->replay)
		goto err;
	s->about = replay__about(s->replay);
	s->model = model__new();
	s->reader = chunk_reader__new();
	if (!s->model || !s->reader) {
		error__set(e, IOVAB_EXIT_FAILURE, "out of memory");
		goto err;
	}
	if (!go_through(s, e))
		return s;
err:
	study__free(s);
	return NULL;
}

void study__free(struct study *s)
{
	size_t i, b;

	if (!s)
		return;
	for (i = 0; i < s->n_rows; i++) {
		for (b = 0; s->rows[i].bins && b < s->n_bins; b++)
			free(s->rows[i].bins[b].heat);
		free(s->rows[i].bins);
		rounds__free(&s->rows[i].rounds);
		hot_map__free(s->rows[i].marks);
	}
	free(s->rows);
	model__free(s->model);
	chunk_reader__free(s->reader);
	replay__close(s->replay);
	free(s);
}

bool study__has_loss(const struct study *s)
{
	const struct iovab_figures *sum = &s->last->sum;

	return s->last->events_lost || s->about->moments_failed || s->about->marks_failed ||
	       s->last->losses.events_dropped || s->last->losses.marks_dropped ||
	       known(sum->fig[IOVAB_FIG_LOST_BYTES]) || known(sum->fig[IOVAB_FIG_STRAY_BITS]) ||
	       known(sum->fig[IOVAB_FIG_WILD_MARKS]);
}
