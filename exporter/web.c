// SPDX-License-Identifier: GPL-2.0-only
/*
 * All of it is one thread, but for the checking of passwords: the library's
 * daemons are run from here, and nothing needs a lock.
 *
 * Connections are accepted here and handed to the daemon, since there may be
 * many sockets to listen on, since a full server must choose whom to let go,
 * and since a new configuration is a new daemon behind the same sockets.
 */
#include "web.h"

#include <errno.h>
#include <malloc.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "log.h"
#include "web_priv.h"

/* So many are accepted before the others get a turn. */
#define ACCEPT_AT_ONCE		64

/* What is left of the old server this long after a new configuration is cut off. */
#define RETIRED_NS		10000000000ULL

/* Answers are of this size and more at times; their memory goes back to the system. */
#define MMAP_FROM		(256 * 1024)

static int watch_fd(struct web *w, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(w->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

/* --- starting --- */

static int open_sockets(struct web *w, struct iovab_error *e)
{
	size_t i;

	if (w->options.systemd_socket)
		return listen__from_systemd(w->listen_fds, &w->n_listen, e);
	for (i = 0; i < w->options.n_addresses; i++)
		if (listen__open(w->listen_fds, &w->n_listen, w->options.addresses[i], e))
			return -1;
	return 0;
}

static bool is_loopback(int fd)
{
	struct sockaddr_storage a = {};
	socklen_t len = sizeof(a);

	if (getsockname(fd, (struct sockaddr *)&a, &len))
		return false;
	if (a.ss_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(&((struct sockaddr_in6 *)&a)->sin6_addr);
	if (a.ss_family == AF_INET)
		return ntohl(((struct sockaddr_in *)&a)->sin_addr.s_addr) >> 24 == 127;
	return a.ss_family == AF_UNIX;
}

static void warn_if_open(const struct web *w)
{
	const struct web_config *c = &w->server->config;
	size_t i;

	if (c->n_users || c->client_auth >= WEB_CLIENT_VERIFY)
		return;
	for (i = 0; i < w->n_listen; i++) {
		if (!is_loopback(w->listen_fds[i])) {
			log__line("serves anybody who can reach it; --web.config.file can demand a password or a certificate");
			return;
		}
	}
}

static struct server *start_server(struct web *w, struct iovab_error *e)
{
	struct web_config config = {};
	struct server *s;

	if (w->options.config_file && web_config__read(&config, w->options.config_file, e))
		return NULL;
	s = server__new(w, &config, e);
	if (s && watch_fd(w, server__epoll_fd(s))) {
		error__set(e, IOVAB_EXIT_FAILURE, "cannot watch the web server: %s",
			   strerror(errno));
		server__free(s);
		return NULL;
	}
	return s;
}

static int start(struct web *w, struct iovab_error *e)
{
	size_t i;

	w->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (w->epoll_fd < 0)
		return error__set(e, IOVAB_EXIT_FAILURE, "cannot start the web server: %s",
				  strerror(errno));
	w->server = start_server(w, e);
	if (!w->server || open_sockets(w, e))
		return -1;
	w->counts.config_read = true;
	w->auth = auth__new(e);
	if (!w->auth)
		return -1;
	for (i = 0; i < w->n_listen; i++)
		if (watch_fd(w, w->listen_fds[i]))
			return error__set(e, IOVAB_EXIT_FAILURE, "cannot listen: %s",
					  strerror(errno));
	if (watch_fd(w, auth__fd(w->auth)))
		return error__set(e, IOVAB_EXIT_FAILURE, "cannot check passwords: %s",
				  strerror(errno));
	warn_if_open(w);
	return 0;
}

struct web *web__new(const struct web_options *o, struct iovab_error *e)
{
	struct web *w = calloc(1, sizeof(*w));

	if (!w) {
		error__set(e, IOVAB_EXIT_FAILURE, "out of memory");
		return NULL;
	}
	mallopt(M_MMAP_THRESHOLD, MMAP_FROM);
	w->options = *o;
	if (start(w, e)) {
		web__free(w);
		return NULL;
	}
	return w;
}

void web__free(struct web *w)
{
	size_t i;

	if (!w)
		return;
	auth__free(w->auth);
	/* the library wants nothing suspended when it stops */
	page__release(w, NULL);
	server__free(w->retired);
	server__free(w->server);
	for (i = 0; i < w->n_listen; i++)
		close(w->listen_fds[i]);
	for (i = 0; i < w->max_fd; i++)
		free(w->conns[i]);
	free(w->conns);
	if (w->epoll_fd >= 0)
		close(w->epoll_fd);
	free(w);
}

/* --- running --- */

int web__fd(const struct web *w)
{
	return w->epoll_fd;
}

static void hand_over(struct web *w, int fd, const struct sockaddr_storage *address, socklen_t len)
{
	w->counts.accepted++;
	if (!conn__make_room(w)) {
		w->counts.drops[WEB_DROP_REFUSED]++;
		close(fd);
		return;
	}
	if (!conn__open(w, fd, (const struct sockaddr *)address)) {
		w->counts.drops[WEB_DROP_REFUSED]++;
		close(fd);
		return;
	}
	if (MHD_add_connection(w->server->daemon, fd, (const struct sockaddr *)address, len) !=
	    MHD_YES) {
		w->counts.drops[WEB_DROP_REFUSED]++;
		conn__close(w, fd);	/* the library has closed the socket */
	}
}

/* Out of descriptors: room is made as if one more had come. */
static void on_no_fds(struct web *w)
{
	if (!w->told_no_fds)
		log__line("out of file descriptors; raise the limit (LimitNOFILE in the unit)");
	w->told_no_fds = true;
	w->counts.drops[WEB_DROP_REFUSED]++;
}

static void accept_some(struct web *w, int listen_fd)
{
	int i;

	for (i = 0; i < ACCEPT_AT_ONCE; i++) {
		struct sockaddr_storage address = {};
		socklen_t len = sizeof(address);
		int fd = accept4(listen_fd, (struct sockaddr *)&address, &len,
				 SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd >= 0) {
			hand_over(w, fd, &address, len);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE)
			on_no_fds(w);
		if (errno != ECONNABORTED && errno != EINTR)
			return;
	}
}

static void run_servers(struct web *w)
{
	MHD_run(w->server->daemon);
	if (w->retired)
		MHD_run(w->retired->daemon);
}

void web__run(struct web *w)
{
	size_t i;

	for (i = 0; i < w->n_listen; i++)
		accept_some(w, w->listen_fds[i]);
	page__take_checked(w);
	run_servers(w);
	w->counts.connections = w->n_conns;
	page__answer_scrapes(w);
	/* what was resumed goes on now, and need not wait for another turn */
	run_servers(w);
}

static int timeout_of(struct server *s)
{
	MHD_UNSIGNED_LONG_LONG ms;

	if (!s || MHD_get_timeout(s->daemon, &ms) != MHD_YES)
		return -1;
	return ms > 60000 ? 60000 : (int)ms;
}

int web__timeout_ms(struct web *w)
{
	int a = timeout_of(w->server), b = timeout_of(w->retired);

	return a < 0 || (b >= 0 && b < a) ? b : a;
}

/* --- configuration --- */

static void drop_retired(struct web *w)
{
	page__release(w, w->retired);
	server__free(w->retired);
	w->retired = NULL;
}

static bool retired_checks(const struct web *w)
{
	return w->retired && page__checks(w, w->retired);
}

/* It is tried again each second, and told once. */
static void tell_config_error(struct web *w, const struct iovab_error *e)
{
	if (strcmp(w->config_error, e->text))
		log__line("the web configuration stays as it was: %s", e->text);
	snprintf(w->config_error, sizeof(w->config_error), "%s", e->text);
}

void web__reload(struct web *w)
{
	struct iovab_error e = {};
	struct server *s;

	if (!w->options.config_file || retired_checks(w))
		return;		/* the next tick will do */
	s = start_server(w, &e);
	w->counts.config_read = s != NULL;
	if (!s) {
		tell_config_error(w, &e);
		return;
	}
	w->config_error[0] = '\0';
	if (w->retired)
		drop_retired(w);
	w->retired = w->server;
	w->retired->retired_ns = log__clock_ns();
	w->server = s;
	log__line("web configuration read: %s, %s", s->config.tls ? "TLS" : "no TLS",
		  s->config.n_users ? "users with passwords" : "no passwords");
}

void web__tick(struct web *w)
{
	__u64 now = log__clock_ns();

	conn__end_slow(w);
	if (w->retired && !retired_checks(w) &&
	    (!w->retired->conns || now - w->retired->retired_ns > RETIRED_NS))
		drop_retired(w);
	if (w->options.config_file && web_config__changed(&w->server->config))
		web__reload(w);
}
