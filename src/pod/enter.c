/* More code in a running container. The process that goes in loses every right before it is in the container's pid namespace, where
 * others could see it, and is undumpable until it executes the program; what runs fn never executes and stays so. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "guard/guard.h"
#include "pod/cgroup.h"
#include "pod/container.h"
#include "pod/keeper.h"
#include "pod/process.h"

enum { NAMESPACES = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_NEWPID };

struct entry {
	const struct container_spec *spec;
	const struct cgroup *cgroup;
	int (*fn)(void *arg);
	void *arg;
	const struct filter_copy *filters; /* NULL: our own */
	int pidfd, report, parent;         /* the container's pid 1; the pipe to the caller; the caller's pidfd */
	int answer;                        /* a pipe for the pid of the process inside */
};

/* A user namespace that one is in already cannot be entered. */
static bool is_here(const struct entry *e)
{
	return e->spec->foreign && errno == EINVAL;
}

static int go_in(const struct entry *e, struct err *err)
{
	if (process_begin(err) < 0 || cgroup_join(e->cgroup, err) < 0)
		return -1;
	/* The host's power is needed for those that belong to its user namespace: all of our own containers' and the keepers', none but net of
	 * what an OCI runtime has made. The pid namespace is for the children. */
	if (setns(e->pidfd, NAMESPACES) < 0 || (setns(e->pidfd, CLONE_NEWUSER) < 0 && !is_here(e)))
		return errno == ESRCH ? err_set(err, ERR_INPUT, "the container has ended")
				      : err_errno(err, "cannot enter the container's namespaces");
	return e->spec->runtime ? keeper_restrict(err) : process_restrict(e->spec->uid, e->spec->gid, e->filters, err);
}

/* The runtime looks for the working directory itself. Its exec lasts as long as the program, so the terminal can be its own. */
static int settle(const struct entry *e, struct err *err)
{
	struct container_spec spec = *e->spec;

	if (spec.runtime)
		spec.cwd = "/";
	spec.runtime = NULL;
	return process_settle(&spec, e->report, err);
}

static _Noreturn void inside(const struct entry *e)
{
	struct err err;

	if (process_die_with(e->parent, &err) < 0 || settle(e, &err) < 0)
		process_fail(e->report, &err);
	if (e->fn) {
		(void)close(e->report);
		_exit(e->fn(e->arg));
	}
	(void)(e->spec->runtime ? keeper_execute(e->spec, &err) : process_execute(e->spec, &err));
	process_fail(e->report, &err);
}

static _Noreturn void messenger(const struct entry *e)
{
	struct err err;

	if (go_in(e, &err) < 0)
		process_fail(e->report, &err);
	/* A sibling, so that the caller has it as its own child. */
	const pid_t pid = (pid_t)syscall(SYS_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0)
		inside(e);
	if (pid < 0) {
		(void)err_errno(&err, "cannot start a process in the container");
		process_fail(e->report, &err);
	}
	_exit(fd_write_all(e->answer, &pid, sizeof pid) == 0 ? 0 : 1);
}

static pid_t read_pid(int answer)
{
	pid_t pid = -1;
	ssize_t n;

	do
		n = read(answer, &pid, sizeof pid);
	while (n < 0 && errno == EINTR);
	return n == (ssize_t)sizeof pid ? pid : -1;
}

/* The caller's part: ends are its ends of the two pipes. */
static pid_t await(pid_t first, int answer, int report, struct err *err)
{
	const pid_t pid = read_pid(answer);

	process_reap(first);
	if (process_await(report, err) == 0 && pid > 0)
		return pid;
	if (pid < 0)
		return -1;
	(void)kill(pid, SIGKILL);
	process_reap(pid);
	return -1;
}

static pid_t enter(struct entry *e, struct err *err)
{
	int report[2], answer[2];

	if (process_pipe(report, err) < 0)
		return -1;
	FD_CLOSE int report_end = report[0];

	e->report = report[1];
	if (process_pipe(answer, err) < 0) {
		(void)close(e->report);
		return -1;
	}
	FD_CLOSE int answer_end = answer[0];

	e->answer = answer[1];
	(void)err_set(err, ERR_FAULT, "the process that was to enter the container died");
	const pid_t first = fork();

	if (first == 0)
		messenger(e);
	(void)close(e->report);
	(void)close(e->answer);
	return first < 0 ? (pid_t)err_errno(err, "cannot start a child process") : await(first, answer_end, report_end, err);
}

pid_t container_pid(int pidfd)
{
	char path[64];
	struct arena a = { 0 };
	struct span text;
	struct err ignored;
	long pid = 0;

	(void)snprintf(path, sizeof path, "/proc/self/fdinfo/%d", pidfd);
	if (fd_read_file(path, 4096, &a, &text, &ignored) == 0) {
		const char *line = strstr(text.p, "\nPid:\t");

		pid = line ? strtol(line + 6, NULL, 10) : 0;
	}
	arena_free(&a);
	return pid > 0 ? (pid_t)pid : 0;
}

static bool needs_cgroup(const struct container_spec *spec)
{
	return !spec->foreign || (spec->cgroup && spec->cgroup[0]);
}

pid_t container_enter(int pidfd, const struct container_spec *spec, int (*fn)(void *arg), void *arg, struct err *err)
{
	struct cgroup cgroup = { 0 };

	if (fn && spec->runtime)
		return (pid_t)err_set(err, ERR_INPUT, "only its own runtime can bring code into this container");
	if (!fn && (!spec->argv || !spec->argv[0] || !*spec->argv[0]))
		return (pid_t)err_set(err, ERR_INPUT, "there is no program to run");
	FD_CLOSE int self = (int)syscall(SYS_pidfd_open, getpid(), 0);

	if (self < 0)
		return (pid_t)err_errno(err, "cannot open a pidfd");
	if (guard_seccomp_prepare(false, err) < 0 || (needs_cgroup(spec) && cgroup_open(&cgroup, spec->cgroup, err) < 0))
		return -1;
	struct filter_copy *filters = spec->foreign ? guard_seccomp_copy(container_pid(pidfd), err) : NULL;
	pid_t pid = -1;

	if (filters || !spec->foreign) {
		int opened[3];
		const struct container_spec own = keeper_append(spec, opened);
		struct entry e = {
			.spec = &own, .cgroup = &cgroup, .fn = fn, .arg = arg, .filters = filters, .pidfd = pidfd, .parent = self
		};

		process_give_pipes(spec);
		pid = enter(&e, err);
		for (int i = 0; i < 3; i++)
			fd_close(&opened[i]);
	}
	guard_seccomp_free(filters);
	cgroup_close(&cgroup);
	return pid;
}
