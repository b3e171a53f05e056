// SPDX-License-Identifier: GPL-2.0-only
/*
 * How the model's values become JSON:
 *
 * - A value that is not measured, or does not apply, is absent.
 * - A value that is unknown is absent too, and named in the array "unknown" of
 *   its scope. So a number that is there is always right.
 * - Integers are JSON integers. What is above 2^63 - 1 is written as a string of its
 *   digits. No counter gets there by counting; of IOVAs only those in the upper half of
 *   a full 64-bit space do.
 * - Histograms (density_histogram, run_pages; buckets as in iovab.h) end at the
 *   last bucket that is not empty: those behind it are 0. Most have few, and a
 *   fleet's lines are half as long.
 * - Strings are bytes that anybody may have chosen. What is not UTF-8 becomes
 *   U+FFFD, a byte each; what is not ASCII is written as \uXXXX, so that a line
 *   can go to any terminal.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "json.h"
#include "json_text.h"
#include "text.h"

#define SCHEMA		"iovab.device/1"

#define open	json_text__open
#define close	json_text__close
#define integer	json_text__integer
#define real	json_text__real
#define string	json_text__string

/* What all lines of a snapshot share, as text. */
struct common {
	const struct iovab_snapshot *s;
	struct json_text before;	/* {... up to the identity */
	struct json_text after;		/* the last fields, and the end of the line */
};

/* What is unknown in a scope, to be named at its end. */
struct unknown {
	const char *names[IOVAB_FIGURES + IOVAB_POLICIES + 8];
	size_t n;
};

static void word(struct json_text *t, const char *key, const char *value)
{
	string(t, key, value, strlen(value));
}

static void put_name(struct json_text *t, const char *key, const char *raw, size_t raw_size)
{
	if (raw[0])
		string(t, key, raw, raw_size);
}

static void put_ratio(struct json_text *t, const char *key, struct iovab_ratio r)
{
	if (r.state == IOVAB_VALUE_KNOWN)
		real(t, key, r.v);
}

/* A histogram, up to the last bucket that is not empty. */
static void put_histogram(struct json_text *t, const char *key, const __u64 *v, size_t n)
{
	size_t i;

	while (n && !v[n - 1])
		n--;
	open(t, key, '[');
	for (i = 0; i < n; i++)
		integer(t, NULL, v[i]);
	close(t, ']');
}

/* --- a scope --- */

static void put_latency(struct json_text *t, const char *key,
			const struct iovab_latency_figures *l)
{
	if (l->state != IOVAB_VALUE_KNOWN)
		return;
	open(t, key, '{');
	integer(t, "sum", l->sum);
	integer(t, "min", l->min);
	integer(t, "max", l->max);
	integer(t, "p50", l->p50);
	integer(t, "p90", l->p90);
	integer(t, "p99", l->p99);
	integer(t, "count", l->count);
	close(t, '}');
}

static void note_unknown(struct unknown *u, const char *name)
{
	if (u->n < sizeof(u->names) / sizeof(u->names[0]))
		u->names[u->n++] = name;
}

static void put_unknown(struct json_text *t, const struct unknown *u)
{
	size_t i;

	if (!u->n)
		return;
	open(t, "unknown", '[');
	for (i = 0; i < u->n; i++)
		word(t, NULL, u->names[i]);
	close(t, ']');
}

static void put_order(struct json_text *t, const struct iovab_figures *f)
{
	open(t, "order", '{');
	integer(t, "ascending", f->marks_ascending);
	integer(t, "descending", f->marks_descending);
	integer(t, "overlapping", f->marks_overlapping);
	close(t, '}');
}

static const char *const lost_keys[IOVAB_LOST_REASONS] = {
	[IOVAB_LOST_WINDOW] = "window_bytes",
	[IOVAB_LOST_PIN] = "pin_bytes",
	[IOVAB_LOST_BELOW] = "below_bytes",
};

static const char *const phase_keys[IOVAB_PHASES] = {
	[IOVAB_PHASE_PRECOPY] = "precopy",
	[IOVAB_PHASE_STOP_COPY] = "stop_copy",
};

static void put_lost_by(struct json_text *t, const struct iovab_figures *f)
{
	enum iovab_lost i;

	open(t, "lost_by", '{');
	for (i = 0; i < IOVAB_LOST_REASONS; i++)
		integer(t, lost_keys[i], f->lost_by[i]);
	close(t, '}');
}

