// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writing a recording, so that whatever ends the writer leaves a file that
 * opens.
 *
 * - The file is made under another name, gets its schema, and is then linked to
 *   its own: it is there whole or not at all, and never in place of another.
 * - sqlite's write-ahead log is on. A moment is one transaction: after a
 *   kill -9 the file holds all moments but the one that was being written.
 *   (After a crash of the machine, all up to the last checkpoint at least: it
 *   is synced there, not with each moment.)
 * - A file system that is full makes a transaction fail and nothing else. The
 *   counters are totals, so the next moment that can be written makes up for
 *   those that could not; only their windows and reports are gone, and counted.
 *
 * What is written of a source are its counters, when they have changed since
 * they were last written: a source that rests takes no room.
 *
 * --max-size. When the file is nearly as large as it may be, the oldest
 * quarter of the finest detail goes: windows first, then reports, then moments.
 * Of the moments that go, the last counters of each source are moved to the
 * first moment that stays, so no total is ever lost. sqlite uses the room again.
 */
#include "recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "model.h"
#include "tables.h"
#include "text.h"

/* Room for the log beside the file, and for what one moment adds to both. */
#define LOG_BYTES	(2ULL << 20)

/* A source that is in the facts, as it was last written. */
struct written {
	__u64 number;
	struct iovab_source_key key;
	struct iovab_source counters;
	struct iovab_hwpt hwpt;
	bool hwpt_known;	/* as the collector had it; else hwpt says nothing */
	bool owner_gone;
	bool fresh;		/* its counters were never written */
	bool seen;		/* in the facts at hand */
};

struct recorder {
	sqlite3 *db;
	sqlite3_stmt *insert[TABLES];
	char *path;
	__u64 max_bytes;
	struct recorder_state state;
	bool failing;			/* the last moment could not be written, and why */
	char why[80];
	__u64 last_number;		/* of a source */

	/* as of the last moment that was written, or is being written, ... */
	struct written *sources;
	size_t n_sources, max_sources;
	struct iovab_losses losses;
	/* ... and as before the one that is, to go back to; room for max_sources */
	struct written *sources_before;
	size_t n_before;
	struct iovab_losses losses_before;
};

static int fail(const struct recorder *r, struct iovab_error *e, const char *what)
{
	char path[TEXT_ESCAPED_LEN];

	text__escape(path, sizeof(path), r->path, strlen(r->path), TEXT_ASCII);
	return error__set(e, IOVAB_EXIT_FAILURE, "cannot %s '%.200s': %s", what, path,
			  sqlite3_errmsg(r->db));
}

static int run(struct recorder *r, const char *sql)
{
	return sqlite3_exec(r->db, sql, NULL, NULL, NULL);
}

/* The one number that @sql asks for; 0 if it fails. */
static __u64 ask(struct recorder *r, const char *sql)
{
	sqlite3_stmt *stmt;
	__u64 v = 0;

	if (sqlite3_prepare_v2(r->db, sql, -1, &stmt, NULL))
		return 0;
	if (sqlite3_step(stmt) == SQLITE_ROW)
		v = (__u64)sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return v;
}

static int set_meta(struct recorder *r, const char *name, const char *value)
{
	sqlite3_stmt *stmt;
	int err = sqlite3_prepare_v2(r->db, "INSERT OR REPLACE INTO meta VALUES (?, ?)", -1, &stmt,
				     NULL);

	if (err)
		return err;
	sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 2, value, -1, SQLITE_STATIC);
	sqlite3_step(stmt);
	return sqlite3_finalize(stmt);
}

static int set_meta_number(struct recorder *r, const char *name, __u64 value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return set_meta(r, name, text);
}

/* --- the file and its schema --- */

