// SPDX-License-Identifier: GPL-2.0-only
/*
 * crowd: many reports at once.
 *
 *	crowd REPORTS WRITES DEVICE...
 *
 * Opens the devices, starts their logging over RANGE bytes, lets each write WRITES pages,
 * and then has a thread for each report, of the devices in turn. While the devices hold
 * their calls (fault_hold) all of them are in flight at once. When the last has returned,
 * one line of JSON says how many there were, how many failed, and how many bits they set.
 *
 * Threads are what there can be thousands of: so their stacks are small, and beside each
 * other with no page between them, for a process has only so many mappings.
 */
#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "migrate.h"

#define RANGE		(1UL << 20)
#define PAGE		4096UL
#define WORDS		(RANGE / PAGE / 64)	/* of a report's bitmap */
#define STACK_BYTES	(16UL << 10)

struct report {
	pthread_t thread;
	struct migrate_device *device;
	int err;
	uint64_t bitmap[WORDS];
};

int migrate_error(int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fprintf(stderr, "crowd: ");
	vfprintf(stderr, format, args);
	fprintf(stderr, " (%s)\n", strerror(err));
	va_end(args);
	return -err;
}

static int open_devices(struct migrate_device *devices, unsigned int count, uint64_t writes)
{
	int container = migrate_vfio__open_container();
	unsigned int i;

	for (i = 0; i < count; i++) {
		struct migrate_device *d = &devices[i];

		if (container < 0 || migrate_vfio__open_group(d, container) ||
		    (!i && migrate_vfio__set_iommu(container)) ||
		    migrate_vfio__open_device(d) || migrate_engine__open(d) ||
		    migrate_vfio__start(d) || migrate_engine__set_number(d, "step", writes))
			return -1;
	}
	return 0;
}

static void *run_report(void *arg)
{
	const struct iova_range range = { .iova = 0, .length = RANGE };
	struct report *r = arg;

	r->err = migrate_vfio__report(r->device, &range, r->bitmap);
	return NULL;
}

/* Threads that cannot be made end the process, and the reports with it. */
static int run_reports(struct report *reports, size_t count)
{
	char *stacks = mmap(NULL, count * STACK_BYTES, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	pthread_attr_t attr;
	size_t i;
	int err;

	if (stacks == MAP_FAILED)
		return migrate_error(errno, "no memory for stacks");
	pthread_attr_init(&attr);
	for (i = 0; i < count; i++) {
		err = pthread_attr_setstack(&attr, stacks + i * STACK_BYTES, STACK_BYTES);
		if (!err)
			err = pthread_create(&reports[i].thread, &attr, run_report, &reports[i]);
		if (err)
			return migrate_error(err, "cannot make thread %zu", i);
	}
	for (i = 0; i < count; i++)
		pthread_join(reports[i].thread, NULL);
	pthread_attr_destroy(&attr);
	return 0;
}

static void print_sums(const struct report *reports, size_t count)
{
	size_t i, j, errors = 0, bits = 0;

	for (i = 0; i < count; i++) {
		errors += reports[i].err != 0;
		for (j = 0; j < WORDS; j++)
			bits += __builtin_popcountll(reports[i].bitmap[j]);
	}
	printf("{\"reports\":%zu,\"errors\":%zu,\"bits\":%zu}\n", count, errors, bits);
}

int main(int argc, char **argv)
{
	const struct rlimit many = { .rlim_cur = 4096, .rlim_max = 4096 };
	static struct migrate_options options = { .ranges = {{ .length = RANGE }}, .range_count = 1,
						  .page_bytes = PAGE };
	static struct migrate_device devices[MIGRATE_MAX_DEVICES];
	unsigned int i, n_devices = argc > 3 ? argc - 3 : 0;
	size_t count = argc > 1 ? strtoul(argv[1], NULL, 0) : 0;
	struct report *reports = calloc(count, sizeof(*reports));

	if (!reports || !count || !n_devices || n_devices > MIGRATE_MAX_DEVICES) {
		fprintf(stderr, "usage: crowd REPORTS WRITES DEVICE...\n");
		return 1;
	}
	setrlimit(RLIMIT_NOFILE, &many);
	for (i = 0; i < n_devices; i++) {
		devices[i].options = &options;
		devices[i].name = argv[3 + i];
	}
	if (open_devices(devices, n_devices, strtoul(argv[2], NULL, 0)))
		return 1;
	for (i = 0; i < count; i++)
		reports[i].device = &devices[i % n_devices];
	if (run_reports(reports, count))
		return 1;
	print_sums(reports, count);
	return 0;
}
