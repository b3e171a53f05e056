// SPDX-License-Identifier: GPL-2.0-only
/* Marks into chunks and out of them, and through policies of pinning. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fixture.h"
#include "chunk.h"
#include "follow.h"
#include "hot.h"
#include "policy.h"

#define PAGE	4096ULL

/* --- chunks --- */

static struct iovab_chunk_fact head(__u64 iova, __u64 length, __u64 page_size)
{
	return (struct iovab_chunk_fact){
		.report = 7, .source_id = 3, .cpu_page_size = 4096, .iova = iova,
		.length = length, .page_size = page_size,
	};
}

/* A run of any kind; most are what drivers do. */
static struct run random_run(const struct iovab_chunk_fact *h)
{
	__u64 pages = h->length / h->page_size;
	struct run run = {
		.iova = h->iova + fixture__random() % pages * h->page_size,
		.length = h->page_size,
		.count = 1,
	};

	switch (fixture__random() % 16) {
	case 0:
		run.count = 1 + fixture__random() % 5000;
		break;
	case 1:
		run.length *= 1 + fixture__random() % 600;
		break;
	case 2:
		run.iova += 1 + fixture__random() % 5000;
		run.length = 1 + fixture__random() % 10000;
		break;
	case 3:
		run.length = 0;
		run.count = 1 + fixture__random() % 3;
		break;
	case 4:
		run.iova = fixture__random();
		run.length = fixture__random();
		break;
	}
	/* only a single mark may run off the address space */
	if (run.length && run.count > (~0ULL - run.iova) / run.length)
		run.count = 1;
	return run;
}

static void runs_survive(void **state)
{
	static const struct {
		__u64 iova, length, page_size;
	} reports[] = {
		{ 0, 64 * GIB, PAGE }, { 3 * GIB + 0x1234, 1ULL << 43, PAGE },
		{ ~0ULL - 2 * GIB + 1, 2 * GIB, 2 << 20 }, { 0, ~0ULL, 1ULL << 62 }, { 77, 999, 1 },
	};
	static struct run runs[3000];
	struct chunk_packer *packer = chunk_packer__new();
	struct chunk_reader *reader = chunk_reader__new();
	struct iovab_chunk_fact chunk;
	struct chunk_writer w;
	struct run run;
	size_t i, n;

	for (i = 0; i < sizeof(reports) / sizeof(reports[0]); i++) {
		chunk = head(reports[i].iova, reports[i].length, reports[i].page_size);
		chunk_writer__init(&w, &chunk);
		for (n = 0; n < 3000; n++) {
			runs[n] = random_run(&chunk);
			assert_int_equal(chunk_writer__add(&w, &runs[n]), 0);
		}
		assert_int_equal(chunk_packer__pack(packer, &w, &chunk), 0);
		assert_int_equal(chunk_reader__open(reader, &chunk), 0);
		for (n = 0; n < 3000; n++) {
			assert_int_equal(chunk_reader__next(reader, &run), 1);
			assert_memory_equal(&run, &runs[n], sizeof(run));
		}
		assert_int_equal(chunk_reader__next(reader, &run), 0);
		free((void *)chunk.data);
		chunk_writer__free(&w);
	}
	chunk_packer__free(packer);
	chunk_reader__free(reader);
}

/* 64 GiB fully dirty, a mark a page: the bytes that are asked for, in every order. */
static void chunks_are_small(void **state)
{
	enum { PAGES = 1 << 21 };
	__u32 *order = malloc(PAGES * sizeof(*order)), i, j, swap;
	struct chunk_packer *packer = chunk_packer__new();
	struct iovab_chunk_fact chunk = head(0, 64 * GIB, PAGE), out;
	struct chunk_writer w;
	size_t bytes = 0, marks = 0;

	for (i = 0; i < PAGES; i++)
		order[i] = i * 8;
	for (i = PAGES - 1; i; i--) {
		j = (__u32)(fixture__random() % (i + 1));
		swap = order[i];
		order[i] = order[j];
		order[j] = swap;
	}
	chunk_writer__init(&w, &chunk);
	for (i = 0; i <= PAGES; i++) {
		struct run run = { i < PAGES ? order[i] * PAGE : 0, PAGE, 1 };
		int full = i == PAGES ? 1 : chunk_writer__add(&w, &run);

		if (!full)
			continue;
		assert_int_equal(chunk_packer__pack(packer, &w, &out), 0);
		bytes += out.size;
		marks += out.marks;
		free((void *)out.data);
		if (i < PAGES)
			assert_int_equal(chunk_writer__add(&w, &run), 0);
	}
	assert_int_equal(marks, PAGES);
	print_message("shuffled: %.2f bytes a mark\n", (double)bytes / PAGES);
	assert_true(bytes < 4 * (size_t)PAGES);
	chunk_writer__free(&w);
	chunk_packer__free(packer);
	free(order);
}

