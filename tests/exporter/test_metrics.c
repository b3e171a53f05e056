// SPDX-License-Identifier: GPL-2.0-only
/* The ledger over the model, and the text that comes out, in both formats. */
#include <locale.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "labels.h"
#include "ledger.h"
#include "metrics.h"

struct chain {
	struct fixture f;
	struct watch w;
};

static const struct iovab_facts *collect(void *ctx, struct iovab_error *e)
{
	return &((struct fixture *)ctx)->facts;
}

static int setup(void **state)
{
	struct chain *c = calloc(1, sizeof(*c));
	struct iovab_error e;

	fixture__init(&c->f, IOVAB_TIER_SETS);
	assert_int_equal(watch__init(&c->w, (struct watch_source){ collect, &c->f }, &e), 0);
	*state = c;
	return 0;
}

static int teardown(void **state)
{
	struct chain *c = *state;

	watch__free(&c->w);
	free(c);
	return 0;
}

/* A look, @seconds after the one before. */
static void look(struct chain *c, double seconds)
{
	struct timespec *wall = &c->f.facts.wall;
	__u64 ns = (__u64)(seconds * SECOND_NS);

	fixture__pass(&c->f, ns);
	wall->tv_nsec += (long)(ns % SECOND_NS);
	wall->tv_sec += wall->tv_nsec / (long)SECOND_NS;
	wall->tv_nsec %= (long)SECOND_NS;
	watch__look(&c->w);
	assert_non_null(c->w.snapshot);
}

/* The text without what is different at each run; to be freed. */
static char *text_of(struct chain *c, enum exposition_format format)
{
	struct exposition x = { .format = format };
	struct web_counts web = { .config_read = true };
	char *line, *next, *out;
	size_t len = 0;

	metrics__write(&x, &c->w, &web);
	assert_false(x.failed);
	exposition__reserve(&x, 1);
	x.text[x.len] = '\0';
	out = malloc(x.len + 1);
	for (line = x.text; *line; line = next) {
		next = strchr(line, '\n') + 1;
		if (!strncmp(line, "process_", 8) ||
		    !strncmp(line, "iovab_collection_duration_seconds ", 34))
			continue;
		memcpy(out + len, line, (size_t)(next - line));
		len += (size_t)(next - line);
	}
	out[len] = '\0';
	free(x.text);
	return out;
}

/* The value of the sample that begins with @sample, or NULL. Lives until the next call. */
static const char *value_of(struct chain *c, const char *sample)
{
	static char value[64];
	char *text = text_of(c, EXPOSITION_TEXT), *at = text;
	size_t len = strlen(sample);

	value[0] = '\0';
	while ((at = strstr(at, sample))) {
		if ((at == text || at[-1] == '\n') && at[len] == ' ') {
			sscanf(at + len + 1, "%63s", value);
			break;
		}
		at += len;
	}
	free(text);
	return value[0] ? value : NULL;
}

#define ID(n) "{client=\"vfio\",device=\"dev" #n "\",driver=\"mlx5_vfio_pci\",vm=\"web-" #n "\"}"

static void assert_sample(struct chain *c, const char *sample, const char *expected)
{
	const char *value = value_of(c, sample);

	if (!expected) {
		if (value)
			fail_msg("%s is there: %s", sample, value);
		return;
	}
	if (!value)
		fail_msg("%s is not there", sample);
	assert_string_equal(value, expected);
}

static void golden(struct chain *c, const char *name)
{
	char *text = text_of(c, EXPOSITION_TEXT);
	char file[64];

	snprintf(file, sizeof(file), "metrics-%s.txt", name);
	fixture__golden(file, text);
	free(text);
	text = text_of(c, EXPOSITION_OPENMETRICS);
	snprintf(file, sizeof(file), "metrics-%s.openmetrics", name);
	fixture__golden(file, text);
	free(text);
}

/* --- text --- */

