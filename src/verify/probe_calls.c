#include "verify/probe_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "verify/netlink.h"
#include "verify/prober.h"

struct attempt {
	const struct call_case *c;
	struct view *v;
};

static int make_attempt(void *arg)
{
	const struct attempt *a = arg;

	/* In the open it may succeed: not for others. */
	if (!a->v->subject && (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0))
		return errno;
	return a->c->attempt(a->c, a->v);
}

/* What a kernel without the thing answers to everybody. */
static bool not_in_kernel(int error)
{
	switch (error) {
	case ENOSYS:
	case EAFNOSUPPORT:
	case EPROTONOSUPPORT:
	case ESOCKTNOSUPPORT:
	case EOPNOTSUPP:
	case ENODEV:
	case ENOENT:
	case EROFS:
		return true;
	default:
		return false;
	}
}

void calls_look(struct view *v, const struct probe *p, struct finding *f)
{
	struct attempt a = { p->data, v };
	const char *excuse = !v->subject ? NULL : v->scene->podman ? a.c->podman : v->scene->runtime ? a.c->runtime : NULL;
	const int rc = prober_attempt(make_attempt, &a);

	if (rc == 0 && excuse)
		finding_set(f, SIGHT_ABSENT, "%s", excuse);
	else if (rc == 0)
		finding_set(f, SIGHT_THROUGH, "it succeeded");
	else if (rc < 0)
		finding_set(f, rc == -SIGSYS ? SIGHT_HELD : SIGHT_UNCLEAR, "ended by signal %d", -rc);
	else if (!v->subject && not_in_kernel(rc))
		finding_set(f, SIGHT_ABSENT, "this host does not have it: %s", strerror(rc));
	else
		finding_set(f, SIGHT_HELD, "%s", strerror(rc));
}

/* A call's -1 as errno, and its descriptor closed. */
static int opened(long fd)
{
	if (fd < 0)
		return errno;
	(void)close((int)fd);
	return 0;
}

static int done(long rc)
{
	return rc < 0 ? errno : 0;
}

int call_socket(const struct call_case *c, struct view *v)
{
	return opened(socket(c->a, c->b, c->c));
}

int call_ping_socket(const struct call_case *c, struct view *v)
{
	(void)fd_write_file("/proc/sys/net/ipv4/ping_group_range", "0 65535");
	return opened(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));
}

int call_link_add(const struct call_case *c, struct view *v)
{
	return netlink_link_add();
}

int call_address_add(const struct call_case *c, struct view *v)
{
	return netlink_address_add("lo");
}

/* The route goes, in the open, from a namespace that nobody else uses. */
int call_route_delete(const struct call_case *c, struct view *v)
{
	return netlink_route_delete();
}

int call_nft_flush(const struct call_case *c, struct view *v)
{
	return netlink_nft_flush();
}

int call_transparent(const struct call_case *c, struct view *v)
{
	FD_CLOSE int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const int one = 1;

	return fd < 0 ? errno : done(setsockopt(fd, SOL_IP, IP_TRANSPARENT, &one, sizeof one));
}

int call_unshare(const struct call_case *c, struct view *v)
{
	return done(unshare(c->a));
}

int call_clone(const struct call_case *c, struct view *v)
{
	const long pid = syscall(SYS_clone, c->a | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0)
		_exit(0);
	if (pid < 0)
		return errno;
	(void)waitpid((pid_t)pid, NULL, 0);
	return 0;
}

int call_setns(const struct call_case *c, struct view *v)
{
	FD_CLOSE int fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? errno : done(setns(fd, CLONE_NEWNET));
}

int call_mount(const struct call_case *c, struct view *v)
{
	return done(mount("none", "/tmp", "tmpfs", 0, NULL));
}

int call_fsopen(const struct call_case *c, struct view *v)
{
	return opened(syscall(SYS_fsopen, "tmpfs", 0));
}

int call_open_tree(const struct call_case *c, struct view *v)
{
	return opened(syscall(SYS_open_tree, AT_FDCWD, "/", 1 /* OPEN_TREE_CLONE */));
}

int call_chroot(const struct call_case *c, struct view *v)
{
	return done(chroot("/tmp"));
}

int call_io_uring(const struct call_case *c, struct view *v)
{
	uint64_t parameters[32] = { 0 };

	return opened(syscall(SYS_io_uring_setup, 4, parameters));
}

