/* What of the host is shown is shown as to any user of the host without rights: these mounts are not mapped to the pod's ids, so a
 * key that only root may read stays unread. Volumes are mapped: what is uid 0's in them is the container's uid 0's. */
#include "pod/rootfs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/fd.h"
#include "guard/guard.h"
#include "pod/mounts.h"

#define HARMLESS ((uint64_t)(MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV))
#define GIB      ((uint64_t)1 << 30)
#define MIB      ((uint64_t)1 << 20)

enum { TEXT_MAX = 4096 };

/* --- volumes' sources --- */

static int take_bind(const struct container_spec *spec, const struct container_mount *m, struct err *err)
{
	FD_CLOSE int opened = m->source_fd >= 0 ? -1 : open(m->source, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	const int source = m->source_fd >= 0 ? m->source_fd : opened;

	if (source < 0)
		return err_errno(err, "%s", m->source);
	/* Not recursive: what somebody has mounted below was not looked at, and may reach the host. */
	FD_CLOSE int tree = mounts_clone(source, "", HARMLESS | (m->read_only ? MOUNT_ATTR_RDONLY : 0), false, err);
	struct mount_attr mapped = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)spec->userns };

	if (tree < 0)
		return -1;
	if (mount_setattr(tree, "", AT_EMPTY_PATH, &mapped, sizeof mapped) == 0)
		return fd_steal(&tree);
	/* Unmapped, all that the container can do is read what anybody may. */
	if (m->read_only && (errno == EINVAL || errno == EPERM))
		return fd_steal(&tree);
	if (errno == EINVAL)
		return err_set(err, ERR_INPUT,
			       "%s: its file system cannot map user ids, so it can be mounted read-only, but not writable",
			       m->source);
	return err_errno(err, "%s: cannot map its user ids", m->source);
}

