// SPDX-License-Identifier: GPL-2.0-only
#include "identity.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A QEMU's command line has been seen with 20 KiB; what is behind is not looked at. */
#define CMDLINE_MAX (128 * 1024)

/* Reads a file of /proc/PID. Returns its length, or -1. */
static ssize_t read_proc(__u32 pid, const char *name, char *buf, size_t size)
{
	size_t len = 0;
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/%s", pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	while (len < size && (n = read(fd, buf + len, size - len)) > 0)
		len += n;
	close(fd);
	return len;
}

/* Field 22 of /proc/PID/stat: clock ticks since boot. It follows the comm, which may hold anything. */
static bool parse_start_ticks(const char *stat, unsigned long long *ticks)
{
	const char *p = strrchr(stat, ')');
	int field;

	for (field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	return p && sscanf(p, " %llu", ticks) == 1;
}

bool identity__alive(__u32 pid, __u64 start_ns)
{
	unsigned long long ticks;
	char stat[1024];
	ssize_t len = read_proc(pid, "stat", stat, sizeof(stat) - 1);

	if (len <= 0)
		return false;
	stat[len] = '\0';
	return parse_start_ticks(stat, &ticks) &&
	       ticks == start_ns / (1000000000ULL / sysconf(_SC_CLK_TCK));
}

/*
 * Copies the first word of a QEMU option's value; ",," in it is a comma.
 * Returns what follows the comma that ended it, or NULL.
 */
static const char *next_word(const char *from, char *word, size_t size)
{
	size_t n = 0;

	for (; *from; from++) {
		if (*from == ',' && *++from != ',')
			break;
		if (n + 1 < size)
			word[n++] = *from;
	}
	word[n] = '\0';
	return *from ? from : NULL;
}

/* guest=NAME anywhere, or a first word without a key. */
static void parse_name(const char *value, char *vm, size_t size)
{
	char word[256];
	bool first = true;

	while (value) {
		value = next_word(value, word, sizeof(word));
		if (!strncmp(word, "guest=", 6)) {
			snprintf(vm, size, "%s", word + 6);
			return;
		}
		if (first && !strchr(word, '='))
			snprintf(vm, size, "%s", word);
		first = false;
	}
}

void identity__parse_vm(const char *cmdline, size_t len, char *vm, size_t size)
{
	const char *end = cmdline + len, *arg = cmdline;

	vm[0] = '\0';
	while (arg < end) {
		const char *next = memchr(arg, '\0', end - arg);

		if (!next || ++next >= end)
			return;
		if ((!strcmp(arg, "-name") || !strcmp(arg, "--name")) &&
		    memchr(next, '\0', end - next)) {
			parse_name(next, vm, size);
			return;
		}
		arg = next;
	}
}

void identity__vm(__u32 pid, __u64 start_ns, char *vm, size_t size)
{
	char *cmdline = malloc(CMDLINE_MAX);
	ssize_t len;

	vm[0] = '\0';
	if (!cmdline)
		return;
	len = read_proc(pid, "cmdline", cmdline, CMDLINE_MAX);
	if (len > 0)
		identity__parse_vm(cmdline, len, vm, size);
	free(cmdline);
	/* asked last: what was read was the right process's if it is there still */
	if (vm[0] && !identity__alive(pid, start_ns))
		vm[0] = '\0';
}
