// SPDX-License-Identifier: GPL-2.0-only
/*
 * Numbers are stored in sqlite's signed 64 bits: what is above 2^63 - 1 comes
 * out negative there, and right here. Names are whatever bytes the kernel and
 * /proc gave, as text.
 */
#include "tables.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pack.h"

enum kind {
	KIND_U64,
	KIND_U32,
	KIND_U16,
	KIND_U8,
	KIND_TEXT,	/* @n bytes */
	KIND_COUNTS64,	/* @n of them, packed */
	KIND_COUNTS32,
	KIND_BLOB,	/* a pointer, and a size_t behind it */
	KIND_KEY,	/* KIND_U64, the table's primary key */
};

struct column {
	const char *name;
	enum kind kind;
	size_t offset;
	size_t n;
	int since;	/* the version of the format that has it first; 0: all have it */
};

/* What @n means to a column's kind: elements of @size bytes in the field. */
#define COLUMN(type, field, name, kind, size) \
	{ name, KIND_##kind, offsetof(struct type, field), \
	  sizeof(((struct type *)0)->field) / (size), 0 }
#define NUMBER(type, field, name, kind, size, since)					\
	{ name, KIND_##kind, offsetof(struct type, field) +				\
	  0 * sizeof(char[sizeof(((struct type *)0)->field) == (size) ? 1 : -1]), 1, since }

#define U64(type, field, name)		NUMBER(type, field, name, U64, 8, 0)
#define U32(type, field, name)		NUMBER(type, field, name, U32, 4, 0)
#define U8(type, field, name)		NUMBER(type, field, name, U8, 1, 0)
#define KEY(type, field, name)		NUMBER(type, field, name, KEY, 8, 0)
/* Columns that came later; an older recording has 0 there. */
#define U64_SINCE(v, type, field, name)	NUMBER(type, field, name, U64, 8, v)
#define U32_SINCE(v, type, field, name)	NUMBER(type, field, name, U32, 4, v)
#define U8_SINCE(v, type, field, name)	NUMBER(type, field, name, U8, 1, v)
#define U16_SINCE(v, type, field, name)	NUMBER(type, field, name, U16, 2, v)
#define BLOB(type, field, name)		COLUMN(type, field, name, BLOB, sizeof(void *))
#define TEXT(type, field, name)		COLUMN(type, field, name, TEXT, 1)
#define COUNTS64(type, field, name)	COLUMN(type, field, name, COUNTS64, 8)
#define COUNTS32(type, field, name)	COLUMN(type, field, name, COUNTS32, 4)

static const struct column moment_columns[] = {
	KEY(moment_record, id, "id"),
	U64(moment_record, time_ns, "time_ns"),
	U64(moment_record, wall_s, "wall_s"),
	U32(moment_record, wall_ns, "wall_ns"),
	U32(moment_record, state, "state"),
	U32(moment_record, tier, "tier"),
	TEXT(moment_record, generation, "generation"),
	U64(moment_record, cost.collector_cpu_ns, "collector_cpu_ns"),
	U32(moment_record, bpf_known, "bpf_known"),
	U64(moment_record, cost.bpf_run_ns, "bpf_run_ns"),
	U64(moment_record, cost.bpf_sampled_ns, "bpf_sampled_ns"),
	U64_SINCE(2, moment_record, cost.bpf_runs, "bpf_runs"),
	U64_SINCE(2, moment_record, budget.limit_ppm, "budget_ppm"),
	U64_SINCE(2, moment_record, budget.share_ppm, "share_ppm"),
	U32_SINCE(2, moment_record, budget.tier, "tier_now"),
	U64_SINCE(2, moment_record, budget.drops, "tier_drops"),
	U32_SINCE(2, moment_record, budget.over, "over_budget"),
};

static const struct column source_columns[] = {
	KEY(source_record, number, "number"),
	U32(source_record, id, "id"),
	U8(source_record, key.client, "client"),
	U8(source_record, key.implementation, "implementation"),
	U32(source_record, key.pid, "pid"),
	U64(source_record, key.owner_start_ns, "owner_start_ns"),
	U32(source_record, key.hwpt, "hwpt"),
	U64(source_record, key.context, "context"),
	TEXT(source_record, key.device, "device"),
	TEXT(source_record, driver, "driver"),
	TEXT(source_record, vfio, "vfio"),
	TEXT(source_record, comm, "comm"),
	TEXT(source_record, vm, "vm"),
	U64(source_record, came, "came"),
	U64(source_record, owner_gone, "owner_gone"),
	U64(source_record, left, "left"),
};

#define C64(field)	U64(counters_record, counters.field, #field)

