/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The collector: from the session's maps and ring to facts.
 *
 * It decodes and adds what /proc knows of the owners; it computes no figure.
 */
#ifndef IOVAB_COLLECTOR_H
#define IOVAB_COLLECTOR_H

#include "error.h"
#include "facts.h"
#include "session.h"

struct collector;

/* The session must outlive the collector. NULL with errno set. */
struct collector *collector__new(struct session *s);
void collector__free(struct collector *c);

/*
 * Takes events out of the kernel's ring, which holds about 3,000 windows. To be
 * called a few times a second if the session wants events, so that none is
 * dropped between two collections.
 */
void collector__drain(struct collector *c);

/*
 * Does that, and keeps to the budget of the session, if it has one: lowers the tier or
 * raises it again. A budget is only as quick as this is called: five times a second.
 */
void collector__tick(struct collector *c);

/*
 * The facts of this moment, also while the session is still waiting. They
 * belong to the collector and live until the next call. NULL with @e set.
 */
const struct iovab_facts *collector__collect(struct collector *c, struct iovab_error *e);

#endif /* IOVAB_COLLECTOR_H */
