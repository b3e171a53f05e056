// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "columns.h"
#include "convergence.h"

static const struct iovab_figures *figures_of(const struct iovab_row *row,
					      enum columns_scope scope)
{
	return scope == COLUMNS_INTERVAL ? &row->interval : &row->total;
}

/* --- strings --- */

static void put_string(char *buf, size_t size, const char *raw, size_t raw_size,
		       enum text_charset cs)
{
	if (raw[0])
		text__escape(buf, size, raw, raw_size, cs);
	else
		snprintf(buf, size, "%s", units__absent(IOVAB_VALUE_NOT_MEASURED));
}

static struct columns_key string_key(const char *raw)
{
	enum iovab_value_state state = raw[0] ? IOVAB_VALUE_KNOWN : IOVAB_VALUE_NOT_MEASURED;

	return (struct columns_key){ .state = state, .text = raw };
}

#define STRING_COLUMN(field)							\
static void format_##field(char *buf, size_t size, const struct iovab_row *row,	\
			   enum columns_scope scope, enum text_charset cs)	\
{										\
	put_string(buf, size, row->field, sizeof(row->field), cs);		\
}										\
static struct columns_key key_##field(const struct iovab_row *row,		\
				      enum columns_scope scope)			\
{										\
	return string_key(row->field);						\
}

STRING_COLUMN(driver)
STRING_COLUMN(vfio)
STRING_COLUMN(comm)
STRING_COLUMN(vm)

/* A HWPT of several devices has no name, but a number. */
static void format_device(char *buf, size_t size, const struct iovab_row *row,
			  enum columns_scope scope, enum text_charset cs)
{
	if (row->device[0])
		text__escape_field(buf, size, row->device, cs);
	else if (row->hwpt && row->n_devices)
		snprintf(buf, size, "hwpt %u (%u)", row->hwpt, row->n_devices);
	else if (row->hwpt)
		snprintf(buf, size, "hwpt %u", row->hwpt);
	else
		snprintf(buf, size, "%s", units__absent(IOVAB_VALUE_UNKNOWN));
}

static struct columns_key key_device(const struct iovab_row *row, enum columns_scope scope)
{
	return string_key(row->device);
}

const char *columns__state(const struct iovab_row *row)
{
	if (row->stale)
		return "stale";
	if (row->reports_in_flight)
		return "live";
	if (!row->has_interval)
		return "new";
	return row->idle ? "idle" : "live";
}

static void format_state(char *buf, size_t size, const struct iovab_row *row,
			 enum columns_scope scope, enum text_charset cs)
{
	snprintf(buf, size, "%s", columns__state(row));
}

/* What is alive sorts first: live, new, idle, stale. */
static struct columns_key key_state(const struct iovab_row *row, enum columns_scope scope)
{
	static const char order[] = "lnis";

	return (struct columns_key){
		.state = IOVAB_VALUE_KNOWN,
		.number = (double)(strchr(order, columns__state(row)[0]) - order),
	};
}

static void format_phase(char *buf, size_t size, const struct iovab_row *row,
			 enum columns_scope scope, enum text_charset cs)
{
	const char *name = model__phase_name(row->phase);

	snprintf(buf, size, "%s", name ? name : units__absent(IOVAB_VALUE_UNKNOWN));
}

static struct columns_key key_phase(const struct iovab_row *row, enum columns_scope scope)
{
	const char *name = model__phase_name(row->phase);

	return string_key(name ? name : "");
}

static void format_client(char *buf, size_t size, const struct iovab_row *row,
			  enum columns_scope scope, enum text_charset cs)
{
	const char *name = model__client_name(row->client);

	snprintf(buf, size, "%s", name ? name : units__absent(IOVAB_VALUE_UNKNOWN));
}

static struct columns_key key_client(const struct iovab_row *row, enum columns_scope scope)
{
	const char *name = model__client_name(row->client);

	return string_key(name ? name : "");
}

static void format_converges(char *buf, size_t size, const struct iovab_row *row,
			     enum columns_scope scope, enum text_charset cs)
{
	snprintf(buf, size, "%s", convergence__short(&row->migration));
}

/* What hinders a migration sorts first; only that is more than zero. */
static struct columns_key key_converges(const struct iovab_row *row, enum columns_scope scope)
{
	static const double order[] = {
		[IOVAB_VERDICT_CONVERGES] = -2, [IOVAB_VERDICT_EARLY] = -1, [IOVAB_VERDICT_ENDED] = -3,
	};
	const struct iovab_migration *m = &row->migration;

