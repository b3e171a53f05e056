/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The web server: pages and scrapes over HTTP or HTTPS, on libmicrohttpd.
 *
 * It runs inside the caller's loop and never waits. A scrape is answered by one
 * look of the watch, which all scrapes that came before it share.
 */
#ifndef IOVAB_WEB_H
#define IOVAB_WEB_H

#include "error.h"
#include "watch.h"

struct web;

struct web_options {
	const char *const *addresses;	/* where to listen, @n_addresses of them */
	size_t n_addresses;
	bool systemd_socket;		/* on systemd's sockets instead */
	const char *telemetry_path;
	const char *config_file;	/* NULL: plain HTTP for everybody */
	struct watch *watch;		/* must outlive it */
};

/* Listens. NULL with @e set. */
struct web *web__new(const struct web_options *o, struct iovab_error *e);
void web__free(struct web *w);

/* A descriptor that is readable when there is something to do. */
int web__fd(const struct web *w);
/* Does it. */
void web__run(struct web *w);
/* How long may pass until web__run() is due, without anything readable: ms, -1: no limit. */
int web__timeout_ms(struct web *w);
/* To be called once a second: ends what takes too long, reads changed configuration files. */
void web__tick(struct web *w);
/* Reads the configuration now, changed or not. */
void web__reload(struct web *w);

#endif /* IOVAB_WEB_H */