static const struct column counters_columns[] = {
	U64(counters_record, moment, "moment"),
	U64(counters_record, source, "source"),
	C64(last_iova),
	C64(last_length),
	C64(last_page_size),
	C64(last_end_ns),
	U32(counters_record, counters.last_phase, "last_phase"),
	C64(reports),
	C64(report_errors),
	C64(range_bytes),
	C64(rounds),
	C64(windows),
	C64(repins),
	C64(pages_pinned),
	C64(pin_failures),
	COUNTS64(counters_record, counters.phase_reports, "phase_reports"),
	COUNTS64(counters_record, counters.phase_ns, "phase_ns"),
	C64(windows_clean),
	C64(scan_skipped),
	C64(dirty_bytes),
	C64(set_calls),
	C64(marked_bytes),
	C64(lost_bytes),
	COUNTS64(counters_record, counters.lost_by, "lost_by"),
	C64(overshoot_bytes),
	C64(stray_bits),
	C64(empty_marks),
	C64(wild_marks),
	C64(what_if_reports),
	COUNTS64(counters_record, counters.what_if, "what_if"),
	C64(marks_ascending),
	C64(marks_descending),
	C64(marks_overlapping),
	U64(counters_record, counters.report.sum_ns, "report_ns_sum"),
	U64(counters_record, counters.report.min_ns, "report_ns_min"),
	U64(counters_record, counters.report.max_ns, "report_ns_max"),
	COUNTS64(counters_record, counters.report.bucket, "report_ns"),
	U64(counters_record, counters.pin.sum_ns, "pin_ns_sum"),
	U64(counters_record, counters.pin.min_ns, "pin_ns_min"),
	U64(counters_record, counters.pin.max_ns, "pin_ns_max"),
	COUNTS64(counters_record, counters.pin.bucket, "pin_ns"),
	COUNTS64(counters_record, counters.density, "density"),
	C64(density_sum),
	COUNTS64(counters_record, counters.runs, "runs"),
	U64_SINCE(2, counters_record, counters.below_density, "below_density"),
	U64_SINCE(2, counters_record, counters.below_sets, "below_sets"),
};

/* Id and names are in the table of sources, and folds say nothing of a whole copy. */
#define COUNTERS	29
_Static_assert(sizeof(struct iovab_source) ==
	       8 + 8 + IOVAB_DRIVER_LEN + IOVAB_VFIO_LEN + IOVAB_COMM_LEN + 8 * COUNTERS +
	       8 * (IOVAB_RUN_BUCKETS + IOVAB_DENSITY_BUCKETS) +
	       8 * (2 * IOVAB_PHASES + IOVAB_LOST_REASONS) +
	       IOVAB_POLICIES * sizeof(struct iovab_pins) +
	       2 * sizeof(struct iovab_latency) + 8,
	       "every counter has its column, or the version goes up with a new one");

static const struct column attached_columns[] = {
	U64(attached_record, moment, "moment"),
	U64(attached_record, source, "source"),
	U32(attached_record, position, "position"),
	U32(attached_record, known, "known"),
	U32(attached_record, attached, "attached"),
	U32(attached_record, unknown, "unknown"),
	TEXT(attached_record, device, "device"),
	TEXT(attached_record, driver, "driver"),
};

static const struct column live_columns[] = {
	U64(live_record, moment, "moment"),
	U32(live_record, live.source_id, "source_id"),
	U32(live_record, live.pages_pinned, "pages_pinned"),
	U64(live_record, live.start_ns, "start_ns"),
};

static const struct column window_columns[] = {
	U64(window_record, moment, "moment"),
	U32(window_record, window.source_id, "source_id"),
	U64(window_record, window.report, "report"),
	U64(window_record, window.start_ns, "start_ns"),
	U64(window_record, window.end_ns, "end_ns"),
	U64(window_record, window.iova, "iova"),
	U64(window_record, window.length, "length"),
	U64(window_record, window.page_size, "page_size"),
	U32(window_record, window.pages, "pages_pinned"),
	U64(window_record, window.dirty_pages, "dirty_pages"),
	U32(window_record, window.scan_skipped, "scan_skipped"),
	U32(window_record, window.cell_shift, "cell_shift"),
	COUNTS32(window_record, window.cells, "cells"),
};

#define R64(field)	U64(report_record, report.field, #field)

