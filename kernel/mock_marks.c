// SPDX-License-Identifier: GPL-2.0-only
/*
 * Read and clear: from dirty granules to calls of iova_bitmap_set.
 *
 *   mock_bits__take -> join runs -> cut into marks -> (shuffle) -> set
 *
 * A walk takes the dirty granules of the call's range out of the bitmap, a run
 * within a word at a time. Runs that touch are joined. With merge a run is one
 * mark, else it is cut at page borders; marks follow the walk's direction.
 * For a shuffled order marks gather in a list that holds any one window of a
 * kernel before 6.11 (16 Mi marks); the list is permuted by the seed and the
 * first IOVA of the call, then set. A longer call is shuffled a list at a time.
 *
 * A page that the end of a call cuts (a window's border may lie inside a large
 * page) is marked as far as it lies in the call; the rest stays dirty.
 *
 * Faults, applied as a mark is set:
 *   redundant  after every Kth mark the same mark once more
 *   overshoot  the mark with the last page of the highest tracked range goes
 *              on for N pages past it
 *   cross      the mark with the last page of a call, where the tracked range
 *              goes on, goes on for up to N of its pages, which stay dirty
 * For the last two to happen at every call, the page they hang on is dirtied
 * if it is not dirty, and counts as any other dirty page.
 *
 * Everything counted here is decided here: what iova_bitmap makes of a mark
 * does not come into it. Runs under the engine's sem, held for reading; calls
 * on one device may run at the same time, each page goes to exactly one.
 */
#include <linux/iova_bitmap.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include "mock.h"

#define SHUFFLE_MAX_MARKS	(16UL << 20)

struct mark {
	u64 first;	/* granules */
	u64 count;
};

/* One call of log_read_and_clear. */
struct call {
	struct mock_engine *engine;
	const struct mock_sink *sink;
	struct mock_settings settings;
	struct mock_counts counts;
	u64 first, last;	/* the call's granules, inclusive */
	u64 extend_at;		/* the granule whose mark a fault lengthens */
	u64 extend_by;		/* granules, 0: none */
	bool overshoots;	/* ... beyond the tracked range */
	u64 page_granules;
	u64 emitted;		/* marks without the repeated ones */
	bool down;
	bool killed;		/* the list was not set to its end */
	struct mark run;	/* not cut into marks yet */
	struct mark *list;	/* gathered for shuffling, owned; else NULL */
	unsigned long list_len, list_max;
	struct rnd_state random;
};

/* mock_set_fn, for a call of this device */
static void set_bits(void *ctx, u64 iova, u64 length)
{
	struct call *call = ctx;

	mock_log__add(&call->engine->log, MOCK_LOG_MARK, iova, length);
	call->sink->set(call->sink->object, iova, length);
}

/* Sets one mark and counts it. */
static void set_mark(struct call *call, const struct mark *mark)
{
	u64 inside = mark->count, extra = 0;

	if (call->extend_by && call->extend_at - mark->first < mark->count)
		extra = call->extend_by;
	set_bits(call, mark->first << MOCK_GRANULE_SHIFT,
		 (inside + extra) << MOCK_GRANULE_SHIFT);

	if (extra && call->overshoots) {
		call->counts.overshoot_bytes += extra << MOCK_GRANULE_SHIFT;
	} else if (extra) {
		call->counts.cross_bytes += extra << MOCK_GRANULE_SHIFT;
		inside += extra;
	}
	call->counts.marked_bytes += inside << MOCK_GRANULE_SHIFT;
	call->counts.marks++;
}

static void emit_mark(struct call *call, const struct mark *mark)
{
	set_mark(call, mark);
	call->emitted++;
	if (call->settings.redundant && call->emitted % call->settings.redundant == 0)
		set_mark(call, mark);
}

/*
 * Makes the marks of the list from @from on dirty again: they will not be set.
 * A page that was written meanwhile was counted as dirtied once too often.
 * Needs no memory, the chunks are there.
 */
