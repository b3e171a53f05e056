// SPDX-License-Identifier: GPL-2.0-only
#include "listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "text.h"

#define BACKLOG	1024

/* A port from 1 to 65535; 0 is taken, too: the kernel chooses one. */
static bool parse_port(char *port, size_t size, const char *text)
{
	size_t len = strspn(text, "0123456789"), i;
	unsigned int n = 0;

	if (!len || text[len] || len >= size || len > 5)
		return false;
	for (i = 0; i < len; i++)
		n = n * 10 + (unsigned int)(text[i] - '0');
	memcpy(port, text, len + 1);
	return n <= 65535;
}

bool listen__parse(struct listen_address *a, const char *text)
{
	const char *colon = strrchr(text, ':'), *host = text;
	size_t len;

	if (!colon)
		return false;
	len = (size_t)(colon - text);
	if (len && text[0] == '[') {
		if (len < 3 || text[len - 1] != ']')
			return false;
		host++;
		len -= 2;
		if (memchr(host, '[', len) || memchr(host, ']', len))
			return false;
	} else if (memchr(text, ':', len) || memchr(text, '[', len) || memchr(text, ']', len)) {
		return false;	/* an IPv6 address without its brackets */
	}
	if (len >= sizeof(a->host))
		return false;
	memcpy(a->host, host, len);
	a->host[len] = '\0';
	return parse_port(a->port, sizeof(a->port), colon + 1);
}

static int open_socket(const struct addrinfo *ai)
{
	int fd = socket(ai->ai_family, ai->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK,
			ai->ai_protocol);
	int on = 1, saved;

	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (ai->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (!bind(fd, ai->ai_addr, ai->ai_addrlen) && !listen(fd, BACKLOG))
		return fd;
	saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

static int refuse(struct iovab_error *e, enum iovab_exit code, const char *text, const char *why)
{
	char safe[TEXT_ESCAPED_LEN];

	text__escape(safe, sizeof(safe), text, strlen(text), TEXT_ASCII);
	return error__set(e, code, "cannot listen on '%.200s': %s", safe, why);
}

/*
 * A machine without IPv6 still has an "every address": it is enough if one of
 * the addresses of a name can be listened on, unless one is taken already.
 */
int listen__open(int fds[LISTEN_MAX], size_t *n, const char *text, struct iovab_error *e)
{
	struct addrinfo hints = { .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM };
	struct addrinfo *list, *ai;
	struct listen_address a;
	size_t before = *n;
	int err, saved = 0;

	if (!listen__parse(&a, text))
		return refuse(e, IOVAB_EXIT_USAGE, text,
			      "--web.listen-address takes HOST:PORT, :PORT or [IPV6]:PORT");
	err = getaddrinfo(a.host[0] ? a.host : NULL, a.port, &hints, &list);
	if (err)
		return refuse(e, IOVAB_EXIT_USAGE, text, gai_strerror(err));
	for (ai = list; ai && *n < LISTEN_MAX; ai = ai->ai_next) {
		int fd = open_socket(ai);

		if (fd >= 0) {
			fds[(*n)++] = fd;
			continue;
		}
		saved = errno;
		if (saved == EADDRINUSE)
			break;
	}
	freeaddrinfo(list);
	if (saved == EADDRINUSE || *n == before)
		return refuse(e, IOVAB_EXIT_FAILURE, text,
			      saved ? strerror(saved) : "too many addresses");
	return 0;
}

int listen__from_systemd(int fds[LISTEN_MAX], size_t *n, struct iovab_error *e)
{
	int count = sd_listen_fds(1), i;

	if (count <= 0)
		return error__set(e, IOVAB_EXIT_USAGE,
				  "--web.systemd-socket: systemd hands on no socket; start it by its socket unit");
	if (count > LISTEN_MAX)
		return error__set(e, IOVAB_EXIT_USAGE,
				  "--web.systemd-socket: systemd hands on %d sockets, more than %d", count,
				  LISTEN_MAX);
	for (i = 0; i < count; i++) {
		int fd = SD_LISTEN_FDS_START + i;

		if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) <= 0)
			return error__set(e, IOVAB_EXIT_USAGE,
					  "--web.systemd-socket: file descriptor %d is no listening stream socket",
					  fd);
		fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
		fds[(*n)++] = fd;
	}
	return 0;
}
