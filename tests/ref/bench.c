// SPDX-License-Identifier: GPL-2.0-only
/*
 * The same marks through the reference, under each policy, and through the kernel's own
 * iova_bitmap of two releases, all in user space with one stub for pinning.
 *
 *	bench REPEAT DIVISOR [CELL]	a line for each cell: row, implementation, marks,
 *				pins, pages pinned, ns (the least of REPEAT reports)
 *
 * Under callgrind each cell is a dump of its own, named ROW/IMPLEMENTATION; what it
 * collects (all of a report: measured_report; the calls of set: their names) is for
 * the options of callgrind to say. DIVISOR makes the rows shorter.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <valgrind/callgrind.h>

#include "shim.h"
#include "iovab_bitmap.h"

#define K	(1ULL << 10)
#define M	(1ULL << 20)
#define G	(1ULL << 30)
#define T	(1ULL << 40)
#define PAGE	4096ULL
#define MAX_BITMAP	(256 * M)
#define MAX_MARKS	(1u << 20)

/* --- pages and memory ------------------------------------------------------------ */

static struct mm_struct the_mm;
struct task_struct shim_task = { .mm = &the_mm };
u8 *shim_memory;
struct page *shim_pages;

static u64 pins, pages_pinned;

int pin_user_pages_fast(unsigned long start, int count, unsigned int flags, struct page **pages)
{
	struct page *page = virt_to_page((void *)start);
	int i;

	for (i = 0; i < count; i++)
		pages[i] = page + i;
	pins++;
	pages_pinned += count;
	return count;
}

void unpin_user_pages_dirty_lock(struct page **pages, unsigned long count, bool dirty)
{
}

/* As a slab: a list of free pieces for each size, a power of two. */
struct piece {
	union {
		struct piece *next;	/* while it is free */
		u64 slab;
	};
};

#define PIECE_HEAD	64	/* bytes before what is handed out, for the slab's number */

static struct piece *slabs[16];
static struct piece *free_pages;

/* In parts: for more memset uses an instruction that callgrind counts once for each byte. */
static void clear(u8 *bytes, size_t size)
{
	size_t part;

	for (; size; bytes += part, size -= part) {
		part = min(size, 1024UL);
		memset(bytes, 0, part);
	}
}

void *kmalloc(size_t size, gfp_t gfp)
{
	u32 slab = 32 - __builtin_clz((size - 1) | 1);
	struct piece *piece = slabs[slab];

	if (piece)
		slabs[slab] = piece->next;
	else
		piece = aligned_alloc(64, PIECE_HEAD + (64UL << slab));
	piece->slab = slab;
	return (u8 *)piece + PIECE_HEAD;
}

void *kcalloc(size_t count, size_t size, gfp_t gfp)
{
	void *ptr = kmalloc(count * size, gfp);

	clear(ptr, count * size);
	return ptr;
}

void kfree(const void *ptr)
{
	struct piece *piece = (struct piece *)((u8 *)ptr - PIECE_HEAD);
	u64 slab = piece->slab;

	piece->next = slabs[slab];
	slabs[slab] = piece;
}

unsigned long __get_free_page(gfp_t gfp);
void free_page(unsigned long address);
void unpin_user_pages(struct page **pages, unsigned long count);

void unpin_user_pages(struct page **pages, unsigned long count)
{
}

unsigned long __get_free_page(gfp_t gfp)
{
	struct piece *page = free_pages;

	if (page)
		free_pages = page->next;
	else
		page = aligned_alloc(PAGE_SIZE, PAGE_SIZE);
	return (unsigned long)page;
}

void free_page(unsigned long address)
{
	struct piece *page = (struct piece *)address;

	page->next = free_pages;
	free_pages = page;
}

/* --- rows ---------------------------------------------------------------------------- */

struct mark {
	u64 iova;
	u64 length;
};

static struct mark in_order[MAX_MARKS];		/* as the device finds them */
static struct mark by_window[MAX_MARKS];	/* the same, sorted by windows of 64 GiB */
static u64 range, mark_count;
static u64 random_state = 1;

