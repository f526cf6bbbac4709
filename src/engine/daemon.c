/* Starting the supervisor of a project as a daemon, from a command. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "engine/control.h"
#include "engine/launch.h"
#include "engine/podman.h"
#include "engine/supervisor.h"
#include "guard/guard.h"
#include "process/run_dir.h"
#include "process/stale.h"

enum { TRIES = 200, PAUSE_MS = 50, READY_MS = 15000, EMPTY_MS = 3000 };

static bool runs(const char *project, struct err *err)
{
	FD_CLOSE int sock = control_connect(project, err);

	return sock >= 0;
}

/* In a process of its own session that nobody waits for. Nothing of the caller stays open but the way to say "ready". */
static void become_supervisor(const char *project, int ready)
{
	struct err err;
	char number[16];
	const int null = open("/dev/null", O_RDWR), above = fcntl(ready, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	const int keep[] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO, above };

	(void)snprintf(number, sizeof number, "%d", above);
	const char *const argv[] = { "stockade", "supervise", "--project", project, "--ready-fd", number, NULL };

	if (null < 0 || above < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
	    dup2(null, STDERR_FILENO) < 0 || guard_close_fds_except(keep, sizeof keep / sizeof keep[0], &err) < 0 ||
	    fcntl(above, F_SETFD, 0) < 0)
		_exit(126);
	(void)execv("/proc/self/exe", (char *const *)argv);
	_exit(127);
}

/* Twice forked, so that it is no child of the caller. The end of `ready` that is not kept closes by itself. */
static int spawn(const char *project, int ready, struct err *err)
{
	const pid_t pid = fork();

	if (pid < 0)
		return err_errno(err, "fork");
	if (pid == 0) {
		if (setsid() < 0)
			_exit(1);
		const pid_t second = fork();

		if (second == 0)
			become_supervisor(project, ready);
		_exit(second < 0);
	}
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_errno(err, "starting the supervisor");
	return status == 0 ? 0 : err_set(err, ERR_FAULT, "the supervisor could not be started");
}

/* One byte when it listens; else '!', the class and the sentence. */
static int wait_ready(int ready, struct err *err)
{
	char text[sizeof err->text + 2];
	size_t have = 0;
	struct pollfd p = { .fd = ready, .events = POLLIN };

	for (;;) {
		const int rc = poll(&p, 1, READY_MS);

		if (rc < 0 && errno == EINTR)
			continue;
		if (rc == 0)
			return err_set(err, ERR_FAULT, "the supervisor does not answer; see supervisor.log in the run directory");
		const ssize_t n = rc < 0 ? -1 : read(ready, text + have, sizeof text - 1 - have);

		if (n <= 0)
			break;
		have += (size_t)n;
		if (text[0] != '!')
			return 0;
	}
	text[have] = '\0';
	if (have < 3)
		return err_set(err, ERR_FAULT, "the supervisor ended before it was ready");
	return err_set(err, (enum err_class)(text[1] - '0'), "%s", text + 2);
}

static int start(const char *project, struct err *err)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_errno(err, "a pipe to the supervisor");
	FD_CLOSE int reading = ends[0];
	FD_CLOSE int writing = ends[1];

	if (spawn(project, writing, err) < 0)
		return -1;
	fd_close(&writing);
	return wait_ready(reading, err);
}

int supervisor_ensure(const char *project, struct err *err)
{
	const struct timespec pause = { .tv_nsec = PAUSE_MS * 1000000L };

	for (int i = 0; i < TRIES; i++) {
		if (runs(project, err))
			return 0;
		if (err->class != ERR_FINDING)
			return -1;
		/* A finding: one is just coming up, or on its way out. */
		if (supervisor_clean_stale(project, err) == 0 && start(project, err) == 0)
			return 0;
		if (err->class != ERR_FINDING)
			return -1;
		(void)nanosleep(&pause, NULL);
	}
	return -1;
}

/* --- what one has left behind --- */

int supervisor_clean_stale(const char *project, struct err *err)
{
	char path[512], prefix[LAUNCH_CGROUP_PREFIX];

	if (control_run_dir(project, path, sizeof path, err) < 0)
		return -1;
	/* Made where it is gone, as after a reboot: without the lock a supervisor that just begins would lose its pods. */
	FD_CLOSE int dir = run_dir_make(path, err);
	FD_CLOSE int lock = dir < 0 ? -1 : run_dir_lock(dir, path, err);

	if (lock < 0)
		return -1;
	if (podman_sweep(project, err) < 0)
		return -1;
	launch_cgroup_prefix(project, prefix);
	const unsigned left = stale_cgroups_remove(prefix, NULL, EMPTY_MS);

	if (left)
		return err_set(err, ERR_FAULT, "%u cgroups named %s... still have processes; end these and try again", left,
			       prefix);
	stale_runs_remove();
	return run_dir_remove(path, err);
}
