// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>

#include "tls.h"
#include "web_priv.h"

/* --- connections, as the library tells of them --- */

static int fd_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);

	return info ? info->connect_fd : -1;
}

static void notify(void *cls, struct MHD_Connection *mhd, void **ctx,
		   enum MHD_ConnectionNotificationCode code)
{
	const union MHD_ConnectionInfo *tls;
	struct server *s = cls;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		conn__close(s->web, fd_of(mhd));
		s->conns--;
		return;
	}
	s->conns++;
	*ctx = conn__find(s->web, fd_of(mhd));
	tls = s->config.tls ?
	      MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION) : NULL;
	if (tls)
		tls__expect_client(tls->tls_session, s->config.client_auth);
}

/* --- the daemon --- */

/*
 * Pages are compared as they are asked for: no page needs an escape, and what an
 * escape stands for could be a NUL that hides the rest.
 */
static size_t unescape_nothing(void *cls, struct MHD_Connection *mhd, char *text)
{
	return strlen(text);
}

static struct MHD_Daemon *start(struct server *s)
{
	const struct web_config *c = &s->config;
	unsigned int flags = MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME;
	char priorities[TLS_PRIORITIES_LEN];
	struct MHD_OptionItem tls[5] = {};
	size_t n = 0;

	if (c->tls) {
		flags |= MHD_USE_TLS;
		tls__priorities(priorities, c);
		tls[n++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_KEY, 0, c->key.text };
		tls[n++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_CERT, 0, c->cert.text };
		tls[n++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_PRIORITIES, 0, priorities };
		if (c->client_ca.text)
			tls[n++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_TRUST, 0,
							    c->client_ca.text };
	}
	tls[n] = (struct MHD_OptionItem){ MHD_OPTION_END, 0, NULL };
	return MHD_start_daemon(flags, 0, NULL, NULL, page__handle, s,
				MHD_OPTION_ARRAY, tls,
				/* those that were shut down are still there for a moment */
				MHD_OPTION_CONNECTION_LIMIT, 4U * WEB_MAX_CONNS,
				MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)WEB_CONN_MEMORY,
				MHD_OPTION_UNESCAPE_CALLBACK, unescape_nothing, NULL,
				MHD_OPTION_NOTIFY_CONNECTION, notify, s,
				MHD_OPTION_NOTIFY_COMPLETED, page__completed, s,
				MHD_OPTION_END);
}

/* Takes over @config, also when it fails. */
struct server *server__new(struct web *w, struct web_config *config, struct iovab_error *e)
{
	struct server *s = calloc(1, sizeof(*s));

	if (!s) {
		web_config__free(config);
		error__set(e, IOVAB_EXIT_FAILURE, "out of memory");
		return NULL;
	}
	s->web = w;
	s->config = *config;
	memset(config, 0, sizeof(*config));
	if (s->config.tls && tls__check(&s->config, e)) {
		server__free(s);
		return NULL;
	}
	s->daemon = start(s);
	if (!s->daemon) {
		error__set(e, IOVAB_EXIT_FAILURE, "cannot start the web server%s",
			   s->config.tls ? "; do certificate and key belong together?" : "");
		server__free(s);
		return NULL;
	}
	return s;
}

void server__free(struct server *s)
{
	if (!s)
		return;
	if (s->daemon)
		MHD_stop_daemon(s->daemon);
	web_config__free(&s->config);
	free(s);
}

int server__epoll_fd(const struct server *s)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);

	return info ? info->epoll_fd : -1;
}
