/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A chunk: runs of marks of one report, in order, as few bytes. Each can be read by itself.
 *
 * Before it is compressed (zstd) a chunk is a series of numbers as in pack.h. The first
 * of each run says in its lowest two bits what it is, and the rest of it is v:
 *
 *	0	one mark, v pages (zigzag: 0, -1, 1, -2 ...) from where the last mark ended
 *	1	likewise a run; the next number is how many marks it has, less two
 *	2	no run: from here on a mark of 0 or 1 is v pages long, at first 1
 *	3	a run of v marks; the next number is how many bytes (zigzag, modulo 2^64) from
 *		where the last mark ended it begins, and the one behind it how many bytes long
 *		each mark is, which may be 0
 *
 * "Where the last mark ended" is at first the report's first IOVA. A page there is the
 * report's, page_size bytes, and what ended inside of one counts as having ended at its
 * begin. So a mark at any place is four bytes up to 64 GiB from the one before, and
 * ascending marks are nothing but the growing length of one run.
 */
#ifndef IOVAB_CHUNK_H
#define IOVAB_CHUNK_H

#include <stdbool.h>

#include "facts.h"

/* Bytes of a chunk, at most: before it is compressed, and after (an incompressible one grows). */
#define CHUNK_RAW	(256U << 10)
#define CHUNK_PACKED	(CHUNK_RAW + 4096)

/* @count marks of @length bytes each, one behind the other, from @iova on. */
struct run {
	__u64 iova;
	__u64 length;	/* 0: empty marks, all of them at @iova */
	__u64 count;	/* at least 1 */
};

struct chunk_writer {
	struct iovab_chunk_fact chunk;	/* all of it but for data and size */
	__u32 page_shift;
	__u64 end;			/* where the last mark ended */
	__u64 mark_pages;
	unsigned char *raw;
	size_t size, max;
};

/* @chunk says whose runs they are. */
void chunk_writer__init(struct chunk_writer *w, const struct iovab_chunk_fact *chunk);
void chunk_writer__free(struct chunk_writer *w);

/* 0; 1: the chunk is full, the run not in it; -ENOMEM, likewise not. */
int chunk_writer__add(struct chunk_writer *w, const struct run *run);

struct chunk_packer;
struct chunk_packer *chunk_packer__new(void);	/* NULL: no memory */
void chunk_packer__free(struct chunk_packer *p);

/*
 * The chunk as it is recorded; its data belong to the caller. The writer is then as
 * after init. -ENOMEM leaves it as it was.
 */
int chunk_packer__pack(struct chunk_packer *p, struct chunk_writer *w, struct iovab_chunk_fact *out);

struct chunk_reader;
struct chunk_reader *chunk_reader__new(void);	/* NULL: no memory */
void chunk_reader__free(struct chunk_reader *r);

/*
 * Opens a chunk, which may hold anything, in the place of the one before. What it says of
 * its report was checked. -EINVAL: it is none, -ENOMEM.
 */
int chunk_reader__open(struct chunk_reader *r, const struct iovab_chunk_fact *chunk);

/*
 * The next run: 1, or 0: there is none, and all that the chunk says of itself is true; or
 * -EINVAL. A run of several marks does not reach past the end of the address space; a
 * single mark may.
 */
int chunk_reader__next(struct chunk_reader *r, struct run *run);

#endif /* IOVAB_CHUNK_H */
