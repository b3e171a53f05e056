// SPDX-License-Identifier: GPL-2.0-only
/*
 * The mock device's files in sysfs: what to dirty, and its own account.
 * A device without the folder engine/ is a real one: then there is no account.
 */
#include "migrate.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Finds the device's engine, if it has one. */
int migrate_engine__open(struct migrate_device *device)
{
	device->engine_path = migrate_sysfs__find(device->name, "engine");
	if (!device->engine_path && errno != ENODEV)
		return migrate_error(errno, "%s", device->name);
	return 0;
}

void migrate_engine__close(struct migrate_device *device)
{
	free(device->engine_path);
	device->engine_path = NULL;
}

static int open_file(const struct migrate_device *device, const char *file, int flags)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", device->engine_path, file);
	return open(path, flags | O_CLOEXEC);
}

/* What the mock means by an errno. */
static const char *set_hint(const char *file, int err)
{
	if (err == EINVAL || err == ERANGE)
		return ": no such value; kernel/mock_sysfs.c lists them";
	if (err == EBUSY && !strcmp(file, "page_size"))
		return ": another process has logging on";
	return "";
}

int migrate_engine__set(const struct migrate_device *device, const char *file, const char *value)
{
	ssize_t done = -1;
	int fd, err;

	if (!device->engine_path)
		return migrate_error(ENODEV, "%s: cannot set %s: it is no mock device, it has no engine",
				     device->name, file);
	fd = open_file(device, file, O_WRONLY);
	if (fd >= 0)
		done = write(fd, value, strlen(value));
	err = errno;
	if (fd >= 0)
		close(fd);
	if (done < 0)
		return migrate_error(err, "%s: cannot set %s to %s%s", device->name, file, value,
				     set_hint(file, err));
	return 0;
}

int migrate_engine__set_number(const struct migrate_device *device, const char *file,
			       uint64_t value)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	return migrate_engine__set(device, file, text);
}

static const struct {
	const char *key;
	size_t offset;
} truth_fields[] = {
	{ "calls", offsetof(struct engine_truth, calls) },
	{ "marks", offsetof(struct engine_truth, marks) },
	{ "marked_bytes", offsetof(struct engine_truth, marked_bytes) },
	{ "overshoot_bytes", offsetof(struct engine_truth, overshoot_bytes) },
	{ "cross_bytes", offsetof(struct engine_truth, cross_bytes) },
	{ "distinct_bytes", offsetof(struct engine_truth, distinct_bytes) },
	{ "dirtied_bytes", offsetof(struct engine_truth, dirtied_bytes) },
	{ "dropped_bytes", offsetof(struct engine_truth, dropped_bytes) },
};

#define TRUTH_FIELDS	(sizeof(truth_fields) / sizeof(truth_fields[0]))

static uint64_t *truth_field(struct engine_truth *truth, size_t index)
{
	return (uint64_t *)((char *)truth + truth_fields[index].offset);
}

/* Returns 1 if @line is one of the fields, else 0. */
static int parse_line(const char *line, struct engine_truth *truth)
{
	size_t i, len;

	for (i = 0; i < TRUTH_FIELDS; i++) {
		len = strlen(truth_fields[i].key);
		if (strncmp(line, truth_fields[i].key, len) || line[len] != '=')
			continue;
		*truth_field(truth, i) = strtoull(line + len + 1, NULL, 10);
		return 1;
	}
	return 0;
}

/* The account since the module was loaded; all 0 for a device without one. */
int migrate_engine__read(const struct migrate_device *device, struct engine_truth *truth)
{
	char text[4096], *line, *rest;
	size_t fields = 0;
	ssize_t len = -1;
	int fd, err;

	memset(truth, 0, sizeof(*truth));
	if (!device->engine_path)
		return 0;
	fd = open_file(device, "truth", O_RDONLY);
	if (fd >= 0)
		len = read(fd, text, sizeof(text) - 1);
	err = errno;
	if (fd >= 0)
		close(fd);
	if (len < 0)
		return migrate_error(err, "%s: cannot read its account", device->name);
	text[len] = 0;
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		fields += parse_line(line, truth);
	if (fields != TRUTH_FIELDS)
		return migrate_error(EPROTO, "%s: its account has %zu of %zu fields: module and program are of different versions",
				     device->name, fields, TRUTH_FIELDS);
	return 0;
}

void migrate_engine__subtract(struct engine_truth *truth, const struct engine_truth *before)
{
	struct engine_truth copy = *before;
	size_t i;

	for (i = 0; i < TRUTH_FIELDS; i++)
		*truth_field(truth, i) -= *truth_field(&copy, i);
}
