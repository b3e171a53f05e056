/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stands for the kernel, so that headers of bpf/ can be compiled for this machine. To be
 * included before them, once; who includes it defines map_lookup() and copy().
 */
#ifndef TEST_BPF_HOST_H
#define TEST_BPF_HOST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define __TARGET_ARCH_x86
#include "kernel.h"

/* The value of a map, or NULL. */
static void *map_lookup(void *map, const void *key);
/* Reads memory, the kernel's or a process's: 0, or it cannot be read. */
static long copy(void *to, __u32 size, const void *from);

static inline long map_update(void *map, const void *key, const void *value, __u64 flags)
{
	return 0;
}

static inline long map_delete(void *map, const void *key)
{
	return 0;
}

static inline long loop(__u32 count, void *step, void *ctx, __u64 flags)
{
	long (*fn)(__u32 index, void *ctx) = step;
	__u32 i;

	for (i = 0; i < count; i++)
		if (fn(i, ctx))
			break;
	return i;
}

static inline __u64 ktime(void)
{
	return 0;
}

static inline void *ring_reserve(void *ring, __u64 size, __u64 flags)
{
	return NULL;
}

static inline void ring_submit(void *data, __u64 flags)
{
}

#undef SEC
#define SEC(name)
#undef bpf_core_type_size
#define bpf_core_type_size(type) 64ULL
#define bpf_map_lookup_elem(map, key) map_lookup(map, key)
#define bpf_map_update_elem(map, key, value, flags) map_update(map, key, value, flags)
#define bpf_map_delete_elem(map, key) map_delete(map, key)
#define bpf_loop(count, step, ctx, flags) loop(count, (void *)(step), ctx, flags)
#define bpf_ktime_get_ns ktime
#define bpf_ringbuf_reserve ring_reserve
#define bpf_ringbuf_submit ring_submit
#define bpf_probe_read_kernel copy
#define bpf_probe_read_user copy

#endif /* TEST_BPF_HOST_H */
