/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of the web server share: web.c, web_conn.c, web_page.c, web_server.c. */
#ifndef IOVAB_WEB_PRIV_H
#define IOVAB_WEB_PRIV_H

#include <microhttpd.h>
#include <sys/socket.h>

#include "auth.h"
#include "listen.h"
#include "metrics.h"
#include "web.h"
#include "web_config.h"

/*
 * Connections. As many as any honest set of scrapers needs; whoever opens more
 * makes room by losing his own (web_conn.c).
 */
#define WEB_MAX_CONNS		256
#define WEB_ADDRESS_LEN		16

/* From being accepted to a whole request; between two; and to take an answer. */
#define WEB_FIRST_REQUEST_NS	(10 * 1000000000ULL)
#define WEB_NEXT_REQUEST_NS	(150 * 1000000000ULL)
#define WEB_ANSWER_NS		(30 * 1000000000ULL)

/* All headers of a request must fit. */
#define WEB_CONN_MEMORY		(16 * 1024)

/*
 * Answers that clients have not taken yet. Beyond this a scrape waits until some
 * are gone; those who hold one for WEB_BODY_HOLD_NS meanwhile lose it.
 */
#define WEB_BODIES_BYTES	(16 * 1024 * 1024)
#define WEB_BODY_HOLD_NS	2000000000ULL

enum conn_state {
	CONN_ASKING,	/* we wait for the client */
	CONN_WAITING,	/* the client waits for us */
	CONN_ANSWERING,	/* the answer is on its way */
};

/* An answer with metrics, shared by those who asked for it at the same time. */
struct body {
	struct web *web;
	struct body *next;		/* in the web server's list */
	struct exposition text;
	struct MHD_Response *response;
	__u64 made_ns;
	unsigned int requests;		/* that are to queue it yet */
};

struct conn {
	int fd;
	unsigned char address[WEB_ADDRESS_LEN];	/* of an IPv6 client its network */
	enum conn_state state;
	bool answered;			/* it got an answer before */
	bool doomed;			/* it was shut down */
	__u64 since_ns;			/* of the state */
	const struct body *body;	/* that it is taking, or NULL */
};

enum request_stage {
	REQUEST_NEW,
	REQUEST_CHECKING,	/* its password is being checked */
	REQUEST_REFUSED,	/* and was wrong */
	REQUEST_ALLOWED,
	REQUEST_WAITING,	/* for the next look */
	REQUEST_READY,		/* body is there */
	REQUEST_QUEUED,
};

struct request {
	struct request *next;		/* in one of the two lists of those that wait */
	struct server *server;
	struct conn *conn;
	struct MHD_Connection *mhd;
	enum request_stage stage;
	enum exposition_format format;
	struct body *body;
};

/*
 * A daemon of libmicrohttpd with the configuration that it was started with. A
 * new configuration is a new server; the old one serves what it has and goes.
 */
struct server {
	struct web *web;
	struct MHD_Daemon *daemon;
	struct web_config config;
	unsigned int conns;
	__u64 retired_ns;		/* 0: it is the one that gets connections */
};

struct web {
	struct web_options options;
	int epoll_fd;
	int listen_fds[LISTEN_MAX];
	size_t n_listen;
	struct server *server, *retired;	/* retired may be NULL */
	struct auth *auth;

	struct conn **conns;		/* by descriptor */
	size_t max_fd;
	unsigned int n_conns;
	bool told_no_fds;

	struct request *waiting;	/* for a look */
	struct request *checking;	/* for their password */
	struct body *bodies;
	size_t bodies_bytes;
	size_t last_len[EXPOSITION_FORMATS];

	struct web_counts counts;
	char config_error[512];		/* the last one that was logged */
};

/* web_conn.c: who is connected */
struct conn *conn__open(struct web *w, int fd, const struct sockaddr *address);
void conn__close(struct web *w, int fd);
struct conn *conn__find(const struct web *w, int fd);
void conn__set_state(struct conn *c, enum conn_state state);
/* Makes room for one more. False: there is none to be made. */
bool conn__make_room(struct web *w);
/* Ends those that took too long. */
void conn__end_slow(struct web *w);
/* Ends those that still take @b. */
void conn__end_readers(struct web *w, const struct body *b);

/* web_server.c: daemons and their configuration */
struct server *server__new(struct web *w, struct web_config *config, struct iovab_error *e);
void server__free(struct server *s);
int server__epoll_fd(const struct server *s);

/* web_page.c: requests and answers */
enum MHD_Result page__handle(void *cls, struct MHD_Connection *mhd, const char *url,
			     const char *method, const char *version, const char *upload,
			     size_t *upload_size, void **ctx);
void page__completed(void *cls, struct MHD_Connection *mhd, void **ctx,
		     enum MHD_RequestTerminationCode code);
/* Answers the scrapes that wait, if it is time. */
void page__answer_scrapes(struct web *w);
/* Goes on with those whose password is checked. */
void page__take_checked(struct web *w);
/* True if a password of @s is being checked: it cannot be stopped then. */
bool page__checks(const struct web *w, const struct server *s);
/* Resumes what waits in @s, so that it can be stopped; NULL: in all, the checker is gone. */
void page__release(struct web *w, const struct server *s);

#endif /* IOVAB_WEB_PRIV_H */
