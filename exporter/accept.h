/* SPDX-License-Identifier: GPL-2.0-only */
/* Which of the two formats a client's Accept header asks for. */
#ifndef IOVAB_ACCEPT_H
#define IOVAB_ACCEPT_H

#include "exposition.h"

/* @accept: the header's value, or NULL. OpenMetrics only if it is wanted at least as much as text. */
enum exposition_format accept__format(const char *accept);

#endif /* IOVAB_ACCEPT_H */
