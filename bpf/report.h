/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reports: whose they are, and how their figures become a source's.
 *
 * What a report counted is added to its source in one go, when its object is
 * freed, whether it went well or not and whether or not its process is being
 * killed: the kernel frees the object on every path. Two reports of one source
 * can end at once on two CPUs, so these additions are atomic; they happen once
 * a report.
 *
 * Which device or HWPT a report is for is what its thread asked the client for
 * (caller.h), and the client is also told by the function that for_each calls.
 * Where the two contradict each other, or where the client's programs are not
 * there, only that function is believed, and device and HWPT are unknown.
 */
#ifndef IOVAB_BPF_REPORT_H
#define IOVAB_BPF_REPORT_H

#include "mark.h"
#include "runs.h"

static const struct report empty_report = {
	.pin_min_ns = ~0ULL,
};

static const struct iovab_source empty_source = {
	.report.min_ns = ~0ULL,
	.pin.min_ns = ~0ULL,
};

static __always_inline void report_owner(struct report *r)
{
	struct task_struct *task = (void *)bpf_get_current_task();
	struct task_struct *leader = BPF_CORE_READ(task, group_leader);

	r->thread = bpf_get_current_pid_tgid();
	r->task = (__u64)task;
	r->key.pid = r->thread >> 32;
	r->key.owner_start_ns = BPF_CORE_READ(leader, start_boottime);
	bpf_probe_read_kernel_str(r->comm, sizeof(r->comm), &leader->comm);
}

/* Nothing of the report stays in the maps that hold more than reports. */
static __always_inline void report_forget(const struct report *r)
{
	starts_forget(r, STARTS_OBSERVED, r->last_window_start);
	bpf_map_delete_elem(&page_arrays, &r->page_array);
}

/* Takes down whom the thread asks for. */
static __always_inline void report_caller(struct report *r)
{
	__u64 thread = bpf_get_current_pid_tgid();
	const struct caller *c = bpf_map_lookup_elem(&callers, &thread);

	if (!c)
		return;
	r->called = 1;
	r->key.client = c->client;
	r->key.context = c->context;
	r->key.hwpt = c->hwpt;
	r->phase = c->phase;
	r->logging = c->logging;
	if (c->name_cut)
		count(&losses.names_cut);
	__builtin_memcpy(r->key.device, c->device, sizeof(r->key.device));
	__builtin_memcpy(r->driver, c->driver, sizeof(r->driver));
	__builtin_memcpy(r->vfio, c->vfio, sizeof(r->vfio));
}

/* A report ended, and that was not seen: what it found is not known. */
static __always_inline void report_drop(__u32 n, const struct report *r)
{
	report_forget(r);
	if (began_at(r, IOVAB_TIER_SETS))
		what_if_forget(n);
	series_forget(n);
	slot_release(n);
	count(&losses.ends_missed);
}

/*
 * Claims a slot for an object (@key stands for it) that is new, and takes down whose it
 * is; its range is left to do.
 */
static __always_inline int report_claim(__u64 key, __u64 obj, __u64 now)
{
	int n = slot_find(key);
	struct iovab_slot *s;
	struct report *r;
	__u32 number;

	if (n >= 0) {
		/* an object of old whose free was not seen had this address */
		r = report_at(n);
		if (r)
			report_drop(n, r);
	}
	n = slot_claim(key);
	number = n;
	if (n < 0)
		return n;
	bpf_map_update_elem(&reports, &number, &empty_report, BPF_ANY);
	r = report_at(n);
	if (!r)
		return -1;
	r->serial = __sync_fetch_and_add(&last_serial, 1);
	r->tier_word = tier_word;
	if (began_at(r, IOVAB_TIER_SETS)) {
		bpf_map_update_elem(&what_ifs, &number, &no_marks, BPF_ANY);
		series_reset(n, obj);
	}
	report_owner(r);

	s = slot_at(n);
	s->source_id = 0;
	s->pages_now = 0;
	s->start_ns = now;
	return n;
}

