/* A root directory of one's own. The old one is detached, not hidden: there is no way back to it by name. */
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/fd.h"
#include "guard/guard.h"

int guard_pivot_root(int root, struct err *err)
{
	/* The old root ends up on top of the new one, from where it is detached. */
	if (fchdir(root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0)
		return err_errno(err, "cannot change the root directory");
	if (umount2(".", MNT_DETACH) < 0)
		return err_errno(err, "cannot detach the old root directory");
	if (chroot(".") < 0 || chdir("/") < 0)
		return err_errno(err, "cannot enter the new root directory");
	return 0;
}

int guard_empty_root(struct err *err)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_errno(err, "cannot make a mount namespace for the empty root");
	FD_CLOSE int context = fsopen("tmpfs", FSOPEN_CLOEXEC);

	/* Two inodes: the directory itself, and no file ever. */
	if (context < 0 || fsconfig(context, FSCONFIG_SET_STRING, "mode", "0555", 0) < 0 ||
	    fsconfig(context, FSCONFIG_SET_STRING, "nr_inodes", "2", 0) < 0 ||
	    fsconfig(context, FSCONFIG_SET_STRING, "size", "4096", 0) < 0 ||
	    fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return err_errno(err, "cannot make the empty root");
	FD_CLOSE int root =
		fsmount(context, FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC);

	if (root < 0 || move_mount(root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_errno(err, "cannot mount the empty root");
	return guard_pivot_root(root, err);
}
