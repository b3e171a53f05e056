// SPDX-License-Identifier: GPL-2.0-only
/*
 * The reference implementation: dirty IOVA ranges into a bitmap in user memory.
 *
 * A device or an IOMMU knows which ranges of IOVA it has written; user space
 * wants a bitmap. The bitmap is user memory, so its pages are pinned while bits
 * are set in them; and it is large (a bit for each 4 KiB of 8 TiB: 256 MiB), so
 * they cannot all be pinned, and must not be, as long as most of them stay zero.
 *
 * The driver gets one object and marks ranges, in any order and of any length.
 * Everything else is in here:
 *
 *   bitmap in user memory, by CPU pages:    (. not pinned   # pinned   o marked)
 *
 *   page  0                512              1024             1536
 *         |.......##o#.....|................|##o###oo#.......|.......
 *          \______________/ \______________/ \______________/
 *             a table         not one yet       the near table
 *
 *         |####|    one window of a table: pinned at the first mark in it
 *
 *   mark --> near table? --> page pinned? --> set the bit          about 30 instructions
 *               | no             | no
 *          turn to its table   pin its window
 *          (the oldest goes, if there are too many)
 *
 * A *table* is a stretch of 2 MiB of bitmap, 64 GiB of IOVA at 4 KiB a bit. It
 * holds an address for each of its 512 pages, and NULL for one that is not
 * pinned. The bitmap is cut into tables on a fixed grid, and a table into
 * *windows* of 128 KiB: a window is what is pinned at once. Up to 16 tables are
 * kept; the one turned to longest ago goes when another is needed, and its
 * windows are unpinned. The *near* table is the one that the last mark fell into.
 *
 * What is pinned when:
 *   - a window at the first mark that falls into it, and so nothing in a report
 *     without marks; pages around the marked one only as far as they can be;
 *   - until its table goes, an error sticks, or the object is freed;
 *   - its pages are unpinned dirty: the bitmap may lie in a file.
 *
 * Why these figures. Pinning a window costs some microseconds however large it is,
 * and some tens of nanoseconds a page. Windows of 32 pages make the first part small
 * against the marks of a dense report (a window takes a million of them), and pin a
 * sixteenth of what 2 MiB at a time would in a sparse one. 16 tables span 1 TiB at
 * 4 KiB a bit, and bound what is pinned at 32 MiB: a driver that reports out of order (a
 * hash, several queues) does not thrash below that. Measured with `make bench-reference`,
 * 65,536 marks, random over 1 TiB, pins: 61,438 with 1 table of one window, 64,195 with 4
 * tables, 61,696 with 8, 55,284 with 12, 256 with 16, 256 with 32. With 16, by windows of
 * 128 KiB, 512 KiB and 2 MiB: 256, 64 and 16 pins of 8,192 pages in all; and 32, 128 and
 * 512 pages for one mark in 8 TiB.
 *
 * The two older policies pin as the kernel did, to be compared on the same work: eager
 * walks the whole bitmap in windows of a table each and hands the driver one after the
 * other; lazy keeps one table, which begins where the mark does, and pins all of it.
 * They differ from the kernel in nothing but correctness.
 *
 * Invariants:
 *   - a bit is set if and only if a mark covers a byte of its IOVA, unless set has
 *     returned an error, which then sticks: nothing is lost in silence;
 *   - nothing is written outside of the bits of the report's range;
 *   - no page is in two windows; no page is pinned twice at a time;
 *   - near is always a table that is kept, and a page address that is not NULL is pinned,
 *     in the stretch of the table that has come into use (struct ref_near);
 *   - index and IOVA are exact inverses (iovab_policy.h), and ranges end at their
 *     last byte: nothing overflows, at 2^64 and with pages of 2^63 bytes, too.
 *
 * Limits:
 *   - One thread at a time for an object, and nobody else for the bytes that it marks:
 *     a bit is set by reading and writing its byte, without a lock. Reports that run at
 *     once need bitmaps of their own, as do user threads that clear bits meanwhile.
 *   - The caller may sleep and runs in the owner's memory; set refuses another's.
 *   - 2^31 bits, what the kernel's bitmap_set() takes, is no limit: a run is set a page at a
 *     time. A mark as long as that takes a while; it can be killed between two tables.
 *   - Every page must have a kernel address for good, as on all 64-bit machines.
 *
 * How a driver's report is made (as the mock's client, mock_ref.c, makes it: tests/docs/run
 * holds the two together):
 *
 *	bitmap = iovab_bitmap_alloc(iova, length, page_size, data, IOVAB_POLICY_CACHED);
 *	if (IS_ERR(bitmap))
 *		return PTR_ERR(bitmap);
 *	iovab_bitmap_name(bitmap, dev_name(dev));
 *	err = iovab_bitmap_for_each(bitmap, device, read_and_clear);
 *	iovab_bitmap_free(bitmap);
 *	return err;
 *
 * and read_and_clear(bitmap, iova, length, device) calls iovab_bitmap_set(bitmap, ...)
 * for what is dirty in that range.
 */
