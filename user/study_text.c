// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is wrong comes first: a figure below it may be too small. Then, device by
 * device, the totals, and for each migration its rounds and what they say of
 * whether it could converge.
 */
#include "study_text.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "columns.h"
#include "convergence.h"
#include "flow.h"
#include "plain.h"
#include "summary.h"

/* Rounds of a migration that are listed: so many first ones, and so many last ones. */
#define FIRST_ROUNDS	12
#define LAST_ROUNDS	12

struct page {
	FILE *out;
	const struct study *study;
	const struct study_text_options *o;
};

char *study_text__time(char *buf, size_t size, const struct study *s, __u64 ns)
{
	time_t at = s->first_wall.tv_sec;
	struct tm tm;

	if (ns > s->first_ns)
		at += (time_t)((ns - s->first_ns + (__u64)s->first_wall.tv_nsec) / 1000000000);
	if (!gmtime_r(&at, &tm) || !strftime(buf, size, "%Y-%m-%d %H:%M:%S UTC", &tm))
		snprintf(buf, size, "at an unknown time");
	return buf;
}

static void put_red(const struct page *p, bool on)
{
	if (p->o->colour)
		fputs(on ? "\033[1;31m" : "\033[0m", p->out);
}

/* What the table calls a row. @buf: COLUMNS_CELL_LEN bytes. */
static const char *row_name(const struct page *p, char *buf, const struct iovab_row *row)
{
	columns__find("device")->format(buf, COLUMNS_CELL_LEN, row, COLUMNS_TOTAL, p->o->charset);
	return buf;
}

static struct flow flow(const struct page *p, unsigned int indent)
{
	return (struct flow){ .out = p->out, .width = p->o->width, .charset = p->o->charset,
			      .indent = indent };
}

/* --- the head --- */

static void put_named(struct flow *f, const char *name, const char *raw)
{
	char text[TEXT_ESCAPED_LEN];

	if (!raw[0])
		return;
	text__escape(text, sizeof(text), raw, strlen(raw), f->charset);
	flow__item(f, "%s %s", name, text);
}

static void write_head(const struct page *p)
{
	const struct study *s = p->study;
	struct flow f = flow(p, 2);
	char from[48], span[IOVAB_UNITS_LEN];

	flow__item(&f, "recorded %s, for %s, tier %s",
		   study_text__time(from, sizeof(from), s, s->first_ns),
		   units__duration(span, sizeof(span), s->last_ns - s->first_ns, p->o->charset),
		   model__tier_name(s->last->tier));
	put_named(&f, "host", s->about->host);
	put_named(&f, "kernel", s->about->kernel);
	put_named(&f, "command:", s->about->command);
	flow__end(&f);
	if (!s->about->ended) {
		flow__words(&f, "It goes on, or was not ended but killed: the last figures are those "
			    "of its last moment.");
		flow__end(&f);
	}
	if (s->about->events_pruned) {
		flow__words(&f, "%llu windows and reports were dropped to keep the file small: "
			    "rounds and charts begin later than the totals.",
			    (unsigned long long)s->about->events_pruned);
		flow__end(&f);
	}
	if (s->about->marks_pruned) {
		flow__words(&f, "%llu marks were dropped to keep the file small: hot ranges and replay "
			    "--policy do without them.", (unsigned long long)s->about->marks_pruned);
		flow__end(&f);
	}
	fputc('\n', p->out);
}

/* --- what is wrong --- */

static void write_lost_row(const struct page *p, const struct iovab_row *row)
{
	const struct iovab_value *fig = row->total.fig;
	struct iovab_value lost = fig[IOVAB_FIG_LOST_BYTES], stray = fig[IOVAB_FIG_STRAY_BITS];
	char name[COLUMNS_CELL_LEN], a[IOVAB_UNITS_LEN], b[IOVAB_UNITS_LEN];
	struct flow f = flow(p, 2);

	if ((lost.state != IOVAB_VALUE_KNOWN || !lost.v) &&
	    (stray.state != IOVAB_VALUE_KNOWN || !stray.v))
		return;
	flow__words(&f, "LOST: %s marked %s of which no bit reached the bitmap, and %s bits were "
		    "written outside of it: the destination's memory may be wrong.",
		    row_name(p, name, row), units__value(a, sizeof(a), lost, UNITS_BYTES, p->o->charset),
		    units__value(b, sizeof(b), stray, UNITS_COUNT, p->o->charset));
	flow__end(&f);
}

