// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "live_priv.h"

#define ESCAPE_WAIT_MS	25	/* how long Esc may be the start of a longer key */

/* The first of these that the tier measures. */
static const char *const default_sort[] = { "dirty", "windows", "reports" };

/* ncurses takes these over, though the caller reads them from a signalfd. */
static const int callers_signals[] = { SIGINT, SIGTERM, SIGWINCH };

#define N_SIGNALS	(sizeof(callers_signals) / sizeof(callers_signals[0]))

static const struct column *default_column(enum iovab_tier tier)
{
	const struct column *column;
	size_t i;

	for (i = 0; i < sizeof(default_sort) / sizeof(default_sort[0]); i++) {
		column = columns__find(default_sort[i]);
		if (column && column->tier <= tier)
			return column;
	}
	return columns__at(0);
}

static int init_list(struct live_list *list, const struct live_options *options)
{
	list->sort = options->sort ? columns__find(options->sort) : columns__at(0);
	if (!list->sort)
		return -EINVAL;
	list->reverse = options->reverse;
	list->scope = options->interval_figures ? COLUMNS_INTERVAL : COLUMNS_TOTAL;
	list->height = 1;
	if (options->filter)
		strncpy(list->filter, options->filter, sizeof(list->filter) - 1);
	return 0;
}

/* newterm(), but the caller's signals stay the caller's. */
static SCREEN *open_screen(void)
{
	struct sigaction before[N_SIGNALS];
	SCREEN *screen;
	size_t i;

	for (i = 0; i < N_SIGNALS; i++)
		sigaction(callers_signals[i], NULL, &before[i]);
	screen = newterm(NULL, stdout, stdin);
	for (i = 0; i < N_SIGNALS; i++)
		sigaction(callers_signals[i], &before[i], NULL);
	return screen;
}

static int init_terminal(struct live *live)
{
	const char *term = getenv("TERM");

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return -ENOTTY;
	if (!term || !term[0] || !strcmp(term, "dumb"))
		return -EOPNOTSUPP;
	live->screen = open_screen();
	if (!live->screen)
		return -EOPNOTSUPP;
	live->keys = newpad(1, 1);
	if (!live->keys)
		return -ENOMEM;
	cbreak();
	noecho();
	nonl();
	set_escdelay(ESCAPE_WAIT_MS);
	keypad(live->keys, TRUE);
	nodelay(live->keys, TRUE);
	curs_set(0);
	screen__init_looks(live);
	return 0;
}

struct live *live__open(const struct live_options *options)
{
	static const struct live_options defaults;
	struct live *live;
	int err;

	if (!options)
		options = &defaults;
	live = calloc(1, sizeof(*live));
	if (!live)
		return NULL;
	live->tier = IOVAB_TIER_WINDOWS;
	live->sort_by_default = !options->sort;
	live->charset = options->ascii ? TEXT_ASCII : text__locale_charset();
	err = init_list(&live->list, options);
	if (!err)
		err = init_terminal(live);
	if (err) {
		live__close(&live);
		errno = -err;
		return NULL;
	}
	live__resize(live);
	return live;
}

int live__fd(const struct live *live)
{
	(void)live;
	return STDIN_FILENO;
}

bool live__paused(const struct live *live)
{
	return live->paused;
}

void live__resize(struct live *live)
{
	struct winsize size;

	(void)live;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || !size.ws_row || !size.ws_col)
		return;
	if (is_term_resized(size.ws_row, size.ws_col))
		resizeterm(size.ws_row, size.ws_col);
}

static void thaw(struct live *live)
{
	free((void *)live->frozen.rows);
	free((void *)live->frozen.generation);
	memset(&live->frozen, 0, sizeof(live->frozen));
	live->frozen_valid = false;
}

/* Returns 0 or -ENOMEM. */
static int freeze(struct live *live, const struct iovab_snapshot *snapshot)
{
	struct iovab_row *rows = calloc(snapshot->n_rows ? snapshot->n_rows : 1, sizeof(*rows));
	char *generation = snapshot->generation ? strdup(snapshot->generation) : NULL;

	if (!rows || (snapshot->generation && !generation)) {
		free(rows);
		free(generation);
		return -ENOMEM;
	}
	if (snapshot->n_rows)
		memcpy(rows, snapshot->rows, snapshot->n_rows * sizeof(*rows));
	live->frozen = *snapshot;
	live->frozen.rows = rows;
	live->frozen.generation = generation;
	live->frozen_valid = true;
	return 0;
}

/* What to draw: the fresh snapshot, or the copy of the one that was held. */
static const struct iovab_snapshot *choose(struct live *live, const struct iovab_snapshot *fresh)
{
	if (!live->paused) {
		if (live->frozen_valid)
			thaw(live);
		return fresh;
	}
	if (!live->frozen_valid && freeze(live, fresh) < 0) {
		live->paused = false;
		live->pause_failed = true;
		return fresh;
	}
	return &live->frozen;
}

static void draw_too_small(const struct live *live)
{
	char text[80];

	snprintf(text, sizeof(text), "terminal too small: need %dx%d, have %dx%d", LIVE_MIN_COLS,
		 LIVE_MIN_LINES, COLS, LINES);
	screen__add(live, 0, 0, COLS, LOOK_PLAIN, text);
}

/* Enter was pressed: on which row? Without any there is nothing to show. */
static void find_detail(struct live *live, const struct iovab_snapshot *snapshot)
{
	if (list__update(&live->list, snapshot) < 0 || !live->list.n)
		live->mode = MODE_TABLE;
	else
		live->detail_id = live->list.selected;
}

static void draw_mode(struct live *live, const struct iovab_snapshot *snapshot)
{
	if (live->mode == MODE_DETAIL && !live->detail_id)
		find_detail(live, snapshot);
	switch (live->mode) {
	case MODE_DETAIL:
		detail__draw(live, snapshot);
		break;
	case MODE_HELP:
		help__draw(live, snapshot);
		break;
	default:
		table__draw(live, snapshot);
		break;
	}
}

void live__draw(struct live *live, const struct iovab_snapshot *snapshot)
{
	live__resize(live);	/* a lost SIGWINCH must not last */
	snapshot = choose(live, snapshot);
	live->tier = snapshot->tier;
	live->bandwidth = snapshot->bandwidth;
	if (live->sort_by_default) {
		live->list.sort = default_column(live->tier);
		live->sort_by_default = false;
	}
	erase();
	if (COLS < LIVE_MIN_COLS || LINES < LIVE_MIN_LINES)
		draw_too_small(live);
	else
		draw_mode(live, snapshot);
	curs_set(live->editing ? 1 : 0);
	refresh();
}

static bool hung_up(void)
{
	struct pollfd fd = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&fd, 1, 0) > 0 && (fd.revents & (POLLHUP | POLLERR | POLLNVAL));
}

enum live_request live__input(struct live *live)
{
	enum live_request all = LIVE_NONE, request;
	wint_t code;
	int rc;

	if (hung_up())
		return LIVE_QUIT;
	while ((rc = wget_wch(live->keys, &code)) != ERR) {
		request = keys__handle(live, (int)code, rc == KEY_CODE_YES);
		if (request > all)
			all = request;
		if (all == LIVE_QUIT)
			break;
	}
	return all;
}

void live__close(struct live **livep)
{
	struct live *live = *livep;
	int err = errno;

	if (!live)
		return;
	*livep = NULL;
	if (live->keys)
		delwin(live->keys);
	if (live->screen) {
		endwin();
		delscreen(live->screen);
	}
	thaw(live);
	list__free(&live->list);
	free(live);
	errno = err;
}
