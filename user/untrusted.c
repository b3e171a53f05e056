// SPDX-License-Identifier: GPL-2.0-only
/*
 * A schema can hold code: views, triggers, functions in either, virtual tables.
 * A statement that looks harmless would run it, for ever if that is what it
 * does. So sqlite is told to run nothing that comes with the file: views and
 * triggers are off, and an authorizer lets through what our own statements do,
 * which is to read columns. Cells are checked as they are read, and a row may
 * take only so much memory.
 */
#include "untrusted.h"

#include <stddef.h>
#include <string.h>

/* Bytes of a row or a text; ours have some kilobytes, a command line may be long. */
#define MAX_ROW		(1 << 20)

int untrusted__restrict(sqlite3 *db)
{
	sqlite3_limit(db, SQLITE_LIMIT_LENGTH, MAX_ROW);
	sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_limit(db, SQLITE_LIMIT_TRIGGER_DEPTH, 0);
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	/* else the name of a column that is not there would be taken for a text */
	sqlite3_db_config(db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	sqlite3_busy_timeout(db, 2000);
	return sqlite3_exec(db, "PRAGMA cell_size_check=ON; PRAGMA mmap_size=0", NULL, NULL, NULL);
}

static int authorize(void *unused, int action, const char *a, const char *b, const char *db,
		     const char *trigger)
{
	switch (action) {
	case SQLITE_SELECT:
		return SQLITE_OK;
	case SQLITE_FUNCTION:
		return b && !strcmp(b, "count") ? SQLITE_OK : SQLITE_DENY;
	case SQLITE_READ:
		/* inside a view or trigger: not one of our statements */
		return trigger ? SQLITE_DENY : SQLITE_OK;
	default:
		return SQLITE_DENY;
	}
}

void untrusted__only_read(sqlite3 *db)
{
	sqlite3_set_authorizer(db, authorize, NULL);
}
