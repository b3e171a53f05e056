// SPDX-License-Identifier: GPL-2.0-only
/* Facts into a recording and out of it again: what went in comes out. */
#include <jansson.h>
#include <locale.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fixture.h"
#include "follow.h"
#include "json.h"
#include "pack.h"
#include "recorder.h"
#include "replay.h"
#include "scene.h"
#include "study.h"
#include "study_json.h"
#include "study_text.h"
#include "tables.h"

static char folder[] = P_tmpdir "/iovab-unit-XXXXXX";
static char path[64];

static int make_folder(void **state)
{
	setlocale(LC_CTYPE, "");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	return rmdir(folder);
}

static int new_path(void **state)
{
	snprintf(path, sizeof(path), "%s/recording", folder);
	return 0;
}

static int remove_file(void **state)
{
	char wal[80];

	unlink(path);
	snprintf(wal, sizeof(wal), "%s-wal", path);
	unlink(wal);
	snprintf(wal, sizeof(wal), "%s-shm", path);
	unlink(wal);
	return 0;
}

static struct recorder *new_recorder(__u64 max_bytes)
{
	struct recorder_options o = { .path = path, .max_bytes = max_bytes, .command = "cmd" };
	struct iovab_error e = {};
	struct recorder *r = recorder__new(&o, &e);

	if (!r)
		fail_msg("%s", e.text);
	return r;
}

static void write_facts(struct recorder *r, const struct iovab_facts *f)
{
	struct iovab_error e = {};

	if (recorder__write(r, f, &e))
		fail_msg("%s", e.text);
}

static void end_recorder(struct recorder *r)
{
	struct iovab_error e = {};

	if (recorder__end(r, &e))
		fail_msg("%s", e.text);
}

static struct replay *open_replay(void)
{
	struct iovab_error e = {};
	struct replay *r = replay__open(path, &e);

	if (!r)
		fail_msg("%s", e.text);
	return r;
}

static const struct iovab_facts *next_facts(struct replay *r)
{
	struct iovab_error e = {};
	const struct iovab_facts *f = replay__next(r, &e);

	if (!f)
		fail_msg("no facts: %s", e.text);
	return f;
}

static void run_sql(const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, NULL))
		fail_msg("%s: %s", sql, sqlite3_errmsg(db));
	sqlite3_close(db);
}

/* --- packed counts --- */

static void counts_survive_packing(void **state)
{
	unsigned char blob[PACK_MAX(IOVAB_HIST_BUCKETS)];
	__u64 in[IOVAB_HIST_BUCKETS], out[IOVAB_HIST_BUCKETS];
	size_t size, i, round;

	for (round = 0; round < 200; round++) {
		for (i = 0; i < IOVAB_HIST_BUCKETS; i++)
			in[i] = fixture__random() % 3 ? 0 : fixture__random() >> (fixture__random() % 64);
		in[7] = ~0ULL;
		size = pack__u64(blob, in, IOVAB_HIST_BUCKETS);
		assert_int_equal(unpack__u64(out, IOVAB_HIST_BUCKETS, blob, size), 0);
		assert_memory_equal(in, out, sizeof(in));
	}
	memset(in, 0, sizeof(in));
	assert_int_equal(pack__u64(blob, in, IOVAB_HIST_BUCKETS), 0);
}

static void wrong_blobs_are_refused(void **state)
{
	static const unsigned char too_many[] = { 1, 2, 3 }, cut_off[] = { 1, 0x80 };
	static const unsigned char too_large[] = { 0xff, 0xff, 0xff, 0xff, 0xff,
						   0xff, 0xff, 0xff, 0xff, 0x02 };
	static const unsigned char above_u32[] = { 0xff, 0xff, 0xff, 0xff, 0x7f };
	__u64 wide[2];
	__u32 narrow[2];

	assert_int_not_equal(unpack__u64(wide, 2, too_many, sizeof(too_many)), 0);
	assert_int_not_equal(unpack__u64(wide, 2, cut_off, sizeof(cut_off)), 0);
	assert_int_not_equal(unpack__u64(wide, 2, too_large, sizeof(too_large)), 0);
	assert_int_not_equal(unpack__u32(narrow, 2, above_u32, sizeof(above_u32)), 0);
	assert_int_equal(unpack__u64(wide, 2, too_many, 2), 0);
	assert_int_equal(wide[1], 2);
}

/* --- facts --- */