/* Of the reports that could be followed: each policy's figures, but for repins that are unknown. */
static void put_what_if(struct json_text *t, const struct iovab_figures *f, struct unknown *u)
{
	static const struct {
		const char *key, *repins;
		enum iovab_policy_id id;
	} policies[] = {
		{ "eager", "what_if.eager.repins", IOVAB_POLICY_EAGER },
		{ "lazy", "what_if.lazy.repins", IOVAB_POLICY_LAZY },
		{ "cached", "what_if.cached.repins", IOVAB_POLICY_CACHED },
	};
	size_t i;

	open(t, "what_if", '{');
	integer(t, "reports", f->what_if_reports);
	for (i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
		const struct iovab_pins *pins = &f->what_if[policies[i].id];

		open(t, policies[i].key, '{');
		integer(t, "windows", pins->windows);
		integer(t, "pages_pinned", pins->pages);
		if (!pins->repins_unknown)
			integer(t, "repins", pins->repins);
		else
			note_unknown(u, policies[i].repins);
		close(t, '}');
	}
	close(t, '}');
}

/* Reports whose phase is not known are in none. */
static void put_phases(struct json_text *t, const struct iovab_figures *f)
{
	enum iovab_phase p;

	open(t, "phases", '{');
	for (p = 0; p < IOVAB_PHASES; p++) {
		if (!phase_keys[p])
			continue;
		open(t, phase_keys[p], '{');
		integer(t, "reports", f->phase_reports[p]);
		integer(t, "report_ns", f->phase_ns[p]);
		close(t, '}');
	}
	close(t, '}');
}

/* What follows a figure in the contract, and is none itself. */
static void put_after(struct json_text *t, enum iovab_figure i, const struct iovab_figures *f,
		      struct unknown *u)
{
	switch (i) {
	case IOVAB_FIG_REPORT_ERRORS:
		put_latency(t, "report_ns", &f->report_ns);
		break;
	case IOVAB_FIG_PAGES_PINNED:
		put_latency(t, "pin_ns", &f->pin_ns);
		break;
	case IOVAB_FIG_DIRTY_BYTES:
		put_ratio(t, "density", f->density);
		if (f->density.state == IOVAB_VALUE_UNKNOWN)
			note_unknown(u, "density");
		break;
	default:
		break;
	}
}

/* What is not one number; of reports that a dropped tier kept from it there is no part. */
static void put_shapes(struct json_text *t, const struct iovab_figures *f, enum iovab_tier tier,
		       struct unknown *u)
{
	static const char *const of_sets[] = { "lost_by", "run_pages", "order", "what_if", NULL };
	enum iovab_value_state density = model__measured(f, IOVAB_TIER_DENSITY, tier);
	enum iovab_value_state sets = model__measured(f, IOVAB_TIER_SETS, tier);
	size_t i;

	if (density == IOVAB_VALUE_KNOWN)
		put_histogram(t, "density_histogram", f->density_hist, IOVAB_DENSITY_BUCKETS);
	else if (density == IOVAB_VALUE_UNKNOWN)
		note_unknown(u, "density_histogram");
	put_phases(t, f);
	if (sets == IOVAB_VALUE_KNOWN) {
		put_lost_by(t, f);
		put_histogram(t, "run_pages", f->run_hist, IOVAB_RUN_BUCKETS);
		put_order(t, f);
		put_what_if(t, f, u);
	}
	for (i = 0; sets == IOVAB_VALUE_UNKNOWN && of_sets[i]; i++)
		note_unknown(u, of_sets[i]);
}

