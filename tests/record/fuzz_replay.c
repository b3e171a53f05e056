// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer over the reader of recordings: any bytes, through the model, a study's
 * rounds, a policy and the map of hot ranges.
 *
 * A chunk of marks is compressed, which a fuzzer does not get through. So input that does
 * not begin as a recording does is what a chunk holds, behind 8 bytes that say of which
 * report: it is compressed here.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "follow.h"
#include "hot.h"
#include "model.h"
#include "replay.h"
#include "rounds.h"

/* Of a chunk: more of it is nothing new, and takes long. */
#define MOST	2048

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_recording(const uint8_t *data, size_t size)
{
	struct iovab_error e = {};
	struct replay *r = replay__open_memory(data, size, &e);
	struct model *m = r ? model__new() : NULL;
	const struct policy_options policy = { size % 2 ? IOVAB_POLICY_LAZY : IOVAB_POLICY_CACHED, 2 };
	struct follow *f = r ? follow__new(&policy) : NULL;
	const struct iovab_facts *facts;
	struct rounds rounds = {};
	size_t i;

	if (r)
		replay__want_marks(r);
	while (r && m && f && (facts = replay__next(r, &e))) {
		if (!model__update(m, facts))
			break;
		if (follow__add(f, facts, &e))
			break;
		for (i = 0; i < facts->n_reports; i++)
			rounds__add(&rounds, &facts->reports[i], facts->tier);
	}
	follow__free(f);
	rounds__settle(&rounds);
	rounds__free(&rounds);
	model__free(m);
	replay__close(r);
	/* who opens it must be told why not */
	if (!r && !e.code)
		abort();
}

/* One that the reader of a recording lets through. */
static void describe(struct iovab_chunk_fact *chunk, const uint8_t *head)
{
	chunk->report = 1;
	chunk->source_id = 1;
	chunk->cpu_page_size = head[0] & 1 ? 4096 : 65536;
	chunk->page_size = 1ULL << (head[1] & 63);
	chunk->bitmap_offset = (head[2] << 3) & 4095;
	chunk->iova = (__u64)head[3] << (head[4] & 63);
	chunk->length = ((__u64)head[5] << (head[6] & 63)) + head[7] + 1;
	if (!chunk->length || chunk->iova + (chunk->length - 1) < chunk->iova)
		chunk->length = ~0ULL - chunk->iova;
	chunk->length += !chunk->length;
}

/* What its marks and runs add up to, so that it is not refused for that. */
static void count_runs(struct chunk_reader *reader, struct iovab_chunk_fact *chunk)
{
	struct run run;

	chunk->marks = ~0ULL;
	chunk->runs = ~0ULL;
	if (chunk_reader__open(reader, chunk))
		return;
	for (chunk->marks = ~0ULL, chunk->runs = 0; chunk_reader__next(reader, &run) == 1; chunk->runs++)
		;
}

static void read_marks(const uint8_t *data, size_t size)
{
	static unsigned char packed[ZSTD_COMPRESSBOUND(MOST)];
	struct chunk_reader *reader = chunk_reader__new();
	struct hot_map *map = hot_map__new();
	struct iovab_chunk_fact chunk = { .data = packed };
	struct hot_range hot[HOT_RANGES];
	__u64 marks = 0;
	struct run run;
	unsigned int id;

	describe(&chunk, data);
	chunk.size = ZSTD_compress(packed, sizeof(packed), data + 8,
				   size - 8 < MOST ? size - 8 : MOST, 1);
	count_runs(reader, &chunk);
	hot_map__cover(map, chunk.iova, chunk.iova + (chunk.length - 1));
	if (!chunk_reader__open(reader, &chunk)) {
		while (chunk_reader__next(reader, &run) == 1) {
			hot_map__add(map, &run);
			marks += run.count;
		}
	}
	hot_map__find(hot, map);
	chunk.marks = marks;
	for (id = 0; id < IOVAB_POLICIES; id++) {
		const struct policy_options policy = { id, 3 };
		const struct iovab_report_event report = {
			.report = 1, .source_id = 1, .iova = chunk.iova, .length = chunk.length,
			.page_size = chunk.page_size, .cpu_page_size = chunk.cpu_page_size,
			.bitmap_offset = chunk.bitmap_offset, .set_calls = marks,
		};
		const struct iovab_facts facts = {
			.chunks = &chunk, .n_chunks = 1, .reports = &report, .n_reports = 1,
		};
		struct follow *f = follow__new(&policy);
		struct iovab_error e = {};

		follow__add(f, &facts, &e);
		follow__free(f);
	}
	hot_map__free(map);
	chunk_reader__free(reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 8 && memcmp(data, "SQLite", 6))
		read_marks(data, size);
	else
		read_recording(data, size);
	return 0;
}
