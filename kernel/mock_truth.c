// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the device did, told by itself: the ground truth for tests.
 *
 * All figures come from the engine's own decisions and never from the kernel's
 * iova_bitmap. One lock guards them; a call adds everything it did at its end,
 * so a reader never sees half a call, and user space gets one report's figures
 * by reading before and after it.
 *
 * Conservation: dirtied = distinct + pending + dropped. It holds for every
 * reader when no call and no step is under way; else pending can lag by what
 * is under way, and is shown as 0 where it would be negative.
 */
#include <linux/string.h>
#include <linux/sysfs.h>

#include "mock.h"

void mock_truth__init(struct mock_truth *truth)
{
	spin_lock_init(&truth->lock);
}

void mock_truth__add_call(struct mock_truth *truth, const struct mock_counts *call)
{
	struct mock_counts *total = &truth->total;

	spin_lock(&truth->lock);
	total->calls += call->calls;
	total->marks += call->marks;
	total->marked_bytes += call->marked_bytes;
	total->overshoot_bytes += call->overshoot_bytes;
	total->cross_bytes += call->cross_bytes;
	total->distinct_bytes += call->distinct_bytes;
	truth->last = *call;
	spin_unlock(&truth->lock);
}

void mock_truth__add_dirtied(struct mock_truth *truth, u64 bytes)
{
	spin_lock(&truth->lock);
	truth->dirtied_bytes += bytes;
	spin_unlock(&truth->lock);
}

void mock_truth__add_throttled(struct mock_truth *truth, u64 pages)
{
	spin_lock(&truth->lock);
	truth->throttled_pages += pages;
	spin_unlock(&truth->lock);
}

/* A write of guest memory: @err says how it went. */
void mock_truth__add_memory(struct mock_truth *truth, int err, bool logged)
{
	spin_lock(&truth->lock);
	if (err)
		truth->memory_failed++;
	else
		truth->memory_writes++;
	if (!err && !logged)
		truth->memory_unlogged++;
	spin_unlock(&truth->lock);
}

static u64 pending_bytes(const struct mock_truth *truth)
{
	u64 gone = truth->total.distinct_bytes + truth->dropped_bytes;

	return truth->dirtied_bytes > gone ? truth->dirtied_bytes - gone : 0;
}

/* Logging stops: what is dirty now will never be handed out. */
void mock_truth__drop_pending(struct mock_truth *truth)
{
	spin_lock(&truth->lock);
	truth->dropped_bytes += pending_bytes(truth);
	spin_unlock(&truth->lock);
}

/* All to zero, but what is still dirty: it counts as dirtied just now. */
void mock_truth__reset(struct mock_truth *truth)
{
	u64 pending;

	spin_lock(&truth->lock);
	pending = pending_bytes(truth);
	memset(&truth->total, 0, sizeof(truth->total));
	memset(&truth->last, 0, sizeof(truth->last));
	truth->dirtied_bytes = pending;
	truth->dropped_bytes = 0;
	truth->throttled_pages = 0;
	truth->memory_writes = 0;
	truth->memory_failed = 0;
	truth->memory_unlogged = 0;
	spin_unlock(&truth->lock);
}

static int format_counts(const struct mock_counts *counts, char *buf)
{
	return sysfs_emit(buf,
			  "calls=%llu\nmarks=%llu\nmarked_bytes=%llu\n"
			  "overshoot_bytes=%llu\ncross_bytes=%llu\ndistinct_bytes=%llu\n",
			  counts->calls, counts->marks, counts->marked_bytes,
			  counts->overshoot_bytes, counts->cross_bytes,
			  counts->distinct_bytes);
}

/*
 * The totals as key=value lines into a sysfs page. The _pages are the _bytes
 * in pages of @page_bytes: reset after page_size was changed.
 */
ssize_t mock_truth__format(struct mock_truth *truth, u64 page_bytes, char *buf)
{
	struct mock_truth copy;
	u64 pending;
	int len;

	spin_lock(&truth->lock);
	copy.total = truth->total;
	copy.dirtied_bytes = truth->dirtied_bytes;
	copy.dropped_bytes = truth->dropped_bytes;
	copy.throttled_pages = truth->throttled_pages;
	copy.memory_writes = truth->memory_writes;
	copy.memory_failed = truth->memory_failed;
	copy.memory_unlogged = truth->memory_unlogged;
	pending = pending_bytes(truth);
	spin_unlock(&truth->lock);

	len = format_counts(&copy.total, buf);
	len += sysfs_emit_at(buf, len,
			     "dirtied_pages=%llu\npending_pages=%llu\ndropped_pages=%llu\n"
			     "throttled_pages=%llu\n"
			     "dirtied_bytes=%llu\npending_bytes=%llu\ndropped_bytes=%llu\n",
			     copy.dirtied_bytes / page_bytes, pending / page_bytes,
			     copy.dropped_bytes / page_bytes, copy.throttled_pages,
			     copy.dirtied_bytes, pending, copy.dropped_bytes);
	len += sysfs_emit_at(buf, len,
			     "memory_writes=%llu\nmemory_failed=%llu\nmemory_unlogged=%llu\n",
			     copy.memory_writes, copy.memory_failed, copy.memory_unlogged);
	return len;
}

/* The same for the last call of log_read_and_clear. */
ssize_t mock_truth__format_last(struct mock_truth *truth, char *buf)
{
	struct mock_counts last;

	spin_lock(&truth->lock);
	last = truth->last;
	spin_unlock(&truth->lock);
	return format_counts(&last, buf);
}
