/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The mock VFIO device, seen by its own files. mock_main.c tells how it works.
 *
 * Units: a *granule* is 4 KiB of IOVA, one bit of the engine's state. A *page*
 * is a tracked page, the engine's page_size, one or more granules.
 */
#ifndef IOVAB_MOCK_H
#define IOVAB_MOCK_H

#include <linux/interval_tree.h>
#include <linux/mutex.h>
#include <linux/prandom.h>
#include <linux/rwsem.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <linux/xarray.h>

#include "compat.h"

#define MOCK_NAME		"iovab-mock"
#define MOCK_MAX_DEVICES	1024

#define MOCK_GRANULE_SHIFT	12
#define MOCK_GRANULE_BYTES	(1UL << MOCK_GRANULE_SHIFT)
#define MOCK_MIN_PAGE_BYTES	4096UL
#define MOCK_MAX_PAGE_BYTES	(2UL << 20)
#define MOCK_MAX_RATE		100000000ULL	/* pages a second */
#define MOCK_MAX_EXTEND		(1U << 20)	/* pages, of the faults that lengthen a mark */
#define MOCK_MAX_DELAY_MS	60000U
#define MOCK_MAX_SCRIPT		65536U		/* marks that wait */
#define MOCK_MAX_LOG		(16U << 20)	/* marks in the log */
#define MOCK_MAX_LOAD		(16U << 20)	/* marks in a load */

/* mock_bits: which granules are dirty */

struct mock_bits {
	struct xarray chunks;	/* by granule / granules a chunk */
};

/* Called with runs of taken granules: at most a word long, in walking order. */
typedef void (*mock_take_fn)(void *ctx, u64 granule, u64 count);

void mock_bits__init(struct mock_bits *bits);
void mock_bits__clear(struct mock_bits *bits);
int mock_bits__set(struct mock_bits *bits, u64 granule, u64 count, u64 *newly);
u64 mock_bits__count(struct mock_bits *bits, u64 first, u64 last);
int mock_bits__take(struct mock_bits *bits, u64 first, u64 last, bool down, bool keep,
		    mock_take_fn fn, void *ctx);

/* mock_truth: what the device did, told by itself */

/* Sums over calls of log_read_and_clear. */
struct mock_counts {
	u64 calls;
	u64 marks;
	u64 marked_bytes;	/* of a mark, inside the tracked ranges */
	u64 overshoot_bytes;	/* of a mark, outside of them */
	u64 cross_bytes;	/* of marked_bytes, past the end of the call */
	u64 distinct_bytes;	/* dirty pages handed out, each once a call */
};

struct mock_truth {
	spinlock_t lock;	/* guards everything below */
	struct mock_counts total;
	struct mock_counts last;
	u64 dirtied_bytes;	/* went from clean to dirty */
	u64 dropped_bytes;	/* were dirty when logging stopped */
	u64 throttled_pages;	/* asked for by rate, not written: no time */
	u64 memory_writes;	/* of guest memory, done */
	u64 memory_failed;	/* of guest memory, nothing is mapped there */
	u64 memory_unlogged;	/* of memory_writes: not logged, by a fault */
};

void mock_truth__init(struct mock_truth *truth);
void mock_truth__add_call(struct mock_truth *truth, const struct mock_counts *call);
void mock_truth__add_dirtied(struct mock_truth *truth, u64 bytes);
void mock_truth__add_throttled(struct mock_truth *truth, u64 pages);
void mock_truth__add_memory(struct mock_truth *truth, int err, bool logged);
void mock_truth__drop_pending(struct mock_truth *truth);
void mock_truth__reset(struct mock_truth *truth);
ssize_t mock_truth__format(struct mock_truth *truth, u64 page_bytes, char *buf);
ssize_t mock_truth__format_last(struct mock_truth *truth, char *buf);

/* mock_script: marks that user space dictates */

struct mock_script_mark {
	u64 iova;
	u64 length;
	bool ends_call;		/* no mark: what follows is for the next call */
};

/* Since load or reset. Bytes: of marks, inside the call that set them, and outside. */
struct mock_script_counts {
	u64 marks;
	u64 empty;		/* of length 0 */
	u64 inside_bytes;
	u64 below_bytes;
	u64 above_bytes;
};

