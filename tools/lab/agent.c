// SPDX-License-Identifier: GPL-2.0-only
/*
 * The lab's process 1: runs one command in the guest for the launcher.
 *
 * guest-init has put the guest's root together and then becomes this program.
 * It talks to the launcher (tools/lab/lab) through one virtio-serial port, in
 * frames of five bytes of header and a payload:
 *
 *	u8 type, u32 length (little endian), payload
 *
 *	to the guest			to the host
 *	S  start: strings, see below	H  hello: the agent runs
 *	I  input, empty at its end	W  want: send one more I
 *	Z  size: "ROWS COLS"		O  output, E  errors
 *	P  ping				P  the answer to a ping
 *					X  exit status, in decimal
 *					F  failure: why the agent cannot go on
 *
 * One port keeps everything in order: an exit status never overtakes the
 * output that came before it.  Input is sent on request, one frame at a time,
 * so that a command that does not read blocks neither pings nor resizes.  The
 * agent has no timer of its own: under -icount an idle guest would run its
 * clock as fast as it can, so the launcher pings, in the host's time.
 *
 * The start frame holds NUL-terminated strings, each a letter and a value:
 * t (a terminal: "ROWS COLS"), e (errors apart from the terminal), n (no
 * input), d (folder to start in), r (results folder), v (NAME=value), a (an
 * argument).
 *
 * A command with a terminal gets a pty, not hvc0: QEMU throws a console's
 * output away when the reader is slow, and hvc moves 16 bytes at a time.
 *
 * The guest ends with its command.  Whatever still runs then is killed, so
 * that nothing writes to the results after they were synced.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define HEADER_BYTES	5
#define PAYLOAD_MAX	(1 << 20)
#define CHUNK_BYTES	(32 * 1024)
#define WORDS_MAX	512
#define KILL_TRY_US	20000
#define KILL_TRIES	250		/* 5 s in all */

struct job {
	char *payload;			/* owns the strings below */
	const char *dir;
	const char *results;
	char *env[WORDS_MAX];
	char *args[WORDS_MAX];
	unsigned int env_nr;
	unsigned int args_nr;
	struct winsize size;
	int terminal;
	int errors_apart;
	int no_input;
};

struct agent {
	int port;
	int in;				/* to the command; -1: closed */
	int out;			/* the same as in for a terminal */
	int err;
	int slave;			/* kept open: no EIO while nobody has it */
	int children;			/* signalfd */
	pid_t pid;
	char *input;			/* asked for, not yet taken by the command */
	size_t input_bytes;
	size_t input_done;
};

static void port_write(int port, const void *data, size_t bytes)
{
	const char *p = data;

	while (bytes) {
		ssize_t n = write(port, p, bytes);

		if (n < 0 && errno != EINTR && errno != EAGAIN)
			_exit(1);	/* no launcher: process 1 ends, and so the guest */
		if (n <= 0)
			continue;
		p += n;
		bytes -= n;
	}
}

static void port_send(int port, char type, const void *data, size_t bytes)
{
	unsigned char header[HEADER_BYTES] = { type };
	uint32_t length = htole32(bytes);

	memcpy(header + 1, &length, sizeof(length));
	port_write(port, header, sizeof(header));
	port_write(port, data, bytes);
}

static void __attribute__((format(printf, 2, 3), noreturn))
port_fail(int port, const char *format, ...)
{
	char text[512];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	port_send(port, 'F', text, strlen(text));
	for (;;)
		pause();		/* the launcher ends the guest */
}

static void port_read(int port, void *data, size_t bytes)
{
	char *p = data;

	while (bytes) {
		ssize_t n = read(port, p, bytes);

		if (!n || (n < 0 && errno != EINTR && errno != EAGAIN))
			_exit(1);
		if (n < 0)
			continue;
		p += n;
		bytes -= n;
	}
}

/* Returns the type; the caller frees *data, which ends in a NUL of its own. */
static char port_receive(int port, char **data, size_t *bytes)
{
	unsigned char header[HEADER_BYTES];
	uint32_t length;

	port_read(port, header, sizeof(header));
	memcpy(&length, header + 1, sizeof(length));
	length = le32toh(length);
	if (length > PAYLOAD_MAX)
		port_fail(port, "frame of %u bytes from the launcher", length);
	*data = calloc(1, length + 1);
	if (!*data)
		port_fail(port, "out of memory");
	port_read(port, *data, length);
	*bytes = length;
	return header[0];
}

static int port_open(void)
{
	DIR *dir = opendir("/sys/class/virtio-ports");
	struct dirent *entry;
	char path[512], name[64];
	int fd = -1;

	while (dir && fd < 0 && (entry = readdir(dir))) {
		FILE *file;

		snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name",
			 entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		if (fgets(name, sizeof(name), file) &&
		    !strcmp(name, "iovab.lab\n")) {
			snprintf(path, sizeof(path), "/dev/%s", entry->d_name);
			fd = open(path, O_RDWR | O_CLOEXEC);
		}
		fclose(file);
	}
	if (dir)
		closedir(dir);
	return fd;
}

