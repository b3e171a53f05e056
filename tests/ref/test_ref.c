// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reference implementation in user space: the cases that a correct one must
 * pass (T1 to T21, each under each policy), what is pinned, and what goes wrong.
 * Every test ends with all bytes of user memory compared with the oracle's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include "shim.h"
#include "world.h"
#include "policy.h"

#include <cmocka.h>

#undef min
#undef max

#define K	(1ULL << 10)
#define M	(1ULL << 20)
#define G	(1ULL << 30)
#define T	(1ULL << 40)
#define PAGE	4096ULL			/* of IOVA, as tracked */
#define DATA	0x100000000000ULL	/* a user page */
#define TABLE	(IOVAB_TABLE_BYTES * 8 * PAGE)	/* IOVA that a table spans */
#define WINDOW	(IOVAB_WINDOW_BYTES * 8 * PAGE)
#define TABLE_PAGES	(IOVAB_TABLE_BYTES / PAGE_SIZE)
#define WINDOW_PAGES	(IOVAB_WINDOW_BYTES / PAGE_SIZE)
#define PAGE_IOVA	(PAGE_SIZE * 8 * PAGE)	/* IOVA that a page of bitmap spans */

static const char * const policy_names[] = { "cached", "eager", "lazy" };

struct mark {
	u64 iova;
	u64 length;
};

/* A driver: what is dirty, and what set said. */
struct driver {
	const struct mark *marks;
	int count;
	int next;		/* not marked yet */
	int calls;		/* of the callback */
	int error;		/* the first that set returned */
};

/* Whether the range that a callback got is the last of the report. */
static bool is_last(u64 iova, u64 length)
{
	return iova + length == world.iova + world.length;
}

/* Marks what begins before the end of the range, and goes on whatever set says, as drivers do. */
static int mark_dirty(struct iovab_bitmap *bitmap, unsigned long iova, size_t length, void *opaque)
{
	struct driver *driver = opaque;
	const struct mark *mark;
	int err;

	driver->calls++;
	while (driver->next < driver->count) {
		mark = &driver->marks[driver->next];
		if (mark->iova > iova && mark->iova - iova >= length && !is_last(iova, length))
			break;
		driver->next++;
		err = iovab_bitmap_set(bitmap, mark->iova, mark->length);
		if (!driver->error)
			driver->error = err;
	}
	return 0;
}

static void the_report(u64 iova, u64 length, u64 page_size, u64 data)
{
	world__reset();
	world.iova = iova;
	world.length = length;
	world.page_size = page_size;
	world.data = data;
}

/* What the report said; with all marks expected if that was nothing bad. */
static int report(enum iovab_policy_id policy, const struct mark *marks, int count)
{
	struct driver driver = { .marks = marks, .count = count };
	struct iovab_bitmap *bitmap = world__alloc(policy);
	int err, i;

	if (IS_ERR(bitmap))
		return PTR_ERR(bitmap);
	err = iovab_bitmap_for_each(bitmap, &driver, mark_dirty);
	if (driver.error != err)
		fail_msg("%s: set said %d, for_each %d", policy_names[policy], driver.error, err);
	iovab_bitmap_free(bitmap);
	for (i = 0; i < count && !err; i++)
		world__expect(marks[i].iova, marks[i].length);
	return err;
}

static void check(enum iovab_policy_id policy)
{
	const char *wrong = world__check();

	if (wrong)
		fail_msg("%s: %s", policy_names[policy], wrong);
}

static void check_report(enum iovab_policy_id policy, const struct mark *marks, int count, int error)
{
	int err = report(policy, marks, count);

	if (err != error)
		fail_msg("%s: %d, expected %d", policy_names[policy], err, error);
	check(policy);
}

#define COUNT(array)	((int)(sizeof(array) / sizeof((array)[0])))

/* Each policy in turn, in a world of its own. */
#define for_each_policy(policy, iova, length, page_size, data)				\
	for (policy = 0; the_report(iova, length, page_size, data), policy < IOVAB_POLICIES; policy++)

/* --- the cases -------------------------------------------------------------------- */

