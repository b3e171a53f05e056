/* SPDX-License-Identifier: GPL-2.0-only */
/* What happened to each device, in words, when all is over. */
#ifndef IOVAB_SUMMARY_H
#define IOVAB_SUMMARY_H

#include <stdio.h>

#include "text.h"

/*
 * Writes a block of lines for each device, what was lost if anything was, and
 * one sentence: of the windows that the kernel pinned, how many had nothing
 * dirty in them. @width: cells a line, at least 40; 0: lines of any length.
 * Returns 0 or -errno of the output.
 */
int summary__write(FILE *out, const struct iovab_snapshot *s, unsigned int width,
		   enum text_charset cs);

/* The block of one device alone, without the empty line behind it. */
void summary__write_row(FILE *out, const struct iovab_row *row, enum iovab_tier tier,
			unsigned int width, enum text_charset cs);

/* The reports in trouble alone; nothing if there were none. */
void summary__write_troubles(FILE *out, const struct iovab_snapshot *s, unsigned int width,
			     enum text_charset cs);
/* The sentence alone. */
/* What watching took, and what the budget had for consequences. */
void summary__write_budget(FILE *out, const struct iovab_snapshot *s, unsigned int width,
			   enum text_charset cs);

void summary__write_answer(FILE *out, const struct iovab_snapshot *s, unsigned int width,
			   enum text_charset cs);

#endif /* IOVAB_SUMMARY_H */
