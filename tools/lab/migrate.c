// SPDX-License-Identifier: GPL-2.0-only
/*
 * migrate: drives the DMA logging of VFIO devices the way QEMU does.
 *
 * One container takes in the groups of all devices, or with --iommufd one
 * address space of an iommufd takes in the devices. Then each device has a
 * thread of its own:
 *
 *   engine set, account read, LOGGING_START
 *   precopy rounds: page writes or a pause, then one report a section
 *   engine stopped; the last round (its reports are downtime); LOGGING_STOP
 *   account read again, compared with the bits
 *
 * What is compared: every bit that the reports set, times the page size, with
 * the distinct bytes that the device handed out. That is exact when a bit is
 * no more than a tracked page and no section cuts one; with bits preset only
 * bounds are known; else nothing is said. A stray bit is a disagreement
 * unless the device was told to mark beyond its range.
 */
#include "migrate.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/vfio.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

/* Readable for ever once a signal has asked for the end. */
static int end_fd = -1;

/* Says what went wrong, and what @err means, in one line; returns -err. */
int migrate_error(int err, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	/* Invalid argument says nothing that the text does not */
	if (err == EINVAL)
		fprintf(stderr, "migrate: %s\n", text);
	else
		fprintf(stderr, "migrate: %s (%s)\n", text, strerror(err));
	return -err;
}

static void on_signal(int signal_number)
{
	uint64_t one = 1;
	int saved = errno;

	if (write(end_fd, &one, sizeof(one)) < 0)
		_exit(128 + signal_number);
	errno = saved;
}

static int catch_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	end_fd = eventfd(0, EFD_CLOEXEC);
	if (end_fd < 0)
		return migrate_error(errno, "eventfd");
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	return 0;
}

