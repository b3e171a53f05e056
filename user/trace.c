// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tracks. A device (a row of the model) has a track of slices and, below it,
 * one for each counter. A slice is a report, and inside it are its windows.
 * Slices on one track must nest, but two threads may report on one device at
 * once: then the second report goes to a *lane* more, a track of its own below
 * the device's. Reports come in the order of their ends, so a report has room in a
 * lane if it began after the last one there ended.
 *
 * Windows come before the report they belong to, and wait for it. One whose
 * report never comes (its event was dropped) is written at the end, by itself.
 *
 * The last window of a report ends where the bitmap is freed, which is after
 * the moment that counts as the report's end: here it ends with the report.
 *
 * A packet is written as soon as it is known, each as a file of one packet: such
 * files one behind the other are the file of all.
 */
#include "trace.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"
#include "columns.h"
#include "model.h"
#include "text.h"
#include "trace.pb-c.h"

/* The format's numbers. */
enum { CLOCK_ID_REALTIME = 1, CLOCK_ID_MONOTONIC = 3 };
enum { EVENT_SLICE_BEGIN = 1, EVENT_SLICE_END = 2, EVENT_COUNTER = 4 };
enum { UNIT_COUNT = 2, UNIT_BYTES = 3 };

#define SEQUENCE	1
#define MAX_LANES	64

static const struct {
	const char *name, *unit_name;
	unsigned int unit;
} counters[] = {
	{ "dirty rate", "bytes/s", UNIT_BYTES },
	{ "pages pinned", "pages", UNIT_COUNT },
	{ "lost", "bytes", UNIT_BYTES },
};

#define COUNTERS	(sizeof(counters) / sizeof(counters[0]))

struct device {
	__u32 row_id;
	char name[TEXT_ESCAPED_LEN];
	unsigned int n_lanes;
	__u64 lane_end_ns[MAX_LANES];
	bool declared[COUNTERS];
};

struct trace {
	FILE *out;
	unsigned char *buffer;
	size_t buffer_size;
	int err;		/* -errno */

	struct device *devices;
	size_t n_devices, max_devices;
	struct iovab_window_event *waiting;	/* for their report */
	size_t n_waiting, max_waiting;
};

/* --- packets --- */

static void put_packet(struct trace *t, Iovab__Trace__Packet *packet)
{
	Iovab__Trace__File file = IOVAB__TRACE__FILE__INIT;
	size_t size;

	packet->has_sequence = 1;
	packet->sequence = SEQUENCE;
	file.n_packet = 1;
	file.packet = &packet;
	size = iovab__trace__file__get_packed_size(&file);
	if (size > t->buffer_size) {
		unsigned char *larger = realloc(t->buffer, 2 * size);

		if (!larger) {
			t->err = -ENOMEM;
			return;
		}
		t->buffer = larger;
		t->buffer_size = 2 * size;
	}
	iovab__trace__file__pack(&file, t->buffer);
	if (fwrite(t->buffer, 1, size, t->out) != size && !t->err)
		t->err = errno ? -errno : -EIO;
}

static void put_clocks(struct trace *t, const struct iovab_facts *f)
{
	Iovab__Trace__Packet packet = IOVAB__TRACE__PACKET__INIT;
	Iovab__Trace__ClockSnapshot snapshot = IOVAB__TRACE__CLOCK_SNAPSHOT__INIT;
	Iovab__Trace__ClockSnapshot__Clock monotonic = IOVAB__TRACE__CLOCK_SNAPSHOT__CLOCK__INIT;
	Iovab__Trace__ClockSnapshot__Clock realtime = IOVAB__TRACE__CLOCK_SNAPSHOT__CLOCK__INIT;
	Iovab__Trace__ClockSnapshot__Clock *clocks[] = { &monotonic, &realtime };

	monotonic.has_id = monotonic.has_timestamp = 1;
	monotonic.id = CLOCK_ID_MONOTONIC;
	monotonic.timestamp = f->time_ns;
	realtime.has_id = realtime.has_timestamp = 1;
	realtime.id = CLOCK_ID_REALTIME;
	realtime.timestamp = (__u64)f->wall.tv_sec * 1000000000ULL + (__u64)f->wall.tv_nsec;
	snapshot.n_clock = 2;
	snapshot.clock = clocks;
	snapshot.has_primary = 1;
	snapshot.primary = CLOCK_ID_MONOTONIC;
	packet.clocks = &snapshot;
	put_packet(t, &packet);
}