static void size_parse(const char *text, struct winsize *size)
{
	sscanf(text, "%hu %hu", &size->ws_row, &size->ws_col);
}

static void word_add(int port, char **words, unsigned int *nr, char *word)
{
	if (*nr == WORDS_MAX - 1)
		port_fail(port, "more than %d words or variables", WORDS_MAX - 1);
	words[(*nr)++] = word;
}

static void job_parse(int port, struct job *job, size_t bytes)
{
	char *p = job->payload, *end = p + bytes;

	for (; p < end; p += strlen(p) + 1) {
		switch (*p) {
		case 't':
			job->terminal = 1;
			size_parse(p + 1, &job->size);
			break;
		case 'e':
			job->errors_apart = 1;
			break;
		case 'n':
			job->no_input = 1;
			break;
		case 'd':
			job->dir = p + 1;
			break;
		case 'r':
			job->results = p + 1;
			break;
		case 'v':
			word_add(port, job->env, &job->env_nr, p + 1);
			break;
		case 'a':
			word_add(port, job->args, &job->args_nr, p + 1);
			break;
		default:
			port_fail(port, "start frame: unknown letter %d", *p);
		}
	}
	if (!job->dir || !job->results || !job->args_nr)
		port_fail(port, "start frame: folder, results or command missing");
}

/* The launcher made the folder: through the read-only root it is there. */
static void results_mount(int port, const char *path)
{
	const char *options = "trans=virtio,version=9p2000.L,cache=mmap,msize=262144";

	if (mount("lab-results", path, "9p", 0, options))
		port_fail(port, "cannot mount the results folder at %s: %m", path);
}

static void __attribute__((noreturn))
command_exec(const struct job *job, int in, int out, int err)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setsid();
	if (job->terminal)
		ioctl(in, TIOCSCTTY, 0);
	dup2(in, 0);
	dup2(out, 1);
	dup2(err, 2);
	if (chdir(job->dir)) {
		dprintf(2, "lab: cannot enter %s: %m\n", job->dir);
		_exit(126);
	}
	environ = (char **)job->env;
	execvp(job->args[0], job->args);
	dprintf(2, "lab: cannot run %s: %m\n", job->args[0]);
	_exit(errno == ENOENT ? 127 : 126);
}

static void pipe_make(int port, int ends[2])
{
	if (pipe2(ends, O_CLOEXEC))
		port_fail(port, "no pipe: %m");
}

static void terminal_make(struct agent *agent, const struct job *job, int child[3])
{
	if (openpty(&agent->out, &agent->slave, NULL, NULL, &job->size))
		port_fail(agent->port, "no terminal for the command: %m");
	fcntl(agent->out, F_SETFD, FD_CLOEXEC);
	fcntl(agent->slave, F_SETFD, FD_CLOEXEC);
	agent->in = agent->out;
	child[0] = child[1] = child[2] = agent->slave;
}

static int output_make(int port, int *from)
{
	int ends[2];

	pipe_make(port, ends);
	*from = ends[0];
	return ends[1];
}

static int input_make(int port, const struct job *job, int *to)
{
	int ends[2];

	if (job->no_input)
		return open("/dev/null", O_RDONLY | O_CLOEXEC);
	pipe_make(port, ends);
	*to = ends[1];
	return ends[0];
}

static void channels_make(struct agent *agent, const struct job *job, int child[3])
{
	if (job->terminal) {
		terminal_make(agent, job, child);
	} else {
		child[0] = input_make(agent->port, job, &agent->in);
		child[1] = output_make(agent->port, &agent->out);
	}
	if (!job->terminal || job->errors_apart)
		child[2] = output_make(agent->port, &agent->err);
	fcntl(agent->in, F_SETFL, O_NONBLOCK);
	fcntl(agent->out, F_SETFL, O_NONBLOCK);
	fcntl(agent->err, F_SETFL, O_NONBLOCK);
}

static void child_ends_close(const struct agent *agent, const int child[3])
{
	int i;

	for (i = 0; i < 3; i++)
		if (child[i] != agent->slave)
			close(child[i]);
}

static void command_start(struct agent *agent, const struct job *job)
{
	int child[3] = { -1, -1, -1 };

	channels_make(agent, job, child);
	agent->pid = fork();
	if (agent->pid < 0)
		port_fail(agent->port, "no process: %m");
	if (!agent->pid)
		command_exec(job, child[0], child[1], child[2]);
	child_ends_close(agent, child);
}

