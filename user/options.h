/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Command lines from a table: parsing and --help read the same one.
 */
#ifndef IOVAB_OPTIONS_H
#define IOVAB_OPTIONS_H

#include <stdbool.h>
#include <stdio.h>

#include "error.h"
#include "iovab.h"

struct option_spec {
	const char *name;	/* long name; NULL ends the table */
	char letter;		/* short name, or 0 */
	const char *arg;	/* what --help calls its value; NULL: it takes none */
	const char *help;
	/* Sets the option in @target; @value is NULL without one. -1 with @e set. */
	int (*set)(void *target, const char *value, struct iovab_error *e);
};

/*
 * Takes @argv apart; words that are no options are an error. -1 with @e set:
 * the line names the option, what is wrong and what would be right.
 */
int options__parse(const struct option_spec *specs, void *target, int argc, char **argv,
		   struct iovab_error *e);
/*
 * The same for a program that takes words, too: they are at argv[*first] and
 * behind it. "--" ends the options.
 */
int options__parse_words(const struct option_spec *specs, void *target, int argc, char **argv,
			 int *first, struct iovab_error *e);

/* The table as the middle part of a --help. */
void options__print(const struct option_spec *specs, FILE *out);

/* Values. @name is the option's, for the error; -1 with @e set. */
int options__seconds(const char *name, const char *value, double *seconds,
		     struct iovab_error *e);
/* How many times as fast: more than nothing. */
int options__factor(const char *name, const char *value, double *factor, struct iovab_error *e);
/* Of a CPU: more than 100 is more than one of them. */
int options__percent(const char *name, const char *value, double *percent, struct iovab_error *e);
int options__count(const char *name, const char *value, unsigned long *count,
		   struct iovab_error *e);
/* Bytes, with K, M or G (of 1024) behind the number or without. */
int options__bytes(const char *name, const char *value, __u64 *bytes, struct iovab_error *e);
int options__tier(const char *name, const char *value, enum iovab_tier *tier,
		  struct iovab_error *e);

/* Says what option @name takes and that @value, which is escaped, is not that. Returns -1. */
int options__refuse_value(const char *name, const char *takes, const char *value,
			  struct iovab_error *e);

#endif /* IOVAB_OPTIONS_H */
