// SPDX-License-Identifier: GPL-2.0-only
/*
 * Most marks change nothing: they lie where all is pinned. Of a run those that do are not
 * looked at one by one: from the stretch that is pinned follows how many they are.
 */
#include "policy.h"

#include <errno.h>
#include <stdlib.h>

/* Steps that are taken for the marks of one chunk: four times as many as it has room for. A fuzzer has less time. */
#ifndef POLICY_MAX_WORK
#define POLICY_MAX_WORK	(1U << 20)
#endif
/* Windows that one mark can reach, as live. */
#define MAX_STEPS	(1U << 16)

/* A set of numbers: open addressing, a power of two, at most half full. 0: free, else number + 1. */
struct set {
	__u64 *slots;
	size_t size, n;
};

struct policy {
	struct policy_options o;
	struct iovab_policy policy;
	struct iovab_layout layout;
	struct iovab_pins pins;
	struct set starts;
	unsigned int work;

	struct iovab_lazy_window lazy;

	struct iovab_table *tables;	/* cached: o.tables of them */
	__u32 made, near;		/* so many there are; that of the last mark */
	__u64 clock;
	__u64 calm_first, calm_last;	/* iova: pinned in the near table, around the last mark */
};

/* --- window starts --- */

static size_t place_of(const struct set *s, __u64 v)
{
	size_t i = (v * 0x9E3779B97F4A7C15ULL >> 20) & (s->size - 1);

	while (s->slots[i] && s->slots[i] != v + 1)
		i = (i + 1) & (s->size - 1);
	return i;
}

static int grow(struct set *s)
{
	struct set larger = { .size = s->size ? 2 * s->size : 64, .n = s->n };
	size_t i;

	larger.slots = calloc(larger.size, sizeof(*larger.slots));
	if (!larger.slots)
		return -ENOMEM;
	for (i = 0; i < s->size; i++)
		if (s->slots[i])
			larger.slots[place_of(&larger, s->slots[i] - 1)] = s->slots[i];
	free(s->slots);
	*s = larger;
	return 0;
}

/* A window of @pages pages that begins at page @page, or bit @page, is pinned. */
static int pin(struct policy *p, __u64 page, __u64 pages)
{
	size_t at;

	p->pins.windows++;
	p->pins.pages += pages;
	if (p->starts.n == POLICY_MAX_STARTS)
		p->pins.repins_unknown = 1;
	if (p->pins.repins_unknown)
		return 0;
	if (2 * p->starts.n >= p->starts.size && grow(&p->starts))
		return -ENOMEM;
	at = place_of(&p->starts, page);
	if (p->starts.slots[at]) {
		p->pins.repins++;
	} else {
		p->starts.slots[at] = page + 1;
		p->starts.n++;
	}
	return 0;
}

/* --- one mark that may pin something --- */

static int mark_lazily(struct policy *p, __u64 first, __u64 last)
{
	unsigned int step;

	for (step = 0; step < MAX_STEPS; step++, p->work++) {
		if (!iovab_lazy__covers(&p->lazy, first, last)) {
			__u64 byte, pages;

			if (first < p->layout.first)
				return 0;
			pages = iovab_lazy__pin(&p->lazy, &p->layout, first, &byte);
			if (!pages)
				return 0;
			if (pin(p, byte * 8, pages))
				return -ENOMEM;
		}
		if (!iovab_lazy__rest(&p->lazy, &p->layout, &first, last))
			return 0;
	}
	return 0;
}

/* The table of a bit: kept, made, or in the place of the one turned to longest ago. */
static struct iovab_table *turn_to(struct policy *p, __u64 bit)
{
	const struct iovab_table *near = &p->tables[p->near];
	__u32 i;

	if (!p->made || bit < near->first_bit || bit > near->last_bit) {
		i = iovab_tables__find(p->tables, p->made, bit);
		if (i == p->made) {
			i = p->made < p->o.tables ? p->made++ :
						    iovab_tables__oldest(p->tables, p->made);
			iovab_table__place(&p->tables[i], &p->policy, &p->layout, bit);
		}
		p->near = i;
		p->tables[i].stamp = ++p->clock;
	}
	return &p->tables[p->near];
}