	if (!m->n || !rounds__verdict_name(m->verdict))
		return (struct columns_key){ .state = IOVAB_VALUE_NOT_MEASURED };
	return (struct columns_key){
		.state = IOVAB_VALUE_KNOWN,
		.number = m->verdict == IOVAB_VERDICT_STUCK ? m->hinders : order[m->verdict],
	};
}

/* --- numbers --- */

static struct columns_key value_key(struct iovab_value v)
{
	return (struct columns_key){ .state = v.state, .number = (double)v.v };
}

static struct columns_key ratio_key(struct iovab_ratio r)
{
	return (struct columns_key){ .state = r.state, .number = r.v };
}

#define VALUE_COLUMN(name, value, kind)						\
static void format_##name(char *buf, size_t size, const struct iovab_row *row,	\
			  enum columns_scope scope, enum text_charset cs)	\
{										\
	units__value(buf, size, value, kind, cs);				\
}										\
static struct columns_key key_##name(const struct iovab_row *row,		\
				     enum columns_scope scope)			\
{										\
	return value_key(value);						\
}

#define RATIO_COLUMN(name, ratio, print)					\
static void format_##name(char *buf, size_t size, const struct iovab_row *row,	\
			  enum columns_scope scope, enum text_charset cs)	\
{										\
	const char *absent = units__absent((ratio).state);			\
										\
	if (absent)								\
		snprintf(buf, size, "%s", absent);				\
	else									\
		print(buf, size, (ratio).v);					\
}										\
static struct columns_key key_##name(const struct iovab_row *row,		\
				     enum columns_scope scope)			\
{										\
	return ratio_key(ratio);						\
}

#define KNOWN(n)	((struct iovab_value){ IOVAB_VALUE_KNOWN, (n) })
#define FIGURE(i)	(figures_of(row, scope)->fig[IOVAB_FIG_##i])
#define RATIO(r)	(figures_of(row, scope)->r)
#define LATENCY(l, which) \
	((struct iovab_value){ figures_of(row, scope)->l.state, figures_of(row, scope)->l.which })

VALUE_COLUMN(pid, KNOWN(row->pid), UNITS_ID)
VALUE_COLUMN(inflight, KNOWN(row->reports_in_flight), UNITS_COUNT)
VALUE_COLUMN(pinned_now, KNOWN(row->pages_pinned_now), UNITS_COUNT)
VALUE_COLUMN(reports, FIGURE(REPORTS), UNITS_COUNT)
VALUE_COLUMN(errors, FIGURE(REPORT_ERRORS), UNITS_COUNT)
VALUE_COLUMN(p50, LATENCY(report_ns, p50), UNITS_NS)
VALUE_COLUMN(p99, LATENCY(report_ns, p99), UNITS_NS)
VALUE_COLUMN(max, LATENCY(report_ns, max), UNITS_NS)
VALUE_COLUMN(windows, FIGURE(WINDOWS), UNITS_COUNT)
VALUE_COLUMN(repins, FIGURE(REPINS), UNITS_COUNT)
VALUE_COLUMN(pinned, FIGURE(PAGES_PINNED), UNITS_COUNT)
VALUE_COLUMN(pin_p99, LATENCY(pin_ns, p99), UNITS_NS)
VALUE_COLUMN(pin_failures, FIGURE(PIN_FAILURES), UNITS_COUNT)
VALUE_COLUMN(dirty, FIGURE(DIRTY_BYTES), UNITS_BYTES)
VALUE_COLUMN(marks, FIGURE(SET_CALLS), UNITS_COUNT)
VALUE_COLUMN(marked, FIGURE(MARKED_BYTES), UNITS_BYTES)
VALUE_COLUMN(redundant, FIGURE(REDUNDANT_BYTES), UNITS_BYTES)
VALUE_COLUMN(lost, FIGURE(LOST_BYTES), UNITS_BYTES)
VALUE_COLUMN(overshoot, FIGURE(OVERSHOOT_BYTES), UNITS_BYTES)
RATIO_COLUMN(clean, RATIO(clean_share), units__percent)
RATIO_COLUMN(density, RATIO(density), units__percent)
RATIO_COLUMN(dirty_rate, row->dirty_bytes_per_s, units__bytes_per_second)

/* --- the table --- */

#define LEFT	.right = false
#define RIGHT	.right = true, .descending = true
#define COLUMN(id, cells, most, prio, lowest_tier)				\
	.name = #id, .width = cells, .max_width = most, .priority = prio,	\
	.tier = IOVAB_TIER_##lowest_tier, .format = format_##id, .key = key_##id

