/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The same programs for kprobes: dearer, but they need nothing but the symbol.
 *
 * At a function's exit its arguments are gone, so its entry keeps them for the
 * thread: of a pin in one map, since none calls another, and of for_each, which
 * calls what pins, in one of its own.
 */
struct call {
	__u64 key;		/* of the object, or ... */
	__u64 obj;		/* ... its address; of a pin: */
	__u64 start;		/* the user address */
	__u32 slot;		/* the report's */
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, IOVAB_MAX_REPORTS);
	__type(key, __u64);
	__type(value, struct call);
} calls SEC(".maps");

static __always_inline void call_keep(const struct call *c)
{
	__u64 thread = bpf_get_current_pid_tgid();

	bpf_map_update_elem(&calls, &thread, c, BPF_ANY);
}

/* What the entry kept; false: nothing. */
static __always_inline bool call_take(struct call *c)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct call *kept = bpf_map_lookup_elem(&calls, &thread);

	if (!kept)
		return false;
	*c = *kept;
	bpf_map_delete_elem(&calls, &thread);
	return true;
}

SEC("?kprobe/iova_bitmap_get")
int pin_entry_kprobe(struct pt_regs *ctx)
{
	__u64 now = bpf_ktime_get_ns();
	struct call c = { .obj = PT_REGS_PARM1(ctx) };

	c.key = key_of_number(c.obj);
	call_keep(&c);
	handle_pin_entry((void *)c.obj, c.key, now);
	cost_add(now);
	return 0;
}

SEC("?kretprobe/iova_bitmap_get")
int pin_exit_kprobe(struct pt_regs *ctx)
{
	__u64 now = bpf_ktime_get_ns();
	struct call c;

	if (call_take(&c))
		handle_pin_exit((void *)c.obj, c.key, PT_REGS_RC(ctx), now);
	cost_add(now);
	return 0;
}

SEC("?kretprobe/iova_bitmap_alloc")
int alloc_exit_kprobe(struct pt_regs *ctx)
{
	__u64 now = bpf_ktime_get_ns();

	handle_alloc_exit(PT_REGS_RC(ctx), now);
	cost_add(now);
	return 0;
}

SEC("?kprobe/pin_user_pages_fast")
int gup_entry_kprobe(struct pt_regs *ctx)
{
	struct call c = { .start = PT_REGS_PARM1(ctx) };
	__u64 now;
	int n;

	if (!reports_in_flight)
		return 0;
	n = find_by_pages(PT_REGS_PARM4(ctx));
	if (n < 0)
		return 0;
	now = bpf_ktime_get_ns();
	c.slot = n;
	call_keep(&c);
	handle_gup_entry(n);
	cost_add(now);
	return 0;
}

SEC("?kretprobe/pin_user_pages_fast")
int gup_exit_kprobe(struct pt_regs *ctx)
{
	struct call c;
	__u64 now;

	if (!reports_in_flight || !call_take(&c))
		return 0;
	now = bpf_ktime_get_ns();
	handle_gup_exit(c.slot, c.start, (int)PT_REGS_RC(ctx), now);
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
	handle_unpin(n);
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

	handle_free(key_of_number(PT_REGS_PARM1(ctx)), now);
	cost_add(now);
	return 0;
}
