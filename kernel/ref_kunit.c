// SPDX-License-Identifier: GPL-2.0-only
/*
 * KUnit tests of the reference implementation, on real user memory: the cases T1 to T21,
 * each under each policy. What is pinned when, and what memory shortage does, is tested in
 * user space (tests/ref/); here it is the same calls against the kernel's own pinning.
 *
 * The bitmap lies in pages between two that are not mapped. All bytes of its pages are
 * compared with an image that a naive oracle makes, a bit at a time over the whole range.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "iovab_bitmap.h"

#define P	4096UL			/* of IOVA, as tracked */
#define MIB	(1UL << 20)
#define GIB	(1UL << 30)
#define PAGE_IOVA	(PAGE_SIZE * 8 * P)	/* IOVA that a page of bitmap spans */
#define FILL	0xa4			/* user memory before: not 0, no bit of which is by chance right */

struct mark {
	u64 iova;
	u64 length;
};

struct world {
	u64 iova, length, page_size;
	unsigned long pages;		/* that hold the bitmap */
	unsigned long memory;		/* user address of the first */
	unsigned long offset;		/* of the bitmap in it */
	u8 *image;			/* of the pages, as they should be */
	enum iovab_policy_id policy;
	const struct mark *marks;
	int count, next;
	int set_error;
};

static u64 last_bit(const struct world *world)
{
	return (world->length - 1) / world->page_size;
}

static void expect_mark(struct world *world, const struct mark *mark)
{
	u64 last = mark->length - 1 > U64_MAX - mark->iova ? U64_MAX : mark->iova + mark->length - 1;
	u64 end = world->iova + world->length - 1, bit, low, high;
	u8 *bytes = world->image + world->offset;

	for (bit = 0; bit <= last_bit(world); bit++) {
		low = world->iova + bit * world->page_size;
		high = bit == last_bit(world) ? end : low + world->page_size - 1;
		if (mark->iova <= high && last >= low)
			bytes[bit / 8] |= 1 << bit % 8;
	}
}

/* The same for marks of one page each that the oracle would take too long to look for. */
static void expect_page(struct world *world, const struct mark *mark)
{
	u64 bit = (mark->iova - world->iova) / world->page_size;

	world->image[world->offset + bit / 8] |= 1 << bit % 8;
}

/* Marks all in the first callback but, under the eager policy, what a later one will ask for. */
static int mark_dirty(struct iovab_bitmap *bitmap, unsigned long iova, size_t length, void *opaque)
{
	struct world *world = opaque;
	bool is_last = iova + length == world->iova + world->length;
	const struct mark *mark;
	int err;

	for (; world->next < world->count; world->next++) {
		mark = &world->marks[world->next];
		if (!is_last && mark->iova > iova && mark->iova - iova >= length)
			break;
		err = iovab_bitmap_set(bitmap, mark->iova, mark->length);
		if (!world->set_error)
			world->set_error = err;
	}
	return 0;
}

static void free_image(void *image)
{
	kvfree(image);
}

static struct world *new_world(struct kunit *test, u64 iova, u64 length, u64 page_size, unsigned long offset)
{
	struct world *world = kunit_kzalloc(test, sizeof(*world), GFP_KERNEL);
	unsigned long size, i;

	KUNIT_ASSERT_NOT_NULL(test, world);
	world->policy = *(const enum iovab_policy_id *)test->param_value;
	world->iova = iova;
	world->length = length;
	world->page_size = page_size;
	world->offset = offset % PAGE_SIZE;
	world->pages = (world->offset + last_bit(world) / 8) / PAGE_SIZE + 1;
	size = world->pages * PAGE_SIZE;
	world->memory = kunit_vm_mmap(test, NULL, 0, size + 2 * PAGE_SIZE, PROT_READ | PROT_WRITE,
				      MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(world->memory));
	KUNIT_ASSERT_EQ(test, vm_munmap(world->memory, PAGE_SIZE), 0);
	world->memory += PAGE_SIZE;
	KUNIT_ASSERT_EQ(test, vm_munmap(world->memory + size, PAGE_SIZE), 0);
	world->image = kvmalloc(size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, world->image);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, free_image, world->image), 0);
	memset(world->image, FILL, size);
	for (i = 0; i < size; i += PAGE_SIZE)
		KUNIT_ASSERT_EQ(test, 0, copy_to_user((void __user *)(world->memory + i),
						      world->image + i, PAGE_SIZE));
	return world;
}

