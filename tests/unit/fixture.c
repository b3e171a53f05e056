// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "fixture.h"

void fixture__init(struct fixture *f, enum iovab_tier tier)
{
	memset(f, 0, sizeof(*f));
	f->facts.time_ns = 100 * SECOND_NS;
	f->facts.wall = (struct timespec){ 1767323045, 678901234 };
	f->facts.state = IOVAB_STATE_ATTACHED;
	f->facts.tier = tier;
	f->facts.generation = "6.1, windows pinned in turn";
	f->facts.sources = f->sources;
	f->facts.live = f->live;
	f->facts.windows = f->windows;
}

struct iovab_source_fact *fixture__source(struct fixture *f, __u32 id, const char *device)
{
	struct iovab_source_fact *s = &f->sources[f->facts.n_sources++];

	assert_true(f->facts.n_sources <= FIXTURE_MAX);
	memset(s, 0, sizeof(*s));
	s->key.client = IOVAB_CLIENT_VFIO;
	s->key.pid = 4240 + id;
	s->key.owner_start_ns = id;
	strncpy(s->key.device, device, sizeof(s->key.device));
	s->counters.id = id;
	strcpy(s->counters.driver, "mlx5_vfio_pci");
	snprintf(s->counters.vfio, sizeof(s->counters.vfio), "vfio%u", id);
	strcpy(s->counters.comm, "qemu-system-x86");
	snprintf(s->vm, sizeof(s->vm), "web-%u", id);
	return s;
}

struct iovab_live_fact *fixture__live(struct fixture *f, __u32 source_id, __u64 age_ns)
{
	struct iovab_live_fact *live = &f->live[f->facts.n_live++];

	assert_true(f->facts.n_live <= FIXTURE_MAX);
	*live = (struct iovab_live_fact){ source_id, 512, f->facts.time_ns - age_ns };
	return live;
}

struct iovab_window_event *fixture__window(struct fixture *f, __u32 source_id, __u64 iova,
					   __u64 length)
{
	struct iovab_window_event *w = &f->windows[f->facts.n_windows++];

	assert_true(f->facts.n_windows <= FIXTURE_MAX);
	memset(w, 0, sizeof(*w));
	w->kind = IOVAB_EVENT_WINDOW;
	w->source_id = source_id;
	w->iova = iova;
	w->length = length;
	w->page_size = 4096;
	while (length > (w->page_size << w->cell_shift) * IOVAB_CELLS)
		w->cell_shift++;
	return w;
}

void fixture__pass(struct fixture *f, __u64 ns)
{
	f->facts.time_ns += ns;
	f->facts.wall.tv_sec += (time_t)(ns / SECOND_NS);
	f->facts.n_windows = 0;
}

void fixture__count(struct iovab_latency *l, __u64 ns)
{
	bool first = true;
	unsigned int i;

	for (i = 0; i < IOVAB_HIST_BUCKETS; i++)
		first &= !l->bucket[i];
	if (first || ns < l->min_ns)
		l->min_ns = ns;
	if (ns > l->max_ns)
		l->max_ns = ns;
	l->sum_ns += ns;
	l->bucket[iovab_hist_index(ns)]++;
}

void fixture__report(struct iovab_source_fact *s, __u64 windows, __u64 dirty_windows,
		     __u64 dirty_bytes, __u64 ns)
{
	struct iovab_source *c = &s->counters;
	__u64 i, marks = dirty_bytes / 4096;

	c->last_iova = 0;
	c->last_length = windows * 64 * GIB;
	c->last_page_size = 4096;
	c->last_end_ns += ns;
	c->reports++;
	c->range_bytes += c->last_length;
	c->windows += windows;
	c->windows_clean += windows - dirty_windows;
	c->pages_pinned += windows * 512;
	c->density[0] += windows - dirty_windows;
	c->density[3] += dirty_windows;
	c->dirty_bytes += dirty_bytes;
	c->set_calls += marks;
	c->marked_bytes += dirty_bytes;
	c->marks_ascending += marks ? marks - 1 : 0;
	c->runs[0] += marks;
	c->what_if_reports++;
	for (i = 0; i < IOVAB_POLICIES; i++) {
		c->what_if[i].windows += windows * (i + 1);
		c->what_if[i].pages += windows * (i + 1) * 512;
		c->what_if[i].repins_unknown += i == IOVAB_POLICY_LAZY && windows > 4;
	}
	fixture__count(&c->report, ns);
	for (i = 0; i < windows; i++)
		fixture__count(&c->pin, 20000 + 1000 * i);
}

const struct iovab_snapshot *fixture__update(struct model *m, const struct fixture *f)
{
	const struct iovab_snapshot *s = model__update(m, &f->facts);

	assert_non_null(s);
	return s;
}

const struct iovab_row *fixture__row(const struct iovab_snapshot *s, const char *device)
{
	size_t i;

	for (i = 0; i < s->n_rows; i++)
		if (!strcmp(s->rows[i].device, device))
			return &s->rows[i];
	fail_msg("no row for %s", device);
	return NULL;
}

static unsigned int fail_alloc;

void fixture__fail_alloc(unsigned int nth)
{
	fail_alloc = nth;
}

/* Tests are linked with --wrap=reallocarray. */
void *__real_reallocarray(void *p, size_t n, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);

void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	if (fail_alloc && !--fail_alloc)
		return NULL;
	return __real_reallocarray(p, n, size);
}

void fixture__assert_known(struct iovab_value v, __u64 expected)
{
	assert_int_equal(v.state, IOVAB_VALUE_KNOWN);
	assert_int_equal(v.v, expected);
}

__u64 fixture__random(void)
{
	static __u64 state = 88172645463325252ULL;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* --- golden files --- */

static void golden_path(char *path, size_t size, const char *name)
{
	const char *dir = getenv("GOLDEN_DIR");

	snprintf(path, size, "%s/%s", dir ? dir : "tests/golden", name);
}

static void write_golden(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	if (!file)
		fail_msg("cannot write %s: run from the top of the repository", path);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
}

static char *read_golden(const char *path)
{
	char *text = NULL;
	size_t size = 0;
	FILE *file = fopen(path, "r");

	if (!file)
		fail_msg("%s is not there: UPDATE_GOLDEN=1 makes it, look at it then", path);
	if (getdelim(&text, &size, '\0', file) < 0) {
		free(text);
		text = strdup("");
	}
	fclose(file);
	return text;
}

static unsigned int line_of(const char *text, size_t at)
{
	unsigned int line = 1;

	while (at--)
		line += *text++ == '\n';
	return line;
}

void fixture__golden(const char *name, const char *text)
{
	const char *update = getenv("UPDATE_GOLDEN");
	char path[256], *expected;
	size_t same = 0;
	unsigned int line;

	golden_path(path, sizeof(path), name);
	if (update && !strcmp(update, "1")) {
		write_golden(path, text);
		return;
	}
	expected = read_golden(path);
	if (strcmp(expected, text)) {
		while (expected[same] == text[same])
			same++;
		line = line_of(text, same);
		fprintf(stderr, "--- got instead of %s ---\n%s--- end ---\n", path, text);
		free(expected);
		fail_msg("%s differs in line %u", path, line);
	}
	free(expected);
}
