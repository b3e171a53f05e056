/* SPDX-License-Identifier: GPL-2.0-only */
/* From the counters of a source to the figures of one scope, and their sums. */
#ifndef IOVAB_FIGURES_H
#define IOVAB_FIGURES_H

#include "model.h"

/*
 * Counters of @now since @before, which may have wrapped in between; the rest
 * of @delta is as in @now. Returns false if one went backwards: then they are
 * not the counters of the same load of the programs.
 */
bool figures__delta(struct iovab_source *delta, const struct iovab_source *now,
		    const struct iovab_source *before);

/* The figures of a source's total, or of a part of it (@part: a delta). */
void figures__of_total(struct iovab_figures *f, const struct iovab_source *total,
		       enum iovab_tier tier);
void figures__of_part(struct iovab_figures *f, const struct iovab_source *part,
		      enum iovab_tier tier);

/* Adds the totals of one row to a sum that began as zeroes. What is unknown in
 * one is unknown in the sum; what one does not measure is left out.
 */
void figures__add(struct iovab_figures *sum, const struct iovab_figures *f);
/* Computes what is not a plain sum: ratios and percentiles. */
void figures__finish(struct iovab_figures *sum);

#endif /* IOVAB_FIGURES_H */
