/* SPDX-License-Identifier: GPL-2.0-only */
/* One HTML file of all that a recording says: opens offline, asks nobody for anything. */
#ifndef IOVAB_PAGE_H
#define IOVAB_PAGE_H

#include <stdbool.h>
#include <stdio.h>

#include "study.h"

/* False if this build has no chart library to embed. */
bool page__available(void);

/* Returns 0, -ENOMEM, or -errno of the output. */
int page__write(FILE *out, const struct study *s);

#endif /* IOVAB_PAGE_H */
