/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The tables of a recording: which field of which record is which column.
 *
 * One description serves the writer, the reader and the schema itself; what the
 * columns mean is in docs/recording.md. A new counter is a new line here and
 * a new IOVAB_RECORDING_VERSION.
 */
#ifndef IOVAB_TABLES_H
#define IOVAB_TABLES_H

#include <sqlite3.h>

#include "facts.h"

/* In the file's header: whose format it is, and of which version. */
#define IOVAB_RECORDING_ID	0x494f5641	/* "IOVA" */
#define IOVAB_RECORDING_VERSION	2

#define IOVAB_GENERATION_LEN	128

/* A moment: the facts of one collection, but for what has tables of its own. */
struct moment_record {
	__u64 id;		/* from 1 on */
	__u64 time_ns;
	__u64 wall_s;
	__u32 wall_ns;
	__u32 state;
	__u32 tier;
	__u32 bpf_known;
	char generation[IOVAB_GENERATION_LEN];	/* "" while waiting */
	struct iovab_cost_fact cost;
};

/* A source: all of it that never changes, and when it went. */
struct source_record {
	__u64 number;		/* of the row, from 1 on: ids may come again */
	__u32 id;
	struct iovab_source_key key;
	char driver[IOVAB_DRIVER_LEN];
	char vfio[IOVAB_VFIO_LEN];
	char comm[IOVAB_COMM_LEN];
	char vm[IOVAB_VM_LEN];
	__u64 came;		/* the moments at which it was seen first, ... */
	__u64 owner_gone;	/* ... found without an owner, and ... */
	__u64 left;		/* ... no longer there; 0: never */
};

/* What a source had counted at a moment; written when it changed. */
struct counters_record {
	__u64 moment;
	__u64 source;		/* number */
	struct iovab_source counters;
};

/*
 * A device of a source that is an HWPT; those of one moment are all there are.
 * If there is none, or they are unknown, one row says so, without a name.
 */
struct attached_record {
	__u64 moment;
	__u64 source;		/* number */
	__u32 position;		/* in struct iovab_hwpt's names */
	__u32 known;		/* 0: nothing is known of them */
	__u32 attached;		/* as in struct iovab_hwpt: so many there are, ... */
	__u32 unknown;		/* ... or more */
	char device[IOVAB_DEVICE_LEN];
	char driver[IOVAB_DRIVER_LEN];
};

struct live_record {
	__u64 moment;
	struct iovab_live_fact live;
};

struct window_record {
	__u64 moment;		/* whose facts had the event */
	struct iovab_window_event window;
};

struct report_record {
	__u64 moment;
	struct iovab_report_event report;
};

struct marks_record {
	__u64 moment;
	struct iovab_chunk_fact chunk;	/* as it was read, its data belong to the select */
};

/* A loss that changed. */
struct loss_record {
	__u64 moment;
	char name[32];		/* as of model__loss_name() */
	__u64 value;
};

enum table_id {
	TABLE_MOMENT,
	TABLE_SOURCE,
	TABLE_COUNTERS,
	TABLE_ATTACHED,
	TABLE_LIVE,
	TABLE_WINDOW,
	TABLE_REPORT,
	TABLE_LOSS,
	TABLE_MARKS,
	TABLES
};

const char *tables__name(enum table_id t);

/* SQL text, to be freed by the caller; NULL: no memory. */
char *tables__create_sql(enum table_id t);
char *tables__insert_sql(enum table_id t);
/* All rows of a recording of format @version, in the order of their writing. */
char *tables__select_sql(enum table_id t, int version);

/* The first format that has the table; others have nothing to select from. */
int tables__since(enum table_id t);

/* Binds a record to the parameters of its insert. 0 or an error of sqlite. */
int tables__bind(enum table_id t, sqlite3_stmt *insert, const void *record);

/*
 * Fills in a record, of which nothing is left as it was, from a row of its
 * select. Returns NULL, or the name of the column that holds what cannot be.
 */
const char *tables__read(enum table_id t, sqlite3_stmt *select, void *record);

size_t tables__record_size(enum table_id t);

#endif /* IOVAB_TABLES_H */
