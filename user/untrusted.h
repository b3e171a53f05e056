/* SPDX-License-Identifier: GPL-2.0-only */
/* A database that anybody may have made. */
#ifndef IOVAB_UNTRUSTED_H
#define IOVAB_UNTRUSTED_H

#include <sqlite3.h>

/* To be called before anything is asked of it. Returns sqlite's result. */
int untrusted__restrict(sqlite3 *db);

/* From now on it takes selects of tables, which may count rows, and nothing else. */
void untrusted__only_read(sqlite3 *db);

#endif /* IOVAB_UNTRUSTED_H */
