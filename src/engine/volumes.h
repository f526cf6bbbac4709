/* A pod's volumes on the host's side. emptyDir and configMap volumes are small file systems of their own, mounted below a directory
 * in the supervisor's private mount namespace, so that they end with it. hostPath volumes are opened without following any symbolic
 * link: config has worked out the real path, and what it judged is what is mounted. */
#ifndef STOCKADE_ENGINE_VOLUMES_H
#define STOCKADE_ENGINE_VOLUMES_H

#include "base/err.h"
#include "plan/manifest.h"

/* Makes those of the pod that need making, below dir (which is made too). All or nothing. */
int volumes_make(const char *dir, const struct pod *pod, struct err *err);
void volumes_remove(const char *dir, const struct pod *pod);
/* What a mount of a container shows: an O_PATH fd of a directory or a file, or -1. */
int volume_open(const char *dir, const struct pod *pod, const struct volume_mount *m, struct err *err);
/* A path of the host given by the operator, symbolic links followed: a directory or file, nothing that reaches the host (run -v).
 */
int volume_open_host(const char *path, struct err *err);

#endif
