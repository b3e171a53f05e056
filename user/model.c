// SPDX-License-Identifier: GPL-2.0-only
/*
 * From the facts of one moment to a snapshot: the rows are in rows.c, their
 * figures in figures.c, their strips in heat.c; here is what concerns the whole.
 *
 * An update first reserves all the memory that it may need, and changes
 * something only then: it fails without a trace or not at all.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "heat.h"
#include "model.h"
#include "rows.h"

#define GENERATION_LEN		128

struct model {
	struct rows rows;

	bool started;			/* there were facts before */
	__u64 first_ns, before_ns;
	struct iovab_cost_fact cost_before;
	struct iovab_losses losses_before;
	char generation[GENERATION_LEN];
	struct iovab_trouble troubles[MODEL_TROUBLES];

	struct iovab_snapshot snapshot;
};

struct model *model__new(void)
{
	return calloc(1, sizeof(struct model));
}

void model__free(struct model *m)
{
	if (!m)
		return;
	rows__free(&m->rows);
	free(m);
}

void model__set_max_vanished(struct model *m, size_t max)
{
	m->rows.max_vanished = max;
}

void model__set_bandwidth(struct model *m, __u64 bytes)
{
	m->snapshot.bandwidth = bytes;
}

static void update_live(struct model *m, const struct iovab_facts *facts)
{
	struct iovab_snapshot *s = &m->snapshot;
	size_t i;

	s->reports_in_flight = 0;
	s->pages_pinned_now = 0;
	for (i = 0; i < facts->n_live; i++) {
		const struct iovab_live_fact *live = &facts->live[i];
		struct iovab_row *row = rows__find(&m->rows, live->source_id);
		__u64 age = 0;

		s->reports_in_flight++;
		s->pages_pinned_now += live->pages_pinned;
		if (!row)
			continue;
		if (live->start_ns < facts->time_ns)
			age = facts->time_ns - live->start_ns;
		row->reports_in_flight++;
		row->pages_pinned_now += live->pages_pinned;
		if (age > row->oldest_in_flight_ns)
			row->oldest_in_flight_ns = age;
	}
}

static void update_heat(struct model *m, const struct iovab_facts *facts)
{
	size_t i;

	for (i = 0; i < facts->n_windows; i++) {
		const struct iovab_window_event *w = &facts->windows[i];
		struct iovab_row *row = rows__find(&m->rows, w->source_id);

		if (w->scan_skipped)
			continue;	/* counted as such in its source */
		if (!row || !heat__add(&row->heat, w))
			m->snapshot.heat_unplaced++;
	}
}

static bool in_trouble(const struct iovab_report_event *r)
{
	return r->lost_pages || r->stray_bits;
}

static void update_troubles(struct model *m, const struct iovab_facts *facts)
{
	struct iovab_snapshot *s = &m->snapshot;
	size_t i;

	s->troubles = m->troubles;
	for (i = 0; i < facts->n_reports; i++) {
		const struct iovab_report_event *r = &facts->reports[i];
		const struct iovab_row *row = rows__find(&m->rows, r->source_id);
		struct iovab_trouble *t = &m->troubles[s->n_troubles];

		if (!in_trouble(r))
			continue;
		if (s->n_troubles == MODEL_TROUBLES) {
			s->more_troubles++;
			continue;
		}
		s->n_troubles++;
		memset(t, 0, sizeof(*t));
		t->report = *r;
		t->end_s = ((double)r->end_ns - (double)m->first_ns) / 1e9;
		if (!row)
			continue;
		memcpy(t->device, row->device, sizeof(t->device));
		memcpy(t->comm, row->comm, sizeof(t->comm));
		t->implementation = row->implementation;
		t->hwpt = row->hwpt;
		t->pid = row->pid;
	}
}

/* --- what concerns the whole --- */