static int create_tables(struct recorder *r)
{
	char header[128];
	enum table_id t;
	int err;

	snprintf(header, sizeof(header), "PRAGMA application_id=%d; PRAGMA user_version=%d;"
		 "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
		 IOVAB_RECORDING_ID, IOVAB_RECORDING_VERSION);
	err = run(r, header);
	for (t = 0; t < TABLES && !err; t++) {
		char *sql = tables__create_sql(t);

		err = sql ? run(r, sql) : SQLITE_NOMEM;
		free(sql);
	}
	return err;
}

static int describe(struct recorder *r, const struct recorder_options *o)
{
	struct utsname u;
	int err;

	err = set_meta(r, "program", "iovab " IOVAB_VERSION);
	if (!err && !uname(&u)) {
		err = set_meta(r, "host", u.nodename);
		err = err ? err : set_meta(r, "kernel", u.release);
		err = err ? err : set_meta(r, "machine", u.machine);
	}
	if (!err && o->command)
		err = set_meta(r, "command", o->command);
	return err;
}

static int write_schema(struct recorder *r, const struct recorder_options *o)
{
	int err = run(r, "PRAGMA synchronous=OFF; BEGIN");

	err = err ? err : create_tables(r);
	err = err ? err : describe(r, o);
	/* the file begins its life with a log: changing to one later could be interrupted */
	return err ? err : run(r, "COMMIT; PRAGMA journal_mode=WAL");
}

static int prepare(struct recorder *r)
{
	enum table_id t;
	int err = SQLITE_OK;

	for (t = 0; t < TABLES && !err; t++) {
		char *sql = tables__insert_sql(t);

		err = sql ? sqlite3_prepare_v3(r->db, sql, -1, SQLITE_PREPARE_PERSISTENT,
					       &r->insert[t], NULL) : SQLITE_NOMEM;
		free(sql);
	}
	return err;
}

/* Gives the file that was made under the name @draft its own. 0 or -errno. */
static int publish(const char *draft, const char *path)
{
	int fd = open(draft, O_RDONLY | O_CLOEXEC), err = 0;

	if (fd < 0)
		return -errno;
	if (fsync(fd))
		err = -errno;
	close(fd);
	if (err || !renameat2(AT_FDCWD, draft, AT_FDCWD, path, RENAME_NOREPLACE))
		return err;
	/* not every file system can do that */
	if (errno == EINVAL && !link(draft, path))
		return 0;
	return -errno;
}

/* Makes the file with its schema, and nobody sees it before. -1 with @e set. */
static int create(struct recorder *r, const struct recorder_options *o, struct iovab_error *e)
{
	char *draft = NULL, safe[TEXT_ESCAPED_LEN];
	int fd, err = -ENOMEM;

	text__escape(safe, sizeof(safe), o->path, strlen(o->path), TEXT_ASCII);
	if (asprintf(&draft, "%s.XXXXXX", o->path) < 0)
		return error__set(e, IOVAB_EXIT_FAILURE, "out of memory");
	fd = mkstemp(draft);
	if (fd < 0) {
		err = -errno;
		goto out;
	}
	close(fd);
	if (sqlite3_open_v2(draft, &r->db, SQLITE_OPEN_READWRITE, NULL) || write_schema(r, o)) {
		fail(r, e, "make");
		err = 0;
		unlink(draft);
		goto out_set;
	}
	sqlite3_close(r->db);
	r->db = NULL;
	err = publish(draft, o->path);
	unlink(draft);
out:
	free(draft);
	if (err == -EEXIST)
		return error__set(e, IOVAB_EXIT_FAILURE,
				  "'%.200s' is there already: name another file, or remove it", safe);
	if (err)
		return error__set(e, IOVAB_EXIT_FAILURE, "cannot make '%.200s': %s", safe,
				  strerror(-err));
	return 0;
out_set:
	free(draft);
	return -1;
}

/* What may be too much even for one moment is refused by sqlite itself. */
static int limit_pages(struct recorder *r)
{
	char sql[64];

	if (!r->max_bytes)
		return 0;
	snprintf(sql, sizeof(sql), "PRAGMA max_page_count=%llu",
		 (unsigned long long)((r->max_bytes - LOG_BYTES) / ask(r, "PRAGMA page_size")));
	return run(r, sql);
}

