/* Every system call there is (0 to CALLS - 1), made behind the gate's filter in a child of its own: killed, refused with which errno,
 * or let through. Compared with the table next to this file, so that a change of the filter shows as a change of that table.
 *
 *   test-guard-gate-syscalls TABLE           compares
 *   test-guard-gate-syscalls --print         prints the table as it is (names from libseccomp)
 *
 * Arguments are chosen so that a call that is let through does nothing: all are ~0 (no such file, no such address), but for those of
 * `rows`, which have their own. */
#include <errno.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guard/guard.h"

enum { CALLS = 462, LINE = 128, TABLE_LINES = 600, PATIENCE_S = 2 };

struct row {
	const char *what;
	int nr;
	unsigned long args[4];
};

/* What the filter tells apart by arguments. */
static const struct row rows[] = {
	{ "socket inet stream", SYS_socket, { AF_INET, SOCK_STREAM } },
	{ "socket inet6 dgram", SYS_socket, { AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC } },
	{ "socket inet raw", SYS_socket, { AF_INET, SOCK_RAW, 1 } },
	{ "socket inet6 raw", SYS_socket, { AF_INET6, SOCK_RAW, 58 } },
	{ "socket inet6 stream tcp", SYS_socket, { AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 6 } },
	{ "socket inet dgram udp", SYS_socket, { AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 17 } },
	{ "socket inet stream udp", SYS_socket, { AF_INET, SOCK_STREAM, 17 } },
	{ "socket inet stream mptcp", SYS_socket, { AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 262 } },
	{ "socket inet6 stream sctp", SYS_socket, { AF_INET6, SOCK_STREAM, 132 } },
	{ "socket inet dgram icmp", SYS_socket, { AF_INET, SOCK_DGRAM, 1 } },
	{ "socket inet6 dgram icmp", SYS_socket, { AF_INET6, SOCK_DGRAM, 58 } },
	{ "socket inet dgram udplite", SYS_socket, { AF_INET, SOCK_DGRAM, 136 } },
	{ "socket inet seqpacket", SYS_socket, { AF_INET, SOCK_SEQPACKET } },
	{ "socket unix", SYS_socket, { AF_UNIX, SOCK_STREAM } },
	{ "socket netlink", SYS_socket, { AF_NETLINK, SOCK_RAW } },
	{ "socket packet", SYS_socket, { AF_PACKET, SOCK_DGRAM } },
	{ "socket vsock", SYS_socket, { AF_VSOCK, SOCK_STREAM } },
	{ "mmap data", SYS_mmap, { 0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS } },
	{ "mmap code", SYS_mmap, { 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS } },
	{ "mprotect data", SYS_mprotect, { 0, 0, PROT_READ } },
	{ "mprotect code", SYS_mprotect, { 0, 0, PROT_READ | PROT_EXEC } },
	{ "clone process", SYS_clone, { SIGCHLD } },
	{ "clone namespace", SYS_clone, { CLONE_NEWUSER | SIGCHLD } },
	{ "clone thread in namespace", SYS_clone, { CLONE_THREAD | CLONE_VM | CLONE_SIGHAND | CLONE_NEWUSER } },
	{ "ioctl count of bytes", SYS_ioctl, { ~0UL, FIONREAD } },
	{ "ioctl terminal", SYS_ioctl, { ~0UL, TIOCSTI } },
	{ "ioctl other file", SYS_ioctl, { ~0UL, 0x8940 } },
	{ "newfstatat of a name", SYS_newfstatat, { ~0UL, ~0UL, ~0UL, 0 } },
};

static char table[TABLE_LINES][LINE];
static unsigned lines;

static void try_call(int nr, const unsigned long args[4])
{
	struct err err = { 0 };
	const struct rlimit none = { 0, 0 };

	(void)setrlimit(RLIMIT_CORE, &none);
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)alarm(PATIENCE_S); /* some wait for ever */
	if (guard_seccomp_gate(&err) < 0)
		(void)raise(SIGUSR1);
	errno = 0;
	const long rc = syscall(nr, args[0], args[1], args[2], args[3], ~0UL, ~0UL);

	(void)syscall(SYS_exit_group, rc == -1 && (errno == EACCES || errno == EPERM || errno == ENOSYS) ? errno : 0);
}

/* What became of it, in a word. */
static const char *outcome(int nr, const unsigned long args[4])
{
	int status = 0;
	const pid_t pid = fork();

	if (pid == 0)
		try_call(nr, args);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return "lost";
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		return "killed";
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGUSR1)
		return "no-filter";
	if (WIFSIGNALED(status))
		return "allowed"; /* it took the call, and the child's memory or time with it */
	switch (WEXITSTATUS(status)) {
	case EACCES:
		return "EACCES";
	case EPERM:
		return "EPERM";
	case ENOSYS:
		return "ENOSYS";
	default:
		return "allowed";
	}
}

static void fill_table(void)
{
	static const unsigned long odd[4] = { ~0UL, ~0UL, ~0UL, ~0UL }, wake[4] = { ~0UL, FUTEX_WAKE };

	for (int nr = 0; nr < CALLS; nr++) {
		/* The kernel's own, of its probes: newer ones let them pass by any filter. */
		if (nr == 335 || nr == 336)
			continue;
		char *name = seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, nr);

		(void)snprintf(table[lines++], LINE, "%d %s %s", nr, name ? name : "-", outcome(nr, nr == SYS_futex ? wake : odd));
		free(name);
	}
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		(void)snprintf(table[lines++], LINE, "%s: %s", rows[i].what, outcome(rows[i].nr, rows[i].args));
}

/* Lines that differ. */
static unsigned compare(FILE *expected)
{
	char line[LINE];
	unsigned at = 0, bad = 0;

	while (fgets(line, sizeof line, expected)) {
		line[strcspn(line, "\n")] = '\0';
		if (line[0] == '#')
			continue;
		if (at >= lines || strcmp(line, table[at]) != 0) {
			printf("expected: %s\nfound:    %s\n", line, at < lines ? table[at] : "nothing");
			bad++;
		}
		at++;
	}
	if (at != lines)
		printf("the table has %u lines, the filter %u\n", at, lines);
	return bad + (at != lines);
}

int main(int argc, char **argv)
{
	const bool print = argc == 2 && strcmp(argv[1], "--print") == 0;
	FILE *expected = argc == 2 && !print ? fopen(argv[1], "re") : NULL;

#if !defined(__x86_64__) || defined(STOCKADE_SANITIZED)
	(void)puts("skipped: the table is of x86-64, without sanitizers");
	return 77;
#endif
	if (!print && !expected) {
		(void)fputs("usage: test-guard-gate-syscalls TABLE | --print\n", stderr);
		return 2;
	}
	fill_table();
	for (unsigned i = 0; print && i < lines; i++)
		(void)puts(table[i]);
	const unsigned bad = expected ? compare(expected) : 0;

	if (expected)
		(void)fclose(expected);
	return bad ? 1 : 0;
}