static void test_golden_sets(void **state)
{
	struct chain *c = *state;
	struct iovab_source_fact *s = fixture__source(&c->f, 1, "0000:3b:00.2");

	fixture__report(s, 3, 1, 1 << 20, 5000000);
	s->counters.rounds = 1;
	s->counters.density_sum = IOVAB_DENSITY_ONE / 4;
	s->counters.last_end_ns = c->f.facts.time_ns;
	fixture__live(&c->f, 1, 3 * SECOND_NS);
	c->f.facts.cost.bpf_run_ns = 1500;
	c->f.facts.cost.bpf_sampled_ns = SECOND_NS;
	look(c, 1);
	golden(c, "sets");
}

static void test_golden_windows(void **state)
{
	struct chain *c = *state;
	struct iovab_source_fact *s = fixture__source(&c->f, 1, "0000:3b:00.2");

	c->f.facts.tier = IOVAB_TIER_WINDOWS;
	fixture__report(s, 3, 1, 1 << 20, 5000000);
	look(c, 1);
	golden(c, "windows");
}

static void test_golden_waiting(void **state)
{
	struct chain *c = *state;

	c->f.facts.state = IOVAB_STATE_WAITING;
	look(c, 1);
	golden(c, "waiting");
}

static const struct iovab_facts *refuse(void *ctx, struct iovab_error *e)
{
	error__set(e, IOVAB_EXIT_NO_FACILITY, "this kernel has no iova_bitmap");
	return NULL;
}

static void test_golden_down(void **state)
{
	struct chain *c = *state;

	c->w.source.collect = refuse;
	watch__look(&c->w);
	golden(c, "down");
}

static void test_hostile_labels(void **state)
{
	struct chain *c = *state;
	struct iovab_source_fact *s = fixture__source(&c->f, 1, "a\"b");
	char *text, *line;

	strcpy(s->counters.driver, "c\\d\ne");
	strcpy(s->vm, "\xff\xc3(\xe2\x82\xac\x1b[2J} 1\niovab_up 0");
	look(c, 1);
	text = text_of(c, EXPOSITION_TEXT);
	assert_non_null(strstr(text, "iovab_reports_total{client=\"vfio\",device=\"a\\\"b\",driver=\"c\\\\d\\ne\","
			       "vm=\"\xef\xbf\xbd\xef\xbf\xbd(\xe2\x82\xac\x1b[2J} 1\\niovab_up 0\"} 0\n"));
	for (line = text; (line = strstr(line, "iovab_up 0")); line++)
		assert_true(line > text && line[-1] == 'n' && line[-2] == '\\');
	free(text);
}

/* The longest names, each byte of which grows. */
static void test_longest_labels(void **state)
{
	struct iovab_row row = { .client = IOVAB_CLIENT_IOMMUFD };
	char labels[LABELS_LEN];
	size_t len;

	memset(row.device, 0xff, sizeof(row.device));
	memset(row.driver, '"', sizeof(row.driver));
	memset(row.vm, 0xff, sizeof(row.vm));
	len = labels__of_row(labels, &row);
	assert_int_equal(len, strlen(labels));
	assert_non_null(strstr(labels, ",vm=\"\xef\xbf\xbd"));
	memset(&row, 0, sizeof(row));
	assert_int_equal(labels__of_row(labels, &row), 0);
	assert_string_equal(labels, "");
}

static void test_numbers(void **state)
{
	char buf[EXPOSITION_NUMBER_LEN];

	exposition__format_seconds(buf, 0);
	assert_string_equal(buf, "0.0");
	exposition__format_seconds(buf, 1);
	assert_string_equal(buf, "0.000000001");
	exposition__format_seconds(buf, ~0ULL);
	assert_string_equal(buf, "18446744073.709551615");
	exposition__format_real(buf, 1);
	assert_string_equal(buf, "1.0");
	exposition__format_real(buf, 0.000016383);
	assert_string_equal(buf, "1.6383e-05");
	exposition__format_real(buf, 1e20);
	assert_string_equal(buf, "1e+20");
}

