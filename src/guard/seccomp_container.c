/* The container's system-call filter: two programs, the kernel obeys the stricter answer.
 * The first is an allow-list, anything else is EPERM. libseccomp lets a rule without conditions swallow those with conditions, so
 * exceptions from an allowed call are a second program, which allows all but them. Arguments that the kernel takes as int are compared by
 * their low 32 bits only: what is in the upper half must not decide. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "guard/guard.h"

enum {
	TYPE_MASK = 0xf,
	SET_ID = S_ISUID | S_ISGID,
	CREATES = O_CREAT | (O_TMPFILE & ~O_DIRECTORY),
	/* The first system call that came after the list below was written, and one past the last number that is answered ENOSYS: a
	 * program that tries a newer call falls back, as on an older kernel. */
	NEWER_FROM = 451,
	NEWER_TO = 512,
};

#define LOW32           0xffffffffU
#define NEW_NAMESPACES  0x7e020000U /* CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET */
#define NEW_TIME        0x00000080U /* CLONE_NEWTIME: a signal number's bit in clone, so for unshare only */

/* What any program may call with any arguments. Grouped as people look for them. */
static const char *const allowed[] = {
	/* files */
	"access", "chdir", "chown", "close", "close_range", "copy_file_range", "dup", "dup2", "dup3", "faccessat", "faccessat2", "fadvise64",
	"fallocate", "fchdir", "fchown", "fchownat", "fcntl", "fdatasync", "fgetxattr", "flistxattr", "flock", "fremovexattr", "fsetxattr",
	"fstat", "fstatfs", "fsync", "ftruncate", "futimesat", "getcwd", "getdents", "getdents64", "getxattr", "inotify_add_watch",
	"inotify_init", "inotify_init1", "inotify_rm_watch", "lchown", "lgetxattr", "link", "linkat", "listxattr", "llistxattr",
	"lremovexattr", "lseek", "lsetxattr", "lstat", "mkdir", "mkdirat", "newfstatat", "pipe", "pipe2", "pread64", "preadv", "preadv2",
	"pwrite64", "pwritev", "pwritev2", "read", "readahead", "readlink", "readlinkat", "readv", "removexattr", "rename", "renameat",
	"renameat2", "rmdir", "sendfile", "setxattr", "splice", "stat", "statfs", "statx", "symlink", "symlinkat", "sync",
	"sync_file_range", "syncfs", "tee", "truncate", "umask", "unlink", "unlinkat", "utime", "utimensat", "utimes", "write", "writev",
	/* asynchronous files (not io_uring) */
	"io_cancel", "io_destroy", "io_getevents", "io_pgetevents", "io_setup", "io_submit",
	/* waiting */
	"epoll_create", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd", "eventfd2", "poll", "ppoll",
	"pselect6", "select", "signalfd", "signalfd4", "timerfd_create", "timerfd_gettime", "timerfd_settime",
	/* memory */
	"brk", "madvise", "membarrier", "memfd_create", "mincore", "mlock", "mlock2", "mlockall", "mmap", "mprotect", "mremap", "msync",
	"munlock", "munlockall", "munmap", "pkey_alloc", "pkey_free", "pkey_mprotect", "process_madvise", "process_mrelease",
	"remap_file_pages",
	/* processes and threads */
	"arch_prctl", "capget", "capset", "execve", "execveat", "exit", "exit_group", "fork", "futex", "futex_waitv", "get_robust_list",
	"get_thread_area", "getegid", "geteuid", "getgid", "getgroups", "getpgid", "getpgrp", "getpid", "getppid", "getpriority",
	"getresgid", "getresuid", "getrlimit", "getrusage", "getsid", "gettid", "getuid", "ioprio_get", "ioprio_set", "kill",
	"landlock_add_rule", "landlock_create_ruleset", "landlock_restrict_self", "pidfd_open", "pidfd_send_signal", "prctl", "prlimit64",
	"restart_syscall", "rseq", "sched_get_priority_max", "sched_get_priority_min", "sched_getaffinity", "sched_getattr",
	"sched_getparam", "sched_getscheduler", "sched_rr_get_interval", "sched_setaffinity", "sched_setattr", "sched_setparam",
	"sched_setscheduler", "sched_yield", "seccomp", "set_robust_list", "set_thread_area", "set_tid_address", "setfsgid", "setfsuid",
	"setgid", "setgroups", "setpgid", "setpriority", "setregid", "setresgid", "setresuid", "setreuid", "setrlimit", "setsid", "setuid",
	"tgkill", "time", "times", "tkill", "vfork", "wait4", "waitid", "waitpid",
	/* signals and time */
	"alarm", "clock_getres", "clock_gettime", "clock_nanosleep", "getitimer", "gettimeofday", "nanosleep", "pause", "rt_sigaction",
	"rt_sigpending", "rt_sigprocmask", "rt_sigqueueinfo", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait", "rt_tgsigqueueinfo",
	"setitimer", "sigaltstack", "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime", "timer_settime",
	/* between processes */
	"mq_getsetattr", "mq_notify", "mq_open", "mq_timedreceive", "mq_timedsend", "mq_unlink", "msgctl", "msgget", "msgrcv", "msgsnd",
	"semctl", "semget", "semop", "semtimedop", "shmat", "shmctl", "shmdt", "shmget",
	/* sockets, once there is one */
	"accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen", "recvfrom", "recvmmsg", "recvmsg",
	"sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown",
	/* the machine */
	"getcpu", "getrandom", "ioctl", "sysinfo", "uname",
};

