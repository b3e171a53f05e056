// SPDX-License-Identifier: GPL-2.0-only
/*
 * Both the thread and who takes chunks empty the ring, under one lock: what is taken is
 * complete up to that moment, whatever the thread was doing. The thread lets go of the
 * lock every BURST records, so that nobody waits for the end of a report.
 */
#include "drain.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "array.h"
#include "chunk.h"

/*
 * The thread sleeps so long when it has found the ring empty: a byte of the ring for each
 * nanosecond (1 GB/s, several times what a CPU can fill), within limits; and after a burst.
 */
#define MIN_IDLE_NS	1000000L
#define MAX_IDLE_NS	50000000L
#define PAUSE_NS	50000L
#define BURST		1024

/* Chunks that wait to be taken, and those that are being filled, in all. */
#define MAX_BYTES	(256ULL << 20)

struct chunks {
	struct iovab_chunk_fact *array;	/* with their data */
	size_t n, max;
};

struct drain {
	pthread_t thread;
	pthread_mutex_t lock;		/* of everything below, but for stop */
	bool stop;			/* atomic */
	long idle_ns;
	struct ring_buffer *ring;
	size_t ring_bytes;
	size_t budget;			/* bytes that this turn still takes out of the ring */
	struct chunk_packer *packer;
	struct chunk_writer *open;	/* one for each report that goes on */
	size_t n_open, max_open;
	struct chunks waiting, taken;
	__u64 bytes;			/* of waiting and open */
	__u64 dropped;			/* marks; atomic */
};

/* --- chunks --- */

static void drop(struct drain *d, __u64 marks)
{
	__atomic_fetch_add(&d->dropped, marks, __ATOMIC_RELAXED);
}

static void release(struct chunks *c)
{
	size_t i;

	for (i = 0; i < c->n; i++)
		free((void *)c->array[i].data);
	c->n = 0;
}

/* What the writer has becomes a chunk that waits. */
static void conclude(struct drain *d, struct chunk_writer *w)
{
	__u64 marks = w->chunk.marks;

	if (!marks)
		return;
	d->bytes -= w->size;
	if (!array__grow(&d->waiting.array, d->waiting.n, &d->waiting.max, sizeof(*d->waiting.array)) ||
	    chunk_packer__pack(d->packer, w, &d->waiting.array[d->waiting.n])) {
		struct iovab_chunk_fact chunk = w->chunk;

		drop(d, marks);
		chunk_writer__free(w);
		chunk_writer__init(w, &chunk);
		return;
	}
	d->bytes += d->waiting.array[d->waiting.n++].size;
}

/* The writer of a report's runs; it is made if there is none. NULL: no memory. */
static struct chunk_writer *writer_of(struct drain *d, const struct iovab_runs *runs)
{
	struct iovab_chunk_fact chunk = {
		.report = runs->report,
		.source_id = runs->source_id,
		.cpu_page_size = 1U << runs->cpu_page_shift,
		.iova = runs->iova,
		.length = runs->length,
		.page_size = 1ULL << runs->page_shift,
		.bitmap_offset = runs->bitmap_offset,
	};
	size_t i;

	/* the newest is the likeliest */
	for (i = d->n_open; i--;) {
		if (d->open[i].chunk.report == runs->report) {
			d->open[i].chunk.source_id = runs->source_id;
			return &d->open[i];
		}
	}
	if (!array__grow(&d->open, d->n_open, &d->max_open, sizeof(*d->open)))
		return NULL;
	chunk_writer__init(&d->open[d->n_open], &chunk);
	return &d->open[d->n_open++];
}

static void close_writer(struct drain *d, struct chunk_writer *w)
{
	conclude(d, w);
	chunk_writer__free(w);
	*w = d->open[--d->n_open];
}

static void add_run(struct drain *d, struct chunk_writer *w, const struct run *run)
{
	size_t before;
	int err;

	if (d->bytes >= MAX_BYTES) {
		drop(d, run->count);
		return;
	}
	before = w->size;
	err = chunk_writer__add(w, run);
	if (err > 0) {
		conclude(d, w);
		before = w->size;
		err = chunk_writer__add(w, run);
	}
	if (err)
		drop(d, run->count);
	d->bytes += w->size - before;
}

/* --- the ring --- */

