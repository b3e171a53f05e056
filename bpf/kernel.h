/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's structures as the programs see them: only the fields that are
 * used, relocated by CO-RE when the programs are loaded. No vmlinux.h is
 * needed to build. Everything that differs between kernels stands here.
 */
#ifndef IOVAB_BPF_KERNEL_H
#define IOVAB_BPF_KERNEL_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>

#include "iovab.h"

#define __reloc __attribute__((preserve_access_index))

/*
 * drivers/vfio/iova_bitmap.c up to v6.6, drivers/iommu/iommufd/iova_bitmap.c
 * from v6.7 on. The object is private to that file: a driver sees a pointer only. What an index counts depends on the
 * stable release: words of 64 bits at first, bytes since the element type
 * became u8; user space looks that up in BTF (index_bytes in rodata).
 */
struct iova_bitmap_map {
	unsigned long iova;
	unsigned long pgshift;
	unsigned long pgoff;
	unsigned long npages;
	struct page **pages;
} __reloc;

struct iova_bitmap {
	struct iova_bitmap_map mapped;
	void *bitmap;			/* user address */
	unsigned long mapped_base_index;
	unsigned long iova;
	unsigned long length;
} __reloc;

struct kobject {
	const char *name;
} __reloc;

struct device_driver {
	const char *name;
} __reloc;

struct device {
	struct kobject kobj;
	struct device_driver *driver;
} __reloc;

struct vfio_device {
	struct device *dev;
	struct device device;
} __reloc;

struct task_struct {
	struct task_struct *group_leader;
	__u64 start_boottime;
	char comm[IOVAB_COMM_LEN];
} __reloc;

#endif /* IOVAB_BPF_KERNEL_H */
