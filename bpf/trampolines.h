/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The programs for trampolines (fentry, fexit): the cheapest way in, and at the
 * exit all arguments are still there.
 *
 * Arguments are read with bpf_get_func_arg where the verifier of older kernels
 * would refuse the pointer type.
 */
SEC("?fentry/iova_bitmap_get")
int pin_entry(__u64 *ctx)
{
	__u64 now = bpf_ktime_get_ns();
	struct call c = { .kind = CALL_PIN, .key = key_of((void *)ctx[0]) };

	if (paired)
		bpf_get_func_arg(ctx, 0, &c.obj);
	if (!paired || !pair_taken(&c))
		handle_pin_entry((void *)ctx[0], c.key, now, 0);
	cost_add(now);
	return 0;
}

SEC("?fexit/iova_bitmap_get")
int pin_exit(__u64 *ctx)
{
	__u64 now = bpf_ktime_get_ns(), ret = 0;

	bpf_get_func_ret(ctx, &ret);
	if (paired)
		call_drop();
	handle_pin_exit((void *)ctx[0], key_of((void *)ctx[0]), ret, now, 0);
	cost_add(now);
	return 0;
}

SEC("?fexit/iova_bitmap_alloc")
int alloc_exit(__u64 *ctx)
{
	__u64 now = bpf_ktime_get_ns();
	struct call c = { .kind = CALL_ALLOC };

	bpf_get_func_ret(ctx, &c.key);
	if (paired)
		call_keep(&c);
	handle_alloc_exit(c.key, now);
	cost_add(now);
	return 0;
}

/* The report whose pages argument @arg is, or -1. While none is in flight nothing is looked up. */
static __always_inline int find_by_pages_arg(__u64 *ctx, __u32 arg)
{
	__u64 pages = 0;

	if (!reports_in_flight)
		return -1;
	bpf_get_func_arg(ctx, arg, &pages);
	return find_by_pages(pages);
}

SEC("?fentry/pin_user_pages_fast")
int gup_entry(__u64 *ctx)
{
	struct call c = { .kind = CALL_PIN };
	int n = find_by_pages_arg(ctx, 3);
	__u64 now;

	if (n < 0)
		return 0;
	now = bpf_ktime_get_ns();
	c.slot = n;
	if (paired) {
		bpf_get_func_arg(ctx, 3, &c.key);
		bpf_get_func_arg(ctx, 0, &c.start);
	}
	if (!paired || !pair_taken(&c))
		handle_gup_entry(n, 0);
	cost_add(now);
	return 0;
}

SEC("?fexit/pin_user_pages_fast")
int gup_exit(__u64 *ctx)
{
	int n = find_by_pages_arg(ctx, 3);
	__u64 now, start = 0, ret = 0;

	if (n < 0)
		return 0;
	now = bpf_ktime_get_ns();
	bpf_get_func_arg(ctx, 0, &start);
	bpf_get_func_ret(ctx, &ret);
	if (paired)
		call_drop();
	handle_gup_exit(n, start, (int)ret, now, 0);
	cost_add(now);
	return 0;
}

SEC("?fentry/unpin_user_pages")
int unpin_entry(__u64 *ctx)
{
	int n = find_by_pages_arg(ctx, 0);
	__u64 now;

	if (n < 0)
		return 0;
	now = bpf_ktime_get_ns();
	handle_unpin(n, 0);
	cost_add(now);
	return 0;
}

SEC("?fentry/iova_bitmap_for_each")
int for_each_entry(__u64 *ctx)
{
	__u64 now = bpf_ktime_get_ns(), fn = 0;

	bpf_get_func_arg(ctx, 2, &fn);
	handle_for_each_entry(key_of((void *)ctx[0]), fn);
	cost_add(now);
	return 0;
}

SEC("?fexit/iova_bitmap_for_each")
int for_each_exit(__u64 *ctx)
{
	__u64 now = bpf_ktime_get_ns(), ret = 0;

	bpf_get_func_ret(ctx, &ret);
	handle_for_each_exit(key_of((void *)ctx[0]), ret);
	cost_add(now);
	return 0;
}

/* Kept apart so that the commonest saves no register. */
static __noinline int set_entry_rest(__u64 *ctx)
{
	return set_rest(key_of((void *)ctx[0]), ctx[1], ctx[2]);
}

SEC("?fentry/iova_bitmap_set")
int set_entry(__u64 *ctx)
{
	if (mark_in_passing(ctx[0], ctx[1], ctx[2]))
		return 0;
	return set_entry_rest(ctx);
}

/* In its place, if somebody records marks. */
SEC("?fentry/iova_bitmap_set")
int set_entry_recorded(__u64 *ctx)
{
	runs_mark(key_of((void *)ctx[0]), ctx[1], ctx[2]);
	if (mark_in_passing(ctx[0], ctx[1], ctx[2]))
		return 0;
	return set_entry_rest(ctx);
}

SEC("?fentry/iova_bitmap_free")
int free_entry(__u64 *ctx)
{
	__u64 now = bpf_ktime_get_ns();
	struct call c = { .kind = CALL_FREE, .key = key_of((void *)ctx[0]) };

	if (!paired || !pair_taken(&c))
		handle_free(c.key, now, 0);
	if (paired)
		call_drop();
	cost_add(now);
	return 0;
}
