// SPDX-License-Identifier: GPL-2.0-only
#include "accept.h"

#include <string.h>
#include <strings.h>

/* Thousandths, as RFC 9110 gives them; nonsense counts as 0. */
static int parse_quality(const char *p, size_t len)
{
	int q, digits, i;

	if (!len || (p[0] != '0' && p[0] != '1'))
		return 0;
	q = (p[0] - '0') * 1000;
	if (len < 2 || p[1] != '.')
		return len == 1 ? q : 0;
	for (i = 2, digits = 100; i < (int)len && digits; i++, digits /= 10) {
		if (p[i] < '0' || p[i] > '9')
			return 0;
		q += (p[i] - '0') * digits;
	}
	return q > 1000 ? 1000 : q;
}

static void trim(const char **p, size_t *len)
{
	while (*len && (**p == ' ' || **p == '\t')) {
		(*p)++;
		(*len)--;
	}
	while (*len && ((*p)[*len - 1] == ' ' || (*p)[*len - 1] == '\t'))
		(*len)--;
}

static bool is(const char *p, size_t len, const char *word)
{
	return len == strlen(word) && !strncasecmp(p, word, len);
}

/* Takes the next piece that @end ends off the front of [@p, +@left). */
static size_t next_piece(const char *p, size_t left, char end)
{
	const char *at = memchr(p, end, left);

	return at ? (size_t)(at - p) : left;
}

struct media {
	bool openmetrics;	/* of a version that we write */
	bool text;
	int quality;
};

static void take_parameter(struct media *m, const char *p, size_t len)
{
	size_t name = next_piece(p, len, '=');

	trim(&p, &len);
	name = next_piece(p, len, '=');
	if (name == len)
		return;
	if (is(p, name, "q"))
		m->quality = parse_quality(p + name + 1, len - name - 1);
	else if (is(p, name, "version") && !is(p + name + 1, len - name - 1, "1.0.0"))
		m->openmetrics = false;
}

static struct media parse_media(const char *p, size_t len)
{
	struct media m = { .quality = 1000 };
	size_t n = next_piece(p, len, ';');
	const char *type = p;
	size_t type_len = n;

	trim(&type, &type_len);
	m.openmetrics = is(type, type_len, "application/openmetrics-text");
	m.text = is(type, type_len, "text/plain") || is(type, type_len, "text/*") ||
		 is(type, type_len, "*/*");
	while (n < len) {
		p += n + 1;
		len -= n + 1;
		n = next_piece(p, len, ';');
		take_parameter(&m, p, n);
	}
	return m;
}

enum exposition_format accept__format(const char *accept)
{
	size_t left = accept ? strlen(accept) : 0, n;
	int text = 0, openmetrics = 0;

	while (left) {
		struct media m;

		n = next_piece(accept, left, ',');
		m = parse_media(accept, n);
		if (m.openmetrics && m.quality > openmetrics)
			openmetrics = m.quality;
		if (m.text && m.quality > text)
			text = m.quality;
		n += n < left;
		accept += n;
		left -= n;
	}
	return openmetrics && openmetrics >= text ? EXPOSITION_OPENMETRICS : EXPOSITION_TEXT;
}
