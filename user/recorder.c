// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writing a recording, so that whatever ends the writer leaves a file that
 * opens.
 *
 * - sqlite's write-ahead log is on. A moment is one transaction: after a
 *   kill -9 the file holds all moments but the one that was being written.
 *   (After a crash of the machine, all up to the last checkpoint at least: it
 *   is synced there, not with each moment.)
 * - A file system that is full makes a transaction fail and nothing else. The
 *   counters are totals, so the next moment that can be written makes up for
 *   those that could not; only their windows, reports and marks are gone, and counted.
 * - The marks of a moment are written before it, in as many transactions as their
 *   size asks for, so that the log stays small.
 *
 * What is written of a source are its counters, when they have changed since
 * they were last written: a source that rests takes no room.
 */
#include "recorder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "model.h"
#include "recording.h"
#include "tables.h"

/* Room for the log beside the file, and for what one moment adds to both. */
#define LOG_BYTES	(2ULL << 20)
/* Marks are not written to a file system with less room than this: it is for figures. */
#define RESERVE_BYTES	(4ULL << 20)
/* Chunks of marks that are written in one transaction. */
#define BATCH_BYTES	(256U << 10)

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

/* What the file may have, without its log. */
static __u64 size_limit(const struct recorder *r)
{
	return r->max_bytes - LOG_BYTES;
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

/* What may be too much even for one moment is refused by sqlite itself. */
static int limit_pages(struct recorder *r)
{
	char sql[64];

	if (!r->max_bytes)
		return 0;
	snprintf(sql, sizeof(sql), "PRAGMA max_page_count=%llu",
		 (unsigned long long)(size_limit(r) / recording__ask(r->db, "PRAGMA page_size")));
	return recording__run(r->db, sql);
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
	if (recording__create(o->path, o->command, e))
		goto err;
	if (sqlite3_open_v2(o->path, &r->db, SQLITE_OPEN_READWRITE, NULL) ||
	    sqlite3_busy_timeout(r->db, 500) ||
	    recording__run(r->db, "PRAGMA synchronous=NORMAL;"
		   "PRAGMA wal_autocheckpoint=256; PRAGMA journal_size_limit=1048576") ||
	    prepare(r) || limit_pages(r)) {
		recording__fail(r->db, r->path, "open", e);
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
	return recording__run(r->db, sql);
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
	int err = recording__run(r->db, "BEGIN IMMEDIATE");

	err = err ? err : write_moment(r, f, moment);
	err = err ? err : write_sources(r, f, moment);
	err = err ? err : write_events(r, f, moment);
	err = err ? err : write_losses(r, &f->losses, moment);
	if (!err && r->state.moments_failed) {
		err = recording__set_meta_number(r->db, "moments_failed", r->state.moments_failed);
		err = err ? err : recording__set_meta_number(r->db, "events_failed", r->state.events_failed);
	}
	if (!err && r->state.marks_failed)
		err = recording__set_meta_number(r->db, "marks_failed", r->state.marks_failed);
	return err ? err : recording__run(r->db, "COMMIT");
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
	recording__fail(r->db, r->path, "write to", e);
	recording__run(r->db, "ROLLBACK");
	r->n_sources = r->n_before;
	if (r->n_sources)
		memcpy(r->sources, r->sources_before, r->n_sources * sizeof(*r->sources));
	r->losses = r->losses_before;
	r->last_number = number;
	return err;
}

/* --- a moment, or none --- */

static void make_room(struct recorder *r, unsigned int sixteenths)
{
	if (r->max_bytes)
		prune__make_room(r->db, size_limit(r), sixteenths, &r->state.pruned);
}

/* The file system's fault, or passing: the next moment may do better. */
static bool may_pass(int err)
{
	return err == SQLITE_FULL || err == SQLITE_BUSY || (err & 0xff) == SQLITE_IOERR;
}

/* Chunks, as many as one transaction takes: *@n of them. All of them, or none. */
static int write_batch(struct recorder *r, const struct iovab_chunk_fact *chunks, size_t left,
		       __u64 moment, size_t *n)
{
	int err = recording__run(r->db, "BEGIN IMMEDIATE");
	size_t bytes = 0;

	for (*n = 0; *n < left && bytes < BATCH_BYTES && !err; (*n)++) {
		struct marks_record record = { moment, chunks[*n] };

		err = insert(r, TABLE_MARKS, &record);
		bytes += chunks[*n].size;
	}
	err = err ? err : recording__run(r->db, "COMMIT");
	if (err)
		recording__run(r->db, "ROLLBACK");
	return err;
}

static bool has_room(const struct recorder *r)
{
	struct statvfs fs;

	return statvfs(r->path, &fs) || (__u64)fs.f_bavail * fs.f_frsize >= RESERVE_BYTES;
}

/* Likewise; *@n is at least one. */
static int write_some(struct recorder *r, const struct iovab_chunk_fact *chunks, size_t left,
		      __u64 moment, size_t *n)
{
	int err;

	*n = 1;
	if (!has_room(r))
		return SQLITE_FULL;
	err = write_batch(r, chunks, left, moment, n);
	if (err == SQLITE_FULL && r->max_bytes) {
		make_room(r, 12);
		err = write_batch(r, chunks, left, moment, n);
	}
	/* where not even the first could be tried, it is that one which failed */
	*n = *n ? *n : 1;
	return err;
}

/* What cannot be written is counted. */
static void write_marks(struct recorder *r, const struct iovab_facts *facts, __u64 moment)
{
	size_t done, n, i;

	for (done = 0; done < facts->n_chunks; done += n) {
		const struct iovab_chunk_fact *chunks = facts->chunks + done;
		int err = write_some(r, chunks, facts->n_chunks - done, moment, &n);

		for (i = 0; i < n; i++)
			*(err ? &r->state.marks_failed : &r->state.marks) += chunks[i].marks;
		if (!err)
			make_room(r, 15);
	}
}

int recorder__write(struct recorder *r, const struct iovab_facts *facts, struct iovab_error *e)
{
	/* that of a moment that fails is not used again: a gap shows where it was */
	__u64 moment = r->state.moments + r->state.moments_failed + 1;
	int err = reserve_sources(r, facts->n_sources);
	struct stat st;

	if (err)
		return error__set(e, IOVAB_EXIT_FAILURE, "out of memory");
	write_marks(r, facts, moment);
	err = write_or_roll_back(r, facts, moment, e);
	if (err == SQLITE_FULL && r->max_bytes) {
		make_room(r, 12);
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
		make_room(r, 15);
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
	if (recording__set_meta(r->db, "ended", "1")) {
		err = recording__fail(r->db, r->path, "end", e);
		goto out;
	}
	for (t = 0; t < TABLES; t++) {
		sqlite3_finalize(r->insert[t]);
		r->insert[t] = NULL;
	}
	/* one file, which also opens where nothing can be written; a reader may be in the way */
	recording__run(r->db, "PRAGMA journal_mode=DELETE");
out:
	recorder__free(r);
	return err;
}
