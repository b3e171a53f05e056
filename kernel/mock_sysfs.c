// SPDX-License-Identifier: GPL-2.0-only
/*
 * The folder engine/ of each platform device. All files can be read and
 * written by root at any time, whoever owns the VFIO device; a value that is
 * refused changes nothing.
 *
 *   file             takes and shows
 *   pattern          sequential random hotspot sparse dense all (mock_pattern.c)
 *   order            ascending descending shuffled (mock_marks.c)
 *   merge            0: one mark a page, 1: one mark a contiguous run
 *   page_size        tracked page, bytes: a power of two, 4096 to 2097152; the
 *                    next START returns it. EBUSY while logging is on
 *   area             IOVA:LENGTH, the part of the tracked ranges that patterns
 *                    write, 0:0: all. From the next START on; EBUSY as above
 *   memory           1: write guest memory, too (mock_memory.c)
 *   seed             32 bits; writing it begins the pattern anew
 *   rate             pages a second dirtied while logging is on, 0: none
 *   step             (write only) so many page writes now; `all`: sweeps.
 *                    ENODEV: logging is off. EBUSY: stopped, here or by the migration state
 *   stop             1: the VM is paused, nothing is dirtied
 *   fault_redundant  repeat every Kth mark of a call, 0: none
 *   fault_overshoot  pages past the end of the tracked range, 0: none
 *   fault_cross      pages past the end of each other call, 0: none
 *   fault_delay_ms   sleep so long at the start of each call
 *   fault_hold       1: hold each call at its start, until 0 is written
 *   fault_unlogged   do not log every Nth write of guest memory, 0: log all
 *   script           marks for the next call, lines of "IOVA LENGTH" (mock_script.c);
 *                    writing appends; clear: none. Shows those that wait
 *   script_truth     (read only) what became of them, key=value
 *   logging          (read only) 1: between START and STOP
 *   truth            (read only) totals since load or reset, key=value
 *   truth_last       (read only) the same counts of the last call
 *   reset            (write only) 1: zero both accounts
 */
#include <linux/log2.h>
#include <linux/overflow.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "mock.h"

static const char * const pattern_names[] = {
	[MOCK_SEQUENTIAL] = "sequential",
	[MOCK_RANDOM] = "random",
	[MOCK_HOTSPOT] = "hotspot",
	[MOCK_SPARSE] = "sparse",
	[MOCK_DENSE] = "dense",
	[MOCK_ALL] = "all",
};

static const char * const order_names[] = {
	[MOCK_ASCENDING] = "ascending",
	[MOCK_DESCENDING] = "descending",
	[MOCK_SHUFFLED] = "shuffled",
};

static struct mock_engine *to_engine(struct device *dev)
{
	struct mock_device *mock = dev_get_drvdata(dev);

	return &mock->engine;
}

/* Reads one field of the settings. */
#define SHOW_SETTING(name, format, expression)					\
static ssize_t name##_show(struct device *dev, struct device_attribute *attr,	\
			   char *buf)						\
{										\
	struct mock_settings settings;						\
										\
	mock_engine__get_settings(to_engine(dev), &settings);			\
	return sysfs_emit(buf, format "\n", expression);			\
}

/* Writes one field: a number from 0 to @limit. */
#define STORE_SETTING(name, field, limit)					\
static ssize_t name##_store(struct device *dev, struct device_attribute *attr,	\
			    const char *buf, size_t len)			\
{										\
	struct mock_engine *engine = to_engine(dev);				\
	u64 value;								\
	int err = parse_number(buf, limit, &value);				\
										\
	if (!err) {								\
		spin_lock(&engine->settings_lock);				\
		engine->settings.field = value;					\
		spin_unlock(&engine->settings_lock);				\
	}									\
	return err ?: len;							\
}

static int parse_number(const char *buf, u64 limit, u64 *value)
{
	int err = kstrtou64(buf, 0, value);

	if (!err && *value > limit)
		err = -ERANGE;
	return err;
}

SHOW_SETTING(pattern, "%s", pattern_names[settings.pattern])
static ssize_t pattern_store(struct device *dev, struct device_attribute *attr,
			     const char *buf, size_t len)
{
	struct mock_engine *engine = to_engine(dev);
	int pattern = sysfs_match_string(pattern_names, buf);

	if (pattern < 0)
		return pattern;
	spin_lock(&engine->settings_lock);
	engine->settings.pattern = pattern;
	spin_unlock(&engine->settings_lock);
	return len;
}
static DEVICE_ATTR_RW(pattern);