static void give_back(struct call *call, unsigned long from)
{
	struct mock_engine *engine = call->engine;
	u64 newly = 0, count = 0;
	unsigned long i;

	if (call->sink->keep)
		return;
	for (i = from; i < call->list_len; i++) {
		mock_bits__set(&engine->bits, call->list[i].first, call->list[i].count, &newly);
		count += call->list[i].count;
		if (i % 4096 == 0)
			cond_resched();
	}
	call->counts.distinct_bytes -= count << MOCK_GRANULE_SHIFT;
	mock_truth__add_dirtied(&engine->truth, (newly - count) << MOCK_GRANULE_SHIFT);
}

/* Every so often in a long loop: true when the process is being killed. */
static bool rest(unsigned long i)
{
	if (i % 4096)
		return false;
	cond_resched();
	return fatal_signal_pending(current);
}

/* Permutes the list: each order is equally likely. */
static void shuffle_list(struct call *call)
{
	unsigned long i, other;

	for (i = call->list_len; i > 1 && !rest(i); i--) {
		other = mul_u64_u32_shr(i, prandom_u32_state(&call->random), 32);
		swap(call->list[i - 1], call->list[other]);
	}
}

/* Shuffles the list and sets its marks; takes back what a kill leaves unset. */
static void flush_list(struct call *call)
{
	unsigned long i;

	shuffle_list(call);
	for (i = 0; i < call->list_len; i++) {
		if (rest(i)) {
			give_back(call, i);
			call->killed = true;
			break;
		}
		emit_mark(call, &call->list[i]);
	}
	call->list_len = 0;
}

static void add_mark(struct call *call, u64 first, u64 count)
{
	struct mark mark = { first, count };

	if (!call->list) {
		emit_mark(call, &mark);
		return;
	}
	if (call->list_len == call->list_max)
		flush_list(call);
	call->list[call->list_len++] = mark;
}

/* Cuts the run at page borders, which are multiples of a page from IOVA 0. */
static void cut_run(struct call *call)
{
	u64 size = call->page_granules;
	u64 first = call->run.first, end = first + call->run.count, part;

	while (first < end) {
		if (call->down) {
			part = min(end - first, (end - 1) % size + 1);
			end -= part;
			add_mark(call, end, part);
		} else {
			part = min(end - first, size - first % size);
			add_mark(call, first, part);
			first += part;
		}
	}
}

static void flush_run(struct call *call)
{
	if (!call->run.count)
		return;
	if (call->settings.merge)
		add_mark(call, call->run.first, call->run.count);
	else
		cut_run(call);
	call->run.count = 0;
}

/* Nothing that may follow belongs to the run's last page. */
static bool run_is_whole(const struct call *call)
{
	u64 border = call->run.first + (call->down ? 0 : call->run.count);

	return border % call->page_granules == 0;
}

/*
 * mock_take_fn: joins what touches the run before it. Without merge a run ends
 * at the next page border, so that marks are set while the walk goes on.
 */
static void join_run(void *ctx, u64 first, u64 count)
{
	struct call *call = ctx;
	struct mark *run = &call->run;

	call->counts.distinct_bytes += count << MOCK_GRANULE_SHIFT;
	if (run->count && !call->down && run->first + run->count == first) {
		run->count += count;
	} else if (run->count && call->down && first + count == run->first) {
		run->first = first;
		run->count += count;
	} else {
		flush_run(call);
		run->first = first;
		run->count = count;
	}
	if (!call->settings.merge && run_is_whole(call))
		flush_run(call);
}

/*
 * Which fault lengthens a mark in this call, by how much, and at which granule.
 * Dirties the page that the mark hangs on.
 */
