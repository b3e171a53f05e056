// SPDX-License-Identifier: GPL-2.0-only
#include "serve.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "log.h"

#define SECOND_NS 1000000000ULL

struct serve {
	int epoll_fd, signal_fd, timer_fd;
	__u64 next_look_ns, next_tick_ns;
};

static int add(const struct serve *s, int fd)
{
	struct epoll_event event = { .events = EPOLLIN };

	return epoll_ctl(s->epoll_fd, EPOLL_CTL_ADD, fd, &event);
}

static int open_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -1;
	signal(SIGPIPE, SIG_IGN);	/* a client that went is no reason to end */
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

struct serve *serve__new(struct iovab_error *e)
{
	struct serve *s = calloc(1, sizeof(*s));

	if (!s) {
		error__set(e, IOVAB_EXIT_FAILURE, "out of memory");
		return NULL;
	}
	s->signal_fd = open_signals();
	s->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	s->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->signal_fd >= 0 && s->timer_fd >= 0 && s->epoll_fd >= 0 &&
	    !add(s, s->signal_fd) && !add(s, s->timer_fd))
		return s;
	error__set(e, IOVAB_EXIT_FAILURE, "cannot start: %s", strerror(errno));
	serve__free(s);
	return NULL;
}

void serve__free(struct serve *s)
{
	if (!s)
		return;
	if (s->signal_fd >= 0)
		close(s->signal_fd);
	if (s->timer_fd >= 0)
		close(s->timer_fd);
	if (s->epoll_fd >= 0)
		close(s->epoll_fd);
	free(s);
}

/* True if it is to end. */
static bool take_signals(struct serve *s, struct web *web)
{
	struct signalfd_siginfo info;
	bool end = false;

	while (read(s->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			web__reload(web);
		else
			end = true;
	}
	return end;
}

/* Lets the clock go off when the next thing is due. */
static void set_timer(const struct serve *s)
{
	__u64 next = s->next_look_ns < s->next_tick_ns ? s->next_look_ns : s->next_tick_ns;
	struct itimerspec t = {};

	t.it_value.tv_sec = (time_t)(next / SECOND_NS);
	t.it_value.tv_nsec = (long)(next % SECOND_NS);
	timerfd_settime(s->timer_fd, TFD_TIMER_ABSTIME, &t, NULL);
}

static void on_time(struct serve *s, struct watch *watch, struct web *web)
{
	__u64 now = log__clock_ns();

	if (now < s->next_look_ns && now < s->next_tick_ns)
		return;
	if (now >= s->next_look_ns) {
		watch__look(watch);
		s->next_look_ns = now + watch__pause_ns(watch);
	}
	if (now >= s->next_tick_ns) {
		web__tick(web);
		s->next_tick_ns = now + SECOND_NS;
	}
	set_timer(s);
}

int serve__run(struct serve *s, struct watch *watch, struct web *web, struct iovab_error *e)
{
	struct epoll_event events[4];

	if (add(s, web__fd(web)))
		return error__set(e, IOVAB_EXIT_FAILURE, "cannot start: %s", strerror(errno));
	on_time(s, watch, web);
	while (!take_signals(s, web)) {
		if (epoll_wait(s->epoll_fd, events, 4, web__timeout_ms(web)) < 0 &&
		    errno != EINTR)
			return error__set(e, IOVAB_EXIT_FAILURE, "cannot wait: %s",
					  strerror(errno));
		web__run(web);
		on_time(s, watch, web);
	}
	return 0;
}
