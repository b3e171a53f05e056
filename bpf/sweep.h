/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reports whose end was not seen: where programs may be skipped, that of free may be, and
 * the report would be in flight for ever. User space runs this once a collection there.
 *
 * A report is made in one call of its client's. If its thread was seen to enter it, and
 * is not in there any more, or has ended, then so has the report. Most are much shorter
 * than SWEEP_NS; none is looked at before, so that it costs next to nothing.
 */
#ifndef IOVAB_BPF_SWEEP_H
#define IOVAB_BPF_SWEEP_H

#define SWEEP_NS	1000000000ULL

/* Its memory may be another's by now: then it has another number. */
static __always_inline bool thread_gone(const struct report *r)
{
	const struct task_struct *task = (void *)r->task;

	return BPF_CORE_READ(task, pid) != (__u32)r->thread || BPF_CORE_READ(task, exit_state);
}

__noinline int sweep_slot(__u32 n, __u64 now)
{
	struct iovab_slot *s = slot_at(n);
	struct report *r = report_at(n);

	if (!r || !s->key || !s->start_ns || now - s->start_ns < SWEEP_NS || now < s->start_ns)
		return 0;
	if (thread_gone(r) || (r->called && !bpf_map_lookup_elem(&callers, &r->thread)))
		report_drop(n, r);
	return 0;
}

static long sweep_next(__u32 index, const __u64 *now)
{
	if (slot_at(index)->key)
		sweep_slot(index, *now);
	return 0;
}

SEC("?raw_tp")
int sweep(void *ctx)
{
	__u64 now = bpf_ktime_get_ns();

	if (!reports_in_flight)
		return 0;
	bpf_loop(IOVAB_MAX_REPORTS, sweep_next, &now, 0);
	cost_add(now);
	return 0;
}

#endif /* IOVAB_BPF_SWEEP_H */
