// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>
#include <string.h>

#include "units.h"

static const char *const si_prefix[] = { "", "k", "M", "G", "T", "P", "E", "Z" };
static const char *const iec_unit[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB" };

#define MAX_PREFIX	7

/* Digits behind the point that make three significant ones of @v. */
static int decimals(double v)
{
	if (v < 9.995)
		return 2;
	return v < 99.95 ? 1 : 0;
}

/* Divides @v by @base until it prints with less than @base; returns how often. */
static unsigned int scale(double *v, double base)
{
	unsigned int n = 0;

	while (*v >= base - 0.5 && n < MAX_PREFIX) {
		*v /= base;
		n++;
	}
	return n;
}

static char *print_si(char *buf, size_t size, double v, const char *suffix)
{
	unsigned int n = scale(&v, 1000);

	snprintf(buf, size, "%.*f%s%s", decimals(v), v, si_prefix[n], suffix);
	return buf;
}

static char *print_iec(char *buf, size_t size, double v, const char *suffix)
{
	unsigned int n = scale(&v, 1024);

	snprintf(buf, size, "%.*f %s%s", decimals(v), v, iec_unit[n], suffix);
	return buf;
}

char *units__count(char *buf, size_t size, __u64 count)
{
	if (count >= 100000)
		return print_si(buf, size, (double)count, "");
	snprintf(buf, size, "%llu", count);
	return buf;
}

char *units__bytes(char *buf, size_t size, __u64 bytes)
{
	if (bytes >= 1024)
		return print_iec(buf, size, (double)bytes, "");
	snprintf(buf, size, bytes ? "%llu B" : "%llu", bytes);
	return buf;
}

char *units__duration(char *buf, size_t size, __u64 ns, enum text_charset cs)
{
	double v = (double)ns;
	const char *unit;

	if (ns < 1000) {
		snprintf(buf, size, ns ? "%llu ns" : "%llu", ns);
		return buf;
	}
	if (v < 999.5e3) {
		v /= 1e3;
		unit = cs == TEXT_UTF8 ? "µs" : "us";
	} else if (v < 999.5e6) {
		v /= 1e6;
		unit = "ms";
	} else if (v < 599.5e9) {
		v /= 1e9;
		unit = "s";
	} else if (v < 599.5 * 60e9) {
		v /= 60e9;
		unit = "min";
	} else {
		v /= 3600e9;
		unit = "h";
	}
	snprintf(buf, size, "%.*f %s", decimals(v), v, unit);
	return buf;
}

char *units__exact(char *buf, size_t size, __u64 count)
{
	char digits[24];
	size_t i, len, out = 0;

	len = (size_t)snprintf(digits, sizeof(digits), "%llu", count);
	for (i = 0; i < len && out + 2 < size; i++) {
		if (i && (len - i) % 3 == 0)
			buf[out++] = ',';
		buf[out++] = digits[i];
	}
	if (size)
		buf[out] = '\0';
	return buf;
}

char *units__percent(char *buf, size_t size, double ratio)
{
	double v = ratio * 100;

	if (!(ratio > 0))
		snprintf(buf, size, "0 %%");
	else if (v < 0.01)
		snprintf(buf, size, "<0.01 %%");
	else if (ratio < 1 && v >= 99.95)
		snprintf(buf, size, ">99.9 %%");
	else if (ratio > 1 && v < 100.5)
		snprintf(buf, size, ">100 %%");
	else
		snprintf(buf, size, "%.*f %%", decimals(v), v);
	return buf;
}

char *units__number(char *buf, size_t size, double v)
{
	if (!(v > 0))
		snprintf(buf, size, "0");
	else if (v < 0.01)
		snprintf(buf, size, "<0.01");
	else if (v < 99999.5)
		snprintf(buf, size, "%.*f", decimals(v), v);
	else
		print_si(buf, size, v, "");
	return buf;
}

char *units__per_second(char *buf, size_t size, double rate)
{
	if (!(rate > 0))
		snprintf(buf, size, "0");
	else if (rate < 0.01)
		snprintf(buf, size, "<0.01/s");
	else
		print_si(buf, size, rate, "/s");
	return buf;
}

char *units__bytes_per_second(char *buf, size_t size, double rate)
{
	if (!(rate > 0))
		snprintf(buf, size, "0");
	else if (rate < 0.01)
		snprintf(buf, size, "<0.01 B/s");
	else
		print_iec(buf, size, rate, "/s");
	return buf;
}

const char *units__absent(enum iovab_value_state state)
{
	switch (state) {
	case IOVAB_VALUE_KNOWN:
		return NULL;
	case IOVAB_VALUE_UNKNOWN:
		return "?";
	default:
		return "-";
	}
}

char *units__value(char *buf, size_t size, struct iovab_value v, enum units_kind kind,
		   enum text_charset cs)
{
	const char *absent = units__absent(v.state);

	if (absent) {
		snprintf(buf, size, "%s", absent);
		return buf;
	}
	switch (kind) {
	case UNITS_BYTES:
		return units__bytes(buf, size, v.v);
	case UNITS_ID:
		snprintf(buf, size, "%llu", v.v);
		return buf;
	case UNITS_NS:
		return units__duration(buf, size, v.v, cs);
	default:
		return units__count(buf, size, v.v);
	}
}

char *units__ratio_percent(char *buf, size_t size, struct iovab_ratio r)
{
	const char *absent = units__absent(r.state);

	if (!absent)
		return units__percent(buf, size, r.v);
	snprintf(buf, size, "%s", absent);
	return buf;
}

static const struct {
	const char *label;
	enum units_kind kind;
} figures[IOVAB_FIGURES] = {
	[IOVAB_FIG_REPORTS]		= { "reports",		UNITS_COUNT },
	[IOVAB_FIG_REPORT_ERRORS]	= { "report errors",	UNITS_COUNT },
	[IOVAB_FIG_RANGE_BYTES]		= { "range",		UNITS_BYTES },
	[IOVAB_FIG_WINDOWS]		= { "windows",		UNITS_COUNT },
	[IOVAB_FIG_WINDOWS_CLEAN]	= { "clean windows",	UNITS_COUNT },
	[IOVAB_FIG_REPINS]		= { "repins",		UNITS_COUNT },
	[IOVAB_FIG_PAGES_PINNED]	= { "pages pinned",	UNITS_COUNT },
	[IOVAB_FIG_PIN_FAILURES]	= { "pin failures",	UNITS_COUNT },
	[IOVAB_FIG_SCAN_SKIPPED]	= { "scans skipped",	UNITS_COUNT },
	[IOVAB_FIG_DIRTY_BYTES]		= { "dirty",		UNITS_BYTES },
	[IOVAB_FIG_SET_CALLS]		= { "marks",		UNITS_COUNT },
	[IOVAB_FIG_MARKED_BYTES]	= { "marked",		UNITS_BYTES },
	[IOVAB_FIG_REDUNDANT_BYTES]	= { "redundant",	UNITS_BYTES },
	[IOVAB_FIG_LOST_BYTES]		= { "lost",		UNITS_BYTES },
	[IOVAB_FIG_OVERSHOOT_BYTES]	= { "overshoot",	UNITS_BYTES },
	[IOVAB_FIG_STRAY_BITS]		= { "stray bits",	UNITS_COUNT },
	[IOVAB_FIG_EMPTY_MARKS]		= { "empty marks",	UNITS_COUNT },
	[IOVAB_FIG_WILD_MARKS]		= { "wild marks",	UNITS_COUNT },
};

enum units_kind units__figure_kind(enum iovab_figure f)
{
	return figures[f].kind;
}

const char *units__figure_label(enum iovab_figure f)
{
	return figures[f].label;
}