static void same_sources(const struct iovab_facts *in, const struct iovab_facts *out)
{
	size_t i;

	assert_int_equal(in->n_sources, out->n_sources);
	for (i = 0; i < in->n_sources; i++) {
		struct iovab_source_fact a = in->sources[i], b = out->sources[i];

		/* these only tell whether a copy is whole */
		a.counters.folds_begun = a.counters.folds_done = 0;
		b.counters.folds_begun = b.counters.folds_done = 0;
		assert_memory_equal(&a.key, &b.key, sizeof(a.key));
		assert_memory_equal(&a.counters, &b.counters, sizeof(a.counters));
		assert_memory_equal(a.vm, b.vm, sizeof(a.vm));
		assert_int_equal(!a.hwpt, !b.hwpt);
		if (a.hwpt)
			assert_memory_equal(a.hwpt, b.hwpt, sizeof(*a.hwpt));
		assert_int_equal(a.owner_gone, b.owner_gone);
	}
}

static void same_array(const void *in, size_t n_in, const void *out, size_t n_out, size_t size)
{
	assert_int_equal(n_in, n_out);
	if (n_in)
		assert_memory_equal(in, out, n_in * size);
}

static void same_chunks(const struct iovab_facts *in, const struct iovab_facts *out)
{
	size_t i;

	assert_int_equal(in->n_chunks, out->n_chunks);
	for (i = 0; i < in->n_chunks; i++) {
		struct iovab_chunk_fact a = in->chunks[i], b = out->chunks[i];

		same_array(a.data, a.size, b.data, b.size, 1);
		a.data = b.data = NULL;
		assert_memory_equal(&a, &b, sizeof(a));
	}
}

static void same_facts(const struct iovab_facts *in, const struct iovab_facts *out)
{
	assert_int_equal(in->time_ns, out->time_ns);
	assert_int_equal(in->wall.tv_sec, out->wall.tv_sec);
	assert_int_equal(in->wall.tv_nsec, out->wall.tv_nsec);
	assert_int_equal(in->state, out->state);
	assert_int_equal(in->tier, out->tier);
	assert_string_equal(in->generation ? in->generation : "", out->generation ? out->generation : "");
	assert_memory_equal(&in->losses, &out->losses, sizeof(in->losses));
	assert_int_equal(in->cost.collector_cpu_ns, out->cost.collector_cpu_ns);
	assert_int_equal(in->cost.bpf_known, out->cost.bpf_known);
	assert_int_equal(in->cost.bpf_run_ns, out->cost.bpf_run_ns);
	assert_int_equal(in->cost.bpf_sampled_ns, out->cost.bpf_sampled_ns);
	assert_int_equal(in->cost.bpf_runs, out->cost.bpf_runs);
	assert_memory_equal(&in->budget, &out->budget, sizeof(in->budget));
	same_sources(in, out);
	same_array(in->live, in->n_live, out->live, out->n_live, sizeof(*in->live));
	same_array(in->windows, in->n_windows, out->windows, out->n_windows, sizeof(*in->windows));
	same_array(in->reports, in->n_reports, out->reports, out->n_reports, sizeof(*in->reports));
	same_chunks(in, out);
}

static struct scene *new_scene(const struct scene_options *o)
{
	struct scene *s = scene__new(o);

	assert_non_null(s);
	return s;
}

static void facts_come_out_as_they_went_in(void **state)
{
	enum iovab_tier tier;

	for (tier = IOVAB_TIER_WINDOWS; tier <= IOVAB_TIER_SETS; tier++) {
		struct scene_options o = { 9, 5, tier, .marks = true, .hostile = true, .lossy = true };
		struct scene *scene = new_scene(&o), *again = new_scene(&o);
		struct recorder *r = new_recorder(0);
		const struct iovab_facts *f;
		struct replay *replay;
		struct iovab_error e = {};

		while ((f = scene__next(scene)))
			write_facts(r, f);
		end_recorder(r);
		replay = open_replay();
		replay__want_marks(replay);
		while ((f = scene__next(again)))
			same_facts(f, next_facts(replay));
		assert_null(replay__next(replay, &e));
		assert_int_equal(e.code, 0);
		assert_true(replay__about(replay)->ended);
		assert_string_equal(replay__about(replay)->command, "cmd");
		replay__close(replay);
		scene__free(scene);
		scene__free(again);
		remove_file(NULL);
	}
}