static const struct column report_columns[] = {
	U64(report_record, moment, "moment"),
	U32(report_record, report.source_id, "source_id"),
	R64(report),
	R64(start_ns),
	R64(end_ns),
	R64(own_ns),
	R64(iova),
	R64(length),
	R64(page_size),
	U32(report_record, report.error, "error"),
	U8(report_record, report.phase, "phase"),
	R64(windows),
	R64(windows_clean),
	R64(repins),
	R64(pages_pinned),
	R64(pin_failures),
	R64(pin_ns),
	R64(scan_skipped),
	R64(dirty_pages),
	R64(set_calls),
	R64(marked_pages),
	R64(lost_pages),
	R64(overshoot_pages),
	R64(stray_bits),
	R64(empty_marks),
	R64(wild_marks),
	COUNTS64(report_record, report.lost_by, "lost_by"),
	R64(lost_iova),
	U8_SINCE(2, report_record, report.tier, "tier"),
	U32_SINCE(2, report_record, report.cpu_page_size, "cpu_page_size"),
	U32_SINCE(2, report_record, report.bitmap_offset, "bitmap_offset"),
	U16_SINCE(2, report_record, report.logging, "logging"),
};

_Static_assert(sizeof(struct iovab_report_event) ==
	       8 /* kind, source_id */ + 8 /* error, phase, logging */ + 26 * 8 +
	       8 /* of the CPU and the bitmap */,
	       "every field of a report has its column");

static const struct column loss_columns[] = {
	U64(loss_record, moment, "moment"),
	TEXT(loss_record, name, "name"),
	U64(loss_record, value, "value"),
};

static const struct column marks_columns[] = {
	U64(marks_record, moment, "moment"),
	U32(marks_record, chunk.source_id, "source_id"),
	U64(marks_record, chunk.report, "report"),
	U64(marks_record, chunk.iova, "iova"),
	U64(marks_record, chunk.length, "length"),
	U64(marks_record, chunk.page_size, "page_size"),
	U32(marks_record, chunk.cpu_page_size, "cpu_page_size"),
	U32(marks_record, chunk.bitmap_offset, "bitmap_offset"),
	U64(marks_record, chunk.marks, "marks"),
	U64(marks_record, chunk.runs, "runs"),
	BLOB(marks_record, chunk.data, "data"),
};

_Static_assert(offsetof(struct iovab_chunk_fact, size) ==
	       offsetof(struct iovab_chunk_fact, data) + sizeof(void *), "as KIND_BLOB wants it");

