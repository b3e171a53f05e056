// SPDX-License-Identifier: GPL-2.0-only
/*
 * Asks the kernel for the address of a symbol: a program of user space's that is
 * attached to nothing, and run when somebody asks (user/symbols.c).
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "iovab_symbol.h"

char LICENSE[] SEC("license") = "GPL";

/* Returns what the kernel does: 0 or -errno. */
SEC("syscall")
int symbol_find(struct symbol_question *ctx)
{
	struct symbol_question q;
	int err;

	__builtin_memcpy(&q, ctx, sizeof(q));
	err = bpf_kallsyms_lookup_name(q.name, sizeof(q.name), 0, &q.addr);
	ctx->addr = q.addr;
	return err;
}
