// SPDX-License-Identifier: GPL-2.0-only
/*
 * The programs: where each signal of the facility is taken from the kernel.
 *
 * A program decides which event this is and hands it on; what the event means
 * stands in the header of its noun. Each signal has a program for a trampoline
 * (trampolines.h) and one for a kprobe (kprobes.h), where the kernel has no
 * trampolines or no type information for the function, and both where one may be kept
 * out (pair.h). There the two scan in buffers of their own: those of a kprobe's program lie
 * @scans behind. Programs are off by default (SEC "?..."): user/session.c switches on those
 * whose function exists and that the tier needs, and attaches the ones that open a report
 * last, so that whatever they begin the others will see the rest of.
 *
 *   alloc, pin     iova_bitmap_get    entry: a report or its next window begins
 *   (eager)                           exit: the pin succeeded or failed
 *   alloc          iova_bitmap_alloc  exit: it failed (eager), a report begins (lazy)
 *   pin (lazy)     pin_user_pages_fast    entry and exit, if the pages are a report's
 *   unpin          unpin_user_pages   entry, likewise: the window ends
 *   for_each       iova_bitmap_for_each   entry: the client
 *                                         exit: the report's result
 *   set            iova_bitmap_set    entry: a mark (tier sets)
 *   free           iova_bitmap_free   entry: the last window and the report end
 *
 * Device, HWPT and phase come from the clients' ioctls: vfio.bpf.c, iommufd.bpf.c.
 */
#include "pair.h"
#include "report.h"

char LICENSE[] SEC("license") = "GPL";

/* A pin begins. One that began before and was not seen to end was missed at its exit. */
static __always_inline void pin_begun(struct report *r)
{
	if (r->pin_start_ns)
		count(&losses.pins_unowned);
	r->pin_start_ns = bpf_ktime_get_ns();
}

static __always_inline void handle_pin_entry(struct iova_bitmap *obj, __u64 key, __u64 now,
					     __u32 scans)
{
	struct report *r;
	int n;

	if (BPF_CORE_READ(obj, mapped_base_index)) {
		n = slot_find(key);
		if (n < 0)
			count(&losses.pins_unowned);
	} else {
		n = report_begin(obj, key, now);
	}
	if (n < 0)
		return;
	r = report_at(n);
	if (!r)
		return;
	window_end(n, r, SCAN_PIN_ENTRY + scans);
	pin_begun(r);
}

/* The entry was skipped, and with it the end of the window before, if it was not unpinned. */
static __always_inline void pin_begin_missed(struct report *r)
{
	count(&losses.pins_unowned);
	if (r->window_pages && began_at(r, IOVAB_TIER_DENSITY))
		r->scan_skipped++;
	r->window_pages = 0;
}

/* A pin of @npages from @addr on ended; @npages <= 0: it failed. */
static __always_inline void pin_ended(__u32 n, struct report *r, __u64 addr, long npages,
				      __u64 now, __u32 scans)
{
	if (r->pin_start_ns)
		pin_timed(r, now - r->pin_start_ns);
	else
		pin_begin_missed(r);
	r->pin_start_ns = 0;
	if (npages > 0) {
		window_start(n, r, addr, npages, now, SCAN_PIN_EXIT + scans);
		if (follows_marks(r))
			mark_pinned(n, r);
	} else {
		r->pin_failures++;
		if (lazy && follows_marks(r))
			mark_pin_failed(series_at(n), r, addr);
	}
}

/*
 * The first pin failed, which an eager kernel does inside alloc. The compiler
 * may have put free into alloc's way out, where nobody can see it.
 */
static __always_inline void alloc_will_fail(__u32 n, const struct report *r)
{
	struct failing_alloc f = { .slot = n, .serial = r->serial };
	__u64 thread = bpf_get_current_pid_tgid();

	bpf_map_update_elem(&failing_allocs, &thread, &f, BPF_ANY);
}

static __always_inline void handle_pin_exit(struct iova_bitmap *obj, __u64 key, int err, __u64 now,
					    __u32 scans)
{
	int n = slot_find(key);
	struct report *r;

	if (n < 0)
		return;
	r = report_at(n);
	if (!r)
		return;
	if (err) {
		r->failed = -err;
		if (!BPF_CORE_READ(obj, mapped_base_index))
			alloc_will_fail(n, r);
	}
	pin_ended(n, r,
		  r->bitmap_addr + BPF_CORE_READ(obj, mapped_base_index) * index_bytes,
		  err ? err : (long)BPF_CORE_READ(obj, mapped.npages), now, scans);
}

