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
 * Which device a report is for is known from the moment for_each is called. A
 * report whose alloc failed never gets there: it is counted for its process,
 * with client and device unknown.
 */
#ifndef IOVAB_BPF_REPORT_H
#define IOVAB_BPF_REPORT_H

#include "mark.h"

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

	r->key.pid = bpf_get_current_pid_tgid() >> 32;
	r->key.owner_start_ns = BPF_CORE_READ(leader, start_boottime);
	bpf_probe_read_kernel_str(r->comm, sizeof(r->comm), &leader->comm);
}

/* Claims a slot for an object (@key stands for it) that is new, and takes down what it says of itself. */
static __always_inline int report_begin(struct iova_bitmap *obj, __u64 key, __u64 now)
{
	int n = slot_find(key);
	struct iovab_slot *s;
	struct report *r;
	__u32 number;

	if (n >= 0) {
		/* an object of old whose free was not seen had this address */
		slot_release(n);
		count(&losses.joined_late);
	}
	n = slot_claim(key);
	number = n;
	if (n < 0)
		return n;
	bpf_map_update_elem(&reports, &number, &empty_report, BPF_ANY);
	r = report_at(n);
	if (!r)
		return -1;
	r->iova = BPF_CORE_READ(obj, iova);
	r->length = BPF_CORE_READ(obj, length);
	r->page_shift = BPF_CORE_READ(obj, mapped.pgshift) & 63;
	r->bitmap_addr = (__u64)BPF_CORE_READ(obj, bitmap);
	r->serial = __sync_fetch_and_add(&last_serial, 1);
	if (lazy) {
		r->page_array = (__u64)BPF_CORE_READ(obj, mapped.pages);
		bpf_map_update_elem(&page_arrays, &r->page_array, &number, BPF_ANY);
	}
	report_owner(r);

	s = slot_at(n);
	s->next = IOVAB_NO_SERIES;
	s->mark_length = 0;
	s->first_start = 0;
	s->span = 0;
	s->run_start = 0;
	s->anchor = 0;
	s->singles = 0;
	s->descending = 0;
	s->overlapping = 0;
	s->set_calls = 0;
	s->marked_pages = 0;
	s->source_id = 0;
	s->pages_now = 0;
	s->start_ns = now;
	return n;
}

/* The source of the report's key; made if it is new. NULL: there are too many. */
static __always_inline struct iovab_source *report_source(struct report *r)
{
	struct iovab_source *src = bpf_map_lookup_elem(&sources, &r->key);

	if (src)
		return src;
	bpf_map_update_elem(&sources, &r->key, &empty_source, BPF_NOEXIST);
	src = bpf_map_lookup_elem(&sources, &r->key);
	if (!src)
		return NULL;
	__builtin_memcpy(src->driver, r->driver, sizeof(src->driver));
	__builtin_memcpy(src->vfio, r->vfio, sizeof(src->vfio));
	__builtin_memcpy(src->comm, r->comm, sizeof(src->comm));
	/* last: user space takes no notice of a source without an id */
	if (!src->id)
		__sync_val_compare_and_swap(&src->id, 0,
					    __sync_fetch_and_add(&last_source_id, 1) + 1);
	return src;
}

