// SPDX-License-Identifier: GPL-2.0-only
#include <sanitizer/asan_interface.h>
#include <stdio.h>
#include <sys/mman.h>

#include "shim.h"
#include "world.h"

/* pages of user memory that a world can come to have */
#define FRAMES		((u32)min(1UL << 14, (256UL << 20) / PAGE_SIZE))
#define FRAME_BYTES	(PAGE_SIZE + 64)	/* with a red zone */
#define HASH_SIZE	(4 * FRAMES)

typedef unsigned __int128 u128;
typedef __int128 s128;

/* A page that exists: the index of its frame in both memories. */
struct page {
	u64 number;		/* user address / PAGE_SIZE */
	bool pinned;
};

static struct mm_struct the_mm;
struct task_struct shim_task = { .mm = &the_mm };
struct world world;

static struct page frames[1u << 14];
static u32 frame_count;
static u32 hash[4u << 14];	/* frame + 1, or 0 */
static u32 hash_used[1u << 14];	/* slots that are not 0 */
static u8 *memory;		/* what the implementation writes */
static u8 *expected;		/* what the oracle expects, frame by frame */
static u8 *allowed;		/* bits that may be either */

static u8 *frame_of(u8 *base, u32 frame)
{
	return base + (size_t)frame * FRAME_BYTES;
}

