// SPDX-License-Identifier: GPL-2.0-only
/*
 * The log of marks: every call of iova_bitmap_set that a device made, in order,
 * under the call of log_read_and_clear that made it.
 *
 * What a kernel from 6.11 on pins depends on where marks are and in which order
 * they come. A test that has them can work out what the kernel had to do, for
 * shuffled marks, too. Off by default; one file a device in debugfs, marks:
 *
 *	write N		room for N records, none in it; 0: off
 *	read		struct mock_log_record, as many as there are
 *
 * What has no room is counted in a last record, MOCK_LOG_MISSING. Calls on one
 * device that run at the same time are mixed up here.
 *
 * resize_lock keeps the array while it is read; lock guards appending, and the
 * array's change under it. A record that was appended never changes.
 */
#include <linux/debugfs.h>
#include <linux/mm.h>
#include <linux/uaccess.h>

#include "mock.h"

static struct dentry *root;

/* Called for each mark: cheap while the log is off. */
void mock_log__add(struct mock_log *log, enum mock_log_kind kind, u64 iova, u64 length)
{
	if (!READ_ONCE(log->max))
		return;
	spin_lock(&log->lock);
	if (log->count + 1 < log->max)
		log->records[log->count++] = (struct mock_log_record){ kind, iova, length };
	else if (log->max)
		log->dropped++;
	spin_unlock(&log->lock);
}

/* Empties the log and gives it room for @max records; where it is as much as before it stays. */
static int resize(struct mock_log *log, u32 max)
{
	const u32 room = max ? max + 1 : 0;	/* and one that says how many are missing */
	struct mock_log_record *records = NULL;
	int err = 0;

	mutex_lock(&log->resize_lock);
	if (room && room != log->max) {
		records = kvcalloc(room, sizeof(*records), GFP_KERNEL_ACCOUNT);
		if (!records) {
			err = -ENOMEM;
			goto unlock;
		}
	}
	spin_lock(&log->lock);
	if (room != log->max)
		swap(log->records, records);
	log->count = 0;
	log->dropped = 0;
	WRITE_ONCE(log->max, room);
	spin_unlock(&log->lock);
unlock:
	mutex_unlock(&log->resize_lock);
	kvfree(records);	/* the old ones */
	return err;
}

static ssize_t marks_write(struct file *file, const char __user *buf, size_t len, loff_t *pos)
{
	struct mock_log *log = file->private_data;
	u32 max;
	int err = kstrtou32_from_user(buf, len, 0, &max);

	if (!err && max > MOCK_MAX_LOG)
		err = -E2BIG;
	if (!err)
		err = resize(log, max);
	return err ?: len;
}

static ssize_t marks_read(struct file *file, char __user *buf, size_t len, loff_t *pos)
{
	struct mock_log *log = file->private_data;
	size_t bytes;
	ssize_t done;

	mutex_lock(&log->resize_lock);
	spin_lock(&log->lock);
	bytes = log->count * sizeof(*log->records);
	if (log->dropped) {
		log->records[log->count] = 
			(struct mock_log_record){ MOCK_LOG_MISSING, log->dropped, 0 };
		bytes += sizeof(*log->records);
	}
	spin_unlock(&log->lock);
	done = simple_read_from_buffer(buf, len, pos, log->records, bytes);
	mutex_unlock(&log->resize_lock);
	return done;
}

static const struct file_operations marks_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.read = marks_read,
	.write = marks_write,
	.llseek = default_llseek,
};

/* A kernel without debugfs has no log. */
void mock_log__init(struct mock_log *log, const char *name)
{
	spin_lock_init(&log->lock);
	mutex_init(&log->resize_lock);
	log->folder = debugfs_create_dir(name, root);
	debugfs_create_file("marks", 0600, log->folder, log, &marks_fops);
}

void mock_log__destroy(struct mock_log *log)
{
	debugfs_remove_recursive(log->folder);
	resize(log, 0);
	mutex_destroy(&log->resize_lock);
}

void mock_log__begin(void)
{
	root = debugfs_create_dir(MOCK_NAME, NULL);
}

void mock_log__end(void)
{
	debugfs_remove_recursive(root);
}
