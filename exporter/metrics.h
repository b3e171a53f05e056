/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The metrics: a view that formats what the watch and the web server know, and
 * computes nothing.
 */
#ifndef IOVAB_METRICS_H
#define IOVAB_METRICS_H

#include "exposition.h"
#include "watch.h"

/* What the web server counts of itself. */
enum web_drop {
	WEB_DROP_EVICTED,	/* closed to make room for another connection */
	WEB_DROP_REFUSED,	/* there was no room, and none could be made */
	WEB_DROP_SLOW,		/* took too long to ask, or to take the answer */
	WEB_DROP_UNAUTHORIZED,	/* no password, or a wrong one */
	WEB_DROP_BUSY,		/* too many passwords to check at once */
	WEB_DROP_INVALID,	/* no such page, a wrong method */
	WEB_DROPS
};

struct web_counts {
	__u64 accepted;
	__u64 scrapes[EXPOSITION_FORMATS];
	__u64 drops[WEB_DROPS];
	unsigned int connections;	/* now */
	bool config_read;		/* the last reading of the configuration succeeded */
};

/* Writes a whole scrape; x->failed tells if memory ran out. */
void metrics__write(struct exposition *x, const struct watch *w, const struct web_counts *web);

#endif /* IOVAB_METRICS_H */
