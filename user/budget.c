// SPDX-License-Identifier: GPL-2.0-only
#include "budget.h"

#include <string.h>

#define SECOND_NS	1000000000ULL

void budget__init(struct budget *b, __u64 limit_ppm, enum iovab_tier most)
{
	memset(b, 0, sizeof(*b));
	b->limit_ppm = limit_ppm;
	b->most = b->now = most;
	b->hold_ns = BUDGET_HOLD_NS;
}

static __u64 since(__u64 now, __u64 before)
{
	return now > before ? now - before : 0;
}

/* @ns of @of_ns, in parts of BUDGET_ONE. */
static __u64 share(double ns, __u64 of_ns)
{
	return (__u64)(ns * BUDGET_ONE / (double)of_ns);
}

static void begin_second(struct budget *b, const struct budget_sample *s)
{
	b->second = *s;
}

static void begin_hold(struct budget *b, const struct budget_sample *s)
{
	b->calm_ns = s->time_ns;
}

static void drop(struct budget *b, const struct budget_sample *s, __u64 used, __u64 runs)
{
	bool relapse = b->raise_ns && since(s->time_ns, b->raise_ns) < BUDGET_RELAPSE_NS;

	if (b->now == IOVAB_TIER_WINDOWS) {
		b->over = true;
		return;
	}
	b->run_ns[b->now] = (double)used / (double)(runs ? runs : 1);
	b->now--;
	b->drops++;
	b->drop_ns = s->time_ns;
	b->hold_ns = relapse ? 2 * b->hold_ns : BUDGET_HOLD_NS;
	if (b->hold_ns > BUDGET_HOLD_MOST_NS)
		b->hold_ns = BUDGET_HOLD_MOST_NS;
	begin_hold(b, s);
}

/* Would the tier above have kept to half of the limit in the second that is over? */
static bool is_calm(const struct budget *b, const struct budget_sample *s, __u64 runs, __u64 ns)
{
	double above = b->run_ns[b->now + 1] * (double)runs;

	if (s->oldest_start_ns && s->oldest_start_ns < b->calm_ns)
		return false;
	return 2 * share(above, ns) <= b->limit_ppm && 2 * b->share_ppm <= b->limit_ppm;
}

static void maybe_raise(struct budget *b, const struct budget_sample *s, __u64 runs, __u64 ns)
{
	if (b->now == b->most)
		return;
	if (!is_calm(b, s, runs, ns))
		begin_hold(b, s);
	if (since(s->time_ns, b->calm_ns) < b->hold_ns &&
	    since(s->time_ns, b->drop_ns) < BUDGET_HOLD_MOST_NS)
		return;
	b->now++;
	b->raise_ns = s->time_ns;
	b->drop_ns = s->time_ns;	/* the longest hold is that of the next tier now */
	begin_hold(b, s);
}

enum iovab_tier budget__take(struct budget *b, const struct budget_sample *s)
{
	__u64 ns = since(s->time_ns, b->second.time_ns);
	__u64 used = since(s->used_ns, b->second.used_ns);
	__u64 runs = since(s->runs, b->second.runs);

	if (!b->limit_ppm)
		return b->now;
	if (!b->second.time_ns) {
		begin_second(b, s);
	} else if (ns && share((double)used, ns > SECOND_NS ? ns : SECOND_NS) > b->limit_ppm) {
		b->share_ppm = share((double)used, ns);
		drop(b, s, used, runs);
		begin_second(b, s);
	} else if (ns >= SECOND_NS) {
		b->share_ppm = share((double)used, ns);
		b->over = false;
		maybe_raise(b, s, runs, ns);
		begin_second(b, s);
	}
	return b->now;
}

void budget__changed(struct budget *b, const struct budget_sample *s)
{
	begin_second(b, s);
}

void budget__refused(struct budget *b)
{
	b->now--;
	b->most = b->now;
}