/* The stretch of pinned windows around @window of the near table. */
static void find_calm(struct policy *p, __u32 window)
{
	const struct iovab_table *table = &p->tables[p->near];
	const struct iovab_layout *layout = &p->layout;
	__u64 first_page, last_page, unused;
	__u32 from = window, to = window;

	while (from && table->windows >> (from - 1) & 1)
		from--;
	while (to < 31 && table->windows >> (to + 1) & 1)
		to++;
	iovab_table__window(table, &p->policy, layout, from, &first_page, &unused);
	iovab_table__window(table, &p->policy, layout, to, &unused, &last_page);
	p->calm_first = iovab_layout__iova(layout, iovab_layout__first_bit(layout, first_page));
	p->calm_last = iovab_layout__last_iova(layout, iovab_layout__last_bit(layout, last_page));
}

static int mark_cached(struct policy *p, __u64 first, __u64 last)
{
	__u64 bit = first, last_bit = last, first_page, last_page;
	unsigned int step;

	if (!iovab_layout__clip(&p->layout, &bit, &last_bit))
		return 0;
	for (step = 0; step < MAX_STEPS && bit <= last_bit; step++, p->work++) {
		struct iovab_table *table = turn_to(p, bit);
		__u32 window = iovab_table__window_of(table, &p->policy, &p->layout,
						      iovab_layout__page(&p->layout, bit)) & 31;

		iovab_table__window(table, &p->policy, &p->layout, window, &first_page, &last_page);
		if (!(table->windows >> window & 1)) {
			table->windows |= 1U << window;
			if (pin(p, first_page, last_page - first_page + 1))
				return -ENOMEM;
		}
		find_calm(p, window);
		bit = iovab_layout__last_bit(&p->layout, last_page) + 1;
		if (!bit)
			break;
	}
	return 0;
}

/* --- runs --- */

/* How many steps of @step bytes it takes from @from to @to or beyond. */
static __u64 steps_to(__u64 from, __u64 to, __u64 step)
{
	return (to - from - 1) / step + 1;
}

/*
 * How many of the run's marks, the first of which is [first, last], change nothing before
 * one does; all of them (~0) if none will.
 */
static __u64 calm_marks(const struct policy *p, __u64 first, __u64 last, __u64 length)
{
	bool lazily = p->o.id == IOVAB_POLICY_LAZY;
	__u64 calm_first = lazily ? p->lazy.first : p->calm_first;
	__u64 calm_last = lazily ? p->lazy.last : p->calm_last;

	if (first >= calm_first && last <= calm_last)
		return (calm_last - last) / length + 1;
	/* a lazy kernel does nothing for a mark that begins below; the reference clips it */
	if (lazily && first < p->layout.first)
		return steps_to(first, p->layout.first, length);
	if (!lazily && last < p->layout.first)
		return steps_to(last, p->layout.first, length);
	if (first > p->layout.last &&
	    (!lazily || iovab_layout__bit(&p->layout, first) >> 3 >= iovab_kernel__bytes(&p->layout)))
		return ~0ULL;
	return 0;
}

int policy__run(struct policy *p, const struct run *run)
{
	__u64 i = 0, calm, first, last;
	int err = 0;

	/* an eager kernel asks nobody, and an empty mark is no mark */
	if (p->o.id == IOVAB_POLICY_EAGER || !run->length)
		return 0;
	while (i < run->count && !err) {
		first = run->iova + i * run->length;
		last = first + (run->length - 1);
		if (last < first)
			last = ~0ULL;	/* it runs off the address space, and is the only one */
		calm = calm_marks(p, first, last, run->length);
		if (calm) {
			i = calm < run->count - i ? i + calm : run->count;
			continue;
		}
		if (p->work++ > POLICY_MAX_WORK)
			return -E2BIG;
		err = p->o.id == IOVAB_POLICY_LAZY ? mark_lazily(p, first, last) :
						     mark_cached(p, first, last);
		i++;
	}
	return err;
}

void policy__pause(struct policy *p)
{
	p->work = 0;
}

const struct iovab_pins *policy__pins(const struct policy *p)
{
	return &p->pins;
}

struct policy *policy__new(const struct policy_options *o, const struct iovab_layout *layout)
{
	struct policy *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->o = *o;
	p->policy = iovab_policy__of(o->id);
	p->layout = *layout;
	p->lazy.first = p->calm_first = 1;	/* above the last: nothing */
	p->tables = calloc(o->tables, sizeof(*p->tables));
	if (!p->tables) {
		policy__free(p);
		return NULL;
	}
	if (o->id == IOVAB_POLICY_EAGER)
		iovab_eager__pins(layout, &p->pins.windows, &p->pins.pages);
	return p;
}

void policy__free(struct policy *p)
{
	if (!p)
		return;
	free(p->starts.slots);
	free(p->tables);
	free(p);
}