struct recorder *recorder__new(const struct recorder_options *o, struct iovab_error *e)
{
	struct recorder *r = calloc(1, sizeof(*r));

	if (r)
		r->path = strdup(o->path);
	if (!r || !r->path) {
		error__set(e, IOVAB_EXIT_FAILURE, "out of memory");
		goto err;
	}
	r->max_bytes = o->max_bytes;
	if (create(r, o, e))
		goto err;
	if (sqlite3_open_v2(o->path, &r->db, SQLITE_OPEN_READWRITE, NULL) ||
	    sqlite3_busy_timeout(r->db, 500) ||
	    run(r, "PRAGMA synchronous=NORMAL;"
		   "PRAGMA wal_autocheckpoint=256; PRAGMA journal_size_limit=1048576") ||
	    prepare(r) || limit_pages(r)) {
		fail(r, e, "open");
		goto err;
	}
	return r;
err:
	recorder__free(r);
	return NULL;
}

void recorder__free(struct recorder *r)
{
	enum table_id t;

	if (!r)
		return;
	for (t = 0; t < TABLES; t++)
		sqlite3_finalize(r->insert[t]);
	sqlite3_close(r->db);
	free(r->sources);
	free(r->sources_before);
	free(r->path);
	free(r);
}

/* --- a moment --- */

static int insert(struct recorder *r, enum table_id t, const void *record)
{
	sqlite3_stmt *stmt = r->insert[t];
	int err = tables__bind(t, stmt, record);

	if (!err)
		sqlite3_step(stmt);
	/* tells what step did, too */
	return err ? err : sqlite3_reset(stmt);
}

static int write_moment(struct recorder *r, const struct iovab_facts *f, __u64 id)
{
	struct moment_record m = {
		.id = id,
		.time_ns = f->time_ns,
		.wall_s = (__u64)f->wall.tv_sec,
		.wall_ns = (__u32)f->wall.tv_nsec,
		.state = f->state,
		.tier = f->tier,
		.bpf_known = f->cost.bpf_known,
		.cost = f->cost,
	};

	if (f->generation)
		snprintf(m.generation, sizeof(m.generation), "%s", f->generation);
	return insert(r, TABLE_MOMENT, &m);
}

/* The place of a source among those that were written: at @hint or soon behind it. */
static struct written *find_source(struct recorder *r, const struct iovab_source_fact *s,
				   size_t hint)
{
	size_t i;

	for (i = 0; i < r->n_sources; i++) {
		struct written *w = &r->sources[(hint + i) % r->n_sources];

		if (w->counters.id == s->counters.id && !memcmp(&w->key, &s->key, sizeof(s->key)))
			return w;
	}
	return NULL;
}

static int add_source(struct recorder *r, const struct iovab_source_fact *s, __u64 moment,
		      struct written **out)
{
	struct source_record record = {
		.number = r->last_number + 1,
		.id = s->counters.id,
		.key = s->key,
		.came = moment,
		.owner_gone = s->owner_gone ? moment : 0,
	};
	struct written *w;

	memcpy(record.driver, s->counters.driver, sizeof(record.driver));
	memcpy(record.vfio, s->counters.vfio, sizeof(record.vfio));
	memcpy(record.comm, s->counters.comm, sizeof(record.comm));
	memcpy(record.vm, s->vm, sizeof(record.vm));
	w = *out = &r->sources[r->n_sources++];
	memset(w, 0, sizeof(*w));
	w->number = ++r->last_number;
	w->key = s->key;
	w->counters.id = s->counters.id;
	w->owner_gone = s->owner_gone;
	w->fresh = true;
	return insert(r, TABLE_SOURCE, &record);
}

static int note_source(struct recorder *r, const char *column, __u64 number, __u64 moment)
{
	char sql[128];

	snprintf(sql, sizeof(sql), "UPDATE source SET \"%s\"=%llu WHERE number=%llu", column,
		 (unsigned long long)moment, (unsigned long long)number);
	return run(r, sql);
}

