// SPDX-License-Identifier: GPL-2.0-only
#include "watch.h"

#include <errno.h>
#include <string.h>

#include "log.h"

/*
 * While nothing migrates, one look a second finds the next one that begins;
 * it takes some 50 us. While something does, a look should fall between any
 * two rounds.
 */
#define PAUSE_IDLE_NS	1000000000ULL
#define PAUSE_BUSY_NS	250000000ULL

/* The ledger has seen a row's last figures by the time it vanishes. */
#define MAX_VANISHED	512

int watch__init(struct watch *w, struct watch_source source, struct iovab_error *e)
{
	memset(w, 0, sizeof(*w));
	w->source = source;
	w->model = model__new();
	w->ledger = ledger__new();
	if (!w->model || !w->ledger) {
		watch__free(w);
		return error__set(e, IOVAB_EXIT_FAILURE, "out of memory");
	}
	model__set_max_vanished(w->model, MAX_VANISHED);
	return 0;
}

void watch__free(struct watch *w)
{
	model__free(w->model);
	ledger__free(w->ledger);
	w->model = NULL;
	w->ledger = NULL;
}

static void fail(struct watch *w, const struct iovab_error *e)
{
	if (!w->told || strcmp(w->error.text, e->text))
		log__line("iovab_up is 0: %s", e->text);
	w->snapshot = NULL;
	w->error = *e;
	w->told = true;
}

static const struct iovab_snapshot *take(struct watch *w, struct iovab_error *e)
{
	const struct iovab_facts *facts = w->source.collect(w->source.ctx, e);
	const struct iovab_snapshot *s;

	if (!facts)
		return NULL;
	s = model__update(w->model, facts);
	if (s && !ledger__update(w->ledger, s))
		return s;
	error__set(e, IOVAB_EXIT_FAILURE, "out of memory");
	return NULL;
}

void watch__look(struct watch *w)
{
	__u64 start = log__clock_ns();
	const struct iovab_snapshot *s;
	struct iovab_error e = {};

	s = take(w, &e);
	w->looks++;
	w->look_ns = log__clock_ns() - start;
	if (!s) {
		fail(w, &e);
		return;
	}
	if (w->told)
		log__line("iovab_up is 1 again");
	w->told = false;
	w->snapshot = s;
}

__u64 watch__pause_ns(const struct watch *w)
{
	return ledger__busy(w->ledger) ? PAUSE_BUSY_NS : PAUSE_IDLE_NS;
}
