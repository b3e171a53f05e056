/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs: the marks of a report on their way out of the kernel, if somebody records them.
 *
 * All of them, exactly and in order, for what other policies would have pinned depends
 * on each mark's place, length and turn. mark.h joins marks that go on where the one
 * before ended; what leaves is a run: where it begins, how long each of its marks is,
 * and how many there are. Marks in ascending order are one run and cost nothing here.
 * Marks out of order are runs of one, and the reporting thread, whose time is the
 * guest's downtime, writes one word for each into a buffer of its report (struct
 * iovab_runs tells what a word says). A full buffer goes into the ring, whole.
 *
 * Nobody is woken for it: that would be paid for here. Who reads looks by himself, often
 * enough for the ring's size. If the ring is full a buffer is lost, and its marks are
 * counted; the next one can be read all the same, since each says how long marks are at
 * its beginning.
 */
#ifndef IOVAB_BPF_RUNS_H
#define IOVAB_BPF_RUNS_H

#include "state.h"

/* Somebody records marks. Set before the programs are loaded. */
const volatile bool want_marks;

struct run_buffer {
	struct iovab_runs out;
	__u64 mark_length;	/* as in there, but now and not at the beginning */
	__u64 joined;		/* marks - words, modulo 2^64 */
	__u32 sent;		/* a buffer of this report was */
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, IOVAB_MAX_REPORTS);	/* 1 if nobody records them */
	__type(key, __u32);
	__type(value, struct run_buffer);
} run_buffers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} mark_ring SEC(".maps");

/* What one call of set can need. */
#define RUN_WORDS_SPARE	16

static __always_inline struct run_buffer *runs_at(__u32 n)
{
	return bpf_map_lookup_elem(&run_buffers, &n);
}

/* Sends the buffer of report @n, and empties it. A global function: the verifier looks at it once. */
__noinline int runs_send(__u32 n, __u32 last)
{
	struct run_buffer *b = runs_at(n);
	__u64 words;

	if (!b)
		return 0;
	words = b->out.words;
	asm volatile("" : "+r"(words));
	if (words > IOVAB_RUN_WORDS)
		return 0;
	b->out.source_id = slot_at(n)->source_id;
	b->out.marks = words + b->joined;
	b->out.last = last;
	if (bpf_ringbuf_output(&mark_ring, &b->out,
			       offsetof(struct iovab_runs, word) + words * 8, BPF_RB_NO_WAKEUP))
		__sync_fetch_and_add(&losses.marks_dropped, b->out.marks);
	b->out.words = 0;
	b->out.mark_length = b->mark_length;
	b->joined = 0;
	b->sent = 1;
	return 0;
}

/* Sees to it that a call of set has room. */
static __always_inline void runs_make_room(__u32 n)
{
	struct run_buffer *b = runs_at(n);

	if (b && b->out.words >= IOVAB_RUN_WORDS - RUN_WORDS_SPARE)
		runs_send(n, 0);
}

/*
 * A run of one mark, of the series' length. False: the buffer is full. (Marks of a
 * series begin at a multiple of 4 KiB from the report's first IOVA: see runs_series.)
 */
static __always_inline bool runs_single(__u32 n, __u64 iova)
{
	struct run_buffer *b = runs_at(n);
	__u32 i;

	if (!b)
		return false;
	i = b->out.words;
	if (i >= IOVAB_RUN_WORDS - RUN_WORDS_SPARE)
		return false;
	b->out.word[i] = iova - b->out.iova;
	b->out.words = i + 1;
	return true;
}

/* A run of @count marks of @length bytes each, which may be none. */
__noinline int runs_put(__u32 n, __u64 iova, __u64 length, __u64 count)
{
	struct run_buffer *b = runs_at(n);
	__u64 offset;
	__u32 i;

	if (!b)
		return 0;
	i = b->out.words;
	if (i > IOVAB_RUN_WORDS - 4)
		return 0;	/* cannot be: runs_make_room */
	offset = iova - b->out.iova;
	if (length == b->mark_length && !(offset & (IOVAB_RUN_OTHER | IOVAB_RUN_COUNT)) &&
	    count - 1 <= IOVAB_RUN_COUNT) {
		b->out.word[i] = offset | (count - 1);
		b->out.words = i + 1;
		b->joined += count - 1;
		return 0;
	}
	b->out.word[i] = IOVAB_RUN_OTHER;
	b->out.word[i + 1] = iova;
	b->out.word[i + 2] = length;
	b->out.word[i + 3] = count;
	b->out.words = i + 4;
	b->joined += count - 4;
	return 0;
}

/* A series begins: from here on marks that say nothing else are of this length. */
__noinline int runs_series(__u32 n, __u64 length)
{
	struct run_buffer *b = runs_at(n);
	__u32 i;

	if (!b || length == b->mark_length)
		return 0;
	i = b->out.words;
	if (i > IOVAB_RUN_WORDS - 2)
		return 0;
	b->out.word[i] = IOVAB_RUN_OTHER | IOVAB_RUN_LENGTH;
	b->out.word[i + 1] = length;
	b->out.words = i + 2;
	b->joined -= 2;
	b->mark_length = length;
	return 0;
}

/* Can the words of a series say where its marks begin? */
static __always_inline bool runs_can_say(const struct report *r)
{
	return r->page_shift >= IOVAB_RUN_COUNT_BITS && !(r->length >> 63);
}

static __always_inline void runs_begin(__u32 n, const struct report *r)
{
	struct run_buffer *b = runs_at(n);

	if (!b)
		return;
	b->out.report = r->serial;
	b->out.iova = r->iova;
	b->out.length = r->length;
	b->out.bitmap_offset = r->bitmap_addr & ((1ULL << cpu_page_shift) - 1);
	b->out.page_shift = r->page_shift;
	b->out.cpu_page_shift = cpu_page_shift;
	b->out.words = 0;
	b->out.mark_length = b->mark_length = 1ULL << r->page_shift;
	b->joined = 0;
	b->sent = 0;
}

/* The report's last marks were put. */
static __always_inline void runs_end(__u32 n)
{
	const struct run_buffer *b = runs_at(n);

	if (b && (b->sent || b->out.words))
		runs_send(n, 1);
}

#endif /* IOVAB_BPF_RUNS_H */
