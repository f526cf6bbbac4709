/* The start of a container, in the order of docs/architecture.md. The process that becomes pid 1 is made in a new pid namespace by
 * the caller; it builds the rest with the host's power, so that every namespace but the user namespace belongs to the host's: root
 * in the container has no power over any of them. Then it loses that power for good, and only then forks the program. */
#include "pod/container.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "guard/guard.h"
#include "pod/cgroup.h"
#include "pod/errand.h"
#include "pod/init.h"
#include "pod/process.h"
#include "pod/rootfs.h"

enum { IDS = 65536 };

/* --- the pod's user namespace --- */

/* What a pod uses up of watches, pending signals, locked memory and message queues is counted for the maker of its user namespace,
 * too. That is an id of the pod's own, not the host's root, whom the pod could starve together with all other pods. It has
 * every right in the namespace, and no process outside of it ever has this id. */
static int become_maker(uint32_t uid_base, struct err *err)
{
	if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0) < 0 || setresuid((uid_t)-1, uid_base, (uid_t)-1) < 0 ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_errno(err, "cannot take on the id %u for the user namespace", (unsigned)uid_base);
	return 0;
}

/* In the namespace already. No further one below it, ever: a hundred ways into the kernel stay shut. */
static int spend_user_namespaces(struct err *err)
{
	const int rc = fd_write_file("/proc/sys/user/max_user_namespaces", "0");

	errno = -rc;
	return rc < 0 ? err_errno(err, "cannot forbid further user namespaces") : 0;
}

