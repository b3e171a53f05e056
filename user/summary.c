// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include "convergence.h"
#include "flow.h"
#include "plain.h"
#include "summary.h"

#define LABEL_WIDTH	12

static struct flow begin(FILE *out, unsigned int width, enum text_charset cs)
{
	return (struct flow){ .out = out, .width = width, .charset = cs };
}

/* Begins a line: a label, behind which the rest is a column; what comes leaves @gap before it. */
static void begin_column(struct flow *f, const char *name, int gap)
{
	f->indent = LABEL_WIDTH;
	f->used = (size_t)(LABEL_WIDTH - gap);
	fprintf(f->out, "  %-*s", (int)f->used - 2, name);
}

/* A line of a device's block, of words. */
static void label(struct flow *f, const char *name)
{
	begin_column(f, name, 1);
}

/* The same, of items. */
static void label_items(struct flow *f, const char *name)
{
	begin_column(f, name, 2);
}

static const char *exact(char buf[IOVAB_UNITS_LEN], struct iovab_value v)
{
	if (v.state != IOVAB_VALUE_KNOWN)
		return units__absent(v.state);
	return units__exact(buf, IOVAB_UNITS_LEN, v.v);
}

static const char *bytes(char buf[IOVAB_UNITS_LEN], struct iovab_value v)
{
	return units__value(buf, IOVAB_UNITS_LEN, v, UNITS_BYTES, TEXT_ASCII);
}

static const char *plural(__u64 n)
{
	return n == 1 ? "" : "s";
}

/* --- who --- */

static void put_field(struct flow *f, const char *prefix, const char *raw, size_t raw_size)
{
	char text[TEXT_ESCAPED_LEN];

	if (!raw[0])
		return;
	text__escape(text, sizeof(text), raw, raw_size, f->charset);
	flow__item(f, "%s%s", prefix, text);
}

static void write_identity(struct flow *f, const struct iovab_row *row)
{
	f->indent = 2;
	if (row->device[0])
		put_field(f, "", row->device, sizeof(row->device));
	else if (!row->hwpt)
		flow__item(f, "device unknown");
	if (row->hwpt)
		flow__item(f, "hwpt %u", row->hwpt);
	put_field(f, "", row->driver, sizeof(row->driver));
	put_field(f, "", row->vfio, sizeof(row->vfio));
	put_field(f, "", row->comm, sizeof(row->comm));
	flow__item(f, "pid %u", row->pid);
	put_field(f, "VM ", row->vm, sizeof(row->vm));
	if (row->implementation == IOVAB_IMPL_REFERENCE)
		flow__item(f, "reference implementation");
	if (row->stale)
		flow__item(f, "stale: its owner is gone");
	flow__end(f);
}

/* The devices of an HWPT that has several. */
static void write_devices(struct flow *f, const struct iovab_row *row)
{
	__u32 i;

	if (row->n_devices < 2)
		return;
	label_items(f, "devices");
	for (i = 0; i < row->n_devices && i < IOVAB_HWPT_DEVICES; i++)
		put_field(f, "", row->devices[i], sizeof(row->devices[i]));
	if (row->n_devices > IOVAB_HWPT_DEVICES)
		flow__item(f, "and %u more", row->n_devices - IOVAB_HWPT_DEVICES);
	flow__end(f);
}

/* --- what the tier windows measures --- */

static void write_reports(struct flow *f, const struct iovab_row *row)
{
	const struct iovab_figures *t = &row->total;
	char n[IOVAB_UNITS_LEN], range[IOVAB_UNITS_LEN], errors[IOVAB_UNITS_LEN];

	label(f, "reports");
	flow__words(f, "%s over %s of IOVA, %s with an error", exact(n, t->fig[IOVAB_FIG_REPORTS]),
		    bytes(range, t->fig[IOVAB_FIG_RANGE_BYTES]),
		    exact(errors, t->fig[IOVAB_FIG_REPORT_ERRORS]));
	if (row->reports_in_flight)
		flow__words(f, "(%u under way)", row->reports_in_flight);
	flow__end(f);
}