/* Every field at its extremes, and sources that come, go and come back under the same id. */
static void extremes_survive(void **state)
{
	static struct fixture fx;
	struct recorder *r = new_recorder(0);
	struct iovab_source_fact *s;
	struct iovab_report_event report = { .kind = IOVAB_EVENT_REPORT };
	struct replay *replay;
	struct fixture kept[4];
	int i;

	memset((char *)&report + 4, 0xff, sizeof(report) - 4);
	fixture__init(&fx, IOVAB_TIER_SETS);
	fx.facts.reports = &report;
	fx.facts.n_reports = 1;
	for (i = 0; i < 4; i++) {
		fx.facts.n_sources = 0;
		s = fixture__source(&fx, 7, i < 2 ? "0000:3b:00.2" : "0000:3b:00.3");
		memset(&s->counters.last_iova, 0xff,
		       offsetof(struct iovab_source, folds_begun) -
		       offsetof(struct iovab_source, last_iova));
		memset(s->vm, 'x', sizeof(s->vm));
		s->owner_gone = i == 1;
		if (i == 3)
			fx.facts.n_sources = 0;
		memset(&fx.facts.losses, i, sizeof(fx.facts.losses));
		memset(&fx.facts.budget, 0xff - i, sizeof(fx.facts.budget));
		fx.facts.budget.tier = i;
		fx.facts.cost.bpf_runs = ~0ULL;
		kept[i] = fx;
		kept[i].facts.sources = kept[i].sources;
		write_facts(r, &fx.facts);
		fixture__pass(&fx, 1);
	}
	end_recorder(r);
	replay = open_replay();
	for (i = 0; i < 4; i++)
		same_facts(&kept[i].facts, next_facts(replay));
	replay__close(replay);
}

/* The devices of an HWPT: unknown, none, some, other ones, more than are named, unknown again. */
static void devices_of_an_hwpt_survive(void **state)
{
	static const __u32 attached[] = { ~0U, 0, 3, 2, 40, ~0U, 1 };
	static struct fixture fx;
	struct recorder *r = new_recorder(0);
	struct iovab_hwpt hwpts[7] = {};
	struct replay *replay;
	size_t i, j;

	fixture__init(&fx, IOVAB_TIER_WINDOWS);
	fixture__source(&fx, 1, "")->key.hwpt = 3;
	fx.sources[0].key.context = ~0ULL;
	for (i = 0; i < 7; i++) {
		hwpts[i].attached = attached[i];
		hwpts[i].unknown = i == 4;
		for (j = 0; j < attached[i] && j < IOVAB_HWPT_DEVICES; j++) {
			snprintf(hwpts[i].named[j].device, IOVAB_DEVICE_LEN, "device %zu.%zu", i, j);
			snprintf(hwpts[i].named[j].driver, IOVAB_DRIVER_LEN, "driver %zu", j);
		}
		fx.sources[0].hwpt = attached[i] == ~0U ? NULL : &hwpts[i];
		write_facts(r, &fx.facts);
		fixture__pass(&fx, 1);
	}
	end_recorder(r);
	replay = open_replay();
	for (i = 0; i < 7; i++) {
		const struct iovab_facts *out = next_facts(replay);

		fx.sources[0].hwpt = attached[i] == ~0U ? NULL : &hwpts[i];
		same_sources(&fx.facts, out);
	}
	replay__close(replay);
}

/* The live view's JSON of the same facts, byte by byte. */
static char *json_of(struct model *m, const struct iovab_facts *f)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	assert_int_equal(json__write(out, model__update(m, f)), 0);
	fclose(out);
	return text;
}

static void views_cannot_tell_a_replay(void **state)
{
	struct scene_options o = { 5, 6, IOVAB_TIER_SETS, .lossy = true };
	struct scene *scene = new_scene(&o);
	struct model *live = model__new(), *replayed = model__new();
	struct recorder *r = new_recorder(0);
	char *lines[16] = {};
	const struct iovab_facts *f;
	struct replay *replay;
	size_t n = 0, i;

	while ((f = scene__next(scene))) {
		write_facts(r, f);
		lines[n++] = json_of(live, f);
	}
	end_recorder(r);
	replay = open_replay();
	for (i = 0; i < n; i++) {
		char *text = json_of(replayed, next_facts(replay));

		assert_string_equal(text, lines[i]);
		free(text);
		free(lines[i]);
	}
	replay__close(replay);
	model__free(live);
	model__free(replayed);
	scene__free(scene);
}

/* --- the size --- */

