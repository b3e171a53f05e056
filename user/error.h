/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Errors that end a program: one line for the user, and the exit code.
 *
 * The line says what failed, why, and what to do about it. It is written
 * where the context is known and printed once, by main.
 */
#ifndef IOVAB_ERROR_H
#define IOVAB_ERROR_H

/* Exit codes, as documented in docs/iovabtop.8. */
enum iovab_exit {
	IOVAB_EXIT_OK = 0,
	IOVAB_EXIT_FAILURE = 1,		/* out of memory, I/O, a defect */
	IOVAB_EXIT_USAGE = 2,		/* a wrong option or value */
	IOVAB_EXIT_PRIVILEGE = 3,	/* not root, a capability missing, lockdown */
	IOVAB_EXIT_NO_FACILITY = 4,	/* this kernel has no iova_bitmap */
	IOVAB_EXIT_NO_BPF = 5,		/* no BTF, or the kernel refuses the programs */
	IOVAB_EXIT_TERMINAL = 6,	/* a terminal that cannot show the table */
	IOVAB_EXIT_WORSE = 7,		/* iovab diff: the second recording is worse */
};

struct iovab_error {
	enum iovab_exit code;
	char text[512];
};

/* Fills @e; returns -1 so that "return error__set(...)" reads well. */
int error__set(struct iovab_error *e, enum iovab_exit code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif /* IOVAB_ERROR_H */
