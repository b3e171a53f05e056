/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the BPF programs and user space share: keys, counters and events.
 *
 * BPF records facts and nothing else: every figure that a user sees is
 * computed by user/model.c from these. All records have fixed width and
 * explicit padding, so that one header serves both sides.
 *
 * A *source* is what a row of iovabtop shows: one device (or HWPT) as used by
 * one owner process. Its counters live in a BPF map from the first report on
 * and only grow; a report's figures are added to them when the report ends,
 * so that the counters of a source always agree with each other.
 *
 * Byte figures that are "pages x page size" use the page size of the report
 * they come from, that is the IOVA range which one bit of its bitmap stands
 * for, never the page size of the CPU.
 */
#ifndef IOVAB_H
#define IOVAB_H

#include <linux/types.h>

#include "iovab_policy.h"

#define IOVAB_DEVICE_LEN	64	/* kernel device names, longer ones are cut */
#define IOVAB_DRIVER_LEN	32
#define IOVAB_VFIO_LEN		16	/* "vfio4294967" fits */
#define IOVAB_COMM_LEN		16	/* TASK_COMM_LEN */
#define IOVAB_HWPT_DEVICES	16	/* devices of a HWPT that are named */

#define IOVAB_MAX_SOURCES	2048	/* rows: device x owner */
#define IOVAB_MAX_STARTS	(1U << 18)	/* windows with a first page of their own, in flight */
#define IOVAB_MAX_REPORTS	16384	/* reports in flight; a power of two */

/* The tiers of cost; each measures all that the one before it does. */
enum iovab_tier {
	IOVAB_TIER_WINDOWS = 1,
	IOVAB_TIER_DENSITY = 2,
	IOVAB_TIER_SETS = 3,
};

/*
 * The tier in force, which user space lowers while the programs cost too much, and
 * raises again. In one word with it, so that both change at once: how often the
 * program on set was taken off, after which what a report knows of its marks is not
 * all of them.
 */
#define IOVAB_TIER_WORD(tier, times_off)	((__u64)(times_off) << 8 | (tier))
#define IOVAB_TIER_OF(word)			((__u32)((word) & 0xff))
#define IOVAB_TIMES_OFF(word)			((word) >> 8)

/* When the kernel pins the user bitmap. */
enum iovab_generation {
	IOVAB_GENERATION_UNKNOWN = 0,
	IOVAB_EAGER = 1,	/* v6.1 to v6.7: each window in turn, dirty or not */
	IOVAB_LAZY = 2,		/* v6.11 and later: inside set, what is marked */
};

/* Who asked for a report. Unknown: it failed before it told. */
enum iovab_client {
	IOVAB_CLIENT_UNKNOWN = 0,
	IOVAB_CLIENT_VFIO = 1,
	IOVAB_CLIENT_IOMMUFD = 2,
	IOVAB_CLIENT_REF = 3,
};

enum iovab_implementation {
	IOVAB_IMPL_KERNEL = 0,
	IOVAB_IMPL_REFERENCE = 1,
};

/*
 * What the device's migration state said when the report began. Unknown: the
 * state was not set or asked for since the programs were attached, or it is one
 * in which there is nothing to migrate.
 */
enum iovab_phase {
	IOVAB_PHASE_UNKNOWN = 0,
	IOVAB_PHASE_PRECOPY = 1,	/* the device runs */
	IOVAB_PHASE_STOP_COPY = 2,	/* it is stopped: the report is downtime */
	IOVAB_PHASES
};

/* Why marks inside the range did not reach the bitmap. */
enum iovab_lost {
	IOVAB_LOST_WINDOW = 0,	/* eager: outside of the window that was pinned */
	IOVAB_LOST_PIN = 1,	/* lazy: the bitmap could not be pinned */
	IOVAB_LOST_BELOW = 2,	/* lazy: a mark that begins before the range goes whole */
	IOVAB_LOST_REASONS
};

/*
 * Latency histograms are log-linear: every power of two of nanoseconds is cut
 * into 1 << IOVAB_HIST_SUB_BITS buckets of equal width, so a bucket is at most
 * 25 % wide. Bucket 0 takes everything below 2^IOVAB_HIST_MIN_SHIFT ns, the
 * last one everything from 2^IOVAB_HIST_MAX_SHIFT ns (275 s) on.
 */
