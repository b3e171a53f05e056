/* SPDX-License-Identifier: GPL-2.0-only */
/* What a policy would have pinned for the marks of a recording, as text and as JSON. */
#ifndef IOVAB_FOLLOW_VIEW_H
#define IOVAB_FOLLOW_VIEW_H

#include <stdio.h>

#include "follow.h"
#include "model.h"
#include "text.h"

struct follow_view {
	const struct follow *follow;
	const struct policy_options *policy;
	const struct iovab_snapshot *snapshot;	/* the last: its rows are shown */
	__u64 marks_missing;			/* from the whole recording, for whatever reason */
	unsigned int width;
	enum text_charset charset;
};

/* Both return 0, or -errno of the output. */
int follow_view__text(FILE *out, const struct follow_view *v);
/* A line for each row. */
int follow_view__json(FILE *out, const struct follow_view *v);

#endif /* IOVAB_FOLLOW_VIEW_H */