static void put_track(struct trace *t, __u64 uuid, __u64 parent, const char *name,
		      Iovab__Trace__Counter *counter)
{
	Iovab__Trace__Packet packet = IOVAB__TRACE__PACKET__INIT;
	Iovab__Trace__Track track = IOVAB__TRACE__TRACK__INIT;

	track.has_uuid = 1;
	track.uuid = uuid;
	track.name = (char *)name;
	track.has_parent = parent != 0;
	track.parent = parent;
	track.counter = counter;
	packet.track = &track;
	put_packet(t, &packet);
}

/* Arguments of a slice, as they are collected. */
struct arguments {
	Iovab__Trace__Argument values[20];
	Iovab__Trace__Argument *list[20];
	size_t n;
};

static Iovab__Trace__Argument *next_argument(struct arguments *a, const char *name)
{
	Iovab__Trace__Argument *v = &a->values[a->n];

	iovab__trace__argument__init(v);
	v->name = (char *)name;
	a->list[a->n++] = v;
	return v;
}

static void add_number(struct arguments *a, const char *name, __u64 value)
{
	Iovab__Trace__Argument *v = next_argument(a, name);

	v->has_uint_value = 1;
	v->uint_value = value;
}

static void add_address(struct arguments *a, const char *name, __u64 value)
{
	Iovab__Trace__Argument *v = next_argument(a, name);

	v->has_address = 1;
	v->address = value;
}

static void put_event(struct trace *t, Iovab__Trace__Event *event, unsigned int type, __u64 track,
		      __u64 ns)
{
	Iovab__Trace__Packet packet = IOVAB__TRACE__PACKET__INIT;

	event->has_type = event->has_track = 1;
	event->type = type;
	event->track = track;
	packet.has_timestamp = packet.has_clock_id = 1;
	packet.timestamp = ns;
	packet.clock_id = CLOCK_ID_MONOTONIC;
	packet.event = event;
	put_packet(t, &packet);
}

static void put_begin(struct trace *t, __u64 track, __u64 ns, const char *name,
		      struct arguments *a)
{
	Iovab__Trace__Event event = IOVAB__TRACE__EVENT__INIT;
	char *category = "iovab";

	event.name = (char *)name;
	event.n_category = 1;
	event.category = &category;
	event.n_argument = a->n;
	event.argument = a->list;
	put_event(t, &event, EVENT_SLICE_BEGIN, track, ns);
}

static void put_end(struct trace *t, __u64 track, __u64 ns)
{
	Iovab__Trace__Event event = IOVAB__TRACE__EVENT__INIT;

	put_event(t, &event, EVENT_SLICE_END, track, ns);
}

/* --- devices and their tracks --- */

static __u64 lane_uuid(const struct device *d, unsigned int lane)
{
	return ((__u64)d->row_id << 16) + 1 + lane;
}

static __u64 counter_uuid(const struct device *d, unsigned int counter)
{
	return ((__u64)d->row_id << 16) + 0x8000 + counter;
}

static void name_device(struct device *d, const struct iovab_row *row)
{
	char device[COLUMNS_CELL_LEN], vm[TEXT_ESCAPED_LEN];

	columns__find("device")->format(device, sizeof(device), row, COLUMNS_TOTAL, TEXT_UTF8);
	text__escape_field(vm, sizeof(vm), row->vm, TEXT_UTF8);
	snprintf(d->name, sizeof(d->name), "%.300s%s%.300s  pid %u", device, vm[0] ? "  VM " : "", vm,
		 row->pid);
}

static struct device *find_device(struct trace *t, __u32 row_id)
{
	size_t low = 0, high = t->n_devices;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (t->devices[middle].row_id < row_id)
			low = middle + 1;
		else
			high = middle;
	}
	return low < t->n_devices && t->devices[low].row_id == row_id ? &t->devices[low] : NULL;
}

/* Rows come with ascending ids, so a new one is the last. NULL: no memory. */
static struct device *device_of(struct trace *t, const struct iovab_row *row)
{
	struct device *d = find_device(t, row->id);

