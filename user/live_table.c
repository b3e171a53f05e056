// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of all devices, and the header above every screen.
 *
 * The header has two lines where the screen is wide and three where it is not,
 * whatever the figures are: a table that moves up and down cannot be read. Only a
 * migration that does not converge has a line more, for it is what one is here for. In
 * each line what comes first is what must not be missing; what does not fit
 * behind it is left out.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "convergence.h"
#include "live_priv.h"

#define WIDE_COLS	100
#define WAITING_COLS	80	/* for the whole sentence */

/* A line that is filled from the left, with two cells between items. */
struct line {
	const struct live *live;
	int y, x;
};

static void __attribute__((format(printf, 4, 5)))
line__add(struct line *line, const char *label, enum look look, const char *format, ...)
{
	int label_width = label[0] ? (int)strlen(label) + 1 : 0;
	int room = COLS - 1 - line->x;
	char text[256];
	va_list args;
	int width;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	width = label_width + (int)text__width(text, line->live->charset);
	if (width > room && line->x > 1)
		return;
	screen__add(line->live, line->y, line->x, room, LOOK_FAINT, label);
	screen__add(line->live, line->y, line->x + label_width, room - label_width, look, text);
	line->x += width + 2;
}

static void line__start(struct line *line, int y)
{
	line->y = y;
	line->x = 1;
}

static void add_what(struct line *line, const struct iovab_snapshot *s)
{
	const struct live *live = line->live;
	char generation[256];

	line__add(line, "", LOOK_STRONG, "iovabtop");
	if (live->pause_failed)
		line__add(line, "", LOOK_BAD, "no memory to pause");
	else if (live->paused)
		line__add(line, "", LOOK_NOTICE, "PAUSED");
	if (s->state == IOVAB_STATE_WAITING)
		line__add(line, "", LOOK_NOTICE, "waiting for module vfio%s",
			  COLS >= WAITING_COLS ? " to be loaded: will attach by itself" : "");
	line__add(line, "tier", LOOK_STRONG, "%s", model__tier_name(s->tier));
	if (s->state == IOVAB_STATE_WAITING)
		return;
	text__escape(generation, sizeof(generation), s->generation ? s->generation : "unknown",
		     sizeof(generation), live->charset);
	line__add(line, "kernel", LOOK_STRONG, "%s", generation);
}

static void add_time(struct line *line, const struct iovab_snapshot *s)
{
	unsigned long up = (unsigned long)s->elapsed_s;

	line__add(line, "elapsed", LOOK_STRONG, "%lu:%02lu:%02lu", up / 3600, up / 60 % 60, up % 60);
	if (s->interval_s > 0)
		line__add(line, "every", LOOK_STRONG, "%.1f s", s->interval_s);
	line__add(line, "showing", LOOK_STRONG, "%s",
		  line->live->list.scope == COLUMNS_TOTAL ? "totals" : "interval");
}

/* Losses that leave the totals right: names cut, events of the heat strips. */
static __u64 minor_losses(const struct iovab_losses *losses)
{
	__u64 count = 0;
	unsigned int i;

	for (i = 0; i < MODEL_LOSSES; i++) {
		if (!model__loss_counts(i))
			count += model__loss(losses, i);
	}
	return count;
}

static void add_losses_and_cost(struct line *line, const struct iovab_snapshot *s)
{
	char bpf[IOVAB_UNITS_LEN], collector[IOVAB_UNITS_LEN], number[IOVAB_UNITS_LEN];
	__u64 minor = minor_losses(&s->losses);

	line__add(line, "events lost", s->events_lost ? LOOK_BAD : LOOK_STRONG, "%s",
		  units__count(number, sizeof(number), s->events_lost));
	if (minor)
		line__add(line, "minor", LOOK_BAD, "%s",
			  units__count(number, sizeof(number), minor));
	units__ratio_percent(bpf, sizeof(bpf), s->bpf_share);
	units__ratio_percent(collector, sizeof(collector), s->collector_share);
	line__add(line, "cost: BPF", LOOK_STRONG, "%s", bpf);
	line__add(line, "collector", LOOK_STRONG, "%s", collector);
	line__add(line, "", LOOK_FAINT, "of a CPU");
}

