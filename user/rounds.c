// SPDX-License-Identifier: GPL-2.0-only
#include "rounds.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"

/* Ranges of a round that are told apart; a client has a few. */
#define MAX_SEEN	4096

/* So many rounds does a user keep who lists none: those that are judged, the first one, stops. */
#define LAST_KEPT	(2 * ROUNDS_JUDGED)

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

const char *rounds__verdict_name(enum iovab_verdict v)
{
	switch (v) {
	case IOVAB_VERDICT_EARLY:
		return "too-early";
	case IOVAB_VERDICT_CONVERGES:
		return "converges";
	case IOVAB_VERDICT_STUCK:
		return "does-not-converge";
	case IOVAB_VERDICT_ENDED:
		return "ended";
	default:
		return NULL;
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

/* Does a report belong to the migration of the round before it? */
static bool goes_on(const struct iovab_round *before, const struct iovab_report_event *e)
{
	if (before->logging && e->logging)
		return before->logging == e->logging;
	return e->start_ns < before->end_ns || e->start_ns - before->end_ns <= ROUNDS_PAUSE_NS;
}

static bool begins_round(const struct rounds *r, const struct iovab_report_event *e)
{
	return !r->n || range_seen(r, e->iova) ||
	       r->rounds[r->n - 1].phase != e->phase ||
	       !goes_on(&r->rounds[r->n - 1], e);
}

static struct iovab_migration *last_migration(const struct rounds *r)
{
	return r->n_migrations ? &r->migrations[r->n_migrations - 1] : NULL;
}

/* A device that runs again after it was stopped begins another migration. */
static bool begins_migration(const struct rounds *r, const struct iovab_report_event *e)
{
	const struct iovab_round *before = r->n ? &r->rounds[r->n - 1] : NULL;

	return !before || !goes_on(before, e) ||
	       (before->phase == IOVAB_PHASE_STOP_COPY && e->phase != IOVAB_PHASE_STOP_COPY);
}

static int new_migration(struct rounds *r, const struct iovab_report_event *e)
{
	struct iovab_migration *m;

	if (r->keep_last)
		r->n = r->n_migrations = 0;
	if (!array__grow(&r->migrations, r->n_migrations, &r->max_migrations,
			 sizeof(*r->migrations)))
		return -ENOMEM;
	m = &r->migrations[r->n_migrations++];
	memset(m, 0, sizeof(*m));
	m->first = r->n;
	m->start_ns = m->end_ns = e->start_ns;
	return 0;
}

/* Of the rounds of the last migration those at the end, with the device stopped. */
static size_t stops(const struct rounds *r, const struct iovab_migration *m)
{
	size_t n = 0;

	while (n < m->kept && r->rounds[r->n - 1 - n].phase == IOVAB_PHASE_STOP_COPY)
		n++;
	return n;
}

/* Makes room where no round is listed: the oldest one goes that no trend is made from. */
static void drop_round(struct rounds *r, struct iovab_migration *m)
{
	size_t running = m->kept - stops(r, m);
	size_t at = running > ROUNDS_JUDGED + 1 ? 0 : running;

	r->n--;
	m->kept--;
	m->first_gone |= !at;
	memmove(&r->rounds[at], &r->rounds[at + 1], (r->n - at) * sizeof(*r->rounds));
}

static void close_round(struct rounds *r);	/* below, with what it works out */

static int new_round(struct rounds *r, const struct iovab_report_event *e, enum iovab_tier tier)
{
	struct iovab_migration *m;
	struct iovab_round *round;

	close_round(r);
	if (begins_migration(r, e)) {
		rounds__settle(r);
		if (new_migration(r, e))
			return -ENOMEM;
	}
	m = last_migration(r);
	if (r->keep_last && m->kept >= LAST_KEPT)
		drop_round(r, m);
	if (!array__grow(&r->rounds, r->n, &r->max, sizeof(*r->rounds)))
		return -ENOMEM;
	round = &r->rounds[r->n++];
	memset(round, 0, sizeof(*round));
	round->start_ns = e->start_ns;
	round->phase = e->phase;
	round->logging = e->logging;
	if (tier >= IOVAB_TIER_DENSITY)
		round->dirty_bytes.state = IOVAB_VALUE_KNOWN;
	m->n++;
	m->kept++;
	m->phase_known |= e->phase != IOVAB_PHASE_UNKNOWN;
	r->n_seen = 0;
	return 0;
}

/* Something of the round that goes on is missing. */
static void doubt_last(struct rounds *r)
{
	struct iovab_round *last = r->n ? &r->rounds[r->n - 1] : NULL;

	if (last && last->dirty_bytes.state == IOVAB_VALUE_KNOWN)
		last->dirty_bytes.state = IOVAB_VALUE_UNKNOWN;
}

void rounds__expect(struct rounds *r, __u64 reports, __u64 counted, bool since)
{
	r->added += reports;
	r->doubt = since && r->added < r->counted;
	if (r->doubt)
		doubt_last(r);
	if (r->doubt || !since)
		r->added = since ? r->counted : counted;
	r->counted = counted;
}

static __u64 latency_of(const struct iovab_report_event *e)
{
	__u64 ns = e->end_ns > e->start_ns ? e->end_ns - e->start_ns : 0;

	return ns > e->own_ns ? ns - e->own_ns : 0;
}

int rounds__add(struct rounds *r, const struct iovab_report_event *e, enum iovab_tier tier)
{
	bool room = r->n_seen >= MAX_SEEN ||
		    array__grow(&r->seen, r->n_seen, &r->max_seen, sizeof(*r->seen));
	struct iovab_round *round;

	if (!room || (begins_round(r, e) && new_round(r, e, tier))) {
		doubt_last(r);
		return -ENOMEM;
	}
	if (r->doubt)
		doubt_last(r);
	if (r->n_seen < MAX_SEEN)
		r->seen[r->n_seen++] = e->iova;
	round = &r->rounds[r->n - 1];
	round->end_ns = last_migration(r)->end_ns = e->end_ns;
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
	if (e->scan_skipped && round->dirty_bytes.state == IOVAB_VALUE_KNOWN)
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

/* The rate of the last round; a migration's first one has none. */
static void rate_last(struct rounds *r, const struct iovab_migration *m)
{
	if (m->kept > 1)
		r->rounds[r->n - 1].dirty_per_s = rate_of(&r->rounds[r->n - 1],
							  &r->rounds[r->n - 2]);
}

/* What rounds dirtied: known if it is of each of them. */
static void add_known(struct iovab_ratio *sum, enum iovab_value_state state, double v)
{
	if (state != IOVAB_VALUE_KNOWN)
		sum->state = state;
	else if (sum->state == IOVAB_VALUE_KNOWN)
		sum->v += v;
}

/* Means over @n rounds; no more than zeroes if there are none. */
static void means_of(const struct iovab_round *rounds, size_t n, struct iovab_ratio *bytes,
		     struct iovab_ratio *per_s)
{
	size_t i;

	bytes->v = per_s->v = 0;
	bytes->state = per_s->state = n ? IOVAB_VALUE_KNOWN : IOVAB_VALUE_NOT_MEASURED;
	for (i = 0; i < n; i++) {
		add_known(bytes, rounds[i].dirty_bytes.state, (double)rounds[i].dirty_bytes.v / (double)n);
		add_known(per_s, rounds[i].dirty_per_s.state, rounds[i].dirty_per_s.v / (double)n);
	}
}

/* The highest of the rates that are known: it was needed, whatever the others are. */
static struct iovab_ratio highest_rate(const struct iovab_round *rounds, size_t n)
{
	struct iovab_ratio most = { IOVAB_VALUE_NOT_MEASURED, 0 };
	size_t i;

	for (i = 0; i < n; i++) {
		const struct iovab_ratio *rate = &rounds[i].dirty_per_s;

		if (rate->state > most.state || (rate->state == most.state && rate->v > most.v))
			most = *rate;
	}
	return most;
}

static enum rounds_trend trend_of(const struct iovab_migration *m)
{
	if (m->early_bytes.state != IOVAB_VALUE_KNOWN || m->late_bytes.state != IOVAB_VALUE_KNOWN ||
	    m->judged < ROUNDS_LEAST)
		return ROUNDS_UNCLEAR;
	if (m->late_bytes.v > m->early_bytes.v * ROUNDS_CHANGE)
		return ROUNDS_RISING;
	return m->late_bytes.v * ROUNDS_CHANGE < m->early_bytes.v ? ROUNDS_FALLING : ROUNDS_STEADY;
}

/*
 * Judges the last migration by its last rounds before @end, at which the device ran.
 * Nobody knows since when its first one counts: it is left out.
 */
static void judge(struct rounds *r, struct iovab_migration *m, size_t end)
{
	size_t begin = m->first + !m->first_gone, n = end > begin ? end - begin : 0, half;
	const struct iovab_round *judged;

	if (n > ROUNDS_JUDGED)
		n = ROUNDS_JUDGED;
	if (n > 1)
		n &= ~(size_t)1;
	half = n > 1 ? n / 2 : n;
	judged = &r->rounds[end - n];
	m->judged = n;
	means_of(judged, half, &m->early_bytes, &m->early_per_s);
	means_of(judged + n - half, half, &m->late_bytes, &m->late_per_s);
	m->needed_per_s = highest_rate(judged, n);
	m->round_s = (struct iovab_ratio){ IOVAB_VALUE_NOT_MEASURED, 0 };
	if (half && end - half > m->first)
		m->round_s = (struct iovab_ratio){ IOVAB_VALUE_KNOWN,
			(double)(r->rounds[end - 1].start_ns - r->rounds[end - half - 1].start_ns) /
			1e9 / (double)half };
	m->trend = trend_of(m);
}

/* The last round is over, for another one begins: what the trend was then is remembered. */
static void close_round(struct rounds *r)
{
	struct iovab_migration *m = last_migration(r);

	if (!m || !m->kept)
		return;
	rate_last(r, m);
	if (r->rounds[r->n - 1].phase == IOVAB_PHASE_STOP_COPY)
		return;
	judge(r, m, r->n);
	if (m->trend != ROUNDS_STEADY && m->trend != ROUNDS_RISING)
		return;
	if (!(m->late_bytes.v > 0))
		return;		/* a device at rest is in nobody's way */
	m->stuck_rounds++;
	if (m->needed_per_s.state == IOVAB_VALUE_KNOWN && m->needed_per_s.v >= m->stuck_per_s.v)
		m->stuck_per_s = m->needed_per_s;
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

/* A round that has come less far than the one before it may still go on. */
static bool is_whole(const struct rounds *r, const struct iovab_migration *m, size_t i)
{
	return i == m->first || r->rounds[i].range_bytes >= r->rounds[i - 1].range_bytes;
}

/*
 * The rounds with the device stopped say nothing of how it dirties when it runs:
 * they are left out of the trend.
 */
void rounds__settle(struct rounds *r)
{
	struct iovab_migration *m = last_migration(r);
	size_t i, running;

	if (!m || !m->kept)
		return;
	rate_last(r, m);
	running = r->n - stops(r, m);
	m->has_stop = false;
	for (i = running; i < r->n; i++)
		add_stop(m, &r->rounds[i]);
	m->stop_known = m->phase_known;
	if (!m->phase_known && m->n > 1)
		add_stop(m, &r->rounds[--running]);
	else if (running == r->n && !is_whole(r, m, running - 1))
		running--;
	judge(r, m, running);
}
