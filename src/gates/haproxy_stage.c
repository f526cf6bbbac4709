#include "gates/haproxy_stage.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "gates/gate_link.h"
#include "gates/haproxy.h"
#include "guard/guard.h"
#include "net/dns_servers.h"
#include "net/resolve.h"
#include "pod/mounts.h"
#include "pod/rootfs.h"
#include "process/run_dir.h"

#define ROOT_BYTES ((uint64_t)16 << 20)

/* A CONNECT through HAProxy is two connections of its own, each with two sockets, and pipes for splicing; half of the fds is for that. */
enum { COPIES_FROM = 64, SERVERS_TEXT = 1024, FDS_A_CONNECTION = 12, CONNECTIONS_LEAST = 16 };

/* --- what is served --- */

/* An id for each project, as far as a hash can tell them apart: those of one id could end each other. */
static uid_t id_of(const char *path)
{
	uint32_t h = 2166136261U; /* FNV-1a */

	for (const char *p = path; *p; p++)
		h = (h ^ (uint8_t)*p) * 16777619U;
	return HAPROXY_ID_FIRST + ((h ^ h >> 12) & HAPROXY_ID_MASK);
}

static int copy_pod(struct haproxy_stage *s, const struct gate_pod *p, struct err *err)
{
	struct haproxy_pod *copy = &ARENA_PUSH(&s->arena, s->pods, s->pod_count);

	*copy = (struct haproxy_pod) { arena_strdup(&s->arena, p->name),
				       fcntl(p->listeners[GATE_TCP4], F_DUPFD_CLOEXEC, COPIES_FROM),
				       fcntl(p->listeners[GATE_TCP6], F_DUPFD_CLOEXEC, COPIES_FROM) };
	struct stat v4, v6;

	if (copy->tcp4 < 0 || copy->tcp6 < 0 || fstat(copy->tcp4, &v4) < 0 || fstat(copy->tcp6, &v6) < 0)
		return err_errno(err, "the listeners of pod %s", p->name);
	ARENA_PUSH(&s->arena, s->listeners, s->listener_count) = v4.st_ino;
	ARENA_PUSH(&s->arena, s->listeners, s->listener_count) = v6.st_ino;
	return 0;
}

int haproxy_stage_begin(struct haproxy_stage *s, const struct haproxy *x, struct err *err)
{
	*s = (struct haproxy_stage) { .change = x->change, .generation = x->generation, .log = -1, .errors = -1 };
	(void)snprintf(s->dir, sizeof s->dir, "%s/haproxy/%llu", x->path, (unsigned long long)x->change);
	s->id = id_of(x->path);
	s->log = fcntl(x->lines.end, F_DUPFD_CLOEXEC, COPIES_FROM);
	s->errors = memfd_create("haproxy-errors", MFD_CLOEXEC);
	if (s->log < 0 || s->errors < 0)
		return err_errno(err, "HAProxy's log");
	for (const struct gate_pod *p = *x->pods; p; p = p->next)
		if (copy_pod(s, p, err) < 0)
			return -1;
	return haproxy_own_find(&s->arena, &s->own, err);
}

void haproxy_stage_close(struct haproxy_stage *s)
{
	for (size_t i = 0; i < s->pod_count; i++) {
		fd_close(&s->pods[i].tcp4);
		fd_close(&s->pods[i].tcp6);
	}
	fd_close(&s->log);
	fd_close(&s->errors);
}

void haproxy_stage_remove(struct haproxy_stage *s)
{
	struct err ignored;

	haproxy_stage_close(s);
	if (s->dir[0])
		(void)run_dir_remove(s->dir, &ignored);
	arena_free(&s->arena);
	*s = (struct haproxy_stage) { .log = -1, .errors = -1 };
}

void haproxy_stage_why(const struct haproxy_stage *s, char ret[static HAPROXY_WHY])
{
	const ssize_t n = pread(s->errors, ret, HAPROXY_WHY - 1, 0);

	ret[n > 0 ? n : 0] = '\0';
	for (char *p = ret; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	if (!ret[0])
		(void)snprintf(ret, HAPROXY_WHY, "it did not end in time, or said nothing");
}

/* --- the files --- */

static int map_policy(int fd, const struct haproxy *x, struct snapshot *ret, struct err *err)
{
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= 0)
		return err_set(err, ERR_FAULT, "there is no policy");
	const char *bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);

	if (bytes == MAP_FAILED)
		return err_errno(err, "the policy");
	if (!snapshot_open((struct span) { bytes, (size_t)st.st_size }, ret))
		return err_set(err, ERR_FAULT, "the policy is damaged");
	ret->generation = x->generation;
	memcpy(ret->hash, x->hash, sizeof ret->hash);
	return 0;
}

