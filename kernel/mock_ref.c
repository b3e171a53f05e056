// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/iovab-ref: a client of the reference implementation. include/iovab_mock.h is its
 * interface.
 *
 * It is a module of its own, iovab_mock_ref.ko, that needs both iovab_mock.ko and
 * iovab_ref.ko: so the mock is loaded without the reference where that is not wanted, and
 * neither knows of the other. What is dirty comes out of the mock's engine by the same
 * function that VFIO's path calls; only the sink that marks fall into is another.
 *
 * Locking: file->lock, a mutex, is held over each ioctl: one report a descriptor at a time,
 * and binding does not change what a report uses. The engine's locks are taken inside.
 */
#include <linux/err.h>
#include <linux/fs.h>
#include <linux/interval_tree.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vfio.h>

#include "iovab_bitmap.h"
#include "iovab_mock.h"
#include "mock.h"

#define MAX_RANGES	(PAGE_SIZE / sizeof(struct vfio_device_feature_dma_logging_range))

struct client {
	struct mutex lock;
	struct mock_engine *engine;	/* NULL: not bound */
	enum iovab_policy_id policy;
	bool keep;
	bool started;			/* logging, and so it stops it */
};

/* --- a report ------------------------------------------------------------------- */

static void set_reference(void *bitmap, u64 iova, u64 length)
{
	iovab_bitmap_set(bitmap, iova, length);	/* an error sticks: for_each tells */
}

static int read_and_clear(struct iovab_bitmap *bitmap, unsigned long iova, size_t length, void *opaque)
{
	struct client *client = opaque;
	const struct mock_sink sink = {
		.set = set_reference,
		.object = bitmap,
		.keep = client->keep,
	};

	return mock_marks__report_to(client->engine, iova, length, &sink);
}

static int report(struct client *client, void __user *data)
{
	struct vfio_device_feature_dma_logging_report control;
	struct iovab_bitmap *bitmap;
	int err;

	if (copy_from_user(&control, data, sizeof(control)))
		return -EFAULT;
	bitmap = iovab_bitmap_alloc(control.iova, control.length, control.page_size,
				    u64_to_user_ptr(control.bitmap), client->policy);
	if (IS_ERR(bitmap))
		return PTR_ERR(bitmap);
	iovab_bitmap_name(bitmap, dev_name(client->engine->dev));
	err = iovab_bitmap_for_each(bitmap, client, read_and_clear);
	iovab_bitmap_free(bitmap);
	return err;
}

/* --- logging --------------------------------------------------------------------- */

/* Disjoint ranges from user space into @root; @nodes has room for them. */
static int take_ranges(const struct vfio_device_feature_dma_logging_control *control,
		       struct interval_tree_node *nodes, struct rb_root_cached *root)
{
	struct vfio_device_feature_dma_logging_range __user *ranges =
		u64_to_user_ptr(control->ranges);
	struct vfio_device_feature_dma_logging_range range;
	u32 i;

	for (i = 0; i < control->num_ranges; i++) {
		if (copy_from_user(&range, &ranges[i], sizeof(range)))
			return -EFAULT;
		if (!range.length || range.iova + (range.length - 1) < range.iova)
			return -EINVAL;
		nodes[i].start = range.iova;
		nodes[i].last = range.iova + (range.length - 1);
		if (interval_tree_iter_first(root, nodes[i].start, nodes[i].last))
			return -EINVAL;
		interval_tree_insert(&nodes[i], root);
	}
	return 0;
}

static int start(struct client *client, void __user *data)
{
	struct vfio_device_feature_dma_logging_control control;
	struct rb_root_cached root = RB_ROOT_CACHED;
	struct interval_tree_node *nodes;
	int err;

	if (copy_from_user(&control, data, sizeof(control)))
		return -EFAULT;
	if (!control.num_ranges || control.num_ranges > MAX_RANGES)
		return control.num_ranges ? -E2BIG : -EINVAL;
	nodes = kcalloc(control.num_ranges, sizeof(*nodes), GFP_KERNEL_ACCOUNT);
	if (!nodes)
		return -ENOMEM;
	err = take_ranges(&control, nodes, &root);
	if (!err)
		err = mock_engine__start(client->engine, &root, control.num_ranges, &control.page_size);
	kfree(nodes);
	if (err)
		return err;
	client->started = true;
	return copy_to_user(data, &control, sizeof(control)) ? -EFAULT : 0;
}

static int stop(struct client *client)
{
	client->started = false;
	return mock_engine__stop(client->engine);
}

/* --- ioctls ------------------------------------------------------------------------ */

/* Bytes of the feature's data and what may be asked of it; 0: no such feature. */
static size_t feature_size(u32 feature, u32 *may)
{
	*may = VFIO_DEVICE_FEATURE_SET;
	switch (feature) {
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_START:
		return sizeof(struct vfio_device_feature_dma_logging_control);
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP:
		return 1;	/* it has none */
	case VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT:
		*may = VFIO_DEVICE_FEATURE_GET;
		return sizeof(struct vfio_device_feature_dma_logging_report);
	default:
		return 0;
	}
}

