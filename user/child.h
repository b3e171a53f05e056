/* SPDX-License-Identifier: GPL-2.0-only */
/* A command that runs while something watches. */
#ifndef IOVAB_CHILD_H
#define IOVAB_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Starts argv[0] (looked up in PATH), with the signals as a program expects
 * them. Its pid, or -errno: also if it could not be executed.
 */
pid_t child__start(char **argv);

/* True if it has ended; *status is then as of waitpid(). */
bool child__ended(pid_t pid, int *status);

#endif /* IOVAB_CHILD_H */
