// SPDX-License-Identifier: GPL-2.0-only
/*
 * A scrape of 1,000 devices has some 80,000 samples, so what is done for each
 * is copying: labels come ready made, and numbers do not go through printf.
 */
#include "exposition.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_SIZE	(64 * 1024)

const char *exposition__content_type(enum exposition_format f)
{
	return f == EXPOSITION_OPENMETRICS ?
	       "application/openmetrics-text; version=1.0.0; charset=utf-8" :
	       "text/plain; version=0.0.4; charset=utf-8";
}

/* --- growing text --- */

void exposition__reserve(struct exposition *x, size_t bytes)
{
	size_t size = x->size ? x->size : FIRST_SIZE;
	char *text;

	if (x->failed || x->size - x->len >= bytes)
		return;
	while (size - x->len < bytes)
		size *= 2;
	text = realloc(x->text, size);
	if (!text) {
		x->failed = true;
		return;
	}
	x->text = text;
	x->size = size;
}

static void put(struct exposition *x, const char *s, size_t len)
{
	if (x->size - x->len < len)
		exposition__reserve(x, len);
	if (x->failed)
		return;
	memcpy(x->text + x->len, s, len);
	x->len += len;
}

static void put_string(struct exposition *x, const char *s)
{
	put(x, s, strlen(s));
}

/* --- numbers --- */

/* Writes @v, with zeroes before it up to @width. Returns its length; no NUL. */
static size_t format_digits(char *buf, __u64 v, size_t width)
{
	char digits[20];
	size_t n = 0, i;

	do {
		digits[n++] = '0' + v % 10;
		v /= 10;
	} while (v);
	while (n < width)
		digits[n++] = '0';
	for (i = 0; i < n; i++)
		buf[i] = digits[n - 1 - i];
	return n;
}

void exposition__format_seconds(char *buf, __u64 ns)
{
	size_t n = format_digits(buf, ns / 1000000000, 0);

	buf[n++] = '.';
	n += format_digits(buf + n, ns % 1000000000, 9);
	while (buf[n - 1] == '0' && buf[n - 2] != '.')
		n--;
	buf[n] = '\0';
}

void exposition__format_real(char *buf, double v)
{
	if (isinf(v))
		snprintf(buf, EXPOSITION_NUMBER_LEN, v > 0 ? "+Inf" : "-Inf");
	else
		snprintf(buf, EXPOSITION_NUMBER_LEN, "%.15g", v);
	if (!strpbrk(buf, ".enI"))
		strcat(buf, ".0");
}

/* --- families --- */

static const char *type_name(const struct exposition *x)
{
	switch (x->family->type) {
	case EXPOSITION_COUNTER_BESIDE_GAUGE:
		return x->format == EXPOSITION_OPENMETRICS ? "unknown" : "counter";
	case EXPOSITION_COUNTER:
		return "counter";
	case EXPOSITION_HISTOGRAM:
		return "histogram";
	case EXPOSITION_INFO:
		return x->format == EXPOSITION_OPENMETRICS ? "info" : "gauge";
	case EXPOSITION_GAUGE:
		break;
	}
	return "gauge";
}

static const char *sample_suffix(const struct exposition_family *f)
{
	switch (f->type) {
	case EXPOSITION_COUNTER:
	case EXPOSITION_COUNTER_BESIDE_GAUGE:
		return "_total";
	case EXPOSITION_INFO:
		return "_info";
	default:
		return "";
	}
}

static void put_name(struct exposition *x)
{
	put_string(x, x->family->name);
	if (x->format == EXPOSITION_TEXT || x->family->type == EXPOSITION_COUNTER_BESIDE_GAUGE)
		put_string(x, sample_suffix(x->family));
}

static void put_line(struct exposition *x, const char *what, const char *text)
{
	put_string(x, what);
	put_name(x);
	put(x, " ", 1);
	put_string(x, text);
	put(x, "\n", 1);
}

void exposition__family(struct exposition *x, const struct exposition_family *f)
{
	x->family = f;
	put_line(x, "# HELP ", f->help);
	put_line(x, "# TYPE ", type_name(x));
	/* a unit belongs to a name that ends in it, which that one's does not */
	if (x->format == EXPOSITION_OPENMETRICS && f->unit &&
	    f->type != EXPOSITION_COUNTER_BESIDE_GAUGE)
		put_line(x, "# UNIT ", f->unit);
}

/* --- samples --- */

static void put_sample(struct exposition *x, const char *suffix, const char *labels,
		       const char *le, const char *value, size_t value_len)
{
	bool has_labels = labels && labels[0];

	put_string(x, x->family->name);
	put_string(x, suffix);
	if (has_labels || le)
		put(x, "{", 1);
	if (has_labels)
		put_string(x, labels);
	if (le) {
		if (has_labels)
			put(x, ",", 1);
		put_string(x, "le=\"");
		put_string(x, le);
		put(x, "\"", 1);
	}
	if (has_labels || le)
		put(x, "}", 1);
	put(x, " ", 1);
	put(x, value, value_len);
	put(x, "\n", 1);
}

static void put_count(struct exposition *x, const char *suffix, const char *labels,
		      const char *le, __u64 v)
{
	char number[EXPOSITION_NUMBER_LEN];

	put_sample(x, suffix, labels, le, number, format_digits(number, v, 0));
}

void exposition__count(struct exposition *x, const char *labels, __u64 v)
{
	put_count(x, sample_suffix(x->family), labels, NULL, v);
}

void exposition__seconds(struct exposition *x, const char *labels, __u64 ns)
{
	char number[EXPOSITION_NUMBER_LEN];

	exposition__format_seconds(number, ns);
	put_sample(x, sample_suffix(x->family), labels, NULL, number, strlen(number));
}

void exposition__real(struct exposition *x, const char *labels, double v)
{
	char number[EXPOSITION_NUMBER_LEN];

	exposition__format_real(number, v);
	put_sample(x, sample_suffix(x->family), labels, NULL, number, strlen(number));
}

void exposition__histogram(struct exposition *x, const char *labels, const char *const *le,
			   size_t edges, const __u64 *bucket, const char *sum)
{
	__u64 count = 0;
	size_t i;

	for (i = 0; i <= edges; i++) {
		count += bucket[i];
		put_count(x, "_bucket", labels, i < edges ? le[i] : "+Inf", count);
	}
	put_sample(x, "_sum", labels, NULL, sum, strlen(sum));
	put_count(x, "_count", labels, NULL, count);
}

void exposition__end(struct exposition *x)
{
	if (x->format == EXPOSITION_OPENMETRICS)
		put_string(x, "# EOF\n");
}