static void size_is_bounded_and_totals_stay(void **state)
{
	struct scene_options o = { .devices = 60, .rounds = 400, .tier = IOVAB_TIER_SETS };
	struct scene *scene = new_scene(&o), *again = new_scene(&o);
	struct recorder *r = new_recorder(RECORDER_MIN_SIZE);
	struct model *live = model__new(), *replayed = model__new();
	const struct iovab_snapshot *a = NULL, *b = NULL;
	const struct iovab_facts *f;
	struct replay *replay;
	struct iovab_error e = {};
	size_t i;

	while ((f = scene__next(scene))) {
		write_facts(r, f);
		assert_true(recorder__state(r)->bytes <= RECORDER_MIN_SIZE);
	}
	assert_int_equal(recorder__state(r)->moments_failed, 0);
	assert_true(recorder__state(r)->pruned.events > 0);
	end_recorder(r);
	replay = open_replay();
	assert_true(replay__about(replay)->events_pruned > 0);
	while ((f = scene__next(again)))
		a = model__update(live, f);
	while ((f = replay__next(replay, &e)))
		b = model__update(replayed, f);
	assert_int_equal(e.code, 0);
	assert_int_equal(a->n_rows, b->n_rows);
	for (i = 0; i < a->n_rows; i++)
		assert_memory_equal(&a->rows[i].total, &b->rows[i].total, sizeof(a->rows[i].total));
	replay__close(replay);
	model__free(live);
	model__free(replayed);
	scene__free(scene);
	scene__free(again);
}

/* What the log beside the file takes. */
static __u64 log_bytes(void)
{
	char wal[80];
	struct stat st;

	snprintf(wal, sizeof(wal), "%s-wal", path);
	return stat(wal, &st) ? 0 : (__u64)st.st_size;
}

/* Many marks: the oldest of them go, and no window, no report and no moment. */
static void marks_go_first(void **state)
{
	struct scene_options o = { 10, 40, IOVAB_TIER_SETS, .marks = true };
	const struct policy_options policy = { IOVAB_POLICY_CACHED, 16 };
	struct scene *scene = new_scene(&o);
	struct recorder *r = new_recorder(RECORDER_MIN_SIZE);
	struct follow *follow = follow__new(&policy);
	const struct iovab_facts *f;
	const struct follow_row *rows;
	struct replay *replay;
	struct iovab_error e = {};
	__u64 marks = 0, left = 0;
	size_t n, i;

	while ((f = scene__next(scene))) {
		for (i = 0; i < f->n_chunks; i++)
			marks += f->chunks[i].marks;
		write_facts(r, f);
		assert_true(recorder__state(r)->bytes + log_bytes() <= RECORDER_MIN_SIZE);
	}
	assert_int_equal(recorder__state(r)->marks, marks);
	assert_int_equal(recorder__state(r)->moments_failed, 0);
	assert_int_equal(recorder__state(r)->pruned.events, 0);
	assert_true(recorder__state(r)->pruned.marks > 0);
	end_recorder(r);
	replay = open_replay();
	replay__want_marks(replay);
	while ((f = replay__next(replay, &e))) {
		for (i = 0; i < f->n_chunks; i++)
			left += f->chunks[i].marks;
		assert_int_equal(follow__add(follow, f, &e), 0);
	}
	assert_int_equal(replay__about(replay)->marks_pruned + left, marks);
	rows = follow__rows(follow, &n);
	assert_int_equal(n, 10);
	for (i = 0; i < n; i++) {
		assert_int_equal(rows[i].followed + rows[i].incomplete, 80);
		assert_true(rows[i].incomplete > 0 && rows[i].followed > 0);
	}
	replay__close(replay);
	follow__free(follow);
	scene__free(scene);
}

/* No events to drop: moments go, and with them nothing that counts. One source left long before. */
static void moments_go_and_totals_stay(void **state)
{
	struct scene_options o = { .devices = 60, .rounds = 600, .tier = IOVAB_TIER_SETS };
	struct scene *scene = new_scene(&o);
	struct recorder *r = new_recorder(RECORDER_MIN_SIZE);
	struct model *live = model__new(), *replayed = model__new();
	const struct iovab_snapshot *a = NULL, *b = NULL;
	const struct iovab_facts *f;
	struct replay *replay;
	struct iovab_error e = {};
	size_t moments = 0, i;

	while ((f = scene__next(scene))) {
		struct iovab_facts plain = *f;

		plain.n_windows = plain.n_reports = 0;
		if (moments++ > 6)
			plain.n_sources = 59;
		plain.losses.joined_late = moments > 3;
		write_facts(r, &plain);
		a = model__update(live, &plain);
	}
	assert_int_equal(recorder__state(r)->moments_failed, 0);
	end_recorder(r);
	replay = open_replay();
	for (moments = 0; (f = replay__next(replay, &e)); moments++)
		b = model__update(replayed, f);
	assert_int_equal(e.code, 0);
	assert_true(moments > 8 && moments < 1000);
	assert_int_equal(a->n_rows, 60);
	assert_int_equal(b->n_rows, 60);
	for (i = 0; i < 60; i++) {
		assert_memory_equal(&a->rows[i].total, &b->rows[i].total, sizeof(a->rows[i].total));
		assert_int_equal(a->rows[i].stale, b->rows[i].stale);
	}
	assert_int_equal(b->events_lost, 1);
	replay__close(replay);
	model__free(live);
	model__free(replayed);
	scene__free(scene);
}

