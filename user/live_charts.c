// SPDX-License-Identifier: GPL-2.0-only
/*
 * Histograms as bars, and the strip of IOVA space.
 *
 * A bar's length is its count relative to the largest one of the chart, in
 * eighths of a cell where the terminal has the characters. A count that is not
 * zero always shows something.
 *
 * The strip shows how dense the dirty pages are, on a scale of four shades that
 * is the same for every device: relative to the hottest cell, a device that is
 * clean but for one page would look as busy as one that is all dirty. It is cut
 * to the cells that any window covered, and stretched to the width there is.
 */
#include <stdio.h>
#include <string.h>

#include "hist.h"
#include "live_priv.h"

#define COUNT_WIDTH	8
#define PERCENT_WIDTH	8
#define BAR_MAX_CELLS	512

static void repeat(char *buf, size_t size, const char *glyph, size_t n)
{
	size_t len = strlen(glyph), out = 0;

	while (n-- && out + len < size) {
		memcpy(buf + out, glyph, len);
		out += len;
	}
	buf[out] = '\0';
}

static void format_bar(char *buf, size_t size, const struct live *live, int cells,
		       __u64 count, __u64 largest)
{
	static const char *const eighth[] = { "", "▏", "▎", "▍", "▌", "▋", "▊", "▉" };
	size_t eighths, whole;

	if (cells > BAR_MAX_CELLS)
		cells = BAR_MAX_CELLS;
	eighths = largest ? (size_t)((double)count / (double)largest * cells * 8 + 0.5) : 0;
	if (live->charset == TEXT_ASCII) {
		whole = (eighths + 4) / 8;
		repeat(buf, size, "#", whole || !count ? whole : 1);
		return;
	}
	if (count && !eighths)
		eighths = 1;
	repeat(buf, size, "█", eighths / 8);
	strcat(buf, eighth[eighths % 8]);
}

void charts__bar(struct page *page, const char *label, int label_width, __u64 count,
		 __u64 largest, __u64 all, enum look look)
{
	int bar = page->width - label_width - COUNT_WIDTH - PERCENT_WIDTH - 3;
	char text[3 * BAR_MAX_CELLS + 8];
	char number[IOVAB_UNITS_LEN];

	page__put(page, 0, label_width, LOOK_PLAIN, label, true);
	if (bar > 0) {
		format_bar(text, sizeof(text), page->live, bar, count, largest);
		page__put(page, label_width + 1, bar, look, text, false);
	}
	page__put(page, page->width - COUNT_WIDTH - PERCENT_WIDTH - 1, COUNT_WIDTH,
		  count ? LOOK_PLAIN : LOOK_FAINT,
		  units__count(number, sizeof(number), count), true);
	if (all)
		page__put(page, page->width - PERCENT_WIDTH, PERCENT_WIDTH, LOOK_FAINT,
			  units__percent(number, sizeof(number), (double)count / (double)all),
			  true);
	page__next(page);
}

/* Buckets [first, last] of a histogram, @step of them to a line. */
struct bins {
	unsigned int first, last, step;
	__u64 largest, all;
};

static __u64 bin_count(const __u64 *hist, const struct bins *bins, unsigned int from)
{
	__u64 count = 0;
	unsigned int i;

	for (i = from; i < from + bins->step && i <= bins->last; i++)
		count += hist[i];
	return count;
}

/* Returns false if the histogram is empty. */
static bool bins__find(struct bins *bins, const __u64 *hist, unsigned int n, int max_lines)
{
	unsigned int i;

	bins->first = n;
	bins->all = 0;
	for (i = 0; i < n; i++) {
		if (!hist[i])
			continue;
		if (bins->first == n)
			bins->first = i;
		bins->last = i;
		bins->all += hist[i];
	}
	if (!bins->all)
		return false;
	for (bins->step = 1; (bins->last - bins->first) / bins->step >= (unsigned int)max_lines;)
		bins->step *= 2;
	bins->largest = 0;
	for (i = bins->first; i <= bins->last; i += bins->step) {
		if (bin_count(hist, bins, i) > bins->largest)
			bins->largest = bin_count(hist, bins, i);
	}
	return true;
}

static void none_yet(struct page *page, const char *text)
{
	page__add(page, 1, LOOK_FAINT, text);
	page__next(page);
}