static void write_losses(const struct page *p)
{
	const struct study *s = p->study;
	struct flow f = flow(p, 2);
	size_t i;

	if (!study__has_loss(s))
		return;
	put_red(p, true);
	for (i = 0; i < s->last->n_rows; i++)
		write_lost_row(p, &s->last->rows[i]);
	summary__write_troubles(p->out, s->last, p->o->width, p->o->charset);
	if (s->about->moments_failed) {
		flow__words(&f, "%llu moments could not be written, with %llu windows and reports: "
			    "totals are right, rounds and charts miss these.",
			    (unsigned long long)s->about->moments_failed,
			    (unsigned long long)s->about->events_failed);
		flow__end(&f);
	}
	if (s->about->marks_failed) {
		flow__words(&f, "%llu marks could not be written: hot ranges and replay --policy do "
			    "without them.", (unsigned long long)s->about->marks_failed);
		flow__end(&f);
	}
	plain__write_losses(p->out, s->last, p->o->width, p->o->charset);
	put_red(p, false);
	fputc('\n', p->out);
}

/* --- migrations --- */

static const char *phase_text(__u8 phase)
{
	const char *name = model__phase_name(phase);

	return name ? name : "?";
}

static const char *rate_text(char buf[IOVAB_UNITS_LEN], struct iovab_ratio r)
{
	if (r.state != IOVAB_VALUE_KNOWN)
		return units__absent(r.state);
	return units__bytes_per_second(buf, IOVAB_UNITS_LEN, r.v);
}

/* The columns of a round, all but the second one right-aligned. */
static const struct {
	const char *title;
	unsigned int width;
} round_columns[] = {
	{ "ROUND", 7 }, { "PHASE", 9 }, { "AT", 9 }, { "REPORTS", 7 }, { "TIME", 9 }, { "DIRTY", 10 },
	{ "DIRTY/S", 12 }, { "WINDOWS", 8 }, { "CLEAN", 7 }, { "REPINS", 7 }, { "LOST", 8 },
};

#define ROUND_COLUMNS	(sizeof(round_columns) / sizeof(round_columns[0]))

static void write_cells(const struct page *p, char cells[ROUND_COLUMNS][IOVAB_UNITS_LEN])
{
	char fitted[4 * 16 + 1];
	size_t i;

	for (i = 0; i < ROUND_COLUMNS; i++)
		fprintf(p->out, "%s%s", i ? " " : "",
			text__fit(fitted, sizeof(fitted), cells[i], round_columns[i].width, i != 1,
				  p->o->charset));
	fputc('\n', p->out);
}

static void write_titles(const struct page *p)
{
	char cells[ROUND_COLUMNS][IOVAB_UNITS_LEN];
	size_t i;

	for (i = 0; i < ROUND_COLUMNS; i++)
		snprintf(cells[i], sizeof(cells[i]), "%s", round_columns[i].title);
	write_cells(p, cells);
}

static void write_round(const struct page *p, const struct rounds *r, size_t i,
			const struct iovab_migration *m)
{
	const struct iovab_round *round = &r->rounds[i];
	struct iovab_value clean = { round->dirty_bytes.state, round->windows_clean };
	struct iovab_value lost = { IOVAB_VALUE_KNOWN, round->lost_bytes };
	char c[ROUND_COLUMNS][IOVAB_UNITS_LEN];
	enum text_charset cs = p->o->charset;

	if (p->study->last->tier < IOVAB_TIER_SETS)
		lost.state = IOVAB_VALUE_NOT_MEASURED;
	snprintf(c[0], sizeof(c[0]), "%zu", i - m->first + 1);
	snprintf(c[1], sizeof(c[1]), "%s", phase_text(round->phase));
	units__duration(c[2], sizeof(c[2]), round->start_ns - r->rounds[m->first].start_ns, cs);
	units__count(c[3], sizeof(c[3]), round->reports);
	units__duration(c[4], sizeof(c[4]), round->latency_ns, cs);
	units__value(c[5], sizeof(c[5]), round->dirty_bytes, UNITS_BYTES, cs);
	snprintf(c[6], sizeof(c[6]), "%s", rate_text(c[7], round->dirty_per_s));
	units__count(c[7], sizeof(c[7]), round->windows);
	units__value(c[8], sizeof(c[8]), clean, UNITS_COUNT, cs);
	units__count(c[9], sizeof(c[9]), round->repins);
	units__value(c[10], sizeof(c[10]), lost, UNITS_BYTES, cs);
	write_cells(p, c);
}

static void write_rounds(const struct page *p, const struct rounds *r,
			 const struct iovab_migration *m)
{
	size_t i;

	write_titles(p);
	for (i = m->first; i < m->first + m->kept; i++) {
		if (i == m->first + FIRST_ROUNDS && m->n > FIRST_ROUNDS + LAST_ROUNDS) {
			fprintf(p->out, "    ... %zu rounds more; --json has them all\n",
				m->n - FIRST_ROUNDS - LAST_ROUNDS);
			i = m->first + m->n - LAST_ROUNDS;
		}
		write_round(p, r, i, m);
	}
}

