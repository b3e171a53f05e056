// SPDX-License-Identifier: GPL-2.0-only
/* Whether a migration comes to its end, from the reports of its devices to every view. */
#include <string.h>

#include "convergence.h"
#include "fixture.h"
#include "json.h"
#include "plain.h"
#include "rounds.h"
#include "summary.h"

#define PAGE		4096ULL
#define MIB		(1ULL << 20)
#define MAX_EVENTS	4096

/* Reports of a made-up migration; a round is two sections, the second one has the dirt. */
static struct iovab_report_event events[MAX_EVENTS];
static size_t n_events;

static void add_round(__u32 source, double second, __u64 dirty_bytes, __u8 phase)
{
	int section;

	for (section = 0; section < 2; section++) {
		assert_true(n_events < MAX_EVENTS);
		events[n_events++] = (struct iovab_report_event){
			.kind = IOVAB_EVENT_REPORT,
			.source_id = source,
			.start_ns = (__u64)(second * 1e9) + section * 1000000,
			.end_ns = (__u64)(second * 1e9) + section * 1000000 + 500000,
			.iova = section * GIB,
			.length = GIB,
			.page_size = PAGE,
			.dirty_pages = section ? dirty_bytes / PAGE : 0,
			.phase = phase,
		};
	}
}

static int new_events(void **state)
{
	n_events = 0;
	return 0;
}

static void take(struct rounds *r, size_t from, enum iovab_tier tier)
{
	size_t i;

	for (i = from; i < n_events; i++)
		assert_int_equal(rounds__add(r, &events[i], tier), 0);
	rounds__settle(r);
}

/* All events so far, as one device's, judged alone. */
static struct iovab_migration judged_alone(enum iovab_tier tier)
{
	struct rounds r = {};
	struct convergence_member member = { .pid = 1 };
	struct iovab_migration m;

	take(&r, 0, tier);
	assert_true(r.n_migrations > 0);
	member.migration = &r.migrations[r.n_migrations - 1];
	convergence__judge(&member, 1);
	m = *member.migration;
	rounds__free(&r);
	return m;
}

static void assert_near(struct iovab_ratio r, double v)
{
	assert_int_equal(r.state, IOVAB_VALUE_KNOWN);
	assert_true(r.v > v * 0.999 && r.v < v * 1.001);
}

/* --- one device --- */

static void a_rate_that_is_steady_may_converge(void **state)
{
	double second = 10, length = 4;
	int i;

	/* 8 MiB/s all the time, and each round takes half as long as the one before */
	add_round(1, second, 100 * MIB, IOVAB_PHASE_PRECOPY);
	for (i = 0; i < 6; i++, length /= 2) {
		second += length;
		add_round(1, second, (__u64)(length * 8 * (double)MIB), IOVAB_PHASE_PRECOPY);
	}
	assert_int_equal(judged_alone(IOVAB_TIER_DENSITY).verdict, IOVAB_VERDICT_CONVERGES);
	assert_int_equal(judged_alone(IOVAB_TIER_DENSITY).trend, ROUNDS_FALLING);
	assert_near(judged_alone(IOVAB_TIER_DENSITY).needed_per_s, 8.0 * (double)MIB);
}

static void rounds_that_do_not_fall_are_stuck(void **state)
{
	struct iovab_migration m;
	int i;

	for (i = 0; i < 4; i++)
		add_round(1, 10 + 2 * i, 12 * MIB, IOVAB_PHASE_PRECOPY);
	/* the first one does not count, so that makes three */
	m = judged_alone(IOVAB_TIER_DENSITY);
	assert_int_equal(m.verdict, IOVAB_VERDICT_EARLY);
	assert_int_equal(m.stuck_rounds, 0);

	for (; i < 9; i++)
		add_round(1, 10 + 2 * i, 12 * MIB, IOVAB_PHASE_PRECOPY);
	m = judged_alone(IOVAB_TIER_DENSITY);
	assert_int_equal(m.verdict, IOVAB_VERDICT_STUCK);
	assert_true(m.hinders);
	assert_int_equal(m.judged, ROUNDS_JUDGED);
	assert_near(m.needed_per_s, 6.0 * (double)MIB);
	assert_near(m.all_late_bytes, 12.0 * (double)MIB);
	assert_near(m.round_s, 2);
	assert_near(m.share, 1);
}