/* An edge is in its bucket, one nanosecond more is not. */
static void test_bucket_edges(void **state)
{
	struct iovab_row row = {};
	struct tally t;
	unsigned int i;
	__u64 edge;

	for (i = 0; i < TALLY_REPORT_BUCKETS - 1; i++) {
		edge = (__u64)(atof(tally__report_edges()[i]) * 1e9 + 0.5);
		memset(&row, 0, sizeof(row));
		row.total.report_hist[iovab_hist_index(edge)]++;
		tally__of_row(&t, &row, IOVAB_TIER_WINDOWS);
		assert_int_equal(t.report[i], 1);
		memset(&row, 0, sizeof(row));
		row.total.report_hist[iovab_hist_index(edge + 1)]++;
		tally__of_row(&t, &row, IOVAB_TIER_WINDOWS);
		assert_int_equal(t.report[i + 1], 1);
	}
	for (i = 0; i < TALLY_PIN_BUCKETS - 1; i++) {
		edge = (__u64)(atof(tally__pin_edges()[i]) * 1e9 + 0.5);
		memset(&row, 0, sizeof(row));
		row.total.pin_hist[iovab_hist_index(edge)]++;
		row.total.pin_hist[iovab_hist_index(edge + 1)]++;
		tally__of_row(&t, &row, IOVAB_TIER_WINDOWS);
		assert_int_equal(t.pin[i], 1);
		assert_int_equal(t.pin[i + 1], 1);
	}
}

/* --- the ledger --- */

/* Two owners of one device, one after the other: one series, which only grows. */
static void test_owners_add_up(void **state)
{
	struct chain *c = *state;
	struct iovab_source_fact *a = fixture__source(&c->f, 1, "dev1"), *b;

	fixture__report(a, 1, 1, 4096, 1000);
	look(c, 1);
	assert_sample(c, "iovab_reports_total" ID(1), "1");
	/* its last report and its end are seen at once */
	fixture__report(a, 1, 1, 4096, 1000);
	a->owner_gone = true;
	b = fixture__source(&c->f, 2, "dev1");
	strcpy(b->vm, "web-1");
	fixture__report(b, 2, 1, 4096, 1000);
	look(c, 1);
	assert_sample(c, "iovab_reports_total" ID(1), "3");
	assert_sample(c, "iovab_windows_total" ID(1), "4");
	assert_sample(c, "iovab_report_duration_seconds_count" ID(1), "3");
	/* the first one leaves the facts, and at last the model */
	c->f.sources[0] = *b;
	c->f.facts.n_sources = 1;
	look(c, 70);
	assert_sample(c, "iovab_reports_total" ID(1), "3");
	fixture__report(&c->f.sources[0], 1, 1, 4096, 1000);
	look(c, 1);
	assert_sample(c, "iovab_reports_total" ID(1), "4");
}

static void test_gone_leaves(void **state)
{
	struct chain *c = *state;
	struct iovab_source_fact *s = fixture__source(&c->f, 1, "dev1");

	fixture__source(&c->f, 2, "dev2");
	fixture__report(s, 1, 1, 4096, 1000);
	look(c, 1);
	s->owner_gone = true;
	look(c, 1);
	look(c, 598);
	assert_sample(c, "iovab_reports_total" ID(1), "1");
	look(c, 3);
	assert_sample(c, "iovab_reports_total" ID(1), NULL);
	assert_sample(c, "iovab_reports_total" ID(2), "0");
	look(c, 1);
	assert_sample(c, "iovab_reports_total" ID(1), NULL);
}

