/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The same programs for kprobes: dearer, but they need nothing but the symbol.
 *
 * At a function's exit its arguments are gone, so its entry keeps them for the
 * thread: of a pin where pairs leave word of their calls (pair.h), since none of them
 * calls another, and of for_each, which calls what pins, in a map of its own.
 */

/* A kprobe's program is not preempted in a scan, but may come while its other is. */
#define SCAN_BY_KPROBE	(paired ? SCAN_USERS : 0)

/* What the entry kept of a pin; false: nothing, or the trampoline's program has taken it. */
static __always_inline bool pin_take(struct call *c)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct call *kept = bpf_map_lookup_elem(&calls, &thread);

	if (!kept || kept->kind != CALL_PIN)
		return false;
	*c = *kept;
	call_drop();
	pair_cover();
	return true;
}

SEC("?kprobe/iova_bitmap_get")
int pin_entry_kprobe(struct pt_regs *ctx)
{
	__u64 now = bpf_ktime_get_ns();
	struct call c = { .kind = CALL_PIN, .obj = PT_REGS_PARM1(ctx) };

	c.key = key_of_number(c.obj);
	pair_take(&c);
	handle_pin_entry((void *)c.obj, c.key, now, SCAN_BY_KPROBE);
	cost_add(now);
	return 0;
}

SEC("?kretprobe/iova_bitmap_get")
int pin_exit_kprobe(struct pt_regs *ctx)
{
	__u64 now = bpf_ktime_get_ns();
	struct call c;

	if (pin_take(&c))
		handle_pin_exit((void *)c.obj, c.key, PT_REGS_RC(ctx), now, SCAN_BY_KPROBE);
	cost_add(now);
	return 0;
}

SEC("?kretprobe/iova_bitmap_alloc")
int alloc_exit_kprobe(struct pt_regs *ctx)
{
	__u64 now = bpf_ktime_get_ns(), obj = PT_REGS_RC(ctx);

	if (paired && call_find(CALL_ALLOC, obj)) {
		call_drop();
	} else {
		pair_cover();
		handle_alloc_exit(obj, now);
	}
	cost_add(now);
	return 0;
}

SEC("?kprobe/pin_user_pages_fast")
int gup_entry_kprobe(struct pt_regs *ctx)
{
	struct call c = { .kind = CALL_PIN, .key = PT_REGS_PARM4(ctx), .start = PT_REGS_PARM1(ctx) };
	__u64 now;
	int n;

	if (!reports_in_flight)
		return 0;
	n = find_by_pages(c.key);
	if (n < 0)
		return 0;
	now = bpf_ktime_get_ns();
	c.slot = n;
	pair_take(&c);
	handle_gup_entry(n, SCAN_BY_KPROBE);
	cost_add(now);
	return 0;
}

SEC("?kretprobe/pin_user_pages_fast")
int gup_exit_kprobe(struct pt_regs *ctx)
{
	struct call c;
	__u64 now;

	if (!reports_in_flight || !pin_take(&c))
		return 0;
	now = bpf_ktime_get_ns();
	handle_gup_exit(c.slot, c.start, (int)PT_REGS_RC(ctx), now, SCAN_BY_KPROBE);
	cost_add(now);
	return 0;
}

SEC("?kprobe/unpin_user_pages")
int unpin_entry_kprobe(struct pt_regs *ctx)
{
	__u64 now;
	int n;

	if (!reports_in_flight)
		return 0;
	n = find_by_pages(PT_REGS_PARM1(ctx));
	if (n < 0)
		return 0;
	now = bpf_ktime_get_ns();
	handle_unpin(n, SCAN_BY_KPROBE);
	cost_add(now);
	return 0;
}

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, IOVAB_MAX_REPORTS);
	__type(key, __u64);
	__type(value, __u64);
} walks SEC(".maps");

SEC("?kprobe/iova_bitmap_for_each")
int for_each_entry_kprobe(struct pt_regs *ctx)
{
	__u64 now = bpf_ktime_get_ns(), thread = bpf_get_current_pid_tgid();
	__u64 key = key_of_number(PT_REGS_PARM1(ctx));

	bpf_map_update_elem(&walks, &thread, &key, BPF_ANY);
	handle_for_each_entry(key, PT_REGS_PARM3(ctx));
	cost_add(now);
	return 0;
}

SEC("?kretprobe/iova_bitmap_for_each")
int for_each_exit_kprobe(struct pt_regs *ctx)
{
	__u64 now = bpf_ktime_get_ns(), thread = bpf_get_current_pid_tgid();
	__u64 *key = bpf_map_lookup_elem(&walks, &thread);

	if (key) {
		handle_for_each_exit(*key, PT_REGS_RC(ctx));
		bpf_map_delete_elem(&walks, &thread);
	}
	cost_add(now);
	return 0;
}

static __noinline int set_entry_rest_kprobe(struct pt_regs *ctx)
{
	return set_rest(key_of_number(PT_REGS_PARM1(ctx)), PT_REGS_PARM2(ctx), PT_REGS_PARM3(ctx));
}

SEC("?kprobe/iova_bitmap_set")
int set_entry_kprobe(struct pt_regs *ctx)
{
	if (mark_in_passing(PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx), PT_REGS_PARM3(ctx)))
		return 0;
	return set_entry_rest_kprobe(ctx);
}

SEC("?kprobe/iova_bitmap_set")
int set_entry_recorded_kprobe(struct pt_regs *ctx)
{
	runs_mark(key_of_number(PT_REGS_PARM1(ctx)), PT_REGS_PARM2(ctx), PT_REGS_PARM3(ctx));
	if (mark_in_passing(PT_REGS_PARM1(ctx), PT_REGS_PARM2(ctx), PT_REGS_PARM3(ctx)))
		return 0;
	return set_entry_rest_kprobe(ctx);
}

SEC("?kprobe/iova_bitmap_free")
int free_entry_kprobe(struct pt_regs *ctx)
{
	__u64 now = bpf_ktime_get_ns();
	struct call c = { .kind = CALL_FREE, .key = key_of_number(PT_REGS_PARM1(ctx)) };

	if (paired)
		pair_take(&c);
	handle_free(c.key, now, SCAN_BY_KPROBE);
	cost_add(now);
	return 0;
}
