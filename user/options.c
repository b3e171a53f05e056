// SPDX-License-Identifier: GPL-2.0-only
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"
#include "text.h"

#define MAX_OPTIONS	32
#define FIRST_LONG	256	/* getopt's values of options without a letter */

static int value_of(const struct option_spec *specs, size_t i)
{
	return specs[i].letter ? specs[i].letter : FIRST_LONG + (int)i;
}

/* What getopt wants: its own two tables of the same options. */
static void make_getopt_tables(const struct option_spec *specs, struct option *longs,
			       char *shorts)
{
	size_t i;

	*shorts++ = ':';	/* tell a missing value from a wrong option */
	for (i = 0; specs[i].name && i < MAX_OPTIONS; i++) {
		longs[i].name = specs[i].name;
		longs[i].has_arg = specs[i].arg ? required_argument : no_argument;
		longs[i].val = value_of(specs, i);
		if (!specs[i].letter)
			continue;
		*shorts++ = specs[i].letter;
		if (specs[i].arg)
			*shorts++ = ':';
	}
	*shorts = '\0';
}

static int refuse(struct iovab_error *e, const char *what, const char *word, const char *why)
{
	char safe[TEXT_ESCAPED_LEN];

	text__escape(safe, sizeof(safe), word, strlen(word), TEXT_ASCII);
	return error__set(e, IOVAB_EXIT_USAGE, "%s '%.200s'%s; --help lists the options", what,
			  safe, why);
}

int options__refuse_value(const char *name, const char *takes, const char *value,
			  struct iovab_error *e)
{
	char safe[TEXT_ESCAPED_LEN];

	text__escape(safe, sizeof(safe), value, strlen(value), TEXT_ASCII);
	return error__set(e, IOVAB_EXIT_USAGE, "--%s takes %s, not '%.80s'", name, takes, safe);
}

int options__parse_words(const struct option_spec *specs, void *target, int argc, char **argv,
			 int *first, struct iovab_error *e)
{
	struct option longs[MAX_OPTIONS + 1] = {};
	char shorts[2 * MAX_OPTIONS + 2];
	size_t i;
	int c;

	make_getopt_tables(specs, longs, shorts);
	opterr = 0;
	optind = 1;
	while ((c = getopt_long(argc, argv, shorts, longs, NULL)) != -1) {
		if (c == ':')
			return refuse(e, "option", argv[optind - 1], " needs a value");
		if (c == '?')
			return refuse(e, "no such option or ambiguous:", argv[optind - 1], "");
		for (i = 0; specs[i].name && value_of(specs, i) != c; i++)
			;
		if (specs[i].set(target, optarg, e))
			return -1;
	}
	*first = optind;
	return 0;
}

int options__parse(const struct option_spec *specs, void *target, int argc, char **argv,
		   struct iovab_error *e)
{
	int first;

	if (options__parse_words(specs, target, argc, argv, &first, e))
		return -1;
	if (first < argc)
		return refuse(e, "unexpected word", argv[first], "");
	return 0;
}

void options__print(const struct option_spec *specs, FILE *out)
{
	for (; specs->name; specs++) {
		char left[64];
		int n = 0;

		if (specs->letter)
			n = snprintf(left, sizeof(left), "  -%c, ", specs->letter);
		else
			n = snprintf(left, sizeof(left), "      ");
		snprintf(left + n, sizeof(left) - n, "--%s%s%s", specs->name,
			 specs->arg ? " " : "", specs->arg ? specs->arg : "");
		/* a long one has its description below it */
		fprintf(out, "%-26s", left);
		if (strlen(left) > 26)
			fprintf(out, "\n%-26s", "");
		fprintf(out, " %s\n", specs->help);
	}
}

int options__seconds(const char *name, const char *value, double *seconds,
		     struct iovab_error *e)
{
	char *end;

	errno = 0;
	*seconds = strtod(value, &end);
	if (errno || end == value || *end || !isfinite(*seconds) || *seconds < 0.1 ||
	    *seconds > 86400)
		return options__refuse_value(name, "seconds from 0.1 to 86400", value, e);
	return 0;
}

int options__factor(const char *name, const char *value, double *factor, struct iovab_error *e)
{
	char *end;

	errno = 0;
	*factor = strtod(value, &end);
	if (errno || end == value || *end || !(*factor >= 0.001) || *factor > 1e6)
		return options__refuse_value(name, "a factor from 0.001 to 1000000", value, e);
	return 0;
}

int options__percent(const char *name, const char *value, double *percent, struct iovab_error *e)
{
	char *end;

	errno = 0;
	*percent = strtod(value, &end);
	if (errno || end == value || *end || !(*percent >= 0.01) || *percent > 10000)
		return options__refuse_value(name, "a percentage from 0.01 to 10000, or off", value, e);
	return 0;
}

int options__count(const char *name, const char *value, unsigned long *n,
		   struct iovab_error *e)
{
	char *end;

	errno = 0;
	*n = strtoul(value, &end, 10);
	if (errno || end == value || *end || value[0] == '-' || !*n || *n > 0x7fffffff)
		return options__refuse_value(name, "a whole number from 1 on", value, e);
	return 0;
}

int options__bytes(const char *name, const char *value, __u64 *bytes, struct iovab_error *e)
{
	static const char units[] = "KMG";
	const char *unit;
	char *end;

	errno = 0;
	*bytes = strtoull(value, &end, 10);
	unit = *end ? strchr(units, *end) : NULL;
	if (errno || end == value || value[0] == '-' || *bytes > 1ULL << 40 ||
	    (*end && (!unit || end[1])))
		return options__refuse_value(name, "a size like 512M or 4G", value, e);
	if (unit)
		*bytes <<= 10 * (unit - units + 1);
	return 0;
}

int options__tier(const char *name, const char *value, enum iovab_tier *tier,
		  struct iovab_error *e)
{
	enum iovab_tier t;

	for (t = IOVAB_TIER_WINDOWS; t <= IOVAB_TIER_SETS; t++) {
		if (!strcmp(value, model__tier_name(t))) {
			*tier = t;
			return 0;
		}
	}
	return options__refuse_value(name, "windows, density, sets or auto", value, e);
}
