/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From single reports to what a person thinks in: rounds and migrations.
 *
 * A client asks for the dirty pages of each of its memory sections in turn, and
 * then begins again. So a *round* of a source is a series of reports with no
 * range in it twice, and a *migration* is a series of rounds with no long pause
 * in it. What became dirty in a round became so since the round before, which
 * gives the rate; the first round of a migration has none.
 */
#ifndef IOVAB_ROUNDS_H
#define IOVAB_ROUNDS_H

#include "model.h"

/* A pause between two reports after which another migration has begun. */
#define ROUNDS_PAUSE_NS		(60 * 1000000000ULL)

struct iovab_round {
	__u64 start_ns, end_ns;		/* of its first and its last report; CLOCK_MONOTONIC */
	__u64 reports, errors;
	__u64 range_bytes;
	__u64 latency_ns;		/* spent in its reports */
	__u64 windows, windows_clean, repins, pages_pinned, pin_failures;
	__u64 lost_bytes, stray_bits;	/* at least, if ... */
	__u64 below_sets;		/* ... of so many reports not all marks were followed */
	struct iovab_value dirty_bytes;	/* unknown if a scan was skipped, or a tier dropped */
	struct iovab_ratio dirty_per_s;	/* not measured in a migration's first round */
	__u8 phase;			/* of its last report */
};

enum rounds_trend {
	ROUNDS_UNCLEAR,		/* too few rounds, or the rate is not known */
	ROUNDS_FALLING,
	ROUNDS_STEADY,
	ROUNDS_RISING,
};

/* Some rounds one after the other, and what they say together. */
struct iovab_migration {
	size_t first, n;		/* rounds */
	enum rounds_trend trend;
	struct iovab_ratio early_per_s, late_per_s;	/* mean dirty rate of its first and last third */
	/* the highest rate of its last third: what must be sent faster than that to converge */
	struct iovab_ratio needed_per_s;
	/* the last round with the device stopped, or where phases are unknown just the last one */
	bool has_stop, stop_known;
	struct iovab_round stop;	/* sums over those rounds */
};

struct rounds {
	struct iovab_round *rounds;
	size_t n, max;
	struct iovab_migration *migrations;
	size_t n_migrations, max_migrations;

	/* where ranges of the round that goes on begin */
	__u64 *seen;
	size_t n_seen, max_seen;
};

/* Start with zeroes. */
void rounds__free(struct rounds *r);

/* Takes the next report of the source, in the order of their ends; @tier is that of its facts. 0 or -ENOMEM. */
int rounds__add(struct rounds *r, const struct iovab_report_event *report, enum iovab_tier tier);

/* When there are no more reports: works out the migrations. 0 or -ENOMEM. */
int rounds__finish(struct rounds *r);

const char *rounds__trend_name(enum rounds_trend t);

#endif /* IOVAB_ROUNDS_H */
