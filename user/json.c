// SPDX-License-Identifier: GPL-2.0-only
/*
 * How the model's values become JSON:
 *
 * - A value that is not measured, or does not apply, is absent.
 * - A value that is unknown is absent too, and named in the array "unknown" of
 *   its scope. So a number that is there is always right.
 * - Integers are JSON integers. The library's are signed, 64 bits wide: what is
 *   above 2^63 - 1 is written as a string of its digits. No counter gets there by
 *   counting; of IOVAs only those in the upper half of a full 64-bit space do.
 * - Histograms (density_histogram, run_pages; buckets as in iovab.h) end at the
 *   last bucket that is not empty: those behind it are 0. Most have few, and a
 *   fleet's lines are half as long.
 * - Strings are bytes that anybody may have chosen. What is not UTF-8 becomes
 *   U+FFFD, a byte each; what is not ASCII is written as \uXXXX, so that a line
 *   can go to any terminal.
 *
 * The library keeps an object's keys in the order in which they were set, which
 * is that of the contract.
 */
#include <errno.h>
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "json.h"
#include "text.h"

#define SCHEMA		"iovab.device/1"
#define DUMP_FLAGS	(JSON_COMPACT | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(12))

/* What all lines of a snapshot share. */
struct common {
	const struct iovab_snapshot *s;
	json_t *time, *losses, *cost;
	char *line;		/* room for one: the library is slow with streams */
	size_t line_size;
};

#define FIRST_LINE_SIZE	8192

/* Takes over @value. A failure leaves *@err set, and nothing else to clean up. */
static void put(json_t *object, const char *key, json_t *value, int *err)
{
	if (json_object_set_new_nocheck(object, key, value))
		*err = -ENOMEM;
}

static json_t *integer(__u64 v)
{
	char digits[24];

	if (v <= INT64_MAX)
		return json_integer((json_int_t)v);
	snprintf(digits, sizeof(digits), "%llu", v);
	return json_string_nocheck(digits);
}

static json_t *string(const char *raw, size_t raw_size)
{
	static const char replacement[] = "\xef\xbf\xbd";
	char clean[3 * IOVAB_VM_LEN + 1];
	size_t len = strnlen(raw, raw_size), in = 0, out = 0;

	while (in < len && out + 4 < sizeof(clean)) {
		unsigned int cp;
		size_t n = text__decode(raw + in, len - in, &cp);

		memcpy(clean + out, n ? raw + in : replacement, n ? n : 3);
		out += n ? n : 3;
		in += n ? n : 1;
	}
	return json_stringn_nocheck(clean, out);
}

static void put_name(json_t *object, const char *key, const char *raw, size_t raw_size, int *err)
{
	if (raw[0])
		put(object, key, string(raw, raw_size), err);
}

static void put_ratio(json_t *object, const char *key, struct iovab_ratio r, int *err)
{
	if (r.state == IOVAB_VALUE_KNOWN)
		put(object, key, json_real(r.v), err);
}

/* A histogram, up to the last bucket that is not empty. */
static json_t *histogram(const __u64 *v, size_t n, int *err)
{
	json_t *a = json_array();
	size_t i;

	while (n && !v[n - 1])
		n--;
	for (i = 0; i < n; i++)
		if (json_array_append_new(a, integer(v[i])))
			*err = -ENOMEM;
	return a;
}

/* --- a scope --- */

static void put_latency(json_t *scope, const char *key, const struct iovab_latency_figures *l,
			int *err)
{
	json_t *o;

	if (l->state != IOVAB_VALUE_KNOWN)
		return;
	o = json_object();
	put(o, "sum", integer(l->sum), err);
	put(o, "min", integer(l->min), err);
	put(o, "max", integer(l->max), err);
	put(o, "p50", integer(l->p50), err);
	put(o, "p90", integer(l->p90), err);
	put(o, "p99", integer(l->p99), err);
	put(o, "count", integer(l->count), err);
	put(scope, key, o, err);
}

static void note_unknown(json_t *unknown, const char *name, int *err)
{
	if (json_array_append_new(unknown, json_string_nocheck(name)))
		*err = -ENOMEM;
}

