// SPDX-License-Identifier: GPL-2.0-only
/* What the options of all programs that attach come to, where one is not given. */
#include "fixture.h"
#include "measure.h"

static struct measure m;

/* The budget of a session. */
static __u64 budget_ppm(bool runs_always)
{
	return measure__session(&m, runs_always).budget_ppm;
}

static void begin(const char *tier)
{
	struct iovab_error e;

	m = (struct measure)MEASURE_DEFAULT;
	assert_int_equal(measure__set_tier(&m, tier, &e), 0);
}

static void test_tier_auto(void **state)
{
	begin("auto");
	assert_int_equal(measure__session(&m, false).tier, IOVAB_TIER_SETS);
	assert_int_equal(budget_ppm(false), 10000);
	assert_int_equal(budget_ppm(true), 10000);
}

static void test_other_tiers(void **state)
{
	begin("sets");
	assert_int_equal(measure__session(&m, false).tier, IOVAB_TIER_SETS);
	assert_int_equal(budget_ppm(false), 0);
	assert_int_equal(budget_ppm(true), 10000);
}

static void test_own_budget(void **state)
{
	static const struct {
		const char *text;
		__u64 ppm;
	} budgets[] = { { "10", 100000 }, { "0.2", 2000 }, { "off", 0 } };
	struct iovab_error e;
	size_t i;

	begin("auto");
	for (i = 0; i < sizeof(budgets) / sizeof(budgets[0]); i++) {
		assert_int_equal(measure__set_budget(&m, budgets[i].text, &e), 0);
		assert_int_equal(budget_ppm(false), budgets[i].ppm);
		assert_int_equal(budget_ppm(true), budgets[i].ppm);
	}
	assert_int_equal(measure__set_budget(&m, "0", &e), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tier_auto),
		cmocka_unit_test(test_other_tiers),
		cmocka_unit_test(test_own_budget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
