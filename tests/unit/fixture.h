/* SPDX-License-Identifier: GPL-2.0-only */
/* Facts made up for tests, and golden files. */
#ifndef IOVAB_FIXTURE_H
#define IOVAB_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>

#include "model.h"

#define SECOND_NS	1000000000ULL
#define GIB		(1ULL << 30)

#define FIXTURE_MAX	64

/* Facts with room for what they point to. Start with fixture__init(). */
struct fixture {
	struct iovab_facts facts;
	struct iovab_source_fact sources[FIXTURE_MAX];
	struct iovab_live_fact live[FIXTURE_MAX];
	struct iovab_window_event windows[FIXTURE_MAX];
};

/* No sources, attached, at the time of 100 s and 2026-01-02T03:04:05.678Z. */
void fixture__init(struct fixture *f, enum iovab_tier tier);
/* A source with a name and nothing counted yet. */
struct iovab_source_fact *fixture__source(struct fixture *f, __u32 id, const char *device);
struct iovab_live_fact *fixture__live(struct fixture *f, __u32 source_id, __u64 age_ns);
/* A scanned window with nothing dirty in it. */
struct iovab_window_event *fixture__window(struct fixture *f, __u32 source_id, __u64 iova,
					   __u64 length);
/* Time passes, and the window events are gone. */
void fixture__pass(struct fixture *f, __u64 ns);
void fixture__count(struct iovab_latency *l, __u64 ns);
/* A report of 64 GiB windows: @windows of them, all clean but @dirty_windows,
 * in which @dirty_bytes were marked once each, in order.
 */
void fixture__report(struct iovab_source_fact *s, __u64 windows, __u64 dirty_windows,
		     __u64 dirty_bytes, __u64 ns);

/* As model__update(), which must not fail. */
const struct iovab_snapshot *fixture__update(struct model *m, const struct fixture *f);
/* The row of a device; fails the test if there is none. */
const struct iovab_row *fixture__row(const struct iovab_snapshot *s, const char *device);

/* Lets the model's allocations fail: the @nth from now on, counted from 1; 0: none. */
void fixture__fail_alloc(unsigned int nth);

void fixture__assert_known(struct iovab_value v, __u64 expected);

/* Pseudo random numbers, the same at each run. */
__u64 fixture__random(void);

/*
 * Compares @text to tests/golden/@name, and says where they differ. With
 * UPDATE_GOLDEN=1 in the environment it writes the file instead.
 */
void fixture__golden(const char *name, const char *text);

#endif /* IOVAB_FIXTURE_H */