/* The report of a new object of the kernel's, which says what its range is. */
static __always_inline int report_begin(struct iova_bitmap *obj, __u64 key, __u64 now)
{
	int n = report_claim(key, (__u64)obj, now);
	__u32 number = n;
	struct report *r;

	if (n < 0)
		return n;
	r = report_at(n);
	if (!r)
		return -1;
	r->iova = BPF_CORE_READ(obj, iova);
	r->length = BPF_CORE_READ(obj, length);
	r->page_shift = BPF_CORE_READ(obj, mapped.pgshift) & 63;
	r->bitmap_addr = (__u64)BPF_CORE_READ(obj, bitmap);
	r->page_array = (__u64)BPF_CORE_READ(obj, mapped.pages);
	if (bpf_map_update_elem(&page_arrays, &r->page_array, &number, BPF_ANY))
		count(&losses.pins_unowned);
	if (want_marks)
		runs_begin(n, r);
	report_caller(r);
	return n;
}

/* The source of the report's key; made if it is new. NULL: there are too many. */
static __always_inline struct iovab_source *report_source(struct report *r)
{
	struct iovab_source *src = bpf_map_lookup_elem(&sources, &r->key);

	if (!src) {
		bpf_map_update_elem(&sources, &r->key, &empty_source, BPF_NOEXIST);
		src = bpf_map_lookup_elem(&sources, &r->key);
		if (!src)
			return NULL;
	}
	if (src->id)
		return src;
	/* new; who has made it, on another CPU, may not have come to here yet */
	__builtin_memcpy(src->driver, r->driver, sizeof(src->driver));
	__builtin_memcpy(src->vfio, r->vfio, sizeof(src->vfio));
	__builtin_memcpy(src->comm, r->comm, sizeof(src->comm));
	/* last: user space takes no notice of a source without an id */
	__sync_val_compare_and_swap(&src->id, 0, __sync_fetch_and_add(&last_source_id, 1) + 1);
	return src;
}

/* Whom the function that for_each is to call belongs to. */
static __always_inline __u8 client_of(__u64 fn)
{
	if (fn && fn == vfio_callback)
		return IOVAB_CLIENT_VFIO;
	if (fn && fn == iommufd_callback)
		return IOVAB_CLIENT_IOMMUFD;
	return IOVAB_CLIENT_UNKNOWN;
}

/* for_each is called: what the caller said of itself is held against it. */
static __always_inline void report_identify(struct report *r, struct iovab_slot *s, __u64 fn)
{
	__u8 client = client_of(fn);
	struct iovab_source *src;

	if (client != IOVAB_CLIENT_UNKNOWN && client != r->key.client) {
		r->key.client = client;
		r->key.context = 0;
		r->key.hwpt = 0;
		r->phase = IOVAB_PHASE_UNKNOWN;
		r->logging = 0;
		__builtin_memset(r->key.device, 0, sizeof(r->key.device));
		__builtin_memset(r->driver, 0, sizeof(r->driver));
		__builtin_memset(r->vfio, 0, sizeof(r->vfio));
	}
	src = report_source(r);
	if (src)
		s->source_id = src->id;
}

static __always_inline void add(__u64 *counter, __u64 v)
{
	if (v)
		__sync_fetch_and_add(counter, v);
}

static __always_inline void lower(__u64 *min, __u64 v)
{
	__u64 old = *min;
	int i;

	for (i = 0; i < 8 && v < old; i++)
		old = __sync_val_compare_and_swap(min, old, v);
}

static __always_inline void raise(__u64 *max, __u64 v)
{
	__u64 old = *max;
	int i;

	for (i = 0; i < 8 && v > old; i++)
		old = __sync_val_compare_and_swap(max, old, v);
}

/*
 * Global functions, where there is a loop: the verifier goes round it once, and not in
 * every state that leads to it. They return 0.
 */
