/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Two recordings side by side. They are seldom of the same length, so what is
 * compared are means: a report, a window, a mark; and what must not be at all.
 */
#ifndef IOVAB_DIFF_H
#define IOVAB_DIFF_H

#include <jansson.h>
#include <stdio.h>

#include "study.h"
#include "text.h"

struct diff_options {
	double threshold;	/* B is worse if a figure grew by more than this share */
	unsigned int width;
	enum text_charset charset;
	bool colour;
};

struct diff;

/* Compares; both studies must outlive it. NULL: no memory. */
struct diff *diff__new(const struct study *a, const struct study *b, double threshold);
void diff__free(struct diff *d);

/* How many figures of B are worse. */
size_t diff__worse(const struct diff *d);

/* Return 0, -ENOMEM or -errno of the output. */
int diff__write_text(FILE *out, const struct diff *d, const struct diff_options *o);
int diff__write_json(FILE *out, const struct diff *d);	/* schema iovab.diff/1 */

#endif /* IOVAB_DIFF_H */
