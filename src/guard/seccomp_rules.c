/* What a container's program may call: one list, told to whoever makes a filter of it. Arguments that the kernel takes as int are
 * compared by their low 32 bits only: what is in the upper half must not decide. */
#include "guard/seccomp_rules.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <stddef.h>
#include <sys/personality.h>
#include <sys/socket.h>
#include <sys/stat.h>

enum {
	TYPE_MASK = 0xf,
	SET_ID = S_ISUID | S_ISGID,
	CREATES = O_CREAT | (O_TMPFILE & ~O_DIRECTORY),
};

#define LOW32          0xffffffffU
#define NEW_NAMESPACES 0x7e020000U /* CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET */
#define NEW_TIME       0x00000080U /* CLONE_NEWTIME: a signal number's bit in clone, so for unshare only */

/* What any program may call with any arguments. Grouped as people look for them. */
static const char *const allowed[] = {
	/* files */
	"access",
	"chdir",
	"chown",
	"close",
	"close_range",
	"copy_file_range",
	"dup",
	"dup2",
	"dup3",
	"faccessat",
	"faccessat2",
	"fadvise64",
	"fallocate",
	"fchdir",
	"fchown",
	"fchownat",
	"fdatasync",
	"fgetxattr",
	"flistxattr",
	"flock",
	"fremovexattr",
	"fsetxattr",
	"fstat",
	"fstatfs",
	"fsync",
	"ftruncate",
	"futimesat",
	"getcwd",
	"getdents",
	"getdents64",
	"getxattr",
	"inotify_add_watch",
	"inotify_init",
	"inotify_init1",
	"inotify_rm_watch",
	"lchown",
	"lgetxattr",
	"link",
	"linkat",
	"listxattr",
	"llistxattr",
	"lremovexattr",
	"lseek",
	"lsetxattr",
	"lstat",
	"mkdir",
	"mkdirat",
	"newfstatat",
	"pipe",
	"pipe2",
	"pread64",
	"preadv",
	"preadv2",
	"pwrite64",
	"pwritev",
	"pwritev2",
	"read",
	"readahead",
	"readlink",
	"readlinkat",
	"readv",
	"removexattr",
	"rename",
	"renameat",
	"renameat2",
	"rmdir",
	"sendfile",
	"setxattr",
	"splice",
	"stat",
	"statfs",
	"statx",
	"symlink",
	"symlinkat",
	"sync",
	"sync_file_range",
	"syncfs",
	"tee",
	"truncate",
	"umask",
	"unlink",
	"unlinkat",
	"utime",
	"utimensat",
	"utimes",
	"write",
	"writev",
	/* waiting */
	"epoll_create",
	"epoll_create1",
	"epoll_ctl",
	"epoll_pwait",
	"epoll_pwait2",
	"epoll_wait",
	"eventfd",
	"eventfd2",
	"poll",
	"ppoll",
	"pselect6",
	"select",
	"signalfd",
	"signalfd4",
	"timerfd_create",
	"timerfd_gettime",
	"timerfd_settime",
	/* memory */
	"brk",
	"madvise",
	"membarrier",
	"memfd_create",
	"mincore",
	"mlock",
	"mlock2",
	"mlockall",
	"mmap",
	"mprotect",
	"mremap",
	"msync",
	"munlock",
	"munlockall",
	"munmap",
	"pkey_alloc",
	"pkey_free",
	"pkey_mprotect",
	"process_madvise",
	"process_mrelease",
	"remap_file_pages",
	/* processes and threads */
	"arch_prctl",
	"capget",
	"capset",
	"execve",
	"execveat",
	"exit",
	"exit_group",
	"fork",
	"futex",
	"futex_waitv",
	"get_robust_list",
	"get_thread_area",
	"getegid",
	"geteuid",
	"getgid",
	"getgroups",
	"getpgid",
	"getpgrp",
	"getpid",
	"getppid",
	"getpriority",
	"getresgid",
	"getresuid",
	"getrlimit",
	"getrusage",
	"getsid",
	"gettid",
	"getuid",
	"ioprio_get",
	"ioprio_set",
	"kill",
	"landlock_add_rule",
	"landlock_create_ruleset",
	"landlock_restrict_self",
	"pidfd_open",
	"pidfd_send_signal",
	"prctl",
	"prlimit64",
	"restart_syscall",
	"rseq",
	"sched_get_priority_max",
	"sched_get_priority_min",
	"sched_getaffinity",
	"sched_getattr",
	"sched_getparam",
	"sched_getscheduler",
	"sched_rr_get_interval",
	"sched_setaffinity",
	"sched_setattr",
	"sched_setparam",
	"sched_setscheduler",
	"sched_yield",
	"seccomp",
	"set_robust_list",
	"set_thread_area",
	"set_tid_address",
	"setfsgid",
	"setfsuid",
	"setgid",
	"setgroups",
	"setpgid",
	"setpriority",
	"setregid",
	"setresgid",
	"setresuid",
	"setreuid",
	"setrlimit",
	"setsid",
	"setuid",
	"tgkill",
	"time",
	"times",
	"tkill",
	"vfork",
	"wait4",
	"waitid",
	"waitpid",
	/* signals and time */
	"alarm",
	"clock_getres",
	"clock_gettime",
	"clock_nanosleep",
	"getitimer",
	"gettimeofday",
	"nanosleep",
	"pause",
	"rt_sigaction",
	"rt_sigpending",
	"rt_sigprocmask",
	"rt_sigqueueinfo",
	"rt_sigreturn",
	"rt_sigsuspend",
	"rt_sigtimedwait",
	"rt_tgsigqueueinfo",
	"setitimer",
	"sigaltstack",
	"timer_create",
	"timer_delete",
	"timer_getoverrun",
	"timer_gettime",
	"timer_settime",
	/* between processes */
	"mq_getsetattr",
	"mq_notify",
	"mq_open",
	"mq_timedreceive",
	"mq_timedsend",
	"mq_unlink",
	"msgctl",
	"msgget",
	"msgrcv",
	"msgsnd",
	"semctl",
	"semget",
	"semop",
	"semtimedop",
	"shmat",
	"shmctl",
	"shmdt",
	"shmget",
	/* sockets, once there is one */
	"accept",
	"accept4",
	"bind",
	"connect",
	"getpeername",
	"getsockname",
	"getsockopt",
	"listen",
	"recvfrom",
	"recvmmsg",
	"recvmsg",
	"sendmmsg",
	"sendmsg",
	"sendto",
	"setsockopt",
	"shutdown",
	/* the machine */
	"getcpu",
	"getrandom",
	"ioctl",
	"sysinfo",
	"uname",
};

