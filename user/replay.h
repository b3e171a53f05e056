/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A recording being read: the facts come out as they once went in, a moment at
 * a time. The file may be anything: what cannot be is an error, never trusted.
 */
#ifndef IOVAB_REPLAY_H
#define IOVAB_REPLAY_H

#include "error.h"
#include "facts.h"

struct replay;

/* What the recording says of itself. Strings are hostile; "" if it does not say. */
struct replay_about {
	char program[64];
	char host[128];
	char kernel[128];
	char machine[32];
	char command[1024];
	bool ended;			/* else it goes on, or its writer was killed */
	__u64 moments_failed;		/* that could not be written, ... */
	__u64 events_failed;		/* ... windows and reports that these had */
	__u64 events_pruned;		/* windows and reports taken out: the file was to stay small */
	__u64 marks_failed, marks_pruned;	/* likewise, marks */
};

/*
 * Opens a recording for reading, also while it is being written. NULL with @e
 * set: the line says what is wrong with the file.
 */
struct replay *replay__open(const char *path, struct iovab_error *e);
/* The same of a file that is in memory; @data must live as long. */
struct replay *replay__open_memory(const void *data, size_t size, struct iovab_error *e);
void replay__close(struct replay *r);

const struct replay_about *replay__about(const struct replay *r);

/* The times of the first and the last moment; returns how many there are. */
size_t replay__span(const struct replay *r, __u64 *first_ns, __u64 *last_ns);

/* Facts are to have chunks of marks. To be called before the first; else they have none. */
void replay__want_marks(struct replay *r);

/*
 * The facts of the next moment; they belong to the replay and live until the
 * next call. NULL: there is none, or (e->code is set) the file is damaged.
 */
const struct iovab_facts *replay__next(struct replay *r, struct iovab_error *e);

#endif /* IOVAB_REPLAY_H */
