/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every difference between kernel versions that the modules here care about.
 *
 * An out-of-tree module cannot ask a kernel what it offers before it is
 * compiled, so versions are compared, here and nowhere else; each difference
 * is named with the release it came with. 6.1, 6.12 and 7.2 have been run.
 */
#ifndef IOVAB_COMPAT_H
#define IOVAB_COMPAT_H

#include <linux/module.h>
#include <linux/platform_device.h>
#include <linux/version.h>
#include <linux/vfio.h>

/* 6.2: the vfio core frees the device; before, .release had to do it. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define compat_free_device(vdev)	vfio_free_device(vdev)
#else
#define compat_free_device(vdev)	do { } while (0)
#endif

/* 6.2: an emulated device must be able to bind to an iommufd, and to leave. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
#define COMPAT_IOMMUFD_BIND					\
	.bind_iommufd	= vfio_iommufd_emulated_bind,		\
	.unbind_iommufd	= vfio_iommufd_emulated_unbind,		\
	.attach_ioas	= vfio_iommufd_emulated_attach_ioas,
#else
#define COMPAT_IOMMUFD_BIND
#endif

/* 6.2: the size of the device's state. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
#define COMPAT_MIGRATION_DATA_SIZE(fn)	.migration_get_data_size = (fn),
#else
#define COMPAT_MIGRATION_DATA_SIZE(fn)
#endif

/*
 * Before 6.2 the core does not know the feature, and hands it to the driver as
 * any that it does not know. A client that gets no answer assumes a large size.
 */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 2, 0)
#define VFIO_DEVICE_FEATURE_MIG_DATA_SIZE	9
struct vfio_device_feature_mig_data_size {
	__aligned_u64 stop_copy_length;
};
#define COMPAT_DEVICE_FEATURE(fn)	.device_feature = (fn),
#else
#define COMPAT_DEVICE_FEATURE(fn)
#endif

/* 6.6: an emulated device must be able to detach from an IOAS. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
#define COMPAT_IOMMUFD_DETACH					\
	.detach_ioas	= vfio_iommufd_emulated_detach_ioas,
#else
#define COMPAT_IOMMUFD_DETACH
#endif

/* 6.11: a platform driver's remove returns nothing. */
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 11, 0)
typedef int compat_remove_t;
#define COMPAT_REMOVED	0
#else
typedef void compat_remove_t;
#define COMPAT_REMOVED
#endif

/* 6.19: regions have a callback of their own, the ioctl is the core's. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 19, 0)
#define COMPAT_REGION_INFO(fn)	.get_region_info_caps = (fn),
#else
#define COMPAT_REGION_INFO(fn)
#endif

/* 6.7: iova_bitmap moved to iommufd's namespace; 6.13: the name is a string. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#define COMPAT_IMPORT_NS	MODULE_IMPORT_NS("IOMMUFD");
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 7, 0)
#define COMPAT_IMPORT_NS	MODULE_IMPORT_NS(IOMMUFD);
#else
#define COMPAT_IMPORT_NS
#endif

#endif
