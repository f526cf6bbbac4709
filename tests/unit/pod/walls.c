#include "walls.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "jail/jail.h"
#include "plan/plan.h"

static const struct plan_pod pod = { .v4 = { 4, { 198, 18, 0, 2 } },
				     .v6 = { 6, { 0xfd, 0x5a, 0x53, 0x54, 0x4b, 0x44, [15] = 2 } } };

static int jail(void *arg, int *ret_fds, struct err *err)
{
	if (jail_apply(arg, err) < 0 || jail_check(arg, err) < 0)
		return -1;
	ret_fds[0] = jail_open_drops(PLAN_NFLOG_GROUP, err);
	return ret_fds[0] < 0 ? -1 : 0;
}

void walls_raise(struct walls *w)
{
	static const struct plan plan;
	struct arena a = { 0 };
	struct err err = { 0 };

	w->userns = container_userns(UID_BASE, &err);
	w->netns = w->userns < 0 ? -1 : netns_create(&pod.v4, &pod.v6, &err);
	if (w->netns < 0 || netns_run(w->netns, jail, (void *)plan_ruleset(&plan, &pod, &a), &w->drops, 1, &err) < 0 ||
	    netns_listeners(w->netns, NULL, w->listeners, &err) < 0)
		fail_msg("%s", err.text);
	arena_free(&a);
}

void walls_close(struct walls *w)
{
	for (int i = 0; i < GATE_LISTENER_COUNT; i++)
		fd_close(&w->listeners[i]);
	fd_close(&w->drops);
	fd_close(&w->netns);
	fd_close(&w->userns);
}

struct container_spec walls_spec(const struct walls *w, const char *script)
{
	static char cgroup[64];
	static const char *argv[] = { "sh", "-c", NULL, NULL };
	static const char *const envp[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", NULL };

	argv[2] = script;
	(void)snprintf(cgroup, sizeof cgroup, "stockade-test-pod-%d", (int)getpid());
	return (struct container_spec) { .hostname = "the-pod",
					 .hosts = "127.0.0.1 localhost\n",
					 .resolv_conf = "nameserver 198.18.0.1\n",
					 .argv = argv,
					 .envp = envp,
					 .cgroup = cgroup,
					 .uid_base = UID_BASE,
					 .stdio = { -1, -1, -1 },
					 .netns = w->netns,
					 .userns = w->userns,
					 .die_with_parent = true };
}

int walls_wait(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		assert_int_equal(errno, EINTR);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void take_output(int fd, char ret[static OUTPUT_MAX])
{
	size_t have = 0;
	ssize_t n;

	while (have < OUTPUT_MAX - 1 && (n = read(fd, ret + have, OUTPUT_MAX - 1 - have)) > 0)
		have += (size_t)n;
	ret[have] = '\0';
}

int walls_run(struct container_spec *spec, char ret_output[static OUTPUT_MAX])
{
	struct err err = { 0 };
	int out[2];

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	spec->stdio[1] = spec->stdio[2] = out[1];
	const pid_t pid = container_start(spec, &err);

	(void)close(out[1]);
	if (pid < 0)
		fail_msg("%s", err.text);
	take_output(out[0], ret_output);
	(void)close(out[0]);
	const int code = walls_wait(pid);

	container_cleanup(spec);
	return code;
}

int walls_enter(pid_t container, struct container_spec *spec, int (*fn)(void *arg), void *arg, char ret_output[static OUTPUT_MAX])
{
	struct err err = { 0 };
	int out[2];
	FD_CLOSE int pidfd = (int)syscall(SYS_pidfd_open, container, 0);

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	spec->stdio[1] = spec->stdio[2] = out[1];
	const pid_t pid = container_enter(pidfd, spec, fn, arg, &err);

	(void)close(out[1]);
	if (pid < 0)
		fail_msg("%s", err.text);
	take_output(out[0], ret_output);
	(void)close(out[0]);
	return walls_wait(pid);
}