static u8 *map_frames(void)
{
	u8 *base = mmap(NULL, (size_t)FRAMES * FRAME_BYTES, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (base == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	return base;
}

#define CONTENT_PERIOD	251

/* The byte that stands at @offset of a page before anything is marked; repeats itself. */
static u8 first_content(u64 page, u64 offset)
{
	return world.fill ? (page * 31 + offset * 7 + world.fill) % CONTENT_PERIOD : 0;
}

static void fill(u8 *bytes, u64 page)
{
	u64 done, more;

	for (done = 0; done < CONTENT_PERIOD && done < PAGE_SIZE; done++)
		bytes[done] = first_content(page, done);
	for (; done < PAGE_SIZE; done += more) {
		more = done < PAGE_SIZE - done ? done : PAGE_SIZE - done;
		memcpy(bytes + done, bytes, more);
	}
}

/* The frame of a user page, made when it is not there. */
static u32 frame_get(u64 page)
{
	u32 slot = (page * 0x9e3779b97f4a7c15ULL) >> 40;

	for (slot %= HASH_SIZE; hash[slot]; slot = (slot + 1) % HASH_SIZE)
		if (frames[hash[slot] - 1].number == page)
			return hash[slot] - 1;
	if (frame_count == FRAMES) {
		fprintf(stderr, "world: a test uses more than %u pages\n", FRAMES);
		abort();
	}
	hash[slot] = frame_count + 1;
	hash_used[frame_count] = slot;
	frames[frame_count] = (struct page){ .number = page };
	__asan_unpoison_memory_region(frame_of(memory, frame_count), PAGE_SIZE);
	fill(frame_of(memory, frame_count), page);
	__asan_poison_memory_region(frame_of(memory, frame_count), PAGE_SIZE);
	fill(frame_of(expected, frame_count), page);
	memset(frame_of(allowed, frame_count), 0, PAGE_SIZE);
	return frame_count++;
}

void world__reset(void)
{
	u32 i;

	if (!memory) {
		memory = map_frames();
		expected = map_frames();
		allowed = map_frames();
		__asan_poison_memory_region(memory, (size_t)FRAMES * FRAME_BYTES);
	}
	for (i = 0; i < frame_count; i++) {
		hash[hash_used[i]] = 0;
		__asan_poison_memory_region(frame_of(memory, i), PAGE_SIZE);
	}
	frame_count = 0;
	memset(&world, 0, sizeof(world));
	shim_task.mm = &the_mm;
	shim_task.killed = false;
}

/* --- the report ---------------------------------------------------------------- */

u64 world__first_page(void)
{
	return world.data / PAGE_SIZE;
}

static u64 last_bit(void)
{
	return (u64)(((u128)world.length - 1) / world.page_size);
}

u64 world__last_page(void)
{
	return (world.data + last_bit() / 8) / PAGE_SIZE;
}

void world__add_hole(u64 page)
{
	world.holes[world.hole_count++] = page;
}

static bool is_hole(u64 page)
{
	u32 i;

	for (i = 0; i < world.hole_count; i++)
		if (world.holes[i] == page)
			return true;
	return false;
}

struct iovab_bitmap *world__alloc(enum iovab_policy_id policy)
{
	return iovab_bitmap_alloc(world.iova, world.length, world.page_size, (void *)world.data,
				  policy);
}

/* --- the oracle ----------------------------------------------------------------- */

/* The bits that a range touches. Says whether there are any. */
static bool bits_of(u64 iova, u64 length, u64 *first, u64 *last)
{
	s128 base = world.iova, end = base + world.length;
	s128 from = iova, to = from + length;

	if (from < base)
		from = base;
	if (to > end)
		to = end;
	if (from >= to)
		return false;
	*first = (u64)((from - base) / world.page_size);
	*last = (u64)((to - 1 - base) / world.page_size);
	return true;
}

static void mark(u8 *frames_of, u64 iova, u64 length)
{
	u64 first, last, bit, address, page = 0;
	u8 *bytes = NULL;

	if (!bits_of(iova, length, &first, &last))
		return;
	for (bit = first; bit <= last; bit++) {
		address = world.data + bit / 8;
		if (!bytes || address / PAGE_SIZE != page) {
			page = address / PAGE_SIZE;
			bytes = frame_of(frames_of, frame_get(page));
		}
		bytes[address % PAGE_SIZE] |= 1 << bit % 8;
	}
}

void world__expect(u64 iova, u64 length)
{
	mark(expected, iova, length);
}

void world__allow(u64 iova, u64 length)
{
	mark(allowed, iova, length);
}

u64 world__hole_under(u64 iova, u64 length)
{
	u64 first, last, page, found = U64_MAX;
	u32 i;

	if (!bits_of(iova, length, &first, &last))
		return U64_MAX;
	for (i = 0; i < world.hole_count; i++) {
		page = world.holes[i];
		if (page >= (world.data + first / 8) / PAGE_SIZE &&
		    page <= (world.data + last / 8) / PAGE_SIZE && page < found)
			found = page;
	}
	return found;
}

static const char *check_frame(u32 frame)
{
	static char text[160];
	u8 *seen = frame_of(memory, frame), *want = frame_of(expected, frame);
	u8 *either = frame_of(allowed, frame);
	u64 i;

	__asan_unpoison_memory_region(seen, PAGE_SIZE);
	i = memcmp(seen, want, PAGE_SIZE) ? 0 : PAGE_SIZE;
	while (i < PAGE_SIZE && !((seen[i] ^ want[i]) & ~either[i]))
		i++;
	if (i < PAGE_SIZE)
		snprintf(text, sizeof(text), "byte %llu of page %llu (%lld of the bitmap): %#x, expected %#x",
			 (unsigned long long)i, (unsigned long long)frames[frame].number,
			 (long long)(frames[frame].number * PAGE_SIZE + i - world.data),
			 seen[i], want[i]);
	if (!frames[frame].pinned)
		__asan_poison_memory_region(seen, PAGE_SIZE);
	return i < PAGE_SIZE ? text : NULL;
}

const char *world__check_bits(void)
{
	const char *wrong = NULL;
	u32 i;

	for (i = 0; i < frame_count && !wrong; i++)
		wrong = check_frame(i);
	return wrong;
}

const char *world__check(void)
{
	if (world.pages_now)
		return "pages are pinned still";
	if (world.double_pins)
		return "a page was pinned twice at a time";
	if (world.outside_pins)
		return "a page was pinned that has no bit of the report";
	if (world.unpinned_clean)
		return "pages were not unpinned as dirty";
	if (world.allocated_now)
		return "memory was not freed";
	if (the_mm.holders)
		return "the owner's memory is held still";
	return world__check_bits();
}

/* --- what the implementation calls ------------------------------------------------ */

/* Nobody is to believe that there are zeros in it. */
void *kmalloc(size_t size, gfp_t gfp)
{
	void *ptr;

	if (++world.allocs == world.fail_alloc)
		return NULL;
	ptr = malloc(size);
	if (ptr)
		memset(ptr, 0xa5, size);
	world.allocated_now += !!ptr;
	return ptr;
}

void *kcalloc(size_t count, size_t size, gfp_t gfp)
{
	void *ptr = kmalloc(count * size, gfp);

	return ptr ? memset(ptr, 0, count * size) : NULL;
}

void kfree(const void *ptr)
{
	world.allocated_now -= !!ptr;
	free((void *)ptr);
}

static void pin(u32 frame)
{
	u64 page = frames[frame].number;

	world.double_pins += frames[frame].pinned;
	world.outside_pins += page < world__first_page() || page > world__last_page();
	frames[frame].pinned = true;
	world.pages_now++;
	__asan_unpoison_memory_region(frame_of(memory, frame), PAGE_SIZE);
}

int pin_user_pages_fast(unsigned long start, int count, unsigned int flags, struct page **pages)
{
	int i;

	if (start % PAGE_SIZE || flags != FOLL_WRITE || count <= 0)
		abort();
	if (++world.pin_calls == world.fail_pin)
		return -ENOMEM;
	world.pin_peak = max(world.pin_peak, (u32)count);
	if (world.partial)
		count = min(count, (int)world.partial);
	for (i = 0; i < count && !is_hole(start / PAGE_SIZE + i); i++) {
		u32 frame = frame_get(start / PAGE_SIZE + i);

		pin(frame);
		pages[i] = &frames[frame];
	}
	if (!i)
		return -EFAULT;
	world.pins++;
	world.pages_pinned += i;
	world.pages_peak = max(world.pages_peak, world.pages_now);
	return i;
}

void unpin_user_pages_dirty_lock(struct page **pages, unsigned long count, bool dirty)
{
	unsigned long i;

	for (i = 0; i < count; i++) {
		if (!pages[i]->pinned)
			abort();
		pages[i]->pinned = false;
		world.pages_now--;
		world.unpinned_clean += !dirty;
		__asan_poison_memory_region(page_address(pages[i]), PAGE_SIZE);
	}
}

void *page_address(const struct page *page)
{
	return frame_of(memory, page - frames);
}

struct page *virt_to_page(const void *address)
{
	return &frames[((const u8 *)address - memory) / FRAME_BYTES];
}