/* What becomes unknown disappears; what can be told stays. */
static void test_unknown_disappears(void **state)
{
	struct chain *c = *state;
	struct iovab_source_fact *s = fixture__source(&c->f, 1, "dev1");

	fixture__report(s, 4, 1, 4096, 1000);
	look(c, 1);
	assert_sample(c, "iovab_dirty_bytes_total" ID(1), "4096");
	s->counters.scan_skipped++;
	s->counters.windows++;
	look(c, 1);
	assert_sample(c, "iovab_dirty_bytes_total" ID(1), NULL);
	assert_sample(c, "iovab_clean_windows_total" ID(1), NULL);
	assert_sample(c, "iovab_redundant_bytes_total" ID(1), NULL);
	assert_sample(c, "iovab_scan_skipped_windows_total" ID(1), "1");
	assert_sample(c, "iovab_windows_total" ID(1), "5");
	assert_sample(c, "iovab_window_density_ratio_count" ID(1), "4");
}

/* While its tier is dropped a figure is absent; then it goes on, without what was not measured. */
static void test_dropped_tier(void **state)
{
	struct chain *c = *state;
	struct iovab_source_fact *s = fixture__source(&c->f, 1, "dev1");
	struct iovab_budget_fact *b = &c->f.facts.budget;

	*b = (struct iovab_budget_fact){ .limit_ppm = 10000, .share_ppm = 2500,
					 .tier = IOVAB_TIER_SETS };
	fixture__report(s, 4, 1, 4096, 1000);
	look(c, 1);
	assert_sample(c, "iovab_tier{tier=\"sets\"}", "1");
	assert_sample(c, "iovab_tier_dropped", "0");
	assert_sample(c, "iovab_budget_ratio", "0.01");
	assert_sample(c, "iovab_budget_used_ratio", "0.0025");
	assert_sample(c, "iovab_unmeasured_reports_total{client=\"vfio\",device=\"dev1\","
		      "driver=\"mlx5_vfio_pci\",vm=\"web-1\",tier=\"sets\"}", "0");
	s->counters.reports++;
	s->counters.dirty_bytes += 4096;
	s->counters.below_sets++;
	b->tier = IOVAB_TIER_DENSITY;
	b->drops = 1;
	look(c, 1);
	assert_sample(c, "iovab_tier{tier=\"density\"}", "1");
	assert_sample(c, "iovab_tier_dropped", "1");
	assert_sample(c, "iovab_tier_drops_total", "1");
	assert_sample(c, "iovab_marked_bytes_total" ID(1), NULL);
	assert_sample(c, "iovab_lost_bytes_total" ID(1), NULL);
	assert_sample(c, "iovab_what_if_reports_total" ID(1), NULL);
	assert_sample(c, "iovab_dirty_bytes_total" ID(1), "8192");
	assert_sample(c, "iovab_unmeasured_reports_total{client=\"vfio\",device=\"dev1\","
		      "driver=\"mlx5_vfio_pci\",vm=\"web-1\",tier=\"sets\"}", "1");
	b->tier = IOVAB_TIER_SETS;
	fixture__report(s, 4, 1, 4096, 1000);
	s->counters.lost_bytes = 4096;
	s->counters.lost_by[IOVAB_LOST_PIN] = 4096;
	look(c, 1);
	assert_sample(c, "iovab_marked_bytes_total" ID(1), "8192");
	assert_sample(c, "iovab_lost_bytes_total" ID(1), "4096");
	assert_sample(c, "iovab_redundant_bytes_total" ID(1), NULL);
	assert_sample(c, "iovab_lost_reason_bytes_total{client=\"vfio\",device=\"dev1\","
		      "driver=\"mlx5_vfio_pci\",vm=\"web-1\",reason=\"pin\"}", "4096");
	assert_sample(c, "iovab_what_if_windows_total{client=\"vfio\",device=\"dev1\","
		      "driver=\"mlx5_vfio_pci\",vm=\"web-1\",policy=\"cached\"}", "8");
}

/* A gap makes the peak of its migration unknown, and not that of the next. */
static void test_peak_over_a_gap(void **state)
{
	struct chain *c = *state;
	struct iovab_source_fact *s = fixture__source(&c->f, 1, "dev1");
	unsigned int i;

	for (i = 0; i < 6; i++) {
		fixture__report(s, 1, 1, 1 << 20, 1000);
		s->counters.rounds++;
		s->counters.below_density += i == 1;
		s->counters.last_end_ns = c->f.facts.time_ns;
		look(c, i == 2 ? 400 : 1);
		look(c, 1);
		if (i == 2)
			assert_sample(c, "iovab_last_migration_peak_dirty_bytes_per_second" ID(1), NULL);
	}
	assert_sample(c, "iovab_last_migration_peak_dirty_bytes_per_second" ID(1), "524288.0");
}

