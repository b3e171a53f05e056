// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reference implementation (kernel/ref_*.c), seen through its own tracepoints.
 *
 * Its reports become rows beside those of the kernel's iova_bitmap, with the same
 * figures. They are counted by the same headers; this is an object of its own, since the
 * module may come at any time, to a kernel that has no iova_bitmap as well. Its
 * tracepoints hand over all that there is to know, so no type of the module's is needed,
 * and a module without type information will do. The maps of sources, events and cost
 * are the facility's (user/reference.c sees to that), the numbers of sources and reports
 * begin where the facility's do not come to.
 *
 * What is other than in the kernel:
 *
 *   - A report has several windows at a time. Each is one successful pin, as everywhere:
 *     it is scanned when its pin has returned and before it is unpinned, and what is to be
 *     known between the two stands in `pinned`, under its report and its first bit. No
 *     page is in two windows, so what they add up to is exact; pages_now of the slot is
 *     the sum of all that are pinned. A hole in the bitmap makes a window of what is
 *     before it and one of what is behind it, and pages that are unpinned together may
 *     have been pinned apart: so an unpin ends each window that begins in its pages.
 *   - A window is remembered in `pinned` after its unpin: pinned again, it is a repin.
 *   - A mark is clipped to the range: nothing is stray, and nothing is lost as long as
 *     no error has come out. Then what is left of the mark that met the error is lost,
 *     and so is each later mark.
 *   - A pin that fails beside a mark is a pin failure, but no error of the report.
 *
 * What the policy `cached` would have pinned for the same marks (whatif.h) must be what
 * is observed, if that is the policy of the reports: the one is computed with the
 * reference's own arithmetic, but from the marks alone.
 */
#define REFERENCE true
#include "iovab.h"

/* Reports of the reference in flight: so many are plenty, and each takes 4 KB. */
#undef IOVAB_MAX_REPORTS
#define IOVAB_MAX_REPORTS 256

#include "report.h"

char LICENSE[] SEC("license") = "GPL";

/* A window: what was found at its pin. */
struct pinned {
	__u64 before;		/* chains those of a report: as in window_starts */
	__u64 start_ns;
	__u64 dirty;		/* bits that were set */
	__u32 pages;		/* CPU pages; 0: it is not pinned now */
	__u32 skipped;		/* its scan failed, or the tier has none */
	__u32 cell_shift;
	__u32 pad;
	__u32 cells[IOVAB_CELLS];
};

static const struct pinned never_pinned;

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1 << 16);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct window_key);		/* .report is struct report.serial alone */
	__type(value, struct pinned);
} pinned SEC(".maps");

static __always_inline struct pinned *pinned_at(const struct report *r, __u64 bit)
{
	struct window_key key = { .report = r->serial, .page = bit };

	return bpf_map_lookup_elem(&pinned, &key);
}

static long pinned_forget_one(__u32 index, struct window_key *key)
{
	struct pinned *p = bpf_map_lookup_elem(&pinned, key);
	__u64 next;

	if (!p)
		return 1;
	next = p->before;
	bpf_map_delete_elem(&pinned, key);
	key->page = next - 1;
	return !next;
}

/* The report ends: nothing of it stays behind. */
static __always_inline void pinned_forget(struct report *r)
{
	struct window_key key = { .report = r->serial, .page = r->last_window_start - 1 };

	if (r->last_window_start)
		bpf_loop(1 << 16, pinned_forget_one, &key, 0);
	r->last_window_start = 0;
}

/* --- windows --- */

/* An end of a window was not seen: what it found nobody knows. */
static __always_inline void window_unseen(struct report *r)
{
	if (began_at(r, IOVAB_TIER_DENSITY))
		r->scan_skipped++;
}

/* Puts down the window that was just pinned, and scanned. */
static __always_inline void window_keep(struct report *r, __u32 pages)
{
	struct window_key key = { .report = r->serial, .page = r->window_page };
	struct pinned *p = bpf_map_lookup_elem(&pinned, &key);

	if (p) {
		r->repins++;
		if (p->pages) {
			count(&losses.pins_unowned);
			window_unseen(r);
		}
	} else {
		bpf_map_update_elem(&pinned, &key, &never_pinned, BPF_NOEXIST);
		p = bpf_map_lookup_elem(&pinned, &key);
		if (!p) {
			/* its unpin will find nothing */
			count(&losses.starts_full);
			return;
		}
		p->before = r->last_window_start;
		r->last_window_start = r->window_page + 1;
	}
	p->pages = pages;
	p->start_ns = r->window_start_ns;
	p->dirty = r->window_dirty;
	p->skipped = r->window_skipped;
	p->cell_shift = r->cell_shift;
	__builtin_memcpy(p->cells, r->cells, sizeof(p->cells));
}

/*
 * The window of report @n that begins at @bit ends; its pages are still pinned, and the
 * kernel's addresses of them are at @addresses. How many pages it has; 0: there is none.
 * A global function: the verifier looks at it once, not at each turn of the loop.
 */
