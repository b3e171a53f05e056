// SPDX-License-Identifier: GPL-2.0-only
/*
 * Drives the live view from made-up facts through the real model, with no
 * kernel: for tests/screen/run, and for looking at the screen while working on
 * it. Its loop is that of iovabtop: one poll over stdin, a timerfd, a signalfd.
 *
 * Figures follow from a row's number and from how many ticks went by, so that
 * a test knows what it must see: row i (from 0 on) dirties (i + 1) MiB a report
 * and ends one report a tick; --still keeps the figures as after 8 ticks.
 */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "live.h"

#define MIB		(1ULL << 20)
#define GIB		(1ULL << 30)
#define STILL_TICKS	8
#define WINDOW_BYTES	(64 * GIB)
#define STUCK_ROUNDS	8

struct demo {
	unsigned int rows;
	unsigned int tick;
	enum iovab_tier tier;
	long interval_ms;
	bool still, waiting, lossy, hostile, faulty, unknown, stuck;
	struct live_options view;

	struct iovab_source_fact *sources;
	struct iovab_window_event *windows;
	struct iovab_live_fact running;
	struct iovab_report_event reports[2 * STUCK_ROUNDS];
	struct iovab_facts facts;
	struct model *model;
	struct live *live;
	const struct iovab_snapshot *snapshot;
	unsigned long frames;
};

/* What a name may hold: each of these must stay inside its cell. */
static const char *const hostile_names[] = {
	"\033[31mred\033[2J", "two\nlines\ttab", "\xff\xfe\x80 bytes", "abc\xe2\x80\xae" "def",
	"\xe8\x99\x9a\xe6\x8b\x9f\xe6\x9c\xba", "e\xcc\x81\xcc\x81\xcc\x81", "\xc2\x9b" "31m",
	"back\\slash\"quote",
};

#define N_HOSTILE	(sizeof(hostile_names) / sizeof(hostile_names[0]))

static void fill_latency(struct iovab_latency *latency, __u64 count, __u64 typical_ns)
{
	static const unsigned int percent_of_typical[] = { 100, 80, 120, 100, 150, 90, 400, 105 };
	__u64 i, ns;

	memset(latency, 0, sizeof(*latency));
	latency->min_ns = ~0ULL;
	for (i = 0; i < count; i++) {
		ns = typical_ns * percent_of_typical[i % 8] / 100;
		latency->bucket[iovab_hist_index(ns)]++;
		latency->sum_ns += ns;
		if (ns < latency->min_ns)
			latency->min_ns = ns;
		if (ns > latency->max_ns)
			latency->max_ns = ns;
	}
}

static void name_source(const struct demo *demo, struct iovab_source_fact *source, unsigned int i)
{
	static const char *const drivers[] = { "mlx5_vfio_pci", "pds_vfio_pci", "vfio-pci" };
	const char *hostile = hostile_names[i % N_HOSTILE];
	struct iovab_source *c = &source->counters;

	snprintf(source->key.device, sizeof(source->key.device), "0000:%02x:%02x.%x",
		 0x3b + i / 256, i / 8 % 32, i % 8);
	snprintf(c->driver, sizeof(c->driver), "%s", drivers[i % 3]);
	snprintf(c->vfio, sizeof(c->vfio), "vfio%u", i);
	snprintf(c->comm, sizeof(c->comm), "qemu-system-x86");
	snprintf(source->vm, sizeof(source->vm), "web-%u", i + 1);
	if (demo->hostile) {
		snprintf(source->key.device, sizeof(source->key.device), "%s", hostile);
		snprintf(c->comm, sizeof(c->comm), "%s", hostile);
		snprintf(source->vm, sizeof(source->vm), "%s", hostile);
	}
}

static void fill_marks(struct iovab_source *c, __u64 ticks, unsigned int i)
{
	c->set_calls = ticks * 256 * (i + 1);
	c->marked_bytes = c->dirty_bytes + ticks * MIB / 2;
	c->marks_ascending = c->set_calls - ticks * 20;
	c->marks_descending = ticks * 15;
	c->marks_overlapping = ticks * 5;
	c->runs[0] = ticks * 100;
	c->runs[3] = ticks * 30;
	c->runs[8] = ticks;
}