static void add_now(struct line *line, const struct iovab_snapshot *s)
{
	char pages[IOVAB_UNITS_LEN];

	line__add(line, "in flight", LOOK_STRONG, "%u", s->reports_in_flight);
	line__add(line, "pages pinned", LOOK_STRONG, "%s",
		  units__count(pages, sizeof(pages), s->pages_pinned_now));
}

/* What does not converge, as far as there is room: a line each. Returns the next line. */
static int draw_stuck(const struct live *live, int y, const struct iovab_snapshot *s)
{
	char *text = NULL;
	size_t i, size;

	for (i = 0; i < s->n_rows && y < LINES / 3; i++) {
		struct flow f = { .out = open_memstream(&text, &size), .charset = live->charset };
		bool stuck = f.out && convergence__put_stuck(&f, s, i);

		if (f.out && !fclose(f.out) && stuck)
			screen__add(live, y++, 1, COLS - 2, LOOK_BAD, text);
		free(text);
		text = NULL;
	}
	return y;
}

static int draw_lines(struct live *live, const struct iovab_snapshot *snapshot)
{
	struct line line = { .live = live };

	line__start(&line, 0);
	add_what(&line, snapshot);
	if (COLS >= WIDE_COLS) {
		add_time(&line, snapshot);
		line__start(&line, 1);
		add_losses_and_cost(&line, snapshot);
		add_now(&line, snapshot);
		return 2;
	}
	line__start(&line, 1);
	add_losses_and_cost(&line, snapshot);
	line__start(&line, 2);
	add_time(&line, snapshot);
	add_now(&line, snapshot);
	return 3;
}

int table__draw_header(struct live *live, const struct iovab_snapshot *snapshot)
{
	return draw_stuck(live, draw_lines(live, snapshot), snapshot);
}

/* The arrow stands in the gap behind a column, or right behind a title on the left. */
static void draw_sort_arrow(const struct live *live, int y, int x, int width)
{
	const struct live_list *list = &live->list;
	bool down = list->sort->descending != list->reverse;
	int at = list->sort->right ? width : (int)strlen(list->sort->title);

	screen__put(live, y, x + (at < width ? at : width), 1, LOOK_HEAD_SORTED,
		    down ? screen__glyph(live, "▼", "v") : screen__glyph(live, "▲", "^"), false);
}

static void draw_head(const struct live *live, int y, const struct columns_layout *layout)
{
	const struct column *column;
	int x = 1;
	size_t i;

	screen__put(live, y, 0, COLS, LOOK_HEAD, "", false);
	for (i = 0; i < layout->n; i++) {
		column = layout->cols[i].column;
		screen__put(live, y, x, (int)layout->cols[i].width,
			    column == live->list.sort ? LOOK_HEAD_SORTED : LOOK_HEAD,
			    column->title, column->right);
		if (column == live->list.sort)
			draw_sort_arrow(live, y, x, (int)layout->cols[i].width);
		x += (int)layout->cols[i].width + 1;
	}
}

static void draw_row(const struct live *live, int y, const struct columns_layout *layout,
		     const struct iovab_row *row, bool selected)
{
	attr_t base = live->looks[columns__row_is_bad(row) ? LOOK_BAD :
				  row->stale ? LOOK_FAINT : LOOK_PLAIN];
	attr_t over = selected ? A_REVERSE : A_NORMAL;
	const struct column *column;
	char text[COLUMNS_CELL_LEN];
	attr_t attr;
	int x = 1;
	size_t i;

	if (selected)
		screen__put_attr(live, y, 0, COLS, over, "", false);
	for (i = 0; i < layout->n; i++) {
		column = layout->cols[i].column;
		column->format(text, sizeof(text), row, live->list.scope, live->charset);
		attr = columns__is_bad(column, row, live->list.scope) ? live->looks[LOOK_BAD] :
									base;
		screen__put_attr(live, y, x, (int)layout->cols[i].width, attr | over, text,
				 column->right);
		x += (int)layout->cols[i].width + 1;
	}
}