static int write_map(pid_t pid, const char *file, uint32_t uid_base)
{
	char path[64], text[64];

	(void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
	(void)snprintf(text, sizeof text, "0 %u %d\n", (unsigned)uid_base, IDS);
	return fd_write_file(path, text);
}

/* Maps must be written with the power of the namespace above: by a child that stays there. Its exit status is an errno. */
static _Noreturn void map_writer(int go, pid_t target, uint32_t uid_base)
{
	char byte;

	if (read(go, &byte, 1) != 1)
		_exit(ECANCELED);
	int rc = write_map(target, "uid_map", uid_base);

	if (rc == 0)
		rc = write_map(target, "gid_map", uid_base);
	_exit(-rc);
}

static int make_userns(void *arg, int *ret_fds, struct err *err)
{
	const uint32_t uid_base = *(const uint32_t *)arg;
	int go[2], status = 0;

	if (pipe2(go, O_CLOEXEC) < 0)
		return err_errno(err, "cannot make a pipe");
	const pid_t self = getpid(), writer = fork();

	if (writer < 0)
		return err_errno(err, "cannot start a child process");
	if (writer == 0) {
		(void)close(go[1]);
		map_writer(go[0], self, uid_base);
	}
	if (become_maker(uid_base, err) < 0)
		return -1;
	if (unshare(CLONE_NEWUSER) < 0)
		return err_errno(err, "cannot make a user namespace");
	if (spend_user_namespaces(err) < 0)
		return -1;
	if (write(go[1], "y", 1) != 1 || waitpid(writer, &status, 0) != writer)
		return err_errno(err, "cannot have the pod's user ids mapped");
	errno = WIFEXITED(status) ? WEXITSTATUS(status) : EINTR;
	if (errno)
		return err_errno(err, "cannot map the pod's user ids from %u on", (unsigned)uid_base);
	ret_fds[0] = open("/proc/self/ns/user", O_RDONLY | O_CLOEXEC);
	return ret_fds[0] < 0 ? err_errno(err, "cannot open the new user namespace") : 0;
}

int container_userns(uint32_t uid_base, struct err *err)
{
	int fd = -1;

	if (uid_base == 0 || uid_base % IDS != 0 || uid_base > UINT32_MAX - 2 * IDS)
		return err_set(err, ERR_FAULT, "%u cannot be the first of a pod's user ids", (unsigned)uid_base);
	return errand_run(make_userns, &uid_base, &fd, 1, err) < 0 ? -1 : fd;
}

/* --- a container --- */

struct start {
	const struct container_spec *spec;
	const struct cgroup *cgroup;
	int report, parent; /* the pipe to the caller, and its pidfd */
};

static int enter_namespaces(const struct start *s, struct err *err)
{
	const struct container_spec *spec = s->spec;
	struct arena a = { 0 };
	int *trees = arena_array(&a, spec->mount_count + 1, sizeof *trees);

	if (process_enter_pod(spec, s->cgroup, trees, err) < 0)
		return -1;
	if (rootfs_enter(spec, trees, err) < 0)
		return -1;
	arena_free(&a);
	return setns(spec->userns, CLONE_NEWUSER) < 0 ? err_errno(err, "cannot enter the pod's user namespace") : 0;
}

static int become_init(const struct start *s, struct err *err)
{
	if (process_begin(err) < 0)
		return -1;
	init_hide_arguments();
	(void)setsid();
	if (enter_namespaces(s, err) < 0 || process_restrict(s->spec->uid, s->spec->gid, NULL, err) < 0)
		return -1;
	return s->spec->die_with_parent ? process_die_with(s->parent, err) : 0;
}

static _Noreturn void first_process(const struct start *s)
{
	struct err err;

	if (become_init(s, &err) < 0)
		process_fail(s->report, &err);
	const pid_t program = fork();

	if (program < 0) {
		(void)err_errno(&err, "cannot start the program's process");
		process_fail(s->report, &err);
	}
	if (program == 0) {
		if (process_settle(s->spec, s->report, &err) == 0)
			(void)process_execute(s->spec, &err);
		process_fail(s->report, &err);
	}
	if (guard_close_fds_except(NULL, 0, &err) < 0)
		_exit(1);
	init_run(program);
}

static pid_t start(const struct container_spec *spec, const struct cgroup *cgroup, struct err *err)
{
	int pipe_fds[2];

	if (process_pipe(pipe_fds, err) < 0)
		return -1;
	FD_CLOSE int report = pipe_fds[0];
	FD_CLOSE int theirs = pipe_fds[1];
	FD_CLOSE int self = (int)syscall(SYS_pidfd_open, getpid(), 0);

	if (self < 0)
		return (pid_t)err_errno(err, "cannot open a pidfd");
	const struct start s = { .spec = spec, .cgroup = cgroup, .report = theirs, .parent = self };
	const pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0)
		first_process(&s);
	if (pid < 0)
		return (pid_t)err_errno(err, "cannot make a pid namespace");
	fd_close(&theirs);
	if (process_await(report, err) == 0)
		return pid;
	(void)kill(pid, SIGKILL);
	process_reap(pid);
	return -1;
}

static int check_spec(const struct container_spec *spec, struct err *err)
{
	if (!spec->argv || !spec->argv[0] || !*spec->argv[0])
		return err_set(err, ERR_INPUT, "there is no program to run");
	if (spec->uid >= IDS || spec->gid >= IDS)
		return err_set(err, ERR_INPUT, "user and group ids go from 0 to %d", IDS - 1);
	return 0;
}

int container_begin(const struct container_spec *spec, struct cgroup *ret, struct err *err)
{
	const struct cgroup_limits limits = { .memory = spec->memory_limit,
					      .cpu_milli = spec->cpu_limit_milli,
					      .pids = spec->pids_limit };

	return check_spec(spec, err) < 0 || guard_seccomp_prepare(false, err) < 0 ||
			       cgroup_make(ret, spec->cgroup, &limits, err) < 0
		       ? -1
		       : 0;
}

pid_t container_start(const struct container_spec *spec, struct err *err)
{
	struct cgroup cgroup;

	if (container_begin(spec, &cgroup, err) < 0)
		return -1;
	process_give_pipes(spec);
	const pid_t pid = start(spec, &cgroup, err);

	cgroup_close(&cgroup);
	if (pid < 0)
		cgroup_remove(spec->cgroup);
	return pid;
}

void container_cleanup(const struct container_spec *spec)
{
	cgroup_remove(spec->cgroup);
}