static void put_latency(struct flow *f, const struct iovab_latency_figures *l)
{
	char p50[IOVAB_UNITS_LEN], p99[IOVAB_UNITS_LEN], max[IOVAB_UNITS_LEN];

	if (l->state != IOVAB_VALUE_KNOWN) {
		flow__words(f, "nothing timed");
		return;
	}
	units__duration(p50, sizeof(p50), l->p50, f->charset);
	units__duration(p99, sizeof(p99), l->p99, f->charset);
	units__duration(max, sizeof(max), l->max, f->charset);
	flow__words(f, "p50 %s, p99 %s, max %s", p50, p99, max);
}

/* How many reports of each phase that was seen; those while the VM stood are downtime. */
static void write_phases(struct flow *f, const struct iovab_figures *t)
{
	char n[IOVAB_UNITS_LEN], took[IOVAB_UNITS_LEN];
	bool first = true;
	enum iovab_phase p;

	for (p = 0; p < IOVAB_PHASES; p++) {
		if (!model__phase_name(p) || !t->phase_reports[p])
			continue;
		if (first)
			label_items(f, "phases");
		units__duration(took, sizeof(took), t->phase_ns[p], f->charset);
		flow__item(f, "%s %s report%s, %s%s", model__phase_name(p),
			   units__exact(n, sizeof(n), t->phase_reports[p]),
			   plural(t->phase_reports[p]), took,
			   p == IOVAB_PHASE_STOP_COPY ? " of downtime" : "");
		first = false;
	}
	flow__end(f);
}

static void write_times(struct flow *f, const struct iovab_figures *t)
{
	label(f, "time");
	put_latency(f, &t->report_ns);
	if (t->report_ns.state == IOVAB_VALUE_KNOWN)
		flow__words(f, "a report");
	flow__end(f);
}

/* " (4.00 a report)", or nothing if there is no report to divide by. */
static const char *per_report(char buf[2 * IOVAB_UNITS_LEN], struct iovab_ratio r)
{
	char n[IOVAB_UNITS_LEN];

	buf[0] = '\0';
	if (r.state == IOVAB_VALUE_KNOWN)
		snprintf(buf, 2 * IOVAB_UNITS_LEN, " (%s a report)",
			 units__number(n, sizeof(n), r.v));
	return buf;
}

static void write_windows(struct flow *f, const struct iovab_figures *t)
{
	char windows[IOVAB_UNITS_LEN], repins[IOVAB_UNITS_LEN];
	char a[2 * IOVAB_UNITS_LEN], b[2 * IOVAB_UNITS_LEN];

	label(f, "windows");
	flow__words(f, "%s%s, %s repins%s", exact(windows, t->fig[IOVAB_FIG_WINDOWS]),
		    per_report(a, t->windows_per_report),
		    exact(repins, t->fig[IOVAB_FIG_REPINS]),
		    per_report(b, t->repins_per_report));
	flow__end(f);
}

static void write_pins(struct flow *f, const struct iovab_figures *t)
{
	char pages[IOVAB_UNITS_LEN], failed[IOVAB_UNITS_LEN];

	label(f, "pins");
	flow__words(f, "%s pages, %s failed,", exact(pages, t->fig[IOVAB_FIG_PAGES_PINNED]),
		    exact(failed, t->fig[IOVAB_FIG_PIN_FAILURES]));
	put_latency(f, &t->pin_ns);
	flow__end(f);
}

/* --- what the tier density adds --- */

/* "unknown: ..." in place of a value that scans should have told. */
static void put_unknown(struct flow *f, const struct iovab_figures *t)
{
	char n[IOVAB_UNITS_LEN];
	struct iovab_value skipped = t->fig[IOVAB_FIG_SCAN_SKIPPED];

	flow__words(f, "unknown: the bitmap of %s window%s could not be read", exact(n, skipped),
		    plural(skipped.v));
}

static void write_clean(struct flow *f, const struct iovab_figures *t)
{
	struct iovab_value clean = t->fig[IOVAB_FIG_WINDOWS_CLEAN];
	char n[IOVAB_UNITS_LEN], share[IOVAB_UNITS_LEN];

	label(f, "clean");
	if (clean.state == IOVAB_VALUE_UNKNOWN) {
		put_unknown(f, t);
	} else {
		flow__words(f, "%s window%s", exact(n, clean), plural(clean.v));
		if (t->clean_share.state == IOVAB_VALUE_KNOWN)
			flow__words(f, "(%s)",
				    units__percent(share, sizeof(share), t->clean_share.v));
	}
	flow__end(f);
}

