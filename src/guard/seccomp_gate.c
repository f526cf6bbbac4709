/* The gate's system-call filter: epoll, sockets, splice, threads and what the C library does behind one's back; nothing that names a
 * file, makes a process or maps code, and nothing that the gate's code does not call (tests/unit/guard/gate_calls.py). */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "guard/guard.h"

#ifdef STOCKADE_SANITIZED
/* The sanitizers' runtimes open, clone and map as they please. Forbidden calls go to the audit log there instead. */
#define FORBIDDEN SCMP_ACT_LOG
#else
#define FORBIDDEN SCMP_ACT_KILL_PROCESS
#endif

static const int allowed[] = {
	/* the loop */
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(eventfd2),

	/* files that are open already */
	SCMP_SYS(read),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(close),
	SCMP_SYS(dup),
	SCMP_SYS(fcntl),
	SCMP_SYS(fstat),
	SCMP_SYS(pipe2),
	SCMP_SYS(splice),
	/* sockets, once there is one */
	SCMP_SYS(accept4),
	SCMP_SYS(bind),
	SCMP_SYS(connect),
	SCMP_SYS(getsockname),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(recvfrom),
	SCMP_SYS(recvmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(sendmsg),
	SCMP_SYS(shutdown),
	/* memory */
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	/* threads, signals, time */
	SCMP_SYS(futex),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(membarrier),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(getpid),
	SCMP_SYS(gettid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigtimedwait),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday),
	/* the machine */
	SCMP_SYS(getrandom),
	SCMP_SYS(uname),
};

#ifndef STOCKADE_SANITIZED
/* Libraries look for files (time zone, resolver, overcommit) and can live without; flags in memory cannot be judged. */
static const struct {
	int nr, number;
} refused[] = {
	{ SCMP_SYS(open), EACCES },     { SCMP_SYS(openat), EACCES },     { SCMP_SYS(openat2), ENOSYS },
	{ SCMP_SYS(access), EACCES },   { SCMP_SYS(faccessat), EACCES },  { SCMP_SYS(faccessat2), EACCES },
	{ SCMP_SYS(stat), EACCES },     { SCMP_SYS(lstat), EACCES },      { SCMP_SYS(statx), EACCES },
	{ SCMP_SYS(readlink), EACCES }, { SCMP_SYS(readlinkat), EACCES }, { SCMP_SYS(clone3), ENOSYS },
	{ SCMP_SYS(prctl), EPERM }, /* names of threads */
};
#endif

struct condition {
	int nr;
	unsigned count;
	struct scmp_arg_cmp args[3];
};

#define INT(arg, value)                                     \
	{                                                   \
		arg, SCMP_CMP_MASKED_EQ, 0xffffffffU, value \
	}
#define BITS(arg, mask, value)                       \
	{                                            \
		arg, SCMP_CMP_MASKED_EQ, mask, value \
	}

static const struct condition conditions[] = {
	/* TCP and UDP, by either spelling: neither MPTCP nor SCTP nor ICMP */
	{ SCMP_SYS(socket), 3, { INT(0, AF_INET), BITS(1, 0xf, SOCK_STREAM), INT(2, 0) } },
	{ SCMP_SYS(socket), 3, { INT(0, AF_INET), BITS(1, 0xf, SOCK_STREAM), INT(2, IPPROTO_TCP) } },
	{ SCMP_SYS(socket), 3, { INT(0, AF_INET), BITS(1, 0xf, SOCK_DGRAM), INT(2, 0) } },
	{ SCMP_SYS(socket), 3, { INT(0, AF_INET), BITS(1, 0xf, SOCK_DGRAM), INT(2, IPPROTO_UDP) } },
	{ SCMP_SYS(socket), 3, { INT(0, AF_INET6), BITS(1, 0xf, SOCK_STREAM), INT(2, 0) } },
	{ SCMP_SYS(socket), 3, { INT(0, AF_INET6), BITS(1, 0xf, SOCK_STREAM), INT(2, IPPROTO_TCP) } },
	{ SCMP_SYS(socket), 3, { INT(0, AF_INET6), BITS(1, 0xf, SOCK_DGRAM), INT(2, 0) } },
	{ SCMP_SYS(socket), 3, { INT(0, AF_INET6), BITS(1, 0xf, SOCK_DGRAM), INT(2, IPPROTO_UDP) } },
	{ SCMP_SYS(mmap), 1, { BITS(2, PROT_EXEC, 0) } },
	{ SCMP_SYS(mprotect), 1, { BITS(2, PROT_EXEC, 0) } },
	/* a thread of this process, no other kind of child */
	{ SCMP_SYS(clone), 1, { BITS(0, CLONE_THREAD | CLONE_VM | CLONE_NEWUSER, CLONE_THREAD | CLONE_VM) } },
	/* fstat, as the C library spells it */
	{ SCMP_SYS(newfstatat), 1, { BITS(3, AT_EMPTY_PATH, AT_EMPTY_PATH) } },
};

static int add(scmp_filter_ctx c, uint32_t action, int nr, unsigned count, const struct scmp_arg_cmp *args, struct err *err)
{
	if (nr < 0)
		return 0; /* a call that this architecture does not have */
	const int rc = seccomp_rule_add_array(c, action, nr, count, args);

	if (rc == 0)
		return 0;
	errno = -rc;
	return err_errno(err, "cannot write the gate's filter for system call %d", nr);
}

static int write_filter(scmp_filter_ctx c, struct err *err)
{
	for (size_t i = 0; i < sizeof allowed / sizeof *allowed; i++)
		if (add(c, SCMP_ACT_ALLOW, allowed[i], 0, NULL, err) < 0)
			return -1;
	for (size_t i = 0; i < sizeof conditions / sizeof *conditions; i++)
		if (add(c, SCMP_ACT_ALLOW, conditions[i].nr, conditions[i].count, conditions[i].args, err) < 0)
			return -1;
#ifndef STOCKADE_SANITIZED
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
		if (add(c, SCMP_ACT_ERRNO((uint32_t)refused[i].number), refused[i].nr, 0, NULL, err) < 0)
			return -1;
	if (add(c, SCMP_ACT_ERRNO(EPERM), SCMP_SYS(tgkill), 0, NULL, err) < 0)
		return -1;
#endif
	return 0;
}

int guard_seccomp_gate(struct err *err)
{
	scmp_filter_ctx c = seccomp_init(FORBIDDEN);

	if (!c)
		return err_set(err, ERR_FAULT, "out of memory for the gate's system-call filter");
	int rc = 0;

	if (seccomp_attr_set(c, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) < 0 ||
	    seccomp_attr_set(c, SCMP_FLTATR_CTL_TSYNC, 1) < 0 || seccomp_attr_set(c, SCMP_FLTATR_CTL_OPTIMIZE, 2) < 0)
		rc = err_set(err, ERR_FAULT, "libseccomp does not know the attributes that the gate's filter needs");
	else if (write_filter(c, err) < 0)
		rc = -1;
	else if ((rc = seccomp_load(c)) < 0) {
		errno = -rc;
		rc = err_errno(err, "cannot put on the gate's system-call filter");
	}
	seccomp_release(c);
	return rc;
}
