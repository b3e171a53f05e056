/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Features: what this kernel has of the facility, and whether we may look.
 *
 * Everything is asked of BTF and of the running kernel, nothing of its
 * version: distributions carry patches back.
 */
#ifndef IOVAB_FEATURES_H
#define IOVAB_FEATURES_H

#include <stdbool.h>

#include "error.h"
#include "iovab.h"

/* What is to be seen of a report, and at which function. */
enum features_signal {
	FEATURES_ALLOC,
	FEATURES_FREE,
	FEATURES_FOR_EACH,
	FEATURES_SET,
	FEATURES_PIN,
	FEATURES_UNPIN,
	FEATURES_SIGNALS
};

/* How the programs get to a function. */
enum features_method {
	FEATURES_NO_METHOD,	/* it is not there, or inlined */
	FEATURES_TRAMPOLINE,	/* fentry and fexit */
	FEATURES_KPROBE,	/* kprobe and kretprobe: dearer, needs the symbol alone */
};

struct features_hook {
	const char *signal;	/* its name */
	const char *function;	/* the kernel's */
	enum features_method method;
	const char *how;	/* at which of its ends */
	bool paired;		/* a trampoline besides (bpf/pair.h) */
	const char *why;	/* the method is not the cheapest one; NULL: it is */
	enum iovab_tier tier;	/* the lowest that needs it */
};

struct features {
	bool present;			/* the facility is there now */
	bool expected;			/* not yet: it may come with the module vfio */
	char where[64];			/* "vmlinux" or the module's name */
	enum iovab_generation generation;
	__u32 index_bytes;		/* of user bitmap that an index counts */
	struct features_hook hooks[FEATURES_SIGNALS];
	bool vfio, iommufd;		/* the clients that are there */
	bool reference;			/* and the reference implementation */
	/*
	 * What each hands to for_each: kernel addresses. 0 where the client is not there,
	 * and where addresses are hidden from us (kptr_restrict, without CAP_SYSLOG).
	 */
	__u64 vfio_callback, iommufd_callback;
	bool kprobes;			/* all by kprobes, the clients' functions, too */
	bool preempts;			/* the kernel may keep programs out of calls */
	/* where the kernel keeps the addresses of its direct map and of its struct pages; 0: nowhere */
	__u64 direct_map_var, page_map_var;
	unsigned int client_modules;	/* that were there when these were looked up: bits */
};

/*
 * What the process may do: -1 with the missing capabilities, the lockdown or
 * the lack of BTF named in @e. Cheap; asks nothing of the facility.
 */
int features__check_access(struct iovab_error *e);

/*
 * Looks for the facility. -1 with @e set if it is not there and will not come
 * (no kernel module that could bring it) and the reference is not there either, or if
 * it is of a kind that we do not know.
 */
int features__probe(struct features *f, struct iovab_error *e);

/*
 * Looks the kernel's addresses up again: a client can come as a module after the
 * facility. Reads all of kallsyms.
 */
void features__find_symbols(struct features *f);

/* True if a client's module, or the reference's, was loaded since they were looked up. Cheap. */
bool features__client_came(const struct features *f);

/* True once the module that may bring the facility is loaded. Cheap. */
bool features__module_loaded(void);

/* True if the reference implementation's module is loaded. Cheap. */
bool features__reference_loaded(void);

/* From now on kprobes wherever a function is there; @why: a reason that lives on. */
void features__use_kprobes(struct features *f, const char *why);

/* The highest tier whose hooks are all there; 0: none. */
enum iovab_tier features__best_tier(const struct features *f);

/* The generation in a word, and in a few for the header of a view. */
const char *features__name(enum iovab_generation g);
const char *features__describe(enum iovab_generation g);

#endif /* IOVAB_FEATURES_H */
