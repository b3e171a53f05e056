// SPDX-License-Identifier: GPL-2.0-only
/*
 * A request on its way: the handler is called for it until an answer is queued.
 *
 *	NEW -> (CHECKING -> ALLOWED or REFUSED) -> WAITING -> READY -> QUEUED
 *
 * In CHECKING and WAITING its connection is suspended: the library leaves it
 * alone, and it is in the hands of the password checker or in the list of those
 * that wait for a look. Whoever resumes it has set the next stage before.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "accept.h"
#include "log.h"
#include "web_priv.h"

#define TYPE_TEXT "text/plain; charset=utf-8"
#define TYPE_HTML "text/html; charset=utf-8"

/* --- answers --- */

static struct MHD_Response *text_response(const char *text, const char *type)
{
	struct MHD_Response *r = MHD_create_response_from_buffer(strlen(text), (void *)text,
								 MHD_RESPMEM_MUST_COPY);

	if (!r)
		return NULL;
	MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
	return r;
}

/* Queues @response, and lets go of it. */
static enum MHD_Result queue(struct request *q, unsigned int status, struct MHD_Response *response)
{
	enum MHD_Result result;

	if (!response)
		return MHD_NO;		/* the connection ends */
	q->stage = REQUEST_QUEUED;
	if (q->conn)
		conn__set_state(q->conn, CONN_ANSWERING);
	result = MHD_queue_response(q->mhd, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result answer_text(struct request *q, unsigned int status, const char *text)
{
	return queue(q, status, text_response(text, TYPE_TEXT));
}

static enum MHD_Result refuse(struct request *q, unsigned int status, const char *text)
{
	q->server->web->counts.drops[WEB_DROP_INVALID]++;
	return answer_text(q, status, text);
}

static enum MHD_Result refuse_method(struct request *q)
{
	struct MHD_Response *r = text_response("only GET and HEAD are served here\n", TYPE_TEXT);

	if (r)
		MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
	q->server->web->counts.drops[WEB_DROP_INVALID]++;
	return queue(q, MHD_HTTP_METHOD_NOT_ALLOWED, r);
}

static enum MHD_Result refuse_unauthorized(struct request *q)
{
	struct MHD_Response *r = text_response("a user's name and password are wanted\n",
					       TYPE_TEXT);

	if (r)
		MHD_add_response_header(r, MHD_HTTP_HEADER_WWW_AUTHENTICATE,
					"Basic realm=\"iovab-exporter\", charset=\"UTF-8\"");
	q->server->web->counts.drops[WEB_DROP_UNAUTHORIZED]++;
	return queue(q, MHD_HTTP_UNAUTHORIZED, r);
}

static enum MHD_Result refuse_busy(struct request *q)
{
	struct MHD_Response *r = text_response("too many passwords are being checked\n",
					       TYPE_TEXT);

	if (r)
		MHD_add_response_header(r, MHD_HTTP_HEADER_RETRY_AFTER, "5");
	q->server->web->counts.drops[WEB_DROP_BUSY]++;
	return queue(q, MHD_HTTP_SERVICE_UNAVAILABLE, r);
}

/* --- pages --- */

/* The path was checked when it was given: nothing in it is special to HTML. */
static enum MHD_Result answer_landing(struct request *q)
{
	const char *path = q->server->web->options.telemetry_path;
	char text[1024];

	snprintf(text, sizeof(text),
		 "<!DOCTYPE html>\n<html lang=\"en\"><head><title>iovab-exporter</title></head>\n"
		 "<body><h1>iovab-exporter " IOVAB_VERSION "</h1>\n"
		 "<p>What DMA dirty tracking does while virtual machines migrate.</p>\n"
		 "<ul><li><a href=\"%s\">Metrics</a></li>"
		 "<li><a href=\"/-/healthy\">Healthy?</a></li>"
		 "<li><a href=\"/-/ready\">Ready?</a></li></ul></body></html>\n", path);
	return queue(q, MHD_HTTP_OK, text_response(text, TYPE_HTML));
}

static enum MHD_Result answer_ready(struct request *q)
{
	const struct watch *w = q->server->web->options.watch;

	if (w->snapshot)
		return answer_text(q, MHD_HTTP_OK, "iovab-exporter is ready\n");
	return answer_text(q, MHD_HTTP_SERVICE_UNAVAILABLE,
			   "iovab_up is 0: the exporter's log says why\n");
}

static void suspend(struct request *q, enum request_stage stage)
{
	q->stage = stage;
	if (q->conn)
		conn__set_state(q->conn, CONN_WAITING);
	MHD_suspend_connection(q->mhd);
}

static enum MHD_Result wait_for_look(struct request *q)
{
	struct web *w = q->server->web;

	q->format = accept__format(MHD_lookup_connection_value(q->mhd, MHD_HEADER_KIND,
							       MHD_HTTP_HEADER_ACCEPT));
	q->next = w->waiting;
	w->waiting = q;
	suspend(q, REQUEST_WAITING);
	return MHD_YES;
}

static enum MHD_Result answer_page(struct request *q, const char *url)
{
	if (!strcmp(url, q->server->web->options.telemetry_path))
		return wait_for_look(q);
	if (!strcmp(url, "/"))
		return answer_landing(q);
	if (!strcmp(url, "/-/healthy"))
		return answer_text(q, MHD_HTTP_OK, "iovab-exporter is healthy\n");
	if (!strcmp(url, "/-/ready"))
		return answer_ready(q);
	return refuse(q, MHD_HTTP_NOT_FOUND, "no such page\n");
}

/* --- who may ask --- */

static void wait_for_check(struct request *q)
{
	q->next = q->server->web->checking;
	q->server->web->checking = q;
	suspend(q, REQUEST_CHECKING);
}

static enum MHD_Result check_password(struct request *q, const char *url)
{
	struct server *s = q->server;
	char *password = NULL, *user;
	enum MHD_Result result = MHD_YES;

	user = MHD_basic_auth_get_username_password(q->mhd, &password);
	if (!user || !password)
		result = refuse_unauthorized(q);
	else if (auth__remembers(s->web->auth, &s->config, user, password))
		result = answer_page(q, url);
	else if (auth__submit(s->web->auth, &s->config, user, password, q))
		wait_for_check(q);
	else
		result = refuse_busy(q);
	if (password)
		explicit_bzero(password, strlen(password));
	MHD_free(password);
	MHD_free(user);
	return result;
}

static bool has_upload(struct request *q)
{
	const char *length = MHD_lookup_connection_value(q->mhd, MHD_HEADER_KIND,
							 MHD_HTTP_HEADER_CONTENT_LENGTH);

	return (length && strcmp(length, "0")) ||
	       MHD_lookup_connection_value(q->mhd, MHD_HEADER_KIND,
					   MHD_HTTP_HEADER_TRANSFER_ENCODING);
}

/* Its headers are there. An answer now also closes the connection. */
static enum MHD_Result take_headers(struct request *q, const char *method)
{
	if (strcmp(method, MHD_HTTP_METHOD_GET) && strcmp(method, MHD_HTTP_METHOD_HEAD))
		return refuse_method(q);
	if (has_upload(q))
		return refuse(q, MHD_HTTP_BAD_REQUEST, "a request must have no body\n");
	return MHD_YES;
}

/* All of it is there. */
static enum MHD_Result take_request(struct request *q, const char *url)
{
	if (q->server->config.n_users)
		return check_password(q, url);
	return answer_page(q, url);
}

/* --- what the library calls --- */

static struct request *request__new(struct server *s, struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	struct request *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->server = s;
	q->mhd = mhd;
	q->conn = info ? info->socket_context : NULL;
	return q;
}

static enum MHD_Result queue_body(struct request *q)
{
	struct body *b = q->body;
	enum MHD_Result result;

	q->stage = REQUEST_QUEUED;
	q->body = NULL;
	if (q->conn) {
		conn__set_state(q->conn, CONN_ANSWERING);
		q->conn->body = b;
	}
	result = MHD_queue_response(q->mhd, MHD_HTTP_OK, b->response);
	if (!--b->requests)
		MHD_destroy_response(b->response);	/* those who take it hold it */
	return result;
}

enum MHD_Result page__handle(void *cls, struct MHD_Connection *mhd, const char *url,
			     const char *method, const char *version, const char *upload,
			     size_t *upload_size, void **ctx)
{
	struct request *q = *ctx;

	if (!q) {
		q = *ctx = request__new(cls, mhd);
		return q ? take_headers(q, method) : MHD_NO;
	}
	*upload_size = 0;	/* what comes beside a request is not looked at */
	switch (q->stage) {
	case REQUEST_NEW:
		return take_request(q, url);
	case REQUEST_REFUSED:
		return refuse_unauthorized(q);
	case REQUEST_ALLOWED:
		return answer_page(q, url);
	case REQUEST_READY:
		return q->body ? queue_body(q) :
		       answer_text(q, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory\n");
	case REQUEST_CHECKING:
	case REQUEST_WAITING:
	case REQUEST_QUEUED:
		break;
	}
	return MHD_YES;
}

void page__completed(void *cls, struct MHD_Connection *mhd, void **ctx,
		     enum MHD_RequestTerminationCode code)
{
	struct request *q = *ctx;

	if (!q)
		return;
	if (q->conn) {
		q->conn->body = NULL;
		conn__set_state(q->conn, CONN_ASKING);
	}
	if (q->body && !--q->body->requests)
		MHD_destroy_response(q->body->response);
	free(q);
	*ctx = NULL;
}

/* --- scrapes --- */

static void body__free(void *cls)
{
	struct body *b = cls, **at = &b->web->bodies;

	while (*at != b)
		at = &(*at)->next;
	*at = b->next;
	b->web->bodies_bytes -= b->text.size;
	free(b->text.text);
	free(b);
}

static struct body *body__new(struct web *w, enum exposition_format format)
{
	struct body *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->web = w;
	b->made_ns = log__clock_ns();
	b->text.format = format;
	exposition__reserve(&b->text, w->last_len[format] + w->last_len[format] / 16);
	metrics__write(&b->text, w->options.watch, &w->counts);
	if (!b->text.failed)
		b->response = MHD_create_response_from_buffer_with_free_callback_cls(
			b->text.len, b->text.text, body__free, b);
	if (!b->response) {
		free(b->text.text);
		free(b);
		return NULL;
	}
	w->last_len[format] = b->text.len;
	b->next = w->bodies;
	w->bodies = b;
	w->bodies_bytes += b->text.size;
	MHD_add_response_header(b->response, MHD_HTTP_HEADER_CONTENT_TYPE,
				exposition__content_type(format));
	MHD_add_response_header(b->response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	return b;
}

/* Is there room for more answers? If not: those who were given time enough lose theirs. */
static bool have_room(struct web *w)
{
	__u64 now = log__clock_ns();
	size_t wanted = 0, i;
	struct body *b;

	for (i = 0; i < EXPOSITION_FORMATS; i++)
		wanted += w->last_len[i];
	if (!w->bodies || w->bodies_bytes + wanted <= WEB_BODIES_BYTES)
		return true;
	for (b = w->bodies; b; b = b->next)
		if (now - b->made_ns > WEB_BODY_HOLD_NS)
			conn__end_readers(w, b);
	return false;
}

void page__answer_scrapes(struct web *w)
{
	struct body *bodies[EXPOSITION_FORMATS] = {};
	bool made[EXPOSITION_FORMATS] = {};
	struct request *q, *next;

	if (!w->waiting || !have_room(w))
		return;
	watch__look(w->options.watch);
	for (q = w->waiting; q; q = next) {
		next = q->next;
		if (!made[q->format])
			bodies[q->format] = body__new(w, q->format);
		made[q->format] = true;
		q->body = bodies[q->format];
		if (q->body)
			q->body->requests++;
		q->stage = REQUEST_READY;
		w->counts.scrapes[q->format]++;
		MHD_resume_connection(q->mhd);
	}
	w->waiting = NULL;
}

/* --- passwords --- */

static void unlink_request(struct request **list, const struct request *q)
{
	while (*list != q)
		list = &(*list)->next;
	*list = q->next;
}

void page__take_checked(struct web *w)
{
	struct request *q;
	bool right = false;

	while ((q = auth__take(w->auth, &right))) {
		unlink_request(&w->checking, q);
		q->stage = right ? REQUEST_ALLOWED : REQUEST_REFUSED;
		MHD_resume_connection(q->mhd);
	}
}

/* --- stopping --- */

bool page__checks(const struct web *w, const struct server *s)
{
	const struct request *q;

	for (q = w->checking; q; q = q->next)
		if (q->server == s)
			return true;
	return false;
}

static void release(struct request **list, const struct server *s)
{
	struct request *q;

	while ((q = *list)) {
		if (s && q->server != s) {
			list = &q->next;
			continue;
		}
		*list = q->next;
		q->stage = REQUEST_REFUSED;
		MHD_resume_connection(q->mhd);
	}
}

void page__release(struct web *w, const struct server *s)
{
	release(&w->waiting, s);
	if (!s)
		release(&w->checking, s);
}