static const struct column columns[] = {
	{ COLUMN(device, 12, 24, 0, WINDOWS), LEFT, .title = "DEVICE",
	  .help = "the kernel's name of the device, or a HWPT's number and how many devices it has" },
	{ COLUMN(state, 5, 5, 0, WINDOWS), LEFT, .title = "STATE",
	  .help = "live; idle: no report in the interval; new: first seen; stale: its owner is gone" },
	{ COLUMN(driver, 13, 16, 18, WINDOWS), LEFT, .title = "DRIVER",
	  .help = "driver of the device" },
	{ COLUMN(vfio, 6, 8, 24, WINDOWS), LEFT, .title = "VFIO",
	  .help = "the device's name below /dev/vfio/devices" },
	{ COLUMN(client, 7, 7, 26, WINDOWS), LEFT, .title = "CLIENT",
	  .help = "who asks for reports: vfio, iommufd or the reference" },
	{ COLUMN(phase, 9, 9, 20, WINDOWS), LEFT, .title = "PHASE",
	  .help = "of the migration, when the last report began: precopy or stop-copy" },
	{ COLUMN(converges, 5, 5, 13, DENSITY), LEFT, .descending = true, .bad = true,
	  .title = "CONV",
	  .help = "does its migration converge: yes, NO, (no): another device is why, early, ended" },
	{ COLUMN(pid, 7, 7, 9, WINDOWS), .right = true, .title = "PID",
	  .help = "process that owns the device" },
	{ COLUMN(comm, 15, 15, 12, WINDOWS), LEFT, .title = "COMMAND",
	  .help = "name of that process" },
	{ COLUMN(vm, 8, 20, 10, WINDOWS), LEFT, .title = "VM",
	  .help = "name of the virtual machine, as its command line gives it" },
	{ COLUMN(inflight, 3, 3, 19, WINDOWS), RIGHT, .title = "RUN",
	  .help = "reports under way now" },
	{ COLUMN(reports, 7, 7, 4, WINDOWS), RIGHT, .title = "REPORTS",
	  .help = "reports that ended" },
	{ COLUMN(errors, 6, 6, 11, WINDOWS), RIGHT, .title = "ERRORS", .bad = true,
	  .help = "reports that failed" },
	{ COLUMN(p50, 8, 8, 17, WINDOWS), RIGHT, .title = "P50",
	  .help = "half of the reports took less time" },
	{ COLUMN(p99, 8, 8, 6, WINDOWS), RIGHT, .title = "P99",
	  .help = "99 % of the reports took less time" },
	{ COLUMN(max, 8, 8, 16, WINDOWS), RIGHT, .title = "MAX",
	  .help = "the longest report" },
	{ COLUMN(windows, 7, 7, 2, WINDOWS), RIGHT, .title = "WINDOWS",
	  .help = "times that the kernel pinned a piece of the bitmap" },
	{ COLUMN(clean, 7, 7, 3, DENSITY), RIGHT, .title = "CLEAN",
	  .help = "share of the windows in which nothing was dirty" },
	{ COLUMN(repins, 7, 7, 30, WINDOWS), RIGHT, .title = "REPINS",
	  .help = "windows that had been pinned before in the same report" },
	{ COLUMN(pinned, 7, 7, 23, WINDOWS), RIGHT, .title = "PINNED",
	  .help = "pages of bitmap pinned" },
	{ COLUMN(pinned_now, 6, 6, 25, WINDOWS), RIGHT, .title = "NOW",
	  .help = "pages of bitmap pinned now" },
	{ COLUMN(pin_p99, 8, 8, 27, WINDOWS), RIGHT, .title = "PIN P99",
	  .help = "99 % of the pins took less time" },
	{ COLUMN(pin_failures, 6, 6, 21, WINDOWS), RIGHT, .title = "PINERR", .bad = true,
	  .help = "pins that failed" },
	{ COLUMN(dirty, 8, 8, 5, DENSITY), RIGHT, .title = "DIRTY",
	  .help = "memory that became dirty in the bitmaps" },
	{ COLUMN(dirty_rate, 10, 10, 8, DENSITY), RIGHT, .title = "DIRTY/S",
	  .help = "the same a second, in the last interval" },
	{ COLUMN(density, 8, 8, 14, DENSITY), RIGHT, .title = "DENSITY",
	  .help = "dirty memory / memory that was asked about" },
	{ COLUMN(marks, 7, 7, 28, SETS), RIGHT, .title = "MARKS",
	  .help = "calls that marked pages" },
	{ COLUMN(marked, 8, 8, 22, SETS), RIGHT, .title = "MARKED",
	  .help = "memory that the calls marked, each time counted" },
	{ COLUMN(redundant, 8, 8, 15, SETS), RIGHT, .title = "REDUND",
	  .help = "memory marked again" },
	{ COLUMN(lost, 8, 8, 7, SETS), RIGHT, .title = "LOST", .bad = true,
	  .help = "memory marked whose bit did not reach the bitmap" },
	{ COLUMN(overshoot, 8, 8, 29, SETS), RIGHT, .title = "OVER", .bad = true,
	  .help = "memory marked outside the range of the report" },
};