static void fill_source(const struct demo *demo, struct iovab_source_fact *source, unsigned int i)
{
	struct iovab_source *c = &source->counters;
	__u64 ticks = demo->tick;

	memset(source, 0, sizeof(*source));
	source->key.pid = 4000 + i;
	source->key.client = IOVAB_CLIENT_VFIO;
	c->id = i + 1;
	name_source(demo, source, i);
	source->owner_gone = i == 3;
	c->last_length = 3 * WINDOW_BYTES + 8 * GIB;
	c->last_page_size = 4096;
	c->reports = ticks;
	c->range_bytes = ticks * c->last_length;
	c->windows = ticks * 4;
	c->pages_pinned = ticks * 1600;
	c->dirty_bytes = ticks * (i + 1) * MIB;
	c->windows_clean = ticks * (i % 4 + 1);
	c->density[0] = c->windows_clean;
	c->density[3] = ticks * (3 - i % 4) / 2;
	c->density[5] = c->windows - c->density[0] - c->density[3];
	fill_latency(&c->report, ticks, (i + 1) * 1100000ULL);
	fill_latency(&c->pin, ticks * 4, 42000);
	fill_marks(c, ticks, i);
	if (demo->faulty && i == 1) {
		c->report_errors = 2;
		c->pin_failures = 2;
		c->lost_bytes = 3 * MIB;
		c->marked_bytes += c->lost_bytes;
	}
	if (demo->unknown && i == 2)
		c->scan_skipped = 1;
}

/* One window of a report of row @i; its first part is hot, the rest is colder. */
static void fill_window(struct iovab_window_event *window, unsigned int i, unsigned int nth)
{
	unsigned int cell;

	memset(window, 0, sizeof(*window));
	window->source_id = i + 1;
	window->pages = 512;
	window->iova = nth * WINDOW_BYTES;
	window->length = nth == 3 ? 8 * GIB : WINDOW_BYTES;
	window->page_size = 4096;
	window->cell_shift = nth == 3 ? 15 : 18;
	for (cell = 0; nth != 1 && cell < IOVAB_CELLS; cell++) {
		window->cells[cell] = (nth == 3 ? 1U << 15 : 1U << 18) >> (cell / 4 + i % 4 * 2);
		window->dirty_pages += window->cells[cell];
	}
}

/* The first two rows are one VM's; in each round the first of them dirties 12 MiB, the other little. */
static void fill_reports(struct demo *demo, __u64 now_ns)
{
	unsigned int i;

	for (i = 0; i < 2 * STUCK_ROUNDS; i++) {
		__u64 start_ns = now_ns - (STUCK_ROUNDS - i / 2) * 2000000000ULL + i % 2 * 1000000;

		demo->reports[i] = (struct iovab_report_event){
			.kind = IOVAB_EVENT_REPORT, .source_id = 1 + i % 2, .start_ns = start_ns,
			.end_ns = start_ns + 500000, .length = GIB, .page_size = 4096,
			.dirty_pages = (i % 2 ? MIB / 8 : 12 * MIB) / 4096, .phase = IOVAB_PHASE_PRECOPY,
		};
	}
	demo->sources[1].key.pid = demo->sources[0].key.pid;
	demo->facts.reports = demo->reports;
	/* they come once */
	demo->facts.n_reports = demo->snapshot ? 0 : 2 * STUCK_ROUNDS;
}