#define IOVAB_HIST_SUB_BITS	2
#define IOVAB_HIST_MIN_SHIFT	8
#define IOVAB_HIST_MAX_SHIFT	38
#define IOVAB_HIST_BUCKETS \
	(2 + ((IOVAB_HIST_MAX_SHIFT - IOVAB_HIST_MIN_SHIFT) << IOVAB_HIST_SUB_BITS))

/*
 * The density histogram counts windows. Bucket 0: nothing dirty (a clean
 * window). Bucket i from 1 on: the fraction of dirty pages is in
 * (2^-(14-i), 2^-(13-i)], and bucket 1 takes all that is below, too; so
 * bucket 13 is (1/2, 1]. Windows whose scan was skipped are in none.
 */
#define IOVAB_DENSITY_BUCKETS	14
#define IOVAB_DENSITY_ONE	(1ULL << 30)	/* a window that is dirty all over, in a sum */

/* Lengths of runs of ascending, adjacent marks: bucket i counts runs of
 * [2^i, 2^(i+1)) pages, the last one everything longer.
 */
#define IOVAB_RUN_BUCKETS	24

/* A window's range is cut into this many cells of equal size for the heat strip. */
#define IOVAB_CELLS		64

struct iovab_source_key {
	__u64 owner_start_ns;	/* CLOCK_BOOTTIME when the owner process started */
	__u64 context;		/* iommufd: stands for its context, in which ids are unique */
	__u32 pid;		/* thread group id in the initial pid namespace */
	__u32 hwpt;		/* iommufd: id of the HWPT, else 0 */
	__u8 client;		/* enum iovab_client */
	__u8 implementation;	/* enum iovab_implementation */
	__u8 pad[6];
	char device[IOVAB_DEVICE_LEN];	/* kernel's device name; "" if unknown */
};

/* A HWPT, and the devices that were attached to it when it was last asked for a report. */
struct iovab_hwpt_key {
	__u64 context;		/* as in struct iovab_source_key */
	__u32 hwpt;
	__u32 pad;
};

struct iovab_hwpt {
	__u32 attached;		/* so many devices; the first of them are named */
	__u32 unknown;		/* 1: the kernel's lists could not be followed to their end */
	struct {
		char device[IOVAB_DEVICE_LEN];
		char driver[IOVAB_DRIVER_LEN];
	} named[IOVAB_HWPT_DEVICES];
};

/* Counts of a latency; the extremes are exact, the rest is in the buckets. */
struct iovab_latency {
	__u64 sum_ns;
	__u64 min_ns;		/* valid if there is a count in any bucket */
	__u64 max_ns;
	__u64 bucket[IOVAB_HIST_BUCKETS];
};

/* What a policy pins. */
struct iovab_pins {
	__u64 windows;
	__u64 pages;		/* CPU pages of bitmap */
	__u64 repins;
	__u64 repins_unknown;	/* reports with too many windows to tell repins from others */
};

/*
 * A report is added to its source by many single additions. The count of those
 * that are done stands first and the count of those that were begun last, so a
 * copy (made in ascending order) in which they differ was made meanwhile, and
 * its figures do not agree with each other.
 */
struct iovab_source {
	__u64 folds_done;
	__u32 id;		/* unique while the programs are loaded, from 1 on */
	__u32 last_phase;	/* enum iovab_phase, of the last report that ended */
	char driver[IOVAB_DRIVER_LEN];
	char vfio[IOVAB_VFIO_LEN];
	char comm[IOVAB_COMM_LEN];	/* of the owner's main thread */

	/* the last report that ended */
	__u64 last_iova;
	__u64 last_length;	/* bytes */
	__u64 last_page_size;	/* bytes a bit */
	__u64 last_end_ns;	/* CLOCK_MONOTONIC */

	/* tier windows */
	__u64 reports;		/* ended, with or without an error */
	__u64 report_errors;	/* of these: alloc or for_each failed */
	__u64 rounds;		/* reports that did not begin above the one before: passes over the memory */
	__u64 range_bytes;	/* lengths of the reports' ranges */
	__u64 windows;
	__u64 repins;
	__u64 pages_pinned;	/* CPU pages of bitmap */
	__u64 pin_failures;
	__u64 phase_reports[IOVAB_PHASES];	/* reports, by phase */
	__u64 phase_ns[IOVAB_PHASES];		/* and what they took */

