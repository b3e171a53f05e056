// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device is the same in both if it has the same name and implementation; an
 * HWPT, if it has the same devices. Its owner is another process each time. Rows of several
 * owners of one device are added up.
 *
 * A figure that should be small is worse if it grew by more than the threshold;
 * from nothing to something is always more. Figures that depend on the load
 * (dirty, density, marks) are shown and not judged: they say whether the two
 * can be compared at all.
 */
#include "diff.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "columns.h"
#include "figures.h"
#include "flow.h"
#include "json.h"
#include "json_value.h"

enum unit { UNIT_COUNT, UNIT_NUMBER, UNIT_BYTES, UNIT_NS, UNIT_SHARE, UNIT_RATE };

/* What one side has of a device. */
struct side {
	bool there;
	struct iovab_figures figures;
	struct iovab_ratio needed_per_s;	/* the most of all its migrations */
	struct iovab_ratio downtime_ns;		/* mean over its migrations */
};

static struct iovab_ratio quotient(struct iovab_value v, struct iovab_value by)
{
	struct iovab_ratio r = { v.state, 0 };

	if (by.state != IOVAB_VALUE_KNOWN && r.state == IOVAB_VALUE_KNOWN)
		r.state = by.state;
	if (r.state == IOVAB_VALUE_KNOWN && !by.v)
		r.state = IOVAB_VALUE_NOT_MEASURED;
	if (r.state == IOVAB_VALUE_KNOWN)
		r.v = (double)v.v / (double)by.v;
	return r;
}

static struct iovab_ratio a_report(const struct side *s, enum iovab_figure f)
{
	return quotient(s->figures.fig[f], s->figures.fig[IOVAB_FIG_REPORTS]);
}

static struct iovab_ratio mean_of(const struct iovab_latency_figures *l)
{
	struct iovab_value sum = { l->state, l->sum }, count = { l->state, l->count };

	return quotient(sum, count);
}

static struct iovab_ratio p99_of(const struct iovab_latency_figures *l)
{
	return (struct iovab_ratio){ l->state, (double)l->p99 };
}

static struct iovab_ratio all_of(const struct side *s, enum iovab_figure f)
{
	return (struct iovab_ratio){ s->figures.fig[f].state, (double)s->figures.fig[f].v };
}

#define GET(name, what) \
	static struct iovab_ratio get_##name(const struct side *s) { return what; }
GET(report_mean, mean_of(&s->figures.report_ns))
GET(report_p99, p99_of(&s->figures.report_ns))
GET(pin_mean, mean_of(&s->figures.pin_ns))
GET(windows, s->figures.windows_per_report)
GET(repins, s->figures.repins_per_report)
GET(pages, a_report(s, IOVAB_FIG_PAGES_PINNED))
GET(clean, s->figures.clean_share)
GET(redundant, quotient(s->figures.fig[IOVAB_FIG_REDUNDANT_BYTES],
			s->figures.fig[IOVAB_FIG_MARKED_BYTES]))
GET(errors, a_report(s, IOVAB_FIG_REPORT_ERRORS))
GET(pin_failures, a_report(s, IOVAB_FIG_PIN_FAILURES))
GET(lost, all_of(s, IOVAB_FIG_LOST_BYTES))
GET(stray, all_of(s, IOVAB_FIG_STRAY_BITS))
GET(overshoot, a_report(s, IOVAB_FIG_OVERSHOOT_BYTES))
GET(downtime, s->downtime_ns)
GET(needed, s->needed_per_s)
GET(reports, all_of(s, IOVAB_FIG_REPORTS))
GET(dirty, a_report(s, IOVAB_FIG_DIRTY_BYTES))
GET(density, s->figures.density)
GET(marks, a_report(s, IOVAB_FIG_SET_CALLS))

