/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Windows: from a successful pin of bitmap pages to their unpin.
 *
 * An eager kernel pins in iova_bitmap_get, inside alloc for the first window
 * and when for_each moves on for the others. A lazy kernel pins inside
 * iova_bitmap_set, in a function that is inlined there; and both unpin in one that
 * is always inlined. What can be seen then is pin_user_pages_fast and
 * unpin_user_pages, which everybody uses: the array of pages that they are given
 * belongs to one object from its alloc to its free, and says whose it is.
 *
 * A window ends where it is unpinned, before its pages go. If that was not seen, it
 * ends where the next pin or the free begins: its bits are in the same user memory.
 *
 * The scans are ours and take time that the report would not have taken: they
 * are timed, and taken off the report's latency.
 */
#ifndef IOVAB_BPF_WINDOW_H
#define IOVAB_BPF_WINDOW_H

#include "scan.h"

/*
 * The first pages of windows that were pinned, of all reports in one map: those that
 * are observed, and those that other policies would have pinned (whatif.h). Those of a
 * report and a kind are chained, so that its end can take them out again: the value is
 * the first page that was new before, plus one; 0 ends the chain.
 */
#define STARTS_OBSERVED	IOVAB_POLICIES
#define STARTS_KINDS	(IOVAB_POLICIES + 1)

struct window_key {
	__u64 report;		/* struct report.serial x STARTS_KINDS + the kind */
	__u64 page;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, IOVAB_MAX_STARTS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct window_key);
	__type(value, __u64);
} window_starts SEC(".maps");

enum starts { STARTS_NEW, STARTS_KNOWN, STARTS_FULL };

/* Was a window of this kind with this first page there before? *@head is the chain's. */
static __always_inline enum starts starts_remember(const struct report *r, __u32 kind, __u64 page,
						   __u64 *head)
{
	struct window_key key = { .report = r->serial * STARTS_KINDS + kind, .page = page };
	__u64 before = *head;

	/* an int: the upper half of what a map's own function returns means nothing */
	switch ((int)bpf_map_update_elem(&window_starts, &key, &before, BPF_NOEXIST)) {
	case 0:
		*head = page + 1;
		return STARTS_NEW;
	case -EEXIST:
		return STARTS_KNOWN;
	default:
		return STARTS_FULL;
	}
}

static long starts_forget_one(__u32 index, struct window_key *key)
{
	__u64 *before, next;

	before = bpf_map_lookup_elem(&window_starts, key);
	if (!before)
		return 1;
	next = *before;
	bpf_map_delete_elem(&window_starts, key);
	key->page = next - 1;
	return !next;
}

/* The report ends: nothing of a chain stays behind. */
static __always_inline void starts_forget(const struct report *r, __u32 kind, __u64 head)
{
	struct window_key key = { .report = r->serial * STARTS_KINDS + kind, .page = head - 1 };

	if (head)
		bpf_loop(IOVAB_MAX_STARTS, starts_forget_one, &key, 0);
}

/* The bucket of the density histogram for @dirty of @pages. */
static __always_inline __u32 density_bucket(__u64 dirty, __u64 pages)
{
	__u32 i;

	if (!dirty)
		return 0;
	/* bucket i: dirty / pages <= 2^-(13 - i) */
	for (i = 1; i < IOVAB_DENSITY_BUCKETS - 1; i++)
		if (dirty << (IOVAB_DENSITY_BUCKETS - 1 - i) <= pages)
			break;
	return i;
}

/* Works out what @npages pinned from the user address @addr on cover. */
static __always_inline void window_locate(struct report *r, __u64 addr, __u64 npages)
{
	__u64 pages = ((r->length - 1) >> r->page_shift) + 1;
	__u64 base = addr - r->bitmap_addr;
	__u64 bytes = (npages << cpu_page_shift) - (addr & ((1ULL << cpu_page_shift) - 1));

	r->window_addr = addr;
	r->window_page = base * 8;
	r->window_pinned = r->window_page + bytes * 8;
	r->window_pages = bytes * 8;
	if (r->window_pages > pages - r->window_page)
		r->window_pages = pages - r->window_page;
}

/*
 * Was a window with the same first page pinned before in this report? An eager
 * kernel never does that unless it goes back; a lazy one does when marks come
 * out of order, so there the first pages are remembered (window_starts).
 */
static __always_inline bool window_repinned(struct report *r)
{
	bool again = r->window_page < r->next_window_page;

	if (lazy) {
		switch (starts_remember(r, STARTS_OBSERVED, r->window_page, &r->last_window_start)) {
		case STARTS_KNOWN:
			return true;
		case STARTS_FULL:
			count(&losses.starts_full);
			return false;
		case STARTS_NEW:
			return false;
		}
	}
	if (!again)
		r->next_window_page = r->window_page + r->window_pages;
	return again;
}

