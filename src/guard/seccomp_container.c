/* The container's system-call filter: two programs, the kernel obeys the stricter answer. And one for OCI runtimes and all that they
 * start, below whatever filter they make themselves.
 * The first is an allow-list, anything else is EPERM. libseccomp lets a rule without conditions swallow those with conditions, so
 * exceptions from an allowed call are a second program, which allows all but them. */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "guard/guard.h"
#include "guard/seccomp_rules.h"

enum {
	/* The first system call that came after the list below was written, and one past the last number that is answered ENOSYS: a
	 * program that tries a newer call falls back, as on an older kernel. */
	NEWER_FROM = 451,
	NEWER_TO = 512,
	NR_FCHMODAT2 = 452, /* on every architecture; newer than libseccomp 2.5.4 */
	UNNAMED = O_TMPFILE & ~O_DIRECTORY,
};

#define MASKED(arg, mask, value)                     \
	{                                            \
		arg, SCMP_CMP_MASKED_EQ, mask, value \
	}
#define INT(arg, value) MASKED(arg, 0xffffffffU, value)
#define BITS(arg, bits) MASKED(arg, bits, bits)

static int rule_failed(struct err *err, const char *name, int rc)
{
	errno = -rc;
	return err_errno(err, "cannot write the system-call filter's rule for %s", name);
}

struct compiler {
	struct seccomp_sink sink;
	scmp_filter_ctx c;
};

/* Names that this libseccomp or this architecture does not know are not in the filter, and so refused. */
static int add_rule(struct seccomp_sink *s, int error, const char *name, const struct scmp_arg_cmp *args, unsigned count,
		    struct err *err)
{
	const struct compiler *compiler = (struct compiler *)s; /* its first member */
	const int nr = seccomp_syscall_resolve_name(name);

	if (nr == __NR_SCMP_ERROR || nr < 0)
		return 0;
	const int rc =
		seccomp_rule_add_array(compiler->c, error ? SCMP_ACT_ERRNO((unsigned)error) : SCMP_ACT_ALLOW, nr, count, args);

	return rc < 0 ? rule_failed(err, name, rc) : 0;
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
	struct compiler compiler = { { add_rule }, c };

	return seccomp_rules_walk(&compiler.sink, allow_ptrace, err) < 0 || add_newer(c, err) < 0 ? -1 : 0;
}

struct exception {
	int number, nr;
	unsigned count;
	struct scmp_arg_cmp args[2];
};

static int add_exceptions(scmp_filter_ctx c, const struct exception *list, size_t count, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		const int rc = seccomp_rule_add_array(c, SCMP_ACT_ERRNO((unsigned)list[i].number), list[i].nr, list[i].count,
						      list[i].args);

		if (rc < 0)
			return rule_failed(err, "an exception", rc);
	}
	return 0;
}

/* The core limit of 1 stays: with it, and with no other, the kernel does not start the host's core_pattern program for a crash in
 * here. Whoever sets another is told that it is done: a shell's "ulimit -c 0" must not fail. */
static int write_exceptions(scmp_filter_ctx c, bool allow_ptrace, struct err *err)
{
	static const struct exception list[] = {
		/* typing on somebody else's terminal, and line disciplines that are no terminal's */
		{ EPERM, SCMP_SYS(ioctl), 1, { INT(1, TIOCSTI) } },
		{ EPERM, SCMP_SYS(ioctl), 1, { INT(1, TIOCLINUX) } },
		{ EPERM, SCMP_SYS(ioctl), 1, { INT(1, TIOCSETD) } },
		/* protocols on top of TCP: modules of the kernel that nobody needs in here */
		{ ENOPROTOOPT, SCMP_SYS(setsockopt), 2, { INT(1, IPPROTO_TCP), INT(2, TCP_ULP) } },
		{ 0, SCMP_SYS(setrlimit), 1, { INT(0, RLIMIT_CORE) } },
		{ 0, SCMP_SYS(prlimit64), 2, { INT(1, RLIMIT_CORE), { 2, SCMP_CMP_NE, 0, 0 } } },
	};

	return add_exceptions(c, list, sizeof list / sizeof *list, err);
}

/* Families below AF_NETLINK that no runtime needs: each may load a module of the kernel. Those above are refused by one rule. */
static int refuse_families(scmp_filter_ctx c, struct err *err)
{
	for (int family = AF_INET + 1; family < AF_NETLINK; family++) {
		const struct exception one = { EPERM, SCMP_SYS(socket), 1, { INT(0, (uint64_t)family) } };

		if (family != AF_INET6 && add_exceptions(c, &one, 1, err) < 0)
			return -1;
	}
	return 0;
}

