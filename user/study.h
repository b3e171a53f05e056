/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All that a recording says, worked out once for every view of it: the model's
 * last snapshot (the totals), and per row its rounds, its course in time and
 * its heat in time. A recording may be larger than memory: it is gone through once,
 * and what is kept is bounded by rows, rounds and STUDY_BINS.
 */
#ifndef IOVAB_STUDY_H
#define IOVAB_STUDY_H

#include "hot.h"
#include "model.h"
#include "replay.h"
#include "rounds.h"

#define STUDY_BINS	240	/* a recording's time is cut into so many at most */

/* A row's figures in one bin of time. */
struct study_bin {
	bool seen;		/* at least one interval of the row ended in it */
	double seconds;		/* of the intervals that did */
	__u64 reports, report_ns_sum, report_ns_max;
	__u64 windows, windows_clean, repins, pages_pinned;
	__u64 dirty_bytes;
	bool dirty_unknown;
	struct iovab_heat *heat;	/* of the windows that ended in it; NULL: none did */
};

struct study_row {
	__u32 row_id;			/* as in struct iovab_row */
	__u32 pid;
	struct rounds rounds;
	__u64 told;			/* reports of it in the facts at hand */
	struct study_bin *bins;		/* study.n_bins of them; NULL: nothing was in any */
	/* from its marks, which are finer, if the recording has any; else from what was dirtied */
	struct hot_range hot[HOT_RANGES];
	size_t n_hot;
	bool hot_marks;
	struct hot_map *marks;		/* NULL: it has none */
};

struct study {
	const struct replay_about *about;
	const struct iovab_snapshot *last;	/* its rows and the study's belong together by id */
	struct timespec first_wall;
	__u64 first_ns, last_ns;
	size_t n_moments;
	__u64 bin_ns;
	size_t n_bins;
	struct study_row *rows;		/* in the order of the snapshot's */
	size_t n_rows;

	struct replay *replay;
	struct model *model;
	struct chunk_reader *reader;
	size_t max_rows;
};

/* Goes through a recording. NULL with @e set. */
struct study *study__new(const char *path, struct iovab_error *e);
void study__free(struct study *s);

/* What the study knows of a row of its last snapshot; NULL: nothing. */
const struct study_row *study__row(const struct study *s, const struct iovab_row *row);

/* Anything that makes the figures less than the truth. */
bool study__has_loss(const struct study *s);

#endif /* IOVAB_STUDY_H */