static __always_inline void window_scan_start(__u32 n, struct report *r, __u32 user)
{
	__u64 t0;
	__u32 i;

	for (i = 0; i < IOVAB_CELLS; i++)
		r->cells[i] = 0;
	i = r->window_pages > 1 ? highest_bit(r->window_pages - 1) + 1 : 0;
	/* a cell is at least one group of the scan, and there are 2^6 of them */
	r->cell_shift = i < 9 + 6 ? 9 : i - 6;

	t0 = bpf_ktime_get_ns();
	r->window_skipped = scan_window(n, user, false) != 0;
	r->window_dirty = r->scan_set;
	r->own_ns += bpf_ktime_get_ns() - t0;
}

/* CPU pages of bitmap that the window pins. */
static __always_inline __u64 window_cpu_pages(const struct report *r)
{
	__u64 offset = r->window_addr & ((1ULL << cpu_page_shift) - 1);

	return (((r->window_pinned - r->window_page) >> 3) + offset) >> cpu_page_shift;
}

/* Tells user space about the window that ends; @dirty is what it found. */
static __always_inline void window_announce(const struct report *r, const struct iovab_slot *s,
					    __u64 dirty, __u64 now)
{
	struct iovab_window_event *e = bpf_ringbuf_reserve(&events, sizeof(*e), 0);
	__u32 i;

	if (!e) {
		count(&losses.events_dropped);
		return;
	}
	e->kind = IOVAB_EVENT_WINDOW;
	e->source_id = s->source_id;
	e->report = r->serial;
	e->pages = window_cpu_pages(r);
	e->pad = 0;
	e->start_ns = r->window_start_ns;
	e->end_ns = now;
	e->iova = r->iova + (r->window_page << r->page_shift);
	e->length = r->window_pages << r->page_shift;
	e->page_size = 1ULL << r->page_shift;
	e->dirty_pages = dirty;
	e->scan_skipped = r->window_skipped;
	e->cell_shift = r->cell_shift;
	for (i = 0; i < IOVAB_CELLS; i++)
		e->cells[i] = r->cells[i];
	bpf_ringbuf_submit(e, 0);
}

static __always_inline void window_scan_end(__u32 n, struct report *r, struct iovab_slot *s,
					    __u32 user)
{
	__u64 t0 = bpf_ktime_get_ns(), now, dirty = 0;
	__u32 b;

	if (!r->window_skipped) {
		/* fewer than at the start: somebody cleared bits meanwhile */
		if (scan_window(n, user, true) || r->scan_set < r->window_dirty)
			r->window_skipped = 1;
		else
			dirty = r->scan_set - r->window_dirty;
	}
	if (r->window_skipped) {
		r->scan_skipped++;
	} else {
		r->dirty_pages += dirty;
		r->windows_clean += !dirty;
		b = density_bucket(dirty, r->window_pages);
		if (b < IOVAB_DENSITY_BUCKETS)
			r->density[b]++;
		r->density_sum += dirty * IOVAB_DENSITY_ONE / r->window_pages;
	}
	now = bpf_ktime_get_ns();
	if (want_events)
		window_announce(r, s, dirty, t0);
	r->own_ns += now - t0;
}

static __always_inline void window_end(__u32 n, struct report *r, __u32 user)
{
	struct iovab_slot *s = slot_at(n);

	if (!r->window_pages)
		return;
	if (began_at(r, IOVAB_TIER_DENSITY))
		window_scan_end(n, r, s, user);
	else if (want_events)
		window_announce(r, s, 0, bpf_ktime_get_ns());
	r->window_pages = 0;
	s->pages_now = 0;
}

static __always_inline void window_start(__u32 n, struct report *r, __u64 addr, __u64 npages,
					 __u64 now, __u32 user)
{
	struct iovab_slot *s = slot_at(n);

	window_locate(r, addr, npages);
	s->pages_now = npages;
	r->windows++;
	r->pages_pinned += npages;
	if (window_repinned(r))
		r->repins++;
	r->window_start_ns = now;
	r->window_skipped = 1;
	if (began_at(r, IOVAB_TIER_DENSITY))
		window_scan_start(n, r, user);
}

static __always_inline void pin_timed(struct report *r, __u64 ns)
{
	__u32 b = hist_index(ns);

	if (b < IOVAB_HIST_BUCKETS)
		r->pin_bucket[b]++;
	r->pin_sum_ns += ns;
	if (ns < r->pin_min_ns)
		r->pin_min_ns = ns;
	if (ns > r->pin_max_ns)
		r->pin_max_ns = ns;
}

#endif /* IOVAB_BPF_WINDOW_H */
