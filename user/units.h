/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Numbers as a person reads them: GiB, %, µs.
 *
 * Every function writes at most @size bytes, always terminated, and returns
 * @buf. IOVAB_UNITS_LEN bytes are enough for each of them. Figures have three
 * significant digits; what rounding must not do is hide a difference that
 * matters: only zero prints as zero, and only all of it prints as 100 %.
 *
 * The decimal point is that of LC_NUMERIC; programs leave that one at "C".
 */
#ifndef IOVAB_UNITS_H
#define IOVAB_UNITS_H

#include "model.h"

#define IOVAB_UNITS_LEN	32

/* What the terminal or file can take; ASCII also turns "µs" into "us". */
enum text_charset {
	TEXT_UTF8,
	TEXT_ASCII,
};

enum units_kind {
	UNITS_ID,	/* all digits: a name, not an amount */
	UNITS_COUNT,	/* 0, 99999, 123k, 1.23M */
	UNITS_BYTES,	/* 0, 512 B, 4.00 KiB, 64.0 GiB */
	UNITS_NS,	/* 0, 850 ns, 12.3 µs, 1.23 ms, 4.56 s, 20.6 min */
};

/* The same units for plain numbers. */
char *units__count(char *buf, size_t size, __u64 count);
char *units__bytes(char *buf, size_t size, __u64 bytes);
char *units__duration(char *buf, size_t size, __u64 ns, enum text_charset cs);
/* All digits, in groups of three: 1,234,567. */
char *units__exact(char *buf, size_t size, __u64 count);
/* @ratio 0.0 to 1.0 (more is fine): 0 %, <0.01 %, 12.3 %, >99.9 %, 100 %. */
char *units__percent(char *buf, size_t size, double ratio);
/* An amount a second: 3.20/s, 1.23k/s; 64.0 MiB/s. */
char *units__per_second(char *buf, size_t size, double rate);
char *units__bytes_per_second(char *buf, size_t size, double rate);
/* A plain number: 0, 4.00, 12.5, 1600, 123k. */
char *units__number(char *buf, size_t size, double v);

/* What stands for a value that is not there: "-" not measured, "?" unknown;
 * NULL if it is known.
 */
const char *units__absent(enum iovab_value_state state);

/* A model's value: its number, or what stands for its absence. */
char *units__value(char *buf, size_t size, struct iovab_value v, enum units_kind kind,
		   enum text_charset cs);
char *units__ratio_percent(char *buf, size_t size, struct iovab_ratio r);

/* How to print a figure, and what to call it on a screen ("pages pinned"). */
enum units_kind units__figure_kind(enum iovab_figure f);
const char *units__figure_label(enum iovab_figure f);

#endif /* IOVAB_UNITS_H */
