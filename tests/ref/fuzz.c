// SPDX-License-Identifier: GPL-2.0-only
/*
 * A fuzzer (libFuzzer) of the reference implementation: the input is a report and its
 * troubles, and then a sequence of calls. Everything is small, so that a few calls
 * cross every border: CPU pages of 64 bytes, windows of 4 of them, tables of 16,
 * 4 tables kept (tests/ref.mk).
 *
 * What must be known after each call is what it returned, exactly, unless a pin was made
 * to fail without a hole: then which mark meets it depends on the policy, and that mark's
 * bits may be either. At the end all bytes must be the oracle's.
 */
#include <stdio.h>

#include "shim.h"
#include "world.h"

#define DATA		0x200000000000ULL
#define MAX_BITS	(1u << 16)	/* of a report: 128 pages, 8 tables */
#define MAX_MARKED	(1u << 15)	/* bits that the oracle looks at in one input */

typedef unsigned __int128 u128;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *input;
static size_t left;

static struct iovab_bitmap *bitmap;
static enum iovab_policy_id policy;
static int error;		/* the one that sticks */
static u32 marked_bits;

static u64 take(u32 bytes)
{
	u64 value = 0;

	while (bytes--) {
		value <<= 8;
		if (left) {
			value |= *input++;
			left--;
		}
	}
	return value;
}

#define require(condition)							\
	do {									\
		if (!(condition)) {						\
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort();						\
		}								\
	} while (0)

static void take_report(void)
{
	u32 shift = take(1) % 64;
	u64 bits = 1 + take(2) % MAX_BITS, tail;
	u128 length;

	world.page_size = 1ULL << shift;
	tail = take(1) % 4 ? 0 : take(8) % world.page_size;
	length = ((u128)bits << shift) - tail;
	world.length = length > U64_MAX ? U64_MAX : length;
	switch (take(1) % 4) {
	case 0:
		world.iova = 0;
		break;
	case 1:
		world.iova = -world.length;	/* up to the top, or 1 */
		break;
	default:
		world.iova = take(8) % (U64_MAX - world.length + 1);
	}
	world.data = DATA + take(1);
}

static void take_troubles(void)
{
	u32 what = take(1);

	if (what & 1)
		world.partial = 1 + take(1) % 16;
	if (what & 2)
		world.fail_pin = 1 + take(1);
	if (what & 4)
		world.fail_alloc = 1 + take(1) % 8;
	if (what & 8)
		world__add_hole(world__first_page() + take(1));
	if (what & 16)
		world__add_hole(world__first_page() + take(1));
	if (what & 32)
		world.fill = take(1);
}

static bool pin_was_made_to_fail(void)
{
	return world.fail_pin && world.pin_calls >= world.fail_pin;
}

/* Some bit's IOVA, or one beside the report, and somewhere in what the bit stands for. */
static u64 take_iova(void)
{
	u64 bits = (world.length - 1) / world.page_size + 1;
	u64 iova = world.iova + take(2) % bits * world.page_size;
	u32 how = take(1);

	if (how & 1)
		iova += take(8) % world.page_size;
	if ((how & 6) == 6)
		iova = world.iova - (1 + take(1)) * (how & 8 ? 1 : world.page_size);
	else if ((how & 6) == 4)
		iova = world.iova + world.length + take(1) * (how & 8 ? 1 : world.page_size);
	return iova;
}

static u64 take_length(void)
{
	switch (take(1) % 8) {
	case 0:
		return 0;
	case 1:
		return 1;
	case 2:
		return take(2);
	case 3:
		return take(8);
	case 4:
		return take(2) % 2048 * world.page_size;
	case 5:
		return take(2) % 2048 * world.page_size + take(1);
	default:
		return world.page_size;
	}
}

/* How much of a mark lies in the report, in bits or a few more. */
static u64 bits_of_mark(u64 length)
{
	return min(length / world.page_size, (world.length - 1) / world.page_size) + 2;
}

/* Bytes up to the page @page of bitmap, from the mark's begin on. */
static u64 length_before_page(u64 iova, u64 page)
{
	u128 border = world.iova +
		      (u128)(page * PAGE_SIZE - world.data) * 8 * world.page_size;

	if (page * PAGE_SIZE <= world.data || border <= iova)
		return 0;
	return border - iova;
}

static void set(void)
{
	u64 iova = take_iova(), length = take_length(), hole, end;
	int err;

	if (length && iova + (length - 1) < iova)
		end = -iova;	/* the oracle does not wrap */
	else
		end = length;
	marked_bits += bits_of_mark(end);
	if (marked_bits > MAX_MARKED)
		return;
	hole = world__hole_under(iova, end);

	err = iovab_bitmap_set(bitmap, iova, length);
	if (error) {
		require(err == error);
		return;
	}
	error = err;
	if (err == -ENOMEM && pin_was_made_to_fail()) {
		world__allow(iova, end);
	} else if (!length) {
		require(err == -EINVAL);
	} else if (hole != U64_MAX) {
		require(err == -EFAULT);
		world__expect(iova, length_before_page(iova, hole));
	} else {
		require(!err);
		world__expect(iova, end);
	}
}

static int callback(struct iovab_bitmap *object, unsigned long iova, size_t length, void *opaque)
{
	u64 *next = opaque;
	u32 sets = take(1) % 4;

	require(object == bitmap);
	/* the ranges of a report are its parts, in order */
	require(iova == *next && length - 1 <= world.iova + (world.length - 1) - iova);
	*next = iova + length;
	while (sets--)
		set();
	return 0;
}

static void for_each(void)
{
	u64 next = world.iova;
	int err = iovab_bitmap_for_each(bitmap, &next, callback);

	if (err && !error) {
		require(policy == IOVAB_POLICY_EAGER);
		require(err == -EFAULT ? world.hole_count : pin_was_made_to_fail());
	} else {
		require(err == error);
	}
	if (!err)
		require(next == world.iova + world.length);
	error = err;
}

/* Says whether there is a report. */
static bool alloc(void)
{
	policy = take(1) % IOVAB_POLICIES;
	error = 0;
	bitmap = world__alloc(policy);
	if (!IS_ERR(bitmap))
		return true;
	switch (PTR_ERR(bitmap)) {
	case -ENOMEM:
		require((world.fail_alloc && world.allocs >= world.fail_alloc) ||
			pin_was_made_to_fail());
		break;
	case -EFAULT:
		require(policy == IOVAB_POLICY_EAGER && world.hole_count);
		break;
	default:
		require(!"alloc's error");
	}
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *wrong;
	u32 reports;

	input = data;
	left = size;
	marked_bits = 0;
	world__reset();
	take_report();
	take_troubles();
	for (reports = 0; left && reports < 4; reports++) {
		if (!alloc())
			continue;
		while (left) {
			u32 op = take(1);

			if (op == 255)
				break;
			if (op > 240)
				for_each();
			else
				set();
		}
		wrong = world__check_bits();
		if (wrong)
			fprintf(stderr, "%s\n", wrong);
		require(!wrong);
		require(!error || !world.pages_now);
		iovab_bitmap_free(bitmap);
	}
	wrong = world__check();
	if (wrong)
		fprintf(stderr, "%s\n", wrong);
	require(!wrong);
	return 0;
}
