/* The system-call filters of a process, as the kernel has them: a probe that is to stand where a program stands must have the very same,
 * whoever has made them. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard/guard.h"

struct filter_copy {
	unsigned count;
	struct sock_fprog list[GUARD_FILTERS_MAX]; /* the newest first, as the kernel counts */
};

void guard_seccomp_free(struct filter_copy *c)
{
	for (unsigned i = 0; c && i < c->count; i++)
		free(c->list[i].filter);
	free(c);
}

/* How long it is; its instructions, where there is room for them. */
static long get_filter(pid_t pid, unsigned number, struct sock_filter *code)
{
	return syscall(SYS_ptrace, PTRACE_SECCOMP_GET_FILTER, pid, (unsigned long)number, code);
}

/* The process is stopped. false: an error; no filter of that number is none. */
static bool take(pid_t pid, struct filter_copy *c)
{
	for (; c->count < GUARD_FILTERS_MAX; c->count++) {
		const long n = get_filter(pid, c->count, NULL);

		if (n < 0)
			return errno == ENOENT;
		if (n == 0 || n > BPF_MAXINSNS)
			return false;
		struct sock_filter *code = calloc((size_t)n, sizeof *code);

		if (!code || get_filter(pid, c->count, code) != n) {
			free(code);
			return false;
		}
		c->list[c->count] = (struct sock_fprog) { .len = (unsigned short)n, .filter = code };
	}
	return false; /* more than there is room for */
}

static bool stop(pid_t pid)
{
	int status = 0;

	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
		return false;
	return ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) == 0 && waitpid(pid, &status, __WALL) == pid && WIFSTOPPED(status);
}

struct filter_copy *guard_seccomp_copy(pid_t pid, struct err *err)
{
	struct filter_copy *c = calloc(1, sizeof *c);
	const bool good = c && stop(pid) && take(pid, c);
	const int error = errno;

	(void)ptrace(PTRACE_DETACH, pid, NULL, NULL);
	if (good)
		return c;
	guard_seccomp_free(c);
	errno = error;
	(void)err_errno(err, "the system-call filters of process %d cannot be read", pid);
	return NULL;
}

int guard_seccomp_put(const struct filter_copy *c, struct err *err)
{
	for (unsigned i = c->count; i-- > 0;)
		if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &c->list[i]) < 0)
			return err_errno(err, "cannot put on the system-call filter");
	return 0;
}
