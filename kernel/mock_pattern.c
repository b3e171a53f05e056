// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which pages the engine writes, and when.
 *
 * The tracked ranges, as far as they lie in `area`, count as one row of pages, 0
 * to pages - 1. A pattern is a
 * function from the number of a write to a page in that row:
 *
 *   sequential  0, 1, 2 ... and from the start again
 *   random      any page, equally likely
 *   hotspot     9 writes of 10 fall into one sixteenth of the row, which begins
 *               at its middle; the tenth anywhere
 *   sparse      one page in every stride of 64 MiB, one stride after the other;
 *               which page of the stride follows from the seed alone
 *   dense       blocks of 496 pages, one page after the other, with gaps of 16
 *               pages between them that are never written
 *   all         every page, at every step
 *
 * The same seed, ranges, page size and writes give the same pages: START and a
 * write to `seed` begin the row and the random numbers anew. Writing a dirty
 * page again changes nothing, as in a device; with `memory` it changes what is
 * in the page (mock_memory.c).
 *
 * Writes come from `step` (now, all of them) and from `rate`: a work that runs
 * every 10 ms, writes what has come due and gives up what it cannot write
 * within half that time (throttled_pages), so that no rate eats a CPU.
 */
#include <linux/jhash.h>
#include <linux/math64.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

#include "mock.h"

#define DENSE_BLOCK_PAGES	512
#define DENSE_WRITTEN_PAGES	496
#define SPARSE_STRIDE_BYTES	(64ULL << 20)
#define RATE_PERIOD_MS		10
#define RATE_BUDGET_NS		(5 * NSEC_PER_MSEC)
#define RATE_BATCH_WRITES	256
#define STEP_BATCH_WRITES	65536
#define MAX_SWEEP_PAGES		(1ULL << 33)	/* times NSEC_PER_SEC fits 64 bits */

static u64 random_below(struct mock_engine *engine, u64 limit)
{
	u64 random = (u64)prandom_u32_state(&engine->random) << 32;

	random |= prandom_u32_state(&engine->random);
	return mul_u64_u64_shr(random, limit, 64);
}

static u64 hotspot_page(struct mock_engine *engine)
{
	u64 hot = max_t(u64, engine->pages / 16, 1);

	if (random_below(engine, 10) == 0)
		return random_below(engine, engine->pages);
	return (engine->pages / 2 + random_below(engine, hot)) % engine->pages;
}

static u64 sparse_page(struct mock_engine *engine, u32 seed)
{
	u64 stride = SPARSE_STRIDE_BYTES / engine->page_bytes;
	u64 number = engine->cursor++ % DIV_ROUND_UP(engine->pages, stride);
	u64 base = number * stride;

	stride = min(stride, engine->pages - base);
	return base + jhash_2words(number, number >> 32, seed) % stride;
}

static u64 dense_page(struct mock_engine *engine)
{
	u64 rest = engine->pages % DENSE_BLOCK_PAGES;
	u64 usable = engine->pages / DENSE_BLOCK_PAGES * DENSE_WRITTEN_PAGES +
		     min_t(u64, rest, DENSE_WRITTEN_PAGES);
	u64 number = engine->cursor++ % usable;

	return number / DENSE_WRITTEN_PAGES * DENSE_BLOCK_PAGES +
	       number % DENSE_WRITTEN_PAGES;
}

static u64 next_page(struct mock_engine *engine, const struct mock_settings *settings)
{
	switch (settings->pattern) {
	case MOCK_RANDOM:
		return random_below(engine, engine->pages);
	case MOCK_HOTSPOT:
		return hotspot_page(engine);
	case MOCK_SPARSE:
		return sparse_page(engine, settings->seed);
	case MOCK_DENSE:
		return dense_page(engine);
	default:
		return engine->cursor++ % engine->pages;
	}
}

