// SPDX-License-Identifier: GPL-2.0-only
/* The table of columns: sound, fitting, sorted by typed values. */
#include <ctype.h>
#include <string.h>

#include "columns.h"
#include "fixture.h"

static void the_table_is_sound(void **state)
{
	char buf[COLUMNS_CELL_LEN];
	struct iovab_row row = { 0 };
	size_t i, k;

	for (i = 0; i < columns__count(); i++) {
		const struct column *c = columns__at(i);

		assert_true(columns__find(c->name) == c);
		assert_in_range(strlen(c->title), 1, c->width);
		assert_true(c->max_width >= c->width);
		assert_true(strlen(c->help) > 0);
		for (k = 0; k < i; k++)
			if (c->priority)
				assert_int_not_equal(c->priority, columns__at(k)->priority);
		c->format(buf, sizeof(buf), &row, COLUMNS_TOTAL, TEXT_ASCII);
		assert_true(strlen(buf) > 0);
		c->key(&row, COLUMNS_INTERVAL);
	}
	assert_null(columns__at(columns__count()));
	assert_null(columns__find("nonsense"));
}

static unsigned int width_of(const struct columns_layout *l)
{
	unsigned int width = 0;
	size_t i;

	for (i = 0; i < l->n; i++)
		width += l->cols[i].width + (i > 0);
	return width;
}

static bool has(const struct columns_layout *l, const char *name)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		if (!strcmp(l->cols[i].column->name, name))
			return true;
	return false;
}

static void layouts_fit(void **state)
{
	struct columns_layout l, narrower;
	unsigned int width;
	enum iovab_tier t;
	size_t i;

	for (t = IOVAB_TIER_WINDOWS; t <= IOVAB_TIER_SETS; t++) {
		columns__fit(&narrower, 20, t, NULL);
		for (width = 20; width < 400; width++) {
			columns__fit(&l, width, t, NULL);
			assert_true(width_of(&l) <= width);
			/* more room never takes a column away */
			for (i = 0; i < narrower.n; i++)
				assert_true(has(&l, narrower.cols[i].column->name));
			for (i = 0; i < l.n; i++) {
				assert_true(l.cols[i].column->tier <= t);
				assert_true(l.cols[i].width >= l.cols[i].column->width);
				assert_true(l.cols[i].width <= l.cols[i].column->max_width);
			}
			narrower = l;
		}
	}
	assert_int_equal(l.n, columns__count());
}

static void important_columns_stay(void **state)
{
	struct columns_layout l;

	columns__fit(&l, 80, IOVAB_TIER_DENSITY, NULL);
	assert_true(has(&l, "device") && has(&l, "windows") && has(&l, "clean"));
	assert_true(has(&l, "dirty") && has(&l, "dirty_rate") && has(&l, "p99"));
	assert_false(has(&l, "lost"));
	columns__fit(&l, 80, IOVAB_TIER_SETS, NULL);
	assert_true(has(&l, "lost"));
	columns__fit(&l, 80, IOVAB_TIER_WINDOWS, NULL);
	assert_false(has(&l, "dirty"));
	columns__fit(&l, 1, IOVAB_TIER_SETS, NULL);
	assert_true(has(&l, "device") && has(&l, "state"));
	assert_int_equal(l.n, 2);
	/* what is sorted by stays, even when it is not measured */
	columns__fit(&l, 60, IOVAB_TIER_WINDOWS, columns__find("overshoot"));
	assert_true(has(&l, "overshoot"));
	assert_true(width_of(&l) <= 60);
}

/* --- order --- */

static void set_dirty(struct iovab_row *row, __u32 id, enum iovab_value_state state, __u64 v)
{
	memset(row, 0, sizeof(*row));
	row->id = id;
	row->total.fig[IOVAB_FIG_DIRTY_BYTES] = (struct iovab_value){ state, v };
}

static void assert_order(const struct iovab_row **rows, size_t n, const __u32 *ids)
{
	size_t i;

	for (i = 0; i < n; i++)
		assert_int_equal(rows[i]->id, ids[i]);
}

static void absent_values_sort_last(void **state)
{
	static const __u32 down[] = { 4, 1, 5, 2, 3 }, up[] = { 1, 5, 4, 2, 3 };
	static struct iovab_row r[5];
	const struct iovab_row *rows[5];
	size_t i;

	set_dirty(&r[0], 1, IOVAB_VALUE_KNOWN, 1000);	/* "1000 B": not the text sorts */
	set_dirty(&r[1], 2, IOVAB_VALUE_UNKNOWN, 0);
	set_dirty(&r[2], 3, IOVAB_VALUE_NOT_MEASURED, 0);
	set_dirty(&r[3], 4, IOVAB_VALUE_KNOWN, 9 * GIB);
	set_dirty(&r[4], 5, IOVAB_VALUE_KNOWN, 1000);	/* alike: in order of appearance */
	for (i = 0; i < 5; i++)
		rows[i] = &r[4 - i];
	columns__sort(rows, 5, columns__find("dirty"), COLUMNS_TOTAL, false);
	assert_order(rows, 5, down);
	columns__sort(rows, 5, columns__find("dirty"), COLUMNS_TOTAL, true);
	assert_order(rows, 5, up);
	columns__sort(rows, 0, columns__find("dirty"), COLUMNS_TOTAL, true);
}

