/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * JSON as text, written from front to back: what is written once a row and an
 * interval costs a copy and not a tree. Keys are ours, and need no escaping; strings
 * are anybody's, and become pure ASCII.
 *
 * Whatever runs out of memory is remembered: a caller looks once, at the end.
 */
#ifndef IOVAB_JSON_TEXT_H
#define IOVAB_JSON_TEXT_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>

/* Begins as zeroes. @text is the caller's to free; @len bytes of it, no NUL behind them. */
struct json_text {
	char *text;
	size_t len, size;
	bool failed;		/* out of memory: the text is of no use */
};

/* @key NULL: an element of an array, or the outermost value. */
void json_text__open(struct json_text *t, const char *key, char bracket);	/* '{' or '[' */
void json_text__close(struct json_text *t, char bracket);			/* '}' or ']' */

/* What is above 2^63 - 1 becomes a string of its digits: most readers have 63 bits. */
void json_text__integer(struct json_text *t, const char *key, __u64 v);
/* Twelve digits; with a point or an exponent, so that it reads back as what it is. */
void json_text__real(struct json_text *t, const char *key, double v);
void json_text__bool(struct json_text *t, const char *key, bool v);
/* Up to @size bytes, or a NUL: what is not UTF-8 becomes U+FFFD, a byte each. */
void json_text__string(struct json_text *t, const char *key, const char *raw, size_t size);
/* A value that is text of ours already. */
void json_text__raw(struct json_text *t, const char *key, const char *text, size_t len);

/* A newline, which ends a line and the value. */
void json_text__newline(struct json_text *t);

#endif /* IOVAB_JSON_TEXT_H */