static u64 below(u64 limit)
{
	random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (u64)(((unsigned __int128)random_state * limit) >> 64);
}

static void row_ascending(u64 divisor)
{
	u64 i;

	range = 64 * G;
	mark_count = M / divisor;
	for (i = 0; i < mark_count; i++)
		in_order[i] = (struct mark){ i * PAGE, PAGE };
}

static void row_runs(u64 divisor)
{
	u64 i;

	range = 64 * G;
	mark_count = 32 * K / divisor;
	for (i = 0; i < mark_count; i++)
		in_order[i] = (struct mark){ i * 2 * M, 2 * M };
}

static void random_over(u64 length, u64 count)
{
	u64 i;

	range = length;
	mark_count = count;
	for (i = 0; i < mark_count; i++)
		in_order[i] = (struct mark){ below(length / PAGE) * PAGE, PAGE };
}

/* What a driver does that is handed one window after the other. */
static void sort_by_window(void)
{
	u64 window, i, count = 0;

	for (window = 0; window * 64 * G < range; window++)
		for (i = 0; i < mark_count; i++)
			if (in_order[i].iova / (64 * G) == window)
				by_window[count++] = in_order[i];
}

static void row_random_window(u64 divisor)
{
	random_over(64 * G, M / divisor);
}

static void row_random_1t(u64 divisor)
{
	random_over(1 * T, 64 * K);	/* or its pins would stand out */
}

/* The same, as a driver finds them that looks through its log a window at a time. */
static void row_windows_1t(u64 divisor)
{
	row_random_1t(divisor);
	sort_by_window();
	memcpy(in_order, by_window, mark_count * sizeof(*in_order));
}

static void row_one(u64 divisor)
{
	range = 8 * T;
	mark_count = 1;
	in_order[0] = (struct mark){ 5 * T + 77 * PAGE, PAGE };
}

static void row_section(u64 divisor)
{
	range = 1 * M;
	mark_count = 1;
	in_order[0] = (struct mark){ 77 * PAGE, PAGE };
}

static const struct {
	const char *name;
	void (*make)(u64 divisor);
} rows[] = {
	{ "ascending", row_ascending },
	{ "run-2m", row_runs },
	{ "random-window", row_random_window },
	{ "random-1t", row_random_1t },
	{ "windows-1t", row_windows_1t },
	{ "one-in-8t", row_one },
	{ "one-in-1m", row_section },
};

/* --- implementations ------------------------------------------------------------------ */

struct iova_bitmap;
typedef int (*kernel_fn_t)(struct iova_bitmap *bitmap, unsigned long iova, size_t length, void *opaque);

/* The kernel's, renamed by the build; the older one's set returns nothing, as does the newer's. */
#define DECLARE_KERNEL(name)								\
	struct iova_bitmap *name##_alloc(unsigned long iova, size_t length,		\
					 unsigned long page_size, void *data);		\
	int name##_for_each(struct iova_bitmap *bitmap, void *opaque, kernel_fn_t fn);	\
	void name##_set(struct iova_bitmap *bitmap, unsigned long iova, size_t length);	\
	void name##_free(struct iova_bitmap *bitmap)
DECLARE_KERNEL(old);
DECLARE_KERNEL(new);

/* The driver: by windows when it is handed windows, else all marks in their order. */
#define DEFINE_DRIVER(name, type, set)							\
static int name##_driver(type *bitmap, unsigned long iova, size_t length, void *opaque)	\
{											\
	bool all = iova == 0 && length == range;					\
	const struct mark *marks = all ? in_order : by_window;				\
	u64 *next = opaque;								\
											\
	for (; *next < mark_count && (all || marks[*next].iova - iova < length); ++*next)	\
		set(bitmap, marks[*next].iova, marks[*next].length);			\
	return 0;									\
}
DEFINE_DRIVER(old, struct iova_bitmap, old_set)
DEFINE_DRIVER(new, struct iova_bitmap, new_set)
DEFINE_DRIVER(ref, struct iovab_bitmap, iovab_bitmap_set)

