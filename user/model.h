/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The model: from facts to the figures that every view shows.
 *
 * model__update() takes the facts of one moment, keeps what it needs to
 * compute differences and rates (from monotonic time only), and produces a
 * snapshot. A view formats a const snapshot and computes nothing.
 */
#ifndef IOVAB_MODEL_H
#define IOVAB_MODEL_H

#include "facts.h"
#include "rounds.h"
#include "value.h"

/* Counters, in the order and with the names of the JSON contract (model__figure_name). */
enum iovab_figure {
	IOVAB_FIG_REPORTS,
	IOVAB_FIG_REPORT_ERRORS,
	IOVAB_FIG_RANGE_BYTES,
	IOVAB_FIG_WINDOWS,
	IOVAB_FIG_WINDOWS_CLEAN,
	IOVAB_FIG_REPINS,
	IOVAB_FIG_PAGES_PINNED,
	IOVAB_FIG_PIN_FAILURES,
	IOVAB_FIG_SCAN_SKIPPED,
	IOVAB_FIG_DIRTY_BYTES,
	IOVAB_FIG_SET_CALLS,
	IOVAB_FIG_MARKED_BYTES,
	IOVAB_FIG_REDUNDANT_BYTES,
	IOVAB_FIG_LOST_BYTES,
	IOVAB_FIG_OVERSHOOT_BYTES,
	IOVAB_FIG_STRAY_BITS,
	IOVAB_FIG_EMPTY_MARKS,
	IOVAB_FIG_WILD_MARKS,
	IOVAB_FIGURES
};

/*
 * A latency over a scope. Of a total, min and max are exact and the
 * percentiles are bucket-precise; of an interval, min and max are the edges of
 * the outermost buckets that grew (within the total's extremes).
 */
struct iovab_latency_figures {
	enum iovab_value_state state;	/* NOT_MEASURED also if nothing was counted */
	__u64 count, sum, min, max, p50, p90, p99;	/* ns, but for count */
};

/* One scope: the total since the start, or the last interval. */
struct iovab_figures {
	struct iovab_value fig[IOVAB_FIGURES];
	struct iovab_ratio density;		/* dirty / range bytes */
	struct iovab_ratio clean_share;		/* clean windows / windows */
	struct iovab_ratio windows_per_report;	/* churn: this and the next */
	struct iovab_ratio repins_per_report;
	struct iovab_latency_figures report_ns;
	struct iovab_latency_figures pin_ns;
	__u64 report_hist[IOVAB_HIST_BUCKETS];
	__u64 pin_hist[IOVAB_HIST_BUCKETS];
	__u64 density_hist[IOVAB_DENSITY_BUCKETS];	/* tier density and up */
	__u64 density_sum;				/* of the windows in it, in IOVAB_DENSITY_ONE */
	__u64 run_hist[IOVAB_RUN_BUCKETS];		/* tier sets */
	__u64 marks_ascending, marks_descending, marks_overlapping; /* tier sets */
	__u64 lost_by[IOVAB_LOST_REASONS];		/* tier sets: lost bytes, by reason */
	/* tier sets: what each policy would have pinned, in so many reports; unknown if 0 */
	__u64 what_if_reports;
	struct iovab_pins what_if[IOVAB_POLICIES];
	__u64 phase_reports[IOVAB_PHASES];		/* reports, by phase */
	__u64 phase_ns[IOVAB_PHASES];			/* and what they took */
	__u64 rounds;					/* see struct iovab_source */
};

/*
 * Where in IOVA space the dirty pages are: IOVAB_CELLS cells of
 * 1 << cell_shift bytes from iova on, fed from window events. It grows
 * (cells are merged in pairs) when a window lies outside it.
 */
struct iovab_heat {
	bool valid;
	__u64 iova;
	__u32 cell_shift;
	__u64 total_bytes[IOVAB_CELLS];		/* dirty bytes since the start */
	__u64 interval_bytes[IOVAB_CELLS];	/* in the last interval */
	__u64 seen_bytes[IOVAB_CELLS];		/* bytes of windows that covered the cell */
};

struct iovab_row {
	__u32 id;			/* of the row, from 1 on; never given twice by a model */
	__u32 source_id;		/* in the facts: stale rows may have the same one */
	enum iovab_client client;
	enum iovab_implementation implementation;
	char device[IOVAB_DEVICE_LEN];	/* raw; "" unknown */
	char driver[IOVAB_DRIVER_LEN];
	char vfio[IOVAB_VFIO_LEN];
	char comm[IOVAB_COMM_LEN];
	char vm[IOVAB_VM_LEN];
	__u32 pid;
	__u32 hwpt;
	bool devices_known;		/* of an HWPT, as of its last report: ... */
	__u32 n_devices;		/* ... so many are attached; the first are named */
	char devices[IOVAB_HWPT_DEVICES][IOVAB_DEVICE_LEN];
	enum iovab_phase phase;		/* of the last report */
	bool stale;			/* the owner is gone: nothing can change any more */
	bool idle;			/* no report ended in the last interval */