struct mock_script {
	struct mutex lock;	/* guards everything below */
	struct mock_script_mark *marks;	/* owned */
	u32 count;
	struct mock_script_counts counts;
};

typedef void (*mock_set_fn)(void *ctx, u64 iova, u64 length);

void mock_script__init(struct mock_script *script);
void mock_script__destroy(struct mock_script *script);
int mock_script__write(struct mock_script *script, const char *buf);
void mock_script__run(struct mock_script *script, u64 iova, u64 last,
		      mock_set_fn set, void *ctx);
ssize_t mock_script__format(struct mock_script *script, char *buf);
ssize_t mock_script__format_truth(struct mock_script *script, char *buf);
void mock_script__reset(struct mock_script *script);

/* mock_log: the calls, and the marks that were set in them, in order */

enum mock_log_kind {
	MOCK_LOG_CALL = 1,	/* a call for this range begins */
	MOCK_LOG_MARK = 2,
	MOCK_LOG_MISSING = 3,	/* so many records, in iova, had no room */
};

struct mock_log_record {
	u64 kind;
	u64 iova;
	u64 length;
};

struct mock_log {
	struct mutex resize_lock;
	spinlock_t lock;
	struct mock_log_record *records;	/* owned */
	u32 count, max;
	u64 dropped;
	struct dentry *folder;
};

void mock_log__begin(void);
void mock_log__end(void);
void mock_log__init(struct mock_log *log, const char *name);
void mock_log__destroy(struct mock_log *log);
void mock_log__add(struct mock_log *log, enum mock_log_kind kind, u64 iova, u64 length);

/* mock_load: marks that are set in each call, for nothing but their cost */

struct mock_load_mark {
	u64 iova;
	u64 length;
};

/* Guarded by the engine's sem. */
struct mock_load {
	struct mock_load_mark *marks;	/* owned */
	u32 count;
};

struct mock_engine;
struct mock_sink;

void mock_load__init(struct mock_engine *engine);
void mock_load__destroy(struct mock_engine *engine);
void mock_load__run(const struct mock_load *load, u64 iova, u64 length,
		    const struct mock_sink *sink);

/* mock_engine: the ranges that are tracked, and logging on and off */

enum mock_pattern {
	MOCK_SEQUENTIAL,
	MOCK_RANDOM,
	MOCK_HOTSPOT,
	MOCK_SPARSE,
	MOCK_DENSE,
	MOCK_ALL,
};

enum mock_order {
	MOCK_ASCENDING,
	MOCK_DESCENDING,
	MOCK_SHUFFLED,
};

/* What user space sets. A step and a call each work on a copy. */
struct mock_settings {
	enum mock_pattern pattern;
	enum mock_order order;
	bool merge;
	bool memory;		/* write guest memory, too */
	u32 seed;
	u64 rate;		/* page writes a second */
	u64 redundant;		/* repeat every this many-th mark, 0: none */
	u32 overshoot_pages;
	u32 cross_pages;
	u32 delay_ms;		/* sleep at the start of each call */
	bool hold;		/* and then until this is false */
	u64 unlogged;		/* do not log every this many-th write of memory, 0: log all */
};

/* One range of LOGGING_START, or what the area leaves of it. */
struct mock_range {
	u64 first;		/* granules, both inclusive */
	u64 last;
	u64 page_base;		/* in the row: pages in those before this one */
};

struct mock_engine {
	struct device *dev;

	spinlock_t settings_lock;	/* guards settings */
	struct mock_settings settings;
	wait_queue_head_t held;		/* calls, while settings.hold */

	/* Writers start and stop logging; who dirties or takes pages reads. */
	struct rw_semaphore sem;
	bool logging;
	u64 page_bytes;		/* these three change only while logging is off */
	u64 area_iova;
	u64 area_bytes;		/* 0: no area, all that is tracked */
	u32 range_count;
	struct mock_range *ranges;	/* ascending, disjoint; owned */
	u32 row_count;
	struct mock_range *row;		/* of ranges, what lies in the area; owned */
	u64 pages;			/* in the row */
	struct mock_bits bits;

	/* One writer of pages at a time; taken before sem. */
	struct mutex step_lock;
	bool stopped;		/* by sysfs; both: under step_lock */
	bool paused;		/* by the migration state */
	struct rnd_state random;
	u64 cursor;		/* writes so far, of the patterns that count */
	u64 memory_writes;	/* of guest memory, tried, since load */
	u64 rate_last_ns;
	u64 rate_owed;		/* page writes x NSEC_PER_SEC not made yet */
	struct delayed_work rate_work;

