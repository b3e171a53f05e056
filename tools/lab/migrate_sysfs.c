// SPDX-License-Identifier: GPL-2.0-only
/* Where a device is in sysfs, whatever bus it is on. */
#include "migrate.h"

#include <errno.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

/* @bus may be a pattern, and @file, too. */
static char *find_on(const char *bus, const char *device, const char *file)
{
	char pattern[PATH_MAX], *path;
	glob_t found;

	snprintf(pattern, sizeof(pattern), "/sys/bus/%s/devices/%s/%s", bus, device, file);
	if (glob(pattern, 0, NULL, &found)) {
		errno = ENODEV;
		return NULL;
	}
	path = strdup(found.gl_pathv[0]);
	globfree(&found);
	return path;
}

/*
 * The path of the device's @file, to be freed. NULL with errno set: ENODEV when there is none.
 * To look through all buses takes long, and many devices are mostly on one: that of the one
 * before comes first.
 */
char *migrate_sysfs__find(const char *device, const char *file)
{
	static char bus[NAME_MAX + 1] = "*";
	char *path = find_on(bus, device, file);

	if (!path && errno == ENODEV)
		path = find_on("*", device, file);
	if (path)
		sscanf(path, "/sys/bus/%255[^/]", bus);
	return path;
}