/* A moment that could not be written is made up for by the next one, though nothing changed since. */
static void a_moment_that_failed_is_made_up_for(void **state)
{
	static struct fixture fx;
	struct recorder *r = new_recorder(0);
	struct replay *replay;
	sqlite3 *other;

	fixture__init(&fx, IOVAB_TIER_SETS);
	fixture__report(fixture__source(&fx, 1, "first"), 4, 2, 1 << 20, 1000);
	write_facts(r, &fx.facts);
	assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	fixture__pass(&fx, SECOND_NS);
	fixture__report(&fx.sources[0], 4, 2, 1 << 20, 1000);
	fixture__report(fixture__source(&fx, 2, "second"), 4, 2, 1 << 20, 1000);
	fixture__window(&fx, 1, 0, GIB);
	fx.facts.losses.joined_late = 5;
	write_facts(r, &fx.facts);
	assert_int_equal(recorder__state(r)->moments_failed, 1);
	assert_int_equal(recorder__state(r)->events_failed, 1);
	sqlite3_close(other);
	fixture__pass(&fx, SECOND_NS);
	write_facts(r, &fx.facts);
	end_recorder(r);
	replay = open_replay();
	assert_int_equal(replay__about(replay)->moments_failed, 1);
	assert_int_equal(replay__about(replay)->events_failed, 1);
	next_facts(replay);
	same_facts(&fx.facts, next_facts(replay));
	replay__close(replay);
}

/* One that failed half way leaves no trace: what it had written is written again. */
static void a_write_that_failed_half_way_is_undone(void **state)
{
	static struct fixture fx;
	struct recorder *r = new_recorder(0);
	struct iovab_error e = {};
	struct replay *replay;

	fixture__init(&fx, IOVAB_TIER_SETS);
	fixture__report(fixture__source(&fx, 1, "first"), 4, 2, 1 << 20, 1000);
	fixture__source(&fx, 9, "leaves");
	write_facts(r, &fx.facts);
	run_sql("CREATE TRIGGER t BEFORE INSERT ON window BEGIN SELECT RAISE(ABORT, 'no'); END");
	fixture__pass(&fx, SECOND_NS);
	fx.facts.n_sources = 1;
	fixture__report(&fx.sources[0], 4, 2, 1 << 20, 1000);
	fixture__report(fixture__source(&fx, 2, "second"), 4, 2, 1 << 20, 1000);
	fx.facts.losses.joined_late = 5;
	fixture__window(&fx, 1, 0, GIB);
	assert_int_equal(recorder__write(r, &fx.facts, &e), -1);
	assert_non_null(strstr(e.text, "cannot write to"));
	run_sql("DROP TRIGGER t");
	write_facts(r, &fx.facts);
	end_recorder(r);
	replay = open_replay();
	next_facts(replay);
	same_facts(&fx.facts, next_facts(replay));
	replay__close(replay);
}

/* --- what is no recording --- */

static void refused(const char *part)
{
	struct iovab_error e = {};
	struct replay *r = replay__open(path, &e);

	if (r)
		replay__want_marks(r);
	while (r && replay__next(r, &e))
		;
	replay__close(r);
	assert_int_equal(e.code, IOVAB_EXIT_FAILURE);
	if (!strstr(e.text, part))
		fail_msg("expected '%s', got '%s'", part, e.text);
	assert_null(strchr(e.text, '\n'));
}

static void small_recording(void)
{
	struct scene_options o = { 2, 2, IOVAB_TIER_SETS, .marks = true };
	struct scene *scene = new_scene(&o);
	struct recorder *r = new_recorder(0);
	const struct iovab_facts *f;

	while ((f = scene__next(scene)))
		write_facts(r, f);
	end_recorder(r);
	scene__free(scene);
}

static void drop_newer_columns(void)
{
	static const char *const newer[][2] = {
		{ "report", "bitmap_offset" }, { "report", "cpu_page_size" }, { "report", "tier" },
		{ "report", "logging" },
		{ "moment", "bpf_runs" }, { "moment", "budget_ppm" }, { "moment", "share_ppm" },
		{ "moment", "tier_now" }, { "moment", "tier_drops" }, { "moment", "over_budget" },
		{ "counters", "below_density" }, { "counters", "below_sets" },
	};
	char sql[128];
	size_t i;

	for (i = 0; i < sizeof(newer) / sizeof(newer[0]); i++) {
		snprintf(sql, sizeof(sql), "ALTER TABLE %s DROP COLUMN %s", newer[i][0], newer[i][1]);
		run_sql(sql);
	}
}