/* Redundant is a difference, and can go back: it must not come out smaller. */
static void test_redundant_never_shrinks(void **state)
{
	struct chain *c = *state;
	struct iovab_source_fact *s = fixture__source(&c->f, 1, "dev1");

	s->counters.marked_bytes = 8192;
	s->counters.dirty_bytes = 4096;
	look(c, 1);
	assert_sample(c, "iovab_redundant_bytes_total" ID(1), "4096");
	s->counters.marked_bytes += 4096;
	s->counters.dirty_bytes += 8192;
	look(c, 1);
	assert_sample(c, "iovab_redundant_bytes_total" ID(1), NULL);
}

/* The programs were loaded anew: what they count from 0 is added. */
static void test_reload_adds(void **state)
{
	struct chain *c = *state;
	struct iovab_source_fact *s = fixture__source(&c->f, 1, "dev1");

	s->counters.reports = 10;
	look(c, 1);
	s->counters.reports = 3;
	look(c, 1);
	assert_sample(c, "iovab_reports_total" ID(1), "13");
}

/* Its VM becomes known: what it had stays where it was, the rest is counted once. */
static void test_labels_change(void **state)
{
	struct chain *c = *state;
	struct iovab_source_fact *s = fixture__source(&c->f, 1, "dev1");

	s->vm[0] = '\0';
	s->counters.reports = 4;
	look(c, 1);
	assert_sample(c, "iovab_reports_total{client=\"vfio\",device=\"dev1\",driver=\"mlx5_vfio_pci\"}", "4");
	strcpy(s->vm, "web-1");
	s->counters.reports = 6;
	look(c, 1);
	assert_sample(c, "iovab_reports_total" ID(1), "2");
	assert_sample(c, "iovab_reports_total{client=\"vfio\",device=\"dev1\",driver=\"mlx5_vfio_pci\"}", "4");
}

/* --- many --- */

#define MANY 1200

/* Of the address sanitizer; gcc ships no header for it. */
size_t __sanitizer_get_current_allocated_bytes(void);

static struct iovab_source_fact *make_many(struct chain *c, unsigned int n)
{
	struct iovab_source_fact *many = calloc(n, sizeof(*many));
	unsigned int i;

	for (i = 0; i < n; i++) {
		many[i].key.client = IOVAB_CLIENT_VFIO;
		many[i].key.owner_start_ns = i;
		many[i].counters.id = i + 1;
		snprintf(many[i].key.device, sizeof(many[i].key.device), "dev%u", i);
		many[i].counters.reports = 1;
	}
	c->f.facts.sources = many;
	c->f.facts.n_sources = n;
	return many;
}

static unsigned int count_lines(const char *text, const char *start)
{
	unsigned int n = 0;

	for (; text; text = strchr(text, '\n')) {
		text += *text == '\n';
		n += !strncmp(text, start, strlen(start));
	}
	return n;
}

static void test_too_many_are_folded(void **state)
{
	struct chain *c = *state;
	struct iovab_source_fact *many = make_many(c, MANY);
	char *text;

	look(c, 1);
	text = text_of(c, EXPOSITION_TEXT);
	assert_int_equal(count_lines(text, "iovab_reports_total{"), LEDGER_MAX_ACCOUNTS);
	free(text);
	assert_sample(c, "iovab_folded_sources_total", "201");
	assert_sample(c, "iovab_reports_total{folded=\"yes\"}", "201");
	many[MANY - 1].counters.reports = 5;
	look(c, 1);
	assert_sample(c, "iovab_reports_total{folded=\"yes\"}", "205");
	assert_sample(c, "iovab_folded_sources_total", "201");
	/* all are gone: the folded series stays, and so does its count */
	c->f.facts.n_sources = 0;
	look(c, 1);
	look(c, 601);
	text = text_of(c, EXPOSITION_TEXT);
	assert_int_equal(count_lines(text, "iovab_reports_total{"), 1);
	free(text);
	assert_sample(c, "iovab_reports_total{folded=\"yes\"}", "205");
	c->f.facts.sources = c->f.sources;
	free(many);
}

