// SPDX-License-Identifier: GPL-2.0-only
/*
 * Drawing primitives of the live view.
 *
 * Every text that reaches the terminal passes screen__put_attr(), which counts
 * in cells, not bytes, and never writes past the screen. The text must have
 * been escaped before (text__escape()), unless it is ours.
 *
 * Looks: colour is an addition, never the only sign. Without it (NO_COLOR,
 * or a terminal that has none) the same things are bold, faint or reversed.
 * Red means that something is wrong and is used for nothing else.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "live_priv.h"

#define MAX_CELLS	1024	/* of one piece of text */

enum pair {
	PAIR_BAD = 1,
	PAIR_NOTICE,
	PAIR_SORTED,
	PAIR_KEY,
	PAIR_BAR,
	PAIR_HEAT,		/* four of them */
};

static bool wants_colour(void)
{
	const char *no_color = getenv("NO_COLOR");

	return has_colors() && !(no_color && no_color[0]);
}

static attr_t pair_attr(int pair, short foreground, short background)
{
	if (init_pair((short)pair, foreground, background) == ERR)
		return A_NORMAL;
	return (attr_t)COLOR_PAIR(pair);
}

static void init_plain(attr_t *looks)
{
	attr_t faint = (termattrs() & A_DIM) ? A_DIM : A_NORMAL;

	looks[LOOK_PLAIN] = A_NORMAL;
	looks[LOOK_STRONG] = A_BOLD;
	looks[LOOK_FAINT] = faint;
	looks[LOOK_HEAD] = A_REVERSE;
	looks[LOOK_HEAD_SORTED] = A_REVERSE | A_BOLD;
	looks[LOOK_NOTICE] = A_REVERSE;
	looks[LOOK_BAD] = A_BOLD | A_UNDERLINE;
	looks[LOOK_KEY] = A_BOLD;
	looks[LOOK_BAR] = A_NORMAL;
	looks[LOOK_HEAT_1] = A_NORMAL;
	looks[LOOK_HEAT_2] = A_NORMAL;
	looks[LOOK_HEAT_3] = A_NORMAL;
	looks[LOOK_HEAT_4] = A_BOLD;
}

static void init_heat(attr_t *looks, short back)
{
	static const short many[] = { 24, 31, 38, 51 };
	static const short few[] = { COLOR_BLUE, COLOR_BLUE, COLOR_CYAN, COLOR_CYAN };
	const short *ramp = COLORS >= 256 ? many : few;
	int i;

	for (i = 0; i < 4; i++)
		looks[LOOK_HEAT_1 + i] = pair_attr(PAIR_HEAT + i, ramp[i], back);
	if (COLORS < 256)
		looks[LOOK_HEAT_4] |= A_BOLD;
}

void screen__init_looks(struct live *live)
{
	attr_t *looks = live->looks;
	short back = -1;

	init_plain(looks);
	if (!wants_colour() || start_color() == ERR)
		return;
	if (use_default_colors() == ERR)
		back = COLOR_BLACK;
	looks[LOOK_BAD] = A_BOLD | pair_attr(PAIR_BAD, COLOR_RED, back);
	looks[LOOK_NOTICE] = A_BOLD | pair_attr(PAIR_NOTICE, COLOR_YELLOW, back);
	looks[LOOK_HEAD_SORTED] = A_BOLD | A_REVERSE | pair_attr(PAIR_SORTED, COLOR_CYAN, back);
	looks[LOOK_KEY] = pair_attr(PAIR_KEY, COLOR_CYAN, back);
	looks[LOOK_BAR] = pair_attr(PAIR_BAR, COLOR_CYAN, back);
	init_heat(looks, back);
}

const char *screen__glyph(const struct live *live, const char *utf8, const char *ascii)
{
	return live->charset == TEXT_UTF8 ? utf8 : ascii;
}

