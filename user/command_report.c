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
#include "page.h"
#include "study.h"
#include "study_json.h"
#include "study_text.h"

struct options {
	bool json, help;
	const char *html;
	__u64 bandwidth;
};

#define SETTER(name) \
	static int set_##name(void *target, const char *value, struct iovab_error *e)
#define OPTS ((struct options *)target)

SETTER(json) { OPTS->json = true; return 0; }
SETTER(html) { OPTS->html = value; return 0; }
SETTER(help) { OPTS->help = true; return 0; }
SETTER(bandwidth) { return options__bytes("bandwidth", value, &OPTS->bandwidth, e); }

static const struct option_spec specs[] = {
	{ "json", 'j', NULL, "one JSON object (schema iovab.report/1)", set_json },
	{ "html", 'H', "OUT", "a page with charts, which opens offline; - is standard output", set_html },
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

/* The page is there whole or not at all: it gets its name when it is written. */
static int write_html(const struct study *s, const char *path, struct iovab_error *e)
{
	bool to_stdout = !strcmp(path, "-");
	char *draft = NULL, safe[TEXT_ESCAPED_LEN];
	FILE *out = stdout;
	int err;

	text__escape(safe, sizeof(safe), path, strlen(path), TEXT_ASCII);
	if (!to_stdout) {
		if (asprintf(&draft, "%s.new", path) < 0)
			return error__set(e, IOVAB_EXIT_FAILURE, "out of memory");
		out = fopen(draft, "we");
	}
	err = out ? page__write(out, s) : -errno;
	if (out && (to_stdout ? fflush(out) : fclose(out)) && !err)
		err = -errno;
	if (!to_stdout && !err && rename(draft, path))
		err = -errno;
	if (!to_stdout && err)
		unlink(draft);
	free(draft);
	return err ? error__set(e, IOVAB_EXIT_FAILURE, "cannot write '%.200s': %s", safe,
				strerror(-err)) : 0;
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
	if (opts.html && !page__available())
		return error__set(e, IOVAB_EXIT_FAILURE,
				  "this build has no chart library, so no --html: 'make charts' fetches it with npm");
	s = study__new(argv[first], e);
	if (!s)
		return -1;
	if (opts.html) {
		err = write_html(s, opts.html, e);
		study__free(s);
		return err;
	}
	err = write_study(s, &opts);
	study__free(s);
	if (err && err != -EPIPE)
		return error__set(e, IOVAB_EXIT_FAILURE, "cannot write the output: %s", strerror(-err));
	return 0;
}
