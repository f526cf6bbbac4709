/* The walls of one pod, put up in the order that docs/architecture.md tells: user namespace, network namespace, jail applied, jail
 * read back and compared, listeners. Nothing of the pod runs in here. */
#ifndef STOCKADE_ENGINE_POD_WALLS_H
#define STOCKADE_ENGINE_POD_WALLS_H

#include "base/err.h"
#include "gate/protocol.h"
#include "plan/plan.h"

struct pod_walls {
	int userns, netns;
	int listeners[GATE_LISTENER_COUNT];
	uint32_t uid_base;
};

/* Host uids of a pod: 0x70000000 + 65536 * n, n a 14-bit hash of the project's and the pod's name. */
uint32_t pod_uid_base(const char *project, const char *pod);
uint32_t pod_uid_base_next(uint32_t base); /* the next place, when that one is taken */

/* All or nothing: on -1 everything is closed again. */
int pod_walls_raise(struct pod_walls *w, const struct plan *p, const struct plan_pod *pod, uint32_t uid_base, struct err *err);
/* The same in a network namespace that is there already (netns_adopt); it has no user namespace of ours. netns: stolen, also on -1.
 */
int pod_walls_adopt(struct pod_walls *w, const struct plan *p, const struct plan_pod *pod, int netns, struct err *err);
/* Is the jail still as it was put up? */
int pod_walls_check(const struct pod_walls *w, const struct plan *p, const struct plan_pod *pod, struct err *err);
void pod_walls_close(struct pod_walls *w); /* twice is fine after a raise */

#endif
