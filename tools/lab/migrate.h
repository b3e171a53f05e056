/* SPDX-License-Identifier: GPL-2.0-only */
/* migrate, seen by its own files; migrate.c tells what it does. */
#ifndef IOVAB_MIGRATE_H
#define IOVAB_MIGRATE_H

#include <stdbool.h>
#include <stdint.h>

enum migrate_status {
	MIGRATE_OK = 0,
	MIGRATE_USAGE = 1,
	MIGRATE_OPEN = 2,	/* a device cannot be opened or set */
	MIGRATE_REFUSED = 3,	/* the kernel refused a logging call */
	MIGRATE_MISMATCH = 4,	/* bits and the device's account differ */
};

#define MIGRATE_MAX_DEVICES	1024
#define MIGRATE_MAX_RANGES	64
#define MIGRATE_MAX_SECTIONS	4096
#define MIGRATE_MAX_SETTINGS	16

struct iova_range {
	uint64_t iova;
	uint64_t length;
};

/* A file of the engine and what to write there. */
struct engine_setting {
	const char *file;
	const char *value;
};

struct migrate_options {
	const char *devices[MIGRATE_MAX_DEVICES];
	unsigned int device_count;
	struct iova_range ranges[MIGRATE_MAX_RANGES];
	unsigned int range_count;
	struct iova_range sections[MIGRATE_MAX_SECTIONS];
	unsigned int section_count;
	struct engine_setting settings[MIGRATE_MAX_SETTINGS];
	unsigned int setting_count;
	const char *comm;
	uint64_t page_bytes;		/* 0: what START returns */
	uint64_t rounds;
	uint64_t step;			/* page writes a round; 0: none */
	uint64_t interval_ms;
	uint64_t bitmap_offset;
	uint64_t preset;		/* every Nth bit; 0: none */
	bool forever;
	bool json;
	bool iommufd;			/* not container and groups */
};

/* The engine's own account; all fields are sums that only grow. */
struct engine_truth {
	uint64_t calls;
	uint64_t marks;
	uint64_t marked_bytes;
	uint64_t overshoot_bytes;
	uint64_t cross_bytes;
	uint64_t distinct_bytes;
	uint64_t dirtied_bytes;
	uint64_t dropped_bytes;
};

/* What one report said. */
struct bitmap_count {
	uint64_t bits;		/* set in the range */
	uint64_t preset_bits;	/* of these, set before the report */
	uint64_t stray_bits;	/* set where the report had no business */
};

enum migrate_agreement {
	AGREEMENT_UNKNOWN,	/* no account, or page sizes that cannot be compared */
	AGREEMENT_YES,
	AGREEMENT_NO,
};

/* One device and its run; a thread's own while it runs. */
struct migrate_device {
	const struct migrate_options *options;
	const char *name;
	int group_fd;		/* -1 with --iommufd */
	int fd;
	char *engine_path;	/* NULL: no mock, so no engine; owned */
	bool migratable;	/* answers MIG_DEVICE_STATE */
	bool logging;
	enum migrate_status status;

	uint64_t tracked_bytes;	/* page size that START returned */
	uint64_t page_bytes;	/* of the reports */
	uint64_t rounds;
	uint64_t reports;
	uint64_t report_ns;
	uint64_t report_ns_max;
	uint64_t stop_copy_ns;	/* of report_ns: while stopped */
	struct bitmap_count count;
	struct engine_truth truth;	/* of this run */
	enum migrate_agreement agreement;
};

/*
 * Everything below that returns an int gives 0 or -errno and has said what
 * went wrong, unless it says otherwise.
 */

/* migrate_options.c */
int migrate_options__parse(struct migrate_options *options, int argc, char **argv);

/* migrate_sysfs.c */
char *migrate_sysfs__find(const char *device, const char *file);

/* migrate_vfio.c: container, groups and the logging calls */
int migrate_vfio__open_container(void);
int migrate_vfio__open_group(struct migrate_device *device, int container);
int migrate_vfio__open_device(struct migrate_device *device);
int migrate_vfio__set_iommu(int container);
int migrate_vfio__reset(struct migrate_device *device);
void migrate_vfio__close(struct migrate_device *device);
int migrate_vfio__start(struct migrate_device *device);
int migrate_vfio__stop(struct migrate_device *device);
int migrate_vfio__report(struct migrate_device *device, const struct iova_range *range,
			 void *bitmap);
bool migrate_vfio__has_state(struct migrate_device *device);
int migrate_vfio__set_state(struct migrate_device *device, uint32_t state);

/* migrate_iommufd.c: iommufd and the devices' cdevs */
int migrate_iommufd__open(uint32_t *ioas);
int migrate_iommufd__open_device(struct migrate_device *device, int iommufd, uint32_t ioas);

/* migrate_engine.c: the mock's files in sysfs */
int migrate_engine__open(struct migrate_device *device);
void migrate_engine__close(struct migrate_device *device);
int migrate_engine__set(const struct migrate_device *device, const char *file, const char *value);
int migrate_engine__set_number(const struct migrate_device *device, const char *file,
			       uint64_t value);
int migrate_engine__read(const struct migrate_device *device, struct engine_truth *truth);
void migrate_engine__subtract(struct engine_truth *truth, const struct engine_truth *before);

/* migrate_bitmap.c: a zeroed bitmap between guards */
struct migrate_bitmap;
struct migrate_bitmap *migrate_bitmap__new(uint64_t bits, uint64_t offset_bytes, uint64_t preset);
void migrate_bitmap__free(struct migrate_bitmap *bitmap);
void *migrate_bitmap__data(const struct migrate_bitmap *bitmap);
void migrate_bitmap__count(const struct migrate_bitmap *bitmap, struct bitmap_count *count);

/* migrate_each.c: run is what main is for one run */
typedef enum migrate_status (*migrate_run_fn)(int argc, char **argv);
enum migrate_status migrate_each(migrate_run_fn run);

/* migrate_print.c */
void migrate_print__text(const struct migrate_device *device);
int migrate_print__json(const struct migrate_device *device);

/* migrate.c: one line on stderr; returns -err */
int migrate_error(int err, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
