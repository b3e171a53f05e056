// SPDX-License-Identifier: GPL-2.0-only
/*
 * Devices on a bus of the name `mdev`, instead of platform devices.
 *
 * A VMM that goes through iommufd asks the IOMMU behind a device for what it
 * can do, unless the device's bus says that there is none: mediated devices
 * have none, and QEMU knows them by that name. So the devices sit on a
 * private bus of this name when the module is loaded with bus=mdev. They lie at the
 * same place in sysfs as the platform devices. The name is taken when the
 * kernel's own mdev is loaded; then this fails.
 */
#include <linux/device.h>
#include <linux/slab.h>

#include "mock.h"

static int mdev_probe(struct device *dev)
{
	struct mock_device *mock = mock_vfio__create(dev);

	if (IS_ERR(mock))
		return dev_err_probe(dev, PTR_ERR(mock), "cannot register with VFIO\n");
	dev_set_drvdata(dev, mock);
	return 0;
}

static int mdev_remove(struct device *dev)
{
	mock_vfio__destroy(dev_get_drvdata(dev));
	return 0;
}

static struct bus_type mdev_bus = {
	.name = "mdev",
};

static struct device_driver mdev_driver = {
	.name = MOCK_NAME,
	.owner = THIS_MODULE,
	.bus = &mdev_bus,
	.probe = mdev_probe,
	.remove = mdev_remove,
	.dev_groups = mock_sysfs_groups,
};

int mock_mdev__register(void)
{
	int err = bus_register(&mdev_bus);

	if (err) {
		pr_err(MOCK_NAME ": there is a bus named mdev already: rmmod mdev\n");
		return err;
	}
	err = driver_register(&mdev_driver);
	if (err)
		bus_unregister(&mdev_bus);
	return err;
}

void mock_mdev__unregister(void)
{
	driver_unregister(&mdev_driver);
	bus_unregister(&mdev_bus);
}

static void mdev_release(struct device *dev)
{
	kfree(dev);
}

/* Makes device @number; ERR_PTR. */
struct device *mock_mdev__add(unsigned int number)
{
	struct device *dev = kzalloc(sizeof(*dev), GFP_KERNEL);
	int err;

	if (!dev)
		return ERR_PTR(-ENOMEM);
	device_initialize(dev);
	dev->parent = &platform_bus;
	dev->bus = &mdev_bus;
	dev->release = mdev_release;
	err = dev_set_name(dev, MOCK_NAME ".%u", number);
	if (!err)
		err = device_add(dev);
	if (err) {
		put_device(dev);
		return ERR_PTR(err);
	}
	return dev;
}
