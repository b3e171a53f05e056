/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which sources a program was asked to look at (--device, --pid). What is
 * filtered out reaches neither rows nor sums.
 */
#ifndef IOVAB_FILTER_H
#define IOVAB_FILTER_H

#include "facts.h"

struct filter;

/*
 * @device: a shell pattern for the device's or the vfioN's name, or NULL; it
 * must outlive the filter. @pid: of the owner, or 0. NULL with errno set.
 */
struct filter *filter__new(const char *device, __u32 pid);
void filter__free(struct filter *f);

/*
 * The facts that match. The result belongs to the filter and lives until the
 * next call; it is @facts itself where the filter lets everything through.
 * Losses and cost are the whole program's and stay as they are. NULL with
 * errno set.
 */
const struct iovab_facts *filter__apply(struct filter *f, const struct iovab_facts *facts);

#endif /* IOVAB_FILTER_H */