#include <linux/err.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "ref.h"
#include "ref_trace.h"

#define PAGE_BITS	(PAGE_SIZE * 8)

/* Marks a bit of a page, of which there are as many before it as may be. */
static __always_inline void set_one(u8 *page, u64 bit)
{
	page[bit % PAGE_BITS / 8] |= 1 << (bit % 8);
}

/* Marks the bits @first to @last of a page. */
static __always_inline void set_run(u8 *page, unsigned long first, unsigned long last)
{
	u8 head = 0xff << (first % 8);
	u8 tail = 0xff >> (7 - last % 8);
	u8 *byte = page + first / 8;
	u8 *end = page + last / 8;

	if (byte == end) {
		*byte |= head & tail;
		return;
	}
	*byte++ |= head;
	memset(byte, 0xff, end - byte);
	*end |= tail;
}

/*
 * The first error is the report's. Nothing more will be marked, so nothing stays pinned.
 * @first and @last: which IOVA of a mark was not done; none if @first is above @last.
 */
static int fail(struct iovab_bitmap *bitmap, int error, u64 first, u64 last)
{
	bitmap->error = error;
	ref_tables__unpin(bitmap);
	trace_iovab_ref_error(bitmap, error, first, last);
	return error;
}

/* Marks the bits @bit to @last, a page at a time. An error is the report's from then on. */
static int set_bits(struct iovab_bitmap *bitmap, u64 bit, u64 last)
{
	const struct iovab_layout *layout = &bitmap->layout;
	u8 *page;
	u64 end;

	for (;;) {
		page = ref_tables__page(bitmap, bit);
		if (IS_ERR(page))
			return fail(bitmap, PTR_ERR(page), iovab_layout__iova(layout, bit),
				    iovab_layout__last_iova(layout, last));
		end = min(last, iovab_layout__last_bit(layout, iovab_layout__page(layout, bit)));
		set_run(page, (bit + layout->skew) % PAGE_BITS, (end + layout->skew) % PAGE_BITS);
		if (end == last)
			return 0;
		bit = end + 1;
	}
}

/*
 * The part of a mark's work that all share: where in table @near it begins and ends, in
 * bits of the table's pages, and the page of its first bit. Says whether it lies in the
 * table and that page is pinned. A length of 0, a mark that leaves the table and one that
 * is outside of the report all fail the first test, for no table spans all of 2^64; a
 * page that is not pinned, or is no more because an error has stuck, is NULL.
 */
static __always_inline bool find_near(const struct ref_near *near, u64 iova, u64 length,
				      u64 *first, u64 *last, u8 **page)
{
	u64 from = iova - near->first, to;

	if (unlikely(__builtin_add_overflow(from, length - 1, &to) || to > near->span))
		return false;
	*first = (from >> near->shift) + near->skew;
	*last = (to >> near->shift) + near->skew;
	*page = near->pages[*first / PAGE_BITS];
	return likely(*page);
}

/* Every other mark, and what is not a mark at all. */
static noinline int set_anywhere(struct iovab_bitmap *bitmap, u64 iova, u64 length)
{
	u64 first = iova, last = iova + (length - 1);

	if (bitmap->error)
		return bitmap->error;
	if (!length)
		return fail(bitmap, -EINVAL, 1, 0);
	if (last < first)
		last = U64_MAX;
	if (!iovab_layout__clip(&bitmap->layout, &first, &last))
		return 0;
	return set_bits(bitmap, first, last);
}

/* Marks of more than a bit, most of which lie in one page. */
static noinline int set_near_run(struct iovab_bitmap *bitmap, u64 iova, u64 length)
{
	u64 first, last;
	u8 *page;

	if (!find_near(bitmap->near, iova, length, &first, &last, &page) ||
	    first / PAGE_BITS != last / PAGE_BITS)
		return set_anywhere(bitmap, iova, length);
	set_run(page, first % PAGE_BITS, last % PAGE_BITS);
	return 0;
}

/* Marks outside of the near table. Most are in another one that is kept. */
static noinline int set_far(struct iovab_bitmap *bitmap, u64 iova, u64 length)
{
	u64 first, last;
	u8 *page;

	if (!ref_tables__turn_to_kept(bitmap, iova) ||
	    !find_near(bitmap->near, iova, length, &first, &last, &page))
		return set_anywhere(bitmap, iova, length);
	if (first != last)
		return set_near_run(bitmap, iova, length);
	set_one(page, first);
	return 0;
}

/*
 * Each dirty page of a device comes by here: one bit, mostly near the one before. What is
 * not is handed on and not come back to, so that this needs no stack.
 */
