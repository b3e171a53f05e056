// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keys: one table says what each does, and the help screen and the hints at the
 * bottom are made from the same table, so that neither can be wrong.
 */
#include <stdio.h>
#include <string.h>
#include <wchar.h>

#include "live_priv.h"

#define KEY_CTRL(c)	((c) & 0x1f)
#define KEY_ESC		27
#define KEY_DEL		127

enum action {
	DO_NOTHING,
	DO_UP, DO_DOWN, DO_PAGE_UP, DO_PAGE_DOWN, DO_HOME, DO_END,
	DO_SORT_LEFT, DO_SORT_RIGHT, DO_SORT_BY, DO_REVERSE,
	DO_FILTER, DO_ESCAPE, DO_SCOPE, DO_PAUSE, DO_ENTER, DO_HELP,
	DO_REFRESH, DO_REPAINT, DO_BACK, DO_QUIT,
};

struct key {
	enum action action;
	int codes[5];		/* characters and KEY_*; the two do not overlap below 128 */
	const char *column;	/* DO_SORT_BY: by which */
	const char *keys;	/* how the help names them; NULL: in the line before */
	const char *help;
	const char *hint_key, *hint;	/* at the bottom, if any */
};

static const struct key keys[] = {
	{ DO_UP, { KEY_UP, 'k' }, NULL, "Up Down k j", "select a row; scroll", NULL, NULL },
	{ DO_DOWN, { KEY_DOWN, 'j' }, NULL, NULL, NULL, NULL, NULL },
	{ DO_PAGE_UP, { KEY_PPAGE, KEY_CTRL('b') }, NULL, "PgUp PgDn", "a screen at a time",
	  NULL, NULL },
	{ DO_PAGE_DOWN, { KEY_NPAGE, KEY_CTRL('f') }, NULL, NULL, NULL, NULL, NULL },
	{ DO_HOME, { KEY_HOME, 'g' }, NULL, "Home End g G", "first, last row", NULL, NULL },
	{ DO_END, { KEY_END, 'G' }, NULL, NULL, NULL, NULL, NULL },
	{ DO_ENTER, { '\r', '\n', KEY_ENTER }, NULL, "Enter", "one device in detail, and back",
	  "Enter", "detail" },
	{ DO_SORT_LEFT, { KEY_LEFT, '<', ',' }, NULL, "Left Right < >", "sort by another column",
	  "<>", "sort" },
	{ DO_SORT_RIGHT, { KEY_RIGHT, '>', '.' }, NULL, NULL, NULL, NULL, NULL },
	{ DO_REVERSE, { 'r', 'R' }, NULL, "r", "reverse the order", "r", "reverse" },
	{ DO_SORT_BY, { 'N' }, "device", "N", "sort by device name", NULL, NULL },
	{ DO_SORT_BY, { 'P' }, "pid", "P", "sort by owner's pid", NULL, NULL },
	{ DO_SORT_BY, { 'O' }, "reports", "O", "sort by reports", NULL, NULL },
	{ DO_SORT_BY, { 'L' }, "p99", "L", "sort by report latency", NULL, NULL },
	{ DO_SORT_BY, { 'W' }, "windows", "W", "sort by windows", NULL, NULL },
	{ DO_SORT_BY, { 'D' }, "dirty", "D", "sort by dirty bytes", NULL, NULL },
	{ DO_FILTER, { '/', 'f' }, NULL, "/ f", "filter by device, driver, vfio, comm, VM, pid", "/", "filter" },
	{ DO_ESCAPE, { KEY_ESC }, NULL, "Esc", "clear the filter; leave a screen", NULL, NULL },
	{ DO_SCOPE, { 't', 'T' }, NULL, "t", "figures of the total or of the last interval",
	  "t", "total/interval" },
	{ DO_PAUSE, { ' ', 'p' }, NULL, "Space p", "hold the screen; counting goes on",
	  "Space", "pause" },
	{ DO_REFRESH, { 'u', KEY_F(5) }, NULL, "u F5", "collect now", NULL, NULL },
	{ DO_REPAINT, { KEY_CTRL('l') }, NULL, "Ctrl-L", "paint the screen anew", NULL, NULL },
	{ DO_HELP, { 'h', '?', KEY_F(1) }, NULL, "h ? F1", "this help, and back", "h", "help" },
	{ DO_BACK, { 'q' }, NULL, "q", "leave this screen; in the table: quit", "q", "quit" },
	{ DO_QUIT, { KEY_F(10), KEY_CTRL('c'), 'Q' }, NULL, "F10 Ctrl-C", "quit", NULL, NULL },
};

#define N_KEYS	(sizeof(keys) / sizeof(keys[0]))
#define N_CODES	(sizeof(keys[0].codes) / sizeof(keys[0].codes[0]))

