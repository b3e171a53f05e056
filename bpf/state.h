/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the programs remember of a report in flight, and where.
 *
 * A report's state is found by the address of its iova_bitmap, which every
 * hook is given. The address hashes to a slot; a slot is claimed by the first
 * hook that sees the object and released when the object is freed. Claiming
 * probes a few neighbours, and all slots if these are taken. It is the only step
 * on which two CPUs can meet (a compare-and-swap). From then on the object, and so
 * its slot, is used by one task at a time: VFIO and iommufd allocate it, walk it
 * and free it in one ioctl. So nothing in a slot needs an atomic, and no cache
 * line of a slot is written by two CPUs at once.
 *
 * A slot has three parts with the same number. `struct iovab_slot` is in .bss: what
 * user space looks at to list the reports in flight. `struct iovab_series` (series.h)
 * is there, too, in the tier sets: what a mark needs, the commonest in one cache line,
 * reached without a helper. `struct report` is in an array map: all the rest, touched
 * a few times a window.
 */
#ifndef IOVAB_BPF_STATE_H
#define IOVAB_BPF_STATE_H

#include "caller.h"
#include "iovab.h"
#include "kernel.h"

#define SLOT_PROBES 8

/*
 * The object of the reference (ref.bpf.c) is made of the same headers, and says so before
 * it includes them: its marks are clipped to the range, and its pages known by the
 * kernel's address of each.
 */
#ifndef REFERENCE
#define REFERENCE false
#endif

/* The pages of a report are counted from its base: page 0 is bit 0. */
struct report {
	struct iovab_source_key key;
	char driver[IOVAB_DRIVER_LEN];
	char vfio[IOVAB_VFIO_LEN];
	char comm[IOVAB_COMM_LEN];
	__u64 iova;		/* the range */
	__u64 length;
	__u64 bitmap_addr;	/* user address of the bitmap */
	__u64 page_array;	/* where the kernel keeps the pinned pages; lazy: stands for us in pins */
	__u16 page_shift;
	__u16 failed;		/* errno that came out of alloc, a pin or for_each; 0: none */
	__u8 phase;		/* enum iovab_phase */
	__u8 walked;		/* for_each was entered, and was not seen to return */
	__u8 called;		/* its thread was in `callers` */
	__u8 pad;
	__u16 logging;		/* as in struct iovab_report_event */

	__u64 pin_start_ns;
	__u64 own_ns;		/* spent in our scans: not the report's latency */

	/* the window that is pinned now */
	__u64 window_page;	/* its first page */
	__u64 window_pages;	/* pages of the range that it covers; 0: no window */
	__u64 window_addr;	/* user address of its first bit */
	__u64 window_pinned;	/* one past the last bit, as a page, of the memory pinned */
	__u64 window_start_ns;
	__u64 window_dirty;	/* bits that were set at its start */
	__u64 scan_set;		/* bits that the last scan found set */
	__u32 window_skipped;	/* a scan of it failed */
	__u32 cell_shift;
	__u32 cells[IOVAB_CELLS];	/* bits at its end - bits at its start */

	/* counters, in the units of struct iovab_source but for pages */
	__u64 windows;
	__u64 windows_clean;
	__u64 repins;
	__u64 lost_pages[IOVAB_LOST_REASONS];
	__u64 lost_page;	/* the first that was lost, if any was */
	__u64 overshoot_pages;
	__u64 empty_marks;	/* of length 0 */
	__u64 wild_marks;	/* that set bits which are not theirs; the empty ones too */
	__u64 mark_empty;	/* the last mark was one of length 0 */
	__u64 marked;		/* there was a mark that was not empty */
	__u64 run_pages;	/* outside of a series: of the run that goes on */
	__u64 prev_start;	/* likewise: the mark before, its first byte and its last */
	__u64 prev_last;
	__u64 marked_pages;
	__u64 descending;
	__u64 overlapping;
	__u64 stray_bits;
	__u64 stray_past;	/* one past the last stray bit, as a page */
	__u64 stray_before;	/* how many bits before the bitmap were reached */
	__u64 pages_pinned;
	__u64 pin_failures;
	__u64 scan_skipped;
	__u64 dirty_pages;
	__u64 density_sum;	/* in IOVAB_DENSITY_ONE */
	__u64 serial;		/* of the report, unique */
	__u64 thread;		/* that makes it, as bpf_get_current_pid_tgid() has it */
	__u64 task;		/* likewise: the kernel's task_struct */
	__u64 tier_word;	/* as it was when the report began */
	__u64 next_window_page;	/* eager: one past the last page that was ever pinned */
	__u64 last_window_start;	/* lazy: head of the chain in window_starts */
	__u64 pin_sum_ns;
	__u64 pin_min_ns;
	__u64 pin_max_ns;
	__u32 density[IOVAB_DENSITY_BUCKETS];
	__u32 pin_bucket[IOVAB_HIST_BUCKETS];
	__u32 runs[IOVAB_RUN_BUCKETS];
} __attribute__((aligned(64)));