static const char *const for_debuggers[] = { "kcmp", "process_vm_readv", "process_vm_writev", "ptrace" };

/* Programs have a way to go on without these, if they are told that there is no such call. clone3 and openat2 have their flags and
 * mode in memory, where no filter can see them. The contexts of io_setup are one small number for the whole machine. */
static const char *const not_there[] = {
	"clone3",         "fchmodat2",
	"io_cancel",      "io_destroy",
	"io_getevents",   "io_pgetevents",
	"io_setup",       "io_submit",
	"io_uring_enter", "io_uring_register",
	"io_uring_setup", "memfd_secret",
	"openat2",        "set_mempolicy_home_node",
};

static int add_all(struct seccomp_sink *s, int error, const char *const *names, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++)
		if (s->rule(s, error, names[i], NULL, 0, err) < 0)
			return -1;
	return 0;
}

static struct scmp_arg_cmp masked(unsigned arg, uint64_t mask, uint64_t value)
{
	return (struct scmp_arg_cmp) { .arg = arg, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask, .datum_b = value };
}

static int add_masked(struct seccomp_sink *s, const char *name, unsigned arg, uint64_t mask, uint64_t value, struct err *err)
{
	const struct scmp_arg_cmp one = masked(arg, mask, value);

	return s->rule(s, 0, name, &one, 1, err);
}