static void names_sort_by_letters(void **state)
{
	static const __u32 order[] = { 2, 1, 3 };
	static struct iovab_row r[3];
	const struct iovab_row *rows[] = { &r[0], &r[1], &r[2] };
	__u32 i;

	for (i = 0; i < 3; i++)
		r[i].id = i + 1;
	strcpy(r[0].device, "b");
	strcpy(r[1].device, "a");
	columns__sort(rows, 3, columns__find("device"), COLUMNS_TOTAL, false);
	assert_order(rows, 3, order);
}

/* --- cells --- */

static const char *cell(const char *name, const struct iovab_row *row, enum columns_scope scope,
			enum text_charset cs)
{
	static char buf[COLUMNS_CELL_LEN];

	columns__find(name)->format(buf, sizeof(buf), row, scope, cs);
	return buf;
}

static void cells_show_the_scope(void **state)
{
	struct iovab_row row = { .has_interval = true, .pid = 4194304, .hwpt = 7 };

	row.total.fig[IOVAB_FIG_WINDOWS] = (struct iovab_value){ IOVAB_VALUE_KNOWN, 12 };
	row.interval.fig[IOVAB_FIG_WINDOWS] = (struct iovab_value){ IOVAB_VALUE_KNOWN, 4 };
	row.total.report_ns.state = IOVAB_VALUE_KNOWN;
	row.total.report_ns.p99 = 12345;
	assert_string_equal(cell("windows", &row, COLUMNS_TOTAL, TEXT_UTF8), "12");
	assert_string_equal(cell("windows", &row, COLUMNS_INTERVAL, TEXT_UTF8), "4");
	assert_string_equal(cell("p99", &row, COLUMNS_TOTAL, TEXT_UTF8), "12.3 µs");
	assert_string_equal(cell("p99", &row, COLUMNS_TOTAL, TEXT_ASCII), "12.3 us");
	assert_string_equal(cell("p99", &row, COLUMNS_INTERVAL, TEXT_ASCII), "-");
	assert_string_equal(cell("pid", &row, COLUMNS_TOTAL, TEXT_ASCII), "4194304");
	assert_string_equal(cell("device", &row, COLUMNS_TOTAL, TEXT_ASCII), "hwpt 7");
	assert_string_equal(cell("client", &row, COLUMNS_TOTAL, TEXT_ASCII), "?");
	assert_string_equal(cell("vm", &row, COLUMNS_TOTAL, TEXT_ASCII), "-");
}

static void hostile_names_are_harmless_in_cells(void **state)
{
	struct iovab_row row = { 0 };

	strcpy(row.device, "\x1b[2J");
	strcpy(row.comm, "a\nb");
	strcpy(row.vm, "\xe2\x80\xae");
	strcpy(row.driver, "\x9b");
	assert_string_equal(cell("device", &row, COLUMNS_TOTAL, TEXT_UTF8), "\\x1b[2J");
	assert_string_equal(cell("comm", &row, COLUMNS_TOTAL, TEXT_UTF8), "a\\nb");
	assert_string_equal(cell("vm", &row, COLUMNS_TOTAL, TEXT_UTF8), "\\u202e");
	assert_string_equal(cell("driver", &row, COLUMNS_TOTAL, TEXT_UTF8), "\\x9b");
}

static void states_differ(void **state)
{
	struct iovab_row row = { .stale = true, .reports_in_flight = 1 };

	assert_string_equal(columns__state(&row), "stale");
	row.stale = false;
	assert_string_equal(columns__state(&row), "live");
	row.reports_in_flight = 0;
	assert_string_equal(columns__state(&row), "new");
	row.has_interval = true;
	assert_string_equal(columns__state(&row), "live");
	row.idle = true;
	assert_string_equal(columns__state(&row), "idle");
}

static void bad_is_known_and_not_zero(void **state)
{
	struct iovab_row row = { 0 };
	struct iovab_value *lost = &row.total.fig[IOVAB_FIG_LOST_BYTES];

	assert_false(columns__is_bad(columns__find("lost"), &row, COLUMNS_TOTAL));
	lost->state = IOVAB_VALUE_KNOWN;
	assert_false(columns__is_bad(columns__find("lost"), &row, COLUMNS_TOTAL));
	lost->v = 4096;
	assert_true(columns__is_bad(columns__find("lost"), &row, COLUMNS_TOTAL));
	assert_false(columns__is_bad(columns__find("lost"), &row, COLUMNS_INTERVAL));
	row.total.fig[IOVAB_FIG_WINDOWS] = (struct iovab_value){ IOVAB_VALUE_KNOWN, 1 };
	assert_false(columns__is_bad(columns__find("windows"), &row, COLUMNS_TOTAL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_table_is_sound),
		cmocka_unit_test(layouts_fit),
		cmocka_unit_test(important_columns_stay),
		cmocka_unit_test(absent_values_sort_last),
		cmocka_unit_test(names_sort_by_letters),
		cmocka_unit_test(cells_show_the_scope),
		cmocka_unit_test(hostile_names_are_harmless_in_cells),
		cmocka_unit_test(states_differ),
		cmocka_unit_test(bad_is_known_and_not_zero),
	};

	return cmocka_run_group_tests_name("columns", tests, NULL, NULL);
}
