// SPDX-License-Identifier: GPL-2.0-only
/*
 * iommufd as a client of the device cdev uAPI uses it: one iommufd with one
 * IOAS, to which the devices are bound and attached one by one.
 *
 * Debian 12's own linux/vfio.h is of 6.1 and knows none of this (6.2 and 6.6),
 * so what is needed of the uAPI stands here.
 */
#include "migrate.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define IOMMUFD		"/dev/iommu"

/* 6.2 */
struct ioas_alloc {
	uint32_t size;
	uint32_t flags;
	uint32_t out_ioas_id;
};

/* 6.6; what came later is optional */
struct bind_iommufd {
	uint32_t argsz;
	uint32_t flags;
	int32_t iommufd;
	uint32_t out_devid;
};

struct attach_iommufd_pt {
	uint32_t argsz;
	uint32_t flags;
	uint32_t pt_id;
};

#define IOAS_ALLOC		_IO(';', 0x81)
#define BIND_IOMMUFD		_IO(VFIO_TYPE, VFIO_BASE + 18)
#define ATTACH_IOMMUFD_PT	_IO(VFIO_TYPE, VFIO_BASE + 19)

/* The iommufd's descriptor, or -errno; *@ioas is the address space in it. */
int migrate_iommufd__open(uint32_t *ioas)
{
	struct ioas_alloc alloc = { .size = sizeof(alloc) };
	int fd = open(IOMMUFD, O_RDWR | O_CLOEXEC), err;

	if (fd < 0 && (errno == ENOENT || errno == ENODEV))
		return migrate_error(errno, "cannot open " IOMMUFD ": modprobe iommufd, or this kernel was built without CONFIG_IOMMUFD: leave out --iommufd");
	if (fd < 0)
		return migrate_error(errno, "cannot open " IOMMUFD ": run as root");
	if (ioctl(fd, IOAS_ALLOC, &alloc)) {
		err = errno;
		close(fd);
		return migrate_error(err, "iommufd gives no address space");
	}
	*ioas = alloc.out_ioas_id;
	return fd;
}

/* The path of the device's cdev. -errno, said. */
static int find_cdev(const struct migrate_device *device, char *path, size_t size)
{
	char *found = migrate_sysfs__find(device->name, "vfio-dev/vfio*");

	if (!found)
		return migrate_error(errno, "%s: no such device, or no VFIO driver is bound to it: load iovab_mock, or look into /sys/bus/*/devices",
				     device->name);
	snprintf(path, size, "/dev/vfio/devices/%s", strrchr(found, '/') + 1);
	free(found);
	return 0;
}

/* Opens the device, binds it to @iommufd and attaches it to @ioas. */
int migrate_iommufd__open_device(struct migrate_device *device, int iommufd, uint32_t ioas)
{
	struct bind_iommufd bind = { .argsz = sizeof(bind), .iommufd = iommufd };
	struct attach_iommufd_pt attach = { .argsz = sizeof(attach), .pt_id = ioas };
	char path[PATH_MAX];
	int err = find_cdev(device, path, sizeof(path));

	if (err)
		return err;
	device->fd = open(path, O_RDWR | O_CLOEXEC);
	if (device->fd < 0 && errno == ENOENT)
		return migrate_error(ENOENT, "%s: there is no %s: this kernel was built without CONFIG_VFIO_DEVICE_CDEV: leave out --iommufd",
				     device->name, path);
	if (device->fd < 0)
		return migrate_error(errno, "%s: cannot open %s", device->name, path);
	if (ioctl(device->fd, BIND_IOMMUFD, &bind))
		return migrate_error(errno, "%s: cannot be bound to an iommufd%s", device->name,
				     errno == EBUSY || errno == EINVAL ? ": another process may have it" : "");
	if (ioctl(device->fd, ATTACH_IOMMUFD_PT, &attach))
		return migrate_error(errno, "%s: cannot be attached to an address space",
				     device->name);
	return 0;
}
