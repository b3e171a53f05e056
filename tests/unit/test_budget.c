// SPDX-License-Identifier: GPL-2.0-only
/* The budget, over a load that is made up: when a tier is dropped, and when it returns. */
#include "budget.h"
#include "fixture.h"

#define LIMIT	10000ULL	/* 1 %: 10 ms a second */
#define TICK_NS	200000000ULL

/* What the programs do a second at each tier; runs is the same at all. */
struct load {
	__u64 used_ns[IOVAB_TIER_SETS + 1];
	__u64 runs;
};

static const struct load idle = {};
/* sets takes 50 ms a second, density 4, windows 1 */
static const struct load marks = { { 0, 1000000, 4000000, 50000000 }, 1000 };
/* sets 80 ms, density 30, windows 2 */
static const struct load storm = { { 0, 2000000, 30000000, 80000000 }, 2000 };
/* too much at every tier */
static const struct load flood = { { 0, 20000000, 40000000, 80000000 }, 20000 };
/* a tenth of marks: sets would take half of the limit */
static const struct load drizzle = { { 0, 100000, 400000, 5000000 }, 100 };

static struct budget b;
static struct budget_sample at;

static void begin(enum iovab_tier most)
{
	budget__init(&b, LIMIT, most);
	at = (struct budget_sample){ .time_ns = 1000 * SECOND_NS };
	budget__take(&b, &at);
}

static void tick(const struct load *l)
{
	at.time_ns += TICK_NS;
	at.used_ns += l->used_ns[b.now] / 5;
	at.runs += l->runs / 5;
	budget__take(&b, &at);
}

static void pass(const struct load *l, unsigned int seconds)
{
	unsigned int i;

	for (i = 0; i < 5 * seconds; i++)
		tick(l);
}

/* Seconds until the tier changes, at most @most. */
static unsigned int until_change(const struct load *l, unsigned int most)
{
	enum iovab_tier before = b.now;
	unsigned int i;

	for (i = 0; i < 5 * most && b.now == before; i++)
		tick(l);
	return (i + 4) / 5;
}

static void test_no_budget(void **state)
{
	budget__init(&b, 0, IOVAB_TIER_SETS);
	at = (struct budget_sample){ .time_ns = 1 };
	pass(&flood, 10);
	assert_int_equal(b.now, IOVAB_TIER_SETS);
	assert_int_equal(b.drops, 0);
}

static void test_held(void **state)
{
	begin(IOVAB_TIER_SETS);
	pass(&drizzle, 100);
	assert_int_equal(b.now, IOVAB_TIER_SETS);
	assert_int_equal(b.drops, 0);
	assert_int_equal(b.share_ppm, 5000);
}

/* What is used in a fifth of a second is all that the second has: it is not waited for its end. */
static void test_dropped_within_the_second(void **state)
{
	begin(IOVAB_TIER_SETS);
	tick(&marks);
	assert_int_equal(b.now, IOVAB_TIER_SETS);	/* 10 ms: just the limit */
	tick(&marks);
	assert_int_equal(b.now, IOVAB_TIER_DENSITY);
	assert_int_equal(b.drops, 1);
	assert_int_equal(b.share_ppm, 50000);
	pass(&marks, 60);
	assert_int_equal(b.now, IOVAB_TIER_DENSITY);
	assert_int_equal(b.drops, 1);
}

static void test_dropped_twice(void **state)
{
	begin(IOVAB_TIER_SETS);
	pass(&storm, 2);
	assert_int_equal(b.now, IOVAB_TIER_WINDOWS);
	assert_int_equal(b.drops, 2);
	assert_false(b.over);
	pass(&storm, 60);
	assert_int_equal(b.drops, 2);
}

static void test_nothing_to_drop(void **state)
{
	begin(IOVAB_TIER_DENSITY);
	pass(&flood, 3);
	assert_int_equal(b.now, IOVAB_TIER_WINDOWS);
	assert_true(b.over);
	pass(&idle, 1);
	tick(&idle);
	assert_false(b.over);
}

/* What is spent while the tier changes is not the lower one's. */
static void test_change_takes_time(void **state)
{
	begin(IOVAB_TIER_SETS);
	tick(&marks);
	tick(&marks);
	assert_int_equal(b.now, IOVAB_TIER_DENSITY);
	at.time_ns += 800000000;
	at.used_ns += 40000000;
	budget__changed(&b, &at);
	pass(&marks, 10);
	assert_int_equal(b.now, IOVAB_TIER_DENSITY);
}