/* What the report says; as set did. */
static int report(struct kunit *test, struct world *world, const struct mark *marks, int count)
{
	struct iovab_bitmap *bitmap;
	int err;

	world->marks = marks;
	world->count = count;
	bitmap = iovab_bitmap_alloc(world->iova, world->length, world->page_size,
				    (void __user *)(world->memory + world->offset), world->policy);
	if (IS_ERR(bitmap))
		return PTR_ERR(bitmap);
	err = iovab_bitmap_for_each(bitmap, world, mark_dirty);
	iovab_bitmap_free(bitmap);
	KUNIT_EXPECT_EQ(test, err, world->set_error);
	return err;
}

static void check_bytes(struct kunit *test, struct world *world)
{
	u8 *seen = kunit_kmalloc(test, PAGE_SIZE, GFP_KERNEL);
	unsigned long page, i;

	KUNIT_ASSERT_NOT_NULL(test, seen);
	for (page = 0; page < world->pages; page++) {
		/* a hole holds nothing to compare */
		if (copy_from_user(seen, (void __user *)(world->memory + page * PAGE_SIZE), PAGE_SIZE))
			continue;
		for (i = 0; i < PAGE_SIZE && seen[i] == world->image[page * PAGE_SIZE + i]; i++)
			;
		KUNIT_ASSERT_EQ_MSG(test, i, PAGE_SIZE, "page %lu: %#x, expected %#x", page, seen[i],
				    world->image[page * PAGE_SIZE + i]);
	}
	kunit_kfree(test, seen);
}

/* A report that works, with all marks in it. */
static void check_report(struct kunit *test, struct world *world, const struct mark *marks, int count)
{
	int i;

	KUNIT_EXPECT_EQ(test, report(test, world, marks, count), 0);
	for (i = 0; i < count; i++)
		expect_mark(world, &marks[i]);
	check_bytes(test, world);
}

static void remove_page(struct kunit *test, struct world *world, unsigned long page)
{
	KUNIT_ASSERT_EQ(test, vm_munmap(world->memory + page * PAGE_SIZE, PAGE_SIZE), 0);
}

static int try_alloc(struct kunit *test, u64 iova, u64 length, u64 page_size)
{
	enum iovab_policy_id policy = *(const enum iovab_policy_id *)test->param_value;
	struct iovab_bitmap *bitmap = iovab_bitmap_alloc(iova, length, page_size, (void __user *)PAGE_SIZE,
							 policy);
	int err = PTR_ERR_OR_ZERO(bitmap);

	iovab_bitmap_free(bitmap);
	return err;
}

/* --- the cases ------------------------------------------------------------------------ */

static void t1_offset_in_the_page_all_dirty(struct kunit *test)
{
	static const struct mark all = { 0, 128 * GIB };

	check_report(test, new_world(test, 0, 128 * GIB, P, 0xff1), &all, 1);
}

static void t2_across_a_border(struct kunit *test)
{
	static const u64 borders[] = { 64 * GIB, 4 * GIB, PAGE_IOVA };
	int i;

	for (i = 0; i < ARRAY_SIZE(borders); i++) {
		const struct mark marks[] = { { borders[i] - P, 2 * P }, { borders[i] + 5 * P, P } };

		check_report(test, new_world(test, 0, borders[i] + MIB, P, 0), marks, ARRAY_SIZE(marks));
	}
}

static void t3_length_0_on_an_unpinned_window(struct kunit *test)
{
	static const struct mark marks[] = { { 0, P }, { 5 * GIB, 0 }, { 6 * GIB, P } };
	struct world *world = new_world(test, 0, 8 * GIB, P, 8);

	KUNIT_EXPECT_EQ(test, report(test, world, marks, ARRAY_SIZE(marks)), -EINVAL);
	expect_mark(world, &marks[0]);
	check_bytes(test, world);
}

static void t4_length_0_at_iova_0(struct kunit *test)
{
	static const struct mark marks[] = { { 0, 0 }, { 0, P } };
	struct world *world = new_world(test, 0, MIB, P, 64);

	KUNIT_EXPECT_EQ(test, report(test, world, marks, ARRAY_SIZE(marks)), -EINVAL);
	check_bytes(test, world);
}

static void t5_longer_than_the_range(struct kunit *test)
{
	static const struct mark mark = { 0, 2 * MIB };

	check_report(test, new_world(test, 0, MIB, P, 0), &mark, 1);
	check_report(test, new_world(test, 0, MIB, P, PAGE_SIZE - 32), &mark, 1);
}

static void t6_straddles_the_base_from_below(struct kunit *test)
{
	static const struct mark marks[] = { { GIB - 3 * P, 5 * P }, { 0, P } };

	check_report(test, new_world(test, GIB, MIB, P, 0x805), marks, ARRAY_SIZE(marks));
}

