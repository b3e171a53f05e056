// SPDX-License-Identifier: GPL-2.0-only
/* iovab report: what a recording says. */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "options.h"
#include "study.h"
#include "study_json.h"
#include "study_text.h"

struct options {
	bool json, help;
	__u64 bandwidth;
};

#define SETTER(name) \
	static int set_##name(void *target, const char *value, struct iovab_error *e)
#define OPTS ((struct options *)target)

SETTER(json) { OPTS->json = true; return 0; }
SETTER(help) { OPTS->help = true; return 0; }
SETTER(bandwidth) { return options__bytes("bandwidth", value, &OPTS->bandwidth, e); }

static const struct option_spec specs[] = {
	{ "json", 'j', NULL, "one JSON object (schema iovab.report/1)", set_json },
	{ "bandwidth", 'b', "SIZE", "bytes a second, like 1200M: would it converge with that?", set_bandwidth },
	{ "help", 'h', NULL, "print this and end", set_help },
	{}
};

static int write_study(const struct study *s, const struct options *opts)
{
	const struct study_text_options o = {
		.width = text__output_width(),
		.charset = text__locale_charset(),
		.colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR"),
		.bandwidth = opts->bandwidth,
	};
	int err = opts->json ? study_json__write(stdout, s) : study_text__write(stdout, s, &o);

	if (!err && fflush(stdout))
		err = -errno;
	return err;
}

int command__report(int argc, char **argv, struct iovab_error *e)
{
	struct options opts = {};
	struct study *s;
	int first, err;

	setlocale(LC_CTYPE, "");
	if (options__parse_words(specs, &opts, argc, argv, &first, e))
		return -1;
	if (opts.help) {
		printf("Usage: iovab report [OPTION]... FILE\n"
		       "Tells what a recording of iovab record says: what was lost, and per device the\n"
		       "totals, each migration's rounds, and whether it could converge.\n\n");
		options__print(specs, stdout);
		return 0;
	}
	if (argc - first != 1)
		return error__set(e, IOVAB_EXIT_USAGE, "one recording is needed: iovab report FILE");
	s = study__new(argv[first], e);
	if (!s)
		return -1;
	err = write_study(s, &opts);
	study__free(s);
	if (err && err != -EPIPE)
		return error__set(e, IOVAB_EXIT_FAILURE, "cannot write the output: %s", strerror(-err));
	return 0;
}