int call_bpf(const struct call_case *c, struct view *v)
{
	union bpf_attr map = { .map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1 };

	return opened(syscall(SYS_bpf, BPF_MAP_CREATE, &map, sizeof map));
}

int call_keyctl(const struct call_case *c, struct view *v)
{
	return done(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL));
}

/* A child of its own is the easiest prey. */
static int with_child(int (*attack)(pid_t pid, const void *address), const void *address)
{
	const pid_t pid = fork();

	if (pid == 0) {
		(void)pause();
		_exit(0);
	}
	if (pid < 0)
		return errno;
	const int rc = attack(pid, address);

	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
	return rc;
}

static int seize(pid_t pid, const void *address)
{
	return done(ptrace(PTRACE_SEIZE, pid, NULL, NULL));
}

static int read_from(pid_t pid, const void *address)
{
	char byte;
	const struct iovec here = { &byte, 1 };
	struct iovec there = { .iov_len = 1 };

	memcpy(&there.iov_base, &address, sizeof address);
	return done(process_vm_readv(pid, &here, 1, &there, 1, 0));
}

static int open_memory(pid_t pid, const void *address)
{
	char path[64];

	(void)snprintf(path, sizeof path, "/proc/%d/mem", pid);
	return opened(open(path, O_RDONLY | O_CLOEXEC));
}

/* The container's first process; outside, where process 1 is the machine's, a child has to do. */
int call_pid1_memory(const struct call_case *c, struct view *v)
{
	return v->subject ? open_memory(1, NULL) : with_child(open_memory, NULL);
}

int call_ptrace(const struct call_case *c, struct view *v)
{
	return with_child(seize, NULL);
}

int call_read_memory(const struct call_case *c, struct view *v)
{
	return with_child(read_from, c);
}

int call_perf(const struct call_case *c, struct view *v)
{
	struct perf_event_attr event = { .type = PERF_TYPE_SOFTWARE, .size = sizeof event, .config = PERF_COUNT_SW_DUMMY };

	return opened(syscall(SYS_perf_event_open, &event, 0, -1, -1, 0));
}

int call_userfaultfd(const struct call_case *c, struct view *v)
{
	return opened(syscall(SYS_userfaultfd, O_CLOEXEC));
}

int call_open_handle(const struct call_case *c, struct view *v)
{
	union {
		struct file_handle head;
		char room[sizeof(struct file_handle) + MAX_HANDLE_SZ];
	} handle = { .head.handle_bytes = MAX_HANDLE_SZ };
	int mount_id;
	FD_CLOSE int dir = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0 || name_to_handle_at(dir, "", &handle.head, &mount_id, AT_EMPTY_PATH) < 0)
		return errno;
	return opened(open_by_handle_at(dir, &handle.head, O_RDONLY));
}

int call_set_id_bit(const struct call_case *c, struct view *v)
{
	FD_CLOSE int fd = memfd_create("verify", MFD_CLOEXEC);

	return fd < 0 ? errno : done(fchmod(fd, 04755));
}

int call_mknod(const struct call_case *c, struct view *v)
{
	char path[64];

	(void)snprintf(path, sizeof path, "/tmp/stockade-verify-%d", getpid());
	const int rc = done(mknod(path, S_IFCHR | 0600, makedev(1, 5)));

	if (rc == 0)
		(void)unlink(path);
	return rc;
}

/* To what it is. */
int call_hostname(const struct call_case *c, struct view *v)
{
	char name[65];

	return gethostname(name, sizeof name) < 0 ? errno : done(sethostname(name, strnlen(name, sizeof name)));
}

/* Success is to have any, in any set. */
int call_capabilities(const struct call_case *c, struct view *v)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };
	uint32_t any = 0;

	if (syscall(SYS_capget, &head, data) < 0)
		return errno;
	for (size_t i = 0; i < _LINUX_CAPABILITY_U32S_3; i++)
		any |= data[i].effective | data[i].permitted | data[i].inheritable;
	for (int i = 0; i < 64 && !any; i++)
		any = prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1;
	return any ? 0 : EPERM;
}

/* Success is that a set-id program would still give some. */
int call_new_privileges(const struct call_case *c, struct view *v)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 ? EPERM : 0;
}
