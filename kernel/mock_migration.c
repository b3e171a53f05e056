// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device's migration state, so that a client can drive it as it drives a
 * real one: STOP_COPY and P2P, no precopy of device state.
 *
 * The device has nothing to save: its data stream is empty, and what a
 * destination is sent is swallowed. But it keeps the promise of each state:
 * in STOP, STOP_COPY and RESUMING it writes no page.
 */
#include <linux/anon_inodes.h>
#include <linux/fs.h>
#include <linux/uaccess.h>

#include "mock.h"

static struct mock_device *to_mock(struct vfio_device *vdev)
{
	return container_of(vdev, struct mock_device, vdev);
}

static ssize_t stream_read(struct file *file, char __user *buf, size_t len, loff_t *pos)
{
	return 0;
}

static ssize_t stream_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	return len;
}

static const struct file_operations save_fops = {
	.owner = THIS_MODULE,
	.read = stream_read,
};

static const struct file_operations load_fops = {
	.owner = THIS_MODULE,
	.write = stream_write,
};

/* The stream that comes with @state, NULL for none, ERR_PTR. */
static struct file *open_stream(enum vfio_device_mig_state state)
{
	if (state == VFIO_DEVICE_STATE_STOP_COPY)
		return anon_inode_getfile("iovab-mock-save", &save_fops, NULL, O_RDONLY);
	if (state == VFIO_DEVICE_STATE_RESUMING)
		return anon_inode_getfile("iovab-mock-load", &load_fops, NULL, O_WRONLY);
	return NULL;
}

static bool state_runs(enum vfio_device_mig_state state)
{
	return state == VFIO_DEVICE_STATE_RUNNING || state == VFIO_DEVICE_STATE_RUNNING_P2P;
}

/* Goes to @target by the arcs that VFIO's state machine allows. */
static struct file *set_state(struct vfio_device *vdev, enum vfio_device_mig_state target)
{
	struct mock_device *mock = to_mock(vdev);
	enum vfio_device_mig_state next;
	struct file *stream = NULL;
	int err;

	mutex_lock(&mock->state_lock);
	while (mock->state != target) {
		err = vfio_mig_get_next_state(vdev, mock->state, target, &next);
		/* only the last arc of a way has a stream */
		stream = err ? ERR_PTR(err) : open_stream(next);
		if (IS_ERR(stream))
			break;
		mock_pattern__pause(&mock->engine, !state_runs(next));
		mock->state = next;
	}
	mutex_unlock(&mock->state_lock);
	return stream;
}

static int get_state(struct vfio_device *vdev, enum vfio_device_mig_state *state)
{
	struct mock_device *mock = to_mock(vdev);

	mutex_lock(&mock->state_lock);
	*state = mock->state;
	mutex_unlock(&mock->state_lock);
	return 0;
}

/*
 * An estimate, as VFIO says. QEMU allocates as much for the stream, and fails to
 * migrate when that is nothing; so it is not 0.
 */
static int __maybe_unused get_data_size(struct vfio_device *vdev, unsigned long *bytes)
{
	*bytes = PAGE_SIZE;
	return 0;
}

/* ops->device_feature: the size of the state where the core does not ask for it. */
int mock_migration__feature(struct vfio_device *vdev, u32 flags, void __user *arg, size_t argsz)
{
	struct vfio_device_feature_mig_data_size size = { .stop_copy_length = PAGE_SIZE };
	int ret;

	if ((flags & VFIO_DEVICE_FEATURE_MASK) != VFIO_DEVICE_FEATURE_MIG_DATA_SIZE)
		return -ENOTTY;
	ret = vfio_check_feature(flags, argsz, VFIO_DEVICE_FEATURE_GET, sizeof(size));
	if (ret != 1)
		return ret;
	return copy_to_user(arg, &size, sizeof(size)) ? -EFAULT : 0;
}

static const struct vfio_migration_ops migration_ops = {
	.migration_set_state = set_state,
	.migration_get_state = get_state,
	COMPAT_MIGRATION_DATA_SIZE(get_data_size)
};

/* Before the device is registered. */
void mock_migration__init(struct mock_device *mock)
{
	mutex_init(&mock->state_lock);
	mock->state = VFIO_DEVICE_STATE_RUNNING;
	mock->vdev.mig_ops = &migration_ops;
	mock->vdev.migration_flags = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P;
}

/* Opened, closed or reset: back to RUNNING. */
void mock_migration__reset(struct mock_device *mock)
{
	mutex_lock(&mock->state_lock);
	mock->state = VFIO_DEVICE_STATE_RUNNING;
	mock_pattern__pause(&mock->engine, false);
	mutex_unlock(&mock->state_lock);
}