SHOW_SETTING(order, "%s", order_names[settings.order])
static ssize_t order_store(struct device *dev, struct device_attribute *attr,
			   const char *buf, size_t len)
{
	struct mock_engine *engine = to_engine(dev);
	int order = sysfs_match_string(order_names, buf);

	if (order < 0)
		return order;
	spin_lock(&engine->settings_lock);
	engine->settings.order = order;
	spin_unlock(&engine->settings_lock);
	return len;
}
static DEVICE_ATTR_RW(order);

SHOW_SETTING(merge, "%d", settings.merge)
STORE_SETTING(merge, merge, 1)
static DEVICE_ATTR_RW(merge);

SHOW_SETTING(fault_redundant, "%llu", settings.redundant)
STORE_SETTING(fault_redundant, redundant, U64_MAX)
static DEVICE_ATTR_RW(fault_redundant);

SHOW_SETTING(fault_overshoot, "%u", settings.overshoot_pages)
STORE_SETTING(fault_overshoot, overshoot_pages, MOCK_MAX_EXTEND)
static DEVICE_ATTR_RW(fault_overshoot);

SHOW_SETTING(fault_cross, "%u", settings.cross_pages)
STORE_SETTING(fault_cross, cross_pages, MOCK_MAX_EXTEND)
static DEVICE_ATTR_RW(fault_cross);

SHOW_SETTING(fault_delay_ms, "%u", settings.delay_ms)
STORE_SETTING(fault_delay_ms, delay_ms, MOCK_MAX_DELAY_MS)
static DEVICE_ATTR_RW(fault_delay_ms);

SHOW_SETTING(fault_hold, "%d", settings.hold)
static ssize_t fault_hold_store(struct device *dev, struct device_attribute *attr,
				const char *buf, size_t len)
{
	struct mock_engine *engine = to_engine(dev);
	u64 value;
	int err = parse_number(buf, 1, &value);

	if (err)
		return err;
	spin_lock(&engine->settings_lock);
	WRITE_ONCE(engine->settings.hold, value);
	spin_unlock(&engine->settings_lock);
	wake_up_all(&engine->held);
	return len;
}
static DEVICE_ATTR_RW(fault_hold);

SHOW_SETTING(memory, "%d", settings.memory)
STORE_SETTING(memory, memory, 1)
static DEVICE_ATTR_RW(memory);

SHOW_SETTING(fault_unlogged, "%llu", settings.unlogged)
STORE_SETTING(fault_unlogged, unlogged, U64_MAX)
static DEVICE_ATTR_RW(fault_unlogged);

SHOW_SETTING(seed, "%u", settings.seed)
static ssize_t seed_store(struct device *dev, struct device_attribute *attr,
			  const char *buf, size_t len)
{
	struct mock_engine *engine = to_engine(dev);
	u64 seed;
	int err = parse_number(buf, U32_MAX, &seed);

	if (err)
		return err;
	mutex_lock(&engine->step_lock);
	spin_lock(&engine->settings_lock);
	engine->settings.seed = seed;
	spin_unlock(&engine->settings_lock);
	mock_pattern__reseed(engine);
	mutex_unlock(&engine->step_lock);
	return len;
}
static DEVICE_ATTR_RW(seed);

SHOW_SETTING(rate, "%llu", settings.rate)
static ssize_t rate_store(struct device *dev, struct device_attribute *attr,
			  const char *buf, size_t len)
{
	struct mock_engine *engine = to_engine(dev);
	u64 rate;
	int err = parse_number(buf, MOCK_MAX_RATE, &rate);

	if (err)
		return err;
	mutex_lock(&engine->step_lock);
	spin_lock(&engine->settings_lock);
	engine->settings.rate = rate;
	spin_unlock(&engine->settings_lock);
	engine->rate_last_ns = ktime_get_ns();
	engine->rate_owed = 0;
	mutex_unlock(&engine->step_lock);
	mock_pattern__kick(engine);
	return len;
}
static DEVICE_ATTR_RW(rate);

static ssize_t page_size_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n", READ_ONCE(to_engine(dev)->page_bytes));
}

static ssize_t page_size_store(struct device *dev, struct device_attribute *attr,
			       const char *buf, size_t len)
{
	struct mock_engine *engine = to_engine(dev);
	u64 page_bytes;
	int err = parse_number(buf, MOCK_MAX_PAGE_BYTES, &page_bytes);

	if (!err && (page_bytes < MOCK_MIN_PAGE_BYTES || !is_power_of_2(page_bytes)))
		err = -EINVAL;
	if (err)
		return err;
	/* do not wait for a report only to refuse */
	if (READ_ONCE(engine->logging))
		return -EBUSY;
	down_write(&engine->sem);
	if (engine->logging)
		err = -EBUSY;
	else
		WRITE_ONCE(engine->page_bytes, page_bytes);
	up_write(&engine->sem);
	return err ?: len;
}
static DEVICE_ATTR_RW(page_size);

