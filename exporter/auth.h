/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Passwords against bcrypt hashes, without stopping the server.
 *
 * A check takes tens of milliseconds of CPU by design. It is done by one thread
 * at the lowest priority, one after the other, and only so many may wait: that
 * is all that somebody who guesses can take from the machine. What was right once
 * is remembered (as a keyed digest), so that who knows the password never waits
 * behind those who guess.
 *
 * An unknown user takes as long as a wrong password: a hash that nothing
 * matches is checked, as costly as the costliest of the file. Where users have
 * hashes of different cost, how long it takes tells which of them it was.
 */
#ifndef IOVAB_AUTH_H
#define IOVAB_AUTH_H

#include <stdbool.h>

#include "error.h"
#include "web_config.h"

struct auth;

/* Starts the thread. NULL with @e set. */
struct auth *auth__new(struct iovab_error *e);
/* Waits for the check at hand; those that wait behind it are forgotten. */
void auth__free(struct auth *a);

/* A descriptor that is readable when there is something for auth__take(). */
int auth__fd(const struct auth *a);

/* True if this was found right before, for the hash that @c has for the user. */
bool auth__remembers(const struct auth *a, const struct web_config *c, const char *user,
		     const char *password);

/* Has it checked; @ticket comes back from auth__take(). False: too many wait. */
bool auth__submit(struct auth *a, const struct web_config *c, const char *user,
		  const char *password, void *ticket);

/* The next check that is done. NULL: none. */
void *auth__take(struct auth *a, bool *right);

#endif /* IOVAB_AUTH_H */