/*
 * 24 hours, a look a minute, at each of which 20 of 200 devices are replaced by
 * others with names of their own. After the first hour nothing grows any more,
 * and no count is lost: each device makes one report.
 */
static void test_a_day_of_churn(void **state)
{
	struct chain *c = *state;
	struct iovab_source_fact *many = make_many(c, 200);
	unsigned int minute, i, next = 200;
	size_t after_an_hour = 0, at_the_end;
	struct iovab_value all;

	for (minute = 0; minute < 24 * 60; minute++) {
		look(c, 60);
		for (i = 0; i < 20; i++) {
			struct iovab_source_fact *s = &many[(minute * 20 + i) % 200];

			s->counters.id = next + 1;
			s->key.owner_start_ns = next;
			snprintf(s->key.device, sizeof(s->key.device), "dev%u", next++);
		}
		if (minute == 60)
			after_an_hour = __sanitizer_get_current_allocated_bytes();
	}
	all = c->w.snapshot->sum.fig[IOVAB_FIG_REPORTS];
	fixture__assert_known(all, next - 20);
	at_the_end = __sanitizer_get_current_allocated_bytes();
	/* names get longer by a digit or two */
	if (at_the_end > after_an_hour + 4096)
		fail_msg("grew from %zu to %zu bytes", after_an_hour, at_the_end);
	c->f.facts.sources = c->f.sources;
	free(many);
}

/* --- migrations --- */

static void round_of(struct chain *c, struct iovab_source_fact *s, __u64 bytes)
{
	fixture__report(s, 1, 1, bytes, 1000);
	s->counters.rounds++;
	s->counters.last_end_ns = c->f.facts.time_ns;
}

#define PEAK "iovab_last_migration_peak_dirty_bytes_per_second" ID(1)

static void test_last_migration(void **state)
{
	struct chain *c = *state;
	struct iovab_source_fact *s = fixture__source(&c->f, 1, "dev1");

	look(c, 1);
	assert_sample(c, "iovab_last_migration_rounds" ID(1), NULL);
	round_of(c, s, 1 << 20);	/* since when it was written nobody knows */
	look(c, 0.25);
	look(c, 0.25);
	assert_sample(c, PEAK, NULL);
	look(c, 1.5);
	round_of(c, s, 2 << 20);	/* 2 s after the round before */
	look(c, 0.25);
	look(c, 0.25);
	assert_sample(c, PEAK, "1048576.0");
	look(c, 3.5);
	round_of(c, s, 2 << 20);	/* and 4 s: half as much a second */
	look(c, 0.25);
	look(c, 0.25);
	assert_sample(c, PEAK, "1048576.0");
	assert_sample(c, "iovab_last_migration_rounds" ID(1), "3");
	assert_sample(c, "iovab_last_migration_end_timestamp_seconds" ID(1), "1767323052.678901234");
	/* 300 s without a report: what comes then is another one */
	look(c, 299.5);
	round_of(c, s, 4096);
	look(c, 0.25);
	assert_sample(c, "iovab_last_migration_rounds" ID(1), "1");
	assert_sample(c, PEAK, NULL);
}