/* Set before the programs are loaded. */
const volatile __u32 tier = IOVAB_TIER_DENSITY;	/* the highest that can be in force */
const volatile bool lazy;			/* the generation; else eager */
const volatile __u32 index_bytes = 8;		/* of user bitmap that an index counts */
const volatile __u32 cpu_page_shift = 12;
const volatile bool want_events;		/* somebody reads the ring: windows and reports */
const volatile bool want_reports;		/* reports alone, if not */
/*
 * Where the kernel keeps the addresses at which it maps all memory, and has all its
 * struct pages in one array; 0: this kernel has no such variables.
 */
const volatile __u64 direct_map_var, page_map_var;

/*
 * Variables that change are in .data: .bss has slots and series alone, of which there is one
 * a report, and is as large as the tier needs (user/session.c).
 */
#define VARIABLE __attribute__((section(".data")))

/*
 * The callback that a client hands to for_each, which tells its reports from
 * others'. User space looks them up, again when a module comes; 0: not known.
 */
VARIABLE __u64 vfio_callback, iommufd_callback;

/*
 * The tier in force: see IOVAB_TIER_WORD; `tier` is the most, whatever it says. A report
 * keeps the one that it began at.
 */
VARIABLE volatile __u64 tier_word = IOVAB_TIER_SETS;

/* Losses that the programs see themselves; user space adds the others. */
VARIABLE struct iovab_losses losses;
VARIABLE __u32 last_source_id;
VARIABLE __u64 last_serial;
VARIABLE __u32 reports_in_flight, reports_far;

struct iovab_slot slots[IOVAB_MAX_REPORTS] __attribute__((aligned(64)));
VARIABLE volatile __u64 slots_addr __attribute__((aligned(64)));

/*
 * The slots of reports for which none near the place that their address hashes to was
 * free: with 4,096 reports in flight none of them, with 10,000 every fiftieth.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, IOVAB_MAX_REPORTS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);	/* as in struct iovab_slot */
	__type(value, __u32);
} far_slots SEC(".maps");

/* The kernel lays out what can be mapped from a page's begin on: so no line is two reports'. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, IOVAB_MAX_REPORTS);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct report);
} reports SEC(".maps");

/*
 * Which report an array of pages belongs to: how what is asked of the memory manager
 * is told from what everybody else asks of it, where the kernel's own put, or get,
 * cannot be seen.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, IOVAB_MAX_REPORTS);
	__type(key, __u64);
	__type(value, __u32);
} page_arrays SEC(".maps");

/* By thread: reports whose first pin failed, until alloc has returned. */
struct failing_alloc {
	__u32 slot;
	__u32 pad;
	__u64 serial;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 256);
	__type(key, __u64);
	__type(value, struct failing_alloc);
} failing_allocs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, IOVAB_MAX_SOURCES);
	__type(key, struct iovab_source_key);
	__type(value, struct iovab_source);
} sources SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

static __always_inline void count(__u64 *counter)
{
	__sync_fetch_and_add(counter, 1);
}

/*
 * Logarithms take their steps by branches. As global functions they are looked at by the
 * verifier once each, and what follows is looked at once, not for each way through them.
 */
__noinline int highest_bit(__u64 v)
{
	return iovab_log2(v);
}

__noinline int hist_index(__u64 ns)
{
	return iovab_hist_index(ns);
}

/*
 * An object's address as a plain number. The verifier lets nobody calculate
 * with the address of a kernel object, but a privileged program may subtract
 * two pointers. So what stands for the object is its distance from the slots.
 */
static __always_inline __u64 key_of(const void *obj)
{
	__u64 key = (__u64)obj;

	asm volatile("%0 -= %1" : "+r"(key) : "r"(slots));
	return key;
}

/* The same for an address that the verifier knows as a number: what a function returned. */
static __always_inline __u64 key_of_number(__u64 obj)
{
	/* a pointer that was in memory comes back as a number; written once, for all CPUs read it */
	if (!slots_addr)
		slots_addr = (__u64)slots;
	return obj - slots_addr;
}

static __always_inline __u32 slot_home(__u64 key)
{
	/* objects are 64-byte things: their low address bits say nothing */
	return ((key >> 5) * 0x9E3779B97F4A7C15ULL) >> 40;
}

