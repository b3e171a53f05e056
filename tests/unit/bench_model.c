// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPU time of an update and of its JSON with many busy sources, so that nobody
 * has to guess whether the collector's interval can bear them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "json.h"
#include "model.h"

#define SOURCES	1000
#define ROUNDS	20

static double cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* Of many rounds the quickest is the one that others disturbed least. */
static double smaller(double a, double b)
{
	return a < b ? a : b;
}

static void work(struct iovab_source *c, unsigned int i)
{
	__u64 ns = 1000 + (i * 7919ULL << i % 20);

	c->reports++;
	c->windows += 4;
	c->windows_clean += 3;
	c->range_bytes += 1ULL << 38;
	c->last_length = 1ULL << 38;
	c->last_page_size = 4096;
	c->dirty_bytes += 4096;
	c->marked_bytes += 8192;
	c->set_calls += 2;
	c->runs[i % IOVAB_RUN_BUCKETS]++;
	c->density[i % IOVAB_DENSITY_BUCKETS]++;
	c->report.max_ns = ~0ULL >> 20;
	c->report.sum_ns += ns;
	c->report.bucket[iovab_hist_index(ns)]++;
	c->pin = c->report;
}

int main(void)
{
	struct iovab_source_fact *sources = calloc(SOURCES, sizeof(*sources));
	struct iovab_facts facts = { .tier = IOVAB_TIER_SETS, .state = IOVAB_STATE_ATTACHED,
				     .sources = sources, .n_sources = SOURCES };
	double update_ms = 1e9, json_ms = 1e9, start;
	struct model *m = model__new();
	FILE *out = fopen("/dev/null", "w");
	unsigned int round, i;

	if (!sources || !m || !out)
		return 1;
	for (i = 0; i < SOURCES; i++) {
		sources[i].counters.id = i + 1;
		sources[i].key.client = IOVAB_CLIENT_VFIO;
		sprintf(sources[i].key.device, "0000:%02x:%02x.0", i >> 8, i & 255);
		strcpy(sources[i].counters.comm, "qemu-system-x86");
	}
	for (round = 0; round < ROUNDS; round++) {
		const struct iovab_snapshot *s;

		for (i = 0; i < SOURCES; i++)
			work(&sources[i].counters, i + round);
		facts.time_ns += 1000000000;
		start = cpu_ms();
		s = model__update(m, &facts);
		update_ms = smaller(update_ms, cpu_ms() - start);
		start = cpu_ms();
		if (!s || json__write(out, s))
			return 1;
		json_ms = smaller(json_ms, cpu_ms() - start);
	}
	printf("%d sources, tier sets: update %.2f ms, JSON %.2f ms of CPU (the best of %d)\n", SOURCES,
	       update_ms, json_ms, ROUNDS);
	fclose(out);
	model__free(m);
	free(sources);
	return 0;
}