static void rising_is_stuck_too(void **state)
{
	int i;

	for (i = 0; i < 9; i++)
		add_round(1, 10 + 2 * i, (1 + (__u64)i) * MIB, IOVAB_PHASE_PRECOPY);
	assert_int_equal(judged_alone(IOVAB_TIER_DENSITY).trend, ROUNDS_RISING);
	assert_int_equal(judged_alone(IOVAB_TIER_DENSITY).verdict, IOVAB_VERDICT_STUCK);
}

static void a_device_at_rest_is_in_nobodys_way(void **state)
{
	struct iovab_migration m;
	int i;

	for (i = 0; i < 9; i++)
		add_round(1, 10 + 2 * i, 0, IOVAB_PHASE_PRECOPY);
	m = judged_alone(IOVAB_TIER_DENSITY);
	assert_int_equal(m.verdict, IOVAB_VERDICT_CONVERGES);
	assert_int_equal(m.stuck_rounds, 0);
	assert_false(m.hinders);
}

static void a_round_that_goes_on_is_not_judged(void **state)
{
	struct iovab_migration m;
	int i;

	for (i = 0; i < 5; i++)
		add_round(1, 10 + 2 * i, 12 * MIB, IOVAB_PHASE_PRECOPY);
	add_round(1, 20, 12 * MIB, IOVAB_PHASE_PRECOPY);
	n_events--;	/* what is dirty has not been reported yet */
	m = judged_alone(IOVAB_TIER_DENSITY);
	assert_int_equal(m.n, 6);
	assert_int_equal(m.judged, 4);
	assert_int_equal(m.verdict, IOVAB_VERDICT_STUCK);
	assert_near(m.late_bytes, 12.0 * (double)MIB);
}

static void the_end_is_told_and_what_was_before(void **state)
{
	struct iovab_migration m;
	int i;

	for (i = 0; i < 9; i++)
		add_round(1, 10 + 2 * i, 12 * MIB, IOVAB_PHASE_PRECOPY);
	/* the link was made wider */
	add_round(1, 26.5, 3 * MIB, IOVAB_PHASE_PRECOPY);
	add_round(1, 26.6, MIB, IOVAB_PHASE_STOP_COPY);
	m = judged_alone(IOVAB_TIER_DENSITY);
	assert_int_equal(m.verdict, IOVAB_VERDICT_ENDED);
	assert_int_equal(m.n, 11);
	assert_int_equal(m.stuck_rounds, 5);
	assert_near(m.stuck_per_s, 6.0 * (double)MIB);
	assert_int_equal(m.stop.dirty_bytes.v, MIB);
}

static void where_no_phase_is_known_no_end_is_claimed(void **state)
{
	int i;

	for (i = 0; i < 9; i++)
		add_round(1, 10 + 2 * i, 12 * MIB, IOVAB_PHASE_UNKNOWN);
	assert_int_equal(judged_alone(IOVAB_TIER_DENSITY).verdict, IOVAB_VERDICT_STUCK);
	assert_false(judged_alone(IOVAB_TIER_DENSITY).stop_known);
}

static void missing_reports_make_it_unknown(void **state)
{
	struct convergence_member member = { .pid = 1 };
	struct rounds r = { .keep_last = true };
	size_t before;
	int i;

	for (i = 0; i < 9; i++)
		add_round(1, 10 + 2 * i, 12 * MIB, IOVAB_PHASE_PRECOPY);
	rounds__expect(&r, n_events, n_events, true);
	take(&r, 0, IOVAB_TIER_DENSITY);
	member.migration = r.migrations;
	convergence__judge(&member, 1);
	assert_int_equal(r.migrations[0].verdict, IOVAB_VERDICT_STUCK);

	/* counted, and not told of yet: that may still come */
	rounds__expect(&r, 0, n_events + 2, true);
	rounds__settle(&r);
	convergence__judge(&member, 1);
	assert_int_equal(r.migrations[0].verdict, IOVAB_VERDICT_STUCK);
	rounds__expect(&r, 0, n_events + 2, true);
	rounds__settle(&r);
	convergence__judge(&member, 1);
	assert_int_equal(r.migrations[0].verdict, IOVAB_VERDICT_UNKNOWN);

	/* the rounds that came after it are all there */
	before = n_events + 2;
	n_events = 0;
	for (i = 0; i < 7; i++)
		add_round(1, 40 + 2 * i, 12 * MIB, IOVAB_PHASE_PRECOPY);
	rounds__expect(&r, n_events, before + n_events, true);
	take(&r, 0, IOVAB_TIER_DENSITY);
	convergence__judge(&member, 1);
	assert_int_equal(r.migrations[0].verdict, IOVAB_VERDICT_STUCK);
	assert_int_equal(r.migrations[0].n, 16);
	rounds__free(&r);
}

