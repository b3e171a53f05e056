// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading a recording.
 *
 * Every table was written in the order of moments, so one cursor a table goes
 * through it once: a moment's facts are what the cursors have up to its number.
 * What was not written again (counters of a source at rest, losses) is kept
 * from the moment before.
 *
 * A file is not to be trusted. What sqlite may do with it is in untrusted.c; what
 * the rows say is checked here, where a wrong value could do harm: numbers that have to fit, enumerations, times, and how many there may
 * be of a thing. Figures that contradict each other are the model's business,
 * which has to bear that from a kernel, too.
 */
#include "replay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "array.h"
#include "chunk.h"
#include "model.h"
#include "tables.h"
#include "text.h"
#include "untrusted.h"

/* Events in one moment: more than any writer can take out of the ring in an interval. */
#define MAX_EVENTS	(1U << 20)
/* Marks in one moment: more than any writer keeps in memory. */
#define MAX_CHUNK_BYTES	(1ULL << 30)
/* Sources that one recording may have in all. */
#define MAX_SOURCES	(1U << 16)

/* One table, read row by row. */
struct cursor {
	sqlite3_stmt *stmt;
	void *record;		/* the row at hand */
	bool at_row;		/* there is one */
};

/* A source that has come; those that left are taken out. */
struct present {
	struct source_record source;
	struct iovab_source counters;
	struct iovab_hwpt hwpt;
	bool hwpt_known;
};

struct replay {
	sqlite3 *db;
	char *path;		/* escaped, for errors */
	struct replay_about about;
	int version;
	bool want_marks, marks_begun;
	struct cursor cursors[TABLES];

	__u64 first_ns, last_ns;	/* of all moments */
	size_t n_moments;

	struct moment_record moment;
	struct iovab_facts facts;
	struct present *present;
	size_t n_present, max_present, n_sources;
	struct iovab_source_fact *sources;	/* room for max_present */
	struct iovab_live_fact *live;
	size_t max_live;
	struct iovab_window_event *windows;
	size_t max_windows;
	struct iovab_report_event *reports;
	size_t max_reports;
	struct iovab_chunk_fact *chunks;	/* their data, one behind the other, in ... */
	size_t max_chunks;
	unsigned char *chunk_data;		/* ... here */
	size_t chunk_bytes, max_chunk_bytes;
};