/* As a program wrote it that knew of no marks. */
static void files_of_format_1_are_read(void **state)
{
	struct scene_options o = { 2, 2, IOVAB_TIER_SETS, .marks = true };
	struct scene *scene = new_scene(&o);
	const struct iovab_facts *f;
	struct replay *replay;
	struct iovab_report_event report;

	small_recording();
	drop_newer_columns();
	run_sql("DROP TABLE marks;"
		"DELETE FROM meta WHERE name LIKE 'marks%'; PRAGMA user_version=1");
	replay = open_replay();
	replay__want_marks(replay);
	while ((f = scene__next(scene))) {
		const struct iovab_facts *out = next_facts(replay);

		same_sources(f, out);
		assert_int_equal(out->n_chunks, 0);
		assert_int_equal(out->n_reports, f->n_reports);
		if (!f->n_reports)
			continue;
		report = f->reports[1];
		report.cpu_page_size = 0;
		report.bitmap_offset = 0;
		report.logging = 0;
		assert_memory_equal(&report, &out->reports[1], sizeof(report));
	}
	replay__close(replay);
	scene__free(scene);
}

static void hostile_files_are_refused(void **state)
{
	static const char *const cases[][2] = {
		{ "PRAGMA application_id=7", "does not say" },
		{ "PRAGMA user_version=3", "use a newer iovab" },
		{ "PRAGMA user_version=0", "its format is 0" },
		{ "DROP TABLE window", "no such table" },
		{ "ALTER TABLE report DROP COLUMN error", "no such column" },
		{ "DELETE FROM moment", "holds nothing" },
		{ "UPDATE moment SET tier=9", "impossible tier" },
		{ "UPDATE moment SET tier=-1", "impossible tier" },
		{ "UPDATE moment SET tier_now=4", "impossible tier in force" },
		{ "UPDATE moment SET wall_s=9223372036854775807", "impossible time" },
		{ "UPDATE moment SET wall_ns=1000000000", "impossible time" },
		{ "UPDATE moment SET time_ns=5", "backwards" },
		{ "UPDATE source SET device=printf('%100c', 'x')", "impossible device" },
		{ "UPDATE counters SET density=x'0102030405060708090a0b0c0d0e0f'", "impossible density" },
		{ "UPDATE window SET cells=x'ff'", "impossible cells" },
		{ "UPDATE report SET phase=256", "impossible phase" },
		{ "UPDATE live SET source_id=4294967296", "impossible source_id" },
		{ "UPDATE marks SET page_size=3", "impossible marks" },
		{ "UPDATE marks SET cpu_page_size=0", "impossible marks" },
		{ "UPDATE marks SET bitmap_offset=4096", "impossible marks" },
		{ "UPDATE marks SET iova=-1", "impossible marks" },
		{ "UPDATE marks SET data=x''", "impossible marks" },
		{ "UPDATE marks SET data=zeroblob(1000000)", "impossible marks" },
		{ "UPDATE report SET bitmap_offset=4294967296", "impossible bitmap_offset" },
		{ "DROP TABLE marks", "no such table" },
		{ "INSERT INTO loss VALUES (1, 'unheard_of', 1)", "does not know" },
		{ "DROP TABLE window; CREATE VIEW window AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
		  "SELECT i+1 FROM n) SELECT i AS moment, 1 AS source_id, 1 AS report, 1 AS start_ns, "
		  "1 AS end_ns, 1 AS iova, 1 AS length, 1 AS page_size, 1 AS pages_pinned, "
		  "1 AS dirty_pages, 1 AS scan_skipped, 1 AS cell_shift, x'' AS cells, 1 AS rowid FROM n",
		  "is damaged" },
		{ "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i+1 FROM n WHERE i < 5000) "
		  "INSERT INTO source SELECT i, i, 1, 0, i, i, 0, 0, 'd', '', '', '', '', 1, 0, 0 FROM n",
		  "more sources at once" },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		small_recording();
		run_sql(cases[i][0]);
		refused(cases[i][1]);
		remove_file(NULL);
	}
}

static void no_file_and_no_database(void **state)
{
	FILE *out;

	refused("No such file");
	out = fopen(path, "w");
	fputs("just a text, and long enough to look like something to sqlite .........................."
	      "...........................................", out);
	fclose(out);
	refused("is damaged, or no recording");
	out = fopen(path, "w");
	fclose(out);
	refused("does not say");
}

static void a_file_that_is_there_is_left_alone(void **state)
{
	struct recorder_options o = { .path = path };
	struct iovab_error e = {};

	small_recording();
	assert_null(recorder__new(&o, &e));
	assert_non_null(strstr(e.text, "is there already"));
	replay__close(open_replay());
}

/* --- the study --- */