static int read_all(struct chunk_reader *reader, const struct iovab_chunk_fact *chunk)
{
	struct run run;
	int ret = chunk_reader__open(reader, chunk);

	while (!ret && (ret = chunk_reader__next(reader, &run)) == 1) {
		assert_true(run.count > 0);
		ret = 0;
	}
	return ret;
}

/* A chunk in which something is changed: it is refused, or says what it does say. */
static void wrong_chunks_are_refused(void **state)
{
	struct chunk_packer *packer = chunk_packer__new();
	struct chunk_reader *reader = chunk_reader__new();
	struct iovab_chunk_fact chunk = head(0, 64 * GIB, PAGE), good;
	unsigned char copy[CHUNK_PACKED];
	struct chunk_writer w;
	struct run run;
	int i;

	chunk_writer__init(&w, &chunk);
	for (i = 0; i < 300; i++) {
		run = random_run(&chunk);
		assert_int_equal(chunk_writer__add(&w, &run), 0);
	}
	assert_int_equal(chunk_packer__pack(packer, &w, &good), 0);
	assert_int_equal(read_all(reader, &good), 0);
	chunk = good;
	chunk.marks++;
	assert_int_equal(read_all(reader, &chunk), -EINVAL);
	chunk.marks -= 2;
	assert_int_equal(read_all(reader, &chunk), -EINVAL);
	chunk = good;
	chunk.runs--;
	assert_int_equal(read_all(reader, &chunk), -EINVAL);
	chunk = good;
	chunk.size--;
	assert_int_equal(read_all(reader, &chunk), -EINVAL);
	memset(copy, 0xff, sizeof(copy));
	chunk.data = copy;
	chunk.size = sizeof(copy);
	assert_int_equal(read_all(reader, &chunk), -EINVAL);
	for (i = 0; i < 2000; i++) {
		memcpy(copy, good.data, good.size);
		copy[fixture__random() % good.size] = (unsigned char)fixture__random();
		chunk.size = good.size;
		read_all(reader, &chunk);
	}
	free((void *)good.data);
	chunk_writer__free(&w);
	chunk_packer__free(packer);
	chunk_reader__free(reader);
}

/* --- policies --- */

static struct iovab_pins pins_of(enum iovab_policy_id id, __u32 tables, __u64 iova, __u64 length,
				 __u32 offset, const struct run *runs, size_t n)
{
	const struct policy_options o = { id, tables };
	struct iovab_layout layout;
	struct iovab_pins pins;
	struct policy *p;
	size_t i;

	assert_true(iovab_layout__init(&layout, iova, length, PAGE, offset, 12));
	p = policy__new(&o, &layout);
	for (i = 0; i < n; i++)
		assert_int_equal(policy__run(p, &runs[i]), 0);
	pins = *policy__pins(p);
	policy__free(p);
	return pins;
}

static void expect_pins(struct iovab_pins pins, __u64 windows, __u64 pages, __u64 repins)
{
	assert_int_equal(pins.windows, windows);
	assert_int_equal(pins.pages, pages);
	assert_int_equal(pins.repins, repins);
	assert_int_equal(pins.repins_unknown, 0);
}

/* What unmodified kernels were seen to pin. */
static void kernels_pin_what_was_seen(void **state)
{
	const struct run one = { 5 * GIB, PAGE, 1 }, all = { 0, PAGE, 200 * GIB / PAGE };
	const struct run two[] = { { GIB, PAGE, 1 }, { 1ULL << 42, PAGE, 1 } };
	struct run thrash[6];
	int i;

	for (i = 0; i < 6; i++)
		thrash[i] = (struct run){ (i % 2 ? 100 : 1) * GIB, PAGE, 1 };
	expect_pins(pins_of(IOVAB_POLICY_EAGER, 1, 0, 200 * GIB, 0, NULL, 0), 4, 1600, 0);
	expect_pins(pins_of(IOVAB_POLICY_LAZY, 1, 0, 200 * GIB, 0, NULL, 0), 0, 0, 0);
	expect_pins(pins_of(IOVAB_POLICY_LAZY, 1, 0, 128 * GIB, 0, &one, 1), 1, 512, 0);
	expect_pins(pins_of(IOVAB_POLICY_LAZY, 1, 0, 200 * GIB, 0, thrash, 6), 6, 3 * (512 + 512), 4);
	expect_pins(pins_of(IOVAB_POLICY_EAGER, 1, 0, 1ULL << 43, 0, NULL, 0), 128, 65536, 0);
	expect_pins(pins_of(IOVAB_POLICY_LAZY, 1, 0, 1ULL << 43, 0, two, 2), 2, 1024, 0);
	expect_pins(pins_of(IOVAB_POLICY_LAZY, 1, 0, 200 * GIB, 0, &all, 1), 4, 1600, 0);
	/* the reference: windows of 4 GiB, 32 pages each */
	expect_pins(pins_of(IOVAB_POLICY_CACHED, 16, 0, 200 * GIB, 0, thrash, 6), 2, 64, 0);
	expect_pins(pins_of(IOVAB_POLICY_CACHED, 1, 0, 200 * GIB, 0, thrash, 6), 6, 192, 4);
	expect_pins(pins_of(IOVAB_POLICY_CACHED, 16, 0, 200 * GIB, 0, &all, 1), 50, 1600, 0);
}

