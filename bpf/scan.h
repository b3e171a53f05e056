/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The scan: count the bits of a window's part of the user bitmap.
 *
 * While the window is pinned its pages are read where the kernel maps all memory:
 * that needs no mapping of the process, which another thread's munmap next to the
 * bitmap can take away for a moment, when it splits a huge page. Else, and where the
 * kernel's map is not known, the bitmap is read at its user address: the scan runs in
 * the task that called the report. Such a copy must not fault, and so it can fail. Then
 * nothing is concluded: the scan gives up and says so, and the window counts as
 * skipped.
 *
 * The bitmap is copied a chunk at a time (a power of two from 64 bytes to a
 * page, so that each chunk falls into one cell of the heat strip). Most words of
 * most bitmaps are zero, so the words of a chunk are first or-ed together, then those
 * of each group in it, unless the chunk before was dirty all over. What is left goes
 * through carry-save adders: they keep the counts of all bits in columns, so that one
 * word of carries in 32 words of bitmap is all that has to be counted.
 *
 * A window is at most 512 pages of bitmap, some 0.1 ms of work. Where the kernel does
 * not preempt, that is how long its scan holds the CPU.
 */
#ifndef IOVAB_BPF_SCAN_H
#define IOVAB_BPF_SCAN_H

#include "state.h"

#define CHUNK_BYTES	4096
#define CHUNK_WORDS	(CHUNK_BYTES / 8)
/* Groups of a chunk: of all but the smallest, which are a single small one, or some. */
#define GROUP_WORDS	64
#define SMALL_WORDS	8

/*
 * A buffer for each program that scans and each CPU. A program never runs
 * twice on a CPU at once (the kernel's recursion guard), but two may: one is
 * preempted, another starts. Where both a trampoline's and a kprobe's do the same (pair.h),
 * the latter has the buffers from SCAN_USERS on.
 */
enum scan_user { SCAN_PIN_ENTRY, SCAN_PIN_EXIT, SCAN_UNPIN, SCAN_FREE, SCAN_USERS };

_Static_assert((SCAN_USERS & (SCAN_USERS - 1)) == 0, "which of them is told by masking");

struct chunk {
	__u64 word[CHUNK_WORDS];
	__u64 spare[CHUNK_WORDS];	/* so that a read of a chunk may begin anywhere in it */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, SCAN_USERS);
	__type(key, __u32);
	__type(value, struct chunk);
} scratch SEC(".maps");

struct scan {
	__u64 addr;		/* user address of the first bit */
	__u64 bits;		/* how many to look at */
	__u64 set;		/* how many of them were set: the result */
	__u64 direct, map;	/* where the kernel maps all memory, and its struct pages; 0: unknown */
	__u32 chunk_shift;	/* log2 of the chunk's bytes */
	__u32 cell_shift;	/* log2 of a cell's bits */
	__u32 n;		/* whose bitmap: the report's number */
	__u32 user;		/* enum scan_user */
	bool at_end;		/* cells are added to, else subtracted from */
	bool pinned;		/* the window's pages are */
	bool dense;		/* the chunk before had a bit for every second word, or more */
	bool failed;
};

/* A chunk while it is counted. */
struct count {
	const struct chunk *chunk;
	__u64 set;		/* bits that were set: the result */
	__u64 column[5];	/* and these: a bit counts as 1, 2, 4, 8, 16 */
	bool dense;		/* as above */
};

static __always_inline __u64 popcount64(__u64 v)
{
	v -= (v >> 1) & 0x5555555555555555ULL;
	v = (v & 0x3333333333333333ULL) + ((v >> 2) & 0x3333333333333333ULL);
	v = (v + (v >> 4)) & 0x0F0F0F0F0F0F0F0FULL;
	return (v * 0x0101010101010101ULL) >> 56;
}

/*
 * Adds two words to a column, bit by bit: what carries goes to the next column. Kept in
 * this order, or the compiler runs out of registers.
 */
#define ADD2(carry, column, a, b) do {				\
	__u64 _b = (b), _p = (a) ^ (column), _q = _b ^ (column);	\
	_q &= _p;						\
	_p ^= _b;						\
	(carry) = (column) ^ _q;				\
	(column) = _p;						\
	asm volatile("" : "+r"(carry), "+r"(column));		\
} while (0)

static __always_inline __u64 or_words(const __u64 *w, __u32 words)
{
	__u64 a = 0, b = 0;
	__u32 i;

#pragma unroll
	for (i = 0; i < words; i += 2) {
		a |= w[i];
		b |= w[i + 1];
	}
	return a | b;
}