/* Returns 1 when something was sent on, 0 when there is nothing (for now). */
static int output_move(struct agent *agent, int *fd, char type)
{
	static char chunk[CHUNK_BYTES];
	ssize_t n;

	if (*fd < 0)
		return 0;
	n = read(*fd, chunk, sizeof(chunk));
	if (n > 0) {
		port_send(agent->port, type, chunk, n);
		return 1;
	}
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	close(*fd);
	*fd = -1;
	return 0;
}

static void input_drop(struct agent *agent)
{
	free(agent->input);
	agent->input = NULL;
}

static void input_close(struct agent *agent)
{
	input_drop(agent);
	if (agent->in >= 0 && agent->in != agent->out)
		close(agent->in);
	agent->in = -1;
}

static void input_move(struct agent *agent)
{
	ssize_t n = write(agent->in, agent->input + agent->input_done,
			  agent->input_bytes - agent->input_done);

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			input_close(agent);
		return;
	}
	agent->input_done += n;
	if (agent->input_done < agent->input_bytes)
		return;
	input_drop(agent);
	port_send(agent->port, 'W', NULL, 0);
}

/* Takes over data when it is input. */
static void frame_handle(struct agent *agent, char type, char *data, size_t bytes)
{
	struct winsize size = {};

	switch (type) {
	case 'I':
		if (!bytes || agent->in < 0) {
			input_close(agent);
			break;
		}
		agent->input = data;
		agent->input_bytes = bytes;
		agent->input_done = 0;
		return;
	case 'P':
		port_send(agent->port, 'P', NULL, 0);
		break;
	case 'Z':
		size_parse(data, &size);
		ioctl(agent->out, TIOCSWINSZ, &size);
		break;
	}
	free(data);
}

/* Process 1 inherits every orphan: only the command's own end counts. */
static int children_reap(const struct agent *agent, int *status)
{
	struct signalfd_siginfo info;
	int found = 0, one;
	pid_t pid;

	if (read(agent->children, &info, sizeof(info)) < 0)
		return 0;
	while ((pid = waitpid(-1, &one, WNOHANG)) > 0) {
		if (pid != agent->pid)
			continue;
		*status = one;
		found = 1;
	}
	return found;
}

static int command_follow(struct agent *agent)
{
	int status = 0;

	for (;;) {
		struct pollfd fds[] = {
			{ .fd = agent->port, .events = POLLIN },
			{ .fd = agent->children, .events = POLLIN },
			{ .fd = agent->out, .events = POLLIN },
			{ .fd = agent->err, .events = POLLIN },
			{ .fd = agent->input ? agent->in : -1, .events = POLLOUT },
		};

		if (poll(fds, 5, -1) < 0)
			continue;
		if (fds[2].revents)
			output_move(agent, &agent->out, 'O');
		if (fds[3].revents)
			output_move(agent, &agent->err, 'E');
		if (fds[4].revents && agent->input)
			input_move(agent);
		if (fds[0].revents) {
			size_t bytes;
			char *data, type;

			type = port_receive(agent->port, &data, &bytes);
			frame_handle(agent, type, data, bytes);
		}
		if (fds[1].revents && children_reap(agent, &status))
			return status;
	}
}

/* Kills all there is. What a fault of the kernel keeps from ending is left as it is. */
static void others_end(void)
{
	unsigned int i;
	pid_t pid;

	kill(-1, SIGKILL);
	for (i = 0; i < KILL_TRIES; i++) {
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (pid < 0)
			return;
		usleep(KILL_TRY_US);
	}
}

static void results_flush(int port, const char *path)
{
	others_end();
	sync();
	if (umount(path) && umount2(path, MNT_DETACH))
		port_fail(port, "cannot unmount the results folder %s: %m", path);
}

static void children_watch(struct agent *agent)
{
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	agent->children = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (agent->children < 0)
		port_fail(agent->port, "no signalfd: %m");
	signal(SIGPIPE, SIG_IGN);
}

int main(void)
{
	struct agent agent = { .in = -1, .out = -1, .err = -1, .slave = -1 };
	struct job job = {};
	char text[16];
	size_t bytes;
	int status;

	agent.port = port_open();
	if (agent.port < 0) {
		fprintf(stderr, "iovab-lab: no virtio-serial port iovab.lab\n");
		return 1;
	}
	children_watch(&agent);
	port_send(agent.port, 'H', NULL, 0);
	if (port_receive(agent.port, &job.payload, &bytes) != 'S')
		port_fail(agent.port, "the launcher did not begin with a start frame");
	job_parse(agent.port, &job, bytes);
	results_mount(agent.port, job.results);
	command_start(&agent, &job);
	if (agent.in >= 0)
		port_send(agent.port, 'W', NULL, 0);
	status = command_follow(&agent);
	while (output_move(&agent, &agent.out, 'O') |
	       output_move(&agent, &agent.err, 'E'))
		;
	results_flush(agent.port, job.results);
	status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	snprintf(text, sizeof(text), "%d", status);
	port_send(agent.port, 'X', text, strlen(text));
	for (;;)
		pause();
}