static void put_order(json_t *scope, const struct iovab_figures *f, int *err)
{
	json_t *o = json_object();

	put(o, "ascending", integer(f->marks_ascending), err);
	put(o, "descending", integer(f->marks_descending), err);
	put(o, "overlapping", integer(f->marks_overlapping), err);
	put(scope, "order", o, err);
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

static void put_lost_by(json_t *scope, const struct iovab_figures *f, int *err)
{
	json_t *o = json_object();
	enum iovab_lost i;

	for (i = 0; i < IOVAB_LOST_REASONS; i++)
		put(o, lost_keys[i], integer(f->lost_by[i]), err);
	put(scope, "lost_by", o, err);
}

/* Of the reports that could be followed: each policy's figures, but for repins that are unknown. */
static void put_what_if(json_t *scope, const struct iovab_figures *f, json_t *unknown, int *err)
{
	static const struct {
		const char *key;
		enum iovab_policy_id id;
	} policies[] = {
		{ "eager", IOVAB_POLICY_EAGER },
		{ "lazy", IOVAB_POLICY_LAZY },
		{ "cached", IOVAB_POLICY_CACHED },
	};
	json_t *what_if = json_object();
	char name[40];
	size_t i;

	put(what_if, "reports", integer(f->what_if_reports), err);
	for (i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
		const struct iovab_pins *pins = &f->what_if[policies[i].id];
		json_t *o = json_object();

		put(o, "windows", integer(pins->windows), err);
		put(o, "pages_pinned", integer(pins->pages), err);
		if (!pins->repins_unknown) {
			put(o, "repins", integer(pins->repins), err);
		} else {
			snprintf(name, sizeof(name), "what_if.%s.repins", policies[i].key);
			note_unknown(unknown, name, err);
		}
		put(what_if, policies[i].key, o, err);
	}
	put(scope, "what_if", what_if, err);
}

/* Reports whose phase is not known are in none. */
static void put_phases(json_t *scope, const struct iovab_figures *f, int *err)
{
	json_t *phases = json_object();
	enum iovab_phase p;

	for (p = 0; p < IOVAB_PHASES; p++) {
		json_t *o;

		if (!phase_keys[p])
			continue;
		o = json_object();
		put(o, "reports", integer(f->phase_reports[p]), err);
		put(o, "report_ns", integer(f->phase_ns[p]), err);
		put(phases, phase_keys[p], o, err);
	}
	put(scope, "phases", phases, err);
}

/* What follows a figure in the contract, and is none itself. */
static void put_after(json_t *scope, enum iovab_figure i, const struct iovab_figures *f,
		      json_t *unknown, int *err)
{
	switch (i) {
	case IOVAB_FIG_REPORT_ERRORS:
		put_latency(scope, "report_ns", &f->report_ns, err);
		break;
	case IOVAB_FIG_PAGES_PINNED:
		put_latency(scope, "pin_ns", &f->pin_ns, err);
		break;
	case IOVAB_FIG_DIRTY_BYTES:
		put_ratio(scope, "density", f->density, err);
		if (f->density.state == IOVAB_VALUE_UNKNOWN)
			note_unknown(unknown, "density", err);
		break;
	default:
		break;
	}
}

static json_t *scope_object(const struct iovab_figures *f, enum iovab_tier tier, int *err)
{
	json_t *scope = json_object(), *unknown = json_array();
	enum iovab_figure i;

	for (i = 0; i < IOVAB_FIGURES; i++) {
		if (f->fig[i].state == IOVAB_VALUE_KNOWN)
			put(scope, model__figure_name(i), integer(f->fig[i].v), err);
		else if (f->fig[i].state == IOVAB_VALUE_UNKNOWN)
			note_unknown(unknown, model__figure_name(i), err);
		put_after(scope, i, f, unknown, err);
	}
	if (tier >= IOVAB_TIER_DENSITY)
		put(scope, "density_histogram",
		    histogram(f->density_hist, IOVAB_DENSITY_BUCKETS, err), err);
	put_phases(scope, f, err);
	if (tier >= IOVAB_TIER_SETS) {
		put_lost_by(scope, f, err);
		put(scope, "run_pages", histogram(f->run_hist, IOVAB_RUN_BUCKETS, err), err);
		put_order(scope, f, err);
		put_what_if(scope, f, unknown, err);
	}
	if (json_array_size(unknown))
		put(scope, "unknown", json_incref(unknown), err);
	json_decref(unknown);
	return scope;
}

/* --- a line --- */

/* All that are attached to an HWPT, or the first of them and how many there are more. */
static void put_devices(json_t *o, const struct iovab_row *row, int *err)
{
	__u32 i, named = row->n_devices;
	json_t *devices = json_array();

	if (named > IOVAB_HWPT_DEVICES)
		named = IOVAB_HWPT_DEVICES;
	for (i = 0; i < named; i++)
		if (json_array_append_new(devices, string(row->devices[i], IOVAB_DEVICE_LEN)))
			*err = -ENOMEM;
	put(o, "devices", devices, err);
	if (named < row->n_devices)
		put(o, "devices_unlisted", integer(row->n_devices - named), err);
}

static void put_identity(json_t *o, const struct iovab_row *row, int *err)
{
	const char *client = model__client_name(row->client);

	if (client)
		put(o, "client", json_string_nocheck(client), err);
	put_name(o, "device", row->device, sizeof(row->device), err);
	put_name(o, "driver", row->driver, sizeof(row->driver), err);
	put_name(o, "vfio", row->vfio, sizeof(row->vfio), err);
	if (row->devices_known)
		put_devices(o, row, err);
	if (row->hwpt)
		put(o, "hwpt", integer(row->hwpt), err);
	put(o, "pid", integer(row->pid), err);
	put_name(o, "comm", row->comm, sizeof(row->comm), err);
	put_name(o, "vm", row->vm, sizeof(row->vm), err);
	put(o, "implementation",
	    json_string_nocheck(model__implementation_name(row->implementation)), err);
}

static void put_range(json_t *o, const struct iovab_row *row, int *err)
{
	json_t *range;

	if (!row->page_size)
		return;		/* no report has ended yet */
	range = json_object();
	put(range, "iova", integer(row->range_iova), err);
	put(range, "length", integer(row->range_length), err);
	put(o, "range", range, err);
	put(o, "page_size", integer(row->page_size), err);
}

static void put_or_note(json_t *o, const char *key, struct iovab_ratio r, json_t *unknown, int *err)
{
	put_ratio(o, key, r, err);
	if (r.state == IOVAB_VALUE_UNKNOWN)
		note_unknown(unknown, key, err);
}

json_t *json__convergence(const struct iovab_migration *m, int *err)
{
	const char *verdict = rounds__verdict_name(m->verdict);
	json_t *o = json_object(), *unknown = json_array();

	if (verdict)
		put(o, "verdict", json_string_nocheck(verdict), err);
	else if (m->verdict == IOVAB_VERDICT_UNKNOWN)
		note_unknown(unknown, "verdict", err);
	put(o, "hinders", json_boolean(m->verdict == IOVAB_VERDICT_STUCK && m->hinders), err);
	put(o, "rounds", integer(m->n), err);
	put(o, "rounds_judged", integer(m->judged), err);
	put(o, "rounds_stuck", integer(m->stuck_rounds), err);
	put(o, "trend", json_string_nocheck(rounds__trend_name(m->trend)), err);
	put_or_note(o, "early_bytes", m->early_bytes, unknown, err);
	put_or_note(o, "late_bytes", m->late_bytes, unknown, err);
	put_or_note(o, "early_bytes_per_s", m->early_per_s, unknown, err);
	put_or_note(o, "late_bytes_per_s", m->late_per_s, unknown, err);
	put_or_note(o, "needed_bytes_per_s", m->needed_per_s, unknown, err);
	put_ratio(o, "needed_when_stuck_bytes_per_s", m->stuck_per_s, err);
	put_ratio(o, "round_s", m->round_s, err);
	put_ratio(o, "share", m->share, err);
	put(o, "devices", integer(m->devices), err);
	put_or_note(o, "all_late_bytes", m->all_late_bytes, unknown, err);
	put_or_note(o, "all_needed_bytes_per_s", m->all_needed_per_s, unknown, err);
	if (json_array_size(unknown))
		put(o, "unknown", json_incref(unknown), err);
	json_decref(unknown);
	return o;
}

static void put_now(json_t *o, const struct iovab_row *row, int *err)
{
	if (model__phase_name(row->phase))
		put(o, "phase", json_string_nocheck(model__phase_name(row->phase)), err);
	put(o, "pages_pinned_now", integer(row->pages_pinned_now), err);
	put(o, "reports_in_flight", integer(row->reports_in_flight), err);
	if (row->reports_in_flight)
		put(o, "oldest_report_s", json_real((double)row->oldest_in_flight_ns / 1e9), err);
	if (row->stale)
		put(o, "stale", json_true(), err);
}

static json_t *line_object(const struct common *c, const struct iovab_row *row, int *err)
{
	const struct iovab_snapshot *s = c->s;
	json_t *o = json_object();

	put(o, "schema", json_string_nocheck(SCHEMA), err);
	put(o, "time", json_incref(c->time), err);
	put(o, "elapsed_s", json_real(s->elapsed_s), err);
	put(o, "interval_s", json_real(s->interval_s), err);
	put(o, "tier", json_string_nocheck(model__tier_name(s->tier)), err);
	put_identity(o, row, err);
	put_range(o, row, err);
	put(o, "total", scope_object(&row->total, s->tier, err), err);
	if (row->has_interval)
		put(o, "interval", scope_object(&row->interval, s->tier, err), err);
	put_now(o, row, err);
	if (row->migration.n)
		put(o, "convergence", json__convergence(&row->migration, err), err);
	put(o, "events_lost", integer(s->events_lost), err);
	put(o, "losses", json_incref(c->losses), err);
	put(o, "cost", json_incref(c->cost), err);
	return o;
}

/* Puts the text of @o and a newline into c->line. Returns its length or -errno. */
static ssize_t format_line(struct common *c, const json_t *o)
{
	size_t need = json_dumpb(o, c->line, c->line_size, DUMP_FLAGS) + 1;
	char *larger;

	if (need == 1)
		return -ENOMEM;
	if (need > c->line_size) {
		larger = realloc(c->line, 2 * need);
		if (!larger)
			return -ENOMEM;
		c->line = larger;
		c->line_size = 2 * need;
		json_dumpb(o, c->line, c->line_size, DUMP_FLAGS);
	}
	c->line[need - 1] = '\n';
	return (ssize_t)need;
}

static int write_row(FILE *out, struct common *c, const struct iovab_row *row)
{
	int err = 0;
	json_t *o = line_object(c, row, &err);
	ssize_t len = err ? err : format_line(c, o);

	json_decref(o);
	if (len < 0)
		return (int)len;
	if (fwrite(c->line, 1, (size_t)len, out) != (size_t)len)
		return errno ? -errno : -EIO;
	return 0;
}

/* --- a snapshot --- */

/* RFC 3339 in UTC, with milliseconds. */
static json_t *time_string(const struct timespec *wall)
{
	char date[48], text[64];
	struct tm tm;

	if (!gmtime_r(&wall->tv_sec, &tm) ||
	    !strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm))
		snprintf(date, sizeof(date), "1970-01-01T00:00:00");
	snprintf(text, sizeof(text), "%s.%03ldZ", date, wall->tv_nsec / 1000000 % 1000);
	return json_string_nocheck(text);
}

