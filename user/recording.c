// SPDX-License-Identifier: GPL-2.0-only
/*
 * A recording is made under another name beside its own, gets its schema there,
 * and then its name: whoever looks finds it whole or not at all.
 */
#include "recording.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "tables.h"
#include "text.h"

int recording__run(sqlite3 *db, const char *sql)
{
	return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

__u64 recording__ask(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *stmt;
	__u64 v = 0;

	if (sqlite3_prepare_v2(db, sql, -1, &stmt, NULL))
		return 0;
	if (sqlite3_step(stmt) == SQLITE_ROW)
		v = (__u64)sqlite3_column_int64(stmt, 0);
	sqlite3_finalize(stmt);
	return v;
}

int recording__set_meta(sqlite3 *db, const char *name, const char *value)
{
	sqlite3_stmt *stmt;
	int err = sqlite3_prepare_v2(db, "INSERT OR REPLACE INTO meta VALUES (?, ?)", -1, &stmt, NULL);

	if (err)
		return err;
	sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
	sqlite3_bind_text(stmt, 2, value, -1, SQLITE_STATIC);
	sqlite3_step(stmt);
	return sqlite3_finalize(stmt);
}

int recording__set_meta_number(sqlite3 *db, const char *name, __u64 value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return recording__set_meta(db, name, text);
}

int recording__fail(sqlite3 *db, const char *path, const char *what, struct iovab_error *e)
{
	char safe[TEXT_ESCAPED_LEN];

	text__escape(safe, sizeof(safe), path, strlen(path), TEXT_ASCII);
	return error__set(e, IOVAB_EXIT_FAILURE, "cannot %s '%.200s': %s", what, safe,
			  sqlite3_errmsg(db));
}

/* --- making it --- */

static int create_tables(sqlite3 *db)
{
	char header[128];
	enum table_id t;
	int err;

	snprintf(header, sizeof(header), "PRAGMA application_id=%d; PRAGMA user_version=%d;"
		 "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
		 IOVAB_RECORDING_ID, IOVAB_RECORDING_VERSION);
	err = recording__run(db, header);
	for (t = 0; t < TABLES && !err; t++) {
		char *sql = tables__create_sql(t);

		err = sql ? recording__run(db, sql) : SQLITE_NOMEM;
		free(sql);
	}
	return err;
}

static int describe(sqlite3 *db, const char *command)
{
	struct utsname u;
	int err;

	err = recording__set_meta(db, "program", "iovab " IOVAB_VERSION);
	if (!err && !uname(&u)) {
		err = recording__set_meta(db, "host", u.nodename);
		err = err ? err : recording__set_meta(db, "kernel", u.release);
		err = err ? err : recording__set_meta(db, "machine", u.machine);
	}
	if (!err && command)
		err = recording__set_meta(db, "command", command);
	return err;
}

static int write_schema(sqlite3 *db, const char *command)
{
	int err = recording__run(db, "PRAGMA synchronous=OFF; BEGIN");

	err = err ? err : create_tables(db);
	err = err ? err : describe(db, command);
	/* the file begins its life with a log: changing to one later could be interrupted */
	return err ? err : recording__run(db, "COMMIT; PRAGMA journal_mode=WAL");
}

/* -1 with @e set; it tells of @path, for the draft is nobody's business. */
static int make_draft(const char *draft, const char *path, const char *command,
		      struct iovab_error *e)
{
	sqlite3 *db = NULL;
	int err = 0;

	if (sqlite3_open_v2(draft, &db, SQLITE_OPEN_READWRITE, NULL) || write_schema(db, command))
		err = recording__fail(db, path, "make", e);
	sqlite3_close(db);
	return err;
}

/* Gives the draft its name, if nobody has it. 0 or -errno. */
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

static int cannot_make(const char *path, int err, struct iovab_error *e)
{
	char safe[TEXT_ESCAPED_LEN];

	text__escape(safe, sizeof(safe), path, strlen(path), TEXT_ASCII);
	if (err == -EEXIST)
		return error__set(e, IOVAB_EXIT_FAILURE,
				  "'%.200s' is there already: name another file, or remove it", safe);
	return error__set(e, IOVAB_EXIT_FAILURE, "cannot make '%.200s': %s", safe, strerror(-err));
}

int recording__create(const char *path, const char *command, struct iovab_error *e)
{
	char *draft;
	int fd, err;

	if (asprintf(&draft, "%s.XXXXXX", path) < 0)
		return error__set(e, IOVAB_EXIT_FAILURE, "out of memory");
	fd = mkstemp(draft);	/* readable for its owner only */
	if (fd < 0) {
		err = cannot_make(path, -errno, e);
		free(draft);
		return err;
	}
	close(fd);
	err = make_draft(draft, path, command, e);
	if (!err) {
		err = publish(draft, path);
		err = err ? cannot_make(path, err, e) : 0;
	}
	unlink(draft);
	free(draft);
	return err;
}
