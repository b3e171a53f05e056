// SPDX-License-Identifier: GPL-2.0-only
/*
 * A VFIO device made of software, whose DMA is a dirty engine.
 *
 * It exists so that the kernel's own iova_bitmap runs, through the real VFIO
 * uAPI, with nothing but a stock kernel: user space opens /dev/vfio/N, starts
 * DMA logging and asks for reports as for a passed-through device, and the
 * kernel calls back here for the dirty pages. What is dirty, in which order it
 * is marked and what is done wrong on purpose is set through sysfs, also while
 * another process owns the device; and the device keeps its own account of
 * what it did (the ground truth), so that any tool that watches iova_bitmap
 * can be held against it, byte for byte.
 *
 *   mock_main       platform devices iovab-mock.0 to iovab-mock.N-1, or
 *   mock_mdev       the same on a bus named mdev
 *   mock_vfio       what VFIO calls: open, close, logging
 *   mock_pci        what a VMM wants to see of a PCI function
 *   mock_migration  the migration state, as a client drives it
 *   mock_engine     tracked ranges, logging on and off; the order of locks
 *   mock_pattern    which pages are written, and when
 *   mock_memory     guest memory written, not just logged
 *   mock_bits       which are dirty: a sparse bitmap
 *   mock_marks      read and clear: order, merging, faults
 *   mock_truth      the account
 *   mock_script     marks that user space dictates, however wrong
 *   mock_log        the marks that were set, in order
 *   mock_load       marks in a loop, to tell what one costs
 *   mock_sysfs      .../iovab-mock.0/engine/, what each file takes and says
 *   mock_share      engines for other modules: iovab_mock_ref.ko reads them, too
 *
 * Invariants: a page dirtied during a report is in that report or in a later
 * one; dirtied = handed out + pending + dropped at STOP; after `stop` was set,
 * or the migration state is one of a stopped device, no page is dirtied (but by
 * a fault that needs one).
 *
 * Limits: unless `memory` is set it moves no data, so that no guest memory need be
 * behind a dirty page. It has no state of its own to migrate.
 */
#include "mock.h"

static unsigned int devices = 2;
module_param(devices, uint, 0444);
MODULE_PARM_DESC(devices, "how many devices to make, 1 to 1024 (default 2)");

static char *bus = "platform";
module_param(bus, charp, 0444);
MODULE_PARM_DESC(bus, "platform (the default), or mdev for clients that ask a device's bus whether there is an IOMMU");

static struct device **made;	/* each a platform device's, or mock_mdev's */

static int mock_probe(struct platform_device *pdev)
{
	struct mock_device *mock = mock_vfio__create(&pdev->dev);

	if (IS_ERR(mock))
		return dev_err_probe(&pdev->dev, PTR_ERR(mock), "cannot register with VFIO\n");
	/* the attributes of engine/ appear after this, and go before remove */
	platform_set_drvdata(pdev, mock);
	return 0;
}

static compat_remove_t mock_remove(struct platform_device *pdev)
{
	mock_vfio__destroy(platform_get_drvdata(pdev));
	return COMPAT_REMOVED;
}

static struct platform_driver mock_driver = {
	.probe = mock_probe,
	.remove = mock_remove,
	.driver = {
		.name = MOCK_NAME,
		.dev_groups = mock_sysfs_groups,
	},
};

static bool on_mdev(void)
{
	return !strcmp(bus, "mdev");
}

static struct device *add_device(unsigned int number)
{
	struct platform_device *pdev;

	if (on_mdev())
		return mock_mdev__add(number);
	pdev = platform_device_register_simple(MOCK_NAME, number, NULL, 0);
	return IS_ERR(pdev) ? ERR_CAST(pdev) : &pdev->dev;
}

static void remove_devices(unsigned int count)
{
	while (count--)
		if (on_mdev())
			device_unregister(made[count]);
		else
			platform_device_unregister(to_platform_device(made[count]));
	kvfree(made);
}

static int add_devices(void)
{
	struct device *dev;
	unsigned int i;

	made = kvcalloc(devices, sizeof(*made), GFP_KERNEL);
	if (!made)
		return -ENOMEM;
	for (i = 0; i < devices; i++) {
		dev = add_device(i);
		if (IS_ERR(dev)) {
			remove_devices(i);
			return PTR_ERR(dev);
		}
		made[i] = dev;
	}
	return 0;
}

static int register_driver(void)
{
	return on_mdev() ? mock_mdev__register() : platform_driver_register(&mock_driver);
}

static void unregister_driver(void)
{
	if (on_mdev())
		mock_mdev__unregister();
	else
		platform_driver_unregister(&mock_driver);
}

static int __init mock_init(void)
{
	int err;

	if (devices < 1 || devices > MOCK_MAX_DEVICES) {
		pr_err(MOCK_NAME ": devices=%u: must be 1 to %u\n", devices, MOCK_MAX_DEVICES);
		return -EINVAL;
	}
	if (!on_mdev() && strcmp(bus, "platform")) {
		pr_err(MOCK_NAME ": bus: must be platform or mdev\n");
		return -EINVAL;
	}
	mock_log__begin();
	err = register_driver();
	if (err)
		goto end_log;
	err = add_devices();
	if (err) {
		pr_err(MOCK_NAME ": cannot make %u devices: error %d\n", devices, err);
		goto unregister;
	}
	return 0;

unregister:
	unregister_driver();
end_log:
	mock_log__end();
	return err;
}

static void __exit mock_exit(void)
{
	remove_devices(devices);
	unregister_driver();
	mock_log__end();
}

module_init(mock_init);
module_exit(mock_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("VFIO devices made of software, with DMA dirty logging to test against");
COMPAT_IMPORT_NS