static void t7_overshoots_four_times(struct kunit *test)
{
	static const struct mark marks[] = {
		{ 16 * MIB - P, 4 * MIB }, { 16 * MIB - P, 4 * MIB },
		{ 16 * MIB - P, 4 * MIB }, { 16 * MIB - P, 4 * MIB },
	};

	check_report(test, new_world(test, 0, 16 * MIB, P, 0), marks, ARRAY_SIZE(marks));
}

static void t8_bitmap_unmapped(struct kunit *test)
{
	static const struct mark marks[] = { { 0, P }, { MIB, P } };
	struct world *world = new_world(test, 0, 64 * MIB, P, 0);

	remove_page(test, world, 0);
	KUNIT_EXPECT_EQ(test, report(test, world, marks, ARRAY_SIZE(marks)), -EFAULT);
	/* nothing dirty: there is nothing to pin, but the eager policy does */
	world->set_error = world->policy == IOVAB_POLICY_EAGER ? -EFAULT : 0;
	KUNIT_EXPECT_EQ(test, report(test, world, NULL, 0), world->set_error);
}

static void t9_hole_in_the_second_page(struct kunit *test)
{
	static const struct mark all = { 0, 8 * PAGE_IOVA }, first = { 0, PAGE_IOVA };
	struct world *world = new_world(test, 0, 8 * PAGE_IOVA, P, 0);

	remove_page(test, world, 1);
	KUNIT_EXPECT_EQ(test, report(test, world, &all, 1), -EFAULT);
	if (world->policy != IOVAB_POLICY_EAGER)
		expect_mark(world, &first);
	check_bytes(test, world);
}

/* A pin of all pages gets those before the hole; those behind it need another. */
static void t10_partial_pins(struct kunit *test)
{
	static const struct mark marks[] = { { 0, PAGE_IOVA }, { 4 * PAGE_IOVA, 4 * PAGE_IOVA } };
	struct world *world = new_world(test, 0, 8 * PAGE_IOVA, P, 0);

	if (world->policy == IOVAB_POLICY_EAGER) {
		check_report(test, world, marks, ARRAY_SIZE(marks));
		return;
	}
	remove_page(test, world, 3);
	check_report(test, world, marks, ARRAY_SIZE(marks));
}

static void t11_no_length(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, try_alloc(test, 0, 0, P), -EINVAL);
	KUNIT_EXPECT_EQ(test, try_alloc(test, GIB, 0, P), -EINVAL);
}

static void t12_page_sizes(struct kunit *test)
{
	static const u64 sizes[] = { 1UL << 16, 2 * MIB, 4 * GIB, 1UL << 40, 1UL << 63 };
	u64 size, pages;
	int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		size = sizes[i];
		pages = min(100UL, (1UL << 63) / size);
		{
			const struct mark marks[] = {
				{ 0, 1 }, { pages / 2 * size, size }, { (pages - 1) * size + size / 2, 2 },
			};

			check_report(test, new_world(test, 0, pages * size, size, 3), marks,
				     ARRAY_SIZE(marks));
		}
	}
}

static void t13_top_of_the_address_space(struct kunit *test)
{
	static const struct mark marks[] = { { -P, P }, { -1UL, 1 }, { -3 * P, 10 * P }, { -2 * MIB, MIB + 1 } };
	static const struct mark halves[] = { { 5, 1 }, { -2UL, 1 } };

	check_report(test, new_world(test, -MIB, MIB, P, 1), marks, ARRAY_SIZE(marks));
	check_report(test, new_world(test, 0, -1UL, 1UL << 63, 1), halves, ARRAY_SIZE(halves));
	KUNIT_EXPECT_EQ(test, try_alloc(test, -MIB, MIB + 1, P), -EINVAL);
}

/* All marks of one page, far apart. */
static void check_pages(struct kunit *test, struct world *world, const struct mark *marks, int count)
{
	int i;

	KUNIT_EXPECT_EQ(test, report(test, world, marks, count), 0);
	for (i = 0; i < count; i++)
		expect_page(world, &marks[i]);
	check_bytes(test, world);
}

static void t14_two_pages_of_8_tib(struct kunit *test)
{
	static const struct mark marks[] = { { 1000 * GIB + 5 * P, P }, { 7000 * GIB + 12344 * P, P } };

	/* 2^43 bytes at 64 KiB a bit: 16 MiB of bitmap */
	check_pages(test, new_world(test, 0, 1UL << 43, 16 * P, 0), marks, ARRAY_SIZE(marks));
}

static void t15_three_pages(struct kunit *test)
{
	static const struct mark mark = { 0, 3 * P };

	check_report(test, new_world(test, 0, 3 * P, P, 0xffe), &mark, 1);
}