/* A look in the middle of a round: what it saw of it is no rate. */
static void test_no_rate_inside_a_round(void **state)
{
	struct chain *c = *state;
	struct iovab_source_fact *s = fixture__source(&c->f, 1, "dev1");

	round_of(c, s, 4096);
	look(c, 0.25);
	look(c, 0.25);
	look(c, 9.5);
	round_of(c, s, 0);		/* its first report, with nothing */
	look(c, 0.05);
	fixture__report(s, 1, 1, 100 << 20, 1000);	/* its second one, of all that was written */
	s->counters.last_end_ns = c->f.facts.time_ns;
	look(c, 0.25);
	look(c, 0.25);
	/* 100 MiB in 10.05 s, not in 0.05 */
	assert_sample(c, PEAK, "10433592.039801");
}

#define DOWNTIME "iovab_last_migration_downtime_seconds" ID(1)

static void report_in(struct chain *c, struct iovab_source_fact *s, enum iovab_phase phase, __u64 ns)
{
	round_of(c, s, 4096);
	s->counters.phase_reports[phase]++;
	s->counters.phase_ns[phase] += ns;
	s->counters.last_phase = phase;
}

/* Time of the reports in stop-copy, of this migration alone; absent if any report had no phase. */
static void test_downtime(void **state)
{
	struct chain *c = *state;
	struct iovab_source_fact *s = fixture__source(&c->f, 1, "dev1");

	report_in(c, s, IOVAB_PHASE_UNKNOWN, 1000000);
	report_in(c, s, IOVAB_PHASE_STOP_COPY, 2000000);
	look(c, 1);
	assert_sample(c, DOWNTIME, NULL);
	look(c, 301);
	report_in(c, s, IOVAB_PHASE_PRECOPY, 5000000);
	look(c, 1);
	assert_sample(c, DOWNTIME, "0.0");
	report_in(c, s, IOVAB_PHASE_STOP_COPY, 7000000);
	report_in(c, s, IOVAB_PHASE_STOP_COPY, 7000000);
	look(c, 1);
	assert_sample(c, DOWNTIME, "0.014");
	report_in(c, s, IOVAB_PHASE_UNKNOWN, 1);
	look(c, 1);
	assert_sample(c, DOWNTIME, NULL);
}

static void test_devices_of_a_hwpt(void **state)
{
	struct chain *c = *state;
	struct iovab_source_fact *s = fixture__source(&c->f, 1, "");
	static struct iovab_hwpt hwpt;

	s->key.client = IOVAB_CLIENT_IOMMUFD;
	s->key.hwpt = 7;
	s->counters.driver[0] = s->vm[0] = '\0';
	s->hwpt = &hwpt;
	s->counters.reports = 1;
	hwpt.attached = 2;
	strcpy(hwpt.named[0].device, "a");
	strcpy(hwpt.named[1].device, "b\"");
	look(c, 1);
	assert_sample(c, "iovab_reports_total{client=\"iommufd\",device=\"a,b\\\"\"}", "1");
	hwpt.attached = 18;
	look(c, 1);
	assert_sample(c, "iovab_reports_total{client=\"iommufd\",device=\"a,b\\\",,,,,,,,,,,,,,,+2\"}", "0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_golden_sets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_golden_windows, setup, teardown),
		cmocka_unit_test_setup_teardown(test_golden_waiting, setup, teardown),
		cmocka_unit_test_setup_teardown(test_golden_down, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostile_labels, setup, teardown),
		cmocka_unit_test(test_longest_labels),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_bucket_edges),
		cmocka_unit_test_setup_teardown(test_owners_add_up, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone_leaves, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unknown_disappears, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dropped_tier, setup, teardown),
		cmocka_unit_test_setup_teardown(test_peak_over_a_gap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_redundant_never_shrinks, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reload_adds, setup, teardown),
		cmocka_unit_test_setup_teardown(test_labels_change, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_are_folded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_a_day_of_churn, setup, teardown),
		cmocka_unit_test_setup_teardown(test_last_migration, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_rate_inside_a_round, setup, teardown),
		cmocka_unit_test_setup_teardown(test_downtime, setup, teardown),
		cmocka_unit_test_setup_teardown(test_devices_of_a_hwpt, setup, teardown),
	};

	setlocale(LC_CTYPE, "");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
