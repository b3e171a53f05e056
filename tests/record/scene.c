// SPDX-License-Identifier: GPL-2.0-only
#include "scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chunk.h"

#define SECOND_NS	1000000000ULL
#define GIB		(1ULL << 30)
#define PAGE		4096ULL

/* Two sections of memory, below and above the hole at 4 GiB; the second is two windows. */
static const struct {
	__u64 iova, length;
	unsigned int windows;
} sections[] = {
	{ 0, 2 * GIB, 1 },
	{ 4 * GIB, 126 * GIB, 2 },
};

#define SECTIONS	(sizeof(sections) / sizeof(sections[0]))
#define WINDOWS		3

struct scene {
	struct scene_options o;
	unsigned int moment;
	__u64 serial, random;
	struct iovab_facts facts;
	struct iovab_source_fact *sources;
	struct iovab_live_fact live;
	struct iovab_window_event *windows;
	struct iovab_report_event *reports;
	struct chunk_packer *packer;
	struct iovab_chunk_fact *chunks;	/* with their data; room for MAX_CHUNKS */
};

#define MAX_CHUNKS	4096

static const char *const hostile_names[] = {
	"<script>alert(1)</script>",
	"</script><img src=x onerror=alert(2)>",
	"\"'`&lt;${x}\\u003cb>",
	"\033[2J\033]0;title\007\xff\xfe",
	"a\nb\rc\td; DROP TABLE source;--",
	"{{=1+1}}<!--]]>",
};

#define N_HOSTILE	(sizeof(hostile_names) / sizeof(hostile_names[0]))

static __u64 random_below(struct scene *s, __u64 n)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return n ? s->random % n : 0;
}

static void count(struct iovab_latency *l, __u64 ns)
{
	if (!l->sum_ns || ns < l->min_ns)
		l->min_ns = ns;
	if (ns > l->max_ns)
		l->max_ns = ns;
	l->sum_ns += ns;
	l->bucket[iovab_hist_index(ns)]++;
}

static void name_source(struct scene *s, unsigned int i)
{
	struct iovab_source_fact *f = &s->sources[i];

	f->key.client = IOVAB_CLIENT_VFIO;
	f->key.pid = 4000 + i;
	f->key.owner_start_ns = 1000 + i;
	f->counters.id = i + 1;
	snprintf(f->key.device, sizeof(f->key.device), "0000:%02x:%02x.%u", 0x3b + i / 64,
		 i / 8 % 8, i % 8);
	snprintf(f->counters.driver, sizeof(f->counters.driver), "mlx5_vfio_pci");
	snprintf(f->counters.vfio, sizeof(f->counters.vfio), "vfio%u", i);
	snprintf(f->counters.comm, sizeof(f->counters.comm), "qemu-system-x86");
	snprintf(f->vm, sizeof(f->vm), "web-%u", i / 2);
	if (s->o.hostile) {
		snprintf(f->key.device, sizeof(f->key.device), "%s", hostile_names[i % N_HOSTILE]);
		snprintf(f->vm, sizeof(f->vm), "%s", hostile_names[(i + 1) % N_HOSTILE]);
		snprintf(f->counters.comm, sizeof(f->counters.comm), "%s",
			 hostile_names[(i + 2) % N_HOSTILE]);
	}
}

struct scene *scene__new(const struct scene_options *o)
{
	struct scene *s = calloc(1, sizeof(*s));
	unsigned int i;

	if (!s)
		return NULL;
	s->o = *o;
	s->random = 88172645463325252ULL;
	s->sources = calloc(o->devices, sizeof(*s->sources));
	s->windows = calloc((size_t)o->devices * WINDOWS, sizeof(*s->windows));
	s->reports = calloc((size_t)o->devices * SECTIONS, sizeof(*s->reports));
	s->packer = chunk_packer__new();
	s->chunks = calloc(MAX_CHUNKS, sizeof(*s->chunks));
	if (!s->sources || !s->windows || !s->reports || !s->packer || !s->chunks) {
		scene__free(s);
		return NULL;
	}
	for (i = 0; i < o->devices; i++)
		name_source(s, i);
	s->facts.time_ns = 100 * SECOND_NS;
	s->facts.wall = (struct timespec){ 1767323045, 678901234 };
	s->facts.state = IOVAB_STATE_ATTACHED;
	s->facts.tier = o->tier;
	s->facts.generation = "6.1, windows pinned in turn";
	s->facts.sources = s->sources;
	s->facts.live = &s->live;
	s->facts.windows = s->windows;
	s->facts.reports = s->reports;
	s->facts.chunks = s->chunks;
	return s;
}

static void drop_chunks(struct scene *s)
{
	while (s->facts.n_chunks)
		free((void *)s->chunks[--s->facts.n_chunks].data);
}

