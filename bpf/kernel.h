/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The kernel's structures as the programs see them: only the fields that are
 * used, relocated by CO-RE when the programs are loaded. No vmlinux.h is
 * needed to build. Everything that differs between kernels stands here.
 */
#ifndef IOVAB_BPF_KERNEL_H
#define IOVAB_BPF_KERNEL_H

#include <linux/bpf.h>
#include <linux/errno.h>
#include <linux/ptrace.h>
#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

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

struct page {
	unsigned long flags;
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

struct file {
	void *private_data;
} __reloc;

struct task_struct {
	struct task_struct *group_leader;
	int exit_state;
	int pid;
	__u64 start_boottime;
	char comm[IOVAB_COMM_LEN];
} __reloc;

struct list_head {
	struct list_head *next;
} __reloc;

/* --- drivers/vfio --- */

struct vfio_device {
	struct device *dev;
	struct device device;
} __reloc;

/* 6.6, with the devices' own files (cdev): a file's private data. */
struct vfio_device_file {
	struct vfio_device *device;
} __reloc;

/* enum vfio_device_mig_state as of 6.2; Debian 12's headers end before these. */
enum {
	STATE_PRE_COPY = 6,
	STATE_PRE_COPY_P2P = 7,
};

/* --- drivers/iommu/iommufd --- */

struct xarray {
	void *xa_head;
} __reloc;

struct xa_node {
	unsigned char shift;
	unsigned char count;		/* slots that are taken */
	void *slots[64];
} __reloc;

struct iommufd_ctx {
	struct xarray objects;		/* struct iommufd_object, by id */
} __reloc;

/* The numbers differ from kernel to kernel. */
enum iommufd_object_type {
	IOMMUFD_OBJ_DEVICE = 1,
	IOMMUFD_OBJ_HWPT_PAGING = 2,
	IOMMUFD_OBJ_HWPT_NESTED = 3,
};

/* The head of each of iommufd's objects. */
struct iommufd_object {
	enum iommufd_object_type type;
	unsigned int id;
} __reloc;

struct iommufd_hw_pagetable {
	struct iommufd_object obj;
} __reloc;

struct iommufd_hwpt_nested {
	struct iommufd_hw_pagetable *parent;
} __reloc;

/* A device is attached as its group is: at first to one HWPT ... */
struct iommufd_group {
	struct iommufd_hw_pagetable *hwpt;
	struct list_head device_list;
} __reloc;

/* ... and since attachments are by PASID to one a PASID, each with its devices. */
struct iommufd_group___pasid {
	struct xarray pasid_attach;	/* struct iommufd_attach, by PASID */
} __reloc;

struct iommufd_attach {
	struct iommufd_hw_pagetable *hwpt;
	struct xarray device_array;	/* by id of the device's object */
} __reloc;

struct iommufd_device {
	struct iommufd_object obj;
	struct iommufd_group *igroup;
	struct list_head group_item;
	struct device *dev;
} __reloc;

/* An ioctl of iommufd: the command's structure is a copy in the kernel. */
struct iommufd_ucmd {
	struct iommufd_ctx *ictx;
	void *cmd;
} __reloc;

struct iommu_hwpt_get_dirty_bitmap {
	__u32 hwpt_id;
} __reloc;

#endif /* IOVAB_BPF_KERNEL_H */