	if (d)
		return d;
	if (!array__grow(&t->devices, t->n_devices, &t->max_devices, sizeof(*t->devices))) {
		t->err = -ENOMEM;
		return NULL;
	}
	d = &t->devices[t->n_devices++];
	memset(d, 0, sizeof(*d));
	d->row_id = row->id;
	d->n_lanes = 1;
	name_device(d, row);
	put_track(t, lane_uuid(d, 0), 0, d->name, NULL);
	return d;
}

static struct device *device_of_source(struct trace *t, const struct iovab_snapshot *s,
				       __u32 source_id)
{
	size_t i;

	for (i = s->n_rows; source_id && i--;)
		if (s->rows[i].source_id == source_id)
			return device_of(t, &s->rows[i]);
	return NULL;
}

/* A lane in which nothing is under way at @start_ns; it is then taken until @end_ns. */
static __u64 take_lane(struct trace *t, struct device *d, __u64 start_ns, __u64 end_ns)
{
	unsigned int lane = 0;
	char name[TEXT_ESCAPED_LEN + 32];

	while (lane < d->n_lanes && d->lane_end_ns[lane] > start_ns)
		lane++;
	if (lane == d->n_lanes && lane < MAX_LANES) {
		d->n_lanes++;
		snprintf(name, sizeof(name), "at the same time (%u)", lane + 1);
		put_track(t, lane_uuid(d, lane), lane_uuid(d, 0), name, NULL);
	}
	if (lane == MAX_LANES)
		lane--;
	d->lane_end_ns[lane] = end_ns;
	return lane_uuid(d, lane);
}

/* --- slices --- */

static void put_window(struct trace *t, __u64 track, const struct iovab_window_event *w,
		       __u64 first_ns, __u64 last_ns)
{
	struct arguments a = {};
	__u64 start = w->start_ns, end = w->end_ns;

	start = start < first_ns ? first_ns : start > last_ns ? last_ns : start;
	end = end < start ? start : end > last_ns ? last_ns : end;
	add_address(&a, "iova", w->iova);
	add_number(&a, "length", w->length);
	add_number(&a, "page_size", w->page_size);
	add_number(&a, "pages_pinned", w->pages);
	if (!w->scan_skipped)
		add_number(&a, "dirty_pages", w->dirty_pages);
	put_begin(t, track, start, w->scan_skipped || w->dirty_pages ? "window" : "clean window", &a);
	put_end(t, track, end);
}

/* Those that waited for the report, in the order in which they came. */
static void put_windows_of(struct trace *t, __u64 track, const struct iovab_report_event *r)
{
	__u64 from = r->start_ns;
	size_t i, kept = 0;

	for (i = 0; i < t->n_waiting; i++) {
		const struct iovab_window_event *w = &t->waiting[i];

		/* before for_each the source of a window is not known */
		if (w->report != r->report ||
		    (w->source_id && w->source_id != r->source_id)) {
			t->waiting[kept++] = *w;
			continue;
		}
		put_window(t, track, w, from, r->end_ns);
		from = w->end_ns < from ? from : w->end_ns > r->end_ns ? r->end_ns : w->end_ns;
	}
	t->n_waiting = kept;
}

static void put_report(struct trace *t, struct device *d, const struct iovab_report_event *r,
		       enum iovab_tier tier)
{
	__u64 end = r->end_ns < r->start_ns ? r->start_ns : r->end_ns;
	__u64 track = take_lane(t, d, r->start_ns, end);
	const char *phase = model__phase_name(r->phase);
	struct arguments a = {};

	add_address(&a, "iova", r->iova);
	add_number(&a, "length", r->length);
	add_number(&a, "page_size", r->page_size);
	add_number(&a, "windows", r->windows);
	add_number(&a, "repins", r->repins);
	add_number(&a, "pages_pinned", r->pages_pinned);
	add_number(&a, "pin_failures", r->pin_failures);
	if (r->error)
		add_number(&a, "error", r->error);
	if (tier >= IOVAB_TIER_DENSITY && !r->scan_skipped) {
		add_number(&a, "windows_clean", r->windows_clean);
		add_number(&a, "dirty_pages", r->dirty_pages);
	}
	if (tier >= IOVAB_TIER_SETS) {
		add_number(&a, "set_calls", r->set_calls);
		add_number(&a, "marked_pages", r->marked_pages);
		add_number(&a, "lost_pages", r->lost_pages);
		add_number(&a, "overshoot_pages", r->overshoot_pages);
		add_number(&a, "stray_bits", r->stray_bits);
	}
	if (phase)
		next_argument(&a, "phase")->string_value = (char *)phase;
	put_begin(t, track, r->start_ns, r->error ? "failed report" : "report", &a);
	put_windows_of(t, track, r);
	put_end(t, track, end);
}