	/* reports of which it was not measured, since the tier was dropped meanwhile, what ... */
	__u64 below_density;	/* ... the tier density measures */
	__u64 below_sets;	/* ... only the tier sets does */

	/* tier density */
	__u64 windows_clean;
	__u64 scan_skipped;	/* windows whose bitmap could not be read */
	__u64 dirty_bytes;	/* of the windows that were scanned */

	/* tier sets */
	__u64 set_calls;
	__u64 marked_bytes;
	__u64 lost_bytes;
	__u64 lost_by[IOVAB_LOST_REASONS];	/* lost_bytes, by reason */
	__u64 overshoot_bytes;
	__u64 stray_bits;	/* but for what empty marks did */
	__u64 empty_marks;	/* of length 0: the kernel may set any bits for them */
	__u64 wild_marks;	/* for which it sets bits that are not theirs: the empty ones too */
	__u64 marks_ascending;	/* began at or after the end of the mark before */
	__u64 marks_descending;	/* ended at or before the start of the mark before */
	__u64 marks_overlapping;	/* touched the mark before; the rest is first marks */
	__u64 runs[IOVAB_RUN_BUCKETS];
	__u64 what_if_reports;	/* those that ended well and had no empty mark: followed through ... */
	struct iovab_pins what_if[IOVAB_POLICIES];	/* ... each policy */

	__u64 density_sum;	/* of the windows in density[], each dirty / pages * IOVAB_DENSITY_ONE */
	__u64 density[IOVAB_DENSITY_BUCKETS];
	struct iovab_latency report;	/* alloc to free */
	struct iovab_latency pin;	/* each pin that was tried, failed ones too */
	__u64 folds_begun;
};

/*
 * Every path that loses something has a counter here. They count events that
 * are missing from the sources' counters; all zero means nothing was missed.
 */
struct iovab_losses {
	__u64 slots_full;	/* reports not followed: too many in flight */
	__u64 sources_full;	/* reports not counted: too many sources */
	__u64 joined_late;	/* reports under way when the programs were attached */
	__u64 marks_unowned;	/* marks of reports that are not followed */
	__u64 pins_unowned;	/* pins of reports that are not followed, or without a seen end */
	__u64 starts_full;	/* windows not told apart from repins: too many */
	__u64 names_cut;	/* device names longer than IOVAB_DEVICE_LEN - 1 */
	__u64 events_dropped;	/* events of windows and reports: the ring was full */
	__u64 marks_dropped;	/* marks that were counted, but did not reach the recording */
	__u64 recursion_missed;	/* program runs that the kernel skipped */
	__u64 callers_full;	/* requests whose device or HWPT could not be kept: too many at once */
	__u64 results_missed;	/* reports of which nobody saw whether they failed */
	__u64 ends_missed;	/* reports that were not seen to end, and are not counted */
};

/*
 * What the programs cost, by CPU. The one on set is too short to be timed from
 * inside, and counts its runs a report at a time.
 */
struct iovab_cost {
	__u64 run_ns;		/* without the one on set, as is ... */
	__u64 runs;		/* ... this */
	__u64 marks;		/* runs of the one on set, in reports that ended */
};

/*
 * A report in flight, as user space lists them. Nothing else in its line of cache is
 * written by another CPU's report.
 */
struct iovab_slot {
	__u64 key;		/* stands for the iova_bitmap; 0: the slot is free */
	__u64 start_ns;
	__u32 source_id;
	__u32 pages_now;	/* CPU pages pinned now */
	__u64 pad[5];
};

/* Runs of fewer pages are counted by their length. */
#define IOVAB_TALLY_EXACT 32

/* What marks need of a report in flight, and count (bpf/series.h tells how); lone, run and any are its states. */
struct iovab_series {
	/* one line of cache: all that a lone mark needs */
	__u64 obj;		/* address of the iova_bitmap; 0: nobody's */
	__u64 next;		/* one past the last mark */
	__u64 mark_length;	/* lone, run: bytes of each mark */
	__u64 minus_base;	/* the stretch begins at base; this is 0 - base */
	__u64 starts;		/* lone, run: so many bytes from base on may be a mark's begin; any: 0 */
	__u64 end_mask;		/* lone: bits below a page; run: RUN_GOES_ON */
	__u64 lone;		/* lone marks that were followed by another one */
	__u64 room;		/* bytes of the stretch; 0: no series */

