// SPDX-License-Identifier: GPL-2.0-only
/*
 * One device in detail: a page of sections, scrolled where the screen is small,
 * in two columns where it is wide. Figures on the left, shapes on the right.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convergence.h"
#include "live_priv.h"

#define TWO_COLUMNS	120	/* cells from which on there is room for both */
#define LABEL_WIDTH	18
#define VALUE_WIDTH	12
#define LEFT_WIDTH	62
#define GAP		3
#define CHART_LINES	12
#define CHART_MAX_WIDTH	100

static const struct iovab_row *find_row(const struct iovab_snapshot *snapshot, __u32 id)
{
	size_t i;

	for (i = 0; i < snapshot->n_rows; i++) {
		if (snapshot->rows[i].id == id)
			return &snapshot->rows[i];
	}
	return NULL;
}

static void __attribute__((format(printf, 4, 5)))
fact(struct page *page, const char *label, enum look look, const char *format, ...)
{
	char text[TEXT_ESCAPED_LEN + 64];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	page__put(page, 1, LABEL_WIDTH - 2, LOOK_FAINT, label, false);
	page__add(page, LABEL_WIDTH, look, text);
	page__next(page);
}

/* A string of the kernel or of a process; a line only if there is one. */
static void named(struct page *page, const char *label, const char *raw, size_t size)
{
	char text[TEXT_ESCAPED_LEN];

	if (!raw[0])
		return;
	text__escape(text, sizeof(text), raw, size, page->live->charset);
	fact(page, label, LOOK_STRONG, "%s", text);
}

static void lay_out_owner(struct page *page, const struct iovab_row *row)
{
	char comm[TEXT_ESCAPED_LEN];

	text__escape_field(comm, sizeof(comm), row->comm, page->live->charset);
	fact(page, "owner", LOOK_STRONG, "pid %u %s%s", row->pid, comm,
	     row->stale ? " (ended)" : "");
	named(page, "VM", row->vm, sizeof(row->vm));
}

static void lay_out_range(struct page *page, const struct iovab_row *row)
{
	char length[IOVAB_UNITS_LEN], unit[IOVAB_UNITS_LEN];
	__u64 last = row->range_iova + row->range_length - 1;

	if (!row->page_size) {
		fact(page, "last range", LOOK_FAINT, "no report has ended yet");
		return;
	}
	units__bytes(length, sizeof(length), row->range_length);
	units__bytes(unit, sizeof(unit), row->page_size);
	if (!row->range_length)
		fact(page, "last range", LOOK_PLAIN, "empty, at 0x%llx", row->range_iova);
	else
		fact(page, "last range", LOOK_PLAIN, "0x%llx %s 0x%llx", row->range_iova,
		     screen__glyph(page->live, "–", "-"), last);
	fact(page, "", LOOK_PLAIN, "%s, a bit is %s", length, unit);
}

static void lay_out_now(struct page *page, const struct iovab_row *row)
{
	char age[IOVAB_UNITS_LEN], pages[IOVAB_UNITS_LEN];

	if (!row->reports_in_flight) {
		fact(page, "now", LOOK_PLAIN, "no report in flight");
		return;
	}
	units__duration(age, sizeof(age), row->oldest_in_flight_ns, page->live->charset);
	units__count(pages, sizeof(pages), row->pages_pinned_now);
	fact(page, "now", LOOK_PLAIN, "%u in flight, oldest %s, %s pages pinned",
	     row->reports_in_flight, age, pages);
}

static void lay_out_hwpt(struct page *page, const struct iovab_row *row)
{
	__u32 i;

	fact(page, "HWPT", LOOK_PLAIN, "%u", row->hwpt);
	if (!row->devices_known) {
		fact(page, "devices", LOOK_FAINT, "unknown");
		return;
	}
	fact(page, "devices", LOOK_PLAIN, "%u attached", row->n_devices);
	if (row->n_devices > 1)
		for (i = 0; i < row->n_devices && i < IOVAB_HWPT_DEVICES; i++)
			named(page, "", row->devices[i], sizeof(row->devices[i]));
	if (row->n_devices > IOVAB_HWPT_DEVICES)
		fact(page, "", LOOK_FAINT, "and %u more", row->n_devices - IOVAB_HWPT_DEVICES);
}

