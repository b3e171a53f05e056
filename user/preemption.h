/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Preemption: whether a task in the kernel can lose its CPU to another without
 * asking for it.
 *
 * It matters for the programs on trampolines. These run preemptible, and while
 * one of them is away from its CPU the kernel skips it for everybody else there
 * (and counts the runs skipped). Kprobes are run with preemption off.
 */
#ifndef IOVAB_PREEMPTION_H
#define IOVAB_PREEMPTION_H

#include <stdbool.h>

/* As the kernel runs now; false also where it cannot be found out. */
bool preemption__on(void);

#endif /* IOVAB_PREEMPTION_H */