static int take_files(const struct container_spec *spec, const struct container_mount *m, struct err *err)
{
	const struct mounts_tmpfs t = {
		.owner = spec->uid_base, .mode = 0755, .size = 64 * MIB, .attributes = HARMLESS | MOUNT_ATTR_NOEXEC
	};
	struct mount_attr read_only = { .attr_set = MOUNT_ATTR_RDONLY };
	FD_CLOSE int tree = mounts_tmpfs(&t, err);

	if (tree < 0)
		return -1;
	for (size_t i = 0; i < m->file_count; i++) {
		const struct pair *f = &m->files[i];
		FD_CLOSE int fd = strchr(f->name, '/')
					  ? -1
					  : openat(tree, f->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

		if (fd < 0 || fchown(fd, spec->uid_base, spec->uid_base) < 0 || fd_write_all(fd, f->value, strlen(f->value)) < 0)
			return err_errno(err, "cannot write %s in %s", f->name, m->target);
	}
	return mount_setattr(tree, "", AT_EMPTY_PATH, &read_only, sizeof read_only) < 0
		       ? err_errno(err, "cannot make %s read-only", m->target)
		       : fd_steal(&tree);
}

static int take_source(const struct container_spec *spec, const struct container_mount *m, struct err *err)
{
	const struct mounts_tmpfs t = { .owner = spec->uid_base,
					.mode = 01777,
					.size = m->size ? m->size : 64 * MIB,
					.attributes = HARMLESS | (m->read_only ? MOUNT_ATTR_RDONLY : 0) };

	switch (m->kind) {
	case MOUNT_BIND:
		return take_bind(spec, m, err);
	case MOUNT_TMPFS:
		return mounts_tmpfs(&t, err);
	case MOUNT_FILES:
		return take_files(spec, m, err);
	}
	return err_set(err, ERR_FAULT, "%s: no such kind of mount", m->target);
}

int rootfs_take_sources(const struct container_spec *spec, int *ret_trees, struct err *err)
{
	for (size_t i = 0; i < spec->mount_count; i++) {
		ret_trees[i] = take_source(spec, &spec->mounts[i], err);
		if (ret_trees[i] < 0)
			return -1;
	}
	return 0;
}

/* --- as whom files are made --- */

static int make_files_as(uint32_t id, struct err *err)
{
	(void)setfsgid(id);
	(void)setfsuid(id);
	/* An id that cannot be changes nothing and answers the present one. */
	if (setfsuid((uid_t)-1) != (int)id || setfsgid((gid_t)-1) != (int)id)
		return err_set(err, ERR_FAULT, "cannot make files as user %u", (unsigned)id);
	return 0;
}

/* --- directories and files of its own --- */

static int make_directories(int root, struct err *err)
{
	static const struct {
		const char *path;
		mode_t mode;
	} list[] = {
		{ "dev", 0755 },     { "etc", 0755 },     { "home", 0755 },      { "media", 0755 },     { "mnt", 0755 },
		{ "opt", 0755 },     { "proc", 0555 },    { "root", 0700 },      { "run", 0755 },       { "srv", 0755 },
		{ "sys", 0555 },     { "tmp", 01777 },    { "usr", 0755 },       { "var", 0755 },       { "var/cache", 0755 },
		{ "var/lib", 0755 }, { "var/log", 0755 }, { "var/mail", 01777 }, { "var/spool", 0755 }, { "var/tmp", 01777 },
	};
	static const char *const links[][2] = { { "/run", "var/run" },
						{ "/run/lock", "var/lock" },
						{ "/proc/self/mounts", "etc/mtab" } };

	for (size_t i = 0; i < sizeof list / sizeof *list; i++)
		if (mkdirat(root, list[i].path, list[i].mode) < 0)
			return err_errno(err, "cannot make /%s", list[i].path);
	for (size_t i = 0; i < sizeof links / sizeof *links; i++)
		if (symlinkat(links[i][0], root, links[i][1]) < 0)
			return err_errno(err, "cannot make /%s", links[i][1]);
	return 0;
}

static int write_one(int root, const char *path, const char *text, struct err *err)
{
	FD_CLOSE int fd = openat(root, path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

	return fd < 0 || fd_write_all(fd, text, strlen(text)) < 0 ? err_errno(err, "cannot write /%s", path) : 0;
}

static int write_users(int root, const struct container_spec *spec, struct err *err)
{
	char text[TEXT_MAX], user[128] = "", group[64] = "";

	if (spec->uid > 1 && spec->uid != 65534)
		(void)snprintf(user, sizeof user, "user:x:%u:%u::/:/bin/sh\n", (unsigned)spec->uid, (unsigned)spec->gid);
	if (spec->gid > 1 && spec->gid != 5 && spec->gid != 65534)
		(void)snprintf(group, sizeof group, "user:x:%u:\n", (unsigned)spec->gid);
	(void)snprintf(text, sizeof text,
		       "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/:/usr/sbin/nologin\n%s"
		       "nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n",
		       user);
	if (write_one(root, "etc/passwd", text, err) < 0)
		return -1;
	(void)snprintf(text, sizeof text, "root:x:0:\ndaemon:x:1:\ntty:x:5:\n%snogroup:x:65534:\n", group);
	return write_one(root, "etc/group", text, err);
}

static int write_files(int root, const struct container_spec *spec, struct err *err)
{
	static const char nsswitch[] = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nnetworks: files\n"
				       "protocols: files\nservices: files\nethers: files\nrpc: files\n";
	char hostname[HOST_NAME_MAX + 2];

	(void)snprintf(hostname, sizeof hostname, "%s\n", spec->hostname);
	return write_users(root, spec, err) < 0 || write_one(root, "etc/nsswitch.conf", nsswitch, err) < 0 ||
			       write_one(root, "etc/hostname", hostname, err) < 0 ||
			       write_one(root, "etc/hosts", spec->hosts ? spec->hosts : "", err) < 0 ||
			       write_one(root, "etc/resolv.conf", spec->resolv_conf ? spec->resolv_conf : "", err) < 0
		       ? -1
		       : 0;
}

/* --- the host's --- */

/* A link is made again as it is; a directory or file is cloned, read-only. What is not there is passed over. */
static int show(int root, const char *path, struct err *err)
{
	char target[PATH_MAX];
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : err_errno(err, "%s", path);
	if (S_ISLNK(st.st_mode)) {
		const ssize_t n = readlink(path, target, sizeof target - 1);

		if (n < 0)
			return err_errno(err, "%s", path);
		target[n] = '\0';
		return symlinkat(target, root, path + 1) < 0 ? err_errno(err, "cannot make %s", path) : 0;
	}
	if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode))
		return 0;
	FD_CLOSE int tree = mounts_clone(AT_FDCWD, path, HARMLESS | MOUNT_ATTR_RDONLY, true, err);

	return tree < 0 ? -1 : mounts_attach(tree, root, path, err);
}

/* Of /etc: what programs need to run, nothing that may hold the host's secrets, its users or its ways out. A star takes the rest.
 */
static bool is_needed(const char *name)
{
	static const char *const needed[] = {
		"alternatives",
		"bash.bashrc",
		"ca-certificates",
		"ca-certificates.conf",
		"crypto-policies",
		"debian_version",
		"fonts",
		"gai.conf",
		"groff",
		"host.conf",
		"inputrc",
		"java*",
		"ld-musl*",
		"ld.so.cache",
		"ld.so.conf",
		"ld.so.conf.d",
		"locale.alias",
		"locale.conf",
		"localtime",
		"login.defs",
		"lsb-release",
		"magic",
		"magic.mime",
		"mime.types",
		"netconfig",
		"networks",
		"os-release",
		"perl",
		"pki",
		"profile",
		"protocols",
		"python*",
		"rpc",
		"services",
		"sgml",
		"shells",
		"ssl",
		"terminfo",
		"timezone",
		"vim",
		"xml",
	};

	for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
		const size_t n = strcspn(needed[i], "*");

		if (needed[i][n] ? strncmp(name, needed[i], n) == 0 : strcmp(name, needed[i]) == 0)
			return true;
	}
	return false;
}

