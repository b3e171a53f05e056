/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * From single reports to what a person thinks in: rounds and migrations.
 *
 * A client asks for the dirty pages of each of its memory sections in turn, and
 * then begins again. So a *round* of a source is a series of reports with no
 * range in it twice, and a *migration* is a series of rounds for which the device's
 * logging was started once or, where that was not seen, with no long pause in it. What
 * became dirty in a round became so since the round before, which gives the rate; the
 * first round of a migration has none.
 *
 * Does a migration converge? While a client sends what one round has found, the
 * device dirties what the next one will find. If that is less each time, the end
 * comes; if it is as much again, it does not come by itself, whatever the rate is:
 * a device that writes at a steady rate has a steady rate in both cases. So the
 * *trend* is that of the dirty bytes of a round, of the last ROUNDS_JUDGED ones.
 * What the link carries is not known here. But in a migration that does not converge
 * it carries no more than is dirtied, so more than that rate is needed.
 *
 * Two users: one keeps every round, to list them; the other one (keep_last) is
 * there for as long as its program runs, and keeps what it needs for the trend.
 */
#ifndef IOVAB_ROUNDS_H
#define IOVAB_ROUNDS_H

#include <stdbool.h>
#include <stddef.h>

#include "iovab.h"
#include "value.h"

/* A pause between two reports after which another migration has begun. */
#define ROUNDS_PAUSE_NS		(300 * 1000000000ULL)

/* A trend is made from so many rounds at most, half of them against the other half ... */
#define ROUNDS_JUDGED		6
/* ... and from so many at least. */
#define ROUNDS_LEAST		4
/* What changed by less than this factor from one half to the other is steady. */
#define ROUNDS_CHANGE		1.25

struct iovab_round {
	__u64 start_ns, end_ns;		/* of its first and its last report; CLOCK_MONOTONIC */
	__u64 reports, errors;
	__u64 range_bytes;
	__u64 latency_ns;		/* spent in its reports */
	__u64 windows, windows_clean, repins, pages_pinned, pin_failures;
	__u64 lost_bytes, stray_bits;
	struct iovab_value dirty_bytes;	/* unknown if a scan was skipped, or reports are missing */
	struct iovab_ratio dirty_per_s;	/* not measured in a migration's first round */
	__u8 phase;			/* of its last report */
	__u16 logging;			/* as in struct iovab_report_event */
};

enum rounds_trend {
	ROUNDS_UNCLEAR,		/* too few rounds, or what they dirtied is not known */
	ROUNDS_FALLING,		/* by a fifth or more */
	ROUNDS_STEADY,
	ROUNDS_RISING,
};

/* Of all devices that migrate together: see convergence.h. */
enum iovab_verdict {
	IOVAB_VERDICT_NOT_MEASURED,	/* the tier has no dirty bytes */
	IOVAB_VERDICT_UNKNOWN,		/* nor have some of its rounds */
	IOVAB_VERDICT_EARLY,		/* too few rounds to tell */
	IOVAB_VERDICT_CONVERGES,	/* a round dirties less than the ones before it */
	IOVAB_VERDICT_STUCK,		/* it does not: there is no end to come by itself */
	IOVAB_VERDICT_ENDED,		/* the devices were stopped for the last round */
};

/* Some rounds one after the other, and what they say together. */
struct iovab_migration {
	size_t first, kept;		/* rounds that are there, of ... */
	size_t n;			/* ... so many; 0: there is no migration */
	bool first_gone;		/* its first round is not among them */
	__u64 start_ns, end_ns;		/* of its first and its last report */

	size_t judged;			/* rounds that the following is made from, the device running */
	enum rounds_trend trend;
	struct iovab_ratio early_bytes, late_bytes;	/* mean dirty bytes of a round, by halves */
	struct iovab_ratio early_per_s, late_per_s;	/* and mean dirty rate */
	/* the highest rate of them: what must be sent faster than that to converge */
	struct iovab_ratio needed_per_s;
	struct iovab_ratio round_s;	/* mean length of a round of the later half */
	size_t stuck_rounds;		/* after so many of all rounds the trend was not falling; ... */
	struct iovab_ratio stuck_per_s;	/* ... the highest rate needed then; known if there were any */

	/* the last round with the device stopped, or where phases are unknown just the last one */
	bool has_stop, stop_known;
	bool phase_known;		/* of any round */
	struct iovab_round stop;	/* sums over those rounds */

	/* convergence__judge() fills these in */
	enum iovab_verdict verdict;
	size_t devices;			/* rows that migrate together, this one too; ... */
	__u64 all_start_ns;		/* ... the first of their first reports tells them from others */
	struct iovab_ratio all_early_bytes, all_late_bytes, all_needed_per_s;	/* sums over them */
	struct iovab_ratio all_stuck_per_s;	/* while it did not converge, if it ever did not */
	struct iovab_ratio share;	/* this one's of what they dirty */
	bool hinders;			/* it is one of the fewest that dirty nine tenths of it */
};

struct rounds {
	bool keep_last;			/* to be set at the start: see above */

	struct iovab_round *rounds;
	size_t n, max;
	struct iovab_migration *migrations;
	size_t n_migrations, max_migrations;

	/* where ranges of the round that goes on begin */
	__u64 *seen;
	size_t n_seen, max_seen;

	/* what rounds__expect() goes by */
	__u64 added, counted;		/* reports of the source: that were told of, that it had counted */
	bool doubt;			/* some are missing where the next ones come from */
};

/* Start with zeroes. */
void rounds__free(struct rounds *r);

/* Takes the next report of the source, in the order of their ends. 0 or -ENOMEM: it is left out. */
int rounds__add(struct rounds *r, const struct iovab_report_event *report, enum iovab_tier tier);

/*
 * With each facts, before their reports are added: they have @reports of the source, which
 * has counted @counted. Counters are read behind the reports, so all that had been
 * counted at the facts before must be there by now. If it is not, what the rounds that
 * these reports belong to dirtied is unknown. @since: false if the source was not in the
 * facts before, so that nobody knows which of its reports are to come.
 */
void rounds__expect(struct rounds *r, __u64 reports, __u64 counted, bool since);

/* Works out the last migration as far as it has come; the others are. Reports may follow. */
void rounds__settle(struct rounds *r);

const char *rounds__trend_name(enum rounds_trend t);
const char *rounds__verdict_name(enum iovab_verdict v);	/* NULL: unknown or not measured */

#endif /* IOVAB_ROUNDS_H */
