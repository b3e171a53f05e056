// SPDX-License-Identifier: GPL-2.0-only
/*
 * The oldest quarter of the finest detail goes: marks first, then windows, then reports,
 * then moments. Of the moments that go, the last counters of each source (and
 * whatever else is written only when it changes) move to the first moment that
 * stays, so no total is lost. The file does not shrink: sqlite uses the room again.
 */
#include "prune.h"

#include <stdbool.h>
#include <stdio.h>

#include "recording.h"

/* What is left of the limit, in sixteenths. */
#define LEFT	11

/* The first quarter of a table's rows, but never less than one. */
#define QUARTER(of) "FROM \"" of "\" WHERE rowid <= " \
	"(SELECT min(rowid) + (max(rowid) - min(rowid)) / 4 FROM \"" of "\")"

/* Takes a quarter of a table's rows out. How many; -1: it failed. */
static long drop(sqlite3 *db, const char *sql)
{
	return recording__run(db, sql) ? -1 : sqlite3_changes(db);
}

/* Likewise the finest detail that there is; adds to @pruned what went. */
static long drop_detail(sqlite3 *db, struct pruned *pruned)
{
	__u64 marks = recording__ask(db, "SELECT sum(marks) " QUARTER("marks"));
	long n = drop(db, "DELETE " QUARTER("marks"));

	if (n) {
		pruned->marks += n > 0 ? marks : 0;
		return n;
	}
	n = drop(db, "DELETE " QUARTER("window"));
	n = n ? n : drop(db, "DELETE " QUARTER("report"));
	pruned->events += n > 0 ? (__u64)n : 0;
	return n;
}

/* Takes the first quarter of the moments out; their last counters move to the next one. */
static bool drop_moments(sqlite3 *db)
{
	unsigned long long keep;
	char sql[1024];

	/* a few are always kept: without two there is no interval */
	if (recording__ask(db, "SELECT count(*) FROM moment") < 8)
		return false;
	keep = recording__ask(db, "SELECT min(id) FROM moment WHERE id > "
		      "(SELECT min(id) + (max(id) - min(id)) / 4 FROM moment)");
	snprintf(sql, sizeof(sql),
		 "UPDATE counters SET moment=%llu WHERE moment < %llu AND rowid IN "
		 "(SELECT max(rowid) FROM counters WHERE moment <= %llu GROUP BY source);"
		 "DELETE FROM counters WHERE moment < %llu;"
		 "UPDATE attached SET moment=%llu WHERE moment < %llu;"
		 "UPDATE loss SET moment=%llu WHERE moment < %llu;"
		 "UPDATE source SET came=%llu WHERE came < %llu;"
		 "UPDATE source SET \"left\"=%llu WHERE \"left\" BETWEEN 1 AND %llu;"
		 "DELETE FROM live WHERE moment < %llu;"
		 "DELETE FROM moment WHERE id < %llu",
		 keep, keep, keep, keep, keep, keep, keep, keep, keep, keep, keep + 1, keep, keep,
		 keep);
	return !recording__run(db, sql);
}

static __u64 bytes_used(sqlite3 *db)
{
	__u64 pages = recording__ask(db, "PRAGMA page_count"), unused = recording__ask(db, "PRAGMA freelist_count");

	return (pages - unused) * recording__ask(db, "PRAGMA page_size");
}

void prune__make_room(sqlite3 *db, __u64 limit, unsigned int sixteenths, struct pruned *pruned)
{
	struct pruned sum = *pruned;
	bool more = true;
	int i;

	if (bytes_used(db) < limit / 16 * sixteenths || recording__run(db, "BEGIN IMMEDIATE"))
		return;
	for (i = 0; more && i < 64 && bytes_used(db) > limit / 16 * LEFT; i++) {
		long n = drop_detail(db, &sum);

		more = n ? n > 0 : drop_moments(db);
	}
	if (!recording__set_meta_number(db, "marks_pruned", sum.marks) &&
	    !recording__set_meta_number(db, "events_pruned", sum.events) &&
	    !recording__run(db, "COMMIT"))
		*pruned = sum;
	else
		recording__run(db, "ROLLBACK");
}
