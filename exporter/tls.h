/* SPDX-License-Identifier: GPL-2.0-only */
/* What TLS needs beyond what the HTTP library does with GnuTLS by itself. */
#ifndef IOVAB_TLS_H
#define IOVAB_TLS_H

#include <gnutls/gnutls.h>

#include "error.h"
#include "web_config.h"

/* Are certificate, key and client CA of use? -1 with @e set. */
int tls__check(const struct web_config *c, struct iovab_error *e);

/* GnuTLS's priority string for the versions that are allowed. */
#define TLS_PRIORITIES_LEN 160
void tls__priorities(char buf[TLS_PRIORITIES_LEN], const struct web_config *c);

/* Prepares a session, before its handshake, to ask for the client's certificate. */
void tls__expect_client(gnutls_session_t session, enum web_client_auth auth);

#endif /* IOVAB_TLS_H */