/* Would it be found without far_slots? */
static __always_inline bool slot_is_near(__u32 n, __u64 key)
{
	return !n || ((n - slot_home(key)) & (IOVAB_MAX_REPORTS - 1)) < SLOT_PROBES;
}

__noinline int slot_find_far(__u64 key)
{
	__u32 *n = bpf_map_lookup_elem(&far_slots, &key);

	return n ? *n : -1;
}

/* The number of the slot of the object @key, or -1. */
static __always_inline int slot_find(__u64 key)
{
	__u32 home = slot_home(key), i;

	if (slots[0].key == key)
		return 0;
#pragma unroll
	for (i = 0; i < SLOT_PROBES; i++) {
		__u32 n = (home + i) & (IOVAB_MAX_REPORTS - 1);

		if (slots[n].key == key)
			return n;
	}
	return reports_far ? slot_find_far(key) : -1;
}

static __always_inline struct iovab_slot *slot_at(__u32 n)
{
	return &slots[n & (IOVAB_MAX_REPORTS - 1)];
}

static __always_inline bool slot_try(__u32 n, __u64 key)
{
	/* looked at first: a try writes to the line, which may be somebody's */
	if (*(volatile __u64 *)&slots[n].key || __sync_val_compare_and_swap(&slots[n].key, 0, key))
		return false;
	__sync_fetch_and_add(&reports_in_flight, 1);
	return true;
}

static __always_inline void slot_free(struct iovab_slot *s)
{
	__sync_lock_test_and_set(&s->key, 0);
	__sync_fetch_and_sub(&reports_in_flight, 1);
}

struct slot_search {
	__u64 key;
	__u32 from;
	int found;
};

static long slot_search_step(__u32 index, struct slot_search *s)
{
	__u32 n = (s->from + index) & (IOVAB_MAX_REPORTS - 1);

	if (!slot_try(n, s->key))
		return 0;
	s->found = n;
	return 1;
}

/* Any slot, from those on that the address hashes to. */
__noinline int slot_claim_far(__u64 key)
{
	struct slot_search s = { .key = key, .from = slot_home(key), .found = -1 };
	__u32 n;

	if (reports_in_flight >= IOVAB_MAX_REPORTS)
		return -1;
	bpf_loop(IOVAB_MAX_REPORTS, slot_search_step, &s, 0);
	if (s.found < 0)
		return -1;
	n = s.found;
	if (slot_is_near(n, key))
		return n;
	if (bpf_map_update_elem(&far_slots, &key, &n, BPF_ANY)) {
		slot_free(slot_at(s.found));
		return -1;
	}
	__sync_fetch_and_add(&reports_far, 1);
	return n;
}

/*
 * Claims a slot for the object @key, which has none. Its number, or -1 if all are taken.
 * The first one is the one that marks find without a hash.
 */
static __always_inline int slot_claim(__u64 key)
{
	__u32 home = slot_home(key), i;
	int n;

	for (i = 0; i <= SLOT_PROBES; i++) {
		__u32 near = i ? (home + i - 1) & (IOVAB_MAX_REPORTS - 1) : 0;

		if (slot_try(near, key))
			return near;
	}
	n = slot_claim_far(key);
	if (n < 0)
		count(&losses.slots_full);
	return n;
}

/* After series_forget(). */
static __always_inline void slot_release(__u32 n)
{
	struct iovab_slot *s = slot_at(n);
	__u64 key = s->key;

	if (!slot_is_near(n, key) && !bpf_map_delete_elem(&far_slots, &key))
		__sync_fetch_and_sub(&reports_far, 1);
	s->source_id = 0;
	s->pages_now = 0;
	s->start_ns = 0;
	/* last: from here on the slot may be somebody else's */
	slot_free(s);
}

static __always_inline struct report *report_at(__u32 n)
{
	return bpf_map_lookup_elem(&reports, &n);
}

/* Did the report begin at tier @t, or above? First is asked what is settled at loading. */
static __always_inline bool began_at(const struct report *r, __u32 t)
{
	return tier >= t && IOVAB_TIER_OF(r->tier_word) >= t;
}

/* Were all of its marks seen, so far? */
static __always_inline bool follows_marks(const struct report *r)
{
	return began_at(r, IOVAB_TIER_SETS) &&
	       IOVAB_TIMES_OFF(r->tier_word) == IOVAB_TIMES_OFF(tier_word);
}

static __always_inline __u32 report_tier(const struct report *r)
{
	if (follows_marks(r))
		return IOVAB_TIER_SETS;
	return began_at(r, IOVAB_TIER_DENSITY) ? IOVAB_TIER_DENSITY : IOVAB_TIER_WINDOWS;
}

#endif /* IOVAB_BPF_STATE_H */
