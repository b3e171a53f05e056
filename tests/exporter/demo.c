// SPDX-License-Identifier: GPL-2.0-only
/*
 * The exporter without a kernel: all of it but session and collector, over
 * facts that are made up. What the tests do to HTTP, they do to this.
 *
 *	demo DEVICES STEP_MS ADDRESS [CONFIG_FILE]
 *
 * Every STEP_MS each device has one more report (0: only the first), all alike:
 * 4 windows, 3 of them clean, 1 MiB dirty, 1 ms. Device 0 has a hostile name.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "serve.h"
#include "watch.h"
#include "web.h"

struct demo {
	unsigned int devices;
	__u64 step_ns, start_ns, steps;
	struct iovab_facts facts;
	struct iovab_source_fact *sources;
};

static void report(struct iovab_source *c, __u64 now)
{
	c->reports++;
	c->rounds++;
	c->phase_reports[IOVAB_PHASE_PRECOPY]++;
	c->phase_ns[IOVAB_PHASE_PRECOPY] += 1000000;
	c->range_bytes += 256ULL << 30;
	c->windows += 4;
	c->windows_clean += 3;
	c->pages_pinned += 2048;
	c->dirty_bytes += 1 << 20;
	c->density[0] += 3;
	c->density[1] += 1;
	c->density_sum += IOVAB_DENSITY_ONE >> 16;
	c->set_calls += 256;
	c->lost_bytes += 4096;
	c->lost_by[IOVAB_LOST_WINDOW] += 4096;
	c->what_if_reports++;
	c->what_if[IOVAB_POLICY_LAZY].pages += 512;
	c->marked_bytes += (1 << 20) + 4096;
	c->last_length = 256ULL << 30;
	c->last_page_size = 4096;
	c->last_end_ns = now;
	c->report.sum_ns += 1000000;
	c->report.bucket[iovab_hist_index(1000000)]++;
	c->pin.sum_ns += 4 * 20000;
	c->pin.bucket[iovab_hist_index(20000)] += 4;
}

static const struct iovab_facts *collect(void *ctx, struct iovab_error *e)
{
	struct demo *d = ctx;
	__u64 now = log__clock_ns(), due = 1;
	unsigned int i;

	if (d->step_ns)
		due += (now - d->start_ns) / d->step_ns;
	for (; d->steps < due; d->steps++)
		for (i = 0; i < d->devices; i++)
			report(&d->sources[i].counters, now);
	d->facts.time_ns = now;
	d->facts.cost.bpf_runs = d->steps * 30;
	d->facts.cost.bpf_known = true;
	d->facts.cost.bpf_run_ns = d->steps * 1000;
	d->facts.cost.bpf_sampled_ns = now - d->start_ns;
	clock_gettime(CLOCK_REALTIME, &d->facts.wall);
	return &d->facts;
}

static void name(struct iovab_source_fact *s, unsigned int i)
{
	s->counters.id = i + 1;
	s->key.client = IOVAB_CLIENT_VFIO;
	s->key.pid = 1000 + i;
	snprintf(s->key.device, sizeof(s->key.device), "0000:%02x:%02x.%u", i >> 8, i >> 3 & 31,
		 i & 7);
	strcpy(s->counters.driver, "mlx5_vfio_pci");
	snprintf(s->counters.vfio, sizeof(s->counters.vfio), "vfio%u", i);
	snprintf(s->vm, sizeof(s->vm), "instance-%08x", i);
	if (!i)
		strcpy(s->vm, "a\"b\\c\nd\xff\x1b[2J");
}

static int init(struct demo *d, char **argv)
{
	unsigned int i;

	d->devices = (unsigned int)atoi(argv[1]);
	d->step_ns = (__u64)atoi(argv[2]) * 1000000;
	d->start_ns = log__clock_ns();
	d->sources = calloc(d->devices + 1, sizeof(*d->sources));
	if (!d->sources)
		return -1;
	for (i = 0; i < d->devices; i++)
		name(&d->sources[i], i);
	d->facts.state = IOVAB_STATE_ATTACHED;
	d->facts.tier = IOVAB_TIER_SETS;
	d->facts.budget = (struct iovab_budget_fact){ .limit_ppm = 10000, .share_ppm = 1000,
						      .tier = IOVAB_TIER_SETS };
	d->facts.generation = "made up";
	d->facts.sources = d->sources;
	d->facts.n_sources = d->devices;
	return 0;
}

int main(int argc, char **argv)
{
	struct iovab_error e = {};
	struct web_options o = { .n_addresses = 1, .telemetry_path = "/metrics" };
	struct watch watch = {};
	struct web *web = NULL;
	struct serve *serve;
	struct demo d = {};

	if (argc < 4 || init(&d, argv))
		return 2;
	o.addresses = (const char *const *)&argv[3];
	o.config_file = argv[4];
	o.watch = &watch;
	serve = serve__new(&e);
	if (serve && !watch__init(&watch, (struct watch_source){ collect, &d }, &e))
		web = web__new(&o, &e);
	if (web)
		serve__run(serve, &watch, web, &e);
	web__free(web);
	watch__free(&watch);
	serve__free(serve);
	free(d.sources);
	if (e.code)
		log__line("%s", e.text);
	return (int)e.code;
}
