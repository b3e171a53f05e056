/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Giving up what is no longer needed.
 *
 * To load and attach takes CAP_BPF, CAP_PERFMON and CAP_SYS_ADMIN; with CAP_SYSLOG
 * kernel addresses are seen where they are hidden. Behind that everything goes through file descriptors
 * that are open already, and through /proc files that anybody may read.
 */
#ifndef IOVAB_PRIVILEGE_H
#define IOVAB_PRIVILEGE_H

#include "error.h"

/*
 * Gives up all capabilities of this thread, for good, and the means to get any
 * by running a program. -1 with @e set.
 */
int privilege__drop(struct iovab_error *e);

#endif /* IOVAB_PRIVILEGE_H */