	__u64 range_iova, range_length, page_size;	/* of the last report; page_size 0: none yet */
	__u64 last_end_ns;		/* CLOCK_MONOTONIC, when that one ended; 0: none yet */
	struct iovab_figures total;
	bool has_interval;		/* false at the first sight of the source */
	struct iovab_figures interval;

	/* rates of the interval, a second; NOT_MEASURED without an interval */
	struct iovab_ratio reports_per_s;
	struct iovab_ratio dirty_bytes_per_s;

	__u32 reports_in_flight;
	__u64 oldest_in_flight_ns;	/* age of the oldest one */
	__u64 pages_pinned_now;
	struct iovab_heat heat;

	/* the last one, if the facts have reports and the tier has dirty bytes; n 0: none */
	struct iovab_migration migration;
};

/* A report that lost marks or overwrote memory. */
struct iovab_trouble {
	char device[IOVAB_DEVICE_LEN];	/* of its row, as it was then; raw */
	enum iovab_implementation implementation;
	__u32 hwpt;
	__u32 pid;
	char comm[IOVAB_COMM_LEN];
	double end_s;			/* since the first facts; < 0: before them */
	struct iovab_report_event report;
};

/* So many are kept, the first ones; the others are counted. */
#define MODEL_TROUBLES	64

struct iovab_snapshot {
	__u64 time_ns;			/* CLOCK_MONOTONIC at the moment of wall */
	struct timespec wall;
	double elapsed_s;		/* since the first facts */
	double interval_s;		/* 0 at the first facts */
	enum iovab_state state;
	enum iovab_tier tier;
	const char *generation;		/* NULL while waiting */
	__u64 bandwidth;		/* bytes a second that a migration can send; 0: not known */

	struct iovab_losses losses;	/* totals, of all loads of the programs */
	__u64 events_lost;		/* sum of those that make totals too small */
	__u64 heat_unplaced;		/* window events that no row's strip shows: no such source, or nonsense */
	struct iovab_ratio bpf_share;	/* of one CPU, in the interval */
	struct iovab_ratio collector_share; /* of one CPU, in the interval */
	struct iovab_cost_fact cost;	/* since the start */

	const struct iovab_row *rows;	/* in order of appearance */
	size_t n_rows;
	struct iovab_figures sum;	/* totals over all rows, and those no longer kept */
	__u64 rows_folded;		/* how many stale rows are no longer kept */
	__u32 reports_in_flight;
	__u64 pages_pinned_now;

	const struct iovab_trouble *troubles;	/* since the start, in order */
	size_t n_troubles;
	__u64 more_troubles;		/* reports in trouble that are not among them */
};

struct model;

/* Returns NULL with errno set. */
struct model *model__new(void);
void model__free(struct model *m);

/*
 * Stale rows of sources that vanished from the facts are kept, so that no total
 * is lost; above this many the first ones are folded into the sum.
 */
#define MODEL_MAX_VANISHED	4096

/* Keeps at most @max of them, for somebody who has no use for old rows. */
void model__set_max_vanished(struct model *m, size_t max);

/* Bytes a second that a migration can send, for whoever says whether it converges. */
void model__set_bandwidth(struct model *m, __u64 bytes);

/*
 * Takes the facts of one moment. The snapshot it produces belongs to the model
 * and lives until the next update or free. Returns NULL with errno set when
 * memory runs out; the model is then as before.
 */
const struct iovab_snapshot *model__update(struct model *m, const struct iovab_facts *facts);

/* The field's name in the JSON contract, and the lowest tier that measures it. */
const char *model__figure_name(enum iovab_figure f);
enum iovab_tier model__figure_tier(enum iovab_figure f);

const char *model__client_name(enum iovab_client c);	/* NULL if unknown */
const char *model__implementation_name(enum iovab_implementation i);
const char *model__tier_name(enum iovab_tier t);
const char *model__phase_name(enum iovab_phase p);	/* NULL if unknown */
const char *model__policy_name(enum iovab_policy_id p);
const char *model__lost_text(enum iovab_lost reason, enum iovab_implementation i);	/* in words: why */

/* The kinds of losses, in the order of struct iovab_losses. */
#define MODEL_LOSSES	(sizeof(struct iovab_losses) / sizeof(__u64))
const char *model__loss_name(unsigned int i);
__u64 model__loss(const struct iovab_losses *l, unsigned int i);
void model__set_loss(struct iovab_losses *l, unsigned int i, __u64 v);
/* True if it makes totals too small: it is part of events_lost. */
bool model__loss_counts(unsigned int i);

#endif /* IOVAB_MODEL_H */
