// SPDX-License-Identifier: GPL-2.0-only
#include "json_text.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

#define FIRST_SIZE	8192
#define NUMBER_LEN	40

/* Room for @n bytes more, or NULL. */
static char *room(struct json_text *t, size_t n)
{
	size_t size = t->size ? t->size : FIRST_SIZE;
	char *text;

	if (t->failed)
		return NULL;
	if (t->size - t->len >= n)
		return t->text + t->len;
	while (size - t->len < n)
		size *= 2;
	text = realloc(t->text, size);
	if (!text) {
		t->failed = true;
		return NULL;
	}
	t->text = text;
	t->size = size;
	return t->text + t->len;
}

static void put(struct json_text *t, const char *s, size_t len)
{
	char *to = room(t, len);

	if (!to)
		return;
	memcpy(to, s, len);
	t->len += len;
}

/* What stands before a value: a comma behind another one, and its key. */
static void begin(struct json_text *t, const char *key)
{
	size_t len = key ? strlen(key) : 0;
	char *to = room(t, len + 4), last = t->len ? t->text[t->len - 1] : '\n';

	if (!to)
		return;
	if (last != '{' && last != '[' && last != '\n')
		*to++ = ',';
	if (key) {
		*to++ = '"';
		memcpy(to, key, len);
		to += len;
		*to++ = '"';
		*to++ = ':';
	}
	t->len = (size_t)(to - t->text);
}

void json_text__open(struct json_text *t, const char *key, char bracket)
{
	begin(t, key);
	put(t, &bracket, 1);
}

void json_text__close(struct json_text *t, char bracket)
{
	put(t, &bracket, 1);
}

void json_text__newline(struct json_text *t)
{
	put(t, "\n", 1);
}

void json_text__raw(struct json_text *t, const char *key, const char *text, size_t len)
{
	begin(t, key);
	put(t, text, len);
}

void json_text__integer(struct json_text *t, const char *key, __u64 v)
{
	char digits[24], *end = digits + sizeof(digits), *p = end;
	bool wide = v > INT64_MAX;

	if (wide)
		*--p = '"';
	do {
		*--p = (char)('0' + v % 10);
		v /= 10;
	} while (v);
	if (wide)
		*--p = '"';
	json_text__raw(t, key, p, (size_t)(end - p));
}

void json_text__real(struct json_text *t, const char *key, double v)
{
	char number[NUMBER_LEN];

	/* numbers have their point in every locale: only LC_CTYPE is ever set */
	snprintf(number, sizeof(number) - 2, "%.12g", v);
	if (!strpbrk(number, ".e"))
		strcat(number, ".0");
	json_text__raw(t, key, number, strlen(number));
}

void json_text__bool(struct json_text *t, const char *key, bool v)
{
	const char *word = v ? "true" : "false";

	json_text__raw(t, key, word, strlen(word));
}

/* --- strings --- */

static void put_unit(struct json_text *t, unsigned int unit)
{
	char escape[8];

	snprintf(escape, sizeof(escape), "\\u%04X", unit & 0xffff);
	put(t, escape, 6);
}

static void put_code_point(struct json_text *t, unsigned int cp)
{
	static const char shorts[] = "\b\f\n\r\t\"\\", names[] = "bfnrt\"\\";
	const char *found = cp && cp < 0x80 ? strchr(shorts, (int)cp) : NULL;
	char c = (char)cp;

	if (found) {
		put(t, "\\", 1);
		put(t, &names[found - shorts], 1);
	} else if (cp >= 0x20 && cp < 0x7f) {
		put(t, &c, 1);
	} else if (cp >= 0x10000) {
		put_unit(t, 0xd800 + ((cp - 0x10000) >> 10));
		put_unit(t, 0xdc00 + ((cp - 0x10000) & 0x3ff));
	} else {
		put_unit(t, cp);
	}
}

/* Most strings are as they are: so many bytes of @s are copied. */
static size_t plain(const char *s, size_t len)
{
	size_t n = 0;

	while (n < len && s[n] >= 0x20 && s[n] < 0x7f && s[n] != '"' && s[n] != '\\')
		n++;
	return n;
}

void json_text__string(struct json_text *t, const char *key, const char *raw, size_t size)
{
	size_t len = strnlen(raw, size), in = 0, n;
	unsigned int cp;

	begin(t, key);
	put(t, "\"", 1);
	while (in < len) {
		n = plain(raw + in, len - in);
		put(t, raw + in, n);
		in += n;
		if (in == len)
			break;
		n = text__decode(raw + in, len - in, &cp);
		put_code_point(t, n ? cp : 0xfffd);
		in += n ? n : 1;
	}
	put(t, "\"", 1);
}
