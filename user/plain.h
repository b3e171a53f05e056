/* SPDX-License-Identifier: GPL-2.0-only */
/* The table as plain text, for --batch and for what is no terminal. */
#ifndef IOVAB_PLAIN_H
#define IOVAB_PLAIN_H

#include <stdio.h>

#include "columns.h"

struct plain_options {
	unsigned int width;		/* cells a line; at least 40 */
	enum text_charset charset;
	enum columns_scope scope;
	const struct column *sort;	/* NULL: in order of appearance */
	bool reverse;
};

/*
 * Writes the header and the table, and an empty line behind. A value that is
 * not measured is "-", an unknown one "?"; stale rows say so in their STATE.
 * Returns 0, -ENOMEM, or -errno of the output.
 */
int plain__write(FILE *out, const struct iovab_snapshot *s, const struct plain_options *o);

/*
 * The lines that say what is missing from the totals, for people: nothing if
 * nothing is, and then it returns false. @width as in struct flow.
 */
bool plain__write_losses(FILE *out, const struct iovab_snapshot *s, size_t width,
			 enum text_charset cs);

#endif /* IOVAB_PLAIN_H */