/* What a runtime, which makes mounts and namespaces, can do without, and so everything that it starts, whatever filter it gives that:
 * nothing may leave a file on a volume that is set-uid, and root's, to the host; no way around this very filter; no socket that the
 * pod's network namespace does not hold. */
static int write_runtime(scmp_filter_ctx c, bool allow_ptrace, struct err *err)
{
	static const struct exception list[] = {
		{ EPERM, SCMP_SYS(chmod), 1, { BITS(1, S_ISUID) } },
		{ EPERM, SCMP_SYS(chmod), 1, { BITS(1, S_ISGID) } },
		{ EPERM, SCMP_SYS(fchmod), 1, { BITS(1, S_ISUID) } },
		{ EPERM, SCMP_SYS(fchmod), 1, { BITS(1, S_ISGID) } },
		{ EPERM, SCMP_SYS(fchmodat), 1, { BITS(2, S_ISUID) } },
		{ EPERM, SCMP_SYS(fchmodat), 1, { BITS(2, S_ISGID) } },
		{ EPERM, SCMP_SYS(creat), 1, { BITS(1, S_ISUID) } },
		{ EPERM, SCMP_SYS(creat), 1, { BITS(1, S_ISGID) } },
		{ EPERM, SCMP_SYS(mknod), 1, { BITS(1, S_ISUID) } },
		{ EPERM, SCMP_SYS(mknod), 1, { BITS(1, S_ISGID) } },
		{ EPERM, SCMP_SYS(mknodat), 1, { BITS(2, S_ISUID) } },
		{ EPERM, SCMP_SYS(mknodat), 1, { BITS(2, S_ISGID) } },
		{ EPERM, SCMP_SYS(open), 2, { BITS(1, O_CREAT), BITS(2, S_ISUID) } },
		{ EPERM, SCMP_SYS(open), 2, { BITS(1, O_CREAT), BITS(2, S_ISGID) } },
		{ EPERM, SCMP_SYS(open), 2, { BITS(1, UNNAMED), BITS(2, S_ISUID) } },
		{ EPERM, SCMP_SYS(open), 2, { BITS(1, UNNAMED), BITS(2, S_ISGID) } },
		{ EPERM, SCMP_SYS(openat), 2, { BITS(2, O_CREAT), BITS(3, S_ISUID) } },
		{ EPERM, SCMP_SYS(openat), 2, { BITS(2, O_CREAT), BITS(3, S_ISGID) } },
		{ EPERM, SCMP_SYS(openat), 2, { BITS(2, UNNAMED), BITS(3, S_ISUID) } },
		{ EPERM, SCMP_SYS(openat), 2, { BITS(2, UNNAMED), BITS(3, S_ISGID) } },
		/* their mode is in memory, or in a ring that no filter sees */
		{ ENOSYS, SCMP_SYS(openat2), 0, { { 0 } } },
		{ ENOSYS, NR_FCHMODAT2, 0, { { 0 } } },
		{ ENOSYS, SCMP_SYS(io_uring_setup), 0, { { 0 } } },
		/* to the host of a virtual machine, to the kernel's ciphers, to packets as they are, and whatever comes after */
		{ EPERM, SCMP_SYS(socket), 1, { { 0, SCMP_CMP_GT, AF_NETLINK, 0 } } },
	};

	return write_exceptions(c, allow_ptrace, err) < 0 || refuse_families(c, err) < 0
		       ? -1
		       : add_exceptions(c, list, sizeof list / sizeof *list, err);
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
static struct program allow_lists[2], exceptions, for_runtime;

int guard_seccomp_prepare(bool allow_ptrace, struct err *err)
{
	struct program *list = &allow_lists[allow_ptrace];

	if (!list->code.len && compile(SCMP_ACT_ERRNO(EPERM), write_allow_list, allow_ptrace, list, err) < 0)
		return -1;
	if (!exceptions.code.len && compile(SCMP_ACT_ALLOW, write_exceptions, false, &exceptions, err) < 0)
		return -1;
	return 0;
}

static int put_on(struct program *p, struct err *err)
{
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p->code) < 0
		       ? err_errno(err, "cannot put on the system-call filter")
		       : 0;
}

int guard_seccomp_prepare_runtime(struct err *err)
{
	return for_runtime.code.len ? 0 : compile(SCMP_ACT_ALLOW, write_runtime, false, &for_runtime, err);
}

int guard_seccomp_runtime(struct err *err)
{
	return guard_seccomp_prepare_runtime(err) < 0 ? -1 : put_on(&for_runtime, err);
}

int guard_seccomp_container(bool allow_ptrace, struct err *err)
{
	if (guard_seccomp_prepare(allow_ptrace, err) < 0)
		return -1;
	return put_on(&exceptions, err) < 0 ? -1 : put_on(&allow_lists[allow_ptrace], err);
}
