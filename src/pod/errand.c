/* One packet comes back over a socket pair: the error if there is one, which slots have an fd, and those fds. A child that ends
 * without it has failed. */
#include "pod/errand.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"

struct errand_report {
	int result;
	bool filled[FDPASS_MAX];
	struct err err;
};

static _Noreturn void child(errand_fn *fn, void *arg, int sock, size_t count, pid_t parent)
{
	struct errand_report report = { .result = -1 };
	int fds[FDPASS_MAX], packed[FDPASS_MAX];
	size_t n = 0;

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(1);
	for (size_t i = 0; i < FDPASS_MAX; i++)
		fds[i] = -1;
	report.result = fn(arg, fds, &report.err);
	for (size_t i = 0; report.result == 0 && i < count; i++) {
		report.filled[i] = fds[i] >= 0;
		if (report.filled[i])
			packed[n++] = fds[i];
	}
	_exit(fdpass_send(sock, &report, sizeof report, packed, n) == 0 ? 0 : 1);
}

static int collect(int sock, int *ret_fds, size_t count, struct err *err)
{
	struct errand_report report;
	int fds[FDPASS_MAX];
	size_t got = 0, wanted = 0;
	const ssize_t n = fdpass_receive(sock, &report, sizeof report, fds, FDPASS_MAX, &got);

	for (size_t i = 0; n == (ssize_t)sizeof report && i < count; i++)
		wanted += report.filled[i];
	if (n != (ssize_t)sizeof report || got != wanted) {
		for (size_t i = 0; n > 0 && i < got; i++)
			(void)close(fds[i]);
		return err_set(err, ERR_FAULT, "a child process ended without an answer");
	}
	if (report.result != 0) {
		*err = report.err;
		return -1;
	}
	for (size_t i = 0, next = 0; i < count; i++)
		ret_fds[i] = report.filled[i] ? fds[next++] : -1;
	return 0;
}

int errand_run(errand_fn *fn, void *arg, int *ret_fds, size_t count, struct err *err)
{
	int pair[2];

	assert(count <= FDPASS_MAX);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_errno(err, "cannot make a socket pair");
	FD_CLOSE int ours = pair[0];
	FD_CLOSE int theirs = pair[1];
	const pid_t self = getpid(), pid = fork();

	if (pid < 0)
		return err_errno(err, "cannot start a child process");
	if (pid == 0)
		child(fn, arg, theirs, count, self);
	fd_close(&theirs);
	const int rc = collect(ours, ret_fds, count, err);

	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	return rc;
}