static void write_dirty(struct flow *f, const struct iovab_figures *t)
{
	struct iovab_value dirty = t->fig[IOVAB_FIG_DIRTY_BYTES];
	char n[IOVAB_UNITS_LEN], share[IOVAB_UNITS_LEN];

	label(f, "dirty");
	if (dirty.state == IOVAB_VALUE_UNKNOWN) {
		put_unknown(f, t);
	} else {
		flow__words(f, "%s", bytes(n, dirty));
		if (t->density.state == IOVAB_VALUE_KNOWN)
			flow__words(f, "(density %s)",
				    units__percent(share, sizeof(share), t->density.v));
	}
	flow__end(f);
}

/* --- what the tier sets adds --- */

static void write_marks(struct flow *f, const struct iovab_figures *t)
{
	char calls[IOVAB_UNITS_LEN], marked[IOVAB_UNITS_LEN], redundant[IOVAB_UNITS_LEN];
	char lost[IOVAB_UNITS_LEN], overshoot[IOVAB_UNITS_LEN], stray[IOVAB_UNITS_LEN];
	char wild[IOVAB_UNITS_LEN], empty[IOVAB_UNITS_LEN];
	bool known = t->fig[IOVAB_FIG_REDUNDANT_BYTES].state == IOVAB_VALUE_KNOWN;

	label(f, "marks");
	flow__words(f, "%s of %s; redundant %s, lost %s, overshoot %s, stray bits %s",
		    exact(calls, t->fig[IOVAB_FIG_SET_CALLS]),
		    bytes(marked, t->fig[IOVAB_FIG_MARKED_BYTES]),
		    known ? bytes(redundant, t->fig[IOVAB_FIG_REDUNDANT_BYTES]) : "unknown",
		    bytes(lost, t->fig[IOVAB_FIG_LOST_BYTES]),
		    bytes(overshoot, t->fig[IOVAB_FIG_OVERSHOOT_BYTES]),
		    exact(stray, t->fig[IOVAB_FIG_STRAY_BITS]));
	if (t->fig[IOVAB_FIG_WILD_MARKS].v)
		flow__words(f, "(%s wild marks, %s of them empty: the kernel sets bits nobody marked)",
			    exact(wild, t->fig[IOVAB_FIG_WILD_MARKS]),
			    exact(empty, t->fig[IOVAB_FIG_EMPTY_MARKS]));
	flow__end(f);
}

static const char *percent(char buf[IOVAB_UNITS_LEN], __u64 part, __u64 whole)
{
	return units__percent(buf, IOVAB_UNITS_LEN, (double)part / (double)whole);
}

static void put_order(struct flow *f, const struct iovab_figures *t)
{
	__u64 n[] = { t->marks_ascending, t->marks_descending, t->marks_overlapping };
	static const char *const names[] = { "ascending", "descending", "overlapping" };
	__u64 all = n[0] + n[1] + n[2];
	char p[3][IOVAB_UNITS_LEN];
	int i;

	if (!all) {
		flow__words(f, "no mark followed another");
		return;
	}
	for (i = 0; i < 3; i++) {
		if (n[i] == all) {
			flow__words(f, "all %s", names[i]);
			return;
		}
		if (n[i] >= all - all / 10) {
			flow__words(f, "mostly %s (%s)", names[i], percent(p[0], n[i], all));
			return;
		}
		percent(p[i], n[i], all);
	}
	flow__words(f, "mixed: %s ascending, %s descending, %s overlapping", p[0], p[1], p[2]);
}

/* The bucket in which the middle one of all runs is; -1 if there are none. */
static int median_run(const __u64 run_hist[IOVAB_RUN_BUCKETS])
{
	__u64 all = 0, below = 0;
	int i;

	for (i = 0; i < IOVAB_RUN_BUCKETS; i++)
		all += run_hist[i];
	for (i = 0; i < IOVAB_RUN_BUCKETS; i++) {
		below += run_hist[i];
		if (all && below >= all - all / 2)
			return i;
	}
	return -1;
}

static void put_runs(struct flow *f, const struct iovab_figures *t)
{
	int median = median_run(t->run_hist);
	char from[IOVAB_UNITS_LEN], to[IOVAB_UNITS_LEN];

	if (median < 0)
		return;
	units__exact(from, sizeof(from), 1ULL << median);
	units__exact(to, sizeof(to), (2ULL << median) - 1);
	if (!median)
		flow__words(f, "the middle one of the runs is 1 page long");
	else if (median == IOVAB_RUN_BUCKETS - 1)
		flow__words(f, "the middle one of the runs is %s pages long or longer", from);
	else
		flow__words(f, "the middle one of the runs is %s to %s pages long", from, to);
}

