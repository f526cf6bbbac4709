/* The new mount API only: no path of a container is ever resolved by mount(2), which follows links. */
#include "pod/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"

enum { INODES = 1 << 20 };

static int set_number(int context, const char *key, const char *format, unsigned long long value)
{
	char text[32];

	(void)snprintf(text, sizeof text, strcmp(format, "o") == 0 ? "%llo" : "%llu", value);
	return fsconfig(context, FSCONFIG_SET_STRING, key, text, 0);
}

int mounts_tmpfs(const struct mounts_tmpfs *t, struct err *err)
{
	FD_CLOSE int context = fsopen("tmpfs", FSOPEN_CLOEXEC);

	if (context < 0 || set_number(context, "uid", "u", t->owner) < 0 || set_number(context, "gid", "u", t->owner) < 0 ||
	    set_number(context, "mode", "o", t->mode) < 0 || set_number(context, "size", "u", t->size) < 0 ||
	    set_number(context, "nr_inodes", "u", INODES) < 0 || fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return err_errno(err, "cannot make a tmpfs");
	const int tree = fsmount(context, FSMOUNT_CLOEXEC, (unsigned)t->attributes);

	return tree < 0 ? err_errno(err, "cannot mount a tmpfs") : tree;
}

int mounts_clone(int dir, const char *path, uint64_t attributes, bool recursive, struct err *err)
{
	const unsigned below = recursive ? AT_RECURSIVE : 0;
	struct mount_attr attr = { .attr_set = attributes };
	FD_CLOSE int tree = open_tree(dir, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW | below);

	if (tree < 0 || mount_setattr(tree, "", AT_EMPTY_PATH | below, &attr, sizeof attr) < 0) {
		const int number = errno;

		(void)err_errno(err, "cannot clone the mount of %s", *path ? path : "a volume");
		errno = number;
		return -1;
	}
	return fd_steal(&tree);
}

static int open_below(int dir, const char *path)
{
	const struct open_how how = { .flags = O_PATH | O_CLOEXEC,
				      .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };

	return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}

int mounts_find(int root, const char *path)
{
	return open_below(root, path);
}

/* One component, which is not there. */
static int make(int dir, const char *name, bool directory)
{
	if (directory)
		return mkdirat(dir, name, 0755) < 0 && errno != EEXIST ? -1 : 0;
	FD_CLOSE int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);

	return fd < 0 ? -1 : 0;
}

int mounts_find_or_make(int root, const char *path, bool directory, struct err *err)
{
	FD_CLOSE int at = open_below(root, ".");
	char name[NAME_MAX + 1];

	for (const char *p = path + strspn(path, "/"); at >= 0 && *p;) {
		const size_t n = strcspn(p, "/");
		const char *next = p + n + strspn(p + n, "/");

		if (n >= sizeof name || (p[0] == '.' && (n == 1 || (n == 2 && p[1] == '.'))))
			return err_set(err, ERR_INPUT, "%s: not a path for a mount", path);
		(void)snprintf(name, sizeof name, "%.*s", (int)n, p);
		int found = open_below(at, name);

		if (found < 0 && errno == ENOENT && make(at, name, directory || *next) == 0)
			found = open_below(at, name);
		if (found < 0 && errno == ELOOP)
			return err_set(err, ERR_INPUT, "%s: a symbolic link lies on the way, at %s", path, name);
		if (found < 0)
			return err_errno(err, "%s: cannot make or open %s", path, name);
		fd_close(&at);
		at = found;
		p = next;
	}
	return at < 0 ? err_errno(err, "%s", path) : fd_steal(&at);
}

int mounts_attach(int tree, int root, const char *target, struct err *err)
{
	struct stat st;

	if (fstat(tree, &st) < 0)
		return err_errno(err, "%s", target);
	FD_CLOSE int place = mounts_find_or_make(root, target, S_ISDIR(st.st_mode), err);

	if (place < 0)
		return -1;
	return move_mount(tree, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0
		       ? err_errno(err, "cannot mount at %s", target)
		       : 0;
}
