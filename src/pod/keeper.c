/* The keeper, from the fork to its loop. What it does with the host's power comes first; from the user namespace on it has power over
 * the pod only, and when the program runs it has none. */
#include "pod/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "guard/fdpass.h"
#include "guard/guard.h"
#include "pod/cgroup.h"
#include "pod/init.h"
#include "pod/process.h"
#include "pod/terminal.h"

enum { LOG_LIMIT = 1024 * 1024, PID_LIMIT = 64, FILES_SOFT = 1024, FILES_HARD = 1024 * 1024 };

static const char *const tool_env[] = { "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/", NULL };

struct keeper {
	const struct container_spec *spec;
	const struct cgroup *cgroup;
	const char *seccomp;
	int answer, parent; /* a socket to the caller, and its pidfd */
	int console;        /* where the runtime hands over the terminal it makes; -1: none */
};

/* --- the runtime's command --- */

static bool has_terminal(const struct container_spec *spec)
{
	return spec->stdio[0] == CONTAINER_TERMINAL && spec->stdio[1] == CONTAINER_TERMINAL && spec->stdio[2] == CONTAINER_TERMINAL;
}

static struct oci_process process_of(const struct container_spec *spec, bool terminal)
{
	struct rlimit files = { FILES_SOFT, FILES_SOFT };

	(void)getrlimit(RLIMIT_NOFILE, &files);
	const uint64_t hard = files.rlim_max > FILES_HARD ? FILES_HARD : files.rlim_max;

	return (struct oci_process) { .argv = spec->argv,
				      .envp = spec->envp,
				      .cwd = spec->cwd,
				      .uid = spec->uid,
				      .gid = spec->gid,
				      .terminal = terminal,
				      .files_soft = hard < FILES_SOFT ? hard : FILES_SOFT,
				      .files_hard = hard };
}

/* Files of its own are closed; what it is given are stdin, stdout, stderr. */
static _Noreturn void become_tool(const char *const *argv, const struct container_spec *stdio, int report)
{
	struct err err;

	if (process_settle(stdio, report, &err) < 0)
		process_fail(report, &err);
	(void)execve(argv[0], (char *const *)argv, (char *const *)tool_env);
	(void)err_set(&err, ERR_FAULT, "cannot run the runtime %s: %s", argv[0], strerror(errno));
	process_fail(report, &err);
}

/* Its last words are the reason. */
static int fail_tool(const struct keeper *k, const char *verb, int status, struct err *err)
{
	struct arena a = { 0 };
	struct span log = { 0 };
	struct err ignored;
	const char *reason = "";

	if (fd_read_file(OCI_LOG, LOG_LIMIT, &a, &log, &ignored) == 0)
		reason = plan_oci_reason(log, &a);
	(void)err_set(err, ERR_FAULT, "the runtime %s could not %s the container: %s", k->spec->runtime->path, verb,
		      reason[0]             ? reason
		      : WIFSIGNALED(status) ? "it was killed"
					    : "it gave no reason");
	arena_free(&a);
	return -1;
}