static void t1_offset_in_the_page_all_dirty(void **state)
{
	const struct mark all[] = { { 0, 128 * G } };
	struct mark parts[128 * 16];
	int policy, i;

	for_each_policy(policy, 0, 128 * G, PAGE, DATA + 0xff1)
		check_report(policy, all, 1, 0);
	for (i = 0; i < COUNT(parts); i++)
		parts[i] = (struct mark){ i * 64 * M, 64 * M };
	for_each_policy(policy, 0, 128 * G, PAGE, DATA + 0xff1)
		check_report(policy, parts, COUNT(parts), 0);
}

static void t2_across_a_border(void **state)
{
	const u64 borders[] = { TABLE, 2 * TABLE, WINDOW, PAGE_IOVA, 8 * PAGE };
	const u64 data[] = { DATA, DATA + 8, DATA + 0xff1 };
	int policy, i, j;

	for (i = 0; i < COUNT(borders); i++)
		for (j = 0; j < COUNT(data); j++)
			for_each_policy(policy, 0, 3 * TABLE + PAGE, PAGE, data[j]) {
				/* the border is where the bitmap's page ends */
				const u64 border = borders[i] - data[j] % PAGE_SIZE * 8 * PAGE;
				const struct mark marks[] = {
					{ border - PAGE, 2 * PAGE }, { border + 5 * PAGE, PAGE },
					{ border - 100 * PAGE, 200 * PAGE },
				};

				if (border < 200 * PAGE || border > borders[i])
					continue;
				check_report(policy, marks, COUNT(marks), 0);
			}
}

static void t3_length_0_on_an_unpinned_window(void **state)
{
	const struct mark marks[] = { { 0, PAGE }, { 70 * G, 0 }, { 71 * G, PAGE } };
	int policy;

	for_each_policy(policy, 0, 128 * G, PAGE, DATA) {
		world__expect(0, PAGE);
		check_report(policy, marks, COUNT(marks), -EINVAL);
	}
}

static void t4_length_0_at_iova_0(void **state)
{
	const struct mark marks[] = { { 0, 0 }, { 0, PAGE } };
	int policy;

	for_each_policy(policy, 0, 1 * M, PAGE, DATA + 64)
		check_report(policy, marks, COUNT(marks), -EINVAL);
}

static void t5_longer_than_the_range(void **state)
{
	const struct mark mark = { 0, 2 * M };
	int policy;

	for_each_policy(policy, 0, 1 * M, PAGE, DATA)
		check_report(policy, &mark, 1, 0);
	/* the bitmap's 32 bytes end on a page */
	for_each_policy(policy, 0, 1 * M, PAGE, DATA + PAGE_SIZE - 32)
		check_report(policy, &mark, 1, 0);
}

static void t6_straddles_the_base_from_below(void **state)
{
	const struct mark marks[] = { { 1 * G - 3 * PAGE, 5 * PAGE }, { 0, PAGE }, { 0, G + 9 * PAGE } };
	int policy, count;

	for (count = 1; count <= COUNT(marks); count++)
		for_each_policy(policy, 1 * G, 1 * M, PAGE, DATA + 0x805) {
			world.fill = 0x11;
			check_report(policy, marks, count, 0);
		}
}

static void t7_overshoots_four_times(void **state)
{
	const struct mark mark = { 16 * M - PAGE, 4 * M };
	const struct mark marks[] = { mark, mark, mark, mark };
	int policy;

	for_each_policy(policy, 0, 16 * M, PAGE, DATA) {
		check_report(policy, marks, COUNT(marks), 0);
		assert_int_equal(world.pin_calls, 1);
	}
}