static void write_order(struct flow *f, const struct iovab_figures *t)
{
	label(f, "order");
	put_order(f, t);
	if (median_run(t->run_hist) >= 0) {
		fputc(';', f->out);
		f->used++;
		put_runs(f, t);
	}
	flow__end(f);
}

/* What was pinned, and what other policies would have for the same marks. */
static void write_what_if(struct flow *f, const struct iovab_figures *t)
{
	char windows[IOVAB_UNITS_LEN], pages[IOVAB_UNITS_LEN], n[IOVAB_UNITS_LEN];
	enum iovab_policy_id p;

	if (!t->what_if_reports)
		return;
	label_items(f, "what if");
	for (p = 0; p < IOVAB_POLICIES; p++)
		flow__item(f, "%s %s windows, %s pages", model__policy_name(p),
			   units__exact(windows, sizeof(windows), t->what_if[p].windows),
			   units__exact(pages, sizeof(pages), t->what_if[p].pages));
	if (t->what_if_reports != t->fig[IOVAB_FIG_REPORTS].v)
		flow__item(f, "in %s of the reports",
			   units__exact(n, sizeof(n), t->what_if_reports));
	flow__end(f);
}

/* --- its migration --- */

/* Whether its last migration comes to its end, if one was seen. */
static void write_convergence(struct flow *f, const struct iovab_row *row, __u64 bandwidth)
{
	if (!row->migration.n)
		return;
	label(f, "converges");
	convergence__put(f, &row->migration, bandwidth);
	flow__end(f);
}

/* --- all --- */

static void write_device(struct flow *f, const struct iovab_row *row, enum iovab_tier tier)
{
	const struct iovab_figures *t = &row->total;

	write_identity(f, row);
	write_devices(f, row);
	write_reports(f, row);
	write_times(f, t);
	write_phases(f, t);
	write_windows(f, t);
	write_pins(f, t);
	if (tier >= IOVAB_TIER_DENSITY) {
		write_clean(f, t);
		write_dirty(f, t);
	}
	if (tier >= IOVAB_TIER_SETS) {
		write_marks(f, t);
		write_order(f, t);
		write_what_if(f, t);
	}
}

void summary__write_row(FILE *out, const struct iovab_row *row, enum iovab_tier tier,
			unsigned int width, enum text_charset cs)
{
	struct flow f = begin(out, width, cs);

	write_device(&f, row, tier);
}

/* --- reports in trouble --- */

static void put_lost(struct flow *f, const struct iovab_trouble *t)
{
	const struct iovab_report_event *r = &t->report;
	char lost[IOVAB_UNITS_LEN];
	enum iovab_lost why;

	for (why = 0; why < IOVAB_LOST_REASONS; why++) {
		if (!r->lost_by[why])
			continue;
		units__bytes(lost, sizeof(lost), r->lost_by[why] * r->page_size);
		flow__item(f, "%s lost: %s", lost, model__lost_text(why, t->implementation));
	}
	if (r->lost_pages)
		flow__item(f, "first at 0x%llx", r->lost_iova);
}

static void write_trouble(struct flow *f, const struct iovab_trouble *t)
{
	const struct iovab_report_event *r = &t->report;
	char n[IOVAB_UNITS_LEN], length[IOVAB_UNITS_LEN];

	f->indent = LABEL_WIDTH;
	fputs("  ", f->out);
	f->used = 2;
	put_field(f, "", t->device, sizeof(t->device));
	if (t->hwpt)
		flow__item(f, "hwpt %u", t->hwpt);
	if (t->pid)
		flow__item(f, "pid %u", t->pid);
	put_field(f, "", t->comm, sizeof(t->comm));
	flow__item(f, "after %.3f s", t->end_s);
	if (model__phase_name(r->phase))
		flow__item(f, "%s", model__phase_name(r->phase));
	units__bytes(length, sizeof(length), r->length);
	flow__item(f, "range 0x%llx, %s", r->iova, length);
	put_lost(f, t);
	if (r->stray_bits)
		flow__item(f, "%s stray bit%s: memory beside the bitmap was overwritten",
			   units__exact(n, sizeof(n), r->stray_bits), plural(r->stray_bits));
	flow__end(f);
}

