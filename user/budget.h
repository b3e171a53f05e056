/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The budget: how much of a CPU the programs may take, and which tier is in force
 * so that they do not take more.
 *
 * The share is the time that all CPUs spent in the programs, divided by the time
 * that passed. A limit of 1 % is so 10 ms of each second: what the reports of a
 * host are held up by, taken together, however many CPUs there are. While no
 * report runs the programs take nothing, so it is the reports' time that counts.
 *
 * Down. Each second has its budget. When it is used up the tier drops by one, at
 * once and not when the second is over, and a new second begins.
 *
 * Up. What the higher tier would take now cannot be measured without it. But the
 * programs run as often at either tier, and what a run took at the higher one was
 * measured when it was dropped. So the tier returns by one when it would have
 * taken at most half of the limit for a while (the hold) and no report is under
 * way that began before the hold. The hold is BUDGET_HOLD_NS; each time the tier
 * is dropped again within BUDGET_RELAPSE_NS of its return it is doubled, up to
 * BUDGET_HOLD_MOST_NS. After the longest hold it is tried in any case: the load
 * may have become another one.
 *
 * At the lowest tier nothing is left to drop. That it takes too much is told.
 *
 * Nothing here knows where the figures come from.
 */
#ifndef IOVAB_BUDGET_H
#define IOVAB_BUDGET_H

#include <stdbool.h>

#include "iovab.h"

#define BUDGET_HOLD_NS		(5 * 1000000000ULL)
#define BUDGET_HOLD_MOST_NS	(320 * 1000000000ULL)
#define BUDGET_RELAPSE_NS	(60 * 1000000000ULL)

/* Of a limit and of a share: parts of one CPU. */
#define BUDGET_ONE		1000000U

/* What the programs have taken since they were attached, at one moment. */
struct budget_sample {
	__u64 time_ns;		/* CLOCK_MONOTONIC */
	__u64 used_ns;
	__u64 runs;		/* of those programs that run at every tier */
	__u64 oldest_start_ns;	/* of the reports under way; 0: there is none */
};

/* For others to read, not to write. */
struct budget {
	__u64 limit_ppm;		/* 0: there is none */
	__u64 share_ppm;		/* of the last second, or of the part that used it up */
	enum iovab_tier most, now;	/* the tier that was asked for, and the one in force */
	bool over;			/* the lowest tier takes too much, too */
	__u64 drops;

	/* its own */
	struct budget_sample second;	/* where the second at hand began */
	double run_ns[IOVAB_TIER_SETS + 1];	/* what a run took at each tier that was dropped */
	__u64 calm_ns, drop_ns, raise_ns;	/* since when it is calm; the last drop and return */
	__u64 hold_ns;
};

/* @limit_ppm 0: no budget, the tier stays. */
void budget__init(struct budget *b, __u64 limit_ppm, enum iovab_tier most);

/* Takes a sample, the later the next; returns the tier that is to be in force from now on. */
enum iovab_tier budget__take(struct budget *b, const struct budget_sample *s);

/*
 * That tier is in force, as of this sample: to be told of each change. It may have taken
 * a while, and what was spent until then says nothing of this tier.
 */
void budget__changed(struct budget *b, const struct budget_sample *s);

/* The tier that was returned cannot be had: it stays below that from now on. */
void budget__refused(struct budget *b);

#endif /* IOVAB_BUDGET_H */
