// SPDX-License-Identifier: GPL-2.0-only
#include "filter.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

struct filter {
	const char *device;
	__u32 pid;
	struct iovab_facts facts;
	struct iovab_source_fact *sources;
	struct iovab_live_fact *live;
	struct iovab_window_event *windows;
	struct iovab_report_event *reports;
};

struct filter *filter__new(const char *device, __u32 pid)
{
	struct filter *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->device = device;
	f->pid = pid;
	return f;
}

void filter__free(struct filter *f)
{
	if (!f)
		return;
	free(f->sources);
	free(f->live);
	free(f->windows);
	free(f->reports);
	free(f);
}

static bool has_device(const struct iovab_hwpt *hwpt, const char *pattern)
{
	__u32 i;

	for (i = 0; i < hwpt->attached && i < IOVAB_HWPT_DEVICES; i++)
		if (!fnmatch(pattern, hwpt->named[i].device, 0))
			return true;
	return false;
}

static bool source_matches(const struct filter *f, const struct iovab_source_fact *s)
{
	if (f->pid && s->key.pid != f->pid)
		return false;
	return !f->device || !fnmatch(f->device, s->key.device, 0) ||
	       !fnmatch(f->device, s->counters.vfio, 0) ||
	       (s->hwpt && has_device(s->hwpt, f->device));
}

/* Is @id one of the sources that are left? There are few where one filters. */
static bool id_matches(const struct iovab_facts *facts, __u32 id)
{
	size_t i;

	for (i = 0; i < facts->n_sources; i++)
		if (facts->sources[i].counters.id == id)
			return true;
	return false;
}

/* Makes *array hold at least @n elements of @size bytes; what was in it is lost. */
static int make_room(void *array, size_t n, size_t size)
{
	void **p = array;

	free(*p);
	*p = malloc(n ? n * size : 1);
	return *p ? 0 : -1;
}

const struct iovab_facts *filter__apply(struct filter *f, const struct iovab_facts *facts)
{
	size_t i;

	if (!f->device && !f->pid)
		return facts;
	if (make_room(&f->sources, facts->n_sources, sizeof(*f->sources)) ||
	    make_room(&f->live, facts->n_live, sizeof(*f->live)) ||
	    make_room(&f->windows, facts->n_windows, sizeof(*f->windows)) ||
	    make_room(&f->reports, facts->n_reports, sizeof(*f->reports)))
		return NULL;
	f->facts = *facts;
	f->facts.sources = f->sources;
	f->facts.live = f->live;
	f->facts.windows = f->windows;
	f->facts.reports = f->reports;
	f->facts.n_sources = f->facts.n_live = f->facts.n_windows = f->facts.n_reports = 0;
	for (i = 0; i < facts->n_sources; i++)
		if (source_matches(f, &facts->sources[i]))
			f->sources[f->facts.n_sources++] = facts->sources[i];
	for (i = 0; i < facts->n_live; i++)
		if (id_matches(&f->facts, facts->live[i].source_id))
			f->live[f->facts.n_live++] = facts->live[i];
	for (i = 0; i < facts->n_windows; i++)
		if (id_matches(&f->facts, facts->windows[i].source_id))
			f->windows[f->facts.n_windows++] = facts->windows[i];
	for (i = 0; i < facts->n_reports; i++)
		if (id_matches(&f->facts, facts->reports[i].source_id))
			f->reports[f->facts.n_reports++] = facts->reports[i];
	return &f->facts;
}
