// SPDX-License-Identifier: GPL-2.0-only
/* JSON, the plain table and the summary against golden files. */
#include <jansson.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "json.h"
#include "plain.h"
#include "summary.h"

static struct fixture fx;
static struct model *model;

static int new_model(void **state)
{
	model = model__new();
	return model ? 0 : -1;
}

static int free_model(void **state)
{
	model__free(model);
	return 0;
}

/* --- scenes --- */

/* Two devices in their second interval: a wet one with a report under way, a dry one. */
static const struct iovab_snapshot *two_devices(enum iovab_tier tier)
{
	struct iovab_source_fact *wet, *dry;

	fixture__init(&fx, tier);
	wet = fixture__source(&fx, 1, "0000:3b:00.2");
	dry = fixture__source(&fx, 2, "0000:3b:00.3");
	dry->key.owner_start_ns = 1;
	fixture__report(wet, 4, 2, 48 << 20, 2500000);
	fixture__report(dry, 4, 0, 0, 80000);
	fixture__update(model, &fx);
	fixture__pass(&fx, SECOND_NS + SECOND_NS / 2);
	fixture__report(wet, 4, 3, 64 << 20, 3700000);
	fixture__report(wet, 4, 1, 16 << 20, 1234567);
	wet->counters.marked_bytes += 8 << 20;
	wet->counters.set_calls += 3;
	wet->counters.runs[4] += 3;
	fixture__live(&fx, 1, 1500000000);
	fx.facts.cost.bpf_known = true;
	fx.facts.cost.bpf_run_ns = 1230000;
	fx.facts.cost.bpf_sampled_ns = 1000000000;
	fx.facts.cost.bpf_runs = 3000;
	fx.facts.cost.collector_cpu_ns = 4500000;
	return fixture__update(model, &fx);
}

/* Sets were asked for, windows are in force; the wet device had reports at each tier. */
static const struct iovab_snapshot *dropped(void)
{
	static const struct iovab_report_event lost = {
		.source_id = 1, .end_ns = 101 * SECOND_NS, .page_size = 4096, .length = 256 * GIB,
		.tier = IOVAB_TIER_DENSITY, .lost_pages = 2, .lost_by = { 0, 2, 0 },
	};
	struct iovab_source_fact *wet;

	two_devices(IOVAB_TIER_SETS);
	wet = &fx.sources[0];
	fixture__pass(&fx, SECOND_NS);
	fixture__report(wet, 4, 2, 32 << 20, 3000000);
	fixture__report(wet, 4, 2, 32 << 20, 3000000);
	wet->counters.below_sets = 2;
	wet->counters.below_density = 1;
	wet->counters.lost_bytes = 4096;
	fx.facts.reports = &lost;
	fx.facts.n_reports = 1;
	fx.facts.cost.bpf_sampled_ns += SECOND_NS;
	fx.facts.cost.bpf_run_ns += 800000;
	fx.facts.cost.bpf_runs += 120;
	fx.facts.budget = (struct iovab_budget_fact){ .limit_ppm = 10000, .share_ppm = 12345,
						      .drops = 2, .tier = IOVAB_TIER_WINDOWS,
						      .over = 1 };
	return fixture__update(model, &fx);
}