/* A run is the same as its marks one by one, for every policy and wherever it lies. */
static void runs_are_their_marks(void **state)
{
	static struct run single[200000];
	unsigned int round;

	for (round = 0; round < 300; round++) {
		__u64 iova = round % 3 * GIB + (round % 5 == 4 ? 0x777 : 0);
		__u64 length = (1 + fixture__random() % 300) * GIB + round % 7 * 123;
		__u32 offset = round % 2 ? (__u32)(fixture__random() % 512) * 8 : 0;
		struct iovab_chunk_fact h = head(iova, length, PAGE);
		struct run runs[40];
		enum iovab_policy_id id;
		size_t n = 0, i;
		__u64 m;

		for (i = 0; i < 40; i++) {
			runs[i] = random_run(&h);
			if (runs[i].count == 1 && round % 2 && runs[i].length < GIB)
				runs[i].count = 1 + fixture__random() % 4000;
			if (i % 9 == 8 && runs[i].iova > GIB)
				runs[i].iova = iova > 50 * PAGE ? iova - 50 * PAGE : length - 50 * PAGE;
			for (m = 0; m < runs[i].count; m++)
				single[n++] = (struct run){ runs[i].iova + m * runs[i].length,
							    runs[i].length, 1 };
		}
		for (id = 0; id < IOVAB_POLICIES; id++) {
			struct iovab_pins a = pins_of(id, 1 + round % 4, iova, length, offset, runs, 40);
			struct iovab_pins b = pins_of(id, 1 + round % 4, iova, length, offset, single, n);

			assert_memory_equal(&a, &b, sizeof(a));
		}
	}
}

/* A chunk that would take for ever is given up. */
static void work_is_bounded(void **state)
{
	const struct policy_options o = { IOVAB_POLICY_LAZY, 1 };
	/* marks that end one byte past the window: each pins */
	const struct run far = { 0, 1, 1ULL << 61 };
	struct iovab_layout layout;
	struct policy *p;
	int ret = 0, i;

	assert_true(iovab_layout__init(&layout, 0, 200 * GIB, PAGE, 0, 12));
	p = policy__new(&o, &layout);
	assert_int_equal(policy__run(p, &far), 0);
	for (i = 0; i < 1 << 23 && !ret; i++) {
		const struct run run = { (i % 2 ? 100 : 1) * GIB, PAGE, 1 };

		ret = policy__run(p, &run);
	}
	assert_int_equal(ret, -E2BIG);
	policy__free(p);
}

/* --- hot ranges --- */

static void add_marks(struct hot_map *m, __u64 iova, __u64 length, __u64 count)
{
	const struct run run = { iova, length, count };

	hot_map__add(m, &run);
}