/* The devices of an HWPT, one a row. */
static int write_attached(struct recorder *r, const struct written *w, __u64 moment)
{
	struct attached_record record = {
		.moment = moment,
		.source = w->number,
		.known = w->hwpt_known,
		.attached = w->hwpt.attached,
		.unknown = w->hwpt.unknown,
	};
	__u32 n = w->hwpt_known ? w->hwpt.attached : 0;
	int err;

	n = n < IOVAB_HWPT_DEVICES ? n : IOVAB_HWPT_DEVICES;
	do {
		if (n) {
			memcpy(record.device, w->hwpt.named[record.position].device,
			       sizeof(record.device));
			memcpy(record.driver, w->hwpt.named[record.position].driver,
			       sizeof(record.driver));
		}
		err = insert(r, TABLE_ATTACHED, &record);
	} while (!err && ++record.position < n);
	return err;
}

static int take_attached(struct recorder *r, struct written *w, const struct iovab_hwpt *hwpt,
			 __u64 moment)
{
	if (!hwpt && !w->hwpt_known)
		return 0;
	if (hwpt && w->hwpt_known && !memcmp(hwpt, &w->hwpt, sizeof(*hwpt)))
		return 0;
	w->hwpt_known = hwpt != NULL;
	if (hwpt)
		w->hwpt = *hwpt;
	else
		memset(&w->hwpt, 0, sizeof(w->hwpt));
	return write_attached(r, w, moment);
}

static int write_source(struct recorder *r, const struct iovab_source_fact *s, __u64 moment,
			size_t hint)
{
	struct written *w = find_source(r, s, hint);
	struct counters_record record;
	int err = w ? 0 : add_source(r, s, moment, &w);

	if (err)
		return err;
	w->seen = true;
	if (s->owner_gone && !w->owner_gone) {
		w->owner_gone = true;
		err = note_source(r, "owner_gone", w->number, moment);
	}
	err = err ? err : take_attached(r, w, s->hwpt, moment);
	if (err || (!w->fresh && !memcmp(&w->counters, &s->counters, sizeof(s->counters))))
		return err;
	w->fresh = false;
	w->counters = s->counters;
	record.moment = moment;
	record.source = w->number;
	record.counters = s->counters;
	return insert(r, TABLE_COUNTERS, &record);
}

/* Room for as many sources as there may be after @more. */
static int reserve_sources(struct recorder *r, size_t more)
{
	size_t max = r->max_sources ? r->max_sources : 64;
	void *p;

	while (max < r->n_sources + more)
		max *= 2;
	if (max == r->max_sources)
		return 0;
	p = reallocarray(r->sources, max, sizeof(*r->sources));
	if (!p)
		return SQLITE_NOMEM;
	r->sources = p;
	p = reallocarray(r->sources_before, max, sizeof(*r->sources_before));
	if (!p)
		return SQLITE_NOMEM;
	r->sources_before = p;
	r->max_sources = max;
	return 0;
}

static int write_sources(struct recorder *r, const struct iovab_facts *f, __u64 moment)
{
	size_t i, kept = 0;
	int err = 0;

	for (i = 0; i < r->n_sources; i++)
		r->sources[i].seen = false;
	for (i = 0; i < f->n_sources && !err; i++)
		err = write_source(r, &f->sources[i], moment, i);
	for (i = 0; i < r->n_sources && !err; i++) {
		if (r->sources[i].seen)
			r->sources[kept++] = r->sources[i];
		else
			err = note_source(r, "left", r->sources[i].number, moment);
	}
	if (!err)
		r->n_sources = kept;
	return err;
}