static int feature(struct client *client, struct vfio_device_feature __user *arg)
{
	struct vfio_device_feature header;
	u32 number, ask, may;
	size_t size;

	if (copy_from_user(&header, arg, sizeof(header)))
		return -EFAULT;
	number = header.flags & VFIO_DEVICE_FEATURE_MASK;
	ask = header.flags & ~VFIO_DEVICE_FEATURE_MASK;
	size = feature_size(number, &may);
	if (!size)
		return -ENOTTY;
	if (ask & ~(may | VFIO_DEVICE_FEATURE_PROBE))
		return -EINVAL;
	if (ask & VFIO_DEVICE_FEATURE_PROBE)
		return 0;
	if (ask != may)
		return -EINVAL;
	if (number == VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP)
		return stop(client);
	if (header.argsz < sizeof(header) + size)
		return -EINVAL;
	return number == VFIO_DEVICE_FEATURE_DMA_LOGGING_START ? start(client, arg->data) :
								 report(client, arg->data);
}

static int bind(struct client *client, void __user *arg)
{
	struct iovab_mock_bind bind;
	struct mock_engine *engine;

	if (copy_from_user(&bind, arg, sizeof(bind)))
		return -EFAULT;
	if (bind.argsz < sizeof(bind) || bind.flags & ~IOVAB_MOCK_KEEP || bind.pad ||
	    bind.policy >= IOVAB_POLICIES || strnlen(bind.device, sizeof(bind.device)) == sizeof(bind.device))
		return -EINVAL;
	engine = mock_share__get(bind.device);
	if (!engine)
		return -ENODEV;
	if (client->engine && client->engine != engine) {
		mock_share__put(engine);
		return -EBUSY;
	}
	if (client->engine)
		mock_share__put(engine);
	client->engine = engine;
	client->policy = bind.policy;
	client->keep = bind.flags & IOVAB_MOCK_KEEP;
	return 0;
}

/* --- scripts ------------------------------------------------------------------------- */

struct script {
	struct iovab_mock_mark *marks;
	u32 count;
	u32 next;
};

static int set_script(struct iovab_bitmap *bitmap, unsigned long iova, size_t length, void *opaque)
{
	struct script *script = opaque;
	struct iovab_mock_mark *mark;

	for (; script->next < script->count; script->next++) {
		mark = &script->marks[script->next];
		mark->error = iovab_bitmap_set(bitmap, mark->iova, mark->length);
	}
	return 0;
}

static void run_script(const struct client *client, struct iovab_mock_script *control,
		       struct iovab_mock_mark *marks)
{
	struct script script = { .marks = marks, .count = control->count };
	struct iovab_bitmap *bitmap;

	control->error = 0;
	bitmap = iovab_bitmap_alloc(control->iova, control->length, control->page_size,
				    u64_to_user_ptr(control->bitmap), control->policy);
	control->alloc_error = PTR_ERR_OR_ZERO(bitmap);
	if (!control->alloc_error && client->engine)
		iovab_bitmap_name(bitmap, dev_name(client->engine->dev));
	if (!control->alloc_error)
		control->error = iovab_bitmap_for_each(bitmap, &script, set_script);
	iovab_bitmap_free(bitmap);
}

static int script(const struct client *client, void __user *arg)
{
	struct iovab_mock_script control;
	struct iovab_mock_mark *marks;
	size_t size;

	if (copy_from_user(&control, arg, sizeof(control)))
		return -EFAULT;
	if (control.argsz < sizeof(control) || control.pad || control.count > IOVAB_MOCK_MARKS)
		return -EINVAL;
	size = control.count * sizeof(*marks);
	marks = vmemdup_user(u64_to_user_ptr(control.marks), size);
	if (IS_ERR(marks))
		return PTR_ERR(marks);
	run_script(client, &control, marks);
	if (copy_to_user(u64_to_user_ptr(control.marks), marks, size) ||
	    copy_to_user(arg, &control, sizeof(control))) {
		kvfree(marks);
		return -EFAULT;
	}
	kvfree(marks);
	return 0;
}

/* --- the file -------------------------------------------------------------------------- */

static long ref_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct client *client = file->private_data;
	void __user *data = (void __user *)arg;
	long err;

	if (mutex_lock_killable(&client->lock))
		return -EINTR;
	switch (cmd) {
	case IOVAB_MOCK_BIND:
		err = bind(client, data);
		break;
	case IOVAB_MOCK_SCRIPT:
		err = script(client, data);
		break;
	case VFIO_DEVICE_FEATURE:
		err = client->engine ? feature(client, data) : -ENODEV;
		break;
	default:
		err = -ENOTTY;
	}
	mutex_unlock(&client->lock);
	return err;
}

static int ref_open(struct inode *inode, struct file *file)
{
	struct client *client = kzalloc(sizeof(*client), GFP_KERNEL_ACCOUNT);

	if (!client)
		return -ENOMEM;
	mutex_init(&client->lock);
	file->private_data = client;
	return 0;
}

static int ref_release(struct inode *inode, struct file *file)
{
	struct client *client = file->private_data;

	if (client->started)
		mock_engine__stop(client->engine);
	if (client->engine)
		mock_share__put(client->engine);
	mutex_destroy(&client->lock);
	kfree(client);
	return 0;
}

static const struct file_operations ref_fops = {
	.owner = THIS_MODULE,
	.open = ref_open,
	.release = ref_release,
	.unlocked_ioctl = ref_ioctl,
	.llseek = noop_llseek,
};

static struct miscdevice ref_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "iovab-ref",
	.fops = &ref_fops,
	.mode = 0600,
};

module_misc_device(ref_device);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("The mock device's engine, read through the reference IOVA bitmap");