/* All that can go wrong at once. */
static const struct iovab_snapshot *troubled(void)
{
	static const struct iovab_hwpt devices = {
		.attached = IOVAB_HWPT_DEVICES + 1,
		.named = { { .device = "0000:3b:00.1" }, { .device = "\x1b]0;\a" } },
	};
	static const struct iovab_report_event events[] = {
		{ .source_id = 1, .end_ns = 99 * SECOND_NS, .page_size = 4096, .length = 256 * GIB,
		  .phase = IOVAB_PHASE_STOP_COPY, .lost_pages = 1, .lost_by = { 0, 1, 0 },
		  .lost_iova = 0x7f000, .stray_bits = 512 },
		{ .source_id = 3, .end_ns = 100 * SECOND_NS, .page_size = 2 << 20, .iova = ~0ULL << 20,
		  .length = 1 << 20, .stray_bits = 1 },
	};
	struct iovab_source_fact *lossy, *hostile, *hwpt;

	fixture__init(&fx, IOVAB_TIER_SETS);
	fx.facts.reports = events;
	fx.facts.n_reports = 2;
	lossy = fixture__source(&fx, 1, "lossy");
	fixture__report(lossy, 4, 2, 48 << 20, 2500000);
	lossy->counters.report_errors = 1;
	lossy->counters.pin_failures = 2;
	lossy->counters.lost_bytes = 4096;
	lossy->counters.lost_by[IOVAB_LOST_PIN] = 4096;
	lossy->counters.last_phase = IOVAB_PHASE_STOP_COPY;
	lossy->counters.phase_reports[IOVAB_PHASE_STOP_COPY] = 1;
	lossy->counters.phase_ns[IOVAB_PHASE_STOP_COPY] = 2500000;
	lossy->counters.overshoot_bytes = 2 << 20;
	lossy->counters.stray_bits = 512;
	lossy->counters.marks_descending = 9000;
	lossy->counters.marks_overlapping = 3000;
	lossy->owner_gone = true;

	hostile = fixture__source(&fx, 2, "\x1b[2J\n\"\\");
	strcpy(hostile->counters.comm, "\xff" "qemu\x9b\xc2\x9b");
	strcpy(hostile->vm, "\xe2\x80\xae" "live\xc3\xbc \xf0\x9f\x98\x80\r\t");
	strcpy(hostile->counters.driver, "\xed\xa0\x80");
	memset(hostile->counters.vfio, 'v', sizeof(hostile->counters.vfio));
	fixture__report(hostile, 4, 1, 8192, 1000);
	hostile->counters.scan_skipped = 3;
	hostile->counters.windows_clean = 1;
	hostile->counters.density[0] = 1;

	hwpt = fixture__source(&fx, 3, "");
	hwpt->key.client = IOVAB_CLIENT_IOMMUFD;
	hwpt->key.implementation = IOVAB_IMPL_REFERENCE;
	hwpt->key.hwpt = 7;
	memset(hwpt->counters.driver, 0, sizeof(hwpt->counters.driver));
	memset(hwpt->counters.vfio, 0, sizeof(hwpt->counters.vfio));
	memset(hwpt->vm, 0, sizeof(hwpt->vm));
	hwpt->hwpt = &devices;
	hwpt->counters.last_phase = IOVAB_PHASE_PRECOPY;
	hwpt->counters.set_calls = hwpt->counters.empty_marks = hwpt->counters.wild_marks = 1;
	fixture__live(&fx, 3, 0);

	fx.facts.losses = (struct iovab_losses){
		.slots_full = 1200000, .joined_late = 2, .names_cut = 1, .events_dropped = 40,
	};
	fixture__window(&fx, 0, 0, 4096);
	return fixture__update(model, &fx);
}

static const struct iovab_snapshot *waiting(void)
{
	fixture__init(&fx, IOVAB_TIER_DENSITY);
	fx.facts.state = IOVAB_STATE_WAITING;
	fx.facts.generation = NULL;
	return fixture__update(model, &fx);
}

/* --- what the views write --- */

static char *json_of(const struct iovab_snapshot *s)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(json__write(out, s), 0);
	fclose(out);
	return text;
}

static void check_json(const char *golden, const struct iovab_snapshot *s)
{
	char *text = json_of(s);

	fixture__golden(golden, text);
	free(text);
}

