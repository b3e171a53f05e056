// SPDX-License-Identifier: GPL-2.0-only
/* iovab diff: two recordings, figure by figure. */
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "diff.h"
#include "options.h"
#include "study.h"

struct options {
	bool json, help;
	double threshold;	/* per cent */
};

#define SETTER(name) \
	static int set_##name(void *target, const char *value, struct iovab_error *e)
#define OPTS ((struct options *)target)

SETTER(json) { OPTS->json = true; return 0; }
SETTER(help) { OPTS->help = true; return 0; }

SETTER(threshold)
{
	char *end;

	errno = 0;
	OPTS->threshold = strtod(value, &end);
	if (errno || end == value || *end || !isfinite(OPTS->threshold) || OPTS->threshold < 0)
		return options__refuse_value("threshold", "per cent, from 0 on", value, e);
	return 0;
}

static const struct option_spec specs[] = {
	{ "threshold", 'T', "PERCENT", "what B may be worse by in each figure (10)", set_threshold },
	{ "json", 'j', NULL, "one JSON object (schema iovab.diff/1)", set_json },
	{ "help", 'h', NULL, "print this and end", set_help },
	{}
};

/* @worse: how many figures of B are. -1 with @e set. */
static int compare(const struct study *a, const struct study *b, const struct options *opts,
		   size_t *worse, struct iovab_error *e)
{
	const struct diff_options o = {
		.charset = text__locale_charset(),
		.colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR"),
	};
	struct diff *d = diff__new(a, b, opts->threshold / 100);
	int err;

	if (!d)
		return error__set(e, IOVAB_EXIT_FAILURE, "out of memory");
	*worse = diff__worse(d);
	err = opts->json ? diff__write_json(stdout, d) : diff__write_text(stdout, d, &o);
	if (!err && fflush(stdout))
		err = -errno;
	diff__free(d);
	return err && err != -EPIPE ?
		error__set(e, IOVAB_EXIT_FAILURE, "cannot write the output: %s", strerror(-err)) : 0;
}

int command__diff(int argc, char **argv, struct iovab_error *e)
{
	struct options opts = { .threshold = 10 };
	struct study *a, *b = NULL;
	size_t worse = 0;
	int first, err = -1;

	setlocale(LC_CTYPE, "");
	if (options__parse_words(specs, &opts, argc, argv, &first, e))
		return -1;
	if (opts.help) {
		printf("Usage: iovab diff [OPTION]... A B\n"
		       "Compares two recordings: another kernel, driver or machine. Ends with 7 if B is\n"
		       "worse by more than the threshold in any figure that should be small.\n\n");
		options__print(specs, stdout);
		return 0;
	}
	if (argc - first != 2)
		return error__set(e, IOVAB_EXIT_USAGE, "two recordings are needed: iovab diff A B");
	a = study__new(argv[first], e);
	if (a)
		b = study__new(argv[first + 1], e);
	if (b)
		err = compare(a, b, &opts, &worse, e);
	study__free(a);
	study__free(b);
	if (!err && worse)
		e->code = IOVAB_EXIT_WORSE;
	return err;
}