/* Which report of which process lost what. */
static void write_troubles(struct flow *f, const struct iovab_snapshot *s)
{
	char n[IOVAB_UNITS_LEN];
	size_t i;

	if (!s->n_troubles)
		return;
	f->indent = 0;
	flow__words(f, "Reports that lost dirty pages, or overwrote memory (a guest that migrated "
		       "on them may be corrupt):");
	flow__end(f);
	for (i = 0; i < s->n_troubles; i++)
		write_trouble(f, &s->troubles[i]);
	if (s->more_troubles)
		fprintf(f->out, "  and %s more\n",
			units__exact(n, sizeof(n), s->more_troubles));
	fputc('\n', f->out);
}

/* When scans failed: what can be said all the same. */
static void answer_unknown(struct flow *f, const struct iovab_figures *sum)
{
	char windows[IOVAB_UNITS_LEN], skipped[IOVAB_UNITS_LEN], clean[IOVAB_UNITS_LEN];

	flow__words(f, "Of %s window%s that the kernel pinned, %s could not be scanned, so how many "
		    "had nothing dirty in them is unknown: %s at least.",
		    exact(windows, sum->fig[IOVAB_FIG_WINDOWS]),
		    plural(sum->fig[IOVAB_FIG_WINDOWS].v),
		    exact(skipped, sum->fig[IOVAB_FIG_SCAN_SKIPPED]),
		    units__exact(clean, sizeof(clean), sum->density_hist[0]));
}

/* The question of the review in which iova_bitmap was born. */
static void write_answer(struct flow *f, const struct iovab_snapshot *s)
{
	const struct iovab_figures *sum = &s->sum;
	struct iovab_value windows = sum->fig[IOVAB_FIG_WINDOWS];
	struct iovab_value clean = sum->fig[IOVAB_FIG_WINDOWS_CLEAN];
	char n[IOVAB_UNITS_LEN], c[IOVAB_UNITS_LEN], share[IOVAB_UNITS_LEN];

	f->indent = 0;
	exact(n, windows);
	if (windows.state != IOVAB_VALUE_KNOWN)
		flow__words(f, "No report was seen, so no window either.");
	else if (!windows.v)
		flow__words(f, "The kernel pinned no window, so none had nothing dirty in it.");
	else if (clean.state == IOVAB_VALUE_NOT_MEASURED)
		flow__words(f, "The kernel pinned %s window%s; how many had nothing dirty in them "
			    "is not measured at tier %s: --tier density tells.", n,
			    plural(windows.v), model__tier_name(s->tier));
	else if (clean.state == IOVAB_VALUE_UNKNOWN)
		answer_unknown(f, sum);
	else
		flow__words(f, "Of %s window%s that the kernel pinned, %s (%s) had nothing dirty "
			    "in %s.", n, plural(windows.v), exact(c, clean),
			    units__percent(share, sizeof(share), sum->clean_share.v),
			    windows.v == 1 ? "it" : "them");
	flow__end(f);
}

int summary__write(FILE *out, const struct iovab_snapshot *s, unsigned int width,
		   enum text_charset cs)
{
	struct flow f = begin(out, width, cs);
	size_t i;

	for (i = 0; i < s->n_rows; i++) {
		write_device(&f, &s->rows[i], s->tier);
		write_convergence(&f, &s->rows[i], s->bandwidth);
		fputc('\n', out);
	}
	if (s->rows_folded)
		fprintf(out, "and %llu devices that are gone, no longer listed\n\n",
			s->rows_folded);
	write_troubles(&f, s);
	if (convergence__write_stuck(out, s, width, cs))
		fputc('\n', out);
	plain__write_losses(out, s, width, cs);
	write_answer(&f, s);
	return ferror(out) ? -EIO : 0;
}

void summary__write_troubles(FILE *out, const struct iovab_snapshot *s, unsigned int width,
			     enum text_charset cs)
{
	struct flow f = begin(out, width, cs);

	write_troubles(&f, s);
}

void summary__write_answer(FILE *out, const struct iovab_snapshot *s, unsigned int width,
			   enum text_charset cs)
{
	struct flow f = begin(out, width, cs);

	write_answer(&f, s);
}