static void a_lower_tier_does_not_measure_it(void **state)
{
	int i;

	for (i = 0; i < 9; i++)
		add_round(1, 10 + 2 * i, 0, IOVAB_PHASE_PRECOPY);
	assert_int_equal(judged_alone(IOVAB_TIER_WINDOWS).verdict, IOVAB_VERDICT_NOT_MEASURED);
}

/* A client that gives up and tries again starts the logging anew. */
static void a_start_of_the_logging_begins_a_migration(void **state)
{
	struct rounds r = {};
	size_t i;

	for (i = 0; i < 6; i++)
		add_round(1, 10 + 2 * (double)i, 12 * MIB, IOVAB_PHASE_PRECOPY);
	/* however long that takes, a start later it is another one; and no pause ends one */
	add_round(1, 21, 12 * MIB, IOVAB_PHASE_PRECOPY);
	add_round(1, 2100, 12 * MIB, IOVAB_PHASE_PRECOPY);
	for (i = 0; i < n_events; i++)
		events[i].logging = i < 12 ? 7 : 9;
	take(&r, 0, IOVAB_TIER_DENSITY);
	assert_int_equal(r.n_migrations, 2);
	assert_int_equal(r.migrations[0].n, 6);
	assert_int_equal(r.migrations[1].n, 2);
	rounds__free(&r);
}

/* Who lists no round keeps few, and comes to the same verdict at each of them. */
static void few_rounds_tell_what_all_do(void **state)
{
	struct rounds all = {}, last = { .keep_last = true };
	struct iovab_migration *a, *b;
	__u64 second = 10;
	int i, stops = 0;
	size_t from;

	for (i = 0; i < 1000; i++) {
		__u64 random = fixture__random();

		n_events = from = 0;
		second += random % 200 == 1 ? 600 : 1 + random % 3;
		if (!stops-- && random % 16 == 2)
			stops = 1 + (int)(random / 16 % 20);
		stops = stops < 0 ? 0 : stops;
		add_round(1, (double)second, (random / 7 % 64) * MIB,
			  stops ? IOVAB_PHASE_STOP_COPY : IOVAB_PHASE_PRECOPY);
		take(&all, from, IOVAB_TIER_DENSITY);
		take(&last, from, IOVAB_TIER_DENSITY);
		assert_in_range(last.n, 1, 2 * ROUNDS_JUDGED);
		assert_int_equal(last.n_migrations, 1);
		a = &all.migrations[all.n_migrations - 1];
		b = &last.migrations[0];
		assert_int_equal(a->n, b->n);
		assert_int_equal(a->judged, b->judged);
		assert_int_equal(a->trend, b->trend);
		assert_int_equal(a->stuck_rounds, b->stuck_rounds);
		assert_memory_equal(&a->early_bytes, &b->early_bytes, sizeof(a->early_bytes));
		assert_memory_equal(&a->late_per_s, &b->late_per_s, sizeof(a->late_per_s));
		assert_memory_equal(&a->needed_per_s, &b->needed_per_s, sizeof(a->needed_per_s));
		assert_memory_equal(&a->stuck_per_s, &b->stuck_per_s, sizeof(a->stuck_per_s));
		assert_int_equal(a->has_stop, b->has_stop);
	}
	assert_true(all.n_migrations > 20);
	assert_int_equal(all.n, 1000);
	rounds__free(&all);
	rounds__free(&last);
}

/* --- devices that migrate together --- */

static struct iovab_migration made_up(double start_s, double end_s, double bytes, double per_s)
{
	struct iovab_ratio b = { IOVAB_VALUE_KNOWN, bytes }, r = { IOVAB_VALUE_KNOWN, per_s };

	return (struct iovab_migration){
		.n = 9, .kept = 9, .judged = 6, .start_ns = (__u64)(start_s * 1e9),
		.end_ns = (__u64)(end_s * 1e9), .early_bytes = b, .late_bytes = b, .needed_per_s = r,
	};
}

