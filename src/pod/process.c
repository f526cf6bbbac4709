/* Each step here is one-way. Until its last one the process is undumpable, so that the pod, whose user ids it may bear already,
 * cannot touch it. */
#include "pod/process.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "guard/guard.h"
#include "pod/cgroup.h"
#include "pod/rootfs.h"
#include "pod/terminal.h"

enum { EXIT_NOT_STARTED = 127, FILES_SOFT = 1024, FILES_HARD = 1024 * 1024, FIRST_FREE_FD = 10 };

static void default_signals(void)
{
	sigset_t all;

	for (int i = 1; i < NSIG; i++)
		(void)signal(i, SIG_DFL); /* fails for those that cannot be changed */
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, NULL);
}

/* No core files. 0 would leave the program of the host that core_pattern may name, which 1 is for; where the limit is 0 for good,
 * that has to do. */
static int forbid_core(void)
{
	const struct rlimit one = { 1, 1 }, none = { 0, 0 };

	return setrlimit(RLIMIT_CORE, &one) < 0 ? setrlimit(RLIMIT_CORE, &none) : 0;
}

int process_begin(struct err *err)
{
	default_signals();
	(void)umask(0);
	/* Best effort: a lower value than what is there may not be written. */
	(void)fd_write_file("/proc/self/oom_score_adj", "500");
	return forbid_core() < 0 || prctl(PR_SET_DUMPABLE, 0) < 0 ? err_errno(err, "cannot hide from others") : 0;
}

int process_enter_pod(const struct container_spec *spec, const struct cgroup *cgroup, int *ret_trees, struct err *err)
{
	if (cgroup_join(cgroup, err) < 0)
		return -1;
	if (setns(spec->netns, CLONE_NEWNET) < 0)
		return err_errno(err, "cannot enter the pod's network namespace");
	if (rootfs_take_sources(spec, ret_trees, err) < 0)
		return -1;
	if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP) < 0)
		return err_errno(err, "cannot make the container's namespaces");
	if (sethostname(spec->hostname, strlen(spec->hostname)) < 0 || setdomainname("", 0) < 0)
		return err_errno(err, "cannot set the host name '%s'", spec->hostname);
	return 0;
}

int process_restrict(uint32_t uid, uint32_t gid, const struct filter_copy *filters, struct err *err)
{
	if (guard_set_ids(uid, gid, err) < 0)
		return -1;
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS)
		return err_errno(err, "cannot leave the host's keys behind");
	if (guard_drop_capabilities(err) < 0)
		return -1;
	/* A change of ids has set it to what the host's administrator likes. */
	if (prctl(PR_SET_DUMPABLE, 0) < 0 || prctl(PR_GET_DUMPABLE) != 0)
		return err_errno(err, "cannot hide from others");
	return filters ? guard_seccomp_put(filters, err) : guard_seccomp_container(false, err);
}

int process_die_with(int parent, struct err *err)
{
	struct pollfd p = { .fd = parent, .events = POLLIN };

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || poll(&p, 1, 0) < 0)
		return err_errno(err, "cannot bind to the parent's life");
	return p.revents ? err_set(err, ERR_FAULT, "the parent is gone") : 0;
}

static int set_limits(struct err *err)
{
	const struct rlimit none = { 0, 0 };
	struct rlimit files;

	/* What the operator may do to the machine's other processes is not handed on. */
	if (setrlimit(RLIMIT_RTPRIO, &none) < 0 || setrlimit(RLIMIT_NICE, &none) < 0 || getrlimit(RLIMIT_NOFILE, &files) < 0)
		return err_errno(err, "cannot set limits");
	files.rlim_max = files.rlim_max > FILES_HARD ? FILES_HARD : files.rlim_max;
	files.rlim_cur = files.rlim_max > FILES_SOFT ? FILES_SOFT : files.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &files) < 0 ? err_errno(err, "cannot limit open files") : 0;
}

