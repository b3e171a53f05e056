/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the programs cost. Each times itself, so that this is known without
 * asking the kernel to time all BPF programs that there are; only the one on set
 * is too short for that.
 */
#ifndef IOVAB_BPF_COST_H
#define IOVAB_BPF_COST_H

#include "iovab.h"
#include "kernel.h"

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct iovab_cost);
} cost SEC(".maps");

/* A program that began at @start_ns ends. */
static __always_inline void cost_add(__u64 start_ns)
{
	__u32 zero = 0;
	struct iovab_cost *c = bpf_map_lookup_elem(&cost, &zero);

	if (!c)
		return;
	c->run_ns += bpf_ktime_get_ns() - start_ns;
	c->runs++;
}

/* The program on set ran so many times. */
static __always_inline void cost_add_marks(__u64 marks)
{
	__u32 zero = 0;
	struct iovab_cost *c = bpf_map_lookup_elem(&cost, &zero);

	if (c)
		c->marks += marks;
}

#endif /* IOVAB_BPF_COST_H */
