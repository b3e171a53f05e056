// SPDX-License-Identifier: GPL-2.0-only
/*
 * iovab: what is not the live table, as subcommands.
 */
#include <stdio.h>
#include <string.h>

#include "command.h"
#include "error.h"
#include "features.h"
#include "options.h"
#include "probe.h"

/* --- iovab probe --- */

struct probe_options {
	bool json, help;
};

static int set_json(void *target, const char *value, struct iovab_error *e)
{
	((struct probe_options *)target)->json = true;
	return 0;
}

static int set_help(void *target, const char *value, struct iovab_error *e)
{
	((struct probe_options *)target)->help = true;
	return 0;
}

static const struct option_spec probe_specs[] = {
	{ "json", 'j', NULL, "one JSON object (schema iovab.probe/1)", set_json },
	{ "help", 'h', NULL, "print this and end", set_help },
	{}
};

static int run_probe(int argc, char **argv, struct iovab_error *e)
{
	struct probe_options opts = {};
	struct features f;
	int err;

	if (options__parse(probe_specs, &opts, argc, argv, e))
		return -1;
	if (opts.help) {
		printf("Usage: iovab probe [OPTION]...\n"
		       "Tells what this kernel offers: each hook, how it will be attached or why not,\n"
		       "who uses the facility, and what each tier can measure.\n\n");
		options__print(probe_specs, stdout);
		return 0;
	}
	if (features__check_access(e) || features__probe(&f, e))
		return -1;
	err = opts.json ? probe__write_json(stdout, &f) : probe__write_text(stdout, &f);
	return err ? error__set(e, IOVAB_EXIT_FAILURE, "cannot write the output: %s",
				strerror(-err)) : 0;
}

/* --- the subcommands --- */

static const struct command {
	const char *name;
	const char *help;
	int (*run)(int argc, char **argv, struct iovab_error *e);
} commands[] = {
	{ "probe", "what this kernel offers: hooks, clients, tiers", run_probe },
	{ "record", "record a migration into a file", command__record },
	{ "report", "tell what a recording says", command__report },
	{ "replay", "show a recording as iovabtop showed it live", command__replay },
	{ "diff", "compare two recordings, figure by figure", command__diff },
	{ "export", "write a recording as a trace for Perfetto", command__export },
};

#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_usage(FILE *out)
{
	size_t i;

	fprintf(out, "Usage: iovab COMMAND [OPTION]...\n\n");
	for (i = 0; i < N_COMMANDS; i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
	fprintf(out, "\niovab COMMAND --help tells more. The live table is iovabtop.\n");
}

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < N_COMMANDS; i++)
		if (!strcmp(name, commands[i].name))
			return &commands[i];
	return NULL;
}

int main(int argc, char **argv)
{
	const struct command *c = argc > 1 ? find_command(argv[1]) : NULL;
	struct iovab_error e = {};

	if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		print_usage(stdout);
		return IOVAB_EXIT_OK;
	}
	if (argc > 1 && (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-V"))) {
		printf("iovab " IOVAB_VERSION "\n");
		return IOVAB_EXIT_OK;
	}
	if (!c) {
		fprintf(stderr, argc > 1 ? "iovab: no such command; --help lists them\n" :
				"iovab: a command is needed; --help lists them\n");
		return IOVAB_EXIT_USAGE;
	}
	if (c->run(argc - 1, argv + 1, &e))
		fprintf(stderr, "iovab: %s\n", e.text);
	return e.code;
}
