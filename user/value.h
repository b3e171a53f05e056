/* SPDX-License-Identifier: GPL-2.0-only */
/* Figures that may not be there. */
#ifndef IOVAB_VALUE_H
#define IOVAB_VALUE_H

#include <linux/types.h>

/*
 * A figure is not just a number. "Not measured" (this tier does not look),
 * "unknown" (it looked and could not see, so that any number would be wrong)
 * and zero are different things, and every view shows them differently.
 */
enum iovab_value_state {
	IOVAB_VALUE_NOT_MEASURED = 0,
	IOVAB_VALUE_UNKNOWN,
	IOVAB_VALUE_KNOWN,
};

struct iovab_value {
	enum iovab_value_state state;
	__u64 v;
};

struct iovab_ratio {
	enum iovab_value_state state;
	double v;
};

#endif /* IOVAB_VALUE_H */
