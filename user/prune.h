/* SPDX-License-Identifier: GPL-2.0-only */
/* A recording that stays small: the oldest detail goes, totals never. */
#ifndef IOVAB_PRUNE_H
#define IOVAB_PRUNE_H

#include <linux/types.h>
#include <sqlite3.h>

/*
 * If more than @sixteenths of @limit bytes are used, drops detail until it is
 * clearly less, in a transaction of its own. Adds to *@events the windows and
 * reports that went. What fails changes nothing.
 */
void prune__make_room(sqlite3 *db, __u64 limit, unsigned int sixteenths, __u64 *events);

#endif /* IOVAB_PRUNE_H */
