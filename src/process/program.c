/* Output goes to files in memory, so that nobody has to read along and nothing can block. */
#include "process/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"

enum { ERRORS_SHOWN = 600 };

/* --- starting it --- */

static _Noreturn void become(const struct program *p, int out, int errors)
{
	FD_CLOSE int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(errors, STDERR_FILENO) < 0)
		_exit(PROGRAM_NOT_RUN);
	if (p->mounts >= 0 && setns(p->mounts, CLONE_NEWNS) < 0)
		_exit(PROGRAM_NOT_RUN);
	if (chdir("/") < 0 || (p->env && putenv((char *)p->env) != 0))
		_exit(PROGRAM_NOT_RUN);
	(void)umask(022);
	(void)execvp(p->argv[0], (char *const *)p->argv);
	(void)dprintf(STDERR_FILENO, "%s: %s", p->argv[0], strerror(errno));
	_exit(PROGRAM_NOT_RUN);
}

static pid_t spawn(const struct program *p, int *ret_out, int *ret_errors, struct err *err)
{
	FD_CLOSE int out = memfd_create("output", MFD_CLOEXEC);
	FD_CLOSE int errors = memfd_create("errors", MFD_CLOEXEC);

	if (out < 0 || errors < 0)
		return (pid_t)err_errno(err, "a file for the output of %s", p->argv[0]);
	const pid_t pid = child_fork(err);

	if (pid == 0)
		become(p, out, errors);
	if (pid < 0)
		return -1;
	*ret_out = fd_steal(&out);
	*ret_errors = fd_steal(&errors);
	return pid;
}

/* --- what it said --- */

/* A NUL-terminated copy of the last `most` bytes, to be freed; "" when there is no memory for more. */
static char *read_end(int fd, size_t most)
{
	struct stat st;
	const size_t size = fstat(fd, &st) == 0 ? (size_t)st.st_size : 0, n = size < most ? size : most;
	char *text = malloc(n + 1);

	if (!text)
		return NULL;
	const ssize_t got = pread(fd, text, n, (off_t)(size - n));

	text[got > 0 ? got : 0] = '\0';
	return text;
}

static void make_one_line(char *text)
{
	size_t n = strlen(text);

	while (n && (text[n - 1] == '\n' || text[n - 1] == ' '))
		text[--n] = '\0';
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
}

/* --- with a loop --- */

static void forget(struct program_call *c)
{
	if (c->loop)
		loop_timer_cancel(c->loop, &c->limit);
	fd_close(&c->out);
	fd_close(&c->errors);
	c->loop = NULL;
}

static void ended(struct child *child, int wait_status)
{
	struct program_call *c = (struct program_call *)child; /* its first member */
	char *out = read_end(c->out, PROGRAM_OUTPUT), *errors = read_end(c->errors, ERRORS_SHOWN);

	forget(c);
	if (errors)
		make_one_line(errors);
	c->done(c, out && errors ? child_exit_code(wait_status) : PROGRAM_NOT_RUN, out ? out : "",
		errors ? errors : "out of memory");
	free(out);
	free(errors);
}

static void late(struct timer *t)
{
	struct program_call *c = (struct program_call *)((char *)t - offsetof(struct program_call, limit));

	log_error("a program did not end in time and is killed");
	child_signal(&c->child, SIGKILL);
}

int program_start(struct program_call *c, struct loop *l, const struct program *p,
		  void (*done)(struct program_call *c, int code, const char *out, const char *errors), struct err *err)
{
	int out, errors;
	const pid_t pid = spawn(p, &out, &errors, err);

	if (pid < 0)
		return -1;
	*c = (struct program_call) { .loop = l, .out = out, .errors = errors, .done = done, .limit = { .expired = late } };
	if (child_watch(&c->child, l, pid, ended, err) < 0) {
		forget(c);
		return -1;
	}
	loop_timer_set(l, &c->limit, p->limit_ms);
	return 0;
}

bool program_runs(const struct program_call *c)
{
	return c->child.pid > 0;
}

void program_kill(struct program_call *c)
{
	if (!program_runs(c))
		return;
	child_kill(&c->child);
	forget(c);
}

/* --- without one --- */

static int wait_for(pid_t pid, unsigned limit_ms)
{
	FD_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd end = { .fd = pidfd, .events = POLLIN };
	int status = 0;

	if (pidfd < 0 || poll(&end, 1, (int)limit_ms) <= 0)
		(void)kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return PROGRAM_NOT_RUN;
	return child_exit_code(status);
}

int program_wait(const struct program *p, struct arena *a, const char **ret_out, struct err *err)
{
	int out = -1, errors = -1;
	const pid_t pid = spawn(p, &out, &errors, err);

	if (pid < 0)
		return -1;
	const int code = wait_for(pid, p->limit_ms);
	char *text = read_end(out, PROGRAM_OUTPUT), *words = read_end(errors, ERRORS_SHOWN);

	if (ret_out)
		*ret_out = arena_strdup(a, text ? text : "");
	if (words)
		make_one_line(words);
	if (code != 0)
		(void)err_set(err, ERR_FAULT, "%s", words && words[0] ? words : "it did not end in time, or said nothing");
	free(text);
	free(words);
	fd_close(&out);
	fd_close(&errors);
	return code;
}