static void assert_width(const char *text, unsigned int width, enum text_charset cs)
{
	char line[1024];
	size_t len;

	for (; *text; text += len + 1) {
		len = strcspn(text, "\n");
		assert_true(len < sizeof(line));
		memcpy(line, text, len);
		line[len] = '\0';
		if (text__width(line, cs) > width)
			fail_msg("wider than %u: %s", width, line);
		if (len && line[len - 1] == ' ')
			fail_msg("blank at the end: '%s'", line);
	}
}

/* Printable ASCII and newlines alone; with UTF-8 no control character at least. */
static void assert_harmless(const char *text, enum text_charset cs)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		assert_true(c == '\n' || c >= 0x20);
		assert_true(cs == TEXT_UTF8 || c < 0x80);
	}
}

static void check_plain(const char *golden, const struct iovab_snapshot *s,
			const struct plain_options *o)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(plain__write(out, s, o), 0);
	fclose(out);
	assert_width(text, o->width, o->charset);
	assert_harmless(text, o->charset);
	fixture__golden(golden, text);
	free(text);
}

static void check_summary(const char *golden, const struct iovab_snapshot *s, unsigned int width,
			  enum text_charset cs)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(summary__write(out, s, width, cs), 0);
	fclose(out);
	assert_width(text, width ? width : 1000, cs);
	assert_harmless(text, cs);
	fixture__golden(golden, text);
	free(text);
}

/* --- JSON --- */

static json_t *first_line(const struct iovab_snapshot *s);

static void json_sets(void **state)
{
	check_json("json-sets.ndjson", two_devices(IOVAB_TIER_SETS));
}

static void json_density(void **state)
{
	check_json("json-density.ndjson", two_devices(IOVAB_TIER_DENSITY));
}

static void json_windows(void **state)
{
	check_json("json-windows.ndjson", two_devices(IOVAB_TIER_WINDOWS));
}

static void json_troubled(void **state)
{
	check_json("json-troubled.ndjson", troubled());
}

static void json_dropped(void **state)
{
	check_json("json-dropped.ndjson", dropped());
}

/* Nothing that a dropped tier measures is there, in numbers; of the other device all is. */
static void json_has_nothing_of_a_dropped_tier(void **state)
{
	static const char *const gone[] = {
		"windows_clean", "dirty_bytes", "density", "density_histogram", "set_calls",
		"marked_bytes", "redundant_bytes", "lost_bytes", "overshoot_bytes", "stray_bits",
		"lost_by", "run_pages", "order", "what_if", "scan_skipped",
	};
	json_t *o = first_line(dropped()), *total = json_object_get(o, "total");
	json_t *unknown = json_object_get(total, "unknown");
	size_t i, k;

	for (i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
		assert_null(json_object_get(total, gone[i]));
		for (k = 0; k < json_array_size(unknown); k++)
			if (!strcmp(json_string_value(json_array_get(unknown, k)), gone[i]))
				break;
		if (k == json_array_size(unknown))
			fail_msg("%s is not said to be unknown", gone[i]);
	}
	assert_non_null(json_object_get(total, "windows"));
	json_decref(o);
}

static void json_prints_nothing_without_rows(void **state)
{
	char *text = json_of(waiting());

	assert_string_equal(text, "");
	free(text);
}

static json_t *first_line(const struct iovab_snapshot *s)
{
	char *text = json_of(s);
	json_error_t error;
	json_t *o;

	*strchr(text, '\n') = '\0';
	o = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	if (!o)
		fail_msg("not JSON: %s in %s", error.text, text);
	free(text);
	return o;
}

static void assert_keys(const json_t *object, const char *const *keys)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)object, key, value) {
		assert_non_null(*keys);
		assert_string_equal(key, *keys);
		keys++;
	}
	assert_null(*keys);
}

