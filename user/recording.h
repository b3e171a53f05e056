/* SPDX-License-Identifier: GPL-2.0-only */
/* The file of a recording as a database: how it is made, and what is asked of it while it is written. */
#ifndef IOVAB_RECORDING_H
#define IOVAB_RECORDING_H

#include <linux/types.h>
#include <sqlite3.h>

#include "error.h"

/*
 * Makes the file with its schema and what it says of this machine and of
 * @command (or NULL). It appears whole, and not in place of another. -1 with @e
 * set, and no file.
 */
int recording__create(const char *path, const char *command, struct iovab_error *e);

/* Both return sqlite's result. */
int recording__run(sqlite3 *db, const char *sql);
int recording__set_meta(sqlite3 *db, const char *name, const char *value);
int recording__set_meta_number(sqlite3 *db, const char *name, __u64 value);

/* The one number that @sql asks for; 0 if that fails. */
__u64 recording__ask(sqlite3 *db, const char *sql);

/* Says in @e that one cannot @what the file, and why. Returns -1. */
int recording__fail(sqlite3 *db, const char *path, const char *what, struct iovab_error *e);

#endif /* IOVAB_RECORDING_H */
