// SPDX-License-Identifier: GPL-2.0-only
#include "convergence.h"

#include <stdlib.h>

/* So much of what is dirtied is the doing of those that are named. */
#define NAMED		0.9

/* By owner, and in order of time. */
static int compare_members(const void *a, const void *b)
{
	const struct convergence_member *x = a, *y = b;

	if (x->pid != y->pid)
		return x->pid < y->pid ? -1 : 1;
	if (x->migration->start_ns != y->migration->start_ns)
		return x->migration->start_ns < y->migration->start_ns ? -1 : 1;
	return 0;
}

/* Members that migrate together: the first is at @members. Returns how many they are. */
static size_t group_of(const struct convergence_member *members, size_t n)
{
	__u64 end_ns = members[0].migration->end_ns;
	size_t i;

	for (i = 1; i < n; i++) {
		const struct iovab_migration *m = members[i].migration;

		if (members[i].pid != members[0].pid || m->start_ns > end_ns)
			break;
		if (m->end_ns > end_ns)
			end_ns = m->end_ns;
	}
	return i;
}

/* Adds what a device has to the sum of all: one that is not known makes that unknown. */
static void add(struct iovab_ratio *sum, struct iovab_ratio r)
{
	if (sum->state > r.state)
		sum->state = r.state;
	sum->v += r.v;
}

static enum iovab_verdict verdict_of(const struct convergence_member *members, size_t n,
				     const struct iovab_migration *sums)
{
	bool early = false, unknown = false, unmeasured = false;
	size_t i;

	for (i = 0; i < n; i++) {
		const struct iovab_migration *m = members[i].migration;

		if (m->has_stop && m->stop_known)
			return IOVAB_VERDICT_ENDED;
		early |= m->judged < ROUNDS_LEAST;
		unknown |= m->late_bytes.state == IOVAB_VALUE_UNKNOWN ||
			   m->early_bytes.state == IOVAB_VALUE_UNKNOWN;
		unmeasured |= m->judged && m->late_bytes.state == IOVAB_VALUE_NOT_MEASURED;
	}
	if (unmeasured)
		return IOVAB_VERDICT_NOT_MEASURED;
	if (early)
		return IOVAB_VERDICT_EARLY;
	if (unknown)
		return IOVAB_VERDICT_UNKNOWN;
	return sums->all_late_bytes.v > 0 &&
	       sums->all_late_bytes.v * ROUNDS_CHANGE >= sums->all_early_bytes.v ?
	       IOVAB_VERDICT_STUCK : IOVAB_VERDICT_CONVERGES;
}

/* By what devices are held against each other: of a migration that once did not converge, then. */
static double weight(const struct iovab_migration *m)
{
	if (m->stuck_per_s.state == IOVAB_VALUE_KNOWN)
		return m->stuck_per_s.v;
	return m->needed_per_s.state == IOVAB_VALUE_KNOWN ? m->needed_per_s.v : 0;
}

/* Those that dirty more than member @i do, together. */
static double above(const struct convergence_member *members, size_t n, size_t i)
{
	double sum = 0;
	size_t j;

	for (j = 0; j < n; j++)
		if (weight(members[j].migration) > weight(members[i].migration))
			sum += weight(members[j].migration);
	return sum;
}

static void judge_group(struct convergence_member *members, size_t n)
{
	static const struct iovab_ratio none = { IOVAB_VALUE_KNOWN, 0 };
	struct iovab_migration sums = { .all_early_bytes = none, .all_late_bytes = none,
					.all_needed_per_s = none };
	double all = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		const struct iovab_migration *m = members[i].migration;

		add(&sums.all_early_bytes, m->early_bytes);
		add(&sums.all_late_bytes, m->late_bytes);
		add(&sums.all_needed_per_s, m->needed_per_s);
		if (m->stuck_per_s.state == IOVAB_VALUE_KNOWN) {
			sums.all_stuck_per_s.state = IOVAB_VALUE_KNOWN;
			sums.all_stuck_per_s.v += m->stuck_per_s.v;
		}
		all += weight(m);
	}
	sums.verdict = verdict_of(members, n, &sums);
	for (i = 0; i < n; i++) {
		struct iovab_migration *m = members[i].migration;

		m->verdict = sums.verdict;
		m->devices = n;
		m->all_start_ns = members[0].migration->start_ns;
		m->all_early_bytes = sums.all_early_bytes;
		m->all_late_bytes = sums.all_late_bytes;
		m->all_needed_per_s = sums.all_needed_per_s;
		m->all_stuck_per_s = sums.all_stuck_per_s;
		m->share = (struct iovab_ratio){ IOVAB_VALUE_NOT_MEASURED, 0 };
		if (all > 0)
			m->share = (struct iovab_ratio){ IOVAB_VALUE_KNOWN, weight(m) / all };
		m->hinders = weight(m) > 0 && above(members, n, i) < NAMED * all;
	}
}

void convergence__judge(struct convergence_member *members, size_t n)
{
	size_t group;

	qsort(members, n, sizeof(*members), compare_members);
	for (; n; members += group, n -= group) {
		group = group_of(members, n);
		judge_group(members, group);
	}
}
