/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The loop of a program that watches: one poll over the interval's timer, a
 * faster tick to empty the kernel's ring, signals, and the terminal.
 */
#ifndef IOVAB_LOOP_H
#define IOVAB_LOOP_H

#include <stdbool.h>

struct loop;

struct loop_events {
	bool interval;		/* time for the next collection */
	bool tick;		/* time to drain */
	bool resized;		/* SIGWINCH */
	bool input;		/* the input descriptor is readable, or hung up */
	bool quit;		/* SIGINT, SIGTERM, SIGHUP, or the output is closed */
};

/*
 * Blocks the signals that it watches for this process: to be made before
 * anything that must be taken back when one comes. NULL with errno set.
 */
struct loop *loop__new(void);
void loop__free(struct loop *l);

/* Starts the clock: the first interval ends @interval_s from now. 0 or -errno. */
int loop__start(struct loop *l, double interval_s);

/* Waits for at least one event. @input: a descriptor, or -1. -errno on failure. */
int loop__wait(struct loop *l, int input, struct loop_events *events);

#endif /* IOVAB_LOOP_H */
