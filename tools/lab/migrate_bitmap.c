// SPDX-License-Identifier: GPL-2.0-only
/*
 * The bitmap of one report: zeroed memory between two guards.
 *
 *   | front guard, + offset | bits, up to a multiple of 64 | back guard |
 *
 * It is mapped anew for each report, as a large calloc does it, so it has the
 * page faults that a real client's has. A bit that is set in a guard, or past
 * the last bit, is stray: the kernel wrote where it was not asked to. The
 * guards take in all that a report can pin: the pages that the bitmap touches
 * and, before 6.8, one more.
 */
#include "migrate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define GUARD_PAGES	4

struct migrate_bitmap {
	uint8_t *map;
	size_t map_bytes;
	uint8_t *data;		/* in map */
	uint64_t bits;
	uint64_t preset;	/* every preset-th bit was set from the start; 0: none */
};

/*
 * @bits bits that begin @offset_bytes into a page. Owned by the caller. NULL
 * with errno set; says nothing.
 */
struct migrate_bitmap *migrate_bitmap__new(uint64_t bits, uint64_t offset_bytes, uint64_t preset)
{
	size_t page_bytes = sysconf(_SC_PAGESIZE);
	size_t data_bytes = (bits + 63) / 64 * 8;
	struct migrate_bitmap *bitmap;
	uint64_t bit;

	bitmap = calloc(1, sizeof(*bitmap));
	if (!bitmap)
		return NULL;
	bitmap->bits = bits;
	bitmap->preset = preset;
	bitmap->map_bytes = 2 * GUARD_PAGES * page_bytes + offset_bytes + data_bytes;
	bitmap->map = mmap(NULL, bitmap->map_bytes, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (bitmap->map == MAP_FAILED) {
		free(bitmap);
		return NULL;
	}
	bitmap->data = bitmap->map + GUARD_PAGES * page_bytes + offset_bytes;
	for (bit = 0; preset && bit < bits; bit += preset)
		bitmap->data[bit / 8] |= 1 << bit % 8;
	return bitmap;
}

void migrate_bitmap__free(struct migrate_bitmap *bitmap)
{
	if (!bitmap)
		return;
	munmap(bitmap->map, bitmap->map_bytes);
	free(bitmap);
}

void *migrate_bitmap__data(const struct migrate_bitmap *bitmap)
{
	return bitmap->data;
}

/* Bits set in @bytes bytes from @from, which need not be aligned. */
static uint64_t popcount_bytes(const uint8_t *from, size_t bytes)
{
	uint64_t count = 0, word;

	for (; bytes >= sizeof(word); bytes -= sizeof(word), from += sizeof(word)) {
		memcpy(&word, from, sizeof(word));
		if (word)
			count += __builtin_popcountll(word);
	}
	for (; bytes; bytes--, from++)
		count += __builtin_popcount(*from);
	return count;
}

/* Adds what is set now to @count. */
void migrate_bitmap__count(const struct migrate_bitmap *bitmap, struct bitmap_count *count)
{
	const uint8_t *last = bitmap->data + bitmap->bits / 8;	/* that is in part of the range */
	const uint8_t *end = bitmap->map + bitmap->map_bytes;
	unsigned int partial;

	partial = __builtin_popcount(*last & ((1 << bitmap->bits % 8) - 1));
	count->bits += popcount_bytes(bitmap->data, last - bitmap->data) + partial;
	count->stray_bits += popcount_bytes(bitmap->map, bitmap->data - bitmap->map) +
			     popcount_bytes(last, end - last) - partial;
	if (bitmap->preset)
		count->preset_bits += (bitmap->bits - 1) / bitmap->preset + 1;
}