static void json_keys_are_in_the_order_of_the_contract(void **state)
{
	static const char *const line[] = {
		"schema", "time", "elapsed_s", "interval_s", "tier", "client", "device", "driver",
		"vfio", "pid", "comm", "vm", "implementation", "range", "page_size", "total",
		"interval", "pages_pinned_now", "reports_in_flight", "oldest_report_s",
		"events_lost", "losses", "cost", NULL,
	};
	static const char *const scope[] = {
		"reports", "report_errors", "report_ns", "range_bytes", "windows",
		"windows_clean", "repins", "pages_pinned", "pin_ns", "pin_failures",
		"scan_skipped", "dirty_bytes", "density", "set_calls", "marked_bytes",
		"redundant_bytes", "lost_bytes", "overshoot_bytes", "stray_bits",
		"empty_marks", "wild_marks", "density_histogram", "phases", "lost_by",
		"run_pages", "order", "what_if", NULL,
	};
	json_t *o = first_line(two_devices(IOVAB_TIER_SETS));

	assert_keys(o, line);
	assert_keys(json_object_get(o, "total"), scope);
	assert_keys(json_object_get(o, "interval"), scope);
	json_decref(o);
}

static void json_reads_back(void **state)
{
	const struct iovab_snapshot *s = two_devices(IOVAB_TIER_SETS);
	const struct iovab_figures *t = &s->rows[0].total;
	json_t *o = first_line(s), *total = json_object_get(o, "total");
	enum iovab_figure f;

	for (f = 0; f < IOVAB_FIGURES; f++)
		assert_int_equal(json_integer_value(json_object_get(total, model__figure_name(f))),
				 t->fig[f].v);
	assert_true(json_real_value(json_object_get(total, "density")) > t->density.v * 0.999999);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(total, "report_ns"),
							    "p50")), t->report_ns.p50);
	assert_string_equal(json_string_value(json_object_get(o, "time")),
			    "2026-01-02T03:04:06.678Z");
	json_decref(o);
}

static void json_unknown_is_named_not_zero(void **state)
{
	static const char *const names[] = {
		"windows_clean", "dirty_bytes", "density", "redundant_bytes",
	};
	struct iovab_source_fact *a;
	json_t *o, *total, *unknown;
	size_t i;

	fixture__init(&fx, IOVAB_TIER_SETS);
	a = fixture__source(&fx, 1, "a");
	fixture__report(a, 4, 1, 8192, 1000000);
	a->counters.scan_skipped = 1;
	o = first_line(fixture__update(model, &fx));
	total = json_object_get(o, "total");
	unknown = json_object_get(total, "unknown");
	assert_int_equal(json_array_size(unknown), 4);
	for (i = 0; i < 4; i++) {
		assert_string_equal(json_string_value(json_array_get(unknown, i)), names[i]);
		assert_null(json_object_get(total, names[i]));
	}
	assert_null(json_object_get(o, "interval"));
	json_decref(o);
}

/* The library's integers have 63 bits. */
static void json_large_numbers_are_strings(void **state)
{
	struct iovab_source_fact *a;
	json_t *o, *total;

	fixture__init(&fx, IOVAB_TIER_SETS);
	a = fixture__source(&fx, 1, "a");
	a->counters.range_bytes = ~0ULL;
	a->counters.dirty_bytes = 1ULL << 63;
	a->counters.windows = (1ULL << 63) - 1;
	o = first_line(fixture__update(model, &fx));
	total = json_object_get(o, "total");
	assert_string_equal(json_string_value(json_object_get(total, "range_bytes")),
			    "18446744073709551615");
	assert_string_equal(json_string_value(json_object_get(total, "dirty_bytes")),
			    "9223372036854775808");
	assert_int_equal(json_integer_value(json_object_get(total, "windows")), INT64_MAX);
	json_decref(o);
}

