/* Mounts as file descriptors: made detached, given their flags, then attached below a root directory, where no name is followed
 * through a symbolic link. */
#ifndef STOCKADE_POD_MOUNTS_H
#define STOCKADE_POD_MOUNTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct mounts_tmpfs {
	uint32_t owner; /* uid and gid */
	mode_t mode;
	uint64_t size;       /* bytes */
	uint64_t attributes; /* MOUNT_ATTR_* */
};

/* Both: a detached mount, or -1. */
int mounts_tmpfs(const struct mounts_tmpfs *t, struct err *err);
/* What is at path (absolute, or below dir; "": dir itself) with attributes set, in the mount namespace of the caller. recursive:
 * with all that is mounted below. -1 leaves errno, and err only says what was cloned. */
int mounts_clone(int dir, const char *path, uint64_t attributes, bool recursive, struct err *err);
int mounts_attach(int tree, int root, const char *target, struct err *err); /* the place is made if it is not there */

/* Below root: an O_PATH fd, or -1 with errno. No symbolic link, no "..". */
int mounts_find(int root, const char *path);
/* The same; what is not there is made, directories with mode 0755, with the owner that the caller's file system uid says. */
int mounts_find_or_make(int root, const char *path, bool directory, struct err *err);

#endif