static void t8_bitmap_unmapped(void **state)
{
	const enum iovab_policy_id policies[] = { IOVAB_POLICY_CACHED, IOVAB_POLICY_LAZY };
	struct driver driver = { 0 };
	struct iovab_bitmap *bitmap;
	int i;

	for (i = 0; i < COUNT(policies); i++) {
		the_report(0, 64 * M, PAGE, DATA);
		world__add_hole(world__first_page());
		bitmap = world__alloc(policies[i]);
		assert_false(IS_ERR(bitmap));
		assert_int_equal(iovab_bitmap_for_each(bitmap, &driver, mark_dirty), 0);
		assert_int_equal(iovab_bitmap_set(bitmap, 0, PAGE), -EFAULT);
		/* it sticks, even when the memory comes back */
		world.hole_count = 0;
		assert_int_equal(iovab_bitmap_set(bitmap, 1 * M, PAGE), -EFAULT);
		assert_int_equal(iovab_bitmap_set(bitmap, 1 * G, PAGE), -EFAULT);
		assert_int_equal(iovab_bitmap_for_each(bitmap, &driver, mark_dirty), -EFAULT);
		assert_int_equal(driver.calls, i + 1);
		iovab_bitmap_free(bitmap);
		check(policies[i]);
	}
	the_report(0, 64 * M, PAGE, DATA);
	world__add_hole(world__first_page());
	assert_int_equal(PTR_ERR(world__alloc(IOVAB_POLICY_EAGER)), -EFAULT);
	check(IOVAB_POLICY_EAGER);
}

static void t9_hole_in_the_second_page(void **state)
{
	const struct mark mark = { 0, 8 * PAGE_IOVA };
	int policy;

	for_each_policy(policy, 0, 8 * PAGE_IOVA, PAGE, DATA) {
		world__add_hole(world__first_page() + 1);
		if (policy != IOVAB_POLICY_EAGER)
			world__expect(0, PAGE_IOVA);
		check_report(policy, &mark, 1, -EFAULT);
	}
}

static void t10_partial_pins(void **state)
{
	const struct mark mark = { 0, 8 * PAGE_IOVA };
	int policy;
	u32 partial;

	for (partial = 1; partial <= 9; partial++)
		for_each_policy(policy, 0, 8 * PAGE_IOVA, PAGE, DATA + 0x10) {
			world.partial = partial;
			check_report(policy, &mark, 1, 0);
			assert_int_equal(world.pages_pinned, 9);
			if (WINDOW_PAGES >= 9)
				assert_int_equal(world.pins, (9 + partial - 1) / partial);
		}
}

static void t11_no_length(void **state)
{
	int policy;

	for_each_policy(policy, 0, 0, PAGE, DATA)
		assert_int_equal(PTR_ERR(world__alloc(policy)), -EINVAL);
	for_each_policy(policy, 5 * G, 0, PAGE, DATA)
		assert_int_equal(PTR_ERR(world__alloc(policy)), -EINVAL);
}

static void t12_page_sizes(void **state)
{
	u32 shift;
	int policy;

	for (shift = 0; shift < 64; shift++) {
		const u64 size = 1ULL << shift;
		const u64 pages = shift > 50 ? 1ULL << (63 - shift) : 10000;
		const struct mark marks[] = {
			{ 0, 1 }, { size - 1, 1 }, { pages / 2 * size, size },
			{ pages / 3 * size + size / 2, size }, { (pages - 1) * size + size / 2, 2 },
		};

		for_each_policy(policy, 0, pages * size, size, DATA + 3)
			check_report(policy, marks, COUNT(marks), 0);
	}
}

static void t13_top_of_the_address_space(void **state)
{
	const struct mark marks[] = {
		{ -PAGE, PAGE }, { -1ULL, 1 }, { -3 * PAGE, 10 * PAGE }, { -1 * M, 1 }, { -2 * M, 1 * M + 1 },
	};
	const struct mark halves[] = { { 5, 1 }, { (1ULL << 63) - 1, 2 }, { -2ULL, 1 } };
	int policy;

	for_each_policy(policy, -1 * M, 1 * M, PAGE, DATA + 1)
		check_report(policy, marks, COUNT(marks), 0);
	for_each_policy(policy, 0, -1ULL, 1ULL << 63, DATA + 1)
		check_report(policy, halves, COUNT(halves), 0);
	for_each_policy(policy, 0, -1ULL, 1ULL << 63, DATA + 1)
		check_report(policy, halves, 1, 0);
	for_each_policy(policy, 1, -1ULL, 1ULL << 40, DATA + 1)
		check_report(policy, halves, COUNT(halves), 0);
	/* one byte past it */
	for_each_policy(policy, -1 * M, 1 * M + 1, PAGE, DATA)
		assert_int_equal(PTR_ERR(world__alloc(policy)), -EINVAL);
}