static int write_events(struct recorder *r, const struct iovab_facts *f, __u64 moment)
{
	size_t i;
	int err = 0;

	for (i = 0; i < f->n_live && !err; i++) {
		struct live_record record = { moment, f->live[i] };

		err = insert(r, TABLE_LIVE, &record);
	}
	for (i = 0; i < f->n_windows && !err; i++) {
		struct window_record record = { moment, f->windows[i] };

		err = insert(r, TABLE_WINDOW, &record);
	}
	for (i = 0; i < f->n_reports && !err; i++) {
		struct report_record record = { moment, f->reports[i] };

		err = insert(r, TABLE_REPORT, &record);
	}
	return err;
}

static int write_losses(struct recorder *r, const struct iovab_losses *now, __u64 moment)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < MODEL_LOSSES && !err; i++) {
		struct loss_record record = { .moment = moment, .value = model__loss(now, i) };

		if (record.value == model__loss(&r->losses, i))
			continue;
		snprintf(record.name, sizeof(record.name), "%s", model__loss_name(i));
		err = insert(r, TABLE_LOSS, &record);
	}
	r->losses = *now;
	return err;
}

static int write_all(struct recorder *r, const struct iovab_facts *f, __u64 moment)
{
	/* IMMEDIATE: to find out now, not at the first write, that it cannot be */
	int err = run(r, "BEGIN IMMEDIATE");

	err = err ? err : write_moment(r, f, moment);
	err = err ? err : write_sources(r, f, moment);
	err = err ? err : write_events(r, f, moment);
	err = err ? err : write_losses(r, &f->losses, moment);
	if (!err && r->state.moments_failed) {
		err = set_meta_number(r, "moments_failed", r->state.moments_failed);
		err = err ? err : set_meta_number(r, "events_failed", r->state.events_failed);
	}
	return err ? err : run(r, "COMMIT");
}

/* All of it, or nothing: then @e is set, and what is remembered is as before. */
static int write_or_roll_back(struct recorder *r, const struct iovab_facts *f, __u64 moment,
			      struct iovab_error *e)
{
	__u64 number = r->last_number;
	int err;

	r->n_before = r->n_sources;
	r->losses_before = r->losses;
	if (r->n_sources)
		memcpy(r->sources_before, r->sources, r->n_sources * sizeof(*r->sources));
	err = write_all(r, f, moment);
	if (!err)
		return 0;
	fail(r, e, "write to");
	run(r, "ROLLBACK");
	r->n_sources = r->n_before;
	if (r->n_sources)
		memcpy(r->sources, r->sources_before, r->n_sources * sizeof(*r->sources));
	r->losses = r->losses_before;
	r->last_number = number;
	return err;
}

/* --- no larger than it may be --- */

/* Takes the first quarter of a table's rows out, but never less than one. How many; -1: it failed. */
static long drop_quarter(struct recorder *r, enum table_id t)
{
	char sql[256];

	snprintf(sql, sizeof(sql),
		 "DELETE FROM \"%s\" WHERE rowid <= (SELECT min(rowid) + (max(rowid) - min(rowid)) / 4 FROM \"%s\")",
		 tables__name(t), tables__name(t));
	return run(r, sql) ? -1 : sqlite3_changes(r->db);
}

/* Takes the first quarter of the moments out; their last counters move to the next one. */
static bool drop_moments(struct recorder *r)
{
	unsigned long long keep;
	char sql[1024];

	/* a few are always kept: without two there is no interval */
	if (ask(r, "SELECT count(*) FROM moment") < 8)
		return false;
	keep = ask(r, "SELECT min(id) FROM moment WHERE id > "
		      "(SELECT min(id) + (max(id) - min(id)) / 4 FROM moment)");
	snprintf(sql, sizeof(sql),
		 "UPDATE counters SET moment=%llu WHERE moment < %llu AND rowid IN "
		 "(SELECT max(rowid) FROM counters WHERE moment <= %llu GROUP BY source);"
		 "DELETE FROM counters WHERE moment < %llu;"
		 "UPDATE attached SET moment=%llu WHERE moment < %llu;"
		 "UPDATE loss SET moment=%llu WHERE moment < %llu;"
		 "UPDATE source SET came=%llu WHERE came < %llu;"
		 "UPDATE source SET \"left\"=%llu WHERE \"left\" BETWEEN 1 AND %llu;"
		 "DELETE FROM live WHERE moment < %llu;"
		 "DELETE FROM moment WHERE id < %llu",
		 keep, keep, keep, keep, keep, keep, keep, keep, keep, keep, keep + 1, keep, keep,
		 keep);
	return !run(r, sql);
}