static int plan_extension(struct call *call)
{
	struct mock_engine *engine = call->engine;
	u64 top = engine->ranges[engine->range_count - 1].last;
	const struct mock_range *range;
	u64 newly = 0;
	int err;

	range = mock_engine__range_of(engine, call->last);
	if (call->first <= top && call->last >= top) {
		call->overshoots = true;
		call->extend_at = top;
		call->extend_by = min(call->settings.overshoot_pages * call->page_granules,
				      (U64_MAX >> MOCK_GRANULE_SHIFT) - top);
	} else if (range) {
		call->extend_at = call->last;
		call->extend_by = min(call->settings.cross_pages * call->page_granules,
				      range->last - call->last);
	}
	if (!call->extend_by)
		return 0;
	err = mock_bits__set(&engine->bits, round_down(call->extend_at, call->page_granules),
			     call->page_granules, &newly);
	mock_truth__add_dirtied(&engine->truth, newly << MOCK_GRANULE_SHIFT);
	return err;
}

/* A list for the marks that are due now; one that gets full is used again. */
static int alloc_list(struct call *call)
{
	u64 due = mock_bits__count(&call->engine->bits, call->first, call->last);

	call->list_max = clamp_t(u64, due, 1024, SHUFFLE_MAX_MARKS);
	call->list = kvmalloc_array(call->list_max, sizeof(*call->list), GFP_KERNEL_ACCOUNT);
	return call->list ? 0 : -ENOMEM;
}

static int read_and_clear(struct call *call)
{
	int err;

	err = plan_extension(call);
	if (err)
		return err;
	if (call->settings.order == MOCK_SHUFFLED) {
		prandom_seed_state(&call->random, call->settings.seed ^ call->first);
		err = alloc_list(call);
		if (err)
			return err;
	}
	/* from here on marks are due, and set even when the walk ends early */
	err = mock_bits__take(&call->engine->bits, call->first, call->last,
			      call->down, call->sink->keep, join_run, call);
	flush_run(call);
	if (call->list)
		flush_list(call);
	kvfree(call->list);
	return call->killed ? -EINTR : err;
}

/*
 * Marks what is dirty in @length bytes from @iova on, and makes it clean if @sink does
 * not say otherwise: then it is no call that the truth counts.
 * -EINVAL: logging is off, or the call does not begin and end on 4 KiB.
 * -ENOMEM: nothing was taken. -EINTR: killed; what was not marked is dirty still.
 */
int mock_marks__report_to(struct mock_engine *engine, u64 iova, u64 length,
			  const struct mock_sink *sink)
{
	struct call call = { .engine = engine, .sink = sink };
	int err = -EINVAL;

	mock_engine__get_settings(engine, &call.settings);
	if (call.settings.delay_ms)
		schedule_timeout_killable(msecs_to_jiffies(call.settings.delay_ms));
	if (wait_event_killable(engine->held, !READ_ONCE(engine->settings.hold)))
		return -EINTR;

	down_read(&engine->sem);
	if (!engine->logging || !length || !IS_ALIGNED(iova | length, MOCK_GRANULE_BYTES))
		goto unlock;
	call.first = iova >> MOCK_GRANULE_SHIFT;
	call.last = (iova + length - 1) >> MOCK_GRANULE_SHIFT;
	call.page_granules = mock_engine__page_granules(engine);
	call.down = call.settings.order == MOCK_DESCENDING;
	mock_log__add(&engine->log, MOCK_LOG_CALL, iova, length);
	mock_script__run(&engine->script, iova, iova + length - 1, set_bits, &call);
	mock_load__run(&engine->load, iova, length, sink);
	err = read_and_clear(&call);
	call.counts.calls = 1;
	if (!sink->keep)
		mock_truth__add_call(&engine->truth, &call.counts);
unlock:
	up_read(&engine->sem);
	return err;
}

static void set_kernels(void *bitmap, u64 iova, u64 length)
{
	iova_bitmap_set(bitmap, iova, length);
}

/* The same into the kernel's own bitmap. */
int mock_marks__report(struct mock_engine *engine, u64 iova, u64 length,
		       struct iova_bitmap *bitmap)
{
	const struct mock_sink sink = { .set = set_kernels, .object = bitmap };

	return mock_marks__report_to(engine, iova, length, &sink);
}
