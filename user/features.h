/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Features: what this kernel has of the facility, and whether we may look.
 *
 * Everything is asked of BTF and of the running kernel, nothing of its
 * version: distributions carry patches back.
 */
#ifndef IOVAB_FEATURES_H
#define IOVAB_FEATURES_H

#include <stdbool.h>

#include "error.h"
#include "iovab.h"

struct features {
	bool present;			/* the facility is there now */
	bool expected;			/* not yet: it may come with the module vfio */
	char where[64];			/* "vmlinux" or the module's name */
	enum iovab_generation generation;
	__u32 index_bytes;		/* of user bitmap that an index counts */
};

/*
 * What the process may do: -1 with the missing capabilities, the lockdown or
 * the lack of BTF named in @e. Cheap; asks nothing of the facility.
 */
int features__check_access(struct iovab_error *e);

/*
 * Looks for the facility. -1 with @e set if it is not there and will not come
 * (no kernel module that could bring it), or is of a kind that we do not know.
 */
int features__probe(struct features *f, struct iovab_error *e);

/* True once the module that may bring the facility is loaded. Cheap. */
bool features__module_loaded(void);

/* A few words for the header of a view. */
const char *features__describe(enum iovab_generation g);

#endif /* IOVAB_FEATURES_H */