static ssize_t area_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct mock_engine *engine = to_engine(dev);
	u64 iova, bytes;

	down_read(&engine->sem);
	iova = engine->area_iova;
	bytes = engine->area_bytes;
	up_read(&engine->sem);
	return sysfs_emit(buf, "0x%llx:0x%llx\n", iova, bytes);
}

static ssize_t area_store(struct device *dev, struct device_attribute *attr,
			  const char *buf, size_t len)
{
	struct mock_engine *engine = to_engine(dev);
	u64 iova, bytes, end;
	int err = 0;

	if (sscanf(buf, "%lli:%lli", (s64 *)&iova, (s64 *)&bytes) != 2)
		return -EINVAL;
	if (check_add_overflow(iova, bytes, &end))
		return -ERANGE;
	if (READ_ONCE(engine->logging))
		return -EBUSY;
	down_write(&engine->sem);
	if (engine->logging) {
		err = -EBUSY;
	} else {
		engine->area_iova = iova;
		engine->area_bytes = bytes;
	}
	up_write(&engine->sem);
	return err ?: len;
}
static DEVICE_ATTR_RW(area);

static ssize_t step_store(struct device *dev, struct device_attribute *attr,
			  const char *buf, size_t len)
{
	u64 writes;
	int err = parse_number(buf, U64_MAX, &writes);

	if (!err)
		err = mock_pattern__step(to_engine(dev), writes);
	return err ?: len;
}
static DEVICE_ATTR_WO(step);

static ssize_t stop_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", READ_ONCE(to_engine(dev)->stopped));
}

static ssize_t stop_store(struct device *dev, struct device_attribute *attr,
			  const char *buf, size_t len)
{
	u64 stopped;
	int err = parse_number(buf, 1, &stopped);

	if (err)
		return err;
	mock_pattern__stop(to_engine(dev), stopped);
	return len;
}
static DEVICE_ATTR_RW(stop);

static ssize_t script_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return mock_script__format(&to_engine(dev)->script, buf);
}

static ssize_t script_store(struct device *dev, struct device_attribute *attr,
			    const char *buf, size_t len)
{
	return mock_script__write(&to_engine(dev)->script, buf) ?: len;
}
static DEVICE_ATTR_RW(script);

static ssize_t script_truth_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return mock_script__format_truth(&to_engine(dev)->script, buf);
}
static DEVICE_ATTR_RO(script_truth);

static ssize_t logging_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", READ_ONCE(to_engine(dev)->logging));
}
static DEVICE_ATTR_RO(logging);

static ssize_t truth_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	struct mock_engine *engine = to_engine(dev);

	return mock_truth__format(&engine->truth, READ_ONCE(engine->page_bytes), buf);
}
static DEVICE_ATTR_RO(truth);

static ssize_t truth_last_show(struct device *dev, struct device_attribute *attr, char *buf)
{
	return mock_truth__format_last(&to_engine(dev)->truth, buf);
}
static DEVICE_ATTR_RO(truth_last);

static ssize_t reset_store(struct device *dev, struct device_attribute *attr,
			   const char *buf, size_t len)
{
	u64 one;
	int err = parse_number(buf, 1, &one);

	if (err)
		return err;
	if (one) {
		mock_truth__reset(&to_engine(dev)->truth);
		mock_script__reset(&to_engine(dev)->script);
	}
	return len;
}
static DEVICE_ATTR_WO(reset);

static struct attribute *engine_attrs[] = {
	&dev_attr_pattern.attr,
	&dev_attr_order.attr,
	&dev_attr_merge.attr,
	&dev_attr_page_size.attr,
	&dev_attr_area.attr,
	&dev_attr_memory.attr,
	&dev_attr_seed.attr,
	&dev_attr_rate.attr,
	&dev_attr_step.attr,
	&dev_attr_stop.attr,
	&dev_attr_fault_redundant.attr,
	&dev_attr_fault_overshoot.attr,
	&dev_attr_fault_cross.attr,
	&dev_attr_fault_delay_ms.attr,
	&dev_attr_fault_hold.attr,
	&dev_attr_fault_unlogged.attr,
	&dev_attr_script.attr,
	&dev_attr_script_truth.attr,
	&dev_attr_logging.attr,
	&dev_attr_truth.attr,
	&dev_attr_truth_last.attr,
	&dev_attr_reset.attr,
	NULL
};

static const struct attribute_group engine_group = {
	.name = "engine",
	.attrs = engine_attrs,
};

const struct attribute_group *mock_sysfs_groups[] = {
	&engine_group,
	NULL
};
