#include "verify/prober.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"

enum { ATTEMPT_SECONDS = 3, ATTEMPT_BROKE = 255 };

void finding_set(struct finding *f, enum sight sight, const char *fmt, ...)
{
	va_list ap;

	f->sight = (uint8_t)sight;
	va_start(ap, fmt);
	(void)vsnprintf(f->text, sizeof f->text, fmt, ap);
	va_end(ap);
}

void prober_tell(int out, const struct finding *f)
{
	(void)fd_write_all(out, f, sizeof *f);
}

/* The child of a verify that is gone has nobody to tell. A container's own processes must not look into it. */
static void settle(void)
{
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)alarm(PROBER_SECONDS);
}

static int open_pipe(int ends[static 2], struct err *err)
{
	return pipe2(ends, O_CLOEXEC) < 0 ? err_errno(err, "pipe") : 0;
}

int prober_start(struct prober *p, int netns, void (*work)(void *arg, int out), void *arg, struct err *err)
{
	int ends[2];

	if (open_pipe(ends, err) < 0)
		return -1;
	const pid_t pid = fork();

	if (pid == 0) {
		settle();
		if (netns >= 0 && setns(netns, CLONE_NEWNET) < 0)
			_exit(1);
		work(arg, ends[1]);
		_exit(0);
	}
	(void)close(ends[1]);
	if (pid < 0) {
		(void)close(ends[0]);
		return err_errno(err, "fork");
	}
	*p = (struct prober) { .pid = pid, .pipe = ends[0] };
	return 0;
}

struct errand {
	void (*work)(void *arg, int out);
	void *arg;
};

static int run_errand(void *arg)
{
	const struct errand *e = arg;

	settle();
	e->work(e->arg, STDOUT_FILENO);
	return 0;
}

int prober_enter(struct prober *p, const struct subject *s, uint16_t pod, void (*work)(void *arg, int out), void *arg,
		 struct err *err)
{
	int ends[2];
	struct container_spec spec = s->spec;
	struct errand errand = { work, arg };
	FD_CLOSE int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return err_errno(err, "/dev/null");
	if (open_pipe(ends, err) < 0)
		return -1;
	spec.stdio[0] = spec.stdio[2] = null;
	spec.stdio[1] = ends[1];
	const pid_t pid = container_enter(s->pidfd, &spec, run_errand, &errand, err);

	(void)close(ends[1]);
	if (pid < 0) {
		(void)close(ends[0]);
		return -1;
	}
	*p = (struct prober) { .pid = pid, .pipe = ends[0], .inside = true, .pod = pod };
	return 0;
}

void prober_end(struct prober *p)
{
	if (!p->pid)
		return;
	(void)kill(p->pid, SIGKILL);
	while (waitpid(p->pid, NULL, 0) < 0 && errno == EINTR)
		;
	fd_close(&p->pipe);
	p->pid = 0;
}

static bool is_its_own(const struct prober *p)
{
	const struct finding *f = &p->got;

	return f->probe < probe_count &&
	       (!p->inside || (f->pod == p->pod && !f->control && probes[f->probe].place == PLACE_CONTAINER));
}

/* false: it has no more to say. */
static bool hear(struct prober *p, void (*found)(void *arg, const struct finding *f), void *arg)
{
	const ssize_t n = read(p->pipe, (char *)&p->got + p->got_bytes, sizeof p->got - p->got_bytes);

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	if (n == 0)
		return false;
	p->got_bytes += (size_t)n;
	if (p->got_bytes == sizeof p->got) {
		p->got_bytes = 0;
		p->got.text[sizeof p->got.text - 1] = '\0';
		if (is_its_own(p))
			found(arg, &p->got);
	}
	return true;
}

enum { PROBERS_POLLED = 64 };

void prober_collect(struct prober *list, size_t count, void (*found)(void *arg, const struct finding *f), void *arg)
{
	const uint64_t until = clock_now_ns() + (uint64_t)PROBER_SECONDS * 1000000000U;

	for (;;) {
		struct pollfd fds[PROBERS_POLLED];
		struct prober *of[PROBERS_POLLED];
		nfds_t n = 0;
		const uint64_t now = clock_now_ns();

		for (size_t i = 0; i < count && n < PROBERS_POLLED; i++)
			if (list[i].pid) {
				fds[n] = (struct pollfd) { .fd = list[i].pipe, .events = POLLIN };
				of[n++] = &list[i];
			}
		if (n == 0 || now >= until || poll(fds, n, (int)((until - now) / 1000000) + 1) == 0)
			break;
		for (nfds_t i = 0; i < n; i++)
			if (fds[i].revents && !hear(of[i], found, arg))
				prober_end(of[i]);
	}
	for (size_t i = 0; i < count; i++)
		prober_end(&list[i]);
}

int prober_attempt(int (*attempt)(void *arg), void *arg)
{
	int status = 0;
	const pid_t pid = fork();

	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
		(void)alarm(ATTEMPT_SECONDS);
		const int rc = attempt(arg);

		_exit(rc >= 0 && rc < ATTEMPT_BROKE ? rc : ATTEMPT_BROKE);
	}
	if (pid < 0)
		return EAGAIN;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return ECHILD;
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}
