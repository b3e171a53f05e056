/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The scan: count the bits of a window's part of the user bitmap.
 *
 * It runs in the task that called the report, so the bitmap's user address is
 * good, and while the window is pinned its pages are there. Still a copy that must
 * not fault can fail: another thread's munmap next to the bitmap splits a huge page
 * and takes its mapping away for a moment, or user space has unmapped the bitmap
 * itself. Then, as long as the window is pinned, its pages are read where the kernel
 * maps all memory. What cannot be read in this way either is not concluded from: the
 * scan says that it failed.
 *
 * The bitmap is copied a chunk at a time (a power of two from 64 bytes to a
 * page, so that each chunk falls into one cell of the heat strip), and the
 * chunk is taken in groups of eight words. Most words of most bitmaps are
 * zero, so a group is first or-ed together. Groups with a bit in them go
 * through carry-save adders, which bring eight words down to four before
 * anything is counted.
 */
#ifndef IOVAB_BPF_SCAN_H
#define IOVAB_BPF_SCAN_H

#include "state.h"

#define GROUP_BYTES	64
#define CHUNK_BYTES	4096
#define CHUNK_GROUPS	(CHUNK_BYTES / GROUP_BYTES)

/*
 * A buffer for each program that scans and each CPU. A program never runs
 * twice on a CPU at once (the kernel's recursion guard), but two may: one is
 * preempted, another starts.
 */
enum scan_user { SCAN_PIN_ENTRY, SCAN_PIN_EXIT, SCAN_UNPIN, SCAN_FREE, SCAN_USERS };

struct chunk {
	__u64 word[CHUNK_BYTES / 8];
	__u64 spare[CHUNK_BYTES / 8];	/* so that a read of a chunk may begin anywhere in it */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SCAN_USERS);
	__type(key, __u32);
	__type(value, struct chunk);
} scratch SEC(".maps");

struct scan {
	struct report *r;
	struct chunk *chunk;	/* the one that is being counted */
	__u64 addr;		/* user address of the first bit */
	__u64 bits;		/* how many to look at */
	__u64 set;		/* how many of them were set: the result */
	__u32 chunk_shift;	/* log2 of the chunk's bytes */
	__u32 cell_shift;	/* log2 of a cell's bits */
	__u32 user;		/* enum scan_user */
	bool at_end;		/* cells are added to, else subtracted from */
	bool failed;
};

static __always_inline __u64 popcount64(__u64 v)
{
	v -= (v >> 1) & 0x5555555555555555ULL;
	v = (v & 0x3333333333333333ULL) + ((v >> 2) & 0x3333333333333333ULL);
	v = (v + (v >> 4)) & 0x0F0F0F0F0F0F0F0FULL;
	return (v * 0x0101010101010101ULL) >> 56;
}

/* Full adder on 64 bits at once: a + b + c = 2 * carry + the sum left in a. */
#define CSA(carry, a, b, c) do {				\
	__u64 _x = (a) ^ (b);					\
	(carry) = ((a) & (b)) | (_x & (c));			\
	(a) = _x ^ (c);						\
} while (0)

static __always_inline __u64 popcount_group(const __u64 *w)
{
	__u64 a = w[0], b = w[3], c = w[6];
	__u64 two_a, two_b, two_c, four;

	if (!(w[0] | w[1] | w[2] | w[3] | w[4] | w[5] | w[6] | w[7]))
		return 0;
	CSA(two_a, a, w[1], w[2]);
	CSA(two_b, b, w[4], w[5]);
	CSA(two_c, a, b, c);
	CSA(four, two_a, two_b, two_c);
	return 4 * popcount64(four) + 2 * popcount64(two_a) +
	       popcount64(a) + popcount64(w[7]);
}

/*
 * One group of the chunk. A callback, because the verifier follows a loop by
 * going round it, and of this one, which has a branch, 6.12's has enough.
 */
static long scan_group(__u32 g, struct scan *s)
{
	if (g >= CHUNK_GROUPS)
		return 1;
	s->set += popcount_group(&s->chunk->word[g * 8]);
	return 0;
}

/* Clears what is not the bitmap's: from @bits on to the end of the last group. */
static __always_inline void mask_tail(struct chunk *c, __u32 bits)
{
	__u32 word = bits / 64;

	if (word < CHUNK_BYTES / 8)
		c->word[word] &= (1ULL << (bits % 64)) - 1;
}

/* The kernel's own address of a page of memory; 0: it is not known how to tell. */
static __always_inline __u64 page_address(__u64 page)
{
	__u64 direct = 0, map = 0;

	if (!direct_map_var || !page_map_var)
		return 0;
	bpf_probe_read_kernel(&direct, sizeof(direct), (void *)direct_map_var);
	bpf_probe_read_kernel(&map, sizeof(map), (void *)page_map_var);
	if (!direct || !map || page < map)
		return 0;
	return direct + ((page - map) / bpf_core_type_size(struct page) << cpu_page_shift);
}

