// SPDX-License-Identifier: GPL-2.0-only
#include "chunk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "pack.h"

enum kind { KIND_MARK, KIND_RUN, KIND_LENGTH, KIND_OTHER };

#define KIND_BITS	2
#define KIND_MASK	((1ULL << KIND_BITS) - 1)

/* What one run can take: a length, and then a run in full. */
#define RUN_MAX		PACK_MAX(4)
/* Counts that do not fit above the kind are written as several runs. */
#define COUNT_MAX	(~0ULL >> KIND_BITS)

static __u64 zigzag(__u64 v)
{
	return v << 1 ^ (v >> 63 ? ~0ULL : 0);
}

static __u64 unzigzag(__u64 v)
{
	return v >> 1 ^ (v & 1 ? ~0ULL : 0);
}

/* --- writing --- */

static void begin(struct chunk_writer *w)
{
	w->chunk.marks = 0;
	w->chunk.runs = 0;
	w->end = w->chunk.iova;
	w->mark_pages = 1;
	w->size = 0;
}

void chunk_writer__init(struct chunk_writer *w, const struct iovab_chunk_fact *chunk)
{
	memset(w, 0, sizeof(*w));
	w->chunk = *chunk;
	w->page_shift = (__u32)__builtin_ctzll(chunk->page_size);
	begin(w);
}

void chunk_writer__free(struct chunk_writer *w)
{
	free(w->raw);
	w->raw = NULL;
	w->size = w->max = 0;
}

static bool make_room(struct chunk_writer *w)
{
	size_t max = w->max ? 2 * w->max : 4096;
	unsigned char *raw;

	if (w->max - w->size >= RUN_MAX)
		return true;
	raw = realloc(w->raw, max);
	if (!raw)
		return false;
	w->raw = raw;
	w->max = max;
	return true;
}

static void put(struct chunk_writer *w, __u64 v)
{
	w->size += pack__put(w->raw + w->size, v);
}

static void put_kind(struct chunk_writer *w, enum kind kind, __u64 v)
{
	put(w, v << KIND_BITS | kind);
}

/* Can the run be told in pages? They are too many for that if they are tiny. */
static bool is_whole(const struct chunk_writer *w, const struct run *run)
{
	__u64 mask = w->chunk.page_size - 1;

	return w->page_shift >= 8 && run->length && run->iova >= w->chunk.iova &&
	       !((run->iova - w->chunk.iova) & mask) && !(run->length & mask);
}

static void put_whole(struct chunk_writer *w, const struct run *run)
{
	__u64 from = (w->end - w->chunk.iova) >> w->page_shift;
	__u64 page = (run->iova - w->chunk.iova) >> w->page_shift;
	__u64 mark_pages = run->length >> w->page_shift;

	if (mark_pages != w->mark_pages) {
		put_kind(w, KIND_LENGTH, mark_pages);
		w->mark_pages = mark_pages;
	}
	put_kind(w, run->count > 1 ? KIND_RUN : KIND_MARK, zigzag(page - from));
	if (run->count > 1)
		put(w, run->count - 2);
}

int chunk_writer__add(struct chunk_writer *w, const struct run *run)
{
	if (w->size > CHUNK_RAW - RUN_MAX || run->count > COUNT_MAX)
		return 1;
	if (!make_room(w))
		return -ENOMEM;
	if (is_whole(w, run)) {
		put_whole(w, run);
	} else {
		put_kind(w, KIND_OTHER, run->count);
		put(w, zigzag(run->iova - w->end));
		put(w, run->length);
	}
	w->end = run->iova + run->length * run->count;
	w->chunk.marks += run->count;
	w->chunk.runs++;
	return 0;
}

/* --- packing --- */

/* The fastest: what is in no order cannot be made smaller, and what is, is small. */
#define LEVEL	1

struct chunk_packer {
	ZSTD_CCtx *zstd;
	unsigned char packed[ZSTD_COMPRESSBOUND(CHUNK_RAW)];
};

_Static_assert(ZSTD_COMPRESSBOUND(CHUNK_RAW) <= CHUNK_PACKED, "what is written can be read");

struct chunk_packer *chunk_packer__new(void)
{
	struct chunk_packer *p = malloc(sizeof(*p));

	if (!p)
		return NULL;
	p->zstd = ZSTD_createCCtx();
	if (p->zstd)
		return p;
	free(p);
	return NULL;
}

void chunk_packer__free(struct chunk_packer *p)
{
	if (!p)
		return;
	ZSTD_freeCCtx(p->zstd);
	free(p);
}

