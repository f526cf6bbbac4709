/* pid 1 is a fork of the supervisor that never executes anything: it has lost every right before the program exists, and stays
 * undumpable, so that nothing in the container can read its memory, its files or its executable. */
#include "pod/init.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

enum { STAT_SIZE = 2048, FIRST_AFTER_NAME = 3, ARGUMENTS_START = 48 };

void init_hide_arguments(void)
{
	FD_CLOSE int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	char text[STAT_SIZE];
	const ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

	(void)prctl(PR_SET_NAME, "stockade-init");
	if (n <= 0)
		return;
	text[n] = '\0';
	const char *p = strrchr(text, ')');

	for (int field = FIRST_AFTER_NAME - 1; p && field < ARGUMENTS_START; field++) {
		p = strchr(p, ' ');
		p = p ? p + 1 : NULL;
	}
	if (!p)
		return;
	char *end;
	const uintptr_t from = strtoull(p, &end, 10), to = strtoull(end, NULL, 10);
	void *arguments;

	memcpy(&arguments, &from, sizeof arguments);
	if (from && to > from)
		explicit_bzero(arguments, to - from);
}

static int exit_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* The signal that a program was ended for, which did not reach it itself. */
static int ended_for;

static void reap(pid_t program)
{
	int status;

	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
		if (pid == program) /* the kernel kills the rest with us */
			_exit(ended_for && WIFSIGNALED(status) ? 128 + ended_for : exit_code(status));
}

static void deliver(pid_t program, int number)
{
	(void)kill(program, number);
}

/* A set of signals in /proc/PID/status. */
static uint64_t signal_set(const char *status, const char *key)
{
	const char *at = strstr(status, key);

	return at ? strtoull(at + strlen(key), NULL, 16) : 0;
}

static bool has_no_handler(pid_t program, int number)
{
	char path[64], text[STAT_SIZE * 2];

	(void)snprintf(path, sizeof path, "/proc/%d/status", (int)program);
	FD_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	const ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);

	if (n <= 0)
		return false;
	text[n] = '\0';
	return !((signal_set(text, "\nSigCgt:\t") | signal_set(text, "\nSigIgn:\t")) >> (number - 1) & 1);
}

static void deliver_below(pid_t program, int number)
{
	if (number == SIGWINCH || !has_no_handler(program, number)) {
		deliver(program, number);
		return;
	}
	ended_for = number;
	deliver(program, SIGKILL);
}

static _Noreturn void run(pid_t program, void (*pass)(pid_t program, int number))
{
	static const int forwarded[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH };
	sigset_t set;

	(void)sigemptyset(&set);
	(void)sigaddset(&set, SIGCHLD);
	for (size_t i = 0; i < sizeof forwarded / sizeof *forwarded; i++)
		(void)sigaddset(&set, forwarded[i]);
	for (;;) {
		reap(program);
		const int number = sigwaitinfo(&set, NULL);

		if (number > 0 && number != SIGCHLD)
			pass(program, number);
	}
}

void init_run(pid_t program)
{
	run(program, deliver);
}

void init_run_below(pid_t program)
{
	run(program, deliver_below);
}