static void t14_two_pages_of_8_tib(void **state)
{
	const struct mark marks[] = { { 3 * T + 5 * PAGE, PAGE }, { 7 * T + 12345 * PAGE, PAGE } };
	int policy;

	for_each_policy(policy, 0, 8 * T, PAGE, DATA) {
		if (policy == IOVAB_POLICY_EAGER)
			continue;	/* 65,536 pages, as it promises */
		check_report(policy, marks, COUNT(marks), 0);
		assert_int_equal(world.pin_calls, 2);
		if (policy == IOVAB_POLICY_CACHED)
			assert_int_equal(world.pages_pinned, 2 * WINDOW_PAGES);
	}
}

static void t15_three_pages(void **state)
{
	const struct mark mark = { 0, 3 * PAGE };
	int policy;

	for_each_policy(policy, 0, 3 * PAGE, PAGE, DATA + 0xffe)
		check_report(policy, &mark, 1, 0);
}

static void t16_iova_not_on_a_page(void **state)
{
	const u64 base = 0x12345;
	const struct mark marks[] = { { base, 1 }, { base + PAGE, 1 }, { base + 3 * PAGE - 1, 2 },
				      { 0x12345 + 100 * PAGE - 1, 1 }, { 0x12000 + 200 * PAGE, PAGE } };
	int policy;

	for_each_policy(policy, base, 1000 * PAGE + 77, PAGE, DATA)
		check_report(policy, marks, COUNT(marks), 0);
}

static void t17_page_size_no_power_of_two(void **state)
{
	const u64 sizes[] = { 0, 3, 4097, 6 * PAGE, -1ULL, (1ULL << 63) + 1 };
	int policy, i;

	for (i = 0; i < COUNT(sizes); i++)
		for_each_policy(policy, 0, 1 * M, sizes[i], DATA)
			assert_int_equal(PTR_ERR(world__alloc(policy)), -EINVAL);
}

/* Two objects, turn by turn: they keep nothing of the bitmap to themselves. */
static void t18_two_writers_in_turn(void **state)
{
	struct iovab_bitmap *one, *other;
	int policy, i;

	for_each_policy(policy, 0, 1 * G, PAGE, DATA + 5) {
		one = world__alloc(policy);
		for (i = 0; i < 3000; i += 2) {
			assert_int_equal(iovab_bitmap_set(one, i * PAGE, PAGE), 0);
			world__expect(i * PAGE, PAGE);
		}
		iovab_bitmap_free(one);
		other = world__alloc(policy);
		for (i = 1; i < 3000; i += 2) {
			assert_int_equal(iovab_bitmap_set(other, i * PAGE, PAGE), 0);
			world__expect(i * PAGE, PAGE);
		}
		iovab_bitmap_free(other);
		check(policy);
	}
}

static void t19_unpinned_dirty(void **state)
{
	const struct mark marks[] = { { 0, PAGE }, { 100 * G, PAGE } };
	int policy;

	for_each_policy(policy, 0, 200 * G, PAGE, DATA) {
		check_report(policy, marks, COUNT(marks), 0);
		assert_true(world.pages_pinned > 0);
		assert_int_equal(world.unpinned_clean, 0);
	}
}

static void t20_by_bytes(void **state)
{
	struct mark marks[64];
	int policy, i;
	u64 offset;

	for (i = 0; i < COUNT(marks); i++)
		marks[i] = (struct mark){ (u64)i * 9 * PAGE, (1 + i % 20) * PAGE };
	for (offset = 0; offset < 16; offset++)
		for_each_policy(policy, 0, 700 * PAGE, PAGE, DATA + offset) {
			world.fill = 1 + offset;
			check_report(policy, marks, COUNT(marks), 0);
		}
}

static void t21_pins_are_capped(void **state)
{
	const struct mark marks[] = { { 0, PAGE }, { 5 * TABLE / 2, PAGE } };
	int policy;

	for_each_policy(policy, 0, 3 * TABLE, PAGE, DATA) {
		check_report(policy, marks, COUNT(marks), 0);
		assert_int_equal(world.pin_peak * PAGE_SIZE,
				 policy == IOVAB_POLICY_CACHED ? 128 * K : 2 * M);
	}
}

