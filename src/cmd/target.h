/* How people name a container: POD, POD/CONTAINER, or POD-CONTAINER as Podman does. */
#ifndef STOCKADE_CMD_TARGET_H
#define STOCKADE_CMD_TARGET_H

#include <jansson.h>

#include "base/arena.h"
#include "base/err.h"

struct target {
	const char *pod, *container;
	bool running;
};

struct targets {
	struct target *items;
	size_t count;
};

/* All containers in a `ps` reply; the strings are the reply's. */
struct targets targets_of_ps(const json_t *ps, struct arena *a);
/* Those that `name` means, in order: one container, or all of a pod. None: err, with the names there are. */
int target_select(const struct targets *all, const char *name, struct arena *a, struct targets *ret, struct err *err);
/* The one to run something in: the first that runs. NULL with err. */
const struct target *target_running(const struct targets *selected, const char *name, struct err *err);

#endif
