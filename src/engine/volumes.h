/* A pod's volumes on the host's side. emptyDir and configMap volumes are small file systems of their own, mounted below a directory
 * in the supervisor's private mount namespace, so that they end with it. hostPath volumes are opened without following any symbolic
 * link: config has worked out the real path, and what it judged is what is mounted. */
#ifndef STOCKADE_ENGINE_VOLUMES_H
#define STOCKADE_ENGINE_VOLUMES_H

#include "base/arena.h"
#include "base/err.h"
#include "plan/manifest.h"

/* Makes those of the pod that need making, below dir (which is made too). All or nothing. */
int volumes_make(const char *dir, const struct pod *pod, struct err *err);
void volumes_remove(const char *dir, const struct pod *pod);
/* What a mount of a container shows: an O_PATH fd of a directory or a file, or -1. */
int volume_open(const char *dir, const struct pod *pod, const struct volume_mount *m, struct err *err);
/* After volumes_make, before the pod's first container: refuses a hostPath that holds a way to the host (below). Not again when a
 * container starts anew: its own sockets may be there by then. */
int volumes_check(const char *dir, const struct pod *pod, struct err *err);

/* Ways to the host in a directory: unix sockets and named pipes, through which whoever has their path talks to the host without
 * any network, and no read-only mount prevents that; and, where the pod may write, set-id programs. What the host makes there while
 * a pod runs is the operator's doing, and not seen. A directory is looked through so deep, and so many entries in all: such things lie
 * near the top of what is named for them (/tmp, a data directory), and a start must not take seconds. */
enum { VOLUME_DEPTH = 3, VOLUME_ENTRIES = 10000 };
/* "PATH is a socket" of the first one found below the O_PATH fd of path, or NULL. */
const char *volume_way_out(int fd, const char *path, bool writable, struct arena *a);
/* The real path of a directory or file, as run has judged it (-v): no symbolic link on the way, which a pod may have put there
 * since. */
int volume_open_host(const char *path, struct err *err);

#endif