static void t16_iova_not_on_a_page(struct kunit *test)
{
	static const struct mark marks[] = { { 0x12345, 1 }, { 0x12345 + 3 * P - 1, 2 }, { 0x12000 + 200 * P, P } };

	check_report(test, new_world(test, 0x12345, 1000 * P + 77, P, 0), marks, ARRAY_SIZE(marks));
}

static void t17_page_size_no_power_of_two(struct kunit *test)
{
	static const u64 sizes[] = { 0, 3, 4097, 6 * P, -1UL };
	int i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		KUNIT_EXPECT_EQ(test, try_alloc(test, 0, MIB, sizes[i]), -EINVAL);
}

static void t18_two_writers_in_turn(struct kunit *test)
{
	static const struct mark even = { 0, P }, odd = { P, P };
	struct world *world = new_world(test, 0, MIB, P, 5);

	check_report(test, world, &even, 1);
	world->next = 0;
	check_report(test, world, &odd, 1);
}

static void t20_by_bytes(struct kunit *test)
{
	static const struct mark marks[] = { { 9 * P, P }, { 63 * P, 20 * P }, { 100 * P, 7 * P } };
	unsigned long offset;

	for (offset = 0; offset < 9; offset++)
		check_report(test, new_world(test, 0, 700 * P, P, offset), marks, ARRAY_SIZE(marks));
}

/* More tables than are kept, over and over: what is evicted comes back right. */
static void tables_come_and_go(struct kunit *test)
{
	const int count = 3 * (IOVAB_TABLES_MAX + 3);
	struct mark *marks = kunit_kcalloc(test, count, sizeof(*marks), GFP_KERNEL);
	int i;

	KUNIT_ASSERT_NOT_NULL(test, marks);
	for (i = 0; i < count; i++)
		marks[i] = (struct mark){ i * 7 % (IOVAB_TABLES_MAX + 3) * 64 * GIB + i * P, P };
	check_pages(test, new_world(test, 0, (IOVAB_TABLES_MAX + 3) * 64 * GIB, P, 0), marks, count);
}

static const enum iovab_policy_id policies[] = {
	IOVAB_POLICY_CACHED, IOVAB_POLICY_EAGER, IOVAB_POLICY_LAZY,
};

static void policy_name(const enum iovab_policy_id *policy, char *name)
{
	static const char * const names[] = { "cached", "eager", "lazy" };

	strscpy(name, names[*policy], KUNIT_PARAM_DESC_SIZE);
}
KUNIT_ARRAY_PARAM(policy, policies, policy_name);

static struct kunit_case ref_cases[] = {
	KUNIT_CASE_PARAM(t1_offset_in_the_page_all_dirty, policy_gen_params),
	KUNIT_CASE_PARAM(t2_across_a_border, policy_gen_params),
	KUNIT_CASE_PARAM(t3_length_0_on_an_unpinned_window, policy_gen_params),
	KUNIT_CASE_PARAM(t4_length_0_at_iova_0, policy_gen_params),
	KUNIT_CASE_PARAM(t5_longer_than_the_range, policy_gen_params),
	KUNIT_CASE_PARAM(t6_straddles_the_base_from_below, policy_gen_params),
	KUNIT_CASE_PARAM(t7_overshoots_four_times, policy_gen_params),
	KUNIT_CASE_PARAM(t8_bitmap_unmapped, policy_gen_params),
	KUNIT_CASE_PARAM(t9_hole_in_the_second_page, policy_gen_params),
	KUNIT_CASE_PARAM(t10_partial_pins, policy_gen_params),
	KUNIT_CASE_PARAM(t11_no_length, policy_gen_params),
	KUNIT_CASE_PARAM(t12_page_sizes, policy_gen_params),
	KUNIT_CASE_PARAM(t13_top_of_the_address_space, policy_gen_params),
	KUNIT_CASE_PARAM(t14_two_pages_of_8_tib, policy_gen_params),
	KUNIT_CASE_PARAM(t15_three_pages, policy_gen_params),
	KUNIT_CASE_PARAM(t16_iova_not_on_a_page, policy_gen_params),
	KUNIT_CASE_PARAM(t17_page_size_no_power_of_two, policy_gen_params),
	KUNIT_CASE_PARAM(t18_two_writers_in_turn, policy_gen_params),
	KUNIT_CASE_PARAM(t20_by_bytes, policy_gen_params),
	KUNIT_CASE_PARAM(tables_come_and_go, policy_gen_params),
	{ }
};

static struct kunit_suite ref_suite = {
	.name = "iovab_ref",
	.test_cases = ref_cases,
};
kunit_test_suite(ref_suite);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("KUnit tests of iovab's reference IOVA bitmap");
