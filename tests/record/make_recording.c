// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes a recording of a made-up migration:
 *
 *	make_recording FILE DEVICES ROUNDS [windows|density|sets] [marks] [hostile]
 *		       [lossy] [slow] [max=BYTES]
 *
 * slow: a moment in 20 ms instead of all at once. It prints the number of each
 * moment that was written, and at once.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "recorder.h"
#include "scene.h"

struct options {
	struct scene_options scene;
	struct recorder_options recorder;
	bool slow;
};

static void take_word(struct options *o, const char *word)
{
	if (!strcmp(word, "windows"))
		o->scene.tier = IOVAB_TIER_WINDOWS;
	else if (!strcmp(word, "density"))
		o->scene.tier = IOVAB_TIER_DENSITY;
	else if (!strcmp(word, "marks"))
		o->scene.marks = true;
	else if (!strcmp(word, "hostile"))
		o->scene.hostile = true;
	else if (!strcmp(word, "lossy"))
		o->scene.lossy = true;
	else if (!strcmp(word, "slow"))
		o->slow = true;
	else if (!strncmp(word, "max=", 4))
		o->recorder.max_bytes = strtoull(word + 4, NULL, 10);
}

static int record(struct scene *scene, struct recorder *r, const struct options *o,
		  struct iovab_error *e)
{
	const struct iovab_facts *facts;

	while ((facts = scene__next(scene))) {
		const struct recorder_state *s = recorder__state(r);
		__u64 failed = s->moments_failed;

		if (recorder__write(r, facts, e))
			return -1;
		if (s->moments_failed == failed) {
			printf("%llu\n", (unsigned long long)(s->moments + s->moments_failed));
			fflush(stdout);
		}
		if (o->slow)
			usleep(20000);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = { .scene = { .tier = IOVAB_TIER_SETS } };
	struct iovab_error e = {};
	struct recorder *r;
	struct scene *scene;
	int i;

	if (argc < 4)
		return 2;
	o.recorder.path = argv[1];
	o.recorder.command = o.scene.hostile ? "<b>" : "qemu -name <i>web</i>";
	o.scene.devices = (unsigned int)atoi(argv[2]);
	o.scene.rounds = (unsigned int)atoi(argv[3]);
	for (i = 4; i < argc; i++)
		take_word(&o, argv[i]);
	scene = scene__new(&o.scene);
	r = scene ? recorder__new(&o.recorder, &e) : NULL;
	if (r && !record(scene, r, &o, &e))
		recorder__end(r, &e);
	scene__free(scene);
	if (e.code)
		fprintf(stderr, "%s\n", e.text);
	return e.code;
}
