// SPDX-License-Identifier: GPL-2.0-only
/*
 * Many runs, one after the other, each a process of its own all the same: where a CPU is
 * emulated, to start a program takes longer than most of what a run does.
 *
 * A line of standard input is a run's arguments, between blanks. After what the run printed
 * comes a line "ended STATUS". The end of the input is the end.
 */
#include "migrate.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define MAX_WORDS	1024

/* In the child. */
static enum migrate_status run_line(char *line, migrate_run_fn run)
{
	char *argv[MAX_WORDS + 2] = { "migrate" }, *word, *rest;
	int argc = 1;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (word = strtok_r(line, " \n", &rest); word; word = strtok_r(NULL, " \n", &rest)) {
		if (argc > MAX_WORDS) {
			migrate_error(E2BIG, "a line of more than %d words", MAX_WORDS);
			return MIGRATE_USAGE;
		}
		argv[argc++] = word;
	}
	return run(argc, argv);
}

static int run_child(char *line, migrate_run_fn run)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		status = run_line(line, run);
		fflush(stdout);
		_exit(status);
	}
	if (pid < 0)
		return migrate_error(errno, "fork");
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return migrate_error(errno, "wait");
	printf("ended %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status));
	fflush(stdout);
	return 0;
}

enum migrate_status migrate_each(migrate_run_fn run)
{
	char *line = NULL;
	size_t size = 0;
	int err = 0;

	while (!err && getline(&line, &size, stdin) >= 0)
		err = run_child(line, run);
	free(line);
	return err ? MIGRATE_OPEN : MIGRATE_OK;
}
