/* A container's root file system: the host's /usr and the needed parts of its /etc, read-only, in a tmpfs of its own, with the
 * container's volumes. Steps, in this order, of a process that is pid 1 of a new pid namespace, with the host's power. */
#ifndef STOCKADE_POD_ROOTFS_H
#define STOCKADE_POD_ROOTFS_H

#include "pod/container.h"

/* The mounts' sources, cloned: ret_trees has room for spec->mount_count. In the mount namespace that their fds are from. */
int rootfs_take_sources(const struct container_spec *spec, int *ret_trees, struct err *err);
/* In a new mount namespace: builds it and makes it the root directory. Takes over the trees. */
int rootfs_enter(const struct container_spec *spec, const int *trees, struct err *err);

/* For an OCI runtime: builds it at a path below dir, without the parts that are the kernel's. An fd of it, or -1. */
int rootfs_build(const struct container_spec *spec, const int *trees, int dir, const char *at, struct err *err);

/* What of the host's own files programs need, read-only, below root: /usr and the like, the harmless parts of /etc. */
int rootfs_show_host(int root, struct err *err);

/* The parts of it that are the kernel's: dev.c. */
int rootfs_mount_pts(int root, uint32_t owner, struct err *err);
int rootfs_mount_dev(int root, uint32_t owner, struct err *err);
int rootfs_mount_proc(int root, struct err *err);

#endif
