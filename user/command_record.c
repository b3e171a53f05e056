// SPDX-License-Identifier: GPL-2.0-only
/*
 * iovab record: the collector's facts into a file, until a signal comes or the
 * command that is watched has ended.
 *
 * The command is started when the programs are attached and the first facts
 * are written, so that nothing of it is missed. It is never signalled: to end
 * the recording must not end a migration.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "child.h"
#include "collector.h"
#include "command.h"
#include "loop.h"
#include "measure.h"
#include "model.h"
#include "options.h"
#include "recorder.h"
#include "session.h"
#include "text.h"

/* The kernel's ring is emptied five times a second: so much is 60,000 windows a second. */
#define RING_BYTES	(8U << 20)
/* That of marks twenty times a second: so much is half a second of marks in no order. */
#define MARK_RING_BYTES	(64ULL << 20)

struct options {
	struct measure measure;		/* first: measure.h wants it so */
	const char *output;
	double interval_s;
	__u64 max_bytes, mark_ring_bytes;
	bool no_marks, quiet, help;
};

#define SETTER(name) \
	static int set_##name(void *target, const char *value, struct iovab_error *e)
#define OPTS ((struct options *)target)

SETTER(output) { OPTS->output = value; return 0; }
SETTER(delay) { return options__seconds("delay", value, &OPTS->interval_s, e); }
SETTER(no_marks) { OPTS->no_marks = true; return 0; }
SETTER(quiet) { OPTS->quiet = true; return 0; }
SETTER(help) { OPTS->help = true; return 0; }

SETTER(max_size)
{
	if (options__bytes("max-size", value, &OPTS->max_bytes, e))
		return -1;
	if (OPTS->max_bytes < RECORDER_MIN_SIZE)
		return options__refuse_value("max-size", "at least 8M", value, e);
	return 0;
}

SETTER(buffer)
{
	__u64 size;

	if (options__bytes("buffer", value, &size, e))
		return -1;
	if (size < 64U << 10 || size > 1U << 30 || size & (size - 1))
		return options__refuse_value("buffer", "a power of two from 64K to 1G", value, e);
	OPTS->mark_ring_bytes = size;
	return 0;
}

static const struct option_spec specs[] = {
	{ "output", 'o', "FILE", "the recording; it must not be there yet", set_output },
	MEASURE_TIER,
	MEASURE_BUDGET("off; tier auto: 1"),
	{ "delay", 'd', "SECONDS", "how often to write (1): what a crash loses at most", set_delay },
	{ "max-size", 'S', "SIZE", "of the file (1G); beyond it the oldest detail goes, totals never", set_max_size },
	{ "no-marks", 'M', NULL, "in tier sets: only count marks, do not record each", set_no_marks },
	{ "buffer", 'B', "SIZE", "for marks on their way out of the kernel (64M)", set_buffer },
	MEASURE_KPROBES,
	{ "quiet", 'q', NULL, "show no progress", set_quiet },
	MEASURE_VERBOSE(", on stderr"),
	{ "help", 'h', NULL, "print this and end", set_help },
	{}
};

struct recording {
	struct options opts;
	struct session *session;
	struct collector *collector;
	struct recorder *recorder;
	struct loop *loop;
	char **command;			/* NULL: none */
	pid_t child;			/* 0: not started, or ended */
	bool progress;			/* a line on the terminal is kept up to date */
	bool told_waiting, told_warning, told_full, told_marks;
	__u64 told_drops;
	__u64 first_ns;
};

static void print_help(void)
{
	printf("Usage: iovab record -o FILE [OPTION]... [-- COMMAND [WORD]...]\n"
	       "Records what iovabtop shows, and each report and window, until COMMAND ends or\n"
	       "Ctrl-C. iovab report, replay, diff and export read it, on any machine.\n\n");
	options__print(specs, stdout);
}

static int attach(struct recording *r, struct iovab_error *e)
{
	int ret;

	if (session__attached(r->session))
		return 0;
	ret = session__attach(r->session, e);
	if (ret < 0)
		return -1;
	if (ret == 0) {
		if (r->opts.measure.verbose)
			fprintf(stderr, "iovab: attached, tier %s\n",
				model__tier_name(r->opts.measure.tier));
	} else if (!r->told_waiting) {
		fprintf(stderr, "iovab: the module vfio is not loaded; waiting, will attach by itself\n");
		r->told_waiting = true;
	}
	return 0;
}

