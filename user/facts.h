/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Facts: what the collector hands to the model, once an interval.
 *
 * This is the seam of the program. Above it (model, views) nothing knows
 * libbpf or a kernel; below it nothing computes. A recording stores facts and
 * a replay produces them, so that everything above runs with no kernel at all.
 *
 * All arrays belong to whoever made the facts and live until its next
 * collection; strings in them are raw bytes from the kernel or from /proc,
 * NUL-terminated but otherwise hostile: views escape them.
 */
#ifndef IOVAB_FACTS_H
#define IOVAB_FACTS_H

#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "iovab.h"

#define IOVAB_VM_LEN	128

/* One source: identity, what /proc told of its owner, and its counters. */
struct iovab_source_fact {
	struct iovab_source_key key;
	struct iovab_source counters;
	char vm[IOVAB_VM_LEN];	/* "" if the owner does not say */
	const struct iovab_hwpt *hwpt;	/* of an HWPT: its devices; NULL: none, or unknown */
	bool owner_gone;	/* the owner process has ended: no more reports */
};

/* A report in flight. */
struct iovab_live_fact {
	__u32 source_id;	/* 0: not known yet (before for_each) */
	__u32 pages_pinned;	/* now */
	__u64 start_ns;		/* CLOCK_MONOTONIC */
};

/* Marks of a report, in order, as chunk.h puts them; a report has any number of chunks. */
struct iovab_chunk_fact {
	__u64 report;		/* its serial */
	__u32 source_id;	/* 0: not known */
	__u32 cpu_page_size;	/* bytes, of the machine */
	__u64 iova;		/* the report's range, bytes */
	__u64 length;
	__u64 page_size;	/* a power of two */
	__u32 bitmap_offset;	/* bytes from a CPU page's begin to the bitmap */
	__u32 pad;
	__u64 marks;		/* in this chunk */
	__u64 runs;		/* as which they are told */
	const void *data;	/* @size bytes */
	size_t size;
};

/* What watching cost, since the start. */
struct iovab_cost_fact {
	__u64 collector_cpu_ns;		/* this process, all threads */
	bool bpf_known;			/* false: what the last interval cost is not known */
	__u64 bpf_run_ns;		/* time spent in our programs, all CPUs; of the ... */
	__u64 bpf_sampled_ns;		/* ... time for which that is known */
};

enum iovab_state {
	IOVAB_STATE_WAITING,	/* the facility is in a module that is not loaded */
	IOVAB_STATE_ATTACHED,
};

struct iovab_facts {
	__u64 time_ns;			/* CLOCK_MONOTONIC, when the counters were read */
	struct timespec wall;		/* CLOCK_REALTIME at the same moment */
	enum iovab_state state;
	enum iovab_tier tier;
	const char *generation;		/* e.g. "6.1, windows pinned in turn"; NULL while waiting */

	const struct iovab_source_fact *sources;
	size_t n_sources;
	const struct iovab_live_fact *live;
	size_t n_live;
	/*
	 * What ended since the last facts, in order, if the session wants events, or reports. In the
	 * tier sets reports that lost marks or overwrote memory are always among them.
	 */
	const struct iovab_window_event *windows;
	size_t n_windows;
	const struct iovab_report_event *reports;
	size_t n_reports;
	/* their marks and those of reports in flight, if the session wants marks */
	const struct iovab_chunk_fact *chunks;
	size_t n_chunks;
	struct iovab_losses losses;
	struct iovab_cost_fact cost;
};

#endif /* IOVAB_FACTS_H */