static int damaged(const struct replay *r, struct iovab_error *e, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int damaged(const struct replay *r, struct iovab_error *e, const char *format, ...)
{
	char why[256];
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	return error__set(e, IOVAB_EXIT_FAILURE, "%.120s is damaged, or no recording of iovab: %s",
			  r->path, why);
}

/* What sqlite says is text from a hostile file. */
static int sqlite_failed(const struct replay *r, struct iovab_error *e)
{
	const char *said = sqlite3_errmsg(r->db);
	char safe[TEXT_ESCAPED_LEN];
	int err = sqlite3_errcode(r->db) & 0xff;

	text__escape(safe, sizeof(safe), said, strlen(said), TEXT_ASCII);
	if (err == SQLITE_NOMEM)
		return error__set(e, IOVAB_EXIT_FAILURE, "out of memory");
	if (err == SQLITE_CANTOPEN)
		return error__set(e, IOVAB_EXIT_FAILURE,
				  "cannot open %.120s: %.100s (a recording that was not ended needs a folder that can be written)",
				  r->path, safe);
	return damaged(r, e, "%.200s", safe);
}

/* --- opening --- */

static int ask(struct replay *r, const char *sql, sqlite3_int64 *v, struct iovab_error *e)
{
	sqlite3_stmt *stmt;

	*v = 0;
	if (sqlite3_prepare_v2(r->db, sql, -1, &stmt, NULL))
		return sqlite_failed(r, e);
	if (sqlite3_step(stmt) == SQLITE_ROW)
		*v = sqlite3_column_int64(stmt, 0);
	return sqlite3_finalize(stmt) ? sqlite_failed(r, e) : 0;
}

static int check_version(struct replay *r, struct iovab_error *e)
{
	sqlite3_int64 id, version;

	if (ask(r, "PRAGMA application_id", &id, e) || ask(r, "PRAGMA user_version", &version, e))
		return -1;
	if (id != IOVAB_RECORDING_ID)
		return damaged(r, e, "its header does not say that it is one");
	if (version > IOVAB_RECORDING_VERSION)
		return error__set(e, IOVAB_EXIT_FAILURE,
				  "%.120s is a recording of format %lld, and this iovab reads up to %d: use a newer iovab",
				  r->path, (long long)version, IOVAB_RECORDING_VERSION);
	if (version < 1)
		return damaged(r, e, "its format is %lld", (long long)version);
	r->version = (int)version;
	return 0;
}

static void take_text(char *to, size_t size, const char *value)
{
	snprintf(to, size, "%s", value);
}

static void take_meta(struct replay_about *a, const char *name, const char *value)
{
	if (!strcmp(name, "program"))
		take_text(a->program, sizeof(a->program), value);
	else if (!strcmp(name, "host"))
		take_text(a->host, sizeof(a->host), value);
	else if (!strcmp(name, "kernel"))
		take_text(a->kernel, sizeof(a->kernel), value);
	else if (!strcmp(name, "machine"))
		take_text(a->machine, sizeof(a->machine), value);
	else if (!strcmp(name, "command"))
		take_text(a->command, sizeof(a->command), value);
	else if (!strcmp(name, "ended"))
		a->ended = true;
	else if (!strcmp(name, "moments_failed"))
		a->moments_failed = strtoull(value, NULL, 10);
	else if (!strcmp(name, "events_failed"))
		a->events_failed = strtoull(value, NULL, 10);
	else if (!strcmp(name, "marks_failed"))
		a->marks_failed = strtoull(value, NULL, 10);
	else if (!strcmp(name, "marks_pruned"))
		a->marks_pruned = strtoull(value, NULL, 10);
	else if (!strcmp(name, "events_pruned"))
		a->events_pruned = strtoull(value, NULL, 10);
}

static int read_span(struct replay *r, struct iovab_error *e)
{
	sqlite3_int64 first, last, n;

	if (ask(r, "SELECT count(*) FROM moment", &n, e) ||
	    ask(r, "SELECT time_ns FROM moment ORDER BY rowid LIMIT 1", &first, e) ||
	    ask(r, "SELECT time_ns FROM moment ORDER BY rowid DESC LIMIT 1", &last, e))
		return -1;
	r->n_moments = (size_t)n;
	r->first_ns = (__u64)first;
	r->last_ns = last > first ? (__u64)last : (__u64)first;
	return 0;
}

size_t replay__span(const struct replay *r, __u64 *first_ns, __u64 *last_ns)
{
	*first_ns = r->first_ns;
	*last_ns = r->last_ns;
	return r->n_moments;
}

static int read_meta(struct replay *r, struct iovab_error *e)
{
	sqlite3_stmt *stmt;

	if (sqlite3_prepare_v2(r->db, "SELECT name, value FROM meta", -1, &stmt, NULL))
		return sqlite_failed(r, e);
	while (sqlite3_step(stmt) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(stmt, 0);
		const char *value = (const char *)sqlite3_column_text(stmt, 1);

		if (name && value)
			take_meta(&r->about, name, value);
	}
	return sqlite3_finalize(stmt) ? sqlite_failed(r, e) : 0;
}

/* Goes on to the next row of a table. */
static int advance(struct replay *r, enum table_id t, struct iovab_error *e)
{
	struct cursor *c = &r->cursors[t];
	int ret = sqlite3_step(c->stmt);
	const char *wrong;

	c->at_row = ret == SQLITE_ROW;
	if (ret == SQLITE_DONE)
		return 0;
	if (!c->at_row)
		return sqlite_failed(r, e);
	wrong = tables__read(t, c->stmt, c->record);
	return wrong ? damaged(r, e, "impossible %s in table %s", wrong, tables__name(t)) : 0;
}

static int open_cursors(struct replay *r, struct iovab_error *e)
{
	enum table_id t;

	/* one transaction: what a writer adds meanwhile is not seen by half */
	if (sqlite3_exec(r->db, "BEGIN", NULL, NULL, NULL))
		return sqlite_failed(r, e);
	if (check_version(r, e))
		return -1;
	untrusted__only_read(r->db);
	if (read_span(r, e))
		return -1;
	for (t = 0; t < TABLES; t++) {
		struct cursor *c = &r->cursors[t];
		char *sql;
		int err;

		if (tables__since(t) > r->version)
			continue;
		sql = tables__select_sql(t, r->version);
		err = sql ? sqlite3_prepare_v2(r->db, sql, -1, &c->stmt, NULL) : SQLITE_NOMEM;

		free(sql);
		if (err)
			return sqlite_failed(r, e);
		c->record = malloc(tables__record_size(t));
		if (!c->record)
			return error__set(e, IOVAB_EXIT_FAILURE, "out of memory");
		/* marks are many, and read by who wants them */
		if (t != TABLE_MARKS && advance(r, t, e))
			return -1;
	}
	if (read_meta(r, e))
		return -1;
	if (!r->cursors[TABLE_MOMENT].at_row)
		return error__set(e, IOVAB_EXIT_FAILURE,
				  "%.120s holds nothing yet: its recording was ended before the first figures came",
				  r->path);
	return 0;
}

static struct replay *replay_new(const char *path, struct iovab_error *e)
{
	struct replay *r = calloc(1, sizeof(*r));
	char safe[TEXT_ESCAPED_LEN];

	if (r) {
		text__escape(safe, sizeof(safe), path, strlen(path), TEXT_ASCII);
		if (asprintf(&r->path, "'%s'", safe) >= 0)
			return r;
		free(r);
	}
	error__set(e, IOVAB_EXIT_FAILURE, "out of memory");
	return NULL;
}

/*
 * A writer that was killed while it closed the file may have left a journal, and
 * only who may write can undo what is half done.
 */
static int open_file(struct replay *r, const char *path, int how, struct iovab_error *e)
{
	if (sqlite3_open_v2(path, &r->db, how, NULL) || untrusted__restrict(r->db)) {
		sqlite_failed(r, e);
		return -1;
	}
	return open_cursors(r, e);
}

static void close_file(struct replay *r)
{
	enum table_id t;

	for (t = 0; t < TABLES; t++) {
		sqlite3_finalize(r->cursors[t].stmt);
		free(r->cursors[t].record);
	}
	memset(r->cursors, 0, sizeof(r->cursors));
	sqlite3_close(r->db);
	r->db = NULL;
}

struct replay *replay__open(const char *path, struct iovab_error *e)
{
	struct replay *r = replay_new(path, e);

	if (!r)
		return NULL;
	if (access(path, R_OK)) {
		error__set(e, IOVAB_EXIT_FAILURE, "cannot open %.120s: %s", r->path, strerror(errno));
		goto err;
	}
	if (!open_file(r, path, SQLITE_OPEN_READONLY, e))
		return r;
	if ((sqlite3_errcode(r->db) & 0xff) == SQLITE_READONLY) {
		close_file(r);
		e->code = IOVAB_EXIT_OK;
		if (!open_file(r, path, SQLITE_OPEN_READWRITE, e))
			return r;
	}
err:
	replay__close(r);
	return NULL;
}

struct replay *replay__open_memory(const void *data, size_t size, struct iovab_error *e)
{
	struct replay *r = replay_new("memory", e);

	if (!r)
		return NULL;
	if (sqlite3_open_v2(":memory:", &r->db, SQLITE_OPEN_READWRITE, NULL) ||
	    sqlite3_deserialize(r->db, "main", (unsigned char *)data, (sqlite3_int64)size,
				(sqlite3_int64)size, SQLITE_DESERIALIZE_READONLY) ||
	    untrusted__restrict(r->db)) {
		sqlite_failed(r, e);
		goto err;
	}
	if (!open_cursors(r, e))
		return r;
err:
	replay__close(r);
	return NULL;
}

void replay__close(struct replay *r)
{
	if (!r)
		return;
	close_file(r);
	free(r->present);
	free(r->sources);
	free(r->live);
	free(r->windows);
	free(r->reports);
	free(r->chunks);
	free(r->chunk_data);
	free(r->path);
	free(r);
}

const struct replay_about *replay__about(const struct replay *r)
{
	return &r->about;
}

/* --- a moment --- */

static int no_memory(struct iovab_error *e)
{
	return error__set(e, IOVAB_EXIT_FAILURE, "out of memory");
}

/* The row at hand of table @t if it belongs to the moment at hand, or to one before. */
static void *row_of_moment(struct replay *r, enum table_id t)
{
	/* the tables with a moment begin with it */
	const __u64 *moment = r->cursors[t].record;

	return r->cursors[t].at_row && *moment <= r->moment.id ? r->cursors[t].record : NULL;
}

static int take_new_sources(struct replay *r, struct iovab_error *e)
{
	struct cursor *c = &r->cursors[TABLE_SOURCE];
	const struct source_record *s = c->record;

	while (c->at_row && s->came <= r->moment.id) {
		size_t max = r->max_present;

		if (!array__grow(&r->present, r->n_present, &r->max_present, sizeof(*r->present)))
			return no_memory(e);
		if (max != r->max_present) {
			free(r->sources);
			r->sources = calloc(r->max_present, sizeof(*r->sources));
			if (!r->sources)
				return no_memory(e);
		}
		if (++r->n_sources > MAX_SOURCES)
			return damaged(r, e, "too many sources");
		memset(&r->present[r->n_present], 0, sizeof(*r->present));
		r->present[r->n_present++].source = *s;
		if (advance(r, TABLE_SOURCE, e))
			return -1;
	}
	return 0;
}

static void drop_gone_sources(struct replay *r)
{
	size_t i, kept = 0;

	for (i = 0; i < r->n_present; i++) {
		__u64 left = r->present[i].source.left;

		if (!left || left > r->moment.id)
			r->present[kept++] = r->present[i];
	}
	r->n_present = kept;
}

/* Sources are written in the order in which they came, so their numbers ascend. */
static struct present *find_present(struct replay *r, __u64 number)
{
	size_t low = 0, high = r->n_present;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (r->present[middle].source.number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < r->n_present && r->present[low].source.number == number ?
	       &r->present[low] : NULL;
}

static int take_counters(struct replay *r, struct iovab_error *e)
{
	const struct counters_record *c;

	while ((c = row_of_moment(r, TABLE_COUNTERS))) {
		struct present *p = find_present(r, c->source);

		if (p)
			p->counters = c->counters;
		if (advance(r, TABLE_COUNTERS, e))
			return -1;
	}
	return 0;
}

/* The first row of a moment takes the place of all that was known; the others add to it. */
static int take_attached(struct replay *r, struct iovab_error *e)
{
	const struct attached_record *a;

	while ((a = row_of_moment(r, TABLE_ATTACHED))) {
		struct present *p = find_present(r, a->source);

		if (a->position >= IOVAB_HWPT_DEVICES)
			return damaged(r, e, "impossible position in table attached");
		if (p && !a->position)
			memset(&p->hwpt, 0, sizeof(p->hwpt));
		if (p) {
			p->hwpt_known = a->known;
			p->hwpt.attached = a->attached;
			p->hwpt.unknown = a->unknown;
			memcpy(p->hwpt.named[a->position].device, a->device, sizeof(a->device));
			memcpy(p->hwpt.named[a->position].driver, a->driver, sizeof(a->driver));
		}
		if (advance(r, TABLE_ATTACHED, e))
			return -1;
	}
	return 0;
}

static int take_sources(struct replay *r, struct iovab_error *e)
{
	size_t i;

	if (take_new_sources(r, e) || take_counters(r, e) || take_attached(r, e))
		return -1;
	drop_gone_sources(r);
	if (r->n_present > IOVAB_MAX_SOURCES)
		return damaged(r, e, "more sources at once than there can be");
	for (i = 0; i < r->n_present; i++) {
		const struct present *p = &r->present[i];
		struct iovab_source_fact *f = &r->sources[i];

		f->key = p->source.key;
		f->counters = p->counters;
		f->counters.id = p->source.id;
		memcpy(f->counters.driver, p->source.driver, sizeof(f->counters.driver));
		memcpy(f->counters.vfio, p->source.vfio, sizeof(f->counters.vfio));
		memcpy(f->counters.comm, p->source.comm, sizeof(f->counters.comm));
		memcpy(f->vm, p->source.vm, sizeof(f->vm));
		f->hwpt = p->hwpt_known ? &p->hwpt : NULL;
		f->owner_gone = p->source.owner_gone && p->source.owner_gone <= r->moment.id;
	}
	r->facts.sources = r->sources;
	r->facts.n_sources = r->n_present;
	return 0;
}

static int take_live(struct replay *r, struct iovab_error *e)
{
	const struct live_record *l;
	size_t n = 0;

	while ((l = row_of_moment(r, TABLE_LIVE))) {
		if (l->moment == r->moment.id) {
			if (n == IOVAB_MAX_REPORTS)
				return damaged(r, e, "more reports in flight than there can be");
			if (!array__grow(&r->live, n, &r->max_live, sizeof(*r->live)))
				return no_memory(e);
			r->live[n++] = l->live;
		}
		if (advance(r, TABLE_LIVE, e))
			return -1;
	}
	r->facts.live = r->live;
	r->facts.n_live = n;
	return 0;
}

static int take_windows(struct replay *r, struct iovab_error *e)
{
	const struct window_record *w;
	size_t n = 0;

	while ((w = row_of_moment(r, TABLE_WINDOW))) {
		if (n == MAX_EVENTS)
			return damaged(r, e, "more windows in a moment than there can be");
		if (!array__grow(&r->windows, n, &r->max_windows, sizeof(*r->windows)))
			return no_memory(e);
		r->windows[n] = w->window;
		r->windows[n++].kind = IOVAB_EVENT_WINDOW;
		if (advance(r, TABLE_WINDOW, e))
			return -1;
	}
	r->facts.windows = r->windows;
	r->facts.n_windows = n;
	return 0;
}

static int take_reports(struct replay *r, struct iovab_error *e)
{
	const struct report_record *w;
	size_t n = 0;

	while ((w = row_of_moment(r, TABLE_REPORT))) {
		if (n == MAX_EVENTS)
			return damaged(r, e, "more reports in a moment than there can be");
		if (!array__grow(&r->reports, n, &r->max_reports, sizeof(*r->reports)))
			return no_memory(e);
		r->reports[n] = w->report;
		r->reports[n++].kind = IOVAB_EVENT_REPORT;
		if (advance(r, TABLE_REPORT, e))
			return -1;
	}
	r->facts.reports = r->reports;
	r->facts.n_reports = n;
	return 0;
}

/* What can be calculated with. */
static bool chunk_possible(const struct iovab_chunk_fact *c)
{
	return c->size && c->size <= CHUNK_PACKED && c->length &&
	       c->iova + (c->length - 1) >= c->iova &&
	       c->page_size && !(c->page_size & (c->page_size - 1)) &&
	       c->cpu_page_size >= 4096 && !(c->cpu_page_size & (c->cpu_page_size - 1)) &&
	       c->cpu_page_size <= 1U << 20 && c->bitmap_offset < c->cpu_page_size;
}

static bool keep_data(struct replay *r, const struct iovab_chunk_fact *chunk)
{
	size_t max = r->max_chunk_bytes ? r->max_chunk_bytes : 2 * CHUNK_PACKED;
	unsigned char *data;

	while (max - r->chunk_bytes < chunk->size)
		max *= 2;
	if (max != r->max_chunk_bytes) {
		data = realloc(r->chunk_data, max);
		if (!data)
			return false;
		r->chunk_data = data;
		r->max_chunk_bytes = max;
	}
	memcpy(r->chunk_data + r->chunk_bytes, chunk->data, chunk->size);
	r->chunk_bytes += chunk->size;
	return true;
}

static int take_chunks(struct replay *r, struct iovab_error *e)
{
	const struct marks_record *m;
	size_t n = 0, i;

	/* the first of them was not read yet */
	if (r->want_marks && !r->marks_begun && r->cursors[TABLE_MARKS].stmt &&
	    advance(r, TABLE_MARKS, e))
		return -1;
	r->marks_begun = true;
	r->chunk_bytes = 0;
	while (r->want_marks && (m = row_of_moment(r, TABLE_MARKS))) {
		if (!chunk_possible(&m->chunk))
			return damaged(r, e, "impossible marks");
		if (r->chunk_bytes > MAX_CHUNK_BYTES)
			return damaged(r, e, "more marks in a moment than there can be");
		if (!array__grow(&r->chunks, n, &r->max_chunks, sizeof(*r->chunks)) ||
		    !keep_data(r, &m->chunk))
			return no_memory(e);
		r->chunks[n++] = m->chunk;
		if (advance(r, TABLE_MARKS, e))
			return -1;
	}
	for (i = 0, r->chunk_bytes = 0; i < n; i++) {
		r->chunks[i].data = r->chunk_data + r->chunk_bytes;
		r->chunk_bytes += r->chunks[i].size;
	}
	r->facts.chunks = r->chunks;
	r->facts.n_chunks = n;
	return 0;
}

/* A loss that this program does not know would be a figure that is not shown. */
static int take_losses(struct replay *r, struct iovab_error *e)
{
	const struct loss_record *l;

	while ((l = row_of_moment(r, TABLE_LOSS))) {
		unsigned int i = 0;

		while (i < MODEL_LOSSES && strncmp(model__loss_name(i), l->name, sizeof(l->name)))
			i++;
		if (i == MODEL_LOSSES)
			return damaged(r, e, "a kind of loss that this iovab does not know");
		model__set_loss(&r->facts.losses, i, l->value);
		if (advance(r, TABLE_LOSS, e))
			return -1;
	}
	return 0;
}

static int take_moment(struct replay *r, struct iovab_error *e)
{
	struct iovab_facts *f = &r->facts;
	const struct moment_record *m = &r->moment;

	if (m->tier < IOVAB_TIER_WINDOWS || m->tier > IOVAB_TIER_SETS)
		return damaged(r, e, "impossible tier %u", m->tier);
	if (m->state > IOVAB_STATE_ATTACHED || m->wall_ns >= 1000000000 ||
	    m->wall_s > 253402300799ULL /* the year 9999 */)
		return damaged(r, e, "impossible time or state");
	if (f->time_ns && m->time_ns <= f->time_ns)
		return damaged(r, e, "time goes backwards");
	f->time_ns = m->time_ns;
	f->wall.tv_sec = (time_t)m->wall_s;
	f->wall.tv_nsec = m->wall_ns;
	f->state = m->state;
	f->tier = m->tier;
	r->moment.generation[sizeof(r->moment.generation) - 1] = '\0';
	f->generation = r->moment.generation[0] ? r->moment.generation : NULL;
	f->cost = m->cost;
	f->cost.bpf_known = m->bpf_known;
	return 0;
}

void replay__want_marks(struct replay *r)
{
	r->want_marks = true;
}

const struct iovab_facts *replay__next(struct replay *r, struct iovab_error *e)
{
	const struct moment_record *m = r->cursors[TABLE_MOMENT].record;

	if (!r->cursors[TABLE_MOMENT].at_row)
		return NULL;
	if (m->id <= r->moment.id) {
		damaged(r, e, "moments are not in order");
		return NULL;
	}
	r->moment = *m;
	if (take_moment(r, e) || take_sources(r, e) || take_live(r, e) || take_windows(r, e) ||
	    take_reports(r, e) || take_chunks(r, e) || take_losses(r, e) || advance(r, TABLE_MOMENT, e))
		return NULL;
	return &r->facts;
}