static char *text_of(const struct study *s, unsigned int width)
{
	struct study_text_options o = { .width = width, .charset = TEXT_UTF8, .bandwidth = 200 << 20 };
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	assert_int_equal(study_text__write(out, s, &o), 0);
	fclose(out);
	return text;
}

static struct study *new_study(void)
{
	struct iovab_error e = {};
	struct study *s = study__new(path, &e);

	if (!s)
		fail_msg("%s", e.text);
	return s;
}

/* Names of this host are not the same everywhere. */
static void forget_host(void)
{
	run_sql("UPDATE meta SET value='host-1' WHERE name='host';"
		"UPDATE meta SET value='6.1.0' WHERE name='kernel';"
		"UPDATE meta SET value='x86_64' WHERE name='machine';"
		"UPDATE meta SET value='iovab' WHERE name='program'");
}

static void record_scene(const struct scene_options *o)
{
	struct scene *scene = new_scene(o);
	struct recorder *r = new_recorder(0);
	const struct iovab_facts *f;

	while ((f = scene__next(scene)))
		write_facts(r, f);
	end_recorder(r);
	scene__free(scene);
	forget_host();
}

static void golden_study(const char *name, const struct scene_options *o, unsigned int width)
{
	struct study *s;
	char *text;

	record_scene(o);
	s = new_study();
	text = text_of(s, width);
	fixture__golden(name, text);
	free(text);
	study__free(s);
	remove_file(NULL);
}

static void golden_reports(void **state)
{
	struct scene_options sets = { 3, 12, IOVAB_TIER_SETS, .lossy = true };
	struct scene_options marks = { 2, 3, IOVAB_TIER_SETS, .marks = true };
	struct scene_options windows = { .devices = 1, .rounds = 3, .tier = IOVAB_TIER_WINDOWS };
	struct scene_options hostile = { 6, 30, IOVAB_TIER_DENSITY, .hostile = true };

	golden_study("report-sets-132.txt", &sets, 132);
	golden_study("report-marks-132.txt", &marks, 132);
	golden_study("report-windows-80.txt", &windows, 80);
	golden_study("report-hostile-100.txt", &hostile, 100);
}

