// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device's PCI face: what a VM's firmware and a VMM's vfio-pci ask for.
 *
 * A PCI function with a configuration space of 256 bytes and one BAR of 4 KiB
 * that keeps what is written to it. It has no capabilities and raises no
 * interrupt: no pin, no MSI, so every interrupt index has none. Its class is
 * "unassigned", so that neither firmware nor a guest's kernel looks for a
 * driver; the ids are from the part of virtio's range that is free for experiments.
 *
 * Regions lie in the device file at index << 40, as vfio-pci has them; a
 * user must not count on that, and QEMU does not.
 */
#include <linux/pci.h>
#include <linux/uaccess.h>

#include "mock.h"

#define REGION_SHIFT	40
#define REGION_MASK	((1ULL << REGION_SHIFT) - 1)
#define CHUNK_BYTES	64

static const u8 config_header[MOCK_PCI_CONFIG_BYTES] = {
	[PCI_VENDOR_ID] = 0xf4, 0x1a,
	[PCI_DEVICE_ID] = 0xf0, 0x10,
	[PCI_REVISION_ID] = 1,
	[PCI_CLASS_DEVICE + 1] = PCI_CLASS_OTHERS,
	[PCI_SUBSYSTEM_VENDOR_ID] = 0xf4, 0x1a,
	[PCI_SUBSYSTEM_ID] = 0xf0, 0x10,
};

/* The bits that a write reaches. The BAR's low bits say its size. */
static const u8 config_writable[MOCK_PCI_CONFIG_BYTES] = {
	[PCI_COMMAND] = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER,
	[PCI_CACHE_LINE_SIZE] = 0xff,
	[PCI_LATENCY_TIMER] = 0xff,
	[PCI_BASE_ADDRESS_0 + 1] = 0xf0, 0xff, 0xff,
	[PCI_INTERRUPT_LINE] = 0xff,
};

static u64 region_bytes(u32 index)
{
	switch (index) {
	case VFIO_PCI_BAR0_REGION_INDEX:
		return MOCK_PCI_BAR_BYTES;
	case VFIO_PCI_CONFIG_REGION_INDEX:
		return MOCK_PCI_CONFIG_BYTES;
	default:
		return 0;
	}
}

static u8 *region_data(struct mock_pci *pci, u32 index)
{
	return index == VFIO_PCI_CONFIG_REGION_INDEX ? pci->config : pci->bar;
}

/* Finds the region at *@pos, and cuts *@len at its end. -EINVAL: none there. */
static int locate(loff_t pos, u32 *index, u64 *offset, size_t *len)
{
	u64 size;

	*index = (u64)pos >> REGION_SHIFT;
	*offset = pos & REGION_MASK;
	size = region_bytes(*index);
	if (*offset >= size)
		return -EINVAL;
	*len = min_t(u64, *len, size - *offset);
	return 0;
}

ssize_t mock_pci__read(struct mock_pci *pci, char __user *buf, size_t len, loff_t *pos)
{
	u8 chunk[CHUNK_BYTES];
	size_t done, part;
	u64 offset;
	u32 index;
	int err;

	err = locate(*pos, &index, &offset, &len);
	if (err)
		return err;
	for (done = 0; done < len; done += part) {
		part = min_t(size_t, len - done, CHUNK_BYTES);
		mutex_lock(&pci->lock);
		memcpy(chunk, region_data(pci, index) + offset + done, part);
		mutex_unlock(&pci->lock);
		if (copy_to_user(buf + done, chunk, part))
			return -EFAULT;
	}
	*pos += len;
	return len;
}

/* Caller holds the lock. */
static void config_write(struct mock_pci *pci, u64 offset, const u8 *data, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		u8 mask = config_writable[offset + i];

		pci->config[offset + i] = (pci->config[offset + i] & ~mask) | (data[i] & mask);
	}
}

