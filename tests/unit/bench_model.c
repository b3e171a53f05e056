// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a refresh of `iovabtop --batch --json` takes with many busy sources: CPU time
 * of the model and of the lines, and memory. Without what reads the kernel's maps,
 * but with the room that it needs for what it read.
 *
 * It is a test, too, of the limits below. Of many rounds the quickest is the one that
 * others on the machine disturbed least.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "json.h"
#include "model.h"

#define SOURCES		1000
#define IN_FLIGHT	10000
#define ROUNDS		20

/* What a refresh may take, and memory; where nothing disturbs it takes 7 ms and 20 MiB. */
#define MOST_MS		20
#define MOST_MIB	32

static double cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

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

struct facts {
	struct iovab_facts facts;
	struct iovab_source_fact sources[SOURCES];
	struct iovab_live_fact live[IN_FLIGHT];
	/* what the collector has beside them */
	struct iovab_source_key keys[SOURCES];
	struct iovab_source values[SOURCES];
};

static void init(struct facts *f)
{
	unsigned int i;

	memset(f, 1, sizeof(*f));	/* so that all of it is there */
	memset(f, 0, sizeof(*f));
	f->facts.tier = IOVAB_TIER_SETS;
	f->facts.state = IOVAB_STATE_ATTACHED;
	f->facts.sources = f->sources;
	f->facts.n_sources = SOURCES;
	f->facts.live = f->live;
	f->facts.n_live = IN_FLIGHT;
	for (i = 0; i < SOURCES; i++) {
		f->sources[i].counters.id = i + 1;
		f->sources[i].key.client = IOVAB_CLIENT_VFIO;
		sprintf(f->sources[i].key.device, "0000:%02x:%02x.0", i >> 8, i & 255);
		sprintf(f->sources[i].vm, "instance-%08x", i);
		strcpy(f->sources[i].counters.comm, "qemu-system-x86");
	}
	for (i = 0; i < IN_FLIGHT; i++)
		f->live[i] = (struct iovab_live_fact){ i % SOURCES + 1, 512, i + 1 };
}

int main(void)
{
	struct facts *f = calloc(1, sizeof(*f));
	double update_ms = 1e9, json_ms = 1e9, start;
	struct model *m = model__new();
	FILE *out = fopen("/dev/null", "w");
	unsigned int round, i;
	struct rusage usage;
	double mib;
	bool good;

	if (!f || !m || !out)
		return 1;
	init(f);
	for (round = 0; round < ROUNDS; round++) {
		const struct iovab_snapshot *s;

		for (i = 0; i < SOURCES; i++)
			work(&f->sources[i].counters, i + round);
		f->facts.time_ns += 1000000000;
		start = cpu_ms();
		s = model__update(m, &f->facts);
		update_ms = smaller(update_ms, cpu_ms() - start);
		if (!s || s->reports_in_flight != IN_FLIGHT)
			return 1;
		start = cpu_ms();
		if (json__write(out, s))
			return 1;
		json_ms = smaller(json_ms, cpu_ms() - start);
	}
	getrusage(RUSAGE_SELF, &usage);
	mib = (double)usage.ru_maxrss / 1024;
	good = update_ms + json_ms < MOST_MS && mib < MOST_MIB;
	printf("1..1\n%sok 1 - %d devices, %d reports in flight: at most %d ms of CPU and %d MiB: update %.2f ms, JSON %.2f ms, %.1f MiB\n",
	       good ? "" : "not ", SOURCES, IN_FLIGHT, MOST_MS, MOST_MIB, update_ms, json_ms, mib);
	fclose(out);
	model__free(m);
	free(f);
	return !good;
}
