// SPDX-License-Identifier: GPL-2.0-only
/*
 * Somebody else who uses BPF: looks through a map of its own, over and over, until it is
 * killed. The kernel runs no kprobe's program on a CPU where a task is inside such a
 * call, be it preempted there. The map is large and empty: it is gone through in one go.
 *
 *   hammer CPU
 */
#include <errno.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENTRIES	(1U << 20)

static int bpf(enum bpf_cmd cmd, union bpf_attr *attr)
{
	return syscall(SYS_bpf, cmd, attr, sizeof(*attr));
}

static int make_map(void)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_HASH,
		.key_size = sizeof(__u32),
		.value_size = sizeof(__u32),
		.max_entries = ENTRIES,
		.map_flags = BPF_F_NO_PREALLOC,
	};

	return bpf(BPF_MAP_CREATE, &attr);
}

/* Goes through it; it ends with ENOENT. */
static int look_through(int map)
{
	__u32 cursor, keys[8], values[8];
	union bpf_attr attr = {
		.batch.out_batch = (__u64)&cursor,
		.batch.keys = (__u64)keys,
		.batch.values = (__u64)values,
		.batch.count = 8,
		.batch.map_fd = map,
	};

	return bpf(BPF_MAP_LOOKUP_BATCH, &attr) && errno == ENOENT ? 0 : -1;
}

int main(int argc, char **argv)
{
	cpu_set_t cpu;
	int map;

	CPU_ZERO(&cpu);
	CPU_SET(argc > 1 ? atoi(argv[1]) : 0, &cpu);
	map = make_map();
	if (map < 0 || sched_setaffinity(0, sizeof(cpu), &cpu)) {
		fprintf(stderr, "hammer: %s\n", strerror(errno));
		return 1;
	}
	while (!look_through(map))
		;
	fprintf(stderr, "hammer: %s\n", strerror(errno));
	return 1;
}