ssize_t mock_pci__write(struct mock_pci *pci, const char __user *buf, size_t len, loff_t *pos)
{
	u8 chunk[CHUNK_BYTES];
	size_t done, part;
	u64 offset;
	u32 index;
	int err;

	err = locate(*pos, &index, &offset, &len);
	if (err)
		return err;
	for (done = 0; done < len; done += part) {
		part = min_t(size_t, len - done, CHUNK_BYTES);
		if (copy_from_user(chunk, buf + done, part))
			return -EFAULT;
		mutex_lock(&pci->lock);
		if (index == VFIO_PCI_CONFIG_REGION_INDEX)
			config_write(pci, offset + done, chunk, part);
		else
			memcpy(pci->bar + offset + done, chunk, part);
		mutex_unlock(&pci->lock);
	}
	*pos += len;
	return len;
}

/* Also VFIO's get_region_info_caps where there is one. */
int mock_pci__region_info(struct vfio_device *vdev, struct vfio_region_info *info,
			  struct vfio_info_cap *caps)
{
	if (info->index >= VFIO_PCI_NUM_REGIONS)
		return -EINVAL;
	info->size = region_bytes(info->index);
	info->offset = (u64)info->index << REGION_SHIFT;
	info->flags = info->size ? VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE : 0;
	info->cap_offset = 0;
	return 0;
}

static long get_info(void __user *arg)
{
	unsigned long minsz = offsetofend(struct vfio_device_info, num_irqs);
	struct vfio_device_info info;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;
	info.flags = VFIO_DEVICE_FLAGS_RESET | VFIO_DEVICE_FLAGS_PCI;
	info.num_regions = VFIO_PCI_NUM_REGIONS;
	info.num_irqs = VFIO_PCI_NUM_IRQS;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

static long get_region_info(void __user *arg)
{
	unsigned long minsz = offsetofend(struct vfio_region_info, offset);
	struct vfio_region_info info;
	int err;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;
	err = mock_pci__region_info(NULL, &info, NULL);
	if (err)
		return err;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

/* The index for errors of the slot is for PCIe alone, that for requests to let go is not offered. */
static bool irq_index_is_known(u32 index)
{
	return index <= VFIO_PCI_MSIX_IRQ_INDEX;
}

static long get_irq_info(void __user *arg)
{
	unsigned long minsz = offsetofend(struct vfio_irq_info, count);
	struct vfio_irq_info info;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz || !irq_index_is_known(info.index))
		return -EINVAL;
	info.flags = 0;
	info.count = 0;
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

/* There is nothing to set; taking back what was never set is no error. */
static long set_irqs(void __user *arg)
{
	unsigned long minsz = offsetofend(struct vfio_irq_set, count);
	struct vfio_irq_set set;

	if (copy_from_user(&set, arg, minsz))
		return -EFAULT;
	if (set.argsz < minsz || !irq_index_is_known(set.index))
		return -EINVAL;
	return set.count || !(set.flags & VFIO_IRQ_SET_DATA_NONE) ? -EINVAL : 0;
}

/* -ENOTTY: not one of these. */
long mock_pci__ioctl(unsigned int cmd, void __user *arg)
{
	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return get_info(arg);
	case VFIO_DEVICE_GET_REGION_INFO:	/* from 6.19 on the core answers it */
		return get_region_info(arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return get_irq_info(arg);
	case VFIO_DEVICE_SET_IRQS:
		return set_irqs(arg);
	default:
		return -ENOTTY;
	}
}

/* As after power-on. */
void mock_pci__reset(struct mock_pci *pci)
{
	mutex_lock(&pci->lock);
	memcpy(pci->config, config_header, sizeof(pci->config));
	memset(pci->bar, 0, sizeof(pci->bar));
	mutex_unlock(&pci->lock);
}

void mock_pci__init(struct mock_pci *pci)
{
	mutex_init(&pci->lock);
	mock_pci__reset(pci);
}

void mock_pci__destroy(struct mock_pci *pci)
{
	mutex_destroy(&pci->lock);
}
