/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The reference: the programs on the tracepoints of the reference implementation's
 * module, loaded when that is there.
 *
 * They put what they count into the facility's maps, so there is one list of sources and
 * one ring of events; reports in flight and losses they keep to themselves.
 */
#ifndef IOVAB_REFERENCE_H
#define IOVAB_REFERENCE_H

#include <stddef.h>

#include "iovab.h"
#include "programs.h"

struct iovab_bpf;
struct reference;

/*
 * Loads and attaches them, as the facility's programs in @bpf are set; its maps must be
 * there. NULL with errno set: nothing is left attached.
 */
struct reference *reference__attach(struct iovab_bpf *bpf);
void reference__free(struct reference *r);	/* takes NULL, too; so do the others */

/*
 * Puts another tier in force, as struct iovab_bpf's tier_word has it: the program on set
 * goes when nobody needs it, and comes back. 0 or -errno: it cannot be attached again.
 */
int reference__use_tier(struct reference *r, __u64 tier_word);

/* The slots of reports in flight; *@n of them, 0 if there is no report. */
const volatile struct iovab_slot *reference__slots(const struct reference *r, size_t *n);
/* What their marks come to, by slot. NULL without a reference. */
const volatile struct iovab_series *reference__series(const struct reference *r);

/* Adds what they lost, and what the kernel knows of them. */
void reference__add_losses(const struct reference *r, struct iovab_losses *sum);
void reference__add_programs(const struct reference *r, struct programs_sum *sum);

#endif /* IOVAB_REFERENCE_H */
