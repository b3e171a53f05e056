/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Identity: what /proc tells of the process that owns a device.
 *
 * A pid alone names nobody for long. Every question here carries the time at
 * which the process started, and an answer about another process that got the
 * same pid later is no answer.
 */
#ifndef IOVAB_IDENTITY_H
#define IOVAB_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

/* Is the process (@start_ns: CLOCK_BOOTTIME when it started) still there? */
bool identity__alive(__u32 pid, __u64 start_ns);

/*
 * The VM's name from the command line of the process: what follows -name, its
 * guest= or its first word, as QEMU reads it. Writes "" if there is none or
 * the process is gone. The result is the process's own words: hostile.
 */
void identity__vm(__u32 pid, __u64 start_ns, char *vm, size_t size);

/* The same for a command line as in /proc/PID/cmdline: @len bytes, NUL between words. */
void identity__parse_vm(const char *cmdline, size_t len, char *vm, size_t size);

#endif /* IOVAB_IDENTITY_H */