__noinline int window_finish(__u32 n, __u64 bit, __u64 addresses)
{
	struct iovab_slot *s = slot_at(n);
	struct report *r = report_at(n);
	struct pinned *p = r ? pinned_at(r, bit) : NULL;
	__u32 pages;

	if (!p || !p->pages)
		return 0;
	pages = p->pages;
	window_locate(r, r->bitmap_addr + bit / 8, pages);
	r->page_array = addresses;
	r->window_start_ns = p->start_ns;
	r->window_dirty = p->dirty;
	r->window_skipped = p->skipped;
	r->cell_shift = p->cell_shift;
	__builtin_memcpy(r->cells, p->cells, sizeof(p->cells));
	if (began_at(r, IOVAB_TIER_DENSITY))
		window_scan_end(n, r, s, SCAN_UNPIN);
	else if (want_events)
		window_announce(r, s, 0, bpf_ktime_get_ns());
	p->pages = 0;
	return pages;
}

/* @got pages from the IOVA @first on were pinned, which took @ns; or -errno. */
static __always_inline void handle_pin(int n, __u64 first, long got, __u64 ns, __u64 addresses,
				       __u64 now)
{
	struct report *r = report_at(n);
	__u64 bit;

	if (!r)
		return;
	if (ns)		/* else nobody listened yet when it began */
		pin_timed(r, ns);
	if (got <= 0) {
		r->pin_failures++;
		return;
	}
	bit = (first - r->iova) >> r->page_shift;
	slot_at(n)->pages_now += got;
	r->windows++;
	r->pages_pinned += got;
	window_locate(r, r->bitmap_addr + bit / 8, got);
	r->page_array = addresses;
	r->window_start_ns = now;
	r->window_skipped = 1;
	if (began_at(r, IOVAB_TIER_DENSITY))
		window_scan_start(n, r, SCAN_PIN_EXIT);
	window_keep(r, got);
}

struct unpin {
	__u32 n;
	__u32 left;		/* pages */
	__u64 bit;		/* the first one of what is left, and ... */
	__u64 addresses;	/* ... where the kernel's addresses of its pages are */
	__u32 unseen;		/* 1: of some of its pages no window is known */
	__u32 pad;
};

static long unpin_window(__u32 index, struct unpin *u)
{
	struct report *r = report_at(u->n);
	__u32 pages = window_finish(u->n, u->bit, u->addresses);
	__u64 skew, page;

	if (!r)
		return 1;
	if (!pages) {
		u->unseen = 1;
		pages = 1;
	}
	if (pages >= u->left)
		return 1;
	u->left -= pages;
	u->addresses += pages * 8;
	skew = (r->bitmap_addr & ((1ULL << cpu_page_shift) - 1)) * 8;
	page = ((u->bit + skew) >> (cpu_page_shift + 3)) + pages;
	u->bit = (page << (cpu_page_shift + 3)) - skew;
	return 0;
}

static __always_inline void handle_unpin(int n, __u64 first, __u64 pages, __u64 addresses)
{
	struct report *r = report_at(n);
	struct iovab_slot *s = slot_at(n);
	struct unpin u = { .n = n, .left = pages, .addresses = addresses };

	if (!r)
		return;
	u.bit = (first - r->iova) >> r->page_shift;
	bpf_loop(pages, unpin_window, &u, 0);
	if (u.unseen)
		window_unseen(r);
	/* fewer: the pin of some was not seen */
	s->pages_now -= pages < s->pages_now ? pages : s->pages_now;
}

/* --- reports --- */

static __always_inline void handle_alloc(const __u64 *ctx, __u64 now)
{
	__u64 key = ctx[0];
	int n = slot_find(key);
	struct report *r;

	if (n >= 0) {
		/* the end of the one before was not seen */
		r = report_at(n);
		if (r)
			pinned_forget(r);
	}
	n = report_claim(key, key, now);
	if (n < 0)
		return;
	r = report_at(n);
	if (!r)
		return;
	r->iova = ctx[1];
	r->length = ctx[2];
	r->page_shift = ctx[3] & 63;
	r->bitmap_addr = ctx[4];
	if (want_marks)
		runs_begin(n, r);
	r->key.client = IOVAB_CLIENT_REF;
	r->key.implementation = IOVAB_IMPL_REFERENCE;
}

static __always_inline void handle_name(int n, const char *device)
{
	struct report *r = report_at(n);

	if (r && copy_name(r->key.device, sizeof(r->key.device), device))
		count(&losses.names_cut);
}

/* The error that sticks. Of the mark that met it @first to @last was not done. */
static __always_inline void handle_error(int n, int error, __u64 first, __u64 last)
{
	struct report *r = report_at(n);

	if (!r)
		return;
	r->failed = -error;
	if (!follows_marks(r))
		return;
	/* what follows is no series: it is lost */
	series_settle(series_at(n), n);
	if (first > last)
		return;
	first = (first - r->iova) >> r->page_shift;
	last = (last - r->iova) >> r->page_shift;
	mark_lost(r, IOVAB_LOST_PIN, first, last - first + 1);
}