static int find_servers(const struct haproxy *x, struct arena *a, struct haproxy_input *in, struct err *err)
{
	char text[SERVERS_TEXT] = "";
	struct dns_servers found;
	size_t n = 0;

	for (const char *const *d = x->dns; d && *d; d++) {
		const int more = snprintf(text + n, sizeof text - n, "%s%s", n ? "," : "", *d);

		if (more < 0 || (size_t)more >= sizeof text - n)
			return err_set(err, ERR_INPUT, "too many addresses of resolvers");
		n += (size_t)more;
	}
	if (n == 0)
		resolver_read_resolv_conf("/etc/resolv.conf", text, sizeof text);
	if (dns_servers_parse(text, &found, err) < 0)
		return -1;
	struct haproxy_server *list = arena_array(a, found.count, sizeof *list);

	for (size_t i = 0; i < found.count; i++)
		list[i] = (struct haproxy_server) { found.list[i].address, found.list[i].port };
	in->servers = list;
	in->server_count = found.count;
	return 0;
}

/* A pod's share: HAProxy has one limit for all, and nobody may use it up alone. */
static unsigned connections_a_pod(const struct haproxy *x, size_t pods)
{
	struct rlimit files = { .rlim_cur = 1024 };

	(void)getrlimit(RLIMIT_NOFILE, &files);
	const rlim_t share = files.rlim_cur / FDS_A_CONNECTION / (pods ? pods : 1), limit = x->limits->of[LIMIT_CONNECTIONS];

	return (unsigned)(share < CONNECTIONS_LEAST ? CONNECTIONS_LEAST : share < limit ? share : limit);
}

static int write_files(const struct haproxy_stage *s, const struct haproxy_files *files, struct err *err)
{
	const char *path = s->dir;
	char parent[HAPROXY_PATH];

	(void)snprintf(parent, sizeof parent, "%s", path);
	*strrchr(parent, '/') = '\0';
	if ((mkdir(parent, 0700) < 0 && errno != EEXIST) || mkdir(path, 0750) < 0)
		return err_errno(err, "%s", path);
	FD_CLOSE int dir = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (dir < 0 || fchown(dir, 0, s->id) < 0 || fchmod(dir, 0750) < 0)
		return err_errno(err, "%s", path);
	for (size_t i = 0; i < files->count; i++) {
		FD_CLOSE int fd = openat(dir, files->items[i].name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);

		if (fd < 0 || fchown(fd, 0, s->id) < 0 || fchmod(fd, 0640) < 0 ||
		    fd_write_all(fd, files->items[i].text.p, files->items[i].text.n) < 0)
			return err_errno(err, "%s/%s", path, files->items[i].name);
	}
	return 0;
}

static int make_files(const struct haproxy_stage *s, const struct haproxy *x, struct err *err)
{
	const uint32_t *limits = x->limits->of;
	struct arena a = { 0 };
	struct snapshot policy;
	struct haproxy_files files;
	struct haproxy_input in = {
		.project = x->project,
		.policy = &policy,
		.pods = s->pods,
		.pod_count = s->pod_count,
		.times = { limits[LIMIT_FIRST_BYTE_TIME], limits[LIMIT_HEAD_TIME], limits[LIMIT_IDLE_TIME],
			   limits[LIMIT_REACH_TIME], limits[LIMIT_EXCHANGE_TIME], limits[LIMIT_TUNNEL_TIME] },
		.threads = x->workers,
		.connections = connections_a_pod(x, s->pod_count),
		.own = s->own.nets,
		.own_count = s->own.count,
		.log = s->log,
	};

	if (map_policy(x->policy, x, &policy, err) < 0 || find_servers(x, &a, &in, err) < 0)
		return -1;
	snapshot_gate(&policy, &in.gate_v4, &in.gate_v6);
	const int rc = plan_haproxy(&in, &a, &files, err) < 0 ? -1 : write_files(s, &files, err);

	arena_free(&a);
	return rc;
}

/* --- the process --- */

int haproxy_find(char path[static PATH_MAX], struct err *err)
{
	static const char *const places[] = { "/usr/sbin/haproxy", "/usr/local/sbin/haproxy", "/usr/bin/haproxy" };

	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		if (access(places[i], X_OK) < 0)
			continue;
		(void)snprintf(path, PATH_MAX, "%s", places[i]);
		return 0;
	}
	return err_set(err, ERR_INPUT,
		       "--gate haproxy needs HAProxy 2.6 or later with Lua, and there is none in /usr/sbin, /usr/local/sbin or "
		       "/usr/bin; on Debian: apt-get install haproxy");
}

static int attach(int tree, int root, const char *at, struct err *err)
{
	FD_CLOSE int mount = tree;

	return mount < 0 ? -1 : mounts_attach(mount, root, at, err);
}

