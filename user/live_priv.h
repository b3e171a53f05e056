/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shared by the files of the live view, and by nobody else.
 *
 *	live.c		the terminal's life, pause, which screen is shown
 *	live_keys.c	keys to actions, and the hints at the bottom
 *	live_help.c	the help screen; losses by name
 *	live_list.c	which rows are shown in which order, and the selected one
 *	live_screen.c	the drawing primitives: looks, clipped text, scrolled pages
 *	live_table.c	the table of all devices
 *	live_detail.c	the figures of one device
 *	live_charts.c	histograms and the strip of IOVA space
 */
#ifndef IOVAB_LIVE_PRIV_H
#define IOVAB_LIVE_PRIV_H

#ifndef NCURSES_WIDECHAR
#define NCURSES_WIDECHAR 1	/* curses.h: declare the wide functions */
#endif
#include <curses.h>
#include <stdbool.h>
#include <stddef.h>

#include "columns.h"
#include "live.h"
#include "text.h"

#define LIVE_MIN_COLS	60
#define LIVE_MIN_LINES	12
#define LIVE_FILTER_LEN	96	/* bytes, with the NUL */

/* What a piece of text is, not how it looks: live_screen.c decides that. */
enum look {
	LOOK_PLAIN,
	LOOK_STRONG,		/* values in the header, titles */
	LOOK_FAINT,		/* labels, stale rows, what is not measured */
	LOOK_HEAD,		/* the table's head */
	LOOK_HEAD_SORTED,
	LOOK_NOTICE,		/* paused, filtered: the screen is not all there is */
	LOOK_BAD,		/* something is wrong */
	LOOK_KEY,
	LOOK_BAR,
	LOOK_HEAT_1,		/* in order: little to much */
	LOOK_HEAT_2,
	LOOK_HEAT_3,
	LOOK_HEAT_4,
	LOOKS
};

enum live_mode {
	MODE_TABLE,
	MODE_DETAIL,
	MODE_HELP,
};

/*
 * Rows that pass the filter, in order, as of the last draw. The selection is a
 * row's id, so that it stays on its device when the order changes; while the
 * row is not shown it falls to the one that took its place.
 */
struct live_list {
	const struct column *sort;
	bool reverse;
	enum columns_scope scope;
	char filter[LIVE_FILTER_LEN];

	const struct iovab_row **rows;	/* valid while a draw lasts */
	__u32 *ids;			/* the same rows' ids, valid until the next */
	size_t n, capacity;
	size_t index;		/* of the selected row, < n unless n is 0 */
	__u32 selected;		/* its id; 0: none yet */
	size_t top;		/* index of the first row on the screen */
	size_t height;		/* rows on the screen, at least 1 */
};

struct live {
	SCREEN *screen;
	WINDOW *keys;		/* a pad: reading from it paints nothing */
	attr_t looks[LOOKS];
	enum text_charset charset;

	enum live_mode mode;
	enum live_mode behind_help;	/* where leaving the help leads */
	struct live_list list;
	bool sort_by_default;	/* until a snapshot tells the tier */
	bool editing;		/* keys go to the filter */
	enum iovab_tier tier;	/* of the last snapshot, and so is ... */
	__u64 bandwidth;	/* ... this */
	__u32 detail_id;	/* whose details are shown; 0: of the row that is selected */
	int scroll;		/* first line of the page that is shown */
	int page_height;

	bool paused;
	bool frozen_valid;	/* the copy was taken */
	bool pause_failed;	/* no memory for it: say so */
	struct iovab_snapshot frozen;	/* owns rows and generation */
};

/* live_screen.c */

void screen__init_looks(struct live *live);

/* Text in exactly @width cells, cut or padded; clipped to the screen. */
void screen__put(const struct live *live, int y, int x, int width, enum look look,
		 const char *text, bool right);
/* The same with extra attributes (A_REVERSE for the selected row). */
void screen__put_attr(const struct live *live, int y, int x, int width, attr_t attr,
		      const char *text, bool right);
/* As much of @text as fits into @room cells, not padded; returns the cells used. */
int screen__add(const struct live *live, int y, int x, int room, enum look look,
		const char *text);
const char *screen__glyph(const struct live *live, const char *utf8, const char *ascii);

/*
 * A page: lines that may be more than the screen has. It is laid out twice, first
 * only to learn its height, then for real, scrolled: see page__show().
 */
struct page {
	const struct live *live;
	int top, height;	/* where on the screen */
	int scroll;
	bool dry;		/* measure only */
	int x, width;		/* of the column of text that is being written */
	int y;			/* current line, from the page's first on */
	int end;		/* lines so far: the most that y has reached */
};

typedef void (*page_fn)(struct page *page, const struct iovab_snapshot *snapshot);

/* Lays out and draws, from line @top down to a footer; keeps live->scroll inside. */
void page__show(struct live *live, int top, const struct iovab_snapshot *snapshot, page_fn fn);
/* On the current line, from cell @dx of the column on; returns the cells used. */
int page__add(struct page *page, int dx, enum look look, const char *text);
void page__put(struct page *page, int dx, int width, enum look look, const char *text,
	       bool right);
void page__next(struct page *page);
/* A heading, with a line before it unless it is the first. */
void page__title(struct page *page, const char *title, const char *note);

/* live_list.c: no ncurses in there */

/* Fills the list from the snapshot's rows. Returns 0 or -ENOMEM (the list is then empty). */
int list__update(struct live_list *list, const struct iovab_snapshot *snapshot);
void list__move(struct live_list *list, long by);
void list__move_to(struct live_list *list, size_t index);
/* Makes the column left (-1) or right (+1) of it the one to sort by. */
void list__sort_beside(struct live_list *list, int step, enum iovab_tier tier);
bool list__matches(const char *filter, const struct iovab_row *row);
void list__free(struct live_list *list);

/* live_keys.c */

enum live_request keys__handle(struct live *live, int code, bool is_function_key);
/* Key hints on the line @y, from cell @x on, as many as fit. */
void keys__draw_hints(const struct live *live, int y, int x, int room);
/* The table of keys, on a page. */
void keys__lay_out(struct page *page);

/* live_help.c */

void help__draw(struct live *live, const struct iovab_snapshot *snapshot);

/* Losses by name, those that are not zero or all of them. */
void losses__lay_out(struct page *page, const struct iovab_losses *losses, bool all);

/* live_table.c */

void table__draw(struct live *live, const struct iovab_snapshot *snapshot);
/* The lines above every screen; returns how many. */
int table__draw_header(struct live *live, const struct iovab_snapshot *snapshot);

/* live_detail.c */

void detail__draw(struct live *live, const struct iovab_snapshot *snapshot);

/* live_charts.c */

/* Bars of a latency histogram, its buckets merged to at most @max_lines. */
void charts__latency(struct page *page, const __u64 *hist, int max_lines);
void charts__density(struct page *page, const __u64 *hist);
void charts__runs(struct page *page, const __u64 *hist);
/* One bar with a label before and its count behind. */
void charts__bar(struct page *page, const char *label, int label_width, __u64 count,
		 __u64 largest, __u64 all, enum look look);
void charts__heat(struct page *page, const struct iovab_row *row);

#endif /* IOVAB_LIVE_PRIV_H */