static const char *const for_debuggers[] = { "kcmp", "process_vm_readv", "process_vm_writev", "ptrace" };

/* Programs have a way to go on without these, if they are told that there is no such call. clone3 and openat2 have their flags and mode in
 * memory, where no filter can see them. */
static const char *const not_there[] = { "clone3",        "fchmodat2",        "io_uring_enter", "io_uring_register",
					 "io_uring_setup", "memfd_secret",    "openat2",        "set_mempolicy_home_node" };

static int rule_failed(struct err *err, const char *name, int rc)
{
	errno = -rc;
	return err_errno(err, "cannot write the system-call filter's rule for %s", name);
}

/* Names that this libseccomp or this architecture does not know are not in the list, and so refused. */
static int add(scmp_filter_ctx c, uint32_t action, const char *name, const struct scmp_arg_cmp *args, unsigned count, struct err *err)
{
	const int nr = seccomp_syscall_resolve_name(name);

	if (nr == __NR_SCMP_ERROR || nr < 0)
		return 0;
	const int rc = seccomp_rule_add_array(c, action, nr, count, args);

	return rc < 0 ? rule_failed(err, name, rc) : 0;
}

static int add_all(scmp_filter_ctx c, uint32_t action, const char *const *names, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++)
		if (add(c, action, names[i], NULL, 0, err) < 0)
			return -1;
	return 0;
}

static struct scmp_arg_cmp masked(unsigned arg, uint64_t mask, uint64_t value)
{
	return (struct scmp_arg_cmp) { .arg = arg, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value };
}

static int add_masked(scmp_filter_ctx c, uint32_t action, const char *name, unsigned arg, uint64_t mask, uint64_t value, struct err *err)
{
	const struct scmp_arg_cmp one = masked(arg, mask, value);

	return add(c, action, name, &one, 1, err);
}

