/* SPDX-License-Identifier: GPL-2.0-only */
/* A recording that stays small: the oldest detail goes, totals never. */
#ifndef IOVAB_PRUNE_H
#define IOVAB_PRUNE_H

#include <linux/types.h>
#include <sqlite3.h>

/* What went. */
struct pruned {
	__u64 marks;
	__u64 events;	/* windows and reports */
};

/*
 * If more than @sixteenths of @limit bytes are used, drops detail until it is
 * clearly less, in a transaction of its own. Adds what went to *@pruned. What fails
 * changes nothing.
 */
void prune__make_room(sqlite3 *db, __u64 limit, unsigned int sixteenths, struct pruned *pruned);

#endif /* IOVAB_PRUNE_H */
