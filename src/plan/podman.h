/* A pod of the plan as a manifest for `podman kube play`: what runs in it and nothing else. The jail, the gate's pod and the ports
 * are the engine's; annotations of the manifest are left out, as some of them change what Podman does. Pure. */
#ifndef STOCKADE_PLAN_PODMAN_H
#define STOCKADE_PLAN_PODMAN_H

#include "plan/plan.h"

/* Every pod bears these as labels, and as annotations for the hook. */
#define PODMAN_PROJECT "stockade.project"
#define PODMAN_POD     "stockade.pod"

struct podman_pod {
	const char *project;
	const char *dir;     /* of the pod's files on the host: hosts, resolv.conf, volumes/NAME */
	const char *seccomp; /* file name of the profile in --seccomp-profile-root */
	bool init_restarts;  /* this Podman restarts init containers by the pod's policy (before 4.6) */
};

/* JSON, which is YAML. */
const char *plan_podman(const struct plan *p, const struct plan_pod *pod, const struct podman_pod *how, struct arena *a);
/* NULL, or what of it Podman cannot do safely, as a sentence. state: the directory of the project's own files. */
const char *plan_podman_refuses(const struct plan *p, const struct plan_pod *pod, const char *state, struct arena *a);
/* NULL, or what works otherwise than on the built-in engine, as a sentence. */
const char *plan_podman_note(const struct plan_pod *pod, bool init_restarts, struct arena *a);
/* The name that Podman gives to a container: POD-CONTAINER. */
const char *plan_podman_name(const struct plan_pod *pod, const struct container *c, struct arena *a);

#endif
