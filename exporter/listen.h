/* SPDX-License-Identifier: GPL-2.0-only */
/* Where to listen: addresses of the command line, or sockets of systemd. */
#ifndef IOVAB_LISTEN_H
#define IOVAB_LISTEN_H

#include <stdbool.h>
#include <stddef.h>

#include "error.h"

#define LISTEN_DEFAULT		"127.0.0.1:10046"
#define LISTEN_MAX		16
#define LISTEN_HOST_LEN		256

struct listen_address {
	char host[LISTEN_HOST_LEN];	/* "": every address of this machine */
	char port[8];
};

/* Takes HOST:PORT, :PORT or [HOST]:PORT apart. False if it is none of these. */
bool listen__parse(struct listen_address *a, const char *text);

/* Opens sockets for an address: one, or one for IPv4 and one for IPv6. -1 with @e set. */
int listen__open(int fds[LISTEN_MAX], size_t *n, const char *text, struct iovab_error *e);

/* Takes over the sockets that systemd hands on. -1 with @e set if there is none. */
int listen__from_systemd(int fds[LISTEN_MAX], size_t *n, struct iovab_error *e);

#endif /* IOVAB_LISTEN_H */
