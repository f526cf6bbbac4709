/* /dev with the devices that programs need and that reach nothing, and /proc without what shows or steers the host. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/fd.h"
#include "pod/mounts.h"
#include "pod/rootfs.h"

enum { DEV_SIZE = 64 * 1024, SHM_SIZE = 64 * 1024 * 1024, TTY_GROUP = 5 };
#define TERMINALS "256" /* of one container; the kernel has some thousands for all, and gives them to whoever asks first */

static int make_nodes(int dev, struct err *err)
{
	static const struct {
		const char *name;
		unsigned major, minor;
	} nodes[] = {
		{ "null", 1, 3 }, { "zero", 1, 5 }, { "full", 1, 7 }, { "random", 1, 8 }, { "urandom", 1, 9 }, { "tty", 5, 0 }
	};
	static const char *const links[][2] = { { "/proc/self/fd", "fd" },
						{ "/proc/self/fd/0", "stdin" },
						{ "/proc/self/fd/1", "stdout" },
						{ "/proc/self/fd/2", "stderr" },
						{ "pts/ptmx", "ptmx" } };

	for (size_t i = 0; i < sizeof nodes / sizeof *nodes; i++)
		if (mknodat(dev, nodes[i].name, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)) < 0)
			return err_errno(err, "cannot make /dev/%s", nodes[i].name);
	for (size_t i = 0; i < sizeof links / sizeof *links; i++)
		if (symlinkat(links[i][0], dev, links[i][1]) < 0)
			return err_errno(err, "cannot make /dev/%s", links[i][1]);
	return mkdirat(dev, "pts", 0755) < 0 || mkdirat(dev, "shm", 0755) < 0 ? err_errno(err, "cannot fill /dev") : 0;
}

int rootfs_mount_pts(int root, uint32_t owner, struct err *err)
{
	FD_CLOSE int context = fsopen("devpts", FSOPEN_CLOEXEC);
	char group[16];

	(void)snprintf(group, sizeof group, "%u", owner + TTY_GROUP);
	if (context < 0 || fsconfig(context, FSCONFIG_SET_FLAG, "newinstance", NULL, 0) < 0 ||
	    fsconfig(context, FSCONFIG_SET_STRING, "ptmxmode", "0666", 0) < 0 ||
	    fsconfig(context, FSCONFIG_SET_STRING, "mode", "0620", 0) < 0 ||
	    fsconfig(context, FSCONFIG_SET_STRING, "gid", group, 0) < 0 ||
	    fsconfig(context, FSCONFIG_SET_STRING, "max", TERMINALS, 0) < 0 ||
	    fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return err_errno(err, "cannot make /dev/pts");
	FD_CLOSE int pts = fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);

	return pts < 0 ? err_errno(err, "cannot mount /dev/pts") : mounts_attach(pts, root, "/dev/pts", err);
}

int rootfs_mount_dev(int root, uint32_t owner, struct err *err)
{
	const struct mounts_tmpfs of_dev = { .mode = 0755, .size = DEV_SIZE, .attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC };
	const struct mounts_tmpfs of_shm = { .owner = owner,
					     .mode = 01777,
					     .size = SHM_SIZE,
					     .attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV };
	struct mount_attr read_only = { .attr_set = MOUNT_ATTR_RDONLY };
	FD_CLOSE int dev = mounts_tmpfs(&of_dev, err);

	if (dev < 0 || make_nodes(dev, err) < 0 || mounts_attach(dev, root, "/dev", err) < 0 ||
	    rootfs_mount_pts(root, owner, err) < 0)
		return -1;
	FD_CLOSE int shm = mounts_tmpfs(&of_shm, err);

	if (shm < 0 || mounts_attach(shm, root, "/dev/shm", err) < 0)
		return -1;
	return mount_setattr(dev, "", AT_EMPTY_PATH, &read_only, sizeof read_only) < 0
		       ? err_errno(err, "cannot make /dev read-only")
		       : 0;
}

/* --- /proc --- */

static bool is_there(int root, const char *path)
{
	FD_CLOSE int fd = mounts_find(root, path);

	return fd >= 0;
}

#define COVER ".covered"

/* By a file that only the host's root may open: to read or to write is refused, as if there were no such right. */
static int cover_all(int root, struct err *err)
{
	static const char *const files[] = { "/proc/kcore",       "/proc/keys",       "/proc/key-users",  "/proc/latency_stats",
					     "/proc/sched_debug", "/proc/timer_list", "/proc/timer_stats" };

	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		if (!is_there(root, files[i]))
			continue;
		FD_CLOSE int cover = mounts_clone(root, COVER, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOEXEC, false, err);

		if (cover < 0 || mounts_attach(cover, root, files[i], err) < 0)
			return -1;
	}
	return 0;
}

static int cover_files(int root, struct err *err)
{
	FD_CLOSE int fd = openat(root, COVER, O_RDONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0);

	if (fd < 0)
		return err_errno(err, "cannot make what covers files of /proc");
	const int rc = cover_all(root, err);

	return unlinkat(root, COVER, 0) < 0 ? err_errno(err, "cannot remove what covers files of /proc") : rc;
}

static int cover_directories(int root, struct err *err)
{
	static const char *const directories[] = { "/proc/acpi", "/proc/asound", "/proc/scsi" };
	const struct mounts_tmpfs nothing = { .mode = 0555,
					      .size = 4096,
					      .attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC |
							    MOUNT_ATTR_NODEV };

	for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
		if (!is_there(root, directories[i]))
			continue;
		FD_CLOSE int empty = mounts_tmpfs(&nothing, err);

		if (empty < 0 || mounts_attach(empty, root, directories[i], err) < 0)
			return -1;
	}
	return 0;
}

static int freeze(int root, struct err *err)
{
	static const char *const frozen[] = { "proc/bus", "proc/fs", "proc/irq", "proc/sys", "proc/sysrq-trigger" };

	for (size_t i = 0; i < sizeof frozen / sizeof *frozen; i++) {
		if (!is_there(root, frozen[i]))
			continue;
		FD_CLOSE int tree = mounts_clone(
			root, frozen[i], MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV, false, err);

		if (tree < 0 || mounts_attach(tree, root, frozen[i], err) < 0)
			return -1;
	}
	return 0;
}

int rootfs_mount_proc(int root, struct err *err)
{
	FD_CLOSE int context = fsopen("proc", FSOPEN_CLOEXEC);

	if (context < 0 || fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return err_errno(err, "cannot make /proc");
	FD_CLOSE int proc = fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NODEV);

	if (proc < 0)
		return err_errno(err, "cannot mount /proc");
	if (mounts_attach(proc, root, "/proc", err) < 0)
		return -1;
	return cover_files(root, err) < 0 || cover_directories(root, err) < 0 ? -1 : freeze(root, err);
}
