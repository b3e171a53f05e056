// SPDX-License-Identifier: GPL-2.0-only
/*
 * Chunks come before their report is known to have ended, and reports go on side by side.
 * So each that has marks is followed on its own, and counts when its end comes.
 */
#include "follow.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"

/* More at once were never in flight; what was forgotten is incomplete. */
#define MAX_OPEN	(2 * IOVAB_MAX_REPORTS)

/* A report whose end has not come. */
struct open_report {
	__u64 serial;
	struct iovab_chunk_fact first;	/* its first chunk, for what it says of the report */
	struct policy *policy;
	__u64 marks;
	bool broken;		/* its chunks contradict each other */
};

struct follow {
	struct policy_options o;
	struct chunk_reader *reader;
	struct open_report *open;	/* oldest first */
	size_t n_open, max_open;
	struct follow_row *rows;
	size_t n_rows, max_rows;
};

static int no_memory(struct iovab_error *e)
{
	return error__set(e, IOVAB_EXIT_FAILURE, "out of memory");
}

/* --- marks --- */

static void forget(struct follow *f, size_t i)
{
	policy__free(f->open[i].policy);
	memmove(&f->open[i], &f->open[i + 1], (--f->n_open - i) * sizeof(*f->open));
}

static struct open_report *find_open(struct follow *f, __u64 serial)
{
	size_t i;

	for (i = f->n_open; i--;)
		if (f->open[i].serial == serial)
			return &f->open[i];
	return NULL;
}

static bool same_report(const struct iovab_chunk_fact *a, const struct iovab_chunk_fact *b)
{
	return a->iova == b->iova && a->length == b->length && a->page_size == b->page_size &&
	       a->cpu_page_size == b->cpu_page_size && a->bitmap_offset == b->bitmap_offset;
}

static bool lay_out(struct iovab_layout *layout, const struct iovab_chunk_fact *c)
{
	return iovab_layout__init(layout, c->iova, c->length, c->page_size, c->bitmap_offset,
				  (__u32)__builtin_ctz(c->cpu_page_size));
}

/* NULL: no memory. */
static struct open_report *open_report(struct follow *f, const struct iovab_chunk_fact *chunk)
{
	struct open_report *r = find_open(f, chunk->report);
	struct iovab_layout layout;

	if (r) {
		r->broken |= !same_report(&r->first, chunk);
		return r;
	}
	if (f->n_open == MAX_OPEN)
		forget(f, 0);
	if (!array__grow(&f->open, f->n_open, &f->max_open, sizeof(*f->open)))
		return NULL;
	r = &f->open[f->n_open];
	*r = (struct open_report){ .serial = chunk->report, .first = *chunk };
	r->broken = !lay_out(&layout, chunk);
	r->policy = policy__new(&f->o, &layout);
	if (!r->policy)
		return NULL;
	f->n_open++;
	return r;
}

static int add_chunk(struct follow *f, const struct iovab_chunk_fact *chunk, struct iovab_error *e)
{
	struct open_report *r = open_report(f, chunk);
	struct run run;
	int ret;

	if (!r)
		return no_memory(e);
	policy__pause(r->policy);
	ret = chunk_reader__open(f->reader, chunk);
	while (!ret && (ret = chunk_reader__next(f->reader, &run)) == 1) {
		ret = r->broken ? 0 : policy__run(r->policy, &run);
		r->marks += run.count;
		if (ret == -E2BIG) {
			r->broken = true;
			ret = 0;
		}
	}
	if (ret == -ENOMEM)
		return no_memory(e);
	return ret ? error__set(e, IOVAB_EXIT_FAILURE,
				"the recording is damaged: marks of report %llu cannot be read",
				(unsigned long long)chunk->report) : 0;
}

/* --- reports --- */

static struct follow_row *row_of(struct follow *f, __u32 source_id)
{
	size_t i;

	for (i = f->n_rows; i--;)
		if (f->rows[i].source_id == source_id)
			return &f->rows[i];
	if (!array__grow(&f->rows, f->n_rows, &f->max_rows, sizeof(*f->rows)))
		return NULL;
	f->rows[f->n_rows] = (struct follow_row){ .source_id = source_id };
	return &f->rows[f->n_rows++];
}

