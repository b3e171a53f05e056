// SPDX-License-Identifier: GPL-2.0-only
/*
 * Marks by script: what a driver with a fault would hand to iova_bitmap_set.
 *
 * User space writes marks as lines "IOVA LENGTH"; the next call of
 * log_read_and_clear sets them as they are, in order, before its own marks. No
 * value is too wrong: the kernel's answer to it is what is to be seen. A line
 * with a single - parts the marks of a call from those of the call after it.
 *
 * They have nothing to do with the dirty engine: no page becomes clean, and none
 * of them is in the truth. They have an account of their own, by what a mark
 * covers of the call that set it. What runs off the address space ends there.
 *
 * One lock guards script and account; a call takes its part of the script out
 * under it, and sets the marks without.
 */
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "mock.h"

void mock_script__init(struct mock_script *script)
{
	mutex_init(&script->lock);
}

static void clear(struct mock_script *script)
{
	kvfree(script->marks);
	script->marks = NULL;
	script->count = 0;
}

void mock_script__destroy(struct mock_script *script)
{
	clear(script);
	mutex_destroy(&script->lock);
}

static int parse_line(char *line, struct mock_script_mark *mark)
{
	char *word = strsep(&line, " \t");

	mark->ends_call = !line && !strcmp(word, "-");
	if (mark->ends_call)
		return 0;
	if (!line || kstrtou64(word, 0, &mark->iova))
		return -EINVAL;
	return kstrtou64(skip_spaces(line), 0, &mark->length);
}

/* Parses all lines of @text to the end of @marks, which has room. */
static int parse(char *text, struct mock_script_mark *marks, u32 *count)
{
	char *line;
	int err;

	while ((line = strsep(&text, "\n")) != NULL) {
		line = strim(line);
		if (!*line)
			continue;
		err = parse_line(line, &marks[*count]);
		if (err)
			return err;
		++*count;
	}
	return 0;
}

static u32 lines_of(const char *text)
{
	u32 lines = 1;

	for (; *text; text++)
		lines += *text == '\n';
	return lines;
}

/* Appends the lines of @buf, or none of them. "clear" takes back what is not set yet. */
int mock_script__write(struct mock_script *script, const char *buf)
{
	struct mock_script_mark *marks;
	u32 count, room;
	char *text;
	int err = -ENOMEM;

	text = kstrdup(buf, GFP_KERNEL);
	if (!text)
		return -ENOMEM;
	mutex_lock(&script->lock);
	if (sysfs_streq(buf, "clear")) {
		clear(script);
		err = 0;
		goto unlock;
	}
	count = script->count;
	room = count + lines_of(text);
	if (room > MOCK_MAX_SCRIPT) {
		err = -E2BIG;
		goto unlock;
	}
	marks = kvcalloc(room, sizeof(*marks), GFP_KERNEL);
	if (!marks)
		goto unlock;
	if (count)
		memcpy(marks, script->marks, count * sizeof(*marks));
	err = parse(text, marks, &count);
	if (err) {
		kvfree(marks);
		goto unlock;
	}
	kvfree(script->marks);
	script->marks = marks;
	script->count = count;
unlock:
	mutex_unlock(&script->lock);
	kfree(text);
	return err;
}

/* Takes the next call's part out of the script; *@marks is the caller's. */
static u32 take_part(struct mock_script *script, struct mock_script_mark **marks)
{
	u32 count, used;

	*marks = NULL;
	for (count = 0; count < script->count && !script->marks[count].ends_call; count++)
		;
	if (!script->count)
		return 0;
	if (count == script->count) {
		*marks = script->marks;
		script->marks = NULL;
		script->count = 0;
		return count;
	}
	used = count + 1;	/* with the line that parts */
	if (count)
		*marks = kvmalloc_array(count, sizeof(**marks), GFP_KERNEL);
	if (*marks)
		memcpy(*marks, script->marks, count * sizeof(**marks));
	else
		count = 0;
	memmove(script->marks, script->marks + used,
		(script->count - used) * sizeof(**marks));
	script->count -= used;
	return count;
}

/* How much of [@a, @a_last] lies in [@b, @b_last]. */
static u64 overlap(u64 a, u64 a_last, u64 b, u64 b_last)
{
	u64 first = max(a, b), last = min(a_last, b_last);

	return first <= last ? last - first + 1 : 0;
}

static void count_mark(struct mock_script_counts *counts, const struct mock_script_mark *mark,
		       u64 iova, u64 last)
{
	u64 mark_last = mark->iova + mark->length - 1;

	counts->marks++;
	if (!mark->length) {
		counts->empty++;
		return;
	}
	if (mark_last < mark->iova)
		mark_last = U64_MAX;
	counts->inside_bytes += overlap(mark->iova, mark_last, iova, last);
	if (iova)
		counts->below_bytes += overlap(mark->iova, mark_last, 0, iova - 1);
	if (last != U64_MAX)
		counts->above_bytes += overlap(mark->iova, mark_last, last + 1, U64_MAX);
}

/*
 * Hands the marks that are due to @set. The call is for the bytes from @iova to
 * @last. Counted before it is set: a set may never return.
 */
void mock_script__run(struct mock_script *script, u64 iova, u64 last,
		      mock_set_fn set, void *ctx)
{
	struct mock_script_mark *marks;
	u32 i, count;

	if (!READ_ONCE(script->count))
		return;
	mutex_lock(&script->lock);
	count = take_part(script, &marks);
	mutex_unlock(&script->lock);
	for (i = 0; i < count; i++) {
		mutex_lock(&script->lock);
		count_mark(&script->counts, &marks[i], iova, last);
		mutex_unlock(&script->lock);
		set(ctx, marks[i].iova, marks[i].length);
	}
	kvfree(marks);
}

/* The lines that wait, as far as a page takes them. */
ssize_t mock_script__format(struct mock_script *script, char *buf)
{
	u32 i;
	int len = 0;

	mutex_lock(&script->lock);
	for (i = 0; i < script->count; i++) {
		const struct mock_script_mark *mark = &script->marks[i];

		if (mark->ends_call)
			len += sysfs_emit_at(buf, len, "-\n");
		else
			len += sysfs_emit_at(buf, len, "%#llx %#llx\n", mark->iova, mark->length);
	}
	mutex_unlock(&script->lock);
	return len;
}

ssize_t mock_script__format_truth(struct mock_script *script, char *buf)
{
	struct mock_script_counts counts;

	mutex_lock(&script->lock);
	counts = script->counts;
	mutex_unlock(&script->lock);
	return sysfs_emit(buf, "marks=%llu\nempty=%llu\ninside_bytes=%llu\n"
			  "below_bytes=%llu\nabove_bytes=%llu\n",
			  counts.marks, counts.empty, counts.inside_bytes,
			  counts.below_bytes, counts.above_bytes);
}

void mock_script__reset(struct mock_script *script)
{
	mutex_lock(&script->lock);
	memset(&script->counts, 0, sizeof(script->counts));
	mutex_unlock(&script->lock);
}
