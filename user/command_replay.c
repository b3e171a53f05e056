// SPDX-License-Identifier: GPL-2.0-only
/*
 * iovab replay: a recording through the model and the views, as if live, but
 * at once. What iovabtop showed then is what comes out: the first facts are the
 * baseline and are not shown, then a table (or a line of JSON a device) for each
 * moment, and at the end a summary.
 */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command.h"
#include "filter.h"
#include "json.h"
#include "model.h"
#include "options.h"
#include "plain.h"
#include "replay.h"
#include "summary.h"

struct options {
	bool json, last, help;
	double speed;		/* 0: as fast as it goes */
	const char *device;
	unsigned long pid;
};

#define SETTER(name) \
	static int set_##name(void *target, const char *value, struct iovab_error *e)
#define OPTS ((struct options *)target)

SETTER(json) { OPTS->json = true; return 0; }
SETTER(last) { OPTS->last = true; return 0; }
SETTER(help) { OPTS->help = true; return 0; }
SETTER(speed) { return options__factor("speed", value, &OPTS->speed, e); }
SETTER(device) { OPTS->device = value; return 0; }
SETTER(pid) { return options__count("pid", value, &OPTS->pid, e); }

static const struct option_spec specs[] = {
	{ "json", 'j', NULL, "one JSON object a device an interval (NDJSON)", set_json },
	{ "last", 'l', NULL, "only what the last moment shows", set_last },
	{ "speed", 'S', "FACTOR", "wait between moments: so many times as fast as it was", set_speed },
	{ "device", 'D', "NAME", "only devices of this name or vfioN; may be a shell pattern", set_device },
	{ "pid", 'p', "PID", "only devices of this process", set_pid },
	{ "help", 'h', NULL, "print this and end", set_help },
	{}
};

struct show {
	const struct options *opts;
	struct replay *replay;
	struct filter *filter;
	struct model *model;
	enum text_charset charset;
	unsigned int width;
};

static void pause_ns(double ns)
{
	struct timespec t = { (time_t)(ns / 1e9), (long)(ns - (double)(time_t)(ns / 1e9) * 1e9) };

	nanosleep(&t, NULL);
}

/* 1: the reader of stdout is gone; -1 with @e set. */
static int print(const struct show *s, const struct iovab_snapshot *snapshot, struct iovab_error *e)
{
	struct plain_options plain = {
		.width = s->width, .charset = s->charset, .scope = COLUMNS_TOTAL,
	};
	int err = s->opts->json ? json__write(stdout, snapshot) :
				  plain__write(stdout, snapshot, &plain);

	if (!err && fflush(stdout))
		err = -errno;
	if (err == -EPIPE)
		return 1;
	return err ? error__set(e, IOVAB_EXIT_FAILURE, "cannot write the output: %s",
				strerror(-err)) : 0;
}

static int show_all(struct show *s, struct iovab_error *e)
{
	const struct iovab_snapshot *snapshot = NULL;
	const struct iovab_facts *facts;
	__u64 before_ns = 0;
	int ret = 0;

	while (!ret && (facts = replay__next(s->replay, e))) {
		bool shown = before_ns && !s->opts->last;

		if (before_ns && s->opts->speed > 0)
			pause_ns((double)(facts->time_ns - before_ns) / s->opts->speed);
		before_ns = facts->time_ns;
		facts = filter__apply(s->filter, facts);
		snapshot = facts ? model__update(s->model, facts) : NULL;
		if (!snapshot)
			return error__set(e, IOVAB_EXIT_FAILURE, "out of memory");
		ret = shown ? print(s, snapshot, e) : 0;
	}
	if (ret || e->code)
		return ret < 0 || e->code ? -1 : 0;
	if (snapshot && s->opts->last && print(s, snapshot, e) < 0)
		return -1;
	if (snapshot && !s->opts->json)
		summary__write(stdout, snapshot, s->width, s->charset);
	return fflush(stdout) && errno != EPIPE ?
		error__set(e, IOVAB_EXIT_FAILURE, "cannot write the output: %s", strerror(errno)) : 0;
}

int command__replay(int argc, char **argv, struct iovab_error *e)
{
	struct options opts = {};
	struct show s = { .opts = &opts };
	int first, err = -1;

	setlocale(LC_CTYPE, "");
	if (options__parse_words(specs, &opts, argc, argv, &first, e))
		return -1;
	if (opts.help) {
		printf("Usage: iovab replay [OPTION]... FILE\n"
		       "Shows a recording as iovabtop would have shown it; iovabtop --replay FILE has the\n"
		       "screen for it.\n\n");
		options__print(specs, stdout);
		return 0;
	}
	if (argc - first != 1)
		return error__set(e, IOVAB_EXIT_USAGE, "one recording is needed: iovab replay FILE");
	s.charset = text__locale_charset();
	s.width = text__output_width();
	s.replay = replay__open(argv[first], e);
	s.filter = filter__new(opts.device, (__u32)opts.pid);
	s.model = model__new();
	if (s.replay && s.filter && s.model)
		err = show_all(&s, e);
	else if (s.replay)
		error__set(e, IOVAB_EXIT_FAILURE, "out of memory");
	model__free(s.model);
	filter__free(s.filter);
	replay__close(s.replay);
	return err;
}