static void lay_out_phase(struct page *page, const struct iovab_row *row)
{
	const __u64 *reports = row->total.phase_reports, *ns = row->total.phase_ns;
	char took[IOVAB_UNITS_LEN], n[IOVAB_UNITS_LEN];
	enum iovab_phase p;

	if (!model__phase_name(row->phase))
		fact(page, "phase", LOOK_FAINT, "unknown: no change of the migration state was seen");
	else
		fact(page, "phase", LOOK_PLAIN, "%s", model__phase_name(row->phase));
	for (p = 0; p < IOVAB_PHASES; p++) {
		if (!model__phase_name(p) || !reports[p])
			continue;
		units__duration(took, sizeof(took), ns[p], page->live->charset);
		units__count(n, sizeof(n), reports[p]);
		fact(page, "", LOOK_PLAIN, "%s: %s reports, %s", model__phase_name(p), n, took);
	}
}

/* Whether its migration converges, in lines that fit. */
static void lay_out_convergence(struct page *page, const struct iovab_row *row)
{
	struct flow f = { .charset = page->live->charset,
			  .width = (size_t)(page->width > LABEL_WIDTH + 20 ? page->width - LABEL_WIDTH : 20) };
	bool stuck = row->migration.verdict == IOVAB_VERDICT_STUCK;
	char *text = NULL, *line, *rest;
	size_t size;

	if (!row->migration.n)
		return;
	f.out = open_memstream(&text, &size);
	if (!f.out)
		return;
	convergence__put(&f, &row->migration, page->live->bandwidth);
	if (!fclose(f.out))
		for (rest = text; (line = strsep(&rest, "\n"));)
			fact(page, line == text ? "converges" : "", stuck ? LOOK_BAD : LOOK_PLAIN, "%s", line);
	free(text);
}

static void lay_out_identity(struct page *page, const struct iovab_row *row)
{
	const char *client = model__client_name(row->client);

	page__title(page, "Device", columns__state(row));
	if (row->device[0])
		named(page, "device", row->device, sizeof(row->device));
	else
		fact(page, "device", LOOK_FAINT, "unknown");
	named(page, "driver", row->driver, sizeof(row->driver));
	named(page, "vfio", row->vfio, sizeof(row->vfio));
	fact(page, "client", LOOK_PLAIN, "%s, %s", client ? client : "unknown",
	     row->implementation == IOVAB_IMPL_REFERENCE ? "reference implementation" :
							   "the kernel's implementation");
	if (row->hwpt)
		lay_out_hwpt(page, row);
	lay_out_phase(page, row);
	lay_out_convergence(page, row);
	lay_out_owner(page, row);
	lay_out_range(page, row);
	lay_out_now(page, row);
}

static bool is_bad_figure(enum iovab_figure f)
{
	return f == IOVAB_FIG_REPORT_ERRORS || f == IOVAB_FIG_PIN_FAILURES ||
	       f == IOVAB_FIG_LOST_BYTES || f == IOVAB_FIG_OVERSHOOT_BYTES ||
	       f == IOVAB_FIG_STRAY_BITS || f == IOVAB_FIG_EMPTY_MARKS ||
	       f == IOVAB_FIG_WILD_MARKS;
}

static enum look value_look(enum iovab_value_state state, bool bad)
{
	if (state == IOVAB_VALUE_NOT_MEASURED)
		return LOOK_FAINT;
	return bad ? LOOK_BAD : LOOK_PLAIN;
}

