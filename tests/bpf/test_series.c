// SPDX-License-Identifier: GPL-2.0-only
/*
 * The counting of marks (bpf/mark.h, series.h, whatif.h), compiled for this machine and
 * held against a count of each mark by itself.
 *
 * Reports of a few hundred marks each: marks of one length or of any, in any order, with
 * runs, over the ends of the range and of the window, over ranges and bitmaps that begin
 * anywhere. What is compared: marks, pages, runs, order, overshoot and loss of an eager
 * kernel, and what the policies lazy and cached would have pinned.
 *
 * host.h stands for the kernel. Here each map has one value, and there is no memory.
 */
#include "host.h"
#include "mark.h"

static struct report the_report;
static struct what_if the_what_if;

static void *map_lookup(void *map, const void *key)
{
	if (map == (void *)&reports)
		return &the_report;
	if (map == (void *)&what_ifs)
		return &the_what_if;
	return NULL;	/* window_starts: each window is a new one */
}

static long copy(void *to, __u32 size, const void *from)
{
	return -1;
}

/* --- the count of each mark by itself --- */

struct model {
	__u64 set_calls, marked, overshoot, lost, descending, overlapping;
	__u64 runs[IOVAB_RUN_BUCKETS];
	__u64 run, prev_start, prev_last;
	__u64 lazy_windows, lazy_pages, lazy_past;	/* its end, as a bit */
	__u64 lazy_first, lazy_last;		/* iova */
	__u64 cached_windows, cached_pages;
	struct {
		__u64 number, windows, used;	/* used 0: there is none */
	} table[IOVAB_TABLES_MAX];
	__u64 clock;
	bool any;
};

static __u64 least(__u64 a, __u64 b)
{
	return a < b ? a : b;
}

static void model_run_end(struct model *m)
{
	if (m->run)
		m->runs[run_bucket(m->run)]++;
	m->run = 0;
}

/* A kernel compares addresses, and goes on with what is left in whole pages. */
static void model_lazy(struct model *m, __u64 start, __u64 last)
{
	const struct report *r = &the_report;
	__u64 bits = ((r->length - 1) >> r->page_shift) + 1, range_last = r->iova + r->length - 1;
	__u64 bytes = (bits - 1) / 8 + 1, byte, pages, skew, end;

	for (;;) {
		byte = ((start - r->iova) >> r->page_shift) / 8;
		if (!m->lazy_windows || start < m->lazy_first || last > m->lazy_last) {
			if (byte >= bytes)
				return;
			skew = (r->bitmap_addr + byte) % 4096;
			pages = least((bytes - byte + 4095) / 4096 + !!skew, 512);
			m->lazy_windows++;
			m->lazy_pages += pages;
			m->lazy_past = (byte + pages * 4096 - skew) * 8;
			m->lazy_first = r->iova + (byte * 8 << r->page_shift);
			m->lazy_last = least(r->iova + (least(m->lazy_past, bytes * 8) << r->page_shift) - 1,
					     range_last);
		}
		end = ((last - r->iova) >> r->page_shift) + 1;
		if (end <= m->lazy_past)
			return;
		start = last + 1 - ((end - m->lazy_past) << r->page_shift);
	}
}

/* Tables of 512 pages of bitmap, 16 of them, in windows of 32: each page that a mark touches. */
static void model_cached(struct model *m, __u64 first, __u64 last)
{
	const struct report *r = &the_report;
	__u64 skew = r->bitmap_addr % 4096 * 8, bits = ((r->length - 1) >> r->page_shift) + 1;
	__u64 last_page = (bits - 1 + skew) / 32768, page, window;
	__u32 i, oldest;

	if (first >= bits)
		return;
	for (page = (first + skew) / 32768; page <= (least(last, bits - 1) + skew) / 32768; page++) {
		for (i = oldest = 0; i < IOVAB_TABLES_MAX; i++) {
			if (m->table[i].used && m->table[i].number == page / 512)
				break;
			if (m->table[i].used < m->table[oldest].used)
				oldest = i;
		}
		if (i == IOVAB_TABLES_MAX) {
			i = oldest;
			m->table[i].number = page / 512;
			m->table[i].windows = 0;
		}
		m->table[i].used = ++m->clock;
		window = page % 512 / 32;
		if (m->table[i].windows >> window & 1)
			continue;
		m->table[i].windows |= 1ULL << window;
		m->cached_windows++;
		m->cached_pages += least(page / 32 * 32 + 31, last_page) - page / 32 * 32 + 1;
	}
}

static void model_mark(struct model *m, __u64 start, __u64 length)
{
	const struct report *r = &the_report;
	__u64 last = start + length - 1, pages = ((r->length - 1) >> r->page_shift) + 1;
	__u64 first_page = (start - r->iova) >> r->page_shift;
	__u64 last_page = (last - r->iova) >> r->page_shift, inside_last;
	__u64 past = r->window_page + r->window_pages;

	m->set_calls++;
	if (!m->any || start != m->prev_last + 1) {
		model_run_end(m);
		if (m->any && last < m->prev_start)
			m->descending++;
		else if (m->any && start <= m->prev_last)
			m->overlapping++;
	}
	m->any = true;
	m->prev_start = start;
	m->prev_last = last;
	inside_last = least(last_page, pages - 1);
	if (last_page >= pages)
		m->overshoot += last_page - (first_page > pages ? first_page : pages) + 1;
	if (first_page < pages) {
		m->marked += inside_last - first_page + 1;
		m->run += inside_last - first_page + 1;
		if (!lazy && first_page < r->window_page)
			m->lost += inside_last - first_page + 1;
		else if (!lazy && inside_last >= past)
			m->lost += inside_last - (first_page > past ? first_page : past) + 1;
	}
	model_lazy(m, start, last);
	model_cached(m, first_page, last_page);
}

