// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rates. A round tells what was written since the round before, whenever its
 * reports come. So a rate is taken between two moments at which a round was
 * over, and over the time from the end of the one to the end of the other: that
 * is what was written a second in the meantime, exactly. A round is known to be
 * over if two looks in a row find the same reports and none under way.
 *
 * Where rounds follow each other so quickly that no look falls between two,
 * a look inside a round will do once there were MANY_ROUNDS of them: the part
 * of a round that it is wrong by is small then.
 *
 * The first round of a migration has no rate: nobody knows since when it counts.
 */
#include <string.h>

#include "migration.h"

#define MANY_ROUNDS	20

/* What the source counted until the last look belongs to those before. */
static void begin(struct migration *m)
{
	struct migration before = *m;

	memset(m, 0, sizeof(*m));
	m->rounds_before = before.rounds_before + before.rounds;
	m->below_before = before.below_seen;
	m->unknown_before = before.unknown_seen;
	m->stopped_ns_before = before.stopped_ns_seen;
}

static void take_rate(struct migration *m, const struct iovab_row *row, bool settled)
{
	struct iovab_value dirty = row->total.measured[IOVAB_FIG_DIRTY_BYTES];
	__u64 rounds = row->total.rounds;
	double rate;

	m->below_seen = row->total.below[IOVAB_TIER_DENSITY];
	if (dirty.state == IOVAB_VALUE_KNOWN && m->below_seen != m->below_before)
		dirty.state = IOVAB_VALUE_UNKNOWN;	/* until the next migration */
	if (dirty.state != IOVAB_VALUE_KNOWN) {
		m->peak = (struct iovab_ratio){ dirty.state, 0 };
		m->mark_end_ns = 0;
		return;
	}
	if (!settled && !(m->mark_end_ns && rounds - m->mark_rounds >= MANY_ROUNDS))
		return;
	if (m->mark_end_ns && rounds > m->mark_rounds && row->last_end_ns > m->mark_end_ns) {
		rate = (double)(dirty.v - m->mark_dirty) * 1e9 /
		       (double)(row->last_end_ns - m->mark_end_ns);
		if (m->peak.state != IOVAB_VALUE_KNOWN || rate > m->peak.v)
			m->peak = (struct iovab_ratio){ IOVAB_VALUE_KNOWN, rate };
	}
	if (!m->mark_end_ns || rounds > m->mark_rounds) {
		m->mark_end_ns = row->last_end_ns;
		m->mark_dirty = dirty.v;
		m->mark_rounds = rounds;
	}
}

/* Reports of no known phase may have been downtime: then nobody knows how much it was. */
static void take_downtime(struct migration *m, const struct iovab_figures *f)
{
	m->unknown_seen = f->fig[IOVAB_FIG_REPORTS].v - f->phase_reports[IOVAB_PHASE_PRECOPY] -
			  f->phase_reports[IOVAB_PHASE_STOP_COPY];
	m->stopped_ns_seen = f->phase_ns[IOVAB_PHASE_STOP_COPY];
	if (m->unknown_seen == m->unknown_before)
		m->downtime_ns = (struct iovab_value){ IOVAB_VALUE_KNOWN,
						       m->stopped_ns_seen - m->stopped_ns_before };
	else
		m->downtime_ns = (struct iovab_value){ IOVAB_VALUE_UNKNOWN, 0 };
}

static __u64 unix_ns(const struct iovab_snapshot *s, __u64 monotonic_ns)
{
	__u64 wall = (__u64)s->wall.tv_sec * 1000000000ULL + (__u64)s->wall.tv_nsec;

	return wall - (s->time_ns - monotonic_ns);
}

void migration__follow(struct migration *m, const struct iovab_row *row,
		       const struct iovab_snapshot *s)
{
	__u64 reports = row->total.fig[IOVAB_FIG_REPORTS].v;

	if (!reports || !row->last_end_ns)
		return;
	if (reports == m->reports) {
		if (!row->reports_in_flight)
			take_rate(m, row, true);
		return;
	}
	if (m->last_end_ns && row->last_end_ns - m->last_end_ns >= MIGRATION_GAP_NS)
		begin(m);
	m->reports = reports;
	m->last_end_ns = row->last_end_ns;
	m->end_unix_ns = unix_ns(s, row->last_end_ns);
	m->rounds = row->total.rounds - m->rounds_before;
	take_downtime(m, &row->total);
	take_rate(m, row, false);
}
