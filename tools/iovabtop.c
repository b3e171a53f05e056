// SPDX-License-Identifier: GPL-2.0-only
/*
 * iovabtop: what the kernel's DMA dirty tracking does, per device, live.
 *
 * Three ways to show one snapshot an interval: a table on a terminal, plain
 * tables (--batch, or where stdout is no terminal), and NDJSON (--json). The
 * first facts are the baseline and are not shown; what is shown after that
 * covers whole intervals. At the end comes one more collection, so that the
 * last figures are those of the end, and a summary (not with --json).
 */
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector.h"
#include "columns.h"
#include "filter.h"
#include "json.h"
#include "live.h"
#include "loop.h"
#include "model.h"
#include "options.h"
#include "plain.h"
#include "replay.h"
#include "session.h"
#include "summary.h"

struct options {
	bool batch, json, help, version, verbose, kprobes;
	unsigned long count;	/* outputs, 0: no end */
	double interval_s;
	enum iovab_tier tier;
	const char *device;
	unsigned long pid;
	unsigned long max_rows;
	const struct column *sort;
	bool reverse;
	const char *replay;
	double speed;
	__u64 bandwidth;	/* bytes a second, 0: not said */
};

struct top {
	struct options opts;
	enum text_charset charset;
	struct session *session;	/* with its collector, or ... */
	struct collector *collector;
	struct replay *replay;		/* ... where the facts come from instead */
	bool replayed;			/* to its end */
	__u64 facts_ns;			/* the time of the last facts */
	struct filter *filter;
	struct model *model;
	struct loop *loop;
	struct live *live;	/* NULL in batch mode */
	const struct iovab_snapshot *snapshot;
	unsigned long shown;
	bool told_waiting, warned;
};

#define SETTER(name) \
	static int set_##name(void *target, const char *value, struct iovab_error *e)
#define OPTS ((struct options *)target)

SETTER(batch) { OPTS->batch = true; return 0; }
SETTER(json) { OPTS->json = OPTS->batch = true; return 0; }
SETTER(help) { OPTS->help = true; return 0; }
SETTER(version) { OPTS->version = true; return 0; }
SETTER(kprobes) { OPTS->kprobes = true; return 0; }
SETTER(verbose) { OPTS->verbose = true; return 0; }
SETTER(reverse) { OPTS->reverse = true; return 0; }
SETTER(device) { OPTS->device = value; return 0; }
SETTER(count) { return options__count("count", value, &OPTS->count, e); }
SETTER(delay) { return options__seconds("delay", value, &OPTS->interval_s, e); }
SETTER(tier) { return options__tier("tier", value, &OPTS->tier, e); }
SETTER(replay) { OPTS->replay = value; return 0; }
SETTER(speed) { return options__factor("speed", value, &OPTS->speed, e); }
SETTER(bandwidth) { return options__bytes("bandwidth", value, &OPTS->bandwidth, e); }
SETTER(pid) { return options__count("pid", value, &OPTS->pid, e); }

SETTER(max_rows)
{
	if (options__count("max-rows", value, &OPTS->max_rows, e))
		return -1;
	if (OPTS->max_rows > IOVAB_MAX_SOURCES)
		return options__refuse_value("max-rows", "at most 2048", value, e);
	return 0;
}

SETTER(sort)
{
	char names[256] = "one of ";
	size_t i;

	OPTS->sort = columns__find(value);
	if (OPTS->sort)
		return 0;
	for (i = 0; i < columns__count(); i++) {
		strncat(names, i ? ", " : "", sizeof(names) - strlen(names) - 1);
		strncat(names, columns__at(i)->name, sizeof(names) - strlen(names) - 1);
	}
	return options__refuse_value("sort", names, value, e);
}

static const struct option_spec specs[] = {
	{ "batch", 'b', NULL, "plain tables instead of a screen", set_batch },
	{ "json", 'j', NULL, "one JSON object a device an interval (NDJSON); implies --batch", set_json },
	{ "count", 'n', "N", "end after N intervals", set_count },
	{ "delay", 'd', "SECONDS", "length of an interval (1)", set_delay },
	{ "tier", 't', "TIER", "windows, density or sets: what to measure, at what cost (density)", set_tier },
	{ "device", 'D', "NAME", "only devices of this name or vfioN; may be a shell pattern", set_device },
	{ "pid", 'p', "PID", "only devices of this process", set_pid },
	{ "max-rows", 'm', "N", "follow at most so many devices and owners (2048); more count as lost", set_max_rows },
	{ "sort", 's', "COLUMN", "sort by this column", set_sort },
	{ "reverse", 'r', NULL, "the other way round", set_reverse },
	{ "bandwidth", 'B', "SIZE", "bytes a second that a migration can send, like 1200M: does it converge?", set_bandwidth },
	{ "replay", 'R', "FILE", "show a recording of iovab record instead of this machine", set_replay },
	{ "speed", 'S', "FACTOR", "show it so many times as fast (1)", set_speed },
	{ "kprobes", 'k', NULL, "attach by kprobes, which is dearer, also where trampolines work", set_kprobes },
	{ "verbose", 'v', NULL, "also tell what is being done, and libbpf's messages, on stderr", set_verbose },
	{ "help", 'h', NULL, "print this and end", set_help },
	{ "version", 'V', NULL, "print the version and end", set_version },
	{}
};

