// SPDX-License-Identifier: GPL-2.0-only
/*
 * A load of marks: what is to be set in each call, as fast as can be.
 *
 * To tell what a mark costs, nothing else may happen between two of them: the engine
 * walks its bits, a script takes a lock. Here user space writes the marks as two numbers
 * of 64 bits each, IOVA and length, into a file in debugfs, `load`, and each call of
 * log_read_and_clear sets those that begin in its range, in order, in a loop, again and
 * again until the file is opened anew to be truncated:
 *
 *	open with O_TRUNC	none is left
 *	write			as many whole marks as are written come to those there
 *
 * They have nothing to do with the dirty engine, and are in no account or log.
 *
 * The engine's sem guards the load: held for writing where it changes, for reading
 * where it is set.
 */
#include <linux/debugfs.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/uaccess.h>

#include "mock.h"

#define MARKS_A_TURN	4096

static void clear(struct mock_load *load)
{
	kvfree(load->marks);
	load->marks = NULL;
	load->count = 0;
}

static int load_open(struct inode *inode, struct file *file)
{
	struct mock_engine *engine = inode->i_private;

	file->private_data = engine;
	if (file->f_flags & O_TRUNC) {
		down_write(&engine->sem);
		clear(&engine->load);
		up_write(&engine->sem);
	}
	return 0;
}

static ssize_t load_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	struct mock_engine *engine = file->private_data;
	struct mock_load *load = &engine->load;
	u64 more = len / sizeof(*load->marks);
	struct mock_load_mark *marks;
	ssize_t err;

	if (!more || len % sizeof(*load->marks))
		return -EINVAL;
	down_write(&engine->sem);
	err = -E2BIG;
	if (more > MOCK_MAX_LOAD - load->count)
		goto unlock;
	err = -ENOMEM;
	marks = kvmalloc_array(load->count + more, sizeof(*marks), GFP_KERNEL_ACCOUNT);
	if (!marks)
		goto unlock;
	if (load->count)
		memcpy(marks, load->marks, load->count * sizeof(*marks));
	err = -EFAULT;
	if (copy_from_user(marks + load->count, buf, len)) {
		kvfree(marks);
		goto unlock;
	}
	kvfree(load->marks);
	load->marks = marks;
	load->count += more;
	err = len;
unlock:
	up_write(&engine->sem);
	return err;
}

static const struct file_operations load_fops = {
	.owner = THIS_MODULE,
	.open = load_open,
	.write = load_write,
	.llseek = noop_llseek,
};

/* Sets what begins in the @length bytes from @iova on. Caller holds the engine's sem. */
void mock_load__run(const struct mock_load *load, u64 iova, u64 length,
		    const struct mock_sink *sink)
{
	u32 i, turn_end;

	for (i = 0; i < load->count && !fatal_signal_pending(current); cond_resched()) {
		turn_end = min(i + MARKS_A_TURN, load->count);
		for (; i < turn_end; i++)
			if (load->marks[i].iova - iova < length)
				sink->set(sink->object, load->marks[i].iova, load->marks[i].length);
	}
}

/* Its file is in the folder of the log. */
void mock_load__init(struct mock_engine *engine)
{
	debugfs_create_file("load", 0200, engine->log.folder, engine, &load_fops);
}

/* The file is gone: the log's folder was removed with all in it. */
void mock_load__destroy(struct mock_engine *engine)
{
	clear(&engine->load);
}
