// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dirty engine: what is tracked, and logging on and off.
 *
 * Locks, outermost first:
 *   state_lock     the migration state (mock_migration.c)
 *   step_lock      one writer of pages at a time, so that a seed gives the same
 *                  pages each time; whoever holds it and sees stopped or paused
 *                  knows that nothing is written.
 *   sem            read: pages are written or taken. Write: logging starts or
 *                  stops, page_size changes. So ranges and chunks cannot go
 *                  away under a report.
 *   settings_lock  the settings, copied out whole
 *   truth.lock     the figures
 * The last two are spinlocks, held for a copy, never nested.
 *
 * The rate work takes step_lock and sem, so it is cancelled with neither held;
 * once logging is off it does not arm itself again.
 */
#include <linux/slab.h>

#include "mock.h"

void mock_engine__init(struct mock_engine *engine, struct device *dev)
{
	engine->dev = dev;
	engine->page_bytes = MOCK_MIN_PAGE_BYTES;
	engine->settings.seed = 1;
	spin_lock_init(&engine->settings_lock);
	init_waitqueue_head(&engine->held);
	init_rwsem(&engine->sem);
	mutex_init(&engine->step_lock);
	mock_bits__init(&engine->bits);
	mock_truth__init(&engine->truth);
	mock_script__init(&engine->script);
	mock_log__init(&engine->log, dev_name(dev));
	mock_load__init(engine);
	INIT_DELAYED_WORK(&engine->rate_work, mock_pattern__rate_work);
	mock_share__add(engine);
}

/* Stops logging if it is on. Nobody can reach @engine any more. */
void mock_engine__destroy(struct mock_engine *engine)
{
	mock_share__remove(engine);
	mock_engine__stop(engine);
	cancel_delayed_work_sync(&engine->rate_work);
	mock_log__destroy(&engine->log);
	mock_load__destroy(engine);
	mock_script__destroy(&engine->script);
	mutex_destroy(&engine->step_lock);
}

void mock_engine__get_settings(struct mock_engine *engine, struct mock_settings *out)
{
	spin_lock(&engine->settings_lock);
	*out = engine->settings;
	spin_unlock(&engine->settings_lock);
}

u64 mock_engine__page_granules(const struct mock_engine *engine)
{
	return engine->page_bytes >> MOCK_GRANULE_SHIFT;
}

/* The tracked range that holds @granule, or NULL. Caller holds sem. */
const struct mock_range *mock_engine__range_of(const struct mock_engine *engine, u64 granule)
{
	u32 i;

	for (i = 0; i < engine->range_count; i++)
		if (granule >= engine->ranges[i].first && granule <= engine->ranges[i].last)
			return &engine->ranges[i];
	return NULL;
}

static bool range_is_whole_pages(const struct interval_tree_node *node, u64 page_bytes)
{
	return node->last > node->start && IS_ALIGNED(node->start, page_bytes) &&
	       IS_ALIGNED(node->last + 1, page_bytes);
}

static int copy_ranges(struct mock_engine *engine, struct rb_root_cached *root, u32 count)
{
	struct interval_tree_node *node;
	struct mock_range *range = engine->ranges;

	for (node = interval_tree_iter_first(root, 0, ULONG_MAX); node;
	     node = interval_tree_iter_next(node, 0, ULONG_MAX)) {
		if (range == engine->ranges + count ||
		    !range_is_whole_pages(node, engine->page_bytes))
			return -EINVAL;
		range->first = node->start >> MOCK_GRANULE_SHIFT;
		range->last = node->last >> MOCK_GRANULE_SHIFT;
		range++;
	}
	engine->range_count = range - engine->ranges;
	return engine->range_count ? 0 : -EINVAL;
}

/*
 * The row of pages that patterns write: of each range the whole pages in the
 * area. -EINVAL: there is none.
 */
static int fill_row(struct mock_engine *engine)
{
	u64 size = mock_engine__page_granules(engine);
	u64 first = DIV_ROUND_UP(engine->area_iova, engine->page_bytes) * size;
	u64 end = (engine->area_iova + engine->area_bytes) / engine->page_bytes * size;
	struct mock_range *row = engine->row;
	u32 i;

	engine->pages = 0;
	for (i = 0; i < engine->range_count; i++) {
		*row = engine->ranges[i];
		if (engine->area_bytes) {
			if (row->last < first || row->first >= end || first >= end)
				continue;
			row->first = max(row->first, first);
			row->last = min(row->last, end - 1);
		}
		row->page_base = engine->pages;
		engine->pages += (row->last - row->first + 1) / size;
		row++;
	}
	engine->row_count = row - engine->row;
	return engine->row_count ? 0 : -EINVAL;
}

static void free_ranges(struct mock_engine *engine)
{
	kvfree(engine->ranges);
	kvfree(engine->row);
	engine->ranges = NULL;
	engine->row = NULL;
	engine->range_count = 0;
	engine->row_count = 0;
	engine->pages = 0;
}

/*
 * LOGGING_START: tracks the ranges in @root from now on, with nothing dirty,
 * and returns the tracked page size. -EINVAL: logging is on, or a range is
 * empty or not made of whole pages, or none reaches into the area. -ENOMEM.
 */
int mock_engine__start(struct mock_engine *engine, struct rb_root_cached *root,
		       u32 count, u64 *page_bytes)
{
	int err;

	mutex_lock(&engine->step_lock);
	down_write(&engine->sem);
	err = -EINVAL;
	if (engine->logging)
		goto unlock;

	err = -ENOMEM;
	engine->ranges = kvcalloc(count, sizeof(*engine->ranges), GFP_KERNEL);
	engine->row = kvcalloc(count, sizeof(*engine->row), GFP_KERNEL);
	if (!engine->ranges || !engine->row)
		goto free_ranges;
	err = copy_ranges(engine, root, count);
	if (!err)
		err = fill_row(engine);
	if (err) {
		dev_notice_ratelimited(engine->dev,
			"START refused: a range is empty or not a multiple of the tracked page size, %llu bytes, or has nothing in the area\n",
			engine->page_bytes);
		goto free_ranges;
	}

	*page_bytes = engine->page_bytes;
	mock_pattern__reseed(engine);
	engine->rate_last_ns = ktime_get_ns();
	engine->rate_owed = 0;
	engine->logging = true;
	up_write(&engine->sem);
	mutex_unlock(&engine->step_lock);
	mock_pattern__kick(engine);
	return 0;

free_ranges:
	free_ranges(engine);
unlock:
	up_write(&engine->sem);
	mutex_unlock(&engine->step_lock);
	return err;
}

/*
 * LOGGING_STOP: waits for reports and writes under way, forgets what is dirty.
 * -EINVAL: logging is off.
 */
int mock_engine__stop(struct mock_engine *engine)
{
	down_write(&engine->sem);
	if (!engine->logging) {
		up_write(&engine->sem);
		return -EINVAL;
	}
	engine->logging = false;
	mock_bits__clear(&engine->bits);
	free_ranges(engine);
	mock_truth__drop_pending(&engine->truth);
	up_write(&engine->sem);
	cancel_delayed_work_sync(&engine->rate_work);
	return 0;
}