static int make_facts(struct demo *demo)
{
	struct iovab_facts *facts = &demo->facts;
	struct timespec now;
	unsigned int i, n;

	if (!demo->still || demo->tick < STILL_TICKS)
		demo->tick = demo->still ? STILL_TICKS : demo->tick + 1;
	n = demo->waiting ? 0 : demo->rows;
	for (i = 0; i < n; i++) {
		fill_source(demo, &demo->sources[i], i);
		fill_window(&demo->windows[i], i, demo->tick % 4);
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	clock_gettime(CLOCK_REALTIME, &facts->wall);
	facts->time_ns = (__u64)now.tv_sec * 1000000000 + (__u64)now.tv_nsec;
	if (demo->stuck)
		fill_reports(demo, facts->time_ns);
	facts->state = demo->waiting ? IOVAB_STATE_WAITING : IOVAB_STATE_ATTACHED;
	facts->tier = demo->tier;
	facts->generation = demo->waiting ? NULL : "6.1, windows pinned in turn";
	facts->sources = demo->sources;
	facts->n_sources = n;
	facts->windows = demo->windows;
	facts->n_windows = demo->tier >= IOVAB_TIER_DENSITY ? n : 0;
	demo->running = (struct iovab_live_fact){
		.source_id = 1, .pages_pinned = 512, .start_ns = facts->time_ns - 12300000,
	};
	facts->live = &demo->running;
	facts->n_live = n ? 1 : 0;
	if (demo->lossy) {
		facts->losses.slots_full = 7;
		facts->losses.events_dropped = demo->tick;
	}
	facts->cost.collector_cpu_ns += 3000000;
	facts->cost.bpf_known = true;
	facts->cost.bpf_sampled_ns += 1000000000;
	facts->cost.bpf_run_ns += 1200000;
	return 0;
}

static int collect(struct demo *demo)
{
	const struct iovab_snapshot *snapshot;
	int err = make_facts(demo);

	if (err)
		return err;
	snapshot = model__update(demo->model, &demo->facts);
	if (!snapshot)
		return -errno;
	demo->snapshot = snapshot;
	return 0;
}

static void draw(struct demo *demo)
{
	live__draw(demo->live, demo->snapshot);
	demo->frames++;
}

/* Returns false when it is time to end. */
static bool handle_signal(struct demo *demo, int fd)
{
	struct signalfd_siginfo info;

	if (read(fd, &info, sizeof(info)) != sizeof(info))
		return true;
	if (info.ssi_signo != SIGWINCH)
		return false;
	live__resize(demo->live);
	draw(demo);
	return true;
}

static bool handle_input(struct demo *demo)
{
	switch (live__input(demo->live)) {
	case LIVE_QUIT:
		return false;
	case LIVE_REFRESH:
		if (collect(demo) < 0)
			return false;
		draw(demo);
		break;
	case LIVE_REDRAW:
		draw(demo);
		break;
	default:
		break;
	}
	return true;
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

static int open_timer(long ms)
{
	struct itimerspec every = {
		.it_interval = { ms / 1000, ms % 1000 * 1000000 },
		.it_value = { ms / 1000, ms % 1000 * 1000000 },
	};
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);

	if (fd >= 0)
		timerfd_settime(fd, 0, &every, NULL);
	return fd;
}

static int run(struct demo *demo, int signals, int timer)
{
	struct pollfd fds[] = {
		{ .fd = live__fd(demo->live), .events = POLLIN },
		{ .fd = timer, .events = POLLIN },
		{ .fd = signals, .events = POLLIN },
	};
	__u64 ticks;
	int err;

	draw(demo);
	for (;;) {
		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			return -errno;
		if (fds[2].revents && !handle_signal(demo, signals))
			return 0;
		if (fds[1].revents && read(timer, &ticks, sizeof(ticks)) > 0) {
			err = collect(demo);
			if (err)
				return err;
			draw(demo);
		}
		if (fds[0].revents && !handle_input(demo))
			return 0;
	}
}

static const char *open_error(int err)
{
	switch (err) {
	case ENOTTY:
		return "stdin or stdout is no terminal: use --batch";
	case EOPNOTSUPP:
		return "TERM is unset, unknown or cannot place the cursor: use --batch";
	case EINVAL:
		return "no such column";
	default:
		return strerror(err);
	}
}

static int parse(struct demo *demo, int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "n:t:m:k:f:RIAswlhbuc")) != -1) {
		switch (opt) {
		case 'n': demo->rows = (unsigned int)atoi(optarg); break;
		case 't': demo->tier = (enum iovab_tier)atoi(optarg); break;
		case 'm': demo->interval_ms = atol(optarg); break;
		case 'k': demo->view.sort = optarg; break;
		case 'f': demo->view.filter = optarg; break;
		case 'R': demo->view.reverse = true; break;
		case 'I': demo->view.interval_figures = true; break;
		case 'A': demo->view.ascii = true; break;
		case 's': demo->still = true; break;
		case 'w': demo->waiting = true; break;
		case 'l': demo->lossy = true; break;
		case 'h': demo->hostile = true; break;
		case 'b': demo->faulty = true; break;
		case 'u': demo->unknown = true; break;
		case 'c': demo->stuck = true; break;
		default:
			return -EINVAL;
		}
	}
	return 0;
}

static void report(const struct demo *demo)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	printf("live_demo: ended, %lu frames, %ld ms of CPU\n", demo->frames,
	       (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
	       (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000);
}

int main(int argc, char **argv)
{
	struct demo demo = { .rows = 5, .tier = IOVAB_TIER_SETS, .interval_ms = 1000 };
	int err, signals, timer;

	setlocale(LC_ALL, "");
	if (parse(&demo, argc, argv) < 0) {
		fprintf(stderr, "usage: live_demo [-n rows] [-t tier 1-3] [-m interval ms] "
			"[-k column] [-f filter] [-R reverse] [-I interval] [-A ascii]\n"
			"  [-s still] [-w waiting] [-l losses] [-h hostile names] [-b faults] "
			"[-u unknown] [-c does not converge]\n");
		return 2;
	}
	demo.sources = calloc(demo.rows + 1, sizeof(*demo.sources));
	demo.windows = calloc(demo.rows + 1, sizeof(*demo.windows));
	demo.model = model__new();
	err = -ENOMEM;
	if (!demo.sources || !demo.windows || !demo.model)
		goto out;
	err = collect(&demo);
	if (err)
		goto out;
	signals = open_signals();
	timer = open_timer(demo.interval_ms);
	demo.live = live__open(&demo.view);
	if (!demo.live) {
		fprintf(stderr, "live_demo: %s\n", open_error(errno));
		err = -errno;
		goto out_fds;
	}
	err = run(&demo, signals, timer);
	live__close(&demo.live);
	live__close(&demo.live);	/* a second time must do no harm */
	if (!err)
		report(&demo);
out_fds:
	close(timer);
	close(signals);
out:
	model__free(demo.model);
	free(demo.windows);
	free(demo.sources);
	return err ? 1 : 0;
}