/* Sleeps @ms; true: the end was asked for. */
static bool pause_or_end(uint64_t ms)
{
	struct pollfd poll_fd = { .fd = end_fd, .events = POLLIN };
	int ready;

	do
		ready = poll(&poll_fd, 1, ms);
	while (ready < 0 && errno == EINTR);
	return ready > 0;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

static int report_section(struct migrate_device *device, const struct iova_range *section,
			  bool stopped)
{
	const struct migrate_options *options = device->options;
	uint64_t bits = (section->length - 1) / device->page_bytes + 1;
	struct migrate_bitmap *bitmap;
	uint64_t start_ns, took_ns;
	int err;

	bitmap = migrate_bitmap__new(bits, options->bitmap_offset, options->preset);
	if (!bitmap)
		return migrate_error(errno, "%s: no memory for a bitmap of %" PRIu64 " bits",
				     device->name, bits);
	start_ns = now_ns();
	err = migrate_vfio__report(device, section, migrate_bitmap__data(bitmap));
	took_ns = now_ns() - start_ns;
	if (!err) {
		migrate_bitmap__count(bitmap, &device->count);
		device->reports++;
		device->report_ns += took_ns;
		if (took_ns > device->report_ns_max)
			device->report_ns_max = took_ns;
		if (stopped)
			device->stop_copy_ns += took_ns;
	}
	migrate_bitmap__free(bitmap);
	return err;
}

static int report_round(struct migrate_device *device, bool stopped)
{
	const struct migrate_options *options = device->options;
	unsigned int i;
	int err = 0;

	for (i = 0; i < options->section_count && !err; i++)
		err = report_section(device, &options->sections[i], stopped);
	if (err)
		device->status = MIGRATE_REFUSED;
	return err;
}

static int precopy(struct migrate_device *device)
{
	const struct migrate_options *options = device->options;
	int err;

	while (options->forever || device->rounds < options->rounds) {
		if (pause_or_end(options->interval_ms))
			return 0;
		if (options->step) {
			err = migrate_engine__set_number(device, "step", options->step);
			if (err)
				return err;
		}
		err = report_round(device, false);
		if (err)
			return err;
		device->rounds++;
	}
	return 0;
}

/* Stops the device: the engine, and the migration state where there is one. */
static int stop_device(struct migrate_device *device)
{
	int err = 0;

	if (device->migratable)
		err = migrate_vfio__set_state(device, VFIO_DEVICE_STATE_RUNNING_P2P) ?:
		      migrate_vfio__set_state(device, VFIO_DEVICE_STATE_STOP);
	if (!err && device->engine_path)
		err = migrate_engine__set(device, "stop", "1");
	return err;
}

/* The device's own state is copied (and dropped here), then it runs again. */
static int resume_device(struct migrate_device *device)
{
	int err = 0;

	if (device->engine_path)
		err = migrate_engine__set(device, "stop", "0");
	if (!err && device->migratable)
		err = migrate_vfio__set_state(device, VFIO_DEVICE_STATE_STOP_COPY) ?:
		      migrate_vfio__set_state(device, VFIO_DEVICE_STATE_STOP) ?:
		      migrate_vfio__set_state(device, VFIO_DEVICE_STATE_RUNNING);
	return err;
}

static int configure(struct migrate_device *device)
{
	const struct migrate_options *options = device->options;
	unsigned int i;
	int err = 0;

	if (device->engine_path)
		err = migrate_engine__set(device, "stop", "0");
	for (i = 0; i < options->setting_count && !err; i++)
		err = migrate_engine__set(device, options->settings[i].file,
					  options->settings[i].value);
	return err;
}

static bool range_contains(const struct iova_range *outer, const struct iova_range *inner)
{
	return inner->iova >= outer->iova &&
	       inner->iova + inner->length <= outer->iova + outer->length;
}

/* Each section lies in a range and cuts no tracked page, and a bit is no more than one. */
static bool is_comparable(const struct migrate_device *device)
{
	const struct migrate_options *options = device->options;
	const struct iova_range *section;
	unsigned int i, j;

	if (!device->engine_path || device->page_bytes > device->tracked_bytes)
		return false;
	for (i = 0; i < options->section_count; i++) {
		section = &options->sections[i];
		if ((section->iova | section->length) % device->page_bytes)
			return false;
		for (j = 0; j < options->range_count; j++)
			if (range_contains(&options->ranges[j], section))
				break;
		if (j == options->range_count)
			return false;
	}
	return true;
}

static enum migrate_agreement compare(const struct migrate_device *device)
{
	const struct engine_truth *truth = &device->truth;
	const struct bitmap_count *count = &device->count;
	uint64_t bytes = count->bits * device->page_bytes;
	uint64_t new_bytes = bytes - count->preset_bits * device->page_bytes;

	if (!is_comparable(device))
		return AGREEMENT_UNKNOWN;
	if (new_bytes > truth->distinct_bytes || bytes < truth->distinct_bytes)
		return AGREEMENT_NO;
	if (truth->marked_bytes < truth->distinct_bytes + truth->cross_bytes)
		return AGREEMENT_NO;
	if (count->stray_bits && !truth->overshoot_bytes && !truth->cross_bytes)
		return AGREEMENT_NO;
	return AGREEMENT_YES;
}

/* From START to STOP. Errors have been said; status may be set. */
static int migrate(struct migrate_device *device)
{
	int err, stop_err;

	err = migrate_vfio__start(device);
	if (err) {
		device->status = MIGRATE_REFUSED;
		return err;
	}
	err = precopy(device) ?: stop_device(device) ?: report_round(device, true);
	stop_err = migrate_vfio__stop(device);
	if (stop_err)
		device->status = MIGRATE_REFUSED;
	return err ?: stop_err ?: resume_device(device);
}

static void *device_thread(void *arg)
{
	struct migrate_device *device = arg;
	struct engine_truth before;
	int err;

	err = configure(device) ?: migrate_engine__read(device, &before) ?: migrate(device) ?:
	      migrate_engine__read(device, &device->truth);
	if (err) {
		if (!device->status)
			device->status = MIGRATE_OPEN;
		return NULL;
	}
	migrate_engine__subtract(&device->truth, &before);
	device->agreement = compare(device);
	if (device->agreement == AGREEMENT_NO)
		device->status = MIGRATE_MISMATCH;
	return NULL;
}

/* What the devices are put into. */
struct space {
	int fd;			/* the container, or the iommufd */
	bool iommufd;
	uint32_t ioas;		/* in the iommufd */
};

static int open_space(struct space *space, const struct migrate_options *options)
{
	space->iommufd = options->iommufd;
	space->fd = space->iommufd ? migrate_iommufd__open(&space->ioas) :
				     migrate_vfio__open_container();
	return space->fd < 0 ? space->fd : 0;
}

static int open_device(struct migrate_device *device, const struct space *space, bool first)
{
	int err;

	if (space->iommufd)
		return migrate_iommufd__open_device(device, space->fd, space->ioas);
	err = migrate_vfio__open_group(device, space->fd);
	if (!err && first)
		err = migrate_vfio__set_iommu(space->fd);
	return err ?: migrate_vfio__open_device(device);
}

static int open_devices(struct migrate_device *devices, unsigned int count,
			const struct space *space)
{
	unsigned int i;
	int err;

	for (i = 0; i < count; i++) {
		err = open_device(&devices[i], space, i == 0) ?:
		      migrate_vfio__reset(&devices[i]) ?: migrate_engine__open(&devices[i]);
		if (err)
			return err;
		devices[i].migratable = migrate_vfio__has_state(&devices[i]);
	}
	return 0;
}

/* Runs all devices at once; the worst status. */
static enum migrate_status run_devices(struct migrate_device *devices, unsigned int count)
{
	pthread_t *threads = calloc(count, sizeof(*threads));
	enum migrate_status status = MIGRATE_OK;
	unsigned int i, started;
	int err;

	if (!threads) {
		migrate_error(ENOMEM, "threads");
		return MIGRATE_OPEN;
	}
	for (started = 0; started < count; started++) {
		err = pthread_create(&threads[started], NULL, device_thread, &devices[started]);
		if (err) {
			migrate_error(err, "%s: cannot start its thread", devices[started].name);
			devices[started].status = MIGRATE_OPEN;
			break;
		}
	}
	for (i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	for (i = 0; i < count; i++)
		if (devices[i].status > status)
			status = devices[i].status;
	free(threads);
	return status;
}

static enum migrate_status print_devices(const struct migrate_options *options,
					 const struct migrate_device *devices)
{
	unsigned int i;

	for (i = 0; i < options->device_count; i++) {
		if (devices[i].status != MIGRATE_OK && devices[i].status != MIGRATE_MISMATCH)
			continue;
		if (!options->json)
			migrate_print__text(&devices[i]);
		else if (migrate_print__json(&devices[i]))
			return MIGRATE_OPEN;
	}
	return MIGRATE_OK;
}

static enum migrate_status run(const struct migrate_options *options)
{
	enum migrate_status status = MIGRATE_OPEN, print_status;
	struct migrate_device *devices;
	struct space space = { .fd = -1 };
	unsigned int i;

	if (open_space(&space, options))
		return status;
	devices = calloc(options->device_count, sizeof(*devices));
	if (!devices) {
		migrate_error(ENOMEM, "devices");
		goto close_space;
	}
	for (i = 0; i < options->device_count; i++) {
		devices[i].options = options;
		devices[i].name = options->devices[i];
		devices[i].fd = -1;
		devices[i].group_fd = -1;
	}
	if (!open_devices(devices, options->device_count, &space)) {
		status = run_devices(devices, options->device_count);
		print_status = print_devices(options, devices);
		status = status ?: print_status;
	}
	for (i = 0; i < options->device_count; i++) {
		migrate_vfio__close(&devices[i]);
		migrate_engine__close(&devices[i]);
	}
	free(devices);
close_space:
	close(space.fd);
	return status;
}

static enum migrate_status run_arguments(int argc, char **argv)
{
	static struct migrate_options options;

	if (migrate_options__parse(&options, argc, argv))
		return MIGRATE_USAGE;
	if (options.comm)
		prctl(PR_SET_NAME, options.comm);
	if (catch_signals())
		return MIGRATE_OPEN;
	return run(&options);
}

int main(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--each"))
		return migrate_each(run_arguments);
	return run_arguments(argc, argv);
}
