/* SPDX-License-Identifier: GPL-2.0-only */
/* A question to symbol.bpf.c, and its answer. */
#ifndef IOVAB_SYMBOL_H
#define IOVAB_SYMBOL_H

#include <linux/types.h>

struct symbol_question {
	char name[64];		/* zeros behind it */
	__u64 addr;
};

#endif /* IOVAB_SYMBOL_H */