/* Eight words go into three columns; what carries out of them is returned, each bit an eight. */
static __always_inline __u64 add8(__u64 column[3], const __u64 *w)
{
	__u64 two_a, two_b, four_a, four_b, eight;

	ADD2(two_a, column[0], w[0], w[1]);
	ADD2(two_b, column[0], w[2], w[3]);
	ADD2(four_a, column[1], two_a, two_b);
	ADD2(two_a, column[0], w[4], w[5]);
	ADD2(two_b, column[0], w[6], w[7]);
	ADD2(four_b, column[1], two_a, two_b);
	ADD2(eight, column[2], four_a, four_b);
	return eight;
}

/* The columns' bits go to the result, once. */
static __always_inline void columns_settle(struct count *s)
{
	s->set += popcount64(s->column[0]) + 2 * popcount64(s->column[1]) +
		  4 * popcount64(s->column[2]) + 8 * popcount64(s->column[3]) +
		  16 * popcount64(s->column[4]);
}

/*
 * One group of the chunk. A callback, because the verifier follows a loop by
 * going round it, and of this one, which has a branch, 6.12's has enough.
 */
static long scan_group(__u32 g, struct count *s)
{
	__u64 column[3], eights = s->column[3], sixteens = s->column[4], set = 0;
	__u64 eight_a, eight_b, sixteen_a, sixteen_b, carry;
	const __u64 *w;
	__u32 i;

	if (g >= CHUNK_WORDS / GROUP_WORDS)
		return 1;
	w = &s->chunk->word[g * GROUP_WORDS];
	if (!s->dense && !or_words(w, GROUP_WORDS))
		return 0;
	column[0] = s->column[0];
	column[1] = s->column[1];
	column[2] = s->column[2];
#pragma unroll
	for (i = 0; i < GROUP_WORDS; i += 32) {
		eight_a = add8(column, w + i);
		eight_b = add8(column, w + i + 8);
		ADD2(sixteen_a, eights, eight_a, eight_b);
		eight_a = add8(column, w + i + 16);
		eight_b = add8(column, w + i + 24);
		ADD2(sixteen_b, eights, eight_a, eight_b);
		ADD2(carry, sixteens, sixteen_a, sixteen_b);
		set += popcount64(carry);
	}
	s->column[0] = column[0];
	s->column[1] = column[1];
	s->column[2] = column[2];
	s->column[3] = eights;
	s->column[4] = sixteens;
	s->set += 32 * set;
	return 0;
}

/* The same of a chunk that is smaller than a group. */
static long scan_small_group(__u32 g, struct count *s)
{
	const __u64 *w;

	if (g >= CHUNK_WORDS / SMALL_WORDS)
		return 1;
	w = &s->chunk->word[g * SMALL_WORDS];
	if (or_words(w, SMALL_WORDS))
		s->set += 8 * popcount64(add8(s->column, w));
	return 0;
}

/* Is there nothing in the whole of a chunk? */
static __always_inline bool is_clear(const struct chunk *c)
{
	__u64 all = 0;
	__u32 i;

	for (i = 0; i < CHUNK_WORDS; i += GROUP_WORDS)
		all |= or_words(&c->word[i], GROUP_WORDS);
	return !all;
}

/* Clears what is not the bitmap's: from @bits on to the end of the last group. */
static __always_inline void mask_tail(struct chunk *c, __u32 bits)
{
	__u32 word = bits / 64;

	if (word < CHUNK_WORDS)
		c->word[word] &= (1ULL << (bits % 64)) - 1;
}

/* Looks up where the kernel maps memory. A cheap thing, but not for each chunk. */
static __always_inline void map_find(struct scan *s)
{
	if (!direct_map_var || !page_map_var)
		return;
	bpf_probe_read_kernel(&s->direct, sizeof(s->direct), (void *)direct_map_var);
	bpf_probe_read_kernel(&s->map, sizeof(s->map), (void *)page_map_var);
}

/* Reads @bytes of pinned page @index of the window's, from @offset on. */
static __always_inline long read_page(const struct scan *s, const struct report *r, void *to,
				      __u64 bytes, __u64 index, __u64 offset)
{
	__u64 page = 0, addr;

	if (bpf_probe_read_kernel(&page, sizeof(page), (void *)(r->page_array + index * 8)))
		return -1;
	if (REFERENCE) {
		addr = page;
	} else if (page >= s->map) {
		__u64 number = (page - s->map) / bpf_core_type_size(struct page);

		addr = s->direct + (number << cpu_page_shift);
	} else {
		return -1;
	}
	return bpf_probe_read_kernel(to, bytes, (void *)(addr + offset));
}