/* The three may be each other's numbers, so they go out of the way first. */
static int place_stdio(const int stdio[static 3], int terminal, struct err *err)
{
	int copy[3];

	for (int i = 0; i < 3; i++) {
		FD_CLOSE int null = stdio[i] == -1 ? open("/dev/null", O_RDWR | O_CLOEXEC) : -1;
		const int from = stdio[i] == CONTAINER_TERMINAL ? terminal : stdio[i] == -1 ? null : stdio[i];

		copy[i] = fcntl(from, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
		if (copy[i] < 0)
			return err_errno(err, "cannot take over the standard files");
	}
	for (int i = 0; i < 3; i++)
		if (dup2(copy[i], i) < 0)
			return err_errno(err, "cannot take over the standard files");
	return 0;
}

void process_give_pipes(const struct container_spec *spec)
{
	struct statfs fs;

	for (int i = 0; i < 3; i++)
		if (spec->stdio[i] >= 0 && fstatfs(spec->stdio[i], &fs) == 0 && fs.f_type == PIPEFS_MAGIC)
			(void)!fchown(spec->stdio[i], spec->uid_base + spec->uid, spec->uid_base + spec->gid);
}

int process_settle(const struct container_spec *spec, int report, struct err *err)
{
	const int keep[] = { 0, 1, 2, report };
	sigset_t none;

	(void)setsid(); /* fails when it is one's leader already */
	const int terminal = spec->terminal ? terminal_make(spec->terminal, err) : -1;

	if ((spec->terminal && terminal < 0) || place_stdio(spec->stdio, terminal, err) < 0 ||
	    guard_close_fds_except(keep, 4, err) < 0 || set_limits(err) < 0)
		return -1;
	/* A runtime's own process ends early, which would hang up on the program. */
	if (spec->stdio[0] == CONTAINER_TERMINAL && !spec->runtime && ioctl(0, TIOCSCTTY, 0) < 0)
		return err_errno(err, "cannot take the terminal");
	(void)umask(022);
	if (chdir(spec->cwd ? spec->cwd : "/") < 0)
		return err_set(err, ERR_INPUT, "the working directory %s: %s", spec->cwd, strerror(errno));
	(void)sigemptyset(&none);
	return sigprocmask(SIG_SETMASK, &none, NULL) < 0 ? err_errno(err, "cannot unblock signals") : 0;
}

int process_execute(const struct container_spec *spec, struct err *err)
{
	environ = (char **)spec->envp;
	(void)execvpe(spec->argv[0], (char *const *)spec->argv, environ);
	if (errno == ENOENT && !strchr(spec->argv[0], '/'))
		return err_set(err, ERR_INPUT, "the program '%s' is not in the container's PATH", spec->argv[0]);
	return err_set(err, ERR_INPUT, "cannot run '%s': %s", spec->argv[0], strerror(errno));
}

int process_pipe(int ret[static 2], struct err *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_errno(err, "cannot make a pipe");
	const int up = fcntl(ends[1], F_DUPFD_CLOEXEC, FIRST_FREE_FD);

	(void)close(ends[1]);
	if (up < 0) {
		(void)close(ends[0]);
		return err_errno(err, "cannot make a pipe");
	}
	ret[0] = ends[0];
	ret[1] = up;
	return 0;
}

void process_fail(int report, const struct err *err)
{
	(void)fd_write_all(report, err, sizeof *err);
	_exit(EXIT_NOT_STARTED);
}

int process_await(int report, struct err *err)
{
	struct err said;
	size_t have = 0;

	while (have < sizeof said) {
		const ssize_t n = read(report, (char *)&said + have, sizeof said - have);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(err, "cannot hear how the start went");
		if (n == 0)
			break;
		have += (size_t)n;
	}
	if (have == 0)
		return 0;
	if (have != sizeof said)
		return err_set(err, ERR_FAULT, "the start ended in the middle of a word");
	*err = said;
	return -1;
}

void process_reap(pid_t pid)
{
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
}