static void print_help(void)
{
	printf("Usage: iovabtop [OPTION]...\n"
	       "Shows per device what DMA dirty tracking does while virtual machines migrate:\n"
	       "reports, windows of bitmap that the kernel pins, dirty pages, latencies.\n\n");
	options__print(specs, stdout);
	printf("\nKeys on the screen: h shows them. Exit codes: 0 fine, 1 failure, 2 wrong option,\n"
	       "3 not permitted, 4 no iova_bitmap in this kernel, 5 no BTF or BPF refused,\n"
	       "6 terminal cannot show the table, 7 iovab diff says worse. More in iovabtop(8).\n");
}

/* Tries to attach if that has not happened yet. -1 with @e set. */
static int attach(struct top *t, struct iovab_error *e)
{
	int ret;

	if (t->replay || session__attached(t->session))
		return 0;
	ret = session__attach(t->session, e);
	if (ret < 0)
		return -1;
	if (ret == 0) {
		if (t->opts.verbose && !t->live)
			fprintf(stderr, "iovabtop: attached, tier %s\n",
				model__tier_name(t->opts.tier));
	} else if (!t->told_waiting && t->opts.batch) {
		fprintf(stderr, "iovabtop: the module vfio is not loaded; waiting, will attach by itself\n");
		t->told_waiting = true;
	}
	return 0;
}

/* How long facts of a recording are shown: as long as those before them lasted. */
static double replay_pause(struct top *t, __u64 now_ns)
{
	double seconds = t->facts_ns ? (double)(now_ns - t->facts_ns) / 1e9 : 1;

	t->facts_ns = now_ns;
	seconds /= t->opts.speed;
	return seconds < 0.001 ? 0.001 : seconds;
}

/* The next facts of the recording. 1: there are no more, the last ones stay. */
static int next_replayed(struct top *t, const struct iovab_facts **facts, struct iovab_error *e)
{
	int err;

	*facts = replay__next(t->replay, e);
	if (!*facts) {
		t->replayed = true;
		return e->code ? -1 : 1;
	}
	t->opts.interval_s = replay_pause(t, (*facts)->time_ns);
	err = loop__start(t->loop, t->opts.interval_s);
	return err ? error__set(e, IOVAB_EXIT_FAILURE, "cannot set the clock: %s",
				strerror(-err)) : 0;
}

/* What works only in part is said once; not into a live screen. */
static void warn(struct top *t)
{
	const char *warning = session__warning(t->session);

	if (!warning || t->warned || t->live)
		return;
	fprintf(stderr, "iovabtop: %s\n", warning);
	t->warned = true;
}

static int collect(struct top *t, struct iovab_error *e)
{
	const struct iovab_facts *facts = NULL;
	int ret = 0;

	if (t->replay)
		ret = next_replayed(t, &facts, e);
	else
		facts = collector__collect(t->collector, e);
	if (ret > 0)
		return 0;
	if (!facts)
		return -1;
	if (!t->replay)
		warn(t);
	facts = filter__apply(t->filter, facts);
	if (facts)
		t->snapshot = model__update(t->model, facts);
	if (!facts || !t->snapshot)
		return error__set(e, IOVAB_EXIT_FAILURE, "out of memory");
	return 0;
}

/* Shows the snapshot. 1: the reader of stdout is gone; -1 with @e set. */
static int show(struct top *t, struct iovab_error *e)
{
	struct plain_options plain = {
		.width = text__output_width(),
		.charset = t->charset,
		.scope = COLUMNS_TOTAL,
		.sort = t->opts.sort,
		.reverse = t->opts.reverse,
	};
	int err;

	if (t->live) {
		live__draw(t->live, t->snapshot);
		return 0;
	}
	err = t->opts.json ? json__write(stdout, t->snapshot) :
			     plain__write(stdout, t->snapshot, &plain);
	if (!err && fflush(stdout))
		err = -errno;
	if (err == -EPIPE)
		return 1;
	return err ? error__set(e, IOVAB_EXIT_FAILURE, "cannot write the output: %s",
				strerror(-err)) : 0;
}

static int one_interval(struct top *t, struct iovab_error *e)
{
	if (attach(t, e) || collect(t, e))
		return -1;
	if (t->replayed)
		return t->live ? 0 : 1;
	t->shown++;
	return show(t, e);
}

/* What a key asks for. 1: to end. */
static int on_input(struct top *t, struct iovab_error *e)
{
	switch (live__input(t->live)) {
	case LIVE_QUIT:
		return 1;
	case LIVE_REFRESH:
		return attach(t, e) || collect(t, e) ? -1 : show(t, e);
	case LIVE_REDRAW:
		return show(t, e);
	case LIVE_NONE:
		break;
	}
	return 0;
}

