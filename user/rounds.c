// SPDX-License-Identifier: GPL-2.0-only
#include "rounds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"

/* Ranges of a round that are told apart; a client has a few. */
#define MAX_SEEN	4096

/* A rate that changed by less than this factor from a migration's first to its last third is steady. */
#define STEADY		1.25

void rounds__free(struct rounds *r)
{
	free(r->rounds);
	free(r->migrations);
	free(r->seen);
}

const char *rounds__trend_name(enum rounds_trend t)
{
	switch (t) {
	case ROUNDS_FALLING:
		return "falling";
	case ROUNDS_STEADY:
		return "steady";
	case ROUNDS_RISING:
		return "rising";
	default:
		return "unclear";
	}
}

/* --- reports into rounds --- */

static bool range_seen(const struct rounds *r, __u64 iova)
{
	size_t i;

	for (i = 0; i < r->n_seen; i++)
		if (r->seen[i] == iova)
			return true;
	return false;
}

/* Does a report that begins at @start_ns belong to the migration before it? */
static bool goes_on(const struct iovab_round *before, __u64 start_ns)
{
	return start_ns < before->end_ns || start_ns - before->end_ns <= ROUNDS_PAUSE_NS;
}

static bool begins_round(const struct rounds *r, const struct iovab_report_event *e)
{
	return !r->n || range_seen(r, e->iova) || r->rounds[r->n - 1].phase != e->phase ||
	       !goes_on(&r->rounds[r->n - 1], e->start_ns);
}

static int new_round(struct rounds *r, const struct iovab_report_event *e, enum iovab_tier tier)
{
	struct iovab_round *round;

	if (!array__grow(&r->rounds, r->n, &r->max, sizeof(*r->rounds)))
		return -ENOMEM;
	round = &r->rounds[r->n++];
	memset(round, 0, sizeof(*round));
	round->start_ns = e->start_ns;
	round->phase = e->phase;
	if (tier >= IOVAB_TIER_DENSITY)
		round->dirty_bytes.state = IOVAB_VALUE_KNOWN;
	r->n_seen = 0;
	return 0;
}

static __u64 latency_of(const struct iovab_report_event *e)
{
	__u64 ns = e->end_ns > e->start_ns ? e->end_ns - e->start_ns : 0;

	return ns > e->own_ns ? ns - e->own_ns : 0;
}

int rounds__add(struct rounds *r, const struct iovab_report_event *e, enum iovab_tier tier)
{
	struct iovab_round *round;

	if (begins_round(r, e) && new_round(r, e, tier))
		return -ENOMEM;
	if (r->n_seen < MAX_SEEN) {
		if (!array__grow(&r->seen, r->n_seen, &r->max_seen, sizeof(*r->seen)))
			return -ENOMEM;
		r->seen[r->n_seen++] = e->iova;
	}
	round = &r->rounds[r->n - 1];
	round->end_ns = e->end_ns;
	round->reports++;
	round->errors += !!e->error;
	round->range_bytes += e->length;
	round->latency_ns += latency_of(e);
	round->windows += e->windows;
	round->windows_clean += e->windows_clean;
	round->repins += e->repins;
	round->pages_pinned += e->pages_pinned;
	round->pin_failures += e->pin_failures;
	round->lost_bytes += e->lost_pages * e->page_size;
	round->stray_bits += e->stray_bits;
	round->dirty_bytes.v += e->dirty_pages * e->page_size;
	round->below_sets += model__report_tier(e, tier) < IOVAB_TIER_SETS;
	if ((e->scan_skipped || model__report_tier(e, tier) < IOVAB_TIER_DENSITY) &&
	    round->dirty_bytes.state == IOVAB_VALUE_KNOWN)
		round->dirty_bytes.state = IOVAB_VALUE_UNKNOWN;
	return 0;
}

/* --- rounds into migrations --- */

static struct iovab_ratio rate_of(const struct iovab_round *round, const struct iovab_round *before)
{
	struct iovab_ratio r = { round->dirty_bytes.state, 0 };

	if (round->start_ns <= before->start_ns)
		r.state = IOVAB_VALUE_NOT_MEASURED;
	if (r.state == IOVAB_VALUE_KNOWN)
		r.v = (double)round->dirty_bytes.v /
		      ((double)(round->start_ns - before->start_ns) / 1e9);
	return r;
}