/* Says in words why there is no number. */
static void explain(struct page *page, enum iovab_value_state state, enum iovab_tier needed)
{
	int dx = LABEL_WIDTH + 2 * VALUE_WIDTH + 2;
	char text[40];

	if (needed > page->live->tier) {
		snprintf(text, sizeof(text), "--tier %s", model__tier_name(needed));
		page__add(page, dx, LOOK_FAINT, text);
	} else if (state == IOVAB_VALUE_UNKNOWN) {
		page__add(page, dx, LOOK_FAINT, "unknown");
	}
}

static void lay_out_figure(struct page *page, const struct iovab_row *row, enum iovab_figure f)
{
	struct iovab_value total = row->total.fig[f];
	struct iovab_value part = row->interval.fig[f];
	enum text_charset cs = page->live->charset;
	enum units_kind kind = units__figure_kind(f);
	char text[IOVAB_UNITS_LEN];

	page__put(page, 1, LABEL_WIDTH - 1, LOOK_FAINT, units__figure_label(f), false);
	page__put(page, LABEL_WIDTH, VALUE_WIDTH, value_look(total.state,
		  is_bad_figure(f) && total.v), units__value(text, sizeof(text), total, kind, cs),
		  true);
	if (row->has_interval)
		page__put(page, LABEL_WIDTH + VALUE_WIDTH, VALUE_WIDTH, value_look(part.state,
			  is_bad_figure(f) && part.v),
			  units__value(text, sizeof(text), part, kind, cs), true);
	explain(page, total.state, model__figure_tier(f));
	page__next(page);
}

typedef char *(*ratio_fn)(char *buf, size_t size, double ratio);

static void put_ratio(struct page *page, int dx, struct iovab_ratio ratio, ratio_fn format)
{
	const char *absent = units__absent(ratio.state);
	char text[IOVAB_UNITS_LEN];

	page__put(page, dx, VALUE_WIDTH, value_look(ratio.state, false),
		  absent ? absent : format(text, sizeof(text), ratio.v), true);
}

/* A figure that is computed: NULL where a scope has no such thing. */
static void lay_out_ratio(struct page *page, const char *label, const struct iovab_ratio *total,
			  const struct iovab_ratio *interval, ratio_fn format,
			  enum iovab_tier needed)
{
	page__put(page, 1, LABEL_WIDTH - 1, LOOK_FAINT, label, false);
	if (total)
		put_ratio(page, LABEL_WIDTH, *total, format);
	if (interval)
		put_ratio(page, LABEL_WIDTH + VALUE_WIDTH, *interval, format);
	explain(page, total ? total->state : IOVAB_VALUE_KNOWN, needed);
	page__next(page);
}

static void lay_out_figures(struct page *page, const struct iovab_row *row)
{
	const struct iovab_figures *part = row->has_interval ? &row->interval : NULL;
	int f;

	page__title(page, "Figures", NULL);
	page__put(page, LABEL_WIDTH, VALUE_WIDTH, LOOK_STRONG, "total", true);
	page__put(page, LABEL_WIDTH + VALUE_WIDTH, VALUE_WIDTH, LOOK_STRONG, "interval", true);
	if (!part)
		page__add(page, LABEL_WIDTH + 2 * VALUE_WIDTH + 2, LOOK_FAINT, "none yet");
	page__next(page);
	for (f = 0; f < IOVAB_FIGURES; f++)
		lay_out_figure(page, row, (enum iovab_figure)f);
	lay_out_ratio(page, "density", &row->total.density, part ? &part->density : NULL,
		      units__percent, IOVAB_TIER_DENSITY);
	lay_out_ratio(page, "clean share", &row->total.clean_share,
		      part ? &part->clean_share : NULL, units__percent, IOVAB_TIER_DENSITY);
	lay_out_ratio(page, "windows/report", &row->total.windows_per_report,
		      part ? &part->windows_per_report : NULL, units__number,
		      IOVAB_TIER_WINDOWS);
	lay_out_ratio(page, "report rate", NULL, &row->reports_per_s, units__per_second,
		      IOVAB_TIER_WINDOWS);
	lay_out_ratio(page, "dirty rate", NULL, &row->dirty_bytes_per_s, units__bytes_per_second,
		      IOVAB_TIER_DENSITY);
}