static void those_that_dirty_most_are_named(void **state)
{
	struct iovab_migration hot = made_up(10, 20, 90, 9), cold = made_up(10.1, 20, 10, 0.5);
	struct iovab_migration other = made_up(10, 20, 7, 7), later = made_up(30, 40, 5, 5);
	struct convergence_member members[] = {
		{ 5, &later }, { 5, &cold }, { 6, &other }, { 5, &hot },
	};

	convergence__judge(members, 4);
	assert_int_equal(hot.verdict, IOVAB_VERDICT_STUCK);
	assert_int_equal(cold.verdict, IOVAB_VERDICT_STUCK);
	assert_true(hot.hinders);
	assert_false(cold.hinders);
	assert_int_equal(hot.devices, 2);
	assert_int_equal(hot.all_start_ns, cold.all_start_ns);
	assert_near(cold.all_late_bytes, 100);
	assert_near(cold.all_needed_per_s, 9.5);
	assert_near(cold.share, 0.5 / 9.5);
	/* another owner, and another time */
	assert_int_equal(other.devices, 1);
	assert_int_equal(later.devices, 1);
	assert_true(other.hinders && later.hinders);
}

static void as_many_are_named_as_it_takes(void **state)
{
	struct iovab_migration m[4] = { made_up(1, 9, 40, 40), made_up(1, 9, 40, 40),
					made_up(1, 9, 19, 19), made_up(1, 9, 1, 1) };
	struct convergence_member members[] = { { 5, &m[0] }, { 5, &m[1] }, { 5, &m[2] }, { 5, &m[3] } };

	convergence__judge(members, 4);
	assert_true(m[0].hinders && m[1].hinders && m[2].hinders);
	assert_false(m[3].hinders);
}

static void what_falls_together_converges(void **state)
{
	struct iovab_migration hot = made_up(10, 20, 90, 9), cold = made_up(10, 20, 10, 1);
	struct convergence_member members[] = { { 5, &cold }, { 5, &hot } };

	hot.early_bytes.v = 200;
	convergence__judge(members, 2);
	assert_int_equal(hot.verdict, IOVAB_VERDICT_CONVERGES);
	/* by itself it is steady, in rounds that get shorter for another's sake */
	assert_int_equal(cold.verdict, IOVAB_VERDICT_CONVERGES);
}

static void one_unknown_makes_all_unknown(void **state)
{
	struct iovab_migration a = made_up(10, 20, 90, 9), b = made_up(10, 20, 10, 1);
	struct convergence_member members[] = { { 5, &a }, { 5, &b } };

	b.late_bytes.state = IOVAB_VALUE_UNKNOWN;
	convergence__judge(members, 2);
	assert_int_equal(a.verdict, IOVAB_VERDICT_UNKNOWN);
	assert_int_equal(a.all_late_bytes.state, IOVAB_VALUE_UNKNOWN);
}

/* --- views --- */

/* Two devices of web-2, of which one is hot, and one of web-3; @rounds of them. */
static void make_facts(struct fixture *f, int rounds)
{
	struct iovab_source_fact *hot, *cold, *other;
	int i;

	fixture__init(f, IOVAB_TIER_DENSITY);
	cold = fixture__source(f, 2, "cold");
	other = fixture__source(f, 3, "other");
	hot = fixture__source(f, 1, "hot");
	hot->key.pid = cold->key.pid;
	memcpy(hot->vm, cold->vm, sizeof(hot->vm));
	for (i = 0; i < rounds; i++) {
		add_round(1, 70 + 2 * i, 12 * MIB, IOVAB_PHASE_PRECOPY);
		add_round(2, 70.1 + 2 * i, MIB / 4, IOVAB_PHASE_PRECOPY);
		add_round(3, 70.2 + 2 * i, 64 * MIB >> i, IOVAB_PHASE_PRECOPY);
	}
	hot->counters.reports = cold->counters.reports = other->counters.reports = 2 * rounds;
	f->facts.reports = events;
	f->facts.n_reports = n_events;
}

static char *text_of(int (*write)(FILE *out, const struct iovab_snapshot *s),
		     const struct iovab_snapshot *s)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	assert_int_equal(write(out, s), 0);
	assert_int_equal(fclose(out), 0);
	return text;
}

static int write_plain(FILE *out, const struct iovab_snapshot *s)
{
	const struct plain_options o = { .width = 100, .charset = TEXT_UTF8 };

	return plain__write(out, s, &o);
}

static int write_summary(FILE *out, const struct iovab_snapshot *s)
{
	return summary__write(out, s, 80, TEXT_UTF8);
}

