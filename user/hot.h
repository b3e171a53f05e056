/* SPDX-License-Identifier: GPL-2.0-only */
/* Which parts of IOVA space hold much of what was marked or dirtied. */
#ifndef IOVAB_HOT_H
#define IOVAB_HOT_H

#include "chunk.h"
#include "model.h"

#define HOT_RANGES	5	/* that are named, at most */

struct hot_range {
	__u64 iova, last;	/* inclusive */
	__u64 bytes;		/* dirtied, or marked, in it */
	double share;		/* of all that was */
};

/*
 * Runs of neighbouring cells with at least twice the mean of all @cells that something is
 * known of; the weightiest, in the order of IOVA. Cell i is that of @iova + (i <<
 * @shift), and ends inside the address space. Returns how many.
 */
size_t hot__find(struct hot_range hot[HOT_RANGES], const __u64 *bytes, size_t n, __u64 known_cells,
		 __u64 iova, unsigned int shift);

/* The same of a strip: what was dirtied. */
size_t hot__of_heat(struct hot_range hot[HOT_RANGES], const struct iovab_heat *h);

/*
 * Marks, by place. It begins with cells of 2 MiB, and they become larger as what was
 * marked lies further apart.
 */
struct hot_map;

struct hot_map *hot_map__new(void);	/* NULL: no memory */
void hot_map__free(struct hot_map *m);
/* A report's range: its marks may be anywhere in it. */
void hot_map__cover(struct hot_map *m, __u64 first, __u64 last);
/* Marks, as far as they lie in what is covered. */
void hot_map__add(struct hot_map *m, const struct run *run);
size_t hot_map__find(struct hot_range hot[HOT_RANGES], const struct hot_map *m);

#endif /* IOVAB_HOT_H */
