// SPDX-License-Identifier: GPL-2.0-only
/* The floor: a program at each mark that does nothing. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "GPL";

SEC("fentry/iova_bitmap_set")
int empty(void *ctx)
{
	return 0;
}
