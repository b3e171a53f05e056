// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device as VFIO sees it: emulated IOMMU, a PCI face (mock_pci.c), and DMA
 * logging answered by the engine.
 *
 * Logging and migration state belong to an open device: opening finds it
 * running with logging off, closing the last file descriptor or a reset brings
 * it back there, however the owner went (kill -9 included).
 */
#include "mock.h"

static struct mock_device *to_mock(struct vfio_device *vdev)
{
	return container_of(vdev, struct mock_device, vdev);
}

static struct mock_engine *to_engine(struct vfio_device *vdev)
{
	return &to_mock(vdev)->engine;
}

static int log_start(struct vfio_device *vdev, struct rb_root_cached *ranges,
		     u32 count, u64 *page_bytes)
{
	return mock_engine__start(to_engine(vdev), ranges, count, page_bytes);
}

static int log_stop(struct vfio_device *vdev)
{
	return mock_engine__stop(to_engine(vdev));
}

static int log_read_and_clear(struct vfio_device *vdev, unsigned long iova,
			      unsigned long length, struct iova_bitmap *bitmap)
{
	return mock_marks__report(to_engine(vdev), iova, length, bitmap);
}

static const struct vfio_log_ops log_ops = {
	.log_start = log_start,
	.log_stop = log_stop,
	.log_read_and_clear = log_read_and_clear,
};

static int device_init(struct vfio_device *vdev)
{
	vdev->log_ops = &log_ops;
	mock_engine__init(to_engine(vdev), vdev->dev);
	mock_pci__init(&to_mock(vdev)->pci);
	mock_migration__init(to_mock(vdev));
	return 0;
}

static void device_release(struct vfio_device *vdev)
{
	mock_engine__destroy(to_engine(vdev));
	mock_pci__destroy(&to_mock(vdev)->pci);
	mutex_destroy(&to_mock(vdev)->state_lock);
	compat_free_device(vdev);
}

static void reset(struct vfio_device *vdev)
{
	mock_engine__stop(to_engine(vdev));
	mock_migration__reset(to_mock(vdev));
	mock_pci__reset(&to_mock(vdev)->pci);
}

static int device_open(struct vfio_device *vdev)
{
	reset(vdev);
	return 0;
}

/* The last descriptor is gone. */
static void device_close(struct vfio_device *vdev)
{
	reset(vdev);
}

static ssize_t device_read(struct vfio_device *vdev, char __user *buf, size_t len, loff_t *pos)
{
	return mock_pci__read(&to_mock(vdev)->pci, buf, len, pos);
}

static ssize_t device_write(struct vfio_device *vdev, const char __user *buf, size_t len,
			    loff_t *pos)
{
	return mock_pci__write(&to_mock(vdev)->pci, buf, len, pos);
}

static long device_ioctl(struct vfio_device *vdev, unsigned int cmd, unsigned long arg)
{
	if (cmd == VFIO_DEVICE_RESET) {
		reset(vdev);
		return 0;
	}
	return mock_pci__ioctl(cmd, (void __user *)arg);
}

/* The mock keeps no page pinned: it looks a mapping up at each write. */
static void device_dma_unmap(struct vfio_device *vdev, u64 iova, u64 length)
{
}

static const struct vfio_device_ops device_ops = {
	.name = MOCK_NAME,
	.init = device_init,
	.release = device_release,
	.open_device = device_open,
	.close_device = device_close,
	.read = device_read,
	.write = device_write,
	.ioctl = device_ioctl,
	.dma_unmap = device_dma_unmap,
	COMPAT_IOMMUFD_BIND
	COMPAT_IOMMUFD_DETACH
	COMPAT_REGION_INFO(mock_pci__region_info)
	COMPAT_DEVICE_FEATURE(mock_migration__feature)
};

/* Registers a device for @dev. ERR_PTR on failure; end it with mock_vfio__destroy. */
struct mock_device *mock_vfio__create(struct device *dev)
{
	struct mock_device *mock;
	int err;

	mock = vfio_alloc_device(mock_device, vdev, dev, &device_ops);
	if (IS_ERR(mock))
		return mock;
	err = vfio_register_emulated_iommu_dev(&mock->vdev);
	if (err) {
		vfio_put_device(&mock->vdev);
		return ERR_PTR(err);
	}
	return mock;
}

/* Waits until nobody has the device open any more. */
void mock_vfio__destroy(struct mock_device *mock)
{
	vfio_unregister_group_dev(&mock->vdev);
	vfio_put_device(&mock->vdev);
}
