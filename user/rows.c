// SPDX-License-Identifier: GPL-2.0-only
/*
 * The rows, in order of appearance, and beside each the counters of the facts
 * before (an entry; rows[i] and entries[i] belong together). A source is found
 * again by its id, and is the same one only if its key is the same and none of
 * its counters went backwards: else the programs were loaded anew, the old row
 * becomes stale, and a new one begins.
 *
 * Intervals. A source that was not in the facts before began after them, for
 * the BPF maps start empty: all that it counts belongs to this interval. But of
 * those in the first facts nobody knows when they began, and they have no
 * interval. Neither has a source that was missing for a while and came back.
 *
 * Nothing that was counted leaves the sum: a source that vanishes keeps its row,
 * as stale. There may be MODEL_MAX_VANISHED of those; then the first ones are
 * folded into one remembered sum, a batch at a time since that moves the rest.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "convergence.h"
#include "figures.h"
#include "heat.h"
#include "rows.h"

#define FOLD_BATCH		256

struct entry {
	struct iovab_source_key key;
	struct iovab_source before;	/* counters of the last facts it was in */
	__u64 before_ns;		/* when those were */
	bool present;			/* in the facts at hand */
	bool vanished;			/* it was not, so the row is stale */
	struct rounds rounds;		/* of its last migration */
	__u64 told;			/* reports of it in the facts at hand */
};

void rows__free(struct rows *r)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		rounds__free(&r->entries[i].rounds);
	free(r->rows);
	free(r->entries);
	free(r->members);
	free(r->index);
}

/* --- memory --- */