/* Reads @bytes of pinned page @index of the window's, from @offset on. */
static __always_inline long read_page(const struct report *r, void *to, __u64 bytes, __u64 index,
				      __u64 offset)
{
	__u64 page = 0, addr;

	if (bpf_probe_read_kernel(&page, sizeof(page), (void *)(r->page_array + index * 8)))
		return -1;
	addr = REFERENCE ? page : page_address(page);
	return addr ? bpf_probe_read_kernel(to, bytes, (void *)(addr + offset)) : -1;
}

/* Reads from the pages that are pinned; a chunk lies in one of them or in two. */
static __always_inline long read_pinned(const struct report *r, struct chunk *c, __u32 bytes,
					__u64 addr)
{
	__u64 page_mask = (1ULL << cpu_page_shift) - 1, offset = addr & page_mask;
	__u64 index = (addr - (r->window_addr & ~page_mask)) >> cpu_page_shift;
	__u64 left = page_mask + 1 - offset;
	__u64 part = left < bytes ? left : bytes, rest = bytes - part;

	/* what is checked is what is used: the verifier does not see it through a copy */
	asm volatile("" : "+r"(part));
	asm volatile("" : "+r"(rest));
	if (part > CHUNK_BYTES || rest > CHUNK_BYTES)
		return -1;
	if (read_page(r, c->word, part, index, offset))
		return -1;
	return rest ? read_page(r, (void *)c->word + part, rest, index + 1, 0) : 0;
}

static __always_inline long read_chunk(const struct scan *s, struct chunk *c, __u32 bytes,
				       __u64 addr)
{
	long err;

	if (REFERENCE)		/* whoever unpins need not be in the owner's memory */
		return read_pinned(s->r, c, bytes, addr);
	err = bpf_probe_read_user(c, bytes, (void *)addr);
	/* at an eager kernel's next pin, or free, the window before is unpinned already */
	if (err && (lazy || s->user == SCAN_PIN_EXIT || s->user == SCAN_UNPIN))
		err = read_pinned(s->r, c, bytes, addr);
	return err;
}

static long scan_chunk(__u32 index, struct scan *s)
{
	__u32 user = s->user, bits, bytes, cell, g;
	__u64 first = (__u64)index << (s->chunk_shift + 3), before = s->set;
	struct chunk *c = bpf_map_lookup_elem(&scratch, &user);

	if (!c || first >= s->bits)
		return 1;
	bits = 8U << s->chunk_shift;
	if (s->bits - first < bits) {
		bits = s->bits - first;
		/* the last group is read in part: the rest of it must be zero */
		g = bits / 8 / GROUP_BYTES;
		if (g < CHUNK_GROUPS)
			__builtin_memset(&c->word[g * 8], 0, GROUP_BYTES);
	}
	bytes = (bits + 7) / 8;
	if (bytes > CHUNK_BYTES)
		return 1;
	if (read_chunk(s, c, bytes, s->addr + first / 8)) {
		s->failed = true;
		return 1;
	}
	if (bits % 64)
		mask_tail(c, bits);

	s->chunk = c;
	bpf_loop((bytes + GROUP_BYTES - 1) / GROUP_BYTES, scan_group, s, 0);

	cell = first >> s->cell_shift;
	if (cell < IOVAB_CELLS)
		s->r->cells[cell] += s->at_end ? s->set - before : before - s->set;
	return 0;
}

/*
 * Counts the set bits of the window of report @n. Returns 0 with the count in
 * scan_set, or -1 if the bitmap could not be read. The cells take the bits that
 * are found with @at_end and give those that are found without, so that they
 * hold the difference. A global function: the verifier looks at it once, not
 * again in every program and on every path that leads here.
 */
__noinline int scan_window(__u32 n, __u32 user, __u32 at_end)
{
	struct report *r = report_at(n);
	struct scan s = {
		.r = r,
		.user = user,
		.at_end = at_end,
	};

	if (!r || r->cell_shift < 9)
		return -1;
	s.addr = r->window_addr;
	s.bits = r->window_pages;
	s.cell_shift = r->cell_shift & 63;
	s.chunk_shift = s.cell_shift - 3;
	if (s.chunk_shift > 12)
		s.chunk_shift = 12;
	bpf_loop(((s.bits - 1) >> (s.chunk_shift + 3)) + 1, scan_chunk, &s, 0);
	r->scan_set = s.set;
	return s.failed ? -1 : 0;
}

#endif /* IOVAB_BPF_SCAN_H */