__noinline int fold_windows(struct iovab_source *src, __u32 n)
{
	struct report *r = report_at(n);
	__u32 i;

	if (!src || !r)
		return 0;
	add(&src->windows, r->windows);
	add(&src->repins, r->repins);
	add(&src->pages_pinned, r->pages_pinned);
	add(&src->pin_failures, r->pin_failures);
	add(&src->pin.sum_ns, r->pin_sum_ns);
	if (r->pin_max_ns) {
		lower(&src->pin.min_ns, r->pin_min_ns);
		raise(&src->pin.max_ns, r->pin_max_ns);
	}
	for (i = 0; i < IOVAB_HIST_BUCKETS; i++)
		add(&src->pin.bucket[i], r->pin_bucket[i]);
	return 0;
}

__noinline int fold_density(struct iovab_source *src, __u32 n)
{
	struct report *r = report_at(n);
	__u32 i;

	if (!src || !r)
		return 0;
	add(&src->windows_clean, r->windows_clean);
	add(&src->scan_skipped, r->scan_skipped);
	add(&src->dirty_bytes, r->dirty_pages << r->page_shift);
	add(&src->density_sum, r->density_sum);
	for (i = 0; i < IOVAB_DENSITY_BUCKETS; i++)
		add(&src->density[i], r->density[i]);
	return 0;
}

__noinline int fold_marks(struct iovab_source *src, __u32 n, __u64 marks)
{
	struct report *r = report_at(n);
	__u32 i;

	if (!marks || !src || !r)
		return 0;
	add(&src->set_calls, marks);
	add(&src->marked_bytes, r->marked_pages << r->page_shift);
	add(&src->lost_bytes, marks_lost(r) << r->page_shift);
	for (i = 0; i < IOVAB_LOST_REASONS; i++)
		add(&src->lost_by[i], r->lost_pages[i] << r->page_shift);
	add(&src->stray_bits, r->stray_bits);
	add(&src->empty_marks, r->empty_marks);
	add(&src->wild_marks, r->wild_marks);
	add(&src->overshoot_bytes, r->overshoot_pages << r->page_shift);
	add(&src->marks_descending, r->descending);
	add(&src->marks_overlapping, r->overlapping);
	add(&src->marks_ascending, marks - 1 - r->descending - r->overlapping);
	for (i = 0; i < IOVAB_RUN_BUCKETS; i++)
		add(&src->runs[i], r->runs[i]);
	return 0;
}

static __always_inline void fold_what_if(struct iovab_source *src, const struct report *r,
					 const struct what_if *w)
{
	enum iovab_policy_id p;

	/* what failed was not followed as a kernel would, or did not get to its end */
	if (r->failed || r->pin_failures || r->empty_marks || !r->length)
		return;
	add(&src->what_if_reports, 1);
	for (p = 0; p < IOVAB_POLICIES; p++) {
		add(&src->what_if[p].windows, w->pins[p].windows);
		add(&src->what_if[p].pages, w->pins[p].pages);
		add(&src->what_if[p].repins, w->pins[p].repins);
		add(&src->what_if[p].repins_unknown, w->pins[p].repins_unknown);
	}
}

static __always_inline void fold_report(struct iovab_source *src, const struct report *r,
					const struct iovab_slot *s, __u32 at, __u64 now)
{
	__u64 ns = now - s->start_ns - r->own_ns;
	__u32 b = hist_index(ns), phase = r->phase;

	src->last_phase = phase;
	/* a client goes through its ranges in ascending order, a report each, and again */
	add(&src->rounds, !src->reports || r->iova <= src->last_iova);
	src->last_iova = r->iova;
	src->last_length = r->length;
	src->last_page_size = 1ULL << r->page_shift;
	src->last_end_ns = now;
	add(&src->reports, 1);
	add(&src->report_errors, !!r->failed);
	add(&src->below_density, tier >= IOVAB_TIER_DENSITY && at < IOVAB_TIER_DENSITY);
	add(&src->below_sets, tier >= IOVAB_TIER_SETS && at < IOVAB_TIER_SETS);
	add(&src->range_bytes, r->length);
	if (phase < IOVAB_PHASES) {
		add(&src->phase_reports[phase], 1);
		add(&src->phase_ns[phase], ns);
	}
	add(&src->report.sum_ns, ns);
	lower(&src->report.min_ns, ns);
	raise(&src->report.max_ns, ns);
	if (b < IOVAB_HIST_BUCKETS)
		add(&src->report.bucket[b], 1);
}

