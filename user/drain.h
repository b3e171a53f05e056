/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The drain: takes runs of marks out of the kernel's ring as they come, and makes chunks
 * of them.
 *
 * A reporting thread can fill the ring in less time than one interval, and does not wake
 * anybody (bpf/runs.h). So a thread of ours looks every few milliseconds, and packs what
 * it finds: what waits for the next interval is small.
 */
#ifndef IOVAB_DRAIN_H
#define IOVAB_DRAIN_H

#include "facts.h"

struct drain;

/* Starts emptying the ring. NULL with errno set. */
struct drain *drain__new(int ring_fd, size_t ring_bytes);
void drain__free(struct drain *d);

/*
 * All that is in the ring now, and what was before: chunks, in order for each report.
 * They belong to the drain and live until the next call.
 */
const struct iovab_chunk_fact *drain__take(struct drain *d, size_t *n);

/* Marks for which there was no memory here, since the start. */
__u64 drain__dropped(const struct drain *d);

#endif /* IOVAB_DRAIN_H */