/* Why there is no row: the reader should not have to guess. */
static void draw_empty(const struct live *live, int y, const struct iovab_snapshot *s)
{
	const char *first = "No report has ended yet.";
	const char *second = "A device's row appears when its dirty log is first read.";

	if (s->state == IOVAB_STATE_WAITING) {
		first = "Waiting for module vfio to be loaded:";
		second = "will attach by itself.";
	} else if (s->n_rows) {
		first = "No row has the filter's text.";
		second = "Esc clears the filter.";
	}
	screen__add(live, y + 1, 3, COLS - 4, LOOK_PLAIN, first);
	screen__add(live, y + 2, 3, COLS - 4, LOOK_PLAIN, second);
}

/* "3/12", "3/5 of 12" with a filter; at the right end. Returns its width. */
static int draw_position(const struct live *live, int y, const struct iovab_snapshot *s)
{
	const struct live_list *list = &live->list;
	char text[64];
	int width;

	if (list->n == s->n_rows)
		snprintf(text, sizeof(text), "%zu/%zu", list->n ? list->index + 1 : 0, list->n);
	else
		snprintf(text, sizeof(text), "%zu/%zu of %zu", list->n ? list->index + 1 : 0,
			 list->n, s->n_rows);
	width = (int)strlen(text);
	screen__put(live, y, COLS - 1 - width, width, LOOK_FAINT, text, true);
	return width;
}

/* Returns the cell behind it, where the cursor belongs while it is edited. */
static int draw_filter(const struct live *live, int y, int room)
{
	char text[6 * LIVE_FILTER_LEN + 1];
	int used;

	text__escape(text, sizeof(text), live->list.filter, LIVE_FILTER_LEN, live->charset);
	used = screen__add(live, y, 1, room, LOOK_NOTICE, "filter:") + 1;
	return 1 + used + screen__add(live, y, 1 + used, room - used, LOOK_STRONG, text);
}

static void draw_footer(const struct live *live, const struct iovab_snapshot *s)
{
	int y = LINES - 1;
	int room = COLS - 4 - draw_position(live, y, s);
	int x = 1;

	if (live->editing || live->list.filter[0])
		x = draw_filter(live, y, room);
	if (live->editing) {
		screen__add(live, y, x + 2, room - x - 1, LOOK_FAINT, "Enter keeps  Esc clears");
		move(y, x < COLS ? x : COLS - 1);
		return;
	}
	if (live->list.filter[0]) {
		x += 2;
		x += screen__add(live, y, x, room - x + 1, LOOK_FAINT, "Esc clears") + 2;
	}
	keys__draw_hints(live, y, x, room - x + 1);
}

void table__draw(struct live *live, const struct iovab_snapshot *snapshot)
{
	struct live_list *list = &live->list;
	int top = table__draw_header(live, snapshot);
	struct columns_layout layout;
	size_t i;

	list->height = (size_t)(LINES - top - 2);
	if (list__update(list, snapshot) < 0) {
		screen__add(live, top + 1, 3, COLS - 4, LOOK_BAD, "no memory to list the rows");
		return;
	}
	columns__fit(&layout, (unsigned int)COLS - 2, snapshot->tier, list->sort);
	draw_head(live, top, &layout);
	for (i = 0; i < list->height && list->top + i < list->n; i++)
		draw_row(live, top + 1 + (int)i, &layout, list->rows[list->top + i],
			 list->top + i == list->index);
	if (!list->n)
		draw_empty(live, top + 1, snapshot);
	draw_footer(live, snapshot);
}
