/* The one privileged process of a project: holds its namespaces and listeners, starts and restarts the gate and the containers,
 * keeps logs and exit codes. It parses nothing that a pod can write. */
#ifndef STOCKADE_ENGINE_SUPERVISOR_H
#define STOCKADE_ENGINE_SUPERVISOR_H

#include "base/err.h"

struct supervisor_options {
	const char *project;
	int ready_fd; /* one byte is written when the control socket listens; closed then */
};

/* Runs until `down` or SIGTERM (which does the same). */
int supervisor_run(const struct supervisor_options *o, struct err *err);

/* Starts the supervisor of a project as a daemon (re-executed: `stockade supervise`) unless it runs; waits until it answers. A
 * stale run directory of a killed supervisor is cleaned up first. */
int supervisor_ensure(const char *project, struct err *err);
/* Cleans what a killed supervisor left: cgroups, sockets, run directory. Processes are gone by PDEATHSIG. */
int supervisor_clean_stale(const char *project, struct err *err);

#endif
