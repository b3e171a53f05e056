/* SPDX-License-Identifier: GPL-2.0-only */
/* Lines for whoever runs the exporter, and the clock that its parts share. */
#ifndef IOVAB_LOG_H
#define IOVAB_LOG_H

#include <linux/types.h>

/* One line to stderr, with the program's name; the journal adds the time. */
void log__line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* CLOCK_MONOTONIC. */
__u64 log__clock_ns(void);

#endif /* IOVAB_LOG_H */