static int run_tool(const struct keeper *k, enum oci_verb verb, const struct container_spec *stdio, struct err *err)
{
	struct arena a = { 0 };
	const char *const *argv =
		plan_oci_argv(k->spec->runtime, verb, plan_oci_id(k->spec->cgroup, &a), k->console >= 0, NULL, &a);
	int pipe_fds[2], status = 0;

	if (process_pipe(pipe_fds, err) < 0)
		return -1;
	const pid_t pid = fork();

	if (pid == 0)
		become_tool(argv, stdio, pipe_fds[1]);
	(void)close(pipe_fds[1]);
	int rc = pid < 0 ? err_errno(err, "cannot start the runtime") : process_await(pipe_fds[0], err);

	(void)close(pipe_fds[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (rc == 0 && status != 0)
		rc = fail_tool(k, verb == OCI_CREATE ? "make" : "start", status, err);
	arena_free(&a);
	return rc;
}

/* --- what it is given --- */

/* A directory or file for the runtime, which is the pod's root and nobody else. */
static int give(const struct container_spec *spec, const char *path, struct err *err)
{
	return chown(path, spec->uid_base, spec->uid_base) < 0 ? err_errno(err, "%s", path) : 0;
}

static int write_config(const struct keeper *k, struct err *err)
{
	struct arena a = { 0 };
	const struct container_spec *spec = k->spec;
	const struct oci_container c = { .process = process_of(spec, has_terminal(spec)),
					 .hostname = spec->hostname,
					 .seccomp = k->seccomp };
	const char *text = plan_oci_config(&c, &a);
	FD_CLOSE int fd = open(OCI_CONFIG, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	const int rc = fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));

	arena_free(&a);
	errno = -rc;
	return rc < 0 ? err_errno(err, OCI_CONFIG) : give(spec, OCI_CONFIG, err);
}

/* --- terminals --- */

static int open_console(struct keeper *k, struct err *err)
{
	const struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = OCI_CONSOLE };

	if (!has_terminal(k->spec))
		return 0;
	k->console = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (k->console < 0 || bind(k->console, (const struct sockaddr *)&address, sizeof address) < 0 || listen(k->console, 1) < 0)
		return err_errno(err, "the runtime's console socket");
	return give(k->spec, OCI_CONSOLE, err);
}

/* One fd with the terminal's name, or what the runtime likes to call it. */
static int receive_master(int sock)
{
	char name[256], control[CMSG_SPACE(sizeof(int))];
	struct iovec bytes = { name, sizeof name };
	struct msghdr m = { .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control };
	int fd = -1;

	if (recvmsg(sock, &m, MSG_CMSG_CLOEXEC) <= 0 || m.msg_flags & MSG_CTRUNC)
		return -1;
	const struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof fd))
		memcpy(&fd, CMSG_DATA(c), sizeof fd);
	return fd;
}

/* The runtime has sent it by the time it is done. */
static int pass_terminal(const struct keeper *k, struct err *err)
{
	if (k->console < 0)
		return 0;
	FD_CLOSE int sock = accept4(k->console, NULL, NULL, SOCK_CLOEXEC);
	FD_CLOSE int master = sock < 0 ? -1 : receive_master(sock);

	if (master < 0)
		return err_set(err, ERR_FAULT, "the runtime %s gave no terminal", k->spec->runtime->path);
	return terminal_give(k->spec->terminal, master, err);
}

/* --- the keeper --- */

int keeper_restrict(struct err *err)
{
	if (guard_set_ids(0, 0, err) < 0)
		return -1;
	if (syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL) < 0 && errno != ENOSYS)
		return err_errno(err, "cannot leave the host's keys behind");
	/* On a volume, whose ids are mapped, a file's capabilities would count on the host. Gone for good with the next execve. */
	if (prctl(PR_CAPBSET_DROP, CAP_SETFCAP, 0, 0, 0) < 0 || prctl(PR_CAPBSET_READ, CAP_SETFCAP, 0, 0, 0) != 0)
		return err_errno(err, "cannot give up the capabilities of files");
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
		return err_errno(err, "cannot give up privileges");
	return guard_seccomp_runtime(err);
}

static int prepare(struct keeper *k, struct err *err)
{
	const struct container_spec *spec = k->spec;
	struct arena a = { 0 };
	int *trees = arena_array(&a, spec->mount_count + 1, sizeof *trees);

	if (process_begin(err) < 0)
		return -1;
	init_hide_arguments();
	(void)setsid();
	if (process_enter_pod(spec, k->cgroup, trees, err) < 0)
		return -1;
	FD_CLOSE int root = keeper_enter_root(spec, trees, err);

	arena_free(&a);
	(void)umask(022);
	if (root < 0 || keeper_look_for_program(spec, root, err) < 0 || write_config(k, err) < 0 || open_console(k, err) < 0)
		return -1;
	if (setns(spec->userns, CLONE_NEWUSER) < 0)
		return err_errno(err, "cannot enter the pod's user namespace");
	return keeper_restrict(err) < 0 ? -1 : process_die_with(k->parent, err);
}

