/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A tally: the counters of a row as Prometheus gets them, small enough to be
 * remembered for each row, and made to be added up over many.
 */
#ifndef IOVAB_TALLY_H
#define IOVAB_TALLY_H

#include "model.h"

/* Buckets, the endless one included. */
#define TALLY_REPORT_BUCKETS	17
#define TALLY_PIN_BUCKETS	12
#define TALLY_DENSITY_BUCKETS	(IOVAB_DENSITY_BUCKETS + 1)

/*
 * Begins as zeroes: nothing measured. While a tier is dropped its figures do not grow:
 * they are those of the reports that were measured at it, and `below` says how many
 * were not.
 */
struct tally {
	struct iovab_value fig[IOVAB_FIGURES];
	__u64 rounds;
	__u64 report[TALLY_REPORT_BUCKETS];
	__u64 report_ns;
	__u64 pin[TALLY_PIN_BUCKETS];
	__u64 pin_ns;
	bool density_measured;
	__u64 density[TALLY_DENSITY_BUCKETS];
	__u64 density_sum;	/* in IOVAB_DENSITY_ONE */
	__u64 below[IOVAB_TIER_SETS + 1];	/* as in struct iovab_figures */
	bool marks_measured;		/* tier sets; so are the next two */
	__u64 lost_by[IOVAB_LOST_REASONS];
	__u64 what_if_reports;
	struct iovab_pins what_if[IOVAB_POLICIES];
};

void tally__of_row(struct tally *t, const struct iovab_row *row, enum iovab_tier tier);

/*
 * Adds to @sum what @now has more than @before, which is an earlier tally of
 * the same row, or zeroes. What is unknown in @now is unknown in the sum from
 * then on; so is a figure that went back, for a counter must not.
 */
void tally__add_growth(struct tally *sum, const struct tally *now, const struct tally *before);

/*
 * The upper edges of the buckets but the last, as label values. They are in
 * their bucket: latencies are whole nanoseconds and the kernel's buckets end
 * before a power of two, so an edge is one less.
 */
const char *const *tally__report_edges(void);
const char *const *tally__pin_edges(void);
const char *const *tally__density_edges(void);

#endif /* IOVAB_TALLY_H */
