// SPDX-License-Identifier: GPL-2.0-only
#include "process.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

__u64 process__open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	__u64 n = 0;

	if (!dir)
		return 0;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n > 3 ? n - 3 : 0;	/* ".", ".." and the directory itself */
}

__u64 process__resident_bytes(void)
{
	FILE *file = fopen("/proc/self/statm", "re");
	unsigned long long size, resident = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%llu %llu", &size, &resident) != 2)
		resident = 0;
	fclose(file);
	return resident * (__u64)sysconf(_SC_PAGESIZE);
}

/* Field 22 of /proc/self/stat: clock ticks since boot. It follows the comm, which may hold anything. */
static bool start_ticks(unsigned long long *ticks)
{
	FILE *file = fopen("/proc/self/stat", "re");
	char stat[1024] = "";
	int field;
	char *p;

	if (!file)
		return false;
	if (!fgets(stat, sizeof(stat), file))
		stat[0] = '\0';
	fclose(file);
	for (p = strrchr(stat, ')'), field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	return p && sscanf(p, " %llu", ticks) == 1;
}

static __u64 clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (__u64)t.tv_sec * 1000000000ULL + (__u64)t.tv_nsec;
}

/* From the two clocks once: the wall clock may be set later. */
__u64 process__start_unix_ns(void)
{
	static __u64 start;
	unsigned long long ticks;

	if (!start && start_ticks(&ticks))
		start = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME) +
			ticks * (1000000000ULL / (__u64)sysconf(_SC_CLK_TCK));
	return start;
}

__u64 process__cpu_ns(void)
{
	return clock_ns(CLOCK_PROCESS_CPUTIME_ID);
}
