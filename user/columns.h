/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The table's columns, as data: shared by the plain snapshot and the live view.
 */
#ifndef IOVAB_COLUMNS_H
#define IOVAB_COLUMNS_H

#include "model.h"
#include "text.h"

/* Which figures of a row a column shows. Identity and "now" are the same in both. */
enum columns_scope {
	COLUMNS_TOTAL,
	COLUMNS_INTERVAL,
};

/* By what a row sorts in a column. A key that is not KNOWN goes last, whatever the direction. */
struct columns_key {
	enum iovab_value_state state;
	const char *text;	/* raw; NULL: sorts by number */
	double number;
};

struct column {
	const char *name;	/* for --sort; lower case, one word */
	const char *title;	/* at most width cells, ASCII */
	const char *help;	/* what it shows, one line without a full stop */
	unsigned int width;	/* cells that it needs */
	unsigned int max_width;	/* cells that it takes when there is room */
	unsigned int priority;	/* 0: always there; else the highest is dropped first */
	bool right;		/* aligned to the right */
	bool descending;	/* natural order: largest first */
	bool bad;		/* anything but zero is something wrong: may be shown in red */
	enum iovab_tier tier;	/* the lowest that measures it */

	/* Writes the cell's text, escaped, not padded, maybe too long: see text__fit(). */
	void (*format)(char *buf, size_t size, const struct iovab_row *row,
		       enum columns_scope scope, enum text_charset cs);
	struct columns_key (*key)(const struct iovab_row *row, enum columns_scope scope);
};

#define COLUMNS_MAX	32
#define COLUMNS_CELL_LEN	TEXT_ESCAPED_LEN	/* enough for any format() */

size_t columns__count(void);
/* In the order of display. NULL if there is no such column. */
const struct column *columns__at(size_t i);
const struct column *columns__find(const char *name);

/* The columns that fit, from left to right, with one cell between two of them. */
struct columns_layout {
	size_t n;
	struct {
		const struct column *column;
		unsigned int width;
	} cols[COLUMNS_MAX];
};

/*
 * Chooses the columns for @width cells: those that @tier does not measure are
 * left out, then the least important until the rest fits, except @keep (may be
 * NULL; e.g. the one that is sorted by). What room is left goes to the columns
 * that can use it. Columns of priority 0 stay even if nothing fits.
 */
void columns__fit(struct columns_layout *layout, unsigned int width, enum iovab_tier tier,
		  const struct column *keep);

/* < 0: @a goes first. Never 0 for two rows: those alike stay in order of appearance. */
int columns__compare(const struct column *column, enum columns_scope scope, bool reverse,
		     const struct iovab_row *a, const struct iovab_row *b);

/* Sorts @n pointers to rows in the column's natural order, or the other way round. */
void columns__sort(const struct iovab_row **rows, size_t n, const struct column *column,
		   enum columns_scope scope, bool reverse);

/* True if the column is one of those and its value is known and not zero. */
/* True if the row's reports lost marks or overwrote memory: a guest may be corrupt. */
bool columns__row_is_bad(const struct iovab_row *row);

bool columns__is_bad(const struct column *column, const struct iovab_row *row,
		     enum columns_scope scope);

/* "live", "idle", "stale" or "new": what the STATE column says of a row. */
const char *columns__state(const struct iovab_row *row);

#endif /* IOVAB_COLUMNS_H */
