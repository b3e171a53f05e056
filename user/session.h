/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A session: the programs loaded into the kernel and attached.
 *
 * Everything it puts into the kernel hangs on file descriptors of this
 * process: links, programs, maps. So whatever ends the process, kill -9
 * included, takes all of it out of the kernel again.
 */
#ifndef IOVAB_SESSION_H
#define IOVAB_SESSION_H

#include <stdbool.h>

#include "error.h"
#include "features.h"
#include "iovab.h"

struct session_options {
	enum iovab_tier tier;
	__u64 budget_ppm;	/* parts of a CPU that the programs may take; 0: any */
	bool want_events;	/* somebody will read the events of windows and reports */
	bool want_reports;	/* or those of reports alone, which are few */
	bool want_marks;	/* somebody will read the marks; tier sets only */
	unsigned int max_sources;	/* 0: IOVAB_MAX_SOURCES, which is also the most */
	unsigned int ring_bytes;	/* of the events; a power of two, 0: as usual */
	unsigned int mark_ring_bytes;	/* of the marks, if they are wanted; likewise */
	bool kprobes;		/* also where trampolines work */
	bool verbose;		/* libbpf's own messages to stderr */
};

struct session;
struct iovab_bpf;
struct clients;
struct reference;

/*
 * Checks access and the facility. NULL with @e set if there is nothing to
 * trace here. The session is not attached yet: session__attach() does that.
 */
struct session *session__new(const struct session_options *opts, struct iovab_error *e);
void session__free(struct session *s);

/*
 * Loads and attaches: the facility, and the reference implementation if its module is
 * there; without the facility the reference alone. 0: attached (also if it was before);
 * 1: neither's module is loaded yet, ask again later; -1 with @e set: it failed, and
 * nothing is left attached.
 */
int session__attach(struct session *s, struct iovab_error *e);

/*
 * To be called now and then: takes notice of a client, the reference or the facility
 * whose module came after the programs were attached. Cheap where there is nothing to
 * notice. If the facility refuses then, nothing is left attached, and session__attach()
 * tells why.
 */
void session__refresh(struct session *s);

bool session__attached(const struct session *s);

/* Are there pairs of programs (bpf/pair.h)? */
bool session__paired(const struct session *s);

/* Once a collection: reports whose end was not seen end, where that can be (bpf/sweep.h). */
void session__sweep(struct session *s);

/*
 * True once the programs are attached and the client vfio is there: nothing is
 * loaded any more. Until then session__refresh() may have to, when its module
 * comes. (That of iommufd, where it is one, comes before: vfio needs it.) The
 * reference is not waited for.
 */
bool session__complete(const struct session *s);
const struct features *session__features(const struct session *s);

__u64 session__budget(const struct session *s);

/* The tier that was asked for, and the one in force, which may be lower. */
enum iovab_tier session__tier(const struct session *s);
enum iovab_tier session__tier_now(const struct session *s);

/*
 * Measures at another tier from now on, never above the one that was asked for. What
 * lower tiers measure goes on without a gap; of the others a report has all or
 * nothing, and it says which (struct iovab_source.below_*). 0, or -errno if a program
 * cannot be attached again: then the tier is as before, and session__warning() tells.
 */
int session__use_tier(struct session *s, enum iovab_tier tier);

/* The loaded programs and maps; for the collector only. NULL before attaching. */
struct iovab_bpf *session__bpf(struct session *s);
const struct clients *session__clients(const struct session *s);
/* NULL: it is not watched. */
const struct reference *session__reference(const struct session *s);

/* What is watched, for the header of a view. */
const char *session__describe(const struct session *s);

/* What works only in part, in a line; NULL: all works. Lives until detached. */
const char *session__warning(const struct session *s);

#endif /* IOVAB_SESSION_H */