/* Those that are missing from the totals, or from the windows, reports and marks. */
static __u64 events_lost(const struct iovab_losses *l)
{
	__u64 sum = 0;
	unsigned int i;

	for (i = 0; i < MODEL_LOSSES; i++)
		if (model__loss_counts(i))
			sum += model__loss(l, i);
	return sum + l->events_dropped + l->marks_dropped;
}

static void show_progress(const struct recording *r, const struct iovab_facts *f)
{
	const struct recorder_state *s = recorder__state(r->recorder);
	char bytes[IOVAB_UNITS_LEN], elapsed[IOVAB_UNITS_LEN];

	fprintf(stderr, "\r%s  %llu reports  %llu windows  %s  %llu events lost%s%s%s\033[K",
		units__duration(elapsed, sizeof(elapsed), f->time_ns - r->first_ns, TEXT_ASCII),
		(unsigned long long)s->reports, (unsigned long long)s->windows,
		units__bytes(bytes, sizeof(bytes), s->bytes),
		(unsigned long long)(events_lost(&f->losses) + s->events_failed +
				     s->marks_failed),
		f->budget.tier < f->tier ? "  over budget: TIER DROPPED to " : "",
		f->budget.tier < f->tier ? model__tier_name(f->budget.tier) : "",
		s->moments_failed ? "  NO ROOM on the file system" : "");
}

/* Each drop is said, where no line shows it as long as it lasts. */
static void tell_drop(struct recording *r, const struct iovab_facts *f)
{
	char limit[IOVAB_UNITS_LEN];

	if (f->budget.drops == r->told_drops)
		return;
	fprintf(stderr, "iovab: over the budget of %s of a CPU: measures at tier %s until the load has passed\n",
		units__percent(limit, sizeof(limit), (double)f->budget.limit_ppm / 1e6),
		model__tier_name(f->budget.tier));
	r->told_drops = f->budget.drops;
}

/* What works only in part is said once. */
static void warn(struct recording *r)
{
	const char *warning = session__warning(r->session);

	if (!warning || r->told_warning)
		return;
	fprintf(stderr, "%siovab: %s\n", r->progress ? "\r\033[K" : "", warning);
	r->told_warning = true;
}

/* Facts into the file. */
static int write_facts(struct recording *r, struct iovab_error *e)
{
	const struct iovab_facts *f = collector__collect(r->collector, e);
	const struct recorder_state *s = recorder__state(r->recorder);

	if (!f || recorder__write(r->recorder, f, e))
		return -1;
	if (!r->first_ns)
		r->first_ns = f->time_ns;
	if (r->progress)
		show_progress(r, f);
	else if (s->moments_failed && !r->told_full)
		fprintf(stderr, "iovab: no room on the file system: figures are kept, but not windows, reports and marks\n");
	else if (s->marks_failed && !r->told_marks)
		fprintf(stderr, "iovab: little room on the file system: it is kept for figures, and marks are not written\n");
	r->told_full |= s->moments_failed != 0;
	r->told_marks |= s->marks_failed != 0;
	if (!r->progress)
		tell_drop(r, f);
	warn(r);
	return 0;
}

static int start_command(struct recording *r, struct iovab_error *e)
{
	char safe[TEXT_ESCAPED_LEN];

	if (!r->command)
		return 0;
	r->child = child__start(r->command);
	if (r->child > 0)
		return 0;
	text__escape(safe, sizeof(safe), r->command[0], strlen(r->command[0]), TEXT_ASCII);
	return error__set(e, IOVAB_EXIT_FAILURE, "cannot start '%.200s': %s", safe,
			  strerror(-r->child));
}