static pid_t read_pid(struct err *err)
{
	struct arena a = { 0 };
	struct span text;
	const long pid = fd_read_file(OCI_PID, PID_LIMIT, &a, &text, err) == 0 ? strtol(text.p, NULL, 10) : 0;

	arena_free(&a);
	return pid > 1 && pid == (pid_t)pid ? (pid_t)pid
					    : (pid_t)err_set(err, ERR_FAULT, "the runtime named no process; is it an OCI runtime?");
}

/* The container's first process, which runs its program by then. */
static pid_t bring_up(struct keeper *k, struct err *err)
{
	const struct container_spec nothing = { .stdio = { -1, -1, -1 }, .cwd = OCI_BUNDLE };
	struct container_spec stdio = *k->spec;

	if (prepare(k, err) < 0)
		return -1;
	stdio.cwd = OCI_BUNDLE;
	if (run_tool(k, OCI_CREATE, k->console >= 0 ? &nothing : &stdio, err) < 0)
		return -1;
	const pid_t first = read_pid(err);
	ino_t program = 0;

	if (first < 0 || keeper_check_created(first, k->spec->runtime, &program, err) < 0 || pass_terminal(k, err) < 0 ||
	    run_tool(k, OCI_START, &nothing, err) < 0)
		return -1;
	return keeper_check_started(first, k->spec->runtime, program, err) < 0 ? -1 : first;
}

static _Noreturn void keep(struct keeper *k)
{
	struct err err = { 0 };
	const pid_t first = bring_up(k, &err);
	FD_CLOSE int pidfd = first < 0 ? -1 : (int)syscall(SYS_pidfd_open, first, 0);
	/* As the program, so that signals can be passed on without any right; runsc's sandbox is the pod's root. */
	const bool sandbox = k->spec->runtime->kind == OCI_RUNSC;
	const uint32_t uid = sandbox ? 0 : k->spec->uid, gid = sandbox ? 0 : k->spec->gid;

	if (first > 0 && pidfd < 0)
		(void)err_errno(&err, "the container's first process");
	if (pidfd < 0 || process_restrict(uid, gid, NULL, &err) < 0 || process_die_with(k->parent, &err) < 0) {
		(void)fdpass_send(k->answer, &err, sizeof err, NULL, 0);
		_exit(1);
	}
	if (fdpass_send(k->answer, "", 1, &pidfd, 1) < 0 || guard_close_fds_except(NULL, 0, &err) < 0)
		_exit(1);
	init_run_below(first);
}

/* --- one more process --- */

