// SPDX-License-Identifier: GPL-2.0-only
/*
 * iovab replay: a recording through the model and the views, as if live, but
 * at once. What iovabtop showed then is what comes out: the first facts are the
 * baseline and are not shown, then a table (or a line of JSON a device) for each
 * moment, and at the end a summary.
 *
 * With --policy nothing of that: its marks go through a policy of pinning, and what it
 * would have pinned stands beside what was.
 */
#include <errno.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command.h"
#include "filter.h"
#include "follow.h"
#include "follow_view.h"
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
	bool follow;			/* marks, through ... */
	struct policy_options policy;	/* ... this */
	unsigned long windows;		/* 0: as the reference */
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

SETTER(policy)
{
	enum iovab_policy_id id;

	for (id = 0; id < IOVAB_POLICIES; id++) {
		if (strcmp(value, model__policy_name(id)))
			continue;
		OPTS->follow = true;
		OPTS->policy.id = id;
		return 0;
	}
	return options__refuse_value("policy", "eager, lazy or cached", value, e);
}

SETTER(windows)
{
	if (options__count("windows", value, &OPTS->windows, e))
		return -1;
	if (OPTS->windows > POLICY_MAX_TABLES)
		return options__refuse_value("windows", "a whole number from 1 to 1024", value, e);
	return 0;
}

static const struct option_spec specs[] = {
	{ "json", 'j', NULL, "one JSON object a device an interval (NDJSON)", set_json },
	{ "last", 'l', NULL, "only what the last moment shows", set_last },
	{ "speed", 'S', "FACTOR", "wait between moments: so many times as fast as it was", set_speed },
	{ "device", 'D', "NAME", "only devices of this name or vfioN; may be a shell pattern", set_device },
	{ "pid", 'p', "PID", "only devices of this process", set_pid },
	{ "policy", 'P', "POLICY", "eager, lazy or cached: what would that have pinned for the marks", set_policy },
	{ "windows", 'w', "COUNT", "of policy cached: stretches of 2 MiB of bitmap that are kept (16)", set_windows },
	{ "help", 'h', NULL, "print this and end", set_help },
	{}
};

_Static_assert(POLICY_MAX_TABLES == 1024, "as the option says");

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

/* --- policies --- */

/* Why the recording has no marks at all; NULL: it has. */
static const char *no_marks(const struct options *opts, const struct iovab_snapshot *snapshot)
{
	if (opts->policy.id == IOVAB_POLICY_EAGER || snapshot->tier >= IOVAB_TIER_SETS)
		return NULL;
	return model__tier_name(snapshot->tier);
}

static int write_followed(const struct show *s, const struct follow *follow,
			  const struct iovab_snapshot *snapshot, struct iovab_error *e)
{
	const struct replay_about *about = replay__about(s->replay);
	const struct follow_view view = {
		.follow = follow,
		.policy = &s->opts->policy,
		.snapshot = snapshot,
		.marks_missing = snapshot->losses.marks_dropped + about->marks_failed + about->marks_pruned,
		.width = s->width,
		.charset = s->charset,
	};
	int err = s->opts->json ? follow_view__json(stdout, &view) : follow_view__text(stdout, &view);

	if (!err && fflush(stdout))
		err = -errno;
	return err && err != -EPIPE ?
		error__set(e, IOVAB_EXIT_FAILURE, "cannot write the output: %s", strerror(-err)) : 0;
}

/* Goes through all of it; what is shown is what it comes to. */
static int follow_all(struct show *s, struct follow *follow, struct iovab_error *e)
{
	const struct iovab_snapshot *snapshot = NULL;
	const struct iovab_facts *facts;
	const char *tier;

	replay__want_marks(s->replay);
	while ((facts = replay__next(s->replay, e))) {
		if (follow__add(follow, facts, e))
			return -1;
		facts = filter__apply(s->filter, facts);
		snapshot = facts ? model__update(s->model, facts) : NULL;
		if (!snapshot)
			return error__set(e, IOVAB_EXIT_FAILURE, "out of memory");
	}
	if (e->code || !snapshot)
		return -1;
	tier = no_marks(s->opts, snapshot);
	if (tier)
		return error__set(e, IOVAB_EXIT_FAILURE,
				  "it was recorded in the tier %s, which sees no marks: record with --tier sets", tier);
	return write_followed(s, follow, snapshot, e);
}

static int follow_policy(struct show *s, struct iovab_error *e)
{
	struct follow *follow = follow__new(&s->opts->policy);
	int err = follow ? follow_all(s, follow, e) :
			   error__set(e, IOVAB_EXIT_FAILURE, "out of memory");

	follow__free(follow);
	return err;
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
	if (opts.windows && (!opts.follow || opts.policy.id != IOVAB_POLICY_CACHED))
		return error__set(e, IOVAB_EXIT_USAGE, "--windows is for --policy cached only");
	opts.policy.tables = opts.windows ? (__u32)opts.windows : IOVAB_TABLES_MAX;
	s.charset = text__locale_charset();
	s.width = text__output_width();
	s.replay = replay__open(argv[first], e);
	s.filter = filter__new(opts.device, (__u32)opts.pid);
	s.model = model__new();
	if (s.replay && s.filter && s.model)
		err = opts.follow ? follow_policy(&s, e) : show_all(&s, e);
	else if (s.replay)
		error__set(e, IOVAB_EXIT_FAILURE, "out of memory");
	model__free(s.model);
	filter__free(s.filter);
	replay__close(s.replay);
	return err;
}