/* By these names callgrind is told what to collect. */
noinline void measured_report_old(void *data);
noinline void measured_report_new(void *data);
noinline void measured_report_ref(void *data, enum iovab_policy_id policy);

void measured_report_old(void *data)
{
	struct iova_bitmap *bitmap = old_alloc(0, range, PAGE, data);
	u64 next = 0;

	old_for_each(bitmap, &next, old_driver);
	old_free(bitmap);
}

void measured_report_new(void *data)
{
	struct iova_bitmap *bitmap = new_alloc(0, range, PAGE, data);
	u64 next = 0;

	new_for_each(bitmap, &next, new_driver);
	new_free(bitmap);
}

void measured_report_ref(void *data, enum iovab_policy_id policy)
{
	struct iovab_bitmap *bitmap = iovab_bitmap_alloc(0, range, PAGE, data, policy);
	u64 next = 0;

	iovab_bitmap_for_each(bitmap, &next, ref_driver);
	iovab_bitmap_free(bitmap);
}

static void report(u32 implementation)
{
	switch (implementation) {
	case 0:
		measured_report_old(shim_memory);
		break;
	case 1:
		measured_report_new(shim_memory);
		break;
	default:
		measured_report_ref(shim_memory, implementation - 2);
	}
}

static const char * const implementations[] = { "old", "new", "cached", "eager", "lazy" };

/* --- measuring ------------------------------------------------------------------------- */

static u64 now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return time.tv_sec * 1000000000ULL + time.tv_nsec;
}

static u64 bits_set(void)
{
	const u64 *words = (const u64 *)shim_memory;
	u64 i, count = 0;

	for (i = 0; i < range / PAGE / 64; i++)
		count += __builtin_popcountll(words[i]);
	return count;
}

static u64 expected_bits;
static const char *only;	/* cell, or NULL */

/* One cell. The bitmap is warm: it was written by the report before. */
static void measure(const char *row, u32 implementation, u32 repeat)
{
	/* a report of one mark is shorter than what a clock takes */
	const u32 batch = mark_count > 1 || RUNNING_ON_VALGRIND ? 1 : 1000;
	u64 least = ~0ULL, begin, bits;
	char name[64];
	u32 i, j;

	snprintf(name, sizeof(name), "%s/%s", row, implementations[implementation]);
	if (only && strcmp(only, name))
		return;
	memset(shim_memory, 0, range / PAGE / 8);
	for (i = 0; i < repeat; i++) {
		pins = pages_pinned = 0;
		CALLGRIND_ZERO_STATS;
		begin = now_ns();
		for (j = 0; j < batch; j++)
			report(implementation);
		least = min(least, (now_ns() - begin) / batch);
	}
	CALLGRIND_DUMP_STATS_AT(name);
	bits = bits_set();
	if (!expected_bits)
		expected_bits = bits;
	if (bits != expected_bits) {
		fprintf(stderr, "bench: %s set %llu bits, expected %llu\n", name, bits, expected_bits);
		exit(1);
	}
	printf("%s %s %llu %llu %llu %llu\n", row, implementations[implementation], mark_count,
	       pins / batch, pages_pinned / batch, least);
}

int main(int argc, char **argv)
{
	u32 repeat = argc > 2 ? atoi(argv[1]) : 0, divisor = argc > 2 ? atoi(argv[2]) : 0;
	size_t row, implementation;

	if (!repeat || !divisor) {
		fprintf(stderr, "usage: bench REPEAT DIVISOR [ROW/IMPLEMENTATION]\n");
		return 2;
	}
	only = argc > 3 ? argv[3] : NULL;
	shim_memory = mmap(NULL, MAX_BITMAP, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	shim_pages = calloc(MAX_BITMAP / PAGE_SIZE, sizeof(*shim_pages));
	if (shim_memory == MAP_FAILED || !shim_pages) {
		perror("bench");
		return 1;
	}
	for (row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
		rows[row].make(divisor);
		sort_by_window();
		expected_bits = 0;
		for (implementation = 0; implementation < 5; implementation++)
			measure(rows[row].name, implementation, repeat);
	}
	return 0;
}