/* 0: ended as asked; -1 with @e set. */
static int watch(struct top *t, struct iovab_error *e)
{
	struct loop_events events;
	int ret = t->live ? show(t, e) : 0;

	while (!ret) {
		ret = loop__wait(t->loop, t->live ? live__fd(t->live) : -1, &events);
		if (ret)
			return error__set(e, IOVAB_EXIT_FAILURE, "cannot wait: %s",
					  strerror(-ret));
		if (events.quit)
			break;
		if (events.tick && t->collector)
			collector__drain(t->collector);
		if (events.resized && t->live) {
			live__resize(t->live);
			ret = show(t, e);
		}
		if (!ret && events.input)
			ret = on_input(t, e);
		if (!ret && events.interval)
			ret = one_interval(t, e);
		if (t->opts.count && t->shown >= t->opts.count)
			break;
	}
	return ret < 0 ? -1 : 0;
}

static int open_screen(struct top *t, struct iovab_error *e)
{
	struct live_options o = {
		.sort = t->opts.sort ? t->opts.sort->name : NULL,
		.reverse = t->opts.reverse,
		.ascii = t->charset == TEXT_ASCII,
	};

	if (t->opts.batch || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		t->opts.batch = true;
		return 0;
	}
	t->live = live__open(&o);
	if (t->live)
		return 0;
	return error__set(e, IOVAB_EXIT_TERMINAL,
			  "this terminal (TERM=%.40s) cannot show the table: %s; use --batch",
			  getenv("TERM") ? getenv("TERM") : "", strerror(errno));
}

static int open_all(struct top *t, struct iovab_error *e)
{
	struct session_options so = {
		.tier = t->opts.tier,
		.verbose = t->opts.verbose,
		.kprobes = t->opts.kprobes,
		.max_sources = t->opts.max_rows,
	};
	int err;

	/* the strip of the detail screen is the only reader of window events */
	so.want_events = !t->opts.batch && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) &&
			 t->opts.tier >= IOVAB_TIER_DENSITY;
	/* what a round dirties says whether its migration converges */
	so.want_reports = t->opts.tier >= IOVAB_TIER_DENSITY;
	t->loop = loop__new();
	if (t->opts.replay) {
		t->replay = replay__open(t->opts.replay, e);
		if (!t->replay)
			return -1;
	} else {
		t->session = session__new(&so, e);
		if (!t->session)
			return -1;
		t->collector = collector__new(t->session);
	}
	t->filter = filter__new(t->opts.device, t->opts.pid);
	t->model = model__new();
	if (t->model)
		model__set_bandwidth(t->model, t->opts.bandwidth);
	if (!t->loop || (!t->collector && !t->replay) || !t->filter || !t->model)
		return error__set(e, IOVAB_EXIT_FAILURE, "cannot start: %s", strerror(errno));
	if (attach(t, e) || collect(t, e) || open_screen(t, e))
		return -1;
	err = loop__start(t->loop, t->opts.interval_s);
	return err ? error__set(e, IOVAB_EXIT_FAILURE, "cannot start the clock: %s",
				strerror(-err)) : 0;
}

static void close_all(struct top *t)
{
	live__close(&t->live);
	model__free(t->model);
	filter__free(t->filter);
	replay__close(t->replay);
	collector__free(t->collector);
	session__free(t->session);
	loop__free(t->loop);
}

/* The last figures: a last interval in batch mode, and the summary. */
static int conclude(struct top *t, struct iovab_error *e)
{
	live__close(&t->live);
	if (t->opts.json)
		return t->replay || (t->opts.count && t->shown >= t->opts.count) ?
		       0 : one_interval(t, e);
	if (!t->replay && collect(t, e))
		return -1;
	summary__write(stdout, t->snapshot, text__output_width(), t->charset);
	return fflush(stdout) && errno != EPIPE ?
		error__set(e, IOVAB_EXIT_FAILURE, "cannot write the output: %s", strerror(errno)) : 0;
}

int main(int argc, char **argv)
{
	struct top t = { .opts = { .interval_s = 1, .tier = IOVAB_TIER_DENSITY, .speed = 1 } };
	struct iovab_error e = {};
	int err;

	setlocale(LC_CTYPE, "");	/* numbers keep their decimal point */
	t.charset = text__locale_charset();
	if (options__parse(specs, &t.opts, argc, argv, &e))
		goto out;
	if (t.opts.help || t.opts.version) {
		if (t.opts.help)
			print_help();
		else
			printf("iovabtop " IOVAB_VERSION "\n");
		return IOVAB_EXIT_OK;
	}
	err = open_all(&t, &e);
	if (!err)
		err = watch(&t, &e);
	if (!err)
		conclude(&t, &e);
	close_all(&t);
out:
	if (e.code)
		fprintf(stderr, "iovabtop: %s\n", e.text);
	return e.code;
}
