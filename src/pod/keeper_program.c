/* Is the program there? Asked before the runtime is, as each would tell it in its own words. */
#include "pod/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "pod/process.h"

static bool is_executable(const char *path)
{
	struct stat st;
	FD_CLOSE int fd = open(path, O_PATH | O_CLOEXEC);

	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 0111))
		return true;
	errno = EACCES;
	return false;
}

static const char *value_of(const char *const *env, const char *name)
{
	const size_t n = strlen(name);

	for (; env && *env; env++)
		if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
			return *env + n + 1;
	return "";
}

static int find_program(const struct container_spec *spec, struct err *err)
{
	const char *name = spec->argv[0];
	char path[PATH_MAX];

	if (name[0] == '/' && !is_executable(name))
		return err_set(err, ERR_INPUT, "cannot run '%s': %s", name, strerror(errno));
	if (strchr(name, '/'))
		return 0;
	for (const char *p = value_of(spec->envp, "PATH"); *p;) {
		const size_t n = strcspn(p, ":");

		(void)snprintf(path, sizeof path, "%.*s/%s", (int)n, p, name);
		if (is_executable(path))
			return 0;
		p += n + (p[n] == ':');
	}
	return err_set(err, ERR_INPUT, "the program '%s' is not in the container's PATH", name);
}

/* In a child whose root is the container's. */
int keeper_look_for_program(const struct container_spec *spec, int root, struct err *err)
{
	int pipe_fds[2];

	if (process_pipe(pipe_fds, err) < 0)
		return -1;
	const pid_t pid = fork();

	if (pid == 0) {
		struct err why;

		if (fchdir(root) < 0 || chroot(".") < 0)
			(void)err_errno(&why, "the container's root");
		else if (find_program(spec, &why) == 0)
			_exit(0);
		process_fail(pipe_fds[1], &why);
	}
	(void)close(pipe_fds[1]);
	const int rc = pid < 0 ? err_errno(err, "cannot start a child process") : process_await(pipe_fds[0], err);

	(void)close(pipe_fds[0]);
	if (pid > 0)
		process_reap(pid);
	return rc;
}
