/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The live view: iovabtop on a terminal. The only module that knows ncurses.
 *
 * The caller owns the loop, the signals and the clock. It polls live__fd()
 * together with its own timer and signal descriptors, and
 *
 *	after each collection	model__update(), then live__draw(new snapshot)
 *	fd is readable, or hung up
 *				live__input(), then what it asks for
 *	SIGWINCH		live__resize(), then live__draw(last snapshot)
 *	SIGINT, SIGTERM, end, any fatal error
 *				live__close()
 *
 * live__draw() keeps no pointer into the snapshot, and live__input() and
 * live__resize() look at none, so the model may reuse its memory at any time.
 * Pausing concerns the screen alone: the first live__draw() after the key takes
 * a deep copy of the rows and that copy is drawn until the pause ends. The
 * caller goes on collecting and updating the model, so no interval is lost.
 *
 * Nothing here blocks. Of the signals only SIGTSTP is touched, and only where
 * its disposition is the default: ncurses then restores the terminal while the
 * program is stopped. Poll may therefore return EINTR.
 *
 * setlocale(LC_ALL, "") is the caller's, before live__open(). One at a time.
 */
#ifndef IOVAB_LIVE_H
#define IOVAB_LIVE_H

#include <stdbool.h>

#include "model.h"

struct live;

struct live_options {
	const char *sort;	/* a column's name; NULL: the default one */
	bool reverse;		/* against the column's natural order */
	const char *filter;	/* NULL or "": all rows */
	bool interval_figures;	/* start with the interval's figures, not the totals */
	bool ascii;		/* no character beyond ASCII, whatever the locale */
};

/* What live__input() asks of the caller. */
enum live_request {
	LIVE_NONE,
	LIVE_REDRAW,	/* call live__draw() with the last snapshot */
	LIVE_REFRESH,	/* collect now, do not wait for the interval */
	LIVE_QUIT,	/* the user has had enough, or the terminal is gone */
};

/*
 * Takes over the terminal on stdin and stdout. Returns NULL with errno set and
 * the terminal as it was:
 *	ENOTTY		stdin or stdout is no terminal
 *	EOPNOTSUPP	TERM is unset, unknown, or cannot place the cursor ("dumb")
 *	EINVAL		no column is named as options->sort says
 *	ENOMEM
 * For the first two the remedy is --batch. A terminal that is too small is not
 * an error: the screen says so until it is enlarged. @options may be NULL.
 */
struct live *live__open(const struct live_options *options);

/* The descriptor to poll for input. */
int live__fd(const struct live *live);

/* Draws a whole frame. @snapshot is only read during the call. */
void live__draw(struct live *live, const struct iovab_snapshot *snapshot);

/* Takes all keys that are waiting; returns the most urgent request of them. */
enum live_request live__input(struct live *live);

/* Asks the terminal for its size. */
void live__resize(struct live *live);

/* The screen stands still (or will from the next live__draw() on). */
bool live__paused(const struct live *live);

/*
 * Gives the terminal back as it was, frees, and sets *live to NULL: calling it
 * again does nothing. Keeps errno. Not for signal handlers.
 */
void live__close(struct live **live);

#endif /* IOVAB_LIVE_H */