static const struct table {
	const char *name;
	const struct column *columns;
	size_t n;
	size_t record_size;
	int since;
} tables[] = {
#define TABLE(name, since) \
	{ #name, name##_columns, sizeof(name##_columns) / sizeof(name##_columns[0]), \
	  sizeof(struct name##_record), since }
	[TABLE_MOMENT] = TABLE(moment, 1),
	[TABLE_SOURCE] = TABLE(source, 1),
	[TABLE_COUNTERS] = TABLE(counters, 1),
	[TABLE_ATTACHED] = TABLE(attached, 1),
	[TABLE_LIVE] = TABLE(live, 1),
	[TABLE_WINDOW] = TABLE(window, 1),
	[TABLE_REPORT] = TABLE(report, 1),
	[TABLE_LOSS] = TABLE(loss, 1),
	[TABLE_MARKS] = TABLE(marks, 2),
};

const char *tables__name(enum table_id t)
{
	return tables[t].name;
}

size_t tables__record_size(enum table_id t)
{
	return tables[t].record_size;
}

int tables__since(enum table_id t)
{
	return tables[t].since;
}

static const char *declared_type(enum kind kind)
{
	switch (kind) {
	case KIND_TEXT:
		return "TEXT NOT NULL";
	case KIND_COUNTS64:
	case KIND_COUNTS32:
	case KIND_BLOB:
		return "BLOB NOT NULL";
	case KIND_KEY:
		return "INTEGER PRIMARY KEY";
	default:
		return "INTEGER NOT NULL";
	}
}

/* What stands for a column in the three statements. */
enum form { FORM_DECLARED, FORM_NAME, FORM_PARAMETER };

/* Of a recording of format @version: what it does not have is 0. */
static void put_columns(FILE *out, const struct table *t, enum form form, int version)
{
	size_t i;

	for (i = 0; i < t->n; i++) {
		fputs(i ? ", " : "", out);
		if (form == FORM_PARAMETER)
			fputc('?', out);
		else if (t->columns[i].since > version)
			fputc('0', out);
		else
			fprintf(out, "\"%s\"", t->columns[i].name);
		if (form == FORM_DECLARED)
			fprintf(out, " %s", declared_type(t->columns[i].kind));
	}
}

static char *statement(const struct table *t, const char *before, enum form form, int version,
		       const char *after)
{
	char *sql = NULL;
	size_t size;
	FILE *out = open_memstream(&sql, &size);

	if (!out)
		return NULL;
	fprintf(out, before, t->name);
	put_columns(out, t, form, version);
	fprintf(out, after, t->name);
	if (!fclose(out))
		return sql;
	free(sql);
	return NULL;
}

char *tables__create_sql(enum table_id t)
{
	return statement(&tables[t], "CREATE TABLE \"%s\" (", FORM_DECLARED,
			 IOVAB_RECORDING_VERSION, ")");
}

char *tables__insert_sql(enum table_id t)
{
	return statement(&tables[t], "INSERT INTO \"%s\" VALUES (", FORM_PARAMETER,
			 IOVAB_RECORDING_VERSION, ")");
}

char *tables__select_sql(enum table_id t, int version)
{
	return statement(&tables[t], "SELECT ", FORM_NAME, version, " FROM \"%s\" ORDER BY rowid");
}

static int bind_column(sqlite3_stmt *stmt, int at, const struct column *c, const void *field)
{
	unsigned char blob[PACK_MAX(IOVAB_HIST_BUCKETS)];

	_Static_assert(IOVAB_HIST_BUCKETS >= IOVAB_CELLS, "room for every blob");
	switch (c->kind) {
	case KIND_U64:
	case KIND_KEY:
		return sqlite3_bind_int64(stmt, at, (sqlite3_int64)*(const __u64 *)field);
	case KIND_U32:
		return sqlite3_bind_int64(stmt, at, *(const __u32 *)field);
	case KIND_U16:
		return sqlite3_bind_int64(stmt, at, *(const __u16 *)field);
	case KIND_U8:
		return sqlite3_bind_int64(stmt, at, *(const __u8 *)field);
	case KIND_TEXT:
		return sqlite3_bind_text(stmt, at, field, (int)strnlen(field, c->n),
					 SQLITE_STATIC);
	case KIND_COUNTS64:
		return sqlite3_bind_blob(stmt, at, blob, (int)pack__u64(blob, field, c->n),
					 SQLITE_TRANSIENT);
	case KIND_COUNTS32:
		return sqlite3_bind_blob(stmt, at, blob, (int)pack__u32(blob, field, c->n),
					 SQLITE_TRANSIENT);
	case KIND_BLOB:
		return sqlite3_bind_blob64(stmt, at, ((void *const *)field)[0],
					   ((const size_t *)field)[1], SQLITE_STATIC);
	}
	return SQLITE_MISUSE;
}

int tables__bind(enum table_id t, sqlite3_stmt *insert, const void *record)
{
	size_t i;
	int err = SQLITE_OK;

	for (i = 0; i < tables[t].n && !err; i++)
		err = bind_column(insert, (int)i + 1, &tables[t].columns[i],
				  (const char *)record + tables[t].columns[i].offset);
	return err;
}

/* Reads the column; false if it holds what the field cannot. */
static bool read_column(sqlite3_stmt *stmt, int at, const struct column *c, void *field)
{
	sqlite3_int64 v = sqlite3_column_int64(stmt, at);
	const void *blob;
	size_t size;

	switch (c->kind) {
	case KIND_U64:
	case KIND_KEY:
		*(__u64 *)field = (__u64)v;
		return true;
	case KIND_U32:
		*(__u32 *)field = (__u32)v;
		return v >= 0 && v <= 0xffffffffLL;
	case KIND_U16:
		*(__u16 *)field = (__u16)v;
		return v >= 0 && v <= 0xffff;
	case KIND_U8:
		*(__u8 *)field = (__u8)v;
		return v >= 0 && v <= 0xff;
	default:
		break;
	}
	/* the pointer first: it may convert, and the size is that of the result */
	blob = c->kind == KIND_TEXT ? sqlite3_column_text(stmt, at) : sqlite3_column_blob(stmt, at);
	size = (size_t)sqlite3_column_bytes(stmt, at);
	if (c->kind == KIND_COUNTS64)
		return !unpack__u64(field, c->n, blob, size);
	if (c->kind == KIND_COUNTS32)
		return !unpack__u32(field, c->n, blob, size);
	if (size && !blob)
		return false;
	if (c->kind == KIND_BLOB) {
		((const void **)field)[0] = blob;
		((size_t *)field)[1] = size;
		return true;
	}
	/* a name may fill its field to the last byte */
	if (size > c->n)
		return false;
	if (size)
		memcpy(field, blob, size);
	return true;
}

const char *tables__read(enum table_id t, sqlite3_stmt *select, void *record)
{
	size_t i;

	memset(record, 0, tables[t].record_size);
	for (i = 0; i < tables[t].n; i++) {
		const struct column *c = &tables[t].columns[i];

		if (!read_column(select, (int)i, c, (char *)record + c->offset))
			return c->name;
	}
	return NULL;
}