static int add_sockets(scmp_filter_ctx c, struct err *err)
{
	/* Family, type and, unless -1, protocol. */
	static const struct {
		const char *name;
		int family, type, protocol;
	} list[] = {
		{ "socket", AF_UNIX, SOCK_STREAM, -1 },
		{ "socket", AF_UNIX, SOCK_DGRAM, -1 },
		{ "socket", AF_UNIX, SOCK_SEQPACKET, -1 },
		{ "socket", AF_INET, SOCK_STREAM, 0 },
		{ "socket", AF_INET, SOCK_STREAM, 6 },
		{ "socket", AF_INET, SOCK_DGRAM, 0 },
		{ "socket", AF_INET, SOCK_DGRAM, 17 },
		{ "socket", AF_INET6, SOCK_STREAM, 0 },
		{ "socket", AF_INET6, SOCK_STREAM, 6 },
		{ "socket", AF_INET6, SOCK_DGRAM, 0 },
		{ "socket", AF_INET6, SOCK_DGRAM, 17 },
		/* Netlink knows no difference between the two types; the C library asks for this one. Protocol 0 is NETLINK_ROUTE. */
		{ "socket", AF_NETLINK, SOCK_RAW, 0 },
		{ "socket", AF_NETLINK, SOCK_DGRAM, 0 },
		{ "socketpair", AF_UNIX, SOCK_STREAM, -1 },
		{ "socketpair", AF_UNIX, SOCK_DGRAM, -1 },
		{ "socketpair", AF_UNIX, SOCK_SEQPACKET, -1 },
	};

	for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
		const struct scmp_arg_cmp args[] = {
			masked(0, LOW32, (uint64_t)list[i].family),
			masked(1, TYPE_MASK, (uint64_t)list[i].type),
			masked(2, LOW32, (uint64_t)(list[i].protocol < 0 ? 0 : list[i].protocol)),
		};

		if (add(c, SCMP_ACT_ALLOW, list[i].name, args, list[i].protocol < 0 ? 2 : 3, err) < 0)
			return -1;
	}
	return 0;
}

/* Files without set-id bits: the argument that holds the mode. A mode that is not looked at, without O_CREAT, may be anything. */
static int add_modes(scmp_filter_ctx c, struct err *err)
{
	static const struct {
		const char *name;
		unsigned mode_arg;
	} list[] = { { "chmod", 1 },  { "fchmod", 1 },   { "fchmodat", 2 }, { "creat", 1 },
		     { "mknod", 1 },  { "mknodat", 2 }, { "open", 2 },     { "openat", 3 } };

	for (size_t i = 0; i < sizeof list / sizeof *list; i++)
		if (add_masked(c, SCMP_ACT_ALLOW, list[i].name, list[i].mode_arg, SET_ID, 0, err) < 0)
			return -1;
	return add_masked(c, SCMP_ACT_ALLOW, "open", 1, CREATES, 0, err) < 0 ||
			       add_masked(c, SCMP_ACT_ALLOW, "openat", 2, CREATES, 0, err) < 0
		       ? -1
		       : 0;
}

static int add_processes(scmp_filter_ctx c, bool allow_ptrace, struct err *err)
{
	static const uint64_t personalities[] = { PER_LINUX, PER_LINUX32, UNAME26, PER_LINUX32 | UNAME26, LOW32 /* asks */ };

	if (add_masked(c, SCMP_ACT_ALLOW, "clone", 0, NEW_NAMESPACES, 0, err) < 0 ||
	    add_masked(c, SCMP_ACT_ALLOW, "unshare", 0, NEW_NAMESPACES | NEW_TIME, 0, err) < 0)
		return -1;
	for (size_t i = 0; i < sizeof personalities / sizeof *personalities; i++)
		if (add_masked(c, SCMP_ACT_ALLOW, "personality", 0, LOW32, personalities[i], err) < 0)
			return -1;
	if (!allow_ptrace)
		return 0;
	/* Debuggers also want addresses that stay. */
	return add_masked(c, SCMP_ACT_ALLOW, "personality", 0, LOW32, ADDR_NO_RANDOMIZE, err) < 0
		       ? -1
		       : add_all(c, SCMP_ACT_ALLOW, for_debuggers, sizeof for_debuggers / sizeof *for_debuggers, err);
}

static int add_newer(scmp_filter_ctx c, struct err *err)
{
	for (int nr = NEWER_FROM; nr < NEWER_TO; nr++) {
		const int rc = seccomp_rule_add(c, SCMP_ACT_ERRNO(ENOSYS), nr, 0);

		if (rc < 0)
			return rule_failed(err, "newer calls", rc);
	}
	return 0;
}