void scene__free(struct scene *s)
{
	if (!s)
		return;
	drop_chunks(s);
	chunk_packer__free(s->packer);
	free(s->chunks);
	free(s->sources);
	free(s->windows);
	free(s->reports);
	free(s);
}

/* Pages that device @i dirties in a window in round @round: falling, steady or rising by device. */
static __u64 pages_of(struct scene *s, unsigned int i, unsigned int round)
{
	__u64 pages = 20000 + 1000 * (i % 7) + random_below(s, 2000);

	/* an eighth less, or more, each time, as far as there is room */
	for (; round && i % 3 != 1 && pages < 300000; round--)
		pages = i % 3 ? pages + pages / 8 : pages - pages / 8;
	return pages;
}

static void fill_window(struct scene *s, struct iovab_window_event *w, unsigned int i,
			__u64 pages)
{
	unsigned int hot = 8 + i % 40, c;

	w->cell_shift = 0;
	while (w->length > (w->page_size << w->cell_shift) * IOVAB_CELLS)
		w->cell_shift++;
	/* half of it in two cells, where a ring is; the rest anywhere */
	w->cells[hot] = (__u32)(pages / 4);
	w->cells[hot + 1] = (__u32)(pages / 4);
	for (c = 0, pages -= 2 * (pages / 4); c < 31; c++) {
		__u32 part = (__u32)(pages / 32);

		w->cells[random_below(s, IOVAB_CELLS)] += part;
		w->dirty_pages += part;
	}
	w->cells[63] += (__u32)(pages - 31 * (pages / 32));
	for (c = 0, w->dirty_pages = 0; c < IOVAB_CELLS; c++)
		w->dirty_pages += w->cells[c];
}

static void add_window(struct scene *s, unsigned int i, struct iovab_report_event *r,
		       unsigned int nth, unsigned int of, unsigned int round)
{
	struct iovab_window_event *w = &s->windows[s->facts.n_windows++];
	struct iovab_source *c = &s->sources[i].counters;
	__u64 pin_ns = 20000 + random_below(s, 30000);

	memset(w, 0, sizeof(*w));
	w->kind = IOVAB_EVENT_WINDOW;
	w->source_id = c->id;
	w->report = r->report;
	w->length = r->length / of;
	w->iova = r->iova + nth * w->length;
	w->page_size = PAGE;
	w->pages = (__u32)((w->length / PAGE / 8 + PAGE - 1) / PAGE);
	w->start_ns = r->start_ns + nth * 100000 + pin_ns;
	w->end_ns = w->start_ns + 60000;
	w->scan_skipped = s->o.tier < IOVAB_TIER_DENSITY;
	/* the last window of the second section stays dry */
	if (s->o.tier >= IOVAB_TIER_DENSITY && nth + 1 < of + (of == 1))
		fill_window(s, w, i, pages_of(s, i, round));
	r->windows++;
	r->pages_pinned += w->pages;
	r->pin_ns += pin_ns;
	count(&c->pin, pin_ns);
	if (s->o.tier >= IOVAB_TIER_DENSITY) {
		r->dirty_pages += w->dirty_pages;
		r->windows_clean += !w->dirty_pages;
		c->density[w->dirty_pages ? 3 : 0]++;
	}
}

/* What the report counted becomes its source's. */
static void fold(struct scene *s, struct iovab_source *c, const struct iovab_report_event *r)
{
	unsigned int p;

	c->folds_begun++;
	c->folds_done++;
	c->last_iova = r->iova;
	c->last_length = r->length;
	c->last_page_size = PAGE;
	c->last_end_ns = r->end_ns;
	c->reports++;
	c->report_errors += !!r->error;
	c->range_bytes += r->length;
	c->windows += r->windows;
	c->pages_pinned += r->pages_pinned;
	c->last_phase = r->phase;
	c->phase_reports[r->phase]++;
	c->phase_ns[r->phase] += r->end_ns - r->start_ns - r->own_ns;
	count(&c->report, r->end_ns - r->start_ns - r->own_ns);
	if (s->o.tier < IOVAB_TIER_DENSITY)
		return;
	c->windows_clean += r->windows_clean;
	c->dirty_bytes += r->dirty_pages * PAGE;
	if (s->o.tier < IOVAB_TIER_SETS)
		return;
	c->set_calls += r->set_calls;
	c->marked_bytes += r->marked_pages * PAGE;
	c->lost_bytes += r->lost_pages * PAGE;
	c->lost_by[IOVAB_LOST_WINDOW] += r->lost_pages * PAGE;
	c->stray_bits += r->stray_bits;
	c->what_if_reports++;
	for (p = 0; p < IOVAB_POLICIES; p++) {
		c->what_if[p].windows += 1 + p;
		c->what_if[p].pages += 512 * (1 + p);
		c->what_if[p].repins += p;
	}
	c->marks_ascending += r->set_calls ? r->set_calls - 1 : 0;
	c->runs[0] += r->set_calls;
}

