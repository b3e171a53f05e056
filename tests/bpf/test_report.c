// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whose a report is (bpf/report.h), where reports of one source begin at once.
 *
 * host.h stands for the kernel. There is one source, made or not made yet, as a program
 * on another CPU would have left it.
 */
#include "host.h"
#include "report.h"

static struct iovab_source the_source;
static bool made;

static void *map_lookup(void *map, const void *key)
{
	return map == (void *)&sources && made ? &the_source : NULL;
}

static long copy(void *to, __u32 size, const void *from)
{
	return -1;
}

/* A report of @driver's that for_each begins to walk: its source, 0 if it is in none. */
static __u32 begin_report(const char *driver)
{
	struct iovab_slot slot = {};
	struct report r = {};

	strcpy(r.driver, driver);
	report_identify(&r, &slot, 0);
	return slot.source_id;
}

/* Another CPU's program has put the source there, and not come to give it its number. */
static void source_without_a_number(void **state)
{
	__u32 id;

	the_source = empty_source;
	made = true;
	id = begin_report("mlx5");
	assert_int_not_equal(id, 0);
	assert_string_equal(the_source.driver, "mlx5");
	assert_int_equal(the_source.id, id);
}

static void source_with_its_number(void **state)
{
	const __u32 next = last_source_id;

	the_source = empty_source;
	the_source.id = 7;
	made = true;
	assert_int_equal(begin_report("mlx5"), 7);
	assert_string_equal(the_source.driver, "");
	assert_int_equal(last_source_id, next);
}

static void no_room_for_a_source(void **state)
{
	made = false;
	assert_int_equal(begin_report("mlx5"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(source_without_a_number),
		cmocka_unit_test(source_with_its_number),
		cmocka_unit_test(no_room_for_a_source),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