static void keep_windows(struct trace *t, const struct iovab_facts *f)
{
	size_t i;

	for (i = 0; i < f->n_windows; i++) {
		if (!array__grow(&t->waiting, t->n_waiting, &t->max_waiting, sizeof(*t->waiting))) {
			t->err = -ENOMEM;
			return;
		}
		t->waiting[t->n_waiting++] = f->windows[i];
	}
}

/* --- counters --- */

static void put_value(struct trace *t, struct device *d, unsigned int counter, __u64 ns, __u64 value)
{
	Iovab__Trace__Event event = IOVAB__TRACE__EVENT__INIT;
	Iovab__Trace__Counter unit = IOVAB__TRACE__COUNTER__INIT;

	if (!d->declared[counter]) {
		d->declared[counter] = true;
		unit.has_unit = 1;
		unit.unit = counters[counter].unit;
		unit.unit_name = (char *)counters[counter].unit_name;
		put_track(t, counter_uuid(d, counter), lane_uuid(d, 0), counters[counter].name, &unit);
	}
	event.has_value = 1;
	event.value = value > INT64_MAX ? INT64_MAX : (int64_t)value;
	put_event(t, &event, EVENT_COUNTER, counter_uuid(d, counter), ns);
}

static void put_counters(struct trace *t, const struct iovab_snapshot *s, __u64 ns)
{
	size_t i;

	for (i = 0; i < s->n_rows && !t->err; i++) {
		const struct iovab_row *row = &s->rows[i];
		struct iovab_value lost = row->total.fig[IOVAB_FIG_LOST_BYTES];
		struct device *d = row->has_interval ? device_of(t, row) : NULL;

		if (!d)
			continue;
		if (row->dirty_bytes_per_s.state == IOVAB_VALUE_KNOWN)
			put_value(t, d, 0, ns, (__u64)row->dirty_bytes_per_s.v);
		put_value(t, d, 1, ns, row->pages_pinned_now);
		if (lost.state == IOVAB_VALUE_KNOWN)
			put_value(t, d, 2, ns, lost.v);
	}
}

/* --- all --- */

static void put_facts(struct trace *t, const struct iovab_facts *f, const struct iovab_snapshot *s)
{
	size_t i;

	keep_windows(t, f);
	for (i = 0; i < f->n_reports && !t->err; i++) {
		struct device *d = device_of_source(t, s, f->reports[i].source_id);

		if (d)
			put_report(t, d, &f->reports[i],
				   iovab_report_tier(&f->reports[i], f->tier));
	}
	put_counters(t, s, f->time_ns);
}

static void put_lonely_windows(struct trace *t, const struct iovab_snapshot *s)
{
	size_t i;

	for (i = 0; s && i < t->n_waiting && !t->err; i++) {
		const struct iovab_window_event *w = &t->waiting[i];
		struct device *d = device_of_source(t, s, w->source_id);

		if (d)
			put_window(t, take_lane(t, d, w->start_ns, w->end_ns), w, w->start_ns, w->end_ns);
	}
}

static int go_through(struct trace *t, struct replay *r, struct model *m, struct iovab_error *e)
{
	const struct iovab_snapshot *s = NULL;
	const struct iovab_facts *f;
	bool begun = false;

	while (!t->err && (f = replay__next(r, e))) {
		s = model__update(m, f);
		if (!s)
			return error__set(e, IOVAB_EXIT_FAILURE, "out of memory");
		if (!begun)
			put_clocks(t, f);
		begun = true;
		put_facts(t, f, s);
	}
	if (e->code)
		return -1;
	put_lonely_windows(t, s);
	return t->err ? error__set(e, IOVAB_EXIT_FAILURE, "cannot write the trace: %s",
				   strerror(-t->err)) : 0;
}

int trace__write(FILE *out, struct replay *r, struct iovab_error *e)
{
	struct trace t = { .out = out };
	struct model *m = model__new();
	int err = m ? go_through(&t, r, m, e) :
		      error__set(e, IOVAB_EXIT_FAILURE, "out of memory");

	model__free(m);
	free(t.buffer);
	free(t.devices);
	free(t.waiting);
	return err;
}