static u64 page_to_granule(const struct mock_engine *engine, u64 page)
{
	u32 i = engine->row_count - 1;

	while (engine->row[i].page_base > page)
		i--;
	return engine->row[i].first +
	       (page - engine->row[i].page_base) * mock_engine__page_granules(engine);
}

/* Writes @count granules from @granule on: a page, but for a sweep that writes no memory. */
static int dirty(struct mock_engine *engine, const struct mock_settings *settings,
		 u64 granule, u64 count, u64 *newly)
{
	if (settings->memory && !mock_memory__write(engine, settings, granule))
		return 0;
	return mock_bits__set(&engine->bits, granule, count, newly);
}

/* Dirties every page once. Caller holds step_lock and sem. */
static int sweep(struct mock_engine *engine, const struct mock_settings *settings, u64 *newly)
{
	u64 most = settings->memory ? mock_engine__page_granules(engine) : SZ_64K;
	u64 granule, part, last;
	u32 i;
	int err;

	for (i = 0; i < engine->row_count; i++) {
		last = engine->row[i].last;
		for (granule = engine->row[i].first; granule <= last; granule += part) {
			part = min(last - granule + 1, most);
			err = dirty(engine, settings, granule, part, newly);
			if (err)
				return err;
			cond_resched();
			if (fatal_signal_pending(current))
				return -EINTR;
		}
	}
	return 0;
}

/* Makes @writes page writes (sweeps for `all`). Caller holds step_lock and sem. */
static int write_pages(struct mock_engine *engine, const struct mock_settings *settings, u64 writes)
{
	u64 per_page = mock_engine__page_granules(engine), newly = 0, i;
	int err = 0;

	for (i = 0; i < writes && !err; i++) {
		if (settings->pattern == MOCK_ALL)
			err = sweep(engine, settings, &newly);
		else
			err = dirty(engine, settings,
				    page_to_granule(engine, next_page(engine, settings)),
				    per_page, &newly);
		if (i % 1024 == 0) {
			cond_resched();
			if (fatal_signal_pending(current))
				err = err ?: -EINTR;
		}
	}
	mock_truth__add_dirtied(&engine->truth, newly << MOCK_GRANULE_SHIFT);
	return err;
}

/* Caller holds step_lock. */
static bool is_still(const struct mock_engine *engine)
{
	return engine->stopped || engine->paused;
}

struct step {
	struct work_struct work;
	struct mock_engine *engine;
	const struct mock_settings *settings;
	u64 writes;
	int err;
};

static int step_batch(struct mock_engine *engine, const struct mock_settings *settings, u64 writes)
{
	int err;

	mutex_lock(&engine->step_lock);
	down_read(&engine->sem);
	if (!engine->logging)
		err = -ENODEV;
	else if (is_still(engine))
		err = -EBUSY;
	else
		err = write_pages(engine, settings, writes);
	up_read(&engine->sem);
	mutex_unlock(&engine->step_lock);
	return err;
}

static void step_work(struct work_struct *work)
{
	struct step *step = container_of(work, struct step, work);

	step->err = step_batch(step->engine, step->settings, step->writes);
}

/* Memory is written by a kernel thread alone: waits for it. */
static int step_elsewhere(struct mock_engine *engine, const struct mock_settings *settings,
			  u64 writes)
{
	struct step step = { .engine = engine, .settings = settings, .writes = writes };

	INIT_WORK_ONSTACK(&step.work, step_work);
	queue_work(system_unbound_wq, &step.work);
	flush_work(&step.work);
	destroy_work_on_stack(&step.work);
	return step.err;
}

/*
 * Makes @writes page writes now, in batches, so that STOP need not wait for
 * all. -ENODEV: logging is off, so nothing is tracked. -EBUSY: the device
 * stands still. -EINTR: killed meanwhile. -ENOMEM. Some may have been made.
 */