/* It goes up a tier at a time, each after a hold. */
static void test_returns(void **state)
{
	begin(IOVAB_TIER_SETS);
	pass(&storm, 2);
	assert_int_equal(b.now, IOVAB_TIER_WINDOWS);
	assert_in_range(until_change(&idle, 60), 5, 7);
	assert_int_equal(b.now, IOVAB_TIER_DENSITY);
	assert_in_range(until_change(&idle, 60), 5, 6);
	assert_int_equal(b.now, IOVAB_TIER_SETS);
	pass(&idle, 100);
	assert_int_equal(b.now, IOVAB_TIER_SETS);
	assert_int_equal(b.drops, 2);
}

/* Half of the limit is where it returns: what would take more keeps it down. */
static void test_load_that_is_less(void **state)
{
	static const struct load less = { { 0, 100000, 440000, 5500000 }, 110 };

	begin(IOVAB_TIER_SETS);
	pass(&marks, 1);
	assert_int_equal(b.now, IOVAB_TIER_DENSITY);
	pass(&less, 100);
	assert_int_equal(b.now, IOVAB_TIER_DENSITY);
	assert_in_range(until_change(&drizzle, 60), 5, 7);
	assert_int_equal(b.now, IOVAB_TIER_SETS);
}

/* A long report whose marks are not seen at the lower tier is a load, too. */
static void test_long_report(void **state)
{
	begin(IOVAB_TIER_SETS);
	at.oldest_start_ns = at.time_ns;
	pass(&marks, 1);
	assert_int_equal(b.now, IOVAB_TIER_DENSITY);
	pass(&idle, 100);
	assert_int_equal(b.now, IOVAB_TIER_DENSITY);
	at.oldest_start_ns = 0;
	assert_in_range(until_change(&idle, 60), 5, 7);
}

/* Load that comes back at each return: the holds grow, and the budget is held on the whole. */
static void test_no_flapping(void **state)
{
	unsigned int second;
	__u64 used;

	begin(IOVAB_TIER_SETS);
	used = at.used_ns;
	for (second = 0; second < 1800; second++)
		pass(b.now == IOVAB_TIER_SETS ? &marks : &idle, 1);
	assert_in_range(b.drops, 4, 12);
	assert_true(at.used_ns - used < 1800 * LIMIT * 1000);
}

/* A storm that does not end, and what a run took turned out to be no guide: one try in a long hold. */
static void test_tried_at_last(void **state)
{
	begin(IOVAB_TIER_SETS);
	pass(&marks, 1);
	assert_int_equal(b.now, IOVAB_TIER_DENSITY);
	assert_in_range(until_change(&marks, 400), 318, 322);
	assert_int_equal(b.now, IOVAB_TIER_SETS);
	pass(&marks, 1);
	assert_int_equal(b.now, IOVAB_TIER_DENSITY);
	assert_int_equal(b.drops, 2);
}

static void test_refused(void **state)
{
	begin(IOVAB_TIER_SETS);
	pass(&marks, 1);
	until_change(&idle, 60);
	assert_int_equal(b.now, IOVAB_TIER_SETS);
	budget__refused(&b);
	pass(&idle, 1000);
	assert_int_equal(b.now, IOVAB_TIER_DENSITY);
}

/* Whatever goes backwards or stands still breaks nothing. */
static void test_odd_samples(void **state)
{
	begin(IOVAB_TIER_SETS);
	at.used_ns = 500;
	budget__take(&b, &at);
	at.time_ns += SECOND_NS;
	at.used_ns = 0;
	budget__take(&b, &at);
	at.time_ns -= 2 * SECOND_NS;
	budget__take(&b, &at);
	at.time_ns = ~0ULL;
	at.used_ns = at.runs = ~0ULL;
	budget__take(&b, &at);
	assert_in_range(b.now, IOVAB_TIER_WINDOWS, IOVAB_TIER_SETS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_budget),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_dropped_within_the_second),
		cmocka_unit_test(test_dropped_twice),
		cmocka_unit_test(test_nothing_to_drop),
		cmocka_unit_test(test_change_takes_time),
		cmocka_unit_test(test_returns),
		cmocka_unit_test(test_load_that_is_less),
		cmocka_unit_test(test_long_report),
		cmocka_unit_test(test_no_flapping),
		cmocka_unit_test(test_tried_at_last),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_odd_samples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