static __u64 bytes_used(struct recorder *r)
{
	__u64 pages = ask(r, "PRAGMA page_count"), unused = ask(r, "PRAGMA freelist_count");

	return (pages - unused) * ask(r, "PRAGMA page_size");
}

/* Makes room if more than @sixteenths of the limit are used. */
static void prune(struct recorder *r, unsigned int sixteenths)
{
	__u64 limit = r->max_bytes - LOG_BYTES, pruned = r->state.events_pruned;
	bool more = true;
	int i;

	if (!r->max_bytes || bytes_used(r) < limit / 16 * sixteenths || run(r, "BEGIN IMMEDIATE"))
		return;
	for (i = 0; more && i < 64 && bytes_used(r) > limit / 16 * 11; i++) {
		long n = drop_quarter(r, TABLE_WINDOW);

		n = n ? n : drop_quarter(r, TABLE_REPORT);
		pruned += n > 0 ? n : 0;
		more = n ? n > 0 : drop_moments(r);
	}
	if (!set_meta_number(r, "events_pruned", pruned) && !run(r, "COMMIT"))
		r->state.events_pruned = pruned;
	else
		run(r, "ROLLBACK");
}

/* The file system's fault, or passing: the next moment may do better. */
static bool may_pass(int err)
{
	return err == SQLITE_FULL || err == SQLITE_BUSY || (err & 0xff) == SQLITE_IOERR;
}

int recorder__write(struct recorder *r, const struct iovab_facts *facts, struct iovab_error *e)
{
	/* that of a moment that fails is not used again: a gap shows where it was */
	__u64 moment = r->state.moments + r->state.moments_failed + 1;
	int err = reserve_sources(r, facts->n_sources);
	struct stat st;

	if (err)
		return error__set(e, IOVAB_EXIT_FAILURE, "out of memory");
	err = write_or_roll_back(r, facts, moment, e);
	if (err == SQLITE_FULL && r->max_bytes) {
		prune(r, 12);
		err = write_or_roll_back(r, facts, moment, e);
	}
	if (err && !may_pass(err))
		return -1;
	r->failing = err != 0;
	if (err) {
		snprintf(r->why, sizeof(r->why), "%s", sqlite3_errstr(err));
		r->state.moments_failed++;
		r->state.events_failed += facts->n_reports + facts->n_windows;
	} else {
		r->state.moments++;
		r->state.reports += facts->n_reports;
		r->state.windows += facts->n_windows;
		prune(r, 15);
	}
	if (!stat(r->path, &st))
		r->state.bytes = (__u64)st.st_size;
	e->code = IOVAB_EXIT_OK;
	return 0;
}

const struct recorder_state *recorder__state(const struct recorder *r)
{
	return &r->state;
}

int recorder__end(struct recorder *r, struct iovab_error *e)
{
	int err = 0, t;

	if (!r)
		return 0;
	if (r->failing) {
		err = error__set(e, IOVAB_EXIT_FAILURE,
				 "the last figures could not be written (%s), as %llu moments before; what was written is whole",
				 r->why, (unsigned long long)r->state.moments_failed - 1);
		goto out;
	}
	if (set_meta(r, "ended", "1")) {
		err = fail(r, e, "end");
		goto out;
	}
	for (t = 0; t < TABLES; t++) {
		sqlite3_finalize(r->insert[t]);
		r->insert[t] = NULL;
	}
	/* one file, which also opens where nothing can be written; a reader may be in the way */
	run(r, "PRAGMA journal_mode=DELETE");
out:
	recorder__free(r);
	return err;
}
