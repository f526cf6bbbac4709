/* What an OCI runtime sees: a root of its own with what of the host any container is shown, read-only, and the runtime's file; /dev and
 * /proc of the keeper's own; an empty /tmp; and in /run, which is the pod's root's, the bundle with the container's root. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "guard/guard.h"
#include "pod/keeper.h"
#include "pod/mounts.h"
#include "pod/rootfs.h"

enum { ROOT_SIZE = 1024 * 1024, TMP_SIZE = 16 * 1024 * 1024, RUN_SIZE = 64 * 1024 * 1024 };
#define HARMLESS ((uint64_t)(MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV))

static int make_places(int root, struct err *err)
{
	static const char *const places[] = { "dev", "etc", "proc", "run", "sys", "sys/fs", "sys/fs/cgroup", "tmp", "usr" };

	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++)
		if (mkdirat(root, places[i], 0755) < 0)
			return err_errno(err, "cannot make the runtime's /%s", places[i]);
	return 0;
}

static int attach_tmpfs(int root, const char *at, uint32_t owner, mode_t mode, uint64_t size, struct err *err)
{
	const struct mounts_tmpfs t = { .owner = owner, .mode = mode, .size = size, .attributes = HARMLESS };
	FD_CLOSE int tree = mounts_tmpfs(&t, err);

	return tree < 0 ? -1 : mounts_attach(tree, root, at, err);
}

/* The container's own cgroup, and none above it: the keeper has a cgroup namespace. Runtimes are to have nothing to do with cgroups, but
 * runc does not run without any, and crun not where both versions of them are mounted. */
static int attach_cgroup(int root, struct err *err)
{
	FD_CLOSE int context = fsopen("cgroup2", FSOPEN_CLOEXEC);

	if (context < 0 || fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return err_errno(err, "cannot make the runtime's /sys/fs/cgroup");
	FD_CLOSE int tree = fsmount(context, FSMOUNT_CLOEXEC, HARMLESS | MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC);

	return tree < 0 ? err_errno(err, "cannot mount the runtime's /sys/fs/cgroup")
			: mounts_attach(tree, root, "/sys/fs/cgroup", err);
}

/* Most are below /usr. Another is one file, at the same place. */
static int show_runtime(const struct oci_runtime *r, int root, struct err *err)
{
	FD_CLOSE int there = mounts_find(root, r->path);

	if (there >= 0)
		return 0;
	FD_CLOSE int tree = mounts_clone(AT_FDCWD, r->path, HARMLESS | MOUNT_ATTR_RDONLY, false, err);

	return tree < 0 ? -1 : mounts_attach(tree, root, r->path, err);
}

/* The pod's root's, which the runtime is. */
static int make_directory(const struct container_spec *spec, int root, const char *path, struct err *err)
{
	return mkdirat(root, path, 0755) < 0 || fchownat(root, path, spec->uid_base, spec->uid_base, AT_SYMLINK_NOFOLLOW) < 0
		       ? err_errno(err, "cannot make the runtime's /%s", path)
		       : 0;
}

static int fill(const struct container_spec *spec, int root, struct err *err)
{
	struct mount_attr read_only = { .attr_set = MOUNT_ATTR_RDONLY };

	if (make_places(root, err) < 0 || rootfs_show_host(root, err) < 0 || rootfs_mount_dev(root, spec->uid_base, err) < 0 ||
	    attach_cgroup(root, err) < 0 || attach_tmpfs(root, "/tmp", spec->uid_base, 01777, TMP_SIZE, err) < 0 ||
	    attach_tmpfs(root, OCI_DIR, spec->uid_base, 0755, RUN_SIZE, err) < 0 || show_runtime(spec->runtime, root, err) < 0)
		return -1;
	if (mount_setattr(root, "", AT_EMPTY_PATH, &read_only, sizeof read_only) < 0)
		return err_errno(err, "cannot make the runtime's root read-only");
	return make_directory(spec, root, &OCI_BUNDLE[1], err) < 0 || make_directory(spec, root, &OCI_ROOTFS[1], err) < 0 ||
			       make_directory(spec, root, &OCI_STATE[1], err) < 0
		       ? -1
		       : 0;
}

int keeper_enter_root(const struct container_spec *spec, const int *trees, struct err *err)
{
	const struct mounts_tmpfs t = { .mode = 0755, .size = ROOT_SIZE, .attributes = HARMLESS };

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_errno(err, "cannot make the mounts private");
	FD_CLOSE int root = mounts_tmpfs(&t, err);

	if (root < 0)
		return -1;
	if (move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_errno(err, "cannot mount the runtime's root");
	if (fill(spec, root, err) < 0)
		return -1;
	/* By the names that the host's files have, so before they are gone. */
	FD_CLOSE int container = rootfs_build(spec, trees, root, &OCI_ROOTFS[1], err);

	if (container < 0 || guard_pivot_root(root, err) < 0)
		return -1;
	/* With nothing covered in it: only who sees such a one may make the container's. */
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		return err_errno(err, "cannot mount the runtime's /proc");
	return fd_steal(&container);
}
