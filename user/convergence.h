/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Does a migration come to its end? That is a matter of all devices that migrate
 * together, those of one owner at one time: they share the link and the rounds. A
 * device that dirties little in rounds that another one makes long does so for ever,
 * and is not to blame. So the verdict is made from the sums, and the devices that are
 * named are the fewest that dirty nine tenths of it.
 *
 * What CPUs dirty passes no iova_bitmap, and is not in it. So the bandwidth that is
 * named is what the devices need, and not all of it.
 */
#ifndef IOVAB_CONVERGENCE_H
#define IOVAB_CONVERGENCE_H

#include "flow.h"
#include "model.h"

/* A migration of a row, and whose row that is. */
struct convergence_member {
	__u32 pid;
	struct iovab_migration *migration;
};

/* Judges them all; @members is sorted for that. */
void convergence__judge(struct convergence_member *members, size_t n);

/* One of few words, for a column: "no", "(no)" if another device is why, "yes", ... */
const char *convergence__short(const struct iovab_migration *m);

/*
 * The verdict in words of @f: what is known, what it needs, and this device's part.
 * @bandwidth: bytes a second that can be sent, 0 if that is not known.
 */
void convergence__put(struct flow *f, const struct iovab_migration *m, __u64 bandwidth);

/*
 * One sentence on the migration that row number @i of the snapshot is of: which VM it
 * is, and which devices hinder it. False, and nothing, if it does not fail to converge
 * or an earlier row is of the same one.
 */
bool convergence__put_stuck(struct flow *f, const struct iovab_snapshot *s, size_t i);

/* Such a sentence a line, for all that there are; their number. */
size_t convergence__write_stuck(FILE *out, const struct iovab_snapshot *s, unsigned int width,
				enum text_charset cs);

#endif /* IOVAB_CONVERGENCE_H */