/* --- a report --- */

static __u64 seed;

static __u64 dice(__u64 sides)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (seed >> 33) % sides;
}

static __u64 dice_wide(__u64 sides)
{
	return (dice(1ULL << 31) << 31 | dice(1ULL << 31)) % sides;
}

/* As the programs do it. */
static void mark(__u64 start, __u64 length)
{
	struct iovab_series *s = series_at(0);

	if (mark_in_series(s, start, length, true) || mark_in_series(s, start, length, false))
		return;
	mark_apart(s, 0, start, length);
}

static void pin(__u64 first_page, __u64 pages)
{
	the_report.window_page = first_page;
	the_report.window_pages = pages;
	mark_pinned(0, &the_report);
}

static void report_prepare(void)
{
	memset(&the_report, 0, sizeof(the_report));
	the_what_if = no_marks;
	series_reset(0, 1);
	the_report.page_shift = 12 + dice(3) * 2;
	the_report.iova = dice(2) ? 0 : dice_wide(1ULL << 40) << 12;
	if (!dice(4))
		the_report.iova += 512 + dice(4096);
	the_report.length = (1 + dice_wide(dice(2) ? 100 : dice(3) ? 40ULL << 20 : 1ULL << 30)) << the_report.page_shift;
	if (!dice(4))
		the_report.length -= dice(1ULL << the_report.page_shift);
	the_report.bitmap_addr = (1ULL << 40) + (dice(2) ? 0 : dice(4096));
	/* as after many windows: repins are not looked for, so descents are counted */
	the_what_if.pins[IOVAB_POLICY_LAZY].repins_unknown = dice(2);
}

/* How the next mark lies to the one before. */
static __u64 next_page(__u64 page, __u64 mark_pages, __u64 before_pages, __u64 pages, __u32 habit)
{
	switch (habit) {
	case 0: return page + before_pages + dice(3) * dice(40);	/* runs, and gaps */
	case 1: return page < mark_pages + 3 ? 0 : page - mark_pages - dice(3);	/* descending */
	case 2: return page;
	default: return dice_wide(pages);
	}
}

static void play(struct model *m, __u32 marks)
{
	const struct report *r = &the_report;
	__u64 pages = ((r->length - 1) >> r->page_shift) + 1, page = 0, before_pages = 0, length;
	__u64 size = 1ULL << r->page_shift, mark_pages = 1 + dice(3) * dice(50);
	__u32 i, habit = dice(4), steady = dice(3), windows = dice(4);
	bool whole = dice(4);

	if (lazy || !windows)
		pin(0, pages);
	for (i = 0; i < marks; i++) {
		if (!lazy && windows && i % (marks / windows + 1) == 0) {
			/* a window begins with a byte of bitmap */
			__u64 each = (pages / windows + 8) & ~7ULL, first = i / (marks / windows + 1) * each;

			if (first < pages)
				pin(first, least(each, pages - first));
		}
		if (!dice(40))
			habit = dice(4);
		if (!steady && !dice(3))
			mark_pages = 1 + dice(3) * dice(50);
		page = next_page(page, mark_pages, before_pages, pages, dice(20) ? habit : dice(4));
		if (page >= pages && dice(10))
			page = dice_wide(pages);
		length = mark_pages * size;
		if (!whole && !dice(10))
			length += 1 + dice(size - 1);
		mark(r->iova + page * size, length);
		model_mark(m, r->iova + page * size, length);
		before_pages = mark_pages;
	}
	mark_finish(series_at(0), 0);
	model_run_end(m);
}

static void check_report(__u64 number)
{
	const struct iovab_pins *pins = &the_what_if.pins[IOVAB_POLICY_LAZY];
	struct model m = { 0 };
	__u64 lost = 0;
	__u32 i;

	seed = number;
	report_prepare();
	play(&m, 300);
	for (i = 0; i < IOVAB_LOST_REASONS; i++)
		lost += the_report.lost_pages[i];
#define SAME(what, seen, expected) do {						\
	if ((seen) != (expected))						\
		fail_msg("report %llu, %s: %llu, not %llu", number, what,	\
			 (__u64)(seen), (__u64)(expected));			\
} while (0)
	SAME("marks", series_at(0)->set_calls, m.set_calls);
	SAME("marked", the_report.marked_pages, m.marked);
	SAME("overshoot", the_report.overshoot_pages, m.overshoot);
	SAME("lost", lost, m.lost);
	SAME("descending", the_report.descending, m.descending);
	SAME("overlapping", the_report.overlapping, m.overlapping);
	for (i = 0; i < IOVAB_RUN_BUCKETS; i++)
		SAME("runs", the_report.runs[i], m.runs[i]);
	SAME("lazy windows", pins->windows, m.lazy_windows);
	SAME("lazy pages", pins->pages, m.lazy_pages);
	pins = &the_what_if.pins[IOVAB_POLICY_CACHED];
	SAME("cached windows", pins->windows, m.cached_windows);
	SAME("cached pages", pins->pages, m.cached_pages);
}

static void each_mark_is_counted_as_it_is(void **state)
{
	__u64 number, reports_to_try = getenv("REPORTS") ? strtoull(getenv("REPORTS"), NULL, 0) : 20000;

	for (number = 1; number <= reports_to_try; number++)
		check_report(number);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_mark_is_counted_as_it_is),
	};

	return cmocka_run_group_tests_name("series", tests, NULL, NULL);
}
