// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "convergence.h"
#include "flow.h"
#include "plain.h"

static void put_time(struct flow *f, const struct iovab_snapshot *s)
{
	char text[48];
	struct tm tm;

	if (gmtime_r(&s->wall.tv_sec, &tm) &&
	    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm))
		flow__item(f, "%s", text);
	flow__item(f, "elapsed %.1f s", s->elapsed_s);
	if (s->interval_s > 0)
		flow__item(f, "interval %.2f s", s->interval_s);
}

static void put_share(struct flow *f, const char *who, struct iovab_ratio share)
{
	char text[IOVAB_UNITS_LEN];

	if (share.state == IOVAB_VALUE_UNKNOWN)
		flow__item(f, "%s unknown", who);
	else if (share.state == IOVAB_VALUE_KNOWN)
		flow__item(f, "%s %s of a CPU", who,
			   units__percent(text, sizeof(text), share.v));
}

static void put_now(struct flow *f, const struct iovab_snapshot *s)
{
	char text[IOVAB_UNITS_LEN];

	flow__item(f, "reports under way %u", s->reports_in_flight);
	flow__item(f, "pages pinned now %s",
		   units__count(text, sizeof(text), s->pages_pinned_now));
	put_share(f, "cost: BPF", s->bpf_share);
	put_share(f, "iovab", s->collector_share);
}

static void write_header(FILE *out, const struct iovab_snapshot *s, const struct plain_options *o)
{
	struct flow f = { .out = out, .width = o->width, .charset = o->charset, .indent = 2 };
	char generation[TEXT_ESCAPED_LEN];

	flow__item(&f, "iovab");
	flow__item(&f, "tier %s", model__tier_name(s->tier));
	if (s->state == IOVAB_STATE_WAITING) {
		flow__item(&f, "waiting for the module vfio to be loaded");
	} else if (s->generation) {
		text__escape(generation, sizeof(generation), s->generation,
			     strlen(s->generation), o->charset);
		flow__item(&f, "kernel %s", generation);
	}
	put_time(&f, s);
	flow__end(&f);
	put_now(&f, s);
	flow__end(&f);
	plain__write_losses(out, s, o->width, o->charset);
	convergence__write_stuck(out, s, o->width, o->charset);
}

/* The losses that make totals too small, or the others, if any. */
static void put_losses(struct flow *f, const struct iovab_snapshot *s, bool count)
{
	char n[IOVAB_UNITS_LEN];
	unsigned int i;
	__u64 lost;

	for (i = 0; i < MODEL_LOSSES; i++) {
		lost = model__loss(&s->losses, i);
		if (lost && model__loss_counts(i) == count)
			flow__item(f, "%s %s", model__loss_name(i),
				   units__exact(n, sizeof(n), lost));
	}
}

void plain__write_losses(FILE *out, const struct iovab_snapshot *s, size_t width,
			 enum text_charset cs)
{
	struct flow f = { .out = out, .width = width, .charset = cs, .indent = 2 };
	char n[IOVAB_UNITS_LEN];

	if (s->events_lost) {
		flow__item(&f, "EVENTS LOST %s, totals are too small:",
			   units__exact(n, sizeof(n), s->events_lost));
		put_losses(&f, s, true);
		flow__end(&f);
	}
	put_losses(&f, s, false);
	if (s->heat_unplaced)
		flow__item(&f, "heat_unplaced %s",
			   units__exact(n, sizeof(n), s->heat_unplaced));
	flow__end(&f);
}

/* --- the table --- */

static void put_cell(FILE *out, const char *text, const struct columns_layout *l, size_t i,
		     enum text_charset cs)
{
	char cell[COLUMNS_CELL_LEN];

	/* blanks at the end of a line are of no use to anybody */
	if (i == l->n - 1 && !l->cols[i].column->right &&
	    text__width(text, cs) <= l->cols[i].width)
		fprintf(out, "%s%s", i ? " " : "", text);
	else
		fprintf(out, "%s%s", i ? " " : "",
			text__fit(cell, sizeof(cell), text, l->cols[i].width,
				  l->cols[i].column->right, cs));
}

static void write_titles(FILE *out, const struct columns_layout *l, enum text_charset cs)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		put_cell(out, l->cols[i].column->title, l, i, cs);
	fputc('\n', out);
}

static void write_row(FILE *out, const struct iovab_row *row, const struct columns_layout *l,
		      const struct plain_options *o)
{
	char text[COLUMNS_CELL_LEN];
	size_t i;

	for (i = 0; i < l->n; i++) {
		l->cols[i].column->format(text, sizeof(text), row, o->scope, o->charset);
		put_cell(out, text, l, i, o->charset);
	}
	fputc('\n', out);
}

/* Pointers to all rows in the order wanted; NULL with errno set. */
static const struct iovab_row **sorted_rows(const struct iovab_snapshot *s,
					    const struct plain_options *o)
{
	const struct iovab_row **rows = calloc(s->n_rows + 1, sizeof(*rows));
	size_t i;

	if (!rows)
		return NULL;
	for (i = 0; i < s->n_rows; i++)
		rows[i] = &s->rows[i];
	if (o->sort)
		columns__sort(rows, s->n_rows, o->sort, o->scope, o->reverse);
	return rows;
}

int plain__write(FILE *out, const struct iovab_snapshot *s, const struct plain_options *o)
{
	const struct iovab_row **rows = sorted_rows(s, o);
	struct columns_layout layout;
	size_t i;

	if (!rows)
		return -ENOMEM;
	write_header(out, s, o);
	columns__fit(&layout, o->width, s->tier, o->sort);
	if (s->n_rows)
		write_titles(out, &layout, o->charset);
	else
		fprintf(out, "no report seen yet\n");
	for (i = 0; i < s->n_rows; i++)
		write_row(out, rows[i], &layout, o);
	if (s->rows_folded)
		fprintf(out, "and %llu devices that are gone, no longer listed\n",
			s->rows_folded);
	fputc('\n', out);
	free(rows);
	return ferror(out) ? -EIO : 0;
}
