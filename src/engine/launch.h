/* From the plan of a container to what pod/container.h starts: its command, its environment, its mounts. */
#ifndef STOCKADE_ENGINE_LAUNCH_H
#define STOCKADE_ENGINE_LAUNCH_H

#include "engine/pod_walls.h"
#include "pod/container.h"

struct launch_pod {
	const char *project, *volume_dir;
	const struct plan *plan;
	const struct plan_pod *pod;
	const struct pod_walls *walls;
	const struct oci_runtime *runtime; /* NULL: none, containers are started directly */
};

struct launch {
	struct arena arena;
	struct container_spec spec; /* all but stdio and tty */
	struct container_mount *mounts;
	size_t mount_count;
};

int launch_prepare(struct launch *l, const struct launch_pod *p, const struct container *c, struct err *err);
void launch_end(struct launch *l); /* closes the mounts' fds, frees the rest */

enum { LAUNCH_CGROUP_PREFIX = 64 };
/* "stockade-PROJECT-HASH-": what the cgroups of a project begin with. The hash, of its run directory, tells project a's pod b-c
 * from project a-b's pod c, and projects of one name under several $STOCKADE_RUN_DIR. */
void launch_cgroup_prefix(const char *project, char ret[static LAUNCH_CGROUP_PREFIX]);
/* The prefix, then "POD.CONTAINER"; in the arena. */
const char *launch_cgroup(const struct launch_pod *p, const struct container *c, struct arena *a);
/* NULL-terminated: PATH, HOME, HOSTNAME, the proxy variables, then what the manifest sets. */
const char *const *launch_env(const struct launch_pod *p, const struct container *c, struct arena *a);
/* true when the manifest has said what to run. */
bool launch_has_command(const struct container *c);

#endif