/*
 * Tells user space about the report that ends. Of marks that were not all seen, what
 * was lost of them is told all the same: it was lost.
 */
static __always_inline void report_announce(const struct report *r, const struct iovab_slot *s,
					    const struct iovab_source *src, __u64 marks, __u32 at,
					    __u64 now)
{
	struct iovab_report_event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);

	if (!e) {
		count(&losses.events_dropped);
		return;
	}
	e->kind = IOVAB_EVENT_REPORT;
	e->source_id = src ? src->id : 0;
	e->report = r->serial;
	e->start_ns = s->start_ns;
	e->end_ns = now;
	e->own_ns = r->own_ns;
	e->iova = r->iova;
	e->length = r->length;
	e->page_size = 1ULL << r->page_shift;
	e->error = r->failed;
	e->phase = r->phase;
	e->tier = at;
	e->logging = r->logging;
	e->windows = r->windows;
	e->windows_clean = r->windows_clean;
	e->repins = r->repins;
	e->pages_pinned = r->pages_pinned;
	e->pin_failures = r->pin_failures;
	e->pin_ns = r->pin_sum_ns;
	e->scan_skipped = r->scan_skipped;
	e->dirty_pages = r->dirty_pages;
	e->set_calls = at >= IOVAB_TIER_SETS ? marks : 0;
	e->marked_pages = at >= IOVAB_TIER_SETS ? r->marked_pages : 0;
	e->lost_pages = marks_lost(r);
	e->overshoot_pages = r->overshoot_pages;
	e->stray_bits = r->stray_bits;
	e->empty_marks = r->empty_marks;
	e->wild_marks = r->wild_marks;
	__builtin_memcpy(e->lost_by, r->lost_pages, sizeof(e->lost_by));
	e->lost_iova = r->iova + (r->lost_page << r->page_shift);
	e->cpu_page_size = 1U << cpu_page_shift;
	e->bitmap_offset = r->bitmap_addr & ((1ULL << cpu_page_shift) - 1);
	bpf_ringbuf_submit(e, 0);
}

/* The object is about to be freed: adds the report to its source, lets the slot go. */
static __always_inline void report_end(__u32 n, struct report *r, struct iovab_slot *s, __u64 now)
{
	struct what_if *w = began_at(r, IOVAB_TIER_SETS) ? what_if_at(n) : NULL;
	struct iovab_source *src;
	__u64 marks = 0;
	__u32 at;

	/* from here on its marks are not those of a report under way (user/cost.c) */
	series_forget(n);
	if (w) {
		mark_finish(series_at(n), n);
		marks = series_at(n)->set_calls;
		if (want_marks)
			runs_end(n);
		what_if_eager(r, w);
		what_if_forget(n);
	}
	/* asked once: the tier may be dropped in this very moment */
	at = report_tier(r);
	src = report_source(r);
	if (src) {
		count(&src->folds_begun);
		fold_windows(src, n);
		if (at >= IOVAB_TIER_DENSITY)
			fold_density(src, n);
		if (w && at >= IOVAB_TIER_SETS) {
			fold_marks(src, n, marks);
			fold_what_if(src, r, w);
		}
		fold_report(src, r, s, at, now);
		count(&src->folds_done);
	} else {
		count(&losses.sources_full);
	}
	/* one in trouble is told singly, whoever reads */
	if (want_events || want_reports || marks_lost(r) || r->stray_bits)
		report_announce(r, s, src, marks, at, now);
	report_forget(r);
	if (w)
		cost_add_marks(marks);
	slot_release(n);
}

#endif /* IOVAB_BPF_REPORT_H */
