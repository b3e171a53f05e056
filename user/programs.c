// SPDX-License-Identifier: GPL-2.0-only
#include "programs.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <string.h>

/* Those on set are called so, whatever they are attached to. */
#define MARK_PROGRAM	"set_entry"

static void add_program(const struct bpf_program *prog, struct programs_sum *sum)
{
	struct bpf_prog_info info = {};
	__u32 len = sizeof(info);
	int fd = bpf_program__fd(prog);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len))
		return;
	sum->recursion_missed += info.recursion_misses;
	if (info.type == BPF_PROG_TYPE_KPROBE)
		sum->kprobes_missed += info.recursion_misses;
	if (!strncmp(bpf_program__name(prog), MARK_PROGRAM, strlen(MARK_PROGRAM))) {
		sum->mark_runs += info.run_cnt;
		sum->mark_run_ns += info.run_time_ns;
	}
}

void programs__add(const struct bpf_object *obj, struct programs_sum *sum)
{
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, obj)
		add_program(prog, sum);
}
