// SPDX-License-Identifier: GPL-2.0-only
/* VFIO as a client of the container and group uAPI uses it. */
#include "migrate.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define CONTAINER	"/dev/vfio/vfio"

/* The container's descriptor, or -errno. */
int migrate_vfio__open_container(void)
{
	int fd = open(CONTAINER, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return migrate_error(errno, "cannot open " CONTAINER ": run as root, after modprobe -a vfio vfio_iommu_type1");
	if (ioctl(fd, VFIO_GET_API_VERSION) != VFIO_API_VERSION ||
	    ioctl(fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU) != 1) {
		close(fd);
		return migrate_error(EOPNOTSUPP, "the kernel has no type1 IOMMU for VFIO: modprobe vfio_iommu_type1");
	}
	return fd;
}

/* The number of the device's IOMMU group, or -errno. */
static int find_group(const struct migrate_device *device)
{
	char *path = migrate_sysfs__find(device->name, "iommu_group"), target[PATH_MAX];
	ssize_t len;
	int err;

	if (!path)
		return migrate_error(errno, "%s: no such device, or no VFIO driver is bound to it: load iovab_mock, or look into /sys/bus/*/devices",
				     device->name);
	len = readlink(path, target, sizeof(target) - 1);
	err = errno;
	free(path);
	if (len < 0)
		return migrate_error(err, "%s: cannot read its IOMMU group", device->name);
	target[len] = 0;
	return atoi(strrchr(target, '/') ? strrchr(target, '/') + 1 : target);
}

/* Opens the device's group and puts it into @container. */
int migrate_vfio__open_group(struct migrate_device *device, int container)
{
	struct vfio_group_status status = { .argsz = sizeof(status) };
	int group = find_group(device);
	char path[64];

	if (group < 0)
		return group;
	snprintf(path, sizeof(path), "/dev/vfio/%d", group);
	device->group_fd = open(path, O_RDWR | O_CLOEXEC);
	if (device->group_fd < 0)
		return migrate_error(errno, "%s: cannot open %s%s", device->name, path,
				     errno == EBUSY ? ": another process has the device" : "");
	if (ioctl(device->group_fd, VFIO_GROUP_GET_STATUS, &status))
		return migrate_error(errno, "%s: cannot ask for the state of %s", device->name, path);
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE))
		return migrate_error(EPERM, "%s: its group is not viable: bind every device of it to VFIO",
				     device->name);
	if (ioctl(device->group_fd, VFIO_GROUP_SET_CONTAINER, &container))
		return migrate_error(errno, "%s: cannot put %s into the container", device->name, path);
	return 0;
}

/* After the first group is in. */
int migrate_vfio__set_iommu(int container)
{
	if (ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		return migrate_error(errno, "cannot set the container's IOMMU");
	return 0;
}

int migrate_vfio__open_device(struct migrate_device *device)
{
	device->fd = ioctl(device->group_fd, VFIO_GROUP_GET_DEVICE_FD, device->name);
	if (device->fd < 0)
		return migrate_error(errno, "%s: the kernel does not hand it out", device->name);
	return 0;
}

/* As QEMU does when it takes a device: from here on it runs. One that cannot be reset is left as it is. */
int migrate_vfio__reset(struct migrate_device *device)
{
	if (ioctl(device->fd, VFIO_DEVICE_RESET) && errno != ENOTTY && errno != EINVAL)
		return migrate_error(errno, "%s: cannot be reset", device->name);
	return 0;
}

void migrate_vfio__close(struct migrate_device *device)
{
	if (device->fd >= 0)
		close(device->fd);
	if (device->group_fd >= 0)
		close(device->group_fd);
	device->fd = -1;
	device->group_fd = -1;
}

/* VFIO_DEVICE_FEATURE; copies @data in and out. -errno, says nothing. */
static int feature(struct migrate_device *device, uint32_t flags, void *data, size_t bytes)
{
	uint64_t buffer[8];
	struct vfio_device_feature *header = (void *)buffer;

	memset(buffer, 0, sizeof(buffer));
	header->argsz = sizeof(*header) + bytes;
	header->flags = flags;
	if (bytes)
		memcpy(header->data, data, bytes);
	if (ioctl(device->fd, VFIO_DEVICE_FEATURE, header))
		return -errno;
	if (bytes)
		memcpy(data, header->data, bytes);
	return 0;
}

static const char *logging_hint(int err)
{
	if (err == ENOTTY)
		return ": the device's driver does not log DMA";
	if (err == EOPNOTSUPP)
		return ": this kernel has no iova_bitmap (6.8 and later need IOMMUFD)";
	return "";
}

/* LOGGING_START with all ranges; sets the tracked page size. */
int migrate_vfio__start(struct migrate_device *device)
{
	struct vfio_device_feature_dma_logging_range ranges[MIGRATE_MAX_RANGES];
	const struct migrate_options *options = device->options;
	struct vfio_device_feature_dma_logging_control control = {
		.page_size = options->page_bytes ?: 4096,
		.num_ranges = options->range_count,
		.ranges = (uintptr_t)ranges,
	};
	unsigned int i;
	int err;

	memset(ranges, 0, sizeof(ranges));
	for (i = 0; i < options->range_count; i++) {
		ranges[i].iova = options->ranges[i].iova;
		ranges[i].length = options->ranges[i].length;
	}
	err = feature(device, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
		      &control, sizeof(control));
	if (err == -EINVAL)
		return migrate_error(EINVAL, "%s: LOGGING_START refused: logging is on already, or ranges overlap or are no multiple of the page size",
				     device->name);
	if (err)
		return migrate_error(-err, "%s: LOGGING_START refused%s", device->name, logging_hint(-err));
	device->logging = true;
	device->tracked_bytes = control.page_size;
	device->page_bytes = options->page_bytes ?: control.page_size;
	return 0;
}

int migrate_vfio__stop(struct migrate_device *device)
{
	int err;

	if (!device->logging)
		return 0;
	device->logging = false;
	err = feature(device, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,
		      NULL, 0);
	if (err)
		return migrate_error(-err, "%s: LOGGING_STOP refused", device->name);
	return 0;
}

/* LOGGING_REPORT of @range into @bitmap, which has a bit a page. */
int migrate_vfio__report(struct migrate_device *device, const struct iova_range *range,
			 void *bitmap)
{
	struct vfio_device_feature_dma_logging_report report = {
		.iova = range->iova,
		.length = range->length,
		.page_size = device->page_bytes,
		.bitmap = (uintptr_t)bitmap,
	};
	int err;

	err = feature(device, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
		      &report, sizeof(report));
	if (err)
		return migrate_error(-err, "%s: LOGGING_REPORT of 0x%" PRIx64 " bytes from 0x%" PRIx64 " refused%s",
				     device->name, range->length, range->iova, logging_hint(-err));
	return 0;
}

/* Whether the device can be asked for its migration state. */
bool migrate_vfio__has_state(struct migrate_device *device)
{
	struct vfio_device_feature_migration migration = { 0 };

	return !feature(device, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION,
			&migration, sizeof(migration));
}

/* Moves to @state (enum vfio_device_mig_state); drops the data it offers. */
int migrate_vfio__set_state(struct migrate_device *device, uint32_t state)
{
	struct vfio_device_feature_mig_state set = { .device_state = state, .data_fd = -1 };
	int err;

	err = feature(device, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
		      &set, sizeof(set));
	if (err)
		return migrate_error(-err, "%s: migration state %u refused", device->name, state);
	if (set.data_fd >= 0)
		close(set.data_fd);
	return 0;
}
