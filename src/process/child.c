#include "process/child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

static int reap(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return W_EXITCODE(255, 0); /* never taken for success */
	return status;
}

static void forget(struct child *c)
{
	loop_forget(c->loop, &c->source);
	fd_close(&c->source.fd);
	c->pid = 0;
}

static void ready(struct source *s, uint32_t events)
{
	struct child *c = (struct child *)s; /* its first member */

	if (c->pid <= 0)
		return;
	const int status = reap(c->pid);

	forget(c);
	c->ended(c, status);
}

int child_watch(struct child *c, struct loop *l, pid_t pid, void (*ended)(struct child *c, int wait_status), struct err *err)
{
	*c = (struct child) {
		.source = { .fd = (int)syscall(SYS_pidfd_open, pid, 0), .ready = ready }, .loop = l, .pid = pid, .ended = ended
	};
	const int rc = c->source.fd < 0 ? -errno : loop_watch(l, &c->source, EPOLLIN);

	if (rc == 0)
		return 0;
	(void)kill(pid, SIGKILL);
	(void)reap(pid);
	fd_close(&c->source.fd);
	c->pid = 0;
	errno = -rc;
	return err_errno(err, "watching a process");
}

void child_signal(struct child *c, int number)
{
	if (c->pid > 0)
		(void)syscall(SYS_pidfd_send_signal, c->source.fd, number, NULL, 0);
}

void child_kill(struct child *c)
{
	if (c->pid <= 0)
		return;
	struct pollfd end = { .fd = c->source.fd, .events = POLLIN };

	child_signal(c, SIGKILL);
	/* The first process of a container ends after all others in it: also after one that `exec` has brought in and, stopped
	 * itself, does not reap. No such can hold up its keeper; it is dead but for its name. */
	if (poll(&end, 1, CHILD_END_MS) == 1)
		(void)reap(c->pid);
	forget(c);
}

pid_t child_fork(struct err *err)
{
	const pid_t parent = getpid(), pid = fork();
	sigset_t none;

	if (pid < 0)
		return (pid_t)err_errno(err, "fork");
	if (pid > 0)
		return pid;
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	for (int i = 1; i < NSIG; i++)
		(void)signal(i, SIG_DFL);
	(void)sigemptyset(&none);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	return 0;
}

int child_exit_code(int wait_status)
{
	return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}
