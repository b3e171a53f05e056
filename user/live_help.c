// SPDX-License-Identifier: GPL-2.0-only
/* The help screen: keys, losses by name, signs, columns. */
#include <stdio.h>

#include "live_priv.h"

static void lay_out_columns(struct page *page)
{
	const struct column *column;
	char text[256];
	size_t i;

	page__title(page, "Columns", "those of this tier; what does not fit is left out");
	for (i = 0; i < columns__count(); i++) {
		column = columns__at(i);
		if (column->tier > page->live->tier)
			continue;
		page__add(page, 1, LOOK_KEY, column->title);
		snprintf(text, sizeof(text), "%s", column->help);
		page__add(page, 17, LOOK_PLAIN, text);
		page__next(page);
	}
}

static void lay_out_signs(struct page *page)
{
	static const char *const signs[][2] = {
		{ "-", "not measured: not in this tier, or nothing to measure" },
		{ "?", "unknown: a part was not seen, any number would be wrong" },
		{ "0", "looked, and there was none" },
		{ "faint row", "stale: its owner has ended, the figures stand" },
		{ "red, underlined", "wrong: errors, failed pins, lost bits or events" },
		{ "events lost", "events that are missing from the figures" },
		{ "minor", "losses that leave the figures right" },
		{ "cost", "of the BPF programs (sampled) and of this program" },
	};
	size_t i;

	page__title(page, "Signs", NULL);
	for (i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		page__add(page, 1, LOOK_KEY, signs[i][0]);
		page__add(page, 17, LOOK_PLAIN, signs[i][1]);
		page__next(page);
	}
}

/* In the order of struct iovab_losses. */
static const char *const loss_help[] = {
	"reports not followed: too many in flight",
	"reports not counted: too many devices and owners",
	"reports under way when iovabtop was started",
	"marks of reports that are not followed",
	"pins of reports that are not followed",
	"repins missed: too many windows to remember",
	"device names cut; no figure is wrong",
	"events: strips and the list of losses miss them",
	"marks that a recording misses; no figure is wrong",
	"BPF program runs that the kernel skipped",
	"requests of which it is not known for which device",
	"reports of which it is not known whether they failed",
	"reports that were not seen to end",
};

_Static_assert(sizeof(loss_help) / sizeof(loss_help[0]) == MODEL_LOSSES,
	       "every loss is explained");

void losses__lay_out(struct page *page, const struct iovab_losses *losses, bool all)
{
	char number[IOVAB_UNITS_LEN];
	enum look look;
	unsigned int i;
	__u64 count;

	for (i = 0; i < MODEL_LOSSES; i++) {
		count = model__loss(losses, i);
		if (!count && !all)
			continue;
		look = count ? LOOK_BAD : LOOK_FAINT;
		page__put(page, 1, 16, look, model__loss_name(i), false);
		page__put(page, 17, 10, look, units__count(number, sizeof(number), count), true);
		page__add(page, 29, LOOK_PLAIN, loss_help[i]);
		page__next(page);
	}
}

static void lay_out_help(struct page *page, const struct iovab_snapshot *snapshot)
{
	keys__lay_out(page);
	page__title(page, "Events lost", "every way to lose one, and how often it happened");
	losses__lay_out(page, &snapshot->losses, true);
	lay_out_signs(page);
	lay_out_columns(page);
}

void help__draw(struct live *live, const struct iovab_snapshot *snapshot)
{
	page__show(live, table__draw_header(live, snapshot), snapshot, lay_out_help);
}