/* An eager kernel's alloc reports an error: its report ends without a free, unless that was seen. */
static __always_inline void alloc_failed(__u64 now)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct failing_alloc *f = bpf_map_lookup_elem(&failing_allocs, &thread);
	struct report *r;

	if (!f)
		return;
	r = report_at(f->slot);
	if (r && r->serial == f->serial && slot_at(f->slot)->key)
		report_end(f->slot, r, slot_at(f->slot), now);
	bpf_map_delete_elem(&failing_allocs, &thread);
}

/*
 * A lazy kernel's alloc pins nothing, so the report begins when it is done; an
 * eager one's began at its pin. @obj is an error pointer if alloc failed.
 */
static __always_inline void handle_alloc_exit(__u64 obj, __u64 now)
{
	if (obj >= -4095ULL)
		alloc_failed(now);
	else if (lazy)
		report_begin((struct iova_bitmap *)obj, key_of_number(obj), now);
}

/* The report whose array of pages is @pages, or -1. Most calls are somebody else's. */
static __always_inline int find_by_pages(__u64 pages)
{
	__u32 *n = bpf_map_lookup_elem(&page_arrays, &pages);

	return n ? *n : -1;
}

static __always_inline void handle_gup_entry(int n, __u32 scans)
{
	struct report *r = report_at(n);

	if (!r)
		return;
	/* the window before was unpinned before, but that need not have been seen */
	window_end(n, r, SCAN_PIN_ENTRY + scans);
	pin_begun(r);
}

static __always_inline void handle_gup_exit(int n, __u64 addr, long npages, __u64 now, __u32 scans)
{
	struct report *r = report_at(n);

	if (r)
		pin_ended(n, r, addr, npages, now, scans);
}

static __always_inline void handle_unpin(int n, __u32 scans)
{
	struct report *r = report_at(n);

	if (r)
		window_end(n, r, SCAN_UNPIN + scans);
}

static __always_inline void handle_for_each_entry(__u64 key, __u64 fn)
{
	int n = slot_find(key);
	struct report *r;

	if (n < 0)
		return;
	r = report_at(n);
	if (!r)
		return;
	r->walked = 1;
	report_identify(r, slot_at(n), fn);
}

static __always_inline void handle_for_each_exit(__u64 key, int err)
{
	int n = slot_find(key);
	struct report *r;

	if (n < 0)
		return;
	r = report_at(n);
	if (!r)
		return;
	r->walked = 0;
	if (err)
		r->failed = -err;
}

/* A mark that is not counted in passing, or whose object is not the favourite. */
static __always_inline int set_rest(__u64 key, __u64 iova, __u64 length)
{
	int n = slot_find(key);
	struct iovab_series *s;

	if (n < 0) {
		count(&losses.marks_unowned);
		return 0;
	}
	s = series_at(n);
	/* a report that began at a lower tier has none */
	if (s->obj && !mark_in_series(s, iova, length, false))
		mark_apart(s, n, iova, length);
	return 0;
}

static __always_inline void handle_free(__u64 key, __u64 now, __u32 scans)
{
	int n = slot_find(key);
	struct iovab_slot *s;
	struct report *r;
	__u64 own_ns;

	if (n < 0) {
		/* the one place that each report comes by once; user space takes off slots_full */
		count(&losses.joined_late);
		return;
	}
	s = slot_at(n);
	r = report_at(n);
	if (!r)
		return;
	if (r->pin_start_ns)
		count(&losses.pins_unowned);
	/* a kprobe sees some calls at a time return, and says nothing of the others */
	if (r->walked && !r->failed)
		count(&losses.results_missed);
	/* the last scan comes after the report's end: its time is not to be taken off */
	own_ns = r->own_ns;
	window_end(n, r, SCAN_FREE + scans);
	r->own_ns = own_ns;
	report_end(n, r, s, now);
}

#include "trampolines.h"
#include "kprobes.h"
#include "sweep.h"