/* --- what is pinned ------------------------------------------------------------------ */

#if SHIM_PAGE_SHIFT == 12
/* The figures that the kernel's generations showed for the same work. */
static void pins_as_the_kernel_did(void **state)
{
	const struct mark one = { 150 * G, PAGE };
	struct mark turns[6];
	int i;

	the_report(0, 200 * G, PAGE, DATA);
	check_report(IOVAB_POLICY_EAGER, NULL, 0, 0);
	assert_int_equal(world.pins, 4);
	assert_int_equal(world.pages_pinned, 1600);

	the_report(0, 200 * G, PAGE, DATA);
	check_report(IOVAB_POLICY_LAZY, NULL, 0, 0);
	assert_int_equal(world.pins, 0);

	the_report(0, 200 * G, PAGE, DATA);
	check_report(IOVAB_POLICY_LAZY, &one, 1, 0);
	assert_int_equal(world.pins, 1);
	assert_int_equal(world.pages_pinned, 400);

	for (i = 0; i < 6; i++)
		turns[i] = (struct mark){ i % 2 ? 100 * G : 1 * G, PAGE };
	the_report(0, 128 * G, PAGE, DATA);
	check_report(IOVAB_POLICY_LAZY, turns, 6, 0);
	assert_int_equal(world.pins, 6);
	assert_int_equal(world.pages_pinned, 2208);

	the_report(0, 128 * G, PAGE, DATA);
	check_report(IOVAB_POLICY_CACHED, turns, 6, 0);
	assert_int_equal(world.pins, 2);
	assert_int_equal(world.pages_pinned, 2 * WINDOW_PAGES);
}

#endif

static struct iovab_bitmap *open_tables(u64 tables)
{
	the_report(0, tables * TABLE, PAGE, DATA);
	return world__alloc(IOVAB_POLICY_CACHED);
}

static void mark_table(struct iovab_bitmap *bitmap, u64 table)
{
	assert_int_equal(iovab_bitmap_set(bitmap, table * TABLE + 7 * PAGE, PAGE), 0);
	world__expect(table * TABLE + 7 * PAGE, PAGE);
}

static void so_many_tables_are_kept(void **state)
{
	struct iovab_bitmap *bitmap = open_tables(IOVAB_TABLES_MAX);
	u32 i;

	for (i = 0; i < 3 * IOVAB_TABLES_MAX; i++)
		mark_table(bitmap, i * 5 % IOVAB_TABLES_MAX);
	assert_int_equal(world.pins, IOVAB_TABLES_MAX);
	assert_int_equal(world.pages_now, IOVAB_TABLES_MAX * WINDOW_PAGES);
	iovab_bitmap_free(bitmap);
	check(IOVAB_POLICY_CACHED);
}

static void the_oldest_table_goes(void **state)
{
	struct iovab_bitmap *bitmap = open_tables(IOVAB_TABLES_MAX + 2);
	u32 i;

	for (i = 0; i < IOVAB_TABLES_MAX; i++)
		mark_table(bitmap, i);
	mark_table(bitmap, 0);
	mark_table(bitmap, IOVAB_TABLES_MAX);	/* 1 goes */
	assert_int_equal(world.pins, IOVAB_TABLES_MAX + 1);
	mark_table(bitmap, 0);
	mark_table(bitmap, 2);
	assert_int_equal(world.pins, IOVAB_TABLES_MAX + 1);
	mark_table(bitmap, 1);			/* 3 goes */
	assert_int_equal(world.pins, IOVAB_TABLES_MAX + 2);
	mark_table(bitmap, 4);
	mark_table(bitmap, IOVAB_TABLES_MAX);
	assert_int_equal(world.pins, IOVAB_TABLES_MAX + 2);
	mark_table(bitmap, 3);
	assert_int_equal(world.pins, IOVAB_TABLES_MAX + 3);
	iovab_bitmap_free(bitmap);
	check(IOVAB_POLICY_CACHED);
}

