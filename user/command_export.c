// SPDX-License-Identifier: GPL-2.0-only
/* iovab export: a recording in the format of another program. */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "options.h"
#include "replay.h"
#include "text.h"
#include "trace.h"

struct options {
	const char *perfetto;
	bool help;
};

#define SETTER(name) \
	static int set_##name(void *target, const char *value, struct iovab_error *e)
#define OPTS ((struct options *)target)

SETTER(perfetto) { OPTS->perfetto = value; return 0; }
SETTER(help) { OPTS->help = true; return 0; }

static const struct option_spec specs[] = {
	{ "perfetto", 'p', "OUT", "a trace for Perfetto's viewer; - is standard output", set_perfetto },
	{ "help", 'h', NULL, "print this and end", set_help },
	{}
};

/* What is there already is replaced; a trace that could not be written whole is taken away again. */
static int write_trace(const char *path, struct replay *r, struct iovab_error *e)
{
	bool to_stdout = !strcmp(path, "-");
	FILE *out = to_stdout ? stdout : fopen(path, "we");
	char safe[TEXT_ESCAPED_LEN];
	int err;

	text__escape(safe, sizeof(safe), path, strlen(path), TEXT_ASCII);
	if (!out)
		return error__set(e, IOVAB_EXIT_FAILURE, "cannot write '%.200s': %s", safe,
				  strerror(errno));
	err = trace__write(out, r, e);
	if ((to_stdout ? fflush(out) : fclose(out)) && !err)
		err = error__set(e, IOVAB_EXIT_FAILURE, "cannot write '%.200s': %s", safe,
				 strerror(errno));
	if (err && !to_stdout)
		unlink(path);
	return err;
}

int command__export(int argc, char **argv, struct iovab_error *e)
{
	struct options opts = {};
	struct replay *r;
	int first, err;

	setlocale(LC_CTYPE, "");
	if (options__parse_words(specs, &opts, argc, argv, &first, e))
		return -1;
	if (opts.help) {
		printf("Usage: iovab export --perfetto OUT FILE\n"
		       "Writes a recording as a trace: a track a device, slices for reports and their\n"
		       "windows, counters for the dirty rate.\n\n");
		options__print(specs, stdout);
		return 0;
	}
	if (argc - first != 1 || !opts.perfetto)
		return error__set(e, IOVAB_EXIT_USAGE,
				  "a trace and a recording are needed: iovab export --perfetto OUT FILE");
	r = replay__open(argv[first], e);
	if (!r)
		return -1;
	err = write_trace(opts.perfetto, r, e);
	replay__close(r);
	return err;
}
