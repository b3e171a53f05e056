/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The web configuration file, in the format that Prometheus's own exporters
 * share: TLS, client certificates, users with bcrypt hashes.
 *
 * What is in the file and not understood is an error that names it: a setting
 * that somebody wrote for safety must never be skipped.
 */
#ifndef IOVAB_WEB_CONFIG_H
#define IOVAB_WEB_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "error.h"

/* Whether a client must show a certificate, and who checks it. */
enum web_client_auth {
	WEB_CLIENT_NONE,		/* NoClientCert */
	WEB_CLIENT_REQUEST,		/* RequestClientCert: shown or not, never checked */
	WEB_CLIENT_REQUIRE_ANY,		/* RequireAnyClientCert: never checked */
	WEB_CLIENT_VERIFY_IF_GIVEN,	/* VerifyClientCertIfGiven */
	WEB_CLIENT_VERIFY,		/* RequireAndVerifyClientCert */
};

struct web_user {
	char *name;
	char *hash;		/* bcrypt */
};

/* A file as it was when it was read. */
struct web_file {
	char *path;		/* NULL: none */
	struct stat stat;
	char *text;		/* NUL-terminated */
	size_t len;
};

/* Begins as zeroes: plain HTTP for everybody. */
struct web_config {
	struct web_file self;
	bool tls;
	struct web_file cert, key, client_ca;	/* PEM */
	enum web_client_auth client_auth;
	unsigned int min_version, max_version;	/* minor version of TLS 1: 0 to 3 */
	struct web_user *users;			/* none: anybody may ask */
	size_t n_users;
};

#define WEB_CONFIG_MAX_USERS	256
/* Above this a bcrypt hash takes longer to check than a scrape may last. */
#define WEB_CONFIG_MAX_COST	14

/*
 * Reads the file, and those that it names. -1 with @e set: the line says where
 * in which file, and @c is as web_config__free() leaves it.
 */
int web_config__read(struct web_config *c, const char *path, struct iovab_error *e);
void web_config__free(struct web_config *c);

/* True if one of the files is not the one that was read. */
bool web_config__changed(const struct web_config *c);

/* The first half of reading: takes the text apart; the files it names have a path only. */
int web_config__parse(struct web_config *c, const char *path, const char *text, size_t len,
		      struct iovab_error *e);

/* The cost in a bcrypt hash of the right form, or -1. */
int web_config__bcrypt_cost(const char *hash);

#endif /* IOVAB_WEB_CONFIG_H */
