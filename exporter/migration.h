/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The last migration of a source, as its reports tell it.
 *
 * A migration is a row of reports of one device and owner in which none comes
 * MIGRATION_GAP_NS or more after the one before. It has no beginning and end of
 * its own that could be seen here, so what is kept stays as it was at its last
 * report until another one begins.
 */
#ifndef IOVAB_MIGRATION_H
#define IOVAB_MIGRATION_H

#include "model.h"

#define MIGRATION_GAP_NS	(300 * 1000000000ULL)

/* Begins as zeroes: none was seen. */
struct migration {
	__u64 last_end_ns;		/* CLOCK_MONOTONIC, end of its last report; 0: none was seen */
	__u64 end_unix_ns;		/* the same as wall clock time */
	__u64 rounds;
	struct iovab_ratio peak;	/* most dirty bytes a second from round to round */
	struct iovab_value downtime_ns;	/* in reports of the phase stop-copy */

	/* migration.c's own */
	__u64 reports;			/* of the source, at the last look */
	__u64 rounds_before;		/* of the source, when it began; and so the next three */
	__u64 below_before;		/* reports that were not scanned, for the tier was dropped */
	__u64 unknown_before;		/* reports of no known phase */
	__u64 stopped_ns_before;	/* time of reports in stop-copy */
	__u64 below_seen, unknown_seen, stopped_ns_seen;	/* at the last look */
	__u64 mark_end_ns, mark_dirty, mark_rounds;	/* a moment between two rounds; 0: none yet */
};

/* Takes the row as it is in @s. */
void migration__follow(struct migration *m, const struct iovab_row *row,
		       const struct iovab_snapshot *s);

#endif /* IOVAB_MIGRATION_H */