/* A window is pinned once, wherever in it the marks are; its neighbour is not. */
static void windows_of_a_table(void **state)
{
	struct iovab_bitmap *bitmap = open_tables(1);
	const u64 marks[] = { 3 * WINDOW, 4 * WINDOW - PAGE, 3 * WINDOW + WINDOW / 2, 3 * WINDOW };
	int i;

	for (i = 0; i < COUNT(marks); i++) {
		assert_int_equal(iovab_bitmap_set(bitmap, marks[i], PAGE), 0);
		world__expect(marks[i], PAGE);
	}
	assert_int_equal(world.pins, 1);
	assert_int_equal(world.pages_now, WINDOW_PAGES);
	assert_int_equal(iovab_bitmap_set(bitmap, 4 * WINDOW, PAGE), 0);
	world__expect(4 * WINDOW, PAGE);
	assert_int_equal(world.pins, 2);
	iovab_bitmap_free(bitmap);
	check(IOVAB_POLICY_CACHED);
}

/* --- what goes wrong --------------------------------------------------------------- */

/* Without memory for one more table it does with those that it has. */
static void short_of_tables(void **state)
{
	struct iovab_bitmap *bitmap = open_tables(8);
	u32 i;

	world.fail_alloc = world.allocs + 3;	/* two are there by then, besides the first */
	for (i = 0; i < 4; i++)
		mark_table(bitmap, i);
	assert_int_equal(world.pages_now, 3 * WINDOW_PAGES);
	world.fail_alloc = 0;
	mark_table(bitmap, 4);
	assert_int_equal(world.pages_now, 4 * WINDOW_PAGES);
	iovab_bitmap_free(bitmap);
	check(IOVAB_POLICY_CACHED);
}

static void short_of_memory_in_alloc(void **state)
{
	int policy;
	u32 i;

	for (i = 1; i <= 2; i++)
		for_each_policy(policy, 0, 1 * M, PAGE, DATA) {
			world.fail_alloc = i;
			assert_int_equal(PTR_ERR(world__alloc(policy)), -ENOMEM);
			check(policy);
		}
}

static const struct mark scattered[] = {
	{ 0, PAGE }, { 100 * M, 3 * G }, { 63 * G, 2 * G }, { 70 * G, PAGE }, { 120 * G, 8 * G },
	{ 200 * G, PAGE }, { 300 * G, 5 * PAGE },
};

/* Each pin in turn fails: an error comes out, or nothing is missing. */
static void each_pin_fails_in_turn(void **state)
{
	int policy, i, err;
	u32 k, calls;

	for (policy = 0; policy < IOVAB_POLICIES; policy++)
		for (k = 1, calls = k; calls >= k; k++) {
			the_report(0, 310 * G, PAGE, DATA + 0x123);
			world.partial = TABLE_PAGES / 4;
			world.fail_pin = k;
			err = report(policy, scattered, COUNT(scattered));
			calls = world.pin_calls;
			/* read-ahead may fail without a loss, once: then nothing else does */
			if (err && err != -ENOMEM)
				fail_msg("%s: pin %u fails: %d", policy_names[policy], k, err);
			if (policy == IOVAB_POLICY_EAGER && calls >= k)
				assert_int_equal(err, -ENOMEM);
			for (i = 0; err && i < COUNT(scattered); i++)
				world__allow(scattered[i].iova, scattered[i].length);
			check(policy);
			assert_true(k < 1000);
		}
}

/* A hole is the business of the mark that falls into it, not of those beside it. */
static void a_hole_beside_the_mark(void **state)
{
	const u64 at[] = { 0, 5, 9, 16, 31 };	/* pages */
	const struct mark marks[] = { { 10 * PAGE_IOVA, PAGE_IOVA }, { 3 * PAGE_IOVA, PAGE },
				      { 12 * PAGE_IOVA, PAGE }, { 30 * PAGE_IOVA, PAGE } };
	struct iovab_bitmap *bitmap;
	int policy, i;

	for_each_policy(policy, 0, 32 * PAGE_IOVA, PAGE, DATA) {
		if (policy == IOVAB_POLICY_EAGER)
			continue;	/* pins all, or fails */
		for (i = 0; i < COUNT(at); i++)
			world__add_hole(world__first_page() + at[i]);
		bitmap = world__alloc(policy);
		for (i = 0; i < COUNT(marks); i++) {
			assert_int_equal(iovab_bitmap_set(bitmap, marks[i].iova, marks[i].length), 0);
			world__expect(marks[i].iova, marks[i].length);
		}
		assert_null(world__check_bits());
		assert_int_equal(iovab_bitmap_set(bitmap, 9 * PAGE_IOVA, PAGE), -EFAULT);
		assert_int_equal(world.pages_now, 0);
		assert_int_equal(iovab_bitmap_set(bitmap, 10 * PAGE_IOVA, PAGE), -EFAULT);
		iovab_bitmap_free(bitmap);
		check(policy);
	}
}