static void write_convergence(const struct page *p, const struct iovab_migration *m)
{
	struct flow f = flow(p, 4);

	fputs("   ", p->out);	/* and a space before the first word */
	f.used = 3;
	flow__words(&f, "Does it converge?");
	convergence__put(&f, m, p->o->bandwidth);
	flow__end(&f);
}

static void write_downtime(const struct page *p, const struct iovab_migration *m)
{
	struct flow f = flow(p, 4);
	char ns[IOVAB_UNITS_LEN];

	if (!m->has_stop)
		return;
	fputs("   ", p->out);	/* and a space before the first word */
	f.used = 3;
	flow__words(&f, "Downtime spent in reports: %s in %llu of them%s.",
		    units__duration(ns, sizeof(ns), m->stop.latency_ns, p->o->charset),
		    (unsigned long long)m->stop.reports,
		    m->stop_known ? "" : ", if the last round was the one with the device stopped "
					  "(phases are not known)");
	flow__end(&f);
}

static void write_hot(const struct page *p, const struct study_row *row)
{
	struct flow f = flow(p, 12);
	char share[IOVAB_UNITS_LEN], bytes[IOVAB_UNITS_LEN];
	size_t i;

	if (!row->n_hot)
		return;
	fputs("  hot     ", p->out);	/* and two spaces before the first item */
	f.used = 10;
	for (i = 0; i < row->n_hot; i++)
		flow__item(&f, "%#llx to %#llx (%s): %s of what was %s",
			   (unsigned long long)row->hot[i].iova, (unsigned long long)row->hot[i].last,
			   units__bytes(bytes, sizeof(bytes), row->hot[i].last - row->hot[i].iova + 1),
			   units__percent(share, sizeof(share), row->hot[i].share),
			   row->hot_marks ? "marked" : "dirty");
	flow__end(&f);
}

static void write_migrations(const struct page *p, const struct study_row *row)
{
	const struct rounds *r = &row->rounds;
	char from[48];
	size_t i;

	for (i = 0; i < r->n_migrations; i++) {
		const struct iovab_migration *m = &r->migrations[i];

		fprintf(p->out, "\n  migration %zu, from %s, %zu rounds\n", i + 1,
			study_text__time(from, sizeof(from), p->study, r->rounds[m->first].start_ns),
			m->n);
		write_rounds(p, r, m);
		write_convergence(p, m);
		write_downtime(p, m);
	}
}

/* --- all --- */

/* Of all devices, the one that asks for the most bandwidth. */
static void write_worst(const struct page *p)
{
	const struct study *s = p->study;
	const struct iovab_row *worst = NULL;
	struct iovab_ratio most = { IOVAB_VALUE_KNOWN, 0 };
	char name[COLUMNS_CELL_LEN], rate[IOVAB_UNITS_LEN];
	struct flow f = flow(p, 0);
	size_t i, j;

	for (i = 0; i < s->last->n_rows; i++) {
		const struct study_row *row = study__row(s, &s->last->rows[i]);

		for (j = 0; row && j < row->rounds.n_migrations; j++) {
			struct iovab_ratio needed = row->rounds.migrations[j].needed_per_s;

			if (needed.state != IOVAB_VALUE_KNOWN || needed.v <= most.v)
				continue;
			most = needed;
			worst = &s->last->rows[i];
		}
	}
	if (!worst)
		return;
	flow__words(&f, "Hardest to converge: %s of pid %u, %s.", row_name(p, name, worst),
		    worst->pid, rate_text(rate, most));
	flow__end(&f);
	fputc('\n', p->out);
}

int study_text__write(FILE *out, const struct study *s, const struct study_text_options *o)
{
	const struct page p = { out, s, o };
	size_t i;

	write_head(&p);
	write_losses(&p);
	if (!s->last->n_rows)
		fprintf(out, "No report was seen.\n");
	else
		write_worst(&p);
	if (convergence__write_stuck(out, s->last, o->width, o->charset))
		fputc('\n', out);
	for (i = 0; i < s->last->n_rows; i++) {
		const struct iovab_row *row = &s->last->rows[i];
		const struct study_row *known = study__row(s, row);

		summary__write_row(out, row, s->last->tier, o->width, o->charset);
		if (known) {
			write_hot(&p, known);
			write_migrations(&p, known);
		}
		fputc('\n', out);
	}
	summary__write_answer(out, s->last, o->width, o->charset);
	return ferror(out) ? -EIO : 0;
}
