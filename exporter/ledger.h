/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ledger: one account a label set, kept over all snapshots.
 *
 * The model has a row a source, that is a device and one owner of it. Owners
 * come and go, and Prometheus does not see them; its counters must only grow.
 * So each account adds up what the rows with its labels grow by, and a row that
 * is gone takes nothing away.
 *
 * An account leaves LEDGER_GONE_NS after the last owner behind it has ended.
 * There are at most LEDGER_MAX_ACCOUNTS: what comes when it is full goes to one
 * account that stands for all of those, and stays there.
 */
#ifndef IOVAB_LEDGER_H
#define IOVAB_LEDGER_H

#include "migration.h"
#include "model.h"
#include "tally.h"

#define LEDGER_GONE_NS		(600 * 1000000000ULL)
#define LEDGER_MAX_ACCOUNTS	1000
#define LEDGER_FOLDED_LABELS	"folded=\"yes\""

struct account {
	char *labels;		/* its own; as labels.h makes them */
	__u64 hash;		/* of these */
	struct tally sum;
	struct migration last;	/* of those behind it, the one that ended last */

	/* now, over its rows */
	__u64 pages_pinned_now;
	__u64 reports_in_flight;
	__u64 oldest_in_flight_ns;

	/* of the row that was first seen last, for iovab_device_info */
	char vfio[IOVAB_VFIO_LEN];
	enum iovab_implementation implementation;

	__u64 alive_ns;		/* when it last had an owner */
};

struct ledger;

/* NULL with errno set. */
struct ledger *ledger__new(void);
void ledger__free(struct ledger *l);

/* Takes a snapshot. -ENOMEM: not all of it is in the accounts, the next one may be. */
int ledger__update(struct ledger *l, const struct iovab_snapshot *s);

/* The accounts, @n of them. They live until the next update. */
struct account *const *ledger__accounts(const struct ledger *l, size_t *n);

/* How many sources went to the account of those that there was no room for. */
__u64 ledger__folded(const struct ledger *l);

/* True if a report ended since the last snapshot, or is under way. */
bool ledger__busy(const struct ledger *l);

#endif /* IOVAB_LEDGER_H */