/* Losses of all loads: where a counter went backwards, a new load began at 0. */
static void update_losses(struct model *m, const struct iovab_facts *facts)
{
	__u64 *total = (__u64 *)&m->snapshot.losses;
	const __u64 *now = (const __u64 *)&facts->losses;
	const __u64 *before = (const __u64 *)&m->losses_before;
	unsigned int i;

	m->snapshot.events_lost = 0;
	for (i = 0; i < MODEL_LOSSES; i++) {
		__u64 delta = now[i] - before[i];

		total[i] += delta >> 63 ? now[i] : delta;
		if (model__loss_counts(i))
			m->snapshot.events_lost += total[i];
	}
	m->losses_before = facts->losses;
}

/* Share of a CPU: @now - @before of a count of ns, in @ns; from 0 if it went back. */
static struct iovab_ratio share(__u64 now, __u64 before, __u64 ns)
{
	__u64 used = now >= before ? now - before : now;

	if (!ns)
		return (struct iovab_ratio){ IOVAB_VALUE_NOT_MEASURED, 0 };
	return (struct iovab_ratio){ IOVAB_VALUE_KNOWN, (double)used / (double)ns };
}

static void update_cost(struct model *m, const struct iovab_facts *facts, __u64 interval_ns)
{
	const struct iovab_cost_fact *now = &facts->cost, *before = &m->cost_before;
	struct iovab_snapshot *s = &m->snapshot;
	__u64 sampled;

	s->collector_share = (struct iovab_ratio){ IOVAB_VALUE_NOT_MEASURED, 0 };
	if (m->started)
		s->collector_share = share(now->collector_cpu_ns, before->collector_cpu_ns,
					   interval_ns);
	s->bpf_share = (struct iovab_ratio){ IOVAB_VALUE_UNKNOWN, 0 };
	sampled = now->bpf_sampled_ns >= before->bpf_sampled_ns ?
		  now->bpf_sampled_ns - before->bpf_sampled_ns : now->bpf_sampled_ns;
	if (now->bpf_known && sampled)
		s->bpf_share = share(now->bpf_run_ns, before->bpf_run_ns, sampled);
	s->cost = *now;
	m->cost_before = *now;
}

static void update_times(struct model *m, const struct iovab_facts *facts, __u64 interval_ns)
{
	struct iovab_snapshot *s = &m->snapshot;

	if (!m->started)
		m->first_ns = facts->time_ns;
	s->time_ns = facts->time_ns;
	s->wall = facts->wall;
	s->interval_s = (double)interval_ns / 1e9;
	s->elapsed_s = facts->time_ns > m->first_ns ?
		       (double)(facts->time_ns - m->first_ns) / 1e9 : 0;
	s->state = facts->state;
	s->tier = facts->tier;
	s->generation = NULL;
	if (facts->generation) {
		snprintf(m->generation, sizeof(m->generation), "%s", facts->generation);
		s->generation = m->generation;
	}
}

const struct iovab_snapshot *model__update(struct model *m, const struct iovab_facts *facts)
{
	struct iovab_snapshot *s = &m->snapshot;
	__u64 interval_ns = 0;
	int err = rows__reserve(&m->rows, facts->n_sources);

	s->rows = m->rows.rows;		/* they may have moved, even if this failed */
	if (err) {
		errno = -err;
		return NULL;
	}
	if (m->started && facts->time_ns > m->before_ns)
		interval_ns = facts->time_ns - m->before_ns;

	update_times(m, facts, interval_ns);
	rows__update(&m->rows, facts, s->interval_s);
	rows__sum(&m->rows, &s->sum);
	update_live(m, facts);
	update_heat(m, facts);
	rows__follow(&m->rows, facts);
	update_troubles(m, facts);
	update_losses(m, facts);
	update_cost(m, facts, interval_ns);
	s->rows = m->rows.rows;
	s->n_rows = m->rows.n;
	s->rows_folded = m->rows.n_folded;
	m->before_ns = facts->time_ns;
	m->started = true;
	return s;
}