static void latency_label(char *buf, size_t size, const struct live *live, __u64 low, __u64 high)
{
	char from[IOVAB_UNITS_LEN], to[IOVAB_UNITS_LEN];

	units__duration(from, sizeof(from), low, live->charset);
	if (high == ~0ULL) {
		snprintf(buf, size, "%s or more", from);
		return;
	}
	units__duration(to, sizeof(to), high, live->charset);
	if (low)
		snprintf(buf, size, "%s %s %s", from, screen__glyph(live, "–", "-"), to);
	else
		snprintf(buf, size, "below %s", to);
}

void charts__latency(struct page *page, const __u64 *hist, int max_lines)
{
	char label[2 * IOVAB_UNITS_LEN + 8];
	unsigned int i, last;
	struct bins bins;

	if (!bins__find(&bins, hist, IOVAB_HIST_BUCKETS, max_lines)) {
		none_yet(page, "nothing was counted");
		return;
	}
	for (i = bins.first; i <= bins.last; i += bins.step) {
		last = i + bins.step - 1;
		if (last >= IOVAB_HIST_BUCKETS)
			last = IOVAB_HIST_BUCKETS - 1;
		latency_label(label, sizeof(label), page->live, hist__lower_ns(i),
			      hist__upper_ns(last));
		charts__bar(page, label, 19, bin_count(hist, &bins, i), bins.largest, bins.all,
			    LOOK_BAR);
	}
}

static void density_label(char *buf, size_t size, const struct live *live, unsigned int bucket)
{
	double high = 100.0 / (double)(1 << (IOVAB_DENSITY_BUCKETS - 1 - bucket));
	const char *dash = screen__glyph(live, "–", "-");

	if (bucket == 0)
		snprintf(buf, size, "clean");
	else if (bucket == 1)
		snprintf(buf, size, "up to %.2g %%", high);
	else
		snprintf(buf, size, "%.3g %s %.3g %%", high / 2, dash, high);
}

/* All windows are in it, so the clean ones always have a line. */
void charts__density(struct page *page, const __u64 *hist)
{
	struct bins bins;
	char label[40];
	unsigned int i;

	if (!bins__find(&bins, hist, IOVAB_DENSITY_BUCKETS, IOVAB_DENSITY_BUCKETS)) {
		none_yet(page, "no window was scanned");
		return;
	}
	charts__bar(page, "clean", 19, hist[0], bins.largest, bins.all, LOOK_FAINT);
	for (i = 1; i < bins.last && !hist[i]; i++)
		;
	for (; i <= bins.last; i++) {
		density_label(label, sizeof(label), page->live, i);
		charts__bar(page, label, 19, hist[i], bins.largest, bins.all, LOOK_BAR);
	}
}

void charts__runs(struct page *page, const __u64 *hist)
{
	const char *dash = screen__glyph(page->live, "–", "-");
	char low[IOVAB_UNITS_LEN], high[IOVAB_UNITS_LEN];
	struct bins bins;
	char label[80];
	unsigned int i;

	if (!bins__find(&bins, hist, IOVAB_RUN_BUCKETS, IOVAB_RUN_BUCKETS)) {
		none_yet(page, "no mark was counted");
		return;
	}
	for (i = bins.first; i <= bins.last; i++) {
		units__count(low, sizeof(low), 1ULL << i);
		units__count(high, sizeof(high), (2ULL << i) - 1);
		if (i == 0)
			snprintf(label, sizeof(label), "1 page");
		else if (i == IOVAB_RUN_BUCKETS - 1)
			snprintf(label, sizeof(label), "%s pages or more", low);
		else
			snprintf(label, sizeof(label), "%s %s %s pages", low, dash, high);
		charts__bar(page, label, 19, hist[i], bins.largest, bins.all, LOOK_BAR);
	}
}

/* Cells [first, last] of the strip, those that some window covered. */
struct strip {
	const struct iovab_heat *heat;
	int first, last;
	int width;	/* of the screen */
};

static bool strip__find(struct strip *strip, const struct iovab_heat *heat, int width)
{
	int i;

	strip->heat = heat;
	strip->width = width;
	strip->first = IOVAB_CELLS;
	strip->last = -1;
	for (i = 0; i < IOVAB_CELLS; i++) {
		if (!heat->seen_bytes[i])
			continue;
		if (strip->first == IOVAB_CELLS)
			strip->first = i;
		strip->last = i;
	}
	return heat->valid && strip->last >= 0;
}