/* The report as a chunk without marks. False: the recording does not say where its bitmap was. */
static bool describe(struct iovab_chunk_fact *chunk, const struct iovab_report_event *r)
{
	/* a power of two, and what format 1 does not say is 0 */
	if (r->cpu_page_size < 4096 || r->cpu_page_size > 1U << 20 ||
	    r->cpu_page_size & (r->cpu_page_size - 1))
		return false;
	*chunk = (struct iovab_chunk_fact){
		.report = r->report,
		.source_id = r->source_id,
		.cpu_page_size = r->cpu_page_size,
		.iova = r->iova,
		.length = r->length,
		.page_size = r->page_size,
		.bitmap_offset = r->bitmap_offset,
	};
	return true;
}

static void add_pins(struct iovab_pins *to, const struct iovab_pins *pins)
{
	to->windows += pins->windows;
	to->pages += pins->pages;
	to->repins += pins->repins;
	to->repins_unknown += pins->repins_unknown;
}

static void count_followed(struct follow_row *row, const struct iovab_report_event *r,
			   const struct iovab_pins *pins)
{
	const struct iovab_pins observed = {
		.windows = r->windows, .pages = r->pages_pinned, .repins = r->repins,
	};

	row->followed++;
	row->marks += r->set_calls;
	add_pins(&row->pins, pins);
	add_pins(&row->observed, &observed);
}

/* Of a report that no mark is needed for, or that has none. -ENOMEM. */
static int follow_without_marks(struct follow *f, const struct iovab_chunk_fact *chunk,
				struct follow_row *row, const struct iovab_report_event *r)
{
	struct iovab_layout layout;
	struct policy *p;

	if (!lay_out(&layout, chunk)) {
		row->ended_badly++;
		return 0;
	}
	p = policy__new(&f->o, &layout);
	if (!p)
		return -ENOMEM;
	count_followed(row, r, policy__pins(p));
	policy__free(p);
	return 0;
}

static int add_report(struct follow *f, const struct iovab_report_event *r)
{
	const struct open_report *open = find_open(f, r->report);
	struct follow_row *row = row_of(f, r->source_id);
	struct iovab_chunk_fact chunk;
	int err = 0;

	if (!row)
		return -ENOMEM;
	if (r->error || r->pin_failures || r->empty_marks || !r->length)
		row->ended_badly++;
	else if (!describe(&chunk, r))
		row->incomplete++;
	else if (f->o.id == IOVAB_POLICY_EAGER || (!r->set_calls && !open))
		err = follow_without_marks(f, &chunk, row, r);
	else if (open && !open->broken && open->marks == r->set_calls &&
		 same_report(&open->first, &chunk))
		count_followed(row, r, policy__pins(open->policy));
	else
		row->incomplete++;
	if (open)
		forget(f, (size_t)(open - f->open));
	return err;
}

int follow__add(struct follow *f, const struct iovab_facts *facts, struct iovab_error *e)
{
	size_t i;

	for (i = 0; i < facts->n_chunks; i++)
		if (f->o.id != IOVAB_POLICY_EAGER && add_chunk(f, &facts->chunks[i], e))
			return -1;
	for (i = 0; i < facts->n_reports; i++)
		if (add_report(f, &facts->reports[i]))
			return no_memory(e);
	return 0;
}

const struct follow_row *follow__rows(const struct follow *f, size_t *n)
{
	*n = f->n_rows;
	return f->rows;
}

struct follow *follow__new(const struct policy_options *o)
{
	struct follow *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->o = *o;
	f->reader = chunk_reader__new();
	if (f->reader)
		return f;
	free(f);
	return NULL;
}

void follow__free(struct follow *f)
{
	if (!f)
		return;
	while (f->n_open)
		forget(f, f->n_open - 1);
	free(f->open);
	free(f->rows);
	chunk_reader__free(f->reader);
	free(f);
}
