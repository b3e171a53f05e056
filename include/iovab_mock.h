/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * /dev/iovab-ref (iovab_mock_ref.ko): the mock device's engine, read through the
 * reference implementation.
 *
 * A descriptor is bound to one device, and then takes VFIO_DEVICE_FEATURE with the
 * features DMA_LOGGING_START, _STOP and _REPORT, as a VFIO device does: the same
 * structures, the same flags. Logging that it started ends with it. The device may be
 * open through VFIO as well; it has one engine.
 */
#ifndef IOVAB_MOCK_UAPI_H
#define IOVAB_MOCK_UAPI_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define IOVAB_MOCK_DEVICE_LEN	64

/* What is reported stays dirty, so that it can be read again. */
#define IOVAB_MOCK_KEEP		(1U << 0)

/* Chooses the device, once; policy and flags may be changed by binding to it again. */
struct iovab_mock_bind {
	__u32 argsz;		/* of the structure */
	__u32 flags;
	__u32 policy;		/* enum iovab_policy_id */
	__u32 pad;
	char device[IOVAB_MOCK_DEVICE_LEN];	/* "iovab-mock.0" */
};

struct iovab_mock_mark {
	__u64 iova;
	__u64 length;
	__s32 error;		/* what set returned */
	__u32 pad;
};

/*
 * A report of these marks, whatever they are, in this order and in the first callback;
 * it needs no device. The ioctl returns 0 when the report was tried.
 */
struct iovab_mock_script {
	__u32 argsz;		/* of the structure */
	__u32 policy;		/* enum iovab_policy_id */
	__u64 iova;
	__u64 length;
	__u64 page_size;
	__u64 bitmap;		/* user address */
	__u64 marks;		/* user address of struct iovab_mock_mark */
	__u32 count;		/* of marks, at most IOVAB_MOCK_MARKS */
	__s32 alloc_error;
	__s32 error;		/* what for_each returned */
	__u32 pad;
};

#define IOVAB_MOCK_MARKS	65536

#define IOVAB_MOCK_BIND		_IOW(0xb7, 0, struct iovab_mock_bind)
#define IOVAB_MOCK_SCRIPT	_IOWR(0xb7, 1, struct iovab_mock_script)

_Static_assert(sizeof(struct iovab_mock_bind) == 80, "no hidden padding");
_Static_assert(sizeof(struct iovab_mock_mark) == 24, "no hidden padding");
_Static_assert(sizeof(struct iovab_mock_script) == 64, "no hidden padding");

#endif /* IOVAB_MOCK_UAPI_H */
