// SPDX-License-Identifier: GPL-2.0-only
/*
 * The scan (bpf/scan.h), compiled for this machine and held against a count of each bit.
 *
 * Windows of any length over bitmaps that begin anywhere, empty, sparse, dense and full,
 * with other bits around them; read through the map of all memory, at their address, or
 * not at all.
 */
#include <stdint.h>
#include <sys/mman.h>

#include "host.h"
#include "scan.h"

#define BITMAP_PAGES	100	/* so that chunks are whole pages */
#define PAGE		4096
/* where struct pages would be: nobody looks into them */
#define PAGE_MAP	0x100000000ULL

static __u8 memory[BITMAP_PAGES * PAGE] __attribute__((aligned(PAGE)));
/* the same in another order, as pages are in memory */
static __u8 shuffled[BITMAP_PAGES * PAGE] __attribute__((aligned(PAGE)));
static __u64 page_array[BITMAP_PAGES];
static __u64 direct_base, map_base = PAGE_MAP;
static bool user_mapped;

static struct report the_report;
static struct chunk the_chunk;

static void *map_lookup(void *map, const void *key)
{
	if (map == (void *)&reports)
		return &the_report;
	return map == (void *)&scratch ? &the_chunk : NULL;
}

static bool is_in(const void *from, const void *base)
{
	return (uintptr_t)from - (uintptr_t)base < sizeof(memory);
}

static long copy(void *to, __u32 size, const void *from)
{
	if (is_in(from, memory) && !user_mapped)
		return -1;
	memcpy(to, from, size);
	return 0;
}

static __u64 seed = 1;

static __u64 dice(__u64 sides)
{
	seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return (seed >> 33) % sides;
}

/* Variables that are set before the programs are loaded; they cannot be written. */
static void set_constant(const volatile __u64 *constant, __u64 value)
{
	void *page = (void *)((uintptr_t)constant & ~(uintptr_t)(PAGE - 1));

	if (mprotect(page, PAGE, PROT_READ | PROT_WRITE))
		abort();
	*(volatile __u64 *)constant = value;
}

static void fill(void)
{
	__u32 i, kind = dice(5), sparse = 1 + dice(3000);

	memset(memory, kind == 0 ? 0xff : 0, sizeof(memory));
	for (i = 0; i < sizeof(memory); i++) {
		if (kind == 1)
			memory[i] = dice(256);
		else if (kind == 2 && !dice(sparse))
			memory[i] |= 1 << dice(8);
		else if (kind == 3 && i / PAGE % 2)
			memory[i] = dice(256);
	}
	for (i = 0; i < BITMAP_PAGES; i++) {
		__u32 to = (i * 7 + 3) % BITMAP_PAGES;

		memcpy(shuffled + to * PAGE, memory + i * PAGE, PAGE);
		page_array[i] = PAGE_MAP + to * 64;
	}
}

static bool is_set(__u64 first_bit, __u64 bit)
{
	return memory[(first_bit + bit) / 8] >> bit % 8 & 1;
}

static void check_scan(bool pinned)
{
	struct report *r = &the_report;
	__u64 offset = dice(2) ? 0 : dice(PAGE), room = sizeof(memory) - offset, bit, set = 0;
	__u32 cells[IOVAB_CELLS] = { 0 }, log2 = 0, i;
	int at_end = dice(2);

	fill();
	memset(r, 0, sizeof(*r));
	r->page_array = (__u64)page_array;
	r->window_addr = (__u64)memory + offset;
	r->window_pages = 1 + dice(dice(2) ? 2000 : room * 8);
	while (1ULL << log2 < r->window_pages)
		log2++;
	r->cell_shift = log2 < 15 ? 9 : log2 - 6;
	for (bit = 0; bit < r->window_pages; bit++) {
		if (!is_set(offset * 8, bit))
			continue;
		set++;
		cells[bit >> r->cell_shift] += at_end ? 1 : -1;
	}
	/* what was in it before must not matter */
	memset(&the_chunk, 0xa5, sizeof(the_chunk));
	assert_int_equal(scan_window(0, pinned ? SCAN_UNPIN : SCAN_FREE, at_end), 0);
	assert_int_equal(r->scan_set, set);
	for (i = 0; i < IOVAB_CELLS; i++)
		assert_int_equal(r->cells[i], cells[i]);
}

static void begin(bool mapped, bool known)
{
	user_mapped = mapped;
	direct_base = (__u64)shuffled;
	set_constant(&direct_map_var, known ? (__u64)&direct_base : 0);
	set_constant(&page_map_var, known ? (__u64)&map_base : 0);
}

static void pinned_pages_are_read_in_the_map_of_memory(void **state)
{
	__u32 i;

	begin(false, true);
	for (i = 0; i < 40; i++)
		check_scan(true);
}

static void else_the_process_is_read(void **state)
{
	__u32 i;

	begin(true, true);
	for (i = 0; i < 40; i++)
		check_scan(false);
	begin(true, false);
	for (i = 0; i < 20; i++)
		check_scan(true);
}

static void what_cannot_be_read_is_no_count(void **state)
{
	begin(false, false);
	fill();
	the_report.window_addr = (__u64)memory;
	the_report.window_pages = 100000;
	the_report.cell_shift = 11;
	assert_int_equal(scan_window(0, SCAN_UNPIN, true), -1);
	assert_int_equal(scan_window(0, SCAN_FREE, true), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pinned_pages_are_read_in_the_map_of_memory),
		cmocka_unit_test(else_the_process_is_read),
		cmocka_unit_test(what_cannot_be_read_is_no_count),
	};

	return cmocka_run_group_tests_name("scan", tests, NULL, NULL);
}