/* The cells that the column @x of the strip stands for, at least one. */
static void strip__cells(const struct strip *strip, int x, int *from, int *to)
{
	int n = strip->last - strip->first + 1;

	*from = strip->first + x * n / strip->width;
	*to = strip->first + (x + 1) * n / strip->width;
	if (*to <= *from)
		*to = *from + 1;
}

/* Dirty share of the column: < 0 if no window covered it. */
static double strip__density(const struct strip *strip, int x, bool interval)
{
	const struct iovab_heat *heat = strip->heat;
	double dirty = 0, bytes = 0;
	int i, from, to;

	strip__cells(strip, x, &from, &to);
	for (i = from; i < to; i++) {
		if (!heat->seen_bytes[i])
			continue;
		dirty += (double)(interval ? heat->interval_bytes[i] : heat->total_bytes[i]);
		bytes += interval ? (double)(1ULL << heat->cell_shift) :
				    (double)heat->seen_bytes[i];
	}
	return bytes > 0 ? dirty / bytes : -1;
}

struct shade {
	double up_to;
	const char *utf8, *ascii, *means;
	enum look look;
};

static const struct shade shades[] = {
	{ -1, " ", " ", "", LOOK_PLAIN },
	{ 0, "·", "-", "clean", LOOK_FAINT },
	{ 0.01, "░", ".", "to 1 %", LOOK_HEAT_1 },
	{ 0.1, "▒", ":", "to 10 %", LOOK_HEAT_2 },
	{ 0.5, "▓", "*", "to 50 %", LOOK_HEAT_3 },
	{ 1e9, "█", "#", "more", LOOK_HEAT_4 },
};

#define N_SHADES	(sizeof(shades) / sizeof(shades[0]))

static const struct shade *shade_of(double density)
{
	size_t i = 0;

	while (i < N_SHADES - 1 && density > shades[i].up_to)
		i++;
	return &shades[i];
}

static void strip__draw(struct page *page, const struct strip *strip, int dx, const char *label,
			bool interval)
{
	const struct shade *shade;
	int x;

	page__add(page, 0, LOOK_FAINT, label);
	for (x = 0; x < strip->width; x++) {
		shade = shade_of(strip__density(strip, x, interval));
		page__put(page, dx + x, 1, shade->look,
			  screen__glyph(page->live, shade->utf8, shade->ascii), false);
	}
	page__next(page);
}

static void strip__draw_scale(struct page *page, const struct strip *strip, int dx)
{
	const struct iovab_heat *heat = strip->heat;
	__u64 first = heat->iova + ((__u64)strip->first << heat->cell_shift);
	/* on the last byte: the end may be 2^64 */
	__u64 last = heat->iova + ((__u64)strip->last << heat->cell_shift) +
		     ((1ULL << heat->cell_shift) - 1);
	char text[64], size[IOVAB_UNITS_LEN];
	int used;

	snprintf(text, sizeof(text), "0x%llx", first);
	used = page__add(page, dx, LOOK_PLAIN, text);
	snprintf(text, sizeof(text), "0x%llx", last);
	page__put(page, dx + used + 1, strip->width - used - 1, LOOK_PLAIN, text, true);
	units__bytes(size, sizeof(size), last - first + 1 ? last - first + 1 : ~0ULL);
	snprintf(text, sizeof(text), " %s ", size);
	if (strip->width >= 56)
		page__put(page, dx + strip->width / 2 - 6, 14, LOOK_FAINT, text, false);
	page__next(page);
}

static void strip__draw_legend(struct page *page, int dx)
{
	size_t i;

	for (i = 1; i < N_SHADES; i++) {
		dx += page__add(page, dx, shades[i].look,
				screen__glyph(page->live, shades[i].utf8, shades[i].ascii));
		dx += page__add(page, dx + 1, LOOK_FAINT, shades[i].means) + 3;
	}
	page__add(page, dx, LOOK_FAINT, "blank: not seen");
	page__next(page);
}

void charts__heat(struct page *page, const struct iovab_row *row)
{
	const int dx = 10;
	struct strip strip;

	if (page->live->tier < IOVAB_TIER_DENSITY) {
		none_yet(page, "not measured in this tier: start with --tier density or sets");
		return;
	}
	if (!strip__find(&strip, &row->heat, page->width - dx)) {
		none_yet(page, "no window was seen yet");
		return;
	}
	strip__draw(page, &strip, dx, "total", false);
	if (row->has_interval)
		strip__draw(page, &strip, dx, "interval", true);
	strip__draw_scale(page, &strip, dx);
	strip__draw_legend(page, dx);
}