/* Whatever the bytes of the names, each line is valid JSON and ASCII. */
static void json_of_random_names_is_valid(void **state)
{
	struct iovab_source_fact *a;
	unsigned int round, i;
	json_t *o;
	char *text;

	for (round = 0; round < 500; round++) {
		fixture__init(&fx, IOVAB_TIER_WINDOWS);
		a = fixture__source(&fx, round + 1, "");
		a->key.owner_start_ns = round;
		for (i = 0; i < sizeof(a->key.device); i++)
			a->key.device[i] = (char)fixture__random();
		for (i = 0; i < sizeof(a->vm); i++)
			a->vm[i] = (char)(fixture__random() | 0x80);
		text = json_of(fixture__update(model, &fx));
		assert_harmless(text, TEXT_ASCII);
		o = json_loads(text, 0, NULL);
		assert_non_null(o);
		assert_true(json_string_length(json_object_get(o, "vm")) >= 3);
		json_decref(o);
		free(text);
		model__free(model);
		model = model__new();
	}
}

static void json_says_when_it_cannot_write(void **state)
{
	const struct iovab_snapshot *s = two_devices(IOVAB_TIER_SETS);
	FILE *full = fopen("/dev/full", "w");

	assert_non_null(full);
	setvbuf(full, NULL, _IONBF, 0);
	assert_true(json__write(full, s) < 0);
	fclose(full);
}

/* --- plain --- */

static void plain_widths(void **state)
{
	const struct iovab_snapshot *s = two_devices(IOVAB_TIER_SETS);
	struct plain_options o = { .width = 80, .charset = TEXT_UTF8 };

	check_plain("plain-sets-80.txt", s, &o);
	o.width = 120;
	check_plain("plain-sets-120.txt", s, &o);
	o.width = 200;
	check_plain("plain-sets-200.txt", s, &o);
	o.charset = TEXT_ASCII;
	check_plain("plain-sets-200-ascii.txt", s, &o);
}

static void plain_tiers(void **state)
{
	struct plain_options o = { .width = 80, .charset = TEXT_UTF8 };

	check_plain("plain-density-80.txt", two_devices(IOVAB_TIER_DENSITY), &o);
	free_model(state);
	new_model(state);
	check_plain("plain-windows-80.txt", two_devices(IOVAB_TIER_WINDOWS), &o);
}

static void plain_interval(void **state)
{
	struct plain_options o = {
		.width = 120, .charset = TEXT_UTF8, .scope = COLUMNS_INTERVAL,
		.sort = columns__find("device"), .reverse = true,
	};

	check_plain("plain-interval-120.txt", two_devices(IOVAB_TIER_DENSITY), &o);
}

static void plain_dropped(void **state)
{
	struct plain_options o = { .width = 100, .charset = TEXT_ASCII };

	check_plain("plain-dropped-100.txt", dropped(), &o);
}

static void plain_troubled(void **state)
{
	const struct iovab_snapshot *s = troubled();
	struct plain_options o = { .width = 80, .charset = TEXT_UTF8 };

	check_plain("plain-troubled-80.txt", s, &o);
	o.width = 260;
	check_plain("plain-troubled-260.txt", s, &o);
	o.charset = TEXT_ASCII;
	check_plain("plain-troubled-260-ascii.txt", s, &o);
}

static void plain_waiting(void **state)
{
	struct plain_options o = { .width = 80, .charset = TEXT_UTF8 };

	check_plain("plain-waiting-80.txt", waiting(), &o);
}

/* --- summary --- */

static void summary_tiers(void **state)
{
	check_summary("summary-sets.txt", two_devices(IOVAB_TIER_SETS), 80, TEXT_UTF8);
	free_model(state);
	new_model(state);
	check_summary("summary-density.txt", two_devices(IOVAB_TIER_DENSITY), 80, TEXT_ASCII);
	free_model(state);
	new_model(state);
	check_summary("summary-windows.txt", two_devices(IOVAB_TIER_WINDOWS), 0, TEXT_UTF8);
}

static void summary_dropped(void **state)
{
	check_summary("summary-dropped.txt", dropped(), 80, TEXT_ASCII);
}

static void summary_troubled(void **state)
{
	check_summary("summary-troubled.txt", troubled(), 80, TEXT_UTF8);
}