static const struct quantity {
	const char *name;	/* in JSON */
	const char *title;
	enum unit unit;
	bool judged;		/* less is better */
	struct iovab_ratio (*get)(const struct side *s);
} quantities[] = {
	{ "lost_bytes", "lost", UNIT_BYTES, true, get_lost },
	{ "stray_bits", "stray bits", UNIT_COUNT, true, get_stray },
	{ "report_errors_per_report", "errors a report", UNIT_NUMBER, true, get_errors },
	{ "pin_failures_per_report", "failed pins a report", UNIT_NUMBER, true, get_pin_failures },
	{ "report_ns_mean", "time a report", UNIT_NS, true, get_report_mean },
	{ "report_ns_p99", "time, p99", UNIT_NS, true, get_report_p99 },
	{ "downtime_ns_mean", "downtime in reports", UNIT_NS, true, get_downtime },
	{ "pin_ns_mean", "time a pin", UNIT_NS, true, get_pin_mean },
	{ "windows_per_report", "windows a report", UNIT_NUMBER, true, get_windows },
	{ "repins_per_report", "repins a report", UNIT_NUMBER, true, get_repins },
	{ "pages_pinned_per_report", "pages pinned a report", UNIT_NUMBER, true, get_pages },
	{ "clean_share", "clean windows", UNIT_SHARE, true, get_clean },
	{ "redundant_share", "redundant of marked", UNIT_SHARE, true, get_redundant },
	{ "overshoot_bytes_per_report", "overshoot a report", UNIT_BYTES, true, get_overshoot },
	{ "reports", "reports", UNIT_COUNT, false, get_reports },
	{ "dirty_bytes_per_report", "dirty a report", UNIT_BYTES, false, get_dirty },
	{ "density", "density", UNIT_SHARE, false, get_density },
	{ "set_calls_per_report", "marks a report", UNIT_NUMBER, false, get_marks },
	{ "needed_bytes_per_s", "bandwidth needed", UNIT_RATE, false, get_needed },
};

#define N_QUANTITIES	(sizeof(quantities) / sizeof(quantities[0]))

struct compared {
	struct iovab_ratio a, b;
	bool has_change;
	double change;		/* (b - a) / a; infinite if a is 0 */
	bool worse;
};

struct pair {
	const struct iovab_row *row;	/* who it is; NULL: all devices together */
	struct side a, b;
	struct compared figures[N_QUANTITIES];
};

struct diff {
	double threshold;
	struct pair *pairs;
	size_t n, max;
	size_t worse;
};

/* --- the sides --- */

static bool same_device(const struct iovab_row *x, const struct iovab_row *y)
{
	__u32 i;

	if (x->implementation != y->implementation || x->n_devices != y->n_devices ||
	    strcmp(x->device, y->device))
		return false;
	for (i = 0; i < x->n_devices && i < IOVAB_HWPT_DEVICES; i++)
		if (strcmp(x->devices[i], y->devices[i]))
			return false;
	/* where nothing but its number tells an HWPT from others, that must do */
	return x->device[0] || x->n_devices || x->hwpt == y->hwpt;
}

static void add_migrations(struct side *side, const struct study_row *row, double *sum, size_t *n)
{
	size_t i;

	for (i = 0; row && i < row->rounds.n_migrations; i++) {
		const struct iovab_migration *m = &row->rounds.migrations[i];

		if (m->needed_per_s.state == IOVAB_VALUE_KNOWN &&
		    (side->needed_per_s.state != IOVAB_VALUE_KNOWN ||
		     m->needed_per_s.v > side->needed_per_s.v))
			side->needed_per_s = m->needed_per_s;
		if (m->has_stop) {
			*sum += (double)m->stop.latency_ns;
			++*n;
		}
	}
}

/* All rows of @s that are the device @who; NULL: all that there are. */
static void gather(struct side *side, const struct study *s, const struct iovab_row *who)
{
	double sum = 0;
	size_t i, n = 0;

	memset(side, 0, sizeof(*side));
	for (i = 0; i < s->last->n_rows; i++) {
		const struct iovab_row *row = &s->last->rows[i];

		if (who && !same_device(who, row))
			continue;
		side->there = true;
		if (who)
			figures__add(&side->figures, &row->total);
		add_migrations(side, study__row(s, row), &sum, &n);
	}
	if (n)
		side->downtime_ns = (struct iovab_ratio){ IOVAB_VALUE_KNOWN, sum / (double)n };
	if (who)
		figures__finish(&side->figures);
	else
		side->figures = s->last->sum;
}