void screen__put_attr(const struct live *live, int y, int x, int width, attr_t attr,
		      const char *text, bool right)
{
	char cells[4 * MAX_CELLS + 1];

	if (y < 0 || y >= LINES || x < 0 || x >= COLS)
		return;
	if (width > COLS - x)
		width = COLS - x;
	if (width > MAX_CELLS)
		width = MAX_CELLS;
	if (width <= 0)
		return;
	text__fit(cells, sizeof(cells), text, (size_t)width, right, live->charset);
	attrset(attr);
	mvaddstr(y, x, cells);
	attrset(A_NORMAL);
}

void screen__put(const struct live *live, int y, int x, int width, enum look look,
		 const char *text, bool right)
{
	screen__put_attr(live, y, x, width, live->looks[look], text, right);
}

int screen__add(const struct live *live, int y, int x, int room, enum look look,
		const char *text)
{
	int width = (int)text__width(text, live->charset);

	if (width > room)
		width = room;
	if (width <= 0)
		return 0;
	screen__put(live, y, x, width, look, text, false);
	return width;
}

/* The screen's line for the page's current one, or -1 if that is not shown. */
static int page__line(const struct page *page)
{
	int line = page->y - page->scroll;

	if (page->dry || line < 0 || line >= page->height)
		return -1;
	return page->top + line;
}

void page__put(struct page *page, int dx, int width, enum look look, const char *text,
	       bool right)
{
	int y = page__line(page);

	if (y < 0 || dx >= page->width)
		return;
	if (width > page->width - dx)
		width = page->width - dx;
	screen__put(page->live, y, page->x + dx, width, look, text, right);
}

int page__add(struct page *page, int dx, enum look look, const char *text)
{
	int width = (int)text__width(text, page->live->charset);

	if (width > page->width - dx)
		width = page->width - dx;
	if (width <= 0)
		return 0;
	page__put(page, dx, width, look, text, false);
	return width;
}

void page__next(struct page *page)
{
	page->y++;
	if (page->y > page->end)
		page->end = page->y;
}

void page__title(struct page *page, const char *title, const char *note)
{
	const char *rule = screen__glyph(page->live, "─", "-");
	char text[96];
	int dx;

	if (page->y)
		page__next(page);
	dx = page__add(page, 0, LOOK_STRONG, title) + 1;
	if (note) {
		snprintf(text, sizeof(text), "(%s)", note);
		dx += page__add(page, dx, LOOK_FAINT, text) + 1;
	}
	for (; dx < page->width; dx++)
		page__add(page, dx, LOOK_FAINT, rule);
	page__next(page);
}

static int lay_out(struct live *live, struct page *page, bool dry,
		   const struct iovab_snapshot *snapshot, page_fn fn)
{
	page->dry = dry;
	page->x = 1;
	page->width = COLS - 2;
	page->y = 0;
	page->end = 0;
	page->scroll = live->scroll;
	fn(page, snapshot);
	return page->end;
}

/* Key hints, and which part of the page is shown if it is not all of it. */
static void draw_page_footer(const struct live *live, int lines)
{
	int last = live->scroll + live->page_height;
	char text[64] = "";
	int width;

	if (lines > live->page_height)
		snprintf(text, sizeof(text), "lines %d-%d of %d", live->scroll + 1,
			 last < lines ? last : lines, lines);
	width = (int)strlen(text);
	screen__put(live, LINES - 1, COLS - 1 - width, width, LOOK_FAINT, text, true);
	keys__draw_hints(live, LINES - 1, 1, COLS - 4 - width);
}

void page__show(struct live *live, int top, const struct iovab_snapshot *snapshot, page_fn fn)
{
	int height = LINES - top - 1;
	struct page page = { .live = live, .top = top, .height = height };
	int lines = lay_out(live, &page, true, snapshot, fn);

	live->page_height = height;
	if (live->scroll > lines - height)
		live->scroll = lines - height;
	if (live->scroll < 0)
		live->scroll = 0;
	lay_out(live, &page, false, snapshot, fn);
	draw_page_footer(live, lines);
}