static void summary_waiting(void **state)
{
	check_summary("summary-waiting.txt", waiting(), 80, TEXT_UTF8);
}

/* The last line of the summary of one device. */
static void check_answer(enum iovab_tier tier, __u64 windows, __u64 dirty_windows,
			 __u64 skipped, const char *expected)
{
	struct iovab_source_fact *a;
	char *text = NULL, *last;
	size_t size;
	FILE *out;

	free_model(NULL);
	new_model(NULL);
	fixture__init(&fx, tier);
	a = fixture__source(&fx, 1, "a");
	fixture__report(a, windows, dirty_windows, 0, 1000);
	a->counters.scan_skipped = skipped;
	out = open_memstream(&text, &size);
	assert_int_equal(summary__write(out, fixture__update(model, &fx), 0, TEXT_UTF8), 0);
	fclose(out);
	text[size - 1] = '\0';
	last = strrchr(text, '\n') + 1;
	assert_string_equal(last, expected);
	free(text);
}

static void summary_answers_the_question(void **state)
{
	check_answer(IOVAB_TIER_DENSITY, 12, 0, 0,
		     "Of 12 windows that the kernel pinned, 12 (100 %) had nothing dirty in them.");
	check_answer(IOVAB_TIER_SETS, 1600, 1, 0,
		     "Of 1,600 windows that the kernel pinned, 1,599 (99.9 %) had nothing dirty in "
		     "them.");
	check_answer(IOVAB_TIER_DENSITY, 10001, 1, 0,
		     "Of 10,001 windows that the kernel pinned, 10,000 (>99.9 %) had nothing dirty "
		     "in them.");
	check_answer(IOVAB_TIER_DENSITY, 3, 3, 0,
		     "Of 3 windows that the kernel pinned, 0 (0 %) had nothing dirty in them.");
	check_answer(IOVAB_TIER_DENSITY, 1, 0, 0,
		     "Of 1 window that the kernel pinned, 1 (100 %) had nothing dirty in it.");
	check_answer(IOVAB_TIER_DENSITY, 0, 0, 0,
		     "The kernel pinned no window, so none had nothing dirty in it.");
	check_answer(IOVAB_TIER_WINDOWS, 12, 0, 0,
		     "The kernel pinned 12 windows; how many had nothing dirty in them is not "
		     "measured at tier windows: --tier density tells.");
	check_answer(IOVAB_TIER_DENSITY, 12, 3, 2,
		     "Of 12 windows that the kernel pinned, 2 could not be scanned, so how many had "
		     "nothing dirty in them is unknown: 9 at least.");
}

#define TEST(f)	cmocka_unit_test_setup_teardown(f, new_model, free_model)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(json_sets),
		TEST(json_density),
		TEST(json_windows),
		TEST(json_troubled),
		TEST(json_dropped),
		TEST(json_has_nothing_of_a_dropped_tier),
		TEST(plain_dropped),
		TEST(summary_dropped),
		TEST(json_prints_nothing_without_rows),
		TEST(json_keys_are_in_the_order_of_the_contract),
		TEST(json_reads_back),
		TEST(json_unknown_is_named_not_zero),
		TEST(json_large_numbers_are_strings),
		TEST(json_of_random_names_is_valid),
		TEST(json_says_when_it_cannot_write),
		TEST(plain_widths),
		TEST(plain_tiers),
		TEST(plain_interval),
		TEST(plain_troubled),
		TEST(plain_waiting),
		TEST(summary_tiers),
		TEST(summary_troubled),
		TEST(summary_waiting),
		TEST(summary_answers_the_question),
	};

	if (!setlocale(LC_CTYPE, "C.UTF-8")) {
		fprintf(stderr, "test_views: the locale C.UTF-8 is missing\n");
		return 1;
	}
	return cmocka_run_group_tests_name("views", tests, NULL, NULL);
}