	__u64 run_start;	/* run, any: where the run that goes on began */
	__u64 prev_start;	/* any: where the last mark began */
	__u64 adjoined;		/* marks that went on where the one before ended */
	__u64 descending;	/* marks that ended at or before the begin of the one before */
	__u64 overlapping;	/* marks that touched it; the others but the first ascended */
	__u64 page_mask;	/* bits below a page */
	__u64 page_shift;
	__u64 long_pages;	/* in the runs of tally_long */

	__u64 lowest;		/* lone: down to here a mark below base is a descent */
	__u64 byte_mask;	/* what lies in one byte of the bitmap has the same other bits */
	__u64 descents;		/* each of them a lone mark that ended, a descending one and a lazy pin */
	__u64 set_calls;	/* marks so far that nothing else here counts */
	__u64 spare[4];

	__u64 tally[IOVAB_TALLY_EXACT];		/* runs that ended, by pages */
	__u64 tally_long[IOVAB_RUN_BUCKETS];	/* the others, by bucket */
};

/*
 * What the ring buffer carries: what somebody asked for, and in the tier sets
 * each report that lost marks or overwrote memory. Each event begins with its kind. A report's windows come before the report itself.
 */
enum iovab_event_kind {
	IOVAB_EVENT_WINDOW = 1,
	IOVAB_EVENT_REPORT = 2,
};

/* A window ended. */
struct iovab_window_event {
	__u32 kind;		/* IOVAB_EVENT_WINDOW */
	__u32 source_id;	/* 0: the report's source is not known yet */
	__u64 report;		/* serial of its report, unique while the programs are loaded */
	__u32 pages;		/* CPU pages pinned */
	__u32 pad;
	__u64 start_ns;		/* CLOCK_MONOTONIC, when the pin had returned */
	__u64 end_ns;
	__u64 iova;		/* first IOVA of the window */
	__u64 length;		/* bytes of IOVA, inside the report's range */
	__u64 page_size;
	__u64 dirty_pages;	/* bits newly set */
	__u32 scan_skipped;	/* 1: it failed, or the tier has none: dirty_pages, cells unknown */
	__u32 cell_shift;	/* a cell covers page_size << cell_shift bytes of IOVA */
	__u32 cells[IOVAB_CELLS];	/* dirty pages in each, from iova on */
};

/*
 * A report ended: what it added to its source. What its tier does not measure
 * is 0. "Pages" are those of its bitmap, page_size bytes each; but pages_pinned
 * are the CPU's.
 */
struct iovab_report_event {
	__u32 kind;		/* IOVAB_EVENT_REPORT */
	__u32 source_id;	/* 0: there are too many sources */
	__u64 report;		/* its serial */
	__u64 start_ns;		/* CLOCK_MONOTONIC */
	__u64 end_ns;
	__u64 own_ns;		/* of that, spent in our scans: not the report's latency */
	__u64 iova;		/* its range, bytes */
	__u64 length;
	__u64 page_size;
	__u32 error;		/* errno that came out of alloc, a pin or for_each; 0: none */
	__u8 phase;		/* enum iovab_phase */
	__u8 tier;		/* enum iovab_tier: what it was measured at; 0: as all are */
	__u16 logging;		/* differs from one start of the device's logging to the next; 0: unknown */
	__u64 windows;
	__u64 windows_clean;
	__u64 repins;
	__u64 pages_pinned;
	__u64 pin_failures;
	__u64 pin_ns;		/* sum over its pins, failed ones too */
	__u64 scan_skipped;
	__u64 dirty_pages;
	__u64 set_calls;
	__u64 marked_pages;
	__u64 lost_pages;
	__u64 overshoot_pages;
	__u64 stray_bits;
	__u64 empty_marks;
	__u64 wild_marks;
	__u64 lost_by[IOVAB_LOST_REASONS];	/* lost_pages, by reason */
	__u64 lost_iova;	/* where the first mark that was lost was lost, if any was */
	__u32 cpu_page_size;	/* bytes, of this machine */
	__u32 bitmap_offset;	/* bytes from the begin of a CPU page to the bitmap */
};