struct latency_line {
	const char *label;
	size_t offset;
	bool is_count;
};

static void put_latency(struct page *page, int dx, const struct iovab_latency_figures *figures,
			const struct latency_line *line)
{
	const char *absent = units__absent(figures->state);
	char text[IOVAB_UNITS_LEN];
	__u64 v;

	memcpy(&v, (const char *)figures + line->offset, sizeof(v));
	if (!absent && line->is_count)
		units__count(text, sizeof(text), v);
	else if (!absent)
		units__duration(text, sizeof(text), v, page->live->charset);
	page__put(page, dx, 10, value_look(figures->state, false), absent ? absent : text, true);
}

static void lay_out_latencies(struct page *page, const struct iovab_row *row)
{
	static const struct latency_line lines[] = {
		{ "count", offsetof(struct iovab_latency_figures, count), true },
		{ "sum", offsetof(struct iovab_latency_figures, sum), false },
		{ "min", offsetof(struct iovab_latency_figures, min), false },
		{ "p50", offsetof(struct iovab_latency_figures, p50), false },
		{ "p90", offsetof(struct iovab_latency_figures, p90), false },
		{ "p99", offsetof(struct iovab_latency_figures, p99), false },
		{ "max", offsetof(struct iovab_latency_figures, max), false },
	};
	size_t i;

	page__title(page, "Latency", "of reports and of the pins in them");
	page__put(page, 9, 20, LOOK_STRONG, "report total", true);
	page__put(page, 29, 10, LOOK_STRONG, "interval", true);
	page__put(page, 39, 10, LOOK_STRONG, "pin total", true);
	page__put(page, 49, 10, LOOK_STRONG, "interval", true);
	page__next(page);
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		page__put(page, 1, 8, LOOK_FAINT, lines[i].label, false);
		put_latency(page, 19, &row->total.report_ns, &lines[i]);
		put_latency(page, 39, &row->total.pin_ns, &lines[i]);
		if (row->has_interval) {
			put_latency(page, 29, &row->interval.report_ns, &lines[i]);
			put_latency(page, 49, &row->interval.pin_ns, &lines[i]);
		}
		page__next(page);
	}
}

/* Each mark against the one before it; a report's first mark is in none of them. */
static void lay_out_order(struct page *page, const struct iovab_figures *figures)
{
	__u64 up = figures->marks_ascending;
	__u64 down = figures->marks_descending;
	__u64 over = figures->marks_overlapping;
	__u64 all = up + down + over;
	__u64 largest = up;

	if (down > largest)
		largest = down;
	if (over > largest)
		largest = over;
	charts__bar(page, "ascending", 19, up, largest, all, LOOK_BAR);
	charts__bar(page, "descending", 19, down, largest, all, LOOK_BAR);
	charts__bar(page, "overlapping", 19, over, largest, all, LOOK_BAR);
}

/* What other policies would have pinned for the same marks. */
static void lay_out_what_if(struct page *page, const struct iovab_figures *figures)
{
	char text[IOVAB_UNITS_LEN];
	enum iovab_policy_id p;

	page__put(page, 12, 10, LOOK_STRONG, "windows", true);
	page__put(page, 24, 10, LOOK_STRONG, "pages", true);
	page__put(page, 36, 10, LOOK_STRONG, "repins", true);
	page__next(page);
	for (p = 0; p < IOVAB_POLICIES; p++) {
		const struct iovab_pins *pins = &figures->what_if[p];

		page__put(page, 1, 10, LOOK_FAINT, model__policy_name(p), false);
		page__put(page, 12, 10, LOOK_PLAIN, units__count(text, sizeof(text), pins->windows), true);
		page__put(page, 24, 10, LOOK_PLAIN, units__count(text, sizeof(text), pins->pages), true);
		page__put(page, 36, 10, LOOK_PLAIN, pins->repins_unknown ?
			  units__absent(IOVAB_VALUE_UNKNOWN) :
			  units__count(text, sizeof(text), pins->repins), true);
		page__next(page);
	}
}