static int add_sockets(struct seccomp_sink *s, struct err *err)
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
		/* Netlink knows no difference between the two types; the C library asks for this one. Protocol 0 is NETLINK_ROUTE.
		 */
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

		if (s->rule(s, 0, list[i].name, args, list[i].protocol < 0 ? 2 : 3, err) < 0)
			return -1;
	}
	return 0;
}

/* Files without set-id bits: the argument that holds the mode. A mode that is not looked at, without O_CREAT, may be anything. */
static int add_modes(struct seccomp_sink *s, struct err *err)
{
	static const struct {
		const char *name;
		unsigned mode_arg;
	} list[] = { { "chmod", 1 }, { "fchmod", 1 },  { "fchmodat", 2 }, { "creat", 1 },
		     { "mknod", 1 }, { "mknodat", 2 }, { "open", 2 },     { "openat", 3 } };

	for (size_t i = 0; i < sizeof list / sizeof *list; i++)
		if (add_masked(s, list[i].name, list[i].mode_arg, SET_ID, 0, err) < 0)
			return -1;
	return add_masked(s, "open", 1, CREATES, 0, err) < 0 || add_masked(s, "openat", 2, CREATES, 0, err) < 0 ? -1 : 0;
}

/* All but F_SETLEASE (1024), F_NOTIFY (1026) and the newer F_SETDELEG (1040): a lease, which a read-only mount does not prevent,
 * keeps a file from whoever opens it on the host, be it the pod's own list at a reload. */
static int add_fcntl(struct seccomp_sink *s, struct err *err)
{
	static const struct {
		uint32_t mask, value;
	} commands[] = {
		{ 0xfffffc00U, 0 },    /* those of POSIX */
		{ 0xffffffffU, 1025 }, /* F_GETLEASE */
		{ 0xffffffffU, 1027 }, /* F_DUPFD_QUERY */
		{ 0xfffffffcU, 1028 }, /* to F_SETPIPE_SZ */
		{ 0xfffffff8U, 1032 }, /* to F_GETDELEG */
	};

	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		if (add_masked(s, "fcntl", 1, commands[i].mask, commands[i].value, err) < 0)
			return -1;
	return 0;
}

static int add_processes(struct seccomp_sink *s, bool allow_ptrace, struct err *err)
{
	static const uint64_t personalities[] = { PER_LINUX, PER_LINUX32, UNAME26, PER_LINUX32 | UNAME26, LOW32 /* asks */ };

	if (add_masked(s, "clone", 0, NEW_NAMESPACES, 0, err) < 0 ||
	    add_masked(s, "unshare", 0, NEW_NAMESPACES | NEW_TIME, 0, err) < 0)
		return -1;
	for (size_t i = 0; i < sizeof personalities / sizeof *personalities; i++)
		if (add_masked(s, "personality", 0, LOW32, personalities[i], err) < 0)
			return -1;
	if (!allow_ptrace)
		return 0;
	/* Debuggers also want addresses that stay. */
	return add_masked(s, "personality", 0, LOW32, ADDR_NO_RANDOMIZE, err) < 0
		       ? -1
		       : add_all(s, 0, for_debuggers, sizeof for_debuggers / sizeof *for_debuggers, err);
}

int seccomp_rules_walk(struct seccomp_sink *s, bool allow_ptrace, struct err *err)
{
	return add_all(s, 0, allowed, sizeof allowed / sizeof *allowed, err) < 0 ||
			       add_all(s, ENOSYS, not_there, sizeof not_there / sizeof *not_there, err) < 0 ||
			       add_sockets(s, err) < 0 || add_modes(s, err) < 0 || add_fcntl(s, err) < 0 ||
			       add_processes(s, allow_ptrace, err) < 0
		       ? -1
		       : 0;
}
