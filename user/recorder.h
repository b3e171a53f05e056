/* SPDX-License-Identifier: GPL-2.0-only */
/* A recording being written: facts go in, a collection at a time. */
#ifndef IOVAB_RECORDER_H
#define IOVAB_RECORDER_H

#include "error.h"
#include "facts.h"
#include "prune.h"

/* Below this there is no room for what is never dropped. */
#define RECORDER_MIN_SIZE	(8ULL << 20)

struct recorder_options {
	const char *path;
	__u64 max_bytes;	/* of the file and its log; 0: no limit */
	const char *command;	/* what is being watched, for the reader; or NULL */
};

/* What has become of it so far. */
struct recorder_state {
	__u64 moments, reports, windows, marks;	/* written */
	__u64 moments_failed;			/* not written: no room on the file system */
	__u64 events_failed;			/* windows and reports that these had */
	__u64 marks_failed;			/* marks that could not be written */
	struct pruned pruned;			/* taken out again, to stay below max_bytes */
	__u64 bytes;				/* of the file */
};

struct recorder;

/*
 * Makes the file, which must not be there yet; it appears at once with its
 * schema. NULL with @e set, and no file.
 */
struct recorder *recorder__new(const struct recorder_options *o, struct iovab_error *e);

/*
 * Writes the facts of one moment in one transaction, and its marks, which may be many,
 * in others before it. A full file system is no
 * error: the moment is counted as failed, and the next one holds its totals.
 * -1 with @e set for anything else.
 */
int recorder__write(struct recorder *r, const struct iovab_facts *facts, struct iovab_error *e);

const struct recorder_state *recorder__state(const struct recorder *r);

/*
 * Marks the recording as ended and makes one file of it. Frees @r, which may be
 * NULL, in any case. -1 with @e set.
 */
int recorder__end(struct recorder *r, struct iovab_error *e);
/* Gives up: what was written stays. */
void recorder__free(struct recorder *r);

#endif /* IOVAB_RECORDER_H */
