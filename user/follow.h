/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The marks of a recording, report by report, through a policy of pinning.
 *
 * A report is followed if it came to a good end, as live, and if the recording has all
 * of its marks: some may have been lost on their way, or dropped to keep the file small.
 * The others are counted, so that nobody takes a part for the whole.
 */
#ifndef IOVAB_FOLLOW_H
#define IOVAB_FOLLOW_H

#include "error.h"
#include "facts.h"
#include "policy.h"

/* What became of a source's reports. */
struct follow_row {
	__u32 source_id;
	__u64 followed;
	__u64 ended_badly;	/* an error, a failed pin, an empty mark: no policy says what then */
	__u64 incomplete;	/* the recording has not all of their marks */
	/* of those that were followed */
	__u64 marks;
	struct iovab_pins pins;		/* by the policy ... */
	struct iovab_pins observed;	/* ... and by the kernel that was recorded */
};

struct follow;

struct follow *follow__new(const struct policy_options *o);	/* NULL: no memory */
void follow__free(struct follow *f);

/* The facts of the next moment. -1 with @e set: no memory, or damaged marks. */
int follow__add(struct follow *f, const struct iovab_facts *facts, struct iovab_error *e);

/* One for each source that a report of was seen, in the order of their first. */
const struct follow_row *follow__rows(const struct follow *f, size_t *n);

#endif /* IOVAB_FOLLOW_H */