/* Has the command ended? Tells if it did not end well. */
static bool command_ended(struct recording *r)
{
	int status;

	if (r->child <= 0 || !child__ended(r->child, &status))
		return false;
	r->child = 0;
	if (WIFSIGNALED(status))
		fprintf(stderr, "%siovab: the command was ended by signal %d\n",
			r->progress ? "\n" : "", WTERMSIG(status));
	else if (WEXITSTATUS(status))
		fprintf(stderr, "%siovab: the command ended with status %d\n",
			r->progress ? "\n" : "", WEXITSTATUS(status));
	return true;
}

static int watch(struct recording *r, struct iovab_error *e)
{
	struct loop_events events;
	int err;

	for (;;) {
		err = loop__wait(r->loop, -1, &events);
		if (err)
			return error__set(e, IOVAB_EXIT_FAILURE, "cannot wait: %s", strerror(-err));
		if (events.quit)
			return 0;
		if (events.tick)
			collector__tick(r->collector);
		if (command_ended(r))
			return 0;
		if (events.interval && (attach(r, e) || write_facts(r, e)))
			return -1;
	}
}

/* The words of the command, for whoever reads the recording. NULL: no memory. */
static char *command_line(char **words)
{
	char *line = NULL;
	size_t size;
	FILE *out = open_memstream(&line, &size);

	if (!out)
		return NULL;
	for (; *words; words++)
		fprintf(out, "%s%s", *words, words[1] ? " " : "");
	if (!fclose(out))
		return line;
	free(line);
	return NULL;
}

static int open_recorder(struct recording *r, struct iovab_error *e)
{
	char *line = r->command ? command_line(r->command) : NULL;
	struct recorder_options o = {
		.path = r->opts.output,
		.max_bytes = r->opts.max_bytes,
		.command = line,
	};

	r->recorder = recorder__new(&o, e);
	free(line);
	return r->recorder ? 0 : -1;
}

static int open_all(struct recording *r, struct iovab_error *e)
{
	struct session_options so = measure__session(&r->opts.measure, false);
	int err;

	so.want_events = true;
	so.want_marks = !r->opts.no_marks;
	so.ring_bytes = RING_BYTES;
	so.mark_ring_bytes = (unsigned int)r->opts.mark_ring_bytes;
	r->loop = loop__new();
	r->session = session__new(&so, e);
	if (!r->session)
		return -1;
	r->collector = collector__new(r->session);
	if (!r->loop || !r->collector)
		return error__set(e, IOVAB_EXIT_FAILURE, "cannot start: %s", strerror(errno));
	if (attach(r, e) || open_recorder(r, e) || write_facts(r, e))
		return -1;
	if (start_command(r, e)) {
		/* there is nothing in it */
		recorder__free(r->recorder);
		r->recorder = NULL;
		unlink(r->opts.output);
		return -1;
	}
	err = loop__start(r->loop, r->opts.interval_s);
	return err ? error__set(e, IOVAB_EXIT_FAILURE, "cannot start the clock: %s",
				strerror(-err)) : 0;
}

static void close_all(struct recording *r)
{
	recorder__free(r->recorder);
	collector__free(r->collector);
	session__free(r->session);
	loop__free(r->loop);
}

/* The last figures, and the file is closed. */
static int conclude(struct recording *r, struct iovab_error *e)
{
	struct recorder *recorder = r->recorder;
	int err = write_facts(r, e);

	if (r->progress)
		fputc('\n', stderr);
	if (err)
		return err;
	r->recorder = NULL;
	return recorder__end(recorder, e);
}

int command__record(int argc, char **argv, struct iovab_error *e)
{
	struct recording r = {
		.opts = { .measure = MEASURE_DEFAULT, .interval_s = 1, .max_bytes = 1ULL << 30,
			  .mark_ring_bytes = MARK_RING_BYTES },
	};
	int first, err;

	if (options__parse_words(specs, &r.opts, argc, argv, &first, e))
		return -1;
	if (r.opts.help) {
		print_help();
		return 0;
	}
	if (!r.opts.output)
		return error__set(e, IOVAB_EXIT_USAGE, "a file to record to is needed: -o FILE");
	if (first < argc)
		r.command = argv + first;
	r.progress = !r.opts.quiet && isatty(STDERR_FILENO);
	err = open_all(&r, e);
	err = err ? err : watch(&r, e);
	err = err ? err : conclude(&r, e);
	close_all(&r);
	return err;
}