static void another_tasks_memory(void **state)
{
	struct mm_struct other = { 0 }, *own = shim_task.mm;
	struct iovab_bitmap *bitmap;

	the_report(0, 1 * G, PAGE, DATA);
	bitmap = world__alloc(IOVAB_POLICY_CACHED);
	shim_task.mm = &other;
	assert_int_equal(iovab_bitmap_set(bitmap, 0, PAGE), -EFAULT);
	shim_task.mm = own;
	assert_int_equal(iovab_bitmap_set(bitmap, 0, PAGE), -EFAULT);
	assert_int_equal(world.pin_calls, 0);
	iovab_bitmap_free(bitmap);
	check(IOVAB_POLICY_CACHED);
}

static void a_long_mark_can_be_killed(void **state)
{
	int policy;

	for_each_policy(policy, 0, 8 * T, PAGE, DATA) {
		struct iovab_bitmap *bitmap = world__alloc(policy);

		shim_task.killed = true;
		assert_int_equal(iovab_bitmap_set(bitmap, TABLE, 7 * T), -EINTR);
		iovab_bitmap_free(bitmap);
		check(policy);
	}
}

static void bitmap_is_not_user_memory(void **state)
{
	int policy;

	for_each_policy(policy, 0, 1 * M, PAGE, SHIM_USER_TOP - 31)
		assert_int_equal(PTR_ERR(world__alloc(policy)), -EFAULT);
	for_each_policy(policy, 0, 1 * M, PAGE, -16ULL)
		assert_int_equal(PTR_ERR(world__alloc(policy)), -EFAULT);
	for_each_policy(policy, 0, -1ULL, 1, DATA)
		assert_int_equal(PTR_ERR(world__alloc(policy)), -EFAULT);
	the_report(0, 1 * M, PAGE, DATA);
	assert_int_equal(PTR_ERR(world__alloc(IOVAB_POLICIES)), -EINVAL);
	iovab_bitmap_free(NULL);
	iovab_bitmap_free(ERR_PTR(-EINVAL));
	assert_int_equal(world.allocs, 0);
}

static int refuse(struct iovab_bitmap *bitmap, unsigned long iova, size_t length, void *opaque)
{
	return -EIO;
}

static void the_drivers_error_comes_out(void **state)
{
	struct iovab_bitmap *bitmap;
	int policy;

	for_each_policy(policy, 0, 200 * G, PAGE, DATA) {
		bitmap = world__alloc(policy);
		assert_int_equal(iovab_bitmap_for_each(bitmap, NULL, refuse), -EIO);
		iovab_bitmap_free(bitmap);
		check(policy);
	}
}

/* --- random ----------------------------------------------------------------------------- */

static u64 random_state;