static void compare(struct diff *d, struct pair *p)
{
	size_t i;

	for (i = 0; i < N_QUANTITIES; i++) {
		struct compared *c = &p->figures[i];

		c->a = quantities[i].get(&p->a);
		c->b = quantities[i].get(&p->b);
		if (c->a.state != IOVAB_VALUE_KNOWN || c->b.state != IOVAB_VALUE_KNOWN)
			continue;
		c->has_change = true;
		if (c->a.v > 0)
			c->change = (c->b.v - c->a.v) / c->a.v;
		else
			c->change = c->b.v > 0 ? INFINITY : 0;
		c->worse = quantities[i].judged && c->change > d->threshold;
		d->worse += c->worse;
	}
}

static int add_pair(struct diff *d, const struct study *a, const struct study *b,
		    const struct iovab_row *who)
{
	struct pair *p;
	size_t i;

	for (i = 0; who && i < d->n; i++)
		if (d->pairs[i].row && same_device(d->pairs[i].row, who))
			return 0;
	if (!array__grow(&d->pairs, d->n, &d->max, sizeof(*d->pairs)))
		return -ENOMEM;
	p = &d->pairs[d->n++];
	memset(p, 0, sizeof(*p));
	p->row = who;
	gather(&p->a, a, who);
	gather(&p->b, b, who);
	if (p->a.there && p->b.there)
		compare(d, p);
	return 0;
}

struct diff *diff__new(const struct study *a, const struct study *b, double threshold)
{
	struct diff *d = calloc(1, sizeof(*d));
	int err;
	size_t i;

	if (!d)
		return NULL;
	d->threshold = threshold;
	err = add_pair(d, a, b, NULL);
	for (i = 0; i < a->last->n_rows && !err; i++)
		err = add_pair(d, a, b, &a->last->rows[i]);
	for (i = 0; i < b->last->n_rows && !err; i++)
		err = add_pair(d, a, b, &b->last->rows[i]);
	if (!err)
		return d;
	diff__free(d);
	return NULL;
}

void diff__free(struct diff *d)
{
	if (!d)
		return;
	free(d->pairs);
	free(d);
}

size_t diff__worse(const struct diff *d)
{
	return d->worse;
}

/* --- text --- */

static const char *format(char buf[IOVAB_UNITS_LEN], struct iovab_ratio r, enum unit unit,
			  enum text_charset cs)
{
	__u64 whole = r.v < 0 ? 0 : r.v >= 18e18 ? ~0ULL : (__u64)(r.v + 0.5);

	if (r.state != IOVAB_VALUE_KNOWN)
		return units__absent(r.state);
	switch (unit) {
	case UNIT_COUNT:
		return units__count(buf, IOVAB_UNITS_LEN, whole);
	case UNIT_BYTES:
		return units__bytes(buf, IOVAB_UNITS_LEN, whole);
	case UNIT_NS:
		return units__duration(buf, IOVAB_UNITS_LEN, whole, cs);
	case UNIT_SHARE:
		return units__percent(buf, IOVAB_UNITS_LEN, r.v);
	case UNIT_RATE:
		return units__bytes_per_second(buf, IOVAB_UNITS_LEN, r.v);
	default:
		return units__number(buf, IOVAB_UNITS_LEN, r.v);
	}
}

static void format_change(char buf[IOVAB_UNITS_LEN], const struct compared *c)
{
	if (!c->has_change)
		buf[0] = '\0';
	else if (isinf(c->change))
		snprintf(buf, IOVAB_UNITS_LEN, "new");
	else if (fabs(c->change) < 0.0005)
		snprintf(buf, IOVAB_UNITS_LEN, "=");
	else if (c->change > 10)
		snprintf(buf, IOVAB_UNITS_LEN, "x %.0f", c->change + 1);
	else
		snprintf(buf, IOVAB_UNITS_LEN, "%+.1f %%", 100 * c->change);
}

static void write_cell(FILE *out, const char *text, unsigned int width, enum text_charset cs)
{
	char fitted[4 * 16 + 1];

	fprintf(out, " %s", text__fit(fitted, sizeof(fitted), text, width, true, cs));
}