/* Programs, its own files, and a place for a socket of its own. Nothing else is there to be opened. */
static int enter_root(const struct haproxy_stage *s, struct err *err)
{
	const struct mounts_tmpfs small = { .mode = 0755, .size = ROOT_BYTES, .attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV };
	const struct mounts_tmpfs run = { .owner = s->id,
					  .mode = 0700,
					  .size = ROOT_BYTES,
					  .attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC };
	const uint64_t harmless = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY;
	struct mount_attr read_only = { .attr_set = MOUNT_ATTR_RDONLY };

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_errno(err, "a mount namespace");
	FD_CLOSE int root = mounts_tmpfs(&small, err);

	if (root < 0)
		return -1;
	if (move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0 || mkdirat(root, "etc", 0755) < 0)
		return err_errno(err, "a root directory");
	if (rootfs_show_host(root, err) < 0 ||
	    attach(mounts_clone(AT_FDCWD, s->dir, harmless, false, err), root, HAPROXY_DIR, err) < 0 ||
	    attach(mounts_tmpfs(&run, err), root, HAPROXY_RUN, err) < 0)
		return -1;
	if (mount_setattr(root, "", AT_EMPTY_PATH, &read_only, sizeof read_only) < 0)
		return err_errno(err, "a read-only root directory");
	return guard_pivot_root(root, err);
}

static int give_fds(const struct haproxy_stage *s, struct err *err)
{
	bool given = fcntl(s->log, F_SETFD, 0) == 0;

	for (size_t i = 0; i < s->pod_count; i++)
		given = given && fcntl(s->pods[i].tcp4, F_SETFD, 0) == 0 && fcntl(s->pods[i].tcp6, F_SETFD, 0) == 0;
	return given ? 0 : err_errno(err, "handing the listeners over");
}

static int lock_down(uid_t id, struct err *err)
{
	if (guard_set_ids(id, id, err) < 0 || guard_drop_capabilities(err) < 0)
		return -1;
	/* The change of user has cleared it. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_errno(err, "prctl");
	return guard_seccomp_container(false, err);
}

/* In a child. out, errors: its standard output and error. */
static _Noreturn void become(const struct haproxy_stage *s, bool check, int out, int errors)
{
	static const char config[] = HAPROXY_DIR "/" HAPROXY_CONFIG;
	static char *const environment[] = { NULL };
	char path[PATH_MAX];
	const char *const args[] = { "haproxy", check ? "-c" : "-db", "-f", config, NULL };
	const pid_t parent = getppid();
	struct err err = { 0 };

	(void)umask(022);
	if (dup2(out, STDOUT_FILENO) < 0 || dup2(errors, STDERR_FILENO) < 0)
		_exit(126);
	FD_CLOSE int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0)
		_exit(126);
	if (haproxy_find(path, &err) == 0 && enter_root(s, &err) == 0 && give_fds(s, &err) == 0 && lock_down(s->id, &err) == 0 &&
	    getppid() == parent) {
		(void)execve(path, (char *const *)args, environment);
		(void)err_errno(&err, "%s", path);
	}
	(void)dprintf(STDERR_FILENO, "HAProxy cannot be started: %s\n", err.text);
	_exit(127);
}

static int check(const struct haproxy_stage *s, struct err *err)
{
	FD_CLOSE int out = open("/dev/null", O_WRONLY | O_CLOEXEC);
	const pid_t pid = out < 0 ? -1 : child_fork(err);
	int status = 0;

	if (pid == 0)
		become(s, true, out, s->errors);
	while (pid > 0 && waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return err_errno(err, "waiting for HAProxy");
	return pid < 0 ? err_set(err, ERR_FAULT, "HAProxy cannot be started to check its files") : child_exit_code(status);
}

int haproxy_stage_check(const struct haproxy_stage *s, const struct haproxy *x)
{
	struct err err = { 0 };
	const int code = make_files(s, x, &err) < 0 ? -1 : check(s, &err);

	if (code >= 0)
		return code;
	(void)!ftruncate(s->errors, 0);
	(void)!pwrite(s->errors, err.text, strlen(err.text), 0);
	return 1;
}

pid_t haproxy_stage_run(const struct haproxy_stage *s, int *ret_out, struct err *err)
{
	int pair[2];

	if (pipe2(pair, O_CLOEXEC | O_NONBLOCK) < 0)
		return (pid_t)err_errno(err, "a pipe");
	const pid_t pid = child_fork(err);

	if (pid == 0)
		become(s, false, pair[1], STDERR_FILENO);
	(void)close(pair[1]);
	if (pid < 0)
		(void)close(pair[0]);
	else
		*ret_out = pair[0];
	return pid;
}

/* --- who holds them --- */

static bool is_listener(const struct haproxy_stage *s, const char *link)
{
	unsigned long long inode;
	bool found = false;

	if (sscanf(link, "socket:[%llu]", &inode) != 1)
		return false;
	for (size_t i = 0; i < s->listener_count && !found; i++)
		found = s->listeners[i] == inode;
	return found;
}

bool haproxy_stage_held(const struct haproxy_stage *s, pid_t pid)
{
	char path[64], name[300];
	bool held = false;

	(void)snprintf(path, sizeof path, "/proc/%d/fd", pid);
	DIR *d = opendir(path);

	if (!d)
		return errno != ENOENT && errno != ESRCH;
	for (const struct dirent *e; !held && (e = readdir(d));) {
		const ssize_t n = readlinkat(dirfd(d), e->d_name, name, sizeof name - 1);

		name[n > 0 ? n : 0] = '\0';
		held = is_listener(s, name);
	}
	(void)closedir(d);
	return held;
}
