/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel knows of loaded programs of ours. */
#ifndef IOVAB_PROGRAMS_H
#define IOVAB_PROGRAMS_H

#include <linux/types.h>

struct bpf_object;

/* Sums over objects; begin with zeros. */
struct programs_sum {
	__u64 recursion_missed;		/* runs that the kernel's recursion guard skipped, ... */
	__u64 kprobes_missed;		/* ... and of these kprobes', of which older kernels do not tell */
	__u64 mark_runs, mark_run_ns;	/* of the programs on set, while the kernel times them */
};

/* Adds the programs of @obj that are loaded. */
void programs__add(const struct bpf_object *obj, struct programs_sum *sum);

#endif /* IOVAB_PROGRAMS_H */