/* A key that sorts by a column there is not, or not in this tier, does not exist. */
static const struct column *sort_column(const struct live *live, const struct key *key)
{
	const struct column *column = columns__find(key->column);

	return column && column->tier <= live->tier ? column : NULL;
}

static const struct key *key_for(int code)
{
	size_t i, j;

	for (i = 0; i < N_KEYS && code; i++) {
		for (j = 0; j < N_CODES; j++) {
			if (keys[i].codes[j] == code)
				return &keys[i];
		}
	}
	return NULL;
}

static enum live_request open_screen(struct live *live, enum live_mode mode)
{
	if (mode == MODE_HELP)
		live->behind_help = live->mode;
	live->mode = mode;
	live->scroll = 0;
	return LIVE_REDRAW;
}

static enum live_request leave_screen(struct live *live)
{
	return open_screen(live, live->mode == MODE_HELP ? live->behind_help : MODE_TABLE);
}

static enum live_request set_pause(struct live *live, bool paused)
{
	live->paused = paused;
	live->pause_failed = false;
	return LIVE_REDRAW;
}

/* What a key does wherever one is. */
static enum live_request handle_anywhere(struct live *live, enum action action)
{
	switch (action) {
	case DO_QUIT:
		return LIVE_QUIT;
	case DO_REFRESH:
		return LIVE_REFRESH;
	case DO_REPAINT:
		clearok(curscr, TRUE);
		return LIVE_REDRAW;
	case DO_PAUSE:
		return set_pause(live, !live->paused);
	case DO_SCOPE:
		live->list.scope = live->list.scope == COLUMNS_TOTAL ? COLUMNS_INTERVAL :
								       COLUMNS_TOTAL;
		return LIVE_REDRAW;
	case DO_HELP:
		return live->mode == MODE_HELP ? leave_screen(live) :
						 open_screen(live, MODE_HELP);
	default:
		return LIVE_NONE;
	}
}

static enum live_request handle_page(struct live *live, enum action action)
{
	switch (action) {
	case DO_UP:
		live->scroll--;
		break;
	case DO_DOWN:
		live->scroll++;
		break;
	case DO_PAGE_UP:
		live->scroll -= live->page_height;
		break;
	case DO_PAGE_DOWN:
		live->scroll += live->page_height;
		break;
	case DO_HOME:
		live->scroll = 0;
		break;
	case DO_END:
		live->scroll = 1 << 20;	/* drawing puts it right */
		break;
	case DO_ESCAPE:
	case DO_BACK:
	case DO_ENTER:
		return leave_screen(live);
	default:
		return LIVE_NONE;
	}
	if (live->scroll < 0)
		live->scroll = 0;
	return LIVE_REDRAW;
}

static enum live_request handle_move(struct live_list *list, enum action action)
{
	switch (action) {
	case DO_UP:
		list__move(list, -1);
		break;
	case DO_DOWN:
		list__move(list, 1);
		break;
	case DO_PAGE_UP:
		list__move(list, -(long)list->height);
		break;
	case DO_PAGE_DOWN:
		list__move(list, (long)list->height);
		break;
	case DO_HOME:
		list__move_to(list, 0);
		break;
	case DO_END:
		list__move_to(list, list->n - 1);
		break;
	default:
		return LIVE_NONE;
	}
	return LIVE_REDRAW;
}

static enum live_request sort_by(struct live *live, const struct key *key)
{
	const struct column *column = sort_column(live, key);

	if (!column)
		return LIVE_NONE;
	live->list.sort = column;
	live->list.reverse = false;
	return LIVE_REDRAW;
}

/* Of which row, the next draw finds out: keys that came just before may have changed the list. */
static enum live_request open_detail(struct live *live)
{
	live->detail_id = 0;
	return open_screen(live, MODE_DETAIL);
}

static enum live_request handle_table(struct live *live, const struct key *key)
{
	struct live_list *list = &live->list;

	switch (key->action) {
	case DO_BACK:
		return LIVE_QUIT;
	case DO_ENTER:
		return open_detail(live);
	case DO_SORT_LEFT:
		list__sort_beside(list, -1, live->tier);
		break;
	case DO_SORT_RIGHT:
		list__sort_beside(list, 1, live->tier);
		break;
	case DO_SORT_BY:
		return sort_by(live, key);
	case DO_REVERSE:
		list->reverse = !list->reverse;
		break;
	case DO_FILTER:
		live->editing = true;
		break;
	case DO_ESCAPE:
		list->filter[0] = '\0';
		break;
	default:
		return handle_move(list, key->action);
	}
	return LIVE_REDRAW;
}

