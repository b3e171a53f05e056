/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The marks of a report, followed through a policy of pinning: what it would have pinned.
 * The same rules as live (bpf/whatif.h), but with all memory that it takes.
 */
#ifndef IOVAB_POLICY_RUN_H
#define IOVAB_POLICY_RUN_H

#include "chunk.h"
#include "iovab.h"

/* Windows' first pages that are remembered of a report: repins beyond are unknown. */
#define POLICY_MAX_STARTS	(1U << 20)

/* Tables that the reference may keep at most: as many as one can search for a mark. */
#define POLICY_MAX_TABLES	1024

struct policy_options {
	enum iovab_policy_id id;
	__u32 tables;		/* cached: kept at a time; 1 to POLICY_MAX_TABLES */
};

struct policy;

/* For a report with this layout. NULL: no memory. */
struct policy *policy__new(const struct policy_options *o, const struct iovab_layout *layout);
void policy__free(struct policy *p);

/*
 * The next runs; at least one of them must come to a pause (policy__pause) now and then.
 * 0; -ENOMEM; -E2BIG: more work than marks that were ever made can be.
 */
int policy__run(struct policy *p, const struct run *run);

/* Work is counted from here on anew: a chunk begins. */
void policy__pause(struct policy *p);

/* What it comes to. */
const struct iovab_pins *policy__pins(const struct policy *p);

#endif /* IOVAB_POLICY_RUN_H */