static void write_figure(FILE *out, const struct quantity *q, const struct compared *c,
			 const struct diff_options *o)
{
	char a[IOVAB_UNITS_LEN], b[IOVAB_UNITS_LEN], change[IOVAB_UNITS_LEN];

	if (c->a.state == IOVAB_VALUE_NOT_MEASURED && c->b.state == IOVAB_VALUE_NOT_MEASURED)
		return;
	format_change(change, c);
	fprintf(out, "%s  %-22s", c->worse && o->colour ? "\033[1;31m" : "", q->title);
	write_cell(out, format(a, c->a, q->unit, o->charset), 14, o->charset);
	write_cell(out, format(b, c->b, q->unit, o->charset), 14, o->charset);
	if (change[0])
		write_cell(out, change, 10, o->charset);
	fprintf(out, "%s%s\n", c->worse ? "  worse" : "", c->worse && o->colour ? "\033[0m" : "");
}

static void write_pair(FILE *out, const struct pair *p, const struct diff_options *o)
{
	char name[COLUMNS_CELL_LEN];
	size_t i;

	if (p->row) {
		columns__find("device")->format(name, sizeof(name), p->row, COLUMNS_TOTAL, o->charset);
		fprintf(out, "%s%s%s\n", name, p->row->implementation == IOVAB_IMPL_REFERENCE ?
			"  reference implementation" : "",
			!p->b.there ? "  only in A" : !p->a.there ? "  only in B" : "");
	} else {
		fprintf(out, "all devices\n");
	}
	for (i = 0; p->a.there && p->b.there && i < N_QUANTITIES; i++)
		write_figure(out, &quantities[i], &p->figures[i], o);
	fputc('\n', out);
}

int diff__write_text(FILE *out, const struct diff *d, const struct diff_options *o)
{
	size_t i;

	fprintf(out, "  %-22s %14s %14s %10s\n", "", "A", "B", "CHANGE");
	for (i = 0; i < d->n; i++)
		write_pair(out, &d->pairs[i], o);
	if (d->worse)
		fprintf(out, "B is worse in %zu figures, by more than %.3g %%.\n", d->worse,
			100 * d->threshold);
	else
		fprintf(out, "B is not worse in any figure by more than %.3g %%.\n",
			100 * d->threshold);
	return ferror(out) ? -EIO : 0;
}

/* --- JSON --- */

static json_t *pair_object(const struct pair *p, int *err)
{
	json_t *o = json_object(), *figures = json_object();
	size_t i;

	if (p->row) {
		json_value__put(o, "device", json__string(p->row->device, sizeof(p->row->device)), err);
		if (p->row->hwpt)
			json_value__put(o, "hwpt", json_integer(p->row->hwpt), err);
		json_value__put(o, "implementation",
		    json_string_nocheck(model__implementation_name(p->row->implementation)), err);
	}
	json_value__put(o, "in_a", json_boolean(p->a.there), err);
	json_value__put(o, "in_b", json_boolean(p->b.there), err);
	for (i = 0; p->a.there && p->b.there && i < N_QUANTITIES; i++) {
		const struct compared *c = &p->figures[i];
		json_t *f = json_object();

		json_value__put_ratio(f, "a", c->a, err);
		json_value__put_ratio(f, "b", c->b, err);
		if (c->has_change && !isinf(c->change))
			json_value__put(f, "change", json_real(c->change), err);
		json_value__put(f, "worse", json_boolean(c->worse), err);
		json_value__put(figures, quantities[i].name, f, err);
	}
	json_value__put(o, "figures", figures, err);
	return o;
}

int diff__write_json(FILE *out, const struct diff *d)
{
	json_t *o = json_object(), *devices = json_array();
	int err = 0;
	size_t i;

	json_value__put(o, "schema", json_string_nocheck("iovab.diff/1"), &err);
	json_value__put(o, "threshold", json_real(d->threshold), &err);
	json_value__put(o, "worse", json_integer((json_int_t)d->worse), &err);
	for (i = 0; i < d->n; i++) {
		json_t *p = pair_object(&d->pairs[i], &err);

		if (!d->pairs[i].row)
			json_value__put(o, "all", p, &err);
		else
			json_value__append(devices, p, &err);
	}
	json_value__put(o, "devices", devices, &err);
	err = err ? err : json_value__write_line(out, o);
	json_decref(o);
	return err;
}