/* What was lost is told, even if not all of it is known. */
static void put_at_least(struct json_text *t, const struct iovab_figures *f, enum iovab_tier tier)
{
	static const enum iovab_figure figures[] = { IOVAB_FIG_LOST_BYTES, IOVAB_FIG_STRAY_BITS };
	bool any = f->measured[IOVAB_FIG_LOST_BYTES].v || f->measured[IOVAB_FIG_STRAY_BITS].v;
	size_t i;

	if (!any || model__measured(f, IOVAB_TIER_SETS, tier) != IOVAB_VALUE_UNKNOWN)
		return;
	open(t, "at_least", '{');
	for (i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		if (f->measured[figures[i]].state == IOVAB_VALUE_KNOWN)
			integer(t, model__figure_name(figures[i]), f->measured[figures[i]].v);
	close(t, '}');
}

static void put_scope(struct json_text *t, const char *key, const struct iovab_figures *f,
		      enum iovab_tier tier)
{
	struct unknown u = { .n = 0 };
	enum iovab_figure i;

	open(t, key, '{');
	for (i = 0; i < IOVAB_FIGURES; i++) {
		if (f->fig[i].state == IOVAB_VALUE_KNOWN)
			integer(t, model__figure_name(i), f->fig[i].v);
		else if (f->fig[i].state == IOVAB_VALUE_UNKNOWN)
			note_unknown(&u, model__figure_name(i));
		put_after(t, i, f, &u);
	}
	put_shapes(t, f, tier, &u);
	put_at_least(t, f, tier);
	put_unknown(t, &u);
	close(t, '}');
}

/* --- a line --- */

/* All that are attached to an HWPT, or the first of them and how many there are more. */
static void put_devices(struct json_text *t, const struct iovab_row *row)
{
	__u32 i, named = row->n_devices;

	if (named > IOVAB_HWPT_DEVICES)
		named = IOVAB_HWPT_DEVICES;
	open(t, "devices", '[');
	for (i = 0; i < named; i++)
		string(t, NULL, row->devices[i], IOVAB_DEVICE_LEN);
	close(t, ']');
	if (named < row->n_devices)
		integer(t, "devices_unlisted", row->n_devices - named);
}

static void put_identity(struct json_text *t, const struct iovab_row *row)
{
	const char *client = model__client_name(row->client);

	if (client)
		word(t, "client", client);
	put_name(t, "device", row->device, sizeof(row->device));
	put_name(t, "driver", row->driver, sizeof(row->driver));
	put_name(t, "vfio", row->vfio, sizeof(row->vfio));
	if (row->devices_known)
		put_devices(t, row);
	if (row->hwpt)
		integer(t, "hwpt", row->hwpt);
	integer(t, "pid", row->pid);
	put_name(t, "comm", row->comm, sizeof(row->comm));
	put_name(t, "vm", row->vm, sizeof(row->vm));
	word(t, "implementation", model__implementation_name(row->implementation));
}

static void put_range(struct json_text *t, const struct iovab_row *row)
{
	if (!row->page_size)
		return;		/* no report has ended yet */
	open(t, "range", '{');
	integer(t, "iova", row->range_iova);
	integer(t, "length", row->range_length);
	close(t, '}');
	integer(t, "page_size", row->page_size);
}

static void put_or_note(struct json_text *t, const char *key, struct iovab_ratio r,
			struct unknown *u)
{
	put_ratio(t, key, r);
	if (r.state == IOVAB_VALUE_UNKNOWN)
		note_unknown(u, key);
}

static void put_convergence(struct json_text *t, const char *key, const struct iovab_migration *m)
{
	const char *verdict = rounds__verdict_name(m->verdict);
	bool hinders = m->verdict == IOVAB_VERDICT_STUCK && m->hinders;
	struct unknown u = { .n = 0 };

	open(t, key, '{');
	if (verdict)
		word(t, "verdict", verdict);
	else if (m->verdict == IOVAB_VERDICT_UNKNOWN)
		note_unknown(&u, "verdict");
	json_text__bool(t, "hinders", hinders);
	integer(t, "rounds", m->n);
	integer(t, "rounds_judged", m->judged);
	integer(t, "rounds_stuck", m->stuck_rounds);
	word(t, "trend", rounds__trend_name(m->trend));
	put_or_note(t, "early_bytes", m->early_bytes, &u);
	put_or_note(t, "late_bytes", m->late_bytes, &u);
	put_or_note(t, "early_bytes_per_s", m->early_per_s, &u);
	put_or_note(t, "late_bytes_per_s", m->late_per_s, &u);
	put_or_note(t, "needed_bytes_per_s", m->needed_per_s, &u);
	put_ratio(t, "needed_when_stuck_bytes_per_s", m->stuck_per_s);
	put_ratio(t, "round_s", m->round_s);
	put_ratio(t, "share", m->share);
	integer(t, "devices", m->devices);
	put_or_note(t, "all_late_bytes", m->all_late_bytes, &u);
	put_or_note(t, "all_needed_bytes_per_s", m->all_needed_per_s, &u);
	put_unknown(t, &u);
	close(t, '}');
}

static void put_now(struct json_text *t, const struct iovab_row *row)
{
	if (model__phase_name(row->phase))
		word(t, "phase", model__phase_name(row->phase));
	integer(t, "pages_pinned_now", row->pages_pinned_now);
	integer(t, "reports_in_flight", row->reports_in_flight);
	if (row->reports_in_flight)
		real(t, "oldest_report_s", (double)row->oldest_in_flight_ns / 1e9);
	if (row->stale)
		json_text__bool(t, "stale", true);
}

static void put_line(struct json_text *t, const struct common *c, const struct iovab_row *row)
{
	json_text__raw(t, NULL, c->before.text, c->before.len);
	put_identity(t, row);
	put_range(t, row);
	put_scope(t, "total", &row->total, c->s->tier);
	if (row->has_interval)
		put_scope(t, "interval", &row->interval, c->s->tier);
	put_now(t, row);
	if (row->migration.n)
		put_convergence(t, "convergence", &row->migration);
	json_text__raw(t, NULL, c->after.text, c->after.len);
}

/* --- a snapshot --- */

#define TIME_LEN	64

/* RFC 3339 in UTC, with milliseconds. */
static const char *format_time(char text[TIME_LEN], const struct timespec *wall)
{
	char date[48];
	struct tm tm;

	if (!gmtime_r(&wall->tv_sec, &tm) ||
	    !strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm))
		snprintf(date, sizeof(date), "1970-01-01T00:00:00");
	snprintf(text, TIME_LEN, "%s.%03ldZ", date, wall->tv_nsec / 1000000 % 1000);
	return text;
}

