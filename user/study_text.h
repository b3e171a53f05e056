/* SPDX-License-Identifier: GPL-2.0-only */
/* What a recording says, in words, for a terminal or a file. */
#ifndef IOVAB_STUDY_TEXT_H
#define IOVAB_STUDY_TEXT_H

#include <stdio.h>

#include "study.h"
#include "text.h"

struct study_text_options {
	unsigned int width;		/* cells a line; 0: no limit */
	enum text_charset charset;
	bool colour;			/* what is wrong in red */
	__u64 bandwidth;		/* bytes a second that the migration may send; 0: not said */
};

/* Returns 0 or -errno of the output. */
int study_text__write(FILE *out, const struct study *s, const struct study_text_options *o);

/* "2026-01-02 03:04:05 UTC", of a moment of CLOCK_MONOTONIC in the recording; @size at least 40. */
char *study_text__time(char *buf, size_t size, const struct study *s, __u64 ns);

#endif /* IOVAB_STUDY_TEXT_H */
