// SPDX-License-Identifier: GPL-2.0-only
#include "cost.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "iovab.skel.h"
#include "programs.h"
#include "reference.h"

#define COST_EVERY_NS	(8 * 1000000000ULL)
/* It times them until there was a mark, and not longer than that. */
#define ASK_NS		(2 * 1000000000ULL)

/* Marks of a report under way are read while it makes more: so often at most. */
#define READS	4

/* Series that are mapped at once. */
#define PIECE	256

/* What was counted at one moment. */
struct counted {
	__u64 time_ns;
	__u64 run_ns, runs;	/* of the programs that time themselves */
	__u64 marks;
};

struct cost {
	struct session *session;
	struct iovab_cost *cpus;	/* n_cpus of them */
	int n_cpus;

	struct counted last;		/* the last sample; time_ns 0: none yet */
	__u64 oldest_start_ns;		/* of the reports under way at the last one */

	/* what a mark takes, as of the last time that it was asked for */
	int stats_fd;			/* the kernel times programs while it is open */
	__u64 price_runs, price_run_ns;	/* of the program on set when it was opened */
	__u64 price_time_ns;		/* when it was opened last */
	bool price_known, price_refused;
	double price_ns;

	/* all marks are in one of these: paid for, waiting for a price, or without one for good */
	double paid_ns;
	struct counted waiting;		/* since the first of them: differences */
	struct counted known;		/* time and run_ns for which all is known */
	bool left_out;			/* since the facts were last asked for, some were without one */
	double budget_ns;		/* all marks, at what was known when they were counted */
};

struct cost *cost__new(struct session *s)
{
	struct cost *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->session = s;
	c->stats_fd = -1;
	c->n_cpus = libbpf_num_possible_cpus();
	c->cpus = c->n_cpus > 0 ? calloc((size_t)c->n_cpus, sizeof(*c->cpus)) : NULL;
	if (c->cpus)
		return c;
	cost__free(c);
	errno = ENOMEM;
	return NULL;
}

void cost__free(struct cost *c)
{
	if (!c)
		return;
	if (c->stats_fd >= 0)
		close(c->stats_fd);
	free(c->cpus);
	free(c);
}

/* --- the series --- */

/* Some of them, mapped; they are some MiB in all, which would be resident. */
struct piece {
	int map;			/* .bss */
	size_t first;
	char *at;			/* NULL: none is mapped */
	size_t bytes;
	const volatile struct iovab_series *series;
};

static void piece_unmap(struct piece *p)
{
	if (p->at)
		munmap(p->at, p->bytes);
	p->at = NULL;
}

/* Those that @n is among. */
static bool piece_map(struct piece *p, size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), begin, skew;

	piece_unmap(p);
	p->first = n - n % PIECE;
	begin = offsetof(struct iovab_bpf__bss, series.of) + p->first * sizeof(*p->series);
	skew = begin % page;
	p->bytes = skew + PIECE * sizeof(*p->series);
	p->at = mmap(NULL, p->bytes, PROT_READ, MAP_SHARED, p->map, (off_t)(begin - skew));
	if (p->at == MAP_FAILED)
		p->at = NULL;
	p->series = (const volatile struct iovab_series *)(p->at + skew);
	return p->at;
}

/* The series of slot @n of the facility's; NULL: it cannot be read. */
static const volatile struct iovab_series *piece_series(struct piece *p, size_t n)
{
	if ((!p->at || n - p->first >= PIECE) && !piece_map(p, n))
		return NULL;
	return &p->series[n - p->first];
}

/* --- what was counted --- */

/*
 * The marks of a report under way. They are in several fields, which its programs
 * change meanwhile; what they were settled to must be the same before and after.
 * 0 if that cannot be had: the next sample will.
 */
static __u64 marks_under_way(const volatile struct iovab_series *s)
{
	size_t i, j;

	for (i = 0; i < READS && s->obj; i++) {
		__u64 settled = s->set_calls, room = s->room, marks;

		marks = settled + s->lone + s->descents + s->adjoined + (room != 0);
		for (j = 0; j < IOVAB_TALLY_EXACT; j++)
			marks += s->tally[j];
		for (j = 0; j < IOVAB_RUN_BUCKETS; j++)
			marks += s->tally_long[j];
		if (s->obj && s->set_calls == settled && s->room == room)
			return marks;
	}
	return 0;
}

/* Whether the slot is taken, by a report that has begun. */
static bool count_slot(struct cost *c, const volatile struct iovab_slot *slot)
{
	__u64 start = slot->start_ns;

	if (!slot->key || !start)
		return false;
	if (!c->oldest_start_ns || start < c->oldest_start_ns)
		c->oldest_start_ns = start;
	return true;
}

/* Below the tier sets there are no series. */
static void count_facility(struct cost *c, const struct iovab_bpf *bpf, struct counted *now)
{
	struct piece piece = { .map = bpf_map__fd(bpf->maps.bss) };
	const volatile struct iovab_series *series;
	size_t i;

	for (i = 0; i < IOVAB_MAX_REPORTS; i++) {
		if (!count_slot(c, &bpf->bss->slots[i]) || bpf->rodata->tier < IOVAB_TIER_SETS)
			continue;
		series = piece_series(&piece, i);
		if (series)
			now->marks += marks_under_way(series);
	}
	piece_unmap(&piece);
}