/* The description goes in a file in memory: no file of its own is left by then. */
int keeper_execute(const struct container_spec *spec, struct err *err)
{
	struct arena a = { 0 };
	const struct oci_process p = process_of(spec, spec->stdio[0] == CONTAINER_TERMINAL);
	const char *text = plan_oci_process(&p, &a);
	FD_CLOSE int root = open(OCI_ROOTFS, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (root < 0 || keeper_look_for_program(spec, root, err) < 0)
		return root < 0 ? err_errno(err, "the container's root") : -1;
	const int fd = memfd_create("process", 0);

	if (fd < 0 || fd_write_all(fd, text, strlen(text)) < 0)
		return err_errno(err, "a file for the runtime");
	const char *const *argv = plan_oci_argv(spec->runtime, OCI_EXEC, plan_oci_id(spec->cgroup, &a), false,
						arena_printf(&a, "/proc/self/fd/%d", fd), &a);

	(void)execve(argv[0], (char *const *)argv, (char *const *)tool_env);
	return err_set(err, ERR_FAULT, "cannot run the runtime %s: %s", argv[0], strerror(errno));
}

/* --- the caller --- */

static bool overwrites(const struct container_spec *spec, int fd)
{
	struct stat st;

	return spec->runtime && spec->runtime->kind == OCI_RUNSC && fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	       (fcntl(fd, F_GETFL) & O_ACCMODE) != O_RDONLY;
}

void keeper_appended(const struct container_spec *spec)
{
	for (int i = 0; i < 3; i++)
		if (overwrites(spec, spec->stdio[i]))
			(void)lseek(spec->stdio[i], 0, SEEK_END);
}

struct container_spec keeper_append(const struct container_spec *spec, int ret_opened[static 3])
{
	struct container_spec copy = *spec;
	char path[32];

	for (int i = 0; i < 3; i++) {
		(void)snprintf(path, sizeof path, "/proc/self/fd/%d", spec->stdio[i]);
		ret_opened[i] = overwrites(spec, spec->stdio[i]) ? open(path, O_WRONLY | O_APPEND | O_CLOEXEC) : -1;
		if (ret_opened[i] >= 0)
			copy.stdio[i] = ret_opened[i];
	}
	return copy;
}

int keeper_answer(int answer, int *ret_first, struct err *err)
{
	struct err said;
	size_t count = 0;
	int fd = -1;
	const ssize_t n = fdpass_receive(answer, &said, sizeof said, &fd, 1, &count);

	if (n == 1 && count == 1) {
		*ret_first = fd;
		return 0;
	}
	fd_close(&fd);
	if (n != (ssize_t)sizeof said)
		return err_set(err, ERR_FAULT, "the container's keeper ended before the container was up");
	*err = said;
	return -1;
}

int keeper_late(struct err *err)
{
	return err_set(err, ERR_FAULT, "the runtime took longer than %d s to start the container", KEEPER_START_MS / 1000);
}

/* The keeper's pid; *ret_answer: our end of its socket. */
static pid_t begin(struct keeper *k, int *ret_answer, struct err *err)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
		return (pid_t)err_errno(err, "cannot make a socket pair");
	FD_CLOSE int ours = pair[0];
	FD_CLOSE int theirs = pair[1];
	FD_CLOSE int self = (int)syscall(SYS_pidfd_open, getpid(), 0);

	if (self < 0)
		return (pid_t)err_errno(err, "cannot open a pidfd");
	k->answer = theirs;
	k->parent = self;
	const pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0)
		keep(k);
	if (pid < 0)
		return (pid_t)err_errno(err, "cannot make a pid namespace");
	*ret_answer = fd_steal(&ours);
	return pid;
}

pid_t keeper_begin(const struct container_spec *spec, int *ret_answer, struct err *err)
{
	struct arena a = { 0 };
	struct cgroup cgroup;
	int opened[3];
	const struct container_spec own = keeper_append(spec, opened);
	struct keeper k = { .spec = &own, .cgroup = &cgroup, .console = -1 };
	pid_t pid = -1;

	k.seccomp = spec->runtime->kind == OCI_RUNSC ? guard_seccomp_profile_gvisor(&a, err) : guard_seccomp_profile(&a, err);
	if (k.seccomp && guard_seccomp_prepare_runtime(err) == 0 && container_begin(spec, &cgroup, err) == 0) {
		process_give_pipes(spec);
		pid = begin(&k, ret_answer, err);
		cgroup_close(&cgroup);
		if (pid < 0)
			cgroup_remove(spec->cgroup);
	}
	for (int i = 0; i < 3; i++)
		fd_close(&opened[i]);
	arena_free(&a);
	return pid;
}

static int await(int answer, int *ret_first, struct err *err)
{
	struct pollfd p = { .fd = answer, .events = POLLIN };
	int ready;

	do
		ready = poll(&p, 1, KEEPER_START_MS);
	while (ready < 0 && errno == EINTR);
	return ready == 0 ? keeper_late(err) : keeper_answer(answer, ret_first, err);
}

pid_t keeper_start(const struct container_spec *spec, int *ret_first, struct err *err)
{
	FD_CLOSE int answer = -1;
	const pid_t pid = keeper_begin(spec, &answer, err);

	if (pid < 0 || await(answer, ret_first, err) == 0)
		return pid;
	(void)kill(pid, SIGKILL);
	process_reap(pid);
	cgroup_remove(spec->cgroup);
	return -1;
}
