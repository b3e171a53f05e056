// SPDX-License-Identifier: GPL-2.0-only
/*
 * A kernel says what it was built for in its version (uname -v): nothing,
 * PREEMPT, PREEMPT_RT, PREEMPT_LAZY or PREEMPT_DYNAMIC. The last is chosen when it
 * boots, and can be changed later: debugfs tells, if it can be read (lockdown
 * forbids it); else the command line; else what it was built to begin with.
 */
#include "preemption.h"

#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

#define DEBUGFS_FILE "/sys/kernel/debug/sched/preempt"

enum answer { NO, YES, UNKNOWN };

static enum answer by_mode(const char *mode)
{
	if (!strcmp(mode, "none") || !strcmp(mode, "voluntary"))
		return NO;
	if (!strcmp(mode, "full") || !strcmp(mode, "lazy"))
		return YES;
	return UNKNOWN;
}

/* The word of @line between @before and one of @after; "" if there is none. */
static void cut_word(const char *line, const char *before, const char *after, char *word,
		     size_t size)
{
	const char *start = strstr(line, before);

	snprintf(word, size, "%.*s", start ? (int)strcspn(start + strlen(before), after) : 0,
		 start ? start + strlen(before) : "");
}

/* The first line of the file that holds @what; "" if there is none. */
static void find_line(const char *path, const char *what, char *line, int size)
{
	FILE *file = fopen(path, "re");
	bool found = false;

	while (file && !found && fgets(line, size, file))
		found = strstr(line, what) != NULL;
	if (!found)
		line[0] = '\0';
	if (file)
		fclose(file);
}

/* debugfs lists all modes, the present one in parentheses. */
static enum answer by_debugfs(void)
{
	char line[256], word[32];

	find_line(DEBUGFS_FILE, "(", line, sizeof(line));
	cut_word(line, "(", ")", word, sizeof(word));
	return by_mode(word);
}

static enum answer by_command_line(void)
{
	char line[4096], word[32];

	find_line("/proc/cmdline", " preempt=", line, sizeof(line));
	cut_word(line, " preempt=", " \n", word, sizeof(word));
	return by_mode(word);
}

static enum answer by_config(const char *release)
{
	char path[256], line[4096];

	snprintf(path, sizeof(path), "/boot/config-%s", release);
	find_line(path, "CONFIG_PREEMPT=y", line, sizeof(line));
	if (line[0])
		return YES;
	find_line(path, "CONFIG_PREEMPT_LAZY=y", line, sizeof(line));
	return line[0] ? YES : UNKNOWN;
}

bool preemption__on(void)
{
	enum answer a;
	struct utsname u;

	if (uname(&u) || !strstr(u.version, "PREEMPT"))
		return false;
	if (!strstr(u.version, "PREEMPT_DYNAMIC"))
		return true;
	a = by_debugfs();
	if (a == UNKNOWN)
		a = by_command_line();
	if (a == UNKNOWN)
		a = by_config(u.release);
	return a == YES;
}
