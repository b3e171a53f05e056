// SPDX-License-Identifier: GPL-2.0-only
/* libFuzzer over the reader of recordings: any bytes, through the model and a study's rounds. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "model.h"
#include "replay.h"
#include "rounds.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct iovab_error e = {};
	struct replay *r = replay__open_memory(data, size, &e);
	struct model *m = r ? model__new() : NULL;
	const struct iovab_facts *facts;
	struct rounds rounds = {};
	size_t i;

	while (r && m && (facts = replay__next(r, &e))) {
		if (!model__update(m, facts))
			break;
		for (i = 0; i < facts->n_reports; i++)
			rounds__add(&rounds, &facts->reports[i], facts->tier);
	}
	rounds__settle(&rounds);
	rounds__free(&rounds);
	model__free(m);
	replay__close(r);
	/* who opens it must be told why not */
	if (!r && !e.code)
		abort();
	return 0;
}
