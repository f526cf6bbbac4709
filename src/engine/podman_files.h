/* What a project on Podman keeps on disk, for as long as its pods exist in Podman: $STOCKADE_STATE_DIR or /var/lib/stockade, then
 * /PROJECT/podman, for root alone:
 *
 *	containers.conf       names hooks.d; every podman command that starts one of the pods must run with CONTAINERS_CONF set to it, or
 *	                      with hooks.d among the hooks_dir of root's own containers.conf
 *	hooks.d/x.json        the hook that hands a pod's network namespace to the supervisor; without it a pod has no network at all
 *	networks/             with --network bridge: its networks, which Podman knows with these settings only; gate/: the gate's socket
 *	seccomp/              the system-call filter of the containers
 *	pods/POD/             pod.json (what podman kube play is given), hosts, resolv.conf, volumes/ (emptyDir, configMap)
 */
#ifndef STOCKADE_ENGINE_PODMAN_FILES_H
#define STOCKADE_ENGINE_PODMAN_FILES_H

#include "base/err.h"
#include "plan/bridge.h"
#include "plan/podman.h"

enum { PODMAN_PATH = 512 };
#define PODMAN_SECCOMP "stockade.json"

int podman_dir(const char *project, char ret[static PODMAN_PATH], struct err *err);
/* containers.conf, the hook, the filter: written anew. */
int podman_files_make(const char *project, const char *dir, bool bridge, struct err *err);
/* A network of --network bridge. */
int podman_files_network(const char *dir, const struct bridge_wire *w, const char *project, struct err *err);
/* The files of one pod, in place of older ones. ret: the path of its pod.json. */
int podman_files_pod(const char *dir, const struct plan *p, const struct plan_pod *pod, const char *project, bool init_restarts,
		     bool bridge, char ret[static PODMAN_PATH], struct err *err);
void podman_files_pod_dir(const char *dir, const char *pod, char ret[static PODMAN_PATH]);

#endif
