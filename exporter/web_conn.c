// SPDX-License-Identifier: GPL-2.0-only
/*
 * Room. When all places are taken, the next client gets that of a connection
 * from which no whole request has come: of the address that has the most
 * connections, the one that has been silent for longest. So somebody who fills
 * the server up pushes out himself; another address loses nothing while it has
 * fewer. A client that waits for an answer, or takes it, is never pushed out.
 *
 * A connection is ended by shutting its socket down: the library finds it
 * closed and cleans up.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "web_priv.h"

struct conn *conn__find(const struct web *w, int fd)
{
	return fd >= 0 && (size_t)fd < w->max_fd ? w->conns[fd] : NULL;
}

static int reserve(struct web *w, int fd)
{
	size_t max = w->max_fd ? w->max_fd : 64;
	struct conn **conns;

	while (max <= (size_t)fd)
		max *= 2;
	if (max == w->max_fd)
		return 0;
	conns = reallocarray(w->conns, max, sizeof(struct conn *));
	if (!conns)
		return -1;
	memset(conns + w->max_fd, 0, (max - w->max_fd) * sizeof(struct conn *));
	w->conns = conns;
	w->max_fd = max;
	return 0;
}

/* Who it is: the address, of IPv6 the network, which one client may have whole. */
static void take_address(struct conn *c, const struct sockaddr *address)
{
	if (address->sa_family == AF_INET)
		memcpy(c->address, &((const struct sockaddr_in *)address)->sin_addr, 4);
	else if (address->sa_family == AF_INET6)
		memcpy(c->address, &((const struct sockaddr_in6 *)address)->sin6_addr, 8);
	c->address[WEB_ADDRESS_LEN - 1] = (unsigned char)address->sa_family;
}

struct conn *conn__open(struct web *w, int fd, const struct sockaddr *address)
{
	struct conn *c;

	if (reserve(w, fd))
		return NULL;
	/* one that the library let go of without a word */
	conn__close(w, fd);
	c = calloc(1, sizeof(*c));
	if (!c)
		return NULL;
	c->fd = fd;
	c->since_ns = log__clock_ns();
	take_address(c, address);
	w->conns[fd] = c;
	w->n_conns++;
	return c;
}

void conn__close(struct web *w, int fd)
{
	struct conn *c = conn__find(w, fd);

	if (!c)
		return;
	w->conns[fd] = NULL;
	w->n_conns--;
	free(c);
}

void conn__set_state(struct conn *c, enum conn_state state)
{
	if (c->state == CONN_ANSWERING && state == CONN_ASKING)
		c->answered = true;
	c->state = state;
	c->since_ns = log__clock_ns();
}

static void end(struct web *w, struct conn *c, enum web_drop why)
{
	c->doomed = true;
	w->counts.drops[why]++;
	shutdown(c->fd, SHUT_RDWR);
}

#define for_each_conn(c, w)						\
	for (size_t i_ = 0; i_ < (w)->max_fd; i_++)			\
		if (((c) = (w)->conns[i_]) && !(c)->doomed)

static unsigned int count_address(const struct web *w, const unsigned char *address)
{
	unsigned int n = 0;
	struct conn *c;

	for_each_conn(c, w)
		n += !memcmp(c->address, address, WEB_ADDRESS_LEN);
	return n;
}

bool conn__make_room(struct web *w)
{
	const unsigned char *last = NULL;
	struct conn *c, *victim = NULL;
	unsigned int n = 0, most = 0, all = 0;

	if (w->n_conns < WEB_MAX_CONNS)
		return true;
	for_each_conn(c, w) {
		all++;
		if (c->state != CONN_ASKING)
			continue;
		/* neighbours in the table are often of the same address */
		if (!last || memcmp(last, c->address, WEB_ADDRESS_LEN))
			n = count_address(w, c->address);
		last = c->address;
		if (n > most || (n == most && c->since_ns < victim->since_ns)) {
			most = n;
			victim = c;
		}
	}
	if (all < WEB_MAX_CONNS)
		return true;
	if (!victim)
		return false;
	end(w, victim, WEB_DROP_EVICTED);
	return true;
}

static __u64 patience_ns(const struct conn *c)
{
	switch (c->state) {
	case CONN_ASKING:
		return c->answered ? WEB_NEXT_REQUEST_NS : WEB_FIRST_REQUEST_NS;
	case CONN_ANSWERING:
		return WEB_ANSWER_NS;
	case CONN_WAITING:
		break;
	}
	return ~0ULL;
}

void conn__end_slow(struct web *w)
{
	__u64 now = log__clock_ns();
	struct conn *c;

	for_each_conn(c, w)
		if (now - c->since_ns > patience_ns(c))
			end(w, c, WEB_DROP_SLOW);
}

void conn__end_readers(struct web *w, const struct body *b)
{
	struct conn *c;

	for_each_conn(c, w)
		if (c->body == b)
			end(w, c, WEB_DROP_SLOW);
}
