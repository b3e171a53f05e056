/* SPDX-License-Identifier: GPL-2.0-only */
/* The rows that a model keeps: a part of it, see model.h for what they hold. */
#ifndef IOVAB_ROWS_H
#define IOVAB_ROWS_H

#include "model.h"

struct entry;

/* Begins as zeroes. Only rows.c touches what is marked as its own. */
struct rows {
	struct iovab_row *rows;		/* in order of appearance */
	size_t n;
	__u64 n_folded;			/* how many are no longer kept */

	/* rows.c's own */
	struct entry *entries;
	struct convergence_member *members;	/* room for as many as there are rows */
	size_t capacity, n_vanished;
	size_t max_vanished;		/* 0: MODEL_MAX_VANISHED */
	__u32 last_id;
	__u32 *index;			/* hash of source ids: position + 1, 0 free */
	size_t index_size;		/* a power of two, at least twice n */
	struct iovab_figures folded;	/* totals of the rows that are no longer kept */
	bool started;			/* there were facts before, ... */
	__u64 before_ns;		/* ... at that time */
};

void rows__free(struct rows *r);

/* Makes room for @more rows. -ENOMEM leaves them as they were, but for where they are. */
int rows__reserve(struct rows *r, size_t more);

/* Takes the sources of the facts, @seconds after those before; there must be room. */
void rows__update(struct rows *r, const struct iovab_facts *facts, double seconds);

/* The row of a source that is in these facts; NULL if there is none. */
struct iovab_row *rows__find(struct rows *r, __u32 source_id);

/*
 * Follows the reports of the facts, whose sources are in already, and judges the
 * migrations that they make up.
 */
void rows__follow(struct rows *r, const struct iovab_facts *facts);

/* The totals of all rows, those that are no longer kept too. */
void rows__sum(const struct rows *r, struct iovab_figures *sum);

#endif /* IOVAB_ROWS_H */
