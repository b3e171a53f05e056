// SPDX-License-Identifier: GPL-2.0-only
/* libFuzzer over the reader of recordings: any bytes, through the model, a study's rounds and a policy. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "follow.h"
#include "model.h"
#include "replay.h"
#include "rounds.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
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
	rounds__finish(&rounds);
	rounds__free(&rounds);
	model__free(m);
	replay__close(r);
	/* who opens it must be told why not */
	if (!r && !e.code)
		abort();
	return 0;
}
