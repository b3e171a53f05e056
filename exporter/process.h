/* SPDX-License-Identifier: GPL-2.0-only */
/* What this process itself takes. 0: /proc does not tell. */
#ifndef IOVAB_PROCESS_H
#define IOVAB_PROCESS_H

#include <linux/types.h>

__u64 process__cpu_ns(void);		/* user and system, all threads */
__u64 process__resident_bytes(void);
__u64 process__open_fds(void);
__u64 process__start_unix_ns(void);	/* the same at each call */

#endif /* IOVAB_PROCESS_H */