static void end_chunk(struct scene *s, struct chunk_writer *w)
{
	if (w->chunk.marks && s->facts.n_chunks < MAX_CHUNKS &&
	    !chunk_packer__pack(s->packer, w, &s->chunks[s->facts.n_chunks]))
		s->facts.n_chunks++;
}

static void add_run(struct scene *s, struct chunk_writer *w, __u64 page, __u64 pages)
{
	struct run run = { w->chunk.iova + page * PAGE, PAGE, pages };

	if (chunk_writer__add(w, &run) == 1) {
		end_chunk(s, w);
		chunk_writer__add(w, &run);
	}
}

/* As many as the report says: half of them where a ring is, the rest in two orders, anywhere. */
static void add_marks(struct scene *s, unsigned int i, const struct iovab_report_event *r)
{
	const struct iovab_chunk_fact chunk = {
		.report = r->report,
		.source_id = r->source_id,
		.cpu_page_size = r->cpu_page_size,
		.iova = r->iova,
		.length = r->length,
		.page_size = PAGE,
		.bitmap_offset = r->bitmap_offset,
	};
	__u64 pages = r->length / PAGE, ring = pages / 64 * (8 + i % 40), half = r->set_calls / 2, m;
	struct chunk_writer w;

	chunk_writer__init(&w, &chunk);
	if (half)
		add_run(s, &w, ring, half);
	for (m = half; m < r->set_calls; m++)
		add_run(s, &w, m % 3 ? random_below(s, pages) : pages - 1 - m, 1);
	end_chunk(s, &w);
	chunk_writer__free(&w);
}

static void add_report(struct scene *s, unsigned int i, unsigned int section, unsigned int round)
{
	struct iovab_report_event *r = &s->reports[s->facts.n_reports++];
	unsigned int n = sections[section].windows, w;

	memset(r, 0, sizeof(*r));
	r->kind = IOVAB_EVENT_REPORT;
	r->source_id = s->sources[i].counters.id;
	r->report = s->serial++;
	r->start_ns = s->facts.time_ns - SECOND_NS / 2 + section * 1000000 + i * 10000;
	r->end_ns = r->start_ns + n * 100000 + 80000 + random_below(s, 400000);
	r->own_ns = s->o.tier >= IOVAB_TIER_DENSITY ? 20000 : 0;
	r->iova = sections[section].iova;
	r->length = sections[section].length;
	r->page_size = PAGE;
	r->cpu_page_size = PAGE;
	r->bitmap_offset = 8 * i;
	r->phase = round + 1 == s->o.rounds ? IOVAB_PHASE_STOP_COPY : IOVAB_PHASE_PRECOPY;
	r->logging = (__u16)(1 + i);
	for (w = 0; w < n; w++)
		add_window(s, i, r, w, n, round);
	if (s->o.tier >= IOVAB_TIER_SETS) {
		r->lost_pages = s->o.lossy && i == 0 && round == 2 ? 3 : 0;
		r->stray_bits = s->o.lossy && i == 0 && round == 2 ? 7 : 0;
		r->lost_by[IOVAB_LOST_WINDOW] = r->lost_pages;
		r->lost_iova = r->lost_pages ? r->iova : 0;
		r->marked_pages = r->set_calls = r->dirty_pages + r->lost_pages;
	}
	if (s->o.marks)
		add_marks(s, i, r);
	fold(s, &s->sources[i].counters, r);
}

const struct iovab_facts *scene__next(struct scene *s)
{
	unsigned int moment = s->moment++, i, section;

	/* sources appear with their first round; the last owner ends at the end */
	if (moment > 2 * s->o.rounds)
		return NULL;
	drop_chunks(s);
	s->facts.n_windows = s->facts.n_reports = s->facts.n_live = 0;
	s->facts.n_sources = moment ? s->o.devices : 0;
	if (moment) {
		s->facts.time_ns += SECOND_NS;
		s->facts.wall.tv_sec++;
		s->facts.cost.collector_cpu_ns += 3000000;
		s->facts.cost.bpf_known = true;
		s->facts.cost.bpf_run_ns += 1000000;
		s->facts.cost.bpf_sampled_ns += SECOND_NS;
	}
	for (i = 0; moment % 2 && i < s->o.devices; i++)
		for (section = 0; section < SECTIONS; section++)
			add_report(s, i, section, moment / 2);
	if (moment % 2 == 0 && moment) {
		s->live = (struct iovab_live_fact){ 1, 512, s->facts.time_ns - 1000000 };
		s->facts.n_live = 1;
	}
	if (moment == 2 * s->o.rounds)
		s->sources[s->o.devices - 1].owner_gone = true;
	if (s->o.lossy && moment == 3)
		s->facts.losses.events_dropped = 2;
	return &s->facts;
}