/* Reads from the pages that are pinned; a chunk lies in one of them or in two. */
static __always_inline long read_pinned(const struct scan *s, const struct report *r,
					struct chunk *c, __u32 bytes, __u64 addr)
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
	if (read_page(s, r, c->word, part, index, offset))
		return -1;
	return rest ? read_page(s, r, (void *)c->word + part, rest, index + 1, 0) : 0;
}

static __always_inline long read_chunk(const struct scan *s, const struct report *r,
				       struct chunk *c, __u32 bytes, __u64 addr)
{
	if (REFERENCE)		/* whoever unpins need not be in the owner's memory */
		return read_pinned(s, r, c, bytes, addr);
	if (s->pinned && !read_pinned(s, r, c, bytes, addr))
		return 0;
	return bpf_probe_read_user(c, bytes, (void *)addr);
}

/* The last chunk is read in part: what follows in its last group must be zero. */
static __always_inline void chunk_prepare(struct chunk *c, __u32 bytes, bool small)
{
	__u32 word = bytes / 8 & (CHUNK_WORDS - 1);

	if (small)
		__builtin_memset(&c->word[word & ~(SMALL_WORDS - 1)], 0, 8 * SMALL_WORDS);
	else
		__builtin_memset(&c->word[word & ~(GROUP_WORDS - 1)], 0, 8 * GROUP_WORDS);
}

static __always_inline __u32 groups_of(__u32 bytes, __u32 words)
{
	return (bytes + 8 * words - 1) / (8 * words);
}

/* Are its chunks smaller than a group? */
static __always_inline bool scan_is_small(const struct scan *s)
{
	return s->chunk_shift < 9;	/* log2 of a group's bytes */
}

/*
 * How many bits are set in the chunk, which is @bytes long. A global function: verifiers
 * of 6.12 and later go round its loops several times, and all of that once for each way
 * that leads here.
 */
__noinline int chunk_count(struct chunk *c, struct scan *s, __u32 bytes)
{
	struct count count = {};

	if (!c || !s)
		return 0;
	count.chunk = c;
	count.dense = s->dense;
	if (scan_is_small(s))
		bpf_loop(groups_of(bytes, SMALL_WORDS), scan_small_group, &count, 0);
	else
		bpf_loop(groups_of(bytes, GROUP_WORDS), scan_group, &count, 0);
	columns_settle(&count);
	s->dense = count.set >= CHUNK_WORDS / 2;
	return count.set;
}

/*
 * Counts chunk @index of the scan. 1: there is no more to do. A global function: from 6.12
 * on the verifier goes round loops until nothing new comes of it, and of this one inside
 * the other it had hardly enough.
 */
__noinline int scan_chunk(struct scan *s, __u32 index)
{
	__u32 user, bits, bytes, cell, set;
	struct report *r;
	struct chunk *c;
	__u64 first;

	if (!s)
		return 1;
	user = s->user;
	r = report_at(s->n);
	c = bpf_map_lookup_elem(&scratch, &user);
	first = (__u64)index << ((s->chunk_shift + 3) & 63);
	if (!r || !c || first >= s->bits)
		return 1;
	bits = 8U << (s->chunk_shift & 31);
	if (s->bits - first < bits) {
		bits = s->bits - first;
		chunk_prepare(c, bits / 8, scan_is_small(s));
	}
	bytes = (bits + 7) / 8;
	if (bytes > CHUNK_BYTES)
		return 1;
	if (read_chunk(s, r, c, bytes, s->addr + first / 8)) {
		s->failed = true;
		return 1;
	}
	if (bits % 64)
		mask_tail(c, bits);

	if (bytes == CHUNK_BYTES && !s->dense && is_clear(c))
		return 0;
	set = chunk_count(c, s, bytes);
	s->set += set;

	cell = first >> (s->cell_shift & 63);
	if (cell < IOVAB_CELLS)
		r->cells[cell] += s->at_end ? set : -set;
	return 0;
}

static long scan_next(__u32 index, struct scan *s)
{
	return scan_chunk(s, index) ? 1 : 0;	/* the verifier allows nothing else */
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
		.n = n,
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
	/* at the next pin, and at an eager kernel's free, the window before is unpinned already */
	user &= SCAN_USERS - 1;
	if (!REFERENCE && (user == SCAN_PIN_EXIT || user == SCAN_UNPIN || (lazy && user == SCAN_FREE)))
		map_find(&s);
	s.pinned = s.direct && s.map;
	bpf_loop(((s.bits - 1) >> (s.chunk_shift + 3)) + 1, scan_next, &s, 0);
	r->scan_set = s.set;
	return s.failed ? -1 : 0;
}

#endif /* IOVAB_BPF_SCAN_H */