/* The run that word @at tells, and perhaps those behind it; returns the next one's place. */
static size_t read_run(const struct iovab_runs *runs, size_t at, __u64 *mark_length, struct run *run)
{
	__u64 word = runs->word[at++];

	run->count = 0;
	if (!(word & IOVAB_RUN_OTHER)) {
		run->iova = runs->iova + (word & ~IOVAB_RUN_COUNT);
		run->length = *mark_length;
		run->count = (word & IOVAB_RUN_COUNT) + 1;
	} else if (word & IOVAB_RUN_LENGTH && at < runs->words) {
		*mark_length = runs->word[at++];
	} else if (at + 2 < runs->words) {
		run->iova = runs->word[at++];
		run->length = runs->word[at++];
		run->count = runs->word[at++];
	}
	return at;
}

static int take_runs(void *ctx, void *data, size_t size)
{
	struct drain *d = ctx;
	const struct iovab_runs *runs = data;
	struct chunk_writer *w = writer_of(d, runs);
	__u64 mark_length = runs->mark_length;
	size_t at = 0;
	struct run run;

	if (!w)
		drop(d, runs->marks);
	while (w && at < runs->words) {
		at = read_run(runs, at, &mark_length, &run);
		if (run.count)
			add_run(d, w, &run);
	}
	if (w && runs->last)
		close_writer(d, w);
	d->budget -= size < d->budget ? size : d->budget;
	return d->budget ? 0 : -EAGAIN;
}

/* Takes about @bytes out of the ring, if there are so many. True: there may be more. */
static bool empty_ring(struct drain *d, size_t bytes)
{
	d->budget = bytes;
	return ring_buffer__consume(d->ring) == -EAGAIN;
}

static void *keep_empty(void *ctx)
{
	struct drain *d = ctx;

	while (!__atomic_load_n(&d->stop, __ATOMIC_ACQUIRE)) {
		struct timespec pause = {};
		bool more;

		pthread_mutex_lock(&d->lock);
		more = empty_ring(d, BURST * sizeof(struct iovab_runs));
		pthread_mutex_unlock(&d->lock);
		pause.tv_nsec = more ? PAUSE_NS : d->idle_ns;
		nanosleep(&pause, NULL);
	}
	return NULL;
}

const struct iovab_chunk_fact *drain__take(struct drain *d, size_t *n)
{
	struct chunks empty = d->taken;

	pthread_mutex_lock(&d->lock);
	/* never more than there was when it was asked for, however fast it is filled */
	empty_ring(d, d->ring_bytes);
	while (d->n_open)
		close_writer(d, &d->open[d->n_open - 1]);
	release(&empty);
	d->taken = d->waiting;
	d->waiting = empty;
	d->bytes = 0;
	pthread_mutex_unlock(&d->lock);
	*n = d->taken.n;
	return d->taken.array;
}

__u64 drain__dropped(const struct drain *d)
{
	return __atomic_load_n(&d->dropped, __ATOMIC_RELAXED);
}

/* --- the whole --- */

/* A thread that no signal is for. 0 or an errno. */
static int start_thread(struct drain *d)
{
	sigset_t all, before;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	err = pthread_create(&d->thread, NULL, keep_empty, d);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

static void free_all(struct drain *d)
{
	size_t i;

	ring_buffer__free(d->ring);
	chunk_packer__free(d->packer);
	for (i = 0; i < d->n_open; i++)
		chunk_writer__free(&d->open[i]);
	free(d->open);
	release(&d->waiting);
	release(&d->taken);
	free(d->waiting.array);
	free(d->taken.array);
	pthread_mutex_destroy(&d->lock);
	free(d);
}

struct drain *drain__new(int ring_fd, size_t ring_bytes)
{
	struct drain *d = calloc(1, sizeof(*d));
	int err;

	if (!d)
		return NULL;
	pthread_mutex_init(&d->lock, NULL);
	d->ring_bytes = ring_bytes;
	d->idle_ns = ring_bytes < MIN_IDLE_NS ? MIN_IDLE_NS :
		     ring_bytes > MAX_IDLE_NS ? MAX_IDLE_NS : (long)ring_bytes;
	d->packer = chunk_packer__new();
	d->ring = ring_buffer__new(ring_fd, take_runs, d, NULL);
	err = d->packer && d->ring ? start_thread(d) : ENOMEM;
	if (!err)
		return d;
	free_all(d);
	errno = err;
	return NULL;
}

void drain__free(struct drain *d)
{
	if (!d)
		return;
	__atomic_store_n(&d->stop, true, __ATOMIC_RELEASE);
	pthread_join(d->thread, NULL);
	free_all(d);
}