static int reserve_rows(struct rows *r, size_t n)
{
	size_t capacity = r->capacity ? r->capacity : 16;
	struct convergence_member *members;
	struct iovab_row *rows;
	struct entry *entries;

	while (capacity < n)
		capacity *= 2;
	if (capacity == r->capacity)
		return 0;
	rows = reallocarray(r->rows, capacity, sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	r->rows = rows;
	entries = reallocarray(r->entries, capacity, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	r->entries = entries;
	members = reallocarray(r->members, capacity, sizeof(*members));
	if (!members)
		return -ENOMEM;
	r->members = members;
	r->capacity = capacity;
	return 0;
}

static int reserve_index(struct rows *r, size_t n)
{
	size_t size = r->index_size ? r->index_size : 64;
	__u32 *index;

	while (size < 2 * n)
		size *= 2;
	if (size == r->index_size)
		return 0;
	index = reallocarray(NULL, size, sizeof(*index));
	if (!index)
		return -ENOMEM;
	free(r->index);
	r->index = index;
	r->index_size = size;
	return 0;
}

int rows__reserve(struct rows *r, size_t more)
{
	int err = reserve_rows(r, r->n + more);

	return err ? err : reserve_index(r, r->n + more);
}

/* --- finding a source again --- */

/* The slot that holds source @id, or the free one where it belongs. */
static __u32 *index_slot(struct rows *r, __u32 id)
{
	size_t i = (id * 2654435761U) & (r->index_size - 1);

	while (r->index[i] && r->entries[r->index[i] - 1].before.id != id)
		i = (i + 1) & (r->index_size - 1);
	return &r->index[i];
}

/* Of two rows with the same source id the later one counts. */
static void build_index(struct rows *r)
{
	size_t i;

	memset(r->index, 0, r->index_size * sizeof(*r->index));
	for (i = 0; i < r->n; i++)
		*index_slot(r, r->entries[i].before.id) = (__u32)i + 1;
}

/* --- one row --- */

#define copy_string(to, from) do {					\
	_Static_assert(sizeof(to) == sizeof(from), "the same field");	\
	memcpy((to), (from), sizeof(to));				\
	(to)[sizeof(to) - 1] = '\0';					\
} while (0)

/* An HWPT's devices. One that is alone gives the row its name. */
static void set_devices(struct iovab_row *row, const struct iovab_hwpt *hwpt)
{
	__u32 i;

	row->devices_known = hwpt && !hwpt->unknown;
	row->n_devices = row->devices_known ? hwpt->attached : 0;
	for (i = 0; i < row->n_devices && i < IOVAB_HWPT_DEVICES; i++)
		copy_string(row->devices[i], hwpt->named[i].device);
	if (row->n_devices == 1) {
		copy_string(row->device, hwpt->named[0].device);
		copy_string(row->driver, hwpt->named[0].driver);
	}
}

static void set_identity(struct iovab_row *row, const struct iovab_source_fact *s)
{
	row->source_id = s->counters.id;
	row->client = s->key.client;
	row->implementation = s->key.implementation;
	row->pid = s->key.pid;
	row->hwpt = s->key.hwpt;
	copy_string(row->device, s->key.device);
	copy_string(row->driver, s->counters.driver);
	copy_string(row->vfio, s->counters.vfio);
	copy_string(row->comm, s->counters.comm);
	set_devices(row, s->hwpt);
	row->phase = s->counters.last_phase;
	/* once known, the VM's name outlives the process that told it */
	if (s->vm[0] || !row->vm[0])
		copy_string(row->vm, s->vm);
	row->stale = s->owner_gone;
	row->range_iova = s->counters.last_iova;
	row->range_length = s->counters.last_length;
	row->page_size = s->counters.last_page_size;
	row->last_end_ns = s->counters.last_end_ns;
}

/* @v a second, or a nanosecond, ...; there is none in no time. */
static struct iovab_ratio rate(struct iovab_value v, double time)
{
	struct iovab_ratio r = { v.state, 0 };

	if (!(time > 0))
		r.state = IOVAB_VALUE_NOT_MEASURED;
	if (r.state == IOVAB_VALUE_KNOWN)
		r.v = (double)v.v / time;
	return r;
}

static void clear_interval(struct iovab_row *row)
{
	row->has_interval = false;
	row->idle = false;
	memset(&row->interval, 0, sizeof(row->interval));
	row->reports_per_s = row->dirty_bytes_per_s =
		(struct iovab_ratio){ IOVAB_VALUE_NOT_MEASURED, 0 };
}

static void set_interval(struct iovab_row *row, const struct iovab_source *delta,
			 enum iovab_tier tier, double seconds)
{
	const struct iovab_value *fig = row->interval.fig;

	figures__of_part(&row->interval, delta, tier);
	row->has_interval = true;
	row->idle = !fig[IOVAB_FIG_REPORTS].v;
	row->reports_per_s = rate(fig[IOVAB_FIG_REPORTS], seconds);
	row->dirty_bytes_per_s = rate(fig[IOVAB_FIG_DIRTY_BYTES], seconds);
}

static size_t new_row(struct rows *r)
{
	size_t i = r->n++;

	memset(&r->rows[i], 0, sizeof(r->rows[i]));
	memset(&r->entries[i], 0, sizeof(r->entries[i]));
	r->rows[i].id = ++r->last_id;
	return i;
}

static void vanish(struct rows *r, size_t i)
{
	r->entries[i].vanished = true;
	r->n_vanished++;
	r->rows[i].stale = true;
	clear_interval(&r->rows[i]);
}

static void come_back(struct rows *r, size_t i)
{
	r->entries[i].vanished = false;
	r->n_vanished--;
}

/*
 * The row of source @s, the known one or a new one. @delta: what it counted
 * since @before_ns, or since it began.
 */
static size_t row_of(struct rows *r, const struct iovab_source_fact *s,
		     struct iovab_source *delta)
{
	__u32 *slot = index_slot(r, s->counters.id);
	size_t i;

	if (*slot) {
		i = *slot - 1;
		if (!memcmp(&r->entries[i].key, &s->key, sizeof(s->key)) &&
		    figures__delta(delta, &s->counters, &r->entries[i].before)) {
			if (r->entries[i].vanished)
				come_back(r, i);
			return i;
		}
		if (!r->entries[i].vanished)
			vanish(r, i);
	}
	i = new_row(r);
	*slot = (__u32)i + 1;
	r->entries[i].before.id = s->counters.id;
	/* zeroes at the facts before, if there were any */
	r->entries[i].before_ns = r->before_ns;
	*delta = s->counters;
	return i;
}

static void update_source(struct rows *r, const struct iovab_source_fact *s,
			  const struct iovab_facts *facts, double seconds)
{
	__u32 known = *index_slot(r, s->counters.id);
	struct iovab_source delta;
	struct entry *e;
	size_t i;

	if (known && r->entries[known - 1].present)
		return;		/* two sources with one id: the first one counts */
	i = row_of(r, s, &delta);
	e = &r->entries[i];
	set_identity(&r->rows[i], s);
	figures__of_total(&r->rows[i].total, &s->counters, facts->tier);
	if (r->started && e->before_ns == r->before_ns)
		set_interval(&r->rows[i], &delta, facts->tier, seconds);
	else
		clear_interval(&r->rows[i]);
	e->key = s->key;
	e->before = s->counters;
	e->before_ns = facts->time_ns;
	e->present = true;
}

/* --- all rows --- */

static void begin_rows(struct rows *r)
{
	size_t i;

	for (i = 0; i < r->n; i++) {
		struct iovab_row *row = &r->rows[i];

		r->entries[i].present = false;
		row->reports_in_flight = 0;
		row->oldest_in_flight_ns = 0;
		row->pages_pinned_now = 0;
		heat__next_interval(&row->heat);
	}
}

static void fold_vanished(struct rows *r)
{
	size_t max = r->max_vanished ? r->max_vanished : MODEL_MAX_VANISHED;
	size_t excess, from, to = 0;

	if (r->n_vanished <= max)
		return;
	excess = r->n_vanished - max + FOLD_BATCH;
	for (from = 0; from < r->n; from++) {
		if (excess && r->entries[from].vanished) {
			figures__add(&r->folded, &r->rows[from].total);
			rounds__free(&r->entries[from].rounds);
			r->n_folded++;
			r->n_vanished--;
			excess--;
			continue;
		}
		if (to != from) {
			r->rows[to] = r->rows[from];
			r->entries[to] = r->entries[from];
		}
		to++;
	}
	r->n = to;
	build_index(r);
}

void rows__update(struct rows *r, const struct iovab_facts *facts, double seconds)
{
	size_t i;

	begin_rows(r);
	build_index(r);
	for (i = 0; i < facts->n_sources; i++)
		update_source(r, &facts->sources[i], facts, seconds);
	for (i = 0; i < r->n; i++)
		if (!r->entries[i].present && !r->entries[i].vanished)
			vanish(r, i);
	fold_vanished(r);
	r->started = true;
	r->before_ns = facts->time_ns;
}

struct iovab_row *rows__find(struct rows *r, __u32 source_id)
{
	__u32 at = source_id ? *index_slot(r, source_id) : 0;

	return at && r->entries[at - 1].present ? &r->rows[at - 1] : NULL;
}

/* --- migrations --- */

static void judge_migrations(struct rows *r)
{
	size_t i, n = 0;

	for (i = 0; i < r->n; i++) {
		struct rounds *rounds = &r->entries[i].rounds;

		if (!rounds->n_migrations)
			continue;
		rounds__settle(rounds);
		r->rows[i].migration = rounds->migrations[rounds->n_migrations - 1];
		r->members[n].pid = r->rows[i].pid;
		r->members[n++].migration = &r->rows[i].migration;
	}
	convergence__judge(r->members, n);
}

void rows__follow(struct rows *r, const struct iovab_facts *facts)
{
	bool changed = facts->n_reports;
	size_t i;

	if (facts->tier < IOVAB_TIER_DENSITY)
		return;		/* no dirty bytes, so no trend */
	for (i = 0; i < facts->n_reports; i++) {
		const struct iovab_row *row = rows__find(r, facts->reports[i].source_id);

		if (row)
			r->entries[row - r->rows].told++;
	}
	for (i = 0; i < r->n; i++) {
		struct entry *e = &r->entries[i];

		if (e->present)
			rounds__expect(&e->rounds, e->told, e->before.reports, r->rows[i].has_interval);
		changed |= e->rounds.doubt;
		e->told = 0;
	}
	for (i = 0; i < facts->n_reports; i++) {
		const struct iovab_row *row = rows__find(r, facts->reports[i].source_id);
		struct rounds *rounds = row ? &r->entries[row - r->rows].rounds : NULL;

		if (!row)
			continue;
		rounds->keep_last = true;
		/* without memory it is left out, and the round's dirty bytes are unknown */
		rounds__add(rounds, &facts->reports[i], facts->tier);
	}
	if (changed)
		judge_migrations(r);
}

void rows__sum(const struct rows *r, struct iovab_figures *sum)
{
	size_t i;

	*sum = r->folded;
	for (i = 0; i < r->n; i++)
		figures__add(sum, &r->rows[i].total);
	figures__finish(sum);
}
