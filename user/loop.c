// SPDX-License-Identifier: GPL-2.0-only
#include "loop.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define TICK_S 0.2

struct loop {
	int interval_fd;
	int tick_fd;
	int signal_fd;
};

static int start_timer(int fd, double seconds)
{
	struct itimerspec t = {};

	t.it_interval.tv_sec = (time_t)seconds;
	t.it_interval.tv_nsec = (long)((seconds - (double)t.it_interval.tv_sec) * 1e9);
	t.it_value = t.it_interval;
	return timerfd_settime(fd, 0, &t, NULL) ? -errno : 0;
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGWINCH);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -1;
	/* a reader that went away is an error of a write, not a death */
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

struct loop *loop__new(void)
{
	struct loop *l = malloc(sizeof(*l));

	if (!l)
		return NULL;
	l->signal_fd = open_signals();
	l->interval_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	l->tick_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (l->signal_fd >= 0 && l->interval_fd >= 0 && l->tick_fd >= 0)
		return l;
	loop__free(l);
	return NULL;
}

void loop__free(struct loop *l)
{
	int saved = errno;

	if (!l)
		return;
	if (l->signal_fd >= 0)
		close(l->signal_fd);
	if (l->interval_fd >= 0)
		close(l->interval_fd);
	if (l->tick_fd >= 0)
		close(l->tick_fd);
	free(l);
	errno = saved;
}

int loop__start(struct loop *l, double interval_s)
{
	int err = start_timer(l->interval_fd, interval_s);

	return err ? err : start_timer(l->tick_fd, TICK_S);
}

static bool take_timer(int fd)
{
	uint64_t expirations;

	return read(fd, &expirations, sizeof(expirations)) == sizeof(expirations);
}

static void take_signals(int fd, struct loop_events *events)
{
	struct signalfd_siginfo info;

	while (read(fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGWINCH)
			events->resized = true;
		else
			events->quit = true;
	}
}

int loop__wait(struct loop *l, int input, struct loop_events *events)
{
	struct pollfd fds[] = {
		{ .fd = l->interval_fd, .events = POLLIN },
		{ .fd = l->tick_fd, .events = POLLIN },
		{ .fd = l->signal_fd, .events = POLLIN },
		{ .fd = input, .events = POLLIN },	/* a negative one is ignored */
	};

	memset(events, 0, sizeof(*events));
	while (poll(fds, 4, -1) < 0)
		if (errno != EINTR)
			return -errno;
	events->interval = fds[0].revents && take_timer(l->interval_fd);
	events->tick = fds[1].revents && take_timer(l->tick_fd);
	if (fds[2].revents)
		take_signals(l->signal_fd, events);
	events->input = fds[3].revents != 0;
	return 0;
}