static void json_of_a_study_is_golden(void **state)
{
	struct scene_options o = { 1, 3, IOVAB_TIER_SETS, .lossy = true };
	struct study *s;
	json_t *object;
	char *text, *line;

	record_scene(&o);
	s = new_study();
	object = study_json__object(s, true);
	assert_non_null(object);
	text = json_dumps(object, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
	assert_true(asprintf(&line, "%s\n", text) > 0);
	fixture__golden("report-sets.json", line);
	free(line);
	free(text);
	json_decref(object);
	study__free(s);
}

/* The sums over a study's rounds and bins are the totals. */
static void study_adds_up(void **state)
{
	struct scene_options o = { 5, 20, IOVAB_TIER_SETS, .lossy = true };
	struct study *s;
	size_t i, j;

	record_scene(&o);
	s = new_study();
	assert_int_equal(s->last->n_rows, 5);
	for (i = 0; i < 5; i++) {
		const struct iovab_row *row = &s->last->rows[i];
		const struct study_row *known = study__row(s, row);
		__u64 dirty = 0, reports = 0, lost = 0, bins_dirty = 0, bins_reports = 0, ns = 0;

		assert_int_equal(known->rounds.n, 20);
		assert_int_equal(known->rounds.n_migrations, 1);
		assert_true(known->rounds.migrations[0].stop_known);
		for (j = 0; j < known->rounds.n; j++) {
			dirty += known->rounds.rounds[j].dirty_bytes.v;
			reports += known->rounds.rounds[j].reports;
			lost += known->rounds.rounds[j].lost_bytes;
			ns += known->rounds.rounds[j].latency_ns;
		}
		for (j = 0; j < s->n_bins; j++) {
			bins_dirty += known->bins[j].dirty_bytes;
			bins_reports += known->bins[j].reports;
		}
		fixture__assert_known(row->total.fig[IOVAB_FIG_DIRTY_BYTES], dirty);
		fixture__assert_known(row->total.fig[IOVAB_FIG_REPORTS], reports);
		fixture__assert_known(row->total.fig[IOVAB_FIG_LOST_BYTES], lost);
		assert_int_equal(row->total.report_ns.sum, ns);
		assert_int_equal(bins_dirty, dirty);
		assert_int_equal(bins_reports, reports);
	}
	assert_int_equal(study__row(s, &s->last->rows[0])->rounds.migrations[0].trend, ROUNDS_FALLING);
	assert_int_equal(study__row(s, &s->last->rows[1])->rounds.migrations[0].trend, ROUNDS_STEADY);
	assert_int_equal(study__row(s, &s->last->rows[2])->rounds.migrations[0].trend, ROUNDS_RISING);
	study__free(s);
}

/* --- rounds --- */

static struct iovab_report_event report_at(__u64 second, __u64 iova, __u64 dirty_pages, __u8 phase)
{
	return (struct iovab_report_event){
		.start_ns = second * SECOND_NS, .end_ns = second * SECOND_NS + 1000000, .own_ns = 1000,
		.iova = iova, .length = GIB, .page_size = 4096, .dirty_pages = dirty_pages,
		.phase = phase,
	};
}

static void rounds_and_migrations(void **state)
{
	struct iovab_report_event events[] = {
		report_at(10, 0, 100, 0), report_at(10, GIB, 100, 0),
		report_at(12, 0, 50, 0), report_at(12, GIB, 0, 0),
		report_at(13, 0, 10, 0),
		/* another migration, for there was a pause */
		report_at(400, 0, 100, IOVAB_PHASE_PRECOPY),
		report_at(401, 0, 80, IOVAB_PHASE_PRECOPY),
		/* another section, but the device is stopped: a round of its own */
		report_at(402, GIB, 7, IOVAB_PHASE_STOP_COPY),
		/* and one that follows at once */
		report_at(403, 0, 1, IOVAB_PHASE_PRECOPY),
	};
	struct rounds r = {};
	size_t i;

	for (i = 0; i < sizeof(events) / sizeof(events[0]); i++)
		assert_int_equal(rounds__add(&r, &events[i], IOVAB_TIER_DENSITY), 0);
	rounds__settle(&r);
	assert_int_equal(r.n, 7);
	assert_int_equal(r.n_migrations, 3);
	assert_int_equal(r.rounds[0].reports, 2);
	assert_int_equal(r.rounds[0].latency_ns, 2 * 999000);
	assert_int_equal(r.rounds[0].dirty_per_s.state, IOVAB_VALUE_NOT_MEASURED);
	assert_int_equal((__u64)r.rounds[1].dirty_per_s.v, 50 * 4096 / 2);
	assert_false(r.migrations[0].stop_known);
	assert_true(r.migrations[0].has_stop);
	assert_int_equal(r.migrations[0].stop.dirty_bytes.v, 10 * 4096);
	assert_int_equal((__u64)r.migrations[0].needed_per_s.v, 50 * 4096 / 2);
	assert_true(r.migrations[1].stop_known);
	assert_int_equal(r.migrations[1].n, 3);
	assert_int_equal(r.migrations[1].stop.latency_ns, 999000);
	assert_int_equal((__u64)r.migrations[1].needed_per_s.v, 80 * 4096);
	assert_int_equal(r.migrations[2].n, 1);
	assert_false(r.migrations[2].has_stop);
	rounds__free(&r);
}

static void a_skipped_scan_makes_a_round_unknown(void **state)
{
	struct iovab_report_event a = report_at(1, 0, 5, 0), b = report_at(2, 0, 5, 0);
	struct rounds r = {};

	b.scan_skipped = 1;
	assert_int_equal(rounds__add(&r, &a, IOVAB_TIER_DENSITY), 0);
	assert_int_equal(rounds__add(&r, &b, IOVAB_TIER_DENSITY), 0);
	rounds__settle(&r);
	assert_int_equal(r.rounds[0].dirty_bytes.state, IOVAB_VALUE_KNOWN);
	assert_int_equal(r.rounds[1].dirty_bytes.state, IOVAB_VALUE_UNKNOWN);
	assert_int_equal(r.rounds[1].dirty_per_s.state, IOVAB_VALUE_UNKNOWN);
	rounds__free(&r);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, new_path, remove_file)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(counts_survive_packing),
		TEST(wrong_blobs_are_refused),
		TEST(facts_come_out_as_they_went_in),
		TEST(extremes_survive),
		TEST(devices_of_an_hwpt_survive),
		TEST(views_cannot_tell_a_replay),
		TEST(size_is_bounded_and_totals_stay),
		TEST(marks_go_first),
		TEST(moments_go_and_totals_stay),
		TEST(a_moment_that_failed_is_made_up_for),
		TEST(a_write_that_failed_half_way_is_undone),
		TEST(files_of_format_1_are_read),
		TEST(hostile_files_are_refused),
		TEST(no_file_and_no_database),
		TEST(a_file_that_is_there_is_left_alone),
		TEST(golden_reports),
		TEST(json_of_a_study_is_golden),
		TEST(study_adds_up),
		TEST(rounds_and_migrations),
		TEST(a_skipped_scan_makes_a_round_unknown),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