static u64 random_u64(void)
{
	random_state += 0x9e3779b97f4a7c15ULL;
	u64 z = random_state;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static u64 below(u64 limit)
{
	return random_u64() % limit;
}

/* In the real geometry, which is too large for the fuzzer. */
static void random_marks(void **state)
{
	struct mark marks[40];
	int round, i, policy;

	random_state = 1;
	for (round = 0; round < 400; round++) {
		const u64 length = (1 + below(2 * T / PAGE)) * PAGE - below(PAGE);
		const u64 iova = below(2) ? below(1ULL << 60) : 0;
		const u64 data = DATA + below(2 * PAGE_SIZE);
		const u64 near = below(length);

		for (i = 0; i < COUNT(marks); i++) {
			marks[i].iova = iova + (below(3) ? near + below(8 * G) : below(length));
			marks[i].length = 1 + (below(8) ? below(4 * PAGE) : below(1 * G));
		}
		policy = round % 3 == 0 ? IOVAB_POLICY_LAZY : IOVAB_POLICY_CACHED;
		the_report(iova, length, PAGE, data);
		world.partial = below(4) ? 0 : 1 + below(40);
		world.fill = below(256);
		check_report(policy, marks, COUNT(marks), 0);
	}
}

/*
 * What iovab replay works out for recorded marks is what the reference pins for them:
 * short ones and long ones, near each other and far apart, below and past the range.
 */
static void replay_knows_what_is_pinned(void **state)
{
	const struct policy_options o = { IOVAB_POLICY_CACHED, IOVAB_TABLES_MAX };
	struct mark marks[60];
	int round, i;

	random_state = 2;
	for (round = 0; round < 100; round++) {
		const u64 length = (1 + below(3 * T / PAGE)) * PAGE - below(PAGE);
		const u64 iova = 2 * G + (below(2) ? below(1ULL << 60) : 0);
		const u64 data = DATA + below(2 * PAGE_SIZE);
		const u64 near = below(length);
		struct iovab_layout layout;
		struct policy *policy;

		assert_true(iovab_layout__init(&layout, iova, length, PAGE, data, PAGE_SHIFT));
		policy = policy__new(&o, &layout);
		for (i = 0; i < COUNT(marks); i++) {
			marks[i].iova = iova - 1 * G + (below(3) ? near + below(8 * G) : below(length + 2 * G));
			marks[i].length = 1 + (below(8) ? below(4 * PAGE) : below(round % 9 ? 1 * G : 20 * G));
			assert_int_equal(policy__run(policy, &(struct run){ marks[i].iova, marks[i].length, 1 }), 0);
		}
		the_report(iova, length, PAGE, data);
		check_report(IOVAB_POLICY_CACHED, marks, COUNT(marks), 0);
		assert_int_equal(policy__pins(policy)->windows, world.pins);
		assert_int_equal(policy__pins(policy)->pages, world.pages_pinned);
		policy__free(policy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t1_offset_in_the_page_all_dirty),
		cmocka_unit_test(t2_across_a_border),
		cmocka_unit_test(t3_length_0_on_an_unpinned_window),
		cmocka_unit_test(t4_length_0_at_iova_0),
		cmocka_unit_test(t5_longer_than_the_range),
		cmocka_unit_test(t6_straddles_the_base_from_below),
		cmocka_unit_test(t7_overshoots_four_times),
		cmocka_unit_test(t8_bitmap_unmapped),
		cmocka_unit_test(t9_hole_in_the_second_page),
		cmocka_unit_test(t10_partial_pins),
		cmocka_unit_test(t11_no_length),
		cmocka_unit_test(t12_page_sizes),
		cmocka_unit_test(t13_top_of_the_address_space),
		cmocka_unit_test(t14_two_pages_of_8_tib),
		cmocka_unit_test(t15_three_pages),
		cmocka_unit_test(t16_iova_not_on_a_page),
		cmocka_unit_test(t17_page_size_no_power_of_two),
		cmocka_unit_test(t18_two_writers_in_turn),
		cmocka_unit_test(t19_unpinned_dirty),
		cmocka_unit_test(t20_by_bytes),
		cmocka_unit_test(t21_pins_are_capped),
#if SHIM_PAGE_SHIFT == 12
		cmocka_unit_test(pins_as_the_kernel_did),
#endif
		cmocka_unit_test(so_many_tables_are_kept),
		cmocka_unit_test(the_oldest_table_goes),
		cmocka_unit_test(windows_of_a_table),
		cmocka_unit_test(short_of_tables),
		cmocka_unit_test(short_of_memory_in_alloc),
		cmocka_unit_test(each_pin_fails_in_turn),
		cmocka_unit_test(a_hole_beside_the_mark),
		cmocka_unit_test(another_tasks_memory),
		cmocka_unit_test(a_long_mark_can_be_killed),
		cmocka_unit_test(bitmap_is_not_user_memory),
		cmocka_unit_test(the_drivers_error_comes_out),
		cmocka_unit_test(random_marks),
		cmocka_unit_test(replay_knows_what_is_pinned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