/* The client is told by the function that for_each is to call, never guessed. */
static __always_inline void report_identify(struct report *r, struct iovab_slot *s,
					    __u64 opaque, __u64 fn)
{
	struct vfio_device *vdev = (void *)opaque;
	struct iovab_source *src;
	const char *name;

	if (!fn || fn != vfio_callback)
		return;
	r->key.client = IOVAB_CLIENT_VFIO;
	name = BPF_CORE_READ(vdev, dev, kobj.name);
	if (bpf_probe_read_kernel_str(r->key.device, sizeof(r->key.device), name) ==
	    sizeof(r->key.device))
		count(&losses.names_cut);
	name = BPF_CORE_READ(vdev, dev, driver, name);
	bpf_probe_read_kernel_str(r->driver, sizeof(r->driver), name);
	name = BPF_CORE_READ(vdev, device.kobj.name);
	bpf_probe_read_kernel_str(r->vfio, sizeof(r->vfio), name);

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

static __always_inline void fold_windows(struct iovab_source *src, const struct report *r)
{
	__u32 i;

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
}

static __always_inline void fold_density(struct iovab_source *src, const struct report *r)
{
	__u32 i;

	add(&src->windows_clean, r->windows_clean);
	add(&src->scan_skipped, r->scan_skipped);
	add(&src->dirty_bytes, r->dirty_pages << r->page_shift);
	for (i = 0; i < IOVAB_DENSITY_BUCKETS; i++)
		add(&src->density[i], r->density[i]);
}

static __always_inline void fold_marks(struct iovab_source *src, const struct report *r,
				       const struct iovab_slot *s)
{
	__u32 i;

	if (!s->set_calls)
		return;
	add(&src->set_calls, s->set_calls);
	add(&src->marked_bytes, s->marked_pages << r->page_shift);
	add(&src->lost_bytes, r->lost_pages << r->page_shift);
	add(&src->stray_bits, r->stray_bits);
	add(&src->overshoot_bytes, r->overshoot_pages << r->page_shift);
	add(&src->marks_descending, s->descending);
	add(&src->marks_overlapping, s->overlapping);
	add(&src->marks_ascending, s->set_calls - 1 - s->descending - s->overlapping);
	for (i = 0; i < IOVAB_RUN_BUCKETS; i++)
		add(&src->runs[i], r->runs[i]);
}

static __always_inline void fold_report(struct iovab_source *src, const struct report *r,
					const struct iovab_slot *s, __u64 now)
{
	__u64 ns = now - s->start_ns - r->own_ns;
	__u32 b = iovab_hist_index(ns);

	src->last_iova = r->iova;
	src->last_length = r->length;
	src->last_page_size = 1ULL << r->page_shift;
	src->last_end_ns = now;
	add(&src->reports, 1);
	add(&src->report_errors, !!r->failed);
	add(&src->range_bytes, r->length);
	add(&src->report.sum_ns, ns);
	lower(&src->report.min_ns, ns);
	raise(&src->report.max_ns, ns);
	if (b < IOVAB_HIST_BUCKETS)
		add(&src->report.bucket[b], 1);
}

/* Tells user space about the report that ends. */
static __always_inline void report_announce(const struct report *r, const struct iovab_slot *s,
					    const struct iovab_source *src, __u64 now)
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
	e->phase = 0;
	__builtin_memset(e->pad, 0, sizeof(e->pad));
	e->windows = r->windows;
	e->windows_clean = r->windows_clean;
	e->repins = r->repins;
	e->pages_pinned = r->pages_pinned;
	e->pin_failures = r->pin_failures;
	e->pin_ns = r->pin_sum_ns;
	e->scan_skipped = r->scan_skipped;
	e->dirty_pages = r->dirty_pages;
	e->set_calls = s->set_calls;
	e->marked_pages = s->marked_pages;
	e->lost_pages = r->lost_pages;
	e->overshoot_pages = r->overshoot_pages;
	e->stray_bits = r->stray_bits;
	bpf_ringbuf_submit(e, 0);
}

/* The object is about to be freed: adds the report to its source, lets the slot go. */
static __always_inline void report_end(__u32 n, struct report *r, struct iovab_slot *s, __u64 now)
{
	struct iovab_source *src;

	if (tier >= IOVAB_TIER_SETS)
		mark_finish(s, r);
	src = report_source(r);
	if (src) {
		count(&src->folds_begun);
		fold_windows(src, r);
		if (tier >= IOVAB_TIER_DENSITY)
			fold_density(src, r);
		if (tier >= IOVAB_TIER_SETS)
			fold_marks(src, r, s);
		fold_report(src, r, s, now);
		count(&src->folds_done);
	} else {
		count(&losses.sources_full);
	}
	if (want_events)
		report_announce(r, s, src, now);
	if (lazy) {
		window_forget(r);
		bpf_map_delete_elem(&page_arrays, &r->page_array);
	}
	slot_release(n);
}

#endif /* IOVAB_BPF_REPORT_H */
