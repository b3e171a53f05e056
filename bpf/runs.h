/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs: the marks of a report on their way out of the kernel, if somebody records them.
 *
 * All of them, exactly and in order, for what other policies would have pinned depends
 * on each mark's place, length and turn. Marks of one length that go on where the one
 * before ended are one run, of which only the end moves. When it ends, a run is written
 * into the report's buffer, in most cases as one word (struct iovab_runs tells what a
 * word says), and a full buffer goes into the ring, whole. The thread that does this is
 * the one that reports, and its time is the guest's downtime.
 *
 * Nobody is woken: that would be paid for here. Who reads looks by himself, often
 * enough for the ring's size. If the ring is full a buffer is lost, and its marks are
 * counted; the next one can be read all the same, since each says how long marks are at
 * its beginning.
 *
 * What counts marks (mark.h) knows nothing of this. Who records has a program of his
 * own in the place of that on set, so that nobody else pays for a look whether he is there.
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
	/* the run that goes on; it is not in words yet */
	__u64 length;		/* of each mark, and then it is mark_length, too; 0: there is none */
	__u64 start;
	__u64 next;		/* one past its last mark */
	__u64 sent;		/* a buffer of this report was */
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

/* One mark takes at most: the run before it in full, a length, and itself in full. */
#define RUN_WORDS_SPARE	12

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

/* Can a word say where it begins? */
static __always_inline bool run_is_short(__u64 offset)
{
	return !(offset & (IOVAB_RUN_OTHER | IOVAB_RUN_COUNT));
}

/* A run in full. There is room. */
static __always_inline void runs_put_other(struct run_buffer *b, __u64 iova, __u64 length, __u64 count)
{
	__u32 i = b->out.words;

	if (i > IOVAB_RUN_WORDS - 4)
		return;		/* for the verifier */
	b->out.word[i] = IOVAB_RUN_OTHER;
	b->out.word[i + 1] = iova;
	b->out.word[i + 2] = length;
	b->out.word[i + 3] = count;
	b->out.words = i + 4;
	b->joined += count - 4;
}

/* The run that goes on ends. There is room. */
static __always_inline void runs_put(struct run_buffer *b)
{
	__u64 offset = b->start - b->out.iova, count;
	__u32 i = b->out.words;

	if (!b->length)
		return;
	count = (b->next - b->start) / b->length;
	if (!run_is_short(offset) || count - 1 > IOVAB_RUN_COUNT) {
		runs_put_other(b, b->start, b->length, count);
	} else if (i < IOVAB_RUN_WORDS) {
		b->out.word[i] = offset | (count - 1);
		b->out.words = i + 1;
		b->joined += count - 1;
	}
	b->length = 0;
}

/* From here on runs are of marks of this length. There is room. */
static __always_inline void runs_put_length(struct run_buffer *b, __u64 length)
{
	__u32 i = b->out.words;

	if (length == b->mark_length || i > IOVAB_RUN_WORDS - 2)
		return;
	b->out.word[i] = IOVAB_RUN_OTHER | IOVAB_RUN_LENGTH;
	b->out.word[i + 1] = length;
	b->out.words = i + 2;
	b->joined -= 2;
	b->mark_length = length;
}

/* A mark that is not just the next one, or not just another one. */
__noinline int runs_turn(__u32 n, __u64 iova, __u64 length)
{
	struct run_buffer *b = runs_at(n);

	if (!b)
		return 0;
	if (b->out.words > IOVAB_RUN_WORDS - RUN_WORDS_SPARE)
		runs_send(n, 0);
	runs_put(b);
	/* empty, or to the end of the address space and perhaps past it: no run goes on from there */
	if (iova + length <= iova) {
		runs_put_other(b, iova, length, 1);
		return 0;
	}
	runs_put_length(b, length);
	b->length = length;
	b->start = iova;
	b->next = iova + length;
	return 0;
}

/* Takes down a mark of the object @key. */
static __always_inline void runs_mark(__u64 key, __u64 iova, __u64 length)
{
	__u64 end = iova + length, offset;
	struct run_buffer *b;
	int n = slot_find(key);
	__u32 i;

	if (n < 0)
		return;		/* counted as unowned */
	b = runs_at(n);
	if (!b)
		return;
	if (length != b->length || end <= iova)
		goto turn;
	if (iova == b->next) {
		b->next = end;
		return;
	}
	/* most of those that are out of order are runs of one mark */
	offset = b->start - b->out.iova;
	i = b->out.words;
	if (b->next - b->start != length || !run_is_short(offset) ||
	    i > IOVAB_RUN_WORDS - RUN_WORDS_SPARE)
		goto turn;
	b->out.word[i] = offset;
	b->out.words = i + 1;
	b->start = iova;
	b->next = end;
	return;
turn:
	runs_turn(n, iova, length);
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
	b->length = 0;
	b->sent = 0;
}

/* The report had its last mark. */
static __always_inline void runs_end(__u32 n)
{
	struct run_buffer *b = runs_at(n);

	if (!b)
		return;
	if (b->out.words > IOVAB_RUN_WORDS - RUN_WORDS_SPARE)
		runs_send(n, 0);
	runs_put(b);
	if (b->sent || b->out.words)
		runs_send(n, 1);
}

#endif /* IOVAB_BPF_RUNS_H */