static void put_losses(struct json_text *t, const struct iovab_losses *l)
{
	unsigned int i;

	open(t, "losses", '{');
	for (i = 0; i < MODEL_LOSSES; i++)
		integer(t, model__loss_name(i), model__loss(l, i));
	close(t, '}');
}

static void put_cost(struct json_text *t, const struct iovab_snapshot *s)
{
	struct unknown u = { .n = 0 };

	open(t, "cost", '{');
	put_ratio(t, "bpf_share", s->bpf_share);
	put_ratio(t, "collector_share", s->collector_share);
	if (s->bpf_share.state == IOVAB_VALUE_UNKNOWN)
		note_unknown(&u, "bpf_share");
	put_unknown(t, &u);
	if (s->cost.bpf_sampled_ns) {
		integer(t, "bpf_run_ns", s->cost.bpf_run_ns);
		integer(t, "bpf_sampled_ns", s->cost.bpf_sampled_ns);
	}
	if (s->cost.bpf_runs)
		integer(t, "bpf_runs", s->cost.bpf_runs);
	integer(t, "collector_cpu_ns", s->cost.collector_cpu_ns);
	close(t, '}');
}

static void put_budget(struct json_text *t, const struct iovab_snapshot *s)
{
	if (!s->budget.limit_ppm)
		return;
	open(t, "budget", '{');
	real(t, "limit", (double)s->budget.limit_ppm / 1e6);
	real(t, "share", (double)s->budget.share_ppm / 1e6);
	word(t, "tier_now", model__tier_name(model__tier_now(s)));
	integer(t, "drops", s->budget.drops);
	if (s->budget.over)
		json_text__bool(t, "over", true);
	close(t, '}');
}

/* What does not depend on a row: the beginning of each line, and its end. */
static void begin_lines(struct common *c)
{
	const struct iovab_snapshot *s = c->s;
	char time[TIME_LEN];

	open(&c->before, NULL, '{');
	word(&c->before, "schema", SCHEMA);
	word(&c->before, "time", format_time(time, &s->wall));
	real(&c->before, "elapsed_s", s->elapsed_s);
	real(&c->before, "interval_s", s->interval_s);
	word(&c->before, "tier", model__tier_name(s->tier));

	integer(&c->after, "events_lost", s->events_lost);
	put_losses(&c->after, &s->losses);
	put_cost(&c->after, s);
	put_budget(&c->after, s);
	close(&c->after, '}');
	json_text__newline(&c->after);
}

static int end_lines(struct common *c, struct json_text *line)
{
	bool failed = c->before.failed || c->after.failed || line->failed;

	free(c->before.text);
	free(c->after.text);
	free(line->text);
	return failed ? -ENOMEM : 0;
}

int json__write(FILE *out, const struct iovab_snapshot *s)
{
	struct common c = { .s = s };
	struct json_text line = {};
	size_t i, written = 1;
	int err;

	begin_lines(&c);
	errno = 0;
	for (i = 0; i < s->n_rows && written && !line.failed; i++) {
		line.len = 0;
		put_line(&line, &c, &s->rows[i]);
		if (!line.failed && !c.before.failed && !c.after.failed)
			written = fwrite(line.text, line.len, 1, out);
	}
	err = written ? 0 : errno ? -errno : -EIO;
	i = (size_t)end_lines(&c, &line);
	return err ? err : (int)i;
}

json_t *json__row(const struct iovab_snapshot *s, const struct iovab_row *row)
{
	struct common c = { .s = s };
	struct json_text line = {};
	json_t *o = NULL;

	begin_lines(&c);
	put_line(&line, &c, row);
	if (!line.failed && !c.before.failed && !c.after.failed)
		o = json_loadb(line.text, line.len, JSON_ALLOW_NUL, NULL);
	end_lines(&c, &line);
	return o;
}

json_t *json__convergence(const struct iovab_migration *m, int *err)
{
	struct json_text t = {};
	json_t *o = NULL;

	put_convergence(&t, NULL, m);
	if (!t.failed)
		o = json_loadb(t.text, t.len, 0, NULL);
	if (!o)
		*err = -ENOMEM;
	free(t.text);
	return o;
}

json_t *json__string(const char *raw, size_t raw_size)
{
	struct json_text t = {};
	json_t *o = NULL;

	string(&t, NULL, raw, raw_size);
	if (!t.failed)
		o = json_loadb(t.text, t.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	free(t.text);
	return o;
}

json_t *json__time(const struct timespec *wall)
{
	char text[TIME_LEN];

	return json_string_nocheck(format_time(text, wall));
}
