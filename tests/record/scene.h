/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A made-up migration, as facts: what a recorder is fed with where there is no
 * kernel. Counters, reports and windows of it agree with each other.
 */
#ifndef IOVAB_SCENE_H
#define IOVAB_SCENE_H

#include "facts.h"

struct scene_options {
	unsigned int devices;
	unsigned int rounds;	/* of each device, one in two moments; the last is the stop-copy */
	enum iovab_tier tier;
	bool marks;		/* tier sets: each mark, too */
	bool hostile;		/* names with markup, escapes and bytes that are no text */
	bool lossy;		/* marks are lost */
};

struct scene;

/* NULL: no memory. */
struct scene *scene__new(const struct scene_options *o);
void scene__free(struct scene *s);

/* The facts of the next moment, a second later; NULL: it is over. */
const struct iovab_facts *scene__next(struct scene *s);

#endif /* IOVAB_SCENE_H */