#define N_COLUMNS	(sizeof(columns) / sizeof(columns[0]))

_Static_assert(N_COLUMNS <= COLUMNS_MAX, "a layout can hold them all");

size_t columns__count(void)
{
	return N_COLUMNS;
}

const struct column *columns__at(size_t i)
{
	return i < N_COLUMNS ? &columns[i] : NULL;
}

const struct column *columns__find(const char *name)
{
	size_t i;

	for (i = 0; i < N_COLUMNS; i++)
		if (!strcmp(columns[i].name, name))
			return &columns[i];
	return NULL;
}

/* --- layout --- */

static unsigned int layout_width(const struct columns_layout *l)
{
	unsigned int width = 0;
	size_t i;

	for (i = 0; i < l->n; i++)
		width += l->cols[i].width + (i > 0);
	return width;
}

/* Takes the least important column out. Returns false if all must stay. */
static bool drop_one(struct columns_layout *l, const struct column *keep)
{
	size_t i, worst = l->n;

	for (i = 0; i < l->n; i++) {
		const struct column *c = l->cols[i].column;

		if (c == keep || !c->priority)
			continue;
		if (worst == l->n || c->priority > l->cols[worst].column->priority)
			worst = i;
	}
	if (worst == l->n)
		return false;
	l->n--;
	memmove(&l->cols[worst], &l->cols[worst + 1], (l->n - worst) * sizeof(l->cols[0]));
	return true;
}

/* Gives @room cells away, one at a time from the left, to those that can use them. */
static void widen(struct columns_layout *l, unsigned int room)
{
	bool given = true;
	size_t i;

	while (room && given) {
		given = false;
		for (i = 0; i < l->n && room; i++) {
			if (l->cols[i].width >= l->cols[i].column->max_width)
				continue;
			l->cols[i].width++;
			room--;
			given = true;
		}
	}
}

void columns__fit(struct columns_layout *layout, unsigned int width, enum iovab_tier tier,
		  const struct column *keep)
{
	size_t i;

	layout->n = 0;
	for (i = 0; i < N_COLUMNS; i++) {
		if (columns[i].tier > tier && &columns[i] != keep)
			continue;
		layout->cols[layout->n].column = &columns[i];
		layout->cols[layout->n++].width = columns[i].width;
	}
	while (layout_width(layout) > width && drop_one(layout, keep))
		;
	if (layout_width(layout) < width)
		widen(layout, width - layout_width(layout));
}

/* --- order --- */

static int compare_keys(const struct columns_key *a, const struct columns_key *b)
{
	if (a->text && b->text)
		return strcmp(a->text, b->text);
	return (a->number > b->number) - (a->number < b->number);
}

int columns__compare(const struct column *column, enum columns_scope scope, bool reverse,
		     const struct iovab_row *a, const struct iovab_row *b)
{
	struct columns_key ka = column->key(a, scope), kb = column->key(b, scope);
	bool has_a = ka.state == IOVAB_VALUE_KNOWN, has_b = kb.state == IOVAB_VALUE_KNOWN;
	int order = 0;

	if (has_a != has_b)
		return has_a ? -1 : 1;
	if (has_a)
		order = compare_keys(&ka, &kb);
	if (column->descending != reverse)
		order = -order;
	return order ? order : (a->id > b->id) - (a->id < b->id);
}

struct sort_by {
	const struct column *column;
	enum columns_scope scope;
	bool reverse;
};

static int compare_pointers(const void *a, const void *b, void *arg)
{
	const struct sort_by *by = arg;

	return columns__compare(by->column, by->scope, by->reverse,
				*(const struct iovab_row *const *)a,
				*(const struct iovab_row *const *)b);
}

void columns__sort(const struct iovab_row **rows, size_t n, const struct column *column,
		   enum columns_scope scope, bool reverse)
{
	struct sort_by by = { column, scope, reverse };

	if (n > 1)
		qsort_r(rows, n, sizeof(*rows), compare_pointers, &by);
}

bool columns__row_is_bad(const struct iovab_row *row)
{
	return row->total.fig[IOVAB_FIG_LOST_BYTES].v || row->total.fig[IOVAB_FIG_STRAY_BITS].v;
}

bool columns__is_bad(const struct column *column, const struct iovab_row *row,
		     enum columns_scope scope)
{
	struct columns_key key;

	if (!column->bad)
		return false;
	key = column->key(row, scope);
	return key.state == IOVAB_VALUE_KNOWN && key.number > 0;
}