/* Drops the last character, all bytes of it. */
static void filter_drop(char *filter)
{
	size_t len = strlen(filter);

	while (len && ((unsigned char)filter[len - 1] & 0xc0) == 0x80)
		len--;
	if (len)
		len--;
	filter[len] = '\0';
}

/* Appends a character in the locale's encoding, if there is room for it. */
static void filter_append(char *filter, int code)
{
	char bytes[16];	/* MB_CUR_MAX is less */
	mbstate_t state = { 0 };
	size_t len = strlen(filter);
	size_t n;

	if (code < ' ')
		return;
	n = wcrtomb(bytes, (wchar_t)code, &state);
	if (n == (size_t)-1 || len + n >= LIVE_FILTER_LEN)
		return;
	memcpy(filter + len, bytes, n);
	filter[len + n] = '\0';
}

static enum live_request handle_filter(struct live *live, int code, bool is_function_key)
{
	char *filter = live->list.filter;

	if (is_function_key && code == KEY_F(10))
		return LIVE_QUIT;
	if (code == '\r' || code == '\n' || (is_function_key && code == KEY_ENTER)) {
		live->editing = false;
	} else if (code == KEY_ESC) {
		live->editing = false;
		filter[0] = '\0';
	} else if (code == KEY_CTRL('c')) {
		return LIVE_QUIT;
	} else if (code == KEY_CTRL('u')) {
		filter[0] = '\0';
	} else if (code == KEY_CTRL('h') || code == KEY_DEL ||
		   (is_function_key && code == KEY_BACKSPACE)) {
		filter_drop(filter);
	} else if (!is_function_key) {
		filter_append(filter, code);
	}
	return LIVE_REDRAW;
}

enum live_request keys__handle(struct live *live, int code, bool is_function_key)
{
	enum live_request request;
	const struct key *key;

	if (is_function_key && code == KEY_RESIZE)
		return LIVE_REDRAW;
	if (live->editing)
		return handle_filter(live, code, is_function_key);
	if (!is_function_key && code > KEY_DEL)
		return LIVE_NONE;	/* would look like a function key's code */
	key = key_for(code);
	if (!key)
		return LIVE_NONE;
	request = handle_anywhere(live, key->action);
	if (request != LIVE_NONE)
		return request;
	if (live->mode == MODE_TABLE)
		return handle_table(live, key);
	return handle_page(live, key->action);
}

static bool has_hint(const struct live *live, const struct key *key)
{
	if (!key->hint)
		return false;
	switch (key->action) {
	case DO_SORT_LEFT:
	case DO_REVERSE:
	case DO_FILTER:
	case DO_ENTER:
		return live->mode == MODE_TABLE;
	case DO_HELP:
	case DO_SCOPE:
		return live->mode != MODE_HELP;
	default:
		return true;
	}
}

static const char *hint_text(const struct live *live, const struct key *key)
{
	if (key->action == DO_BACK && live->mode != MODE_TABLE)
		return "back";
	if (key->action == DO_PAUSE && live->paused)
		return "resume";
	if (key->action == DO_SCOPE)
		return live->list.scope == COLUMNS_TOTAL ? "interval" : "total";
	return key->hint;
}

static int hint_width(const struct live *live, const struct key *key)
{
	return (int)(strlen(key->hint_key) + 1 + strlen(hint_text(live, key)) + 2);
}

/* Help and quit are worth more than the others: their room is set aside. */
void keys__draw_hints(const struct live *live, int y, int x, int room)
{
	const struct key *key;
	int used, reserved = 0;
	size_t i;

	for (i = 0; i < N_KEYS; i++) {
		key = &keys[i];
		if (has_hint(live, key) && (key->action == DO_HELP || key->action == DO_BACK))
			reserved += hint_width(live, key);
	}
	for (i = 0; i < N_KEYS; i++) {
		key = &keys[i];
		if (!has_hint(live, key))
			continue;
		if (key->action == DO_HELP || key->action == DO_BACK)
			reserved -= hint_width(live, key);
		else if (hint_width(live, key) + reserved > room)
			continue;
		used = screen__add(live, y, x, room, LOOK_KEY, key->hint_key) + 1;
		used += screen__add(live, y, x + used, room - used, LOOK_FAINT,
				    hint_text(live, key)) + 2;
		x += used;
		room -= used;
	}
}

void keys__lay_out(struct page *page)
{
	size_t i;

	page__title(page, "Keys", NULL);
	for (i = 0; i < N_KEYS; i++) {
		if (!keys[i].keys)
			continue;
		if (keys[i].action == DO_SORT_BY && !sort_column(page->live, &keys[i]))
			continue;
		page__add(page, 1, LOOK_KEY, keys[i].keys);
		page__add(page, 17, LOOK_PLAIN, keys[i].help);
		page__next(page);
	}
}
