/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel knows of the programs of an object. */
#ifndef IOVAB_PROGRAMS_H
#define IOVAB_PROGRAMS_H

#include <linux/types.h>

struct bpf_object;

/* Runs of its loaded programs that the kernel's recursion guard skipped. NULL: 0. */
__u64 programs__skipped(const struct bpf_object *obj);

#endif /* IOVAB_PROGRAMS_H */
