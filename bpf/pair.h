/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Pairs: where the kernel preempts, a call has two programs, of which one does the work.
 *
 * The kernel keeps a trampoline's program from a task while another one, preempted on the
 * same CPU, is inside that program. A kprobe's program is not preempted; but the kernel
 * skips it on a CPU where some task, anybody's, was preempted inside a system call on a
 * BPF map. The two have nothing to do with each other. So what a report cannot be without
 * (alloc, pin, free) has a program of each kind, and is missed only if both are kept
 * out of the same call.
 *
 * At a function's entry the kprobe's program comes first, does the work and leaves word
 * of it for its thread; the trampoline's does what it finds no word of. At the exit the
 * trampoline's is first. Older kernels do not say how often they skipped a kprobe's
 * program, and of the trampoline's they say it of every call. Counted beside it is how
 * often the kprobe's has done what the trampoline's then was kept from (covered): what is
 * left of the skipped ones are the calls that nobody took (user/collector.c).
 */
#ifndef IOVAB_BPF_PAIR_H
#define IOVAB_BPF_PAIR_H

#include "state.h"

const volatile bool paired;	/* the calls above have both programs */

/* Calls that the kprobe's program took, less those of which the trampoline's found word. */
VARIABLE __s64 covered;

enum call_kind { CALL_NONE, CALL_ALLOC, CALL_PIN, CALL_FREE };

/* What is known of the call that a thread is in, or has just made; it makes one at a time. */
struct call {
	__u64 key;		/* of the object; of a lazy kernel's pin: of its array of pages */
	__u64 obj;		/* its address; of a lazy kernel's pin: */
	__u64 start;		/* the user address */
	__u32 slot;		/* and the report's */
	__u16 kind;
	__u16 told;		/* the first of a pair has done it, the second does not know yet */
};

/* What a program that was kept out leaves behind goes when there is no room. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, IOVAB_MAX_REPORTS);
	__type(key, __u64);	/* the thread */
	__type(value, struct call);
} calls SEC(".maps");

static __always_inline void call_keep(const struct call *c)
{
	__u64 thread = bpf_get_current_pid_tgid();

	bpf_map_update_elem(&calls, &thread, c, BPF_ANY);
}

static __always_inline struct call *call_find(__u16 kind, __u64 key)
{
	__u64 thread = bpf_get_current_pid_tgid();
	struct call *c = bpf_map_lookup_elem(&calls, &thread);

	return c && c->kind == kind && c->key == key ? c : NULL;
}

static __always_inline void call_drop(void)
{
	__u64 thread = bpf_get_current_pid_tgid();

	bpf_map_delete_elem(&calls, &thread);
}

/* The kprobe's program takes a call. */
static __always_inline void pair_cover(void)
{
	if (paired)
		__sync_fetch_and_add(&covered, 1);
}

/* At an entry, in the kprobe's program: it takes the call. */
static __always_inline void pair_take(struct call *c)
{
	c->told = paired;
	call_keep(c);
	pair_cover();
}

/* At an entry, in the trampoline's: was the call taken? If not, it is now. */
static __always_inline bool pair_taken(struct call *c)
{
	struct call *before = call_find(c->kind, c->key);

	if (before && before->told) {
		before->told = 0;
		__sync_fetch_and_sub(&covered, 1);
		return true;
	}
	call_keep(c);
	return false;
}

#endif /* IOVAB_BPF_PAIR_H */
