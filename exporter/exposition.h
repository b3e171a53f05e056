/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The two formats that Prometheus reads, written sample by sample.
 *
 * Both come from the same calls. They differ in what a counter is called above
 * its samples, in unit lines, and in the line that ends OpenMetrics.
 */
#ifndef IOVAB_EXPOSITION_H
#define IOVAB_EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>

#include <linux/types.h>

enum exposition_format {
	EXPOSITION_TEXT,		/* text/plain, version 0.0.4 */
	EXPOSITION_OPENMETRICS,		/* application/openmetrics-text, version 1.0.0 */
	EXPOSITION_FORMATS
};

enum exposition_type {
	EXPOSITION_COUNTER,	/* its samples are called NAME_total */
	EXPOSITION_GAUGE,
	EXPOSITION_HISTOGRAM,
	EXPOSITION_INFO,	/* NAME_info, always 1: what counts is its labels */
	/*
	 * A counter beside a gauge of the same NAME. OpenMetrics gives both one
	 * name, and so cannot have both: there it is of type unknown.
	 */
	EXPOSITION_COUNTER_BESIDE_GAUGE,
};

struct exposition_family {
	const char *name;	/* without _total and _info */
	enum exposition_type type;
	const char *unit;	/* what the name ends in, or NULL */
	const char *help;	/* one line, with nothing to escape */
};

/* Start with { .format }; @text belongs to whoever takes it. */
struct exposition {
	enum exposition_format format;
	char *text;		/* @len bytes, no NUL behind them */
	size_t len, size;
	bool failed;		/* out of memory: the text is of no use */
	const struct exposition_family *family;
};

/* The Content-Type of a format. */
const char *exposition__content_type(enum exposition_format f);

/* Makes room for @bytes more, so that they need not be moved while they grow. */
void exposition__reserve(struct exposition *x, size_t bytes);

/* The lines above a family's samples; the samples of one family follow each other. */
void exposition__family(struct exposition *x, const struct exposition_family *f);

/*
 * A sample of the family. @labels: as labels.h makes them, without braces; ""
 * or NULL: none.
 */
void exposition__count(struct exposition *x, const char *labels, __u64 v);
void exposition__seconds(struct exposition *x, const char *labels, __u64 ns);
void exposition__real(struct exposition *x, const char *labels, double v);

/*
 * A histogram. @bucket holds the count of each bucket alone, @le their upper
 * edges, which are in them; there is one bucket more than edges, without end.
 * @sum: as text.
 */
void exposition__histogram(struct exposition *x, const char *labels, const char *const *le,
			   size_t edges, const __u64 *bucket, const char *sum);

/* Closes the text. */
void exposition__end(struct exposition *x);

#define EXPOSITION_NUMBER_LEN	40

/* Seconds with all nine digits that matter, in at most EXPOSITION_NUMBER_LEN bytes. */
void exposition__format_seconds(char *buf, __u64 ns);
/* A number as the canonical form wants it: 1.0, 0.25, 1.6383e-05. */
void exposition__format_real(char *buf, double v);

#endif /* IOVAB_EXPOSITION_H */