static json_t *losses_object(const struct iovab_losses *l, int *err)
{
	json_t *o = json_object();
	unsigned int i;

	for (i = 0; i < MODEL_LOSSES; i++)
		put(o, model__loss_name(i), integer(model__loss(l, i)), err);
	return o;
}

static json_t *cost_object(const struct iovab_snapshot *s, int *err)
{
	json_t *o = json_object();

	put_ratio(o, "bpf_share", s->bpf_share, err);
	put_ratio(o, "collector_share", s->collector_share, err);
	if (s->bpf_share.state == IOVAB_VALUE_UNKNOWN)
		put(o, "unknown", json_pack("[s]", "bpf_share"), err);
	return o;
}

int json__write(FILE *out, const struct iovab_snapshot *s)
{
	struct common c = { .s = s, .line_size = FIRST_LINE_SIZE };
	int err = 0;
	size_t i;

	c.line = malloc(c.line_size);
	if (!c.line)
		return -ENOMEM;
	c.time = time_string(&s->wall);
	c.losses = losses_object(&s->losses, &err);
	c.cost = cost_object(s, &err);
	for (i = 0; i < s->n_rows && !err; i++)
		err = write_row(out, &c, &s->rows[i]);
	json_decref(c.time);
	json_decref(c.losses);
	json_decref(c.cost);
	free(c.line);
	return err;
}

json_t *json__row(const struct iovab_snapshot *s, const struct iovab_row *row)
{
	struct common c = { .s = s, .time = time_string(&s->wall) };
	json_t *o;
	int err = 0;

	c.losses = losses_object(&s->losses, &err);
	c.cost = cost_object(s, &err);
	o = line_object(&c, row, &err);
	json_decref(c.time);
	json_decref(c.losses);
	json_decref(c.cost);
	if (!err)
		return o;
	json_decref(o);
	return NULL;
}

json_t *json__string(const char *raw, size_t raw_size)
{
	return string(raw, raw_size);
}

json_t *json__time(const struct timespec *wall)
{
	return time_string(wall);
}
