// SPDX-License-Identifier: GPL-2.0-only
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the child: becomes the command, or says through @fd why not. */
static void become(char **argv, int fd)
{
	sigset_t none;
	int err;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	execvp(argv[0], argv);
	err = errno;
	if (write(fd, &err, sizeof(err)) < 0)
		_exit(126);
	_exit(127);
}

pid_t child__start(char **argv)
{
	int fds[2], err = 0;
	ssize_t n;
	pid_t pid;

	/* closed by an exec that succeeds */
	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (!pid)
		become(argv, fds[1]);
	if (pid < 0)
		err = errno;
	close(fds[1]);
	if (pid > 0) {
		do {
			n = read(fds[0], &err, sizeof(err));
		} while (n < 0 && errno == EINTR);
		if (n > 0)
			waitpid(pid, NULL, 0);
	}
	close(fds[0]);
	return err ? -err : pid;
}

bool child__ended(pid_t pid, int *status)
{
	return waitpid(pid, status, WNOHANG) == pid;
}
