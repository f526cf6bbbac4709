/* A project as units of systemd: one that starts it at boot and stops it at shutdown, and for Podman's Quadlet one a pod. Text only;
 * whoever asked for it puts it where systemd looks. Pure. */
#ifndef STOCKADE_PLAN_UNIT_H
#define STOCKADE_PLAN_UNIT_H

#include "plan/manifest.h"

struct unit {
	const char *program;        /* our own absolute path */
	const char *project;        /* a project's name, so plain characters only */
	const char *manifest;       /* absolute */
	const char *run_dir;        /* of the project, absolute */
	struct strings up;          /* further arguments of `stockade up` */
	struct strings environment; /* NAME=VALUE */
	bool podman;
	const char *podman_dir; /* of the project's files for Podman */
};

/* NULL: *ret_why says what cannot be put into a unit. */
const char *plan_unit(const struct unit *u, struct arena *a, const char **ret_why);
const char *plan_unit_quadlet(const struct unit *u, const char *pod, struct arena *a, const char **ret_why);
/* "stockade-PROJECT.service", "stockade-PROJECT-POD.kube" */
const char *plan_unit_name(const struct unit *u, struct arena *a);
const char *plan_unit_quadlet_name(const struct unit *u, const char *pod, struct arena *a);

#endif
