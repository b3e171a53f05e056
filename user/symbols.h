/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Symbols of the running kernel and its modules.
 *
 * The kernel is asked for each; where it hides addresses from us, it says nothing, and
 * the list of all symbols is read, which still has the names. (That list is text that
 * the kernel writes line by line, 100,000 and more: it takes longer than to load programs.)
 */
#ifndef IOVAB_SYMBOLS_H
#define IOVAB_SYMBOLS_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

struct symbol {
	const char *name;
	bool there;		/* from here on: the answer */
	__u64 addr;		/* 0: hidden from us */
};

void symbols__find(struct symbol *symbols, size_t n);

#endif /* IOVAB_SYMBOLS_H */
