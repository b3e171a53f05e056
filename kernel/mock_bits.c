// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which granules are dirty: a sparse bitmap.
 *
 * The bits stand in chunks of one CPU page, 128 MiB of IOVA each on x86, which
 * are allocated when the first granule in them is dirtied and freed only by
 * mock_bits__clear. So a range of 2^43 bytes costs nothing until it is written.
 *
 * Locking: setting, counting and taking may run at the same time, in any
 * number. A word is read and cleared in one atomic operation, so a granule set
 * meanwhile is either in what was taken or still in the word: never lost, never
 * handed out twice. Chunks that appear behind a walk wait for the next one.
 * The caller keeps mock_bits__clear apart from everything else.
 */
#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "mock.h"

#define CHUNK_WORDS	(PAGE_SIZE / sizeof(atomic_long_t))
#define CHUNK_GRANULES	(CHUNK_WORDS * BITS_PER_LONG)

struct chunk {
	atomic_long_t words[CHUNK_WORDS];
};

void mock_bits__init(struct mock_bits *bits)
{
	xa_init(&bits->chunks);
}

/* Frees all chunks. Nobody else may use @bits meanwhile. */
void mock_bits__clear(struct mock_bits *bits)
{
	struct chunk *chunk;
	unsigned long index;

	xa_for_each(&bits->chunks, index, chunk) {
		kfree(chunk);
		cond_resched();
	}
	xa_destroy(&bits->chunks);
}

/* The chunk at @index, made when it is not there; NULL when memory is short. */
static struct chunk *chunk_get(struct mock_bits *bits, unsigned long index)
{
	struct chunk *chunk = xa_load(&bits->chunks, index);
	struct chunk *other;

	if (chunk)
		return chunk;
	chunk = kzalloc(sizeof(*chunk), GFP_KERNEL_ACCOUNT);
	if (!chunk)
		return NULL;
	other = xa_cmpxchg(&bits->chunks, index, NULL, chunk, GFP_KERNEL_ACCOUNT);
	if (!other)
		return chunk;
	kfree(chunk);
	return xa_is_err(other) ? NULL : other;
}

/* The bits of word @word that lie in the granules @first to @last of a chunk. */
static unsigned long word_mask(unsigned long word, unsigned long first, unsigned long last)
{
	unsigned long mask = ~0UL;

	if (word == first / BITS_PER_LONG)
		mask &= BITMAP_FIRST_WORD_MASK(first);
	if (word == last / BITS_PER_LONG)
		mask &= BITMAP_LAST_WORD_MASK(last + 1);
	return mask;
}

static u64 chunk_set(struct chunk *chunk, unsigned long first, unsigned long last)
{
	unsigned long word, mask, old;
	u64 newly = 0;

	for (word = first / BITS_PER_LONG; word <= last / BITS_PER_LONG; word++) {
		mask = word_mask(word, first, last);
		old = atomic_long_read(&chunk->words[word]);
		if ((old & mask) == mask)
			continue;
		old = atomic_long_fetch_or(mask, &chunk->words[word]);
		newly += hweight_long(mask & ~old);
	}
	return newly;
}

/*
 * Sets @count granules from @granule on, adds to *@newly how many were clean.
 * Sleeps. -ENOMEM: those before the chunk that could not be had are set.
 */
int mock_bits__set(struct mock_bits *bits, u64 granule, u64 count, u64 *newly)
{
	struct chunk *chunk;
	u64 offset, part;

	while (count) {
		offset = granule % CHUNK_GRANULES;
		part = min_t(u64, count, CHUNK_GRANULES - offset);
		chunk = chunk_get(bits, granule / CHUNK_GRANULES);
		if (!chunk)
			return -ENOMEM;
		*newly += chunk_set(chunk, offset, offset + part - 1);
		granule += part;
		count -= part;
	}
	return 0;
}