static __always_inline void handle_free(int n, __u64 now)
{
	struct report *r = report_at(n);
	struct iovab_slot *s = slot_at(n);

	if (!r)
		return;
	if (s->pages_now) {
		count(&losses.pins_unowned);
		window_unseen(r);
	}
	pinned_forget(r);
	report_end(n, r, s, now);
}

/* A mark in a report that has failed: what of it is in the range is lost. */
static __always_inline void mark_refused(struct iovab_series *s, __u32 n, struct report *r,
					 __u64 iova, __u64 length)
{
	__u64 marked = r->marked_pages;

	mark_apart(s, n, iova, length);
	if (r->marked_pages == marked)
		return;
	mark_lost(r, IOVAB_LOST_PIN, iova < r->iova ? 0 : (iova - r->iova) >> r->page_shift,
		  r->marked_pages - marked);
}

static __noinline int set_rest(__u64 key, __u64 iova, __u64 length)
{
	int n = slot_find(key);
	struct iovab_series *s;
	struct report *r;

	if (n < 0) {
		count(&losses.marks_unowned);
		return 0;
	}
	s = series_at(n);
	r = report_at(n);
	/* a report that began at a lower tier has no series */
	if (!r || !s->obj)
		return 0;
	if (r->failed)
		mark_refused(s, n, r, iova, length);
	else if (!mark_in_series(s, iova, length, false))
		mark_apart(s, n, iova, length);
	return 0;
}

static __always_inline int handle_set(__u64 key, __u64 iova, __u64 length)
{
	if (mark_in_passing(key, iova, length))
		return 0;
	return set_rest(key, iova, length);
}

/* --- the programs, in the order of a report --- */

SEC("raw_tp/iovab_ref_alloc")
int report_open(__u64 *ctx)
{
	__u64 now = bpf_ktime_get_ns();

	handle_alloc(ctx, now);
	cost_add(now);
	return 0;
}

SEC("raw_tp/iovab_ref_name")
int report_name(__u64 *ctx)
{
	int n = slot_find(ctx[0]);

	if (n >= 0)
		handle_name(n, (const char *)ctx[1]);
	return 0;
}

SEC("raw_tp/iovab_ref_for_each")
int for_each_entry(__u64 *ctx)
{
	__u64 now = bpf_ktime_get_ns();
	int n = slot_find(ctx[0]);
	struct report *r = n < 0 ? NULL : report_at(n);

	if (r)
		report_identify(r, slot_at(n), 0);
	cost_add(now);
	return 0;
}

SEC("raw_tp/iovab_ref_pin")
int pin_exit(__u64 *ctx)
{
	__u64 now = bpf_ktime_get_ns();
	int n = slot_find(ctx[0]);

	if (n < 0)
		count(&losses.pins_unowned);
	else
		handle_pin(n, ctx[1], ctx[3], ctx[4], ctx[5], now);
	cost_add(now);
	return 0;
}

SEC("raw_tp/iovab_ref_unpin")
int unpin_entry(__u64 *ctx)
{
	__u64 now = bpf_ktime_get_ns();
	int n = slot_find(ctx[0]);

	if (n >= 0)
		handle_unpin(n, ctx[1], ctx[3], ctx[4]);
	cost_add(now);
	return 0;
}

SEC("?raw_tp/iovab_ref_set")
int set_entry(__u64 *ctx)
{
	return handle_set(ctx[0], ctx[1], ctx[2]);
}

/* In its place, if somebody records marks. */
SEC("?raw_tp/iovab_ref_set")
int set_entry_recorded(__u64 *ctx)
{
	runs_mark(ctx[0], ctx[1], ctx[2]);
	return handle_set(ctx[0], ctx[1], ctx[2]);
}

SEC("raw_tp/iovab_ref_error")
int error_stuck(__u64 *ctx)
{
	int n = slot_find(ctx[0]);

	if (n >= 0)
		handle_error(n, ctx[1], ctx[2], ctx[3]);
	return 0;
}

/* The driver's own error does not stick, but is the report's. */
SEC("raw_tp/iovab_ref_done")
int for_each_exit(__u64 *ctx)
{
	int n = slot_find(ctx[0]), error = ctx[1];
	struct report *r = n < 0 ? NULL : report_at(n);

	if (r && error)
		r->failed = -error;
	return 0;
}

SEC("raw_tp/iovab_ref_free")
int report_close(__u64 *ctx)
{
	__u64 now = bpf_ktime_get_ns();
	int n = slot_find(ctx[0]);

	if (n < 0)
		count(&losses.joined_late);
	else
		handle_free(n, now);
	cost_add(now);
	return 0;
}