int chunk_packer__pack(struct chunk_packer *p, struct chunk_writer *w, struct iovab_chunk_fact *out)
{
	size_t size = ZSTD_compressCCtx(p->zstd, p->packed, sizeof(p->packed), w->raw, w->size, LEVEL);
	void *data;

	if (ZSTD_isError(size))
		return -ENOMEM;
	data = malloc(size);
	if (!data)
		return -ENOMEM;
	memcpy(data, p->packed, size);
	*out = w->chunk;
	out->data = data;
	out->size = size;
	begin(w);
	return 0;
}

/* --- reading --- */

struct chunk_reader {
	ZSTD_DCtx *zstd;
	struct iovab_chunk_fact chunk;
	__u32 page_shift;
	__u64 end, mark_pages;		/* as the writer's */
	__u64 marks, runs;		/* that were read */
	size_t at, size;
	unsigned char raw[CHUNK_RAW];
};

struct chunk_reader *chunk_reader__new(void)
{
	struct chunk_reader *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->zstd = ZSTD_createDCtx();
	if (r->zstd)
		return r;
	free(r);
	return NULL;
}

void chunk_reader__free(struct chunk_reader *r)
{
	if (!r)
		return;
	ZSTD_freeDCtx(r->zstd);
	free(r);
}

int chunk_reader__open(struct chunk_reader *r, const struct iovab_chunk_fact *chunk)
{
	size_t size = ZSTD_decompressDCtx(r->zstd, r->raw, sizeof(r->raw), chunk->data, chunk->size);

	r->at = r->size = 0;
	if (ZSTD_isError(size))
		return ZSTD_getErrorCode(size) == ZSTD_error_memory_allocation ? -ENOMEM : -EINVAL;
	r->chunk = *chunk;
	r->page_shift = (__u32)__builtin_ctzll(chunk->page_size);
	r->end = chunk->iova;
	r->mark_pages = 1;
	r->marks = r->runs = 0;
	r->size = size;
	return 0;
}

static bool take(struct chunk_reader *r, __u64 *v)
{
	size_t n = pack__take(r->raw + r->at, r->size - r->at, v);

	r->at += n;
	return n > 0;
}

/* Bytes of @pages pages; false: there are not so many in 64 bits. */
static bool bytes_of(const struct chunk_reader *r, __u64 pages, __u64 *bytes)
{
	*bytes = pages << r->page_shift;
	return *bytes >> r->page_shift == pages;
}

static bool take_whole(struct chunk_reader *r, __u64 v, bool single, struct run *run)
{
	__u64 from = (r->end - r->chunk.iova) >> r->page_shift;
	__u64 offset;

	if (!bytes_of(r, from + unzigzag(v), &offset) || !bytes_of(r, r->mark_pages, &run->length))
		return false;
	run->iova = r->chunk.iova + offset;
	run->count = 1;
	if (single)
		return true;
	if (!take(r, &run->count) || run->count > COUNT_MAX - 2)
		return false;
	run->count += 2;
	return true;
}

static bool take_other(struct chunk_reader *r, __u64 v, struct run *run)
{
	__u64 distance;

	if (!v || !take(r, &distance) || !take(r, &run->length))
		return false;
	run->iova = r->end + unzigzag(distance);
	run->count = v;
	return true;
}

/* Of several marks none may reach past the end of the address space. */
static bool is_possible(const struct run *run)
{
	__u64 bytes;

	return run->count == 1 || (!__builtin_mul_overflow(run->length, run->count, &bytes) &&
				   (!bytes || run->iova + (bytes - 1) >= run->iova));
}

static int take_run(struct chunk_reader *r, struct run *run)
{
	__u64 v;

	do {
		if (!take(r, &v))
			return -EINVAL;
		if ((v & KIND_MASK) == KIND_LENGTH)
			r->mark_pages = v >> KIND_BITS;
	} while ((v & KIND_MASK) == KIND_LENGTH);
	if ((v & KIND_MASK) == KIND_OTHER)
		return take_other(r, v >> KIND_BITS, run) ? 1 : -EINVAL;
	return take_whole(r, v >> KIND_BITS, (v & KIND_MASK) == KIND_MARK, run) ? 1 : -EINVAL;
}

int chunk_reader__next(struct chunk_reader *r, struct run *run)
{
	if (r->at == r->size)
		return r->marks == r->chunk.marks && r->runs == r->chunk.runs ? 0 : -EINVAL;
	if (take_run(r, run) < 0 || !is_possible(run))
		return -EINVAL;
	r->end = run->iova + run->length * run->count;
	r->marks += run->count;
	r->runs++;
	return r->marks <= r->chunk.marks && r->marks >= run->count ? 1 : -EINVAL;
}