static int show_etc(int root, struct err *err)
{
	DIR *etc = opendir("/etc");
	char path[NAME_MAX + 8];
	int rc = 0;

	if (!etc)
		return err_errno(err, "/etc");
	for (const struct dirent *e; rc == 0 && (e = readdir(etc));) {
		if (!is_needed(e->d_name))
			continue;
		(void)snprintf(path, sizeof path, "/etc/%s", e->d_name);
		rc = show(root, path, err);
	}
	(void)closedir(etc);
	return rc;
}

int rootfs_show_host(int root, struct err *err)
{
	static const char *const paths[] = { "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32" };

	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
		if (show(root, paths[i], err) < 0)
			return -1;
	return show_etc(root, err);
}

/* --- all together --- */

static int mount_tmpfs(int root, const char *target, const struct mounts_tmpfs *t, struct err *err)
{
	FD_CLOSE int tree = mounts_tmpfs(t, err);

	return tree < 0 ? -1 : mounts_attach(tree, root, target, err);
}

struct placed {
	const char *target;
	int tree;
};

static int by_target(const void *a, const void *b)
{
	return strcmp(((const struct placed *)a)->target, ((const struct placed *)b)->target);
}

/* A directory comes before what is mounted below it. */
static int attach_volumes(int root, const struct container_spec *spec, const int *trees, struct err *err)
{
	struct arena a = { 0 };
	struct placed *sorted = arena_array(&a, spec->mount_count + 1, sizeof *sorted);
	int rc = 0;

	for (size_t i = 0; i < spec->mount_count; i++)
		sorted[i] = (struct placed) { .target = spec->mounts[i].target, .tree = trees[i] };
	qsort(sorted, spec->mount_count, sizeof *sorted, by_target);
	for (size_t i = 0; rc == 0 && i < spec->mount_count; i++)
		rc = mounts_attach(sorted[i].tree, root, sorted[i].target, err);
	arena_free(&a);
	return rc;
}

/* A working directory that is in no volume is made; one that cannot be is the program's start's matter. */
static void make_cwd(int root, const struct container_spec *spec)
{
	struct err ignored;
	int fd = spec->cwd ? mounts_find_or_make(root, spec->cwd, true, &ignored) : -1;

	fd_close(&fd);
}

/* kernel: with /dev and /proc. */
static int fill(int root, const struct container_spec *spec, const int *trees, bool kernel, struct err *err)
{
	const struct mounts_tmpfs tmp = { .owner = spec->uid_base, .mode = 01777, .size = GIB, .attributes = HARMLESS };
	const struct mounts_tmpfs run = { .owner = spec->uid_base, .mode = 0755, .size = 64 * MIB, .attributes = HARMLESS };

	if (make_files_as(spec->uid_base, err) < 0 || make_directories(root, err) < 0 || write_files(root, spec, err) < 0 ||
	    mount_tmpfs(root, "/tmp", &tmp, err) < 0 || mount_tmpfs(root, "/run", &run, err) < 0)
		return -1;
	FD_CLOSE int lock = mounts_find_or_make(root, "/run/lock", true, err);

	if (lock < 0 || rootfs_show_host(root, err) < 0 || make_files_as(0, err) < 0 ||
	    (kernel && rootfs_mount_dev(root, spec->uid_base, err) < 0) || make_files_as(spec->uid_base, err) < 0 ||
	    attach_volumes(root, spec, trees, err) < 0)
		return -1;
	make_cwd(root, spec);
	if (make_files_as(0, err) < 0)
		return -1;
	return kernel ? rootfs_mount_proc(root, err) : 0;
}

/* Makes and fills it at a path below dir, and opens it. */
static int build(const struct container_spec *spec, const int *trees, int dir, const char *at, bool kernel, struct err *err)
{
	const struct mounts_tmpfs t = { .owner = spec->uid_base, .mode = 0755, .size = GIB, .attributes = HARMLESS };
	FD_CLOSE int root = mounts_tmpfs(&t, err);

	if (root < 0)
		return -1;
	if (move_mount(root, "", dir, at, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_errno(err, "cannot mount the new root");
	return fill(root, spec, trees, kernel, err) < 0 ? -1 : fd_steal(&root);
}

static int freeze(int root, const struct container_spec *spec, struct err *err)
{
	struct mount_attr read_only = { .attr_set = MOUNT_ATTR_RDONLY };

	return spec->read_only_root && mount_setattr(root, "", AT_EMPTY_PATH, &read_only, sizeof read_only) < 0
		       ? err_errno(err, "cannot make the root read-only")
		       : 0;
}

int rootfs_build(const struct container_spec *spec, const int *trees, int dir, const char *at, struct err *err)
{
	FD_CLOSE int root = build(spec, trees, dir, at, false, err);

	return root < 0 || freeze(root, spec, err) < 0 ? -1 : fd_steal(&root);
}

int rootfs_enter(const struct container_spec *spec, const int *trees, struct err *err)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_errno(err, "cannot make the mounts private");
	FD_CLOSE int root = build(spec, trees, AT_FDCWD, "/", true, err);

	if (root < 0 || freeze(root, spec, err) < 0)
		return -1;
	return guard_pivot_root(root, err);
}