int iovab_bitmap_set(struct iovab_bitmap *bitmap, unsigned long iova, size_t length)
{
	u64 first, last;
	u8 *page;

	if (trace_iovab_ref_set_enabled())
		trace_iovab_ref_set(bitmap, iova, length);
	if (unlikely(!find_near(bitmap->near, iova, length, &first, &last, &page)))
		return set_far(bitmap, iova, length);
	if (unlikely(first != last))
		return set_near_run(bitmap, iova, length);
	set_one(page, first);
	return 0;
}
EXPORT_SYMBOL_GPL(iovab_bitmap_set);

/* Eager: pins each table in turn, whatever is in it. */
static int for_each_table(struct iovab_bitmap *bitmap, void *opaque, iovab_bitmap_fn_t fn)
{
	const struct iovab_layout *layout = &bitmap->layout;
	struct iovab_table table;
	u64 bit = 0, first;
	int err;

	for (;;) {
		err = ref_tables__pin_ahead(bitmap, bit);
		if (err)
			return fail(bitmap, err, 1, 0);
		iovab_table__place(&table, &bitmap->policy, layout, bit);
		first = iovab_layout__iova(layout, table.first_bit);
		err = fn(bitmap, first, iovab_layout__last_iova(layout, table.last_bit) - first + 1,
			 opaque);
		if (err || bitmap->error || table.last_bit == layout->last_bit)
			return err;
		bit = table.last_bit + 1;
	}
}

int iovab_bitmap_for_each(struct iovab_bitmap *bitmap, void *opaque, iovab_bitmap_fn_t fn)
{
	const struct iovab_layout *layout = &bitmap->layout;
	int err = 0;

	trace_iovab_ref_for_each(bitmap);
	if (!bitmap->error && bitmap->policy.ahead)
		err = for_each_table(bitmap, opaque, fn);
	else if (!bitmap->error)
		err = fn(bitmap, layout->first, layout->last - layout->first + 1, opaque);
	if (bitmap->error)
		err = bitmap->error;
	trace_iovab_ref_done(bitmap, err);
	return err;
}
EXPORT_SYMBOL_GPL(iovab_bitmap_for_each);

void iovab_bitmap_name(const struct iovab_bitmap *bitmap, const char *device)
{
	trace_iovab_ref_name(bitmap, device);
}
EXPORT_SYMBOL_GPL(iovab_bitmap_name);

/* Whether all of the bitmap is where user memory can be. */
static bool is_user_memory(const struct iovab_layout *layout, void __user *data)
{
	u64 last_byte = layout->last_bit / 8;

	return last_byte < ULONG_MAX && access_ok(data, last_byte + 1);
}

/* Nothing is pinned. */
static void destroy(struct iovab_bitmap *bitmap)
{
	ref_tables__destroy(bitmap);
	mmdrop(bitmap->mm);
	kfree(bitmap);
}

struct iovab_bitmap *iovab_bitmap_alloc(unsigned long iova, size_t length, unsigned long page_size,
					void __user *data, enum iovab_policy_id policy)
{
	unsigned long address = (unsigned long)data;
	struct iovab_bitmap *bitmap;
	struct iovab_layout layout;
	int err;

	if ((unsigned int)policy >= IOVAB_POLICIES ||
	    !iovab_layout__init(&layout, iova, length, page_size, address, PAGE_SHIFT))
		return ERR_PTR(-EINVAL);
	if (!is_user_memory(&layout, data))
		return ERR_PTR(-EFAULT);

	bitmap = kmalloc(sizeof(*bitmap), GFP_KERNEL_ACCOUNT);
	if (!bitmap)
		return ERR_PTR(-ENOMEM);
	memset(bitmap, 0, offsetof(struct iovab_bitmap, tables));
	bitmap->layout = layout;
	bitmap->policy = iovab_policy__of(policy);
	bitmap->address = address & PAGE_MASK;
	bitmap->mm = current->mm;
	mmgrab(bitmap->mm);

	err = ref_tables__init(bitmap);
	if (err) {
		destroy(bitmap);
		return ERR_PTR(err);
	}
	trace_iovab_ref_alloc(bitmap, iova, length, layout.shift, address, policy);
	if (bitmap->policy.ahead) {
		err = ref_tables__pin_ahead(bitmap, 0);
		if (err) {
			fail(bitmap, err, 1, 0);
			iovab_bitmap_free(bitmap);
			return ERR_PTR(err);
		}
	}
	return bitmap;
}
EXPORT_SYMBOL_GPL(iovab_bitmap_alloc);

void iovab_bitmap_free(struct iovab_bitmap *bitmap)
{
	if (IS_ERR_OR_NULL(bitmap))
		return;
	ref_tables__unpin(bitmap);
	trace_iovab_ref_free(bitmap);
	destroy(bitmap);
}
EXPORT_SYMBOL_GPL(iovab_bitmap_free);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("iovab's reference implementation of the IOVA bitmap");
