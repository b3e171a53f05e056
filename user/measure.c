// SPDX-License-Identifier: GPL-2.0-only
#include "measure.h"

#include <string.h>

int measure__set_tier(void *target, const char *value, struct iovab_error *e)
{
	struct measure *m = target;

	m->automatic = !strcmp(value, "auto");
	if (!m->automatic)
		return options__tier("tier", value, &m->tier, e);
	m->tier = IOVAB_TIER_SETS;
	return 0;
}

int measure__set_budget(void *target, const char *value, struct iovab_error *e)
{
	struct measure *m = target;
	double percent = 0;

	if (strcmp(value, "off") && options__percent("budget", value, &percent, e))
		return -1;
	m->has_budget = true;
	m->budget_ppm = (__u64)(percent * 1e4 + 0.5);
	return 0;
}

int measure__set_max_rows(void *target, const char *value, struct iovab_error *e)
{
	struct measure *m = target;

	if (options__count("max-rows", value, &m->max_rows, e))
		return -1;
	if (m->max_rows > IOVAB_MAX_SOURCES)
		return options__refuse_value("max-rows", "at most 2048", value, e);
	return 0;
}

int measure__set_kprobes(void *target, const char *value, struct iovab_error *e)
{
	((struct measure *)target)->kprobes = true;
	return 0;
}

int measure__set_verbose(void *target, const char *value, struct iovab_error *e)
{
	((struct measure *)target)->verbose = true;
	return 0;
}

struct session_options measure__session(const struct measure *m, bool runs_always)
{
	struct session_options so = {
		.tier = m->tier,
		.budget_ppm = m->budget_ppm,
		.max_sources = m->max_rows,
		.kprobes = m->kprobes,
		.verbose = m->verbose,
	};

	if (!m->has_budget && (runs_always || m->automatic))
		so.budget_ppm = MEASURE_BUDGET_PPM;
	return so;
}