	struct mock_truth truth;
	struct mock_script script;
	struct mock_log log;
	struct mock_load load;

	struct list_head shared;	/* both under mock_share's lock */
	unsigned int users;
};

void mock_engine__init(struct mock_engine *engine, struct device *dev);
void mock_engine__destroy(struct mock_engine *engine);
int mock_engine__start(struct mock_engine *engine, struct rb_root_cached *root,
		       u32 count, u64 *page_bytes);
int mock_engine__stop(struct mock_engine *engine);
void mock_engine__get_settings(struct mock_engine *engine, struct mock_settings *out);
u64 mock_engine__page_granules(const struct mock_engine *engine);
const struct mock_range *mock_engine__range_of(const struct mock_engine *engine, u64 granule);

/* mock_pattern: which pages are written */

int mock_pattern__step(struct mock_engine *engine, u64 writes);
void mock_pattern__reseed(struct mock_engine *engine);
void mock_pattern__stop(struct mock_engine *engine, bool stopped);
void mock_pattern__pause(struct mock_engine *engine, bool paused);
void mock_pattern__kick(struct mock_engine *engine);
void mock_pattern__rate_work(struct work_struct *work);

/* mock_memory: the device's DMA into guest memory */

bool mock_memory__write(struct mock_engine *engine, const struct mock_settings *settings,
			u64 granule);

/* mock_marks: read and clear, with the order and the faults asked for */

/* Where marks go: the kernel's bitmap, or another implementation's. */
struct mock_sink {
	void (*set)(void *object, u64 iova, u64 length);
	void *object;
	bool keep;		/* what is marked stays dirty */
};

int mock_marks__report(struct mock_engine *engine, u64 iova, u64 length,
		       struct iova_bitmap *bitmap);
int mock_marks__report_to(struct mock_engine *engine, u64 iova, u64 length,
			  const struct mock_sink *sink);

/* mock_share: engines for other modules (mock_ref.c) */

void mock_share__add(struct mock_engine *engine);
void mock_share__remove(struct mock_engine *engine);
struct mock_engine *mock_share__get(const char *device);
void mock_share__put(struct mock_engine *engine);

/* mock_pci: the PCI face */

#define MOCK_PCI_CONFIG_BYTES	256
#define MOCK_PCI_BAR_BYTES	4096

struct mock_pci {
	struct mutex lock;	/* guards both */
	u8 config[MOCK_PCI_CONFIG_BYTES];
	u8 bar[MOCK_PCI_BAR_BYTES];
};

void mock_pci__init(struct mock_pci *pci);
void mock_pci__destroy(struct mock_pci *pci);
void mock_pci__reset(struct mock_pci *pci);
ssize_t mock_pci__read(struct mock_pci *pci, char __user *buf, size_t len, loff_t *pos);
ssize_t mock_pci__write(struct mock_pci *pci, const char __user *buf, size_t len, loff_t *pos);
int mock_pci__region_info(struct vfio_device *vdev, struct vfio_region_info *info,
			  struct vfio_info_cap *caps);
long mock_pci__ioctl(unsigned int cmd, void __user *arg);

/* mock_vfio: the device as VFIO sees it */

struct mock_device {
	struct vfio_device vdev;	/* first: vfio_alloc_device asks for it */
	struct mock_engine engine;
	struct mock_pci pci;
	struct mutex state_lock;	/* guards state; before the engine's locks */
	enum vfio_device_mig_state state;
};

struct mock_device *mock_vfio__create(struct device *dev);
void mock_vfio__destroy(struct mock_device *mock);

/* mock_migration: the migration state */

void mock_migration__init(struct mock_device *mock);
void mock_migration__reset(struct mock_device *mock);
int mock_migration__feature(struct vfio_device *vdev, u32 flags, void __user *arg, size_t argsz);

/* mock_mdev: devices on a bus named mdev */

int mock_mdev__register(void);
void mock_mdev__unregister(void);
struct device *mock_mdev__add(unsigned int number);

/* mock_sysfs: the folder engine/ of the platform device */

extern const struct attribute_group *mock_sysfs_groups[];

#endif