/* Mean and maximum of the rates that are known of rounds [@first, @end). */
static void rates_of(const struct rounds *r, size_t first, size_t end, struct iovab_ratio *mean,
		     struct iovab_ratio *max)
{
	double sum = 0;
	size_t i, n = 0;

	mean->state = max->state = IOVAB_VALUE_NOT_MEASURED;
	mean->v = max->v = 0;
	for (i = first; i < end; i++) {
		const struct iovab_ratio *rate = &r->rounds[i].dirty_per_s;

		if (rate->state == IOVAB_VALUE_UNKNOWN)
			mean->state = max->state = IOVAB_VALUE_UNKNOWN;
		if (rate->state != IOVAB_VALUE_KNOWN)
			continue;
		sum += rate->v;
		max->v = rate->v > max->v ? rate->v : max->v;
		n++;
	}
	if (n) {
		mean->state = max->state = IOVAB_VALUE_KNOWN;
		mean->v = sum / (double)n;
	}
}

static enum rounds_trend trend_of(const struct iovab_migration *m)
{
	if (m->early_per_s.state != IOVAB_VALUE_KNOWN || m->late_per_s.state != IOVAB_VALUE_KNOWN ||
	    m->n < 4)
		return ROUNDS_UNCLEAR;
	if (m->late_per_s.v > m->early_per_s.v * STEADY)
		return ROUNDS_RISING;
	return m->late_per_s.v * STEADY < m->early_per_s.v ? ROUNDS_FALLING : ROUNDS_STEADY;
}

static void add_stop(struct iovab_migration *m, const struct iovab_round *round)
{
	if (!m->has_stop) {
		m->has_stop = true;
		m->stop = *round;
		return;
	}
	m->stop.end_ns = round->end_ns;
	m->stop.reports += round->reports;
	m->stop.latency_ns += round->latency_ns;
	m->stop.dirty_bytes.v += round->dirty_bytes.v;
	if (round->dirty_bytes.state != IOVAB_VALUE_KNOWN)
		m->stop.dirty_bytes.state = round->dirty_bytes.state;
}

/*
 * The rounds with the device stopped say nothing of how it dirties when it runs:
 * they are left out of the rates.
 */
static void work_out(const struct rounds *r, struct iovab_migration *m)
{
	size_t i, end = m->first + m->n, running = end, third;
	bool known = false;

	for (i = m->first; i < end; i++) {
		known |= r->rounds[i].phase != 0;
		if (r->rounds[i].phase == IOVAB_PHASE_STOP_COPY) {
			add_stop(m, &r->rounds[i]);
			running = i < running ? i : running;
		}
	}
	m->stop_known = known;
	if (!known && m->n > 1)
		add_stop(m, &r->rounds[--running]);
	third = (running - m->first) / 3;
	third = third ? third : 1;
	if (running > m->first + 1) {
		rates_of(r, m->first + 1, m->first + 1 + third, &m->early_per_s, &m->needed_per_s);
		rates_of(r, running - third, running, &m->late_per_s, &m->needed_per_s);
	}
	m->trend = trend_of(m);
}

int rounds__finish(struct rounds *r)
{
	struct iovab_migration *m = NULL;
	size_t i;

	for (i = 0; i < r->n; i++) {
		bool same = i && goes_on(&r->rounds[i - 1], r->rounds[i].start_ns) &&
			    !(r->rounds[i - 1].phase == IOVAB_PHASE_STOP_COPY &&
			      r->rounds[i].phase == IOVAB_PHASE_PRECOPY);

		if (same) {
			r->rounds[i].dirty_per_s = rate_of(&r->rounds[i], &r->rounds[i - 1]);
			m->n++;
			continue;
		}
		if (!array__grow(&r->migrations, r->n_migrations, &r->max_migrations,
			       sizeof(*r->migrations)))
			return -ENOMEM;
		m = &r->migrations[r->n_migrations++];
		memset(m, 0, sizeof(*m));
		m->first = i;
		m->n = 1;
	}
	for (i = 0; i < r->n_migrations; i++)
		work_out(r, &r->migrations[i]);
	return 0;
}