static void count_reference(struct cost *c, struct counted *now)
{
	const struct reference *r = session__reference(c->session);
	const volatile struct iovab_series *series = reference__series(r);
	const volatile struct iovab_slot *slots;
	size_t i, n;

	slots = reference__slots(r, &n);
	for (i = 0; i < n; i++)
		if (count_slot(c, &slots[i]))
			now->marks += marks_under_way(&series[i]);
}

static void count_under_way(struct cost *c, const struct iovab_bpf *bpf, struct counted *now)
{
	c->oldest_start_ns = 0;
	if (bpf->data->reports_in_flight)
		count_facility(c, bpf, now);
	count_reference(c, now);
}

/* False: the kernel does not tell. */
static bool count(struct cost *c, struct iovab_bpf *bpf, struct counted *now)
{
	__u32 zero = 0;
	int i;

	if (bpf_map_lookup_elem(bpf_map__fd(bpf->maps.cost), &zero, c->cpus))
		return false;
	for (i = 0; i < c->n_cpus; i++) {
		now->run_ns += c->cpus[i].run_ns;
		now->runs += c->cpus[i].runs;
		now->marks += c->cpus[i].marks;
	}
	count_under_way(c, bpf, now);
	/* a report that ended between the two reads is in neither: the next sample has it */
	if (now->marks < c->last.marks)
		now->marks = c->last.marks;
	return true;
}

/* --- what a mark takes --- */

static void begin_asking(struct cost *c, const struct programs_sum *sum, __u64 now_ns)
{
	c->price_time_ns = now_ns;
	c->stats_fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
	if (c->stats_fd < 0) {
		c->price_refused = true;
		return;
	}
	c->price_runs = sum->mark_runs;
	c->price_run_ns = sum->mark_run_ns;
}

static void end_asking(struct cost *c, const struct programs_sum *sum, __u64 now_ns)
{
	__u64 runs = sum->mark_runs - c->price_runs;

	if (!runs && now_ns - c->price_time_ns < ASK_NS)
		return;
	close(c->stats_fd);
	c->stats_fd = -1;
	if (!runs)
		return;
	c->price_ns = (double)(sum->mark_run_ns - c->price_run_ns) / (double)runs;
	c->price_known = true;
}

static void ask_price(struct cost *c, const struct iovab_bpf *bpf, const struct counted *now)
{
	struct programs_sum sum = {};
	bool marks = now->marks > c->last.marks;
	bool old = !c->price_known || now->time_ns - c->price_time_ns >= COST_EVERY_NS;

	if (c->stats_fd < 0 && (!marks || !old || c->price_refused))
		return;
	programs__add(bpf->obj, &sum);
	reference__add_programs(session__reference(c->session), &sum);
	if (c->stats_fd >= 0)
		end_asking(c, &sum, now->time_ns);
	else
		begin_asking(c, &sum, now->time_ns);
}

/* --- what is known --- */

static void add(struct counted *to, const struct counted *now, const struct counted *before)
{
	to->time_ns += now->time_ns - before->time_ns;
	to->run_ns += now->run_ns - before->run_ns;
	to->runs += now->runs - before->runs;
	to->marks += now->marks - before->marks;
}

/* A price comes only while there are marks, and not where it is refused. */
static bool price_may_come(const struct cost *c)
{
	return !c->price_refused &&
	       (c->stats_fd >= 0 || session__tier_now(c->session) >= IOVAB_TIER_SETS);
}

static void settle(struct cost *c)
{
	static const struct counted none;

	if (c->waiting.marks && !c->price_known) {
		if (!price_may_come(c)) {
			c->waiting = none;
			c->left_out = true;
		}
		return;
	}
	add(&c->known, &c->waiting, &none);
	c->paid_ns += (double)c->waiting.marks * c->price_ns;
	c->waiting = none;
}

void cost__sample(struct cost *c, __u64 now_ns)
{
	struct iovab_bpf *bpf = session__bpf(c->session);
	struct counted now = { .time_ns = now_ns };

	if (now_ns <= c->last.time_ns || !count(c, bpf, &now))
		return;
	if (!c->last.time_ns) {
		c->last = now;
		return;
	}
	ask_price(c, bpf, &now);
	c->budget_ns += (double)(now.marks - c->last.marks) *
			(c->price_known ? c->price_ns : COST_MARK_NS);
	add(&c->waiting, &now, &c->last);
	settle(c);
	c->last = now;
}

bool cost__asks(const struct cost *c)
{
	return c->stats_fd >= 0;
}

void cost__facts(struct cost *c, struct iovab_cost_fact *f)
{
	f->bpf_known = c->known.time_ns && !c->waiting.marks && !c->left_out;
	c->left_out = false;
	f->bpf_run_ns = c->known.run_ns + (__u64)c->paid_ns;
	f->bpf_sampled_ns = c->known.time_ns;
	f->bpf_runs = c->last.runs + c->last.marks;
}

void cost__budget_sample(const struct cost *c, struct budget_sample *s)
{
	s->time_ns = c->last.time_ns;
	s->used_ns = c->last.run_ns + (__u64)c->budget_ns;
	s->runs = c->last.runs;
	s->oldest_start_ns = c->oldest_start_ns;
}
