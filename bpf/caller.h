/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Callers: for whom a thread that is inside a client's ioctl asks.
 *
 * A report is made by one thread inside one ioctl, and what it is for is known
 * to the client (VFIO, iommufd) alone. So each client has programs of its own
 * around its ioctl, which leave here, under the thread's id, what a report will
 * ask for when it begins; they take it away again when the ioctl returns.
 *
 * They are objects of their own (vfio.bpf.c, iommufd.bpf.c), since the client
 * can be a module that is loaded long after the facility: only then do its
 * functions and types exist, and without them the programs cannot be loaded.
 * The maps below are in each of the objects, and user/session.c sees to it that
 * they are the same ones.
 */
#ifndef IOVAB_BPF_CALLER_H
#define IOVAB_BPF_CALLER_H

#include "cost.h"

struct caller {
	__u64 context;		/* as in struct iovab_source_key; so is hwpt */
	__u32 hwpt;
	__u8 client;		/* enum iovab_client */
	__u8 phase;		/* enum iovab_phase */
	__u8 name_cut;		/* the device's is longer than there is room */
	__u8 pad;
	__u32 logging;		/* as in struct iovab_report_event */
	__u32 pad2;
	char device[IOVAB_DEVICE_LEN];
	char driver[IOVAB_DRIVER_LEN];
	char vfio[IOVAB_VFIO_LEN];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, IOVAB_MAX_REPORTS);
	__type(key, __u64);		/* the thread, as bpf_get_current_pid_tgid() has it */
	__type(value, struct caller);
} callers SEC(".maps");

/* Callers for which there was no room; their reports are those of an unknown device. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} callers_lost SEC(".maps");

static __always_inline void caller_enter(const struct caller *c)
{
	__u64 thread = bpf_get_current_pid_tgid(), *lost;
	__u32 zero = 0;

	if (!bpf_map_update_elem(&callers, &thread, c, BPF_ANY))
		return;
	lost = bpf_map_lookup_elem(&callers_lost, &zero);
	if (lost)
		__sync_fetch_and_add(lost, 1);
}

static __always_inline void caller_leave(void)
{
	__u64 thread = bpf_get_current_pid_tgid();

	bpf_map_delete_elem(&callers, &thread);
}

/* Copies a string of the kernel's into one of @size bytes. True: it may have been cut. */
static __always_inline bool copy_name(char *to, __u32 size, const char *from)
{
	return bpf_probe_read_kernel_str(to, size, from) == size;
}

#endif /* IOVAB_BPF_CALLER_H */