int mock_pattern__step(struct mock_engine *engine, u64 writes)
{
	struct mock_settings settings;
	u64 batch;
	int err = 0;

	mock_engine__get_settings(engine, &settings);
	while (writes && !err) {
		batch = settings.pattern == MOCK_ALL ? 1 : min_t(u64, writes, STEP_BATCH_WRITES);
		err = settings.memory ? step_elsewhere(engine, &settings, batch) :
					step_batch(engine, &settings, batch);
		writes -= batch;
	}
	return err;
}

/* Begins the patterns anew. Caller holds step_lock. */
void mock_pattern__reseed(struct mock_engine *engine)
{
	struct mock_settings settings;

	mock_engine__get_settings(engine, &settings);
	prandom_seed_state(&engine->random, settings.seed);
	engine->cursor = 0;
}

/* Stands still, or goes on, for one of two reasons. Time that it stood owes no writes. */
static void set_still(struct mock_engine *engine, bool *reason, bool still)
{
	mutex_lock(&engine->step_lock);
	if (is_still(engine))
		engine->rate_last_ns = ktime_get_ns();
	*reason = still;
	mutex_unlock(&engine->step_lock);
}

/* `stop` in sysfs. When it returns stopped, no write is under way. */
void mock_pattern__stop(struct mock_engine *engine, bool stopped)
{
	set_still(engine, &engine->stopped, stopped);
}

/* The same for a migration state in which the device does not run. */
void mock_pattern__pause(struct mock_engine *engine, bool paused)
{
	set_still(engine, &engine->paused, paused);
}

/* Wakes the rate work: logging began, or the rate changed. */
void mock_pattern__kick(struct mock_engine *engine)
{
	queue_delayed_work(system_unbound_wq, &engine->rate_work, 0);
}

/* How many writes of @per_write pages have come due. At most a second's worth is ever owed. */
static u64 writes_due(struct mock_engine *engine, u64 rate, u64 per_write)
{
	u64 now = ktime_get_ns();
	u64 passed = min_t(u64, now - engine->rate_last_ns, NSEC_PER_SEC);
	u64 due;

	engine->rate_last_ns = now;
	engine->rate_owed += rate * passed;
	due = div64_u64(engine->rate_owed, per_write * NSEC_PER_SEC);
	engine->rate_owed -= due * per_write * NSEC_PER_SEC;
	return due;
}

/* Makes the writes that are due, for a limited time. Caller holds the locks. */
static void write_due(struct mock_engine *engine, const struct mock_settings *settings)
{
	bool all = settings->pattern == MOCK_ALL;
	u64 pages = all ? min_t(u64, engine->pages, MAX_SWEEP_PAGES) : 1;
	u64 end = ktime_get_ns() + RATE_BUDGET_NS;
	u64 due, batch;
	int err = 0;

	/* a sweep is one write of `all`, due when its pages are */
	due = writes_due(engine, settings->rate, pages);
	while (due && !err && ktime_get_ns() < end) {
		batch = all ? 1 : min_t(u64, due, RATE_BATCH_WRITES);
		err = write_pages(engine, settings, batch);
		due -= batch;
	}
	if (err)
		dev_err_ratelimited(engine->dev, "rate: cannot dirty pages: error %d\n", err);
	if (due)
		mock_truth__add_throttled(&engine->truth, due * pages);
}

/* Runs while logging is on and a rate is set. */
void mock_pattern__rate_work(struct work_struct *work)
{
	struct mock_engine *engine = container_of(to_delayed_work(work),
						  struct mock_engine, rate_work);
	struct mock_settings settings;
	bool again;

	mock_engine__get_settings(engine, &settings);
	mutex_lock(&engine->step_lock);
	down_read(&engine->sem);
	again = engine->logging && settings.rate;
	if (again && !is_still(engine))
		write_due(engine, &settings);
	up_read(&engine->sem);
	mutex_unlock(&engine->step_lock);
	if (again)
		queue_delayed_work(system_unbound_wq, &engine->rate_work,
				   msecs_to_jiffies(RATE_PERIOD_MS));
}