/* The weightiest, in order of IOVA; cells merge as what is covered grows, and lose nothing. */
static void hot_ranges_of_marks(void **state)
{
	struct hot_map *m = hot_map__new();
	struct hot_range hot[HOT_RANGES];
	size_t i;

	assert_int_equal(hot_map__find(hot, m), 0);
	hot_map__cover(m, 4 * GIB, 8 * GIB - 1);
	add_marks(m, 5 * GIB, PAGE, 512);
	assert_int_equal(hot_map__find(hot, m), 1);
	assert_int_equal(hot[0].iova, 5 * GIB);
	assert_int_equal(hot[0].last, 5 * GIB + (2 << 20) - 1);
	assert_int_equal(hot[0].bytes, 2 << 20);
	/* below, far above, and seven more of which four are heavier than the rest */
	hot_map__cover(m, GIB, 2 * GIB - 1);
	hot_map__cover(m, 1ULL << 40, (1ULL << 40) + 64 * GIB - 1);
	for (i = 0; i < 7; i++)
		add_marks(m, (1ULL << 40) + 8 * i * GIB, PAGE, i % 2 ? 100 : 1000 + i);
	add_marks(m, ~0ULL - 5, 100, 1);
	add_marks(m, 0, PAGE, 1000);
	add_marks(m, 7 * GIB, 0, 1000);
	assert_int_equal(hot_map__find(hot, m), 5);
	assert_true(hot[0].iova <= 5 * GIB && hot[0].last >= 5 * GIB);
	for (i = 1; i < 5; i++) {
		assert_int_equal(hot[i].iova, (1ULL << 40) + 16 * (i - 1) * GIB);
		assert_int_equal(hot[i].bytes, (1000 + 2 * (i - 1)) * PAGE);
	}
	hot_map__free(m);
	/* all of the address space */
	m = hot_map__new();
	hot_map__cover(m, 0, ~0ULL);
	add_marks(m, ~0ULL - 5, 100, 1);
	assert_int_equal(hot_map__find(hot, m), 1);
	assert_int_equal(hot[0].last, ~0ULL);
	assert_int_equal(hot[0].bytes, 6);
	hot_map__free(m);
}

/* --- reports --- */

struct recorded {
	struct iovab_facts facts;
	struct iovab_chunk_fact chunks[4];
	struct iovab_report_event reports[4];
};

static void put_chunk(struct recorded *r, struct chunk_packer *packer, __u64 serial, __u64 marks)
{
	struct iovab_chunk_fact chunk = head(0, 64 * GIB, PAGE);
	struct run run = { GIB, PAGE, marks };
	struct chunk_writer w;

	chunk.report = serial;
	chunk_writer__init(&w, &chunk);
	assert_int_equal(chunk_writer__add(&w, &run), 0);
	assert_int_equal(chunk_packer__pack(packer, &w, &r->chunks[r->facts.n_chunks++]), 0);
	chunk_writer__free(&w);
	r->facts.chunks = r->chunks;
}

static struct iovab_report_event *put_report(struct recorded *r, __u64 serial, __u64 marks)
{
	struct iovab_report_event *e = &r->reports[r->facts.n_reports++];

	*e = (struct iovab_report_event){
		.kind = IOVAB_EVENT_REPORT, .source_id = 3, .report = serial, .length = 64 * GIB,
		.page_size = PAGE, .cpu_page_size = 4096, .windows = 1, .pages_pinned = 512,
		.set_calls = marks,
	};
	r->facts.reports = r->reports;
	return e;
}

/* In two chunks and two moments; with one chunk missing; with an error; without marks. */
static void only_whole_reports_are_followed(void **state)
{
	const struct policy_options o = { IOVAB_POLICY_CACHED, 16 };
	struct chunk_packer *packer = chunk_packer__new();
	struct follow *f = follow__new(&o);
	struct recorded first = {}, second = {};
	const struct follow_row *row;
	struct iovab_error e = {};
	size_t n, i;

	put_chunk(&first, packer, 1, 1000);
	put_chunk(&first, packer, 2, 1000);
	put_chunk(&first, packer, 3, 50);
	put_chunk(&second, packer, 1, 500);
	put_report(&second, 1, 1500);
	put_report(&second, 2, 1001);
	put_report(&second, 3, 50)->error = EFAULT;
	put_report(&second, 4, 0);
	assert_int_equal(follow__add(f, &first.facts, &e), 0);
	assert_int_equal(follow__add(f, &second.facts, &e), 0);
	row = follow__rows(f, &n);
	assert_int_equal(n, 1);
	assert_int_equal(row->followed, 2);
	assert_int_equal(row->incomplete, 1);
	assert_int_equal(row->ended_badly, 1);
	assert_int_equal(row->marks, 1500);
	expect_pins(row->pins, 1, 32, 0);
	expect_pins(row->observed, 2, 1024, 0);
	for (i = 0; i < first.facts.n_chunks; i++)
		free((void *)first.chunks[i].data);
	free((void *)second.chunks[0].data);
	follow__free(f);
	chunk_packer__free(packer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_survive),
		cmocka_unit_test(chunks_are_small),
		cmocka_unit_test(wrong_chunks_are_refused),
		cmocka_unit_test(kernels_pin_what_was_seen),
		cmocka_unit_test(runs_are_their_marks),
		cmocka_unit_test(work_is_bounded),
		cmocka_unit_test(hot_ranges_of_marks),
		cmocka_unit_test(only_whole_reports_are_followed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