/* Where [@first, @last] begins and ends in the chunk at @index. */
static void chunk_clip(unsigned long index, u64 first, u64 last,
		       unsigned long *from, unsigned long *to)
{
	u64 base = (u64)index * CHUNK_GRANULES;

	*from = first > base ? first - base : 0;
	*to = min_t(u64, last - base, CHUNK_GRANULES - 1);
}

/* How many of the granules @first to @last are dirty; a snapshot. Sleeps. */
u64 mock_bits__count(struct mock_bits *bits, u64 first, u64 last)
{
	unsigned long index, from, to, word;
	struct chunk *chunk;
	u64 count = 0;

	xa_for_each_range(&bits->chunks, index, chunk,
			  first / CHUNK_GRANULES, last / CHUNK_GRANULES) {
		chunk_clip(index, first, last, &from, &to);
		for (word = from / BITS_PER_LONG; word <= to / BITS_PER_LONG; word++)
			count += hweight_long(atomic_long_read(&chunk->words[word]) &
					      word_mask(word, from, to));
		cond_resched();
	}
	return count;
}

/* Reads and clears the bits of @mask in one operation. */
static unsigned long word_take(atomic_long_t *word, unsigned long mask)
{
	if (!(atomic_long_read(word) & mask))
		return 0;
	if (mask == ~0UL)
		return atomic_long_xchg(word, 0);
	return atomic_long_fetch_andnot(mask, word) & mask;
}

/* Hands the runs of set bits in @taken to @fn, from below or from above. */
static void word_runs(unsigned long taken, u64 granule, bool down, mock_take_fn fn, void *ctx)
{
	unsigned int start, count;

	while (taken) {
		if (down) {
			start = __fls(taken);
			while (start && (taken & BIT(start - 1)))
				start--;
		} else {
			start = __ffs(taken);
		}
		/* ~0 has no zero bit to find */
		count = ~(taken >> start) ? __ffs(~(taken >> start)) : BITS_PER_LONG;
		fn(ctx, granule + start, count);
		taken &= ~GENMASK(start + count - 1, start);
	}
}

static void chunk_take(struct chunk *chunk, unsigned long index, u64 first, u64 last,
		       bool down, bool keep, mock_take_fn fn, void *ctx)
{
	unsigned long from, to, low, high, i, word, mask, taken;
	u64 base = (u64)index * CHUNK_GRANULES;

	chunk_clip(index, first, last, &from, &to);
	low = from / BITS_PER_LONG;
	high = to / BITS_PER_LONG;
	for (i = 0; i <= high - low; i++) {
		word = down ? high - i : low + i;
		mask = word_mask(word, from, to);
		taken = keep ? atomic_long_read(&chunk->words[word]) & mask :
			       word_take(&chunk->words[word], mask);
		word_runs(taken, base + (u64)word * BITS_PER_LONG, down, fn, ctx);
	}
}

/*
 * Takes all dirty granules from @first to @last out, or with @keep only looks at them,
 * and hands them to @fn, in ascending or descending order. Sleeps between chunks. -EINTR: the process is
 * being killed; what was not handed out yet is still dirty.
 */
int mock_bits__take(struct mock_bits *bits, u64 first, u64 last, bool down, bool keep,
		    mock_take_fn fn, void *ctx)
{
	unsigned long low = first / CHUNK_GRANULES, high = last / CHUNK_GRANULES;
	unsigned long index, i;
	struct chunk *chunk;

	if (!down) {
		xa_for_each_range(&bits->chunks, index, chunk, low, high) {
			if (fatal_signal_pending(current))
				return -EINTR;
			chunk_take(chunk, index, first, last, false, keep, fn, ctx);
			cond_resched();
		}
		return 0;
	}
	for (i = 0; i <= high - low; i++) {
		cond_resched();
		chunk = xa_load(&bits->chunks, high - i);
		if (!chunk)
			continue;
		if (fatal_signal_pending(current))
			return -EINTR;
		chunk_take(chunk, high - i, first, last, true, keep, fn, ctx);
	}
	return 0;
}