static int write_allow_list(scmp_filter_ctx c, bool allow_ptrace, struct err *err)
{
	return add_all(c, SCMP_ACT_ALLOW, allowed, sizeof allowed / sizeof *allowed, err) < 0 ||
			       add_all(c, SCMP_ACT_ERRNO(ENOSYS), not_there, sizeof not_there / sizeof *not_there, err) < 0 ||
			       add_sockets(c, err) < 0 || add_modes(c, err) < 0 || add_processes(c, allow_ptrace, err) < 0 ||
			       add_newer(c, err) < 0
		       ? -1
		       : 0;
}

/* Typing on somebody else's terminal. */
static int write_exceptions(scmp_filter_ctx c, bool allow_ptrace, struct err *err)
{
	static const uint64_t requests[] = { TIOCSTI, TIOCLINUX };

	for (size_t i = 0; i < sizeof requests / sizeof *requests; i++)
		if (add_masked(c, SCMP_ACT_ERRNO(EPERM), "ioctl", 1, LOW32, requests[i], err) < 0)
			return -1;
	return 0;
}

struct program {
	struct sock_fprog code; /* len 0: not compiled yet */
};

static int export(scmp_filter_ctx c, struct program *ret, struct err *err)
{
	FD_CLOSE int fd = memfd_create("filter", MFD_CLOEXEC);
	struct stat st;

	if (fd < 0 || seccomp_export_bpf(c, fd) < 0 || fstat(fd, &st) < 0)
		return err_errno(err, "cannot compile the system-call filter");
	const size_t count = (size_t)st.st_size / sizeof(struct sock_filter);

	if (count == 0 || count > BPF_MAXINSNS)
		return err_set(err, ERR_FAULT, "the system-call filter has %zu instructions", count);
	struct sock_filter *code = malloc(count * sizeof *code);

	if (!code || pread(fd, code, count * sizeof *code, 0) != (ssize_t)(count * sizeof *code)) {
		free(code);
		return err_set(err, ERR_FAULT, "cannot read the compiled system-call filter");
	}
	ret->code = (struct sock_fprog) { .len = (unsigned short)count, .filter = code };
	return 0;
}

static int compile(uint32_t default_action, int (*write)(scmp_filter_ctx c, bool allow_ptrace, struct err *err), bool allow_ptrace,
		   struct program *ret, struct err *err)
{
	scmp_filter_ctx c = seccomp_init(default_action);
	int rc = -1;

	if (!c)
		return err_set(err, ERR_FAULT, "out of memory for the system-call filter");
	if (seccomp_attr_set(c, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS) < 0 ||
	    seccomp_attr_set(c, SCMP_FLTATR_CTL_OPTIMIZE, 2) < 0)
		(void)err_set(err, ERR_FAULT, "libseccomp does not know the attributes that the filter needs");
	else if (write(c, allow_ptrace, err) == 0)
		rc = export(c, ret, err);
	seccomp_release(c);
	return rc;
}

/* Compiled once in a process; children inherit it. */
static struct program allow_lists[2], exceptions;

int guard_seccomp_prepare(bool allow_ptrace, struct err *err)
{
	struct program *list = &allow_lists[allow_ptrace];

	if (!list->code.len && compile(SCMP_ACT_ERRNO(EPERM), write_allow_list, allow_ptrace, list, err) < 0)
		return -1;
	if (!exceptions.code.len && compile(SCMP_ACT_ALLOW, write_exceptions, false, &exceptions, err) < 0)
		return -1;
	return 0;
}

int guard_seccomp_container(bool allow_ptrace, struct err *err)
{
	if (guard_seccomp_prepare(allow_ptrace, err) < 0)
		return -1;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &exceptions.code) < 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &allow_lists[allow_ptrace].code) < 0)
		return err_errno(err, "cannot put on the system-call filter");
	return 0;
}
