// SPDX-License-Identifier: GPL-2.0-only
/*
 * The programs: where each signal of the facility is taken from the kernel.
 *
 * A program decides which event this is and hands it on; what the event means
 * stands in the header of its noun. Programs are off by default (SEC "?..."):
 * user/session.c switches on those whose function exists and that the tier
 * needs, and attaches the ones that open a report last, so that whatever they
 * begin the others will see the rest of.
 *
 *   alloc, pin     iova_bitmap_get    entry: a report or its next window begins
 *                                     exit: the pin succeeded or failed
 *   for_each       iova_bitmap_for_each   entry: client and device
 *                                         exit: the report's result
 *   set            iova_bitmap_set    entry: a mark (tier sets)
 *   free           iova_bitmap_free   entry: the last window and the report end
 *
 * Every program but the one on set is timed by itself, so that what watching
 * costs is known without asking the kernel to time all BPF programs there are.
 *
 * Arguments are read with bpf_get_func_arg where the verifier of older kernels
 * would refuse the pointer type.
 */
#include "report.h"

char LICENSE[] SEC("license") = "GPL";

static __always_inline void handle_pin_entry(struct iova_bitmap *obj, __u64 now)
{
	int n = slot_find(key_of(obj));
	bool first = BPF_CORE_READ(obj, mapped_base_index) == 0;
	struct report *r;

	if (n >= 0 && first) {
		/* an object of old whose free was not seen had this address */
		slot_release(n);
		count(&losses.joined_late);
		n = -1;
	}
	if (n < 0) {
		if (!first) {
			count(&losses.pins_unowned);
			return;
		}
		n = report_begin(obj, now);
		if (n < 0)
			return;
	}
	r = report_at(n);
	if (!r)
		return;
	window_end(r, slot_at(n), SCAN_PIN_ENTRY);
	r->pin_start_ns = bpf_ktime_get_ns();
}

static __always_inline void handle_pin_exit(struct iova_bitmap *obj, int err, __u64 now)
{
	int n = slot_find(key_of(obj));
	struct report *r;

	if (n < 0)
		return;
	r = report_at(n);
	if (!r || !r->pin_start_ns)
		return;
	pin_timed(r, now - r->pin_start_ns);
	r->pin_start_ns = 0;
	if (err) {
		r->pin_failures++;
		r->failed = 1;
		return;
	}
	window_start(r, slot_at(n), obj, BPF_CORE_READ(obj, mapped.npages), now);
}

static __always_inline void handle_for_each_entry(const void *obj, __u64 opaque, __u64 fn)
{
	int n = slot_find(key_of(obj));
	struct report *r;

	if (n < 0) {
		count(&losses.joined_late);
		return;
	}
	r = report_at(n);
	if (r)
		report_identify(r, slot_at(n), opaque, fn);
}

static __always_inline void handle_for_each_exit(const void *obj, int err)
{
	int n = slot_find(key_of(obj));
	struct report *r;

	if (n < 0)
		return;
	r = report_at(n);
	if (r && err)
		r->failed = 1;
}

static __always_inline void handle_set(const void *obj, __u64 iova, __u64 length)
{
	int n = slot_find(key_of(obj));
	struct iovab_slot *s;

	if (n < 0) {
		count(&losses.marks_unowned);
		return;
	}
	s = slot_at(n);
	if (iova == s->next && length == s->mark_length && iova <= s->last_start)
		s->next = iova + length;
	else
		mark_apart(n, iova, length);
}

static __always_inline void handle_free(const void *obj, __u64 now)
{
	int n = slot_find(key_of(obj));
	struct iovab_slot *s;
	struct report *r;
	__u64 own_ns;

	if (n < 0)
		return;
	s = slot_at(n);
	r = report_at(n);
	if (!r)
		return;
	/* the last scan comes after the report's end: its time is not to be taken off */
	own_ns = r->own_ns;
	window_end(r, s, SCAN_FREE);
	r->own_ns = own_ns;
	report_end(n, r, s, now);
}

SEC("?fentry/iova_bitmap_get")
int pin_entry(__u64 *ctx)
{
	__u64 now = bpf_ktime_get_ns();

	handle_pin_entry((void *)ctx[0], now);
	cost_add(now);
	return 0;
}

SEC("?fexit/iova_bitmap_get")
int pin_exit(__u64 *ctx)
{
	__u64 now = bpf_ktime_get_ns(), ret = 0;

	bpf_get_func_ret(ctx, &ret);
	handle_pin_exit((void *)ctx[0], ret, now);
	cost_add(now);
	return 0;
}

SEC("?fentry/iova_bitmap_for_each")
int for_each_entry(__u64 *ctx)
{
	__u64 now = bpf_ktime_get_ns(), opaque = 0, fn = 0;

	bpf_get_func_arg(ctx, 1, &opaque);
	bpf_get_func_arg(ctx, 2, &fn);
	handle_for_each_entry((void *)ctx[0], opaque, fn);
	cost_add(now);
	return 0;
}

SEC("?fexit/iova_bitmap_for_each")
int for_each_exit(__u64 *ctx)
{
	__u64 now = bpf_ktime_get_ns(), ret = 0;

	bpf_get_func_ret(ctx, &ret);
	handle_for_each_exit((void *)ctx[0], ret);
	cost_add(now);
	return 0;
}

SEC("?fentry/iova_bitmap_set")
int set_entry(__u64 *ctx)
{
	handle_set((void *)ctx[0], ctx[1], ctx[2]);
	return 0;
}

SEC("?fentry/iova_bitmap_free")
int free_entry(__u64 *ctx)
{
	__u64 now = bpf_ktime_get_ns();

	handle_free((void *)ctx[0], now);
	cost_add(now);
	return 0;
}
