/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Targets: the kernel's functions that trampolines go to.
 *
 * The kernel wants such a function named by the number of its type in the BTF
 * that has it. libbpf (1.1) looks for it by name, for each program anew, in the
 * kernel's own BTF and then, for a function of a module, in the BTF of each
 * module, every time from the first of the kernel's types on: two thirds of
 * what attaching took. Here each BTF is read once for all programs, and of a
 * module's only what is the module's own.
 */
#ifndef IOVAB_TARGETS_H
#define IOVAB_TARGETS_H

#include <linux/types.h>

struct btf;

/*
 * From here to targets__close(), programs in the sections fentry/ and fexit/ of
 * objects that were opened since are loaded for a function of @module (NULL: of
 * none) or else of a client's module or of the kernel itself. One opener at a
 * time. Negative errno: nothing is open.
 */
int targets__open(const char *module);
void targets__close(void);

/*
 * The number of the type of this kind and name that is @btf's own, not its
 * base's; 0: it has none.
 */
__u32 targets__find_own(const struct btf *btf, const char *name, __u32 kind);

#endif /* IOVAB_TARGETS_H */
