/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Labels: what a device is called in Prometheus.
 *
 * client, device, driver and vm, each only where it is known. Never an address,
 * an IOVA or a pid: they would make a new series of each process and report. The
 * devices of a HWPT are one name, with commas between them.
 * The names are bytes that anybody may have chosen: quotes, backslashes and
 * newlines are escaped, and what is not UTF-8 becomes U+FFFD.
 */
#ifndef IOVAB_LABELS_H
#define IOVAB_LABELS_H

#include "model.h"

/* Enough for the labels of any row. */
#define LABELS_LEN	8192

/* The row's labels, without braces; "" if nothing of it is known. Returns their length. */
size_t labels__of_row(char buf[LABELS_LEN], const struct iovab_row *row);

/*
 * Appends a label to the @len bytes at @buf, with a comma if there are others; nothing
 * if @raw is empty. Returns the new length.
 */
size_t labels__append(char buf[LABELS_LEN], size_t len, const char *name, const char *raw,
		      size_t raw_size);

#endif /* IOVAB_LABELS_H */