static void every_view_names_it(void **state)
{
	struct model *m = model__new();
	const struct iovab_snapshot *s;
	struct fixture f;
	char *text;

	make_facts(&f, 8);
	model__set_bandwidth(m, 20 * MIB);
	s = fixture__update(m, &f);
	assert_int_equal(fixture__row(s, "hot")->migration.verdict, IOVAB_VERDICT_STUCK);
	assert_true(fixture__row(s, "hot")->migration.hinders);
	assert_false(fixture__row(s, "cold")->migration.hinders);
	assert_int_equal(fixture__row(s, "other")->migration.verdict, IOVAB_VERDICT_CONVERGES);

	text = text_of(write_plain, s);
	fixture__golden("plain-stuck-100.txt", text);
	free(text);
	text = text_of(write_summary, s);
	fixture__golden("summary-stuck.txt", text);
	free(text);
	text = text_of(json__write, s);
	fixture__golden("json-stuck.ndjson", text);
	free(text);
	model__free(m);
}

static void a_lower_tier_has_no_migrations(void **state)
{
	struct model *m = model__new();
	struct fixture f;

	make_facts(&f, 8);
	f.facts.tier = IOVAB_TIER_WINDOWS;
	assert_int_equal(fixture__row(fixture__update(m, &f), "hot")->migration.n, 0);
	model__free(m);
}

/* A migration that was named stays so while nothing is reported. */
static void it_stays_while_nothing_comes(void **state)
{
	struct model *m = model__new();
	const struct iovab_snapshot *s;
	struct fixture f;

	make_facts(&f, 8);
	fixture__update(m, &f);
	f.facts.n_reports = 0;
	fixture__pass(&f, SECOND_NS);
	s = fixture__update(m, &f);
	assert_int_equal(fixture__row(s, "hot")->migration.verdict, IOVAB_VERDICT_STUCK);
	/* two reports were counted that nobody told of, not even a moment later */
	f.sources[2].counters.reports += 2;
	fixture__pass(&f, SECOND_NS);
	s = fixture__update(m, &f);
	assert_int_equal(fixture__row(s, "hot")->migration.verdict, IOVAB_VERDICT_STUCK);
	fixture__pass(&f, SECOND_NS);
	s = fixture__update(m, &f);
	assert_int_equal(fixture__row(s, "hot")->migration.verdict, IOVAB_VERDICT_UNKNOWN);
	model__free(m);
}

/* Out of memory at any point: an update may fail, but no verdict is ever wrong. */
static void no_memory_claims_nothing(void **state)
{
	unsigned int nth;

	for (nth = 1; nth < 40; nth++) {
		struct model *m = model__new();
		const struct iovab_snapshot *s;
		struct fixture f;

		n_events = 0;
		make_facts(&f, 8);
		fixture__fail_alloc(nth);
		s = model__update(m, &f.facts);
		fixture__fail_alloc(0);
		if (s) {
			enum iovab_verdict v = fixture__row(s, "other")->migration.verdict;

			assert_true(v == IOVAB_VERDICT_CONVERGES || v == IOVAB_VERDICT_UNKNOWN ||
				    v == IOVAB_VERDICT_EARLY || v == IOVAB_VERDICT_NOT_MEASURED);
		}
		model__free(m);
	}
}

#define TEST(name) cmocka_unit_test_setup(name, new_events)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_rate_that_is_steady_may_converge),
		TEST(rounds_that_do_not_fall_are_stuck),
		TEST(rising_is_stuck_too),
		TEST(a_device_at_rest_is_in_nobodys_way),
		TEST(a_round_that_goes_on_is_not_judged),
		TEST(the_end_is_told_and_what_was_before),
		TEST(where_no_phase_is_known_no_end_is_claimed),
		TEST(missing_reports_make_it_unknown),
		TEST(a_lower_tier_does_not_measure_it),
		TEST(a_start_of_the_logging_begins_a_migration),
		TEST(few_rounds_tell_what_all_do),
		TEST(those_that_dirty_most_are_named),
		TEST(as_many_are_named_as_it_takes),
		TEST(what_falls_together_converges),
		TEST(one_unknown_makes_all_unknown),
		TEST(every_view_names_it),
		TEST(a_lower_tier_has_no_migrations),
		TEST(it_stays_while_nothing_comes),
		TEST(no_memory_claims_nothing),
	};

	return cmocka_run_group_tests_name("convergence", tests, NULL, NULL);
}