static void needs_tier(struct page *page, const char *tier)
{
	char text[64];

	snprintf(text, sizeof(text), "not measured in this tier: start with --tier %s", tier);
	page__add(page, 1, LOOK_FAINT, text);
	page__next(page);
}

static void lay_out_shapes(struct page *page, const struct iovab_row *row)
{
	bool interval = page->live->list.scope == COLUMNS_INTERVAL;
	const struct iovab_figures *figures = interval ? &row->interval : &row->total;
	const char *scope = interval ? "of the last interval" : "in total";
	enum iovab_tier tier = page->live->tier;

	if (interval && !row->has_interval) {
		page__title(page, "Shapes", "no interval yet");
		return;
	}
	page__title(page, "Reports by latency", scope);
	charts__latency(page, figures->report_hist, CHART_LINES);
	page__title(page, "Pins by latency", scope);
	charts__latency(page, figures->pin_hist, CHART_LINES);
	page__title(page, "Windows by density", scope);
	if (tier >= IOVAB_TIER_DENSITY)
		charts__density(page, figures->density_hist);
	else
		needs_tier(page, "density");
	page__title(page, "Order of marks", scope);
	if (tier >= IOVAB_TIER_SETS)
		lay_out_order(page, figures);
	else
		needs_tier(page, "sets");
	page__title(page, "What other policies would have pinned", scope);
	if (tier >= IOVAB_TIER_SETS)
		lay_out_what_if(page, figures);
	else
		needs_tier(page, "sets");
	page__title(page, "Runs of adjacent marks", scope);
	if (tier >= IOVAB_TIER_SETS)
		charts__runs(page, figures->run_hist);
	else
		needs_tier(page, "sets");
}

static void lay_out_losses(struct page *page, const struct iovab_losses *losses)
{
	static const struct iovab_losses none;

	if (!memcmp(losses, &none, sizeof(none)))
		return;
	page__title(page, "Events lost", "of all devices: figures may be too small");
	losses__lay_out(page, losses, false);
}

/* The right column starts where the left one did; the page ends where the longer one does. */
static void lay_out_columns(struct page *page, const struct iovab_row *row)
{
	int x = page->x, width = page->width, top = page->y;

	page->width = LEFT_WIDTH;
	lay_out_identity(page, row);
	lay_out_figures(page, row);
	lay_out_latencies(page, row);

	page->x = x + LEFT_WIDTH + GAP;
	page->width = width - LEFT_WIDTH - GAP;
	if (page->width > CHART_MAX_WIDTH)
		page->width = CHART_MAX_WIDTH;	/* counts stay near their labels */
	page->y = top;
	lay_out_shapes(page, row);

	page->x = x;
	page->width = width;
	page->y = page->end;
}

static void lay_out(struct page *page, const struct iovab_snapshot *snapshot)
{
	const struct iovab_row *row = find_row(snapshot, page->live->detail_id);

	if (!row) {
		page__add(page, 1, LOOK_PLAIN, "This device's row is not kept any more.");
		page__next(page);
		return;
	}
	lay_out_losses(page, &snapshot->losses);
	if (page->width >= TWO_COLUMNS - 2) {
		page__title(page, "Where the dirty pages are", "share of each part of IOVA space");
		charts__heat(page, row);
		lay_out_columns(page, row);
		return;
	}
	lay_out_identity(page, row);
	page__title(page, "Where the dirty pages are", "share of each part of IOVA space");
	charts__heat(page, row);
	lay_out_figures(page, row);
	lay_out_latencies(page, row);
	lay_out_shapes(page, row);
}

void detail__draw(struct live *live, const struct iovab_snapshot *snapshot)
{
	page__show(live, table__draw_header(live, snapshot), snapshot, lay_out);
}
