/* SPDX-License-Identifier: GPL-2.0-only */
/* The loop of an exporter: the web server, a clock that makes the watch look, signals. */
#ifndef IOVAB_SERVE_H
#define IOVAB_SERVE_H

#include "watch.h"
#include "web.h"

struct serve;

/*
 * Blocks SIGINT, SIGTERM and SIGHUP for this process, so that from then on
 * nothing ends it half way. NULL with @e set.
 */
struct serve *serve__new(struct iovab_error *e);
void serve__free(struct serve *s);

/* Serves until SIGINT or SIGTERM; SIGHUP reads the web configuration. -1 with @e set. */
int serve__run(struct serve *s, struct watch *watch, struct web *web, struct iovab_error *e);

#endif /* IOVAB_SERVE_H */