/*
 * What the ring of marks carries: runs of the marks of one report, in order, as the
 * programs wrote them down (bpf/runs.h). A word with its highest bit clear is a run: the
 * offset of its begin from the report's first IOVA, a multiple of 4096, and in the bits
 * below that how many marks it has, less one; they are mark_length bytes long each. Else
 * it is followed by a length that takes the place of mark_length, or by a run in full:
 * its iova, the length of each mark (which may be 0) and how many there are.
 */
#define IOVAB_RUN_WORDS		240
#define IOVAB_RUN_OTHER		(1ULL << 63)
#define IOVAB_RUN_LENGTH	1ULL	/* beside it: a length follows */
#define IOVAB_RUN_COUNT_BITS	12
#define IOVAB_RUN_COUNT		((1ULL << IOVAB_RUN_COUNT_BITS) - 1)

struct iovab_runs {
	__u64 report;		/* its serial */
	__u64 iova;		/* its range, bytes */
	__u64 length;
	__u32 source_id;	/* 0: not known yet, or there are too many sources */
	__u16 bitmap_offset;	/* bytes from the begin of a CPU page to the bitmap */
	__u8 page_shift;	/* of a bit */
	__u8 cpu_page_shift;
	__u64 mark_length;	/* bytes, at the first word */
	__u64 marks;		/* in these words */
	__u32 words;
	__u32 last;		/* 1: the report has no more */
	__u64 word[IOVAB_RUN_WORDS];
};

/* The tier that a report was measured at, if @tier was asked for. */
static inline __attribute__((always_inline)) enum iovab_tier
iovab_report_tier(const struct iovab_report_event *e, enum iovab_tier tier)
{
	return e->tier && e->tier < tier ? (enum iovab_tier)e->tier : tier;
}

/* floor(log2(@v)), 0 for 0, in five steps: BPF has no instruction for it. */
static inline __attribute__((always_inline)) __u32 iovab_log2(__u64 v)
{
	__u32 log2 = 0;

	if (v >> 32) { v >>= 32; log2 += 32; }
	if (v >> 16) { v >>= 16; log2 += 16; }
	if (v >> 8) { v >>= 8; log2 += 8; }
	if (v >> 4) { v >>= 4; log2 += 4; }
	if (v >> 2) { v >>= 2; log2 += 2; }
	return log2 + (v >> 1);
}

/* Index of the bucket of a latency histogram that takes @ns. */
static inline __attribute__((always_inline)) __u32 iovab_hist_index(__u64 ns)
{
	__u32 shift, log2;

	if (ns < (1ULL << IOVAB_HIST_MIN_SHIFT))
		return 0;
	if (ns >= (1ULL << IOVAB_HIST_MAX_SHIFT))
		return IOVAB_HIST_BUCKETS - 1;
	log2 = iovab_log2(ns);
	shift = log2 - IOVAB_HIST_SUB_BITS;
	return 1 + ((log2 - IOVAB_HIST_MIN_SHIFT) << IOVAB_HIST_SUB_BITS) +
	       ((ns >> shift) & ((1 << IOVAB_HIST_SUB_BITS) - 1));
}

_Static_assert(sizeof(struct iovab_source_key) == 32 + IOVAB_DEVICE_LEN,
	       "the key has no hidden padding");
_Static_assert(sizeof(struct iovab_window_event) == 80 + 4 * IOVAB_CELLS,
	       "the event has no hidden padding");
_Static_assert(sizeof(struct iovab_report_event) == 72 + 20 * 8,
	       "the event has no hidden padding");
_Static_assert(sizeof(struct iovab_runs) == 56 + 8 * IOVAB_RUN_WORDS,
	       "runs have no hidden padding");
_Static_assert(__builtin_offsetof(struct iovab_source, folds_done) == 0 &&
	       __builtin_offsetof(struct iovab_source, folds_begun) + 8 ==
	       sizeof(struct iovab_source), "a copy reads them first and last");
_Static_assert(sizeof(struct iovab_slot) == 64, "a slot is a line of cache");
_Static_assert(sizeof(struct iovab_series) % 64 == 0, "no line of cache is two objects'");
_Static_assert((IOVAB_MAX_REPORTS & (IOVAB_MAX_REPORTS - 1)) == 0,
	       "slots are found by masking");

#endif /* IOVAB_H */
