/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The options of all programs that attach: what to measure, and at what cost.
 *
 * A program's own structure of options begins with a struct measure, and its table
 * has those of the rows below that it takes.
 */
#ifndef IOVAB_MEASURE_H
#define IOVAB_MEASURE_H

#include "options.h"
#include "session.h"

struct measure {
	enum iovab_tier tier;
	bool automatic;			/* the tier: the highest that the budget allows */
	bool has_budget;		/* one was asked for: */
	__u64 budget_ppm;		/* parts of a CPU; 0: no limit */
	unsigned long max_rows;		/* 0: as many as there can be */
	bool kprobes, verbose;
};

/* Where nothing is asked for. */
#define MEASURE_DEFAULT		{ .tier = IOVAB_TIER_DENSITY }
/* Of a program that runs all the time, and of the tier auto. */
#define MEASURE_BUDGET_PPM	10000

#define MEASURE_TIER \
	{ "tier", 't', "TIER", "windows, density, sets or auto: what to measure, at what cost (density)", measure__set_tier }
#define MEASURE_BUDGET(usual) \
	{ "budget", 'C', "PERCENT", "of a CPU that the BPF programs may take, or off; above it a tier drops (" usual ")", measure__set_budget }
#define MEASURE_MAX_ROWS \
	{ "max-rows", 'm', "N", "follow at most so many devices and owners (2048); more count as lost", measure__set_max_rows }
#define MEASURE_KPROBES \
	{ "kprobes", 'k', NULL, "attach by kprobes, which is dearer, also where trampolines work", measure__set_kprobes }
#define MEASURE_VERBOSE(where) \
	{ "verbose", 'v', NULL, "also tell what is being done, and libbpf's messages" where, measure__set_verbose }

int measure__set_tier(void *target, const char *value, struct iovab_error *e);
int measure__set_budget(void *target, const char *value, struct iovab_error *e);
int measure__set_max_rows(void *target, const char *value, struct iovab_error *e);
int measure__set_kprobes(void *target, const char *value, struct iovab_error *e);
int measure__set_verbose(void *target, const char *value, struct iovab_error *e);

/* As a session takes them; @runs_always: the program is not watched by whoever started it. */
struct session_options measure__session(const struct measure *m, bool runs_always);

#endif /* IOVAB_MEASURE_H */
