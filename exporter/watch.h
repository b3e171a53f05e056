/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The watch: what stands between the facts and a scrape.
 *
 * It is looked through at each scrape, and now and then in between, so that a
 * migration that no scrape falls into is followed all the same. Where the facts
 * come from is behind one function, so that all of this runs with no kernel.
 */
#ifndef IOVAB_WATCH_H
#define IOVAB_WATCH_H

#include "error.h"
#include "ledger.h"
#include "model.h"

/*
 * Where facts come from. NULL with @e set: there are none, and why. What it
 * returns lives until the next call.
 */
struct watch_source {
	const struct iovab_facts *(*collect)(void *ctx, struct iovab_error *e);
	void *ctx;
};

struct watch {
	struct watch_source source;
	struct model *model;
	struct ledger *ledger;
	const struct iovab_snapshot *snapshot;	/* NULL: there are no figures now */
	struct iovab_error error;		/* then this says why */
	__u64 looks;				/* how many there were */
	__u64 look_ns;				/* how long the last one took */
	bool told;				/* about the error */
};

/* -1 with @e set. */
int watch__init(struct watch *w, struct watch_source source, struct iovab_error *e);
void watch__free(struct watch *w);

/* Looks: brings snapshot and ledger up to date. A reason why not is logged when it is new. */
void watch__look(struct watch *w);

/* How long to wait until the next look. */
__u64 watch__pause_ns(const struct watch *w);

#endif /* IOVAB_WATCH_H */
